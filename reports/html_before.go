package reports

import (
	"errors"
	"path/filepath"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// gone is the status of a row for a cell that only the baseline has.
const gone = ""

// was is what a cell was in the baseline, as the page's script reads it.
type was struct {
	Kind     ChangeKind     `json:"kind,omitempty"`     // what became of it; empty: nothing
	Fields   []matrix.Field `json:"fields,omitempty"`   // that are different
	Rules    bool           `json:"rules,omitempty"`    // the scenario's rules, roles or settings are different too
	Status   verdict.Status `json:"status,omitempty"`   // empty: the baseline has no such cell
	Obtained uint32         `json:"obtained,omitempty"` // place in classes
	Cause    string         `json:"cause,omitempty"`
	Outcome  []string       `json:"outcome,omitempty"` // in the order of matrix.Fields; empty: none was observed
}

// oldCell is where the page keeps what a cell was.
type oldCell struct{ was, before uint32 }

// aboutBaseline is the run that the page's own is held against, as the page's script reads it.
type aboutBaseline struct {
	Run   string       `json:"run"`
	Start string       `json:"start"`
	Dir   string       `json:"dir"`
	Kinds []ChangeKind `json:"kinds"` // all that there are, the worst first
	Worse int          `json:"worse"` // the first so many are for the worse
}

func (v *View) aboutBaseline() *aboutBaseline {
	if v.Baseline == nil {
		return nil
	}
	dir := "RUN"
	if v.baseline.Path != "" {
		dir = filepath.Dir(v.baseline.Path)
	}
	return &aboutBaseline{v.Baseline.Old.Run, v.Baseline.Old.Start.UTC().Format("2006-01-02 15:04 MST"), dir, ChangeKinds, regressions}
}

// collectBefore reads from the baseline what the cells were that are not as they were. A cell that is gone gets a row: it has a name, axes
// and a past.
func (h *htmlCells) collectBefore(d *Diff, baseline *Run) error {
	if d == nil {
		return nil
	}
	h.baseline = d
	var failed error
	_, err := baseline.scan(decodeOf(func(id string) bool { return d.cells[id].old != nil }), func(r *Record) bool {
		if p := d.cells[r.ID]; p.old != nil {
			failed = h.addBefore(r, p)
		}
		return failed == nil
	})
	var killed *Incomplete
	if err != nil && !errors.As(err, &killed) {
		return err
	}
	return failed
}

func (h *htmlCells) addBefore(r *Record, p pair) error {
	w := was{Kind: p.change.Kind, Fields: p.change.Fields, Rules: p.change.Rules, Status: r.Verdict.Status, Obtained: classOf(r), Cause: r.Verdict.Cause}
	if o := outcomeOf(r); o != nil {
		w.Outcome = fieldsOf(*o)
	}
	place, err := h.was.addJSON(w)
	if err != nil {
		return err
	}
	s := h.scenario(r.Scenario)
	e, err := s.words.add(r, h.begin, false)
	if err != nil {
		return err
	}
	s.before = append(s.before, &e)
	of := oldCell{place, uint32(len(s.before))} //nolint:gosec // a run has fewer cells
	if p.now != nil {
		h.old[r.ID] = of
		return nil
	}
	c := h.cell(r)
	c.status, c.class, c.was, c.before = h.statuses.add(gone), classNone, of.was, of.before
	s.cells = append(s.cells, c)
	return nil
}

// wasOf is what a cell of the run was.
func (h *htmlCells) wasOf(id string) (place, before uint32, err error) {
	if of, found := h.old[id]; found {
		return of.was, of.before, nil
	}
	if h.baseline == nil {
		return 0, 0, nil
	}
	if p, found := h.baseline.cells[id]; found {
		place, err = h.was.addJSON(was{Kind: p.change.Kind})
	}
	return place, 0, err
}
