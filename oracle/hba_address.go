package oracle

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// checkAddress wants the client's address, where the cell gives one, to be one of which everything is known: of a network of the world.
func (a *attempt) checkAddress() error {
	if a.c.Address == "" {
		return nil
	}
	address, err := netip.ParseAddr(a.c.Address)
	if err != nil || address.Zone() != "" || address.Is4In6() {
		return unknown("it is not how the server sees an address", "address=%s", a.c.Address)
	}
	if !slices.ContainsFunc(a.w.Networks, func(n netip.Prefix) bool { return n.Contains(address) }) {
		return unknown("it is in no network of the world", "address=%s", a.c.Address)
	}
	for _, i := range a.w.ServerInterfaces() {
		if i.Addr() == address {
			return unknown("it is the server's own", "address=%s", a.c.Address)
		}
	}
	return nil
}

// takesAddress says whether the client's address is in the record's column (hba.c, check_hba). The result of looking up host names is kept, as
// the server keeps it, from record to record.
func (a *attempt) takesAddress(r *Record, found *lookedUp) (match bool, err error) {
	if r.Conn == "local" {
		return true, nil
	}
	client, err := netip.ParseAddr(a.c.Address)
	if err != nil {
		return r.address.takesUnknown(r)
	}
	switch ad := &r.address; {
	case ad.keyword == "all":
		return true, nil
	case ad.keyword != "":
		return slices.ContainsFunc(a.interfaces(), func(i netip.Prefix) bool {
			bits := i.Bits()
			if ad.keyword == "samehost" {
				bits = i.Addr().BitLen()
			}
			return inRange(client, i.Addr(), maskOf(bits, i.Addr().BitLen()))
		}), nil
	case ad.named():
		return found.takes(ad.host, client, a.w.Names), nil
	default:
		return inRange(client, ad.addr, ad.mask), nil
	}
}

// mayTakeAddress is false if the record's column is known not to have the client's address.
func (a *attempt) mayTakeAddress(r *Record) bool {
	if a.c.Address == "" {
		return true
	}
	var apart lookedUp // this record is not the one that is being matched
	match, err := a.takesAddress(r, &apart)
	return match || err != nil
}

// interfaces are the addresses of the server with the bits of their networks: those in the world's networks, and loopback. It has others, in
// networks that overlap none of the world's.
func (a *attempt) interfaces() []netip.Prefix {
	return append(a.w.ServerInterfaces(), netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128"))
}

// takesUnknown is for a client whose address the harness chooses. What is known of it before a run: it is IPv4, on the server's
// own network, not loopback and not one of the server's.
func (ad *address) takesUnknown(r *Record) (match bool, err error) {
	ones := 0 // leading
	for ones < len(ad.mask)*8 && ad.mask[ones/8]<<(ones%8)&0x80 != 0 {
		ones++
	}
	contiguous := slices.Equal(ad.mask, maskOf(ones, len(ad.mask)*8))
	switch {
	case ad.keyword != "":
		return ad.keyword != "samehost", nil
	case !ad.named() && ad.addr.Is6() && contiguous:
		return false, nil
	case !ad.named() && contiguous && ones == 0:
		return true, nil
	case !ad.named() && contiguous && ones >= 8 && ad.addr.IsLoopback():
		return false, nil
	}
	return false, unknown("the client's address is not known beforehand", "%s: address %s", r.rule(), ad.text)
}

// inRange is hba.c, check_ip, with ip.c, pg_range_sockaddr: addresses of two families never match, and a mask counts bit by bit.
func inRange(client, address netip.Addr, mask []byte) bool {
	if client.Is4() != address.Is4() {
		return false
	}
	c, n := client.AsSlice(), address.AsSlice()
	for i := range mask {
		if (c[i]^n[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// maskOf is the mask of a prefix.
func maskOf(ones, bits int) []byte {
	mask := make([]byte, bits/8)
	for i := range ones {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

// lookedUp is what the server knows of the client's host name (libpq-be.h, Port.remote_hostname and remote_hostname_resolv).
type lookedUp struct {
	tried   bool
	name    string // "": the address has none
	forward forward
}

// forward is the result of looking up the addresses of the name.
type forward int

const (
	notChecked forward = iota
	matches
	differs
	failed
)

// takes is hba.c, check_hostname: the name of the address is compared with the record's, and only where they match is it looked up whether
// the name has the address. After a lookup that failed no host name matches.
func (l *lookedUp) takes(pattern string, client netip.Addr, names []matrix.AddressName) bool {
	if l.forward == differs || l.forward == failed {
		return false
	}
	if !l.tried {
		l.tried = true
		for _, n := range names {
			if n.Address == client {
				l.name = n.Reverse
			}
		}
		if l.name == "" {
			l.forward = failed
			return false
		}
	}
	if !hostNameMatches(pattern, l.name) {
		return false
	}
	if l.forward == matches {
		return true
	}
	l.forward = failed
	for _, n := range names {
		if n.Forward == "" || fold(n.Forward) != fold(l.name) {
			continue
		}
		if n.Address == client {
			l.forward = matches
			return true
		}
		l.forward = differs
	}
	return false
}

// hostNameMatches is hba.c, hostname_match: a pattern with a leading dot is a suffix.
func hostNameMatches(pattern, name string) bool {
	if strings.HasPrefix(pattern, ".") {
		return strings.HasSuffix(fold(name), fold(pattern))
	}
	return fold(name) == fold(pattern)
}

// fold is port/pgstrcasecmp.c for ASCII.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, name)
}

// tellLookup says what the server logs of the lookup where there is no record for the client (auth.c, HOSTNAME_LOOKUP_DETAIL).
func (a *attempt) tellLookup(l lookedUp) {
	if !l.tried {
		return
	}
	text := `Client IP address resolved to "` + l.name + `", `
	switch {
	case l.name == "":
		text = "Could not resolve client IP address to a host name: Name or service not known."
	case l.forward == matches:
		text += "forward lookup matches."
	case l.forward == notChecked:
		text += "forward lookup not checked."
	case l.forward == differs:
		text += "forward lookup does not match."
	default:
		text = `Could not translate client host name "` + l.name + `" to IP address: Name or service not known.`
	}
	a.why("auth.c, ClientAuthentication", "the server logs: "+text)
}
