package run

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// QuickCells is the most that a quick run tries.
const QuickCells = 2000

// Quick selects for a first run on a slow machine: pairwise, the default server, which is the newest that is released, the default libpq,
// and every client that implements the protocol itself. The run has Config.AtMost set to QuickCells.
func Quick(seed uint64) matrix.Selection {
	server, _ := matrix.AxisByName("server")
	library, _ := matrix.AxisByName("library")
	var libraries []string
	for _, c := range matrix.Clients {
		if c.Libpq == 0 || string(c.Name) == library.Default {
			libraries = append(libraries, string(c.Name))
		}
	}
	return matrix.Selection{Strength: 2, Seed: seed, Axes: []matrix.AxisValues{
		{Axis: "server", Values: []string{server.Default}}, {Axis: "library", Values: libraries}}}
}
