package classify

import (
	"slices"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The messages are those that the clients gave of real attempts.

func wants(target string) func(*matrix.Cell) {
	return func(c *matrix.Cell) { c.Client.TargetSession = target }
}

// ownSession is a connection in the clear whose session the client ends.
func ownSession(cell *matrix.Cell, port, pid int) matrix.ConnectionEvidence {
	return seen(port, pid, inClear, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, ""))
}

func tlsSessionOf(cell *matrix.Cell, port, pid int) matrix.ConnectionEvidence {
	return seen(port, pid, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, tlsSession))
}

const pgxFailed = "failed to connect to `user=alice database=postgres`:\n\t"

func TestUnwantedSession(t *testing.T) {
	deadHost := func(c *matrix.Cell) { c.Client.Hosts = matrix.DeadFirst }
	twice := func(c *matrix.Cell) { c.Client.Hosts = matrix.Twice }
	with := func(library, target string, change ...func(*matrix.Cell)) *matrix.Cell {
		return testCell(17, library, append(change, wants(target))...)
	}
	const (
		once        = "refused at session, session-unwanted, channel plain, method trust, hba:2, trace connect authok targetfail"
		asyncpgSays = "asyncpg.exceptions._base.TargetServerAttributeNotMatched: None of the hosts match the target attribute requirement <SessionAttribute.standby: 'standby'>"
		blocked     = pgxFailed + "127.0.0.1%gss0.1:40001 (pg.example.test): dial error: gssenc: credentials: stat /dev/shm/a/no-ccache: no such file or directory\n\t" +
			"127.0.0.1%nogss0.1:40001 (pg.example.test%nogss): ValidateConnect failed: connection is not read only\n\t" +
			"127.0.0.1%nogss0.1:40001 (pg.example.test%nogss): failed to write startup message: write failed: gssenc: dial: no other method with this host, which was rejected in a session: connection is not read only"
	)
	libpq17, libpq13, pgxCell, pqCell, async := with("libpq17", "read-only"), with("libpq13", "read-write"), with("pgx", "read-only"), with("pq", "standby"), with("asyncpg0.31", "standby")
	unused := seen(5002, 41, "client close")
	for _, tt := range []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		want string
	}{
		{"libpq", libpq17, evidenceOf(saidNo(failedAt+"session is not read-only\n", "ok"), ownSession(libpq17, 5001, 41)), once},
		{"libpq 13", libpq13, evidenceOf(saidNo("could not make a writable connection to server \"127.0.0.1:40001\"\n", "ok"), ownSession(libpq13, 5001, 41)), once},
		{"lib/pq", pqCell, evidenceOf(saidNo("server is not in hot standby mode", "ok"), ownSession(pqCell, 5001, 41)), once},
		{"asyncpg", async, evidenceOf(saidNo(asyncpgSays, "ok"), ownSession(async, 5001, 41)), once},
		{"asyncpg tells the error of the host before", with("asyncpg0.31", "standby", deadHost),
			evidenceOf(saidNo("ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 40000)", "ok"), ownSession(async, 5001, 41)), once},
		{"two hosts", with("libpq17", "read-only", twice), evidenceOf(saidNo(failedAt+"session is not read-only\n"+failedAt+"session is not read-only\n", "ok", "ok"),
			ownSession(libpq17, 5001, 41), ownSession(libpq17, 5002, 42)), once + " reconnect authok targetfail"},
		{"pgx under TLS, and then a connection on which gssenc lets nothing pass", pgxCell, evidenceOf(saidNo(blocked, "ok"), tlsSessionOf(pgxCell, 5001, 40), unused),
			"refused at session, session-unwanted, channel tls, method trust, hba:2, trace connect sslaccept authok targetfail reconnect"},
		{"the second session is taken", with("libpq17", "prefer-standby"), evidenceOf(connectedClient(42, "ok", "ok"), ownSession(libpq17, 5001, 41), ownSession(libpq17, 5002, 42)),
			"connected plain, method trust, role alice, hba:2, trace connect authok targetfail reconnect authok"},

		{"nobody asked for an attribute", testCell(17, "libpq17"), evidenceOf(saidNo(failedAt+"session is not read-only\n", "ok"), ownSession(libpq17, 5001, 41)), "fault: unrecognised message of the client"},
		{"any session will do", with("libpq17", "any"), evidenceOf(saidNo(failedAt+"session is not read-only\n", "ok"), ownSession(libpq17, 5001, 41)), "fault: unrecognised message of the client"},
		{"a session before that nobody asked to close", testCell(17, "libpq17"), evidenceOf(connectedClient(42, "ok", "ok"), ownSession(libpq17, 5001, 41), ownSession(libpq17, 5002, 42)), "fault: went on to another connection"},
		{"there was no session", libpq17, evidenceOf(saidNo(failedAt+"session is not read-only\n"), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")), "fault: shows no session before it"},
		{"the client says nothing of the first of two", with("libpq17", "read-only", twice), evidenceOf(saidNo(failedAt+"session is not read-only\n", "ok", "ok"), ownSession(libpq17, 5001, 41), ownSession(libpq17, 5002, 42)),
			"fault: 2 sessions that the client closed"},
		{"something came after it", pgxCell, evidenceOf(saidNo(blocked, "ok"), tlsSessionOf(pgxCell, 5001, 40), seen(5002, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")), "fault: shows no session before it"},
		{"another client's words", pqCell, evidenceOf(saidNo("ValidateConnect failed: connection is not read only", "ok"), ownSession(pqCell, 5001, 41)), "fault: unrecognised message of the client"},
		{"a host that refuses TCP, and any session will do", with("asyncpg0.31", "any", deadHost),
			evidenceOf(saidNo("ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 40000)", "ok"), ownSession(async, 5001, 41)), "fault: "},
		{"pgx may have closed it for require_auth", with("pgx", "prefer-standby", func(c *matrix.Cell) { c.Client.RequireAuth = "!gss" }), evidenceOf(connectedClient(42, "ok", "ok"), ownSession(pgxCell, 5001, 41), ownSession(pgxCell, 5002, 42)),
			"fault: nobody tells"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want) })
	}
}

// TestUnwantedRequests: of a session that was closed, and of the one after it, the requests are told apart by AuthenticationOk.
func TestUnwantedRequests(t *testing.T) {
	cell := testCell(13, "libpq17", wants("prefer-standby"), withHBA("host all all all scram-sha-256\nhost all all all md5\nhost all all all trust\n"))
	inTLS := func(port, pid int) matrix.ConnectionEvidence {
		return seen(port, pid, overTLS, authorizedLine(cell, tlsSession))
	}
	e := evidenceOf(connectedClient(42, "sasl", "sasl-continue", "sasl-final", "ok", "md5", "ok"), inTLS(5001, 41), inTLS(5002, 42))
	e.Client.SSLInUse, e.Client.Session.SSL, e.Client.Session.SSLVersion = true, true, "TLSv1.3"
	check(t, cell, e, "connected tls, method md5, identity alice, role alice, hba:2, trace connect sslaccept authok targetfail reconnect sslaccept authok")

	c := classifier{cell: cell, evidence: named(e, cell), client: clientOf(cell), server: 13}
	if err := c.classify(); err != nil {
		t.Fatal(err)
	}
	if got, complete := c.requests(&c.connections[0]); !complete || !slices.Equal(got, []string{"sasl", "sasl-continue", "sasl-final"}) {
		t.Errorf("requests of the first session: %v, complete %t", got, complete)
	}
}

// TestEveryClientHasWordsForUnwanted: a client that knows target_session_attrs has a message for it.
func TestEveryClientHasWordsForUnwanted(t *testing.T) {
	for _, info := range matrix.Clients {
		cell := testCell(17, string(info.Name), wants(matrix.ReadWrite))
		if matrix.NotApplicable(cell) == "" && clients[info.Kind].unwanted == nil {
			t.Errorf("%s has no message of a session that it does not want", info.Name)
		}
	}
}
