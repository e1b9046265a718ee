package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/compliance"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// statementFiles are the files of a statement, by how they are made.
var statementFiles = []struct {
	name  string
	write func(io.Writer, *compliance.Statement) error
}{
	{"compliance.html", compliance.HTML},
	{"compliance.md", compliance.Markdown},
	{oscalFile, compliance.OSCAL},
	{"compliance.cklb", compliance.CKLB},
}

// oscalFile is also what a later statement is compared with.
const oscalFile = "compliance.oscal.json"

// statement is what the command was asked for.
type statement struct {
	selection
	from, baseline, to, runs, image string

	target  string            // what the statement is about: a folder of a server's own files, or an image that has them; "": cells of the scenarios
	server  *pgimages.Image   // that stands on image
	own     *cases.Case       // what is in it
	digests []compliance.File // of its files
}

func complianceCommand() *cobra.Command {
	var s statement
	cmd := &cobra.Command{
		Use:   "compliance FOLDER | compliance --image IMAGE [FOLDER] | compliance --run RUN PATTERN...",
		Short: "Say which controls of CIS, STIG, NIST and PCI a server's rules satisfy, with evidence",
		Long: `Say which controls of the CIS PostgreSQL Benchmark, the DISA STIG, NIST SP 800-53 and PCI DSS the rules of a server satisfy: by what was
observed, and beside it by what the text of each check would conclude from the configuration. docs/compliance.md lists the controls.

FOLDER has a server's own files: pg_hba.conf and, where there are, pg_ident.conf, the files that they include, postgresql.conf, PG_VERSION, a listing of
pg_settings, krb5.conf. A real server is given the rules, and every class of client that they tell apart is tried:

  pgauthmatrix compliance examples/hardened

With --image the server is somebody's own: an image, local or in a registry, whose programs and account are found and used. Without a FOLDER its files are those of the
one directory of the image that has a pg_hba.conf:

  pgauthmatrix compliance --image registry.example.com/pg:17 examples/hardened

With --run nothing is tried. The statement is about the cells of a saved run; those that the patterns take must be of one server, one version with
one set of rules and settings. With a FOLDER in place of the patterns the run is one that was made with it:

  pgauthmatrix compliance --run runs/ID 'core/two-rules/pg17/first=tls-scram,second=reject'
  pgauthmatrix compliance --run runs/ID examples/hardened

The statement is written as compliance.html, compliance.md, compliance.oscal.json (OSCAL assessment results) and compliance.cklb (STIG Viewer 3).

Exit status: 0 no control is violated, 1 one is, or the server does not load the rules, 2 bad input, 4 none is violated and a cell is Broken.`,
		RunE: s.make,
	}
	f := cmd.Flags()
	f.StringArrayVarP(&s.files, "scenario", "f", nil, "with --run: a scenario `FILE` to use instead of the built-in ones")
	f.StringVar(&s.from, "run", "", "the `FOLDER` of a saved run")
	f.StringVar(&s.image, "image", "", "the server is that of `IMAGE`, local or in a registry")
	f.StringVar(&s.baseline, "baseline", "", "the `FOLDER` of an earlier statement and its run: the statement begins with what has changed since")
	f.StringVarP(&s.to, "output", "o", "", "the `FOLDER` to write to; default: that of the run")
	f.StringVar(&s.runs, "runs", "runs", "`FOLDER` below which the run's own is made")
	return cmd
}

func (s *statement) make(cmd *cobra.Command, args []string) error {
	patterns := args
	if info, err := os.Stat(strings.Join(args, "")); len(args) == 1 && err == nil && info.IsDir() {
		s.target, patterns = args[0], nil
	}
	if err := s.check(args); err != nil {
		return err
	}
	input, err := run.Load(s.files...)
	if err != nil {
		return err
	}
	if s.image != "" || s.target != "" {
		folder, remove, err := s.folder(cmd.Context(), cmd.OutOrStdout())
		if err != nil {
			return err
		}
		defer remove()
		if err := s.read(input, folder); err != nil {
			return err
		}
	}
	if s.from == "" {
		config := run.ConfigOf(input, matrix.Selection{}, "compliance of "+s.target, s.runs)
		config.Server = s.server
		_, folder, err := run.Do(cmd.Context(), cmd.OutOrStdout(), config)
		if err != nil {
			return err
		}
		s.from = folder
	}
	made, err := s.evaluate(input, patterns)
	if err != nil {
		return err
	}
	if s.baseline != "" {
		if err := s.since(made); err != nil {
			return fmt.Errorf("--baseline: %w", err)
		}
	}
	written, err := s.write(made)
	if err != nil {
		return err
	}
	if err := compliance.Terminal(cmd.OutOrStdout(), made, written); err != nil {
		return err
	}
	switch {
	case made.Conclusion() == compliance.Violated || made.NotLoaded() != "":
		return errNotGreen
	case made.Incomplete != "" || made.Counts[verdict.Broken] > 0:
		return errBroken
	}
	return nil
}

// check says which of the arguments and flags do not go together.
func (s *statement) check(args []string) error {
	switch {
	case s.image != "" && s.from != "":
		return errors.New("--image belongs to a statement for which something is tried; with --run nothing is")
	case s.target == "" && s.from == "" && len(args) > 0:
		return fmt.Errorf("%s is no folder; want one with pg_hba.conf, or --run with a saved run", args[0])
	case s.target == "" && s.from == "" && s.image == "":
		return errors.New("want a folder with a server's own files, --image with a server's image, or --run with a saved run")
	case s.target != "" && len(s.files) > 0:
		return errors.New("-f belongs to --run with patterns: the cells of a folder are not those of a scenario file")
	}
	return nil
}

// read reads the folder of a server's own files; the input has the attempts at it in the place of the built-in scenarios.
func (s *statement) read(input *run.Input, name string) error {
	folder, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	if s.own, err = cases.Read(folder.FS()); err != nil {
		return fmt.Errorf("%s: %w", s.target, err)
	}
	for _, name := range s.own.Found {
		text, err := audit.ReadFile(folder.FS(), name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.target, err)
		}
		s.digests = append(s.digests, compliance.NewFile(name, text))
	}
	input.Scenarios, input.Golden, input.Divergences = compliance.Scenarios(s.own), matrix.Golden{}, nil
	return nil
}

// evaluate makes the statement from the saved run.
func (s *statement) evaluate(input *run.Input, patterns []string) (*compliance.Statement, error) {
	saved, err := reports.Open(s.from)
	if err != nil {
		return nil, err
	}
	summary, err := reports.Summarize(saved)
	if err != nil {
		return nil, err
	}
	e := compliance.Evidence{Header: saved.Header, Path: saved.Path, Incomplete: summary.Incomplete, Repeat: s.repeat(patterns)}
	if summary.Trailer != nil {
		e.End = summary.Trailer.End
	}
	if e.SHA256, err = digest(saved.Path); err != nil {
		return nil, err
	}
	if s.to == "" {
		s.to = filepath.Dir(saved.Path)
	}
	if page := filepath.Join(filepath.Dir(saved.Path), "report.html"); isFile(page) {
		if e.Report, err = relative(s.to, page); err != nil {
			return nil, err
		}
	}
	var world *matrix.World
	apart := ""
	wanted := func(id string) bool {
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matrix.MatchID(p, id) })
	}
	err = input.Pairs(saved, wanted, func(c *matrix.Cell, r *reports.Record) {
		switch {
		case world == nil:
			world = c.World
		case apart == "":
			apart = compliance.SameSubject(world, c.World)
		}
		e.Attempts = append(e.Attempts, &compliance.Attempt{Cell: c, Record: r})
	})
	if incomplete := (*reports.Incomplete)(nil); errors.As(err, &incomplete) {
		err = nil
	}
	switch {
	case err != nil && s.target != "":
		return nil, fmt.Errorf("%w (the files of %s may have changed since the run)", err, s.target)
	case err != nil:
		return nil, err
	case world == nil:
		return nil, fmt.Errorf("run %s has no cell that is named %s", saved.Header.Run, strings.Join(patterns, " or "))
	case apart != "":
		return nil, fmt.Errorf("the cells are of several servers, which differ in %s; a statement is about one: narrow the pattern, as in 'FAMILY/NAME/pg17/hba=NAME'", apart)
	}
	if s.target != "" {
		return compliance.Evaluate(compliance.Controls(), compliance.SubjectOfCase(s.target, s.own, s.digests), e)
	}
	id := e.Attempts[0].Cell.ID
	name := strings.TrimSuffix(id[:strings.LastIndex(id, "/"+e.Attempts[0].Cell.Client.Name())], "/")
	return compliance.Evaluate(compliance.Controls(), compliance.SubjectOf(name, world), e)
}

func (s *statement) repeat(patterns []string) string {
	switch {
	case s.image != "" && s.target != s.image:
		return "pgauthmatrix compliance --image " + s.image + " " + s.target
	case s.image != "":
		return "pgauthmatrix compliance --image " + s.image
	case s.target != "":
		return "pgauthmatrix compliance " + s.target
	}
	text := "pgauthmatrix compliance --run " + s.from
	for _, f := range s.files {
		text += " -f " + f
	}
	for _, p := range patterns {
		text += " '" + p + "'"
	}
	return text
}

// since compares with an earlier statement and its run.
func (s *statement) since(made *compliance.Statement) error {
	f, err := os.Open(filepath.Join(s.baseline, oscalFile))
	if err != nil {
		return fmt.Errorf("%w; want the folder of a run with its statement", err)
	}
	defer func() { _ = f.Close() }()
	before, err := compliance.ReadEarlier(f)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	old, err := reports.Open(s.baseline)
	if err != nil {
		return err
	}
	now, err := reports.Open(s.from)
	if err != nil {
		return err
	}
	diff, err := reports.NewDiff(old, now, nil)
	if err != nil {
		return err
	}
	made.Since(before, diff)
	return nil
}

// write writes the files of the statement.
func (s *statement) write(made *compliance.Statement) (paths []string, err error) {
	if err := os.MkdirAll(s.to, 0o755); err != nil {
		return nil, err
	}
	for _, file := range statementFiles {
		path := filepath.Join(s.to, file.name)
		if err := reports.WriteFile(path, func(w io.Writer) error { return file.write(w, made) }); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// relative is a path as seen from a folder.
func relative(folder, path string) (string, error) {
	from, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	text, err := filepath.Rel(from, to)
	return filepath.ToSlash(text), err
}
