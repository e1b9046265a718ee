package reports

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Summary is the result of a run in short.
type Summary struct {
	Counts     verdict.Counts
	Trailer    *Trailer // nil if the run was killed
	Incomplete string   // why there are fewer records than cells: interrupted, killed; empty for a whole run
	Stale      []Stale  // from header and trailer
}

// Green says that the run is whole, that at least one cell agreed and that nothing fails.
func (s *Summary) Green() bool {
	return s.Incomplete == "" && len(s.Stale) == 0 && s.Counts.Green()
}

// MayAgree says that nothing was found that a second run would find again: a run that is not green for Broken cells alone, or because it
// did not end.
func (s *Summary) MayAgree() bool {
	return !s.Green() && len(s.Stale) == 0 && s.Counts[verdict.Differ]+s.Counts[verdict.Drift] == 0 && (s.Counts[verdict.Broken] > 0 || s.Incomplete != "")
}

// Summarize is the Summary of NewView.
func Summarize(run *Run) (*Summary, error) {
	v, err := NewView(run)
	if err != nil {
		return nil, err
	}
	return &v.Summary, nil
}

// View is all that there is to say about a run; how it is said is up to a Format. A View holds the evidence of failing
// cells, up to limits, and of every other cell only its name, its axes, its outcomes, time and verdict: about 400 bytes.
type View struct {
	Summary
	Header    Header
	Path      string // of the run's file; empty for a run that is no file
	Ends      map[matrix.End]int
	ByHand    int                    // cells that hand-written rows alone judge
	Descents  map[matrix.Descent]int // of connected attempts
	Stages    map[matrix.Stage]int   // of refused attempts
	Scenarios []*ScenarioView        // by name
	Columns   []Column               // by server, then in the order of matrix.Clients
	Failures  []*Group               // the worst first
	Known     []Known                // by position
	History   *History               // since when groups of cells are as they are; nil: see Remember
	Baseline  *Diff                  // what changed since another run; nil: see Against
	Measured  *Measured              // what bench measured for this run; nil: it did not
	First     time.Time              // start of the first attempt
	Last      time.Time              // end of the last attempt

	run      *Run       // for formats that say something of every cell
	baseline *Run       // with Baseline: likewise
	axes     *axisTable // a row for each cell
}

// Known is one cause of known divergences.
type Known struct {
	Cause string
	Pos   string // of the row in divergences.yaml
	Cells int
}

// NewView reads a run through, once. The error is of the file, or says that the counts do not add up; a run that was
// interrupted or killed is no error.
func NewView(run *Run) (*View, error) {
	b := &builder{
		view: &View{run: run, Header: run.Header, Path: run.Path, Summary: Summary{Counts: verdict.Counts{}},
			Ends: map[matrix.End]int{}, Descents: map[matrix.Descent]int{}, Stages: map[matrix.Stage]int{}},
		axes: newAxisTable(), ways: map[string]int{}, exactWays: map[string]int{},
		scenarios: map[string]*ScenarioView{}, columns: map[Column]bool{}, known: map[Known]int{}, texts: map[string]string{},
	}
	seen := make(map[string]bool, run.Header.Cells)
	twice := ""
	trailer, err := run.scan(decodeBrief, func(r *Record) bool {
		if seen[r.ID] {
			twice = r.ID
			return false
		}
		seen[r.ID] = true
		b.add(r)
		return true
	})
	var killed *Incomplete
	switch {
	case errors.As(err, &killed):
		b.view.Incomplete = killed.What
	case err != nil:
		return nil, err
	case twice != "":
		return nil, fmt.Errorf("two records of %s", twice)
	}
	if err := b.view.end(trailer); err != nil {
		return nil, err
	}
	b.sort()
	b.view.axes = b.axes
	b.group()
	if err := b.fetch(run); err != nil && !errors.As(err, &killed) {
		return nil, err
	}
	b.view.Measured, err = measuredBeside(run)
	return b.view, err
}

// end takes over the trailer, nil if there is none, and compares its counts with those of the records.
func (v *View) end(trailer *Trailer) error {
	v.Trailer = trailer
	v.Stale = slices.Clone(v.Header.Stale)
	if trailer == nil {
		return nil
	}
	v.Stale = append(v.Stale, trailer.Stale...)
	if trailer.Interrupted != "" {
		v.Incomplete = trailer.Interrupted
	}
	for _, s := range verdict.Statuses {
		if v.Counts[s] != trailer.Counts[s] {
			return fmt.Errorf("%d records say %s, the run's end says %d", v.Counts[s], s, trailer.Counts[s])
		}
	}
	return trailer.check(v.Header.Cells)
}

// builder collects a View, a record at a time.
type builder struct {
	view      *View
	scenarios map[string]*ScenarioView
	columns   map[Column]bool
	axes      *axisTable
	class     []int             // of each row of axes: its way to fail, agreeing or leftOut
	ways      map[string]int    // ways to fail, without the values, numbered
	exactWays map[string]int    // with the values, numbered
	exact     []verdict.Verdict // by number: the first
	failing   []failing
	known     map[Known]int     // cells by cause and position
	texts     map[string]string // causes, each held once
}

func (b *builder) add(r *Record) {
	v := b.view
	v.Counts[r.Verdict.Status]++
	if r.ByHand != "" {
		v.ByHand++
	}
	if r.Verdict.Status == verdict.Known {
		b.known[Known{Cause: r.Verdict.Cause, Pos: r.Verdict.Pos}]++
	}
	if o := outcomeOf(r); o != nil {
		v.Ends[o.End]++
		if o.End == matrix.Connected {
			v.Descents[o.Descent()]++
		} else {
			v.Stages[o.Stage]++
		}
	}
	if v.First.IsZero() || r.Start.Before(v.First) {
		v.First = r.Start
	}
	if end := r.Start.Add(time.Duration(r.Micros) * time.Microsecond); end.After(v.Last) {
		v.Last = end
	}
	s := b.scenarios[r.Scenario]
	if s == nil {
		s = newScenarioView(r)
		b.scenarios[r.Scenario] = s
	}
	b.columns[s.add(r)] = true
	row := b.axes.add(r.Scenario, r.Axes)
	if end := r.Predicted.End; end != "" {
		b.axes.set(row, predictedEndAxis, string(end))
	}
	s.Cases = append(s.Cases, b.oneCase(r, row))
	b.classify(r, len(s.Cases)-1)
}

// sort brings everything into the order of reports.
func (b *builder) sort() {
	v := b.view
	for _, s := range b.scenarios {
		s.close()
		v.Scenarios = append(v.Scenarios, s)
	}
	slices.SortFunc(v.Scenarios, func(x, y *ScenarioView) int { return strings.Compare(x.Name, y.Name) })
	for c := range b.columns {
		v.Columns = append(v.Columns, c)
	}
	slices.SortFunc(v.Columns, Column.compare)
	for k, n := range b.known {
		v.Known = append(v.Known, Known{k.Cause, k.Pos, n})
	}
	slices.SortFunc(v.Known, func(x, y Known) int { return strings.Compare(x.Pos+x.Cause, y.Pos+y.Cause) })
}

// outcomeOf is what was observed, or nil if nothing that could be judged was.
func outcomeOf(r *Record) *matrix.Outcome {
	if r.Observation == nil || r.Observation.Fault != "" {
		return nil
	}
	return &r.Observation.Outcome
}

// Attempted is the number of cells that were attempted with an outcome.
func (v *View) Attempted() int { return v.Ends[matrix.Connected] + v.Ends[matrix.Refused] }

// Duration is the wall time from the run's start to its end; of a run that was killed, to the end of its last attempt.
func (v *View) Duration() time.Duration {
	if v.Trailer != nil {
		return v.Trailer.End.Sub(v.Header.Start)
	}
	if v.Last.IsZero() {
		return 0
	}
	return v.Last.Sub(v.Header.Start)
}

// Attempting is the wall time in which cells were attempted.
func (v *View) Attempting() time.Duration {
	if v.Trailer != nil && v.Trailer.Attempt > 0 {
		return v.Trailer.Attempt
	}
	return v.Last.Sub(v.First)
}

// NotReached is the number of cells without a record.
func (v *View) NotReached() int { return v.Header.Cells - v.Counts.Total() }
