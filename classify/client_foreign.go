package classify

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// foreign is a driver of which nobody has written down what its messages mean (docs/your-own-driver.md). Server, session and wire say what its
// attempts ended in. Where only the driver knows why it gave up, there is no outcome.
var foreign = client{
	settle:  (*classifier).library,
	sayings: func(string) []saying { return nil },
	unread:  true,
}

// clientOf is how the cell's client is read; nil: it is not known.
func clientOf(cell *matrix.Cell) *client {
	if kind := cell.Client.Kind(); kind != matrix.KindForeign {
		return clients[kind]
	}
	return &foreign
}
