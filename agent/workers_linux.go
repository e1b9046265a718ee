package agent

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
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// workerRequest and workerResponse are the lines between the agent and its workers.
type workerRequest struct {
	targets
	ID       uint64   `json:"id"`
	Conninfo string   `json:"conninfo"`
	Env      []string `json:"env"`
	Query    string   `json:"query"`
	Timeout  int64    `json:"timeout"` // milliseconds
}

type workerResponse struct {
	ID     uint64         `json:"id"`
	Fault  string         `json:"fault,omitempty"`
	Result *AttemptResult `json:"result,omitempty"`
}

// workers are processes of this very program that make one attempt with a Go library at a time: the library's GSSAPI
// provider and the environment that it reads belong to a process.
type workers struct {
	library string   // pgx | pq
	env     []string // what the library reads before its first attempt, NAME=VALUE

	mu      sync.Mutex
	idle    map[int][]*workerProcess // by operating-system user
	all     map[*workerProcess]bool
	stopped bool
}

type workerProcess struct {
	uid    int
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Reader
	stderr words
	asked  uint64
}

func (w *workers) get(uid int) (*workerProcess, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if idle := w.idle[uid]; len(idle) > 0 {
		worker := idle[len(idle)-1]
		w.idle[uid] = idle[:len(idle)-1]
		return worker, nil
	}
	if w.stopped {
		return nil, errors.New(w.library + ": the agent is ending")
	}
	worker, err := w.start(uid)
	if err != nil {
		return nil, fmt.Errorf("%s: start a worker: %w", w.library, err)
	}
	if w.all == nil {
		w.all, w.idle = map[*workerProcess]bool{}, map[int][]*workerProcess{}
	}
	w.all[worker] = true
	return worker, nil
}

func (w *workers) put(worker *workerProcess) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle[worker.uid] = append(w.idle[worker.uid], worker)
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
		return describeSignal(status.Signal())
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

func (w *workers) stop() {
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

func (w *workers) start(uid int) (*workerProcess, error) {
	p := &workerProcess{uid: uid, cmd: exec.Command("/proc/self/exe", w.library+"-worker")}
	p.cmd.Env = append([]string{"PATH=" + commandPath, "LC_ALL=C", "HOME=/nonexistent"}, w.env...)
	p.cmd.Stderr = &p.stderr
	if uid != 0 {
		credential, err := credentialOf(uid)
		if err != nil {
			return nil, err
		}
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
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

// credentialOf is an operating-system user with its primary group, or the group of the same number if the user has no
// entry in the password file.
func credentialOf(uid int) (*syscall.Credential, error) {
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	u, err := user.LookupId(strconv.Itoa(uid))
	var unknown user.UnknownUserIdError
	if errors.As(err, &unknown) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	c.Gid = uint32(gid)
	return c, err
}

func (w *workers) attempt(ctx context.Context, a *prepared, conninfo string) (*AttemptResult, error) {
	worker, err := w.get(a.UID)
	if err != nil {
		return nil, err
	}
	worker.asked++
	request := workerRequest{targets: a.targets, ID: worker.asked, Conninfo: conninfo, Env: a.env, Query: a.Query, Timeout: a.timeout.Milliseconds()}
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
	overdue := time.NewTimer(a.timeout + 20*time.Second)
	defer overdue.Stop()
	select {
	case response := <-answered:
		if response.ID != request.ID || response.Fault == "" && response.Result == nil {
			w.end(worker, true)
			return nil, fmt.Errorf("%s: asked a worker for attempt %d, it answers for %d", w.library, request.ID, response.ID)
		}
		w.put(worker)
		if response.Fault != "" {
			return nil, errors.New(w.library + ": " + response.Fault)
		}
		return response.Result, nil
	case err := <-failed:
		// Its output has ended or makes no sense: nothing more comes from it either way.
		how := w.end(worker, !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE))
		return &AttemptResult{Crash: how}, nil
	case <-overdue.C:
		w.end(worker, true)
		return nil, fmt.Errorf("%s: no answer from the worker after %v", w.library, a.timeout)
	case <-ctx.Done():
		w.end(worker, true)
		return nil, context.Cause(ctx)
	}
}

// serveWorker makes one attempt per line of in. An error of connect is a fault.
func serveWorker(in io.Reader, out io.Writer, connect func(context.Context, *workerRequest) (*AttemptResult, error)) error {
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
func (r *workerRequest) attempt(connect func(context.Context, *workerRequest) (*AttemptResult, error)) (*AttemptResult, error) {
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
	targets
	library string
	count   *int
}

func newCountingDialer(library string, r *workerRequest, timeout time.Duration, count *int) *countingDialer {
	return &countingDialer{library: library, targets: r.targets, count: count, Dialer: net.Dialer{Timeout: timeout,
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
