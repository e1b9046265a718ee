package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReproPredicted(t *testing.T) {
	dir := folder(t, map[string]string{
		"pg_hba.conf": "host all all 10.1.0.0/16 scram-sha-256\n",
		"server.log":  "FATAL:  no pg_hba.conf entry for host \"10.2.3.4\", user \"alice\", database \"app\", no encryption\n",
	})
	if _, _, err := call("repro", dir); err == nil || !strings.Contains(err.Error(), "repro --init") {
		t.Errorf("%v", err)
	}
	if out, _, err := call("repro", "--init", dir); err != nil || !strings.Contains(out, "case.yaml") {
		t.Errorf("%v %s", err, out)
	}
	if _, _, err := call("repro", "--init", dir); err == nil || !strings.Contains(err.Error(), "rename it first") {
		t.Errorf("an edited case.yaml is overwritten: %v", err)
	}
	out, _, err := call("repro", "--predict", dir)
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"### alice", "Predicted: refused at hba, no-hba-entry", "pg_hba.conf: add at the end: host app alice 10.2.3.4/32 scram-sha-256"} {
		if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(out, `\_`, "_"), "  ", " "), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	to := filepath.Join(t.TempDir(), "copy")
	if out, _, err := call("repro", "--anonymise", to, dir); err != nil || !strings.Contains(out, "the oracle says the same") {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(to, "case.yaml"))
	if err != nil || strings.Contains(string(text), "alice") || strings.Contains(string(text), "10.2.3.4") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, _, err := call("repro", "--anonymise", to, dir); err == nil {
		t.Error("a folder that is there is written into")
	}
	if err := os.WriteFile(filepath.Join(dir, "case.yaml"), []byte("connections:\n- {user: alice, address: 10.1.2.3, seen: 'refused at hba, no-hba-entry'}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call("repro", "--predict", dir); !errors.Is(err, errNotGreen) {
		t.Errorf("a symptom that is not shown: %v", err)
	}
}

// A case is reproduced on real servers, and the answer lies in the folder of the run.
func TestReproLive(t *testing.T) {
	if testing.Short() {
		t.Skip("uses containers")
	}
	dir := folder(t, map[string]string{
		"pg_hba.conf":         "hostssl all +ops 10.1.0.0/16 scram-sha-256\nhost all all .corp.example scram-sha-256\n",
		"advised/pg_hba.conf": "hostssl all +ops 10.1.0.0/16 scram-sha-256\nhostssl app alice 10.1.0.0/16 scram-sha-256\nhost all all .corp.example scram-sha-256\n",
		"case.yaml": "question: Why may alice not log in?\nworld:\n  server: 17\nconnections:\n- who: alice\n  conninfo: host=db.corp.example user=alice dbname=app password=x sslmode=require\n" +
			"  address: 10.1.2.3\n  seen: refused at hba, no-hba-entry\n  wanted: connected tls, role alice, hba:2\n",
	})
	runs := t.TempDir()
	out, told, err := call("repro", "--runs", runs, dir)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, told)
	}
	for _, want := range []string{"Reproduced and cured", "Observed: refused at hba", "Observed: connected tls"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, name := range []string{"answer.md", "answer.html"} {
		if found, err := filepath.Glob(filepath.Join(runs, "*", name)); err != nil || len(found) != 1 {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}
