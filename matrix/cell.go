// Package matrix is the vocabulary of pgauthmatrix and everything about scenarios that needs no container: the nine
// words (scenario, world, cell, outcome, prediction, observation, golden, verdict, env), the strict loader, the
// expansion into cells and their selection. It imports nothing of the project's own.
package matrix

import (
	"strconv"
	"strings"
)

// Cell is one fully resolved attempt: a world, a client and its options.
type Cell struct {
	// ID is FAMILY/NAME/pgVERSION[/WORLD-AXES]/LIBRARY/CLIENT-AXES, made of names only, never of indexes. The axes are
	// those the scenario names, as axis=value joined by commas in the order of Axes.
	ID       string
	Scenario string  // FAMILY/NAME
	World    *World  // shared by all cells of the same world
	Client   Client  // by value: no two cells share one
	Expect   *Expect // the hand-written row that claims this cell, or nil
}

// Expect is one hand-written row of a scenario.
type Expect struct {
	When []AxisValues // an axis that is not named matches every value
	Then Partial
	Pos  string // FILE:LINE:COLUMN of the row
}

// AxisValues are the values of one axis that a row or a selection claims.
type AxisValues struct {
	Axis   string
	Values []string
}

// World is what is wanted of the server's side, for one cell: every axis resolved to one value.
type World struct {
	Server     int       // PostgreSQL major version
	SSL        string    // on | off: the server's `ssl` setting
	ServerCert string    // name of a server certificate of the PKI: see fixtures; "good" is right in every way
	Keytab     string    // what krb_server_keyfile points at: good | none | stale | other (see Axes)
	HBA        string    // pg_hba.conf, byte for byte
	HBAName    string    // the name of the rule set within the scenario; empty when the scenario has one only
	Ident      string    // pg_ident.conf, byte for byte
	IdentName  string    // like HBAName
	Settings   []Setting // further lines of postgresql.conf, in order
	Roles      []Role
	Realms     []Realm // the first is the default realm, of the server and of the clients
	Host       string  // the server's fully qualified host name, to which its SPN and certificate belong
}

// DeadHost is the name of the host that refuses TCP connections: no server, SPN or certificate belongs to it.
func (w *World) DeadHost() string {
	_, domain, _ := strings.Cut(w.Host, ".")
	return "dead." + domain
}

// Setting is one line of postgresql.conf.
type Setting struct{ Name, Value string }

// Role is a database role. The databases are `postgres` and `template1`, to which only superusers have the privilege CONNECT.
type Role struct {
	Name     string
	NoLogin  bool
	Password string // name of a stored password kind: "" (none), "scram-sha-256" or "md5"; the password itself is made at run time
}

// Realm is a Kerberos realm with the principals of the scenario's users. The service principal
// postgres/HOST@REALM of the first realm always exists.
type Realm struct {
	Name       string
	Principals []string // without the realm
}

// DefaultRealm, DefaultHost and DefaultDatabase are what a scenario gets that says nothing of them.
const (
	DefaultRealm    = "EXAMPLE.TEST"
	DefaultHost     = "pg.example.test"
	DefaultDatabase = "postgres"
)

// EnvKey identifies what cannot be changed in a running Env: worlds with equal keys share one Env, one after another,
// and differ only in what a reload or a statement can change (ssl, server certificate, keytab, hba, ident, roles).
// The principals of a realm are not part of it: an Env has those of all its worlds.
func (w *World) EnvKey() string {
	var b strings.Builder
	b.WriteString("pg" + strconv.Itoa(w.Server) + " host=" + w.Host)
	for _, s := range w.Settings {
		b.WriteString(" set:" + s.Name + "=" + strconv.Quote(s.Value))
	}
	for _, r := range w.Realms {
		b.WriteString(" realm:" + r.Name)
	}
	return b.String()
}

// Key identifies the world within a run: its EnvKey and all that can be changed in a running Env.
func (w *World) Key() string {
	var b strings.Builder
	b.WriteString(w.EnvKey() + " ssl=" + w.SSL + " cert=" + w.ServerCert + " keytab=" + w.Keytab)
	for _, r := range w.Roles {
		b.WriteString(" role:" + strconv.Quote(r.Name) + strconv.FormatBool(r.NoLogin) + r.Password)
	}
	b.WriteString(" hba=" + strconv.Quote(w.HBA) + " ident=" + strconv.Quote(w.Ident))
	return b.String()
}

// Client is the attempt's own side. An empty option is not given to the library at all, so that its default rules.
type Client struct {
	Library        Library
	Transport      string // tcp | unix
	Hosts          string // one | dead-first | twice
	User           string // database role asked for
	Database       string
	Principal      string // Kerberos principal of the ticket, without the realm; default: User
	Ticket         string // none | valid | expired | ambient
	GSSEncMode     string // "" | disable | prefer | require
	SSLMode        string // "" | disable | allow | prefer | require | verify-ca | verify-full
	SSLNegotiation string // "" | postgres | direct
	Cert           string // client certificate of the PKI by name; none; ambient
	Root           string // trusted root by name: right | other | missing | none | system
	CRL            string // revocation list by name: none | right | stale | missing
	ChannelBinding string // "" | disable | prefer | require
	RequireAuth    string // "" | a libpq require_auth list
	KrbSrvName     string // "" | service name instead of postgres
	Password       string // none | right | wrong
	Attack         Attack // none | one of Attacks
}

// CertUser is whom the client's certificate names, or "".
func (c *Client) CertUser() string {
	switch c.Cert {
	case "", "none":
		return ""
	case Ambient:
		return ServiceAccount
	}
	return c.User
}

// Prediction is what the oracle says of a cell before it is tried.
type Prediction struct {
	Outcome Outcome
	Because []Because // the rules that decided, in the order they decided
}

// Because is one rule that decided.
type Because struct {
	Text   string `json:"text"`
	Source string `json:"source"` // manual section, source file, RFC, or pg_hba.conf:LINE
}

// Observation is what the probe saw of a cell: an outcome with its evidence, or a fault with the same. A fault is a
// failure of the harness, or witnesses that contradict each other; it is never a refusal.
type Observation struct {
	Outcome Outcome `json:"outcome"`
	Unseen  []Field `json:"unseen,omitempty"` // fields of Outcome that no witness of this attempt could tell: empty there, and "not known" rather than "none" (e.g. the rule of a reject record, which no server version logs)
	Fault   string  `json:"fault,omitempty"`  // what went wrong; Outcome is then meaningless
	// Unclassified is the fault that package classify found in the evidence. A Fault that differs from it is the harness's: it stays when the
	// evidence is classified again.
	Unclassified string    `json:"unclassified,omitempty"`
	Because      []Because `json:"because,omitempty"` // which text of which witness told the fields of Outcome; Source is client, session, server log, wire, or pg_hba.conf where its text leaves one possibility
	Evidence     Evidence  `json:"evidence"`
}

// Evidence is what the witnesses of one attempt said. Secrets are redacted before they get here.
type Evidence struct {
	Client      ClientEvidence       `json:"client"`
	Connections []ConnectionEvidence `json:"connections,omitempty"` // in the order they were opened
	KRB5Trace   string               `json:"krb5_trace,omitempty"`  // libkrb5's KRB5_TRACE; kept where the verdict is not Agree
}

// ClientEvidence is the client's own word.
type ClientEvidence struct {
	Conninfo     string       `json:"conninfo"`                // what the library was given, secrets redacted
	Connected    bool         `json:"connected"`               // the library reported a usable session
	Message      string       `json:"message,omitempty"`       // its error text, whole
	Crash        string       `json:"crash,omitempty"`         // signal or exit status of a client process that died
	SSLInUse     bool         `json:"ssl_in_use,omitempty"`    // libpq PQsslInUse; pgx and pq: the connection is a *tls.Conn
	GSSInUse     bool         `json:"gss_in_use,omitempty"`    // libpq PQgssEncInUse; pgx: the connection is a *gssenc.Conn
	AuthRequests []string     `json:"auth_requests,omitempty"` // authentication requests the library received, in order, all connections: "ok", "gss", "gss-continue", "sasl", "md5", "password"
	AuthEarlier  int          `json:"auth_earlier,omitempty"`  // pgx: how many of them came before its last startup packet; the others do not tell
	Session      *Session     `json:"session,omitempty"`       // what the server said from inside, when connected
	Raw          *RawEvidence `json:"raw,omitempty"`           // of the raw client, and of it alone
	Micros       int64        `json:"us,omitempty"`            // duration of the attempt in microseconds
}

// RawEvidence is what came of a sequence of the raw client, by its own word (package wire, Played).
type RawEvidence struct {
	Sequence Attack      `json:"sequence"`           // an attack of the raw client
	End      string      `json:"end"`                // closed, reset, open (it had no more to send, or the server no more to say), session (ready for a query)
	Error    string      `json:"error,omitempty"`    // the server's last error, "SQLSTATE text"; "- text" in the form before protocol 3.0
	TLS      string      `json:"tls,omitempty"`      // why TLS could not be had
	Executed []string    `json:"executed,omitempty"` // command tags of statements that were stuffed behind a request
	Events   []WireEvent `json:"events"`             // both directions, as the relay's, and in the same order what TLS and GSS encryption hold
}

// Session is the server's view of a connected attempt, asked over the session itself (PostgreSQL manual, "The
// Cumulative Statistics System": pg_stat_ssl, pg_stat_gssapi; system_user since 16).
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
}

// ConnectionEvidence is one transport connection of the attempt, seen from the wire and from the server's log.
type ConnectionEvidence struct {
	ServerPort int         `json:"port,omitempty"`     // the client-side port towards the server, by which the log is found; 0 on a unix socket
	Wire       []WireEvent `json:"wire,omitempty"`     // what the relay saw at the client's side; empty on a unix socket, which has no relay
	Upstream   []WireEvent `json:"upstream,omitempty"` // what it saw at the server's side, where an attack made that another conversation
	Log        []LogLine   `json:"log,omitempty"`      // the backend's log lines, complete up to its exit
	PID        int         `json:"pid,omitempty"`      // the backend's process, from the log
	Exit       string      `json:"exit,omitempty"`     // how the postmaster logged the backend's end: "exit code 0", "terminated by signal 11: …"
}

// WireEvent is one thing the relay saw, as package wire records it.
type WireEvent struct {
	Micros int64  `json:"us"`   // since the attempt began
	From   string `json:"from"` // client | server
	Kind   string `json:"kind"` // see wire.Kinds
	Detail string `json:"detail,omitempty"`
}

// LogLine is one message of the server's log.
type LogLine struct {
	Severity string `json:"sev"` // LOG, FATAL, ERROR, DETAIL, HINT, …
	SQLState string `json:"state,omitempty"`
	Text     string `json:"text"`
}

// Golden holds approved outcomes by cell ID: the lines of NAME.golden beside NAME.yaml.
type Golden map[string]Outcome
