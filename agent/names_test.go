package agent

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestHostNamesAnswer(t *testing.T) {
	names := HostNames{
		Reverse: map[string]string{"10.20.0.7": "App1.Example.Test", "10.20.0.8": "app2.example.test", "fd00:20::7": "app6"},
		Forward: map[string][]string{"app1.example.test": {"10.20.0.7", "fd00:20::7", "10.20.0.9"}, "app6": {"fd00:20::7"}},
	}
	const reverse6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.d.f.ip6.arpa."
	for _, tt := range []struct {
		name string
		kind dnsmessage.Type
		want string
		code dnsmessage.RCode
	}{
		{"7.0.20.10.in-addr.arpa.", dnsmessage.TypePTR, "App1.Example.Test.", dnsmessage.RCodeSuccess},
		{"7.0.20.10.IN-ADDR.ARPA.", dnsmessage.TypePTR, "App1.Example.Test.", dnsmessage.RCodeSuccess},
		{"9.0.20.10.in-addr.arpa.", dnsmessage.TypePTR, "", dnsmessage.RCodeNameError},
		{strings.Replace(reverse6, ".0.0.2.0.", ".2.0.0.0.", 1), dnsmessage.TypePTR, "", dnsmessage.RCodeNameError},
		{"app1.example.test.", dnsmessage.TypeA, "10.20.0.7 10.20.0.9", dnsmessage.RCodeSuccess},
		{"APP1.example.TEST.", dnsmessage.TypeAAAA, "fd00:20::7", dnsmessage.RCodeSuccess},
		{"app6.", dnsmessage.TypeAAAA, "fd00:20::7", dnsmessage.RCodeSuccess},
		{"app6.", dnsmessage.TypeA, "", dnsmessage.RCodeSuccess}, // it exists, and has no address of the family
		{"app2.example.test.", dnsmessage.TypeA, "", dnsmessage.RCodeNameError},
		{"app1.", dnsmessage.TypeA, "", dnsmessage.RCodeNameError},
		{".", dnsmessage.TypeNS, "", dnsmessage.RCodeNameError},
	} {
		if strings.HasSuffix(tt.name, "ip6.arpa.") && tt.code == dnsmessage.RCodeSuccess && strings.Count(tt.name, ".") != 34 {
			t.Fatalf("%s has not 32 digits", tt.name)
		}
		question := dnsmessage.Question{Name: dnsmessage.MustNewName(tt.name), Type: tt.kind, Class: dnsmessage.ClassINET}
		query, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 4711, RecursionDesired: true}, Questions: []dnsmessage.Question{question}}).Pack()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := names.answer(query)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(packed); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for _, a := range m.Answers {
			switch body := a.Body.(type) {
			case *dnsmessage.PTRResource:
				got = append(got, body.PTR.String())
			case *dnsmessage.AResource:
				got = append(got, netip.AddrFrom4(body.A).String())
			case *dnsmessage.AAAAResource:
				got = append(got, netip.AddrFrom16(body.AAAA).String())
			}
		}
		if strings.Join(got, " ") != tt.want || m.RCode != tt.code || m.ID != 4711 || !m.Response || !slices.Equal(m.Questions, []dnsmessage.Question{question}) {
			t.Errorf("%s %s: %v %s %+v", tt.name, tt.kind, got, m.RCode, m.Header)
		}
	}
	for _, bad := range []string{"", "too short", strings.Repeat("\xff", 20), string(make([]byte, 12))} {
		if answer, err := names.answer([]byte(bad)); err == nil {
			t.Errorf("%q is answered by %q", bad, answer)
		}
	}
}

// TestReverseName: the examples of RFC 1035, 3.5, and RFC 3596, 2.5.
func TestReverseName(t *testing.T) {
	for address, want := range map[string]string{
		"10.2.0.52":               "52.0.2.10.in-addr.arpa",
		"4321:0:1:2:3:4:567:89ab": "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
	} {
		if got := reverseName(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
