// Package pgimages has the catalogue of container images (PostgreSQL servers, clients with the libpq of each major
// version, the base of a KDC), finds or makes them, and starts containers from them.
//
// Each image stands on a suite: a Debian release, Debian's experimental on sid for a version that is not released yet, or an official
// PostgreSQL image for the versions that Debian does not carry. The sources of a suite, in order: a local image of the same inputs; a base that is pulled; a base that
// mmdebstrap makes from the Debian mirror. Tags carry a hash of every input, so that an image is rebuilt when its inputs
// change and never otherwise. What the suite carries is taken and recorded, never pinned.
package pgimages

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec names an image of the catalogue. Specs are comparable.
type Spec struct {
	kind    string // server | server-own | client | client-nogss | client-asyncpg | client-own | browser | kdc; all but kdc are directories of inputs
	major   int    // PostgreSQL major version of the suite that it stands on; 0 for kdc, browser and client-own
	version string // of a client that is not libpq; of client-own and server-own the reference of the image that it stands on; empty for all others
}

// Server is the image of a PostgreSQL server. See StartSpec for what it does when started.
func Server(major int) Spec { return Spec{kind: "server", major: major} }

// Client is an image that attempts are made in, by its name. client-MAJOR has libpq of a major version, its psql in
// /usr/lib/postgresql/MAJOR/bin, and /usr/local/bin/pgam-attempt. The others are those of clientImages: each has a client with
// its runtime, and the driver program /usr/local/bin/pgam-driver. All have kinit and klist. An image of a name that the
// catalogue does not have is unavailable.
func Client(name string) Spec {
	for _, s := range clientImages {
		if s.Name() == name {
			return s
		}
	}
	if major, err := strconv.Atoi(strings.TrimPrefix(name, "client-")); err == nil && major > 0 {
		return Spec{kind: "client", major: major}
	}
	return Spec{kind: name}
}

// ClientWithoutGSS is a client image of libpq whose GSSAPI has no usable mechanism: gss_acquire_cred and gss_init_sec_context
// fail with GSS_S_BAD_MECH whatever ticket there is. It is for planting a fault, not for cells.
func ClientWithoutGSS(name string) Spec {
	s := Client(name)
	s.kind += "-nogss"
	return s
}

// Own is a client image that stands on an image which somebody else made, local or in a registry. That image needs a shell, kinit and
// klist. It is built whenever it is asked for: the image under the reference may have changed.
func Own(reference string) Spec { return Spec{kind: ownKind, version: reference} }

const ownKind = "client-own"

// KDC is the base of a realm; package kdc makes the realm in it.
func KDC() Spec { return Spec{kind: "kdc"} }

// Browser is an image with Chromium, without a screen, for tests of what people see. No run needs it.
func Browser() Spec { return Spec{kind: "browser"} }

// Name is server-17, client-17, client-nogss-17, client-asyncpg-0.30, client-own-HASH, server-own-HASH, browser or kdc.
func (s Spec) Name() string {
	switch {
	case s.kind == ownKind, s.kind == ownServerKind:
		return s.kind + "-" + hash(nil, s.version)
	case s.version != "":
		return s.kind + "-" + s.version
	case s.major == 0:
		return s.kind
	}
	return s.kind + "-" + strconv.Itoa(s.major)
}

// known is true of the images that can be made.
func (s Spec) known() bool {
	switch s.kind {
	case "kdc", "browser", ownKind, ownServerKind:
		return true
	case "server", "client", "client-nogss":
		return s.major > 0
	}
	return slices.Contains(clientImages, s)
}

// Image is one image of the catalogue: had, or unavailable with its reason.
type Image struct {
	Spec        Spec
	Name        string    // server-17, client-17, kdc
	Tag         string    // pgauthmatrix/NAME:HASH, what StartSpec.Image wants
	Source      string    // where the suite came from, e.g. "built on bookworm from the Debian mirror" or "… from debian:bookworm-slim (pulled)"
	Local       bool      // it was here already; nothing was built
	Version     string    // package version of the server, the client or krb5: 17.12-0+deb13u1
	Size        int64     // bytes, layers shared with other images included
	Created     time.Time // when it was built
	NoSource    bool      // Unavailable because no source of it answers here, not because something failed
	Own         *OwnImage // what was found in the image that an OwnServer stands on; nil of others
	Unavailable string    // why it is not available, with the command that mends it; then only Spec, Name and Tag are set
}

// String is one line: name, version, size, age, source; or why it is unavailable.
func (i Image) String() string {
	if i.Unavailable != "" {
		return fmt.Sprintf("%-16s unavailable: %s", i.Name, i.Unavailable)
	}
	source := i.Source
	if i.Local {
		source = "local, " + source
	}
	return fmt.Sprintf("%-16s %-24s %5d MB  %8s old  %s  (%s)", i.Name, cmp.Or(i.Version, "?"), i.Size/1_000_000, age(time.Since(i.Created)), i.Tag, source)
}

func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Account is the numbers of the account that a server of the image runs as.
func (i Image) Account() (uid, gid int) {
	if i.Own != nil {
		return i.Own.UID, i.Own.GID
	}
	return UID, GID
}

// Labels of images.
const (
	labelSource  = "pgauthmatrix.source"  // Image.Source of the suite
	labelVersion = "pgauthmatrix.version" // .postgresql, .libpq5, .krb5, .client: package versions
)

// versionLabel is the label that holds an image's version.
func (s Spec) versionLabel() string {
	switch s.kind {
	case "server", ownServerKind:
		return labelVersion + ".postgresql"
	case "kdc":
		return labelVersion + ".krb5"
	case "client", "client-nogss":
		return labelVersion + ".libpq5"
	}
	return labelVersion + ".client"
}
