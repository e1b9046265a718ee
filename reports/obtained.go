package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// settingAxes are the client's settings, what somebody chooses who wants to be safe from an attacker, and the user, who
// stands for the server's rule.
var settingAxes = []string{"user", "ticket", "gssencmode", "sslmode", "sslnegotiation", "root", "channel_binding", "require_auth", "password"}

// foldedAxis is the one whose values share a row where they come to the same.
const foldedAxis = "sslmode"

// foldedWidth is that of the columns that list things, so that the table fits a terminal.
const foldedWidth = 12

// obtained is what attackers had of one scenario's attempts.
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

// table draws a row per choice of settings that every attack was tried on. Libraries that fare alike share one, and so do
// values of sslmode. It is nil where there is no such choice.
func (b *obtained) table() table.Writer {
	axis, _ := matrix.AxisByName("attack")
	b.rows = slices.DeleteFunc(b.rows, func(r *obtainedRow) bool { return len(r.had) < len(b.attacks) })
	if len(b.rows) == 0 {
		return nil
	}
	slices.SortFunc(b.attacks, func(x, y string) int { return slices.Index(axis.Words(), x) - slices.Index(axis.Words(), y) })
	slices.SortStableFunc(b.rows, compareSettings)
	var shown []string
	for _, a := range settingAxes {
		if slices.ContainsFunc(b.rows, func(r *obtainedRow) bool { return r.settings[a] != b.rows[0].settings[a] }) {
			shown = append(shown, a)
		}
	}
	for _, a := range slices.Clone(shown) {
		if a != foldedAxis && slices.ContainsFunc(shown, func(by string) bool { return by != a && b.follows(a, by) }) {
			shown = slices.DeleteFunc(shown, func(s string) bool { return s == a })
		}
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.Options{SeparateHeader: true}
	t.Style().Format.Header = text.FormatDefault
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: foldedAxis, WidthMax: foldedWidth, WidthMaxEnforcer: text.WrapSoft},
		{Name: "library", WidthMax: foldedWidth, WidthMaxEnforcer: text.WrapSoft},
	})
	header := table.Row{}
	for _, a := range shown {
		header = append(header, a)
	}
	header = append(header, "library")
	for _, a := range b.attacks {
		header = append(header, a)
	}
	t.AppendHeader(header)
	for _, line := range b.lines(shown) {
		t.AppendRow(line.cells(shown, b.attacks))
	}
	return t
}

// follows says whether the setting a is decided by another one in every row, so that it need not be shown.
func (b *obtained) follows(a, by string) bool {
	decided := map[string]string{}
	for _, r := range b.rows {
		if had, known := decided[r.settings[by]]; known && had != r.settings[a] {
			return false
		}
		decided[r.settings[by]] = r.settings[a]
	}
	return true
}

// obtainedLine is a line of the table: several libraries, several values of sslmode.
type obtainedLine struct {
	settings  map[string]string
	folded    []string
	libraries []matrix.Library
	had       string
	row       *obtainedRow
}

func (b *obtained) lines(shown []string) []*obtainedLine {
	same := func(x, y map[string]string, but string) bool {
		return !slices.ContainsFunc(shown, func(a string) bool { return a != but && x[a] != y[a] })
	}
	var lines []*obtainedLine
	for _, r := range b.rows {
		had := r.text(b.attacks)
		i := slices.IndexFunc(lines, func(l *obtainedLine) bool { return l.had == had && same(l.settings, r.settings, "") })
		if i >= 0 {
			lines[i].libraries = append(lines[i].libraries, r.library)
			continue
		}
		lines = append(lines, &obtainedLine{settings: r.settings, folded: []string{r.settings[foldedAxis]}, libraries: []matrix.Library{r.library}, had: had, row: r})
	}
	var folded []*obtainedLine
	for _, l := range lines {
		i := slices.IndexFunc(folded, func(f *obtainedLine) bool {
			return f.had == l.had && same(f.settings, l.settings, foldedAxis) && slices.Equal(f.libraries, l.libraries)
		})
		if i >= 0 {
			folded[i].folded = append(folded[i].folded, l.folded...)
			continue
		}
		folded = append(folded, l)
	}
	return folded
}

func (l *obtainedLine) cells(shown, attacks []string) table.Row {
	var cells table.Row
	for _, a := range shown {
		text := axisText(l.settings[a])
		if a == foldedAxis {
			words := make([]string, len(l.folded))
			for i, v := range l.folded {
				words[i] = axisText(v)
			}
			text = strings.Join(words, ", ")
		}
		cells = append(cells, text)
	}
	cells = append(cells, libraryList(l.libraries))
	for _, a := range attacks {
		cells = append(cells, l.row.word(a))
	}
	return cells
}

func axisText(value string) string {
	if value == "" {
		return matrix.NotGiven
	}
	return value
}

func (r *obtainedRow) text(attacks []string) string {
	words := make([]string, len(attacks))
	for i, a := range attacks {
		words[i] = r.word(a)
	}
	return strings.Join(words, " ")
}

// word is what an attack had, a dash for nothing; several words if servers differ.
func (r *obtainedRow) word(attack string) string {
	words := make([]string, len(r.had[attack]))
	for i, o := range r.had[attack] {
		words[i] = string(o)
	}
	if len(words) == 1 && r.had[attack][0] == matrix.Nothing {
		return "–"
	}
	return strings.Join(words, " or ")
}

// libraryList writes libpq13, libpq15 and pgx as "libpq 13 15, pgx".
func libraryList(libraries []matrix.Library) string {
	var parts []string
	last := matrix.ClientKind("")
	for _, l := range libraries {
		switch {
		case l.Libpq() == 0:
			parts = append(parts, string(l))
		case l.Kind() == last:
			parts[len(parts)-1] += fmt.Sprintf(" %d", l.Libpq())
		default:
			parts = append(parts, fmt.Sprintf("%s %d", l.Kind(), l.Libpq()))
		}
		last = l.Kind()
	}
	return strings.Join(parts, ", ")
}

func compareSettings(a, b *obtainedRow) int {
	for _, name := range settingAxes {
		if x, y := a.settings[name], b.settings[name]; x != y {
			axis, _ := matrix.AxisByName(name)
			if axis.Values == nil {
				return strings.Compare(x, y)
			}
			return slices.Index(axis.Words(), x) - slices.Index(axis.Words(), y)
		}
	}
	return libraryRank(a.library) - libraryRank(b.library)
}
