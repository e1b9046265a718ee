package gssenc

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// connector is what the connections of a configuration and its copies have in common.
type connector struct {
	mode           string
	options        Options
	dial           pgconn.DialFunc
	lookup         pgconn.LookupFunc
	hosts          []string // as attempts number them
	spn, service   string
	sameConnection bool
	channelBinding bool
	watched        bool // connections without GSS encryption are under authWatch
	validated      bool // connections are known again when ValidateConnect has rejected them

	acquisitions flights[*Credentials]

	mu       sync.Mutex // of the fields below; never held while anything is waited for
	acquired *Credentials
	origin   origin // of acquired
	connects uint64
	refusals []refusal
	idle     map[string]net.Conn   // by address: answered N, waits for the next method
	beneath  map[net.Conn]net.Conn // what AfterNetConnect was given, by what it has made of it
}

func newConnector(config *pgconn.Config, mode string, o Options) *connector {
	return &connector{
		mode: mode, options: o, dial: config.DialFunc, lookup: config.LookupFunc, spn: config.KerberosSpn,
		service:        cmp.Or(config.KerberosSrvName, os.Getenv("PGKRBSRVNAME"), "postgres"),
		sameConnection: mode == Prefer && config.SSLNegotiation != "direct",
		channelBinding: config.ChannelBinding == "require",
		idle:           map[string]net.Conn{}, beneath: map[net.Conn]net.Conn{},
	}
}

func (k *connector) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if host, ok := strings.CutPrefix(network, gssNetwork); ok { // a cancel request
		return k.dialGSS(ctx, "tcp", address, host)
	}
	if address == nowhere {
		return nil, failf(StageDial, "no cancel request: there is no session")
	}
	target, a, marked := parseAttempt(address)
	if marked && a.gss && a.host < len(k.hosts) {
		conn, err := k.dialGSS(ctx, network, target, k.hosts[a.host])
		if err != nil {
			k.afterFailure(ctx, a, target, err)
			return nil, err
		}
		conn.attempt, conn.target = a, target
		return conn, nil
	}
	if k.mode == Require {
		return nil, failf(StageConfig, "gssencmode=require, but %s was to be dialled without GSS encryption", target)
	}
	return k.dialOther(ctx, network, target, a, marked)
}

// afterFailure says what an attempt with GSS encryption that failed means for the attempts after it.
func (k *connector) afterFailure(ctx context.Context, a attempt, target string, err error) {
	var staged *Error
	switch {
	case errors.Is(err, errNoBinding):
		k.refuse(refusal{attempt: a, target: target, err: errNoBinding})
	case errors.As(err, &staged) && staged.Stage == StageConfig:
		k.refuse(refusal{attempt: a, everyHost: true, err: err})
	default:
		k.decide(ctx, "GSS encryption failed", k.hosts[a.host], target, err)
		return
	}
	k.decide(ctx, "GSS encryption failed, and no other method is tried", k.hosts[a.host], target, err)
}

func (k *connector) dialGSS(ctx context.Context, network, target, host string) (*Conn, error) {
	credentials, err := k.credentials(ctx)
	if err != nil {
		return nil, err
	}
	transport, err := k.dial(ctx, network, target)
	if err != nil {
		return nil, &Error{Stage: StageDial, Err: err}
	}
	conn, err := k.encrypt(ctx, transport, host, credentials)
	if err == nil {
		conn.remote = serverAddr{transport.RemoteAddr(), target, host}
		k.decide(ctx, "GSS encryption", host, target, nil, "principal", conn.info.Principal, "service", conn.info.Service, "etype", conn.info.EType.String())
		return conn, nil
	}
	if errors.Is(err, ErrRefused) && k.sameConnection {
		k.putAside(target, transport)
	} else {
		_ = transport.Close()
	}
	return nil, err
}

func (k *connector) encrypt(ctx context.Context, transport net.Conn, host string, c *Credentials) (*Conn, error) {
	if err := request(ctx, transport); err != nil {
		return nil, err
	}
	if k.channelBinding {
		return nil, errNoBinding
	}
	o := InitOptions{SPN: k.spn, Delegate: k.options.Delegate, RequireDelegation: k.options.RequireDelegation}
	if o.SPN != "" {
		return secure(ctx, transport, c, o)
	}
	i, err := c.initiateHost(ctx, k.service, host, o)
	if err != nil {
		return nil, err
	}
	return i.establish(ctx, transport)
}

var errNoBinding = failf(StageRequest, "channel binding required, but SSL not in use: the server agreed to GSS encryption, which has none; gssencmode=disable would use TLS")

// gssNetwork and the host after it are the network of a session's RemoteAddr. pgconn dials a cancel request by the network and the
// text of that address, and gives DialFunc nothing else.
const gssNetwork = "tcp+gssenc:"

// serverAddr is the address of a session under GSS encryption: the transport's, with a network that tells the server's name.
type serverAddr struct {
	net.Addr
	target string // what was dialled
	host   string
}

func (a serverAddr) Network() string { return gssNetwork + a.host }

// String is the text of the transport's address, or what was dialled where the transport is not TCP.
func (a serverAddr) String() string {
	if t, ok := a.Addr.(*net.TCPAddr); ok {
		return t.String()
	}
	return a.target
}

// dialOther gives a connection for TLS or plaintext: the one that answered N, or a new one.
func (k *connector) dialOther(ctx context.Context, network, target string, a attempt, marked bool) (net.Conn, error) {
	var tlsOnly error
	if marked {
		refused := k.refused(a, target)
		if refused != nil && !refused.plainOnly {
			return nil, refused.err
		}
		if refused != nil {
			tlsOnly = refused.err
		}
	}
	k.mu.Lock()
	conn := k.idle[target]
	delete(k.idle, target)
	k.mu.Unlock()
	if conn != nil && !silent(conn) { // a dead one would look like a server that fails at TLS
		_ = conn.Close()
		conn = nil
	}
	if conn == nil {
		var err error
		if conn, err = k.dial(ctx, network, target); err != nil {
			return nil, err
		}
	}
	if marked {
		k.decide(ctx, "no GSS encryption: what sslmode says", k.hosts[a.host], target, nil)
	}
	if tlsOnly != nil {
		conn = &tlsOnlyConn{Conn: conn, refusal: tlsOnly}
	}
	if k.watched || k.validated {
		return &otherConn{Conn: conn, attempt: a, target: target}, nil
	}
	return conn, nil
}

// keepIdle is how long a connection that answered N waits for the next method, which follows at once or never.
const keepIdle = time.Second

// putAside keeps a connection that answered N. Any attempt of this configuration may use it: it is as good as a new one.
func (k *connector) putAside(address string, conn net.Conn) {
	if !silent(conn) {
		_ = conn.Close()
		return
	}
	k.mu.Lock()
	old := k.idle[address]
	k.idle[address] = conn
	k.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	time.AfterFunc(keepIdle, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.idle[address] == conn {
			delete(k.idle, address)
			_ = conn.Close()
		}
	})
}

// credentials are those of the options. A ccache is read again when it has changed, as libpq would see it.
func (k *connector) credentials(ctx context.Context) (*Credentials, error) {
	switch {
	case k.options.Credentials != nil:
		return k.options.Credentials, nil
	case k.options.Acquire != nil:
		c, err := k.options.Acquire(ctx)
		if err == nil {
			err = c.usable()
		}
		if err != nil {
			return nil, at(StageCredentials, err)
		}
		return c, nil
	}
	k.mu.Lock()
	acquired, origin := k.acquired, k.origin
	k.mu.Unlock()
	if acquired != nil && origin.unchanged(ctx) {
		return acquired, nil
	}
	return k.acquisitions.do(ctx, "", func(ctx context.Context) (*Credentials, error) {
		c, origin, err := acquire(ctx, k.options.Source)
		if err != nil {
			return nil, err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.acquired, k.origin = c, origin // the ones before may still be in use
		return c, nil
	})
}

// decide logs a decision.
func (k *connector) decide(ctx context.Context, decision, host, address string, err error, attributes ...any) {
	if k.options.Logger == nil {
		return
	}
	attributes = append([]any{"host", host, "address", address}, attributes...)
	if err != nil {
		k.options.Logger.WarnContext(ctx, "gssenc: "+decision, append(attributes, "error", err)...)
		return
	}
	k.options.Logger.InfoContext(ctx, "gssenc: "+decision, attributes...)
}
