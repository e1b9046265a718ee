package gssenc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readCCache reads a credential cache by its name, which is a path or begins with a type. A type that is not implemented is an error of
// the configuration, not the absence of tickets. The origin is good also where there is no cache.
func (c *krb5Conf) readCCache(ctx context.Context, name string) (ccache, origin, error) {
	kind, rest, typed := strings.Cut(name, ":")
	if !typed || strings.HasPrefix(name, "/") {
		kind, rest = "FILE", name
	}
	switch kind {
	case "FILE", "WRFILE":
		return readCCacheFile(rest)
	case "DIR":
		return readCCacheDir(rest)
	case "KCM":
		return c.readKCM(ctx, rest)
	}
	return ccache{}, origin{}, failf(StageConfig, "ccache %q: the types FILE, DIR and KCM can be read, %s cannot; `KRB5CCNAME=FILE:/path kinit` makes one that can, and gssencmode=disable does without", name, kind)
}

func readCCacheFile(path string) (ccache, origin, error) {
	state, err := stateOf(path) // before it is read: a change in between is seen next time
	from := origin{files: []fileState{state}}
	if err != nil {
		return ccache{}, from, err
	}
	content, err := readBounded(path, maxCCache)
	if err != nil {
		return ccache{}, from, err
	}
	cache, err := parseCCache(content)
	if err != nil {
		return ccache{}, from, fmt.Errorf("%s: %w", path, err)
	}
	return cache, from, nil
}

// readCCacheDir reads the primary cache of a directory, or with a colon before it the file of one.
func readCCacheDir(path string) (ccache, origin, error) {
	if file, one := strings.CutPrefix(path, ":"); one {
		if !strings.HasPrefix(filepath.Base(file), "tkt") {
			return ccache{}, origin{}, failf(StageConfig, "ccache \"DIR:%s\": the name of the file does not begin with tkt", path)
		}
		return readCCacheFile(file)
	}
	primary := filepath.Join(path, "primary")
	state, err := stateOf(primary)
	name := "tkt" // where nothing has been written yet
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return ccache{}, origin{files: []fileState{state}}, err
	default:
		if name, err = firstLine(primary); err != nil {
			return ccache{}, origin{files: []fileState{state}}, err
		}
		if !strings.HasPrefix(name, "tkt") || strings.ContainsAny(name, `/\`) {
			return ccache{}, origin{files: []fileState{state}}, fmt.Errorf("%s: %q is not the name of a cache", primary, name)
		}
	}
	cache, from, err := readCCacheFile(filepath.Join(path, name))
	from.files = append(from.files, state)
	return cache, from, err
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 64).ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("%s: no line of at most 63 octets: %w", path, err)
	}
	return strings.TrimSuffix(string(line), "\n"), nil
}
