package pgimages

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sync/semaphore"
)

// Recipe says how the image that everything of one PostgreSQL version stands on is built where a registry answers: it has that version's server, psql
// and libpq, and MIT Kerberos; that of KDCMajor has the KDC and openssl, too. Its ENTRYPOINT waits to be told.
type Recipe struct {
	Name  string            // suite-trixie
	Tag   string            // that of the image here, if there is one: pgauthmatrix/suite-trixie:HASH
	Base  string            // what has to be pulled: debian:trixie-slim
	Files map[string][]byte // the build's context by name, with its Dockerfile; those without an extension are executable
}

// KDCMajor is the PostgreSQL version with which the KDC's image comes.
const KDCMajor = kdcMajor

// RecipeFor is the recipe of a PostgreSQL version.
func RecipeFor(major int) Recipe {
	s := suiteFor(major)
	r := Recipe{Name: "suite-" + s.name, Tag: s.tag(), Base: s.pull, Files: map[string][]byte{}}
	for _, f := range contextFiles("suite") {
		r.Files[f.name] = f.data
	}
	text := string(r.Files["Dockerfile"])
	for name, value := range map[string]string{"BASE": s.pull, "PACKAGES": strings.Join(s.packages(), " "), "MAJOR": strconv.Itoa(s.major), "APT_OPTIONS": s.aptArguments()} {
		text = strings.Replace(text, "ARG "+name+"\n", fmt.Sprintf("ARG %s=%q\n", name, value), 1)
	}
	r.Files["Dockerfile"] = []byte(text + strings.Join(s.configuration(), "\n") + "\n")
	return r
}

// SaveSuites has the images of the recipes of these versions, which are built if they are not here, and writes them as docker save does.
func SaveSuites(ctx context.Context, w io.Writer, progress func(name, line string), majors ...int) error {
	cli, err := Engine(ctx)
	if err != nil {
		return err
	}
	b := &builder{cli: cli, slots: semaphore.NewWeighted(1), made: map[string]*made{}, registries: map[string]*registry{}, progress: progress}
	var tags []string
	for _, major := range majors {
		s := suiteFor(major)
		if _, err := b.suite(ctx, s); err != nil {
			return fmt.Errorf("image %s: %w", s.tag(), err)
		}
		tags = append(tags, s.tag())
	}
	saved, err := cli.ImageSave(ctx, tags)
	if err != nil {
		return fmt.Errorf("saving %s: %w", strings.Join(tags, ", "), err)
	}
	defer func() { _ = saved.Close() }()
	_, err = io.Copy(w, saved)
	return err
}
