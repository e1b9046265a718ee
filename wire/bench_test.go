package wire

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// plainRelay is what the relay is measured against: the same sockets, io.Copy both ways, nothing recorded.
func plainRelay(b *testing.B, addr string) (listen net.Addr, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				up, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				var both sync.WaitGroup
				pass := func(dst, src net.Conn) {
					_, _ = io.Copy(dst, src)
					_ = dst.(*net.TCPConn).CloseWrite()
				}
				both.Go(func() { pass(up, down) })
				pass(down, up)
				both.Wait()
				_, _ = down.Close(), up.Close()
			})
		}
	})
	return l.Addr(), func() { _ = l.Close(); open.Wait() }
}

func recordingRelay(b *testing.B, addr string) (listen net.Addr, stop func()) {
	r := relayTo(b, addr)
	return r.Addr(), func() { closed(b, r) }
}

// compare runs an attempt through either relay in turn and reports their times as a ratio: 1.05 is 5 % slower.
func compare(b *testing.B, addr string, attempt func(net.Addr)) (plain, recording time.Duration) {
	attempts := []func(*testing.B, string) (net.Addr, func()){plainRelay, recordingRelay}
	var spent [2]time.Duration
	for i := range b.N {
		for j := range attempts {
			which := (i + j) % 2
			start := time.Now()
			listen, stop := attempts[which](b, addr)
			attempt(listen)
			stop()
			spent[which] += time.Since(start)
		}
	}
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "times-plain")
	b.ReportMetric(0, "ns/op")
	return spent[0], spent[1]
}

// BenchmarkAttempt opens a relay, makes one connection with a SCRAM login and a query through it, and closes it.
func BenchmarkAttempt(b *testing.B) {
	talk := parserCases[0].talk
	addr := serve(b, func(conn *net.TCPConn) {
		for _, say := range talk {
			if say.from == server {
				mustWrite(b, conn, say.b)
			} else {
				mustRead(b, conn, say.b)
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	plain, recording := compare(b, addr, func(to net.Addr) {
		conn, err := net.Dial("tcp", to.String())
		if err != nil {
			b.Fatal(err)
		}
		for _, say := range talk {
			if say.from == client {
				mustWrite(b, conn, say.b)
			} else {
				mustRead(b, conn, say.b)
			}
		}
		_ = conn.Close()
	})
	b.ReportMetric(float64(b.N)/recording.Seconds(), "attempts/s")
	b.ReportMetric(float64((recording-plain).Microseconds())/float64(b.N), "added-us/attempt")
}

// BenchmarkBulk sends 64 MB through one connection after a login.
func BenchmarkBulk(b *testing.B) {
	const size = 64 << 20
	chunk := make([]byte, 64<<10)
	login := cat(authOK, ready)
	addr := serve(b, func(conn *net.TCPConn) {
		mustRead(b, conn, startup(3<<16, "user", "alice"))
		mustWrite(b, conn, login)
		mustRead(b, conn, message('Q', str("\x00")))
		for range size / len(chunk) {
			mustWrite(b, conn, chunk)
		}
	})
	_, recording := compare(b, addr, func(to net.Addr) {
		conn, err := net.Dial("tcp", to.String())
		if err != nil {
			b.Fatal(err)
		}
		mustWrite(b, conn, startup(3<<16, "user", "alice"))
		mustRead(b, conn, login)
		mustWrite(b, conn, message('Q', str("\x00")))
		if n, err := io.Copy(io.Discard, conn); n != size || err != nil {
			b.Errorf("%d bytes, %v", n, err)
		}
		_ = conn.Close()
	})
	b.ReportMetric(float64(b.N)*size/recording.Seconds()/1e6, "MB/s")
}
