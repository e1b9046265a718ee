package classify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The messages are those that asyncpg's driver program gave of real attempts.

func TestAsyncpgSayings(t *testing.T) {
	for message, want := range map[string]saying{
		"asyncpg.exceptions.InvalidPasswordError: password authentication failed for user \"alice\"":                                                  {fatal: true, state: "28P01", text: `password authentication failed for user "alice"`},
		"asyncpg.exceptions.InsufficientPrivilegeError: permission denied for database \"template1\"\nDETAIL:  User does not have CONNECT privilege.": {fatal: true, state: "42501", text: `permission denied for database "template1"`},
		// its own, and no error of the server
		"asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation": {text: "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation"},
		"asyncpg.exceptions._base.InterfaceError: x":                                                       {text: "asyncpg.exceptions._base.InterfaceError: x"},
		"TimeoutError\ncaused by asyncio.exceptions.CancelledError":                                        {text: "TimeoutError, caused by asyncio.exceptions.CancelledError"},
		"asyncpg.exceptions.SomeOtherError: x":                                                             {text: "asyncpg.exceptions.SomeOtherError: x"},
	} {
		if diff := cmp.Diff([]saying{want}, asyncpgSayings(message), cmp.AllowUnexported(saying{})); diff != "" {
			t.Errorf("%q: %s", message, diff)
		}
	}
}

func TestAsyncpg(t *testing.T) {
	client := func(change ...func(*matrix.Cell)) *matrix.Cell { return testCell(18, "asyncpg0.30", change...) }
	given := func(sslmode, root, crl string) func(*matrix.Cell) {
		return func(c *matrix.Cell) { c.Client.SSLMode, c.Client.Root, c.Client.CRL = sslmode, root, crl }
	}
	noEntry := func(encryption string) string {
		return `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", ` + encryption
	}
	const (
		openssl35 = "ssl.SSLError: [SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1127)"
		noFile    = "FileNotFoundError: [Errno 2] No such file or directory"
		rejected  = `ConnectionError: PostgreSQL server at "pg.example.test:40001" rejected SSL upgrade`
		lost      = "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation"
		verify    = "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
		own       = "asyncpg.exceptions._base.InternalClientError: unexpected error while performing authentication: "
		specErr   = "asyncpg.exceptions.InvalidAuthorizationSpecificationError: "
	)
	badCert := func(text string) matrix.Evidence {
		return evidenceOf(saidNo(verify+text+" (_ssl.c:1029)"), seen(5001, 40, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: EOF detected"))
	}
	direct := "client direct-tls; client client-hello sni=pg.example.test; server server-hello TLSv1.3; client tls-data; client close; server close"
	flips := func(c *matrix.Cell) { c.Client.Attack = matrix.FlipServer }
	changed := func(message, logged string) matrix.Evidence {
		lines := []string{"LOG SSLRequest accepted"}
		if logged != "" {
			lines = append(lines, "LOG could not accept SSL connection: "+logged)
		}
		return evidenceOf(saidNo(message), seen(5001, 41, "client sslrequest; server answer S; client client-hello sni=pg.example.test; attacker flipped a bit of the first sealed record from the server; server server-hello TLSv1.3; server tls-data; client close", lines...))
	}
	for _, tt := range []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		want string
	}{
		{"a root file that is missing", client(given("require", "missing", "none")), evidenceOf(saidNo(noFile)), "refused at options, bad-options"},
		{"a revocation list that is missing, over a unix socket", client(given("verify-ca", "right", "missing"), overUnix), evidenceOf(saidNo(noFile)), "refused at options, bad-options"},
		{"a file that is not read", client(given("prefer", "missing", "none")), evidenceOf(saidNo(noFile)), "fault: unrecognised message of the client"},
		{"a file that is missing, and a connection", client(given("require", "missing", "none")), evidenceOf(saidNo(noFile), seen(5001, 41, "client close")), "fault: opened a connection"},
		{"a socket that is missing", client(overUnix), evidenceOf(saidNo(noFile)), "refused at dial, dial-refused"},
		{"no root file in the home directory", client(given("verify-ca", "none", "none")), evidenceOf(saidNo("asyncpg.exceptions._base.ClientConfigurationError: root certificate file \"/dev/shm/a/.postgresql/root.crt\" does not exist or cannot be accessed\nHINT:  x")),
			"refused at options, bad-options"},
		{"nothing listens", client(), evidenceOf(saidNo("ConnectionRefusedError: [Errno 111] Connect call failed ('10.9.0.2', 40001)")), "refused at dial, dial-refused"},
		{"N", client(), evidenceOf(saidNo(rejected), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")), "refused at tls, tls-refused, trace connect sslreject"},
		{"S, and TLS is said to be refused", client(), evidenceOf(saidNo(rejected), seen(5001, 41, "client sslrequest; server answer S; client close", "LOG SSLRequest accepted")), "fault: witnesses contradict"},
		{"S, and more bytes", client(func(c *matrix.Cell) { c.Client.Attack = matrix.StuffServer }), evidenceOf(saidNo(rejected),
			seen(5001, 41, "client sslrequest; attacker inserted 64 bytes to the client; server answer S; server stuffed 64; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: unexpected eof while reading")),
			"refused at tls, protocol-violation, trace connect sslaccept, obtains nothing"},
		{"untrusted", client(), badCert("self-signed certificate in certificate chain"), "refused at tls, server-cert-untrusted, trace connect sslaccept"},
		{"another name", client(), badCert("Hostname mismatch, certificate is not valid for 'pg.example.test'."), "refused at tls, server-cert-name, trace connect sslaccept"},
		{"expired", client(), badCert("certificate has expired"), "refused at tls, server-cert-expired, trace connect sslaccept"},
		{"an old list", client(), badCert("CRL has expired"), "refused at tls, server-cert-expired, trace connect sslaccept"},
		{"revoked", client(), badCert("certificate revoked"), "refused at tls, server-cert-revoked, trace connect sslaccept"},
		{"a flaw that is not known", client(), badCert("certificate has a nice day"), "fault: unrecognised message of the client"},
		{"direct TLS without ALPN", client(), evidenceOf(saidNo(lost), seen(5001, 40, direct,
			"LOG received direct SSL connection request without ALPN protocol negotiation extension", "LOG direct SSL connection rejected")), "refused at tls, direct-tls-refused, trace connect directaccept"},
		{"direct TLS, and the server does not say why it closed", client(), evidenceOf(saidNo(lost), seen(5001, 40, direct, "LOG direct SSL connection accepted")), "fault: unrecognised message of the client"},
		{"a changed record of the server's: asyncpg sends no alert", client(flips), changed(openssl35, "unexpected eof while reading"), "refused at tls, integrity-check, trace connect sslaccept, obtains nothing"},
		{"a changed record, of which the client says something else", client(flips), changed(lost, "unexpected eof while reading"), "fault: the relay spoiled the connection"},
		{"a changed record, and the server saw a handshake", client(flips), changed(openssl35, ""), "fault: the relay says that it spoiled the connection"},
		{"a changed record of another client, which would have sent an alert", testCell(18, "libpq18", flips), changed("connection to server at \"127.0.0.1\", port 40001 failed: SSL error: decryption failed or bad record mac", "unexpected eof while reading"),
			"fault: the relay says that it spoiled the connection"},
		{"two attempts, of which it tells the last", client(), evidenceOf(saidNo(specErr+noEntry("no encryption")),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", "FATAL 28000 "+noEntry("SSL encryption")),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect sslaccept authfail reconnect authfail"},
		{"the error of the attempt before", client(), evidenceOf(saidNo(specErr+noEntry("SSL encryption")),
			seen(5001, 40, overTLS, "LOG SSLRequest accepted", "FATAL 28000 "+noEntry("SSL encryption")),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"fault: witnesses contradict"},
		{"the first host refuses TCP, of which it says nothing", client(func(c *matrix.Cell) { c.Client.Hosts = matrix.DeadFirst }), evidenceOf(saidNo(specErr+noEntry("no encryption")),
			seen(5002, 41, refusing+"28000 "+noEntry("no encryption"), "FATAL 28000 "+noEntry("no encryption"))),
			"refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"0.27 and GSSAPI", testCell(18, "asyncpg0.27"), evidenceOf(saidNo(own+"name 'AUTH_METHOD_NAME' is not defined\ncaused by NameError: name 'AUTH_METHOD_NAME' is not defined", "gss"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", `FATAL 28000 GSSAPI authentication failed for user "alice"`, `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line 1: "host all alice all gss"`)),
			"refused at auth, method-unsupported, channel tls, method gss, hba:1, trace connect sslaccept authfail"},
		{"no ticket", client(), evidenceOf(saidNo(own+"Major (458752): No credentials were supplied, or the credentials were unavailable or inaccessible, Minor (2529639053): No Kerberos credentials available (default cache: FILE:/dev/shm/a/no-ccache)\ncaused by gssapi.raw.exceptions.MissingCredentialsError: x", "gss"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", `FATAL 28000 GSSAPI authentication failed for user "alice"`, `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line 1: "host all alice all gss"`)),
			"refused at auth, no-ticket, channel tls, method gss, hba:1, trace connect sslaccept authfail"},
		{"a defect that is not known", client(), evidenceOf(saidNo(own+"name 'x' is not defined", "gss"), seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", `FATAL 28000 GSSAPI authentication failed for user "alice"`)),
			"fault: unrecognised message of the client"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want) })
	}
}
