package matrix

import "net/netip"

// AddressName is how the server resolves an address of a client.
type AddressName struct {
	Address netip.Addr
	Reverse string // the name of the address; "": it has none
	Forward string // a name that has the address; "": none has
}

// ServerInterfaces are the addresses that the server has in the networks of clients, each with the bits of its network: the second address of the
// first network of each family. From the other networks clients reach it, but it has no interface there.
func (w *World) ServerInterfaces() []netip.Prefix { return serverInterfaces(w.Networks) }

func serverInterfaces(networks []netip.Prefix) (interfaces []netip.Prefix) {
	has := map[bool]bool{}
	for _, n := range networks {
		if v4 := n.Addr().Is4(); !has[v4] {
			has[v4] = true
			interfaces = append(interfaces, netip.PrefixFrom(n.Addr().Next().Next(), n.Bits()))
		}
	}
	return interfaces
}

// ServerAddress is the address at which a client with an address of this family reaches the server; ok is false if there is none.
func (w *World) ServerAddress(client netip.Addr) (address netip.Addr, ok bool) {
	for _, i := range w.ServerInterfaces() {
		if i.Addr().Is4() == client.Is4() {
			return i.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// LastAddress is the last address of a network: of an IPv4 network the broadcast address.
func LastAddress(n netip.Prefix) netip.Addr {
	b := n.Addr().AsSlice()
	for i := n.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
