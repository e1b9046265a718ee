// Package classify says what an attempt amounted to, from what its witnesses said. It is pure, and knows nothing of what was
// predicted.
package classify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Classify says what an attempt amounted to, from what its witnesses said: the client, the session from inside, the
// relay and the server's log. It knows nothing of what was predicted. Witnesses that contradict each other, and texts
// that it does not know, make a fault, never a refusal. The fields of the outcome that nobody could see are named in
// Unseen. Of the world it uses the server's version (which decides what the server logs), and the text of pg_hba.conf
// only to tell that a method is used by one record or by none.
func Classify(cell *matrix.Cell, e matrix.Evidence) matrix.Observation {
	observation := matrix.Observation{Evidence: e}
	c := classifier{cell: cell, evidence: e, kind: cell.Client.Library.Kind(), server: cell.World.Server}
	err := c.classify()
	if err == nil {
		err = c.outcome.Validate()
	}
	if err != nil {
		observation.Fault = err.Error()
		return observation
	}
	observation.Outcome, observation.Unseen = c.outcome, c.unseen
	return observation
}

// ApplicationName marks a cell's sessions in the server's log, so that another attempt's log is not taken for its own.
func ApplicationName(cell *matrix.Cell) string {
	sum := sha256.Sum256([]byte(cell.ID))
	return "pgauthmatrix-" + hex.EncodeToString(sum[:6])
}

// connection is one transport connection with what its two witnesses say.
type connection struct {
	evidence     matrix.ConnectionEvidence
	conversation              // at the client's side
	far          conversation // at the server's side: the same where nobody stands between
	backend
}

type classifier struct {
	cell        *matrix.Cell
	evidence    matrix.Evidence
	kind        matrix.ClientKind
	server      int
	connections []connection
	outcome     matrix.Outcome
	unseen      []matrix.Field
}

func (c *classifier) classify() error {
	client := c.evidence.Client
	if client.Crash != "" {
		return fmt.Errorf("the client crashed: %s", client.Crash)
	}
	if c.cell.Client.Library == matrix.Raw {
		return c.raw()
	}
	if client.Raw != nil {
		return fmt.Errorf("a library made the attempt, and the raw client speaks of it")
	}
	if err := c.checkNamed(); err != nil {
		return err
	}
	if client.Connected != (client.Session != nil) {
		return fmt.Errorf("witnesses contradict: the client says connected=%t, and there is a session: %t (its message: %q)", client.Connected, client.Session != nil, client.Message)
	}
	for i, e := range c.evidence.Connections {
		n, err := c.readConnection(e)
		if err == nil {
			err = c.checkConnection(n)
		}
		if err != nil {
			return fmt.Errorf("connection %d (port %d): %w", i+1, e.ServerPort, err)
		}
		c.connections = append(c.connections, n)
		if n.dialFailed != "" && (client.Connected || i < len(c.evidence.Connections)-1) {
			return fmt.Errorf("the relay could not reach the server for connection %d (%s), and the client went on", i+1, n.dialFailed)
		}
	}
	c.outcome.Trace = c.trace()
	if err := c.checkRequests(); err != nil {
		return err
	}
	settle := c.refused
	if client.Connected {
		settle = func() error { return c.connected(*client.Session) }
	}
	if err := settle(); err != nil {
		return err
	}
	c.outcome.Obtains = c.obtained()
	return nil
}

func (c *classifier) unix() bool { return c.cell.Client.Transport == "unix" }

func (c *classifier) readConnection(e matrix.ConnectionEvidence) (connection, error) {
	n := connection{evidence: e}
	var err error
	if n.conversation, err = readWire(e.Wire, c.cell.Client.Attack, stuffedNear[c.cell.Client.Attack], false, false); err != nil {
		return n, err
	}
	if n.far = n.conversation; len(e.Upstream) > 0 {
		if n.far, err = readWire(e.Upstream, c.cell.Client.Attack, stuffedFar[c.cell.Client.Attack], n.impersonated, n.withheld != "" && !n.held); err != nil {
			return n, fmt.Errorf("between relay and server: %w", err)
		}
	}
	n.backend, err = readLog(e.Log)
	return n, err
}

// trace puts the connections' steps in a row.
func (c *classifier) trace() []matrix.Step {
	var steps []matrix.Step
	for _, n := range c.connections {
		if n.dialFailed != "" {
			continue // only the last can be one
		}
		if len(steps) == 0 {
			steps = append(steps, matrix.StepConnect)
		} else {
			steps = append(steps, matrix.StepReconnect)
		}
		if c.unix() && c.kind != matrix.KindRaw {
			steps = append(steps, n.negotiated...)
		} else {
			steps = append(steps, n.steps...)
		}
		switch {
		case len(n.forged) > 0 && n.conversation.answered:
			steps = append(steps, matrix.StepAuthOK)
		case n.authorized != nil && n.fatal != nil:
			steps = append(steps, matrix.StepAuthOK, matrix.StepStartFail)
		case n.authorized != nil:
			steps = append(steps, matrix.StepAuthOK)
		case n.fatal != nil:
			steps = append(steps, matrix.StepAuthFail)
		}
	}
	return steps
}

// last is the connection that had the last word, or nil.
func (c *classifier) last() *connection {
	if len(c.connections) == 0 {
		return nil
	}
	return &c.connections[len(c.connections)-1]
}

// connected settles an attempt of which the client says that it has a session.
func (c *classifier) connected(s matrix.Session) error {
	client := c.evidence.Client
	n := c.last()
	if n == nil {
		return fmt.Errorf("witnesses contradict: the client says connected, and neither relay nor server saw a connection")
	}
	if client.Message != "" && c.kind != matrix.KindPsql {
		return fmt.Errorf("witnesses contradict: the client says connected, and %q", client.Message)
	}
	if len(n.forged) > 0 {
		if err := c.checkEarlier(); err != nil {
			return err
		}
		return c.deceived(n, s)
	}
	if n.authorized == nil || n.fatal != nil {
		return fmt.Errorf("witnesses contradict: the client says connected, the server's log shows no session on port %d", n.evidence.ServerPort)
	}
	if err := c.checkEarlier(); err != nil {
		return err
	}
	if s.PID != n.evidence.PID {
		return fmt.Errorf("witnesses contradict: the session is that of process %d, the server's log that of process %d", s.PID, n.evidence.PID)
	}
	if s.SessionUser != n.authorized.user {
		return fmt.Errorf("witnesses contradict: session_user is %q, the server authorized %q", s.SessionUser, n.authorized.user)
	}
	channel := channelOf(s.SSL, s.GSSEncrypted)
	if logged := channelOf(n.authorized.tls, n.authorized.gssEncrypted); logged != channel {
		return fmt.Errorf("witnesses contradict: pg_stat_ssl and pg_stat_gssapi say %s, the server's log says %s", channel, logged)
	}
	if !c.unix() && c.channelOf(n) != n.far.channel {
		channel = c.channelOf(n) // an attacker's channel towards the server is his own affair
	}
	if c.kind != matrix.KindPsql {
		if told := channelOf(client.SSLInUse, client.GSSInUse); told != channel {
			return fmt.Errorf("witnesses contradict: the client says that its channel is %s, the session says %s", told, channel)
		}
	}
	if s.SSL && s.SSLVersion != n.authorized.tlsVersion {
		return fmt.Errorf("witnesses contradict: pg_stat_ssl says %s, the server's log says %s", s.SSLVersion, n.authorized.tlsVersion)
	}
	if s.GSSAuthenticated != n.authorized.gssAuthenticated {
		return fmt.Errorf("witnesses contradict: pg_stat_gssapi says authenticated=%t, the server's log %t", s.GSSAuthenticated, n.authorized.gssAuthenticated)
	}
	if s.Principal != n.authorized.principal {
		return fmt.Errorf("witnesses contradict: pg_stat_gssapi says principal %q, the server's log %q", s.Principal, n.authorized.principal)
	}
	if !c.unix() && channel == matrix.Plain && !n.query {
		return fmt.Errorf("witnesses contradict: the session is in the clear, and no query crossed the wire")
	}
	c.outcome.End, c.outcome.Stage = matrix.Connected, matrix.StageSession
	c.outcome.Channel, c.outcome.Role = channel, s.SessionUser
	if err := c.decidedBy(n); err != nil {
		return err
	}
	return c.checkSystemUser(s)
}
