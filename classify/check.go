package classify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// checkConnection compares what the wire and the server's log say of one connection.
func (c *classifier) checkConnection(n connection) error {
	if err := c.checkReached(n); err != nil || n.dialFailed != "" {
		return err
	}
	if err := checkExit(n); err != nil {
		return err
	}
	if err := c.checkNames(n); err != nil {
		return err
	}
	if c.unix() {
		return nil
	}
	if err := c.checkAttack(n); err != nil {
		return err
	}
	if err := c.checkNegotiation(n); err != nil {
		return err
	}
	return checkAuthentication(n)
}

// checkReached wants the connection to be of the cell's transport, and the log to be that of the connection.
func (c *classifier) checkReached(n connection) error {
	if c.unix() {
		if len(n.evidence.Wire) > 0 {
			return fmt.Errorf("a wire record of a unix socket, which has no relay")
		}
		if n.host != "[local]" {
			return fmt.Errorf("the server logged a connection from %q, not from the unix socket", n.host)
		}
	} else {
		if n.dialFailed != "" {
			if n.opened || len(n.evidence.Log) > 0 {
				return fmt.Errorf("witnesses contradict: the relay could not reach the server (%s), and there is more", n.dialFailed)
			}
			return nil
		}
		if !n.opened {
			return fmt.Errorf("the wire record does not begin with an open connection")
		}
		if n.host == "" {
			return fmt.Errorf("the server's log is missing: no connection received")
		}
		if n.backend.port != n.evidence.ServerPort || !isAddress(n.host) {
			return fmt.Errorf("witnesses contradict: the log is that of %s port %d", n.host, n.backend.port)
		}
		if from := c.cell.Client.Address; from != "" && !sameAddress(n.host, from) {
			return fmt.Errorf("witnesses contradict: the cell's client has the address %s, the server received a connection from %s", from, n.host)
		}
	}
	return nil
}

// checkExit wants the log to be complete, and the process to have ended as its log says.
func checkExit(n connection) error {
	switch n.evidence.Exit {
	case "exit code 0":
		if n.fatal != nil {
			return fmt.Errorf("witnesses contradict: the server's process ended with exit code 0 after FATAL:  %s", n.fatal.text)
		}
	case "exit code 1":
		if n.fatal == nil {
			return fmt.Errorf("the server's process ended with exit code 1 and logged no reason")
		}
	case "":
		return fmt.Errorf("the server's log is incomplete: the exit of the process is missing")
	default:
		return fmt.Errorf("the server's process ended abnormally: %s", n.evidence.Exit)
	}
	return nil
}

// checkNames wants every name that the server or the wire mentions to be this cell's: the record of another attempt names another.
func (c *classifier) checkNames(n connection) error {
	user, database := c.cell.Client.User, c.cell.Client.Database
	if a := n.authorized; a != nil {
		if a.user != user || a.database != database && !a.replication {
			return fmt.Errorf("witnesses contradict: the server authorized user %q for database %q, the cell asks for %q and %q", a.user, a.database, user, database)
		}
		if a.replication != (c.cell.Client.Replication != "") {
			return fmt.Errorf("witnesses contradict: the server authorized replication: %t, the cell asks for replication=%q", a.replication, c.cell.Client.Replication)
		}
		if a.application != ApplicationName(c.cell) {
			return fmt.Errorf("witnesses contradict: the session in the server's log is that of application %q, not %q", a.application, ApplicationName(c.cell))
		}
	}
	if f := n.fatal; f != nil && strings.Contains(f.text, `user "`) && !strings.Contains(f.text, `user "`+user+`"`) {
		return fmt.Errorf("witnesses contradict: the cell asks for user %q, the server says FATAL:  %s", user, f.text)
	}
	if p := n.startup; p != nil && p.Replication != ReplicationWord(&c.cell.Client) {
		return fmt.Errorf("witnesses contradict: the startup packet on the wire has replication=%q, the cell asks for replication=%q", p.Replication, c.cell.Client.Replication)
	}
	if p := n.startup; p != nil && (p.User != user || p.Database != database || p.Application != ApplicationName(c.cell)) {
		return fmt.Errorf("witnesses contradict: the startup packet on the wire is of user %q for database %q, application %q; the cell asks for %q and %q", p.User, p.Database, p.Application, user, database)
	}
	return nil
}

// checkNegotiation compares the wire's steps with those that the server logs since 17.
func (c *classifier) checkNegotiation(n connection) error {
	if c.server < 17 {
		if len(n.negotiated) > 0 {
			return fmt.Errorf("witnesses contradict: a server of version %d does not log %v", c.server, n.negotiated)
		}
	} else {
		// A request that was not answered is logged where the server decided before the connection broke.
		seen := slices.DeleteFunc(slices.Clone(n.far.steps), func(s matrix.Step) bool {
			return s == matrix.StepGSSError || s == matrix.StepSSLError
		})
		logged := slices.Clone(n.negotiated)
		// "direct SSL connection rejected" is logged of a handshake that began and failed, too.
		if i := slices.Index(logged, matrix.StepDirectReject); i >= 0 && (n.tlsFailed != "" || n.badPacket != "") && slices.Contains(seen, matrix.StepDirectAccept) {
			logged[i] = matrix.StepDirectAccept
		}
		// A request for GSS encryption inside TLS is hidden from the wire.
		hidden := n.authorized != nil && channelOf(n.authorized.tls, n.authorized.gssEncrypted) == matrix.TLSAndGSS
		if !slices.Equal(seen, logged) && !hidden {
			return fmt.Errorf("witnesses contradict: the wire shows the negotiation %v, the server logged %v", seen, logged)
		}
	}
	if n.gssFailed != "" && !n.far.did(matrix.StepGSSAccept) {
		return fmt.Errorf("witnesses contradict: the server could not accept a GSSAPI security context, and the wire shows no gssaccept")
	}
	if n.tlsFailed != "" && !n.far.did(matrix.StepSSLAccept, matrix.StepDirectAccept, matrix.StepDirectReject) {
		return fmt.Errorf("witnesses contradict: the server could not accept a TLS handshake, and the wire shows none")
	}
	return nil
}

// checkAuthentication compares what is on the wire after the negotiation with the log: the channel, and where the startup
// packet went in the clear the authentication, too.
func checkAuthentication(n connection) error {
	if !n.reachedStartup() {
		return checkUnheard(n)
	}
	if n.gssFailed != "" || n.tlsFailed != "" {
		return fmt.Errorf("witnesses contradict: the server's log shows a failed handshake and a startup packet after it")
	}
	if err := checkChannel(n); err != nil {
		return err
	}
	if n.far.channel != matrix.Plain && !n.impersonated {
		if n.far.answered || len(n.far.errors) > 0 || n.far.query {
			return fmt.Errorf("witnesses contradict: a %s channel, and cleartext on the wire", n.far.channel)
		}
		return nil
	}
	if n.far.answered != (n.authorized != nil) {
		return fmt.Errorf("witnesses contradict: AuthenticationOk on the wire: %t, authorized in the server's log: %t", n.far.answered, n.authorized != nil)
	}
	switch {
	case n.fatal == nil && len(n.far.errors) > 0:
		return fmt.Errorf("witnesses contradict: the wire shows the error %q, the server logged none", n.far.errors[0].String())
	case n.fatal != nil && len(n.far.errors) == 0 && !n.far.clientLeft && !(n.killed() && n.far.query): // the relay does not read what comes after a query
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, the wire shows no error", n.fatal.text)
	case n.fatal != nil && len(n.far.errors) > 0 && !n.fatal.isSaid(n.far.errors[0]):
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, the wire shows the error %q", n.fatal.text, n.far.errors[0].String())
	}
	return nil
}

// checkUnheard is for a connection of whose startup packet the server's log says nothing.
func checkUnheard(n connection) error {
	if n.far.answered || len(n.far.errors) > 0 && n.far.startup != nil {
		return fmt.Errorf("witnesses contradict: the wire shows the server's answer to a startup packet, and the server's log does not (%v)", n.far.errors)
	}
	if n.far.startup != nil && n.badPacket == "" && len(n.far.requests) == 0 {
		return fmt.Errorf("witnesses contradict: the wire shows a startup packet, and the server neither asked for anything nor logged a reason not to")
	}
	return nil
}

// checkChannel compares the channel on the wire with what the server logged of it.
func checkChannel(n connection) error {
	channel := n.far.channel
	if channel == "" {
		return fmt.Errorf("witnesses contradict: the server's log shows a startup packet, the wire shows none and no encryption")
	}
	if a := n.authorized; a != nil {
		if logged := channelOf(a.tls, a.gssEncrypted); logged != channel && !(logged == matrix.TLSAndGSS && channel != matrix.Plain) {
			return fmt.Errorf("witnesses contradict: the wire shows a %s channel, the server logged %s", channel, logged)
		}
		if a.tls && n.far.tlsVersion != "" && a.tlsVersion != n.far.tlsVersion {
			return fmt.Errorf("witnesses contradict: the wire shows %s, the server logged %s", n.far.tlsVersion, a.tlsVersion)
		}
	}
	if f := n.fatal; f != nil {
		if logged := f.encryption(); logged != "" && logged != channel {
			return fmt.Errorf("witnesses contradict: the wire shows a %s channel, the server says FATAL:  %s", channel, f.text)
		}
	}
	return nil
}

// isSaid says whether an error on the wire is this one.
func (f *fatal) isSaid(e *matrix.WireError) bool {
	return e.State == f.state && strings.HasPrefix(e.Text, f.text)
}

func channelOf(tls, gss bool) matrix.Channel {
	switch {
	case tls && gss:
		return matrix.TLSAndGSS
	case tls:
		return matrix.TLS
	case gss:
		return matrix.GSS
	}
	return matrix.Plain
}

// checkRequests compares the authentication requests that the client received with the server's log. Not every client tells.
func (c *classifier) checkRequests() error {
	if !c.client.tells {
		return nil
	}
	received := count(c.evidence.Client.AuthRequests, "ok")
	authorized, forged := 0, 0
	for _, n := range c.connections {
		if n.authorized != nil && !c.unheardOK(n) {
			authorized++
		}
		forged += count(n.forged, "ok")
	}
	if received != authorized+forged {
		return fmt.Errorf("witnesses contradict: the client received AuthenticationOk %d times, the server logged %d authorized connections, the attacker forged %d", received, authorized, forged)
	}
	return nil
}

func count(words []string, word string) int {
	n := 0
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

// checkSystemUser compares SYSTEM_USER (16+): METHOD:IDENTITY, null for trust.
func (c *classifier) checkSystemUser(s matrix.Session) error {
	want := ""
	if c.outcome.Identity != "" && c.server >= 16 {
		want = string(c.outcome.Method) + ":" + c.outcome.Identity
	}
	if s.SystemUser != want && !s.Bare {
		return fmt.Errorf("witnesses contradict: system_user is %q, the server logged method %q and identity %q", s.SystemUser, c.outcome.Method, c.outcome.Identity)
	}
	return nil
}

// checkEarlier wants no session but the last, unless the client goes on after one that it does not want itself.
func (c *classifier) checkEarlier() error {
	given := &c.cell.Client
	for i := range len(c.connections) - 1 {
		earlier := c.connections[i]
		if c.closedByChoice(i) {
			if c.client.goesOn && (given.RequireAuth != "" || given.ChannelBinding == "require") {
				return fmt.Errorf("nobody tells whether the client closed the session on port %d for target_session_attrs, require_auth or channel_binding", earlier.evidence.ServerPort)
			}
			continue
		}
		if c.client.goesOn {
			continue
		}
		if earlier.authorized != nil && earlier.fatal == nil && !c.unheardOK(earlier) {
			return fmt.Errorf("witnesses contradict: the server's log shows a session on port %d, and the client went on to another connection", earlier.evidence.ServerPort)
		}
		if slices.Contains(earlier.forged, "ok") {
			return fmt.Errorf("witnesses contradict: the attacker forged a session on port %d, and the client went on to another connection", earlier.evidence.ServerPort)
		}
	}
	return nil
}
