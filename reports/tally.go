package reports

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Summary is what a run amounts to.
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

// Summarize reads a run through. The error is of the file, or says that the counts do not add up.
func Summarize(run *Run) (*Summary, error) {
	t, err := tallyRun(run, nil)
	if err != nil {
		return nil, err
	}
	return &t.Summary, nil
}

// tally is what the reports draw: its size depends on scenarios, servers and libraries, and on failures in so far as they
// fail in different ways, not on the number of cells.
type tally struct {
	Summary
	header    Header
	ends      map[matrix.End]int
	descents  map[matrix.Descent]int
	stages    map[matrix.Stage]int // of refused attempts
	scenarios []*scenarioTally     // by name
	columns   []column             // by server, then in the order of matrix.Libraries
	failures  []*failure           // the worst first
	known     map[[2]string]int    // cells by cause and position of the divergence
	first     time.Time
	last      time.Time
}

type column struct {
	server  int
	library matrix.Library
}

type scenarioTally struct {
	name string
	block
	rows    []*rowTally
	byKey   map[string]*rowTally
	axes    map[string][]string // values seen of each world axis but the server
	attacks obtained
}

// rowTally is one world, whatever the server's version.
type rowTally struct {
	axes map[string]string
	block
	blocks map[column]*block
}

// block counts cells of one place in the matrix.
type block struct {
	counts    [len(glyphs)]int // by index into glyphs
	cells     int
	connected int
	downgrade int
}

func (b *block) add(r *Record) {
	b.cells++
	b.counts[glyphIndex(r.Verdict.Status)]++
	if o := outcomeOf(r); o != nil && o.End == matrix.Connected {
		b.connected++
		if o.Descent() == matrix.Downgrade {
			b.downgrade++
		}
	}
}

func (b *block) merge(other *block) {
	for i, n := range other.counts {
		b.counts[i] += n
	}
	b.cells += other.cells
	b.connected += other.connected
	b.downgrade += other.downgrade
}

// failing is the number of cells that fail the run.
func (b *block) failing() int {
	n := 0
	for i, g := range glyphs {
		if g.status.Fails() {
			n += b.counts[i]
		}
	}
	return n
}

// outcomeOf is what was observed, or nil if nothing that could be judged was.
func outcomeOf(r *Record) *matrix.Outcome {
	if r.Observation == nil || r.Observation.Fault != "" {
		return nil
	}
	return &r.Observation.Outcome
}

// failure is a way to fail, with the cells of a scenario that fail this way.
type failure struct {
	severity verdict.Severity
	record   *Record // the first of them; dropped while reading if there are too many worse ones
	order    int     // of the first
	count    int
	others   []string // IDs of some further ones
}

// failuresKept bounds the records that are held while a run is read; listedOthers the IDs beside each.
const (
	failuresKept = 500
	listedOthers = 3
)

// tallyRun reads a run through. visit, if any, gets every record.
func tallyRun(run *Run, visit func(*Record)) (*tally, error) {
	t := &tally{header: run.Header, ends: map[matrix.End]int{}, descents: map[matrix.Descent]int{}, stages: map[matrix.Stage]int{}, known: map[[2]string]int{}}
	t.Counts = verdict.Counts{}
	scenarios, columns, failures := map[string]*scenarioTally{}, map[column]bool{}, map[string]*failure{}
	seen := make(map[string]bool, run.Header.Cells)
	var twice string
	trailer, err := run.scan(func(r *Record) bool {
		if seen[r.ID] {
			twice = r.ID
			return false
		}
		seen[r.ID] = true
		t.add(r, scenarios, columns)
		if r.Verdict.Status.Fails() {
			t.addFailure(r, failures)
		}
		if visit != nil {
			visit(r)
		}
		return true
	})
	var killed *Incomplete
	switch {
	case errors.As(err, &killed):
		t.Incomplete = killed.What
	case err != nil:
		return nil, err
	case twice != "":
		return nil, fmt.Errorf("two records of %s", twice)
	}
	if err := t.close(trailer); err != nil {
		return nil, err
	}
	for _, s := range scenarios {
		slices.SortStableFunc(s.rows, compareRows)
		t.scenarios = append(t.scenarios, s)
	}
	slices.SortFunc(t.scenarios, func(a, b *scenarioTally) int { return strings.Compare(a.name, b.name) })
	for c := range columns {
		t.columns = append(t.columns, c)
	}
	slices.SortFunc(t.columns, func(a, b column) int {
		return cmp.Or(a.server-b.server, libraryRank(a.library)-libraryRank(b.library), strings.Compare(string(a.library), string(b.library)))
	})
	for _, f := range failures {
		t.failures = append(t.failures, f)
	}
	slices.SortFunc(t.failures, compareFailures)
	return t, nil
}

func (t *tally) add(r *Record, scenarios map[string]*scenarioTally, columns map[column]bool) {
	t.Counts[r.Verdict.Status]++
	if r.Verdict.Status == verdict.Known {
		t.known[[2]string{r.Verdict.Cause, r.Verdict.Pos}]++
	}
	if o := outcomeOf(r); o != nil {
		t.ends[o.End]++
		if o.End == matrix.Connected {
			t.descents[o.Descent()]++
		} else {
			t.stages[o.Stage]++
		}
	}
	if t.first.IsZero() || r.Start.Before(t.first) {
		t.first = r.Start
	}
	if end := r.Start.Add(time.Duration(r.Micros) * time.Microsecond); end.After(t.last) {
		t.last = end
	}
	s := scenarios[r.Scenario]
	if s == nil {
		s = &scenarioTally{name: r.Scenario, byKey: map[string]*rowTally{}, axes: map[string][]string{}}
		scenarios[r.Scenario] = s
	}
	s.add(r)
	if o := outcomeOf(r); o != nil && o.Obtains != "" && r.Axes["library"] != string(matrix.Raw) {
		s.attacks.add(r, o)
	}
	var key strings.Builder
	for _, a := range rowAxes {
		value := r.Axes[a]
		key.WriteString(value + "\x00")
		if !slices.Contains(s.axes[a], value) {
			s.axes[a] = append(s.axes[a], value)
		}
	}
	row := s.byKey[key.String()]
	if row == nil {
		row = &rowTally{axes: r.Axes, blocks: map[column]*block{}}
		s.byKey[key.String()], s.rows = row, append(s.rows, row)
	}
	row.add(r)
	server, _ := strconv.Atoi(r.Axes["server"])
	at := column{server, matrix.Library(r.Axes["library"])}
	columns[at] = true
	if row.blocks[at] == nil {
		row.blocks[at] = &block{}
	}
	row.blocks[at].add(r)
}

// addFailure files a failing cell with those of its scenario that differ in the same fields and values.
func (t *tally) addFailure(r *Record, failures map[string]*failure) {
	v := r.Verdict
	var way strings.Builder
	fmt.Fprintf(&way, "%s\x00%s\x00%d\x00%s", r.Scenario, v.Status, v.Severity, v.Cause)
	for _, d := range v.Differences {
		fmt.Fprintf(&way, "\x00%s\x00%s\x00%s\x00%s", d.Against, d.Field, d.Want, d.Observed)
	}
	f := failures[way.String()]
	if f == nil {
		f = &failure{severity: v.Severity, record: r, order: len(failures)}
		failures[way.String()] = f
		if len(failures)%failuresKept == 0 {
			dropMild(failures)
		}
	} else if len(f.others) < listedOthers {
		f.others = append(f.others, r.ID)
	}
	f.count++
}

// dropMild lets go of the records that are not among the worst. Ranks never improve, so that none is missed later.
func dropMild(failures map[string]*failure) {
	var all []*failure
	for _, f := range failures {
		all = append(all, f)
	}
	slices.SortFunc(all, compareFailures)
	for _, f := range all[min(len(all), failuresKept):] {
		f.record = nil
	}
}

func compareFailures(a, b *failure) int {
	return cmp.Or(int(a.severity)-int(b.severity), a.order-b.order)
}

func (t *tally) close(trailer *Trailer) error {
	t.Trailer = trailer
	t.Stale = slices.Clone(t.header.Stale)
	if trailer == nil {
		return nil
	}
	t.Stale = append(t.Stale, trailer.Stale...)
	if trailer.Interrupted != "" {
		t.Incomplete = trailer.Interrupted
	}
	for _, s := range verdict.Statuses {
		if t.Counts[s] != trailer.Counts[s] {
			return fmt.Errorf("%d records say %s, the run's end says %d", t.Counts[s], s, trailer.Counts[s])
		}
	}
	return trailer.check(t.header.Cells)
}

// rowAxes are the world axes but the server: what tells the rows of a scenario apart.
var rowAxes = func() []string {
	var names []string
	for _, a := range matrix.Axes {
		if a.Kind == matrix.WorldAxis && a.Name != "server" {
			names = append(names, a.Name)
		}
	}
	return names
}()

// label names a row by the axes on which the scenario's rows differ.
func (s *scenarioTally) label(r *rowTally) string {
	var parts []string
	for _, a := range rowAxes {
		if len(s.axes[a]) > 1 {
			parts = append(parts, a+"="+r.axes[a])
		}
	}
	return strings.Join(parts, " ")
}

func compareRows(a, b *rowTally) int {
	for _, name := range rowAxes {
		if a.axes[name] != b.axes[name] {
			axis, _ := matrix.AxisByName(name)
			if axis.Values != nil {
				return slices.Index(axis.Words(), a.axes[name]) - slices.Index(axis.Words(), b.axes[name])
			}
			return strings.Compare(a.axes[name], b.axes[name])
		}
	}
	return 0
}

// libraryRank is the place of a client in the table of clients.
func libraryRank(l matrix.Library) int {
	if i := slices.IndexFunc(matrix.Clients, func(c matrix.ClientInfo) bool { return c.Name == l }); i >= 0 {
		return i
	}
	return len(matrix.Clients)
}
