package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// A bracket is what is attempted between two passes of the control cells: a run that is killed loses no more than that. It is
// closed after so many cells or so much time of attempts, whichever is first. Where the control cells themselves take long, it is
// lengthened until they take a tenth of it, but not beyond longestBracket.
const (
	cellsPerBracket = 1000
	shortestBracket = 10 * time.Second
	longestBracket  = 30 * time.Second
	controlsShare   = 10 // a bracket is at least so many times as long as its control cells
)

// healthEvery: worlds of few cells are many, and to ask all parts of an Env after each would take as long as the cells. What was attempted
// since the last time is in doubt together.
const healthEvery = time.Second

// After an interrupt, what is under way has interruptGrace to end. The control cells that decide whether the open
// bracket is recorded have closingTime.
const (
	interruptGrace = 5 * time.Second
	closingTime    = 20 * time.Second
)

// attemptsAtATime: more than this only make each attempt wait longer on two cores.
const attemptsAtATime = 6

// openAtATime: so many attempts at most are begun before a world's files are loaded, and are open together.
const openAtATime = attemptsAtATime

// kernel takes one Env through its worlds: control cells, then brackets of cells, each followed by the control cells and
// recorded. Whatever prevents the attempt of a cell makes the cell Broken, with the cause. Only an interrupt and a record that
// cannot be written leave cells without a record.
type kernel struct {
	plan    *EnvPlan
	env     Env
	display Display
	clock   *clock
	record  func(*attempt) error
	repeat  int // attempts of each cell; below 2: one

	bracket []attempt     // attempted and not yet recorded
	sound   int           // of the bracket, so many were attempted before the Env was last found healthy
	asked   time.Time     // when that was
	spent   time.Duration // time of attempts in the bracket
	length  time.Duration // of a bracket
}

// attempt is the observation of one cell, before it is trusted.
type attempt struct {
	cell        *matrix.Cell
	observation matrix.Observation
	start       time.Time
	took        time.Duration
}

// errInterrupted: the run was interrupted before the control cells had shown anything.
var errInterrupted = errors.New("interrupted")

// run returns an error only if a record could not be written.
func (k *kernel) run(ctx context.Context, provision func(context.Context) (Env, error)) error {
	k.display.Phase("provisioning " + k.plan.Name)
	began := time.Now()
	provisioned := k.clock.provisioning()
	env, err := provision(ctx)
	provisioned()
	if env != nil {
		k.env = env
		defer func() {
			if err := env.Close(context.WithoutCancel(ctx)); err != nil {
				k.display.Print(k.plan.Name + ": " + err.Error())
			}
		}()
	}
	work, stop := lingering(ctx, interruptGrace)
	defer stop()
	if err == nil {
		err = k.controls(work, ctx)
	}
	if err != nil {
		return k.broken(ctx, k.plan.Worlds, fmt.Errorf("env %s: %w", k.plan.Name, err))
	}
	k.clock.env(time.Since(began))
	for i, w := range k.plan.Worlds {
		for rest := w.Cells; len(rest) > 0; {
			if ctx.Err() != nil {
				return k.interrupted(ctx)
			}
			rest = rest[k.world(work, ctx, w, rest):]
			if ctx.Err() != nil {
				return k.interrupted(ctx)
			}
			closing := k.full() || len(rest) == 0 && i == len(k.plan.Worlds)-1
			if closing || time.Since(k.asked) >= healthEvery {
				k.healthy(work)
			}
			if !closing {
				continue
			}
			failed := k.controls(work, ctx)
			if errors.Is(failed, errInterrupted) {
				return k.interrupted(ctx)
			}
			if failed != nil {
				k.fault(0, fmt.Sprintf("env %s after these cells: %v", k.plan.Name, failed))
			}
			if err := k.close(); err != nil {
				return err
			}
			if failed != nil {
				left := append([]*WorldPlan{{World: w.World, Cells: rest}}, k.plan.Worlds[i+1:]...)
				return k.broken(ctx, left, fmt.Errorf("env %s before these cells: %w", k.plan.Name, failed))
			}
		}
	}
	return nil
}

// lingering gives a context that ends a while after ctx does: what is under way then may end.
func lingering(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		time.AfterFunc(grace, func() { cancel(cause) })
	})
	return work, func() { stop(); cancel(nil) }
}

func (k *kernel) full() bool { return len(k.bracket) >= cellsPerBracket || k.spent >= k.length }

// close records the bracket and opens the next.
func (k *kernel) close() error {
	for i := range k.bracket {
		if err := k.record(&k.bracket[i]); err != nil {
			return err
		}
	}
	k.bracket, k.sound, k.spent = nil, 0, 0
	return nil
}

// healthy asks whether the Env is, and turns what was attempted since the last time into faults if it is not.
func (k *kernel) healthy(work context.Context) {
	if err := k.env.Healthy(work); err != nil && work.Err() == nil {
		k.fault(k.sound, fmt.Sprintf("env %s was found broken after these cells: %v", k.plan.Name, err))
	}
	k.sound, k.asked = len(k.bracket), time.Now()
}

// interrupted asks the control cells once more and records what was attempted if they pass. If they do not pass, nothing is
// known of these cells, and they stay without records.
func (k *kernel) interrupted(ctx context.Context) error {
	if len(k.bracket) == 0 {
		return nil
	}
	k.display.Phase(k.plan.Name + ": interrupted, the last control cells")
	closing, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), closingTime, fmt.Errorf("not done within %s", closingTime))
	defer cancel()
	err := k.env.Healthy(closing)
	if err == nil {
		if err = k.controls(closing, closing); errors.Is(err, errInterrupted) {
			err = context.Cause(closing)
		}
	}
	if err != nil {
		k.display.Print(fmt.Sprintf("%s: %d cells were attempted and are not recorded, for what must pass after them did not: %v", k.plan.Name, len(k.bracket), err))
		return nil
	}
	return k.close()
}

// world brings the Env to a world and attempts cells of it, in order, until the bracket is full. It returns how many cells are now
// in the bracket. ctx decides whether another attempt begins, work ends what goes on.
func (k *kernel) world(work, ctx context.Context, w *WorldPlan, cells []*matrix.Cell) int {
	k.display.Phase(k.plan.Name + ": " + cells[0].Scenario)
	first := len(k.bracket)
	began := time.Now()
	installed := k.clock.provisioning()
	open, err := k.across(work, w.World, cells)
	installed()
	k.clock.world(time.Since(began))
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		for _, c := range cells {
			k.display.Tried()
			k.bracket = append(k.bracket, attempt{cell: c, start: time.Now()})
		}
		k.fault(first, fmt.Sprintf("env %s could not be brought to this world: %v", k.plan.Name, err))
		return len(cells)
	}
	k.bracket = append(k.bracket, open...)
	if cells = cells[len(open):]; len(cells) > 0 && cells[0].Client.IsOpenedBefore() {
		return len(open) // the others need a load of their own
	}
	ended := k.clock.attempting()
	began = time.Now()
	tried := k.attempt(work, cells, k.repeatedly, func(n int) bool {
		return ctx.Err() == nil && first+n < cellsPerBracket && k.spent+time.Since(began) < k.length
	}, k.display.Tried)
	k.spent += time.Since(began)
	ended()
	k.bracket = append(k.bracket, tried...)
	return len(open) + len(tried)
}

// across brings the Env to a world. The first of the cells, if they are begun before the server gets its files, are attempted meanwhile.
func (k *kernel) across(work context.Context, w *matrix.World, cells []*matrix.Cell) ([]attempt, error) {
	n := 0
	for n < min(len(cells), openAtATime) && cells[n].Client.IsOpenedBefore() {
		n++
	}
	if n == 0 {
		return nil, k.env.Install(work, w)
	}
	start := time.Now()
	tries := make([][]matrix.Observation, n) // by cell
	for range k.times() {
		observations, err := k.env.Across(work, w, cells[:n])
		if err != nil {
			return nil, err
		}
		for i, o := range observations {
			tries[i] = append(tries[i], o)
		}
	}
	open := make([]attempt, n)
	for i := range open {
		open[i] = attempt{cell: cells[i], observation: ofAll(tries[i]), start: start, took: time.Since(start)}
		k.display.Tried()
	}
	return open, nil
}

// fault turns the observations of the bracket from first on into faults. Evidence stays, and faults of their own come first.
func (k *kernel) fault(first int, cause string) {
	for i := range k.bracket[first:] {
		if o := &k.bracket[first+i].observation; o.Fault == "" {
			o.Fault = cause
		}
	}
}

// attempt tries cells in the order of the cells, several at a time, as long as more allows to begin the n-th. It returns those
// that ended; one that ctx cut short is left out.
func (k *kernel) attempt(ctx context.Context, cells []*matrix.Cell, try func(context.Context, *matrix.Cell) matrix.Observation, more func(n int) bool, tried func()) []attempt {
	all := make([]attempt, len(cells))
	var mu sync.Mutex
	begun := 0
	next := func() (*attempt, bool) {
		mu.Lock()
		defer mu.Unlock()
		if begun == len(cells) || ctx.Err() != nil || !more(begun) {
			return nil, false
		}
		a := &all[begun]
		a.cell = cells[begun]
		begun++
		return a, true
	}
	var workers sync.WaitGroup
	for range min(attemptsAtATime, len(cells)) {
		workers.Go(func() {
			for a, ok := next(); ok; a, ok = next() {
				a.start = time.Now()
				a.observation = try(ctx, a.cell)
				a.took = time.Since(a.start) / time.Duration(max(k.repeat, 1)) // of one of them
				if ctx.Err() != nil {
					a.cell = nil
					return
				}
				tried()
			}
		})
	}
	workers.Wait()
	whole := all[:0]
	for _, a := range all[:begun] {
		if a.cell != nil {
			whole = append(whole, a)
		}
	}
	return whole
}

// attemptSafely makes a panic a fault of the one cell: the containers of the run outlive it and have to be removed.
func (k *kernel) attemptSafely(ctx context.Context, c *matrix.Cell) (o matrix.Observation) {
	defer func() {
		if p := recover(); p != nil {
			o = matrix.Observation{Fault: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return k.env.Attempt(ctx, c)
}

// controls installs the control worlds and attempts their cells. The error says what an Env that fails them showed; it is
// errInterrupted if nothing was shown and ctx ended. Nothing is asked twice: a control cell that failed has failed, interrupt or not.
func (k *kernel) controls(work, ctx context.Context) error {
	done := k.clock.provisioning()
	defer done()
	began := time.Now()
	for rest := k.plan.Controls; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].World == rest[0].World {
			n++
		}
		err := k.env.Install(work, rest[0].World)
		if ctx.Err() != nil && (err != nil || work.Err() != nil) {
			return errInterrupted
		}
		if err != nil {
			return fmt.Errorf("the control world could not be installed: %w", err)
		}
		tried := k.attempt(work, rest[:n], k.attemptSafely, func(int) bool { return ctx.Err() == nil }, func() {})
		for _, a := range tried {
			if err := contradicts(a.cell, &a.observation); err != nil {
				return err
			}
		}
		if len(tried) < n {
			return errInterrupted
		}
		rest = rest[n:]
	}
	k.length = min(max(shortestBracket, controlsShare*time.Since(began)), longestBracket)
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
	for _, u := range verdict.Unseen(c, matrix.Prediction{Outcome: c.Expect.Then.Outcome}) {
		if u == f {
			return true
		}
	}
	return false
}

// broken records cells that could not be attempted, unless the run was interrupted.
func (k *kernel) broken(ctx context.Context, worlds []*WorldPlan, cause error) error {
	if ctx.Err() != nil {
		return nil
	}
	for _, w := range worlds {
		for _, c := range w.Cells {
			k.display.Tried()
			if err := k.record(&attempt{cell: c, observation: matrix.Observation{Fault: cause.Error()}, start: time.Now()}); err != nil {
				return err
			}
		}
	}
	return nil
}
