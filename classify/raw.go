package classify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// raw settles an attempt of the raw client. It never says that it is connected: whether there was a session is decided here, and only by the
// server's log together with what the raw client read.
func (c *classifier) raw() error {
	n, err := c.onlyRaw()
	if err != nil {
		return err
	}
	c.connections = []connection{n}
	c.outcome.Trace = c.trace()
	if err := c.checkRequests(); err != nil {
		return err
	}
	c.outcome.Obtains = matrix.Nothing
	another := n.authorized != nil && n.authorized.user != c.cell.Client.User
	if n.executed || another {
		c.outcome.Obtains = matrix.Injected
	}
	r := c.evidence.Client.Raw
	if r.End == string(wire.EndSession) {
		if n.authorized == nil || n.fatal != nil || n.channel == "" {
			return fmt.Errorf("witnesses contradict: the server was ready for a query, and its log shows no session (channel %q)", n.channel)
		}
		c.outcome.End, c.outcome.Stage, c.outcome.Role = matrix.Connected, matrix.StageSession, n.authorized.user
		c.note(byLog, "authorized: user="+n.authorized.user, string(matrix.Connected), "role "+n.authorized.user)
		c.rawChannel(n.channel)
		if another {
			return nil // no record decided for the user that the cell asks for
		}
		return c.decidedBy(c.last())
	}
	found, witness, text, err := c.rawCause(c.last(), r)
	if err != nil {
		return err
	}
	c.outcome.End, c.outcome.Stage, c.outcome.Reason = matrix.Refused, found.stage, found.reason
	c.noteRefusal(witness, text, found)
	encrypting := found.stage == matrix.StageTLS || found.stage == matrix.StageGSSEnc
	switch {
	case encrypting && n.channel == matrix.Plain: // what is sent after an N decides nothing
	case !encrypting && n.channel == "":
		c.rawChannel(matrix.Plain)
	default:
		c.rawChannel(n.channel)
	}
	if n.fatal == nil {
		return nil // no record was looked for
	}
	return c.decidedBy(c.last())
}

// rawChannel settles the channel by the raw client's own record.
func (c *classifier) rawChannel(channel matrix.Channel) {
	if c.outcome.Channel = channel; channel != "" {
		c.note(byClient, "record of "+string(c.cell.Client.Attack), "channel "+string(channel))
	}
}

// onlyRaw is the one connection of the raw client, which must have played the cell's sequence.
func (c *classifier) onlyRaw() (connection, error) {
	r := c.evidence.Client.Raw
	switch {
	case r == nil || r.Sequence != c.cell.Client.Attack || sequences[r.Sequence].sends == nil:
		return connection{}, fmt.Errorf("the raw client did not play %s: %+v", c.cell.Client.Attack, r)
	case c.evidence.Client.Connected || c.evidence.Client.Session != nil || c.evidence.Client.Message != r.Error:
		return connection{}, fmt.Errorf("witnesses contradict: the raw client asks no session query; connected=%t, %q and %q", c.evidence.Client.Connected, c.evidence.Client.Message, r.Error)
	case !slices.Contains([]wire.Ending{wire.EndClosed, wire.EndReset, wire.EndOpen, wire.EndSession}, wire.Ending(r.End)):
		return connection{}, fmt.Errorf("the raw client says that %s ended as %q", r.Sequence, r.End)
	case len(c.evidence.Connections) != 1:
		return connection{}, fmt.Errorf("the raw client opens one connection, seen were %d", len(c.evidence.Connections))
	}
	n, err := c.readRaw(c.evidence.Connections[0], r)
	if err != nil {
		return n, fmt.Errorf("port %d: %w", c.evidence.Connections[0].ServerPort, err)
	}
	return n, nil
}

// readRaw reads the one connection and holds its witnesses against each other.
func (c *classifier) readRaw(e matrix.ConnectionEvidence, r *matrix.RawEvidence) (connection, error) {
	n := connection{evidence: e}
	var err error
	if n.conversation, err = readRawWire(r.Events); err != nil {
		return n, err
	}
	n.far = n.conversation
	if n.backend, err = readLog(e.Log); err != nil {
		return n, err
	}
	if err := c.checkReached(n); err != nil {
		return n, err
	}
	if err := checkExit(n); err != nil {
		return n, err
	}
	if !c.unix() {
		if err := checkRelayed(n, r); err != nil {
			return n, err
		}
	}
	if err := checkSent(n, r); err != nil {
		return n, err
	}
	if err := c.checkNegotiation(n); err != nil {
		return n, err
	}
	return n, c.checkRawAnswers(n, r)
}

// telling are the events of one side by which two records are compared. What TLS and GSS encryption are made of comes
// in pieces that depend on the reader.
func telling(events []matrix.WireEvent, from string) (told []string) {
	for _, e := range events {
		switch wire.Kind(e.Kind) {
		case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS, wire.Answer, wire.ServerHello, wire.Startup, wire.AuthRequest, wire.ErrorResponse, wire.Ready, wire.Query:
		case wire.Stuffed, wire.Malformed:
			if from == "server" {
				continue // see checkRelayed
			}
		default:
			continue
		}
		if e.From == from {
			told = append(told, e.String())
		}
	}
	return told
}

// checkRelayed compares what the relay saw with the raw client's own record. The relay does not see into encryption. A
// reset destroys what one end has sent and the other not yet read.
func checkRelayed(n connection, r *matrix.RawEvidence) error {
	for _, from := range []string{"client", "server"} {
		if relay, own := telling(n.evidence.Wire, from), telling(r.Events, from); !sameRecord(relay, own, n.channel, r.End, from) {
			return fmt.Errorf("witnesses contradict: of the %s the relay saw %q, the raw client %q", from, relay, own)
		}
	}
	if e := n.evidence.Wire; len(e) == 0 || wire.Kind(e[0].Kind) != wire.Open {
		return fmt.Errorf("the wire record does not begin with an open connection")
	}
	closed := false // by the raw client, which does not read what a server still says then
	for _, e := range n.evidence.Wire {
		switch kind := wire.Kind(e.Kind); {
		case e.From == "client" && (kind == wire.Close || kind == wire.Reset):
			closed = true
		case e.From == "attacker", kind == wire.CancelRequest, kind == wire.DialFailed:
			return fmt.Errorf("the relay recorded %s from %s of the raw client", e, e.From)
		case e.From == "server" && !closed && (kind == wire.Malformed || kind == wire.Stuffed):
			return fmt.Errorf("the wire shows %s from the server", e)
		}
	}
	return nil
}

// sameRecord says whether the relay's record of one side fits the raw client's own.
func sameRecord(relay, own []string, channel matrix.Channel, end, from string) bool {
	common := 0
	for common < min(len(relay), len(own)) && relay[common] == own[common] {
		common++
	}
	missed := len(own) - common   // by the relay
	unread := len(relay) - common // by the raw client
	encrypted := channel == matrix.TLS || channel == matrix.GSS || channel == matrix.TLSAndGSS
	switch reset := end == string(wire.EndReset); {
	case missed == 0 && unread == 0:
		return true
	case unread == 0:
		return encrypted || missed == 1 && from == "client" && (reset || end == string(wire.EndClosed))
	case missed == 0:
		return unread == 1 && from == "server" && reset && strings.HasPrefix(relay[common], string(wire.ErrorResponse))
	}
	return false
}

// ownRecord is what the raw client recorded of itself, as far as it tells the sequences apart.
type ownRecord struct {
	sent     []wire.Kind
	token    string
	startups []*matrix.WireStartup
	hello    *matrix.WireTLS // the last ClientHello
}

func readOwn(events []matrix.WireEvent) (own ownRecord) {
	for _, e := range events {
		kind := wire.Kind(e.Kind)
		switch kind {
		case wire.ClientHello:
			own.hello = e.TLS
			continue
		case wire.Startup:
			own.startups = append(own.startups, e.Startup)
		case wire.Malformed:
			own.token = e.Text
		case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS, wire.Stuffed:
		default:
			continue
		}
		if e.From == "client" {
			own.sent = append(own.sent, kind)
		}
	}
	return own
}

// checkSent wants the sequence to have been sent as far as the server let it: one that was not must never be taken for one
// that was refused.
func checkSent(n connection, r *matrix.RawEvidence) error {
	sequence, own := sequences[r.Sequence], readOwn(r.Events)
	if r.Sequence == matrix.Alternate {
		return checkAlternate(n, sequence.sends, own.sent)
	}
	want := sequence.sends
	// A client that was not asked for anything sends no second startup packet.
	unasked := r.Sequence == matrix.SecondStartup && !slices.Contains(own.sent, wire.Malformed) && (r.End == string(wire.EndSession) || len(n.errors) > 0)
	if sequence.stops != "" && n.did(sequence.stops) || unasked {
		want = want[:1]
	}
	stuffs := slices.Contains(want, wire.Stuffed) // then there is more, and how much of it is chance
	if len(own.sent) < len(want) || !slices.Equal(own.sent[:len(want)], want) || !stuffs && len(own.sent) != len(want) {
		return fmt.Errorf("the raw client did not send %s: want %v, its record shows %v", r.Sequence, want, own.sent)
	}
	if sequence.token != "" && len(want) > 1 && own.token != sequence.token {
		return fmt.Errorf("the raw client's token of %s begins with %s", r.Sequence, own.token)
	}
	if want[0] == wire.DirectTLS && (own.hello == nil || strings.Join(own.hello.ALPN, ",") != sequence.alpn) {
		return fmt.Errorf("the raw client's ClientHello of %s does not offer the ALPN protocol %q", r.Sequence, sequence.alpn)
	}
	version := cmp.Or(sequence.version, "3.0")
	if len(own.startups) > 1 || len(own.startups) == 1 && own.startups[0].Protocol != version {
		return fmt.Errorf("the raw client did not send %s: of its %d startup packets one should be of protocol %s", r.Sequence, len(own.startups), version)
	}
	return nil
}

// checkAlternate wants two requests in turn, as long as the answer is N.
func checkAlternate(n connection, want, sent []wire.Kind) error {
	good := len(sent) > 0 && len(n.steps) == len(sent)
	for i := 0; good && i < len(sent); i++ {
		declined := n.steps[i] == matrix.StepSSLReject || n.steps[i] == matrix.StepGSSReject
		good = sent[i] == want[i%2] && declined == (i < len(sent)-1)
	}
	if !good {
		return fmt.Errorf("the raw client did not send two requests in turn as long as it was answered N: %v, %v", sent, n.steps)
	}
	return nil
}

// checkRawAnswers compares what the raw client read with the server's log: it sees into encryption, so all must be there.
func (c *classifier) checkRawAnswers(n connection, r *matrix.RawEvidence) error {
	if p := n.startup; p != nil && p.Protocol != "2.0" && (p.User != c.cell.Client.User || p.Database != c.cell.Client.Database) {
		return fmt.Errorf("witnesses contradict: the raw client's startup packet is of user %q for database %q, the cell asks for %q and %q", p.User, p.Database, c.cell.Client.User, c.cell.Client.Database)
	}
	if err := checkRawError(n, r); err != nil {
		return err
	}
	if err := c.checkRawSession(n, r); err != nil {
		return err
	}
	sends := sequences[r.Sequence].sends
	stuffs := slices.Contains(sends, wire.Stuffed)
	if len(r.Executed) > 0 && !n.executed || n.executed && !stuffs {
		return fmt.Errorf("witnesses contradict: the raw client saw the statements executed: %v, the server's log shows the attacker's: %t", r.Executed, n.executed)
	}
	if r.TLS != "" && (n.channel == matrix.TLS || !slices.Contains(sends, wire.SSLRequest) && !slices.Contains(sends, wire.DirectTLS)) {
		return fmt.Errorf("witnesses contradict: the raw client could not have TLS (%s), and its channel is %q", r.TLS, n.channel)
	}
	if n.early && !stuffs {
		return fmt.Errorf("witnesses contradict: nothing was sent before its time, and the server found bytes that came before the handshake")
	}
	if gone := r.End == string(wire.EndClosed) || r.End == string(wire.EndReset); n.ended() && !gone {
		return fmt.Errorf("witnesses contradict: the server ended the connection, and the raw client left it %s", r.End)
	}
	return nil
}

// ended says whether the server's log has a reason why the server ended the connection.
func (b *backend) ended() bool {
	return b.fatal != nil || b.badPacket != "" || b.oversize || b.unwrapFailed != "" || b.gssFailed != "" || b.tlsFailed != "" && !rawLeft.MatchString(b.tlsFailed)
}

// checkRawError compares the error that the raw client was told with its record and with the server's log.
func checkRawError(n connection, r *matrix.RawEvidence) error {
	if len(n.errors) > 0 != (r.Error != "") || r.Error != "" && n.errors[len(n.errors)-1].String() != r.Error {
		return fmt.Errorf("witnesses contradict: the raw client was told %q, its record shows %v", r.Error, n.errors)
	}
	switch f := n.fatal; {
	case f == nil && r.Error != "":
		return fmt.Errorf("witnesses contradict: the raw client was told %q, the server logged no FATAL", r.Error)
	case f != nil && r.Error == "" && r.End != string(wire.EndReset):
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, and the raw client was told nothing (%s)", f.text, r.End)
	case f != nil && r.Error != "" && !strings.HasPrefix(r.Error, f.state+" "+f.text) && r.Error != "- FATAL:  "+f.text:
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, the raw client was told %q", f.text, r.Error)
	}
	return nil
}

// checkRawSession compares the authentication that the raw client saw with the server's log.
func (c *classifier) checkRawSession(n connection, r *matrix.RawEvidence) error {
	if !slices.Equal(n.requests, c.evidence.Client.AuthRequests) {
		return fmt.Errorf("witnesses contradict: the raw client received the requests %v, its record shows %v", c.evidence.Client.AuthRequests, n.requests)
	}
	a := n.authorized
	if n.answered != (a != nil) {
		return fmt.Errorf("witnesses contradict: the raw client received AuthenticationOk: %t, authorized in the server's log: %t", n.answered, a != nil)
	}
	if a == nil {
		return nil
	}
	if logged := channelOf(a.tls, a.gssEncrypted); logged != n.channel || a.tls && a.tlsVersion != n.tlsVersion {
		return fmt.Errorf("witnesses contradict: the raw client's channel is %s, the server logged %s", n.channel, logged)
	}
	second := r.Sequence == matrix.SecondStartup && a.user == "postgres"
	if (a.user != c.cell.Client.User || a.database != c.cell.Client.Database) && !second {
		return fmt.Errorf("witnesses contradict: the server authorized user %q for database %q, the cell asks for %q and %q", a.user, a.database, c.cell.Client.User, c.cell.Client.Database)
	}
	return nil
}

// rawCause says what ended a sequence, with the witness and the text that told so.
func (c *classifier) rawCause(n *connection, r *matrix.RawEvidence) (found cause, witness, text string, err error) {
	step := matrix.Step("")
	if len(n.steps) > 0 {
		step = n.steps[len(n.steps)-1]
	}
	switch {
	case n.fatal != nil:
		found, err = rawFatal(n.fatal, step, slices.Contains(sequences[r.Sequence].sends, wire.Stuffed))
		return found, byLog, "FATAL:  " + n.fatal.text, err
	case n.badPacket != "":
		found, err = c.rawBadPacket(n, r, step)
		return found, byLog, n.badPacket, err
	case n.oversize || n.unwrapFailed != "" || n.gssFailed != "":
		found, err = rawBadToken(n, r)
		return found, byLog, cmp.Or(n.unwrapFailed, n.gssFailed, "oversize GSSAPI packet"), err
	case n.tlsFailed != "" && !(r.Sequence == matrix.Alternate && step == matrix.StepSSLAccept && rawLeft.MatchString(n.tlsFailed)):
		found, err = rawBadHandshake(n, r, step)
		return found, byLog, n.tlsFailed, err
	}
	found, err = c.rawAbandoned(n, r, step)
	return found, byClient, strings.TrimSpace(string(r.Sequence) + " ended as " + r.End + " after " + string(step)), err
}

// rawFatal reads a FATAL. stuffs: bytes were sent before their time.
func rawFatal(f *fatal, step matrix.Step, stuffs bool) (cause, error) {
	said := f.state + " " + f.text
	for _, known := range rawFatals {
		if known.text.MatchString(said) && (known.after == "" && known.stage != matrix.StageStartup || known.after == step) {
			return known.cause, nil
		}
	}
	found, ok := lookUp(fatalCauses, said)
	switch {
	case !ok:
		return cause{}, fmt.Errorf("unrecognised error of the server: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
	case strings.HasPrefix(f.text, receivedEarly) && !stuffs:
		return cause{}, fmt.Errorf("witnesses contradict: nothing was sent before its time, and the server says FATAL:  %s", f.text)
	}
	return found, nil
}

func (c *classifier) rawBadPacket(n *connection, r *matrix.RawEvidence, step matrix.Step) (cause, error) {
	tooLong := n.badPacket == "invalid length of startup packet"
	switch {
	case strings.Contains(n.badPacket, " ALPN protocol") && r.Sequence == matrix.DirectNoALPN && step == matrix.StepDirectAccept,
		tooLong && step == matrix.StepDirectReject && c.server < 17 && r.TLS != "":
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	case tooLong && step == "" && r.Sequence == matrix.LongStartup:
		return cause{matrix.StageStartup, matrix.ProtocolViolation}, nil
	}
	return cause{}, fmt.Errorf("the server logged %q in answer to %s", n.badPacket, r.Sequence)
}

func rawBadToken(n *connection, r *matrix.RawEvidence) (cause, error) {
	switch {
	case n.oversize && r.Sequence == matrix.GSSENCOversize, sequences[r.Sequence].token != "" && noToken.MatchString(n.gssFailed):
		return cause{matrix.StageGSSEnc, matrix.ProtocolViolation}, nil
	case n.unwrapFailed != "" && r.Sequence == matrix.GSSENCExtraCount:
		return cause{matrix.StageGSSEnc, matrix.IntegrityCheck}, nil
	}
	return cause{}, fmt.Errorf("the server could not take a token of %s (oversize: %t, %q)", r.Sequence, n.oversize, n.unwrapFailed+n.gssFailed)
}

func rawBadHandshake(n *connection, r *matrix.RawEvidence, step matrix.Step) (cause, error) {
	switch {
	case n.early && r.TLS != "" && step == matrix.StepSSLAccept && noRecord.MatchString(n.tlsFailed):
		return cause{matrix.StageTLS, matrix.ProtocolViolation}, nil
	case r.Sequence == matrix.DirectWrongALPN && noALPN.MatchString(n.tlsFailed) && alertALPN.MatchString(r.TLS):
		return cause{matrix.StageTLS, matrix.TLSHandshake}, nil
	}
	return cause{}, fmt.Errorf("unrecognised failure of a handshake with the raw client: %s (it says %q)", n.tlsFailed, r.TLS)
}

// rawAbandoned is for a sequence of whose end the server logged no reason.
func (c *classifier) rawAbandoned(n *connection, r *matrix.RawEvidence, step matrix.Step) (cause, error) {
	open := r.End == string(wire.EndOpen)
	switch {
	case step == matrix.StepDirectReject && c.server >= 17 && r.TLS != "" && !open:
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	case !open || n.authorized != nil || len(n.requests) > 0:
		return cause{}, fmt.Errorf("nobody says why %s ended as %s (%q, %v)", r.Sequence, r.End, r.TLS, n.requests)
	case step == matrix.StepSSLReject && r.TLS == "the server answered N":
		return cause{matrix.StageTLS, matrix.TLSRefused}, nil
	case step == matrix.StepGSSReject:
		return cause{matrix.StageGSSEnc, matrix.GSSRefused}, nil
	case step == matrix.StepSSLAccept && r.TLS == "":
		return cause{matrix.StageTLS, matrix.Abandoned}, nil
	case step == matrix.StepGSSAccept:
		return cause{matrix.StageGSSEnc, matrix.Abandoned}, nil
	}
	return cause{}, fmt.Errorf("nobody says why %s ended (%v, %q)", r.Sequence, n.steps, r.TLS)
}
