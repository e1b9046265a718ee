package reports

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a way to draw a run.
type Format struct {
	Name    string                                // as `pgauthmatrix render --format` takes it
	File    string                                // name of the file that every run writes beside run.jsonl; empty: none
	Meaning string                                // one line, for the command line and the documentation
	Render  func(io.Writer, *View, Options) error // the error is the writer's
}

// Formats is the table of formats; the first is what `pgauthmatrix render` draws. A new format is entered here and has a
// file of its own in this package. The command line, README.md and every run read this table.
var Formats = []Format{
	{"terminal", "", "the matrix, the failures with their evidence and the counts, as wide as the terminal", Terminal},
	{"junit", "junit.xml", "JUnit XML for CI servers: a suite per scenario, a test case per cell", JUnit},
	{"markdown", SummaryFile, "a short summary for the page of a CI job: the counts, the scenarios that fail, the worst failures, and the tables of what attackers and clients obtain", Markdown},
}

// SummaryFile is the file of the format for a CI job's page.
const SummaryFile = "summary.md"

// FormatByName returns an entry of Formats.
func FormatByName(name string) (Format, bool) {
	i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return Formats[i], true
}

// FormatNames lists the names of Formats for people: "terminal, junit or markdown".
func FormatNames() string {
	var names []string
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return alternatives(names)
}

// FileNames lists the files that every run writes beside run.jsonl.
func FileNames() []string {
	var names []string
	for _, f := range Formats {
		if f.File != "" {
			names = append(names, f.File)
		}
	}
	return names
}

// Options say how a report looks. The zero Options are 100 columns without colour.
type Options struct {
	Color    bool     // ANSI colours; the caller decides by isatty and NO_COLOR
	Width    int      // columns; default 100, at least 60
	Failures int      // ways to fail that are drawn in full; default 20, in a summary 10; -1: all that were kept
	Rows     bool     // every scenario world by world, not only those with a failure
	Files    []string // report files to name at the end
	Repeat   string   // command to which the quoted ID is added; default "pgauthmatrix run"
}

func (o Options) filled() Options {
	if o.Width == 0 {
		o.Width = 100
	}
	o.Width = max(o.Width, 60)
	if o.Failures == 0 {
		o.Failures = 20
	}
	if o.Repeat == "" {
		o.Repeat = "pgauthmatrix run"
	}
	return o
}

// WriteFiles writes the file of every format that has one into a folder, without colour, and returns their paths. A file
// appears whole or not at all: a reader never sees half of one, and a failure leaves the one that was there.
func WriteFiles(dir string, v *View, o Options) ([]string, error) {
	o.Color = false
	var paths []string
	for _, f := range Formats {
		if f.File == "" {
			continue
		}
		path := filepath.Join(dir, f.File)
		if err := writeFile(path, func(w io.Writer) error { return f.Render(w, v, o) }); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// writeFile writes to a temporary file in the same folder, and renames it.
func writeFile(path string, draw func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	if err := errors.Join(draw(f), f.Chmod(0o644), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// alternatives writes a, b or c.
func alternatives(words []string) string {
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return strings.Join(words, "")
}
