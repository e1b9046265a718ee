package cases

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// issue makes a certificate; without an issuer it is a CA, signed by itself.
func issue(t *testing.T, template *x509.Certificate, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = today.Add(-time.Hour), today.Add(time.Hour)
	}
	template.BasicConstraintsValid = true
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificatesOfAFolder(t *testing.T) {
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root, rootKey, rootPEM := issue(t, authority("root"), nil, nil)
	middle, middleKey, middlePEM := issue(t, authority("middle"), root, rootKey)
	leaf := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	}
	old := leaf("bob")
	old.NotBefore, old.NotAfter = today.Add(-48*time.Hour), today.Add(-24*time.Hour)
	server := leaf("db.corp.example")
	server.DNSNames, server.IPAddresses, server.ExtKeyUsage = []string{"db.corp.example"}, []net.IP{net.IPv4(10, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	_, _, alicePEM := issue(t, leaf("alice"), root, rootKey)
	_, _, bobPEM := issue(t, old, middle, middleKey)
	_, _, carolPEM := issue(t, leaf("carol"), middle, middleKey)
	_, _, serverPEM := issue(t, server, root, rootKey)
	_, _, selfPEM := issue(t, leaf("self"), nil, nil)
	m := fstest.MapFS{"pg_hba.conf": {Data: []byte("hostssl all all all cert\n")}}
	for name, text := range map[string]string{"root.crt": rootPEM, "middle.pem": middlePEM, "Alice's.crt": alicePEM, "bob.crt": bobPEM, "carol.crt": carolPEM + middlePEM, "server.crt": serverPEM, "self.pem": selfPEM} {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	c, err := ReadAt(m, today)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, cert := range c.world.Certificates {
		got = append(got, strings.Join([]string{cert.Name, cert.CommonName(), cert.Issuer, string(cert.Validity), string(cert.Usage), strings.Join(append(cert.DNS, cert.IP...), "+"), strconv.FormatBool(cert.Chain)}, " "))
	}
	want := []string{"alice-s alice right valid client  false", "bob bob intermediate expired client  false", "carol carol intermediate valid client  true", "self self self valid client  false",
		"server db.corp.example right valid server db.corp.example+10.0.0.1 false"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	key, err := x509.MarshalECPrivateKey(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	m["alice.pem"] = &fstest.MapFile{Data: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})}
	if _, err := ReadAt(m, today); err == nil || !strings.Contains(err.Error(), "alice.pem: the file has a private key") {
		t.Errorf("a private key: %v", err)
	}
}

const printed = `Certificate:
    Data:
        Version: 3 (0x2)
        Signature Algorithm: sha256WithRSAEncryption
        Issuer: CN = Corp CA
        Validity
            Not Before: Nov  1 00:00:00 2026 GMT
            Not After : Nov 20 00:00:00 2026 GMT
        Subject: O = "Corp, Inc.", OU = People, CN = alice
        Subject Public Key Info:
            Public Key Algorithm: rsaEncryption
        X509v3 extensions:
            X509v3 Extended Key Usage: critical
                TLS Web Server Authentication, TLS Web Client Authentication
            X509v3 Subject Alternative Name:
                DNS:a.corp.example, IP Address:10.0.0.7, email:alice@corp.example, URI:spiffe://corp/alice
            X509v3 Key Usage: critical
                Key Encipherment
`

func TestPrintedCertificate(t *testing.T) {
	c, err := ReadAt(fstest.MapFS{"pg_hba.conf": {Data: []byte("hostssl all all all cert\n")}, "alice.x509.txt": {Data: []byte(printed)}}, today)
	if err != nil {
		t.Fatal(err)
	}
	want := matrix.Certificate{Name: "alice", Subject: []matrix.Attribute{{Type: "O", Value: "Corp, Inc."}, {Type: "OU", Value: "People"}, {Type: "CN", Value: "alice"}}, DNS: []string{"a.corp.example"}, IP: []string{"10.0.0.7"},
		URI: []string{"spiffe://corp/alice"}, Email: []string{"alice@corp.example"}, Issuer: "right", Key: matrix.RSA, Validity: matrix.Expired, Usage: matrix.ForBoth, KeyUsage: matrix.Encipherment, Version: 3}
	if got := c.world.Certificates; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	for _, text := range []string{"junk", strings.Replace(printed, "O = ", "SN = ", 1), strings.Replace(printed, "rsaEncryption", "dsaEncryption", 1)} {
		if cert, err := Certificate([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, cert)
		}
	}
}

func TestKeytab(t *testing.T) {
	c, err := Read(fstest.MapFS{"pg_hba.conf": {Data: []byte("host all all all gss\n")}, "klist-e.txt": {Data: []byte("Ticket cache: FILE:/tmp/krb5cc_0\nDefault principal: alice@CORP.EXAMPLE\n")},
		"klist-ke.txt": {Data: []byte(`Keytab name: FILE:/etc/krb5.keytab
KVNO Principal
---- --------------------------------------------------------------------------
   3 postgres/Db.corp.example@CORP.EXAMPLE (aes256-cts-hmac-sha1-96)
   4 postgres/Db.corp.example@CORP.EXAMPLE (aes256-cts-hmac-sha1-96)
   4 host/db.corp.example@CORP.EXAMPLE (DEPRECATED:arcfour-hmac)
`)}})
	if err != nil {
		t.Fatal(err)
	}
	want := matrix.Keytab{Name: "customers", Principals: []string{"postgres/Db.corp.example", "host/db.corp.example"}, Keys: matrix.AllKeys, Enctypes: []string{"aes256-cts-hmac-sha1-96"}}
	if got := c.world.Keytabs; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v", got)
	}
	if valueIn(c.world, "keytab") != "customers" || c.rest.host != "db.corp.example" || c.Principal != "alice@CORP.EXAMPLE" || len(c.Gaps) != 1 {
		t.Errorf("%s %s %s %v", valueIn(c.world, "keytab"), c.rest.host, c.Principal, c.Gaps)
	}
}
