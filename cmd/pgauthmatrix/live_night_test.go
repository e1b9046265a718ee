package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// night is a small night: the program, a selection of two Envs or three, and a place of its own for lock files, temporary files and runs, so that what it leaves can be told from
// what others leave.
type night struct {
	t       *testing.T
	program string
	dir     string
}

func newNight(t *testing.T) *night {
	t.Helper()
	livetest.NeedsContainers(t)
	n := &night{t: t, dir: t.TempDir()}
	n.program = filepath.Join(n.dir, "bin", "pgauthmatrix")
	for _, of := range [][]string{{n.program, "."}, {n.program + "-agent", "../../agent/pgauthmatrix-agent"}} {
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", of[0], of[1])
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for name, folder := range map[string]string{"XDG_CACHE_HOME": "cache", "TMPDIR": "tmp"} {
		path := filepath.Join(n.dir, folder)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, path)
	}
	t.Cleanup(func() { // what a test that fails in the middle leaves
		if _, err := pgimages.Sweep(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return n
}

// selected are the arguments of a run of a few cells on these servers.
func (n *night) selected(folder string, servers string, more ...string) []string {
	return append([]string{"run", "negotiation/hostssl-alone", "--axis", "library=pgx", "--axis", "server=" + servers, "--strength", "2", "--runs", filepath.Join(n.dir, folder)}, more...)
}

// start starts the program; what it prints is in the buffer when it has ended.
func (n *night) start(args ...string) (*exec.Cmd, *bytes.Buffer) {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), n.program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	return cmd, &out
}

// green runs the program, which must end with status 0.
func (n *night) green(args ...string) {
	n.t.Helper()
	cmd, out := n.start(args...)
	if err := cmd.Wait(); err != nil {
		n.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// runsIn are the folders of runs below a folder, the oldest first.
func (n *night) runsIn(folder string) (runs []string) {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.dir, folder, "*", reports.FileName))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range files {
		runs = append(runs, filepath.Dir(f))
	}
	return runs
}

// verdictsOf are status and outcome of every cell of a run that ended.
func (n *night) verdictsOf(folder string) map[string]string {
	n.t.Helper()
	saved, err := reports.Open(folder)
	if err != nil {
		n.t.Fatal(err)
	}
	verdicts := map[string]string{}
	for r, err := range saved.Records() {
		if err != nil {
			n.t.Fatal(err)
		}
		verdicts[r.ID] = string(r.Verdict.Status) + " " + r.Observation.Outcome.String()
	}
	return verdicts
}

// statement makes the statement about cells of a run, whose OSCAL file has to be valid.
func (n *night) statement(folder, pattern string) {
	n.t.Helper()
	cmd, out := n.start("compliance", "--run", folder, pattern)
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != 1 { // a control may be violated
		n.t.Fatalf("compliance: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(folder, oscalFile))
	if err != nil {
		n.t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, version := range []string{"1-1-2", "1-2-2"} {
		schema, err := jsonschema.NewCompiler().Compile("../../compliance/testdata/oscal_complete_schema-" + version + ".json")
		if err != nil {
			n.t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			n.t.Errorf("OSCAL %s: %v", version, err)
		}
	}
}

func (n *night) same(what string, got, want map[string]string) {
	n.t.Helper()
	if !maps.Equal(got, want) {
		for _, id := range slices.Sorted(maps.Keys(want)) {
			if got[id] != want[id] {
				n.t.Errorf("%s: %s is %q, want %q", what, id, got[id], want[id])
			}
		}
		n.t.Errorf("%s has %d cells, want %d", what, len(got), len(want))
	}
}

// left are containers, networks and volumes of this night, and temporary files.
func (n *night) left() (left []string) {
	n.t.Helper()
	place, err := os.ReadFile(filepath.Join(n.dir, "cache", "pgauthmatrix", "runs", "place"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing was begun
	}
	if err != nil {
		n.t.Fatal(err)
	}
	cli, err := pgimages.Engine(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	add := func(kind, name string, labels map[string]string) {
		if strings.HasPrefix(labels["pgauthmatrix.owner"], string(place)+"/") {
			left = append(left, kind+" "+name)
		}
	}
	ours := make(client.Filters).Add("label", "pgauthmatrix=1")
	containers, err := cli.ContainerList(n.t.Context(), client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, c := range containers.Items {
		add("container", strings.Join(c.Names, " "), c.Labels)
	}
	networks, err := cli.NetworkList(n.t.Context(), client.NetworkListOptions{Filters: ours})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, w := range networks.Items {
		add("network", w.Name, w.Labels)
	}
	volumes, err := cli.VolumeList(n.t.Context(), client.VolumeListOptions{Filters: ours})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, v := range volumes.Items {
		add("volume", v.Name, v.Labels)
	}
	for _, pattern := range []string{"tmp/*", "cache/pgauthmatrix/runs/*.lock"} {
		files, err := filepath.Glob(filepath.Join(n.dir, pattern))
		if err != nil {
			n.t.Fatal(err)
		}
		left = append(left, files...)
	}
	return left
}

// Three shards, three processes at the same time, one engine: joined, they are the run of everything. Meanwhile a fourth process sweeps without a pause.
func TestShardsAtTheSameTime(t *testing.T) {
	n := newNight(t)
	n.green(n.selected("whole", "15,17,18")...)
	whole := n.runsIn("whole")[0]
	type process struct {
		cmd *exec.Cmd
		out *bytes.Buffer
	}
	var shards []process
	for i := range 3 {
		cmd, out := n.start(n.selected("shards", "15,17,18", "--costs", whole, "--shard", fmt.Sprintf("%d/3", i+1))...)
		shards = append(shards, process{cmd, out})
	}
	sweeping, stop := context.WithCancel(t.Context())
	swept := make(chan int)
	go func() {
		sweeps := 0
		for ; sweeping.Err() == nil; sweeps++ {
			if dead, err := pgimages.Sweep(sweeping); len(dead) > 0 || err != nil && sweeping.Err() == nil {
				t.Errorf("a sweep removed %v, %v", dead, err)
			}
		}
		swept <- sweeps
	}()
	for i, s := range shards {
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("shard %d: %v\n%s", i+1, err, s.out)
		}
	}
	stop()
	t.Logf("%d sweeps", <-swept)
	if t.Failed() {
		return
	}
	night := filepath.Join(n.dir, "night")
	n.green(append(append([]string{"merge"}, n.runsIn("shards")...), "-o", night, "--baseline", whole)...)
	n.same("the merge", n.verdictsOf(night), n.verdictsOf(whole))
	for _, name := range reports.FileNames() {
		if _, err := os.Stat(filepath.Join(night, name)); err != nil {
			t.Error(err)
		}
	}
	n.statement(night, "negotiation/hostssl-alone/pg17/ssl=on/**")
	if _, err := pgimages.Sweep(t.Context()); err != nil { // lock files of processes that ended
		t.Error(err)
	}
	if left := n.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	cmd, out := n.start(append(append([]string{"merge"}, n.runsIn("shards")[1:]...), "-o", filepath.Join(n.dir, "two"))...)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(out.String(), "no run is shard ") {
		t.Errorf("two of three: %v\n%s", err, out)
	}
}

// killsEnv is a number of kills in place of the test's own.
const killsEnv = "PGAUTHMATRIX_KILLS"

// A run is killed at a random moment, and the run that goes on with it, and so on. Whatever the moment was, the records can be read, and nothing is left once the next run has
// swept. In the end the records are those of a run that nobody killed.
func TestKilledRuns(t *testing.T) {
	n := newNight(t)
	kills := livetest.Pick(t, 3, 5, 10)
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s=%s: want a number", killsEnv, text)
		}
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	n.green(n.selected("whole", "15,17")...)
	takes := time.Since(began)
	want := n.verdictsOf(n.runsIn("whole")[0])
	t.Logf("%d kills, seed %d; a whole run takes %s and has %d cells", kills, seed, takes.Round(time.Millisecond), len(want))
	current := "" // the run that goes on; empty: the next is a new one
	var early, resumed, ended, something int
	for i := range kills {
		args := n.selected("killed", "15,17")
		if current != "" {
			args = []string{"run", "--resume", current}
			resumed++
		}
		before := n.runsIn("killed")
		cmd, out := n.start(args...)
		moment := time.Duration(random.Int64N(int64(takes)))
		time.Sleep(moment)
		_ = cmd.Process.Kill() // one that has ended is not killed
		err := cmd.Wait()
		if len(n.left()) > 0 {
			something++
		}
		if _, err := pgimages.Sweep(t.Context()); err != nil {
			t.Errorf("kill %d after %s: the sweep: %v", i+1, moment, err)
		}
		if left := n.left(); len(left) > 0 {
			t.Errorf("kill %d after %s: left behind: %v", i+1, moment, left)
		}
		switch after := n.runsIn("killed"); {
		case current != "":
		case len(after) == len(before):
			early++ // before it had a file
			continue
		default:
			current = after[len(after)-1]
		}
		saved, openErr := reports.Open(current)
		if openErr != nil {
			t.Fatalf("kill %d after %s: %v", i+1, moment, openErr)
		}
		view, viewErr := reports.NewView(saved)
		if viewErr != nil {
			t.Fatalf("kill %d after %s: %v", i+1, moment, viewErr)
		}
		if view.Incomplete == "" { // its last record and its end are there: it ended before the kill, or while it drew
			n.same("a run that ended before it was killed", n.verdictsOf(current), want)
			ended++
			current = ""
		} else if err == nil {
			t.Errorf("run %d ended well and is incomplete: %s\n%s", i+1, view.Incomplete, out)
		}
	}
	t.Logf("%d killed before they had a file, %d went on with another, %d ended first; %d left something for the sweep", early, resumed, ended, something)
	if current == "" {
		n.green(n.selected("killed", "15,17")...)
		runs := n.runsIn("killed")
		current = runs[len(runs)-1]
	} else {
		n.green("run", "--resume", current)
	}
	n.same("the run that went on", n.verdictsOf(current), want)
}
