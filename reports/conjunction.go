package reports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Pair is an axis and one or several values of it: a cell matches if it has one of them.
type Pair struct {
	Axis   string   `json:"axis"`
	Values []string `json:"values"`
}

func (p Pair) String() string { return p.Axis + "=" + strings.Join(p.Values, ",") }

// Conjunction is pairs that a cell has to match, each. The empty one is matched by every cell.
type Conjunction []Pair

func (c Conjunction) String() string {
	if len(c) == 0 {
		return "every cell"
	}
	words := make([]string, len(c))
	for i, p := range c {
		words[i] = p.String()
	}
	return strings.Join(words, " ∧ ")
}

// Matches says whether a cell with these axes is one of those that the conjunction names.
func (c Conjunction) Matches(scenario string, axes map[string]string) bool {
	return !slices.ContainsFunc(c, func(p Pair) bool { return !slices.Contains(p.Values, axisValue(p.Axis, scenario, axes)) })
}

// The axes that every cell has in addition to those of its world and client.
const (
	scenarioAxis = "scenario"
	familyAxis   = "family"
)

// predictedEndAxis is what was predicted, in the search for what failing cells have in common alone. The page's queries have the same name.
const predictedEndAxis = "predicted.end"

func axisValue(axis, scenario string, axes map[string]string) string {
	switch axis {
	case scenarioAxis:
		return scenario
	case familyAxis:
		family, _, _ := strings.Cut(scenario, "/")
		return family
	}
	return axes[axis]
}

// axisTable has the values of cells, column by column.
type axisTable struct {
	cells   int
	columns map[string]*axisColumn
}

type axisColumn struct {
	axis   string
	values []string // by code; the first is no value
	codes  map[string]uint32
	cells  []uint32 // the code of each cell; shorter than the table if the last cells have no value
}

func newAxisTable() *axisTable { return &axisTable{columns: map[string]*axisColumn{}} }

// add appends a cell and returns its row.
func (t *axisTable) add(scenario string, axes map[string]string) int {
	row := t.cells
	t.cells++
	for _, axis := range []string{scenarioAxis, familyAxis} {
		t.set(row, axis, axisValue(axis, scenario, axes))
	}
	for axis, value := range axes {
		t.set(row, axis, value)
	}
	return row
}

func (t *axisTable) set(row int, axis, value string) {
	c := t.columns[axis]
	if c == nil {
		c = &axisColumn{axis: axis, values: []string{""}, codes: map[string]uint32{"": 0}}
		t.columns[axis] = c
	}
	code, known := c.codes[value]
	if !known {
		code = uint32(len(c.values))
		c.codes[value], c.values = code, append(c.values, value)
	}
	for len(c.cells) < row {
		c.cells = append(c.cells, 0)
	}
	c.cells = append(c.cells, code)
}

func (c *axisColumn) code(row int) uint32 {
	if row >= len(c.cells) {
		return 0
	}
	return c.cells[row]
}

// value is that of a row; empty where the cell has none.
func (t *axisTable) value(row int, axis string) string {
	if c := t.columns[axis]; c != nil {
		return c.values[c.code(row)]
	}
	return ""
}

// axes are the names of the columns: the scenario, the client and the server, which people look at first, then the others in the
// order of matrix.Axes, then the scenarios' own, then what was predicted.
func (t *axisTable) axes() []string {
	names := make([]string, 0, len(t.columns))
	for name := range t.columns {
		names = append(names, name)
	}
	place := func(name string) int {
		if i := slices.Index([]string{scenarioAxis, familyAxis, "library", "server"}, name); i >= 0 {
			return i
		}
		if i := slices.IndexFunc(matrix.Axes, func(a matrix.Axis) bool { return a.Name == name }); i >= 0 {
			return 4 + i
		}
		if name == predictedEndAxis {
			return 5 + len(matrix.Axes)
		}
		return 4 + len(matrix.Axes)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(place(a)-place(b), strings.Compare(a, b)) })
	return names
}

// compareValues orders the values of an axis: those of a closed list as the list has them, others by their text.
func compareValues(axis, x, y string) int {
	if x == y {
		return 0
	}
	if a, _ := matrix.AxisByName(axis); a.Values != nil {
		words := a.Words()
		return cmp.Or(slices.Index(words, x)-slices.Index(words, y), strings.Compare(x, y))
	}
	return strings.Compare(x, y)
}
