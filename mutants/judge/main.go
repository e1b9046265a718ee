// Judge judges a saved run again under each mutant of a room. It is built by the program mutants, with the rewritten sources of the room in the
// place of its own; without them it finds that no point is reached.
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

// Result is a line of the output: what the cells say of one mutant.
type Result struct {
	ID       int
	Cells    int    // that reach the point
	Judged   int    // of them; the first that notices is the last
	Noticed  string `json:",omitempty"` // ID of the cell that notices; empty: none does
	How      string `json:",omitempty"` // what it notices
	Explains bool   `json:",omitempty"` // a cell has other explanations, and no cell notices
}

// subject is a cell with what was observed of it, and how that is judged without a mutant.
type subject struct {
	cell       *matrix.Cell
	saved      *matrix.Observation
	prediction matrix.Prediction
	observed   *matrix.Observation
	verdict    verdict.Verdict
	path       uint64 // of the points that the cell reaches
}

// patience is how many times the steps of the longest cell a mutant may take.
const patience = 100

func main() {
	room := flag.String("room", "", "oracle, classify or verdict")
	folder := flag.String("run", "", "folder of the saved run")
	ids := flag.String("ids", "", "JSON list of the mutants")
	most := flag.Int("most", 0, "cells that are judged under a mutant, of as many paths as there are; 0: all that reach its point")
	flag.Parse()
	if err := judge(*room, *folder, *ids, *most); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func judge(room, folder, list string, most int) error {
	var ids []int
	if err := json.Unmarshal([]byte(list), &ids); err != nil {
		return fmt.Errorf("-ids: %w", err)
	}
	again, known := rooms[room]
	if !known {
		return fmt.Errorf("there is no room %q", room)
	}
	j, err := open(room, folder)
	if err != nil {
		return err
	}
	j.again = again
	if err := j.follow(room == "oracle"); err != nil {
		return err
	}
	j.sort()
	j.most = most
	fmt.Fprintf(os.Stderr, "%s: %d cells on %d paths, at most %d steps\n", room, len(j.subjects), j.paths, j.steps)
	out := json.NewEncoder(os.Stdout)
	for _, id := range ids {
		if err := out.Encode(j.mutant(id)); err != nil {
			return err
		}
	}
	return nil
}

type judged struct {
	input    *run.Input
	subjects []*subject
	order    []int // in which cells are judged
	again    func(*judged, *subject) (how string, explains bool)
	reached  [][]uint64 // by point, a bit for each cell; nil: by none
	always   []byte     // points that the variables of the package reach
	steps    int        // of the longest cell
	paths    int
	most     int // cells that are judged under a mutant; 0: all
}

// open reads the run, and judges it without a mutant. Without a folder the cells are those of the default selection, each observed as it is predicted.
func open(room, folder string) (*judged, error) {
	input, err := run.Load()
	if err != nil {
		return nil, err
	}
	j := &judged{input: input}
	if folder == "" {
		err = j.suppose()
	} else {
		err = j.read(room, folder)
	}
	if err == nil && len(j.subjects) == 0 {
		err = fmt.Errorf("%s has no cell that can be judged", folder)
	}
	return j, err
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

func (j *judged) read(room, folder string) error {
	saved, err := reports.Open(folder)
	if err != nil {
		return err
	}
	var gap error
	err = j.input.Pairs(saved, func(string) bool { return true }, func(c *matrix.Cell, r *reports.Record) {
		s := &subject{cell: c, saved: r.Observation}
		if s.saved == nil && room != "verdict" {
			return // the cell is not applicable, or was not attempted
		}
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
		if room != "classify" && s.saved != nil {
			s.saved, s.observed.Evidence = nil, matrix.Evidence{}
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

// rooms say how a cell is judged again, by room: how the result differs, or "", and whether explanations do.
var rooms = map[string]func(*judged, *subject) (string, bool){
	"oracle": func(j *judged, s *subject) (string, bool) {
		if s.cell.ByHand {
			return "", false
		}
		p, err := oracle.Predict(s.cell)
		if err != nil {
			return "not predicted: " + err.Error(), false
		}
		if p.Before == s.prediction.Before && reflect.DeepEqual(p.Outcome, s.prediction.Outcome) {
			return "", !reflect.DeepEqual(p.Because, s.prediction.Because)
		}
		return j.differs(s, j.verdict(s, p, s.observed)), false
	},
	"classify": func(j *judged, s *subject) (string, bool) {
		o := classify.Again(s.cell, *s.saved)
		if o.Fault == s.observed.Fault && reflect.DeepEqual(o.Outcome, s.observed.Outcome) && slices.Equal(o.Unseen, s.observed.Unseen) {
			return "", !reflect.DeepEqual(o.Because, s.observed.Because)
		}
		return j.differs(s, j.verdict(s, s.prediction, &o)), false
	},
	"verdict": func(j *judged, s *subject) (string, bool) {
		return j.differs(s, j.verdict(s, s.prediction, s.observed)), false
	},
}

// differs says how a verdict differs from that without a mutant; "" if it does not.
func (j *judged) differs(s *subject, v verdict.Verdict) string {
	if reflect.DeepEqual(v, s.verdict) {
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

// follow judges every cell without a mutant and notes the points that it reaches. What a room keeps for the next cell is forgotten before each.
func (j *judged) follow(forget bool) error {
	j.reached = make([][]uint64, points.Most)
	clear(points.Reached())
	points.Activate(0)
	j.always = slices.Clone(points.Reached())
	words := (len(j.subjects) + 63) / 64
	seed := maphash.MakeSeed()
	seen := map[uint64]bool{}
	for i, s := range j.subjects {
		if forget {
			points.Activate(0)
		}
		clear(points.Reached())
		points.Begin(0)
		if how, explains := j.again(j, s); how != "" || explains {
			return fmt.Errorf("%s: judged twice without a mutant, it differs: %s", s.cell.ID, how)
		}
		j.steps = max(j.steps, points.Steps())
		s.path = maphash.Bytes(seed, points.Reached())
		seen[s.path] = true
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
	j.paths = len(seen)
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
		j.order = append(j.order, i)
	}
	slices.SortStableFunc(j.order, func(a, b int) int { return rank[a] - rank[b] })
}

// mutant judges the cells that reach the mutant's point until one notices.
func (j *judged) mutant(id int) Result {
	r := Result{ID: id}
	if how := j.attempt(func() string { points.Activate(id); return "" }); how != "" {
		r.Cells, r.Noticed, r.How = len(j.subjects), "variables of the package", how
		return r
	}
	for _, i := range j.order {
		reached := j.reached[id]
		if j.always[id] == 0 && (reached == nil || reached[i/64]&(1<<(i%64)) == 0) {
			continue
		}
		r.Cells++
		if r.Noticed != "" || j.most > 0 && r.Judged >= j.most {
			continue
		}
		r.Judged++
		s := j.subjects[i]
		how := j.attempt(func() string {
			how, explains := j.again(j, s)
			r.Explains = r.Explains || explains
			return how
		})
		if how != "" {
			r.Noticed, r.How, r.Explains = s.cell.ID, how, false
		}
	}
	return r
}

// attempt makes a panic of what is noticed.
func (j *judged) attempt(f func() string) (how string) {
	defer func() {
		if p := recover(); p != nil {
			how = fmt.Sprint("panic: ", p)
		}
	}()
	points.Begin(patience*j.steps + 100_000)
	return f()
}
