package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/probe/agent"
)

// pgxOptions are the connection parameters for pgx. It has no gssencmode, and would send a parameter that it does
// not know to the server as a setting of the session: gssencmode=disable, which is all it can do, is not given.
func pgxOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	return commonOptions(env, cell, password)
}
