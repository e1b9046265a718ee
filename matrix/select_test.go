package matrix

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// twoFamilies are 2 scenarios, 6 + 48 cells.
func twoFamilies(t testing.TB) (scenarios []*Scenario, cells []Cell) {
	t.Helper()
	scenarios, err := Load(fstest.MapFS{
		"negotiation/both-on.yaml": {Data: []byte(top + "  server: [13, 17]\n  ssl: [off, on]\nclient:\n  library: [libpq15, pq]\n  gssencmode: [default, prefer, require]\n  sslmode: [disable, require]\n")},
		"auth/stored.yaml":         {Data: []byte(top + "client:\n  user: [alice, bob]\n  password: all\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		cells = append(cells, s.Expand()...)
	}
	return scenarios, cells
}

func TestSelect(t *testing.T) {
	scenarios, cells := twoFamilies(t)
	for _, test := range []struct {
		name      string
		selection Selection
		want      int
		err       string
	}{
		{"everything", Selection{}, 54, ""},
		{"a family", Selection{Family: "auth"}, 6, ""},
		{"a folder of IDs", Selection{Patterns: []string{"negotiation/both-on/pg17/ssl=on"}}, 12, ""},
		{"two patterns that overlap", Selection{Patterns: []string{"negotiation/*/pg17", "**/pq"}}, 36, ""},
		{"a whole ID", Selection{Patterns: []string{cells[7].ID}}, 1, ""},
		{"axes", Selection{Axes: []AxisValues{{"server", []string{"17"}}, {"sslmode", []string{"require", "disable"}}}}, 24, ""},
		{"an option that is not given", Selection{Family: "negotiation", Axes: []AxisValues{{"gssencmode", []string{""}}}}, 16, ""},
		{"an axis that no scenario names, at its default", Selection{Axes: []AxisValues{{"transport", []string{"tcp"}}}}, 54, ""},
		{"a group of clients", Selection{Axes: []AxisValues{{"library", []string{"libpq"}}}}, 30, ""},
		{"a group of clients and one more", Selection{Axes: []AxisValues{{"library", []string{"independent", "libpq15"}}}}, 48, ""},
		{"all parts together", Selection{Family: "negotiation", Patterns: []string{"**/libpq15"}, Axes: []AxisValues{{"ssl", []string{"off"}}}}, 12, ""},

		{"no cells", Selection{}, 0, "there are no cells to select from; load scenarios first"},
		{"unknown family", Selection{Family: "negociation"}, 0, `no family "negociation"; did you mean "negotiation"?`},
		{"a pattern without cells: scenario", Selection{Patterns: []string{"auth", "negotiation/both-off"}}, 0, `no cell is named negotiation/both-off; instead of the element both-off did you mean "both-on"?`},
		{"a pattern without cells: server", Selection{Patterns: []string{"negotiation/*/pg18"}}, 0, `no cell is named negotiation/*/pg18; instead of the element pg18 there are pg13, pg17`},
		{"a pattern without cells: family", Selection{Patterns: []string{"trust"}}, 0, "no cell is named trust; instead of the element trust there are auth, negotiation"},
		{"a pattern with too many elements", Selection{Patterns: []string{"auth/stored/*/*/*/*"}}, 0, "no cell is named auth/stored/*/*/*/*; IDs end before the element *"},
		{"a pattern after **", Selection{Patterns: []string{"**/pg12/**"}}, 0, "no cell is named **/pg12/**; after ** no element is pg12"},
		{"a malformed pattern", Selection{Patterns: []string{"auth/[st]*"}}, 0, "pattern auth/[st]*: '[' cannot be in the ID of a cell; want elements between slashes, with * for any characters and ** for any number of elements"},
		{"unknown axis", Selection{Axes: []AxisValues{{"ssl_mode", []string{"require"}}}}, 0, `no axis "ssl_mode"; did you mean "sslmode"?`},
		{"a value without cells", Selection{Axes: []AxisValues{{"gssencmode", []string{"prefer", "disable"}}}}, 0, "no cell has gssencmode=disable; want default, prefer or require"},
		{"a value that no cell of the family has", Selection{Family: "auth", Axes: []AxisValues{{"server", []string{"13"}}}}, 0, "no cell in auth has server=13; want 18"},
		{"a value that no cell of the pattern has", Selection{Patterns: []string{"negotiation/*/pg17", "auth"}, Axes: []AxisValues{{"server", []string{"13"}}}}, 0, "no cell named negotiation/*/pg17 or auth has server=13; want 17 or 18"},
		{"a pattern outside the family", Selection{Family: "auth", Patterns: []string{"negotiation/both-on"}}, 0, "each part of the selection takes some cells, but no cell is taken by all parts; loosen one part"},
		{"a pattern outside the family, without cells", Selection{Family: "auth", Patterns: []string{"negotiation/both-on/pg18"}}, 0, "no cell is named negotiation/both-on/pg18; instead of the element pg18 there are pg13, pg17"},
		{"patterns of which one is outside the family", Selection{Family: "auth", Patterns: []string{"negotiation/both-on", "*/stored"}}, 6, ""},
		{"a group that no cell has a client of", Selection{Axes: []AxisValues{{"library", []string{"psql"}}}}, 0, "no cell has library=psql; want libpq15, libpq18 or pq"},
		{"axes that no cell has together", Selection{Axes: []AxisValues{{"server", []string{"13"}}, {"user", []string{"bob"}}}}, 0, "each part of the selection takes some cells, but no cell is taken by all parts; loosen one part"},
		{"a pattern after ** in the scenario", Selection{Patterns: []string{"auth/**/bob"}}, 0, "no cell is named auth/**/bob; after ** no element is bob"},
		{"a server after any scenario", Selection{Patterns: []string{"*/*/pg13"}}, 24, ""},
		{"an invalid strength", Selection{Strength: 1}, 0, "strength 1; want 0 (every cell), 2 (pairwise), 3 or 4"},
		{"an invalid shard", Selection{Shard: Shard{3, 2}}, 0, "shard 3/2; want INDEX/COUNT with an index from 1 to the count"},
		{"pairwise, and no cell is applicable", Selection{Strength: 2, Patterns: []string{"**/pq/gssencmode=require,*"}}, 0, "no client can express any of the 8 cells that the selection takes; select without a strength to see them with their reasons"},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, named := cells, scenarios
			if test.name == "no cells" {
				from, named = nil, nil
			}
			got, coverage, err := Select(from, test.selection)
			some, errOfSome := ExpandSelected(named, test.selection)
			if errOfSome == nil {
				if some, _, errOfSome = Select(some, test.selection); !slices.Equal(ids(some), ids(got)) {
					t.Errorf("of the cells of the scenarios that the selection names it takes %v", ids(some))
				}
			}
			if errorText(errOfSome) != test.err {
				t.Errorf("error %q of the cells of the scenarios that the selection names", errorText(errOfSome))
			}
			if errorText(err) != test.err {
				t.Errorf("error %q, want %q", errorText(err), test.err)
			}
			if len(got) != test.want {
				t.Errorf("%d cells, want %d", len(got), test.want)
			}
			if err == nil && (coverage.Cells != test.want || coverage.Selected != test.want) {
				t.Errorf("%+v", coverage)
			}
			last := -1
			for _, c := range got {
				i := slices.Index(ids(cells), c.ID)
				if i <= last {
					t.Errorf("%s is out of order", c.ID)
				}
				last = i
			}
		})
	}
}

// TestExpandSelectedExpandsWhatIsNamed: cells of other scenarios are not made.
func TestExpandSelectedExpandsWhatIsNamed(t *testing.T) {
	scenarios, _ := twoFamilies(t)
	for _, test := range []struct {
		selection Selection
		want      int
	}{
		{Selection{}, 54},
		{Selection{Family: "auth"}, 6},
		{Selection{Patterns: []string{"auth/stored/pg18/libpq18/user=bob,password=none"}}, 6},
		{Selection{Patterns: []string{"*/both-on/pg13"}}, 48},
		{Selection{Patterns: []string{"**/libpq18/"}}, 54},
		{Selection{Axes: []AxisValues{{"user", []string{"bob"}}}}, 54},
	} {
		cells, err := ExpandSelected(scenarios, test.selection)
		if err != nil || len(cells) != test.want {
			t.Errorf("%+v: %d cells, want %d; %v", test.selection, len(cells), test.want, err)
		}
	}
}

// combinationsOf counts by brute force, independently of array: every combination of n axes' values among cells.
func combinationsOf(cells []Cell, axes []string, n int, keep func(*Cell) bool) map[string]bool {
	found := map[string]bool{}
	var visit func(c *Cell, from, left int, text string)
	visit = func(c *Cell, from, left int, text string) {
		if left == 0 {
			found[text] = true
			return
		}
		for i := from; i < len(axes); i++ {
			visit(c, i+1, left-1, text+" "+axes[i]+"="+c.Value(axes[i]))
		}
	}
	for i := range cells {
		if keep(&cells[i]) {
			visit(&cells[i], 0, n, "")
		}
	}
	return found
}

func TestStrengthCoversEveryCombination(t *testing.T) {
	s := load(t, top+`  server: [13, 17, 18]
  ssl: [off, on]
  ident: {one: m a a, two: m b b}
client:
  library: [libpq13, libpq17, pgx]
  user: [alice, bob]
  gssencmode: all
  sslmode: [disable, prefer, require]
  sslnegotiation: all
exclude:
  - {ssl: off, sslmode: require}
  - {user: bob, server: 13, library: libpq13}
`)
	cells := s.Expand()
	axes := []string{"server", "ssl", "ident", "library", "user", "gssencmode", "sslmode", "sslnegotiation"}
	applicable := func(c *Cell) bool { return NotApplicable(c) == "" }
	for strength := 2; strength <= 4; strength++ {
		want := combinationsOf(cells, axes, strength, applicable)
		all := combinationsOf(cells, axes, strength, func(*Cell) bool { return true })
		sizes := map[int]bool{}
		for seed := range uint64(5) {
			got, coverage, err := Select(cells, Selection{Strength: strength, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, combinationsOf(got, axes, strength, applicable)); diff != "" {
				t.Errorf("strength %d, seed %d: %s", strength, seed, diff)
			}
			wantCoverage := Coverage{Cells: len(cells), Selected: len(got), Strength: strength, Seed: seed, Demanded: len(want), Covered: len(want), Impossible: len(all) - len(want)}
			if coverage != wantCoverage {
				t.Errorf("%+v, want %+v", coverage, wantCoverage)
			}
			for _, c := range got {
				if NotApplicable(&c) != "" {
					t.Errorf("%s is chosen and is not applicable", c.ID)
				}
			}
			sizes[len(got)] = true
			again, _, err := Select(cells, Selection{Strength: strength, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ids(got), ids(again)); diff != "" {
				t.Errorf("the same seed chooses other cells: %s", diff)
			}
		}
		smallest := map[int]int{2: 9, 3: 27, 4: 81}[strength] // of the largest axes; with excludes and limits more
		for size := range sizes {
			if size < smallest || size > 4*smallest {
				t.Errorf("strength %d takes %d cells of %d", strength, size, len(cells))
			}
		}
	}
}

func TestStrengthOfFewAxes(t *testing.T) {
	for _, test := range []struct {
		source                       string
		strength, selected, demanded int
	}{
		{client + "  user: [a, b]\n  password: all\n", 3, 6, 6},              // fewer axes than the strength: the product
		{client + "  user: [a, b, c]\n", 2, 3, 3},                            // a single axis: each value
		{client + "  user: a\n", 2, 1, 1},                                    // a single cell
		{client + "  user: [a, b]\n  principal: [a, b]\n", 2, 4, 4},          // principal is an axis of its own
		{client + "  user: [a, b]\n  sslmode: [require, prefer]\n", 2, 4, 4}, // principal follows user and is not counted
	} {
		cells, coverage, err := Select(load(t, test.source).Expand(), Selection{Strength: test.strength})
		if err != nil {
			t.Fatal(err)
		}
		if len(cells) != test.selected || coverage.Demanded != test.demanded || coverage.Covered != test.demanded {
			t.Errorf("%s: %d cells, %+v", test.source, len(cells), coverage)
		}
	}
}

// TestStrengthIsPerScenario: the cells that are chosen of a scenario do not depend on other scenarios.
func TestStrengthIsPerScenario(t *testing.T) {
	_, cells := twoFamilies(t)
	both, _, err := Select(cells, Selection{Strength: 2, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	var apart []Cell
	for _, family := range []string{"auth", "negotiation"} {
		part, _, err := Select(cells, Selection{Strength: 2, Seed: 7, Family: family})
		if err != nil {
			t.Fatal(err)
		}
		apart = append(apart, part...)
	}
	if diff := cmp.Diff(ids(both), ids(apart)); diff != "" {
		t.Error(diff)
	}
	seeds := map[string]bool{}
	for seed := range uint64(10) {
		got, _, err := Select(cells, Selection{Strength: 2, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		seeds[strings.Join(ids(got), "\n")] = true
	}
	if len(seeds) < 2 {
		t.Error("all seeds choose the same cells")
	}
}

func TestParseAxisValues(t *testing.T) {
	for _, test := range []struct {
		text string
		want AxisValues
		err  string
	}{
		{"gssencmode=prefer,default", AxisValues{"gssencmode", []string{"prefer", ""}}, ""},
		{"server=17", AxisValues{"server", []string{"17"}}, ""},
		{"library=independent,libpq17", AxisValues{"library", []string{"independent", "libpq17"}}, ""},
		{"hba=tls-only", AxisValues{"hba", []string{"tls-only"}}, ""},
		{"user=o'hara b", AxisValues{"user", []string{"o'hara b"}}, ""},
		{"gssencmode", AxisValues{}, `"gssencmode" is no choice of an axis; want AXIS=VALUE[,VALUE], as in gssencmode=prefer,require`},
		{"clientcert=verify-ca", AxisValues{"clientcert", []string{"verify-ca"}}, ""}, // may be an axis of a scenario's own
		{"gss_mode=prefer", AxisValues{}, `no axis "gss_mode"; did you mean "sslmode"?`},
		{"gssencmode=prefered", AxisValues{}, `impossible value "prefered" of gssencmode; did you mean "prefer"?`},
		{"server=12", AxisValues{}, `unknown server version "12"; want a major version: 13, 14, 15, 16, 17, 18 or 19`},
		{"user=", AxisValues{}, "empty value of user; name one, or leave the axis out"},
	} {
		got, err := ParseAxisValues(test.text)
		if diff := cmp.Diff(test.want, got); diff != "" || errorText(err) != test.err {
			t.Errorf("%s: %q, want %q; %s", test.text, errorText(err), test.err, diff)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	cells := bigScenario(b).Expand()
	for strength := 2; strength <= 4; strength++ {
		b.Run(fmt.Sprintf("strength=%d", strength), func(b *testing.B) {
			n := 0
			for b.Loop() {
				selected, _, err := Select(cells, Selection{Strength: strength})
				if err != nil {
					b.Fatal(err)
				}
				n = len(selected)
			}
			b.ReportMetric(float64(n), "cells")
		})
	}
}
