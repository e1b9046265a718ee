package random

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

func loadCases(t *testing.T) (cases []corpus.Case) {
	groups, err := corpus.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		cases = append(cases, g.Cases...)
	}
	return cases
}

// TestFilesAreNearTheCorpus: a seed gives the same sets, all of them texts without zero bytes; few are a case as it is, and most have a line of one.
func TestFilesAreNearTheCorpus(t *testing.T) {
	from := loadCases(t)
	known, lines := map[string]bool{}, map[string]bool{}
	for _, c := range from {
		known[c.HBA+"\x00"+c.Ident] = true
		for line := range strings.SplitSeq(c.HBA+c.Ident, "\n") {
			lines[line] = len(line) > 3
		}
	}
	const sets = 2000
	same, near, files, different := 0, 0, 0, map[string]bool{}
	for n := 1; n <= 2*sets; n++ {
		c, again := Files(3, n, from), Files(3, n, from)
		if c.HBA != again.HBA || c.Ident != again.Ident || len(c.Files) != len(again.Files) || len(c.Said) != 0 {
			t.Fatalf("set %d is not the same again", n)
		}
		if !utf8.ValidString(c.HBA) || strings.Contains(c.HBA+c.Ident, "\x00") {
			t.Errorf("set %d: %q", n, c.HBA)
		}
		different[c.HBA+c.Ident] = true
		if n%2 == 0 {
			continue
		}
		if known[c.HBA+"\x00"+c.Ident] {
			same++
		}
		for line := range strings.SplitSeq(c.HBA+c.Ident, "\n") {
			if lines[line] {
				near++
				break
			}
		}
		if len(c.Files) > 0 {
			files++
		}
	}
	if same > sets/10 || near < sets/2 || files < sets/20 || len(different) < 2*sets*9/10 {
		t.Errorf("of %d sets %d are cases as they are, %d are near one, %d have further files; %d differ", sets, same, near, files, len(different))
	}
	if c := Files(3, 1, nil); c.HBA == "" {
		t.Error("without a corpus there are the rules of a random scenario")
	}
}

// TestAround: a scenario about a case has its texts byte for byte, and can be said.
func TestAround(t *testing.T) {
	parsed := 0
	for i, c := range loadCases(t) {
		s := Around("x", 1, i, c)
		if s.HBA.String() != c.HBA || s.Ident.String() != c.Ident || len(s.Files) != len(c.Files) || s.Load != matrix.Reload || s.Networks == nil {
			t.Errorf("%s: %q", c.Name, s.HBA.String())
		}
		if loaded, err := matrix.Parse(s.Name+".yaml", s.YAML()); err == nil {
			parsed++
			if cells := loaded.Expand(); len(cells) == 0 || cells[0].World.HBA != c.HBA || cells[0].World.Ident != c.Ident {
				t.Errorf("%s: the scenario has other texts", c.Name)
			}
		}
	}
	if parsed < 300 {
		t.Errorf("%d cases can be said as scenarios", parsed)
	}
}

// TestCorpusIsNotChanged: the cases from which files begin stay as they are.
func TestCorpusIsNotChanged(t *testing.T) {
	from := []corpus.Case{{HBA: "host all @names all trust\n", Files: []matrix.File{{Path: "names", Text: "alice\n"}}}}
	for n := range 400 {
		Files(5, 2*n+1, from)
	}
	if from[0].HBA != "host all @names all trust\n" || from[0].Files[0].Text != "alice\n" {
		t.Errorf("%+v", from[0])
	}
}
