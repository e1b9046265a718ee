package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
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
	Wait     time.Duration // for each word of the server; then it counts as still open. 0: 5 s
	// Seal sends a GSSENCRequest and returns the connection that GSS encryption then seals. tls-in-gss and gssenc-extra-count
	// need it; with it the sequences that stuff bytes behind a GSSENCRequest go on after G, and Seal's own request is then answered without being sent.
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
	GSSENCGarbage     Sequence = "gssenc-garbage"       // GSSENCRequest, and behind G a token of bytes that are none
	GSSENCEmpty       Sequence = "gssenc-empty"         // the same with a token of no bytes, which asks for the server's mechanisms (SPNEGO)
	GSSENCOversize    Sequence = "gssenc-oversize"      // the same with the length of a token that is longer than a server takes, and nothing behind it
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

// Played is what came of a sequence.
type Played struct {
	Record   Record // what was sent counts as the client's
	End      Ending
	Error    string   // the last ErrorResponse, "SQLSTATE text"
	TLS      string   // why TLS could not be had; "" if it was, or was not tried
	Answers  int      // requests that were answered with a single byte
	Version  string   // that the server negotiated, "3.2"; "" if it took what was asked for
	Executed []string // command tags of queries that were only stuffed behind a request
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
	c.journal.event(c.micros(), "relay", Open, conn.RemoteAddr().String())
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

// patient waits so long for each word.
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

// rawConn is a Raw client at work.
type rawConn struct {
	Raw
	mu      sync.Mutex
	micros  func() int64
	journal *journal
	tap     *tap
	in      *bufio.Reader
	played  Played
}

// errThrough ends a sequence that leaves the connection open; sealError is a fault of Raw.Seal.
var errThrough = errors.New("the sequence is through")

type sealError struct{ err error }

func (e *sealError) Error() string { return e.err.Error() }

func (c *rawConn) use(t *tap) { c.tap, c.in = t, bufio.NewReaderSize(t, tapBuffer) }

func (c *rawConn) send(parts ...[]byte) error {
	_, err := c.tap.Write(slices.Concat(parts...))
	return err
}

func (c *rawConn) startup(user string) []byte {
	if c.Database == "" {
		return startupPacket("user", user)
	}
	return startupPacket("user", user, "database", c.Database)
}

// play returns why nothing more was read: an error of the connection, or errThrough.
func (c *rawConn) play(what Sequence) error {
	switch what {
	case GSSENCInTLS, GSSENCInDirectTLS:
		if err := c.tls(what == GSSENCInTLS, "postgresql"); err != nil {
			return err
		}
		return c.ask(requestPacket(gssencRequestCode), errThrough)
	case TLSInGSS:
		sealed, err := c.Seal(buffered{c.tap, c.in})
		if err != nil {
			return &sealError{err}
		}
		c.use(c.tap.inner(sealed))
		return c.ask(requestPacket(sslRequestCode), errThrough)
	case Alternate:
		return c.alternate()
	case SecondStartup:
		if err := c.send(c.startup(c.User)); err != nil {
			return err
		}
		if err := c.session(); !errors.Is(err, errThrough) || c.played.End == EndSession {
			return err
		}
		if err := c.send(c.startup("postgres")); err != nil {
			return err
		}
		return c.session()
	case SSLWithQuery, SSLWithStartup:
		return c.stuffed(sslRequestCode, what == SSLWithStartup)
	case GSSENCWithQuery, GSSENCWithStartup:
		return c.stuffed(gssencRequestCode, what == GSSENCWithStartup)
	case GSSENCGarbage:
		return c.token(bytes.Repeat([]byte{0xaa}, garbage), garbage)
	case GSSENCEmpty:
		return c.token(nil, 0)
	case GSSENCOversize:
		return c.token(nil, maxToken+1)
	case GSSENCExtraCount:
		below := &miscounted{Conn: buffered{c.tap, c.in}}
		sealed, err := c.Seal(below)
		if err != nil {
			return &sealError{err}
		}
		below.sealed = true
		c.use(c.tap.inner(sealed))
		return c.exchange(c.startup(c.User))
	case DirectNoALPN, DirectWrongALPN:
		var protocols []string
		if what == DirectWrongALPN {
			protocols = []string{"http/1.1"}
		}
		if err := c.tls(false, protocols...); err != nil {
			return err
		}
		return c.exchange(c.startup(c.User))
	case CancelWrongKey:
		return c.exchange(binary.BigEndian.AppendUint32(nil, 16), binary.BigEndian.AppendUint32(nil, cancelRequestCode), []byte{0, 0, 0, 1, 0, 0, 0, 0})
	case LongStartup:
		size := len(startupPacket("user", c.User, "application_name", ""))
		long := startupPacket("user", c.User, "application_name", strings.Repeat("x", maxStartup+1-size))
		return c.exchange(long)
	case Protocol2: // struct StartupPacket of 2.0: database 64, user 32, options 64, unused 64, tty 64
		body := make([]byte, 288)
		copy(body, c.Database)
		copy(body[64:95], c.User)
		return c.exchange(binary.BigEndian.AppendUint32(nil, 296), binary.BigEndian.AppendUint32(nil, 2<<16), body)
	default: // Protocol39
		b := c.startup(c.User)
		binary.BigEndian.PutUint32(b[4:], 3<<16|9)
		return c.exchange(b)
	}
}

func (c *rawConn) exchange(parts ...[]byte) error {
	if err := c.send(parts...); err != nil {
		return err
	}
	return c.session()
}

// ask sends a request and reads the byte that answers it; after a single byte it returns then.
func (c *rawConn) ask(packet []byte, then error) error {
	if err := c.send(packet); err != nil {
		return err
	}
	b, err := c.in.Peek(1)
	if err != nil {
		return err
	}
	if b[0] != 'S' && b[0] != 'G' && b[0] != 'N' {
		return c.session() // an error
	}
	_, _ = c.in.Discard(1)
	c.played.Answers++
	return then
}

// tls begins TLS, without verification.
func (c *rawConn) tls(request bool, protocols ...string) error {
	if request {
		if err := c.ask(requestPacket(sslRequestCode), nil); err != nil {
			return err
		}
		if c.answered() != "S" {
			c.played.TLS = "the server answered " + c.answered()
			return errThrough
		}
	}
	secure := tls.Client(buffered{c.tap, c.in}, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) //nolint:gosec // it tries the server, not its certificate
	if err := secure.Handshake(); err != nil {
		c.played.TLS = text([]byte(err.Error()))
		return err
	}
	c.use(c.tap.inner(secure))
	return nil
}

// answered is the detail of the last Answer.
func (c *rawConn) answered() string { return c.last(Answer) }

func (c *rawConn) last(kind Kind) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range slices.Backward(c.journal.events) {
		if e.Kind == kind {
			return e.Detail
		}
	}
	return ""
}

// stuffed puts bytes behind a request, in the same segment.
func (c *rawConn) stuffed(code uint32, whole bool) error {
	packet, stuffing := requestPacket(code), queryMessage(c.SQL)
	if whole {
		stuffing = append(c.startup(c.User), stuffing...)
	}
	if err := c.ask(append(packet, stuffing...), nil); err != nil {
		return err
	}
	switch answer := c.answered(); {
	case answer == "S":
		secure := tls.Client(buffered{c.tap, c.in}, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // as in tls
		if err := secure.Handshake(); err != nil {
			c.played.TLS = text([]byte(err.Error()))
			return err
		}
		c.use(c.tap.inner(secure))
	case answer == "G" && c.Seal == nil: // to go on takes a ticket
		return errThrough
	case answer == "G":
		sealed, err := c.Seal(&agreed{Conn: buffered{c.tap, c.in}})
		if err != nil {
			return &sealError{err}
		}
		c.use(c.tap.inner(sealed))
	}
	if !whole {
		if err := c.send(c.startup(c.User)); err != nil {
			return err
		}
	}
	return c.session()
}

// agreed is a connection on which a GSSENCRequest has been answered with G: whoever asks again is told so, and the server is
// not.
type agreed struct {
	net.Conn
	asked, told bool
}

func (a *agreed) Write(b []byte) (int, error) {
	if !a.asked && bytes.Equal(b, requestPacket(gssencRequestCode)) {
		a.asked = true
		return len(b), nil
	}
	return a.Conn.Write(b)
}

func (a *agreed) Read(b []byte) (int, error) {
	if a.asked && !a.told && len(b) > 0 {
		a.told, b[0] = true, 'G'
		return 1, nil
	}
	return a.Conn.Read(b)
}

const garbage = 64 // bytes

// token asks for GSS encryption and sends what is no context token, and the length that it is said to have. A token in answer to
// it is the end of the sequence.
func (c *rawConn) token(body []byte, size uint32) error {
	if err := c.ask(requestPacket(gssencRequestCode), nil); err != nil {
		return err
	}
	if c.answered() != "G" {
		return errThrough
	}
	if err := c.send(binary.BigEndian.AppendUint32(nil, size), body); err != nil {
		return err
	}
	head, err := c.in.Peek(4)
	if err != nil {
		return err
	}
	if n := binary.BigEndian.Uint32(head); n <= maxToken {
		if _, err := io.CopyN(io.Discard, c.in, 4+int64(n)); err != nil {
			return err
		}
		return errThrough
	}
	return c.session() // an error
}

// miscounted changes the Extra Count of the sealed token in each packet, two bytes in the clear (RFC 4121 section 4.2.6.2), to a
// few bytes: whoever believes it cuts so many off what was sealed.
type miscounted struct {
	net.Conn
	sealed bool // the context is there
}

func (m *miscounted) Write(b []byte) (int, error) {
	if m.sealed && len(b) >= 4+6 {
		b = slices.Clone(b)
		b[4+4], b[4+5] = 0, 8
	}
	return m.Conn.Write(b)
}
