package classify

import (
	"regexp"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// cause is why an attempt was refused, as one text tells it.
type cause struct {
	stage  matrix.Stage
	reason matrix.Reason
}

// textCause is one row of a closed table of messages.
type textCause struct {
	text *regexp.Regexp
	cause
}

func row(text string, stage matrix.Stage, reason matrix.Reason) textCause {
	return textCause{regexp.MustCompile(text), cause{stage, reason}}
}

func lookUp(table []textCause, text string) (cause, bool) {
	for _, r := range table {
		if r.text.MatchString(text) {
			return r.cause, true
		}
	}
	return cause{}, false
}

// fatalCauses are the FATAL messages that end a connection, each with its SQLSTATE before it. Those of a failed method
// are not here: see methodFailures. Sources: auth.c, postmaster.c or backend_startup.c, postinit.c, miscinit.c of 13 to 18.
var fatalCauses = []textCause{
	row(`^28000 no pg_hba\.conf entry for host `, matrix.StageHBA, matrix.NoHBAEntry),
	row(`^28000 pg_hba\.conf rejects connection for host `, matrix.StageHBA, matrix.HBAReject),
	row(`^28000 connection requires a valid client certificate$`, matrix.StageAuth, matrix.CertMissing),
	row(`^28P01 empty password returned by client$`, matrix.StageAuth, matrix.NoPassword),
	row(`^28000 SCRAM channel binding (check failed|negotiation error)$`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^28000 role ".*" does not exist$`, matrix.StageStartup, matrix.RoleMissing),
	row(`^28000 role ".*" is not permitted to log in$`, matrix.StageStartup, matrix.RoleNoLogin),
	row(`^3D000 database ".*" does not exist$`, matrix.StageStartup, matrix.DatabaseMissing),
	row(`^42704 unrecognized configuration parameter "sslcrl"$`, matrix.StageStartup, matrix.SettingUnknown),
	row(`^42501 permission denied for database ".*"$`, matrix.StageStartup, matrix.NoPrivilege),
	row(`^08P01 received unencrypted data after SSL request$`, matrix.StageTLS, matrix.ProtocolViolation),
	row(`^08P01 received unencrypted data after GSSAPI encryption request$`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^53300 (sorry, too many clients already|too many connections for (role|database) ".*"|remaining connection slots are reserved for .*)$`, matrix.StageStartup, matrix.TooManyClients),
	row(`^57P03 the database system is (starting up|shutting down|in recovery mode|not accepting connections|not yet accepting connections)$`, matrix.StageStartup, matrix.ServerStarting),
}

// methodFailures are the FATAL messages of auth_failed: "METHOD authentication failed for user".
var methodFailures = []struct {
	prefix  string
	state   string
	methods []matrix.Method // one of these failed
}{
	{`GSSAPI authentication failed for user "`, "28000", []matrix.Method{matrix.MethodGSS}},
	{`Peer authentication failed for user "`, "28000", []matrix.Method{matrix.MethodPeer}},
	{`Ident authentication failed for user "`, "28000", []matrix.Method{matrix.MethodIdent}},
	{`certificate authentication failed for user "`, "28000", []matrix.Method{matrix.MethodCert}},
	{`"trust" authentication failed for user "`, "28000", []matrix.Method{matrix.MethodTrust}},
	{`password authentication failed for user "`, "28P01", []matrix.Method{matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword}},
}

// contextCauses are libkrb5's minor messages where a security context cannot be initiated or accepted. Sources:
// lib/krb5/error_tables/{krb5,k5e1}_err.et, lib/krb5/krb/rd_req_dec.c, lib/krb5/keytab/kt_file.c,
// lib/gssapi/krb5/{acquire_cred,init_sec_context}.c of MIT krb5 1.18 to 1.22; gokrb5 v8 for pgx and pq. Only the reason counts:
// the stage is where the context was wanted.
var contextCauses = []textCause{
	// the client's side
	row(`Ticket expired|^ticket expired: |KRB_AP_ERR_TKT_EXPIRED|no valid existing session`, "", matrix.TicketExpired),
	row(`Server .* not found in Kerberos database|KDC_ERR_S_PRINCIPAL_UNKNOWN`, "", matrix.SPNUnknown),
	row(`No Kerberos credentials available|No credentials cache found|No credentials cache file found|Credentials cache file '.*' not found|Cannot find .*credentials cache|^kerberos: no credential cache`, "", matrix.NoTicket),
	row(`Cannot contact any KDC for realm|Cannot find KDC for realm|Cannot resolve (network address for KDC|servers for KDC)`, "", matrix.KDCUnreachable),
	// either side
	row(`Clock skew too great|KRB_AP_ERR_SKEW`, "", matrix.ClockSkew),
	row(`KDC has no support for encryption type|No supported encryption types|Encryption type .* not permitted|found in keytab but not with enctype`, "", matrix.Enctype),
	// the server's side
	row(`Keytab .* is nonexistent or empty|Key table entry not found|Key table file '.*' not found|No keys in keytab|No key table entry found matching|Permission denied`, "", matrix.KeytabMissing),
	row(`Request ticket server .* (not found in keytab|found in keytab but cannot decrypt ticket)|Cannot decrypt ticket for|Wrong principal in request|No key table entry found|Decrypt integrity check failed|does not match request ticket server`, "", matrix.KeytabMismatch),
}

// localCauses are the messages with which a client ends an attempt by itself. Sources: fe-connect.c, fe-auth.c,
// fe-auth-scram.c, fe-secure-openssl.c, fe-secure-common.c, fe-secure-gssapi.c, fe-gssapi-common.c of 13 to 18;
// pgconn/{pgconn,config,krb5,auth_scram}.go of pgx 5; {conn,connector,ssl}.go of lib/pq 1.12;
// {configure,handshake}.go of gssenc. What depends on other witnesses is in localCause.
var localCauses = []textCause{
	row(`^weak sslmode ".*" may not be used with (sslnegotiation=direct|sslrootcert=system)`, matrix.StageOptions, matrix.BadOptions),
	row(`^invalid "?\S+"? value: ".*"$`, matrix.StageOptions, matrix.BadOptions),
	row(`^invalid connection option ".*"$`, matrix.StageOptions, matrix.BadOptions),
	row(`^(negative )?require_auth method ".*" (cannot be mixed with|is specified more than once)`, matrix.StageOptions, matrix.BadOptions),
	row(`^cannot parse .*: .*$`, matrix.StageOptions, matrix.BadOptions),
	row(`^GSSAPI encryption required but it is not supported over a local socket$`, matrix.StageOptions, matrix.GSSOnUnixSocket),
	row(`^GSSAPI encryption required but no credential cache$`, matrix.StageCredentials, matrix.NoTicket),
	row(`^gssenc: configuration: gssencmode=require, but host \S+ is a unix-domain socket, which GSS encryption does not support$`, matrix.StageOptions, matrix.GSSOnUnixSocket),
	row(`^dial error: gssenc: credentials: stat \S+: no such file or directory$`, matrix.StageCredentials, matrix.NoTicket),
	row(`^dial error: gssenc: request: the server does not offer GSS encryption$`, matrix.StageGSSEnc, matrix.GSSRefused),
	row(`^dial error: gssenc: (request|token): the peer answered with an error message; it is unauthenticated and not shown`, matrix.StageGSSEnc, matrix.AnswerError),
	row(`^dial error: gssenc: answer: the AP-REP was not made with the session key, the acceptor has not shown who it is: `, matrix.StageGSSEnc, matrix.ServerUnproven),
	row(`^dial error: gssenc: token: received unencrypted data after the answer to GSSENCRequest`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^dial error: gssenc: request: channel binding required, but SSL not in use: the server agreed to GSS encryption`, matrix.StageGSSEnc, matrix.ChannelBinding),
	row(`^server doesn't support GSSAPI encryption, but it was required$`, matrix.StageGSSEnc, matrix.GSSRefused),
	row(`^received unencrypted data after SSL response$`, matrix.StageTLS, matrix.ProtocolViolation),
	row(`^received unencrypted data after GSSAPI encryption response$`, matrix.StageGSSEnc, matrix.ProtocolViolation),
	row(`^server sent an error response during SSL exchange$`, matrix.StageTLS, matrix.AnswerError),
	row(`^server sent an error response during GSS encryption exchange$`, matrix.StageGSSEnc, matrix.AnswerError),
	row(`^server does not support SSL, but SSL was required$`, matrix.StageTLS, matrix.TLSRefused),
	row(`^tls error: server refused TLS connection$`, matrix.StageTLS, matrix.TLSRefused),
	row(`^SSL is not enabled on the server$`, matrix.StageTLS, matrix.TLSRefused),
	row(`^root certificate file ".*" does not exist$`, matrix.StageTLS, matrix.RootMissing),
	row(`^server certificate for ".*" (\(and \d+ other names?\) )?does not match host name ".*"$`, matrix.StageTLS, matrix.ServerCertName),
	row(`x509: certificate is (valid for .*, )?not (valid for )?|x509: certificate is not valid for any names`, matrix.StageTLS, matrix.ServerCertName),
	row(`x509: certificate relies on legacy Common Name field, use SANs instead$`, matrix.StageTLS, matrix.ServerCertName),
	row(`x509: certificate signed by unknown authority`, matrix.StageTLS, matrix.ServerCertTrust),
	row(`x509: certificate has expired or is not yet valid`, matrix.StageTLS, matrix.ServerCertExpired),
	row(`^channel binding (is )?required`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^could not find digest for NID \S+$`, matrix.StageAuth, matrix.ChannelBinding),
	row(`^channel binding check failed: |channel binding required but `, matrix.StageAuth, matrix.ChannelBinding),
	row(`^authentication method requirement ".*" failed: `, matrix.StageAuth, matrix.MethodRejected),
	row(`^require_auth check failed: `, matrix.StageAuth, matrix.MethodRejected),
	row(`^failed to receive message: authentication method requirement ".*" failed: server did not complete authentication$`, matrix.StageAuth, matrix.MethodRejected),
	row(`^failed GSS auth: expected AuthenticationGSSContinue message but received unexpected message \*pgproto3\.AuthenticationOk$`, matrix.StageAuth, matrix.ProtocolViolation),
	row(`^fe_sendauth: no password supplied$`, matrix.StageAuth, matrix.NoPassword),
	row(`^(none of the server's SASL authentication mechanisms are supported|(GSSAPI|SSPI|Kerberos \d|Crypt) authentication not supported|authentication method \d+ not supported)$`, matrix.StageAuth, matrix.MethodUnsupported),
	row(`no GSSAPI provider registered`, matrix.StageAuth, matrix.MethodUnsupported),
}

// Messages whose meaning needs other witnesses: see localCause.
var (
	gssImpossible = `GSSAPI encryption required but was impossible (possibly no credential cache, no server support, or using a local socket)`
	gssInitiate   = regexp.MustCompile(`^(?:could not initiate GSSAPI security context|GSSAPI context establishment error): ?(.*)$`)
	gssencTicket  = regexp.MustCompile(`^dial error: gssenc: ticket: (.*)$`)
	gssencHungUp  = regexp.MustCompile(`^dial error: gssenc: token: none came: (EOF: the server hung up; its log says why .*|read tcp \S+->\S+: read: connection reset by peer)$`)
	gssContinue   = regexp.MustCompile(`^GSSAPI continuation error: ?(.*)$`)
	pgxGSS        = regexp.MustCompile(`^(?:failed GSS auth: )(.*)$`)
	pqGSS         = regexp.MustCompile(`^(?:kerberos error|failed to get Kerberos ticket): (.*)$`)
	// gokrb5's user names the file that it looked for: without KRB5CCNAME, which is what ambient means, /tmp/krb5cc_UID.
	gokrb5NoCache = regexp.MustCompile(`^kerberos: no credential cache: `)
	// A token that was not made with the session key: libkrb5 (krb5_rd_rep), and gokrb5 by way of the agent's provider.
	unproven     = regexp.MustCompile(`Decrypt integrity check failed|^kerberos: the server's AP-REP: error decrypting: `)
	pqNoRoot     = regexp.MustCompile(`^open (.*): no such file or directory$`)
	verifyFailed = regexp.MustCompile(`^SSL error: certificate verify failed`)
	// The other end closed, and the client does not know why.
	hungUp = regexp.MustCompile(`^(SSL SYSCALL error: (EOF detected|Success|Connection reset by peer)|SSL error: unexpected eof while reading|SSL connection has been closed unexpectedly|server closed the connection unexpectedly|could not receive data from server: Connection reset by peer|could not send (data to server|startup packet): (Broken pipe|Connection reset by peer).*|(tls error|failed to (write startup message|receive message)): (write failed: )?(EOF|unexpected EOF|.*connection reset by peer|.*broken pipe)|EOF|unexpected EOF|(read|write) tcp \S+->\S+: (read|write): (connection reset by peer|broken pipe))$`)
	// The other end sent a TLS alert.
	alerted    = regexp.MustCompile(`^(?:SSL error: |(?:failed to (?:write startup message|receive message)|tls error): remote error: tls: |remote error: tls: )(.*)$`)
	refusedTCP = regexp.MustCompile(`^(could not connect to server: |dial error: |dial error: gssenc: dial: )?(Connection refused|dial tcp \S+: connect: connection refused)$`)
	dialFailed = regexp.MustCompile(`^(?:could not connect to server: |dial error: .*)?(?:.*: )?(Connection refused|connection refused|No such file or directory|no such file or directory|Connection timed out|timeout expired|i/o timeout|No route to host|no route to host)$`)
)

// alertCauses are TLS alerts as OpenSSL names them (ssl/ssl_err.c; "sslv3" up to 3.1, "ssl/tls" since) and as crypto/tls
// does, told by the end that received the alert about the certificate of its own.
var alertCauses = []struct {
	text         *regexp.Regexp
	server, mine matrix.Reason // about the server's certificate, about the client's
}{
	{regexp.MustCompile(`alert unknown ca|unknown certificate authority`), matrix.ServerCertTrust, matrix.CertUntrusted},
	{regexp.MustCompile(`alert certificate expired|expired certificate`), matrix.ServerCertExpired, matrix.CertExpired},
	{regexp.MustCompile(`alert certificate revoked|revoked certificate`), matrix.ServerCertRevoked, matrix.CertRevoked},
}

// Fragments of a libpq message. Before 14 there is no prefix, and the errors of several connections follow each other.
var (
	psqlPrefix   = regexp.MustCompile(`^(?:\S*/)?psql: (?:error: )?`)
	serverPrefix = regexp.MustCompile(`^connection to server (?:at "[^"]*"(?: \([^)]*\))?, port \d+|on socket ".*?") failed: ?`)
	pqHost       = regexp.MustCompile(`^connecting to \S+:\d+: `)
	pqFatal      = regexp.MustCompile(`^(.*) \(([0-9A-Z]{5})\)$`)
	pgxPrefix    = regexp.MustCompile("^failed to connect to `[^`]*`: ?")
	pgxAttempt   = regexp.MustCompile(`^\s*\S+ \([^)]*\): `)
	fatalText    = regexp.MustCompile(`^(?:server error: |failed (?:SASL|GSS) auth: )?FATAL: {1,2}(.*?)(?: \(SQLSTATE (\S{5})\))?$`)
	// Lines that belong to the message before them.
	continuation = regexp.MustCompile(`^(\t|DETAIL:|HINT:|CONTEXT:|LOCATION:|Either provide the file|This may indicate that the server does not support|This may indicate|Is the server running|connections on |TCP/IP connections on )`)
)

// saying is one error in a client's message: the server's, relayed, or its own.
type saying struct {
	fatal bool
	state string // of a relayed FATAL where the client shows it (pgx, pq)
	text  string // first line; empty where libpq names a connection that failed and no reason
}

// pqSaying reads one error of lib/pq.
func pqSaying(message string) saying {
	text := strings.TrimPrefix(message, "pq: ")
	if m := pqFatal.FindStringSubmatch(text); m != nil && text != message {
		return saying{fatal: true, state: m[2], text: m[1]}
	}
	return saying{text: text}
}

// sayings splits a client's message into the errors of its connections, in order.
func sayings(kind matrix.ClientKind, message string) []saying {
	var all []saying
	add := func(text string) {
		if m := fatalText.FindStringSubmatch(text); m != nil {
			all = append(all, saying{fatal: true, state: m[2], text: m[1]})
		} else {
			all = append(all, saying{text: text})
		}
	}
	if kind == matrix.KindPQ { // of each host the last connection's error alone (conn.go, Connector.open)
		lines, several := strings.CutPrefix(message, "pq: could not connect to any of the hosts:\n")
		if !several {
			return []saying{pqSaying(message)}
		}
		for line := range strings.SplitSeq(lines, "\n") {
			all = append(all, pqSaying(pqHost.ReplaceAllString(line, "")))
		}
		return all
	}
	if kind == matrix.KindPGX {
		if strings.HasPrefix(message, "cannot parse `") {
			return []saying{{text: strings.ReplaceAll(message, "\n", " ")}}
		}
		for line := range strings.SplitSeq(strings.TrimRight(pgxPrefix.ReplaceAllString(message, ""), "\n"), "\n") {
			if strings.TrimSpace(line) != "" {
				add(pgxAttempt.ReplaceAllString(line, ""))
			}
		}
		return all
	}
	for line := range strings.SplitSeq(message, "\n") {
		rest := line
		if kind == matrix.KindPsql {
			rest = psqlPrefix.ReplaceAllString(rest, "")
		}
		rest = serverPrefix.ReplaceAllString(rest, "")
		// A connection that failed without a reason leaves its prefix, and no line end, before that of the next.
		for serverPrefix.MatchString(rest) {
			add("")
			rest = serverPrefix.ReplaceAllString(rest, "")
		}
		switch {
		case rest != line:
			add(rest)
		case line == "", continuation.MatchString(line):
		default:
			add(line)
		}
	}
	return all
}
