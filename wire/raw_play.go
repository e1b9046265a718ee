package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

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

// answered is the last Answer.
func (c *rawConn) answered() string { return c.last(Answer).Answer }

// last is the last event of a kind; without a kind if there is none.
func (c *rawConn) last(kind Kind) Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range slices.Backward(c.journal.events) {
		if e.Kind == kind {
			return e
		}
	}
	return Event{}
}

// stuffed puts bytes after a request, in the same segment.
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

// agreed is a connection on which a GSSENCRequest has been answered with G: a second request gets the same answer, and does not reach the server.
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

// token asks for GSS encryption and sends a malformed context token, with the length that it is said to have. A token in answer to
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
// few bytes: an acceptor that believes it cuts so many off what was sealed.
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

// session reads messages until the server waits for an answer that Raw does not have, is ready, or ends. Once it is ready, an
// empty query marks the place up to which only what was stuffed can have been executed.
func (c *rawConn) session() error {
	asked := false
	for {
		head, err := c.in.Peek(5)
		if err != nil {
			return c.drain(err)
		}
		kind := head[0]
		size, ok := bodySize(head)
		if !ok {
			return c.drain(nil) // the form before protocol 3.0, or no protocol: the parser has recorded it
		}
		_, _ = c.in.Discard(len(head))
		body := make([]byte, min(size, keptError))
		if _, err := io.ReadFull(c.in, body); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(size-len(body))); err != nil {
			return err
		}
		switch kind {
		case 'R':
			if len(body) >= 4 && binary.BigEndian.Uint32(body) != 0 {
				return errThrough
			}
		case 'v':
			if len(body) >= 4 {
				v := binary.BigEndian.Uint32(body)
				if v < 1<<16 { // minor alone, as the manual has it; servers send both halves
					v |= 3 << 16
				}
				c.played.Version = fmt.Sprintf("%d.%d", v>>16, v&0xffff)
			}
		case 'C':
			if len(c.played.Executed) < maxEvents {
				c.played.Executed = append(c.played.Executed, text(body[:max(len(body)-1, 0)]))
			}
		case 'I':
			if asked {
				_ = c.send(typedMessage('X', ""))
				return errThrough
			}
		case 'Z':
			c.played.End = EndSession
			if !asked {
				asked = true
				if err := c.send(queryMessage("")); err != nil {
					return err
				}
			}
		}
	}
}

// drain reads what has no form.
func (c *rawConn) drain(err error) error {
	if err == nil {
		_, err = io.CopyN(io.Discard, c.in, maxError)
	}
	return err
}

// alternate sends requests as long as the answer is N. The parser sees the first few and the last, or the record would
// be as long as the sequence.
func (c *rawConn) alternate() error {
	const recorded = 16
	conn, in := c.tap.Conn, c.in
	for i := range c.Count {
		packet := requestPacket(sslRequestCode)
		if i%2 == 1 {
			packet = requestPacket(gssencRequestCode)
		}
		if i < recorded {
			if err := c.ask(packet, nil); err != nil || c.answered() != "N" {
				return errors.Join(err, errThrough)
			}
			continue
		}
		if i == recorded {
			in = bufio.NewReader(conn)
		}
		if _, err := conn.Write(packet); err != nil {
			return err
		}
		b, err := in.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != 'N' {
			c.tap.feed(client, packet)
			c.use(&tap{Conn: buffered{c.tap, in}, mu: &c.mu, micros: c.micros, parser: c.tap.parser, far: server})
			if b[0] == 'S' || b[0] == 'G' {
				_, _ = c.in.ReadByte()
				c.played.Answers++
				return errThrough
			}
			return c.session()
		}
		_, _ = in.Discard(1)
		c.played.Answers++
	}
	return errThrough
}

// settle says how it ended.
func (c *rawConn) settle(err error) {
	if e := c.last(ErrorResponse).Error; e != nil {
		c.played.Error = e.String()
	}
	now := c.micros()
	var remote *net.OpError
	switch {
	case c.played.End == EndSession:
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		c.played.End = EndReset
		c.journal.event(now, server.String(), Event{Kind: Reset})
	case errors.Is(err, errThrough) && !errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		c.played.End = EndOpen
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		c.tap.parser.end(now, server)
		c.played.End = EndClosed
		c.journal.event(now, server.String(), Event{Kind: Close})
	case c.played.TLS != "", errors.As(err, &remote) && remote.Op == "remote error": // an alert ends TLS
		c.played.End = EndClosed
	default:
		c.played.End = EndOpen
		if err != nil {
			c.played.Record.Error = fmt.Sprintf("connection to the server: %v", err)
		}
	}
}
