package prove

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// TestDescribedFaultsWouldShow predicts the cells of the faults with the fault in them: judged by what is predicted without it, they must differ as the fault says.
func TestDescribedFaultsWouldShow(t *testing.T) {
	input, err := run.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range described() {
		for _, id := range f.shows {
			c, err := input.Cell(id)
			if err != nil {
				t.Errorf("%s: %v", f.name, err)
				continue
			}
			if c.ByHand {
				continue // no prediction says what would show
			}
			planted := *c
			if f.plant.world != nil {
				planted.World = moved(c.World, f.plant.world)
			}
			if f.plant.client != nil {
				f.plant.client(&planted.Client)
			}
			right, errRight := run.Predict(c)
			shown, errShown := run.Predict(&planted)
			if errRight != nil || errShown != nil {
				t.Errorf("%s: %v %v", f.name, errRight, errShown)
				continue
			}
			v := verdict.Judge(c, right, &matrix.Observation{Outcome: shown.Outcome}, nil, nil)
			if why := regexp.MustCompile(f.why); v.Status != verdict.Differ || !slices.ContainsFunc(said(v), why.MatchString) {
				t.Errorf("%s: %s is %s (%v), must be %s (%s)", f.name, id, v.Status, fmt.Sprint(said(v)), f.as, f.why)
			}
		}
	}
	if n := len(faults()); n < 45 {
		t.Errorf("%d faults", n)
	}
}
