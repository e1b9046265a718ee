package classify

import (
	"regexp"
	"slices"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// TestEveryClientIsKnown: a kind of matrix.Clients that is not in clients would be Broken in every cell.
func TestEveryClientIsKnown(t *testing.T) {
	kinds := map[matrix.ClientKind]bool{}
	for _, info := range matrix.Clients {
		kinds[info.Kind] = true
		c := clients[info.Kind]
		if c == nil || c.settle == nil || c.sayings == nil {
			t.Errorf("%s: the kind %s is not in clients", info.Name, info.Kind)
			continue
		}
		if info.Kind == matrix.KindRaw {
			continue
		}
		for name, pattern := range map[string]*regexp.Regexp{
			"unreached": c.unreached, "refusedTCP": c.refusedTCP, "hungUp": c.hungUp, "timedOut": c.timedOut, "gssAuth": c.gssAuth,
			"alerted": c.tls.alerted, "alertMAC": c.tls.alertMAC, "alertHello": c.tls.alertHello, "ownMAC": c.tls.ownMAC,
		} {
			if pattern == nil {
				t.Errorf("%s: no text for %s", info.Kind, name)
			}
		}
		if len(c.causes) == 0 {
			t.Errorf("%s: no messages", info.Kind)
		}
		if c.unreached != nil && c.unreached.NumSubexp() != 1 || c.gssAuth != nil && c.gssAuth.NumSubexp() != 1 || c.tls.alerted != nil && c.tls.alerted.NumSubexp() != 1 {
			t.Errorf("%s: unreached, gssAuth and alerted have one group each", info.Kind)
		}
	}
	for kind := range clients {
		if !kinds[kind] {
			t.Errorf("clients has the kind %s, matrix.Clients has not", kind)
		}
	}
}

// TestMessagesAreOneClients: what one client says is not understood of another, or a mixed-up record could pass.
func TestMessagesAreOneClients(t *testing.T) {
	for text, want := range map[string][]matrix.ClientKind{
		"server does not support SSL, but SSL was required":                                                                                      {matrix.KindLibpq, matrix.KindPsql},
		"tls error: server refused TLS connection":                                                                                               {matrix.KindPGX},
		"SSL is not enabled on the server":                                                                                                       {matrix.KindPQ},
		"cannot parse `host=x`: failed to configure TLS":                                                                                         {matrix.KindPGX},
		"dial error: gssenc: request: the server does not offer GSS encryption":                                                                  {matrix.KindPGX},
		"tls: failed to verify certificate: x509: certificate signed by unknown authority":                                                       {matrix.KindPGX, matrix.KindPQ},
		`weak sslmode "prefer" may not be used with sslnegotiation=direct (use "require")`:                                                       {matrix.KindLibpq, matrix.KindPQ, matrix.KindPsql},
		"asyncpg.exceptions._base.InternalClientError: unexpected error while performing authentication: name 'AUTH_METHOD_NAME' is not defined": {matrix.KindAsyncpg},
		"ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1029)":        {matrix.KindAsyncpg},
		"fe_sendauth: no password supplied":                                                                                                      {matrix.KindLibpq, matrix.KindPsql},
		"authentication method requirement \"gss\" failed: server requested SASL authentication":                                                 {matrix.KindLibpq, matrix.KindPGX, matrix.KindPsql},
	} {
		var known []matrix.ClientKind
		for kind, c := range clients {
			if _, ok := lookUp(c.causes, text); ok {
				known = append(known, kind)
			}
		}
		if slices.Sort(known); !slices.Equal(known, want) {
			t.Errorf("%q is understood of %v, want %v", text, known, want)
		}
	}
}

func TestUnknownClient(t *testing.T) {
	check(t, testCell(17, "unheard-of"), evidenceOf(saidNo("FATAL:  no")), `fault: no client "unheard-of" is known`)
	if !OpensSocket(testCell(17, "unheard-of"), "could not connect") {
		t.Error("of a client that is not known it must be expected that it opened a socket")
	}
}

// TestEveryAttackIsKnown: every attack has its row, and asks the relay, or the raw client, for what package wire can do.
func TestEveryAttackIsKnown(t *testing.T) {
	for _, a := range matrix.AttacksOf(matrix.Relay) {
		row, known := relayAttacks[a.Name]
		asked := Tampering(a.Name)
		switch {
		case !known:
			t.Errorf("%s is not in relayAttacks", a.Name)
		case a.Name == matrix.Listen:
			if asked != nil || len(row.deeds) > 0 {
				t.Errorf("%s asks the relay for %+v, and may do %v", a.Name, asked, row.deeds)
			}
		case asked == nil || !slices.Contains(wire.Attacks(), asked.Attack):
			t.Errorf("%s asks the relay for %+v, which package wire does not know", a.Name, asked)
		case len(row.deeds) == 0:
			t.Errorf("%s may do nothing", a.Name)
		}
	}
	for _, a := range matrix.AttacksOf(matrix.RawClient) {
		if len(sequences[a.Name].sends) == 0 {
			t.Errorf("%s is not in sequences", a.Name)
		}
		if !slices.Contains(wire.Sequences(), wire.Sequence(a.Name)) {
			t.Errorf("%s is a sequence that package wire does not know", a.Name)
		}
	}
	if want := len(matrix.AttacksOf(matrix.Relay)); len(relayAttacks) != want {
		t.Errorf("relayAttacks has %d rows, there are %d attacks", len(relayAttacks), want)
	}
	if want := len(matrix.AttacksOf(matrix.RawClient)); len(sequences) != want {
		t.Errorf("sequences has %d rows, there are %d", len(sequences), want)
	}
	if Tampering(matrix.NoAttack) != nil || Tampering("") != nil {
		t.Error("no attack asks the relay for something")
	}
}

// TestForeign: of a driver, server and session say what an attempt ended in; its own messages say nothing, whatever they are.
func TestForeign(t *testing.T) {
	cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Driver = &matrix.Driver{Name: "mine", Like: "libpq17"} })
	const (
		noEntry       = `no pg_hba.conf entry for host "10.9.0.3", user "alice", database "postgres", no encryption`
		authenticated = `LOG connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`
	)
	for _, tt := range []struct {
		name string
		e    matrix.Evidence
		want string
	}{
		{"refused by the server", evidenceOf(saidNo("whatever the driver makes of it"), seen(5001, 41, refusing+"28000 "+noEntry, "FATAL 28000 "+noEntry)),
			"refused at hba, no-hba-entry, channel plain, trace connect authfail"},
		{"its own refusal, in libpq's words", evidenceOf(saidNo("weak sslmode \"prefer\" may not be used with sslnegotiation=direct\n")), "fault: only the driver knows why it gave up"},
		{"it says that it is refused, and the server let it in", evidenceOf(saidNo("no"), seen(5001, 41, inClear, authenticated, authorizedLine(cell, ""))), "fault: "},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, cell, tt.e, tt.want) })
	}
}
