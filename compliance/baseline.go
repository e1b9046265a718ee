package compliance

import "github.com/pgauthmatrix/pgauthmatrix/reports"

// Baseline is an earlier statement about the same subject, and what has changed since.
type Baseline struct {
	Run     string // of the earlier statement
	Changes []Change
	Cells   *reports.Diff // of the two runs, cell by cell
}

// Change is a control whose conclusion is another one now.
type Change struct {
	Framework   string
	ID, Title   string
	Of          string // behaviour or literal
	Before, Now Conclusion
	Worse       bool
}

// Since compares the statement with an earlier one. Changes for the worse come first.
func (s *Statement) Since(before *Earlier, diff *reports.Diff) {
	b := &Baseline{Run: before.Run, Cells: diff}
	var better []Change
	for _, now := range s.Results() {
		was, there := before.Conclusions[now.Framework.ID+" "+now.ID]
		if !there {
			continue // the catalogue has grown
		}
		for _, pair := range []struct {
			of       string
			was, now Conclusion
		}{{"behaviour", was.Behaviour, now.Behaviour}, {"literal", was.Literal, now.Literal}} {
			if pair.was == pair.now {
				continue
			}
			c := Change{Framework: now.Framework.ID, ID: now.ID, Title: now.Title, Of: pair.of, Before: pair.was, Now: pair.now, Worse: pair.now == worse(pair.now, pair.was)}
			if c.Worse {
				b.Changes = append(b.Changes, c)
			} else {
				better = append(better, c)
			}
		}
	}
	b.Changes = append(b.Changes, better...)
	s.Baseline = b
}
