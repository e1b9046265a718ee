package run

import (
	"slices"
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// QuickCells is the most that a quick run tries.
const QuickCells = 2000

// Quick selects for a first run on a slow machine: pairwise, the newest server, the newest libpq, and every client that implements the
// protocol itself. The run has Config.AtMost set to QuickCells.
func Quick(seed uint64) matrix.Selection {
	newest := 0
	for _, c := range matrix.Clients {
		newest = max(newest, c.Libpq)
	}
	var libraries []string
	for _, c := range matrix.Clients {
		if c.Libpq == 0 || c.Libpq == newest && c.Kind == matrix.KindLibpq {
			libraries = append(libraries, string(c.Name))
		}
	}
	return matrix.Selection{Strength: 2, Seed: seed, Axes: []matrix.AxisValues{
		{Axis: "server", Values: []string{strconv.Itoa(slices.Max(matrix.ServerVersions))}}, {Axis: "library", Values: libraries}}}
}
