// Package classify says how an attempt ended, from what its witnesses said. It is pure, and knows nothing of what was predicted. A kind of
// client has a file client_KIND.go; the texts of servers are in server.go and serverlog.go.
package classify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Classify says how an attempt ended, from what its witnesses said: the client, the session from inside, the
// relay and the server's log. It knows nothing of what was predicted. Witnesses that contradict each other, and texts
// that it does not know, make a fault, never a refusal. The fields of the outcome that nobody could see are named in
// Unseen; Because says which text of which witness told the others. Of the world it uses the server's version (which decides what the
// server logs), how its rules are loaded, and the text of pg_hba.conf only to tell that a method is used by one record or by none.
func Classify(cell *matrix.Cell, e matrix.Evidence) matrix.Observation {
	observation := matrix.Observation{Evidence: e}
	c := classifier{cell: cell, evidence: e, client: clientOf(cell), server: cell.World.Server}
	err := c.classify()
	if err == nil {
		err = c.outcome.Validate()
	}
	if err != nil {
		observation.Fault, observation.Unclassified = err.Error(), err.Error()
		return observation
	}
	observation.Outcome, observation.Unseen, observation.Because = c.outcome, c.unseen, c.because()
	return observation
}

// Again classifies a saved observation again. A fault of the harness stays: the evidence is then incomplete, or the Env could not be trusted.
func Again(cell *matrix.Cell, saved matrix.Observation) matrix.Observation {
	if saved.Fault != "" && saved.Fault != saved.Unclassified {
		return saved
	}
	return Classify(cell, saved.Evidence)
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
	far          conversation // at the server's side: the same where there is no attacker
	backend
}

type classifier struct {
	cell        *matrix.Cell
	evidence    matrix.Evidence
	client      *client
	server      int
	connections []connection
	outcome     matrix.Outcome
	loaded      loaded
	unseen      []matrix.Field
	readings    []reading
}

func (c *classifier) classify() error {
	client := c.evidence.Client
	if client.Crash != "" {
		return fmt.Errorf("the client crashed: %s", client.Crash)
	}
	if c.client == nil {
		return fmt.Errorf("no client %q is known", c.cell.Client.Library)
	}
	if err := c.readLoading(); err != nil {
		return err
	}
	if err := c.client.settle(c); err != nil {
		return err
	}
	return c.checkDown()
}

// library settles an attempt of a client library.
func (c *classifier) library() error {
	client := c.evidence.Client
	if client.Raw != nil {
		return fmt.Errorf("a library made the attempt, and the raw client speaks of it")
	}
	if err := c.checkNamed(); err != nil {
		return err
	}
	if client.Connected != (client.Session != nil) && c.evidence.Across == nil {
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
	if err := c.checkOpen(); err != nil {
		return err
	}
	if err := c.settled(); err != nil {
		return err
	}
	c.outcome.Obtains = c.obtained()
	return nil
}

// settled says how the attempt ended, once its connections are read.
func (c *classifier) settled() error {
	client, n := c.evidence.Client, c.last()
	switch {
	case n != nil && n.killed():
		return c.sessionEnded(n)
	case client.Connected && client.Session == nil:
		return fmt.Errorf("the client had a session that did not answer, and the server did not end it (the client said %q)", client.Message)
	case client.Connected:
		return c.connected(*client.Session)
	}
	return c.refused()
}

func (c *classifier) unix() bool { return c.cell.Client.Transport == "unix" }

func (c *classifier) readConnection(e matrix.ConnectionEvidence) (connection, error) {
	n, attack := connection{evidence: e}, relayAttacks[c.cell.Client.Attack]
	var err error
	if n.conversation, err = readWire(e.Wire, wireReader{attacked: c.cell.Client.Attack, stuffer: attack.stuffsNear}); err != nil {
		return n, err
	}
	if n.far = n.conversation; len(e.Upstream) > 0 {
		if n.far, err = readWire(e.Upstream, wireReader{attacked: c.cell.Client.Attack, stuffer: attack.stuffsFar, readable: n.impersonated, closed: n.withheld != "" && !n.held}); err != nil {
			return n, fmt.Errorf("between relay and server: %w", err)
		}
	}
	n.backend, err = readLog(e.Log)
	return n, err
}

// trace is the steps of all connections, in order.
func (c *classifier) trace() []matrix.Step {
	var steps []matrix.Step
	for i, n := range c.connections {
		if n.dialFailed != "" {
			continue // only the last can be one
		}
		if len(steps) == 0 {
			steps = append(steps, matrix.StepConnect)
		} else {
			steps = append(steps, matrix.StepReconnect)
		}
		if c.unix() && c.evidence.Client.Raw == nil { // nobody recorded the conversation
			steps = append(steps, n.negotiated...)
		} else {
			steps = append(steps, n.steps...)
		}
		switch {
		case len(n.forged) > 0 && n.conversation.answered:
			steps = append(steps, matrix.StepAuthOK)
		case n.killed():
			steps = append(steps, matrix.StepAuthOK)
		case n.authorized != nil && n.fatal != nil:
			steps = append(steps, matrix.StepAuthOK, matrix.StepStartFail)
		case c.closedByChoice(i):
			steps = append(steps, matrix.StepAuthOK, matrix.StepTargetFail)
		case n.authorized != nil:
			steps = append(steps, matrix.StepAuthOK)
		case n.fatal != nil:
			steps = append(steps, matrix.StepAuthFail)
		}
	}
	return steps
}

// last is the last connection, or nil.
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
	if client.Message != "" && c.client.tells {
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
	if err := checkSession(n, s); err != nil {
		return err
	}
	if err := c.sessionChannel(n, s); err != nil {
		return err
	}
	c.outcome.End, c.outcome.Stage, c.outcome.Role = matrix.Connected, matrix.StageSession, s.SessionUser
	if s.Bare != (c.cell.Client.Replication == matrix.Physical) {
		return fmt.Errorf("witnesses contradict: the session answered as one of physical replication: %t, the cell asks for replication=%q", s.Bare, c.cell.Client.Replication)
	}
	c.note(bySession, "session_user="+s.SessionUser, string(matrix.Connected), "role "+s.SessionUser)
	if err := c.decidedBy(n); err != nil {
		return err
	}
	if err := c.answered(n, s); err != nil {
		return err
	}
	return c.checkSystemUser(s)
}

// answered settles what the session answered. Where another witness knows the answer, it must be the same.
func (c *classifier) answered(n *connection, s matrix.Session) error {
	asks, known := c.cell.Client.Asks, ""
	switch {
	case (asks != "") != (s.Answer != ""):
		return fmt.Errorf("witnesses contradict: the session was asked for %q, its answer is %q", asks, s.Answer)
	case asks == "":
		return nil
	case asks == matrix.AskSystemUser && c.server >= 16:
		known = cmp.Or(s.SystemUser, matrix.AnswerNull)
	case asks == matrix.AskDelegated && n.authorized.delegated != "":
		known = strconv.FormatBool(n.authorized.delegated == "yes")
	}
	if known != "" && s.Answer != known {
		return fmt.Errorf("witnesses contradict: the session's answer is %q, elsewhere it is %q", s.Answer, known)
	}
	c.outcome.Answer = s.Answer
	c.note(bySession, s.Answer, "answer "+s.Answer)
	return nil
}

// nameDataLen is how many bytes of a principal pg_stat_gssapi shows (NAMEDATALEN, and a zero byte ends them).
const nameDataLen = 63

// checkSession holds the session's view of itself against the server's log.
func checkSession(n *connection, s matrix.Session) error {
	switch a := n.authorized; {
	case s.Bare && s.SessionUser != a.user:
		return fmt.Errorf("witnesses contradict: session_authorization is %q, the server authorized %q", s.SessionUser, a.user)
	case s.Bare:
		return nil
	case s.PID != n.evidence.PID:
		return fmt.Errorf("witnesses contradict: the session is that of process %d, the server's log that of process %d", s.PID, n.evidence.PID)
	case s.SessionUser != a.user:
		return fmt.Errorf("witnesses contradict: session_user is %q, the server authorized %q", s.SessionUser, a.user)
	case channelOf(s.SSL, s.GSSEncrypted) != channelOf(a.tls, a.gssEncrypted):
		return fmt.Errorf("witnesses contradict: pg_stat_ssl and pg_stat_gssapi say %s, the server's log says %s", channelOf(s.SSL, s.GSSEncrypted), channelOf(a.tls, a.gssEncrypted))
	case s.SSL && s.SSLVersion != a.tlsVersion:
		return fmt.Errorf("witnesses contradict: pg_stat_ssl says %s, the server's log says %s", s.SSLVersion, a.tlsVersion)
	case s.GSSAuthenticated != a.gssAuthenticated:
		return fmt.Errorf("witnesses contradict: pg_stat_gssapi says authenticated=%t, the server's log %t", s.GSSAuthenticated, a.gssAuthenticated)
	case s.Principal != a.principal[:min(len(a.principal), nameDataLen)]:
		return fmt.Errorf("witnesses contradict: pg_stat_gssapi says principal %q, the server's log %q", s.Principal, a.principal)
	}
	return nil
}

// sessionChannel settles the channel of a session: as the session sees it, unless the attacker has another channel towards the server.
func (c *classifier) sessionChannel(n *connection, s matrix.Session) error {
	channel := channelOf(s.SSL, s.GSSEncrypted)
	if s.Bare || !c.unix() && c.channelOf(n) != n.far.channel {
		channel = c.channelOf(n)
		c.setChannel(n)
	} else {
		c.outcome.Channel = channel
		c.note(bySession, sessionChannel(&s), "channel "+string(channel))
	}
	if told := channelOf(c.evidence.Client.SSLInUse, c.evidence.Client.GSSInUse); c.client.tells && told != channel {
		return fmt.Errorf("witnesses contradict: the client says that its channel is %s, the session says %s", told, channel)
	}
	if !c.unix() && channel == matrix.Plain && !n.query {
		return fmt.Errorf("witnesses contradict: the session is in the clear, and no query crossed the wire")
	}
	return nil
}
