package reports

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
)

// auditSample are the files of a server with a bit of everything.
func auditSample(t *testing.T) *audit.Server {
	t.Helper()
	s, err := audit.ReadServer(fstest.MapFS{
		"pg_hba.conf": {Data: []byte(`# TYPE  DATABASE  USER  ADDRESS  METHOD
local   all       all                    peer
host    all       all   127.0.0.1/32     trust
hostssl all       all   10.0.0.0/8       cert map=m
hostssl all       +ops  10.0.0.0/8       scram-sha-256
host    all       all   all              gss include_realm=0
host    app       svc   172.16.0.1/12    trust
`)},
		"pg_ident.conf": {Data: []byte("m /^(.*)$ \\1\nu x y\n")},
	}, audit.Paths{HBA: "pg_hba.conf", Ident: "pg_ident.conf"}, 17)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func auditOf(t *testing.T) *audit.Report {
	t.Helper()
	r, err := auditSample(t).Audit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuditText(t *testing.T) {
	var b bytes.Buffer
	if err := AuditText(&b, auditOf(t), 2, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "audit.txt", b.Bytes())
	for l := range strings.Lines(b.String()) {
		if width(strings.TrimSuffix(l, "\n")) > 100 {
			t.Errorf("wider than 100 columns: %s", l)
		}
	}
}

func TestExplainFiles(t *testing.T) {
	a, err := auditSample(t).Ask(audit.Question{Conninfo: "host=db.corp.test user=app gssencmode=disable sslmode=disable", From: "10.1.2.3", Ticket: "alice@CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := a.WhyNot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ExplainFiles(&b, "PostgreSQL 17  host=db.corp.test user=app", a, changes, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "explain-files.txt", b.Bytes())
}

func TestDifferencesText(t *testing.T) {
	before := auditSample(t)
	after := *before
	after.HBA = "host all all 192.168.0.0/16 trust\n" + strings.Replace(before.HBA, "127.0.0.1/32     trust", "127.0.0.1/32     reject", 1)
	list, err := audit.Compare(before, &after)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := DifferencesText(&b, list, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "diff-rules.txt", b.Bytes())
	b.Reset()
	if err := DifferencesText(&b, nil, Options{}); err != nil || b.String() != "The same connections get in.\n" {
		t.Errorf("%v %s", err, b.String())
	}
}

// A long file is shown by the lines that are cited.
func TestExcerpt(t *testing.T) {
	s := auditSample(t)
	s.HBA = strings.Repeat("# comment\n", 40) + s.HBA
	a, err := s.Ask(audit.Question{Conninfo: "host=db user=alice", From: "10.1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ExplainFiles(&b, "", a, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Contains(text, "# comment") || !strings.Contains(text, "▶ 46  host    all       all   all              gss") || !strings.Contains(text, "44  hostssl all       all") {
		t.Error(text)
	}
}

func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := SARIF(&b, auditOf(t), "conf/"); err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("testdata/sarif-schema-2.1.0.json") // of OASIS, errata 01
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(value)
	}
	if err := validate(b.Bytes()); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][2]string{{`"startLine": 6`, `"startLine": 0`}, {`"ruleIndex"`, `"ruleindex"`}} {
		if validate(bytes.Replace(b.Bytes(), []byte(wrong[0]), []byte(wrong[1]), 1)) == nil {
			t.Errorf("%s is valid", wrong[1])
		}
	}
	if n, want := strings.Count(b.String(), `"ruleId"`), len(auditOf(t).Findings); n != want {
		t.Errorf("%d results, want %d", n, want)
	}
	if !strings.Contains(b.String(), `"uri": "conf/pg_hba.conf"`) {
		t.Error(b.String())
	}
}

func TestAuditJSON(t *testing.T) {
	var b bytes.Buffer
	if err := AuditJSON(&b, auditOf(t)); err != nil {
		t.Fatal(err)
	}
	var got struct{ Findings []map[string]any }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	keys := map[any]bool{}
	for _, f := range got.Findings {
		keys[f["key"]] = true
		if f["id"] == "" || f["file"] == "" || f["says"] == "" {
			t.Errorf("%v", f)
		}
	}
	if len(keys) != len(auditOf(t).Findings) {
		t.Errorf("%d keys of %d findings", len(keys), len(auditOf(t).Findings))
	}
}
