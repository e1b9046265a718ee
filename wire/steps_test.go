package wire

import (
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	hello := c(record(22, hello13))
	plain := c(startup(3<<16, "user", "alice"))
	for _, tc := range []struct {
		name  string
		talks [][]said
		want  string
	}{
		{"plain", [][]said{{plain, s(authOK, ready)}}, "connect authok"},
		{"all refused on one connection", [][]said{{c(gssencRequest), s(str("N")), c(sslRequest), s(str("N")), plain, s(authOK, ready)}},
			"connect gssreject sslreject authok"},
		{"GSS fails, TLS, then plain fails", [][]said{
			{c(gssencRequest), s(str("G")), c(apReq)}, {c(sslRequest), s(str("S")), hello, s(sealed)}, {plain, s(authGSS, noHBA)}},
			"connect gssaccept reconnect sslaccept reconnect authfail"},
		{"error inside GSS set-up is no answer", [][]said{{c(gssencRequest), s(str("G")), c(apReq), s(noHBA)}}, "connect gssaccept"},
		{"answered with an error", [][]said{{c(gssencRequest), s(noHBA)}, {c(sslRequest), s(str("Eno fork\x00"))}},
			"connect gsserror reconnect sslerror"},
		{"not answered", [][]said{{c(gssencRequest)}, {c(sslRequest)}, {c(sslRequest, plain.b)}}, "connect gsserror reconnect sslerror reconnect sslerror"},
		{"answered with the other letter", [][]said{{c(gssencRequest), s(str("S"))}, {c(sslRequest), s(str("G"))}}, "connect gsserror reconnect sslerror"},
		{"answered with nonsense", [][]said{{c(sslRequest), s(str("H"))}}, "connect sslerror"},
		{"direct", [][]said{{hello, s(record(22, retryHello)), hello, s(record(22, serverHi13), sealed)}}, "connect directaccept"},
		{"direct, refused by alert, by silence, by an error", [][]said{{hello, s(record(21, []byte{2, 120}))}, {hello}, {hello, s(noHBA)}},
			"connect directreject reconnect directreject reconnect directreject"},
		{"after authentication", [][]said{{plain, s(authOK, errorResponse("C3D000", "Mno database"))}}, "connect authok startfail"},
		{"error within a session", [][]said{{plain, s(authOK, ready, noHBA)}}, "connect authok"},
		{"error before a startup packet", [][]said{{s(noHBA)}}, "connect"},
		{"nothing sent", [][]said{{}}, "connect"},
		{"no connection", nil, ""},
	} {
		var records []Record
		for _, talk := range tc.talks {
			p, _ := follow(t, talk, true, whole)
			records = append(records, Record{Events: append([]Event{{Kind: Open, From: "relay"}}, p.events...)})
		}
		if got := strings.Join(Steps(records), " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	failed := []Record{{Events: []Event{{Kind: DialFailed, From: "relay"}}}, {Events: []Event{{Kind: Open, From: "relay"}}}}
	if got := strings.Join(Steps(failed), " "); got != "connect" {
		t.Errorf("a connection that did not reach the server, then one that did: %s, want connect", got)
	}
}
