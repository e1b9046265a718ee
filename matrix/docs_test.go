package matrix

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const docsFile = "../docs/scenarios.md"

// row is a line of a Markdown table.
func row(cells ...string) string {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func code(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "` `") + "`"
}

func axisTable(kind AxisKind) string {
	table := row("axis", "values", "default", "meaning") + row("---", "---", "---", "---")
	for _, a := range Axes {
		if a.Kind != kind {
			continue
		}
		values, byDefault := code(a.Words()), code([]string{a.Default})
		switch {
		case a.Name == "hba" || a.Name == "ident":
			values = "a text, or several by name"
		case a.Name == "address":
			values = "addresses of `network`"
		case a.Values == nil:
			values = "any"
		}
		switch {
		case a.Optional():
			byDefault = "not given"
		case a.Name == "hba":
			byDefault = "none; required"
		case a.Name == "ident":
			byDefault = "an empty file"
		case a.Name == "load":
			byDefault = "reload, of rules that must load"
		case a.Name == "principal":
			byDefault = "the user"
		}
		table += row("`"+a.Name+"`", values, byDefault, a.Doc)
	}
	return table
}

// commentsOf are the line comments of the string constants of a type in vocabulary.go, which describe them.
func commentsOf(t *testing.T, typeName string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "vocabulary.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName {
				comments[strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)] = strings.TrimSpace(spec.Comment.Text())
			}
		}
	}
	return comments
}

func meanings[T ~string](t *testing.T, what, typeName string, words []T) string {
	table := row(what, "meaning") + row("---", "---")
	comments := commentsOf(t, typeName)
	for _, w := range words {
		if comments[string(w)] == "" {
			t.Errorf("%s %s has no comment that describes it", what, w)
		}
		table += row("`"+string(w)+"`", comments[string(w)])
	}
	return table
}

func groupTable() string {
	table := row("group", "clients", "which") + row("---", "---", "---")
	for _, g := range ClientGroups {
		table += row("`"+g.Name+"`", code(stringsOf(g.Members())), g.Meaning)
	}
	return table
}

func asksTable() string {
	table := row("asks", "the session") + row("---", "---")
	for _, a := range Asks {
		table += row("`"+a.Name+"`", a.Meaning)
	}
	return table
}

func attackTable(attacks []AttackInfo) string {
	table := row("attack", "what happens") + row("---", "---")
	for _, a := range attacks {
		table += row("`"+string(a.Name)+"`", a.Meaning)
	}
	return table
}

func tlsFaultTable() string {
	table := row("tls_files", "which") + row("---", "---") + row("`"+GoodTLSFiles+"`", "nothing is broken")
	for _, f := range TLSFaults {
		table += row("`"+f.Name+"`", f.Doc)
	}
	return table
}

func keyFormTable() string {
	table := row("key", "which") + row("---", "---")
	for _, k := range KeyForms {
		table += row("`"+k.Name+"`", k.Doc)
	}
	return table
}

func certificateTable(what string, catalogue []Certificate) string {
	table := row(what, "which") + row("---", "---")
	for _, c := range catalogue {
		table += row("`"+c.Name+"`", c.Doc)
	}
	return table
}

func certificateKeyTable() string {
	table := row("key", "what") + row("---", "---")
	for _, k := range certificateKeys {
		table += row("`"+k.name+"`", k.doc)
	}
	return table
}

func issuerTable() string {
	table := row("issuer", "which") + row("---", "---")
	for _, i := range Issuers {
		table += row("`"+i.Name+"`", i.Doc)
	}
	return table
}

// tables are the parts of docs/scenarios.md that are made from the code.
func tables(t *testing.T) map[string]string {
	keys := row("key", "under", "what") + row("---", "---", "---")
	for _, k := range scenarioKeys {
		keys += row("`"+k+"`", "", keyDocs[k])
	}
	for _, k := range worldKeys {
		keys += row("`"+k.name+"`", "`world`", k.doc)
	}
	for k, doc := range keyDocs {
		if !slices.Contains(scenarioKeys, k) || doc == "" {
			t.Errorf("key %s is documented and not read", k)
		}
	}
	reasons := row("reason", "at", "meaning") + row("---", "---", "---")
	for _, r := range Reasons {
		reasons += row("`"+string(r.Reason)+"`", code(stringsOf(r.Stages)), r.Meaning)
	}
	parts := row("part", "states") + row("---", "---") +
		row("`connected`, `connected CHANNEL`", "there was a session; channel: "+code(stringsOf(Channels))) +
		row("`refused`, `refused at STAGE`", "there was no session; the stage in which the attempt ended") +
		row("`REASON`", "why it was refused: see Reasons") +
		row("`channel CHANNEL`", "how the connection that decided was protected") +
		row("`method METHOD`", "the method of the pg_hba.conf record that decided: "+code(stringsOf(Methods))) +
		row("`identity NAME`", "what was authenticated: principal, certificate DN, operating system user or role; in double quotes if it contains a comma") +
		row("`role NAME`", "the session's role; connected outcomes only") +
		row("`hba:LINE`", "the line of the hba text that decided, counted from 1") +
		row("`rule FILE:LINE`", "the same for a file that it includes; FILE is its path from the directory of pg_hba.conf on") +
		row("`trace STEP STEP …`", "the negotiation: see Steps of a trace") +
		row("`answer WORD`", "what the session answered; connected cells with `asks` only: see Answers") +
		row("`obtains WHAT`", "what the attacker got; cells with an attack only") +
		row("`load \"WORDS\"`", "what the server said of rules that it did not load: see Files that do not load") +
		row("`descent DESCENT`", "whether the session has the protection that was tried first")
	return map[string]string{
		"keys":                    keys,
		"world axes":              axisTable(WorldAxis),
		"client axes":             axisTable(ClientAxis),
		"groups":                  groupTable(),
		"parts":                   parts,
		"asks":                    asksTable(),
		"attacks":                 attackTable(AttacksOf(Relay)),
		"sequences":               attackTable(AttacksOf(RawClient)),
		"certificate keys":        certificateKeyTable(),
		"issuers":                 issuerTable(),
		"server certificates":     certificateTable("servercert", ServerCertificates),
		"client certificates":     certificateTable("cert", ClientCertificates),
		"keys of clients":         keyFormTable(),
		"faults of files for TLS": tlsFaultTable(),
		"obtained":                meanings(t, "obtains", "Obtained", Obtaineds),
		"descents":                meanings(t, "descent", "Descent", []Descent{First, Fallback, Downgrade}),
		"stages":                  meanings(t, "stage", "Stage", Stages),
		"reasons":                 reasons,
		"steps":                   meanings(t, "step", "Step", Steps),
	}
}

var madeFromCode = regexp.MustCompile(`(?s)<!-- made from the code: ([a-zA-Z ]+) -->\n(.*?)<!-- end -->\n`)

func TestDocsAreInStep(t *testing.T) {
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	all := tables(t)
	want := madeFromCode.ReplaceAllStringFunc(string(docs), func(part string) string {
		name := madeFromCode.FindStringSubmatch(part)[1]
		table, ok := all[name]
		if !ok {
			t.Fatalf("%s wants %q, which no code makes", docsFile, name)
		}
		delete(all, name)
		return fmt.Sprintf("<!-- made from the code: %s -->\n%s<!-- end -->\n", name, table)
	})
	for name := range all {
		t.Errorf("%s has no place for %q", docsFile, name)
	}
	inStep(t, docsFile, []byte(want))
}

// TestClaimsAndMuseumAreInStep: the id that a scenario names is a row of the table, and the row names all scenarios that name the id.
func TestClaimsAndMuseumAreInStep(t *testing.T) {
	all, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []struct {
		file    string
		row     *regexp.Regexp // the line up to its last cell; the id
		ids     func(*Scenario) []string
		unshown string // how the last cell of a row that no scenario names begins: it says why; empty: there may be none
	}{
		{"../docs/claims.md", regexp.MustCompile(`(?m)^(\| (S\d+) \| [^|]+ \| [^|]+ \|)(.*) \|$`), func(s *Scenario) []string { return s.Claims }, " none: "},
		{"../docs/museum.md", regexp.MustCompile(`(?m)^(\| ([A-Z]\d+) \| [^|]+ \|)(.*) \|$`), func(s *Scenario) []string { return s.Museum }, ""},
	} {
		docs, err := os.ReadFile(table.file)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string][]string{}
		for _, s := range all {
			for _, id := range table.ids(s) {
				by[id] = append(by[id], s.Name)
			}
		}
		want := table.row.ReplaceAllStringFunc(string(docs), func(line string) string {
			m := table.row.FindStringSubmatch(line)
			names := by[m[2]]
			delete(by, m[2])
			if len(names) > 0 {
				return m[1] + " " + code(names) + " |"
			}
			if table.unshown == "" || !strings.HasPrefix(m[3], table.unshown) {
				t.Errorf("%s: no scenario shows %s; the last cell of its row is to say why: none: …", table.file, m[2])
			}
			return line
		})
		for id, scenarios := range by {
			t.Errorf("%s has no row %s, which %v names", table.file, id, scenarios)
		}
		inStep(t, table.file, []byte(want))
	}
}

// TestClaimsAreInStep: docs/claims.md has the rows of claims.yaml.
func TestClaimsAreInStep(t *testing.T) {
	const file = "../docs/claims.md"
	rows, err := LoadClaims(os.DirFS("../scenarios"), ClaimsFile)
	if err != nil {
		t.Fatal(err)
	}
	table := row("claim", "what the cells show", "cells") + row("---", "---", "---")
	for _, s := range rows {
		table += row(s.Claim+", as "+s.As, s.Says, code(s.Patterns))
	}
	docs, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- made from scenarios/claims.yaml -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(docs), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the rows of %s", file, ClaimsFile)
	}
	inStep(t, file, []byte(before+begin+table+end+after))
}

// TestScenarioFilesAreEmbedded: the patterns of scenarios/embed.go match FAMILY/NAME.yaml and no scenario deeper.
func TestScenarioFilesAreEmbedded(t *testing.T) {
	all, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Pos != s.Name+".yaml:1:1" {
			t.Errorf("%s is not where it is embedded", s.Pos)
		}
	}
}

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocsExamplesLoad loads every YAML example, and every pattern that the text names matches the ID that it shows.
func TestDocsExamplesLoad(t *testing.T) {
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllStringSubmatch(string(docs), -1)
	if len(examples) < 3 {
		t.Errorf("%d examples", len(examples))
	}
	for _, e := range examples {
		s := load(t, e[1])
		if len(s.Expand()) == 0 {
			t.Errorf("%s has no cells", s.Question)
		}
	}
	load(t, "question: q\nworld:\n  "+`hba: "host\u00a0all all all trust\n"`+"\n")
	const id = "negotiation/both/pg17/ssl=on,keytab=good/libpq17/user=alice,ticket=valid,gssencmode=prefer"
	if !strings.Contains(string(docs), id) {
		t.Errorf("the ID that is explained is not %s", id)
	}
	for _, pattern := range []string{"negotiation", "negotiation/both/pg17", "*/both", "**/libpq17", "**/*gssencmode=prefer*"} {
		if !strings.Contains(string(docs), "`"+pattern+"`") || !MatchID(pattern, id) {
			t.Errorf("%s is not shown, or does not match", pattern)
		}
	}
	divergence := string(docs)[strings.Index(string(docs), "    - cell:"):]
	if d, err := LoadDivergences(fstest.MapFS{"d.yaml": {Data: []byte(divergence)}}, "d.yaml"); err != nil || len(d) != 1 {
		t.Errorf("the divergence that is shown: %v, %v", d, err)
	}
}

// Every family has a paragraph that says to newcomers what it is about.
func TestEveryFamilyIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../docs/families.md")
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		family, paragraph, _ := strings.Cut(section, "\n")
		paragraphs[family] = strings.TrimSpace(paragraph)
	}
	folders, err := os.ReadDir("../scenarios")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if words := len(strings.Fields(paragraphs[f.Name()])); f.IsDir() && words < 10 {
			t.Errorf("docs/families.md has %d words about the family %s; write a paragraph under \"## %s\"", words, f.Name(), f.Name())
		}
	}
}
