package pgimages

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"golang.org/x/sync/semaphore"
)

// Ensure finds or makes the images, in the order of specs. An image that is not available says why in its Unavailable; the error
// is for what concerns them all: no engine, an interrupt. Two builds run at a time. Progress gets the lines of the
// builds, one call at a time; where packages are installed a line begins with how far that is, "42% Unpacking …". It may be nil.
func Ensure(ctx context.Context, specs []Spec, progress func(name, line string)) ([]Image, error) {
	cli, err := Engine(ctx)
	if err != nil {
		return nil, err
	}
	b := &builder{cli: cli, slots: semaphore.NewWeighted(2), made: map[string]*made{}, registries: map[string]*registry{}}
	var lock sync.Mutex
	b.progress = func(name, line string) {
		if line = strings.TrimSpace(line); progress != nil && line != "" {
			lock.Lock()
			defer lock.Unlock()
			progress(name, line)
		}
	}
	images := make([]Image, len(specs))
	var wait sync.WaitGroup
	for i, s := range specs {
		wait.Go(func() { images[i] = b.image(ctx, s) })
	}
	wait.Wait()
	return images, ctx.Err()
}

// builder makes every image once, however many want it.
type builder struct {
	cli        *client.Client
	progress   func(name, line string)
	slots      *semaphore.Weighted // how many builds run at a time
	lock       sync.Mutex          // of the maps
	made       map[string]*made    // by tag
	registries map[string]*registry
}

type made struct {
	once  sync.Once
	local bool
	err   error
}

// once makes the image with this tag, unless it is here.
func (b *builder) once(ctx context.Context, tag string, build func() error) (local bool, err error) {
	b.lock.Lock()
	m := b.made[tag]
	if m == nil {
		m = new(made)
		b.made[tag] = m
	}
	b.lock.Unlock()
	m.once.Do(func() {
		if m.local, m.err = b.here(ctx, tag); m.local || m.err != nil {
			return
		}
		unlock, err := b.onlyBuilder(ctx, tag)
		if err != nil {
			m.err = err
			return
		}
		defer unlock()
		if m.local, m.err = b.here(ctx, tag); !m.local && m.err == nil {
			m.err = build()
		}
	})
	return m.local, m.err
}

func (b *builder) here(ctx context.Context, tag string) (bool, error) {
	_, err := b.cli.ImageInspect(ctx, tag)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// onlyBuilder waits until no other process of this user builds the image: the loser's image would remain, without a tag.
func (b *builder) onlyBuilder(ctx context.Context, tag string) (unlock func(), err error) {
	runs, _, err := claimDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(filepath.Dir(runs), "builds")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		f, err := lockFile(filepath.Join(dir, strings.NewReplacer("/", "-", ":", "-").Replace(tag)), os.O_CREATE)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		if !waited {
			b.progress(strings.TrimPrefix(tag, "pgauthmatrix/"), "another process is building it")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (b *builder) image(ctx context.Context, s Spec) Image {
	image := Image{Spec: s, Name: s.Name(), Tag: s.tag()}
	local, err := b.need(ctx, s)
	if err != nil {
		image.Unavailable, image.NoSource = err.Error(), errors.Is(err, errNoSource)
		return image
	}
	found, err := b.cli.ImageInspect(ctx, image.Tag)
	if err != nil {
		image.Unavailable = "built, but: " + err.Error()
		return image
	}
	image.Local, image.Size = local, found.Size
	image.Created, _ = time.Parse(time.RFC3339Nano, found.Created)
	if found.Config != nil {
		image.Source, image.Version = found.Config.Labels[labelSource], found.Config.Labels[s.versionLabel()]
		if s.kind == ownServerKind {
			if image.Own, err = readOwn(s.version, found.Config.Labels); err != nil {
				image.Unavailable = err.Error()
			}
		}
	}
	return image
}

// need builds the image of s on its base, which may be another image of the catalogue.
func (b *builder) need(ctx context.Context, s Spec) (local bool, err error) {
	if !s.known() {
		return false, fmt.Errorf("there is no image %q in the catalogue", s.Name())
	}
	if s.kind == ownServerKind {
		return false, b.ownServer(ctx, s)
	}
	if s.kind == ownKind {
		if err := b.slots.Acquire(ctx, 1); err != nil {
			return false, err
		}
		defer b.slots.Release(1)
		_, err := b.build(ctx, s.Name(), s.files(), client.ImageBuildOptions{Tags: []string{s.tag()}, BuildArgs: map[string]*string{"BASE": &s.version}})
		return false, err
	}
	return b.once(ctx, s.tag(), func() error {
		if s.kind == "client-nogss" {
			if _, err := b.need(ctx, s.withGSS()); err != nil {
				return err
			}
		} else if _, err := b.suite(ctx, suiteFor(s.major)); err != nil {
			return err
		}
		if err := b.slots.Acquire(ctx, 1); err != nil {
			return err
		}
		defer b.slots.Release(1)
		if len(s.files()) == 0 {
			_, err := b.cli.ImageTag(ctx, client.ImageTagOptions{Source: s.base(), Target: s.tag()})
			return err
		}
		arguments := map[string]*string{"BASE": new(s.base())}
		if s.version == "" && s.kind != "browser" {
			_, err := b.build(ctx, s.Name(), s.files(), client.ImageBuildOptions{Tags: []string{s.tag()}, BuildArgs: arguments})
			return err
		}
		arguments["VERSION"], arguments["APT_OPTIONS"] = &s.version, new(suiteFor(s.major).aptArguments())
		return b.labelled(ctx, s.Name(), s.tag(), s.files(), arguments, nil, nil)
	})
}

// suite has the first source that answers.
func (b *builder) suite(ctx context.Context, s suite) (local bool, err error) {
	return b.once(ctx, s.tag(), func() error {
		if err := b.slots.Acquire(ctx, 1); err != nil {
			return err
		}
		defer b.slots.Release(1)
		source, pullErr := b.pull(ctx, s.pull, "suite-"+s.name)
		if pullErr == nil {
			return b.install(ctx, s, source)
		}
		if !s.bootstrap {
			return fmt.Errorf("%w PostgreSQL %d, and %s cannot be pulled (%s); where a registry answers: docker pull %s", errNoSource, s.major, s.pull, cause(pullErr), s.pull)
		}
		b.progress("suite-"+s.name, "cannot pull "+s.pull+", making it from the Debian mirror: "+pullErr.Error())
		err := b.bootstrap(ctx, s)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case len(s.releases()) > 1: // nobody promises that it has the version, or that it fits the release today
			return fmt.Errorf("%w PostgreSQL %d; %s cannot be pulled (%s), and Debian's %s does not install here: %w", errNoSource, s.major, s.pull, cause(pullErr), s.name, err)
		}
		return fmt.Errorf("%s cannot be pulled (%w), nor made from the Debian mirror: %w", s.pull, pullErr, err)
	})
}

// install installs the suite's packages into the base that was pulled.
func (b *builder) install(ctx context.Context, s suite, source string) error {
	arguments := map[string]*string{"BASE": &s.pull, "MAJOR": new(strconv.Itoa(s.major)),
		"PACKAGES": new(strings.Join(s.packages(), " ")), "APT_OPTIONS": new(s.aptArguments())}
	return b.labelled(ctx, "suite-"+s.name, s.tag(), contextFiles("suite"), arguments, s.configuration(), map[string]string{labelSource: source})
}

// labelled builds an image and labels it with the versions of the packages that were installed, which are known only then.
func (b *builder) labelled(ctx context.Context, name, tag string, files []file, arguments map[string]*string, configuration []string, labels map[string]string) error {
	installed := "pgauthmatrix/" + name + ":installed"
	output, err := b.build(ctx, name, files, client.ImageBuildOptions{Tags: []string{installed}, BuildArgs: arguments})
	if err != nil {
		return err
	}
	versions := versionsIn(output)
	maps.Copy(versions, labels)
	dockerfile := strings.Join(append([]string{"FROM " + installed}, configuration...), "\n") + "\n"
	_, err = b.build(ctx, name, []file{{"Dockerfile", []byte(dockerfile), 0o644}}, client.ImageBuildOptions{Tags: []string{tag}, Labels: versions})
	_, untagErr := b.cli.ImageRemove(ctx, installed, client.ImageRemoveOptions{})
	return errors.Join(err, untagErr)
}

// bootstrap makes the suite with mmdebstrap, packages and all in one pass, and imports it. That takes half the time of
// a bare base with a Dockerfile on top, as nothing passes through the engine's storage driver before it is complete.
func (b *builder) bootstrap(ctx context.Context, s suite) error {
	name := "suite-" + s.name
	program, err := mmdebstrap(ctx, func(line string) { b.progress(name, line) })
	if err != nil {
		return err
	}
	dir, remove, err := TempDir(s.name)
	if err != nil {
		return err
	}
	defer remove()
	for _, f := range contextFiles("suite") {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, os.FileMode(f.mode)); err != nil {
			return err
		}
	}
	prepare, root := filepath.Join(dir, "prepare"), filepath.Join(dir, "root.tar")
	args := []string{"--verbose", "--variant=minbase", "--include=" + strings.Join(s.packages(), ",")}
	for _, o := range s.aptOptions() {
		option, value, _ := strings.Cut(o, "=")
		args = append(args, fmt.Sprintf("--aptopt=%s %q", option, value))
	}
	args = append(args, `--setup-hook=mkdir -p "$1/etc/dpkg/dpkg.cfg.d"`, `--essential-hook="`+prepare+`" "$1"`,
		fmt.Sprintf(`--customize-hook=chroot "$1" dpkg-query --show --showformat='pgam-version ${Package} ${Version}\n' postgresql-%d libpq5 krb5-user >&2`, s.major),
		s.releases()[0], root)
	sources, err := debianSources(ctx, s.releases())
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append(args, sources...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it unmounts what it mounted
	cmd.WaitDelay = 15 * time.Second
	output := b.lines(name)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mmdebstrap %s: %w: %s", s.name, err, output.end())
	}
	f, err := os.Open(root)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	labels := versionsIn(output.all.Bytes())
	labels[labelSource] = "built on " + s.name + " from the Debian mirror"
	changes := s.configuration()
	for key, value := range labels {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", key, value))
	}
	b.progress(name, "importing")
	imported, err := b.cli.ImageImport(ctx, client.ImageImportSource{Source: f, SourceName: "-"}, s.tag(), client.ImageImportOptions{Changes: changes})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return b.drain(name, imported, nil)
}

// build runs the classic builder, which every engine has, and gives its output.
func (b *builder) build(ctx context.Context, name string, files []file, options client.ImageBuildOptions) ([]byte, error) {
	var context bytes.Buffer
	w := tar.NewWriter(&context)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	options.Version, options.Remove, options.ForceRemove = build.BuilderV1, true, true
	result, err := b.cli.ImageBuild(ctx, &context, options)
	if err != nil {
		return nil, err
	}
	output := b.lines(name)
	if err := b.drain(name, result.Body, output); err != nil {
		return nil, fmt.Errorf("%w: %s", err, output.end())
	}
	return output.all.Bytes(), nil
}

// drain reads an engine's answer to its end; a failure is a message in it.
func (b *builder) drain(name string, body io.ReadCloser, output io.Writer) error {
	defer func() { _ = body.Close() }()
	for decoder := json.NewDecoder(body); ; {
		var message jsonstream.Message
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case message.Error != nil:
			return fmt.Errorf("%s: %w", name, message.Error)
		}
		if output != nil {
			_, _ = io.WriteString(output, message.Stream)
		}
	}
}

// lines tells the progress of an image's build.
func (b *builder) lines(name string) *lines {
	var installed aptProgress
	return &lines{tell: func(line string) { b.progress(name, installed.mark(line)) }}
}

// lines keeps what is written to it and tells each whole line.
type lines struct {
	tell func(string)
	all  bytes.Buffer
	told int
}

func (l *lines) Write(p []byte) (int, error) {
	l.all.Write(p)
	for {
		rest := l.all.Bytes()[l.told:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.told += i + 1
		l.tell(string(rest[:i]))
	}
}

// end is the last lines, on one.
func (l *lines) end() string {
	all := strings.Split(strings.TrimSpace(l.all.String()), "\n")
	return strings.Join(all[max(0, len(all)-6):], " | ")
}

// errNoSource is of the versions that come from a registry or not at all. Any other image that is not available is a
// failure that has to be mended.
var errNoSource = errors.New("no Debian release carries")
