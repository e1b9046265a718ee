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
		return w.Host
	case matrix.DeadFirst:
		return w.DeadHost() + "," + w.Host
	case matrix.Twice:
		return w.Host + "," + w.Host
	}
	return ""
}

// OpensSocket is false of a message with which a client refuses before it opens a socket, or that says that there was
// none to open.
func OpensSocket(kind matrix.ClientKind, message string) bool {
	said := sayings(kind, message)
	if len(said) == 0 || said[len(said)-1].fatal {
		return true
	}
	text := said[len(said)-1].text
	if found, ok := lookUp(localCauses, text); ok && found.stage == matrix.StageOptions {
		return false
	}
	return !dialFailed.MatchString(text)
}
