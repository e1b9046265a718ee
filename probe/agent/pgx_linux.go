package agent

import (
	"bufio"
	"context"
	"crypto/tls"
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

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pgxRequest and pgxResponse are the lines between the agent and its workers.
type pgxRequest struct {
	ID       uint64   `json:"id"`
	Conninfo string   `json:"conninfo"`
	Relay    string   `json:"relay,omitempty"` // where every host name leads; empty: unix socket
	Env      []string `json:"env"`
	Query    string   `json:"query"`
	Timeout  int64    `json:"timeout"` // milliseconds
}

type pgxResponse struct {
	ID     uint64         `json:"id"`
	Fault  string         `json:"fault,omitempty"`
	Result *AttemptResult `json:"result,omitempty"`
}

// pgxWorkers are processes of this very program that make one attempt with pgx at a time: pgx's GSSAPI provider and the
// environment that pgx reads belong to a process.
type pgxWorkers struct {
	mu      sync.Mutex
	idle    map[int][]*pgxWorker // by operating-system user
	all     map[*pgxWorker]bool
	stopped bool
}

type pgxWorker struct {
	uid    int
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Reader
	stderr words
	asked  uint64
}

func (w *pgxWorkers) get(uid int) (*pgxWorker, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if idle := w.idle[uid]; len(idle) > 0 {
		worker := idle[len(idle)-1]
		w.idle[uid] = idle[:len(idle)-1]
		return worker, nil
	}
	if w.stopped {
		return nil, errors.New("pgx: the agent is ending")
	}
	worker, err := startPgxWorker(uid)
	if err != nil {
		return nil, fmt.Errorf("pgx: start a worker: %w", err)
	}
	if w.all == nil {
		w.all, w.idle = map[*pgxWorker]bool{}, map[int][]*pgxWorker{}
	}
	w.all[worker] = true
	return worker, nil
}

func (w *pgxWorkers) put(worker *pgxWorker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle[worker.uid] = append(w.idle[worker.uid], worker)
}

// end takes a worker out of service and says how its process ended.
func (w *pgxWorkers) end(worker *pgxWorker, kill bool) string {
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

func (w *pgxWorkers) stop() {
	w.mu.Lock()
	w.stopped = true
	var all []*pgxWorker
	for worker := range w.all {
		all = append(all, worker)
	}
	w.mu.Unlock()
	for _, worker := range all {
		w.end(worker, true)
	}
}

func startPgxWorker(uid int) (*pgxWorker, error) {
	w := &pgxWorker{uid: uid, cmd: exec.Command("/proc/self/exe", "pgx-worker")}
	w.cmd.Env = []string{"PATH=" + commandPath, "LC_ALL=C", "HOME=/nonexistent"}
	w.cmd.Stderr = &w.stderr
	if uid != 0 {
		credential, err := credentialOf(uid)
		if err != nil {
			return nil, err
		}
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.stdin, w.lines = stdin, bufio.NewReader(stdout)
	return w, w.cmd.Start()
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

func (w *pgxWorkers) attempt(ctx context.Context, a *prepared) (*AttemptResult, error) {
	worker, err := w.get(a.UID)
	if err != nil {
		return nil, err
	}
	// pgx is given what a user of it would write; the relay comes in by name look-up, not by hostaddr and port, which
	// pgx does not know and would send to the server.
	worker.asked++
	request := pgxRequest{ID: worker.asked, Conninfo: conninfo(a.Options, false), Env: a.env, Query: a.Query, Timeout: a.timeout.Milliseconds()}
	if a.Server != "" {
		request.Relay = relayAddress(a.options)
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answered := make(chan pgxResponse, 1)
	failed := make(chan error, 1)
	go func() {
		var response pgxResponse
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
	overdue := time.NewTimer(a.timeout + 3*time.Second)
	defer overdue.Stop()
	select {
	case response := <-answered:
		if response.ID != request.ID || response.Fault == "" && response.Result == nil {
			w.end(worker, true)
			return nil, fmt.Errorf("pgx: asked a worker for attempt %d, it answers for %d", request.ID, response.ID)
		}
		w.put(worker)
		if response.Fault != "" {
			return nil, errors.New("pgx: " + response.Fault)
		}
		return response.Result, nil
	case err := <-failed:
		// Its output has ended or makes no sense: nothing more comes from it either way.
		how := w.end(worker, !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE))
		return &AttemptResult{Crash: how}, nil
	case <-overdue.C:
		w.end(worker, true)
		return nil, fmt.Errorf("pgx: no answer from the worker after %v", a.timeout)
	case <-ctx.Done():
		w.end(worker, true)
		return nil, context.Cause(ctx)
	}
}

func relayAddress(options []Option) string {
	var host, port string
	for _, o := range options {
		switch o.Name {
		case "hostaddr":
			host = o.Value
		case "port":
			port = o.Value
		}
	}
	return net.JoinHostPort(host, port)
}

// ServePgx is a worker: it makes one attempt with pgx per line of in.
func ServePgx(in io.Reader, out io.Writer) error {
	pgconn.RegisterGSSProvider(newGSSProvider)
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
		var request pgxRequest
		if err := json.Unmarshal(line, &request); err != nil {
			return err
		}
		response := pgxResponse{ID: request.ID}
		if response.Result, err = connectPgx(&request); err != nil {
			response.Fault = err.Error()
		}
		if err := answers.Encode(response); err != nil {
			return err
		}
	}
}

// connectPgx makes an attempt; an error is a fault.
func connectPgx(r *pgxRequest) (*AttemptResult, error) {
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
	result := &AttemptResult{}
	config, err := pgconn.ParseConfig(r.Conninfo)
	if err != nil {
		result.Message = err.Error()
		return result, nil
	}
	if r.Relay != "" {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{r.Relay}, nil }
	}
	// pgx's own dialer, that counts. Go dials a second time where a connection was reset before it could be asked for its
	// peer's address, so TCP is counted by socket.
	dialer := &net.Dialer{Timeout: config.ConnectTimeout, Control: func(network, _ string, _ syscall.RawConn) error {
		if strings.HasPrefix(network, "tcp") {
			result.Connects++
		}
		return nil
	}}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.Relay != "" && address != r.Relay {
			return nil, fmt.Errorf("pgauthmatrix: pgx dials %s instead of the relay", address)
		}
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil && network == "unix" {
			result.Connects++
		}
		return conn, err
	}
	var connections []*authRequests
	config.BuildFrontend = func(from io.Reader, to io.Writer) *pgproto3.Frontend {
		seen := &authRequests{}
		connections = append(connections, seen)
		return pgproto3.NewFrontend(io.TeeReader(from, seen), to)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	for _, c := range connections {
		result.AuthRequests = append(result.AuthRequests, c.seen...)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("no end after %v: %w", timeout, err)
	}
	if err != nil {
		result.Message = err.Error()
		return result, nil
	}
	result.Connected = true
	_, result.SSLInUse = conn.Conn().(*tls.Conn)
	rows, err := conn.Exec(ctx, r.Query).ReadAll()
	_ = conn.Close(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no answer to the query after %v: %w", timeout, err)
	case err != nil:
		result.Message = err.Error()
	case len(rows) == 0 || len(rows[0].Rows) == 0:
		result.Message = "the query returned no row"
	default:
		result.Row = map[string]string{}
		for i, column := range rows[0].FieldDescriptions {
			if value := rows[0].Rows[0][i]; value != nil {
				result.Row[column.Name] = string(value)
			}
		}
	}
	return result, nil
}
