package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// said is what one side sends at once.
type said struct {
	from side
	b    []byte
}

func c(parts ...[]byte) said { return said{client, bytes.Join(parts, nil)} }
func s(parts ...[]byte) said { return said{server, bytes.Join(parts, nil)} }

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func cat(parts ...[]byte) []byte {
	return bytes.Join(parts, nil)
}
func str(v string) []byte { return []byte(v) }
func unhex(v string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(v, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Messages as the manual describes them, "Message Formats".
var (
	sslRequest    = unhex("00000008 04d2162f")
	gssencRequest = unhex("00000008 04d21630")
	cancelRequest = unhex("00000010 04d2162e 00000001 00000002")
	authOK        = unhex("52 00000008 00000000")
	authCleartext = unhex("52 00000008 00000003")
	authMD5       = unhex("52 0000000c 00000005 01020304")
	authGSS       = unhex("52 00000008 00000007")
	authSSPI      = unhex("52 00000008 00000009")
	ready         = unhex("5a 00000005 49")
	keyData       = unhex("4b 0000000c 00000001 00000002")
)

func startup(version int, params ...string) []byte {
	body := str(strings.Join(params, "\x00") + "\x00\x00")
	return cat(u32(8+len(body)), u32(version), body)
}

func message(kind byte, body ...[]byte) []byte {
	b := cat(body...)
	return cat([]byte{kind}, u32(4+len(b)), b)
}

func errorResponse(fields ...string) []byte {
	return message('E', str(strings.Join(fields, "\x00")+"\x00\x00"))
}

// TLS as RFC 8446 sections 4 and 5 describe it.
func record(kind byte, body ...[]byte) []byte {
	b := cat(body...)
	return cat([]byte{kind, 3, 3}, u16(len(b)), b)
}
func vec8(parts ...[]byte) []byte  { b := cat(parts...); return cat([]byte{byte(len(b))}, b) }
func vec16(parts ...[]byte) []byte { b := cat(parts...); return cat(u16(len(b)), b) }
func ext(kind int, body ...[]byte) []byte {
	return cat(u16(kind), vec16(body...))
}
func handshake(kind byte, body []byte) []byte {
	return cat([]byte{kind}, u32(len(body))[1:], body)
}
func helloOf(exts ...[]byte) []byte {
	body := cat(u16(0x0303), make([]byte, 32), vec8(make([]byte, 32)), vec16(u16(0x1301), u16(0xc02f)), vec8([]byte{0}))
	if exts != nil {
		body = cat(body, vec16(exts...))
	}
	return handshake(1, body)
}
func serverHelloOf(random []byte, exts ...[]byte) []byte {
	body := cat(u16(0x0303), random, vec8(), u16(0x1301), []byte{0})
	if exts != nil {
		body = cat(body, vec16(exts...))
	}
	return handshake(2, body)
}

var (
	sni         = ext(0, vec16([]byte{0}, vec16(str("db.example"))))
	alpnPG      = ext(16, vec16(vec8(str("postgresql"))))
	clientVers  = ext(43, vec8(u16(0x3a3a), u16(0x0304), u16(0x0303)))
	serverVers  = ext(43, u16(0x0304))
	hello13     = helloOf(sni, alpnPG, clientVers)
	serverHi13  = serverHelloOf(make([]byte, 32), serverVers)
	serverHi12  = serverHelloOf(make([]byte, 32), alpnPG)
	retryHello  = serverHelloOf(retryRandom, serverVers)
	changeSpec  = record(20, []byte{1})
	sealed      = record(23, make([]byte, 40))
	serverFlite = record(22, handshake(11, make([]byte, 900)))
)

// GSS tokens: the frame of RFC 2743 section 3.1 and the ids of RFC 4121 and RFC 1964.
func gssPacket(b []byte) []byte { return cat(u32(len(b)), b) }
func framed(id string, n int) []byte {
	inner := cat(krb5OID, unhex(id), make([]byte, n))
	if len(inner) < 0x80 {
		return cat([]byte{0x60, byte(len(inner))}, inner)
	}
	return cat([]byte{0x60, 0x82}, u16(len(inner)), inner)
}

var (
	apReq    = gssPacket(framed("0100", 1200))
	apRep    = gssPacket(framed("0200", 90))
	krbError = gssPacket(framed("0300", 80))
	wrapped  = gssPacket(cat(unhex("0504 02ff 0000 001c 0000000000000000"), make([]byte, 60)))
	rc4Wrap  = gssPacket(framed("0201", 60))
)

var noHBA = errorResponse("SFATAL", "VFATAL", "C28000", `Mno pg_hba.conf entry for host "127.0.0.1", user "alice", database "db", no encryption`, "Fauth.c")

const noHBAText = `server error-response 28000 no pg_hba.conf entry for host "127.0.0.1", user "alice", database "db", no encryption`

var parserCases = []struct {
	name  string
	talk  []said
	ended bool // both sides end in order after it
	want  []string
}{
	{"plain scram session", []said{
		c(startup(3<<16, "user", "alice", "database", "db one", "application_name", "x")),
		s(message('R', u32(10), str("SCRAM-SHA-256\x00\x00"))),
		c(message('p', str("SCRAM-SHA-256\x00"), u32(5), str("n,,n="))),
		s(message('R', u32(11), str("r=abc"))),
		c(message('p', str("c=biws"))),
		s(message('R', u32(12), str("v=abc")), authOK, message('S', str("a\x00b\x00")), keyData, ready),
		c(message('Q', str("select 1\x00"))),
		s(message('T', u16(0)), ready, errorResponse("C42P01", "Mnot seen")),
	}, false, []string{
		`client startup user=alice database="db one" application_name=x 3.0`, "server auth-request sasl", "client password sasl",
		"server auth-request sasl-continue", "client password sasl-continue", "server auth-request sasl-final",
		"server auth-request ok", "server ready", "client query"}},
	{"every request refused, then plain", []said{
		c(gssencRequest), s(str("N")), c(sslRequest), s(str("N")), c(startup(3<<16|2, "user", "alice")),
		s(message('v', u32(0), u32(0)), authCleartext), c(message('p', str("secret\x00"))), s(noHBA),
	}, true, []string{
		"client gssencrequest", "server answer N", "client sslrequest", "server answer N", "client startup user=alice 3.2",
		"server auth-request password", "client password password", noHBAText}},
	{"authentication requests by name", []said{
		c(startup(3<<16, "user", "a", "replication", "database")), s(authMD5, authGSS, message('R', u32(8), []byte{1, 2}), authSSPI, message('R', u32(2))),
	}, true, []string{
		"client startup user=a replication=database 3.0", "server auth-request md5", "server auth-request gss", "server auth-request gss-continue",
		"server auth-request sspi", "server auth-request 2"}},
	{"failure after authentication", []said{
		c(startup(3<<16, "user", "a")), s(authOK, errorResponse("SFATAL", "C3D000", "Mno such database")),
	}, true, []string{"client startup user=a 3.0", "server auth-request ok", "server error-response 3D000 no such database"}},
	{"password that nobody asked for, parse", []said{
		c(startup(3<<16), message('p', str("x\x00")), message('P', str("\x00\x00"), u16(0)), message('p', str("late"))),
	}, true, []string{"client startup 3.0", "client password none", "client query"}},
	{"protocol 2.0 and what comes after 3", []said{
		c(cat(u32(296), u32(2<<16), make([]byte, 288))), s(str("EFATAL:  unsupported frontend protocol 2.0\n\x00")),
	}, true, []string{"client startup 2.0", "server error-response - FATAL:  unsupported frontend protocol 2.0"}},
	{"startup packet without its end", []said{
		c(cat(u32(13), u32(3<<16), str("user\x00"))), s(errorResponse("C08P01", "Minvalid startup packet layout")),
	}, true, []string{"client startup 3.0", "server error-response 08P01 invalid startup packet layout"}},
	{"cancel", []said{c(cancelRequest)}, true, []string{"client cancelrequest"}},
	{"long cancel key of 3.2", []said{c(cat(u32(44), u32(cancelRequestCode), make([]byte, 36)))}, true, []string{"client cancelrequest"}},

	{"TLS 1.3", []said{
		c(sslRequest), s(str("S")), c(record(22, hello13)), s(record(22, serverHi13), changeSpec, sealed, sealed), c(changeSpec, sealed, sealed), s(sealed),
	}, true, []string{
		"client sslrequest", "server answer S", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3",
		"server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
	{"TLS 1.3 with a retry", []said{
		c(sslRequest), s(str("S")), c(record(22, hello13)), s(record(22, retryHello), changeSpec), c(changeSpec, record(22, hello13)),
		s(record(22, serverHi13), sealed), c(record(21, []byte{2, 48})),
	}, true, []string{
		"client sslrequest", "server answer S", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3",
		"server server-hello TLSv1.3 retry", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3",
		"server server-hello TLSv1.3", "server tls-data", "client tls-alert fatal 48 unknown_ca"}},
	{"TLS 1.2", []said{
		c(sslRequest), s(str("S")), c(record(22, helloOf(alpnPG, sni))), s(record(22, serverHi12, handshake(11, make([]byte, 700))), serverFlite, record(22, handshake(14, nil))),
		c(record(22, handshake(16, make([]byte, 60))), changeSpec, record(22, make([]byte, 40))), s(changeSpec, record(22, make([]byte, 40))), c(sealed), s(sealed),
	}, true, []string{
		"client sslrequest", "server answer S", "client client-hello alpn=postgresql sni=db.example max=TLSv1.2",
		"server server-hello TLSv1.2 alpn=postgresql", "client tls-data", "server tls-data"}},
	{"TLS 1.2, certificate refused", []said{
		c(sslRequest), s(str("S")), c(record(22, helloOf())), s(record(22, serverHelloOf(make([]byte, 32)))), c(changeSpec), s(record(21, []byte{2, 44})),
	}, true, []string{
		"client sslrequest", "server answer S", "client client-hello max=TLSv1.2", "server server-hello TLSv1.2", "server tls-alert fatal 44 certificate_revoked"}},
	{"TLS 1.2, alert after ChangeCipherSpec", []said{
		c(sslRequest), s(str("S")), c(record(22, helloOf()), changeSpec, record(21, make([]byte, 26)), record(21, []byte{9, 200})),
	}, true, []string{"client sslrequest", "server answer S", "client client-hello max=TLSv1.2", "client tls-alert encrypted", "client tls-alert 9 200"}},
	{"Hello in many records, old version", []said{
		c(sslRequest), s(str("S")), c(record(22, helloOf(sni)[:3]), record(22, helloOf(sni)[3:50]), record(22), record(22, helloOf(sni)[50:])),
		s(record(22, handshake(2, cat(u16(0x0301), make([]byte, 32), vec8(), u16(0x2f), []byte{0})))),
	}, true, []string{"client sslrequest", "server answer S", "client client-hello sni=db.example max=TLSv1.2", "server server-hello TLSv1"}},
	{"direct TLS", []said{c(record(22, hello13)), s(record(22, serverHi13), sealed), c(sealed)}, true, []string{
		"client direct-tls", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server server-hello TLSv1.3", "server tls-data", "client tls-data"}},
	{"direct TLS, no ALPN in common", []said{c(record(22, hello13)), s(record(21, []byte{2, 120}))}, true, []string{
		"client direct-tls", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server tls-alert fatal 120 no_application_protocol"}},
	{"direct TLS to a server that knows none", []said{c(record(22, hello13))}, true, []string{
		"client direct-tls", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3"}},
	{"error in the clear where TLS is due", []said{c(sslRequest), s(str("S")), c(record(22, hello13)), s(noHBA)}, true, []string{
		"client sslrequest", "server answer S", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3", noHBAText}},
	{"no TLS record", []said{c(sslRequest), s(str("S")), c(startup(3<<16, "user", "alice")), s(sealed)}, true, []string{
		"client sslrequest", "server answer S", "client malformed 0000001400", "server malformed 1703030028"}},
	{"record too long", []said{c(sslRequest), s(str("S")), c(unhex("16 0301 4801"))}, true, []string{
		"client sslrequest", "server answer S", "client malformed 1603014801"}},
	{"Hello too long", []said{c(record(22, unhex("01 010001 00")))}, true, []string{"client direct-tls", "client malformed no client-hello: 01010001"}},
	{"Hello that cannot be read", []said{c(record(22, handshake(1, unhex("0303"))))}, true, []string{"client direct-tls", "client malformed unreadable client-hello"}},
	{"alert too long", []said{c(record(22, hello13)), s(record(21, make([]byte, 4)))}, true, []string{
		"client direct-tls", "client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server malformed 1503030004"}},

	{"GSS", []said{c(gssencRequest), s(str("G")), c(apReq), s(apRep), c(wrapped, wrapped), s(wrapped)}, true, []string{
		"client gssencrequest", "server answer G", "client gss-token 1217 ap-req", "server gss-token 105 ap-rep", "client gss-data", "server gss-data"}},
	{"GSS with rc4-hmac", []said{c(gssencRequest), s(str("G")), c(apReq), s(apRep), c(rc4Wrap), s(rc4Wrap)}, true, []string{
		"client gssencrequest", "server answer G", "client gss-token 1217 ap-req", "server gss-token 105 ap-rep", "client gss-data", "server gss-data"}},
	{"GSS over SPNEGO", []said{c(gssencRequest), s(str("G")), c(gssPacket(unhex("60 0b 06 06 2b0601050502 a0 01 00"))), s(gssPacket(unhex("a1 01 00"))), c(gssPacket(unhex("60 80 06")))}, true, []string{
		"client gssencrequest", "server answer G", "client gss-token 13", "server gss-token 3", "client gss-token 3"}},
	{"GSS, client gives up", []said{c(gssencRequest), s(str("G"))}, true, []string{"client gssencrequest", "server answer G"}},
	{"GSS, Kerberos error", []said{c(gssencRequest), s(str("G")), c(apReq), s(krbError)}, true, []string{
		"client gssencrequest", "server answer G", "client gss-token 1217 ap-req", "server gss-token 95 krb-error"}},
	{"GSS, error in the middle", []said{c(gssencRequest), s(str("G")), c(apReq), s(noHBA)}, true, []string{
		"client gssencrequest", "server answer G", "client gss-token 1217 ap-req", noHBAText}},
	{"GSS, no token", []said{c(gssencRequest), s(str("G")), c(gssPacket(unhex("0404 00 11223344556677"))), s(gssPacket(nil))}, true, []string{
		"client gssencrequest", "server answer G", "client malformed 0000000a04040011", "server malformed 00000000"}},
	{"GSS token too long", []said{c(gssencRequest), s(str("G")), c(unhex("00010001"))}, true, []string{
		"client gssencrequest", "server answer G", "client malformed 00010001"}},

	{"E and an error to GSSENCRequest", []said{c(gssencRequest), s(errorResponse("C0A000", "Munsupported frontend protocol"))}, true, []string{
		"client gssencrequest", "server answer E", "server error-response 0A000 unsupported frontend protocol"}},
	{"E and an old error to SSLRequest", []said{c(sslRequest), s(str("Ecould not fork new process for connection: Cannot allocate memory\n\x00"))}, true, []string{
		"client sslrequest", "server answer E", "server error-response - could not fork new process for connection: Cannot allocate memory"}},
	{"old error that only the end completes", []said{c(sslRequest), s(str("Eno"))}, true, []string{
		"client sslrequest", "server answer E", "server error-response - no"}},
	{"error without a code", []said{c(startup(3 << 16)), s(errorResponse("Mnothing"))}, true, []string{"client startup 3.0", "server error-response - nothing"}},
	{"error before the client spoke", []said{s(str("Esorry, too many clients already\n\x00"))}, true, []string{
		"server error-response - sorry, too many clients already"}},
	{"error before the request it meets", []said{s(noHBA[:20]), c(sslRequest), s(noHBA[20:])}, true, []string{"client sslrequest", noHBAText}},
	{"answer that is none", []said{c(sslRequest), s(str("HTTP/1.1"))}, true, []string{"client sslrequest", "server answer 0x48"}},
	{"G to SSLRequest", []said{c(sslRequest), s(str("G"))}, true, []string{"client sslrequest", "server answer G"}},
	{"server stuffs bytes after S", []said{c(sslRequest), s(str("S"), noHBA), s(str("xx")), c(record(22, hello13)), s(record(22, serverHi13))}, true, []string{
		"client sslrequest", "server answer S", fmt.Sprintf("server stuffed %d", len(noHBA)+2),
		"client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server server-hello TLSv1.3"}},
	{"server stuffs bytes after N", []said{c(sslRequest), s(str("N"), authOK)}, true, []string{"client sslrequest", "server answer N", "server malformed 52"}},
	{"client stuffs bytes after SSLRequest, S", []said{c(sslRequest, record(22, hello13)), s(str("S"), record(22, serverHi13))}, true, []string{
		"client sslrequest", fmt.Sprintf("client stuffed %d", len(hello13)+5), "server answer S",
		"client client-hello alpn=postgresql sni=db.example max=TLSv1.3", "server server-hello TLSv1.3"}},
	{"client sends everything at once, N", []said{c(gssencRequest, sslRequest, startup(3<<16, "user", "a")), s(str("N")), s(str("N"), authOK)}, true, []string{
		"client gssencrequest", "client stuffed 24", "server answer N", "client sslrequest", "client stuffed 16", "server answer N",
		"client startup user=a 3.0", "server auth-request ok"}},
	{"client does not wait for the answer", []said{c(sslRequest, str("abc"))}, true, []string{"client sslrequest", "client stuffed 3"}},
	{"client floods after a request", []said{c(sslRequest, make([]byte, maxHeld)), s(str("S"), str("x"))}, true, []string{
		"client sslrequest", "client malformed more than 16384 bytes after a request before its answer", "server answer S", "server malformed ends in the middle"}},

	{"HTTP", []said{c(str("GET / HTTP/1.1\r\n\r\n"))}, true, []string{"client malformed 47455420"}},
	{"length too short", []said{c(unhex("00000007 00030000"))}, true, []string{"client malformed 00000007"}},
	{"length too long", []said{c(unhex("00002715 00030000"))}, true, []string{"client malformed 00002715"}},
	{"longest startup packet", []said{c(startup(3<<16, "user", "a", "x", strings.Repeat("x", 10004-8-11)))}, true, []string{"client startup user=a 3.0"}},
	{"unknown request", []said{c(unhex("00000008 04d21631"))}, true, []string{"client malformed 0000000804d21631"}},
	{"request with a tail", []said{c(unhex("00000009 04d2162f 00"))}, true, []string{"client malformed 0000000904d2162f"}},
	{"server speaks first", []said{s(str("SSH-2.0"))}, true, []string{"server malformed 53"}},
	{"message without a length", []said{c(startup(3<<16), unhex("51 00000003")), s(unhex("5a 00000003"))}, true, []string{
		"client startup 3.0", "client malformed 5100000003", "server malformed 5a00000003"}},
	{"authentication request without a code", []said{c(startup(3 << 16)), s(unhex("52 00000004"))}, true, []string{"client startup 3.0", "server malformed 5200000004"}},
	{"unknown message", []said{c(startup(3<<16), unhex("00 00000004")), s(unhex("ff 00000004"))}, true, []string{
		"client startup 3.0", "client malformed 0000000004", "server malformed ff00000004"}},
	{"ends in the middle", []said{c(startup(3 << 16)[:6])}, true, []string{"client malformed ends in the middle"}},
	{"message ends in the middle", []said{c(startup(3<<16), message('p', make([]byte, 9))[:8]), s(authOK, noHBA[:30])}, true, []string{
		"client startup 3.0", "client password none", "server auth-request ok", "client malformed ends in the middle", "server malformed ends in the middle"}},
	{"nothing at all", nil, true, nil},
}

// follow feeds a talk to a parser in pieces: cut says where the next piece of what is left ends.
func follow(t testing.TB, talk []said, ended bool, cut func(talk, left int) int) (*parser, []string) {
	p := new(parser)
	p.init()
	for i, say := range talk {
		for b := say.b; len(b) > 0; {
			n := min(max(cut(i, len(b)), 1), len(b))
			before := bytes.Clone(b[:n])
			p.feed(0, say.from, b[:n])
			if !bytes.Equal(before, b[:n]) {
				t.Fatal("the parser changed what it was given")
			}
			b = b[n:]
		}
	}
	if ended {
		p.end(0, client)
		p.end(0, server)
	}
	var lines []string
	for _, e := range p.events {
		lines = append(lines, e.From+" "+e.String())
	}
	return p, lines
}

func whole(_, left int) int { return left }

func TestParser(t *testing.T) {
	for _, tc := range parserCases {
		t.Run(tc.name, func(t *testing.T) {
			check := func(how string, got []string) {
				t.Helper()
				if !slices.Equal(got, tc.want) {
					t.Errorf("%s:\n got %s\nwant %s", how, strings.Join(got, "\n     "), strings.Join(tc.want, "\n     "))
				}
			}
			_, got := follow(t, tc.talk, tc.ended, whole)
			check("whole", got)
			_, got = follow(t, tc.talk, tc.ended, func(int, int) int { return 1 })
			check("byte by byte", got)
			for i, say := range tc.talk {
				for at := 1; at < len(say.b) && !t.Failed(); at++ {
					_, got = follow(t, tc.talk, tc.ended, func(talk, left int) int {
						if talk == i && left == len(say.b) {
							return at
						}
						return left
					})
					check(fmt.Sprintf("part %d cut at %d", i, at), got)
				}
			}
		})
	}
}

// Everything of interest comes early: the parser must know when it has seen it, or bulk data is parsed for nothing.
func TestParserKnowsWhenItIsDone(t *testing.T) {
	for _, name := range []string{"plain scram session", "TLS 1.3", "TLS 1.2", "direct TLS", "GSS", "GSS with rc4-hmac"} {
		i := slices.IndexFunc(parserCases, func(tc struct {
			name  string
			talk  []said
			ended bool
			want  []string
		}) bool {
			return tc.name == name
		})
		p, _ := follow(t, parserCases[i].talk, false, whole)
		if !p.streams[client].done || !p.streams[server].done {
			t.Errorf("%s: done: client %t, server %t", name, p.streams[client].done, p.streams[server].done)
		}
	}
}

// A password that crosses in the clear is said to have crossed; it must not be in the record.
func TestParserKeepsNoSecret(t *testing.T) {
	const secret = "hunter2hunter2"
	talk := []said{c(startup(3<<16, "user", "a")), s(authCleartext), c(message('p', str(secret+"\x00"))), s(noHBA)}
	for n := 1; n < 40; n++ {
		_, got := follow(t, talk, true, func(int, int) int { return n })
		if all := strings.Join(got, "\n"); strings.Contains(all, secret[:4]) || strings.Contains(all, hex.EncodeToString([]byte(secret[:4]))) {
			t.Fatalf("the password is in the record:\n%s", all)
		}
	}
}

func TestParserBoundsEvents(t *testing.T) {
	p := new(parser)
	p.init()
	for range 10000 {
		p.feed(0, client, sslRequest)
		p.feed(0, server, str("N"))
	}
	last := p.events[len(p.events)-2:]
	if len(p.events) != 2*maxEvents || last[0].Kind != Malformed || last[1].Kind != Malformed || !p.streams[client].done || !p.streams[server].done {
		t.Errorf("%d events, the last %v", len(p.events), last)
	}
}

// FuzzParser plays two peers that send anything: each byte of the plan says who speaks and how much.
func FuzzParser(f *testing.F) {
	for _, tc := range parserCases {
		var plan, ours, theirs []byte
		for _, say := range tc.talk {
			for n := len(say.b); n > 0; n -= 127 {
				plan = append(plan, byte(min(n, 127))|byte(say.from)<<7)
			}
			if say.from == client {
				ours = append(ours, say.b...)
			} else {
				theirs = append(theirs, say.b...)
			}
		}
		f.Add(plan, ours, theirs)
	}
	f.Fuzz(func(t *testing.T, plan, ours, theirs []byte) {
		var talk []said
		rest := [2][]byte{ours, theirs}
		for _, b := range append(plan, 127, 255) {
			from := side(b >> 7)
			n := min(int(b&127), len(rest[from]))
			talk = append(talk, said{from, rest[from][:n]})
			rest[from] = rest[from][n:]
		}
		p, coarse := follow(t, talk, true, whole)
		_, fine := follow(t, talk, true, func(int, int) int { return 1 })
		if !slices.Equal(coarse, fine) {
			t.Errorf("whole:\n%s\nbyte by byte:\n%s", strings.Join(coarse, "\n"), strings.Join(fine, "\n"))
		}
		if len(p.events) > 2*maxEvents {
			t.Errorf("%d events", len(p.events))
		}
		for _, e := range p.events {
			if len(e.String()) > 8*keptText {
				t.Errorf("%s: a detail of %d bytes", e.Kind, len(e.String()))
			}
		}
		p = new(parser)
		p.init()
		for _, say := range talk {
			p.feed(0, say.from, say.b)
			for i := range p.streams {
				if kept := cap(p.streams[i].buf) + cap(p.streams[i].tls.hello); kept > 4*maxHello {
					t.Errorf("%s: %d bytes kept", side(i), kept)
				}
			}
		}
	})
}
