package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Serve answers the requests on in until it ends, then ends everything it started. ctx ends it early. The drivers, by the name
// that Attempt.Client gives, are closed.
func Serve(ctx context.Context, in io.Reader, out io.Writer, drivers map[string]Driver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{private: newPrivateDirs(), out: out, drivers: drivers}
	defer s.private.remove()
	defer func() {
		for _, d := range drivers {
			d.Close()
		}
	}()
	if err := s.send(Response{Version: Version()}); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(in, 256<<10)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel() // before Wait: nobody reads the answers any more
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		var request Request
		if err := json.Unmarshal(line, &request); err != nil {
			return fmt.Errorf("not a request: %w", err)
		}
		open.Add(1)
		go func() {
			defer open.Done()
			response, err := s.answer(ctx, request)
			response.ID = request.ID
			if err != nil {
				response = Response{ID: request.ID, Fault: err.Error()}
			}
			if err := s.send(response); err != nil {
				fmt.Fprintf(os.Stderr, "answer request %d: %v\n", request.ID, err)
				cancel()
			}
		}()
	}
}

// server is the agent's state.
type server struct {
	private      *privateDirs
	drivers      map[string]Driver
	admin        admin
	impersonator impersonator
	ident        identServer

	mu      sync.Mutex
	log     *follower // set by Follow
	writing sync.Mutex
	out     io.Writer
}

func (s *server) send(r Response) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err = s.out.Write(append(line, '\n'))
	return err
}

func (s *server) answer(ctx context.Context, r Request) (response Response, err error) {
	switch {
	case r.Attempt != nil:
		response.Attempt, err = s.attempt(ctx, r.Attempt)
	case r.Write != nil:
		for _, w := range r.Write {
			if err = write(w); err != nil {
				break
			}
		}
	case r.Digest != nil:
		response.Digests, err = digests(r.Digest)
	case r.Remove != nil:
		err = remove(*r.Remove)
	case r.Run != nil:
		response.Run, err = run(ctx, *r.Run)
	case r.SQL != nil:
		response.SQL, err = s.admin.run(ctx, *r.SQL)
	case r.Follow != nil:
		err = s.follow(*r.Follow)
	case r.Collect != nil:
		var result CollectResult
		result, err = s.collect(ctx, *r.Collect)
		response.Collect = &result
	case r.Health != nil:
		response.Health = health(ctx, *r.Health, time.Now())
	case r.Network != nil:
		err = setNetwork(*r.Network)
	case r.Resolve != nil:
		err = resolve(*r.Resolve)
	case r.Ident != nil:
		err = s.ident.answer(*r.Ident)
	case r.Knock != nil:
		response.Knocked, err = knock(ctx, r.Knock)
	default:
		err = errors.New("a request that asks for nothing this agent knows")
	}
	return response, err
}

func (s *server) follow(f Follow) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil {
		return fmt.Errorf("follow %s: %s is being followed already", f.Path, s.log.path)
	}
	s.log, err = follow(f.Path, f.FromEnd)
	return err
}

func (s *server) collect(ctx context.Context, c Collect) (CollectResult, error) {
	s.mu.Lock()
	log := s.log
	s.mu.Unlock()
	if log == nil {
		return CollectResult{}, errors.New("collect: no log is being followed")
	}
	return log.collect(ctx, c)
}
