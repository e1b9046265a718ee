package agent

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"strings"
	"sync"
)

//go:embed *.go drivers/*.go process/*.go
var sources embed.FS

// Version is a hash of the agent's sources. An agent with another version comes from another build: Start
// refuses it, because it may do something else than this program expects.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	err := fs.WalkDir(sources, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := sources.ReadFile(name)
		h.Write([]byte(name))
		h.Write(content)
		return err
	})
	if err != nil {
		panic("agent: embedded sources: " + err.Error()) // an embedded file cannot fail
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
})
