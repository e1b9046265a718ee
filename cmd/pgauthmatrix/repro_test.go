package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
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
	livetest.NeedsContainers(t)
	runs := t.TempDir()
	out, told, err := call("repro", "--runs", runs, "host-name-that-is-not-the-reverse-name")
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

// builtinCases are the names that `repro --list` prints.
func builtinCases(t *testing.T) (names []string) {
	t.Helper()
	out, _, err := call("repro", "--list")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		names = append(names, strings.Fields(line)[0])
	}
	return names
}

// A built-in case is named like a folder; a folder of the name counts more.
func TestBuiltinCase(t *testing.T) {
	if names := builtinCases(t); len(names) < 20 {
		t.Errorf("%d cases: %q", len(names), names)
	}
	if out, _, err := call("repro", "--predict", "two-realms-one-role"); err != nil || !strings.Contains(out, "Reproduced and cured") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--predict", "two-realms"}, "repro --list"},
		{[]string{"--predict", "../two-realms"}, "no such file"},
		{[]string{"--init", "two-realms-one-role"}, "is a built-in case"},
		{[]string{"--list", "two-realms-one-role"}, "unknown command"},
		{nil, "accepts 1 arg"},
	} {
		if _, _, err := call(append([]string{"repro"}, test.args...)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
	t.Chdir(folder(t, map[string]string{"two-realms-one-role/pg_hba.conf": "host all all all trust\n"}))
	if _, _, err := call("repro", "--predict", "two-realms-one-role"); err == nil || !strings.Contains(err.Error(), "names no connection") {
		t.Errorf("the folder: %v", err)
	}
}
