package audit

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// A rule set treats most connections alike. A class is a set of connections between which none of the rule sets that are looked at tells a difference, and is
// shown by one connection of it.

// Local is the channel of a class of unix-domain sockets.
const Local matrix.Channel = "local"

// channels are those of classes.
var channels = []matrix.Channel{Local, matrix.Plain, matrix.TLS, matrix.GSS}

// Class is one connection that stands for all that the rules treat like it.
type Class struct {
	Channel  matrix.Channel // Local, or how the connection is protected
	Database string
	User     string
	Address  string // empty if the channel is Local
}

// sample is the part of classes that does not hang on the channel: the names and addresses that stand for all others.
type sample struct {
	users     []string
	databases []string // those that a rule names, and one that none does
	addresses []string
	names     []matrix.AddressName // of the addresses that stand for host names
	own       []netip.Prefix       // the server's networks, that of each family
}

// appendNew adds networks of families of which there is none yet.
func appendNew(networks, more []netip.Prefix) []netip.Prefix {
	for _, n := range more {
		if !slices.ContainsFunc(networks, func(o netip.Prefix) bool { return o.Addr().Is4() == n.Addr().Is4() }) {
			networks = append(networks, n)
		}
	}
	return networks
}

// The names that stand for all that no rule names.
const (
	OtherUser     = "some_other_role"
	otherDatabase = "some_other_database"
)

// sampleOf finds the names and addresses by which the rule sets of servers tell connections apart.
func sampleOf(servers []*Server, rules ...*oracle.Rules) sample {
	var s sample
	users, databases := map[string]bool{}, map[string]bool{}
	var networks []netip.Prefix
	hosts := map[string]bool{}
	single := map[netip.Addr]bool{}
	for _, r := range rules {
		for i := range r.Records {
			addNames(users, r.Records[i].Users())
			addNames(databases, r.Records[i].Databases())
			switch a := r.Records[i].Address(); {
			case a.Host != "":
				hosts[a.Host] = true
			case a.Addr.IsValid():
				if bits, ok := prefixLength(a.Mask); ok {
					networks = append(networks, netip.PrefixFrom(a.Addr, bits).Masked())
				} else {
					single[a.Addr] = true // a mask with holes
				}
			}
		}
		for _, m := range r.Mappings {
			if m.Role.Text != "all" && !strings.Contains(m.Role.Text, `\`) {
				addNames(users, []oracle.Name{m.Role})
			}
		}
	}
	for _, server := range servers {
		for _, n := range server.Names {
			if delete(hosts, n.Reverse); !slices.Contains(s.names, n) {
				s.names = append(s.names, n)
				single[n.Address] = true
			}
		}
		for _, r := range server.Roles {
			users[r.Name] = true
		}
		s.own = appendNew(s.own, server.Networks)
	}
	s.own = appendNew(s.own, serversNetworks)
	users[OtherUser], databases[otherDatabase] = true, true
	s.users, s.databases = slices.Sorted(maps.Keys(users)), slices.Sorted(maps.Keys(databases))
	s.addAddresses(networks, single, slices.Sorted(maps.Keys(hosts)))
	return s
}

// addNames adds a name for each item of a column.
func addNames(to map[string]bool, names []oracle.Name) {
	for _, n := range names {
		if group, ok := n.Group(); ok {
			to[group] = true
			continue
		}
		switch {
		case n.Keyword("all"), n.Keyword("sameuser"), n.Keyword("samerole"), n.Keyword("samegroup"), n.Keyword("replication"):
		case n.Regex:
			if example := exampleOf(strings.TrimPrefix(n.Text, "/"), ""); example != "" {
				to[example] = true
			}
		case n.Text != "":
			to[n.Text] = true
		}
	}
}

// exampleOf is a text that an expression matches: the shortest that is easy to find. Where first is not empty, it stands for the first group.
func exampleOf(expr, first string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	writeExample(&b, re.Simplify(), first)
	return b.String()
}

func writeExample(b *strings.Builder, re *syntax.Regexp, first string) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		c := re.Rune[0]
		for i := 0; i+1 < len(re.Rune); i += 2 { // a letter reads best
			if re.Rune[i] <= 'a' && 'a' <= re.Rune[i+1] {
				c = 'a'
			}
		}
		b.WriteRune(c)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpAlternate:
		writeExample(b, re.Sub[0], first)
	case syntax.OpPlus, syntax.OpStar, syntax.OpCapture, syntax.OpConcat, syntax.OpRepeat:
		if re.Op == syntax.OpCapture && re.Cap == 1 && first != "" {
			b.WriteString(first)
			return
		}
		for _, sub := range re.Sub {
			writeExample(b, sub, first)
		}
	}
}

// prefixLength is the number of leading ones of a mask without holes.
func prefixLength(mask []byte) (bits int, ok bool) {
	for bits < len(mask)*8 && mask[bits/8]<<(bits%8)&0x80 != 0 {
		bits++
	}
	for i := bits; i < len(mask)*8; i++ {
		if mask[i/8]<<(i%8)&0x80 != 0 {
			return 0, false
		}
	}
	return bits, true
}

// Addresses outside every network that a rule is likely to name (RFC 5737, RFC 3849).
var (
	serversNetworks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:ffff:ffff::/64")}
	elsewhere       = []netip.Addr{netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("2001:db8:ffff:fffe::77")}
	namedClients    = netip.MustParseAddr("198.51.100.128")
)

// addAddresses finds an address in each network, outside those within it where there is one, one in the server's own networks, loopback, and one elsewhere of each
// family; and an address for each host name.
func (s *sample) addAddresses(networks []netip.Prefix, single map[netip.Addr]bool, hosts []string) {
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if !seen[a] {
			seen[a] = true
			s.addresses = append(s.addresses, a.String())
		}
	}
	slices.SortFunc(networks, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, n := range slices.Compact(networks) {
		add(addressIn(n, networks))
	}
	for a := range single {
		add(a)
	}
	for _, a := range slices.Concat(elsewhere, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}) {
		add(a)
	}
	for _, n := range s.own {
		add(n.Addr().Next())
	}
	at := namedClients
	for _, h := range hosts {
		name := h
		if strings.HasPrefix(h, ".") {
			name = "client" + h
		}
		s.names = append(s.names, matrix.AddressName{Address: at, Reverse: name, Forward: name})
		add(at)
		at = at.Next()
	}
	slices.Sort(s.addresses)
}

// addressIn is an address in a network that is in none of the others within it; its first address if they fill it.
func addressIn(n netip.Prefix, others []netip.Prefix) netip.Addr {
	inner := func(a netip.Addr) (last netip.Addr, found bool) {
		for _, o := range others {
			if o.Bits() > n.Bits() && n.Contains(o.Addr()) && o.Contains(a) {
				return matrix.LastAddress(o), true
			}
		}
		return netip.Addr{}, false
	}
	first := n.Addr()
	if next := first.Next(); n.Contains(next) {
		first = next // the network's own address looks odd
	}
	for a := first; n.Contains(a); {
		last, found := inner(a)
		if !found {
			return a
		}
		if a = last.Next(); !a.IsValid() {
			break
		}
	}
	return n.Addr()
}

// on is the world of a server in which the sample's classes can be asked about.
func (s *sample) on(server *Server) *matrix.World {
	w := server.World()
	w.Names = s.names
	w.Networks = slices.Concat(s.own, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	for _, d := range s.databases {
		w.Databases = append(w.Databases, matrix.Database{Name: d})
	}
	w.Roles = slices.Clone(server.Roles)
	for _, u := range s.users {
		if !slices.ContainsFunc(w.Roles, func(r matrix.Role) bool { return r.Name == u }) {
			w.Roles = append(w.Roles, matrix.Role{Name: u, Password: "scram-sha-256"})
		}
	}
	w.Certificates = []matrix.Certificate{strangersCert}
	w.OSUsers = append(slices.Clone(s.users), stranger)
	w.Realms[0].Principals = append(slices.Clone(s.users), stranger)
	return &w
}

// side is one rule set with the world in which it is asked.
type side struct {
	rules *oracle.Rules
	world *matrix.World
	at    [][]bool // by record and address of the sample: whether the column has it
	hosts bool     // a record has a host name, and what the server has looked up for one decides over the next
}

func (s *sample) side(server *Server) (*side, error) {
	x := &side{world: s.on(server)}
	var err error
	if x.rules, err = oracle.LoadRules(x.world); err != nil {
		return nil, err
	}
	for i := range x.rules.Records {
		r := &x.rules.Records[i]
		x.hosts = x.hosts || r.Address().Host != ""
		row := make([]bool, len(s.addresses))
		for n, a := range s.addresses {
			if row[n], err = r.TakesAddress(x.world, a); err != nil {
				return nil, err
			}
		}
		x.at = append(x.at, row)
	}
	return x, nil
}

// columns are the records whose columns of names have these.
func (x *side) columns(user, database string) (records []int) {
	for i := range x.rules.Records {
		if r := &x.rules.Records[i]; r.TakesUser(x.world, user) && r.TakesDatabase(x.world, user, database) {
			records = append(records, i)
		}
	}
	return records
}

// choose is the record, of those whose columns of names match, that decides; -1: none.
func (x *side) choose(v *visit, takes []int) (int, error) {
	if x.hosts && v.Channel != Local {
		client := matrix.Client{Transport: "tcp", Address: v.Address, User: v.User, Database: v.Database}
		r, err := oracle.Choose(x.world, &client, v.Channel)
		if err != nil || r == nil {
			return -1, err
		}
		return slices.IndexFunc(x.rules.Records, func(o oracle.Record) bool { return o.File == r.File && o.Line == r.Line }), nil
	}
	for _, i := range takes {
		if v.takesAll(x, i) {
			return i, nil
		}
	}
	return -1, nil
}

// visit is a class, with what each side has for it.
type visit struct {
	Class
	address int     // its index in the sample
	takes   [][]int // by side: the records whose columns of names have the class's, by their indexes
	decides []int   // by side: the record that decides; -1: none
}

// takesAll says whether a record of a side, one of takes, would take the class if it were the first.
func (v *visit) takesAll(x *side, record int) bool {
	r := &x.rules.Records[record]
	if v.Channel == Local {
		return r.Conn == "local"
	}
	return r.TakesChannel(v.Channel) && x.at[record][v.address]
}

// walk visits each class. The visit is the same for all of them.
func (s *sample) walk(sides []*side, see func(*visit) error) error {
	v := &visit{takes: make([][]int, len(sides)), decides: make([]int, len(sides))}
	for _, user := range s.users {
		seen := map[string]bool{} // databases that differ in nothing
		for _, database := range append(slices.Clone(s.databases), user) {
			for i, x := range sides {
				v.takes[i] = x.columns(user, database)
			}
			key := fmt.Sprint(v.takes)
			if seen[key] {
				continue
			}
			seen[key] = true
			for _, channel := range channels {
				for n, address := range s.addresses {
					v.Class, v.address = Class{channel, database, user, address}, n
					if channel == Local {
						if v.Address = ""; n > 0 {
							break
						}
					}
					if err := v.choose(sides); err != nil {
						return err
					}
					if err := see(v); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (v *visit) choose(sides []*side) (err error) {
	for i, x := range sides {
		if v.decides[i], err = x.choose(v, v.takes[i]); err != nil {
			return err
		}
	}
	return nil
}
