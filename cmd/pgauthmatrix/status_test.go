package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/standing"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

var update = flag.Bool("update", false, "write the table in docs/nightly.md anew")

// Findings are not tried again; what is only Broken is; a finding beside it counts more.
func TestEnded(t *testing.T) {
	agree := func(more verdict.Status, n int) *reports.Summary {
		return &reports.Summary{Counts: verdict.Counts{verdict.Agree: 5, more: n}}
	}
	interrupted, differs, killed := agree(verdict.Known, 1), agree(verdict.Differ, 1), agree(verdict.Broken, 2)
	interrupted.Incomplete, differs.Incomplete, killed.Incomplete = "interrupt", "interrupt", "the run was killed"
	both := agree(verdict.Broken, 7)
	both.Counts[verdict.Differ] = 1
	stale := agree(verdict.Broken, 1)
	stale.Stale = []reports.Stale{{Pattern: "a/b"}}
	for _, tt := range []struct {
		name    string
		summary *reports.Summary
		err     error
		want    status
	}{
		{"green", agree(verdict.Known, 3), nil, green},
		{"differs", agree(verdict.Differ, 1), nil, findings},
		{"drifts", agree(verdict.Drift, 1), nil, findings},
		{"Broken", agree(verdict.Broken, 1), nil, broken},
		{"Broken, and one differs", both, nil, findings},
		{"Broken, and a divergence is stale", stale, nil, findings},
		{"interrupted", interrupted, nil, broken},
		{"interrupted after a finding", differs, nil, findings},
		{"killed", killed, nil, broken},
		{"nothing agreed", &reports.Summary{Counts: verdict.Counts{verdict.NotApplicable: 3}}, nil, findings},
		{"bad input", nil, errors.New("no such cell"), badInput},
		{"the engine does not answer", nil, fmt.Errorf("run: %w", &run.Died{}), broken},
		{"there is no engine", nil, fmt.Errorf("up: %w", &pgimages.NoEngine{}), broken},
		{"an environment did not come up", nil, fmt.Errorf("up: %w", &standing.Failed{}), broken},
		{"diff has news", agree(verdict.Known, 1), errNews, news},
	} {
		if got := statusOf(ended(tt.summary, tt.err)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Name, tt.want.Name)
		}
	}
	for i, s := range statuses {
		if s.Code != i {
			t.Errorf("%s has the place %d and the status %d", s.Name, i, s.Code)
		}
	}
}

// The table in the documentation is that of the code; -update writes it.
func TestStatusesAreDocumented(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "nightly.md")
	const from, to = "<!-- made from the code: statuses -->\n", "<!-- end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), from)
	_, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("%s has no place for the statuses", path)
	}
	table := "| status | name | meaning | retry |\n|---:|---|---|---|\n"
	for _, s := range statuses {
		table += fmt.Sprintf("| %d | %s | %s | %s |\n", s.Code, s.Name, s.Meaning, s.Retry)
	}
	want := before + from + table + to + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s does not list the statuses of this package; go test ./cmd/pgauthmatrix -update writes it", path)
	}
}
