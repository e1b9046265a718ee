package pgimages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/semaphore"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// found are the containers, networks and volumes with a label.
func found(t *testing.T, cli *client.Client, label string) (names []string) {
	t.Helper()
	filter := make(client.Filters).Add("label", label)
	containers, err := cli.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		names = append(names, "container "+c.ID)
	}
	networks, err := cli.NetworkList(t.Context(), client.NetworkListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		names = append(names, "network "+n.Name)
	}
	volumes, err := cli.VolumeList(t.Context(), client.VolumeListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		names = append(names, "volume "+v.Name)
	}
	return names
}

func TestTagsFollowTheirInputs(t *testing.T) {
	seen := map[string]string{}
	for _, s := range all() {
		tag := s.tag()
		if other, dup := seen[tag]; dup {
			t.Errorf("%s and %s have the same tag %s", s.Name(), other, tag)
		}
		seen[tag] = s.Name()
		if !strings.HasPrefix(tag, "pgauthmatrix/"+s.Name()+":") || tag != s.tag() {
			t.Errorf("%s has tag %s", s.Name(), tag)
		}
	}
	files := contextFiles("suite")
	before := hash(files, "x")
	for i := range files {
		changed := contextFiles("suite")
		changed[i].data = append([]byte("#"), changed[i].data...)
		if hash(changed, "x") == before {
			t.Errorf("a change of %s does not change the hash", files[i].name)
		}
		changed = contextFiles("suite")
		changed[i].mode ^= 0o100
		if hash(changed, "x") == before {
			t.Errorf("a change of the mode of %s does not change the hash", files[i].name)
		}
	}
	if hash(files, "y") == before {
		t.Error("a change of the rest does not change the hash")
	}
	if a, b := Client("client-17").base(), Server(17).base(); a != b {
		t.Errorf("client and server of one version stand on %s and %s", a, b)
	}
}

// Every image that a client of the matrix needs can be made.
func TestClientsHaveImages(t *testing.T) {
	for _, c := range matrix.Clients {
		if c.Image != "" && (!Client(c.Image).known() || Client(c.Image).Name() != c.Image) {
			t.Errorf("%s needs image %s, which the catalogue does not have", c.Name, c.Image)
		}
	}
	for _, name := range []string{"", "client-", "client-x", "client-0", "client-nogss-17", "server-17", "client-asyncpg-0.1"} {
		if Client(name).known() {
			t.Errorf("%q is a client image", name)
		}
	}
}

func TestSuites(t *testing.T) {
	for major, want := range map[int]string{13: "bullseye", 14: "postgres-14", 15: "bookworm", 16: "postgres-16", 17: "trixie", 18: "forky", 19: "experimental", 20: "postgres-20", 0: "trixie"} {
		s := suiteFor(major)
		if s.name != want || s.bootstrap == strings.HasPrefix(want, "postgres-") {
			t.Errorf("PostgreSQL %d stands on %+v, not on %s", major, s, want)
		}
		if unchecked := strings.Contains(strings.Join(s.aptOptions(), " "), "Check-Valid-Until"); unchecked != (want == "forky" || want == "experimental") {
			t.Errorf("%s: validity of the Release file not checked: %v", s.name, unchecked)
		}
		// What is not whole is installed over a release, which has another version under the same names.
		named := slices.Contains(s.packages(), fmt.Sprintf("libpq5=%d*", s.major))
		if releases := s.releases(); releases[len(releases)-1] != want || named != (len(releases) > 1) || named != (want == "experimental") {
			t.Errorf("%s is installed from %v: %v", s.name, releases, s.packages())
		}
	}
}

func TestMirrors(t *testing.T) {
	for _, c := range []struct{ name, targets, mirror, security string }{
		{"none", "", "", ""},
		{"debian", "http://m.example/debian bookworm main\nhttp://m.example/debian bookworm-updates main\nhttp://s.example/debian-security bookworm-security main\n", "http://m.example/debian/", "http://s.example/debian-security/"},
		{"third parties first", "https://x.example/apt nodistro main\nhttps://y.example/apt bookworm contrib\nhttp://m.example/debian/ trixie main\n", "http://m.example/debian/", ""},
		{"ubuntu", "http://u.example/ubuntu noble main\nhttp://u.example/ubuntu noble-security main\n", "", ""},
	} {
		if mirror, security := mirrors(c.targets); mirror != c.mirror || security != c.security {
			t.Errorf("%s: got %q and %q, want %q and %q", c.name, mirror, security, c.mirror, c.security)
		}
	}
}

func TestVersionsIn(t *testing.T) {
	got := versionsIn([]byte("noise\npgam-version krb5-user 1.21.3-5\npgam-version libpq5 17.12-0+deb13u1\npgam-version postgresql-17 17.12-0+deb13u1\n"))
	for label, want := range map[string]string{Server(17).versionLabel(): "17.12-0+deb13u1", Client("client-17").versionLabel(): "17.12-0+deb13u1", KDC().versionLabel(): "1.21.3-5"} {
		if got[label] != want {
			t.Errorf("%s is %q, want %q", label, got[label], want)
		}
	}
	if len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

func TestImageString(t *testing.T) {
	there := Image{Name: "server-17", Tag: "pgauthmatrix/server-17:0123", Version: "17.12-0+deb13u1", Size: 362_000_000, Created: time.Now().Add(-3 * time.Hour), Source: "built on trixie", Local: true}
	for _, want := range []string{"server-17", "17.12-0+deb13u1", "362 MB", "3 h old", "local, built on trixie", there.Tag} {
		if !strings.Contains(there.String(), want) {
			t.Errorf("%q lacks %q", there, want)
		}
	}
	if got := (Image{Name: "server-16", Unavailable: "no registry answers"}).String(); !strings.Contains(got, "server-16") || !strings.Contains(got, "unavailable: no registry answers") {
		t.Error(got)
	}
}

func TestStale(t *testing.T) {
	for _, s := range append(all(), Server(16)) {
		if stale(s.tag()) {
			t.Errorf("%s is stale, yet it is what the inputs give", s.tag())
		}
		if old := "pgauthmatrix/" + s.Name() + ":0123456789ab"; !stale(old) {
			t.Errorf("%s is not stale", old)
		}
	}
	for _, s := range []suite{suiteFor(13), suiteFor(16)} {
		if old := "pgauthmatrix/suite-" + s.name + ":0123456789ab"; stale(s.tag()) || !stale(old) {
			t.Errorf("%s: stale %v, %s: stale %v", s.tag(), stale(s.tag()), old, stale(old))
		}
	}
	for _, tag := range []string{"pgauthmatrix/somebody-else:1", "pgauthmatrix/x:1", "debian:trixie-slim", "postgres:16"} {
		if stale(tag) {
			t.Errorf("%s is not the catalogue's, yet stale", tag)
		}
	}
}

func TestMmdebstrapIsNamedWhereItLacks(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if _, err := mmdebstrap(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "apt-get install mmdebstrap") {
		t.Errorf("the error does not say how to mend it: %v", err)
	}
	if os.Geteuid() != 0 {
		return // the rest is for who may install
	}
	script := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	script("apt-get", "echo no such package; exit 100\n")
	if _, err := mmdebstrap(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "no such package") || !strings.Contains(err.Error(), "apt-get install mmdebstrap") {
		t.Errorf("apt-get failed, and the error is %v", err)
	}
	// The package lists are missing until they are updated.
	script("apt-get", `[ "$2" = update ] && { echo '#!/bin/sh' >`+bin+`/lists; exit; }
[ -e `+bin+`/lists ] || exit 100
echo '#!/bin/sh' >`+bin+`/mmdebstrap; /bin/chmod 755 `+bin+`/mmdebstrap
`)
	if program, err := mmdebstrap(t.Context(), func(string) {}); err != nil || program != filepath.Join(bin, "mmdebstrap") {
		t.Errorf("got %q, %v", program, err)
	}
}

// A registry that does not answer is asked once; nothing listens on port 1.
func TestRegistryThatIsDown(t *testing.T) {
	cli, err := Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{cli: cli, slots: semaphore.NewWeighted(2), made: map[string]*made{}, registries: map[string]*registry{}, progress: func(string, string) {}}
	began := time.Now()
	_, first := b.pull(t.Context(), "127.0.0.1:1/a:1", "a")
	if first == nil || time.Since(began) > pullPatience+5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), first)
	}
	if r := b.registries["127.0.0.1:1"]; r == nil || r.down == nil {
		t.Fatalf("it is not known to be down: %+v", b.registries)
	}
	if _, second := b.pull(t.Context(), "127.0.0.1:1/b:1", "b"); second != first { //nolint:errorlint // the very same
		t.Errorf("it was asked again: %v", second)
	}
	_, err = b.suite(t.Context(), suite{name: "c", major: 16, pull: "127.0.0.1:1/c:1"})
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL 16") || !strings.Contains(err.Error(), "docker pull 127.0.0.1:1/c:1") {
		t.Errorf("what cannot be had does not say why and what would mend it: %v", err)
	}
}

// Debian's experimental promises nothing: what it cannot install is not available. A release that cannot be installed is a failure.
func TestSuiteThatIsNotWholeMayBeMissing(t *testing.T) {
	cli, err := Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	script := "#!/bin/sh\necho \"$@\" >" + bin + "/asked\necho \"E: Version '19*' for 'libpq5' was not found\" >&2\nexit 100\n"
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	b := &builder{cli: cli, slots: semaphore.NewWeighted(2), made: map[string]*made{}, registries: map[string]*registry{}, progress: func(string, string) {}}
	for name, missing := range map[string]bool{"experimental": true, "forky": false} {
		s := suites[slices.IndexFunc(suites, func(s suite) bool { return s.name == name })]
		s.pull, s.more = "127.0.0.1:1/x:1", []string{"not-in-the-cache"}
		_, err := b.suite(t.Context(), s)
		if err == nil || errors.Is(err, errNoSource) != missing || !strings.Contains(err.Error(), "'libpq5' was not found") {
			t.Errorf("%s: %v", name, err)
		}
		asked, err := os.ReadFile(filepath.Join(bin, "asked")) //nolint:gosec // as above
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range s.releases() {
			if missing && !strings.Contains(string(asked), "/ "+want+" main") {
				t.Errorf("%s: mmdebstrap was not given %s: %s", name, want, asked)
			}
		}
	}
}

func TestOneProcessBuilds(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	told := make(chan string, 1)
	b := &builder{progress: func(name, line string) { told <- name + ": " + line }}
	unlock, err := b.onlyBuilder(t.Context(), "pgauthmatrix/kdc:1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.onlyBuilder(t.Context(), "pgauthmatrix/kdc:2")
	if err != nil {
		t.Fatal(err)
	}
	other()
	second := make(chan error)
	go func() {
		unlock, err := b.onlyBuilder(t.Context(), "pgauthmatrix/kdc:1")
		if err == nil {
			unlock()
		}
		second <- err
	}()
	if line := <-told; line != "kdc:1: another process is building it" {
		t.Errorf("told %q", line)
	}
	select {
	case err := <-second:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	unlock()
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestClaim(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	first, err := claim("one")
	if err != nil {
		t.Fatal(err)
	}
	again, err := claim("one")
	if err != nil || again != first {
		t.Errorf("claimed again by the same process: %q, %v; before: %q", again, err, first)
	}
	dir, place, err := claimDir()
	if err != nil || len(place) < 20 || first != place+"/one" {
		t.Errorf("owner %q, place %q: %v", first, place, err)
	}
	if _, err := lockFile(filepath.Join(dir, "one.lock"), 0); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a claimed run can be locked: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dead.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeStale(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(left) != 1 || filepath.Base(left[0]) != "one.lock" {
		t.Errorf("lock files left: %v", left)
	}
	for _, bad := range []string{"", "../x", `a\b`, ".hidden"} {
		if _, err := claim(bad); err == nil {
			t.Errorf("run ID %q was accepted", bad)
		}
	}
	claimLock.Lock()
	defer claimLock.Unlock()
	_ = claims["one"].Close()
	delete(claims, "one")
}

// An engine that DOCKER_HOST names and that does not answer is an error: no other engine takes its place.
func TestNamedEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "docker.sock"))
	if err := namedEngine(t.Context()); err == nil || !strings.Contains(err.Error(), "no container engine answers at DOCKER_HOST=unix:///") {
		t.Errorf("got %v", err)
	}
	t.Setenv("DOCKER_HOST", "")
	if err := namedEngine(t.Context()); err != nil {
		t.Error(err)
	}
}
