package matrix

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkCells finds what is wrong with the scenario as a whole: no cell at all, rows that claim no cell, rows that claim the same
// cell, and rows that no client can meet.
func (l *loading) checkCells() {
	if l.size(maxCells) > maxCells {
		l.problem(l.worldAt, fmt.Sprintf("the scenario has more than %d cells", maxCells), "ask one question: name fewer values, or split it")
		return
	}
	principals := l.inWorld["principals"]
	found := l.survey(l.representatives(principals != nil || slices.ContainsFunc(l.valuesOf("principal"), hasRealm)))
	switch {
	case !found.all.claims:
		l.problem(l.worldAt, "the exclude rows leave no cell", "exclude less")
	case !found.all.applicable:
		l.problem(l.worldAt, "no client can express any cell: "+found.all.why, "name a library that can")
	}
	for i, row := range found.rows {
		switch {
		case !row.claims:
			l.problem(l.expectAt[i], "the expect row matches no cell: exclude has dropped them", "leave it out")
		case !row.applicable:
			l.problem(l.expectAt[i], "the expect row matches only cells that no client can express: "+row.why, "leave it out, or name a library that can")
		default:
			l.checkRuleFile(i)
			for _, text := range l.HBA {
				if row.texts[text.Name] {
					l.checkRule(i, text)
				}
			}
		}
	}
	if l.ByHand && found.unclaimed != "" {
		at := l.worldAt
		if len(l.expectAt) > 0 {
			at = l.expectAt[0]
		}
		l.problem(at, "no expect row claims "+found.unclaimed, "add a row, or exclude the cell: with judge: expect nothing else judges it")
	}
	for _, o := range found.overlaps {
		l.problem(l.expectAt[o.second], fmt.Sprintf("this row and the one in line %d both claim %s", l.expectAt[o.first].line, o.cell),
			"one of them is to name fewer values")
	}
	for _, name := range slices.Sorted(maps.Keys(found.tickets)) {
		l.checkTicket(name, principals)
	}
}

func hasRealm(principal string) bool { return strings.Contains(principal, "@") }

// checkTicket reports a ticket of a principal that no realm has. principals is where the scenario lists those of the server's realm, or nil.
func (l *loading) checkTicket(name string, principals *value) {
	principal, in, _ := strings.Cut(name, "@")
	at, where := l.worldAt, "describe it under world.realms"
	if in == "" {
		if principals == nil {
			return // they are the principals that the cells have
		}
		in, at, where = l.Realms[0].Name, principals.position, "add it"
	} else if described := l.inWorld["realms"]; described != nil {
		at = described.position
	}
	i := slices.IndexFunc(l.Realms, func(r Realm) bool { return r.Name == in })
	switch {
	case i < 0:
		l.problem(at, fmt.Sprintf("cells have a ticket of %s, and the world has no realm %s", name, in), where)
	case !slices.Contains(l.Realms[i].Principals, principal):
		l.problem(at, fmt.Sprintf("cells have a ticket of %s, which is not among the principals", name), "add it")
	}
}

// survey is what the check of a scenario has to know of its cells.
type survey struct {
	all       claim
	rows      []claim         // of the rows of expect
	overlaps  []overlap       // each pair of rows once
	tickets   map[string]bool // the principals whose tickets cells have
	unclaimed string          // the first cell that a client can express and no row claims
}

// claim describes a set of cells.
type claim struct {
	claims     bool            // there is a cell
	applicable bool            // there is one that a client can express
	why        string          // why the first one that is not applicable is not
	texts      map[string]bool // names of the hba texts of its applicable cells
}

// overlap is a pair of rows that claim the same cell.
type overlap struct {
	first, second int
	cell          string // the first such cell
}

// survey visits the cells that have values of these dimensions.
func (s *Scenario) survey(dimensions []dimension) survey {
	found := survey{rows: make([]claim, len(s.Expect)), tickets: map[string]bool{}}
	type pair struct{ first, second int }
	both := map[pair]bool{}
	s.walk(dimensions, func(p *point) {
		why := NotApplicable(&Cell{World: &p.world, Client: p.client})
		found.all.add(p, why)
		if why == "" && len(p.rows) == 0 && found.unclaimed == "" {
			found.unclaimed = p.describe()
		}
		if p.client.Ticket != "none" {
			found.tickets[p.client.Principal] = true
		}
		for i, row := range p.rows {
			found.rows[row].add(p, why)
			for _, other := range p.rows[:i] {
				if !both[pair{other, row}] {
					both[pair{other, row}] = true
					found.overlaps = append(found.overlaps, overlap{other, row, p.describe()})
				}
			}
		}
	})
	return found
}

// add takes one more cell into the set.
func (c *claim) add(p *point, notApplicable string) {
	c.claims = true
	if notApplicable != "" {
		if c.why == "" {
			c.why = notApplicable
		}
		return
	}
	c.applicable = true
	if !c.texts[p.world.HBAName] {
		if c.texts == nil {
			c.texts = map[string]bool{}
		}
		c.texts[p.world.HBAName] = true
	}
}

// representatives are the scenario's dimensions without the values that make no difference to its survey. Of the values of an axis
// that neither a row nor NotApplicable tells apart, the first stands for all, so that the first cell of a row is still the same. The survey
// of all scenarios of the repository then visits one cell of 40. Users, principals and tickets are kept only if survey.tickets is wanted.
func (s *Scenario) representatives(tickets bool) []dimension {
	whole := s.dimensions()
	exclude, expect := s.masks(whole)
	rows := slices.Concat(exclude, expect)
	limits := s.limitsAmong(whole)
	thinned := slices.Clone(whole)
	for i := range thinned {
		d := &thinned[i]
		if d.Name == "hba" || tickets && slices.Contains([]string{"user", "principal", "ticket"}, d.Name) {
			continue
		}
		seen := map[string]bool{}
		d.values = slices.DeleteFunc(slices.Clone(d.values), func(value string) bool {
			n := slices.Index(whole[i].values, value)
			difference := limits.tellApart(d.Name, value)
			for _, row := range rows {
				for _, a := range row {
					if a.axis == i {
						difference = strconv.AppendBool(difference, a.has[n])
					}
				}
			}
			known := seen[string(difference)]
			seen[string(difference)] = true
			return known
		})
	}
	return thinned
}

// limits decide which cells of a scenario are applicable.
type limits struct {
	lacks    []Lack           // of its clients, those that concern a cell
	of       map[string][]int // by client: which of lacks are its own
	byServer bool             // attacks are limited by server version and ticket
	lists    bool             // a directory of revocation lists is limited by server version
	hung     bool             // a KDC hangs: clients that wait for it are limited by ticket and krb5.conf
}

// limitsAmong finds the limits of cells with these dimensions.
func (s *Scenario) limitsAmong(dimensions []dimension) limits {
	l := limits{of: map[string][]int{}, hung: slices.ContainsFunc(s.Realms, func(r Realm) bool { return r.Hung })}
	values := func(axis string) []string { return dimensions[dimensionOf(dimensions, axis)].values }
	for _, name := range values("library") {
		info, _ := Library(name).Info()
		for _, lack := range info.Lacks {
			if !slices.ContainsFunc(values(lack.Axis), lack.has) {
				continue
			}
			same := func(o Lack) bool { return o.Axis == lack.Axis && slices.Equal(o.Values, lack.Values) }
			n := slices.IndexFunc(l.lacks, same)
			if n < 0 {
				n = len(l.lacks)
				l.lacks = append(l.lacks, lack)
			}
			l.of[name] = append(l.of[name], n)
		}
	}
	l.lists = slices.Contains(values("servercrl"), CRLDirectory)
	l.byServer = slices.ContainsFunc(values("attack"), func(name string) bool {
		info := Attack(name).Info()
		return info != nil && (info.GSS || info.Server != 0)
	})
	return l
}

// tellApart gives equal bytes for two values of an axis if cells that differ only in them are applicable alike.
func (l limits) tellApart(axis, value string) (difference []byte) {
	switch axis {
	case "library":
		info, _ := Library(value).Info()
		return fmt.Append(nil, l.of[value], Library(value) == Raw, l.hung && info.WaitsForKDC)
	case "address", "os_user":
		return strconv.AppendBool(nil, value != "")
	case "replication": // clients can lack it, too
		difference = strconv.AppendBool(nil, value != "")
	case "servercrl":
		return strconv.AppendBool(nil, value == CRLDirectory)
	case "transport", "hosts", "attack":
		return []byte(value)
	case "server", "ticket", "krb5_conf":
		if l.byServer && axis != "krb5_conf" || l.lists && axis == "server" || l.hung && axis != "server" {
			difference = append(difference, value...)
		}
	}
	for _, lack := range l.lacks {
		if lack.Axis == axis {
			difference = strconv.AppendBool(difference, lack.has(value))
		}
	}
	return difference
}

// describe names the cell by its values on the axes of which the scenario has several values.
func (p *point) describe() string {
	var values []string
	for i, d := range p.dimensions {
		if d.varies {
			values = append(values, d.Name+"="+d.Text(p.value(i)))
		}
	}
	if len(values) == 0 {
		return "the only cell"
	}
	return strings.Join(values, ",")
}

// checkRule reports an expected hba line that is not a record.
func (l *loading) checkRule(row int, text Text) {
	number, ok := strings.CutPrefix(l.Expect[row].Then.Outcome.Rule, HBAFile+":")
	if !ok {
		return
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	if isRecord(text.Text, n) || isRecord(l.Before.HBA, n) {
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
	l.problem(l.thenAt[row], fmt.Sprintf("hba:%d is expected and that line of %s is not a record", n, name), "name a line with a record")
}

// isRecord says whether line n of a text may hold a record.
func isRecord(text string, n int) bool {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if n > len(lines) {
		return false
	}
	line := strings.TrimSpace(lines[n-1])
	return line != "" && !strings.HasPrefix(line, "#")
}

// checkRuleFile reports an expected rule of a file that the world does not have.
func (l *loading) checkRuleFile(row int) {
	file, _, ok := strings.Cut(l.Expect[row].Then.Outcome.Rule, ":")
	if ok && file != HBAFile && !slices.ContainsFunc(l.Files, func(f File) bool { return f.Path == file }) {
		l.problem(l.thenAt[row], fmt.Sprintf("a rule of %s is expected, and the world has no such file", file), "write it under files, or name a line of hba as hba:LINE")
	}
}
