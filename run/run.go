package run

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Config says what a run tries.
type Config struct {
	Scenarios   []*matrix.Scenario
	Controls    []*matrix.Scenario // every Env is bracketed by their cells
	Golden      matrix.Golden
	Divergences []matrix.Divergence
	Selection   matrix.Selection
	AtMost      int             // of the cells selected, so many, spread evenly; 0: all
	Described   string          // the selection, for people
	Repeat      int             // attempts of each cell, whose outcomes must all be equal; 0: one
	Files       []string        // of the scenarios, if they are not the built-in ones
	DriverFile  string          // of Driver
	Costs       string          // folder of the run that Selection.Cost is of
	CostsRun    string          // and its ID
	Dir         string          // folder below which the run makes its own; default "runs"
	Driver      *matrix.Driver  // see Input
	Provision   Provisioner     // default Provision
	Server      *pgimages.Image // somebody's own server, in the place of the harness's of that version; nil: none
	Closed      bool            // no route leads out of the Envs' networks: the rules are somebody else's
	Publishing

	resumed *reports.Run // the run to go on with; see ResumeConfig
}

// Display is told how a run goes; reports.Progress is one.
type Display interface {
	Phase(text string)
	Print(line string)
	Tried()
	Cell(verdict.Status)
	Close()
}

// envsAtATime: two Envs overlap, so that one attempts while the other is provisioned or reloads.
const envsAtATime = 2

// Run is one run, from its plan to its records.
type Run struct {
	ID       string
	Dir      string // RUNS/ID: the records, logs of containers that failed
	Plan     *Plan
	Coverage matrix.Coverage
	Images   []reports.Image

	label     string // names the run to the engine: every process has its own, because one that died must not be taken for one that lives
	folder    *os.File
	part      *reports.Part
	ids       []string         // of the cells of the part
	before    *reports.Summary // of the run that this one goes on with
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
	predicted map[*matrix.Cell]matrix.Prediction // of the plan's cells that have no record yet
	verdicts  map[string]verdict.Verdict
	fatal     error // a failure of the run itself: its file cannot be written
	envsSoFar int
	lost      int // cells that were named and whose images have no source here
}

// Start executes the plan in the background. Cancelling ctx ends it: what was attempted is recorded if the control cells pass once
// more, and what the run made is removed.
func (r *Run) Start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		defer close(r.all)
		var group errgroup.Group
		group.SetLimit(envsAtATime)
		for _, e := range r.Plan.Envs {
			group.Go(func() error {
				defer close(r.done[e])
				if ctx.Err() == nil {
					r.execute(ctx, e)
				}
				return nil
			})
		}
		_ = group.Wait()
	}()
}

// execute takes one Env through its worlds. After a panic, which has closed the Env, its cells stay without records; that is not green.
func (r *Run) execute(ctx context.Context, e *EnvPlan) {
	defer func() {
		if p := recover(); p != nil {
			r.display.Print(fmt.Sprintf("%s: panic: %v\n%s", e.Name, p, debug.Stack()))
		}
	}()
	k := &kernel{plan: e, repeat: r.config.Repeat, display: r.display, clock: &r.clock, record: func(a *attempt) error {
		return r.record(a.cell, &a.observation, a.start, a.took)
	}}
	if err := k.run(ctx, func(ctx context.Context) (Env, error) { return r.provision(ctx, e) }); err != nil {
		r.fail(err)
	}
}

func (r *Run) provision(ctx context.Context, e *EnvPlan) (Env, error) {
	plan, err := fixtures.PlanFor(append(e.Cells(), e.Controls...))
	if err != nil {
		return nil, err
	}
	plan.RunID, plan.Dir, plan.Closed, plan.ServerImage = r.label, r.Dir, r.config.Closed, r.server
	plan.Progress = func(step string) { r.display.Phase(e.Name + ": " + step) }
	provision := r.config.Provision
	if provision == nil {
		provision = Provision
	}
	env, err := provision(ctx, e, plan)
	r.mu.Lock()
	r.envsSoFar++
	r.mu.Unlock()
	return env, err
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

// Verdict is the verdict on a cell; the zero Verdict, which is invalid, if the cell was not reached.
func (r *Run) Verdict(id string) verdict.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verdicts[id]
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
