// Package run is the path that data takes: cells are grouped by Env, each Env is provisioned and proven by control
// cells, brought to one world after another, its cells attempted several at a time, judged and recorded.
// The suites and the command line are thin layers over it.
package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Plan is what a run will do, in order.
type Plan struct {
	Envs         []*EnvPlan
	Inapplicable []*matrix.Cell // cells that no client or server can express; recorded, never attempted
}

// EnvPlan is one Env and the worlds it goes through.
type EnvPlan struct {
	Name     string // pg17, or pg17 #2 where worlds of one version cannot share an Env
	Worlds   []*WorldPlan
	Controls []*matrix.Cell // judged by their hand-written rows alone, before the first world and after the last
}

// WorldPlan is one state of an Env and the cells that are attempted in it.
type WorldPlan struct {
	World *matrix.World
	Cells []*matrix.Cell
}

// attempts is the number of cells that are attempted.
func (p *Plan) attempts() (n int) {
	for _, e := range p.Envs {
		for _, w := range e.Worlds {
			n += len(w.Cells)
		}
	}
	return n
}

// Cells lists the cells of an Env in the order of its worlds, without the controls.
func (e *EnvPlan) Cells() []*matrix.Cell {
	var all []*matrix.Cell
	for _, w := range e.Worlds {
		all = append(all, w.Cells...)
	}
	return all
}

// NewPlan groups cells by Env and world, in order of first appearance, and adds to each Env the control cells for its
// server version and client libraries. A library of an Env for which there is no control cell is an error: nothing it
// is seen to do could be believed.
func NewPlan(cells, controls []matrix.Cell) (*Plan, error) {
	plan := &Plan{}
	envs := map[string]*EnvPlan{}
	worlds := map[string]*WorldPlan{}
	perVersion := map[int]int{}
	for i := range cells {
		c := &cells[i]
		if matrix.NotApplicable(c) != "" {
			plan.Inapplicable = append(plan.Inapplicable, c)
			continue
		}
		env := envs[c.World.EnvKey()]
		if env == nil {
			perVersion[c.World.Server]++
			env = &EnvPlan{Name: fmt.Sprintf("pg%d", c.World.Server)}
			if n := perVersion[c.World.Server]; n > 1 {
				env.Name += fmt.Sprintf(" #%d", n)
			}
			envs[c.World.EnvKey()] = env
			plan.Envs = append(plan.Envs, env)
		}
		world := worlds[c.World.Key()]
		if world == nil {
			world = &WorldPlan{World: c.World}
			worlds[c.World.Key()] = world
			env.Worlds = append(env.Worlds, world)
		}
		world.Cells = append(world.Cells, c)
	}
	for _, w := range worlds { // those that are begun before the others share one load of the world's files
		slices.SortStableFunc(w.Cells, func(a, b *matrix.Cell) int { return strings.Compare(b.Client.Opened, a.Client.Opened) })
	}
	for _, env := range plan.Envs {
		if err := env.addControls(controls); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// inRealm is a control's expectation in an Env of another realm than the one that scenarios/controls is written for.
func inRealm(e *matrix.Expect, realm string) *matrix.Expect {
	name, written := strings.CutSuffix(e.Then.Outcome.Identity, "@"+matrix.DefaultRealm)
	if !written || realm == matrix.DefaultRealm {
		return e
	}
	moved := *e
	moved.Then.Outcome.Identity = name + "@" + realm
	return &moved
}

// addControls moves the control cells of this server version into the Env: their rules and roles, its settings,
// realms and host.
func (e *EnvPlan) addControls(controls []matrix.Cell) error {
	home := e.Worlds[0].World
	need := map[matrix.Library]bool{}
	for _, c := range e.Cells() {
		need[c.Client.Library] = true
	}
	have := map[matrix.Library]bool{}
	worlds := map[*matrix.World]*matrix.World{}
	for _, c := range controls {
		if c.World.Server != home.Server || !need[c.Client.Library] || matrix.NotApplicable(&c) != "" {
			continue
		}
		w := worlds[c.World]
		if w == nil {
			w = c.World.In(home)
			worlds[c.World] = w
		}
		c.World = w
		if slices.ContainsFunc(w.Realms, func(r matrix.Realm) bool { return r.Hung }) {
			c.Client.KRB5Conf = matrix.AnsweringKRB5Conf
		}
		if c.Expect == nil {
			return fmt.Errorf("control cell %s has no hand-written expectation", c.ID)
		}
		have[c.Client.Library] = true
		c.Expect = inRealm(c.Expect, home.Realms[0].Name)
		e.Controls = append(e.Controls, &c)
	}
	var missing []string
	for l := range need {
		if !have[l] {
			missing = append(missing, string(l))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("no control cell in scenarios/controls covers server %d with %s", home.Server, strings.Join(missing, ", "))
	}
	return nil
}
