package classify

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// libpq: fe-connect.c, fe-auth.c, fe-auth-scram.c, fe-secure-openssl.c, fe-secure-common.c, fe-secure-gssapi.c and fe-gssapi-common.c of 13 to 19,
// and in them the texts of OpenSSL (ssl/ssl_err.c; "sslv3" up to 3.1, "ssl/tls" since).
var libpq = client{
	settle:     (*classifier).library,
	sayings:    libpqSayings,
	causes:     libpqCauses,
	special:    libpqSpecial,
	tells:      true,
	gssSilent:  true,
	unwanted:   libpqUnwanted,
	hostsLost:  func(lib matrix.Library) bool { return lib.Libpq() < 14 }, // printfPQExpBuffer replaces; the server's errors are appended
	unreached:  regexp.MustCompile(`^(?:could not connect to server: )?(?:.*: )?(Connection refused|No such file or directory|Connection timed out|timeout expired|No route to host)$`),
	refusedTCP: regexp.MustCompile(`^(could not connect to server: )?Connection refused$`),
	hungUp: regexp.MustCompile(`^(SSL SYSCALL error: (EOF detected|Success|Connection reset by peer)|SSL error: unexpected eof while reading|SSL connection has been closed unexpectedly|` +
		`server closed the connection unexpectedly|could not receive data from server: Connection reset by peer|could not send (data to server|startup packet): (Broken pipe|Connection reset by peer).*)$`),
	timedOut: regexp.MustCompile(`^timeout expired$`),
	gssAuth:  gssContinue,
	ownMIC:   regexp.MustCompile(`^GSSAPI unwrap error: A token had an invalid Message Integrity Check`),
	badCert:  regexp.MustCompile(`^SSL error: certificate verify failed`),
	tls: tlsTexts{
		alerted:    regexp.MustCompile(`^SSL error: (.*)$`),
		alertMAC:   regexp.MustCompile(`^SSL error: (sslv3|ssl/tls) alert bad record mac$`),
		alertHello: regexp.MustCompile(`^SSL error: (sslv3|ssl/tls) alert (illegal parameter|unexpected message)$`),
		ownMAC:     regexp.MustCompile(`^SSL error: decryption failed or bad record mac$`),
	},
}

// psql is the program: its standard error has libpq's message after its own name, and warnings, and it tells nothing else.
var psql = func() client {
	c := libpq
	c.tells = false
	c.sayings = func(message string) []saying { return libpqErrors(psqlPrefix, message) }
	return c
}()

var libpqCauses = []textCause{
	row(`^weak sslmode ".*" may not be used with (sslnegotiation=direct|sslrootcert=system)`, matrix.StageOptions, matrix.BadOptions),
	row(`^invalid "?\S+"? value: ".*"$`, matrix.StageOptions, matrix.BadOptions),
	row(`^invalid connection option ".*"$`, matrix.StageOptions, matrix.BadOptions),
	row(`^(negative )?require_auth method ".*" (cannot be mixed with|is specified more than once)`, matrix.StageOptions, matrix.BadOptions),
	row(`^GSSAPI encryption required but it is not supported over a local socket$`, matrix.StageOptions, matrix.GSSOnUnixSocket),
	row(`^GSSAPI encryption required but no credential cache$`, matrix.StageCredentials, matrix.NoTicket),
	row(`^server doesn't support GSSAPI encryption, but it was required$`, matrix.StageGSSEnc, matrix.GSSRefused),
	row(`^received unencrypted data after SSL response$`, matrix.StageTLS, matrix.ProtocolViolation),
	row(`^received unencrypted data after GSSAPI encryption response$`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^server sent an error response during SSL exchange$`, matrix.StageTLS, matrix.AnswerError),
	row(`^server sent an error response during GSS encryption exchange$`, matrix.StageGSSEnc, matrix.AnswerError),
	row(`^server does not support SSL, but SSL was required$`, matrix.StageTLS, matrix.TLSRefused),
	row(`^root certificate file ".*" does not exist$`, matrix.StageTLS, matrix.RootMissing),
	row(`^certificate present, but not private key file ".*"$`, matrix.StageTLS, matrix.KeyUnusable),
	row(`^private key file ".*" has group or world access; `, matrix.StageTLS, matrix.KeyUnusable),
	row(`^could not load private key file ".*": `, matrix.StageTLS, matrix.KeyUnusable),
	row(`^certificate does not match private key file ".*": `, matrix.StageTLS, matrix.KeyUnusable),
	row(`^server (did not request an SSL certificate|accepted connection without a valid SSL certificate)$`, matrix.StageAuth, matrix.CertMode),
	row(`^server certificate for ".*" (\(and \d+ other names?\) )?does not match host name ".*"$`, matrix.StageTLS, matrix.ServerCertName),
	row(`^could not get server's host name from server certificate$`, matrix.StageTLS, matrix.ServerCertName),
	row(`^channel binding (is )?required`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^could not find digest for NID \S+$`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^authentication method requirement ".*" failed: `, matrix.StageAuth, matrix.MethodRejected),
	row(`^fe_sendauth: no password supplied$`, matrix.StageAuth, matrix.NoPassword),
	row(`^(none of the server's SASL authentication mechanisms are supported|(GSSAPI|SSPI|Kerberos \d|Crypt) authentication not supported|authentication method \d+ not supported)$`, matrix.StageAuth, matrix.MethodUnsupported),
}

// gssImpossible is what libpq up to 16 says for three reasons.
const gssImpossible = `GSSAPI encryption required but was impossible (possibly no credential cache, no server support, or using a local socket)`

var (
	gssInitiate = regexp.MustCompile(`^(?:could not initiate GSSAPI security context|GSSAPI context establishment error): ?(.*)$`)
	gssContinue = regexp.MustCompile(`^GSSAPI continuation error: ?(.*)$`)
)

var libpqSpecial = []specialCause{
	{regexp.MustCompile(regexp.QuoteMeta(gssImpossible)), func(c *classifier, said []string, n *connection) (cause, error) {
		switch {
		case c.unix():
			return cause{matrix.StageOptions, matrix.GSSOnUnixSocket}, nil
		case n != nil && n.did(matrix.StepGSSReject):
			return cause{matrix.StageGSSEnc, matrix.GSSRefused}, nil
		case n != nil && n.unused() && len(c.connections) > 1 && c.connections[len(c.connections)-2].did(matrix.StepGSSError):
			return cause{matrix.StageGSSEnc, matrix.AnswerError}, nil // on the second connection it did not ask again
		case n != nil && n.unused():
			return cause{matrix.StageCredentials, matrix.NoTicket}, nil
		}
		return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", said[0], c.outcome.Trace)
	}},
	{regexp.MustCompile(`^` + regexp.QuoteMeta(AttackersWords) + `$`), func(c *classifier, said []string, n *connection) (cause, error) {
		if n == nil || !n.acted || !n.did(matrix.StepGSSAccept) {
			return cause{}, unknownMessage(said[0])
		}
		return cause{matrix.StageGSSEnc, matrix.AnswerError}, nil // libpq shows what comes in the place of a token
	}},
	{gssInitiate, func(c *classifier, said []string, n *connection) (cause, error) {
		if n == nil || !n.did(matrix.StepGSSAccept) {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, and the wire shows no gssaccept", said[0])
		}
		return c.contextCause(matrix.StageGSSEnc, said, n)
	}},
	{gssContinue, gssAuthCause},
}

// gssAuthCause reads a client's message about GSSAPI authentication, whose reason is group 1.
func gssAuthCause(c *classifier, said []string, n *connection) (cause, error) {
	return c.contextCause(matrix.StageAuth, said, n)
}

// Parts of a message. Before 14 nothing names the server, and the errors of several connections follow each other.
var (
	psqlPrefix   = regexp.MustCompile(`^(?:\S*/)?psql: (?:error: )?`)
	serverPrefix = regexp.MustCompile(`^connection to server (?:at "[^"]*"(?: \([^)]*\))?, port \d+|on socket ".*?") failed: ?`)
	libpqFatal   = regexp.MustCompile(`^FATAL: {1,2}(.*)$`)
	// Lines that belong to the message before them.
	continuation = regexp.MustCompile(`^(\t|DETAIL:|HINT:|CONTEXT:|LOCATION:|Either provide the file|This may indicate that the server does not support|This may indicate|Is the server running|connections on |TCP/IP connections on )`)
)

func libpqSayings(message string) []saying { return libpqErrors(nil, message) }

// libpqErrors reads a message of libpq, whose lines may begin with the name of a program.
func libpqErrors(program *regexp.Regexp, message string) (all []saying) {
	for line := range strings.SplitSeq(message, "\n") {
		rest := line
		if program != nil {
			rest = program.ReplaceAllString(rest, "")
		}
		rest = serverPrefix.ReplaceAllString(rest, "")
		// A connection that failed without a reason leaves its prefix, and no line end, before that of the next.
		for serverPrefix.MatchString(rest) {
			all = append(all, saying{})
			rest = serverPrefix.ReplaceAllString(rest, "")
		}
		if rest == line && (line == "" || continuation.MatchString(line)) {
			continue
		}
		if m := libpqFatal.FindStringSubmatch(rest); m != nil {
			all = append(all, saying{fatal: true, text: m[1]})
		} else {
			all = append(all, saying{text: rest})
		}
	}
	return all
}
