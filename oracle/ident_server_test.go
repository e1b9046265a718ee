package oracle

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestIdentServer: what the method ident makes of each answer of an Ident server.
func TestIdentServer(t *testing.T) {
	for _, test := range []struct{ answer, row, want string }{
		{"1, 2 : USERID : UNIX : alice\r\n", "", "connected plain, method ident, identity alice, role alice, hba:1, trace connect authok"},
		{"1,2:USERID:UNIX:alice\r\n", "", "connected plain, method ident, identity alice, role alice, hba:1, trace connect authok"},
		{"1, 2 : USERID : UNIX : deploy\r\n", "", "refused at ident, map-no-match, channel plain, method ident, identity deploy, hba:1, trace connect authfail"},
		{"1, 2 : USERID : UNIX : deploy\r\n", "hba='host all all all ident map=m' ident='m deploy alice'", "connected plain, method ident, identity deploy, role alice, hba:1, trace connect authok"},
		{"1, 2 : USERID : UNIX : alice \r\n", "", "refused at ident, map-no-match, channel plain, method ident, identity \"alice \", hba:1, trace connect authfail"},
		{"1, 2 : USERID : UNIX : a:b\r\n", "hba='host all all all ident map=m' ident='m a:b alice'", "connected plain, method ident, identity a:b, role alice, hba:1, trace connect authok"},
		{"1, 2 : USERID : UNIX : alice\n", "", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
		{"1, 2 : ERROR : HIDDEN-USER\r\n", "", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
		{"1, 2 : userid : UNIX : alice\r\n", "", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
		{"1, 2 : USERID : alice\r\n", "", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
		{"alice\r\n", "", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
		{"", "ident_server=none", "refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail"},
	} {
		c := cell(set("gssencmode=disable sslmode=disable hba='host all all all ident' ident_server=own"), set(test.row))
		c.World.IdentServers = []matrix.IdentServer{{Name: "own", Answer: test.answer}}
		if got := predict(t, c).Outcome.String(); got != test.want {
			t.Errorf("%q %s\n got %s\nwant %s", test.answer, test.row, got, test.want)
		}
	}
	for _, row := range []string{"ident_server=nothing", "ident_server=own attack=strip"} {
		c := cell(set("gssencmode=disable sslmode=disable hba='host all all all ident' " + row))
		c.World.IdentServers = []matrix.IdentServer{{Name: "own", Answer: "1, 2 : USERID : UNIX : alice\r\n"}}
		if p, err := Predict(c); err == nil {
			t.Errorf("%s: %s, want no prediction", row, p.Outcome)
		}
	}
}
