package reports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Table says what attackers or clients obtain: every row is as long as the header.
type Table struct {
	Settings int        `json:"settings"` // the first so many columns say under what; the others are attacks, or the credentials of clients
	Header   []string   `json:"header"`
	Rows     [][]string `json:"rows"`
}

// settingAxes are the client's settings, which decide what an attacker can obtain, and the user, who selects the
// server's rule.
var settingAxes = []string{"user", "ticket", "gssencmode", "sslmode", "sslnegotiation", "root", "channel_binding", "require_auth", "password"}

// foldedAxis is the axis whose values share a row where the attacker obtains the same.
const foldedAxis = "sslmode"

// nothing stands in a table where the attacker obtains nothing.
const nothing = "–"

// obtained is what the attacker obtained of one scenario's attempts.
type obtained struct {
	attacks []string // in the order of matrix.Attacks
	rows    []*obtainedRow
}

// obtainedRow is one client library with one choice of settings.
type obtainedRow struct {
	settings map[string]string
	library  matrix.Library
	had      map[string][]matrix.Obtained // by attack, over server versions, the least first
}

func (b *obtained) add(r *Record, o *matrix.Outcome) {
	library := matrix.Library(r.Axes["library"])
	i := slices.IndexFunc(b.rows, func(row *obtainedRow) bool {
		return row.library == library && !slices.ContainsFunc(settingAxes, func(a string) bool { return row.settings[a] != r.Axes[a] })
	})
	if i < 0 {
		i = len(b.rows)
		b.rows = append(b.rows, &obtainedRow{settings: r.Axes, library: library, had: map[string][]matrix.Obtained{}})
	}
	attack, row := r.Axes["attack"], b.rows[i]
	if !slices.Contains(b.attacks, attack) {
		b.attacks = append(b.attacks, attack)
	}
	if had := row.had[attack]; !slices.Contains(had, o.Obtains) {
		had = append(had, o.Obtains)
		slices.SortFunc(had, func(a, b matrix.Obtained) int {
			return slices.Index(matrix.Obtaineds, a) - slices.Index(matrix.Obtaineds, b)
		})
		row.had[attack] = had
	}
}

// table has a row for each choice of settings with which every attack was tried. Libraries with equal results share a
// row, and so do values of sslmode. It is nil where there is no such choice.
func (b *obtained) table() *Table {
	axis, _ := matrix.AxisByName("attack")
	rows := slices.DeleteFunc(b.rows, func(r *obtainedRow) bool { return len(r.had) < len(b.attacks) })
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(b.attacks, func(x, y string) int { return slices.Index(axis.Words(), x) - slices.Index(axis.Words(), y) })
	slices.SortStableFunc(rows, func(x, y *obtainedRow) int {
		return cmp.Or(compareAxes(settingAxes, x.settings, y.settings), libraryRank(x.library)-libraryRank(y.library))
	})
	shown := telling(rows)
	t := &Table{Settings: len(shown) + 1, Header: slices.Concat(shown, []string{"library"}, b.attacks)}
	for _, l := range foldLines(rows, shown, b.attacks) {
		t.Rows = append(t.Rows, l.texts(shown, b.attacks))
	}
	return t
}

// telling are the settings that differ between rows, but for those that another setting decides.
func telling(rows []*obtainedRow) []string {
	var shown []string
	for _, a := range settingAxes {
		if slices.ContainsFunc(rows, func(r *obtainedRow) bool { return r.settings[a] != rows[0].settings[a] }) {
			shown = append(shown, a)
		}
	}
	for _, a := range slices.Clone(shown) {
		if a != foldedAxis && slices.ContainsFunc(shown, func(by string) bool { return by != a && follows(rows, a, by) }) {
			shown = slices.DeleteFunc(shown, func(s string) bool { return s == a })
		}
	}
	return shown
}

// follows says whether another setting decides the setting a in every row, so that a need not be shown.
func follows(rows []*obtainedRow, a, by string) bool {
	decided := map[string]string{}
	for _, r := range rows {
		if had, known := decided[r.settings[by]]; known && had != r.settings[a] {
			return false
		}
		decided[r.settings[by]] = r.settings[a]
	}
	return true
}

// obtainedLine is a row of the table: several libraries, several values of sslmode.
type obtainedLine struct {
	settings  map[string]string
	folded    []string
	libraries []matrix.Library
	had       []string // by attack
}

func foldLines(rows []*obtainedRow, shown, attacks []string) []*obtainedLine {
	same := func(x, y map[string]string, but string) bool {
		return !slices.ContainsFunc(shown, func(a string) bool { return a != but && x[a] != y[a] })
	}
	var lines []*obtainedLine
	for _, r := range rows {
		had := r.words(attacks)
		i := slices.IndexFunc(lines, func(l *obtainedLine) bool { return slices.Equal(l.had, had) && same(l.settings, r.settings, "") })
		if i >= 0 {
			lines[i].libraries = append(lines[i].libraries, r.library)
			continue
		}
		lines = append(lines, &obtainedLine{settings: r.settings, folded: []string{r.settings[foldedAxis]}, libraries: []matrix.Library{r.library}, had: had})
	}
	var folded []*obtainedLine
	for _, l := range lines {
		i := slices.IndexFunc(folded, func(f *obtainedLine) bool {
			return slices.Equal(f.had, l.had) && same(f.settings, l.settings, foldedAxis) && slices.Equal(f.libraries, l.libraries)
		})
		if i >= 0 {
			folded[i].folded = append(folded[i].folded, l.folded...)
			continue
		}
		folded = append(folded, l)
	}
	return folded
}

func (l *obtainedLine) texts(shown, attacks []string) []string {
	texts := make([]string, 0, len(shown)+1+len(attacks))
	for _, a := range shown {
		values := []string{l.settings[a]}
		if a == foldedAxis {
			values = slices.Clone(l.folded)
		}
		for i, v := range values {
			values[i] = cmp.Or(v, matrix.NotGiven)
		}
		texts = append(texts, strings.Join(values, ", "))
	}
	return append(append(texts, libraryList(l.libraries)), l.had...)
}

// words are what each attack obtained; several words if server versions differ.
func (r *obtainedRow) words(attacks []string) []string {
	words := make([]string, len(attacks))
	for i, a := range attacks {
		var all []string
		for _, o := range r.had[a] {
			all = append(all, string(o))
		}
		words[i] = strings.Join(all, " or ")
		if slices.Equal(r.had[a], []matrix.Obtained{matrix.Nothing}) {
			words[i] = nothing
		}
	}
	return words
}

// libraryList writes libpq13, libpq15 and pgx as "libpq 13 15, pgx".
func libraryList(libraries []matrix.Library) string {
	var parts []string
	last := ""
	for _, l := range libraries {
		kind, version := nameParts(l)
		switch {
		case version == "":
			parts = append(parts, kind)
		case kind == last:
			parts[len(parts)-1] += " " + version
		default:
			parts = append(parts, kind+" "+version)
		}
		last = kind
	}
	return strings.Join(parts, ", ")
}

// nameParts are the kind of a client and its version: libpq and 17, pgx and "". The version is what its name has in
// addition to its kind's; of a client that this build does not know, the number at the end of its name.
func nameParts(l matrix.Library) (kind, version string) {
	name := string(l)
	kind = string(l.Kind())
	if kind == "" || !strings.HasPrefix(name, kind) {
		kind = strings.TrimRight(name, "0123456789.-_")
	}
	return kind, strings.TrimLeft(name[len(kind):], "-_")
}
