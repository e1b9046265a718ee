// Package oracle predicts the outcome of an attempt before it is made, and says why. Predict is pure: it knows the world
// and the client as the cell describes them, and models what the client of that version and the PostgreSQL server of that
// version do. The stages of the server and of an attacker have a file each, and so has each client (client.go). Sources: the
// PostgreSQL manual; on the server's side postmaster.c (backend_startup.c since 17), be-secure-gssapi.c, hba.c, auth.c and
// postinit.c; on the clients' side those that their files name.
package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Predict says how the attempt will end, with which trace, and by which rules. It never guesses: a cell that holds
// something it does not model is a *CannotPredict, and rules that the server would not load are a *RulesError.
func Predict(c *matrix.Cell) (matrix.Prediction, error) {
	a := attempt{w: c.World, c: &c.Client, host: c.NameOfServer()}
	if a.c.IsOpenedBefore() {
		a.w = c.World.Earlier()
	}
	if err := a.check(c); err != nil {
		return matrix.Prediction{}, err
	}
	change, err := a.place(c.World)
	if err != nil {
		return matrix.Prediction{}, err
	}
	if a.rules.down && (a.c.Attacked() || a.hosts() != matrix.OneHost) {
		return matrix.Prediction{}, unknown("there is no server that could be reached", "attack=%s and hosts=%s", a.c.Attack, a.hosts())
	}
	if !a.c.IsOpenedBefore() {
		a.tellLoad(change, c.World.Load)
	}
	last, err := a.client.walk()
	if a.unreached {
		last, err, a.gap = a.nobodyListens(), nil, nil
	}
	if err = cmp.Or(err, a.gap); err != nil {
		return matrix.Prediction{}, err
	}
	last.outcome.Answer = a.answers(last.outcome)
	if a.c.IsOpenedBefore() {
		a.tellLoad(change, c.World.Load)
		last = a.across(last, c.World.Load)
	}
	last.outcome.Trace, last.outcome.Obtains, last.outcome.Load = a.trace, a.obtains(last.outcome), change.words()
	return matrix.Prediction{Outcome: last.outcome, Because: a.because, Before: a.rules.kept}, nil
}

// CannotPredict says what in a cell the oracle does not model. It is a gap of the oracle, not an outcome.
type CannotPredict struct {
	What string // e.g. "authentication method ldap"
	Why  string
}

func (e *CannotPredict) Error() string {
	return fmt.Sprintf("cannot predict: %s: %s", e.What, e.Why)
}

func unknown(why, what string, args ...any) error {
	return &CannotPredict{What: fmt.Sprintf(what, args...), Why: why}
}

// attempt is one walk over all the connections that a client opens for one cell.
type attempt struct {
	w       *matrix.World
	c       *matrix.Client
	host    string // as the client names the server
	keytab  matrix.Keytab
	ticket  matrix.Ticket
	client  client
	attack  *attack
	rules   *rules
	trace   []matrix.Step
	because []matrix.Because
	// unreached: the client has found that no server listens. Nothing that the walk finds from then on happens.
	unreached bool
	told      int   // how much of because was found before
	acted     bool  // the attacker has done more than listen
	read      bool  // the attacker has read a startup packet
	shown     bool  // the client shows words of the attacker, if it fails
	gap       error // a *CannotPredict that the walk has met
}

// ending is how one connection ended, or an attempt that opened none.
type ending struct {
	outcome matrix.Outcome // without its trace
	how     how
	state   string // SQLSTATE of the server's error
}

// how a connection ended decides what the client does next.
type how int

const (
	opened        how = iota // there is a session, or the channel that was asked for
	neverOpened              // the client rejected its own settings
	declined                 // N: the connection is still good for another method
	broken                   // the GSS or TLS handshake failed
	errorBeforeOK            // an ErrorResponse before AuthenticationOk
	errorAfterOK             // an ErrorResponse after it
	hungUp                   // the client refused to go on
	lost                     // the connection ended, or became unreadable, while the client waited for an answer
	outOfTime                // connect_timeout passed
	raced                    // broken or lost: which of the two is chance
	unwanted                 // the client closed its session because of what the server is
)

func (a *attempt) step(s matrix.Step) { a.trace = append(a.trace, s) }

func (a *attempt) connect() {
	if a.rules.down && !a.unreached {
		a.unreached, a.told = true, len(a.because)
	}
	if len(a.trace) == 0 {
		a.step(matrix.StepConnect)
	} else {
		a.step(matrix.StepReconnect)
	}
}

// nobodyListens ends an attempt at a server that did not start.
func (a *attempt) nobodyListens() ending {
	a.trace, a.because = nil, a.because[:a.told]
	a.why("connect(2)", "no server runs: the connection is refused, for each client and each way to protect it")
	return refused(neverOpened, matrix.StageDial, matrix.DialRefused)
}

func (a *attempt) why(source, text string) {
	a.because = append(a.because, matrix.Because{Text: text, Source: source})
}

func refused(h how, stage matrix.Stage, reason matrix.Reason) ending {
	return ending{how: h, outcome: matrix.Outcome{End: matrix.Refused, Stage: stage, Reason: reason}}
}

// unmodelled are server settings that change who may connect and how, and that this oracle does not model.
var unmodelled = []string{
	"db_user_namespace", "listen_addresses", "port", "ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_crl_file",
	"ssl_crl_dir", "ssl_ecdh_curve", "ssl_groups",
	"krb_server_keyfile", "hba_file", "ident_file", "max_connections", "max_wal_senders", "wal_level", "superuser_reserved_connections", "reserved_connections",
	"unix_socket_directories", "unix_socket_group", "unix_socket_permissions", "authentication_timeout", "pre_auth_delay",
	"post_auth_delay", "oauth_validator_libraries", "shared_preload_libraries", "local_preload_libraries", "event_triggers",
}

// check finds what the oracle does not model, and otherwise the models of client and attack.
func (a *attempt) check(c *matrix.Cell) error {
	if why := matrix.NotApplicable(c); why != "" {
		return unknown(why, "a cell that does not apply")
	}
	if !slices.Contains(matrix.ServerVersions, a.w.Server) {
		return unknown("not among the versions it models", "PostgreSQL %d", a.w.Server)
	}
	if a.client = modelOf(a); a.client == nil {
		return unknown("not among the clients it models", "client %q", a.c.Library)
	}
	attack := cmp.Or(a.c.Attack, matrix.NoAttack)
	if a.attack = attacks[attack]; a.attack == nil {
		return unknown("not among the attacks it models", "attack=%s", attack)
	}
	for _, known := range []struct {
		name, value string
		values      []string
	}{
		{"ssl", a.w.SSL, []string{"off", "on"}},
		{"servercrl", cmp.Or(a.w.ServerCRL, "none"), matrix.ServerCRLs},
		{"serverca", serverCAOf(a.w), matrix.ServerCAs},
		{"transport", cmp.Or(a.c.Transport, "tcp"), []string{"tcp", "unix"}},
		{"hosts", a.hosts(), []string{matrix.OneHost, matrix.DeadFirst, matrix.Twice}},
		{"target_session_attrs", cmp.Or(a.c.TargetSession, matrix.AnySession), []string{matrix.AnySession, matrix.ReadWrite, matrix.ReadOnly, matrix.Primary, matrix.Standby, matrix.PreferStandby}},
		{"default_transaction_read_only", a.setting(readOnlySetting, "off"), []string{"off", "on"}},
		{"replication", a.c.Replication, []string{"", matrix.Physical, matrix.Logical}},
		{"root", cmp.Or(a.c.Root, "right"), []string{"right", "other", "missing", "none", "system"}},
		{"ssl_cert_file", a.c.SSLCertFile, []string{"", "right", "other", "missing"}},
		{"crl", a.crl(), []string{"none", "right", "stale", "missing"}},
		{"sslpassword", cmp.Or(a.c.SSLPassword, "none"), []string{"none", "right", "wrong"}},
		{"sslsni", cmp.Or(a.c.SSLSNI, "1"), []string{"0", "1"}},
		{matrix.SSLSNI, a.setting(matrix.SSLSNI, "off"), []string{"off", "on"}},
		{"sslcertmode", cmp.Or(a.c.SSLCertMode, "allow"), []string{"disable", "allow", "require"}},
		{preloads, a.setting(preloads, ""), []string{"", passwordCheck}},
		{"gss_accept_delegation", a.setting("gss_accept_delegation", "off"), []string{"off", "on"}},
		{"gssdelegation", cmp.Or(a.c.GSSDelegation, "0"), []string{"0", "1"}},
		{"password", cmp.Or(a.c.Password, "none"), []string{"none", "right", "wrong"}},
	} {
		if !slices.Contains(known.values, known.value) {
			return unknown("it knows "+strings.Join(known.values, ", "), "%s=%s", known.name, known.value)
		}
	}
	if err := a.checkCertificates(); err != nil {
		return err
	}
	if err := a.checkKey(); err != nil {
		return err
	}
	if err := cmp.Or(a.checkTLSVersion(), a.checkCiphers()); err != nil {
		return err
	}
	if named := cmp.Or(a.c.HostName, matrix.HostNames[0]); named != matrix.HostNames[0] {
		switch {
		case !slices.Contains(matrix.HostNames, named):
			return unknown("it knows "+strings.Join(matrix.HostNames, ", "), "hostname=%s", named)
		case a.hosts() != matrix.OneHost, a.c.Attacked(), a.unix(), cmp.Or(a.c.Ticket, "none") != "none":
			return unknown("it is modelled over TCP, with one host, and without tickets and attackers", "hostname=%s", named)
		}
	}
	if a.hosts() != matrix.OneHost && a.c.Attacked() {
		return unknown("an attacker between several hosts is not modelled", "attack=%s with hosts=%s", a.c.Attack, a.hosts())
	}
	if err := a.checkAsks(); err != nil {
		return err
	}
	if a.c.SelectsSession() && a.c.Attacked() {
		return unknown("what the client asks about the session would reach the attacker", "attack=%s with target_session_attrs=%s", a.c.Attack, a.c.TargetSession)
	}
	if !slices.Contains([]string{"", matrix.Reload, matrix.Restart}, c.World.Load) {
		return unknown("it knows reload and restart", "load=%s", c.World.Load)
	}
	for _, s := range a.w.Settings {
		if slices.Contains(unmodelled, strings.ToLower(s.Name)) {
			return unknown("it may decide who connects and is not modelled", "setting %s", s.Name)
		}
	}
	for _, n := range []string{a.c.User, a.c.Database} {
		if n == "" || len(n) > 63 {
			return unknown("names have 1 to 63 bytes (NAMEDATALEN)", "role or database name %q", n)
		}
	}
	if err := a.checkAddress(); err != nil {
		return err
	}
	return a.checkKerberos()
}

func (a *attempt) unix() bool       { return a.c.Transport == "unix" }
func (a *attempt) root() string     { return cmp.Or(a.c.Root, "right") }
func (a *attempt) crl() string      { return cmp.Or(a.c.CRL, "none") }
func (a *attempt) password() string { return cmp.Or(a.c.Password, "none") }
func (a *attempt) hosts() string    { return cmp.Or(a.c.Hosts, matrix.OneHost) }

func (a *attempt) principal() string { // with its realm
	p := cmp.Or(a.c.Principal, a.c.User)
	if !strings.Contains(p, "@") && len(a.w.Realms) > 0 {
		p += "@" + a.w.Realms[0].Name
	}
	return p
}

// setting is the value of a line of postgresql.conf, or the server's default.
func (a *attempt) setting(name, otherwise string) string {
	if value, given := a.w.Setting(name); given {
		return strings.ToLower(value)
	}
	return otherwise
}

// serverSource is a function of the file that answers requests and startup packets, which was split in 17.
func (a *attempt) serverSource(function string) string {
	if a.w.Server >= 17 {
		return "backend_startup.c, " + function
	}
	return "postmaster.c, " + function
}
