package classify

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func tellLog(text string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", SQLState: "00000", Text: text})
	}
}

// spokenToLies say that the server had a part in a conversation that an attacker took from it.
func spokenToLies(cell *matrix.Cell) []lie {
	upstream := func(text string) func(*matrix.Evidence) {
		return func(e *matrix.Evidence) { last(e).Upstream = append(last(e).Upstream, seen(1, 1, text).Wire[1:]...) }
	}
	start := "client startup user=" + cell.Client.User + " database=postgres application_name=" + ApplicationName(cell) + " 3.0"
	return []lie{
		{"the server authorized it", tellLog(strings.TrimPrefix(authorizedLine(cell, ""), "LOG "))},
		{"the server authenticated somebody", tellLog(`connection authenticated: user="carol" method=trust (/srv/pg/pg_hba.conf:2)`)},
		{"the server logged a negotiation", tellLog("SSLRequest accepted")},
		{"the server could not read the startup packet", tellLog("invalid length of startup packet")},
		{"the server could not accept TLS", tellLog("could not accept SSL connection: EOF detected")},
		{"the server executed the attacker's statement", tellLog(AttackersWords)},
		{"the startup packet reached the server", upstream(start)},
		{"the server let the client in", upstream(start + "; server auth-request ok")},
		{"a request reached the server", upstream("client sslrequest; server answer N")},
		{"nothing is said of the server's side", func(e *matrix.Evidence) { last(e).Upstream = nil }},
	}
}

// saidLies are about what the attacker says that it told the client.
var saidLies = []lie{
	{"the attacker forged nothing", func(e *matrix.Evidence) {
		last(e).Wire = slices.DeleteFunc(last(e).Wire, func(w matrix.WireEvent) bool { return w.Kind == "forged" })
	}},
	{"the attacker forged one more Ok", addWire("attacker forged ok")},
	{"the attacker asked for a password", addWire("attacker forged password")},
	{"the client saw no authentication request", dropWire("auth-request")},
	{"the client saw one more Ok", addWire("server auth-request ok")},
	{"the client saw an error", addWire("server error-response 28000 no")},
	{"the client sent no startup packet", dropWire("startup")},
	{"the startup packet is that of another attempt", func(e *matrix.Evidence) {
		for i := range last(e).Wire {
			if w := &last(e).Wire[i]; w.Kind == "startup" {
				w.Startup.Application = strings.Replace(w.Startup.Application, "pgauthmatrix-", "other-", 1)
			}
		}
	}},
}

// rowLies are about the row that a client got of an attacker.
var rowLies = []lie{
	{"a row of a server", func(e *matrix.Evidence) { e.Client.Session.SystemUser = "gss:carol@EXAMPLE.TEST" }},
	{"a row without the attacker's words", func(e *matrix.Evidence) { e.Client.Session.SystemUser = "" }},
	{"a row of a process", func(e *matrix.Evidence) { e.Client.Session.PID = last(e).PID }},
	{"a row of another user", func(e *matrix.Evidence) { e.Client.Session.SessionUser = "mallory" }},
	{"pg_stat_ssl", func(e *matrix.Evidence) { e.Client.Session.SSL = true }},
	{"pg_stat_gssapi", func(e *matrix.Evidence) { e.Client.Session.GSSAuthenticated = true }},
	{"a principal", func(e *matrix.Evidence) { e.Client.Session.Principal = "carol@EXAMPLE.TEST" }},
	{"a certificate", func(e *matrix.Evidence) { e.Client.Session.ClientDN = "CN=carol" }},
	{"no session", func(e *matrix.Evidence) { e.Client.Session = nil }},
	{"no query on the wire", dropWire("query")},
	{"a FATAL after all", func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "FATAL", SQLState: "57P01", Text: "terminating connection due to administrator command"})
	}},
}

// TestCapturedForged replays what TestLive once saw of forged servers, and tells lies about it. None of it may pass where nobody
// plays the server.
func TestCapturedForged(t *testing.T) {
	replay(t, "forged", 25, 3000, func(c captured, good matrix.Outcome) []lie {
		for _, other := range slices.Concat([]matrix.AttackInfo{{Name: matrix.NoAttack}}, matrix.AttacksOf(matrix.Relay)) {
			cell := *c.Cell
			if cell.Client.Attack = other.Name; slices.Equal(relayAttacks[other.Name].deeds, forging) {
				continue
			}
			if got := Classify(&cell, c.Evidence); got.Fault == "" && got.Outcome.End == matrix.Connected {
				t.Errorf("%s: believed with attack=%s: %s", c.Cell.ID, other.Name, got.Outcome)
			}
		}
		n := c.Evidence.Connections[len(c.Evidence.Connections)-1]
		lies := slices.Concat(anyLies, attackLies, spokenToLies(c.Cell))
		if slices.ContainsFunc(n.Wire, func(w matrix.WireEvent) bool { return w.Kind == "forged" }) {
			lies = append(lies, saidLies...)
		}
		if good.End == matrix.Connected {
			lies = append(lies, rowLies...)
			if c.Cell.Client.Library.Kind() != "psql" {
				lies = append(lies, tellingLies...)
			}
		}
		return lies
	})
}

// TestServersSessionIsNotForged: what was seen of a session with a server must not pass where the attacker plays the server,
// whatever the attacker says that it did.
func TestServersSessionIsNotForged(t *testing.T) {
	tried := 0
	for _, server := range []int{13, 15, 17, 18} {
		for _, c := range readCaptured(t, "pg", server) {
			if c.Evidence.Client.Session == nil || c.Cell.Client.Transport != "tcp" || c.Cell.Client.Attacked() {
				continue
			}
			for _, said := range []string{"attacker idle the client sent neither a request nor a startup packet", "attacker forged ok", "attacker answered N to sslrequest"} {
				cell := *c.Cell
				cell.Client.Attack = "forge-ok"
				e := clone(t, c.Evidence)
				for i := range e.Connections {
					e.Connections[i].Wire = append(e.Connections[i].Wire, seen(1, 1, said).Wire[1:]...)
				}
				row := forgedSession(cell.Client.User)
				for _, session := range []*matrix.Session{e.Client.Session, &row} {
					e.Client.Session = session
					tried++
					if got := Classify(&cell, e); got.Fault == "" {
						t.Errorf("%s: believed with %q: %s", c.Cell.ID, said, got.Outcome)
					}
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d sessions", tried)
	}
}

// TestForgedRefusals: a client's reason must fit how far the attacker came with it.
func TestForgedRefusals(t *testing.T) {
	const (
		start     = "client startup user=alice database=postgres application_name=x 3.0; "
		asked     = start + "attacker forged gss; server auth-request gss; "
		token     = asked + "client password gss; "
		ok        = "attacker forged ok; server auth-request ok; server ready; client close"
		apRep     = token + "attacker forged gss-continue; attacker forged ok; server auth-request gss-continue; server auth-request ok; server ready; client close"
		integrity = failedAt + "GSSAPI continuation error: Unspecified GSS failure.  Minor code may provide more information: Decrypt integrity check failed\n"
		noTicket  = failedAt + "GSSAPI continuation error: No Kerberos credentials available (default cache: FILE:/x)\n"
		initiate  = failedAt + "could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: "
		rejected  = failedAt + "authentication method requirement \"gss\" failed: server did not complete authentication\n"
		pgxOk     = "failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): failed GSS auth: expected AuthenticationGSSContinue message but received unexpected message *pgproto3.AuthenticationOk"
		gssenc    = "failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): dial error: gssenc: answer: the AP-REP was not made with the session key, the acceptor has not shown who it is: integrity check failed"
		given     = "client gssencrequest; attacker answered G to gssencrequest; server answer G; client gss-token 768 ap-req; attacker answered a token to gssencrequest; server gss-token 150 ap-rep; client close"
	)
	unproven := func(stage, channel string) string { return "refused at " + stage + ", server-unproven" + channel }
	for _, tt := range []struct {
		name, library, attack string
		message               string
		requests              string
		wire                  string
		want                  string
	}{
		{"an AP-REP that proves nothing", "libpq17", "forge-ap-rep", integrity, "gss gss-continue ok", apRep, unproven("auth", ", channel plain, trace connect authok, obtains plaintext")},
		{"and there was none", "libpq17", "forge-gss-ok", integrity, "gss ok", token + ok, "fault: the attacker sent it"},
		{"and it was in GSS set-up", "libpq17", "forge-ap-rep", initiate + "Decrypt integrity check failed\n", "", given, unproven("gssenc", ", trace connect gssaccept, obtains nothing")},
		{"and gssenc says so", "pgx", "forge-ap-rep", gssenc, "", given, unproven("gssenc", ", trace connect gssaccept, obtains nothing")},
		{"and gssenc was sent none", "pgx", "forge-ap-rep", gssenc, "", "client gssencrequest; attacker answered G to gssencrequest; server answer G; client close", "fault: nobody forged a token"},
		{"a reason that nobody knows", "libpq17", "forge-ap-rep", initiate + "the moon is full\n", "", given, "fault: unrecognised reason why an attacker's token was refused"},
		{"a ticket that had expired, and a token was answered", "libpq17", "forge-ap-rep", initiate + "Ticket expired\n", "", given, "fault: unrecognised reason why an attacker's token was refused"},
		{"no ticket", "libpq17", "forge-gss-ok", noTicket, "gss", asked + "client close", "refused at auth, no-ticket, channel plain, trace connect, obtains plaintext"},
		{"no ticket, and Ok all the same", "libpq17", "forge-gss-ok", noTicket, "gss ok", token + ok, "fault: the attacker sent it"},
		{"Ok in the place of a token", "pgx", "forge-gss-ok", pgxOk, "gss ok", token + ok, "refused at auth, protocol-violation, channel plain, trace connect authok, obtains plaintext"},
		{"Ok in the place of a token, and no token was due", "pgx", "forge-ok", pgxOk, "ok", start + ok, "fault: the attacker sent it"},
		{"require_auth", "libpq17", "forge-ok", rejected, "ok", start + ok, "refused at auth, method-rejected, channel plain, trace connect authok, obtains plaintext"},
		{"require_auth, and the client received no Ok", "libpq17", "forge-ok", rejected, "", start + ok, "fault: the client received AuthenticationOk 0 times"},
		{"the client was told FATAL", "libpq17", "forge-ok", failedAt + "FATAL:  role \"alice\" does not exist\n", "ok", start + ok, "fault: the server's log does not end with it"},
		{"the client says nothing", "libpq17", "forge-ok", "", "ok", start + ok, "fault: unrecognised message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cell := testCell(17, tt.library, func(c *matrix.Cell) { c.Client.Attack = matrix.Attack(tt.attack) })
			n := seen(5001, 41, tt.wire)
			n.Upstream = []matrix.WireEvent{{From: "client", Kind: "close"}}
			check(t, cell, evidenceOf(saidNo(tt.message, strings.Fields(tt.requests)...), n), tt.want)
		})
	}
}

// psql does not tell what it was asked: the wire must show that it was let in.
func TestForgedWithoutOk(t *testing.T) {
	n := seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; attacker forged gss; server auth-request gss; client query; client close")
	n.Upstream = []matrix.WireEvent{{From: "client", Kind: "close"}}
	row := forgedSession("alice")
	e := evidenceOf(matrix.ClientEvidence{Connected: true, Session: &row}, n)
	check(t, testCell(17, "psql17", func(c *matrix.Cell) { c.Client.Attack = "forge-gss-ok" }), e, "fault: AuthenticationOk on the wire: false, a query: true")
}

// A client that goes on after a session that the attacker forged is no libpq.
func TestForgedEarlier(t *testing.T) {
	first, second := seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; attacker forged ok; server auth-request ok; server ready; client close"), matrix.ConnectionEvidence{}
	first.Upstream = []matrix.WireEvent{{From: "client", Kind: "close"}}
	data, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(data), "5001", "5002")), &second); err != nil {
		t.Fatal(err)
	}
	e := evidenceOf(saidNo(failedAt+"authentication method requirement \"gss\" failed: server did not complete authentication\n", "ok", "ok"), first, second)
	check(t, testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Attack = "forge-ok" }), e, "fault: the attacker forged a session on port 5001")
}
