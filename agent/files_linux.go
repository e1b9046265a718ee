package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const commandPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// mostStderr is how much of a program's standard error an error message quotes.
const mostStderr = 4 << 10

// write makes the new file whole beside the old one, then puts it in its place. Missing directories are made, 0755.
func write(w Write) (err error) {
	dir := filepath.Dir(w.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	file, err := os.CreateTemp(dir, ".pgauthmatrix-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", w.Path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(w.Data)
	err = errors.Join(err, file.Chown(w.UID, w.GID), file.Chmod(fs.FileMode(w.Mode)&fs.ModePerm), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), w.Path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", w.Path, err)
	}
	return nil
}

func run(ctx context.Context, r Run) (*RunResult, error) {
	if len(r.Argv) == 0 {
		return nil, errors.New("run: no program")
	}
	timeout := time.Duration(r.Timeout) * time.Second
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(r.Argv[0], r.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if len(r.Stdin) > 0 {
		cmd.Stdin = bytes.NewReader(r.Stdin)
	}
	cmd.Env = []string{"PATH=" + commandPath, "HOME=/", "LC_ALL=C"}
	for name, value := range r.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	status, err := runGroup(ctx, cmd, timeout)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w; standard error: %s", r.Argv[0], err, lastOf(stderr.String()))
	}
	if status.Signaled() {
		return nil, fmt.Errorf("run %s: ended by signal %d; standard error: %s", r.Argv[0], status.Signal(), lastOf(stderr.String()))
	}
	return &RunResult{Exit: status.ExitStatus(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
}

// runGroup runs a program in a process group of its own and waits for it; after timeout the whole group is killed and
// that is the error.
func runGroup(ctx context.Context, cmd *exec.Cmd, timeout time.Duration) (syscall.WaitStatus, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = 2 * time.Second // for grandchildren that keep the output open
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	expired := make(chan struct{})
	timer := time.AfterFunc(timeout, func() { close(expired); kill() })
	stop := context.AfterFunc(ctx, kill)
	err := cmd.Wait()
	timer.Stop()
	stop()
	select {
	case <-expired:
		return 0, fmt.Errorf("killed after %v", timeout)
	default:
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), nil
}

// lastOf keeps the end of a long text.
func lastOf(text string) string {
	if len(text) > mostStderr {
		text = "…" + text[len(text)-mostStderr:]
	}
	return text
}
