package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/probe/agent"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// attackersWords are what an attacker says: in an error message to the client, and by his statement in the server's log,
// which thereby is a witness that it was executed.
const (
	attackersWords = "pgauthmatrix: the attacker was here"
	attackersSQL   = "DO $$BEGIN RAISE LOG '" + attackersWords + "'; END$$"
)

// receivedEarly begins the FATAL of a server that finds bytes in its buffer that came before the handshake.
const receivedEarly = "received unencrypted data after "

// noTLSRecord ends the message of a client in Go that reads the attacker's bytes as TLS.
const noTLSRecord = "tls: first record does not look like a TLS handshake"

// tamper is what the relay is asked to do. Whoever only listens asks for nothing: it records anyway.
func tamper(c *matrix.Client) *agent.Tamper {
	switch c.Attack {
	case "", matrix.NoAttack, "listen":
		return nil
	}
	return &agent.Tamper{Attack: c.Attack, SQL: attackersSQL, Text: attackersWords, Row: forgedRow(c.User)}
}

// forgedRow is how an attacker who plays the server answers sessionQuery. No server writes such a row: it has no process 0,
// and names no user by these words.
func forgedRow(user string) [][2]string {
	return [][2]string{{"pid", "0"}, {"session_user", user}, {"ssl", "false"}, {"gss_authenticated", "false"}, {"gss_encrypted", "false"}, {"system_user", attackersWords}}
}

// forgedSession is forgedRow as readSession reads it.
func forgedSession(user string) matrix.Session {
	return matrix.Session{SessionUser: user, SystemUser: attackersWords}
}

// attack is what the relay says that it did on one connection.
type attack struct {
	acted        bool // anything but finding no occasion
	idle         bool
	impersonated bool     // the client's TLS ends at the attacker: what is in it is readable
	injected     bool     // the server answered his statement
	token        bool     // he gave the client a token in the server's place
	forged       []string // authentication requests that he sent in the server's place
}

// deeds are what each attack may do.
var deeds = map[string][]wire.Kind{
	"strip": {wire.Answered, wire.Cut}, "strip-gss": {wire.Answered}, "impersonate": {wire.Answered, wire.Impersonated, wire.Refused}, "inject": {wire.Injected},
	"forge-ok": {wire.Answered, wire.Impersonated, wire.Refused, wire.Forged}, "forge-gss-ok": {wire.Answered, wire.Impersonated, wire.Refused, wire.Forged},
	"forge-ap-rep": {wire.Answered, wire.Impersonated, wire.Refused, wire.Forged},
	"stuff-client": {wire.Inserted}, "stuff-server": {wire.Inserted}, "error": {wire.Answered}, "error-unterminated": {wire.Answered},
}

// The sides whose bytes an attack adds to: one is seen at the client's side of the relay, the other at the server's.
var (
	stuffedNear = map[string]string{"stuff-server": "server"}
	stuffedFar  = map[string]string{"stuff-client": "client"}
)

func (a *attack) read(e matrix.WireEvent, attacked string) error {
	kind := wire.Kind(e.Kind)
	switch {
	case kind == wire.Idle:
		a.idle = true
		return nil
	case !slices.Contains(deeds[attacked], kind):
		return fmt.Errorf("the attacker did what he was not asked for: %s %s", e.Kind, e.Detail)
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
	asked := tamper(&c.cell.Client) != nil
	said := n.acted || n.idle
	switch {
	case n.dialFailed != "":
		return nil
	case asked && !said:
		return fmt.Errorf("the relay does not say what became of the attack %s", c.cell.Client.Attack)
	case !asked && (said || len(n.evidence.Upstream) > 0):
		return fmt.Errorf("the relay attacked a connection of a cell with attack=%s", c.cell.Client.Attack)
	case n.injected != n.executed:
		return fmt.Errorf("witnesses contradict: the attacker's statement was answered: %t, the server's log shows it executed: %t", n.injected, n.executed)
	}
	return c.checkForged(n)
}

// forges says whether the cell's attacker plays the server himself.
func (c *classifier) forges() bool { return slices.Contains(deeds[c.cell.Client.Attack], wire.Forged) }

// checkForged wants whatever a client was told after its startup packet to be the attacker's, by his own word, and the
// server to have heard nothing, neither by its log nor by the wire: else an attacker's session could pass for a server's.
func (c *classifier) checkForged(n connection) error {
	if !c.forges() {
		return nil // nor can anything have been forged: see deeds
	}
	switch heard := n.reachedStartup() || len(n.negotiated) > 0 || n.badPacket != "" || n.tlsFailed != "" || n.gssFailed != "" || n.early; {
	case heard:
		return fmt.Errorf("witnesses contradict: the attacker plays the server, and the server's log shows that it was spoken to")
	case len(n.far.steps) > 0 || n.far.startup != "" || n.far.channel != "": // where nothing is said of that side, what the client said stands for it
		return fmt.Errorf("witnesses contradict: the attacker plays the server, and the wire does not show that the server was spared (%v %q)", n.far.steps, n.far.startup)
	case (n.startup != "") != (len(n.forged) > 0):
		return fmt.Errorf("witnesses contradict: the startup packet on the wire is %q, the attacker says that he answered one: %v", n.startup, n.forged)
	case !slices.Equal(n.forged, n.conversation.requests) || len(n.conversation.errors) > 0:
		return fmt.Errorf("witnesses contradict: the wire shows the authentication requests %v and the errors %q, the attacker says that he sent %v", n.conversation.requests, n.conversation.errors, n.forged)
	}
	return nil
}

// checkRefusal wants the client's reason to fit how far the attacker says that he came with it.
func checkRefusal(n *connection, found cause, text string) error {
	if n == nil || len(n.forged) == 0 {
		return nil
	}
	welcomed := slices.Contains(n.forged, "ok")
	fits := !welcomed
	switch found.reason {
	case matrix.MethodRejected, matrix.ChannelBinding: // of what is asked, or of Ok
		fits = true
	case matrix.ServerUnproven:
		fits = welcomed && n.token
	case matrix.ProtocolViolation:
		fits = welcomed && !n.token && len(n.forged) > 1
	}
	if !fits {
		return fmt.Errorf("witnesses contradict: the client says %q, the attacker sent it %v", text, n.forged)
	}
	return nil
}

// deceived settles an attempt that has a session with the attacker. No server vouches for any of it, and no record decided.
func (c *classifier) deceived(n *connection, s matrix.Session) error {
	if s != forgedSession(c.cell.Client.User) {
		return fmt.Errorf("witnesses contradict: the attacker has the session, and its row is not his: %+v", s)
	}
	if !n.conversation.answered || !n.query {
		return fmt.Errorf("witnesses contradict: the attacker has the session; AuthenticationOk on the wire: %t, a query: %t", n.conversation.answered, n.query)
	}
	channel := c.channelOf(n)
	if told := channelOf(c.evidence.Client.SSLInUse, c.evidence.Client.GSSInUse); c.kind != "psql" && told != channel {
		return fmt.Errorf("witnesses contradict: the client says that its channel is %s, the wire says %s", told, channel)
	}
	c.outcome.End, c.outcome.Stage = matrix.Connected, matrix.StageSession
	c.outcome.Channel, c.outcome.Role = channel, s.SessionUser
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
	case has(func(n connection) bool { return n.executed }), strings.Contains(c.evidence.Client.Message, attackersWords):
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
