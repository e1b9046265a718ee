// Package bench measures a warm run beside pgbench -C, which opens a connection per transaction and does nothing else:
// the same server, client container, transports and minute, so that the ratio holds when the machine's speed drifts.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/probe"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

const (
	rounds    = 3
	slice     = 4 * time.Second // of each transport, on each side, in each round
	atATime   = 6               // attempts at a time, as in a run
	pgClients = 4               // connections at a time of pgbench
	envCells  = "negotiation/host-alone/pg17/ssl=on"
	world     = envCells + "/libpq17/"
)

// clients have a container each, as in a run. They are those that Debian carries: others need a registry.
var clients = []string{"libpq13", "libpq15", "libpq17", "libpq18"}

// transports are the mix: one attempt each in the clear, with TLS and with GSS encryption, all under the same record.
var transports = []struct{ name, cell, conninfo string }{
	{"plain", world + "ticket=none,gssencmode=disable,sslmode=disable,sslnegotiation=postgres", "gssencmode=disable sslmode=disable"},
	{"tls", world + "ticket=none,gssencmode=disable,sslmode=require,sslnegotiation=postgres", "gssencmode=disable sslmode=require"},
	{"gss", world + "ticket=valid,gssencmode=require,sslmode=disable,sslnegotiation=postgres", "gssencmode=require sslmode=disable"},
}

// Run provisions one Env, measures both sides in turn, and prints the ratio. What it measured of each transport is written into the folder of
// the run for whose report it is, unless the name is empty.
func Run(ctx context.Context, out io.Writer, folder string) error {
	input, err := run.Load()
	if err != nil {
		return err
	}
	var cells []*matrix.Cell
	for _, t := range transports {
		c, err := input.Cell(t.cell)
		if err != nil {
			return err
		}
		cells = append(cells, c)
	}
	for _, c := range cells {
		c.World = cells[0].World
	}
	dir, err := os.MkdirTemp("", "pgauthmatrix-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := run.Images(ctx, out); err != nil {
		return err
	}
	all, _, err := input.Cells(matrix.Selection{Patterns: []string{envCells}, Axes: []matrix.AxisValues{{Axis: "library", Values: clients}}})
	if err != nil {
		return err
	}
	planned := make([]*matrix.Cell, len(all))
	for i := range all {
		planned[i] = &all[i]
	}
	plan, err := fixtures.PlanFor(planned)
	if err != nil {
		return err
	}
	plan.RunID, plan.Dir = run.NewID(), dir
	began := time.Now()
	env, err := fixtures.Provision(ctx, plan)
	if err != nil {
		return err
	}
	defer func() { _ = env.Close(context.WithoutCancel(ctx)) }()
	provisioned := time.Since(began)
	began = time.Now()
	if err := env.Install(ctx, cells[0].World); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nEnv: provisioned in %.1f s, a world installed and proven in %.0f ms, %s\n",
		provisioned.Seconds(), time.Since(began).Seconds()*1000, memory(ctx, env, cells[0].Client.Library))
	b := &bench{env: env, cells: cells, dir: dir}
	if _, err := b.attempts(ctx, 0, time.Second); err != nil { // warm up
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.AppendHeader(table.Row{"round", "transport", "pgbench -C /s", "cells /s", "ratio"})
	var ratios []float64
	connections := make([][]float64, len(transports))
	for round := 1; round <= rounds; round++ {
		var pgSeconds, cellSeconds float64 // per connection, summed over the mix
		for i, tr := range transports {
			pg, err := b.pgbench(ctx, i, "SELECT 1;", "-C", "-c", strconv.Itoa(pgClients))
			if err != nil {
				return err
			}
			rate, err := b.attempts(ctx, i, slice)
			if err != nil {
				return err
			}
			pgSeconds, cellSeconds = pgSeconds+1/pg, cellSeconds+1/rate
			connections[i] = append(connections[i], pg)
			t.AppendRow(table.Row{round, tr.name, fmt.Sprintf("%.0f", pg), fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.2f", rate/pg)})
		}
		n := float64(len(transports))
		ratios = append(ratios, pgSeconds/cellSeconds)
		t.AppendRow(table.Row{round, "mix", fmt.Sprintf("%.0f", n/pgSeconds), fmt.Sprintf("%.0f", n/cellSeconds), fmt.Sprintf("%.2f", pgSeconds/cellSeconds)})
		t.AppendSeparator()
	}
	t.Render()
	transfers, err := b.bulk(ctx, out)
	if err != nil {
		return err
	}
	if folder != "" {
		if err := b.record(folder, connections, transfers); err != nil {
			return err
		}
	}
	if err := b.worlds(ctx, out); err != nil {
		return err
	}
	slices.Sort(ratios)
	fmt.Fprintf(out, "cells per second to pgbench -C, same mix, median of %d rounds: %.2f (%.2f to %.2f); %d attempts and %d pgbench connections at a time\n",
		rounds, ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], atATime, pgClients)
	return scale(out, input)
}

type bench struct {
	env   *fixtures.Env
	cells []*matrix.Cell
	dir   string
}

// attempts makes one cell's attempt over and over for a while, with all that a run does for it: attempt, evidence,
// classification, prediction, judgement, record. Every one must agree: otherwise the rate would be that of something else.
func (b *bench) attempts(ctx context.Context, i int, d time.Duration) (perSecond float64, err error) {
	file, err := os.Create(filepath.Join(b.dir, "bench.jsonl"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	deadline := time.Now().Add(d)
	var n atomic.Int64
	var first error
	var once sync.Once
	writer, err := reports.NewWriter(file, reports.Header{})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for range atATime {
		wg.Go(func() {
			for time.Now().Before(deadline) && ctx.Err() == nil {
				c := *b.cells[i]
				start := time.Now()
				o := probe.Attempt(ctx, b.env, &c)
				p, err := oracle.Predict(&c)
				v := verdict.Judge(&c, p, &o, nil, nil)
				if err == nil && v.Status != verdict.Agree {
					err = fmt.Errorf("%s: %s %s %v", c.ID, v.Status, v.Cause, v.Differences)
				}
				c.ID += "#" + strconv.FormatInt(n.Add(1), 10) // a record's cell is unique
				if err == nil {
					err = writer.Write(reports.NewRecord(&c, p, &o, v, start, time.Since(start)))
				}
				if err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), first
}

// worlds changes between two worlds for a while, with all that a run does for each: install, prove, check that every part is healthy.
func (b *bench) worlds(ctx context.Context, out io.Writer) error {
	own := b.cells[0].World
	other := *own
	other.HBA = "# another world\n" + own.HBA
	var installing, checking time.Duration
	changed := 0
	for began := time.Now(); time.Since(began) < slice; changed++ {
		w := &other
		if changed%2 == 1 {
			w = own
		}
		start := time.Now()
		if err := b.env.Install(ctx, w); err != nil {
			return err
		}
		installed := time.Now()
		if err := b.env.Healthy(ctx); err != nil {
			return err
		}
		installing, checking = installing+installed.Sub(start), checking+time.Since(installed)
	}
	n := time.Duration(changed)
	fmt.Fprintf(out, "worlds per second, with %d client containers: %.1f; %d ms to install and prove one, %d ms to check that every part is healthy\n",
		len(clients), float64(changed)/(installing+checking).Seconds(), (installing / n).Milliseconds(), (checking / n).Milliseconds())
	return nil
}

// bulkMiB is what one statement of a bulk transfer sends to the client.
const bulkMiB = 8

// bulk measures what encryption costs in a bulk transfer: one session reads as much as it can, in turn over each transport.
func (b *bench) bulk(ctx context.Context, out io.Writer) (rates [][]float64, err error) {
	rates = make([][]float64, len(transports))
	for range rounds {
		for i := range transports {
			perSecond, err := b.pgbench(ctx, i, fmt.Sprintf("SELECT repeat('x', 1 << 20) FROM generate_series(1, %d);", bulkMiB), "-c", "1")
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], perSecond*bulkMiB)
		}
	}
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.AppendHeader(table.Row{"bulk transfer", "MiB/s", "to plain", "least", "most"})
	for i, tr := range transports {
		r := rateOf(rates, i)
		t.AppendRow(table.Row{tr.name, fmt.Sprintf("%.0f", r.Median), fmt.Sprintf("%.2f", r.ToPlain), fmt.Sprintf("%.2f", r.Least), fmt.Sprintf("%.2f", r.Most)})
	}
	t.Render()
	return rates, nil
}

// rateOf is the median of a transport's rounds, and its ratio to plaintext, which is the first transport, in the same rounds.
func rateOf(rates [][]float64, i int) reports.Rate {
	var ratios []float64
	for round, rate := range rates[i] {
		ratios = append(ratios, rate/rates[0][round])
	}
	slices.Sort(ratios)
	return reports.Rate{Median: slices.Sorted(slices.Values(rates[i]))[rounds/2], ToPlain: ratios[rounds/2], Least: ratios[0], Most: ratios[rounds-1]}
}

// record writes what was measured of each transport beside a run's records.
func (b *bench) record(folder string, connections, transfers [][]float64) error {
	m := reports.Measured{Start: time.Now().UTC(), Server: fmt.Sprint(b.cells[0].World.Server), Client: string(b.cells[0].Client.Library), Rounds: rounds, Seconds: int(slice.Seconds()), AtATime: pgClients}
	for i, tr := range transports {
		m.Transports = append(m.Transports, reports.Transport{Name: tr.name, Connections: rateOf(connections, i), MiB: rateOf(transfers, i)})
	}
	return m.Save(folder)
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// pgbench runs a statement over and over in the same client container, against the same server, without the relay.
func (b *bench) pgbench(ctx context.Context, i int, statement string, args ...string) (perSecond float64, err error) {
	client := b.env.Client(b.cells[i].Client.Library)
	script := "/tmp/pgauthmatrix-bench.sql"
	if err := client.Write(ctx, agent.Write{Path: script, Data: []byte(statement + "\n"), Mode: 0o600}); err != nil {
		return 0, err
	}
	host, port, _ := strings.Cut(b.env.ServerAddr(), ":")
	environ := b.env.ClientEnv(matrix.PlainKRB5Conf)
	environ["KRB5CCNAME"] = "FILE:" + b.env.CCache(b.cells[i].Client.Principal, matrix.Ticket{})
	if b.cells[i].Client.Ticket != "valid" {
		environ["KRB5CCNAME"] = "FILE:/nonexistent/ccache"
	}
	conninfo := fmt.Sprintf("host=%s hostaddr=%s port=%s user=%s dbname=postgres %s", b.cells[i].World.Host, host, port, b.cells[i].Client.User, transports[i].conninfo)
	result, err := client.Run(ctx, agent.Run{Argv: slices.Concat([]string{"pgbench", "-n", "-j", "1", "-T", strconv.Itoa(int(slice.Seconds())), "-f", script}, args, []string{conninfo}), Env: environ})
	if err != nil {
		return 0, err
	}
	// With -C, the rate that includes the time for connecting is the last one that every version prints. Without it, the two hardly differ.
	found := tps.FindAllSubmatch(result.Stdout, -1)
	if result.Exit != 0 || len(found) == 0 {
		return 0, fmt.Errorf("pgbench ended with status %d: %s%s", result.Exit, result.Stdout, result.Stderr)
	}
	return strconv.ParseFloat(string(found[0][1]), 64)
}

// memory is what the containers of an Env use, as their control groups say.
func memory(ctx context.Context, env *fixtures.Env, l matrix.Library) string {
	var parts []string
	for name, conn := range map[string]*agent.Conn{"server": env.Server(), "client": env.Client(l)} {
		r, err := conn.Run(ctx, agent.Run{Argv: []string{"sh", "-c", "cat /sys/fs/cgroup/memory.current /sys/fs/cgroup/memory/memory.usage_in_bytes 2>/dev/null"}})
		bytes, parseErr := strconv.ParseFloat(strings.TrimSpace(string(r.Stdout)), 64)
		if err != nil || parseErr != nil {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.0f MiB", name, bytes/(1<<20)))
	}
	slices.Sort(parts)
	return "memory: " + strings.Join(parts, ", ")
}

// scale times what grows with the number of cells on the harness's own side: expansion, prediction and selection.
func scale(out io.Writer, input *run.Input) error {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.AppendHeader(table.Row{"strength", "cells", "expand + select + predict", "per cell"})
	for _, strength := range []int{2, 3, 0} {
		began := time.Now()
		cells, _, err := input.Cells(matrix.Selection{Strength: strength, Seed: 1})
		if err != nil {
			return err
		}
		for i := range cells {
			if matrix.NotApplicable(&cells[i]) != "" {
				continue
			}
			if _, err := run.Predict(&cells[i]); err != nil {
				return err
			}
		}
		took := time.Since(began)
		t.AppendRow(table.Row{strength, len(cells), took.Round(time.Millisecond), (took / time.Duration(len(cells))).Round(100 * time.Nanosecond)})
	}
	t.Render()
	return nil
}
