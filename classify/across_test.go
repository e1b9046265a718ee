package classify

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

const killed = "FATAL 57P01 " + shutDown

// across is a cell whose session is open while the server gets its files.
func across(load string) func(*matrix.Cell) {
	return func(c *matrix.Cell) {
		c.World.Load, c.World.Before.HBA, c.World.HBA = load, "host all bob all reject\nhost all all all trust\n", "host all all all reject\n"
		c.Client.Opened = matrix.OpenedBefore
	}
}

// Sessions that were open when the server got its files: one that a reload leaves as it is, and those that a restart ends.
func TestClassifyAcross(t *testing.T) {
	const startup = "client startup user=alice database=postgres application_name=x 3.0; server auth-request ok; server ready; client query; server close; client close"
	connection := func(cell *matrix.Cell, log ...string) matrix.ConnectionEvidence {
		return seen(5001, 41, startup, append([]string{`LOG connection authenticated: user="alice" method=trust (/pgam/conf/pg_hba.conf:2)`, authorizedLine(cell, "")}, log...)...)
	}
	ended := func(library, message string) (*matrix.Cell, matrix.Evidence) {
		cell := testCell(18, library, across(matrix.Restart))
		e := evidenceOf(matrix.ClientEvidence{Connected: true, Message: message, AuthRequests: []string{"ok"}}, connection(cell, killed))
		e.Across, e.Load = &matrix.AcrossEvidence{PID: 41}, loadLog(starting, "LOG database system is ready to accept connections")
		return cell, named(e, cell)
	}
	const want = "refused at session, session-ended, channel plain, method trust, hba:2, trace connect authok"
	for library, message := range map[string]string{"libpq18": "FATAL:  " + shutDown + "\nserver closed the connection unexpectedly\n", "pgx": "FATAL: " + shutDown + " (SQLSTATE 57P01)",
		"pq": "driver: bad connection", "asyncpg0.31": "asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed in the middle of operation"} {
		cell, e := ended(library, message)
		if got := Classify(cell, e); got.Fault != "" || got.Outcome.String() != want {
			t.Errorf("%s: %s (fault %q)\nwant %s", library, got.Outcome, got.Fault, want)
		}
	}
	kept := testCell(18, "libpq18", across(matrix.Reload))
	alive := evidenceOf(connectedClient(41, "ok"), connection(kept))
	alive.Across, alive.Load = &matrix.AcrossEvidence{PID: 41}, loadLog(sighup)
	alive = named(alive, kept)
	if got := Classify(kept, alive); got.Fault != "" || got.Outcome.String() != "connected plain, method trust, role alice, hba:2, trace connect authok" {
		t.Errorf("reload: %s (fault %q)", got.Outcome, got.Fault)
	}
	cell, dead := ended("libpq18", "FATAL:  "+shutDown+"\n")
	later := testCell(18, "libpq18", across(matrix.Restart), func(c *matrix.Cell) { c.Client.Opened = "" })
	for _, lie := range []struct {
		name  string
		cell  *matrix.Cell
		e     matrix.Evidence
		tell  func(*matrix.Evidence)
		fault string
	}{
		{"nobody saw the session", cell, dead, func(e *matrix.Evidence) { e.Across = nil }, "the cell begins it then: true"},
		{"it was seen, and begun later", later, dead, func(*matrix.Evidence) {}, "the cell begins it then: false"},
		{"another process waited", kept, alive, func(e *matrix.Evidence) { e.Across.PID = 42 }, "process 42 waited"},
		{"it had ended, and has a session", kept, alive, func(e *matrix.Evidence) { e.Across.PID = 0 }, "had ended before"},
		{"it had ended, and was ended", cell, dead, func(e *matrix.Evidence) { e.Across.PID = 0 }, "had ended before"},
		{"the client says something else", cell, dead, func(e *matrix.Evidence) { e.Client.Message = "FATAL:  the database system is starting up" }, "the client says"},
		{"the server was only reloaded", kept, dead, func(e *matrix.Evidence) { e.Load = loadLog(sighup) }, "was not to be shut down"},
		{"it does not answer, and nobody ended it", kept, alive, func(e *matrix.Evidence) { e.Client.Session = nil }, "did not answer"},
		{"the client had another channel", cell, dead, func(e *matrix.Evidence) { e.Client.SSLInUse = true }, "its channel was tls"},
	} {
		e := clone(t, lie.e)
		lie.tell(&e)
		if got := Classify(lie.cell, e); !strings.Contains(got.Fault, lie.fault) {
			t.Errorf("%s: %s, fault %q; want one that says %q", lie.name, got.Outcome, got.Fault, lie.fault)
		}
	}
}
