package oracle

import (
	"errors"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestRaw(t *testing.T) {
	play := func(attack string) func(*matrix.Cell) {
		return func(c *matrix.Cell) {
			c.Client.Library, c.Client.Attack = matrix.Raw, matrix.Attack(attack)
			c.World.HBA = "host all scram all scram-sha-256\nhost all bob all gss include_realm=0\nhost all nologin all reject\nhost all all all trust\nlocal all all trust\n"
		}
	}
	const nothing = ", obtains nothing"
	const noDirect = "refused at tls, direct-tls-refused, trace connect directreject" + nothing
	tests := []struct{ attack, change, want string }{
		{"gssenc-in-tls", "server=13", "refused at gssenc, protocol-violation, channel tls, trace connect sslaccept gsserror authfail" + nothing},
		{"gssenc-in-tls", "server=18", "refused at gssenc, protocol-violation, channel tls, trace connect sslaccept gsserror authfail" + nothing},
		{"gssenc-in-tls", "ssl=off", "refused at tls, tls-refused, trace connect sslreject" + nothing},
		{"gssenc-in-tls", "transport=unix", "refused at tls, tls-refused, trace connect sslreject" + nothing},
		{"gssenc-in-direct-tls", "server=17", "refused at gssenc, gss-refused, channel tls, trace connect directaccept gssreject" + nothing},
		{"gssenc-in-direct-tls", "server=16", noDirect},
		{"gssenc-in-direct-tls", "server=18 ssl=off", noDirect},
		{"tls-in-gss", "ticket=valid", "refused at tls, protocol-violation, channel gss, trace connect gssaccept sslerror authfail" + nothing},
		{"tls-in-gss", "ticket=valid keytab=none", ""},
		{"tls-in-gss", "", ""},
		{"alternate", "", "refused at tls, abandoned, trace connect sslaccept" + nothing},
		{"alternate", "ssl=off", "refused at gssenc, abandoned, trace connect sslreject gssaccept" + nothing},
		{"alternate", "transport=unix", "refused at tls, protocol-violation, trace connect sslreject gssreject sslerror authfail" + nothing},
		{"second-startup", "user=scram", "refused at auth, protocol-violation, channel plain, trace connect authfail" + nothing},
		{"second-startup", "user=bob", "refused at auth, protocol-violation, channel plain, trace connect authfail" + nothing},
		{"second-startup", "user=nologin", "refused at hba, hba-reject, channel plain, method reject, hba:3, trace connect authfail" + nothing},
		{"second-startup", "user=alice", "connected plain, method trust, role alice, hba:4, trace connect authok" + nothing},
		{"ssl-with-query", "server=16", "refused at tls, protocol-violation, channel tls, trace connect sslaccept authfail" + nothing},
		{"ssl-with-query", "server=17", "refused at tls, protocol-violation, trace connect sslaccept" + nothing},
		{"ssl-with-startup", "server=13 ssl=off", "refused at tls, protocol-violation, trace connect sslreject authfail" + nothing},
		{"gssenc-with-query", "", "refused at gssenc, abandoned, trace connect gssaccept" + nothing},
		{"gssenc-with-query", "ticket=valid", "refused at gssenc, protocol-violation, channel gss, trace connect gssaccept authfail" + nothing},
		{"gssenc-with-startup", "transport=unix", "refused at gssenc, protocol-violation, trace connect gssreject authfail" + nothing},
		{"gssenc-garbage", "server=13", "refused at gssenc, protocol-violation, trace connect gssaccept" + nothing},
		{"gssenc-garbage", "keytab=none", "refused at gssenc, protocol-violation, trace connect gssaccept" + nothing},
		{"gssenc-garbage", "transport=unix", "refused at gssenc, gss-refused, trace connect gssreject" + nothing},
		{"gssenc-empty", "server=17", "refused at gssenc, abandoned, trace connect gssaccept" + nothing},
		{"gssenc-empty", "keytab=none", ""},
		{"gssenc-oversize", "server=18", "refused at gssenc, protocol-violation, trace connect gssaccept" + nothing},
		{"gssenc-extra-count", "ticket=valid", "refused at gssenc, integrity-check, channel gss, trace connect gssaccept" + nothing},
		{"gssenc-extra-count", "ticket=valid keytab=stale", ""},
		{"gssenc-extra-count", "", ""},
		{"direct-no-alpn", "server=17", "refused at tls, direct-tls-refused, channel tls, trace connect directaccept" + nothing},
		{"direct-no-alpn", "server=15", noDirect},
		{"direct-wrong-alpn", "server=18", "refused at tls, tls-handshake, trace connect directreject" + nothing},
		{"direct-wrong-alpn", "server=18 ssl=off", noDirect},
		{"long-startup", "", "refused at startup, protocol-violation, channel plain, trace connect" + nothing},
		{"protocol-2.0", "server=14", "refused at startup, protocol-violation, channel plain, trace connect authfail" + nothing},
		{"protocol-2.0", "server=13", ""},
		{"protocol-3.9", "", "connected plain, method trust, role alice, hba:4, trace connect authok" + nothing},
		{"protocol-3.9", "user=nobody", "refused at startup, role-missing, channel plain, method trust, hba:4, trace connect authok startfail" + nothing},
		{"protocol-3.9", "user=scram", ""},
		{"strip", "", ""},
		{"none", "", ""},
	}
	tried := map[matrix.Attack]bool{}
	for _, tt := range tests {
		t.Run(tt.attack+"/"+tt.change, func(t *testing.T) {
			tried[matrix.Attack(tt.attack)] = true
			got, err := Predict(cell(play(tt.attack), set(tt.change)))
			if tt.want == "" {
				if gap := (*CannotPredict)(nil); !errors.As(err, &gap) {
					t.Errorf("predicted %s, %v; want a gap", got.Outcome, err)
				}
				return
			}
			if err != nil || got.Outcome.String() != tt.want {
				t.Errorf("got  %s (%v)\nwant %s", got.Outcome, err, tt.want)
			}
			if err := got.Outcome.Validate(); err != nil || len(got.Because) == 0 {
				t.Errorf("%v, because %v", err, got.Because)
			}
		})
	}
	for _, s := range matrix.AttacksOf(matrix.RawClient) {
		if !tried[s.Name] {
			t.Errorf("sequence %s is not tried", s.Name)
		}
	}
}
