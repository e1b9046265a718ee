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
// without @REALM. pgconn names the first of several hosts, whichever it talks to; krbspn overrides it.
func ProviderFor(choose func(spn string) (*Credentials, InitOptions, error)) pgconn.NewGSSFunc {
	return func() (pgconn.GSS, error) { return &provider{choose: choose}, nil }
}

// provider is one authentication.
type provider struct {
	choose    func(spn string) (*Credentials, InitOptions, error)
	initiator *Initiator
}

func (p *provider) GetInitToken(host, service string) ([]byte, error) {
	return p.GetInitTokenFromSPN(service + "/" + strings.ToLower(strings.TrimSuffix(host, ".")))
}

func (p *provider) GetInitTokenFromSPN(spn string) ([]byte, error) {
	c, o, err := p.choose(spn)
	if err != nil {
		return nil, at(StageCredentials, err)
	}
	o.SPN = spn
	if p.initiator, err = c.Initiate(context.Background(), o); err != nil { // pgconn hands over no context
		return nil, err
	}
	token, _, err := p.initiator.Step(nil)
	return token, err
}

func (p *provider) Continue(in []byte) (done bool, out []byte, err error) {
	if p.initiator == nil {
		return false, nil, failf(StageContext, "Continue before GetInitToken")
	}
	out, done, err = p.initiator.Step(in)
	return done, out, err
}
