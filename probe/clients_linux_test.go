package probe

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent/drivers"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Every kind of client can be asked, the agent has a driver for it, and there are no others.
func TestEveryClientHasItsFiles(t *testing.T) {
	kinds := []string{string(matrix.KindForeign)}
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
	cells := []*matrix.Cell{testCell(17, "libpq18", func(c *matrix.Cell) { c.Client.Driver = &matrix.Driver{Name: "mine", Like: "libpq18"} })}
	for _, c := range matrix.Clients {
		cells = append(cells, testCell(17, string(c.Name)))
	}
	for _, c := range cells {
		request, err := Request(fakeWorld{}, c)
		if err != nil {
			t.Errorf("%s: %v", c.Client.Name(), err)
			continue
		}
		if drivers.New()[request.Client] == nil {
			t.Errorf("%s: the agent has no driver %q", c.Client.Name(), request.Client)
		}
		delete(unasked, request.Client)
	}
	for name := range unasked {
		t.Errorf("no client asks the agent's driver %q", name)
	}
}
