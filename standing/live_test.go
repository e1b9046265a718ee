package standing

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

// choose chooses a world of a built-in scenario.
func choose(t *testing.T, pattern string, axes ...matrix.AxisValues) *Choice {
	t.Helper()
	livetest.NeedsContainers(t)
	all, err := matrix.Load(scenarios.Files)
	if err != nil {
		t.Fatal(err)
	}
	selection := matrix.Selection{Patterns: []string{pattern}, Axes: axes}
	expanded, err := matrix.ExpandSelected(all, selection)
	if err != nil {
		t.Fatal(err)
	}
	taken, _, err := matrix.Select(expanded, selection)
	if err != nil {
		t.Fatal(err)
	}
	choice, err := Choose(taken)
	if err != nil {
		t.Fatal(err)
	}
	return choice
}

// shell executes a command in the client container, as the command shell does.
func shell(t *testing.T, name string, command ...string) string {
	t.Helper()
	argv, err := ShellArgv(t.Context(), name, false, command)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %s %v", command, out, err)
	}
	return strings.TrimSpace(string(out))
}

func TestUpAndDown(t *testing.T) {
	const name = "standing-test"
	choice := choose(t, "negotiation/hostgssenc-alone", matrix.AxisValues{Axis: "server", Values: []string{"17"}})
	var said bytes.Buffer
	t.Cleanup(func() { _ = pgimages.Remove(context.Background(), prefix+name) })
	if err := Up(t.Context(), &said, io.Discard, name, choice); err != nil {
		t.Fatal(err)
	}
	if err := Up(t.Context(), io.Discard, io.Discard, name, choice); err == nil || !strings.Contains(err.Error(), "is taken by what is up for") {
		t.Errorf("the same name again: %v", err)
	}
	if out := shell(t, name, "sh", "-c", "kinit -k -t /pgam/client/alice.keytab alice && psql -XAtc 'SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()' gssencmode=require"); out != "t" {
		t.Errorf("as the sheet says, in the shell: %q", out)
	}
	var list, logs bytes.Buffer
	if err := List(t.Context(), &list); err != nil || !strings.Contains(list.String(), choice.World()) || !strings.Contains(list.String(), "running") {
		t.Errorf("ps (%v):\n%s", err, list.String())
	}
	if err := Logs(t.Context(), &logs, name, false, false); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"server | ", "connection authorized: user=alice", "kdc    | ", "alice@EXAMPLE.TEST for krbtgt/EXAMPLE.TEST@EXAMPLE.TEST"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("logs do not have %q:\n%s", want, logs.String())
		}
	}
	if strings.Contains(logs.String(), "|DEBUG:") {
		t.Error("debug messages are in the logs")
	}
	// Who follows is told what comes later, and is let go.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	followed, end := io.Pipe()
	go func() { _ = end.CloseWithError(Logs(ctx, end, name, true, false)) }()
	shell(t, name, "sh", "-c", "psql -Xc 'SELECT 1' application_name=later >/dev/null 2>&1 || true")
	seen := ""
	for buf := make([]byte, 4096); !strings.Contains(seen, "no pg_hba.conf entry") && !strings.Contains(seen, "application_name=later"); {
		n, err := followed.Read(buf)
		if seen += string(buf[:n]); err != nil {
			t.Fatalf("%v, after\n%s", err, seen)
		}
	}
	cancel()
	if _, err := io.Copy(io.Discard, followed); err != nil {
		t.Errorf("the end of following: %v", err)
	}

	dir, err := hostDir(name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	if err := Down(t.Context(), io.Discard, []string{name, "nobody"}, false); err == nil || !strings.Contains(err.Error(), `no environment "nobody" is up; up are `) {
		t.Errorf("down of one that is not: %v", err)
	}
	if err := Down(t.Context(), io.Discard, []string{name}, false); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, name)
}

func wantNothing(t *testing.T, name string) {
	t.Helper()
	if stands, err := find(context.Background(), name); stands != nil || err != nil {
		t.Errorf("left on the engine: %+v %v", stands, err)
	}
	dir, err := hostDir(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v", dir, err)
	}
}

// An interrupt while the containers start leaves nothing.
func TestInterrupted(t *testing.T) {
	const name = "standing-test-interrupted"
	choice := choose(t, "negotiation/host-alone")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Up(ctx, io.Discard, stopper(cancel), name, choice)
	if err == nil || ctx.Err() == nil {
		t.Errorf("error %v, interrupted: %v", err, ctx.Err())
	}
	wantNothing(t, name)
}

// stopper stops when something is first written to it.
type stopper func()

func (s stopper) Write(p []byte) (int, error) {
	s()
	return len(p), nil
}

// The names of a world resolve after the process that made it has gone: its connections to the containers are closed.
func TestNamesStay(t *testing.T) {
	const name = "standing-test-names"
	choice := choose(t, "core/host-names")
	t.Cleanup(func() { _ = Down(context.Background(), io.Discard, []string{name}, false) })
	if err := Up(t.Context(), io.Discard, io.Discard, name, choice); err != nil {
		t.Fatal(err)
	}
	stands, err := find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, c := range stands.Containers {
		if !strings.HasPrefix(c.Image, "server-") {
			continue
		}
		for _, n := range choice.Cells[0].World.Names {
			if n.Reverse == "" {
				continue
			}
			asked++
			out, err := exec.Command("docker", "exec", c.ID, "getent", "hosts", n.Address.String()).CombinedOutput()
			if err != nil || !strings.Contains(string(out), n.Reverse) {
				t.Errorf("%s: %s %v, want %s", n.Address, out, err, n.Reverse)
			}
		}
	}
	if asked == 0 {
		t.Error("the scenario has no name to ask for")
	}
}

// In the world of a customer's case psql has the address of the connection, and the server says what the customer saw.
func TestCaseStands(t *testing.T) {
	livetest.NeedsContainers(t)
	const name = "standing-test-case"
	c, err := cases.ReadAt(os.DirFS("../scenarios/customers/realm-cut-off-before-the-map"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	choice, err := OfCase(c, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = Down(context.Background(), io.Discard, []string{name}, false) })
	var said bytes.Buffer
	if err := Up(t.Context(), &said, io.Discard, name, choice); err != nil {
		t.Fatal(err)
	}
	_, inside, _ := strings.Cut(said.String(), "In the shell:\n")
	inside, _, _ = strings.Cut(inside, "\nFrom this machine")
	shell(t, name, "sh", "-c", inside+"true") // psql fails, as it did there
	var logs bytes.Buffer
	if err := Logs(t.Context(), &logs, name, false, false); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"connection received: host=10.3.4.5 ", `no match in usermap "ad" for user "alice" authenticated as "alice"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the server's log has no %q:\n%s\nafter\n%s", want, logs.String(), inside)
		}
	}
}
