package reports

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// tableKind is a kind of table that a scenario can have.
type tableKind struct {
	title, legend string
	of            func(*ScenarioView) *Table // nil: it has none
}

// scenarios are those that have a table of the kind.
func (k tableKind) scenarios(v *View) (with []*ScenarioView) {
	for _, s := range v.Scenarios {
		if k.of(s) != nil {
			with = append(with, s)
		}
	}
	return with
}

// tables are the kinds of table that a scenario can have, as both formats show them.
var tables = []tableKind{
	{"What an attacker in the middle obtains", "", func(s *ScenarioView) *Table { return s.Obtained }},
	{"Who gets in", "An entry says how the sessions were protected that the credential obtained under any of the client's settings: " + strings.Join(waysIn, ", ") + ". A downgrade is a session in the clear after encryption was tried; " + nothing + " means that no setting got in.",
		func(s *ScenarioView) *Table { return s.Admitted }},
	{"Channel binding by the key of the server's certificate", boundLegend, func(s *ScenarioView) *Table { return s.Bound }},
}

// mostRows is the greatest number of rows that a terminal shows of a table.
const mostRows = 40

// tables draws what scenarios have tables of, a table for each.
func (p *page) tables(v *View) {
	for _, kind := range tables {
		scenarios := kind.scenarios(v)
		if len(scenarios) == 0 {
			continue
		}
		p.rule(kind.title, "")
		if kind.legend != "" {
			p.paragraph(kind.legend)
		}
		for _, s := range scenarios {
			t := kind.of(s)
			p.line("")
			p.line("  " + p.text(bold, s.Name))
			if s.About != nil {
				p.paragraph(s.About.Question)
			}
			if len(t.Rows) > mostRows {
				p.paragraph(count(len(t.Rows), "row", "rows") + ": pgauthmatrix render RUN --format markdown, and summary.md, have the table.")
				continue
			}
			for _, l := range t.lines(p.Width - margin) {
				p.line(strings.Repeat(" ", margin) + l)
			}
		}
		p.line("")
	}
}

// listWidths are tried in turn as the greatest widths of the columns that list values of sslmode and clients.
var listWidths = []struct{ folded, libraries int }{{60, 60}, {26, 40}, {26, 26}, {12, 26}, {12, 18}, {12, 12}}

// settingsWidths are tried in turn as the greatest width of all settings in one column.
var settingsWidths = []int{48, 36, 30, 24}

// lines lay the table out in so many columns of the terminal. Where a column for each setting does not fit, the settings
// share one.
func (t *Table) lines(columns int) []string {
	var lines []string
	for _, most := range listWidths {
		w := t.writer()
		w.SetColumnConfigs([]table.ColumnConfig{listed(foldedAxis, most.folded), listed("library", most.libraries)})
		var used int
		if lines, used = laidOut(w); used <= columns {
			return lines
		}
	}
	narrow := t.narrow()
	for _, most := range settingsWidths {
		w := narrow.writer()
		w.Style().Options.SeparateRows = true
		w.Style().Box.PaddingRight = " "
		w.SetColumnConfigs([]table.ColumnConfig{listed(narrow.Header[0], most)})
		var used int
		if lines, used = laidOut(w); used <= columns {
			break
		}
	}
	return lines
}

// laidOut are the lines of a table without the blanks after its last column, and their width.
func laidOut(w table.Writer) (lines []string, used int) {
	lines = strings.Split(w.Render(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
		if strings.Trim(l, "─") != "" {
			used = max(used, width(lines[i]))
		}
	}
	for i, l := range lines {
		if strings.Trim(l, "─") == "" {
			lines[i] = strings.Repeat("─", used)
		}
	}
	return lines, used
}

func listed(column string, most int) table.ColumnConfig {
	return table.ColumnConfig{Name: column, WidthMax: most, WidthMaxEnforcer: text.WrapSoft}
}

// narrow is the same table with all settings in the first column.
func (t *Table) narrow() *Table {
	n := &Table{Settings: 1, Header: append([]string{"settings"}, t.Header[t.Settings:]...)}
	for _, row := range t.Rows {
		var settings []string
		for i, value := range row[:t.Settings] {
			settings = append(settings, t.Header[i]+"="+value)
		}
		n.Rows = append(n.Rows, append([]string{strings.Join(settings, "; ")}, row[t.Settings:]...))
	}
	return n
}

// writer hands the table to the library that lays it out.
func (t *Table) writer() table.Writer {
	row := func(texts []string) table.Row {
		var cells table.Row
		for _, s := range texts {
			cells = append(cells, s)
		}
		return cells
	}
	w := table.NewWriter()
	w.SetStyle(table.StyleLight)
	w.Style().Options = table.Options{SeparateHeader: true}
	w.Style().Format.Header = text.FormatDefault
	w.Style().Box.PaddingLeft, w.Style().Box.PaddingRight = "", "  "
	w.AppendHeader(row(t.Header))
	for _, r := range t.Rows {
		w.AppendRow(row(r))
	}
	return w
}
