// Package doctor asks whether a machine can carry out a run. It looks at the machine once and changes nothing; a table of checks says what
// each thing seen means, and which command mends it.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// State is what a check came to.
type State string

// The states. Only Failed says that a run cannot begin or cannot be believed.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "failed"
	Unknown State = "unknown" // it could not be asked
)

// Result is the result of one check.
type Result struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`          // what was seen, on one line
	Mend  string `json:"mend,omitempty"` // the command that mends it; of every warning and failure
}

// A check is one question about the machine.
type check struct {
	name  string
	asks  string // for people
	judge func(*Facts) (State, string, string)
}

// checks are all there are, in the order in which they are told: what rests on another comes after it.
var checks = []check{
	{"engine", "does a container engine answer?", engineAnswers},
	{"container", "does it run a container?", containerRuns},
	{"images", "which images of the catalogue are here?", imagesHere},
	{"registry", "does docker.io answer the engine? PostgreSQL versions that no Debian release carries come from there", registryAnswers},
	{"mirror", "does the Debian mirror answer? Where no registry does, images are made from it", mirrorAnswers},
	{"disk", "is there room where the engine keeps images, for temporary files and below the folder of runs?", roomOnDisk},
	{"memory", "is there memory for two servers with their realms and clients?", memoryFree},
	{"clock", "do engine and host agree on the time? Certificates are made here, tickets there", clocksAgree},
	{"entropy", "does the kernel give random numbers without waiting? Every key is made at run time", entropyFlows},
	{"leftovers", "did dead runs leave containers, networks or volumes?", nothingLeft},
	{"tools", "are make, go and, where no registry answers, mmdebstrap here?", toolsHere},
}

// Examine looks at this machine and makes every check. runs is the folder below which runs make their own.
func Examine(ctx context.Context, runs string) []Result {
	return Judge(Look(ctx, runs))
}

// Judge makes every check of what was seen.
func Judge(f *Facts) []Result {
	results := make([]Result, len(checks))
	for i, c := range checks {
		state, found, mend := c.judge(f)
		results[i] = Result{c.name, state, oneLine(found), mend}
	}
	return results
}

// Able says that no check failed.
func Able(results []Result) bool {
	for _, r := range results {
		if r.State == Failed {
			return false
		}
	}
	return true
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// noEngine is the answer of checks that need the engine.
func noEngine() (State, string, string) { return Unknown, "no engine answers", "" }

func engineAnswers(f *Facts) (State, string, string) {
	e := &f.Engine
	where := cmp.Or(e.Host, "no DOCKER_HOST, no context and no socket in the usual places")
	switch text := strings.ToLower(e.Err); {
	case text == "":
		return OK, fmt.Sprintf("%s at %s, %s, API %s, cgroup v%s, %s", e.Version, e.Host, e.Platform, e.API, cmp.Or(e.Cgroup, "1"), e.Storage), ""
	case strings.Contains(text, "permission denied"):
		return Failed, where + ": " + e.Err, "sudo usermod -aG docker $USER   # then log in again"
	case e.FromEnv:
		return Failed, where + ": " + e.Err, "unset DOCKER_HOST   # or start the engine that it names"
	}
	return Failed, where + ": " + e.Err, "sudo systemctl start docker   # or set DOCKER_HOST"
}

func containerRuns(f *Facts) (State, string, string) {
	c := &f.Container
	switch text := strings.ToLower(c.Err); {
	case f.Engine.Err != "":
		return noEngine()
	case c.Skipped != "":
		return Unknown, c.Skipped, ""
	case text == "":
		return OK, "a container of " + c.Image + " ran", ""
	case strings.Contains(text, "cgroup mountpoint does not exist"):
		return Failed, c.Err, "sudo mkdir -p /sys/fs/cgroup/systemd && sudo mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd"
	case strings.Contains(text, "no space left"):
		return Failed, c.Err, "docker system prune"
	}
	return Failed, c.Err, "sudo systemctl restart docker   # journalctl -u docker -n 50 says more"
}

func imagesHere(f *Facts) (State, string, string) {
	i := &f.Images
	switch here := i.All - len(i.Missing); {
	case f.Engine.Err != "":
		return noEngine()
	case i.Err != "":
		return Unknown, i.Err, ""
	case len(i.Missing) == 0:
		return OK, fmt.Sprintf("all %d of the catalogue are here", i.All), ""
	default: // no warning: a run makes what it needs
		return OK, fmt.Sprintf("%d of %d are here; a run makes those that it needs of %s", here, i.All, strings.Join(i.Missing, ", ")), ""
	}
}

// sourceNeeded says whether images of Debian's releases are still to be made.
func (f *Facts) sourceNeeded() bool { return f.Engine.Err == "" && len(f.Images.fromDebian()) > 0 }

func registryAnswers(f *Facts) (State, string, string) {
	if f.Engine.Err != "" {
		return noEngine()
	}
	lost := f.Images.NoRelease
	switch {
	case f.Registry.Err == "":
		return OK, f.Registry.Name + " answers the engine", ""
	case len(lost) == 0:
		return OK, f.Registry.Name + " does not answer, and no image needs it: " + f.Registry.Err, ""
	}
	return Warning, fmt.Sprintf("%s does not answer the engine: %s; cells that need %s will be reported as not tried", f.Registry.Name, f.Registry.Err, strings.Join(lost, ", ")),
		"docker pull " + f.Registry.Probe + "   # shows what is in the way: a proxy, docker login; or docker load an image saved elsewhere"
}

func mirrorAnswers(f *Facts) (State, string, string) {
	m := &f.Mirror
	switch {
	case m.Err == "":
		return OK, m.URL + " answers", ""
	case !f.sourceNeeded() && f.Engine.Err == "":
		return OK, m.URL + " does not answer, and no image needs it: " + m.Err, ""
	case f.Registry.Err == "" && f.Engine.Err == "": // containers may reach a mirror that this machine does not
		return Warning, m.URL + " does not answer: " + m.Err + "; packages are installed from it", mendMirror
	}
	return Failed, m.URL + " does not answer: " + m.Err + "; images are made from it", mendMirror
}

const mendMirror = "sudo apt-get update   # shows what is in the way; set http_proxy, or a mirror that answers in /etc/apt/sources.list"

const (
	megabyte = 1_000_000
	gigabyte = 1000 * megabyte

	perImage      = 200 * megabyte // of the catalogue, on the average, with what is needed while it is made
	leastOnEngine = gigabyte       // for containers
	leastForBuild = gigabyte       // root of a release, packed and unpacked, in the folder of temporary files
	leastForRuns  = 100 * megabyte
	ampleForRuns  = gigabyte // a whole run with its report, several times
)

func roomOnDisk(f *Facts) (State, string, string) {
	state, mend := OK, ""
	var found []string
	hold := func(s Space, least, ample int64, how string) {
		switch {
		case s.Err != "":
			found = append(found, fmt.Sprintf("%s: unknown (%s)", s.What, s.Err))
			if state == OK {
				state = Unknown
			}
			return
		case s.Free < least:
			found = append(found, fmt.Sprintf("%s: %s free in %s, at least %s are needed", s.What, size(s.Free), s.Path, size(least)))
			state, mend = Failed, how
		case s.Inodes == 0 && !s.NoInodes:
			found = append(found, fmt.Sprintf("%s: no inodes are free in %s", s.What, s.Path))
			state, mend = Failed, how
		case s.Free < ample:
			found = append(found, fmt.Sprintf("%s: only %s free in %s", s.What, size(s.Free), s.Path))
			if state != Failed {
				state, mend = Warning, how
			}
		default:
			found = append(found, fmt.Sprintf("%s: %s free", s.What, size(s.Free)))
		}
	}
	if f.Engine.Err == "" {
		least := leastOnEngine + perImage*int64(len(f.Images.Missing))
		hold(f.Root, least, least+gigabyte, "docker system df && docker image prune && bin/pgauthmatrix images   # the first says what takes room")
	}
	if f.sourceNeeded() && f.Registry.Err != "" {
		hold(f.Temp, leastForBuild, leastForBuild, "export TMPDIR=/var/tmp   # a folder with room")
	}
	hold(f.Runs, leastForRuns, ampleForRuns, "du -sh "+f.Runs.Path+"/*   # remove old runs, or give --runs a folder with room")
	return state, strings.Join(found, "; "), mend
}

func size(bytes int64) string {
	if bytes < gigabyte {
		return fmt.Sprintf("%d MB", bytes/megabyte)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/gigabyte)
}

const leastMemory, ampleMemory = gigabyte, 3 * gigabyte

func memoryFree(f *Facts) (State, string, string) {
	m := &f.Memory
	found := size(m.Available) + " " + m.Of
	switch {
	case m.Err != "":
		return Unknown, m.Err, ""
	case m.Available < leastMemory:
		return Failed, fmt.Sprintf("%s, at least %s are needed", found, size(leastMemory)), mendMemory
	case m.Available < ampleMemory:
		return Warning, fmt.Sprintf("%s; with less than %s servers may be killed, and their cells Broken", found, size(ampleMemory)), mendMemory
	}
	return OK, found, ""
}

const mendMemory = "docker stats --no-stream; ps aux --sort=-rss | head   # what takes memory; or give the engine's virtual machine more"

// Certificates are made by this machine's clock, some of them valid from a moment ago; tickets are made by the engine's.
const slightSkew, badSkew = 2 * time.Second, 30 * time.Second

func clocksAgree(f *Facts) (State, string, string) {
	if f.Engine.Err != "" {
		return noEngine()
	}
	c := &f.Clock
	skew := max(c.Offset.Abs()-c.Within, 0) // what is certain
	found := fmt.Sprintf("the engine's clock is %s from this machine's, give or take %s", c.Offset.Round(time.Millisecond), c.Within.Round(time.Millisecond))
	const mend = "sudo timedatectl set-ntp true   # on both; an engine in a virtual machine that slept: restart it"
	switch {
	case c.Err != "":
		return Unknown, c.Err, ""
	case skew >= badSkew:
		return Failed, found, mend
	case skew >= slightSkew:
		return Warning, found, mend
	}
	return OK, found, ""
}

const leastEntropy = 128 // bits; Linux 5.18 and later always says 256

func entropyFlows(f *Facts) (State, string, string) {
	const mend = "sudo apt-get install rng-tools5   # or give the virtual machine a virtio-rng device"
	switch e := &f.Entropy; {
	case e.Err != "":
		return Unknown, e.Err, ""
	case e.Bits < leastEntropy:
		return Warning, fmt.Sprintf("%d bits: keys may take long to make", e.Bits), mend
	default:
		return OK, fmt.Sprintf("%d bits", e.Bits), ""
	}
}

func nothingLeft(f *Facts) (State, string, string) {
	l := &f.Leftovers
	if f.Engine.Err != "" {
		return noEngine()
	}
	var found []string
	if len(l.Dead) > 0 {
		found = append(found, "of dead runs, removed when the next run begins: "+strings.Join(l.Dead, ", "))
	}
	if len(l.Elsewhere) > 0 {
		found = append(found, "of runs that another machine or user began, which may be under way: "+strings.Join(l.Elsewhere, ", "))
	}
	switch {
	case l.Err != "":
		return Unknown, l.Err, ""
	case len(l.Elsewhere) > 0:
		return Warning, strings.Join(found, "; "), "docker rm -f $(docker ps -aq --filter label=pgauthmatrix.run=" + l.Elsewhere[0] + ")   # if that run has died"
	case len(found) > 0:
		return OK, found[0], ""
	}
	return OK, "none", ""
}

func toolsHere(f *Facts) (State, string, string) {
	var lacking []string
	state := OK
	for _, t := range []struct {
		name    string
		missing bool
		state   State
		why     string
	}{
		{"mmdebstrap", f.Tools.NoMmdebstrap && f.sourceNeeded() && f.Registry.Err != "" && !f.Tools.Root, Failed, "images are made with it where no registry answers"},
		{"make", f.Tools.NoMake && f.Tools.Checkout, Warning, "the README's commands use it"},
		{"go", f.Tools.NoGo && f.Tools.Checkout, Warning, "the program is built with it"},
	} {
		if t.missing {
			lacking = append(lacking, fmt.Sprintf("%s is not installed (%s)", t.name, t.why))
			if state != Failed {
				state = t.state
			}
		}
	}
	if state == OK {
		return OK, "nothing that is needed here is missing", ""
	}
	mend := "sudo apt-get install"
	for _, l := range lacking {
		name, _, _ := strings.Cut(l, " ")
		if name == "go" {
			name = "golang"
		}
		mend += " " + name
	}
	return state, strings.Join(lacking, "; "), mend
}
