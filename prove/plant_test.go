package prove

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// quietEnv notes what it is asked, and gives evidence that names the cell.
type quietEnv struct {
	mu        sync.Mutex
	installed []*matrix.World
	attempted []matrix.Cell
	fault     string
}

func (e *quietEnv) Install(_ context.Context, w *matrix.World) error {
	e.installed = append(e.installed, w)
	return nil
}

func (e *quietEnv) Across(ctx context.Context, w *matrix.World, cells []*matrix.Cell) (all []matrix.Observation, err error) {
	err = e.Install(ctx, w)
	for _, c := range cells {
		all = append(all, e.Attempt(ctx, c))
	}
	return all, err
}

func (e *quietEnv) Attempt(_ context.Context, c *matrix.Cell) matrix.Observation {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attempted = append(e.attempted, *c)
	return matrix.Observation{Fault: e.fault, Evidence: matrix.Evidence{Client: matrix.ClientEvidence{Conninfo: c.ID}}}
}

func (e *quietEnv) Healthy(context.Context) error { return nil }
func (e *quietEnv) Close(context.Context) error   { return nil }

// planted is an Env with a fault, and with a control cell.
func planted(p plant) (env *plantedEnv, inner *quietEnv, control *matrix.Cell, cells []*matrix.Cell) {
	world := &matrix.World{Server: 17, HBA: "host all all all trust\n"}
	control = &matrix.Cell{ID: "controls/any", World: &matrix.World{Server: 17, HBA: world.HBA}}
	for _, id := range []string{"a/1", "a/2", "a/3", "a/4"} {
		cells = append(cells, &matrix.Cell{ID: id, World: world})
	}
	inner = &quietEnv{}
	return &plantedEnv{Env: inner, saboteur: &saboteur{plant: p}, controls: []*matrix.Cell{control}}, inner, control, cells
}

func TestPlantedWorldAndClient(t *testing.T) {
	env, inner, control, cells := planted(plant{
		world:  func(w *matrix.World) { w.HBA = "host all all all reject\n" },
		client: func(c *matrix.Client) { c.Attack = matrix.Strip },
	})
	for _, w := range []*matrix.World{control.World, cells[0].World} {
		if err := env.Install(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if inner.installed[0] != control.World || !strings.Contains(inner.installed[1].HBA, "reject") || strings.Contains(cells[0].World.HBA, "reject") {
		t.Errorf("installed %v", inner.installed)
	}
	env.Attempt(t.Context(), control)
	env.Attempt(t.Context(), cells[0])
	if a := inner.attempted; a[0].Client.Attack != "" || a[1].Client.Attack != matrix.Strip || a[1].World.Key() != inner.installed[1].Key() {
		t.Errorf("attempted %+v", a)
	}
}

func TestPlantedStrike(t *testing.T) {
	strikes := 0
	env, _, control, cells := planted(plant{strike: func(context.Context, *fixtures.Env) error {
		strikes++
		return errors.New("it misses")
	}})
	env.Attempt(t.Context(), control)
	if strikes != 0 {
		t.Error("a control cell is struck")
	}
	for _, c := range cells {
		env.Attempt(t.Context(), c)
	}
	if err := env.failure(); strikes != 1 || err == nil || !strings.Contains(err.Error(), "it misses") {
		t.Errorf("%d strikes, %v", strikes, err)
	}
}

func TestPlantedLie(t *testing.T) {
	lied := 0
	env, inner, control, cells := planted(plant{lie: func(e *matrix.Evidence) { lied++; e.Client.Conninfo = "a lie" }})
	if o := env.Attempt(t.Context(), control); o.Evidence.Client.Conninfo != control.ID {
		t.Errorf("of a control cell: %+v", o)
	}
	if o := env.Attempt(t.Context(), cells[0]); lied != 1 || o.Evidence.Client.Conninfo != "a lie" || o.Fault == "" {
		t.Errorf("%d lies; not classified again: %+v", lied, o)
	}
	if err := env.failure(); err != nil {
		t.Error(err)
	}
	inner.fault = "broken already"
	env.Attempt(t.Context(), cells[1])
	if err := env.failure(); err == nil || !strings.Contains(err.Error(), "broken already") {
		t.Errorf("a fault that was there before stands for the planted one: %v", err)
	}
}

func TestPlantedSwap(t *testing.T) {
	env, _, _, cells := planted(plant{swap: func(a, b *matrix.Evidence) { *a, *b = *b, *a }})
	env.pair(cells)
	got := make([]string, len(cells))
	var attempts sync.WaitGroup
	for i, c := range cells {
		attempts.Go(func() { got[i] = env.Attempt(t.Context(), c).Evidence.Client.Conninfo })
	}
	attempts.Wait()
	if want := "a/4 a/3 a/2 a/1"; strings.Join(got, " ") != want || env.failure() != nil {
		t.Errorf("%q, want %q; %v", got, want, env.failure())
	}
	env.pair(cells[:3])
	if err := env.failure(); err == nil || !strings.Contains(err.Error(), "cannot meet in pairs") {
		t.Error(err)
	}
}
