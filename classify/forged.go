package classify

import (
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// ForgedRow is the row with which an attacker that plays the server answers the session query. No server writes such a row: it has no process 0,
// and names no user by these words.
func ForgedRow(user string) [][2]string {
	return [][2]string{{"pid", "0"}, {"session_user", user}, {"ssl", "false"}, {"gss_authenticated", "false"}, {"gss_encrypted", "false"}, {"system_user", AttackersWords}}
}

// forgedSession is ForgedRow as readSession reads it.
func forgedSession(user string) matrix.Session {
	return matrix.Session{SessionUser: user, SystemUser: AttackersWords}
}

// forges says whether the cell's attacker plays the server.
func (c *classifier) forges() bool {
	return slices.Contains(relayAttacks[c.cell.Client.Attack].deeds, wire.Forged)
}

// checkForged wants everything that a client was told after its startup packet to be what the attacker says that it sent, and the
// server to have heard nothing, neither by its log nor by the wire: else an attacker's session could pass for a server's.
func (c *classifier) checkForged(n connection) error {
	if !c.forges() {
		return nil // nor can anything have been forged: see relayAttacks
	}
	switch heard := n.reachedStartup() || len(n.negotiated) > 0 || n.badPacket != "" || n.tlsFailed != "" || n.gssFailed != "" || n.early; {
	case heard:
		return fmt.Errorf("witnesses contradict: the attacker plays the server, and the server's log shows that it was spoken to")
	case len(n.far.steps) > 0 || n.far.startup != nil || n.far.channel != "": // where nothing is said of that side, what the client said stands for it
		return fmt.Errorf("witnesses contradict: the attacker plays the server, and the wire does not show that the server was spared (%v, startup packet: %t)", n.far.steps, n.far.startup != nil)
	case (n.startup != nil) != (len(n.forged) > 0):
		return fmt.Errorf("witnesses contradict: a startup packet on the wire: %t, the attacker says that it answered one: %v", n.startup != nil, n.forged)
	case !slices.Equal(n.forged, n.conversation.requests) || len(n.conversation.errors) > 0:
		return fmt.Errorf("witnesses contradict: the wire shows the authentication requests %v and the errors %q, the attacker says that it sent %v", n.conversation.requests, n.conversation.errors, n.forged)
	}
	return nil
}

// checkRefusal wants the client's reason to fit what the attacker says that it sent.
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
		return fmt.Errorf("witnesses contradict: the attacker has the session, and the row is not the attacker's: %+v", s)
	}
	if !n.conversation.answered || !n.query {
		return fmt.Errorf("witnesses contradict: the attacker has the session; AuthenticationOk on the wire: %t, a query: %t", n.conversation.answered, n.query)
	}
	channel := c.channelOf(n)
	if told := channelOf(c.evidence.Client.SSLInUse, c.evidence.Client.GSSInUse); c.client.tells && told != channel {
		return fmt.Errorf("witnesses contradict: the client says that its channel is %s, the wire says %s", told, channel)
	}
	c.outcome.End, c.outcome.Stage, c.outcome.Role = matrix.Connected, matrix.StageSession, s.SessionUser
	c.note(bySession, "system_user="+s.SystemUser, string(matrix.Connected), "role "+s.SessionUser)
	c.setChannel(n)
	return nil
}
