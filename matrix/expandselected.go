package matrix

import (
	"slices"
	"strings"
)

// ExpandSelected expands only the scenarios that the patterns and the family of a selection can name. A selection that names none of
// them expands all, so that Select can say what there is.
func ExpandSelected(scenarios []*Scenario, s Selection) ([]Cell, error) {
	may := func(sc *Scenario) bool {
		if s.Family != "" && !strings.HasPrefix(sc.Name, s.Family+"/") {
			return false
		}
		return len(s.Patterns) == 0 || slices.ContainsFunc(s.Patterns, func(p string) bool {
			e := strings.SplitN(strings.TrimSuffix(p, "/"), "/", 3)
			return slices.Contains(e[:min(2, len(e))], "**") || MatchID(strings.Join(e[:min(2, len(e))], "/"), sc.Name)
		})
	}
	expand := func(take func(*Scenario) bool) (cells []Cell) {
		for _, sc := range scenarios {
			if take(sc) {
				cells = append(cells, sc.Expand()...)
			}
		}
		return cells
	}
	for _, p := range s.Patterns {
		if !slices.ContainsFunc(scenarios, func(sc *Scenario) bool {
			return may(sc) && Selection{Patterns: []string{p}}.names(sc)
		}) {
			return expand(func(*Scenario) bool { return true }), nil
		}
	}
	cells := expand(may)
	if len(cells) == 0 {
		cells = expand(func(*Scenario) bool { return true })
	}
	return cells, nil
}

func (s Selection) names(sc *Scenario) bool {
	e := strings.SplitN(strings.TrimSuffix(s.Patterns[0], "/"), "/", 3)
	e = e[:min(2, len(e))]
	return slices.Contains(e, "**") || MatchID(strings.Join(e, "/"), sc.Name)
}
