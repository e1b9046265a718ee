package matrix

import (
	"time"
)

// Ticket describes a client's ticket-granting ticket. Its principal is the cell's (axis principal).
type Ticket struct {
	Name     string        // the value of the axis ticket
	Absent   bool          // there is no credential cache
	Ambient  bool          // it is in the default cache, and KRB5CCNAME is not set
	Expired  bool          // the KDC issued it a day ago
	Lifetime time.Duration // 0: longer than a run, or an hour if it has expired
	Flags    string        // of TicketFlags, sorted, with a blank between two
}

// Tickets are the tickets that every scenario can name. A scenario describes its own under world.tickets.
var Tickets = []Ticket{
	{Name: "none", Absent: true},
	{Name: "valid"},
	{Name: "expired", Expired: true},
	{Name: Ambient, Ambient: true},
}

// TicketFlags are the flags that a scenario can ask for, with the options of kinit that do.
var TicketFlags = []struct{ Name, Option string }{
	{"forwardable", "-f"},
	{"proxiable", "-p"},
	{"renewable", "-r7d"},
}

// TicketOf is the description of a client's ticket; ok is false if there is none of its name.
func (w *World) TicketOf(c *Client) (t Ticket, ok bool) {
	name := c.Ticket
	if name == "" {
		name = Tickets[0].Name
	}
	return described(name, func(t *Ticket) string { return t.Name }, Tickets, w.Tickets)
}
