package run

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
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

// ConfigOf is the Config of a run of these cells; described is the selection for people, dir the folder below which the run makes its own.
func ConfigOf(input *Input, sel matrix.Selection, described, dir string) Config {
	return Config{Scenarios: input.Scenarios, Controls: input.Controls, Golden: input.Golden, Divergences: input.Divergences, Driver: input.Driver,
		Selection: sel, Described: described, Dir: dir}
}

// Do is a whole run for a person: prepare, execute, and draw what came out. A cancelled ctx ends it early; what was
// reached is kept and drawn. It returns the run's folder, too.
func Do(ctx context.Context, out io.Writer, config Config) (*reports.Summary, string, error) {
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

// Planted is a run of these cells with faults planted by its Provisioner, or none if it is nil, for package prove: nothing is drawn. It returns the run's folder.
func Planted(ctx context.Context, input *Input, patterns []string, dir string, provision Provisioner) (*reports.Summary, string, error) {
	return Do(ctx, io.Discard, Config{Scenarios: input.Scenarios, Controls: input.Controls, Divergences: input.Divergences,
		Selection: matrix.Selection{Patterns: patterns}, Described: "planted fault", Dir: dir, Provision: provision})
}
