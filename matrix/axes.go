package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AxisKind says what changing an axis costs.
type AxisKind string

const (
	WorldAxis  AxisKind = "world"  // an Env or a reload: the outer loop
	ClientAxis AxisKind = "client" // an attempt: the inner loop
)

// Axis is one dimension of the matrix. Its kind belongs to the axis, not to the scenario.
type Axis struct {
	Name    string
	Kind    AxisKind
	Values  []string // the closed list that `all` stands for; nil for free text
	More    []string // further words of the list, which only who names them gets
	Default string   // what a cell gets when the scenario does not name the axis; "" = the option is not given
	Doc     string   // one line, for docs/scenarios.md and the JSON Schema
	get     func(*World, *Client) string
	set     func(*World, *Client, string)
}

// ServerVersions and Libraries are what the matrix knows; whether an image can be had is another matter.
var (
	ServerVersions = []int{13, 14, 15, 16, 17, 18}
	Libraries      = []Library{"libpq13", "libpq14", "libpq15", "libpq16", "libpq17", "libpq18", "psql13", "psql15", "psql17", "psql18", PGX, PQ}
)

// Axes lists every axis, in the order IDs name them.
var Axes = []Axis{
	{Name: "server", Kind: WorldAxis, Values: []string{"13", "14", "15", "16", "17", "18"}, Default: "18",
		Doc: "PostgreSQL major version of the server",
		get: func(w *World, _ *Client) string { return strconv.Itoa(w.Server) },
		set: func(w *World, _ *Client, v string) { w.Server, _ = strconv.Atoi(v) }},
	{Name: "ssl", Kind: WorldAxis, Values: []string{"off", "on"}, Default: "on",
		Doc: "the server's ssl setting",
		get: func(w *World, _ *Client) string { return w.SSL },
		set: func(w *World, _ *Client, v string) { w.SSL = v }},
	{Name: "servercert", Kind: WorldAxis, Values: []string{"good", "other-ca", "expired", "wrong-name", "cn-only", "revoked", "system-ca", "rsa", "rsa-pss", "ed25519"}, Default: "good",
		Doc: "the server's certificate: right in every way (ECDSA), signed by another CA, expired, for another host name, with its name in the subject alone, on its CA's revocation list, signed by a CA that only the clients' systems trust; or right and with another key and signature: RSA with PKCS #1 or PSS, Ed25519",
		get: func(w *World, _ *Client) string { return w.ServerCert },
		set: func(w *World, _ *Client, v string) { w.ServerCert = v }},
	{Name: "keytab", Kind: WorldAxis, Values: []string{"good", "none", "stale", "other"}, Default: "good",
		Doc: "the server's keytab: right, absent, with only an older key version, or of another host's principal",
		get: func(w *World, _ *Client) string { return w.Keytab },
		set: func(w *World, _ *Client, v string) { w.Keytab = v }},
	{Name: "hba", Kind: WorldAxis,
		Doc: "pg_hba.conf byte for byte, or several texts by name",
		get: func(w *World, _ *Client) string { return w.HBAName },
		set: func(w *World, _ *Client, v string) { w.HBAName = v }},
	{Name: "ident", Kind: WorldAxis,
		Doc: "pg_ident.conf byte for byte, or several texts by name",
		get: func(w *World, _ *Client) string { return w.IdentName },
		set: func(w *World, _ *Client, v string) { w.IdentName = v }},
	{Name: "library", Kind: ClientAxis, Values: libraryNames(), More: []string{string(Raw)}, Default: "libpq18",
		Doc: "client library: libpq of a major version, the psql program of a major version, pgx, lib/pq, or the raw client, which speaks the protocol itself",
		get: func(_ *World, c *Client) string { return string(c.Library) },
		set: func(_ *World, c *Client, v string) { c.Library = Library(v) }},
	{Name: "transport", Kind: ClientAxis, Values: []string{"tcp", "unix"}, Default: "tcp",
		Doc: "TCP to the server's host name, or its unix-domain socket",
		get: func(_ *World, c *Client) string { return c.Transport },
		set: func(_ *World, c *Client, v string) { c.Transport = v }},
	{Name: "hosts", Kind: ClientAxis, Values: []string{OneHost, DeadFirst, Twice}, Default: OneHost,
		Doc: "the host names in the connection string: the server's, or before it that of a host that refuses TCP connections, or the server's twice",
		get: func(_ *World, c *Client) string { return c.Hosts },
		set: func(_ *World, c *Client, v string) { c.Hosts = v }},
	{Name: "user", Kind: ClientAxis, Default: "alice",
		Doc: "the database role asked for",
		get: func(_ *World, c *Client) string { return c.User },
		set: func(_ *World, c *Client, v string) { c.User = v }},
	{Name: "database", Kind: ClientAxis, Default: DefaultDatabase,
		Doc: "the database asked for: postgres, template1, where nobody but a superuser has the privilege CONNECT, or one that does not exist",
		get: func(_ *World, c *Client) string { return c.Database },
		set: func(_ *World, c *Client, v string) { c.Database = v }},
	{Name: "principal", Kind: ClientAxis,
		Doc: "the Kerberos principal of the ticket, without the realm; default: the user",
		get: func(_ *World, c *Client) string { return c.Principal },
		set: func(_ *World, c *Client, v string) { c.Principal = v }},
	{Name: "ticket", Kind: ClientAxis, Values: []string{"none", "valid", "expired"}, More: []string{Ambient}, Default: "none",
		Doc: "the ticket-granting ticket in the client's credential cache; none: there is no cache; ambient: a valid one, but KRB5CCNAME is not set and the cache is where krb5.conf's default_ccache_name says",
		get: func(_ *World, c *Client) string { return c.Ticket },
		set: func(_ *World, c *Client, v string) { c.Ticket = v }},
	{Name: "gssencmode", Kind: ClientAxis, Values: []string{"disable", "prefer", "require"},
		Doc: "libpq connection parameter; pgx has it by gssenc.Configure, and where it is not given is pgx alone",
		get: func(_ *World, c *Client) string { return c.GSSEncMode },
		set: func(_ *World, c *Client, v string) { c.GSSEncMode = v }},
	{Name: "sslmode", Kind: ClientAxis, Values: []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
		Doc: "libpq connection parameter",
		get: func(_ *World, c *Client) string { return c.SSLMode },
		set: func(_ *World, c *Client, v string) { c.SSLMode = v }},
	{Name: "sslnegotiation", Kind: ClientAxis, Values: []string{"postgres", "direct"},
		Doc: "libpq connection parameter, since 17",
		get: func(_ *World, c *Client) string { return c.SSLNegotiation },
		set: func(_ *World, c *Client, v string) { c.SSLNegotiation = v }},
	{Name: "root", Kind: ClientAxis, Values: []string{"right", "other", "missing", "none", "system"}, Default: "right",
		Doc: "sslrootcert: the CA that signed the server's certificate, another CA, a file that does not exist, not given, or the word system",
		get: func(_ *World, c *Client) string { return c.Root },
		set: func(_ *World, c *Client, v string) { c.Root = v }},
	{Name: "crl", Kind: ClientAxis, Values: []string{"none", "right", "stale", "missing"}, Default: "none",
		Doc: "sslcrl: not given, the revocation list of the CA that signed the server's certificate, the same past its next update, or a file that does not exist",
		get: func(_ *World, c *Client) string { return c.CRL },
		set: func(_ *World, c *Client, v string) { c.CRL = v }},
	{Name: "cert", Kind: ClientAxis, Values: []string{"none", "good"}, More: []string{Ambient}, Default: "none",
		Doc: "the client's certificate: none, or one that names the user and is signed by the CA that the server trusts; ambient: one like it that names " + ServiceAccount + " lies in $HOME/.postgresql, and the connection string names none",
		get: func(_ *World, c *Client) string { return c.Cert },
		set: func(_ *World, c *Client, v string) { c.Cert = v }},
	{Name: "channel_binding", Kind: ClientAxis, Values: []string{"disable", "prefer", "require"},
		Doc: "libpq connection parameter",
		get: func(_ *World, c *Client) string { return c.ChannelBinding },
		set: func(_ *World, c *Client, v string) { c.ChannelBinding = v }},
	{Name: "require_auth", Kind: ClientAxis,
		Doc: "libpq connection parameter, since 16",
		get: func(_ *World, c *Client) string { return c.RequireAuth },
		set: func(_ *World, c *Client, v string) { c.RequireAuth = v }},
	{Name: "krbsrvname", Kind: ClientAxis,
		Doc: "Kerberos service name; default: postgres",
		get: func(_ *World, c *Client) string { return c.KrbSrvName },
		set: func(_ *World, c *Client, v string) { c.KrbSrvName = v }},
	{Name: "password", Kind: ClientAxis, Values: []string{"none", "right", "wrong"}, Default: "none",
		Doc: "the password the client gives",
		get: func(_ *World, c *Client) string { return c.Password },
		set: func(_ *World, c *Client, v string) { c.Password = v }},
	{Name: "attack", Kind: ClientAxis, Values: append([]string{NoAttack}, attackNames(Attacks)...), More: attackNames(Sequences), Default: NoAttack,
		Doc: "what somebody does who stands between client and server, or what the raw client sends: see the table of attacks",
		get: func(_ *World, c *Client) string { return c.Attack },
		set: func(_ *World, c *Client, v string) { c.Attack = v }},
}

// Values of the axis hosts.
const (
	OneHost   = "one"
	DeadFirst = "dead-first" // two: World.DeadHost and the server
	Twice     = "twice"      // two: the server and the server
)

// Ambient credentials are those that nobody named: the library finds them in the account that the program runs as.
const (
	Ambient        = "ambient"
	ServiceAccount = "service" // whom the certificate of cert=ambient names
)

// NoAttack is the attack of cells where nobody stands between client and server.
const NoAttack = "none"

// Attack is one value of the axis attack.
type Attack struct {
	Name    string
	Meaning string // one line, for people
}

// Attacks are what can be done between a real client and the server; Sequences are what the raw client sends, which
// no client library does. Both lists are closed.
var (
	Attacks = []Attack{
		{"listen", "he only reads"},
		{"strip", "he answers N to SSLRequest and GSSENCRequest, which the server never sees, and closes on direct TLS"},
		{"strip-gss", "he answers N to GSSENCRequest alone"},
		{"impersonate", "he answers S, ends TLS with a certificate of his own CA, N to GSSENCRequest, and speaks to the server himself: over TLS if it has it"},
		{"inject", "he sends a statement of his own to the server, where he can read the session, and keeps its answer"},
		{"stuff-client", "he puts a statement behind the client's SSLRequest or GSSENCRequest, in the same segment (CVE-2021-23214)"},
		{"stuff-server", "he puts a message behind the server's answer S or G, in the same segment (CVE-2021-23222)"},
		{"error", "he answers SSLRequest and GSSENCRequest with an error message of his own words (CVE-2024-10977)"},
		{"error-unterminated", "the same, by an old error message without its end (CVE-2022-41862)"},
		{"forge-ok", "he plays the server, which hears nothing: N to GSSENCRequest, TLS with his own certificate, AuthenticationOk to the startup packet, a row of his own to the query"},
		{"forge-gss-ok", "the same, but he asks for GSSAPI authentication first, and says AuthenticationOk to whatever token comes"},
		{"forge-ap-rep", "the same, but he answers the token, and that of GSSENCRequest, with an AP-REP that he made without the key"},
		{"cut-answer", "he closes both connections in the place of the answer to SSLRequest or GSSENCRequest"},
		{"cut-handshake", "he closes both connections in the place of the server's first words in a TLS or GSS handshake"},
		{"cut-auth", "he closes both connections in the place of the server's first authentication request, where he can read it"},
		{"hold-answer", "he keeps the answer to SSLRequest and GSSENCRequest: the client waits until its connect_timeout"},
		{"hold-gss", "he keeps the answer to GSSENCRequest alone, as who stands between and does not know it"},
		{"hold-auth", "he keeps the server's first authentication request, where he can read it"},
		{"delay", "he passes on the server's first words one second late"},
		{"replay", "he sends the client's first TLS record or GSS token twice"},
		{"flip-client", "he changes one bit of the first sealed record of the client: in TLS 1.3 the end of its handshake, under GSS encryption its startup packet"},
		{"flip-server", "he changes one bit of the first sealed record of the server: in TLS 1.3 the middle of its handshake, under GSS encryption its answer to the startup packet"},
	}
	Sequences = []Attack{
		{"gssenc-in-tls", "SSLRequest, TLS, and inside it GSSENCRequest"},
		{"gssenc-in-direct-tls", "GSSENCRequest inside TLS that was begun without SSLRequest (CVE-2026-14681)"},
		{"tls-in-gss", "GSS encryption, and inside it SSLRequest"},
		{"alternate", "SSLRequest and GSSENCRequest in turn on one connection, as long as the answer is N (CVE-2026-6479)"},
		{"second-startup", "a second startup packet, of user postgres, in place of the answer to an authentication request"},
		{"ssl-with-query", "a statement behind SSLRequest in the same segment, then TLS (CVE-2021-23214)"},
		{"ssl-with-startup", "a startup packet and a statement behind SSLRequest in the same segment, then TLS"},
		{"gssenc-with-query", "a statement behind GSSENCRequest in the same segment, then GSS encryption where there is a ticket (CVE-2021-23214)"},
		{"gssenc-with-startup", "a startup packet and a statement behind GSSENCRequest in the same segment, then GSS encryption where there is a ticket"},
		{"gssenc-garbage", "GSSENCRequest, and then a token of bytes that are none"},
		{"gssenc-empty", "GSSENCRequest, and then a token of no bytes: a question for the server's mechanisms (SPNEGO)"},
		{"gssenc-oversize", "GSSENCRequest, and then the length of a token that is longer than a server takes"},
		{"gssenc-extra-count", "GSS encryption, and a startup packet in a token whose Extra Count was changed (CVE-2024-37370)"},
		{"direct-no-alpn", "direct TLS without ALPN"},
		{"direct-wrong-alpn", "direct TLS with another protocol's ALPN"},
		{"long-startup", "a startup packet one byte longer than a server takes"},
		{"protocol-2.0", "a startup packet of protocol 2.0"},
		{"protocol-3.9", "a startup packet of protocol 3.9, which the server is to negotiate down: a session like any other"},
	}
)

func attackNames(list []Attack) []string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name
	}
	return names
}

// Words are all values of an axis that has a closed list.
func (a Axis) Words() []string { return slices.Concat(a.Values, a.More) }

func libraryNames() []string {
	names := make([]string, len(Libraries))
	for i, l := range Libraries {
		names[i] = string(l)
	}
	return names
}

// AxisByName finds an axis.
func AxisByName(name string) (Axis, bool) {
	i := slices.IndexFunc(Axes, func(a Axis) bool { return a.Name == name })
	if i < 0 {
		return Axis{}, false
	}
	return Axes[i], true
}

// Value is the cell's value on an axis.
func (c *Cell) Value(axis string) string {
	a, ok := AxisByName(axis)
	if !ok {
		panic("matrix: no such axis: " + axis)
	}
	return a.get(c.World, &c.Client)
}

// NotApplicable says why a client or server version cannot express the cell, or "" if it can. It is decided from the
// cell alone, before any probe: an option that a library does not have is not an attempt.
func NotApplicable(c *Cell) string {
	lib := c.Client.Library
	switch {
	case c.Client.SSLNegotiation == "direct" && lib.UsesLibpq() && lib.Version() < 17:
		return fmt.Sprintf("libpq %d has no sslnegotiation (since 17)", lib.Version())
	case c.Client.RequireAuth != "" && lib.UsesLibpq() && lib.Version() < 16:
		return fmt.Sprintf("libpq %d has no require_auth (since 16)", lib.Version())
	case slices.Contains(attackNames(Sequences), c.Client.Attack) != (lib == Raw):
		return "only the raw client sends " + strings.Join(attackNames(Sequences), ", ") + ", and nothing else"
	case lib == Raw:
		return rawNotApplicable(c)
	case c.Client.Hosts != "" && c.Client.Hosts != OneHost && c.Client.Transport == "unix":
		return "a unix-domain socket has no host"
	case c.Client.Attacked() && c.Client.Transport == "unix":
		return "nobody can stand between the ends of a unix-domain socket"
	case lib == PQ && (c.Client.GSSEncMode == "prefer" || c.Client.GSSEncMode == "require"):
		return "lib/pq has no gssencmode and cannot encrypt with GSSAPI"
	case lib == PQ && (c.Client.ChannelBinding == "prefer" || c.Client.ChannelBinding == "require"):
		return "lib/pq has no channel_binding and cannot bind SCRAM to TLS"
	case lib == PQ && c.Client.RequireAuth != "":
		return "lib/pq has no require_auth"
	}
	return ""
}

// rawNotApplicable is NotApplicable for the raw client.
func rawNotApplicable(c *Cell) string {
	inGSS := c.Client.Attack == "tls-in-gss" || c.Client.Attack == "gssenc-extra-count"
	switch {
	case c.Client.Hosts != "" && c.Client.Hosts != OneHost:
		return "the raw client takes one host"
	case c.Client.Ticket == Ambient || c.Client.Cert == Ambient:
		return "the raw client has no credentials but those that it is given"
	case inGSS && c.Client.Transport == "unix":
		return "there is no GSS encryption on a unix-domain socket"
	case inGSS && c.Client.Ticket != "valid":
		return "GSS encryption takes a ticket"
	case c.Client.Attack == "protocol-2.0" && c.World.Server < 14:
		return "PostgreSQL 13 speaks protocol 2.0, which the raw client cannot follow"
	}
	return ""
}
