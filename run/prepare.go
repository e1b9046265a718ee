package run

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/doctor"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Prepare provisions nothing but images. It expands the scenarios that the selection names, finds which images are available, selects,
// plans, and predicts every cell of the plan, so that whatever is wrong with it is known before a container starts. Then
// it opens the run's file. Where the engine or an image fails, it leaves the files of a run that reached no cell.
func Prepare(ctx context.Context, out io.Writer, config Config) (*Run, error) {
	r := newRun(config)
	if config.resumed != nil {
		if err := r.takeOver(config.resumed); err != nil {
			r.unlock()
			return nil, err
		}
	}
	cells, err := matrix.ExpandSelected(config.Scenarios, config.Selection)
	if err != nil {
		return nil, err
	}
	named := config.Selection // what people name comes first: the images that it takes are those that count
	named.Strength, named.Shard = 0, matrix.Shard{}
	if cells, _, err = matrix.Select(cells, named); err != nil {
		return nil, err
	}
	if config.Driver != nil {
		cells = config.Driver.Cells(cells)
	}
	if err := r.prepare(ctx, out, cells); err != nil {
		defer r.unlock()
		err = errors.Join(err, r.died(out, cells, err))
		if cause := (*Died)(nil); errors.As(err, &cause) && ctx.Err() == nil {
			doctor.Explain(ctx, out, filepath.Dir(r.Dir))
		}
		return nil, err
	}
	return r, nil
}

// Died is an error of a run although nothing is wrong with its input: of the engine or an image before it began, or of the run's folder.
type Died struct{ error }

// Unwrap is the cause.
func (d *Died) Unwrap() error { return d.error }

func died(err error) error {
	if err == nil {
		return nil
	}
	return &Died{err}
}

// prepare goes from the cells that were named to those of the run.
func (r *Run) prepare(ctx context.Context, out io.Writer, cells []matrix.Cell) error {
	dead, err := pgimages.Sweep(ctx)
	if err != nil {
		return died(err)
	}
	for _, id := range dead {
		fmt.Fprintf(out, "removed the containers that run %s left\n", id)
	}
	if cells, err = r.images(ctx, out, cells); err != nil {
		return died(err)
	}
	selection := r.config.Selection
	if cells, r.Coverage, err = matrix.Select(cells, matrix.Selection{Strength: selection.Strength, Seed: selection.Seed}); err != nil {
		return err
	}
	cells = spread(cells, r.config.AtMost)
	r.part = r.config.partOf(cells)
	if cells, _, err = matrix.Select(cells, matrix.Selection{Shard: selection.Shard, Cost: selection.Cost}); err != nil {
		return err
	}
	header := r.header(cells)
	if resumed := r.config.resumed; resumed != nil {
		if why := resumed.Header.SameAs(&header); why != "" {
			return fmt.Errorf("run %s cannot go on: %s; go on with what it began with, or run it anew", r.ID, why)
		}
	}
	if err := r.plan(without(cells, r.verdicts)); err != nil {
		return err
	}
	engine, err := engineText(ctx)
	if err != nil {
		return died(err)
	}
	r.display = NewDisplay(out, r.Plan.attempts())
	header.Engine = engine
	return died(r.open(header))
}

// died writes the records and the reports of a run that could not begin: the cells that were named, and why none was reached.
func (r *Run) died(out io.Writer, cells []matrix.Cell, cause error) error {
	r.display.Close()
	switch {
	case r.file != nil: // it began: the file says so itself
		return r.file.Close()
	case r.config.resumed != nil: // the file says what it said before
		return nil
	}
	if err := r.create(); err != nil {
		return err
	}
	var err error
	if r.writer, err = reports.NewWriter(r.file, reports.Header{Run: r.ID, Start: r.start, Tool: version(), Selection: r.config.Described, Cells: len(cells),
		Images: r.Images, Scenarios: reports.ScenariosOf(r.config.Scenarios, cells)}); err != nil {
		return errors.Join(err, r.file.Close())
	}
	trailer := reports.Trailer{End: time.Now(), Interrupted: "set-up failed: " + cause.Error(), NotReached: map[string]int{}}
	for i := range cells {
		trailer.NotReached[cells[i].Scenario]++
	}
	if err := errors.Join(r.writer.Close(trailer), r.file.Close()); err != nil {
		return err
	}
	_, err = r.config.publish(out, r.Dir)
	return err
}

func newRun(config Config) *Run {
	id := NewID()
	return &Run{ID: id, label: id, config: config, display: silent{}, start: time.Now(), all: make(chan struct{}), done: map[*EnvPlan]chan struct{}{},
		predicted: map[*matrix.Cell]matrix.Prediction{}, verdicts: map[string]verdict.Verdict{}}
}

// plan predicts the cells and groups them.
func (r *Run) plan(cells []matrix.Cell) (err error) {
	if r.predicted, err = predict(r.config.Scenarios, cells); err != nil {
		return err
	}
	if r.Plan, err = NewPlan(cells, expand(r.config.Controls)); err != nil {
		return err
	}
	for _, e := range r.Plan.Envs {
		r.done[e] = make(chan struct{})
	}
	return nil
}

// spread takes at most so many cells, evenly; 0 takes all.
func spread(cells []matrix.Cell, atMost int) []matrix.Cell {
	if atMost <= 0 || len(cells) <= atMost {
		return cells
	}
	kept := make([]matrix.Cell, atMost)
	for i := range kept {
		kept[i] = cells[i*len(cells)/atMost]
	}
	return kept
}

// NewID names a run; it labels its containers and is its folder's name.
func NewID() string {
	suffix := make([]byte, 3)
	_, _ = rand.Read(suffix) // never fails (crypto/rand)
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(suffix)
}

// create makes the run's folder and its file.
func (r *Run) create() (err error) {
	dir := r.config.Dir
	if dir == "" {
		dir = "runs"
	}
	r.Dir = filepath.Join(dir, r.ID)
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the run's folder: %w", err)
	}
	if err := r.lock(); err != nil {
		return err
	}
	if r.file, err = os.OpenFile(filepath.Join(r.Dir, reports.FileName), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return fmt.Errorf("cannot write the run's records: %w", err)
	}
	return nil
}

// header describes the run; cells are those of its shard.
func (r *Run) header(cells []matrix.Cell) reports.Header {
	coverage := Describe(r.Coverage)
	if most := r.config.AtMost; most > 0 && r.Coverage.Selected > most {
		coverage += fmt.Sprintf("; of those, %d, spread evenly", most)
	}
	described := r.config.Described
	if shard := r.config.Selection.Shard.String(); shard != "" {
		described += ", shard " + shard
	}
	for i := range cells {
		r.ids = append(r.ids, cells[i].ID)
	}
	return reports.Header{Run: r.ID, Start: r.start, Tool: version(), Selection: described, Coverage: coverage, Cells: len(cells), Lost: r.lost,
		Images: r.Images, Scenarios: reports.ScenariosOf(r.config.Scenarios, cells), Part: r.part}
}

// open creates the file and begins the records, or goes on with those of another process.
func (r *Run) open(header reports.Header) (err error) {
	saved := r.config.resumed
	if saved == nil {
		if err := r.create(); err != nil {
			return err
		}
		return r.write(r.file, header)
	}
	if r.file, r.writer, err = reports.Resume(saved, reports.Resumption{Start: r.start, Engine: header.Engine, After: r.before.Incomplete}); err != nil {
		return err
	}
	return r.inapplicable()
}

// write begins the records, with those of the cells that are never attempted.
func (r *Run) write(to io.Writer, header reports.Header) error {
	var err error
	if r.writer, err = reports.NewWriter(to, header); err != nil {
		return err
	}
	return r.inapplicable()
}

func (r *Run) inapplicable() error {
	for _, c := range r.Plan.Inapplicable {
		if err := r.record(c, nil, time.Now(), 0); err != nil {
			return err
		}
	}
	return nil
}

// Describe says what a selection covers, for people.
func Describe(c matrix.Coverage) string {
	if c.Strength == 0 {
		return fmt.Sprintf("every one of %d cells", c.Cells)
	}
	return fmt.Sprintf("%d of %d cells; %d-wise, seed %d: %d of %d combinations covered, %d more that no client can express",
		c.Selected, c.Cells, c.Strength, c.Seed, c.Covered, c.Demanded, c.Impossible)
}

func engineText(ctx context.Context) (string, error) {
	engine, err := pgimages.Engine(ctx)
	if err != nil {
		return "", err
	}
	v, err := engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("the container engine does not say its version: %w", err)
	}
	return fmt.Sprintf("container engine %s, %s/%s, %d CPUs", v.Version, v.Os, v.Arch, runtime.NumCPU()), nil
}

// version is the commit that the program was built from. One that was built from something else, or by go test, is told from others by a digest of its file.
func version() string {
	revision, modified := "", false
	if info, ok := debug.ReadBuildInfo(); ok {
		revision = strings.Trim(info.Main.Version, "()")
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.modified":
				modified = s.Value == "true"
			}
		}
	}
	if revision != "" && revision != "devel" && !modified {
		return revision
	}
	return cmp.Or(revision, "devel") + ", binary " + binaryDigest()
}

var binaryDigest = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return "unknown"
	}
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(digest.Sum(nil)[:6])
})
