package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Options says how to draw for this output: in colour and as wide as it is on a terminal, plainly elsewhere.
// NO_COLOR (no-color.org) turns colour off.
func Options(out io.Writer) reports.Options {
	o := reports.Options{}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		o.Color = os.Getenv("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.Width = max(width, 60)
		}
	}
	return o
}

// NewDisplay shows progress on an output: a line that is redrawn on a terminal, plain lines elsewhere.
func NewDisplay(out io.Writer, cells int) *reports.Progress {
	o := Options(out)
	f, ok := out.(*os.File)
	return reports.NewProgress(out, cells, reports.ProgressOptions{
		Terminal: ok && term.IsTerminal(int(f.Fd())), Color: o.Color, Width: o.Width})
}

// Do is a whole run for a person: prepare, execute, and draw what came out. A cancelled ctx ends it early; what was
// reached is kept and drawn.
func Do(ctx context.Context, out io.Writer, input *Input, sel matrix.Selection, described, dir string) (*reports.Summary, error) {
	summary, _, err := do(ctx, out, Config{Scenarios: input.Scenarios, Controls: input.Controls, Golden: input.Golden,
		Divergences: input.Divergences, Driver: input.Driver, Selection: sel, Described: described, Dir: dir})
	return summary, err
}

func do(ctx context.Context, out io.Writer, config Config) (*reports.Summary, string, error) {
	r, err := Prepare(ctx, out, config)
	if err != nil {
		return nil, "", err
	}
	r.Start(ctx)
	for _, e := range r.Plan.Envs {
		if r.Wait(ctx, e) != nil {
			break
		}
	}
	summary, err := r.Finish(out, Interruption(ctx))
	return summary, r.Dir, err
}

// Interruption says why a run ended before its time, for the trailer; empty if it did not.
func Interruption(ctx context.Context) string {
	if err := ctx.Err(); err != nil {
		return fmt.Sprint(context.Cause(ctx))
	}
	return ""
}

// publish reads the saved run once, writes the reports that other programs read beside run.jsonl, and draws the run.
func (r *Run) publish(out io.Writer) (*reports.Summary, error) {
	saved, err := reports.Open(r.Dir)
	if err != nil {
		return nil, err
	}
	view, err := reports.NewView(saved)
	if err != nil {
		return nil, err
	}
	o := Options(out)
	if o.Files, err = reports.WriteFiles(r.Dir, view, o); err != nil {
		return nil, err
	}
	if to := os.Getenv("GITHUB_STEP_SUMMARY"); to != "" {
		text, err := os.ReadFile(filepath.Join(r.Dir, reports.SummaryFile))
		if err != nil {
			return nil, err
		}
		if err := appendFile(to, text); err != nil {
			return nil, err
		}
	}
	return &view.Summary, reports.Terminal(out, view, o)
}

func appendFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Again judges a saved run with today's oracle, expectations and divergences, writes the result to FOLDER-judged and
// draws it. A record whose cell no scenario has any more is an error: its outcome cannot be judged.
func Again(out io.Writer, input *Input, folder string) (*reports.Summary, error) {
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, err
	}
	cells := map[string]*matrix.Cell{}
	all := expand(input.Scenarios)
	for i := range all {
		cells[all[i].ID] = &all[i]
	}
	r := &Run{Dir: strings.TrimSuffix(folder, "/") + "-judged", verdicts: map[string]verdict.Verdict{}, display: silent{}, config: Config{Golden: input.Golden, Divergences: input.Divergences}}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.file, err = os.Create(filepath.Join(r.Dir, reports.FileName)); err != nil {
		return nil, err
	}
	header := saved.Header
	header.Tool = version()
	if r.writer, err = reports.NewWriter(r.file, header); err != nil {
		return nil, err
	}
	interrupted := ""
	for record, err := range saved.Records() {
		var incomplete *reports.Incomplete
		if errors.As(err, &incomplete) {
			interrupted = incomplete.What
			break
		}
		if err != nil {
			return nil, err
		}
		c := cells[record.ID]
		if c == nil {
			return nil, fmt.Errorf("%s: no scenario has this cell any more; judge it with the scenarios that made the run", record.ID)
		}
		if now := reports.NewRecord(c, matrix.Prediction{}, nil, verdict.Verdict{}, record.Start, 0); now.World != record.World || !maps.Equal(now.Axes, record.Axes) {
			return nil, fmt.Errorf("%s: the cell was changed since the run (rules, roles, settings or defaults): the observation is of another one", record.ID)
		}
		if matrix.NotApplicable(c) == "" {
			if _, err := oracle.Predict(c); err != nil {
				return nil, fmt.Errorf("%s: %w", c.ID, err)
			}
		}
		r.record(c, record.Observation, record.Start, time.Duration(record.Micros)*time.Microsecond)
		if r.fatal != nil {
			return nil, r.fatal
		}
	}
	before, err := reports.Summarize(saved)
	if err != nil {
		return nil, err
	}
	trailer := reports.Trailer{End: header.Start, Interrupted: interrupted}
	if before.Trailer != nil {
		trailer = *before.Trailer
		trailer.Interrupted = interrupted
	}
	trailer.Stale = slices.DeleteFunc(before.Stale, func(s reports.Stale) bool { // rows that are gone are mended
		return !slices.ContainsFunc(input.Divergences, func(d matrix.Divergence) bool { return d.Pattern == s.Pattern })
	})
	if err := errors.Join(r.writer.Close(trailer), r.file.Close()); err != nil {
		return nil, err
	}
	return r.publish(out)
}

// Planted is a run of these cells with faults planted, for package prove: nothing is drawn. It returns the run's folder.
func Planted(ctx context.Context, input *Input, patterns []string, dir string, plant *Sabotage) (*reports.Summary, string, error) {
	named := func(s *matrix.Scenario) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return strings.HasPrefix(p, s.Name+"/") })
	}
	scenarios := slices.DeleteFunc(slices.Clone(input.Scenarios), func(s *matrix.Scenario) bool { return !named(s) }) // the others' cells need not be predicted
	return do(ctx, io.Discard, Config{Scenarios: scenarios, Controls: input.Controls, Divergences: input.Divergences,
		Selection: matrix.Selection{Patterns: patterns}, Described: "planted fault", Dir: dir, Sabotage: plant})
}
