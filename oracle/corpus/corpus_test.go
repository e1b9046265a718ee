package corpus

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestParse(t *testing.T) {
	cases, err := Parse("x.txt", `
== first
-- pg_hba.conf

host  all  all  all  trust
# the last line

-- pg_ident.conf quoted
"m a b\r\n"
"m c \"d\""
-- d/f.conf
-- said 13 15
log  pg_hba.conf:1: words
log  "words\rwith odd letters"
rule pg_hba.conf:1 host [all] [all] all - trust
-- said 18
map  pg_ident.conf:1 m a b

== second
-- pg_hba.conf quoted
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Case{
		{Name: "first", HBA: "\nhost  all  all  all  trust\n# the last line\n", Ident: "m a b\r\nm c \"d\"", Files: []matrix.File{{Path: "d/f.conf"}}, Said: []Said{
			{[]int{13, 15}, Answer{Log: []string{"pg_hba.conf:1: words", "words\rwith odd letters"}, Rules: []string{"pg_hba.conf:1 host [all] [all] all - trust"}}},
			{[]int{18}, Answer{Mappings: []string{"pg_ident.conf:1 m a b"}}},
		}},
		{Name: "second"},
	}
	if !slices.EqualFunc(cases, want, same) {
		t.Errorf("%+v", cases)
	}
	if w := cases[0].World(15); w.Server != 15 || w.HBA != want[0].HBA || w.Ident != want[0].Ident || len(w.Files) != 1 || w.SSL != "on" {
		t.Errorf("%+v", w)
	}
}

func same(a, b Case) bool {
	return a.Name == b.Name && a.HBA == b.HBA && a.Ident == b.Ident && slices.Equal(a.Files, b.Files) && slices.EqualFunc(a.Said, b.Said, func(x, y Said) bool { return slices.Equal(x.Versions, y.Versions) && x.Equal(&y.Answer) })
}

// TestFormatIsRead: whatever texts a case has, it is read as it was written.
func TestFormatIsRead(t *testing.T) {
	for _, text := range []string{"", "\n", "a", "a\n", "a\n\n", "\n\na\n", "a \n", " a\n", "a\r\n", "== a\n", "a\n-- b\n", "\t\n", "\"\n", "ä\n", "\x7f\n", "\ufeffa\n", "log x\n"} {
		c := Case{Name: "x", HBA: text, Ident: text, Files: []matrix.File{{Path: "f", Text: text}}, Said: []Said{{[]int{18}, Answer{Log: []string{"a", "\r"}}}}}
		got, err := Parse("x.txt", Format([]Case{c, {Name: "y"}}))
		if err != nil || len(got) != 2 || !same(got[0], c) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestBadGroups(t *testing.T) {
	for text, want := range map[string]string{
		"host\n":                       `x.txt:1: "host": want == NAME`,
		"== \n":                        `x.txt:1: "": want a name`,
		"== a\n-- pg_hba.conf\n== a\n": `x.txt:3: "a": want a name that no other case has`,
		"== a\n== b\n":                 `x.txt:2: case "a" has no file`,
		"== a\n":                       `case "a" has no file`,
		"== a\nhost\n":                 `x.txt:2: "host": want -- FILE`,
		"== a\n-- ../x\n":              `x.txt:2: "../x": want a path in the configuration directory`,
		"== a\n-- x\n-- x\n":           `x.txt:3: x is there twice`,
		"== a\n-- x quoted\nhost\n":    `x.txt:3: host: want a text in double quotes`,
		"== a\n-- x\n-- said\n":        `x.txt:3: "said": want versions`,
		"== a\n-- x\n-- said x\n":      `x.txt:3: "x": want versions`,
		"== a\n-- x\n-- said 13\n-- said 15 13\n": `x.txt:4: "15 13": want versions that have not said anything yet`,
		"== a\n-- x\n-- said 13\nwords\n":         `x.txt:4: "words": want log, rule, map or line`,
	} {
		if _, err := Parse("x.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestRecord(t *testing.T) {
	c := Case{}
	a, b := Answer{Log: []string{"a"}}, Answer{Rules: []string{"b"}}
	c.Record(18, a)
	c.Record(13, b)
	c.Record(15, a)
	c.Record(13, b)
	if len(c.Said) != 2 || !slices.Equal(c.Said[0].Versions, []int{13}) || !slices.Equal(c.Said[1].Versions, []int{15, 18}) {
		t.Errorf("%+v", c.Said)
	}
	c.Record(13, a)
	if len(c.Said) != 1 || !slices.Equal(c.Said[0].Versions, []int{13, 15, 18}) || c.By(13) == nil || c.By(14) != nil {
		t.Errorf("%+v", c.Said)
	}
}

func TestDifferences(t *testing.T) {
	text := Differences("x", &Answer{Log: []string{"a", "b"}}, "said", &Answer{Log: []string{"a"}, Mappings: []string{"m"}})
	if want := "  log 2  x     b\n  log 2  said  (nothing)\n  map 1  x     (nothing)\n  map 1  said  m\n"; text != want {
		t.Errorf("%s", text)
	}
}

// TestCorpus: the groups are as -update writes them.
func TestCorpus(t *testing.T) {
	groups, err := Load()
	if err != nil || len(groups) < 5 {
		t.Fatalf("%d groups, %v", len(groups), err)
	}
	for _, g := range groups {
		text, err := os.ReadFile(g.Name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if g.Text() != string(text) {
			t.Errorf("%s.txt is not as it is written: go test ./prove -run TestCorpus -update", g.Name)
		}
		for _, c := range g.Cases {
			if len(c.Said) == 0 {
				t.Errorf("%s: %s: no server was asked", g.Name, c.Name)
			}
		}
	}
}
