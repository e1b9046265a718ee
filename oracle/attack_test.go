package oracle

import "testing"

// The outcomes are those observed with real servers and clients (scenarios/attacks); for versions that were not available, they
// follow from the sources.
func TestAttacks(t *testing.T) {
	const scram = "hba='hostgssenc all alice all gss include_realm=0; host all scram all scram-sha-256; host all all all trust' "
	for base, rows := range map[string]string{
		scram + "user=scram password=right gssencmode=disable": `
// listening
sslmode=disable attack=listen => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect authok, obtains plaintext
sslmode=require attack=listen => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains nothing
sslmode=disable attack=listen password=wrong => refused at auth, password, channel plain, method scram-sha-256, hba:2, trace connect authfail, obtains plaintext
// stripping
sslmode=prefer attack=strip => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslreject authok, obtains downgrade
sslmode=disable attack=strip => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect authok, obtains plaintext
sslmode=verify-full attack=strip => refused at tls, tls-refused, trace connect sslreject, obtains nothing
sslmode=require sslnegotiation=direct attack=strip => refused at tls, direct-tls-refused, trace connect directreject, obtains nothing
sslmode=prefer attack=strip library=pgx => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslreject reconnect authok, obtains downgrade
sslmode=require attack=strip library=pgx => refused at tls, tls-refused, trace connect sslreject, obtains nothing
sslmode=prefer attack=strip-gss => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains nothing
// impersonating: without a root nothing is verified, and SCRAM's binding notices it
sslmode=require root=none attack=impersonate => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:2, trace connect sslaccept authfail, obtains plaintext
sslmode=prefer root=none attack=impersonate => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authfail reconnect authok, obtains downgrade
sslmode=require root=none channel_binding=disable attack=impersonate => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains session
sslmode=require root=none library=pq attack=impersonate => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains session
sslmode=require root=none library=pgx attack=impersonate => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:2, trace connect sslaccept authfail, obtains plaintext
sslmode=require root=none ssl=off attack=impersonate => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains session
sslmode=verify-ca attack=impersonate => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
sslmode=prefer attack=impersonate => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept reconnect authok, obtains downgrade
sslmode=verify-full root=none attack=impersonate => refused at tls, root-missing, trace connect sslaccept, obtains nothing
sslmode=verify-full root=none library=pgx attack=impersonate => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
// a server without TLS has nothing to bind to, even if the client's channel is TLS
sslmode=require root=none ssl=off channel_binding=require attack=impersonate => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:2, trace connect sslaccept, obtains plaintext
sslmode=prefer root=none ssl=off channel_binding=require library=libpq13 attack=impersonate => refused at auth, channel-binding, channel tls, method scram-sha-256, hba:2, trace connect sslaccept, obtains plaintext
sslmode=prefer root=none ssl=off channel_binding=require library=pgx attack=impersonate => refused at auth, channel-binding, channel plain, method scram-sha-256, hba:2, trace connect sslaccept reconnect, obtains plaintext
sslmode=require root=none ssl=off servercert=ed25519 attack=impersonate => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains session
// injecting
sslmode=disable attack=inject => connected plain, method scram-sha-256, identity scram, role scram, hba:2, trace connect authok, obtains injected
sslmode=require attack=inject => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect sslaccept authok, obtains nothing
`,
		scram + "ticket=valid gssencmode=prefer": `
attack=listen => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok, obtains nothing
attack=strip-gss sslmode=require => connected tls, method trust, role alice, hba:3, trace connect gssreject sslaccept authok, obtains nothing
attack=strip-gss sslmode=require library=libpq15 => connected tls, method trust, role alice, hba:3, trace connect gssreject sslaccept authok, obtains nothing
attack=strip-gss sslmode=disable => connected plain, method trust, role alice, hba:3, trace connect gssreject authok, obtains downgrade
attack=strip => connected plain, method trust, role alice, hba:3, trace connect gssreject sslreject authok, obtains downgrade
attack=strip library=libpq13 => connected plain, method trust, role alice, hba:3, trace connect gssreject sslreject authok, obtains downgrade
attack=strip gssencmode=require => refused at gssenc, gss-refused, trace connect gssreject, obtains nothing
attack=strip gssencmode=require library=libpq16 => refused at gssenc, gss-refused, trace connect gssreject, obtains nothing
attack=inject => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok, obtains nothing
// an error message in place of an answer
attack=error gssencmode=require => refused at gssenc, answer-error, trace connect gsserror, obtains nothing
attack=error gssencmode=require library=libpq16 => refused at gssenc, answer-error, trace connect gsserror reconnect, obtains nothing
attack=error sslmode=disable => connected plain, method trust, role alice, hba:3, trace connect gsserror reconnect authok, obtains downgrade
attack=error => refused at tls, answer-error, trace connect gsserror reconnect sslerror, obtains nothing
attack=error-unterminated gssencmode=require => refused at gssenc, answer-error, trace connect gssaccept, obtains injected
attack=error-unterminated sslmode=disable => connected plain, method trust, role alice, hba:3, trace connect gssaccept reconnect authok, obtains downgrade
attack=error-unterminated => refused at tls, answer-error, trace connect gssaccept reconnect sslerror, obtains injected
// bytes before the handshake
attack=stuff-server => refused at gssenc, protocol-violation, trace connect gssaccept, obtains nothing
attack=stuff-client gssencmode=require => refused at gssenc, protocol-violation, channel gss, trace connect gssaccept authfail, obtains nothing
attack=stuff-client sslmode=disable => connected plain, method trust, role alice, hba:3, trace connect gssaccept authfail reconnect authok, obtains downgrade
attack=stuff-client sslmode=disable server=13 library=libpq15 => refused at gssenc, protocol-violation, channel gss, trace connect gssaccept authfail, obtains nothing
`,
		scram + "gssencmode=disable": `
attack=error => refused at tls, answer-error, trace connect sslerror, obtains nothing
attack=error library=pgx => connected plain, method trust, role alice, hba:3, trace connect sslerror reconnect authok, obtains downgrade
attack=error library=pgx sslmode=require => refused at tls, tls-refused, trace connect sslerror, obtains nothing
attack=error library=pq sslmode=require => refused at tls, tls-refused, trace connect sslerror, obtains nothing
attack=stuff-server => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=stuff-server library=pgx => connected plain, method trust, role alice, hba:3, trace connect sslaccept reconnect authok, obtains downgrade
attack=stuff-server library=pgx root=other sslmode=require => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
// libpq looks for them after the handshake (fe-connect.c, CONNECTION_SSL_STARTUP): a flaw of the certificate is found first
attack=stuff-server root=other sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
attack=stuff-server root=other library=libpq13 => connected plain, method trust, role alice, hba:3, trace connect sslaccept reconnect authok, obtains downgrade
attack=stuff-server root=none sslmode=verify-full => refused at tls, root-missing, trace connect sslaccept, obtains nothing
attack=stuff-client root=none sslmode=verify-full => refused at tls, root-missing, trace connect sslaccept, obtains nothing
attack=stuff-client root=other server=15 => connected plain, method trust, role alice, hba:3, trace connect sslaccept reconnect authok, obtains downgrade
attack=stuff-client crl=stale server=15 sslmode=require => refused at tls, server-cert-expired, trace connect sslaccept, obtains nothing
attack=stuff-server ssl=off => connected plain, method trust, role alice, hba:3, trace connect sslreject authok, obtains plaintext
attack=stuff-client server=15 sslmode=require => refused at tls, protocol-violation, channel tls, trace connect sslaccept authfail, obtains nothing
attack=stuff-client server=15 => connected plain, method trust, role alice, hba:3, trace connect sslaccept authfail reconnect authok, obtains downgrade
attack=stuff-client server=15 library=pq sslmode=prefer => refused at tls, protocol-violation, channel tls, trace connect sslaccept authfail, obtains nothing
attack=stuff-client server=17 => connected plain, method trust, role alice, hba:3, trace connect sslaccept reconnect authok, obtains downgrade
attack=stuff-client server=17 sslmode=require => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
// lib/pq offers no ALPN: a server closes for that reason, the attacker does not
attack=impersonate library=pq sslmode=require sslnegotiation=direct root=none => connected tls, method trust, role alice, hba:3, trace connect directaccept authok, obtains session
attack=impersonate sslmode=require sslnegotiation=direct root=none server=13 => connected tls, method trust, role alice, hba:3, trace connect directaccept authok, obtains session
`,
	} {
		checkRows(t, base, rows)
	}
}

// The client shows its certificate to the attacker, and the server gets none.
func TestImpersonatorHasNoClientCertificate(t *testing.T) {
	checkRows(t, "hba='hostssl all all all cert' cert=good root=none sslmode=require gssencmode=disable", `
attack=listen => connected tls, method cert, identity CN=alice, role alice, hba:1, trace connect sslaccept authok, obtains nothing
attack=impersonate => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail, obtains plaintext
`)
}

// An attacker who plays the server needs no rule to accept a client: only the client can refuse.
func TestForgedServer(t *testing.T) {
	const (
		inClear  = "connected plain, role alice, trace connect authok, obtains session"
		rejected = "refused at auth, method-rejected, channel plain, trace connect authok, obtains plaintext"
		unproven = "refused at auth, server-unproven, channel plain, trace connect authok, obtains plaintext"
		inTLS    = "connected tls, role alice, trace connect sslaccept authok, obtains session"
	)
	rows := ""
	for _, lib := range []string{"libpq13", "libpq14", "libpq15", "libpq16", "libpq17", "libpq18", "psql17"} {
		rows += "library=" + lib + " attack=forge-ok => " + inClear + "\n"
		rows += "library=" + lib + " attack=forge-gss-ok => " + inClear + "\n"
		rows += "library=" + lib + " attack=forge-ap-rep => " + unproven + "\n"
	}
	for _, lib := range []string{"libpq16", "libpq17", "libpq18"} {
		rows += "library=" + lib + " attack=forge-ok require_auth=gss => " + rejected + "\n"
		rows += "library=" + lib + " attack=forge-gss-ok require_auth=gss => " + rejected + "\n"
		rows += "library=" + lib + " attack=forge-gss-ok require_auth=!gss => refused at auth, method-rejected, channel plain, trace connect, obtains plaintext\n"
		rows += "library=" + lib + " attack=forge-ok require_auth=!gss => " + inClear + "\n"
		rows += "library=" + lib + " attack=forge-ok require_auth=gss,none => " + inClear + "\n"
		rows += "library=" + lib + " attack=forge-ap-rep require_auth=gss => " + unproven + "\n"
	}
	checkRows(t, "hba='host all all all reject' ticket=valid gssencmode=disable sslmode=disable", rows+`
library=pgx attack=forge-ok => `+inClear+`
library=pgx attack=forge-gss-ok => refused at auth, protocol-violation, channel plain, trace connect authok, obtains plaintext
library=pgx attack=forge-ap-rep => `+unproven+`
library=pgx attack=forge-ok require_auth=gss => `+rejected+`
library=pgx attack=forge-gss-ok require_auth=scram-sha-256 => refused at auth, method-rejected, channel plain, trace connect, obtains plaintext
// lib/pq accepts all of it
library=pq attack=forge-ok => `+inClear+`
library=pq attack=forge-gss-ok => `+inClear+`
library=pq attack=forge-ap-rep => `+inClear+`
library=pq attack=forge-ok sslmode=require root=none => `+inTLS+`
library=pq attack=forge-ok sslmode=require root=none sslnegotiation=direct => connected tls, role alice, trace connect directaccept authok, obtains session
library=pq attack=forge-ok sslmode=prefer root=right => connected plain, role alice, trace connect sslaccept reconnect authok, obtains session
library=pq attack=forge-gss-ok ticket=none sslmode=allow root=none => refused at auth, no-ticket, channel tls, trace connect reconnect sslaccept, obtains plaintext
// neither the server's roles nor its TLS matter
attack=forge-ok user=nobody => connected plain, role nobody, trace connect authok, obtains session
attack=forge-ok ssl=off sslmode=require root=none => `+inTLS+`
attack=forge-ok sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
attack=forge-ok sslmode=verify-full root=none => refused at tls, root-missing, trace connect sslaccept, obtains nothing
attack=forge-ok sslmode=prefer => connected plain, role alice, trace connect sslaccept reconnect authok, obtains session
attack=forge-ok sslmode=prefer require_auth=gss => refused at auth, method-rejected, channel plain, trace connect sslaccept reconnect authok, obtains plaintext
// what a client refuses itself is final to libpq, and not to pgx
attack=forge-ok sslmode=prefer root=none require_auth=gss => refused at auth, method-rejected, channel tls, trace connect sslaccept authok, obtains plaintext
attack=forge-ok sslmode=prefer root=none require_auth=gss library=pgx => refused at auth, method-rejected, channel plain, trace connect sslaccept authok reconnect authok, obtains plaintext
// the attack ends where the client has no token to send
attack=forge-gss-ok ticket=none => refused at auth, no-ticket, channel plain, trace connect, obtains plaintext
attack=forge-ap-rep ticket=expired => refused at auth, ticket-expired, channel plain, trace connect, obtains plaintext
attack=forge-gss-ok krbsrvname=nosuch => refused at auth, spn-unknown, channel plain, trace connect, obtains plaintext
// channel binding
attack=forge-ok channel_binding=require => refused at auth, channel-binding, channel plain, trace connect authok, obtains plaintext
attack=forge-gss-ok channel_binding=require => refused at auth, channel-binding, channel plain, trace connect, obtains plaintext
attack=forge-ap-rep channel_binding=require library=pgx => refused at auth, channel-binding, channel plain, trace connect, obtains plaintext
// GSS encryption
attack=forge-ok gssencmode=require => refused at gssenc, gss-refused, trace connect gssreject, obtains nothing
attack=forge-gss-ok gssencmode=prefer => connected plain, role alice, trace connect gssreject authok, obtains session
attack=forge-ap-rep gssencmode=require => refused at gssenc, server-unproven, trace connect gssaccept, obtains nothing
attack=forge-ap-rep gssencmode=require library=libpq13 => refused at gssenc, server-unproven, trace connect gssaccept, obtains nothing
attack=forge-ap-rep gssencmode=require library=pgx => refused at gssenc, server-unproven, trace connect gssaccept, obtains nothing
attack=forge-ap-rep gssencmode=require ticket=expired => refused at gssenc, ticket-expired, trace connect gssaccept, obtains nothing
attack=forge-ap-rep gssencmode=require channel_binding=require library=pgx => refused at gssenc, channel-binding, trace connect gssaccept, obtains nothing
attack=forge-ap-rep gssencmode=prefer => refused at auth, server-unproven, channel plain, trace connect gssaccept reconnect authok, obtains plaintext
attack=forge-ap-rep gssencmode=prefer sslmode=prefer library=libpq15 => refused at auth, server-unproven, channel plain, trace connect gssaccept reconnect sslaccept reconnect authok, obtains plaintext
attack=forge-ap-rep gssencmode=prefer library=pgx => refused at auth, server-unproven, channel plain, trace connect gssaccept reconnect authok, obtains plaintext
`)
}
