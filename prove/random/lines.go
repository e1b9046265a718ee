package random

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// Lines are the lines of a corpus, from which many short files are made quickly: for readers, which see each of them once, and no server does.
type Lines struct{ hba, ident, further []string }

// longLine is the length in bytes above which a line is not taken.
const longLine = 400

// NewLines takes each line once, with the end that it has.
func NewLines(from []corpus.Case) *Lines {
	l := &Lines{}
	taken := map[string]bool{}
	take := func(into *[]string, text string) {
		for line := range strings.SplitAfterSeq(text, "\n") {
			if line != "" && len(line) <= longLine && !taken[line] {
				taken[line] = true
				*into = append(*into, line)
			}
		}
	}
	for _, c := range from {
		take(&l.hba, c.HBA)
		take(&l.ident, c.Ident)
		for _, f := range c.Files {
			take(&l.further, f.Text)
		}
	}
	return l
}

// Set is set number n of a seed: rules of one or two lines, and as often as not maps, and a further file that the corpus often names, of one line. One set in
// three is not changed; the others have up to four changes, each of which may be any byte.
func (l *Lines) Set(seed, n uint64) (c corpus.Case) {
	g := rand.New(rand.NewPCG(seed, n))
	changes := max(0, g.IntN(6)-1)
	c.HBA = l.text(g, l.hba, changes)
	if g.IntN(2) == 0 {
		c.HBA += anyLine(g, l.hba)
	}
	if g.IntN(2) == 0 {
		c.Ident = l.text(g, l.ident, changes/2)
	}
	if g.IntN(4) == 0 {
		c.Files = []matrix.File{{Path: furtherPaths[g.IntN(len(furtherPaths))], Text: l.text(g, l.further, changes/2)}}
	}
	return c
}

var furtherPaths = []string{"names", "users", "people", "more", "a.conf", "d/a.conf", "d/b.conf"}

func (l *Lines) text(g *rand.Rand, lines []string, changes int) string {
	line := anyLine(g, lines)
	if changes == 0 {
		return line
	}
	text := []byte(line)
	for range changes {
		text = l.change(g, text)
	}
	return string(text)
}

func anyLine(g *rand.Rand, lines []string) string { return lines[g.IntN(len(lines))] }

// change makes one change to a text.
func (l *Lines) change(g *rand.Rand, text []byte) []byte {
	at := g.IntN(len(text) + 1)
	end := min(at+1+g.IntN(12), len(text))
	switch g.IntN(6) {
	case 0:
		return slices.Insert(text, at, byte(g.IntN(256)))
	case 1, 2:
		return slices.Insert(text, at, []byte(string(letters[g.IntN(len(letters))]))...)
	case 3:
		return slices.Delete(text, at, end)
	case 4:
		return slices.Insert(text, at, slices.Clone(text[at:end])...)
	}
	other := anyLine(g, l.hba)
	from := g.IntN(len(other))
	return slices.Insert(text, at, []byte(other[from:min(from+1+g.IntN(24), len(other))])...)
}
