package pgimages

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// Labels of containers, networks and volumes.
const (
	labelOurs  = "pgauthmatrix=1"
	labelRun   = "pgauthmatrix.run"
	labelOwner = "pgauthmatrix.owner" // PLACE/RUNID: see claim
	// Of containers: the name of their network. The engine does not count a container that joins another one's interfaces among those on a network.
	labelNetwork = "pgauthmatrix.network"
)

// Labels go on everything that a run makes on the engine. The first call for a run claims it for this process: as long
// as the process lives, Sweep in another one leaves the run's things alone.
func Labels(runID string) (map[string]string, error) {
	owner, err := claim(runID)
	if err != nil {
		return nil, err
	}
	return map[string]string{"pgauthmatrix": "1", labelRun: runID, labelOwner: owner}, nil
}

// A run is alive as long as a process holds a lock on its file: the kernel lets go of it however the process ends, no
// process id can be mistaken for another, and a reboot ends it. The directory of these files has an identity of its own,
// which goes into the label: only who sees the same directory can tell whether a run is alive, and who cannot (another
// machine on the same engine, another user) leaves its things alone.
var (
	claimLock sync.Mutex
	claims    = map[string]*os.File{} // by run ID; kept open for the life of the process
)

func claim(runID string) (owner string, err error) {
	if runID == "" || strings.ContainsAny(runID, `/\`) || strings.HasPrefix(runID, ".") {
		return "", fmt.Errorf("run ID %q: it must be usable as a file name", runID)
	}
	claimLock.Lock()
	defer claimLock.Unlock()
	dir, place, err := claimDir()
	if err != nil {
		return "", fmt.Errorf("claiming run %s: %w", runID, err)
	}
	if claims[runID] == nil {
		claiming, err := lockClaims(dir)
		if err != nil {
			return "", fmt.Errorf("claiming run %s: %w", runID, err)
		}
		defer claiming.Close()
		f, err := lockFile(filepath.Join(dir, runID+".lock"), os.O_CREATE)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return "", fmt.Errorf("run %s belongs to another process: every run needs an ID of its own", runID)
		}
		if err != nil {
			return "", fmt.Errorf("claiming run %s: %w", runID, err)
		}
		claims[runID] = f
	}
	return place + "/" + runID, nil
}

// lockClaims takes the lock that is held while a lock file is made and locked, and while those that nobody holds are removed. Without it a sweep could remove
// the file of a process between the two, and the next sweep would take that process for dead.
func lockClaims(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "claiming"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // nobody holds it for long
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// claimDir is where the lock files are, and the identity of that place.
func claimDir() (dir, place string, err error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir = filepath.Join(base, "pgauthmatrix", "runs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	file := filepath.Join(dir, "place")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		// Linked into place: of two processes that do this at once, one wins and both read the same.
		f, err := os.CreateTemp(dir, ".place")
		if err != nil {
			return "", "", err
		}
		_, err = f.WriteString(rand.Text())
		err = errors.Join(err, f.Close())
		if linkErr := os.Link(f.Name(), file); !errors.Is(linkErr, fs.ErrExist) {
			err = errors.Join(err, linkErr)
		}
		if err = errors.Join(err, os.Remove(f.Name())); err != nil {
			return "", "", err
		}
	}
	id, err := os.ReadFile(file)
	return dir, string(id), err
}

// lockFile opens and locks; EWOULDBLOCK says that another process holds it.
func lockFile(name string, flag int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	// A sweep may have removed the file between the two: others would not see this lock.
	locked, err := f.Stat()
	if err == nil {
		var named os.FileInfo
		if named, err = os.Stat(name); err == nil && os.SameFile(locked, named) {
			return f, nil
		}
	}
	_ = f.Close()
	if errors.Is(err, fs.ErrNotExist) && flag == 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return lockFile(name, flag)
}

// lockAlone locks as lockFile does, and waits while another process holds it.
func lockAlone(ctx context.Context, name string) (*os.File, error) {
	for {
		f, err := lockFile(name, os.O_CREATE)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Sweep removes the containers, networks and volumes of runs that have died, and says which runs they were. What belongs to a live run,
// to this process, to a run that is kept, or to a run of which it cannot be known stays.
func Sweep(ctx context.Context) (runs []string, err error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	claimLock.Lock()
	defer claimLock.Unlock()
	dir, place, err := claimDir()
	if err != nil {
		return nil, err
	}
	alone, err := lockAlone(ctx, filepath.Join(dir, "sweeping")) // two at a time would remove the same things
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, alone.Close()) }()
	died, err := someDied(dir)
	if err != nil {
		return nil, err
	}
	looks := 1
	if died {
		looks = settledLooks
	}
	var errs []error
	for quiet, last := 0, time.Now().Add(sweepTime); quiet < looks; {
		dead, _, err := leftBehind(ctx, cli, dir, place)
		if err != nil {
			return runs, err
		}
		quiet, errs = quiet+1, nil
		if len(dead) > 0 && time.Now().Before(last) {
			quiet = 0
		}
		for id, t := range dead {
			if !slices.Contains(runs, id) {
				runs = append(runs, id)
			}
			errs = append(errs, removeAll(ctx, cli, t.containers, t.networks, t.volumes))
		}
		if quiet < looks {
			select {
			case <-time.After(settlePause):
			case <-ctx.Done():
				return runs, context.Cause(ctx)
			}
		}
	}
	return runs, errors.Join(append(errs, removeStale(dir))...)
}

// The engine carries out what a client has asked for although the client has been killed: containers and volumes appear after its death, and hold on to what a
// sweep would remove. Where a process has died, a sweep ends when so many looks in a row, with a pause between, have found nothing. It gives up after sweepTime.
const (
	settledLooks = 10
	settlePause  = 250 * time.Millisecond
	sweepTime    = time.Minute
)

// held says whether a lock file is there that cannot be locked: a process holds it, or that cannot be known.
func held(name string) bool {
	f, err := lockFile(name, 0)
	if err == nil {
		_ = f.Close()
	}
	return err != nil && !errors.Is(err, fs.ErrNotExist)
}

// locks says of each process with a lock file whether it lives, by run ID.
func locks(dir string) (alive map[string]bool, err error) {
	claiming, err := lockClaims(dir) // a process that has just made its file finds it locked otherwise
	if err != nil {
		return nil, err
	}
	defer claiming.Close()
	alive = map[string]bool{}
	names, _ := filepath.Glob(filepath.Join(dir, "*.lock")) // the pattern is right
	for _, name := range names {
		alive[strings.TrimSuffix(filepath.Base(name), ".lock")] = held(name)
	}
	return alive, nil
}

// someDied says whether a process died since the last sweep: its lock file is there, and nobody holds it.
func someDied(dir string) (bool, error) {
	alive, err := locks(dir)
	for _, lives := range alive {
		if !lives {
			return true, err
		}
	}
	return false, err
}

// Release ends the claim of a run whose things are removed: the next sweep need not look for what a process left that died.
func Release(runID string) error {
	claimLock.Lock()
	defer claimLock.Unlock()
	f := claims[runID]
	if f == nil {
		return nil
	}
	dir, _, err := claimDir()
	if err != nil {
		return err
	}
	claiming, err := lockClaims(dir)
	if err != nil {
		return err
	}
	defer claiming.Close()
	delete(claims, runID)
	return errors.Join(os.Remove(filepath.Join(dir, runID+".lock")), f.Close())
}

// Leftovers are the IDs of runs that have things on the engine: dead ones, whose things Sweep removes, and those of which it cannot
// be known here whether they are alive.
func Leftovers(ctx context.Context) (dead, elsewhere []string, err error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, nil, err
	}
	claimLock.Lock()
	defer claimLock.Unlock()
	dir, place, err := claimDir()
	if err != nil {
		return nil, nil, err
	}
	left, unknown, err := leftBehind(ctx, cli, dir, place)
	return slices.Sorted(maps.Keys(left)), slices.Sorted(maps.Keys(unknown)), err
}

// things are what a run has on the engine.
type things struct{ containers, networks, volumes []string }

// leftBehind finds the things of dead runs, and of those that belong to another place, by run ID. claimLock is held.
func leftBehind(ctx context.Context, cli *client.Client, dir, place string) (dead, elsewhere map[string]*things, err error) {
	l := left{dir: dir, place: place, dead: map[string]*things{}, elsewhere: map[string]*things{}}
	// Before the engine is asked: a run that ends meanwhile has removed what is listed.
	if l.alive, err = locks(dir); err != nil {
		return nil, nil, err
	}
	return l.dead, l.elsewhere, find(ctx, cli, labelOurs, l.of)
}

// left counts things by who left them.
type left struct {
	dir, place      string
	alive           map[string]bool // by run ID; a run that is not in it began later, or its lock file is gone
	dead, elsewhere map[string]*things
}

// of says where a thing with these labels is to be counted.
func (l *left) of(labels map[string]string) *things {
	id, ours := strings.CutPrefix(labels[labelOwner], l.place+"/")
	in := l.dead
	switch {
	case !ours || id == "":
		in, id = l.elsewhere, labels[labelRun]
	case in[id] == nil && !l.alive[id]:
		_, kept := os.Stat(keptFile(l.dir, id))
		l.alive[id] = kept == nil || held(filepath.Join(l.dir, id+".lock"))
	}
	if ours && l.alive[id] {
		return new(things) // nothing looks at this one
	}
	if in[id] == nil {
		in[id] = new(things)
	}
	return in[id]
}

// find lists what has a label; of says where each thing is to be counted.
func find(ctx context.Context, cli *client.Client, label string, of func(labels map[string]string) *things) error {
	filter := make(client.Filters).Add("label", label)
	containers, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return err
	}
	for _, c := range containers.Items {
		t := of(c.Labels)
		t.containers = append(t.containers, c.ID)
	}
	networks, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, n := range networks.Items {
		t := of(n.Labels)
		t.networks = append(t.networks, n.ID)
	}
	volumes, err := cli.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		t := of(v.Labels)
		t.volumes = append(t.volumes, v.Name)
	}
	return nil
}

// tempPrefix begins the names of the folders that TempDir makes.
const tempPrefix = "pgauthmatrix-temp-"

// TempDir makes a folder for files that the process needs for a while. If the process dies, the next Sweep removes it.
func TempDir(name string) (dir string, remove func(), err error) {
	locks, _, err := claimDir()
	if err != nil {
		return "", nil, err
	}
	claiming, err := lockClaims(locks)
	if err != nil {
		return "", nil, err
	}
	defer claiming.Close()
	if dir, err = os.MkdirTemp("", tempPrefix+name+"-"); err != nil {
		return "", nil, err
	}
	held, err := lockDir(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, func() { _ = errors.Join(os.RemoveAll(dir), held.Close()) }, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeStale removes the lock files and the temporary folders that no process holds.
func removeStale(dir string) error {
	claiming, err := lockClaims(dir)
	if err != nil {
		return err
	}
	defer claiming.Close()
	names, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	for _, name := range names {
		if f, lockErr := lockFile(name, 0); lockErr == nil {
			err = errors.Join(err, os.Remove(name), f.Close())
		}
	}
	temps, globErr := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	err = errors.Join(err, globErr)
	for _, temp := range temps {
		if f, lockErr := lockDir(temp); lockErr == nil { // another user's is not opened, and stays
			err = errors.Join(err, os.RemoveAll(temp), f.Close())
		}
	}
	return err
}

// removeAll removes containers, then what they held on to. What is gone already is no error.
func removeAll(ctx context.Context, cli *client.Client, containers, networks, volumes []string) error {
	var group errgroup.Group
	group.SetLimit(4)
	for _, id := range containers {
		group.Go(func() error { return (&Running{ID: id, cli: cli}).Remove(ctx) })
	}
	errs := []error{group.Wait()}
	for _, id := range networks {
		if err := removeNetwork(ctx, cli, id); !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	for _, name := range volumes {
		if _, err := cli.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeNetwork removes a network. The containers that are still on it are not the run's: they stay, without it.
func removeNetwork(ctx context.Context, cli *client.Client, id string) error {
	found, err := cli.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	if err != nil {
		return err
	}
	for container := range found.Network.Containers {
		if _, err := cli.NetworkDisconnect(ctx, id, client.NetworkDisconnectOptions{Container: container, Force: true}); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	_, err = cli.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	return err
}
