package pgimages

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
)

// What /pgam/adapt says becomes labels, and labels what was found.
func TestReadOwn(t *testing.T) {
	labels := map[string]string{labelBase: "sha256:1"}
	for name, values := range foundIn([]byte("Step 5\npgam-found version 17.2\r\npgam-found bin /usr/pgsql-17/bin\npgam-found account postgres\npgam-found uid 26\npgam-found gid 26\npgam-found lacks  TLS\npgam-found conf /b\npgam-found conf /a\n")) {
		labels[labelFound+name] = strings.Join(values, "\n")
	}
	got, err := readOwn("r/pg:17", labels)
	want := &OwnImage{Reference: "r/pg:17", ID: "sha256:1", Major: 17, Bin: "/usr/pgsql-17/bin", Account: "postgres", UID: 26, GID: 26, Lacks: []string{"TLS"}, Conf: []string{"/a", "/b"}}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Error(err, cmp.Diff(want, got))
	}
	if s := got.String(); !strings.Contains(s, "run as postgres (user ID 26); it was built without TLS") {
		t.Error(s)
	}
	for change, want := range map[[2]string]string{{"version", "19rc1"}: "", {"version", "12.1"}: "has PostgreSQL 12.1: want one of 13 to 19", {"version", ""}: "no number", {"uid", "0"}: "does not run as root"} {
		bad := maps.Clone(labels)
		bad[labelFound+change[0]] = change[1]
		if _, err := readOwn("r", bad); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

func TestOwnFault(t *testing.T) {
	for said, want := range map[string]string{
		"The command returned 1: Step 6 | pgam-fault it has no tar | Removing": "it has no tar",
		`exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown`:    "it has no shell (/bin/sh), with which the server is found and started",
		"Error response from daemon: no space left on device":                  "no space left on device",
	} {
		if got := ownFault(errors.New(said)); got != want {
			t.Errorf("%s: %s", said, got)
		}
	}
}

// Of a directory in an image its files of text are read, and those of its subdirectories; a data directory has others.
func TestConfIn(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"conf/pg_hba.conf", "conf/conf.d/a.conf", "conf/lists/users", "conf/base/1/1259.bin", "conf/a/b/c.conf", "conf/server.key"} {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: 1, Typeflag: tar.TypeReg}), func() error { _, err := w.Write([]byte("x")); return err }()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := confIn(&b)
	if want := []string{"conf.d/a.conf", "lists/users", "pg_hba.conf"}; err != nil || !slices.Equal(slices.Sorted(maps.Keys(files)), want) {
		t.Error(files, err)
	}
}

// elsewhere is an image of another layout: programs in /opt, an account without a name, no setpriv, and a stand-in for gosu.
const elsewhere = `
RUN rm -f /usr/local/sbin/pgam-* /usr/bin/pg_config && mkdir -p /opt/acme/lib /opt/acme/share /etc/acme && mv /usr/lib/postgresql /opt/acme/lib/ && mv /usr/share/postgresql /opt/acme/share/ && \
    sed -i /^postgres:/d /etc/passwd /etc/group && mv /usr/bin/setpriv /usr/bin/other-setpriv && \
    printf '#!/bin/sh\nu=$1; shift; exec other-setpriv --reuid=$u --regid=$u --init-groups "$@"\n' >/usr/local/bin/gosu && chmod 755 /usr/local/bin/gosu && \
    printf 'local all all peer\n' >/etc/acme/pg_hba.conf
ENV PATH=/usr/local/bin:/usr/bin:/bin PGDATA=/var/lib/acme
USER 1001:1002
ENTRYPOINT ["acme-start"]
HEALTHCHECK CMD false
`

// Somebody's own server: found in another layout, with another account, and run; and what is said of images that cannot be used.
func TestOwnServer(t *testing.T) {
	livetest.NeedsContainers(t)
	if livetest.Chosen(t) == livetest.Quick {
		livetest.LeftOut(t, "%s: somebody's own server image, found in another layout and run", t.Name())
		return
	}
	base := image(t, KDC()).Tag // that of the release with PostgreSQL 17
	cli, err := Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, b := context.WithoutCancel(t.Context()), &builder{cli: cli, progress: func(_, line string) { t.Log(line) }}
	there := func(name, dockerfile string) Spec { // local: what a registry does is another test's
		own := OwnServer("pgauthmatrix-test/" + name)
		if _, err := b.build(ctx, name, []file{{"Dockerfile", []byte(dockerfile), 0o644}}, client.ImageBuildOptions{Tags: []string{own.version}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, tag := range []string{own.version, own.tag()} {
				_, _ = cli.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}) // not all were made
			}
		})
		return own
	}
	for spec, want := range map[Spec]string{
		there("none:1", "FROM "+base+"\nRUN rm -rf /usr/lib/postgresql\n"):                                                               "there is no program postgres in it",
		there("two:1", "FROM "+base+"\nRUN mkdir -p /opt/b && cp /usr/lib/postgresql/17/bin/postgres /opt/b/\nENV PATH=/usr/bin:/bin\n"): "it has several servers",
		there("empty:1", "FROM scratch\nLABEL has=nothing\n"):                                                                            "it has no shell",
		OwnServer("127.0.0.1:1/acme/pg:17"):                                                                                              "connection refused",
	} {
		images, err := Ensure(t.Context(), []Spec{spec}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(images[0].Unavailable, want) || !strings.Contains(images[0].Unavailable, "the image "+spec.version) {
			t.Errorf("%s: %q, want …%s…", spec.version, images[0].Unavailable, want)
		}
	}
	moved := there("acme:17", "FROM "+base+elsewhere)
	i := image(t, moved)
	if o := i.Own; o == nil || o.Major != 17 || o.Bin != "/opt/acme/lib/postgresql/17/bin" || o.UID != 1001 || o.GID != 1002 || len(o.Lacks) > 0 || !slices.Contains(o.Conf, "/etc/acme") {
		t.Fatalf("%+v", o)
	}
	files, err := ConfOf(t.Context(), i, "pgimages-test-own", "/etc/acme")
	if err != nil || string(files["pg_hba.conf"]) != "local all all peer\n" {
		t.Errorf("%v %v", files, err)
	}
	r, err := Start(t.Context(), StartSpec{Image: i.Tag, RunID: "pgimages-test-own", Network: place(t, "pgimages-test-own"), Hostname: "pg.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, r, "psql", "-XAtq", "-h", SocketDir, "-U", "postgres", "-c", "show server_version"); !strings.HasPrefix(got, "17.") {
		t.Errorf("server_version %q", got)
	}
	if got := run(t, r, "stat", "-c", "%u:%g", DataDir+"/postmaster.pid"); strings.TrimSpace(got) != "1001:1002" {
		t.Errorf("the server runs as %s", got)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	again := image(t, moved)
	if again.Created != i.Created {
		t.Errorf("the image was made twice: %s, %s", i.Created, again.Created)
	}
}
