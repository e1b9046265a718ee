package prove

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func TestJudgeWantsEveryFaultSeenAndNobodyBlamed(t *testing.T) {
	f := fault{shows: []string{"a/one"}, not: []string{"a/two"}}
	for _, tt := range []struct {
		name     string
		verdicts map[string]verdict.Status
		caught   bool
	}{
		{"differs", map[string]verdict.Status{"a/one/x": verdict.Differ, "a/two/x": verdict.Agree}, true},
		{"broken", map[string]verdict.Status{"a/one/x": verdict.Broken}, true},
		{"agrees", map[string]verdict.Status{"a/one/x": verdict.Agree}, false},
		{"one of two agrees", map[string]verdict.Status{"a/one/x": verdict.Differ, "a/one/y": verdict.Agree}, false},
		{"known", map[string]verdict.Status{"a/one/x": verdict.Known}, false},
		{"no verdict", map[string]verdict.Status{"a/one/x": ""}, false},
		{"another is blamed", map[string]verdict.Status{"a/one/x": verdict.Differ, "a/two/x": verdict.Differ}, false},
		{"nothing was tried", map[string]verdict.Status{"a/two/x": verdict.Agree}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verdicts := map[string]verdict.Verdict{}
			for id, s := range tt.verdicts {
				verdicts[id] = verdict.Verdict{Status: s}
			}
			if r := f.judge(verdicts); r.caught() != tt.caught {
				t.Errorf("caught %v: %+v", r.caught(), r)
			}
		})
	}
}

// TestFaultsNameCells checks by the scenarios that every pattern names cells, and that what is planted changes the
// world that they are tried in.
func TestFaultsNameCells(t *testing.T) {
	input, err := run.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		for _, pattern := range append(f.shows, f.not...) {
			cells, _, err := input.Cells(matrix.Selection{Patterns: []string{pattern}})
			if err != nil || len(cells) != 1 {
				t.Errorf("%s: %s: %d cells, %v", f.name, pattern, len(cells), err)
				continue
			}
			if f.plant.World == nil || !matches(f.shows, cells[0].ID) {
				continue
			}
			if w := f.plant.World(*cells[0].World); w.Key() == cells[0].World.Key() {
				t.Errorf("%s changes nothing in the world of %s", f.name, cells[0].ID)
			}
		}
	}
}
