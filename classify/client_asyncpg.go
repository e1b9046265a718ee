package classify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// asyncpg: connect_utils.py, exceptions/ and protocol/coreproto.pyx of asyncpg 0.27 to 0.31, and the texts of Python's asyncio and ssl (Modules/_ssl.c)
// with those of OpenSSL 3; python3-gssapi has those of libkrb5. The driver program gives the name of the exception, its text, and its causes.
var asyncpg = client{
	sessionLost: "connection was closed in the middle of operation", // protocol.pyx, connection_lost: the server's error waits for a ReadyForQuery
	settle:      (*classifier).library,
	sayings:     asyncpgSayings,
	causes:      asyncpgCauses,
	special:     asyncpgSpecial,
	tells:       true,
	unwanted:    asyncpgUnwanted,
	onlyS:       true,
	noAlert:     true, // asyncio/sslproto.py, _fatal_error
	lastHost:    true, // connect_utils.py, _connect: last_error
	unreached:   regexp.MustCompile(`^(?:ConnectionRefusedError: \[Errno 111\]|FileNotFoundError: \[Errno 2\]) (Connect call failed|Connection refused|No such file or directory)`),
	refusedTCP:  regexp.MustCompile(`^ConnectionRefusedError: \[Errno 111\] Connect call failed `),
	hungUp:      regexp.MustCompile(`^(` + asyncpgLost + `(, caused by (ConnectionResetError: \[Errno 104\] Connection reset by peer|BrokenPipeError: \[Errno 32\] Broken pipe))?|ConnectionResetError(: \[Errno 104\] Connection reset by peer)?|ConnectionError: unexpected connection_lost\(\) call)$`),
	gssAuth:     asyncpgGSS,
	timedOut:    regexp.MustCompile(`^(asyncio\.exceptions\.)?TimeoutError(, caused by asyncio\.exceptions\.CancelledError)?$`),
	tls: tlsTexts{
		alerted:    regexp.MustCompile(asyncpgSSL + `(?:TLSV1|TLSV13|SSLV3|SSL/TLS)_ALERT_\w+\] (.*) \(_ssl\.c:\d+\)$`),
		alertMAC:   regexp.MustCompile(asyncpgSSL + `(SSLV3|SSL/TLS)_ALERT_BAD_RECORD_MAC\]`),
		alertHello: regexp.MustCompile(asyncpgSSL + `(SSLV3_ALERT_ILLEGAL_PARAMETER|SSL/TLS_ALERT_ILLEGAL_PARAMETER|SSLV3_ALERT_UNEXPECTED_MESSAGE|SSL/TLS_ALERT_UNEXPECTED_MESSAGE)\]`),
		ownMAC:     regexp.MustCompile(asyncpgSSL + `(DECRYPTION_FAILED_OR_BAD_RECORD_MAC|RECORD_LAYER_FAILURE)\]`), // Python tells the last error of OpenSSL, which since 3.2 is the second
	},
}

const (
	asyncpgLost = `asyncpg\.exceptions\.ConnectionDoesNotExistError: connection was closed in the middle of operation`
	asyncpgSSL  = `^(?:` + asyncpgLost + `, caused by )?ssl\.SSLError: \[SSL: `
	asyncpgCert = `^ssl\.SSLCertVerificationError: \[SSL: CERTIFICATE_VERIFY_FAILED\] certificate verify failed: `
	asyncpgAuth = `^asyncpg\.exceptions\._base\.InternalClientError: unexpected error while performing authentication: `
)

var asyncpgCauses = []textCause{
	row(`^(asyncpg\.exceptions\._base\.ClientConfigurationError|ValueError): root certificate file ".*" does not exist`, matrix.StageOptions, matrix.BadOptions),
	row("^asyncpg\\.exceptions\\._base\\.(ClientConfigurationError|InterfaceError): `sslmode` parameter must be one of: ", matrix.StageOptions, matrix.BadOptions),
	row(`^ssl\.SSLError: \[(SSL|X509: KEY_VALUES_MISMATCH)\] (PEM lib|key values mismatch) \(`, matrix.StageOptions, matrix.BadOptions), // load_cert_chain
	row(asyncpgCert+`(unable to get local issuer certificate|self[- ]signed certificate( in certificate chain)?|unable to get certificate CRL) \(`, matrix.StageTLS, matrix.ServerCertTrust),
	row(asyncpgCert+`(Hostname|IP address) mismatch, certificate is not valid for '.*'\. \(`, matrix.StageTLS, matrix.ServerCertName),
	row(asyncpgCert+`(certificate|CRL) has expired \(`, matrix.StageTLS, matrix.ServerCertExpired),
	row(asyncpgCert+`certificate is not yet valid( or the system clock is incorrect)? \(`, matrix.StageTLS, matrix.ServerCertBad),
	row(asyncpgCert+`(unsupported|unsuitable) certificate purpose \(`, matrix.StageTLS, matrix.ServerCertPurpose),
	row(asyncpgCert+`certificate revoked \(`, matrix.StageTLS, matrix.ServerCertRevoked),
	row(asyncpgAuth+`name 'AUTH_METHOD_NAME' is not defined`, matrix.StageAuth, matrix.MethodUnsupported), // a defect of 0.27, which wants to name the method
	row(asyncpgAuth+`'NoneType' object has no attribute 'encode'`, matrix.StageAuth, matrix.NoPassword),
}

var asyncpgSpecial = []specialCause{
	{asyncpgGSS, gssAuthCause},
	{regexp.MustCompile(`^ConnectionError: PostgreSQL server at "\S+:\d+" rejected SSL upgrade$`), func(c *classifier, said []string, n *connection) (cause, error) {
		switch {
		case n != nil && n.did(matrix.StepSSLReject, matrix.StepSSLError):
			return cause{matrix.StageTLS, matrix.TLSRefused}, nil
		case n != nil && n.did(matrix.StepSSLAccept) && n.acted && relayAttacks[c.cell.Client.Attack].stuffsNear == "server":
			return cause{matrix.StageTLS, matrix.ProtocolViolation}, nil // S, and more bytes
		}
		return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", said[0], c.outcome.Trace)
	}},
	// It reads its files before it opens a socket. Nothing but the cell tells a file from a socket that is missing.
	{regexp.MustCompile(`^FileNotFoundError: \[Errno 2\] No such file or directory$`), func(c *classifier, said []string, n *connection) (cause, error) {
		client := &c.cell.Client
		form, _ := c.cell.World.KeyFormOf(client)
		reads := client.SSLMode != "disable" && form.Absent
		missing := client.Root == "missing" || client.Root == "system" || client.CRL == "missing"
		insists := slices.Contains([]string{"require", "verify-ca", "verify-full"}, client.SSLMode)
		switch {
		case n != nil:
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, and opened a connection", said[0])
		case missing && insists || reads:
			return cause{matrix.StageOptions, matrix.BadOptions}, nil
		case c.unix():
			return cause{matrix.StageDial, matrix.DialRefused}, nil
		}
		return cause{}, unknownMessage(said[0])
	}},
}

var (
	asyncpgGSS   = regexp.MustCompile(asyncpgAuth + `(Major \(.*?)(?:, caused by .*)?$`)
	asyncpgError = regexp.MustCompile(`^asyncpg\.exceptions\.(\w+): (.*)$`)
)

// asyncpgStates are the exceptions that repeat an error of the server, with their SQLSTATEs.
var asyncpgStates = map[string]string{
	"CannotConnectNowError":                  "57P03",
	"ConfigFileError":                        "F0000",
	"FeatureNotSupportedError":               "0A000",
	"InsufficientPrivilegeError":             "42501",
	"InvalidAuthorizationSpecificationError": "28000",
	"InvalidCatalogNameError":                "3D000",
	"InvalidPasswordError":                   "28P01",
	"ProtocolViolationError":                 "08P01",
	"TooManyConnectionsError":                "53300",
	"UndefinedObjectError":                   "42704",
}

// asyncpgSayings has the last connection's error alone: that is all that asyncpg raises.
func asyncpgSayings(message string) []saying {
	text := strings.ReplaceAll(message, "\ncaused by ", ", caused by ")
	text, _, _ = strings.Cut(text, "\n") // the server's DETAIL and HINT
	if m := asyncpgError.FindStringSubmatch(text); m != nil && asyncpgStates[m[1]] != "" {
		return []saying{{fatal: true, state: asyncpgStates[m[1]], text: m[2]}}
	}
	return []saying{{text: text}}
}
