package pgimages

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	enginenetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Places in the containers. The server reads the three files of ConfDir; what an image has there lets user postgres in
// over the unix-domain socket and nobody else. A caller that replaces them reloads the server.
const (
	ConfDir    = matrix.ConfDir         // server: postgresql.conf, pg_hba.conf, pg_ident.conf
	SocketDir  = "/pgam/sock"           // server and client: unix_socket_directories; shared where StartSpec.Socket is the same
	LogFile    = "/pgam/log/server.log" // server: everything that the server and its children print
	DataDir    = "/pgam/data"           // server; on tmpfs, and made anew whenever the container starts
	KDCLogFile = "/pgam/kdc.log"        // KDC: requests and answers
	KRB5Conf   = "/pgam/krb5.conf"      // server and KDC: KRB5_CONFIG of their processes; not there until written
	UID, GID   = 999, 999               // of postgres, in every image; the server runs as it
)

// StartSpec is a container wanted.
//
// A server's container starts PostgreSQL with Args after its own arguments (config_file, hba_file, ident_file,
// unix_socket_directories, listen_addresses = *, port 5432) and is ready when a session over the socket was let in. The container
// outlives the server: see Restart. A client's or a KDC's container does nothing until it is told by exec.
type StartSpec struct {
	Image    string // Image.Tag
	RunID    string // required: goes into the labels by which Sweep knows which run the container belongs to
	Name     string // container name; empty: the engine chooses
	Network  *Network
	Joined   string            // ID of a running container on Network whose interfaces and name it has, too; Hostname and Aliases are then not its own
	NetAdmin bool              // its processes may change its interfaces
	Hostname string            // fully qualified; also an alias on the network
	Aliases  []string          // further names on the network
	Args     []string          // of postgres, e.g. -c, ssl=on; a server that is restarted gets them again: no $ ` " \ in them
	Env      map[string]string // further environment
	Publish  []uint16          // TCP ports that the engine's host reaches, see Published; not of one that is Joined
	Timeout  time.Duration     // until it has to be ready; default 3 min
}

// Running is a started container.
type Running struct {
	ID      string
	Addr    netip.Addr // on the network of StartSpec; not valid if Joined
	Started time.Duration

	cli *client.Client
}

// Start starts a container and waits until it is ready. The error of one that did not get ready has the end of its
// log; the container is then removed.
func Start(ctx context.Context, spec StartSpec) (*Running, error) {
	began := time.Now()
	if spec.RunID == "" || spec.Network == nil {
		return nil, errors.New("a container needs a RunID and a Network")
	}
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	labels, err := Labels(spec.RunID)
	if err != nil {
		return nil, err
	}
	if spec.Timeout == 0 {
		spec.Timeout = 3 * time.Minute
	}
	aliases := spec.Aliases
	if spec.Hostname != "" {
		aliases = append([]string{spec.Hostname}, aliases...)
	}
	labels[labelNetwork] = spec.Network.Name
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(spec.Args...),
		testcontainers.WithEnv(spec.Env),
		testcontainers.WithLabels(labels),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.Init = new(true)
			if spec.NetAdmin {
				h.CapAdd = append(h.CapAdd, "NET_ADMIN")
			}
			h.NetworkMode = container.NetworkMode(spec.Network.Name)
			if spec.Joined != "" {
				h.NetworkMode = container.NetworkMode("container:" + spec.Joined)
			}
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Source: spec.Network.socket, Target: SocketDir, VolumeOptions: &mount.VolumeOptions{Labels: labels}})
			// What makes many small files must not do so on the image's storage driver: attempts, and the server (30 MB).
			h.Tmpfs = map[string]string{"/tmp": "exec,mode=1777", DataDir: "mode=0700"}
		}),
	}
	if spec.Joined == "" {
		options = append(options, network.WithNetworkName(aliases, spec.Network.Name),
			testcontainers.WithConfigModifier(func(c *container.Config) { c.Hostname = spec.Hostname }))
	}
	if spec.Name != "" {
		options = append(options, testcontainers.WithName(spec.Name))
	}
	if len(spec.Publish) > 0 {
		options = append(options, testcontainers.CustomizeRequestOption(func(r *testcontainers.GenericContainerRequest) error {
			Publish(r, spec.Publish...)
			return nil
		}))
	}
	c, err := testcontainers.Run(ctx, spec.Image, options...)
	r := &Running{cli: cli}
	if c != nil {
		r.ID = c.GetContainerID()
	}
	if err == nil {
		err = r.ready(ctx, spec.Timeout)
	}
	if err == nil && spec.Joined == "" {
		r.Addr, err = r.address(ctx, spec.Network)
	}
	if err != nil {
		if r.ID != "" {
			err = errors.Join(err, r.Remove(context.WithoutCancel(ctx)))
		}
		return nil, fmt.Errorf("%s did not start: %w", strings.TrimSpace(spec.Image+" "+spec.Hostname), err)
	}
	r.Started = time.Since(began)
	return r, nil
}

// ready follows the container's output until its entrypoint says that it is.
func (r *Running) ready(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	logs, err := r.cli.ContainerLogs(ctx, r.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	out, in := io.Pipe()
	defer func() { _ = out.Close() }()
	go func() {
		_, err := stdcopy.StdCopy(in, in, logs)
		_ = in.CloseWithError(err)
	}()
	var said []string
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		if scanner.Text() == "ready" {
			return nil
		}
		said = append(said, scanner.Text())
	}
	if ctx.Err() != nil {
		return fmt.Errorf("not ready within %s: %s", timeout, strings.Join(said, "\n"))
	}
	return fmt.Errorf("it ended: %s", strings.Join(said, "\n"))
}

func (r *Running) address(ctx context.Context, n *Network) (netip.Addr, error) {
	found, err := r.cli.ContainerInspect(ctx, r.ID, client.ContainerInspectOptions{})
	if err != nil {
		return netip.Addr{}, err
	}
	if found.Container.NetworkSettings != nil {
		if e := found.Container.NetworkSettings.Networks[n.Name]; e != nil && e.IPAddress.IsValid() {
			return e.IPAddress, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("it has no address on network %s", n.Name)
}

// Exec runs a program as root and waits for it. A non-zero exit status is no error.
func (r *Running) Exec(ctx context.Context, stdin []byte, argv ...string) (exit int, stdout, stderr []byte, err error) {
	x, err := r.cli.ExecCreate(ctx, r.ID, client.ExecCreateOptions{Cmd: argv, AttachStdin: stdin != nil, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, nil, nil, err
	}
	a, err := r.cli.ExecAttach(ctx, x.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, nil, nil, err
	}
	defer a.Close()
	stop := context.AfterFunc(ctx, a.Close)
	defer stop()
	if stdin != nil {
		if _, err := a.Conn.Write(stdin); err != nil {
			return 0, nil, nil, err
		}
		if err := a.CloseWrite(); err != nil {
			return 0, nil, nil, err
		}
	}
	var o, e bytes.Buffer
	if _, err := stdcopy.StdCopy(&o, &e, a.Reader); err != nil {
		return 0, nil, nil, errors.Join(ctx.Err(), err)
	}
	for { // the output can end a moment before the engine has noted the process's end
		found, err := r.cli.ExecInspect(ctx, x.ID, client.ExecInspectOptions{})
		if err != nil {
			return 0, nil, nil, err
		}
		if !found.Running {
			return found.ExitCode, o.Bytes(), e.Bytes(), nil
		}
		select {
		case <-ctx.Done():
			return 0, nil, nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Attach is a container that is there already; of its Running nothing but the ID is known.
func Attach(ctx context.Context, id string) (*Running, error) {
	cli, err := Engine(ctx)
	return &Running{ID: id, cli: cli}, err
}

// Pipe runs a program as root whose standard input and output are the caller's. Closing it ends both; what the program writes to
// standard error is dropped.
func (r *Running) Pipe(ctx context.Context, argv ...string) (io.ReadWriteCloser, error) {
	x, err := r.cli.ExecCreate(ctx, r.ID, client.ExecCreateOptions{Cmd: argv, AttachStdin: true, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, err
	}
	a, err := r.cli.ExecAttach(ctx, x.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, io.Discard, a.Reader)
		_ = in.CloseWithError(err)
	}()
	return &pipe{Reader: out, Writer: a.Conn, close: a.Close}, nil
}

// pipe is an attached exec.
type pipe struct {
	io.Reader
	io.Writer
	close func()
}

func (p *pipe) Close() error {
	p.close()
	return nil
}

// RestartArgv restarts the server of a container, as root in it: pg_ctl gives postgres the arguments it had. It exits with a
// status other than 0 if the server does not come back; the log says why, and the container stays.
var RestartArgv = []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
	"pg_ctl", "restart", "--pgdata=" + DataDir, "--mode=fast", "--wait", "--timeout=120", "--log=" + LogFile}

// StatusArgv asks whether the server of a container runs, as root in it; the exit status is StatusDown if none does.
var StatusArgv = []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "pg_ctl", "status", "--pgdata=" + DataDir}

// StatusDown is the exit status of pg_ctl that means that no server runs (PostgreSQL manual, "pg_ctl").
const StatusDown = 3

// Restart restarts the server.
func (r *Running) Restart(ctx context.Context) error {
	exit, stdout, stderr, err := r.Exec(ctx, nil, RestartArgv...)
	if err == nil && exit != 0 {
		err = fmt.Errorf("the server did not restart: %s %s", stdout, stderr)
	}
	return err
}

// Logs is what the container's main process printed: of a server, only why it did not start. See LogFile for the rest.
func (r *Running) Logs(ctx context.Context) (string, error) {
	logs, err := r.cli.ContainerLogs(ctx, r.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = logs.Close() }()
	var b bytes.Buffer
	_, err = stdcopy.StdCopy(&b, &b, logs)
	return b.String(), err
}

// Remove kills and removes the container with its own volumes. One that is gone already is no error.
func (r *Running) Remove(ctx context.Context) error {
	_, err := r.cli.ContainerRemove(ctx, r.ID, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Network is a bridge network with the volume that its containers share at SocketDir.
type Network struct {
	Name string // also its name for the engine

	id, socket string
	cli        *client.Client
}

// NewNetwork makes a network, labelled as the run's.
func NewNetwork(ctx context.Context, runID string) (*Network, error) {
	return newNetwork(ctx, runID)
}

// NewNetworkIPv6 is NewNetwork with IPv6 besides IPv4. The engine gives out addresses of a prefix that is chosen by chance (RFC 4193).
func NewNetworkIPv6(ctx context.Context, runID string) (*Network, error) {
	prefix := [16]byte{0xfd}
	_, _ = rand.Read(prefix[1:8]) // never fails (crypto/rand)
	unique := enginenetwork.IPAMConfig{Subnet: netip.PrefixFrom(netip.AddrFrom16(prefix), 64)}
	return newNetwork(ctx, runID, network.WithEnableIPv6(), network.WithIPAM(&enginenetwork.IPAM{Config: []enginenetwork.IPAMConfig{unique}}))
}

func newNetwork(ctx context.Context, runID string, customize ...network.NetworkCustomizer) (*Network, error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	labels, err := Labels(runID)
	if err != nil {
		return nil, err
	}
	n, err := network.New(ctx, append(customize, network.WithLabels(labels))...)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	return &Network{Name: n.Name, id: n.ID, socket: "pgauthmatrix-" + n.Name, cli: cli}, nil
}

// Subnets are the prefixes of the addresses that the engine gives out.
func (n *Network) Subnets(ctx context.Context) (subnets []netip.Prefix, err error) {
	found, err := n.cli.NetworkInspect(ctx, n.id, client.NetworkInspectOptions{})
	if err != nil {
		return nil, err
	}
	for _, c := range found.Network.IPAM.Config {
		subnets = append(subnets, c.Subnet)
	}
	return subnets, nil
}

// Connect puts a container on the network that is not the run's. Removing the network takes it off again.
func (n *Network) Connect(ctx context.Context, container string) error {
	_, err := n.cli.NetworkConnect(ctx, n.id, client.NetworkConnectOptions{Container: container})
	return err
}

// Containers are the containers on the network, running or not: ID -> name.
func (n *Network) Containers(ctx context.Context) (map[string]string, error) {
	containers := map[string]string{}
	for _, filters := range []client.Filters{
		make(client.Filters).Add("network", n.id).Add("label", labelOurs),
		make(client.Filters).Add("label", labelNetwork+"="+n.Name), // those that join another one's interfaces
	} {
		found, err := n.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
		if err != nil {
			return nil, err
		}
		for _, c := range found.Items {
			containers[c.ID] = strings.TrimPrefix(strings.Join(c.Names, ","), "/")
		}
	}
	return containers, nil
}

// Cut takes every container off the network, as when a switch loses its power.
func (n *Network) Cut(ctx context.Context) error {
	found, err := n.cli.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("network", n.id)})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range found.Items {
		_, err := n.cli.NetworkDisconnect(ctx, n.id, client.NetworkDisconnectOptions{Container: c.ID, Force: true})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Remove removes the network with all the containers on it and the volume they share.
func (n *Network) Remove(ctx context.Context) error {
	found, err := n.Containers(ctx)
	if err != nil {
		return err
	}
	ids := slices.Collect(maps.Keys(found))
	return removeAll(ctx, n.cli, ids, []string{n.id}, []string{n.socket})
}
