package matrix

import (
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// everyScenario are those of the repository and of the tests that make cells, right or wrong.
func everyScenario(t testing.TB) []*Scenario {
	t.Helper()
	all, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{whole, rows} {
		s, _ := parse("a/b.yaml", "a/b.yaml", []byte(source), fstest.MapFS{})
		all = append(slices.Clip(all), s)
	}
	for _, m := range mistakes {
		if s, _ := parse("a/b.yaml", "a/b.yaml", []byte(m.source), fstest.MapFS{}); s.size(maxCells) <= maxCells {
			all = append(all, s)
		}
	}
	return all
}

// TestRepresentativesStandForAllCells: the survey of a few cells finds what the survey of all cells finds.
func TestRepresentativesStandForAllCells(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	all, few := 0, 0
	count := func(s *Scenario, dimensions []dimension) (n int) {
		s.walk(dimensions, func(*point) { n++ })
		return n
	}
	compare := func(s *Scenario) {
		t.Helper()
		want, got := s.survey(s.dimensions()), s.survey(s.representatives(true))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(survey{}, claim{}, overlap{})); diff != "" {
			t.Errorf("%s %v: %s", s.Name, s.Expect, diff)
		}
		all, few = all+count(s, s.dimensions()), few+count(s, s.representatives(true))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range everyScenario(t) {
		compare(s)
		if s.size(5000) > 5000 {
			continue
		}
		for range 20 { // the same cells with rows that are seldom right
			changed := *s
			changed.Exclude, changed.Expect = nil, nil
			for range random.IntN(3) {
				changed.Exclude = append(changed.Exclude, randomRow(random, s))
			}
			for range random.IntN(4) {
				changed.Expect = append(changed.Expect, Expect{When: randomRow(random, s)})
			}
			compare(&changed)
		}
	}
	if few*5 > all {
		t.Errorf("%d cells stand for %d", few, all)
	}
}

// randomRow names some values of some of the scenario's axes.
func randomRow(random *rand.Rand, s *Scenario) (when []AxisValues) {
	for _, a := range s.Axes {
		if random.IntN(3) > 0 {
			continue
		}
		values := slices.DeleteFunc(slices.Clone(a.Values), func(string) bool { return random.IntN(2) == 0 })
		if len(values) > 0 {
			when = append(when, AxisValues{a.Axis, values})
		}
	}
	return when
}

// TestLimitsTellApart: cells whose values the limits do not tell apart are applicable alike.
func TestLimitsTellApart(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	for _, s := range everyScenario(t) {
		limits, applicable := s.limitsAmong(s.dimensions()), map[string]bool{}
		for _, c := range s.Expand() {
			var key []byte
			for _, axis := range Axes {
				key = append(append(key, '|'), limits.tellApart(axis.Name, c.Value(axis.Name))...)
			}
			is := NotApplicable(&c) == ""
			if before, ok := applicable[string(key)]; ok && before != is {
				t.Fatalf("%s: applicable is %t, and of another cell with the same limits %t", c.ID, is, before)
			}
			applicable[string(key)] = is
		}
	}
}

// BenchmarkLoadRepository loads every scenario file of the repository.
func BenchmarkLoadRepository(b *testing.B) {
	for b.Loop() {
		if _, err := Load(os.DirFS("../scenarios")); err != nil {
			b.Fatal(err)
		}
	}
}

// loaded are the scenarios of this repository, read once.
var loaded = sync.OnceValues(func() ([]*Scenario, error) { return Load(os.DirFS("../scenarios")) })

// exhaustive is how often a test draws at random: less in make check.
func exhaustive(always, short int) int {
	if testing.Short() {
		return short
	}
	return always
}
