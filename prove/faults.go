package prove

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
	"github.com/pgauthmatrix/pgauthmatrix/probe/agent"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// The cells that faults are shown on: one scenario's cells by client options, with the libraries that differ most.
const (
	anyLib    = "/*/"
	plainOnly = "ticket=none,gssencmode=disable,sslmode=disable,sslnegotiation=postgres"
	tlsOnly   = "ticket=none,gssencmode=disable,sslmode=require,sslnegotiation=postgres"
	gssOnly   = "ticket=valid,gssencmode=require,sslmode=disable,sslnegotiation=postgres"
	preferAll = "ticket=valid,gssencmode=prefer,sslmode=prefer,sslnegotiation=postgres"
	ticketAny = "ticket=valid,gssencmode=disable,sslmode=disable,sslnegotiation=postgres"
)

func cells(world string, options ...string) []string {
	var patterns []string
	for _, lib := range []string{"libpq13", "libpq17"} {
		for _, o := range options {
			patterns = append(patterns, "negotiation/"+world+"/"+lib+"/"+o)
		}
	}
	return patterns
}

// client is the library that process faults are planted on.
const client = matrix.Library("libpq17")

func faults() []fault {
	on := func(scenario string) string { return scenario + "/pg17/ssl=on" }
	return []fault{
		{"hostssl became hostnossl", cells(on("hostssl-alone"), plainOnly, tlsOnly), cells(on("host-alone"), plainOnly, tlsOnly),
			hba("hostssl ", "hostnossl ")},
		{"trust became reject", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), cells(on("hostssl-gss"), plainOnly),
			hba("host  all  all  all  trust", "host  all  all  all  reject")},
		{"hostgssenc became host", cells(on("hostgssenc-gss"), ticketAny), cells(on("hostgssenc-gss"), gssOnly),
			hba("hostgssenc ", "host ")},
		{"include_realm=0 became include_realm=1", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			hba("include_realm=0", "include_realm=1")},
		{"TLS silently off", cells(on("host-alone"), tlsOnly), cells(on("host-alone"), plainOnly),
			swap(func(w *matrix.World) { w.SSL = "off" })},
		{"stale keytab", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			swap(func(w *matrix.World) { w.Keytab = "stale" })},
		{"keytab of another SPN", cells(on("hostgssenc-gss"), gssOnly), cells(on("hostgssenc-gss"), plainOnly),
			swap(func(w *matrix.World) { w.Keytab = "other" })},
		{"server certificate of another CA",
			cells("server-certificate/pg17/ssl=on,servercert=good", "ticket=none,gssencmode=disable,sslmode=verify-full,root=right"),
			cells("server-certificate/pg17/ssl=on,servercert=good", "ticket=none,gssencmode=disable,sslmode=disable,root=right"),
			swap(func(w *matrix.World) { w.ServerCert = "other-ca" })},
		{"KDC stopped in mid-run", cells(on("hostgssenc-gss"), gssOnly, plainOnly, preferAll), nil,
			&run.Sabotage{Attempted: once(func(ctx context.Context, env *fixtures.Env) error { return env.StopKDC(ctx) })}},
		{"client image without GSSAPI", cells(on("host-alone"), plainOnly, gssOnly), nil,
			&run.Sabotage{Plan: func(p *fixtures.Plan) { p.ClientImage = pgimages.ClientWithoutGSS }}},
		{"server killed in mid-run", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), nil,
			&run.Sabotage{Attempted: once(func(ctx context.Context, env *fixtures.Env) error {
				return program(ctx, env.Server(), "pkill", "-9", "postgres")
			})}},
		{"client's agent killed in mid-run", cells(on("host-alone"), plainOnly, tlsOnly, gssOnly), nil,
			&run.Sabotage{Attempted: once(func(ctx context.Context, env *fixtures.Env) error {
				_ = program(ctx, env.Client(client), "pkill", "-9", "pgauthmatrix")
				return nil // the agent dies before it can answer
			})}},
		{"session row says no encryption", cells(on("host-alone"), tlsOnly, gssOnly), nil, witness(func(e *matrix.Evidence) {
			e.Client.Session.SSL, e.Client.Session.GSSEncrypted = false, false
		})},
		{"client says connected, server refused", cells(on("hostssl-alone"), plainOnly), nil, witness(func(e *matrix.Evidence) {
			e.Client.Connected, e.Client.Message = true, ""
		})},
		{"client says refused, server connected", cells(on("host-alone"), plainOnly), nil, witness(func(e *matrix.Evidence) {
			e.Client.Connected, e.Client.Session = false, nil
			e.Client.Message = `FATAL:  no pg_hba.conf entry for host "172.18.0.3", user "alice", database "postgres", no encryption`
		})},
		{"server's log lost", cells(on("host-alone"), plainOnly, tlsOnly), nil, witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				e.Connections[i].Log = nil
			}
		})},
		{"relay's record lost", cells(on("host-alone"), plainOnly, tlsOnly), nil, witness(func(e *matrix.Evidence) {
			for i := range e.Connections {
				e.Connections[i].Wire = nil
			}
		})},
		{"relay records of two attempts swapped", cells(on("host-alone"), plainOnly, tlsOnly), nil, exchange(func(a, b *matrix.Evidence) {
			for i := range min(len(a.Connections), len(b.Connections)) {
				a.Connections[i].Wire, b.Connections[i].Wire = b.Connections[i].Wire, a.Connections[i].Wire
			}
		})},
		{"log lines of two attempts swapped", cells(on("host-alone"), plainOnly, tlsOnly), nil, exchange(func(a, b *matrix.Evidence) {
			for i := range min(len(a.Connections), len(b.Connections)) {
				a.Connections[i].Log, b.Connections[i].Log = b.Connections[i].Log, a.Connections[i].Log
			}
		})},
		{"agent answers for another attempt", cells(on("host-alone"), plainOnly, tlsOnly), nil, exchange(func(a, b *matrix.Evidence) {
			*a, *b = *b, *a
		})},
	}
}

// once plants a fault after the first attempt of the first world.
func once(plant func(context.Context, *fixtures.Env) error) func(context.Context, *fixtures.Env, int) {
	planted := false
	return func(ctx context.Context, env *fixtures.Env, n int) {
		if n != 0 || planted {
			return
		}
		planted = true
		if err := plant(ctx, env); err != nil {
			panic(fmt.Sprintf("the fault could not be planted: %v", err))
		}
	}
}

func program(ctx context.Context, conn *agent.Conn, argv ...string) error {
	r, err := conn.Run(ctx, agent.Run{Argv: argv})
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%v ended with status %d: %s", argv, r.Exit, r.Stderr)
	}
	return err
}

// witness changes what one witness said, and classifies again: the classification sees the lie, the judge its result.
func witness(lie func(*matrix.Evidence)) *run.Sabotage {
	return &run.Sabotage{Evidence: func(cells []*matrix.Cell, observations []matrix.Observation) {
		for i := range observations {
			lie(&observations[i].Evidence)
			classify(cells[i], &observations[i])
		}
	}}
}

// exchange swaps something between attempts of different outcome.
func exchange(swap func(a, b *matrix.Evidence)) *run.Sabotage {
	return &run.Sabotage{Evidence: func(cells []*matrix.Cell, observations []matrix.Observation) {
		swapped := make([]bool, len(cells))
		for i := range observations {
			for j := i + 1; j < len(observations) && !swapped[i]; j++ {
				if !swapped[j] && observations[i].Outcome.Channel != observations[j].Outcome.Channel {
					swap(&observations[i].Evidence, &observations[j].Evidence)
					swapped[i], swapped[j] = true, true
				}
			}
		}
		if slices.Contains(swapped, false) {
			panic("the fault could not be planted: an attempt has no other to be swapped with")
		}
		for i := range observations {
			classify(cells[i], &observations[i])
		}
	}}
}

func classify(c *matrix.Cell, o *matrix.Observation) { *o = probe.Classify(c, o.Evidence) }
