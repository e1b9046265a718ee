package classify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// AttackersWords are what the attacker says: in an error message to the client, and by its statement in the server's log,
// which thereby is a witness that the statement was executed.
const (
	AttackersWords = "pgauthmatrix: the attacker was here"
	AttackersSQL   = "DO $$BEGIN RAISE LOG '" + AttackersWords + "'; END$$"
)

// relayAttack is one attack that the relay carries out: what the relay is asked, and what it may then say that it did.
type relayAttack struct {
	tamper wire.Tamper // no Attack: nothing is asked, the relay records anyway
	deeds  []wire.Kind // what the attacker may do, besides finding no occasion
	// The side whose bytes the attack adds to, as it is seen at the client's side of the relay and at the server's; "": neither.
	stuffsNear, stuffsFar string
}

// Events at which the attacker acts.
const (
	atAnswer    = string(wire.Answer)
	atHandshake = string(wire.ServerHello) + "|" + string(wire.GSSToken) // the server's first message in a TLS or GSS handshake
	atAuth      = string(wire.AuthRequest)
)

// forging is what an attacker that plays the server may do.
var forging = []wire.Kind{wire.Answered, wire.Impersonated, wire.Refused, wire.Forged}

// relayAttacks has every attack of matrix.AttacksOf(matrix.Relay).
var relayAttacks = map[matrix.Attack]relayAttack{
	matrix.Listen:            {},
	matrix.Strip:             {tamper: wire.Tamper{Attack: wire.Strip}, deeds: []wire.Kind{wire.Answered, wire.Cut}},
	matrix.StripGSS:          {tamper: wire.Tamper{Attack: wire.StripGSS}, deeds: []wire.Kind{wire.Answered}},
	matrix.Impersonate:       {tamper: wire.Tamper{Attack: wire.Impersonate, SQL: AttackersSQL}, deeds: []wire.Kind{wire.Answered, wire.Impersonated, wire.Refused}},
	matrix.Inject:            {tamper: wire.Tamper{Attack: wire.Inject, SQL: AttackersSQL}, deeds: []wire.Kind{wire.Injected}},
	matrix.StuffClient:       {tamper: wire.Tamper{Attack: wire.StuffClient, SQL: AttackersSQL}, deeds: []wire.Kind{wire.Inserted}, stuffsFar: "client"},
	matrix.StuffServer:       {tamper: wire.Tamper{Attack: wire.StuffServer, Text: AttackersWords}, deeds: []wire.Kind{wire.Inserted}, stuffsNear: "server"},
	matrix.SendError:         {tamper: wire.Tamper{Attack: wire.Error, Text: AttackersWords}, deeds: []wire.Kind{wire.Answered}},
	matrix.ErrorUnterminated: {tamper: wire.Tamper{Attack: wire.ErrorUnterminated, Text: AttackersWords}, deeds: []wire.Kind{wire.Answered}},
	matrix.ForgeOK:           {tamper: wire.Tamper{Attack: wire.ForgeOK}, deeds: forging},
	matrix.ForgeGSSOK:        {tamper: wire.Tamper{Attack: wire.ForgeGSSOK}, deeds: forging},
	matrix.ForgeAPRep:        {tamper: wire.Tamper{Attack: wire.ForgeAPRep}, deeds: forging},
	matrix.CutAnswer:         {tamper: wire.Tamper{Attack: wire.CutClose, At: atAnswer}, deeds: []wire.Kind{wire.Cut}},
	matrix.CutHandshake:      {tamper: wire.Tamper{Attack: wire.CutClose, At: atHandshake, From: "server"}, deeds: []wire.Kind{wire.Cut}},
	matrix.CutAuth:           {tamper: wire.Tamper{Attack: wire.CutClose, At: atAuth}, deeds: []wire.Kind{wire.Cut}},
	matrix.HoldAnswer:        {tamper: wire.Tamper{Attack: wire.Hold, At: atAnswer}, deeds: []wire.Kind{wire.Held}},
	matrix.HoldGSS:           {tamper: wire.Tamper{Attack: wire.Hold, At: atAnswer + " G"}, deeds: []wire.Kind{wire.Held}},
	matrix.HoldAuth:          {tamper: wire.Tamper{Attack: wire.Hold, At: atAuth}, deeds: []wire.Kind{wire.Held}},
	matrix.Delay: {tamper: wire.Tamper{Attack: wire.Delay, At: atAnswer + "|" + atHandshake + "|" + atAuth, From: "server", Delay: time.Second},
		deeds: []wire.Kind{wire.Delayed}},
	matrix.Replay:     {tamper: wire.Tamper{Attack: wire.Replay, At: string(wire.ClientHello) + "|" + string(wire.GSSToken)}, deeds: []wire.Kind{wire.Replayed}},
	matrix.FlipClient: {tamper: wire.Tamper{Attack: wire.Flip, From: "client"}, deeds: []wire.Kind{wire.Flipped}},
	matrix.FlipServer: {tamper: wire.Tamper{Attack: wire.Flip, From: "server"}, deeds: []wire.Kind{wire.Flipped}},
}

// Tampering is what the relay is to do besides recording, in a cell with this attack; nil: nothing. An attacker who only listens asks for
// nothing: the relay records anyway.
func Tampering(attack matrix.Attack) *wire.Tamper {
	asked := relayAttacks[attack].tamper
	if asked.Attack == "" {
		return nil
	}
	return &asked
}

// attack is what the relay says that the attacker did on one connection.
type attack struct {
	acted        bool // the attacker did anything but find no occasion, or delay a message
	idle         bool
	delayed      bool
	impersonated bool      // the client's TLS ends at the attacker, who can read it
	injected     bool      // the server answered the attacker's statement
	withheld     wire.Kind // the event that the attacker kept from the client, with all that came after it
	held         bool      // the attacker left the client waiting; otherwise it cut the connection
	flipped      bool      // the attacker changed a sealed record
	replayed     bool      // the attacker sent the server the client's handshake twice
	token        bool      // the attacker gave the client a token in the server's place
	forged       []string  // authentication requests that the attacker sent in the server's place
	deed         string    // the last deed, for people
}

func (a *attack) read(e matrix.WireEvent, attacked matrix.Attack) error {
	kind := wire.Kind(e.Kind)
	switch {
	case kind == wire.Idle:
		a.idle = true
		return nil
	case !slices.Contains(relayAttacks[attacked].deeds, kind):
		return fmt.Errorf("the attacker did what it was not asked for: %s", e)
	case a.withheld != "" || a.delayed || a.flipped || a.replayed:
		return fmt.Errorf("the attacker did something more on one connection: %s", e)
	}
	a.deed = e.String()
	switch {
	case kind == wire.Delayed:
		a.delayed = true
		return nil
	case kind == wire.Held, kind == wire.Cut && attacked != matrix.Strip:
		a.held = kind == wire.Held
		return a.withhold(e, relayAttacks[attacked].tamper.At)
	case kind == wire.Flipped:
		a.flipped = true
	case kind == wire.Replayed:
		a.replayed = true
	case kind == wire.Impersonated:
		a.impersonated = true
	case kind == wire.Injected && e.Deed.Tag == "":
		return fmt.Errorf("the attacker's statement failed: %s", e)
	case kind == wire.Injected:
		a.injected = true
	case kind == wire.Forged:
		a.forged = append(a.forged, e.Auth)
	}
	a.token = a.token || kind == wire.Forged && e.Auth == "gss-continue" || kind == wire.Answered && e.Deed.Said == wire.SaidToken
	a.acted = true
	return nil
}

// checkAttack wants every connection to say what was done to it, or that there was no occasion, if and only if the cell
// has an attack; and the server's log to bear out what the relay says of the server.
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

// withhold reads the event at which the client was cut off or left waiting: it must be one of those asked for.
func (a *attack) withhold(e matrix.WireEvent, asked string) error {
	if e.Deed.At == "" || !slices.Contains(strings.Split(asked, "|"), e.Deed.At) {
		return fmt.Errorf("the attacker was to act at %s: %s", asked, e)
	}
	kind, _, _ := strings.Cut(e.Deed.At, " ")
	a.acted, a.withheld = true, wire.Kind(kind)
	return nil
}

// obtained is the worst thing that the attacker got.
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
	case has(func(n connection) bool { return n.startup != nil }):
		return matrix.Plaintext
	}
	return matrix.Nothing
}
