package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

const (
	defaultTimeout = 20 * time.Second
	relayGrace     = 15 * time.Second // for the server's end of a connection whose client has ended
	maxKRB5Trace   = 64 << 10
)

// attempt makes one attempt. An error is a fault of the harness.
func (s *server) attempt(ctx context.Context, a *Attempt) (*AttemptResult, error) {
	started := time.Now()
	p := &Prepared{Attempt: a, Limit: time.Duration(a.Timeout) * time.Second, redact: redactor(a.Options)}
	if p.Limit <= 0 {
		p.Limit = defaultTimeout
	}
	result, err := s.attemptIn(ctx, p, started)
	if err != nil {
		return nil, errors.New(p.redact.Replace(fmt.Sprintf("attempt %q: %v", a.Token, err)))
	}
	result.Unix = a.Server == ""
	result.Started, result.Micros = started.UnixMilli(), time.Since(started).Microseconds()
	result.Conninfo = Conninfo(p.Given, true)
	Redact(result, p.redact)
	result.Token = a.Token // the harness's own word, in which a password can only be by chance
	return result, nil
}

func (s *server) attemptIn(ctx context.Context, p *Prepared, started time.Time) (result *AttemptResult, err error) {
	if err := checkOptions(p.Attempt); err != nil {
		return nil, err
	}
	if p.Dir, err = s.private.make(p.UID); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.Dir)) }()
	if err := p.environment(); err != nil {
		return nil, err
	}
	p.Given = p.Options
	driver := s.drivers[p.Client]
	if driver == nil {
		return nil, fmt.Errorf("no client %q: want %s", p.Client, strings.Join(slices.Sorted(maps.Keys(s.drivers)), ", "))
	}
	switch {
	case p.Server == "":
		result, err = driver.Attempt(ctx, p)
	case p.Direct:
		result, err = direct(ctx, p, driver)
	default:
		result, err = s.relayed(ctx, p, driver, started)
	}
	if err != nil {
		return nil, err
	}
	result.KRB5Trace, err = process.ReadTail(filepath.Join(p.Dir, "krb5.trace"), maxKRB5Trace)
	return result, err
}

// direct makes an attempt over TCP without a relay.
func direct(ctx context.Context, p *Prepared, driver Driver) (result *AttemptResult, err error) {
	p.Relay = p.Server
	release, err := p.resolve(driver.Hostaddr())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return driver.Attempt(ctx, p)
}

// relayed makes an attempt over TCP, through a relay of its own.
func (s *server) relayed(ctx context.Context, p *Prepared, driver Driver, started time.Time) (result *AttemptResult, err error) {
	tamper, err := s.tamper(p)
	if err != nil {
		return nil, err
	}
	var dials dialLog
	dial, err := dials.dialer(p.Server, p.From)
	if err != nil {
		return nil, err
	}
	relay, err := wire.Listen(ctx, wire.Options{Dial: dial, Start: started, Tamper: tamper})
	if err != nil {
		return nil, err
	}
	defer func() {
		if result == nil { // a fault: the records are not needed, the connections must end
			ended, cancel := context.WithCancel(ctx)
			cancel()
			relay.Close(ended)
		}
	}()
	p.Relay = relay.Addr().String()
	release, err := p.resolve(driver.Hostaddr())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if result, err = driver.Attempt(ctx, p); err != nil {
		return nil, err
	}
	closing, cancel := context.WithTimeout(ctx, relayGrace)
	result.Records = relay.Close(closing)
	cancel()
	result.Peers, err = dials.peers(result.Records)
	return result, err
}

// resolve says where each host of the attempt leads. A host that is to refuse does so until it is released.
func (p *Prepared) resolve(hostaddr bool) (release func() error, err error) {
	release = func() error { return nil }
	ip, port, err := net.SplitHostPort(p.Relay)
	if err != nil {
		return release, err
	}
	hosts := strings.Split(optionOf(p.Options, "host"), ",")
	ips, ports := slices.Repeat([]string{ip}, len(hosts)), slices.Repeat([]string{port}, len(hosts))
	if p.Attempt.Dead {
		refusing, free, err := refusingPort()
		if err != nil {
			return release, err
		}
		release = free
		ips[0], ports[0] = "127.0.0.1", strconv.Itoa(refusing)
		p.DeadHost, p.Targets.Dead = hosts[0], net.JoinHostPort(ips[0], ports[0])
	}
	if hostaddr {
		p.Given = append(slices.Clone(p.Options),
			Option{Name: "hostaddr", Value: strings.Join(ips, ",")}, Option{Name: "port", Value: strings.Join(ports, ",")})
	}
	return release, nil
}

// refusingPort is a port of 127.0.0.1 that refuses connections until it is released: it is bound, so that no other process can
// listen there, and it does not listen itself.
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
	case a.Direct && (a.Server == "" || a.Tamper != nil || a.Raw != nil):
		return errors.New("an attempt without a relay is one of a library, over TCP and without an attack")
	case a.Default && a.CCache == "":
		return errors.New("the default credential cache is wanted, and there is none")
	}
	return nil
}

// environment makes the attempt's files and the environment that names them.
func (p *Prepared) environment() error {
	env := map[string]string{
		"PATH": process.Path, "LC_ALL": "C",
		"PGSYSCONFDIR":  filepath.Join(p.Dir, "none"),
		"PGSERVICEFILE": filepath.Join(p.Dir, "none", "pg_service.conf"),
		"PGPASSFILE":    filepath.Join(p.Dir, "none", "pgpass"),
	}
	maps.Copy(env, p.Env)
	for _, own := range []string{"HOME", "KRB5CCNAME", "KRB5_TRACE"} {
		if _, ok := p.Env[own]; ok {
			return fmt.Errorf("environment variable %s is the agent's", own)
		}
	}
	env["HOME"] = p.Dir
	env["KRB5_TRACE"] = filepath.Join(p.Dir, "krb5.trace")
	// Never an empty file: libpq with MIT krb5 1.20 crashes on one (krb5_cccol_have_content).
	env["KRB5CCNAME"] = "FILE:" + filepath.Join(p.Dir, "no-ccache")
	if p.CCache != "" {
		ccache := filepath.Join(p.Dir, "ccache")
		if err := copyFile(ccache, p.CCache, p.UID); err != nil {
			return fmt.Errorf("credential cache: %w", err)
		}
		env["KRB5CCNAME"] = "FILE:" + ccache
	}
	lines := p.KRB5
	if p.Default { // attempts share an operating-system user, and with it /tmp/krb5cc_UID
		lines = append(slices.Clone(lines), "default_ccache_name = "+env["KRB5CCNAME"])
		delete(env, "KRB5CCNAME")
	}
	if len(lines) > 0 {
		if err := p.ownConfig(env, lines); err != nil {
			return fmt.Errorf("krb5.conf: %w", err)
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
		p.Environ = append(p.Environ, name+"="+value)
	}
	slices.Sort(p.Environ)
	return nil
}

// ownConfig gives the attempt a krb5.conf of its own, with these lines of [libdefaults] before the others: libkrb5 takes the first
// value of a line.
func (p *Prepared) ownConfig(env map[string]string, lines []string) error {
	content, err := os.ReadFile(env["KRB5_CONFIG"])
	if err != nil {
		return err
	}
	const section = "[libdefaults]\n"
	before, after, found := strings.Cut(string(content), section)
	if !found {
		return fmt.Errorf("%s has no [libdefaults]", env["KRB5_CONFIG"])
	}
	env["KRB5_CONFIG"] = filepath.Join(p.Dir, "krb5.conf")
	return writeFile(env["KRB5_CONFIG"], []byte(before+section+"  "+strings.Join(lines, "\n  ")+"\n"+after), p.UID)
}

// furnishHome puts a copy of a file into the home directory.
func (p *Prepared) furnishHome(name, from string) error {
	to := filepath.Join(p.Dir, name)
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

// dialLog remembers when each connection to the server began to be opened.
type dialLog struct {
	mu    sync.Mutex
	since map[int]Peer // by local port; a later connection from the same port replaces the earlier one
	twice int          // a port that was used twice, 0 if none
}

// dialer opens connections to the server from an address of the container; from is empty for the one that the kernel chooses.
func (d *dialLog) dialer(server, from string) (func(context.Context) (net.Conn, error), error) {
	dialer := net.Dialer{KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	if from != "" {
		address, err := netip.ParseAddr(from)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))
		dialer.Control = portLater
	}
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
	}, nil
}

// portLater lets the kernel choose the port when it connects. One that is chosen with the address would have to be free towards every server, and
// the ports of connections that have just ended are not.
func portLater(_, _ string, c syscall.RawConn) error {
	const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT, also of IPv6 sockets
	var set error
	err := c.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	})
	return errors.Join(err, set)
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
