// Package wire is a relay that sits between a PostgreSQL client and server and records the negotiation: which
// encryption was asked for and how it was answered, what crossed in the clear, and the port it used towards the
// server, by which the server's log is found. Unless it is told to tamper it changes nothing that the ends can see.
// Raw is a client that plays byte sequences which no client library sends. The package imports nothing of the
// project's own and can be used outside it.
package wire

// Record is what one client connection through the relay amounted to.
type Record struct {
	ServerPort int     `json:"port"`               // local port of the relay's connection to the server; 0 if it could not be opened
	Events     []Event `json:"events"`             // between client and relay, in the order they were seen
	Upstream   []Event `json:"upstream,omitempty"` // between relay and server, where a relay that tampers made that another conversation; there "client" is the relay
	Error      string  `json:"error,omitempty"`    // the relay's own failure: the record is then not to be trusted
}

// Event is one thing seen.
type Event struct {
	Micros int64  `json:"us"`   // microseconds since the relay was opened (Options.Start)
	From   string `json:"from"` // client | server | relay | attacker (the relay as it tampers)
	Kind   Kind   `json:"kind"`
	Detail string `json:"detail,omitempty"` // depends on Kind; never a secret
}

// Kind is a closed list; see the constants.
type Kind string

const (
	Open          Kind = "open"           // relay: both sides are open. Detail: the server's address
	DialFailed    Kind = "dial-failed"    // relay: the server could not be reached. Detail: the error
	GSSENCRequest Kind = "gssencrequest"  // client
	SSLRequest    Kind = "sslrequest"     // client
	CancelRequest Kind = "cancelrequest"  // client
	Answer        Kind = "answer"         // server: the single byte after GSSENCRequest or SSLRequest. Detail: G, S, N, E (its text follows as ErrorResponse) or 0xNN
	Stuffed       Kind = "stuffed"        // server: bytes behind an S or G before the client spoke; client: bytes behind a request before its answer. Detail: count
	DirectTLS     Kind = "direct-tls"     // client: a ClientHello where a request or startup packet was due
	ClientHello   Kind = "client-hello"   // client. Detail: "alpn=postgresql sni=HOST max=TLSv1.3", each word only where given
	ServerHello   Kind = "server-hello"   // server. Detail: "TLSv1.3" (the negotiated version), " alpn=…" where visible, " retry" if it is a HelloRetryRequest (another ClientHello and ServerHello follow)
	TLSAlert      Kind = "tls-alert"      // either. Detail: "fatal 48 unknown_ca", or "encrypted"; in TLS 1.3 an encrypted alert cannot be told from TLSData
	TLSData       Kind = "tls-data"       // either: first application-data record (in TLS 1.3 this includes the encrypted handshake)
	GSSToken      Kind = "gss-token"      // either: a context token of GSS encryption. Detail: length, and where known what it is: "1302 ap-req", "156 ap-rep", "92 krb-error"
	GSSData       Kind = "gss-data"       // either: first sealed packet
	Startup       Kind = "startup"        // client, in the clear. Detail: "user=… database=… replication=… 3.0", values quoted as in Go where they hold a blank or worse
	AuthRequest   Kind = "auth-request"   // server, in the clear. Detail: ok, password, md5, gss, gss-continue, sasl, sasl-continue, sasl-final, sspi, or a number
	PasswordSent  Kind = "password"       // client, in the clear: a 'p' message. Detail: the request it answers (none, if it answers none), never the bytes
	Query         Kind = "query"          // client, in the clear: first Query or Parse
	ErrorResponse Kind = "error-response" // server, in the clear: to the first Ready. Detail: "28000 text of M"; "- text" in the form before protocol 3.0, which has no SQLSTATE
	Ready         Kind = "ready"          // server, in the clear: first ReadyForQuery
	Malformed     Kind = "malformed"      // either: bytes that are no PostgreSQL protocol; nothing more is recorded from there. Detail: the first bytes in hex, or what is wrong
	Close         Kind = "close"          // either: orderly end of its sending direction
	Reset         Kind = "reset"          // either: connection reset, also by a peer that had closed and is sent something more (ordinary at the end of a TLS session)

	// What a relay that tampers did; From is attacker.
	Answered     Kind = "answered"     // gave an answer in the server's place. Detail: "N to sslrequest"
	Impersonated Kind = "impersonated" // ended a TLS handshake with the client under his own certificate; what follows is what that TLS holds. Detail: "TLSv1.3 alpn=postgresql"
	Refused      Kind = "refused"      // the client would not have his certificate, or the server his TLS. Detail: whose word it is, and the word
	Forged       Kind = "forged"       // sent an authentication request in the server's place; behind ok he plays on. Detail: as in AuthRequest
	Inserted     Kind = "inserted"     // put bytes behind a request or an answer, in the same segment. Detail: "71 bytes to the server"
	Injected     Kind = "injected"     // asked the server a query of his own in the client's session. Detail: "SQL -> ok TAG", "SQL -> error SQLSTATE text", "SQL -> no answer"
	Flipped      Kind = "flipped"      // changed a bit of a sealed record. Detail: "bit 0 of byte 61 from the client"
	Replayed     Kind = "replayed"     // sent the client's first words twice. Detail: "43 bytes: startup"
	Delayed      Kind = "delayed"      // Detail: "1s at answer S"
	Held         Kind = "held"         // passed on nothing from there. Detail: "at answer S"
	Cut          Kind = "cut"          // ended both connections. Detail: "close at startup", "reset at startup"
	Idle         Kind = "idle"         // was told to tamper and found no occasion. Detail: why
)
