package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// Path is the search path of every program that is started in a container.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// MostQuoted is how many bytes of a program's output an error message quotes.
const MostQuoted = 4 << 10

// RunGroup runs a program in a process group of its own and waits for its end. After limit the whole group is killed, and
// that is the error. A program that ended in another way, also by a signal, is no error: the status tells.
func RunGroup(ctx context.Context, cmd *exec.Cmd, limit time.Duration) (syscall.WaitStatus, error) {
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
	timer := time.AfterFunc(limit, func() { close(expired); kill() })
	stop := context.AfterFunc(ctx, kill)
	err := cmd.Wait()
	timer.Stop()
	stop()
	select {
	case <-expired:
		return 0, fmt.Errorf("killed after %v", limit)
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

// RunAs makes the program run as an operating-system user with the user's primary group, or with the group of the same number
// if the user has no entry in the password file. 0 changes nothing.
func RunAs(cmd *exec.Cmd, uid int) error {
	if uid == 0 {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	u, err := user.LookupId(strconv.Itoa(uid))
	var unknown user.UnknownUserIdError
	switch {
	case errors.As(err, &unknown):
	case err != nil:
		return err
	default:
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return err
		}
		c.Gid = uint32(gid)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	return nil
}

// Signal describes a signal: "signal 11 (segmentation fault)".
func Signal(s syscall.Signal) string { return fmt.Sprintf("signal %d (%s)", int(s), s) }

// Last keeps the end of a long text.
func Last(text string) string {
	if len(text) > MostQuoted {
		text = "…" + text[len(text)-MostQuoted:]
	}
	return text
}

// ReadTail reads the end of a file; a missing one is empty.
func ReadTail(path string, most int64) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	begin := max(info.Size()-most, 0)
	content, err := io.ReadAll(io.NewSectionReader(file, begin, info.Size()-begin))
	if begin > 0 {
		return "…" + string(content), err
	}
	return string(content), err
}
