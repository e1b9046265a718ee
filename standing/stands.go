package standing

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// List prints what is up, a line each.
func List(ctx context.Context, out io.Writer) error {
	all, err := pgimages.Standings(ctx, prefix)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "nothing is up; pgauthmatrix up SCENARIO brings one up")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tWORLD\tSTATE\tSINCE\tSERVER\tKDC")
	for _, s := range all {
		name := strings.TrimPrefix(s.RunID, prefix)
		world, state, age := "?", "no containers", "?"
		var server, kdc []string
		for i, c := range s.Containers {
			if i == 0 || c.State != "running" {
				state, age = c.State, time.Since(c.Created).Round(time.Second).String()
			}
			switch {
			case strings.HasPrefix(c.Image, "server-"):
				server = append(server, c.Ports...)
			case strings.HasPrefix(c.Image, "kdc"):
				kdc = append(kdc, c.Ports...)
			}
		}
		if dir, err := hostDir(name); err == nil {
			if text, err := os.ReadFile(filepath.Join(dir, worldFile)); err == nil {
				world = strings.TrimSpace(string(text))
			} else if state == "running" {
				state = "coming up, or another user's"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, world, state, age, host(server), host(kdc))
	}
	return w.Flush()
}

// host is the host's side of published ports.
func host(ports []string) string {
	var all []string
	for _, p := range ports {
		outside, _, _ := strings.Cut(p, "->")
		all = append(all, outside)
	}
	return strings.Join(all, " ")
}

// Down removes environments: those named, or all.
func Down(ctx context.Context, out io.Writer, names []string, all bool) error {
	there, err := pgimages.Standings(ctx, prefix)
	if err != nil {
		return err
	}
	if all {
		for _, s := range there {
			names = append(names, strings.TrimPrefix(s.RunID, prefix))
		}
		if len(names) == 0 {
			fmt.Fprintln(out, "nothing is up")
		}
	}
	for _, name := range names { // all of them, before one is removed
		if !slices.ContainsFunc(there, func(s *pgimages.Standing) bool { return s.RunID == prefix+name }) {
			return unknown(name, there)
		}
	}
	for _, name := range names {
		if err := pgimages.Remove(ctx, prefix+name); err != nil {
			return err
		}
		dir, err := hostDir(name)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		fmt.Fprintln(out, "removed", name)
	}
	return nil
}

// unknown says which environments there are.
func unknown(name string, there []*pgimages.Standing) error {
	var names []string
	for _, s := range there {
		names = append(names, strings.TrimPrefix(s.RunID, prefix))
	}
	up := "up are " + strings.Join(names, ", ")
	if len(names) == 0 {
		up = "nothing is up"
	}
	if name == "" {
		return fmt.Errorf("name an environment; %s", up)
	}
	return fmt.Errorf("no environment %q is up; %s", name, up)
}

// the gives the environment of that name; of none if there is only one.
func the(ctx context.Context, name string) (*pgimages.Standing, error) {
	all, err := pgimages.Standings(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.RunID == prefix+name || name == "" && len(all) == 1 {
			return s, nil
		}
	}
	return nil, unknown(name, all)
}

// ShellArgv is the command that opens a shell in the client container, or executes a command there, with the files of the environment named by
// variables.
func ShellArgv(ctx context.Context, name string, terminal bool, command []string) ([]string, error) {
	s, err := the(ctx, name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Containers, func(c pgimages.StandingContainer) bool { return strings.HasPrefix(c.Image, "client-") })
	if i < 0 || s.Containers[i].State != "running" {
		return nil, fmt.Errorf("the client container of %s does not run; pgauthmatrix down %[1]s, and bring it up again", strings.TrimPrefix(s.RunID, prefix))
	}
	argv := []string{"docker", "exec", "-i"}
	if terminal {
		argv[2] = "-it"
	}
	argv = append(argv, s.Containers[i].ID[:12])
	if len(command) > 0 {
		return append(argv, append([]string{"bash", "-c", ". " + profile + `; exec "$@"`, "bash"}, command...)...), nil
	}
	return append(argv, "bash", "--rcfile", profile, "-i"), nil
}

// Words writes an argument list as a shell reads it.
func Words(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = shellWord(a)
	}
	return strings.Join(words, " ")
}

// Logs prints what the server and the KDC have logged, each line with its source, and goes on until ctx ends; without follow it ends where the logs
// end. Debug messages of the server are left out unless they are wanted.
func Logs(ctx context.Context, out io.Writer, name string, follow, debug bool) error {
	s, err := the(ctx, name)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	sources := 0
	for _, c := range s.Containers {
		source, file := "server", pgimages.LogFile
		switch {
		case strings.HasPrefix(c.Image, "kdc"):
			source, file = "kdc", pgimages.KDCLogFile
		case !strings.HasPrefix(c.Image, "server-"):
			continue
		}
		sources++
		argv := []string{"cat", file}
		if follow {
			argv = []string{"tail", "-n", "+1", "-F", file}
		}
		group.Go(func() error {
			running, err := pgimages.Attach(groupCtx, c.ID)
			if err != nil {
				return err
			}
			pipe, err := running.Pipe(groupCtx, argv...)
			if err != nil {
				return fmt.Errorf("%s: %w", source, err)
			}
			stop := context.AfterFunc(groupCtx, func() { _ = pipe.Close() })
			defer stop()
			defer func() { _ = pipe.Close() }()
			lines := bufio.NewScanner(pipe)
			lines.Buffer(nil, 1<<20)
			leftOut := false
			for lines.Scan() {
				text := lines.Text()
				if source == "server" && !debug {
					if strings.Contains(text, "|DEBUG:") {
						leftOut = true
						continue
					} else if leftOut && strings.HasPrefix(text, "\t") {
						continue // a debug message of several lines
					}
					leftOut = false
				}
				mu.Lock()
				_, err := fmt.Fprintf(out, "%-6s | %s\n", source, text)
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			if err := lines.Err(); err != nil && groupCtx.Err() == nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("%s: %w", source, err)
			}
			return nil
		})
	}
	if sources == 0 {
		return fmt.Errorf("%s has neither a server nor a KDC any more", strings.TrimPrefix(s.RunID, prefix))
	}
	return group.Wait()
}
