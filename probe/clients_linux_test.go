package probe

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent/drivers"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Every kind of client can be asked, the agent has a driver for it, and there are no others.
func TestEveryClientHasItsFiles(t *testing.T) {
	var kinds []string
	for _, c := range matrix.Clients {
		if kind := string(c.Kind); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	var asked []string
	for kind := range askers {
		asked = append(asked, string(kind))
	}
	slices.Sort(asked)
	if diff := cmp.Diff(kinds, asked); diff != "" {
		t.Errorf("kinds of matrix.Clients (-) and of askers (+):\n%s", diff)
	}
	if diff := cmp.Diff(kinds, slices.Sorted(maps.Keys(drivers.New()))); diff != "" {
		t.Errorf("kinds of matrix.Clients (-) and drivers of the agent (+):\n%s", diff)
	}
}
