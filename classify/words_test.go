package classify

import (
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// untold are the reasons that no line alone tells: those of attacks, of clients in Go, and those that only the wire, or debugging messages, tell.
var untold = []string{
	"gssenc server-unproven", "auth server-unproven", "tls direct-tls-refused", "tls tls-handshake", "auth realm-mismatch", "gssenc channel-binding", "session session-unwanted",
	"startup protocol-violation", "gssenc abandoned", "tls abandoned", "gssenc connection-lost", "tls connection-lost", "auth connection-lost", "gssenc timed-out", "tls timed-out",
	"auth timed-out", "gssenc integrity-check", "tls integrity-check",
}

// Every reason has words, or is known to have none; the words are regular expressions of Perl's, too, as grep -P wants them.
func TestWords(t *testing.T) {
	for _, r := range matrix.Reasons {
		for _, stage := range r.Stages {
			client, server := Words(stage, r.Reason)
			if none := len(client)+len(server) == 0; none != slices.Contains(untold, string(stage)+" "+string(r.Reason)) {
				t.Errorf("%s %s: no words: %t", stage, r.Reason, none)
			}
			for _, words := range [][]string{client, server} {
				if len(words) == 0 {
					continue
				}
				pattern := strings.Join(words, "|")
				if _, err := regexp.Compile(pattern); err != nil || strings.Contains(pattern, "\n") {
					t.Errorf("%s %s: %q: %v", stage, r.Reason, pattern, err)
				}
				out, err := exec.Command("grep", "-P", "-q", "-e", pattern, "/dev/null").CombinedOutput()
				if failed := (*exec.ExitError)(nil); !errors.As(err, &failed) || failed.ExitCode() != 1 {
					t.Errorf("%s %s: grep -P does not take %q: %s %v", stage, r.Reason, pattern, out, err)
				}
			}
		}
	}
}

// The witness that says it is the one that is asked: a client that refuses the server's certificate and a server that refuses the client's log the
// same alert at opposite ends.
func TestWordsOfWitnesses(t *testing.T) {
	for _, tt := range []struct {
		stage          matrix.Stage
		reason         matrix.Reason
		client, server string // "": not told there
		other          string // a text that is not told at either end
	}{
		{matrix.StageTLS, matrix.ServerCertTrust, "", "tlsv1 alert unknown ca", "SSL error: wrong version number"},
		{matrix.StageTLS, matrix.CertUntrusted, "tlsv1 alert unknown ca", "unable to get local issuer certificate", "certificate has expired"},
		{matrix.StageHBA, matrix.NoHBAEntry, "", `28000 no pg_hba.conf entry for host "10.0.0.1", user "alice", database "postgres", no encryption`, `28000 pg_hba.conf rejects connection for host "10.0.0.1"`},
		{matrix.StageHBA, matrix.HBAReject, "", `28000 pg_hba.conf rejects connection for host "10.0.0.1", user "alice"`, `28000 no pg_hba.conf entry for host "10.0.0.1"`},
		{matrix.StageIdent, matrix.MapNoMatch, "", `no match in usermap "m" for user "alice" authenticated as "bob"`, `28000 role "alice" does not exist`},
		{matrix.StageAuth, matrix.Password, "", `28P01 password authentication failed for user "alice"`, "fe_sendauth: no password supplied"},
		{matrix.StageAuth, matrix.NoPassword, "fe_sendauth: no password supplied", "", `28P01 password authentication failed for user "alice"`},
		{matrix.StageGSSEnc, matrix.TicketExpired, "could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: Ticket expired", "", "Clock skew too great"},
		{matrix.StageCredentials, matrix.NoTicket, "GSSAPI encryption required but no credential cache", "", "GSSAPI encryption required but it is not supported over a local socket"},
		{matrix.StageDial, matrix.DialRefused, "could not connect to server: Connection refused", "", "server closed the connection unexpectedly"},
	} {
		client, server := Words(tt.stage, tt.reason)
		tells := func(words []string, text string) bool {
			return len(words) > 0 && text != "" && regexp.MustCompile(strings.Join(words, "|")).MatchString(text)
		}
		if tells(client, tt.client) != (tt.client != "") || tells(server, tt.server) != (tt.server != "") || tells(client, tt.other) || tells(server, tt.other) {
			t.Errorf("%s %s: client %q, server %q", tt.stage, tt.reason, client, server)
		}
		if tt.client == "" && tells(client, tt.server) {
			t.Errorf("%s %s: what the server logs is taken from the client, too: %q", tt.stage, tt.reason, client)
		}
	}
}
