package run

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/classify"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Again classifies the evidence of a saved run with today's classifier and judges it with today's oracle, expectations and
// divergences. It writes the result to FOLDER-judged and draws it. A record whose cell no scenario has any more is an error: its
// outcome cannot be judged.
func Again(out io.Writer, input *Input, folder string) (*reports.Summary, error) {
	saved, err := reports.Open(folder)
	if err != nil {
		return nil, err
	}
	r := newRun(Config{Golden: input.Golden, Divergences: input.Divergences})
	r.Dir = strings.TrimSuffix(folder, "/") + "-judged"
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.file, err = os.Create(filepath.Join(r.Dir, reports.FileName)); err != nil {
		return nil, err
	}
	defer func() { _ = r.file.Close() }()
	header := saved.Header
	header.Tool = version()
	if r.writer, err = reports.NewWriter(r.file, header); err != nil {
		return nil, err
	}
	interrupted := ""
	cells := lookUp{scenarios: input.Scenarios, expanded: map[string]map[string]*matrix.Cell{}}
	for record, err := range saved.Records() {
		var incomplete *reports.Incomplete
		if errors.As(err, &incomplete) {
			interrupted = incomplete.What
			break
		}
		if err != nil {
			return nil, err
		}
		if err := r.again(cells, record); err != nil {
			return nil, err
		}
	}
	before, err := reports.Summarize(saved)
	if err != nil {
		return nil, err
	}
	trailer := reports.Trailer{End: header.Start, Interrupted: interrupted}
	if before.Trailer != nil {
		trailer = *before.Trailer
		trailer.Interrupted = cmp.Or(interrupted, trailer.Interrupted)
	}
	trailer.Stale = slices.DeleteFunc(before.Stale, func(s reports.Stale) bool { // rows that are gone are mended
		return !slices.ContainsFunc(input.Divergences, func(d matrix.Divergence) bool { return d.Pattern == s.Pattern })
	})
	if err := r.writer.Close(trailer); err != nil {
		return nil, err
	}
	return r.config.publish(out, r.Dir)
}

// again judges one saved record.
func (r *Run) again(cells lookUp, record *reports.Record) error {
	c, err := cells.same(record)
	if err != nil {
		return err
	}
	if matrix.NotApplicable(c) == "" {
		if _, err := Predict(c); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	return r.record(c, reclassified(c, record.Observation), record.Start, time.Duration(record.Micros)*time.Microsecond)
}

// reclassified is the record's observation as today's classifier makes it; nil where the cell was not attempted.
func reclassified(c *matrix.Cell, o *matrix.Observation) *matrix.Observation {
	if o == nil {
		return nil
	}
	now := classify.Again(c, *o)
	return &now
}

// lookUp finds the cells of records; it expands the scenarios that the records name, each once.
type lookUp struct {
	scenarios []*matrix.Scenario
	expanded  map[string]map[string]*matrix.Cell // by scenario and ID
}

// same is the record's cell; that it is no more, or has changed since, is an error.
func (l lookUp) same(record *reports.Record) (*matrix.Cell, error) {
	c := l.find(record)
	if c == nil {
		return nil, fmt.Errorf("%s: no scenario has this cell any more; use the scenarios that made the run", record.ID)
	}
	if now := reports.NewRecord(c, matrix.Prediction{}, nil, verdict.Verdict{}, record.Start, 0); now.World != record.World || !maps.Equal(now.Axes, record.Axes) {
		return nil, fmt.Errorf("%s: the cell was changed since the run (rules, roles, settings or defaults): the observation is of another one", record.ID)
	}
	return c, nil
}

// Pairs visits the records of a saved run that are wanted, each with its cell.
func (i *Input) Pairs(saved *reports.Run, wanted func(id string) bool, visit func(*matrix.Cell, *reports.Record)) error {
	cells := lookUp{scenarios: i.Scenarios, expanded: map[string]map[string]*matrix.Cell{}}
	for record, err := range saved.Records() {
		if err != nil {
			return err
		}
		if !wanted(record.ID) {
			continue
		}
		c, err := cells.same(record)
		if err != nil {
			return err
		}
		visit(c, record)
	}
	return nil
}

// find is nil if no scenario has the record's cell.
func (l lookUp) find(record *reports.Record) *matrix.Cell {
	cells, done := l.expanded[record.Scenario]
	if !done {
		cells = map[string]*matrix.Cell{}
		for _, s := range l.scenarios {
			if s.Name != record.Scenario {
				continue
			}
			for _, c := range s.Expand() {
				cells[c.ID] = &c
			}
		}
		l.expanded[record.Scenario] = cells
	}
	return cells[record.ID]
}
