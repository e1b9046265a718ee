package probe

import (
	"context"
	"fmt"
	"sync"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// local serialises the attempts over one server's unix socket: there is no port to tell their log lines apart by.
// Keys are *agent.Conn of servers.
var local sync.Map

// Attempt makes the attempt that the cell describes, in the world that env runs, and classifies it. It is tried again,
// at most twice, only where the harness itself failed (an agent's fault, a log that did not become complete), and each such
// fault is recorded in Evidence.Retries; a refusal, a contradiction or an answer to another attempt is never tried
// again. Attempts of one Env may be made concurrently.
func Attempt(ctx context.Context, env *fixtures.Env, cell *matrix.Cell) matrix.Observation {
	client := env.Client(cell.Client.Library)
	if d := cell.Client.Driver; d != nil {
		client = env.Driver(d)
	}
	if client == nil {
		return matrix.Observation{Fault: fmt.Sprintf("no client container for %s in this Env", cell.Client.Name())}
	}
	lock, _ := local.LoadOrStore(env.Server(), new(sync.Mutex))
	return attempt(ctx, env, client, env.Server(), lock.(*sync.Mutex), cell)
}
