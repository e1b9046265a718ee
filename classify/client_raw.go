package classify

import (
	"regexp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// rawClient sends what no library sends, and records what it sees, inside encryption, too. Its message is the server's last error.
var rawClient = client{
	settle:  (*classifier).raw,
	sayings: func(string) []saying { return nil },
	tells:   true,
}

// sequence is what one attack of the raw client sends, and how it can be told from the others.
type sequence struct {
	sends []wire.Kind // until the server says no; the events that the raw client must have recorded of itself
	stops matrix.Step // the step after which only the first is sent
	token string      // what is sent in the place of a token: its first bytes in hex
	alpn  string      // of the ClientHello of direct TLS; "": none

	version string // of the startup packet's protocol; "": 3.0
}

// sequences has every attack of matrix.AttacksOf(matrix.RawClient).
var sequences = map[matrix.Attack]sequence{
	matrix.GSSENCInTLS:       {sends: []wire.Kind{wire.SSLRequest, wire.GSSENCRequest}, stops: matrix.StepSSLReject},
	matrix.GSSENCInDirectTLS: {sends: []wire.Kind{wire.DirectTLS, wire.GSSENCRequest}, stops: matrix.StepDirectReject, alpn: "postgresql"},
	matrix.TLSInGSS:          {sends: []wire.Kind{wire.GSSENCRequest, wire.SSLRequest}},
	matrix.Alternate:         {sends: []wire.Kind{wire.SSLRequest, wire.GSSENCRequest, wire.SSLRequest}},
	matrix.SecondStartup:     {sends: []wire.Kind{wire.Startup, wire.Malformed}},
	matrix.SSLWithQuery:      {sends: []wire.Kind{wire.SSLRequest, wire.Stuffed}},
	matrix.SSLWithStartup:    {sends: []wire.Kind{wire.SSLRequest, wire.Stuffed}},
	matrix.GSSENCWithQuery:   {sends: []wire.Kind{wire.GSSENCRequest, wire.Stuffed}},
	matrix.GSSENCWithStartup: {sends: []wire.Kind{wire.GSSENCRequest, wire.Stuffed}},
	matrix.GSSENCGarbage:     {sends: []wire.Kind{wire.GSSENCRequest, wire.Malformed}, stops: matrix.StepGSSReject, token: "00000040aaaaaaaa"},
	matrix.GSSENCEmpty:       {sends: []wire.Kind{wire.GSSENCRequest, wire.Malformed}, stops: matrix.StepGSSReject, token: "00000000"},
	matrix.GSSENCOversize:    {sends: []wire.Kind{wire.GSSENCRequest, wire.Malformed}, stops: matrix.StepGSSReject, token: "00010001"},
	matrix.GSSENCExtraCount:  {sends: []wire.Kind{wire.GSSENCRequest, wire.Startup}},
	matrix.DirectNoALPN:      {sends: []wire.Kind{wire.DirectTLS, wire.Startup}, stops: matrix.StepDirectReject},
	matrix.DirectWrongALPN:   {sends: []wire.Kind{wire.DirectTLS, wire.Startup}, stops: matrix.StepDirectReject, alpn: "http/1.1"},
	matrix.LongStartup:       {sends: []wire.Kind{wire.Malformed}},
	matrix.Protocol20:        {sends: []wire.Kind{wire.Startup}, version: "2.0"},
	matrix.Protocol39:        {sends: []wire.Kind{wire.Startup}, version: "3.9"},
}

// rawFatals are the FATAL messages that only a raw client provokes, with the step of the negotiation that they answer.
// Sources: ProcessStartupPacket (postmaster.c, backend_startup.c since 17); auth.c, auth-sasl.c.
var rawFatals = []struct {
	textCause
	after matrix.Step // "": none
}{
	{row(`^0A000 unsupported frontend protocol 1234\.5680: server supports `, matrix.StageGSSEnc, matrix.ProtocolViolation), matrix.StepGSSError},
	{row(`^0A000 unsupported frontend protocol 1234\.5679: server supports `, matrix.StageTLS, matrix.ProtocolViolation), matrix.StepSSLError},
	{row(`^0A000 unsupported frontend protocol 2\.0: server supports `, matrix.StageStartup, matrix.ProtocolViolation), ""},
	{row(`^08P01 expected (SASL|GSS|password) response, got message type 0$`, matrix.StageAuth, matrix.ProtocolViolation), ""},
}

// What a server logs of a handshake with the raw client, by OpenSSL 1.1.1 to 3.6 and MIT krb5, and what the raw client then says.
var (
	noALPN    = regexp.MustCompile(`^(no application protocol|.*no suitable application protocol.*)$`)
	noRecord  = regexp.MustCompile(`^(wrong version number|http request|packet length too long|unexpected message|unsupported protocol|unknown protocol|record layer failure|.*bad record type.*)$`)
	rawLeft   = regexp.MustCompile(`^(EOF detected|unexpected eof while reading|Connection reset by peer)$`) // of a handshake that the client does not begin
	noToken   = regexp.MustCompile(`^(Invalid token was supplied|A token was invalid): `)
	alertALPN = regexp.MustCompile(`remote error: tls: no application protocol`)
)
