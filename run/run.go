package run

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Config says what a run is to try.
type Config struct {
	Scenarios   []*matrix.Scenario
	Controls    []*matrix.Scenario // every Env is bracketed by their cells
	Golden      matrix.Golden
	Divergences []matrix.Divergence
	Selection   matrix.Selection
	Described   string         // the selection, for people
	Dir         string         // folder below which the run makes its own; default "runs"
	Driver      *matrix.Driver // see Input
	Sabotage    *Sabotage      // planted faults; nil in every run but the proof that they are caught
}

// Display is told how a run goes; reports.Progress is one.
type Display interface {
	Phase(text string)
	Print(line string)
	Tried()
	Cell(verdict.Status)
	Close()
}

// Sabotage plants faults behind the harness's back. Each hook may be nil; one that cannot plant its fault fails the run.
type Sabotage struct {
	Plan        func(*fixtures.Plan)                                                // before anything is provisioned
	World       func(matrix.World) matrix.World                                     // what is installed in place of what the cells and the oracle say
	Client      func(*matrix.Client)                                                // what is attempted in place of what the cells and the oracle say
	Provisioned func(context.Context, *fixtures.Env) error                          // before the first control cell
	Attempted   func(context.Context, *fixtures.Env, int) error                     // after the n-th attempt of a world, counted from 0
	Evidence    func(cells []*matrix.Cell, observations []matrix.Observation) error // before the judge sees them
}

// How much goes on at a time. Two Envs overlap so that one attempts while the other is provisioned or reloads; more
// attempts at a time than this only make each wait longer on two cores.
const (
	envsAtATime     = 2
	attemptsAtATime = 6
	cellsPerBracket = 1000 // cells attempted between two passes of the control cells
)

// Run is one run, from its plan to its records.
type Run struct {
	ID       string
	Dir      string // RUNS/ID: run.jsonl, logs of containers that failed
	Plan     *Plan
	Coverage matrix.Coverage
	Images   []reports.Image

	config    Config
	display   Display
	start     time.Time
	file      *os.File
	writer    *reports.Writer
	cancel    context.CancelFunc
	done      map[*EnvPlan]chan struct{}
	all       chan struct{}
	clock     clock
	mu        sync.Mutex
	verdicts  map[string]verdict.Verdict
	fatal     error // a failure of the run itself: its file cannot be written, a fault cannot be planted
	envsSoFar int
	lost      int // cells that were named and whose images have no source here
}

// Prepare loads nothing and provisions nothing but images: it expands, finds which images can be had, selects, plans
// and predicts every cell once, so that whatever is wrong with the input is known before a container starts. Then it
// opens run.jsonl.
func Prepare(ctx context.Context, out io.Writer, config Config) (*Run, error) {
	r := &Run{config: config, start: time.Now(), all: make(chan struct{}), done: map[*EnvPlan]chan struct{}{}, verdicts: map[string]verdict.Verdict{}}
	r.ID = NewID()
	cells, err := Predictable(config.Scenarios)
	if err != nil {
		return nil, err
	}
	dead, err := pgimages.Sweep(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range dead {
		fmt.Fprintf(out, "removed what run %s had left behind\n", id)
	}
	named := config.Selection // what people name comes first: the images that it takes are those that count
	named.Strength, named.Shard = 0, matrix.Shard{}
	if cells, _, err = matrix.Select(cells, named); err != nil {
		return nil, err
	}
	if config.Driver != nil {
		cells = config.Driver.Cells(cells)
	}
	if cells, err = r.images(ctx, out, cells); err != nil {
		return nil, err
	}
	if cells, r.Coverage, err = matrix.Select(cells, matrix.Selection{Strength: config.Selection.Strength, Seed: config.Selection.Seed, Shard: config.Selection.Shard}); err != nil {
		return nil, err
	}
	if r.Plan, err = NewPlan(cells, expand(config.Controls)); err != nil {
		return nil, err
	}
	for _, e := range r.Plan.Envs {
		r.done[e] = make(chan struct{})
	}
	r.display = NewDisplay(out, len(cells)-len(r.Plan.Inapplicable))
	engine, err := engineText(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.open(cells, engine)
}

// NewID names a run; it labels its containers and is its folder's name.
func NewID() string {
	suffix := make([]byte, 3)
	_, _ = rand.Read(suffix) // never fails (crypto/rand)
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(suffix)
}

// expand gives the cells of several scenarios.
func expand(scenarios []*matrix.Scenario) []matrix.Cell {
	var cells []matrix.Cell
	for _, s := range scenarios {
		cells = append(cells, s.Expand()...)
	}
	return cells
}

// open makes the run's folder and run.jsonl.
func (r *Run) open(cells []matrix.Cell, engine string) error {
	dir := r.config.Dir
	if dir == "" {
		dir = "runs"
	}
	r.Dir = filepath.Join(dir, r.ID)
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the run's folder: %w", err)
	}
	var err error
	if r.file, err = os.OpenFile(filepath.Join(r.Dir, reports.FileName), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return fmt.Errorf("cannot write the run's records: %w", err)
	}
	header := reports.Header{Run: r.ID, Start: r.start, Tool: version(), Engine: engine, Selection: r.config.Described,
		Coverage: Describe(r.Coverage), Cells: len(cells), Lost: r.lost, Images: r.Images, Scenarios: reports.ScenariosOf(r.config.Scenarios, cells)}
	if r.writer, err = reports.NewWriter(r.file, header); err != nil {
		return err
	}
	for _, c := range r.Plan.Inapplicable {
		r.record(c, nil, time.Now(), 0)
	}
	return r.fatal
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

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return revision
}

// Start executes the plan in the background. Cancelling ctx ends it after the attempts under way, removes what it made
// and leaves run.jsonl with what was reached.
func (r *Run) Start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		defer close(r.all)
		var group errgroup.Group
		group.SetLimit(envsAtATime)
		for _, e := range r.Plan.Envs {
			group.Go(func() error {
				defer close(r.done[e])
				defer func() { // behind execute, which has closed the Env: its cells stay without records, which is not green
					if p := recover(); p != nil {
						r.display.Print(fmt.Sprintf("%s: panic: %v\n%s", e.Name, p, debug.Stack()))
					}
				}()
				if ctx.Err() == nil {
					r.execute(ctx, e)
				}
				return nil
			})
		}
		_ = group.Wait()
	}()
}

// Wait returns when an Env's cells are all recorded, or will not be.
func (r *Run) Wait(ctx context.Context, e *EnvPlan) error {
	select {
	case <-r.done[e]:
		return nil
	case <-ctx.Done():
		r.cancel()
		return ctx.Err()
	}
}

// Verdict is what a cell came to; the zero Verdict, which is no verdict, if it was not reached.
func (r *Run) Verdict(id string) verdict.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verdicts[id]
}

// Finish waits for the end, writes the trailer and says what the run amounts to. interrupted is why it ended before
// its time, or empty.
func (r *Run) Finish(out io.Writer, interrupted string) (*reports.Summary, error) {
	if interrupted != "" && r.cancel != nil {
		r.cancel()
	}
	if r.cancel != nil {
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
	if r.Coverage.Strength == 0 && len(r.config.Selection.Patterns) == 0 && r.config.Selection.Family == "" && len(r.config.Selection.Axes) == 0 && r.config.Selection.Shard.Count <= 1 {
		for _, d := range verdict.Stale(r.config.Divergences, ids) {
			trailer.Stale = append(trailer.Stale, reports.Stale{Pattern: d.Pattern, Pos: d.Pos})
		}
	}
	err := errors.Join(r.fatal, r.writer.Close(trailer), r.file.Close())
	if err != nil {
		return nil, err
	}
	return r.publish(out)
}

// execute takes one Env through its worlds. Whatever keeps it from attempting a cell makes the cell Broken, with the
// cause; only a cancelled run leaves cells without a record.
func (r *Run) execute(ctx context.Context, e *EnvPlan) {
	cells := e.Cells()
	r.display.Phase("provisioning " + e.Name)
	provisioned := r.clock.provisioning()
	env, err := r.provision(ctx, e)
	if err == nil && r.config.Sabotage != nil && r.config.Sabotage.Provisioned != nil {
		err = r.config.Sabotage.Provisioned(ctx, env)
	}
	if err == nil {
		err = r.controls(ctx, env, e)
	}
	provisioned()
	if env != nil {
		defer func() {
			if err := env.Close(context.WithoutCancel(ctx)); err != nil {
				r.display.Print(e.Name + ": " + err.Error())
			}
		}()
	}
	if err != nil {
		r.broken(ctx, cells, fmt.Errorf("env %s: %w", e.Name, err))
		return
	}
	var batch attempts
	for i, w := range e.Worlds {
		if ctx.Err() != nil {
			return
		}
		batch.add(r.world(ctx, env, e, w))
		if len(batch.cells) < cellsPerBracket && i < len(e.Worlds)-1 {
			continue
		}
		failed := r.controls(ctx, env, e)
		if failed != nil {
			if ctx.Err() != nil {
				return
			}
			batch.fault(fmt.Sprintf("env %s after these cells: %v", e.Name, failed))
		}
		if r.config.Sabotage != nil && r.config.Sabotage.Evidence != nil {
			if err := r.config.Sabotage.Evidence(batch.cells, batch.observations); err != nil {
				r.fail(err)
				return
			}
		}
		for j, c := range batch.cells {
			r.record(c, &batch.observations[j], batch.starts[j], batch.took[j])
		}
		if failed != nil {
			var rest []*matrix.Cell
			for _, w := range e.Worlds[i+1:] {
				rest = append(rest, w.Cells...)
			}
			r.broken(ctx, rest, fmt.Errorf("env %s before these cells: %w", e.Name, failed))
			return
		}
		batch = attempts{}
	}
}

func (r *Run) provision(ctx context.Context, e *EnvPlan) (*fixtures.Env, error) {
	plan, err := fixtures.PlanFor(append(e.Cells(), e.Controls...))
	if err != nil {
		return nil, err
	}
	plan.RunID, plan.Dir = r.ID, r.Dir
	plan.Progress = func(step string) { r.display.Phase(e.Name + ": " + step) }
	if r.config.Sabotage != nil && r.config.Sabotage.Plan != nil {
		r.config.Sabotage.Plan(&plan)
	}
	env, err := fixtures.Provision(ctx, plan)
	r.mu.Lock()
	r.envsSoFar++
	r.mu.Unlock()
	return env, err
}

// attempts are what one or several worlds' cells came to, before they are trusted.
type attempts struct {
	cells        []*matrix.Cell
	observations []matrix.Observation
	starts       []time.Time
	took         []time.Duration
}

func newAttempts(cells []*matrix.Cell) attempts {
	return attempts{cells, make([]matrix.Observation, len(cells)), make([]time.Time, len(cells)), make([]time.Duration, len(cells))}
}

func (a *attempts) add(b attempts) {
	a.cells = append(a.cells, b.cells...)
	a.observations = append(a.observations, b.observations...)
	a.starts = append(a.starts, b.starts...)
	a.took = append(a.took, b.took...)
}

// fault turns every observation into a fault; evidence stays, and faults of their own come first.
func (a *attempts) fault(cause string) {
	for i := range a.observations {
		if a.observations[i].Fault == "" {
			a.observations[i].Fault = cause
		}
	}
}

// world brings the Env to a world, attempts its cells, and checks that the Env is still alive behind them. A
// cancelled run gives no cells.
func (r *Run) world(ctx context.Context, env *fixtures.Env, e *EnvPlan, w *WorldPlan) attempts {
	r.display.Phase(e.Name + ": " + w.Cells[0].Scenario)
	result := newAttempts(w.Cells)
	wanted, attempted := w.World, w.Cells
	if s := r.config.Sabotage; s != nil && (s.World != nil || s.Client != nil) {
		if s.World != nil {
			other := s.World(*w.World)
			wanted = &other
		}
		attempted = nil
		for _, c := range w.Cells {
			moved := *c
			moved.World = wanted
			if s.Client != nil {
				s.Client(&moved.Client)
			}
			attempted = append(attempted, &moved)
		}
	}
	installed := r.clock.provisioning()
	err := env.Install(ctx, wanted)
	installed()
	if err != nil {
		if ctx.Err() != nil {
			return attempts{}
		}
		for range result.cells {
			r.display.Tried()
		}
		result.fault(fmt.Sprintf("env %s could not be brought to this world: %v", e.Name, err))
		return result
	}
	ended := r.clock.attempting()
	r.attempt(ctx, env, attempted, &result, func(n int) {
		r.display.Tried()
		if s := r.config.Sabotage; s != nil && s.Attempted != nil {
			if err := s.Attempted(ctx, env, n); err != nil {
				r.fail(err)
			}
		}
	})
	ended()
	if ctx.Err() != nil {
		return attempts{}
	}
	if err := env.Healthy(ctx); err != nil {
		if ctx.Err() != nil {
			return attempts{}
		}
		result.fault(fmt.Sprintf("env %s was found broken after these cells: %v", e.Name, err))
	}
	return result
}

// attempt makes the attempts, several at a time.
func (r *Run) attempt(ctx context.Context, env *fixtures.Env, cells []*matrix.Cell, a *attempts, tried func(int)) {
	var group errgroup.Group
	group.SetLimit(attemptsAtATime)
	for i, c := range cells {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			a.starts[i] = time.Now()
			a.observations[i] = attemptSafely(ctx, env, c)
			a.took[i] = time.Since(a.starts[i])
			if tried != nil {
				tried(i)
			}
			return nil
		})
	}
	_ = group.Wait()
}

// attemptSafely makes a panic a fault of the one cell: the containers of the run outlive it and have to be removed.
func attemptSafely(ctx context.Context, env *fixtures.Env, c *matrix.Cell) (o matrix.Observation) {
	defer func() {
		if p := recover(); p != nil {
			o = matrix.Observation{Fault: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return probe.Attempt(ctx, env, c)
}

// controls installs the control worlds and attempts their cells; the error says what an Env that fails them showed.
func (r *Run) controls(ctx context.Context, env *fixtures.Env, e *EnvPlan) error {
	done := r.clock.provisioning()
	defer done()
	for start := 0; start < len(e.Controls); {
		end := start
		for end < len(e.Controls) && e.Controls[end].World == e.Controls[start].World {
			end++
		}
		if err := env.Install(ctx, e.Controls[start].World); err != nil {
			return fmt.Errorf("the control world could not be installed: %w", err)
		}
		result := newAttempts(e.Controls[start:end])
		r.attempt(ctx, env, result.cells, &result, nil)
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, c := range result.cells {
			if err := contradicts(c, &result.observations[i]); err != nil {
				return err
			}
		}
		start = end
	}
	return nil
}

// contradicts holds a control cell's observation against its hand-written row, and against nothing else.
func contradicts(c *matrix.Cell, o *matrix.Observation) error {
	if o.Fault != "" {
		return fmt.Errorf("control cell %s: %s", c.ID, o.Fault)
	}
	for _, f := range c.Expect.Then.Stated {
		want, got := c.Expect.Then.Get(f), o.Outcome.Get(f)
		if got != want && !hidden(c, o, f) {
			return fmt.Errorf("control cell %s: %s is %q, must be %q (%s); it was %s; the client said %q",
				c.ID, f, got, want, c.Expect.Pos, o.Outcome, o.Evidence.Client.Message)
		}
	}
	return nil
}

// hidden says whether a server of this version shows the field to nobody. The row itself states the whole outcome, so
// it stands in for the prediction.
func hidden(c *matrix.Cell, o *matrix.Observation, f matrix.Field) bool {
	if o.Outcome.Get(f) != "" {
		return false
	}
	for _, u := range verdict.Unseen(c, c.Expect.Then.Outcome) {
		if u == f {
			return true
		}
	}
	return false
}

// broken records cells that could not be attempted.
func (r *Run) broken(ctx context.Context, cells []*matrix.Cell, cause error) {
	if ctx.Err() != nil {
		return
	}
	for _, c := range cells {
		r.display.Tried()
		r.record(c, &matrix.Observation{Fault: cause.Error()}, time.Now(), 0)
	}
}

// record judges a cell and appends its record. A record that cannot be written ends the run: the next one would not be
// written either, and a cell without a record must not be forgotten.
func (r *Run) record(c *matrix.Cell, o *matrix.Observation, start time.Time, took time.Duration) {
	p, err := oracle.Predict(c)
	if err != nil && o != nil {
		o = &matrix.Observation{Fault: "no prediction: " + err.Error(), Evidence: o.Evidence}
	}
	var golden *matrix.Outcome
	if approved, ok := r.config.Golden[c.ID]; ok {
		golden = &approved
	}
	v := verdict.Judge(c, p, o, golden, r.config.Divergences)
	if err := r.writer.Write(reports.NewRecord(c, p, o, v, start, took)); err != nil {
		r.fail(err)
		return
	}
	r.mu.Lock()
	r.verdicts[c.ID] = v
	r.mu.Unlock()
	r.display.Cell(v.Status)
}

// fail ends the run with an error of its own, the first.
func (r *Run) fail(err error) {
	r.mu.Lock()
	if r.fatal == nil {
		r.fatal = err
	}
	r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
}

type silent struct{}

func (silent) Phase(string)        {}
func (silent) Print(string)        {}
func (silent) Tried()              {}
func (silent) Cell(verdict.Status) {}
func (silent) Close()              {}
