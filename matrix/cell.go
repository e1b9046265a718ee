// Package matrix is the vocabulary of pgauthmatrix, and everything about scenarios that needs no container: the types of scenario,
// world, cell, outcome, prediction, observation and golden, the tables of axes, clients and attacks, the strict loader, the expansion of
// scenarios into cells, and their selection. It imports no other package of this project.
package matrix

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Cell is one fully resolved attempt: a world, a client and its options.
type Cell struct {
	// ID is FAMILY/NAME/pgVERSION[/WORLD-AXES]/LIBRARY[/CLIENT-AXES]. It is made of names, never of indexes. The axes are those
	// that the scenario names, written as AXIS=VALUE, separated by commas and in the order of Axes; own axes are the last of the world's.
	ID       string
	Scenario string  // FAMILY/NAME
	World    *World  // shared by all cells of the same world
	Client   Client  // by value: not shared
	Expect   *Expect // the row of expect that claims this cell, or nil
	ByHand   bool    // it is judged by that row alone: the oracle is not asked
}

// Expect is one row of `expect` in a scenario file.
type Expect struct {
	When []AxisValues // an axis that is not there has any value
	Then Partial
	Pos  string // FILE:LINE:COLUMN of the row
}

// AxisValues are values of one axis: those of a scenario, or those that a row or a selection claims.
type AxisValues struct {
	Axis   string
	Values []string
}

// World is what a cell needs on the server's side: every world axis has one value.
type World struct {
	Server       int         // PostgreSQL major version
	SSL          string      // on | off: the server's `ssl` setting
	ServerCert   string      // name of the server's certificate: of Certificates or ServerCertificates
	ServerCRL    string      // of ServerCRLs: what ssl_crl_file has
	ServerCA     string      // of ServerCAs: what ssl_ca_file has
	Keytab       string      // name of what krb_server_keyfile points at: see KeytabOf
	Vary         []Variation // its values on the axes of the scenario's own, in their order; the texts below have them
	HBA          string      // pg_hba.conf, byte for byte
	HBAName      string      // the name of that text in the scenario; empty if the scenario has one text only
	Ident        string      // pg_ident.conf, byte for byte
	IdentName    string      // like HBAName
	Files        []File      // further files beside the two, sorted by path
	TLSFiles     string      // "" | name of a TLSFault: what is wrong with its files for TLS
	Load         string      // how the files are loaded: reload | restart; "": by a reload, and they must load
	Before       State       // with Load what the server has before
	Settings     []Setting   // further lines of postgresql.conf, in order
	Roles        []Role
	Databases    []Database
	OSUsers      []string      // operating system users that the server's machine knows, besides its own
	Realms       []Realm       // the first is the server's
	ClientRealm  string        // the default realm in the clients' krb5.conf; empty: the server's
	Keytabs      []Keytab      // those that the scenario describes itself
	KRB5Confs    []KRB5Conf    // of clients; those that the scenario describes itself
	IdentServer  string        // name of what listens on port 113 of clients: see IdentServerOf
	IdentServers []IdentServer // those that the scenario describes itself
	Tickets      []Ticket      // those that the scenario describes itself
	Certificates []Certificate // those that the scenario describes itself
	Host         string        // the server's fully qualified host name, for its SPN and its certificate

	Networks []netip.Prefix // of clients with an address; none: there are none such
	Names    []AddressName  // as the server resolves them
}

// DeadHost is the name of the host that refuses TCP connections. There is no server, SPN or certificate of that name.
func (w *World) DeadHost() string {
	_, domain, _ := strings.Cut(w.Host, ".")
	return "dead." + domain
}

// Setting is one line of postgresql.conf.
type Setting struct{ Name, Value string }

// reloaded are settings that a reload changes (PostgreSQL manual, pg_settings.context: sighup and user). Of others it is not asked: a world that has one
// needs an Env of its own. sslmode and sslrootcert are no settings of a server: they are refused wherever they stand, and must not stand in the files with which an Env begins.
var reloaded = []string{"default_transaction_read_only", "gss_accept_delegation", "krb_caseins_users", "password_encryption", "session_preload_libraries", "ssl_ciphers", "ssl_max_protocol_version", "ssl_min_protocol_version", SSLSNI, "ssl_tls13_ciphers", "sslmode", "sslrootcert"}

// Setting is the value of a line of World.Settings as it is written, and whether there is one; the last one counts.
func (w *World) Setting(name string) (value string, given bool) {
	for _, s := range slices.Backward(w.Settings) {
		if strings.EqualFold(s.Name, name) {
			return s.Value, true
		}
	}
	return "", false
}

// Reloads says whether a reload changes the setting, so that worlds that differ in it share an Env.
func (s Setting) Reloads() bool { return slices.Contains(reloaded, strings.ToLower(s.Name)) }

// settings are those that a reload changes, or those that it does not.
func (w *World) settings(reload bool) []Setting {
	return slices.DeleteFunc(slices.Clone(w.Settings), func(s Setting) bool { return s.Reloads() != reload })
}

// settingsKey has those settings.
func (w *World) settingsKey(reload bool) (key string) {
	for _, s := range w.settings(reload) {
		key += " set:" + s.Name + "=" + strconv.Quote(s.Value)
	}
	return key
}

// Role is a database role.
type Role struct {
	Name          string
	NoLogin       bool
	Password      string   // how the password is stored: "scram-sha-256" or "md5"; "" if there is none. The password itself is made at run time
	Expired       bool     // VALID UNTIL has passed
	In            []string // the roles of which it is a member; each stands before it
	Replication   bool     // it has the attribute REPLICATION
	NoConnections bool     // CONNECTION LIMIT 0
	May           []string // its privileges on the table Notes: read, write
}

// Database is a database besides `postgres`, and `template1`, for which only superusers have the privilege CONNECT.
type Database struct {
	Name          string
	NoConnections bool // CONNECTION LIMIT 0
}

// Realm is a Kerberos realm with the scenario's principals. The service principal postgres/HOST@REALM of the first realm always
// exists.
type Realm struct {
	Name       string
	Kind       RealmKind // empty: MIT
	Principals []string  // without the realm
	Enctypes   []string  // of its keys, of Enctypes, the first one of service tickets; none: those of its kind
	Hung       bool      // a KDC that krb5.conf names first accepts connections and never answers
	Trusted    bool      // the first realm accepts its tickets: the two share the key of krbtgt/FIRST@NAME. Of the first realm itself: false
}

// RealmKind says what software a realm's KDC is. kdc starts each kind.
type RealmKind string

// MIT is MIT krb5.
const MIT RealmKind = "mit"

// RealmKinds lists the kinds.
var RealmKinds = []RealmKind{MIT}

// DefaultRealm, DefaultHost and DefaultDatabase are used where a scenario does not name its own.
const (
	DefaultRealm    = "EXAMPLE.TEST"
	DefaultHost     = "pg.example.test"
	DefaultDatabase = "postgres"
)

// EnvKey identifies what cannot be changed in a running Env. Worlds with equal keys share one Env, one after another; they differ
// only in what a reload, a statement or a file can change: ssl, settings that reload, server certificate and revocation list, keytab, hba, ident, roles, databases, operating system users and names of addresses. Principals of users are not part of
// the key: an Env has those of all its worlds.
func (w *World) EnvKey() string {
	var b strings.Builder
	b.WriteString("pg" + strconv.Itoa(w.Server) + " host=" + w.Host + w.settingsKey(false))
	for i, r := range w.Realms {
		b.WriteString(" realm:" + r.Name)
		if r.Kind != "" && r.Kind != MIT {
			b.WriteString(" " + string(r.Kind))
		}
		if len(r.Enctypes) > 0 {
			b.WriteString(" " + strings.Join(r.Enctypes, ","))
		}
		if r.Hung {
			b.WriteString(" hung")
		}
		if i > 0 {
			b.WriteString(" trusted:" + strconv.FormatBool(r.Trusted))
		}
	}
	// A client must not get a ticket for a service that only another scenario of the Env has.
	// An instance without a dot (alice/admin) is no host's name, and no client asks for it.
	services := slices.DeleteFunc(w.ServicePrincipals(), func(p string) bool {
		_, instance, _ := strings.Cut(p, "/")
		return !strings.Contains(instance, ".") && len(w.Realms) > 0 && slices.Contains(w.Realms[0].Principals, p)
	})
	if len(services) > 2 {
		b.WriteString(" services:" + strings.Join(services, ","))
	}
	if w.ClientRealm != "" {
		b.WriteString(" clients in " + w.ClientRealm)
	}
	for _, n := range w.Networks {
		b.WriteString(" network:" + n.String())
	}
	return b.String()
}

// In is this world in the Env of another: it has all that EnvKey names from there. The realm has the principals of both.
func (w *World) In(home *World) *World {
	moved := *w
	moved.Server, moved.Host, moved.Networks = home.Server, home.Host, home.Networks
	moved.Settings = append(home.settings(false), w.settings(true)...)
	moved.ClientRealm, moved.Keytabs, moved.Realms = home.ClientRealm, home.Keytabs, slices.Clone(home.Realms)
	moved.Realms[0].Principals = slices.Concat(home.Realms[0].Principals, w.Realms[0].Principals)
	return &moved
}

// Key identifies the world within a run: its EnvKey, and everything that can be changed in a running Env.
func (w *World) Key() string {
	var b strings.Builder
	b.WriteString(w.EnvKey() + " ssl=" + w.SSL + " cert=" + w.ServerCert + " keytab=" + w.Keytab)
	if k, _ := w.KeytabOf(); slices.ContainsFunc(w.Keytabs, func(own Keytab) bool { return own.Name == k.Name }) {
		b.WriteString("(" + k.key() + ")")
	}
	if slices.ContainsFunc(w.Certificates, func(c Certificate) bool { return c.Name == w.ServerCert }) { // another scenario's may have the same name
		b.WriteString(" cert:" + w.ServerCertificate().Digest())
	}
	b.WriteString(w.settingsKey(true))
	if w.ServerCRL != "" && w.ServerCRL != "none" {
		b.WriteString(" crl=" + w.ServerCRL)
	}
	if w.ServerCA != "" && w.ServerCA != "right" {
		b.WriteString(" ca=" + w.ServerCA)
	}
	for _, r := range w.Roles {
		fmt.Fprintf(&b, " role:%q%t%s%t%q%t%t", r.Name, r.NoLogin, r.Password, r.Expired, r.In, r.Replication, r.NoConnections)
		if len(r.May) > 0 {
			fmt.Fprintf(&b, "%q", r.May)
		}
	}
	for _, d := range w.Databases {
		fmt.Fprintf(&b, " database:%q%t", d.Name, d.NoConnections)
	}
	for _, u := range w.OSUsers {
		b.WriteString(" os:" + u)
	}
	if s, running, _ := w.IdentServerOf(); running {
		fmt.Fprintf(&b, " ident server:%q%q", s.Answer, s.End)
	}
	for _, n := range w.Names {
		b.WriteString(" name:" + n.Address.String() + "=" + n.Reverse + "," + n.Forward)
	}
	b.WriteString(" hba=" + strconv.Quote(w.HBA) + " ident=" + strconv.Quote(w.Ident))
	for _, f := range w.Files {
		b.WriteString(" file:" + strconv.Quote(f.Path) + "=" + strconv.Quote(f.Text))
	}
	if w.Load != "" {
		fmt.Fprintf(&b, " load=%s before=%#v", w.Load, w.Before)
	}
	if w.TLSFiles != "" && w.TLSFiles != GoodTLSFiles {
		b.WriteString(" tls files=" + w.TLSFiles)
	}
	return b.String()
}

// Client is the client's side of a cell. An empty option is not passed to the library, so that the library's default applies.
type Client struct {
	Library        Library
	Driver         *Driver // whose cell this is in the place of Library's; nil: Library's own
	Transport      string  // tcp | unix
	Address        string  // "" | the address that it connects from, of one of World.Networks
	Hosts          string  // one | dead-first | twice
	OSUser         string  // "" | the operating system user that makes the attempt
	HostName       string  // of HostNames: how it names the server
	User           string  // the database role that it requests
	Database       string
	Replication    string // "" | physical | logical
	Principal      string // Kerberos principal of the ticket, NAME of the server's realm or NAME@REALM; default: User
	Ticket         string // name of a ticket: see TicketOf
	KRB5Conf       string // name of a krb5.conf: see KRB5ConfOf
	GSSEncMode     string // "" | disable | prefer | require
	SSLMode        string // "" | disable | allow | prefer | require | verify-ca | verify-full
	SSLNegotiation string // "" | postgres | direct
	Cert           string // name of a certificate, of the world's Certificates or ClientCertificates; none; ambient
	Key            string // name of a KeyForm
	SSLPassword    string // none | right | wrong
	SSLCertMode    string // "" | disable | allow | require
	SSLSNI         string // "" | 0 | 1
	Root           string // trusted root by name: right | other | missing | none | system
	SSLCertFile    string // "" | right | other | missing: the roots of its system
	CRL            string // revocation list by name: none | right | stale | missing
	ChannelBinding string // "" | disable | prefer | require
	RequireAuth    string // "" | a libpq require_auth list
	KrbSrvName     string // "" | service name instead of postgres
	TargetSession  string // target_session_attrs: "" | any | read-write | read-only | primary | standby | prefer-standby
	Password       string // none | right | wrong
	GSSDelegation  string // "" | 0 | 1
	Asks           string // "" | what the session is asked: the name of an Ask
	Opened         string // "" | before: it is begun before the server gets the files of its world, and asked when it has them
	Attack         Attack // none | one of Attacks
}

// Prediction is the outcome that the oracle expects of a cell.
type Prediction struct {
	Outcome Outcome
	Because []Because // the rules that decided, in the order in which they did
	Before  bool      // the rules in force, and that of Outcome, are those of World.Before
}

// Because is one rule that decided.
type Because struct {
	Text   string `json:"text"`
	Source string `json:"source"` // manual section, source file, RFC, or pg_hba.conf:LINE
}

// Observation is the result of one attempt: an outcome or a fault, with the evidence. A fault is a failure of the harness, or
// witnesses that contradict each other. It is never a refusal.
type Observation struct {
	Outcome Outcome `json:"outcome"`
	Unseen  []Field `json:"unseen,omitempty"` // fields that no witness of this attempt showed: they are empty in Outcome, which means unknown, not absent (example: the rule of a reject record, which no server version logs)
	Fault   string  `json:"fault,omitempty"`  // what went wrong; Outcome is then meaningless
	// Unclassified is the fault that package classify found in the evidence. A Fault that differs from it is the harness's: it stays when the
	// evidence is classified again.
	Unclassified string    `json:"unclassified,omitempty"`
	Because      []Because `json:"because,omitempty"` // which text of which witness told the fields of Outcome; Source is client, session, server log, wire, or pg_hba.conf where its text leaves one possibility
	Evidence     Evidence  `json:"evidence"`
}

// Evidence is what the witnesses of one attempt said. It contains no secrets: they were redacted before.
type Evidence struct {
	Client      ClientEvidence       `json:"client"`
	Load        []LogLine            `json:"load,omitempty"`        // what the postmaster logged when it loaded the files; only where the world says how they are loaded
	Across      *AcrossEvidence      `json:"across,omitempty"`      // of an attempt that was begun before, and no other
	Down        string               `json:"down,omitempty"`        // how it was found that no server runs
	Connections []ConnectionEvidence `json:"connections,omitempty"` // in the order in which they were opened
	KRB5Trace   string               `json:"krb5_trace,omitempty"`  // libkrb5's KRB5_TRACE; kept if the verdict is not Agree
}

// AcrossEvidence is how an attempt stood, before the server got the files of its world, that had been begun by then.
type AcrossEvidence struct {
	PID int `json:"pid,omitempty"` // of the server's process that then waited in its session, as another session saw it; 0: the attempt had ended
}

// ClientEvidence is what the client itself reports.
type ClientEvidence struct {
	Conninfo     string       `json:"conninfo"`                // what was passed to the library
	Connected    bool         `json:"connected"`               // the library reported a usable session
	Message      string       `json:"message,omitempty"`       // its whole error text
	Crash        string       `json:"crash,omitempty"`         // signal or exit status of a client process that died
	SSLInUse     bool         `json:"ssl_in_use,omitempty"`    // libpq PQsslInUse; pgx and pq: the connection is a *tls.Conn
	GSSInUse     bool         `json:"gss_in_use,omitempty"`    // libpq PQgssEncInUse; pgx: the connection is a *gssenc.Conn
	AuthRequests []string     `json:"auth_requests,omitempty"` // the authentication requests that the library received, in order, over all connections: "ok", "gss", "gss-continue", "sasl", "md5", "password"
	AuthEarlier  int          `json:"auth_earlier,omitempty"`  // pgx: how many of them came before its last startup packet; other clients do not report it
	Session      *Session     `json:"session,omitempty"`       // what the server reports within the session; nil if there was none
	Raw          *RawEvidence `json:"raw,omitempty"`           // of the raw client only
	Micros       int64        `json:"us,omitempty"`            // duration of the attempt in microseconds
}

// RawEvidence is the result of a sequence of the raw client, as it reports it (package wire, Played).
type RawEvidence struct {
	Sequence Attack      `json:"sequence"`           // an attack of the raw client
	End      string      `json:"end"`                // closed, reset, open (neither had more to send), session (ready for a query)
	Error    string      `json:"error,omitempty"`    // the server's last error, "SQLSTATE text"; "- text" in the form before protocol 3.0
	TLS      string      `json:"tls,omitempty"`      // why there was no TLS
	Executed []string    `json:"executed,omitempty"` // command tags of statements that were appended to a request and executed
	Events   []WireEvent `json:"events"`             // as the relay's, in both directions, and in the same order what was sent inside TLS and GSS encryption
}

// Session is what the server reports about a session within that session (PostgreSQL manual, "The Cumulative Statistics System":
// pg_stat_ssl, pg_stat_gssapi; system_user since 16).
type Session struct {
	PID              int    `json:"pid"`
	SessionUser      string `json:"session_user"`
	SSL              bool   `json:"ssl,omitempty"`
	SSLVersion       string `json:"ssl_version,omitempty"`
	ClientDN         string `json:"client_dn,omitempty"`
	GSSAuthenticated bool   `json:"gss_authenticated,omitempty"`
	GSSEncrypted     bool   `json:"gss_encrypted,omitempty"`
	Principal        string `json:"principal,omitempty"`
	SystemUser       string `json:"system_user,omitempty"` // METHOD:IDENTITY; always empty before 16
	Answer           string `json:"answer,omitempty"`      // to what it was asked
	// Bare: a physical replication connection, which answers SHOW and no query. It has told its SessionUser and nothing else.
	Bare bool `json:"bare,omitempty"`
}

// ConnectionEvidence is one transport connection of the attempt, as the relay and the server's log show it.
type ConnectionEvidence struct {
	ServerPort int         `json:"port,omitempty"`     // the relay's port towards the server, by which the log lines are found; 0 on a unix socket
	Wire       []WireEvent `json:"wire,omitempty"`     // what the relay saw on the client's side; empty on a unix socket, which has no relay
	Upstream   []WireEvent `json:"upstream,omitempty"` // what it saw on the server's side, if an attack made that another conversation
	Log        []LogLine   `json:"log,omitempty"`      // the backend's log lines up to its exit
	PID        int         `json:"pid,omitempty"`      // the backend's process, from the log
	Exit       string      `json:"exit,omitempty"`     // its end, as the postmaster logged it: "exit code 0", "terminated by signal 11: …"
}

// LogLine is one message of the server's log.
type LogLine struct {
	Severity string `json:"sev"` // LOG, FATAL, ERROR, DETAIL, HINT, …
	SQLState string `json:"state,omitempty"`
	Text     string `json:"text"`
}

// Golden has the approved outcomes by cell ID: the lines of NAME.golden beside NAME.yaml.
type Golden map[string]Outcome
