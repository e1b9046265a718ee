package matrix

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkCells finds what is wrong with the scenario as a whole: rows that claim no cell, rows that claim the same one,
// and expectations that no cell can meet.
func (l *loading) checkCells() {
	s := &l.Scenario
	if s.size(maxCells) > maxCells {
		l.problem(l.worldAt, fmt.Sprintf("the scenario has more than %d cells", maxCells), "ask one question: name fewer values, or split it")
		return
	}
	type claim struct {
		cells, applicable int
		not               string         // why a cell of it is not applicable
		texts             map[string]int // hba texts of its applicable cells, by name
	}
	claims := make([]claim, len(s.Expect))
	for i := range claims {
		claims[i].texts = map[string]int{}
	}
	type pair struct{ first, second int }
	both := map[pair]string{} // rows that claim the same cell, and the first such cell
	var pairs []pair
	noTicketFor := map[string]bool{}
	cells, applicable, not := 0, 0, ""
	s.walk(func(p *point) {
		cell := Cell{World: &p.world, Client: p.client}
		why := NotApplicable(&cell)
		cells++
		if why == "" {
			applicable++
		} else {
			not = why
		}
		if l.principals != nil && p.client.Ticket != "none" && !slices.Contains(s.Realms[0].Principals, p.client.Principal) {
			noTicketFor[p.client.Principal] = true
		}
		for i, row := range p.rows {
			claims[row].cells++
			if why == "" {
				claims[row].applicable++
				claims[row].texts[p.world.HBAName]++
			} else {
				claims[row].not = why
			}
			for _, other := range p.rows[:i] {
				if _, known := both[pair{other, row}]; !known {
					both[pair{other, row}] = p.describe()
					pairs = append(pairs, pair{other, row})
				}
			}
		}
	})
	switch {
	case cells == 0:
		l.problem(l.worldAt, "the exclude rows leave no cell", "exclude less")
	case applicable == 0:
		l.problem(l.worldAt, "no client can express any cell: "+not, "name a library that can")
	}
	for i, c := range claims {
		switch {
		case c.cells == 0:
			l.problem(l.expectAt[i], "the expect row matches no cell: exclude has dropped them", "leave it out")
		case c.applicable == 0:
			l.problem(l.expectAt[i], "the expect row matches only cells that no client can express: "+c.not, "leave it out, or name a library that can")
		default:
			for _, text := range s.HBA {
				if c.texts[text.Name] > 0 {
					l.checkRule(i, text)
				}
			}
		}
	}
	for _, p := range pairs {
		l.problem(l.expectAt[p.second], fmt.Sprintf("this row and the one in line %d both claim %s", l.expectAt[p.first].line, both[p]),
			"one of them is to name fewer values")
	}
	for _, name := range slices.Sorted(maps.Keys(noTicketFor)) {
		l.problem(l.principals.position, fmt.Sprintf("cells have a ticket of %s, which is not among the principals", name), "add it")
	}
}

// describe names the point's cell by the values that tell it from the scenario's other cells.
func (p *point) describe() string {
	var values []string
	for i, d := range p.dimensions {
		if len(d.values) > 1 {
			values = append(values, d.Name+"="+d.Text(p.value(i)))
		}
	}
	if len(values) == 0 {
		return "the only cell"
	}
	return strings.Join(values, ",")
}

// checkRule reports an expectation of a line of an hba text that is not a record.
func (l *loading) checkRule(row int, text Text) {
	number, ok := strings.CutPrefix(l.Expect[row].Then.Outcome.Rule, HBAFile+":")
	if !ok {
		return
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	name := "the hba text"
	if text.Name != "" {
		name += " " + text.Name
	}
	lines := strings.Split(strings.TrimSuffix(text.Text, "\n"), "\n")
	if n > len(lines) {
		l.problem(l.thenAt[row], fmt.Sprintf("hba:%d is expected and %s ends with line %d", n, name, len(lines)), "name a line of it")
		return
	}
	if line := strings.TrimSpace(lines[n-1]); line == "" || strings.HasPrefix(line, "#") {
		l.problem(l.thenAt[row], fmt.Sprintf("hba:%d is expected and that line of %s is no record", n, name), "name a line with a record")
	}
}
