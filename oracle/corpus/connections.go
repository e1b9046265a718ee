package corpus

import (
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Which line decides is asked with one method in the place of all: what the log says of a wrong password names the line in every version, and a
// connection that is let in, or rejected, leaves no line there in some.

var (
	methods = regexp.MustCompile(`\b(trust|reject|scram-sha-256|md5|gss|sspi|ident|peer|pam|ldap|radius|cert|bsd|oauth)\b`)

	// Networks, Names and Roles are what the servers have, that are asked which line decides.
	Networks = prefixes("10.20.0.0/24", "10.30.0.0/16", "10.0.0.0/24", "1.2.3.0/24")
	Names    = []matrix.AddressName{
		{Address: addresses[0], Reverse: "app1.example.test", Forward: "app1.example.test"},
		{Address: addresses[1], Reverse: "app2.example.test"},
		{Address: addresses[2], Reverse: "App3.EXAMPLE.test", Forward: "app3.example.test"},
		{Address: addresses[4], Reverse: "db.other.test", Forward: "db.other.test"},
	}
	Roles = []matrix.Role{{Name: "people"}, {Name: "alice", In: []string{"people"}}, {Name: "bob", In: []string{"alice"}}, {Name: "carol"}, {Name: "all"}, {Name: "+bob"}, {Name: "two words"}, {Name: "replication"}}

	addresses = []netip.Addr{netip.MustParseAddr("10.20.0.7"), netip.MustParseAddr("10.20.0.8"), netip.MustParseAddr("10.20.0.200"), netip.MustParseAddr("10.30.0.7"), netip.MustParseAddr("10.30.128.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("1.2.3.4")}
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// Asked is the case with method password in the place of every method.
func (c *Case) Asked() Case {
	a := Case{Name: c.Name, HBA: methods.ReplaceAllString(c.HBA, "password"), Ident: c.Ident}
	for _, f := range c.Files {
		a.Files = append(a.Files, matrix.File{Path: f.Path, Text: methods.ReplaceAllString(f.Text, "password")})
	}
	return a
}

// Connection is one without encryption.
type Connection struct {
	User, Database string
	Physical       bool   // for physical replication, of no database
	Address        string // empty: over the unix-domain socket
}

// connections is how many a case has.
const connections = 6

// Connections are those with which the servers are asked which line decides. The same case has the same ones each time: most are about words of one of
// its lines.
func (c *Case) Connections() (all []Connection) {
	h := fnv.New64a()
	h.Write([]byte(c.HBA))
	g := rand.New(rand.NewPCG(h.Sum64(), connections))
	text := c.HBA
	for _, f := range c.Files {
		text += "\n" + f.Text
	}
	lines := linesOf(text)
	for range connections {
		var line [4][]string
		if len(lines) > 0 && g.IntN(5) > 0 {
			line = lines[g.IntN(len(lines))]
		}
		k := Connection{Database: one(g, line[1], "postgres", "postgres", "template1", "shop", "alice", "people"), User: one(g, line[2], "alice", "alice", "bob", "carol", "nobody", "all", "+bob", "two words")}
		switch n := g.IntN(12); {
		case n == 0:
			k.Database, k.Physical = "", true
		case n == 1, n < 8 && k.Database == "sameuser":
			k.Database = k.User
		}
		if slices.Contains(line[0], "local") || g.IntN(10) == 0 {
			all = append(all, k)
			continue
		}
		k.Address = addresses[g.IntN(len(addresses))].String()
		if inside := insideOf(line[3]); len(inside) > 0 {
			k.Address = inside[g.IntN(len(inside))].String()
		}
		all = append(all, k)
	}
	return all
}

// one is as often as not one of words, and otherwise one of the usual ones.
func one(g *rand.Rand, words []string, usual ...string) string {
	if len(words) > 0 && words[0] != "all" && g.IntN(4) > 0 {
		return words[g.IntN(len(words))]
	}
	return usual[g.IntN(len(usual))]
}

// longName is the length of the longest name in bytes (NAMEDATALEN, less the byte that ends it): a server cuts a longer one.
const longName = 63

// linesOf are the first fields of lines, each as the words that can be names, without what has a meaning to hba.c.
func linesOf(text string) (lines [][4][]string) {
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(line) > 1000 || len(fields) == 0 {
			continue
		}
		var l [4][]string
		for i := range min(len(fields), len(l)) {
			for _, w := range strings.FieldsFunc(fields[i], func(r rune) bool { return strings.ContainsRune(`,"\`, r) }) {
				w = strings.Trim(w, "+^$@")
				if w != "" && len(w) <= longName && !strings.ContainsFunc(w, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
					l[i] = append(l[i], w)
				}
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// insideOf are those of the addresses that an address column has, as far as it is easily told.
func insideOf(column []string) (inside []netip.Addr) {
	if len(column) == 0 {
		return nil
	}
	p, err := netip.ParsePrefix(column[0])
	if a, notAddress := netip.ParseAddr(column[0]); err != nil && notAddress == nil {
		p = netip.PrefixFrom(a, a.BitLen())
	}
	for _, a := range addresses {
		if p.IsValid() && p.Masked().Contains(a) {
			inside = append(inside, a)
		}
	}
	return inside
}

// Cell is the attempt to connect to a server with the case's files; c is what Asked gives.
func (k *Connection) Cell(c *Case, server int) *matrix.Cell {
	w := c.World(server)
	w.ServerCert, w.Keytab, w.Host = "good", "good", matrix.DefaultHost
	w.Realms = []matrix.Realm{{Name: matrix.DefaultRealm}}
	w.Networks, w.Names, w.Roles = Networks, Names, Roles
	client := matrix.Client{Library: "libpq18", Transport: "tcp", Hosts: matrix.OneHost, Address: k.Address, User: k.User, Database: k.Database, Ticket: "none", Root: "none", CRL: "none", Cert: "none",
		GSSEncMode: "disable", SSLMode: "disable", Password: "wrong", Attack: matrix.NoAttack}
	if k.Address == "" {
		client.Transport = "unix"
	}
	if k.Physical {
		client.Database, client.Replication = "postgres", matrix.Physical
	}
	return &matrix.Cell{World: w, Client: client}
}

// NoLine is what decides where no line takes the connection.
const NoLine = "none"

// Decided is the row of Answer.Lines of a connection for which a line decides, or NoLine.
func (k *Connection) Decided(line string) string {
	database, address := word(k.Database), k.Address
	if k.Physical {
		database = "(replication)"
	}
	if address == "" {
		address = "(socket)"
	}
	return strings.Join([]string{word(k.User), database, address, line}, " ")
}

// word quotes what could be taken for something else.
func word(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"()\`, r) }) {
		return strconv.Quote(text)
	}
	return text
}

// PredictLines are the rows of Answer.Lines that a predictor expects of a server, whose Logged for the case's Asked is empty. A row that
// it does not predict is "", and so is one of a connection that meets another method, which was written so that Asked did not see it.
func (c *Case) PredictLines(server int, predict func(*matrix.Cell) (matrix.Prediction, error)) (rows []string) {
	asked := c.Asked()
	for _, k := range c.Connections() {
		row := ""
		p, err := predict(k.Cell(&asked, server))
		switch {
		case err != nil:
		case p.Outcome.Reason == matrix.NoHBAEntry:
			row = k.Decided(NoLine)
		case p.Outcome.Reason == matrix.Password:
			row = k.Decided(p.Outcome.Rule)
		}
		rows = append(rows, row)
	}
	return rows
}

// SameLines compares what was predicted with what a server said; what is not predicted is the same as anything.
func SameLines(predicted, said []string) bool {
	if len(predicted) != len(said) {
		return false
	}
	for i := range said {
		if predicted[i] != "" && predicted[i] != said[i] {
			return false
		}
	}
	return true
}
