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
)

// requests plays the attacks on what comes before the conversation: the client's requests for encryption and their
// answers. It returns when the rest is to be passed on as it comes, or when stop has been called. An error is not
// looked at: passing on the rest meets it again.
func (t *tampering) requests() {
	in := t.legs[client].in
	for again := true; again; {
		first, err := in.Peek(1)
		if err != nil {
			return
		}
		if first[0] == recordHandshake {
			t.direct()
			return
		}
		head, err := in.Peek(8)
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
		asked := bytes.Clone(head)
		_, _ = in.Discard(len(asked))
		switch {
		case t.strips(kind):
			t.answer(kind, "N")
		case t.endsTLS(), t.Attack == Error, t.Attack == ErrorUnterminated:
			t.takes(kind)
			return
		default:
			again = t.passes(kind, accept, asked)
		}
	}
}

// strips says whether the attacker answers N to a request.
func (t *tampering) strips(kind Kind) bool {
	switch t.Attack {
	case Strip:
		return true
	case StripGSS, Impersonate, ForgeOK, ForgeGSSOK:
		return kind == GSSENCRequest
	}
	return false
}

// takes answers a request in the server's place, and goes on from there.
func (t *tampering) takes(kind Kind) {
	switch {
	case t.Attack == ForgeAPRep && kind == GSSENCRequest:
		t.forgeToken()
	case t.endsTLS():
		t.answer(kind, "S")
		t.impersonate()
	case t.Attack == Error:
		t.note(Event{Kind: Answered, Deed: &Deed{Said: SaidError, To: string(kind)}})
		_, _ = t.legs[client].tap.Write(errorMessage(t.Text))
		t.stop()
	default:
		t.unterminated(kind)
	}
}

// passes passes a request on, and its answer back, with what the attack adds to either. It says whether the client may send another request.
func (t *tampering) passes(kind Kind, accept byte, asked []byte) (again bool) {
	c, s := &t.legs[client], &t.legs[server]
	if t.Attack == StuffClient && !t.did {
		stuffing := queryMessage(t.SQL)
		if t.User != "" {
			stuffing = append(startupPacket("user", t.User), stuffing...)
		}
		t.note(Event{Kind: Inserted, Deed: &Deed{Bytes: len(stuffing), To: server.String()}})
		asked = append(asked, stuffing...)
	}
	if _, err := s.tap.Write(asked); err != nil {
		return false
	}
	answer, err := s.in.Peek(1)
	if err != nil || answer[0] != 'N' && answer[0] != accept {
		return false
	}
	said := bytes.Clone(answer)
	_, _ = s.in.Discard(1)
	accepted := said[0] == accept
	if t.Attack == StuffServer && accepted {
		stuffing := t.Bytes
		if len(stuffing) == 0 {
			stuffing = errorMessage(t.Text)
		}
		t.note(Event{Kind: Inserted, Deed: &Deed{Bytes: len(stuffing), To: client.String()}})
		said = append(said, stuffing...)
	}
	if _, err := c.tap.Write(said); err != nil || !accepted {
		return err == nil
	}
	t.replay(map[Kind]channel{GSSENCRequest: gssPackets, SSLRequest: tlsRecords}[kind])
	return false
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
	t.note(Event{Kind: Answered, Deed: &Deed{Said: word, To: string(kind)}})
	_, _ = t.legs[client].tap.Write([]byte(word))
}

// direct is for a client that begins with TLS.
func (t *tampering) direct() {
	switch {
	case t.Attack == Strip:
		t.note(Event{Kind: Cut, Deed: &Deed{How: "close", At: string(DirectTLS)}})
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
	t.note(Event{Kind: Answered, Deed: &Deed{Said: SaidUnterminated, To: string(kind)}})
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
		t.note(Event{Kind: Replayed, Deed: &Deed{Bytes: len(unit), To: string(kind)}})
		unit = append(unit, unit...)
	}
	_, _ = t.legs[server].tap.Write(unit) // what came of it
}

// endsTLS says whether the attacker takes the client's TLS in the server's name.
func (t *tampering) endsTLS() bool { return t.Attack == Impersonate || t.forges() }

// impersonate takes the client's TLS and waits until the client sends something through it. Only then it begins TLS with the
// server, if the server is to have a part in it: an attacker whom the client refused leaves no trace there.
func (t *tampering) impersonate() {
	c, s := &t.legs[client], &t.legs[server]
	protocols := []string{"postgresql"}
	secure := tls.Server(buffered{c.tap, c.in}, &tls.Config{Certificates: []tls.Certificate{*t.Certificate}, NextProtos: protocols})
	if err := secure.Handshake(); err != nil {
		t.refused(client, err)
		return
	}
	state := secure.ConnectionState()
	agreed := &TLS{Version: tlsVersion(state.Version)}
	if state.NegotiatedProtocol != "" {
		agreed.ALPN = []string{state.NegotiatedProtocol}
	}
	t.note(Event{Kind: Impersonated, TLS: agreed})
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

// refused notes that an end did not accept TLS with the attacker, and ends it.
func (t *tampering) refused(by side, err error) {
	if errors.Is(err, net.ErrClosed) {
		return // the link was cut: neither end said so
	}
	word := text([]byte(err.Error()))
	// OpenSSL sends its alert in the clear where crypto/tls awaits a sealed record: then the record has it, err has not.
	if by == client {
		t.link.mu.Lock()
		for _, e := range t.link.parser.events {
			if e.From == client.String() && e.Alert != nil {
				word = "alert " + e.detail()
			}
		}
		t.link.mu.Unlock()
	}
	t.note(Event{Kind: Refused, Text: word, Deed: &Deed{Of: by.String()}})
	t.stop()
}
