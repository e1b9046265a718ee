package reports

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// gridCell is a cell of a grid: every combination of the values of some axes, in two scenarios.
type gridCell struct {
	scenario string
	axes     map[string]string
}

func (c gridCell) is(pairs ...string) bool {
	for _, p := range pairs {
		axis, value, _ := strings.Cut(p, "=")
		if axisValue(axis, c.scenario, c.axes) != value {
			return false
		}
	}
	return true
}

func grid() (cells []gridCell) {
	for _, scenario := range []string{"negotiation/both", "negotiation/one", "core/all"} {
		for _, server := range []string{"13", "15", "17", "18"} {
			for _, library := range []string{"libpq13", "libpq17", "pgx"} {
				for _, hba := range []string{"host", "hostssl", "hostgssenc"} {
					for _, gssencmode := range []string{"disable", "prefer", "require"} {
						for _, ssl := range []string{"on", "off"} {
							cells = append(cells, gridCell{scenario, map[string]string{"server": server, "library": library, "hba": hba, "gssencmode": gssencmode, "ssl": ssl}})
						}
					}
				}
			}
		}
	}
	return cells
}

// explained says in words what explain finds of cells whose ways to fail are numbers.
func explained(cells []gridCell, ways int, class func(i int, c gridCell) int) (words []string, rest int) {
	t := newAxisTable()
	var classes []int
	for i, c := range cells {
		t.add(c.scenario, c.axes)
		classes = append(classes, class(i, c))
	}
	found, left := explain(t, classes, ways)
	for _, e := range found {
		words = append(words, fmt.Sprintf("%d %s: %d, %d of %d", e.way, e.where, len(e.rows), e.failing, e.matching))
	}
	return words, len(left)
}

func TestExplain_KnownAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]bool, len(grid()))
	for i := range noise {
		noise[i] = random.IntN(10) == 0
	}
	for _, tt := range []struct {
		name  string
		class func(i int, c gridCell) int
		want  []string
		rest  int
	}{
		{name: "nothing fails", class: func(int, gridCell) int { return agreeing }},
		{name: "everything fails", class: func(int, gridCell) int { return 0 }, want: []string{"0 every cell: 648, 648 of 648"}},
		{name: "one pair", class: func(_ int, c gridCell) int { return b2c(c.is("library=pgx")) }, want: []string{"0 library=pgx: 216, 216 of 216"}},
		{name: "a scenario", class: func(_ int, c gridCell) int { return b2c(c.is("scenario=negotiation/one")) }, want: []string{"0 scenario=negotiation/one: 216, 216 of 216"}},
		{name: "a family", class: func(_ int, c gridCell) int { return b2c(c.is("family=negotiation", "hba=host")) }, want: []string{"0 family=negotiation ∧ hba=host: 144, 144 of 144"}},
		{name: "two pairs, of which each also has cells that agree", class: func(_ int, c gridCell) int { return b2c(c.is("hba=host", "gssencmode=prefer")) },
			want: []string{"0 hba=host ∧ gssencmode=prefer: 72, 72 of 72"}},
		{name: "four pairs", class: func(_ int, c gridCell) int {
			return b2c(c.is("hba=host", "gssencmode=prefer", "library=pgx", "ssl=on"))
		},
			want: []string{"0 library=pgx ∧ ssl=on ∧ hba=host ∧ gssencmode=prefer: 12, 12 of 12"}},
		{name: "five pairs are too many", class: func(_ int, c gridCell) int {
			return b2c(c.is("hba=host", "gssencmode=prefer", "library=pgx", "ssl=on", "server=17"))
		}, rest: 3},
		{name: "several values of an axis", class: func(_ int, c gridCell) int {
			return b2c((c.is("server=17") || c.is("server=18")) && c.is("library=libpq17"))
		}, want: []string{"0 library=libpq17 ∧ server=17,18: 108, 108 of 108"}},
		{name: "two causes of one way", class: func(_ int, c gridCell) int {
			return b2c(c.is("library=pgx", "ssl=off") || c.is("scenario=core/all", "gssencmode=require"))
		}, want: []string{"0 library=pgx ∧ ssl=off: 108, 108 of 108", "0 scenario=core/all ∧ gssencmode=require: 60, 72 of 72"}},
		{name: "two ways", class: func(_ int, c gridCell) int {
			switch {
			case c.is("library=pgx", "ssl=off"):
				return 0
			case c.is("library=pgx", "ssl=on"):
				return 1
			}
			return agreeing
		}, want: []string{"0 library=pgx ∧ ssl=off: 108, 108 of 108", "1 library=pgx ∧ ssl=on: 108, 108 of 108"}},
		{name: "a few fail in another way", class: func(i int, c gridCell) int {
			switch {
			case c.is("library=pgx") && i%20 == 0:
				return 1
			case c.is("library=pgx"):
				return 0
			}
			return agreeing
		}, want: []string{"0 library=pgx: 205, 205 of 216"}, rest: 11},
		{name: "one cell of a hundred agrees", class: func(i int, c gridCell) int { return b2c(c.is("library=pgx") && i%100 != 13) },
			want: []string{"0 library=pgx: 214, 214 of 216"}},
		{name: "one cell of nine agrees: no explanation", class: func(i int, c gridCell) int {
			return b2c(c.is("scenario=core/all", "server=13", "library=pgx", "ssl=on") && i%9 != 0)
		},
			rest: 8},
		{name: "every tenth cell, by chance", class: func(i int, _ gridCell) int { return b2c(noise[i]) }, rest: 1},
		{name: "a cell that is not applicable says nothing", class: func(_ int, c gridCell) int {
			switch {
			case c.is("library=pgx", "hba=host"):
				return leftOut
			case c.is("library=pgx"):
				return 0
			}
			return agreeing
		}, want: []string{"0 library=pgx: 144, 144 of 144"}},
		{name: "one cell", class: func(i int, _ gridCell) int { return b2c(i == 77) }, rest: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rest := explained(grid(), 2, tt.class)
			if tt.name == "every tenth cell, by chance" {
				for _, w := range got { // what chance makes pure is small, and true
					if !strings.HasSuffix(w, "2 of 2") && !strings.HasSuffix(w, "3 of 3") && !strings.HasSuffix(w, "4 of 4") {
						t.Errorf("explained by %s", w)
					}
				}
				if rest == 0 {
					t.Error("everything is explained")
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || rest != tt.rest {
				t.Errorf("%d are left, want %d; (-want +got):\n%s", rest, tt.rest, diff)
			}
		})
	}
}

func b2c(fails bool) int {
	if fails {
		return 0
	}
	return agreeing
}

// However the failures lie: every one is in one explanation or among the rest, no explanation has more cells that agree than one in
// twenty failing, the numbers are those of a count by hand, and the same cells give the same words.
func TestExplain_Invariants(t *testing.T) {
	cells := grid()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		var rules [3][]string
		for i := range rules {
			c := cells[random.IntN(len(cells))]
			for axis, value := range c.axes {
				if random.IntN(3) == 0 {
					rules[i] = append(rules[i], axis+"="+value)
				}
			}
		}
		class := make([]int, len(cells))
		for i, c := range cells {
			class[i] = agreeing
			for way, rule := range rules {
				if len(rule) > 0 && c.is(rule...) && random.IntN(30) > 0 {
					class[i] = way
				}
			}
			if random.IntN(50) == 0 {
				class[i] = random.IntN(5) - 2
			}
		}
		table := newAxisTable()
		for _, c := range cells {
			table.add(c.scenario, c.axes)
		}
		found, rest := explain(table, class, len(rules))
		filed := map[int]int{}
		for _, row := range rest {
			filed[row]++
		}
		for _, e := range found {
			failing, agree, matching := 0, 0, 0
			for i, c := range cells {
				if !e.where.Matches(c.scenario, c.axes) || class[i] == leftOut {
					continue
				}
				matching++
				switch class[i] {
				case e.way:
					failing++
				case agreeing:
					agree++
				}
			}
			if failing != e.failing || matching != e.matching || agree*failuresPerFit > failing || len(e.where) > pairsAtMost {
				t.Errorf("seed %d: %s: %d of %d, counted %d of %d, %d agree", seed, e.where, e.failing, e.matching, failing, matching, agree)
			}
			for _, row := range e.rows {
				filed[row]++
				if class[row] != e.way || !e.where.Matches(cells[row].scenario, cells[row].axes) {
					t.Errorf("seed %d: %s does not match row %d", seed, e.where, row)
				}
			}
		}
		for i := range cells {
			want := 0
			if class[i] >= 0 {
				want = 1
			}
			if filed[i] != want {
				t.Errorf("seed %d: row %d is filed %d times, want %d", seed, i, filed[i], want)
			}
		}
		again, _ := explain(table, class, len(rules))
		if !slices.EqualFunc(found, again, func(a, b explanation) bool {
			return a.where.String() == b.where.String() && slices.Equal(a.rows, b.rows)
		}) {
			t.Errorf("seed %d: another answer to the same question", seed)
		}
	}
}

// A run of the size of the whole matrix, with failures of several causes and some without one, is explained in seconds.
func TestExplain_AtSize(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	table := newAxisTable()
	var class []int
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 150_000 {
		axes := map[string]string{}
		for a := range 18 {
			axes[fmt.Sprintf("axis%d", a)] = fmt.Sprint(random.IntN(2 + a/2))
		}
		axes["library"] = fmt.Sprint("client", random.IntN(16))
		table.add(fmt.Sprint("family/", i/500), axes)
		switch {
		case axes["library"] == "client3" && axes["axis9"] == "1":
			class = append(class, 0)
		case axes["axis5"] == "1" && axes["axis7"] == "2" && axes["axis11"] == "3":
			class = append(class, 1)
		case random.IntN(300) == 0:
			class = append(class, random.IntN(3))
		default:
			class = append(class, agreeing)
		}
	}
	began := time.Now()
	found, rest := explain(table, class, 3)
	took := time.Since(began)
	var words []string
	for _, e := range found {
		if len(e.rows) > 100 {
			words = append(words, fmt.Sprintf("%d %s", e.way, e.where))
		}
	}
	if diff := cmp.Diff([]string{"0 library=client3 ∧ axis9=1", "1 axis11=3 ∧ axis5=1 ∧ axis7=2"}, words); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Logf("%d cells, %d explanations, %d failures left: %s", table.cells, len(found), len(rest), took)
	if took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}
