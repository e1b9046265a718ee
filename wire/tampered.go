package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tampering is what a link under attack has besides an ordinary one. Its two legs carry different conversations, so
// each has a parser: link.parser for that with the client, upstream for that with the server.
type tampering struct {
	Tamper
	link     *link
	ctx      context.Context
	upstream parser       // guarded by link.mu
	legs     [2]leg       // towards client and server; settled when begin returns
	in       [2]io.Reader // what comes from either side, as the other is to have it; set by begin

	// Guarded by link.mu.
	did      bool   // something was done
	injected bool   // so was the query
	differs  bool   // the server was told what the client did not say
	muted    bool   // both ends were told that it is over: nothing more is passed on
	held     bool   // one direction is passed on no more, the other waits
	checked  [2]int // events that were compared with At
	matched  int    // events that were At

	left  [2]chan struct{} // closed when nothing more is passed on from that side
	leave [2]sync.Once
}

// leg is the conversation with one of the ends.
type leg struct {
	tap    *tap // the innermost layer, which can be read
	in     *bufio.Reader
	secure *tls.Conn // where the relay ends TLS itself
}

// tap is a connection whose bytes are recorded, both ways.
type tap struct {
	net.Conn
	mu     *sync.Mutex
	micros func() int64
	parser *parser
	far    side // who is at the other end
}

func (t *tap) feed(from side, b []byte) {
	t.mu.Lock()
	t.parser.feed(t.micros(), from, b)
	t.mu.Unlock()
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.feed(t.far, b[:n])
	return n, err
}

func (t *tap) Write(b []byte) (int, error) {
	t.feed(t.far.other(), b)
	return t.Conn.Write(b)
}

// inner records what TLS over this connection holds in the same journal.
func (t *tap) inner(secure net.Conn) *tap {
	p := &parser{journal: t.parser.journal}
	p.init()
	return &tap{Conn: secure, mu: t.mu, micros: t.micros, parser: p, far: t.far}
}

const tapBuffer = 16 << 10

// buffered is the connection that crypto/tls is given: bytes may have been read ahead.
type buffered struct {
	*tap
	in io.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

func newTampering(l *link, t Tamper) *tampering {
	a := &tampering{Tamper: t, link: l, left: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	a.upstream.init()
	for s := range l.ends {
		l.ends[s].parsed.Store(true) // the taps see to it
	}
	return a
}

// begin plays what an attack does before the conversation flows.
func (t *tampering) begin(ctx context.Context) {
	t.ctx = ctx
	l := t.link
	for s, p := range []*parser{&l.parser, &t.upstream} {
		tap := &tap{Conn: l.ends[s].conn, mu: &l.mu, micros: l.micros, parser: p, far: side(s)}
		t.legs[s] = leg{tap: tap, in: bufio.NewReaderSize(tap, tapBuffer)}
	}
	switch t.Attack {
	case Inject, CutClose, CutReset, Delay, Hold, Flip:
	default:
		t.requests()
	}
	for s := range t.in {
		from := side(s)
		var r io.Reader = t.legs[s].in
		switch {
		case t.Attack == CutClose || t.Attack == CutReset || t.Attack == Delay || t.Attack == Hold:
			r = &watcher{t: t, from: from, in: r}
		case t.Attack == Flip && t.From == from.String():
			r = &flipper{t: t, tap: t.legs[s].tap}
		case from == server && t.injects():
			r = &injector{t: t, in: t.legs[s].in}
		}
		t.in[s] = &source{t: t, from: from, in: r}
	}
}

func (t *tampering) injects() bool {
	return t.Attack == Inject || t.Attack == Impersonate && t.SQL != ""
}

// note records what was done.
func (t *tampering) note(e Event) {
	t.link.mu.Lock()
	defer t.link.mu.Unlock()
	t.noteLocked(e)
}

func (t *tampering) noteLocked(e Event) {
	t.did = true
	t.differs = t.differs || e.Kind == Inserted || e.Kind == Injected || e.Kind == Replayed
	t.link.parser.event(t.link.micros(), "attacker", e)
}

// conclude says why nothing was done.
func (t *tampering) conclude() {
	t.link.mu.Lock()
	defer t.link.mu.Unlock()
	why := ""
	switch inner := t.legs[server].tap.parser; {
	case t.injects() && t.injected, t.did && !t.injects():
		return
	case t.injects() && inner.channel == tlsRecords, t.injects() && inner.channel == gssPackets:
		why = "the conversation is sealed"
	case t.injects():
		why = "the server did not become ready for a query"
	case t.Attack == Flip:
		why = "the " + t.From + " sent nothing sealed"
	case t.Attack == Replay:
		why = "the client sent nothing that was to be replayed"
	case t.Attack == StuffServer:
		why = "the server answered no request with S or G"
	case t.forges():
		why = "the client sent neither a request nor a startup packet"
	case t.Attack == StripGSS:
		why = "the client sent no GSSENCRequest"
	case t.Attack == CutClose, t.Attack == CutReset, t.Attack == Delay, t.Attack == Hold:
		why = "there was no " + strings.ReplaceAll(t.marker(), "|", " or ")
	default:
		why = "the client sent no request for encryption"
	}
	t.noteLocked(Event{Kind: Idle, Text: why})
}

// gone says that nothing more is passed on from a side.
func (t *tampering) gone(from side) { t.leave[from].Do(func() { close(t.left[from]) }) }

// end notes the orderly end of what comes from one side. The caller holds mu.
func (t *tampering) end(from side) {
	now := t.link.micros()
	t.upstream.end(now, from)
	for s := range t.legs {
		t.legs[s].tap.parser.end(now, from) // once more where nothing is sealed
	}
	t.upstream.event(now, from.String(), Event{Kind: Close})
}

// closeWrite ends our direction of a leg.
func (t *tampering) closeWrite(to side) error {
	t.link.mu.Lock()
	muted := t.muted
	t.link.mu.Unlock()
	if muted {
		return nil // done
	}
	return t.hangUp(to)
}

func (t *tampering) hangUp(to side) error {
	if secure := t.legs[to].secure; secure != nil {
		_ = secure.CloseWrite() // close_notify
	}
	return closeWrite(t.link.ends[to].conn)
}

// stop tells both ends in order that it is over. What they still send is read and dropped: a connection that is closed
// with bytes unread is reset.
func (t *tampering) stop() {
	t.link.mu.Lock()
	t.muted = true
	t.link.mu.Unlock()
	for _, to := range []side{client, server} {
		_ = t.hangUp(to) // an end that has gone already needs no telling
	}
}

// source is what comes from one side, less what is dropped.
type source struct {
	t    *tampering
	from side
	in   io.Reader
}

func (s *source) Read(b []byte) (int, error) {
	for {
		n, err := s.in.Read(b)
		s.t.link.mu.Lock()
		muted := s.t.muted
		s.t.link.mu.Unlock()
		if muted {
			n = 0
		}
		if err != nil {
			if s.t.legs[s.from].secure != nil && !broken(err) {
				err = io.EOF // TLS ended without, or with the peer's alert; the connection did not fail
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// broken tells a failed connection from TLS that failed on it.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// marker is Tamper.At in words.
func (t *tampering) marker() string {
	if t.At == "" {
		return string(Answer)
	}
	return t.At
}

// at says which of the events of At one is, or "".
func (t *tampering) at(e Event) string {
	for at := range strings.SplitSeq(t.marker(), "|") {
		kind, rest, _ := strings.Cut(at, " ")
		if string(e.Kind) == kind && strings.HasPrefix(e.detail()+" ", rest) {
			return at
		}
	}
	return ""
}

// due says whether an event of At has come from a side since the last time, and notes what is done about it.
func (t *tampering) due(from side, kind Kind, deed Deed, then func()) bool {
	t.link.mu.Lock()
	defer t.link.mu.Unlock()
	events := t.link.parser.events
	if from == server {
		events = t.upstream.events
	}
	for ; t.checked[from] < len(events); t.checked[from]++ {
		e := events[t.checked[from]]
		at := t.at(e)
		if at == "" || e.From != from.String() || t.From != "" && t.From != e.From || t.link.over || t.muted {
			continue
		}
		if t.matched++; t.matched == max(t.Nth, 1) {
			deed.At = at
			t.noteLocked(Event{Kind: kind, Deed: &deed})
			then()
			return true
		}
	}
	return false
}

// watcher waits for the event At in what comes from one side.
type watcher struct {
	t    *tampering
	from side
	in   io.Reader
}

func (w *watcher) Read(b []byte) (int, error) {
	t := w.t
	n, err := w.in.Read(b)
	switch t.Attack {
	case Delay:
		if t.due(w.from, Delayed, Deed{Micros: t.Delay.Microseconds()}, func() {}) {
			timer := time.NewTimer(t.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-t.left[w.from.other()]: // nobody waits for it any more
			case <-t.ctx.Done():
			}
		}
	case Hold:
		if t.due(w.from, Held, Deed{}, func() { t.held = true }) {
			for err == nil {
				_, err = w.in.Read(b)
			}
			<-t.left[w.from.other()]
			return 0, err
		}
	case CutReset:
		if t.due(w.from, Cut, Deed{How: "reset"}, func() { t.link.over = true }) {
			for s := range t.link.ends {
				reset(t.link.ends[s].conn)
			}
			return 0, net.ErrClosed
		}
	case CutClose:
		if t.due(w.from, Cut, Deed{How: "close"}, func() {}) {
			t.stop()
			return 0, err
		}
	}
	return n, err
}

// flipper changes a bit of the first sealed record.
type flipper struct {
	t    *tampering
	tap  *tap
	next int // 1: the byte to come is to be changed; 2: done
}

func (f *flipper) Read(b []byte) (int, error) {
	n, err := f.tap.Conn.Read(b)
	for i := range n {
		if f.next == 2 {
			f.tap.feed(f.tap.far, b[i:n])
			break
		}
		flip := f.next == 1
		f.tap.feed(f.tap.far, b[i:i+1])
		if !flip {
			switch f.last() {
			case TLSData: // the header has been read
				f.next = 1
			case GSSData: // so has the beginning of the body
				flip = true
			}
		}
		if flip {
			b[i] ^= 1
			f.next = 2
			f.t.note(Event{Kind: Flipped, Deed: &Deed{Of: f.t.From}})
		}
	}
	return n, err
}

// last is the kind of the latest event, if it is from the side that is flipped.
func (f *flipper) last() Kind {
	f.tap.mu.Lock()
	defer f.tap.mu.Unlock()
	events := f.tap.parser.events
	if len(events) == 0 || events[len(events)-1].From != f.t.From {
		return ""
	}
	return events[len(events)-1].Kind
}

// injector asks a query of its own before the client learns that the server is ready.
type injector struct {
	t    *tampering
	in   *bufio.Reader
	due  []byte // to be passed on first
	body int    // bytes of a message's body still to come
	done bool
}

func (j *injector) Read(b []byte) (int, error) {
	switch {
	case len(j.due) > 0:
		n := copy(b, j.due)
		j.due = j.due[n:]
		return n, nil
	case j.done:
		return j.in.Read(b)
	case j.body > 0:
		n, err := j.in.Read(b[:min(len(b), j.body)])
		j.body -= n
		return n, err
	}
	if _, err := j.in.Peek(1); err != nil {
		return 0, err
	}
	tap := j.t.legs[server].tap
	tap.mu.Lock()
	channel := tap.parser.channel
	tap.mu.Unlock()
	switch channel {
	case undecided: // the answer to a request
		return j.in.Read(b[:1])
	case tlsRecords, gssPackets:
		j.done = true
		return j.in.Read(b)
	}
	head, err := j.in.Peek(5)
	size, ok := 0, false
	if err == nil {
		size, ok = bodySize(head)
	}
	switch {
	case !ok: // an error in the form before protocol 3.0, or the end
		j.done = true
		return j.in.Read(b)
	case head[0] != 'Z' || size != 1:
		n := copy(b, head)
		_, _ = j.in.Discard(n)
		j.body = size
		return n, nil
	}
	j.done = true
	j.due = make([]byte, 6)
	if _, err := io.ReadFull(j.in, j.due); err != nil {
		return 0, err
	}
	answer := j.ask(tap)
	j.t.link.mu.Lock()
	j.t.injected = true
	j.t.noteLocked(answer)
	j.t.link.mu.Unlock()
	return j.Read(b)
}

// ask sends the query, takes its answer off the stream, and returns the event that says so.
func (j *injector) ask(tap *tap) Event {
	asked := Event{Kind: Injected, Deed: &Deed{SQL: text([]byte(j.t.SQL))}}
	if _, err := tap.Write(queryMessage(j.t.SQL)); err != nil {
		return asked
	}
	for {
		var head [5]byte
		if _, err := io.ReadFull(j.in, head[:]); err != nil {
			return asked
		}
		size, ok := bodySize(head[:])
		if !ok {
			return asked
		}
		body := make([]byte, min(size, keptError))
		if _, err := io.ReadFull(j.in, body); err != nil {
			return asked
		}
		if _, err := io.CopyN(io.Discard, j.in, int64(size-len(body))); err != nil {
			return asked
		}
		switch head[0] {
		case 'C':
			asked.Deed.Tag, asked.Error = text([]byte(strings.TrimRight(string(body), "\x00"))), nil
		case 'E':
			asked.Deed.Tag, asked.Error = "", readError(body)
		case 'Z':
			return asked
		}
	}
}

// sameTalk says whether either side said the same on both legs.
func sameTalk(a, b []Event) bool {
	said := func(events []Event, from side) string {
		var words strings.Builder
		for _, e := range events {
			if e.From == from.String() {
				_, _ = fmt.Fprintf(&words, "%q\n", e)
			}
		}
		return words.String()
	}
	return said(a, client) == said(b, client) && said(a, server) == said(b, server)
}
