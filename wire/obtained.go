package wire

import (
	"slices"
	"strings"
)

// Loot is what somebody on the wire got out of an attempt. It holds for a relay that only listened, too: what he could
// read is then all that he has.
type Loot struct {
	Startup    bool     // read a startup packet: who connects to what
	Passwords  []string // read answers to these authentication requests (as in AuthRequest); "password" is the password itself, "gss" a token
	Query      bool     // read a query of the client's, and so its answer
	Downgraded bool     // the client spoke in the clear after he had interfered
	// ClientSession: the client took his certificate and sent a startup packet through his TLS. Nothing says yet that
	// the server let the client in.
	ClientSession bool
	ServerSession bool // the server authenticated the client in a conversation that he can read and write
	Believed      bool // the client took him for the server and asked him a query
	Injected      bool // the server executed a query of his own
	Text          bool // sent the client an error text of his own before anything was authenticated; whether it was shown, the wire does not tell
}

// Obtained tells from the records of one attempt what the relay could make of it.
func Obtained(records []Record) Loot {
	var l Loot
	interfered := false
	for _, r := range records {
		impersonated, forged := false, false
		for _, e := range r.Events {
			switch e.Kind {
			case Answered:
				interfered = true
				l.Text = l.Text || strings.Contains(e.Detail, "rror")
			case Inserted, Flipped, Replayed, Delayed, Held, Cut, Refused:
				interfered = true
			case Impersonated:
				impersonated = true
			case Forged:
				forged = true
			case Startup:
				l.Startup = true
				l.ClientSession = l.ClientSession || impersonated
				l.Downgraded = l.Downgraded || interfered && !impersonated
			case PasswordSent:
				if !slices.Contains(l.Passwords, e.Detail) {
					l.Passwords = append(l.Passwords, e.Detail)
				}
			case Query:
				l.Query = true
				l.Believed = l.Believed || forged
			case Injected:
				l.Injected = l.Injected || executed(e.Detail)
			}
		}
		answers := r.Events
		if r.Upstream != nil {
			answers = r.Upstream // he has it also where he did not pass it on
		}
		for _, e := range answers {
			l.ServerSession = l.ServerSession || e.Kind == AuthRequest && e.Detail == "ok"
		}
	}
	slices.Sort(l.Passwords)
	return l
}

// executed reads the detail of Injected.
func executed(detail string) bool {
	i := strings.LastIndex(detail, " -> ")
	return i >= 0 && strings.HasPrefix(detail[i:], " -> ok ")
}
