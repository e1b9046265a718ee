package prove

import (
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/run"
)

func TestCollectX(t *testing.T) {
	b, err := Collect(1, 3000)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(b.report())
	n := map[string]int{}
	for _, s := range b.scenarios {
		for _, c := range s.Expand() {
			if matrix.NotApplicable(&c) != "" {
				n["NA"]++
				continue
			}
			p, err := run.Predict(&c)
			if err != nil {
				t.Error(err)
			}
			n["all"]++
			n[string(p.Outcome.Stage)]++
			n[string(p.Outcome.Reason)]++
		}
	}
	t.Log(n)
}
