package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// crossing is an attempt that is begun before the server gets the files of its world, and ends afterwards.
type crossing struct {
	cell     *matrix.Cell
	request  agent.Attempt
	across   matrix.AcrossEvidence
	evidence matrix.Evidence
	err      error
	ended    chan struct{}
}

// Across brings the server to a world, with the attempts of these cells begun before it gets its files: each has then ended, or its session
// waits until the files are loaded. The observations are in the order of the cells. With an error no cell is to be believed.
func Across(ctx context.Context, env *fixtures.Env, w *matrix.World, cells []*matrix.Cell) ([]matrix.Observation, error) {
	all := make([]*crossing, len(cells))
	for i, c := range cells {
		if why := matrix.NotApplicable(c); why != "" || c.World.Key() != w.Key() {
			return nil, fmt.Errorf("cell %s cannot be attempted across the load of this world: %s", c.ID, why)
		}
		all[i] = &crossing{cell: c, ended: make(chan struct{})}
	}
	attempts, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	err := env.InstallAcross(ctx, w, func(ctx context.Context) error { return begin(ctx, attempts, env, all) })
	if err != nil {
		cancel()
	}
	observations := make([]matrix.Observation, len(cells))
	for i, x := range all {
		if x.request.Token == "" { // it was not begun
			err = errors.Join(err, fmt.Errorf("cell %s was not begun", x.cell.ID))
			continue
		}
		<-x.ended
		x.evidence.Across = &x.across
		observations[i] = conclude(env, x.cell, &x.request, x.evidence, x.err)
	}
	return observations, err
}

// begin begins the attempts and waits until each has ended or waits in its session.
func begin(ctx, attempts context.Context, env *fixtures.Env, all []*crossing) error {
	for _, x := range all {
		client, server := clientOf(env, x.cell), env.Server()
		if client == nil {
			return fmt.Errorf("no client container for %s in this Env", x.cell.Client.Name())
		}
		var err error
		if x.request, err = Request(env, x.cell); err != nil {
			x.request.Token = ""
			return err
		}
		go func() {
			defer close(x.ended)
			defer func() { // the containers of the run outlive it and have to be removed
				if p := recover(); p != nil {
					x.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			x.evidence, x.err = witness(attempts, client, server, x.cell, x.request)
		}()
	}
	for {
		waiting, err := env.Waiting(ctx)
		if err != nil {
			return err
		}
		open := ""
		for _, x := range all {
			select {
			case <-x.ended:
				x.across.PID = 0
				continue
			default:
			}
			if x.across.PID = waiting[classify.ApplicationName(x.cell)]; x.across.PID == 0 {
				open = x.cell.ID
			}
		}
		if open == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the attempt of %s neither ended nor waits in its session: %w", open, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}
