package probe

import (
	"context"
	"fmt"
	"sync"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// local serialises the attempts over one server's unix socket: there is no port to tell their log lines apart by.
// Keys are *agent.Conn of servers.
var local sync.Map

// Attempt makes the attempt that the cell describes, in the world that env runs, and classifies it. It is made once: where the harness
// itself fails, or the witnesses contradict each other, the observation has a Fault, and nothing is tried again. Attempts of one Env may be made
// concurrently.
func Attempt(ctx context.Context, env *fixtures.Env, cell *matrix.Cell) matrix.Observation {
	client := clientOf(env, cell)
	if client == nil {
		return matrix.Observation{Fault: fmt.Sprintf("no client container for %s in this Env", cell.Client.Name())}
	}
	lock, _ := local.LoadOrStore(env.Server(), new(sync.Mutex))
	return attempt(ctx, env, client, env.Server(), lock.(*sync.Mutex), cell)
}

// clientOf is the agent in the container that has the cell's client, or nil.
func clientOf(env *fixtures.Env, cell *matrix.Cell) *agent.Conn {
	if d := cell.Client.Driver; d != nil {
		return env.Driver(d)
	}
	return env.Client(cell.Client.Library)
}
