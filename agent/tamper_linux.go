package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// impersonator has a certificate for each host that is impersonated, signed by itself.
type impersonator struct {
	mu    sync.Mutex
	certs map[string]*tls.Certificate
}

func (i *impersonator) certificate(host string) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c := i.certs[host]; c != nil {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("the attacker's certificate: %w", err)
	}
	if i.certs == nil {
		i.certs = map[string]*tls.Certificate{}
	}
	i.certs[host] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return i.certs[host], nil
}

// tamper is what the attempt's relay is told to do; nil: nothing.
func (s *server) tamper(p *Prepared) (*wire.Tamper, error) {
	if p.Tamper == nil {
		return nil, nil
	}
	t := &wire.Tamper{Attack: wire.Attack(p.Tamper.Attack), At: p.Tamper.At, From: p.Tamper.From, Delay: time.Duration(p.Tamper.Delay) * time.Millisecond}
	switch t.Attack {
	case wire.ForgeOK, wire.ForgeGSSOK, wire.ForgeAPRep:
		t.Row = p.Tamper.Row
		fallthrough
	case wire.Impersonate:
		for _, o := range p.Options {
			if o.Name == "host" {
				var err error
				if t.Certificate, err = s.impersonator.certificate(o.Value); err != nil {
					return nil, err
				}
			}
		}
	case wire.StuffClient, wire.Inject:
		t.SQL = p.Tamper.SQL
	case wire.StuffServer, wire.Error, wire.ErrorUnterminated:
		t.Text = p.Tamper.Text
	}
	return t, nil
}
