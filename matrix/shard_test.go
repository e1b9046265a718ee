package matrix

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// partsOf are the shards of cells, each once.
func partsOf(t *testing.T, cells []Cell, count int, cost *Cost) [][]Cell {
	t.Helper()
	var parts [][]Cell
	for index := 1; index <= count; index++ {
		part, coverage, err := Select(cells, Selection{Shard: Shard{index, count}, Cost: cost})
		if err != nil {
			t.Fatal(err)
		}
		if coverage.Selected != len(cells) {
			t.Errorf("%+v of %d cells", coverage, len(cells))
		}
		parts = append(parts, part)
	}
	return parts
}

// Every cell is in exactly one shard, in the order of the selection, and every shard has one that can be attempted.
func TestShardsHaveEveryCellOnce(t *testing.T) {
	_, cells := twoFamilies(t)
	applicable := 0
	for i := range cells {
		if NotApplicable(&cells[i]) == "" {
			applicable++
		}
	}
	for count := 1; count <= min(applicable, 60); count++ {
		seen := map[string]int{}
		for n, part := range partsOf(t, cells, count, nil) {
			attempted, last := 0, -1
			for i := range part {
				seen[part[i].ID]++
				if NotApplicable(&part[i]) == "" {
					attempted++
				}
				at := slices.IndexFunc(cells, func(c Cell) bool { return c.ID == part[i].ID })
				if at <= last {
					t.Fatalf("shard %d/%d is not in order", n+1, count)
				}
				last = at
			}
			if attempted == 0 {
				t.Errorf("shard %d/%d has nothing to attempt", n+1, count)
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%d shards: %s is in %d", count, id, n)
			}
		}
		if len(seen) != len(cells) {
			t.Errorf("%d shards have %d of %d cells", count, len(seen), len(cells))
		}
	}
	_, _, err := Select(cells, Selection{Shard: Shard{1, applicable + 1}})
	if want := fmt.Sprintf("shard 1/%d: the selection has %d cells that can be attempted; want at most as many shards", applicable+1, applicable); fmt.Sprint(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// inEnvs are cells of so many Envs: of each the number of its worlds and the number of cells of each world.
func inEnvs(sizes ...[2]int) (cells []Cell) {
	for e, size := range sizes {
		for w := range size[0] {
			world := &World{Server: 17, Host: fmt.Sprintf("e%d", e), SSL: "on", HBA: fmt.Sprintf("# %d\n", w)}
			for c := range size[1] {
				cells = append(cells, Cell{ID: fmt.Sprintf("a/b/e%d/w%d/c%d", e, w, c), Scenario: "a/b", World: world, Client: Client{Library: "pgx"}})
			}
		}
	}
	return cells
}

// Costs decide: an Env stays whole where shards are about equal with it, is cut between its worlds where they are not, and within a world where it has one.
func TestShardsAreBalancedByCost(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name  string
		cells []Cell
		count int
		cost  Cost
		want  string // of each shard: Env:worlds:cells of its Envs
	}{
		{"equal Envs stay whole", inEnvs([2]int{2, 5}, [2]int{2, 5}, [2]int{2, 5}), 3, Cost{Env: 10 * ms, World: ms, Cell: ms}, "e0:2:10 | e1:2:10 | e2:2:10"},
		{"small Envs share a shard", inEnvs([2]int{1, 20}, [2]int{1, 5}, [2]int{1, 5}), 2, Cost{Env: 10 * ms, World: ms, Cell: ms}, "e0:1:20 | e1:1:5 e2:1:5"},
		{"a large Env is cut between its worlds", inEnvs([2]int{4, 10}), 2, Cost{Env: 10 * ms, World: 5 * ms, Cell: ms}, "e0:2:20 | e0:2:20"},
		{"a world is cut where it is all there is", inEnvs([2]int{1, 40}), 2, Cost{Env: ms, World: ms, Cell: ms}, "e0:1:20 | e0:1:20"},
		{"an Env that costs more than its cells is not cut", inEnvs([2]int{2, 3}, [2]int{1, 1}), 2, Cost{Env: 1000 * ms, World: ms, Cell: ms}, "e0:2:6 | e1:1:1"},
		{"unless a shard would be empty", inEnvs([2]int{2, 3}), 2, Cost{Env: 1000 * ms, World: ms, Cell: ms}, "e0:1:3 | e0:1:3"},
		{"measured cells count as measured", inEnvs([2]int{1, 4}, [2]int{1, 4}), 2, Cost{Env: ms, World: ms, Cell: ms, Cells: map[string]time.Duration{"a/b/e0/w0/c0": 100 * ms}}, "e0:1:1 | e0:1:3 e1:1:4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, part := range partsOf(t, tt.cells, tt.count, &tt.cost) {
				worlds, cells := map[string]map[string]bool{}, map[string]int{}
				var envs []string
				for _, c := range part {
					if worlds[c.World.Host] == nil {
						worlds[c.World.Host] = map[string]bool{}
						envs = append(envs, c.World.Host)
					}
					worlds[c.World.Host][c.World.Key()] = true
					cells[c.World.Host]++
				}
				for i, e := range envs {
					envs[i] = fmt.Sprintf("%s:%d:%d", e, len(worlds[e]), cells[e])
				}
				got = append(got, strings.Join(envs, " "))
			}
			if text := strings.Join(got, " | "); text != tt.want {
				t.Errorf("%s, want %s", text, tt.want)
			}
		})
	}
}

func TestParseShard(t *testing.T) {
	for _, test := range []struct {
		text string
		want Shard
	}{{"1/1", Shard{1, 1}}, {"2/8", Shard{2, 8}}, {"8/8", Shard{8, 8}}, {"0/8", Shard{}}, {"9/8", Shard{}}, {"2", Shard{}}, {"a/b", Shard{}}, {"", Shard{}}, {"1/2/3", Shard{}}} {
		got, err := ParseShard(test.text)
		if got != test.want || (err != nil) != (test.want == Shard{}) {
			t.Errorf("%s: %v, %v", test.text, got, err)
		}
		if want := fmt.Sprintf("shard %q; want INDEX/COUNT with an index from 1 to the count, as in 2/8", test.text); err != nil && err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
