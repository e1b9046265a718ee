// Judge judges a saved run again under each mutant. It is built by the program mutants, with the rewritten sources of the rooms in the place of
// their own; without them it finds that no point is reached.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/mutants/points"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// subject is a cell with what was observed of it, and how that is judged without a mutant.
type subject struct {
	cell       *matrix.Cell
	saved      *matrix.Observation
	prediction matrix.Prediction
	observed   *matrix.Observation
	verdict    verdict.Verdict
	path       uint64 // of the points that the cell reaches

	others   []*matrix.Observation // of other cells
	verdicts []verdict.Verdict     // on them
}

// patience is how many times the steps of the longest cell a mutant may take.
const patience = 100

func main() {
	folder := flag.String("run", "", "folder of the saved run; without it, cells are observed as they are predicted")
	most := flag.Int("most", 0, "cells that are judged under a mutant, of as many paths as there are; 0: all that reach its point")
	flag.Parse()
	if err := judge(*folder, *most); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

// judge reads mutants from its input, as a JSON list, and writes a points.Result for each.
func judge(folder string, most int) error {
	var mutants []points.Mutant
	if err := json.NewDecoder(os.Stdin).Decode(&mutants); err != nil {
		return fmt.Errorf("the list of mutants: %w", err)
	}
	j := &judged{most: most, steps: map[string]int{}, reached: make([][]uint64, points.Most)}
	for _, m := range mutants {
		if j.again(m.Room) == nil {
			return fmt.Errorf("there is no room %q", m.Room)
		}
		if !slices.Contains(j.rooms, m.Room) {
			j.rooms = append(j.rooms, m.Room)
		}
	}
	if err := j.open(folder); err != nil {
		return err
	}
	if slices.Contains(j.rooms, "verdict") {
		j.swap()
	}
	for _, room := range j.rooms {
		if err := j.follow(room); err != nil {
			return err
		}
	}
	j.sort()
	out := json.NewEncoder(os.Stdout)
	room := ""
	for _, m := range mutants {
		if room != m.Room {
			points.Activate(0)
			points.Again(room)
			room = m.Room
		}
		if err := out.Encode(j.mutant(m)); err != nil {
			return err
		}
	}
	return nil
}

type judged struct {
	input    *run.Input
	rooms    []string // that have mutants
	subjects []*subject
	order    []int          // in which cells are judged
	reached  [][]uint64     // by point, a bit for each cell; nil: by none
	always   []byte         // points that the variables of the packages reach
	steps    map[string]int // of the longest cell, by room
	paths    int            // by which cells differ
	most     int            // cells that are judged under a mutant; 0: all
}

// open reads the run, and judges it without a mutant. Without a folder the cells are those of a pairwise selection, each observed as it is predicted.
func (j *judged) open(folder string) (err error) {
	if j.input, err = run.Load(); err != nil {
		return err
	}
	if folder == "" {
		err = j.suppose()
	} else {
		err = j.read(folder)
	}
	if err == nil && len(j.subjects) == 0 {
		err = fmt.Errorf("%s has no cell that can be judged", folder)
	}
	return err
}

func (j *judged) suppose() error {
	cells, _, err := j.input.Cells(matrix.Selection{Strength: 2, Seed: 1})
	if err != nil {
		return err
	}
	for i := range cells {
		s := &subject{cell: &cells[i]}
		if matrix.NotApplicable(s.cell) != "" || s.cell.ByHand {
			continue
		}
		if s.prediction, err = run.Predict(s.cell); err != nil {
			return err
		}
		s.observed = &matrix.Observation{Outcome: s.prediction.Outcome}
		s.verdict = j.verdict(s, s.prediction, s.observed)
		j.subjects = append(j.subjects, s)
	}
	return nil
}

func (j *judged) read(folder string) error {
	saved, err := reports.Open(folder)
	if err != nil {
		return err
	}
	var gap error
	err = j.input.Pairs(saved, func(string) bool { return true }, func(c *matrix.Cell, r *reports.Record) {
		s := &subject{cell: c, saved: r.Observation}
		if matrix.NotApplicable(c) == "" {
			var err error
			if s.prediction, err = run.Predict(c); err != nil {
				gap = fmt.Errorf("%s: %w", c.ID, err)
				return
			}
		}
		if s.observed = s.saved; s.saved != nil {
			o := classify.Again(c, *s.saved)
			s.observed = &o
		}
		s.verdict = j.verdict(s, s.prediction, s.observed)
		if s.saved != nil && !slices.Contains(j.rooms, "classify") {
			s.saved, s.observed.Evidence = nil, matrix.Evidence{} // it is most of the memory
		}
		j.subjects = append(j.subjects, s)
	})
	var incomplete *reports.Incomplete
	if errors.As(err, &incomplete) {
		err = nil
	}
	return errors.Join(err, gap)
}

func (j *judged) verdict(s *subject, p matrix.Prediction, o *matrix.Observation) verdict.Verdict {
	var golden *matrix.Outcome
	if approved, ok := j.input.Golden[s.cell.ID]; ok {
		golden = &approved
	}
	return verdict.Judge(s.cell, p, o, golden, j.input.Divergences)
}

// again is how a room judges a cell again: it says how the result differs, or "", and whether explanations do. nil: there is no such room.
func (j *judged) again(room string) func(*subject) (string, bool) {
	switch room {
	case "oracle":
		return j.predict
	case "classify":
		return j.classify
	case "verdict":
		return j.judge
	}
	return nil
}

// judge judges what was observed of the cell, and then what was observed of others, which must not agree: a run in which every cell agrees
// does not show that the judge would say so if one did not.
func (j *judged) judge(s *subject) (string, bool) {
	for i, o := range s.others {
		if how := differs(s.verdicts[i], j.verdict(s, s.prediction, o)); how != "" {
			return "with what was observed of another cell: " + how, false
		}
	}
	return differs(s.verdict, j.verdict(s, s.prediction, s.observed)), false
}

// swap gives each cell what was observed of three others.
func (j *judged) swap() {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // not for secrets
	for _, s := range j.subjects {
		for range 3 {
			o := j.subjects[random.IntN(len(j.subjects))].observed
			s.others, s.verdicts = append(s.others, o), append(s.verdicts, j.verdict(s, s.prediction, o))
		}
	}
}

func (j *judged) predict(s *subject) (string, bool) {
	if s.cell.ByHand || s.observed == nil {
		return "", false
	}
	p, err := oracle.Predict(s.cell)
	if err != nil {
		return "not predicted: " + err.Error(), false
	}
	if p.Before == s.prediction.Before && reflect.DeepEqual(p.Outcome, s.prediction.Outcome) {
		return "", !reflect.DeepEqual(p.Because, s.prediction.Because)
	}
	return differs(s.verdict, j.verdict(s, p, s.observed)), false
}

func (j *judged) classify(s *subject) (string, bool) {
	if s.saved == nil {
		return "", false
	}
	o := classify.Again(s.cell, *s.saved)
	if o.Fault == s.observed.Fault && reflect.DeepEqual(o.Outcome, s.observed.Outcome) && slices.Equal(o.Unseen, s.observed.Unseen) {
		return "", !reflect.DeepEqual(o.Because, s.observed.Because)
	}
	return differs(s.verdict, j.verdict(s, s.prediction, &o)), false
}

// differs says how a verdict differs from that without a mutant; "" if it does not.
func differs(before, v verdict.Verdict) string {
	if reflect.DeepEqual(v, before) {
		return ""
	}
	how := string(v.Status)
	if v.Cause != "" {
		how += ": " + v.Cause
	}
	for _, d := range v.Differences {
		how += fmt.Sprintf(" %s: %q, observed %q;", d.Field, d.Want, d.Observed)
	}
	return how
}

// follow judges every cell without a mutant and notes the points of a room that it reaches. What the room keeps for the next cell is forgotten
// before each.
func (j *judged) follow(room string) error {
	clear(points.Reached())
	points.Activate(0)
	points.Again(room)
	if j.always == nil {
		j.always = make([]byte, points.Most)
	}
	for id, b := range points.Reached() {
		j.always[id] |= b
	}
	again, words := j.again(room), (len(j.subjects)+63)/64
	seed := maphash.MakeSeed()
	seen := map[uint64]bool{}
	for i, s := range j.subjects {
		if room == "oracle" { // the others keep nothing
			points.Again(room)
		}
		clear(points.Reached())
		points.Begin(0)
		if how, explains := again(s); how != "" || explains {
			return fmt.Errorf("%s: judged twice without a mutant, it differs: %s", s.cell.ID, how)
		}
		j.steps[room] = max(j.steps[room], points.Steps())
		path := maphash.Bytes(seed, points.Reached())
		seen[path] = true
		s.path = s.path*31 + path
		for id, b := range points.Reached() {
			if b == 0 {
				continue
			}
			if j.reached[id] == nil {
				j.reached[id] = make([]uint64, words)
			}
			j.reached[id][i/64] |= 1 << (i % 64)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d cells on %d paths, at most %d steps\n", room, len(j.subjects), len(seen), j.steps[room])
	return nil
}

// sort puts one cell of every path first, then a second one, and so on.
func (j *judged) sort() {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
	rank := make([]int, len(j.subjects))
	of := map[uint64]int{}
	for _, i := range random.Perm(len(j.subjects)) {
		of[j.subjects[i].path]++
		rank[i] = of[j.subjects[i].path]
		j.paths = len(of)
		j.order = append(j.order, i)
	}
	slices.SortStableFunc(j.order, func(a, b int) int { return rank[a] - rank[b] })
}

// mutant judges the cells that reach the mutant's point until one notices.
func (j *judged) mutant(m points.Mutant) points.Result {
	r, again := points.Result{ID: m.ID}, j.again(m.Room)
	points.Activate(m.ID)
	limit := patience*j.steps[m.Room] + 100_000
	if how := attempt(limit, func() string { points.Again(m.Room); return "" }); how != "" {
		r.Cells, r.Noticed, r.How = len(j.subjects), "variables of the package", how
		return r
	}
	most := j.most
	if j.always[m.ID] != 0 && most > 0 {
		most = max(most, j.paths) // that a cell reaches a variable says little
	}
	for _, i := range j.order {
		reached := j.reached[m.ID]
		if j.always[m.ID] == 0 && (reached == nil || reached[i/64]&(1<<(i%64)) == 0) {
			continue
		}
		r.Cells++
		if r.Noticed != "" || most > 0 && r.Judged >= most {
			continue
		}
		r.Judged++
		s := j.subjects[i]
		how := attempt(limit, func() string {
			how, explains := again(s)
			r.Explains = r.Explains || explains
			return how
		})
		if how != "" {
			r.Noticed, r.How, r.Explains = s.cell.ID, how, false
		}
	}
	return r
}

// attempt makes a panic, and more steps than the limit, of what is noticed.
func attempt(limit int, f func() string) (how string) {
	defer func() {
		if p := recover(); p != nil {
			how = fmt.Sprint("panic: ", p)
		}
	}()
	points.Begin(limit)
	return f()
}
