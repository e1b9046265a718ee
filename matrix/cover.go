package matrix

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
)

// choose picks cells of each scenario that together have every combination of values that an applicable cell has, and counts the
// combinations. It keeps the order of the cells.
func (c *Coverage) choose(cells []*Cell) []*Cell {
	byScenario := map[string][]int{}
	var names []string
	for i, cell := range cells {
		if byScenario[cell.Scenario] == nil {
			names = append(names, cell.Scenario)
		}
		byScenario[cell.Scenario] = append(byScenario[cell.Scenario], i)
	}
	var chosen []int
	for _, name := range names {
		group := make([]*Cell, len(byScenario[name]))
		for i, n := range byScenario[name] {
			group[i] = cells[n]
		}
		a := newArray(group, c.Strength)
		picked := a.cover(c.Seed, name)
		if slices.ContainsFunc(group, func(cell *Cell) bool { return cell.Client.Attacked() }) {
			picked = a.whole()
		}
		for _, n := range picked {
			chosen = append(chosen, byScenario[name][n])
		}
		for _, state := range a.combinations {
			switch state {
			case impossible:
				c.Impossible++
			case demanded:
				c.Demanded++
			case covered:
				c.Demanded++
				c.Covered++
			}
		}
	}
	slices.Sort(chosen)
	taken := make([]*Cell, len(chosen))
	for i, n := range chosen {
		taken[i] = cells[n]
	}
	return taken
}

// whole picks all applicable cells.
func (a *array) whole() (picked []int) {
	for n, applicable := range a.applicable {
		if applicable {
			picked = append(picked, n)
		}
	}
	return picked
}

// array is a covering array that is being made: the cells of one scenario as rows of small numbers, and the state of every
// combination of values of `strength` columns.
type array struct {
	rows         [][]uint16 // the value of a cell on each axis on which cells differ
	applicable   []bool     // by row
	subsets      []subset   // all choices of strength columns
	combinations []state    // by subset.first + the number of the combination in mixed radix
}

type subset struct {
	columns []int
	radix   []int
	first   int
}

type state uint8

const (
	absent     state = iota // no cell has it
	impossible              // only cells that no client can express have it
	demanded                // an applicable cell has it
	covered                 // a chosen cell has it
)

func newArray(cells []*Cell, strength int) *array {
	a := &array{rows: make([][]uint16, len(cells)), applicable: make([]bool, len(cells))}
	principalIsUser := !slices.ContainsFunc(cells, func(c *Cell) bool { return c.Client.Principal != c.Client.User })
	var sizes []int
	for _, axis := range cells[0].World.Axes() { // all cells are of one scenario
		if axis.Name == "principal" && principalIsUser {
			continue // it follows from user
		}
		numbers := map[string]uint16{}
		column := make([]uint16, len(cells))
		for i, c := range cells {
			value := axis.get(c.World, &c.Client)
			n, ok := numbers[value]
			if !ok {
				n = uint16(len(numbers))
				numbers[value] = n
			}
			column[i] = n
		}
		if len(numbers) < 2 {
			continue
		}
		sizes = append(sizes, len(numbers))
		for i, n := range column {
			a.rows[i] = append(a.rows[i], n)
		}
	}
	total := 0
	for _, columns := range choices(len(sizes), min(strength, len(sizes))) {
		s := subset{columns: columns, radix: make([]int, len(columns)), first: total}
		size := 1
		for i, column := range columns {
			s.radix[i] = size
			size *= sizes[column]
		}
		total += size
		a.subsets = append(a.subsets, s)
	}
	a.combinations = make([]state, total)
	for i, c := range cells {
		a.applicable[i] = NotApplicable(c) == ""
		has := impossible
		if a.applicable[i] {
			has = demanded
		}
		a.each(i, func(combination *state) { *combination = max(*combination, has) })
	}
	return a
}

// choices are the ways to choose k of n columns; if k is 0, the one empty choice.
func choices(n, k int) [][]int {
	if k == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for last := k - 1; last < n; last++ {
		for _, rest := range choices(last, k-1) {
			all = append(all, append(slices.Clone(rest), last))
		}
	}
	return all
}

// each visits the combinations that a row has.
func (a *array) each(row int, visit func(*state)) {
	values := a.rows[row]
	for i := range a.subsets {
		s := &a.subsets[i]
		n := s.first
		for j, column := range s.columns {
			n += int(values[column]) * s.radix[j]
		}
		visit(&a.combinations[n])
	}
}

// gain is the number of combinations that are not covered yet and that the row has.
func (a *array) gain(row int) int {
	n := 0
	a.each(row, func(combination *state) {
		if *combination == demanded {
			n++
		}
	})
	return n
}

// cover chooses rows until every demanded combination is covered: always a row with the highest gain, the first of these in an order
// that the seed shuffles. The gain of a row can only shrink. So each row is in the queue of its gain when it was last computed, and
// is computed again only when that queue is at the front.
func (a *array) cover(seed uint64, name string) []int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash cannot fail
	random := rand.New(rand.NewPCG(seed, h.Sum64()))
	queues := make([][]int, len(a.subsets)+1)
	for _, row := range random.Perm(len(a.rows)) {
		if a.applicable[row] {
			gain := a.gain(row)
			queues[gain] = append(queues[gain], row)
		}
	}
	var chosen []int
	for gain := len(a.subsets); gain > 0; gain-- {
		for i := 0; i < len(queues[gain]); i++ {
			row := queues[gain][i]
			if now := a.gain(row); now < gain {
				queues[now] = append(queues[now], row)
				continue
			}
			chosen = append(chosen, row)
			a.each(row, func(combination *state) { *combination = covered })
		}
	}
	return chosen
}
