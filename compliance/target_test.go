package compliance

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// example makes the statement about a folder of examples/, as if each attempt had ended as it is predicted.
func example(t *testing.T, name string) *Statement {
	t.Helper()
	c, err := cases.Read(os.DirFS("../examples/" + name))
	if err != nil {
		t.Fatal(err)
	}
	var cells []matrix.Cell
	for _, s := range Scenarios(c) {
		cells = append(cells, s.Expand()...)
	}
	ids := map[string]bool{}
	for i := range cells {
		if ids[cells[i].ID] {
			t.Errorf("two cells are named %s", cells[i].ID)
		}
		ids[cells[i].ID] = true
		if apart := SameSubject(cells[0].World, cells[i].World); apart != "" {
			t.Errorf("%s differs from the first in %s", cells[i].ID, apart)
		}
	}
	made, err := Evaluate(Controls(), SubjectOfCase("examples/"+name, c, nil), attempted(t, cells))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestExamples(t *testing.T) {
	good, bad := example(t, "hardened"), example(t, "as-the-article-says")
	if good.Conclusion() != Satisfied || good.Behaved[Violated] > 0 || good.Behaved[Satisfied] < 30 || len(good.Uncovered) > 0 {
		t.Errorf("hardened: %s, %v, untried %v", good.Conclusion(), good.Behaved, good.Uncovered)
	}
	if bad.Conclusion() != Violated {
		t.Errorf("as the article says: %s", bad.Conclusion())
	}
	good.check(t, map[string]string{"cis 6.8": "satisfied/satisfied", "pci 4.2.1": "satisfied/satisfied", "stig V-261893": "satisfied/violated", "stig V-261858": "satisfied/violated"})
	bad.check(t, map[string]string{"cis 6.8": "violated/satisfied", "stig V-261932": "violated/satisfied", "cis 3.1.20": "violated/violated", "cis 5.3": "satisfied/satisfied"})
	// The harness did not give the server the subject's settings for logs; whose certificates were used is said, too.
	all := strings.Join(good.Subject.Replaced, " ")
	for _, want := range []string{"Certificates", "keytab", "listen_addresses"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing is said of %s in %q", want, all)
		}
	}
	if !slices.ContainsFunc(good.Rules(), func(r RuleRow) bool { return strings.Contains(r.Sessions, "gss") }) {
		t.Error("no record has a session with GSS encryption")
	}
}

// The line that the STIG prescribes satisfies the search of its check, and no server from 14 on starts with it.
func TestTargetWhoseRulesDoNotLoad(t *testing.T) {
	c, err := cases.Read(fstest.MapFS{"pg_hba.conf": {Data: []byte("hostssl all all all cert clientcert=verify-ca\n")}, "PG_VERSION": {Data: []byte("17\n")}})
	if err != nil {
		t.Fatal(err)
	}
	list := Scenarios(c)
	if len(list) != 1 {
		t.Fatalf("%d scenarios", len(list))
	}
	s, err := Evaluate(Controls(), SubjectOfCase("x", c, nil), attempted(t, list[0].Expand()))
	if err != nil {
		t.Fatal(err)
	}
	if s.Behaved[Satisfied] > 0 || s.Behaved[Violated] > 0 || !strings.Contains(s.NotLoaded(), "clientcert only accepts") {
		t.Errorf("%v, %s", s.Behaved, s.NotLoaded())
	}
	if r := s.result(t, "stig", "V-261893"); r.Readings[1].Conclusion != Satisfied {
		t.Errorf("the search finds nothing: %v", r.Readings)
	}
	for name, render := range map[string]func(io.Writer, *Statement) error{"html": HTML, "markdown": Markdown, "oscal": OSCAL, "cklb": CKLB} {
		var b bytes.Buffer
		if err := render(&b, s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
