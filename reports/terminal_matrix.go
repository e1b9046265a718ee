package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// kindSigns stand over the columns of the matrix: one letter for each kind of client.
var kindSigns = map[matrix.ClientKind]string{
	matrix.KindLibpq:   "l",
	matrix.KindPsql:    "s",
	matrix.KindPGX:     "x",
	matrix.KindPQ:      "q",
	matrix.KindAsyncpg: "a",
	matrix.KindRaw:     "r",
}

// kindSign is the sign of a kind; that of a kind that this build does not know is its first letter.
func kindSign(kind string) string {
	_, size := utf8.DecodeRuneInString(kind)
	return cmp.Or(kindSigns[matrix.ClientKind(kind)], kind[:size])
}

// place is a column as it is drawn: one client, all clients of a kind, or all clients of a server.
type place struct {
	server  int
	kind    string // empty: all clients
	version string // empty: all clients of the kind
}

// head is what stands over the place, a letter a line: l17 is libpq17, x is pgx, a27 is a client of version 0.27.
func (p place) head() []rune {
	return []rune(kindSign(p.kind) + strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1 // the point of a version
	}, strings.TrimPrefix(p.version, "0.")))
}

func apart(c Column) place {
	kind, version := nameParts(c.Library)
	return place{c.Server, kind, version}
}

func byKind(c Column) place {
	kind, _ := nameParts(c.Library)
	return place{server: c.Server, kind: kind}
}

func together(c Column) place { return place{server: c.Server} }

// layout is a way to arrange the matrix: what shares a column, and how wide things are.
type layout struct {
	place  func(Column) place
	gap    int     // blanks between the columns of a server
	counts int     // width of the columns of numbers together
	groups []group // by server
	label  int     // width of the row's label
}

type group struct {
	server int
	places []place
}

const (
	countWidth = 7 // of the columns "cells", "↓" and "failing"
	margin     = 2
	serverGap  = 2
	narrowest  = 12 // the least width of a row's label: with more servers than fit beside it, lines grow too long
)

// layouts are tried in turn: the first that leaves the row's label its room is taken.
var layouts = []struct {
	place func(Column) place
	gap   int
	least int // width of the row's label that it must leave
}{{apart, 1, 34}, {apart, 0, 24}, {byKind, 1, 24}, {byKind, 0, 16}, {together, 0, 0}}

// choose takes the most detailed layout that fits so many columns of the terminal. longest is the width of the longest
// label.
func choose(v *View, columns, longest int) layout {
	var l layout
	for _, candidate := range layouts {
		l = layout{place: candidate.place, gap: candidate.gap, counts: 2 * countWidth}
		if len(v.Failures) > 0 {
			l.counts += countWidth + 1
		}
		for _, c := range v.Columns {
			at := l.place(c)
			if n := len(l.groups); n == 0 || l.groups[n-1].server != at.server {
				l.groups = append(l.groups, group{server: at.server})
			}
			g := &l.groups[len(l.groups)-1]
			if !slices.Contains(g.places, at) {
				g.places = append(g.places, at)
			}
		}
		l.label = columns - margin - l.counts
		for _, g := range l.groups {
			l.label -= serverGap + l.width(g)
		}
		if l.label >= min(longest, candidate.least) {
			break
		}
	}
	l.label = max(min(l.label, longest), narrowest)
	return l
}

func (l layout) width(g group) int { return max(len(serverName(g.server)), l.used(g)) }

func (l layout) used(g group) int { return len(g.places) + l.gap*(len(g.places)-1) }

func serverName(v int) string { return "pg" + strconv.Itoa(v) }

// cells draws the blocks of one row, which is one or several worlds.
func (p *page) cells(l layout, worlds ...*WorldView) string {
	merged := map[place]*Block{}
	for _, w := range worlds {
		for c, b := range w.Blocks {
			at := l.place(c)
			if merged[at] == nil {
				merged[at] = &Block{}
			}
			merged[at].merge(b)
		}
	}
	var line strings.Builder
	for _, g := range l.groups {
		line.WriteString(strings.Repeat(" ", serverGap))
		for i, at := range g.places {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", l.gap))
			}
			if b := merged[at]; b != nil {
				line.WriteString(p.glyph(b))
			} else {
				line.WriteString(" ")
			}
		}
		line.WriteString(strings.Repeat(" ", l.width(g)-l.used(g)))
	}
	return line.String()
}

func (p *page) matrix(v *View) {
	l := choose(v, p.Width, p.longestLabel(v))
	p.columnHeads(l)
	family := ""
	for _, s := range v.Scenarios {
		f, name, _ := strings.Cut(s.Name, "/")
		if f != family {
			family = f
			p.line(strings.Repeat(" ", margin) + p.text(bold, f))
		}
		style := ""
		if s.Failing() > 0 {
			style = bold
		}
		p.row(l, "  "+name, style, &s.Block, s.Worlds...)
		if p.unfolded(s) {
			p.worlds(l, s)
		}
	}
	p.line("")
	p.legend(v, l)
}

func (p *page) longestLabel(v *View) int {
	longest := 0
	for _, s := range v.Scenarios {
		_, name, _ := strings.Cut(s.Name, "/")
		longest = max(longest, width(name)+2)
		if !p.unfolded(s) {
			continue
		}
		for _, w := range s.Worlds {
			longest = max(longest, width(w.Label)+4)
		}
	}
	return longest
}

// unfolded: the scenario is drawn world by world.
func (p *page) unfolded(s *ScenarioView) bool {
	return len(s.Worlds) > 1 && (p.Rows || s.Failing() > 0)
}

// worlds draws the worlds in which a cell fails or, with Options.Rows, every one.
func (p *page) worlds(l layout, s *ScenarioView) {
	quiet := 0
	for _, w := range s.Worlds {
		if w.Failing() == 0 && !p.Rows {
			quiet++
			continue
		}
		p.row(l, "    "+w.Label, dim, &w.Block, w)
	}
	if quiet > 0 {
		p.line(strings.Repeat(" ", margin) + p.text(dim, "    "+count(quiet, "other world without a failure", "other worlds without a failure")))
	}
}

func (p *page) row(l layout, label, style string, b *Block, worlds ...*WorldView) {
	some := func(n int) string {
		if n == 0 {
			return ""
		}
		return thousands(n)
	}
	line := strings.Repeat(" ", margin) + p.text(style, pad(shorten(label, l.label), l.label)) +
		fmt.Sprintf("%*s", countWidth, thousands(b.Cells)) + p.text(yellow, fmt.Sprintf("%*s", countWidth, some(b.Downgrade)))
	if rest := l.counts - 2*countWidth; rest > 0 {
		line += p.text(loudRed, fmt.Sprintf("%*s", rest, some(b.Failing())))
	}
	p.line(line + p.cells(l, worlds...))
}

// columnHeads names the servers and, below, each place from top to bottom.
func (p *page) columnHeads(l layout) {
	var servers strings.Builder
	deepest := 0
	for _, g := range l.groups {
		servers.WriteString(strings.Repeat(" ", serverGap) + p.text(bold, pad(serverName(g.server), l.width(g))))
		for _, at := range g.places {
			deepest = max(deepest, len(at.head()))
		}
	}
	lead := strings.Repeat(" ", margin+l.label) + fmt.Sprintf("%*s%*s", countWidth, "cells", countWidth, "↓")
	if rest := l.counts - 2*countWidth; rest > 0 {
		lead += fmt.Sprintf("%*s", rest, "failing")
	}
	p.line(lead + servers.String())
	for i := range deepest {
		line := strings.Repeat(" ", width(lead))
		for _, g := range l.groups {
			letters := make([]string, len(g.places))
			for n, at := range g.places {
				letters[n] = " "
				if head := at.head(); i < len(head) {
					letters[n] = string(head[i])
				}
			}
			line += strings.Repeat(" ", serverGap) + pad(strings.Join(letters, strings.Repeat(" ", l.gap)), l.width(g))
		}
		p.line(p.text(dim, trimEnd(line)))
	}
}

func (p *page) legend(v *View, l layout) {
	legend, used := "", 0
	for _, g := range glyphs {
		entry := width(g.glyph + " " + g.name + "   ")
		if used+entry > p.Width {
			p.line("  " + legend)
			legend, used = "", 0
		}
		legend, used = legend+p.text(g.style, g.glyph)+" "+g.name+"   ", used+entry
	}
	p.line("  " + legend)
	p.paragraph(columnsText(v, l) + " A sign shows the worst of its cells. ↓\u00a0counts sessions in plaintext after encryption was tried.")
	p.line("")
}

// columnsText says what the columns are.
func columnsText(v *View, l layout) string {
	var kinds []string
	versions := false
	for _, c := range v.Columns {
		at := l.place(c)
		if at.kind == "" {
			return "Columns: every client together, by server version."
		}
		versions = versions || at.version != ""
		if k := strings.ReplaceAll(kindSign(at.kind)+" "+at.kind, " ", "\u00a0"); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	text := "Columns: clients (" + strings.Join(kinds, ", ")
	if versions {
		text += "; below the letter, the client's version"
	} else {
		text += ", all versions together"
	}
	return text + "), by server version."
}
