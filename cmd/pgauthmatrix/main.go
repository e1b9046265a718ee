// Pgauthmatrix tries who can get into PostgreSQL, how protected and why: real Kerberos realms and servers in
// containers, real client libraries, and an oracle that has said beforehand what will happen.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	err := root().ExecuteContext(ctx)
	stop()
	var said *outcome
	if err != nil && !errors.As(err, &said) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(statusOf(err).Code)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pgauthmatrix",
		Short: "Who can get into PostgreSQL, how protected, and why",
		Long: `pgauthmatrix provisions MIT Kerberos realms and PostgreSQL servers in containers, tries a matrix of connections with
real client libraries, and judges each against a pure oracle's prediction and hand-written expectations.

` + statusHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(
		listCommand(),
		explainCommand(),
		auditCommand(),
		diffRulesCommand(),
		playgroundCommand(),
		reproCommand(),
		runCommand(),
		mergeCommand(),
		judgeCommand(),
		approveCommand(),
		renderCommand(),
		catCommand(),
		diffCommand(),
		claimsCommand(),
		complianceCommand(),
		upCommand(),
		shellCommand(),
		logsCommand(),
		psCommand(),
		downCommand(),
		packCommand(),
		imagesCommand(),
		proveCommand(),
		fuzzCommand(),
		benchCommand(),
		depthCommand(),
		doctorCommand(),
	)
	cmd.CompletionOptions.HiddenDefaultCmd = true
	return cmd
}
