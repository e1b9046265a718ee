package agent

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// Engine is what Start needs of a container engine. *client.Client of moby has it, and so has testcontainers-go's
// DockerClient.
type Engine interface {
	ServerVersion(ctx context.Context, options client.ServerVersionOptions) (client.ServerVersionResult, error)
	CopyToContainer(ctx context.Context, containerID string, options client.CopyToContainerOptions) (client.CopyToContainerResult, error)
	ExecCreate(ctx context.Context, containerID string, options client.ExecCreateOptions) (client.ExecCreateResult, error)
	ExecAttach(ctx context.Context, execID string, options client.ExecAttachOptions) (client.ExecAttachResult, error)
	ExecInspect(ctx context.Context, execID string, options client.ExecInspectOptions) (client.ExecInspectResult, error)
}

// Where the agent is put in a container. A container's /usr/local/bin must not be a tmpfs: the engine cannot copy there.
const (
	containerDir  = "/usr/local/bin"
	containerPath = containerDir + "/" + binaryName
)

// Program is the agent for a person in a container, where it is on the PATH.
const Program = binaryName

// Conn is the harness's end of the agent in one container. Its methods may be called concurrently. Once the agent is
// gone every pending and later call fails with the cause; a Conn is never mended.
type Conn struct {
	container string
	hijacked  client.HijackedResponse
	exit      func() string // how the agent's process ended, for the cause

	write  sync.Mutex // one request line at a time
	stderr process.Words

	mu      sync.Mutex
	nextID  uint64
	pending map[uint64]chan Response
	cause   error         // why nothing more can be asked; nil while the agent lives
	done    chan struct{} // closed once cause is set
	hello   chan string   // the version of the agent's first line
}

// Start copies the agent's executable into a running container, starts it there as root by one exec whose standard
// input and output stay attached, and waits for its first line. The agent ends when ctx's caller closes the Conn or dies.
func Start(ctx context.Context, cli Engine, containerID string) (*Conn, error) {
	return start(ctx, cli, containerID, containerPath, "serve")
}

// StartToStay is Start, but the agent lives as long as its container: what it does there by itself, as name server, it goes on doing.
func StartToStay(ctx context.Context, cli Engine, containerID string) (*Conn, error) {
	return start(ctx, cli, containerID, "sh", "-c", "{ cat; exec sleep infinity; } | "+containerPath+" serve")
}

func start(ctx context.Context, cli Engine, containerID string, argv ...string) (*Conn, error) {
	server, err := cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, fmt.Errorf("agent: the container engine does not answer: %w", err)
	}
	archive, err := binaryArchive(ctx, server.Arch)
	if err != nil {
		return nil, err
	}
	_, err = cli.CopyToContainer(ctx, containerID, client.CopyToContainerOptions{DestinationPath: containerDir, Content: bytes.NewReader(archive)})
	if err != nil {
		return nil, fmt.Errorf("agent: copy to %s in container %s: %w", containerPath, short(containerID), err)
	}
	created, err := cli.ExecCreate(ctx, containerID, client.ExecCreateOptions{
		User: "0:0", AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: argv,
	})
	if err != nil {
		return nil, fmt.Errorf("agent: exec in container %s: %w", short(containerID), err)
	}
	attached, err := cli.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("agent: attach to exec in container %s: %w", short(containerID), err)
	}
	c := newConn(short(containerID), attached.HijackedResponse, func() string {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		state, err := cli.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
		switch {
		case errdefs.IsNotFound(err), errdefs.IsConflict(err): // removed, stopped
			return "its container is gone: " + err.Error()
		case err != nil:
			return "the container engine does not answer: " + err.Error()
		case state.Running:
			return "it runs, but the container engine has ended the connection to it"
		}
		return fmt.Sprintf("it ended with exit status %d", state.ExitCode)
	})
	select {
	case version := <-c.hello:
		if version != Version() {
			c.abandon()
			return nil, fmt.Errorf("agent: %s in container %s was built from sources %s, this program from %s: build both together (make build)", binaryName, short(containerID), version, Version())
		}
		return c, nil
	case <-c.done:
		return nil, c.cause
	case <-ctx.Done():
		c.abandon()
		return nil, fmt.Errorf("agent: no first line from container %s: %w", short(containerID), context.Cause(ctx))
	}
}

func newConn(container string, hijacked client.HijackedResponse, exit func() string) *Conn {
	c := &Conn{container: container, hijacked: hijacked, exit: exit,
		pending: map[uint64]chan Response{}, done: make(chan struct{}), hello: make(chan string, 1)}
	go c.read()
	return c
}

// Attempt makes one connection attempt. An error is a fault of the harness, never a refusal by the server.
func (c *Conn) Attempt(ctx context.Context, a Attempt) (AttemptResult, error) {
	response, err := c.call(ctx, Request{Attempt: &a})
	if err != nil {
		return AttemptResult{}, err
	}
	if response.Attempt == nil {
		return AttemptResult{}, c.wrongAnswer("attempt")
	}
	if response.Attempt.Token != a.Token {
		return AttemptResult{}, fmt.Errorf("agent in %s: asked for attempt %q, the answer is that of %q", c.container, a.Token, response.Attempt.Token)
	}
	return *response.Attempt, nil
}

// Write creates or replaces files, in order.
func (c *Conn) Write(ctx context.Context, files ...Write) error {
	_, err := c.call(ctx, Request{Write: files})
	return err
}

// Remove removes what is in a directory.
func (c *Conn) Remove(ctx context.Context, r Remove) error {
	_, err := c.call(ctx, Request{Remove: &r})
	return err
}

// Digests are SHA-256 of files, in hexadecimal; "" for one that does not exist.
func (c *Conn) Digests(ctx context.Context, paths ...string) ([]string, error) {
	response, err := c.call(ctx, Request{Digest: paths})
	if err == nil && len(response.Digests) != len(paths) {
		err = fmt.Errorf("agent in %s: digests of %d files were asked for, %d are in the answer", c.container, len(paths), len(response.Digests))
	}
	return response.Digests, err
}

// Run executes a program. A non-zero exit status is a result, not an error.
func (c *Conn) Run(ctx context.Context, r Run) (RunResult, error) {
	response, err := c.call(ctx, Request{Run: &r})
	if err != nil {
		return RunResult{}, err
	}
	if response.Run == nil {
		return RunResult{}, c.wrongAnswer("run")
	}
	return *response.Run, nil
}

// SQL runs statements on the admin session. One that the server refuses is a result, not an error.
func (c *Conn) SQL(ctx context.Context, s SQL) (SQLResult, error) {
	response, err := c.call(ctx, Request{SQL: &s})
	if err != nil {
		return SQLResult{}, err
	}
	if response.SQL == nil {
		return SQLResult{}, c.wrongAnswer("sql")
	}
	return *response.SQL, nil
}

// Follow starts reading the server's log.
func (c *Conn) Follow(ctx context.Context, f Follow) error {
	_, err := c.call(ctx, Request{Follow: &f})
	return err
}

// Collect waits for log lines and takes them. Each of the peers asked for is answered by its own connection, or it is an
// error.
func (c *Conn) Collect(ctx context.Context, what Collect) (CollectResult, error) {
	response, err := c.call(ctx, Request{Collect: &what})
	if err != nil {
		return CollectResult{}, err
	}
	if response.Collect == nil {
		return CollectResult{}, c.wrongAnswer("collect")
	}
	connections := response.Collect.Connections
	if len(connections) < len(what.Peers) {
		return CollectResult{}, fmt.Errorf("agent in %s: %d connections of the log were asked for, %d are in the answer", c.container, len(what.Peers), len(connections))
	}
	for i, peer := range what.Peers {
		if connections[i].Port != peer.Port {
			return CollectResult{}, fmt.Errorf("agent in %s: asked for the log of port %d, the answer is that of port %d", c.container, peer.Port, connections[i].Port)
		}
	}
	return *response.Collect, nil
}

// Health asks whether credential caches and KDCs are as they must be. What is not is a result, not an error.
func (c *Conn) Health(ctx context.Context, h Health) (HealthResult, error) {
	response, err := c.call(ctx, Request{Health: &h})
	if err != nil {
		return HealthResult{}, err
	}
	if response.Health == nil {
		return HealthResult{}, c.wrongAnswer("health")
	}
	return *response.Health, nil
}

// Network gives the container further addresses and routes.
func (c *Conn) Network(ctx context.Context, n Network) error {
	_, err := c.call(ctx, Request{Network: &n})
	return err
}

// Resolve makes the agent the container's name server.
func (c *Conn) Resolve(ctx context.Context, r Resolve) error {
	_, err := c.call(ctx, Request{Resolve: &r})
	return err
}

// Ident says what the agent answers as the Ident server of its container.
func (c *Conn) Ident(ctx context.Context, i Ident) error {
	_, err := c.call(ctx, Request{Ident: &i})
	return err
}

// Knock opens connections, and gives the SQLSTATE with which the server refused each; "" for one that it let in.
func (c *Conn) Knock(ctx context.Context, all ...Knock) ([]string, error) {
	response, err := c.call(ctx, Request{Knock: all})
	if err == nil && len(response.Knocked) != len(all) {
		err = fmt.Errorf("agent in %s: %d connections were asked for, %d are in the answer", c.container, len(all), len(response.Knocked))
	}
	return response.Knocked, err
}

// Close ends the agent and everything it started. It does not remove the executable.
func (c *Conn) Close() error {
	_ = c.fail(errors.New("closed"))
	c.write.Lock()
	err := c.hijacked.CloseWrite()
	c.write.Unlock()
	c.hijacked.Close()
	return err
}

func (c *Conn) abandon() { _ = c.Close() }

func (c *Conn) wrongAnswer(kind string) error {
	return fmt.Errorf("agent in %s: the answer to a %s request holds no %s result", c.container, kind, kind)
}

// call sends one request and waits for its answer.
func (c *Conn) call(ctx context.Context, request Request) (Response, error) {
	answer := make(chan Response, 1)
	c.mu.Lock()
	if c.cause != nil {
		defer c.mu.Unlock()
		return Response{}, c.cause
	}
	c.nextID++
	request.ID = c.nextID
	c.pending[request.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if _, waiting := c.pending[request.ID]; waiting {
			c.pending[request.ID] = nil // an answer that comes too late is expected, and dropped
		}
		c.mu.Unlock()
	}()

	line, err := json.Marshal(request)
	if err != nil {
		return Response{}, fmt.Errorf("agent in %s: encode request: %w", c.container, err)
	}
	c.write.Lock()
	_, err = c.hijacked.Conn.Write(append(line, '\n'))
	c.write.Unlock()
	if err != nil {
		return Response{}, c.fail(fmt.Errorf("agent in %s: the connection to it, which the container engine carries, is lost: %w", c.container, err))
	}
	select {
	case response := <-answer:
		if response.Fault != "" {
			return Response{}, fmt.Errorf("agent in %s: %s", c.container, response.Fault)
		}
		return response, nil
	case <-c.done:
		return Response{}, c.cause
	case <-ctx.Done():
		return Response{}, fmt.Errorf("agent in %s: no answer: %w", c.container, context.Cause(ctx))
	}
}

// fail sets the cause once and wakes every caller; it returns the first cause.
func (c *Conn) fail(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
		close(c.done)
	}
	return c.cause
}

// read takes the agent's output apart until it ends.
func (c *Conn) read() {
	lines := &lineWriter{line: c.deliver}
	_, err := stdcopy.StdCopy(lines, &c.stderr, bufio.NewReaderSize(c.hijacked.Reader, 64<<10))
	c.mu.Lock()
	already := c.cause
	c.mu.Unlock()
	if already != nil {
		return
	}
	how := c.exit()
	if err != nil && !errors.Is(err, io.EOF) {
		how += "; " + err.Error()
	}
	if text := c.stderr.String(); text != "" {
		how += "; its last words: " + text
	}
	_ = c.fail(fmt.Errorf("agent in %s: %s", c.container, how))
}

// deliver hands one line of the agent's output to the call that waits for it. A line that nobody can be waiting for
// makes the whole connection unusable: answers may have been mixed up.
func (c *Conn) deliver(line []byte) error {
	var response Response
	if err := json.Unmarshal(line, &response); err != nil {
		return c.fail(fmt.Errorf("agent in %s: not a response: %w", c.container, err))
	}
	if response.ID == 0 {
		select {
		case c.hello <- response.Version:
			return nil
		default:
			return c.fail(fmt.Errorf("agent in %s: a second first line", c.container))
		}
	}
	c.mu.Lock()
	answer, asked := c.pending[response.ID]
	delete(c.pending, response.ID)
	c.mu.Unlock()
	if !asked {
		return c.fail(fmt.Errorf("agent in %s: an answer to request %d, which is not open", c.container, response.ID))
	}
	if answer != nil {
		answer <- response
	}
	return nil
}

// lineWriter cuts what is written to it into lines.
type lineWriter struct {
	line func([]byte) error
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	written := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.rest = append(w.rest, p...)
			return written, nil
		}
		line := p[:end]
		if len(w.rest) > 0 {
			line = append(w.rest, line...)
			w.rest = w.rest[:0]
		}
		if err := w.line(line); err != nil {
			return 0, err
		}
		p = p[end+1:]
	}
}

var archives struct {
	sync.Mutex
	byArch map[string][]byte
}

// binaryArchive is the executable as the tar archive that the engine's copy wants, read once per process.
func binaryArchive(ctx context.Context, arch string) ([]byte, error) {
	archives.Lock()
	defer archives.Unlock()
	if archive, ok := archives.byArch[arch]; ok {
		return archive, nil
	}
	path, err := binaryFor(ctx, arch)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	var archive bytes.Buffer
	archive.Grow(len(content) + 4096)
	w := tar.NewWriter(&archive)
	err = errors.Join(
		w.WriteHeader(&tar.Header{Name: binaryName, Mode: 0o755, Size: int64(len(content))}),
		func() error { _, err := w.Write(content); return err }(),
		w.Close())
	if err != nil {
		return nil, fmt.Errorf("agent: pack %s: %w", path, err)
	}
	if archives.byArch == nil {
		archives.byArch = map[string][]byte{}
	}
	archives.byArch[arch] = archive.Bytes()
	return archive.Bytes(), nil
}

func short(containerID string) string {
	if len(containerID) > 12 {
		return containerID[:12]
	}
	return containerID
}
