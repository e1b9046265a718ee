package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// askPGX gives pgx its connection parameters. pgx has no gssencmode: gssenc.Configure takes it away where it is given, and where
// it is not, the attempt is made with pgx alone.
func askPGX(request *agent.Attempt, env world, cell *matrix.Cell, password string) {
	request.Options = append(request.Options, commonOptions(env, cell, password)...)
	request.Options = option(request.Options, "gssencmode", cell.Client.GSSEncMode)
}
