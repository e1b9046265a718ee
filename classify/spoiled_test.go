package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// deed changes what the attacker says that it did, on every connection.
func deed(change func(*matrix.WireEvent)) func(*matrix.Evidence) {
	return func(e *matrix.Evidence) {
		for i := range e.Connections {
			for j := range e.Connections[i].Wire {
				if w := &e.Connections[i].Wire[j]; w.From == "attacker" {
					change(w)
				}
			}
		}
	}
}

// spoiledLies are about what the relay says that it did, and about those who bear it out.
func spoiledLies(c captured, good matrix.Outcome) []lie {
	did := func(kinds ...string) bool {
		return slices.ContainsFunc(c.Evidence.Connections, func(n matrix.ConnectionEvidence) bool {
			return slices.ContainsFunc(n.Wire, func(w matrix.WireEvent) bool { return w.From == "attacker" && slices.Contains(kinds, w.Kind) })
		})
	}
	at := func(event string) func(*matrix.WireEvent) {
		return func(w *matrix.WireEvent) {
			if w.Deed != nil {
				w.Deed.At = event
			}
		}
	}
	idle := func(w *matrix.WireEvent) { *w = wireEvent("attacker idle nothing to do") }
	each := func(change func(*matrix.ConnectionEvidence)) func(*matrix.Evidence) {
		return func(e *matrix.Evidence) {
			for i := range e.Connections {
				change(&e.Connections[i])
			}
		}
	}
	var lies []lie
	if did("cut", "held", "flipped", "replayed") {
		lies = append(lies, lie{"the attacker did nothing", deed(idle)}, lie{"the attacker did it twice", func(e *matrix.Evidence) {
			first := &e.Connections[0]
			for _, w := range first.Wire {
				if w.From == "attacker" {
					first.Wire = append(first.Wire, w)
					return
				}
			}
		}})
	}
	if did("cut", "held") {
		lies = append(lies, []lie{
			{"the attacker did nothing, and the server said no more than the client heard", func(e *matrix.Evidence) {
				deed(idle)(e)
				each(func(n *matrix.ConnectionEvidence) { n.Upstream = nil })(e)
			}},
			{"the server said no more than the client heard", each(func(n *matrix.ConnectionEvidence) { n.Upstream = nil })},
			{"the client heard it all", each(func(n *matrix.ConnectionEvidence) {
				own := slices.DeleteFunc(slices.Clone(n.Wire), func(w matrix.WireEvent) bool { return w.From != "attacker" && w.From != "relay" })
				if n.Upstream != nil {
					n.Wire, n.Upstream = slices.Concat(own, n.Upstream), nil
				}
			})},
			{"at another event", deed(at("startup"))},
			{"at no event", deed(at(""))},
			{"the other way", deed(func(w *matrix.WireEvent) { w.Kind = map[string]string{"cut": "held", "held": "cut"}[w.Kind] })},
		}...)
	}
	if did("flipped", "replayed") && !strings.Contains(fmt.Sprint(good.Trace), string(matrix.StepAuthOK)) {
		lies = append(lies, lie{"the server noticed nothing", dropLog("")}, lie{"the server could not open it for another reason", each(func(n *matrix.ConnectionEvidence) {
			for i := range n.Log {
				if l := &n.Log[i]; l.Severity == "DETAIL" || strings.HasPrefix(l.Text, "could not accept SSL connection: ") {
					l.Text = "could not accept SSL connection: the moon is full"
				}
			}
		})})
	}
	if good.End != matrix.Refused {
		return lies
	}
	lies = append(lies, lie{"the client says what nobody knows", func(e *matrix.Evidence) { e.Client.Message = "the moon is full" }})
	if good.Stage != matrix.StageGSSEnc || !c.Cell.Client.Library.UsesLibpq() {
		lies = append(lies, lie{"the client says nothing", func(e *matrix.Evidence) { e.Client.Message = "" }})
	}
	if good.Reason == matrix.TimedOut {
		lies = append(lies, lie{"it took no time", func(e *matrix.Evidence) { e.Client.Micros = 1000 }},
			lie{"the client was cut off", func(e *matrix.Evidence) { e.Client.Message = "server closed the connection unexpectedly\n" }})
	} else {
		lies = append(lies, lie{"the client's time was up", func(e *matrix.Evidence) { e.Client.Message = "timeout expired\n" }})
	}
	return lies
}

// A client that refuses the server's certificate says so, whatever an attacker does to the connection besides.
func TestRefusedCertificateUnderAttack(t *testing.T) {
	attacked := func(library string, attack matrix.Attack) *matrix.Cell {
		return testCell(18, library, func(c *matrix.Cell) { c.Client.SSLMode, c.Client.Attack = "verify-full", attack })
	}
	flipped := func(message string) matrix.Evidence {
		return evidenceOf(saidNo(message), seen(5001, 41, overTLS+"; attacker flipped a bit of the first sealed record from the client; client close",
			"LOG SSLRequest accepted", "LOG could not accept SSL connection: decryption failed or bad record mac"))
	}
	stuffed := func(alert string) matrix.Evidence {
		return evidenceOf(saidNo("connection to server at \"127.0.0.1\", port 40001 failed: SSL error: certificate verify failed\n"),
			seen(5001, 41, "client sslrequest; attacker inserted 64 bytes to the client; server answer S; server stuffed 64; client client-hello max=TLSv1.3; server server-hello TLSv1.3; server tls-data; client tls-alert "+alert+"; client reset",
				"LOG SSLRequest accepted"))
	}
	const told = "failed to connect to `user=alice database=postgres`: 127.0.0.1:40001 (pg.example.test): "
	for name, tt := range map[string]struct {
		cell *matrix.Cell
		e    matrix.Evidence
		want string
	}{
		"revoked":                       {attacked("libpq18", "stuff-server"), stuffed("fatal 44 certificate_revoked"), "refused at tls, server-cert-revoked, trace connect sslaccept, obtains nothing"},
		"expired":                       {attacked("libpq18", "stuff-server"), stuffed("fatal 45 certificate_expired"), "refused at tls, server-cert-expired, trace connect sslaccept, obtains nothing"},
		"of a CA that it does not know": {attacked("libpq18", "stuff-server"), stuffed("fatal 48 unknown_ca"), "refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing"},
		"an alert that nobody can read": {attacked("libpq18", "stuff-server"), stuffed("encrypted"), "fault: unrecognised message"},
		"a farewell that was changed": {attacked("pgx", "flip-client"), flipped(told + "tls error: tls: failed to verify certificate: x509: certificate signed by unknown authority"),
			"refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing"},
		"another name, after the handshake": {attacked("libpq18", "flip-client"), flipped("connection to server at \"127.0.0.1\", port 40001 failed: server certificate for \"other\" does not match host name \"pg.example.test\"\n"),
			"refused at tls, server-cert-name, trace connect sslaccept, obtains nothing"},
		"another bit": {attacked("pgx", "flip-server"), flipped(told + "tls error: tls: failed to verify certificate: x509: certificate signed by unknown authority"), "fault: the relay spoiled the connection"},
		"no certificate at all": {attacked("libpq18", "flip-client"), flipped("connection to server at \"127.0.0.1\", port 40001 failed: server does not support SSL, but SSL was required\n"),
			"fault: the relay spoiled the connection"},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.cell, tt.e, tt.want) })
	}
}

// TestCapturedSpoiled replays what TestLive once saw of spoiled connections, and tells lies about it.
func TestCapturedSpoiled(t *testing.T) {
	replay(t, "spoiled", 35, 3000, func(c captured, good matrix.Outcome) []lie {
		return append(spoiledLies(c, good), libraryLies(c, good)...)
	})
}
