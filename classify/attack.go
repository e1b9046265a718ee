package classify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// AttackersWords are what an attacker says: in an error message to the client, and by his statement in the server's log,
// which thereby is a witness that it was executed.
const (
	AttackersWords = "pgauthmatrix: the attacker was here"
	AttackersSQL   = "DO $$BEGIN RAISE LOG '" + AttackersWords + "'; END$$"
)

// receivedEarly begins the FATAL of a server that finds bytes in its buffer that came before the handshake.
const receivedEarly = "received unencrypted data after "

// noTLSRecord ends the message of a client in Go that reads the attacker's bytes as TLS.
const noTLSRecord = "tls: first record does not look like a TLS handshake"

// Tampering is what the relay is to do besides recording, in a cell with this attack; nil: nothing. Who only listens asks for nothing: the
// relay records anyway.
func Tampering(attack matrix.Attack) *wire.Tamper {
	switch attack {
	case "", matrix.NoAttack, "listen":
		return nil
	}
	if timed, ok := timedAttacks[attack]; ok {
		return &timed
	}
	return &wire.Tamper{Attack: wire.Attack(attack), SQL: AttackersSQL, Text: AttackersWords}
}

// handshakes are the server's first words in a TLS or GSS handshake.
const handshakes = string(wire.ServerHello) + "|" + string(wire.GSSToken)

// timedAttacks are those that the relay knows by what it does, and at what event.
var timedAttacks = map[matrix.Attack]wire.Tamper{
	"cut-answer":    {Attack: wire.CutClose, At: string(wire.Answer)},
	"cut-handshake": {Attack: wire.CutClose, At: handshakes, From: "server"},
	"cut-auth":      {Attack: wire.CutClose, At: string(wire.AuthRequest)},
	"hold-answer":   {Attack: wire.Hold, At: string(wire.Answer)},
	"hold-gss":      {Attack: wire.Hold, At: string(wire.Answer) + " G"},
	"hold-auth":     {Attack: wire.Hold, At: string(wire.AuthRequest)},
	"delay":         {Attack: wire.Delay, At: string(wire.Answer) + "|" + handshakes + "|" + string(wire.AuthRequest), From: "server", Delay: time.Second},
	"replay":        {Attack: wire.Replay, At: string(wire.ClientHello) + "|" + string(wire.GSSToken)},
	"flip-client":   {Attack: wire.Flip, From: "client"},
	"flip-server":   {Attack: wire.Flip, From: "server"},
}

// attack is what the relay says that it did on one connection.
type attack struct {
	acted        bool // anything but finding no occasion, or being late
	idle         bool
	delayed      bool
	impersonated bool      // the client's TLS ends at the attacker: what is in it is readable
	injected     bool      // the server answered his statement
	withheld     wire.Kind // the event that the client was not let see, nor anything after it
	held         bool      // he left it waiting; otherwise he cut it off
	flipped      bool      // he changed a sealed record
	replayed     bool      // he sent the server the client's handshake twice
	token        bool      // he gave the client a token in the server's place
	forged       []string  // authentication requests that he sent in the server's place
}

// forging is what an attacker may do who plays the server.
var forging = []wire.Kind{wire.Answered, wire.Impersonated, wire.Refused, wire.Forged}

// deeds are what each attack may do.
var deeds = map[matrix.Attack][]wire.Kind{
	"strip": {wire.Answered, wire.Cut}, "strip-gss": {wire.Answered}, "impersonate": {wire.Answered, wire.Impersonated, wire.Refused}, "inject": {wire.Injected},
	"forge-ok": forging, "forge-gss-ok": forging, "forge-ap-rep": forging,
	"stuff-client": {wire.Inserted}, "stuff-server": {wire.Inserted}, "error": {wire.Answered}, "error-unterminated": {wire.Answered},
	"cut-answer": {wire.Cut}, "cut-handshake": {wire.Cut}, "cut-auth": {wire.Cut}, "hold-answer": {wire.Held}, "hold-gss": {wire.Held}, "hold-auth": {wire.Held},
	"delay": {wire.Delayed}, "replay": {wire.Replayed}, "flip-client": {wire.Flipped}, "flip-server": {wire.Flipped},
}

// The sides whose bytes an attack adds to: one is seen at the client's side of the relay, the other at the server's.
var (
	stuffedNear = map[matrix.Attack]string{"stuff-server": "server"}
	stuffedFar  = map[matrix.Attack]string{"stuff-client": "client"}
)

func (a *attack) read(e matrix.WireEvent, attacked matrix.Attack) error {
	kind := wire.Kind(e.Kind)
	switch {
	case kind == wire.Idle:
		a.idle = true
		return nil
	case !slices.Contains(deeds[attacked], kind):
		return fmt.Errorf("the attacker did what he was not asked for: %s %s", e.Kind, e.Detail)
	case a.withheld != "" || a.delayed || a.flipped || a.replayed:
		return fmt.Errorf("the attacker did something more on one connection: %s %s", e.Kind, e.Detail)
	case kind == wire.Delayed:
		a.delayed = true
		return nil
	case kind == wire.Held, kind == wire.Cut && attacked != "strip":
		a.held = kind == wire.Held
		return a.withhold(e, timedAttacks[attacked].At)
	case kind == wire.Flipped:
		a.flipped = true
	case kind == wire.Replayed:
		a.replayed = true
	case kind == wire.Impersonated:
		a.impersonated = true
	case kind == wire.Injected && !strings.Contains(e.Detail, " -> ok "):
		return fmt.Errorf("the attacker's statement failed: %s", e.Detail)
	case kind == wire.Injected:
		a.injected = true
	case kind == wire.Forged:
		a.forged = append(a.forged, e.Detail)
	}
	a.token = a.token || kind == wire.Forged && e.Detail == "gss-continue" || kind == wire.Answered && strings.HasPrefix(e.Detail, "a token to ")
	a.acted = true
	return nil
}

// checkAttack wants every connection to say what was done to it, or that there was no occasion, if and only if the cell
// has an attack; and the server's log to bear out what it says of the server.
func (c *classifier) checkAttack(n connection) error {
	asked := Tampering(c.cell.Client.Attack) != nil
	said := n.acted || n.idle || n.delayed
	switch {
	case n.dialFailed != "":
		return nil
	case asked && !said:
		return fmt.Errorf("the relay does not say what became of the attack %s", c.cell.Client.Attack)
	case !asked && (said || len(n.evidence.Upstream) > 0):
		return fmt.Errorf("the relay attacked a connection of a cell with attack=%s", c.cell.Client.Attack)
	case n.injected != n.executed:
		return fmt.Errorf("witnesses contradict: the attacker's statement was answered: %t, the server's log shows it executed: %t", n.injected, n.executed)
	case !n.acted && len(n.evidence.Upstream) > 0:
		return fmt.Errorf("witnesses contradict: the relay carried two conversations and says that it did nothing")
	}
	if err := c.checkForged(n); err != nil {
		return err
	}
	return c.checkSpoiled(n)
}

// withhold reads at what event the client was cut off or left waiting: it must be one of those asked for.
func (a *attack) withhold(e matrix.WireEvent, asked string) error {
	_, at, _ := strings.Cut(e.Detail, "at ")
	if at == "" || !slices.Contains(strings.Split(asked, "|"), at) {
		return fmt.Errorf("the attacker was to act at %s: %s %s", asked, e.Kind, e.Detail)
	}
	word, _, _ := strings.Cut(at, " ")
	a.acted, a.withheld = true, wire.Kind(word)
	return nil
}

// obtained is what the attacker has of the attempt, the worst of it.
func (c *classifier) obtained() matrix.Obtained {
	if !c.cell.Client.Attacked() {
		return ""
	}
	has := func(of func(connection) bool) bool { return slices.ContainsFunc(c.connections, of) }
	session := c.outcome.End == matrix.Connected
	switch last := c.last(); {
	case has(func(n connection) bool { return n.executed }), strings.Contains(c.evidence.Client.Message, AttackersWords):
		return matrix.Injected
	case session && (last.impersonated || len(last.forged) > 0):
		return matrix.InSession
	case session && c.outcome.Channel == matrix.Plain && has(func(n connection) bool { return n.acted }):
		return matrix.Downgraded
	case has(func(n connection) bool { return n.startup != "" }):
		return matrix.Plaintext
	}
	return matrix.Nothing
}
