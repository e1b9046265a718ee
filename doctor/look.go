package doctor

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// patience is how long one question to the engine may take.
const patience = 30 * time.Second

// Look sees everything that the checks judge. It changes nothing but for one container, which it removes.
func Look(ctx context.Context, runs string) *Facts {
	f := &Facts{}
	f.Temp = space("temporary files", os.TempDir())
	f.Runs = space("runs", existing(runs))
	f.Entropy = lookEntropy()
	f.Tools = lookTools()
	var wait sync.WaitGroup
	wait.Go(func() {
		var err error
		if f.Mirror.URL, err = pgimages.Mirror(ctx); err != nil {
			f.Mirror.Err = err.Error()
		}
	})
	f.Memory = lookMemory("/proc/meminfo")
	f.engine(ctx)
	wait.Wait()
	return f
}

// engine asks the engine everything that it can be asked.
func (f *Facts) engine(ctx context.Context) {
	f.Engine.Host, f.Engine.FromEnv = os.Getenv("DOCKER_HOST"), os.Getenv("DOCKER_HOST") != ""
	cli, err := pgimages.Engine(ctx)
	if err != nil {
		f.Engine.Err = err.Error()
		return
	}
	f.Engine.Host = cli.DaemonHost()
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	got, err := cli.Info(asked, client.InfoOptions{})
	took := time.Since(began)
	if err != nil {
		f.Engine.Err = err.Error()
		return
	}
	info := got.Info
	version, err := cli.ServerVersion(asked, client.ServerVersionOptions{})
	if err != nil {
		f.Engine.Err = err.Error()
		return
	}
	f.Engine.Version, f.Engine.API, f.Engine.Platform = version.Version, version.APIVersion, version.Os+"/"+version.Arch
	f.Engine.Cgroup, f.Engine.Storage = info.CgroupVersion, info.Driver
	if now, err := time.Parse(time.RFC3339Nano, info.SystemTime); err != nil {
		f.Clock.Err = "the engine does not say its time"
	} else {
		f.Clock.Offset, f.Clock.Within = now.Sub(began.Add(took/2)), took/2
	}
	if f.Memory.Err != "" && info.MemTotal > 0 {
		f.Memory = Memory{Available: info.MemTotal, Of: "in all, on the engine's machine"}
	}
	here := f.images(ctx)
	f.Registry = Registry{Name: "docker.io", Probe: pgimages.RegistryReference}
	if err := pgimages.RegistryAnswers(ctx); err != nil {
		f.Registry.Err = err.Error()
	}
	if f.Leftovers.Dead, f.Leftovers.Elsewhere, err = pgimages.Leftovers(ctx); err != nil {
		f.Leftovers.Err = err.Error()
	}
	f.container(ctx, cli, here)
	if f.Root.What == "" { // no container said it
		f.Root = space("images and containers", info.DockerRootDir)
		if !strings.HasPrefix(f.Engine.Host, "unix://") {
			f.Root = Space{What: f.Root.What, Err: "the engine is on another machine"}
		}
	}
}

// images sees which are here and returns the tag of one; empty if there is none.
func (f *Facts) images(ctx context.Context) (here string) {
	tags, err := pgimages.Here(ctx)
	if err != nil {
		f.Images.Err = err.Error()
		return ""
	}
	for _, s := range pgimages.Catalogue() {
		f.Images.All++
		if tag := tags[s.Name()]; tag != "" {
			here = cmp.Or(here, tag)
			continue
		}
		f.Images.Missing = append(f.Images.Missing, s.Name())
		if !s.FromDebian() {
			f.Images.NoRelease = append(f.Images.NoRelease, s.Name())
		}
	}
	return here
}

// container starts one, of an image of the catalogue, which then says how much room the engine has; where there is none, of an image
// that has this program alone.
func (f *Facts) container(ctx context.Context, cli *client.Client, image string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	argv := []string{"df", "-Pk", "/"}
	if image == "" {
		var err error
		if image, err = importProgram(ctx, cli, f.Engine.Platform); err != nil {
			f.Container.Skipped = "there is no image to try with: " + err.Error()
			return
		}
		defer func() { _, _ = cli.ImageRemove(context.WithoutCancel(ctx), image, client.ImageRemoveOptions{}) }()
		argv = []string{"/pgauthmatrix", "help"}
	}
	f.Container.Image, _, _ = strings.Cut(image, ":")
	output, err := runOnce(ctx, cli, image, argv)
	if err != nil {
		f.Container.Err = err.Error()
		return
	}
	if free, ok := freeSpace(output); ok {
		f.Root = Space{What: "images and containers", Path: "the engine's storage", Free: free, NoInodes: true}
	}
}

// freeSpace reads the available kilobytes of `df -Pk` (POSIX: the fourth column of the last line).
func freeSpace(df string) (bytes int64, ok bool) {
	lines := strings.Split(strings.TrimSpace(df), "\n")
	words := strings.Fields(lines[len(lines)-1])
	if len(lines) != 2 || len(words) != 6 {
		return 0, false
	}
	n, err := strconv.ParseInt(words[3], 10, 64)
	return n * 1024, err == nil
}

// runOnce runs a program in a container of its own and gives what it printed.
func runOnce(ctx context.Context, cli *client.Client, image string, argv []string) (output string, err error) {
	labels, err := pgimages.Labels("doctor-" + strings.ToLower(rand.Text()[:8]))
	if err != nil {
		return "", err
	}
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: image, Entrypoint: argv[:1], Cmd: argv[1:], Labels: labels}})
	if err != nil {
		return "", err
	}
	defer func() {
		_, removeErr := cli.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if !errdefs.IsNotFound(removeErr) {
			err = errors.Join(err, removeErr)
		}
	}()
	ended := cli.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return "", err
	}
	select {
	case err := <-ended.Error:
		return "", err
	case end := <-ended.Result:
		logs, err := cli.ContainerLogs(ctx, made.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
		if err != nil {
			return "", err
		}
		defer func() { _ = logs.Close() }()
		var b bytes.Buffer
		if _, err := stdcopy.StdCopy(&b, &b, logs); err != nil {
			return "", err
		}
		if end.StatusCode != 0 {
			return "", fmt.Errorf("%s in a container of %s: status %d: %s", argv[0], image, end.StatusCode, b.String())
		}
		return b.String(), nil
	}
}

// importProgram makes an image with the running program alone, if that needs no library.
func importProgram(ctx context.Context, cli *client.Client, platform string) (tag string, err error) {
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != platform {
		return "", fmt.Errorf("none of the catalogue is here, and this program is for %s, the engine for %s", here, platform)
	}
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := elf.Open(name)
	if err != nil {
		return "", err
	}
	dynamic := slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if err := program.Close(); err != nil || dynamic {
		return "", errors.Join(err, errors.New("none of the catalogue is here, and this program is not linked statically (make build does that)"))
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	in, out := io.Pipe()
	defer func() { _ = in.Close() }()
	go func() {
		w := tar.NewWriter(out)
		err := w.WriteHeader(&tar.Header{Name: "pgauthmatrix", Mode: 0o755, Size: info.Size()})
		if err == nil {
			_, err = io.Copy(w, f)
		}
		_ = out.CloseWithError(errors.Join(err, w.Close()))
	}()
	tag = "pgauthmatrix/doctor:" + strings.ToLower(rand.Text()[:8])
	answer, err := cli.ImageImport(ctx, client.ImageImportSource{Source: in, SourceName: "-"}, tag, client.ImageImportOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Close() }()
	_, err = io.Copy(io.Discard, answer)
	return tag, err
}

// existing is a folder, or the nearest one above it that there is.
func existing(folder string) string {
	folder, err := filepath.Abs(folder)
	for err == nil && folder != filepath.Dir(folder) {
		if _, statErr := os.Stat(folder); statErr == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	return folder
}

func space(what, folder string) Space {
	s := Space{What: what, Path: folder}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		s.Err = fmt.Sprintf("%s: %v", folder, err)
		return s
	}
	s.Free, s.Inodes, s.NoInodes = int64(fs.Bavail)*fs.Bsize, fs.Ffree, fs.Files == 0
	return s
}

// lookMemory reads Linux's account of memory.
func lookMemory(file string) Memory {
	text, err := os.ReadFile(file)
	if err != nil {
		return Memory{Err: err.Error()}
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil {
				return Memory{Available: kilobytes * 1024, Of: "available on this machine"}
			}
		}
	}
	return Memory{Err: file + " has no MemAvailable"}
}

func lookEntropy() Entropy {
	text, err := os.ReadFile("/proc/sys/kernel/random/entropy_avail")
	if err != nil {
		return Entropy{Err: err.Error()}
	}
	bits, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return Entropy{Err: err.Error()}
	}
	return Entropy{Bits: bits}
}

func lookTools() Tools {
	missing := func(name string) bool {
		_, err := exec.LookPath(name)
		return err != nil
	}
	_, err := os.Stat("Makefile")
	return Tools{Checkout: err == nil, NoMmdebstrap: missing("mmdebstrap"), NoMake: missing("make"), NoGo: missing("go"), Root: os.Geteuid() == 0 && !missing("apt-get")}
}
