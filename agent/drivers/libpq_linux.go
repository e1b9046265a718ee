package drivers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// attemptServer makes attempts with the container's libpq; its source, pgimages/client/attempt.c, documents its protocol.
const attemptServer = "/usr/local/bin/pgam-attempt"

// libpqServer is the one attempt server of a container, started by the first attempt. When it ends, the attempts that
// are open fail and the next one starts another.
type libpqServer struct {
	mu      sync.Mutex
	running *libpqProcess
	nextID  uint64
}

type libpqProcess struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr process.Words

	mu      sync.Mutex // also serialises writes to stdin
	pending map[string]chan string
	cause   error
	done    chan struct{}
}

func (s *libpqServer) Hostaddr() bool { return true }

func (s *libpqServer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		_ = s.running.stdin.Close()
		<-s.running.done
	}
}

// get returns the running server and a fresh ID.
func (s *libpqServer) get() (*libpqProcess, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		select {
		case <-s.running.done:
			s.running = nil
		default:
		}
	}
	if s.running == nil {
		started, err := startLibpq()
		if err != nil {
			return nil, "", err
		}
		s.running = started
	}
	s.nextID++
	return s.running, strconv.FormatUint(s.nextID, 10), nil
}

func startLibpq() (*libpqProcess, error) {
	if err := noAmbientFiles(); err != nil {
		return nil, err
	}
	p := &libpqProcess{cmd: exec.Command(attemptServer), pending: map[string]chan string{}, done: make(chan struct{})}
	// Every symbol is resolved once, here, instead of in each forked attempt.
	p.cmd.Env = []string{"PATH=" + process.Path, "LC_ALL=C", "HOME=/nonexistent", "LD_BIND_NOW=1"}
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("libpq's attempt server: %w", err)
	}
	go p.read(bufio.NewReader(stdout))
	return p, nil
}

// noAmbientFiles guards against what libpq before 15 finds whatever HOME says: it asks the password database.
func noAmbientFiles() error {
	const dir = "/root/.postgresql"
	if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("%s exists: libpq to version 14 would read it in every attempt; remove it from the image", dir)
	}
	return nil
}

func (p *libpqProcess) read(stdout *bufio.Reader) {
	for {
		line, err := stdout.ReadString('\n')
		if err != nil {
			break
		}
		id, how, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if id == "ready" {
			continue
		}
		p.mu.Lock()
		ended, ok := p.pending[id]
		delete(p.pending, id)
		p.mu.Unlock()
		if !ok {
			fmt.Fprintf(&p.stderr, "answered %q, which was not asked\n", line)
			_ = p.cmd.Process.Kill()
			break
		}
		ended <- how
	}
	err := p.cmd.Wait()
	cause := fmt.Errorf("libpq's attempt server ended (%w): %s", err, p.stderr.String())
	p.mu.Lock()
	p.cause = cause
	p.mu.Unlock()
	close(p.done)
}

// ask sends one request; the answer comes on the channel, or done is closed.
func (p *libpqProcess) ask(id string, frame []byte) (<-chan string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		return nil, p.cause
	}
	ended := make(chan string, 1)
	p.pending[id] = ended
	if _, err := p.stdin.Write(frame); err != nil {
		delete(p.pending, id)
		return nil, fmt.Errorf("libpq's attempt server: %w", err)
	}
	return ended, nil
}

func (s *libpqServer) Attempt(ctx context.Context, a *agent.Prepared) (*agent.AttemptResult, error) {
	running, id, err := s.get()
	if err != nil {
		return nil, err
	}
	ended, err := running.ask(id, requestFrame(id, a))
	if err != nil {
		return nil, err
	}
	// The attempt's process is killed by its own alarm; that it is not reported would be the server's failure.
	overdue := time.NewTimer(a.Limit + 5*time.Second)
	defer overdue.Stop()
	select {
	case how := <-ended:
		return readAttempt(id, how, a)
	case <-running.done:
		return nil, running.cause
	case <-overdue.C:
		_ = running.cmd.Process.Kill()
		return nil, fmt.Errorf("libpq's attempt server has not reported the end of an attempt that was limited to %v", a.Limit)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// requestFrame is attempt.c's request.
func requestFrame(id string, a *agent.Prepared) []byte {
	seconds := int((a.Limit + time.Second - 1) / time.Second)
	fields := []string{id, strconv.Itoa(a.UID), a.Dir, strconv.Itoa(seconds), a.Query, strconv.Itoa(len(a.Environ))}
	fields = append(fields, a.Environ...)
	fields = append(fields, strconv.Itoa(len(a.Given)))
	for _, o := range a.Given {
		fields = append(fields, o.Name, o.Value)
	}
	payload := strings.Join(fields, "\x00") + "\x00"
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// readAttempt turns the end of an attempt's process and the file it left into a result.
func readAttempt(id, how string, a *agent.Prepared) (*agent.AttemptResult, error) {
	kind, rest, _ := strings.Cut(how, " ")
	stderr, err := process.ReadTail(filepath.Join(a.Dir, "stderr"), process.MostQuoted)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "exit":
		if rest != "0" {
			return nil, fmt.Errorf("libpq's attempt ended with exit status %s: %s", rest, strings.TrimSpace(stderr))
		}
	case "signal":
		number, err := strconv.Atoi(rest)
		if err != nil {
			return nil, fmt.Errorf("libpq's attempt server says %q", how)
		}
		if syscall.Signal(number) == syscall.SIGALRM {
			return nil, fmt.Errorf("no end after %v", a.Limit)
		}
		return &agent.AttemptResult{Crash: process.Signal(syscall.Signal(number)), Message: strings.TrimSpace(stderr)}, nil
	default:
		return nil, fmt.Errorf("libpq's attempt server says %q", how)
	}
	content, err := os.ReadFile(filepath.Join(a.Dir, "result"))
	if err != nil {
		return nil, fmt.Errorf("libpq's attempt left no result: %w", err)
	}
	return parseAttempt(id, content)
}

// parseAttempt reads attempt.c's result file.
func parseAttempt(id string, content []byte) (*agent.AttemptResult, error) {
	texts := bytes.Split(content, []byte{0})
	if len(texts) < 3 || len(texts)%2 != 1 || string(texts[len(texts)-3]) != "end" {
		return nil, fmt.Errorf("libpq's attempt left a result that is not whole (%d bytes)", len(content))
	}
	r := &agent.AttemptResult{}
	var errs []error
	flag := func(value string) bool {
		if value != "0" && value != "1" {
			errs = append(errs, fmt.Errorf("libpq's attempt: flag %q", value))
		}
		return value == "1"
	}
	whose := ""
	for pair := range slices.Chunk(texts[:len(texts)-1], 2) {
		name, value := string(pair[0]), string(pair[1])
		switch name {
		case "id":
			whose = value
		case "connected":
			r.Connected = flag(value)
		case "message", "query-error":
			r.Message += value
		case "ssl":
			r.SSLInUse = flag(value)
		case "gss":
			r.GSSInUse = flag(value)
		case "connects":
			n, err := strconv.Atoi(value)
			errs = append(errs, err)
			r.Connects = n
		case "auth":
			r.AuthRequests = strings.Fields(value)
		case "end":
		default:
			column, ok := strings.CutPrefix(name, "column:")
			if !ok {
				errs = append(errs, fmt.Errorf("libpq's attempt: unknown word %q", name))
				continue
			}
			if r.Row == nil {
				r.Row = map[string]string{}
			}
			r.Row[column] = value
		}
	}
	if whose != id {
		errs = append(errs, fmt.Errorf("libpq's attempt %s left the result of attempt %s", id, whose))
	}
	return r, errors.Join(errs...)
}
