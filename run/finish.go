package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

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
// its time, or empty.
func (r *Run) Finish(out io.Writer, interrupted string) (*reports.Summary, error) {
	if err := r.end(interrupted); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	if err := r.file.Close(); err != nil {
		return nil, err
	}
	if err := r.publish(out); err != nil {
		return nil, err
	}
	saved, err := reports.Open(r.Dir)
	if err != nil {
		return nil, err
	}
	return reports.Summarize(saved)
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
	var ids []string
	for _, e := range r.Plan.Envs {
		for _, c := range e.Cells() {
			ids = append(ids, c.ID)
			if _, reached := r.verdicts[c.ID]; !reached {
				trailer.NotReached[c.Scenario]++
			}
		}
	}
	if r.whole() {
		for _, d := range verdict.Stale(r.config.Divergences, ids) {
			trailer.Stale = append(trailer.Stale, reports.Stale{Pattern: d.Pattern, Pos: d.Pos})
		}
	}
	return errors.Join(r.fatal, r.writer.Close(trailer))
}

// whole says whether the run has every cell that there is: only such a run can tell that a divergence names none.
func (r *Run) whole() bool {
	s := r.config.Selection
	return s.Strength == 0 && len(s.Patterns) == 0 && s.Family == "" && len(s.Axes) == 0 && s.Shard.Count <= 1 && r.config.AtMost == 0
}

// publish writes the reports that other programs read beside run.jsonl, and draws the run.
func (r *Run) publish(out io.Writer) error {
	saved, err := reports.Open(r.Dir)
	if err != nil {
		return err
	}
	o := Options(out)
	for name, draw := range map[string]func(io.Writer) error{
		"junit.xml":  func(w io.Writer) error { return reports.JUnit(w, saved) },
		"summary.md": func(w io.Writer) error { return reports.Markdown(w, saved, o) },
	} {
		if err := writeFile(filepath.Join(r.Dir, name), draw); err != nil {
			return err
		}
	}
	if to := os.Getenv("GITHUB_STEP_SUMMARY"); to != "" {
		text, err := os.ReadFile(filepath.Join(r.Dir, "summary.md"))
		if err != nil {
			return err
		}
		if err := appendFile(to, text); err != nil {
			return err
		}
	}
	for _, name := range []string{"junit.xml", "summary.md"} {
		o.Files = append(o.Files, filepath.Join(r.Dir, name))
	}
	return reports.Terminal(out, saved, o)
}

func writeFile(path string, draw func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(draw(f), f.Close())
}

func appendFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
