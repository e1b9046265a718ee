package classify

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pgx: pgconn/{pgconn,config,krb5,auth_scram,require_auth}.go of pgx 5, crypto/tls and crypto/x509; with gssenc, which is in client_gssenc.go.
var pgx = client{
	settle:     (*classifier).library,
	sayings:    pgxSayings,
	causes:     slices.Concat(pgxCauses, gssencCauses, goX509),
	special:    append(slices.Clone(gssencSpecial), specialCause{pgxGSS, gssAuthCause}),
	tells:      true,
	goesOn:     true, // require_auth, channel_binding
	unwanted:   pgxUnwanted,
	onlyS:      true,
	unreached:  regexp.MustCompile(`^dial error: (?:.*: )?(connection refused|no such file or directory|connection timed out|i/o timeout|no route to host)$`),
	refusedTCP: regexp.MustCompile(`^dial error: (gssenc: dial: )?dial tcp \S+: connect: connection refused$`),
	hungUp:     regexp.MustCompile(`^(tls error|failed to (write startup message|receive message)): (write failed: )?(EOF|unexpected EOF|.*connection reset by peer|.*broken pipe)$`),
	hungUpGSS:  gssencHungUp,
	cutGSS:     gssencNoAnswer,
	timedOut:   regexp.MustCompile(`^(dial error|tls error|failed to receive message): timeout: context deadline exceeded$`),
	gssAuth:    pgxGSS,
	ownMIC:     gssencOwnMIC,
	tls:        goTLS(`(?:(?:tls error|failed to (?:write startup message|receive message)): (?:write failed: )?)`),
}

var pgxCauses = []textCause{
	row(`^cannot parse .*: .*$`, matrix.StageOptions, matrix.BadOptions),
	row(`^sslcertmode check failed: server (did not request an SSL certificate|accepted connection without a valid SSL certificate)$`, matrix.StageAuth, matrix.CertMode),
	row(`^tls error: server refused TLS connection$`, matrix.StageTLS, matrix.TLSRefused),
	row(`^channel binding check failed: |channel binding required but `, matrix.StageAuth, matrix.ChannelBinding),
	row(`^authentication method requirement ".*" failed: `, matrix.StageAuth, matrix.MethodRejected),
	row(`^require_auth check failed: `, matrix.StageAuth, matrix.MethodRejected),
	row(`^failed to receive message: authentication method requirement ".*" failed: server did not complete authentication$`, matrix.StageAuth, matrix.MethodRejected),
	row(`^failed GSS auth: expected AuthenticationGSSContinue message but received unexpected message \*pgproto3\.AuthenticationOk$`, matrix.StageAuth, matrix.ProtocolViolation),
	row(`no GSSAPI provider registered`, matrix.StageAuth, matrix.MethodUnsupported),
}

var (
	pgxGSS     = regexp.MustCompile(`^failed GSS auth: (.*)$`)
	pgxPrefix  = regexp.MustCompile("^failed to connect to `[^`]*`: ?")
	pgxAttempt = regexp.MustCompile(`^\s*\S+ \([^)]*\): `)
	pgxFatal   = regexp.MustCompile(`^(?:server error: |failed (?:SASL|GSS) auth: )?FATAL: {1,2}(.*?)(?: \(SQLSTATE (\S{5})\))?$`)
)

func pgxSayings(message string) (all []saying) {
	if strings.HasPrefix(message, "cannot parse `") {
		return []saying{{text: strings.ReplaceAll(message, "\n", " ")}}
	}
	for line := range strings.SplitSeq(strings.TrimRight(pgxPrefix.ReplaceAllString(message, ""), "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		text := pgxAttempt.ReplaceAllString(line, "")
		if m := pgxFatal.FindStringSubmatch(text); m != nil {
			all = append(all, saying{fatal: true, state: m[2], text: m[1]})
		} else {
			all = append(all, saying{text: text})
		}
	}
	return all
}
