package reports

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/docs"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Shown is what a run's cells show of one row of claims.yaml.
type Shown struct {
	matrix.Shown
	Cells  int      // of the run that the row names, without those that do not apply
	As     int      // of those, the ones that were observed as the row says
	Not    []string // the IDs of those that were observed otherwise
	Broken int      // of those, the ones of which nothing is known
}

// ShownIn counts what a run shows of the rows.
func ShownIn(r *Run, rows []matrix.Shown) ([]Shown, error) {
	shown := make([]Shown, len(rows))
	for i := range rows {
		shown[i].Shown = rows[i]
	}
	for record, err := range r.Records() {
		if err != nil {
			return nil, err
		}
		for i := range shown {
			s := &shown[i]
			if !s.Has(record.ID) || record.Verdict.Status == verdict.NotApplicable {
				continue
			}
			s.Cells++
			switch o := record.Observation; {
			case o == nil || record.Verdict.Status == verdict.Broken:
				s.Broken++
			case s.Agrees(o.Outcome):
				s.As++
			default:
				s.Not = append(s.Not, record.ID)
			}
		}
	}
	return shown, nil
}

// Contradicted are the rows that a cell was observed to contradict.
func Contradicted(rows []Shown) int {
	return len(slices.DeleteFunc(slices.Clone(rows), func(s Shown) bool { return len(s.Not) == 0 }))
}

// DrawClaims draws the claims and, below each, what the cells show. tried says that the rows are those of a run; without one only the cells are named.
func DrawClaims(w io.Writer, rows []Shown, tried bool, o Options) error {
	p := newPage(w, "", o)
	texts := docs.Claims()
	claim := ""
	for i := range rows {
		s := &rows[i]
		if s.Claim != claim {
			if claim != "" {
				p.line("")
			}
			claim = s.Claim
			p.hanging(claim, bold, texts[claim][0])
			p.hanging("", dim, "True: "+texts[claim][1])
		}
		style, mark, tail := "", "as "+s.Shown.As, ""
		if tried {
			style, tail = s.verdict()
			tail = " [" + tail + "]"
		}
		p.hanging("", style, mark+": "+s.Says+tail)
		for _, pattern := range s.Patterns {
			p.hanging("", dim, pattern)
		}
		if len(s.Not) > 0 {
			p.hanging("", loudRed, "otherwise: "+s.Not[0])
		}
	}
	why := docs.Unshown()
	for _, id := range slices.Sorted(maps.Keys(why)) {
		p.line("")
		p.hanging(id, bold, texts[id][0])
		p.hanging("", dim, "True: "+texts[id][1])
		p.hanging("", yellow, "no cell shows it: "+why[id])
	}
	if tried {
		p.line("")
		var cells, broken, untried int
		for i := range rows {
			cells, broken = cells+rows[i].Cells, broken+rows[i].Broken
			if rows[i].Cells == 0 {
				untried++
			}
		}
		p.line(fmt.Sprintf("%d sentences: %d contradicted, %d without a cell in this run; %s, %d of them Broken", len(rows), Contradicted(rows), untried, count(cells, "cell", "cells"), broken))
	}
	return p.Flush()
}

// verdict says in a few words what the run shows of the row.
func (s *Shown) verdict() (style, text string) {
	parts := []string{}
	if s.Broken > 0 {
		parts = append(parts, fmt.Sprintf("%d Broken", s.Broken))
	}
	switch {
	case s.Cells == 0:
		return yellow, "not tried in this run"
	case len(s.Not) > 0:
		return loudRed, strings.Join(append([]string{fmt.Sprintf("contradicted by %d of %s", len(s.Not), count(s.Cells, "cell", "cells"))}, parts...), ", ")
	case s.As == 0:
		return magenta, strings.Join(append([]string{"unknown"}, parts...), ": ")
	}
	return green, strings.Join(append([]string{"observed in " + count(s.As, "cell", "cells")}, parts...), ", ")
}
