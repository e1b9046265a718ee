package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
)

// well is a machine on which nothing is wrong.
func well() *Facts {
	return &Facts{
		Engine:  Engine{Host: "unix:///var/run/docker.sock", Version: "28.1", API: "1.49", Platform: "linux/amd64", Cgroup: "2", Storage: "overlay2"},
		Images:  Images{All: 18, Missing: []string{"server-16", "kdc"}, NoRelease: []string{"server-16"}},
		Mirror:  Mirror{URL: "http://deb.debian.org/debian/"},
		Root:    Space{What: "images and containers", Free: 50 * gigabyte, Inodes: 1000},
		Temp:    Space{What: "temporary files", Free: 50 * gigabyte, Inodes: 1000},
		Runs:    Space{What: "runs", Path: "/r", Free: 50 * gigabyte, Inodes: 1000},
		Memory:  Memory{Available: 8 * gigabyte, Of: "available on this machine"},
		Entropy: Entropy{Bits: 256},
		Registry: Registry{
			Name: "docker.io", Probe: "postgres:16-bookworm"},
	}
}

func of(results []Result, name string) Result {
	return results[slices.IndexFunc(results, func(r Result) bool { return r.Check == name })]
}

func TestChecks(t *testing.T) {
	noEngine := func(f *Facts) {
		*f = Facts{Engine: Engine{Err: "connection refused"}, Mirror: f.Mirror, Runs: f.Runs, Memory: f.Memory, Entropy: f.Entropy}
	}
	noRegistry := func(f *Facts) { f.Registry.Err = "no such host" }
	tried := map[string]bool{}
	for _, tt := range []struct {
		check       string
		change      func(*Facts)
		state       State
		found, mend string // parts
	}{
		{"engine", func(*Facts) {}, OK, "28.1 at unix:///var/run/docker.sock, linux/amd64, API 1.49, cgroup v2, overlay2", ""},
		{"engine", noEngine, Failed, "connection refused", "sudo systemctl start docker"},
		{"engine", func(f *Facts) { f.Engine.Err = "dial unix: connect: permission denied" }, Failed, "permission denied", "sudo usermod -aG docker"},
		{"engine", func(f *Facts) { f.Engine.Err, f.Engine.FromEnv, f.Engine.Host = "refused", true, "tcp://h:1" }, Failed, "tcp://h:1: refused", "unset DOCKER_HOST"},
		{"container", func(f *Facts) { f.Container.Image = "pgauthmatrix/kdc" }, OK, "a container of pgauthmatrix/kdc ran", ""},
		{"container", noEngine, Unknown, "no engine", ""},
		{"container", func(f *Facts) { f.Container.Skipped = "no image" }, Unknown, "no image", ""},
		{"container", func(f *Facts) { f.Container.Err = "cgroups: cgroup mountpoint does not exist: unknown" }, Failed, "cgroups", "mount -t cgroup"},
		{"container", func(f *Facts) { f.Container.Err = "write /x: no space left on device" }, Failed, "no space", "docker system prune"},
		{"container", func(f *Facts) { f.Container.Err = "OCI runtime\ncreate failed" }, Failed, "OCI runtime create failed", "systemctl restart docker"},
		{"images", func(*Facts) {}, OK, "16 of 18 are here; a run makes those that it needs of server-16, kdc", ""},
		{"images", func(f *Facts) { f.Images.Missing = nil }, OK, "all 18", ""},
		{"images", func(f *Facts) { f.Images.Err = "timeout" }, Unknown, "timeout", ""},
		{"registry", func(*Facts) {}, OK, "docker.io answers", ""},
		{"registry", noRegistry, Warning, "no such host; cells that need server-16 will be reported as not tried", "docker pull postgres:16-bookworm"},
		{"registry", func(f *Facts) { noRegistry(f); f.Images.NoRelease = nil }, OK, "no image needs it", ""},
		{"registry", noEngine, Unknown, "no engine", ""},
		{"mirror", func(*Facts) {}, OK, "deb.debian.org", ""},
		{"mirror", func(f *Facts) { f.Mirror.Err = "404"; noRegistry(f) }, Failed, "images are made from it", "apt-get update"},
		{"mirror", func(f *Facts) { f.Mirror.Err = "404" }, Warning, "packages are installed from it", "apt-get update"},
		{"mirror", func(f *Facts) { f.Mirror.Err = "404"; noRegistry(f); f.Images.Missing = []string{"server-16"} }, OK, "no image needs it", ""},
		{"mirror", func(f *Facts) { noEngine(f); f.Mirror.Err = "404" }, Failed, "404", "apt-get update"},
		{"disk", func(*Facts) {}, OK, "images and containers: 50.0 GB free; runs: 50.0 GB free", ""},
		{"disk", func(f *Facts) { f.Root.Free = 1399 * megabyte }, Failed, "images and containers: 1.4 GB free", "docker system df"},
		{"disk", func(f *Facts) { f.Root.Free = 1900 * megabyte; f.Images.Missing = nil }, Warning, "only 1.9 GB free", "docker system df"},
		{"disk", func(f *Facts) { f.Runs.Free = 99 * megabyte; f.Root.Free = 2300 * megabyte }, Failed, "runs: 99 MB free in /r, at least 100 MB", "du -sh /r/*"},
		{"disk", func(f *Facts) { f.Runs.Free = 999 * megabyte }, Warning, "runs: only 999 MB free", "du -sh /r/*"},
		{"disk", func(f *Facts) { f.Runs.Inodes = 0 }, Failed, "no inodes are free in /r", "du -sh /r/*"},
		{"disk", func(f *Facts) { f.Runs.Inodes = 0; f.Runs.NoInodes = true }, OK, "runs: 50.0 GB free", ""},
		{"disk", func(f *Facts) { noRegistry(f); f.Temp.Free = 100 * megabyte }, Failed, "temporary files: 100 MB", "export TMPDIR"},
		{"disk", func(f *Facts) { f.Temp.Free = 100 * megabyte }, OK, "runs", ""},
		{"disk", func(f *Facts) { f.Root = Space{What: "images and containers", Err: "elsewhere"} }, Unknown, "images and containers: unknown (elsewhere)", ""},
		{"memory", func(*Facts) {}, OK, "8.0 GB available on this machine", ""},
		{"memory", func(f *Facts) { f.Memory.Available = 2 * gigabyte }, Warning, "2.0 GB", "ps aux"},
		{"memory", func(f *Facts) { f.Memory.Available = gigabyte - 1 }, Failed, "at least 1.0 GB", "ps aux"},
		{"memory", func(f *Facts) { f.Memory = Memory{Err: "no /proc"} }, Unknown, "no /proc", ""},
		{"clock", func(f *Facts) { f.Clock = Clock{Offset: -1500 * time.Millisecond, Within: time.Millisecond} }, OK, "-1.5s", ""},
		{"clock", func(f *Facts) { f.Clock = Clock{Offset: -3 * time.Second, Within: time.Millisecond} }, Warning, "-3s", "set-ntp"},
		{"clock", func(f *Facts) { f.Clock = Clock{Offset: time.Minute, Within: time.Millisecond} }, Failed, "1m0s", "set-ntp"},
		{"clock", func(f *Facts) { f.Clock = Clock{Offset: time.Minute, Within: time.Minute} }, OK, "give or take 1m0s", ""},
		{"clock", func(f *Facts) { f.Clock.Err = "does not say" }, Unknown, "does not say", ""},
		{"clock", noEngine, Unknown, "no engine", ""},
		{"entropy", func(*Facts) {}, OK, "256 bits", ""},
		{"entropy", func(f *Facts) { f.Entropy.Bits = 20 }, Warning, "20 bits", "rng-tools"},
		{"entropy", func(f *Facts) { f.Entropy.Err = "no /proc" }, Unknown, "no /proc", ""},
		{"leftovers", func(*Facts) {}, OK, "none", ""},
		{"leftovers", func(f *Facts) { f.Leftovers.Dead = []string{"a", "b"} }, OK, "removed when the next run begins: a, b", ""},
		{"leftovers", func(f *Facts) { f.Leftovers = Leftovers{Dead: []string{"a"}, Elsewhere: []string{"c"}} }, Warning, "may be under way: c", "label=pgauthmatrix.run=c)"},
		{"leftovers", func(f *Facts) { f.Leftovers.Err = "timeout" }, Unknown, "timeout", ""},
		{"leftovers", noEngine, Unknown, "no engine", ""},
		{"tools", func(*Facts) {}, OK, "nothing", ""},
		{"tools", func(f *Facts) { f.Tools = Tools{Checkout: true, NoMake: true, NoGo: true} }, Warning, "make is not installed", "apt-get install make golang"},
		{"tools", func(f *Facts) { f.Tools = Tools{NoMake: true, NoGo: true} }, OK, "nothing", ""},
		{"tools", func(f *Facts) { f.Tools.NoMmdebstrap = true }, OK, "nothing", ""},
		{"tools", func(f *Facts) { f.Tools.NoMmdebstrap = true; noRegistry(f) }, Failed, "mmdebstrap is not installed", "apt-get install mmdebstrap"},
		{"tools", func(f *Facts) { f.Tools = Tools{Checkout: true, NoMmdebstrap: true, NoMake: true}; noRegistry(f) }, Failed, "make is not installed", "apt-get install mmdebstrap make"},
		{"tools", func(f *Facts) { f.Tools = Tools{NoMmdebstrap: true, Root: true}; noRegistry(f) }, OK, "nothing", ""},
	} {
		f := well()
		tt.change(f)
		results := Judge(f)
		got := of(results, tt.check)
		if got.State != tt.state || !strings.Contains(got.Found, tt.found) || !strings.Contains(got.Mend, tt.mend) || strings.Contains(got.Found, "\n") {
			t.Errorf("%+v; want %s, …%s…, mend …%s…", got, tt.state, tt.found, tt.mend)
		}
		for _, r := range results {
			if wrong := r.State == Failed || r.State == Warning; wrong != (r.Mend != "") {
				t.Errorf("%+v: what is wrong has a command that mends it, and nothing else has", r)
			}
		}
		if failed := slices.ContainsFunc(results, func(r Result) bool { return r.State == Failed }); Able(results) == failed {
			t.Errorf("%+v: able %t", results, !failed)
		}
		if got.State == Failed || got.State == Warning {
			tried[tt.check] = true
		}
	}
	for _, c := range checks {
		if !tried[c.name] && c.name != "images" { // a run makes those that are missing
			t.Errorf("no row in which %s is wrong", c.name)
		}
		if !strings.Contains(Help(), c.asks) {
			t.Errorf("the help does not have %s", c.name)
		}
	}
	for _, r := range Judge(well()) {
		if r.State != OK {
			t.Errorf("on a machine on which nothing is wrong: %+v", r)
		}
	}
}

func TestDraw(t *testing.T) {
	f := well()
	f.Memory.Available = 0
	results := Judge(f)
	var text, asJSON bytes.Buffer
	if err := Text(&text, results); err != nil {
		t.Fatal(err)
	}
	if want := "failed   memory     0 MB available on this machine, at least 1.0 GB are needed\n                    mend: " + mendMemory + "\n"; !strings.Contains(text.String(), want) {
		t.Errorf("no %q in\n%s", want, text.String())
	}
	if err := JSON(&asJSON, results); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Able   *bool
		Checks []Result
	}
	if err := json.Unmarshal(asJSON.Bytes(), &read); err != nil || read.Able == nil || *read.Able || !slices.Equal(read.Checks, results) {
		t.Errorf("%v: %s", err, asJSON.String())
	}
}

func TestReading(t *testing.T) {
	for text, want := range map[string]int64{
		"Filesystem     1024-blocks     Used Available Capacity Mounted on\noverlay          263174212 15728640  84000000      16% /\n": 84000000 * 1024,
		"df: /: Permission denied\n": 0,
		"":                           0,
	} {
		if got, ok := freeSpace(text); got != want || ok != (want > 0) {
			t.Errorf("%q: %d %t, want %d", text, got, ok, want)
		}
	}
	file := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(file, []byte("MemTotal:       24734444 kB\nMemAvailable:   2000 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := lookMemory(file); m.Available != 2000*1024 || m.Err != "" {
		t.Errorf("%+v", m)
	}
	if m := lookMemory(file + "x"); m.Err == "" {
		t.Errorf("%+v", m)
	}
	if s := space("runs", existing(filepath.Join(t.TempDir(), "not", "there", "yet"))); s.Err != "" || s.Free <= 0 {
		t.Errorf("%+v", s)
	}
}

// On this machine, which carries out the tests that need containers, every check is made and none fails.
func TestThisMachine(t *testing.T) {
	livetest.NeedsContainers(t)
	for _, r := range Examine(t.Context(), t.TempDir()) {
		t.Logf("%+v", r)
		if r.State == Failed || r.State == Unknown && r.Check != "container" { // with no image of the catalogue, a test has none to try with
			t.Errorf("%+v", r)
		}
	}
}
