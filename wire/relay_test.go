package wire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serve runs a server whose every connection is given to handle and closed after it; its address is returned.
func serve(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer func() { _ = conn.Close() }()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); open.Wait() })
	return l.Addr().String()
}

func dialTo(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

func relayTo(t testing.TB, addr string) *Relay {
	t.Helper()
	r, err := Listen(t.Context(), Options{Dial: dialTo(addr)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func connect(t testing.TB, r *Relay) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// closed returns the records of a relay whose connections must end by themselves.
func closed(t testing.TB, r *Relay) []Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	records := r.Close(ctx)
	for _, rec := range records {
		if rec.Error != "" {
			t.Errorf("record must not be trusted: %s", rec.Error)
		}
		if !slices.IsSortedFunc(rec.Events, func(a, b Event) int { return int(a.Micros - b.Micros) }) {
			t.Errorf("events are not in order: %v", rec.Events)
		}
	}
	return records
}

// seen writes a record's events as lines, without the address of Open.
func seen(rec Record) []string {
	var lines []string
	for _, e := range rec.Events {
		if e.Kind == Open {
			e.Text = ""
		}
		lines = append(lines, e.From+" "+e.String())
	}
	return lines
}

func expectSeen(t testing.TB, rec Record, want ...string) {
	t.Helper()
	if got := seen(rec); !slices.Equal(got, want) {
		t.Errorf("record:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func mustRead(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %q, %v; want %q", got[:n], err, want)
	}
}

func mustWrite(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Errorf("write: %v", err)
	}
}

func mustEnd(t testing.TB, r io.Reader, want error) {
	t.Helper()
	n, err := r.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, want) {
		t.Errorf("read %d bytes, %v; want %v", n, err, want)
	}
}

func TestRelayNamesItsPort(t *testing.T) {
	ports := make(chan int, 1)
	r := relayTo(t, serve(t, func(conn *net.TCPConn) {
		ports <- conn.RemoteAddr().(*net.TCPAddr).Port
		mustRead(t, conn, startup(3<<16, "user", "alice"))
		mustWrite(t, conn, noHBA)
	}))
	conn := connect(t, r)
	mustWrite(t, conn, startup(3<<16, "user", "alice"))
	mustRead(t, conn, noHBA)
	mustEnd(t, conn, io.EOF)
	_ = conn.Close()
	records := closed(t, r)
	if port := <-ports; len(records) != 1 || records[0].ServerPort != port {
		t.Fatalf("records %v; the server saw port %d", records, port)
	}
	expectSeen(t, records[0], "relay open", "client startup user=alice 3.0", noHBAText, "server close", "client close")
}

func TestServerIsDialledBeforeTheClientSpeaks(t *testing.T) {
	r := relayTo(t, serve(t, func(conn *net.TCPConn) { mustWrite(t, conn, noHBA) }))
	conn := connect(t, r)
	mustRead(t, conn, noHBA)
	mustEnd(t, conn, io.EOF)
	_ = conn.Close()
	expectSeen(t, closed(t, r)[0], "relay open", noHBAText, "server close", "client close")
}

func TestDialFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	r := relayTo(t, nobody)
	conn, err := net.DialTCP("tcp", nil, r.Addr())
	if err == nil {
		mustEnd(t, conn, syscall.ECONNRESET)
		_ = conn.Close()
	} else if !errors.Is(err, syscall.ECONNRESET) { // the reset overtook the end of connect(2)
		t.Error(err)
	}
	rec := closed(t, r)[0]
	if rec.ServerPort != 0 || len(rec.Events) != 1 || rec.Events[0].Kind != DialFailed || !strings.Contains(rec.Events[0].Text, "refused") {
		t.Errorf("record %+v", rec)
	}
}

func TestHalfClose(t *testing.T) {
	for _, first := range []side{client, server} {
		t.Run(first.String()+" first", func(t *testing.T) {
			talk := func(conn *net.TCPConn, early bool) {
				if early {
					mustWrite(t, conn, []byte("question"))
					if err := conn.CloseWrite(); err != nil {
						t.Error(err)
					}
					mustRead(t, conn, []byte("answer"))
					mustEnd(t, conn, io.EOF)
				} else {
					mustRead(t, conn, []byte("question"))
					mustEnd(t, conn, io.EOF)
					mustWrite(t, conn, []byte("answer"))
				}
				_ = conn.Close()
			}
			r := relayTo(t, serve(t, func(conn *net.TCPConn) { talk(conn, first == server) }))
			talk(connect(t, r), first == client)
			ends := slices.DeleteFunc(seen(closed(t, r)[0]), func(line string) bool { return !strings.HasSuffix(line, " close") })
			if !slices.Equal(ends, []string{first.String() + " close", first.other().String() + " close"}) {
				t.Errorf("ends %q", ends)
			}
		})
	}
}

// A reset comes out as a reset, and what was sent before it comes out first.
func TestReset(t *testing.T) {
	abort := func(conn *net.TCPConn) {
		if err := conn.SetLinger(0); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
	t.Run("by the client", func(t *testing.T) {
		ended := make(chan struct{})
		r := relayTo(t, serve(t, func(conn *net.TCPConn) {
			defer close(ended)
			mustRead(t, conn, sslRequest)
			mustEnd(t, conn, syscall.ECONNRESET)
		}))
		conn := connect(t, r)
		mustWrite(t, conn, sslRequest)
		abort(conn)
		<-ended
		expectSeen(t, closed(t, r)[0], "relay open", "client sslrequest", "client reset")
	})
	t.Run("by the server", func(t *testing.T) {
		r := relayTo(t, serve(t, func(conn *net.TCPConn) {
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, str("N"))
			abort(conn)
		}))
		conn := connect(t, r)
		mustWrite(t, conn, sslRequest)
		mustRead(t, conn, str("N"))
		mustEnd(t, conn, syscall.ECONNRESET)
		expectSeen(t, closed(t, r)[0], "relay open", "client sslrequest", "server answer N", "server reset")
	})
	// What PostgreSQL does in TLS 1.3 when it refuses the certificate of a client that is about to send its startup packet: the client still
	// gets to write, and then to read.
	t.Run("by the server, and the client has not read yet", func(t *testing.T) {
		r := relayTo(t, serve(t, func(conn *net.TCPConn) {
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, str("N"))
			abort(conn)
		}))
		conn := connect(t, r)
		mustWrite(t, conn, sslRequest)
		for told := false; !told; {
			r.mu.Lock()
			links := slices.Clone(r.links)
			r.mu.Unlock()
			for _, l := range links {
				l.mu.Lock()
				told = l.told
				l.mu.Unlock()
			}
		}
		mustWrite(t, conn, startup(3<<16, "user", "a"))
		mustRead(t, conn, str("N"))
		mustEnd(t, conn, syscall.ECONNRESET)
		got := seen(closed(t, r)[0])
		if want := []string{"relay open", "client sslrequest", "server answer N", "server reset"}; !slices.Equal(got[:len(want)], want) {
			t.Errorf("record %q", got)
		}
	})
	// What PostgreSQL does when it refuses a client that goes on talking.
	t.Run("by a server that leaves something unread", func(t *testing.T) {
		talking := make(chan struct{})
		r := relayTo(t, serve(t, func(conn *net.TCPConn) {
			<-talking
			mustRead(t, conn, startup(3<<16, "user", "a"))
			mustWrite(t, conn, noHBA)
		}))
		conn := connect(t, r)
		mustWrite(t, conn, startup(3<<16, "user", "a"))
		mustWrite(t, conn, bytes.Repeat(message('d', str("x")), 1000))
		close(talking)
		for {
			if _, err := conn.Write(message('d', str("x"))); err != nil {
				break
			}
		}
		mustRead(t, conn, noHBA)
		got := seen(closed(t, r)[0])
		if !slices.Contains(got, noHBAText) || got[len(got)-1] != "server reset" {
			t.Errorf("record %q", got)
		}
	})
	// A peer that closed, where half-closing was possible: it answers what is sent to it with a reset.
	t.Run("by a client that had closed", func(t *testing.T) {
		ended := make(chan struct{})
		r := relayTo(t, serve(t, func(conn *net.TCPConn) {
			defer close(ended)
			mustRead(t, conn, sslRequest)
			mustEnd(t, conn, io.EOF)
			mustWrite(t, conn, str("N")) // its answer is the reset; no second write is needed to find it
			if !awaitReset(conn) {
				t.Error("the server's end was not reset")
			}
		}))
		conn := connect(t, r)
		mustWrite(t, conn, sslRequest)
		_ = conn.Close()
		<-ended
		expectSeen(t, closed(t, r)[0], "relay open", "client sslrequest", "client close", "server answer N", "client reset")
	})
}

// The relay holds no more than its buffers: a reader that does not read stops the writer.
func TestSlowReader(t *testing.T) {
	const size = 256 << 20 // more than the kernel buffers on both legs, which it sizes by itself: 33 MB each way are seen
	sum := make(chan [32]byte, 1)
	var sent int
	var mu sync.Mutex
	r := relayTo(t, serve(t, func(conn *net.TCPConn) {
		h := sha256.New()
		chunk := make([]byte, 1<<16)
		source := mathrand.NewChaCha8([32]byte{1})
		for range size / len(chunk) {
			_, _ = source.Read(chunk)
			_, _ = h.Write(chunk)
			mustWrite(t, conn, chunk)
			mu.Lock()
			sent += len(chunk)
			mu.Unlock()
		}
		sum <- [32]byte(h.Sum(nil))
	}))
	conn := connect(t, r)
	h := sha256.New()
	if _, err := io.CopyN(h, conn, 1<<20); err != nil {
		t.Fatal(err)
	}
	for last := -1; ; { // until the writer stands still
		mu.Lock()
		now := sent
		mu.Unlock()
		if now == last {
			break
		}
		last = now
		time.Sleep(100 * time.Millisecond)
	}
	mu.Lock()
	ahead := sent - 1<<20
	mu.Unlock()
	if ahead > size/2 {
		t.Errorf("the server is %d bytes ahead of the client: the relay does not hold it back", ahead)
	}
	if _, err := io.Copy(h, conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if [32]byte(h.Sum(nil)) != <-sum {
		t.Error("other bytes came than were sent")
	}
	closed(t, r)
}

// A client may come and go before the relay has got round to accepting it.
func TestCloseMissesNoConnection(t *testing.T) {
	for range 20 {
		r := relayTo(t, serve(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }))
		const n = 25
		for i := range n {
			conn, err := net.DialTCP("tcp", nil, r.Addr())
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, conn, startup(3<<16, "user", fmt.Sprint("u", i)))
			_ = conn.Close()
		}
		records := closed(t, r)
		if len(records) != n {
			t.Fatalf("%d records for %d connections", len(records), n)
		}
		for i, rec := range records {
			expectSeen(t, rec, "relay open", fmt.Sprintf("client startup user=u%d 3.0", i), "client close", "server close")
		}
		if again := r.Close(t.Context()); len(again) != n {
			t.Errorf("closed again: %d records", len(again))
		}
		if conn, err := net.DialTCP("tcp", nil, r.Addr()); err == nil {
			_ = conn.Close()
			t.Fatal("a closed relay still listens")
		}
	}
}

func TestCloseCuts(t *testing.T) {
	started := make(chan struct{})
	r := relayTo(t, serve(t, func(conn *net.TCPConn) {
		mustRead(t, conn, sslRequest)
		close(started)
		mustEnd(t, conn, syscall.ECONNRESET)
	}))
	conn := connect(t, r)
	mustWrite(t, conn, sslRequest)
	<-started
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the attempt is over"))
	records := r.Close(ctx)
	mustEnd(t, conn, syscall.ECONNRESET)
	if len(records) != 1 || !strings.Contains(records[0].Error, "cut by the relay") || !strings.Contains(records[0].Error, "the attempt is over") {
		t.Errorf("records %+v", records)
	}
}

func TestCloseCutsADial(t *testing.T) {
	dialling := make(chan struct{})
	r, err := Listen(t.Context(), Options{Dial: func(ctx context.Context) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, r)
	<-dialling
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	records := r.Close(ctx)
	mustEnd(t, conn, syscall.ECONNRESET)
	if len(records) != 1 || records[0].Error == "" || records[0].ServerPort != 0 {
		t.Errorf("records %+v", records)
	}
}

// Where addresses are rewritten on the way, the connection that marks the end of the queue is not known again.
func TestCloseWithoutItsMark(t *testing.T) {
	r := relayTo(t, serve(t, func(*net.TCPConn) {}))
	r.last, r.patience = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, time.Millisecond
	records := r.Close(t.Context())
	if len(records) != 1 || !strings.Contains(records[0].Error, "cannot tell whether it saw every connection") {
		t.Fatalf("%+v", records)
	}
}

func TestListenErrors(t *testing.T) {
	if _, err := Listen(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "Dial") {
		t.Errorf("no Dial: %v", err)
	}
	r := relayTo(t, "127.0.0.1:1")
	defer r.Close(t.Context())
	if _, err := Listen(t.Context(), Options{Addr: r.Addr().String(), Dial: dialTo("127.0.0.1:1")}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("address in use: %v", err)
	}
}

// authority signs certificates for this test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	leaf := a.issue(t, "authority")
	a.cert, a.key = leaf.Leaf, leaf.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Go's TLS on both sides: the bytes are not of our making.
func TestTLS(t *testing.T) {
	right, wrong := newAuthority(t), newAuthority(t)
	serverCert, strange := right.issue(t, "db.example"), wrong.issue(t, "alice")
	type configs struct{ client, server tls.Config }
	for _, tc := range []struct {
		name    string
		max     uint16
		direct  bool
		fails   bool
		change  func(*configs)
		want    []string // between open and the first close or reset
		skipEnd bool
	}{
		{name: "1.3", max: tls.VersionTLS13, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
		{name: "1.2", max: tls.VersionTLS12, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.2", "server server-hello TLSv1.2", "client tls-data", "server tls-data"}},
		{name: "direct 1.3", max: tls.VersionTLS13, direct: true, change: func(c *configs) {
			c.client.NextProtos, c.server.NextProtos = []string{"postgresql"}, []string{"postgresql"}
		}, want: []string{
			"client direct-tls", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
		{name: "direct 1.2", max: tls.VersionTLS12, direct: true, change: func(c *configs) {
			c.client.NextProtos, c.server.NextProtos = []string{"postgresql", "h2"}, []string{"postgresql"}
		}, want: []string{
			"client direct-tls", "client client-hello alpn=postgresql,h2 sni=db.example max=TLSv1.2", "server server-hello TLSv1.2 alpn=postgresql", "client tls-data", "server tls-data"}},
		{name: "no protocol in common", max: tls.VersionTLS13, direct: true, fails: true, change: func(c *configs) {
			c.client.NextProtos, c.server.NextProtos = []string{"h2"}, []string{"postgresql"}
		}, want: []string{
			"client direct-tls", "client client-hello alpn=h2 sni=db.example max=TLSv1.3", "server tls-alert fatal 120 no_application_protocol"}},
		{name: "retry for another group", max: tls.VersionTLS13, change: func(c *configs) {
			c.client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
			c.server.CurvePreferences = []tls.CurveID{tls.CurveP384}
		}, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.3", "server server-hello TLSv1.3 retry",
			"client client-hello sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
		{name: "no version in common", max: tls.VersionTLS12, fails: true, change: func(c *configs) {
			c.server.MinVersion, c.server.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
		}, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.2", "server tls-alert fatal 70 protocol_version"}},
		{name: "client knows another authority, 1.2", max: tls.VersionTLS12, fails: true, change: func(c *configs) { c.client.RootCAs = wrong.pool }, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.2", "server server-hello TLSv1.2", "client tls-alert fatal 42 bad_certificate"}},
		{name: "client knows another authority, 1.3", max: tls.VersionTLS13, fails: true, change: func(c *configs) { c.client.RootCAs = wrong.pool }, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
		{name: "client certificate refused, 1.2", max: tls.VersionTLS12, fails: true, change: func(c *configs) {
			c.server.ClientAuth, c.server.ClientCAs = tls.RequireAndVerifyClientCert, right.pool
			c.client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &strange, nil }
		}, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.2", "server server-hello TLSv1.2", "server tls-alert fatal 48 unknown_ca"}},
		{name: "client certificate refused, 1.3", max: tls.VersionTLS13, fails: true, change: func(c *configs) {
			c.server.ClientAuth, c.server.ClientCAs = tls.RequireAndVerifyClientCert, right.pool
			c.client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &strange, nil }
		}, want: []string{
			"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both := configs{
				client: tls.Config{ServerName: "db.example", RootCAs: right.pool, MaxVersion: tc.max},
				server: tls.Config{Certificates: []tls.Certificate{serverCert}, MaxVersion: tc.max},
			}
			if tc.change != nil {
				tc.change(&both)
			}
			r := relayTo(t, serve(t, func(conn *net.TCPConn) {
				if !tc.direct {
					mustRead(t, conn, sslRequest)
					mustWrite(t, conn, str("S"))
				}
				secure := tls.Server(conn, &both.server)
				err := secure.Handshake()
				if err == nil {
					_, err = io.Copy(secure, secure)
				}
				if (err != nil) != tc.fails {
					t.Errorf("server: %v", err)
				}
				_ = secure.Close()
			}))
			conn := connect(t, r)
			if !tc.direct {
				mustWrite(t, conn, sslRequest)
				mustRead(t, conn, str("S"))
			}
			secure := tls.Client(conn, &both.client)
			err := secure.Handshake()
			if err == nil {
				_, _ = secure.Write([]byte("ping"))
				_, err = io.ReadFull(secure, make([]byte, 4))
			}
			if (err != nil) != tc.fails {
				t.Errorf("client: %v", err)
			}
			_ = secure.Close()
			got := seen(closed(t, r)[0])
			end := slices.IndexFunc(got, func(line string) bool { return strings.HasSuffix(line, " close") || strings.HasSuffix(line, " reset") })
			if end < 0 {
				t.Fatalf("the record has no end: %q", got)
			}
			if !slices.Equal(got[1:end], tc.want) {
				t.Errorf("record:\n got %s\nwant %s", strings.Join(got[1:end], "\n     "), strings.Join(tc.want, "\n     "))
			}
		})
	}
}

// Many attempts at once, a relay and two connections each; every record must be its own attempt's.
func TestManyAtOnce(t *testing.T) {
	var mu sync.Mutex
	users := map[int]string{} // by the port the server saw
	addr := serve(t, func(conn *net.TCPConn) {
		head := make([]byte, 4)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Error(err)
			return
		}
		rest := make([]byte, int(head[3])-4)
		if _, err := io.ReadFull(conn, rest); err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		users[conn.RemoteAddr().(*net.TCPAddr).Port] = strings.Split(string(rest[4:]), "\x00")[1]
		mu.Unlock()
		mustWrite(t, conn, cat(authOK, ready))
		_, _ = io.Copy(io.Discard, conn)
	})
	var attempts sync.WaitGroup
	queue := make(chan int)
	for range 16 {
		attempts.Go(func() {
			for i := range queue {
				r := relayTo(t, addr)
				var names []string
				for j := range 2 {
					name := fmt.Sprintf("u%d.%d", i, j)
					names = append(names, name)
					conn, err := net.DialTCP("tcp", nil, r.Addr())
					if err != nil {
						t.Error(err)
						continue
					}
					mustWrite(t, conn, startup(3<<16, "user", name))
					mustRead(t, conn, cat(authOK, ready))
					mustWrite(t, conn, message('X'))
					_ = conn.Close()
				}
				records := closed(t, r)
				if len(records) != 2 {
					t.Errorf("%d records", len(records))
					continue
				}
				for j, rec := range records {
					mu.Lock()
					who := users[rec.ServerPort]
					delete(users, rec.ServerPort) // ports come round again
					mu.Unlock()
					if who != names[j] {
						t.Errorf("record %d names port %d, where the server saw %q; want %q", j, rec.ServerPort, who, names[j])
					}
					expectSeen(t, rec, "relay open", "client startup user="+names[j]+" 3.0", "server auth-request ok", "server ready", "client close", "server close")
				}
			}
		})
	}
	for i := range 300 {
		queue <- i
	}
	close(queue)
	attempts.Wait()
}

// FuzzRelay sends anything both ways through a relay: it must come out as it went in, whatever the parser made of it.
func FuzzRelay(f *testing.F) {
	for _, tc := range parserCases {
		var talk [2][]byte
		for _, say := range tc.talk {
			talk[say.from] = append(talk[say.from], say.b...)
		}
		f.Add(talk[client], talk[server], uint8(7))
	}
	f.Fuzz(func(t *testing.T, ours, theirs []byte, piece uint8) {
		exchange := func(conn *net.TCPConn, out, in []byte) {
			var both sync.WaitGroup
			both.Go(func() {
				for b := range slices.Chunk(out, int(piece)+1) {
					mustWrite(t, conn, b)
				}
				_ = conn.CloseWrite()
			})
			got, err := io.ReadAll(conn)
			both.Wait()
			if err != nil || !bytes.Equal(got, in) {
				t.Errorf("got %q, %v; want %q", got, err, in)
			}
		}
		ended := make(chan struct{})
		r := relayTo(t, serve(t, func(conn *net.TCPConn) { defer close(ended); exchange(conn, theirs, ours) }))
		exchange(connect(t, r), ours, theirs)
		<-ended
		if records := closed(t, r); len(records) != 1 || len(records[0].Events) > 2*maxEvents+4 {
			t.Errorf("%d records", len(records))
		}
	})
}
