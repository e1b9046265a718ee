package classify

import (
	"regexp"

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
	row(`^kerberos: .*(libdefaults section line|invalid boolean value)`, "", matrix.KRB5Config),
	// either side
	row(`Clock skew too great|KRB_AP_ERR_SKEW`, "", matrix.ClockSkew),
	row(`KDC has no support for encryption type|No supported encryption types|Encryption type .* not permitted|found in keytab but not with enctype`, "", matrix.Enctype),
	// the server's side
	row(`Keytab .* is nonexistent or empty|Key table entry not found|Key table file '.*' not found|No keys in keytab|No key table entry found matching|Permission denied`, "", matrix.KeytabMissing),
	row(`Request ticket server .* (not found in keytab|found in keytab but cannot decrypt ticket)|Cannot decrypt ticket for|Wrong principal in request|No key table entry found|Decrypt integrity check failed|does not match request ticket server`, "", matrix.KeytabMismatch),
}

var (
	// gokrb5's user names the file that it looked for: without KRB5CCNAME, which is what ambient means, /tmp/krb5cc_UID.
	gokrb5NoCache = regexp.MustCompile(`^kerberos: no credential cache: `)
	// A token that was not made with the session key: libkrb5 (krb5_rd_rep), and gokrb5 by way of the agent's provider.
	unproven = regexp.MustCompile(`Decrypt integrity check failed|^kerberos: the server's AP-REP: error decrypting: `)
)

// relayUnreached is why the relay could not reach the server: an error of package net.
var relayUnreached = regexp.MustCompile(`^(?:.*: )?(connection refused|no such file or directory|connection timed out|i/o timeout|no route to host)$`)

// alertCauses are TLS alerts as OpenSSL names them (ssl/ssl_err.c; "sslv3" up to 3.1, "ssl/tls" since) and as crypto/tls
// does, told by the end that received the alert about the certificate of its own.
var alertCauses = []struct {
	text         *regexp.Regexp
	server, mine matrix.Reason // about the server's certificate, about the client's
}{
	{regexp.MustCompile(`alert (unknown ca|decrypt error)|unknown certificate authority|^error decrypting message`), matrix.ServerCertTrust, matrix.CertUntrusted},
	{regexp.MustCompile(`alert certificate expired|expired certificate`), matrix.ServerCertExpired, matrix.CertExpired},
	{regexp.MustCompile(`alert certificate revoked|revoked certificate`), matrix.ServerCertRevoked, matrix.CertRevoked},
	{regexp.MustCompile(`alert unsupported certificate|^unsupported certificate`), matrix.ServerCertPurpose, matrix.CertPurpose},
	{regexp.MustCompile(`alert bad certificate|^bad certificate`), matrix.ServerCertBad, matrix.CertBad},
}
