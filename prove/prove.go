// Package prove plants faults one at a time, in real runs, and shows that every one is caught where it must show: a
// harness that says Agree to a planted fault cannot be believed when it says Agree to anything.
package prove

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// fault is one thing that is planted, and where it must show. The cells are named by hand: no oracle says where a
// fault shows.
type fault struct {
	name  string
	shows []string // every cell of these patterns must come out as Differ or Broken
	not   []string // every cell of these patterns, tried in the same run, must still agree
	plant *run.Sabotage
}

// Prove runs every fault and prints the table. It is false if a fault was missed, or blamed on a cell it cannot touch.
func Prove(ctx context.Context, out io.Writer) (bool, error) {
	input, err := run.Load()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "pgauthmatrix-prove-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	faults := faults()
	var everything []string
	for _, f := range faults {
		everything = append(append(everything, f.shows...), f.not...)
	}
	healthy, err := try(ctx, input, dir, everything, nil)
	if err != nil {
		return false, err
	}
	for id, v := range healthy {
		if v.Status != verdict.Agree {
			return false, fmt.Errorf("%s is %s before any fault was planted (%s %v): nothing can be proven on it", id, v.Status, v.Cause, v.Differences)
		}
	}
	fmt.Fprintf(out, "%d cells agree before any fault is planted.\n", len(healthy))
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.AppendHeader(table.Row{"planted fault", "must show", "Differ", "Broken", "missed", "untouched", "blamed", ""})
	caught := 0
	for _, f := range faults {
		verdicts, err := try(ctx, input, dir, append(f.shows, f.not...), f.plant)
		if err != nil {
			return false, fmt.Errorf("%s: %w", f.name, err)
		}
		r := f.judge(verdicts)
		word := "MISSED"
		if r.caught() {
			word = "caught"
			caught++
		}
		t.AppendRow(table.Row{f.name, r.must, r.differ, r.broken, r.missed, r.untouched, r.blamed, word})
	}
	t.Render()
	fmt.Fprintf(out, "%d of %d planted faults caught\n", caught, len(faults))
	return caught == len(faults), nil
}

// result counts what became of the cells of one fault.
type result struct{ must, differ, broken, missed, untouched, blamed int }

// caught asks for a proof: at least one cell where the fault had to show, none of them missed, none blamed elsewhere.
func (r result) caught() bool { return r.must > 0 && r.missed == 0 && r.blamed == 0 }

func (f fault) judge(verdicts map[string]verdict.Verdict) result {
	var r result
	for id, v := range verdicts {
		if !matches(f.shows, id) {
			if v.Status == verdict.Agree {
				r.untouched++
			} else {
				r.blamed++
			}
			continue
		}
		r.must++
		switch v.Status {
		case verdict.Differ:
			r.differ++
		case verdict.Broken:
			r.broken++
		default:
			r.missed++
		}
	}
	return r
}

func matches(patterns []string, id string) bool {
	for _, p := range patterns {
		if matrix.MatchID(p, id) {
			return true
		}
	}
	return false
}

// try runs cells with a fault planted and returns their verdicts. A cell that has none after a whole run is an error
// of the run itself.
func try(ctx context.Context, input *run.Input, dir string, patterns []string, plant *run.Sabotage) (map[string]verdict.Verdict, error) {
	summary, folder, err := run.Planted(ctx, input, patterns, dir, plant)
	if err != nil {
		return nil, err
	}
	if summary.Incomplete != "" {
		return nil, fmt.Errorf("the run did not end: %s", summary.Incomplete)
	}
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, err
	}
	verdicts := map[string]verdict.Verdict{}
	for record, err := range saved.Records() {
		if err != nil {
			return nil, err
		}
		verdicts[record.ID] = record.Verdict
	}
	return verdicts, nil
}

// swap plants a change of the world's text or settings that neither the cells nor the oracle know of.
func swap(change func(*matrix.World)) *run.Sabotage {
	return &run.Sabotage{World: func(w matrix.World) matrix.World {
		change(&w)
		return w
	}}
}

// hba changes one token of the rules, where they have it.
func hba(old, new string) *run.Sabotage {
	return swap(func(w *matrix.World) { w.HBA = strings.Replace(w.HBA, old, new, 1) })
}
