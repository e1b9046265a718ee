package compliance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

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

// News is changes of conclusions that are told together.
type News struct {
	Sign     string // ✗ what violates now and did not; otherwise empty
	Says     string
	Controls []string
}

// News tells the changes: a line for each cause that violates now and did not, with the records that decided; the other changes by what they were and are.
func (s *Statement) News() (list []News) {
	behaviour, told := map[string]Conclusion{}, map[string]bool{}
	for _, c := range s.Baseline.Changes {
		if c.Of == "behaviour" {
			behaviour[anchor(c.Framework, c.ID)] = c.Now
		}
	}
	for _, v := range violations(s) {
		n := News{Sign: sign(Violated), Says: v.Says}
		for _, l := range v.Controls {
			if behaviour[l.Anchor] == Violated {
				n.Controls, told[l.Anchor] = append(n.Controls, l.Name), true
			}
		}
		if v.Count > 0 {
			n.Says += " (" + strings.Join(append([]string{cells(v.Count)}, v.Rules...), ", ") + ")"
		}
		if len(n.Controls) > 0 {
			list = append(list, n)
		}
	}
	for _, c := range s.Baseline.Changes {
		if c.Of == "behaviour" && told[anchor(c.Framework, c.ID)] {
			continue
		}
		says := fmt.Sprintf("%s was %s and is %s", c.Of, orDash(c.Before), orDash(c.Now))
		i := slices.IndexFunc(list, func(n News) bool { return n.Says == says })
		if i < 0 {
			i, list = len(list), append(list, News{Says: says})
		}
		list[i].Controls = append(list[i].Controls, c.ID)
	}
	return list
}

// Text is the line.
func (n News) Text() string {
	return strings.TrimSpace(n.Sign+" "+n.Says) + ": " + strings.Join(n.Controls, ", ")
}
