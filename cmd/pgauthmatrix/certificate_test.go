package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// certificate makes a certificate in PEM, with a subject and an extended key usage.
func certificate(t *testing.T, name pkix.Name, usage ...x509.ExtKeyUsage) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, ExtKeyUsage: usage}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestReadCertificate(t *testing.T) {
	alice := pkix.Name{CommonName: "alice", Organization: []string{"Example"}}
	for _, test := range []struct {
		usages []x509.ExtKeyUsage
		want   matrix.Usage
	}{
		{nil, matrix.ForAny},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, matrix.ForClients},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, matrix.ForServers},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, matrix.ForBoth},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, matrix.ForAny},
		{[]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, matrix.ForServers}, // at least, it is not for clients
	} {
		c, err := cases.Certificate(certificate(t, alice, test.usages...))
		if err != nil || c.Usage != test.want || c.CommonName() != "alice" || len(c.Subject) != 2 {
			t.Errorf("%v: %v %+v", test.usages, err, c)
		}
	}
	odd := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: "x"}}}
	for want, text := range map[string][]byte{
		"no PEM block CERTIFICATE": []byte("x"),
		"cannot be read":           pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"an attribute 1.2.3 that":  certificate(t, odd),
	} {
		if _, err := cases.Certificate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
