package pgimages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
)

// all are the images that can be made from the Debian mirror.
func all() []Spec {
	specs := append([]Spec{KDC(), Browser(), ClientWithoutGSS("client-18")}, clientImages...)
	for _, major := range []int{13, 15, 17, 18, 19} {
		specs = append(specs, Server(major), Client(fmt.Sprintf("client-%d", major)))
	}
	return specs
}

func TestEnsure(t *testing.T) {
	livetest.NeedsContainers(t)
	start := time.Now()
	images, err := Ensure(t.Context(), all(), func(name, line string) { t.Logf("%6.1f %s: %s", time.Since(start).Seconds(), name, line) })
	if err != nil {
		t.Fatal(err)
	}
	var had []Spec
	for _, i := range images {
		t.Log(i)
		if i.NoSource && len(suiteFor(i.Spec.major).releases()) > 1 {
			continue // Debian's experimental has it or not
		}
		had = append(had, i.Spec)
		if i.Unavailable != "" {
			t.Errorf("%s: %s", i.Name, i.Unavailable)
		} else if i.Version == "" || i.Source == "" || i.Size == 0 || i.Created.IsZero() {
			t.Errorf("%s: incomplete: %+v", i.Name, i)
		}
	}
	again, err := Ensure(t.Context(), had, func(name, line string) { t.Errorf("nothing was to be built: %s: %s", name, line) })
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range again {
		if !i.Local {
			t.Errorf("%s is not local the second time: %s", i.Name, i)
		}
	}
}

// image is one that has to be there.
func image(t *testing.T, s Spec) Image {
	t.Helper()
	images, err := Ensure(t.Context(), []Spec{s}, func(name, line string) { t.Log(name, line) })
	if err != nil {
		t.Fatal(err)
	}
	if images[0].Unavailable != "" {
		t.Fatal(images[0])
	}
	return images[0]
}

// place is a network that goes when the test does, with all that is on it.
func place(t *testing.T, run string) *Network {
	t.Helper()
	n, err := NewNetwork(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := n.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return n
}

// run executes a program in a container; it has to end with status 0.
func run(t *testing.T, r *Running, argv ...string) string {
	t.Helper()
	exit, stdout, stderr, err := r.Exec(t.Context(), nil, argv...)
	if err != nil || exit != 0 {
		t.Fatalf("%q: status %d, %v: %s%s", argv, exit, err, stdout, stderr)
	}
	return strings.TrimSpace(string(stdout))
}

func TestServer(t *testing.T) {
	livetest.NeedsContainers(t)
	for _, major := range livetest.Versions(t) {
		t.Run(Server(major).Name(), func(t *testing.T) {
			ctx, image := t.Context(), image(t, Server(major))
			n := place(t, "pgimages-test-"+image.Name)
			r, err := Start(ctx, StartSpec{Image: image.Tag, RunID: "pgimages-test-" + image.Name, Network: n, Hostname: "pg.example.test",
				Args: []string{"-c", "fsync=off", "-c", "log_line_prefix=%n|%p|%r|%e|", "-c", "log_min_messages=debug2"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("ready in %s at %s", r.Started.Round(time.Millisecond), r.Addr)
			psql := []string{"psql", "-XAtq", "-h", SocketDir, "-U", "postgres", "-c"}
			query := "select current_setting('fsync'), current_setting('log_line_prefix'), current_setting('hba_file'), pg_encoding_to_char(encoding), datcollate, current_setting('server_version_num')::int / 10000 from pg_database where datname = 'postgres'"
			want := "off|%n|%p|%r|%e||" + ConfDir + "/pg_hba.conf|UTF8|C|" + strings.TrimPrefix(image.Name, "server-")
			if got := run(t, r, append(psql, query)...); got != want {
				t.Errorf("settings: got %s, want %s", got, want)
			}
			if exit, _, stderr, err := r.Exec(ctx, nil, "psql", "-X", "-h", r.Addr.String(), "-U", "postgres", "-c", ""); err != nil || exit == 0 || !strings.Contains(string(stderr), "no pg_hba.conf entry") {
				t.Errorf("the bootstrap rules let a TCP session in, or say something else: %d %v %s", exit, err, stderr)
			}
			if owner := run(t, r, "stat", "-c", "%u:%g %a", DataDir, SocketDir, LogFile); owner != "999:999 700\n999:999 1777\n999:999 644" {
				t.Errorf("owners and modes of the data directory, the socket directory and the log: %q", owner)
			}
			environment := run(t, r, "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-c", `tr '\0' '\n' </proc/$(head -n 1 /pgam/data/postmaster.pid)/environ`)
			for _, want := range []string{"KRB5_CONFIG=" + KRB5Conf, "KRB5RCACHENAME=none:"} {
				if !slices.Contains(strings.Split(environment, "\n"), want) {
					t.Errorf("the server's environment lacks %s:\n%s", want, environment)
				}
			}

			before := run(t, r, "head", "-n", "1", DataDir+"/postmaster.pid")
			if err := r.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			if after := run(t, r, "head", "-n", "1", DataDir+"/postmaster.pid"); after == before {
				t.Error("the server was not restarted")
			}
			if got := run(t, r, append(psql, query)...); got != want {
				t.Errorf("settings after a restart: got %s, want %s", got, want)
			}
			run(t, r, "sh", "-c", "echo 'nonsense = 1' >"+ConfDir+"/postgresql.conf")
			if err := r.Restart(ctx); err == nil {
				t.Error("a restart with a setting that does not exist succeeded")
			}
			if log := run(t, r, "cat", LogFile); !strings.Contains(log, `unrecognized configuration parameter "nonsense"`) {
				t.Errorf("the log does not say why the restart failed:\n%s", log)
			}
		})
	}
}

func TestServerThatCannotStart(t *testing.T) {
	livetest.NeedsContainers(t)
	image := image(t, Server(18))
	n := place(t, "pgimages-test-broken")
	r, err := Start(t.Context(), StartSpec{Image: image.Tag, RunID: "pgimages-test-broken", Network: n, Args: []string{"-c", "nonsense=1"}})
	if err == nil {
		t.Fatalf("it started: %+v", r)
	}
	if !strings.Contains(err.Error(), `unrecognized configuration parameter "nonsense"`) {
		t.Errorf("the error does not say why: %v", err)
	}
}

// A client reaches the server's socket through the volume they share, and has the libpq of its version.
func TestClient(t *testing.T) {
	livetest.NeedsContainers(t)
	server := image(t, Server(18))
	n := place(t, "pgimages-test-client")
	if _, err := Start(t.Context(), StartSpec{Image: server.Tag, RunID: "pgimages-test-client", Network: n, Hostname: "pg.example.test"}); err != nil {
		t.Fatal(err)
	}
	for _, major := range []int{13, 15, 17, 18, 19} {
		image := image(t, Client(fmt.Sprintf("client-%d", major)))
		r, err := Start(t.Context(), StartSpec{Image: image.Tag, RunID: "pgimages-test-client", Network: n})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s ready in %s", image.Name, r.Started.Round(time.Millisecond))
		if got := run(t, r, "psql", "-XAtq", "-h", SocketDir, "-U", "postgres", "-c", "select 'in'"); got != "in" {
			t.Errorf("%s: got %q over the socket", image.Name, got)
		}
		// 18.6, or 19rc1 of a version that is not released.
		if got := run(t, r, "psql", "--version"); !regexp.MustCompile(fmt.Sprintf(`\(PostgreSQL\) %d[.a-z]`, major)).MatchString(got) {
			t.Errorf("%s has %s", image.Name, got)
		}
		run(t, r, "sh", "-c", "command -v kinit klist; ldd /usr/local/bin/pgam-attempt | grep -q 'libpq.so.5 => /'")
		if got := run(t, r, "getent", "hosts", "pg.example.test"); got == "" {
			t.Errorf("%s does not know the server's name", image.Name)
		}
	}
}

// The client without GSSAPI says what libpq says where no credential can be had, although there is one.
func TestClientWithoutGSS(t *testing.T) {
	livetest.NeedsContainers(t)
	n := place(t, "pgimages-test-nogss")
	for _, c := range []struct {
		spec Spec
		gss  bool
	}{{Client("client-18"), true}, {ClientWithoutGSS("client-18"), false}} {
		image := image(t, c.spec)
		r, err := Start(t.Context(), StartSpec{Image: image.Tag, RunID: "pgimages-test-nogss", Network: n})
		if err != nil {
			t.Fatal(err)
		}
		// A credential cache with a ticket cannot be made without a KDC; a keytab for initiating is a credential as well.
		run(t, r, "sh", "-c", `printf '[libdefaults]\ndefault_realm = EXAMPLE.TEST\n' >/tmp/krb5.conf
			printf 'addent -password -p alice@EXAMPLE.TEST -k 1 -e aes256-cts-hmac-sha1-96\nsecret\nwkt /tmp/keytab\n' | ktutil >/dev/null`)
		_, _, stderr, err := r.Exec(t.Context(), nil, "env", "KRB5_CONFIG=/tmp/krb5.conf", "KRB5_CLIENT_KTNAME=/tmp/keytab", "KRB5CCNAME=FILE:/tmp/ccache",
			"psql", "-X", "host=127.0.0.1 port=1 gssencmode=require user=alice", "-c", "")
		if err != nil {
			t.Fatal(err)
		}
		if dialled := strings.Contains(string(stderr), "Connection refused"); dialled != c.gss {
			t.Errorf("%s: with a credential and gssencmode=require: %s", image.Name, stderr)
		}
	}
}

func TestSweep(t *testing.T) {
	livetest.NeedsContainers(t)
	ctx := t.Context()
	image := image(t, Client("client-18"))
	cli, err := Engine(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := place(t, "pgimages-test-sweep")
	r, err := Start(ctx, StartSpec{Image: image.Tag, RunID: "pgimages-test-sweep", Network: n})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	run(t, r, "true") // a live run's container is still there

	die(t, "pgimages-test-sweep")
	swept, err := Sweep(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(swept, "pgimages-test-sweep") {
		t.Errorf("swept %v, without the run that had died", swept)
	}
	if left := found(t, cli, "pgauthmatrix.run=pgimages-test-sweep"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// die does what the kernel does when the process of a run dies.
func die(t *testing.T, runID string) {
	t.Helper()
	claimLock.Lock()
	defer claimLock.Unlock()
	if err := claims[runID].Close(); err != nil {
		t.Fatal(err)
	}
	delete(claims, runID)
}

// What is kept outlives its process, until it is removed by name.
func TestKeep(t *testing.T) {
	livetest.NeedsContainers(t)
	const id = "pgimages-test-keep"
	ctx := t.Context()
	image := image(t, Client("client-18"))
	cli, err := Engine(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := place(t, id)
	r, err := Start(ctx, StartSpec{Image: image.Tag, RunID: id, Network: n, Publish: []uint16{5432}})
	if err != nil {
		t.Fatal(err)
	}
	at, err := Published(ctx, r.ID, 5432)
	if err != nil || !at.Addr().IsLoopback() {
		t.Errorf("published at %s: %v", at, err)
	}
	if _, err := Published(ctx, r.ID, 88); err == nil {
		t.Error("a port is said to be published that is not")
	}
	if err := Keep(id); err != nil {
		t.Fatal(err)
	}
	die(t, id)
	if swept, err := Sweep(ctx); err != nil || slices.Contains(swept, id) {
		t.Fatalf("swept %v: %v", swept, err)
	}
	run(t, r, "true")
	stands, err := Standings(ctx, id)
	if err != nil || len(stands) != 1 || len(stands[0].Containers) != 1 || !slices.Equal(stands[0].Containers[0].Ports, []string{at.String() + "->5432/tcp"}) {
		t.Errorf("stands %+v: %v", stands, err)
	}
	if err := Remove(ctx, id); err != nil {
		t.Fatal(err)
	}
	if left := found(t, cli, "pgauthmatrix.run="+id); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	dir, _, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(keptFile(dir, id)); err == nil {
		t.Error("it is kept still: the next run of this name would be, too")
	}
}

// A client that was killed had asked the engine for a container; the engine makes it when the sweep has looked already.
func TestSweepOfWhatComesLater(t *testing.T) {
	livetest.NeedsContainers(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // nobody else's runs
	ctx := t.Context()
	image := image(t, Client("client-18"))
	cli, err := Engine(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const id = "pgimages-test-later"
	labels, err := Labels(id)
	if err != nil {
		t.Fatal(err)
	}
	die(t, id)
	made := make(chan error, 1)
	go func() {
		time.Sleep(settlePause * 3)
		_, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: image.Tag, Labels: labels}})
		made <- err
	}()
	swept, err := Sweep(ctx)
	if err := errors.Join(err, <-made); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(swept, id) {
		t.Errorf("swept %v", swept)
	}
	if left := found(t, cli, "pgauthmatrix.run="+id); len(left) > 0 {
		t.Errorf("left behind: %v", left)
		if _, err := Sweep(ctx); err != nil {
			t.Error(err)
		}
	}
}

// An image that brings a client has it in the version that its name says, a driver program that answers, and the Kerberos programs.
func TestClientImages(t *testing.T) {
	n := place(t, "pgimages-test-clients")
	const attempt = `{"protocol": 1, "options": {"user": "u", "sslmode": "disable", "connect_timeout": "5"}, "hosts": [{"name": "a", "address": "127.0.0.1", "port": 1}], "query": "q", "timeout": 5}`
	for _, spec := range clientImages {
		t.Run(spec.Name(), func(t *testing.T) {
			image := image(t, spec)
			if !strings.HasPrefix(image.Version, spec.version+".") {
				t.Errorf("it has version %s", image.Version)
			}
			r, err := Start(t.Context(), StartSpec{Image: image.Tag, RunID: "pgimages-test-clients", Network: n})
			if err != nil {
				t.Fatal(err)
			}
			run(t, r, "sh", "-c", "command -v kinit klist kvno")
			for input, want := range map[string]struct {
				exit int
				text string
			}{
				attempt: {0, `"connected": false`},
				strings.Replace(attempt, `"sslmode"`, `"require_auth": "gss", "sslmode"`, 1): {89, "require_auth=gss"},
				`{"protocol": 2}`: {1, "protocol 2"},
				"garbage":         {1, "JSON"},
			} {
				exit, stdout, stderr, err := r.Exec(t.Context(), []byte(input), "/usr/local/bin/pgam-driver")
				if err != nil || exit != want.exit || !strings.Contains(string(stdout)+string(stderr), want.text) {
					t.Errorf("%s: status %d, %s%s, %v; want %d, …%s…", input, exit, stdout, stderr, err, want.exit, want.text)
				}
			}
		})
	}
}

// TestPackageDate: every image has a file that tells its package's date, and what was made to ask for it is gone.
func TestPackageDate(t *testing.T) {
	livetest.NeedsContainers(t)
	const id = "pgimages-test-date"
	images, err := Ensure(t.Context(), []Spec{Server(18), Client("client-18"), Client("client-asyncpg-0.31"), KDC()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		date, err := PackageDate(t.Context(), i, id)
		if err != nil || date.Before(time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)) || date.After(time.Now()) {
			t.Errorf("%s %s: %s, %v", i.Name, i.Version, date, err)
		}
	}
	cli, err := Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := found(t, cli, "pgauthmatrix.run="+id); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
