package probe

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// askAsyncpg gives asyncpg the connection parameters that it has, by libpq's names; its driver program translates them. Of gssencmode
// and channel_binding the value disable is all that it can do, and of sslsni 1: they are not given.
func askAsyncpg(request *agent.Attempt, env world, cell *matrix.Cell, password string) {
	request.Client = agent.Foreign
	request.Options = append(request.Options, slices.DeleteFunc(commonOptions(env, cell, password), func(o agent.Option) bool {
		return o.Name == "channel_binding" || o.Name == "sslsni" || o.Name == "require_auth"
	})...)
}
