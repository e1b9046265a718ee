// Package prove plants faults, one in each of many real runs, and shows that every fault is caught where it must show: a
// harness that says Agree to a planted fault cannot be believed when it says Agree to anything.
package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// fault is one thing that is planted, where it must show, and as which status. Both are written by hand: no oracle says where a
// fault shows, and a cell that is Broken for another reason than the planted one proves nothing.
type fault struct {
	name  string
	shows []string // every cell of these patterns must come out as said
	not   []string // every cell of these patterns, tried in the same run, must still agree
	as    verdict.Status
	why   string // regular expression: a cause if Broken, a difference (FIELD WANTED, observed OBSERVED) if Differ
	plant plant
}

// atATime is the number of runs at a time, each with a fault of its own; they mostly wait.
const atATime = 3

// Prove runs every fault whose name has one of the texts, or every fault if there is no text, and prints the table. It is false if a fault was
// missed, or if a cell failed that the fault cannot touch.
func Prove(ctx context.Context, out io.Writer, texts []string) (bool, error) {
	faults, err := chosen(faults(), texts)
	if err != nil {
		return false, err
	}
	input, err := run.Load()
	if err != nil {
		return false, err
	}
	dir, remove, err := pgimages.TempDir("prove")
	if err != nil {
		return false, err
	}
	defer remove()
	var everything []string
	for _, f := range faults {
		everything = append(append(everything, f.shows...), f.not...)
	}
	healthy, err := try(ctx, input, dir, everything, plant{})
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
	t.AppendHeader(table.Row{"planted fault", "must show", "as", "shown", "missed", "untouched", "blamed", ""})
	results := make([]result, len(faults))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for i, f := range faults {
		group.Go(func() error {
			verdicts, err := try(groupCtx, input, dir, slices.Concat(f.shows, f.not), f.plant)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			results[i] = f.judge(verdicts)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return false, err
	}
	caught := 0
	var wrong []string
	for i, f := range faults {
		r := results[i]
		word := "MISSED"
		if r.caught() {
			word = "caught"
			caught++
		}
		t.AppendRow(table.Row{f.name, r.must, f.as, r.must - len(r.missed), len(r.missed), r.untouched, len(r.blamed), word})
		for _, line := range append(r.missed, r.blamed...) {
			wrong = append(wrong, f.name+": "+line)
		}
	}
	t.Render()
	for _, line := range wrong {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%d of %d planted faults caught\n", caught, len(faults))
	return caught == len(faults), nil
}

// chosen are the faults whose names have one of the texts. A text that no name has is an error.
func chosen(faults []fault, texts []string) (list []fault, err error) {
	if len(texts) == 0 {
		return faults, nil
	}
	for _, text := range texts {
		if !slices.ContainsFunc(faults, func(f fault) bool { return strings.Contains(f.name, text) }) {
			return nil, fmt.Errorf("no fault has %q in its name; pgauthmatrix prove --list names the faults", text)
		}
	}
	for _, f := range faults {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(f.name, text) }) {
			list = append(list, f)
		}
	}
	return list, nil
}

// List names the faults, one a line.
func List(out io.Writer) error {
	for _, f := range faults() {
		if _, err := fmt.Fprintln(out, f.name); err != nil {
			return err
		}
	}
	return nil
}

// result counts the cells of one fault.
type result struct {
	must, untouched int
	missed, blamed  []string // a line a cell
}

// caught asks for a proof: at least one cell where the fault had to show, none of them missed, none blamed elsewhere.
func (r result) caught() bool { return r.must > 0 && len(r.missed) == 0 && len(r.blamed) == 0 }

func (f fault) judge(verdicts map[string]verdict.Verdict) result {
	var r result
	why := regexp.MustCompile(f.why)
	for _, id := range slices.Sorted(maps.Keys(verdicts)) {
		v := verdicts[id]
		said := said(v)
		line := fmt.Sprintf("%s is %s (%s)", id, v.Status, strings.Join(said, "; "))
		switch {
		case matches(f.shows, id):
			r.must++
			if v.Status != f.as || !slices.ContainsFunc(said, why.MatchString) {
				r.missed = append(r.missed, fmt.Sprintf("%s, must be %s (%s)", line, f.as, f.why))
			}
		case v.Status == verdict.Agree:
			r.untouched++
		default:
			r.blamed = append(r.blamed, line)
		}
	}
	return r
}

// said is what a verdict gives as its reasons.
func said(v verdict.Verdict) []string {
	if v.Status == verdict.Broken {
		return []string{v.Cause}
	}
	var lines []string
	for _, d := range v.Differences {
		lines = append(lines, fmt.Sprintf("%s %s, observed %s", d.Field, d.Want, d.Observed))
	}
	return lines
}

func matches(patterns []string, id string) bool {
	for _, p := range patterns {
		if matrix.MatchID(p, id) {
			return true
		}
	}
	return false
}

// try runs cells with a fault planted and returns their verdicts. A run that did not end is an error.
func try(ctx context.Context, input *run.Input, dir string, patterns []string, plant plant) (map[string]verdict.Verdict, error) {
	s := &saboteur{plant: plant}
	summary, folder, err := run.Planted(ctx, input, patterns, dir, s.provision)
	if err = errors.Join(err, s.failure()); err != nil {
		return nil, err
	}
	if summary.Incomplete != "" {
		return nil, fmt.Errorf("the run did not end: %s", summary.Incomplete)
	}
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, err
	}
	if saved.Header.Lost > 0 {
		return nil, fmt.Errorf("%d cells cannot be tried: their images are not available here", saved.Header.Lost)
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
