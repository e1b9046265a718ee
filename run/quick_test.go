package run

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestQuick: few cells, and yet every family, every independent client and every attack that the newest server knows.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	input, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	selected, _, err := input.Cells(Quick(1))
	if err != nil {
		t.Fatal(err)
	}
	cells := spread(selected, QuickCells)
	if len(cells) > QuickCells || len(cells) < QuickCells/2 {
		t.Errorf("%d cells", len(cells))
	}
	servers, families, libraries := map[int]bool{}, map[string]bool{}, map[matrix.Library]bool{}
	for _, c := range cells {
		family, _, _ := strings.Cut(c.Scenario, "/")
		servers[c.World.Server], families[family], libraries[c.Client.Library] = true, true, true
	}
	for _, s := range input.Scenarios {
		if family, _, _ := strings.Cut(s.Name, "/"); !families[family] {
			t.Errorf("no cell of family %s", family)
		}
	}
	if len(servers) != 1 || !libraries[matrix.PGX] || !libraries[matrix.PQ] || !libraries["libpq18"] || libraries["libpq17"] {
		t.Errorf("servers %v, libraries %v", servers, libraries)
	}
}

// TestDefaultSelection: what `make test-matrix` tries on a machine with the versions that Debian carries can be waited for.
func TestDefaultSelection(t *testing.T) {
	if testing.Short() {
		t.Skip("expands every scenario")
	}
	const most = 45_000
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`-strength \$\(if \$\(FULL\)\$\(RUN\),0,(\d)\)`).FindSubmatch(makefile)
	if recipe == nil {
		t.Fatal("the Makefile does not say the strength of test-matrix")
	}
	strength, err := strconv.Atoi(string(recipe[1]))
	if err != nil {
		t.Fatal(err)
	}
	input, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var all []matrix.Cell
	for _, s := range input.Scenarios {
		for _, c := range s.Expand() {
			if !slices.Contains([]int{14, 16}, c.World.Server) && !slices.Contains([]int{14, 16}, c.Client.Library.Libpq()) {
				all = append(all, c)
			}
		}
	}
	chosen, coverage, err := matrix.Select(all, matrix.Selection{Strength: strength, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d cells; %d-wise: %d of %d combinations", len(chosen), len(all), strength, coverage.Covered, coverage.Demanded)
	if len(chosen) > most || coverage.Covered != coverage.Demanded {
		t.Errorf("%d cells with %d of %d combinations; want at most %d cells, and every combination", len(chosen), coverage.Covered, coverage.Demanded, most)
	}
}

func TestSpread(t *testing.T) {
	cells := make([]matrix.Cell, 10)
	for i := range cells {
		cells[i].ID = string(rune('a' + i))
	}
	for atMost, want := range map[int]string{0: "abcdefghij", 10: "abcdefghij", 11: "abcdefghij", 5: "acegi", 3: "adg", 1: "a"} {
		got := ""
		for _, c := range spread(cells, atMost) {
			got += c.ID
		}
		if got != want {
			t.Errorf("at most %d: %s, want %s", atMost, got, want)
		}
	}
}
