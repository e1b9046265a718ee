package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes files and returns their folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExplainFiles(t *testing.T) {
	dir := folder(t, map[string]string{
		"hba/pg_hba.conf":    "include rules/tls.conf\nhost all all all reject\n",
		"hba/rules/tls.conf": "hostssl all all 10.0.0.0/8 gss map=m\n",
		"ident.conf":         "m /^(.*)@CORP\\.TEST$ \\1\n",
		"postgresql.conf":    "ssl = on\n",
	})
	hba, ident, conf := filepath.Join(dir, "hba/pg_hba.conf"), filepath.Join(dir, "ident.conf"), filepath.Join(dir, "postgresql.conf")
	out, _, err := call("explain", "--hba", hba, "--ident", ident, "--conf", conf, "--server", "17", "--from", "10.1.2.3", "--ticket", "alice@CORP.TEST", "host=db.corp.test user=alice gssencmode=disable sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"connected tls gss alice@CORP.TEST", "rules/tls.conf:1", "map m lets alice@CORP.TEST become alice"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _, err = call("explain", "--hba", hba, "--server", "17", "--from", "11.1.2.3", "--why-not", "host=db.corp.test user=alice")
	if err != nil || !strings.Contains(out, "pg_hba.conf:2: insert above it: host alice alice 11.1.2.3/32 scram-sha-256") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAudit(t *testing.T) {
	dir := folder(t, map[string]string{"pg_hba.conf": "host all all 10.0.0.0/8 trust\n", "good.conf": "hostssl all all all scram-sha-256\n"})
	hba, good := filepath.Join(dir, "pg_hba.conf"), filepath.Join(dir, "good.conf")
	out, _, err := call("audit", hba)
	if !errors.Is(err, errNotGreen) || !strings.Contains(out, "trust-elsewhere  pg_hba.conf:1") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = call("audit", good); err != nil || !strings.Contains(out, "no findings") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, format := range []string{"json", "sarif"} {
		if out, _, err = call("audit", hba, "--format", format); !errors.Is(err, errNotGreen) || !strings.Contains(out, `"trust-elsewhere"`) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	accepted, _, _ := call("audit", hba, "--format", "json")
	baseline := filepath.Join(dir, "baseline.json")
	if err := os.WriteFile(baseline, []byte(accepted), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _, err = call("audit", hba, "--baseline", baseline); err != nil || !strings.Contains(out, "that the baseline accepts") {
		t.Errorf("%v\n%s", err, out)
	}
	// A line more above changes nothing; another finding is one.
	if err := os.WriteFile(hba, []byte("# x\nhost all all 10.0.0.0/8 trust\nhost all all 11.0.0.0/8 trust\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _, err = call("audit", hba, "--baseline", baseline); !errors.Is(err, errNotGreen) || strings.Contains(out, "pg_hba.conf:2\n") || !strings.Contains(out, "trust-elsewhere  pg_hba.conf:3") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDiffRules(t *testing.T) {
	dir := folder(t, map[string]string{"old": "hostssl all all all scram-sha-256\n", "new": "host all all all scram-sha-256\n"})
	older, newer := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	out, _, err := call("diff-rules", older, newer)
	if !errors.Is(err, errNotGreen) || !strings.Contains(out, "any role over no encryption with password, by pg_hba.conf:1") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = call("diff-rules", newer, older); err != nil || !strings.Contains(out, "Got in before, and does not now") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = call("diff-rules", older, older); err != nil || !strings.Contains(out, "The same connections get in.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a person gets wrong is said with its place, and what would be right.
func TestBadFiles(t *testing.T) {
	dir := folder(t, map[string]string{
		"good": "host all all all trust\n", "bad": "host all all all trust\nhost all al\n", "binary": "host\x00", "out": "include ../../etc/passwd\n", "conf": "ssl = \n", "json": "{}",
		"sub/link": "",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Remove(at("sub/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../good", at("sub/link")); err != nil {
		t.Fatal(err)
	}
	const conninfo = "host=db user=alice"
	for want, args := range map[string][]string{
		"no such file":                              {"audit", at("nothing")},
		"the file has a byte 0: it is no text":      {"audit", at("binary")},
		"only the files of the world are known":     {"audit", at("out")},
		"escapes from parent":                       {"audit", at("sub/link")},
		"--server 12: want one of":                  {"audit", at("good"), "--server", "12"},
		`--format "xml": want text, json or sarif`:  {"audit", at("good"), "--format", "xml"},
		"conf:1:7: ssl has no value":                {"audit", at("good"), "--conf", at("conf")},
		"is no regular file":                        {"audit", dir},
		"want a file that audit --format json":      {"audit", at("good"), "--baseline", at("bad")},
		"PostgreSQL 17 does not load these rules":   {"explain", "--hba", at("bad"), "--server", "17", "--from", "10.0.0.1", conninfo},
		"pg_hba.conf:2: end-of-line before":         {"explain", "--hba", at("bad"), "--server", "17", "--from", "10.0.0.1", conninfo},
		"say --from ADDRESS":                        {"explain", "--hba", at("good"), conninfo},
		"connection string:1:9: \"usr\" is no conn": {"explain", "--hba", at("good"), "--from", "10.0.0.1", "host=db usr=alice"},
	} {
		if _, _, err := call(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}

// largeRules are two hundred records of the kind that templates write.
func largeRules() string {
	var b strings.Builder
	b.WriteString("local all all peer\n")
	for i := range 99 {
		fmt.Fprintf(&b, "hostssl app%d user%d,svc%d 10.%d.%d.0/24 scram-sha-256\n", i%20, i, i, i%8, i)
		fmt.Fprintf(&b, "hostssl app%d +group%d 10.%d.0.0/16 cert map=m\n", i%20, i%10, i)
	}
	b.WriteString("host all all 0.0.0.0/0 reject\n")
	return b.String()
}

func BenchmarkAudit(b *testing.B) {
	dir := b.TempDir()
	hba := filepath.Join(dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte(largeRules()), 0o644); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := call("audit", hba); !errors.Is(err, errNotGreen) {
			b.Fatal(err)
		}
	}
}
