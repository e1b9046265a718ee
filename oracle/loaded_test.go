package oracle

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestWhatServersSaid holds what is predicted of rules that are reloaded against what servers logged of them: PostgreSQL 13.23, 15, 17 and
// 18 of Debian, with ssl=off, one reload after another. The paths are relative to the configuration directory.
func TestWhatServersSaid(t *testing.T) {
	file, err := os.Open("testdata/loaded.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	compared, gaps := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var said struct {
			HBA   string            `json:"hba"`
			Ident string            `json:"ident"`
			Files map[string]string `json:"files"`
			Says  map[string]string `json:"says"` // the text of matrix.Outcome.Load, by versions
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatal(err)
		}
		var files []matrix.File
		for name, text := range said.Files {
			files = append(files, matrix.File{Path: name, Text: text})
		}
		for versions, want := range said.Says {
			for version := range strings.FieldsSeq(versions) {
				server, _ := strconv.Atoi(version)
				rules := rules{}
				err := rules.load(&matrix.World{Server: server, HBA: said.HBA, Ident: said.Ident, Files: files, Load: matrix.Reload, Before: matrix.RulesBefore})
				var gap *CannotPredict
				switch {
				case errors.As(err, &gap):
					gaps++
					t.Logf("%d: %q %q: %v", server, said.HBA, said.Ident, err)
				case err != nil:
					t.Errorf("%d: %q %q %q: %v", server, said.HBA, said.Ident, said.Files, err)
				case rules.words() != want:
					t.Errorf("%d: %q %q %q:\n predicted %s\n said      %s", server, said.HBA, said.Ident, said.Files, rules.words(), want)
				case rules.kept != strings.Contains(want, matrix.HBAFile+":"):
					if said.Files == nil && strings.HasPrefix(want, matrix.HBAFile) {
						t.Errorf("%d: %q: the rules of before are kept: %t", server, said.HBA, rules.kept)
					}
				}
				compared++
			}
		}
	}
	if compared < 800 || gaps > 130 {
		t.Errorf("%d texts compared, %d of them are not modelled", compared, gaps)
	}
}
