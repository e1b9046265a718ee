package pgimages

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

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
	err = inContainer(ctx, i, runID, func(cli *client.Client, id string) error {
		for _, file := range files {
			if stat, err := cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: file}); err == nil {
				date = stat.Stat.Mtime.UTC()
				return nil
			}
		}
		return nil
	})
	return date, err
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
