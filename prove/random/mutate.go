package random

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// Files are set number n of a seed: every other set is the rules and maps of a random scenario, and each of the others is a case of a corpus with
// a few changes.
func Files(seed uint64, n int, from []corpus.Case) corpus.Case {
	if n%2 == 0 || len(from) == 0 {
		s := Generate(seed, n)
		c := corpus.Case{HBA: s.HBA.String(), Ident: s.Ident.String()}
		for _, f := range s.Files {
			c.Files = append(c.Files, matrix.File{Path: f.Path, Text: f.Text.String()})
		}
		return c
	}
	g := &mutator{Rand: rand.New(rand.NewPCG(seed, uint64(n))), from: from}
	c := from[g.IntN(len(from))]
	c.Files, c.Said = slices.Clone(c.Files), nil
	for range 1 + g.IntN(4) {
		text := &c.HBA
		switch i := g.IntN(10); {
		case i < 2 || c.HBA == "" && i < 6:
			text = &c.Ident
		case i == 2 && len(c.Files) > 0:
			text = &c.Files[g.IntN(len(c.Files))].Text
		}
		*text = g.change(*text)
	}
	return c
}

// mutator changes texts a little.
type mutator struct {
	*rand.Rand
	from []corpus.Case
}

// letters are those that mean something to hba.c, or to what it calls, and a few that mean nothing.
var letters = []rune(" \t\",#\\@/+=-_.:%!*()[]{}^$|?~0123456789aefxlA\r\n\n  \"\"\",,,é\v")

// change makes one change.
func (g *mutator) change(text string) string {
	lines := strings.SplitAfter(text, "\n")
	i := g.IntN(len(lines))
	switch g.IntN(9) {
	case 0: // a line less
		return strings.Join(slices.Delete(lines, i, i+1), "")
	case 1: // a line twice
		return strings.Join(slices.Insert(lines, i, ended(lines[g.IntN(len(lines))])), "")
	case 2, 3: // a line of another text
		return strings.Join(slices.Insert(lines, i, ended(g.line())), "")
	case 4: // another word
		lines[i] = g.words(lines[i])
		return strings.Join(lines, "")
	case 5: // two words
		lines[i] = g.words(g.words(lines[i]))
		return strings.Join(lines, "")
	}
	r := []rune(text)
	at := g.IntN(len(r) + 1)
	letter := letters[g.IntN(len(letters))]
	switch {
	case g.IntN(3) == 0 || at == len(r):
		r = slices.Insert(r, at, letter)
	case g.IntN(2) == 0:
		r[at] = letter
	default:
		r = slices.Delete(r, at, min(at+1+g.IntN(3), len(r)))
	}
	return string(r)
}

func ended(line string) string { return strings.TrimSuffix(line, "\n") + "\n" }

// line is a line of the corpus.
func (g *mutator) line() string {
	c := g.from[g.IntN(len(g.from))]
	text := c.HBA
	if c.Ident != "" && g.IntN(2) == 0 {
		text = c.Ident
	}
	lines := strings.Split(text, "\n")
	return lines[g.IntN(len(lines))]
}

// words changes a word of a line: it is left out, quoted, doubled, or another one comes in its place.
func (g *mutator) words(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		return g.line() + line
	}
	i := g.IntN(len(words))
	switch g.IntN(6) {
	case 0:
		words = slices.Delete(words, i, i+1)
	case 1:
		words[i] = `"` + words[i] + `"`
	case 2:
		words = slices.Insert(words, i, words[i])
	case 3:
		words[i] += "," + words[g.IntN(len(words))]
	default:
		if others := strings.Fields(g.line()); len(others) > 0 {
			words[i] = others[g.IntN(len(others))]
		}
	}
	end := line[len(strings.TrimRight(line, "\r\n")):]
	return strings.Join(words, " ") + end
}

// Around is a scenario about a set of files: roles, networks and clients are chosen as in any other.
func Around(name string, seed uint64, n int, c corpus.Case) *Scenario {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(n)))}
	s := &g.Scenario
	s.Name, s.Question = Family+"/"+name, "Who gets in under files that are nearly those of the corpus?"
	s.Server, s.SSL, s.Load = anyOf(g, matrix.ServerVersions), "on", matrix.Reload
	g.people()
	for s.Networks == nil {
		g.addresses()
	}
	g.plain = true
	s.Before = g.hba(1)
	s.HBA, s.Ident = entries(c.HBA), entries(c.Ident)
	for _, f := range c.Files {
		s.Files = append(s.Files, File{f.Path, entries(f.Text)})
	}
	slices.SortFunc(s.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	g.clients()
	return s
}

// entries are the lines of a text.
func entries(text string) (t Text) {
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line != "" {
			fields := strings.TrimSuffix(line, "\n")
			t = append(t, Entry{Fields: fields, Tail: line[len(fields):]})
		}
	}
	return t
}
