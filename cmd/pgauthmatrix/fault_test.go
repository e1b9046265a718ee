package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// asProgram has the test's own binary be the program.
const asProgram = "PGAUTHMATRIX_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// door is a socket between a program and the engine. It stands in for an engine that goes away and comes back: that of this machine is not
// the test's to restart.
type door struct {
	path   string // of the socket
	engine string // of the engine's

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func newDoor(t *testing.T, engine string) *door {
	t.Helper()
	dir, err := os.MkdirTemp("", "door") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	d := &door{path: filepath.Join(dir, "s"), engine: engine}
	listener, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Close()
		_ = os.RemoveAll(dir)
	})
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go d.pass(in)
		}
	}()
	return d
}

func (d *door) pass(in net.Conn) {
	out, err := net.Dial("unix", d.engine)
	d.mu.Lock()
	if err != nil || d.shut {
		d.mu.Unlock()
		_ = in.Close()
		return
	}
	d.conns = append(d.conns, in, out)
	d.mu.Unlock()
	go d.copy(in.(*net.UnixConn), out.(*net.UnixConn))
	d.copy(out.(*net.UnixConn), in.(*net.UnixConn))
}

// copy keeps an end of one direction to that direction: an exec's input ends before its output.
func (d *door) copy(to, from *net.UnixConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}

// close cuts every connection and lets none through until open.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = false
}

// disturbed carries a run out in a process of its own and disturbs it when its first cells have been tried.
func disturbed(t *testing.T, d *door, disturb func(runID string)) (status int, output, folder string) {
	t.Helper()
	runs := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", "--runs", runs, "negotiation/hostssl-alone/pg18/ssl=on/libpq18")
	cmd.Env = append(os.Environ(), asProgram+"=1", "DOCKER_HOST=unix://"+d.path)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		_ = in.Close()
	}()
	var said bytes.Buffer
	buffer := make([]byte, 4096)
	for done := false; ; {
		n, err := out.Read(buffer)
		said.Write(buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if found, _ := filepath.Glob(filepath.Join(runs, "*")); !done && len(found) == 1 && strings.Contains(said.String(), "/s  ") {
			done = true
			disturb(filepath.Base(found[0]))
		}
	}
	if err := <-ended; err != nil && cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%v:\n%s", err, said.String())
	}
	found, err := filepath.Glob(filepath.Join(runs, "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v:\n%s", found, err, said.String())
	}
	return cmd.ProcessState.ExitCode(), said.String(), found[0]
}

// What is lost in the middle of a run makes cells Broken with its cause: no cell is refused for it, and every cell has a record.
func TestFaults(t *testing.T) {
	livetest.NeedsContainers(t)
	cli, err := pgimages.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	socket, ok := strings.CutPrefix(cli.DaemonHost(), "unix://")
	if !ok {
		t.Fatalf("the engine is at %s: this test needs one at a unix-domain socket", cli.DaemonHost())
	}
	d := newDoor(t, socket)
	for _, tt := range []struct {
		name    string
		disturb func(t *testing.T, runID string)
		cause   string // part of one
	}{
		{"the engine is restarted", func(*testing.T, string) { d.close(); d.open() }, "the container engine"},
		{"the engine goes away", func(*testing.T, string) { d.close() }, "the container engine"},
		{"the server's network is cut", func(t *testing.T, runID string) { cut(t, cli, runID) }, "control cell controls/both-ways/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.open()
			status, output, folder := disturbed(t, d, func(runID string) { tt.disturb(t, runID) })
			saved, err := reports.Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			summary, err := reports.Summarize(saved)
			if err != nil {
				t.Fatal(err)
			}
			// What was attempted before the fault is not trusted either, for the control cells that close its bracket failed.
			if status != broken.Code || summary.Counts[verdict.Broken] != saved.Header.Cells {
				t.Errorf("status %d, %v:\n%s", status, summary.Counts, output)
			}
			said := false
			for r, err := range saved.Records() {
				if err != nil {
					t.Fatal(err)
				}
				said = said || strings.Contains(r.Verdict.Cause, tt.cause)
				if r.Verdict.Cause == "" {
					t.Errorf("%s: Broken without a cause", r.ID)
				}
			}
			if !said {
				t.Errorf("no cause says %q:\n%s", tt.cause, output)
			}
			d.open()
			swept(t, filepath.Base(folder))
		})
	}
}

// swept removes what a run left, as the next run does, and says that nothing is left.
func swept(t *testing.T, runID string) {
	t.Helper()
	if _, err := pgimages.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	dead, _, err := pgimages.Leftovers(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, id := range dead {
		if id == runID {
			t.Errorf("run %s left something", id)
		}
	}
}

// cut takes the servers of a run off their network.
func cut(t *testing.T, cli *client.Client, runID string) {
	t.Helper()
	found, err := cli.ContainerList(t.Context(), client.ContainerListOptions{Filters: make(client.Filters).Add("label", "pgauthmatrix.run="+runID)})
	if err != nil {
		t.Fatal(err)
	}
	cuts := 0
	for _, c := range found.Items {
		if !strings.HasPrefix(c.Image, "pgauthmatrix/server-") {
			continue
		}
		for name := range c.NetworkSettings.Networks {
			if _, err := cli.NetworkDisconnect(context.WithoutCancel(t.Context()), name, client.NetworkDisconnectOptions{Container: c.ID, Force: true}); err != nil {
				t.Fatal(err)
			}
			cuts++
		}
	}
	if cuts == 0 {
		t.Fatalf("no server of run %s on a network", runID)
	}
}
