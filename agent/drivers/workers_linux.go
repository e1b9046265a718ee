package drivers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// workerRequest and workerResponse are the lines between the agent and its workers.
type workerRequest struct {
	agent.Targets
	ID       uint64   `json:"id"`
	Conninfo string   `json:"conninfo"`
	Env      []string `json:"env"`
	Query    string   `json:"query"`
	Timeout  int64    `json:"timeout"` // milliseconds
}

type workerResponse struct {
	ID     uint64               `json:"id"`
	Fault  string               `json:"fault,omitempty"`
	Result *agent.AttemptResult `json:"result,omitempty"`
}

// goLibrary is a client library that is written in Go and is part of this program.
type goLibrary struct {
	name     string                                                              // of the driver
	hostaddr bool                                                                // see agent.Driver
	env      []string                                                            // what the library reads when the process starts, NAME=VALUE
	register func()                                                              // gives the library its GSSAPI provider, before the first attempt of a process
	connect  func(context.Context, *workerRequest) (*agent.AttemptResult, error) // makes an attempt; an error is a fault
}

// goLibraries are the libraries that Work knows.
var goLibraries = []goLibrary{pgxLibrary, pqLibrary}

// Work makes one attempt with a Go library per line of in, until in ends. The agent starts its own program anew to do this.
func Work(name string, in io.Reader, out io.Writer) error {
	for _, l := range goLibraries {
		if l.name == name {
			l.register()
			return serveWorker(in, out, l.connect)
		}
	}
	return fmt.Errorf("there is no worker for %q", name)
}

// workers are processes of this program that make one attempt with a Go library at a time: the library's GSSAPI provider and
// the environment that it reads belong to a process.
type workers struct {
	goLibrary

	mu      sync.Mutex
	idle    map[workerKind][]*workerProcess
	all     map[*workerProcess]bool
	stopped bool
}

// workerKind is what a process keeps from its start on: its operating-system user, and what crypto/x509 has read of the system's roots, which it does once.
type workerKind struct {
	uid   int
	roots string // SSL_CERT_FILE
}

func kindOf(a *agent.Prepared) workerKind { return workerKind{a.UID, a.Env["SSL_CERT_FILE"]} }

type workerProcess struct {
	kind   workerKind
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Reader
	stderr process.Words
	asked  uint64
}

func (w *workers) get(kind workerKind) (*workerProcess, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if idle := w.idle[kind]; len(idle) > 0 {
		worker := idle[len(idle)-1]
		w.idle[kind] = idle[:len(idle)-1]
		return worker, nil
	}
	if w.stopped {
		return nil, errors.New(w.name + ": the agent is ending")
	}
	worker, err := w.start(kind)
	if err != nil {
		return nil, fmt.Errorf("%s: start a worker: %w", w.name, err)
	}
	if w.all == nil {
		w.all, w.idle = map[*workerProcess]bool{}, map[workerKind][]*workerProcess{}
	}
	w.all[worker] = true
	return worker, nil
}

func (w *workers) put(worker *workerProcess) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle[worker.kind] = append(w.idle[worker.kind], worker)
}

// end takes a worker out of service and says how its process ended.
func (w *workers) end(worker *workerProcess, kill bool) string {
	if kill {
		_ = worker.cmd.Process.Kill()
	}
	_ = worker.stdin.Close()
	err := worker.cmd.Wait()
	w.mu.Lock()
	delete(w.all, worker)
	w.mu.Unlock()
	if status, ok := worker.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return process.Signal(status.Signal())
	}
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	if text := worker.stderr.String(); text != "" {
		how += ": " + text
	}
	return how
}

func (w *workers) Hostaddr() bool { return w.hostaddr }

func (w *workers) Close() {
	w.mu.Lock()
	w.stopped = true
	var all []*workerProcess
	for worker := range w.all {
		all = append(all, worker)
	}
	w.mu.Unlock()
	for _, worker := range all {
		w.end(worker, true)
	}
}

func (w *workers) start(kind workerKind) (*workerProcess, error) {
	p := &workerProcess{kind: kind, cmd: exec.Command("/proc/self/exe", "worker", w.name)}
	p.cmd.Env = append([]string{"PATH=" + process.Path, "LC_ALL=C", "HOME=/nonexistent"}, w.env...)
	p.cmd.Stderr = &p.stderr
	if err := process.RunAs(p.cmd, kind.uid); err != nil {
		return nil, err
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin, p.lines = stdin, bufio.NewReader(stdout)
	return p, p.cmd.Start()
}

func (w *workers) Attempt(ctx context.Context, a *agent.Prepared) (*agent.AttemptResult, error) {
	worker, err := w.get(kindOf(a))
	if err != nil {
		return nil, err
	}
	worker.asked++
	request := workerRequest{Targets: a.Targets, ID: worker.asked, Conninfo: agent.Conninfo(a.Given, false), Env: a.Environ, Query: a.Query, Timeout: a.Limit.Milliseconds()}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answered := make(chan workerResponse, 1)
	failed := make(chan error, 1)
	go func() {
		var response workerResponse
		_, err := worker.stdin.Write(append(line, '\n'))
		if err == nil {
			line, err = worker.lines.ReadBytes('\n')
		}
		if err == nil {
			err = json.Unmarshal(line, &response)
		}
		if err != nil {
			failed <- err
			return
		}
		answered <- response
	}()
	overdue := time.NewTimer(a.Limit + 20*time.Second)
	defer overdue.Stop()
	select {
	case response := <-answered:
		if response.ID != request.ID || response.Fault == "" && response.Result == nil {
			w.end(worker, true)
			return nil, fmt.Errorf("%s: asked a worker for attempt %d, it answers for %d", w.name, request.ID, response.ID)
		}
		w.put(worker)
		if response.Fault != "" {
			return nil, errors.New(w.name + ": " + response.Fault)
		}
		return response.Result, nil
	case err := <-failed:
		// Its output has ended or makes no sense: nothing more comes from it either way.
		how := w.end(worker, !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE))
		return &agent.AttemptResult{Crash: how}, nil
	case <-overdue.C:
		w.end(worker, true)
		return nil, fmt.Errorf("%s: no answer from the worker after %v", w.name, a.Limit)
	case <-ctx.Done():
		w.end(worker, true)
		return nil, context.Cause(ctx)
	}
}

// serveWorker makes one attempt per line of in. An error of connect is a fault.
func serveWorker(in io.Reader, out io.Writer, connect func(context.Context, *workerRequest) (*agent.AttemptResult, error)) error {
	lines := bufio.NewReader(in)
	answers := json.NewEncoder(out)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var request workerRequest
		if err := json.Unmarshal(line, &request); err != nil {
			return err
		}
		response := workerResponse{ID: request.ID}
		if response.Result, err = request.attempt(connect); err != nil {
			response.Fault = err.Error()
		}
		if err := answers.Encode(response); err != nil {
			return err
		}
	}
}

// attempt is made in the environment of the request, and in its time.
func (r *workerRequest) attempt(connect func(context.Context, *workerRequest) (*agent.AttemptResult, error)) (*agent.AttemptResult, error) {
	os.Clearenv()
	for _, variable := range r.Env {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	timeout := time.Duration(r.Timeout) * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	result, err := connect(ctx, r)
	if ctx.Err() != nil {
		text := ""
		if result != nil {
			text = ": " + result.Message
		}
		return nil, fmt.Errorf("no end after %v%s", timeout, text)
	}
	return result, err
}

// countingDialer is Go's own dialer, that counts what leads to the relay. Go dials a second time where a connection was reset
// before it could be asked for its peer's address, so TCP is counted by socket. It refuses to go anywhere but to the targets.
type countingDialer struct {
	net.Dialer
	agent.Targets
	library string
	count   *int
}

func newCountingDialer(library string, r *workerRequest, timeout time.Duration, count *int) *countingDialer {
	return &countingDialer{library: library, Targets: r.Targets, count: count, Dialer: net.Dialer{Timeout: timeout,
		Control: func(network, address string, _ syscall.RawConn) error {
			if strings.HasPrefix(network, "tcp") && address == r.Relay {
				*count++
			}
			return nil
		}}}
}

func (d *countingDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Relay != "" && address != d.Relay && (address != d.Dead || d.Dead == "") {
		return nil, fmt.Errorf("pgauthmatrix: %s dials %s instead of the relay", d.library, address)
	}
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err == nil && network == "unix" {
		*d.count++
	}
	return conn, err
}
