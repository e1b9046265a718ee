package pgimages

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// PackageDate is the date of the package whose version Image.Version has: the time of one of its files. Debian gives the files of a package the time of its
// changelog's last entry at the latest, which is some days after the release of the minor version. The zero Time is no date: the image has no file that is
// known here. Nothing is started: the file is asked for in a container that only is made, and removed.
func PackageDate(ctx context.Context, i Image, runID string) (date time.Time, err error) {
	files := i.Spec.dated()
	if len(files) == 0 || i.Unavailable != "" {
		return date, nil
	}
	cli, err := Engine(ctx)
	if err != nil {
		return date, err
	}
	labels, err := Labels(runID)
	if err != nil {
		return date, err
	}
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: i.Tag, Labels: labels, Cmd: []string{"true"}}})
	if err != nil {
		return date, fmt.Errorf("date of image %s: %w", i.Name, err)
	}
	defer func() {
		_, removed := cli.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		err = errors.Join(err, removed)
	}()
	for _, file := range files {
		if stat, err := cli.ContainerStatPath(ctx, made.ID, client.ContainerStatPathOptions{Path: file}); err == nil {
			return stat.Stat.Mtime.UTC(), nil
		}
	}
	return date, nil
}

// dated are files of the package that gives an image its version: the first that is there tells the date. libpq's directory has the name of the machine's
// architecture.
func (s Spec) dated() (files []string) {
	switch s.kind {
	case "server":
		return []string{fmt.Sprintf("/usr/lib/postgresql/%d/bin/postgres", s.major)}
	case "kdc":
		return []string{"/usr/sbin/krb5kdc"}
	case "client", "client-nogss":
		for _, machine := range []string{"x86_64", "aarch64"} {
			files = append(files, path.Join("/usr/lib", machine+"-linux-gnu", "libpq.so.5"))
		}
	}
	if strings.HasPrefix(s.kind, "client-asyncpg") {
		return []string{"/usr/lib/python3/dist-packages/asyncpg/__init__.py"}
	}
	return files
}
