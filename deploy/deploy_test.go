// Package deploy has what carries a run out elsewhere: an image of the tool, a Job for Kubernetes. Its only Go is tests.
package deploy

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

const (
	tag   = "pgauthmatrix/tool:test"
	runID = "deploy-test"
	cells = "negotiation/hostssl-alone/pg18/ssl=on/libpq18"
)

// The tool in its image, with nothing but the engine's socket, carries a run out. A run that is killed in it is swept by the next one that
// has the same cache.
func TestToolInAContainer(t *testing.T) {
	livetest.NeedsContainers(t)
	cli, err := pgimages.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	labels, err := pgimages.Labels(runID)
	if err != nil {
		t.Fatal(err)
	}
	buildTool(t, cli, base(t))
	cache, err := cli.VolumeCreate(t.Context(), client.VolumeCreateOptions{Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := cli.VolumeCreate(t.Context(), client.VolumeCreateOptions{Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range []string{cache.Volume.Name, runs.Volume.Name} {
			if _, err := cli.VolumeRemove(context.WithoutCancel(t.Context()), v, client.VolumeRemoveOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	mounts := []mount.Mount{
		{Type: mount.TypeBind, Source: socket(cli.DaemonHost()), Target: "/engine.sock"},
		{Type: mount.TypeVolume, Source: cache.Volume.Name, Target: "/var/cache"},
		{Type: mount.TypeVolume, Source: runs.Volume.Name, Target: "/work/runs"},
	}
	start := func(config container.Config, mounts []mount.Mount) string {
		t.Helper()
		config.Image, config.Env, config.Labels = tag, []string{"DOCKER_HOST=unix:///engine.sock"}, labels
		made, err := cli.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: &config, HostConfig: &container.HostConfig{Mounts: mounts}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, err := cli.ContainerRemove(context.WithoutCancel(t.Context()), made.ID, client.ContainerRemoveOptions{Force: true})
			if err != nil && !errdefs.IsNotFound(err) {
				t.Error(err)
			}
		})
		if _, err := cli.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}

	few := container.Config{Cmd: []string{"run", "--axis", "sslmode=require", cells}}
	killed := start(few, mounts)
	killedRun := waitForEnv(t, cli, killed)
	if _, err := cli.ContainerKill(t.Context(), killed, client.ContainerKillOptions{}); err != nil {
		t.Fatal(err)
	}

	whole := start(few, mounts)
	status, output := wait(t, cli, whole)
	if status != 0 || !strings.Contains(output, "GREEN") {
		t.Errorf("status %d:\n%s", status, output)
	}
	if !strings.Contains(output, "removed the containers that run "+killedRun+" left") {
		t.Errorf("what run %s left was not removed:\n%s", killedRun, output)
	}
	saved, err := reports.Open(copyRun(t, cli, whole, killedRun))
	if err != nil {
		t.Fatal(err)
	}
	summary, err := reports.Summarize(saved)
	if err != nil {
		t.Fatal(err)
	}
	if n := summary.Counts[verdict.Agree]; !summary.Green() || n == 0 {
		t.Errorf("%+v", summary)
	}

	status, output = wait(t, cli, start(container.Config{Cmd: []string{"doctor"}}, mounts))
	if status != 0 || !strings.Contains(output, "ok       container") {
		t.Errorf("doctor: status %d:\n%s", status, output)
	}

	// The folder of runs is full in the middle: the run ends with one line and can be tried again, what it had is kept, and it leaves no containers.
	mounts[2] = mount.Mount{Type: mount.TypeTmpfs, Target: "/work/runs", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 16 << 10}}
	_, output = wait(t, cli, start(container.Config{Entrypoint: []string{"sh", "-c"},
		Cmd: []string{"pgauthmatrix run " + cells + "; echo status $?; ls runs; pgauthmatrix cat runs/*"}}, mounts))
	_, rest, _ := strings.Cut(output, "run.jsonl.zst: no space left on device\n")
	_, rest, found := strings.Cut(rest, "status 4\n")
	full, rest, _ := strings.Cut(rest, "\n")
	if n := strings.Count(rest, `"status":"Agree"`); !found || n == 0 || n > strings.Count(rest, "\n") {
		t.Errorf("a full disk; %d records can be read:\n%s", n, output)
	}
	_, elsewhere, err := pgimages.Leftovers(t.Context())
	if err != nil || slices.Contains(elsewhere, full) {
		t.Errorf("run %s left something: %v, %v", full, elsewhere, err)
	}
}

// buildTool is `make tool-image`, without the command line of Docker.
func buildTool(t *testing.T, cli *client.Client, base string) {
	t.Helper()
	bin := t.TempDir()
	for name, pkg := range map[string]string{"pgauthmatrix": "../cmd/pgauthmatrix", "pgauthmatrix-agent": "../agent/pgauthmatrix-agent"} {
		compile := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(bin, name), pkg)
		compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		if output, err := compile.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	for _, name := range []string{"Dockerfile", filepath.Join(bin, "pgauthmatrix"), filepath.Join(bin, "pgauthmatrix-agent")} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		err = w.WriteHeader(&tar.Header{Name: filepath.Base(name), Mode: 0o755, Size: int64(len(data))})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	answer, err := cli.ImageBuild(t.Context(), &files, client.ImageBuildOptions{Version: build.BuilderV1, Tags: []string{tag}, BuildArgs: map[string]*string{"BASE": &base}, Remove: true, ForceRemove: true})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	output, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Contains(output, []byte("Successfully tagged")) {
		t.Fatalf("%v: %s", err, output)
	}
	t.Cleanup(func() {
		if _, err := cli.ImageRemove(context.WithoutCancel(t.Context()), tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
			t.Error(err)
		}
	})
}

// base is an image that is here in the place of Debian's own, which comes from a registry.
func base(t *testing.T) string {
	t.Helper()
	images, err := pgimages.Ensure(t.Context(), []pgimages.Spec{pgimages.KDC()}, nil)
	if err != nil || images[0].Unavailable != "" {
		t.Fatal(err, images)
	}
	return images[0].Tag
}

// socket is the path of the engine's socket as the engine sees it.
func socket(host string) string {
	if path, ok := strings.CutPrefix(host, "unix://"); ok && !strings.Contains(path, "/Users/") && !strings.Contains(path, "/home/") {
		return path
	}
	return "/var/run/docker.sock" // where an engine in a virtual machine has its own
}

// waitForEnv waits until the run in a container has containers of its own, and returns the run's ID.
func waitForEnv(t *testing.T, cli *client.Client, id string) (run string) {
	t.Helper()
	logs, err := cli.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, in, logs)
		_ = in.CloseWithError(err)
	}()
	var said bytes.Buffer
	buffer := make([]byte, 4096)
	for !strings.Contains(said.String(), "pg18: negotiation/hostssl-alone") {
		n, err := out.Read(buffer)
		said.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return runsIn(t, cli, id)[0]
}

// wait waits until a container ends.
func wait(t *testing.T, cli *client.Client, id string) (status int64, output string) {
	t.Helper()
	ended := cli.ContainerWait(t.Context(), id, client.ContainerWaitOptions{})
	select {
	case err := <-ended.Error:
		t.Fatal(err)
	case end := <-ended.Result:
		status = end.StatusCode
	}
	logs, err := cli.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, logs); err != nil {
		t.Fatal(err)
	}
	return status, b.String()
}

// runsIn are the IDs of the runs below a container's folder of runs.
func runsIn(t *testing.T, cli *client.Client, id string) (runs []string) {
	t.Helper()
	files(t, cli, id, func(header *tar.Header, _ io.Reader) {
		if rest, ok := strings.CutPrefix(path.Clean(header.Name), "runs/"); ok && !strings.Contains(rest, "/") {
			runs = append(runs, rest)
		}
	})
	if len(runs) == 0 {
		t.Fatal("it has no folder of a run")
	}
	return runs
}

// copyRun copies the records of the run that is not this one out of a container, and returns their folder.
func copyRun(t *testing.T, cli *client.Client, id, not string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	copied := false
	files(t, cli, id, func(header *tar.Header, content io.Reader) {
		if path.Base(header.Name) != reports.FileName || strings.Contains(header.Name, not) {
			return
		}
		data, err := io.ReadAll(content)
		if err = errors.Join(err, os.WriteFile(filepath.Join(folder, reports.FileName), data, 0o600)); err != nil {
			t.Fatal(err)
		}
		copied = true
	})
	if !copied {
		t.Fatal("the run left no records")
	}
	return folder
}

func files(t *testing.T, cli *client.Client, id string, each func(*tar.Header, io.Reader)) {
	t.Helper()
	answer, err := cli.CopyFromContainer(t.Context(), id, client.CopyFromContainerOptions{SourcePath: "/work/runs"})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Content.Close()
	for r := tar.NewReader(answer.Content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		each(header, r)
	}
}
