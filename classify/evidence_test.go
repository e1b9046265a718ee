package classify

import (
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

const testHBA = "hostgssenc all alice all gss include_realm=0\nhostssl all alice all trust\nhost all bob all reject\n"

// testCell is alice's on a server, over TCP, with changes.
func testCell(server int, library string, change ...func(*matrix.Cell)) *matrix.Cell {
	cell := &matrix.Cell{
		ID: "test/cell/" + library, Scenario: "test/cell",
		World:  &matrix.World{Server: server, SSL: "on", ServerCert: "good", Keytab: "good", HBA: testHBA, Host: matrix.DefaultHost},
		Client: matrix.Client{Library: matrix.Library(library), Transport: "tcp", User: "alice", Database: "postgres", Root: "right", Cert: "none", Ticket: "none", Password: "none"},
	}
	for _, c := range change {
		c(cell)
	}
	return cell
}

func withHBA(text string) func(*matrix.Cell) { return func(c *matrix.Cell) { c.World.HBA = text } }

func withUser(user string) func(*matrix.Cell) { return func(c *matrix.Cell) { c.Client.User = user } }

func overUnix(c *matrix.Cell) { c.Client.Transport = "unix" }

func rootMissing(c *matrix.Cell) { c.Client.Root = "missing" }

func directly(c *matrix.Cell) { c.Client.SSLNegotiation = "direct" }

// seen writes evidence of one connection. Wire: "client sslrequest; server answer S; …"; each line of the log:
// "LOG text", "FATAL 28000 text", "DETAIL text". Log lines that every connection has are added.
func seen(port, pid int, wireText string, log ...string) matrix.ConnectionEvidence {
	n := matrix.ConnectionEvidence{ServerPort: port, PID: pid, Exit: "exit code 0"}
	received := "LOG connection received: host=[local]"
	if port != 0 {
		received = "LOG connection received: host=10.9.0.3 port=" + strconv.Itoa(port)
		n.Wire = append(n.Wire, wireEvent("relay open 10.9.0.2:5432"))
	}
	for part := range strings.SplitSeq(wireText, "; ") {
		if strings.Contains(part, " ") {
			n.Wire = append(n.Wire, wireEvent(part))
		}
	}
	for _, line := range append([]string{received}, log...) {
		severity, text, _ := strings.Cut(line, " ")
		l := matrix.LogLine{Severity: severity, SQLState: "00000", Text: text}
		if severity == "FATAL" || severity == "ERROR" {
			l.SQLState, l.Text, _ = strings.Cut(text, " ")
			n.Exit = "exit code 1"
		}
		n.Log = append(n.Log, l)
	}
	return n
}

// Wire texts of the usual ways.
const (
	hello    = "client client-hello max=TLSv1.3; server server-hello TLSv1.3; server tls-data; client tls-data"
	overTLS  = "client sslrequest; server answer S; " + hello
	overGSS  = "client gssencrequest; server answer G; client gss-token 1302 ap-req; server gss-token 156 ap-rep; client gss-data; server gss-data"
	inClear  = "client startup user=alice database=postgres application_name=x 3.0; server auth-request ok; server ready; client query; client close"
	refusing = "client startup user=alice database=postgres application_name=x 3.0; server error-response "
)

func authorizedLine(cell *matrix.Cell, more string) string {
	return "LOG connection authorized: user=" + cell.Client.User + " database=" + cell.Client.Database + " application_name=" + ApplicationName(cell) + more
}

const tlsSession = " SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)"

func connectedClient(pid int, requests ...string) matrix.ClientEvidence {
	return matrix.ClientEvidence{Connected: true, AuthRequests: requests, Session: &matrix.Session{PID: pid, SessionUser: "alice"}}
}

func saidNo(message string, requests ...string) matrix.ClientEvidence {
	return matrix.ClientEvidence{Message: message, AuthRequests: requests}
}

func evidenceOf(client matrix.ClientEvidence, connections ...matrix.ConnectionEvidence) matrix.Evidence {
	return matrix.Evidence{Client: client, Connections: connections}
}

const failedAt = `connection to server at "pg.example.test" (127.0.0.1), port 40001 failed: `

// deadFirst is how lib/pq begins where the first of two hosts refuses TCP connections.
const deadFirst = "pq: could not connect to any of the hosts:\nconnecting to dead.example.test:40000: dial tcp 127.0.0.1:40000: connect: connection refused\n"

// named gives the client the hosts of the cell, and the startup packets on the wire the application name that the cell's have; the
// texts above call it x.
func named(e matrix.Evidence, cell *matrix.Cell) matrix.Evidence {
	if e.Client.Conninfo == "" {
		e.Client.Conninfo = "host=" + HostNames(cell) + " user=alice"
	}
	for _, n := range e.Connections {
		for i := range n.Wire {
			if p := n.Wire[i].Startup; p != nil && p.Application == "x" {
				p.Application = ApplicationName(cell)
			}
		}
	}
	return e
}

// check compares a classification with an outcome in the text form, or with a part of a fault that begins with "fault: ".
func check(t *testing.T, cell *matrix.Cell, e matrix.Evidence, want string, unseen ...matrix.Field) {
	t.Helper()
	got := Classify(cell, named(e, cell))
	if part, fault := strings.CutPrefix(want, "fault: "); fault {
		if !strings.Contains(got.Fault, part) || got.Fault == "" {
			t.Errorf("fault %q, want one with %q (outcome %s)", got.Fault, part, got.Outcome)
		}
		return
	}
	if got.Fault != "" {
		t.Errorf("fault: %s\nwant %s", got.Fault, want)
		return
	}
	if got.Outcome.String() != want {
		t.Errorf("got  %s\nwant %s", got.Outcome, want)
	}
	if len(got.Unseen) != len(unseen) {
		t.Errorf("unseen %v, want %v", got.Unseen, unseen)
		return
	}
	for i := range unseen {
		if got.Unseen[i] != unseen[i] {
			t.Errorf("unseen %v, want %v", got.Unseen, unseen)
		}
	}
}
