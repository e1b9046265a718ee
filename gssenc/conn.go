package gssenc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// maxPacket bounds a packet of either side with its length word: PQ_GSS_MAX_PACKET_SIZE of PostgreSQL's
// fe-secure-gssapi.c and be-secure-gssapi.c, which is part of the protocol.
const maxPacket = 16384

// How much ciphertext at most one system call reads, to begin with and when much comes, and writes. pgx's COPY writes 64 kB at
// a time.
const (
	little = 4096
	bulk   = 4 * maxPacket
	batch  = 8 * maxPacket
)

// securityContext is what a connection needs of a Context.
type securityContext interface {
	Seal(dst, plain []byte, conf bool) ([]byte, error)
	Open(dst, token []byte) (plain []byte, conf bool, err error)
	MaxPlain(token int) int
}

// Conn is a connection under PostgreSQL's GSSAPI session encryption (manual, "GSSAPI Session Encryption" in the chapter on
// the frontend/backend protocol): what is written goes out in packets of a big-endian length word and a sealed wrap token of
// RFC 4121, and only such packets, in their order, are read.
//
// Reads and writes may run concurrently with each other; concurrent reads take turns, and so do concurrent writes. A read
// that times out can be tried again. A write that times out has broken the connection, as with crypto/tls: its later writes
// fail with the same error. So do reads after a packet that was not right.
//
// GSSAPI has no message that ends a stream: io.EOF between two packets says that the transport was closed, by either side or by an attacker. What
// the server meant to send is known from PostgreSQL's own protocol.
type Conn struct {
	transport net.Conn
	context   securityContext
	remote    net.Addr
	info      Session
	attempt   attempt // of Configure's connections: which one it was
	target    string  // and the address that was dialled
	onClose   func()  // may be nil

	in struct {
		sync.Mutex
		raw        []byte // ciphertext: grows with what comes
		begin, end int    // what of raw has been received and not yet opened
		plain      []byte // a packet's plaintext
		rest       []byte // what of plain has not been read
		err        error  // for good
	}
	out struct {
		sync.Mutex
		largest int   // plaintext in a packet
		err     error // for good
	}
}

// outBuffers hold what is about to be written; a connection at rest keeps none.
var outBuffers = sync.Pool{New: func() any { return new([]byte) }}

func newConn(transport net.Conn, x securityContext) (*Conn, error) {
	c := &Conn{transport: transport, context: x, remote: transport.RemoteAddr()}
	c.out.largest = x.MaxPlain(maxPacket - 4)
	if c.out.largest <= 0 {
		return nil, failf(StageContext, "no plaintext fits a packet of %d bytes", maxPacket)
	}
	return c, nil
}

// Read reads what the next packets hold. Errors of the transport are returned as they are; a packet that is not right is
// an *Error of StagePacket.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	in.Lock()
	defer in.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for len(in.rest) == 0 {
		if in.err != nil {
			return 0, in.err
		}
		token, err := c.receive()
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) && !timeout(err) {
				in.err = err
			}
			return 0, err
		}
		// No plaintext is longer than its token: with that much room it can be opened where it is wanted.
		direct := len(p) >= len(token)
		if !direct && in.plain == nil {
			in.plain = make([]byte, 0, maxPacket)
		}
		into := in.plain[:0]
		if direct {
			into = p[:0:len(p)]
		}
		plain, conf, err := c.context.Open(into, token)
		if err == nil && !conf {
			err = failf(StagePacket, "it was not encrypted, only signed")
		}
		if err != nil {
			in.err = at(StagePacket, err)
			if direct {
				clear(p[:len(token)]) // what could not be verified is not shown
			}
			return 0, in.err
		}
		if direct && len(plain) > 0 && &plain[0] == &p[0] {
			return len(plain), nil
		}
		in.rest = plain
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// receive gives the next packet's token, which is good until the next call. What came of a packet before a timeout is kept.
func (c *Conn) receive() ([]byte, error) {
	in := &c.in
	if in.raw == nil {
		in.raw = make([]byte, little)
	}
	for {
		need := 4
		if in.end-in.begin >= 4 {
			n := binary.BigEndian.Uint32(in.raw[in.begin:])
			if n == 0 || n > maxPacket-4 {
				return nil, failf(StagePacket, "its length is said to be %d bytes; 1 to %d are allowed", n, maxPacket-4)
			}
			need = 4 + int(n)
			if in.end-in.begin >= need {
				token := in.raw[in.begin+4 : in.begin+need]
				in.begin += need
				return token, nil
			}
		}
		if in.begin == in.end {
			in.begin, in.end = 0, 0
		}
		if in.begin+need > len(in.raw) {
			c.move(max(len(in.raw), need))
		}
		room := len(in.raw) - in.end
		n, err := c.transport.Read(in.raw[in.end:])
		in.end += n
		switch {
		case n > 0: // an error will be met again
			if n == room && len(in.raw) < bulk {
				c.move(min(bulk, 4*len(in.raw)))
			}
		case errors.Is(err, io.EOF) && in.begin < in.end:
			return nil, failf(StagePacket, "the transport ended within it: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return nil, err
		}
	}
}

// move puts what has been received to the beginning of size bytes.
func (c *Conn) move(size int) {
	in := &c.in
	from := in.raw[in.begin:in.end]
	if size > len(in.raw) {
		in.raw = make([]byte, size)
	}
	in.begin, in.end = 0, copy(in.raw, from)
}

// Write seals p into as many packets as it takes. The count is of bytes whose packets were written whole; on error more may
// have reached the server.
func (c *Conn) Write(p []byte) (int, error) {
	out := &c.out
	out.Lock()
	defer out.Unlock()
	if out.err != nil {
		return 0, out.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	buffer := outBuffers.Get().(*[]byte)
	defer outBuffers.Put(buffer)
	written := 0
	for written < len(p) {
		sealed, taken, err := c.seal((*buffer)[:0], p[written:])
		if err != nil {
			out.err = at(StagePacket, err)
			return written, out.err
		}
		*buffer = sealed
		if _, err := c.transport.Write(sealed); err != nil {
			out.err = err
			return written, err
		}
		written += taken
	}
	return written, nil
}

// seal makes packets of the beginning of p, as many as one system call is to write.
func (c *Conn) seal(dst, p []byte) (sealed []byte, taken int, err error) {
	if want := min(batch, (len(p)/c.out.largest+1)*maxPacket); cap(dst) < want {
		dst = make([]byte, 0, want)
	}
	for taken < len(p) && len(dst)+maxPacket <= batch {
		plain := p[taken:min(len(p), taken+c.out.largest)]
		start := len(dst)
		if dst, err = c.context.Seal(append(dst, 0, 0, 0, 0), plain, true); err != nil {
			return nil, 0, err
		}
		n := len(dst) - start - 4
		if n > maxPacket-4 {
			return nil, 0, fmt.Errorf("%d bytes were sealed into a token of %d, more than a packet holds", len(plain), n)
		}
		binary.BigEndian.PutUint32(dst[start:], uint32(n))
		taken += len(plain)
	}
	return dst, taken, nil
}

// Close closes the transport. Reads and writes that wait return.
func (c *Conn) Close() error {
	if c.onClose != nil {
		c.onClose()
	}
	return c.transport.Close()
}

// CloseWrite ends what is sent, where the transport can (TCP: FIN); the server sees the end of the stream. Reads go on.
// PostgreSQL itself ends a session by Terminate messages.
func (c *Conn) CloseWrite() error {
	half, ok := c.transport.(interface{ CloseWrite() error })
	if !ok {
		return failf(StageDial, "half-close of %T: %w", c.transport, errors.ErrUnsupported)
	}
	c.out.Lock()
	defer c.out.Unlock()
	if c.out.err == nil {
		c.out.err = failf(StagePacket, "write after CloseWrite: %w", net.ErrClosed)
	}
	return half.CloseWrite()
}

// LocalAddr is the transport's.
func (c *Conn) LocalAddr() net.Addr { return c.transport.LocalAddr() }

// RemoteAddr is the transport's; of a connection made through Configure it carries the server's name, see there.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is the transport's, as are the other two.
func (c *Conn) SetDeadline(t time.Time) error { return c.transport.SetDeadline(t) }

// SetReadDeadline bounds reads; see Conn for what a timeout leaves.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.transport.SetReadDeadline(t) }

// SetWriteDeadline bounds writes; see Conn for what a timeout leaves.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.transport.SetWriteDeadline(t) }

// Context is the security context that protects the connection: whom it is with, and by which encryption. Sealing or
// opening with it from outside breaks the connection.
func (c *Conn) Context() *Context {
	x, _ := c.context.(*Context)
	return x
}

// at gives an error a stage, unless it has one.
func at(stage Stage, err error) error {
	var staged *Error
	if errors.As(err, &staged) {
		return err
	}
	return &Error{Stage: stage, Err: err}
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
