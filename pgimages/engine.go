package pgimages

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

var (
	engineLock sync.Mutex
	engine     *testcontainers.DockerClient
)

// Engine is the client of the container engine, one for the process. Everything that touches testcontainers-go goes
// through it first, for it decides about the reaper while that can still be decided.
func Engine(ctx context.Context) (*client.Client, error) {
	engineLock.Lock()
	defer engineLock.Unlock()
	if engine == nil {
		tclog.SetDefault(tclog.NewNoopLogger())
		decideReaper(ctx)
		e, err := testcontainers.NewDockerClientWithOpts(ctx)
		if err != nil {
			return nil, fmt.Errorf("no container engine answers: %w; start one (systemctl start docker) or set DOCKER_HOST", err)
		}
		engine = e
	}
	return engine.Client, nil
}

// reaperImage is the one that testcontainers-go v0.45.0 would pull.
const reaperImage = "testcontainers/ryuk:0.14.0"

// decideReaper turns the reaper of testcontainers-go off unless its image is here already or the user has decided: a
// pull of it may be impossible, and Sweep does its work. testcontainers-go reads the variable once, at its first use.
func decideReaper(ctx context.Context) {
	const disabled = "TESTCONTAINERS_RYUK_DISABLED"
	if os.Getenv(disabled) != "" {
		return
	}
	if c, err := client.New(client.FromEnv); err == nil {
		_, err = c.ImageInspect(ctx, reaperImage)
		_ = c.Close()
		if err == nil {
			return
		}
	}
	_ = os.Setenv(disabled, "true")
}
