package classify

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// Connections that somebody cut, kept waiting, or spoiled by a changed bit or a handshake that was played twice: what the
// relay says of them needs the other witnesses, and they need its word, for a client that is cut off knows no reason.

// What the server logs of a record that it cannot open, or that it is told the client could not, and of a handshake that it
// gets twice: be_tls_open_server in be-secure-openssl.c, by OpenSSL 1.1.1 to 3.6; be_gssapi_read in be-secure-gssapi.c.
var (
	badRecord = regexp.MustCompile(`^((sslv3|ssl/tls) alert bad record mac|decryption failed or bad record mac)$`)
	badHello  = regexp.MustCompile(`^bad (key share|record type)$`)
	badMIC    = regexp.MustCompile(`^A token had an invalid Message Integrity Check \(MIC\): `)
	badToken  = regexp.MustCompile(`^Invalid token was supplied: `)
)

// What a client says whose time is up, whose connection ended, and whose record, or the server's, could not be opened.
const goPrefix = `^((tls error|failed to (write startup message|receive message)): (write failed: )?)?`

var (
	timedOut = regexp.MustCompile(`^(timeout expired|(dial error|tls error|failed to receive message): timeout: context deadline exceeded|read tcp \S+->\S+: i/o timeout)$`)
	cutOff   = regexp.MustCompile(hungUp.String() + "|" + gssencHungUp.String() + `|^dial error: gssenc: request: no answer to GSSENCRequest: EOF$`)
	alertMAC = regexp.MustCompile(`^SSL error: (sslv3|ssl/tls) alert bad record mac$|` + goPrefix + `remote error: tls: bad record MAC$`)
	ownMAC   = regexp.MustCompile(`^SSL error: decryption failed or bad record mac$|` + goPrefix + `local error: tls: bad record MAC$|` +
		`^GSSAPI unwrap error: A token had an invalid Message Integrity Check|^failed to receive message: gssenc: packet: integrity check failed: `)
	alertHello = regexp.MustCompile(`^SSL error: (sslv3|ssl/tls) alert (illegal parameter|unexpected message)$|` + goPrefix + `remote error: tls: (illegal parameter|unexpected message)$`)
)

// serverCertFlaws are what a client finds by itself while it sends its first sealed record.
var serverCertFlaws = []matrix.Reason{matrix.ServerCertTrust, matrix.ServerCertExpired, matrix.ServerCertName}

// checkSpoiled wants what the relay says to have kept from the client to be in the conversation with the server and not in
// that with the client; the end that could not open a record, or read a handshake, to say so; and whatever was not answered
// or could not be read to have somebody who did it.
func (c *classifier) checkSpoiled(n connection) error {
	kept := true
	switch n.withheld {
	case wire.Answer:
		kept = n.unanswered() && !n.far.unanswered() && len(n.far.steps) == len(n.steps) && n.startup == ""
	case wire.ServerHello:
		kept = n.tlsVersion == "" && n.far.tlsVersion != ""
	case wire.GSSToken:
		kept = !n.tokened && n.far.tokened
	case wire.AuthRequest:
		kept = len(n.conversation.requests) == 0 && len(n.far.requests) > 0
	}
	spoiled := n.flipped && (badRecord.MatchString(n.tlsFailed) || badMIC.MatchString(n.unwrapFailed)) ||
		n.replayed && (badHello.MatchString(n.tlsFailed) || badToken.MatchString(n.unwrapFailed)) ||
		c.unopened(n) && n.tlsFailed == "" && n.unwrapFailed == "" // only the client can say so
	switch {
	case !kept:
		return fmt.Errorf("witnesses contradict: the relay says that the client did not get the server's %s, the wire shows %v and %v", n.withheld, n.steps, n.far.steps)
	case (n.flipped || n.replayed) && !spoiled:
		return fmt.Errorf("witnesses contradict: the relay says that it spoiled the connection, the server logged %q %q", n.tlsFailed, n.unwrapFailed)
	case n.acted:
		return nil
	case n.unanswered(), n.greeted && n.tlsVersion == "" && n.did(matrix.StepSSLAccept), n.offered && !n.tokened && n.gssFailed == "":
		return fmt.Errorf("witnesses contradict: the server did not answer the client (%v), and nobody says why", n.steps)
	case n.oversize, n.unwrapFailed != "", badRecord.MatchString(n.tlsFailed), badHello.MatchString(n.tlsFailed):
		return fmt.Errorf("witnesses contradict: the server could not read what it got (%s%s), and nobody had changed it", n.tlsFailed, n.unwrapFailed)
	}
	return nil
}

// unanswered is true of a request that got no answer, not even an error.
func (c *conversation) unanswered() bool {
	return len(c.steps) > 0 && slices.Contains([]matrix.Step{matrix.StepGSSError, matrix.StepSSLError}, c.steps[len(c.steps)-1]) && len(c.errors) == 0
}

// spoiled says whether what the attacker did to a connection ended it.
func (n *connection) spoiled() bool { return n.withheld != "" || n.flipped || n.replayed }

// unopened is true of a client that could not open the server's answer to its startup packet.
func (c *classifier) unopened(n connection) bool {
	return n.flipped && c.cell.Client.Attack == "flip-server" && n.conversation.channel == matrix.GSS
}

// unheardOK is true of a server that sent AuthenticationOk to a client that did not get it.
func (c *classifier) unheardOK(n connection) bool {
	return n.authorized != nil && (n.withheld == wire.AuthRequest || c.unopened(n))
}

// spoiledRefusal settles an attempt whose last connection was spoiled.
func (c *classifier) spoiledRefusal(n *connection, last saying) error {
	o := &c.outcome
	switch {
	case n.did(matrix.StepGSSAccept, matrix.StepGSSError):
		o.Stage = matrix.StageGSSEnc
	case n.withheld == wire.AuthRequest:
		o.Stage = matrix.StageAuth
	default:
		o.Stage = matrix.StageTLS
	}
	if found, ok := lookUp(localCauses, last.text); ok && n.flipped && c.cell.Client.Attack == "flip-client" && slices.Contains(serverCertFlaws, found.reason) {
		o.Stage, o.Reason = found.stage, found.reason // what he changed was the client's farewell, or came too late to matter
		return nil
	}
	var said bool
	switch text := last.text; {
	case n.held:
		o.Reason, said = matrix.TimedOut, timedOut.MatchString(text) && c.evidence.Client.Micros >= (HeldSeconds-1)*1e6
	case n.withheld != "":
		o.Reason, said = matrix.ConnectionLost, cutOff.MatchString(text) || text == "" && o.Stage == matrix.StageGSSEnc && c.cell.Client.Library.UsesLibpq() // which says nothing there
	case n.flipped && c.cell.Client.Attack == "flip-server":
		o.Reason, said = matrix.IntegrityCheck, ownMAC.MatchString(text)
	case n.flipped:
		o.Reason, said = matrix.IntegrityCheck, alertMAC.MatchString(text) || hungUp.MatchString(text)
	default:
		o.Reason, said = matrix.ProtocolViolation, alertHello.MatchString(text) || hungUp.MatchString(text)
	}
	if last.fatal || !said {
		return fmt.Errorf("witnesses contradict: the relay spoiled the connection (%s), the client says %q after %d µs", o.Reason, last.text, c.evidence.Client.Micros)
	}
	switch {
	case o.Stage == matrix.StageAuth:
		o.Channel = matrix.Plain
		return c.decidedBy(n)
	case o.Stage == matrix.StageGSSEnc && n.withheld == "":
		o.Channel = matrix.GSS
	}
	return nil
}
