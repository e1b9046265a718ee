package reports

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Group is failing cells that are told together: a conjunction explains them, or else they are the cells of one scenario (of any
// scenario, where they are Broken) that fail with the same values. Every failing cell is in one group.
type Group struct {
	share
	Count   int // cells of the group
	Verdict verdict.Verdict
	First   string   // ID of the example
	Record  *Record  // of the example; nil where too many other groups are worse
	Others  []string // IDs of some of the others
}

// Case is one cell in short.
type Case struct {
	Name      string // its ID without the scenario
	Status    verdict.Status
	Cause     string // why a cell that was skipped was skipped
	Predicted string // the outcome
	Observed  string // the outcome; of a fault, nothing
	Micros    int64
	Group     *Group  // nil unless the cell fails
	Record    *Record // of a failing cell; nil after the first casesKept of them

	row int // in the table of axes
}

// These bound the records that a View holds. A record with its evidence is about 10 KiB.
const (
	groupsKept = 500  // examples: those of the worst groups
	casesKept  = 2000 // failing cells: the first of them
	othersKept = 3    // IDs beside each example
)

// failing is a cell that fails, until it has its group.
type failing struct {
	row, exact int // exact: index in builder.exact
	scenario   string
	place      int // in the scenario's Cases
}

func (b *builder) oneCase(r *Record, row int) Case {
	c := Case{Name: strings.TrimPrefix(r.ID, r.Scenario+"/"), Status: r.Verdict.Status, Predicted: b.outcome(&r.Predicted), Observed: b.outcome(outcomeOf(r)), Micros: r.Micros, row: row}
	if !r.Verdict.Status.Fails() {
		c.Cause = b.text(r.Verdict.Cause)
	}
	return c
}

func (b *builder) outcome(o *matrix.Outcome) string {
	if o == nil || o.End == "" {
		return ""
	}
	return b.text(o.String())
}

// text returns an equal text that is held once, however many cells have it.
func (b *builder) text(s string) string {
	if held, ok := b.texts[s]; ok {
		return held
	}
	b.texts[s] = s
	return s
}

// classify says in which way a cell fails, for explain.
func (b *builder) classify(r *Record, place int) {
	switch {
	case r.Verdict.Status == verdict.NotApplicable:
		b.class = append(b.class, leftOut)
		return
	case !r.Verdict.Status.Fails():
		b.class = append(b.class, agreeing)
		return
	}
	v := r.Verdict
	way := fmt.Sprintf("%s\x00%d\x00%s", v.Status, v.Severity, numbers.ReplaceAllString(v.Cause, "0"))
	exact := ""
	for _, d := range v.Differences {
		way += fmt.Sprintf("\x00%s\x00%s", d.Against, d.Field)
		exact += fmt.Sprintf("\x00%s\x00%s", d.Want, d.Observed)
	}
	w := number(b.ways, way)
	e := number(b.exactWays, way+exact)
	if e == len(b.exact) {
		b.exact = append(b.exact, v)
	}
	b.class = append(b.class, w)
	b.failing = append(b.failing, failing{row: len(b.class) - 1, exact: e, scenario: r.Scenario, place: place})
}

// numbers are ports, process ids and times: they differ where the cause is the same.
var numbers = regexp.MustCompile(`[0-9]+`)

// number gives texts numbers, in the order in which they are first seen.
func number(known map[string]int, text string) int {
	n, ok := known[text]
	if !ok {
		n = len(known)
		known[text] = n
	}
	return n
}

// group makes the groups of the failing cells.
func (b *builder) group() {
	members := make([]member, len(b.failing))
	byRow := make(map[int]failing, len(b.failing))
	for i, f := range b.failing {
		byRow[f.row] = f
		members[i] = member{row: f.row, exact: f.exact, scenario: f.scenario}
		if b.exact[f.exact].Status == verdict.Broken { // a harness that fails does so whatever a scenario asks
			members[i].scenario = ""
		}
	}
	for _, s := range shares(b.axes, b.class, len(b.ways), members) {
		example := byRow[s.example]
		g := &Group{share: s, Count: len(s.rows), Verdict: b.exact[example.exact], First: b.id(example)}
		for _, row := range s.rows {
			f := byRow[row]
			b.scenarios[f.scenario].Cases[f.place].Group = g
			if row != s.example && len(g.Others) < othersKept {
				g.Others = append(g.Others, b.id(f))
			}
		}
		b.view.Failures = append(b.view.Failures, g)
	}
	slices.SortFunc(b.view.Failures, compareGroups)
}

func (b *builder) id(f failing) string {
	return f.scenario + "/" + b.scenarios[f.scenario].Cases[f.place].Name
}

// fetch reads the records of the examples and of the first failing cells: which these are is known when the file has been read.
func (b *builder) fetch(run *Run) error {
	examples, cases := map[string]*Group{}, map[string]*Case{}
	for _, g := range b.view.Failures[:min(len(b.view.Failures), groupsKept)] {
		examples[g.First] = g
	}
	for _, f := range b.failing[:min(len(b.failing), casesKept)] {
		cases[b.id(f)] = &b.scenarios[f.scenario].Cases[f.place]
	}
	if len(examples) == 0 {
		return nil
	}
	wanted := func(id string) bool { return examples[id] != nil || cases[id] != nil }
	left := len(examples)
	for id := range cases {
		if examples[id] == nil {
			left++
		}
	}
	_, err := run.scan(decodeOf(wanted), func(r *Record) bool {
		if r.Observation != nil {
			r.Observation.Evidence.KRB5Trace = "" // long, and only explain shows it
		}
		if !wanted(r.ID) {
			return true
		}
		if g := examples[r.ID]; g != nil {
			g.Record = r
		}
		if c := cases[r.ID]; c != nil {
			c.Record = r
		}
		left--
		return left > 0
	})
	return err
}

func compareGroups(a, b *Group) int {
	return cmp.Or(int(a.Verdict.Severity)-int(b.Verdict.Severity), b.Count-a.Count, a.rows[0]-b.rows[0])
}

// Message says in one line why the cells fail.
func (g *Group) Message() string {
	if g.Verdict.Cause != "" {
		return g.Verdict.Cause
	}
	return "differs in " + strings.Join(differingFields(g.Verdict.Differences), ", ")
}

// extent says how many cells the group has, and of how many.
func (g *Group) extent() string { return g.extentOf("fail", "agree") }

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
