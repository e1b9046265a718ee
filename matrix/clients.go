package matrix

import (
	"fmt"
	"slices"
)

// Library names a client: an entry of Clients. Its text form, in scenario files and IDs, is the entry's name.
type Library string

// The clients that are not made for every version of PostgreSQL.
const (
	PGX Library = "pgx" // github.com/jackc/pgx/v5; with our gssenc where the cell gives gssencmode
	PQ  Library = "pq"  // github.com/lib/pq
	Raw Library = "raw" // no library: it sends what no library sends
)

// ClientKind says which code a client is. The rooms oracle, classify, agent and probe have one file for each kind.
type ClientKind string

// The kinds of clients.
const (
	KindLibpq ClientKind = "libpq"
	KindPsql  ClientKind = "psql"
	KindPGX   ClientKind = "pgx"
	KindPQ    ClientKind = "pq"
	KindRaw   ClientKind = "raw"
)

// ClientInfo is one entry of Clients.
type ClientInfo struct {
	Name  Library
	Kind  ClientKind
	Libpq int    // major version of the libpq that the client is built on; 0: it implements the protocol itself
	Image string // name of the client image that carries it; empty: the agent has it, in any client image
	Named bool   // it is tried only where a scenario names it: `all` and the groups do not contain it
	Lacks []Lack // what it cannot express
}

// Lack is one thing that a client cannot express: a cell of it that has one of the values on the axis is not applicable.
type Lack struct {
	Axis   string
	Values []string // none: every value but the absence of the option
	Why    string   // for people, in reports
}

// Clients is the table of clients, in the order of reports. A new client is entered here first; docs/adding-a-client.md
// says what comes after.
var Clients = slices.Concat(
	onLibpq(KindLibpq, 13, 14, 15, 16, 17, 18),
	onLibpq(KindPsql, 13, 15, 17, 18),
	[]ClientInfo{
		{Name: PGX, Kind: KindPGX},
		{Name: PQ, Kind: KindPQ, Lacks: []Lack{
			{"gssencmode", []string{"prefer", "require"}, "lib/pq has no gssencmode and cannot encrypt with GSSAPI"},
			{"channel_binding", []string{"prefer", "require"}, "lib/pq has no channel_binding and cannot bind SCRAM to TLS"},
			{"require_auth", nil, "lib/pq has no require_auth"},
		}},
		{Name: Raw, Kind: KindRaw, Named: true, Lacks: []Lack{
			{"hosts", []string{DeadFirst, Twice}, "the raw client takes one host"},
			{"ticket", []string{Ambient}, "the raw client has no credentials but those that it is given"},
			{"cert", []string{Ambient}, "the raw client has no credentials but those that it is given"},
		}},
	})

// onLibpq are the clients of a kind that are built on libpq of these major versions.
func onLibpq(kind ClientKind, versions ...int) (clients []ClientInfo) {
	for _, v := range versions {
		c := ClientInfo{Name: Library(fmt.Sprintf("%s%d", kind, v)), Kind: kind, Libpq: v, Image: fmt.Sprintf("client-%d", v)}
		if v < 17 {
			c.Lacks = append(c.Lacks, Lack{"sslnegotiation", []string{"direct"}, fmt.Sprintf("libpq %d has no sslnegotiation (since 17)", v)})
		}
		if v < 16 {
			c.Lacks = append(c.Lacks, Lack{"require_auth", nil, fmt.Sprintf("libpq %d has no require_auth (since 16)", v)})
		}
		clients = append(clients, c)
	}
	return clients
}

// ClientGroup is a word of scenario files that stands for several clients.
type ClientGroup struct {
	Name    string
	Meaning string // one line, for docs/scenarios.md
	has     func(ClientInfo) bool
}

// ClientGroups are the groups of clients. A client that is entered in Clients joins the groups that it belongs to, and with them the
// scenarios that name them.
var ClientGroups = []ClientGroup{
	{"libpq", "libpq of every major version", func(c ClientInfo) bool { return c.Kind == KindLibpq }},
	{"psql", "the program psql of every major version", func(c ClientInfo) bool { return c.Kind == KindPsql }},
	{"independent", "every client that implements the protocol itself, but for the raw client", func(c ClientInfo) bool { return c.Libpq == 0 }},
}

// Members are the clients of the group, in the order of Clients.
func (g ClientGroup) Members() (libraries []Library) {
	for _, c := range Clients {
		if !c.Named && g.has(c) {
			libraries = append(libraries, c.Name)
		}
	}
	return libraries
}

var clientsByName = func() map[Library]*ClientInfo {
	byName := make(map[Library]*ClientInfo, len(Clients))
	for i := range Clients {
		byName[Clients[i].Name] = &Clients[i]
	}
	return byName
}()

// Info is the client's entry in Clients; ok is false of a client that the matrix does not know.
func (l Library) Info() (info ClientInfo, ok bool) {
	if c := clientsByName[l]; c != nil {
		return *c, true
	}
	return ClientInfo{}, false
}

// Kind is the client's kind, empty for a client that the matrix does not know.
func (l Library) Kind() ClientKind {
	if c := clientsByName[l]; c != nil {
		return c.Kind
	}
	return ""
}

// Libpq is the major version of the libpq that the client is built on, 0 for every other client.
func (l Library) Libpq() int {
	if c := clientsByName[l]; c != nil {
		return c.Libpq
	}
	return 0
}

// UsesLibpq is true of libpq itself and of psql: the oracle predicts the same for both.
func (l Library) UsesLibpq() bool { return l.Libpq() != 0 }

// has says whether a value is one that the client cannot express.
func (l Lack) has(value string) bool {
	return slices.Contains(l.Values, value) || l.Values == nil && value != ""
}

// lacks says what the client cannot express of the cell, or "".
func (l Library) lacks(c *Cell) string {
	info := clientsByName[l]
	if info == nil {
		return fmt.Sprintf("there is no client %q", l)
	}
	for _, lack := range info.Lacks {
		if lack.has(c.Value(lack.Axis)) {
			return lack.Why
		}
	}
	return ""
}

// clientNames are the names of the clients that `all` stands for, or of those that only who names them gets.
func clientNames(named bool) (names []string) {
	for _, c := range Clients {
		if c.Named == named {
			names = append(names, string(c.Name))
		}
	}
	return names
}
