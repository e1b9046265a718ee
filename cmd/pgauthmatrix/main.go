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

// errNotGreen ends the program with status 1 after a run that was carried out and is not green; what is wrong was
// already said. Every other error is status 2.
var errNotGreen = errors.New("not green")

// errNews ends diff with status 3: cells changed, none for the worse.
var errNews = errors.New("news")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	err := root().ExecuteContext(ctx)
	stop()
	switch {
	case errors.Is(err, errNotGreen):
		os.Exit(1)
	case errors.Is(err, errNews):
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pgauthmatrix",
		Short: "Who can get into PostgreSQL, how protected, and why",
		Long: `pgauthmatrix provisions MIT Kerberos realms and PostgreSQL servers in containers, tries a matrix of connections with
real client libraries, and judges each against a pure oracle's prediction and hand-written expectations.

Exit status: 0 green, 1 a run that is not green, 2 bad input or nothing could be run.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.AddCommand(
		listCommand(),
		explainCommand(),
		auditCommand(),
		diffRulesCommand(),
		playgroundCommand(),
		runCommand(),
		judgeCommand(),
		approveCommand(),
		renderCommand(),
		catCommand(),
		diffCommand(),
		imagesCommand(),
		proveCommand(),
		fuzzCommand(),
		benchCommand(),
		depthCommand(),
	)
	cmd.CompletionOptions.HiddenDefaultCmd = true
	return cmd
}
