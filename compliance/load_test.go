package compliance

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
)

// builtinWith are the files of this package, with a change in one.
func builtinWith(t *testing.T, file, old, text string) fs.FS {
	t.Helper()
	changed := fstest.MapFS{}
	for _, name := range append(slices.Clone(frameworkFiles), questionsFile) {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			if !strings.Contains(string(source), old) {
				t.Fatalf("%s has no %q", file, old)
			}
			source = []byte(strings.Replace(string(source), old, text, 1))
		}
		changed[name] = &fstest.MapFile{Data: source}
	}
	return changed
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(files); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, old, text, want string }{
		{questionsFile, "channel: plain}", "chanel: plain}", `questions.yaml:9:`},
		{questionsFile, "channel: plain}", "channel: plian}", `channel has no value "plian"`},
		{questionsFile, "cells: {transport: tcp}", "cells: {channel: tls}", "channel is observed"},
		{questionsFile, "covers: [plain]", "covers: [plane]", `no channel "plane"`},
		{questionsFile, "  violated:\n", "  violates:\n", "unknown field"},
		{questionsFile, "  limit: No client", "  asked: No client", "unknown field"},
		{questionsFile, "- id: old-tls-refused", "- id: limits-enforced", "two questions have the id limits-enforced"},
		{"cis.yaml", "asks: [ends-logged]", "asks: [ends-loged]", `cis.yaml:18:12: no question "ends-loged"`},
		{"cis.yaml", "proof: manual", "proof: behaviour", "only behaviour can be asked for"},
		{"cis.yaml", "nist: [au-12]", "nist: [AU-12]", `"AU-12" is no control`},
		{"cis.yaml", "{show: log_connections, not", "{show: log_conections, not", "whose default is not known"},
		{"stig.yaml", "grep: '^hostssl", "grep: '(hostssl", "missing closing )"},
		{"stig.yaml", "id: V-261858", "id: V-261857", "two controls have the id V-261857"},
		{"nist.yaml", "controls:\n", "controls:\n  - {id: X-1, title: Nothing, paraphrase: Nothing., proof: behaviour}\n", "only behaviour can be asked for, and must be"},
	} {
		_, err := Load(builtinWith(t, c.file, c.old, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v, want %q", c.file, c.text, err, c.want)
		}
	}
	broken := builtinWith(t, questionsFile, "  limit: No client of the run offers only versions before 1.2, so that no attempt shows that the server refuses them.", "")
	if _, err := Load(broken); err == nil || !strings.Contains(err.Error(), "neither needs nor limit") {
		t.Errorf("a question that nothing can leave unshown: %v", err)
	}
}

func TestConditionWhatNoWitnessSaw(t *testing.T) {
	is := term{values: []word{{text: "plain"}}}
	not := term{values: is.values, not: true}
	for value, want := range map[string][2]truth{"plain": {yes, no}, "tls": {no, yes}, unknown: {maybe, maybe}} {
		if got := [2]truth{is.match(value), not.match(value)}; got != want {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
}

func TestChecks(t *testing.T) {
	lines, err := audit.Settings("postgresql.conf", "ssl = yes\nlog_line_prefix = '%m %u'\nssl_min_protocol_version = TLSv1.2\nssl = off\nssl=true\nlog_connections = receipt")
	if err != nil {
		t.Fatal(err)
	}
	s := &Subject{Server: &audit.Server{Version: 17, Conf: lines, HBA: "# hostssl all all all cert clientcert=verify-ca\nlocal all all peer\nhost all all 10.0.0.0 255.0.0.0 md5\nhostssl all all all cert clientcert=1\n"}}
	only := &Methods{Only: []string{"peer"}, Local: true}
	for _, c := range []struct {
		check Check
		want  Conclusion
		says  string
	}{
		{Check{Show: "ssl", Is: []string{"on"}}, Satisfied, "SHOW ssl: true (postgresql.conf:5)."}, // the last line counts
		{Check{Show: "log_disconnections", Is: []string{"on"}}, Violated, "SHOW log_disconnections: off (the default)."},
		{Check{Show: "log_connections", Not: []string{"off", ""}}, Satisfied, "receipt"},
		{Check{Show: "log_line_prefix", Contains: []string{"%m", "%u"}}, Satisfied, "%m %u"},
		{Check{Show: "log_line_prefix", Contains: []string{"%m", "%d"}}, Violated, "without %d"},
		{Check{Show: "password_encryption", Is: []string{"scram-sha-256"}}, Satisfied, "the default"},
		{Check{Show: "ssl_crl_file", Not: []string{""}}, Violated, "empty"},
		{Check{Grep: "^hostssl.*cert.*clientcert=verify-ca"}, Violated, "finds no line"}, // a comment does not begin with it
		{Check{Grep: "^hostssl.*cert.*clientcert=1"}, Satisfied, "pg_hba.conf:4"},
		{Check{Methods: &Methods{Never: []string{"md5"}}}, Violated, "pg_hba.conf:3 has md5"}, // the rules do not load, and a reader does not know
		{Check{Methods: only}, Satisfied, "local records"},
		{Check{Methods: &Methods{Only: []string{"cert"}, All: true}}, Violated, "pg_hba.conf:2 has peer, pg_hba.conf:3 has md5"},
	} {
		if r := c.check.read(s); r.Conclusion != c.want || !strings.Contains(r.Says, c.says) {
			t.Errorf("%s: %s %q, want %s %q", c.check, r.Conclusion, r.Says, c.want, c.says)
		}
	}
	old := &Subject{Server: &audit.Server{Version: 13, Conf: lines}}
	if r := (Check{Show: "password_encryption", Is: []string{"scram-sha-256"}}).read(old); r.Conclusion != Violated {
		t.Errorf("the default of 13: %v", r)
	}
	if c := (Check{From: 17}); c.made(16) || !c.made(17) {
		t.Error("a check from 17 on")
	}
}
