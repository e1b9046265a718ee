package classify

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestBecause(t *testing.T) {
	lib17, lib13 := testCell(17, "libpq17"), testCell(13, "libpq13")
	gss13 := connectedClient(41, "ok")
	gss13.GSSInUse, gss13.Session.GSSEncrypted, gss13.Session.GSSAuthenticated, gss13.Session.Principal = true, true, true, "alice@EXAMPLE.TEST"
	const noEntry = `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", no encryption`
	const rejects = `pg_hba.conf rejects connection for host "10.9.0.3", user "alice", database "postgres", no encryption`
	const matched = `Connection matched file "/srv/pg/pg_hba.conf" line 1: "host all "alice" all md5"`
	for _, tt := range []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		want []string // SOURCE: TEXT
	}{
		{"a session", lib17, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, inClear, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(lib17, ""))), []string{
			"session: pg_stat_ssl and pg_stat_gssapi: no encryption -> channel plain",
			"session: session_user=alice -> connected, role alice",
			`server log: connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2) -> method trust, rule pg_hba.conf:2`}},
		{"what 13 tells of gss", lib13, evidenceOf(gss13, seen(5001, 41, overGSS, authorizedLine(lib13, " GSS (authenticated=yes, encrypted=yes, principal=alice@EXAMPLE.TEST)"))), []string{
			"session: pg_stat_gssapi: encrypted -> channel gss",
			"session: session_user=alice -> connected, role alice",
			"server log: GSS (authenticated=yes, principal=alice@EXAMPLE.TEST) -> method gss, identity alice@EXAMPLE.TEST",
			"pg_hba.conf: the only record with the method gss -> rule pg_hba.conf:1"}},
		{"no entry", lib17, evidenceOf(saidNo(failedAt+"FATAL:  "+noEntry), seen(5001, 41, refusing+"28000 "+noEntry, "FATAL 28000 "+noEntry)), []string{
			"server log: FATAL:  " + noEntry + " -> refused at hba, no-hba-entry",
			"wire: startup packet in the clear -> channel plain"}},
		{"reject", testCell(17, "libpq17", withHBA("host all all all reject\n")), evidenceOf(saidNo(failedAt+"FATAL:  "+rejects), seen(5001, 41, refusing+"28000 "+rejects, "FATAL 28000 "+rejects)), []string{
			"server log: FATAL:  " + rejects + " -> refused at hba, hba-reject, method reject",
			"wire: startup packet in the clear -> channel plain",
			"pg_hba.conf: the only record with the method reject -> rule pg_hba.conf:1"}},
		{"a password, by the record that the server quotes", testCell(17, "psql17", withHBA("host all \"alice\" all md5\n")),
			evidenceOf(saidNo("psql: error: "+failedAt+"FATAL:  password authentication failed for user \"alice\"\n"),
				seen(5001, 41, overTLS, "LOG SSLRequest accepted", `FATAL 28P01 password authentication failed for user "alice"`, "DETAIL "+matched)), []string{
				`server log: FATAL:  password authentication failed for user "alice" -> refused at auth, password`,
				"wire: server-hello TLSv1.3 -> channel tls",
				"server log: " + matched + " -> method md5, rule pg_hba.conf:1"}},
		{"the client's own word", lib17, evidenceOf(saidNo(failedAt+"server does not support SSL, but SSL was required\n"), seen(5001, 41, "client sslrequest; server answer N; client close", "LOG SSLRequest rejected")), []string{
			"client: server does not support SSL, but SSL was required -> refused at tls, tls-refused"}},
		{"the server's reason for what the client says", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: ssl/tls alert certificate revoked")), []string{
			"server log: ssl/tls alert certificate revoked -> server-cert-revoked",
			"client: SSL error: certificate verify failed -> refused at tls"}},
		{"a map", testCell(17, "libpq17", overUnix, withHBA("local all all peer\n")), evidenceOf(saidNo("connection to server on socket \"/run/pg/.s.PGSQL.5432\" failed: FATAL:  Peer authentication failed for user \"alice\"\n"),
			seen(0, 41, "", `LOG connection authenticated: identity="root" method=peer (/srv/pg/pg_hba.conf:1)`, "LOG provided user name (alice) and authenticated user name (root) do not match",
				`FATAL 28000 Peer authentication failed for user "alice"`, `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line 1: "local all all peer"`)), []string{
			"server log: provided user name (alice) and authenticated user name (root) do not match -> map-no-match",
			`server log: FATAL:  Peer authentication failed for user "alice" -> refused at ident`,
			"server log: connection received: host=[local] -> channel plain",
			`server log: connection authenticated: identity="root" method=peer (/srv/pg/pg_hba.conf:1) -> method peer, identity root, rule pg_hba.conf:1`}},
		{"the relay", lib17, evidenceOf(saidNo(failedAt+"server closed the connection unexpectedly\n"),
			matrix.ConnectionEvidence{Wire: []matrix.WireEvent{{From: "relay", Kind: "dial-failed", Text: "dial tcp 10.9.0.2:5432: connect: connection refused"}}}), []string{
			"wire: dial tcp 10.9.0.2:5432: connect: connection refused -> refused at dial, dial-refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Classify(tt.cell, named(tt.e, tt.cell))
			var got []string
			for _, b := range o.Because {
				got = append(got, b.Source+": "+b.Text)
			}
			if o.Fault != "" || !slices.Equal(got, tt.want) {
				t.Errorf("fault %q\ngot  %s\nwant %s", o.Fault, strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
			}
		})
	}
}

// TestBecauseNamesEveryField: of every captured attempt each field of the outcome that is seen has its witness, in few bytes.
func TestBecauseNamesEveryField(t *testing.T) {
	for _, table := range []string{"pg", "forged", "raw", "spoiled"} {
		for _, server := range []int{13, 15, 17, 18} {
			for _, c := range readCaptured(t, table, server) {
				o := Classify(c.Cell, c.Evidence)
				var told []string
				size := 0
				for _, b := range o.Because {
					_, meanings, _ := strings.Cut(b.Text, " -> ")
					told = append(told, strings.Split(meanings, ", ")...)
					if size += len(b.Text); len(b.Text) > 2*quoted || !utf8.ValidString(b.Text) {
						t.Errorf("%s: %q", c.Cell.ID, b.Text)
					}
				}
				want := []string{"connected"}
				if o.Outcome.End == matrix.Refused {
					want = []string{"refused at " + string(o.Outcome.Stage), string(o.Outcome.Reason)}
				}
				for word, value := range map[string]string{"channel ": string(o.Outcome.Channel), "method ": string(o.Outcome.Method), "identity ": o.Outcome.Identity, "rule ": o.Outcome.Rule, "role ": o.Outcome.Role} {
					if value != "" {
						want = append(want, word+value)
					}
				}
				for _, w := range want {
					if !slices.Contains(told, w) {
						t.Errorf("%s: %s: nobody is named for %q: %v", c.Cell.ID, o.Outcome, w, o.Because)
					}
				}
				if size > 800 {
					t.Errorf("%s: %d bytes", c.Cell.ID, size)
				}
			}
		}
	}
}

func TestQuotedText(t *testing.T) {
	var c classifier
	c.note(byClient, strings.Repeat("é", quoted)+"\nsecond line", "x")
	if got := c.because()[0].Text; !utf8.ValidString(got) || len(got) > quoted+10 || strings.Contains(got, "second") {
		t.Errorf("%q", got)
	}
	if c.because()[0].Source != "client" {
		t.Error("source")
	}
}
