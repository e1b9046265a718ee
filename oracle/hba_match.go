package oracle

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// address says whether the client container's address is in a record's range. What is known of that address before a run: it
// is IPv4, on the server's own network, not loopback and not one of the server's.
type address struct {
	text   string
	match  bool
	undone bool // it depends on the address itself, which is not known
	addr   netip.Addr
}

func parseAddress(t token) (a address, needsMask bool, message string, err error) {
	a.text = t.text
	switch {
	case t.keyword("all"), t.keyword("samenet"):
		a.match = true
		return a, false, "", nil
	case t.keyword("samehost"):
		return a, false, "", nil
	}
	host, bits, cidr := strings.Cut(t.text, "/")
	var numeric bool
	if a.addr, numeric, err = numericHost(host); err != nil {
		return a, false, "", err
	}
	if !numeric {
		if cidr {
			return a, false, fmt.Sprintf(`specifying both host name and CIDR mask is invalid: "%s"`, t.text), nil
		}
		a.undone = true // a host name: the server would look it up
		return a, false, "", nil
	}
	if !cidr {
		return a, true, "", nil
	}
	n, err := strconv.Atoi(strings.TrimLeft(bits, " \t\n\v\f\r")) // as strtol
	if err != nil || n < 0 || n > a.addr.BitLen() {
		return a, false, fmt.Sprintf(`invalid CIDR mask in address "%s"`, t.text), nil
	}
	a.decide(netip.PrefixFrom(a.addr, n).Masked())
	return a, false, "", nil
}

func (a *address) setMask(mask string) (message string, err error) {
	m, numeric, err := numericHost(mask)
	if err != nil {
		return "", err
	}
	if !numeric {
		return fmt.Sprintf(`invalid IP mask "%s": Name or service not known`, mask), nil // the end of it is glibc's
	}
	if m.Is4() != a.addr.Is4() {
		return "IP address and mask do not match", nil
	}
	a.text += " " + mask
	n := 0
	for _, b := range m.AsSlice() {
		for bit := 7; bit >= 0 && b>>bit&1 == 1; bit-- {
			n++
		}
		if b != 0xff {
			break
		}
	}
	if p, _ := m.Prefix(n); p.Addr() != m {
		a.undone = true // not contiguous: the server takes it bit by bit
		return "", nil
	}
	a.decide(netip.PrefixFrom(a.addr, n).Masked())
	return "", nil
}

// decide for a prefix. The server compares only addresses of one family (hba.c, check_ip).
func (a *address) decide(p netip.Prefix) {
	switch {
	case p.Addr().Is6():
	case p.Bits() == 0:
		a.match = true
	case p.Bits() >= 8 && p.Addr().IsLoopback():
	default:
		a.undone = true
	}
}

// match finds the first record for a startup packet (hba.c, check_hba). Record nil: there is none. The second record is the
// first that would match on another channel: it explains the result.
func (a *attempt) match(ch matrix.Channel) (found, otherwise *Record, err error) {
	for i := range a.rules.hba {
		r := &a.rules.hba[i]
		if (r.Conn == "local") != a.unix() || !a.databaseMatches(r) || !a.userMatches(r.users, a.c.User) {
			continue
		}
		if !a.takesChannel(r, ch) {
			if otherwise == nil {
				otherwise = r
			}
			continue
		}
		if r.address.undone {
			return nil, nil, unknown("the client's address is not known beforehand", "%s: address %s", r.rule(), r.address.text)
		}
		if r.Conn == "local" || r.address.match {
			return r, otherwise, nil
		}
	}
	return nil, otherwise, nil
}

// takesChannel: hostssl and hostnossl look only at TLS, hostgssenc and hostnogssenc only at GSS.
func (a *attempt) takesChannel(r *Record, ch matrix.Channel) bool {
	switch r.Conn {
	case "hostssl":
		return ch == matrix.TLS
	case "hostnossl":
		return ch != matrix.TLS
	case "hostgssenc":
		return ch == matrix.GSS
	case "hostnogssenc":
		return ch != matrix.GSS
	}
	return true
}

func (a *attempt) databaseMatches(r *Record) bool {
	for _, t := range r.databases {
		switch {
		case t.keyword("all"):
			return true
		case t.keyword("sameuser"):
			if a.c.Database == a.c.User {
				return true
			}
		case t.keyword("samerole"), t.keyword("samegroup"):
			if a.isMember(a.c.User, a.c.Database) {
				return true
			}
		case t.keyword("replication"): // it matches physical replication only, which no attempt asks for
		case t.pattern != nil:
			if t.pattern.matches(a.c.Database) {
				return true
			}
		case t.text == a.c.Database:
			return true
		}
	}
	return false
}

// userMatches is hba.c, check_role.
func (a *attempt) userMatches(tokens []token, user string) bool {
	for _, t := range tokens {
		switch {
		case t.group():
			if a.isMember(user, t.text[1:]) {
				return true
			}
		case t.keyword("all"):
			return true
		case t.pattern != nil:
			if t.pattern.matches(user) {
				return true
			}
		case t.text == user:
			return true
		}
	}
	return false
}

// isMember: a role is a member of itself, and a world grants no role to another.
func (a *attempt) isMember(user, group string) bool {
	_, exists := a.role(user)
	return exists && user == group
}

// describe names the properties of a connection by which a record is chosen.
func (a *attempt) describe(ch matrix.Channel) string {
	what := map[matrix.Channel]string{matrix.Plain: "an unencrypted connection", matrix.TLS: "a TLS connection", matrix.GSS: "a GSS-encrypted connection"}[ch]
	if a.unix() {
		what = "a unix-socket connection"
	}
	return what + " of " + a.c.User + " to database " + a.c.Database
}
