package matrix

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Selection says which cells to take. The zero Selection takes all.
type Selection struct {
	Patterns []string     `json:"patterns,omitempty"` // cells whose ID one of these matches (see MatchID); none: every cell
	Family   string       `json:"family,omitempty"`   // cells of this family only
	Axes     []AxisValues `json:"axes,omitempty"`     // cells that have one of the values on each of these axes; NotGiven is ""; a group stands for its members
	Strength int          `json:"strength,omitempty"` // 0: every cell; 2: pairwise; 3: every combination of three axes' values; at most 4
	Seed     uint64       `json:"seed,omitempty"`     // chooses among equally good selections of that strength
	Shard    Shard        `json:"shard,omitzero"`     // a part of what all the above takes
	Cost     *Cost        `json:"-"`                  // by which parts are made; nil: EstimatedCost
}

// Coverage says what a selection covers, before sharding. Combinations are counted for each scenario, over the axes on which its
// cells differ.
type Coverage struct {
	Cells      int // cells that Patterns, Family and Axes take
	Selected   int // those of them that were chosen
	Strength   int
	Seed       uint64
	Demanded   int // combinations of values of Strength axes that at least one applicable cell has
	Covered    int // those of them that a chosen cell has
	Impossible int // combinations that only cells that are not applicable have
}

// ExpandSelected expands the scenarios that the selection's patterns can name, or without patterns those of its family. Select on the
// result gives what Select on the cells of all scenarios gives, its errors too.
func ExpandSelected(scenarios []*Scenario, s Selection) ([]Cell, error) {
	names, own := make([]string, len(scenarios)), []string(nil)
	for i, scenario := range scenarios {
		names[i] = scenario.Name
		own = append(own, scenario.varyNames()...)
	}
	if err := s.validate(names, own); err != nil {
		return nil, err
	}
	for _, pattern := range s.Patterns {
		if !slices.ContainsFunc(names, func(name string) bool { return matchesBelow(pattern, name) }) {
			return nil, fmt.Errorf("no cell is named %s; %s", pattern, whereItFails(pattern, names))
		}
	}
	var cells []Cell
	together := false
	for _, scenario := range scenarios {
		inFamily := s.Family == "" || familyOf(scenario.Name) == s.Family
		named := slices.ContainsFunc(s.Patterns, func(p string) bool { return matchesBelow(p, scenario.Name) })
		if named || len(s.Patterns) == 0 && inFamily {
			cells = append(cells, scenario.Expand()...)
			together = together || inFamily
		}
	}
	if together {
		return cells, nil
	}
	return nil, cmp.Or(s.validatePatterns(cells), errNothingTogether)
}

// Select takes cells out of a list, in its order; where it takes all, the result is the list itself. A pattern, family or axis value that takes nothing is an error that
// says what there is; axis values are looked for among the cells that patterns and family take.
//
// With a Strength it chooses among each scenario's applicable cells, greedily, until the chosen cells have every combination of
// values that one of the applicable cells has. Equal cells and seeds give equal choices, whatever other scenarios there are. Scenarios
// about attacks are taken whole: their purpose is a table of every setting.
func Select(cells []Cell, s Selection) ([]Cell, Coverage, error) {
	coverage := Coverage{Strength: s.Strength, Seed: s.Seed}
	taken, err := s.take(cells)
	if err != nil {
		return nil, coverage, err
	}
	coverage.Cells = len(taken)
	if s.Strength > 0 {
		if taken = coverage.choose(taken); len(taken) == 0 {
			return nil, coverage, fmt.Errorf("no client can express any of the %d cells that the selection takes; select without a strength to see them with their reasons", coverage.Cells)
		}
	}
	coverage.Selected = len(taken)
	cost := EstimatedCost
	if s.Cost != nil {
		cost = *s.Cost
	}
	if taken, err = s.Shard.of(taken, cost); err != nil {
		return nil, coverage, err
	}
	if len(taken) == len(cells) {
		return cells, coverage, nil // a full run has no memory for two copies
	}
	selected := make([]Cell, len(taken))
	for i, c := range taken {
		selected[i] = *c
	}
	return selected, coverage, nil
}

var errNothingTogether = errors.New("each part of the selection takes some cells, but no cell is taken by all parts; loosen one part")

// take takes the cells that patterns, family and axes name.
func (s Selection) take(cells []Cell) ([]*Cell, error) {
	if err := s.validate(idsOf(cells), ownNamesOf(cells)); err != nil {
		return nil, err
	}
	if err := s.validatePatterns(cells); err != nil {
		return nil, err
	}
	var taken []*Cell
	for i := range cells {
		c := &cells[i]
		if (s.Family == "" || familyOf(c.ID) == s.Family) &&
			(len(s.Patterns) == 0 || slices.ContainsFunc(s.Patterns, func(p string) bool { return MatchID(p, c.ID) })) {
			taken = append(taken, c)
		}
	}
	if len(taken) > 0 {
		if err := s.validateAxes(taken); err != nil {
			return nil, err
		}
		axes := make([]AxisValues, len(s.Axes))
		for i, a := range s.Axes {
			axes[i].Axis = a.Axis
			for _, value := range a.Values {
				axes[i].Values = append(axes[i].Values, axisOrOwn(a.Axis).members(value)...)
			}
		}
		taken = slices.DeleteFunc(taken, func(c *Cell) bool { return !c.hasAll(axes) || !matchesAll(axes, c) })
	}
	if len(taken) == 0 {
		return nil, errNothingTogether
	}
	return taken, nil
}

// familyOf is the first element of the name of a scenario, or of the ID of a cell.
func familyOf(name string) string {
	family, _, _ := strings.Cut(name, "/")
	return family
}

// axisOrOwn is an axis of Axes, or an own axis.
func axisOrOwn(name string) Axis {
	if axis, ok := AxisByName(name); ok {
		return axis
	}
	return ownAxis(name)
}

// hasAll says whether the cell's scenario has all of the axes: of own axes it may have none.
func (c *Cell) hasAll(axes []AxisValues) bool {
	return !slices.ContainsFunc(axes, func(a AxisValues) bool {
		_, own := c.World.own(a.Axis)
		return !own && axesByName[a.Axis] == nil
	})
}

// ownNamesOf are the own axes of the cells' scenarios.
func ownNamesOf(cells []Cell) (names []string) {
	var world *World
	for i := range cells {
		if cells[i].World == world {
			continue
		}
		world = cells[i].World
		for _, v := range world.Vary {
			if !slices.Contains(names, v.Axis) {
				names = append(names, v.Axis)
			}
		}
	}
	return names
}

// validate says what is wrong with the selection apart from what needs cells. names are IDs of cells, or names of scenarios; own are the
// own axes of their scenarios.
func (s Selection) validate(names, own []string) error {
	switch {
	case len(names) == 0:
		return errors.New("there are no cells to select from; load scenarios first")
	case s.Strength < 0, s.Strength == 1, s.Strength > 4:
		return fmt.Errorf("strength %d; want 0 (every cell), 2 (pairwise), 3 or 4", s.Strength)
	case s.Shard != (Shard{}) && (s.Shard.Index < 1 || s.Shard.Index > s.Shard.Count):
		return fmt.Errorf("shard %d/%d; want INDEX/COUNT with an index from 1 to the count", s.Shard.Index, s.Shard.Count)
	}
	if s.Family != "" {
		families := distinct(names, familyOf)
		if !slices.Contains(families, s.Family) {
			return fmt.Errorf("no family %q; %s", s.Family, suggest(s.Family, families))
		}
	}
	for _, pattern := range s.Patterns {
		if wrong, right := checkPattern(pattern); wrong != "" {
			return fmt.Errorf("pattern %s: %s; %s", pattern, wrong, right)
		}
	}
	for _, a := range s.Axes {
		if _, ok := AxisByName(a.Axis); !ok && !slices.Contains(own, a.Axis) {
			right := suggest(a.Axis, append(axisNames(""), own...))
			if these := s.ofThese(); these != "" { // another scenario may have an axis of its own of that name
				return fmt.Errorf("no cell%s has an axis %s; %s", these, a.Axis, right)
			}
			return fmt.Errorf("no axis %q; %s", a.Axis, right)
		}
	}
	return nil
}

// validatePatterns finds a pattern that names no cell.
func (s Selection) validatePatterns(cells []Cell) error {
	for _, pattern := range s.Patterns {
		if !slices.ContainsFunc(cells, func(c Cell) bool { return MatchID(pattern, c.ID) }) {
			return fmt.Errorf("no cell is named %s; %s", pattern, whereItFails(pattern, idsOf(cells)))
		}
	}
	return nil
}

// validateAxes finds a value that none of the cells has.
func (s Selection) validateAxes(cells []*Cell) error {
	for _, a := range s.Axes {
		axis := axisOrOwn(a.Axis)
		with := slices.DeleteFunc(slices.Clone(cells), func(c *Cell) bool { return !c.hasAll([]AxisValues{a}) })
		has := distinct(with, func(c *Cell) string { return c.Value(a.Axis) })
		for _, value := range a.Values {
			if !slices.ContainsFunc(axis.members(value), func(m string) bool { return slices.Contains(has, m) }) {
				words := make([]string, len(has))
				for i, h := range has {
					words[i] = axis.Text(h)
				}
				return fmt.Errorf("no cell%s has %s=%s; %s", s.ofThese(), axis.Name, axis.Text(value), suggest(axis.Text(value), words))
			}
		}
	}
	return nil
}

// ofThese says among which cells the selection's axes choose.
func (s Selection) ofThese() string {
	var parts []string
	if s.Family != "" {
		parts = append(parts, "in "+s.Family)
	}
	if len(s.Patterns) > 0 {
		parts = append(parts, "named "+orList(s.Patterns))
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, " and ")
}

func idsOf(cells []Cell) []string {
	ids := make([]string, len(cells))
	for i := range cells {
		ids[i] = cells[i].ID
	}
	return ids
}

// distinct are the different values of the items, sorted.
func distinct[T any](items []T, value func(T) string) []string {
	seen := map[string]bool{}
	var values []string
	for _, item := range items {
		if v := value(item); !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// whereItFails says which element of a pattern is the first that no ID has, and what there is in its place. ids are IDs of cells, or
// names of scenarios if none of them can be the beginning of an ID that the pattern names.
func whereItFails(pattern string, ids []string) string {
	elements := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
	for n := range elements {
		start := strings.Join(elements[:n+1], "/")
		if slices.ContainsFunc(ids, func(id string) bool { return MatchID(start, id) }) {
			continue
		}
		if slices.Contains(elements[:n], "**") {
			return fmt.Sprintf("after ** no element is %s", elements[n])
		}
		return insteadOf(elements[n], elementsAfter(strings.Join(elements[:n], "/"), n, ids))
	}
	return "its parts match, but not all of them in one ID"
}

// elementsAfter are the different elements number n of the IDs whose first n elements the pattern names, in the order of the IDs.
func elementsAfter(pattern string, n int, ids []string) (elements []string) {
	there := map[string]bool{}
	for _, id := range ids {
		parts := strings.Split(id, "/")
		if n < len(parts) && (n == 0 || MatchID(pattern, id)) && !there[parts[n]] {
			there[parts[n]] = true
			elements = append(elements, parts[n])
		}
	}
	return elements
}

// insteadOf says what there is in the place of an element that no ID has.
func insteadOf(element string, candidates []string) string {
	if len(candidates) == 0 {
		return fmt.Sprintf("IDs end before the element %s", element)
	}
	if near := nearest(element, candidates); near != "" {
		return fmt.Sprintf("instead of the element %s did you mean %q?", element, near)
	}
	more := ""
	if len(candidates) > 12 {
		candidates, more = candidates[:12], fmt.Sprintf(" and %d more", len(candidates)-12)
	}
	return fmt.Sprintf("instead of the element %s there are %s%s", element, strings.Join(candidates, ", "), more)
}

// ParseAxisValues reads AXIS=VALUE[,VALUE…] of a command line.
func ParseAxisValues(text string) (AxisValues, error) {
	name, values, ok := strings.Cut(text, "=")
	axis := axisOrOwn(name) // Select knows which own axes there are
	switch {
	case !ok:
		return AxisValues{}, fmt.Errorf("%q is no choice of an axis; want AXIS=VALUE[,VALUE], as in gssencmode=prefer,require", text)
	case axesByName[name] == nil && !ownName.MatchString(name):
		return AxisValues{}, fmt.Errorf("no axis %q; %s", name, suggest(name, axisNames("")))
	}
	chosen := AxisValues{Axis: name}
	for _, value := range strings.Split(values, ",") {
		// Select checks whether there is a cell with the value: names of texts, and of what a scenario describes, are its own.
		if wrong, right := axis.check(value); wrong != "" && !(slices.Contains(describedAxes, name) && kebabCase.MatchString(value)) {
			return AxisValues{}, fmt.Errorf("%s; %s", wrong, right)
		}
		chosen.Values = append(chosen.Values, axis.value(value))
	}
	return chosen, nil
}
