// Package wire is a relay that sits between a PostgreSQL client and server and records the negotiation: which
// encryption was asked for and how it was answered, what crossed in the clear, and the port it used towards the
// server, by which the server's log is found. Unless it is told to tamper it changes nothing that the ends can see.
// Raw is a client that plays byte sequences which no client library sends. The package imports nothing of the
// project's own and can be used outside it.
package wire

// Record is what was seen of one client connection through the relay.
type Record struct {
	ServerPort int     `json:"port"`               // local port of the relay's connection to the server; 0 if it could not be opened
	Events     []Event `json:"events"`             // between client and relay, in the order they were seen
	Upstream   []Event `json:"upstream,omitempty"` // between relay and server, where a relay that tampers made that another conversation; there "client" is the relay
	Error      string  `json:"error,omitempty"`    // the relay's own failure: the record must then not be trusted
}

// Kind is a closed list; see the constants.
type Kind string

const (
	Open          Kind = "open"           // relay: both sides are open. Text: the server's address
	DialFailed    Kind = "dial-failed"    // relay: the server could not be reached. Text: the error
	GSSENCRequest Kind = "gssencrequest"  // client
	SSLRequest    Kind = "sslrequest"     // client
	CancelRequest Kind = "cancelrequest"  // client
	Answer        Kind = "answer"         // server: the single byte after GSSENCRequest or SSLRequest
	Stuffed       Kind = "stuffed"        // server: bytes after an S or G before the client spoke; client: bytes after a request before its answer
	DirectTLS     Kind = "direct-tls"     // client: a ClientHello where a request or startup packet was due
	ClientHello   Kind = "client-hello"   // client
	ServerHello   Kind = "server-hello"   // server
	TLSAlert      Kind = "tls-alert"      // either; in TLS 1.3 an encrypted alert cannot be told from TLSData
	TLSData       Kind = "tls-data"       // either: first application-data record (in TLS 1.3 this includes the encrypted handshake)
	GSSToken      Kind = "gss-token"      // either: a context token of GSS encryption
	GSSData       Kind = "gss-data"       // either: first sealed packet
	Startup       Kind = "startup"        // client, in the clear
	AuthRequest   Kind = "auth-request"   // server, in the clear. Auth: ok, password, md5, gss, gss-continue, sasl, sasl-continue, sasl-final, sspi, or a number
	PasswordSent  Kind = "password"       // client, in the clear: a 'p' message, never its bytes
	Query         Kind = "query"          // client, in the clear: first Query or Parse
	ErrorResponse Kind = "error-response" // server, in the clear: to the first Ready
	Ready         Kind = "ready"          // server, in the clear: first ReadyForQuery
	Malformed     Kind = "malformed"      // either: bytes that are no PostgreSQL protocol; nothing more is recorded from there. Text: the first bytes in hex, or what is wrong
	Close         Kind = "close"          // either: orderly end of its sending direction
	Reset         Kind = "reset"          // either: connection reset, also by a peer that had closed and is sent something more (ordinary at the end of a TLS session)

	// What a relay that tampers did; From is attacker.
	Answered     Kind = "answered"     // gave an answer in the server's place
	Impersonated Kind = "impersonated" // ended a TLS handshake with the client under its own certificate; what follows is what that TLS holds
	Refused      Kind = "refused"      // the client did not accept the attacker's certificate, or the server its TLS. Text: what that end said
	Forged       Kind = "forged"       // sent an authentication request in the server's place; after ok it goes on as the server
	Inserted     Kind = "inserted"     // put bytes after a request or an answer, in the same segment
	Injected     Kind = "injected"     // sent the server a statement of its own in the client's session
	Flipped      Kind = "flipped"      // changed a bit of a sealed record
	Replayed     Kind = "replayed"     // sent the client's first message twice
	Delayed      Kind = "delayed"      // passed the event on late
	Held         Kind = "held"         // passed on nothing from there
	Cut          Kind = "cut"          // ended both connections
	Idle         Kind = "idle"         // was told to tamper and found no occasion. Text: why
)
