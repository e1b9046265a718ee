package pgimages

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	oci "github.com/google/go-containerregistry/pkg/registry"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
)

// shelf is a registry on loopback, in memory, that refuses when it is told to. The engine takes 127.0.0.0/8 for registries without TLS; it has
// to be on this machine.
type shelf struct {
	host string // 127.0.0.1:PORT

	mu     sync.Mutex
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{}
	content := oci.New(oci.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		before := s.before
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			content.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// first has every request pass this first, until the test ends.
func (s *shelf) first(t *testing.T, before func(w http.ResponseWriter, r *http.Request) (done bool)) {
	t.Helper()
	set := func(b func(w http.ResponseWriter, r *http.Request) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.before = b
	}
	set(before)
	t.Cleanup(func() { set(nil) })
}

// refuse is the answer of a registry that refuses (OCI distribution specification, "Error Codes").
func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
	return true
}

// put builds an image from a Dockerfile, pushes it under a name and removes it from the engine.
func (s *shelf) put(t *testing.T, name, dockerfile string) {
	t.Helper()
	cli, err := Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{cli: cli, progress: func(_, line string) { t.Log(line) }}
	tag := s.host + "/" + name
	if _, err := b.build(t.Context(), name, []file{{"Dockerfile", []byte(dockerfile), 0o644}}, client.ImageBuildOptions{Tags: []string{tag}}); err != nil {
		t.Fatal(err)
	}
	s.push(t, cli, tag)
}

func (s *shelf) push(t *testing.T, cli *client.Client, tag string) {
	t.Helper()
	pushed, err := cli.ImagePush(t.Context(), tag, client.ImagePushOptions{RegistryAuth: base64.URLEncoding.EncodeToString([]byte("{}"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := pushed.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ImageRemove(t.Context(), tag, client.ImageRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
}

// ask makes a request of the registry and returns what it answers.
func (s *shelf) ask(t *testing.T, method, path, contentType string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.host+"/v2/library/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, answer, err)
	}
	return answer
}

// translate makes from NAME:1 an image for another architecture, NAME:2, and a list that has that one alone, NAME:3.
func (s *shelf) translate(t *testing.T, name, architecture string) {
	t.Helper()
	const image, list = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	write := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var manifest, config map[string]any
	if err := json.Unmarshal(s.ask(t, http.MethodGet, name+"/manifests/1", "", nil), &manifest); err != nil {
		t.Fatal(err)
	}
	of := manifest["config"].(map[string]any)
	if err := json.Unmarshal(s.ask(t, http.MethodGet, name+"/blobs/"+of["digest"].(string), "", nil), &config); err != nil {
		t.Fatal(err)
	}
	config["architecture"] = architecture
	blob := write(config)
	s.ask(t, http.MethodPost, name+"/blobs/uploads/?digest="+digest(blob), "application/octet-stream", blob)
	of["digest"], of["size"] = digest(blob), len(blob)
	foreign := write(manifest)
	s.ask(t, http.MethodPut, name+"/manifests/2", image, foreign)
	s.ask(t, http.MethodPut, name+"/manifests/3", list, write(map[string]any{"schemaVersion": 2, "mediaType": list, "manifests": []any{
		map[string]any{"mediaType": image, "size": len(foreign), "digest": digest(foreign), "platform": map[string]string{"os": "linux", "architecture": architecture}}}}))
}

// instead puts a suite in the place of that of its version; images on it have tags of their own, which are removed in the end.
func instead(t *testing.T, s suite, specs ...Spec) {
	t.Helper()
	before := suites
	suites = []suite{s}
	tags := []string{s.pull, s.tag()}
	for _, spec := range specs {
		tags = append(tags, spec.tag())
	}
	t.Cleanup(func() {
		suites = before
		ctx := context.WithoutCancel(t.Context())
		cli, err := Engine(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			_, _ = cli.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}) // that it was made is asserted elsewhere
		}
	})
}

// An image like PostgreSQL's official one is pulled, adapted and run: a server with its own entrypoint and volume, without Kerberos
// programs. The registry wants a login, and has the one that docker login saved.
func TestPull(t *testing.T) {
	livetest.NeedsContainers(t)
	if livetest.Chosen(t) == livetest.Quick {
		livetest.LeftOut(t, "%s: a server from a registry, pulled, adapted and run", t.Name())
		return
	}
	base := image(t, KDC()) // that of the release with PostgreSQL 17
	s := newShelf(t)
	s.put(t, "library/postgres:17-bookworm", "FROM "+base.Tag+`
RUN apt-get purge -y -q krb5-user && rm -f /usr/local/sbin/pgam-* && ! command -v kinit
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
`)
	s.first(t, func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "alice" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
	saved, err := json.Marshal(map[string]any{"auths": map[string]any{s.host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("alice:secret"))}}})
	if err != nil {
		t.Fatal(err)
	}
	config := t.TempDir()
	if err := os.WriteFile(filepath.Join(config, "config.json"), saved, 0o600); err != nil { // as docker login does
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", config)
	server := Server(17)
	instead(t, suite{name: "postgres-17", major: 17, pull: s.host + "/library/postgres:17-bookworm"}, server)
	i := image(t, server)
	if want := "built on " + s.host + "/library/postgres:17-bookworm (pulled)"; i.Source != want || !strings.HasPrefix(i.Version, "17.") {
		t.Errorf("%+v: want a version and the source %s", i, want)
	}
	n := place(t, "pgimages-test-pull")
	r, err := Start(t.Context(), StartSpec{Image: server.tag(), RunID: "pgimages-test-pull", Network: n, Hostname: "pg.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, r, "psql", "-XAtq", "-h", SocketDir, "-U", "postgres", "-c", "show server_version"); !strings.HasPrefix(got, "17.") {
		t.Errorf("server_version %q", got)
	}
	run(t, r, "sh", "-c", "command -v kinit klist")
}

// What is said of a version that no Debian release carries when its registry does not give it.
func TestPullRefused(t *testing.T) {
	livetest.NeedsContainers(t)
	s := newShelf(t)
	before, stall := pullPatience, stallPatience
	pullPatience, stallPatience = 2*time.Second, 3*time.Second
	t.Cleanup(func() { pullPatience, stallPatience = before, stall })
	hang := func(r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
		return true
	}
	s.put(t, "library/foreign:1", "FROM scratch\nLABEL is=pulled\n")
	other := map[string]string{"amd64": "arm64"}[runtime.GOARCH]
	if other == "" {
		other = "amd64"
	}
	s.translate(t, "foreign", other)
	for _, tt := range []struct {
		name   string
		image  string
		before func(w http.ResponseWriter, r *http.Request) bool
		want   string
	}{
		{"no such image", "library/postgres:16-bookworm", nil, "not found"},
		{"no login", "library/postgres:16-bookworm", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		}, "no basic auth credentials"},
		{"not allowed", "library/postgres:16-bookworm", func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path != "/v2/" && refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
		}, "(denied)"},
		{"too often", "library/postgres:16-bookworm", func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path != "/v2/" && refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS",
				"You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit")
		}, "You have reached your pull rate limit"},
		{"its disk is full", "library/postgres:16-bookworm", func(w http.ResponseWriter, _ *http.Request) bool {
			return refuse(w, http.StatusInternalServerError, "UNKNOWN", "no space left on device")
		}, "500"},
		{"it is no registry", "library/postgres:16-bookworm", func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, "<html>Please log in to the guest network</html>")
			return true
		}, "invalid character '<'"},
		{"it does not answer", "library/postgres:16-bookworm", func(_ http.ResponseWriter, r *http.Request) bool { return hang(r) }, "did not answer within 2s"},
		{"it stops in the middle", "library/foreign:1", func(_ http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/blobs/") && hang(r)
		}, "sent nothing for 3s"},
		{"it is for other machines", "library/foreign:2", nil, "it is an image for linux/" + other},
		{"it is for many other machines", "library/foreign:3", nil, "no matching manifest for linux/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.before != nil {
				s.first(t, tt.before)
			}
			spec := Server(16)
			instead(t, suite{name: "postgres-16", major: 16, pull: s.host + "/" + tt.image}, spec)
			images, err := Ensure(t.Context(), []Spec{spec}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(images[0].Unavailable)
			if !images[0].NoSource || !strings.Contains(images[0].Unavailable, tt.want) || !strings.HasPrefix(images[0].Unavailable, "no Debian release carries PostgreSQL 16") {
				t.Errorf("want …%s…", tt.want)
			}
		})
	}
}
