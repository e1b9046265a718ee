package probe

import (
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// askLibpq gives libpq its connection parameters (PostgreSQL manual, "Parameter Key Words"). psql takes the same.
func askLibpq(request *agent.Attempt, env world, cell *matrix.Cell, password string) {
	request.Options = append(request.Options, commonOptions(env, cell, password)...)
	request.Options = option(request.Options, "gssencmode", cell.Client.GSSEncMode)
}

// commonOptions are the parameters that pgx has, too, and lib/pq but for channel_binding and require_auth. Neither has sslcrl: they
// send it to the server as a setting of the session, as they do with every word that they do not know, and are given it all the
// same. Without sslcert all of them look for a certificate in the home directory, which is the attempt's own.
func commonOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	c := cell.Client
	var cert, key string
	form, _ := cell.World.KeyFormOf(&c)
	if c.Cert != matrix.Ambient {
		cert, key = env.CertFiles(cell.World.ClientCertificate(&c), form)
	}
	o := option(nil, "user", c.User)
	o = option(o, "dbname", c.Database)
	o = option(o, "replication", classify.ReplicationWord(&c))
	o = option(o, "application_name", classify.ApplicationName(cell))
	o = option(o, "connect_timeout", strconv.Itoa(connectSeconds(c.Attack)))
	o = option(o, "sslmode", c.SSLMode)
	// Before 17 libpq has no such parameter, and does only what sslnegotiation=postgres means.
	if c.SSLNegotiation != "postgres" || !c.Library.UsesLibpq() || c.Library.Libpq() >= 17 {
		o = option(o, "sslnegotiation", c.SSLNegotiation)
	}
	o = fileOption(o, "sslrootcert", env.RootFile(c.Root), c.Root)
	o = fileOption(o, "sslcrl", env.CRLFile(c.CRL), c.CRL)
	o = fileOption(o, "sslcert", cert, c.Cert)
	if form.Absent {
		o = option(o, "sslkey", key)
	} else {
		o = fileOption(o, "sslkey", key, c.Cert)
	}
	// Before 16 libpq has no such parameter, and does only what sslcertmode=allow means.
	if c.SSLCertMode != "allow" || !c.Library.UsesLibpq() || c.Library.Libpq() >= 16 {
		o = option(o, "sslcertmode", c.SSLCertMode)
	}
	// Before 14 libpq has no such parameter, and does only what sslsni=0 means.
	if c.SSLSNI != "0" || !c.Library.UsesLibpq() || c.Library.Libpq() >= 14 {
		o = option(o, "sslsni", c.SSLSNI)
	}
	o = option(o, "channel_binding", c.ChannelBinding)
	o = option(o, "require_auth", c.RequireAuth)
	o = option(o, "krbsrvname", c.KrbSrvName)
	o = option(o, "gssdelegation", c.GSSDelegation)
	o = option(o, "target_session_attrs", c.TargetSession)
	if password != "" {
		o = append(o, agent.Option{Name: "password", Value: password, Secret: true})
	}
	return o
}
