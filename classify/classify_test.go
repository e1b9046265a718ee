package classify

import (
	"encoding/json"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The texts are those of the sources named in serverlog.go and texts.go; live_test.go holds the same against real servers.

func TestClassifyConnected(t *testing.T) {
	lib17, lib13 := testCell(17, "libpq17"), testCell(13, "libpq13")
	gssClient := func(principal, systemUser string) matrix.ClientEvidence {
		c := connectedClient(41, "ok")
		c.GSSInUse = true
		c.Session.GSSEncrypted, c.Session.GSSAuthenticated, c.Session.Principal, c.Session.SystemUser = true, principal != "", principal, systemUser
		return c
	}
	tlsClient := func(requests ...string) matrix.ClientEvidence {
		c := connectedClient(41, requests...)
		c.SSLInUse, c.Session.SSL, c.Session.SSLVersion = true, true, "TLSv1.3"
		return c
	}
	const gssSession = " GSS (authenticated=yes, encrypted=yes, delegated_credentials=no, principal=alice@EXAMPLE.TEST)"
	identity17 := `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`
	trust17 := func(line string) string {
		return `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:` + line + `)`
	}
	tests := []struct {
		name   string
		cell   *matrix.Cell
		e      matrix.Evidence
		want   string
		unseen []matrix.Field
	}{
		{"plain trust, 18", testCell(18, "libpq18"), evidenceOf(connectedClient(41, "ok"),
			seen(5001, 41, inClear, trust17("2"), authorizedLine(testCell(18, "libpq18"), ""))),
			"connected plain, method trust, role alice, hba:2, trace connect authok", nil},
		{"plain trust on 15: no line says so, and only one record can have decided", testCell(15, "libpq15"), evidenceOf(connectedClient(41, "ok"),
			seen(5001, 41, inClear, authorizedLine(testCell(15, "libpq15"), ""))),
			"connected plain, method trust, role alice, hba:2, trace connect authok", nil},
		{"plain trust on 15, two trust records", testCell(15, "libpq15", withHBA("host all all all trust\nlocal all all trust\n")), evidenceOf(connectedClient(41, "ok"),
			seen(5001, 41, inClear, authorizedLine(testCell(15, "libpq15"), ""))),
			"connected plain, method trust, role alice, trace connect authok", []matrix.Field{matrix.FieldRule}},
		{"plain on 13 with trust and ident in the file", testCell(13, "libpq13", withHBA("host all all all trust\nhost all bob all ident\n")), evidenceOf(connectedClient(41, "ok"),
			seen(5001, 41, inClear, authorizedLine(lib13, ""))),
			"connected plain, role alice, trace connect authok", []matrix.Field{matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule}},
		{"TLS trust", lib17, evidenceOf(tlsClient("ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", trust17("2"), authorizedLine(lib17, tlsSession), "LOG disconnection: session time: 0:00:00.004 user=alice database=postgres host=10.9.0.3 port=5001")),
			"connected tls, method trust, role alice, hba:2, trace connect sslaccept authok", nil},
		{"direct TLS", lib17, evidenceOf(tlsClient("ok"),
			seen(5001, 41, "client direct-tls; "+hello, "LOG direct SSL connection accepted", trust17("2"), authorizedLine(lib17, tlsSession))),
			"connected tls, method trust, role alice, hba:2, trace connect directaccept authok", nil},
		{"GSS encryption and gss", lib17, evidenceOf(gssClient("alice@EXAMPLE.TEST", "gss:alice@EXAMPLE.TEST"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", identity17, authorizedLine(lib17, gssSession))),
			"connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok", nil},
		{"GSS encryption and trust", lib17, evidenceOf(gssClient("", ""),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", trust17("2"), authorizedLine(lib17, " GSS (authenticated=no, encrypted=yes, delegated_credentials=no)"))),
			"connected gss, method trust, role alice, hba:2, trace connect gssaccept authok", nil},
		{"gss on 13: pg_stat_gssapi tells", lib13, evidenceOf(gssClient("alice@EXAMPLE.TEST", ""),
			seen(5001, 41, overGSS, authorizedLine(lib13, " GSS (authenticated=yes, encrypted=yes, principal=alice@EXAMPLE.TEST)"))),
			"connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok", nil},
		{"gss inside TLS", lib17, evidenceOf(func() matrix.ClientEvidence {
			c := tlsClient("gss", "gss-continue", "ok")
			c.Session.GSSAuthenticated, c.Session.Principal, c.Session.SystemUser = true, "alice@EXAMPLE.TEST", "gss:alice@EXAMPLE.TEST"
			return c
		}(),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", identity17, authorizedLine(lib17, tlsSession+" GSS (authenticated=yes, encrypted=no, delegated_credentials=no, principal=alice@EXAMPLE.TEST)"))),
			"connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok", nil},
		{"refused inside GSS, then TLS, the GSS request and the SSL request on two connections", lib17, evidenceOf(tlsClient("ok"),
			seen(5001, 40, overGSS, "LOG GSSENCRequest accepted", `FATAL 28000 no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", GSS encryption`),
			seen(5002, 41, overTLS, "LOG SSLRequest accepted", trust17("2"), authorizedLine(lib17, tlsSession))),
			"connected tls, method trust, role alice, hba:2, trace connect gssaccept authfail reconnect sslaccept authok", nil},
		{"everything refused with N on one connection", lib17, evidenceOf(connectedClient(41, "ok"),
			seen(5001, 41, "client gssencrequest; server answer N; client sslrequest; server answer N; "+inClear, "LOG GSSENCRequest rejected", "LOG SSLRequest rejected", trust17("2"), authorizedLine(lib17, ""))),
			"connected plain, method trust, role alice, hba:2, trace connect gssreject sslreject authok", nil},
		{"over the unix socket", testCell(17, "libpq17", overUnix), evidenceOf(connectedClient(41, "ok"),
			seen(0, 41, "", trust17("4"), authorizedLine(lib17, ""))),
			"connected plain, method trust, role alice, hba:4, trace connect authok", nil},
		{"psql, which does not tell its flags and requests", testCell(17, "psql17"), evidenceOf(func() matrix.ClientEvidence {
			c := tlsClient()
			c.SSLInUse = false
			return c
		}(),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", trust17("2"), authorizedLine(testCell(17, "psql17"), tlsSession))),
			"connected tls, method trust, role alice, hba:2, trace connect sslaccept authok", nil},
		{"TLS and GSS at once is a finding", lib17, evidenceOf(func() matrix.ClientEvidence {
			c := tlsClient("ok")
			c.GSSInUse, c.Session.GSSEncrypted = true, true
			return c
		}(),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", trust17("2"), authorizedLine(lib17, tlsSession+" GSS (authenticated=no, encrypted=yes, delegated_credentials=no)"))),
			"connected tls+gss, method trust, role alice, hba:2, trace connect sslaccept authok", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want, tt.unseen...) })
	}
}

func TestClassifyRefused(t *testing.T) {
	lib18, lib17, lib16, lib13 := testCell(18, "libpq18"), testCell(17, "libpq17"), testCell(17, "libpq16"), testCell(13, "libpq13")
	pgx17 := testCell(17, "pgx")
	noEntry := func(encryption string) string {
		return `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", ` + encryption
	}
	matched17 := func(line, text string) string {
		return `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line ` + line + `: "` + text + `"`
	}
	tests := []struct {
		name   string
		cell   *matrix.Cell
		e      matrix.Evidence
		want   string
		unseen []matrix.Field
	}{
		// stages options and credentials
		{"weak sslmode", lib17, evidenceOf(saidNo("weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \"verify-full\")\n")),
			"refused at options, bad-options", nil},
		{"no ticket, 17+", lib17, evidenceOf(saidNo("GSSAPI encryption required but no credential cache\n")),
			"refused at credentials, no-ticket", nil},
		{"no ticket up to 16: one connection and nothing on it", lib16, evidenceOf(saidNo(failedAt+gssImpossible+"\n"), seen(5001, 41, "client close")),
			"refused at credentials, no-ticket, trace connect", nil},
		{"gssencmode=require on a unix socket, 17+", testCell(17, "libpq17", overUnix), evidenceOf(saidNo("GSSAPI encryption required but it is not supported over a local socket\n")),
			"refused at options, gss-on-unix-socket", nil},
		{"gssencmode=require on a unix socket up to 16", testCell(17, "libpq16", overUnix), evidenceOf(saidNo(`connection to server on socket "/run/pg/.s.PGSQL.5432" failed: `+gssImpossible+"\n"), seen(0, 41, "")),
			"refused at options, gss-on-unix-socket, trace connect", nil},
		{"pgx reads the root certificate before anything else", testCell(17, "pgx"), evidenceOf(saidNo("cannot parse `host=pg.example.test password=xxxxx`: failed to configure TLS (unable to read CA file: open /srv/root-missing.crt: no such file or directory)")),
			"refused at options, bad-options", nil},
		// stage dial
		{"nothing listens", lib17, evidenceOf(saidNo(failedAt+"server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\n"),
			matrix.ConnectionEvidence{Wire: []matrix.WireEvent{{From: "relay", Kind: "dial-failed", Text: "dial tcp 10.9.0.2:5432: connect: connection refused"}}}),
			"refused at dial, dial-refused", nil},
		{"no socket", testCell(17, "libpq17", overUnix), evidenceOf(saidNo("connection to server on socket \"/run/pg/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the server running locally and accepting connections on that socket?\n")),
			"refused at dial, dial-refused", nil},
		// stage gssenc
		{"GSS refused", lib17, evidenceOf(saidNo(failedAt+"server doesn't support GSSAPI encryption, but it was required\n"), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")),
			"refused at gssenc, gss-refused, trace connect gssreject", nil},
		{"GSS refused, up to 16", lib16, evidenceOf(saidNo(failedAt+gssImpossible+"\n"), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")),
			"refused at gssenc, gss-refused, trace connect gssreject", nil},
		{"expired ticket, require", lib17, evidenceOf(saidNo(failedAt+"could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: Ticket expired\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client close", "LOG GSSENCRequest accepted")),
			"refused at gssenc, ticket-expired, trace connect gssaccept", nil},
		{"wrong service name", lib13, evidenceOf(saidNo("could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: Server nosuch/pg.example.test@EXAMPLE.TEST not found in Kerberos database\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client close")),
			"refused at gssenc, spn-unknown, trace connect gssaccept", nil},
		{"KDC gone", lib17, evidenceOf(saidNo(failedAt+"could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: Cannot contact any KDC for realm 'EXAMPLE.TEST'\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client close", "LOG GSSENCRequest accepted")),
			"refused at gssenc, kdc-unreachable, trace connect gssaccept", nil},
		{"no keytab: the client has no message", lib17, evidenceOf(saidNo(failedAt+"\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client gss-token 1302 ap-req; server close; client close", "LOG GSSENCRequest accepted",
				"LOG could not accept GSSAPI security context", "DETAIL Unspecified GSS failure.  Minor code may provide more information: Keytab FILE:/srv/pg/none.keytab is nonexistent or empty")),
			"refused at gssenc, keytab-missing, trace connect gssaccept", nil},
		{"no keytab: the client of 13 says nothing at all", lib13, evidenceOf(saidNo(""),
			seen(5001, 41, "client gssencrequest; server answer G; client gss-token 1302 ap-req; server close; client close",
				"LOG could not accept GSSAPI security context", "DETAIL Unspecified GSS failure.  Minor code may provide more information: Keytab FILE:/srv/pg/none.keytab is nonexistent or empty")),
			"refused at gssenc, keytab-missing, trace connect gssaccept", nil},
		{"stale keytab", lib17, evidenceOf(saidNo(failedAt+"\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client gss-token 1302 ap-req; server close; client close", "LOG GSSENCRequest accepted",
				"LOG could not accept GSSAPI security context", "DETAIL Unspecified GSS failure.  Minor code may provide more information: Request ticket server postgres/pg.example.test@EXAMPLE.TEST kvno 3 not found in keytab; keytab is likely out of date")),
			"refused at gssenc, keytab-mismatch, trace connect gssaccept", nil},
		// stage tls
		{"no TLS", lib17, evidenceOf(saidNo(failedAt+"server does not support SSL, but SSL was required\n"), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")),
			"refused at tls, tls-refused, trace connect sslreject", nil},
		{"no TLS, pgx", testCell(17, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): tls error: server refused TLS connection"), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")),
			"refused at tls, tls-refused, trace connect sslreject", nil},
		{"no TLS, pq", testCell(17, "pq"), evidenceOf(saidNo("pq: SSL is not enabled on the server"), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")),
			"refused at tls, tls-refused, trace connect sslreject", nil},
		{"pq misses its root certificate once it is connected", testCell(17, "pq", rootMissing), evidenceOf(saidNo("open /srv/root-missing.crt: no such file or directory"), seen(5001, 41, "client close")),
			"refused at tls, root-missing, trace connect", nil},
		{"pq misses another file", testCell(17, "pq"), evidenceOf(saidNo("open /srv/alice.key: no such file or directory"), seen(5001, 41, "client close")),
			"fault: unrecognised message of the client", nil},
		{"pq misses its root certificate, and asked for TLS", testCell(17, "pq", rootMissing), evidenceOf(saidNo("open /srv/root-missing.crt: no such file or directory"),
			seen(5001, 41, "client sslrequest; server answer S; client close", "LOG SSLRequest accepted")),
			"fault: the wire shows", nil},
		{"wrong root, pq: the handshake is over", testCell(18, "pq"), evidenceOf(saidNo("x509: certificate signed by unknown authority"),
			seen(5001, 40, overTLS+"; client close", "LOG SSLRequest accepted", "LOG SSL error: unexpected eof while reading")),
			"refused at tls, server-cert-untrusted, trace connect sslaccept", nil},
		{"direct TLS without ALPN, pq", testCell(18, "pq"), evidenceOf(saidNo("EOF"),
			seen(5001, 40, "client direct-tls; client client-hello sni=pg.example.test; server server-hello TLSv1.3; client tls-data; client close; server reset",
				"LOG received direct SSL connection request without ALPN protocol negotiation extension", "LOG direct SSL connection rejected")),
			"refused at tls, direct-tls-refused, trace connect directaccept", nil},
		{"direct TLS, pq, and the server does not say why it closed", testCell(18, "pq"), evidenceOf(saidNo("EOF"),
			seen(5001, 40, "client direct-tls; client client-hello sni=pg.example.test; server server-hello TLSv1.3; client tls-data; client close; server reset", "LOG direct SSL connection accepted")),
			"fault: unrecognised message of the client", nil},
		{"direct TLS to an old server, pq", testCell(15, "pq"), evidenceOf(saidNo("read tcp 127.0.0.1:40002->127.0.0.1:40001: read: connection reset by peer"), seen(5001, 41, "client direct-tls; client client-hello sni=pg.example.test; server close; client close", "LOG invalid length of startup packet")),
			"refused at tls, direct-tls-refused, trace connect directreject", nil},
		{"wrong root: libpq's message is unspecific, the server was told", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: tlsv1 alert unknown ca")),
			"refused at tls, server-cert-untrusted, trace connect sslaccept", nil},
		{"expired server certificate", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: ssl/tls alert certificate expired")),
			"refused at tls, server-cert-expired, trace connect sslaccept", nil},
		{"revoked server certificate", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: ssl/tls alert certificate revoked")),
			"refused at tls, server-cert-revoked, trace connect sslaccept", nil},
		{"certificate verify failed, and nobody was told why", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: EOF detected")),
			"fault: unrecognised message of the client", nil},
		{"sslrootcert=system with a weak sslmode, pq", testCell(17, "pq"), evidenceOf(saidNo("pq: weak sslmode \"disable\" may not be used with sslrootcert=system (use \"verify-full\")")),
			"refused at options, bad-options", nil},
		{"no root certificate and direct TLS: the client has sent nothing", testCell(17, "libpq17", directly), evidenceOf(saidNo(failedAt+"root certificate file \"/srv/root-missing.crt\" does not exist\n"),
			seen(5001, 41, "client close")),
			"refused at tls, root-missing, trace connect", nil},
		{"no root certificate and direct TLS, which has begun", testCell(17, "libpq17", directly), evidenceOf(saidNo(failedAt+"root certificate file \"/srv/root-missing.crt\" does not exist\n"),
			seen(5001, 41, "client direct-tls; client client-hello sni=pg.example.test; server server-hello TLSv1.3; client close", "LOG direct SSL connection accepted")),
			"fault: witnesses contradict", nil},
		{"no root certificate, and TLS was not asked for", lib17, evidenceOf(saidNo(failedAt+"root certificate file \"/srv/root-missing.crt\" does not exist\n"),
			seen(5001, 41, "client close")),
			"fault: witnesses contradict", nil},
		{"TLS asked for on a unix socket, pq", testCell(17, "pq", overUnix), evidenceOf(saidNo("pq: SSL is not enabled on the server"),
			seen(0, 41, "", "LOG SSLRequest rejected")),
			"refused at tls, tls-refused, trace connect sslreject", nil},
		{"TLS asked for on a unix socket, pq, and the server knows nothing of it", testCell(17, "pq", overUnix), evidenceOf(saidNo("pq: SSL is not enabled on the server"),
			seen(0, 41, "")),
			"fault: witnesses contradict", nil},
		{"TLS asked for on a unix socket, pq, and accepted", testCell(17, "pq", overUnix), evidenceOf(saidNo("pq: SSL is not enabled on the server"),
			seen(0, 41, "", "LOG SSLRequest accepted")),
			"fault: witnesses contradict", nil},
		{"sslrootcert=system before 16", testCell(17, "libpq13"), evidenceOf(saidNo("root certificate file \"system\" does not exist\nEither provide the file or change sslmode to disable server certificate verification.\n"),
			seen(5001, 41, "client sslrequest; server answer S; client close", "LOG SSLRequest accepted")),
			"refused at tls, root-missing, trace connect sslaccept", nil},
		{"wrong root, pgx", testCell(17, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): failed to write startup message: tls: failed to verify certificate: x509: certificate signed by unknown authority"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: tlsv1 alert unknown ca")),
			"refused at tls, server-cert-untrusted, trace connect sslaccept", nil},
		{"server certificate of another host", lib17, evidenceOf(saidNo(failedAt+"server certificate for \"other.example.test\" does not match host name \"pg.example.test\"\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted")),
			"refused at tls, server-cert-name, trace connect sslaccept", nil},
		{"no root certificate", lib17, evidenceOf(saidNo(failedAt+"root certificate file \"/srv/root-missing.crt\" does not exist\nEither provide the file, use the system's trusted roots with sslrootcert=system, or change sslmode to disable server certificate verification.\n"),
			seen(5001, 41, "client sslrequest; server answer S; client close", "LOG SSLRequest accepted")),
			"refused at tls, root-missing, trace connect sslaccept", nil},
		{"no root certificate, and the server answers the cut handshake", lib17, evidenceOf(saidNo(failedAt+"root certificate file \"/srv/root-missing.crt\" does not exist\n"),
			seen(5001, 41, "client sslrequest; server answer S; client close; server stuffed 7; client reset", "LOG SSLRequest accepted", "LOG could not accept SSL connection: unexpected eof while reading")),
			"refused at tls, root-missing, trace connect sslaccept", nil},
		{"direct TLS to an old server, pgx", testCell(15, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): failed to write startup message: write failed: EOF"), seen(5001, 41, "client direct-tls; client client-hello alpn=postgresql; server close; client close", "LOG invalid length of startup packet")),
			"refused at tls, direct-tls-refused, trace connect directreject", nil},
		{"direct TLS to a server without TLS", lib17, evidenceOf(saidNo(failedAt+"SSL error: unexpected eof while reading\n"), seen(5001, 41, "client direct-tls; client client-hello alpn=postgresql; server close; client close", "LOG direct SSL connection rejected")),
			"refused at tls, direct-tls-refused, trace connect directreject", nil},
		{"direct TLS to an old server", testCell(15, "libpq17"), evidenceOf(saidNo(failedAt+"SSL SYSCALL error: EOF detected\n"), seen(5001, 41, "client direct-tls; client client-hello alpn=postgresql; server close; client close", "LOG invalid length of startup packet")),
			"refused at tls, direct-tls-refused, trace connect directreject", nil},
		// stage hba
		{"no record, TLS then plain", lib17, evidenceOf(saidNo(failedAt+"FATAL:  "+noEntry("SSL encryption")+"\n"+failedAt+"FATAL:  "+noEntry("no encryption")+"\n"),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", "FATAL 28000 "+noEntry("SSL encryption")),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail", nil},
		{"no record, 13", lib13, evidenceOf(saidNo("FATAL:  "+noEntry("SSL on")+"\nFATAL:  "+noEntry("SSL off")+"\n"),
			seen(5001, 40, overTLS, "FATAL 28000 "+noEntry("SSL on")),
			seen(5002, 41, refusing+"28000 "+noEntry("SSL off"), "FATAL 28000 "+noEntry("SSL off"))),
			"refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail", nil},
		{"explicit reject, one such record", testCell(17, "libpq17", withUser("bob")), evidenceOf(saidNo(failedAt+"FATAL:  pg_hba.conf rejects connection for host \"10.9.0.3\", user \"bob\", database \"postgres\", no encryption\n"),
			seen(5001, 41, "client startup user=bob database=postgres application_name=x 3.0; server error-response 28000 pg_hba.conf rejects connection for host \"10.9.0.3\", user \"bob\", database \"postgres\", no encryption", "FATAL 28000 pg_hba.conf rejects connection for host \"10.9.0.3\", user \"bob\", database \"postgres\", no encryption")),
			"refused at hba, hba-reject, channel plain, method reject, hba:3, trace connect authfail", nil},
		{"explicit reject, two such records", testCell(17, "libpq17", withHBA("hostssl all all all reject\nhost all all all reject\n")), evidenceOf(saidNo(failedAt+"FATAL:  pg_hba.conf rejects connection for host \"10.9.0.3\", user \"alice\", database \"postgres\", GSS encryption\n"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", "FATAL 28000 pg_hba.conf rejects connection for host \"10.9.0.3\", user \"alice\", database \"postgres\", GSS encryption")),
			"refused at hba, hba-reject, channel gss, method reject, trace connect gssaccept authfail", []matrix.Field{matrix.FieldRule}},
		{"no record on a unix socket", testCell(17, "libpq17", overUnix), evidenceOf(saidNo("connection to server on socket \"/run/pg/.s.PGSQL.5432\" failed: FATAL:  no pg_hba.conf entry for host \"[local]\", user \"alice\", database \"postgres\", no encryption\n"),
			seen(0, 41, "", "FATAL 28000 no pg_hba.conf entry for host \"[local]\", user \"alice\", database \"postgres\", no encryption")),
			"refused at hba, no-hba-entry, channel plain, trace connect authfail", nil},
		// stages auth and ident
		{"bad options, and a connection", lib17, evidenceOf(saidNo("weak sslmode \"prefer\" may not be used with sslnegotiation=direct\n"), seen(5001, 41, "client close")),
			"fault: and opened a connection", nil},
		{"no TLS, and a startup packet in the clear", lib17, evidenceOf(saidNo(failedAt+"server does not support SSL, but SSL was required\n"),
			seen(5001, 41, "client sslrequest; server answer N; client startup user=alice database=postgres application_name=x 3.0; server auth-request sasl; client close", "LOG SSLRequest rejected")),
			"fault: the client says", nil},
		{"no GSS context, and sealed packets", lib17, evidenceOf(saidNo(failedAt+"could not initiate GSSAPI security context: x: Ticket expired\n"), seen(5001, 41, overGSS, "LOG GSSENCRequest accepted")),
			"fault: the client says", nil},
		{"no password, and nothing asked", lib17, evidenceOf(saidNo(failedAt+"fe_sendauth: no password supplied\n"), seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"fault: received no authentication request", nil},
		{"a session, and the client went on", lib17, evidenceOf(saidNo(failedAt+"FATAL:  "+noEntry("no encryption")+"\n", "ok"),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(lib17, tlsSession)),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"fault: the client went on to another connection", nil},
		{"pgx goes on after a session that it does not want", testCell(17, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`:\n\t127.0.0.1:1 (pg.example.test): require_auth check failed: x\n\t127.0.0.1:1 (pg.example.test): server error: FATAL: "+noEntry("no encryption")+" (SQLSTATE 28000)", "ok"),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(testCell(17, "pgx"), tlsSession)),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect sslaccept authok reconnect authfail", nil},
		{"ticket missing inside TLS: the client hangs up, the server logs a FATAL nobody is told", lib17, evidenceOf(saidNo(failedAt+"GSSAPI continuation error: Unspecified GSS failure.  Minor code may provide more information: No Kerberos credentials available (default cache: FILE:/tmp/a/none)\n", "gss"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", `FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "host all alice all gss"))),
			"refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail", nil},
		{"stale keytab in authentication", lib17, evidenceOf(saidNo(failedAt+"FATAL:  GSSAPI authentication failed for user \"alice\"\n", "gss"),
			seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request gss; client password gss; server error-response 28000 GSSAPI authentication failed for user \"alice\"",
				"LOG accepting GSS security context failed", "DETAIL Unspecified GSS failure.  Minor code may provide more information: Request ticket server postgres/pg.example.test@EXAMPLE.TEST kvno 3 not found in keytab; keytab is likely out of da",
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "host all alice all gss"))),
			"refused at auth, keytab-mismatch, channel plain, method gss, hba:1, trace connect authfail", nil},
		{"stale keytab, of which the client is told by a token", lib17, evidenceOf(saidNo(failedAt+"GSSAPI continuation error: Unspecified GSS failure.  Minor code may provide more information: Key version is not available\n", "gss", "gss-continue"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted",
				"LOG accepting GSS security context failed", "DETAIL Unspecified GSS failure.  Minor code may provide more information: Request ticket server postgres/pg.example.test@EXAMPLE.TEST kvno 3 not found in keytab; keytab is likely out of date",
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "host all alice all gss"))),
			"refused at auth, keytab-mismatch, channel tls, method gss, hba:1, trace connect sslaccept authfail", nil},
		{"no match in the map: authenticated, and refused", lib17, evidenceOf(saidNo(failedAt+"FATAL:  GSSAPI authentication failed for user \"alice\"\n"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`,
				`LOG provided user name (alice) and authenticated user name (alice@EXAMPLE.TEST) do not match`,
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "hostgssenc all alice all gss"))),
			"refused at ident, map-no-match, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail", nil},
		{"no match on 13", lib13, evidenceOf(saidNo("FATAL:  GSSAPI authentication failed for user \"alice\"\n"),
			seen(5001, 41, overGSS, `LOG no match in usermap "m" for user "alice" authenticated as "alice@EXAMPLE.TEST"`,
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, `DETAIL Connection matched pg_hba.conf line 1: "hostgssenc all alice all gss map=m"`)),
			"refused at ident, map-no-match, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail", nil},
		{"another realm than krb_realm: only what is missing tells", lib17, evidenceOf(saidNo(failedAt+"FATAL:  GSSAPI authentication failed for user \"alice\"\n"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`,
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "hostgssenc all alice all gss krb_realm=OTHER.TEST"))),
			"refused at auth, realm-mismatch, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authfail", nil},
		{"wrong password", testCell(17, "libpq17", withHBA("local all all peer\nhost all alice 10.0.0.0 255.0.0.0 scram-sha-256\n")), evidenceOf(saidNo(failedAt+"FATAL:  password authentication failed for user \"alice\"\n", "sasl", "sasl-continue"),
			seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request sasl; client password sasl; server auth-request sasl-continue; client password sasl-continue; server error-response 28P01 password authentication failed for user \"alice\"",
				`FATAL 28P01 password authentication failed for user "alice"`, matched17("2", "host all alice 10.0.0.0 255.0.0.0 scram-sha-256"))),
			"refused at auth, password, channel plain, method scram-sha-256, hba:2, trace connect authfail", nil},
		{"no SCRAM secret: two lines of DETAIL", testCell(13, "libpq13", withHBA("host all pw all scram-sha-256\n")), evidenceOf(saidNo("FATAL:  password authentication failed for user \"alice\"\n", "sasl", "sasl-continue"),
			seen(5001, 41, overTLS, `FATAL 28P01 password authentication failed for user "alice"`, "DETAIL User \"alice\" does not have a valid SCRAM secret.\n\tConnection matched pg_hba.conf line 1: \"host all pw all scram-sha-256\"")),
			"refused at auth, password, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail", nil},
		{"no password: the server says nothing", testCell(17, "libpq17", withHBA("host all all all password\n")), evidenceOf(saidNo(failedAt+"fe_sendauth: no password supplied\n", "password"),
			seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request password; client close")),
			"refused at auth, no-password, channel plain, method password, hba:1, trace connect", nil},
		{"no password on the second connection, after GSS that failed inside TLS", testCell(17, "libpq17", withHBA("hostssl all all all gss\nhostnossl all all all md5\nlocal all all scram-sha-256\n")), evidenceOf(saidNo(failedAt+"FATAL:  GSSAPI authentication failed for user \"alice\"\n"+failedAt+"fe_sendauth: no password supplied\n", "gss", "gss-continue", "md5"),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`, "LOG provided user name (alice) and authenticated user name (alice@EXAMPLE.TEST) do not match",
				`FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "hostssl all all all gss")),
			seen(5002, 41, overTLS, "LOG SSLRequest accepted")),
			"refused at auth, no-password, channel tls, method md5, hba:2, trace connect sslaccept authfail reconnect sslaccept", nil},
		{"no password, psql: what was asked nobody tells", testCell(17, "psql17", withHBA("host all all all md5\nlocal all all scram-sha-256\n")), evidenceOf(saidNo("psql: error: "+failedAt+"fe_sendauth: no password supplied"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"refused at auth, no-password, channel tls, trace connect sslaccept", []matrix.Field{matrix.FieldMethod, matrix.FieldRule}},
		{"pam says no", testCell(17, "libpq17", withHBA("hostssl all all all pam pamservice=other\nhost all all all password\n")), evidenceOf(saidNo(failedAt+"FATAL:  PAM authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", "LOG pam_authenticate failed: Authentication failure", `FATAL 28000 PAM authentication failed for user "alice"`, matched17("1", "hostssl all all all pam pamservice=other"))),
			"refused at auth, password, channel tls, method pam, hba:1, trace connect sslaccept authfail", nil},
		{"ldap says no", testCell(17, "libpq17", withHBA("host all all all ldap ldapserver=x\n")), evidenceOf(saidNo(failedAt+"FATAL:  LDAP authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG LDAP login failed for user "cn=alice" on server "x": Invalid credentials`, `FATAL 28000 LDAP authentication failed for user "alice"`, matched17("1", "host all all all ldap ldapserver=x"))),
			"refused at auth, password, channel tls, method ldap, hba:1, trace connect sslaccept authfail", nil},
		{"ldap does not answer", testCell(13, "libpq13", withHBA("host all all all ldap ldapserver=127.0.0.1 ldapbasedn=dc=x\n")), evidenceOf(saidNo("FATAL:  LDAP authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, `LOG could not perform initial LDAP bind for ldapbinddn "" on server "127.0.0.1": Can't contact LDAP server`, `FATAL 28000 LDAP authentication failed for user "alice"`,
				`DETAIL Connection matched pg_hba.conf line 1: "host all all all ldap ldapserver=127.0.0.1 ldapbasedn=dc=x"`)),
			"refused at auth, no-auth-service, channel tls, method ldap, hba:1, trace connect sslaccept authfail", nil},
		{"radius does not answer", testCell(17, "libpq17", withHBA("host all all all radius radiusservers=x radiussecrets=y\n")), evidenceOf(saidNo(failedAt+"FATAL:  RADIUS authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", "LOG timeout waiting for RADIUS response from x", `FATAL 28000 RADIUS authentication failed for user "alice"`, matched17("1", "host all all all radius radiusservers=x radiussecrets=y"))),
			"refused at auth, no-auth-service, channel tls, method radius, hba:1, trace connect sslaccept authfail", nil},
		{"pam fails, and the log does not say why", testCell(17, "libpq17", withHBA("host all all all pam\n")), evidenceOf(saidNo(failedAt+"FATAL:  PAM authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `FATAL 28000 PAM authentication failed for user "alice"`, matched17("1", "host all all all pam"))),
			"fault: the server's log does not say why", nil},
		{"a service of which the log says what is not known", testCell(17, "libpq17", withHBA("host all all all ldap ldapserver=x\n")), evidenceOf(saidNo(failedAt+"FATAL:  LDAP authentication failed for user \"alice\"\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG could not initialize LDAP: no memory`, `FATAL 28000 LDAP authentication failed for user "alice"`, matched17("1", "host all all all ldap ldapserver=x"))),
			"fault: unrecognised line in the server's log", nil},
		{"no password: password and pam ask alike", testCell(17, "libpq17", withHBA("hostssl all all all pam\nhost all all all password\n")), evidenceOf(saidNo(failedAt+"fe_sendauth: no password supplied\n", "password"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"refused at auth, no-password, channel tls, trace connect sslaccept", []matrix.Field{matrix.FieldMethod, matrix.FieldRule}},
		{"no certificate", testCell(17, "libpq17", withHBA("hostssl all all all cert\n")), evidenceOf(saidNo(failedAt+"FATAL:  connection requires a valid client certificate\n"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", "FATAL 28000 connection requires a valid client certificate")),
			"refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail", nil},
		{"require_auth: let in, and not wanted", lib17, evidenceOf(saidNo(failedAt+"authentication method requirement \"gss\" failed: server did not complete authentication\n", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(lib17, tlsSession))),
			"refused at auth, method-rejected, channel tls, method trust, hba:2, trace connect sslaccept authok", nil},
		{"require_auth and a role that does not exist: both arrive at once, the client stops at the first", lib17, evidenceOf(saidNo(failedAt+"authentication method requirement \"gss\" failed: server did not complete authentication\n", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(lib17, tlsSession), `FATAL 28000 role "alice" does not exist`)),
			"refused at auth, method-rejected, channel tls, method trust, hba:2, trace connect sslaccept authok startfail", nil},
		{"require_auth forbids gss: the client hangs up, the server logs a FATAL nobody is told", lib17, evidenceOf(saidNo(failedAt+"authentication method requirement \"none\" failed: server requested GSSAPI authentication\n", "gss"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", `FATAL 28000 GSSAPI authentication failed for user "alice"`, matched17("1", "host all alice all gss"))),
			"refused at auth, method-rejected, channel tls, method gss, hba:1, trace connect sslaccept authfail", nil},
		{"certificate of another role", testCell(17, "libpq17", withHBA("hostssl all all all cert\n")), evidenceOf(saidNo(failedAt+"FATAL:  certificate authentication failed for user \"alice\"\n"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: identity="CN=bob" method=cert (/srv/pg/pg_hba.conf:1)`, "LOG provided user name (alice) and authenticated user name (bob) do not match",
				`FATAL 28000 certificate authentication failed for user "alice"`, matched17("1", "hostssl all all all cert"))),
			"refused at ident, map-no-match, channel tls, method cert, identity CN=bob, hba:1, trace connect sslaccept authfail", nil},
		{"certificate of another role beside trust", testCell(17, "libpq17", withHBA("hostssl all all all trust clientcert=verify-full\n")), evidenceOf(saidNo(failedAt+"FATAL:  \"trust\" authentication failed for user \"alice\"\n"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", "LOG provided user name (alice) and authenticated user name (bob) do not match", `LOG certificate validation (clientcert=verify-full) failed for user "alice": CN mismatch`,
				`FATAL 28000 "trust" authentication failed for user "alice"`, matched17("1", "hostssl all all all trust clientcert=verify-full"))),
			"refused at auth, cert-name-mismatch, channel tls, method trust, hba:1, trace connect sslaccept authfail", nil},
		{"channel binding over GSS", lib18, evidenceOf(saidNo(failedAt+"channel binding required, but SSL not in use\n", "sasl"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted")),
			"fault: no record of pg_hba.conf has a method that fits", nil},
		{"channel binding over GSS with a record that fits", testCell(18, "libpq18", withHBA("hostgssenc all all all scram-sha-256\n")), evidenceOf(saidNo(failedAt+"channel binding required, but SSL not in use\n", "sasl"),
			seen(5001, 41, overGSS, "LOG GSSENCRequest accepted")),
			"refused at auth, channel-binding, channel gss, method scram-sha-256, hba:1, trace connect gssaccept", nil},
		{"no hash to bind to", testCell(17, "libpq17", withHBA("host all all all scram-sha-256\n")), evidenceOf(saidNo(failedAt+"could not find digest for NID UNDEF\n", "sasl", "sasl-continue"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept", nil},
		{"no hash to bind to, and nothing was asked", testCell(17, "libpq17", withHBA("host all all all scram-sha-256\n")), evidenceOf(saidNo(failedAt+"could not find digest for NID UNDEF\n"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"fault: received no authentication request", nil},
		{"no hash to bind to, pgx: the server takes it for a downgrade", testCell(17, "pgx", withHBA("host all all all scram-sha-256\n")), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): failed SASL auth: FATAL: SCRAM channel binding negotiation error (SQLSTATE 28000)", "sasl"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", "FATAL 28000 SCRAM channel binding negotiation error", "DETAIL The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.")),
			"refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept authfail", nil},
		{"no hash to bind to, channel_binding=require, pgx", testCell(17, "pgx", withHBA("host all all all scram-sha-256\n")), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): failed SASL auth: channel binding required but failed to get server certificate hash: tls-server-end-point channel binding is undefined for certificate signature algorithm Ed25519", "sasl"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")),
			"refused at auth, channel-binding, channel tls, method scram-sha-256, hba:1, trace connect sslaccept", nil},
		{"sslcrl, which pgx sends to the server", pgx17, evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): server error: FATAL: unrecognized configuration parameter \"sslcrl\" (SQLSTATE 42704)", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(pgx17, tlsSession), `FATAL 42704 unrecognized configuration parameter "sslcrl"`)),
			"refused at startup, setting-unknown, channel tls, method trust, hba:2, trace connect sslaccept authok startfail", nil},
		{"another setting that nobody was to send", pgx17, evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): server error: FATAL: unrecognized configuration parameter \"hostaddr\" (SQLSTATE 42704)", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(pgx17, tlsSession), `FATAL 42704 unrecognized configuration parameter "hostaddr"`)),
			"fault: unrecognised error of the server", nil},
		{"sslcrl, and the server had not let it in", pgx17, evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): server error: FATAL: unrecognized configuration parameter \"sslcrl\" (SQLSTATE 42704)"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `FATAL 42704 unrecognized configuration parameter "sslcrl"`)),
			"fault: witnesses contradict", nil},
		{"peer", testCell(17, "libpq17", overUnix, withHBA("local all all peer\n")), evidenceOf(saidNo("connection to server on socket \"/run/pg/.s.PGSQL.5432\" failed: FATAL:  Peer authentication failed for user \"alice\"\n"),
			seen(0, 41, "", `LOG connection authenticated: identity="root" method=peer (/srv/pg/pg_hba.conf:1)`, "LOG provided user name (alice) and authenticated user name (root) do not match",
				`FATAL 28000 Peer authentication failed for user "alice"`, matched17("1", "local all all peer"))),
			"refused at ident, map-no-match, channel plain, method peer, identity root, hba:1, trace connect authfail", nil},
		// stage startup
		{"no such role", lib17, evidenceOf(saidNo(failedAt+"FATAL:  role \"alice\" does not exist\n", "ok"),
			seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request ok; server error-response 28000 role \"alice\" does not exist",
				`LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(lib17, ""), `FATAL 28000 role "alice" does not exist`)),
			"refused at startup, role-missing, channel plain, method trust, hba:2, trace connect authok startfail", nil},
		{"no such database", testCell(15, "libpq15"), evidenceOf(saidNo(failedAt+"FATAL:  database \"postgres\" does not exist\n", "ok"),
			seen(5001, 41, overTLS, authorizedLine(testCell(15, "libpq15"), tlsSession), `FATAL 3D000 database "postgres" does not exist`)),
			"refused at startup, database-missing, channel tls, method trust, hba:2, trace connect sslaccept authok startfail", nil},
		{"starting up", lib17, evidenceOf(saidNo(failedAt+"FATAL:  the database system is starting up\n"),
			seen(5001, 41, refusing+"57P03 the database system is starting up", `FATAL 57P03 the database system is starting up`)),
			"refused at startup, server-starting, channel plain, trace connect authfail", nil},
		{"too many clients, before any record is looked at", lib17, evidenceOf(saidNo(failedAt+"FATAL:  sorry, too many clients already\n"),
			seen(5001, 41, refusing+"53300 sorry, too many clients already", `FATAL 53300 sorry, too many clients already`)),
			"refused at startup, too-many-clients, channel plain, trace connect authfail", nil},
		// psql and pgx say the same in other words
		{"psql", testCell(17, "psql17"), evidenceOf(saidNo("psql: error: "+failedAt+"FATAL:  "+noEntry("no encryption")+"\n"),
			seen(5001, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect authfail", nil},
		{"pgx", testCell(17, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`:\n\t127.0.0.1:40001 (pg.example.test): server error: FATAL: "+noEntry("SSL encryption")+" (SQLSTATE 28000)\n\t127.0.0.1:40001 (pg.example.test): server error: FATAL: "+noEntry("no encryption")+" (SQLSTATE 28000)"),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", "FATAL 28000 "+noEntry("SSL encryption")),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want, tt.unseen...) })
	}
}

// TestAgain: what was saved is classified as before, and a fault of the harness stays.
func TestAgain(t *testing.T) {
	cell := testCell(17, "libpq17")
	good := named(evidenceOf(saidNo("GSSAPI encryption required but no credential cache\n")), cell)
	bad := named(evidenceOf(saidNo("the moon is full\n")), cell)
	saved := func(e matrix.Evidence, change func(*matrix.Observation)) matrix.Observation {
		data, err := json.Marshal(Classify(cell, e))
		if err != nil {
			t.Fatal(err)
		}
		var o matrix.Observation
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		return o
	}
	for name, tt := range map[string]struct {
		saved matrix.Observation
		fault string
	}{
		"an outcome": {saved(good, func(*matrix.Observation) {}), ""},
		"a fault that is none for a newer classifier": {saved(bad, func(o *matrix.Observation) { o.Evidence = good }), ""},
		"a fault that still is one":                   {saved(bad, func(*matrix.Observation) {}), "unrecognised message of the client: \"the moon is full\""},
		"a fault of the harness":                      {saved(good, func(o *matrix.Observation) { o.Fault = "the Env is not to be trusted" }), "the Env is not to be trusted"},
		"a fault of the harness on top":               {saved(bad, func(o *matrix.Observation) { o.Fault = "the Env is not to be trusted"; o.Evidence = good }), "the Env is not to be trusted"},
	} {
		if got := Again(cell, tt.saved); got.Fault != tt.fault || got.Fault == "" && got.Outcome.String() != "refused at credentials, no-ticket" {
			t.Errorf("%s: %s, fault %q, want %q", name, got.Outcome, got.Fault, tt.fault)
		}
	}
}

// What gssenc says, as it was said of real servers.
func TestGssenc(t *testing.T) {
	cell := testCell(17, "pgx", func(c *matrix.Cell) { c.Client.GSSEncMode = "require" })
	attacked := func(attack matrix.Attack) *matrix.Cell {
		return testCell(15, "pgx", func(c *matrix.Cell) { c.Client.GSSEncMode, c.Client.Attack = "require", attack })
	}
	says := func(text string) matrix.ClientEvidence {
		return saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1%gssenc=pg.example.test:40001 (pg.example.test): " + text)
	}
	const (
		agreed   = "client gssencrequest; server answer G"
		expired  = "dial error: gssenc: ticket: ticket expired: that of alice@EXAMPLE.TEST, on 2026-11-24T03:00:00Z; kinit gets a new one"
		none     = "dial error: gssenc: token: none came: EOF: the server hung up; its log says why (keytab, clock, principal)"
		noCCache = "dial error: gssenc: credentials: stat /dev/shm/pgauthmatrix-1/2/no-ccache: no such file or directory"
		binding  = "dial error: gssenc: request: channel binding required, but SSL not in use: the server agreed to GSS encryption, which has none; gssencmode=disable would use TLS"
		answered = "the peer answered with an error message; it is unauthenticated and not shown, the server's log may tell more"
		early    = "dial error: gssenc: token: received unencrypted data after the answer to GSSENCRequest: no token was due"
		notTaken = "LOG could not accept GSSAPI security context"
		noKey    = "DETAIL No credentials were supplied, or the credentials were unavailable or inaccessible: Key table file '/none' not found"
		request  = "LOG GSSENCRequest accepted"
	)
	session := connectedClient(41, "ok")
	session.GSSInUse, session.Session.GSSEncrypted = true, true
	silent := connectedClient(41, "ok")
	silent.Session.GSSEncrypted = true
	asked := func(earlier int) matrix.ClientEvidence {
		c := connectedClient(41, "sasl", "ok")
		c.AuthEarlier, c.SSLInUse, c.Session.SSL, c.Session.SSLVersion = earlier, true, true, "TLSv1.3"
		return c
	}
	trusted := seen(5001, 41, overGSS, request, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`,
		authorizedLine(cell, " GSS (authenticated=no, encrypted=yes, delegated_credentials=no)"))
	for _, tt := range []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		want string
	}{
		{"a session", cell, evidenceOf(session, trusted), "connected gss, method trust, role alice, hba:2, trace connect gssaccept authok"},
		{"a session, and the connection is no *gssenc.Conn", cell, evidenceOf(silent, trusted), "fault: the client says that its channel is plain"},
		{"no ticket", cell, evidenceOf(says(noCCache)), "refused at credentials, no-ticket"},
		{"no ticket, and a connection", cell, evidenceOf(says(noCCache), seen(5001, 41, "client close")), "fault: and opened a connection"},
		{"a unix socket", testCell(17, "pgx", overUnix), evidenceOf(saidNo("gssenc: configuration: gssencmode=require, but host /pgam/sock is a unix-domain socket, which GSS encryption does not support")),
			"refused at options, gss-on-unix-socket"},
		{"ticket expired", cell, evidenceOf(says(expired), seen(5001, 41, agreed+"; client close", request)), "refused at gssenc, ticket-expired, trace connect gssaccept"},
		{"ticket expired, and N", cell, evidenceOf(says(expired), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")), "fault: no gssaccept"},
		{"ticket expired, and the server had a token", cell, evidenceOf(says(expired), seen(5001, 41, agreed+"; client close", request, notTaken, noKey)), "fault: the server had its token"},
		{"ticket expired, and sealed packets", cell, evidenceOf(says(expired), seen(5001, 41, overGSS, request)), "fault: the wire shows"},
		{"a service that the KDC does not know", cell, evidenceOf(says(`dial error: gssenc: ticket: POSTGRES/pg.example.test@EXAMPLE.TEST: KDC refuses (unauthenticated): (7) KDC_ERR_S_PRINCIPAL_UNKNOWN Server not found in Kerberos database ("LOOKING_UP_SERVER")`),
			seen(5001, 41, agreed+"; client close", request)), "refused at gssenc, spn-unknown, trace connect gssaccept"},
		{"another reason why there is no ticket", cell, evidenceOf(says("dial error: gssenc: ticket: the moon is full"), seen(5001, 41, agreed+"; client close", request)), "fault: unrecognised reason"},
		{"no keytab", cell, evidenceOf(says(none), seen(5001, 41, agreed+"; client gss-token 768 ap-req; server close", request, notTaken, noKey)), "refused at gssenc, keytab-missing, trace connect gssaccept"},
		{"the server hung up, and its log does not say why", cell, evidenceOf(says(none), seen(5001, 41, agreed+"; client gss-token 768 ap-req; server close", request)), "fault: nobody says why"},
		{"channel binding", cell, evidenceOf(says(binding), seen(5001, 41, agreed+"; client close", request)), "refused at gssenc, channel-binding, trace connect gssaccept"},
		{"channel binding, and N", cell, evidenceOf(says(binding), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")), "fault: the wire shows"},
		{"an error of gssenc that nobody knows", cell, evidenceOf(says("dial error: gssenc: answer: the AP-REP answers another request: a replay, or a broken acceptor"),
			seen(5001, 41, agreed+"; client gss-token 768 ap-req; server gss-token 156 ap-rep; client close", request)), "fault: unrecognised message"},
		{"N", attacked("strip"), evidenceOf(says("dial error: gssenc: request: the server does not offer GSS encryption"),
			seen(5001, 41, "client gssencrequest; attacker answered N to gssencrequest; server answer N; client close")), "refused at gssenc, gss-refused, trace connect gssreject, obtains nothing"},
		{"N, and the wire shows G", cell, evidenceOf(says("dial error: gssenc: request: the server does not offer GSS encryption"), seen(5001, 41, agreed+"; client close", request)), "fault: the wire shows"},
		{"an error for an answer", attacked("error"), evidenceOf(says("dial error: gssenc: request: "+answered),
			seen(5001, 41, "client gssencrequest; attacker answered an error to gssencrequest; client close")), "refused at gssenc, answer-error, trace connect gsserror, obtains nothing"},
		{"an error for a token, and none was due", cell, evidenceOf(says("dial error: gssenc: token: "+answered), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")), "fault: the wire shows"},
		{"bytes after G, and no G", cell, evidenceOf(says(early), seen(5001, 41, "client gssencrequest; server answer N; client close", "LOG GSSENCRequest rejected")), "fault: the wire shows"},
		{"asked for a password inside GSS, which it does not want; then trust inside TLS, on 13", testCell(13, "pgx"), evidenceOf(asked(1), seen(5000, 40, overGSS), seen(5001, 41, overTLS, authorizedLine(cell, tlsSession))),
			"connected tls, method trust, role alice, hba:2, trace connect gssaccept reconnect sslaccept authok"},
		{"and a client that says it was asked last", testCell(15, "pgx"), evidenceOf(asked(0), seen(5000, 40, overGSS), seen(5001, 41, overTLS, authorizedLine(cell, tlsSession))),
			"fault: the client received the requests [sasl]"},
		{"require_auth, after AuthenticationOk", testCell(17, "pgx"), evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test%nogssenc): failed to receive message: authentication method requirement \"gss\" failed: server did not complete authentication", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, tlsSession))),
			"refused at auth, method-rejected, channel tls, method trust, hba:2, trace connect sslaccept authok"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want) })
	}
}

// TestAnswers: the answer is the session's own, and where another witness knows it, it is the same.
func TestAnswers(t *testing.T) {
	asks := func(what string) func(*matrix.Cell) { return func(c *matrix.Cell) { c.Client.Asks = what } }
	session := func(cell *matrix.Cell, answer, systemUser, gss string) matrix.Evidence {
		client := connectedClient(41, "ok")
		client.Session.Answer, client.Session.SystemUser = answer, systemUser
		e := seen(5001, 41, inClear, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, gss))
		return evidenceOf(client, e)
	}
	const trusted = "connected plain, method trust, role alice, hba:2, trace connect authok, answer "
	cell := testCell(18, "libpq17", asks(matrix.AskWrite))
	check(t, cell, session(cell, "42501", "", ""), trusted+"42501")
	check(t, cell, session(cell, "", "", ""), "fault: the session was asked for")
	cell = testCell(18, "libpq17")
	check(t, cell, session(cell, "ok", "", ""), "fault: the session was asked for")
	cell = testCell(18, "libpq17", asks(matrix.AskSystemUser))
	check(t, cell, session(cell, "null", "", ""), trusted+"null")
	check(t, cell, session(cell, "gss:alice@EXAMPLE.TEST", "", ""), "fault: elsewhere it is")
	cell = testCell(18, "libpq17", asks(matrix.AskDelegated))
	const gss = " GSS (authenticated=no, encrypted=no, delegated_credentials=no)"
	check(t, cell, session(cell, "false", "", gss), trusted+"false")
	check(t, cell, session(cell, "true", "", gss), "fault: elsewhere it is")
}
