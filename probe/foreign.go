package probe

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// axisOf are the connection parameters that a driver is given only if it understands an axis. It is given all others.
var axisOf = map[string]string{
	"gssencmode": "gssencmode", "sslmode": "sslmode", "sslnegotiation": "sslnegotiation", "sslrootcert": "root", "sslcrl": "crl",
	"sslcert": "cert", "sslkey": "cert", "sslpassword": "sslpassword", "sslcertmode": "sslcertmode", "sslsni": "sslsni", "channel_binding": "channel_binding", "require_auth": "require_auth", "krbsrvname": "krbsrvname",
	"target_session_attrs": "target_session_attrs", "password": "password",
}

// askForeign gives a driver the connection parameters that it says it understands, by libpq's names.
func askForeign(request *agent.Attempt, env world, cell *matrix.Cell, password string) {
	askLibpq(request, env, cell, password)
	request.Client = agent.Foreign
	request.Options = slices.DeleteFunc(request.Options, func(o agent.Option) bool {
		axis, optional := axisOf[o.Name]
		return optional && !cell.Client.Driver.Understands(axis)
	})
}
