package main

import (
	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/doctor"
)

func doctorCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Ask whether this machine can carry out a run, and say what mends it where it cannot",
		Long: "Ask whether this machine can carry out a run. Whatever is wrong is named with the command that mends it; doctor itself changes nothing.\n" +
			"The checks:\n\n" + doctor.Help() + "\nExit status: 0 a run can begin, 1 a check failed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			results := doctor.Examine(cmd.Context(), dir)
			draw := doctor.Text
			if asJSON {
				draw = doctor.JSON
			}
			if err := draw(cmd.OutOrStdout(), results); err != nil {
				return err
			}
			if !doctor.Able(results) {
				return errNotGreen
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "runs", "runs", "`FOLDER` below which runs make their own")
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON in place of lines")
	return cmd
}
