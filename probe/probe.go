// Package probe makes the attempt that a cell describes: it turns the cell into a request for the agents of an Env, and collects
// what the witnesses of the attempt say.
package probe

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// world is the part of an Env that an attempt needs.
type world interface {
	World() *matrix.World
	ServerAddr() string
	SocketDir() string
	CCache(principal string, t matrix.Ticket) string
	ClientEnv(krb5Conf string) map[string]string
	RootFile(name string) string
	SystemRoots(name string) string
	CRLFile(name string) string
	CertFiles(*matrix.Certificate, matrix.KeyForm) (cert, key string)
	Password(role, kind string) (string, error)
	Loading() (said []matrix.LogLine, down string)
}

// maker makes attempts in a client container, collector reads the server's log: *agent.Conn is both.
type (
	maker interface {
		Attempt(context.Context, agent.Attempt) (agent.AttemptResult, error)
	}
	collector interface {
		Collect(context.Context, agent.Collect) (agent.CollectResult, error)
	}
)

// The seconds that an attempt may take: the library's own limit, and the agent's, after which it is a fault. A client may wait once for
// each method. Both are for what hangs: a slow machine must not turn a limit into an outcome.
const (
	connectTimeout = 60
	attemptTimeout = 150
)

func connectSeconds(attack matrix.Attack) int {
	if strings.HasPrefix(string(attack), "hold-") {
		return classify.HeldSeconds
	}
	return connectTimeout
}

// patience is how long the harness waits for the agents' answers to one attempt, in case an agent does not answer.
const patience = (attemptTimeout + 60) * time.Second

// attempt makes the attempt once. Nothing is ever tried again: a second try after the client has spoken could hide a refusal, and
// before that the harness has a fault that must be seen.
func attempt(ctx context.Context, env world, client maker, server collector, alone *sync.Mutex, cell *matrix.Cell) matrix.Observation {
	if why := matrix.NotApplicable(cell); why != "" {
		return matrix.Observation{Fault: "cannot be attempted: " + why}
	}
	if cell.Client.IsOpenedBefore() {
		return matrix.Observation{Fault: "cannot be attempted: the server has got its files, and the attempt is to be begun before"}
	}
	if w := env.World(); w == nil {
		return matrix.Observation{Fault: "the server runs under no proven world"}
	} else if w.Key() != cell.World.Key() {
		return matrix.Observation{Fault: fmt.Sprintf("the server runs under another world than the cell's:\n%s\n%s", w.Key(), cell.World.Key())}
	}
	request, err := Request(env, cell)
	if err != nil {
		return matrix.Observation{Fault: err.Error()}
	}
	if cell.Client.Transport == "unix" {
		alone.Lock()
		defer alone.Unlock()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	evidence, err := witness(ctx, client, server, cell, request)
	return conclude(env, cell, &request, evidence, err)
}

// conclude classifies what the witnesses said of an attempt; err is what the harness could not do.
func conclude(env world, cell *matrix.Cell, request *agent.Attempt, evidence matrix.Evidence, err error) matrix.Observation {
	evidence.Load, evidence.Down = env.Loading()
	secrets := secretsOf(request)
	leaked := agent.Redact(&evidence, secrets)
	fault := ""
	switch {
	case err != nil:
		fault = secrets.Replace(err.Error())
	case leaked:
		fault = "a password was in the evidence; it was removed"
	default:
		return classify.Classify(cell, evidence)
	}
	return matrix.Observation{Fault: fault, Evidence: evidence}
}

// Request turns a cell into what the agent in the client container is asked. Options that are secret are marked.
func Request(env world, cell *matrix.Cell) (request agent.Attempt, err error) {
	c := cell.Client
	ask := askers[c.Kind()]
	if ask == nil {
		return request, fmt.Errorf("library %q: no client of that name can be asked", c.Library)
	}
	secret, err := env.Password(c.User, c.Password)
	if err != nil {
		return request, err
	}
	request = agent.Attempt{
		Token: cell.ID, Client: string(c.Kind()), Env: env.ClientEnv(c.KRB5Conf), Query: sessionQuery(cell.World.Server, &c), Timeout: attemptTimeout,
		Tamper: tamper(&c),
	}
	if c.SSLCertFile != "" {
		request.Env["SSL_CERT_FILE"], request.Env["SSL_CERT_DIR"] = env.SystemRoots(c.SSLCertFile), "/nonexistent"
	}
	if c.Replication == matrix.Physical {
		request.Query = bareQuery
	}
	if c.OSUser != "" {
		request.UID = matrix.UID(c.OSUser)
	}
	ticket, ok := cell.World.TicketOf(&c)
	if !ok {
		return request, fmt.Errorf("nothing describes ticket %q", c.Ticket)
	}
	request.Default, request.CCache = ticket.Ambient, env.CCache(cmp.Or(c.Principal, c.User), ticket)
	lines, ok := cell.World.KRB5ConfOf(&c)
	if !ok {
		return request, fmt.Errorf("nothing describes krb5_conf %q", c.KRB5Conf)
	}
	for _, line := range lines {
		request.KRB5 = append(request.KRB5, line.Name+" = "+line.Value)
	}
	if c.Cert == matrix.Ambient {
		cert, key := env.CertFiles(cell.World.ClientCertificate(&c), matrix.KeyForms[0])
		request.Home = map[string]string{".postgresql/postgresql.crt": cert, ".postgresql/postgresql.key": key}
	}
	switch c.Transport {
	case "tcp":
		if request.Server, request.From, err = route(env, cell); err != nil {
			return request, err
		}
		request.Dead = c.Hosts == matrix.DeadFirst
		// A relay would take the connection that a server that does not run refuses.
		_, down := env.Loading()
		request.Direct = down != ""
		names := classify.HostNames(cell)
		if names == "" {
			return request, fmt.Errorf("hosts %q: want one, dead-first or twice", c.Hosts)
		}
		request.Options = []agent.Option{{Name: "host", Value: names}}
	case "unix":
		_, port, _ := strings.Cut(env.ServerAddr(), ":")
		request.Options = []agent.Option{{Name: "host", Value: env.SocketDir()}, {Name: "port", Value: port}}
	default:
		return request, fmt.Errorf("transport %q: want tcp or unix", c.Transport)
	}
	ask(&request, env, cell, secret)
	passphrase, err := env.Password("", c.SSLPassword)
	if err != nil {
		return request, err
	}
	if passphrase != "" {
		request.Options = append(request.Options, agent.Option{Name: "sslpassword", Value: passphrase, Secret: true})
	}
	return request, nil
}

// route is where the relay dials, and from where; "" is wherever the kernel chooses.
func route(env world, cell *matrix.Cell) (to, from string, err error) {
	if cell.Client.Address == "" {
		return env.ServerAddr(), "", nil
	}
	client, err := netip.ParseAddr(cell.Client.Address)
	if err != nil {
		return "", "", fmt.Errorf("address: %w", err)
	}
	server, ok := cell.World.ServerAddress(client)
	if !ok {
		return "", "", fmt.Errorf("address %s: the server has no address of that family", client)
	}
	_, port, _ := strings.Cut(env.ServerAddr(), ":")
	return net.JoinHostPort(server.String(), port), client.String(), nil
}

// option appends a parameter that is given; an empty one is not given at all, so that the library's default rules.
func option(options []agent.Option, name, value string) []agent.Option {
	if value == "" {
		return options
	}
	return append(options, agent.Option{Name: name, Value: value})
}

// fileOption is option for a file that is there, unless the cell's word for it says that it is not: missing, or system, which is none.
func fileOption(options []agent.Option, name, value, word string) []agent.Option {
	if value == "" {
		return options
	}
	return append(options, agent.Option{Name: name, Value: value, File: word != "missing" && word != "system"})
}

// sessionQuery asks the server, over the session under test, for its view of that session: one row.
// With asks the row has the answer, too: the function that gives it catches the server's error.
// That of a session that is open while the server gets its files waits for them.
func sessionQuery(server int, c *matrix.Client) string {
	answer, systemUser, waits := "", "", ""
	if c.IsOpenedBefore() {
		waits = ", " + fixtures.WaitSQL + " IS NULL AS waited OFFSET 0"
	}
	if ask, ok := matrix.AskByName(c.Asks); ok {
		answer = fmt.Sprintf(", pgauthmatrix.ask($ask$%s$ask$, %t) AS answer", ask.SQL, ask.Query)
	}
	if server >= 16 {
		systemUser = ", system_user AS system_user"
	}
	return `SELECT me.pid::text AS pid, session_user::text AS session_user, s.ssl::text AS ssl, s.version AS ssl_version, s.client_dn AS client_dn, ` +
		`g.gss_authenticated::text AS gss_authenticated, g.encrypted::text AS gss_encrypted, g.principal AS principal` + systemUser + answer +
		` FROM (SELECT pg_backend_pid() AS pid` + waits + `) AS me LEFT JOIN pg_stat_ssl AS s USING (pid) LEFT JOIN pg_stat_gssapi AS g USING (pid)`
}

// bareQuery is what a physical replication connection can answer: one row, of one column (walsender.c, exec_replication_command).
const bareQuery = "SHOW session_authorization"

// witness makes the attempt and collects what every witness saw of it.
func witness(ctx context.Context, client maker, server collector, cell *matrix.Cell, request agent.Attempt) (matrix.Evidence, error) {
	var e matrix.Evidence
	unix := request.Server == ""
	if unix {
		// Local connections that an earlier, broken attempt left behind must not be taken for this one's.
		if _, err := server.Collect(ctx, agent.Collect{Local: true}); err != nil {
			return e, fmt.Errorf("clear the log of local connections: %w", err)
		}
	}
	result, err := client.Attempt(ctx, request)
	if err != nil {
		return e, err
	}
	e.Client = matrix.ClientEvidence{
		Conninfo: result.Conninfo, Connected: result.Connected, Message: result.Message, Crash: result.Crash,
		SSLInUse: result.SSLInUse, GSSInUse: result.GSSInUse, AuthRequests: result.AuthRequests, AuthEarlier: result.AuthEarlier, Micros: result.Micros,
	}
	if result.Raw != nil {
		e.Client.Raw = rawEvidence(cell, result.Raw)
	}
	e.KRB5Trace = result.KRB5Trace
	if result.Token != request.Token {
		return e, fmt.Errorf("the agent answered for attempt %q, asked was %q", result.Token, request.Token)
	}
	if result.Unix != unix {
		return e, fmt.Errorf("the agent made an attempt with unix=%t, asked was unix=%t", result.Unix, unix)
	}
	if len(result.Untold) > 0 && cell.Client.Kind() != matrix.KindForeign {
		return e, fmt.Errorf("the driver program of %s does not tell %s", cell.Client.Name(), strings.Join(result.Untold, ", "))
	}
	ended := cell.Client.IsOpenedBefore() && len(result.Row) == 0 // by the server, or the classifier finds that it was not
	if result.Connected && !ended {
		read := readSession
		if request.Query == bareQuery {
			read = readBareSession
		}
		session, err := read(result.Row)
		if err != nil {
			return e, fmt.Errorf("%w (the client said %q)", err, result.Message)
		}
		e.Client.Session = session
	}
	for i, record := range result.Records {
		n := matrix.ConnectionEvidence{ServerPort: record.ServerPort}
		n.Wire, n.Upstream = wireEvents(record.Events), wireEvents(record.Upstream)
		e.Connections = append(e.Connections, n)
		if record.Error != "" {
			return e, fmt.Errorf("the relay failed on connection %d: %s", i+1, record.Error)
		}
	}
	if result.Connects >= 0 && !unix && !request.Direct && result.Connects != len(result.Records) {
		return e, fmt.Errorf("witnesses contradict: the client opened %d connections, the relay saw %d", result.Connects, len(result.Records))
	}
	return e, collect(ctx, server, cell, &result, &e)
}

func wireEvents(events []wire.Event) (seen []matrix.WireEvent) {
	for _, e := range events {
		seen = append(seen, matrix.WireEvent{Micros: e.Micros, From: e.From, Kind: string(e.Kind), Text: e.Text, Answer: e.Answer, Bytes: e.Bytes, Token: e.Token, Auth: e.Auth,
			TLS: (*matrix.WireTLS)(e.TLS), Alert: (*matrix.WireAlert)(e.Alert), Startup: (*matrix.WireStartup)(e.Startup), Error: (*matrix.WireError)(e.Error), Deed: (*matrix.WireDeed)(e.Deed)})
	}
	return seen
}

// collect adds the server's log to the connections of e.
func collect(ctx context.Context, server collector, cell *matrix.Cell, result *agent.AttemptResult, e *matrix.Evidence) error {
	pid := 0
	if e.Client.Session != nil {
		pid = e.Client.Session.PID
	}
	what := result.Collect(pid)
	if result.Unix && result.Connects < 0 && classify.OpensSocket(cell, result.Message) {
		what.Count = 1 // psql does not tell, and over a unix socket there is one connection or none
	}
	if len(what.Peers) == 0 && !what.Local {
		return nil
	}
	log, err := server.Collect(ctx, what)
	if err != nil {
		return fmt.Errorf("the server's log: %w", err)
	}
	if result.Unix {
		for _, logged := range log.Connections {
			e.Connections = append(e.Connections, withLog(matrix.ConnectionEvidence{}, logged))
		}
		return nil
	}
	for _, logged := range log.Connections {
		found := false
		for i := range e.Connections {
			if n := &e.Connections[i]; n.ServerPort == logged.Port && n.PID == 0 {
				*n, found = withLog(*n, logged), true
				break
			}
		}
		if !found {
			return fmt.Errorf("witnesses contradict: the server's log has port %d, the relay does not", logged.Port)
		}
	}
	return nil
}

// withLog adds a backend's part of the log.
func withLog(n matrix.ConnectionEvidence, logged agent.LoggedConnection) matrix.ConnectionEvidence {
	n.PID, n.Exit = logged.PID, logged.Exit
	for _, line := range logged.Lines {
		n.Log = append(n.Log, matrix.LogLine{Severity: line.Severity, SQLState: line.SQLState, Text: line.Text})
	}
	return n
}

// readSession reads the row of sessionQuery.
func readSession(row map[string]string) (*matrix.Session, error) {
	pid, err := strconv.Atoi(row["pid"])
	if err != nil {
		return nil, fmt.Errorf("the session did not answer the query: row %v", row)
	}
	s := &matrix.Session{PID: pid, SessionUser: row["session_user"], SSLVersion: row["ssl_version"], ClientDN: row["client_dn"], Principal: row["principal"], SystemUser: row["system_user"], Answer: row["answer"]}
	for column, to := range map[string]*bool{"ssl": &s.SSL, "gss_authenticated": &s.GSSAuthenticated, "gss_encrypted": &s.GSSEncrypted} {
		switch row[column] {
		case "true":
			*to = true
		case "false":
		default:
			return nil, fmt.Errorf("the session's %s is %q, want true or false", column, row[column])
		}
	}
	return s, nil
}

// readBareSession reads the row of bareQuery.
func readBareSession(row map[string]string) (*matrix.Session, error) {
	user, ok := row["session_authorization"]
	if !ok || len(row) != 1 {
		return nil, fmt.Errorf("the session did not answer SHOW: row %v", row)
	}
	return &matrix.Session{SessionUser: user, Bare: true}, nil
}

// secretsOf takes the secrets of a request out of texts, where the agent's redaction should have left none.
func secretsOf(request *agent.Attempt) *strings.Replacer {
	var pairs []string
	for _, o := range request.Options {
		if o.Secret {
			pairs = append(pairs, o.Value, "********")
		}
	}
	return strings.NewReplacer(pairs...)
}
