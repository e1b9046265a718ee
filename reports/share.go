package reports

import "fmt"

// share is cells that are told together, and what they share: a conjunction explains them, or else they are those of one scenario that
// have the same values.
type share struct {
	Where     Conjunction `json:"where,omitempty"` // if Explained: (nearly) all cells that match are of this kind
	Explained bool        `json:"explained"`
	Failing   int         `json:"alike,omitempty"`    // if Explained: of the cells that match, those of this kind, whether they are told here or with others
	Matching  int         `json:"matching,omitempty"` // if Explained: the applicable cells that match
	Ways      int         `json:"ways"`               // different values among the cells; the example has the most frequent

	rows    []int // in order
	example int   // one of rows
}

// member is a cell that is to be told. exact is its way with all its values, as a number.
type member struct {
	row, exact int
	scenario   string // empty where it does not matter
}

// shares sorts the members, which are in the order of their rows, into shares; class is that of explain. Every member is in one.
func shares(t *axisTable, class []int, ways int, members []member) (all []share) {
	byRow := make(map[int]member, len(members))
	for _, m := range members {
		byRow[m.row] = m
	}
	add := func(s share, rows []int) {
		frequency := map[int]int{}
		for _, row := range rows {
			frequency[byRow[row].exact]++
		}
		s.rows, s.Ways, s.example = rows, len(frequency), rows[0]
		for _, row := range rows {
			if frequency[byRow[row].exact] > frequency[byRow[s.example].exact] {
				s.example = row
			}
		}
		all = append(all, s)
	}
	found, rest := explain(t, class, ways)
	for _, e := range found {
		add(share{Where: e.where, Explained: true, Failing: e.failing, Matching: e.matching}, e.rows)
	}
	type key struct {
		exact    int
		scenario string
	}
	alike := map[key][]int{}
	var order []key
	for _, row := range rest {
		k := key{byRow[row].exact, byRow[row].scenario}
		if alike[k] == nil {
			order = append(order, k)
		}
		alike[k] = append(alike[k], row)
	}
	for _, k := range order {
		add(share{}, alike[k])
	}
	return all
}

// extentOf says how many cells are told together, and of how many; did is what they did, alike is what the others did.
func (s *share) extentOf(did, alike string) string {
	text := fmt.Sprintf("%s; no short conjunction of axis values has these cells and none that %s", thousands(len(s.rows)), alike)
	if s.Explained {
		text = fmt.Sprintf("%s of %s %s in this way", thousands(s.Failing), count(s.Matching, "cell that matches", "cells that match"), did)
		if told := s.Failing - len(s.rows); told > 0 {
			text += fmt.Sprintf("; %s are in other groups", thousands(told))
		}
	}
	if s.Ways > 1 {
		text += fmt.Sprintf("; with %d different values, of which the example has the most frequent", s.Ways)
	}
	return text
}
