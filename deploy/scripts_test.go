package deploy

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// script runs a script of the Job as its pod does, with a program in the place of pgauthmatrix that ends with this status.
func script(t *testing.T, name, results, index string, status string) (exit int, called string) {
	t.Helper()
	cmd := prepared(t, name, results, index, status)
	output, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %s", err, output)
	}
	return cmd.ProcessState.ExitCode(), string(output)
}

func prepared(t *testing.T, name, results, index, status string) *exec.Cmd {
	t.Helper()
	bin := t.TempDir()
	fake := `#!/bin/sh
echo "$@"
case "$1 $2" in
"run --resume") [ -e "$3/killed" ] || exit 2;;
run*) while [ "$1" != --runs ]; do shift; done; mkdir -p "$2/run-$$";;
esac
case ` + status + ` in term) trap 'exit 4' TERM; kill -TERM $PPID; while :; do sleep 0.01; done;; *) exit ` + status + `;; esac
`
	if err := os.WriteFile(filepath.Join(bin, "pgauthmatrix"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join("k8s", "base", name))
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "RESULTS="+results, "JOB_NAME=pgauthmatrix-shards-291", "SHARDS=2", "JOB_COMPLETION_INDEX="+index)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	return cmd
}

func runsBelow(t *testing.T, folder string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "run-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// A shard with Broken cells is not merged before another pod has tried it again; what the first left is kept. Findings are final.
func TestShardScript(t *testing.T) {
	results := t.TempDir()
	night := filepath.Join(results, "291")
	ended := func(shard, want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(night, "shards", shard, "ended"))
		if strings.TrimSpace(string(got)) != want || (err == nil) != (want != "") {
			t.Errorf("shard %s ended %q, %v; want %q", shard, got, err, want)
		}
	}
	exit, called := script(t, "shard.sh", results, "0", "1")
	if want := "run --strength 3 --shard 1/2 --runs " + night + "/shards/1\n"; exit != 1 || called != want {
		t.Errorf("status %d: %s", exit, called)
	}
	ended("1", "1")
	if exit, called = script(t, "shard.sh", results, "1", "4"); exit != 4 {
		t.Errorf("status %d: %s", exit, called)
	}
	ended("2", "")
	if exit, called = script(t, "shard.sh", results, "1", "4"); exit != 4 {
		t.Errorf("status %d: %s", exit, called)
	}
	ended("2", "4")
	if !strings.HasPrefix(called, "run --resume "+night+"/shards/2/run-") || !strings.HasSuffix(called, "/\nrun --strength 3 --shard 2/2 --runs "+night+"/shards/2\n") {
		t.Errorf("the second pod called %s", called)
	}
	if kept, merged := runsBelow(t, filepath.Join(night, "given-up")), runsBelow(t, filepath.Join(night, "shards", "2")); kept != 1 || merged != 1 {
		t.Errorf("%d runs given up and %d to merge, want 1 and 1", kept, merged)
	}
}

// A run whose pod was killed goes on in its folder.
func TestShardScriptGoesOn(t *testing.T) {
	results := t.TempDir()
	shard := filepath.Join(results, "291", "shards", "1")
	if err := os.MkdirAll(filepath.Join(shard, "run-1", "killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	exit, called := script(t, "shard.sh", results, "0", "0")
	if exit != 0 || called != "run --resume "+shard+"/run-1/\n" || runsBelow(t, shard) != 1 {
		t.Errorf("status %d: %s", exit, called)
	}
}

// The signal that ends a pod reaches the run, and the script waits until the run has ended.
func TestShardScriptIsEnded(t *testing.T) {
	if exit, called := script(t, "shard.sh", t.TempDir(), "0", "term"); exit != 4 {
		t.Errorf("status %d: %s", exit, called)
	}
}

// The merge has every shard and, from the second green night on, a baseline.
func TestMergeScript(t *testing.T) {
	results := t.TempDir()
	night := filepath.Join(results, "291")
	for _, index := range []string{"0", "1"} {
		if exit, called := script(t, "shard.sh", results, index, "0"); exit != 0 {
			t.Fatalf("status %d: %s", exit, called)
		}
	}
	if err := os.MkdirAll(filepath.Join(night, "merged"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct{ status, baseline string }{{"1", ""}, {"0", ""}, {"4", " --baseline " + results + "/green"}} {
		exit, called := script(t, "merge.sh", results, "", tt.status)
		if words := strings.Fields(called); len(words) < 5 || words[0] != "merge" || !strings.HasPrefix(words[1], night+"/shards/1/run-") || !strings.HasPrefix(words[2], night+"/shards/2/run-") ||
			strings.Join(words[3:], " ") != strings.TrimSpace(tt.baseline+" --history "+results+"/history.jsonl --output "+night+"/merged") {
			t.Errorf("%d: %s", i, called)
		}
		if exit != int(tt.status[0]-'0') {
			t.Errorf("%d: status %d, want %s", i, exit, tt.status)
		}
	}
	if to, err := os.Readlink(filepath.Join(results, "green")); err != nil || to != "291/merged" {
		t.Errorf("the last green night is %q, %v", to, err)
	}
}
