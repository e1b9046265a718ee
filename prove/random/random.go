// Package random writes random scenarios: rules, user name maps, files, roles, addresses and clients that people could have written, in
// every way of writing that hba.c knows, valid or not. It is pure: a seed gives the same scenarios on every machine.
package random

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Family is the family of random scenarios.
const Family = "random"

// Scenario is one random scenario. It is kept in parts, so that it can be reduced.
type Scenario struct {
	Name         string // FAMILY/NAME; NAME has the seed
	Question     string
	Server       int
	SSL          string
	Load         string // "" | reload | restart
	Before       Text   // with load=reload
	HBA, Ident   Text
	Files        []File // sorted by path
	Settings     []matrix.Setting
	Roles        []matrix.Role
	Principals   []string
	Networks     []string
	Names        []Name
	Axes         []matrix.AxisValues // of the client; NotGiven is "default"
	Exclude      [][]matrix.AxisValues
	mayBeRefused bool // it has something that a server of some version does not load
}

// Text is a configuration file.
type Text []Entry

// Entry is a record with what precedes it in the file: all of it is the file's text.
type Entry struct {
	Fields  string   // comments and blank lines before the record, and its fields up to the options
	Options []string // each with the blanks before it
	Tail    string   // comment and end of line
}

// File is a further file of the configuration directory.
type File struct {
	Path string
	Text Text
}

// Name is how the server resolves an address.
type Name struct{ Address, Reverse, Forward string }

func (t Text) String() string {
	text := ""
	for _, e := range t {
		text += e.Fields
		for _, o := range e.Options {
			text += o
		}
		text += e.Tail
	}
	return text
}

// Generate writes scenario number n of a seed.
func Generate(seed uint64, n int) *Scenario {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(n)))}
	s := &g.Scenario
	s.Name = fmt.Sprintf("%s/seed-%d-set-%d", Family, seed, n)
	s.Question = fmt.Sprintf("Who gets in under rules written at random, number %d of seed %d?", n, seed)
	s.Server = anyOf(g, matrix.ServerVersions)
	g.wild = g.one(5)
	switch {
	case g.wild && g.one(6), !g.wild && g.one(40):
		s.Load = matrix.Restart
	case g.wild, g.one(15):
		s.Load = matrix.Reload
	}
	s.SSL = "on"
	if g.one(10) {
		s.SSL = "off"
	}
	g.people()
	g.addresses()
	if s.Load == matrix.Reload {
		wild := g.wild
		g.wild, g.plain = false, true // the rules of before have no files, and load
		s.Before = g.hba(1 + g.IntN(4))
		g.wild, g.plain = wild, false
	}
	if !g.wild || g.one(6) {
		s.Ident = g.ident()
	}
	s.HBA = g.hba(1 + g.IntN(8))
	if g.wild {
		g.spoil()
	}
	g.clients()
	return s
}

// generator makes one scenario.
type generator struct {
	*rand.Rand
	Scenario
	wild  bool // something that does not load may come
	plain bool // no further files
	users []string
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

// anyOf is one of several, all as likely; one that is there twice is twice as likely.
func anyOf[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

// some are up to n different ones of several, at least one, in their order.
func some[T any](g *generator, n int, of []T) []T {
	n = min(1+g.IntN(n), len(of))
	var taken []T
	for i, x := range of {
		if g.IntN(len(of)-i) < n-len(taken) {
			taken = append(taken, x)
		}
	}
	return taken
}

// people chooses roles and principals.
func (g *generator) people() {
	kinds := []string{"scram-sha-256", "scram-sha-256", "md5", ""}
	for _, name := range []string{"alice", "bob", "carol"} {
		g.Roles = append(g.Roles, matrix.Role{Name: name, Password: anyOf(g, kinds), NoLogin: name == "carol" && g.one(3)})
	}
	for _, name := range []string{"Alice", "all", "alice-admin", "two words", "a,b", "replication", "sameuser", "+bob", "/alice"} {
		if g.one(6) {
			g.Roles = append(g.Roles, matrix.Role{Name: name, Password: anyOf(g, kinds)})
		}
	}
	for _, r := range g.Roles {
		g.users = append(g.users, r.Name)
	}
	g.users = append(g.users, "alice", "bob", "alice", "bob", "nobody", "postgres") // nobody is no role
	g.Principals = []string{"alice", "bob", "alice-admin", "ALICE"}
	if g.one(8) {
		g.Settings = append(g.Settings, matrix.Setting{Name: "krb_caseins_users", Value: "on"})
	}
}

// clientAddresses are addresses of the networks, and some of them have names.
var clientAddresses = []string{"10.20.0.7", "10.20.0.8", "10.20.0.200", "10.30.0.7", "10.30.128.1", "fd00:20::7", "fd00:20::8"}

// addresses chooses networks and names. A scenario without networks has clients at the harness's choice and on the unix-domain socket.
func (g *generator) addresses() {
	if g.one(4) {
		return
	}
	g.Networks = []string{"10.20.0.0/24", "10.30.0.0/16", "fd00:20::/64"}
	for i, a := range clientAddresses {
		name := "app" + strconv.Itoa(i+1) + "." + anyOf(g, []string{"example.test", "EXAMPLE.test", "corp.example.test", "other.test"})
		switch g.IntN(5) {
		case 0, 1:
			g.Names = append(g.Names, Name{a, name, name})
		case 2:
			g.Names = append(g.Names, Name{a, name, ""})
		case 3:
			if g.one(2) {
				g.Names = append(g.Names, Name{a, "", name})
			} else {
				g.Names = append(g.Names, Name{a, "app1.example.test", name})
			}
		}
	}
}
