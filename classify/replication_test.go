package classify

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// A walsender of 13 to 18 logs "replication connection authorized", without the database. A physical one answers SHOW and no query.
func TestReplicationConnections(t *testing.T) {
	asking := func(replication string) func(*matrix.Cell) {
		return func(c *matrix.Cell) { c.Client.Replication = replication }
	}
	const hba = "host replication,all all all trust\n"
	physical, logical := testCell(17, "libpq17", withHBA(hba), asking(matrix.Physical)), testCell(17, "libpq17", withHBA(hba), asking(matrix.Logical))
	usual := testCell(17, "libpq17", withHBA(hba))
	bare := func() matrix.ClientEvidence {
		return matrix.ClientEvidence{Connected: true, AuthRequests: []string{"ok"}, Session: &matrix.Session{SessionUser: "alice", Bare: true}}
	}
	const trust = `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:1)`
	authorized := "LOG replication connection authorized: user=alice application_name=" + ApplicationName(physical)
	clear := func(word string) string {
		return strings.Replace(inClear, "database=postgres", "database=postgres replication="+word, 1)
	}
	overBare := bare()
	overBare.SSLInUse = true
	refusal := func(text string) matrix.Evidence {
		return evidenceOf(saidNo(failedAt+"FATAL:  "+text), seen(5001, 41, strings.Replace(refusing, "database=postgres", "database=postgres replication=true", 1)+"28000 "+text, "FATAL 28000 "+text))
	}
	for _, tt := range []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		want string
	}{
		{"physical", physical, evidenceOf(bare(), seen(5001, 41, clear("true"), trust, authorized)), "connected plain, method trust, role alice, hba:1, trace connect authok"},
		{"physical in TLS", physical, evidenceOf(overBare, seen(5001, 41, overTLS, "LOG SSLRequest accepted", trust, authorized+tlsSession)), "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok"},
		{"logical", logical, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, clear("database"), trust, authorized)), "connected plain, method trust, role alice, hba:1, trace connect authok"},
		{"no record", physical, refusal(`no pg_hba.conf entry for replication connection from host "10.9.0.3", user "alice", no encryption`), "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"no attribute", physical, evidenceOf(saidNo(failedAt+"FATAL:  permission denied to start WAL sender", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", trust, authorized+tlsSession, "FATAL 42501 permission denied to start WAL sender")),
			"refused at startup, no-replication-privilege, channel tls, method trust, hba:1, trace connect sslaccept authok startfail"},

		// What contradicts itself.
		{"the log shows no replication", physical, evidenceOf(bare(), seen(5001, 41, clear("true"), trust, authorizedLine(usual, ""))), "fault: the server authorized replication: false"},
		{"the log shows replication", usual, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, inClear, trust, authorized)), "fault: the server authorized replication: true"},
		{"another kind on the wire", physical, evidenceOf(bare(), seen(5001, 41, clear("database"), trust, authorized)), `fault: the startup packet on the wire has replication="database"`},
		{"a whole session", physical, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, clear("true"), trust, authorized)), "fault: the session answered as one of physical replication: false"},
		{"a bare session", logical, evidenceOf(bare(), seen(5001, 41, clear("database"), trust, authorized)), "fault: the session answered as one of physical replication: true"},
		{"of another role", physical, evidenceOf(matrix.ClientEvidence{Connected: true, AuthRequests: []string{"ok"}, Session: &matrix.Session{SessionUser: "bob", Bare: true}}, seen(5001, 41, clear("true"), trust, authorized)), `fault: session_authorization is "bob"`},
		{"another channel", physical, evidenceOf(overBare, seen(5001, 41, clear("true"), trust, authorized)), "fault: the client says that its channel is tls"},
		{"a database that is missing in the log", usual, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, inClear, trust, "LOG connection authorized: user=alice application_name="+ApplicationName(usual))), "fault: unrecognised line"},
	} {
		got := Classify(tt.cell, named(tt.e, tt.cell))
		if fault, ok := strings.CutPrefix(tt.want, "fault: "); ok {
			if !strings.Contains(got.Fault, fault) {
				t.Errorf("%s: %s, fault %q, want %q", tt.name, got.Outcome, got.Fault, fault)
			}
		} else if got.Fault != "" || got.Outcome.String() != tt.want {
			t.Errorf("%s: %s, fault %q, want %s", tt.name, got.Outcome, got.Fault, tt.want)
		}
	}
}

// pg_stat_gssapi cuts a principal off, the log does not; a map whose expression has no subexpression is the only line about it.
func TestLongPrincipalsAndMapsWithoutSubexpressions(t *testing.T) {
	cell := testCell(17, "libpq17")
	long := strings.Repeat("x", 60) + "@EXAMPLE.TEST"
	evidence := func(shown string) matrix.Evidence {
		c := connectedClient(41, "ok")
		c.GSSInUse = true
		c.Session.GSSEncrypted, c.Session.GSSAuthenticated, c.Session.Principal, c.Session.SystemUser = true, true, shown, "gss:"+long
		return named(evidenceOf(c, seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", `LOG connection authenticated: identity="`+long+`" method=gss (/srv/pg/pg_hba.conf:1)`,
			authorizedLine(cell, " GSS (authenticated=yes, encrypted=yes, delegated_credentials=no, principal="+long+")"))), cell)
	}
	if got := Classify(cell, evidence(long[:63])); got.Fault != "" || got.Outcome.Identity != long {
		t.Errorf("%s, fault %q", got.Outcome, got.Fault)
	}
	for _, shown := range []string{long, long[:62], ""} {
		if got := Classify(cell, evidence(shown)); !strings.Contains(got.Fault, "pg_stat_gssapi says principal") {
			t.Errorf("%q: %s, fault %q", shown, got.Outcome, got.Fault)
		}
	}
	const failed = `GSSAPI authentication failed for user "alice"`
	e := evidenceOf(saidNo(failedAt+"FATAL:  "+failed), seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`,
		`LOG regular expression "^alice" has no subexpressions as requested by backreference in "\1"`, "FATAL 28000 "+failed))
	const want = "refused at ident, map-no-match, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail"
	if got := Classify(cell, named(e, cell)); got.Fault != "" || got.Outcome.String() != want {
		t.Errorf("%s, fault %q", got.Outcome, got.Fault)
	}
}
