package classify

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// This file is about connections that the attacker cuts, keeps waiting, or spoils by a changed bit or a handshake that is sent twice. What the
// relay says of them needs the other witnesses, and they need the relay: a client that is cut off knows no reason.

// serverCertFlaws are what a client finds by itself while it sends its first sealed record.
var serverCertFlaws = []matrix.Reason{matrix.ServerCertTrust, matrix.ServerCertExpired, matrix.ServerCertName}

// noCommonVersion is what a server logs that takes none of the versions of TLS in the ClientHello.
var noCommonVersion = regexp.MustCompile(`^unsupported protocol$`)

// checkSpoiled wants three things: what the relay says to have kept from the client is in the conversation with the server and not in
// that with the client; the end that could not open a record, or read a handshake, says so; and where something was not answered
// or could not be read, the relay says that it did that.
func (c *classifier) checkSpoiled(n connection) error {
	switch {
	case !n.kept():
		return fmt.Errorf("witnesses contradict: the relay says that the client did not get the server's %s, the wire shows %v and %v", n.withheld, n.steps, n.far.steps)
	case (n.flipped || n.replayed) && !c.noticed(n):
		return fmt.Errorf("witnesses contradict: the relay says that it spoiled the connection, the server logged %q %q", n.tlsFailed, n.unwrapFailed)
	case n.acted, noCommonVersion.MatchString(n.tlsFailed), n.tlsFailed == hostRefused: // then the answer to the ClientHello is an alert
		return nil
	case n.unanswered(), n.greeted && n.tlsVersion == "" && n.did(matrix.StepSSLAccept), n.offered && !n.tokened && n.gssFailed == "":
		return fmt.Errorf("witnesses contradict: the server did not answer the client (%v), and nobody says why", n.steps)
	case n.oversize, n.unwrapFailed != "", badRecord.MatchString(n.tlsFailed), badHello.MatchString(n.tlsFailed):
		return fmt.Errorf("witnesses contradict: the server could not read what it got (%s%s), and nobody had changed it", n.tlsFailed, n.unwrapFailed)
	}
	return nil
}

// kept says whether what the attacker withheld is missing at the client's side and only there.
func (n *connection) kept() bool {
	switch n.withheld {
	case wire.Answer:
		return n.unanswered() && !n.far.unanswered() && len(n.far.steps) == len(n.steps) && n.startup == nil
	case wire.ServerHello:
		return n.tlsVersion == "" && n.far.tlsVersion != ""
	case wire.GSSToken:
		return !n.tokened && n.far.tokened
	case wire.AuthRequest:
		return len(n.conversation.requests) == 0 && len(n.far.requests) > 0
	}
	return true
}

// noticed says whether the server logged that a connection was spoiled, or only the client can tell.
func (c *classifier) noticed(n connection) bool {
	return n.flipped && (badRecord.MatchString(n.tlsFailed) || badMIC.MatchString(n.unwrapFailed)) ||
		n.replayed && (badHello.MatchString(n.tlsFailed) || badToken.MatchString(n.unwrapFailed)) ||
		n.flipped && c.cell.Client.Attack == matrix.FlipServer && c.client.noAlert && peerLeft.MatchString(n.tlsFailed) ||
		c.unopened(n) && n.tlsFailed == "" && n.unwrapFailed == ""
}

// unanswered is true of a request that got no answer, not even an error.
func (c *conversation) unanswered() bool {
	return len(c.steps) > 0 && slices.Contains([]matrix.Step{matrix.StepGSSError, matrix.StepSSLError}, c.steps[len(c.steps)-1]) && len(c.errors) == 0
}

// spoiled says whether what the attacker did to a connection ended it.
func (n *connection) spoiled() bool { return n.withheld != "" || n.flipped || n.replayed }

// unopened is true of a client that could not open the server's answer to its startup packet.
func (c *classifier) unopened(n connection) bool {
	return n.flipped && c.cell.Client.Attack == matrix.FlipServer && n.conversation.channel == matrix.GSS
}

// unheardOK is true of a server that sent AuthenticationOk to a client that did not get it.
func (c *classifier) unheardOK(n connection) bool {
	return n.authorized != nil && (n.withheld == wire.AuthRequest || c.unopened(n))
}

// spoiledRefusal settles an attempt whose last connection was spoiled.
func (c *classifier) spoiledRefusal(n *connection, last saying) error {
	found := cause{stage: matrix.StageTLS}
	switch {
	case n.did(matrix.StepGSSAccept, matrix.StepGSSError):
		found.stage = matrix.StageGSSEnc
	case n.withheld == wire.AuthRequest:
		found.stage = matrix.StageAuth
	}
	if flaw, ok := lookUp(c.client.causes, last.text); ok && n.flipped && c.cell.Client.Attack == matrix.FlipClient && slices.Contains(serverCertFlaws, flaw.reason) {
		c.outcome.Stage, c.outcome.Reason = flaw.stage, flaw.reason // what was changed was the client's close_notify, or came too late to matter
		c.noteRefusal(byClient, last.text, flaw)
		return nil
	}
	var said bool
	found.reason, said = c.spoiledReason(n, found.stage, last.text)
	if last.fatal || !said {
		return fmt.Errorf("witnesses contradict: the relay spoiled the connection (%s), the client says %q after %d µs", found.reason, last.text, c.evidence.Client.Micros)
	}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	c.note(byWire, "attacker "+n.deed, string(found.reason))
	c.noteRefusal(byClient, last.text, found)
	switch {
	case found.stage == matrix.StageAuth:
		c.setChannel(n)
		return c.decidedBy(n)
	case found.stage == matrix.StageGSSEnc && n.withheld == "":
		c.outcome.Channel = matrix.GSS
		c.note(byWire, "attacker "+n.deed, "channel gss")
	}
	return nil
}

// spoiledReason is what becomes of a spoiled connection, and whether the client's text says that.
func (c *classifier) spoiledReason(n *connection, stage matrix.Stage, text string) (reason matrix.Reason, said bool) {
	client := c.client
	left := matches(client.hungUp, text)
	switch {
	case n.held:
		return matrix.TimedOut, matches(client.timedOut, text) && c.evidence.Client.Micros >= (HeldSeconds-1)*1e6
	case n.withheld != "":
		return matrix.ConnectionLost, left || matches(client.hungUpGSS, text) || matches(client.cutGSS, text) || text == "" && stage == matrix.StageGSSEnc && client.gssSilent
	case n.flipped && c.cell.Client.Attack == matrix.FlipServer:
		return matrix.IntegrityCheck, matches(client.tls.ownMAC, text) || matches(client.ownMIC, text)
	case n.flipped:
		return matrix.IntegrityCheck, matches(client.tls.alertMAC, text) || left
	}
	return matrix.ProtocolViolation, matches(client.tls.alertHello, text) || left
}
