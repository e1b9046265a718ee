package oracle

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// netted is a cell of a world with networks, in which the server is 10.20.0.2 and fd00:20::2, and names.
func netted(address, hba string) *matrix.Cell {
	c := cell(set("gssencmode=disable sslmode=disable"), set("hba='"+hba+"'"))
	for _, n := range []string{"10.20.0.0/24", "10.30.0.0/16", "fd00:20::/64", "fd00:30::/64"} {
		c.World.Networks = append(c.World.Networks, netip.MustParsePrefix(n))
	}
	for _, n := range []struct{ address, reverse, forward string }{
		{"10.20.0.7", "App1.Example.Test", "app1.example.test"},
		{"10.20.0.8", "app2.example.test", ""},
		{"10.20.0.9", "", "app3.example.test"},
		{"10.20.0.10", "app1.example.test", ""},
		{"10.20.0.11", "both.example.test", "both.example.test"},
		{"fd00:20::11", "both.example.test", "both.example.test"},
		{"fd00:20::7", "app6", "app6"},
		{"10.20.0.13", "app6", ""},
	} {
		c.World.Names = append(c.World.Names, matrix.AddressName{Address: netip.MustParseAddr(n.address), Reverse: n.reverse, Forward: n.forward})
	}
	c.Client.Address = address
	return c
}

// TestAddresses is the address column for clients whose address is known: hba.c, check_ip, check_same_host_or_net, check_hostname.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ column, matches, not string }{
		{"all", "10.20.0.7 10.30.5.9 fd00:20::7 fd00:30::7", ""},
		{`"all"`, "", "10.20.0.7 fd00:20::7"}, // a host of that name
		{"samenet", "10.20.0.7 10.20.0.254 fd00:20::7", "10.30.5.9 fd00:30::7"},
		{"samehost", "", "10.20.0.7 10.30.5.9 fd00:20::7"},

		{"10.0.0.0/8", "10.20.0.7 10.30.5.9", "fd00:20::7"},
		{"10.20.0.0/24", "10.20.0.7", "10.30.5.9 fd00:20::7"},
		{"10.20.0.99/24", "10.20.0.7", "10.30.5.9"}, // host bits
		{"10.20.0.7/32", "10.20.0.7", "10.20.0.8"},
		{"10.20.0.7/31", "10.20.0.7 10.20.0.6", "10.20.0.8"},
		{"0.0.0.0/0", "10.20.0.7 10.30.5.9", "fd00:20::7"},
		{"10.20.0.7/0", "10.30.5.9", "fd00:20::7"},
		{"127.0.0.1/8", "", "10.20.0.7"},
		{"172.16.0.0/12", "", "10.20.0.7"},

		{"10.20.0.0 255.255.255.0", "10.20.0.7", "10.30.5.9"},
		{"10.20.0.99 255.255.255.0", "10.20.0.7", "10.30.5.9"},
		{"10.20.0.7 255.255.255.255", "10.20.0.7", "10.20.0.8"},
		{"0.0.0.0 0.0.0.0", "10.20.0.7 10.30.5.9", "fd00:20::7"},
		// Not contiguous: bit by bit.
		{"10.0.0.7 255.0.0.255", "10.20.0.7 10.30.5.7", "10.20.0.8 10.30.5.9"},
		{"0.0.0.1 0.0.0.1", "10.20.0.7 10.30.5.9", "10.20.0.8"},
		{"10.0.0.0 255.21.0.0", "10.32.0.1", "10.20.0.7"},
		{"fd00:20::7 ffff:ffff::ffff", "fd00:20::7", "fd00:20::8 fd00:30::7 10.20.0.7"},

		{"::/0", "fd00:20::7 fd00:30::7", "10.20.0.7"},
		{"::0/0", "fd00:20::7", "10.20.0.7"},
		{"fd00:20::/64", "fd00:20::7", "fd00:30::7 10.20.0.7"},
		{"fd00:20::99/64", "fd00:20::7", "fd00:30::7"},
		{"fd00:20::7/128", "fd00:20::7", "fd00:20::8"},
		{"fd00:: ff00::", "fd00:20::7 fd00:30::7", "10.20.0.7"},
		{"FD00:20:0::/64", "fd00:20::7", "fd00:30::7"},
		{"::1/128", "", "fd00:20::7"},
		// Mapped addresses are IPv6: the server has a socket for each family.
		{"::ffff:10.20.0.0/120", "", "10.20.0.7 fd00:20::7"},
		{"::ffff:0:0/96", "", "10.20.0.7"},

		{"app1.example.test", "10.20.0.7", "10.20.0.8 10.20.0.9 10.20.0.10 10.20.0.12 fd00:20::7"},
		{"APP1.EXAMPLE.TEST", "10.20.0.7", "10.20.0.10"},
		{"app1", "", "10.20.0.7"},
		{"example.test", "", "10.20.0.7"},
		{".example.test", "10.20.0.7 10.20.0.11 fd00:20::11", "10.20.0.8 10.20.0.9 10.20.0.10 10.20.0.12 fd00:20::7"},
		{".Test", "10.20.0.7", "fd00:20::7"},
		{"ample.test", "", "10.20.0.7"},
		{".ample.test", "", "10.20.0.7"}, // the dot is part of the suffix
		{"app2.example.test", "", "10.20.0.8"},
		{"app3.example.test", "", "10.20.0.9"},
		{"both.example.test", "10.20.0.11 fd00:20::11", "10.20.0.7"},
		{`""`, "", "10.20.0.7 10.20.0.9 10.20.0.12 fd00:20::7"}, // no client has an empty name
		{"app6", "fd00:20::7", "10.20.0.13"},                    // the name has addresses of the other family only
		{"localhost", "", "10.20.0.7 10.20.0.12 fd00:20::7"},
	} {
		for want, addresses := range map[bool]string{true: tt.matches, false: tt.not} {
			for _, address := range strings.Fields(addresses) {
				c := netted(address, "host all all "+tt.column+" trust; host all all all reject")
				if !strings.HasPrefix(address, "10.20.") && !strings.HasPrefix(address, "10.30.") && strings.HasPrefix(address, "10.") {
					c.World.Networks = append(c.World.Networks, netip.PrefixFrom(netip.MustParseAddr(address), 16).Masked())
				}
				p := predict(t, c)
				if got := p.Outcome.Rule == "pg_hba.conf:1"; got != want {
					t.Errorf("%s from %s: %s%s", tt.column, address, p.Outcome, explain(p))
				}
			}
		}
	}
}

// TestSameNetIsByFamily: where the first network of a family is another one, so is samenet.
func TestSameNetIsByFamily(t *testing.T) {
	c := netted("10.30.5.9", "host all all samenet trust")
	c.World.Networks[0], c.World.Networks[1] = c.World.Networks[1], c.World.Networks[0]
	if p := predict(t, c); p.Outcome.End != matrix.Connected {
		t.Errorf("%s%s", p.Outcome, explain(p))
	}
}

// TestLookups: what the server logs of the lookups of a client for which there is no record (auth.c, HOSTNAME_LOOKUP_DETAIL).
func TestLookups(t *testing.T) {
	for _, tt := range []struct{ name, address, hba, want string }{
		{"no host name in the rules", "10.20.0.7", "host all all 10.30.0.0/16 trust", ""},
		{"another name", "10.20.0.7", "host all all app2.example.test trust", `Client IP address resolved to "App1.Example.Test", forward lookup not checked.`},
		{"the name, for another user", "10.20.0.7", "host all bob app1.example.test trust", `Client IP address resolved to "App1.Example.Test", forward lookup matches.`},
		{"the name, for another database", "10.20.0.7", "host template1 all .test trust", `Client IP address resolved to "App1.Example.Test", forward lookup matches.`},
		{"the name, on another channel", "10.20.0.7", "hostssl all all app1.example.test trust", ""},
		{"the name of another", "10.20.0.10", "host all all app1.example.test trust", `Client IP address resolved to "app1.example.test", forward lookup does not match.`},
		{"a name without addresses", "10.20.0.8", "host all all app2.example.test trust", `Could not translate client host name "app2.example.test" to IP address: Name or service not known.`},
		{"no name", "10.20.0.9", "host all all app3.example.test trust", "Could not resolve client IP address to a host name: Name or service not known."},
		{"after a lookup that failed", "10.20.0.10", "host all all app1.example.test trust; host all all other trust", `Client IP address resolved to "app1.example.test", forward lookup does not match.`},
	} {
		p := predict(t, netted(tt.address, tt.hba))
		if p.Outcome.Reason != matrix.NoHBAEntry {
			t.Errorf("%s: %s%s", tt.name, p.Outcome, explain(p))
		}
		got := ""
		for _, b := range p.Because {
			if text, ok := strings.CutPrefix(b.Text, "the server logs: "); ok {
				got = text
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	// A record that rejects does not tell.
	if p := predict(t, netted("10.20.0.7", "host all all app2.example.test trust; host all all all reject")); strings.Contains(explain(p), "the server logs") {
		t.Errorf("%s%s", p.Outcome, explain(p))
	}
}

func TestFirstRecordByAddress(t *testing.T) {
	hba := "host all all 10.20.0.8/32 reject; host all all ::/0 reject; hostssl all all 10.20.0.0/24 trust; host all all other.example.test reject; host all all 10.20.0.0/24 trust"
	p := predict(t, netted("10.20.0.7", hba))
	if p.Outcome.Rule != "pg_hba.conf:5" || p.Outcome.End != matrix.Connected {
		t.Errorf("%s%s", p.Outcome, explain(p))
	}
	// A record for another network explains nothing.
	p = predict(t, netted("10.20.0.7", "hostssl all all 10.30.0.0/16 trust; hostssl all all 10.20.0.0/24 trust"))
	if !strings.Contains(explain(p), "line 2 is hostssl") || !strings.Contains(explain(p), "from 10.20.0.7") {
		t.Error(explain(p))
	}
}

// TestUnknownAddress: without an address of its own the client has one that is not known.
func TestUnknownAddress(t *testing.T) {
	for _, tt := range []struct {
		column string
		match  bool
		known  bool
	}{
		{"all", true, true}, {"samenet", true, true}, {"samehost", false, true}, {"0.0.0.0/0", true, true}, {"::/0", false, true}, {"127.0.0.0/8", false, true},
		{"fd00::/8", false, true}, {"fd00:: ff00::", false, true}, {"0.0.0.0 0.0.0.0", true, true},
		{"10.0.0.0/8", false, false}, {"10.0.0.0 255.0.0.255", false, false}, {"127.0.0.0/7", false, false}, {"app1.example.test", false, false}, {".test", false, false},
		{"localhost", false, false}, {`""`, false, false}, {"fd00:: ff00::ff", false, false},
	} {
		for _, c := range []*matrix.Cell{cell(set("hba='host all all " + tt.column + " trust; host all all all reject'")), netted("", "host all all "+tt.column+" trust; host all all all reject")} {
			p, err := Predict(c)
			var gap *CannotPredict
			if errors.As(err, &gap) == tt.known {
				t.Errorf("%s: %v", tt.column, err)
			}
			if err == nil && (p.Outcome.Rule == "pg_hba.conf:1") != tt.match {
				t.Errorf("%s: %s", tt.column, p.Outcome)
			}
		}
	}
}

func TestAddressesThatNoClientHas(t *testing.T) {
	for address, want := range map[string]string{
		"10.40.0.7": "address=10.40.0.7: it is in no network of the world", "10.20.0.2": "address=10.20.0.2: it is the server's own", "fd00:20::2": "it is the server's own",
		"app1": "it is not how the server sees an address", "::ffff:10.20.0.7": "it is not how the server sees an address", "fe80::1%eth0": "it is not how the server sees an address",
	} {
		if _, err := Predict(netted(address, "host all all all trust")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}

func TestIdent(t *testing.T) {
	checkRows(t, "gssencmode=disable sslmode=disable", `
hba='host all all all ident; host all all all trust' => refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail
hba='host all all all ident map=m' ident='m alice alice' password=right => refused at auth, peer-mismatch, channel plain, method ident, hba:1, trace connect authfail
`)
}
