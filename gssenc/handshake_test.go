package gssenc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serve plays a server for one connection and gives the client's end.
func serve(t *testing.T, play func(*net.TCPConn)) net.Conn {
	t.Helper()
	client, server := tcpPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		play(server)
	}()
	t.Cleanup(func() { _ = client.Close(); <-done })
	return client
}

// answer reads GSSENCRequest and writes what it is given.
func answer(t *testing.T, s net.Conn, b string) {
	var request [8]byte
	if _, err := io.ReadFull(s, request[:]); err != nil || binary.BigEndian.Uint32(request[:]) != 8 || binary.BigEndian.Uint32(request[4:]) != 80877104 {
		t.Errorf("GSSENCRequest: %x, %v", request, err)
	}
	if _, err := io.WriteString(s, b); err != nil {
		t.Error(err)
	}
}

func readFrame(t *testing.T, s net.Conn) []byte {
	var length [4]byte
	if _, err := io.ReadFull(s, length[:]); err != nil {
		t.Error(err)
		return nil
	}
	token := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(s, token); err != nil {
		t.Error(err)
	}
	return token
}

func TestRequestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		refused      bool
		want         string
	}{
		{"yes", "G", false, ""},
		{"no", "N", true, ErrRefused.Error()},
		{"S is for TLS", "S", false, "byte 0x53"},
		{"error", "E\x00\x00\x00\x40SFATAL\x00C28000\x00Msend your password to evil.example\x00\x00", false, "answered with an error message"},
		{"error of protocol 2, unterminated", "Esend your password to evil.example", false, "answered with an error message"},
		{"zero byte", "\x00", false, "byte 0x00"},
		{"hang up", "", false, "no answer to GSSENCRequest: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := serve(t, func(s *net.TCPConn) { answer(t, s, tt.answer); _ = s.CloseWrite() })
			err := request(t.Context(), client)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantStage(t, err, StageRequest, tt.want)
			if errors.Is(err, ErrRefused) != tt.refused {
				t.Errorf("%v: refused is %v", err, !tt.refused)
			}
			if strings.Contains(err.Error(), "evil") {
				t.Errorf("what is not authenticated is shown: %v", err)
			}
		})
	}
}

// Nothing after the answer is read with it.
func TestRequestReadsOneByte(t *testing.T) {
	client := serve(t, func(s *net.TCPConn) { answer(t, s, "Nrest"); _ = s.CloseWrite() })
	if err := request(t.Context(), client); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(client); string(rest) != "rest" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestRequestEndsWithContext(t *testing.T) {
	client := serve(t, func(s *net.TCPConn) { _, _ = io.Copy(io.Discard, s) }) // never answers
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := request(ctx, client)
	wantStage(t, err, StageRequest, "deadline exceeded")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	cancelled, stop := context.WithCancelCause(t.Context())
	stop(errors.New("enough"))
	wantStage(t, request(cancelled, client), StageRequest, "enough")
	// A deadline of the context does not remain.
	if _, err := client.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

// steps plays an initiator that sends out[i] and is done after the last; it says what it was given.
func steps(in *[]string, out ...string) func([]byte) ([]byte, bool, error) {
	round := 0
	return func(token []byte) ([]byte, bool, error) {
		*in = append(*in, string(token))
		round++
		if round > len(out) {
			return nil, true, nil
		}
		return []byte(out[round-1]), false, nil
	}
}

func TestExchange(t *testing.T) {
	big := strings.Repeat("b", maxToken)
	client := serve(t, func(s *net.TCPConn) {
		for _, want := range []string{"first", big, "third"} {
			if got := readFrame(t, s); string(got) != want {
				t.Errorf("token of %d bytes, want %d", len(got), len(want))
			}
			send(t, s, packet([]byte("to "+want[:5])))
		}
		send(t, s, []byte("after"))
	})
	var in []string
	if err := exchange(t.Context(), client, steps(&in, "first", big, "third")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(in, "|"); got != "|to first|to bbbbb|to third" {
		t.Errorf("tokens %q", got)
	}
	rest := make([]byte, 5)
	if _, err := io.ReadFull(client, rest); string(rest) != "after" || err != nil {
		t.Errorf("after the tokens: %q, %v", rest, err)
	}
}

func TestExchangeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []byte
		want string
	}{
		{"hang up", nil, "the server hung up; its log says why"},
		{"zero length", []byte{0, 0, 0, 0}, "0 bytes; 1 to 65532"},
		{"one too long", []byte{0, 0, 0xff, 0xfd}, "65533 bytes; 1 to 65532"},
		{"absurd", []byte{0xff, 0xff, 0xff, 0xff}, "4294967295 bytes"},
		{"error message", []byte("E\x00\x00\x00\x30SFATAL\x00Mevil\x00"), "answered with an error message"},
		{"cut in the length", []byte{0, 0}, "none came: unexpected EOF"},
		{"cut in the token", packet(make([]byte, 100))[:50], "it was cut: unexpected EOF"},
		{"AuthenticationOk at once", []byte("R\x00\x00\x00\x08\x00\x00\x00\x00"), "bytes; 1 to 65532"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := serve(t, func(s *net.TCPConn) { readFrame(t, s); send(t, s, tt.send); _ = s.CloseWrite() })
			var in []string
			err := exchange(t.Context(), client, steps(&in, "first"))
			wantStage(t, err, StageToken, tt.want)
			if len(in) != 1 || strings.Contains(err.Error(), "evil") {
				t.Errorf("the initiator was given %q; %v", in, err)
			}
		})
	}
}

// Bytes that come after the answer G and before our first token belong to no message (CVE-2021-23222).
func TestExchangeRefusesStuffedBytes(t *testing.T) {
	for _, stuffing := range []string{"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I", string(packet([]byte("token"))), "x"} {
		sent := make(chan struct{})
		client := serve(t, func(s *net.TCPConn) { answer(t, s, "G"+stuffing); close(sent) })
		if err := request(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		<-sent
		var in []string
		wantStage(t, exchange(t.Context(), client, steps(&in, "first")), StageToken, "received unencrypted data")
	}
	// Where the transport does not tell, they are read as a token, and the initiator decides.
	client := serve(t, func(s *net.TCPConn) { answer(t, s, "GR\x00\x00\x00\x08\x00\x00\x00\x00"); readFrame(t, s) })
	opaque := struct{ net.Conn }{client}
	if err := request(t.Context(), opaque); err != nil {
		t.Fatal(err)
	}
	var in []string
	wantStage(t, exchange(t.Context(), opaque, steps(&in, "first")), StageToken, "1 to 65532")
}

func TestExchangeErrorsOfTheInitiator(t *testing.T) {
	client := serve(t, func(s *net.TCPConn) { _, _ = io.Copy(io.Discard, s) })
	refused := failf(StageAnswer, "not the AP-REP that was due")
	wantStage(t, exchange(t.Context(), client, func([]byte) ([]byte, bool, error) { return nil, false, refused }), StageAnswer, "AP-REP")
	wantStage(t, exchange(t.Context(), client, func([]byte) ([]byte, bool, error) { return make([]byte, maxToken+1), false, nil }), StageToken, "at most 65532")
	endless := serve(t, func(s *net.TCPConn) {
		for range maxRounds {
			readFrame(t, s)
			send(t, s, packet([]byte("more")))
		}
	})
	wantStage(t, exchange(t.Context(), endless, func([]byte) ([]byte, bool, error) { return []byte("again"), false, nil }), StageToken, "no context after 8 rounds")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	silent := serve(t, func(s *net.TCPConn) { _, _ = io.Copy(io.Discard, s) })
	wantStage(t, exchange(ctx, silent, steps(new([]string), "first")), StageToken, "deadline exceeded")
}

func FuzzReadToken(f *testing.F) {
	f.Add(packet([]byte("token")))
	f.Add([]byte{0, 0, 0xff, 0xfc, 1})
	f.Add([]byte("E\x00\x00\x00\x30"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		token, err := readToken(r)
		if err == nil && (len(token) == 0 || !bytes.Equal(stream[4:4+len(token)], token) || r.Len() != len(stream)-4-len(token)) {
			t.Fatalf("token of %d bytes, %d left of %d", len(token), r.Len(), len(stream))
		}
	})
}
