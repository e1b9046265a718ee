package pgimages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

const standardMirror = "http://deb.debian.org/debian/"

// indexTargets are the arguments with which apt-get prints its sources, as mirrors reads them.
var indexTargets = []string{"indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"}

// debianSources are the one-line sources of releases: the mirror of this machine's own apt configuration, and its
// security archive where that is configured and has the first release. None where apt is not configured for Debian: mmdebstrap
// then takes the release from Debian's standard mirror, but has to be told of more than one.
func debianSources(ctx context.Context, names []string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", indexTargets...).Output()
	if err != nil {
		out = nil // no apt here, or one that cannot tell
	}
	mirror, security := mirrors(string(out))
	if mirror == "" && len(names) == 1 {
		return nil, ctx.Err()
	}
	var sources []string
	for _, name := range names {
		sources = append(sources, fmt.Sprintf("deb %s %s main", cmp.Or(mirror, standardMirror), name))
	}
	if security != "" && head(ctx, security+"dists/"+names[0]+"-security/Release") == nil {
		sources = append(sources, fmt.Sprintf("deb %s %s-security main", security, names[0]))
	}
	return sources, ctx.Err()
}

// releases that mark a source as Debian's: an Ubuntu or a third party's source has others.
var releases = []string{"bullseye", "bookworm", "trixie", "forky", "duke", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"}

// mirrors finds the first mirror and security archive in lines of "URI RELEASE COMPONENT".
func mirrors(targets string) (mirror, security string) {
	for line := range strings.Lines(targets) {
		words := strings.Fields(line)
		if len(words) != 3 || words[2] != "main" {
			continue
		}
		uri := strings.TrimRight(words[0], "/") + "/"
		switch name, secure := strings.CutSuffix(words[1], "-security"); {
		case !slices.Contains(releases, name):
		case secure && security == "":
			security = uri
		case !secure && mirror == "":
			mirror = uri
		}
	}
	return mirror, security
}

var installing sync.Mutex

// mmdebstrap finds the program, or installs it where that can be done without asking.
func mmdebstrap(ctx context.Context, progress func(string)) (string, error) {
	installing.Lock()
	defer installing.Unlock()
	if program, err := exec.LookPath("mmdebstrap"); err == nil {
		return program, nil
	}
	const mend = "sudo apt-get install mmdebstrap"
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", errors.New("mmdebstrap is not installed; on Debian or Ubuntu: " + mend)
	}
	if os.Geteuid() != 0 {
		return "", errors.New("mmdebstrap is not installed; install it: " + mend)
	}
	progress("installing mmdebstrap")
	install := func() ([]byte, error) {
		cmd := exec.CommandContext(ctx, "apt-get", "install", "-y", "-q", "--no-install-recommends", "mmdebstrap")
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return cmd.CombinedOutput()
	}
	out, err := install()
	if err != nil { // the package lists may be missing or old
		if exec.CommandContext(ctx, "apt-get", "-q", "update").Run() == nil {
			out, err = install()
		}
	}
	if program, err := exec.LookPath("mmdebstrap"); err == nil {
		return program, nil
	}
	output := &lines{tell: func(string) {}}
	_, _ = output.Write(out)
	return "", fmt.Errorf("mmdebstrap could not be installed (%w): %s; install it: %s", err, output.end(), mend)
}
