package prove

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// plant is how a fault gets into a run that knows nothing of it: a change of what is provisioned, installed, attempted or said. Control
// cells are left as they are. The zero plant changes nothing.
type plant struct {
	plan   func(*fixtures.Plan)                       // before anything is provisioned
	world  func(*matrix.World)                        // what is installed in place of what the cells and the oracle say
	client func(*matrix.Client)                       // what is attempted in place of what the cells and the oracle say
	strike func(context.Context, *fixtures.Env) error // after the first attempt has ended
	lie    func(*matrix.Evidence)                     // what a witness says in place of what it saw
	swap   func(a, b *matrix.Evidence)                // between every attempt and one of another client or another channel
}

// wrong plants a change of the world's texts or settings.
func wrong(change func(*matrix.World)) plant { return plant{world: change} }

// hba changes one token of the rules, where they have it.
func hba(old, new string) plant {
	return wrong(func(w *matrix.World) { w.HBA = strings.Replace(w.HBA, old, new, 1) })
}

// strike plants a fault in mid-run.
func strike(what func(context.Context, *fixtures.Env) error) plant { return plant{strike: what} }

// witness changes what one witness said.
func witness(lie func(*matrix.Evidence)) plant { return plant{lie: lie} }

// swapped swaps something between two attempts.
func swapped(swap func(a, b *matrix.Evidence)) plant { return plant{swap: swap} }

// saboteur provisions the Envs of a run with a fault planted in them.
type saboteur struct {
	plant plant
	mu    sync.Mutex
	err   error // why the fault could not be planted: the run then proves nothing
}

func (s *saboteur) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("the fault could not be planted: %w", err)
	}
}

func (s *saboteur) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// provision is a run.Provisioner.
func (s *saboteur) provision(ctx context.Context, e *run.EnvPlan, p fixtures.Plan) (run.Env, error) {
	if s.plant.plan != nil {
		s.plant.plan(&p)
	}
	if s.plant.world != nil { // what it needs must be there
		for _, w := range slices.Clone(p.Worlds) {
			p.Worlds = append(p.Worlds, moved(w, s.plant.world))
		}
	}
	env, err := fixtures.Provision(ctx, p)
	if err != nil {
		return nil, err
	}
	planted := &plantedEnv{Env: run.LiveEnv{Env: env}, live: env, saboteur: s, controls: e.Controls}
	if s.plant.swap != nil {
		planted.pair(e.Cells())
	}
	return planted, nil
}

// plantedEnv is an Env with a fault in it.
type plantedEnv struct {
	run.Env
	*saboteur
	live     *fixtures.Env
	controls []*matrix.Cell
	struck   sync.Once
	meetings map[string]*meeting // by the IDs of cells, two for each meeting
}

// pair makes the first cell meet the last, the second the last but one, and so on.
func (e *plantedEnv) pair(cells []*matrix.Cell) {
	const atATime = 6 // attempts of a run: more cells would wait for some that have not begun
	if len(cells)%2 != 0 || len(cells) > atATime {
		e.failed(fmt.Errorf("%d attempts cannot meet in pairs", len(cells)))
		return
	}
	e.meetings = map[string]*meeting{}
	for i := range len(cells) / 2 {
		m := &meeting{both: make(chan struct{})}
		e.meetings[cells[i].ID], e.meetings[cells[len(cells)-1-i].ID] = m, m
	}
}

// Install installs another world than it is told to.
func (e *plantedEnv) Install(ctx context.Context, w *matrix.World) error {
	ofControls := slices.ContainsFunc(e.controls, func(c *matrix.Cell) bool { return c.World == w })
	if e.plant.world != nil && !ofControls {
		w = moved(w, e.plant.world)
	}
	return e.Env.Install(ctx, w)
}

// Across installs and attempts something else than it is told to, or says something else of it.
func (e *plantedEnv) Across(ctx context.Context, w *matrix.World, cells []*matrix.Cell) ([]matrix.Observation, error) {
	if e.plant.world != nil {
		w = moved(w, e.plant.world)
	}
	attempted := make([]*matrix.Cell, len(cells))
	for i, c := range cells {
		attempted[i] = e.other(c)
		attempted[i].World = w
	}
	observations, err := e.Env.Across(ctx, w, attempted)
	for i := range observations {
		observations[i] = e.said(ctx, cells[i], observations[i])
	}
	return observations, err
}

// other is what is attempted in place of a cell.
func (e *plantedEnv) other(c *matrix.Cell) *matrix.Cell {
	attempted := *c
	if e.plant.world != nil {
		attempted.World = moved(c.World, e.plant.world)
	}
	if e.plant.client != nil {
		e.plant.client(&attempted.Client)
	}
	return &attempted
}

func moved(w *matrix.World, change func(*matrix.World)) *matrix.World {
	other := *w
	change(&other)
	return &other
}

// Attempt makes another attempt than it is told to, or says something else of it.
func (e *plantedEnv) Attempt(ctx context.Context, c *matrix.Cell) matrix.Observation {
	if slices.Contains(e.controls, c) {
		return e.Env.Attempt(ctx, c)
	}
	o := e.Env.Attempt(ctx, e.other(c))
	e.struck.Do(func() {
		if e.plant.strike == nil {
			return
		}
		if err := e.plant.strike(ctx, e.live); err != nil {
			e.failed(err)
		}
	})
	return e.said(ctx, c, o)
}

// said is what is said of an attempt.
func (e *plantedEnv) said(ctx context.Context, c *matrix.Cell, o matrix.Observation) matrix.Observation {
	switch {
	case e.plant.lie == nil && e.plant.swap == nil:
		return o
	case o.Fault != "": // it would stand for the planted one
		e.failed(fmt.Errorf("%s was Broken before: %s", c.ID, o.Fault))
		return o
	case e.plant.lie != nil:
		e.plant.lie(&o.Evidence)
	default:
		if err := e.meetings[c.ID].exchange(ctx, &o.Evidence, e.plant.swap); err != nil {
			e.failed(fmt.Errorf("%s: %w", c.ID, err))
			return o
		}
	}
	// The classifier sees the lie, the judge its result.
	return classify.Classify(c, o.Evidence)
}

// meeting is where two attempts exchange something.
type meeting struct {
	mu    sync.Mutex
	first *matrix.Evidence
	both  chan struct{} // closed when both were there
}

// exchange waits for the other attempt. A nil meeting has none.
func (m *meeting) exchange(ctx context.Context, mine *matrix.Evidence, swap func(a, b *matrix.Evidence)) error {
	if m == nil {
		return errors.New("the attempt has no other to exchange anything with")
	}
	m.mu.Lock()
	if other := m.first; other != nil {
		defer m.mu.Unlock()
		swap(other, mine)
		close(m.both)
		return nil
	}
	m.first = mine
	m.mu.Unlock()
	select {
	case <-m.both:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(5 * time.Minute):
		return errors.New("the other attempt did not end")
	}
}
