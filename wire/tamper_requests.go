package wire

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// stuffing is what StuffClient sends to the server after the client's request.
func (t *tampering) stuffing() []byte {
	stuffing := queryMessage(t.SQL)
	if t.User != "" {
		stuffing = append(startupPacket("user", t.User), stuffing...)
	}
	t.note(Inserted, fmt.Sprintf("%d bytes to the server", len(stuffing)))
	return stuffing
}

// requests plays the attacks on what comes before the conversation: the client's requests for encryption and their
// answers. It returns when the rest is to be passed on as it comes, or when stop has been called. An error is not
// looked at: who passes on the rest meets it again.
func (t *tampering) requests() {
	c, s := &t.legs[client], &t.legs[server]
	for {
		first, err := c.in.Peek(1)
		if err != nil {
			return
		}
		if first[0] == recordHandshake {
			t.direct()
			return
		}
		head, err := c.in.Peek(8)
		if err != nil {
			return
		}
		kind, accept := request(head)
		if kind == "" {
			if t.forges() {
				t.forge()
			}
			t.replay(plaintext)
			return
		}
		asked := append([]byte(nil), head...)
		switch {
		case t.Attack == ForgeAPRep && kind == GSSENCRequest:
			_, _ = c.in.Discard(len(asked))
			t.forgeToken()
			return
		case t.Attack == Strip, t.Attack == StripGSS && kind == GSSENCRequest, t.endsTLS() && kind == GSSENCRequest:
			_, _ = c.in.Discard(len(asked))
			t.answer(kind, "N")
			continue
		case t.endsTLS():
			_, _ = c.in.Discard(len(asked))
			t.answer(kind, "S")
			t.impersonate()
			return
		case t.Attack == Error:
			_, _ = c.in.Discard(len(asked))
			t.note(Answered, fmt.Sprintf("an ErrorResponse to %s", kind))
			_, _ = c.tap.Write(errorMessage(t.Text))
			t.stop()
			return
		case t.Attack == ErrorUnterminated:
			_, _ = c.in.Discard(len(asked))
			t.unterminated(kind)
			return
		}
		_, _ = c.in.Discard(len(asked))
		if t.Attack == StuffClient && !t.did {
			asked = append(asked, t.stuffing()...)
		}
		if _, err := s.tap.Write(asked); err != nil {
			return
		}
		answer, err := s.in.Peek(1)
		if err != nil || answer[0] != 'N' && answer[0] != accept {
			return
		}
		said := []byte{answer[0]}
		_, _ = s.in.Discard(1)
		accepted := said[0] == accept
		if t.Attack == StuffServer && accepted {
			stuffing := t.Bytes
			if len(stuffing) == 0 {
				stuffing = errorMessage(t.Text)
			}
			t.note(Inserted, fmt.Sprintf("%d bytes to the client", len(stuffing)))
			said = append(said, stuffing...)
		}
		if _, err := c.tap.Write(said); err != nil {
			return
		}
		if accepted {
			if kind == GSSENCRequest {
				t.replay(gssPackets)
			} else {
				t.replay(tlsRecords)
			}
			return
		}
	}
}

// request reads an SSLRequest or GSSENCRequest and says which byte accepts it.
func request(b []byte) (kind Kind, accept byte) {
	switch {
	case binary.BigEndian.Uint32(b) != 8:
	case binary.BigEndian.Uint32(b[4:]) == sslRequestCode:
		return SSLRequest, 'S'
	case binary.BigEndian.Uint32(b[4:]) == gssencRequestCode:
		return GSSENCRequest, 'G'
	}
	return "", 0
}

// answer answers in the server's place.
func (t *tampering) answer(kind Kind, word string) {
	t.note(Answered, fmt.Sprintf("%s to %s", word, kind))
	_, _ = t.legs[client].tap.Write([]byte(word))
}

// direct is for a client that begins with TLS.
func (t *tampering) direct() {
	switch {
	case t.Attack == Strip:
		t.note(Cut, "close at "+string(DirectTLS))
		t.stop()
	case t.endsTLS():
		t.impersonate()
	case t.Attack == Replay:
		t.replay(tlsRecords)
	}
}

// unterminated sends an error in the form before protocol 3.0 without its end.
func (t *tampering) unterminated(kind Kind) {
	if kind == GSSENCRequest {
		t.answer(kind, "G")
		if _, err := t.firstUnit(gssPackets); err != nil {
			return
		}
	}
	t.note(Answered, fmt.Sprintf("an unterminated error to %s", kind))
	_, _ = t.legs[client].tap.Write([]byte("E" + t.Text))
	t.stop()
}

// firstUnit takes the first unit that the client sends on a channel.
func (t *tampering) firstUnit(on channel) ([]byte, error) {
	in := t.legs[client].in
	size := 0
	switch on {
	case tlsRecords:
		head, err := in.Peek(5)
		if err != nil {
			return nil, err
		}
		size = 5 + int(binary.BigEndian.Uint16(head[3:]))
	default:
		head, err := in.Peek(4)
		if err != nil {
			return nil, err
		}
		if n := binary.BigEndian.Uint32(head); n > maxToken {
			return nil, fmt.Errorf("a unit of %d bytes", n)
		}
		size = int(binary.BigEndian.Uint32(head))
		if on == gssPackets {
			size += 4
		}
	}
	unit := make([]byte, size)
	n, err := io.ReadFull(in, unit)
	return unit[:n], err
}

// replay passes the client's first unit on twice.
func (t *tampering) replay(on channel) {
	kind := map[channel]Kind{plaintext: Startup, tlsRecords: ClientHello, gssPackets: GSSToken}[on]
	if t.Attack != Replay || t.At != "" && t.at(Event{Kind: kind}) == "" {
		return
	}
	unit, err := t.firstUnit(on)
	if err == nil {
		if on == plaintext && len(unit) >= 8 && binary.BigEndian.Uint32(unit[4:]) == cancelRequestCode {
			kind = CancelRequest
		}
		t.note(Replayed, fmt.Sprintf("%d bytes: %s", len(unit), kind))
		unit = append(unit, unit...)
	}
	_, _ = t.legs[server].tap.Write(unit) // what came of it
}

// endsTLS says whether the attacker takes the client's TLS in the server's name.
func (t *tampering) endsTLS() bool { return t.Attack == Impersonate || t.forges() }

// impersonate takes the client's TLS and waits until the client speaks through it. Only then it begins TLS with the
// server, if the server is to have a part in it: who is refused leaves no trace there.
func (t *tampering) impersonate() {
	c, s := &t.legs[client], &t.legs[server]
	protocols := []string{"postgresql"}
	secure := tls.Server(buffered{c.tap, c.in}, &tls.Config{Certificates: []tls.Certificate{*t.Certificate}, NextProtos: protocols})
	if err := secure.Handshake(); err != nil {
		t.refused(client, err)
		return
	}
	state := secure.ConnectionState()
	detail := tlsVersion(state.Version)
	if state.NegotiatedProtocol != "" {
		detail += " alpn=" + state.NegotiatedProtocol
	}
	t.note(Impersonated, detail)
	c.secure, c.tap = secure, c.tap.inner(secure)
	c.in = bufio.NewReaderSize(c.tap, tapBuffer)
	if _, err := c.in.Peek(1); err != nil {
		t.refused(client, err)
		return
	}
	if t.forges() {
		t.forge()
		return
	}
	if _, err := s.tap.Write(requestPacket(sslRequestCode)); err != nil {
		return
	}
	answer, err := s.in.Peek(1)
	if err != nil || answer[0] != 'N' && answer[0] != 'S' {
		return // an error, which the client is to have
	}
	accepted := answer[0] == 'S'
	_, _ = s.in.Discard(1)
	if !accepted {
		return
	}
	upstream := tls.Client(buffered{s.tap, s.in}, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) //nolint:gosec // an attacker does not care
	if err := upstream.Handshake(); err != nil {
		t.refused(server, err)
		return
	}
	s.secure, s.tap = upstream, s.tap.inner(upstream)
	s.in = bufio.NewReaderSize(s.tap, tapBuffer)
}

// refused notes that an end would not have TLS with the attacker, and ends it.
func (t *tampering) refused(by side, err error) {
	if errors.Is(err, net.ErrClosed) {
		return // the link was cut: nobody's word
	}
	word := text([]byte(err.Error()))
	// OpenSSL sends its alert in the clear where crypto/tls awaits a sealed record: then the record has it, err has not.
	if by == client {
		t.link.mu.Lock()
		for _, e := range t.link.parser.events {
			if e.From == client.String() && e.Kind == TLSAlert && e.Detail != "encrypted" {
				word = "alert " + e.Detail
			}
		}
		t.link.mu.Unlock()
	}
	t.note(Refused, by.String()+": "+word)
	t.stop()
}
