package compliance

import (
	"bytes"
	"encoding/json"
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
	// What a server said, and not what the model says of it.
	if s.Behaved[Satisfied] > 0 || s.Behaved[Violated] > 0 || !strings.Contains(s.NotLoaded(), "does not start with these files") || !strings.Contains(s.NotLoaded(), "The server said: pg_hba.conf:1: clientcert only accepts") {
		t.Errorf("%v, %s", s.Behaved, s.NotLoaded())
	}
	if why := s.result(t, "cis", "6.8").Answers[0].Why; !slices.ContainsFunc(why, func(w string) bool {
		return strings.HasPrefix(w, "The server does not start with these files (pg_hba.conf:1")
	}) {
		t.Errorf("6.8: %q", why)
	}
	untried, err := Evaluate(Controls(), SubjectOfCase("x", c, nil), Evidence{})
	if err != nil || !strings.Contains(untried.NotLoaded(), "No attempt shows") {
		t.Errorf("nothing was tried: %v, %s", err, untried.NotLoaded())
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

// A list of ciphers that no server starts with reaches the server; one that it takes does not, and its effect is told.
func TestTargetWhoseCiphersDoNotLoad(t *testing.T) {
	for list, refused := range map[string]bool{"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256": true, "HIGH:!aNULL": false, "AES128-SHA": false} {
		c, err := cases.Read(fstest.MapFS{"pg_hba.conf": {Data: []byte("hostssl all all all scram-sha-256\n")}, "PG_VERSION": {Data: []byte("16\n")},
			"postgresql.conf": {Data: []byte("ssl = on\n\nssl_ciphers = '" + list + "'\n")}})
		if err != nil {
			t.Fatal(err)
		}
		s := SubjectOfCase("x", c, nil)
		if told := strings.Contains(strings.Join(s.Replaced, " "), "The setting ssl_ciphers"); told == refused {
			t.Errorf("%s: that it is left out is told: %t", list, told)
		}
		if !refused {
			if c.NotLoaded != nil {
				t.Errorf("%s: %v", list, c.NotLoaded)
			}
			continue
		}
		made, err := Evaluate(Controls(), s, attempted(t, Scenarios(c)[0].Expand()))
		if err != nil || !strings.Contains(made.NotLoaded(), "The server said: could not set the cipher list") {
			t.Errorf("%v, %s", err, made.NotLoaded())
		}
		report, err := c.Server.Audit()
		if err != nil || len(report.Findings) != 1 || report.Findings[0].File != "postgresql.conf" || report.Findings[0].Line != 3 {
			t.Errorf("%v, %+v", err, report)
		}
	}
}

// The checklist has each rule once, with a status of STIG Viewer 3 and the keys that it writes.
func TestChecklist(t *testing.T) {
	made := example(t, "as-the-article-says")
	var b bytes.Buffer
	if err := CKLB(&b, made); err != nil {
		t.Fatal(err)
	}
	var list struct {
		STIGs []struct {
			Size  int
			Rules []map[string]any
		}
	}
	if err := json.Unmarshal(b.Bytes(), &list); err != nil || len(list.STIGs) != 1 || list.STIGs[0].Size != len(list.STIGs[0].Rules) {
		t.Fatal(err, list)
	}
	statuses := map[any]int{}
	for _, r := range list.STIGs[0].Rules {
		statuses[r["status"]]++
		for _, key := range []string{"group_id_src", "check_content_ref", "documentable", "legacy_ids", "ccis", "overrides"} { // one of each kind
			if _, there := r[key]; !there {
				t.Errorf("%v has no %s", r["group_id"], key)
			}
		}
	}
	for _, g := range made.Groups {
		if n := tally(g); g.Benchmark != nil && (statuses["not_a_finding"] != n.Satisfied || statuses["open"] != n.Violated || statuses["not_reviewed"] != n.NotShown) {
			t.Errorf("%v, want %+v", statuses, n)
		}
	}
}
