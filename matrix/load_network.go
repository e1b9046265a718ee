package matrix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkAddress says what is wrong with the text of an address, and what would be right; nothing if it is one as Addr.String writes it: an
// address has one text, or two cells were the same.
func checkAddress(text string) (wrong, right string) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is no address", text), "want an IPv4 or IPv6 address, as in 10.20.0.7"
	case a.Zone() != "":
		return fmt.Sprintf("the address %s has a zone", text), "want an address of one of the networks"
	case a.Is4In6() || a.String() != text:
		return fmt.Sprintf("%s is not how the address is written", text), "write " + a.Unmap().String()
	}
	return "", ""
}

// The lengths of prefixes that leave room for a server and a client, and not for the whole of a family.
const (
	shortest4, longest4 = 8, 30
	shortest6, longest6 = 16, 126
)

// checkNetwork is checkAddress for a network.
func checkNetwork(text string) (n netip.Prefix, wrong, right string) {
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return n, fmt.Sprintf("%q is no network", text), "want an address, a slash and the number of bits, as in 10.20.0.0/24"
	}
	shortest, longest := shortest4, longest4
	if n.Addr().Is6() {
		shortest, longest = shortest6, longest6
	}
	a := n.Masked().Addr()
	switch {
	case n.Addr().Is4In6():
		return n, fmt.Sprintf("the network %s is IPv4 mapped into IPv6", text), "write the IPv4 network"
	case n.Bits() < shortest || n.Bits() > longest:
		return n, fmt.Sprintf("the network %s has a prefix of %d bits", text, n.Bits()), fmt.Sprintf("want %d to %d bits", shortest, longest)
	case a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Is4() && a.As4()[0] >= 240 || a.Is4() && a.As4()[0] == 0:
		return n, fmt.Sprintf("no host has an address of %s to connect from", text), "want a network of unicast addresses, as in 10.20.0.0/24"
	case n.Masked() != n:
		return n, fmt.Sprintf("the network %s has bits that its prefix does not cover", text), "write " + n.Masked().String()
	case n.String() != text:
		return n, fmt.Sprintf("%s is not how the network is written", text), "write " + n.String()
	}
	return n, "", ""
}

// network reads the networks, and checks the addresses of clients against them.
func (l *loading) network(v *value) {
	before := len(l.problems)
	if v != nil {
		for _, item := range l.scalars(v, "network") {
			n, wrong, right := checkNetwork(item.text)
			overlaps := slices.IndexFunc(l.Networks, n.Overlaps)
			switch {
			case wrong != "":
				l.problem(item.position, wrong, right)
			case overlaps >= 0:
				l.problem(item.position, fmt.Sprintf("the networks %s and %s overlap", l.Networks[overlaps], n), "keep one of the two")
			default:
				l.Networks = append(l.Networks, n)
			}
		}
	}
	addresses := l.words["address"]
	switch {
	case len(l.problems) > before:
	case v != nil && len(l.Networks) > 0 && addresses == nil:
		l.problem(v.position, "network is named, and no client has an address", fmt.Sprintf("name addresses under client, as in address: %s", l.Networks[0].Addr().Next().Next().Next()))
	case addresses != nil && !l.bad["address"]:
		for _, a := range l.scalars(addresses, "address") {
			if a.text != NotGiven {
				l.checkInNetworks(a.position, a.text)
			}
		}
	}
}

// checkInNetworks reports an address that no client can have.
func (l *loading) checkInNetworks(at position, text string) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return // reported before
	}
	if len(l.Networks) == 0 {
		l.problem(at, fmt.Sprintf("the address %s is in no network", a), "name its network under world, as in network: 10.20.0.0/24")
		return
	}
	n := slices.IndexFunc(l.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
	if n < 0 {
		family := "IPv6"
		if a.Is4() {
			family = "IPv4"
		}
		if _, ok := (&World{Networks: l.Networks}).ServerAddress(a); !ok {
			l.problem(at, fmt.Sprintf("the address %s is in no network: none of them is %s", a, family), "add its network, as in network: [10.20.0.0/24, fd00:20::/64]")
			return
		}
		l.problem(at, fmt.Sprintf("the address %s is in no network", a), "want an address of "+orList(prefixNames(l.Networks)))
		return
	}
	network := l.Networks[n]
	what := ""
	switch {
	case a == network.Addr():
		what = "that of the network itself"
	case a.Is4() && a == LastAddress(network):
		what = "the network's broadcast address"
	case slices.ContainsFunc(serverInterfaces(l.Networks), func(s netip.Prefix) bool { return s.Addr() == a }):
		what = "the server's"
	default:
		return
	}
	l.problem(at, fmt.Sprintf("the address %s is %s", a, what), "want another address of "+network.String())
}

func prefixNames(networks []netip.Prefix) (names []string) {
	for _, n := range networks {
		names = append(names, n.String())
	}
	return names
}

func networkSchema() object {
	return oneOrMore(object{"type": "string", "pattern": `^(` + ipv4Pattern + `|` + ipv6Pattern + `)/[0-9]+$`})
}

// What an editor can check of an address.
const (
	ipv4Pattern = `[0-9]+(\.[0-9]+){3}`
	ipv6Pattern = `[0-9a-f:]*:[0-9a-f:]*`
)

// addressSchema is of the values of axis address.
func addressSchema() object {
	return object{"type": "string", "pattern": `^(` + strings.Join([]string{ipv4Pattern, ipv6Pattern, NotGiven}, "|") + `)$`}
}
