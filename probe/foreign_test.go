package probe

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/agent"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// A driver is given what it understands, and what every client has.
func TestAskForeign(t *testing.T) {
	cell := func(options ...string) *matrix.Cell {
		return testCell(17, "libpq18", func(c *matrix.Cell) {
			c.Client.Driver = &matrix.Driver{Name: "mine", Like: "libpq18", Options: options}
			c.Client.SSLMode, c.Client.GSSEncMode, c.Client.Password = "require", "disable", "right"
		})
	}
	always := []string{"host", "user", "dbname", "application_name", "connect_timeout"}
	for _, test := range []struct {
		name  string
		cell  *matrix.Cell
		given []string
	}{
		{"nothing", cell(), always},
		{"some", cell("sslmode", "root", "password"), append(always[:5:5], "sslmode", "sslrootcert", "password")},
		{"all", cell(matrix.DriverOptions()...), append(always[:5:5], "sslmode", "sslrootcert", "password", "gssencmode")},
	} {
		request, err := Request(fakeWorld{}, test.cell)
		if err != nil {
			t.Fatal(err)
		}
		var given []string
		for _, o := range request.Options {
			given = append(given, o.Name)
		}
		if diff := cmp.Diff(test.given, given); diff != "" || request.Client != agent.Foreign {
			t.Errorf("%s: client %s, -want +got\n%s", test.name, request.Client, diff)
		}
	}
	for name, axis := range axisOf {
		if _, ok := matrix.AxisByName(axis); !ok {
			t.Errorf("%s: there is no axis %s", name, axis)
		}
	}
}

// Only a driver whose ways nobody has described may leave out what a client can tell.
func TestUntold(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		cell := testCell(17, "libpq18")
		if foreign {
			cell.Client.Driver = &matrix.Driver{Name: "mine", Like: "libpq18", Options: matrix.DriverOptions()}
		}
		agents := goodAgents(cell)
		answer := agents.attempt
		agents.attempt = func(a agent.Attempt) (agent.AttemptResult, error) {
			r, err := answer(a)
			r.Untold = []string{"auth_requests"}
			return r, err
		}
		got := attempt(t.Context(), fakeWorld{cell.World}, agents, agents, &sync.Mutex{}, cell)
		if untold := strings.Contains(got.Fault, "the driver program of libpq18 does not tell auth_requests"); untold == foreign {
			t.Errorf("a driver of %s: fault %q", cell.Client.Name(), got.Fault)
		}
	}
}
