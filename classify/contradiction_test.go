package classify

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// clone copies evidence, whatever fields it has: a lie about the copy changes nothing in the original.
func clone(t *testing.T, e matrix.Evidence) matrix.Evidence {
	t.Helper()
	return copied(t, reflect.ValueOf(e)).Interface().(matrix.Evidence)
}

// copied is a value that shares no slice and no pointer with the one it is a copy of.
func copied(t *testing.T, from reflect.Value) reflect.Value {
	t.Helper()
	to := reflect.New(from.Type()).Elem()
	to.Set(from)
	switch from.Kind() {
	case reflect.Struct:
		for i := range from.NumField() {
			if field := from.Field(i); deep(field) {
				to.Field(i).Set(copied(t, field))
			}
		}
	case reflect.Slice:
		if from.IsNil() {
			break
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		reflect.Copy(to, from)
		for i := range from.Len() {
			if deep(from.Index(i)) {
				to.Index(i).Set(copied(t, from.Index(i)))
			}
		}
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			to.Elem().Set(copied(t, from.Elem()))
		}
	default:
		t.Fatalf("evidence has a %s, which clone does not copy", from.Type())
	}
	return to
}

// deep says whether a copy of the value alone can share something with it.
func deep(v reflect.Value) bool { return v.Kind() >= reflect.Array && v.Kind() != reflect.String }

// lie is one change to good evidence.
type lie struct {
	name string
	tell func(*matrix.Evidence) // must find what it changes, or the lie is none
}

func last(e *matrix.Evidence) *matrix.ConnectionEvidence { return &e.Connections[len(e.Connections)-1] }

// rewrite changes a text in the last connection's log.
func rewrite(old, new string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		for i := range last(e).Log {
			l := &last(e).Log[i]
			l.Text = strings.ReplaceAll(l.Text, old, new)
		}
	}
}

func dropLog(prefix string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		last(e).Log = slices.DeleteFunc(last(e).Log, func(l matrix.LogLine) bool { return strings.HasPrefix(l.Text, prefix) })
	}
}

func dropWire(kind string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		last(e).Wire = slices.DeleteFunc(last(e).Wire, func(w matrix.WireEvent) bool { return w.Kind == kind })
	}
}

func addWire(text string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		last(e).Wire = append(last(e).Wire, seen(1, 1, text).Wire[1:]...)
	}
}

// anyLies apply to every evidence with a connection over TCP.
var anyLies = []lie{
	{"the client crashed", func(e *matrix.Evidence) { e.Client.Crash = "signal 11 (segmentation fault)" }},
	{"connected flag turned", func(e *matrix.Evidence) { e.Client.Connected = !e.Client.Connected }},
	{"no log", func(e *matrix.Evidence) { last(e).Log = nil }},
	{"no exit", func(e *matrix.Evidence) { last(e).Exit = "" }},
	{"the backend crashed", func(e *matrix.Evidence) { last(e).Exit = "terminated by signal 11: Segmentation fault" }},
	{"another exit code", func(e *matrix.Evidence) {
		last(e).Exit = map[string]string{"exit code 0": "exit code 1", "exit code 1": "exit code 0"}[last(e).Exit]
	}},
	{"no wire record", func(e *matrix.Evidence) { last(e).Wire = nil }},
	{"a wire record of another port", func(e *matrix.Evidence) { last(e).ServerPort++ }},
	{"the log of another port", func(e *matrix.Evidence) {
		port := fmt.Sprintf("port=%d", last(e).ServerPort)
		rewrite(port, port+"1")(e)
	}},
	{"malformed bytes on the wire", addWire("client malformed 00ff")},
	{"bytes stuffed after an answer", func(e *matrix.Evidence) {
		last(e).Wire = slices.Insert(last(e).Wire, 1, wireEvent("server stuffed 12"))
	}},
	{"bytes stuffed after a request", addWire("client stuffed 12")},
	{"an unknown line in the log", func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", SQLState: "00000", Text: "something nobody has seen before"})
	}},
	{"a PANIC in the log", func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "PANIC", SQLState: "XX000", Text: "could not write"})
	}},
	{"one connection more, of which the server knows nothing", func(e *matrix.Evidence) {
		more := *last(e)
		more.ServerPort, more.Log = 5999, nil
		e.Connections = append(e.Connections, more)
	}},
	{"no connections", func(e *matrix.Evidence) { e.Connections = nil }},
	{"an answer to no request", addWire("server answer S")},
}

// addressLies are about where the client is.
var addressLies = []lie{
	{"the log of another address", rewrite("host=10.9.0.3", "host=10.9.0.4")},
	{"the log of another family", rewrite("host=10.9.0.3", "host=::ffff:10.9.0.3")},
}

func TestAddressOfTheClient(t *testing.T) {
	good := func() matrix.Evidence {
		return matrix.Evidence{Connections: []matrix.ConnectionEvidence{seen(5001, 41, "",
			`FATAL 28000 no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", no encryption`)}}
	}
	from := func(address string) *matrix.Cell {
		return testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Address = address })
	}
	if err := checkAddressOf(from("10.9.0.3"), good()); err != nil {
		t.Error(err)
	}
	if err := checkAddressOf(from(""), good()); err != nil {
		t.Error(err)
	}
	for _, l := range addressLies {
		e := good()
		l.tell(&e)
		if err := checkAddressOf(from("10.9.0.3"), e); err == nil || !strings.HasPrefix(err.Error(), "witnesses contradict: the cell's client has the address 10.9.0.3, ") {
			t.Errorf("%s: %v", l.name, err)
		}
	}
	ipv6 := good()
	rewrite("host=10.9.0.3", "host=fd00:20::7")(&ipv6)
	if err := checkAddressOf(from("fd00:20::7"), ipv6); err != nil {
		t.Error(err)
	}
}

// checkAddressOf is checkReached for the last connection.
func checkAddressOf(cell *matrix.Cell, e matrix.Evidence) error {
	c := classifier{cell: cell, evidence: e, client: clientOf(cell), server: cell.World.Server}
	n, err := c.readConnection(*last(&e))
	if err != nil {
		return err
	}
	return c.checkReached(n)
}

var connectedLies = []lie{
	{"no session", func(e *matrix.Evidence) { e.Client.Session = nil }},
	{"another process", func(e *matrix.Evidence) { e.Client.Session.PID++ }},
	{"the log of another process", func(e *matrix.Evidence) { last(e).PID++ }},
	{"another session_user", func(e *matrix.Evidence) { e.Client.Session.SessionUser = "mallory" }},
	{"pg_stat_ssl lies", func(e *matrix.Evidence) { e.Client.Session.SSL = !e.Client.Session.SSL }},
	{"pg_stat_gssapi lies about encryption", func(e *matrix.Evidence) { e.Client.Session.GSSEncrypted = !e.Client.Session.GSSEncrypted }},
	{"pg_stat_gssapi lies about authentication", func(e *matrix.Evidence) { e.Client.Session.GSSAuthenticated = !e.Client.Session.GSSAuthenticated }},
	{"pg_stat_gssapi names a principal", func(e *matrix.Evidence) { e.Client.Session.Principal += "x" }},
	{"system_user lies", func(e *matrix.Evidence) { e.Client.Session.SystemUser = "scram-sha-256:mallory" }},
	{"the session of another attempt", rewrite("application_name=pgauthmatrix-", "application_name=other-")},
	{"authorized another user", rewrite("authorized: user=", "authorized: user=x")},
	{"authorized for another database", rewrite(" database=postgres application", " database=other application")},
	{"not authorized", dropLog("connection authorized")},
	{"a FATAL after all", func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "FATAL", SQLState: "57P01", Text: "terminating connection due to administrator command"})
	}},
	{"authorized twice", func(e *matrix.Evidence) {
		for _, l := range last(e).Log {
			if strings.HasPrefix(l.Text, "connection authorized") {
				last(e).Log = append(last(e).Log, l)
				return
			}
		}
	}},
}

// attackLies are about what the relay did.
var attackLies = []lie{
	{"nothing is said of the attack", func(e *matrix.Evidence) {
		n := last(e)
		n.Wire = slices.DeleteFunc(n.Wire, func(w matrix.WireEvent) bool { return w.From == "attacker" })
	}},
	{"another attack", func(e *matrix.Evidence) {
		n := last(e)
		n.Wire = append(n.Wire, wireEvent("attacker flipped a bit of the first sealed record from the client"))
	}},
	{"a statement was executed", func(e *matrix.Evidence) {
		n := last(e)
		n.Log = append(n.Log, matrix.LogLine{Severity: "LOG", SQLState: "00000", Text: AttackersWords})
		n.Wire = slices.DeleteFunc(n.Wire, func(w matrix.WireEvent) bool { return w.Kind == "injected" })
	}},
	{"a statement was answered", func(e *matrix.Evidence) {
		n := last(e)
		n.Log = slices.DeleteFunc(n.Log, func(l matrix.LogLine) bool { return l.Text == AttackersWords })
		n.Wire = append(n.Wire, wireEvent("attacker injected SELECT 1 -> ok SELECT 1"))
	}},
}

// tellingLies are about what psql does not tell.
var tellingLies = []lie{
	{"the client's SSL flag turned", func(e *matrix.Evidence) { e.Client.SSLInUse = !e.Client.SSLInUse }},
	{"the client's GSS flag turned", func(e *matrix.Evidence) { e.Client.GSSInUse = !e.Client.GSSInUse }},
	{"connected with a message", func(e *matrix.Evidence) { e.Client.Message = "FATAL:  no" }},
	{"one AuthenticationOk too many", func(e *matrix.Evidence) { e.Client.AuthRequests = append(e.Client.AuthRequests, "ok") }},
	{"no AuthenticationOk", func(e *matrix.Evidence) { e.Client.AuthRequests = nil }},
}

// TestLies changes one witness of good evidence at a time: each change must be a fault or another outcome.
func TestLies(t *testing.T) {
	lib17, lib15, lib13 := testCell(17, "libpq17"), testCell(15, "libpq15"), testCell(13, "libpq13")
	pgx17, scram17 := testCell(17, "pgx"), testCell(17, "libpq17", withHBA("host all all all scram-sha-256\n"))
	tls := connectedClient(41, "ok")
	tls.SSLInUse, tls.Session.SSL, tls.Session.SSLVersion = true, true, "TLSv1.3"
	gss := connectedClient(41, "ok")
	gss.GSSInUse, gss.Session.GSSEncrypted, gss.Session.GSSAuthenticated, gss.Session.Principal, gss.Session.SystemUser = true, true, true, "alice@EXAMPLE.TEST", "gss:alice@EXAMPLE.TEST"
	gss13 := gss
	session13 := *gss.Session
	session13.SystemUser = ""
	gss13.Session = &session13
	trusted := `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`
	noEntry := `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", `
	refusedInGSS := seen(5001, 40, overGSS, "LOG GSSENCRequest accepted", "FATAL 28000 "+noEntry+"GSS encryption")
	tests := []struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		lies [][]lie
	}{
		{"plain on 17", lib17, evidenceOf(connectedClient(41, "ok"), seen(5001, 41, inClear, trusted, authorizedLine(lib17, ""))), [][]lie{anyLies, connectedLies, tellingLies, {
			{"no AuthenticationOk on the wire", dropWire("auth-request")},
			{"no query on the wire", dropWire("query")},
			{"no startup packet on the wire", dropWire("startup")},
			{"another user on the wire", func(e *matrix.Evidence) {
				last(e).Wire[1].Startup.User = "mallory"
			}},
			{"an error on the wire", addWire("server error-response 28000 no")},
			{"not authenticated", dropLog("connection authenticated")},
			{"authenticated by another method", rewrite("method=trust", "method=scram-sha-256")},
			{"TLS on the wire", func(e *matrix.Evidence) { last(e).Wire = seen(1, 1, overTLS).Wire }},
		}}},
		{"TLS after GSS on 17", lib17, evidenceOf(tls, refusedInGSS, seen(5002, 41, overTLS, "LOG SSLRequest accepted", trusted, authorizedLine(lib17, tlsSession))), [][]lie{anyLies, connectedLies, tellingLies, {
			{"wire records swapped", func(e *matrix.Evidence) {
				e.Connections[0].Wire, e.Connections[1].Wire = e.Connections[1].Wire, e.Connections[0].Wire
			}},
			{"logs swapped", func(e *matrix.Evidence) {
				e.Connections[0].Log, e.Connections[1].Log = e.Connections[1].Log, e.Connections[0].Log
			}},
			{"order swapped", func(e *matrix.Evidence) { slices.Reverse(e.Connections) }},
			{"first connection forgotten", func(e *matrix.Evidence) { e.Connections = e.Connections[1:] }},
			{"last connection forgotten", func(e *matrix.Evidence) { e.Connections = e.Connections[:1] }},
			{"cleartext inside TLS", addWire("client startup user=alice database=postgres application_name=x 3.0")},
			{"a query in the clear", addWire("client query")},
			{"another TLS version in the log", rewrite("TLSv1.3", "TLSv1.2")},
			{"another TLS version in the session", func(e *matrix.Evidence) { e.Client.Session.SSLVersion = "TLSv1.2" }},
			{"the log does not show the negotiation", dropLog("SSLRequest")},
			{"the log shows another negotiation", rewrite("SSLRequest accepted", "SSLRequest rejected")},
			{"the log shows no encryption", rewrite(tlsSession, "")},
		}}},
		{"TLS after GSS on 15, which does not log the negotiation", lib15, evidenceOf(tls, seen(5001, 40, overGSS, "FATAL 28000 "+noEntry+"GSS encryption"), seen(5002, 41, overTLS, authorizedLine(lib15, tlsSession))), [][]lie{anyLies, connectedLies, tellingLies, {
			{"wire records swapped", func(e *matrix.Evidence) {
				e.Connections[0].Wire, e.Connections[1].Wire = e.Connections[1].Wire, e.Connections[0].Wire
			}},
			{"a negotiation in the log", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", Text: "SSLRequest accepted"})
			}},
			{"an authentication request that trust does not make", func(e *matrix.Evidence) { e.Client.AuthRequests = []string{"sasl", "ok"} }},
		}}},
		{"gss on 17", lib17, evidenceOf(gss, seen(5001, 41, overGSS, "LOG GSSENCRequest accepted", `LOG connection authenticated: identity="alice@EXAMPLE.TEST" method=gss (/srv/pg/pg_hba.conf:1)`,
			authorizedLine(lib17, " GSS (authenticated=yes, encrypted=yes, delegated_credentials=no, principal=alice@EXAMPLE.TEST)"))), [][]lie{anyLies, connectedLies, tellingLies, {
			{"another identity", rewrite(`identity="alice@`, `identity="mallory@`)},
			{"another principal", rewrite(`principal=alice@`, `principal=mallory@`)},
			{"no sealed packet on the wire", dropWire("gss-data")},
			{"plain on the wire", func(e *matrix.Evidence) { last(e).Wire = seen(1, 1, inClear).Wire }},
		}}},
		{"gss on 13", lib13, evidenceOf(gss13, seen(5001, 41, overGSS, authorizedLine(lib13, " GSS (authenticated=yes, encrypted=yes, principal=alice@EXAMPLE.TEST)"))), [][]lie{anyLies, connectedLies, tellingLies}},
		{"refused in GSS and then plain", lib17, evidenceOf(saidNo(failedAt+"FATAL:  "+noEntry+"GSS encryption\n"+failedAt+"FATAL:  "+noEntry+"no encryption\n"), refusedInGSS,
			seen(5002, 41, refusing+"28000 "+noEntry+"no encryption", "FATAL 28000 "+noEntry+"no encryption")), [][]lie{anyLies, {
			{"the client was told something else", func(e *matrix.Evidence) { e.Client.Message = failedAt + "FATAL:  role \"alice\" does not exist\n" }},
			{"the client says something else", func(e *matrix.Evidence) {
				e.Client.Message = failedAt + "server does not support SSL, but SSL was required\n"
			}},
			{"the client says nothing", func(e *matrix.Evidence) { e.Client.Message = "" }},
			{"the client says what nobody knows", func(e *matrix.Evidence) { e.Client.Message = failedAt + "the moon is full\n" }},
			{"another error on the wire", func(e *matrix.Evidence) { last(e).Wire[2].Error.State = "28P01" }},
			{"no error on the wire", dropWire("error-response")},
			{"no FATAL in the log", func(e *matrix.Evidence) { last(e).Log = last(e).Log[:1]; last(e).Exit = "exit code 0" }},
			{"another SQLSTATE", func(e *matrix.Evidence) { last(e).Log[1].SQLState = "28P01" }},
			{"another user in the FATAL", rewrite(`user "alice"`, `user "mallory"`)},
			{"another channel in the FATAL", rewrite("no encryption", "SSL encryption")},
			{"AuthenticationOk on the wire", addWire("server auth-request ok")},
			{"the client received AuthenticationOk", func(e *matrix.Evidence) { e.Client.AuthRequests = []string{"ok"} }},
			{"authorized after all", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", Text: strings.TrimPrefix(authorizedLine(testCell(17, "libpq17"), ""), "LOG ")})
			}},
			{"a second FATAL", func(e *matrix.Evidence) { last(e).Log = append(last(e).Log, last(e).Log[1]) }},
			{"the last connection forgotten", func(e *matrix.Evidence) { e.Connections = e.Connections[:1] }},
		}}},
		{"ticket expired", lib17, evidenceOf(saidNo(failedAt+"could not initiate GSSAPI security context: Unspecified GSS failure.  Minor code may provide more information: Ticket expired\n"),
			seen(5001, 41, "client gssencrequest; server answer G; client close", "LOG GSSENCRequest accepted")), [][]lie{anyLies, {
			{"authorized after all", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", Text: strings.TrimPrefix(authorizedLine(testCell(17, "libpq17"), ""), "LOG ")})
			}},
			{"the server refused GSS", func(e *matrix.Evidence) {
				last(e).Wire[2].Answer = "N"
				rewrite("accepted", "rejected")(e)
			}},
			{"the server could not accept the context", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", Text: "could not accept GSSAPI security context"}, matrix.LogLine{Severity: "DETAIL", Text: "Unspecified GSS failure: Keytab FILE:/x is nonexistent or empty"})
			}},
			{"another minor message", func(e *matrix.Evidence) {
				e.Client.Message = strings.ReplaceAll(e.Client.Message, "Ticket expired", "Something else")
			}},
		}}},
		{"server certificate revoked", lib17, evidenceOf(saidNo(failedAt+"SSL error: certificate verify failed\n"),
			seen(5001, 41, overTLS+"; client close", "LOG SSLRequest accepted", "LOG could not accept SSL connection: ssl/tls alert certificate revoked")), [][]lie{anyLies, {
			{"another alert", rewrite("certificate revoked", "unknown ca")},
			{"an alert that says nothing of the certificate", rewrite("alert certificate revoked", "alert bad record mac")},
			{"no alert", dropLog("could not accept SSL connection")},
			{"the server refused TLS", func(e *matrix.Evidence) {
				last(e).Wire[2].Answer = "N"
				rewrite("accepted", "rejected")(e)
			}},
			{"the client received AuthenticationOk", func(e *matrix.Evidence) { e.Client.AuthRequests = []string{"ok"} }},
		}}},
		{"no hash to bind to", scram17, evidenceOf(saidNo(failedAt+"could not find digest for NID UNDEF\n", "sasl", "sasl-continue"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted")), [][]lie{anyLies, {
			{"nothing was asked", func(e *matrix.Evidence) { e.Client.AuthRequests = nil }},
			{"a password was asked for", func(e *matrix.Evidence) { e.Client.AuthRequests = []string{"password"} }},
			{"authorized after all", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "LOG", Text: strings.TrimPrefix(authorizedLine(scram17, tlsSession), "LOG ")})
			}},
			{"no TLS on the wire", func(e *matrix.Evidence) { last(e).Wire = seen(1, 1, inClear).Wire }},
			{"the server says that it was a downgrade", func(e *matrix.Evidence) {
				last(e).Log = append(last(e).Log, matrix.LogLine{Severity: "FATAL", SQLState: "28000", Text: "SCRAM channel binding negotiation error"})
				last(e).Exit = "exit code 1"
			}},
		}}},
		{"sslcrl sent to the server", pgx17, evidenceOf(saidNo("failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): server error: FATAL: unrecognized configuration parameter \"sslcrl\" (SQLSTATE 42704)", "ok"),
			seen(5001, 41, overTLS, "LOG SSLRequest accepted", trusted, authorizedLine(pgx17, tlsSession), `FATAL 42704 unrecognized configuration parameter "sslcrl"`)), [][]lie{anyLies, {
			{"not authorized", dropLog("connection authorized")},
			{"no AuthenticationOk", func(e *matrix.Evidence) { e.Client.AuthRequests = nil }},
			{"another SQLSTATE", func(e *matrix.Evidence) { last(e).Log[4].SQLState = "22023" }},
			{"another parameter in the log", rewrite("sslcrl", "sslcert")},
			{"another parameter in the client's words", func(e *matrix.Evidence) { e.Client.Message = strings.ReplaceAll(e.Client.Message, "sslcrl", "sslcert") }},
			{"another parameter everywhere", func(e *matrix.Evidence) {
				e.Client.Message = strings.ReplaceAll(e.Client.Message, "sslcrl", "sslcert")
				rewrite("sslcrl", "sslcert")(e)
			}},
		}}},
		{"role missing on 15", lib15, evidenceOf(saidNo(failedAt+"FATAL:  role \"alice\" does not exist\n", "ok"),
			seen(5001, 41, overTLS, authorizedLine(lib15, tlsSession), `FATAL 28000 role "alice" does not exist`)), [][]lie{anyLies, {
			{"not authorized", dropLog("connection authorized")},
			{"no AuthenticationOk", func(e *matrix.Evidence) { e.Client.AuthRequests = nil }},
			{"the client was told something else", func(e *matrix.Evidence) {
				e.Client.Message = failedAt + "FATAL:  database \"postgres\" does not exist\n"
			}},
		}}},
	}
	dead := testCell(17, "pq", func(c *matrix.Cell) { c.Client.Hosts = matrix.DeadFirst })
	tests = append(tests, struct {
		name string
		cell *matrix.Cell
		e    matrix.Evidence
		lies [][]lie
	}{"the first host refuses TCP", dead, evidenceOf(saidNo(deadFirst+`connecting to pg.example.test:40001: pq: `+noEntry+"no encryption (28000)"),
		seen(5001, 41, refusing+"28000 "+noEntry+"no encryption", "FATAL 28000 "+noEntry+"no encryption")), [][]lie{anyLies, {
		{"the client says nothing of the first host", func(e *matrix.Evidence) { e.Client.Message = "pq: " + noEntry + "no encryption (28000)" }},
		{"the client says something else of the first host", func(e *matrix.Evidence) {
			e.Client.Message = strings.Replace(e.Client.Message, "connection refused", "EOF", 1)
		}},
		{"the client says nothing of the second host", func(e *matrix.Evidence) { e.Client.Message = strings.TrimSuffix(deadFirst, "\n") }},
	}}})
	told := 0
	for _, tt := range tests {
		tt.e = named(tt.e, tt.cell)
		good := Classify(tt.cell, clone(t, tt.e))
		if good.Fault != "" {
			t.Errorf("%s: the evidence is not good to begin with: %s", tt.name, good.Fault)
			continue
		}
		for _, lies := range tt.lies {
			for _, l := range lies {
				t.Run(tt.name+"/"+l.name, func(t *testing.T) {
					e := clone(t, tt.e)
					l.tell(&e)
					if reflect.DeepEqual(e, tt.e) {
						t.Fatal("the lie changed nothing")
					}
					told++
					if got := Classify(tt.cell, e); got.Fault == "" && got.Outcome.String() == good.Outcome.String() {
						t.Errorf("believed: %s", got.Outcome)
					}
				})
			}
		}
	}
	if told < 200 {
		t.Errorf("only %d lies told", told)
	}
}

// tellLies tells them about one captured attempt, and counts those that changed something.
func tellLies(t *testing.T, c captured, good matrix.Observation, lies []lie) (told int) {
	t.Helper()
	for _, l := range lies {
		e := clone(t, c.Evidence)
		l.tell(&e)
		if reflect.DeepEqual(e, c.Evidence) {
			t.Errorf("%s: the lie %q changed nothing", c.Cell.ID, l.name)
			continue
		}
		told++
		if got := Classify(c.Cell, e); got.Fault == "" && got.Outcome.String() == good.Outcome.String() {
			t.Errorf("%s %s: %q was believed: %s", c.Cell.ID, c.Cell.Client.Attack, l.name, got.Outcome)
		}
	}
	return told
}

// TestCaptured replays what TestLive once saw of client libraries, and tells lies about it.
func TestCaptured(t *testing.T) {
	replay(t, "pg", 70, 3000, libraryLies)
}

// TestHostsOfAnotherCell: what a client says of its hosts must not pass in a cell with others. libpq 13 has lost the words
// about the first host where it has said something of its own since, and only there.
func TestHostsOfAnotherCell(t *testing.T) {
	hosts := func(value string) func(*matrix.Cell) { return func(c *matrix.Cell) { c.Client.Hosts = value } }
	noEntry := `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", no encryption`
	inClear := seen(5001, 41, refusing+"28000 "+noEntry, "FATAL 28000 "+noEntry)
	noTicket := seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request gss; client close",
		`FATAL 28000 GSSAPI authentication failed for user "alice"`, `DETAIL Connection matched pg_hba.conf line 1: "host all all all gss"`)
	noRoot := seen(5001, 41, "client sslrequest; server answer S; client close", "LOG could not accept SSL connection: unexpected eof while reading")
	const refusedTCP = "could not connect to server: Connection refused\n\tIs the server running on host \"127.0.0.1\" and accepting\n\tTCP/IP connections on port 4?\n"
	const continuation = "GSSAPI continuation error: No Kerberos credentials available (default cache: FILE:/x)\n"
	// gssenc without a ticket does not even dial.
	pgxFirst := "failed to connect to `user=alice database=postgres`:\n\t127.0.0.1%gssenc=dead.example.test:1 (dead.example.test): dial error: gssenc: credentials: stat /x: no such file or directory\n"
	pgxDead := "\t127.0.0.1:1 (dead.example.test%nogssenc): dial error: dial tcp 127.0.0.1:1: connect: connection refused\n"
	pgxLast := "\t127.0.0.1:2 (pg.example.test%nogssenc): server error: FATAL: " + noEntry + " (SQLSTATE 28000)"
	for _, tt := range []struct {
		library matrix.Library
		hosts   string
		n       matrix.ConnectionEvidence
		said    matrix.ClientEvidence
		want    string
	}{
		{"libpq13", "dead-first", inClear, saidNo(refusedTCP + "FATAL:  " + noEntry + "\n"), "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"libpq13", "one", inClear, saidNo(refusedTCP + "FATAL:  " + noEntry + "\n"), "fault: there is none but the server"},
		{"libpq13", "twice", inClear, saidNo(refusedTCP + "FATAL:  " + noEntry + "\n"), "fault: there is none but the server"},
		{"libpq13", "dead-first", inClear, saidNo("FATAL:  " + noEntry + "\n"), "fault: the first host refuses TCP"},
		{"libpq13", "dead-first", noTicket, saidNo(continuation, "gss"), "refused at auth, no-ticket, channel plain, method gss, hba:1, trace connect authfail"},
		{"libpq13", "dead-first", noRoot, saidNo("root certificate file \"/x\" does not exist\nEither provide the file or change sslmode to disable server certificate verification.\n"), "refused at tls, root-missing, trace connect sslaccept"},
		{"libpq13", "twice", noRoot, saidNo(refusedTCP + "root certificate file \"/x\" does not exist\n"), "fault: there is none but the server"},
		{"libpq15", "dead-first", noRoot, saidNo("root certificate file \"/x\" does not exist\n"), "fault: the first host refuses TCP"},
		{"pgx", "dead-first", inClear, saidNo(pgxFirst + pgxDead + pgxLast), "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"pgx", "dead-first", inClear, saidNo(pgxFirst + pgxLast), "fault: the first host refuses TCP"},
		{"pgx", "one", inClear, saidNo(pgxFirst + pgxLast), "refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"pgx", "one", inClear, saidNo(pgxFirst + pgxDead + pgxLast), "fault: there is none but the server"},
		{"libpq15", "dead-first", noTicket, saidNo(continuation, "gss"), "fault: the first host refuses TCP"},
	} {
		cell := testCell(13, string(tt.library), hosts(tt.hosts))
		cell.World.HBA = "host all all all gss\n"
		check(t, cell, clone(t, evidenceOf(tt.said, tt.n)), tt.want)
	}
	for library, want := range map[string]string{"libpq13": "refused at startup, role-missing, channel tls, method trust, hba:1, trace connect sslaccept authok startfail", "libpq15": "fault: the first host refuses TCP"} {
		cell := testCell(13, library, hosts("dead-first"), withHBA("host all all all trust\n"))
		noRole := seen(5001, 41, overTLS, authorizedLine(cell, tlsSession), `FATAL 28000 role "alice" does not exist`)
		check(t, cell, evidenceOf(saidNo("FATAL:  role \"alice\" does not exist\n", "ok"), noRole), want)
	}
}

// TestNoTicketOfAnotherCell: a cache that the harness lost must not pass for one that the library does not look for, nor the other way round.
func TestNoTicketOfAnotherCell(t *testing.T) {
	for ticket, cache := range map[string]string{matrix.Ambient: "/tmp/krb5cc_0", "none": "/dev/shm/pgauthmatrix-1/2/no-ccache"} {
		for _, given := range []string{matrix.Ambient, "none"} {
			for library, before := range map[string]string{"pgx": "failed to connect to `user=alice database=postgres`: 127.0.0.1:2 (pg.example.test): failed GSS auth: ", "pq": "kerberos error: "} {
				cell := testCell(17, library, func(c *matrix.Cell) { c.Client.Ticket = given }, withHBA("host all all all gss\n"))
				want := "fault: witnesses contradict: with ticket=" + given
				if given == ticket {
					want = "refused at auth, no-ticket, channel plain, method gss, hba:1, trace connect authfail"
				}
				check(t, cell, evidenceOf(saidNo(before+"kerberos: no credential cache: open "+cache+": no such file or directory", "gss"),
					seen(5001, 41, "client startup user=alice database=postgres application_name=x 3.0; server auth-request gss; client close",
						`FATAL 28000 GSSAPI authentication failed for user "alice"`, `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line 1: "host all all all gss"`)), want)
			}
		}
	}
}

// TestGivenHosts: a session, or a refusal that ends the search, must not pass for that of a cell whose hosts the client was not given.
func TestGivenHosts(t *testing.T) {
	for given, hosts := range map[string]string{
		"host=pg.example.test port=1":                                   matrix.OneHost,
		"host=pg.example.test":                                          matrix.OneHost, // pgx
		"host=pg.example.test,pg.example.test port=1,1":                 matrix.Twice,
		"host=dead.example.test,pg.example.test port=1,2 sslrootcert=x": matrix.DeadFirst,
		"user=alice": "",
		"host=dead.example.test,pg.example.test port=1,1": "",
		"host=pg.example.test,pg.example.test port=1,2":   "",
		"host=pg.example.test,dead.example.test port=1,2": "",
	} {
		for _, cellHosts := range []string{matrix.OneHost, matrix.Twice, matrix.DeadFirst} {
			cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Hosts = cellHosts })
			said := connectedClient(41, "ok")
			said.Conninfo = given
			want := "fault: witnesses contradict"
			if cellHosts == hosts {
				want = "connected plain, method trust, role alice, hba:2, trace connect authok"
			}
			check(t, cell, evidenceOf(said, seen(5001, 41, inClear, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, ""))), want)
		}
	}
}

// replay classifies the captured attempts of a table as before, and tells the lies that there are to tell of each. There must be
// so many attempts of each server, and so many lies in all.
func replay(t *testing.T, table string, attempts, lies int, of func(captured, matrix.Outcome) []lie) {
	t.Helper()
	told := 0
	for _, server := range []int{13, 15, 17, 18} {
		lines := readCaptured(t, table, server)
		if len(lines) < attempts {
			t.Errorf("%d: only %d attempts captured", server, len(lines))
		}
		for _, c := range lines {
			good := Classify(c.Cell, c.Evidence)
			if good.Fault != "" || good.Outcome.String() != c.Want || !slices.Equal(good.Unseen, c.Unseen) {
				t.Errorf("%s: %s unseen %v (fault %q), want %s unseen %v", c.Cell.ID, good.Outcome, good.Unseen, good.Fault, c.Want, c.Unseen)
				continue
			}
			told += tellLies(t, c, good, of(c, good.Outcome))
		}
	}
	t.Logf("%d lies told", told)
	if told < lies {
		t.Errorf("only %d lies told", told)
	}
}

// libraryLies are told of attempts with a client library.
func libraryLies(c captured, good matrix.Outcome) (lies []lie) {
	if len(c.Evidence.Connections) > 0 && c.Cell.Client.Transport == "tcp" {
		lies = append(lies, anyLies...)
	}
	if good.End == matrix.Connected {
		lies = append(lies, connectedLies...)
		if c.Cell.Client.Library.Kind() != "psql" {
			lies = append(lies, tellingLies...)
		}
	}
	if Tampering(c.Cell.Client.Attack) != nil {
		lies = append(lies, attackLies...)
	}
	return lies
}

// TestAnotherCellsEvidence: evidence of one cell must not pass for another's that differs in user, server or transport.
func TestAnotherCellsEvidence(t *testing.T) {
	cell := testCell(17, "libpq17")
	e := evidenceOf(connectedClient(41, "ok"), seen(5001, 41, inClear, `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`, authorizedLine(cell, "")))
	for name, change := range map[string]func(*matrix.Cell){
		"id":        func(c *matrix.Cell) { c.ID += "x" },
		"user":      withUser("bob"),
		"database":  func(c *matrix.Cell) { c.Client.Database = "other" },
		"transport": overUnix,
	} {
		if got := Classify(testCell(17, "libpq17", change), e); got.Fault == "" {
			t.Errorf("%s: believed: %s", name, got.Outcome)
		}
	}
}
