package run

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// halfDone is the folder of a run that recorded the first of its three cells and was killed, or ended.
func halfDone(t *testing.T, end *reports.Trailer) (*reports.Run, []matrix.Cell) {
	t.Helper()
	cells := fewCells(t)
	r := newRun(Config{Dir: t.TempDir(), Described: "these", Selection: matrix.Selection{Patterns: []string{"a/b"}}})
	r.part = r.config.partOf(cells)
	r.Plan = &Plan{}
	if err := r.open(r.header(cells)); err != nil {
		t.Fatal(err)
	}
	tried := cells
	if end == nil || end.Interrupted != "" {
		tried = cells[:1]
	}
	for i := range tried {
		p, err := Predict(&cells[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := r.record(&cells[i], &matrix.Observation{Outcome: p.Outcome}, time.Now(), 6*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if end == nil {
		time.Sleep(1200 * time.Millisecond) // records are in the file a second after they were written
	} else if err := r.writer.Close(*end); err != nil {
		t.Fatal(err)
	}
	if err := r.file.Close(); err != nil {
		t.Fatal(err)
	}
	r.unlock()
	saved, err := reports.Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return saved, cells
}

// A run that was killed or interrupted goes on with the cells that have no record, once: not in two processes.
func TestTakeOver(t *testing.T) {
	for name, end := range map[string]*reports.Trailer{"killed": nil, "interrupted": {Interrupted: "interrupt", NotReached: map[string]int{"a/b": 2}}} {
		saved, cells := halfDone(t, end)
		r := newRun(Config{resumed: saved})
		if err := r.takeOver(saved); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rest := without(cells, r.verdicts)
		if r.ID != saved.Header.Run || r.label == r.ID || len(rest) != 2 || rest[0].ID != cells[1].ID {
			t.Errorf("%s: run %s, label %s, %d cells are left", name, r.ID, r.label, len(rest))
		}
		other := newRun(Config{resumed: saved})
		if err := other.takeOver(saved); fmt.Sprint(err) != "run "+r.ID+" goes on in another process: wait for its end" {
			t.Errorf("%s: a second process: %v", name, err)
		}
		r.unlock()
		header := r.header(cells)
		header.Part = saved.Header.Part
		if why := saved.Header.SameAs(&header); why != "" {
			t.Errorf("%s: the same run is not the same: %s", name, why)
		}
		header.Tool = "another"
		if why := saved.Header.SameAs(&header); !strings.HasPrefix(why, "version of pgauthmatrix: ") {
			t.Errorf("%s: another program: %s", name, why)
		}
	}
	saved, _ := halfDone(t, &reports.Trailer{End: time.Now()})
	r := newRun(Config{resumed: saved})
	if err := r.takeOver(saved); err == nil || !strings.Contains(err.Error(), "ended: every cell of it has a record") {
		t.Errorf("a run that ended: %v", err)
	}
	r.unlock()
}

func TestResumeConfig(t *testing.T) {
	saved, _ := halfDone(t, nil)
	c, err := ResumeConfig(saved)
	if err != nil || c.Described != "these" || len(c.Selection.Patterns) != 1 || c.Selection.Patterns[0] != "a/b" || c.resumed != saved || len(c.Scenarios) == 0 {
		t.Errorf("%+v, %v", c.Selection, err)
	}
	saved.Header.Part.Costs = t.TempDir()
	if _, err := ResumeConfig(saved); err == nil || !strings.HasPrefix(err.Error(), "costs: ") {
		t.Errorf("costs that are gone: %v", err)
	}
	saved.Header.Part = nil
	if _, err := ResumeConfig(saved); err == nil || !strings.Contains(err.Error(), "does not say what it selected") {
		t.Errorf("an old run: %v", err)
	}
}

// The digest is of the cells and of their worlds: a changed rule is another selection.
func TestPartOf(t *testing.T) {
	digest := func(rules string) string {
		return (&Config{}).partOf(scenario(t, "a/b", "server: 17\nhba: |\n  "+rules+"\n", "library: pgx\nuser: [alice, bob]\n", "")).Digest
	}
	if a, b := digest("host all all all trust"), digest("host all all all reject"); a == b || a != digest("host all all all trust") {
		t.Errorf("%s, %s", a, b)
	}
}

func TestCostsOf(t *testing.T) {
	saved, cells := halfDone(t, &reports.Trailer{Interrupted: "interrupt", NotReached: map[string]int{"a/b": 2}, EnvCost: 3 * time.Second})
	cost, err := CostsOf(saved)
	if err != nil || cost.Env != 3*time.Second || cost.World != matrix.EstimatedCost.World || cost.Cells[cells[0].ID] != time.Millisecond || cost.Cell != time.Millisecond {
		t.Errorf("%+v, %v", cost, err)
	}
}
