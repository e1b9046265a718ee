package probe

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// spoiledLiveCells are connections that the attacker cuts, keeps waiting or spoils, with what a person wrote down of each.
func spoiledLiveCells() []liveCell {
	client := func(user, ticket, gssencmode, sslmode string, attack matrix.Attack) func(*matrix.Client) {
		return func(c *matrix.Client) {
			c.User, c.Ticket, c.GSSEncMode, c.SSLMode, c.Attack = user, ticket, gssencmode, sslmode, attack
			if user == "erin" {
				c.Password = "right"
			}
		}
	}
	unverified := func(change func(*matrix.Client)) func(*matrix.Client) {
		return func(c *matrix.Client) { change(c); c.Root = "none" }
	}
	const (
		nothing   = ", obtains nothing"
		plaintext = ", obtains plaintext"
		downgrade = ", obtains downgrade"
		lostTLS   = "refused at tls, connection-lost, trace connect "
		lateTLS   = "refused at tls, timed-out, trace connect sslerror" + nothing
		lostGSS   = "refused at gssenc, connection-lost, trace connect "
		lateGSS   = "refused at gssenc, timed-out, trace connect gsserror" + nothing
		lostAuth  = "refused at auth, connection-lost, channel plain, "
		plainErin = "connected plain, method scram-sha-256, identity erin, role erin, hba:7, trace connect "
		tlsErin   = "connected tls, method scram-sha-256, identity erin, role erin, hba:7, trace connect "
		changed   = "integrity-check, "
		violation = "protocol-violation, "
		inGSS     = "channel gss, trace connect gssaccept"
		inTLS     = "trace connect sslaccept" + nothing
	)
	return []liveCell{
		{"main", "libpq%d", client("alice", "none", "", "prefer", "cut-answer"), lostTLS + "sslerror" + nothing, 0, 0},
		{"main", "pgx", client("erin", "none", "", "prefer", "cut-answer"), plainErin + "sslerror reconnect authok" + downgrade, 0, 0},
		{"main", "pq", client("alice", "none", "", "require", "cut-answer"), lostTLS + "sslerror" + nothing, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "prefer", "cut-answer"), lostGSS + "gsserror" + nothing, 0, 0},
		{"main", "pgx", client("alice", "valid", "require", "", "cut-answer"), lostGSS + "gsserror" + nothing, 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "prefer", "cut-handshake"), plainErin + "sslaccept reconnect authok" + downgrade, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", "cut-handshake"), lostTLS + "sslaccept" + nothing, 0, 0},
		{"main", "pq", client("alice", "none", "", "require", "cut-handshake"), lostTLS + "sslaccept" + nothing, 0, 0},
		{"main", "pq", unverified(client("erin", "none", "", "prefer", "cut-handshake")), lostTLS + "sslaccept" + nothing, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "require", "", "cut-handshake"), lostGSS + "gssaccept" + nothing, 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "allow", "cut-auth"), lostAuth + "method scram-sha-256, hba:7, trace connect" + plaintext, 0, 0},
		{"main", "libpq%d", client("carol", "valid", "disable", "disable", "cut-auth"), lostAuth + "method gss, hba:5, trace connect authfail" + plaintext, 0, 0},
		{"main", "libpq%d", client("gone", "none", "", "disable", "cut-auth"), lostAuth + "method trust, hba:4, trace connect authok startfail" + plaintext, 0, 0},
		{"main", "pq", client("erin", "none", "", "allow", "cut-auth"), tlsErin + "reconnect sslaccept authok" + plaintext, 0, 0},
		{"main", "pgx", client("erin", "none", "", "allow", "cut-auth"), tlsErin + "reconnect sslaccept authok" + plaintext, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "prefer", "hold-answer"), lateTLS, 0, 0},
		{"main", "pgx", client("erin", "none", "", "prefer", "hold-answer"), lateTLS, 0, 0},
		{"main", "pq", client("erin", "none", "", "prefer", "hold-answer"), plainErin + "sslerror reconnect authok" + downgrade, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "", "hold-gss"), lateGSS, 0, 0},
		{"main", "pgx", client("alice", "valid", "prefer", "prefer", "hold-gss"), "connected tls, method trust, role alice, hba:2, trace connect gsserror reconnect sslaccept authok" + nothing, 0, 0},
		{"main", "pgx", client("erin", "none", "", "allow", "hold-auth"), "refused at auth, timed-out, channel plain, method scram-sha-256, hba:7, trace connect" + plaintext, 0, 0},
		{"main", "pq", client("erin", "none", "", "allow", "hold-auth"), tlsErin + "reconnect sslaccept authok" + plaintext, 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "require", "delay"), tlsErin + "sslaccept authok" + nothing, 0, 0},
		{"no-tls", "libpq%d", client("erin", "none", "", "prefer", "delay"), plainErin + "sslreject authok" + plaintext, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", "replay"), "refused at tls, " + violation + inTLS, 0, 0},
		{"main", "pgx", client("alice", "none", "", "require", "replay"), "refused at tls, " + violation + inTLS, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "", "replay"), "refused at gssenc, " + violation + inGSS + nothing, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "prefer", "flip-client"), "refused at tls, " + changed + inTLS, 0, 0},
		{"main", "pgx", client("erin", "none", "", "prefer", "flip-client"), plainErin + "sslaccept reconnect authok" + downgrade, 0, 0},
		{"main", "pq", client("erin", "none", "", "prefer", "flip-client"), "refused at tls, " + changed + inTLS, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "", "flip-client"), "refused at gssenc, " + changed + inGSS + nothing, 0, 0},
		{"main", "libpq%d", client("alice", "none", "", "require", "flip-server"), "refused at tls, " + changed + inTLS, 0, 0},
		{"main", "libpq%d", client("erin", "none", "", "prefer", "flip-server"), plainErin + "sslaccept reconnect authok" + downgrade, 0, 0},
		{"main", "pgx", client("alice", "none", "", "require", "flip-server"), "refused at tls, " + changed + inTLS, 0, 0},
		{"main", "libpq%d", client("alice", "valid", "", "", "flip-server"), "refused at gssenc, " + changed + inGSS + " authok" + nothing, 0, 0},
		{"main", "pgx", client("alice", "valid", "require", "", "flip-server"), "refused at gssenc, " + changed + inGSS + " authok" + nothing, 0, 0},
	}
}
