package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// backend is a server that plays PostgreSQL as far as these tests go: requests, a password, queries.
type backend struct {
	tls   *tls.Config // nil: N to SSLRequest
	gss   byte        // the answer to GSSENCRequest; 0: N
	mu    sync.Mutex
	heard []string // requests, startup packets, passwords and queries, in the order they came
}

func (b *backend) hear(format string, args ...any) {
	b.mu.Lock()
	b.heard = append(b.heard, fmt.Sprintf(format, args...))
	b.mu.Unlock()
}

func (b *backend) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.heard, " | ")
}

// packet reads a packet without a type byte.
func packet(r io.Reader) ([]byte, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head)
	if size < 8 || size > maxStartup {
		return nil, errors.New("bad length")
	}
	rest := make([]byte, size-8)
	_, err := io.ReadFull(r, rest)
	return cat(head, rest), err
}

func typed(r io.Reader) (byte, []byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	if head[0] < 'A' {
		return head[0], nil, nil // no message; the server says so
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(r, body)
	return head[0], body, err
}

func (b *backend) serve(conn *net.TCPConn) {
	var c io.ReadWriter = conn
	for {
		p, err := packet(c)
		if err != nil {
			return
		}
		switch {
		case bytes.Equal(p, sslRequest):
			b.hear("ssl")
			if b.tls == nil {
				_, _ = c.Write(str("N"))
				continue
			}
			_, _ = c.Write(str("S"))
			secure := tls.Server(conn, b.tls)
			if secure.Handshake() != nil {
				return
			}
			c = secure
			defer func() { _ = secure.Close() }()
			continue
		case bytes.Equal(p, gssencRequest):
			b.hear("gssenc")
			if b.gss == 'G' {
				_, _ = c.Write(str("G"))
				token := make([]byte, len(apReq))
				n, _ := io.ReadFull(c, token)
				b.hear("token of %d", n)
				_, _ = c.Write(cat(apRep, wrapped))
				n, _ = io.ReadFull(c, make([]byte, len(wrapped)))
				b.hear("sealed %d", n)
				return
			}
			_, _ = c.Write(str("N"))
			continue
		}
		b.hear("startup %s", strings.Split(string(p[8:]), "\x00")[1])
		_, _ = c.Write(authCleartext)
		kind, body, err := typed(c)
		if err != nil || kind != 'p' {
			_, _ = c.Write(errorResponse("C08P01", "Mexpected password response"))
			return
		}
		b.hear("password %s", bytes.TrimRight(body, "\x00"))
		_, _ = c.Write(cat(authOK, message('S', str("server_version\x0017\x00")), keyData, ready))
		for {
			kind, body, err := typed(c)
			if err != nil || kind == 'X' {
				return
			}
			sql := string(bytes.TrimRight(body, "\x00"))
			b.hear("query %s", sql)
			switch {
			case sql == "":
				_, _ = c.Write(cat(message('I'), ready))
			case strings.HasPrefix(sql, "bad"):
				_, _ = c.Write(cat(errorResponse("C42601", "Msyntax error"), ready))
			default:
				_, _ = c.Write(cat(message('T', u16(0)), message('D', u16(0)), message('C', str("SELECT 1\x00")), ready))
			}
		}
	}
}

func attacked(t testing.TB, addr string, tamper Tamper) *Relay {
	t.Helper()
	r, err := Listen(t.Context(), Options{Dial: dialTo(addr), Tamper: &tamper})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// frontend is a client. ways are tried on one connection: g and s ask and go on after N, S wants TLS, d begins with
// it; then comes the startup packet. It returns what came of it in a word.
func frontend(t testing.TB, r *Relay, ways string, config *tls.Config) string {
	t.Helper()
	conn := connect(t, r)
	defer func() { _ = conn.Close() }()
	var c io.ReadWriter = conn
	handshake := func() error {
		config := config.Clone()
		config.NextProtos = []string{"postgresql"}
		secure := tls.Client(conn, config)
		c = secure
		return secure.Handshake()
	}
	for _, way := range ways {
		ask, accept := sslRequest, byte('S')
		switch way {
		case 'd':
			if err := handshake(); err != nil {
				return "direct: " + err.Error()
			}
			continue
		case 'g':
			ask, accept = gssencRequest, 'G'
		}
		mustWrite(t, c, ask)
		answer := make([]byte, 1)
		if _, err := io.ReadFull(c, answer); err != nil {
			return "no answer"
		}
		switch {
		case answer[0] == accept && accept == 'G':
			mustWrite(t, c, apReq)
			rest, _ := io.ReadAll(io.LimitReader(c, int64(len(apRep)+len(wrapped))))
			_, _ = c.Write(wrapped)
			return fmt.Sprintf("gss %d", len(rest))
		case answer[0] == accept:
			if err := handshake(); err != nil {
				return "tls: " + err.Error()
			}
		case answer[0] == 'E':
			rest, _ := io.ReadAll(c)
			return "E" + string(rest)
		case way == 'S':
			return "no TLS"
		}
	}
	if _, err := c.Write(startup(3<<16, "user", "alice")); err != nil {
		return "startup: " + err.Error()
	}
	for {
		kind, body, err := typed(c)
		if err != nil {
			return "lost"
		}
		switch {
		case kind == 'R' && bytes.Equal(body, u32(3)):
			_, _ = c.Write(message('p', str("s3cret\x00")))
		case kind == 'R' && bytes.Equal(body, u32(7)):
			_, _ = c.Write(message('p', apReq[4:]))
		case kind == 'E':
			return "error " + string(body[1:6])
		case kind == 'Z':
			_, _ = c.Write(message('Q', str("select mine\x00")))
			var answer []byte
			for {
				kind, _, err := typed(c)
				if err != nil {
					return "lost in the query"
				}
				if answer = append(answer, kind); kind == 'Z' {
					break
				}
			}
			_, _ = c.Write(message('X'))
			return "session " + string(answer)
		}
	}
}

// attackerDid is what a record says of the attacker.
func attackerDid(rec Record) string {
	var words []string
	for _, e := range rec.Events {
		if e.From == "attacker" {
			words = append(words, e.String())
		}
	}
	return strings.Join(words, " | ")
}

func TestTamper(t *testing.T) {
	right, wrong := newAuthority(t), newAuthority(t)
	serverCert, forged := right.issue(t, "db.example"), wrong.issue(t, "db.example")
	serverTLS := &tls.Config{Certificates: []tls.Certificate{serverCert}, NextProtos: []string{"postgresql"}}
	loose := &tls.Config{InsecureSkipVerify: true}
	strict := &tls.Config{RootCAs: right.pool, ServerName: "db.example"}
	strict12 := &tls.Config{RootCAs: right.pool, ServerName: "db.example", MaxVersion: tls.VersionTLS12}
	session := "session TDCZ"
	row := [][2]string{{"who", "mallory"}}
	for _, tc := range []struct {
		name     string
		tamper   Tamper
		plain    bool // the server has no TLS
		gss      byte
		ways     string
		config   *tls.Config
		client   string // what the client got
		did      string // the attacker
		heard    string // the server
		loot     Loot
		upstream bool
		// mayAnswer: the server's error crosses the client's password, which may be seen or not.
		mayAnswer bool
	}{
		{name: "strip, prefer", tamper: Tamper{Attack: Strip}, ways: "gs", client: session, did: "answered N to gssencrequest | answered N to sslrequest",
			heard: "startup alice | password s3cret | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, Downgraded: true, ServerSession: true}},
		{name: "strip, require", tamper: Tamper{Attack: Strip}, ways: "S", client: "no TLS", did: "answered N to sslrequest", upstream: true},
		{name: "strip, direct", tamper: Tamper{Attack: Strip}, ways: "d", config: strict, client: "direct: EOF", did: "cut close at direct-tls", upstream: true},
		{name: "strip, a client that asks for nothing", tamper: Tamper{Attack: Strip}, client: session, did: "idle the client sent no request for encryption",
			heard: "startup alice | password s3cret | query select mine",
			loot:  Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "strip-gss", tamper: Tamper{Attack: StripGSS}, gss: 'G', ways: "gS", config: strict, client: session, did: "answered N to gssencrequest",
			heard: "ssl | startup alice | password s3cret | query select mine", upstream: true},
		{name: "strip-gss, no GSS", tamper: Tamper{Attack: StripGSS}, ways: "S", config: strict, client: session, did: "idle the client sent no GSSENCRequest",
			heard: "ssl | startup alice | password s3cret | query select mine"},

		{name: "impersonate, no verification", tamper: Tamper{Attack: Impersonate, Certificate: &forged}, ways: "gS", config: loose, client: session,
			did:   "answered N to gssencrequest | answered S to sslrequest | impersonated TLSv1.3 alpn=postgresql",
			heard: "ssl | startup alice | password s3cret | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ClientSession: true, ServerSession: true}},
		{name: "impersonate, direct, server without TLS", tamper: Tamper{Attack: Impersonate, Certificate: &forged}, plain: true, ways: "d", config: loose, client: session,
			did: "impersonated TLSv1.3 alpn=postgresql", heard: "ssl | startup alice | password s3cret | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ClientSession: true, ServerSession: true}},
		{name: "impersonate, verification", tamper: Tamper{Attack: Impersonate, Certificate: &forged}, ways: "S", config: strict,
			client: "tls: tls: failed to verify certificate: x509: certificate signed by unknown authority…",
			did:    "answered S to sslrequest | refused client: remote error: tls: bad certificate", upstream: true},
		{name: "impersonate, verification, TLS 1.2", tamper: Tamper{Attack: Impersonate, Certificate: &forged}, ways: "S", config: strict12,
			client: "tls: tls: failed to verify certificate: x509: certificate signed by unknown authority…",
			did:    "answered S to sslrequest | refused client: alert fatal 42 bad_certificate", upstream: true},
		{name: "impersonate and inject", tamper: Tamper{Attack: Impersonate, Certificate: &forged, SQL: "select yours"}, ways: "S", config: loose, client: session,
			did:   "answered S to sslrequest | impersonated TLSv1.3 alpn=postgresql | injected select yours -> ok SELECT 1",
			heard: "ssl | startup alice | password s3cret | query select yours | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ClientSession: true, ServerSession: true, Injected: true}},
		{name: "impersonate a client in the clear, inject nothing", tamper: Tamper{Attack: Impersonate, Certificate: &forged}, client: session,
			did: "idle the client sent no request for encryption", heard: "startup alice | password s3cret | query select mine",
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},

		{name: "inject", tamper: Tamper{Attack: Inject, SQL: "select yours"}, plain: true, ways: "gs", client: session, did: "injected select yours -> ok SELECT 1",
			heard: "gssenc | ssl | startup alice | password s3cret | query select yours | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true, Injected: true}},
		{name: "inject what fails", tamper: Tamper{Attack: Inject, SQL: "bad -> ok "}, client: session, did: "injected bad -> ok  -> error 42601 syntax error",
			heard: "startup alice | password s3cret | query bad -> ok  | query select mine", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "inject into TLS", tamper: Tamper{Attack: Inject, SQL: "select yours"}, ways: "S", config: strict, client: session, did: "idle the conversation is sealed",
			heard: "ssl | startup alice | password s3cret | query select mine"},
		{name: "inject into GSS", tamper: Tamper{Attack: Inject, SQL: "select yours"}, gss: 'G', ways: "g", client: fmt.Sprint("gss ", len(apRep)+len(wrapped)), did: "idle the conversation is sealed",
			heard: fmt.Sprintf("gssenc | token of %d | sealed %d", len(apReq), len(wrapped))},

		{name: "forge, plain", tamper: Tamper{Attack: ForgeOK, Certificate: &forged, Row: row}, client: session, did: "forged ok", upstream: true,
			loot: Loot{Startup: true, Query: true, Believed: true}},
		{name: "forge, TLS", tamper: Tamper{Attack: ForgeOK, Certificate: &forged, Row: row}, ways: "gS", config: loose, client: session, upstream: true,
			did:  "answered N to gssencrequest | answered S to sslrequest | impersonated TLSv1.3 alpn=postgresql | forged ok",
			loot: Loot{Startup: true, Query: true, ClientSession: true, Believed: true}},
		{name: "forge, direct TLS", tamper: Tamper{Attack: ForgeGSSOK, Certificate: &forged, Row: row}, ways: "d", config: loose, client: session, upstream: true,
			did:  "impersonated TLSv1.3 alpn=postgresql | forged gss | forged ok",
			loot: Loot{Startup: true, Passwords: []string{"gss"}, Query: true, ClientSession: true, Believed: true}},
		{name: "forge, verification", tamper: Tamper{Attack: ForgeAPRep, Certificate: &forged, Row: row}, ways: "S", config: strict,
			client: "tls: tls: failed to verify certificate: x509: certificate signed by unknown authority…",
			did:    "answered S to sslrequest | refused client: remote error: tls: bad certificate", upstream: true},
		{name: "forge a login with GSSAPI", tamper: Tamper{Attack: ForgeGSSOK, Certificate: &forged, Row: row}, ways: "g", client: session, upstream: true,
			did:  "answered N to gssencrequest | forged gss | forged ok",
			loot: Loot{Startup: true, Passwords: []string{"gss"}, Query: true, Downgraded: true, Believed: true}},
		{name: "forge an AP-REP", tamper: Tamper{Attack: ForgeAPRep, Certificate: &forged, Row: row}, client: session, did: "forged gss | forged gss-continue | forged ok", upstream: true,
			loot: Loot{Startup: true, Passwords: []string{"gss"}, Query: true, Believed: true}},
		{name: "forge an AP-REP in GSS set-up", tamper: Tamper{Attack: ForgeAPRep, Certificate: &forged, Row: row}, ways: "g", client: fmt.Sprint("gss ", 4+len(forgedAPRep(nil))), upstream: true,
			did: "answered G to gssencrequest | answered a token to gssencrequest"},

		{name: "error to SSLRequest", tamper: Tamper{Attack: Error, Text: "call 555"}, ways: "s", client: "E" + string(errorMessage("call 555")[1:]),
			did: "answered an ErrorResponse to sslrequest", upstream: true, loot: Loot{Text: true}},
		{name: "error to GSSENCRequest", tamper: Tamper{Attack: Error, Text: "call 555"}, ways: "g", client: "E" + string(errorMessage("call 555")[1:]),
			did: "answered an ErrorResponse to gssencrequest", upstream: true, loot: Loot{Text: true}},
		{name: "unterminated error to SSLRequest", tamper: Tamper{Attack: ErrorUnterminated, Text: "call 555"}, ways: "s", client: "Ecall 555",
			did: "answered an unterminated error to sslrequest", upstream: true, loot: Loot{Text: true}},
		{name: "unterminated error in GSS set-up", tamper: Tamper{Attack: ErrorUnterminated, Text: "call 555"}, ways: "g", client: "gss 9",
			did: "answered G to gssencrequest | answered an unterminated error to gssencrequest", upstream: true, loot: Loot{Text: true}},

		{name: "stuff-client", tamper: Tamper{Attack: StuffClient, SQL: "select yours", User: "mallory"}, plain: true, ways: "s", client: "error 08P01", mayAnswer: true,
			did: "inserted 40 bytes to the server", heard: "ssl | startup mallory", upstream: true, loot: Loot{Startup: true, Downgraded: true}},
		{name: "stuff-server, no S", tamper: Tamper{Attack: StuffServer, Text: "x"}, plain: true, ways: "s", client: session, did: "idle the server answered no request with S or G",
			heard: "ssl | startup alice | password s3cret | query select mine", loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "stuff-server", tamper: Tamper{Attack: StuffServer, Bytes: []byte("zzzzz")}, ways: "S", config: strict,
			client: "tls: tls: first record does not look like a TLS handshake", did: "inserted 5 bytes to the client", heard: "ssl", upstream: true},

		{name: "replay a startup packet", tamper: Tamper{Attack: Replay}, client: "error 08P01", mayAnswer: true, did: "replayed 20 bytes: startup", heard: "startup alice", upstream: true,
			loot: Loot{Startup: true}},
		{name: "replay a token", tamper: Tamper{Attack: Replay}, gss: 'G', ways: "g", client: fmt.Sprint("gss ", len(apRep)+len(wrapped)), did: fmt.Sprintf("replayed %d bytes: gss-token", len(apReq)),
			heard: fmt.Sprintf("gssenc | token of %d | sealed %d", len(apReq), len(wrapped)), upstream: true},
		{name: "replay a ClientHello", tamper: Tamper{Attack: Replay}, ways: "S", config: &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}},
			client: "…", did: "replayed N bytes: client-hello", heard: "ssl"},

		{name: "flip from the server", tamper: Tamper{Attack: Flip, From: "server"}, ways: "S", config: strict, client: "tls: local error: tls: bad record MAC",
			did: "flipped a bit of the first sealed record from the server", heard: "ssl"},
		{name: "flip from the client", tamper: Tamper{Attack: Flip, From: "client"}, ways: "S", config: strict, client: "lost",
			did: "flipped a bit of the first sealed record from the client", heard: "ssl"},
		{name: "flip in the clear", tamper: Tamper{Attack: Flip, From: "client"}, plain: true, ways: "s", client: session, did: "idle the client sent nothing sealed",
			heard: "ssl | startup alice | password s3cret | query select mine", loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},

		{name: "cut at the answer", tamper: Tamper{Attack: CutClose}, ways: "S", client: "no answer", did: "cut close at answer", heard: "ssl", upstream: true},
		{name: "cut at startup", tamper: Tamper{Attack: CutClose, At: "startup"}, client: "lost", did: "cut close at startup", upstream: true, loot: Loot{Startup: true}},
		{name: "reset at AuthenticationOk", tamper: Tamper{Attack: CutReset, At: "auth-request ok"}, client: "lost", did: "cut reset at auth-request ok",
			heard: "startup alice | password s3cret", upstream: true, loot: Loot{Startup: true, Passwords: []string{"password"}, ServerSession: true}},
		{name: "reset at the second answer", tamper: Tamper{Attack: CutReset, Nth: 2}, ways: "gs", client: "no answer", did: "cut reset at answer", heard: "gssenc | ssl", upstream: true},
		{name: "reset at what does not come", tamper: Tamper{Attack: CutReset, At: "gss-token"}, client: session, did: "idle there was no gss-token",
			heard: "startup alice | password s3cret | query select mine", loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "cut at a handshake, TLS", tamper: Tamper{Attack: CutClose, At: "server-hello|gss-token", From: "server"}, ways: "S", config: strict, client: "tls: EOF",
			did: "cut close at server-hello", heard: "ssl", upstream: true},
		{name: "cut at a handshake, GSS", tamper: Tamper{Attack: CutClose, At: "server-hello|gss-token", From: "server"}, gss: 'G', ways: "g", client: "gss 0",
			did: "cut close at gss-token", heard: fmt.Sprintf("gssenc | token of %d | sealed 0", len(apReq)), upstream: true},
		{name: "cut at a handshake, none", tamper: Tamper{Attack: CutClose, At: "server-hello|gss-token", From: "server"}, client: session, did: "idle there was no server-hello or gss-token",
			heard: "startup alice | password s3cret | query select mine", loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "replay no startup packet", tamper: Tamper{Attack: Replay, At: "client-hello|gss-token"}, client: session, did: "idle the client sent nothing that was to be replayed",
			heard: "startup alice | password s3cret | query select mine", loot: Loot{Startup: true, Passwords: []string{"password"}, Query: true, ServerSession: true}},
		{name: "delay", tamper: Tamper{Attack: Delay, Delay: time.Millisecond, At: "answer S"}, ways: "S", config: strict, client: session, did: "delayed 1ms at answer S",
			heard: "ssl | startup alice | password s3cret | query select mine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := &backend{tls: serverTLS, gss: tc.gss}
			if tc.plain {
				b.tls = nil
			}
			r := attacked(t, serve(t, b.serve), tc.tamper)
			if got := frontend(t, r, tc.ways, tc.config); got != tc.client && (tc.client != "…" || got == session) && !strings.HasPrefix(got, strings.TrimSuffix(tc.client, "…")+" (possibly") {
				t.Errorf("the client got %q, want %q", got, tc.client)
			}
			records := closed(t, r)
			if len(records) != 1 {
				t.Fatalf("%d records", len(records))
			}
			did := attackerDid(records[0])
			if strings.Contains(tc.did, " N bytes") {
				did = "replayed N bytes" + did[strings.Index(did, ":"):]
			}
			if did != tc.did {
				t.Errorf("the attacker did %q, want %q", did, tc.did)
			}
			if got := b.said(); got != tc.heard {
				t.Errorf("the server heard %q, want %q", got, tc.heard)
			}
			got := Obtained(records)
			if tc.mayAnswer {
				got.Passwords = nil
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tc.loot) {
				t.Errorf("loot\n got %+v\nwant %+v", got, tc.loot)
			}
			if tc.upstream != (records[0].Upstream != nil) && !strings.Contains(tc.did, "client-hello") {
				t.Errorf("events %q\nupstream %q", seen(records[0]), seen(Record{Events: records[0].Upstream}))
			}
			if all := fmt.Sprint(records); strings.Contains(all, "s3cret") {
				t.Errorf("the password is in the record: %s", all)
			}
		})
	}
}

// upTo leaves out how a conversation ended: who is first is chance.
func upTo(events []Event) []Event {
	end := slices.IndexFunc(events, func(e Event) bool { return e.Kind == Close || e.Kind == Reset })
	return events[:max(end, 0)]
}

// Both legs of an impersonated conversation, whole.
func TestTamperRecordsBothLegs(t *testing.T) {
	cert := newAuthority(t).issue(t, "db.example")
	b := &backend{tls: &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}}
	r := attacked(t, serve(t, b.serve), Tamper{Attack: Impersonate, Certificate: &cert, SQL: "select yours"})
	if got := frontend(t, r, "gS", &tls.Config{InsecureSkipVerify: true}); got != "session TDCZ" {
		t.Fatal(got)
	}
	rec := closed(t, r)[0]
	expectSeen(t, Record{Events: upTo(rec.Events)}, "relay open",
		"client gssencrequest", "attacker answered N to gssencrequest", "server answer N", "client sslrequest", "attacker answered S to sslrequest", "server answer S",
		"client client-hello alpn=postgresql max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data", "attacker impersonated TLSv1.3 alpn=postgresql",
		"client startup user=alice 3.0", "server auth-request password", "client password password", "server auth-request ok",
		"attacker injected select yours -> ok SELECT 1", "server ready", "client query")
	expectSeen(t, Record{Events: upTo(rec.Upstream)},
		"client sslrequest", "server answer S", "client client-hello alpn=postgresql max=TLSv1.3", "server server-hello TLSv1.2", "client startup user=alice 3.0", "client tls-data", "server tls-data",
		"server auth-request password", "client password password", "server auth-request ok", "server ready", "client query")
	if got := strings.Join(Steps([]Record{rec}), " "); got != "connect gssreject sslaccept authok" {
		t.Errorf("steps %s", got)
	}
}

// A forged conversation, whole: byte for byte at the client's end, and nothing at the server's.
func TestForge(t *testing.T) {
	cert := newAuthority(t).issue(t, "db.example")
	b := &backend{}
	r := attacked(t, serve(t, b.serve), Tamper{Attack: ForgeAPRep, Certificate: &cert, Row: [][2]string{{"who", "mallory"}, {"empty", ""}}})
	conn := connect(t, r)
	mustWrite(t, conn, startup(3<<16, "user", "alice"))
	mustRead(t, conn, authGSS)
	mustWrite(t, conn, message('p', apReq[4:]))
	kind, body, err := typed(conn)
	if err != nil || kind != 'R' || !bytes.HasPrefix(body, u32(8)) || tokenKind(body[4:]) != "ap-rep" {
		t.Fatalf("%c %x, %v", kind, body, err)
	}
	mustRead(t, conn, authOK)
	mustRead(t, conn, welcome())
	columns := message('T', u16(2), str("who\x00"), make([]byte, 6), u32(25), unhex("ffff ffffffff 0000"), str("empty\x00"), make([]byte, 6), u32(25), unhex("ffff ffffffff 0000"))
	data := cat(message('D', u16(2), u32(7), str("mallory"), u32(0)), message('C', str("SELECT 1\x00")))
	for range 2 {
		mustWrite(t, conn, message('Q', str("select mine\x00")))
		mustRead(t, conn, cat(columns, data, ready))
	}
	// the same by the extended protocol
	mustWrite(t, conn, cat(message('P', str("s\x00select mine\x00"), u16(0)), message('D', str("Ss\x00")), message('H')))
	mustRead(t, conn, cat(message('1'), message('t', u16(0)), columns))
	mustWrite(t, conn, cat(message('B', str("\x00s\x00"), u16(0), u16(0), u16(0)), message('E', str("\x00"), u32(0)), message('S')))
	mustRead(t, conn, cat(message('2'), data, ready))
	mustWrite(t, conn, message('X'))
	mustEnd(t, conn, io.EOF)
	_ = conn.Close()
	rec := closed(t, r)[0]
	expectSeen(t, Record{Events: upTo(rec.Events)}, "relay open", "client startup user=alice 3.0", "attacker forged gss", "server auth-request gss", "client password gss",
		"attacker forged gss-continue", "attacker forged ok", "server auth-request gss-continue", "server auth-request ok", "server ready", "client query")
	expectSeen(t, Record{Events: upTo(rec.Upstream)})
	if len(rec.Upstream) == 0 || b.said() != "" {
		t.Errorf("upstream %v, the server heard %q", rec.Upstream, b.said())
	}
}

// The forged AP-REP can be opened by a client's library up to its sealed part, which claims the enctype of the client's
// session key.
func TestForgedAPRep(t *testing.T) {
	sealed := encryptedData{Etype: 20, Cipher: []byte{1}}
	request, err := asn1.MarshalWithParams(apRequest{Protocol: 5, Type: 14, Options: asn1.BitString{Bytes: []byte{32}, BitLength: 8},
		Ticket: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 3, IsCompound: true, Bytes: []byte{5, 0}}, Authenticator: sealed}, "application,explicit,tag:14")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		token []byte
		etype int
	}{{nil, aes256}, {apReq[4:], aes256}, {cat(krb5OID, unhex("0100"), request), 20}} {
		forged := forgedAPRep(tc.token)
		if kind := tokenKind(forged); kind != "ap-rep" {
			t.Errorf("a token of kind %q", kind)
		}
		var frame asn1.RawValue
		if rest, err := asn1.Unmarshal(forged, &frame); err != nil || len(rest) > 0 {
			t.Fatalf("frame: %d bytes left, %v", len(rest), err)
		}
		var reply apReply
		if rest, err := asn1.UnmarshalWithParams(frame.Bytes[len(krb5OID)+2:], &reply, "application,explicit,tag:15"); err != nil || len(rest) > 0 ||
			reply.Protocol != 5 || reply.Type != 15 || reply.Sealed.Etype != tc.etype {
			t.Errorf("%+v, %v", reply, err)
		}
	}
}

// await waits until a link of the relay is such.
func await(r *Relay, such func(*link) bool) {
	for found := false; !found; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		for _, l := range r.links {
			l.mu.Lock()
			found = found || such(l)
			l.mu.Unlock()
		}
		r.mu.Unlock()
	}
}

// A client that is held waits until it gives up, or until the relay is closed.
func TestTamperHolds(t *testing.T) {
	for _, gives := range []bool{true, false} {
		b := &backend{}
		r := attacked(t, serve(t, b.serve), Tamper{Attack: Hold})
		conn := connect(t, r)
		mustWrite(t, conn, sslRequest)
		await(r, func(l *link) bool { return l.tampering.held })
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
			t.Errorf("%d bytes, %v", n, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if gives {
			_ = conn.Close()
		} else {
			cancel()
		}
		records := r.Close(ctx)
		cancel()
		if len(records) != 1 || records[0].Error != "" || attackerDid(records[0]) != "held at answer" || records[0].Upstream == nil {
			t.Errorf("records %+v", records)
		}
		if !gives {
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			mustEnd(t, conn, syscall.ECONNRESET)
		}
	}
}

// Closing the relay ends a client that is in the middle of a request, and a handshake.
func TestTamperCloseCuts(t *testing.T) {
	cert := newAuthority(t).issue(t, "db.example")
	for _, sent := range [][]byte{nil, sslRequest[:3], sslRequest, cat(sslRequest, record(22, hello13)[:20])} {
		r := attacked(t, serve(t, (&backend{}).serve), Tamper{Attack: Impersonate, Certificate: &cert})
		conn := connect(t, r)
		mustWrite(t, conn, sent)
		await(r, func(l *link) bool { return len(l.parser.events) > 0 }) // the server was reached
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if records := r.Close(ctx); len(records) != 1 || !strings.Contains(records[0].Error, "cut by the relay") {
			t.Errorf("%q: %+v", sent, records)
		}
	}
}

func TestTamperCheck(t *testing.T) {
	cert := newAuthority(t).issue(t, "x")
	row := [][2]string{{"who", "mallory"}}
	for _, tc := range []struct {
		tamper Tamper
		want   string
	}{
		{Tamper{}, `no attack ""`}, {Tamper{Attack: "eavesdrop"}, `no attack "eavesdrop"`},
		{Tamper{Attack: Impersonate}, "Certificate"}, {Tamper{Attack: Impersonate, Certificate: &tls.Certificate{}}, "Certificate"},
		{Tamper{Attack: ForgeOK, Certificate: &cert}, "Row"}, {Tamper{Attack: ForgeAPRep, Row: row}, "Certificate"}, {Tamper{Attack: ForgeGSSOK, Certificate: &cert, Row: row}, ""},
		{Tamper{Attack: ForgeOK, Certificate: &cert, Row: [][2]string{{"a", "b\x00"}}}, "NUL"}, {Tamper{Attack: ForgeOK, Certificate: &cert, Row: [][2]string{{strings.Repeat("x", maxStuffed), "b"}}}, "more than"},
		{Tamper{Attack: Inject}, "SQL"}, {Tamper{Attack: StuffClient}, "SQL"}, {Tamper{Attack: StuffServer}, "Text or Bytes"},
		{Tamper{Attack: Error}, "Text"}, {Tamper{Attack: ErrorUnterminated}, "Text"}, {Tamper{Attack: Delay}, "Delay"},
		{Tamper{Attack: Flip, From: "both"}, "From"}, {Tamper{Attack: Hold, At: "tea"}, `"tea"`}, {Tamper{Attack: Strip, At: "answer"}, "no At"},
		{Tamper{Attack: CutClose, At: "answer|tea"}, `"tea"`}, {Tamper{Attack: Hold, From: "both"}, "From"}, {Tamper{Attack: Replay, At: "client-hello|gss-token"}, ""},
		{Tamper{Attack: Inject, SQL: "a\x00b"}, "NUL"}, {Tamper{Attack: Inject, SQL: strings.Repeat("x", maxStuffed+1)}, "more than"},
		{Tamper{Attack: Impersonate, Certificate: &cert}, ""}, {Tamper{Attack: Hold, At: "auth-request ok"}, ""}, {Tamper{Attack: Flip, From: "server"}, ""},
	} {
		r, err := Listen(t.Context(), Options{Dial: dialTo("127.0.0.1:1"), Tamper: &tc.tamper})
		if err == nil {
			r.Close(t.Context())
		}
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want …%s…", tc.tamper, err, tc.want)
		}
	}
	for _, attack := range Attacks() {
		if err := (&Tamper{Attack: attack, Certificate: &cert, SQL: "x", Text: "x", Row: row, Delay: 1, From: "client"}).check(); err != nil {
			t.Error(err)
		}
	}
}

func TestObtainedBelongsToTheOrder(t *testing.T) {
	plain := Event{From: "client", Kind: Startup}
	stripped := Event{From: "attacker", Kind: Answered, Deed: &Deed{Said: "N", To: "sslrequest"}}
	before := []Record{{Events: []Event{plain}}, {Events: []Event{stripped}}}
	after := []Record{{Events: []Event{stripped}}, {Events: []Event{plain}}}
	if Obtained(before).Downgraded || !Obtained(after).Downgraded {
		t.Error("what a client says in the clear before it is attacked is no downgrade; what it says after is")
	}
	if got := Obtained(nil); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", Loot{}) {
		t.Errorf("%+v", got)
	}
	idle := []Record{{Events: []Event{{From: "attacker", Kind: Idle}, plain}}}
	if Obtained(idle).Downgraded {
		t.Error("an idle attacker has downgraded nobody")
	}
}

// FuzzTamper plays any attack on two peers that send anything. The relay must come to an end, keep its records
// bounded, and pass on unchanged what it says it did nothing to.
func FuzzTamper(f *testing.F) {
	for _, tc := range parserCases {
		var talk [2][]byte
		for _, say := range tc.talk {
			talk[say.from] = append(talk[say.from], say.b...)
		}
		for i := range Attacks() {
			f.Add(talk[client], talk[server], uint8(i), uint8(200))
		}
	}
	cert := newAuthority(f).issue(f, "db.example")
	f.Fuzz(func(t *testing.T, ours, theirs []byte, which, piece uint8) {
		tamper := Tamper{Attack: Attacks()[int(which)%len(Attacks())], Certificate: &cert, SQL: "select 1", Text: "text", Row: [][2]string{{"who", "mallory"}}, Delay: time.Microsecond, From: "client"}
		switch tamper.Attack {
		case CutClose, CutReset, Hold, Delay:
			tamper.At = string(markers[int(piece)%len(markers)])
		case Flip:
			tamper.From = side(piece & 1).String()
		}
		var got [2][]byte
		exchange := func(at side, conn *net.TCPConn, out []byte) {
			var both sync.WaitGroup
			both.Go(func() {
				for b := range slices.Chunk(out, int(piece)+1) {
					if _, err := conn.Write(b); err != nil {
						return
					}
				}
				_ = conn.CloseWrite()
			})
			got[at], _ = io.ReadAll(conn)
			both.Wait()
			_ = conn.Close()
		}
		ended := make(chan struct{})
		r := attacked(t, serve(t, func(conn *net.TCPConn) { defer close(ended); exchange(server, conn, theirs) }), tamper)
		if conn, err := net.DialTCP("tcp", nil, r.Addr()); err == nil {
			exchange(client, conn, ours)
		} else if !errors.Is(err, syscall.ECONNRESET) { // the attack overtook the end of connect(2)
			t.Fatal(err)
		}
		<-ended
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		records := r.Close(ctx)
		if len(records) != 1 || records[0].Error != "" || ctx.Err() != nil {
			t.Fatalf("records %+v", records)
		}
		if events, up := len(records[0].Events), len(records[0].Upstream); events > 4*maxEvents || up > 4*maxEvents {
			t.Errorf("%d and %d events", events, up)
		}
		for _, e := range slices.Concat(records[0].Events, records[0].Upstream) {
			if len(e.String()) > 8*keptText {
				t.Errorf("%s: a detail of %d bytes", e.Kind, len(e.String()))
			}
		}
		did := attackerDid(records[0])
		if did == "" {
			t.Error("the record does not say what the attacker did")
		}
		aborted := strings.Contains(fmt.Sprint(seen(records[0])), " reset")
		if strings.HasPrefix(did, "idle") && !aborted && (!bytes.Equal(got[client], theirs) || !bytes.Equal(got[server], ours)) {
			t.Errorf("%s\nclient got %q of %q\nserver got %q of %q", did, got[client], theirs, got[server], ours)
		}
		Obtained(records)
		Steps(records)
	})
}
