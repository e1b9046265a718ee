package agent

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

const backendTwenty = "1000.100|20|10.0.0.2(4000)|00000|LOG:  one\n"

var exitOfTwenty = "1000.200|10||00000|DEBUG:  server process (PID 20) exited with exit code 0\n"

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	tests := []struct {
		name    string
		fromEnd bool
		before  string
		steps   func(path string)
		missing string // part of the error; empty: it is found
	}{
		{"from the beginning", false, backendTwenty + exitOfTwenty, func(string) {}, ""},
		{"from the end", true, backendTwenty + exitOfTwenty, func(string) {}, "no line in the server's log"},
		{"written while somebody waits, in pieces", true, "", func(path string) {
			for _, b := range []byte(backendTwenty + exitOfTwenty) {
				appendTo(t, path, string(b))
			}
		}, ""},
		{"truncated and shorter", false, strings.Repeat("1000.000|10||00000|LOG:  old\n", 100), func(path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Error(err)
			}
			appendTo(t, path, backendTwenty+exitOfTwenty)
		}, ""},
		{"replaced by another file", false, backendTwenty, func(path string) {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Error(err)
			}
			appendTo(t, path, strings.Replace(backendTwenty, "one", "two", 1)+exitOfTwenty)
		}, ""},
		{"replaced: the exit of what began in the old file says nothing of it", false, backendTwenty, func(path string) {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Error(err)
			}
			appendTo(t, path, exitOfTwenty)
		}, "no line in the server's log"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.log")
			appendTo(t, path, test.before)
			f, err := follow(path, test.fromEnd)
			if err != nil {
				t.Fatal(err)
			}
			go test.steps(path)
			collect := func(timeout int) (CollectResult, error) {
				return f.collect(t.Context(), Collect{Peers: []Peer{peer("10.0.0.2", 4000, 0)}, Timeout: timeout})
			}
			if test.missing != "" { // that nothing comes is said only in the end, and the steps may take longer than a try
				for began := time.Now(); ; {
					got, err := collect(300)
					switch {
					case err != nil && strings.Contains(err.Error(), test.missing):
						return
					case time.Since(began) > 10*time.Second:
						t.Fatalf("got %v, %v, want …%s…", got, err, test.missing)
					}
				}
			}
			got, err := collect(10_000)
			if err != nil || len(got.Connections) != 1 || len(got.Connections[0].Lines) != 1 {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
	if _, err := follow(filepath.Join(t.TempDir(), "none.log"), false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
}

func TestAttemptRefusesWhatIsTheAgents(t *testing.T) {
	host := Option{Name: "host", Value: "h"}
	tests := []struct {
		name    string
		attempt Attempt
		want    string
	}{
		{"no host", Attempt{Server: "1.2.3.4:5"}, "option host is missing"},
		{"hostaddr", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "hostaddr", Value: "1.2.3.4"}}}, "option hostaddr is the agent's"},
		{"port beside a relay", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "port", Value: "5"}}}, "option port is the agent's"},
		{"a socket beside a relay", Attempt{Server: "1.2.3.4:5", Options: []Option{{Name: "host", Value: "/tmp"}}}, "is a unix socket"},
		{"neither", Attempt{Options: []Option{host}}, "no server address"},
		{"NUL", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "user", Value: "a\x00b"}}}, "holds a NUL"},
		{"a file that is not there", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "sslcrl", Value: "/nonexistent/crl", File: true}}}, "option sslcrl: stat /nonexistent/crl"},
		{"an empty file", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "sslrootcert", Value: "/dev/null", File: true}}}, "option sslrootcert: /dev/null is empty"},
		{"HOME", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Env: map[string]string{"HOME": "/root"}}, "HOME is the agent's"},
		{"KRB5CCNAME", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Env: map[string]string{"KRB5CCNAME": "x"}}, "KRB5CCNAME is the agent's"},
		{"a name that is none", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Env: map[string]string{"A=B": "x"}}, `"A=B" cannot be set`},
		{"no such cache", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, CCache: "/nonexistent/cc"}, "credential cache: open /nonexistent/cc"},
		{"an empty cache", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, CCache: "/dev/null"}, "/dev/null is empty"},
		{"client", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Client: "jdbc"}, `no client "jdbc"`},
		{"a dead host that is alone", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Dead: true}, "the first is to refuse: that takes two"},
		{"a dead host on a socket", Attempt{Options: []Option{{Name: "host", Value: "/a,/b"}}, Dead: true}, "the first is to refuse: that takes two"},
		{"a default cache that there is not", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Default: true}, "the default credential cache is wanted"},
		{"a default cache and no krb5.conf", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, CCache: os.Args[0], Default: true, Env: map[string]string{"KRB5_CONFIG": "/nonexistent"}}, "krb5.conf: open /nonexistent"},
		{"a krb5.conf that is none", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, CCache: os.Args[0], Default: true, Env: map[string]string{"KRB5_CONFIG": "/proc/version"}}, "has no [libdefaults]"},
		{"outside the home directory", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Home: map[string]string{"../x": os.Args[0]}}, "../x is not in it"},
		{"no such file for the home directory", Attempt{Server: "1.2.3.4:5", Options: []Option{host}, Home: map[string]string{"x": "/nonexistent"}}, "home directory: open /nonexistent"},
		{"a secret in the fault", Attempt{Server: "1.2.3.4:5", Options: []Option{host, {Name: "password", Value: "jdbc", Secret: true}}, Client: "jdbc"}, `no client "***"`},
	}
	for _, test := range tests {
		s := &server{private: &privateDirs{base: t.TempDir()}}
		if r, err := s.attempt(t.Context(), &test.attempt); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v, want …%s…", test.name, r, err, test.want)
		}
		if left, _ := os.ReadDir(s.private.base); len(left) != 0 {
			t.Errorf("%s: %v is left", test.name, left)
		}
	}
}

func TestAttemptEnvironmentIsExact(t *testing.T) {
	t.Setenv("PGUSER", "ambient")
	ccache := filepath.Join(t.TempDir(), "cc")
	appendTo(t, ccache, "a cache")
	for _, test := range []struct{ ccache, want string }{{"", "no-ccache"}, {ccache, "ccache"}} {
		p := &Prepared{Attempt: &Attempt{Env: map[string]string{"KRB5_CONFIG": "/k", "PGPASSFILE": "/p"}, CCache: test.ccache}, Dir: t.TempDir()}
		if err := p.environment(); err != nil {
			t.Fatal(err)
		}
		want := []string{"HOME=" + p.Dir, "KRB5CCNAME=FILE:" + p.Dir + "/" + test.want, "KRB5_CONFIG=/k", "KRB5_TRACE=" + p.Dir + "/krb5.trace", "LC_ALL=C", "PATH=" + process.Path,
			"PGPASSFILE=/p", "PGSERVICEFILE=" + p.Dir + "/none/pg_service.conf", "PGSYSCONFDIR=" + p.Dir + "/none"}
		slices.Sort(want)
		if diff := cmp.Diff(want, p.Environ); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		_, err := os.Stat(filepath.Join(p.Dir, test.want))
		if exists := err == nil; exists != (test.ccache != "") {
			t.Errorf("%s: %v", test.want, err)
		}
	}
}

func TestAmbientFilesAreTheAttemptsOwn(t *testing.T) {
	from := t.TempDir()
	files := map[string]string{"cc": "a cache", "crt": "a certificate", "krb5.conf": "[libdefaults]\n  default_realm = R\n\n[realms]\n"}
	for name, content := range files {
		appendTo(t, filepath.Join(from, name), content)
	}
	p := &Prepared{Attempt: &Attempt{Env: map[string]string{"KRB5_CONFIG": filepath.Join(from, "krb5.conf")}, CCache: filepath.Join(from, "cc"), Default: true,
		Home: map[string]string{".postgresql/a.crt": filepath.Join(from, "crt"), ".postgresql/b.crt": filepath.Join(from, "crt")}}, Dir: t.TempDir()}
	if err := p.environment(); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(p.Environ, func(v string) bool { return strings.HasPrefix(v, "KRB5CCNAME=") }); i >= 0 {
		t.Errorf("%s is set", p.Environ[i])
	}
	if !slices.Contains(p.Environ, "KRB5_CONFIG="+p.Dir+"/krb5.conf") {
		t.Errorf("the environment is %v", p.Environ)
	}
	for name, want := range map[string]string{"ccache": "a cache", ".postgresql/a.crt": "a certificate", ".postgresql/b.crt": "a certificate",
		"krb5.conf": "[libdefaults]\n  default_ccache_name = FILE:" + p.Dir + "/ccache\n  default_realm = R\n\n[realms]\n"} {
		got, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
		if info, err := os.Stat(filepath.Join(p.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
}

// A host that is to refuse does so until it is released, and nobody else can listen there.
func TestRefusingPort(t *testing.T) {
	port, release, err := refusingPort()
	if err != nil {
		t.Fatal(err)
	}
	dead := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if l, err := net.Listen("tcp", dead); err == nil {
		t.Errorf("somebody else can listen on %s", l.Addr())
	}
	if conn, err := net.Dial("tcp", dead); err == nil {
		t.Errorf("%s accepts a connection", conn.RemoteAddr())
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if l, err := net.Listen("tcp", dead); err != nil {
		t.Errorf("released: %v", err)
	} else {
		_ = l.Close()
	}
}

// Every host leads to the relay but the first of an attempt in which it is to refuse. Only a client that knows hostaddr is told.
func TestResolve(t *testing.T) {
	const relay = "127.0.0.1:4321"
	for _, test := range []struct {
		name, hosts    string
		dead, hostaddr bool
		given          string // what is given beside the host; D is the port that refuses
	}{
		{"one host", "a", false, true, " hostaddr=127.0.0.1 port=4321"},
		{"two hosts", "a,b", false, true, " hostaddr=127.0.0.1,127.0.0.1 port=4321,4321"},
		{"the first refuses", "a,b", true, true, " hostaddr=127.0.0.1,127.0.0.1 port=D,4321"},
		{"by name look-up", "a,b", false, false, ""},
		{"by name look-up, the first refuses", "a,b", true, false, ""},
	} {
		p := &Prepared{Attempt: &Attempt{Options: []Option{{Name: "host", Value: test.hosts}}, Dead: test.dead}, Targets: Targets{Relay: relay}}
		p.Given = p.Options
		release, err := p.resolve(test.hostaddr)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(p.Targets.Dead)
		if got, want := Conninfo(p.Given, true), "host="+test.hosts+strings.Replace(test.given, "D", port, 1); got != want {
			t.Errorf("%s: given %q, want %q", test.name, got, want)
		}
		if p.Relay != relay || (p.Targets.Dead != "") != test.dead || (p.DeadHost == "a") != test.dead {
			t.Errorf("%s: %+v", test.name, p.Targets)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}
}

func TestPeersBelongToTheAttempt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var d dialLog
	before := time.Now().UnixMilli()
	dial, err := d.dialer(listener.Addr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.TCPAddr).Port
	peers, err := d.peers([]wire.Record{{}, {ServerPort: port}})
	if err != nil || len(peers) != 1 || peers[0].Port != port || peers[0].Address != "127.0.0.1" || peers[0].Since < before {
		t.Errorf("got %v, %v", peers, err)
	}
	if peers, err := d.peers([]wire.Record{{ServerPort: port + 1}}); err == nil {
		t.Errorf("a record of another attempt's connection gave %v", peers)
	}
}

func TestDialsFromAnAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var d dialLog
	dial, err := d.dialer(listener.Addr().String(), "127.0.0.77") // all of 127.0.0.0/8 is loopback
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	local := conn.LocalAddr().(*net.TCPAddr)
	if got := accepted.RemoteAddr().String(); got != local.String() || !strings.HasPrefix(got, "127.0.0.77:") {
		t.Errorf("the server sees %s, the client %s", got, local)
	}
	peers, err := d.peers([]wire.Record{{ServerPort: local.Port}})
	if err != nil || len(peers) != 1 || peers[0].Address != "127.0.0.77" {
		t.Errorf("got %v, %v", peers, err)
	}
	if _, err := d.dialer(listener.Addr().String(), "somewhere"); err == nil {
		t.Error("no error for an address that is none")
	}
	// An address of another host (RFC 5737) is never replaced by one that the host has.
	if dial, err = d.dialer(listener.Addr().String(), "192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	if conn, err := dial(context.Background()); err == nil {
		t.Errorf("a connection from %s", conn.LocalAddr())
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	for _, text := range []string{"first", "second, longer", ""} {
		if err := write(Write{Path: path, Data: []byte(text), Mode: 0o640, UID: os.Getuid(), GID: os.Getgid()}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(content) != text || info.Mode() != 0o640 {
			t.Errorf("got %q, %v, %v", content, info.Mode(), errors.Join(err, statErr))
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left beside the file: %v", left)
	}
	if err := write(Write{Path: filepath.Dir(path), Data: []byte("x")}); err == nil {
		t.Error("a directory was replaced by a file")
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // FIPS 180-4 of no bytes
	if sums, err := digests([]string{path, path + "-missing"}); err != nil || !slices.Equal(sums, []string{empty, ""}) {
		t.Errorf("digests %q, %v", sums, err)
	}
	if sums, err := digests([]string{filepath.Dir(path)}); err == nil {
		t.Errorf("digest of a directory: %q", sums)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"kept", "file", "d/e/file", "d/kept"} {
		if err := write(Write{Path: filepath.Join(dir, path), Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}); err != nil {
			t.Fatal(err)
		}
	}
	other := t.TempDir()
	if err := write(Write{Path: filepath.Join(other, "file"), Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := remove(Remove{Dir: dir, Keep: []string{"kept", "none"}}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "kept" {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(other, "file")); err != nil {
		t.Errorf("what a link names is gone: %v", err)
	}
	if err := remove(Remove{Dir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestRun(t *testing.T) {
	r, err := run(t.Context(), Run{Argv: []string{"sh", "-c", `cat; echo "$A" >&2; exit 3`}, Env: map[string]string{"A": "of the environment"}, Stdin: []byte("given")})
	if err != nil || r.Exit != 3 || string(r.Stdout) != "given" || string(r.Stderr) != "of the environment\n" {
		t.Errorf("got %+v, %v", r, err)
	}
	began := time.Now()
	_, err = run(t.Context(), Run{Argv: []string{"sh", "-c", "echo last words >&2; sleep 60 & sleep 60"}, Timeout: 1})
	if err == nil || !strings.Contains(err.Error(), "killed after 1s") || !strings.Contains(err.Error(), "last words") || time.Since(began) > 10*time.Second {
		t.Errorf("a program that hangs: %v after %v", err, time.Since(began))
	}
	for _, argv := range [][]string{nil, {"/nonexistent/program"}, {"sh", "-c", "kill -9 $$"}} {
		if r, err := run(t.Context(), Run{Argv: argv}); err == nil {
			t.Errorf("%v: got %+v, want a fault", argv, r)
		}
	}
}
