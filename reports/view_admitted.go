package reports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// credentialAxes are what a client can have to prove who it is: their combinations are the columns of the table of who gets in.
var credentialAxes = []string{"ticket", "cert", "password"}

// askAxes say, besides the rules, what a row of that table is about: who asks for what, at which server.
var askAxes = []string{"server", "user", "database", "principal", "address", "transport"}

// admitted is what one scenario's attempts have obtained: which rules let which credentials in.
type admitted struct {
	rows        map[string]*admittedRow
	credentials map[string]map[string]string // the axes of one attempt that had the credential, by credential
	settings    map[string]bool              // choices of the settings that are neither in rows nor in columns
	not         bool                         // the scenario is not about rules and credentials alone
}

// admittedRow is one set of rules, and one who asks.
type admittedRow struct {
	axes map[string]string
	had  map[string]*admission // by credential
}

// admission is what the attempts with one credential have obtained, over all settings.
type admission struct {
	attempts int
	ways     map[string]bool // words of waysIn
}

// waysIn are the words of the table's entries, in their order. They say how the sessions were protected. A downgrade is a session in
// the clear after encryption was tried.
var waysIn = []string{"plain", "downgrade", "tls", "gss"}

// notLoaded is in the place of a way in where the server did not load the rules and nobody got in.
const notLoaded = "does not load"

// ruleAxes are the axes of the rules: a scenario's own, and its texts by name.
func ruleAxes(own []string) []string { return append([]string{"hba", "ident", "load"}, own...) }

// add counts an attempt. own are the scenario's own axes.
func (a *admitted) add(r *Record, o *matrix.Outcome, own []string) {
	if a.not = a.not || o.Obtains != "" || r.Axes["library"] == string(matrix.Raw); a.not {
		a.rows, a.credentials, a.settings = nil, nil, nil
		return
	}
	if a.rows == nil {
		a.rows, a.credentials, a.settings = map[string]*admittedRow{}, map[string]map[string]string{}, map[string]bool{}
	}
	credential, rowAxes := key(r.Axes, credentialAxes), append(ruleAxes(own), askAxes...)
	at := key(r.Axes, rowAxes)
	row := a.rows[at]
	if row == nil {
		row = &admittedRow{axes: r.Axes, had: map[string]*admission{}}
		a.rows[at] = row
	}
	if a.credentials[credential] == nil {
		a.credentials[credential] = r.Axes
	}
	had := row.had[credential]
	if had == nil {
		had = &admission{ways: map[string]bool{}}
		row.had[credential] = had
	}
	had.attempts++
	var settings []string
	for _, axis := range matrix.Axes {
		if !slices.Contains(rowAxes, axis.Name) && !slices.Contains(credentialAxes, axis.Name) {
			settings = append(settings, axis.Name)
		}
	}
	a.settings[key(r.Axes, settings)] = true
	switch {
	case o.End == matrix.Connected && o.Descent() == matrix.Downgrade:
		had.ways["downgrade"] = true
	case o.End == matrix.Connected:
		had.ways[string(o.Channel)] = true
	case o.Load != "":
		had.ways[notLoaded] = true
	}
}

func key(axes map[string]string, names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(axes[n] + "\x00")
	}
	return b.String()
}

// words are the entry of the table. Where some attempts got in, those that did not are not mentioned.
func (m *admission) words() string {
	var words []string
	for _, w := range waysIn {
		if m.ways[w] {
			words = append(words, w)
		}
	}
	switch {
	case len(words) > 0:
		return strings.Join(words, ", ")
	case m.ways[notLoaded]:
		return notLoaded
	}
	return nothing
}

// table has a row for each set of rules that was tried with every credential under every setting: of any other nobody knows who gets in.
// It is nil where there are not two such rows, and where the worlds differ in more than their rules. Rows that differ in one axis and admit
// the same are one.
func (a *admitted) table(values map[string][]string, own []string) *Table {
	rules := ruleAxes(own)
	for axis, of := range values {
		if len(of) > 1 && !slices.Contains(rules, axis) {
			return nil
		}
	}
	addresses := map[string]bool{} // they belong to the rules: records have a column for them
	for _, r := range a.rows {
		addresses[r.axes["address"]] = true
	}
	if len(addresses) < 2 && !slices.ContainsFunc(rules, func(axis string) bool { return len(values[axis]) > 1 }) {
		return nil
	}
	var credentials []string
	for c := range a.credentials {
		credentials = append(credentials, c)
	}
	slices.SortFunc(credentials, func(x, y string) int { return compareAxes(credentialAxes, a.credentials[x], a.credentials[y]) })
	var rows []*admittedRow
	for _, r := range a.rows {
		if !slices.ContainsFunc(credentials, func(c string) bool { return r.had[c] == nil || r.had[c].attempts < len(a.settings) }) {
			rows = append(rows, r)
		}
	}
	if len(rows) < 2 {
		return nil
	}
	axes := append(slices.Clone(rules), askAxes...)
	slices.SortFunc(rows, func(x, y *admittedRow) int { return compareAxes(axes, x.axes, y.axes) })
	var lines []*admittedLine
	for _, r := range rows {
		l := &admittedLine{values: map[string][]string{}}
		for _, axis := range axes {
			l.values[axis] = []string{r.axes[axis]}
		}
		for _, c := range credentials {
			l.had = append(l.had, r.had[c].words())
		}
		lines = append(lines, l)
	}
	return drawn(lines, axes, a.headings(credentials))
}

// headings name the credentials by what the client has of each kind that differs.
func (a *admitted) headings(credentials []string) []string {
	var headings []string
	for _, c := range credentials {
		var has []string
		for _, axis := range credentialAxes {
			if value := a.credentials[c][axis]; value != "" && value != "none" {
				has = append(has, strings.TrimPrefix(value+" ", map[string]string{"ticket": "valid ", "cert": "good ", "password": "right "}[axis])+axis)
			}
		}
		headings = append(headings, cmp.Or(strings.Join(has, " and "), "no credential"))
	}
	return headings
}

// admittedLine is a row of the table: several values of each axis, all combinations of which admit the same.
type admittedLine struct {
	values map[string][]string
	had    []string // by credential
}

// drawn merges lines and writes those axes that still tell them apart.
func drawn(lines []*admittedLine, axes, headings []string) *Table {
	all := map[string][]string{}
	for _, l := range lines {
		for _, axis := range axes {
			if v := l.values[axis][0]; !slices.Contains(all[axis], v) {
				all[axis] = append(all[axis], v)
			}
		}
	}
	for _, axis := range slices.Concat(askAxes, reversed(axes)) { // versions first: most rules mean the same to all of them
		lines = merged(lines, axes, axis)
	}
	var shown []string
	principalIsUser := !slices.ContainsFunc(lines, func(l *admittedLine) bool { return !slices.Equal(l.values["principal"], l.values["user"]) })
	for _, axis := range axes {
		if axis == "principal" && principalIsUser {
			continue // it follows from user
		}
		if slices.ContainsFunc(lines, func(l *admittedLine) bool { return len(l.values[axis]) < len(all[axis]) }) {
			shown = append(shown, axis)
		}
	}
	t := &Table{Settings: len(shown), Header: slices.Concat(shown, headings)}
	for _, l := range lines {
		var texts []string
		for _, axis := range shown {
			text := strings.Join(l.values[axis], ", ")
			if len(l.values[axis]) == len(all[axis]) {
				text = "any"
			}
			texts = append(texts, text)
		}
		t.Rows = append(t.Rows, append(texts, l.had...))
	}
	return t
}

// merged makes one line of those that differ in one axis alone.
func merged(lines []*admittedLine, axes []string, axis string) []*admittedLine {
	at := map[string]*admittedLine{}
	var left []*admittedLine
	for _, l := range lines {
		var k strings.Builder
		for _, other := range axes {
			if other != axis {
				k.WriteString(strings.Join(l.values[other], "\x01") + "\x00")
			}
		}
		k.WriteString(strings.Join(l.had, "\x00"))
		if same := at[k.String()]; same != nil {
			same.values[axis] = append(same.values[axis], l.values[axis]...)
			continue
		}
		at[k.String()] = l
		left = append(left, l)
	}
	return left
}

func reversed(names []string) []string {
	names = slices.Clone(names)
	slices.Reverse(names)
	return names
}
