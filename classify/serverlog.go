package classify

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// backend is what the log lines of one backend process say, sorted by what they are about. The texts are those of
// src/backend/libpq/{auth,hba,be-secure-gssapi,be-secure-openssl}.c, utils/init/postinit.c and, for the negotiation,
// postmaster.c (≤ 16) or tcop/backend_startup.c (≥ 17).
type backend struct {
	host string // of "connection received": an address or [local]
	port int    // 0 on a unix socket

	negotiated   []matrix.Step // trace_connection_negotiation, 17+
	badPacket    string        // the startup packet could not be read: "invalid length of startup packet", …
	noHost       bool          // the client sent no host name, and pg_hosts.conf has no line for that
	tlsFailed    string        // the reason after "could not accept SSL connection: "
	badCert      string        // in its DETAIL, what is wrong with the client's certificate, 16+
	gssFailed    string        // DETAIL of "could not accept GSSAPI security context" (encryption)
	oversize     bool          // a token for GSS encryption that is longer than the server takes
	unwrapFailed string        // DETAIL of "GSSAPI unwrap error"
	contextErr   string        // DETAIL of "accepting GSS security context failed" (authentication)

	authenticated *authenticated
	matched       *matchedRecord
	noMap         *noMap
	certMismatch  string // the line that says so: clientcert=verify-full and another name in the certificate
	peerFailed    string // why the operating system's user could not be found out
	service       string // what the service said that was asked about the password; of several the last
	authorized    *authorized
	executed      bool // the attacker's statement was executed
	early         bool // bytes came before the TLS handshake, 17+
	fatal         *fatal
}

// authenticated is the line "connection authenticated", logged since 14 for methods that establish an identity and
// since 17 for trust, too. It precedes the user name map: who is authenticated may still be refused.
type authenticated struct {
	text     string // the line
	identity string // empty for trust
	method   matrix.Method
	rule     string // BASENAME:LINE
}

// matchedRecord is the DETAIL "Connection matched …" of a failed authentication.
type matchedRecord struct {
	text   string // the DETAIL line
	rule   string // BASENAME:LINE
	record string // the record's text
}

// noMap is the line of check_usermap about an identity that may not become the role.
type noMap struct{ text, identity string }

// authorized is the line "connection authorized", logged by every version between AuthenticationOk and the checks on
// role and database.
type authorized struct {
	replication                 bool
	user, database, application string // a replication connection's database is not logged
	tls                         bool
	tlsVersion                  string
	gssAuthenticated            bool
	gssEncrypted                bool
	delegated                   string // yes | no; "" before 16, and without GSSAPI
	principal                   string
}

// fatal is the error that ended the backend.
type fatal struct {
	state, text, detail string
}

var (
	logReceived   = regexp.MustCompile(`^connection received: host=(\S+)(?: port=(\d+))?$`)
	logIdentity   = regexp.MustCompile(`^connection authenticated: identity="(.*)" method=(\S+) \((.+):(\d+)\)$`)
	logTrusted    = regexp.MustCompile(`^connection authenticated: user="(.*)" method=(\S+) \((.+):(\d+)\)$`)
	logMatched    = regexp.MustCompile(`(?m)^\t?Connection matched (?:file "(.*?)"|(pg_hba\.conf)) line (\d+): "(.*)"$`)
	logAuthorized = regexp.MustCompile(`^(replication )?connection authorized: user=(.*?)(?: database=(.*?))?(?: application_name=(\S*))?( SSL enabled \(protocol=([^,]+), .*?\))?( GSS \(authenticated=(yes|no), encrypted=(yes|no)(?:, delegated_credentials=(yes|no))?(?:, principal=(.*))?\))?$`)
	logNoMap      = regexp.MustCompile(`^no match in usermap ".*" for user ".*" authenticated as "(.*)"$`)
	logNoMatch    = regexp.MustCompile(`^provided user name \(.*\) and authenticated user name \((.*)\) do not match$`)
	logNoGroup    = regexp.MustCompile(`^regular expression "(?s:.*)" has no subexpressions as requested by backreference in "(?s:.*)"$`)
	logCertName   = regexp.MustCompile(`^certificate (?:validation \(clientcert=verify-full\)|authentication) failed for user ".*": .*$`)
	logNegotiated = regexp.MustCompile(`^(GSSENCRequest|SSLRequest|direct SSL connection) (accepted|rejected)$`)
	logBadPacket  = regexp.MustCompile(`^(invalid length of startup packet|incomplete startup packet|received direct SSL connection request without ALPN protocol negotiation extension|received SSL connection request with unexpected ALPN protocol)$`)
	logPeer       = regexp.MustCompile(`(?s)^(could not get peer credentials: .*|could not look up local user ID \d+: .*|local user with ID \d+ does not exist|could not connect to Ident server at address .*|invalidly formatted response from Ident server: .*)$`)
	logOversize   = regexp.MustCompile(`^oversize GSSAPI packet sent by the client \(\d+ > \d+\)$`)
	// What a backend may log besides and what says nothing about the outcome.
	logIgnored = regexp.MustCompile(`^(disconnection: .*|connection ready: .*|could not (receive data from|send data to) client: .*|unexpected EOF on client connection.*|unexpected EOF within message length word|SSL error: unexpected eof while reading|authenticated with an MD5-encrypted password|role password will expire soon)$`)
)

// buffered says that bytes came before the TLS handshake (17 and later).
const buffered = "buffered unencrypted data remains after negotiating SSL connection"

var loggedSteps = map[string]matrix.Step{
	"GSSENCRequest accepted": matrix.StepGSSAccept, "GSSENCRequest rejected": matrix.StepGSSReject,
	"SSLRequest accepted": matrix.StepSSLAccept, "SSLRequest rejected": matrix.StepSSLReject,
	"direct SSL connection accepted": matrix.StepDirectAccept, "direct SSL connection rejected": matrix.StepDirectReject,
}

// readLog sorts the lines of one backend. An unknown line, or a second line of a kind that comes once, is an error that
// quotes it: what is not understood must not be passed over.
func readLog(lines []matrix.LogLine) (backend, error) {
	var b backend
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		var detail string
		for i+1 < len(lines) && isAppendix(lines[i+1].Severity) {
			i++
			if lines[i].Severity == "DETAIL" {
				detail = lines[i].Text
			}
		}
		var err error
		switch line.Severity {
		case "LOG", "WARNING", "NOTICE", "INFO":
			err = b.readMessage(line.Text, detail)
		case "FATAL", "PANIC", "ERROR":
			err = b.readFatal(line, detail)
		default:
			err = fmt.Errorf("unrecognised line in the server's log: %s:  %s", line.Severity, line.Text)
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func isAppendix(severity string) bool {
	switch severity {
	case "DETAIL", "HINT", "CONTEXT", "STATEMENT", "LOCATION", "QUERY", "BACKTRACE":
		return true
	}
	return false
}

func (b *backend) readMessage(text, detail string) error {
	once := func(seen bool) error {
		if seen {
			return fmt.Errorf("the server's log of one connection holds a second line like %q", text)
		}
		return nil
	}
	if m := logReceived.FindStringSubmatch(text); m != nil {
		err := once(b.host != "")
		b.host = m[1]
		b.port, _ = strconv.Atoi(m[2])
		return err
	}
	if m := logIdentity.FindStringSubmatch(text); m != nil {
		err := once(b.authenticated != nil)
		b.authenticated = &authenticated{text: text, identity: m[1], method: matrix.Method(m[2]), rule: fileOf(m[3]) + ":" + m[4]}
		return err
	}
	if m := logTrusted.FindStringSubmatch(text); m != nil {
		err := once(b.authenticated != nil)
		b.authenticated = &authenticated{text: text, method: matrix.Method(m[2]), rule: fileOf(m[3]) + ":" + m[4]}
		return err
	}
	if m := logAuthorized.FindStringSubmatch(text); m != nil {
		err := once(b.authorized != nil)
		b.authorized = &authorized{replication: m[1] != "", user: m[2], database: m[3], application: m[4], tls: m[5] != "", tlsVersion: m[6],
			gssAuthenticated: m[8] == "yes", gssEncrypted: m[9] == "yes", delegated: m[10], principal: m[11]}
		if (m[1] == "") != strings.Contains(text, " database=") {
			return fmt.Errorf("unrecognised line in the server's log: LOG:  %s", text)
		}
		return err
	}
	if logNegotiated.MatchString(text) {
		b.negotiated = append(b.negotiated, loggedSteps[text])
		return nil
	}
	if reason, ok := strings.CutPrefix(text, "could not accept SSL connection: "); ok {
		err := once(b.tlsFailed != "")
		b.tlsFailed = reason
		if said := clientCertFailed.FindStringSubmatch(detail); said != nil {
			b.badCert = said[1]
		}
		return err
	}
	switch text {
	case "could not accept GSSAPI security context":
		err := once(b.gssFailed != "")
		b.gssFailed = detail
		return err
	case "GSSAPI unwrap error":
		err := once(b.unwrapFailed != "")
		b.unwrapFailed = detail
		return err
	case "accepting GSS security context failed", "retrieving GSS user name failed":
		err := once(b.contextErr != "")
		b.contextErr = detail
		return err
	}
	if _, ok := lookUp(serviceCauses, text); ok {
		b.service = text
		return nil
	}
	for _, pattern := range []*regexp.Regexp{logNoMap, logNoMatch} {
		if m := pattern.FindStringSubmatch(text); m != nil {
			err := once(b.noMap != nil)
			b.noMap = &noMap{text, m[1]}
			return err
		}
	}
	if logNoGroup.MatchString(text) { // it ends the search in the map, and check_usermap then says no more
		err := once(b.noMap != nil)
		b.noMap = &noMap{text: text}
		return err
	}
	return b.readNote(text)
}

// readNote reads a message that may be there more than once.
func (b *backend) readNote(text string) error {
	switch {
	case text == AttackersWords:
		b.executed = true
	case text == namelessRefused:
		b.noHost = true
	case text == buffered:
		b.early = true
	case logCertName.MatchString(text):
		b.certMismatch = text
	case logOversize.MatchString(text):
		b.oversize = true
	case logPeer.MatchString(text):
		b.peerFailed = text
	case logBadPacket.MatchString(text):
		b.badPacket = text
	case logIgnored.MatchString(text):
	default:
		return fmt.Errorf("unrecognised line in the server's log: LOG:  %s", text)
	}
	return nil
}

// askedIdentServer wants what the server says of the Ident server to be what can be said of the world's: one that was to answer and did not is no refusal.
func (c *classifier) askedIdentServer(text string) error {
	silent, answered := strings.HasPrefix(text, "could not connect to Ident server "), strings.HasPrefix(text, "invalidly formatted response from Ident server: ")
	switch _, running, _ := c.cell.World.IdentServerOf(); {
	case running && silent:
		return fmt.Errorf("the Ident server of the client's machine did not take the server's connection: %s", text)
	case !running && answered:
		return fmt.Errorf("something answers on port 113 of the client's machine: %s", text)
	}
	return nil
}

func (b *backend) readFatal(line matrix.LogLine, detail string) error {
	if line.Severity != "FATAL" {
		return fmt.Errorf("the server logged %s:  %s (SQLSTATE %s)", line.Severity, line.Text, line.SQLState)
	}
	if b.fatal != nil {
		return fmt.Errorf("the server's log of one connection holds a second FATAL: %q after %q", line.Text, b.fatal.text)
	}
	b.fatal = &fatal{state: line.SQLState, text: line.Text, detail: detail}
	if m := logMatched.FindStringSubmatch(detail); m != nil {
		file := m[1] + m[2]
		b.matched = &matchedRecord{text: strings.TrimPrefix(m[0], "\t"), rule: fileOf(file) + ":" + m[3], record: m[4]}
	}
	return nil
}

// reachedStartup is true if the backend read a startup packet: everything but the negotiation comes after it.
func (b *backend) reachedStartup() bool {
	if b.fatal != nil && strings.HasPrefix(b.fatal.text, receivedEarly) {
		return false
	}
	return b.authenticated != nil || b.authorized != nil || b.fatal != nil || b.contextErr != "" || b.noMap != nil || b.peerFailed != ""
}

// encryption is the channel that the FATAL of a missing or rejecting record names, or "". Versions up to 13 say
// "SSL on" and "SSL off", later ones "SSL encryption" and "no encryption".
func (f *fatal) encryption() matrix.Channel {
	if !strings.HasPrefix(f.text, "no pg_hba.conf entry for ") && !strings.HasPrefix(f.text, "pg_hba.conf rejects ") {
		return ""
	}
	switch f.text[strings.LastIndex(f.text, ", ")+1:] {
	case " GSS encryption":
		return matrix.GSS
	case " SSL encryption", " SSL on":
		return matrix.TLS
	case " no encryption", " SSL off":
		return matrix.Plain
	}
	return ""
}
