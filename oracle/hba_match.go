package oracle

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// address is the address column of a record: a keyword, a host name, or an address with its mask.
type address struct {
	text    string
	keyword string // all | samehost | samenet
	host    string
	addr    netip.Addr
	mask    []byte // as long as addr; the server takes it bit by bit
}

// named says whether it is a host name, which may be empty: no client has that one.
func (a *address) named() bool { return a.keyword == "" && a.mask == nil }

func parseAddress(t token) (a address, needsMask bool, message string, err error) {
	a.text = t.text
	switch {
	case t.keyword("all"), t.keyword("samenet"), t.keyword("samehost"):
		a.keyword = t.text
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
		a.host = host
		return a, false, "", nil
	}
	if !cidr {
		return a, true, "", nil
	}
	n, err := strconv.Atoi(strings.TrimLeft(bits, " \t\n\v\f\r")) // as strtol
	if err != nil || n < 0 || n > a.addr.BitLen() {
		return a, false, fmt.Sprintf(`invalid CIDR mask in address "%s"`, t.text), nil
	}
	a.mask = maskOf(n, a.addr.BitLen())
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
	a.mask = m.AsSlice()
	return "", nil
}

// chosen is what the server chose for a startup packet.
type chosen struct {
	record    *Record // nil: there is none
	otherwise *Record // the first that would match on another channel: it explains the result
	lookup    lookedUp
}

// match finds the first record for a startup packet (hba.c, check_hba).
func (a *attempt) match(ch matrix.Channel) (found chosen, err error) {
	for i := range a.rules.hba {
		r := &a.rules.hba[i]
		if (r.Conn == "local") != a.unix() {
			continue
		}
		named := a.databaseMatches(r) && a.userMatches(r.users, a.c.User, false)
		if !a.takesChannel(r, ch) {
			if named && found.otherwise == nil && a.mayTakeAddress(r) {
				found.otherwise = r
			}
			continue
		}
		// The server looks a name up before it compares database and user.
		match, err := a.takesAddress(r, &found.lookup)
		switch {
		case !named:
		case err != nil:
			return chosen{}, err
		case match:
			found.record = r
			return found, nil
		}
	}
	return found, nil
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

// databaseMatches is hba.c, check_db.
func (a *attempt) databaseMatches(r *Record) bool {
	for _, t := range r.databases {
		switch {
		case a.c.Replication == matrix.Physical: // it has no database, and all does not stand for it
			if t.keyword("replication") {
				return true
			}
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
		case t.keyword("replication"):
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

// userMatches is hba.c, check_role. Without regard to case only names are compared, neither groups nor expressions.
func (a *attempt) userMatches(tokens []token, user string, insensitive bool) bool {
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
		case same(t.text, user, insensitive):
			return true
		}
	}
	return false
}

// isMember is acl.c, is_member_of_role_nosuper, of roles by name: each is a member of itself, and a superuser only of those that it was granted.
func (a *attempt) isMember(user, group string) bool {
	if _, exists := a.role(group); !exists {
		return false
	}
	role, exists := a.role(user)
	return exists && (user == group || slices.ContainsFunc(role.In, func(in string) bool { return a.isMember(in, group) }))
}

// describe names the properties of a connection by which a record is chosen.
func (a *attempt) describe(ch matrix.Channel) string {
	what := map[matrix.Channel]string{matrix.Plain: "an unencrypted connection", matrix.TLS: "a TLS connection", matrix.GSS: "a GSS-encrypted connection"}[ch]
	if a.unix() {
		what = "a unix-socket connection"
	}
	if a.c.Replication == matrix.Physical {
		what += " of " + a.c.User + " for physical replication"
	} else {
		what += " of " + a.c.User + " to database " + a.c.Database
	}
	if a.c.Address != "" {
		what += " from " + a.c.Address
	}
	return what
}
