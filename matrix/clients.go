package matrix

import (
	"fmt"
	"slices"
)

// Library is the name of a client: of an entry of Clients. Scenario files and IDs use the same name.
type Library string

// The clients that are not made for every version of PostgreSQL.
const (
	PGX Library = "pgx" // github.com/jackc/pgx/v5; with our gssenc where the cell gives gssencmode
	PQ  Library = "pq"  // github.com/lib/pq
	Raw Library = "raw" // no library: it sends byte sequences that no library sends
)

// ClientKind says which program or library a client is, whatever its version. oracle, classify, agent and probe have code for each kind.
type ClientKind string

// The kinds of clients.
const (
	KindLibpq   ClientKind = "libpq"
	KindPsql    ClientKind = "psql"
	KindPGX     ClientKind = "pgx"
	KindPQ      ClientKind = "pq"
	KindAsyncpg ClientKind = "asyncpg"
	KindRaw     ClientKind = "raw"
)

// ClientInfo is one entry of Clients.
type ClientInfo struct {
	Name  Library
	Kind  ClientKind
	Libpq int    // major version of the libpq that the client is built on; 0: it implements the protocol itself
	Image string // name of the client image that has it; empty: the agent has it, in any client image
	Named bool   // only scenarios that name it try it: neither `all` nor a group contains it
	// WaitsForKDC is true of libkrb5 1.22 and newer: for a KDC that has taken its connection it waits without end, or as long as request_timeout in
	// krb5.conf says, and asks no other. Older ones wait ten seconds. Of the Debian releases forky is the first that has it.
	WaitsForKDC bool
	Silent      bool   // it does not report the authentication requests that it received, nor whether its connection is encrypted
	Lacks       []Lack // what it cannot express
}

// Lack is something that a client cannot express: its cells that have one of the values on the axis are not applicable.
type Lack struct {
	Axis   string
	Values []string // none: every value but NotGiven
	Why    string   // as reports say it
}

// Clients is the table of clients, in the order of reports. A new client begins here; docs/adding-a-client.md says what comes next.
var Clients = slices.Concat(
	onLibpq(KindLibpq, 13, 14, 15, 16, 17, 18, 19),
	onLibpq(KindPsql, 13, 15, 17, 18, 19),
	[]ClientInfo{
		{Name: PGX, Kind: KindPGX, Lacks: []Lack{{"gssdelegation", nil, "pgx has no gssdelegation"}}},
		{Name: PQ, Kind: KindPQ, Lacks: []Lack{
			{"gssencmode", []string{"prefer", "require"}, "lib/pq has no gssencmode and cannot encrypt with GSSAPI"},
			{"channel_binding", []string{"prefer", "require"}, "lib/pq has no channel_binding and cannot bind SCRAM to TLS"},
			{"require_auth", nil, "lib/pq has no require_auth"},
			{"gssdelegation", nil, "lib/pq has no gssdelegation"},
		}},
		asyncpg("0.27"), asyncpg("0.30"), asyncpg("0.31"),
		{Name: Raw, Kind: KindRaw, Named: true, Lacks: []Lack{
			{"hosts", []string{DeadFirst, Twice}, "the raw client takes one host"},
			{"ticket", []string{Ambient}, "the raw client uses only credentials that it is given"},
			{"key", keyFormNames()[1:], "the raw client uses no certificate"},
			{"sslpassword", []string{"right", "wrong"}, "the raw client uses no certificate"},
			{"sslcertmode", nil, "the raw client uses no certificate"},
			{"ssl_cert_file", nil, "the raw client verifies no certificate"},
			{"sslsni", nil, "the raw client has no sslsni"},
			{"cert", []string{Ambient}, "the raw client uses only credentials that it is given"},
			{"target_session_attrs", nil, "the raw client takes any session"},
			{"gssdelegation", nil, "the raw client delegates nothing"},
			{"replication", nil, "the raw client does not use the replication protocol"},
			{"os_user", nil, "the raw client is the harness itself"},
		}},
	})

// onLibpq makes the entries of a kind of client that is built on libpq, for these major versions of libpq.
func onLibpq(kind ClientKind, versions ...int) (clients []ClientInfo) {
	for _, v := range versions {
		c := ClientInfo{Name: Library(fmt.Sprintf("%s%d", kind, v)), Kind: kind, Libpq: v, Image: fmt.Sprintf("client-%d", v), Silent: kind == KindPsql, WaitsForKDC: v >= 18}
		if v < 17 {
			c.Lacks = append(c.Lacks, Lack{"sslnegotiation", []string{"direct"}, fmt.Sprintf("libpq %d has no sslnegotiation (since 17)", v)})
		}
		if v < 14 {
			c.Lacks = append(c.Lacks, Lack{"sslsni", []string{"1"}, fmt.Sprintf("libpq %d has no sslsni (since 14)", v)}, Lack{"target_session_attrs", []string{ReadOnly, Primary, Standby, PreferStandby}, fmt.Sprintf("libpq %d knows only the values any and read-write of target_session_attrs (the others since 14)", v)})
		}
		if v < 16 {
			c.Lacks = append(c.Lacks, Lack{"require_auth", nil, fmt.Sprintf("libpq %d has no require_auth (since 16)", v)}, Lack{"gssdelegation", nil, fmt.Sprintf("libpq %d has no gssdelegation (since 16)", v)}, Lack{"sslcertmode", []string{"disable", "require"}, fmt.Sprintf("libpq %d has no sslcertmode (since 16)", v)})
		}
		clients = append(clients, c)
	}
	return clients
}

// asyncpg is github.com/MagicStack/asyncpg, in Python. GSSAPI authentication and krbsrvname came with 0.30.
func asyncpg(version string) ClientInfo {
	c := ClientInfo{Name: Library("asyncpg" + version), Kind: KindAsyncpg, Image: "client-asyncpg-" + version, WaitsForKDC: version == "0.31", Lacks: []Lack{
		{"gssencmode", []string{"prefer", "require"}, "asyncpg has no gssencmode and cannot encrypt with GSSAPI"},
		{"channel_binding", []string{"prefer", "require"}, "asyncpg has no channel_binding and cannot bind SCRAM to TLS"},
		{"require_auth", nil, "asyncpg has no require_auth"},
		{"gssdelegation", nil, "asyncpg has no gssdelegation"},
		{"replication", nil, "asyncpg uses the extended query protocol, which a replication connection does not have"},
		{"sslcertmode", []string{"disable", "require"}, "asyncpg has no sslcertmode"},
		{"sslsni", []string{"0"}, "asyncpg has no sslsni and always sends the name"},
	}}
	if version == "0.27" {
		c.Lacks = append(c.Lacks, Lack{"krbsrvname", nil, "asyncpg 0.27 has no krbsrvname (since 0.30)"},
			Lack{"target_session_attrs", nil, "asyncpg 0.27 has no target_session_attrs (since 0.28)"})
	}
	return c
}

// ClientGroup is a word in scenario files that stands for several clients.
type ClientGroup struct {
	Name    string
	Meaning string // one line, for docs/scenarios.md
	has     func(ClientInfo) bool
}

// ClientGroups are the groups of clients. A new entry of Clients joins its groups, and so the scenarios that name them.
var ClientGroups = []ClientGroup{
	{"libpq", "libpq of every major version", func(c ClientInfo) bool { return c.Kind == KindLibpq }},
	{"psql", "the program psql of every major version", func(c ClientInfo) bool { return c.Kind == KindPsql }},
	{"asyncpg", "asyncpg of every version", func(c ClientInfo) bool { return c.Kind == KindAsyncpg }},
	{"independent", "every client that implements the protocol itself, except the raw client", func(c ClientInfo) bool { return c.Libpq == 0 }},
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

// Info is the client's entry in Clients; ok is false if there is none.
func (l Library) Info() (info ClientInfo, ok bool) {
	if c := clientsByName[l]; c != nil {
		return *c, true
	}
	return ClientInfo{}, false
}

// Kind is the client's kind; empty if Clients has no entry for it.
func (l Library) Kind() ClientKind {
	if c := clientsByName[l]; c != nil {
		return c.Kind
	}
	return ""
}

// Libpq is the major version of the libpq that the client is built on; 0 for every other client.
func (l Library) Libpq() int {
	if c := clientsByName[l]; c != nil {
		return c.Libpq
	}
	return 0
}

// UsesLibpq is true for libpq and for psql: the oracle predicts the same for both.
func (l Library) UsesLibpq() bool { return l.Libpq() != 0 }

// has says whether a value is one that the client cannot express.
func (l Lack) has(value string) bool {
	return slices.Contains(l.Values, value) || l.Values == nil && value != ""
}

// lacks says what of the cell the client cannot express; "" if it can express everything.
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

// clientNames are the names of the clients that `all` stands for, or of those that have to be named.
func clientNames(named bool) (names []string) {
	for _, c := range Clients {
		if c.Named == named {
			names = append(names, string(c.Name))
		}
	}
	return names
}
