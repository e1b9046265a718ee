package classify

import (
	"regexp"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// libpqCalls are where a client of libpq wants a security context: what it says after them is a reason of contextCauses.
var libpqCalls = map[matrix.Stage]bool{matrix.StageGSSEnc: true, matrix.StageAuth: true, matrix.StageCredentials: true}

// Words are patterns of the lines by which a client of libpq, or its server's log, says that an attempt is refused for this reason at this stage.
// They are for somebody who has only the texts: the classifier wants more than one of them, from witnesses that agree. There are none where no line
// alone tells the reason. Lines of the client are those of libpq without what names the program and the server; lines of the server's log are the
// messages and details, once as they are and, of a FATAL, once after its SQLSTATE. Of "could not accept SSL connection: REASON" and "SSL error: REASON"
// the reason is a line, too.
func Words(stage matrix.Stage, reason matrix.Reason) (client, server []string) {
	add := func(to *[]string, text *regexp.Regexp) {
		if !slices.Contains(*to, text.String()) {
			*to = append(*to, text.String())
		}
	}
	both := func(text *regexp.Regexp) {
		add(&client, text)
		add(&server, text)
	}
	for _, table := range []struct {
		rows []textCause
		to   *[]string
	}{{fatalCauses, &server}, {clientCertCauses, &server}, {serviceCauses, &server}, {libpqCauses, &client}} {
		for _, r := range table.rows {
			if r.stage == stage && r.reason == reason {
				add(table.to, r.text)
			}
		}
	}
	for _, r := range contextCauses {
		if libpqCalls[stage] && r.reason == reason {
			both(r.text)
		}
	}
	for _, a := range alertCauses { // each end logs the alert about the certificate of its own
		if stage == matrix.StageTLS && a.server == reason {
			add(&server, a.text)
		}
		if stage == matrix.StageTLS && a.mine == reason {
			add(&client, a.text)
		}
	}
	impossible := regexp.MustCompile(regexp.QuoteMeta(gssImpossible))
	for _, own := range []struct {
		stage  matrix.Stage
		reason matrix.Reason
		to     *[]string
		texts  []*regexp.Regexp
	}{
		{matrix.StageDial, matrix.DialRefused, &client, []*regexp.Regexp{libpq.unreached}},
		{matrix.StageCredentials, matrix.NoTicket, &client, []*regexp.Regexp{impossible}},
		{matrix.StageGSSEnc, matrix.GSSRefused, &client, []*regexp.Regexp{impossible}},
		{matrix.StageOptions, matrix.GSSOnUnixSocket, &client, []*regexp.Regexp{impossible}},
		{matrix.StageTLS, matrix.HostUnknown, &server, []*regexp.Regexp{regexp.MustCompile(`^(` + namelessRefused + `|` + hostRefused + `)$`)}},
		{matrix.StageAuth, matrix.CertNameMismatch, &server, []*regexp.Regexp{logCertName}},
		{matrix.StageAuth, matrix.PeerMismatch, &server, []*regexp.Regexp{logPeer}},
		{matrix.StageAuth, matrix.Password, &server, []*regexp.Regexp{regexp.MustCompile(`^28P01 password authentication failed for user "`)}},
		{matrix.StageSession, matrix.SessionEnded, &server, []*regexp.Regexp{regexp.MustCompile(`^57P01 ` + shutDown + `$`)}},
		{matrix.StageIdent, matrix.MapNoMatch, &server, []*regexp.Regexp{logNoMap, logNoMatch, logNoGroup}},
	} {
		if own.stage == stage && own.reason == reason {
			for _, t := range own.texts {
				add(own.to, t)
			}
		}
	}
	return client, server
}
