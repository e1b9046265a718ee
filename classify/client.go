package classify

import (
	"regexp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// client is how one kind of client is read: its messages, and what it tells and does besides. A kind of client is a file client_KIND.go and an
// entry of clients. A pattern that is nil matches nothing: the client has no such message.
type client struct {
	settle  func(*classifier) error       // settles an attempt: (*classifier).library or (*classifier).raw
	sayings func(message string) []saying // splits its message into the errors of its connections, in order
	causes  []textCause                   // messages that say by themselves why it ended an attempt
	special []specialCause                // messages whose meaning needs other witnesses; looked up after causes

	tells     bool                          // it tells which channel it has and which authentication requests it received; with a session it has no message
	goesOn    bool                          // after AuthenticationOk it may reject the session and go on to another connection
	unwanted  *regexp.Regexp                // a session is not what target_session_attrs asks for
	unread    bool                          // what its messages mean is not known
	onlyS     bool                          // any answer but S means to it that the server refuses TLS
	noAlert   bool                          // a TLS handshake that it ends itself it ends without an alert
	gssSilent bool                          // it has no message for a connection that ends during GSS set-up
	hostsLost func(lib matrix.Library) bool // its own message replaces what it said of the hosts before; nil: it does not
	lastHost  bool                          // whatever ended the attempt, it says nothing of the hosts before

	// Connections that did not come about, or ended.
	sessionLost string         // of a session that the server ends: a text of its own, in the place of the server's; empty: it shows the server's
	unreached   *regexp.Regexp // it could not connect: group 1 is the reason
	refusedTCP  *regexp.Regexp // the same of one host among several that refuses TCP connections
	hungUp      *regexp.Regexp // the other end closed the connection, and the client does not know why
	hungUpGSS   *regexp.Regexp // the same during GSS set-up, where the client says that it was then
	cutGSS      *regexp.Regexp // there was no answer to GSSENCRequest
	timedOut    *regexp.Regexp // its connect_timeout passed
	gssAuth     *regexp.Regexp // GSSAPI authentication failed: group 1 is the mechanism's reason
	ownMIC      *regexp.Regexp // it could not open a packet of GSS encryption
	badCert     *regexp.Regexp // it did not accept the server's certificate, and does not say why
	tls         tlsTexts
}

// tlsTexts are what a TLS library says.
type tlsTexts struct {
	noTLS      *regexp.Regexp // it received bytes that are no TLS record
	alerted    *regexp.Regexp // the other end sent an alert: group 1
	alertMAC   *regexp.Regexp // the alert bad_record_mac
	alertHello *regexp.Regexp // an alert about a handshake message that is not understood
	ownMAC     *regexp.Regexp // it could not open a record
}

// specialCause is a message whose meaning needs other witnesses.
type specialCause struct {
	text *regexp.Regexp
	read func(c *classifier, said []string, n *connection) (cause, error) // said is the message and its groups; n is the last connection, nil if there is none
}

// clients has every kind of matrix.Clients.
var clients = map[matrix.ClientKind]*client{
	matrix.KindLibpq:   &libpq,
	matrix.KindPsql:    &psql,
	matrix.KindPGX:     &pgx,
	matrix.KindPQ:      &pq,
	matrix.KindAsyncpg: &asyncpg,
	matrix.KindRaw:     &rawClient,
}

// saying is one error in a client's message: the server's, repeated, or its own.
type saying struct {
	fatal bool
	state string // of a repeated FATAL where the client shows it
	text  string // first line; empty where libpq names a connection that failed and no reason
}

// OpensSocket is false of a message with which a client refuses before it opens a socket, or that says that there was none to open.
func OpensSocket(cell *matrix.Cell, message string) bool {
	client := clientOf(cell)
	if client == nil {
		return true
	}
	said := client.sayings(message)
	if len(said) == 0 || said[len(said)-1].fatal {
		return true
	}
	text := said[len(said)-1].text
	if found, ok := lookUp(client.causes, text); ok && found.stage == matrix.StageOptions {
		return false
	}
	return !matches(client.unreached, text)
}

// matches is false of a pattern that is nil.
func matches(pattern *regexp.Regexp, text string) bool {
	return pattern != nil && pattern.MatchString(text)
}

// submatches is nil for a pattern that is nil.
func submatches(pattern *regexp.Regexp, text string) []string {
	if pattern == nil {
		return nil
	}
	return pattern.FindStringSubmatch(text)
}

// goTLS are what crypto/tls says, after what the client puts before it (a pattern).
func goTLS(prefix string) tlsTexts {
	return tlsTexts{
		noTLS:      regexp.MustCompile(`tls: first record does not look like a TLS handshake$`),
		alerted:    regexp.MustCompile(`^` + prefix + `remote error: tls: (.*)$`),
		alertMAC:   regexp.MustCompile(`^` + prefix + `remote error: tls: bad record MAC$`),
		alertHello: regexp.MustCompile(`^` + prefix + `remote error: tls: (?:illegal parameter|unexpected message)$`),
		ownMAC:     regexp.MustCompile(`^` + prefix + `local error: tls: bad record MAC$`),
	}
}

// goX509 are what crypto/x509 says of the server's certificate (verify.go).
var goX509 = []textCause{
	row(`x509: certificate is (valid for .*, )?not (valid for )?|x509: certificate is not valid for any names|x509: cannot validate certificate for \S+ because it doesn't contain any IP SANs$`, matrix.StageTLS, matrix.ServerCertName),
	row(`x509: certificate relies on legacy Common Name field, use SANs instead$`, matrix.StageTLS, matrix.ServerCertName),
	row(`x509: certificate signed by unknown authority`, matrix.StageTLS, matrix.ServerCertTrust),
	row(`x509: certificate has expired or is not yet valid: current time \S+ is before `, matrix.StageTLS, matrix.ServerCertBad),
	row(`x509: certificate has expired or is not yet valid`, matrix.StageTLS, matrix.ServerCertExpired),
	row(`x509: certificate specifies an incompatible key usage`, matrix.StageTLS, matrix.ServerCertPurpose),
}
