package run

import (
	"context"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
)

// Env is a running world as the kernel of a run needs it. LiveEnv is the real one; package prove plants its faults in
// decorations of it. Attempt is called concurrently, the other methods one at a time and while nothing is attempted.
type Env interface {
	// Install brings the server to a world and proves it. After an error no cell may be attempted.
	Install(ctx context.Context, w *matrix.World) error
	// Across is Install of a world that says how its files are loaded, with attempts of cells that are begun before, and their observations in order. After
	// an error none of them counts.
	Across(ctx context.Context, w *matrix.World, cells []*matrix.Cell) ([]matrix.Observation, error)
	// Attempt makes the attempt that a cell of the installed world describes. What the harness could not do is the
	// Observation's Fault.
	Attempt(ctx context.Context, c *matrix.Cell) matrix.Observation
	// Healthy checks the parts that attempts rest on. Its error makes Broken what was attempted since it passed.
	Healthy(ctx context.Context) error
	// Close removes all that the Env made, also when ctx has ended.
	Close(ctx context.Context) error
}

// Provisioner starts the Env that a plan of the run needs. e has the worlds and the control cells that will be asked of it.
type Provisioner func(ctx context.Context, e *EnvPlan, p fixtures.Plan) (Env, error)

// LiveEnv is an Env in containers.
type LiveEnv struct{ *fixtures.Env }

// Attempt is probe.Attempt.
func (e LiveEnv) Attempt(ctx context.Context, c *matrix.Cell) matrix.Observation {
	return probe.Attempt(ctx, e.Env, c)
}

// Across is probe.Across.
func (e LiveEnv) Across(ctx context.Context, w *matrix.World, cells []*matrix.Cell) ([]matrix.Observation, error) {
	return probe.Across(ctx, e.Env, w, cells)
}

// Provision is the Provisioner of every run but those that plant faults.
func Provision(ctx context.Context, _ *EnvPlan, p fixtures.Plan) (Env, error) {
	env, err := fixtures.Provision(ctx, p)
	if err != nil {
		return nil, err // no LiveEnv around a nil
	}
	return LiveEnv{env}, nil
}
