package gssenc

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What cannot be read of the configuration is an error with prefer too: nothing is said to the server.
func TestConfigurationErrorsEndAConnect(t *testing.T) {
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	for name, source := range map[string]Source{
		"a syntax error":             {Config: writeFile(t, "krb5.conf", "[libdefaults\n")},
		"a missing include":          {Config: writeFile(t, "krb5.conf", "include /none/such\n")},
		"no such file":               {Config: filepath.Join(t.TempDir(), "none")},
		"etypes that no KDC knows":   {Config: writeFile(t, "krb5.conf", "[libdefaults]\npermitted_enctypes = unheard-of\n")},
		"two sources":                {Keytab: "a", Password: "b"},
		"a cache that cannot be had": {CCache: "API:1", Config: writeFile(t, "krb5.conf", "")},
	} {
		f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
		c := f.config(t, "sslmode=prefer")
		if err := Configure(c, Options{Source: source}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := connect(t, c); err == nil || strings.Count(err.Error(), "gssenc: configuration: ") != 3 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := f.trace(); got != "" {
			t.Errorf("%s: the server saw %q", name, got)
		}
	}
	// What libkrb5 takes is none, be it of a newer release: without credentials it goes on.
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c := f.config(t, "sslmode=prefer")
	conf := "[libdefaults]\n dns_canonicalize_hostname = fallback\n rdns = off\n ticket_lifetime = forever\n[realms]\n A = {\n  kdc = \"[::1]\"\n  x = {\n   y = z\n  }\n }\n"
	if err := Configure(c, Options{Source: Source{Config: writeFile(t, "krb5.conf", conf)}}); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c); err != nil || f.trace() != "ssl startup" {
		t.Errorf("%q, %v", f.trace(), err)
	}
}

// A configuration that is mended is read again, and a connect before that one does not stand in its way.
func TestConfigurationIsMended(t *testing.T) {
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	conf := filepath.Join(t.TempDir(), "krb5.conf")
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c := f.config(t, "sslmode=prefer")
	if err := Configure(c, Options{Source: Source{Config: conf}}); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c); err == nil {
		t.Fatal("connected")
	}
	t.Setenv("KRB5_CONFIG", conf)
	c2 := f.config(t, "sslmode=prefer")
	if err := Configure(c2, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c2); err != nil { // $KRB5_CONFIG may name what is not there
		t.Error(err)
	}
}

// wrapped is what an AfterNetConnect may put around a connection.
type wrapped struct{ net.Conn }

// After a session under GSS encryption that target_session_attrs rejects, no other method is dialled to that host; after one under
// TLS, none in the clear.
func TestTargetSessionAttrs(t *testing.T) {
	session := fakeTicket(t, 18)
	const spn = " krbspn=postgres/pg.example.test@EXAMPLE.TEST"
	for _, tt := range []struct {
		settings string
		gss      string // what the server answers
		trace    string
		channel  string // "": the connect fails
	}{
		{"target_session_attrs=prefer-standby sslmode=prefer", "G", "gssenc encrypted startup | gssenc encrypted startup", "gss"},
		{"target_session_attrs=prefer-standby sslmode=disable", "G", "gssenc encrypted startup | gssenc encrypted startup", "gss"},
		{"target_session_attrs=prefer-standby sslmode=prefer host=a,b", "G", "gssenc encrypted startup | gssenc encrypted startup | gssenc encrypted startup", "gss"},
		{"target_session_attrs=standby sslmode=prefer", "G", "gssenc encrypted startup", ""},
		{"target_session_attrs=standby sslmode=allow", "G", "gssenc encrypted startup", ""},
		{"target_session_attrs=read-only sslmode=prefer", "G", "gssenc encrypted startup", ""},
		{"target_session_attrs=read-only sslmode=prefer host=a,b", "G", "gssenc encrypted startup | gssenc encrypted startup", ""},
		{"target_session_attrs=primary sslmode=prefer", "G", "gssenc encrypted startup", "gss"},
		{"target_session_attrs=read-write sslmode=prefer", "G", "gssenc encrypted startup", "gss"},
		{"target_session_attrs=prefer-standby sslmode=prefer", "N", "gssenc ssl startup |  | ssl startup", "tls"},
		{"target_session_attrs=standby sslmode=prefer", "N", "gssenc ssl startup | ", ""},
		{"target_session_attrs=standby sslmode=allow", "N", "gssenc startup | ssl startup", ""},
		{"target_session_attrs=prefer-standby sslmode=disable", "N", "gssenc startup | startup", "plain"},
	} {
		for _, wrap := range []bool{false, true} {
			f := &fakeServer{gss: tt.gss, ssl: 'S'}
			if tt.gss == "G" {
				f.session = session
			}
			f.start(t)
			settings := tt.settings + spn
			if strings.Contains(settings, "host=") {
				_, port, _ := net.SplitHostPort(f.l.Addr().String())
				settings += " port=" + port + "," + port
			}
			c := f.config(t, settings)
			if wrap {
				c.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) { return wrapped{conn}, nil }
			}
			if err := Configure(c, withTicket(emptyConf, session)); err != nil {
				t.Fatal(err)
			}
			conn, err := pgconn.ConnectConfig(t.Context(), c)
			channel := ""
			if err == nil {
				below := conn.Conn()
				if w, ok := below.(wrapped); ok {
					below = w.Conn
				}
				switch below.(type) {
				case *Conn:
					channel = "gss"
				case *tls.Conn:
					channel = "tls"
				default:
					channel = "plain"
				}
				_ = conn.Close(t.Context())
			}
			if channel != tt.channel {
				t.Errorf("%s, wrapped %v: %q, want %q (%v)", tt.settings, wrap, channel, tt.channel, err)
			}
			if got := f.trace(); strings.TrimRight(got, "| ") != strings.TrimRight(tt.trace, "| ") {
				t.Errorf("%s, wrapped %v: the server saw %q, want %q", tt.settings, wrap, got, tt.trace)
			}
		}
	}
}

// Many connects of one configuration at once do not stand in each other's way.
func TestTargetSessionAttrsManyAtOnce(t *testing.T) {
	session := fakeTicket(t, 18)
	f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
	c := f.config(t, "target_session_attrs=prefer-standby sslmode=prefer krbspn=postgres/pg.example.test@EXAMPLE.TEST")
	if err := Configure(c, withTicket(emptyConf, session)); err != nil {
		t.Fatal(err)
	}
	failures := make(chan error)
	for range 20 {
		go func() {
			conn, err := pgconn.ConnectConfig(t.Context(), c)
			if err == nil {
				if _, gss := FromConn(conn.Conn()); !gss {
					t.Error("a session that is not under GSS encryption")
				}
				err = conn.Close(t.Context())
			}
			failures <- err
		}()
	}
	for range 20 {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if got := f.trace(); strings.Contains(strings.ReplaceAll(got, "gssenc encrypted startup", ""), "startup") || strings.Contains(got, "ssl") {
		t.Errorf("the server saw %q", got)
	}
}

// A refusal is for the connects that were under way, of that host and port, and for no other.
func TestRefusalsOfAttempts(t *testing.T) {
	k := &connector{hosts: []string{"a", "b"}}
	k.connects = 5
	k.refuse(refusal{attempt: attempt{true, 0, 4}, target: "10.0.0.1:5432", err: errNoBinding})
	k.refuse(refusal{attempt: attempt{true, 0, 5}, target: "10.0.0.1:5432", err: errNoBinding})
	k.refuse(refusal{attempt: attempt{true, 1, 5}, target: "10.0.0.9:5432", plainOnly: true, err: errNoBinding})
	if len(k.refusals) != 2 {
		t.Errorf("%d refusals, of which two are one", len(k.refusals))
	}
	for _, tt := range []struct {
		a       attempt
		target  string
		refused bool
	}{
		{attempt{false, 0, 4}, "10.0.0.1:5432", true},
		{attempt{false, 0, 5}, "10.0.0.2:5432", true}, // another address of the host
		{attempt{false, 0, 3}, "10.0.0.1:5432", false},
		{attempt{false, 0, 6}, "10.0.0.1:5432", false},
		{attempt{false, 0, 5}, "10.0.0.1:5433", false},
		{attempt{false, 1, 4}, "10.0.0.1:5432", false},
		{attempt{false, 1, 5}, "10.0.0.1:5432", true},
	} {
		if r := k.refused(tt.a, tt.target); (r != nil) != tt.refused {
			t.Errorf("%+v at %s: %+v", tt.a, tt.target, r)
		}
	}
	for i := range k.refusals {
		k.refusals[i].expires = time.Now().Add(-time.Second)
	}
	k.refuse(refusal{attempt: attempt{true, 0, 5}, everyHost: true, err: errNoBinding})
	if len(k.refusals) != 1 || k.refused(attempt{false, 1, 5}, "10.0.0.3:1") == nil {
		t.Errorf("%+v", k.refusals)
	}
}

// A look-up that fails for GSS encryption and succeeds after it, and a host that was added after Configure.
func TestLookupsThatFail(t *testing.T) {
	c := parse(t, "host=a sslmode=disable")
	fails := true
	c.LookupFunc = func(context.Context, string) ([]string, error) {
		if fails {
			return nil, errNoSuchName
		}
		return []string{"10.0.0.1"}, nil
	}
	if err := Configure(c, noTicket); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LookupFunc(t.Context(), "a"); err == nil {
		t.Error("found")
	}
	fails = false
	addresses, err := c.LookupFunc(t.Context(), c.Fallbacks[0].Host)
	if err != nil {
		t.Fatal(err)
	}
	if _, a, ok := parseAttempt(net.JoinHostPort(addresses[0], "1")); !ok || a != (attempt{false, 0, 1}) {
		t.Errorf("%q: %+v, %v", addresses, a, ok)
	}
	if addresses, err := c.LookupFunc(t.Context(), "added"); err != nil || addresses[0] != "10.0.0.1" {
		t.Errorf("%q, %v", addresses, err)
	}
}

func TestMarks(t *testing.T) {
	for _, target := range []string{"10.0.0.1:5432", "[::1]:1", "[fe80::1%eth0]:5432", "name:1"} {
		for _, a := range []attempt{{true, 0, 1}, {false, 12, 1 << 60}} {
			host, port, err := net.SplitHostPort(target)
			if err != nil {
				t.Fatal(err)
			}
			got, back, ok := parseAttempt(net.JoinHostPort(host+a.mark(), port))
			if got != target || back != a || !ok {
				t.Errorf("%s, %+v: %s, %+v, %v", target, a, got, back, ok)
			}
		}
		if got, _, ok := parseAttempt(target); got != target || ok {
			t.Errorf("%s: %s, %v", target, got, ok)
		}
	}
	for _, odd := range []string{"", "x", "10.0.0.1%gss:1", "10.0.0.1%gss1:1", "10.0.0.1%nogssx.1:1", "10.0.0.1%gss1.x:1"} {
		if got, _, ok := parseAttempt(odd); got != odd || ok {
			t.Errorf("%q: %q, %v", odd, got, ok)
		}
	}
}

// require_auth=gss with something around the connection: what counts is what is below it.
func TestRequireAuthBelowAWrapper(t *testing.T) {
	session := fakeTicket(t, 18)
	for gss, want := range map[string]string{"G": "", "N": "server did not complete authentication"} {
		f := &fakeServer{gss: gss, ssl: 'S'}
		if gss == "G" {
			f.session = session
		}
		f.start(t)
		c := f.config(t, "require_auth=gss sslmode=disable krbspn=postgres/pg.example.test@EXAMPLE.TEST")
		c.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) { return wrapped{conn}, nil }
		if err := Configure(c, withTicket(emptyConf, session)); err != nil {
			t.Fatal(err)
		}
		err := connect(t, c)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", gss, err)
		}
	}
}

// What is noted of a wrapper is forgotten when the connection is closed.
func TestWrappersAreForgotten(t *testing.T) {
	k := &connector{watched: true, beneath: map[net.Conn]net.Conn{}}
	c, _ := tcpPair(t)
	inner := &otherConn{Conn: c}
	outer := wrapped{inner}
	k.remember(outer, inner)
	if k.below(outer) != net.Conn(inner) {
		t.Error("the wrapper is not known")
	}
	_ = outer.Close()
	if len(k.beneath) != 0 {
		t.Errorf("%d are still noted", len(k.beneath))
	}
	k.remember(struct {
		net.Conn
		_ []byte
	}{Conn: inner}, inner) // a type that cannot be a key
	if len(k.beneath) != 0 {
		t.Error("noted")
	}
}

func TestConfigureTwice(t *testing.T) {
	for _, settings := range []string{"gssencmode=require", "gssencmode=prefer"} {
		c := parse(t, "host=a "+settings)
		if err := Configure(c, noTicket); err != nil {
			t.Fatal(err)
		}
		wantStage(t, Configure(c, noTicket), StageConfig, "before")
		wantStage(t, Configure(c.Copy(), noTicket), StageConfig, "before")
	}
	c := parse(t, "host=a gssencmode=disable")
	for range 2 {
		if err := Configure(c, Options{Mode: Disable}); err != nil {
			t.Error(err)
		}
	}
}

// A server that agreed once does not keep a later connect without credentials from TLS.
func TestChannelBindingForgets(t *testing.T) {
	session := fakeTicket(t, 18)
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c := f.config(t, "channel_binding=require sslmode=require")
	credentials := withTicket(emptyConf, session).Credentials
	o := Options{Acquire: func(context.Context) (*Credentials, error) { return credentials, nil }}
	if err := Configure(c, o); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c); err == nil || !strings.Contains(err.Error(), "which has none") {
		t.Errorf("with a ticket: %v", err)
	}
	if err := credentials.Close(); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c); err == nil || strings.Contains(err.Error(), "which has none") {
		t.Errorf("without one: %v", err)
	}
	if got := strings.TrimSuffix(f.trace(), " | cancel"); got != "gssenc | ssl startup" {
		t.Errorf("the server saw %q", got)
	}
}

// Neither the address of a session nor what gssenc itself says shows the marks.
func TestNoMarksAreShown(t *testing.T) {
	session := fakeTicket(t, 18)
	f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
	c := f.config(t, "krbspn=postgres/pg.example.test@EXAMPLE.TEST gssencmode=require")
	if err := Configure(c, withTicket(emptyConf, session)); err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if a, err := netip.ParseAddrPort(conn.Conn().RemoteAddr().String()); err != nil || a.String() != f.l.Addr().String() {
		t.Errorf("%s: %v", conn.Conn().RemoteAddr(), err)
	}
	_, err = c.DialFunc(t.Context(), "tcp", "127.0.0.1%nogss0.1:5432")
	wantStage(t, err, StageConfig, "but 127.0.0.1:5432 was")
}

func TestNilCredentials(t *testing.T) {
	var none *Credentials
	if _, err := none.Initiate(t.Context(), InitOptions{SPN: "postgres/x"}); stageOf(err) != StageTicket {
		t.Error(err)
	}
	if none.Principal() != "" || none.Close() != nil {
		t.Error("nil credentials have a principal, or cannot be closed")
	}
	g := NewGSS(nil, InitOptions{})
	if _, err := g.GetInitToken("pg.a.test", "postgres"); stageOf(err) != StageTicket {
		t.Error(err)
	}
	f := (&fakeServer{gss: "G", ssl: 'S'}).start(t)
	c := f.config(t, "sslmode=disable")
	if err := Configure(c, Options{Acquire: func(context.Context) (*Credentials, error) { return nil, nil }}); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, c); err != nil || f.trace() != "startup" {
		t.Errorf("%q, %v", f.trace(), err)
	}
}

// One line for each decision.
func TestLogger(t *testing.T) {
	session := fakeTicket(t, 18)
	t.Setenv("KRB5CCNAME", filepath.Join(t.TempDir(), "none"))
	const spn = " krbspn=postgres/pg.example.test@EXAMPLE.TEST"
	for name, tt := range map[string]struct {
		server   *fakeServer
		settings string
		options  Options
		lines    []string
	}{
		"under GSS": {&fakeServer{gss: "G", ssl: 'S', session: session}, "sslmode=prefer" + spn, withTicket(emptyConf, session),
			[]string{`level=INFO msg="gssenc: GSS encryption" host=pg.example.test address=127.0.0.1:PORT principal=alice@EXAMPLE.TEST service=postgres/pg.example.test@EXAMPLE.TEST etype=aes256-cts-hmac-sha1-96`}},
		"refused": {&fakeServer{gss: "N", ssl: 'S'}, "sslmode=disable" + spn, withTicket(emptyConf, session),
			[]string{`level=WARN msg="gssenc: GSS encryption failed" host=pg.example.test address=127.0.0.1:PORT error="gssenc: request: the server does not offer GSS encryption"`,
				`level=INFO msg="gssenc: no GSS encryption: what sslmode says" host=pg.example.test address=127.0.0.1:PORT`}},
		"rejected": {&fakeServer{gss: "G", ssl: 'S', session: session}, "target_session_attrs=standby sslmode=disable" + spn, withTicket(emptyConf, session),
			[]string{`msg="gssenc: GSS encryption" `, `msg="gssenc: the host is rejected, and no other method with it is tried"`}},
		"no credentials": {&fakeServer{gss: "G", ssl: 'S'}, "sslmode=disable", Options{Source: Source{Config: writeFile(t, "krb5.conf", "")}},
			[]string{`no such file or directory`, `what sslmode says`}},
		"configuration": {&fakeServer{gss: "G", ssl: 'S'}, "sslmode=disable", Options{Source: Source{Config: writeFile(t, "krb5.conf", "[x")}},
			[]string{`msg="gssenc: GSS encryption failed, and no other method is tried"`}},
	} {
		var log bytes.Buffer
		tt.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		f := tt.server.start(t)
		c := f.config(t, tt.settings)
		if err := Configure(c, tt.options); err != nil {
			t.Fatal(err)
		}
		_ = connect(t, c)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != len(tt.lines) {
			t.Errorf("%s: %d lines: %s", name, len(lines), log.String())
			continue
		}
		_, port, _ := net.SplitHostPort(f.l.Addr().String())
		for i, want := range tt.lines {
			if want = strings.ReplaceAll(want, "PORT", port); !strings.Contains(lines[i], want) {
				t.Errorf("%s: %s\nwant %s", name, lines[i], want)
			}
		}
	}
}

func TestFromConn(t *testing.T) {
	session := fakeTicket(t, 18)
	f := (&fakeServer{gss: "G", ssl: 'S', session: session}).start(t)
	c := f.config(t, "krbspn=postgres/pg.example.test@EXAMPLE.TEST")
	if err := Configure(c, withTicket(emptyConf, session)); err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	want := Session{"alice@EXAMPLE.TEST", "postgres/pg.example.test@EXAMPLE.TEST", AES256SHA1, false}
	for _, at := range []net.Conn{conn.Conn(), tls.Client(conn.Conn(), &tls.Config{ServerName: "x"})} {
		if got, ok := FromConn(at); !ok || got != want {
			t.Errorf("%T: %+v, %v", at, got, ok)
		}
	}
	other, _ := tcpPair(t)
	if _, ok := FromConn(other); ok {
		t.Error("a plain connection is under GSS encryption")
	}
}
