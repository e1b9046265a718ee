// Package agent is the program that stays in a container for the life of an Env and does there what cannot be done
// from outside at the rate a matrix needs: it makes attempts with real client libraries through a recording relay,
// reads the server's log connection by connection, keeps the admin session, and writes files. Harness and agent speak
// JSON lines over the standard input and output of one `docker exec`, so that nothing depends on a mapped port.
//
// This file is the protocol; Conn is the harness's end, Serve the container's. The agent's first line is a Response with
// ID 0 and Version; everything after it answers a Request.
package agent

import "github.com/pgauthmatrix/pgauthmatrix/wire"

// Request asks for one thing: exactly one of the pointers is set. ID is chosen by the harness and returned unchanged.
// Requests are served concurrently, answers come in any order.
type Request struct {
	ID      uint64   `json:"id"`
	Attempt *Attempt `json:"attempt,omitempty"` // client container
	Write   []Write  `json:"write,omitempty"`   // any container: files, in order
	Remove  *Remove  `json:"remove,omitempty"`  // any container
	Digest  []string `json:"digest,omitempty"`  // any container: paths of files, see Response.Digests
	Run     *Run     `json:"run,omitempty"`     // any container
	SQL     *SQL     `json:"sql,omitempty"`     // server container
	Follow  *Follow  `json:"follow,omitempty"`  // server container
	Collect *Collect `json:"collect,omitempty"` // server container
	Health  *Health  `json:"health,omitempty"`  // client container
	Network *Network `json:"network,omitempty"` // any container
	Resolve *Resolve `json:"resolve,omitempty"` // server container
	Ident   *Ident   `json:"ident,omitempty"`   // client container
	Knock   []Knock  `json:"knock,omitempty"`   // any container: one after the other, see Response.Knocked
}

// Response answers one Request. Fault says that the harness failed to do what was asked (never that a server refused).
type Response struct {
	ID      uint64         `json:"id"`
	Version string         `json:"version,omitempty"` // in the first line only
	Fault   string         `json:"fault,omitempty"`
	Attempt *AttemptResult `json:"attempt,omitempty"`
	Run     *RunResult     `json:"run,omitempty"`
	Digests []string       `json:"digests,omitempty"` // for each path SHA-256 in hexadecimal, or "" if there is no file
	SQL     *SQLResult     `json:"sql,omitempty"`
	Collect *CollectResult `json:"collect,omitempty"`
	Health  *HealthResult  `json:"health,omitempty"`
	Knocked []string       `json:"knocked,omitempty"` // for each connection the SQLSTATE of the server's error, or "" if it was let in
}

// Attempt makes one connection attempt in a process of its own.
type Attempt struct {
	Token   string            `json:"token"`             // the cell ID; the result must carry it back, or the harness calls it a fault
	Client  string            `json:"client"`            // a driver by its name: libpq | psql | pgx | pq | raw | foreign
	Options []Option          `json:"options"`           // connection parameters as the library is given them, without hostaddr and, where Server is set, without port
	Server  string            `json:"server,omitempty"`  // ADDRESS:PORT that the relay dials; empty: the unix socket named by option host, no relay
	From    string            `json:"from,omitempty"`    // address that the relay dials from; empty: the container's own
	Env     map[string]string `json:"env,omitempty"`     // the whole environment of the attempt besides what the agent sets: PATH, HOME, LC_ALL, KRB5CCNAME, KRB5_TRACE, and PGSYSCONFDIR, PGSERVICEFILE, PGPASSFILE naming nothing
	CCache  string            `json:"ccache,omitempty"`  // credential cache file, copied into the attempt's private directory; empty: KRB5CCNAME names a file that does not exist
	KRB5    []string          `json:"krb5,omitempty"`    // lines of [libdefaults] that the attempt's own copy of $KRB5_CONFIG has before the others
	Default bool              `json:"default,omitempty"` // CCache is the default cache: KRB5CCNAME is not set, default_ccache_name of the attempt's own copy of $KRB5_CONFIG names it
	Home    map[string]string `json:"home,omitempty"`    // files that lie in the attempt's home directory: path there, file that is copied
	Direct  bool              `json:"direct,omitempty"`  // the library is given Server itself, in the place of a relay: nobody records what passes
	Dead    bool              `json:"dead,omitempty"`    // the first of the hosts that option host names refuses TCP connections; all others are the relay
	UID     int               `json:"uid,omitempty"`     // operating-system user of the attempt (peer)
	Tamper  *Tamper           `json:"tamper,omitempty"`  // what the relay does besides recording
	Raw     *RawSequence      `json:"raw,omitempty"`     // what client raw sends; it takes options user and dbname, and asks no query
	Query   string            `json:"query"`             // asked once when connected; one row, its columns go to Row
	Timeout int               `json:"timeout,omitempty"` // seconds until the attempt is a fault; default 20
}

// Foreign is the Attempt.Client of every client that has a driver program of its own in the container, which is DriverProgram.
const (
	Foreign       = "foreign"
	DriverProgram = "/usr/local/bin/pgam-driver"
)

// RawSequence is what the raw client sends: see wire.Raw.
type RawSequence struct {
	Name string `json:"name"`          // a wire.Sequence
	SQL  string `json:"sql,omitempty"` // of the sequences that stuff a statement
	SPN  string `json:"spn,omitempty"` // where a ticket is given and GSS encryption is begun, SERVICE/HOST
}

// Tamper is an attack of the relay: see wire.Tamper, whose attacks it names. The certificate that impersonates the host
// is made in the agent, by a CA that no client trusts.
type Tamper struct {
	Attack string      `json:"attack"`
	SQL    string      `json:"sql,omitempty"`
	Text   string      `json:"text,omitempty"`
	At     string      `json:"at,omitempty"`
	From   string      `json:"from,omitempty"`
	Delay  int         `json:"delay,omitempty"` // milliseconds
	Row    [][2]string `json:"row,omitempty"`
}

// Option is one connection parameter. Secret values are replaced in everything that leaves the agent. File: it names a file that must be
// there. libpq passes over a root, a revocation list and a certificate that it does not find, and the attempt would be another.
type Option struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"`
	File   bool   `json:"file,omitempty"`
}

// AttemptResult is what the client and the relay saw. Connected with an empty Row means that the query failed or the
// session ended before it was answered; Message then says how.
type AttemptResult struct {
	Token        string            `json:"token"`
	Started      int64             `json:"started"`         // epoch milliseconds by the client container's clock
	Peers        []Peer            `json:"peers,omitempty"` // the client's end of each connection that reached the server, in the order of Records; by them the server's log is found
	Unix         bool              `json:"unix,omitempty"`  // the attempt went over a unix socket: no relay, no Records
	Connects     int               `json:"connects"`        // transport connections that the library opened, counted in its own process; -1 for psql and for a driver program that does not tell
	Connected    bool              `json:"connected"`
	Message      string            `json:"message,omitempty"`       // the library's whole error text
	Crash        string            `json:"crash,omitempty"`         // e.g. "signal 11 (segmentation fault)"; then Connected is false
	SSLInUse     bool              `json:"ssl_in_use,omitempty"`    // not told by psql: false
	GSSInUse     bool              `json:"gss_in_use,omitempty"`    // not told by psql: false
	AuthRequests []string          `json:"auth_requests,omitempty"` // see matrix.ClientEvidence; not told by psql: empty
	AuthEarlier  int               `json:"auth_earlier,omitempty"`  // see matrix.ClientEvidence; pgx only
	Untold       []string          `json:"untold,omitempty"`        // which of ssl_in_use, gss_in_use and auth_requests a driver program does not tell
	Row          map[string]string `json:"row,omitempty"`           // the query's row by column name; SQL null is absent
	Records      []wire.Record     `json:"records,omitempty"`       // in the order the connections were opened
	Raw          *wire.Played      `json:"raw,omitempty"`           // of client raw; its Record is what the client itself saw
	KRB5Trace    string            `json:"krb5_trace,omitempty"`
	Conninfo     string            `json:"conninfo"` // what the library was given, secrets redacted
	Micros       int64             `json:"us"`
}

// Write creates or replaces a file (written beside it and renamed, so that a reader sees the old or the new one).
type Write struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
	Mode uint32 `json:"mode"` // e.g. 0o600
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// Remove removes everything in a directory but what has one of the names in it.
type Remove struct {
	Dir  string   `json:"dir"`
	Keep []string `json:"keep,omitempty"`
}

// Run executes a program and waits for it. A non-zero exit status is a result, not a fault.
type Run struct {
	Argv    []string          `json:"argv"`
	Env     map[string]string `json:"env,omitempty"`
	Stdin   []byte            `json:"stdin,omitempty"`
	Timeout int               `json:"timeout,omitempty"` // seconds, default 30
}

// RunResult is how the program ended.
type RunResult struct {
	Exit   int    `json:"exit"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
}

// SQL runs statements, with semicolons between them, on the one admin session, which the agent opens on first use and does not open again by itself: the
// rules under test would not let it in. Reopen gives the session up that there is, and opens another. Conninfo is read when it is opened.
type SQL struct {
	Conninfo  string `json:"conninfo,omitempty"`
	Reopen    bool   `json:"reopen,omitempty"`
	Statement string `json:"statement"`
}

// SQLResult holds the rows of each statement as text; nil is SQL null. Error is the server's own word.
type SQLResult struct {
	Rows  [][][]*string `json:"rows,omitempty"`
	Error string        `json:"error,omitempty"`
}

// Follow starts reading the server's log file, from its present end if FromEnd. Lines have the prefix
// LogLinePrefix. Sent once.
type Follow struct {
	Path    string `json:"path"`
	FromEnd bool   `json:"from_end,omitempty"`
}

// LogLinePrefix is the log_line_prefix that the log index can read: epoch milliseconds, process id, remote host and
// port, SQLSTATE.
const LogLinePrefix = "%n|%p|%r|%e|"

// Collect returns log lines, and forgets them.
//
// Peers asks for these connections: it waits until each is complete, that is until the postmaster has logged the exit of
// its backend (DEBUG2).
//
// Local asks for the connections over the unix socket that began at Since or later and have not been taken yet: it waits
// for Count of them to be complete and, with PID, for that backend's. Local alone clears what there is.
//
// Postmaster asks for the lines of the postmaster since the last time, and for those that no process of the server has signed. Where the
// line with which the postmaster starts was not read, they are the lines of every process that serves no client. Until makes it wait for a
// line with this text.
//
// What has not come after Timeout is a fault that says what there is instead.
type Collect struct {
	Peers      []Peer `json:"peers,omitempty"`
	Local      bool   `json:"local,omitempty"`
	Since      int64  `json:"since,omitempty"` // epoch milliseconds; of Local
	Count      int    `json:"count,omitempty"` // of Local
	PID        int    `json:"pid,omitempty"`   // of Local
	Postmaster bool   `json:"postmaster,omitempty"`
	Until      string `json:"until,omitempty"`   // of Postmaster
	Timeout    int    `json:"timeout,omitempty"` // milliseconds, default 30000
}

// Peer is the client's end of a connection to the server. A port can be used again: what an earlier connection from it
// left in the log is told by having begun before Since.
type Peer struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Since   int64  `json:"since"` // epoch milliseconds by the client container's clock at which the connection began to be opened
}

// Collect is the request for the server's log of this attempt, of all its connections, none if it opened none. An
// attempt over the unix socket is told from others only by being alone; pid is its backend's, 0 if it did not connect.
func (r *AttemptResult) Collect(pid int) Collect {
	if r.Unix {
		return Collect{Local: true, Since: r.Started, Count: max(r.Connects, 0), PID: pid}
	}
	return Collect{Peers: r.Peers}
}

// CollectResult has the connections in the order asked for.
type CollectResult struct {
	Connections []LoggedConnection `json:"connections,omitempty"`
	Postmaster  []LogLine          `json:"postmaster,omitempty"`
}

// LoggedConnection is one backend's part of the log, without DEBUG lines.
type LoggedConnection struct {
	Port  int       `json:"port,omitempty"` // 0: unix socket
	PID   int       `json:"pid"`
	Lines []LogLine `json:"lines"`
	Exit  string    `json:"exit"` // how the postmaster logged the backend's end: "exit code 0", "terminated by signal 11: …"
}

// LogLine is one message: a DETAIL, HINT or CONTEXT is a line of its own; continuation lines are joined with \n.
type LogLine struct {
	Severity string `json:"sev"`
	SQLState string `json:"state,omitempty"`
	Text     string `json:"text"`
}

// Health asks whether credential caches hold what they must, and whether KDCs issue tickets. It starts no process.
type Health struct {
	Config string       `json:"config"` // path of krb5.conf
	Caches []CacheState `json:"caches,omitempty"`
	Logins []Login      `json:"logins,omitempty"`
}

// CacheState is a FILE credential cache as it must be: its ticket-granting ticket is valid, or has expired.
type CacheState struct {
	Path    string `json:"path"`
	Expired bool   `json:"expired,omitempty"`
}

// Login is a principal that must get a ticket-granting ticket by its keytab, and then a ticket for a service.
type Login struct {
	Keytab    string `json:"keytab"`
	Principal string `json:"principal"`     // NAME@REALM
	SPN       string `json:"spn,omitempty"` // SERVICE/HOST@REALM; empty: no service ticket
}

// HealthResult says what is not as it must be, a text for each cache and each login; both are empty if all is well.
type HealthResult struct {
	Caches []string `json:"caches,omitempty"`
	Logins []string `json:"logins,omitempty"`
}

// Network gives the container addresses besides the one that the engine gave it. They are on its one interface; nothing outside of the
// containers on the same network learns of them.
type Network struct {
	Addresses []string `json:"addresses,omitempty"` // ADDRESS/BITS: the interface has the mask of so many bits
	Routes    []string `json:"routes,omitempty"`    // PREFIX: a network whose hosts are on the same link
	Local     []string `json:"local,omitempty"`     // PREFIX: a network of which every address is the container's own, and on none of its interfaces
	Closed    bool     `json:"closed,omitempty"`    // the default routes are removed: nothing beyond the link is reached
}

// Resolve makes the agent the name server of its container. Path is a file with HostNames, which may be replaced at any time. Sent once.
type Resolve struct {
	Path string `json:"path"`
}

// Ident says what the agent answers on port 113 of its container, to whatever is asked there (RFC 1413). Nothing listens there before the first such request,
// nor after one without Answer.
type Ident struct {
	Answer string `json:"answer,omitempty"` // the whole line with its end; {ports} stands for the two ports of the question
}

// Knock opens a connection without encryption, and gives a wrong password where it is asked for one. What the server made of it is in its log.
type Knock struct {
	Server   string `json:"server"`         // ADDRESS:PORT, or the directory of the socket
	From     string `json:"from,omitempty"` // address that it comes from; empty: the container's own, or the socket
	User     string `json:"user"`
	Database string `json:"database,omitempty"`
	Physical bool   `json:"physical,omitempty"` // it asks for physical replication
}
