package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Terminal draws the matrix, the failures worst first and the counts. A run with failures is not an error: see
// View.Green.
func Terminal(w io.Writer, v *View, o Options) error {
	p := newPage(w, v.Path, o)
	p.title(v)
	if len(v.Scenarios) > 0 {
		p.matrix(v)
	}
	p.failures(v)
	for _, s := range v.Scenarios {
		p.obtained(s)
	}
	p.result(v)
	return p.Flush()
}

func (p *page) title(v *View) {
	h := v.Header
	p.rule("pgauthmatrix "+h.Tool, "run "+h.Run+"  "+h.Start.Format("2006-01-02 15:04 MST"))
	for _, s := range []string{h.Selection, h.Coverage, h.Engine} {
		p.paragraph(dim, s)
	}
	var images []string
	for _, i := range h.Images {
		if i.Unavailable == "" {
			images = append(images, strings.ReplaceAll(i.Name+": "+i.Version, " ", "\u00a0"))
		}
	}
	p.paragraph(dim, strings.Join(images, "; "))
	p.line("")
}

// listWidths are tried in turn as the greatest width of the columns that list things, so that the table fits.
var listWidths = []int{60, 36, 24, 12}

// obtained draws what the attacker obtains in the attempts of a scenario.
func (p *page) obtained(s *ScenarioView) {
	if s.Obtained == nil {
		return
	}
	p.rule("What an attacker in the middle obtains", s.Name)
	var lines []string
	for _, most := range listWidths {
		lines = s.Obtained.lines(most)
		if !slices.ContainsFunc(lines, func(l string) bool { return width(l) > p.Width-1 }) {
			break
		}
	}
	for _, l := range lines {
		p.line(" " + l)
	}
	p.line("")
}

// lines lay the table out; the columns that list things are at most so wide.
func (t *Table) lines(most int) []string {
	w := t.writer()
	w.SetStyle(table.StyleLight)
	w.Style().Options = table.Options{SeparateHeader: true}
	w.Style().Format.Header = text.FormatDefault
	w.SetColumnConfigs([]table.ColumnConfig{
		{Name: foldedAxis, WidthMax: most, WidthMaxEnforcer: text.WrapSoft},
		{Name: "library", WidthMax: most, WidthMaxEnforcer: text.WrapSoft},
	})
	return strings.Split(w.Render(), "\n")
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
	w.AppendHeader(row(t.Header))
	for _, r := range t.Rows {
		w.AppendRow(row(r))
	}
	return w
}

func (p *page) result(v *View) {
	p.rule("Result", "")
	var parts []phrase
	for i, s := range verdict.Statuses {
		part := phrase{text: fmt.Sprintf("%s %s", s, thousands(v.Counts[s])), style: dim}
		if v.Counts[s] > 0 {
			part.style = statusStyle(s)
		}
		if i > 0 {
			part.text = "+ " + part.text
		}
		parts = append(parts, part)
	}
	p.flow("cells", append(parts, phrase{"= " + thousands(v.Counts.Total()), bold}))
	p.flow("connected", []phrase{
		{pad(thousands(v.Ends[matrix.Connected]), 8), ""},
		{"first choice " + thousands(v.Descents[matrix.First]) + ",", ""},
		{"fallback " + thousands(v.Descents[matrix.Fallback]) + ",", ""},
		{"downgrade to plaintext " + thousands(v.Descents[matrix.Downgrade]), yellow}})
	var stages []string
	for _, s := range matrix.Stages {
		if n := v.Stages[s]; n > 0 {
			stages = append(stages, string(s)+" "+thousands(n))
		}
	}
	p.hanging("refused", bold, strings.ReplaceAll(pad(thousands(v.Ends[matrix.Refused]), 8), " ", "\u00a0")+" "+strings.Join(stages, ", "))
	p.hanging("time", bold, v.Times())
	for _, n := range v.Notes() {
		style := yellow
		if n.Fails {
			style = red
		}
		p.hanging(n.Label, style, n.Text)
	}
	files := p.Files
	if v.Path != "" {
		files = append([]string{v.Path}, files...)
	}
	p.hanging("files", bold, strings.Join(files, " "))
	p.line("")
	word, why := v.Judgement()
	style := loudRed
	if v.Green() {
		style = loudGreen
	}
	for i, l := range wrap(why, p.Width-2-len(word)-2) {
		if i > 0 {
			word = strings.Repeat(" ", len(word))
		}
		p.line("  " + p.text(style, word) + "  " + l)
	}
}
