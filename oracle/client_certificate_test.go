package oracle

import (
	"reflect"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// usual is a certificate without a fault, for servers and clients, with changes.
func usual(name string, change func(*matrix.Certificate)) matrix.Certificate {
	c := matrix.Certificate{Name: name, Subject: []matrix.Attribute{{Type: "CN", Value: "alice"}}, DNS: []string{"{host}"}, Issuer: "right", Key: matrix.ECDSA, Validity: matrix.Valid, Usage: matrix.ForBoth, Version: 3}
	change(&c)
	return c
}

// ownCertificates are those of the cells of these tests.
var ownCertificates = []matrix.Certificate{
	usual("usual", func(*matrix.Certificate) {}),
	usual("with-address", func(c *matrix.Certificate) { c.DNS, c.IP = nil, []string{"127.0.0.1"} }),
	usual("address-in-subject", func(c *matrix.Certificate) {
		c.DNS, c.Subject = nil, []matrix.Attribute{{Type: "CN", Value: "127.0.0.1"}}
	}),
	usual("two-names", func(c *matrix.Certificate) {
		c.Subject = []matrix.Attribute{{Type: "CN", Value: "alice"}, {Type: "CN", Value: "bob"}}
	}),
	usual("top-level", func(c *matrix.Certificate) { c.DNS = []string{"*.test"} }),
	usual("wildcard", func(c *matrix.Certificate) { c.DNS = []string{"other.test", "*.example.test"} }),
	usual("chain", func(c *matrix.Certificate) { c.Issuer, c.Chain = "intermediate", true }),
	usual("alone", func(c *matrix.Certificate) { c.Issuer = "intermediate" }),
	usual("for-clients", func(c *matrix.Certificate) { c.Usage = matrix.ForClients }),
	usual("not-yet", func(c *matrix.Certificate) { c.Validity = matrix.NotYetValid }),
	usual("escapes", func(c *matrix.Certificate) {
		c.Subject = []matrix.Attribute{{Type: "O", Value: ` a,b+"c"\<d>;=# `}, {Type: "OU", Value: "#é"}, {Type: "CN", Value: "alice"}}
	}),
	usual("of-system", func(c *matrix.Certificate) { c.Issuer, c.Usage = "system", matrix.ForServers }),
}

const (
	certTLS12 = "gssencmode=disable hba='hostssl all all all cert; hostnossl all all all trust' setting=ssl_max_protocol_version=TLSv1.2 sslmode=prefer "
	certTLS13 = "gssencmode=disable hba='hostssl all all all cert; hostnossl all all all trust' sslmode=prefer "
)

// TestClientCertificateInTLS12: the server's refusal is a handshake that fails.
func TestClientCertificateInTLS12(t *testing.T) {
	const inClear = "connected plain, method trust, role alice, hba:2, trace connect sslaccept reconnect authok\n"
	checkRows(t, certTLS12, `
cert=good => connected tls, method cert, identity CN=alice, role alice, hba:1, trace connect sslaccept authok
cert=expired => `+inClear+`
cert=expired library=libpq13 => `+inClear+`
cert=expired library=pgx => `+inClear+`
cert=expired sslmode=require => refused at tls, cert-expired, trace connect sslaccept
cert=other-ca => `+inClear+`
cert=other-ca library=pgx => connected plain, method trust, role alice, hba:2, trace connect sslaccept authfail reconnect authok
cert=other-ca library=pgx sslmode=require => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
// lib/pq falls back where it verifies the server's certificate before it writes; asyncpg only after an error of the server
cert=expired library=pq => `+inClear+`
cert=expired library=pq root=none => refused at tls, cert-expired, trace connect sslaccept
cert=expired library=asyncpg0.31 => refused at tls, cert-expired, trace connect sslaccept
cert=expired library=asyncpg0.31 hosts=twice => refused at tls, cert-expired, trace connect sslaccept reconnect sslaccept
// the server's certificate comes first, a name that the client compares itself last
cert=expired root=other sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept
cert=expired servercert=wrong-name sslmode=verify-full => refused at tls, cert-expired, trace connect sslaccept
cert=expired servercert=wrong-name sslmode=verify-full library=pgx => refused at tls, server-cert-name, trace connect sslaccept
cert=expired sslmode=disable => connected plain, method trust, role alice, hba:2, trace connect authok
cert=expired ssl=off => connected plain, method trust, role alice, hba:2, trace connect sslreject authok
`)
}

// TestOldTLS: no client takes a version of TLS before 1.2.
func TestOldTLS(t *testing.T) {
	checkRows(t, "gssencmode=disable hba='host all all all trust' sslmode=require ", `
setting=ssl_max_protocol_version=TLSv1.1 setting=ssl_min_protocol_version=TLSv1 => refused at tls, tls-handshake, trace connect sslaccept
setting=ssl_max_protocol_version=TLSv1.1 setting=ssl_min_protocol_version=TLSv1 sslmode=prefer => connected plain, method trust, role alice, hba:1, trace connect sslaccept reconnect authok
setting=ssl_max_protocol_version=TLSv1.2 setting=ssl_min_protocol_version=TLSv1 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
setting=ssl_min_protocol_version=TLSv1.3 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
`)
}

// TestClientCertificateInTLS13: the server's alert comes after the client's handshake.
func TestClientCertificateInTLS13(t *testing.T) {
	checkRows(t, certTLS13, `
cert=expired => refused at tls, cert-expired, trace connect sslaccept
cert=expired setting=ssl_max_protocol_version=TLSv1.3 => refused at tls, cert-expired, trace connect sslaccept
cert=expired library=libpq13 => refused at tls, cert-expired, trace connect sslaccept
cert=expired library=pq root=none => refused at tls, cert-expired, trace connect sslaccept
cert=expired library=pgx => connected plain, method trust, role alice, hba:2, trace connect sslaccept reconnect authok
cert=expired library=asyncpg0.31 => connected plain, method trust, role alice, hba:2, trace connect sslaccept reconnect authok
cert=expired library=asyncpg0.31 sslmode=require => refused at tls, cert-expired, trace connect sslaccept
cert=expired sslmode=require hosts=twice => refused at tls, cert-expired, trace connect sslaccept
cert=expired servercert=wrong-name sslmode=verify-full => refused at tls, server-cert-name, trace connect sslaccept
cert=expired sslmode=require sslnegotiation=direct => refused at tls, cert-expired, trace connect directaccept
cert=expired sslmode=require attack=listen => refused at tls, cert-expired, trace connect sslaccept, obtains nothing
cert=expired sslmode=require root=none attack=impersonate => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail, obtains plaintext
`)
}

// TestFlawsOfClientCertificates: the server finds each, whatever the records ask for.
func TestFlawsOfClientCertificates(t *testing.T) {
	const trusted = "connected tls, method trust, role alice, hba:1, trace connect sslaccept authok\n"
	checkRows(t, "gssencmode=disable hba='host all all all trust' sslmode=require", `
cert=not-yet-valid => refused at tls, cert-bad, trace connect sslaccept
cert=server-usage => refused at tls, cert-purpose, trace connect sslaccept
cert=any-usage => `+trusted+`
cert=other-user => `+trusted+`
cert=spiffe => `+trusted+`
cert=no-subject => `+trusted+`
cert=version-1 => `+trusted+`
cert=intermediate => `+trusted+`
cert=intermediate-alone => refused at tls, cert-untrusted, trace connect sslaccept
cert=intermediate library=pgx => `+trusted+`
cert=intermediate-alone library=pgx => `+trusted+`
cert=intermediate-alone library=pq => refused at tls, cert-untrusted, trace connect sslaccept
cert=revoked => `+trusted+`
cert=revoked servercrl=right => refused at tls, cert-revoked, trace connect sslaccept
cert=good servercrl=right => `+trusted+`
cert=none servercrl=stale => `+trusted+`
cert=good servercrl=stale => refused at tls, cert-expired, trace connect sslaccept
cert=server-usage servercrl=stale => refused at tls, cert-purpose, trace connect sslaccept
cert=other-ca servercrl=stale => refused at tls, cert-untrusted, trace connect sslaccept
cert=expired servercrl=right => refused at tls, cert-expired, trace connect sslaccept
cert=encipherment => refused at tls, cert-purpose, trace connect sslaccept
cert=self-signed => refused at tls, cert-untrusted, trace connect sslaccept
cert=impostor => refused at tls, cert-untrusted, trace connect sslaccept
cert=impostor servercrl=stale => refused at tls, cert-untrusted, trace connect sslaccept
cert=revoked servercrl=root-only => refused at tls, cert-revoked, trace connect sslaccept
cert=revoked servercrl=directory => refused at tls, cert-revoked, trace connect sslaccept
cert=intermediate servercrl=directory => `+trusted+`
cert=intermediate servercrl=root-only => refused at tls, cert-untrusted, trace connect sslaccept
cert=intermediate-alone serverca=with-intermediate => `+trusted+`
cert=intermediate serverca=intermediate-alone => refused at tls, cert-untrusted, trace connect sslaccept
cert=expired serverca=none => `+trusted+`
// pgx goes by the names of the CAs, others send what they have
cert=impostor library=pgx => refused at tls, cert-untrusted, trace connect sslaccept
cert=self-signed library=pgx => `+trusted+`
cert=good serverca=intermediate-alone library=pgx => `+trusted+`
cert=good serverca=intermediate-alone library=pq => refused at tls, cert-untrusted, trace connect sslaccept
cert=intermediate-alone serverca=with-intermediate library=pgx => `+trusted+`
`)
	checkRows(t, "gssencmode=disable hba='hostssl all all all trust clientcert=verify-ca; host all all all trust'", `
serverca=none cert=good sslmode=require => refused at auth, client-ca-missing, channel tls, method trust, hba:1, trace connect sslaccept authfail
serverca=none cert=none sslmode=prefer => connected plain, method trust, role alice, hba:2, trace connect sslaccept authfail reconnect authok
serverca=none cert=none sslmode=prefer library=asyncpg0.31 => refused at auth, client-ca-missing, channel tls, method trust, hba:1, trace connect sslaccept authfail
`)
}

// TestNamesInClientCertificates: alternative names are no names to PostgreSQL.
func TestNamesInClientCertificates(t *testing.T) {
	checkRows(t, "gssencmode=disable sslmode=require", `
hba='hostssl all all all cert' cert=spiffe => refused at auth, cert-name-mismatch, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert' cert=no-subject server=13 => refused at auth, cert-name-mismatch, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert map=m' ident='m /. alice' cert=spiffe => refused at auth, cert-name-mismatch, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert map=m clientname=DN' ident='m "O=SPIRE,C=US" alice' cert=spiffe => connected tls, method cert, identity "O=SPIRE,C=US", role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert map=m clientname=DN' ident='m /. alice' cert=no-subject => refused at auth, cert-name-mismatch, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert' cert=dn => connected tls, method cert, identity "CN=alice,OU=Data \\+ Analysis,O=Example\\, Inc.,C=DE", role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert' cert=escapes => connected tls, method cert, identity "CN=alice,OU=\\#\\C3\\A9,O=\\ a\\,b\\+\\\"c\\\"\\\\\\<d\\>\\;=#\\ ", role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert' cert=two-names => connected tls, method cert, identity "CN=bob,CN=alice", role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all trust clientcert=verify-full' cert=other-user => refused at auth, cert-name-mismatch, channel tls, method trust, hba:1, trace connect sslaccept authfail
hba='hostssl all all all gss include_realm=0 clientcert=verify-full' cert=spiffe ticket=valid => refused at auth, cert-name-mismatch, channel tls, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect sslaccept authfail
// the SQLSTATE is that of the method: a wrong password is final to pgx
hba='hostssl all all all scram-sha-256 clientcert=verify-full; hostnossl all all all trust' cert=other-user user=scram password=right sslmode=prefer library=pgx => refused at auth, cert-name-mismatch, channel tls, method scram-sha-256, identity scram, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-full; hostnossl all all all trust' cert=other-user sslmode=prefer library=pgx => connected plain, method trust, role alice, hba:2, trace connect sslaccept authfail reconnect authok
`)
}

// TestFlawsOfServerCertificates are those that no certificate of the catalogue has.
func TestFlawsOfServerCertificates(t *testing.T) {
	checkRows(t, "gssencmode=disable", `
servercert=for-clients sslmode=require root=none => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=for-clients sslmode=verify-ca => refused at tls, server-cert-purpose, trace connect sslaccept
servercert=for-clients sslmode=verify-ca library=pgx => refused at tls, server-cert-purpose, trace connect sslaccept
servercert=for-clients sslmode=verify-ca library=pgx root=other => refused at tls, server-cert-untrusted, trace connect sslaccept
servercert=not-yet sslmode=verify-ca => refused at tls, server-cert-bad, trace connect sslaccept
servercert=not-yet sslmode=verify-ca library=pq => refused at tls, server-cert-bad, trace connect sslaccept
servercert=chain sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=alone sslmode=verify-full => refused at tls, server-cert-untrusted, trace connect sslaccept
servercert=wildcard sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
servercert=of-system root=system sslmode=verify-full => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
`)
}

// TestEveryPropertyCounts: a certificate that differs in one property has another prediction somewhere, or the property is one that neither
// PostgreSQL nor a client looks at.
func TestEveryPropertyCounts(t *testing.T) {
	const server, client = "gssencmode=disable sslmode=verify-full servercert=", "gssencmode=disable sslmode=require servercrl=right hba='hostssl all all all cert' cert="
	tests := map[string]struct {
		cell   string // without its last value, which is the certificate; empty: the property makes no difference
		change func(*matrix.Certificate)
	}{
		"Name":     {"", nil}, // it is not in the certificate
		"Doc":      {"", nil},
		"IP":       {"gssencmode=disable sslmode=verify-full hostname=address servercert=", func(c *matrix.Certificate) { c.IP = []string{"127.0.0.1"} }},
		"URI":      {"", nil}, // neither libpq nor PostgreSQL reads them
		"Email":    {"", nil},
		"PSS":      {"", nil}, // OpenSSL and Go verify both
		"Version":  {"", nil}, // version 1 is what the absence of usage and alternative names makes of it
		"Subject":  {client, func(c *matrix.Certificate) { c.Subject = nil }},
		"DNS":      {server, func(c *matrix.Certificate) { c.DNS = []string{"other.test"} }},
		"Issuer":   {client, func(c *matrix.Certificate) { c.Issuer = "other" }},
		"Key":      {"gssencmode=disable sslmode=require user=scram password=right hba='host all all all scram-sha-256' servercert=", func(c *matrix.Certificate) { c.Key = matrix.Ed25519 }},
		"Validity": {client, func(c *matrix.Certificate) { c.Validity = matrix.Expired }},
		"Usage":    {server, func(c *matrix.Certificate) { c.Usage = matrix.ForClients }},
		"KeyUsage": {client, func(c *matrix.Certificate) { c.KeyUsage = matrix.Encipherment }},
		"Revoked":  {client, func(c *matrix.Certificate) { c.Revoked = true }},
		"Chain":    {client, func(c *matrix.Certificate) { c.Issuer, c.Chain = "intermediate", true }},
	}
	for field, test := range tests {
		if _, there := reflect.TypeFor[matrix.Certificate]().FieldByName(field); !there {
			t.Errorf("a certificate has no %s", field)
		}
		if test.cell == "" {
			continue
		}
		before, after := cell(set(test.cell+"usual")), cell(set(test.cell+"changed"))
		if field == "Chain" {
			before = cell(set(test.cell + "alone"))
		}
		after.World.Certificates = append(after.World.Certificates[:len(ownCertificates):len(ownCertificates)], usual("changed", test.change))
		if was, is := predict(t, before).Outcome.String(), predict(t, after).Outcome.String(); was == is {
			t.Errorf("%s makes no difference: %s", field, is)
		}
	}
	if fields := reflect.TypeFor[matrix.Certificate]().NumField(); fields != len(tests) {
		t.Errorf("a certificate has %d properties, this test knows %d", fields, len(tests))
	}
}
