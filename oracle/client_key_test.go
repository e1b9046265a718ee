package oracle

import "testing"

const withKey = "gssencmode=disable hba='host all all all trust' cert=good "

// TestKeyFiles: which key each client reads, and when it finds out that it cannot.
func TestKeyFiles(t *testing.T) {
	const (
		tls      = "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok\n"
		plain    = "connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok\n"
		unusable = "refused at tls, key-unusable, trace connect sslaccept\n"
		options  = "refused at options, bad-options\n"
	)
	checkRows(t, withKey+"sslmode=require", `
key=traditional => `+tls+`
key=der => `+tls+`
key=world-readable => `+unusable+`
key=missing => `+unusable+`
key=other => `+unusable+`
key=encrypted => `+unusable+`
key=encrypted sslpassword=wrong => `+unusable+`
key=encrypted sslpassword=right => `+tls+`
key=encrypted-traditional sslpassword=right => `+tls+`
key=encrypted-legacy sslpassword=right => `+unusable+`
key=encrypted-legacy sslpassword=right library=libpq13 => `+tls+`
key=encrypted-legacy sslpassword=wrong library=libpq13 => `+unusable+`
key=encrypted-legacy sslpassword=right library=pgx => `+options+`
key=encrypted-legacy sslpassword=right library=pq => refused at tls, key-unusable, trace connect
key=encrypted-legacy sslpassword=right library=asyncpg0.31 => `+options+`
key=encrypted sslpassword=right library=asyncpg0.31 => `+tls+`
key=encrypted sslpassword=wrong library=asyncpg0.31 => `+options+`
key=encrypted-traditional sslpassword=right library=asyncpg0.27 => `+tls+`
key=missing sslmode=prefer => `+plain+`
key=missing sslmode=prefer library=libpq13 => `+plain+`
key=missing sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
key=missing sslcertmode=disable => `+tls+`
key=missing sslnegotiation=direct => refused at tls, key-unusable, trace connect
key=missing root=missing sslmode=verify-ca => refused at tls, root-missing, trace connect sslaccept
key=world-readable library=pgx => `+tls+`
key=der library=pgx => `+options+`
key=encrypted sslpassword=right library=pgx => `+options+`
key=encrypted-traditional sslpassword=right library=pgx => `+tls+`
key=encrypted-traditional sslpassword=wrong library=pgx => `+options+`
key=other sslmode=prefer library=pgx => `+options+`
key=other sslmode=disable library=pgx => connected plain, method trust, role alice, hba:1, trace connect authok
key=other sslcertmode=disable library=pgx => `+tls+`
key=encrypted sslpassword=none library=pq => refused at tls, key-unusable, trace connect
key=missing root=missing sslmode=verify-ca library=pq => refused at tls, key-unusable, trace connect
key=world-readable sslmode=prefer library=pq => connected plain, method trust, role alice, hba:1, trace connect reconnect authok
key=good sslpassword=right library=pq => refused at startup, setting-unknown, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
key=world-readable library=asyncpg0.31 => `+tls+`
key=der library=asyncpg0.31 => `+options+`
key=missing sslmode=allow library=asyncpg0.31 => `+options+`
`)
}

// TestCertMode: sslcertmode of the clients that have it.
func TestCertMode(t *testing.T) {
	const (
		tls   = "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok\n"
		unmet = "refused at auth, cert-mode, channel tls, method trust, hba:1, trace connect sslaccept authok\n"
	)
	checkRows(t, withKey+"sslmode=require", `
sslcertmode=require => `+tls+`
sslcertmode=require cert=none => `+unmet+`
sslcertmode=require serverca=none => `+unmet+`
sslcertmode=require serverca=none library=pgx => `+unmet+`
sslcertmode=require cert=none sslmode=prefer library=pgx => `+unmet+`
sslcertmode=require sslmode=disable => refused at auth, cert-mode, channel plain, method trust, hba:1, trace connect authok
sslcertmode=disable cert=expired => `+tls+`
sslcertmode=disable cert=expired library=pgx => `+tls+`
sslcertmode=disable cert=expired library=pq => refused at tls, cert-expired, trace connect sslaccept
sslcertmode=disable library=pq => refused at startup, setting-unknown, channel tls, method trust, hba:1, trace connect sslaccept authok startfail
hba='hostssl all all all cert' sslcertmode=disable => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
`)
}

// TestNamesOfTheServer: how a client names the server, and which names of a certificate it compares that with.
func TestNamesOfTheServer(t *testing.T) {
	const (
		ok    = "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok\n"
		wrong = "refused at tls, server-cert-name, trace connect sslaccept\n"
	)
	certificates := "gssencmode=disable hba='host all all all trust' sslmode=verify-full "
	checkRows(t, certificates, `
hostname=upper-case => `+ok+`
hostname=upper-case library=pgx => `+ok+`
hostname=localhost => `+wrong+`
hostname=address => `+wrong+`
hostname=address sslmode=verify-ca => `+ok+`
hostname=address servercert=with-address => `+ok+`
hostname=address servercert=with-address library=libpq13 => `+wrong+`
hostname=address servercert=with-address library=pq => `+ok+`
hostname=address servercert=with-address library=asyncpg0.31 => `+ok+`
hostname=name servercert=with-address => `+wrong+`
hostname=address servercert=address-in-subject => `+ok+`
hostname=address servercert=address-in-subject library=libpq13 => `+ok+`
hostname=address servercert=address-in-subject library=pgx => `+wrong+`
hostname=address servercert=address-in-subject library=asyncpg0.31 => `+wrong+`
`)
}
