package gssenc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Modes of GSS encryption (libpq, "gssencmode").
const (
	Disable = "disable" // never
	Prefer  = "prefer"  // first if there are credentials; then whatever sslmode says
	Require = "require" // nothing else: no TLS, no plaintext
)

// Options say how Configure's connections use GSS encryption. The zero value is what libpq does by default.
type Options struct {
	// Mode is Disable, Prefer or Require. Empty: gssencmode of the connection string or service file, else $PGGSSENCMODE,
	// else Prefer.
	Mode string
	// Credentials are used for every connection, and stay the caller's to close. Nil: those of Source.
	Credentials *Credentials
	// Source is acquired when the first connection is made, and again when its ccache file has changed. The zero value is the
	// default ccache.
	Source Source
	// Delegate sends a forwarded TGT to the server. So does gssdelegation=1 of the connection string, service file or
	// $PGGSSDELEGATION.
	Delegate bool
}

// Configure gives a configuration made by pgconn.ParseConfig, or the one in a pgx.ConnConfig (&c.Config), GSS encryption with
// libpq's gssencmode, beside the sslmode that ParseConfig has turned into TLSConfig and Fallbacks. It is called once, after
// every other change of Host, Port, TLSConfig, Fallbacks, LookupFunc, DialFunc, AfterNetConnect, BuildFrontend, RequireAuth,
// KerberosSrvName and KerberosSpn. The configuration and its copies may then be used for any number of connections at once.
//
// Per host the order is that of libpq: GSS encryption, then what sslmode says. The service principal is krbspn, or
// krbsrvname (default $PGKRBSRVNAME, postgres) with the name of that very host in lower case. Without credentials Prefer goes
// on to the next method without a word to the server. After the answer N the next method uses the same TCP connection;
// after a handshake that failed, or the server's refusal of the session, a new one. With Require there is no other
// method, and a host that is a unix-domain socket is an error; other modes use such a host in the clear, as always.
//
// A cancel request of a session under GSS encryption is sent under GSS encryption. pgconn dials it by the session's
// RemoteAddr: that is a *net.TCPAddr whose Zone names the server.
//
// require_auth: a session under GSS encryption counts as gss, if the list allows gss, whatever pg_hba.conf asked for; the
// field RequireAuth is rewritten so that pgconn lets it pass, and other sessions are held to the list as it was.
// channel_binding=require: once a server agrees to GSS encryption the attempt fails, and no other method is tried with it.
//
// What differs from libpq, because pgconn decides it:
//   - pgconn tries no further method after SQLSTATE 28P01 (wrong password), 3D000 and 42501; libpq does after the first.
//   - pgconn tries the next method also after failures behind AuthenticationOk and after its own checks (require_auth, a
//     password that is missing); libpq stops there. Each attempt is held to the whole configuration.
//   - GSS authentication, of a session that is not under GSS encryption: pgconn asks for the service of the first host,
//     whichever it has connected to.
//   - pgconn goes on to the next host after a refusal, too; libpq only from a host that it cannot reach.
//   - A host with several addresses: pgconn tries a method with every address before the next method.
//   - A host that cannot be reached is dialled for each method, and connect_timeout applies to GSS encryption on its own.
func Configure(config *pgconn.Config, o Options) error {
	mode, err := takeMode(config, o.Mode)
	if err != nil {
		return err
	}
	if delegation, ok := take(config, "gssdelegation", "PGGSSDELEGATION"); ok && delegation == "1" {
		o.Delegate = true
	}
	delete(config.RuntimeParams, "gsslib") // libpq's choice between GSSAPI and SSPI
	if mode == Disable {
		return nil
	}
	k := &connector{
		mode: mode, options: o, dial: config.DialFunc, lookup: config.LookupFunc, spn: config.KerberosSpn,
		service:        cmp.Or(config.KerberosSrvName, os.Getenv("PGKRBSRVNAME"), "postgres"),
		sameConnection: mode == Prefer && config.SSLNegotiation != "direct",
		channelBinding: config.ChannelBinding == "require",
		idle:           map[string]net.Conn{}, agreed: map[string]bool{},
	}
	if err := addAttempts(config, mode); err != nil {
		return err
	}
	config.LookupFunc, config.DialFunc = k.lookupHost, k.dialContext
	k.requireAuth(config)
	if mode == Require {
		then := config.AfterNetConnect
		config.AfterNetConnect = func(ctx context.Context, config *pgconn.Config, conn net.Conn) (net.Conn, error) {
			if _, ok := conn.(*Conn); !ok { // whatever replaced DialFunc or TLSConfig after Configure
				return conn, failf(StageConfig, "gssencmode=require, but the connection is a %T", conn)
			}
			if then == nil {
				return conn, nil
			}
			return then(ctx, config, conn)
		}
	}
	return nil
}

// take removes a setting that pgconn would send to the server as a run-time parameter.
func take(config *pgconn.Config, name, env string) (value string, ok bool) {
	if value, ok = config.RuntimeParams[name]; ok {
		delete(config.RuntimeParams, name)
		return value, true
	}
	value = os.Getenv(env)
	return value, value != ""
}

func takeMode(config *pgconn.Config, wanted string) (string, error) {
	given, ok := take(config, "gssencmode", "PGGSSENCMODE")
	if wanted != "" {
		given, ok = wanted, true
	}
	if !ok {
		return Prefer, nil
	}
	if !slices.Contains([]string{Disable, Prefer, Require}, given) {
		return "", failf(StageConfig, "gssencmode %q: the values are disable, prefer and require", given)
	}
	return given, nil
}

// pgconn knows an attempt by its host and whether it has a TLSConfig, and tells DialFunc the address alone. So attempts of a
// host without GSS encryption carry a mark in Host, which lookupHost removes, and addresses to be dialled with it carry the
// host's name, which dialContext removes.
const (
	withoutGSS = "%nogssenc"
	withGSS    = "%gssenc="
)

// addAttempts puts an attempt with GSS encryption before those of each host.
func addAttempts(config *pgconn.Config, mode string) error {
	old := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	var attempts []*pgconn.FallbackConfig
	had := map[bool]bool{} // of the present host, by TLS or not: a second of a kind is the next host, be it of the same name
	for i, a := range old {
		if network, _ := pgconn.NetworkAddress(a.Host, a.Port); network == "unix" {
			if mode == Require {
				return failf(StageConfig, "gssencmode=require, but host %s is a unix-domain socket, which GSS encryption does not support", a.Host)
			}
			attempts = append(attempts, a)
			continue
		}
		if i == 0 || a.Host != old[i-1].Host || a.Port != old[i-1].Port || had[a.TLSConfig != nil] {
			attempts = append(attempts, &pgconn.FallbackConfig{Host: a.Host, Port: a.Port})
			clear(had)
		}
		had[a.TLSConfig != nil] = true
		if mode == Prefer {
			attempts = append(attempts, &pgconn.FallbackConfig{Host: a.Host + withoutGSS, Port: a.Port, TLSConfig: a.TLSConfig})
		}
	}
	config.Host, config.Port, config.TLSConfig = attempts[0].Host, attempts[0].Port, attempts[0].TLSConfig
	config.Fallbacks = attempts[1:]
	return nil
}

// connector is what the connections of a configuration and its copies have in common.
type connector struct {
	mode           string
	options        Options
	dial           pgconn.DialFunc
	lookup         pgconn.LookupFunc
	spn, service   string
	sameConnection bool
	channelBinding bool
	watched        bool // connections without GSS encryption are under authWatch

	acquiring sync.Mutex
	acquired  *Credentials
	cache     *cacheFile // of acquired; nil: of a keytab or a password

	mu     sync.Mutex
	idle   map[string]net.Conn // by address: answered N, waits for the next method
	agreed map[string]bool     // by address: agreed to GSS encryption, although channel_binding=require
}

func (k *connector) lookupHost(ctx context.Context, host string) ([]string, error) {
	host, plain := strings.CutSuffix(host, withoutGSS)
	addresses, err := k.lookup(ctx, host)
	if err != nil || plain {
		return addresses, err
	}
	marked := make([]string, len(addresses))
	for i, a := range addresses {
		marked[i] = a + withGSS + host
		if address, port, err := net.SplitHostPort(a); err == nil {
			marked[i] = net.JoinHostPort(address+withGSS+host, port)
		}
	}
	return marked, nil
}

func (k *connector) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ip, port, err := net.SplitHostPort(address)
	ip, host, gss := strings.Cut(ip, withGSS)
	if address == nowhere {
		return nil, failf(StageDial, "no cancel request: there is no session")
	}
	if network == "unix" || err != nil || !gss {
		if k.mode == Require {
			return nil, failf(StageConfig, "gssencmode=require, but %s was to be dialled without GSS encryption", address)
		}
		return k.dialOther(ctx, network, address)
	}
	target := net.JoinHostPort(ip, port)
	credentials, err := k.credentials(ctx)
	if err != nil {
		return nil, err
	}
	transport, err := k.dial(ctx, network, target)
	if err != nil {
		return nil, &Error{Stage: StageDial, Err: err}
	}
	conn, err := k.encrypt(ctx, transport, target, host, credentials)
	if err == nil {
		conn.remote = markAddr(transport.RemoteAddr(), address, host)
		return conn, nil
	}
	if errors.Is(err, ErrRefused) && k.sameConnection {
		k.keep(target, transport)
	} else {
		_ = transport.Close()
	}
	return nil, err
}

func (k *connector) encrypt(ctx context.Context, transport net.Conn, target, host string, c *Credentials) (*Conn, error) {
	err := request(ctx, transport)
	if k.channelBinding {
		k.mu.Lock()
		k.agreed[target] = err == nil
		k.mu.Unlock()
		if err == nil {
			return nil, errNoBinding
		}
	}
	if err != nil {
		return nil, err
	}
	spn := k.spn
	if spn == "" {
		spn = k.service + "/" + strings.ToLower(strings.TrimSuffix(host, "."))
	}
	return secure(ctx, transport, c, InitOptions{SPN: spn, Delegate: k.options.Delegate})
}

var errNoBinding = failf(StageRequest, "channel binding required, but SSL not in use: the server agreed to GSS encryption, which has none; gssencmode=disable would use TLS")

// markAddr gives the address by which pgconn dials the cancel requests of a session.
func markAddr(a net.Addr, dialled, host string) net.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		marked := *t
		marked.Zone = strings.TrimPrefix(t.Zone+withGSS+host, "%") // String puts one before the zone
		return &marked
	}
	return dialledAddr(dialled)
}

// dialledAddr stands for the address of a transport that is not TCP.
type dialledAddr string

func (dialledAddr) Network() string  { return "tcp" }
func (a dialledAddr) String() string { return string(a) }

// dialOther gives a connection for TLS or plaintext: the one that answered N, or a new one.
func (k *connector) dialOther(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := k.dialOrReuse(ctx, network, address)
	if err != nil || !k.watched {
		return conn, err
	}
	return &watchedConn{Conn: conn}, nil
}

func (k *connector) dialOrReuse(ctx context.Context, network, address string) (net.Conn, error) {
	k.mu.Lock()
	agreed, conn := k.agreed[address], k.idle[address]
	delete(k.idle, address)
	k.mu.Unlock()
	if conn != nil && (agreed || !silent(conn)) { // a dead one would look like a server that fails at TLS
		_ = conn.Close()
		conn = nil
	}
	switch {
	case agreed:
		return nil, errNoBinding
	case conn != nil:
		return conn, nil
	}
	return k.dial(ctx, network, address)
}

// keepIdle is how long a connection that answered N waits for the next method, which follows at once or never.
const keepIdle = time.Second

// keep puts aside a connection that answered N. Any attempt of this configuration may use it: it is as good as a new one.
func (k *connector) keep(address string, conn net.Conn) {
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

// credentials are those of the options. A ccache is read again when its file has changed, as libpq would see it.
func (k *connector) credentials(ctx context.Context) (*Credentials, error) {
	if k.options.Credentials != nil {
		return k.options.Credentials, nil
	}
	k.acquiring.Lock()
	defer k.acquiring.Unlock()
	if k.acquired != nil && (k.cache == nil || k.cache.unchanged()) {
		return k.acquired, nil
	}
	cache, err := k.options.Source.cacheFile() // before it is read: a change in between is seen next time
	if err != nil {
		return nil, err
	}
	c, err := Acquire(ctx, k.options.Source)
	if err != nil {
		return nil, err
	}
	k.acquired, k.cache = c, cache // the ones before may still be in use
	return c, nil
}

// cacheFile is the state of a ccache's file.
type cacheFile struct {
	path string
	info os.FileInfo
}

// cacheFile is nil for sources that are no ccache.
func (s Source) cacheFile() (*cacheFile, error) {
	if s.Keytab != "" || s.Password != "" {
		return nil, nil
	}
	name := s.CCache
	if name == "" {
		conf, err := loadConf(s.Config)
		if err != nil {
			return nil, &Error{StageConfig, err}
		}
		name = conf.defaultCCache()
	}
	path, err := ccachePath(name)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil {
			return &cacheFile{path, info}, nil
		}
	}
	return nil, &Error{StageCredentials, err}
}

func (f *cacheFile) unchanged() bool {
	now, err := os.Stat(f.path)
	return err == nil && os.SameFile(now, f.info) && now.Size() == f.info.Size() && now.ModTime().Equal(f.info.ModTime())
}

// requireAuth has pgconn accept AuthenticationOk without a request before it where a session is under GSS encryption and gss is
// allowed (libpq, check_expected_areq in fe-auth.c), and only there.
func (k *connector) requireAuth(config *pgconn.Config) {
	relaxed, changed := countGSS(config.RequireAuth)
	if !changed {
		return
	}
	k.watched = true
	given := config.RequireAuth
	config.RequireAuth = relaxed
	build := config.BuildFrontend
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		if _, ok := w.(*Conn); !ok {
			r = &authWatch{r: r, list: given, conn: watchedBelow(w)}
		}
		return build(r, w)
	}
}

// countGSS gives the list that accepts what list accepts, and no authentication at all, if list allows gss and would not.
func countGSS(list string) (relaxed string, changed bool) {
	var methods []string
	for m := range strings.SplitSeq(list, ",") {
		methods = append(methods, strings.TrimSpace(m))
	}
	if !strings.HasPrefix(methods[0], "!") {
		if slices.Contains(methods, "gss") && !slices.Contains(methods, "none") {
			return list + ",none", true
		}
		return list, false
	}
	if slices.Contains(methods, "!none") && !slices.Contains(methods, "!gss") {
		return strings.Join(slices.DeleteFunc(methods, func(m string) bool { return m == "!none" }), ","), true
	}
	return list, false
}

// watchedConn is a connection under authWatch. After an error of Read pgconn sends a cancel request, on a connection of its own, to
// where RemoteAddr says. There is nothing to cancel where authWatch ended it, so it then says nowhere.
type watchedConn struct {
	net.Conn
	failed atomic.Bool
}

const nowhere = "%gssenc-nowhere"

// RemoteAddr is that of the connection, until authWatch has ended it.
func (c *watchedConn) RemoteAddr() net.Addr {
	if c.failed.Load() {
		return dialledAddr(nowhere)
	}
	return c.Conn.RemoteAddr()
}

// watchedBelow is nil where AfterNetConnect has put something else between.
func watchedBelow(w io.Writer) *watchedConn {
	if t, ok := w.(*tls.Conn); ok {
		w = t.NetConn()
	}
	c, _ := w.(*watchedConn)
	return c
}

// authWatch reads a server's messages up to the first about authentication, and fails if that is AuthenticationOk.
type authWatch struct {
	r       io.Reader
	list    string
	conn    *watchedConn // that r belongs to; may be nil
	decided bool
	err     error
	header  []byte // type, length and, of an authentication message, its code: as far as seen
	skip    int    // bytes of a message that does not matter
}

func (a *authWatch) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.r.Read(p)
	for b := p[:n]; len(b) > 0 && !a.decided; {
		if a.skip > 0 {
			skipped := min(a.skip, len(b))
			a.skip, b = a.skip-skipped, b[skipped:]
			continue
		}
		a.header, b = append(a.header, b[0]), b[1:]
		if len(a.header) == 5 && a.header[0] != 'R' {
			a.skip = max(0, int(uint32(a.header[1])<<24|uint32(a.header[2])<<16|uint32(a.header[3])<<8|uint32(a.header[4]))-4)
			a.header = a.header[:0]
		}
		if len(a.header) == 9 {
			a.decided = true
			if string(a.header[5:]) == "\x00\x00\x00\x00" {
				a.err = fmt.Errorf("authentication method requirement %q failed: server did not complete authentication", a.list)
				if a.conn != nil {
					a.conn.failed.Store(true)
				}
				return 0, a.err
			}
		}
	}
	return n, err
}
