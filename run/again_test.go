package run

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// TestReclassified: evidence without a witness is a fault to every classifier, so that an outcome that stays was not made anew.
func TestReclassified(t *testing.T) {
	c := &scenario(t, "a/one", "server: 17\n"+trustAll, "library: pgx\nuser: alice\n", "")[0]
	outcome := matrix.Outcome{End: matrix.Connected}
	for _, tt := range []struct {
		name  string
		saved *matrix.Observation
		again bool
	}{
		{"an outcome", &matrix.Observation{Outcome: outcome}, true},
		{"a fault of the classifier", &matrix.Observation{Fault: "unknown text", Unclassified: "unknown text"}, true},
		{"a fault of the harness", &matrix.Observation{Fault: "no answer within 4m0s"}, false},
		{"control cells that failed after an outcome", &matrix.Observation{Outcome: outcome, Fault: "env pg17 after these cells: control cell"}, false},
		{"not attempted", nil, false},
	} {
		got := reclassified(c, tt.saved)
		if again := got != nil && got.Fault != tt.saved.Fault; again != tt.again {
			t.Errorf("%s: made anew: %v, want %v", tt.name, again, tt.again)
		}
		if tt.saved == nil && got != nil || tt.saved != nil && got.Fault == "" {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// saved is a run of cells that were observed so; without an observation a cell comes out as predicted.
func saved(t *testing.T, cells []matrix.Cell, observed map[string]matrix.Observation, golden matrix.Golden, interrupted string) *reports.Run {
	t.Helper()
	var file bytes.Buffer
	r := newRun(Config{Golden: golden})
	r.Plan = &Plan{}
	if err := r.write(&file, reports.Header{Run: r.ID, Cells: len(cells)}); err != nil {
		t.Fatal(err)
	}
	for i := range cells {
		c := &cells[i]
		o, known := observed[c.ID]
		if !known {
			p, err := Predict(c)
			if err != nil {
				t.Fatal(err)
			}
			if c.ByHand {
				p.Outcome = c.Expect.Then.Outcome
			}
			o = matrix.Observation{Outcome: p.Outcome, Unseen: verdict.Unseen(c, p)}
		}
		if err := r.record(c, &o, time.Now(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.writer.Close(reports.Trailer{End: time.Now(), Interrupted: interrupted}); err != nil {
		t.Fatal(err)
	}
	run, err := reports.Read(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return run
}

const approvedScenario = `question: q?
world:
  server: 17
  hba: |
    hostssl all alice all trust
client:
  library: pgx
  user: [alice, bob]
  sslmode: [disable, require]
`

func TestApprove(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	file, goldenFile := filepath.Join(dir, "a", "one.yaml"), filepath.Join(dir, "a", "one.golden")
	if err := os.WriteFile(file, []byte(approvedScenario), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := matrix.LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input := &Input{Scenarios: []*matrix.Scenario{s}}
	cells := s.Expand()
	approve := func(run *reports.Run, patterns ...string) (string, error) {
		var out strings.Builder
		err := Approve(&out, input, run, patterns, dir)
		return out.String(), err
	}

	out, err := approve(saved(t, cells, nil, nil, ""), "a/one/pg17/pgx/user=alice,sslmode=*")
	if err != nil || !strings.Contains(out, "2 cells, 2 changed") {
		t.Fatalf("%v\n%s", err, out)
	}
	golden, err := matrix.LoadGolden(os.DirFS(dir), "a/one.golden")
	if err != nil || len(golden) != 2 || golden["a/one/pg17/pgx/user=alice,sslmode=require"].String() == "" {
		t.Fatalf("%v, %v", golden, err)
	}
	if out, err = approve(saved(t, cells, nil, golden, ""), "a/one"); err != nil || !strings.Contains(out, "4 cells, 2 changed") {
		t.Errorf("the others: %v\n%s", err, out)
	}
	// What was approved otherwise is Drift, and is what approving is for.
	drift := matrix.Golden{cells[0].ID: golden["a/one/pg17/pgx/user=alice,sslmode=require"]}
	if err := os.WriteFile(goldenFile, matrix.FormatGolden(drift), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err = approve(saved(t, cells, nil, drift, ""), "a/one"); err != nil || !strings.Contains(out, "\n  was  ") {
		t.Errorf("drift: %v\n%s", err, out)
	}

	before, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	bad := cells[3].ID
	for _, tt := range []struct {
		name     string
		run      *reports.Run
		patterns []string
		want     string
	}{
		{"no pattern", saved(t, cells, nil, nil, ""), nil, "name the cells to approve"},
		{"no such cell", saved(t, cells, nil, nil, ""), []string{"a/two"}, "the run has no cell a/two that agrees"},
		{"another cell differs", saved(t, cells, map[string]matrix.Observation{bad: {Outcome: golden["a/one/pg17/pgx/user=alice,sslmode=require"]}}, nil, ""), []string{cells[0].ID}, bad + " is Differ"},
		{"another cell is Broken", saved(t, cells, map[string]matrix.Observation{bad: {Fault: "x"}}, nil, ""), []string{cells[0].ID}, bad + " is Broken"},
		{"interrupted", saved(t, cells, nil, nil, "interrupt"), []string{"a/one"}, "did not end"},
	} {
		if out, err := approve(tt.run, tt.patterns...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q\n%s", tt.name, err, tt.want, out)
		}
	}
	if after, err := os.ReadFile(goldenFile); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a run that approves nothing changed the file: %v\n%s", err, after)
	}
}
