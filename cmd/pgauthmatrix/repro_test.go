package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
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

// Cases of the catalogue are reproduced and cured on real servers, with every client of theirs that can be made, in one run. Those that are left out differ in files, not in
// what makes a world of them; package cases holds all of them against the oracle.
func TestCatalogueLive(t *testing.T) {
	livetest.NeedsContainers(t)
	sample := []string{"two-realms-one-role", "certificate-of-a-service-and-two-roles", "keytab-older-than-the-kdc", "printed-row-and-a-reload", "certificate-of-an-intermediate-ca"}
	names := builtinCases(t)
	if livetest.Chosen(t) != livetest.Full {
		all := len(names)
		names = sample[:livetest.Pick(t, 2, len(sample), 0)]
		livetest.LeftOut(t, "%s: %d of %d cases", t.Name(), all-len(names), all)
	}
	type one struct {
		name string
		c    *cases.Case
	}
	var all []one
	var tried []*matrix.Scenario
	for i, name := range names {
		files, _, err := openCase(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := cases.ReadAt(files, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one{name, c})
		for _, s := range c.Cells() {
			s.Name = inCatalogue(i, s.Name)
			tried = append(tried, s)
		}
	}
	controls, err := run.Controls()
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	_, dir, err := run.Do(t.Context(), &progress, run.Config{Scenarios: tried, Controls: controls, Described: "the catalogue", Dir: t.TempDir(), Closed: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	observed, err := observations(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range all {
		a, err := one.c.Answer(func(id string) *cases.Observed { return observed[inCatalogue(i, id)] })
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range a.Wrong() {
			t.Errorf("%s: %s", one.name, wrong)
		}
		if one.c.Advised != one.c.Server && a.Probes.Tried < a.Probes.Live {
			t.Errorf("%s: %d connections of %d kinds of clients were tried", one.name, a.Probes.Tried, a.Probes.Live)
		}
		for _, c := range a.Connections {
			shown, _ := c.Shown()
			if cured, _ := c.Cured(); !shown || !cured {
				t.Errorf("%s: %s: shown %t, cured %t", one.name, c.Who, shown, cured)
			}
		}
	}
	t.Logf("%d cases, %d cells", len(all), len(observed))
}

// inCatalogue is the name of a scenario, or the ID of a cell, among those of many cases.
func inCatalogue(number int, name string) string { return fmt.Sprintf("case-%d-%s", number, name) }

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
