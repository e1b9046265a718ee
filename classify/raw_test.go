package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

func addLog(severity, state, text string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		last(e).Log = append(last(e).Log, matrix.LogLine{Severity: severity, SQLState: state, Text: text})
	}
}

func addRaw(text string) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		e.Client.Raw.Events = append(e.Client.Raw.Events, seen(1, 1, text).Wire[1:]...)
	}
}

// rawLies are told of every sequence.
func rawLies(e matrix.Evidence) []lie {
	lies := []lie{
		{"the raw client says nothing", func(e *matrix.Evidence) { e.Client.Raw = nil }},
		{"another sequence", func(e *matrix.Evidence) {
			e.Client.Raw.Sequence = map[bool]matrix.Attack{true: "alternate", false: "long-startup"}[e.Client.Raw.Sequence != "alternate"]
		}},
		{"the raw client claims to be connected", func(e *matrix.Evidence) { e.Client.Connected = true }},
		{"a session", func(e *matrix.Evidence) { e.Client.Session = &matrix.Session{PID: last(e).PID, SessionUser: "alice"} }},
		{"a session by the raw client's word", func(e *matrix.Evidence) {
			e.Client.Raw.End = map[bool]string{true: "session", false: "closed"}[e.Client.Raw.End != "session"]
		}},
		{"ended otherwise", func(e *matrix.Evidence) {
			e.Client.Raw.End = map[bool]string{true: "closed", false: "open"}[e.Client.Raw.End == "open"]
		}},
		{"an ending that nobody knows", func(e *matrix.Evidence) { e.Client.Raw.End = "" }},
		{"another error", func(e *matrix.Evidence) {
			e.Client.Raw.Error, e.Client.Message = e.Client.Raw.Error+"28000 no", e.Client.Raw.Error+"28000 no"
		}},
		{"another error in its record", addRaw("server error-response 28000 no")},
		{"another message", func(e *matrix.Evidence) { e.Client.Message += "no" }},
		{"a statement was executed, by the client's word", func(e *matrix.Evidence) { e.Client.Raw.Executed = []string{"DO"} }},
		{"a statement was executed, by the log", addLog("LOG", "00000", AttackersWords)},
		{"an answer to no request", addRaw("server answer S")},
		{"malformed bytes from the server", addRaw("server malformed 00ff")},
		{"bytes that were not due", addRaw("server stuffed 12")},
		{"AuthenticationOk", addRaw("server auth-request ok")},
		{"a request more", addRaw("client gssencrequest; server answer N")},
		{"an event that is none of its", addRaw("client cancelrequest")},
		{"no record", func(e *matrix.Evidence) { e.Client.Raw.Events = nil }},
		{"a FATAL that nobody was told", addLog("FATAL", "08P01", "received unencrypted data after SSL request")},
		{"a FATAL that nobody knows", addLog("FATAL", "XX000", "the moon is full")},
		{"authorized after all", addLog("LOG", "00000", "connection authorized: user=postgres database=postgres")},
		{"bytes before the handshake", func(e *matrix.Evidence) {
			if has := slices.ContainsFunc(last(e).Log, func(l matrix.LogLine) bool { return strings.HasPrefix(l.Text, "buffered unencrypted") }); has {
				dropLog("buffered unencrypted")(e)
			} else {
				addLog("LOG", "00000", "buffered unencrypted data remains after negotiating SSL connection")(e)
			}
		}},
		{"another connection", func(e *matrix.Evidence) { e.Connections = append(e.Connections, *last(e)) }},
	}
	if stuffed := strings.Contains(string(e.Client.Raw.Sequence), "-with-"); stuffed && len(last(&e).Log) > 0 {
		// The bytes that came early may be found on any of these.
		lies = slices.DeleteFunc(lies, func(l lie) bool {
			return l.name == "bytes before the handshake" && !strings.HasPrefix(last(&e).Log[len(last(&e).Log)-1].Text, "buffered")
		})
	}
	for i, event := range e.Client.Raw.Events {
		kind := event.Kind
		essential := slices.ContainsFunc(sequences[e.Client.Raw.Sequence].sends, func(k wire.Kind) bool { return string(k) == kind })
		if !essential && kind != "error-response" && kind != "auth-request" && (kind != "answer" || event.Answer == "E") {
			continue
		}
		lies = append(lies, lie{fmt.Sprintf("without %s", event), func(e *matrix.Evidence) {
			e.Client.Raw.Events = slices.Delete(slices.Clone(e.Client.Raw.Events), i, i+1)
		}})
	}
	return lies
}

// TestCapturedRaw replays what TestLive once saw of the raw client, and tells lies about it.
func TestCapturedRaw(t *testing.T) {
	replay(t, "raw", 25, 2000, func(c captured, _ matrix.Outcome) []lie {
		for _, other := range matrix.AttacksOf(matrix.RawClient) { // another sequence's evidence
			cell := *c.Cell
			if cell.Client.Attack = other.Name; other.Name == c.Cell.Client.Attack {
				continue
			}
			e := clone(t, c.Evidence)
			e.Client.Raw.Sequence = other.Name
			if got := Classify(&cell, e); got.Fault == "" && !interchangeable(other.Name, c.Cell.Client.Attack) {
				t.Errorf("%s: the evidence of %s was believed to be that of %s: %s", c.Cell.ID, c.Cell.Client.Attack, other.Name, got.Outcome)
			}
		}
		lies := rawLies(c.Evidence)
		if c.Cell.Client.Transport == "tcp" {
			lies = append(lies, anyLies...)
		}
		return lies
	})
}

// interchangeable sequences differ in what was stuffed, which nobody records, or only in what a server that refuses the first
// request never saw.
func interchangeable(a, b matrix.Attack) bool {
	for _, alike := range [][]matrix.Attack{{"ssl-with-query", "ssl-with-startup"}, {"gssenc-with-query", "gssenc-with-startup"}, {"gssenc-garbage", "gssenc-empty", "gssenc-oversize"}} {
		if slices.Contains(alike, a) && slices.Contains(alike, b) {
			return true
		}
	}
	return false
}

// TestRawFindings: what a server that is not mended would show must be seen for what it is.
func TestRawFindings(t *testing.T) {
	rawCell := func(attack matrix.Attack) *matrix.Cell {
		return testCell(17, "raw", withHBA("host all all all trust\n"), func(c *matrix.Cell) { c.Client.Attack = attack })
	}
	// own is what the raw client recorded of itself; the relay saw the part of it that was not encrypted.
	played := func(attack matrix.Attack, end, tellsError, own string, n matrix.ConnectionEvidence) matrix.Evidence {
		r := &matrix.RawEvidence{Sequence: attack, End: end, Error: tellsError, Events: seen(n.ServerPort, 1, own).Wire}
		e := evidenceOf(matrix.ClientEvidence{Message: tellsError, Raw: r}, n)
		for _, event := range r.Events {
			if event.Kind == "auth-request" {
				e.Client.AuthRequests = append(e.Client.AuthRequests, event.Auth)
			}
		}
		return e
	}
	const (
		start   = "client startup user=alice database=postgres 3.0"
		ready   = "; server auth-request ok; server ready; client query"
		trusted = `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:1)`
		inTLS   = "client sslrequest; client stuffed 71; server answer S; client malformed 5100000046; server server-hello TLSv1.3; server tls-data"
	)
	authorized := func(user, more string) string {
		return "LOG connection authorized: user=" + user + " database=postgres" + more
	}
	stuffed := func(end string, executed []string) matrix.Evidence {
		e := played("ssl-with-query", end, "", inTLS+"; "+start+ready, seen(5001, 41, inTLS, "LOG SSLRequest accepted", trusted, authorized("alice", tlsSession), "LOG "+AttackersWords))
		e.Client.Raw.Executed = executed
		return e
	}
	direct := "client direct-tls; client client-hello alpn=postgresql max=TLSv1.3; server server-hello TLSv1.3; server tls-data"
	crashed := played("alternate", "closed", "", "client sslrequest; server answer N; client gssencrequest; server answer N; client sslrequest", seen(5001, 41,
		"client sslrequest; server answer N; client gssencrequest; server answer N; client sslrequest", "LOG SSLRequest rejected", "LOG GSSENCRequest rejected"))
	crashed.Connections[0].Exit = "terminated by signal 11: Segmentation fault"
	second := start + "; server auth-request sasl; client malformed 0000002800"
	for _, tt := range []struct {
		name, attack string
		e            matrix.Evidence
		want         string
	}{
		{"the stuffed statement was executed", "ssl-with-query", stuffed("session", []string{"DO"}),
			"connected tls, method trust, role alice, hba:1, trace connect sslaccept authok, obtains injected"},
		{"executed by the client's word alone", "ssl-with-query", func() matrix.Evidence {
			e := stuffed("session", []string{"DO"})
			e.Connections[0].Log = e.Connections[0].Log[:len(e.Connections[0].Log)-1]
			return e
		}(), "fault: witnesses contradict"},
		{"a second startup packet decides who one is", "second-startup", played("second-startup", "session", "", second+ready, seen(5001, 41, second+ready,
			`LOG connection authenticated: user="postgres" method=trust (/srv/pg/pg_hba.conf:1)`, authorized("postgres", ""))),
			"connected plain, role postgres, trace connect authok, obtains injected"},
		{"GSS encryption is offered inside TLS", "gssenc-in-direct-tls", played("gssenc-in-direct-tls", "open", "", direct+"; client gssencrequest; server answer G",
			seen(5001, 41, direct, "LOG direct SSL connection accepted", "LOG GSSENCRequest accepted")),
			"refused at gssenc, abandoned, channel tls, trace connect directaccept gssaccept, obtains nothing"},
		{"the wire and the log disagree on it", "gssenc-in-direct-tls", played("gssenc-in-direct-tls", "open", "", direct+"; client gssencrequest; server answer N",
			seen(5001, 41, direct, "LOG direct SSL connection accepted", "LOG GSSENCRequest accepted")), "fault: witnesses contradict"},
		{"the backend crashed", "alternate", crashed, "fault: ended abnormally"},
		{"nothing was sent", "long-startup", played("long-startup", "closed", "", "", seen(5001, 41, "")), "fault: did not send long-startup"},
		{"the server asks for what the raw client has not", "protocol-3.9", played("protocol-3.9", "open", "", "client startup user=alice database=postgres 3.9; server auth-request sasl",
			seen(5001, 41, "client startup user=alice database=postgres 3.9; server auth-request sasl")), "fault: nobody says why"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, rawCell(matrix.Attack(tt.attack)), tt.e, tt.want) })
	}
}
