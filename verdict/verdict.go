// Package verdict judges one cell: it compares what was observed with what was predicted, expected by hand and approved before.
// Judge is pure and does not know how predictions and observations are made.
package verdict

import (
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Status is the judgement in one word. The empty status is invalid: a cell that was not judged must never count as green.
type Status string

const (
	Agree         Status = "Agree"         // observed = predicted, and = golden and expect where there is one; of a cell that is judged by hand, = expect
	Differ        Status = "Differ"        // observed ≠ predicted, or ≠ a hand-written expectation: a finding
	Drift         Status = "Drift"         // observed = predicted ≠ golden: behaviour has changed
	Known         Status = "Known"         // would be Differ and is listed in divergences.yaml
	NotApplicable Status = "NotApplicable" // the client or server version cannot express the cell; decided before any attempt
	Broken        Status = "Broken"        // a fault of the harness, or control cells that failed; never counts as a refusal
)

// Statuses lists every status, in the order of reports.
var Statuses = []Status{Agree, Differ, Drift, Broken, Known, NotApplicable}

// Fails says whether a cell with this status fails the run. An invalid status does.
func (s Status) Fails() bool { return s != Agree && s != Known && s != NotApplicable }

// Verdict is the judgement on one cell.
type Verdict struct {
	Status      Status       `json:"status"`
	Severity    Severity     `json:"severity"`
	Differences []Difference `json:"differences,omitempty"` // against the prediction first, then expect, then golden; each in the order of matrix.Fields
	Cause       string       `json:"cause,omitempty"`       // Broken: the fault. Known: the divergence's cause. NotApplicable: why. Differ: only if a listed cell agrees
	Pos         string       `json:"pos,omitempty"`         // FILE:LINE:COLUMN of the divergence for Known, or of the expect row that was contradicted
	Link        string       `json:"link,omitempty"`        // of the divergence, for Known
}

// Against is what an observation was compared with.
type Against string

const (
	Prediction Against = "prediction"
	Expect     Against = "expect"
	Golden     Against = "golden"
)

// Difference is one field whose observed value is not the wanted one.
type Difference struct {
	Field    matrix.Field `json:"field"`
	Against  Against      `json:"against"`
	Want     string       `json:"want"`     // what the prediction, the expect row or the golden line says; empty means absent
	Observed string       `json:"observed"` // what was observed; empty means absent, and Unknown that no witness saw it
}

// Unknown is the observed value of a field that no witness saw although a server of that version shows it. It is not the same
// as an absent field.
const Unknown = "(no witness)"

// Severity orders verdicts, the worst first.
type Severity int

const (
	Invalid        Severity = iota // no status: the cell was not judged
	MustNotConnect                 // connected, where prediction or expect row say refused
	WeakerChannel                  // connected over a weaker channel than prediction or expect row say, or over TLS and GSS at once
	MustConnect                    // refused, where prediction or expect row say connected
	OtherDiffer
	IsBroken // before IsDrift: it may hide any of the above, while a cell that drifted did what was predicted
	IsDrift
	IsKnown
	IsNotApplicable
	IsAgree
)

// Counts is the number of cells by status.
type Counts map[Status]int

// Count counts verdicts by status. It is an error if a status is invalid, or if there are not as many verdicts as cells.
func Count(verdicts []Verdict, cells int) (Counts, error) {
	c := Counts{}
	for _, v := range verdicts {
		c[v.Status]++
	}
	return c, c.Check(cells)
}

// Total is the number of cells counted.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// Check returns an error if a status is invalid, or if the counts do not add up to the number of cells.
func (c Counts) Check(cells int) error {
	for s, n := range c {
		if n < 0 || n > 0 && !slices.Contains(Statuses, s) {
			return fmt.Errorf("%d cells have the invalid status %q", n, s)
		}
	}
	if total := c.Total(); total != cells {
		return fmt.Errorf("%d verdicts for %d cells: every cell needs exactly one", total, cells)
	}
	return nil
}

// Green says whether at least one cell agrees and none fails.
func (c Counts) Green() bool {
	for s, n := range c {
		if n > 0 && s.Fails() {
			return false
		}
	}
	return c[Agree] > 0
}
