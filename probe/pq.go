package probe

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pqOptions are the connection parameters for lib/pq. It has neither gssencmode nor channel_binding, and would send a
// parameter that it does not know to the server as a setting of the session: disable, which is all it can do, is not given.
func pqOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	return slices.DeleteFunc(commonOptions(env, cell, password), func(o agent.Option) bool { return o.Name == "channel_binding" })
}
