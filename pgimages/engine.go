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
		if err := namedEngine(ctx); err != nil {
			return nil, err
		}
		decideReaper(ctx)
		e, err := testcontainers.NewDockerClientWithOpts(ctx)
		if err != nil {
			return nil, &NoEngine{fmt.Errorf("no container engine answers: %w; start one (systemctl start docker) or set DOCKER_HOST", err)}
		}
		engine = e
	}
	return engine.Client, nil
}

// NoEngine is an error of a machine without a container engine that answers. Nothing is wrong with what was asked.
type NoEngine struct{ error }

// Unwrap is the cause.
func (e *NoEngine) Unwrap() error { return e.error }

// namedEngine asks the engine that DOCKER_HOST names, if it names one: testcontainers-go would go on to others, and containers would start
// where nobody wants them.
func namedEngine(ctx context.Context) error {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		return nil
	}
	c, err := client.New(client.FromEnv)
	if err == nil {
		defer func() { _ = c.Close() }()
		_, err = c.Ping(ctx, client.PingOptions{})
	}
	if err != nil {
		return &NoEngine{fmt.Errorf("no container engine answers at DOCKER_HOST=%s: %w; start it, or unset DOCKER_HOST", host, err)}
	}
	return nil
}

// reaperImage is the one that testcontainers-go v0.45.0 would pull.
const reaperImage = "testcontainers/ryuk:0.14.0"

// reaperDisabled is a variable of the environment that testcontainers-go reads once, at its first use.
const reaperDisabled = "TESTCONTAINERS_RYUK_DISABLED"

// decideReaper turns the reaper of testcontainers-go off unless its image is here already or the user has decided: a
// pull of it may be impossible, and Sweep does its work.
func decideReaper(ctx context.Context) {
	if os.Getenv(reaperDisabled) != "" {
		return
	}
	if c, err := client.New(client.FromEnv); err == nil {
		_, err = c.ImageInspect(ctx, reaperImage)
		_ = c.Close()
		if err == nil {
			return
		}
	}
	_ = os.Setenv(reaperDisabled, "true")
}
