package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AxisKind says what another value of an axis costs.
type AxisKind string

const (
	WorldAxis  AxisKind = "world"  // another Env or a reload: the outer loop
	ClientAxis AxisKind = "client" // another attempt: the inner loop
)

// Axis is one dimension of the matrix.
type Axis struct {
	Name    string
	Kind    AxisKind
	Values  []string // the closed list that `all` stands for; nil for free text
	More    []string // further values, which `all` does not stand for
	Default string   // the value of cells whose scenario does not name the axis; "": the option is not given
	Doc     string   // one line, for docs/scenarios.md and the JSON Schema
	get     func(*World, *Client) string
	set     func(*World, *Client, string)
}

// ServerVersions are the major versions of PostgreSQL that the matrix knows, whether or not there are images of them.
var ServerVersions = []int{13, 14, 15, 16, 17, 18, 19}

// Axes lists every axis, in the order IDs name them.
var Axes = []Axis{
	{Name: "server", Kind: WorldAxis, Values: []string{"13", "14", "15", "16", "17", "18", "19"}, Default: "18",
		Doc: "PostgreSQL major version of the server",
		get: func(w *World, _ *Client) string { return strconv.Itoa(w.Server) },
		set: func(w *World, _ *Client, v string) { w.Server, _ = strconv.Atoi(v) }},
	{Name: "ssl", Kind: WorldAxis, Values: []string{"off", "on"}, Default: "on",
		Doc: "the server's ssl setting",
		get: func(w *World, _ *Client) string { return w.SSL },
		set: func(w *World, _ *Client, v string) { w.SSL = v }},
	{Name: "servercert", Kind: WorldAxis, Values: certificateNames(ServerCertificates), Default: "good",
		Doc: "the server's certificate: see Certificates, or a name under certificates",
		get: func(w *World, _ *Client) string { return w.ServerCert },
		set: func(w *World, _ *Client, v string) { w.ServerCert = v }},
	{Name: "servercrl", Kind: WorldAxis, Values: ServerCRLs, Default: "none",
		Doc: "the server's ssl_crl_file. none: not set; right: the revocation lists of CA right and its intermediates; stale: the same, past their next update; root-only: that of CA right alone; directory: those of right, in ssl_crl_dir",
		get: func(w *World, _ *Client) string { return w.ServerCRL },
		set: func(w *World, _ *Client, v string) { w.ServerCRL = v }},
	{Name: "serverca", Kind: WorldAxis, Values: ServerCAs, Default: "right",
		Doc: "the server's ssl_ca_file. right: CA right; with-intermediate: CA right and the intermediate that it certified; intermediate-alone: that intermediate; none: not set",
		get: func(w *World, _ *Client) string { return w.ServerCA },
		set: func(w *World, _ *Client, v string) { w.ServerCA = v }},
	{Name: "tls_files", Kind: WorldAxis, Values: tlsFaultNames(), Default: GoodTLSFiles,
		Doc: "what is wrong with the server's files for TLS: see Files that do not load",
		get: func(w *World, _ *Client) string { return w.TLSFiles },
		set: func(w *World, _ *Client, v string) { w.TLSFiles = v }},
	{Name: "keytab", Kind: WorldAxis, Values: keytabNames(), Default: "good",
		Doc: "the server's keytab. good: no fault; none: there is no file; stale: it has only an older version of the key; other: it has the key of another host's principal; or one that the scenario describes under keytabs",
		get: func(w *World, _ *Client) string { return w.Keytab },
		set: func(w *World, _ *Client, v string) { w.Keytab = v }},
	{Name: "hba", Kind: WorldAxis,
		Doc: "pg_hba.conf, byte for byte, or several texts by name",
		get: func(w *World, _ *Client) string { return w.HBAName },
		set: func(w *World, _ *Client, v string) { w.HBAName = v }},
	{Name: "ident", Kind: WorldAxis,
		Doc: "pg_ident.conf, byte for byte, or several texts by name",
		get: func(w *World, _ *Client) string { return w.IdentName },
		set: func(w *World, _ *Client, v string) { w.IdentName = v }},
	{Name: "ident_server", Kind: WorldAxis, Values: []string{NoIdentServer}, Default: NoIdentServer,
		Doc: "the Ident server on the machines of clients, port 113, which the method ident asks. none: nothing listens there; or one that the scenario describes under ident_servers",
		get: func(w *World, _ *Client) string { return w.IdentServer },
		set: func(w *World, _ *Client, v string) { w.IdentServer = v }},
	{Name: "load", Kind: WorldAxis, Values: []string{Reload, Restart},
		Doc: "how the server comes by its files: pg_hba.conf, pg_ident.conf, those for TLS, and the keytab. reload: into a running server, where files that do not load leave those of before in force; restart: it starts with them, or does not start",
		get: func(w *World, _ *Client) string { return w.Load },
		set: func(w *World, _ *Client, v string) { w.Load = v }},
	{Name: "library", Kind: ClientAxis, Values: clientNames(false), More: clientNames(true), Default: "libpq18",
		Doc: "the client: libpq or the program psql of a major version, pgx, lib/pq (pq), or the raw client, which sends byte sequences; or a group of clients",
		get: func(_ *World, c *Client) string { return c.Name() },
		set: func(_ *World, c *Client, v string) { c.Library = Library(v) }},
	{Name: "transport", Kind: ClientAxis, Values: []string{"tcp", "unix"}, Default: "tcp",
		Doc: "TCP to the server's host name, or the server's unix-domain socket",
		get: func(_ *World, c *Client) string { return c.Transport },
		set: func(_ *World, c *Client, v string) { c.Transport = v }},
	{Name: "address", Kind: ClientAxis,
		Doc: "the address from which the client connects, one of network; not given: one that the harness chooses",
		get: func(_ *World, c *Client) string { return c.Address },
		set: func(_ *World, c *Client, v string) { c.Address = v }},
	{Name: "os_user", Kind: ClientAxis,
		Doc: "the operating system user that makes the attempt over a unix-domain socket, one of os_users or one that the server's machine does not know; not given: that of the harness",
		get: func(_ *World, c *Client) string { return c.OSUser },
		set: func(_ *World, c *Client, v string) { c.OSUser = v }},
	{Name: "hosts", Kind: ClientAxis, Values: []string{OneHost, DeadFirst, Twice}, Default: OneHost,
		Doc: "the hosts in the connection string. one: the server; dead-first: a host that refuses TCP connections, then the server; twice: the server twice",
		get: func(_ *World, c *Client) string { return c.Hosts },
		set: func(_ *World, c *Client, v string) { c.Hosts = v }},
	{Name: "hostname", Kind: ClientAxis, Values: HostNames, Default: HostNames[0],
		Doc: "how the connection string names the server over TCP. name: by its host name; upper-case: by its host name in upper case; localhost: by that name; address: by the address 127.0.0.1. Each leads to the server",
		get: func(_ *World, c *Client) string { return c.HostName },
		set: func(_ *World, c *Client, v string) { c.HostName = v }},
	{Name: "user", Kind: ClientAxis, Default: "alice",
		Doc: "the database role that the client requests",
		get: func(_ *World, c *Client) string { return c.User },
		set: func(_ *World, c *Client, v string) { c.User = v }},
	{Name: "database", Kind: ClientAxis, Default: DefaultDatabase,
		Doc: "the database that the client requests: postgres; template1, for which only superusers have the privilege CONNECT; one of databases; or one that does not exist",
		get: func(_ *World, c *Client) string { return c.Database },
		set: func(_ *World, c *Client, v string) { c.Database = v }},
	{Name: "replication", Kind: ClientAxis, Values: []string{Physical, Logical},
		Doc: "libpq connection parameter: a connection to the replication protocol. physical: replication=true, to no database; logical: replication=database, to a database",
		get: func(_ *World, c *Client) string { return c.Replication },
		set: func(_ *World, c *Client, v string) { c.Replication = v }},
	{Name: "principal", Kind: ClientAxis,
		Doc: "the Kerberos principal of the ticket: NAME in the server's realm, or NAME@REALM in a realm under realms; default: the user",
		get: func(_ *World, c *Client) string { return c.Principal },
		set: func(_ *World, c *Client, v string) { c.Principal = v }},
	{Name: "ticket", Kind: ClientAxis, Values: []string{"none", "valid", "expired"}, More: []string{Ambient}, Default: "none",
		Doc: "the ticket-granting ticket in the client's credential cache. none: there is no cache; ambient: a valid ticket in the cache that default_ccache_name in krb5.conf names, and KRB5CCNAME is not set; or one that the scenario describes under tickets",
		get: func(_ *World, c *Client) string { return c.Ticket },
		set: func(_ *World, c *Client, v string) { c.Ticket = v }},
	{Name: "krb5_conf", Kind: ClientAxis, Values: []string{PlainKRB5Conf}, More: []string{AnsweringKRB5Conf}, Default: PlainKRB5Conf,
		Doc: "the client's krb5.conf. plain: that of the harness; answering: the same without KDCs that hang; or one that the scenario describes under krb5_confs",
		get: func(_ *World, c *Client) string { return c.KRB5Conf },
		set: func(_ *World, c *Client, v string) { c.KRB5Conf = v }},
	{Name: "gssencmode", Kind: ClientAxis, Values: []string{"disable", "prefer", "require"},
		Doc: "libpq connection parameter; where it is given, pgx is configured by gssenc.Configure",
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
		Doc: "sslrootcert. right: the CA that signed the server's certificate; other: another CA; missing: a file that does not exist; none: not given; system: the word system",
		get: func(_ *World, c *Client) string { return c.Root },
		set: func(_ *World, c *Client, v string) { c.Root = v }},
	{Name: "ssl_cert_file", Kind: ClientAxis, Values: []string{"right", "other", "missing"},
		Doc: "SSL_CERT_FILE in the client's environment, which names the roots of its system in the place of those that are installed; SSL_CERT_DIR then names nothing. right: the CA that signed servercert=system-ca; other: another CA; missing: a file that does not exist. Not given: the installed roots, which have that CA",
		get: func(_ *World, c *Client) string { return c.SSLCertFile },
		set: func(_ *World, c *Client, v string) { c.SSLCertFile = v }},
	{Name: "crl", Kind: ClientAxis, Values: []string{"none", "right", "stale", "missing"}, Default: "none",
		Doc: "sslcrl. none: not given; right: the revocation list of the CA that signed the server's certificate; stale: the same, past its next update; missing: a file that does not exist",
		get: func(_ *World, c *Client) string { return c.CRL },
		set: func(_ *World, c *Client, v string) { c.CRL = v }},
	{Name: "cert", Kind: ClientAxis, Values: []string{"none", "good"}, More: slices.Concat([]string{Ambient}, certificateNames(ClientCertificates)[1:]), Default: "none",
		Doc: "the client's certificate: see Certificates, or a name under certificates. ambient: one like good which names " + ServiceAccount + " is in $HOME/.postgresql, and the connection string does not name one",
		get: func(_ *World, c *Client) string { return c.Cert },
		set: func(_ *World, c *Client, v string) { c.Cert = v }},
	{Name: "key", Kind: ClientAxis, Values: keyFormNames(), Default: KeyForms[0].Name,
		Doc: "the file with the key of a certificate that the connection string names: see Keys of clients",
		get: func(_ *World, c *Client) string { return c.Key },
		set: func(_ *World, c *Client, v string) { c.Key = v }},
	{Name: "sslpassword", Kind: ClientAxis, Values: []string{"none", "right", "wrong"}, Default: "none",
		Doc: "the passphrase that the client has for its key",
		get: func(_ *World, c *Client) string { return c.SSLPassword },
		set: func(_ *World, c *Client, v string) { c.SSLPassword = v }},
	{Name: "sslcertmode", Kind: ClientAxis, Values: []string{"disable", "allow", "require"},
		Doc: "libpq connection parameter, since 16",
		get: func(_ *World, c *Client) string { return c.SSLCertMode },
		set: func(_ *World, c *Client, v string) { c.SSLCertMode = v }},
	{Name: "sslsni", Kind: ClientAxis, Values: []string{"0", "1"},
		Doc: "connection parameter, in libpq since 14: whether the client names the server in its ClientHello (SNI)",
		get: func(_ *World, c *Client) string { return c.SSLSNI },
		set: func(_ *World, c *Client, v string) { c.SSLSNI = v }},
	{Name: "channel_binding", Kind: ClientAxis, Values: []string{"disable", "prefer", "require"},
		Doc: "libpq connection parameter",
		get: func(_ *World, c *Client) string { return c.ChannelBinding },
		set: func(_ *World, c *Client, v string) { c.ChannelBinding = v }},
	{Name: "require_auth", Kind: ClientAxis,
		Doc: "libpq connection parameter, since 16",
		get: func(_ *World, c *Client) string { return c.RequireAuth },
		set: func(_ *World, c *Client, v string) { c.RequireAuth = v }},
	{Name: "krbsrvname", Kind: ClientAxis,
		Doc: "libpq connection parameter, the Kerberos service name; default: postgres",
		get: func(_ *World, c *Client) string { return c.KrbSrvName },
		set: func(_ *World, c *Client, v string) { c.KrbSrvName = v }},
	{Name: "target_session_attrs", Kind: ClientAxis, Values: []string{AnySession, ReadWrite, ReadOnly, Primary, Standby, PreferStandby},
		Doc: "connection parameter: what the session must be, or the client closes it; libpq 13 has any and read-write. The server is a primary, read-only if default_transaction_read_only says so",
		get: func(_ *World, c *Client) string { return c.TargetSession },
		set: func(_ *World, c *Client, v string) { c.TargetSession = v }},
	{Name: "password", Kind: ClientAxis, Values: []string{"none", "right", "wrong"}, Default: "none",
		Doc: "the password that the client has",
		get: func(_ *World, c *Client) string { return c.Password },
		set: func(_ *World, c *Client, v string) { c.Password = v }},
	{Name: "gssdelegation", Kind: ClientAxis, Values: []string{"0", "1"},
		Doc: "libpq connection parameter, since 16",
		get: func(_ *World, c *Client) string { return c.GSSDelegation },
		set: func(_ *World, c *Client, v string) { c.GSSDelegation = v }},
	{Name: "asks", Kind: ClientAxis, Values: askNames(),
		Doc: "what the session is asked for once it exists; the outcome has the answer: see Answers",
		get: func(_ *World, c *Client) string { return c.Asks },
		set: func(_ *World, c *Client, v string) { c.Asks = v }},
	{Name: "opened", Kind: ClientAxis, Values: []string{OpenedBefore},
		Doc: "before: the attempt is begun before the server gets its files by load, and its session stays open meanwhile. Not given: the attempt is begun afterwards",
		get: func(_ *World, c *Client) string { return c.Opened },
		set: func(_ *World, c *Client, v string) { c.Opened = v }},
	{Name: "attack", Kind: ClientAxis, Values: attackWords(), More: attackNames(RawClient), Default: string(NoAttack),
		Doc: "what an attacker between client and server does, or what the raw client sends: see the tables of attacks",
		get: func(_ *World, c *Client) string { return string(c.Attack) },
		set: func(_ *World, c *Client, v string) { c.Attack = Attack(v) }},
}

// HostNames are the values of the axis hostname.
var HostNames = []string{"name", "upper-case", "localhost", "address"}

// NameOfServer is the text by which the connection string names the server.
func (c *Cell) NameOfServer() string {
	switch c.Client.HostName {
	case "upper-case":
		return strings.ToUpper(c.World.Host)
	case "localhost":
		return "localhost"
	case "address":
		return "127.0.0.1"
	}
	return c.World.Host
}

// ServerCRLs and ServerCAs are the values of the axes servercrl and serverca.
var (
	ServerCRLs = []string{"none", "right", "stale", "root-only", CRLDirectory}
	ServerCAs  = []string{"right", "with-intermediate", "intermediate-alone", "none"}
)

// CRLDirectory has the revocation lists in files of their own, in ssl_crl_dir.
const CRLDirectory = "directory"

// The values of the axis hosts.
const (
	OneHost   = "one"
	DeadFirst = "dead-first" // two: World.DeadHost and the server
	Twice     = "twice"      // two: the server and the server
)

// The values of the axis target_session_attrs.
const (
	AnySession    = "any"
	ReadWrite     = "read-write"
	ReadOnly      = "read-only"
	Primary       = "primary"
	Standby       = "standby"
	PreferStandby = "prefer-standby" // a standby; if there is none, any
)

// SelectsSession says whether the client may close a session because of what the server is.
func (c *Client) SelectsSession() bool { return c.TargetSession != "" && c.TargetSession != AnySession }

// The values of the axis replication.
const (
	Physical = "physical"
	Logical  = "logical"
)

// Ambient credentials are not named by the connection string: the library finds them in the account that the program runs as.
const (
	Ambient        = "ambient"
	ServiceAccount = "service" // the name in the certificate of cert=ambient
)

// Words are all values of an axis with a closed list.
func (a Axis) Words() []string { return slices.Concat(a.Values, a.More) }

// groups are the words of scenario files that stand for several values of the axis.
func (a Axis) groups() (names []string) {
	if a.Name == "library" {
		for _, g := range ClientGroups {
			names = append(names, g.Name)
		}
	}
	return names
}

// members are the values that a word of a scenario file or a command line stands for: those of a group in the order of Values, or one.
func (a Axis) members(word string) []string {
	if i := slices.Index(a.groups(), word); i >= 0 {
		return stringsOf(ClientGroups[i].Members())
	}
	return []string{a.value(word)}
}

// AxisByName returns an entry of Axes.
func AxisByName(name string) (Axis, bool) {
	if a := axesByName[name]; a != nil {
		return *a, true
	}
	return Axis{}, false
}

var axesByName = func() map[string]*Axis {
	byName := make(map[string]*Axis, len(Axes))
	for i := range Axes {
		byName[Axes[i].Name] = &Axes[i]
	}
	return byName
}()

// Value is the cell's value on an axis: one of Axes, or of its scenario's own.
func (c *Cell) Value(axis string) string {
	if a := axesByName[axis]; a != nil {
		return a.get(c.World, &c.Client)
	}
	value, ok := c.World.own(axis)
	if !ok {
		panic("matrix: no such axis: " + axis)
	}
	return value
}

// NotApplicable says why the client or the server version cannot express the cell; "" if it can. It is decided from the cell
// alone, before any attempt.
func NotApplicable(c *Cell) string {
	if d := c.Client.Driver; d != nil {
		if lacks := d.lacks(c); lacks != "" {
			return lacks
		}
	}
	if c.World.ServerCRL == CRLDirectory && c.World.Server < 14 {
		return fmt.Sprintf("PostgreSQL %d has no ssl_crl_dir (since 14)", c.World.Server)
	}
	switch lacks := c.Client.Library.lacks(c); {
	case lacks != "":
		return lacks
	case c.Client.Hosts != "" && c.Client.Hosts != OneHost && c.Client.Transport == "unix":
		return "a unix-domain socket has no host"
	case c.Client.Address != "" && c.Client.Transport == "unix":
		return "the client of a unix-domain socket has no address"
	case c.Client.OSUser != "" && c.Client.Transport != "unix":
		return "over TCP the server does not learn the operating system user"
	case c.Client.Replication != "" && c.Client.Attacked():
		return "the attacks are on connections that execute statements"
	}
	if cannot := c.cannotAsk(); cannot != "" {
		return cannot
	}
	if cannot := c.cannotBeOpened(); cannot != "" {
		return cannot
	}
	if c.waitsWithoutEnd() {
		return "libkrb5 1.22 waits without end for a KDC that hangs, unless krb5.conf has request_timeout"
	}
	return c.Client.Attack.notApplicable(c)
}
