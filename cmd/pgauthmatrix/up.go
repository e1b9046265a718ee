package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/standing"
)

func upCommand() *cobra.Command {
	var s selection
	var server int
	var name string
	var advised bool
	cmd := &cobra.Command{
		Use:   "up SCENARIO | CELL | FOLDER",
		Short: "Bring up the environment of a scenario's world or a customer's case and leave it running",
		Long: `Bring up the realm, the server and a client of one world and leave them running, and print what a person types: to get a ticket, to connect from a
shell in the client container, and from this machine. The argument is a pattern, as list takes it; of several worlds the first is brought up. Or it is a
folder with a customer's pg_hba.conf, as repro takes it. Several environments can be up at a time, each under its name.

  pgauthmatrix up negotiation/host-alone --server 17
  pgauthmatrix up customer              # the nearest world of a customer's case; --advised: with what is advised
  pgauthmatrix shell host-alone
  pgauthmatrix down host-alone`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := caseFolder(args[0])
			if err != nil {
				return err
			}
			if folder != nil {
				defer func() { _ = folder.Close() }()
				for _, flag := range []string{"server", "axis", "scenario"} {
					if cmd.Flags().Changed(flag) {
						return fmt.Errorf("--%s: %s is a customer's case, of which %s says it", flag, args[0], cases.CaseFile)
					}
				}
				choice, err := chooseCase(folder, advised)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				if name == "" {
					name = standing.NameOfFolder(args[0])
				}
				return standing.Up(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), name, choice)
			}
			if advised {
				return fmt.Errorf("--advised: %s is no folder with a pg_hba.conf, and only a customer's case has what is advised", args[0])
			}
			if cmd.Flags().Changed("server") {
				if !slices.Contains(matrix.ServerVersions, server) {
					return fmt.Errorf("--server %d: want one of %v", server, matrix.ServerVersions)
				}
				s.axes = append(s.axes, "server="+strconv.Itoa(server))
			}
			input, sel, err := s.load(args)
			if err != nil {
				return err
			}
			cells, _, err := input.Cells(sel)
			if err != nil {
				return noCase(args[0], err)
			}
			choice, err := standing.Choose(cells)
			if err != nil {
				return err
			}
			if name == "" {
				name = standing.NameOf(choice.Cells[0])
			}
			return standing.Up(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), name, choice)
		},
	}
	f := cmd.Flags()
	s.scenarioFlag(cmd)
	f.StringArrayVar(&s.axes, "axis", nil, "`AXIS=VALUE[,VALUE]`: a world and a client with one of these values (repeat for several axes)")
	f.IntVar(&server, "server", 0, "the `VERSION` of the server; without it the default version if the scenario has it, else its newest")
	f.BoolVar(&advised, "advised", false, "of a customer's case: the world with what is advised")
	f.StringVar(&name, "name", "", "the `NAME` of the environment; without it the last part of the scenario's or the folder's")
	return cmd
}

// noCase is the error about a name that selects no cell: it may have been meant for a folder.
func noCase(name string, err error) error {
	info, missing := os.Stat(name)
	switch {
	case missing == nil && info.IsDir():
		return fmt.Errorf("%s: the folder has no %s, so it is no customer's case: %w", name, matrix.HBAFile, err)
	case missing != nil && (filepath.IsAbs(name) || strings.HasPrefix(name, ".")):
		return missing
	}
	return err
}

// caseFolder opens the folder of a customer's case; nil: the name is that of none. A name that leads out of it is no file of the case.
func caseFolder(name string) (*os.Root, error) {
	if _, err := os.Lstat(filepath.Join(name, matrix.HBAFile)); err != nil {
		return nil, nil //nolint:nilnil // no folder and no error: it may be a scenario
	}
	return os.OpenRoot(name)
}

func chooseCase(folder *os.Root, advised bool) (*standing.Choice, error) {
	c, err := cases.ReadAt(folder.FS(), time.Now())
	if err != nil {
		return nil, err
	}
	return standing.OfCase(c, advised)
}

func shellCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell [NAME] [-- COMMAND...]",
		Short: "Open a shell in the client container of an environment that is up, or execute a command there",
		Long: `Open a shell in the client container of an environment that is up. KRB5_CONFIG, PGPASSFILE, PGHOST, PGUSER and PGDATABASE are set, and tickets, keytabs
and certificates lie in /pgam/client. Where there is no terminal, the command that opens the shell is printed. The name can be left out if only one
environment is up.

  pgauthmatrix shell host-alone -- psql -c 'SELECT 1'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, command := args, []string(nil)
			if n := cmd.ArgsLenAtDash(); n >= 0 {
				names, command = args[:n], args[n:]
			}
			if len(names) > 1 {
				return fmt.Errorf("shell takes one name, then -- and a command; got %s", strings.Join(names, " "))
			}
			terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
			argv, err := standing.ShellArgv(cmd.Context(), strings.Join(names, ""), terminal || len(command) == 0, command)
			if err != nil {
				return err
			}
			if len(command) == 0 && !terminal {
				fmt.Fprintf(cmd.ErrOrStderr(), "here is no terminal; in one, this opens the shell:\n")
				fmt.Fprintln(cmd.OutOrStdout(), standing.Words(argv))
				return nil
			}
			return passOn(cmd.Context(), argv)
		},
	}
}

// passOn executes a program in place of this one.
func passOn(ctx context.Context, argv []string) error {
	program := exec.CommandContext(ctx, argv[0], argv[1:]...)
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	program.Cancel = func() error { return nil } // an interrupt is the shell's
	err := program.Run()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		return &outcome{status{Code: failed.ExitCode(), Name: "the command's own status"}}
	}
	return err
}

func logsCommand() *cobra.Command {
	var once, debug bool
	cmd := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "Follow the logs of the server and the KDC of an environment that is up",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return standing.Logs(cmd.Context(), cmd.OutOrStdout(), strings.Join(args, ""), !once, debug)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end where the logs end")
	cmd.Flags().BoolVar(&debug, "debug", false, "with the debug messages of the server")
	return cmd
}

func psCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "List the environments that are up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return standing.List(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func downCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down NAME... | --all",
		Short: "Remove environments that are up",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return errors.New("down takes names or --all, not both")
			case !all && len(args) == 0:
				args = []string{""} // its error names those that there are
			}
			return standing.Down(cmd.Context(), cmd.OutOrStdout(), args, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every environment that is up")
	return cmd
}
