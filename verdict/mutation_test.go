package verdict

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// outcomes are valid outcomes with every end, stage, reason, channel and method.
func outcomes() []matrix.Outcome {
	var all []matrix.Outcome
	add := func(o matrix.Outcome) {
		if o.Validate() == nil {
			all = append(all, o)
		}
	}
	for _, method := range append([]matrix.Method{""}, matrix.Methods...) {
		rule, identity := "", ""
		if method != "" {
			rule = "pg_hba.conf:3"
		}
		if method != "" && method != matrix.MethodTrust && method != matrix.MethodReject {
			identity = "alice@EXAMPLE.TEST"
		}
		for _, channel := range append([]matrix.Channel{""}, matrix.Channels...) {
			add(matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: channel, Method: method, Identity: identity, Role: "alice", Rule: rule,
				Trace: []matrix.Step{matrix.StepConnect, matrix.StepSSLAccept, matrix.StepAuthOK}})
		}
		for _, reason := range matrix.Reasons {
			for _, stage := range reason.Stages {
				add(matrix.Outcome{End: matrix.Refused, Stage: stage, Reason: reason.Reason, Channel: matrix.GSS, Method: method, Identity: identity, Rule: rule,
					Trace: []matrix.Step{matrix.StepConnect, matrix.StepGSSAccept, matrix.StepAuthFail}})
			}
		}
	}
	return all
}

// mutants are outcomes that differ from o in one field, valid or not: with every other word of its list, with other names, and
// without a value.
func mutants(o matrix.Outcome) map[matrix.Field][]matrix.Outcome {
	found := map[matrix.Field][]matrix.Outcome{}
	add := func(f matrix.Field, change func(*matrix.Outcome)) {
		m := o
		m.Trace = slices.Clone(o.Trace)
		change(&m)
		if m.Get(f) != o.Get(f) {
			found[f] = append(found[f], m)
		}
	}
	for _, v := range []matrix.End{"", matrix.Connected, matrix.Refused} {
		add(matrix.FieldEnd, func(m *matrix.Outcome) { m.End = v })
	}
	for _, v := range append([]matrix.Stage{""}, matrix.Stages...) {
		add(matrix.FieldStage, func(m *matrix.Outcome) { m.Stage = v })
	}
	for _, v := range append([]matrix.ReasonInfo{{}}, matrix.Reasons...) {
		add(matrix.FieldReason, func(m *matrix.Outcome) { m.Reason = v.Reason })
	}
	for _, v := range append([]matrix.Channel{""}, matrix.Channels...) {
		add(matrix.FieldChannel, func(m *matrix.Outcome) { m.Channel = v })
	}
	for _, v := range append([]matrix.Method{""}, matrix.Methods...) {
		add(matrix.FieldMethod, func(m *matrix.Outcome) { m.Method = v })
	}
	for _, v := range []string{"", "alice", "Alice@EXAMPLE.TEST", "alice@EXAMPLE.TEST ", "alice@OTHER.TEST"} {
		add(matrix.FieldIdentity, func(m *matrix.Outcome) { m.Identity = v })
	}
	for _, v := range []string{"", "alice", "bob", "ALICE", "alice "} {
		add(matrix.FieldRole, func(m *matrix.Outcome) { m.Role = v })
	}
	for _, v := range []string{"", "pg_hba.conf:2", "pg_hba.conf:33", "other.conf:3", "3"} {
		add(matrix.FieldRule, func(m *matrix.Outcome) { m.Rule = v })
	}
	for _, v := range append([]matrix.Obtained{""}, matrix.Obtaineds...) {
		add(matrix.FieldObtains, func(m *matrix.Outcome) { m.Obtains = v })
	}
	for _, v := range []string{"", "ok", "42501", "42502"} {
		add(matrix.FieldAnswer, func(m *matrix.Outcome) { m.Answer = v })
	}
	for _, v := range []string{"", "pg_hba.conf:2: invalid connection type \"hos\"", "pg_hba.conf:3: invalid connection type \"hos\""} {
		add(matrix.FieldLoad, func(m *matrix.Outcome) { m.Load = v })
	}
	for i := range o.Trace {
		add(matrix.FieldTrace, func(m *matrix.Outcome) { m.Trace = slices.Delete(m.Trace, i, i+1) })
		add(matrix.FieldTrace, func(m *matrix.Outcome) { m.Trace[0], m.Trace[i] = m.Trace[i], m.Trace[0] })
		for _, v := range matrix.Steps {
			add(matrix.FieldTrace, func(m *matrix.Outcome) { m.Trace[i] = v })
			add(matrix.FieldTrace, func(m *matrix.Outcome) { m.Trace = slices.Insert(m.Trace, i, v) })
		}
	}
	add(matrix.FieldTrace, func(m *matrix.Outcome) { m.Trace = nil })
	return found
}

// TestEveryChangedFieldIsSeen: an observation that differs from the prediction in any field never agrees. The only exception is an
// absent field that no witness can see; there are three such fields.
func TestEveryChangedFieldIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	var mu sync.Mutex
	judged, excused := 0, map[matrix.Field]int{}
	t.Run("cells", func(t *testing.T) { // returns when those in it have
		for _, library := range []matrix.Library{"libpq17", "psql17"} {
			for _, server := range []int{13, 16, 17} {
				t.Run(fmt.Sprint(server, library), func(t *testing.T) {
					t.Parallel()
					n, unseen := changeEveryField(t, cellOf(server, library))
					mu.Lock()
					defer mu.Unlock()
					judged += n
					for f, n := range unseen {
						excused[f] += n
					}
				})
			}
		}
	})
	for field := range excused {
		if !slices.Contains([]matrix.Field{matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule}, field) {
			t.Errorf("%s was excused", field)
		}
	}
	if judged < 500_000 || len(excused) != 3 {
		t.Errorf("%d changed observations were judged, excused were %v: the test does not reach what it is for", judged, excused)
	}
	t.Logf("%d changed observations, excused %v", judged, excused)
}

// changeEveryField returns how many changed observations it judged, and by field how many of them agreed.
func changeEveryField(t *testing.T, cell *matrix.Cell) (judged int, excused map[matrix.Field]int) {
	excused = map[matrix.Field]int{}
	listed := []matrix.Divergence{{Pattern: cell.ID, Cause: "known", Pos: "divergences.yaml:1:3"}}
	for _, predicted := range outcomes() {
		p := matrix.Prediction{Outcome: predicted}
		if v := Judge(cell, p, &matrix.Observation{Outcome: predicted}, &predicted, nil); v.Status != Agree || len(v.Differences) > 0 {
			t.Fatalf("%s: the prediction itself is judged %+v", predicted, v)
		}
		unseen := Unseen(cell, p)
		for field, changed := range mutants(predicted) {
			for _, observed := range changed {
				judged++
				v := Judge(cell, p, &matrix.Observation{Outcome: observed}, nil, nil)
				if slices.Contains(unseen, field) && observed.Get(field) == "" && observed.Validate() == nil {
					excused[field]++
					if v.Status != Agree {
						t.Fatalf("predicted %s: %s cannot be seen and is absent, judged %+v", predicted, field, v)
					}
					continue
				}
				if !named(v, field, observed) {
					t.Fatalf("predicted %s, observed %s: judged %+v", predicted, observed, v)
				}
				if w := Judge(cell, p, &matrix.Observation{Outcome: observed}, &observed, nil); w.Status != v.Status {
					t.Fatalf("predicted %s, observed and approved %s: %s, without approval %s", predicted, observed, w.Status, v.Status)
				}
				if w := Judge(cell, p, &matrix.Observation{Outcome: observed}, nil, listed); v.Status == Differ && w.Status != Known || v.Status == Broken && w.Status != Broken {
					t.Fatalf("predicted %s, observed %s, listed: %s", predicted, observed, w.Status)
				}
				if w := Judge(cell, matrix.Prediction{Outcome: observed}, &matrix.Observation{Outcome: observed}, &predicted, nil); w.Status != Drift && w.Status != Broken && !slices.Contains(Unseen(cell, matrix.Prediction{Outcome: observed}), field) {
					t.Fatalf("approved %s, predicted and observed %s: %+v", predicted, observed, w)
				}
			}
		}
	}
	return judged, excused
}

// named: the verdict is Broken because the outcome is invalid, or Differ with the field and what was observed.
func named(v Verdict, field matrix.Field, observed matrix.Outcome) bool {
	if err := observed.Validate(); err != nil {
		return v.Status == Broken && strings.Contains(v.Cause, err.Error())
	}
	return v.Status == Differ && slices.ContainsFunc(v.Differences, func(d Difference) bool {
		return d.Field == field && d.Against == Prediction && d.Observed == observed.Get(field)
	})
}

// Any observation against any prediction: agreement means equality but for what cannot be seen.
func TestAgreementIsEquality(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	all := outcomes()
	agreed := 0
	for _, server := range []int{13, 17} {
		cell := cellOf(server, "libpq17")
		for _, predicted := range all {
			for _, observed := range all {
				v := Judge(cell, matrix.Prediction{Outcome: predicted}, &matrix.Observation{Outcome: observed}, nil, nil)
				if v.Status == Agree {
					agreed++
				}
				equal := !slices.ContainsFunc(matrix.Fields, func(f matrix.Field) bool {
					return observed.Get(f) != predicted.Get(f) && (observed.Get(f) != "" || !slices.Contains(Unseen(cell, matrix.Prediction{Outcome: predicted}), f))
				})
				if equal != (v.Status == Agree) || v.Status != Agree && v.Status != Differ {
					t.Fatalf("%d, predicted %s, observed %s: %s", server, predicted, observed, v.Status)
				}
				if connected := observed.End == matrix.Connected && predicted.End != matrix.Connected; connected != (v.Severity == MustNotConnect) {
					t.Fatalf("predicted %s, observed %s: severity %d", predicted, observed, v.Severity)
				}
			}
		}
	}
	if agreed < len(all)*2 {
		t.Errorf("only %d agreed", agreed)
	}
}

// A field is not excused because the probe names it as unseen.
func TestProbeCannotExcuseItself(t *testing.T) {
	for _, server := range []int{13, 14, 17} {
		cell := cellOf(server, "libpq17")
		for _, predicted := range outcomes() {
			for _, f := range compared {
				o := &matrix.Observation{Outcome: predicted, Unseen: []matrix.Field{f}}
				v := Judge(cell, matrix.Prediction{Outcome: predicted}, o, nil, nil)
				allowed := slices.Contains(Unseen(cell, matrix.Prediction{Outcome: predicted}), f)
				switch {
				case predicted.Get(f) != "" && v.Status != Broken,
					predicted.Get(f) == "" && !allowed && v.Status != Differ,
					predicted.Get(f) == "" && allowed && v.Status != Agree:
					t.Fatalf("%d, %s, called unseen: %s: %+v", server, predicted, f, v)
				}
			}
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(17, "libpq17", "connected", "session", "", "tls", "trust", "", "alice", "pg_hba.conf:2", "connect authok", "rule", "", true, true)
	f.Add(13, "psql13", "refused", "hba", "no-hba-entry", "gss", "", "", "", "", "connect authfail", "", "timeout", false, true)
	f.Add(15, "pgx", "refused", "auth", "password", "plain", "md5", "", "", "pg_hba.conf:1", "", "identity", "", false, false)
	f.Fuzz(func(t *testing.T, server int, library, end, stage, reason, channel, method, identity, role, rule, trace, unseen, fault string, same, attempted bool) {
		cell := cellOf(server, matrix.Library(library))
		observed := matrix.Outcome{End: matrix.End(end), Stage: matrix.Stage(stage), Reason: matrix.Reason(reason), Channel: matrix.Channel(channel), Method: matrix.Method(method), Identity: identity, Role: role, Rule: rule}
		for word := range strings.FieldsSeq(trace) {
			observed.Trace = append(observed.Trace, matrix.Step(word))
		}
		predicted := observed
		if !same {
			predicted.Role += "x"
		}
		var o *matrix.Observation
		if attempted {
			o = &matrix.Observation{Outcome: observed, Fault: fault}
			if slices.Contains(matrix.Fields, matrix.Field(unseen)) {
				o.Unseen = []matrix.Field{matrix.Field(unseen)}
			}
		}
		v := Judge(cell, matrix.Prediction{Outcome: predicted}, o, nil, nil)
		if !slices.Contains(Statuses, v.Status) || v.Severity == Invalid {
			t.Fatalf("no judgement: %+v", v)
		}
		if v.Status == Agree && (!same || !attempted || fault != "" || observed.Validate() != nil) {
			t.Fatalf("agrees: %+v", o)
		}
		if (v.Status == Broken) != (v.Status.Fails() && v.Cause != "" && len(v.Differences) == 0) {
			t.Fatalf("broken without a cause, or a cause without being broken: %+v", v)
		}
	})
}
