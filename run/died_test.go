package run

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// files are what a run left in its folder, with the message of JUnit's error about the run itself.
func files(t *testing.T, dir string) (summary *reports.Summary, junit, markdown string) {
	t.Helper()
	saved, err := reports.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if summary, err = reports.Summarize(saved); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Error *struct {
					Message string `xml:"message,attr"`
				} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Suites {
		if s.Name == "pgauthmatrix/run" && s.Cases[0].Error != nil {
			junit = s.Cases[0].Error.Message
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, reports.SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	return summary, junit, string(page)
}

func fewCells(t *testing.T) []matrix.Cell {
	t.Helper()
	return scenario(t, "a/b", "server: 17\nhba: |\n  host all all all trust\n", "library: pgx\nuser: [alice, bob, carol]\n", "")
}

// A run that cannot provision anything leaves its records and reports: no cell was reached, and why.
func TestSetUpDies(t *testing.T) {
	steps := filepath.Join(t.TempDir(), "step")
	t.Setenv("GITHUB_STEP_SUMMARY", steps)
	dir := t.TempDir()
	r := newRun(Config{Dir: dir, Described: "every cell"})
	var out bytes.Buffer
	if err := r.died(&out, fewCells(t), errors.New("image server-17 could not be made: no space left on device")); err != nil {
		t.Fatal(err)
	}
	summary, junit, page := files(t, r.Dir)
	const why = "set-up failed: image server-17 could not be made: no space left on device"
	if summary.Incomplete != why || summary.Green() || summary.Counts.Total() != 0 || summary.Trailer == nil || summary.Trailer.NotReached["a/b"] != 3 {
		t.Errorf("%+v", summary)
	}
	if want := why + "; 0 of 3 cells were judged"; junit != want {
		t.Errorf("JUnit says %q, want %q", junit, want)
	}
	step, err := os.ReadFile(steps)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"the terminal": out.String(), "the summary": page, "the page of the job": string(step)} {
		if text = strings.Join(strings.Fields(text), " "); !strings.Contains(text, why) || !strings.Contains(text, "FAILED") || !strings.Contains(text, "3 cells not reached: a/b 3") {
			t.Errorf("%s does not say why:\n%s", name, text)
		}
	}
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newRun(Config{Dir: blocked}).died(io.Discard, fewCells(t), errors.New("no engine")); err == nil || !strings.Contains(err.Error(), "cannot make the run's folder") {
		t.Errorf("a folder that cannot be made: %v", err)
	}
}

// begun is a run whose only Env ended at once.
func begun(t *testing.T) (r *Run) {
	t.Helper()
	cells := fewCells(t)
	r = newRun(Config{Dir: t.TempDir()})
	var err error
	if r.predicted, err = predict(nil, cells); err != nil {
		t.Fatal(err)
	}
	if r.Plan, err = NewPlan(cells, controls(t, "[pgx]")); err != nil {
		t.Fatal(err)
	}
	if err := r.open(r.header(cells)); err != nil {
		t.Fatal(err)
	}
	close(r.all)
	_, r.cancel = context.WithCancel(t.Context())
	return r
}

// Cells that an Env left without records, after a panic, are not reached; the reports are written, and the run is not green.
func TestCellsWithoutRecords(t *testing.T) {
	r := begun(t)
	summary, err := r.Finish(io.Discard, "")
	if err != nil || summary.Green() {
		t.Fatalf("%+v, %v", summary, err)
	}
	if _, junit, _ := files(t, r.Dir); junit != "an env ended and its cells have no records; 0 of 3 cells were judged" {
		t.Errorf("JUnit says %q", junit)
	}
}

// Where a record could not be written the run ends with the error, and what was written is drawn.
func TestFinishDrawsWhatIsThere(t *testing.T) {
	r := begun(t)
	r.fail(errors.New("no space left on device"))
	var died *Died // no bad input
	if _, err := r.Finish(io.Discard, ""); !errors.As(err, &died) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("the run ended with %v", err)
	}
	if _, junit, _ := files(t, r.Dir); !strings.HasPrefix(junit, "no space left on device; 0 of 3") {
		t.Errorf("JUnit says %q", junit)
	}
}
