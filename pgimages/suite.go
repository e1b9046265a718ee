package pgimages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// inputs are the Dockerfiles and what they copy; a build's context is one of its directories.
//
//go:embed suite server server-own client client-nogss client-asyncpg client-own browser
var inputs embed.FS

// suite is what all images of one PostgreSQL version stand on: packages installed into a base.
type suite struct {
	name      string // Debian codename, or postgres-N for an official image
	major     int    // PostgreSQL major version it carries
	pull      string // reference of the base
	bootstrap bool   // mmdebstrap can make it from the Debian mirror
	more      []string
	unchecked bool // the Release file may be past its Valid-Until
}

// suites are the Debian releases and the PostgreSQL version that each carries. The KDC stands on that of kdcMajor.
var suites = []suite{
	{name: "bullseye", major: 13, pull: "debian:bullseye-slim", bootstrap: true},
	{name: "bookworm", major: 15, pull: "debian:bookworm-slim", bootstrap: true},
	{name: "trixie", major: kdcMajor, pull: "debian:trixie-slim", bootstrap: true, more: []string{"krb5-kdc", "krb5-admin-server", "libfaketime"}},
	{name: "forky", major: 18, pull: "debian:forky-slim", bootstrap: true, unchecked: true},
	{name: "experimental", major: 19, pull: "debian:experimental", bootstrap: true, unchecked: true},
}

// standsOn are the releases that carry what a suite lacks which is not whole: apt prefers theirs, and has to be asked for the suite's version.
var standsOn = map[string]string{"experimental": "sid"}

const kdcMajor = 17

// suiteFor gives the suite of a PostgreSQL version. Versions that no Debian release carries stand on the official
// image of that version, whose package source is the PostgreSQL project's own; there libpq has to be asked for in its
// version, for that source's newest one is the default. (Not run where no registry answers.)
func suiteFor(major int) suite {
	if major == 0 {
		major = kdcMajor
	}
	if i := slices.IndexFunc(suites, func(s suite) bool { return s.major == major }); i >= 0 {
		return suites[i]
	}
	return suite{name: "postgres-" + strconv.Itoa(major), major: major, pull: fmt.Sprintf("postgres:%d-bookworm", major)}
}

// packages are installed in one go: a compiler for the client program among them, since a second installation in a
// builder of its own would cost each suite more than the compiler's size is worth.
func (s suite) packages() []string {
	p := []string{"ca-certificates", "gcc", "krb5-user", "libc6-dev"}
	switch {
	case !s.bootstrap:
		p = append(p, fmt.Sprintf("libpq5=%d.*", s.major), fmt.Sprintf("libpq-dev=%d.*", s.major))
	case standsOn[s.name] != "": // 19.* and 19~rc1
		p = append(p, fmt.Sprintf("libpq5=%d*", s.major), fmt.Sprintf("libpq-dev=%d*", s.major), fmt.Sprintf("postgresql-%d", s.major))
	default:
		p = append(p, "libpq-dev", fmt.Sprintf("postgresql-%d", s.major))
	}
	return append(p, s.more...)
}

// releases are what the suite is installed from: the one that makes a whole of it first.
func (s suite) releases() []string {
	if whole := standsOn[s.name]; whole != "" {
		return []string{whole, s.name}
	}
	return []string{s.name}
}

func (s suite) aptOptions() []string {
	options := []string{"Acquire::Languages=none", "Acquire::Retries=3"}
	if s.unchecked {
		options = append(options, "Acquire::Check-Valid-Until=false")
	}
	return options
}

// aptArguments are the options as apt-get takes them.
func (s suite) aptArguments() string {
	var arguments strings.Builder
	for _, o := range s.aptOptions() {
		arguments.WriteString(" -o " + o)
	}
	return arguments.String()
}

// configuration of the suite's images and of all that are built on them, in Dockerfile instructions. KRB5RCACHENAME takes
// the replay cache of the server out of the picture.
func (s suite) configuration() []string {
	return []string{
		fmt.Sprintf("ENV PATH=/usr/lib/postgresql/%d/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", s.major),
		"ENV LC_ALL=C",
		"ENV KRB5_CONFIG=" + KRB5Conf,
		"ENV KRB5RCACHENAME=none:",
		`ENTRYPOINT ["pgam-start"]`,
	}
}

// tag is the same for every source of the base: they hold the same packages, and the label says which it was.
func (s suite) tag() string {
	return "pgauthmatrix/suite-" + s.name + ":" + hash(contextFiles("suite"), fmt.Sprintf("%+v %v %v %v", s, s.packages(), s.aptOptions(), s.configuration()))
}

// clientImages are the client images that have more than libpq, each on the suite that carries its version.
var clientImages = []Spec{
	{kind: "client-asyncpg", major: 15, version: "0.27"},
	{kind: "client-asyncpg", major: 17, version: "0.30"},
	{kind: "client-asyncpg", major: 18, version: "0.31"},
}

// tag of an image: its Dockerfile, what it copies, its version, and the suite it stands on.
func (s Spec) tag() string {
	return "pgauthmatrix/" + s.Name() + ":" + hash(s.files(), s.base()+s.version)
}

// base is the tag of the image that this one is built FROM.
func (s Spec) base() string {
	switch s.kind {
	case "client-nogss":
		return s.withGSS().tag()
	case ownKind, ownServerKind:
		return s.version
	}
	return suiteFor(s.major).tag()
}

// withGSS is the image that one without GSSAPI stands on.
func (s Spec) withGSS() Spec {
	s.kind = strings.TrimSuffix(s.kind, "-nogss")
	return s
}

// files are the context of the image's build; none for an image that is its base under another name.
func (s Spec) files() []file {
	if s.kind == "kdc" || !s.known() {
		return nil
	}
	if s.kind == ownServerKind {
		return ownServerFiles()
	}
	return contextFiles(s.kind)
}

// file is one file of a build's context.
type file struct {
	name string
	data []byte
	mode int64
}

// contextFiles are the files below a directory of inputs, in the order of their names. Scripts (the files without an
// extension) are executable: embed does not keep modes.
func contextFiles(dir string) []file {
	var files []file
	err := fs.WalkDir(inputs, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := inputs.ReadFile(name)
		mode := int64(0o644)
		if path.Ext(name) == "" {
			mode = 0o755
		}
		files = append(files, file{strings.TrimPrefix(name, dir+"/"), data, mode})
		return err
	})
	if err != nil {
		panic("pgimages: embedded " + dir + ": " + err.Error()) // cannot fail on an embedded directory
	}
	return files
}

func hash(files []file, rest string) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %o %d\n%s", f.name, f.mode, len(f.data), f.data)
	}
	h.Write([]byte(rest))
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// versionsIn reads the lines "pgam-version PACKAGE VERSION" of an installation's output. The package of a client that is not libpq is
// called client.
func versionsIn(output []byte) map[string]string {
	labels := map[string]string{}
	for line := range bytes.Lines(output) {
		words := strings.Fields(string(line))
		if len(words) == 3 && words[0] == "pgam-version" {
			name := words[1]
			if strings.HasPrefix(name, "postgresql-") {
				name = "postgresql"
			} else if name == "krb5-user" {
				name = "krb5"
			}
			labels[labelVersion+"."+name] = words[2]
		}
	}
	return labels
}
