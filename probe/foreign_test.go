package probe

import (
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
		request, _, err := requestFor(fakeWorld{}, test.cell)
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
