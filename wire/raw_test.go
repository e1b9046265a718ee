package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// play plays a sequence against a handler.
func play(t *testing.T, what Sequence, handle func(*net.TCPConn)) Played {
	t.Helper()
	r := Raw{Address: serve(t, handle), User: "alice", SQL: "select 1", Count: 40, Wait: 20 * time.Second}
	got, err := r.Play(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	if got.Record.Error != "" {
		t.Errorf("%+v", got)
	}
	return got
}

func TestRaw(t *testing.T) {
	cert := newAuthority(t).issue(t, "db.example")
	secure := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"postgresql"}}
	withTLS := func(direct bool, then func(io.ReadWriter)) func(*net.TCPConn) {
		return func(conn *net.TCPConn) {
			if !direct {
				mustRead(t, conn, sslRequest)
				mustWrite(t, conn, str("S"))
			}
			s := tls.Server(conn, secure)
			if err := s.Handshake(); err != nil {
				return
			}
			then(s)
			_ = s.Close()
		}
	}
	alice := startup(3<<16, "user", "alice")
	query := message('Q', str("select 1\x00"))
	empty := message('Q', str("\x00"))
	tail := cat(message('I'), ready)
	violation := errorResponse("C08P01", "Mreceived unencrypted data after SSL request")
	for _, tc := range []struct {
		name   string
		what   Sequence
		handle func(*net.TCPConn)
		want   string // End, Error, TLS, Answers, Version, Executed
		last   string // of the events, before the end
	}{
		{"GSSENCRequest in TLS, G", GSSENCInTLS, withTLS(false, func(c io.ReadWriter) {
			mustRead(t, c, gssencRequest)
			mustWrite(t, c, str("G"))
			_, _ = io.Copy(io.Discard, c)
		}), "open;;;2;;[]", "server answer G"},
		{"GSSENCRequest in direct TLS, refused", GSSENCInDirectTLS, withTLS(true, func(c io.ReadWriter) {
			mustRead(t, c, gssencRequest)
			mustWrite(t, c, errorResponse("C0A000", "Mno GSS in TLS"))
		}), "closed;0A000 no GSS in TLS;;0;;[]", "server error-response 0A000 no GSS in TLS"},
		{"GSSENCRequest in TLS, no TLS", GSSENCInTLS, func(conn *net.TCPConn) {
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, str("N"))
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;the server answered N;1;;[]", "server answer N"},
		{"GSSENCRequest in direct TLS, no direct TLS", GSSENCInDirectTLS, func(conn *net.TCPConn) {
			_, _ = io.ReadFull(conn, make([]byte, 8))
		}, "reset;;read: connection reset by peer;0;;[]", ""},
		{"alternate, refused at once", Alternate, func(conn *net.TCPConn) {
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, str("N"))
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("N"))
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, errorResponse("C0A000", "Munsupported"))
		}, "closed;0A000 unsupported;;2;;[]", "server error-response 0A000 unsupported"},
		{"alternate, refused late", Alternate, func(conn *net.TCPConn) {
			for range 15 {
				mustRead(t, conn, cat(sslRequest))
				mustWrite(t, conn, str("N"))
				mustRead(t, conn, cat(gssencRequest))
				mustWrite(t, conn, str("N"))
			}
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, errorResponse("C0A000", "Munsupported"))
		}, "closed;0A000 unsupported;;30;;[]", "server error-response 0A000 unsupported"},
		{"alternate, for ever", Alternate, func(conn *net.TCPConn) {
			for range 20 {
				mustRead(t, conn, cat(sslRequest))
				mustWrite(t, conn, str("N"))
				mustRead(t, conn, cat(gssencRequest))
				mustWrite(t, conn, str("N"))
			}
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;;40;;[]", "server answer N"},
		{"alternate, the server dies", Alternate, func(conn *net.TCPConn) {
			for range 10 {
				mustRead(t, conn, cat(sslRequest))
				mustWrite(t, conn, str("N"))
				mustRead(t, conn, cat(gssencRequest))
				mustWrite(t, conn, str("N"))
			}
			mustRead(t, conn, sslRequest)
		}, "closed;;;20;;[]", "server answer N"},
		{"alternate, S", Alternate, func(conn *net.TCPConn) {
			mustRead(t, conn, sslRequest)
			mustWrite(t, conn, str("S"))
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;;1;;[]", "server answer S"},
		{"second startup", SecondStartup, func(conn *net.TCPConn) {
			mustRead(t, conn, alice)
			mustWrite(t, conn, authCleartext)
			mustRead(t, conn, startup(3<<16, "user", "postgres"))
			mustWrite(t, conn, errorResponse("C08P01", "Mexpected password response, got message type 0"))
		}, "closed;08P01 expected password response, got message type 0;;0;;[]", "server error-response 08P01 expected password response, got message type 0"},
		{"second startup, nobody asked", SecondStartup, func(conn *net.TCPConn) {
			mustRead(t, conn, alice)
			mustWrite(t, conn, cat(authOK, ready))
			mustRead(t, conn, empty)
			mustWrite(t, conn, tail)
			mustRead(t, conn, message('X'))
		}, "session;;;0;;[]", "client query"},
		{"stuffed query, refused in TLS", SSLWithQuery, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(sslRequest, query))
			mustWrite(t, conn, str("S"))
			s := tls.Server(conn, secure)
			mustRead(t, s, alice)
			mustWrite(t, s, violation)
			_ = s.Close()
		}, "closed;08P01 received unencrypted data after SSL request;;1;;[]", "server error-response 08P01 received unencrypted data after SSL request"},
		{"stuffed query, executed", SSLWithQuery, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(sslRequest, query))
			mustWrite(t, conn, str("S"))
			s := tls.Server(conn, secure)
			mustRead(t, s, alice)
			mustWrite(t, s, cat(authOK, ready, message('C', str("SELECT 1\x00")), ready))
			mustRead(t, s, empty)
			mustWrite(t, s, tail)
			mustRead(t, s, message('X'))
			_ = s.Close()
		}, "session;;;1;;[SELECT 1]", "client query"},
		{"stuffed startup, taken", SSLWithStartup, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(sslRequest, alice, query))
			mustWrite(t, conn, str("S"))
			s := tls.Server(conn, secure)
			_ = s.Handshake()
			mustWrite(t, s, cat(authOK, ready, message('C', str("SELECT 1\x00")), ready))
			mustRead(t, s, empty)
			mustWrite(t, s, tail)
			_ = s.Close()
		}, "session;;;1;;[SELECT 1]", ""},
		{"stuffed after GSSENCRequest, N", GSSENCWithQuery, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(gssencRequest, query))
			mustWrite(t, conn, str("N"))
			mustRead(t, conn, alice)
		}, "closed;;;1;;[]", "client malformed 51000000"},
		{"stuffed after GSSENCRequest, G", GSSENCWithStartup, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(gssencRequest, alice, query))
			mustWrite(t, conn, str("G"))
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;;1;;[]", ""},
		{"no token", GSSENCGarbage, func(conn *net.TCPConn) {
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("G"))
			mustRead(t, conn, cat(u32(garbage), bytes.Repeat([]byte{0xaa}, garbage)))
		}, "closed;;;1;;[]", "client malformed 00000040aaaaaaaa"},
		{"no token, N", GSSENCGarbage, func(conn *net.TCPConn) {
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("N"))
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;;1;;[]", "server answer N"},
		{"an empty token", GSSENCEmpty, func(conn *net.TCPConn) {
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("G"))
			mustRead(t, conn, u32(0))
		}, "closed;;;1;;[]", "client malformed 00000000"},
		{"an empty token, answered", GSSENCEmpty, func(conn *net.TCPConn) {
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("G"))
			mustRead(t, conn, u32(0))
			mustWrite(t, conn, apRep)
			_, _ = io.Copy(io.Discard, conn)
		}, "open;;;1;;[]", ""},
		{"an oversize token", GSSENCOversize, func(conn *net.TCPConn) {
			mustRead(t, conn, gssencRequest)
			mustWrite(t, conn, str("G"))
			mustRead(t, conn, u32(maxToken+1))
		}, "closed;;;1;;[]", "client malformed 00010001"},
		{"no ALPN, taken", DirectNoALPN, withTLS(true, func(c io.ReadWriter) {
			mustRead(t, c, alice)
			mustWrite(t, c, authCleartext)
			_, _ = io.Copy(io.Discard, c)
		}), "open;;;0;;[]", "server auth-request password"},
		{"wrong ALPN", DirectWrongALPN, withTLS(true, nil), "closed;;remote error: tls: no application protocol;0;;[]", "server tls-alert fatal 120 no_application_protocol"},
		{"cancel", CancelWrongKey, func(conn *net.TCPConn) { mustRead(t, conn, unhex("00000010 04d2162e 00000001 00000000")) },
			"closed;;;0;;[]", "client cancelrequest"},
		{"long startup", LongStartup, func(conn *net.TCPConn) { mustRead(t, conn, unhex("00002715 00030000")) }, "reset;;;0;;[]", ""},
		{"long startup, read", LongStartup, func(conn *net.TCPConn) {
			b := make([]byte, 10005)
			if _, err := io.ReadFull(conn, b); err != nil || string(b[9994:]) != "xxxxxxxxx\x00\x00" || !strings.HasPrefix(string(b[8:]), "user\x00alice\x00application_name\x00x") {
				t.Errorf("%q, %v", b, err)
			}
			mustWrite(t, conn, violation)
		}, "closed;08P01 received unencrypted data after SSL request;;0;;[]", ""},
		{"protocol 2", Protocol2, func(conn *net.TCPConn) {
			b := make([]byte, 296)
			_, _ = io.ReadFull(conn, b)
			mustWrite(t, conn, str("EFATAL:  unsupported frontend protocol 2.0\n\x00"))
		}, "closed;- FATAL:  unsupported frontend protocol 2.0;;0;;[]", "server error-response - FATAL:  unsupported frontend protocol 2.0"},
		{"protocol 3.9", Protocol39, func(conn *net.TCPConn) {
			mustRead(t, conn, startup(3<<16|9, "user", "alice"))
			mustWrite(t, conn, cat(message('v', u32(3<<16|2), u32(0)), authOK, ready))
			mustRead(t, conn, empty)
			mustWrite(t, conn, tail)
		}, "session;;;0;3.2;[]", "client query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := play(t, tc.what, tc.handle)
			failed := got.TLS
			if i := strings.LastIndex(failed, "->"); i >= 0 { // addresses
				failed = failed[strings.Index(failed[i:], ": ")+i+2:]
			}
			if words := fmt.Sprintf("%s;%s;%s;%d;%s;%v", got.End, got.Error, failed, got.Answers, got.Version, got.Executed); words != tc.want {
				t.Errorf("%s\nwant %s", words, tc.want)
			}
			lines := seen(got.Record)
			if end := lines[len(lines)-1]; end == "server close" || end == "server reset" {
				lines = lines[:len(lines)-1]
			}
			if tc.last != "" && lines[len(lines)-1] != tc.last {
				t.Errorf("events %q, want the last but the end to be %q", lines, tc.last)
			}
		})
	}
}

func TestRawTLSInGSS(t *testing.T) {
	key := byte(0x55)
	addr := serve(t, func(conn *net.TCPConn) {
		c := &masked{conn, key}
		mustRead(t, c, sslRequest)
		mustWrite(t, c, str("N"))
		_, _ = io.Copy(io.Discard, conn)
	})
	r := Raw{Address: addr, Seal: func(conn net.Conn) (net.Conn, error) { return &masked{conn, key}, nil }}
	got, err := r.Play(t.Context(), TLSInGSS)
	if err != nil || got.End != EndOpen || got.Answers != 1 || got.Record.Events[len(got.Record.Events)-1].Answer != "N" {
		t.Errorf("%+v, %v", got, err)
	}
	r.Address = serve(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	r.Seal = func(net.Conn) (net.Conn, error) { return nil, io.ErrNoProgress }
	if _, err := r.Play(t.Context(), TLSInGSS); err == nil || !strings.Contains(err.Error(), io.ErrNoProgress.Error()) {
		t.Errorf("a seal that fails is a fault: %v", err)
	}
}

// What is stuffed after a GSSENCRequest goes out in one segment with it, and once: the request of the Seal that follows is
// answered without the server.
func TestRawGSSENCStuffed(t *testing.T) {
	key := byte(0x55)
	query := message('Q', str("select 1\x00"))
	for _, what := range []Sequence{GSSENCWithQuery, GSSENCWithStartup} {
		stuffing := query
		if what == GSSENCWithStartup {
			stuffing = cat(startup(3<<16, "user", "alice"), query)
		}
		addr := serve(t, func(conn *net.TCPConn) {
			mustRead(t, conn, cat(gssencRequest, stuffing))
			mustWrite(t, conn, str("G"))
			c := &masked{conn, key}
			mustRead(t, c, str("token"))
			if what == GSSENCWithQuery {
				mustRead(t, c, startup(3<<16, "user", "alice"))
			}
			mustWrite(t, c, errorResponse("C08P01", "Mtoo early"))
		})
		r := Raw{Address: addr, User: "alice", SQL: "select 1", Seal: func(conn net.Conn) (net.Conn, error) {
			if _, err := conn.Write(requestPacket(gssencRequestCode)); err != nil {
				return nil, err
			}
			answer := make([]byte, 1)
			if _, err := io.ReadFull(conn, answer); err != nil {
				return nil, err
			}
			if answer[0] != 'G' {
				return nil, fmt.Errorf("answer %q", answer)
			}
			m := &masked{conn, key}
			_, err := m.Write([]byte("token"))
			return m, err
		}}
		got, err := r.Play(t.Context(), what)
		if err != nil || got.End != EndClosed || got.Error != "08P01 too early" || got.Answers != 1 || len(got.Executed) != 0 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

// Of a packet that Seal's connection sends once it is there, two bytes are changed.
func TestRawExtraCount(t *testing.T) {
	packet := cat(u32(20), unhex("0504 06ff 0000 0000"), str("sequence and so on"))
	addr := serve(t, func(conn *net.TCPConn) {
		mustRead(t, conn, str("token"))
		changed := bytes.Clone(packet)
		changed[9] = 8
		mustRead(t, conn, changed)
	})
	r := Raw{Address: addr, User: "alice", Seal: func(conn net.Conn) (net.Conn, error) {
		_, err := conn.Write([]byte("token"))
		return sealedAs{conn, packet}, err
	}}
	got, err := r.Play(t.Context(), GSSENCExtraCount)
	if err != nil || got.End != EndClosed || !slices.Contains(seen(got.Record), "client startup user=alice 3.0") {
		t.Errorf("%+v, %v", got, err)
	}
}

// sealedAs sends the same packet for everything.
type sealedAs struct {
	net.Conn
	packet []byte
}

func (s sealedAs) Write(b []byte) (int, error) {
	_, err := s.Conn.Write(s.packet)
	return len(b), err
}

// masked stands for GSS encryption.
type masked struct {
	net.Conn
	key byte
}

func (m *masked) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	for i := range b[:n] {
		b[i] ^= m.key
	}
	return n, err
}

func (m *masked) Write(b []byte) (int, error) {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ m.key
	}
	return m.Conn.Write(out)
}

func TestRawFaults(t *testing.T) {
	silent := serve(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	for _, tc := range []struct {
		raw  Raw
		what Sequence
		want string
	}{
		{Raw{Address: silent}, "dance", `no sequence "dance"`}, {Raw{Address: silent}, TLSInGSS, "Raw.Seal"}, {Raw{Address: silent}, GSSENCExtraCount, "Raw.Seal"}, {Raw{Address: silent}, Alternate, "Raw.Count"},
		{Raw{Address: silent}, SSLWithQuery, "Raw.SQL"}, {Raw{Address: silent, User: strings.Repeat("x", maxStuffed+1)}, LongStartup, "longer than"},
		{Raw{Address: "127.0.0.1:1"}, Protocol2, "reach the server"},
	} {
		if _, err := tc.raw.Play(t.Context(), tc.what); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want …%s…", tc.what, err, tc.want)
		}
	}
	got, err := Raw{Address: silent, Wait: time.Millisecond}.Play(t.Context(), Protocol39)
	if err != nil || got.End != EndOpen {
		t.Errorf("a server that says nothing: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	slow := serve(t, func(conn *net.TCPConn) { cancel(); _, _ = io.Copy(io.Discard, conn) })
	if _, err := (Raw{Address: slow}).Play(ctx, Protocol39); err == nil {
		t.Error("a sequence that was cut off has no ending")
	}
}

// FuzzRaw plays every sequence against a server that says anything.
func FuzzRaw(f *testing.F) {
	for _, tc := range parserCases {
		var theirs []byte
		for _, say := range tc.talk {
			if say.from == server {
				theirs = append(theirs, say.b...)
			}
		}
		for i := range Sequences() {
			f.Add(theirs, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, theirs []byte, which uint8) {
		what := Sequences()[int(which)%len(Sequences())]
		addr := serve(t, func(conn *net.TCPConn) {
			_, _ = conn.Write(theirs)
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		})
		r := Raw{Address: addr, User: "alice", SQL: "select 1", Count: 100, Seal: func(conn net.Conn) (net.Conn, error) { return &masked{conn, 1}, nil }}
		got, err := r.Play(t.Context(), what)
		if err != nil || got.End == "" || len(got.Record.Events) > 4*maxEvents || len(got.Executed) > maxEvents || len(got.Error) > 8*keptText {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
