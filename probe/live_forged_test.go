package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// forgedCells are attempts with an attacker who plays the server, with the outcome that a person wrote down for each.
func forgedCells() []liveCell {
	client := func(attack matrix.Attack, ticket, gssencmode, sslmode string, more ...func(*matrix.Client)) func(*matrix.Client) {
		return func(c *matrix.Client) {
			c.User, c.Attack, c.Ticket, c.GSSEncMode, c.SSLMode = "carol", attack, ticket, gssencmode, sslmode
			for _, m := range more {
				m(c)
			}
		}
	}
	noRoot := func(c *matrix.Client) { c.Root = "none" }
	gss := func(c *matrix.Client) { c.RequireAuth = "gss" }
	binding := func(c *matrix.Client) { c.ChannelBinding = "require" }
	const (
		plain    = "connected plain, role carol, trace connect authok, obtains session"
		tls      = "connected tls, role carol, trace connect sslaccept authok, obtains session"
		rejected = "refused at auth, method-rejected, channel plain, trace connect authok, obtains plaintext"
		unproven = "refused at auth, server-unproven, channel plain, trace connect authok, obtains plaintext"
	)
	return []liveCell{
		{"main", "libpq%d", client("forge-ok", "valid", "disable", "disable"), plain, 0, 0},
		{"main", "psql%d", client("forge-ok", "valid", "disable", "disable"), plain, 0, 0},
		{"main", "pgx", client("forge-ok", "none", "", "disable"), plain, 0, 0},
		{"main", "pq", client("forge-ok", "none", "", "disable"), plain, 0, 0},
		{"main", "libpq%d", client("forge-ok", "none", "", "require", noRoot), tls, 0, 0},
		{"main", "psql%d", client("forge-ok", "none", "", "require", noRoot), tls, 0, 0},
		{"main", "pgx", client("forge-ok", "none", "", "require", noRoot), tls, 0, 0},
		{"main", "pq", client("forge-ok", "none", "", "require", noRoot), tls, 0, 0},
		{"main", "libpq18", client("forge-ok", "none", "", "prefer"), "connected plain, role carol, trace connect sslaccept reconnect authok, obtains session", 0, 0},
		{"main", "libpq18", client("forge-ok", "none", "", "verify-full"), "refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing", 0, 0},
		{"main", "libpq18", client("forge-ok", "none", "", "disable", gss), rejected, 0, 0},
		{"main", "pgx", client("forge-ok", "none", "", "disable", gss), rejected, 0, 0},
		{"main", "libpq%d", client("forge-ok", "none", "", "require", noRoot, binding), "refused at auth, channel-binding, channel tls, trace connect sslaccept authok, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("forge-ok", "valid", "require", ""), "refused at gssenc, gss-refused, trace connect gssreject, obtains nothing", 0, 0},
		{"main", "libpq%d", client("forge-gss-ok", "valid", "disable", "disable"), plain, 0, 0},
		{"main", "libpq18", client("forge-gss-ok", "valid", "disable", "disable", gss), rejected, 0, 0},
		{"main", "pgx", client("forge-gss-ok", "valid", "", "disable"), "refused at auth, protocol-violation, channel plain, trace connect authok, obtains plaintext", 0, 0},
		{"main", "pq", client("forge-gss-ok", "valid", "", "require", noRoot), tls, 0, 0},
		{"main", "pq", client("forge-gss-ok", "none", "", "disable"), "refused at auth, no-ticket, channel plain, trace connect, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("forge-gss-ok", "none", "", "require", noRoot), "refused at auth, no-ticket, channel tls, trace connect sslaccept, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("forge-gss-ok", "valid", "disable", "disable", binding), "refused at auth, channel-binding, channel plain, trace connect, obtains plaintext", 0, 0},
		{"main", "libpq%d", client("forge-ap-rep", "valid", "disable", "disable"), unproven, 0, 0},
		{"main", "psql%d", client("forge-ap-rep", "valid", "disable", "disable"), unproven, 0, 0},
		{"main", "pgx", client("forge-ap-rep", "valid", "", "disable"), unproven, 0, 0},
		{"main", "pq", client("forge-ap-rep", "valid", "", "disable"), plain, 0, 0},
		{"main", "libpq%d", client("forge-ap-rep", "valid", "require", ""), "refused at gssenc, server-unproven, trace connect gssaccept, obtains nothing", 0, 0},
		{"main", "pgx", client("forge-ap-rep", "valid", "require", ""), "refused at gssenc, server-unproven, trace connect gssaccept, obtains nothing", 0, 0},
		{"main", "libpq%d", client("forge-ap-rep", "expired", "require", ""), "refused at gssenc, ticket-expired, trace connect gssaccept, obtains nothing", 0, 0},
		{"main", "libpq%d", client("forge-ap-rep", "valid", "prefer", "disable"), "refused at auth, server-unproven, channel plain, trace connect gssaccept reconnect authok, obtains plaintext", 0, 0},
		{"main", "pgx", client("forge-ap-rep", "valid", "", "prefer"), "refused at auth, server-unproven, channel plain, trace connect sslaccept authok reconnect authok, obtains plaintext", 0, 0},
	}
}
