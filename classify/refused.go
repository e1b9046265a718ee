package classify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// refused settles an attempt of which the client says that it has no session.
func (c *classifier) refused() error {
	c.outcome.End = matrix.Refused
	said := c.client.sayings(c.evidence.Client.Message)
	var last saying
	if len(said) > 0 {
		last = said[len(said)-1]
	}
	n := c.last()
	if c.client.unread && n != nil && n.fatal != nil {
		last = saying{fatal: true, text: n.fatal.text} // the server's log stands for it
	}
	if err := c.checkEarlier(); err != nil {
		return err
	}
	if err := c.checkHosts(said); err != nil {
		return err
	}
	if err := c.checkUnwanted(said); err != nil {
		return err
	}
	if n != nil && n.dialFailed != "" {
		return c.dial(n.dialFailed)
	}
	if last.fatal && (n == nil || n.fatal == nil || n.fatal.text != last.text || last.state != "" && last.state != n.fatal.state) {
		return fmt.Errorf("witnesses contradict: the client was told FATAL:  %s, the server's log does not end with it", last.text)
	}
	switch {
	case n == nil:
		return c.local(last.text, nil)
	case !last.fatal && c.saysUnwanted(last.text):
		return c.sessionUnwanted(last)
	case n.spoiled():
		return c.spoiledRefusal(n, last)
	case n.authorized != nil && !last.fatal:
		return c.clientRefused(n, last) // AuthenticationOk and an error after it arrive together, and the client stops at the first
	case n.fatal != nil:
		return c.serverRefused(n, last)
	default:
		return c.local(last.text, n)
	}
}

// checkNamed wants the client to have been given the hosts that the cell names, and no others: where all goes well, or where one ends
// the search, nothing else tells that there was another. A host that refuses has a port of its own; pgx is not told of ports.
func (c *classifier) checkNamed() error {
	if c.unix() {
		return nil
	}
	given := map[string]string{}
	for word := range strings.FieldsSeq(c.evidence.Client.Conninfo) {
		name, value, _ := strings.Cut(word, "=")
		given[name] = value
	}
	first, second, several := strings.Cut(given["port"], ",")
	switch {
	case given["host"] != HostNames(c.cell):
		return fmt.Errorf("witnesses contradict: the cell names the hosts %s, the client was given %q", HostNames(c.cell), given["host"])
	case several && (first == second) == (c.cell.Client.Hosts == matrix.DeadFirst):
		return fmt.Errorf("witnesses contradict: with hosts=%s the client was given the ports %s", c.cell.Client.Hosts, given["port"])
	}
	return nil
}

// checkHosts wants a client that got through to the server to have been refused by the host that refuses TCP connections
// before, if and only if the cell names one.
func (c *classifier) checkHosts(said []saying) error {
	refused := func(s saying) bool { return !s.fatal && matches(c.client.refusedTCP, s.text) }
	dead := c.cell.Client.Hosts == matrix.DeadFirst
	told := slices.ContainsFunc(said[:max(len(said)-1, 0)], refused)
	lost := c.client.hostsLost != nil && c.client.hostsLost(c.cell.Client.Library)
	switch {
	case len(c.connections) == 0, dead == told:
		return nil
	case dead && c.client.lastHost:
		return nil
	case dead && lost && len(said) > 0 && !said[0].fatal && !refused(said[0]):
		return nil
	case dead && lost && len(said) == 1 && said[0].fatal && c.connections[len(c.connections)-1].authorized != nil:
		return nil // fe-protocol3.c, pqGetErrorNotice3: after AuthenticationOk the error takes the place of what was said before
	case dead:
		return fmt.Errorf("witnesses contradict: the first host refuses TCP connections, the client says only %q", c.evidence.Client.Message)
	}
	return fmt.Errorf("witnesses contradict: the client says that a host refuses TCP connections, and there is none but the server: %q", c.evidence.Client.Message)
}

// serverRefused settles an attempt whose last connection the server ended with a FATAL.
func (c *classifier) serverRefused(n *connection, last saying) error {
	f := n.fatal
	if found, ok := lookUp(fatalCauses, f.state+" "+f.text); ok {
		if found.stage == matrix.StageStartup && (n.authorized == nil) != (found.reason == matrix.ServerStarting || f.text == tooManyClients) {
			return fmt.Errorf("witnesses contradict: authorized in the server's log: %t, and FATAL:  %s", n.authorized != nil, f.text)
		}
		if found.stage != matrix.StageStartup && n.authorized != nil {
			return fmt.Errorf("witnesses contradict: the server authorized the connection, and then FATAL:  %s", f.text)
		}
		if !last.fatal {
			return fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", f.text, last.text)
		}
		c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
		c.noteRefusal(byLog, "FATAL:  "+f.text, found)
		c.setChannel(n)
		return c.decidedBy(n)
	}
	if n.authorized != nil {
		return fmt.Errorf("unrecognised error of the server after AuthenticationOk: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
	}
	for _, failure := range methodFailures {
		if f.state == failure.state && strings.HasPrefix(f.text, failure.prefix) {
			found, err := c.methodFailed(n, failure.methods[0], last)
			if err != nil {
				return err
			}
			c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
			c.noteRefusal(byLog, "FATAL:  "+f.text, found)
			c.setChannel(n)
			return c.decidedBy(n)
		}
	}
	return fmt.Errorf("unrecognised error of the server: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
}

// methodFailed says why a method's exchange failed. The FATAL itself does not: what was logged before it does.
func (c *classifier) methodFailed(n *connection, method matrix.Method, last saying) (cause, error) {
	// The server logs this FATAL of a client that hung up in the middle of a GSS exchange, too (pg_GSS_recvauth).
	clientLeft := method == matrix.MethodGSS && !last.fatal
	if !last.fatal && !clientLeft {
		return cause{}, fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", n.fatal.text, last.text)
	}
	switch {
	case n.contextErr != "":
		// A client that is sent the reason as a token says so in its own words; without one it is told the FATAL.
		if clientLeft && !matches(c.client.gssAuth, last.text) {
			return cause{}, fmt.Errorf("witnesses contradict: the server did not accept a GSS security context, the client says %q", last.text)
		}
		found, ok := lookUp(contextCauses, n.contextErr)
		if !ok {
			return cause{}, fmt.Errorf("unrecognised reason why the server did not accept a GSS security context: %s", n.contextErr)
		}
		c.noteReason(byLog, n.contextErr, found.reason)
		return cause{matrix.StageAuth, found.reason}, nil
	case clientLeft:
		return c.leftExchange(n, last)
	case n.certMismatch != "":
		c.noteReason(byLog, n.certMismatch, matrix.CertNameMismatch)
		return cause{matrix.StageAuth, matrix.CertNameMismatch}, nil
	case n.noMap != nil:
		c.noteReason(byLog, n.noMap.text, matrix.MapNoMatch)
		return cause{matrix.StageIdent, matrix.MapNoMatch}, nil
	case n.peerFailed != "":
		if err := c.askedIdentServer(n.peerFailed); err != nil {
			return cause{}, err
		}
		c.noteReason(byLog, n.peerFailed, matrix.PeerMismatch)
		return cause{matrix.StageAuth, matrix.PeerMismatch}, nil
	case n.service != "":
		found, _ := lookUp(serviceCauses, n.service)
		c.noteReason(byLog, n.service, found.reason)
		return found, nil
	case n.fatal.state == "28P01":
		return cause{matrix.StageAuth, matrix.Password}, nil
	case method == matrix.MethodGSS && (n.authenticated != nil || c.server < 14):
		// Only DEBUG2 says "GSSAPI realm (…) and configured realm (…) don't match": it is what is left.
		return cause{matrix.StageAuth, matrix.RealmMismatch}, nil
	}
	return cause{}, fmt.Errorf("the server's log does not say why: FATAL:  %s (%s)", n.fatal.text, n.fatal.detail)
}

// leftExchange says why a client hung up in the middle of a GSS exchange.
func (c *classifier) leftExchange(n *connection, last saying) (cause, error) {
	if n.authenticated != nil || n.noMap != nil {
		return cause{}, fmt.Errorf("witnesses contradict: the server authenticated the client, which says %q", last.text)
	}
	found, err := c.localCause(last.text, n)
	if err != nil {
		return cause{}, err
	}
	if found.stage != matrix.StageAuth {
		return cause{}, fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", n.fatal.text, last.text)
	}
	c.noteRefusal(byClient, last.text, found)
	return found, nil
}

// clientRefused settles an attempt that the server let in and the client did not want.
func (c *classifier) clientRefused(n *connection, last saying) error {
	found, err := c.localCause(last.text, n)
	if err != nil {
		return err
	}
	if !slices.Contains([]matrix.Reason{matrix.MethodRejected, matrix.ChannelBinding, matrix.CertMode}, found.reason) {
		return fmt.Errorf("witnesses contradict: the server authorized the connection, the client says %q", last.text)
	}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	c.noteRefusal(byClient, last.text, found)
	c.setChannel(n)
	return c.decidedBy(n)
}

// local settles an attempt that the client ended by itself before any server's word on its startup packet; n is its last
// connection, nil if there is none.
func (c *classifier) local(text string, n *connection) error {
	if c.client.unread {
		return fmt.Errorf("only the driver knows why it gave up, and what its messages mean is not known: %s", c.evidence.Client.Message)
	}
	found, err := c.localCause(text, n)
	if err != nil {
		return err
	}
	if err := c.checkReach(found, text, n); err != nil {
		return err
	}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	c.noteRefusal(byClient, text, found)
	if found.stage != matrix.StageAuth {
		return nil
	}
	if err := checkRefusal(n, found, text); err != nil {
		return err
	}
	if c.client.tells && len(c.evidence.Client.AuthRequests) == 0 {
		return fmt.Errorf("witnesses contradict: the client says %q, and received no authentication request", text)
	}
	if c.setChannel(n); c.outcome.Channel == "" {
		return fmt.Errorf("witnesses contradict: the client says %q, and no startup packet was sent", text)
	}
	if !c.unix() && c.outcome.Channel == matrix.Plain && len(n.conversation.requests) == 0 {
		return fmt.Errorf("witnesses contradict: the client says %q, and the wire shows no authentication request", text)
	}
	return c.decidedBy(n)
}

// checkReach wants a client that ended the attempt by itself to have come as far as its reason says, and no farther.
func (c *classifier) checkReach(found cause, text string, n *connection) error {
	early := found.stage == matrix.StageOptions || found.stage == matrix.StageCredentials
	if n == nil {
		if !early && found.stage != matrix.StageDial {
			return fmt.Errorf("witnesses contradict: the client says %q, and neither relay nor server saw a connection", text)
		}
		return nil
	}
	if found.stage == matrix.StageDial {
		return fmt.Errorf("witnesses contradict: the client says %q, and the server saw a connection", text)
	}
	switch channel := c.channelOf(n); {
	case early && !n.unused(),
		found.stage == matrix.StageGSSEnc && channel != "",
		found.stage == matrix.StageTLS && channel != "" && channel != matrix.TLS && !c.unix(): // lib/pq can ask for TLS even there
		return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v and a %q channel", text, c.outcome.Trace, channel)
	}
	return nil
}

// localCause says what a client's own message means, with the help of the other witnesses of its last connection n.
func (c *classifier) localCause(text string, n *connection) (cause, error) {
	if found, ok := lookUp(c.client.causes, text); ok {
		return found, c.checkLocal(found, text, n)
	}
	for _, s := range c.client.special {
		if said := s.text.FindStringSubmatch(text); said != nil {
			return s.read(c, said, n)
		}
	}
	if n == nil {
		if said := submatches(c.client.unreached, text); said != nil {
			return dialCause(said[1])
		}
		return cause{}, unknownMessage(text)
	}
	left := matches(c.client.hungUp, text)
	if n.gssFailed != "" && (text == "" && c.client.gssSilent || left || matches(c.client.hungUpGSS, text)) {
		return c.contextCause(matrix.StageGSSEnc, []string{text, ""}, n)
	}
	if left {
		if found, ok, err := c.leftTLS(text, n); ok || err != nil {
			return found, err
		}
	}
	if n.did(matrix.StepSSLAccept) && n.acted && matches(c.client.tls.noTLS, text) {
		return cause{matrix.StageTLS, matrix.ProtocolViolation}, nil
	}
	if said := submatches(c.client.tls.alerted, text); said != nil && n.tlsFailed == hostRefused {
		return c.hostUnknown(said[1], n)
	}
	if n.did(matrix.StepSSLAccept, matrix.StepDirectAccept) {
		if found, ok, err := c.handshakeCause(text, n); ok || err != nil {
			return found, err
		}
	}
	return cause{}, unknownMessage(text)
}

// leftTLS says why the other end closed the connection where TLS was to begin; ok is false if nobody says so.
func (c *classifier) leftTLS(text string, n *connection) (found cause, ok bool, err error) {
	switch {
	case n.did(matrix.StepDirectReject) && n.acted: // the attacker says that it closed
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, true, nil
	case n.did(matrix.StepDirectReject):
		if c.server < 17 && n.badPacket == "" { // since 17 the log says that it was rejected, which was compared
			return cause{}, false, fmt.Errorf("the client says %q after a direct TLS handshake, and the server logged nothing of it", text)
		}
		found = cause{matrix.StageTLS, matrix.DirectTLSRefused}
	case n.did(matrix.StepDirectAccept) && strings.Contains(n.badPacket, " ALPN protocol"):
		found = cause{matrix.StageTLS, matrix.DirectTLSRefused}
	case n.tlsFailed == verifyFailed, signatureFailed.MatchString(n.tlsFailed) && n.badCert == badSignature: // the reset that follows the server's alert has overtaken it
		logged, known := lookUp(clientCertCauses, n.badCert)
		if !known {
			return cause{}, false, fmt.Errorf("the server refused the client's certificate, and neither of the two tells why: %q, %q", n.badCert, text)
		}
		c.noteReason(byLog, n.badCert, logged.reason)
		return logged, true, nil
	case n.did(matrix.StepSSLAccept) && n.early:
		c.noteReason(byLog, buffered, matrix.ProtocolViolation)
		return cause{matrix.StageTLS, matrix.ProtocolViolation}, true, nil
	default:
		return cause{}, false, nil
	}
	if n.badPacket != "" {
		c.noteReason(byLog, n.badPacket, found.reason)
	} else {
		c.noteReason(byLog, "direct SSL connection rejected", found.reason)
	}
	return found, true, nil
}

// contextCause says why a GSS security context failed. said is the client's message and in it, as group 1, the mechanism's reason.
func (c *classifier) contextCause(stage matrix.Stage, said []string, n *connection) (cause, error) {
	text, minor := said[0], said[1]
	if n != nil && n.token {
		if unproven.MatchString(minor) {
			return cause{stage, matrix.ServerUnproven}, nil
		}
		return cause{}, fmt.Errorf("unrecognised reason why an attacker's token was refused: %q (the client said %q)", minor, text)
	}
	// The client's reason and the server's are two: the server's says why it answered as it did.
	logged := n != nil && n.gssFailed != ""
	if logged {
		minor = n.gssFailed
	}
	if gokrb5NoCache.MatchString(minor) && strings.Contains(minor, "/tmp/krb5cc_") != c.ticket().Ambient {
		return cause{}, fmt.Errorf("witnesses contradict: with ticket=%s the client says %q", c.cell.Client.Ticket, text)
	}
	found, ok := lookUp(contextCauses, minor)
	if !ok {
		return cause{}, fmt.Errorf("unrecognised reason why a GSS security context failed: %q (the client said %q)", minor, text)
	}
	if logged {
		c.noteReason(byLog, minor, found.reason)
	}
	return cause{stage, found.reason}, nil
}

// checkLocal wants the wire to bear out what the client says of the server's answers.
func (c *classifier) checkLocal(found cause, text string, n *connection) error {
	switch {
	case (found.stage == matrix.StageOptions || found.stage == matrix.StageCredentials) && len(c.connections) > 0:
		return fmt.Errorf("witnesses contradict: the client says %q, and opened a connection", text)
	case found.reason == matrix.ServerUnproven && (n == nil || !n.token):
		return fmt.Errorf("witnesses contradict: the client says %q, and nobody forged a token", text)
	case (found.reason == matrix.RootMissing || found.reason == matrix.KeyUnusable) && c.cell.Client.SSLNegotiation == "direct": // the files are read before the first byte is sent
		if n == nil || !n.unused() {
			return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
		}
		return nil
	}
	need := c.neededSteps(found)
	switch {
	case len(need) == 0, n != nil && n.did(need...):
		return nil
	case n != nil && c.unix() && slices.ContainsFunc(need, func(s matrix.Step) bool { return slices.Contains(n.negotiated, s) }): // there is no wire
		return nil
	}
	return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
}

// neededSteps are steps of which one must have come before a client can give a reason; nil: none need have.
func (c *classifier) neededSteps(found cause) []matrix.Step {
	switch {
	case found.reason == matrix.GSSRefused:
		return []matrix.Step{matrix.StepGSSReject}
	case found.reason == matrix.TLSRefused && c.client.onlyS:
		return []matrix.Step{matrix.StepSSLReject, matrix.StepSSLError}
	case found.reason == matrix.TLSRefused:
		return []matrix.Step{matrix.StepSSLReject}
	case found.reason == matrix.AnswerError:
		return []matrix.Step{matrix.StepGSSError, matrix.StepSSLError}
	case found.stage == matrix.StageGSSEnc:
		return []matrix.Step{matrix.StepGSSAccept}
	case found.stage == matrix.StageTLS:
		return []matrix.Step{matrix.StepSSLAccept, matrix.StepDirectAccept}
	}
	return nil
}

// handshakeCause says why a TLS handshake failed. libpq says only "certificate verify failed" of the server's
// certificate; what was wrong with it is in the alert that the server logged. The other way round, an alert that the
// client received is about its own certificate.
func (c *classifier) handshakeCause(text string, n *connection) (found cause, ok bool, err error) {
	if matches(c.client.badCert, text) {
		witness, told := byLog, n.tlsFailed
		if n.acted { // the alert went to the attacker, or to a server that no longer listened
			witness, told = byWire, ""
			if n.alert != nil {
				told = "alert " + strings.ReplaceAll(n.alert.Name, "_", " ")
			}
		}
		for _, a := range alertCauses {
			if a.text.MatchString(told) {
				c.noteReason(witness, told, a.server)
				return cause{matrix.StageTLS, a.server}, true, nil
			}
		}
		return cause{}, false, nil
	}
	if said := submatches(c.client.tls.alerted, text); said != nil && n.tlsFailed != "" {
		for _, a := range alertCauses {
			if a.text.MatchString(said[1]) {
				return cause{matrix.StageTLS, a.mine}, true, c.checkClientCert(a.mine, text, n)
			}
		}
		if strings.Contains(said[1], "protocol version") || strings.Contains(said[1], "handshake failure") {
			return cause{matrix.StageTLS, matrix.TLSHandshake}, true, nil
		}
	}
	return cause{}, false, nil
}

// checkClientCert wants the server to have refused the client's certificate, and to log the reason that it told the client.
func (c *classifier) checkClientCert(reason matrix.Reason, text string, n *connection) error {
	logged, known := lookUp(clientCertCauses, n.badCert)
	unsigned := signatureFailed.MatchString(n.tlsFailed) && decryptError.MatchString(text) && (n.badCert == badSignature || n.badCert == "" && c.server < 16)
	switch {
	case n.tlsFailed != verifyFailed && !unsigned:
		return fmt.Errorf("witnesses contradict: the client says %q, the server could not accept the handshake because of %q", text, n.tlsFailed)
	case n.badCert == "" && c.server < 16:
		return nil
	case !known:
		return fmt.Errorf("unrecognised reason why the server refused the client's certificate: %q (the client said %q)", n.badCert, text)
	case logged.reason != reason:
		return fmt.Errorf("witnesses contradict: the client says %q, the server logged of its certificate %q", text, n.badCert)
	}
	return nil
}

// dial settles an attempt whose last connection did not reach the server, by the relay's word.
func (c *classifier) dial(text string) error {
	said := relayUnreached.FindStringSubmatch(text)
	if said == nil {
		return fmt.Errorf("unrecognised reason why the relay could not reach the server: %s", text)
	}
	found, err := dialCause(said[1])
	if err != nil {
		return err
	}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	c.noteRefusal(byWire, text, found)
	return nil
}

// dialCause says why nobody could be reached. Every server of a run is on the same network: a network that loses packets is a fault of the harness.
func dialCause(text string) (cause, error) {
	switch strings.ToLower(text) {
	case "connection refused", "connect call failed", "no such file or directory": // asyncio has one text for each errno
		return cause{matrix.StageDial, matrix.DialRefused}, nil
	}
	return cause{}, fmt.Errorf("unrecognised reason why the server could not be reached: %s", text)
}

// channelOf is what protected the connection; on a unix socket there is nothing but cleartext.
func (c *classifier) channelOf(n *connection) matrix.Channel {
	if c.unix() {
		return matrix.Plain
	}
	return n.conversation.channel
}

// ticket is the description of the client's ticket.
func (c *classifier) ticket() matrix.Ticket {
	t, _ := c.cell.World.TicketOf(&c.cell.Client)
	return t
}
