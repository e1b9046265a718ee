package wire

import (
	"slices"
)

// Loot is what the attacker got out of an attempt. It holds for a relay that only listened, too: what it could read is then all that it has.
type Loot struct {
	Startup    bool     // read a startup packet: who connects to what
	Passwords  []string // read answers to these authentication requests (as in AuthRequest); "password" is the password itself, "gss" a token
	Query      bool     // read a query of the client's, and so its answer
	Downgraded bool     // the client spoke in the clear after the attacker had interfered
	// ClientSession: the client accepted the attacker's certificate and sent a startup packet through its TLS. Nothing says yet that
	// the server let the client in.
	ClientSession bool
	ServerSession bool // the server authenticated the client in a conversation that the attacker can read and write
	Believed      bool // the client took the attacker for the server and sent it a query
	Injected      bool // the server executed a statement of the attacker's
	Text          bool // sent the client an error text of its own before anything was authenticated; whether it was shown, the wire does not tell
}

// Obtained tells from the records of one attempt what the relay could make of it.
func Obtained(records []Record) Loot {
	var l Loot
	interfered := false
	for _, r := range records {
		impersonated, forged := false, false
		for _, e := range r.Events {
			deed := Deed{}
			if e.Deed != nil {
				deed = *e.Deed
			}
			switch e.Kind {
			case Answered:
				interfered = true
				l.Text = l.Text || deed.Said == SaidError || deed.Said == SaidUnterminated
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
				if !slices.Contains(l.Passwords, e.Auth) {
					l.Passwords = append(l.Passwords, e.Auth)
				}
			case Query:
				l.Query = true
				l.Believed = l.Believed || forged
			case Injected:
				l.Injected = l.Injected || deed.Tag != ""
			}
		}
		answers := r.Events
		if r.Upstream != nil {
			answers = r.Upstream // also what was not passed on
		}
		for _, e := range answers {
			l.ServerSession = l.ServerSession || e.Kind == AuthRequest && e.Auth == "ok"
		}
	}
	slices.Sort(l.Passwords)
	return l
}
