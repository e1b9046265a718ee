package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func reproCommand() *cobra.Command {
	var begin, predict, list bool
	var dir, anonymous string
	cmd := &cobra.Command{
		Use:   "repro FOLDER|CASE",
		Short: "Reproduce a customer's case from the files that were sent, and try what is advised",
		Long: `Read a folder of a customer's files as they were sent: pg_hba.conf, pg_ident.conf and what they include, postgresql.conf or a listing of pg_settings,
krb5.conf, certificates, pg_service.conf. case.yaml beside them says what files cannot: the version, who connects from where with what, what was seen, what is
wanted. Build the nearest world, show the symptom, try what is advised (files in advised/, options in case.yaml), and say whom that lets in besides.
docs/cases.md describes the folder.

  pgauthmatrix repro --init customer        # write customer/case.yaml, with questions where the files do not say
  pgauthmatrix repro customer               # on real servers; the answer is printed, and is answer.md and answer.html in the run's folder
  pgauthmatrix repro --predict customer     # the same from the oracle alone, without a container
  pgauthmatrix repro --anonymise copy customer    # a copy with other names and addresses, of which the oracle says the same
  pgauthmatrix repro --list                 # the built-in cases, which repro takes by name where there is no such folder (docs/catalogue.md)

Exit status: 0 reproduced, and cured if something is advised; 1 not; 2 bad input.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if list {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return listCases(cmd.OutOrStdout())
			}
			files, folder, err := openCase(args[0])
			if err != nil {
				return err
			}
			if folder != nil {
				defer func() { _ = folder.Close() }()
			} else if begin {
				return fmt.Errorf("%s is a built-in case, which has its %s; copy scenarios/%s/%s to change it", args[0], cases.CaseFile, scenarios.Customers, args[0])
			}
			c, err := cases.ReadAt(files, time.Now())
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if begin {
				return initCase(cmd.OutOrStdout(), folder, c)
			}
			if len(c.Connections) == 0 {
				return fmt.Errorf("%s: %w", args[0], cases.ErrNoConnection)
			}
			if anonymous != "" {
				return anonymise(cmd.OutOrStdout(), files, c, anonymous)
			}
			answer, err := c.Answer(nil)
			if !predict && err == nil {
				answer, dir, err = tryCase(cmd.Context(), cmd.ErrOrStderr(), c, args[0], dir)
			}
			if err != nil {
				return err
			}
			if err := reports.CaseMarkdown(cmd.OutOrStdout(), answer); err != nil {
				return err
			}
			if !predict {
				if err := writeAnswer(dir, answer); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s\n", filepath.Join(dir, "answer.md"), filepath.Join(dir, "answer.html"))
			}
			if len(answer.Wrong()) > 0 {
				return errNotGreen
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&begin, "init", false, "write case.yaml into the folder, with questions as comments, and try nothing")
	cmd.Flags().BoolVar(&predict, "predict", false, "answer from the oracle alone, without a container")
	cmd.Flags().BoolVar(&list, "list", false, "name the built-in cases, and try nothing")
	cmd.Flags().StringVar(&anonymous, "anonymise", "", "write a copy without names, realms and addresses to this new `FOLDER`, and try nothing")
	cmd.Flags().StringVar(&dir, "runs", "runs", "`FOLDER` below which the run's own is made")
	return cmd
}

// openCase opens a folder, out of which no name leads. A name that is no folder is that of a built-in case, for which folder is nil.
func openCase(name string) (files fs.FS, folder *os.Root, err error) {
	folder, err = os.OpenRoot(name)
	if err == nil {
		return folder.FS(), folder, nil
	}
	path := scenarios.Customers + "/" + name
	if !errors.Is(err, fs.ErrNotExist) || !fs.ValidPath(path) || strings.Contains(name, "/") {
		return nil, nil, err
	}
	if _, absent := fs.Stat(scenarios.Files, path+"/"+cases.CaseFile); absent != nil {
		return nil, nil, fmt.Errorf("there is no folder %s and no built-in case of that name: name a folder with a customer's files, or one of those of repro --list", name)
	}
	files, err = fs.Sub(scenarios.Files, path)
	return files, nil, err
}

// listCases names the built-in cases, with their questions.
func listCases(out io.Writer) error {
	found, err := fs.Glob(scenarios.Files, scenarios.Customers+"/*/"+cases.CaseFile)
	if err != nil {
		return err
	}
	for _, file := range found {
		files, err := fs.Sub(scenarios.Files, path.Dir(file))
		if err != nil {
			return err
		}
		c, err := cases.Read(files)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Dir(file), err)
		}
		fmt.Fprintf(out, "%-46s %s\n", path.Base(path.Dir(file)), c.Question)
	}
	return nil
}

// tryCase tries all cells of a case on real servers.
func tryCase(ctx context.Context, out io.Writer, c *cases.Case, name, dir string) (*cases.Answer, string, error) {
	controls, err := run.Controls()
	if err != nil {
		return nil, "", err
	}
	_, dir, err = run.Do(ctx, out, run.Config{Scenarios: c.Cells(), Controls: controls, Described: "case " + name, Dir: dir, Closed: true})
	if err != nil {
		return nil, "", err
	}
	observed, err := observations(dir)
	if err != nil {
		return nil, "", err
	}
	answer, err := c.Answer(func(id string) *cases.Observed { return observed[id] })
	return answer, dir, err
}

// observations are what a run says of its cells, by their IDs.
func observations(dir string) (map[string]*cases.Observed, error) {
	saved, err := reports.Open(dir)
	if err != nil {
		return nil, err
	}
	observed := map[string]*cases.Observed{}
	for record, err := range saved.Records() {
		if err != nil {
			return nil, err
		}
		observed[record.ID] = observedOf(record)
	}
	return observed, nil
}

func observedOf(r *reports.Record) *cases.Observed {
	o := &cases.Observed{Status: string(r.Verdict.Status), Why: r.Verdict.Cause, Agrees: r.Verdict.Status == verdict.Agree}
	for _, d := range r.Verdict.Differences {
		o.Why += fmt.Sprintf(" %s is %q, not %q.", d.Field, d.Observed, d.Want)
	}
	if r.Observation != nil && r.Observation.Fault == "" && r.Verdict.Status != verdict.Broken {
		o.Outcome, o.Unseen, o.Valid = r.Observation.Outcome, r.Observation.Unseen, true
	}
	return o
}

func writeAnswer(dir string, a *cases.Answer) error {
	for name, write := range map[string]func(io.Writer, *cases.Answer) error{"answer.md": reports.CaseMarkdown, "answer.html": reports.CaseHTML} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		err = write(f, a)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// anonymise writes a copy into a new folder. What is left for a person to look at is said.
func anonymise(out io.Writer, from fs.FS, c *cases.Case, to string) error {
	copied, err := cases.Anonymise(from, c, rand.Text())
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	folder, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	for name, text := range copied.Files {
		if err := folder.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := folder.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	again, err := cases.Read(folder.FS())
	if err != nil {
		return fmt.Errorf("%s: the copy cannot be read: %w", to, err)
	}
	if err := cases.Same(c, again); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	fmt.Fprintf(out, "%s: %d files, of which the oracle says the same. Read them before you pass them on.\n", to, len(copied.Files))
	for _, n := range copied.Notes {
		fmt.Fprintln(out, n)
	}
	return nil
}

// initCase writes a case.yaml to start from. One that is there stays as it is.
func initCase(out io.Writer, folder *os.Root, c *cases.Case) error {
	f, err := folder.OpenFile(cases.CaseFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return fmt.Errorf("%s has a %s; rename it first", folder.Name(), cases.CaseFile)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, c.Template())
	if closed := f.Close(); err == nil {
		err = closed
	}
	fmt.Fprintf(out, "%s: answer the questions in it, then: pgauthmatrix repro %s\n", filepath.Join(folder.Name(), cases.CaseFile), folder.Name())
	return err
}
