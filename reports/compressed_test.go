package reports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// TestMain writes records until it is killed, where the environment says so.
func TestMain(m *testing.M) {
	if path := os.Getenv("REPORTS_WRITE_UNTIL_KILLED"); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	f, err := os.Create(path)
	fail(err)
	const cells = 100_000
	w, err := NewWriter(f, sampleHeader(cells))
	fail(err)
	n := 0
	generate(cells, 0, func(r *Record) {
		fail(w.Write(r))
		n++
		fmt.Println(n)
		time.Sleep(2 * time.Millisecond)
	})
}

// A run that is killed by a signal that it cannot handle loses no more than its last second, and its file says that it is incomplete.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "REPORTS_WRITE_UNTIL_KILLED="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	type count struct {
		n  int
		at time.Time
	}
	var written []count
	for s := bufio.NewScanner(out); s.Scan(); {
		n, _ := strconv.Atoi(s.Text())
		written = append(written, count{n, time.Now()})
		if written[len(written)-1].at.Sub(written[0].at) > 3500*time.Millisecond {
			break
		}
	}
	_ = child.Process.Kill()
	killed := time.Now()
	_ = child.Wait()
	run, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := recordsOf(t, run)
	var incomplete *Incomplete
	if !errors.As(err, &incomplete) {
		t.Errorf("%v, want *Incomplete", err)
	}
	must := 0
	for _, c := range written {
		if killed.Sub(c.at) > flushDelay+500*time.Millisecond {
			must = c.n
		}
	}
	last := written[len(written)-1].n
	t.Logf("%d records were written, %d of them more than a second before the end; %d are there", last, must, len(records))
	if must == 0 || len(records) < must || len(records) > last+1 {
		t.Errorf("%d records", len(records))
	}
	if v := view(t, run); v.Incomplete == "" || v.Green() {
		t.Error("the run is not incomplete")
	}
}

// lockedBuffer is written by the timer of a flush, and read by the test.
type lockedBuffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	return len(p), nil
}

func (b *lockedBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.data)
}

func (b *lockedBuffer) Len() int { return len(b.Bytes()) }

// A flush comes by itself, once for all that was written in the meantime, and ends the frame if that is large.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file lockedBuffer
		c, err := newCompressor(&file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("a line of text\n", 10)
		write := func() {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if file.Len() != 0 {
			t.Error("written at once")
		}
		time.Sleep(flushDelay + time.Millisecond)
		synctest.Wait()
		flushed := file.Len()
		if got := readable(t, file.Bytes()); got != text {
			t.Errorf("after the delay %q can be read", got)
		}
		time.Sleep(time.Hour)
		if file.Len() != flushed {
			t.Error("flushed again without need")
		}
		if n := frames(t, file.Bytes()); n != 0 {
			t.Errorf("%d frames have an end", n)
		}
		for range frameSize/len(text) + 1 {
			write()
		}
		time.Sleep(flushDelay + time.Millisecond)
		synctest.Wait()
		write()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if n := frames(t, file.Bytes()); n != 2 {
			t.Errorf("%d frames have an end, want 2", n)
		}
		if got, want := readable(t, file.Bytes()), strings.Repeat(text, frameSize/len(text)+3); got != want {
			t.Errorf("%d bytes can be read, want %d", len(got), len(want))
		}
	})
}

// readable is what a reader gets from the beginning of a file.
func readable(t *testing.T, file []byte) string {
	t.Helper()
	d, err := decompressed(io.NopCloser(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	text, err := io.ReadAll(d)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return string(text)
}

// frames is the number of whole frames.
func frames(t *testing.T, file []byte) (n int) {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	starts := []int{}
	for at := 0; ; {
		i := bytes.Index(file[at:], zstdMagic)
		if i < 0 {
			break
		}
		starts = append(starts, at+i)
		at += i + 1
	}
	for i, start := range starts {
		end := len(file)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if _, err := d.DecodeAll(file[start:end], nil); err == nil {
			n++
		}
	}
	return n
}

// A disk that is full is reported by the next write, or by the end.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, room := errors.New("no space left on device"), true
		c, err := newCompressor(writerFunc(func(p []byte) (int, error) {
			if !room {
				return 0, full
			}
			return len(p), nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		room = false
		if _, err := io.WriteString(c, "text"); err != nil {
			t.Errorf("before the flush: %v", err)
		}
		time.Sleep(flushDelay + time.Millisecond)
		synctest.Wait()
		if _, err := io.WriteString(c, "text"); !errors.Is(err, full) {
			t.Errorf("write: %v", err)
		}
		if err := c.Close(); !errors.Is(err, full) {
			t.Errorf("close: %v", err)
		}
	})
}

// The file is read by zstd's own program, and frames that another writer appends are read with the others.
func TestFramesOfOthers(t *testing.T) {
	whole := everyStatus(t, whole)
	text := lines(t, whole)
	if program, err := exec.LookPath("zstdcat"); err == nil {
		cmd := exec.Command(program)
		cmd.Stdin = bytes.NewReader(whole)
		if out, err := cmd.Output(); err != nil || !bytes.Equal(out, text) {
			t.Errorf("zstdcat: %d bytes, %v; want %d", len(out), err, len(text))
		}
	} else {
		t.Log("zstdcat is not installed: the frames are read by the library alone")
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var appended []byte
	for l := range bytes.Lines(text) {
		appended = append(appended, encoder.EncodeAll(l, nil)...)
	}
	if diff := cmp.Diff(string(text), string(lines(t, appended))); diff != "" {
		t.Error(diff)
	}
}

func TestLines(t *testing.T) {
	text := lines(t, everyStatus(t, whole))
	var out bytes.Buffer
	err := opened(t, text[:len(text)-10]).Lines(&out)
	var incomplete *Incomplete
	if last := bytes.LastIndexByte(text[:len(text)-10], '\n'); !errors.As(err, &incomplete) || !bytes.Equal(out.Bytes(), text[:last+1]) {
		t.Errorf("cut off: %d bytes, %v", out.Len(), err)
	}
	if err := opened(t, text).Lines(io.Discard); err != nil {
		t.Error(err)
	}
	full := errors.New("no space left on device")
	if err := opened(t, text).Lines(writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
}

// The sample's records take as many bytes as promised.
func TestSize(t *testing.T) {
	const cells = 3000
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(cells))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	generate(cells, 50, func(r *Record) {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		if n++; n%70 == 0 {
			if err := w.out.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a cell", file.Len()/cells)
	if file.Len() > 400*cells {
		t.Errorf("%d bytes a cell", file.Len()/cells)
	}
}

// A folder's file is the compressed one; an older run has the plain one.
func TestOpenOldFolder(t *testing.T) {
	dir := t.TempDir()
	whole := everyStatus(t, whole)
	for _, step := range []struct {
		name string
		file []byte
	}{{PlainFileName, lines(t, whole)}, {FileName, whole}} {
		path := filepath.Join(dir, step.name)
		if err := os.WriteFile(path, step.file, 0o644); err != nil {
			t.Fatal(err)
		}
		run, err := Open(dir)
		if err != nil || run.Path != path {
			t.Fatalf("%+v, %v", run, err)
		}
		if records, err := recordsOf(t, run); err != nil || len(records) != run.Header.Cells {
			t.Errorf("%s: %d records, %v", step.name, len(records), err)
		}
	}
}
