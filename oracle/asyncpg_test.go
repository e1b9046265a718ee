package oracle

import "testing"

func TestAsyncpg(t *testing.T) {
	const trust = "hba='host all all all trust; local all all trust' "
	for _, library := range []string{"asyncpg0.27", "asyncpg0.30", "asyncpg0.31"} {
		base := trust + "library=" + library + " "
		t.Run(library+", options", func(t *testing.T) {
			checkRows(t, base, `
root=missing => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
root=missing sslmode=require => refused at options, bad-options
root=missing sslmode=require transport=unix => refused at options, bad-options
root=system sslmode=require => refused at options, bad-options
root=system => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
root=none sslmode=require => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
root=none sslmode=verify-ca => refused at options, bad-options
crl=missing sslmode=prefer => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
crl=missing sslmode=require => refused at options, bad-options
sslmode=nosuch => refused at options, bad-options
`)
		})
		t.Run(library+", certificates", func(t *testing.T) {
			checkRows(t, base, `
servercert=other-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=other-ca sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept
servercert=other-ca sslmode=require root=none => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=expired sslmode=verify-ca => refused at tls, server-cert-expired, trace connect sslaccept
servercert=wrong-name sslmode=verify-ca => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=wrong-name sslmode=verify-full => refused at tls, server-cert-name, trace connect sslaccept
servercert=cn-only sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=revoked sslmode=require crl=right => refused at tls, server-cert-revoked, trace connect sslaccept
servercert=revoked sslmode=prefer crl=right => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
// the name is looked at before the revocation list
servercert=wrong-name sslmode=verify-full crl=stale => refused at tls, server-cert-name, trace connect sslaccept
sslmode=require crl=stale => refused at tls, server-cert-expired, trace connect sslaccept
`)
		})
		t.Run(library+", which errors lead to a second attempt", func(t *testing.T) {
			checkRows(t, base, `
ssl=off => connected plain, method trust, role alice, hba:1, trace connect sslreject authok
ssl=off sslmode=require => refused at tls, tls-refused, trace connect sslreject
ssl=off sslmode=allow hba='host all all all reject' => refused at tls, tls-refused, trace connect authfail reconnect sslreject
ssl=off hba='host all all all reject' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect sslreject authfail
hba='hostnossl all all all trust' => connected plain, method trust, role alice, hba:1, trace connect sslaccept authfail reconnect authok
hba='hostssl all all all trust' sslmode=allow => connected tls, method trust, role alice, hba:1, trace connect authfail reconnect sslaccept authok
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect sslaccept authfail reconnect authfail
hba='host all all all scram-sha-256' user='a,b' => refused at auth, protocol-violation, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
hba='host all all all scram-sha-256' user='a=b' => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect sslaccept authfail reconnect authfail
user=nobody => refused at startup, role-missing, channel plain, method trust, hba:1, trace connect sslaccept authok startfail reconnect authok startfail
database=nodb => refused at startup, database-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
servercert=other-ca sslmode=require hosts=twice => refused at tls, server-cert-untrusted, trace connect sslaccept reconnect sslaccept
hba='host all all all reject' hosts=twice sslmode=require => refused at hba, hba-reject, channel tls, method reject, hba:1, trace connect sslaccept authfail
// a unix socket is always without TLS
transport=unix sslmode=verify-full => connected plain, method trust, role alice, hba:2, trace connect authok
transport=unix hba='local all all reject' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
transport=unix sslmode=prefer hba='local all all reject' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
transport=unix sslmode=allow hba='local all all reject' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail reconnect authfail
`)
		})
		t.Run(library+", direct TLS", func(t *testing.T) {
			checkRows(t, base+"sslnegotiation=direct ", `
sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
sslmode=require => refused at tls, direct-tls-refused, trace connect directaccept
sslmode=require server=16 => refused at tls, direct-tls-refused, trace connect directreject
=> refused at tls, direct-tls-refused, trace connect directaccept
attack=impersonate sslmode=require root=none => connected tls, method trust, role alice, hba:1, trace connect directaccept authok, obtains session
`)
		})
		t.Run(library+", passwords", func(t *testing.T) {
			checkRows(t, base+"sslmode=require ", `
hba='host all all all scram-sha-256' user=scram password=right => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
hba='host all all all scram-sha-256' user=scram => refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail
hba='host all all all md5' user=md5 => refused at auth, password, channel tls, method md5, hba:1, trace connect sslaccept authfail
hba='host all all all password' user=md5 => refused at auth, no-password, channel tls, method password, hba:1, trace connect sslaccept
// it does not bind SCRAM, so that this certificate is no obstacle
servercert=ed25519 hba='host all all all scram-sha-256' user=scram password=right => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
`)
		})
		t.Run(library+", attacks", func(t *testing.T) {
			checkRows(t, base, `
attack=strip => connected plain, method trust, role alice, hba:1, trace connect sslreject authok, obtains downgrade
attack=error => refused at tls, tls-refused, trace connect sslerror, obtains nothing
attack=cut-answer => refused at tls, connection-lost, trace connect sslerror, obtains nothing
attack=cut-handshake => refused at tls, connection-lost, trace connect sslaccept, obtains nothing
attack=hold-answer => refused at tls, timed-out, trace connect sslerror, obtains nothing
attack=stuff-server => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=cut-auth sslmode=allow => connected tls, method trust, role alice, hba:1, trace connect authok reconnect sslaccept authok, obtains plaintext
// the alert comes after the handshake: a connection that was lost
attack=flip-client => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok, obtains downgrade
attack=flip-server => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
`)
		})
	}
	t.Run("GSSAPI", func(t *testing.T) {
		const gss = "hba='host all all all gss include_realm=0' ticket=valid sslmode=disable "
		checkRows(t, gss+"library=asyncpg0.27", `
=> refused at auth, method-unsupported, channel plain, method gss, hba:1, trace connect authfail
sslmode=prefer => refused at auth, method-unsupported, channel tls, method gss, hba:1, trace connect sslaccept authfail
`)
		checkRows(t, gss+"library=asyncpg0.27", `
attack=forge-ok => connected plain, role alice, trace connect authok, obtains session
attack=forge-gss-ok => refused at auth, method-unsupported, channel plain, trace connect, obtains plaintext
`)
		for _, library := range []string{"asyncpg0.30", "asyncpg0.31"} {
			checkRows(t, gss+"library="+library, `
attack=forge-ok => connected plain, role alice, trace connect authok, obtains session
attack=forge-gss-ok => connected plain, role alice, trace connect authok, obtains session
attack=forge-ap-rep => refused at auth, server-unproven, channel plain, trace connect authok, obtains plaintext
`)
			checkRows(t, gss+"library="+library, `
=> connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
ticket=ambient => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hosts=dead-first => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
krbsrvname=nosuch => refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail
// an error of its own is final
ticket=none sslmode=prefer => refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail
`)
		}
	})
}
