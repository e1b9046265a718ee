package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// testCell is alice's on a server, over TCP, with changes.
func testCell(server int, library string, change ...func(*matrix.Cell)) *matrix.Cell {
	cell := &matrix.Cell{
		ID: "test/cell/" + library, Scenario: "test/cell",
		World:  &matrix.World{Server: server, SSL: "on", ServerCert: "good", Keytab: "good", HBA: liveHBA, Host: matrix.DefaultHost},
		Client: matrix.Client{Library: matrix.Library(library), Transport: "tcp", User: "alice", Database: "postgres", Root: "right", Cert: "none", Ticket: "none", Password: "none"},
	}
	for _, c := range change {
		c(cell)
	}
	return cell
}

// fakeWorld runs nothing: its names are what a test looks for in requests.
type fakeWorld struct{ world *matrix.World }

func (f fakeWorld) Loading() ([]matrix.LogLine, string) {
	if f.world == nil || f.world.Load == "" {
		return nil, ""
	}
	said := []matrix.LogLine{{Severity: "LOG", Text: "starting PostgreSQL 17"}}
	if f.world.HBA != "hos\n" {
		return said, ""
	}
	return append(said, matrix.LogLine{Severity: "LOG", Text: `invalid connection type "hos"`}, matrix.LogLine{Severity: "CONTEXT", Text: `line 1 of configuration file "/pgam/conf/pg_hba.conf"`},
		matrix.LogLine{Severity: "FATAL", Text: "could not load /pgam/conf/pg_hba.conf"}), "pg_ctl: no server running"
}

func (f fakeWorld) World() *matrix.World               { return f.world }
func (f fakeWorld) ServerAddr() string                 { return "10.9.0.2:5432" }
func (f fakeWorld) SocketDir() string                  { return "/run/sockets" }
func (f fakeWorld) ClientEnv(string) map[string]string { return map[string]string{"KRB5_CONFIG": "/k"} }
func (f fakeWorld) RootFile(name string) string        { return "/roots/" + name }
func (f fakeWorld) SystemRoots(name string) string     { return "/system/" + name }
func (f fakeWorld) CRLFile(name string) string {
	if name == "" {
		return ""
	}
	return "/crls/" + name
}

func (f fakeWorld) CCache(principal string, t matrix.Ticket) string {
	if t.Absent {
		return ""
	}
	kind := "valid"
	if t.Expired {
		kind = "expired"
	}
	return "/caches/" + principal + "-" + kind
}

func (f fakeWorld) CertFiles(c *matrix.Certificate, form matrix.KeyForm) (cert, key string) {
	if c == nil {
		return "", ""
	}
	if form != matrix.KeyForms[0] {
		return "/certs/" + c.CommonName() + ".crt", "/certs/" + form.Name + ".key"
	}
	return "/certs/" + c.CommonName() + ".crt", "/certs/" + c.CommonName() + ".key"
}

func (f fakeWorld) Password(role, kind string) (string, error) {
	if kind == "" || kind == "none" {
		return "", nil
	}
	return "s3cret-of-" + role, nil
}

// fakeAgents answer from functions and note what they were asked.
type fakeAgents struct {
	attempt  func(agent.Attempt) (agent.AttemptResult, error)
	collect  func(agent.Collect) (agent.CollectResult, error)
	asked    []agent.Attempt
	collects []agent.Collect
}

func (f *fakeAgents) Attempt(_ context.Context, a agent.Attempt) (agent.AttemptResult, error) {
	f.asked = append(f.asked, a)
	return f.attempt(a)
}

func (f *fakeAgents) Collect(_ context.Context, c agent.Collect) (agent.CollectResult, error) {
	f.collects = append(f.collects, c)
	return f.collect(c)
}

// goodAgents make a plain session on a server of version 17.
func goodAgents(cell *matrix.Cell) *fakeAgents {
	return &fakeAgents{
		attempt: func(a agent.Attempt) (agent.AttemptResult, error) {
			r := agent.AttemptResult{Token: a.Token, Connected: true, Connects: 1, AuthRequests: []string{"ok"}, Conninfo: "host=pg.example.test",
				Row: map[string]string{"pid": "41", "session_user": "alice", "ssl": "false", "gss_authenticated": "false", "gss_encrypted": "false"}}
			if a.Server == "" {
				r.Unix = true
				return r, nil
			}
			record := wire.Record{ServerPort: 5001, Events: []wire.Event{
				{From: "relay", Kind: wire.Open, Text: "10.9.0.2:5432"},
				{From: "client", Kind: wire.Startup, Startup: &wire.StartupPacket{Protocol: "3.0", User: "alice", Database: "postgres", Application: classify.ApplicationName(cell)}},
				{From: "server", Kind: wire.AuthRequest, Auth: "ok"}, {From: "server", Kind: wire.Ready},
				{From: "client", Kind: wire.Query}, {From: "client", Kind: wire.Close},
			}}
			r.Records = []wire.Record{record}
			r.Peers = []agent.Peer{{Address: "10.9.0.3", Port: 5001}}
			return r, nil
		},
		collect: func(c agent.Collect) (agent.CollectResult, error) {
			if c.Local && c.PID == 0 && c.Count == 0 {
				return agent.CollectResult{}, nil
			}
			logged := agent.LoggedConnection{Port: 5001, PID: 41, Exit: "exit code 0"}
			received := "host=10.9.0.3 port=5001"
			if c.Local {
				logged.Port, received = 0, "host=[local]"
			}
			for _, text := range []string{"connection received: " + received, `connection authenticated: user="alice" method=trust (/srv/pg/pg_hba.conf:2)`,
				"connection authorized: user=alice database=postgres application_name=" + classify.ApplicationName(cell)} {
				logged.Lines = append(logged.Lines, agent.LogLine{Severity: "LOG", SQLState: "00000", Text: text})
			}
			return agent.CollectResult{Connections: []agent.LoggedConnection{logged}}, nil
		},
	}
}

func try(cell *matrix.Cell, f *fakeAgents) matrix.Observation {
	return attempt(context.Background(), fakeWorld{cell.World}, f, f, new(sync.Mutex), cell)
}

func TestAttempt(t *testing.T) {
	for _, transport := range []string{"tcp", "unix"} {
		cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Transport = transport })
		got := try(cell, goodAgents(cell))
		if got.Fault != "" || got.Outcome.String() != "connected plain, method trust, role alice, hba:2, trace connect authok" {
			t.Errorf("%s: %s (fault %q)", transport, got.Outcome, got.Fault)
		}
	}
}

func TestAttemptIsNeverMadeAgain(t *testing.T) {
	cell := testCell(17, "libpq17")
	failing := func(times int, err error, how func(*fakeAgents, func() error)) *fakeAgents {
		f := goodAgents(cell)
		how(f, func() error {
			if times > 0 {
				times--
				return err
			}
			return nil
		})
		return f
	}
	inAttempt := func(f *fakeAgents, fail func() error) {
		good := f.attempt
		f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
			if err := fail(); err != nil {
				return agent.AttemptResult{}, err
			}
			return good(a)
		}
	}
	inCollect := func(f *fakeAgents, fail func() error) {
		good := f.collect
		f.collect = func(c agent.Collect) (agent.CollectResult, error) {
			if err := fail(); err != nil {
				return agent.CollectResult{}, err
			}
			return good(c)
		}
	}
	inRecord := func(f *fakeAgents, fail func() error) {
		good := f.attempt
		f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
			r, err := good(a)
			if e := fail(); e != nil {
				r.Records[0].Error = e.Error()
			}
			return r, err
		}
	}
	tests := []struct {
		name   string
		agents *fakeAgents
		fault  string
	}{
		{"agent fault once", failing(1, errors.New("no process"), inAttempt), "no process"},
		{"log incomplete once", failing(1, errors.New("port 5001: no exit"), inCollect), "no exit"},
		{"relay failed once", failing(1, errors.New("accept: too many open files"), inRecord), "too many open files"},
		{"an answer to another attempt is not tried again", failing(1, fmt.Errorf("agent in c: asked for attempt %q, the answer is that of %q", "a", "b"), inAttempt), "the answer is that of"},
		{"token of another attempt", func() *fakeAgents {
			f := goodAgents(cell)
			good := f.attempt
			f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
				r, err := good(a)
				r.Token = "other"
				return r, err
			}
			return f
		}(), `answered for attempt "other"`},
		{"a crash is not tried again", func() *fakeAgents {
			f := goodAgents(cell)
			f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
				return agent.AttemptResult{Token: a.Token, Crash: "signal 11 (segmentation fault)"}, nil
			}
			return f
		}(), "signal 11"},
		{"a connection that passed by the relay", func() *fakeAgents {
			f := goodAgents(cell)
			good := f.attempt
			f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
				r, err := good(a)
				r.Connects = 2
				return r, err
			}
			return f
		}(), "opened 2 connections, the relay saw 1"},
		{"a session that does not answer", func() *fakeAgents {
			f := goodAgents(cell)
			good := f.attempt
			f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
				r, err := good(a)
				r.Row = nil
				return r, err
			}
			return f
		}(), "did not answer the query"},
		{"the log of a port that was not asked for", func() *fakeAgents {
			f := goodAgents(cell)
			good := f.collect
			f.collect = func(c agent.Collect) (agent.CollectResult, error) {
				r, err := good(c)
				r.Connections[0].Port = 5999
				return r, err
			}
			return f
		}(), "has port 5999"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := try(cell, tt.agents)
			if len(tt.agents.asked) != 1 {
				t.Errorf("%d tries, want one", len(tt.agents.asked))
			}
			if got.Fault == "" || !strings.Contains(got.Fault, tt.fault) {
				t.Errorf("fault %q, want %q", got.Fault, tt.fault)
			}
		})
	}
}

func TestAttemptRefusesWhatItCannotMean(t *testing.T) {
	cell := testCell(17, "libpq13")
	cell.Client.SSLNegotiation = "direct"
	if got := try(cell, goodAgents(cell)); !strings.Contains(got.Fault, "no sslnegotiation") {
		t.Errorf("a cell that is not applicable: fault %q", got.Fault)
	}
	cell = testCell(17, "libpq17")
	other := testCell(17, "libpq17", func(c *matrix.Cell) { c.World.HBA = "host all all all reject\n" })
	f := goodAgents(cell)
	got := attempt(context.Background(), fakeWorld{other.World}, f, f, new(sync.Mutex), cell)
	if !strings.Contains(got.Fault, "another world") || len(f.asked) > 0 {
		t.Errorf("another world: fault %q, %d attempts", got.Fault, len(f.asked))
	}
	got = attempt(context.Background(), fakeWorld{nil}, f, f, new(sync.Mutex), cell)
	if got.Fault == "" || len(f.asked) > 0 {
		t.Errorf("no world: fault %q, %d attempts", got.Fault, len(f.asked))
	}
}

func TestAttemptRemovesPasswords(t *testing.T) {
	cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Password = "right" })
	f := goodAgents(cell)
	good := f.attempt
	f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
		r, err := good(a)
		r.Conninfo = "user=alice password=s3cret-of-alice"
		r.Records[0].Events[1].Startup.Replication = "s3cret-of-alice"
		return r, err
	}
	got := try(cell, f)
	if !strings.Contains(got.Fault, "password") || strings.Contains(fmt.Sprintf("%+v", got), "s3cret") {
		t.Errorf("%+v", got)
	}
}

// At a server that does not run nobody stands between, and nobody may have been met.
func TestAttemptWithoutServer(t *testing.T) {
	cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.World.HBA, c.World.Load = "hos\n", matrix.Restart })
	f := goodAgents(cell)
	f.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
		return agent.AttemptResult{Token: a.Token, Connects: 1, Conninfo: "host=pg.example.test",
			Message: `connection to server at "pg.example.test" (10.9.0.2), port 5432 failed: Connection refused` + "\n\tIs the server running on that host and accepting TCP/IP connections?"}, nil
	}
	const want = `refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""`
	if got := try(cell, f); got.Fault != "" || got.Outcome.String() != want || !f.asked[0].Direct {
		t.Errorf("%s (fault %q); want %s", got.Outcome, got.Fault, want)
	}
	if got := try(cell, goodAgents(cell)); !strings.Contains(got.Fault, "no server runs") {
		t.Errorf("a session at a server that does not run: %s (fault %q)", got.Outcome, got.Fault)
	}
}

func TestRequest(t *testing.T) {
	tests := []struct {
		name    string
		cell    *matrix.Cell
		server  string
		ccache  string
		options []string
	}{
		{"nothing but defaults", testCell(17, "libpq17"), "10.9.0.2:5432", "", []string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "libpq17")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"everything", testCell(17, "psql18", func(c *matrix.Cell) {
			c.Client.Principal, c.Client.Ticket, c.Client.GSSEncMode, c.Client.SSLMode, c.Client.SSLNegotiation = "bob", "expired", "prefer", "require", "direct"
			c.Client.Cert, c.Client.Root, c.Client.ChannelBinding, c.Client.RequireAuth, c.Client.KrbSrvName, c.Client.Password = "good", "other", "disable", "gss", "svc", "wrong"
		}), "10.9.0.2:5432", "/caches/bob-expired", []string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "psql18")), "connect_timeout=60",
			"sslmode=require", "sslnegotiation=direct", "sslrootcert=/roots/other", "sslcert=/certs/alice.crt", "sslkey=/certs/alice.key", "channel_binding=disable", "require_auth=gss", "krbsrvname=svc", "password=(secret)", "gssencmode=prefer"}},
		{"pgx", testCell(17, "pgx", func(c *matrix.Cell) { c.Client.Ticket = "valid" }), "10.9.0.2:5432", "/caches/alice-valid",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pgx")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"pgx with gssenc", testCell(17, "pgx", func(c *matrix.Cell) { c.Client.GSSEncMode = "require" }), "10.9.0.2:5432", "",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pgx")), "connect_timeout=60", "sslrootcert=/roots/right", "gssencmode=require"}},
		{"pq has no gssencmode and no channel_binding", testCell(17, "pq", func(c *matrix.Cell) {
			c.Client.GSSEncMode, c.Client.ChannelBinding, c.Client.SSLNegotiation, c.Client.KrbSrvName = "disable", "disable", "postgres", "svc"
		}), "10.9.0.2:5432", "",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pq")), "connect_timeout=60", "sslnegotiation=postgres", "sslrootcert=/roots/right", "krbsrvname=svc"}},
		{"a revocation list", testCell(17, "pgx", func(c *matrix.Cell) { c.Client.Root, c.Client.CRL = "system", "stale" }), "10.9.0.2:5432", "",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pgx")), "connect_timeout=60", "sslrootcert=/roots/system", "sslcrl=/crls/stale"}},
		{"two hosts", testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Hosts = matrix.DeadFirst }), "10.9.0.2:5432", "", []string{"host=dead.example.test,pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "libpq17")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"one host twice", testCell(17, "pgx", func(c *matrix.Cell) { c.Client.Hosts = matrix.Twice }), "10.9.0.2:5432", "", []string{"host=pg.example.test,pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pgx")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"ambient credentials", testCell(17, "pq", func(c *matrix.Cell) {
			c.Client.Ticket, c.Client.Cert, c.Client.Principal = matrix.Ambient, matrix.Ambient, "bob"
		}), "10.9.0.2:5432", "/caches/bob-valid", []string{"host=pg.example.test", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "pq")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"physical replication", testCell(17, "pgx", func(c *matrix.Cell) { c.Client.Replication = matrix.Physical }), "10.9.0.2:5432", "",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "replication=true", "application_name=" + classify.ApplicationName(testCell(17, "pgx")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"logical replication", testCell(17, "pq", func(c *matrix.Cell) { c.Client.Replication = matrix.Logical }), "10.9.0.2:5432", "",
			[]string{"host=pg.example.test", "user=alice", "dbname=postgres", "replication=database", "application_name=" + classify.ApplicationName(testCell(17, "pq")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"an operating system user", testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Transport, c.Client.OSUser = "unix", "deploy" }), "", "", []string{"host=/run/sockets", "port=5432", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "libpq17")), "connect_timeout=60", "sslrootcert=/roots/right"}},
		{"unix socket", testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Transport = "unix" }), "", "", []string{"host=/run/sockets", "port=5432", "user=alice", "dbname=postgres", "application_name=" + classify.ApplicationName(testCell(17, "libpq17")), "connect_timeout=60", "sslrootcert=/roots/right"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Request(fakeWorld{tt.cell.World}, tt.cell)
			if err != nil {
				t.Fatal(err)
			}
			var options []string
			for _, o := range got.Options {
				if o.Secret {
					o.Value = "(secret)"
				}
				options = append(options, o.Name+"="+o.Value)
			}
			if !slices.Equal(options, tt.options) {
				t.Errorf("options %q\nwant    %q", options, tt.options)
			}
			if got.Server != tt.server || got.CCache != tt.ccache || got.Token != tt.cell.ID || got.Client != string(tt.cell.Client.Library.Kind()) {
				t.Errorf("request %+v", got)
			}
			c := tt.cell.Client
			if (got.Query == bareQuery) != (c.Replication == matrix.Physical) || (got.UID == matrix.UID("deploy")) != (c.OSUser == "deploy") {
				t.Errorf("query %q, user ID %d", got.Query, got.UID)
			}
			if got.Env["SSL_CERT_FILE"] != "" {
				t.Errorf("SSL_CERT_FILE=%s", got.Env["SSL_CERT_FILE"])
			}
			var home map[string]string
			if c.Cert == matrix.Ambient {
				home = map[string]string{".postgresql/postgresql.crt": "/certs/service.crt", ".postgresql/postgresql.key": "/certs/service.key"}
			}
			if got.Dead != (c.Hosts == matrix.DeadFirst) || got.Default != (c.Ticket == matrix.Ambient) || !maps.Equal(got.Home, home) {
				t.Errorf("request %+v", got)
			}
		})
	}
}

// TestRoute: a client with an address goes from there to the server's address of the same family.
// TestSystemRoots: the roots of the client's system are replaced whole.
func TestSystemRoots(t *testing.T) {
	c := testCell(17, "pgx", func(c *matrix.Cell) { c.Client.SSLCertFile = "other" })
	got, err := Request(fakeWorld{c.World}, c)
	if err != nil || got.Env["SSL_CERT_FILE"] != "/system/other" || got.Env["SSL_CERT_DIR"] != "/nonexistent" {
		t.Errorf("%v, %v", got.Env, err)
	}
}

func TestRoute(t *testing.T) {
	for _, tt := range []struct{ address, server, from string }{
		{"", "10.9.0.2:5432", ""},
		{"10.20.0.7", "10.20.0.2:5432", "10.20.0.7"},
		{"10.30.5.9", "10.20.0.2:5432", "10.30.5.9"},
		{"fd00:20::7", "[fd00:20::2]:5432", "fd00:20::7"},
	} {
		cell := testCell(17, "libpq17", func(c *matrix.Cell) {
			c.Client.Address = tt.address
			for _, n := range []string{"10.20.0.0/24", "fd00:20::/64", "10.30.0.0/16"} {
				c.World.Networks = append(c.World.Networks, netip.MustParsePrefix(n))
			}
		})
		got, err := Request(fakeWorld{cell.World}, cell)
		if err != nil || got.Server != tt.server || got.From != tt.from {
			t.Errorf("from %q: %s from %q, %v", tt.address, got.Server, got.From, err)
		}
	}
	for address, want := range map[string]string{"10.20.0.7": "the server has no address of that family", "app1": "address: "} {
		cell := testCell(17, "libpq17", func(c *matrix.Cell) { c.Client.Address = address })
		if _, err := Request(fakeWorld{cell.World}, cell); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from %s: %v, want %s", address, err, want)
		}
	}
}

// TestFilesThatMustBeThere: a library may pass over a file that it does not find, and the cell's outcome would be that of another cell.
func TestFilesThatMustBeThere(t *testing.T) {
	for _, tt := range []struct {
		root, crl, cert string
		want            []string
	}{
		{"right", "", "none", []string{"sslrootcert"}},
		{"other", "right", "good", []string{"sslrootcert", "sslcrl", "sslcert", "sslkey"}},
		{"right", "stale", "ambient", []string{"sslrootcert", "sslcrl"}}, // what lies in the home directory is copied, or a fault
		{"missing", "missing", "none", nil},
		{"system", "", "none", nil},
	} {
		for _, library := range []string{"libpq13", "psql18", "pgx", "pq"} {
			cell := testCell(17, library, func(c *matrix.Cell) { c.Client.Root, c.Client.CRL, c.Client.Cert = tt.root, tt.crl, tt.cert })
			request, err := Request(fakeWorld{cell.World}, cell)
			if err != nil {
				t.Fatal(err)
			}
			var files []string
			for _, o := range request.Options {
				if o.File {
					files = append(files, o.Name)
				}
			}
			if !slices.Equal(files, tt.want) {
				t.Errorf("%s %+v: %v must be there", library, tt, files)
			}
		}
	}
}

func TestSessionQueryByVersion(t *testing.T) {
	for version, has := range map[int]bool{13: false, 15: false, 16: true, 18: true} {
		if strings.Contains(sessionQuery(version, &matrix.Client{}), "system_user") != has {
			t.Errorf("%d: system_user asked for: %t", version, !has)
		}
	}
	if query := sessionQuery(15, &matrix.Client{Asks: matrix.AskCreate}); !strings.Contains(query, ", pgauthmatrix.ask($ask$CREATE TABLE public.pgauthmatrix_own (n int)$ask$, false) AS answer FROM") {
		t.Errorf("the session is asked %s", query)
	}
	for opened, waits := range map[string]bool{"": false, matrix.OpenedBefore: true} {
		if query := sessionQuery(18, &matrix.Client{Opened: opened}); strings.Contains(query, fixtures.WaitSQL) != waits {
			t.Errorf("opened=%s: the session is asked %s", opened, query)
		}
	}
}

func TestPsqlOverUnixWaitsForItsConnection(t *testing.T) {
	for message, want := range map[string]int{
		"psql: error: connection to server on socket \"/s/.s.PGSQL.5432\" failed: FATAL:  role \"alice\" does not exist":                                                                                         1,
		"psql: error: connection to server on socket \"/s/.s.PGSQL.5432\" failed: " + "GSSAPI encryption required but was impossible (possibly no credential cache, no server support, or using a local socket)": 1,
		"psql: error: GSSAPI encryption required but it is not supported over a local socket":                                                                                                                    0,
		"psql: error: weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \"verify-full\")":                                                                   0,
		"psql: error: connection to server on socket \"/s/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the server running locally and so on":                                                          0,
	} {
		if got := classify.OpensSocket(testCell(17, "psql17"), message); got != (want == 1) {
			t.Errorf("%q: %t", message, got)
		}
	}
}

// TestForgedRow: the row of an attacker who plays the server is read as a session that no server has.
func TestForgedRow(t *testing.T) {
	row := map[string]string{}
	for _, column := range classify.ForgedRow("carol") {
		row[column[0]] = column[1]
	}
	got, err := readSession(row)
	if want := (matrix.Session{SessionUser: "carol", SystemUser: classify.AttackersWords}); err != nil || *got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
