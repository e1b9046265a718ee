package classify

import (
	"fmt"
	"regexp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// target_session_attrs: a client closes a session of its own because of what the server is. The server's log shows a session that ended well, and
// so does the wire. Only the client says that it was not what was asked for, and only if it ends without a session.

// notTarget is how libpq since 14 and lib/pq name the attribute.
const notTarget = `(session is (not )?read-only|server is (not )?in hot standby mode)`

var (
	libpqUnwanted   = regexp.MustCompile(`^(` + notTarget + `|could not make a writable connection to server "[^"]*")$`) // the second before 14
	pqUnwanted      = regexp.MustCompile(`^` + notTarget + `$`)
	pgxUnwanted     = regexp.MustCompile(`^(ValidateConnect failed|(dial error|failed to write startup message)(: write failed)?: gssenc: dial: no other method with this host, which was rejected in a session): (standby server not found: )?(read only connection|connection is not read only|server is (not in hot standby|in standby) mode)$`)
	asyncpgUnwanted = regexp.MustCompile(`^asyncpg\.exceptions\.(_base\.)?TargetServerAttributeNotMatched: None of the hosts match the target attribute requirement `)
)

// saysUnwanted says whether a client's last word is that a session is not what target_session_attrs asks for.
func (c *classifier) saysUnwanted(text string) bool {
	switch n := c.last(); {
	case !c.cell.Client.SelectsSession():
		return false
	case matches(c.client.unwanted, text):
		return true
	default: // asyncpg tells the error of a host that it could not reach before
		return c.client.lastHost && c.cell.Client.Hosts == matrix.DeadFirst && n != nil && n.authorized != nil && matches(c.client.refusedTCP, text)
	}
}

// closedByChoice says whether the client closed the session of a connection because of what the server is.
func (c *classifier) closedByChoice(i int) bool {
	n, isLast := &c.connections[i], i == len(c.connections)-1
	switch {
	case !c.cell.Client.SelectsSession(), n.authorized == nil, n.fatal != nil:
		return false
	case isLast && c.evidence.Client.Connected:
		return false
	case isLast:
		said := c.client.sayings(c.evidence.Client.Message)
		return len(said) > 0 && c.saysUnwanted(said[len(said)-1].text)
	}
	return true
}

// sessionUnwanted settles an attempt whose last word is that a session was not what was asked for. After it there may be a connection on which
// the client sent nothing.
func (c *classifier) sessionUnwanted(last saying) error {
	var n *connection
	for i := range c.connections {
		if c.closedByChoice(i) {
			n = &c.connections[i]
		} else if n != nil && !c.connections[i].unused() {
			n = nil // what came after it decided
		}
	}
	if n == nil {
		return fmt.Errorf("witnesses contradict: the client says %q, the server's log shows no session before it", last.text)
	}
	found := cause{matrix.StageSession, matrix.SessionUnwanted}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	c.noteRefusal(byClient, last.text, found)
	c.setChannel(n)
	return c.decidedBy(n)
}

// checkUnwanted wants a client that tells of every connection to have said of each session that it closed why.
func (c *classifier) checkUnwanted(said []saying) error {
	if c.client.lastHost || c.client.unread || c.client.hostsLost != nil && c.client.hostsLost(c.cell.Client.Library) {
		return nil
	}
	closed, told := 0, 0
	for i := range c.connections {
		if c.closedByChoice(i) {
			closed++
		}
	}
	for _, s := range said {
		if !s.fatal && c.saysUnwanted(s.text) {
			told++
		}
	}
	if told < closed {
		return fmt.Errorf("witnesses contradict: the server's log shows %d sessions that the client closed, which says %q", closed, c.evidence.Client.Message)
	}
	return nil
}
