package probe

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// askPQ gives lib/pq its connection parameters. lib/pq has neither gssencmode nor channel_binding, and would send a parameter that
// it does not know to the server as a setting of the session. The value disable is all that it can do, and is not given.
func askPQ(request *agent.Attempt, env world, cell *matrix.Cell, password string) {
	options := slices.DeleteFunc(commonOptions(env, cell, password), func(o agent.Option) bool { return o.Name == "channel_binding" })
	request.Options = append(request.Options, options...)
}
