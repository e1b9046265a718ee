package gssenc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jcmturner/gokrb5/v8/types"
)

// fakeServer speaks PostgreSQL's protocol up to a session, and notes what it is asked: one line per TCP connection.
type fakeServer struct {
	gss     string  // answer to GSSENCRequest
	ssl     byte    // answer to SSLRequest
	refuse  string  // SQLSTATE for plaintext sessions, or "" to let them in
	refused string  // SQLSTATE for TLS sessions
	session *ticket // behind the answer G, a context is accepted with this ticket's key

	t        *testing.T
	l        net.Listener
	cert     tls.Certificate
	mu       sync.Mutex
	seen     []string
	sessions sync.WaitGroup
}

func (f *fakeServer) start(t *testing.T) *fakeServer {
	t.Helper()
	f.t = t
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	f.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if f.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.sessions.Go(func() {
		for {
			c, err := f.l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			n := len(f.seen)
			f.seen = append(f.seen, "")
			f.mu.Unlock()
			f.sessions.Go(func() {
				defer c.Close()
				f.serve(c, n)
			})
		}
	})
	t.Cleanup(func() { f.l.Close(); f.sessions.Wait() })
	return f
}

func (f *fakeServer) note(n int, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[n] = strings.TrimSpace(f.seen[n] + " " + what)
}

// trace is what was asked so far; a connection's steps are separated by blanks, connections by bars.
func (f *fakeServer) trace() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.seen, " | ")
}

func (f *fakeServer) serve(c net.Conn, n int) {
	secure := false
	for {
		var head [8]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		switch binary.BigEndian.Uint32(head[4:]) {
		case 80877104:
			f.note(n, "gssenc")
			_, _ = io.WriteString(c, f.gss)
			if f.session != nil {
				var err error
				if c, err = f.accept(c); err != nil {
					if !errors.Is(err, io.EOF) {
						f.note(n, err.Error())
					}
					return
				}
				f.note(n, "encrypted")
			} else if f.gss != "N" {
				_, _ = io.Copy(io.Discard, c)
				return
			}
		case 80877103:
			f.note(n, "ssl")
			_, _ = c.Write([]byte{f.ssl})
			if f.ssl == 'S' {
				c, secure = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{f.cert}}), true
			}
		case 80877102:
			f.note(n, "cancel")
			return
		default:
			if head[0] != 0 { // TLS without a request
				f.note(n, "direct")
				return
			}
			f.note(n, "startup")
			rest := make([]byte, binary.BigEndian.Uint32(head[:])-8)
			_, _ = io.ReadFull(c, rest)
			f.play(c, secure)
			return
		}
	}
}

func (f *fakeServer) play(c net.Conn, secure bool) {
	b := pgproto3.NewBackend(c, c)
	code := f.refuse
	if _, gss := c.(*Conn); gss {
		code = ""
	} else if secure {
		code = f.refused
	}
	if code != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "refused"})
		b.Flush()
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	b.Flush()
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.Query: // its own text is the answer
			b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("echo"), DataTypeOID: 25}}})
			b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(m.String)}})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			b.Flush()
		case *pgproto3.Terminate:
			return
		}
	}
}

// accept is the server's half of the handshake.
func (f *fakeServer) accept(c net.Conn) (net.Conn, error) {
	a := &fakeAcceptor{ticket: f.session.encoded, session: f.session.key, seq: 77, subkey: types.EncryptionKey{KeyType: 18, KeyValue: testKey(18)}}
	token, err := readToken(c)
	if err != nil {
		return nil, err
	}
	if err := a.read(token); err != nil {
		return nil, err
	}
	if _, err := c.Write(packet(a.token(f.t))); err != nil {
		return nil, err
	}
	x, err := a.context()
	if err != nil {
		return nil, err
	}
	return newConn(c, x)
}

// A session under GSS encryption from end to end, with a server that holds the session key.
func TestSession(t *testing.T) {
	session := fakeTicket(t, 18)
	alice := withTicket(emptyConf, session)
	start := func(t *testing.T, settings string) (*fakeServer, *pgconn.Config, *pgconn.PgConn) {
		t.Helper()
		f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
		c := f.config(t, settings)
		if err := Configure(c, alice); err != nil {
			t.Fatal(err)
		}
		conn, err := pgconn.ConnectConfig(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return f, c, conn
	}
	f, _, conn := start(t, "sslmode=require krbspn=postgres/pg.example.test@EXAMPLE.TEST")
	for _, n := range []int{1, 1 << 10, 1 << 20, 8 << 20} {
		query := strings.Repeat("q", n)
		r, err := conn.Exec(t.Context(), query).ReadAll()
		if err != nil || len(r) != 1 || string(r[0].Rows[0][0]) != query {
			t.Fatalf("%d bytes there and back: %v", n, err)
		}
	}
	if a, err := netip.ParseAddrPort(conn.Conn().RemoteAddr().String()); err != nil || !a.Addr().IsLoopback() || a.Addr().Zone() != "" || conn.Conn().(*Conn).Context().Acceptor() == "" {
		t.Errorf("address %v", conn.Conn().RemoteAddr())
	}
	if got := f.trace(); got != "gssenc encrypted startup" {
		t.Errorf("the server saw %q", got)
	}
	if err := conn.CancelRequest(t.Context()); err != nil {
		t.Error(err)
	}
	if got := f.trace(); got != "gssenc encrypted startup | gssenc encrypted cancel" {
		t.Errorf("a cancel request: the server saw %q", got)
	}

	// The session counts as gss, also where the server asked for another method.
	for _, settings := range []string{"require_auth=gss", "require_auth=scram-sha-256,gss gssencmode=require", "require_auth=!none", "require_auth=none", "require_auth=!password"} {
		start(t, settings+" krbspn=postgres/pg.example.test@EXAMPLE.TEST")
	}
	for _, settings := range []string{"require_auth=scram-sha-256", "require_auth=!none,!gss", "channel_binding=require"} {
		f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
		c := f.config(t, settings+" gssencmode=require krbspn=postgres/pg.example.test@EXAMPLE.TEST")
		if err := Configure(c, alice); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, c); err == nil {
			t.Errorf("%s: connected", settings)
		}
	}
}

// The service principal is that of the host that is talked to, and nothing of a failed host stays.
func TestServicePrincipals(t *testing.T) {
	conf, err := parseConf("[libdefaults]\ndefault_realm = EXAMPLE.TEST\n" + withoutDNS + "[domain_realm]\nexample.test = EXAMPLE.TEST\n.example.test = EXAMPLE.TEST\n")
	if err != nil {
		t.Fatal(err)
	}
	session := fakeTicket(t, 18)
	alice := withTicket(conf, session)
	f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
	for settings, want := range map[string]string{
		"host=other.example.test,PG.Example.Test. gssencmode=require":      "gssenc | gssenc encrypted startup", // no ticket for the first
		"host=PG.EXAMPLE.TEST gssencmode=require":                          "gssenc encrypted startup",
		"host=pg.example.test krbsrvname=POSTGRES gssencmode=require":      "gssenc",
		"host=10.9.8.7 krbspn=postgres/pg.example.test gssencmode=require": "gssenc encrypted startup",
		"host=other.example.test sslmode=disable":                          "gssenc | startup",
	} {
		f.mu.Lock()
		f.seen = nil
		f.mu.Unlock()
		_, port, _ := net.SplitHostPort(f.l.Addr().String())
		c := parse(t, settings+" user=alice port="+port)
		if err := Configure(c, alice); err != nil {
			t.Fatal(err)
		}
		err := connect(t, c)
		if got := f.trace(); got != want {
			t.Errorf("%s: the server saw %q, want %q (%v)", settings, got, want, err)
		}
	}
}

// config is for the fake server, with further settings.
func (f *fakeServer) config(t *testing.T, settings string) *pgconn.Config {
	t.Helper()
	_, port, _ := net.SplitHostPort(f.l.Addr().String())
	return parse(t, "host=pg.example.test user=alice dbname=x port="+port+" "+settings)
}

// parse reads a connection string whose hosts all are at 127.0.0.1.
func parse(t *testing.T, settings string) *pgconn.Config {
	t.Helper()
	c, err := pgconn.ParseConfig(settings)
	if err != nil {
		t.Fatal(err)
	}
	c.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	return c
}

// withoutDNS are lines of libdefaults for a test that is to ask no DNS.
const withoutDNS = " dns_canonicalize_hostname = false\n dns_lookup_kdc = false\n rdns = false\n qualify_shortname = \"\"\n"

var emptyConf, _ = parseConf("[libdefaults]\n" + withoutDNS)

// noTicket is an identity that gets no service ticket.
var noTicket = Options{Credentials: &Credentials{conf: emptyConf}}

// withTicket is an identity that has one.
func withTicket(conf *krb5Conf, t *ticket) Options {
	return Options{Credentials: &Credentials{conf: conf, client: t.client, tickets: []*ticket{t}}}
}

func connect(t *testing.T, c *pgconn.Config) error {
	t.Helper()
	conn, err := pgconn.ConnectConfig(t.Context(), c)
	if err == nil {
		err = conn.Close(t.Context())
	}
	return err
}

// Which method follows which, on which connection: libpq's order and fallbacks.
func TestFallback(t *testing.T) {
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	for _, tt := range []struct {
		name     string
		server   *fakeServer
		settings string
		options  Options
		trace    string // of TCP connections
		err      string // "": connected
	}{
		{"disable", &fakeServer{gss: "G", ssl: 'S'}, "gssencmode=disable sslmode=prefer", noTicket, "ssl startup", ""},
		{"no credentials", &fakeServer{gss: "G", ssl: 'S'}, "gssencmode=prefer sslmode=prefer", Options{}, "ssl startup", ""},
		{"no credentials, default mode", &fakeServer{gss: "G", ssl: 'S'}, "sslmode=disable", Options{}, "startup", ""},
		{"no credentials, require", &fakeServer{gss: "G", ssl: 'S'}, "gssencmode=require", Options{}, "", "credentials"},
		{"N, TLS on the same connection", &fakeServer{gss: "N", ssl: 'S'}, "sslmode=require", noTicket, "gssenc ssl startup", ""},
		{"N, plain on the same connection", &fakeServer{gss: "N", ssl: 'S'}, "sslmode=disable", noTicket, "gssenc startup", ""},
		{"N, allow", &fakeServer{gss: "N", ssl: 'S'}, "sslmode=allow", noTicket, "gssenc startup", ""},
		{"N, allow, plain refused", &fakeServer{gss: "N", ssl: 'S', refuse: "28000"}, "sslmode=allow", noTicket, "gssenc startup | ssl startup", ""},
		{"N, prefer, TLS refused", &fakeServer{gss: "N", ssl: 'S', refused: "28000"}, "sslmode=prefer", noTicket, "gssenc ssl startup | startup", ""},
		{"N, wrong password", &fakeServer{gss: "N", ssl: 'S', refused: "28P01"}, "sslmode=prefer", noTicket, "gssenc ssl startup", "28P01"},
		{"N, require", &fakeServer{gss: "N", ssl: 'S'}, "gssencmode=require sslmode=prefer", noTicket, "gssenc", "does not offer GSS encryption"},
		{"E, new connection", &fakeServer{gss: "E", ssl: 'S'}, "sslmode=prefer", noTicket, "gssenc | ssl startup", ""},
		{"E, require", &fakeServer{gss: "E", ssl: 'S'}, "gssencmode=require", noTicket, "gssenc", "answered with an error message"},
		{"G, no ticket", &fakeServer{gss: "G", ssl: 'S'}, "sslmode=verify-ca", noTicket, "gssenc | ssl", "certificate"},
		{"G, no ticket, plain", &fakeServer{gss: "G"}, "sslmode=disable", noTicket, "gssenc | startup", ""},
		{"G, no ticket, require", &fakeServer{gss: "G", ssl: 'S'}, "gssencmode=require", noTicket, "gssenc", "ticket"},
		{"channel binding, G", &fakeServer{gss: "G", ssl: 'S'}, "channel_binding=require sslmode=require", noTicket, "gssenc", "channel binding required, but SSL not in use"},
		{"channel binding, N", &fakeServer{gss: "N", ssl: 'S'}, "channel_binding=require sslmode=require", noTicket, "gssenc ssl startup", "channel binding required"},
		{"require_auth on a session without GSS", &fakeServer{gss: "N"}, "require_auth=gss sslmode=disable", noTicket, "gssenc startup", "server did not complete authentication"},
		{"require_auth negated", &fakeServer{gss: "N"}, "require_auth=!password,!none sslmode=disable", noTicket, "gssenc startup", "server did not complete authentication"},
		{"require_auth none", &fakeServer{gss: "N"}, "require_auth=none,gss sslmode=disable", noTicket, "gssenc startup", ""},
		{"direct TLS takes a new connection", &fakeServer{gss: "N", ssl: 'S'}, "sslnegotiation=direct sslmode=require", noTicket, "gssenc | direct", "failed to write startup message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.server.start(t)
			c := f.config(t, tt.settings)
			if err := Configure(c, tt.options); err != nil {
				t.Fatal(err)
			}
			err := connect(t, c)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if got := strings.TrimSuffix(f.trace(), " | cancel"); got != tt.trace { // pgconn cancels when a read fails, in the background
				t.Errorf("the server saw %q, want %q", got, tt.trace)
			}
		})
	}
}

func TestModeComesFrom(t *testing.T) {
	for _, tt := range []struct{ env, setting, option, want string }{
		{"", "", "", "prefer"},
		{"require", "", "", "require"},
		{"require", "gssencmode=disable", "", "disable"},
		{"require", "gssencmode=disable", "prefer", "prefer"},
		{"", "gssencmode=Require", "", ""},
		{"sometimes", "", "", ""},
		{"", "gssencmode=''", "", ""},
		{"", "", "always", ""},
	} {
		t.Setenv("PGGSSENCMODE", tt.env)
		c := parse(t, "host=h sslmode=disable gssdelegation=1 gsslib=gssapi "+tt.setting)
		err := Configure(c, Options{Mode: tt.option})
		_, left := c.RuntimeParams["gssencmode"]
		_, delegation := c.RuntimeParams["gssdelegation"]
		_, lib := c.RuntimeParams["gsslib"]
		if err == nil && (left || delegation || lib) {
			t.Errorf("%+v: the server would be sent %v", tt, c.RuntimeParams)
		}
		got := map[int]string{0: "require", 1: "prefer"}[len(c.Fallbacks)]
		if a, _ := c.LookupFunc(t.Context(), "h"); err == nil && a[0] == "127.0.0.1" {
			got = "disable"
		}
		if err != nil {
			wantStage(t, err, StageConfig, "gssencmode")
			got = ""
		}
		if got != tt.want {
			t.Errorf("%+v gives %q", tt, got)
		}
	}
}

// Every host is tried with GSS encryption first, under its own name; addresses of any shape survive the way through pgconn.
func TestAttemptsPerHost(t *testing.T) {
	addresses := map[string][]string{"A.example.test.": {"10.0.0.1", "10.0.0.2"}, "b": {"10.0.0.3:6000"}, "fe80::1": {"fe80::1%eth0"}, "::1": {"[::1]:6001"}}
	c, err := pgconn.ParseConfig("host=A.example.test.,b,b,/sock,fe80::1,::1 port=1,2,2,3,4,5 sslmode=prefer user=u")
	if err != nil {
		t.Fatal(err)
	}
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		a, ok := addresses[host]
		if !ok {
			return nil, fmt.Errorf("look-up of %q", host)
		}
		return a, nil
	}
	var dialled []string
	c.DialFunc = func(_ context.Context, network, address string) (net.Conn, error) {
		dialled = append(dialled, network+" "+address)
		return nil, errors.New("no server there")
	}
	if err := Configure(c, noTicket); err != nil {
		t.Fatal(err)
	}
	if c.Host != "A.example.test." || c.TLSConfig != nil {
		t.Errorf("the first attempt is %s, TLS %v", c.Host, c.TLSConfig)
	}
	if err := connect(t, c); err == nil || strings.Contains(err.Error(), "look-up") {
		t.Fatal(err)
	}
	var want []string
	for _, host := range [][]string{{"10.0.0.1:1", "10.0.0.2:1"}, {"10.0.0.3:6000"}, {"10.0.0.3:6000"}, nil, {"[fe80::1%eth0]:4"}, {"[::1]:6001"}} {
		if host == nil {
			want = append(want, "unix /sock/.s.PGSQL.3")
		}
		for range 3 { // GSS, TLS, plain
			for _, a := range host {
				want = append(want, "tcp "+a)
			}
		}
	}
	if !slices.Equal(dialled, want) {
		t.Errorf("dialled\n%s\nwant\n%s", strings.Join(dialled, "\n"), strings.Join(want, "\n"))
	}
}

func TestRequireLeavesNoOtherWay(t *testing.T) {
	wantStage(t, Configure(parse(t, "host=a,/sock gssencmode=require"), noTicket), StageConfig, "unix-domain socket")
	c := parse(t, "host=a,b gssencmode=require sslmode=prefer")
	if err := Configure(c, noTicket); err != nil {
		t.Fatal(err)
	}
	if len(c.Fallbacks) != 1 || c.Fallbacks[0].Host != "b" || c.Fallbacks[0].TLSConfig != nil {
		t.Errorf("fallbacks %+v", c.Fallbacks)
	}
	_, err := c.DialFunc(t.Context(), "tcp", "127.0.0.1:1")
	wantStage(t, err, StageConfig, "without GSS encryption")
	_, err = c.DialFunc(t.Context(), "unix", "/sock/x")
	wantStage(t, err, StageConfig, "without GSS encryption")
	// DialFunc is replaced afterwards.
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c = f.config(t, "gssencmode=require")
	if err := Configure(c, noTicket); err != nil {
		t.Fatal(err)
	}
	c.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, f.l.Addr().String())
	}
	if err := connect(t, c); err == nil || !strings.Contains(err.Error(), "gssencmode=require, but the connection is a *net.TCPConn") {
		t.Error(err)
	}
	if got := f.trace(); got != "" && got != " " {
		t.Errorf("the server saw %q", got)
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("no ccache"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Source{{CCache: filepath.Join(dir, "none")}, {CCache: garbage}, {CCache: "KCM:"}, {Keytab: garbage, Principal: "x@Y"}, {Keytab: "a", Password: "b"}} {
		c := f.config(t, "gssencmode=require")
		if err := Configure(c, Options{Source: s}); err != nil {
			t.Fatal(err)
		}
		if err := connect(t, c); err == nil {
			t.Errorf("%+v: connected", s)
		}
	}
	if got := f.trace(); got != "" {
		t.Errorf("without credentials the server is not to be asked, it saw %q", got)
	}
}

// What was put aside after N does not stay open, and what died there is not used.
func TestRefusedConnectionPutAside(t *testing.T) {
	k := &connector{mode: Prefer, idle: map[string]net.Conn{}, dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("a new one")
	}}
	alive, _ := tcpPair(t)
	k.putAside("a", alive)
	if got, err := k.dialContext(t.Context(), "tcp", "a"); got != net.Conn(alive) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := k.dialContext(t.Context(), "tcp", "a"); err == nil {
		t.Error("it is given out twice")
	}
	for name, spoil := range map[string]func(*net.TCPConn){"hung up": func(s *net.TCPConn) { s.Close() }, "spoke": func(s *net.TCPConn) { send(t, s, []byte("S")) }} {
		c, s := tcpPair(t)
		k.putAside("b", c)
		spoil(s)
		if got, err := k.dialContext(t.Context(), "tcp", "b"); err == nil {
			t.Errorf("%s: it is used: %v", name, got)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: it is still open: %v", name, err)
		}
	}
	c, s := tcpPair(t)
	k.putAside("c", c)
	if _, err := io.ReadAll(s); err != nil { // returns when the one put aside is closed
		t.Error(err)
	}
}

func TestCountGSS(t *testing.T) {
	for _, tt := range []struct {
		list, want string
		changed    bool
	}{
		{"", "", false},
		{"gss", "gss,none", true},
		{" scram-sha-256 , gss", " scram-sha-256 , gss,none", true},
		{"gss,none", "gss,none", false},
		{"password", "password", false},
		{"none", "none", false},
		{"!none", "", true},
		{"!password, !none", "!password", true},
		{"!none,!gss", "!none,!gss", false},
		{"!gss", "!gss", false},
	} {
		if got, changed := countGSS(tt.list); got != tt.want || changed != tt.changed {
			t.Errorf("%q: %q, %v", tt.list, got, changed)
		}
	}
}

func TestAuthWatch(t *testing.T) {
	encode := func(messages ...pgproto3.BackendMessage) string {
		var b []byte
		for _, m := range messages {
			var err error
			if b, err = m.Encode(b); err != nil {
				t.Fatal(err)
			}
		}
		return string(b)
	}
	ok, notice := &pgproto3.AuthenticationOk{}, &pgproto3.NoticeResponse{Message: strings.Repeat("R", 3000)}
	version, password := &pgproto3.NegotiateProtocolVersion{}, &pgproto3.AuthenticationCleartextPassword{}
	for _, tt := range []struct {
		stream string
		passes bool
	}{
		{encode(ok), false},
		{encode(notice, version, ok), false},
		{encode(notice, password, ok), true},
		{encode(password, ok, ok), true},
		{encode(&pgproto3.ErrorResponse{Message: "no"}), true},
		{encode(ok)[:8], true},
		{"S\xff\xff\xff\xff", true},
		{"S\x00\x00\x00\x00" + encode(ok), false},
	} {
		for _, slow := range []bool{false, true} {
			var r io.Reader = strings.NewReader(tt.stream)
			if slow {
				r = iotest.OneByteReader(r)
			}
			got, err := io.ReadAll(&authWatch{r: r, list: "gss"})
			if (err == nil) != tt.passes || err == nil && string(got) != tt.stream {
				t.Errorf("%q, slow %v: %d bytes, %v", tt.stream[:min(20, len(tt.stream))], slow, len(got), err)
			}
		}
	}
}

// pgconn answers a failed Read with a cancel request; where authWatch made it fail there is no session, and no need to dial.
func TestAuthWatchLeavesNoCancelRequest(t *testing.T) {
	dialled := 0
	c, _ := tcpPair(t)
	k := &connector{mode: Prefer, watched: true, dial: func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return c, nil
	}}
	conn, err := k.dialContext(t.Context(), "tcp", "127.0.0.1:1")
	if err != nil || conn.RemoteAddr() != c.RemoteAddr() {
		t.Fatalf("%v, %v", conn, err)
	}
	ok, err := (&pgproto3.AuthenticationOk{}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	below := func(w net.Conn) *otherConn { c, _ := otherBelow(w); return c }
	for name, w := range map[string]net.Conn{"in the clear": conn, "TLS": tls.Client(conn, &tls.Config{ServerName: "x"})} {
		conn.(*otherConn).failed.Store(false)
		if _, err := (&authWatch{r: bytes.NewReader(ok), list: "gss", conn: below(w)}).Read(make([]byte, 64)); err == nil {
			t.Fatalf("%s: AuthenticationOk passes", name)
		}
		a := w.RemoteAddr()
		if got, err := k.dialContext(t.Context(), a.Network(), a.String()); err == nil || dialled != 1 {
			t.Errorf("%s: %v dialled for a cancel request, by %s (%d dials)", name, got, a, dialled)
		}
	}
}
