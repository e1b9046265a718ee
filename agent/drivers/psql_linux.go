package drivers

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

const (
	psqlConnected = "pgauthmatrix: connected"
	psqlNull      = "pgauthmatrix: null" // an empty CSV field is an empty string
)

// psqlProgram finds the container's psql. /usr/bin/psql is Debian's wrapper, a Perl script of four times its cost.
func psqlProgram() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return exec.LookPath("psql") // not Debian
	}
	return "", fmt.Errorf("more than one psql: %s", strings.Join(found, ", "))
}

// psql executes the container's psql, a process per attempt.
type psql struct{}

func (psql) Hostaddr() bool { return true }

func (psql) Close() {}

func (psql) Attempt(ctx context.Context, a *agent.Prepared) (*agent.AttemptResult, error) {
	program, err := psqlProgram()
	if err != nil {
		return nil, err
	}
	options, environ := a.Given[:0:0], a.Environ
	for _, o := range a.Given { // arguments can be read by every process of the container
		if o.Name == "password" {
			environ = append(environ[:len(environ):len(environ)], "PGPASSWORD="+o.Value)
			continue
		}
		options = append(options, o)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, "-X", "-w", "-q", "--csv", "-P", "null="+psqlNull,
		"-d", agent.Conninfo(options, false), "-c", `\echo `+psqlConnected, "-c", a.Query)
	cmd.Env, cmd.Dir = environ, a.Dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := process.RunAs(cmd, a.UID); err != nil {
		return nil, err
	}
	status, err := process.RunGroup(ctx, cmd, a.Limit)
	if err != nil {
		return nil, fmt.Errorf("psql: %w; standard error: %s", err, process.Last(stderr.String()))
	}
	return readPsql(status, stdout.String(), stderr.String())
}

// readPsql reads what psql left. Exit status 2 is a connection that could not be made or was lost (psql manual, "Exit
// Status"); what says that there was one is the first command's echo.
func readPsql(status syscall.WaitStatus, stdout, stderr string) (*agent.AttemptResult, error) {
	r := &agent.AttemptResult{Connects: -1, Message: strings.TrimSuffix(stderr, "\n")}
	if status.Signaled() {
		r.Crash = process.Signal(status.Signal())
		return r, nil
	}
	rows, connected := strings.CutPrefix(stdout, psqlConnected+"\n")
	switch {
	case !connected && status.ExitStatus() == 2 && stdout == "":
		return r, nil
	case !connected:
		return nil, fmt.Errorf("psql ended with status %d and has written %q; standard error: %s", status.ExitStatus(), process.Last(stdout), process.Last(stderr))
	}
	r.Connected = true
	if status.ExitStatus() != 0 {
		return r, nil
	}
	records, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil || len(records) < 2 {
		return nil, fmt.Errorf("psql ended well and has written %q, which is no row (%w)", process.Last(rows), err)
	}
	r.Row = map[string]string{}
	for i, column := range records[0] {
		if value := records[1][i]; value != psqlNull {
			r.Row[column] = value
		}
	}
	return r, nil
}
