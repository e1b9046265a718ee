package agent

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

func psqlAttempt(ctx context.Context, a *prepared) (*AttemptResult, error) {
	program, err := psqlProgram()
	if err != nil {
		return nil, err
	}
	options, environ := a.options[:0:0], a.env
	for _, o := range a.options { // arguments can be read by every process of the container
		if o.Name == "password" {
			environ = append(environ[:len(environ):len(environ)], "PGPASSWORD="+o.Value)
			continue
		}
		options = append(options, o)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, "-X", "-w", "-q", "--csv", "-P", "null="+psqlNull,
		"-d", conninfo(options, false), "-c", `\echo `+psqlConnected, "-c", a.Query)
	cmd.Env, cmd.Dir = environ, a.dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if a.UID != 0 {
		credential, err := credentialOf(a.UID)
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	status, err := runGroup(ctx, cmd, a.timeout)
	if err != nil {
		return nil, fmt.Errorf("psql: %w; standard error: %s", err, lastOf(stderr.String()))
	}
	return readPsql(status, stdout.String(), stderr.String())
}

// readPsql reads what psql left. Exit status 2 is a connection that could not be made or was lost (psql manual, "Exit
// Status"); what says that there was one is the first command's echo.
func readPsql(status syscall.WaitStatus, stdout, stderr string) (*AttemptResult, error) {
	r := &AttemptResult{Connects: -1, Message: strings.TrimSuffix(stderr, "\n")}
	if status.Signaled() {
		r.Crash = describeSignal(status.Signal())
		return r, nil
	}
	rows, connected := strings.CutPrefix(stdout, psqlConnected+"\n")
	switch {
	case !connected && status.ExitStatus() == 2 && stdout == "":
		return r, nil
	case !connected:
		return nil, fmt.Errorf("psql ended with status %d and has written %q; standard error: %s", status.ExitStatus(), lastOf(stdout), lastOf(stderr))
	}
	r.Connected = true
	if status.ExitStatus() != 0 {
		return r, nil
	}
	records, err := csv.NewReader(strings.NewReader(rows)).ReadAll()
	if err != nil || len(records) < 2 {
		return nil, fmt.Errorf("psql ended well and has written %q, which is no row (%w)", lastOf(rows), err)
	}
	r.Row = map[string]string{}
	for i, column := range records[0] {
		if value := records[1][i]; value != psqlNull {
			r.Row[column] = value
		}
	}
	return r, nil
}
