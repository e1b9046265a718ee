package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// follower reads a growing log file into an index.
type follower struct {
	index   *logIndex
	path    string
	file    *os.File
	notify  *os.File // inotify
	offset  int64
	rest    []byte // of a line whose end is not written yet
	waiters atomic.Int32
	hurry   chan struct{} // somebody has begun to wait
	broken  chan struct{} // closed when reading has ended
	cause   error         // why; set before broken is closed
}

// A busy server writes thousands of lines a second. They are read in steps, short ones while somebody waits.
const (
	stepWaited = time.Millisecond
	stepIdle   = 50 * time.Millisecond
)

// collectTimeout is how long a backend's exit may take to be logged. It takes milliseconds; a loaded machine can take seconds.
const collectTimeout = 30 * time.Second

func follow(path string, fromEnd bool) (*follower, error) {
	f := &follower{index: newLogIndex(), path: path, hurry: make(chan struct{}, 1), broken: make(chan struct{})}
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("follow: inotify: %w", err)
	}
	f.notify = os.NewFile(uintptr(fd), "inotify")
	if err := f.watch(filepath.Dir(path), syscall.IN_CREATE|syscall.IN_MOVED_TO); err != nil {
		return nil, err
	}
	if err := f.openFile(); err != nil {
		return nil, err
	}
	if fromEnd {
		if f.offset, err = f.file.Seek(0, io.SeekEnd); err != nil {
			return nil, fmt.Errorf("follow: %w", err)
		}
	}
	go func() {
		f.cause = f.run()
		close(f.broken)
	}()
	return f, nil
}

func (f *follower) watch(path string, mask uint32) error {
	raw, err := f.notify.SyscallConn()
	if err == nil {
		var inner error
		err = raw.Control(func(fd uintptr) { _, inner = syscall.InotifyAddWatch(int(fd), path, mask) })
		err = errors.Join(err, inner)
	}
	if err != nil {
		return fmt.Errorf("follow: watch %s: %w", path, err)
	}
	return nil
}

func (f *follower) openFile() error {
	if err := f.watch(f.path, syscall.IN_MODIFY); err != nil {
		return err
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if f.file != nil {
		_ = f.file.Close()
	}
	f.file, f.offset, f.rest = file, 0, nil
	return nil
}

func (f *follower) run() error {
	events := make([]byte, 64<<10)
	for {
		if err := f.drain(); err != nil {
			return fmt.Errorf("follow %s: %w", f.path, err)
		}
		step := stepIdle
		if f.waiters.Load() > 0 {
			step = stepWaited
		}
		select {
		case <-f.hurry:
		case <-time.After(step):
		}
		if _, err := f.notify.Read(events); err != nil {
			return fmt.Errorf("follow %s: inotify: %w", f.path, err)
		}
	}
}

// drain reads to the end of the file, and goes on from the beginning of one that was truncated or put in its place.
func (f *follower) drain() error {
	buffer := make([]byte, 128<<10)
	for {
		n, err := f.file.ReadAt(buffer, f.offset)
		f.offset += int64(n)
		f.cut(buffer[:n])
		if n > 0 {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		again, err := f.replaced()
		if err != nil || !again {
			return err
		}
	}
}

func (f *follower) replaced() (bool, error) {
	mine, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if mine.Size() < f.offset {
		f.offset, f.rest = 0, nil
		f.index.restarted()
		return true, nil
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // renamed away; its successor is announced by the directory
	}
	if err != nil || os.SameFile(mine, now) {
		return false, err
	}
	f.index.restarted()
	return true, f.openFile()
}

func (f *follower) cut(p []byte) {
	f.rest = append(f.rest, p...)
	text := string(f.rest)
	for {
		line, after, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		f.index.feed(line)
		text = after
	}
	f.rest = append(f.rest[:0], text...)
}

// collect waits until the index can answer.
func (f *follower) collect(ctx context.Context, c Collect) (CollectResult, error) {
	timeout := time.Duration(c.Timeout) * time.Millisecond
	if timeout <= 0 {
		timeout = collectTimeout
	}
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	waiting := false
	for {
		result, changed, err := f.index.take(c)
		if !errors.Is(err, errIncomplete) {
			return result, err
		}
		if !waiting {
			waiting = true
			f.waiters.Add(1)
			defer f.waiters.Add(-1)
			select {
			case f.hurry <- struct{}{}:
			default:
			}
		}
		select {
		case <-changed:
		case <-f.broken:
			return result, f.cause
		case <-expired.C:
			return result, fmt.Errorf("collect: after %v: %w", timeout, err)
		case <-ctx.Done():
			return result, context.Cause(ctx)
		}
	}
}
