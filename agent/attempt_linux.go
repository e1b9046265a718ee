package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

const (
	defaultTimeout = 20 * time.Second
	relayGrace     = 15 * time.Second // for the server's end of a connection whose client has ended
	maxKRB5Trace   = 64 << 10
)

// one attempt as the libraries' own code needs it: everything is resolved, nothing is shared with another attempt.
type prepared struct {
	*Attempt
	targets
	dir     string   // private, also HOME
	env     []string // the whole environment, NAME=VALUE, sorted
	options []Option // as the library is given them
	timeout time.Duration
	redact  *strings.Replacer
}

// targets are where the hosts that an attempt names lead over TCP.
type targets struct {
	Relay    string `json:"relay,omitempty"`     // ADDRESS:PORT, where all but DeadHost lead; empty: unix socket
	Dead     string `json:"dead,omitempty"`      // ADDRESS:PORT that refuses
	DeadHost string `json:"dead_host,omitempty"` // whose name leads there
}

// attempt makes one attempt. An error is a fault of the harness.
func (s *server) attempt(ctx context.Context, a *Attempt) (*AttemptResult, error) {
	started := time.Now()
	p := &prepared{Attempt: a, timeout: time.Duration(a.Timeout) * time.Second, redact: redactor(a.Options)}
	if p.timeout <= 0 {
		p.timeout = defaultTimeout
	}
	result, err := s.attemptIn(ctx, p, started)
	if err != nil {
		return nil, errors.New(p.redact.Replace(fmt.Sprintf("attempt %q: %v", a.Token, err)))
	}
	result.Token, result.Unix = a.Token, a.Server == ""
	result.Started, result.Micros = started.UnixMilli(), time.Since(started).Microseconds()
	given := p.options
	if a.Client == "pgx" {
		given = a.Options // the relay comes in by name look-up
	}
	result.Conninfo = conninfo(given, true)
	Redact(result, p.redact)
	return result, nil
}

func (s *server) attemptIn(ctx context.Context, p *prepared, started time.Time) (result *AttemptResult, err error) {
	if err := checkOptions(p.Attempt); err != nil {
		return nil, err
	}
	if p.dir, err = s.private.make(p.UID); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	if err := p.environment(); err != nil {
		return nil, err
	}
	p.options = p.Options
	var relay *wire.Relay
	var dials dialLog
	if p.Server != "" {
		tamper, err := s.tamper(p)
		if err != nil {
			return nil, err
		}
		relay, err = wire.Listen(ctx, wire.Options{Dial: dials.dialer(p.Server), Start: started, Tamper: tamper})
		if err != nil {
			return nil, err
		}
		defer func() {
			if result == nil { // a fault: nobody wants the records, the connections must end
				ended, cancel := context.WithCancel(ctx)
				cancel()
				relay.Close(ended)
			}
		}()
		p.Relay = relay.Addr().String()
		hosts := strings.Split(optionOf(p.Options, "host"), ",")
		ips, ports := slices.Repeat([]string{relay.Addr().IP.String()}, len(hosts)), slices.Repeat([]string{strconv.Itoa(relay.Addr().Port)}, len(hosts))
		if p.Attempt.Dead {
			port, release, err := refusingPort()
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, release()) }()
			ips[0], ports[0] = "127.0.0.1", strconv.Itoa(port)
			p.DeadHost, p.targets.Dead = hosts[0], net.JoinHostPort(ips[0], ports[0])
		}
		p.options = append(slices.Clone(p.Options),
			Option{Name: "hostaddr", Value: strings.Join(ips, ",")}, Option{Name: "port", Value: strings.Join(ports, ",")})
	}
	switch p.Client {
	case "libpq":
		result, err = s.libpq.attempt(ctx, p)
	case "psql":
		result, err = psqlAttempt(ctx, p)
	case "pgx":
		result, err = s.pgx.attempt(ctx, p, conninfo(p.Options, false))
	case "pq":
		result, err = s.pq.attempt(ctx, p, conninfo(p.options, false))
	case "raw":
		result, err = rawAttempt(ctx, p)
	default:
		err = fmt.Errorf("no client %q: want libpq, psql, pgx, pq or raw", p.Client)
	}
	if err != nil {
		return nil, err
	}
	if relay != nil {
		closing, cancel := context.WithTimeout(ctx, relayGrace)
		result.Records = relay.Close(closing)
		cancel()
		if result.Peers, err = dials.peers(result.Records); err != nil {
			return nil, err
		}
	}
	trace, err := readTail(filepath.Join(p.dir, "krb5.trace"), maxKRB5Trace)
	if err != nil {
		return nil, err
	}
	result.KRB5Trace = trace
	return result, nil
}

// refusingPort is a port of 127.0.0.1 that surely refuses connections until it is released: it is bound, so that nobody
// else can listen there, and nobody listens.
func refusingPort() (port int, release func() error, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("a port that refuses: %w", err)
	}
	release = func() error { return syscall.Close(fd) }
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	var address syscall.Sockaddr
	if err == nil {
		address, err = syscall.Getsockname(fd)
	}
	if err != nil {
		return 0, nil, errors.Join(fmt.Errorf("a port that refuses: %w", err), release())
	}
	return address.(*syscall.SockaddrInet4).Port, release, nil
}

// optionOf is the value of an option, the last one that is given.
func optionOf(options []Option, name string) (value string) {
	for _, o := range options {
		if o.Name == name {
			value = o.Value
		}
	}
	return value
}

func checkOptions(a *Attempt) error {
	for _, o := range a.Options {
		switch {
		case o.Name == "" || strings.ContainsRune(o.Name+o.Value, 0):
			return fmt.Errorf("option %q has no name or holds a NUL", o.Name)
		case o.Name == "hostaddr" || o.Name == "port" && a.Server != "":
			return fmt.Errorf("option %s is the agent's: it names the relay", o.Name)
		case o.File:
			if info, err := os.Stat(o.Value); err != nil {
				return fmt.Errorf("option %s: %w", o.Name, err)
			} else if info.Size() == 0 {
				return fmt.Errorf("option %s: %s is empty", o.Name, o.Value)
			}
		}
	}
	host := optionOf(a.Options, "host")
	switch {
	case host == "":
		return errors.New("option host is missing")
	case a.Server == "" && !strings.HasPrefix(host, "/"):
		return fmt.Errorf("no server address, and host=%s is no directory of a unix socket", host)
	case a.Server != "" && strings.HasPrefix(host, "/"):
		return fmt.Errorf("host=%s is a unix socket: there is no relay to %s", host, a.Server)
	case a.Dead && (a.Server == "" || !strings.Contains(host, ",")):
		return fmt.Errorf("of host=%s the first is to refuse: that takes two, over TCP", host)
	case a.Default && a.CCache == "":
		return errors.New("the default credential cache is wanted, and there is none")
	}
	return nil
}

// environment makes the attempt's files and the environment that names them.
func (p *prepared) environment() error {
	env := map[string]string{
		"PATH": commandPath, "LC_ALL": "C",
		"PGSYSCONFDIR":  filepath.Join(p.dir, "none"),
		"PGSERVICEFILE": filepath.Join(p.dir, "none", "pg_service.conf"),
		"PGPASSFILE":    filepath.Join(p.dir, "none", "pgpass"),
	}
	maps.Copy(env, p.Env)
	for _, own := range []string{"HOME", "KRB5CCNAME", "KRB5_TRACE"} {
		if _, ok := p.Env[own]; ok {
			return fmt.Errorf("environment variable %s is the agent's", own)
		}
	}
	env["HOME"] = p.dir
	env["KRB5_TRACE"] = filepath.Join(p.dir, "krb5.trace")
	// Never an empty file: libpq with MIT krb5 1.20 crashes on one (krb5_cccol_have_content).
	env["KRB5CCNAME"] = "FILE:" + filepath.Join(p.dir, "no-ccache")
	if p.CCache != "" {
		ccache := filepath.Join(p.dir, "ccache")
		if err := copyFile(ccache, p.CCache, p.UID); err != nil {
			return fmt.Errorf("credential cache: %w", err)
		}
		env["KRB5CCNAME"] = "FILE:" + ccache
		if p.Default {
			delete(env, "KRB5CCNAME")
			if err := p.defaultCCache(env, ccache); err != nil {
				return fmt.Errorf("default credential cache: %w", err)
			}
		}
	}
	for name, from := range p.Home {
		if err := p.furnishHome(name, from); err != nil {
			return fmt.Errorf("home directory: %w", err)
		}
	}
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return fmt.Errorf("environment variable %q cannot be set", name)
		}
		p.env = append(p.env, name+"="+value)
	}
	slices.Sort(p.env)
	return nil
}

// defaultCCache gives the attempt a krb5.conf of its own, which names its default cache: attempts share an
// operating-system user, and with it /tmp/krb5cc_UID.
func (p *prepared) defaultCCache(env map[string]string, ccache string) error {
	content, err := os.ReadFile(env["KRB5_CONFIG"])
	if err != nil {
		return err
	}
	const section = "[libdefaults]\n"
	before, after, found := strings.Cut(string(content), section)
	if !found {
		return fmt.Errorf("%s has no [libdefaults]", env["KRB5_CONFIG"])
	}
	env["KRB5_CONFIG"] = filepath.Join(p.dir, "krb5.conf")
	return writeFile(env["KRB5_CONFIG"], []byte(before+section+"  default_ccache_name = FILE:"+ccache+"\n"+after), p.UID)
}

// furnishHome puts a copy of a file into the home directory.
func (p *prepared) furnishHome(name, from string) error {
	to := filepath.Join(p.dir, name)
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%s is not in it", name)
	}
	dir := filepath.Dir(to)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if p.UID != 0 {
		if err := os.Chown(dir, p.UID, -1); err != nil {
			return err
		}
	}
	return copyFile(to, from, p.UID)
}

func copyFile(to, from string, uid int) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if len(content) == 0 {
		return fmt.Errorf("%s is empty", from)
	}
	return writeFile(to, content, uid)
}

func writeFile(to string, content []byte, uid int) error {
	if err := os.WriteFile(to, content, 0o600); err != nil {
		return err
	}
	if uid != 0 {
		return os.Chown(to, uid, -1)
	}
	return nil
}

// readTail reads the end of a file; a missing one is empty.
func readTail(path string, most int64) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	begin := max(info.Size()-most, 0)
	content, err := io.ReadAll(io.NewSectionReader(file, begin, info.Size()-begin))
	if begin > 0 {
		return "…" + string(content), err
	}
	return string(content), err
}

// dialLog remembers when each connection to the server began to be opened.
type dialLog struct {
	mu    sync.Mutex
	since map[int]Peer // by local port; a later connection from the same port replaces the earlier one
	twice int          // a port that was used twice, 0 if none
}

func (d *dialLog) dialer(server string) func(context.Context) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	return func(ctx context.Context) (net.Conn, error) {
		began := time.Now().UnixMilli()
		conn, err := dialer.DialContext(ctx, "tcp", server)
		if err != nil {
			return nil, err
		}
		local := conn.LocalAddr().(*net.TCPAddr)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.since == nil {
			d.since = map[int]Peer{}
		}
		if _, used := d.since[local.Port]; used {
			d.twice = local.Port
		}
		d.since[local.Port] = Peer{Address: local.IP.String(), Port: local.Port, Since: began}
		return conn, nil
	}
}

// peers pairs records with dials.
func (d *dialLog) peers(records []wire.Record) (peers []Peer, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.twice != 0 {
		return nil, fmt.Errorf("two connections of the attempt left from port %d: the server's log cannot tell them apart", d.twice)
	}
	for _, r := range records {
		if r.ServerPort == 0 {
			continue
		}
		peer, ok := d.since[r.ServerPort]
		if !ok {
			return nil, fmt.Errorf("the relay's record names port %d, which no connection of this attempt left from", r.ServerPort)
		}
		peers = append(peers, peer)
	}
	return peers, nil
}

// privateDirs makes the attempts' directories, in memory where the container has a tmpfs.
type privateDirs struct {
	base string
	err  error
	next atomic.Uint64
}

func newPrivateDirs() *privateDirs {
	d := &privateDirs{}
	parent := os.TempDir()
	for _, candidate := range []string{"/dev/shm", "/run"} {
		var stat syscall.Statfs_t
		const tmpfsMagic = 0x01021994
		if syscall.Statfs(candidate, &stat) == nil && stat.Type == tmpfsMagic {
			parent = candidate
			break
		}
	}
	d.base, d.err = os.MkdirTemp(parent, "pgauthmatrix-")
	if d.err == nil {
		d.err = os.Chmod(d.base, 0o711)
	}
	return d
}

func (d *privateDirs) make(uid int) (string, error) {
	if d.err != nil {
		return "", fmt.Errorf("private directory: %w", d.err)
	}
	dir := filepath.Join(d.base, strconv.FormatUint(d.next.Add(1), 10))
	err := os.Mkdir(dir, 0o700)
	if err == nil && uid != 0 {
		err = os.Chown(dir, uid, -1)
	}
	return dir, err
}

func (d *privateDirs) remove() {
	if d.base != "" {
		_ = os.RemoveAll(d.base)
	}
}
