package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

const (
	binaryName = "pgauthmatrix-agent"
	mainImport = "github.com/pgauthmatrix/pgauthmatrix/agent/pgauthmatrix-agent"
)

var building sync.Mutex

// Binary returns the path of the agent's static Linux executable for this machine's architecture: the one that lies
// beside the running program, or one built by the go command into the user's cache directory. The error says what to do.
func Binary(ctx context.Context) (string, error) { return binaryFor(ctx, runtime.GOARCH) }

// binaryFor is Binary for an engine of another architecture than this machine's. arch is GOARCH's spelling, which is
// also the engine's.
func binaryFor(ctx context.Context, arch string) (string, error) {
	if program, err := os.Executable(); err == nil && arch == runtime.GOARCH {
		beside := filepath.Join(filepath.Dir(program), binaryName)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("agent: no %s beside the running program and no cache directory to build it into (%w): run make build, or set XDG_CACHE_HOME", binaryName, err)
	}
	dir := filepath.Join(cache, "pgauthmatrix")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("agent: %w", err)
	}
	path := filepath.Join(dir, binaryName+"-linux-"+arch)
	building.Lock()
	defer building.Unlock()
	// The go command leaves an output alone that is up to date. With GOTMPDIR in the same directory it renames a new one
	// into place, so that another process reads the old file or the new one.
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, mainImport)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOTMPDIR="+dir)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("agent: no %s beside the running program, and building it failed (%w): run make build in the checkout and keep the two programs together\n%s", binaryName, err, strings.TrimSpace(string(output)))
	}
	return path, nil
}
