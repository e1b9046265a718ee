package drivers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

// A driver program makes one attempt with a client that is not part of the agent. docs/your-own-driver.md documents it for authors.
//
// The program is started anew for each attempt, in a private directory and with the environment of Prepared. It reads a
// foreignRequest as JSON from standard input, until the end of the input, and writes a foreignResult as JSON to standard output.
// Secrets are in the request alone, never among the arguments or in the environment. Exit status 0 says that the result is there. Exit
// status statusInexpressible, without a result, says that the client cannot express what it was asked, with the reason on standard
// error. Whatever else the program does is a fault of the attempt and never a refusal: another exit status, a signal, output that is
// not exactly one result, or no end within the limit.
const (
	foreignProtocol     = 1
	statusInexpressible = 89 // the value that BoringSSL's test shims use
	mostForeignOutput   = 1 << 20
)

// foreignRequest is one attempt.
type foreignRequest struct {
	Protocol int               `json:"protocol"`
	Options  map[string]string `json:"options"` // connection parameters by libpq's names
	Hosts    []foreignHost     `json:"hosts"`   // those of option host, in its order
	Query    string            `json:"query"`   // asked once when connected; it returns one row
	Timeout  float64           `json:"timeout"` // seconds until the program is killed
}

// foreignHost says where the connections to a host must be made. The client has to be told Name all the same: the service principal and
// the name in the server's certificate are those of Name.
type foreignHost struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"` // an IP address; empty: Name is the directory of a unix socket
	Port    int    `json:"port"`
}

// foreignResult is what the program says of the attempt. Connected is required. A client that did not connect needs Message, the
// library's whole error text; one that did needs Row, or the Message of a query that failed. What is left out is not told.
type foreignResult struct {
	Connected    *bool              `json:"connected"`
	Message      string             `json:"message"`
	Row          map[string]*string `json:"row"` // by column name; null is SQL null
	SSLInUse     *bool              `json:"ssl_in_use"`
	GSSInUse     *bool              `json:"gss_in_use"`
	AuthRequests *[]string          `json:"auth_requests"` // see agent.AttemptResult
	Connects     *int               `json:"connects"`      // transport connections that the client opened
}

// foreign runs a driver program.
type foreign struct{ program string }

func (foreign) Hostaddr() bool { return false }

func (foreign) Close() {}

func (f foreign) Attempt(ctx context.Context, a *agent.Prepared) (*agent.AttemptResult, error) {
	request, err := foreignRequestOf(a)
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	stdout := &limited{most: mostForeignOutput}
	var stderr process.Words
	cmd := exec.Command(f.program)
	cmd.Env, cmd.Dir = a.Environ, a.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), stdout, &stderr
	if err := process.RunAs(cmd, a.UID); err != nil {
		return nil, err
	}
	status, err := process.RunGroup(ctx, cmd, a.Limit)
	if err == nil {
		var result *agent.AttemptResult
		if result, err = readForeign(status, stdout); err == nil {
			return result, nil
		}
	}
	return nil, fmt.Errorf("driver program: %w; standard error: %q", err, stderr.String())
}

func foreignRequestOf(a *agent.Prepared) (*foreignRequest, error) {
	r := &foreignRequest{Protocol: foreignProtocol, Options: map[string]string{}, Query: a.Query, Timeout: a.Limit.Round(time.Millisecond).Seconds()}
	for _, o := range a.Given {
		if _, twice := r.Options[o.Name]; twice {
			return nil, fmt.Errorf("option %s is given twice", o.Name)
		}
		r.Options[o.Name] = o.Value
	}
	for i, name := range strings.Split(r.Options["host"], ",") {
		host := foreignHost{Name: name}
		port := r.Options["port"]
		if address := a.Relay; address != "" {
			if i == 0 && a.Targets.Dead != "" {
				address = a.Targets.Dead
			}
			var err error
			if host.Address, port, err = net.SplitHostPort(address); err != nil {
				return nil, err
			}
		}
		var err error
		if host.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("port of host %s: %w", name, err)
		}
		r.Hosts = append(r.Hosts, host)
	}
	delete(r.Options, "host")
	delete(r.Options, "port")
	return r, nil
}

// readForeign reads what a program left that ended by itself. An error is a fault.
func readForeign(status syscall.WaitStatus, stdout *limited) (*agent.AttemptResult, error) {
	switch {
	case status.Signaled():
		return nil, fmt.Errorf("it ended by %s", process.Signal(status.Signal()))
	case stdout.lost:
		return nil, fmt.Errorf("it has written more than %d bytes", stdout.most)
	case status.ExitStatus() == statusInexpressible && stdout.kept.Len() == 0:
		return nil, errors.New("the client cannot express this attempt")
	case status.ExitStatus() != 0:
		return nil, fmt.Errorf("it ended with status %d and has written %q", status.ExitStatus(), process.Last(stdout.kept.String()))
	}
	var said foreignResult
	text := stdout.kept.String()
	lines := json.NewDecoder(&stdout.kept)
	lines.DisallowUnknownFields()
	if err := lines.Decode(&said); err != nil {
		return nil, fmt.Errorf("it has written %q, which is not a result: %w", process.Last(text), err)
	}
	if err := lines.Decode(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it has written %q, which is more than one result", process.Last(text))
	}
	return said.result()
}

// result checks what was said.
func (f *foreignResult) result() (*agent.AttemptResult, error) {
	switch {
	case f.Connected == nil:
		return nil, errors.New("its result does not say whether it connected")
	case !*f.Connected && f.Message == "":
		return nil, errors.New("its result says neither that it connected nor why not")
	case !*f.Connected && f.Row != nil:
		return nil, errors.New("its result has a row of a session that was not made")
	case *f.Connected && f.Row == nil && f.Message == "":
		return nil, errors.New("its result has neither the row nor why the query failed")
	case *f.Connected && f.Row != nil && f.Message != "":
		return nil, fmt.Errorf("its result has a row and the message %q", f.Message)
	case f.Connects != nil && *f.Connects < 0:
		return nil, fmt.Errorf("its result counts %d connections", *f.Connects)
	}
	r := &agent.AttemptResult{Connected: *f.Connected, Message: f.Message, Connects: -1}
	untold := func(name string, told bool) {
		if !told {
			r.Untold = append(r.Untold, name)
		}
	}
	untold("ssl_in_use", f.SSLInUse != nil)
	untold("gss_in_use", f.GSSInUse != nil)
	untold("auth_requests", f.AuthRequests != nil)
	if f.SSLInUse != nil {
		r.SSLInUse = *f.SSLInUse
	}
	if f.GSSInUse != nil {
		r.GSSInUse = *f.GSSInUse
	}
	if f.AuthRequests != nil {
		r.AuthRequests = slices.Clone(*f.AuthRequests)
	}
	if f.Connects != nil {
		r.Connects = *f.Connects
	}
	for column, value := range f.Row {
		if r.Row == nil {
			r.Row = map[string]string{}
		}
		if value != nil {
			r.Row[column] = *value
		}
	}
	return r, nil
}

// limited keeps the beginning of what is written to it. The buffer is not embedded: its ReadFrom would go round the limit.
type limited struct {
	kept bytes.Buffer
	most int
	lost bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := min(l.most-l.kept.Len(), len(p))
	l.lost = l.lost || room < len(p)
	_, _ = l.kept.Write(p[:room])
	return len(p), nil
}
