package reports

import (
	"cmp"
	"math/bits"
	"slices"
)

// A conjunction explains a way to fail if nearly all cells that match it fail in that way. A cell that agrees speaks against it; one that
// fails in another way does not, for it could not have shown this one, as long as such cells are few.
const (
	pairsAtMost      = 4  // a longer conjunction is a list of cells, not an explanation
	failuresPerFit   = 20 // one cell may agree for so many that fail
	failuresPerOther = 10 // one cell may agree, or fail in another way, for so many that fail in this one
	pairWorth        = 10 // another pair must explain about a tenth more failures
)

// These bound the search. What it does not find within them stays unexplained.
const (
	beam         = 64      // conjunctions of each length that are made longer
	searchBudget = 400_000 // conjunctions held against all cells of a run
	valuesAtMost = 2_000   // an axis with more values tells single cells, and groups none
)

// Classes of cells that are in no way to fail.
const (
	agreeing = -1
	leftOut  = -2 // not applicable: it says nothing about any conjunction
)

// explanation is a conjunction with the cells that it explains.
type explanation struct {
	way      int
	where    Conjunction
	rows     []int // the cells that it explains and no explanation before it does
	failing  int   // of the cells that match, those that fail in this way
	matching int   // cells that match and are applicable
}

// explain finds, for each way to fail, conjunctions that explain it: the one that explains most with the fewest pairs first, then one for what
// is left. class is the way of each row of the table, or agreeing or leftOut. The second result are the rows that no
// conjunction explains. Equal cells in equal order give equal results.
func explain(t *axisTable, class []int, ways int) (found []explanation, rest []int) {
	s := newSearch(t, class, ways)
	for way := range ways {
		var own []explanation
		for uncovered := slices.Clone(s.ways[way]); ; {
			c := s.best(way, uncovered)
			if c == nil {
				rest = append(rest, uncovered.rows()...)
				break
			}
			e := explanation{way: way, where: c.conjunction()}
			e.rows = c.match.and(uncovered).rows()
			uncovered = uncovered.without(c.match)
			own = append(own, e)
		}
		own = s.merge(own)
		for i := range own {
			match := s.matching(own[i].where)
			own[i].failing, own[i].matching = match.shared(s.ways[way]), match.count()
			slices.Sort(own[i].rows)
		}
		found = append(found, own...)
	}
	slices.Sort(rest)
	return found, rest
}

// rowSet is a set of rows of a table, a bit for each.
type rowSet []uint64

func newRowSet(rows int) rowSet { return make(rowSet, (rows+63)/64) }
func (s rowSet) add(row int)    { s[row/64] |= 1 << (row % 64) }
func (s rowSet) and(other rowSet) rowSet {
	return s.combine(other, func(a, b uint64) uint64 { return a & b })
}
func (s rowSet) or(other rowSet) rowSet {
	return s.combine(other, func(a, b uint64) uint64 { return a | b })
}
func (s rowSet) without(other rowSet) rowSet {
	return s.combine(other, func(a, b uint64) uint64 { return a &^ b })
}

func (s rowSet) combine(other rowSet, f func(a, b uint64) uint64) rowSet {
	result := make(rowSet, len(s))
	for i := range s {
		result[i] = f(s[i], other[i])
	}
	return result
}

func (s rowSet) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// shared is the number of rows that both have.
func (s rowSet) shared(other rowSet) int {
	n := 0
	for i, w := range s {
		n += bits.OnesCount64(w & other[i])
	}
	return n
}

func (s rowSet) rows() []int {
	var rows []int
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			rows = append(rows, i*64+bits.TrailingZeros64(w))
		}
	}
	return rows
}

// search holds what all searches of one run share.
type search struct {
	table  *axisTable
	judged rowSet   // all rows but those left out
	agree  rowSet   // rows that fail in no way
	ways   []rowSet // rows by the way in which they fail
	pairs  []onePair
	budget int
}

// onePair is one value of an axis that a failing cell has, and not every cell.
type onePair struct {
	axis, value string
	match       rowSet
}

func newSearch(t *axisTable, class []int, ways int) *search {
	s := &search{table: t, judged: newRowSet(t.cells), agree: newRowSet(t.cells), budget: searchBudget}
	for range ways {
		s.ways = append(s.ways, newRowSet(t.cells))
	}
	for row, c := range class {
		if c == leftOut {
			continue
		}
		s.judged.add(row)
		if c == agreeing {
			s.agree.add(row)
		} else {
			s.ways[c].add(row)
		}
	}
	all := s.judged.count()
	for _, axis := range t.axes() {
		column := t.columns[axis]
		if len(column.values) > valuesAtMost {
			continue
		}
		sets := make([]rowSet, len(column.values))
		for row, c := range class {
			if code := column.code(row); c >= 0 && code != 0 && sets[code] == nil {
				sets[code] = newRowSet(t.cells)
			}
		}
		for row, c := range class {
			if set := sets[column.code(row)]; set != nil && c != leftOut {
				set.add(row)
			}
		}
		first := len(s.pairs)
		for code, set := range sets {
			if set != nil && set.count() < all {
				s.pairs = append(s.pairs, onePair{axis, column.values[code], set})
			}
		}
		slices.SortFunc(s.pairs[first:], func(a, b onePair) int { return compareValues(axis, a.value, b.value) })
	}
	return s
}

// candidate is a conjunction under trial.
type candidate struct {
	pairs                    []*onePair
	last                     int // index of the last pair
	match                    rowSet
	support, failing, others int // of the rows that match: failures still to explain, failures of the way, all others
	agree                    int // of the others, those that fail in no way
}

func (c *candidate) conjunction() Conjunction {
	where := Conjunction{}
	for _, p := range c.pairs {
		where = append(where, Pair{p.axis, []string{p.value}})
	}
	return where
}

func worth(support, pairs int) int { return support * (pairWorth - pairs) }

// best is the conjunction that explains most of the rows with the fewest pairs; nil if there is none.
func (s *search) best(way int, uncovered rowSet) *candidate {
	open := uncovered.rows()
	least := func(pairs int) int { return max(2, pairs) } // one cell needs no conjunction
	if len(open) < least(0) {
		return nil
	}
	root := &candidate{last: -1, match: s.judged, support: len(open), failing: s.ways[way].count()}
	root.others, root.agree = s.judged.count()-root.failing, s.agree.count()
	if root.explains() {
		return root
	}
	narrow := s.narrowed(open)
	var found *candidate
	score := 0
	level, levelOpen := []*candidate{root}, []rowSet{narrow.all}
	for length := 1; length <= pairsAtMost && len(level) > 0; length++ {
		var next []*candidate
		var nextOpen []rowSet
		for i, c := range level {
			for p := c.last + 1; p < len(s.pairs); p++ {
				pair := &s.pairs[p]
				if narrow.sets[p] == nil || len(c.pairs) > 0 && c.pairs[len(c.pairs)-1].axis == pair.axis {
					continue
				}
				support := levelOpen[i].shared(narrow.sets[p])
				value := worth(support, length)
				if support < least(length) || value < score || value == score && found.agree == 0 {
					continue
				}
				child := s.longer(way, c, pair, p, support)
				if child == nil {
					return found
				}
				if child.others == c.others {
					continue // the pair rules nothing out
				}
				if child.explains() {
					if value > score || child.agree < found.agree {
						found, score = child, value
					}
					continue
				}
				next, nextOpen = append(next, child), append(nextOpen, levelOpen[i].and(narrow.sets[p]))
			}
		}
		level, levelOpen = promising(next, nextOpen)
	}
	return found
}

// longer is a candidate with one more pair; nil if the budget is spent.
func (s *search) longer(way int, c *candidate, pair *onePair, index, support int) *candidate {
	if s.budget--; s.budget < 0 {
		return nil
	}
	child := &candidate{pairs: append(slices.Clone(c.pairs), pair), last: index, match: c.match.and(pair.match), support: support}
	child.failing = child.match.shared(s.ways[way])
	child.others, child.agree = child.match.count()-child.failing, child.match.shared(s.agree)
	return child
}

func (c *candidate) explains() bool {
	return c.agree*failuresPerFit <= c.failing && c.others*failuresPerOther <= c.failing
}

// narrowed has the pairs' sets over the open rows alone, which are few.
type narrowed struct {
	all  rowSet
	sets []rowSet // nil where a pair has none of the rows
}

func (s *search) narrowed(open []int) narrowed {
	n := narrowed{all: newRowSet(len(open)), sets: make([]rowSet, len(s.pairs))}
	for i := range open {
		n.all.add(i)
	}
	for p := range s.pairs {
		set := newRowSet(len(open))
		some := false
		for i, row := range open {
			if s.pairs[p].match[row/64]>>(row%64)&1 == 1 {
				set.add(i)
				some = true
			}
		}
		if some {
			n.sets[p] = set
		}
	}
	return n
}

// promising keeps the candidates that have many failures and few other cells.
func promising(all []*candidate, open []rowSet) ([]*candidate, []rowSet) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	rank := func(c *candidate) float64 {
		return float64(c.support) * float64(c.support) / float64(c.failing+c.others)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(all[b]), rank(all[a])) })
	order = order[:min(len(order), beam)]
	kept, keptOpen := make([]*candidate, len(order)), make([]rowSet, len(order))
	for i, o := range order {
		kept[i], keptOpen[i] = all[o], open[o]
	}
	return kept, keptOpen
}

// matching are the judged rows that a conjunction has.
func (s *search) matching(where Conjunction) rowSet {
	match := s.judged
	for _, p := range where {
		some := newRowSet(s.table.cells)
		for i := range s.pairs {
			if s.pairs[i].axis == p.Axis && slices.Contains(p.Values, s.pairs[i].value) {
				some = some.or(s.pairs[i].match)
			}
		}
		match = match.and(some)
	}
	return match
}

// merge makes one of explanations that differ in the values of one axis alone: server=17 and server=18 become server=17,18.
func (s *search) merge(all []explanation) []explanation {
	for merged := true; merged; {
		merged = false
		for i := 0; i < len(all) && !merged; i++ {
			for j := i + 1; j < len(all); j++ {
				axis := differInOne(all[i].where, all[j].where)
				if axis < 0 {
					continue
				}
				p := &all[i].where[axis]
				p.Values = append(p.Values, all[j].where[axis].Values...)
				slices.SortFunc(p.Values, func(x, y string) int { return compareValues(p.Axis, x, y) })
				p.Values = slices.Compact(p.Values)
				all[i].rows = append(all[i].rows, all[j].rows...)
				all = slices.Delete(all, j, j+1)
				merged = true
				break
			}
		}
	}
	return all
}

// differInOne is the place of the only pair in which two conjunctions of the same axes differ; -1 if there is none or more than one.
func differInOne(a, b Conjunction) int {
	if len(a) != len(b) {
		return -1
	}
	place := -1
	for i := range a {
		if a[i].Axis != b[i].Axis {
			return -1
		}
		if !slices.Equal(a[i].Values, b[i].Values) {
			if place >= 0 {
				return -1
			}
			place = i
		}
	}
	return place
}
