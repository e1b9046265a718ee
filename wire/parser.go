package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Bounds. A unit that claims to be longer is malformed; bodies that are not looked into are not kept at all.
const (
	maxStartup = 4 + 10000 // MAX_STARTUP_PACKET_LENGTH, src/include/libpq/pqcomm.h, does not count the length itself
	maxError   = 30000     // MAX_ERRLEN, src/interfaces/libpq/fe-connect.c: longer means the form before protocol 3.0
	keptError  = 8 << 10
	keptText   = 1 << 10
	maxMessage = 1 << 30 // MaxAllocSize
	maxHeld    = 16 << 10
	maxEvents  = 128 // of one side
)

// Request codes, src/include/libpq/pqcomm.h.
const (
	cancelRequestCode = 1234<<16 | 5678
	sslRequestCode    = 1234<<16 | 5679
	gssencRequestCode = 1234<<16 | 5680
	requestMajor      = 1234
)

// channel is what a connection has been negotiated to carry.
type channel byte

const (
	undecided channel = iota // requests, or a startup packet
	plaintext                // a startup packet was sent in the clear
	tlsRecords
	gssPackets
)

// parser follows both directions of one connection: what a byte from the server means depends on what the client
// asked. It keeps bounded state and never fails: what it does not understand becomes a Malformed event, after which
// that direction is no longer looked at.
type parser struct {
	*journal
	now     int64     // of the bytes being fed, microseconds
	streams [2]stream // client, server

	channel  channel
	asked    byte   // 'S' or 'G' while an SSLRequest or GSSENCRequest waits for its answer
	quiet    bool   // S or G was answered and the client has not spoken since
	stuffed  int    // index+1 of the server's Stuffed event
	lastAuth string // Auth of the last AuthRequest
}

// journal is where a parser enters what it sees. The parser of what TLS seals and that of the TLS records share one.
type journal struct{ events []Event }

// stream assembles the units of one direction, however they are cut into reads.
type stream struct {
	want   int          // bytes needed in buf before step is called
	buf    []byte       // the unit so far
	skip   int          // bytes to pass over after it
	step   func([]byte) // sets what comes next: expect, more, or done
	text   bool         // buf is an error text that the end of the stream completes
	done   bool         // nothing more of interest can come
	events int
	tls    tlsStream
}

// expect drops the unit at hand, passes over skip bytes, and calls step with the next n.
func (s *stream) expect(skip, n int, step func([]byte)) {
	s.skip, s.want, s.step, s.buf, s.text = skip, n, step, s.buf[:0], false
}

// more calls step when the unit at hand has grown to n bytes.
func (s *stream) more(n int, step func([]byte)) { s.want, s.step = n, step }

func (s *stream) finish() { s.done, s.buf, s.step, s.tls.hello = true, nil, nil, nil }

func (p *parser) init() {
	if p.journal == nil {
		p.journal = new(journal)
	}
	p.streams[client].expect(0, 1, p.clientFirst)
	p.streams[server].expect(0, 1, p.serverFirst)
}

// feed takes the next bytes from one side; b is neither kept nor changed.
func (p *parser) feed(now int64, from side, b []byte) {
	p.now = now
	if len(b) == 0 {
		return
	}
	if from == client {
		p.quiet = false
	}
	p.run(from, b)
}

func (p *parser) run(from side, b []byte) {
	s := &p.streams[from]
	for len(b) > 0 && !s.done {
		if from == server && p.quiet {
			p.stuffing(len(b))
			return
		}
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b = b[n:]
			continue
		}
		n := min(s.want-len(s.buf), len(b))
		s.buf = append(s.buf, b[:n]...)
		b = b[n:]
		s.advance()
	}
}

// advance takes steps as long as the bytes at hand allow.
func (s *stream) advance() {
	for !s.done && len(s.buf) >= s.want {
		s.step(s.buf)
	}
}

// end notes the orderly end of one direction.
func (p *parser) end(now int64, from side) {
	p.now = now
	s := &p.streams[from]
	switch {
	case s.done:
	case s.text:
		p.errorText(s.buf[1:])
	case from == client && p.asked != 0:
		p.heldBytes()
	case s.skip > 0 || len(s.buf) > 0:
		p.malformed(from, "ends in the middle")
	}
	s.finish()
}

func (j *journal) event(now int64, from string, e Event) {
	e.Micros, e.From = now, from
	j.events = append(j.events, e)
}

// see records what a side sent. A peer that could make the record grow without end is not followed any further.
func (p *parser) see(from side, e Event) {
	s := &p.streams[from]
	switch s.events++; {
	case s.events < maxEvents:
		p.event(p.now, from.String(), e)
	case s.events == maxEvents:
		p.event(p.now, from.String(), Event{Kind: Malformed, Text: "too many messages before the session"})
		s.finish()
	}
}

func (p *parser) malformed(from side, what string) {
	p.see(from, Event{Kind: Malformed, Text: what})
	p.streams[from].finish()
}

// next waits for the next unit of one direction after skip more bytes of this one.
func (p *parser) next(from side, skip int) {
	s := &p.streams[from]
	switch {
	case from == server: // what is due is known only when it comes
		s.expect(skip, 1, p.serverFirst)
	case p.channel == tlsRecords:
		s.expect(skip, 5, p.clientRecord)
	case p.channel == gssPackets:
		s.expect(skip, 4, p.clientToken)
	case p.channel == plaintext:
		s.expect(skip, 5, p.clientMessage)
	default:
		s.expect(skip, 1, p.clientFirst)
	}
}

func (p *parser) clientRecord(b []byte) { p.record(client, b) }
func (p *parser) clientToken(b []byte)  { p.token(client, b) }
func (p *parser) serverRecord(b []byte) { p.record(server, b) }
func (p *parser) serverToken(b []byte)  { p.token(server, b) }

// clientFirst looks at the first byte of a connection, or of what follows an N.
func (p *parser) clientFirst(b []byte) {
	c := &p.streams[client]
	if b[0] == recordHandshake { // as the server's ProcessSSLStartup does
		p.see(client, Event{Kind: DirectTLS})
		p.channel = tlsRecords
		c.more(5, p.clientRecord)
		return
	}
	c.more(4, func(b []byte) {
		if n := binary.BigEndian.Uint32(b); n < 8 || n > maxStartup {
			p.malformed(client, hex.EncodeToString(b))
			return
		}
		c.more(8, p.request)
	})
}

// request reads the code of a packet without a type byte: a request, or the protocol version of a startup packet.
func (p *parser) request(b []byte) {
	c := &p.streams[client]
	size, code := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	switch {
	case code == sslRequestCode && size == 8:
		p.see(client, Event{Kind: SSLRequest})
		p.await('S')
	case code == gssencRequestCode && size == 8:
		p.see(client, Event{Kind: GSSENCRequest})
		p.await('G')
	case code == cancelRequestCode:
		p.see(client, Event{Kind: CancelRequest})
		c.finish()
	case code>>16 == requestMajor:
		p.malformed(client, hex.EncodeToString(b))
	default:
		p.channel = plaintext
		c.more(size, p.startup)
	}
}

// await holds back what the client sends before it can have seen the answer: what it means depends on that.
func (p *parser) await(asked byte) {
	p.asked = asked
	p.streams[client].expect(0, maxHeld, func([]byte) {
		p.malformed(client, fmt.Sprintf("more than %d bytes after a request before its answer", maxHeld))
	})
}

// heldBytes records what the client sent after a request and returns it.
func (p *parser) heldBytes() []byte {
	held := bytes.Clone(p.streams[client].buf)
	if len(held) > 0 {
		p.see(client, Event{Kind: Stuffed, Bytes: len(held)})
	}
	return held
}

// stuffing counts what the server sent after an S or G before the client spoke. It is not part of what the channel
// carries: there the client speaks first.
func (p *parser) stuffing(n int) {
	if p.stuffed == 0 {
		p.see(server, Event{Kind: Stuffed, Bytes: n})
		p.stuffed = len(p.events)
		return
	}
	p.events[p.stuffed-1].Bytes += n
}

// startup reads a whole startup packet: protocol version, then name and value in turn, each ended by a zero byte.
func (p *parser) startup(b []byte) {
	major, minor := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	packet := &StartupPacket{Protocol: fmt.Sprintf("%d.%d", major, minor)}
	kept := map[string]*string{"user": &packet.User, "database": &packet.Database, "replication": &packet.Replication, "application_name": &packet.Application}
	for rest := b[8:]; major >= 3; {
		var name, value []byte
		var ok bool
		if name, rest, ok = bytes.Cut(rest, []byte{0}); !ok || len(name) == 0 {
			break
		}
		if value, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			break
		}
		if field := kept[string(name)]; field != nil {
			*field = text(value)
		}
	}
	p.see(client, Event{Kind: Startup, Startup: packet})
	p.next(client, 0)
}

// clientMessage reads the header of a message in the clear. Bodies are never looked into: they hold passwords.
func (p *parser) clientMessage(b []byte) {
	size := binary.BigEndian.Uint32(b[1:])
	if !strings.ContainsRune("pQPBCDEFHSXcdf", rune(b[0])) || size < 4 || size > maxMessage {
		p.malformed(client, hex.EncodeToString(b))
		return
	}
	switch b[0] {
	case 'p':
		asked := p.lastAuth
		if asked == "" {
			asked = "none"
		}
		p.see(client, Event{Kind: PasswordSent, Auth: asked})
	case 'Q', 'P':
		p.see(client, Event{Kind: Query})
		p.streams[client].finish()
		return
	}
	p.next(client, int(size)-4)
}

// serverFirst looks at the first byte of a unit from the server. An error in the clear can come at any time before
// the channel carries sealed data, and an E can be nothing else there.
func (p *parser) serverFirst(b []byte) {
	s := &p.streams[server]
	switch {
	case p.asked != 0:
		p.answer(b[0])
	case b[0] == 'E':
		s.text = true
		s.more(5, p.errorHeader)
	case p.channel == tlsRecords:
		s.more(5, p.serverRecord)
	case p.channel == gssPackets:
		s.more(4, p.serverToken)
	case p.channel == plaintext:
		s.more(5, p.serverMessage)
	default:
		p.malformed(server, hex.EncodeToString(b))
	}
}

// answer reads the byte that answers an SSLRequest or GSSENCRequest.
func (p *parser) answer(b byte) {
	s := &p.streams[server]
	held := p.heldBytes()
	said := string(rune(b))
	if !strings.ContainsRune("GSNE", rune(b)) {
		said = fmt.Sprintf("0x%02x", b)
	}
	p.see(server, Event{Kind: Answer, Answer: said})
	accepted := b == p.asked
	p.asked = 0
	switch {
	case accepted:
		p.channel = tlsRecords
		if b == 'G' {
			p.channel = gssPackets
		}
		p.quiet = len(held) == 0 && !p.streams[client].done
		p.next(server, 0)
	case b == 'N':
		p.next(server, 0)
	case b == 'E':
		s.text = true
		s.more(5, p.errorHeader) // the E is still in buf
	default:
		s.finish()
	}
	p.next(client, 0)
	p.run(client, held)
}

// serverMessage reads the header of a message in the clear.
func (p *parser) serverMessage(b []byte) {
	size := binary.BigEndian.Uint32(b[1:])
	if !strings.ContainsRune("RKSZNvACDTIGHWVnst123cd", rune(b[0])) || size < 4 || size > maxMessage || b[0] == 'R' && size < 8 {
		p.malformed(server, hex.EncodeToString(b))
		return
	}
	switch b[0] {
	case 'R':
		p.streams[server].more(9, p.authRequest)
	case 'Z':
		p.see(server, Event{Kind: Ready})
		p.streams[server].finish()
	default:
		p.next(server, int(size)-4)
	}
}

var authRequests = map[uint32]string{
	0: "ok", 3: "password", 5: "md5", 7: "gss", 8: "gss-continue", 9: "sspi", 10: "sasl", 11: "sasl-continue", 12: "sasl-final",
}

func (p *parser) authRequest(b []byte) {
	size, code := binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:])
	name, ok := authRequests[code]
	if !ok {
		name = strconv.FormatUint(uint64(code), 10)
	}
	p.lastAuth = name
	p.see(server, Event{Kind: AuthRequest, Auth: name})
	p.next(server, int(size)-8)
}

// errorHeader tells an ErrorResponse of protocol 3.0 from the older form, which is an E and a text that ends with a
// zero byte or with the connection: the postmaster still sends it when it cannot start a backend. libpq tells them
// apart in the same way.
func (p *parser) errorHeader(b []byte) {
	s := &p.streams[server]
	size := binary.BigEndian.Uint32(b[1:])
	if size < 8 || size > maxError {
		p.errorByte(b)
		return
	}
	s.text = false
	s.more(1+int(min(size, keptError)), p.errorFields)
}

func (p *parser) errorFields(b []byte) {
	size := int(binary.BigEndian.Uint32(b[1:]))
	p.see(server, Event{Kind: ErrorResponse, Error: readError(b[5:])})
	p.next(server, 1+size-len(b))
}

// readError reads the body of an ErrorResponse.
func readError(rest []byte) *ServerError {
	e := new(ServerError)
	for len(rest) > 0 && rest[0] != 0 {
		field := rest[0]
		var value []byte
		value, rest, _ = bytes.Cut(rest[1:], []byte{0})
		switch field {
		case 'C':
			e.State = word(text(value))
		case 'M':
			e.Text = text(value)
		}
	}
	return e
}

func (p *parser) errorByte(b []byte) {
	if len(b) < keptError && bytes.IndexByte(b, 0) < 0 {
		p.streams[server].more(len(b)+1, p.errorByte)
		return
	}
	p.errorText(b[1:])
	p.streams[server].finish() // the server has nothing more to say
}

func (p *parser) errorText(b []byte) {
	b, _, _ = bytes.Cut(b, []byte{0})
	p.see(server, Event{Kind: ErrorResponse, Error: &ServerError{Text: text(bytes.TrimSpace(b))}})
}

// word makes a value fit between blanks.
func word(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == '"' || unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// text bounds a text from the wire and makes it valid UTF-8.
func text(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), keptText)]), "\uFFFD")
}
