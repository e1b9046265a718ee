package reports

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Options say how a report for a terminal looks. The zero Options are 100 columns without colour.
type Options struct {
	Color    bool     // ANSI colours; the caller decides by isatty and NO_COLOR
	Width    int      // columns; default 100, at least 60
	Failures int      // ways to fail that are drawn in full; default 20; -1: all that were kept
	Rows     bool     // every scenario world by world, not only those with a failure
	Files    []string // report files to name at the end
	Repeat   string   // command to which the quoted ID is added; default "pgauthmatrix run"
}

func (o Options) filled() Options {
	if o.Width == 0 {
		o.Width = 100
	}
	o.Width = max(o.Width, 60)
	if o.Failures == 0 {
		o.Failures = 20
	}
	if o.Repeat == "" {
		o.Repeat = "pgauthmatrix run"
	}
	return o
}

// glyphs stand for a place in the matrix, by the worst cell in it: the later in the list, the worse. A place counts as
// not applicable only if all its cells are.
var glyphs = [...]struct {
	status verdict.Status
	glyph  string
	style  string
	name   string
}{
	{verdict.NotApplicable, "○", dim, "not applicable"},
	{verdict.Agree, "●", green, "agree"},
	{verdict.Known, "◐", yellow, "known divergence"},
	{verdict.Drift, "◆", magenta, "drift"},
	{verdict.Broken, "!", "1;35", "broken"},
	{verdict.Differ, "✗", loudRed, "differ"},
}

func glyphIndex(s verdict.Status) int {
	for i, g := range glyphs {
		if g.status == s {
			return i
		}
	}
	return len(glyphs) - 1 // no valid status: as bad as can be
}

func (b *block) glyph(on paint) string {
	for i := len(glyphs) - 1; i >= 0; i-- {
		if b.counts[i] > 0 {
			return on.text(glyphs[i].style, glyphs[i].glyph)
		}
	}
	return " "
}

func statusStyle(s verdict.Status) string { return glyphs[glyphIndex(s)].style }

// page is a terminal report being written.
type page struct {
	*bufio.Writer
	paint
	Options
	run *Run
}

// Terminal draws the matrix, the failures worst first and the counts. The error is of the file or the writer, or says
// that the counts do not add up; a run with failures is not an error: see Summarize.
func Terminal(w io.Writer, run *Run, o Options) error {
	t, err := tallyRun(run, nil)
	if err != nil {
		return err
	}
	o = o.filled()
	p := &page{Writer: bufio.NewWriter(w), paint: paint(o.Color), Options: o, run: run}
	p.title(t)
	if len(t.scenarios) > 0 {
		p.matrix(t)
	}
	p.failures(t)
	p.obtained(t)
	p.totals(t)
	return p.Flush()
}

// line writes one line without blanks at its end.
func (p *page) line(s string) { fmt.Fprintln(p, trimEnd(s)) }

func (p *page) title(t *tally) {
	h := t.header
	p.rule("pgauthmatrix "+h.Tool, "run "+h.Run+"  "+h.Start.Format("2006-01-02 15:04 MST"))
	for _, s := range []string{h.Selection, h.Coverage, h.Engine} {
		for _, l := range wrap(s, p.Width-2) {
			p.line("  " + p.text(dim, l))
		}
	}
	var images []string
	for _, i := range h.Images {
		if i.Unavailable == "" {
			images = append(images, strings.ReplaceAll(i.Name+": "+i.Version, " ", "\u00a0"))
		}
	}
	for _, l := range wrap(strings.Join(images, "; "), p.Width-2) {
		p.line("  " + p.text(dim, l))
	}
	p.line("")
}

func (p *page) unavailable(i Image) {
	text := fmt.Sprintf("%s: %s; %s not in this run", i.Name, i.Unavailable, count(i.Cells, "cell", "cells"))
	p.hanging("no image", yellow, text)
}

// rule is a line across the page with a word at either end.
func (p *page) rule(left, right string) {
	if right != "" {
		right = " " + right
	}
	dashes := max(2, p.Width-width(left)-width(right)-1)
	p.line(p.text(bold, left) + " " + p.text(dim, strings.Repeat("─", dashes)) + right)
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

// labelWidth is that of the words before the lines of a failure and of the totals.
const labelWidth = 11

// layout is a way to arrange the matrix: what shares a column, and how wide things are.
type layout struct {
	key    func(column) column // columns with equal keys share one
	gap    int                 // blanks between the columns of a server
	counts int                 // width of the columns of numbers together
	groups []group             // by server
	label  int                 // width of the row's label
}

type group struct {
	server  int
	columns []column
}

const (
	countWidth = 7 // of the columns "cells", "↓" and "failing"
	margin     = 2
	serverGap  = 2
)

// choose takes the widest layout that fits: libraries apart, side by side, by kind, or all together.
func choose(t *tally, columns, longest int) layout {
	apart := func(c column) column { return c }
	byKind := func(c column) column { return column{c.server, matrix.Library(c.library.Kind())} }
	together := func(c column) column { return column{server: c.server} }
	counts := 2 * countWidth
	if len(t.failures) > 0 {
		counts += countWidth + 1
	}
	layouts := []struct {
		layout
		least int // width of the row's label that it must leave
	}{{layout{key: apart, gap: 1}, 34}, {layout{key: apart}, 24}, {layout{key: byKind, gap: 1}, 24}, {layout{key: byKind}, 24}, {layout{key: together}, 0}}
	for _, candidate := range layouts {
		l := candidate.layout
		l.counts = counts
		for _, c := range t.columns {
			c = l.key(c)
			if n := len(l.groups); n == 0 || l.groups[n-1].server != c.server {
				l.groups = append(l.groups, group{server: c.server})
			}
			g := &l.groups[len(l.groups)-1]
			if !slices.Contains(g.columns, c) {
				g.columns = append(g.columns, c)
			}
		}
		l.label = columns - margin - counts
		for _, g := range l.groups {
			l.label -= serverGap + l.width(g)
		}
		if l.label >= min(longest, candidate.least) || candidate.least == 0 {
			l.label = max(min(l.label, longest), narrowest)
			return l
		}
	}
	panic("the last layout always fits")
}

// narrowest is the least width of a row's label: with more servers than fit beside it, lines grow too long.
const narrowest = 12

func (l layout) width(g group) int {
	return max(len(serverName(g.server)), len(g.columns)+l.gap*(len(g.columns)-1))
}

func serverName(v int) string { return "pg" + strconv.Itoa(v) }

// cells draws one row's blocks.
func (p *page) cells(l layout, rows ...*rowTally) string {
	merged := map[column]*block{}
	for _, r := range rows {
		for c, b := range r.blocks {
			at := l.key(c)
			if merged[at] == nil {
				merged[at] = &block{}
			}
			merged[at].merge(b)
		}
	}
	var line strings.Builder
	for _, g := range l.groups {
		line.WriteString(strings.Repeat(" ", serverGap))
		for i, c := range g.columns {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", l.gap))
			}
			if b := merged[c]; b != nil {
				line.WriteString(b.glyph(p.paint))
			} else {
				line.WriteString(" ")
			}
		}
		used := len(g.columns) + l.gap*(len(g.columns)-1)
		line.WriteString(strings.Repeat(" ", l.width(g)-used))
	}
	return line.String()
}

func (p *page) matrix(t *tally) {
	longest := 0
	for _, s := range t.scenarios {
		_, name, _ := strings.Cut(s.name, "/")
		longest = max(longest, width(name)+2)
		if p.unfolded(s) {
			for _, r := range s.rows {
				longest = max(longest, width(s.label(r))+4)
			}
		}
	}
	l := choose(t, p.Width, longest)
	p.columnHeads(l)
	family := ""
	for _, s := range t.scenarios {
		f, name, _ := strings.Cut(s.name, "/")
		if f != family {
			family = f
			p.line(strings.Repeat(" ", margin) + p.text(bold, f))
		}
		style := ""
		if s.failing() > 0 {
			style = bold
		}
		p.row(l, "  "+name, style, &s.block, s.rows)
		if !p.unfolded(s) {
			continue
		}
		quiet := 0
		for _, r := range s.rows {
			if r.failing() == 0 && !p.Rows {
				quiet++
				continue
			}
			p.row(l, "    "+s.label(r), dim, &r.block, []*rowTally{r})
		}
		if quiet > 0 {
			p.line(strings.Repeat(" ", margin) + p.text(dim, "    "+count(quiet, "other world without a failure", "other worlds without a failure")))
		}
	}
	p.line("")
	p.legend(t)
}

// unfolded: the scenario is drawn world by world.
func (p *page) unfolded(s *scenarioTally) bool {
	return len(s.rows) > 1 && (p.Rows || s.failing() > 0)
}

func (p *page) row(l layout, label, style string, b *block, rows []*rowTally) {
	some := func(n int) string {
		if n == 0 {
			return ""
		}
		return thousands(n)
	}
	line := strings.Repeat(" ", margin) + p.text(style, pad(shorten(label, l.label), l.label)) +
		fmt.Sprintf("%*s", countWidth, thousands(b.cells)) + p.text(yellow, fmt.Sprintf("%*s", countWidth, some(b.downgrade)))
	if rest := l.counts - 2*countWidth; rest > 0 {
		line += p.text(loudRed, fmt.Sprintf("%*s", rest, some(b.failing())))
	}
	p.line(line + p.cells(l, rows...))
}

// columnHeads names the servers and, below, each library's kind and version from top to bottom.
func (p *page) columnHeads(l layout) {
	lead := strings.Repeat(" ", margin+l.label)
	var servers strings.Builder
	heads := make([]strings.Builder, 3)
	deepest := 0
	for _, g := range l.groups {
		servers.WriteString(strings.Repeat(" ", serverGap) + p.text(bold, pad(serverName(g.server), l.width(g))))
		for i := range heads {
			var line strings.Builder
			for _, c := range g.columns {
				name := columnName(c.library)
				if i < len(name) {
					line.WriteByte(name[i])
					deepest = max(deepest, i+1)
				} else {
					line.WriteByte(' ')
				}
				line.WriteString(strings.Repeat(" ", l.gap))
			}
			heads[i].WriteString(strings.Repeat(" ", serverGap) + pad(strings.TrimRight(line.String(), " "), l.width(g)))
		}
	}
	lead += fmt.Sprintf("%*s%*s", countWidth, "cells", countWidth, "↓")
	if rest := l.counts - 2*countWidth; rest > 0 {
		lead += fmt.Sprintf("%*s", rest, "failing")
	}
	p.line(lead + servers.String())
	for _, h := range heads[:deepest] {
		p.line(strings.Repeat(" ", width(lead)) + p.text(dim, h.String()))
	}
}

// columnName is what stands over a library's column, a character a line: l17 is libpq17, s17 psql17, x pgx, q pq.
func columnName(l matrix.Library) string {
	if l == "" {
		return ""
	}
	return kindLetter(l) + strings.TrimPrefix(string(l), string(l.Kind()))
}

func kindLetter(l matrix.Library) string {
	switch l.Kind() {
	case matrix.KindLibpq:
		return "l"
	case matrix.KindPsql:
		return "s"
	case matrix.KindPGX:
		return "x"
	case matrix.KindPQ:
		return "q"
	}
	return string(l[:1])
}

func (p *page) legend(t *tally) {
	legend, used := "", 0
	for _, i := range []int{1, 2, 0, 3, 4, 5} {
		g := glyphs[i]
		entry := width(g.glyph + " " + g.name + "   ")
		if used+entry > p.Width {
			p.line("  " + legend)
			legend, used = "", 0
		}
		legend, used = legend+p.text(g.style, g.glyph)+" "+g.name+"   ", used+entry
	}
	p.line("  " + legend)
	var kinds []string
	for _, c := range t.columns {
		if k := kindLetter(c.library) + " " + string(cmp.Or(c.library.Kind(), matrix.ClientKind(c.library))); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	text := fmt.Sprintf("Columns: the client library (%s, with its version) under the server's version. Each sign is the worst of its cells; ↓ counts sessions in plaintext after encryption was tried.", strings.Join(kinds, ", "))
	for _, l := range wrap(text, p.Width-2) {
		p.line("  " + p.text(dim, l))
	}
	p.line("")
}

// obtained draws what an attacker had of the attempts of each scenario about that.
func (p *page) obtained(t *tally) {
	for _, s := range t.scenarios {
		table := s.attacks.table()
		if table == nil {
			continue
		}
		p.rule("What an attacker in the middle obtains", s.name)
		for l := range strings.SplitSeq(table.Render(), "\n") {
			p.line(" " + l)
		}
		p.line("")
	}
}

func (p *page) totals(t *tally) {
	p.rule("Result", "")
	var parts []phrase
	for i, s := range verdict.Statuses {
		part := phrase{text: fmt.Sprintf("%s %s", s, thousands(t.Counts[s])), style: dim}
		if t.Counts[s] > 0 {
			part.style = statusStyle(s)
		}
		if i > 0 {
			part.text = "+ " + part.text
		}
		parts = append(parts, part)
	}
	p.flow("cells", append(parts, phrase{"= " + thousands(t.Counts.Total()), bold}))
	p.flow("connected", []phrase{
		{pad(thousands(t.ends[matrix.Connected]), 8), ""},
		{"first choice " + thousands(t.descents[matrix.First]) + ",", ""},
		{"fallback " + thousands(t.descents[matrix.Fallback]) + ",", ""},
		{"downgrade to plaintext " + thousands(t.descents[matrix.Downgrade]), yellow}})
	var stages []string
	for _, s := range matrix.Stages {
		if n := t.stages[s]; n > 0 {
			stages = append(stages, string(s)+" "+thousands(n))
		}
	}
	p.hanging("refused", bold, strings.ReplaceAll(pad(thousands(t.ends[matrix.Refused]), 8), " ", "\u00a0")+" "+strings.Join(stages, ", "))
	p.hanging("time", bold, p.times(t))
	for _, k := range sortedKnown(t.known) {
		p.hanging("known", yellow, fmt.Sprintf("%s: %s (%s)", count(k.cells, "cell", "cells"), k.cause, k.pos))
	}
	for _, i := range t.header.Images {
		if i.Unavailable != "" {
			p.unavailable(i)
		}
	}
	for _, s := range t.Stale {
		p.hanging("stale", red, fmt.Sprintf("%s: %s names no cell; remove the entry", s.Pos, s.Pattern))
	}
	if t.Incomplete != "" {
		p.hanging("incomplete", red, t.Incomplete+"; "+p.missing(t))
	}
	if files := p.reportFiles(); len(files) > 0 {
		p.hanging("files", bold, strings.Join(files, " "))
	}
	p.line("")
	p.line("  " + p.judgement(t))
}

func (p *page) reportFiles() []string {
	if p.run.Path == "" {
		return p.Files
	}
	return append([]string{p.run.Path}, p.Files...)
}

func (p *page) times(t *tally) string {
	end := t.last
	if t.Trailer != nil {
		end = t.Trailer.End
	}
	whole := end.Sub(t.header.Start)
	text := clock(whole)
	attempting := t.last.Sub(t.first)
	if t.Trailer != nil && t.Trailer.Attempt > 0 {
		attempting = t.Trailer.Attempt
	}
	if attempted := t.ends[matrix.Connected] + t.ends[matrix.Refused]; attempting > 0 && attempted > 0 {
		text += fmt.Sprintf(", %.0f cells/s over %s of attempts", float64(attempted)/attempting.Seconds(), clock(attempting))
	}
	if t.Trailer != nil && t.Trailer.Envs > 0 {
		text += fmt.Sprintf(", %s provisioned in %s", count(t.Trailer.Envs, "env", "envs"), clock(t.Trailer.Provision))
		if whole > 0 {
			text += fmt.Sprintf(" (%.0f %%)", 100*t.Trailer.Provision.Seconds()/whole.Seconds())
		}
	}
	return text
}

func (p *page) missing(t *tally) string {
	text := count(t.header.Cells-t.Counts.Total(), "cell", "cells") + " not reached"
	if t.Trailer == nil {
		return text
	}
	var where []string
	for _, s := range slices.Sorted(maps.Keys(t.Trailer.NotReached)) {
		where = append(where, fmt.Sprintf("%s %s", s, thousands(t.Trailer.NotReached[s])))
	}
	if len(where) > 0 {
		text += ": " + strings.Join(where, ", ")
	}
	return text
}

func (p *page) judgement(t *tally) string {
	if t.Green() {
		text := p.text("1;32", "GREEN") + "  " + count(t.Counts[verdict.Agree], "cell agrees", "cells agree") + " with the oracle, none fails"
		if lost := t.header.Lost; lost > 0 {
			text += "; " + count(lost, "cell", "cells") + " not to be had here"
		}
		return text
	}
	var why []string
	for _, s := range []verdict.Status{verdict.Differ, verdict.Broken, verdict.Drift} {
		if n := t.Counts[s]; n > 0 {
			why = append(why, fmt.Sprintf("%s %s", s, thousands(n)))
		}
	}
	if n := len(t.Stale); n > 0 {
		why = append(why, count(n, "stale divergence", "stale divergences"))
	}
	if t.Incomplete != "" {
		why = append(why, "incomplete")
	}
	if len(why) == 0 {
		why = append(why, "no cell agreed: nothing was shown")
	}
	return p.text(loudRed, "FAILED") + "  " + strings.Join(why, ", ")
}

type knownCells struct {
	cause, pos string
	cells      int
}

func sortedKnown(known map[[2]string]int) []knownCells {
	var list []knownCells
	for k, n := range known {
		list = append(list, knownCells{k[0], k[1], n})
	}
	slices.SortFunc(list, func(a, b knownCells) int { return strings.Compare(a.pos+a.cause, b.pos+b.cause) })
	return list
}

func millis(us int64) string {
	return fmt.Sprintf("%.1f ms", float64(us)/float64(time.Millisecond/time.Microsecond))
}
