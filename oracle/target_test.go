package oracle

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestTargetSession: the server is a primary, and is read-only where its setting says so.
func TestTargetSession(t *testing.T) {
	const readOnly = "setting=default_transaction_read_only=on "
	for _, library := range []string{"libpq14", "libpq18", "psql17", "pgx", "pq", "asyncpg0.30", "asyncpg0.31"} {
		checkRows(t, "sslmode=disable library="+library, `
target_session_attrs=any => connected plain, method trust, role alice, hba:1, trace connect authok
target_session_attrs=read-write => connected plain, method trust, role alice, hba:1, trace connect authok
target_session_attrs=primary => connected plain, method trust, role alice, hba:1, trace connect authok
target_session_attrs=read-only => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail
target_session_attrs=standby => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail
target_session_attrs=standby hosts=dead-first => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail
target_session_attrs=standby hosts=twice => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail reconnect authok targetfail
target_session_attrs=standby user=nobody => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect authok startfail
`)
		checkRows(t, readOnly+"sslmode=disable library="+library, `
target_session_attrs=read-write => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail
target_session_attrs=read-only => connected plain, method trust, role alice, hba:1, trace connect authok
target_session_attrs=primary => connected plain, method trust, role alice, hba:1, trace connect authok
`)
	}
	checkRows(t, readOnly+"sslmode=disable library=libpq13", `
target_session_attrs=read-write => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail
`)
	// asyncpg does not ask a server before 14, which does not report the setting.
	for library, want := range map[string]string{
		"asyncpg0.30": "connected plain, method trust, role alice, hba:1, trace connect authok",
		"pq":          "refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail",
		"libpq18":     "refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect authok targetfail",
	} {
		checkRows(t, readOnly+"server=13 sslmode=disable library="+library, "\ntarget_session_attrs=read-write => "+want+"\n")
	}
}

// TestPreferStandby: there is no standby. What is tried a second time, and how it is protected, differs by client.
func TestPreferStandby(t *testing.T) {
	const prefer = "target_session_attrs=prefer-standby "
	for _, library := range []string{"libpq15", "libpq18"} {
		checkRows(t, prefer+"library="+library, `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect sslaccept authok
ticket=valid => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok targetfail reconnect gssaccept authok
ticket=valid hosts=twice => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok targetfail reconnect gssaccept authok targetfail reconnect gssaccept authok
ticket=valid hba='hostnogssenc all all all trust' => connected tls, method trust, role alice, hba:1, trace connect gssaccept authfail reconnect sslaccept authok targetfail reconnect gssaccept authfail reconnect sslaccept authok
sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok targetfail reconnect authok
hba='host all all all reject' sslmode=disable => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
`)
	}
	checkRows(t, prefer+"library=pgx", `
// pgx alone makes a session in the clear after one under TLS, and keeps that
sslmode=prefer => connected plain, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect authok targetfail reconnect authok
sslmode=require => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect sslaccept authok
sslmode=allow => connected tls, method trust, role alice, hba:1, trace connect authok targetfail reconnect sslaccept authok targetfail reconnect sslaccept authok
sslmode=prefer hba='hostssl all all all trust' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect authfail reconnect sslaccept authok
// with gssenc it does not
sslmode=prefer gssencmode=prefer => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect reconnect sslaccept authok
sslmode=prefer gssencmode=prefer ticket=valid => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok targetfail reconnect gssaccept authok
sslmode=prefer gssencmode=prefer ticket=valid hosts=twice => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok targetfail reconnect gssaccept authok targetfail reconnect gssaccept authok
sslmode=prefer gssencmode=require ticket=valid => connected gss, method trust, role alice, hba:1, trace connect gssaccept authok targetfail reconnect gssaccept authok
target_session_attrs=standby sslmode=prefer gssencmode=prefer => refused at session, session-unwanted, channel tls, method trust, hba:1, trace connect sslaccept authok targetfail reconnect
target_session_attrs=standby sslmode=prefer gssencmode=prefer ticket=valid => refused at session, session-unwanted, channel gss, method trust, hba:1, trace connect gssaccept authok targetfail
target_session_attrs=standby sslmode=prefer => refused at session, session-unwanted, channel plain, method trust, hba:1, trace connect sslaccept authok targetfail reconnect authok targetfail
`)
	checkRows(t, prefer+"library=pq", `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok targetfail reconnect sslaccept authok
sslmode=allow => connected plain, method trust, role alice, hba:1, trace connect authok targetfail reconnect authok
sslmode=disable hosts=twice => connected plain, method trust, role alice, hba:1, trace connect authok targetfail reconnect authok targetfail reconnect authok
`)
	checkRows(t, prefer+"library=asyncpg0.31", `
 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
sslmode=disable hosts=dead-first => connected plain, method trust, role alice, hba:1, trace connect authok
`)
}

func TestTargetSessionThatIsNotPredicted(t *testing.T) {
	for given, want := range map[string]string{
		"library=pq target_session_attrs=prefer-standby hba='host all all all reject'": "without end",
		"library=asyncpg0.30 target_session_attrs=prefer-standby hosts=twice":          "at random",
		"target_session_attrs=standby attack=listen":                                   "would reach the attacker",
		"target_session_attrs=best":                                                    "it knows any",
		"library=libpq13 target_session_attrs=standby":                                 "the others since 14",
		"library=asyncpg0.27 target_session_attrs=any":                                 "since 0.28",
		"target_session_attrs=standby setting=default_transaction_read_only=maybe":     "it knows off, on",
	} {
		if _, err := Predict(cell(set(given))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", given, err, want)
		}
	}
}

// TestHungKDC: of a realm whose first KDC hangs.
func TestHungKDC(t *testing.T) {
	hung := func(c *matrix.Cell) {
		c.World.Realms[0].Hung = true
		c.World.KRB5Confs = []matrix.KRB5Conf{{Name: "limited", Lines: []matrix.Setting{{Name: matrix.RequestTimeout, Value: "5"}}}, {Name: "endless", Lines: []matrix.Setting{{Name: matrix.RequestTimeout, Value: "0"}}}}
	}
	for given, want := range map[string]string{
		"library=libpq17 ticket=valid":                                                                "connected gss, method trust, role alice, hba:1, trace connect gssaccept authok",
		"library=libpq17 ticket=valid krb5_conf=limited":                                              "connected gss, method trust, role alice, hba:1, trace connect gssaccept authok",
		"library=pgx ticket=valid gssencmode=require":                                                 "connected gss, method trust, role alice, hba:1, trace connect gssaccept authok",
		"library=libpq18 ticket=valid krb5_conf=limited":                                              "connected tls, method trust, role alice, hba:1, trace connect gssaccept reconnect sslaccept authok",
		"library=libpq18 ticket=valid krb5_conf=limited gssencmode=require":                           "refused at gssenc, kdc-unreachable, trace connect gssaccept",
		"library=libpq18 ticket=none":                                                                 "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok",
		"library=libpq18 ticket=expired gssencmode=require":                                           "refused at gssenc, ticket-expired, trace connect gssaccept",
		"library=libpq18 ticket=valid":                                                                "waits without end",
		"library=libpq18 ticket=valid krb5_conf=endless":                                              "waits without end",
		"library=asyncpg0.31 ticket=valid hba='host all all all gss'":                                 "waits without end",
		"library=asyncpg0.30 ticket=valid hba='host all all all gss include_realm=0' sslmode=disable": "connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok",
	} {
		p, err := Predict(cell(hung, set(given)))
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && p.Outcome.String() != want {
			t.Errorf("%s\n got %s %v\nwant %s", given, p.Outcome, err, want)
		}
	}
}
