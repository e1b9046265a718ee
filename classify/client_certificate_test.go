package classify

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestClientCertificate: the server refuses the client's certificate. The alert tells the client why, and since 16 the log does, too.
func TestClientCertificate(t *testing.T) {
	for _, c := range []struct {
		alert, goText, detail string
		reason                matrix.Reason
	}{
		{"tlsv1 alert unknown ca", "unknown certificate authority", "unable to get local issuer certificate", matrix.CertUntrusted},
		{"tlsv1 alert unknown ca", "unknown certificate authority", "unable to get certificate CRL", matrix.CertUntrusted},
		{"sslv3 alert certificate expired", "expired certificate", "certificate has expired", matrix.CertExpired},
		{"ssl/tls alert certificate expired", "expired certificate", "CRL has expired", matrix.CertExpired},
		{"ssl/tls alert certificate revoked", "revoked certificate", "certificate revoked", matrix.CertRevoked},
		{"ssl/tls alert unsupported certificate", "unsupported certificate", "unsuitable certificate purpose", matrix.CertPurpose},
		{"sslv3 alert unsupported certificate", "unsupported certificate", "unsupported certificate purpose", matrix.CertPurpose},
		{"ssl/tls alert bad certificate", "bad certificate", "certificate is not yet valid or the system clock is incorrect", matrix.CertBad},
		{"sslv3 alert bad certificate", "bad certificate", "certificate is not yet valid", matrix.CertBad},
	} {
		want := "refused at tls, " + string(c.reason) + ", trace connect sslaccept"
		log := []string{"LOG could not accept SSL connection: certificate verify failed"}
		detailed := append([]string{"LOG SSLRequest accepted"}, append(log, "DETAIL Client certificate verification failed at depth 0: "+c.detail+".\nFailed certificate data (unverified): subject \"/CN=a\", serial number 1, issuer \"/CN=b\".")...)
		const asyncLost = "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation\ncaused by ssl.SSLError: [SSL: "
		for library, message := range map[string]string{
			"libpq17":     failedAt + "SSL error: " + c.alert + "\n",
			"pgx":         "failed to connect to `user=alice database=postgres`: 127.0.0.1:1 (h): failed to receive message: remote error: tls: " + c.goText,
			"pq":          "remote error: tls: " + c.goText,
			"asyncpg0.31": asyncLost + "SSLV3_ALERT_CERTIFICATE] " + c.alert + " (_ssl.c:2580)",
		} {
			check(t, testCell(15, library), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", log...)), want)
			check(t, testCell(18, library), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", detailed...)), want)
			// Since 16 the log must say what the alert says.
			for _, other := range []string{"certificate revoked", "unsuitable certificate purpose"} {
				if found, _ := lookUp(clientCertCauses, other); found.reason == c.reason {
					continue
				}
				lie := append([]string{}, detailed[:2]...)
				lie = append(lie, strings.Replace(detailed[2], c.detail, other, 1))
				check(t, testCell(18, library), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", lie...)), "fault: witnesses contradict")
			}
			check(t, testCell(18, library), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", detailed[:2]...)), "fault: unrecognised reason why the server refused the client's certificate")
			check(t, testCell(15, library), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", "LOG could not accept SSL connection: EOF detected")), "fault: witnesses contradict")
		}
	}
}

// TestNoCommonVersion: the server takes no version of TLS that the client offers, and answers the ClientHello with an alert.
func TestNoCommonVersion(t *testing.T) {
	message := failedAt + "SSL error: tlsv1 alert protocol version\nThis may indicate that the server does not support any SSL protocol version between TLSv1.2 and TLSv1.3.\n"
	const wire = "client sslrequest; server answer S; client client-hello max=TLSv1.3; server tls-alert protocol_version; client close"
	check(t, testCell(15, "libpq17"), evidenceOf(saidNo(message), seen(5001, 41, wire, "LOG could not accept SSL connection: unsupported protocol", "HINT This may indicate that the client does not support any SSL protocol version between TLSv1 and TLSv1.1.")),
		"refused at tls, tls-handshake, trace connect sslaccept")
	check(t, testCell(15, "libpq17"), evidenceOf(saidNo(message), seen(5001, 41, wire, "LOG could not accept SSL connection: EOF detected")), "fault: nobody says why")
}

// TestLostAlert: a client that the reset reached before the alert knows no reason. The log of 16 and later does.
func TestLostAlert(t *testing.T) {
	message := failedAt + "server closed the connection unexpectedly\n"
	verify := "LOG could not accept SSL connection: certificate verify failed"
	check(t, testCell(18, "libpq17"), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", "LOG SSLRequest accepted", verify, "DETAIL Client certificate verification failed at depth 0: certificate revoked.")),
		"refused at tls, cert-revoked, trace connect sslaccept")
	check(t, testCell(15, "libpq17"), evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; server reset", verify)),
		"fault: the server refused the client's certificate, and neither of the two tells why")
}

// TestForgedClientCertificate: the CA that the certificate names has not signed it. The server's first error is then that of the signature, and alone
// it says nothing of a certificate.
func TestForgedClientCertificate(t *testing.T) {
	const want, contradict = "refused at tls, cert-untrusted, trace connect sslaccept", "fault: witnesses contradict"
	log := func(server int, first, detail string) matrix.ConnectionEvidence {
		lines := []string{"LOG could not accept SSL connection: " + first}
		if server >= 17 {
			lines = slices.Insert(lines, 0, "LOG SSLRequest accepted")
		}
		if detail != "" {
			lines = append(lines, "DETAIL Client certificate verification failed at depth 0: "+detail+".")
		}
		return seen(5001, 41, overTLS+"; server reset", lines...)
	}
	for library, message := range map[string]string{
		"libpq17":     failedAt + "SSL error: tlsv1 alert decrypt error\n",
		"pgx":         "failed to connect to `user=alice database=postgres`: 127.0.0.1:1 (h): failed to receive message: remote error: tls: error decrypting message",
		"pq":          "remote error: tls: error decrypting message",
		"asyncpg0.31": "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation\ncaused by ssl.SSLError: [SSL: TLSV1_ALERT_DECRYPT_ERROR] tlsv1 alert decrypt error (_ssl.c:2650)",
	} {
		check(t, testCell(15, library), evidenceOf(saidNo(message), log(15, "EVP lib", "")), want)
		check(t, testCell(18, library), evidenceOf(saidNo(message), log(18, "provider signature failure", badSignature)), want)
		check(t, testCell(18, library), evidenceOf(saidNo(message), log(18, "provider signature failure", "")), contradict)
		check(t, testCell(18, library), evidenceOf(saidNo(message), log(18, "provider signature failure", "certificate revoked")), contradict)
		check(t, testCell(15, library), evidenceOf(saidNo(strings.NewReplacer("decrypt error", "unknown ca", "DECRYPT_ERROR", "UNKNOWN_CA", "error decrypting message", "unknown certificate authority").Replace(message)), log(15, "EVP lib", "")), contradict)
	}
	check(t, testCell(18, "libpq17"), evidenceOf(saidNo(failedAt+"server closed the connection unexpectedly\n"), log(18, "EVP lib", badSignature)), want)
}

// TestServerCertificateFlaws: what clients say of a server's certificate that is not valid yet, or not for servers.
func TestServerCertificateFlaws(t *testing.T) {
	left := func(logged string) matrix.ConnectionEvidence {
		return seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: "+logged)
	}
	for _, c := range []struct {
		library, message, logged string
		reason                   matrix.Reason
	}{
		{"libpq18", failedAt + "SSL error: certificate verify failed\n", "ssl/tls alert bad certificate", matrix.ServerCertBad},
		{"libpq18", failedAt + "SSL error: certificate verify failed\n", "ssl/tls alert unsupported certificate", matrix.ServerCertPurpose},
		{"libpq18", failedAt + "could not get server's host name from server certificate\n", "EOF detected", matrix.ServerCertName},
		{"pq", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2025-01-01T00:00:00Z is before 2025-01-02T00:00:00Z", "tlsv1 alert bad certificate", matrix.ServerCertBad},
		{"pq", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2025-01-03T00:00:00Z is after 2025-01-02T00:00:00Z", "tlsv1 alert bad certificate", matrix.ServerCertExpired},
		{"pq", "x509: certificate specifies an incompatible key usage", "tlsv1 alert bad certificate", matrix.ServerCertPurpose},
		{"asyncpg0.31", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid or the system clock is incorrect (_ssl.c:1029)", "EOF detected", matrix.ServerCertBad},
		{"asyncpg0.31", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unsuitable certificate purpose (_ssl.c:1029)", "EOF detected", matrix.ServerCertPurpose},
	} {
		check(t, testCell(18, c.library), evidenceOf(saidNo(c.message), left(c.logged)), "refused at tls, "+string(c.reason)+", trace connect sslaccept")
	}
}

// TestEveryReasonAboutCertificatesIsRead: a reason of the handshake about either side's certificate has an alert, or a message of the client's own.
func TestEveryReasonAboutCertificatesIsRead(t *testing.T) {
	for _, r := range matrix.Reasons {
		if !strings.Contains(string(r.Reason), "cert-") || r.Stages[0] != matrix.StageTLS || r.Reason == matrix.ServerCertName {
			continue
		}
		if !slices.ContainsFunc(alertCauses, func(a struct {
			text         *regexp.Regexp
			server, mine matrix.Reason
		}) bool {
			return a.server == r.Reason || a.mine == r.Reason
		}) {
			t.Errorf("no alert means %s", r.Reason)
		}
		if strings.HasPrefix(string(r.Reason), "cert-") && !slices.ContainsFunc(clientCertCauses, func(c textCause) bool { return c.reason == r.Reason }) {
			t.Errorf("no DETAIL means %s", r.Reason)
		}
	}
}
