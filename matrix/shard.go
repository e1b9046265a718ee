package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shard is part Index of Count, counted from 1. The zero Shard is everything. Every cell is in exactly one of the parts. Their costs are about equal, and
// each Env is in as few parts as that allows. Equal cells, costs and counts give equal parts.
type Shard struct{ Index, Count int }

// Cost is the time that a run takes for what a part has.
type Cost struct {
	Env   time.Duration            // to provision an Env and try its control cells
	World time.Duration            // to bring an Env to a world
	Cell  time.Duration            // to attempt a cell that is not in Cells
	Cells map[string]time.Duration // cells that an earlier run has measured, by ID
}

// EstimatedCost is for cells that no run has measured: what they took on a machine with two cores, several at a time.
var EstimatedCost = Cost{Env: 5 * time.Second, World: 150 * time.Millisecond, Cell: 8 * time.Millisecond}

func (c Cost) of(cell *Cell) time.Duration {
	if measured, ok := c.Cells[cell.ID]; ok {
		return measured
	}
	return c.Cell
}

func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// ParseShard reads INDEX/COUNT.
func ParseShard(text string) (Shard, error) {
	index, count, _ := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	if err1 != nil || err2 != nil || i < 1 || i > n {
		return Shard{}, fmt.Errorf("shard %q; want INDEX/COUNT with an index from 1 to the count, as in 2/8", text)
	}
	return Shard{i, n}, nil
}

// of takes the part's cells. It keeps their order. Every part has a cell that can be attempted.
func (s Shard) of(cells []*Cell, cost Cost) ([]*Cell, error) {
	if s == (Shard{}) {
		return cells, nil
	}
	var envs []*piece
	var inapplicable []int
	byEnv := map[string]*piece{}
	keys := map[*World][2]string{}
	applicable := 0
	for i, c := range cells {
		if NotApplicable(c) != "" {
			inapplicable = append(inapplicable, i)
			continue
		}
		applicable++
		key, known := keys[c.World]
		if !known {
			key = [2]string{c.World.EnvKey(), c.World.Key()}
			keys[c.World] = key
		}
		e := byEnv[key[0]]
		if e == nil {
			e = &piece{}
			byEnv[key[0]] = e
			envs = append(envs, e)
		}
		e.members = append(e.members, shardMember{index: i, world: key[1], cost: max(cost.of(c), time.Microsecond)})
	}
	if applicable < s.Count {
		return nil, fmt.Errorf("shard %s: the selection has %d cells that can be attempted; want at most as many shards", s, applicable)
	}
	var part []int
	for _, p := range cut(envs, s.Count, cost)[s.Index-1] {
		for _, m := range p.members {
			part = append(part, m.index)
		}
	}
	part = append(part, inapplicable[(s.Index-1)*len(inapplicable)/s.Count:s.Index*len(inapplicable)/s.Count]...)
	slices.Sort(part)
	taken := make([]*Cell, len(part))
	for i, n := range part {
		taken[i] = cells[n]
	}
	return taken, nil
}

// piece is cells of one Env that are in one shard; those of a world are together.
type piece struct {
	members []shardMember
	cost    time.Duration
}

type shardMember struct {
	index int
	world string
	cost  time.Duration
}

// balanced: a shard may take a tenth longer than it would if all took the same time. To cut one more Env costs more than that wins.
const balanced = 1.1

// cut makes count shards of Envs. It gives the largest piece to the shard that has least, and cuts a piece of the fullest shard in two as long as that helps.
func cut(envs []*piece, count int, cost Cost) [][]*piece {
	pieces := slices.Clone(envs)
	var total time.Duration
	for _, p := range pieces {
		first := map[string]int{}
		for _, m := range p.members {
			if _, seen := first[m.world]; !seen {
				first[m.world] = m.index
			}
		}
		slices.SortStableFunc(p.members, func(a, b shardMember) int { return cmp.Compare(first[a.world], first[b.world]) })
		p.cost = cost.ofPiece(p.members)
		total += p.cost
	}
	enough := time.Duration(float64(total) / float64(count) * balanced)
	var best [][]*piece
	var shortest time.Duration
	for range 2*count + 64 {
		shards, longest := spreadPieces(pieces, count)
		candidates := shards[longest]
		if len(pieces) < count {
			candidates = pieces
		} else if load := loadOf(candidates); best == nil || load < shortest {
			best, shortest = shards, load
		}
		if best != nil && shortest <= enough {
			break
		}
		var largest *piece
		for _, p := range candidates {
			if len(p.members) > 1 && (largest == nil || p.cost > largest.cost) {
				largest = p
			}
		}
		if largest == nil {
			break
		}
		n := slices.Index(pieces, largest)
		pieces = slices.Concat(pieces[:n], largest.halves(cost), pieces[n+1:])
	}
	return best
}

// spreadPieces gives the pieces to shards, and says which has most.
func spreadPieces(pieces []*piece, count int) (shards [][]*piece, longest int) {
	order := slices.Clone(pieces)
	slices.SortStableFunc(order, func(a, b *piece) int { return cmp.Compare(b.cost, a.cost) })
	shards = make([][]*piece, count)
	loads := make([]time.Duration, count)
	for _, p := range order {
		least := 0
		for i := range loads {
			if loads[i] < loads[least] {
				least = i
			}
		}
		shards[least] = append(shards[least], p)
		loads[least] += p.cost
	}
	for i := range loads {
		if loads[i] > loads[longest] {
			longest = i
		}
	}
	return shards, longest
}

func loadOf(pieces []*piece) (load time.Duration) {
	for _, p := range pieces {
		load += p.cost
	}
	return load
}

// ofPiece is the cost of cells of one Env, a world after another.
func (c Cost) ofPiece(members []shardMember) time.Duration {
	total := c.Env
	for i, m := range members {
		if i == 0 || m.world != members[i-1].world {
			total += c.World
		}
		total += m.cost
	}
	return total
}

// halves cuts a piece of at least two cells where the costs of the halves differ least.
func (p *piece) halves(cost Cost) []*piece {
	at, least := 1, time.Duration(-1)
	var before time.Duration
	whole := cost.ofPiece(p.members)
	for i := 1; i < len(p.members); i++ {
		before += p.members[i-1].cost
		if i == 1 || p.members[i-1].world != p.members[i-2].world {
			before += cost.World
		}
		after := whole - cost.Env - before
		if p.members[i].world == p.members[i-1].world {
			after += cost.World // the world is installed in both
		}
		if d := (before - after).Abs(); least < 0 || d < least {
			at, least = i, d
		}
	}
	first, second := p.members[:at:at], p.members[at:]
	return []*piece{{first, cost.ofPiece(first)}, {second, cost.ofPiece(second)}}
}
