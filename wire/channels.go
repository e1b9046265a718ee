package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// TLS record content types, RFC 8446 section 5.1 and RFC 5246 section 6.2.1.
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordApplicationData  = 23
	recordHeartbeat        = 24 // RFC 6520
)

const (
	maxRecord = 1<<14 + 2048 // TLSCiphertext.length of TLS 1.2, the larger of the two
	maxHello  = 64 << 10
	maxToken  = 64 << 10 // PQ_GSS_AUTH_BUFFER_SIZE, src/backend/libpq/be-secure-gssapi.c
	keptToken = 64       // enough for the frame in front of the token's type
)

// tlsStream is what one direction of TLS has shown so far.
type tlsStream struct {
	hello     []byte // the Hello as far as it has come; it may span records
	greeted   bool   // the Hello was seen
	encrypted bool   // ChangeCipherSpec was seen
}

// record reads the header of a TLS record.
func (p *parser) record(from side, b []byte) {
	s := &p.streams[from]
	size := int(binary.BigEndian.Uint16(b[3:]))
	bad := b[1] != 3 || size > maxRecord
	switch kind := b[0]; {
	case bad:
	case kind == recordChangeCipherSpec:
		s.tls.encrypted = true
		p.next(from, size)
		return
	case kind == recordAlert && size == 2: // no cipher makes a record that short: it is in the clear, even after ChangeCipherSpec
		s.more(7, func(b []byte) {
			p.see(from, Event{Kind: TLSAlert, Alert: alert(b[5], b[6])})
			p.next(from, 0)
		})
		return
	case kind == recordAlert && s.tls.encrypted:
		p.see(from, Event{Kind: TLSAlert})
		p.next(from, size)
		return
	case kind == recordHandshake && !s.tls.greeted:
		s.more(5+size, func(b []byte) { p.handshake(from, b[5:]) })
		return
	case kind == recordHandshake, kind == recordHeartbeat:
		p.next(from, size)
		return
	case kind == recordApplicationData && s.tls.greeted:
		p.see(from, Event{Kind: TLSData})
		s.finish()
		return
	}
	p.malformed(from, hex.EncodeToString(b))
}

// handshake gathers the first handshake message of a direction and reads it.
func (p *parser) handshake(from side, b []byte) {
	s := &p.streams[from]
	s.tls.hello = append(s.tls.hello, b...)
	h := s.tls.hello
	if len(h) < 4 {
		p.next(from, 0)
		return
	}
	kind, read, want := ClientHello, clientHello, byte(1)
	if from == server {
		kind, read, want = ServerHello, serverHello, 2
	}
	size := int(h[1])<<16 | int(binary.BigEndian.Uint16(h[2:]))
	switch {
	case h[0] != want || size > maxHello:
		p.malformed(from, "no "+string(kind)+": "+hex.EncodeToString(h[:4]))
	case len(h) < 4+size:
		p.next(from, 0)
	default:
		hello, ok := read(h[4 : 4+size])
		if !ok {
			p.malformed(from, "unreadable "+string(kind))
			return
		}
		p.see(from, Event{Kind: kind, TLS: hello})
		s.tls.hello, s.tls.greeted = nil, true
		if hello.Retry { // both Hellos come once more
			p.streams[client].tls.greeted, s.tls.greeted = false, false
		}
		p.next(from, 0)
	}
}

// retryRandom marks a ServerHello as a HelloRetryRequest: the SHA-256 of that name, RFC 8446 section 4.1.3.
var retryRandom, _ = hex.DecodeString("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

// Extension types, RFC 6066, RFC 7301, RFC 8446.
const (
	extServerName        = 0
	extALPN              = 16
	extSupportedVersions = 43
)

// cursor reads the fields of a handshake message; what is not there reads as nothing and leaves bad set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return make([]byte, min(n, 2))
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) uint16() uint16   { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) vector8() cursor  { return cursor{b: c.take(int(c.take(1)[0]))} }
func (c *cursor) vector16() cursor { return cursor{b: c.take(int(c.uint16()))} }
func (c *cursor) more() bool       { return !c.bad && len(c.b) > 0 }

// extensions calls each with every extension; none at all is in order (RFC 5246 section 7.4.1.2).
func (c *cursor) extensions(each func(kind uint16, body cursor)) {
	if !c.more() {
		return
	}
	for list := c.vector16(); list.more(); {
		kind := list.uint16()
		body := list.vector16()
		c.bad = c.bad || list.bad
		if !c.bad {
			each(kind, body)
		}
	}
}

// clientHello reads a ClientHello, RFC 8446 section 4.1.2.
func clientHello(b []byte) (*TLS, bool) {
	c := cursor{b: b}
	highest := c.uint16()
	c.take(32)   // random
	c.vector8()  // legacy_session_id
	c.vector16() // cipher_suites
	c.vector8()  // legacy_compression_methods
	var hello TLS
	c.extensions(func(kind uint16, body cursor) {
		switch kind {
		case extServerName:
			for list := body.vector16(); list.more(); {
				hostName := list.take(1)[0] == 0
				if v := list.vector16(); hostName && !list.bad {
					hello.SNI = text(v.b)
				}
			}
		case extALPN:
			hello.ALPN = alpn(&body)
		case extSupportedVersions:
			for list := body.vector8(); list.more(); {
				if v := list.uint16(); v>>8 == 3 { // the rest are drafts and GREASE, RFC 8701
					highest = max(highest, v)
				}
			}
		}
	})
	hello.Version = tlsVersion(highest)
	return &hello, !c.bad
}

// serverHello reads a ServerHello or HelloRetryRequest, RFC 8446 section 4.1.3.
func serverHello(b []byte) (*TLS, bool) {
	c := cursor{b: b}
	version := c.uint16()
	random := c.take(32)
	c.vector8() // legacy_session_id_echo
	c.take(3)   // cipher_suite, legacy_compression_method
	hello := &TLS{Retry: bytes.Equal(random, retryRandom)}
	c.extensions(func(kind uint16, body cursor) {
		switch kind {
		case extALPN:
			hello.ALPN = alpn(&body)
		case extSupportedVersions:
			version = body.uint16()
		}
	})
	hello.Version = tlsVersion(version)
	return hello, !c.bad
}

func alpn(body *cursor) (names []string) {
	for list := body.vector16(); list.more(); {
		if v := list.vector8(); !list.bad {
			names = append(names, text(v.b))
		}
	}
	return names
}

func tlsVersion(v uint16) string {
	switch v {
	case 0x0300:
		return "SSLv3"
	case 0x0301:
		return "TLSv1" // as OpenSSL and PostgreSQL write it
	case 0x0302, 0x0303, 0x0304:
		return fmt.Sprintf("TLSv1.%d", v&0xff-1)
	}
	return fmt.Sprintf("0x%04x", v)
}

// alertNames are the AlertDescriptions of the IANA registry.
var alertNames = map[byte]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
	30: "decompression_failure", 40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	60: "export_restriction", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
	116: "certificate_required", 117: "general_error", 120: "no_application_protocol", 121: "ech_required",
}

func alert(level, code byte) *Alert {
	name := map[byte]string{1: "warning", 2: "fatal"}[level]
	return &Alert{Level: cmp.Or(name, strconv.Itoa(int(level))), Code: int(code), Name: alertNames[code]}
}

// token reads the length in front of a packet of GSS encryption (manual, "GSSAPI Session Encryption").
func (p *parser) token(from side, b []byte) {
	size := binary.BigEndian.Uint32(b)
	if size == 0 || size > maxToken {
		p.malformed(from, hex.EncodeToString(b))
		return
	}
	kept := int(min(size, keptToken))
	p.streams[from].more(4+kept, func(b []byte) {
		switch kind := tokenKind(b[4:]); kind {
		case "":
			p.malformed(from, hex.EncodeToString(b[:min(len(b), 8)]))
		case wrapToken:
			p.see(from, Event{Kind: GSSData})
			p.streams[from].finish()
		default:
			if kind == otherToken {
				kind = ""
			}
			p.see(from, Event{Kind: GSSToken, Bytes: int(size), Token: kind})
			p.next(from, int(size)-kept)
		}
	})
}

const (
	wrapToken  = "wrap"
	otherToken = "other"
)

// krb5Tokens are the token ids after the frame: RFC 4121 section 4.1, and RFC 1964 section 1.2.2 for the wrap tokens
// of the old enctypes (rc4-hmac among them), which have the frame of a context token.
var krb5Tokens = map[uint16]string{0x0100: "ap-req", 0x0200: "ap-rep", 0x0300: "krb-error", 0x0201: wrapToken}

var krb5OID = []byte{0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2}

// tokenKind tells what a token is by its beginning; empty if it is none.
func tokenKind(b []byte) string {
	switch {
	case len(b) >= 2 && b[0] == 5 && b[1] == 4: // RFC 4121 section 4.2.6.2
		return wrapToken
	case len(b) >= 1 && b[0] == 0xa1: // NegTokenResp, RFC 4178 section 4.2.2
		return otherToken
	case len(b) < 2 || b[0] != 0x60: // InitialContextToken, RFC 2743 section 3.1
		return ""
	}
	frame := 2
	if b[1] > 0x80 {
		frame += int(b[1] & 0x7f)
	}
	if frame >= len(b) || b[frame] != 0x06 {
		return ""
	}
	id, ok := bytes.CutPrefix(b[frame:], krb5OID)
	if !ok {
		return otherToken
	}
	if len(id) < 2 {
		return ""
	}
	if kind := krb5Tokens[binary.BigEndian.Uint16(id)]; kind != "" {
		return kind
	}
	return otherToken
}
