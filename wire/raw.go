package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Raw is a client that plays one sequence of bytes against a server. It knows no authentication: a server that asks for
// any has been reached, and that is where the sequence ends.
type Raw struct {
	Address  string        // ADDRESS:PORT of the server, or the path of its unix socket
	User     string        // of startup packets
	Database string        // empty: the user's
	SQL      string        // of the sequences that stuff a query
	Count    int           // of alternate: requests sent, 1 to 1,000,000
	Wait     time.Duration // for each message of the server; then the connection counts as still open. 0: 5 s
	// Seal sends a GSSENCRequest and returns the connection that GSS encryption then seals. tls-in-gss and gssenc-extra-count
	// need it; with it the sequences that stuff bytes after a GSSENCRequest go on after G, and Seal's own request is then answered without being sent.
	Seal func(net.Conn) (net.Conn, error)
}

// Sequence names what a Raw client sends.
type Sequence string

// The sequences.
const (
	GSSENCInTLS       Sequence = "gssenc-in-tls"        // SSLRequest, TLS, and in it GSSENCRequest (CVE-2026-14681)
	GSSENCInDirectTLS Sequence = "gssenc-in-direct-tls" // the same in TLS without SSLRequest
	TLSInGSS          Sequence = "tls-in-gss"           // GSS encryption, and in it SSLRequest
	Alternate         Sequence = "alternate"            // SSLRequest and GSSENCRequest in turn, as long as the answer is N (CVE-2026-6479); servers with GSS answer G over TCP, N on a unix socket
	SecondStartup     Sequence = "second-startup"       // a second startup packet, of user postgres, where the answer to an authentication request is due
	SSLWithQuery      Sequence = "ssl-with-query"       // SSLRequest and a Query in one segment; then TLS, and a startup packet in it (CVE-2021-23214)
	SSLWithStartup    Sequence = "ssl-with-startup"     // the same with a startup packet before that Query, and none in TLS
	GSSENCWithQuery   Sequence = "gssenc-with-query"    // GSSENCRequest and a Query in one segment; then GSS encryption if there is a Seal, and a startup packet (CVE-2021-23214)
	GSSENCWithStartup Sequence = "gssenc-with-startup"  // GSSENCRequest, a startup packet and a Query in one segment; then GSS encryption if there is a Seal
	GSSENCGarbage     Sequence = "gssenc-garbage"       // GSSENCRequest, and after G a malformed token
	GSSENCEmpty       Sequence = "gssenc-empty"         // the same with a token of no bytes, which asks for the server's mechanisms (SPNEGO)
	GSSENCOversize    Sequence = "gssenc-oversize"      // the same with the length of a token that is longer than a server takes, and nothing after it
	GSSENCExtraCount  Sequence = "gssenc-extra-count"   // GSS encryption, and a startup packet sealed in a token whose Extra Count was changed (CVE-2024-37370)
	DirectNoALPN      Sequence = "direct-no-alpn"       // TLS without SSLRequest and without ALPN, then a startup packet
	DirectWrongALPN   Sequence = "direct-wrong-alpn"    // the same with ALPN http/1.1
	CancelWrongKey    Sequence = "cancel-wrong-key"     // CancelRequest for process 1 with key 0
	LongStartup       Sequence = "long-startup"         // a startup packet of 10,005 bytes, one more than a server takes
	Protocol2         Sequence = "protocol-2.0"         // a startup packet of protocol 2.0
	Protocol39        Sequence = "protocol-3.9"         // a startup packet of protocol 3.9, which the server is to negotiate down
)

// Ending is how a sequence ended.
type Ending string

// The endings. A sequence that is through, and a server that waits for more, leave the connection open.
const (
	EndClosed  Ending = "closed"
	EndReset   Ending = "reset"
	EndOpen    Ending = "open"
	EndSession Ending = "session" // the server was ready for a query
)

// Played says how a sequence ended.
type Played struct {
	Record   Record // what was sent counts as the client's
	End      Ending
	Error    string   // the last ErrorResponse, "SQLSTATE text"
	TLS      string   // why there is no TLS; "" if there is, or it was not tried
	Answers  int      // requests that were answered with a single byte
	Version  string   // that the server negotiated, "3.2"; "" if it took what was asked for
	Executed []string // command tags of statements that were only stuffed after a request
}

const defaultWait = 5 * time.Second

// Sequences lists them in the order in which they are described.
func Sequences() []Sequence {
	return []Sequence{GSSENCInTLS, GSSENCInDirectTLS, TLSInGSS, Alternate, SecondStartup, SSLWithQuery, SSLWithStartup, GSSENCWithQuery,
		GSSENCWithStartup, GSSENCGarbage, GSSENCEmpty, GSSENCOversize, GSSENCExtraCount, DirectNoALPN, DirectWrongALPN, CancelWrongKey, LongStartup, Protocol2, Protocol39}
}

// Play plays a sequence on a connection of its own. An error says that it could not be played, never that the server
// refused it.
func (r Raw) Play(ctx context.Context, what Sequence) (Played, error) {
	switch {
	case !slices.Contains(Sequences(), what):
		return Played{}, fmt.Errorf("wire: no sequence %q: want one of %q", what, Sequences())
	case (what == TLSInGSS || what == GSSENCExtraCount) && r.Seal == nil:
		return Played{}, fmt.Errorf("wire: sequence %s needs Raw.Seal: GSS encryption takes a ticket", what)
	case what == Alternate && (r.Count < 1 || r.Count > 1e6):
		return Played{}, fmt.Errorf("wire: sequence %s needs Raw.Count from 1 to 1,000,000, not %d", what, r.Count)
	case (what == SSLWithQuery || what == SSLWithStartup || what == GSSENCWithQuery || what == GSSENCWithStartup) && r.SQL == "":
		return Played{}, fmt.Errorf("wire: sequence %s needs Raw.SQL", what)
	case len(r.SQL)+len(r.User)+len(r.Database) > maxStuffed:
		return Played{}, fmt.Errorf("wire: SQL, User and Database of a sequence are longer than %d bytes", maxStuffed)
	}
	if r.Wait <= 0 {
		r.Wait = defaultWait
	}
	start := time.Now()
	var d net.Dialer
	network := "tcp"
	if strings.HasPrefix(r.Address, "/") {
		network = "unix"
	}
	conn, err := d.DialContext(ctx, network, r.Address)
	if err != nil {
		return Played{}, fmt.Errorf("wire: sequence %s: reach the server: %w", what, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c := &rawConn{Raw: r}
	p := new(parser)
	p.init()
	c.journal = p.journal
	c.micros = func() int64 { return time.Since(start).Microseconds() }
	c.use(&tap{Conn: &patient{Conn: conn, wait: r.Wait}, mu: &c.mu, micros: c.micros, parser: p, far: server})
	c.journal.event(c.micros(), "relay", Event{Kind: Open, Text: conn.RemoteAddr().String()})
	ended := c.play(what)
	if err := ctx.Err(); err != nil {
		return Played{}, fmt.Errorf("wire: sequence %s: %w", what, err)
	}
	var fault *sealError
	if errors.As(ended, &fault) {
		return Played{}, fmt.Errorf("wire: sequence %s: %w", what, fault.err)
	}
	c.settle(ended)
	if tcp, ok := conn.(*net.TCPConn); ok {
		c.played.Record.ServerPort = tcp.LocalAddr().(*net.TCPAddr).Port
	}
	c.played.Record.Events = c.journal.events
	return c.played, nil
}

// patient waits so long for each message.
type patient struct {
	net.Conn
	wait time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(p.wait)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(p.wait)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}
