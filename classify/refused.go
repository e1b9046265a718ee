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
	said := sayings(c.kind, c.evidence.Client.Message)
	var last saying
	if len(said) > 0 {
		last = said[len(said)-1]
	}
	n := c.last()
	if err := c.checkEarlier(); err != nil {
		return err
	}
	if err := c.checkHosts(said); err != nil {
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
	case n.spoiled():
		return c.spoiledRefusal(n, last)
	case n.authorized != nil && !last.fatal:
		return c.clientRefused(n, last) // AuthenticationOk and an error behind it arrive together, and the client stops at the first
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
	dead := c.cell.Client.Hosts == matrix.DeadFirst
	told := slices.ContainsFunc(said[:max(len(said)-1, 0)], func(s saying) bool { return !s.fatal && refusedTCP.MatchString(s.text) })
	lib := c.cell.Client.Library
	switch {
	case len(c.connections) == 0, dead == told:
		return nil
	case dead && lib.UsesLibpq() && lib.Libpq() < 14 && len(said) > 0 && !said[0].fatal && !refusedTCP.MatchString(said[0].text):
		return nil // printfPQExpBuffer put libpq's own words in the place of those before them; the server's are appended
	case dead:
		return fmt.Errorf("witnesses contradict: the first host refuses TCP connections, the client says only %q", c.evidence.Client.Message)
	}
	return fmt.Errorf("witnesses contradict: the client says that a host refuses TCP connections, and there is none but the server: %q", c.evidence.Client.Message)
}

// serverRefused settles an attempt whose last connection the server ended with a FATAL.
func (c *classifier) serverRefused(n *connection, last saying) error {
	f := n.fatal
	c.outcome.Channel = c.channelOf(n)
	if found, ok := lookUp(fatalCauses, f.state+" "+f.text); ok {
		if found.stage == matrix.StageStartup && (n.authorized == nil) != (found.reason == matrix.ServerStarting || f.text == "sorry, too many clients already") {
			return fmt.Errorf("witnesses contradict: authorized in the server's log: %t, and FATAL:  %s", n.authorized != nil, f.text)
		}
		if found.stage != matrix.StageStartup && n.authorized != nil {
			return fmt.Errorf("witnesses contradict: the server authorized the connection, and then FATAL:  %s", f.text)
		}
		if !last.fatal {
			return fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", f.text, last.text)
		}
		c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
		return c.decidedBy(n)
	}
	if n.authorized != nil {
		return fmt.Errorf("unrecognised error of the server after AuthenticationOk: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
	}
	for _, failure := range methodFailures {
		if f.state == failure.state && strings.HasPrefix(f.text, failure.prefix) {
			if err := c.methodFailed(n, failure.methods[0], last); err != nil {
				return err
			}
			return c.decidedBy(n)
		}
	}
	return fmt.Errorf("unrecognised error of the server: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
}

// methodFailed says why a method's exchange failed. The FATAL itself does not: what was logged before it does.
func (c *classifier) methodFailed(n *connection, method matrix.Method, last saying) error {
	settle := func(stage matrix.Stage, reason matrix.Reason) {
		c.outcome.Stage, c.outcome.Reason = stage, reason
	}
	// The server logs this FATAL of a client that hung up in the middle of a GSS exchange, too (pg_GSS_recvauth).
	clientLeft := method == matrix.MethodGSS && !last.fatal
	if !last.fatal && !clientLeft {
		return fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", n.fatal.text, last.text)
	}
	switch {
	case n.contextErr != "":
		// A client that is sent the reason as a token says so in its own words; without one it is told the FATAL.
		if clientLeft && !gssContinue.MatchString(last.text) && !pgxGSS.MatchString(last.text) {
			return fmt.Errorf("witnesses contradict: the server did not accept a GSS security context, the client says %q", last.text)
		}
		found, ok := lookUp(contextCauses, n.contextErr)
		if !ok {
			return fmt.Errorf("unrecognised reason why the server did not accept a GSS security context: %s", n.contextErr)
		}
		settle(matrix.StageAuth, found.reason)
	case clientLeft:
		if n.authenticated != nil || n.noMap != "" {
			return fmt.Errorf("witnesses contradict: the server authenticated the client, which says %q", last.text)
		}
		found, err := c.localCause(last.text, n)
		if err != nil {
			return err
		}
		if found.stage != matrix.StageAuth {
			return fmt.Errorf("witnesses contradict: the server says FATAL:  %s, the client %q", n.fatal.text, last.text)
		}
		settle(found.stage, found.reason)
	case n.certMismatch:
		settle(matrix.StageAuth, matrix.CertNameMismatch)
	case n.noMap != "":
		settle(matrix.StageIdent, matrix.MapNoMatch)
	case n.peerFailed != "":
		settle(matrix.StageAuth, matrix.PeerMismatch)
	case n.fatal.state == "28P01":
		settle(matrix.StageAuth, matrix.Password)
	case method == matrix.MethodGSS && (n.authenticated != nil || c.server < 14):
		// Only DEBUG2 says "GSSAPI realm (…) and configured realm (…) don't match": it is what is left.
		settle(matrix.StageAuth, matrix.RealmMismatch)
	default:
		return fmt.Errorf("the server's log does not say why: FATAL:  %s (%s)", n.fatal.text, n.fatal.detail)
	}
	return nil
}

// clientRefused settles an attempt that the server let in and the client did not want.
func (c *classifier) clientRefused(n *connection, last saying) error {
	found, err := c.localCause(last.text, n)
	if err != nil {
		return err
	}
	if found.reason != matrix.MethodRejected && found.reason != matrix.ChannelBinding {
		return fmt.Errorf("witnesses contradict: the server authorized the connection, the client says %q", last.text)
	}
	c.outcome.Stage, c.outcome.Reason, c.outcome.Channel = found.stage, found.reason, c.channelOf(n)
	return c.decidedBy(n)
}

// local settles an attempt that the client ended by itself before any server's word on its startup packet; n is its last
// connection, nil if there is none.
func (c *classifier) local(text string, n *connection) error {
	found, err := c.localCause(text, n)
	if err != nil {
		return err
	}
	if n == nil && found.stage != matrix.StageOptions && found.stage != matrix.StageCredentials && found.stage != matrix.StageDial {
		return fmt.Errorf("witnesses contradict: the client says %q, and neither relay nor server saw a connection", text)
	}
	if n != nil && found.stage == matrix.StageDial {
		return fmt.Errorf("witnesses contradict: the client says %q, and the server saw a connection", text)
	}
	if n != nil {
		switch channel := c.channelOf(n); {
		case (found.stage == matrix.StageOptions || found.stage == matrix.StageCredentials) && (n.startup != "" || len(n.steps) > 0),
			found.stage == matrix.StageGSSEnc && channel != "",
			found.stage == matrix.StageTLS && channel != "" && channel != matrix.TLS && !c.unix(): // lib/pq can ask for TLS even there
			return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v and a %q channel", text, c.outcome.Trace, channel)
		}
	}
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	if found.stage != matrix.StageAuth {
		return nil
	}
	if err := checkRefusal(n, found, text); err != nil {
		return err
	}
	if c.kind != matrix.KindPsql && len(c.evidence.Client.AuthRequests) == 0 {
		return fmt.Errorf("witnesses contradict: the client says %q, and received no authentication request", text)
	}
	if c.outcome.Channel = c.channelOf(n); c.outcome.Channel == "" {
		return fmt.Errorf("witnesses contradict: the client says %q, and no startup packet was sent", text)
	}
	if !c.unix() && c.outcome.Channel == matrix.Plain && len(n.conversation.requests) == 0 {
		return fmt.Errorf("witnesses contradict: the client says %q, and the wire shows no authentication request", text)
	}
	return c.decidedBy(n)
}

// localCause says what a client's own message means, with the help of the other witnesses of its last connection n.
func (c *classifier) localCause(text string, n *connection) (cause, error) {
	unknown := fmt.Errorf("unrecognised message of the client: %q", text)
	contextCause := func(stage matrix.Stage, minor string) (cause, error) {
		if n != nil && n.token {
			if unproven.MatchString(minor) {
				return cause{stage, matrix.ServerUnproven}, nil
			}
			return cause{}, fmt.Errorf("unrecognised reason why an attacker's token was refused: %q (the client said %q)", minor, text)
		}
		// The client's reason and the server's are two: the server's says why it answered as it did.
		if n != nil && n.gssFailed != "" {
			minor = n.gssFailed
		}
		if gokrb5NoCache.MatchString(minor) && strings.Contains(minor, "/tmp/krb5cc_") != (c.cell.Client.Ticket == matrix.Ambient) {
			return cause{}, fmt.Errorf("witnesses contradict: with ticket=%s the client says %q", c.cell.Client.Ticket, text)
		}
		if found, ok := lookUp(contextCauses, minor); ok {
			return cause{stage, found.reason}, nil
		}
		return cause{}, fmt.Errorf("unrecognised reason why a GSS security context failed: %q (the client said %q)", minor, text)
	}
	if found, ok := lookUp(localCauses, text); ok {
		return found, c.checkLocal(found, text, n)
	}
	if strings.Contains(text, gssImpossible) { // libpq up to 16 has one message for three reasons
		switch {
		case c.unix():
			return cause{matrix.StageOptions, matrix.GSSOnUnixSocket}, nil
		case n != nil && n.did(matrix.StepGSSReject):
			return cause{matrix.StageGSSEnc, matrix.GSSRefused}, nil
		case n != nil && len(n.steps) == 0 && n.startup == "" && len(c.connections) > 1 && c.connections[len(c.connections)-2].did(matrix.StepGSSError):
			return cause{matrix.StageGSSEnc, matrix.AnswerError}, nil // it came back without it
		case n != nil && len(n.steps) == 0 && n.startup == "":
			return cause{matrix.StageCredentials, matrix.NoTicket}, nil
		}
		return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
	}
	if text == AttackersWords && n != nil && n.acted && n.did(matrix.StepGSSAccept) {
		return cause{matrix.StageGSSEnc, matrix.AnswerError}, nil // libpq shows what comes in the place of a token
	}
	if m := gssInitiate.FindStringSubmatch(text); m != nil {
		if n == nil || !n.did(matrix.StepGSSAccept) {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, and the wire shows no gssaccept", text)
		}
		return contextCause(matrix.StageGSSEnc, m[1])
	}
	if m := gssencTicket.FindStringSubmatch(text); m != nil {
		if n == nil || !n.did(matrix.StepGSSAccept) || n.gssFailed != "" {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, and there is no gssaccept or the server had its token", text)
		}
		return contextCause(matrix.StageGSSEnc, m[1])
	}
	if m := gssContinue.FindStringSubmatch(text); m != nil {
		return contextCause(matrix.StageAuth, m[1])
	}
	if m := pgxGSS.FindStringSubmatch(text); m != nil {
		return contextCause(matrix.StageAuth, m[1])
	}
	if m := pqGSS.FindStringSubmatch(text); m != nil && c.kind == matrix.KindPQ {
		return contextCause(matrix.StageAuth, m[1])
	}
	// lib/pq reads its files between connecting and its first byte.
	if m := pqNoRoot.FindStringSubmatch(text); m != nil && c.kind == matrix.KindPQ && c.cell.Client.Root == "missing" {
		if n == nil || len(n.steps) > 0 || n.startup != "" {
			return cause{}, fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
		}
		return cause{matrix.StageTLS, matrix.RootMissing}, nil
	}
	if n != nil && n.gssFailed != "" && (text == "" || hungUp.MatchString(text) || gssencHungUp.MatchString(text)) {
		return contextCause(matrix.StageGSSEnc, "")
	}
	if n != nil && n.did(matrix.StepDirectReject) && hungUp.MatchString(text) {
		if n.acted {
			return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil // the attacker says that he closed
		}
		if c.cell.World.Server < 17 && n.badPacket == "" { // from 17 on the log says that it was rejected, which was compared
			return cause{}, fmt.Errorf("the client says %q after a direct TLS handshake, and the server logged nothing of it", text)
		}
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	}
	if n != nil && n.did(matrix.StepDirectAccept) && strings.Contains(n.badPacket, " ALPN protocol") && hungUp.MatchString(text) {
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	}
	if n != nil && n.did(matrix.StepSSLAccept) && (n.early && hungUp.MatchString(text) || n.acted && strings.HasSuffix(text, noTLSRecord)) {
		return cause{matrix.StageTLS, matrix.ProtocolViolation}, nil
	}
	if n != nil && n.did(matrix.StepSSLAccept, matrix.StepDirectAccept) {
		if found, ok := handshakeCause(text, n); ok {
			return found, nil
		}
	}
	if m := dialFailed.FindStringSubmatch(text); m != nil && n == nil {
		return dialCause(m[1]), nil
	}
	return cause{}, unknown
}

// checkLocal wants the wire to bear out what the client says of the server's answers.
func (c *classifier) checkLocal(found cause, text string, n *connection) error {
	var need []matrix.Step
	switch {
	case (found.stage == matrix.StageOptions || found.stage == matrix.StageCredentials) && len(c.connections) > 0:
		return fmt.Errorf("witnesses contradict: the client says %q, and opened a connection", text)
	case found.reason == matrix.ServerUnproven && (n == nil || !n.token):
		return fmt.Errorf("witnesses contradict: the client says %q, and nobody forged a token", text)
	case found.reason == matrix.RootMissing && c.cell.Client.SSLNegotiation == "direct": // the files are read before the first byte is sent
		if n == nil || len(n.steps) > 0 || n.startup != "" {
			return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
		}
		return nil
	case found.reason == matrix.GSSRefused:
		need = []matrix.Step{matrix.StepGSSReject}
	case found.reason == matrix.TLSRefused && c.cell.Client.Library.UsesLibpq():
		need = []matrix.Step{matrix.StepSSLReject}
	case found.reason == matrix.TLSRefused: // to the others everything but S is the same
		need = []matrix.Step{matrix.StepSSLReject, matrix.StepSSLError}
	case found.reason == matrix.AnswerError && strings.HasPrefix(text, "dial error: gssenc: token:"): // in the place of a token
		need = []matrix.Step{matrix.StepGSSAccept}
	case found.reason == matrix.AnswerError:
		need = []matrix.Step{matrix.StepGSSError, matrix.StepSSLError}
	case found.stage == matrix.StageGSSEnc:
		need = []matrix.Step{matrix.StepGSSAccept}
	case found.stage == matrix.StageTLS:
		need = []matrix.Step{matrix.StepSSLAccept, matrix.StepDirectAccept}
	default:
		return nil
	}
	switch {
	case n != nil && n.did(need...):
		return nil
	case n != nil && c.unix() && slices.ContainsFunc(need, func(s matrix.Step) bool { return slices.Contains(n.negotiated, s) }): // there is no wire
		return nil
	}
	return fmt.Errorf("witnesses contradict: the client says %q, the wire shows %v", text, c.outcome.Trace)
}

// handshakeCause says why a TLS handshake failed. libpq says only "certificate verify failed" of the server's
// certificate; what was wrong with it is in the alert that the server logged. The other way round, an alert that the
// client received is about its own certificate.
func handshakeCause(text string, n *connection) (cause, bool) {
	if verifyFailed.MatchString(text) {
		told := n.tlsFailed
		if n.acted { // the alert went to the attacker, or to a server that no longer listened: "fatal 48 unknown_ca"
			told = "alert"
			if words := strings.Fields(n.alert); len(words) == 3 {
				told += " " + strings.ReplaceAll(words[2], "_", " ")
			}
		}
		for _, a := range alertCauses {
			if a.text.MatchString(told) {
				return cause{matrix.StageTLS, a.server}, true
			}
		}
		return cause{}, false
	}
	if m := alerted.FindStringSubmatch(text); m != nil && n.tlsFailed != "" {
		for _, a := range alertCauses {
			if a.text.MatchString(m[1]) {
				return cause{matrix.StageTLS, a.mine}, true
			}
		}
		if strings.Contains(m[1], "protocol version") || strings.Contains(m[1], "handshake failure") {
			return cause{matrix.StageTLS, matrix.TLSHandshake}, true
		}
	}
	return cause{}, false
}

func (c *classifier) dial(text string) error {
	m := dialFailed.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("unrecognised reason why the relay could not reach the server: %s", text)
	}
	found := dialCause(m[1])
	c.outcome.Stage, c.outcome.Reason = found.stage, found.reason
	return nil
}

func dialCause(text string) cause {
	switch strings.ToLower(text) {
	case "connection refused", "no such file or directory":
		return cause{matrix.StageDial, matrix.DialRefused}
	}
	return cause{matrix.StageDial, matrix.DialTimeout}
}

// channelOf is what protected the connection; on a unix socket there is nothing but cleartext.
func (c *classifier) channelOf(n *connection) matrix.Channel {
	if c.unix() {
		return matrix.Plain
	}
	return n.conversation.channel
}
