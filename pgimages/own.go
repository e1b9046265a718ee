package pgimages

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// OwnServer is a server image that stands on an image which somebody else made, local or in a registry. What it has is found out when it is made: see
// OwnImage. It is made anew when the image under the reference is another one.
func OwnServer(reference string) Spec { return Spec{kind: ownServerKind, version: reference} }

const ownServerKind = "server-own"

// OwnImage is what was found in an image that somebody else made.
type OwnImage struct {
	Reference string
	ID        string   // of the image itself
	Major     int      // PostgreSQL major version
	Bin       string   // the directory of the server's programs
	Account   string   // that the image means the server to run as
	UID, GID  int      // its numbers; the server runs with them
	Lacks     []string // GSSAPI, TLS: what the server was built without; "unknown" where that cannot be told
	Conf      []string // directories with a pg_hba.conf, sorted
}

// String is what was found, for people.
func (o *OwnImage) String() string {
	text := fmt.Sprintf("PostgreSQL %d in %s, run as %s (user ID %d)", o.Major, o.Bin, o.Account, o.UID)
	switch {
	case len(o.Lacks) == 0:
		return text + ", built with GSSAPI and TLS"
	case o.Lacks[0] == "unknown":
		return text + "; what it was built with cannot be told, for there is neither ldd nor pg_config"
	}
	return text + "; it was built without " + strings.Join(o.Lacks, " and ") + ": control cells that need it fail, and no attempt counts"
}

// Labels of an image that stands on somebody else's.
const (
	labelFound = "pgauthmatrix.found." // and a name: what /pgam/adapt has found
	labelBase  = "pgauthmatrix.base"   // ID of the image that it stands on
)

// files of the image's build: those of a server, and what finds the server.
func ownServerFiles() []file {
	files := contextFiles(ownServerKind)
	for _, f := range contextFiles("server") {
		if strings.HasPrefix(f.name, "root/") {
			files = append(files, f)
		}
	}
	return files
}

// ownServer makes the image of a server on somebody else's.
func (b *builder) ownServer(ctx context.Context, s Spec) error {
	if _, err := b.pull(ctx, s.version, s.Name()); err != nil {
		return fmt.Errorf("the image %s: %s", s.version, cause(err))
	}
	base, err := b.cli.ImageInspect(ctx, s.version)
	if err != nil {
		return err
	}
	if made, err := b.cli.ImageInspect(ctx, s.tag()); err == nil && made.Config != nil && made.Config.Labels[labelBase] == base.ID {
		return nil
	}
	if err := b.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.slots.Release(1)
	account := ""
	if base.Config != nil {
		account = base.Config.User
	}
	adapted := "pgauthmatrix/" + s.Name() + ":adapted"
	files := append(s.files(), file{"root/pgam/account", []byte(account + "\n"), 0o644})
	output, err := b.build(ctx, s.Name(), files, client.ImageBuildOptions{Tags: []string{adapted}, BuildArgs: map[string]*string{"BASE": &s.version}})
	if err != nil {
		return fmt.Errorf("the image %s cannot be used: %s", s.version, ownFault(err))
	}
	labels := map[string]string{labelBase: base.ID, labelSource: "built on " + s.version}
	for name, values := range foundIn(output) {
		labels[labelFound+name] = strings.Join(values, "\n")
	}
	labels[s.versionLabel()] = labels[labelFound+"version"]
	dockerfile := strings.Join([]string{"FROM " + adapted, "ENV PATH=/pgam/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C KRB5_CONFIG=" + KRB5Conf + " KRB5RCACHENAME=none:",
		"HEALTHCHECK NONE", `ENTRYPOINT ["/usr/local/sbin/pgam-start"]`}, "\n") + "\n" // an entrypoint takes the base's command away
	_, err = b.build(ctx, s.Name(), []file{{"Dockerfile", []byte(dockerfile), 0o644}}, client.ImageBuildOptions{Tags: []string{s.tag()}, Labels: labels})
	_, untagErr := b.cli.ImageRemove(ctx, adapted, client.ImageRemoveOptions{})
	return errors.Join(err, untagErr)
}

var (
	foundLine = regexp.MustCompile(`(?m)^pgam-found (\S+) (.*?)\r?$`)
	faultLine = regexp.MustCompile(`pgam-fault ([^|\n]*)`)
	noShell   = regexp.MustCompile(`exec: "?/bin/sh"?: .*no such file|unable to find user root`)
)

// foundIn reads what /pgam/adapt has found.
func foundIn(output []byte) map[string][]string {
	found := map[string][]string{}
	for _, m := range foundLine.FindAllSubmatch(output, -1) {
		found[string(m[1])] = append(found[string(m[1])], string(m[2]))
	}
	return found
}

// ownFault is why the build on somebody else's image failed, in the words of /pgam/adapt where they are there.
func ownFault(err error) string {
	if m := faultLine.FindStringSubmatch(err.Error()); m != nil {
		return strings.TrimSpace(m[1])
	}
	if noShell.MatchString(err.Error()) {
		return "it has no shell (/bin/sh), with which the server is found and started"
	}
	return cause(err)
}

// readOwn reads the labels of an image that stands on somebody else's.
func readOwn(reference string, labels map[string]string) (*OwnImage, error) {
	found := func(name string) string { return labels[labelFound+name] }
	o := &OwnImage{Reference: reference, ID: labels[labelBase], Bin: found("bin"), Account: found("account"), Lacks: strings.Fields(found("lacks"))}
	if dirs := found("conf"); dirs != "" {
		o.Conf = strings.Split(dirs, "\n")
		slices.Sort(o.Conf)
	}
	version, _, _ := strings.Cut(found("version"), ".")
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' }) // 19rc1
	if digits >= 0 {
		version = version[:digits]
	}
	for _, n := range []struct {
		to   *int
		text string
	}{{&o.Major, version}, {&o.UID, found("uid")}, {&o.GID, found("gid")}} {
		number, err := strconv.Atoi(n.text)
		if err != nil {
			return nil, fmt.Errorf("the image %s: what was found in it has no number where one is wanted: %q", reference, n.text)
		}
		*n.to = number
	}
	switch {
	case !slices.Contains(matrix.ServerVersions, o.Major):
		return nil, fmt.Errorf("the image %s has PostgreSQL %s: want one of %d to %d", reference, found("version"), matrix.ServerVersions[0], matrix.ServerVersions[len(matrix.ServerVersions)-1])
	case o.UID == 0:
		return nil, fmt.Errorf("the image %s means the server to run as %s, which has user ID 0: the server does not run as root", reference, o.Account)
	}
	return o, nil
}

// ConfOf reads the files of a directory of an image, without those of its subdirectories' subdirectories: path -> text. Nothing is started.
func ConfOf(ctx context.Context, i Image, runID, dir string) (files map[string][]byte, err error) {
	err = inContainer(ctx, i, runID, func(cli *client.Client, id string) error {
		copied, err := cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: dir})
		if err != nil {
			return err
		}
		defer func() { _ = copied.Content.Close() }()
		files, err = confIn(copied.Content)
		return err
	})
	return files, err
}

// Bounds of the files that are read out of an image.
const (
	maxConfFile  = 1 << 20
	maxConfFiles = 200
)

// confIn reads the archive of a directory.
func confIn(archive io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		_, name, below := strings.Cut(path.Clean(h.Name), "/")
		if !below || h.Typeflag != tar.TypeReg || strings.Count(name, "/") > 1 || h.Size > maxConfFile || !slices.Contains([]string{".conf", ""}, path.Ext(name)) {
			continue // of a data directory: tables and logs
		}
		if len(files) == maxConfFiles {
			return nil, fmt.Errorf("the directory has more than %d files", maxConfFiles)
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, r); err != nil {
			return nil, err
		}
		files[name] = b.Bytes()
	}
}

// inContainer makes a container of an image, without starting it, and removes it.
func inContainer(ctx context.Context, i Image, runID string, do func(cli *client.Client, id string) error) (err error) {
	cli, err := Engine(ctx)
	if err != nil {
		return err
	}
	labels, err := Labels(runID)
	if err != nil {
		return err
	}
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: i.Tag, Labels: labels, Cmd: []string{"true"}}})
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	defer func() {
		_, removed := cli.ContainerRemove(context.WithoutCancel(ctx), made.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		err = errors.Join(err, removed)
	}()
	return do(cli, made.ID)
}
