package doctor

import (
	"slices"
	"time"
)

// Facts is what was seen of a machine. Where something could not be seen, Err says why in the place of a value.
type Facts struct {
	Engine    Engine
	Container Container
	Images    Images
	Registry  Registry
	Mirror    Mirror
	Root      Space // where the engine keeps images and containers
	Temp      Space
	Runs      Space
	Memory    Memory
	Clock     Clock
	Entropy   Entropy
	Leftovers Leftovers
	Tools     Tools
}

// Engine is the container engine. The facts that need it are not there where Err is not empty.
type Engine struct {
	Host     string // unix:///var/run/docker.sock; empty if none was found
	FromEnv  bool   // DOCKER_HOST named it
	Version  string
	API      string
	Platform string // linux/amd64
	Cgroup   string // 1 or 2
	Storage  string
	Err      string
}

// Container is a container that was started for the sake of it.
type Container struct {
	Image   string
	Skipped string // why none was started
	Err     string
}

// Images are those of the catalogue.
type Images struct {
	All       int
	Missing   []string // names: server-17
	NoRelease []string // of those, which no Debian release carries
	Err       string
}

// fromDebian are the missing ones that can be made from the mirror.
func (i *Images) fromDebian() []string {
	return slices.DeleteFunc(slices.Clone(i.Missing), func(name string) bool { return slices.Contains(i.NoRelease, name) })
}

// Registry is the one that images are pulled from.
type Registry struct {
	Name  string // docker.io
	Probe string // the reference that was asked for
	Err   string
}

// Mirror is Debian's, as this machine's apt has it.
type Mirror struct {
	URL string
	Err string
}

// Space is the room in a folder.
type Space struct {
	What     string // for people
	Path     string
	Free     int64 // bytes, for a user who is not root
	Inodes   uint64
	NoInodes bool // the file system does not count them
	Err      string
}

// Memory is what is available.
type Memory struct {
	Available int64  // bytes
	Of        string // available on this machine; in all, of the engine's machine
	Err       string
}

// Clock is the engine's beside this machine's.
type Clock struct {
	Offset time.Duration // engine less host
	Within time.Duration // how far off Offset may be: half of what the question took
	Err    string
}

// Entropy is the kernel's.
type Entropy struct {
	Bits int
	Err  string
}

// Leftovers are runs whose containers, networks or volumes are on the engine.
type Leftovers struct {
	Dead      []string // IDs of runs that have died
	Elsewhere []string // IDs of runs of which it cannot be known here
	Err       string
}

// Tools are programs on this machine.
type Tools struct {
	NoMmdebstrap, NoMake, NoGo bool
	Checkout                   bool // the program was called in a checkout of its sources, where make and go have a use
	Root                       bool // mmdebstrap can be installed without asking
}
