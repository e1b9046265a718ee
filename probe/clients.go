package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// asker completes a request with what one kind of client is given: the options besides host and, over a unix socket, port. The
// password is "" if none is given.
type asker func(request *agent.Attempt, env world, cell *matrix.Cell, password string)

// askers has an entry for each kind of client, which stands in a file of its own.
var askers = map[matrix.ClientKind]asker{
	matrix.KindLibpq:   askLibpq,
	matrix.KindPsql:    askLibpq,
	matrix.KindPGX:     askPGX,
	matrix.KindPQ:      askPQ,
	matrix.KindRaw:     askRaw,
	matrix.KindAsyncpg: askAsyncpg,
	matrix.KindForeign: askForeign,
}
