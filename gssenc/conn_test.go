package gssenc

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// fakeContext is a security context whose tokens are HMAC | sealed | plaintext XOR 0x55, bound to their place in the
// sequence: what is needed to test the connection around it.
type fakeContext struct {
	from, to  string // the key of either direction
	sent, got uint64
	lie       int // added to MaxPlain
}

const fakeOverhead = sha256.Size + 1

func (f *fakeContext) mac(key string, n uint64, rest []byte) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write(binary.BigEndian.AppendUint64(nil, n))
	m.Write(rest)
	return m.Sum(nil)
}

func (f *fakeContext) Seal(dst, plain []byte, conf bool) ([]byte, error) {
	body := []byte{0}
	if conf {
		body[0] = 1
	}
	for _, b := range plain {
		body = append(body, b^0x55)
	}
	dst = append(append(dst, f.mac(f.to, f.sent, body)...), body...)
	f.sent++
	return dst, nil
}

func (f *fakeContext) Open(dst, token []byte) ([]byte, bool, error) {
	if len(token) < fakeOverhead || !hmac.Equal(token[:sha256.Size], f.mac(f.from, f.got, token[sha256.Size:])) {
		_ = append(dst, token...) // as a real one may, it writes before it knows
		return nil, false, errors.New("not the token that was due")
	}
	f.got++
	for _, b := range token[fakeOverhead:] {
		dst = append(dst, b^0x55)
	}
	return dst, token[sha256.Size] == 1, nil
}

func (f *fakeContext) MaxPlain(token int) int { return max(0, token-fakeOverhead) + f.lie }

// tcpPair is a connection over loopback, both ends.
func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// connPair is a Conn and, at its other end, one that stands for the server.
func connPair(t *testing.T) (client, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	client, err := newConn(a, &fakeContext{from: "server", to: "client"})
	if err != nil {
		t.Fatal(err)
	}
	server, err = newConn(b, &fakeContext{from: "client", to: "server"})
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// packet frames a token, or anything else.
func packet(token []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
}

// sealed is a packet that a server sends.
func sealed(t testing.TB, f *fakeContext, plain string, conf bool) []byte {
	t.Helper()
	token, err := f.Seal(nil, []byte(plain), conf)
	if err != nil {
		t.Fatal(err)
	}
	return packet(token)
}

// send writes to a peer that takes it.
func send(t *testing.T, to io.Writer, b []byte) {
	if _, err := to.Write(b); err != nil {
		t.Error(err)
	}
}

// wantStage fails unless err is an *Error of the stage that speaks of text.
func wantStage(t *testing.T, err error, stage Stage, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Stage != stage || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one of stage %q about %q", err, stage, text)
	}
}

func TestConnCarriesAnyLength(t *testing.T) {
	largest := maxPacket - 4 - fakeOverhead
	for _, n := range []int{1, 2, largest - 1, largest, largest + 1, 2*largest - 1, 2 * largest, bulk, bulk + 1, batch, 8*largest + 1, 10*largest + 7, 3 << 20} {
		for _, into := range []int{1 << 10, 8 << 10, maxPacket, 1 << 20} {
			client, server := connPair(t)
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(rand.Uint32())
			}
			go func() {
				if k, err := client.Write(data); k != n || err != nil {
					t.Errorf("Write of %d bytes: %d, %v", n, k, err)
				}
				if err := client.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			var got bytes.Buffer
			if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{server}, make([]byte, into)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), data) {
				t.Errorf("%d bytes, %d at a time, did not arrive as they were sent", n, into)
			}
		}
	}
}

func TestConnBothWaysAtOnce(t *testing.T) {
	client, server := connPair(t)
	const n = 4 << 20
	fill := func(c *Conn, value byte) {
		for range n / 1000 {
			if _, err := c.Write(bytes.Repeat([]byte{value}, 1000)); err != nil {
				t.Error(err)
			}
		}
	}
	receive := func(c *Conn, value byte) {
		b := make([]byte, 3000)
		for left := n / 1000 * 1000; left > 0; {
			k, err := c.Read(b)
			if err != nil || bytes.Count(b[:k], []byte{value}) != k {
				t.Errorf("Read: %d, %v", k, err)
				return
			}
			left -= k
		}
	}
	var wg sync.WaitGroup
	for _, f := range []func(){func() { fill(client, 1) }, func() { fill(server, 2) }, func() { receive(client, 2) }, func() { receive(server, 1) }} {
		wg.Go(f)
	}
	wg.Wait()
}

// A server that misbehaves in its packets, the whole of what the client may see of it, and that the error stays.
func TestConnRefusesPackets(t *testing.T) {
	good := func(f *fakeContext) []byte { return sealed(t, f, "good", true) }
	for _, tt := range []struct {
		name string
		send func(f *fakeContext) []byte
		want string
	}{
		{"zero length", func(f *fakeContext) []byte { return append(good(f), 0, 0, 0, 0) }, "1 to 16380"},
		{"one too long", func(f *fakeContext) []byte { return append(good(f), 0, 0, 0x3f, 0xfd) }, "16381 bytes; 1 to 16380"},
		{"absurd length", func(f *fakeContext) []byte { return append(good(f), 0xff, 0xff, 0xff, 0xff) }, "4294967295 bytes"},
		{"plaintext protocol", func(f *fakeContext) []byte { return append(good(f), "Z\x00\x00\x00\x05I"...) }, "1 to 16380"},
		{"garbage token", func(f *fakeContext) []byte { return append(good(f), packet(bytes.Repeat([]byte("x"), 100))...) }, "not the token"},
		{"empty-handed token", func(f *fakeContext) []byte { return append(good(f), packet([]byte{5})...) }, "not the token"},
		{"replayed", func(f *fakeContext) []byte { p := good(f); return append(p, p...) }, "not the token"},
		{"left out", func(f *fakeContext) []byte { p := good(f); good(f); return append(p, good(f)...) }, "not the token"},
		{"swapped", func(f *fakeContext) []byte {
			p, q, r := good(f), good(f), good(f)
			return bytes.Join([][]byte{p, r, q}, nil)
		}, "not the token"},
		{"not encrypted", func(f *fakeContext) []byte { return append(good(f), sealed(t, f, "signed", false)...) }, "only signed"},
		{"cut in its length", func(f *fakeContext) []byte { return append(good(f), 0, 0) }, "unexpected EOF"},
		{"cut in its token", func(f *fakeContext) []byte { p := good(f); return append(p, good(f)[:20]...) }, "unexpected EOF"},
	} {
		for _, into := range []int{3, 4, 64, 1 << 16} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, into), func(t *testing.T) {
				a, b := tcpPair(t)
				client, err := newConn(a, &fakeContext{from: "server", to: "client"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Write(tt.send(&fakeContext{to: "server"})); err != nil {
					t.Fatal(err)
				}
				_ = b.CloseWrite()
				var got []byte
				p := make([]byte, into)
				for err == nil {
					clear(p)
					var n int
					n, err = client.Read(p)
					got = append(got, p[:n]...)
					if err != nil && len(bytes.Trim(p, "\x00")) > 0 {
						t.Errorf("the buffer of a failed read holds %q", p)
					}
				}
				wantStage(t, err, StagePacket, tt.want)
				if string(got) != "good" {
					t.Errorf("read %q, want the good packet and no more", got)
				}
				if _, again := client.Read(p); !errors.Is(again, err) {
					t.Errorf("then %v: an error stays", again)
				}
			})
		}
	}
}

func TestConnEndsBetweenPackets(t *testing.T) {
	client, server := connPair(t)
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("Read at the end: %d, %v", n, err)
		}
	}
	if _, err := client.Write([]byte("still open")); err != nil {
		t.Error(err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: %v", err)
	}
}

// A packet without content is passed over, not taken for the end.
func TestConnEmptyPackets(t *testing.T) {
	a, b := tcpPair(t)
	client, err := newConn(a, &fakeContext{from: "server"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeContext{to: "server"}
	for range 100 {
		send(t, b, sealed(t, f, "", true))
	}
	send(t, b, sealed(t, f, "at last", true))
	p := make([]byte, 100)
	if n, err := client.Read(p); string(p[:n]) != "at last" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	if n, err := client.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	if n, err := client.Write(nil); n != 0 || err != nil {
		t.Errorf("empty write: %d, %v", n, err)
	}
}

// A read that times out in the middle of a packet loses nothing.
func TestConnReadTimeout(t *testing.T) {
	a, b := tcpPair(t)
	client, err := newConn(a, &fakeContext{from: "server"})
	if err != nil {
		t.Fatal(err)
	}
	p := sealed(t, &fakeContext{to: "server"}, "hello", true)
	for i := range p {
		if err := client.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := client.Read(make([]byte, 10))
		var timeout net.Error
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("read with %d bytes of the packet: %d, %v", i, n, err)
		}
		send(t, b, p[i:i+1])
	}
	if err := client.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if n, err := client.Read(got); string(got[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
}

func TestConnWriteTimeoutStays(t *testing.T) {
	client, _ := connPair(t)
	if err := client.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := client.Write(make([]byte, 64<<20)) // the peer does not read
	if !errors.Is(err, os.ErrDeadlineExceeded) || n >= 64<<20 {
		t.Fatalf("%d, %v", n, err)
	}
	if err := client.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, again := client.Write([]byte("x")); !errors.Is(again, err) {
		t.Errorf("then %v: half a packet may be on its way, the error has to stay", again)
	}
}

func TestConnCloseWakes(t *testing.T) {
	client, _ := connPair(t)
	done := make(chan error)
	go func() {
		_, err := client.Read(make([]byte, 1))
		done <- err
	}()
	_ = client.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read that waited for the close: %v", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the close: %v", err)
	}
}

func TestConnContextThatDoesNotFit(t *testing.T) {
	a, _ := tcpPair(t)
	if _, err := newConn(a, &fakeContext{lie: -maxPacket}); err == nil {
		t.Error("a context that seals nothing into a packet is taken")
	}
	c, err := newConn(a, &fakeContext{lie: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Write(make([]byte, maxPacket))
	wantStage(t, err, StagePacket, "more than a packet holds")
}

func TestConnAllocatesNothingPerPacket(t *testing.T) {
	c := &Conn{transport: discard{}, context: flat{}}
	c.out.largest = 16000
	small, large := make([]byte, 16000), make([]byte, 16000*64)
	per := func(p []byte) float64 { return testing.AllocsPerRun(100, func() { _, _ = c.Write(p) }) }
	if s, l := per(small), per(large); l > s+1 {
		t.Errorf("%g allocations for one packet, %g for 64", s, l)
	}
	c.transport = &zeroes{}
	for _, p := range [][]byte{make([]byte, 100), make([]byte, 1<<20)} {
		read := func() {
			if n, err := c.Read(p); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}
		for range 2000 { // buffers have grown
			read()
		}
		if n := testing.AllocsPerRun(1000, read); n > 0 {
			t.Errorf("%g allocations for a read of %d", n, len(p))
		}
	}
	if len(c.in.raw) != bulk || cap(c.in.plain) != maxPacket {
		t.Errorf("buffers of %d and %d bytes", len(c.in.raw), cap(c.in.plain))
	}
}

// A session with little to say keeps a small buffer, and grows it for one large packet.
func TestConnBuffersGrow(t *testing.T) {
	a, b := tcpPair(t)
	client, err := newConn(a, &fakeContext{from: "server"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeContext{to: "server"}
	p := make([]byte, 1<<16)
	for _, n := range []int{1, 1000, little - 4 - fakeOverhead, 10, little, maxPacket - 4 - fakeOverhead, 5} {
		want := strings.Repeat("x", n)
		send(t, b, sealed(t, f, want, true))
		if got, err := client.Read(p); string(p[:got]) != want || err != nil {
			t.Fatalf("%d bytes of %d, %v", got, n, err)
		}
		if n == 1000 && len(client.in.raw) != little {
			t.Errorf("a buffer of %d bytes", len(client.in.raw))
		}
	}
	if client.in.plain != nil {
		t.Error("a second buffer, although there was room for every plaintext")
	}
}

// discard swallows writes.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// zeroes reads as packets of 16,000 zeroes.
type zeroes struct {
	discard
	at int
}

func (z *zeroes) Read(p []byte) (int, error) {
	header := binary.BigEndian.AppendUint32(nil, 16000)
	for i := range p {
		if p[i] = 0; z.at < len(header) {
			p[i] = header[z.at]
		}
		z.at = (z.at + 1) % (len(header) + 16000)
	}
	return len(p), nil
}

// flat protects nothing.
type flat struct{}

func (flat) Seal(dst, plain []byte, _ bool) ([]byte, error) { return append(dst, plain...), nil }
func (flat) Open(dst, token []byte) ([]byte, bool, error)   { return append(dst, token...), true, nil }
func (flat) MaxPlain(token int) int                         { return token }

// The packet reader on anything that a server may send: no panic, no read beyond what the packets hold, no memory
// beyond the buffers, and the same content however the bytes arrive.
func FuzzPacketReader(f *testing.F) {
	s := &fakeContext{to: "server"}
	f.Add(append(sealed(f, s, "hello", true), sealed(f, s, strings.Repeat("x", 9000), true)...))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte("E\x00\x00\x00\x50SFATAL"))
	f.Add([]byte{0, 0, 0x3f, 0xfc, 1})
	f.Add(sealed(f, &fakeContext{to: "server"}, "signed", false))
	f.Fuzz(func(t *testing.T, stream []byte) {
		read := func(r io.Reader, into int) (string, string) {
			c, err := newConn(&stuffed{r: r}, &fakeContext{from: "server"})
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			p := make([]byte, into)
			for {
				n, err := c.Read(p)
				got = append(got, p[:n]...)
				if err != nil {
					if len(c.in.raw) > bulk || cap(c.in.plain) > maxPacket {
						t.Fatalf("buffers of %d and %d bytes", len(c.in.raw), cap(c.in.plain))
					}
					return string(got), err.Error()
				}
			}
		}
		got, end := read(bytes.NewReader(stream), 1<<16)
		if len(got) > len(stream) {
			t.Fatalf("%d bytes came of %d", len(got), len(stream))
		}
		if slow, slowEnd := read(iotest.OneByteReader(bytes.NewReader(stream)), 7); slow != got || slowEnd != end {
			t.Fatalf("byte by byte %q, %s; at once %q, %s", slow, slowEnd, got, end)
		}
	})
}

// stuffed is a transport that reads from r and swallows writes.
type stuffed struct {
	discard
	r io.Reader
}

func (s *stuffed) Read(p []byte) (int, error) { return s.r.Read(p) }
func (s *stuffed) RemoteAddr() net.Addr       { return nil }
