package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// publishing are the flags of the commands that publish a run.
type publishing struct{ baseline, history string }

func (p *publishing) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.history, historyFlag, "", "a `FILE` with a line for each night: the reports say since when something is as it is, and a run that ends appends its line")
	cmd.Flags().StringVar(&p.baseline, baselineFlag, "", "the `FOLDER` of an earlier run, the last that was green: the reports say first what changed since")
}

func (p *publishing) open() (run.Publishing, error) {
	opened := run.Publishing{History: p.history}
	if p.history != "" {
		if err := reports.CheckHistory(p.history); err != nil {
			return opened, fmt.Errorf("--%s: %w", historyFlag, err)
		}
	}
	if p.baseline == "" {
		return opened, nil
	}
	saved, err := reports.Open(p.baseline)
	if err != nil {
		return opened, fmt.Errorf("--%s: %w; want the folder of a run, as in runs/ID", baselineFlag, err)
	}
	opened.Baseline = saved
	return opened, nil
}

func runCommand() *cobra.Command {
	var s selection
	var p publishing
	var dir, driver, resume string
	var repeat int
	cmd := &cobra.Command{
		Use:   "run [PATTERN...]",
		Short: "Provision, attempt and judge",
		Long: `Provision, attempt and judge the selected cells. A cell's ID, as a failure prints it, repeats that one cell:

  pgauthmatrix run 'negotiation/host-alone/pg17/ssl=on/libpq17/ticket=none,gssencmode=disable,sslmode=require,sslnegotiation=postgres'

A run that was interrupted or killed goes on with --resume, which takes the selection from there:

  pgauthmatrix run --resume runs/ID`,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := s.config(cmd, args, driver, resume)
			if err != nil {
				return err
			}
			switch {
			case repeat < 1:
				return fmt.Errorf("--repeat %d: want at least 1", repeat)
			case repeat > 1:
				config.Repeat = repeat
			}
			if resume == "" {
				config.Dir = dir
			}
			if config.Publishing, err = p.open(); err != nil {
				return err
			}
			if shard := config.Selection.Shard; p.history != "" && shard.Count > 1 {
				return fmt.Errorf("--%s: shard %s is no night; give the file to merge", historyFlag, shard)
			}
			summary, _, err := run.Do(cmd.Context(), cmd.OutOrStdout(), config)
			return ended(summary, err)
		},
	}
	s.flags(cmd, 0)
	cmd.Flags().StringVar(&dir, "runs", "runs", "`FOLDER` below which the run's own is made")
	cmd.Flags().StringVar(&driver, "client", "", "a `FILE` that describes a driver of your own: it is tried in the cells of the client that it is like (docs/your-own-driver.md)")
	cmd.Flags().IntVar(&repeat, "repeat", 1, "attempts of each cell: one that does not always end alike is Broken")
	cmd.Flags().StringVar(&resume, resumeFlag, "", "the `FOLDER` of a run that did not end: try the cells that have no record")
	p.flags(cmd)
	return cmd
}

const (
	resumeFlag   = "resume"
	baselineFlag = "baseline"
	historyFlag  = "history"
)

// config is the Config of a run, or of one that goes on.
func (s *selection) config(cmd *cobra.Command, args []string, driver, resume string) (run.Config, error) {
	if resume != "" {
		var wrong error
		if len(args) > 0 {
			wrong = fmt.Errorf("--%s takes the selection from the run: leave out %s", resumeFlag, args[0])
		}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if !slices.Contains([]string{resumeFlag, baselineFlag, historyFlag}, f.Name) && wrong == nil {
				wrong = fmt.Errorf("--%s takes the selection from the run: leave out --%s", resumeFlag, f.Name)
			}
		})
		if wrong != nil {
			return run.Config{}, wrong
		}
		saved, err := reports.Open(resume)
		if err != nil {
			return run.Config{}, fmt.Errorf("--%s: %w; want the folder of a run, as in runs/ID", resumeFlag, err)
		}
		return run.ResumeConfig(saved)
	}
	input, sel, err := s.load(args)
	if err != nil {
		return run.Config{}, err
	}
	if driver != "" {
		if sel, err = s.driver(input, sel, driver); err != nil {
			return run.Config{}, err
		}
	}
	config := run.ConfigOf(input, sel, s.describe(args), "")
	config.Files, config.DriverFile = s.files, driver
	if s.costs != "" {
		err = config.MeasuredBy(s.costs)
	}
	return config, err
}

func mergeCommand() *cobra.Command {
	var p publishing
	var to string
	cmd := &cobra.Command{
		Use:   "merge FOLDER... -o FOLDER",
		Short: "Join the shards of a run into one run, with all its reports",
		Long: `Join the runs that were made with --shard 1/N to N/N into one run, in a new folder, with all its reports. All shards must be there, each once, of one selection,
made by one version of this program with equal images. The exit status is that of a run.

  pgauthmatrix merge shards/* -o runs/night`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, err := run.Load()
			if err != nil {
				return err
			}
			publish, err := p.open()
			if err != nil {
				return err
			}
			summary, err := run.Merge(cmd.OutOrStdout(), input, args, to, publish)
			return ended(summary, err)
		},
	}
	cmd.Flags().StringVarP(&to, "output", "o", "", "the new `FOLDER`")
	_ = cmd.MarkFlagRequired("output")
	p.flags(cmd)
	return cmd
}
