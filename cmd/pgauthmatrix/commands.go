package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/bench"
	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/prove"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

func listCommand() *cobra.Command {
	var s selection
	var count bool
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "List the cells that a run would try",
		Long: `List the cells that a run would try, one ID a line. A pattern is compared element by element: * stands for anything
within an element, ** for any number of elements, and naming the first elements names everything below them:

  pgauthmatrix list 'negotiation/hostssl-alone/pg17/**/libpq13'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			input, sel, err := s.load(args)
			if err != nil {
				return err
			}
			if s.costs != "" {
				config := run.ConfigOf(input, sel, "", "")
				if err := config.MeasuredBy(s.costs); err != nil {
					return err
				}
				sel = config.Selection
			}
			cells, coverage, err := input.PredictedCells(sel)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			perScenario := map[string]int{}
			for _, c := range cells {
				perScenario[c.Scenario]++
				if !count {
					fmt.Fprintln(out, c.ID)
				}
			}
			if count {
				for _, sc := range input.Scenarios {
					if n := perScenario[sc.Name]; n > 0 {
						fmt.Fprintf(out, "%7d  %-44s  %s\n", n, sc.Name, sc.Question)
					}
				}
			}
			fmt.Fprintln(cmd.ErrOrStderr(), run.Describe(coverage))
			return out.Flush()
		},
	}
	s.flags(cmd, 0)
	cmd.Flags().BoolVar(&count, "count", false, "a line per scenario with its number of cells and its question")
	return cmd
}

func explainCommand() *cobra.Command {
	var s selection
	var q question
	var from string
	cmd := &cobra.Command{
		Use:   "explain CELL | CONNECTION-STRING --hba FILE",
		Short: "Say how a connection ends, and why: a cell of the matrix, or a connection to a server with your own files",
		Long: `Say what the oracle predicts for a cell of the matrix, and why; with --run also what was observed of it.

With --hba the argument is a connection string, and the server's own files are asked, without a server:

  pgauthmatrix explain --hba pg_hba.conf --ident pg_ident.conf --server 17 --from 10.1.2.3 'host=db.example.com user=alice sslmode=prefer'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.hba != "" {
				return q.explain(cmd.OutOrStdout(), args[0])
			}
			input, _, err := s.load(nil)
			if err != nil {
				return err
			}
			c, err := input.Cell(args[0])
			if err != nil {
				return err
			}
			var p matrix.Prediction
			if matrix.NotApplicable(c) == "" {
				if p, err = run.Predict(c); err != nil {
					return err
				}
			}
			record, err := recordOf(from, c.ID)
			if err != nil {
				return err
			}
			return reports.Explain(cmd.OutOrStdout(), c, &reports.ScenariosOf(input.Scenarios, []matrix.Cell{*c})[0], p, record, options())
		},
	}
	s.scenarioFlag(cmd)
	cmd.Flags().StringVar(&from, "run", "", "the `FOLDER` of a run: show its observation and evidence too")
	q.flags(cmd)
	return cmd
}

// recordOf is what a run observed of a cell; nil where no run is named.
func recordOf(folder, id string) (*reports.Record, error) {
	if folder == "" {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, err
	}
	return saved.Find(id)
}

func judgeCommand() *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use:   "judge FOLDER",
		Short: "Classify and judge a saved run again with today's classifier, oracle, expectations and divergences",
		Long: `Classify the evidence of a saved run with today's classifier, and judge it with today's oracle, without a container. What the harness
could not do stays Broken. The judged run is written beside it, to FOLDER-judged.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, _, err := s.load(nil)
			if err != nil {
				return err
			}
			summary, err := run.Again(cmd.OutOrStdout(), input, args[0])
			return ended(summary, err)
		},
	}
	s.scenarioFlag(cmd)
	return cmd
}

func approveCommand() *cobra.Command {
	var s selection
	var to string
	cmd := &cobra.Command{
		Use:   "approve FOLDER PATTERN...",
		Short: "Write what a saved run observed of these cells into the golden files",
		Long: `Write what a saved run observed of the cells that the patterns name into FAMILY/NAME.golden, beside their scenarios. From then on
another outcome is Drift, even where the oracle predicts it. The run must be complete, and no cell of it may be Differ or Broken.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, _, err := s.load(nil)
			if err != nil {
				return err
			}
			saved, err := reports.Open(args[0])
			if err != nil {
				return err
			}
			return run.Approve(cmd.OutOrStdout(), input, saved, args[1:], to)
		},
	}
	cmd.Flags().StringVar(&to, "scenarios", "scenarios", "the `FOLDER` with FAMILY/NAME.yaml")
	s.scenarioFlag(cmd)
	return cmd
}

func renderCommand() *cobra.Command {
	var format string
	var p publishing
	var rows bool
	var failures int
	cmd := &cobra.Command{
		Use:   "render FOLDER",
		Short: "Draw a saved run: " + reports.FormatNames(),
		Long:  renderHelp(),
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, known := reports.FormatByName(format)
			if !known {
				return fmt.Errorf("--format %q: want %s", format, reports.FormatNames())
			}
			saved, err := reports.Open(args[0])
			if err != nil {
				return err
			}
			view, err := reports.NewView(saved)
			if err != nil {
				return err
			}
			against, err := p.open()
			if err != nil {
				return err
			}
			if err := against.Apply(view); err != nil {
				return err
			}
			o := options()
			o.Rows, o.Failures = rows, failures
			return f.Render(cmd.OutOrStdout(), view, o)
		},
	}
	cmd.Flags().StringVar(&format, "format", reports.Formats[0].Name, reports.FormatNames())
	cmd.Flags().BoolVar(&rows, "rows", false, "every scenario row by row, not only those with a failure")
	p.flags(cmd)
	cmd.Flags().IntVar(&failures, "failures", 20, "failures drawn in full; -1: all")
	return cmd
}

// renderHelp lists the formats, a line each.
func renderHelp() string {
	text := "Draw a saved run, without a container. The formats:\n"
	for _, f := range reports.Formats {
		text += fmt.Sprintf("\n  %-10s  %s", f.Name, f.Meaning)
	}
	return text
}

func catCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cat FOLDER",
		Short: "Print the records of a saved run, a line of JSON each",
		Long: `Print the lines of a run's file as they are: the run, a line for each cell, the end. The file is compressed with zstd; zstdcat prints the
same. Where the run was killed, the lines before are printed and the exit status is 2.

  pgauthmatrix cat runs/ID | jq -r 'select(.cell.verdict.status == "Differ") | .cell.id'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			saved, err := reports.Open(args[0])
			if err != nil {
				return err
			}
			return saved.Lines(cmd.OutOrStdout())
		},
	}
}

func diffCommand() *cobra.Command {
	var between string
	var asJSON bool
	var groups int
	cmd := &cobra.Command{
		Use:   "diff FOLDER [FOLDER]",
		Short: "Compare two saved runs, or two versions in one: which cells changed, and what these share",
		Long: `Compare what was observed in two saved runs, cell by cell. Cells that changed in one way are told together, with what they share; the worst
first: admitted (it was refused), weakened (a weaker channel, or the attacker obtains more), now fails; these are regressions. Then what is
news: refused, changed, vanished, appeared, mended.

With --between, cells with one value of an axis are held against those with another, in one run or from the first to the second:

  pgauthmatrix diff runs/MONDAY runs/TUESDAY
  pgauthmatrix diff runs/ID --between server=17,18
  pgauthmatrix diff runs/ID --between library=libpq17,pgx

Exit status: 0 no cell changed, 1 a regression, 3 news and no regression, 2 bad input.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := parseBetween(between)
			if err != nil {
				return err
			}
			if values == nil && len(args) == 1 {
				return fmt.Errorf("diff needs two runs, or --between AXIS=OLD,NEW for one")
			}
			var runs []*reports.Run
			for _, folder := range []string{args[0], args[len(args)-1]} {
				saved, err := reports.Open(folder)
				if err != nil {
					return err
				}
				runs = append(runs, saved)
			}
			d, err := reports.NewDiff(runs[0], runs[1], values)
			if err != nil {
				return err
			}
			if asJSON {
				err = reports.DiffJSON(cmd.OutOrStdout(), d)
			} else {
				o := options()
				o.Failures = groups
				err = reports.DrawDiff(cmd.OutOrStdout(), d, o)
			}
			switch {
			case err != nil:
				return err
			case d.Regressions() > 0:
				return errNotGreen
			case len(d.Changes) > 0:
				return errNews
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&between, "between", "", "`AXIS=OLD,NEW`: hold the cells with one value against those with the other")
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON in place of a page")
	cmd.Flags().IntVar(&groups, "groups", 20, "groups that are drawn; -1: all")
	return cmd
}

func claimsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "claims [FOLDER]",
		Short: "Print the claims of docs/claims.md and the cells that show what is true of each; of a saved run, what was observed",
		Long: `Print the claims of docs/claims.md. Below each stand the sentences that are true of it, as the claim is written and as it is corrected, with the cells
that show them. With the folder of a saved run each sentence has the number of its cells that were observed so, and the first that was not.

  pgauthmatrix run 'claims/**' && pgauthmatrix claims runs/ID

Exit status: 0 no sentence is contradicted, 1 one is, 2 bad input.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, err := run.Load()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				var rows []reports.Shown
				for _, row := range input.Claims {
					rows = append(rows, reports.Shown{Shown: row})
				}
				return reports.DrawClaims(cmd.OutOrStdout(), rows, false, options())
			}
			saved, err := reports.Open(args[0])
			if err != nil {
				return err
			}
			rows, err := reports.ShownIn(saved, input.Claims)
			if err != nil {
				return err
			}
			err = reports.DrawClaims(cmd.OutOrStdout(), rows, true, options())
			if err == nil && reports.Contradicted(rows) > 0 {
				err = errNotGreen
			}
			return err
		},
	}
}

// parseBetween is nil of an empty text.
func parseBetween(text string) (*reports.Between, error) {
	if text == "" {
		return nil, nil
	}
	a, err := matrix.ParseAxisValues(text)
	if err != nil {
		return nil, fmt.Errorf("--between: %w", err)
	}
	if len(a.Values) != 2 || a.Values[0] == a.Values[1] {
		return nil, fmt.Errorf("--between %q: want two different values, AXIS=OLD,NEW", text)
	}
	return &reports.Between{Axis: a.Axis, Old: a.Values[0], New: a.Values[1]}, nil
}

func imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "Build or find every image, with a line for each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run.Images(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func proveCommand() *cobra.Command {
	var list bool
	cmd := &cobra.Command{
		Use:   "prove [TEXT...]",
		Short: "Plant faults one at a time and show that every one is caught",
		Long: `Plant faults one at a time, each in a run of its own, and show that every one is caught at the right cells for the right reason. With TEXT,
only the faults that have one of the texts in their name.`,
		RunE: func(cmd *cobra.Command, texts []string) error {
			if list {
				return prove.List(cmd.OutOrStdout())
			}
			caught, err := prove.Prove(cmd.Context(), cmd.OutOrStdout(), texts)
			if err == nil && !caught {
				err = errNotGreen
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "name the faults, and plant none")
	return cmd
}

func fuzzCommand() *cobra.Command {
	var seed uint64
	var cells, files int
	var dir string
	cmd := &cobra.Command{
		Use:   "fuzz",
		Short: "Try rules, maps and clients written at random, and keep the smallest scenario that disagrees",
		Long: `Write rules, user name maps, roles, networks and clients at random, as scenarios; predict, attempt and judge their cells like those of any
run. A seed gives the same scenarios on every machine. What disagrees is made smaller while it still disagrees in the same way; the
scenario that is left is saved in the run's folder. Cells that the oracle does not predict are counted by cause.

With --files no library connects: servers of every version are asked how they read pg_hba.conf and pg_ident.conf, thousands of random sets of files a
minute; what their views and their logs say is held against the oracle. The smallest set of files that disagrees is saved in --runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cells < 1 {
				return fmt.Errorf("--cells %d: want at least 1", cells)
			}
			var agree bool
			var err error
			if cmd.Flags().Changed("files") {
				if files < 1 {
					return fmt.Errorf("--files %d: want at least 1", files)
				}
				agree, err = prove.FuzzFiles(cmd.Context(), cmd.OutOrStdout(), seed, files, dir)
			} else {
				agree, err = prove.Fuzz(cmd.Context(), cmd.OutOrStdout(), seed, cells, dir)
			}
			if err == nil && !agree {
				err = errNotGreen
			}
			return err
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "which scenarios")
	cmd.Flags().IntVar(&cells, "cells", 2000, "how many cells that are predicted, at least")
	cmd.Flags().IntVar(&files, "files", 0, "ask how servers read so many sets of files, in place of trying cells")
	cmd.MarkFlagsMutuallyExclusive("cells", "files")
	cmd.Flags().StringVar(&dir, "runs", "runs", "`FOLDER` below which the run's own is made")
	return cmd
}

func benchCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Cells and worlds per second, beside pgbench -C over the same mix of transports, and what encryption costs in a bulk transfer, in one run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if folder != "" {
				if _, err := reports.Open(folder); err != nil {
					return fmt.Errorf("--into: %w; want the folder of a run, as in runs/ID", err)
				}
			}
			return bench.Run(cmd.Context(), cmd.OutOrStdout(), folder)
		},
	}
	cmd.Flags().StringVar(&folder, "into", "", "the `FOLDER` of a run: the cost page of its report.html then has the throughput of each transport")
	return cmd
}

func depthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "depth",
		Short: "Measure what a process costs here, and say how deep the live tests should sample",
		Long: `Measure how long starting a small process takes here (the median of 200; on standard error), and print quick, normal or full: a
value for LIVE_DEPTH with which the tests of this repository take less than an hour.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			process, err := livetest.Measure(cmd.Context())
			if err != nil {
				return err
			}
			depth := livetest.Choose(process)
			fmt.Fprintf(cmd.ErrOrStderr(), "a process costs %.1f ms: live tests are %s\n", float64(process.Microseconds())/1000, depth)
			fmt.Fprintln(cmd.OutOrStdout(), depth)
			return nil
		},
	}
}

// options draws for the terminal that standard output is, or plainly for anything else.
func options() reports.Options { return run.Options(os.Stdout) }
