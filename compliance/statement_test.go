package compliance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// sample is a scenario whose records are made without a server: each cell was observed as it is predicted.
type sample struct {
	hba, settings string
	ssl           string
	client        string // YAML under client
	change        func(*Attempt)
	subject       func(*Subject)
}

// every is a client that shows whatever can be shown: each channel by itself, each credential, certificates that are not valid, the socket.
const every = `
  library: libpq18
  user: alice
  transport: [tcp, unix]
  ticket: [none, valid]
  password: [none, right]
  os_user: [default, alice, mallory]
  cert: [none, good, other-user, expired, revoked, other-ca]
  gssencmode: [disable, require]
  sslmode: [disable, require]
`

func (s sample) evaluate(t *testing.T) *Statement {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "question: A test?\nworld:\n  server: 17\n  ssl: %s\n  servercrl: right\n", orElse(s.ssl, "on"))
	b.WriteString("  roles: [{name: alice, password: scram-sha-256}]\n  hba: |\n")
	for line := range strings.SplitSeq(strings.TrimSpace(s.hba), "\n") {
		b.WriteString("    " + strings.TrimSpace(line) + "\n")
	}
	if s.settings != "" {
		b.WriteString("  settings:\n" + s.settings)
	}
	b.WriteString("client:" + orElse(s.client, every))
	scenario, err := matrix.Parse("test/sample.yaml", []byte(b.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	cells := scenario.Expand()
	e := attempted(t, cells)
	subject := SubjectOf("test/sample", cells[0].World)
	for _, a := range e.Attempts {
		if s.change != nil {
			s.change(a)
		}
	}
	if s.subject != nil {
		s.subject(&subject)
	}
	made, err := Evaluate(Controls(), subject, e)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// attempted makes the evidence of cells each of which was observed as it is predicted.
func attempted(t *testing.T, cells []matrix.Cell) Evidence {
	t.Helper()
	e := Evidence{Header: reports.Header{Run: "20261128-000000-abcdef", Start: time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC), Tool: "test", Selection: "test/sample"},
		End: time.Date(2026, 11, 28, 1, 3, 0, 0, time.UTC), Path: "runs/x/run.jsonl.zst", SHA256: strings.Repeat("0a", 32), Report: "report.html", Repeat: "pgauthmatrix compliance --run runs/x"}
	for i := range cells {
		c := &cells[i]
		record := &reports.Record{ID: c.ID, Scenario: c.Scenario, Start: e.Header.Start, Verdict: verdict.Verdict{Status: verdict.NotApplicable}}
		p, err := oracle.Predict(c)
		if cannot := (*oracle.CannotPredict)(nil); err != nil && !errors.As(err, &cannot) {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if err == nil {
			record.Verdict.Status, record.Predicted = verdict.Agree, p.Outcome
			record.Observation = seen(c, p.Outcome)
		}
		e.Attempts = append(e.Attempts, &Attempt{Cell: c, Record: record})
	}
	return e
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// seen makes the evidence that conditions read.
func seen(c *matrix.Cell, o matrix.Outcome) *matrix.Observation {
	made := &matrix.Observation{Outcome: o}
	if len(o.Trace) == 0 && c.Client.Transport != "unix" {
		return made
	}
	connection := matrix.ConnectionEvidence{Log: []matrix.LogLine{{Severity: "LOG", Text: "connection received: host=172.31.0.4 port=1"}}}
	if o.End == matrix.Connected {
		connection.Log = append(connection.Log, matrix.LogLine{Severity: "LOG", Text: "connection authorized: user=x"}, matrix.LogLine{Severity: "LOG", Text: "disconnection: session time: 0"})
		made.Evidence.Client.Session = &matrix.Session{SSL: o.Channel == matrix.TLS}
		if o.Channel == matrix.TLS {
			made.Evidence.Client.Session.SSLVersion = "TLSv1.3"
		}
	} else {
		connection.Log = append(connection.Log, matrix.LogLine{Severity: "FATAL", Text: "refused"})
	}
	if c.Client.Transport == "tcp" {
		connection.Wire = []matrix.WireEvent{{From: "client", Kind: "startup"}}
		if o.Channel == matrix.Plain && o.Method.InClear() {
			connection.Wire = append(connection.Wire, matrix.WireEvent{From: "server", Kind: "auth-request", Auth: "password"})
		}
	}
	made.Evidence.Connections = []matrix.ConnectionEvidence{connection}
	return made
}

func (s *Statement) result(t *testing.T, framework, id string) *Result {
	t.Helper()
	for _, r := range s.Results() {
		if r.Framework.ID == framework && r.ID == id {
			return r
		}
	}
	t.Fatalf("no control %s %s", framework, id)
	return nil
}

// check compares conclusions: "cis 6.8" with "behaviour/literal".
func (s *Statement) check(t *testing.T, want map[string]string) {
	t.Helper()
	for control, conclusions := range want {
		framework, id, _ := strings.Cut(control, " ")
		r := s.result(t, framework, id)
		got := string(r.Behaviour) + "/" + string(r.Literal)
		if got != conclusions {
			t.Errorf("%s: %s, want %s", control, got, conclusions)
			for _, a := range r.Answers {
				t.Logf("  %s %s: %q", a.Question.ID, a.Conclusion, a.Why)
			}
			for _, reading := range r.Readings {
				t.Logf("  %s: %s", reading.Conclusion, reading.Says)
			}
		}
	}
}

const hardened = `
	local       all  all                peer
	hostgssenc  all  all  all  gss  include_realm=0
	hostssl     all  all  all  cert
`

func logs(s *Subject) {
	s.Unsaid = nil
	for _, name := range []string{"log_connections", "log_disconnections"} {
		l := s.Server.Conf[0]
		l.Name, l.Value = name, "on"
		s.Server.Conf = append(s.Server.Conf, l)
	}
}

func TestWhatNoGrepSees(t *testing.T) {
	for _, c := range []struct {
		name   string
		sample sample
		want   map[string]string
	}{
		{"all that can be shown is satisfied", sample{hba: hardened, subject: logs}, map[string]string{
			"cis 6.8": "satisfied/satisfied", "stig V-261892": "satisfied/satisfied", "stig V-261895": "satisfied/", "stig V-261933": "satisfied/satisfied", "nist SC-8": "satisfied/satisfied",
			"cis 3.1.20": "satisfied/satisfied", "cis 3.1.21": "satisfied/satisfied", "stig V-261893": "satisfied/violated", "nist SC-23(5)": "satisfied/", "nist IA-2(8)": "satisfied/",
			"cis 5.4": "satisfied/satisfied", "stig V-261858": "violated/violated"}},
		{"GSS encryption counts as protection in transit, with ssl = off", sample{hba: "hostgssenc all all all gss include_realm=0", ssl: "off"}, map[string]string{
			"cis 6.8": "satisfied/violated", "stig V-261932": "satisfied/violated", "stig V-261900": "satisfied/violated", "pci 4.2.1": "not shown/violated"}},
		{"ssl = on alone does not", sample{hba: "host all all all scram-sha-256"}, map[string]string{"cis 6.8": "violated/satisfied", "stig V-261932": "violated/satisfied", "nist SC-8(1)": "violated/satisfied"}},
		{"a hostssl record below a host record does not", sample{hba: "host all all all scram-sha-256\nhostssl all all all cert"}, map[string]string{
			"cis 6.8": "violated/satisfied", "stig V-261893": "not shown/violated", "nist IA-5(2)": "not shown/"}},
		{"a hostssl record above a reject record does", sample{hba: "hostssl all all all scram-sha-256\nhost all all all reject"}, map[string]string{"cis 6.8": "satisfied/satisfied"}},
		{"a verified certificate that no record asks for does not authenticate", sample{hba: "hostssl all all all trust"}, map[string]string{"cis 5.4": "violated/violated", "stig V-261890": "violated/violated", "nist IA-8": "violated/"}},
		{"trust with clientcert=verify-full authenticates, and is a finding", sample{hba: "hostssl all all all trust clientcert=verify-full"}, map[string]string{"stig V-261897": "satisfied/", "cis 5.4": "satisfied/violated", "stig V-261895": "satisfied/"}},
		{"clientcert=verify-ca compares the name with nothing", sample{hba: "hostssl all all all trust clientcert=verify-ca"}, map[string]string{"stig V-261895": "violated/", "stig V-261897": "violated/"}},
		{"a method that sends the password in plaintext", sample{hba: "host all all all password"}, map[string]string{"stig V-261892": "violated/violated", "pci 8.3.2": "violated/violated", "nist IA-2(8)": "violated/"}},
		{"the same within TLS", sample{hba: "hostssl all all all password"}, map[string]string{"stig V-261892": "satisfied/violated"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.sample.evaluate(t).check(t, c.want) })
	}
}

// Nothing that is missing reads as satisfied.
func TestWhatIsMissing(t *testing.T) {
	without := func(drop func(*matrix.Client) bool) func(*Attempt) {
		return func(a *Attempt) {
			if drop(&a.Cell.Client) {
				a.Record.Verdict.Status = verdict.NotApplicable
			}
		}
	}
	broken := func(which func(*matrix.Client) bool) func(*Attempt) {
		return func(a *Attempt) {
			if which(&a.Cell.Client) && a.Record.Observation != nil {
				a.Record.Observation.Fault, a.Record.Verdict.Status, a.Record.Verdict.Cause = "the control cells failed", verdict.Broken, "the control cells failed"
			}
		}
	}
	plain := func(c *matrix.Client) bool {
		return c.SSLMode == "disable" && c.GSSEncMode == "disable" && c.Transport == "tcp"
	}
	for _, c := range []struct {
		name   string
		change func(*Attempt)
		want   map[string]string
	}{
		{"no client asks for plaintext", without(plain), map[string]string{"cis 6.8": "not shown/satisfied", "stig V-261892": "not shown/satisfied"}},
		{"no client is tried", without(func(*matrix.Client) bool { return true }), map[string]string{"cis 6.8": "not shown/satisfied", "cis 5.4": "not shown/satisfied", "nist IA-2": "not shown/"}},
		{"a cell of the evidence is broken", broken(func(c *matrix.Client) bool {
			return plain(c) && c.User == "alice" && c.Password == "none" && c.Ticket == "none" && c.Cert == "none"
		}), map[string]string{
			"cis 6.8": "not shown/satisfied", "cis 5.3": "satisfied/satisfied"}},
		{"a fault is not a refusal", broken(plain), map[string]string{"cis 6.8": "not shown/satisfied"}},
		{"no certificate is revoked", without(func(c *matrix.Client) bool { return c.Cert == "revoked" }), map[string]string{"stig V-261893": "not shown/violated"}},
		{"a record decides over nothing that was tried", without(func(c *matrix.Client) bool { return c.GSSEncMode == "require" }), map[string]string{"cis 5.4": "not shown/satisfied"}},
		{"no witness saw the method", func(a *Attempt) {
			if a.Record.Observation != nil && a.Record.Observation.Outcome.End == matrix.Connected {
				o := a.Record.Observation
				o.Outcome.Method, o.Outcome.Rule, o.Unseen, a.Record.Verdict.Status = "", "", []matrix.Field{matrix.FieldMethod, matrix.FieldRule}, verdict.Differ
			}
		}, map[string]string{"cis 5.4": "not shown/satisfied"}},
		{"the rules of before were in force", func(a *Attempt) {
			if a.Record.Observation != nil {
				a.Record.Observation.Outcome.Load = "pg_hba.conf:1: invalid"
			}
		}, map[string]string{"cis 6.8": "not shown/satisfied", "nist SC-8": "not shown/satisfied"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sample{hba: hardened, change: c.change, subject: logs}.evaluate(t).check(t, c.want)
		})
	}
	t.Run("one condition is open and another is met", func(t *testing.T) {
		q := &Question{Violated: []finding{{Says: "a", When: condition{{field: word{text: "asks-certificate"}, values: []word{{text: "no"}}}}}, {Says: "b", When: condition{{field: word{text: "end"}, values: []word{{text: "connected"}}}}}}}
		a := &Attempt{Record: &reports.Record{Observation: &matrix.Observation{Outcome: matrix.Outcome{End: matrix.Connected}}, Verdict: verdict.Verdict{Status: verdict.Agree}}}
		if role, says := q.role(a, nil); role != Violates || says != "b" {
			t.Errorf("%s %s", role, says)
		}
	})
	t.Run("a violation counts whatever is missing", func(t *testing.T) {
		s := sample{hba: "host all all all trust", change: broken(func(c *matrix.Client) bool { return c.Cert != "none" })}.evaluate(t)
		s.check(t, map[string]string{"cis 6.8": "violated/satisfied", "cis 5.4": "violated/violated"})
	})
	t.Run("a setting that is missing violates; a file that is missing does not", func(t *testing.T) {
		sample{hba: hardened, subject: func(s *Subject) { s.Unsaid = nil }}.evaluate(t).check(t, map[string]string{"cis 3.1.20": "violated/violated"})
		sample{hba: hardened, subject: func(s *Subject) { s.Server.Conf, s.Unsaid = nil, nil }}.evaluate(t).check(t, map[string]string{"cis 3.1.20": "not shown/not shown"})
	})
	t.Run("of a method that asks another service nobody knows", func(t *testing.T) {
		sample{hba: "hostssl all alice all scram-sha-256\nhostssl all all all ldap ldapserver=x ldapprefix=y", client: every}.evaluate(t).
			check(t, map[string]string{"cis 5.4": "not shown/satisfied"})
	})
}

func TestRulesThatDoNotLoad(t *testing.T) {
	for _, line := range []string{"hostssl all all all cert clientcert=verify-ca", "hostssl all all all cert clientcert=1"} {
		s := sample{hba: "host all all all trust", client: every, subject: func(s *Subject) { s.Server.HBA = line + "\n" }}.evaluate(t)
		if s.rulesErr == nil {
			t.Errorf("%s: no error", line)
		}
		r := s.result(t, "stig", "V-261893")
		grep := r.Readings[1]
		if want := strings.Contains(line, "verify-ca"); (grep.Conclusion == Satisfied) != want {
			t.Errorf("%s: %v", line, grep)
		}
		if r.Behaviour == Satisfied {
			t.Errorf("%s: satisfied by rules that do not load", line)
		}
	}
}

func TestOSCALIsValidAndRepeats(t *testing.T) {
	s := sample{hba: hardened, subject: logs}.evaluate(t)
	var first, second bytes.Buffer
	if err := OSCAL(&first, s); err != nil {
		t.Fatal(err)
	}
	if err := OSCAL(&second, sample{hba: hardened, subject: logs}.evaluate(t)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two renderings are not equal")
	}
	for _, file := range []string{"oscal_complete_schema-1-1-2.json", "oscal_complete_schema-1-2-2.json"} {
		schema := compiled(t, file)
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		document.(map[string]any)["assessment-results"].(map[string]any)["uuid"] = "none" // the schema is one that refuses
		if schema.Validate(document) == nil {
			t.Errorf("%s accepts a uuid that is none", file)
		}
	}
	var d oscalDocument
	if err := json.Unmarshal(first.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range d.Results.Results[0].Observations {
		if seen[o.UUID] {
			t.Errorf("two observations have the id %s", o.UUID)
		}
		seen[o.UUID] = true
		if len(o.Evidence) > examplesKept {
			t.Errorf("%s has %d examples", o.UUID, len(o.Evidence))
		}
	}
	states := map[oscalStatus]int{}
	for _, f := range d.Results.Results[0].Findings {
		states[f.Target.Status]++
		for _, r := range f.Related {
			if !seen[r.UUID] {
				t.Errorf("%s refers to an observation that is not there", f.Title)
			}
		}
	}
	if states[oscalStatus{"satisfied", "pass"}] != s.Behaved[Satisfied] || states[oscalStatus{"not-satisfied", "fail"}] != s.Behaved[Violated] || states[oscalStatus{"not-satisfied", "other"}] != s.Behaved[NotShown] {
		t.Errorf("states %v, conclusions %v", states, s.Behaved)
	}
}

func compiled(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	document, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(file, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestBaseline(t *testing.T) {
	before := sample{hba: hardened, subject: logs}.evaluate(t)
	var file bytes.Buffer
	if err := OSCAL(&file, before); err != nil {
		t.Fatal(err)
	}
	earlier, err := ReadEarlier(&file)
	if err != nil {
		t.Fatal(err)
	}
	if len(earlier.Conclusions) != len(before.Results()) {
		t.Fatalf("%d conclusions are read again, of %d", len(earlier.Conclusions), len(before.Results()))
	}
	same := sample{hba: hardened, subject: logs}.evaluate(t)
	same.Since(earlier, &reports.Diff{Equal: 3})
	if len(same.Baseline.Changes) != 0 {
		t.Errorf("nothing has changed, and yet: %v", same.Baseline.Changes)
	}
	now := sample{hba: "host all all all trust\n" + hardened, subject: logs}.evaluate(t)
	now.Since(earlier, &reports.Diff{})
	i := slices.IndexFunc(now.Baseline.Changes, func(c Change) bool { return c.ID == "6.8" && c.Of == "behaviour" })
	if i < 0 || !now.Baseline.Changes[i].Worse || now.Baseline.Changes[i].Before != Satisfied || now.Baseline.Changes[i].Now != Violated {
		t.Errorf("%v", now.Baseline.Changes)
	}
	first := now.News()[0]
	if first.Sign == "" || !strings.Contains(first.Text(), "pg_hba.conf:1): ") || !slices.ContainsFunc(now.News(), func(n News) bool { return n.Sign != "" && slices.Contains(n.Controls, "6.8") }) {
		t.Errorf("%+v", now.News())
	}
	told := 0
	for _, n := range now.News() {
		told += len(n.Controls)
	}
	if told < len(now.Baseline.Changes) {
		t.Errorf("%d changes are told, of %d", told, len(now.Baseline.Changes))
	}
	for _, r := range []func(*bytes.Buffer) error{func(b *bytes.Buffer) error { return HTML(b, now) }, func(b *bytes.Buffer) error { return Markdown(b, now) }, func(b *bytes.Buffer) error { return Terminal(b, now, nil) }} {
		var b bytes.Buffer
		if err := r(&b); err != nil {
			t.Fatal(err)
		}
		since, summary := strings.Index(strings.ToLower(b.String()), "since run"), strings.Index(b.String(), "satisfied")
		if since < 0 || strings.Contains(b.String(), "<") && since > strings.Index(b.String(), "<h2 id=\"summary\"") || summary < 0 {
			t.Errorf("what has changed does not come first:\n%.600s", b.String())
		}
	}
	if _, err := ReadEarlier(strings.NewReader("{}")); err == nil {
		t.Error("a file without findings is read")
	}
}
