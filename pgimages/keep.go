package pgimages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// A run that is kept outlives its process: Sweep leaves its things alone. What has no file yet is a run like any other, so that one that dies
// while it starts is swept.

func keptFile(dir, runID string) string { return filepath.Join(dir, runID+".kept") }

// Keep makes the things of a run stay until Remove.
func Keep(runID string) error {
	dir, _, err := claimDir()
	if err != nil {
		return err
	}
	return os.WriteFile(keptFile(dir, runID), nil, 0o600)
}

// WithoutReaper keeps testcontainers-go from removing what this process makes when the process ends. It is called before anything else of this package.
func WithoutReaper() { _ = os.Setenv(reaperDisabled, "true") }

// Standing is what there is on the engine of one run.
type Standing struct {
	RunID      string
	Containers []StandingContainer // sorted by image; none where somebody has removed them
}

// StandingContainer is a container of a run.
type StandingContainer struct {
	ID      string
	Image   string    // server-17, client-17, kdc
	State   string    // running, exited, …
	Created time.Time // to the second
	Ports   []string  // 127.0.0.1:32768->5432/tcp
}

// Standings are the runs whose IDs begin with the prefix and that have containers, networks or volumes, sorted by ID. Those of other machines and
// users of the same engine are among them.
func Standings(ctx context.Context, prefix string) ([]*Standing, error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]*Standing{}
	if err := find(ctx, cli, labelOurs, func(labels map[string]string) *things {
		if id := labels[labelRun]; strings.HasPrefix(id, prefix) && found[id] == nil {
			found[id] = &Standing{RunID: id}
		}
		return new(things) // that there is something is enough
	}); err != nil {
		return nil, err
	}
	containers, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelOurs)})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		s := found[c.Labels[labelRun]]
		if s == nil {
			continue
		}
		image, _, _ := strings.Cut(strings.TrimPrefix(c.Image, "pgauthmatrix/"), ":")
		one := StandingContainer{ID: c.ID, Image: image, State: string(c.State), Created: time.Unix(c.Created, 0)}
		for _, p := range c.Ports {
			if p.PublicPort != 0 {
				one.Ports = append(one.Ports, fmt.Sprintf("%s:%d->%d/%s", p.IP, p.PublicPort, p.PrivatePort, p.Type))
			}
		}
		slices.Sort(one.Ports)
		s.Containers = append(s.Containers, one)
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b *Standing) int { return strings.Compare(a.RunID, b.RunID) })
	for _, s := range all {
		slices.SortFunc(s.Containers, func(a, b StandingContainer) int { return strings.Compare(a.Image, b.Image) })
	}
	return all, nil
}

// Remove removes everything on the engine that belongs to a run, of this process or another, and no longer keeps it.
func Remove(ctx context.Context, runID string) error {
	cli, err := Engine(ctx)
	if err != nil {
		return err
	}
	var all things
	if err := find(ctx, cli, labelRun+"="+runID, func(map[string]string) *things { return &all }); err != nil {
		return err
	}
	if err := removeAll(ctx, cli, all.containers, all.networks, all.volumes); err != nil {
		return err
	}
	dir, _, err := claimDir()
	if err != nil {
		return err
	}
	if err := os.Remove(keptFile(dir, runID)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
