package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestOracleAndHandAgree compares the two opinions that need no container: what the oracle predicts, and what the
// scenarios' rows say by hand.
func TestOracleAndHandAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	input, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(input.Scenarios, input.Controls)
	cells, err := Predictable(all)
	if err != nil {
		t.Error(err)
	}
	compared := 0
	for i := range cells {
		c := &cells[i]
		if c.Expect == nil || matrix.NotApplicable(c) != "" {
			continue
		}
		p, err := Predict(c)
		if c.ByHand {
			if err != nil || p.Outcome.End != "" {
				t.Errorf("%s is judged by hand and predicted: %v, %v", c.ID, p, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.Expect.Then.Stated {
			compared++
			if want, got := c.Expect.Then.Get(f), p.Outcome.Get(f); got != want {
				t.Errorf("%s: %s is %q by hand (%s), predicted %q", c.ID, f, want, c.Expect.Pos, got)
			}
		}
	}
	if compared < 10_000 {
		t.Errorf("only %d fields compared", compared)
	}
}

func TestLoadTakesFilesInPlaceOfTheBuiltInScenarios(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine", "who-gets-in.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("question: q?\nworld:\n  hba: |\n    host all all all trust\nclient:\n  library: [libpq15, pgx]\n")
	input, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(input.Scenarios) != 1 || input.Scenarios[0].Name != "mine/who-gets-in" || len(input.Controls) == 0 || len(input.Divergences) != 0 {
		t.Errorf("scenarios %d, controls %d, divergences %d", len(input.Scenarios), len(input.Controls), len(input.Divergences))
	}
	if c, err := input.Cell("mine/who-gets-in/pg18/pgx"); err != nil || c.Client.Library != matrix.PGX {
		t.Errorf("%v %v", c, err)
	}
	if _, err := input.Cell("mine/who-gets-in"); err == nil || !strings.Contains(err.Error(), "names 2 cells, not one") {
		t.Errorf("a pattern of two cells: %v", err)
	}
	write("question: q?\nwrld: {}\n")
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), `who-gets-in.yaml:2:1: unknown key "wrld"`) {
		t.Errorf("a mistake: %v", err)
	}
}

func TestPredictableSaysWhatAndWhere(t *testing.T) {
	load := func(text string) []*matrix.Scenario {
		t.Helper()
		s, err := matrix.Load(fstest.MapFS{"a/one.yaml": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct{ name, file, want string }{
		{"nothing", "question: q?\nworld:\n  hba: |\n    host all all all trust\nclient:\n  library: [libpq15, pgx]\n", ""},
		{"rules that no server loads", "question: q?\nworld:\n  server: [15, 17]\n  hba: |\n    host all all trust\nclient:\n  library: pgx\n",
			"a/one.yaml:1:1: pg_hba.conf:1: end-of-line before authentication method; it concerns 2 of 2 cells (the first is a/one/pg15/pgx)"},
		{"a combination", "question: q?\nworld:\n  server: [15, 17]\n  hba: |\n    hostssl all all all trust\nclient:\n  library: [libpq17, pgx]\n  attack: [listen, strip]\n  hosts: [one, twice]\n",
			"a/one.yaml:1:1: cannot predict: attack=listen with hosts=twice: an attacker between several hosts is not modelled; " +
				"a row of exclude removes these 4 of 16 cells: {hosts: [twice], attack: [listen]} (the first is a/one/pg15/libpq17/hosts=twice,attack=listen)\n" +
				"a/one.yaml:1:1: cannot predict: attack=strip with hosts=twice: an attacker between several hosts is not modelled; " +
				"a row of exclude removes these 4 of 16 cells: {hosts: [twice], attack: [strip]} (the first is a/one/pg15/libpq17/hosts=twice,attack=strip)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := Predictable(load(tt.file)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
