package gssenc

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/krb5conf/answers.txt")

// Configurations in the shapes that distributions, Samba, SSSD, FreeIPA and guides for Active Directory ship. What is to be read of them
// is in answers.txt; gssenc/interop asks libkrb5 the same.
func TestSampleConfigurations(t *testing.T) {
	const dir = "testdata/krb5conf"
	samples, err := filepath.Glob(dir + "/*.conf")
	if err != nil || len(samples) < 40 {
		t.Fatal(len(samples), err)
	}
	questions, err := os.ReadFile(dir + "/questions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, sample := range samples {
		name := strings.TrimSuffix(filepath.Base(sample), ".conf")
		fmt.Fprintf(&got, "# %s\n", name)
		t.Setenv("KRB5_CONFIG", unpack(t, sample))
		conf, err := loadConf("")
		if err != nil {
			got.WriteString("error\n")
			if !strings.HasPrefix(name, "broken-") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		fmt.Fprintf(&got, "default_realm %s\n", orDash(conf.defaultRealm))
		for line := range strings.Lines(string(questions)) {
			kind, of, _ := strings.Cut(strings.TrimSpace(line), " ")
			answer := conf.realmOf(of)
			if kind == "realm" {
				kdcs, _, err := conf.configuredKDCs(of)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				var names []string
				for _, k := range kdcs {
					names = append(names, k.String())
				}
				answer = strings.Join(names, " ")
			}
			fmt.Fprintf(&got, "%s %s %s\n", kind, of, orDash(answer))
		}
		fmt.Fprintf(&got, "tkt %s\ntgs %s\n", ofAES(conf.tkt), ofAES(conf.tgs))
	}
	answers := dir + "/answers.txt"
	if *update {
		if err := os.WriteFile(answers, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	sample := ""
	wanted := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if strings.HasPrefix(line, "# ") {
			sample = line[2:]
		}
		if i >= len(wanted) || line != wanted[i] {
			t.Fatalf("%s: %q, want %q", sample, line, wanted[min(i, len(wanted)-1)])
		}
	}
}

// unpack writes the files of a sample and returns what KRB5_CONFIG is for it. A line "-- name --" begins a further file, with a colon
// before the name one for KRB5_CONFIG. DIR stands for the directory.
func unpack(t *testing.T, sample string) string {
	t.Helper()
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{}
	config, name := []string{filepath.Join(dir, "krb5.conf")}, "krb5.conf"
	for line := range strings.Lines(strings.ReplaceAll(string(text), "DIR", dir)) {
		if begins, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(begins), " --")
			if main, ok := strings.CutPrefix(name, ":"); ok {
				name = main
				config = append(config, filepath.Join(dir, name))
			}
			continue
		}
		files[name] += line
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(config, ":")
}

// ofAES are the etypes that every release of libkrb5 has, in their order.
func ofAES(etypes []int32) string {
	var names []string
	for _, e := range etypes {
		if slices.Contains(allEtypes, Etype(e)) {
			names = append(names, fmt.Sprint(e))
		}
	}
	return orDash(strings.Join(names, " "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
