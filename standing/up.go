package standing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
)

// prefix begins the run IDs of environments that are kept.
const prefix = "up-"

// Failed is an error of an environment that did not come up although nothing is wrong with what was asked.
type Failed struct{ error }

// Unwrap is the cause.
func (f *Failed) Unwrap() error { return f.error }

// Up brings up the chosen world under a name and leaves it running. out is told what a person types, progress what is done. When Up fails or
// ctx ends, nothing remains. A world that the server does not load is a *fixtures.NotLoaded; what fails beside that a *Failed.
func Up(ctx context.Context, out, progress io.Writer, name string, c *Choice) (err error) {
	if err := checkName(name); err != nil {
		return err
	}
	pgimages.WithoutReaper()
	if _, err := pgimages.Sweep(ctx); err != nil {
		return err
	}
	if stands, err := find(ctx, name); err != nil {
		return err
	} else if stands != nil {
		return fmt.Errorf("the name %s is taken by what is up %s; take it down (pgauthmatrix down %s), or give another with --name", name, since(stands), name)
	}
	dir, err := hostDir(name)
	if err != nil {
		return err
	}
	plan, err := planOf(c.Cells)
	if err != nil {
		return err
	}
	plan.RunID, plan.Dir, plan.Open = prefix+name, filepath.Join(dir, "logs"), true
	plan.Closed = len(c.Who) > 0 // as in repro: the rules are somebody else's
	plan.Progress = func(line string) { fmt.Fprintln(progress, line) }
	// Labels claims the name: of two calls at once, one fails here, before it touches anything of the other's.
	if _, err := pgimages.Labels(plan.RunID); err != nil {
		return fmt.Errorf("the name %s is taken: %w", name, err)
	}
	defer func() {
		if refused := (*fixtures.NotLoaded)(nil); err != nil && !errors.As(err, &refused) {
			err = &Failed{err}
		}
	}()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	env, err := fixtures.Provision(ctx, plan)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w; the logs are in %s", err, plan.Dir)
	} else if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		if err != nil {
			away := context.WithoutCancel(ctx)
			err = errors.Join(err, env.Close(away), pgimages.Remove(away, plan.RunID), os.RemoveAll(dir))
		}
	}()
	if err := env.Install(ctx, c.Cells[0].World); err != nil {
		return err
	}
	s, err := newSheet(name, dir, c, env)
	if err != nil {
		return err
	}
	if err := env.Export(dir); err != nil {
		return err
	}
	for file, text := range map[string]string{"krb5.conf": env.OutsideKRB5Conf(), worldFile: c.World() + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := env.WriteClients(ctx, profile, []byte(s.profile())); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil { // interrupted: from here on it stays
		return err
	}
	if err := env.Leave(); err != nil {
		return err
	}
	_, err = io.WriteString(out, s.text())
	return err
}

// planOf plans an Env for cells that are tried by hand, with psql: of the version that the first cell's libpq has, if it has one, and else the newest that is
// available.
func planOf(cells []*matrix.Cell) (fixtures.Plan, error) {
	plan, err := fixtures.PlanFor(cells)
	if err != nil {
		return plan, err
	}
	plan.Libraries, plan.Drivers = nil, nil
	if first := cells[0].Client; first.Driver == nil && first.Library.UsesLibpq() {
		plan.Libraries = []matrix.Library{first.Library}
	}
	return plan, nil
}

// worldFile has the world of an environment, for ps.
const worldFile = "world"

// hostDir is where the files for the host are.
func hostDir(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the files of an environment: %w; set XDG_CACHE_HOME", err)
	}
	return filepath.Join(base, "pgauthmatrix", "up", name), nil
}

// find finds an environment; nil: there is none of that name.
func find(ctx context.Context, name string) (*pgimages.Standing, error) {
	all, err := pgimages.Standings(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.RunID == prefix+name {
			return s, nil
		}
	}
	return nil, nil
}

// since says for how long an environment has been there.
func since(s *pgimages.Standing) string {
	if len(s.Containers) == 0 {
		return "without containers"
	}
	first := slices.MinFunc(s.Containers, func(a, b pgimages.StandingContainer) int { return a.Created.Compare(b.Created) })
	return "for " + time.Since(first.Created).Round(time.Second).String()
}
