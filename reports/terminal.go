package reports

import (
	"fmt"
	"io"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Terminal draws the matrix, the failures worst first and the counts. A run with failures is not an error: see
// View.Green.
func Terminal(w io.Writer, v *View, o Options) error {
	p := newPage(w, v.Path, o)
	p.title(v)
	p.baseline(v)
	if len(v.Scenarios) > 0 {
		p.matrix(v)
	}
	p.failures(v)
	p.tables(v)
	p.result(v)
	return p.Flush()
}

func (p *page) title(v *View) {
	h := v.Header
	p.rule("pgauthmatrix "+h.Tool, "run "+h.Run+"  "+h.Start.Format("2006-01-02 15:04 MST"))
	for _, s := range []string{h.Selection, h.Coverage, h.Engine} {
		p.paragraph(s)
	}
	var images []string
	for _, i := range h.Images {
		if i.Unavailable == "" {
			images = append(images, strings.ReplaceAll(i.Name+": "+i.dated(), " ", "\u00a0"))
		}
	}
	p.paragraph(strings.Join(images, "; "))
	p.line("")
}

func (p *page) result(v *View) {
	p.rule("Result", "")
	if v.Baseline != nil {
		p.hanging("baseline", bold, v.Baseline.changedSince())
	}
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
