package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

// selection is what list, explain and run have in common: which scenarios, and which of their cells.
type selection struct {
	files    []string
	family   string
	axes     []string
	strength int
	seed     uint64
	shard    string
	costs    string // folder of a run
}

func (s *selection) flags(cmd *cobra.Command, strength int) {
	f := cmd.Flags()
	f.StringArrayVarP(&s.files, "scenario", "f", nil, "a scenario `FILE` to use instead of the built-in ones (repeat for several)")
	f.StringVar(&s.family, "family", "", "cells of this family only")
	f.StringArrayVar(&s.axes, "axis", nil, "`AXIS=VALUE[,VALUE]`: cells with one of these values (repeat for several axes)")
	f.IntVar(&s.strength, "strength", strength, "0: every cell; 2: pairwise; 3: every combination of three axes")
	f.Uint64Var(&s.seed, "seed", 1, "which of the equally good selections")
	f.StringVar(&s.shard, "shard", "", "`INDEX/COUNT`: one part of the cells, as long as the others by what they cost")
	f.StringVar(&s.costs, "costs", "", "the `FOLDER` of an earlier run, which says what cells cost; give every shard the same (default: an estimate)")
}

// scenarioFlag is the flag of commands that select by a pattern alone.
func (s *selection) scenarioFlag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&s.files, "scenario", "f", nil, "a scenario `FILE` to use instead of the built-in ones")
}

// load reads the scenarios and makes the selection; patterns are the command's arguments.
func (s *selection) load(patterns []string) (*run.Input, matrix.Selection, error) {
	sel := matrix.Selection{Patterns: patterns, Family: s.family, Strength: s.strength, Seed: s.seed}
	for _, text := range s.axes {
		a, err := matrix.ParseAxisValues(text)
		if err != nil {
			return nil, sel, fmt.Errorf("--axis: %w", err)
		}
		sel.Axes = append(sel.Axes, a)
	}
	if s.shard != "" {
		var err error
		if sel.Shard, err = matrix.ParseShard(s.shard); err != nil {
			return nil, sel, fmt.Errorf("--shard: %w", err)
		}
	}
	if s.costs != "" && s.shard == "" {
		return nil, sel, errors.New("--costs: only shards are made by costs; give --shard INDEX/COUNT, too")
	}
	input, err := run.Load(s.files...)
	return input, sel, err
}

// driver reads a driver's file: the selected cells are those of the client that it is like.
func (s *selection) driver(input *run.Input, sel matrix.Selection, file string) (matrix.Selection, error) {
	d, err := matrix.LoadDriver(file)
	if err != nil {
		return sel, err
	}
	input.Driver = d
	patterns := make([]string, len(sel.Patterns))
	for i, p := range sel.Patterns {
		patterns[i] = d.Pattern(p)
	}
	sel.Patterns = patterns
	sel.Axes = append(sel.Axes, matrix.AxisValues{Axis: "library", Values: []string{string(d.Like)}})
	s.axes = append(s.axes, fmt.Sprintf("driver %s, like %s", d.Name, d.Like))
	return sel, nil
}

// describe repeats the selection as a command line would, without the shard.
func (s *selection) describe(patterns []string) string {
	parts := []string{map[int]string{0: "every cell", 2: "pairwise", 3: "3-wise"}[s.strength]}
	if parts[0] == "" {
		parts[0] = fmt.Sprintf("%d-wise", s.strength)
	}
	if s.strength > 0 {
		parts = append(parts, fmt.Sprintf("seed %d", s.seed))
	}
	if s.family != "" {
		parts = append(parts, "family "+s.family)
	}
	parts = append(parts, s.axes...)
	parts = append(parts, patterns...)
	return strings.Join(append(parts, s.files...), ", ")
}
