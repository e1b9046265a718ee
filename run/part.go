package run

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// CostsOf gives what the cells of a saved run cost, by which shards are made.
func CostsOf(saved *reports.Run) (*matrix.Cost, error) {
	summary, err := reports.Summarize(saved)
	if err != nil {
		return nil, err
	}
	cost := matrix.EstimatedCost
	if t := summary.Trailer; t != nil {
		cost.Env, cost.World = cmp.Or(t.EnvCost, cost.Env), cmp.Or(t.WorldCost, cost.World)
	}
	cost.Cells = map[string]time.Duration{}
	var total time.Duration
	for record, err := range saved.Records() {
		var killed *reports.Incomplete
		if errors.As(err, &killed) {
			break
		}
		if err != nil {
			return nil, err
		}
		if record.Micros > 0 { // one that was Broken before its attempt tells nothing
			cost.Cells[record.ID] = time.Duration(record.Micros) * time.Microsecond / attemptsAtATime
			total += cost.Cells[record.ID]
		}
	}
	if len(cost.Cells) == 0 {
		return nil, fmt.Errorf("run %s has no cell that was attempted: it tells no costs", saved.Header.Run)
	}
	cost.Cell = total / time.Duration(len(cost.Cells))
	return &cost, nil
}

// partOf says what a run tries of the selected cells, which are those of all shards.
func (c *Config) partOf(cells []matrix.Cell) *reports.Part {
	p := &reports.Part{Selection: c.Selection, AtMost: c.AtMost, Repeat: c.Repeat, Files: c.Files, Driver: c.DriverFile, Costs: c.Costs, CostsRun: c.CostsRun, Text: c.Described, Cells: len(cells)}
	digest := sha256.New()
	keys := map[*matrix.World]string{}
	for i := range cells {
		w := cells[i].World
		if _, known := keys[w]; !known {
			keys[w] = w.Key()
		}
		fmt.Fprintf(digest, "%q %q\n", cells[i].ID, keys[w])
	}
	p.Digest = hex.EncodeToString(digest.Sum(nil)[:8])
	return p
}

// ResumeConfig is the Config of the run that goes on with a saved one: what it tries is what that run was to try.
func ResumeConfig(saved *reports.Run) (Config, error) {
	p := saved.Header.Part
	if p == nil {
		return Config{}, fmt.Errorf("run %s does not say what it selected: its set-up failed, or an older version made it; run it anew", saved.Header.Run)
	}
	input, err := Load(p.Files...)
	if err != nil {
		return Config{}, err
	}
	if p.Driver != "" {
		if input.Driver, err = matrix.LoadDriver(p.Driver); err != nil {
			return Config{}, err
		}
	}
	c := ConfigOf(input, p.Selection, p.Text, "")
	c.AtMost, c.Repeat, c.Files, c.DriverFile, c.resumed = p.AtMost, p.Repeat, p.Files, p.Driver, saved
	if p.Costs != "" {
		if err := c.MeasuredBy(p.Costs); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

// MeasuredBy makes shards by what the cells cost in the run of a folder.
func (c *Config) MeasuredBy(folder string) error {
	saved, err := reports.Open(folder)
	if err != nil {
		return fmt.Errorf("costs: %w; want the folder of a run", err)
	}
	if c.Selection.Cost, err = CostsOf(saved); err != nil {
		return fmt.Errorf("costs: %w", err)
	}
	c.Costs, c.CostsRun = folder, saved.Header.Run
	return nil
}

// takeOver reads what the saved run has, under the lock of its folder.
func (r *Run) takeOver(saved *reports.Run) error {
	r.ID, r.Dir, r.label = saved.Header.Run, filepath.Dir(saved.Path), NewID()
	if err := r.lock(); err != nil {
		return err
	}
	summary, err := reports.Summarize(saved)
	if err != nil {
		return err
	}
	if summary.Incomplete == "" {
		return fmt.Errorf("run %s ended: every cell of it has a record, and a cell that was Broken is not tried until it agrees; run it anew", r.ID)
	}
	r.before = summary
	for record, err := range saved.Records() {
		var killed *reports.Incomplete
		if errors.As(err, &killed) {
			break
		}
		if err != nil {
			return err
		}
		r.verdicts[record.ID] = record.Verdict
	}
	return nil
}

// without are the cells that have no record yet.
func without(cells []matrix.Cell, verdicts map[string]verdict.Verdict) []matrix.Cell {
	var rest []matrix.Cell
	for i := range cells {
		if _, has := verdicts[cells[i].ID]; !has {
			rest = append(rest, cells[i])
		}
	}
	return rest
}

// lock keeps other processes away from the run's folder as long as this one lives. A file system that has no locks lets everybody in.
func (r *Run) lock() (err error) {
	if r.folder, err = os.Open(r.Dir); err != nil {
		return err
	}
	if err := syscall.Flock(int(r.folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("run %s goes on in another process: wait for its end", r.ID)
	}
	return nil
}

func (r *Run) unlock() {
	if r.folder != nil {
		_ = r.folder.Close()
	}
}
