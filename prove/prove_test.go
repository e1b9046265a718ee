package prove

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func TestJudgeWantsEveryFaultSeenAndNobodyBlamed(t *testing.T) {
	differs := verdict.Verdict{Status: verdict.Differ, Differences: []verdict.Difference{
		{Field: matrix.FieldStage, Want: "session", Observed: "tls"}, {Field: matrix.FieldEnd, Want: "connected", Observed: "refused"}}}
	breaks := verdict.Verdict{Status: verdict.Broken, Cause: "witnesses contradict: one says this"}
	agrees := verdict.Verdict{Status: verdict.Agree}
	type verdicts = map[string]verdict.Verdict
	for _, tt := range []struct {
		name     string
		as       verdict.Status
		why      string
		verdicts verdicts
		caught   bool
	}{
		{"differs", verdict.Differ, endRefused, verdicts{"a/one/x": differs, "a/two/x": agrees}, true},
		{"differs otherwise", verdict.Differ, endConnected, verdicts{"a/one/x": differs}, false},
		{"is broken", verdict.Broken, contradiction, verdicts{"a/one/x": breaks}, true},
		{"is broken by another cause", verdict.Broken, "the KDC is not healthy", verdicts{"a/one/x": breaks}, false},
		{"is broken and must differ", verdict.Differ, "", verdicts{"a/one/x": breaks}, false},
		{"differs and must be broken", verdict.Broken, "", verdicts{"a/one/x": differs}, false},
		{"agrees", verdict.Differ, "", verdicts{"a/one/x": agrees}, false},
		{"one of two agrees", verdict.Differ, endRefused, verdicts{"a/one/x": differs, "a/one/y": agrees}, false},
		{"is known", verdict.Differ, "", verdicts{"a/one/x": {Status: verdict.Known, Differences: differs.Differences}}, false},
		{"no verdict", verdict.Differ, "", verdicts{"a/one/x": {}}, false},
		{"another is blamed", verdict.Differ, endRefused, verdicts{"a/one/x": differs, "a/two/x": differs}, false},
		{"nothing was tried", verdict.Differ, "", verdicts{"a/two/x": agrees}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fault{shows: []string{"a/one"}, not: []string{"a/two"}, as: tt.as, why: tt.why}
			if r := f.judge(tt.verdicts); r.caught() != tt.caught {
				t.Errorf("caught %v: %+v", r.caught(), r)
			}
		})
	}
}

// TestFaultsNameCells checks by the scenarios that every pattern names cells, and that what is planted changes the
// world that they are tried in.
func TestFaultsNameCells(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	input, err := run.Load()
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, f := range faults() {
		patterns = append(append(patterns, f.shows...), f.not...)
	}
	cells, _, err := input.Cells(matrix.Selection{Patterns: patterns})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		if f.why == "" || f.as != verdict.Differ && f.as != verdict.Broken {
			t.Errorf("%s: must show as %q by %q", f.name, f.as, f.why)
		}
		for _, pattern := range append(f.shows, f.not...) {
			var named []matrix.Cell
			for _, c := range cells {
				if matrix.MatchID(pattern, c.ID) {
					named = append(named, c)
				}
			}
			if len(named) != 1 {
				t.Errorf("%s: %s: %d cells", f.name, pattern, len(named))
				continue
			}
			c := named[0]
			if f.plant.world == nil || !matches(f.shows, c.ID) {
				continue
			}
			w := *c.World
			if f.plant.world(&w); w.Key() == c.World.Key() {
				t.Errorf("%s changes nothing in the world of %s", f.name, c.ID)
			}
		}
	}
}

// TestProve is make prove.
func TestProve(t *testing.T) {
	livetest.NeedsContainers(t)
	var out strings.Builder
	ok, err := Prove(t.Context(), &out, nil)
	if err != nil || !ok {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestChosen(t *testing.T) {
	all := []fault{{name: "a key is lost"}, {name: "a lock is lost"}, {name: "nothing"}}
	for _, tt := range []struct {
		texts []string
		want  string
	}{
		{nil, "a key is lost,a lock is lost,nothing"},
		{[]string{"lost"}, "a key is lost,a lock is lost"},
		{[]string{"nothing", "key"}, "a key is lost,nothing"},
		{[]string{"key", "door"}, `error: no fault has "door" in its name; pgauthmatrix prove --list names the faults`},
	} {
		list, err := chosen(all, tt.texts)
		var names []string
		for _, f := range list {
			names = append(names, f.name)
		}
		got := strings.Join(names, ",")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.texts, got, tt.want)
		}
	}
}
