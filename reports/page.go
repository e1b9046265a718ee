package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// page is a text for people being written: lines of limited width, with labels in a column of their own.
type page struct {
	*bufio.Writer
	paint
	Options
	path string // of the run's file, to be named in commands; may be empty
}

// newPage begins a page; o.Color is for terminals alone.
func newPage(w io.Writer, path string, o Options) *page {
	o = o.filled()
	return &page{Writer: bufio.NewWriter(w), paint: paint(o.Color), Options: o, path: path}
}

// labelWidth is that of the words before the lines of a failure and of the result.
const labelWidth = 11

// line writes one line without blanks at its end.
func (p *page) line(s string) { fmt.Fprintln(p, trimEnd(s)) }

// rule is a line across the page with a word at either end; the right one is shortened where both do not fit.
func (p *page) rule(left, right string) {
	if right != "" {
		right = " " + shorten(right, max(1, p.Width-width(left)-len(" ── ")))
	}
	dashes := max(2, p.Width-width(left)-width(right)-1)
	p.line(p.text(bold, left) + " " + p.text(dim, strings.Repeat("─", dashes)) + right)
}

// paragraph writes indented text, dim: it is less important than the rest.
func (p *page) paragraph(text string) {
	for _, l := range wrap(text, p.Width-2) {
		p.line("  " + p.text(dim, l))
	}
}

// hanging writes a labelled paragraph.
func (p *page) hanging(label, style, text string) {
	for i, l := range wrap(text, p.Width-labelWidth-2) {
		if i > 0 {
			label = ""
		}
		p.line("  " + p.text(style, pad(label, labelWidth)) + l)
	}
}

// command writes a command or an ID on one line, however long, so that it can be copied.
func (p *page) command(label, text string) {
	p.line("  " + p.text(dim, pad(label, labelWidth)) + printable(text))
}

// phrase is a piece of text that is not broken.
type phrase struct{ text, style string }

// flow writes labelled phrases, in as many lines as they need.
func (p *page) flow(label string, phrases []phrase) {
	line, used := "", 0
	for _, part := range phrases {
		if used > 0 && used+1+width(part.text) > p.Width-labelWidth-2 {
			p.line("  " + p.text(bold, pad(label, labelWidth)) + line)
			label, line, used = "", "", 0
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+p.text(part.style, part.text), used+width(part.text)
	}
	p.line("  " + p.text(bold, pad(label, labelWidth)) + line)
}

// glyphs are the signs of statuses, in the order of the legend.
var glyphs = []struct {
	status verdict.Status
	glyph  string
	style  string
	name   string
}{
	{verdict.Agree, "●", green, "agree"},
	{verdict.Known, "◐", yellow, "known divergence"},
	{verdict.NotApplicable, "○", dim, "not applicable"},
	{verdict.Drift, "◆", magenta, "drift"},
	{verdict.Broken, "!", loudMagenta, "broken"},
	{verdict.Differ, "✗", loudRed, "differ"},
}

// statusStyle is that of Differ for a status that is none.
func statusStyle(s verdict.Status) string {
	for _, g := range glyphs {
		if g.status == s {
			return g.style
		}
	}
	return loudRed
}

// glyph is the sign of the worst cell of a block.
func (on paint) glyph(b *Block) string {
	worst, ok := b.Worst()
	for _, g := range glyphs {
		if ok && g.status == worst {
			return on.text(g.style, g.glyph)
		}
	}
	return " "
}
