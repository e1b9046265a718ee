package cases

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

var update = flag.Bool("update", false, "write the table of docs/catalogue.md")

const catalogueFolder = "../scenarios/customers"

var (
	fieldReport  = regexp.MustCompile(`\b[Ff]ield report R\d\d\b`)
	openQuestion = regexp.MustCompile(`(?m)#.*\?\s*$`) // as a comment of `repro --init`
)

// noClient are the reasons for which no real client can be of a class of clients.
var noClient = []string{"the server's own machine", "the operating system account postgres", "the principal alice@CORP.EXAMPLE/", "the principal some_other_role@CORP.EXAMPLE/"}

// catalogueNames are those of the cases of the catalogue.
func catalogueNames(t *testing.T) (names []string) {
	t.Helper()
	found, err := fs.Glob(os.DirFS(catalogueFolder), "*/"+CaseFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		names = append(names, strings.TrimSuffix(f, "/"+CaseFile))
	}
	return names
}

// Every case of the catalogue is one that a customer can have sent: it says where it is from, what was seen and what is wanted, leaves no question open, is predicted to end so, and
// what is advised cures it and lets in nobody whom the case does not name.
func TestCatalogue(t *testing.T) {
	names := catalogueNames(t)
	versions, libraries := map[int]bool{}, map[matrix.Library]bool{}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			folder := os.DirFS(catalogueFolder + "/" + name)
			c, err := ReadAt(folder, today)
			if err != nil {
				t.Fatal(err)
			}
			if c.Question == "" || c.Advice == "" || len(c.Connections) == 0 {
				t.Error("no question, advice or connection")
			}
			if len(c.Claims)+len(c.Museum) == 0 && !fieldReport.MatchString(c.Source) {
				t.Error("the case names no claim, no museum entry and no field report")
			}
			if source, err := fs.ReadFile(folder, CaseFile); err != nil || openQuestion.Match(source) {
				t.Errorf("%v: a question is open: %s", err, openQuestion.Find(source))
			}
			if slices.Contains([]int{14, 16}, c.Server.Version) {
				t.Errorf("Debian has no package of PostgreSQL %d: the case cannot be tried on every machine", c.Server.Version)
			}
			a := answer(t, c, nil)
			for _, wrong := range a.Wrong() {
				t.Error(wrong)
			}
			for i := range a.Connections {
				checkConnection(t, &a.Connections[i])
				libraries[a.Connections[i].Reported.Cell.Client.Library] = true
			}
			checkProbes(t, a)
			cells := 0
			for _, s := range c.Cells() {
				cells += len(s.Expand())
			}
			if cells > 250 {
				t.Errorf("%d cells: make the case smaller, it is tried whole", cells)
			}
			versions[c.Server.Version] = true
		})
	}
	if len(names) < 20 || len(versions) < 5 || len(libraries) < 5 {
		t.Errorf("%d cases, %d versions, %d clients: want 20, 5 and 5", len(names), len(versions), len(libraries))
	}
}

// checkConnection says whether a connection of the catalogue ends as it was seen to and, as advised, as is wanted.
func checkConnection(t *testing.T, one *Connection) {
	t.Helper()
	if shown, known := one.Shown(); !shown || !known {
		t.Errorf("%s: what was seen is not shown, or not said", one.Who)
	}
	if cured, known := one.Cured(); !cured || !known || one.Wanted == nil {
		t.Errorf("%s: what is wanted is not said, or what is advised does not cure it", one.Who)
	}
	if strings.HasPrefix(one.Who, "connection ") {
		t.Error("a connection without who")
	}
}

// checkProbes says whether a case accepts only what it has to, and a real client can be of each class that one can be of.
func checkProbes(t *testing.T, a *Answer) {
	t.Helper()
	for _, key := range a.Admits {
		if !slices.ContainsFunc(a.Changes, func(c Change) bool { return c.Key() == key && c.Admitted && !c.Wanted }) {
			t.Errorf("admits has %q, which the advice does not change", key)
		}
	}
	for i := range a.Case.Probes {
		p := &a.Case.Probes[i]
		if p.NotLive != "" && !slices.ContainsFunc(noClient, func(known string) bool { return strings.HasSuffix(p.NotLive, known) }) {
			t.Errorf("%s %s with %s: %s", p.Channel, p.User, p.Have, p.NotLive)
		}
	}
}

// docs/catalogue.md says of each case what was seen, which line decides, and what is advised.
func TestCatalogueDocs(t *testing.T) {
	const file, begin, end = "../docs/catalogue.md", "<!-- made from scenarios/customers: go test ./cases -run TestCatalogueDocs -update -->\n", "<!-- end -->"
	var b strings.Builder
	for _, name := range catalogueNames(t) {
		c, err := ReadAt(os.DirFS(catalogueFolder+"/"+name), today)
		if err != nil {
			t.Fatal(err)
		}
		a := answer(t, c, nil)
		ids := slices.Concat(fieldReport.FindAllString(c.Source, -1), c.Museum, c.Claims)
		fmt.Fprintf(&b, "## %s\n\n%s (%s; PostgreSQL %d)\n\n", name, c.Question, strings.TrimPrefix(strings.Join(ids, ", "), "field report "), c.Server.Version)
		for i := range a.Connections {
			one := &a.Connections[i]
			fmt.Fprintf(&b, "- %s: %s\n", one.Who, one.Seen.Outcome.WithoutTrace())
		}
		b.WriteString("\n")
		if line := decides(a); line != "" {
			b.WriteString("```\n" + line + "\n```\n\n")
		}
		b.WriteString(c.Advice + "\n\n")
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the cases between %q and %q", file, begin, end)
	}
	want := []byte(head + begin + "\n" + b.String() + end + tail)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(old, want) {
		t.Errorf("%s is not what the cases say: go test ./cases -run TestCatalogueDocs -update", file)
	}
}

// decides is the line over which the first connection that is not as wanted falls: the record that decides, or what the server says of a file that it does not load.
func decides(a *Answer) string {
	if a.NotLoaded != nil {
		return a.NotLoaded.Error()
	}
	for i := range a.Connections {
		one := &a.Connections[i]
		file, number, ok := strings.Cut(one.Reported.Prediction.Outcome.Rule, ":")
		if same := len(one.Wanted.Differs(one.Reported.Prediction.Outcome)) == 0; same && len(a.Connections) > 1 || !ok {
			continue
		}
		text := a.Server.HBA
		for _, f := range a.Server.Files {
			if f.Path == file {
				text = f.Text
			}
		}
		for n, line := range strings.Split(text, "\n") {
			if fmt.Sprint(n+1) == number {
				return file + ":" + number + "  " + strings.Join(strings.Fields(line), "  ")
			}
		}
	}
	return ""
}
