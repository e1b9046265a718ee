package drivers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// attemptServer makes attempts with the container's libpq; its source, pgimages/client/attempt.c, documents its protocol.
const attemptServer = "/usr/local/bin/pgam-attempt"

// libpq has an attempt server, which forks a process for each attempt without exec.
type libpq struct{ server forkServer }

func newLibpq() *libpq {
	// Every symbol is resolved once, here, instead of in each forked attempt.
	return &libpq{forkServer{name: "libpq's attempt server", program: attemptServer, env: []string{"LD_BIND_NOW=1"}, check: noAmbientFiles}}
}

func (*libpq) Hostaddr() bool { return true }

func (l *libpq) Close() { l.server.stop() }

func (l *libpq) Attempt(ctx context.Context, a *agent.Prepared) (*agent.AttemptResult, error) {
	id, how, err := l.server.attempt(ctx, a.Limit, func(id string) ([]byte, error) { return requestFrame(id, a), nil })
	if err != nil {
		return nil, err
	}
	return readAttempt(id, how, a)
}

// noAmbientFiles guards against what libpq before 15 finds whatever HOME says: it asks the password database.
func noAmbientFiles() error {
	const dir = "/root/.postgresql"
	if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("%s exists: libpq to version 14 would read it in every attempt; remove it from the image", dir)
	}
	return nil
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
