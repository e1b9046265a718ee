package classify

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// captured is one attempt of package probe's TestLive, which writes these files with -capture: what the witnesses said, and the
// outcome that a person wrote down for it. World names one of testdata/worlds.json.
type captured struct {
	Cell     *matrix.Cell    `json:"cell"`
	World    string          `json:"world"`
	Evidence matrix.Evidence `json:"evidence"`
	Want     string          `json:"want"`
	Unseen   []matrix.Field  `json:"unseen,omitempty"`
}

func readCaptured(t *testing.T, table string, server int) []captured {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("%s%d.jsonl", table, server)))
	if err != nil {
		t.Fatal(err)
	}
	worlds := capturedWorlds(t)
	var lines []captured
	for line := range strings.Lines(string(data)) {
		var c captured
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		w, known := worlds[c.World]
		if !known {
			t.Fatalf("%s: no world %q in testdata/worlds.json", c.Cell.ID, c.World)
		}
		w.Server = server
		c.Cell.World = &w
		lines = append(lines, c)
	}
	return lines
}

func capturedWorlds(t *testing.T) map[string]matrix.World {
	t.Helper()
	data, err := os.ReadFile("testdata/worlds.json")
	if err != nil {
		t.Fatal(err)
	}
	var worlds map[string]matrix.World
	if err := json.Unmarshal(data, &worlds); err != nil {
		t.Fatal(err)
	}
	return worlds
}
