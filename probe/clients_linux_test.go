package probe

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
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
	unasked := drivers.New()
	delete(unasked, agent.Foreign) // of run --client, too
	for _, c := range matrix.Clients {
		request, _, err := requestFor(fakeWorld{}, testCell(17, string(c.Name)))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if drivers.New()[request.Client] == nil {
			t.Errorf("%s: the agent has no driver %q", c.Name, request.Client)
		}
		delete(unasked, request.Client)
	}
	for name := range unasked {
		t.Errorf("no client asks the agent's driver %q", name)
	}
}
