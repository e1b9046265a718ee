package oracle

import "testing"

// TestSSLCertFile: what SSL_CERT_FILE makes of the roots of a client's system.
func TestSSLCertFile(t *testing.T) {
	const (
		ok        = "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok\n"
		untrusted = "refused at tls, server-cert-untrusted, trace connect sslaccept\n"
	)
	checkRows(t, "gssencmode=disable sslmode=verify-full root=system servercert=system-ca", `
ssl_cert_file=right => `+ok+`
ssl_cert_file=other => `+untrusted+`
ssl_cert_file=missing => `+untrusted+`
ssl_cert_file=other servercert=other-ca => `+ok+`
ssl_cert_file=missing servercert=other-ca => `+untrusted+`
ssl_cert_file=missing library=pgx => `+untrusted+`
ssl_cert_file=other servercert=other-ca library=pq root=none => `+ok+`
ssl_cert_file=missing library=libpq15 => refused at tls, root-missing, trace connect sslaccept
ssl_cert_file=missing root=none sslmode=require => `+ok+`
ssl_cert_file=missing root=right servercert=good => `+ok+`
`)
}
