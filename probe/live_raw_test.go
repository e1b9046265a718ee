package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// rawLiveCells are the sequences of the raw client, with what a person wrote down of each.
func rawLiveCells() []liveCell {
	play := func(attack matrix.Attack, user string, more ...func(*matrix.Client)) func(*matrix.Client) {
		return func(c *matrix.Client) {
			c.Attack, c.User, c.Ticket = attack, user, "none"
			for _, m := range more {
				m(c)
			}
		}
	}
	unix := func(c *matrix.Client) { c.Transport = "unix" }
	ticket := func(c *matrix.Client) { c.Ticket = "valid" }
	database := func(c *matrix.Client) { c.Database = "nosuch" }
	const (
		nothing   = ", obtains nothing"
		noDirect  = "refused at tls, direct-tls-refused, trace connect directreject" + nothing
		violation = "protocol-violation, "
		inSCRAM   = "refused at auth, protocol-violation, channel plain, trace connect authfail" + nothing
	)
	return []liveCell{
		{"main", "raw", play("gssenc-in-tls", "alice"), "refused at gssenc, " + violation + "channel tls, trace connect sslaccept gsserror authfail" + nothing, 0, 0},
		{"no-tls", "raw", play("gssenc-in-tls", "alice"), "refused at tls, tls-refused, trace connect sslreject" + nothing, 0, 0},
		{"main", "raw", play("gssenc-in-direct-tls", "alice"), "refused at gssenc, gss-refused, channel tls, trace connect directaccept gssreject" + nothing, 17, 0},
		{"main", "raw", play("gssenc-in-direct-tls", "alice"), noDirect, 0, 16},
		{"no-tls", "raw", play("gssenc-in-direct-tls", "alice"), noDirect, 0, 0},
		{"main", "raw", play("gssenc-in-direct-tls", "alice", unix), noDirect, 0, 0},
		{"main", "raw", play("tls-in-gss", "alice", ticket), "refused at tls, " + violation + "channel gss, trace connect gssaccept sslerror authfail" + nothing, 0, 0},
		{"main", "raw", play("alternate", "alice"), "refused at tls, abandoned, trace connect sslaccept" + nothing, 0, 0},
		{"no-tls", "raw", play("alternate", "alice"), "refused at gssenc, abandoned, trace connect sslreject gssaccept" + nothing, 0, 0},
		{"main", "raw", play("alternate", "alice", unix), "refused at tls, " + violation + "trace connect sslreject gssreject sslerror authfail" + nothing, 0, 0},
		{"main", "raw", play("second-startup", "erin"), inSCRAM, 0, 0},
		{"main", "raw", play("second-startup", "carol"), inSCRAM, 0, 0},
		{"main", "raw", play("ssl-with-query", "alice"), "refused at tls, " + violation + "trace connect sslaccept" + nothing, 17, 0},
		{"main", "raw", play("ssl-with-query", "alice"), "refused at tls, " + violation + "channel tls, trace connect sslaccept authfail" + nothing, 0, 16},
		{"no-tls", "raw", play("ssl-with-query", "alice"), "refused at tls, " + violation + "trace connect sslreject authfail" + nothing, 0, 0},
		{"main", "raw", play("ssl-with-startup", "alice"), "refused at tls, " + violation + "trace connect sslaccept" + nothing, 17, 0},
		{"main", "raw", play("ssl-with-startup", "alice"), "refused at tls, " + violation + "channel tls, trace connect sslaccept authfail" + nothing, 0, 16},
		{"main", "raw", play("gssenc-with-query", "alice"), "refused at gssenc, abandoned, trace connect gssaccept" + nothing, 0, 0},
		{"main", "raw", play("gssenc-with-query", "alice", ticket), "refused at gssenc, " + violation + "channel gss, trace connect gssaccept authfail" + nothing, 0, 0},
		{"main", "raw", play("gssenc-with-query", "alice", unix), "refused at gssenc, " + violation + "trace connect gssreject authfail" + nothing, 0, 0},
		{"main", "raw", play("gssenc-with-startup", "alice", ticket), "refused at gssenc, " + violation + "channel gss, trace connect gssaccept authfail" + nothing, 0, 0},
		{"main", "raw", play("gssenc-garbage", "alice"), "refused at gssenc, " + violation + "trace connect gssaccept" + nothing, 0, 0},
		{"no-keytab", "raw", play("gssenc-garbage", "alice"), "refused at gssenc, " + violation + "trace connect gssaccept" + nothing, 0, 0},
		{"main", "raw", play("gssenc-garbage", "alice", unix), "refused at gssenc, gss-refused, trace connect gssreject" + nothing, 0, 0},
		{"main", "raw", play("gssenc-empty", "alice"), "refused at gssenc, abandoned, trace connect gssaccept" + nothing, 0, 0},
		{"main", "raw", play("gssenc-oversize", "alice"), "refused at gssenc, " + violation + "trace connect gssaccept" + nothing, 0, 0},
		{"main", "raw", play("gssenc-extra-count", "alice", ticket), "refused at gssenc, integrity-check, channel gss, trace connect gssaccept" + nothing, 0, 0},
		{"main", "raw", play("direct-no-alpn", "alice"), "refused at tls, direct-tls-refused, channel tls, trace connect directaccept" + nothing, 17, 0},
		{"main", "raw", play("direct-no-alpn", "alice"), noDirect, 0, 16},
		{"main", "raw", play("direct-wrong-alpn", "alice"), "refused at tls, tls-handshake, trace connect directreject" + nothing, 17, 0},
		{"main", "raw", play("direct-wrong-alpn", "alice"), noDirect, 0, 16},
		{"main", "raw", play("long-startup", "alice"), "refused at startup, " + violation + "channel plain, trace connect" + nothing, 0, 0},
		{"main", "raw", play("protocol-2.0", "alice"), "refused at startup, " + violation + "channel plain, trace connect authfail" + nothing, 14, 0},
		{"main", "raw", play("protocol-3.9", "alice", unix), "connected plain, method trust, role alice, hba:9, trace connect authok" + nothing, 0, 0},
		{"main", "raw", play("protocol-3.9", "alice", unix, database), "refused at startup, database-missing, channel plain, method trust, hba:9, trace connect authok startfail" + nothing, 0, 0},
		{"main", "raw", play("protocol-3.9", "alice"), "refused at hba, no-hba-entry, channel plain, trace connect authfail" + nothing, 0, 0},
		{"main", "raw", play("protocol-3.9", "bob"), "refused at hba, hba-reject, channel plain, method reject, hba:3, trace connect authfail" + nothing, 0, 0},
		{"main", "raw", play("protocol-3.9", "gone"), "refused at startup, role-missing, channel plain, method trust, hba:4, trace connect authok startfail" + nothing, 0, 0},
	}
}
