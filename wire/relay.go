package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Options says where a relay listens and how it reaches the server.
type Options struct {
	Addr string // TCP address to listen on; empty: 127.0.0.1:0
	// Dial opens the connection to the server, once for each client connection and before anything is read from
	// the client. It must return when ctx is done.
	Dial  func(ctx context.Context) (net.Conn, error)
	Start time.Time // zero of Event.Micros; the zero Time: now
	// Tamper makes the relay an attacker between the ends; nil: it changes nothing that they can see.
	Tamper *Tamper
}

// Relay passes bytes between clients and one server and records what it sees.
type Relay struct {
	listener *net.TCPListener
	dial     func(ctx context.Context) (net.Conn, error)
	start    time.Time
	tamper   *Tamper
	ctx      context.Context // of the dials
	cancel   context.CancelFunc
	accepted chan struct{}  // closed when nothing more is accepted
	patience time.Duration  // of drain
	open     sync.WaitGroup // of links

	mu     sync.Mutex
	last   net.Addr // our own connection that marks the end of the listener's queue
	links  []*link  // in the order they were accepted
	failed string   // why the relay stopped accepting before Close
}

// Listen opens a relay. The dials to the server end with ctx; everything else ends with Close, which must be called.
func Listen(ctx context.Context, opt Options) (*Relay, error) {
	if opt.Dial == nil {
		return nil, errors.New("wire: Options.Dial is nil: the relay needs a way to reach the server")
	}
	if err := opt.Tamper.check(); err != nil {
		return nil, err
	}
	if opt.Addr == "" {
		opt.Addr = "127.0.0.1:0"
	}
	if opt.Start.IsZero() {
		opt.Start = time.Now()
	}
	// Keep-alive probes would cost four system calls a connection; Multipath TCP, the default of listeners since
	// Go 1.24, is another socket type with other resets.
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("wire: open a relay on %s: %w", opt.Addr, err)
	}
	r := &Relay{listener: l.(*net.TCPListener), dial: opt.Dial, start: opt.Start, tamper: opt.Tamper, accepted: make(chan struct{}), patience: 30 * time.Second}
	r.ctx, r.cancel = context.WithCancel(ctx)
	go r.accept()
	return r, nil
}

// Addr is where the relay listens.
func (r *Relay) Addr() *net.TCPAddr { return r.listener.Addr().(*net.TCPAddr) }

// Close stops accepting, waits until the open connections have ended by themselves, and returns a record for each
// connection in the order they were opened. Connections that a client had opened before Close was called are among
// them, even if the relay had not got round to accepting them. When ctx is done first, what is still open is reset
// at both ends and its Record.Error says so. It may be called again and returns the same records.
func (r *Relay) Close(ctx context.Context) []Record {
	r.drain()
	ended := make(chan struct{})
	go func() { r.open.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		for _, l := range r.links { // before its dial is cancelled: a link that ends by that would not say that it was cut
			l.cut(fmt.Sprintf("cut by the relay, still open when it was closed: %v", context.Cause(ctx)))
		}
		r.cancel()
		<-ended
	}
	r.cancel()
	records := make([]Record, 0, len(r.links)+1)
	for _, l := range r.links {
		records = append(records, l.result())
	}
	if r.failed != "" {
		records = append(records, Record{Error: r.failed})
	}
	return records
}

// drain takes in what waits in the listener's queue and stops accepting. A client that connects and goes away at once
// may have ended before it was accepted; closing the listener would lose its record. The queue is first in, first out:
// so all that was opened before a connection of our own has been accepted when that one is. Where something between
// rewrites addresses it is not known again: the records then say so.
func (r *Relay) drain() {
	r.mu.Lock()
	if r.last == nil && r.failed == "" {
		own, err := net.DialTimeout("tcp", r.Addr().String(), r.patience)
		if err != nil {
			r.giveUp(err)
		} else {
			r.last = own.LocalAddr()
			defer reset(own)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.accepted:
	case <-time.After(r.patience):
		r.mu.Lock()
		if r.failed == "" {
			r.giveUp(errors.New("its own connection did not arrive"))
		}
		r.mu.Unlock()
		<-r.accepted
	}
	_ = r.listener.Close()
}

// giveUp stops accepting. The caller holds mu.
func (r *Relay) giveUp(err error) {
	r.failed = fmt.Sprintf("the relay cannot tell whether it saw every connection: %v", err)
	_ = r.listener.Close()
}

func (r *Relay) accept() {
	defer close(r.accepted)
	for {
		client, err := r.listener.AcceptTCP()
		r.mu.Lock() // held by drain while it connects
		switch {
		case err != nil && r.failed == "":
			r.failed = fmt.Sprintf("the relay stopped accepting connections: %v", err)
			fallthrough
		case err != nil:
			r.mu.Unlock()
			_ = r.listener.Close()
			return
		case r.last != nil && client.RemoteAddr().String() == r.last.String():
			r.mu.Unlock()
			reset(client)
			return
		}
		l := newLink(client, r.start, r.tamper)
		r.links = append(r.links, l)
		r.mu.Unlock()
		r.open.Add(1)
		go func() {
			defer r.open.Done()
			l.run(r.ctx, r.dial)
		}()
	}
}
