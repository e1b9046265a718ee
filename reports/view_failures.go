package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Failure is one way to fail: the cells of a scenario that differ in the same fields and values, or the cells of any
// scenario that are broken by the same cause.
type Failure struct {
	Verdict verdict.Verdict
	First   string   // ID of the first of the cells
	Record  *Record  // of that cell; nil where too many other ways are worse
	Count   int      // cells
	Others  []string // IDs of some of the others

	order int
}

// Case is one cell in short.
type Case struct {
	Name    string // its ID without the scenario
	Status  verdict.Status
	Cause   string // why a cell that was skipped was skipped
	Micros  int64
	Failure *Failure // nil unless the cell fails
	Record  *Record  // of a failing cell; nil after the first casesKept of them
}

// These bound the records that a View holds. A record with its evidence is about 10 KiB.
const (
	failuresKept = 500  // ways to fail: the worst of them
	casesKept    = 2000 // failing cells: the first of them
	othersKept   = 3    // IDs beside each way to fail
)

func (b *builder) oneCase(r *Record) Case {
	c := Case{Name: strings.TrimPrefix(r.ID, r.Scenario+"/"), Status: r.Verdict.Status, Micros: r.Micros}
	if !r.Verdict.Status.Fails() {
		c.Cause = b.text(r.Verdict.Cause)
		return c
	}
	if r.Observation != nil {
		r.Observation.Evidence.KRB5Trace = "" // long, and only explain shows it
	}
	c.Failure = b.addFailure(r)
	if b.kept < casesKept {
		c.Record = r
		b.kept++
	}
	return c
}

// text returns an equal text that is held once, however many cells have it.
func (b *builder) text(s string) string {
	if held, ok := b.texts[s]; ok {
		return held
	}
	b.texts[s] = s
	return s
}

// addFailure counts a failing cell with those that fail in the same way.
func (b *builder) addFailure(r *Record) *Failure {
	v := r.Verdict
	scenario := r.Scenario
	if v.Status == verdict.Broken {
		scenario = "" // a harness that fails does so whatever a scenario asks
	}
	var way strings.Builder
	fmt.Fprintf(&way, "%s\x00%s\x00%d\x00%s", scenario, v.Status, v.Severity, v.Cause)
	for _, d := range v.Differences {
		fmt.Fprintf(&way, "\x00%s\x00%s\x00%s\x00%s", d.Against, d.Field, d.Want, d.Observed)
	}
	f := b.ways[way.String()]
	if f == nil {
		f = &Failure{Verdict: v, First: r.ID, Record: r, order: len(b.ways)}
		b.ways[way.String()] = f
		if len(b.ways)%failuresKept == 0 {
			b.dropMild()
		}
	} else if len(f.Others) < othersKept {
		f.Others = append(f.Others, r.ID)
	}
	f.Count++
	return f
}

// dropMild drops the records of the ways to fail that are not among the worst. A way that is dropped would also be
// dropped later: its rank only falls while others are added.
func (b *builder) dropMild() {
	var all []*Failure
	for _, f := range b.ways {
		all = append(all, f)
	}
	slices.SortFunc(all, compareFailures)
	for _, f := range all[min(len(all), failuresKept):] {
		f.Record = nil
	}
}

func compareFailures(a, b *Failure) int {
	return cmp.Or(int(a.Verdict.Severity)-int(b.Verdict.Severity), a.order-b.order)
}

// Message says in one line why the cells fail.
func (f *Failure) Message() string {
	if f.Verdict.Cause != "" {
		return f.Verdict.Cause
	}
	return "differs in " + strings.Join(differingFields(f.Verdict.Differences), ", ")
}

// differingFields names each field once; the outcomes show the values.
func differingFields(differences []verdict.Difference) []string {
	var names []string
	for _, d := range differences {
		name := string(d.Field)
		if d.Observed == verdict.Unknown {
			name += " " + verdict.Unknown
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
