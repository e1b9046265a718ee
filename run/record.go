package run

import (
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// record judges a cell and appends its record. A record that cannot be written ends the run: the next one would not be
// written either, and a cell without a record must not be forgotten.
func (r *Run) record(c *matrix.Cell, o *matrix.Observation, start time.Time, took time.Duration) error {
	r.mu.Lock()
	p, known := r.predicted[c]
	delete(r.predicted, c)
	r.mu.Unlock()
	if !known {
		var err error
		if p, err = Predict(c); err != nil && o != nil {
			o = &matrix.Observation{Fault: "no prediction: " + err.Error(), Evidence: o.Evidence}
		}
	}
	var golden *matrix.Outcome
	if approved, ok := r.config.Golden[c.ID]; ok {
		golden = &approved
	}
	v := verdict.Judge(c, p, o, golden, r.config.Divergences)
	if err := r.writer.Write(reports.NewRecord(c, p, o, v, start, took)); err != nil {
		return err
	}
	r.mu.Lock()
	r.verdicts[c.ID] = v
	r.mu.Unlock()
	r.display.Cell(v.Status)
	return nil
}
