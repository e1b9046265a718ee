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
	Where     Conjunction // if Explained: (nearly) all cells that match fail in this way
	Explained bool
	Count     int // cells of the group
	Failing   int // if Explained: of the cells that match, those that fail in this way, in another group or in this one
	Matching  int // if Explained: the applicable cells that match
	Ways      int // different values of the fields that differ, among the cells; the example has the most frequent
	Verdict   verdict.Verdict
	First     string   // ID of the example
	Record    *Record  // of the example; nil where too many other groups are worse
	Others    []string // IDs of some of the others

	order int
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
	explained, rest := explain(b.axes, b.class, len(b.ways))
	byRow := make(map[int]failing, len(b.failing))
	for _, f := range b.failing {
		byRow[f.row] = f
	}
	for _, e := range explained {
		g := &Group{Where: e.where, Explained: true, Failing: e.failing, Matching: e.matching}
		b.fill(g, byRow, e.rows)
	}
	type key struct {
		exact    int
		scenario string
	}
	alike := map[key][]int{}
	var order []key
	for _, row := range rest {
		k := key{byRow[row].exact, byRow[row].scenario}
		if b.exact[k.exact].Status == verdict.Broken { // a harness that fails does so whatever a scenario asks
			k.scenario = ""
		}
		if alike[k] == nil {
			order = append(order, k)
		}
		alike[k] = append(alike[k], row)
	}
	for _, k := range order {
		b.fill(&Group{}, byRow, alike[k])
	}
	slices.SortFunc(b.view.Failures, compareGroups)
}

// fill gives a group its cells, and an example that fails as most of them do.
func (b *builder) fill(g *Group, byRow map[int]failing, rows []int) {
	g.Count, g.order = len(rows), rows[0]
	frequency := map[int]int{}
	for _, row := range rows {
		frequency[byRow[row].exact]++
	}
	example := byRow[rows[0]]
	for _, row := range rows {
		if f := byRow[row]; frequency[f.exact] > frequency[example.exact] {
			example = f
		}
	}
	g.Ways, g.Verdict, g.First = len(frequency), b.exact[example.exact], b.id(example)
	for _, row := range rows {
		f := byRow[row]
		b.scenarios[f.scenario].Cases[f.place].Group = g
		if row != example.row && len(g.Others) < othersKept {
			g.Others = append(g.Others, b.id(f))
		}
	}
	b.view.Failures = append(b.view.Failures, g)
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
	return cmp.Or(int(a.Verdict.Severity)-int(b.Verdict.Severity), b.Count-a.Count, a.order-b.order)
}

// Message says in one line why the cells fail.
func (g *Group) Message() string {
	if g.Verdict.Cause != "" {
		return g.Verdict.Cause
	}
	return "differs in " + strings.Join(differingFields(g.Verdict.Differences), ", ")
}

// extent says how many cells the group has, and of how many.
func (g *Group) extent() string {
	text := fmt.Sprintf("%s; no short conjunction of axis values has these cells and none that agree", thousands(g.Count))
	if g.Explained {
		text = fmt.Sprintf("%s of %s fail in this way", thousands(g.Failing), count(g.Matching, "cell that matches", "cells that match"))
		if told := g.Failing - g.Count; told > 0 {
			text += fmt.Sprintf("; %s are in other groups", thousands(told))
		}
	}
	if g.Ways > 1 {
		text += fmt.Sprintf("; with %d different values, of which the example has the most frequent", g.Ways)
	}
	return text
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
