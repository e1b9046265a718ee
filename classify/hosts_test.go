package classify

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestHostUnknown: the server has no certificate for the name in the ClientHello, or none for a client that sends no name. The alert and the log must say the same.
func TestHostUnknown(t *testing.T) {
	const (
		wire     = "client sslrequest; server answer S; client client-hello max=TLSv1.3; server tls-alert unrecognized_name; client close"
		failed   = "LOG could not accept SSL connection: callback failed"
		nameless = "LOG no hostname provided in callback, and no fallback configured"
		want     = "refused at tls, host-unknown, trace connect sslaccept"
	)
	for library, says := range map[matrix.Library]func(alert string) string{
		"libpq18": func(alert string) string { return failedAt + "SSL error: ssl/tls alert " + alert + "\n" },
		"libpq15": func(alert string) string { return failedAt + "SSL error: tlsv1 " + alert + "\n" },
		"pgx": func(alert string) string {
			return "failed to connect to `user=alice database=postgres`: 127.0.0.1:1 (pg.example.test): tls error: remote error: tls: " + alert
		},
		"pq": func(alert string) string { return "remote error: tls: " + alert },
		"asyncpg0.31": func(alert string) string {
			return "ssl.SSLError: [SSL: SSL/TLS_ALERT_X] ssl/tls alert " + alert + " (_ssl.c:1033)"
		},
	} {
		cell := testCell(19, string(library))
		accepted := "LOG SSLRequest accepted"
		check(t, cell, evidenceOf(saidNo(says("unrecognized name")), seen(5001, 41, wire, accepted, failed)), want)
		check(t, cell, evidenceOf(saidNo(says("handshake failure")), seen(5001, 41, wire, accepted, nameless, failed)), want)
		check(t, cell, evidenceOf(saidNo(says("handshake failure")), seen(5001, 41, wire, accepted, failed)), "fault: witnesses contradict")
		check(t, cell, evidenceOf(saidNo(says("unrecognized name")), seen(5001, 41, wire, accepted, nameless, failed)), "fault: witnesses contradict")
	}
}

// A pg_hosts.conf that does not load leaves TLS as it is, or there is no server; in neither case are the rules those of before.
func TestHostsDoNotLoad(t *testing.T) {
	const atLine3 = `CONTEXT line 3 of configuration file "/pgam/conf/pg_hosts.conf"`
	const last = `could not load file "/pgam/conf/pg_hosts.conf": loading config from "/pgam/conf/pg_hosts.conf" failed due to parsing error`
	for _, test := range []struct {
		name  string
		lines []string
		words string
		fatal bool
	}{
		{"a bad line", []string{sighup, "LOG missing entry at end of line", atLine3, "LOG " + last, "LOG SSL configuration was not reloaded"}, "pg_hosts.conf:3: missing entry at end of line", false},
		{"a start", []string{"LOG missing entry at end of line", atLine3, "FATAL " + last, "LOG database system is shut down"}, "pg_hosts.conf:3: missing entry at end of line", true},
		{"two lines for one host", []string{"FATAL multiple default hosts specified", atLine3, "LOG database system is shut down"}, "pg_hosts.conf:3: multiple default hosts specified", true},
		{"no file", []string{sighup, `LOG could not open file "/pgam/conf/pg_hosts.conf": No such file or directory`}, "", false},
	} {
		l, err := readLoad(loadLog(test.lines...))
		got := ""
		for _, w := range l.words {
			got += w
		}
		if err != nil || got != test.words || l.fatal != test.fatal || l.kept {
			t.Errorf("%s: %q fatal=%t kept=%t %v", test.name, got, l.fatal, l.kept, err)
		}
	}
}
