package oracle

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// numericHost reads an address as getaddrinfo of glibc does with AI_NUMERICHOST: IPv6 as inet_pton, IPv4 in all forms of inet_aton, one to
// four numbers with dots between them, decimal, octal or hexadecimal. What is no address is a name, or the empty text.
func numericHost(text string) (addr netip.Addr, numeric bool, err error) {
	if strings.Contains(text, "%") {
		return addr, false, unknown("its zone is that of an interface of the server", "address %q", text)
	}
	if strings.Contains(text, ":") {
		addr, err := netip.ParseAddr(text)
		return addr, err == nil, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return addr, false, nil
	}
	var all uint32
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts)) // the last number has the bytes that are left
		}
		n, ok := number(part, bits)
		if !ok {
			return addr, false, nil
		}
		all = uint32(uint64(all)<<bits | n)
	}
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], all)
	return netip.AddrFrom4(bytes), true, nil
}

// number reads a number as C writes it.
func number(text string, bits int) (n uint64, ok bool) {
	base := 10
	if len(text) > 1 && text[0] == '0' {
		base, text = 8, text[1:]
		if text[0] == 'x' || text[0] == 'X' {
			base, text = 16, text[1:]
		}
	}
	if strings.ContainsAny(text, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(text, base, bits)
	return n, err == nil
}
