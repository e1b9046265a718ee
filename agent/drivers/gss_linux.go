package drivers

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// gssProvider is the GSSAPI provider of pgx and of lib/pq over gokrb5: the Kerberos mechanism itself without SPNEGO
// (RFC 4121, section 4.1), from the credential cache KRB5CCNAME and the configuration KRB5_CONFIG. Both wait for an answer
// to their first token, so mutual authentication is asked for; the answer is verified, which gokrb5 leaves to its user.
type gssProvider struct {
	client *client.Client
	sent   types.Authenticator
	key    types.EncryptionKey // of the session with the service
}

func newGSSProvider() (*gssProvider, error) {
	path := os.Getenv("KRB5_CONFIG")
	if path == "" {
		path = "/etc/krb5.conf"
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("kerberos: %w", err)
	}
	name, set := os.LookupEnv("KRB5CCNAME")
	if !set { // where gopgkrb5 and lib/pq's auth/kerberos look, too: gokrb5 does not know default_ccache_name
		name = "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	}
	cache, err := credentials.LoadCCache(strings.TrimPrefix(name, "FILE:"))
	if err != nil {
		return nil, fmt.Errorf("kerberos: no credential cache: %w", err)
	}
	cl, err := client.NewFromCCache(cache, cfg, client.DisablePAFXFAST(true))
	if err != nil {
		return nil, fmt.Errorf("kerberos: %w", err)
	}
	return &gssProvider{client: cl}, nil
}

func (g *gssProvider) GetInitToken(host, service string) ([]byte, error) {
	return g.GetInitTokenFromSPN(service + "/" + host)
}

// GetInitTokenFromSpn is GetInitTokenFromSPN by lib/pq's name.
func (g *gssProvider) GetInitTokenFromSpn(spn string) ([]byte, error) {
	return g.GetInitTokenFromSPN(spn)
}

func (g *gssProvider) GetInitTokenFromSPN(spn string) ([]byte, error) {
	ticket, key, err := g.client.GetServiceTicket(spn)
	if err != nil {
		return nil, fmt.Errorf("kerberos: no ticket for %s: %w", spn, err)
	}
	token, err := spnego.NewKRB5TokenAPREQ(g.client, ticket, key,
		[]int{gssapi.ContextFlagMutual, gssapi.ContextFlagSequence, gssapi.ContextFlagReplay, gssapi.ContextFlagInteg},
		[]int{flags.APOptionMutualRequired})
	if err != nil {
		return nil, fmt.Errorf("kerberos: token for %s: %w", spn, err)
	}
	// gokrb5 makes the authenticator itself and gives it out encrypted only.
	if err := token.APReq.DecryptAuthenticator(key); err != nil {
		return nil, fmt.Errorf("kerberos: token for %s: %w", spn, err)
	}
	g.key, g.sent = key, token.APReq.Authenticator
	return token.Marshal()
}

// Continue verifies the server's AP-REP (RFC 4120, section 3.2.5): it proves that the server holds the service's key.
func (g *gssProvider) Continue(in []byte) (done bool, out []byte, err error) {
	var token spnego.KRB5Token
	if err := token.Unmarshal(in); err != nil {
		return false, nil, fmt.Errorf("kerberos: the server's token: %w", err)
	}
	switch {
	case token.IsKRBError():
		return false, nil, fmt.Errorf("kerberos: the server answers: %w", token.KRBError)
	case !token.IsAPRep():
		return false, nil, errors.New("kerberos: the server's token is no AP-REP")
	}
	plain, err := crypto.DecryptEncPart(token.APRep.EncPart, g.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return false, nil, fmt.Errorf("kerberos: the server's AP-REP: %w", err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return false, nil, fmt.Errorf("kerberos: the server's AP-REP: %w", err)
	}
	if !part.CTime.Equal(g.sent.CTime.Truncate(time.Second)) || part.Cusec != g.sent.Cusec {
		return false, nil, errors.New("kerberos: the server's AP-REP answers another request")
	}
	return true, nil, nil
}
