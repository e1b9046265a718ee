package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent/process"
)

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

// remove follows no symbolic links but one that Dir itself is.
func remove(r Remove) error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	for _, e := range entries {
		if slices.Contains(r.Keep, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.Dir, e.Name())); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
	}
	return nil
}

func digests(paths []string) ([]string, error) {
	sums := make([]string, len(paths))
	for i, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
		sum := sha256.Sum256(content)
		sums[i] = hex.EncodeToString(sum[:])
	}
	return sums, nil
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
	cmd.Env = []string{"PATH=" + process.Path, "HOME=/", "LC_ALL=C"}
	for name, value := range r.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	status, err := process.RunGroup(ctx, cmd, timeout)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w; standard error: %s", r.Argv[0], err, process.Last(stderr.String()))
	}
	if status.Signaled() {
		return nil, fmt.Errorf("run %s: ended by signal %d; standard error: %s", r.Argv[0], status.Signal(), process.Last(stderr.String()))
	}
	return &RunResult{Exit: status.ExitStatus(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
}
