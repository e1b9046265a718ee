package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Interruption says why a run ended before its time, for the trailer; empty if it did not.
func Interruption(ctx context.Context) string {
	if err := ctx.Err(); err != nil {
		return fmt.Sprint(context.Cause(ctx))
	}
	return ""
}

// Finish waits for the end, writes the trailer and says what came of the run. interrupted is why it ended before
// its time, or empty. Whatever went wrong, what is in the file is drawn.
func (r *Run) Finish(out io.Writer, interrupted string) (*reports.Summary, error) {
	ended := errors.Join(r.end(interrupted), r.file.Close())
	summary, err := r.config.publish(out, r.Dir)
	r.unlock()
	err = errors.Join(err, pgimages.Release(r.label))
	if err := errors.Join(ended, err); err != nil {
		return nil, died(err)
	}
	return summary, nil
}

// end waits for the end and writes the trailer.
func (r *Run) end(interrupted string) error {
	if r.cancel != nil {
		if interrupted != "" {
			r.cancel()
		}
		<-r.all
		r.cancel()
	}
	r.display.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	trailer := reports.Trailer{End: time.Now(), Interrupted: interrupted, NotReached: map[string]int{}, Envs: r.envsSoFar}
	trailer.Provision, trailer.Attempt = r.clock.read()
	trailer.EnvCost, trailer.WorldCost = r.clock.means()
	if r.before != nil && r.before.Trailer != nil {
		t := r.before.Trailer
		trailer.Envs, trailer.Provision, trailer.Attempt = trailer.Envs+t.Envs, trailer.Provision+t.Provision, trailer.Attempt+t.Attempt
	}
	for _, e := range r.Plan.Envs {
		for _, c := range e.Cells() {
			if _, reached := r.verdicts[c.ID]; !reached {
				trailer.NotReached[c.Scenario]++
			}
		}
	}
	if len(trailer.NotReached) > 0 && trailer.Interrupted == "" { // after a panic, or where a record could not be written
		trailer.Interrupted = "an env ended and its cells have no records"
		if r.fatal != nil {
			trailer.Interrupted = r.fatal.Error()
		}
	}
	if r.whole() {
		for _, d := range verdict.Stale(r.config.Divergences, r.ids) {
			trailer.Stale = append(trailer.Stale, reports.Stale{Pattern: d.Pattern, Pos: d.Pos})
		}
	}
	return errors.Join(r.fatal, r.writer.Close(trailer))
}

// whole says whether the run has every cell that there is: only such a run can tell that a divergence names none.
func (r *Run) whole() bool { return r.part != nil && r.part.Whole() }

// Publishing says what the reports hold a run against.
type Publishing struct {
	Baseline *reports.Run // an earlier run: what changed since is said first; nil: none
	History  string       // the file with a line for each night; a run that ended appends its own. Empty: none
}

// Apply tells the view what it is held against.
func (p Publishing) Apply(view *reports.View) error {
	if p.History != "" {
		if err := view.Remember(p.History); err != nil {
			return err
		}
	}
	if p.Baseline == nil {
		return nil
	}
	return view.Against(p.Baseline)
}

// publish reads the saved run of a folder once, writes the reports that other programs read beside the records, and draws the run.
func (p Publishing) publish(out io.Writer, dir string) (*reports.Summary, error) {
	saved, err := reports.Open(dir)
	if err != nil {
		return nil, err
	}
	view, err := reports.NewView(saved)
	if err != nil {
		return nil, err
	}
	if err := p.Apply(view); err != nil {
		return nil, err
	}
	o := Options(out)
	if o.Files, err = reports.WriteFiles(dir, view, o); err != nil {
		return nil, err
	}
	if to := os.Getenv("GITHUB_STEP_SUMMARY"); to != "" {
		text, err := os.ReadFile(filepath.Join(dir, reports.SummaryFile))
		if err != nil {
			return nil, err
		}
		if err := appendFile(to, text); err != nil {
			return nil, err
		}
	}
	if err := reports.Terminal(out, view, o); err != nil || view.History == nil {
		return &view.Summary, err
	}
	if view.Incomplete != "" {
		fmt.Fprintf(out, "The run did not end: it has no line in %s.\n", p.History)
		return &view.Summary, nil
	}
	return &view.Summary, view.History.Append()
}

func appendFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
