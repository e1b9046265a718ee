package reports

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a way to draw a run.
type Format struct {
	Name    string                                // as `pgauthmatrix render --format` takes it
	File    string                                // name of the file that every run writes beside its records; empty: none
	Meaning string                                // one line, for the command line and the documentation
	Render  func(io.Writer, *View, Options) error // the error is the writer's

	// split says how the file is written in parts, each whole by itself; nil: it is one file. Several parts are NAME-1.EXT, NAME-2.EXT, …
	split func(*View, Options) []func(io.Writer) error
}

// Formats is the table of formats; the first is what `pgauthmatrix render` draws. A new format is entered here and has a
// file of its own in this package. The command line, README.md and every run read this table.
var Formats = []Format{
	{Name: "terminal", Meaning: "the matrix, the failures with their evidence and the counts, as wide as the terminal", Render: Terminal},
	{Name: "html", File: "report.html", Meaning: "one page with every cell and its evidence, for a browser: heat map, filters, downgrade map, attacks, cost", Render: HTML},
	{Name: "junit", File: "junit.xml", Meaning: fmt.Sprintf("JUnit XML for CI servers: a suite per scenario, a test case per cell. Above %s cells a case per scenario, server and client, and one for each cell that fails. More than %s cases are junit-1.xml, junit-2.xml, …",
		thousands(junitCells), thousands(junitCases)), Render: JUnit, split: junitFiles},
	{Name: "markdown", File: SummaryFile, Meaning: "a short summary for the page of a CI job: the counts, the scenarios that fail, the worst failures, and the tables of what attackers and clients obtain; at most 900 kB", Render: Markdown},
	{Name: "csv", Meaning: "a row per cell: its ID, its value on every axis, what was predicted and observed, the verdict, the group in which it fails", Render: CSV},
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

// FileNames lists the files that every run writes beside its records.
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
	Failures int      // groups of failures that are drawn in full; default 20, in a summary 10; -1: all that were kept
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
		written, err := f.write(dir, v, o)
		paths = append(paths, written...)
		if err != nil {
			return paths, err
		}
	}
	return paths, nil
}

// write writes the format's file, or its parts, and removes those that an earlier report left and this one has not.
func (f Format) write(dir string, v *View, o Options) ([]string, error) {
	parts := []func(io.Writer) error{func(w io.Writer) error { return f.Render(w, v, o) }}
	if f.split != nil {
		parts = f.split(v, o)
	}
	ext := filepath.Ext(f.File)
	base := strings.TrimSuffix(f.File, ext)
	var paths []string
	for i, draw := range parts {
		path := filepath.Join(dir, f.File)
		if len(parts) > 1 {
			path = filepath.Join(dir, fmt.Sprintf("%s-%d%s", base, i+1, ext))
		}
		if err := WriteFile(path, draw); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	if f.split == nil {
		return paths, nil
	}
	old, err := filepath.Glob(filepath.Join(dir, base+"-[0-9]*"+ext))
	for _, path := range append(old, filepath.Join(dir, f.File)) {
		if !slices.Contains(paths, path) {
			if gone := os.Remove(path); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}
	return paths, err
}

// WriteFile writes to a temporary file in the same folder, and renames it.
func WriteFile(path string, draw func(io.Writer) error) error {
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
