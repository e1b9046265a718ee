package matrix

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const (
	network   = top + "  network: [10.20.0.0/24, fd00:20::/64]\n"
	addressed = "client:\n  address: 10.20.0.7\n"
)

// networkMistakes are mistakes in the keys network, names and address.
var networkMistakes = []mistake{
	{"no network at all",
		top + "  network: 10.20.0\n" + addressed,
		`a/b.yaml:5:12: "10.20.0" is no network; want an address, a slash and the number of bits, as in 10.20.0.0/24`},
	{"network without bits",
		top + "  network: 10.20.0.0\n" + addressed,
		`a/b.yaml:5:12: "10.20.0.0" is no network; want an address, a slash and the number of bits, as in 10.20.0.0/24`},
	{"network with host bits",
		top + "  network: 10.20.0.7/24\n" + addressed,
		"a/b.yaml:5:12: the network 10.20.0.7/24 has bits that its prefix does not cover; write 10.20.0.0/24"},
	{"network written in another way",
		top + "  network: FD00:20:0::/64\nclient:\n  address: fd00:20::7\n",
		"a/b.yaml:5:12: FD00:20:0::/64 is not how the network is written; write fd00:20::/64"},
	{"network without place for a client",
		top + "  network: 10.20.0.0/31\n" + addressed,
		"a/b.yaml:5:12: the network 10.20.0.0/31 has a prefix of 31 bits; want 8 to 30 bits"},
	{"network of everybody",
		top + "  network: ::/0\n" + addressed,
		"a/b.yaml:5:12: the network ::/0 has a prefix of 0 bits; want 16 to 126 bits"},
	{"loopback",
		top + "  network: 127.0.0.0/8\n" + addressed,
		"a/b.yaml:5:12: no host has an address of 127.0.0.0/8 to connect from; want a network of unicast addresses, as in 10.20.0.0/24"},
	{"multicast",
		top + "  network: 224.0.0.0/8\n" + addressed,
		"a/b.yaml:5:12: no host has an address of 224.0.0.0/8 to connect from; want a network of unicast addresses, as in 10.20.0.0/24"},
	{"above multicast",
		top + "  network: 240.0.0.0/8\n" + addressed,
		"a/b.yaml:5:12: no host has an address of 240.0.0.0/8 to connect from; want a network of unicast addresses, as in 10.20.0.0/24"},
	{"link-local",
		top + "  network: fe80::/64\n" + addressed,
		"a/b.yaml:5:12: no host has an address of fe80::/64 to connect from; want a network of unicast addresses, as in 10.20.0.0/24"},
	{"IPv4 in IPv6",
		top + "  network: ::ffff:10.20.0.0/120\n" + addressed,
		"a/b.yaml:5:12: the network ::ffff:10.20.0.0/120 is IPv4 mapped into IPv6; write the IPv4 network"},
	{"networks that overlap",
		top + "  network: [10.20.0.0/24, 10.0.0.0/8]\n" + addressed,
		"a/b.yaml:5:27: the networks 10.20.0.0/24 and 10.0.0.0/8 overlap; keep one of the two"},
	{"network a mapping",
		top + "  network: {a: b}\n" + addressed,
		"a/b.yaml:5:12: network is a mapping; want text or a list"},
	{"network for nobody",
		network,
		"a/b.yaml:5:12: network is named, and no client has an address; name addresses under client, as in address: 10.20.0.3"},
	{"address without a network",
		top + addressed,
		"a/b.yaml:6:12: the address 10.20.0.7 is in no network; name its network under world, as in network: 10.20.0.0/24"},
	{"address outside",
		network + "client:\n  address: [10.20.0.7, 10.20.1.7]\n",
		"a/b.yaml:7:24: the address 10.20.1.7 is in no network; want an address of 10.20.0.0/24 or fd00:20::/64"},
	{"address of a family without a network",
		top + "  network: 10.20.0.0/24\nclient:\n  address: [10.20.0.7, fd00:20::7]\n",
		"a/b.yaml:7:24: the address fd00:20::7 is in no network: none of them is IPv6; add its network, as in network: [10.20.0.0/24, fd00:20::/64]"},
	{"addresses that no client has",
		network + "client:\n  address: [10.20.0.0, 10.20.0.2, 10.20.0.255, fd00:20::, fd00:20::2]\n",
		"a/b.yaml:7:13: the address 10.20.0.0 is that of the network itself; want another address of 10.20.0.0/24\n" +
			"a/b.yaml:7:24: the address 10.20.0.2 is the server's; want another address of 10.20.0.0/24\n" +
			"a/b.yaml:7:35: the address 10.20.0.255 is the network's broadcast address; want another address of 10.20.0.0/24\n" +
			"a/b.yaml:7:48: the address fd00:20:: is that of the network itself; want another address of fd00:20::/64\n" +
			"a/b.yaml:7:59: the address fd00:20::2 is the server's; want another address of fd00:20::/64"},
	{"no address at all",
		network + "client:\n  address: [10.20.0.7, 10.20.0.256]\n",
		`a/b.yaml:7:24: "10.20.0.256" is no address; want an IPv4 or IPv6 address, as in 10.20.0.7`},
	{"address written in another way",
		network + "client:\n  address: fd00:20:0::7\n",
		"a/b.yaml:7:12: fd00:20:0::7 is not how the address is written; write fd00:20::7"},
	{"IPv4 address in IPv6",
		network + "client:\n  address: ::ffff:10.20.0.7\n",
		"a/b.yaml:7:12: ::ffff:10.20.0.7 is not how the address is written; write 10.20.0.7"},
	{"address with a zone",
		network + "client:\n  address: fd00:20::7%eth0\n",
		"a/b.yaml:7:12: the address fd00:20::7%eth0 has a zone; want an address of one of the networks"},
	{"all addresses",
		network + "client:\n  address: all\n",
		"a/b.yaml:7:12: address has no closed list that all could stand for; name the values"},
	{"address on a socket",
		network + addressed + "  transport: unix\n",
		"a/b.yaml:2:1: no client can express any cell: the client of a unix-domain socket has no address; name a library that can"},
	{"row of an address that no cell has",
		network + addressed + "expect:\n  - when: {address: 10.20.0.8}\n    then: connected\n",
		"a/b.yaml:9:21: the scenario has no address=10.20.0.8; want 10.20.0.7"},
	{"names without a network",
		top + "  names: {10.20.0.7: app1.example.test}\n",
		"a/b.yaml:5:10: names are named, and no network; name the network of the addresses under world, as in network: 10.20.0.0/24"},
	{"names a list",
		network + "  names: [app1]\n" + addressed,
		"a/b.yaml:6:10: names is a list; want a mapping"},
	{"name of no address",
		network + "  names: {app1.example.test: 10.20.0.7}\n" + addressed,
		`a/b.yaml:6:11: "app1.example.test" is no address; want an IPv4 or IPv6 address, as in 10.20.0.7`},
	{"name of an address outside",
		network + "  names: {10.21.0.7: app1.example.test}\n" + addressed,
		"a/b.yaml:6:11: the address 10.21.0.7 is in no network; want an address of 10.20.0.0/24 or fd00:20::/64"},
	{"names of one address twice",
		network + "  names:\n    10.20.0.7: app1\n    10.20.0.7: app2\n" + addressed,
		`a/b.yaml:8:5: address "10.20.0.7" is there twice; keep this one or the one in line 7`},
	{"no host name",
		network + "  names: {10.20.0.7: app_1.example.test}\n" + addressed,
		`a/b.yaml:6:22: "app_1.example.test" is no host name; want letters, digits, hyphens and dots, as in app1.example.test`},
	{"a name like an address",
		network + "  names: {10.20.0.7: 10.20.0.8}\n" + addressed,
		`a/b.yaml:6:22: "10.20.0.8" is no host name; want letters, digits, hyphens and dots, as in app1.example.test`},
	{"the server's names",
		network + "  names: {10.20.0.7: {reverse: localhost, forward: PG.example.test}}\n" + addressed,
		"a/b.yaml:6:32: localhost is a name of the server's own; choose another\n" +
			"a/b.yaml:6:52: PG.example.test is a name of the server's own; choose another"},
	{"unknown key of a name",
		network + "  names: {10.20.0.7: {revers: app1}}\n" + addressed,
		`a/b.yaml:6:23: unknown key "revers" of a name; did you mean "reverse"?`},
	{"a name that is none",
		network + "  names: {10.20.0.7: {}}\n" + addressed,
		"a/b.yaml:6:22: 10.20.0.7 has no name; want a name, or {reverse: NAME, forward: NAME} with one of the two or both"},
	{"name a list",
		network + "  names: {10.20.0.7: [a, b]}\n" + addressed,
		"a/b.yaml:6:22: the name of 10.20.0.7 is a list; want text or a mapping"},
}

func init() {
	mistakes = append(mistakes, networkMistakes...)
	for _, name := range []string{ // what an address means, a schema cannot know
		"network with host bits", "network without place for a client", "network of everybody", "loopback", "multicast", "above multicast", "link-local",
		"networks that overlap", "network for nobody", "address without a network", "address outside", "address of a family without a network",
		"addresses that no client has", "no address at all", "address written in another way", "address on a socket",
		"row of an address that no cell has", "names without a network", "name of an address outside", "the server's names",
	} {
		onlyLoadKnows[name] = true
	}
}

func TestLoadNetworksAndNames(t *testing.T) {
	s := load(t, top+`  network: [10.20.0.0/24, 10.30.0.0/16, "fd00:20::/64"]
  names:
    10.20.0.7: App1.Example.Test
    10.30.0.8: {reverse: app2.example.test}
    "fd00:20::7": {forward: app3, reverse: app4}
client:
  address: [default, 10.20.0.7, fd00:20::7]
`)
	if got, want := fmt.Sprint(s.Networks), "[10.20.0.0/24 10.30.0.0/16 fd00:20::/64]"; got != want {
		t.Errorf("networks %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(s.Names), "[{10.20.0.7 App1.Example.Test App1.Example.Test} {10.30.0.8 app2.example.test } {fd00:20::7 app4 app3}]"; got != want {
		t.Errorf("names %s, want %s", got, want)
	}
	cells := s.Expand()
	var ids, addresses []string
	for _, c := range cells {
		ids, addresses = append(ids, c.ID[strings.LastIndex(c.ID, "/")+1:]), append(addresses, c.Client.Address)
	}
	if got, want := strings.Join(ids, " "), "address=default address=10.20.0.7 address=fd00%3A20%3A%3A7"; got != want {
		t.Errorf("IDs %s, want %s", got, want)
	}
	if got, want := strings.Join(addresses, " "), " 10.20.0.7 fd00:20::7"; got != want {
		t.Errorf("addresses %q, want %q", got, want)
	}
	w := cells[0].World
	if got, want := fmt.Sprint(w.ServerInterfaces()), "[10.20.0.2/24 fd00:20::2/64]"; got != want {
		t.Errorf("the server has %s, want %s", got, want)
	}
	for client, want := range map[string]string{"10.30.0.8": "10.20.0.2", "fd00:20::7": "fd00:20::2"} {
		if got, ok := w.ServerAddress(netip.MustParseAddr(client)); !ok || got.String() != want {
			t.Errorf("from %s the server is %s, %t, want %s", client, got, ok, want)
		}
	}
	if got, ok := (&World{Networks: w.Networks[:1]}).ServerAddress(netip.MustParseAddr("fd00:20::7")); ok {
		t.Errorf("a server without IPv6 has the address %s", got)
	}
}

// TestNetworkKeys: a network needs an Env of its own, a name does not; a world without them has the keys that it always had.
func TestNetworkKeys(t *testing.T) {
	none := World{Server: 18, SSL: "on", Host: DefaultHost, HBA: "x"}
	netted := none
	netted.Networks = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24")}
	named := netted
	named.Names = []AddressName{{netip.MustParseAddr("10.20.0.7"), "app1", ""}}
	renamed := netted
	renamed.Names = []AddressName{{netip.MustParseAddr("10.20.0.7"), "", "app1"}}
	if got, want := none.Key(), `pg18 host=pg.example.test ssl=on cert= keytab= hba="x" ident=""`; got != want {
		t.Errorf("the key of a world without a network is %s, want %s", got, want)
	}
	if netted.EnvKey() == none.EnvKey() || netted.EnvKey() != named.EnvKey() {
		t.Errorf("EnvKeys %q, %q, %q", none.EnvKey(), netted.EnvKey(), named.EnvKey())
	}
	if netted.Key() == named.Key() || named.Key() == renamed.Key() {
		t.Errorf("Keys %q, %q, %q", netted.Key(), named.Key(), renamed.Key())
	}
}

func TestBroadcast(t *testing.T) {
	for network, want := range map[string]string{"10.20.0.0/24": "10.20.0.255", "10.0.0.0/9": "10.127.255.255", "10.20.0.4/30": "10.20.0.7", "fd00::/126": "fd00::3"} {
		if got := LastAddress(netip.MustParsePrefix(network)); got.String() != want {
			t.Errorf("%s ends with %s, want %s", network, got, want)
		}
	}
}
