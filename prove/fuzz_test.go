package prove

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/prove/random"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// TestRandomScenariosAreBalanced bounds the shares of what random cells reach: a generator whose rules never load, or never let anybody in, tries nothing.
func TestRandomScenariosAreBalanced(t *testing.T) {
	b, err := Collect(1, 12000, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, s := range b.scenarios {
		cells := s.Expand()
		for i := range cells {
			if matrix.NotApplicable(&cells[i]) != "" {
				n["not applicable"]++
				continue
			}
			p, err := run.Predict(&cells[i])
			if err != nil {
				t.Fatal(err)
			}
			n["refused at "+string(p.Outcome.Stage)]++
			n[string(p.Outcome.Reason)]++
			if p.Outcome.Load != "" {
				n["does not load"]++
			}
		}
	}
	n["not predicted"] = b.lost
	for _, share := range []struct {
		what        string
		least, most float64 // percent
	}{
		{"refused at session", 12, 40}, {"refused at hba", 10, 35}, {"refused at auth", 20, 50}, {"refused at ident", 1.5, 15}, {"refused at tls", 5, 20}, {"refused at startup", 1, 8}, {"refused at options", 0.2, 5}, {"refused at gssenc", 0.3, 5},
		{"refused at dial", 0.3, 5}, {"no-hba-entry", 5, 20}, {"hba-reject", 3, 15}, {"password", 5, 25}, {"does not load", 8, 25}, {"not applicable", 0, 8}, {"not predicted", 0, 10},
	} {
		percent := 100 * float64(n[share.what]) / float64(b.attempts)
		t.Logf("%5.1f %% %s", percent, share.what)
		if percent < share.least || percent > share.most {
			t.Errorf("%.1f %% of %d cells: %s, want %v to %v %%", percent, b.attempts, share.what, share.least, share.most)
		}
	}
	total := 0
	for _, cells := range b.causes {
		total += cells
	}
	if total != b.lost || b.lost > 0 && !strings.Contains(b.report(), "example: ") {
		t.Errorf("%d cells cannot be predicted, and %d have a cause\n%s", b.lost, total, b.report())
	}
}

func TestBatchIsTheSameAgain(t *testing.T) {
	x, errX := Collect(5, 500, nil)
	y, errY := Collect(5, 500, nil)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	same := slices.EqualFunc(x.sets, y.sets, func(a, b *random.Scenario) bool { return bytes.Equal(a.YAML(), b.YAML()) })
	if !same || x.attempts != y.attempts || x.attempts < 500 || !strings.HasPrefix(x.scenarios[0].Expand()[0].ID, "random/seed-5-set-1/") {
		t.Errorf("%d and %d cells, first %s", x.attempts, y.attempts, x.scenarios[0].Expand()[0].ID)
	}
}

func TestDisagreements(t *testing.T) {
	differ := verdict.Verdict{Status: verdict.Differ, Differences: []verdict.Difference{{Field: matrix.FieldEnd}, {Field: matrix.FieldStage}}}
	for _, tt := range []struct {
		v   verdict.Verdict
		how string
		yes bool
	}{
		{verdict.Verdict{Status: verdict.Agree}, "", false},
		{verdict.Verdict{Status: verdict.NotApplicable}, "", false},
		{verdict.Verdict{Status: verdict.Broken, Cause: "x"}, "", true},
		{differ, string(matrix.FieldEnd) + " " + string(matrix.FieldStage), true},
	} {
		if d, yes := disagrees(&reports.Record{ID: "a", Verdict: tt.v}); yes != tt.yes || d.how != tt.how || d.as != tt.v.Status {
			t.Errorf("%v: %+v %v", tt.v, d, yes)
		}
	}
}

var update = flag.Bool("update", false, "write the scenarios of the family random anew")

// familyCells is about the number of cells of the family random, which is a part of every run: the first scenarios of seed 1.
const familyCells = 300

// TestRandomFamily compares the family random with what seed 1 gives.
func TestRandomFamily(t *testing.T) {
	b, err := Collect(1, familyCells, nil)
	if err != nil {
		t.Fatal(err)
	}
	const folder = "../scenarios"
	if *update {
		if err := os.RemoveAll(filepath.Join(folder, random.Family)); err != nil {
			t.Fatal(err)
		}
		if err := b.save(folder); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range b.sets {
		if got, err := os.ReadFile(fileOf(folder, s)); err != nil || !bytes.Equal(got, s.YAML()) {
			t.Errorf("%s is not what seed 1 gives: go test ./prove -run RandomFamily -update (%v)", fileOf(folder, s), err)
		}
	}
	if files, err := os.ReadDir(filepath.Join(folder, random.Family)); err != nil || len(files) != len(b.sets) {
		t.Errorf("%d scenarios in the family random, want %d (%v)", len(files), len(b.sets), err)
	}
}
