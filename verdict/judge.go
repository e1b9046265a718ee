package verdict

import (
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Judge compares the observation of one cell with the prediction, with the cell's expect row and with the approved outcome.
// o is nil if no attempt was made, which is right for a cell that is not applicable and makes any other Broken. golden is nil if no
// outcome has been approved. Every field is compared; the only leniency is Unseen. A cell that is judged by hand has no prediction: the
// fields that its row states are compared, and nothing else.
func Judge(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation, golden *matrix.Outcome, divergences []matrix.Divergence) Verdict {
	if why := matrix.NotApplicable(cell); why != "" {
		if o != nil {
			return broken("was attempted although not applicable: " + why)
		}
		return Verdict{Status: NotApplicable, Severity: IsNotApplicable, Cause: why}
	}
	if fault := faultOf(cell, p, o); fault != "" {
		return broken(fault)
	}
	v := Verdict{Status: Agree, Severity: IsAgree}
	if !cell.ByHand {
		v.Differences = fromPrediction(cell, p, o)
	}
	settled := Settled(cell, p, o)
	if cell.Expect != nil {
		if contradicted := fromExpect(cell, o, settled); len(contradicted) > 0 {
			v.Differences, v.Pos = append(v.Differences, contradicted...), cell.Expect.Pos
		}
	}
	differs := len(v.Differences) > 0
	if golden != nil {
		v.Differences = append(v.Differences, fromGolden(cell, p, *golden, settled)...)
	}
	listed := slices.IndexFunc(divergences, func(d matrix.Divergence) bool { return d.Matches(cell.ID) })
	switch {
	case differs && listed >= 0:
		d := divergences[listed]
		v.Status, v.Severity, v.Cause, v.Pos, v.Link = Known, IsKnown, d.Cause, d.Pos, d.Link
	case differs:
		v.Status, v.Severity = Differ, severity(v.Differences)
	case listed >= 0:
		v.Status, v.Severity, v.Pos = Differ, OtherDiffer, divergences[listed].Pos
		v.Cause = "listed in " + v.Pos + " but agrees; remove the entry"
	case len(v.Differences) > 0:
		v.Status, v.Severity = Drift, IsDrift
	}
	return v
}

func broken(cause string) Verdict {
	return Verdict{Status: Broken, Severity: IsBroken, Cause: cause}
}

// faultOf says why the cell cannot be judged; "" if it can.
func faultOf(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation) string {
	switch {
	case o == nil:
		return "not attempted"
	case o.Fault != "":
		return o.Fault
	}
	if err := o.Outcome.Validate(); err != nil {
		return "the observed outcome is invalid: " + err.Error()
	}
	for _, f := range o.Unseen {
		if value := o.Outcome.Get(f); value != "" {
			return fmt.Sprintf("the observation calls %s unseen and gives it as %q", f, value)
		}
	}
	switch {
	case cell.ByHand && cell.Expect == nil:
		return "it is judged by hand and no row claims it"
	case cell.ByHand && p.Outcome.End != "":
		return "it is judged by hand and was predicted"
	case cell.ByHand:
		return ""
	}
	if err := p.Outcome.Validate(); err != nil {
		return "the prediction is invalid: " + err.Error()
	}
	return ""
}

// compared are the fields of a whole outcome. Descent is derived from them.
var compared = slices.DeleteFunc(slices.Clone(matrix.Fields), func(f matrix.Field) bool { return f == matrix.FieldDescent })

func fromPrediction(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation) []Difference {
	unseen := Unseen(cell, p)
	var found []Difference
	for _, f := range compared {
		want, observed := p.Outcome.Get(f), o.Outcome.Get(f)
		switch {
		case observed == "" && slices.Contains(unseen, f):
		case slices.Contains(o.Unseen, f): // even if the field is predicted to be empty: that no witness saw it does not show that it is
			found = append(found, Difference{f, Prediction, want, Unknown})
		case observed != want:
			found = append(found, Difference{f, Prediction, want, observed})
		}
	}
	return found
}

func fromExpect(cell *matrix.Cell, o *matrix.Observation, settled matrix.Outcome) []Difference {
	e := cell.Expect
	var found []Difference
	for _, f := range matrix.Fields {
		if !slices.Contains(e.Then.Stated, f) {
			continue
		}
		if want, observed := e.Then.Get(f), settled.Get(f); observed != want {
			if cell.ByHand && slices.Contains(o.Unseen, f) { // otherwise the comparison with the prediction says it
				observed = Unknown
			}
			found = append(found, Difference{f, Expect, want, observed})
		}
	}
	return found
}

func fromGolden(cell *matrix.Cell, p matrix.Prediction, golden, settled matrix.Outcome) []Difference {
	unseen := Unseen(cell, supposed(cell, p))
	var found []Difference
	for _, f := range compared {
		want, observed := golden.Get(f), settled.Get(f)
		if observed != want && (want != "" || !slices.Contains(unseen, f)) {
			found = append(found, Difference{f, Golden, want, observed})
		}
	}
	return found
}

// supposed decides what witnesses can see: the prediction, or what the row states of a cell that is judged by hand.
func supposed(cell *matrix.Cell, p matrix.Prediction) matrix.Prediction {
	if cell.ByHand && cell.Expect != nil {
		return matrix.Prediction{Outcome: cell.Expect.Then.Outcome}
	}
	return p
}

// Settled is the observed outcome, with the fields that no witness can see (see Unseen) taken from the prediction, or from the row of a
// cell that is judged by hand. It is what is approved if the verdict is Agree or Drift.
func Settled(cell *matrix.Cell, p matrix.Prediction, o *matrix.Observation) matrix.Outcome {
	settled, supposed := o.Outcome, supposed(cell, p)
	for _, f := range Unseen(cell, supposed) {
		if settled.Get(f) != "" {
			continue
		}
		switch f {
		case matrix.FieldMethod:
			settled.Method = supposed.Outcome.Method
		case matrix.FieldIdentity:
			settled.Identity = supposed.Outcome.Identity
		case matrix.FieldRule:
			settled.Rule = supposed.Outcome.Rule
		}
	}
	return settled
}

// Stale returns the divergences that name none of these cells: the applicable cells of a full run. Each of them fails the run.
func Stale(divergences []matrix.Divergence, ids []string) []matrix.Divergence {
	return slices.DeleteFunc(slices.Clone(divergences), func(d matrix.Divergence) bool {
		return slices.ContainsFunc(ids, d.Matches)
	})
}

// severity of a Differ.
func severity(differences []Difference) Severity {
	worst := OtherDiffer
	for _, d := range differences {
		switch {
		case d.Against == Golden:
		case d.Field == matrix.FieldEnd && d.Observed == string(matrix.Connected):
			worst = min(worst, MustNotConnect)
		case d.Field == matrix.FieldEnd:
			worst = min(worst, MustConnect)
		case d.Field == matrix.FieldChannel && weaker(matrix.Channel(d.Observed), matrix.Channel(d.Want)):
			worst = min(worst, WeakerChannel)
		}
	}
	return worst
}

// weaker says whether a channel protects less than another. TLS inside GSS encryption, or the reverse, counts as weaker: it
// matches records that it should not match (CVE-2026-14681). If no channel is predicted, none is weaker.
func weaker(observed, want matrix.Channel) bool {
	return observed == matrix.TLSAndGSS || observed == matrix.Plain && (want == matrix.TLS || want == matrix.GSS || want == matrix.TLSAndGSS)
}
