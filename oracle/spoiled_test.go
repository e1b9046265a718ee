package oracle

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// The outcomes are those observed with real servers and clients (scenarios/attacks); for versions that were not available, they
// follow from the sources.
func TestSpoiledConnections(t *testing.T) {
	const scram = "hba='hostgssenc all alice all gss include_realm=0; host all scram all scram-sha-256; host all bob all gss include_realm=0; host all all all trust' "
	for base, rows := range map[string]string{
		scram + "gssencmode=disable": `
// libpq takes an end in place of the answer as final; to the other clients TLS has failed
attack=cut-answer => refused at tls, connection-lost, trace connect sslerror, obtains nothing
attack=cut-answer library=libpq14 => refused at tls, connection-lost, trace connect sslerror, obtains nothing
attack=cut-answer ssl=off => refused at tls, connection-lost, trace connect sslerror, obtains nothing
attack=cut-answer library=pgx => connected plain, method trust, role alice, hba:4, trace connect sslerror reconnect authok, obtains downgrade
attack=cut-answer library=pgx sslmode=require => refused at tls, connection-lost, trace connect sslerror, obtains nothing
attack=cut-answer library=pq sslmode=prefer => connected plain, method trust, role alice, hba:4, trace connect sslerror reconnect authok, obtains downgrade
attack=cut-answer library=pq sslmode=prefer root=none => connected plain, method trust, role alice, hba:4, trace connect sslerror reconnect authok, obtains downgrade
attack=cut-answer sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect authok, obtains plaintext
attack=cut-answer sslmode=require sslnegotiation=direct => connected tls, method trust, role alice, hba:4, trace connect directaccept authok, obtains nothing
// a handshake that fails is not final
attack=cut-handshake => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=cut-handshake library=libpq13 => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=cut-handshake sslmode=verify-full => refused at tls, connection-lost, trace connect sslaccept, obtains nothing
attack=cut-handshake sslmode=verify-full root=none => refused at tls, root-missing, trace connect sslaccept, obtains nothing
attack=cut-handshake sslmode=require sslnegotiation=direct => refused at tls, connection-lost, trace connect directreject, obtains nothing
attack=cut-handshake sslmode=require sslnegotiation=direct server=16 => refused at tls, direct-tls-refused, trace connect directreject, obtains nothing
attack=cut-handshake ssl=off => connected plain, method trust, role alice, hba:4, trace connect sslreject authok, obtains plaintext
attack=cut-handshake library=pq sslmode=prefer => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=cut-handshake library=pq sslmode=prefer root=none => refused at tls, connection-lost, trace connect sslaccept, obtains nothing
attack=stuff-server library=pq sslmode=prefer root=none => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
// with sslmode=allow pgx and lib/pq go on, to TLS; the attacker has what was sent in the clear
attack=cut-auth user=scram password=right sslmode=allow => refused at auth, connection-lost, channel plain, method scram-sha-256, hba:2, trace connect, obtains plaintext
attack=cut-auth user=scram password=right sslmode=allow library=pgx => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect reconnect sslaccept authok, obtains plaintext
attack=cut-auth user=scram password=right sslmode=allow library=pq => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect reconnect sslaccept authok, obtains plaintext
attack=cut-auth user=bob ticket=valid sslmode=disable => refused at auth, connection-lost, channel plain, method gss, hba:3, trace connect authfail, obtains plaintext
attack=cut-auth sslmode=disable library=libpq15 => refused at auth, connection-lost, channel plain, method trust, hba:4, trace connect authok, obtains plaintext
attack=cut-auth user=nobody sslmode=disable => refused at auth, connection-lost, channel plain, method trust, hba:4, trace connect authok startfail, obtains plaintext
attack=cut-auth => connected tls, method trust, role alice, hba:4, trace connect sslaccept authok, obtains nothing
// connect_timeout: libpq's is that of an address, pgx's that of all configurations, lib/pq's that of a connection
attack=hold-answer => refused at tls, timed-out, trace connect sslerror, obtains nothing
attack=hold-answer library=libpq16 => refused at tls, timed-out, trace connect sslerror, obtains nothing
attack=hold-answer library=pgx => refused at tls, timed-out, trace connect sslerror, obtains nothing
attack=hold-answer library=pq sslmode=prefer => connected plain, method trust, role alice, hba:4, trace connect sslerror reconnect authok, obtains downgrade
attack=hold-gss => connected tls, method trust, role alice, hba:4, trace connect sslaccept authok, obtains nothing
attack=hold-auth sslmode=allow => refused at auth, timed-out, channel plain, method trust, hba:4, trace connect authok, obtains plaintext
attack=hold-auth sslmode=allow library=pgx user=scram => refused at auth, timed-out, channel plain, method scram-sha-256, hba:2, trace connect, obtains plaintext
attack=hold-auth sslmode=allow library=pq user=scram password=right => connected tls, method scram-sha-256, identity scram, role scram, hba:2, trace connect reconnect sslaccept authok, obtains plaintext
attack=delay => connected tls, method trust, role alice, hba:4, trace connect sslaccept authok, obtains nothing
attack=delay ssl=off => connected plain, method trust, role alice, hba:4, trace connect sslreject authok, obtains plaintext
// the end of the client's handshake is changed: the client learns of it too late to try without TLS
attack=flip-client => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
attack=flip-client library=libpq13 => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
attack=flip-client library=pgx => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=flip-client library=pq sslmode=prefer => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
attack=flip-client sslmode=verify-ca servercert=other-ca => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
attack=flip-client sslmode=verify-full servercert=wrong-name => refused at tls, server-cert-name, trace connect sslaccept, obtains nothing
// crypto/tls encrypts the alert for a certificate that it refuses, and OpenSSL does not
attack=flip-client root=other => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains plaintext
attack=flip-client root=other library=pq sslmode=prefer => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=flip-client root=other library=pgx sslmode=require => refused at tls, server-cert-untrusted, trace connect sslaccept, obtains nothing
attack=flip-client sslmode=require sslnegotiation=direct => refused at tls, integrity-check, trace connect directaccept, obtains nothing
// a record of the server's handshake is changed: the handshake fails
attack=flip-server => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=flip-server library=pq sslmode=prefer root=none => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
attack=flip-server sslmode=verify-ca servercert=other-ca => refused at tls, integrity-check, trace connect sslaccept, obtains nothing
attack=replay server=17 => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=replay server=17 sslmode=require => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=replay sslmode=require => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=replay sslmode=require library=libpq15 => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=replay library=pgx => connected plain, method trust, role alice, hba:4, trace connect sslaccept reconnect authok, obtains downgrade
attack=replay library=pq sslmode=prefer root=none => refused at tls, protocol-violation, trace connect sslaccept, obtains nothing
attack=replay sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect authok, obtains plaintext
`,
		scram + "ticket=valid gssencmode=prefer": `
attack=cut-answer => refused at gssenc, connection-lost, trace connect gsserror, obtains nothing
attack=cut-answer library=libpq13 => refused at gssenc, connection-lost, trace connect gsserror, obtains nothing
attack=cut-answer library=pgx => connected plain, method trust, role alice, hba:4, trace connect gsserror reconnect sslerror reconnect authok, obtains downgrade
attack=cut-answer library=pgx gssencmode=require => refused at gssenc, connection-lost, trace connect gsserror, obtains nothing
attack=cut-handshake => connected plain, method trust, role alice, hba:4, trace connect gssaccept reconnect sslaccept reconnect authok, obtains downgrade
attack=cut-handshake gssencmode=require => refused at gssenc, connection-lost, trace connect gssaccept, obtains nothing
attack=cut-handshake gssencmode=require keytab=none => refused at gssenc, keytab-missing, trace connect gssaccept, obtains nothing
attack=cut-handshake gssencmode=require ticket=expired => refused at gssenc, ticket-expired, trace connect gssaccept, obtains nothing
attack=cut-auth => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok, obtains nothing
attack=hold-gss => refused at gssenc, timed-out, trace connect gsserror, obtains nothing
attack=hold-gss library=pgx => connected tls, method trust, role alice, hba:4, trace connect gsserror reconnect sslaccept authok, obtains nothing
attack=hold-answer library=pgx => refused at tls, timed-out, trace connect gsserror reconnect sslerror, obtains nothing
attack=hold-answer library=pgx sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect gsserror reconnect authok, obtains downgrade
attack=delay => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok, obtains nothing
attack=replay => refused at gssenc, protocol-violation, channel gss, trace connect gssaccept, obtains nothing
attack=replay library=pgx sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect gssaccept reconnect authok, obtains downgrade
attack=flip-client library=libpq16 => refused at gssenc, integrity-check, channel gss, trace connect gssaccept, obtains nothing
attack=flip-client library=pgx sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect gssaccept reconnect authok, obtains downgrade
attack=flip-server => refused at gssenc, integrity-check, channel gss, trace connect gssaccept authok, obtains nothing
attack=flip-server user=scram => refused at gssenc, integrity-check, channel gss, trace connect gssaccept, obtains nothing
attack=flip-server user=bob => refused at gssenc, integrity-check, channel gss, trace connect gssaccept authok, obtains nothing
attack=flip-server hba='hostssl all all all trust' => refused at gssenc, integrity-check, channel gss, trace connect gssaccept authfail, obtains nothing
attack=flip-server library=pgx sslmode=disable => connected plain, method trust, role alice, hba:4, trace connect gssaccept authok reconnect authok, obtains downgrade
`,
	} {
		checkRows(t, base, rows)
	}
}

// Where the result of an attack is chance, or is not modelled, there is a gap; and in similar cells there is none.
func TestGapsUnderAttack(t *testing.T) {
	for given, gap := range map[string]string{
		// it is chance whether the reset that follows the alert of 18 comes before or after the end of the client's handshake
		"attack=replay server=18 sslmode=prefer library=libpq18":                                                         "races with the client's handshake",
		"attack=replay server=18 sslmode=prefer library=libpq13":                                                         "races with the client's handshake",
		"attack=replay server=18 sslmode=prefer library=pq":                                                              "races with the client's handshake",
		"attack=replay server=18 root=other sslmode=require":                                                             "certificate that the client refuses",
		"attack=replay server=18 root=other sslmode=require library=pgx":                                                 "certificate that the client refuses",
		"attack=replay server=17 root=other sslmode=require":                                                             "",
		"attack=stuff-client server=16 library=pq sslmode=prefer root=other":                                             "after its handshake",
		"attack=stuff-client server=16 sslmode=verify-full servercert=wrong-name":                                        "after its handshake",
		"attack=stuff-client server=16 sslmode=require root=other":                                                       "",
		"attack=stuff-client server=17 library=pq sslmode=prefer root=other":                                             "",
		"attack=stuff-client server=13 library=libpq13":                                                                  "libpq13 on PostgreSQL 13",
		"attack=stuff-client server=13 library=pgx":                                                                      "pgx on PostgreSQL 13",
		"attack=stuff-client server=13 library=pq sslmode=require":                                                       "pq on PostgreSQL 13",
		"attack=stuff-client server=13 library=libpq14":                                                                  "",
		"attack=stuff-client server=13 library=libpq13 sslmode=disable":                                                  "",
		"attack=strip hosts=twice":                                                                                       "between several hosts",
		"attack=impersonate servercert=ed25519 root=none user=scram hba='host all all all scram-sha-256' password=right": "servercert=ed25519",
	} {
		_, err := Predict(cell(set("gssencmode=disable " + given)))
		if missing := (*CannotPredict)(nil); errors.As(err, &missing) != (gap != "") || err != nil && !strings.Contains(err.Error(), gap) {
			t.Errorf("%s: %v, want a gap of %q", given, err, gap)
		}
	}
}

// What the client insists on holds under each attack, and each attack has reasons of its own.
func TestSpoiledConnectionsKeepWhatIsInsistedOn(t *testing.T) {
	reasons := map[matrix.Reason]string{matrix.ConnectionLost: "cut-", matrix.TimedOut: "hold-", matrix.IntegrityCheck: "flip-", matrix.ProtocolViolation: "replay"}
	cells := 0
	axes := slices.DeleteFunc(slices.Clone(negotiationAxes), func(a axis) bool { return slices.Contains([]string{"server", "hba", "transport"}, a.name) })
	axes = append(axes, axis{"server", []string{"16", "18"}}, axis{"hba", hbaTexts[:2]},
		axis{"attack", []string{"cut-answer", "cut-handshake", "cut-auth", "hold-answer", "hold-gss", "hold-auth", "delay", "replay", "flip-client", "flip-server"}})
	product(axes, func(c *matrix.Cell) {
		if matrix.NotApplicable(c) != "" {
			return
		}
		p, err := Predict(c)
		if gap := (*CannotPredict)(nil); errors.As(err, &gap) && c.Client.Attack == matrix.Replay {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", axesOf(c), err)
		}
		cells++
		o, l := p.Outcome, c.Client
		insists := slices.Contains([]string{"require", "verify-ca", "verify-full"}, l.SSLMode)
		switch prefix := reasons[o.Reason]; {
		case o.Validate() != nil, o.Obtains == "":
		case prefix != "" && !strings.HasPrefix(string(l.Attack), prefix):
		case l.Attack == matrix.Delay && o.Obtains == matrix.Downgraded:
		case o.End == matrix.Connected && o.Channel == matrix.Plain && (insists || l.GSSEncMode == "require" || o.Obtains != matrix.Plaintext && o.Obtains != matrix.Downgraded):
		case o.Obtains == matrix.Downgraded && o.Descent() != matrix.Downgrade:
		default:
			return
		}
		t.Fatalf("%s: %s%s", axesOf(c), o, explain(p))
	})
	if cells < 50_000 {
		t.Errorf("%d cells", cells)
	}
}
