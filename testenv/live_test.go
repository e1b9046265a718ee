package testenv_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/jackc/pgx/v5"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	moby "github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/gssenc"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/testenv"
)

const rules = "hostgssenc all alice all gss include_realm=0\nhostssl all \"bob's\" all scram-sha-256\nhostssl all carol all cert\n"

var options = testenv.Options{
	HBA: rules, Principals: []string{"alice", "app/host.example.test"}, Certificates: []string{"carol"},
	Roles: []testenv.Role{{Name: "alice"}, {Name: "bob's", Password: true}, {Name: "carol"}},
}

// session says who a pgx connection is, and over which channel.
func session(t *testing.T, dsn string, change func(*pgx.ConnConfig)) (string, error) {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var text string
	err = conn.QueryRow(t.Context(), `SELECT session_user || CASE WHEN (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) THEN ' tls' ELSE '' END ||
		coalesce((SELECT ' gss ' || principal FROM pg_stat_gssapi WHERE encrypted AND pid = pg_backend_pid()), '')`).Scan(&text)
	return text, err
}

func TestFromTheHost(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Parallel()
	e := testenv.Start(t, options)
	if host, _, err := net.SplitHostPort(e.Addr()); err != nil || host != "localhost" {
		t.Errorf("address %q (%v)", e.Addr(), err)
	}
	for role, want := range map[string]string{"bob's": "bob's tls", "carol": "carol tls"} {
		if got, err := session(t, e.DSN(role), nil); got != want {
			t.Errorf("%s: %q (%v), want %q", role, got, err, want)
		}
	}
	byTicket := func(s gssenc.Source) func(*pgx.ConnConfig) {
		s.Config = e.Krb5Conf()
		return func(c *pgx.ConnConfig) {
			if err := gssenc.Configure(&c.Config, gssenc.Options{Mode: gssenc.Require, Source: s}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for how, source := range map[string]gssenc.Source{"ccache": {CCache: e.CCache("alice")}, "keytab": {Keytab: e.Keytab("alice")}} {
		if got, err := session(t, e.DSN("alice"), byTicket(source)); got != "alice gss alice@EXAMPLE.TEST" {
			t.Errorf("by %s: %q (%v)", how, got, err)
		}
	}
	// Who has nothing is kept out: the sessions above were not let in by anything else.
	for what, dsn := range map[string]string{"no ticket": e.DSN("alice"), "wrong password": e.DSN("bob's") + " password=wrong", "no certificate": e.DSN("carol") + " sslcert='' sslkey=''"} {
		if got, err := session(t, dsn, nil); err == nil {
			t.Errorf("%s: let in as %q", what, got)
		}
	}
	if _, err := session(t, e.DSN("bob's")+" sslrootcert="+filepath.Join(e.Dir(), "root-other.crt"), nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another CA: %v", err)
	}
	if err := e.Exec(t.Context(), "CREATE TABLE made AS SELECT 1"); err != nil {
		t.Error(err)
	}
	if err := e.Exec(t.Context(), "nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a statement that the server refuses: %v", err)
	}
	if logs, err := e.Logs(t.Context()); err != nil || !strings.Contains(logs, "connection authorized: user=alice") || !strings.Contains(logs, "postgres/localhost@EXAMPLE.TEST") || strings.Contains(logs, "|DEBUG") {
		t.Errorf("logs (%v):\n%s", err, logs)
	}
	wantGOKRB5(t, e)
	for _, name := range []string{e.CCache("alice"), e.Keytab("app/host.example.test"), e.CAFile(), e.Krb5Conf()} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

// wantGOKRB5 has gokrb5 itself read the files, and get a ticket from the KDC.
func wantGOKRB5(t *testing.T, e *testenv.Env) {
	t.Helper()
	conf, err := config.Load(e.Krb5Conf())
	if err != nil {
		t.Fatal(err)
	}
	cache, err := credentials.LoadCCache(e.CCache("app/host.example.test"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewFromCCache(cache, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Destroy()
	if _, _, err := c.GetServiceTicket("postgres/localhost"); err != nil {
		t.Errorf("gokrb5: %v", err)
	}
}

// container starts a client container on a network of the engine, with a directory of the host's, and runs programs in it.
func container(t *testing.T, network, dir string) (id string, run func(environ []string, argv ...string) (string, error)) {
	t.Helper()
	images, err := pgimages.Ensure(t.Context(), []pgimages.Spec{pgimages.Client("client-17")}, nil)
	if err != nil || images[0].Unavailable != "" {
		t.Fatal(err, images)
	}
	docker := func(argv ...string) (string, error) {
		out, err := exec.Command("docker", argv...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	id, err = docker("run", "--detach", "--network", network, "--volume", dir+":"+dir, "--entrypoint", "sleep", images[0].Tag, "infinity")
	if err != nil {
		t.Fatal(id, err)
	}
	t.Cleanup(func() { _, _ = docker("rm", "--force", id) })
	return id, func(environ []string, argv ...string) (string, error) {
		words := []string{"exec"}
		for _, variable := range environ {
			words = append(words, "--env", variable)
		}
		return docker(append(append(words, id), argv...)...)
	}
}

const query = "SELECT session_user || ' ' || encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"

// libpq and libkrb5 on the engine's host: in a container that has the host's network.
func TestLibraries(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Parallel()
	e := testenv.Start(t, options)
	_, run := container(t, "host", e.Dir())
	wantPrograms(t, e.View, run)

	// The same from a container on the Env's network, and from one in which the test itself is.
	_, run = container(t, e.Network(), e.Dir())
	wantPrograms(t, e.Inside(e.Dir()), run)
}

func wantPrograms(t *testing.T, v testenv.View, run func([]string, ...string) (string, error)) {
	t.Helper()
	if out, err := run(v.Environ("alice"), "psql", "-XAt", "-c", query, v.DSN("alice")+" gssencmode=require"); out != "alice true" {
		t.Errorf("by the ticket at %s: %q %v", v.Addr(), out, err)
	}
	if out, err := run(nil, "psql", "-XAt", "-c", query, v.DSN("bob's")); out != "bob's false" {
		t.Errorf("by the password at %s: %q %v", v.Addr(), out, err)
	}
	if out, err := run([]string{"KRB5_CONFIG=" + v.Krb5Conf()}, "kinit", "-k", "-t", v.Keytab("app/host.example.test"), "app/host.example.test"); err != nil {
		t.Errorf("kinit at %s: %s %v", v.Addr(), out, err)
	}
}

func TestInAContainer(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Parallel()
	dir := t.TempDir()
	alone, _ := container(t, "none", dir)
	o := options
	o.Container = alone
	if _, err := testenv.New(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), "Options.Container") {
		t.Errorf("a container with network none can be on no other: %v", err)
	}
	id, run := container(t, "bridge", dir)
	o.Container = id
	e, err := testenv.New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	wantPrograms(t, e.View, run)
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if out, err := run(nil, "true"); err != nil {
		t.Errorf("Close has taken away somebody else's container: %s %v", out, err)
	}
	engine, err := pgimages.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.NetworkInspect(t.Context(), e.Network(), moby.NetworkInspectOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("the network is left: %v", err)
	}
}

func TestRulesThatDoNotLoad(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Parallel()
	_, err := testenv.New(t.Context(), t.TempDir(), testenv.Options{HBA: "host all all all gss\nhostt all all all gss\n"})
	if err == nil || !strings.Contains(err.Error(), `invalid connection type "hostt" (line 2 of`) {
		t.Errorf("%v", err)
	}
}

// The example of docs/library.md, in a module of its own.
func TestAnotherProject(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Parallel()
	doc, err := os.ReadFile("../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```go\n")
	source, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("docs/library.md has no example")
	}
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	module := "module app.test/app\n\ngo 1.26.0\n\nrequire github.com/pgauthmatrix/pgauthmatrix v0.0.0\n\nreplace github.com/pgauthmatrix/pgauthmatrix => " + here + "\n"
	for name, text := range map[string]string{"go.mod": module, "app_test.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, argv := range [][]string{{"mod", "tidy"}, {"test", "-v", "./..."}} {
		cmd := exec.CommandContext(t.Context(), "go", argv...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(argv, " "), err, out)
		} else if argv[0] == "test" && !strings.Contains(string(out), "--- PASS: TestLogin") {
			t.Fatalf("no test was run:\n%s", out)
		}
	}
}
