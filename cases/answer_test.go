package cases

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// with is the case realm-cut-off-before-the-map with other files, and nothing that is accepted.
func with(t *testing.T, namesAndTexts ...string) *Case {
	t.Helper()
	m := fstest.MapFS{}
	root := os.DirFS("../scenarios/customers/realm-cut-off-before-the-map")
	for _, name := range []string{"pg_hba.conf", "pg_ident.conf", "more.conf", "postgresql.conf", "krb5.conf", "case.yaml", "advised/pg_ident.conf"} {
		text, err := audit.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for i := 0; i < len(namesAndTexts); i += 2 {
		m[namesAndTexts[i]] = &fstest.MapFile{Data: []byte(namesAndTexts[i+1])}
		if namesAndTexts[i+1] == "" {
			delete(m, namesAndTexts[i])
		}
	}
	c, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	c.Admits = nil // what the catalogue's case accepts
	return c
}

func answer(t *testing.T, c *Case, observed func(string) *Observed) *Answer {
	t.Helper()
	a, err := c.Answer(observed)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnswerPredicted(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []string
		wrong string // parts of what is wrong, joined
	}{
		{"the fix lets in everybody with a ticket", nil, "lets in somebody else: plain with ticket by pg_hba.conf:4|tls with ticket|gss with ticket"},
		{"the fix is for one", []string{"advised/pg_ident.conf", "ad alice alice\n"}, ""},
		{"the fix lets her be another, too", []string{"advised/pg_ident.conf", "ad alice alice\nad alice svc\n"}, "somebody else: plain with ticket of alice by pg_hba.conf:4|tls|gss"},
		{"the fix is none", []string{"advised/pg_ident.conf", "ad bob alice\n"}, "does not cure it|somebody else: plain with ticket of bob|tls|gss"},
		{"the fix lets in everybody with nothing", []string{"advised/pg_hba.conf", "host all all all trust\n", "advised/pg_ident.conf", ""}, "somebody else: plain with nothing|tls with nothing|gss with ticket of anybody"},
		{"the fix does not load", []string{"advised/pg_hba.conf", "host all all all trusted\n"}, "invalid authentication method|does not load what is advised"},
		{"another symptom", []string{"pg_hba.conf", "host all all 10.0.0.0/8 gss include_realm=0\n", "case.yaml", "connections:\n- {user: alice, address: 10.1.1.1, seen: 'refused at hba, no-hba-entry', wanted: 'refused at auth, no-ticket'}\n", "advised/pg_ident.conf", ""}, "what was seen is not shown"},
	} {
		got := answer(t, with(t, test.files...), nil).Wrong()
		var want []string
		if test.wrong != "" {
			want = strings.Split(test.wrong, "|")
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q", test.name, got)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", test.name, got[i], want[i])
			}
		}
	}
}

func TestAccepted(t *testing.T) {
	c := with(t)
	c.Admits = []string{"plain with ticket by pg_hba.conf:4", "tls with ticket by pg_hba.conf:4", "gss with ticket by pg_hba.conf:4"}
	if wrong := answer(t, c, nil).Wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
	c.Admits = c.Admits[1:]
	if wrong := answer(t, c, nil).Wrong(); len(wrong) != 1 {
		t.Error(wrong)
	}
}

// What a run did not see, or could not carry out, is no outcome: it shows no symptom and cures nothing.
func TestAnswerObserved(t *testing.T) {
	c := with(t, "advised/pg_ident.conf", "ad alice alice\n")
	as := func(status string, valid bool) func(string) *Observed {
		return func(id string) *Observed {
			o := &Observed{Status: status, Valid: valid, Agrees: status == "Agree", Why: "because"}
			if valid {
				o.Outcome = predicted(t, c, id)
			}
			return o
		}
	}
	if a := answer(t, c, as("Agree", true)); len(a.Wrong()) > 0 || a.Probes.Tried != 2*a.Probes.Live || a.Probes.Live == 0 {
		t.Errorf("%q %+v", a.Wrong(), a.Probes)
	}
	a := answer(t, c, as("Broken", false))
	if _, known := a.Connections[0].Shown(); known {
		t.Error("a broken attempt shows the symptom, or does not")
	}
	if _, known := a.Connections[0].Cured(); known {
		t.Error("a broken attempt is cured, or is not")
	}
	if wrong := strings.Join(a.Wrong(), "|"); !strings.Contains(wrong, "Broken: because") || a.Probes.Tried != 0 {
		t.Error(wrong, a.Probes)
	}
	a = answer(t, c, func(string) *Observed { return nil })
	if wrong := strings.Join(a.Wrong(), "|"); !strings.Contains(wrong, "was not reached") {
		t.Error(wrong)
	}
	agree := as("Agree", true)
	a = answer(t, c, func(id string) *Observed {
		o := agree(id)
		if strings.HasPrefix(id, After+"/tls-nothing") {
			o.Status, o.Agrees = "Differ", false
		}
		return o
	})
	if wrong := strings.Join(a.Wrong(), "|"); !strings.Contains(wrong, "probes did not end as predicted, the first is after/tls-nothing/") {
		t.Error(wrong)
	}
}

// predicted is the outcome of a cell of the case.
func predicted(t *testing.T, c *Case, id string) matrix.Outcome {
	t.Helper()
	for _, s := range c.Cells() {
		for _, cell := range s.Expand() {
			if cell.ID == id {
				p, err := oracle.Predict(&cell)
				if err != nil {
					t.Fatal(err)
				}
				return p.Outcome
			}
		}
	}
	t.Fatalf("no cell %s", id)
	return matrix.Outcome{}
}

// What is advised of the world decides over the connections and over everybody else.
func TestAdvisedKeytab(t *testing.T) {
	files := fstest.MapFS{
		"pg_hba.conf":  {Data: []byte("host all all all gss include_realm=0\n")},
		"klist-ke.txt": {Data: []byte("   2 postgres/db.corp.example@CORP.EXAMPLE (aes128-cts-hmac-sha1-96)\n")},
		"case.yaml": {Data: []byte("connections:\n- {conninfo: host=db.corp.example user=alice dbname=postgres gssencmode=disable, address: 10.1.1.1, ticket: valid, principal: alice@CORP.EXAMPLE, " +
			"seen: 'refused at auth, enctype', wanted: 'connected, role alice'}\nadvised: {keytab: good, roles: [alice, {name: bob, login: false}]}\n")},
	}
	c, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	a := answer(t, c, nil)
	if wrong := strings.Join(a.Wrong(), "|"); !strings.HasPrefix(wrong, "what is advised lets in somebody else: plain with ticket by pg_hba.conf:1|") {
		t.Error(wrong)
	}
	if shown, _ := a.Connections[0].Shown(); !shown {
		t.Error(a.Connections[0].Reported.Prediction.Outcome)
	}
	if got := strings.Join(c.WorldChanges(), "; "); got != "the server's keytab: one with the current keys of postgres/db.corp.example in place of one with the current keys of postgres/db.corp.example aes128-cts-hmac-sha1-96; there is a role alice, no password; there is a role bob, NOLOGIN, no password" {
		t.Error(got)
	}
	files["advised/klist-ke.txt"] = files["klist-ke.txt"]
	if _, err := Read(files); err == nil || !strings.Contains(err.Error(), "advised/klist-ke.txt changes nothing") {
		t.Errorf("a file that changes nothing is passed over: %v", err)
	}
}

// The probes that end otherwise are those of which the comparison of the rules speaks, and no others: what is tried proves what is said.
func TestProbesAreTheChanges(t *testing.T) {
	for _, files := range [][]string{
		nil,
		{"advised/pg_ident.conf", "ad alice alice\nad bob svc\n"},
		{"advised/pg_hba.conf", "hostssl all all 10.1.0.0/16 trust\nhost all +dba all scram-sha-256\nhostssl all all all cert\n", "advised/pg_ident.conf", ""},
	} {
		c := with(t, files...)
		a := answer(t, c, nil)
		said, tried := map[string]bool{}, map[string]bool{}
		for _, change := range a.Changes {
			said[change.Key()] = true
		}
		for i := range c.Probes {
			p := &c.Probes[i]
			var ends []matrix.End
			for _, cell := range p.Cells {
				outcome, err := oracle.Predict(cell)
				if err != nil {
					t.Fatal(err)
				}
				ends = append(ends, outcome.Outcome.End)
			}
			if ends[0] != ends[1] {
				by := p.By[slices.Index(ends, matrix.Connected)]
				tried[(&Change{Difference: audit.Difference{Channel: p.Channel, Have: p.Have, By: by}}).Key()] = true
			}
		}
		for key := range said {
			if !tried[key] {
				t.Errorf("%q: no probe shows %s", files, key)
			}
		}
	}
}
