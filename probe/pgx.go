package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pgxOptions are the connection parameters for pgx. It has no gssencmode: gssenc.Configure takes it away where it is given,
// and where it is not, the attempt is made with pgx alone.
func pgxOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	return option(commonOptions(env, cell, password), "gssencmode", cell.Client.GSSEncMode)
}
