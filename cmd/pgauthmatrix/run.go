package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

const baselineUsage = "the `FOLDER` of an earlier run, the last that was green: the reports say first what changed since"

func runCommand() *cobra.Command {
	var s selection
	var dir, driver, baseline string
	cmd := &cobra.Command{
		Use:   "run [PATTERN...]",
		Short: "Provision, attempt and judge",
		Long: `Provision, attempt and judge the selected cells. A cell's ID, as a failure prints it, repeats that one cell:

  pgauthmatrix run 'negotiation/host-alone/pg17/ssl=on/libpq17/ticket=none,gssencmode=disable,sslmode=require,sslnegotiation=postgres'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			input, sel, err := s.load(args)
			if err != nil {
				return err
			}
			if driver != "" {
				if sel, err = s.driver(input, sel, driver); err != nil {
					return err
				}
			}
			config := run.ConfigOf(input, sel, s.describe(args), dir)
			if baseline != "" {
				if config.Baseline, err = openBaseline(baseline); err != nil {
					return err
				}
			}
			summary, _, err := run.Do(cmd.Context(), cmd.OutOrStdout(), config)
			return ended(summary, err)
		},
	}
	s.flags(cmd, 0)
	cmd.Flags().StringVar(&dir, "runs", "runs", "`FOLDER` below which the run's own is made")
	cmd.Flags().StringVar(&driver, "client", "", "a `FILE` that describes a driver of your own: it is tried in the cells of the client that it is like (docs/your-own-driver.md)")
	cmd.Flags().StringVar(&baseline, "baseline", "", baselineUsage)
	return cmd
}

func openBaseline(folder string) (*reports.Run, error) {
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w; want the folder of a run, as in runs/ID", err)
	}
	return saved, nil
}
