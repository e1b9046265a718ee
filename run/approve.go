package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Approve writes into the golden files below folder what a saved run observed of the cells that the patterns name, and prints
// what changes. The run must be complete, with every cell as predicted: Drift, which an approval settles, is the only status of a failure
// that it may have. A folder of scenarios has FAMILY/NAME.yaml; the golden file stands beside it.
func Approve(out io.Writer, input *Input, saved *reports.Run, patterns []string, folder string) error {
	observed, err := approvable(input, saved, patterns)
	if err != nil {
		return err
	}
	for _, s := range input.Scenarios {
		if len(observed[s.Name]) == 0 {
			continue
		}
		golden := filepath.FromSlash(s.Name + ".golden")
		if _, err := os.Stat(filepath.Join(folder, filepath.FromSlash(s.Name+".yaml"))); err != nil {
			return fmt.Errorf("the scenario of %s: %w", golden, err)
		}
		old, err := matrix.LoadGolden(os.DirFS(folder), s.Name+".golden")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		cells := map[string]bool{}
		for _, c := range s.Expand() {
			cells[c.ID] = true
		}
		approved, changes := matrix.Approve(old, observed[s.Name], func(id string) bool { return cells[id] })
		for _, c := range changes {
			fmt.Fprintln(out, changed(c))
		}
		if err := os.WriteFile(filepath.Join(folder, golden), matrix.FormatGolden(approved), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d cells, %d changed\n", filepath.Join(folder, golden), len(approved), len(changes))
	}
	return nil
}

// approvable gives the outcomes of the cells that the patterns name, by scenario and ID.
func approvable(input *Input, saved *reports.Run, patterns []string) (map[string]map[string]matrix.Outcome, error) {
	if len(patterns) == 0 {
		return nil, errors.New("name the cells to approve: approving a whole run by mistake would approve whatever it did")
	}
	summary, err := reports.Summarize(saved)
	if err != nil {
		return nil, err
	}
	if summary.Incomplete != "" || summary.Trailer.Interrupted != "" {
		return nil, errors.New("the run did not end: nothing is approved from it")
	}
	observed := map[string]map[string]matrix.Outcome{}
	used := make([]bool, len(patterns))
	cells := lookUp{scenarios: input.Scenarios, expanded: map[string]map[string]*matrix.Cell{}}
	for record, err := range saved.Records() {
		if err != nil {
			return nil, err
		}
		if s := record.Verdict.Status; s == verdict.Differ || s == verdict.Broken {
			return nil, fmt.Errorf("%s is %s: a run in which a cell is not as predicted approves nothing", record.ID, s)
		}
		n := slices.IndexFunc(patterns, func(p string) bool { return matrix.MatchID(p, record.ID) })
		if n < 0 || record.Verdict.Status != verdict.Agree && record.Verdict.Status != verdict.Drift {
			continue
		}
		used[n] = true
		c := cells.find(record)
		if c == nil {
			return nil, fmt.Errorf("%s: no scenario has this cell any more", record.ID)
		}
		if observed[c.Scenario] == nil {
			observed[c.Scenario] = map[string]matrix.Outcome{}
		}
		observed[c.Scenario][c.ID] = verdict.Settled(c, matrix.Prediction{Outcome: record.Predicted}, record.Observation)
	}
	if n := slices.Index(used, false); n >= 0 {
		return nil, fmt.Errorf("the run has no cell %s that agrees", patterns[n])
	}
	return observed, nil
}

// changed is a line or two for one change.
func changed(c matrix.GoldenChange) string {
	var b strings.Builder
	b.WriteString(c.ID)
	if c.Was != nil {
		fmt.Fprintf(&b, "\n  was  %s", c.Was)
	}
	if c.Is != nil {
		fmt.Fprintf(&b, "\n  is   %s", c.Is)
	} else {
		b.WriteString("\n  does not exist any more")
	}
	return b.String()
}
