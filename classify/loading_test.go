package classify

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// loadLog makes the postmaster's lines of "SEVERITY TEXT".
func loadLog(lines ...string) (log []matrix.LogLine) {
	for _, l := range lines {
		severity, text, _ := strings.Cut(l, " ")
		log = append(log, matrix.LogLine{Severity: severity, Text: text})
	}
	return log
}

const (
	sighup   = "LOG received SIGHUP, reloading configuration files"
	starting = "LOG starting PostgreSQL 17.12 (Debian 17.12-0+deb13u1) on x86_64-pc-linux-gnu"
	atLine2  = `CONTEXT line 2 of configuration file "/pgam/conf/pg_hba.conf"`
	down     = "pg_ctl: no server running"
)

// What postmasters of 13 to 18 logged of rules that they loaded, or did not load.
func TestLoadWords(t *testing.T) {
	for _, c := range []struct {
		lines       []matrix.LogLine
		want        string
		kept, fatal bool
	}{
		{loadLog(sighup), "", false, false},
		{loadLog(sighup, "LOG hostssl record cannot match because SSL is disabled", "HINT Set ssl = on in postgresql.conf.", atLine2), "", false, false},
		{loadLog(sighup, `LOG invalid connection type "hos"`, atLine2, "LOG multiple values specified for connection type", "HINT Specify exactly one.", `CONTEXT line 7 of configuration file "/pgam/conf/conf.d/a.conf"`, "LOG /pgam/conf/pg_hba.conf was not reloaded"),
			`pg_hba.conf:2: invalid connection type "hos"; conf.d/a.conf:7: multiple values specified for connection type`, true, false},
		{loadLog(sighup, `LOG could not open secondary authentication file "@ops" as "/pgam/conf/ops": No such file or directory`, "LOG pg_hba.conf was not reloaded"),
			`could not open secondary authentication file "@ops" as "ops": No such file or directory`, true, false},
		{loadLog(sighup, `LOG could not open file "/pgam/conf/s/nope": No such file or directory`, `CONTEXT line 1 of configuration file "/pgam/conf/s/more"`+"\n"+`line 4 of configuration file "/pgam/conf/pg_hba.conf"`, "LOG /pgam/conf/pg_hba.conf was not reloaded"),
			`s/more:1: could not open file "s/nope": No such file or directory`, true, false},
		{loadLog(sighup, `LOG could not open file "/pgam/conf/x": No such file or directory`, atLine2, `LOG skipping missing authentication file "/pgam/conf/x"`, atLine2), "", false, false},
		{loadLog(sighup, `LOG missing entry in file "/pgam/conf/pg_ident.conf" at end of line 1`, "LOG pg_ident.conf was not reloaded"), `missing entry in file "pg_ident.conf" at end of line 1`, false, false},
		{loadLog(starting, `LOG listening on IPv4 address "0.0.0.0", port 5432`, `LOG end-of-line before role specification`, atLine2, "FATAL could not load /pgam/conf/pg_hba.conf", "LOG database system is shut down"),
			"pg_hba.conf:2: end-of-line before role specification", false, true},
		{loadLog(starting, "LOG multiple values in ident field", `CONTEXT line 1 of configuration file "/pgam/conf/pg_ident.conf"`, "LOG database system is ready to accept connections"), "pg_ident.conf:1: multiple values in ident field", false, false},
		// settings: a server that does not start ends before it says that it starts
		{loadLog("FATAL could not set the cipher list (no valid ciphers available)", "LOG database system is shut down"), "could not set the cipher list (no valid ciphers available)", false, true},
		{loadLog(`LOG unrecognized configuration parameter "ssl_tls13_ciphers" in file "/pgam/conf/postgresql.conf" line 8`, `FATAL configuration file "/pgam/conf/postgresql.conf" contains errors`),
			`postgresql.conf: unrecognized configuration parameter "ssl_tls13_ciphers"`, false, true},
		{loadLog(sighup, `LOG parameter "ssl_ciphers" changed to "TLS_AES_256_GCM_SHA384"`, "LOG could not set the TLSv1.2 cipher list (no valid ciphers available)", "LOG SSL configuration was not reloaded"),
			"could not set the TLSv1.2 cipher list (no valid ciphers available)", false, false},
		{loadLog(sighup, `LOG unrecognized configuration parameter "ssl_tls13_ciphers" in file "/pgam/conf/postgresql.conf" line 8`, `LOG configuration file "/pgam/conf/postgresql.conf" contains errors; no changes were applied`, `LOG invalid connection type "hos"`, atLine2, "LOG /pgam/conf/pg_hba.conf was not reloaded"),
			`postgresql.conf: unrecognized configuration parameter "ssl_tls13_ciphers"; pg_hba.conf:2: invalid connection type "hos"`, true, false},
		{loadLog(sighup, `LOG private key file "/pgam/server/open-key.key" has group or world access`, "DETAIL File must have permissions u=rw (0600) or less", "LOG SSL configuration was not reloaded"),
			`private key file "open-key.key" has group or world access`, false, false},
		{loadLog(`FATAL could not load server certificate file "/pgam/server/no-certificate.crt": No such file or directory`, "LOG database system is shut down"),
			`could not load server certificate file "no-certificate.crt": No such file or directory`, false, true},
	} {
		got, err := readLoad(c.lines)
		if words := strings.Join(got.words, "; "); err != nil || words != c.want || got.kept != c.kept || got.fatal != c.fatal {
			t.Errorf("%v:\n%s, kept %t, fatal %t, %v\nwant %s", c.lines, words, got.kept, got.fatal, err, c.want)
		}
	}
	if _, err := readLoad(loadLog(sighup, "PANIC could not write")); err == nil {
		t.Error("a PANIC is passed over")
	}
}

// bad are rules that were not loaded, with a record that the rules of before do not have.
func bad(load string) func(*matrix.Cell) {
	return func(c *matrix.Cell) {
		c.World.Load, c.World.HBA = load, "host all all all trust\nhos\n"
		if load == matrix.Reload {
			c.World.Before.HBA = "host all bob all trust\nhost all all all trust\nhost all all all reject\n"
		}
	}
}

// An attempt after a reload that failed met the rules of before; one after a start that failed met nobody.
func TestClassifyLoading(t *testing.T) {
	cell := testCell(15, "libpq15", bad(matrix.Reload))
	const rejects = `pg_hba.conf rejects connection for host "10.9.0.3", user "alice", database "postgres", no encryption`
	rejected := evidenceOf(saidNo(failedAt+"FATAL:  "+rejects+"\n"), seen(5001, 41, refusing+"28000 "+rejects, "FATAL 28000 "+rejects))
	rejected = named(rejected, cell)
	rejected.Load = loadLog(sighup, `LOG invalid connection type "hos"`, atLine2, "LOG pg_hba.conf was not reloaded")
	got := Classify(cell, rejected)
	if want := `refused at hba, hba-reject, channel plain, method reject, hba:3, trace connect authfail, load "pg_hba.conf:2: invalid connection type \"hos\""`; got.Fault != "" || got.Outcome.String() != want {
		t.Errorf("reload: %s (fault %q)\nwant %s", got.Outcome, got.Fault, want)
	}
	cell = testCell(17, "libpq17", bad(matrix.Restart))
	refused := matrix.Evidence{Down: down, Load: loadLog(starting, `LOG invalid connection type "hos"`, atLine2, "FATAL could not load /pgam/conf/pg_hba.conf", "LOG database system is shut down"),
		Client: matrix.ClientEvidence{Conninfo: "host=pg.example.test", Message: `connection to server at "pg.example.test" (10.9.0.2), port 5432 failed: Connection refused` + "\n\tIs the server running on that host and accepting TCP/IP connections?"}}
	got = Classify(cell, refused)
	if want := `refused at dial, dial-refused, load "pg_hba.conf:2: invalid connection type \"hos\""`; got.Fault != "" || got.Outcome.String() != want {
		t.Errorf("restart: %s (fault %q)\nwant %s", got.Outcome, got.Fault, want)
	}

	for _, lie := range []struct {
		name  string
		cell  *matrix.Cell
		tell  func(*matrix.Evidence)
		fault string
	}{
		{"no proof that no server runs", cell, func(e *matrix.Evidence) { e.Down = "" }, "witnesses contradict"},
		{"the postmaster did not fail", cell, func(e *matrix.Evidence) {
			e.Load = loadLog(starting, "LOG database system is ready to accept connections")
		}, "witnesses contradict"},
		{"a server that runs and refuses", cell, func(e *matrix.Evidence) {
			e.Down, e.Load = "", loadLog(starting, "LOG database system is ready to accept connections")
		}, "ended with dial-refused"},
		{"the log says nothing", cell, func(e *matrix.Evidence) { e.Load = nil }, "does not show that it has loaded"},
		{"another log", cell, func(e *matrix.Evidence) { e.Load = e.Load[1:] }, "does not show that it has loaded"},
		{"no reason", cell, func(e *matrix.Evidence) { e.Load = loadLog(starting, "FATAL could not load /pgam/conf/pg_hba.conf") }, "did not say why"},
		{"it did not reload, at a start", cell, func(e *matrix.Evidence) {
			e.Load, e.Down = loadLog(starting, `LOG invalid connection type "hos"`, atLine2, "LOG pg_hba.conf was not reloaded"), ""
		}, "with load=restart"},
		{"settings that were kept, at a start", cell, func(e *matrix.Evidence) {
			e.Load, e.Down = loadLog(starting, "LOG could not set the cipher list (no valid ciphers available)", "LOG SSL configuration was not reloaded"), ""
		}, "with load=restart"},
		{"TLS was not reloaded, and no word why", cell, func(e *matrix.Evidence) {
			e.Load = loadLog(`FATAL configuration file "/pgam/conf/postgresql.conf" contains errors`)
		}, "did not say why"},
		{"a connection", cell, func(e *matrix.Evidence) { e.Connections = rejected.Connections }, ""},
		{"a session", cell, func(e *matrix.Evidence) { e.Client = connectedClient(41, "ok") }, ""},
		{"a world that does not say how", testCell(17, "libpq17"), func(*matrix.Evidence) {}, "does not say how"},
	} {
		e := clone(t, refused)
		lie.tell(&e)
		if got := Classify(lie.cell, e); got.Fault == "" || !strings.Contains(got.Fault, lie.fault) {
			t.Errorf("%s: %s, fault %q; want one that says %q", lie.name, got.Outcome, got.Fault, lie.fault)
		}
	}
}

// A rule of an included file is named by its path from the configuration directory on.
func TestFileOf(t *testing.T) {
	for name, want := range map[string]string{"/pgam/conf/pg_hba.conf": "pg_hba.conf", "/pgam/conf/conf.d/pg_hba.conf": "conf.d/pg_hba.conf", "/srv/pg/pg_hba.conf": "pg_hba.conf", "pg_hba.conf": "pg_hba.conf"} {
		if got := fileOf(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
