package drivers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// forkServer is a program that forks a process for each attempt: what is costly to load is loaded once, while everything that a
// library keeps per process starts afresh in each attempt. It is started by the first attempt. When it ends, the attempts that are open
// fail and the next one starts another.
//
// The program reads requests on standard input and answers on standard output, a line each, in any order: first "ready …", then "ID exit
// STATUS", "ID signal NUMBER" or "ID error TEXT" for each request. It ends each process by SIGALRM at its limit.
type forkServer struct {
	name    string // for messages
	program string
	env     []string     // besides PATH, LC_ALL and HOME
	check   func() error // of the container, before the start; may be nil

	mu      sync.Mutex
	running *forkProcess
	nextID  uint64
}

type forkProcess struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr process.Words

	mu      sync.Mutex // also serialises writes to stdin
	pending map[string]chan string
	cause   error
	done    chan struct{}
}

func (s *forkServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		_ = s.running.stdin.Close()
		<-s.running.done
	}
}

// attempt has a process made by the request that frame gives for an ID, and returns how it ended.
func (s *forkServer) attempt(ctx context.Context, limit time.Duration, frame func(id string) ([]byte, error)) (id, how string, err error) {
	running, id, err := s.get()
	if err != nil {
		return "", "", err
	}
	request, err := frame(id)
	if err != nil {
		return "", "", err
	}
	ended, err := running.ask(id, request)
	if err != nil {
		return "", "", err
	}
	// The attempt's process is killed by its own alarm; that it is not reported would be the server's failure.
	overdue := time.NewTimer(limit + 20*time.Second)
	defer overdue.Stop()
	select {
	case how := <-ended:
		return id, how, nil
	case <-running.done:
		return "", "", running.cause
	case <-overdue.C:
		_ = running.cmd.Process.Kill()
		return "", "", fmt.Errorf("%s has not reported the end of an attempt that was limited to %v", s.name, limit)
	case <-ctx.Done():
		return "", "", context.Cause(ctx)
	}
}

// get returns the running server and a fresh ID.
func (s *forkServer) get() (*forkProcess, string, error) {
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
		started, err := s.start()
		if err != nil {
			return nil, "", err
		}
		s.running = started
	}
	s.nextID++
	return s.running, strconv.FormatUint(s.nextID, 10), nil
}

func (s *forkServer) start() (*forkProcess, error) {
	if s.check != nil {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	p := &forkProcess{name: s.name, cmd: exec.Command(s.program), pending: map[string]chan string{}, done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + process.Path, "LC_ALL=C", "HOME=/nonexistent"}, s.env...)
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
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	go p.read(bufio.NewReader(stdout))
	return p, nil
}

func (p *forkProcess) read(stdout *bufio.Reader) {
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
	cause := fmt.Errorf("%s ended (%w): %s", p.name, err, p.stderr.String())
	p.mu.Lock()
	p.cause = cause
	p.mu.Unlock()
	close(p.done)
}

// ask sends one request; the answer comes on the channel, or done is closed.
func (p *forkProcess) ask(id string, frame []byte) (<-chan string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		return nil, p.cause
	}
	ended := make(chan string, 1)
	p.pending[id] = ended
	if _, err := p.stdin.Write(frame); err != nil {
		delete(p.pending, id)
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return ended, nil
}
