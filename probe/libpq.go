package probe

import (
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// libpqOptions are the connection parameters for libpq and for psql, which takes the same (PostgreSQL manual,
// "Parameter Key Words").
func libpqOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	c := cell.Client
	o := commonOptions(env, cell, password)
	o = option(o, "gssencmode", c.GSSEncMode)
	return o
}

// commonOptions are the parameters that pgx and, but for channel_binding and require_auth, lib/pq have, too. Neither has sslcrl: they send it to
// the server as a setting of the session, like any word that they do not know, and are given it all the same. Without sslcert all of them look
// for a certificate in the home directory, which is the attempt's own.
func commonOptions(env world, cell *matrix.Cell, password string) []agent.Option {
	c := cell.Client
	var cert, key string
	if c.Cert != matrix.Ambient {
		cert, key = env.CertFiles(c.Cert, c.CertUser())
	}
	o := option(nil, "user", c.User)
	o = option(o, "dbname", c.Database)
	o = option(o, "application_name", classify.ApplicationName(cell))
	o = option(o, "connect_timeout", strconv.Itoa(connectSeconds(c.Attack)))
	o = option(o, "sslmode", c.SSLMode)
	// Before 17 there is no such parameter, and what it calls "postgres" is all there is.
	if c.SSLNegotiation != "postgres" || !c.Library.UsesLibpq() || c.Library.Libpq() >= 17 {
		o = option(o, "sslnegotiation", c.SSLNegotiation)
	}
	o = fileOption(o, "sslrootcert", env.RootFile(c.Root), c.Root)
	o = fileOption(o, "sslcrl", env.CRLFile(c.CRL), c.CRL)
	o = fileOption(o, "sslcert", cert, c.Cert)
	o = fileOption(o, "sslkey", key, c.Cert)
	o = option(o, "channel_binding", c.ChannelBinding)
	o = option(o, "require_auth", c.RequireAuth)
	o = option(o, "krbsrvname", c.KrbSrvName)
	if password != "" {
		o = append(o, agent.Option{Name: "password", Value: password, Secret: true})
	}
	return o
}
