package pgimages

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
)

// Prune removes the catalogue's images whose inputs have changed since, and says which. One that a container
// uses stays, with an error that says so.
func Prune(ctx context.Context) (removed []string, err error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	images, err := cli.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", "pgauthmatrix/*")})
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, image := range images.Items {
		for _, tag := range image.RepoTags {
			if !stale(tag) {
				continue
			}
			if _, err := cli.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
				errs = append(errs, err)
				continue
			}
			removed = append(removed, tag)
		}
	}
	slices.Sort(removed)
	return removed, errors.Join(errs...)
}

// stale is true of a tag of the catalogue that its inputs no longer give. Tags it does not know are none of its business.
func stale(tag string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(tag, "pgauthmatrix/"), ":")
	i := strings.LastIndexByte(name, '-')
	major, err := strconv.Atoi(name[i+1:])
	if c := Client(name); c.known() && c.version != "" {
		return tag != c.tag()
	}
	switch {
	case name == "kdc", name == "browser":
		return tag != Spec{kind: name}.tag()
	case i > 0 && name[:i] == "suite":
		return !slices.ContainsFunc(suites, func(s suite) bool { return tag == s.tag() })
	case strings.HasPrefix(name, "suite-postgres-") && err == nil:
		return tag != suiteFor(major).tag()
	case i > 0 && err == nil && slices.Contains([]string{"server", "client", "client-nogss"}, name[:i]):
		return tag != Spec{kind: name[:i], major: major}.tag()
	}
	return false
}
