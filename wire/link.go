package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// link is one client connection and the server connection that belongs to it.
type link struct {
	start time.Time
	ends  [2]end       // client, server
	spoke atomic.Int32 // the side that bytes came from last

	mu     sync.Mutex // guards everything below and the fields of the ends that say so
	cause  string     // Record.Error
	over   bool       // both connections are closed, or about to be
	port   int
	told   bool   // the server's reset is in the record
	parser parser // of the leg between client and relay, which is the only one unless the relay tampers

	tampering *tampering // nil: the relay changes nothing
}

// end is one of the two connections of a link.
type end struct {
	conn    net.Conn
	parsed  atomic.Bool // nothing more of interest can come from here: bytes are only copied
	stopped bool        // guarded by mu: nobody reads from here any more
	reset   bool        // guarded by mu: the peer has reset the connection
}

// A side is an index of link.ends and of the parser's streams.
type side int

const (
	client side = iota
	server
)

func (s side) other() side { return 1 - s }

func (s side) String() string {
	if s == client {
		return "client"
	}
	return "server"
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

func newLink(conn *net.TCPConn, start time.Time, tamper *Tamper) *link {
	l := &link{start: start}
	l.ends[client].conn = conn
	l.parser.init()
	if tamper != nil {
		l.tampering = newTampering(l, *tamper)
	}
	return l
}

func (l *link) micros() int64 { return time.Since(l.start).Microseconds() }

// run serves the link to its end.
func (l *link) run(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	conn, err := dial(ctx)
	l.mu.Lock()
	if err == nil && l.over { // cut meanwhile
		reset(conn)
	}
	if err != nil || l.over {
		if err != nil {
			l.parser.event(l.micros(), "relay", Event{Kind: DialFailed, Text: err.Error()})
		}
		l.over = true
		l.mu.Unlock()
		reset(l.ends[client].conn)
		return
	}
	l.ends[server].conn = conn
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
		l.port = tcp.LocalAddr().(*net.TCPAddr).Port
	}
	l.parser.event(l.micros(), "relay", Event{Kind: Open, Text: conn.RemoteAddr().String()})
	l.mu.Unlock()

	if l.tampering != nil {
		l.tampering.begin(ctx)
		defer l.tampering.conclude()
	}
	down := make(chan struct{})
	go func() { l.pump(server); close(down) }()
	l.pump(client)
	<-down
}

// pump passes on what comes from one end until that end has nothing more to say or the link is over. What is read is
// parsed before it is written, so that an answer is never seen before what it answers.
func (l *link) pump(from side) {
	src, dst := &l.ends[from], &l.ends[from.other()]
	in, out := io.Reader(src.conn), io.Writer(dst.conn)
	if l.tampering != nil {
		in, out = l.tampering.in[from], l.tampering.legs[from.other()].tap
	}
	buf := buffers.Get().(*[32 << 10]byte)
	var readErr, writeErr error
	for readErr == nil && writeErr == nil {
		var n int
		n, readErr = in.Read(buf[:])
		if n > 0 {
			l.spoke.Store(int32(from))
			l.observe(from, buf[:n])
			_, writeErr = out.Write(buf[:n])
		}
	}
	buffers.Put(buf)
	if l.tampering != nil {
		l.tampering.gone(from)
	}

	l.mu.Lock()
	src.stopped = true
	switch {
	case writeErr != nil:
		// Not the end yet: what the other peer sent before it went must still reach this one. Its pump drains it.
		l.lost(from.other(), writeErr)
		if dst.stopped {
			l.finish()
		}
		l.mu.Unlock()
		return
	case !errors.Is(readErr, io.EOF) || src.reset: // the write that found the reset took the error with it: only EOF is left to read
		l.lost(from, readErr)
		if from != server || !l.waits() {
			l.finish()
		}
		l.mu.Unlock()
		return
	}
	l.parser.end(l.micros(), from)
	l.parser.event(l.micros(), from.String(), Event{Kind: Close})
	if l.tampering != nil {
		l.tampering.end(from)
	}
	if dst.stopped {
		l.finish()
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	if err := l.closeWrite(from.other()); err != nil {
		// The other peer has reset the connection; its pump is about to find out.
		l.mu.Lock()
		l.lost(from.other(), err)
		l.mu.Unlock()
	}
	if awaitReset(src.conn) {
		l.mu.Lock()
		src.reset = true
		l.finish()
		l.mu.Unlock()
	}
}

// observe hands bytes to the parser unless it has seen enough.
func (l *link) observe(from side, b []byte) {
	if l.ends[from].parsed.Load() {
		return
	}
	l.mu.Lock()
	l.parser.feed(l.micros(), from, b) // the clock is read under mu, or events could be out of order
	for s := range l.ends {
		l.ends[s].parsed.Store(l.parser.streams[s].done)
	}
	l.mu.Unlock()
}

// lost notes that the connection at an end failed. The caller holds mu.
func (l *link) lost(at side, err error) {
	if l.over {
		return // our own doing
	}
	l.ends[at].reset = true
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ENOTCONN) && l.cause == "" {
		l.cause = fmt.Sprintf("connection to the %s: %v", at, err)
	}
}

// lastWords is how long a reset of the server waits for the client, which may not yet have read what came before it.
const lastWords = time.Second

// waits says whether the server's reset, which followed its last words at once, is passed on only when the client sends or closes, or after
// lastWords. A client that wrote into the reset before it read would never know those words, and which of the two comes first is
// chance: it would be a reset that a longer way to the server had not yet delivered. The caller holds mu.
func (l *link) waits() bool {
	if l.over || l.tampering != nil || side(l.spoke.Load()) != server || l.ends[client].stopped || !l.ends[server].reset {
		return false
	}
	l.told = true
	l.parser.event(l.micros(), server.String(), Event{Kind: Reset})
	time.AfterFunc(lastWords, func() {
		l.mu.Lock()
		l.finish()
		l.mu.Unlock()
	})
	return true
}

// finish closes both connections: with a reset if either peer did so, else in order. The caller holds mu.
func (l *link) finish() {
	if l.over {
		return
	}
	l.over = true
	aborted := false
	for s := range l.ends {
		if l.ends[s].reset {
			aborted = true
			if side(s) == server && l.told {
				continue
			}
			l.parser.event(l.micros(), side(s).String(), Event{Kind: Reset})
			if l.tampering != nil {
				l.tampering.upstream.event(l.micros(), side(s).String(), Event{Kind: Reset})
			}
		}
	}
	for s := range l.ends {
		if aborted {
			reset(l.ends[s].conn)
		} else {
			_ = l.ends[s].conn.Close()
		}
	}
}

// cut ends the link from outside.
func (l *link) cut(cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	if l.tampering == nil || !l.tampering.held { // what is held is cut only here
		l.cause = cause
	}
	for s := range l.ends {
		if l.ends[s].conn != nil { // nil: the server is still being dialled
			reset(l.ends[s].conn)
		}
	}
}

// result is the record of the link.
func (l *link) result() Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Record{ServerPort: l.port, Events: append([]Event{}, l.parser.events...), Error: l.cause}
	if t := l.tampering; t != nil && (t.differs || !sameTalk(r.Events, t.upstream.events)) {
		r.Upstream = append([]Event{}, l.tampering.upstream.events...)
	}
	return r
}

// closeWrite passes on the end of one direction.
func (l *link) closeWrite(to side) error {
	if l.tampering != nil {
		return l.tampering.closeWrite(to)
	}
	return closeWrite(l.ends[to].conn)
}

// reset closes a connection so that the peer sees a reset (RST), not an orderly end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// closeWrite ends our sending direction and leaves the other one open.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
