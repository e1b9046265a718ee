package gssenc

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Provider gives pgx's GSS authentication (pg_hba.conf: gss, on a connection that is not under GSS encryption) the
// identity of c: pgconn.RegisterGSSProvider(gssenc.Provider(c, gssenc.InitOptions{})). SPN of the options is not used: pgconn
// says whom it talks to. PostgreSQL takes the Kerberos token itself, and SPNEGO's.
//
// A registration holds for the whole process, and pgconn tells a provider nothing but the service principal. Where several
// identities live in one process, see ProviderFor. GSS encryption has no such limit: Options.Credentials are those of one
// configuration, and a session under GSS encryption is not asked to authenticate by gss again.
func Provider(c *Credentials, o InitOptions) pgconn.NewGSSFunc {
	return ProviderFor(func(string) (*Credentials, InitOptions, error) { return c, o, nil })
}

// ProviderFor is Provider for several identities: choose gives that for a service principal (service/host, or krbspn
// as it was given). Connections to one server that want different identities can be told apart by krbspn, e.g. with and
// without @REALM. pgconn names the first of several hosts, also when it talks to another; krbspn overrides it.
func ProviderFor(choose func(spn string) (*Credentials, InitOptions, error)) pgconn.NewGSSFunc {
	return func() (pgconn.GSS, error) { return &GSS{choose: choose}, nil }
}

// GSS is one authentication by method gss, as the providers of pgx (pgconn.GSS) and lib/pq (pq.GSS) have it. It is for one goroutine.
type GSS struct {
	choose    func(spn string) (*Credentials, InitOptions, error)
	initiator *Initiator
}

// NewGSS is for lib/pq: pq.RegisterGSSProvider(func() (pq.GSS, error) { return gssenc.NewGSS(c, gssenc.InitOptions{}), nil }).
func NewGSS(c *Credentials, o InitOptions) *GSS {
	return &GSS{choose: func(string) (*Credentials, InitOptions, error) { return c, o, nil }}
}

// GetInitToken returns the first token for a service on a host, whose canonical name krb5.conf may ask for.
func (p *GSS) GetInitToken(host, service string) ([]byte, error) {
	return p.begin(service+"/"+strings.ToLower(strings.TrimSuffix(host, ".")), func(c *Credentials, o InitOptions) (*Initiator, error) {
		return c.initiateHost(context.Background(), service, host, o) // the drivers hand over no context
	})
}

// GetInitTokenFromSPN returns the first token for a service principal.
func (p *GSS) GetInitTokenFromSPN(spn string) ([]byte, error) {
	return p.begin(spn, func(c *Credentials, o InitOptions) (*Initiator, error) {
		return c.Initiate(context.Background(), o)
	})
}

// GetInitTokenFromSpn is lib/pq's spelling.
func (p *GSS) GetInitTokenFromSpn(spn string) ([]byte, error) { return p.GetInitTokenFromSPN(spn) }

func (p *GSS) begin(spn string, initiate func(*Credentials, InitOptions) (*Initiator, error)) ([]byte, error) {
	c, o, err := p.choose(spn)
	if err != nil {
		return nil, at(StageCredentials, err)
	}
	o.SPN = spn
	if p.initiator, err = initiate(c, o); err != nil {
		return nil, err
	}
	token, _, err := p.initiator.Step(nil)
	return token, err
}

// Continue takes the server's token.
func (p *GSS) Continue(in []byte) (done bool, out []byte, err error) {
	if p.initiator == nil {
		return false, nil, failf(StageContext, "Continue before GetInitToken")
	}
	out, done, err = p.initiator.Step(in)
	return done, out, err
}
