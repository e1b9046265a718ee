package classify

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// shutDown is what a server that is shut down tells each session that it ends (tcop/postgres.c, ProcessInterrupts).
const shutDown = "terminating connection due to administrator command"

// killed is true of a connection whose session the server ended because it was shut down.
func (n *connection) killed() bool {
	return n.authorized != nil && n.fatal != nil && n.fatal.state == "57P01" && n.fatal.text == shutDown
}

// checkAcross wants an attempt that the cell begins before the load, and no other, to have been found waiting in its session then, or to have ended.
func (c *classifier) checkAcross() error {
	across, before := c.evidence.Across, c.cell.Client.IsOpenedBefore()
	if (across != nil) != before {
		return fmt.Errorf("witnesses contradict: the attempt was seen before the server got its files: %t, the cell begins it then: %t", across != nil, before)
	}
	return nil
}

// checkOpen holds what was seen before the load against the connections.
func (c *classifier) checkOpen() error {
	across, n := c.evidence.Across, c.last()
	switch {
	case across == nil:
		return nil
	case across.PID == 0 && (c.evidence.Client.Connected || n != nil && n.killed()):
		return fmt.Errorf("witnesses contradict: the attempt had ended before the server got its files, and has a session")
	case across.PID != 0 && (n == nil || n.authorized == nil || n.evidence.PID != across.PID):
		return fmt.Errorf("witnesses contradict: process %d waited in the attempt's session before the server got its files, and is not that of its last connection", across.PID)
	}
	return nil
}

// sessionEnded settles an attempt whose session the server ended.
func (c *classifier) sessionEnded(n *connection) error {
	if c.cell.World.Load != matrix.Restart || !c.cell.Client.IsOpenedBefore() {
		return fmt.Errorf("the server ended the session, and was not to be shut down meanwhile")
	}
	if told := cmp.Or(c.client.sessionLost, shutDown); !c.client.unread && !strings.Contains(c.evidence.Client.Message, told) {
		return fmt.Errorf("witnesses contradict: the server ended the session with %q, the client says %q", shutDown, c.evidence.Client.Message)
	}
	c.outcome.End = matrix.Refused
	c.outcome.Stage, c.outcome.Reason = matrix.StageSession, matrix.SessionEnded
	c.noteRefusal(byLog, "FATAL:  "+shutDown, cause{matrix.StageSession, matrix.SessionEnded})
	c.setChannel(n)
	if told := channelOf(c.evidence.Client.SSLInUse, c.evidence.Client.GSSInUse); c.client.tells && c.evidence.Client.Connected && told != c.outcome.Channel {
		return fmt.Errorf("witnesses contradict: the client says that its channel was %s, the wire shows %s", told, c.outcome.Channel)
	}
	if err := c.checkEarlier(); err != nil {
		return err
	}
	return c.decidedBy(n)
}
