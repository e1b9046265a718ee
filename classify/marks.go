package classify

import (
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// HeldSeconds is the connect_timeout of a client whose answer the attacker keeps. libpq makes anything below 2 of the limit 2.
const HeldSeconds = 3

// HostNames are the hosts that the cell names over TCP, with commas between them; "": it does so in no way that there is.
func HostNames(cell *matrix.Cell) string {
	switch w := cell.World; cell.Client.Hosts {
	case "", matrix.OneHost:
		return cell.NameOfServer()
	case matrix.DeadFirst:
		return w.DeadHost() + "," + w.Host
	case matrix.Twice:
		return w.Host + "," + w.Host
	}
	return ""
}

// ReplicationWord is the value of the parameter replication in a startup packet; "" if it is not there.
func ReplicationWord(c *matrix.Client) string {
	switch c.Replication {
	case matrix.Physical:
		return "true"
	case matrix.Logical:
		return "database"
	}
	return ""
}
