package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

const byHandScenario = `question: q?
world:
  server: 17
  hba: |
    hostssl all alice all ldap ldapserver=127.0.0.1 ldapport=1 ldapprefix="cn="
client:
  library: pgx
  password: [none, right]
judge: expect
expect:
  - when: {password: none}
    then: refused at auth, no-password
  - when: {password: right}
    then: refused at auth, no-auth-service, method ldap, hba:1
`

// TestByHand: cells that the oracle cannot predict are loaded, judged by their rows, recorded without a prediction, and approved.
func TestByHand(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a", "one.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(byHandScenario), 0o644); err != nil {
		t.Fatal(err)
	}
	input, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cells, _, err := input.PredictedCells(matrix.Selection{})
	if err != nil || len(cells) != 2 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	if _, err := Predictable(input.Scenarios); err != nil {
		t.Error(err)
	}
	for i := range cells {
		if p, err := Predict(&cells[i]); err != nil || p.Outcome.End != "" || p.Because != nil {
			t.Errorf("%s is predicted: %+v, %v", cells[i].ID, p, err)
		}
	}
	run := saved(t, cells, nil, nil, "")
	for r, err := range run.Records() {
		if err != nil || r.Verdict.Status != verdict.Agree || r.Predicted.End != "" || !strings.Contains(r.ByHand, "one.yaml:") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	wrong := map[string]matrix.Observation{cells[1].ID: {Outcome: cells[0].Expect.Then.Outcome}}
	for r, err := range saved(t, cells, wrong, nil, "").Records() {
		if err != nil || (r.Verdict.Status == verdict.Differ) != (r.ID == cells[1].ID) {
			t.Errorf("%s is %s, %v", r.ID, r.Verdict.Status, err)
		}
	}
	var out strings.Builder
	if err := Approve(&out, input, run, []string{"a/one"}, dir); err != nil {
		t.Fatal(err)
	}
	golden, err := matrix.LoadGolden(os.DirFS(dir), "a/one.golden")
	if err != nil || len(golden) != 2 || golden[cells[1].ID].Method != matrix.MethodLDAP {
		t.Errorf("%v, %v\n%s", golden, err, out.String())
	}
}
