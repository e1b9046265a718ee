package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// These tests run the real agent in real containers: a PostgreSQL server, a realm, and a client of each libpq.

const (
	liveHost = "pg.example.test"
	liveLog  = "/pgam/log/server.log"
)

var liveLibpq = []int{13, 15, 17, 18}

// world is what the live tests share within one test function.
type world struct {
	t       testing.TB
	cli     *client.Client
	run     string
	network string
	volume  string
	server  *Conn
	address string // of the server, ADDRESS:PORT
	id      map[string]string
}

// newWorld starts a server of version 17 that follows hba. Everything is removed when the test ends.
func newWorld(t testing.TB, hba string) *world {
	t.Helper()
	return newWorldOf(t, 17, hba)
}

func newWorldOf(t testing.TB, major int, hba string) *world {
	t.Helper()
	livetest.NeedsContainers(t)
	cli, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatalf("these tests need a container engine: %v", err)
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	w := &world{t: t, cli: cli, run: "agent-test-" + hex.EncodeToString(random), id: map[string]string{}}
	ctx := t.Context()
	labels := map[string]string{"pgauthmatrix": "1", "pgauthmatrix.run": w.run}
	made, err := cli.NetworkCreate(ctx, w.run, client.NetworkCreateOptions{Labels: labels})
	if err != nil {
		t.Fatalf("these tests need a container engine: %v", err)
	}
	w.network = made.ID
	t.Cleanup(func() { _, _ = cli.NetworkRemove(context.Background(), w.network, client.NetworkRemoveOptions{}) })
	if _, err := cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: w.run, Labels: labels}); err != nil {
		t.Fatal(err)
	}
	w.volume = w.run
	t.Cleanup(func() {
		_, _ = cli.VolumeRemove(context.Background(), w.volume, client.VolumeRemoveOptions{Force: true})
	})

	w.server = w.start(fmt.Sprintf("server-%d", major), "server", "-c", "log_line_prefix="+LogLinePrefix, "-c", "log_min_messages=debug2",
		"-c", "log_connections=on", "-c", "log_disconnections=on", "-c", "fsync=off", "-c", "max_connections=100")
	w.address = w.addressOf("server") + ":5432"
	w.sql("CREATE ROLE trusted LOGIN; CREATE ROLE scram LOGIN PASSWORD 'it''s a secret'; CREATE ROLE alice LOGIN; CREATE ROLE daemon LOGIN;")
	if err := w.server.Follow(ctx, Follow{Path: liveLog}); err != nil {
		t.Fatal(err)
	}
	w.write("/pgam/conf/pg_hba.conf", hba)
	w.reload()
	return w
}

// start starts a container of the newest local image of that name, and an agent in it.
func (w *world) start(image, alias string, cmd ...string) *Conn {
	w.t.Helper()
	ctx := w.t.Context()
	images, err := w.cli.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", "pgauthmatrix/"+image)})
	if err != nil {
		w.t.Fatal(err)
	}
	tag, created := "", int64(0)
	for _, i := range images.Items {
		if i.Created > created && len(i.RepoTags) > 0 {
			tag, created = i.RepoTags[0], i.Created
		}
	}
	if tag == "" {
		w.t.Fatalf("no image %s: run make images", image)
	}
	config := &container.Config{Image: tag, Cmd: cmd, Labels: map[string]string{"pgauthmatrix": "1", "pgauthmatrix.run": w.run}}
	host := &container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: w.volume, Target: "/pgam/sock"}}}
	if alias == "server" {
		host.Tmpfs = map[string]string{"/pgam/data": "", "/pgam/log": ""}
	}
	networks := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{w.network: {NetworkID: w.network, Aliases: []string{alias, alias + ".example.test"}}}}
	made, err := w.cli.ContainerCreate(ctx, client.ContainerCreateOptions{Config: config, HostConfig: host, NetworkingConfig: networks})
	if err != nil {
		w.t.Fatal(err)
	}
	w.id[alias] = made.ID
	w.t.Cleanup(func() {
		_, _ = w.cli.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	if _, err := w.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		w.t.Fatal(err)
	}
	conn, err := Start(ctx, w.cli, made.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if alias == "server" { // an agent can wait for it from inside
		w.shell(conn, "until psql -h /pgam/sock -U postgres -XAtc 'select 1' >/dev/null 2>&1; do sleep 0.02; done")
	}
	return conn
}

func (w *world) addressOf(alias string) string {
	w.t.Helper()
	state, err := w.cli.ContainerInspect(w.t.Context(), w.id[alias], client.ContainerInspectOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, endpoint := range state.Container.NetworkSettings.Networks {
		return endpoint.IPAddress.String()
	}
	w.t.Fatalf("container %s has no network", alias)
	return ""
}

func (w *world) shell(conn *Conn, script string) string {
	w.t.Helper()
	r, err := conn.Run(w.t.Context(), Run{Argv: []string{"sh", "-ec", "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH\n" + script}, Env: map[string]string{"KRB5_CONFIG": "/pgam/krb5.conf"}, Timeout: 60})
	if err != nil || r.Exit != 0 {
		w.t.Fatalf("%s: exit status %d, %v\n%s%s", script, r.Exit, err, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}

func (w *world) sql(statement string) [][]*string {
	w.t.Helper()
	r, err := w.server.SQL(w.t.Context(), SQL{Conninfo: "host=/pgam/sock user=postgres dbname=postgres", Statement: statement})
	if err != nil || r.Error != "" {
		w.t.Fatalf("%s: %v %s", statement, err, r.Error)
	}
	return r.Rows[len(r.Rows)-1]
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := w.server.Write(w.t.Context(), Write{Path: path, Data: []byte(text), Mode: 0o644}); err != nil {
		w.t.Fatal(err)
	}
}

// reload waits until the postmaster has said that it reloads, and until a connection that came after it has ended.
func (w *world) reload() {
	w.t.Helper()
	w.sql("SELECT pg_reload_conf()")
	for {
		got, err := w.server.Collect(w.t.Context(), Collect{Postmaster: true})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, line := range got.Postmaster {
			if strings.Contains(line.Text, "was not reloaded") || strings.Contains(line.Text, "contains errors") {
				w.t.Fatalf("the server refuses its configuration: %v", got.Postmaster)
			}
		}
		if slices.ContainsFunc(got.Postmaster, func(l LogLine) bool { return strings.Contains(l.Text, "received SIGHUP") }) {
			break
		}
	}
	r, err := w.server.Attempt(w.t.Context(), Attempt{Token: "barrier", Client: "pgx", Server: "127.0.0.1:5432", Query: "select 1", Options: options("host=localhost user=nobody sslmode=disable")})
	if err == nil {
		_, err = w.server.Collect(w.t.Context(), r.Collect(0))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// realm starts a KDC, puts the service's key into the server, and a ticket of alice's into /pgam/alice.cc of each client.
func (w *world) realm(clients ...*Conn) {
	w.t.Helper()
	kdc := w.start("kdc", "kdc", "sleep", "infinity")
	config := fmt.Sprintf("[libdefaults]\n default_realm = EXAMPLE.TEST\n dns_canonicalize_hostname = false\n rdns = false\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"+
		"[realms]\n EXAMPLE.TEST = {\n  kdc = %s\n }\n[domain_realm]\n .example.test = EXAMPLE.TEST\n", w.addressOf("kdc"))
	for _, conn := range append(slices.Clone(clients), kdc, w.server) {
		if err := conn.Write(w.t.Context(), Write{Path: "/pgam/krb5.conf", Data: []byte(config), Mode: 0o644}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.shell(kdc, `mkdir -p /etc/krb5kdc /var/lib/krb5kdc
		printf '[realms]\n EXAMPLE.TEST = {\n  database_name = /var/lib/krb5kdc/principal\n  key_stash_file = /etc/krb5kdc/stash\n }\n' > /etc/krb5kdc/kdc.conf
		kdb5_util create -s -r EXAMPLE.TEST -P "$(od -An -N8 -tx1 /dev/urandom | tr -d ' ')"
		kadmin.local -q 'addprinc -randkey alice'; kadmin.local -q 'addprinc -randkey postgres/`+liveHost+`'
		kadmin.local -q 'ktadd -k /service.keytab postgres/`+liveHost+`'; kadmin.local -q 'ktadd -k /alice.keytab alice'
		krb5kdc`)
	move := func(from string, conn *Conn, to string) {
		r, err := kdc.Run(w.t.Context(), Run{Argv: []string{"cat", from}})
		if err == nil {
			err = conn.Write(w.t.Context(), Write{Path: to, Data: r.Stdout, Mode: 0o644})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	move("/service.keytab", w.server, "/pgam/service.keytab")
	for _, conn := range clients {
		move("/alice.keytab", conn, "/pgam/alice.keytab")
		w.shell(conn, "until kinit -c /pgam/alice.cc -k -t /pgam/alice.keytab alice; do sleep 0.05; done; chmod 644 /pgam/alice.cc")
	}
}

// tls gives the server a certificate and the key to it.
func (w *world) tls() {
	w.t.Helper()
	w.shell(w.server, `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=`+liveHost+` -keyout /pgam/conf/server.key -out /pgam/conf/server.crt
		chown postgres /pgam/conf/server.key; chmod 600 /pgam/conf/server.key`)
	w.write("/pgam/conf/postgresql.conf", "ssl = on\nssl_cert_file = '/pgam/conf/server.crt'\nssl_key_file = '/pgam/conf/server.key'\nkrb_server_keyfile = '/pgam/service.keytab'\n")
	w.reload()
}

func options(text string) (list []Option) {
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		list = append(list, Option{Name: name, Value: value})
	}
	return list
}

// seen is what a test says of an attempt.
type seen struct {
	End  string // connected, refused or crash
	Auth string // authentication requests
	SSL  bool
	GSS  bool
	Wire string // kinds of the negotiation's events, one list per connection
	Log  string // a text that the log of the last connection must hold
}

const liveQuery = "SELECT pg_backend_pid()::text AS pid, session_user::text AS role, NULL AS nothing, '' AS empty"

// try makes an attempt, collects its log, and checks what does not depend on the case.
func (w *world) try(t *testing.T, conn *Conn, a Attempt) (AttemptResult, []LoggedConnection) {
	t.Helper()
	a.Token, a.Query = t.Name(), liveQuery
	if a.Env == nil {
		a.Env = map[string]string{"KRB5_CONFIG": "/pgam/krb5.conf"}
	}
	r, err := conn.Attempt(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(r.Row["pid"])
	log, err := w.server.Collect(t.Context(), r.Collect(pid))
	if err != nil {
		t.Fatal(err)
	}
	if r.Connected {
		want := map[string]string{"pid": r.Row["pid"], "role": r.Row["role"], "empty": ""}
		if pid == 0 || !cmp.Equal(want, r.Row) || r.Message != "" {
			t.Errorf("row %v, message %q", r.Row, r.Message)
		}
		if last := log.Connections[len(log.Connections)-1]; last.PID != pid {
			t.Errorf("the session's process is %d, the log is that of process %d", pid, last.PID)
		}
	}
	for i, record := range r.Records {
		if record.Error != "" || log.Connections[i].Port != record.ServerPort {
			t.Errorf("record %d: port %d, error %q; log of port %d", i, record.ServerPort, record.Error, log.Connections[i].Port)
		}
	}
	if _, err := netip.ParseAddrPort(a.Server); a.Server != "" && err != nil {
		t.Errorf("server %s: %v", a.Server, err)
	}
	return r, log.Connections
}

func (s seen) check(t *testing.T, r AttemptResult, log []LoggedConnection) {
	t.Helper()
	got := seen{End: "refused", Auth: strings.Join(r.AuthRequests, " "), SSL: r.SSLInUse, GSS: r.GSSInUse, Log: s.Log}
	if r.Connected {
		got.End = "connected"
	}
	if r.Crash != "" {
		got.End = "crash"
	}
	var connections []string
	for _, record := range r.Records {
		var kinds []string
		for _, e := range record.Events {
			switch e.Kind {
			case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS, wire.Startup:
				kinds = append(kinds, string(e.Kind))
			case wire.Answer:
				kinds = append(kinds, e.Answer)
			}
		}
		connections = append(connections, strings.Join(kinds, " "))
	}
	got.Wire = strings.Join(connections, " | ")
	if len(log) > 0 && s.Log != "" {
		text := fmt.Sprint(log[len(log)-1].Lines)
		if !strings.Contains(text, s.Log) {
			t.Errorf("the log says %s\nwant …%s…", text, s.Log)
		}
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("-want +got\n%s\nmessage %q, conninfo %s", diff, r.Message, r.Conninfo)
	}
}

func TestLiveAttempts(t *testing.T) {
	w := newWorld(t, `local      all postgres trust
local      all daemon   peer
local      all trusted  reject
hostgssenc all alice    all gss include_realm=0
host       all alice    all gss include_realm=0
host       all scram    all scram-sha-256
host       all trusted  all trust
`)
	clients := map[int]*Conn{}
	var all []*Conn
	for _, major := range liveLibpq {
		clients[major] = w.start(fmt.Sprintf("client-%d", major), fmt.Sprintf("client%d", major))
		all = append(all, clients[major])
	}
	w.realm(all...)
	w.tls()

	const (
		scramAll = "sasl sasl-continue sasl-final ok"
		tcp      = "host=" + liveHost + " dbname=postgres "
		two      = "host=dead.example.test," + liveHost + " dbname=postgres "
		unix     = "host=/pgam/sock dbname=postgres "
	)
	secret := func(text string) []Option {
		return append(options(text), Option{Name: "password", Value: "it's a secret", Secret: true})
	}
	cases := []struct {
		name    string
		client  string // libpq also stands for psql, which tells less
		attempt Attempt
		want    seen
	}{
		{"plain trust", "libpq", Attempt{Options: options(tcp + "user=trusted sslmode=disable gssencmode=disable")}, seen{"connected", "ok", false, false, "startup", "method=trust"}},
		{"no entry", "libpq", Attempt{Options: options(tcp + "user=nobody sslmode=disable gssencmode=disable")}, seen{"refused", "", false, false, "startup", "no pg_hba.conf entry"}},
		{"scram in TLS", "libpq", Attempt{Options: secret(tcp + "user=scram sslmode=require gssencmode=disable")}, seen{"connected", scramAll, true, false, "sslrequest S", "method=scram-sha-256"}},
		{"wrong password, falls back", "libpq", Attempt{Options: append(options(tcp+"user=scram gssencmode=disable"), Option{Name: "password", Value: "wrong", Secret: true})},
			seen{"refused", "sasl sasl-continue sasl sasl-continue", false, false, "sslrequest S | startup", "password authentication failed"}},
		{"GSS encryption", "libpq", Attempt{Options: options(tcp + "user=alice gssencmode=require"), CCache: "/pgam/alice.cc"}, seen{"connected", "ok", false, true, "gssencrequest G", "encrypted=yes"}},
		{"GSS authentication in TLS", "libpq", Attempt{Options: options(tcp + "user=alice gssencmode=disable sslmode=require"), CCache: "/pgam/alice.cc"}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"GSS authentication in the clear", "libpq", Attempt{Options: options(tcp + "user=alice gssencmode=disable sslmode=disable"), CCache: "/pgam/alice.cc"}, seen{"connected", "gss gss-continue ok", false, false, "startup", "encrypted=no"}},
		{"no ticket", "libpq", Attempt{Options: options(tcp + "user=alice sslmode=disable")}, seen{"refused", "gss", false, false, "startup", "GSSAPI authentication failed"}},
		{"the first host refuses TCP", "libpq", Attempt{Options: options(two + "user=alice gssencmode=disable sslmode=require"), CCache: "/pgam/alice.cc", Dead: true}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"the default credential cache", "libpq", Attempt{Options: options(tcp + "user=alice"), CCache: "/pgam/alice.cc", Default: true}, seen{"connected", "ok", false, true, "gssencrequest G", "encrypted=yes"}},
		{"impossible options", "libpq", Attempt{Options: options(tcp + "user=alice sslmode=nonsense")}, seen{End: "refused"}},
		{"peer", "libpq", Attempt{UID: 1, Options: options(unix + "user=daemon")}, seen{"connected", "ok", false, false, "", "method=peer"}},
		{"not the peer", "libpq", Attempt{UID: 2, Options: options(unix + "user=daemon")}, seen{"refused", "", false, false, "", "Peer authentication failed"}},
		{"unix socket, reject", "libpq", Attempt{Options: options(unix + "user=trusted")}, seen{"refused", "", false, false, "", "pg_hba.conf rejects connection"}},

		{"plain trust", "pgx", Attempt{Options: options(tcp + "user=trusted sslmode=disable")}, seen{"connected", "ok", false, false, "startup", "method=trust"}},
		{"scram in direct TLS", "pgx", Attempt{Options: secret(tcp + "user=scram sslmode=require sslnegotiation=direct")}, seen{"connected", scramAll, true, false, "direct-tls", "method=scram-sha-256"}},
		{"no entry, falls back", "pgx", Attempt{Options: options(tcp + "user=nobody")}, seen{"refused", "", false, false, "sslrequest S | startup", "no pg_hba.conf entry"}},
		{"GSS authentication in TLS", "pgx", Attempt{Options: options(tcp + "user=alice sslmode=require"), CCache: "/pgam/alice.cc"}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"no ticket", "pgx", Attempt{Options: options(tcp + "user=alice sslmode=disable")}, seen{"refused", "gss", false, false, "startup", "GSSAPI authentication failed"}},
		{"unknown service", "pgx", Attempt{Options: options(tcp + "user=alice sslmode=disable krbsrvname=nosuch"), CCache: "/pgam/alice.cc"}, seen{"refused", "gss", false, false, "startup", ""}},
		{"peer", "pgx", Attempt{UID: 1, Options: options(unix + "user=daemon")}, seen{"connected", "ok", false, false, "", "method=peer"}},
		{"the first host refuses TCP", "pgx", Attempt{Options: options(two + "user=alice sslmode=disable"), CCache: "/pgam/alice.cc", Dead: true}, seen{"refused", "gss", false, false, "startup", "GSSAPI authentication failed"}},
		{"impossible options", "pgx", Attempt{Options: options(tcp + "user=alice sslmode=nonsense")}, seen{End: "refused"}},

		{"plain trust", "pq", Attempt{Options: options(tcp + "user=trusted sslmode=disable")}, seen{"connected", "ok", false, false, "startup", "method=trust"}},
		{"scram in TLS", "pq", Attempt{Options: secret(tcp + "user=scram sslmode=require")}, seen{"connected", scramAll, true, false, "sslrequest S", "method=scram-sha-256"}},
		{"no entry, goes on", "pq", Attempt{Options: options(tcp + "user=nobody sslmode=allow")}, seen{"refused", "", false, false, "startup | sslrequest S", "no pg_hba.conf entry"}},
		{"no ticket, goes on", "pq", Attempt{Options: options(tcp + "user=alice sslmode=allow")}, seen{"refused", "gss gss", false, false, "startup | sslrequest S", "GSSAPI authentication failed"}},
		{"GSS authentication in TLS", "pq", Attempt{Options: options(tcp + "user=alice sslmode=require"), CCache: "/pgam/alice.cc"}, seen{"connected", "gss gss-continue ok", true, false, "sslrequest S", "encrypted=no"}},
		{"no ticket", "pq", Attempt{Options: options(tcp + "user=alice sslmode=disable")}, seen{"refused", "gss", false, false, "startup", "GSSAPI authentication failed"}},
		{"unknown service", "pq", Attempt{Options: options(tcp + "user=alice sslmode=disable krbsrvname=nosuch"), CCache: "/pgam/alice.cc"}, seen{"refused", "gss", false, false, "startup", ""}},
		{"peer", "pq", Attempt{UID: 1, Options: options(unix + "user=daemon")}, seen{"connected", "ok", false, false, "", "method=peer"}},
		{"the first host refuses TCP", "pq", Attempt{Options: options(two + "user=alice sslmode=disable"), CCache: "/pgam/alice.cc", Dead: true}, seen{"connected", "gss gss-continue ok", false, false, "startup", "encrypted=no"}},
		{"impossible options", "pq", Attempt{Options: options(tcp + "user=alice sslmode=nonsense")}, seen{End: "refused"}},
	}
	for _, major := range liveLibpq {
		for _, c := range cases {
			for _, kind := range []string{"libpq", "psql", "pgx", "pq"} {
				if c.client != kind && !(c.client == "libpq" && kind == "psql") || (kind == "pgx" || kind == "pq") && major != 17 {
					continue
				}
				t.Run(fmt.Sprintf("%s%d/%s", kind, major, c.name), func(t *testing.T) {
					a, want := c.attempt, c.want
					a.Client = kind
					if !strings.HasPrefix(a.Options[0].Value, "/") {
						a.Server = w.address
					}
					if kind == "psql" {
						want.Auth, want.SSL, want.GSS = "", false, false
						if a.Server == "" && want.End == "refused" {
							t.Skip("psql does not tell how many connections it opened over the unix socket")
						}
					}
					r, log := w.try(t, clients[major], a)
					want.check(t, r, log)
					if connections := max(len(r.Records), len(log)); kind != "psql" && r.Connects != connections {
						t.Errorf("the library opened %d connections, the witnesses know %d", r.Connects, connections)
					}
					if strings.Contains(fmt.Sprint(r), "secret") {
						t.Errorf("a secret has left the agent: %v", r)
					}
					if !r.Connected && r.Message == "" {
						t.Error("refused without a message")
					}
					if kind != "pgx" && kind != "pq" && a.CCache != "" && !strings.Contains(r.KRB5Trace, "alice@EXAMPLE.TEST") {
						t.Errorf("the trace of libkrb5 is %q", r.KRB5Trace)
					}
				})
			}
		}
		if left := w.shell(clients[major], "ls -A /dev/shm/pgauthmatrix-*"); left != "" {
			t.Errorf("libpq %d: left behind: %s", major, left)
		}
	}
}

// Every server version's way to log a connection's end is understood.
func TestLiveLogOfEveryServer(t *testing.T) {
	for _, major := range livetest.Versions(t) {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			w := newWorldOf(t, major, "local all postgres trust\nhost all trusted all trust\nhost all scram all scram-sha-256\n")
			w.t = t
			tcp := "host=localhost dbname=postgres sslmode=disable "
			for _, c := range []struct {
				options string
				want    seen
				exit    string
			}{
				{tcp + "user=trusted", seen{"connected", "ok", false, false, "startup", "connection authorized"}, "exit code 0"},
				{tcp + "user=nobody", seen{"refused", "", false, false, "startup", "no pg_hba.conf entry"}, "exit code 1"},
				{tcp + "user=scram password=wrong", seen{"refused", "sasl sasl-continue", false, false, "startup", "password authentication failed"}, "exit code 1"},
				{tcp + "user=trusted dbname=nowhere", seen{"refused", "ok", false, false, "startup", `database "nowhere" does not exist`}, "exit code 1"},
			} {
				r, log := w.try(t, w.server, Attempt{Client: "pgx", Server: "127.0.0.1:5432", Options: options(c.options)})
				c.want.check(t, r, log)
				if len(log) != 1 || log[0].Exit != c.exit {
					t.Errorf("%s: %+v, want the end %q", c.options, log, c.exit)
				}
			}
		})
	}
}

// An attempt that hangs is a fault, a client that is killed is a crash, and neither disturbs its neighbours.
func TestLiveHangAndCrash(t *testing.T) {
	w := newWorld(t, "local all all trust\nhost all all all trust\n")
	conn := w.start("client-17", "client")
	kill := map[string]string{
		"libpq": `for p in /proc/[0-9]*; do read -r pid name state parent rest < $p/stat; [ "$name" = '(pgam-attempt)' ] && [ "$parent" = "$(pgrep -o -x pgam-attempt)" ] && kill -SEGV $pid && found=1; done; [ -n "$found" ]`,
		"psql":  `pkill -SEGV -x psql`,
		"pgx":   `pkill -SEGV -f '^/proc/self/exe worker pgx'`,
		"pq":    `pkill -SEGV -f '^/proc/self/exe worker pq'`,
	}
	crash := map[string]string{"libpq": "signal 11 (segmentation fault)", "psql": "signal 11 (segmentation fault)", "pgx": "exit status 2: SIGSEGV", "pq": "exit status 2: SIGSEGV"}
	for kind, script := range kill {
		t.Run(kind, func(t *testing.T) {
			a := Attempt{Token: t.Name(), Client: kind, Server: w.address, Query: liveQuery, Options: options("host=" + liveHost + " user=trusted dbname=postgres sslmode=disable")}
			w.shell(w.server, "kill -STOP $(head -n 1 /pgam/data/postmaster.pid)")
			resume := sync.OnceFunc(func() {
				_, _ = w.server.Run(context.Background(), Run{Argv: []string{"sh", "-c", "kill -CONT $(head -n 1 /pgam/data/postmaster.pid)"}})
			})
			defer resume()
			hung := a
			hung.Timeout = 1
			if r, err := conn.Attempt(t.Context(), hung); err == nil || !strings.Contains(err.Error(), "no end after 1s") && !strings.Contains(err.Error(), "killed after 1s") {
				t.Errorf("a server that does not answer: %+v, %v", r, err)
			}
			type outcome struct {
				AttemptResult
				error
			}
			done := make(chan outcome, 1)
			go func() {
				r, err := conn.Attempt(context.WithoutCancel(t.Context()), a)
				done <- outcome{r, err}
			}()
			w.shell(conn, "until { "+script+"; }; do sleep 0.02; done")
			resume()
			select {
			case got := <-done:
				if got.error != nil || !strings.HasPrefix(got.Crash, crash[kind]) || got.Connected {
					t.Errorf("a client that was killed: %+v, %v", got.AttemptResult, got.error)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("a client that was killed is not reported")
			}
			r, err := conn.Attempt(t.Context(), a)
			if err != nil || !r.Connected {
				t.Errorf("the next attempt: %+v, %v", r, err)
			}
			if log, err := w.server.Collect(t.Context(), r.Collect(0)); err != nil || fmt.Sprint(log.Connections[0].PID) != r.Row["pid"] {
				t.Errorf("the next attempt's log: %+v, %v", log, err)
			}
		})
	}
}

func TestLiveAdminSessionIsNeverOpenedAgain(t *testing.T) {
	w := newWorld(t, "local all postgres trust\n")
	got := w.sql("SELECT 1; SELECT 'a', NULL, '' UNION ALL SELECT 'b', 'c', 'd'")
	text := func(s string) *string { return &s }
	if diff := cmp.Diff([][]*string{{text("a"), nil, text("")}, {text("b"), text("c"), text("d")}}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	r, err := w.server.SQL(t.Context(), SQL{Statement: "SELECT nonsense"})
	if err != nil || !strings.Contains(r.Error, `column "nonsense" does not exist`) {
		t.Errorf("a refused statement: %+v, %v", r, err)
	}
	w.shell(w.server, `psql -h /pgam/sock -U postgres -XAtc "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"`)
	for range 2 {
		if r, err := w.server.SQL(t.Context(), SQL{Conninfo: "host=/pgam/sock user=postgres", Statement: "SELECT 1"}); err == nil {
			t.Errorf("a lost admin session answers: %+v", r)
		}
	}
	if r, err := w.server.SQL(t.Context(), SQL{Conninfo: "host=/pgam/sock user=postgres", Reopen: true, Statement: "SELECT 'anew'"}); err != nil || r.Error != "" {
		t.Errorf("a session that is to be opened again: %+v, %v", r, err)
	}
	if got := w.sql("SELECT 'x'"); len(got) != 1 {
		t.Errorf("the new session answers %v", got)
	}
}

func TestLiveAgentDies(t *testing.T) {
	w := newWorld(t, "local all all trust\n")
	conn := w.start("client-17", "client")
	pending := make(chan error, 1)
	go func() {
		_, err := conn.Run(context.WithoutCancel(t.Context()), Run{Argv: []string{"sleep", "60"}})
		pending <- err
	}()
	_, err := conn.Run(t.Context(), Run{Argv: []string{"sh", "-c", "until pgrep -x sleep; do sleep 0.02; done; pkill -KILL -x pgauthmatrix-ag"}})
	if err == nil || !strings.Contains(err.Error(), "exit status 137") {
		t.Errorf("the call that killed the agent: %v", err)
	}
	if err := <-pending; err == nil || !strings.Contains(err.Error(), "exit status 137") {
		t.Errorf("a pending call: %v", err)
	}
	if err := conn.Write(t.Context(), Write{Path: "/tmp/x"}); err == nil || !strings.Contains(err.Error(), "exit status 137") {
		t.Errorf("a later call: %v", err)
	}
}

// The attempt server of libpq trusts nothing that it reads.
func TestLiveAttemptServerRefusesGarbage(t *testing.T) {
	w := newWorld(t, "local all all trust\n")
	conn := w.start("client-17", "client")
	frame := func(fields ...string) string {
		payload := strings.Join(fields, "\x00") + "\x00"
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))) + payload
	}
	tests := []struct{ name, stdin, want string }{
		{"nothing", "", ""},
		{"a beginning", "\x00\x00\x01\x00abc", ""},
		{"length 0", "\x00\x00\x00\x00", "request of 0 bytes"},
		{"too long", "\x7f\xff\xff\xff", "request of 2147483647 bytes"},
		{"not terminated", "\x00\x00\x00\x03abc", "missing or not terminated"},
		{"an ID with a blank", frame("1 2", "0", "/tmp", "1", "q", "0", "0"), "bad ID"},
		{"an ID that is too long", frame(strings.Repeat("1", 64), "0", "/tmp", "1", "q", "0", "0"), "bad ID"},
		{"a user that is no number", frame("1", "root", "/tmp", "1", "q", "0", "0"), `"root" is not a number`},
		{"timeout 0", frame("1", "0", "/tmp", "0", "q", "0", "0"), "timeout 0"},
		{"more variables than there are", frame("1", "0", "/tmp", "1", "q", "3", "A=b", "B=c"), "is missing or not terminated"},
		{"very many options", frame("1", "0", "/tmp", "1", "q", "0", "10001"), `"10001" is not a number from 0 to 10000`},
		{"a variable without a value", frame("1", "0", "/tmp", "1", "q", "1", "A", "0"), "environment string without"},
		{"more than was announced", frame("1", "0", "/tmp", "1", "q", "0", "0", "more"), "5 bytes too many"},
	}
	for _, test := range tests {
		r, err := conn.Run(t.Context(), Run{Argv: []string{"/usr/local/bin/pgam-attempt"}, Stdin: []byte(test.stdin)})
		if err != nil || !strings.HasPrefix(string(r.Stdout), "ready 17") || !strings.Contains(string(r.Stderr), test.want) || (r.Exit == 2) != (test.want != "") {
			t.Errorf("%s: exit status %d, %q %q, %v, want …%s…", test.name, r.Exit, r.Stdout, r.Stderr, err, test.want)
		}
	}
}

// BenchmarkAttempts measures the whole path, Attempt and Collect, for plaintext trust, so many at a time. Beside it runs
// pgbench -C from the same container.
func BenchmarkAttempts(b *testing.B) {
	w := newWorld(b, "local all all trust\nhost all all all trust\n")
	conn := w.start("client-17", "client")
	address, _, _ := strings.Cut(w.address, ":")
	for _, kind := range []string{"libpq", "psql", "pgx", "pq"} {
		for _, parallel := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/%d", kind, parallel), func(b *testing.B) {
				a := Attempt{Client: kind, Server: w.address, Query: "SELECT 1 AS one", Options: options("host=" + liveHost + " user=trusted dbname=postgres sslmode=disable")}
				var wg sync.WaitGroup
				work := make(chan int)
				for range parallel {
					wg.Go(func() {
						for i := range work {
							a := a
							a.Token = strconv.Itoa(i)
							r, err := conn.Attempt(b.Context(), a)
							if err == nil {
								_, err = w.server.Collect(b.Context(), r.Collect(0))
							}
							if err != nil || !r.Connected {
								b.Errorf("%+v, %v", r, err)
							}
						}
					})
				}
				b.ResetTimer()
				for i := range b.N {
					work <- i
				}
				close(work)
				wg.Wait()
				b.StopTimer()
				rate := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(rate, "attempts/s")
				out := w.shell(conn, fmt.Sprintf("echo 'SELECT 1;' > /tmp/q; pgbench -h %s -U trusted -d postgres -n -C -c %d -T 3 -f /tmp/q 2>/dev/null | sed -n 's/^tps = \\([0-9.]*\\).*/\\1/p'", address, parallel))
				pgbench, err := strconv.ParseFloat(out, 64)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(rate/pgbench, "of-pgbench")
			})
		}
	}
}
