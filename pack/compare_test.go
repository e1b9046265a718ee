package pack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// attempt executes the archive's client/attempt.sh with a psql that says what it is told and ends with a status, and a server that logs what it is told.
func attempt(t *testing.T, c *matrix.Cell, out, err string, psql int, log string, ready bool) (status int, said string) {
	t.Helper()
	dir := t.TempDir()
	files, failed := Files(subject(t, c))
	if failed != nil {
		t.Fatal(failed)
	}
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	places := strings.NewReplacer("/pack/", dir+"/pack/", "/made/", dir+"/made/", "/tmp/", dir+"/tmp/")
	for _, f := range files {
		write("pack/"+f.Name, string(f.Data))
	}
	write("pack/client/attempt.sh", places.Replace(textOf(files, "client/attempt.sh")))
	write("pack/client/profile", "PATH="+dir+"/bin:$PATH\n")
	write("made/log/server.log", "1.5|1||00000|LOG:  connection received: host=an earlier one\n1.5|1||00000|LOG:  connection authenticated: identity=\"mallory\" method=gss (/pgam/conf/pg_hba.conf:9)\n")
	write("tmp/none", "")
	write("said/out", out)
	write("said/err", err)
	write("said/log", log)
	write("pack/client/psql.sh", "cat "+dir+"/said/out; cat "+dir+"/said/err >&2; cat "+dir+"/said/log >>"+dir+"/made/log/server.log; exit "+string(rune('0'+psql))+"\n")
	isReady := "#!/bin/sh\nexit 2\n"
	if ready {
		isReady = "#!/bin/sh\n"
	}
	write("bin/pg_isready", isReady)
	run := exec.Command("sh", filepath.Join(dir, "pack/client/attempt.sh"))
	text, _ := run.CombinedOutput()
	return run.ProcessState.ExitCode(), string(text)
}

const (
	session = "a session\npid|7\nsession_user|alice\nssl|true\ngss_encrypted|false\n"
	ended   = "1.6|3||00000|DEBUG:  server process (PID 7) exited with exit code 0\n"
	begun   = "1.6|7|10.0.0.2(5)|00000|LOG:  connection received: host=10.0.0.2 port=5\n"
	trusted = "1.6|7|10.0.0.2(5)|00000|LOG:  connection authenticated: user=\"alice\" method=trust (/pgam/conf/pg_hba.conf:1)\n"
	refusal = "1.6|7|10.0.0.2(5)|28P01|FATAL:  password authentication failed for user \"alice\"\n" +
		"1.6|7|10.0.0.2(5)|28P01|DETAIL:  Connection matched file \"/pgam/conf/pg_hba.conf\" line 1: \"host all all all md5\"\n"
	byPsql = "psql: error: connection to server at \"pg.example.test\" (10.0.0.1), port 5432 failed: FATAL:  password authentication failed for user \"alice\"\n"
)

// The script compares with what it was told by psql and by the log of the last connection, and with nothing else.
func TestCompared(t *testing.T) {
	trusting := cell(t, trust, "  library: libpq17\n  user: alice\n")
	asking := cell(t, "  server: 17\n  roles: [{name: alice, password: md5}]\n  hba: |\n    host all all all md5\n", "  library: libpq17\n  user: alice\n  password: wrong\n")
	older := cell(t, strings.Replace(trust, "17", "15", 1), "  library: libpq17\n  user: alice\n")
	for _, tt := range []struct {
		what     string
		cell     *matrix.Cell
		out, err string
		psql     int
		log      string
		down     bool
		status   int
		says     string
	}{
		{what: "as predicted", cell: trusting, out: session, log: begun + trusted + ended, says: "AGREES"},
		{what: "trust that is not logged", cell: older, out: session, log: begun + ended, says: "AGREES"},
		{what: "another method", cell: trusting, out: session, log: begun + strings.Replace(trusted, `user="alice" method=trust`, `identity="alice" method=md5`, 1) + ended, status: 1, says: "DIFFERS from the prediction: method identity\n"},
		{what: "another record", cell: trusting, out: session, log: begun + strings.Replace(trusted, ":1)", ":2)", 1) + ended, status: 1, says: "DIFFERS from the prediction: rule\n"},
		{what: "another channel", cell: trusting, out: strings.Replace(session, "ssl|true", "ssl|false", 1), log: begun + trusted + ended, status: 1, says: "DIFFERS from the prediction: channel\n"},
		{what: "another role", cell: trusting, out: strings.Replace(session, "alice", "bob", 1), log: begun + trusted + ended, status: 1, says: "DIFFERS from the prediction: role\n"},
		{what: "a refusal as predicted", cell: asking, err: byPsql, psql: 2, log: begun + refusal + ended, says: "AGREES"},
		{what: "a refusal for another reason", cell: asking, err: strings.ReplaceAll(byPsql, "password auth", "GSSAPI auth"), psql: 2, log: begun + strings.NewReplacer("28P01", "28000", "password auth", "GSSAPI auth").Replace(refusal) + ended,
			status: 1, says: "DIFFERS from the prediction: reason\n"},
		{what: "a refusal by an earlier connection", cell: asking, err: byPsql, psql: 2, log: begun + refusal + ended + strings.NewReplacer("|7|", "|8|").Replace(begun) + strings.Replace(ended, "PID 7", "PID 8", 1),
			status: 1, says: "DIFFERS from the prediction: reason rule\n"},
		{what: "a session in the place of a refusal", cell: asking, out: session, log: begun + trusted + ended, status: 1, says: "DIFFERS from the prediction: end reason\n"},
		{what: "a psql that cannot be executed", cell: asking, err: "not found\n", psql: 7, status: 2, says: "psql could not make the attempt (status 7)"},
		{what: "a server that has gone", cell: asking, err: byPsql, psql: 2, log: begun + refusal + ended, down: true, status: 2, says: "the server takes no connections"},
	} {
		status, said := attempt(t, tt.cell, tt.out, tt.err, tt.psql, tt.log, !tt.down)
		if status != tt.status || !strings.Contains(said, tt.says) || tt.status != 0 && strings.Contains(said, "AGREES") {
			t.Errorf("%s: status %d, want %d and %q:\n%s", tt.what, status, tt.status, tt.says, said)
		}
		if strings.Contains(said, "mallory") {
			t.Errorf("%s: it read what was logged before the attempt:\n%s", tt.what, said)
		}
	}
}
