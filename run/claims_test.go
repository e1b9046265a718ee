package run

import (
	"slices"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/docs"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestClaims: every cell that a row of claims.yaml names is predicted as the row says, and every pattern names a cell that a client can express. Every
// claim that can be shown has a row.
func TestClaims(t *testing.T) {
	input, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	claims := docs.Claims()
	shown := map[string]bool{}
	for _, row := range input.Claims {
		shown[row.Claim] = true
		if claims[row.Claim][0] == "" {
			t.Errorf("%s: there is no claim %s", row.Pos, row.Claim)
		}
		for _, pattern := range row.Patterns {
			cells, _, err := input.Cells(matrix.Selection{Patterns: []string{pattern}})
			if err != nil {
				t.Errorf("%s: %v", row.Pos, err)
				continue
			}
			can, wrong := 0, 0
			for i := range cells {
				c := &cells[i]
				if matrix.NotApplicable(c) != "" {
					continue
				}
				can++
				p, err := Predict(c)
				if err != nil {
					t.Fatalf("%s: %v", c.ID, err)
				}
				if c.ByHand {
					p.Outcome = c.Expect.Then.Outcome
				}
				if !row.Agrees(p.Outcome) {
					if wrong++; wrong == 1 {
						t.Errorf("%s: %s is predicted %s, which is not %q", row.Pos, c.ID, p.Outcome, row.Then.Outcome)
					}
				}
			}
			if wrong > 1 {
				t.Errorf("%s: and %d more of %d cells", row.Pos, wrong-1, can)
			}
			if can == 0 {
				t.Errorf("%s: no client can express a cell of %s", row.Pos, pattern)
			}
			i := slices.IndexFunc(input.Scenarios, func(s *matrix.Scenario) bool { return len(cells) > 0 && s.Name == cells[0].Scenario })
			if i >= 0 && !slices.Contains(input.Scenarios[i].Claims, row.Claim) {
				t.Errorf("%s: %s does not name the claim %s", row.Pos, cells[0].Scenario, row.Claim)
			}
		}
	}
	for id := range claims {
		if without := []string{"S5", "S14", "S19", "S20", "S23"}; !shown[id] && !slices.Contains(without, id) {
			t.Errorf("no row of claims.yaml shows %s", id)
		}
	}
}
