// Package suites runs the matrix as Ginkgo specs: an ordered container per Env, whose set-up provisions it and attempts
// all its cells, and a spec per cell that asserts one verdict. It has no logic of its own.
package suites

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/gomega"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

var (
	strength = flag.Int("strength", 2, "0: every cell; 2: pairwise; 3: every combination of three axes")
	seed     = flag.Uint64("seed", 1, "which of the equally good selections")
	cells    = flag.String("cells", "", "cell patterns, separated by spaces")
	shard    = flag.String("shard", "", "INDEX/COUNT: one part of the cells")
	quick    = flag.Bool("quick", false, "pairwise, the newest server and libpq and every independent client, at most 2,000 cells")
	costs    = flag.String("costs", "", "the folder of a run that says what cells cost, for shards")
	repeat   = flag.Int("repeat", 1, "attempts of each cell, whose outcomes must all be equal")
	resume   = flag.String("resume", "", "the folder of a run that did not end: its selection is taken from there")
	baseline = flag.String("baseline", "", "the folder of an earlier run: the reports say first what changed since")
	history  = flag.String("history", "", "a file with a line for each night")
	runs     = flag.String("runs", "../runs", "folder below which the run makes its own")
)

// atMost are the cells of a selection that nobody gave, on machines where a process costs much.
const atMostQuick, atMostNormal = 800, 4000

func TestMatrix(t *testing.T) {
	livetest.NeedsContainers(t)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, given, err := configured(t)
	if err != nil {
		t.Fatal(err)
	}
	if *history != "" {
		if err := reports.CheckHistory(*history); err != nil {
			t.Fatal(err)
		}
		config.History = *history
	}
	if *baseline != "" {
		if config.Baseline, err = reports.Open(*baseline); err != nil {
			t.Fatal(err)
		}
	}
	r, err := run.Prepare(ctx, os.Stdout, config)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Coverage.Selected; !given && config.AtMost > 0 && n > config.AtMost {
		livetest.LeftOut(t, "%s: %d of %d cells (make test-matrix tries them)", t.Name(), n-config.AtMost, n)
	}
	describe(r)
	gomega.RegisterFailHandler(ginkgo.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	// Ginkgo prints a dot for each spec and a page for each failure, which would hide the matrix: this goes to a file.
	log, err := os.Create(r.Dir + "/ginkgo.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	formatter.ColorableStdOut = log
	reporter.NoColor = true
	r.Start(ctx)
	passed := ginkgo.RunSpecs(t, "pgauthmatrix", suite, reporter)
	summary, err := r.Finish(os.Stdout, run.Interruption(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if passed != summary.Green() {
		t.Errorf("the specs say green=%v and the records say green=%v", passed, summary.Green())
	}
}

// configured is the run that the flags ask for, and whether they say anything of the selection.
func configured(t *testing.T) (config run.Config, given bool, err error) {
	if *resume != "" {
		saved, err := reports.Open(*resume)
		if err != nil {
			return config, true, err
		}
		config, err = run.ResumeConfig(saved)
		return config, true, err
	}
	input, err := run.Load()
	if err != nil {
		return config, false, err
	}
	sel := matrix.Selection{Patterns: strings.Fields(*cells), Strength: *strength, Seed: *seed}
	described := strings.TrimSpace(fmt.Sprintf("strength %d, seed %d %s", *strength, *seed, *cells))
	if *quick {
		sel, described = run.Quick(*seed), fmt.Sprintf("quick, seed %d", *seed)
	}
	if *shard != "" {
		if sel.Shard, err = matrix.ParseShard(*shard); err != nil {
			return config, true, err
		}
	}
	config = run.ConfigOf(input, sel, described, *runs)
	if *quick {
		config.AtMost = run.QuickCells
	}
	if *repeat > 1 {
		config.Repeat = *repeat
	}
	if *costs != "" {
		if err := config.MeasuredBy(*costs); err != nil {
			return config, true, err
		}
	}
	flag.Visit(func(f *flag.Flag) {
		given = given || slices.Contains([]string{"strength", "cells", "shard", "quick"}, f.Name)
	})
	if !given {
		config.AtMost = livetest.Pick(t, atMostQuick, atMostNormal, 0)
	}
	return config, given, nil
}

func describe(r *run.Run) {
	for _, e := range r.Plan.Envs {
		ginkgo.Describe(e.Name, ginkgo.Ordered, ginkgo.ContinueOnFailure, func() {
			ginkgo.BeforeAll(func(ctx ginkgo.SpecContext) {
				gomega.Expect(r.Wait(ctx, e)).To(gomega.Succeed())
			})
			for _, c := range e.Cells() {
				ginkgo.It(c.ID, func() { assert(r.Verdict(c.ID)) })
			}
		})
	}
	ginkgo.Describe("not applicable", func() {
		for _, c := range r.Plan.Inapplicable {
			ginkgo.It(c.ID, func() { assert(r.Verdict(c.ID)) })
		}
	})
}

// assert turns a verdict into a spec's end; a cell without a verdict fails.
func assert(v verdict.Verdict) {
	switch v.Status {
	case verdict.Agree:
	case verdict.Known, verdict.NotApplicable:
		ginkgo.Skip(v.Cause)
	default:
		ginkgo.Fail(fmt.Sprintf("%s %s %v", v.Status, v.Cause, v.Differences))
	}
}
