package pgimages

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// claimer is set in the environment of a process that only claims runs: so many, one after another.
const claimer = "PGAUTHMATRIX_TEST_CLAIMS"

// A process claims runs while another removes the locks that nobody holds: no claim fails, and none is removed. Before claims and removals had a lock of
// their own, a run of a few hundred lost one.
func TestClaimsSurviveSweeps(t *testing.T) {
	if n := os.Getenv(claimer); n != "" {
		claimMany(t, n)
		return
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	dir, _, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), program, "-test.run=^TestClaimsSurviveSweeps$")
	other.Env = append(os.Environ(), claimer+"=100")
	var said strings.Builder
	other.Stdout, other.Stderr = &said, &said
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	for sweeps := 0; ; sweeps++ {
		if err := removeStale(dir); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("after %d sweeps: %v\n%s", sweeps, err, said.String())
			}
			if sweeps < 5 {
				t.Errorf("only %d sweeps while runs were claimed", sweeps)
			}
			return
		default:
		}
	}
}

// claimMany claims runs and temporary folders, and finds each afterwards.
func claimMany(t *testing.T, n string) {
	var count int
	if _, err := fmt.Sscan(n, &count); err != nil {
		t.Fatal(err)
	}
	dir, _, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		id := fmt.Sprintf("run-%d", i)
		if _, err := claim(id); err != nil {
			t.Fatal(err)
		}
		temp, remove, err := TempDir("test")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(dir, id+".lock"), temp} {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		remove()
		if _, err := os.Stat(temp); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", temp, err)
		}
	}
}

// A temporary folder stays as long as its process holds it.
func TestTempDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	dir, remove, err := TempDir("suite")
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	dead := filepath.Join(os.TempDir(), tempPrefix+"dead-1")
	if err := os.MkdirAll(filepath.Join(dead, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	locks, _, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := removeStale(locks); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the folder of a process that lives: %v", err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of one that died: %v", err)
	}
}

// A run that was released has no lock file, and its ID can be claimed anew.
func TestRelease(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, _, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := claim("released"); err != nil {
			t.Fatal(err)
		}
		if died, err := someDied(dir); died || err != nil {
			t.Errorf("a run that lives has died: %t, %v", died, err)
		}
		if err := Release("released"); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(left) > 0 {
			t.Errorf("lock files left: %v", left)
		}
	}
	if err := Release("never claimed"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dead.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if died, err := someDied(dir); !died || err != nil {
		t.Errorf("a process that died is found: %t, %v", died, err)
	}
}

// A run that ends while a sweep asks the engine what is there has not died: what the sweep is told is removed by now.
func TestEndsDuringASweep(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, place, err := claimDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ends", "lives"} {
		if _, err := claim(id); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = Release(id) }()
	}
	if err := os.WriteFile(filepath.Join(dir, "died.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := left{dir: dir, place: place, dead: map[string]*things{}, elsewhere: map[string]*things{}}
	if l.alive, err = locks(dir); err != nil {
		t.Fatal(err)
	}
	if err := Release("ends"); err != nil {
		t.Fatal(err)
	}
	if _, err := claim("began"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = Release("began") }()
	for _, owner := range []string{place + "/ends", place + "/lives", place + "/began", place + "/died", place + "/no file", "another place/lives"} {
		l.of(map[string]string{labelOwner: owner, labelRun: "lives"})
	}
	if got := slices.Sorted(maps.Keys(l.dead)); !slices.Equal(got, []string{"died", "no file"}) {
		t.Errorf("dead: %q", got)
	}
	if got := slices.Sorted(maps.Keys(l.elsewhere)); !slices.Equal(got, []string{"lives"}) {
		t.Errorf("elsewhere: %q", got)
	}
}
