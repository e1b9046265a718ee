package classify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// sent is what each sequence sends until the server says no, by the kinds of events that the raw client must have
// recorded of itself. The ones that wait for an answer are told from those that do not by what the server answered.
var sent = map[matrix.Attack][]wire.Kind{
	"gssenc-in-tls":        {wire.SSLRequest, wire.GSSENCRequest},
	"gssenc-in-direct-tls": {wire.DirectTLS, wire.GSSENCRequest},
	"tls-in-gss":           {wire.GSSENCRequest, wire.SSLRequest},
	"alternate":            {wire.SSLRequest, wire.GSSENCRequest, wire.SSLRequest},
	"second-startup":       {wire.Startup, wire.Malformed},
	"ssl-with-query":       {wire.SSLRequest, wire.Stuffed},
	"ssl-with-startup":     {wire.SSLRequest, wire.Stuffed},
	"gssenc-with-query":    {wire.GSSENCRequest, wire.Stuffed},
	"gssenc-with-startup":  {wire.GSSENCRequest, wire.Stuffed},
	"gssenc-garbage":       {wire.GSSENCRequest, wire.Malformed},
	"gssenc-empty":         {wire.GSSENCRequest, wire.Malformed},
	"gssenc-oversize":      {wire.GSSENCRequest, wire.Malformed},
	"gssenc-extra-count":   {wire.GSSENCRequest, wire.Startup},
	"direct-no-alpn":       {wire.DirectTLS, wire.Startup},
	"direct-wrong-alpn":    {wire.DirectTLS, wire.Startup},
	"long-startup":         {wire.Malformed},
	"protocol-2.0":         {wire.Startup},
	"protocol-3.9":         {wire.Startup},
}

// badTokens are what is sent in the place of a token, by its first bytes.
var badTokens = map[matrix.Attack]string{"gssenc-garbage": "00000040aaaaaaaa", "gssenc-empty": "00000000", "gssenc-oversize": "00010001"}

// rawFatals are the FATAL messages that only a raw client provokes, with the step of the negotiation that they answer.
// Sources: ProcessStartupPacket (postmaster.c, backend_startup.c since 17); auth.c, auth-sasl.c.
var rawFatals = []struct {
	textCause
	after matrix.Step // "": none
}{
	{row(`^0A000 unsupported frontend protocol 1234\.5680: server supports `, matrix.StageGSSEnc, matrix.ProtocolViolation), matrix.StepGSSError},
	{row(`^0A000 unsupported frontend protocol 1234\.5679: server supports `, matrix.StageTLS, matrix.ProtocolViolation), matrix.StepSSLError},
	{row(`^0A000 unsupported frontend protocol 2\.0: server supports `, matrix.StageStartup, matrix.ProtocolViolation), ""},
	{row(`^08P01 expected (SASL|GSS|password) response, got message type 0$`, matrix.StageAuth, matrix.ProtocolViolation), ""},
}

// raw settles an attempt of the raw client, which tells itself what it saw, inside encryption, too. It never says that it is
// connected: whether there was a session is decided here, and only by the server's log together with what it read.
func (c *classifier) raw() error {
	r := c.evidence.Client.Raw
	switch {
	case r == nil || r.Sequence != c.cell.Client.Attack || sent[r.Sequence] == nil:
		return fmt.Errorf("the raw client did not play %s: %+v", c.cell.Client.Attack, r)
	case c.evidence.Client.Connected || c.evidence.Client.Session != nil || c.evidence.Client.Message != r.Error:
		return fmt.Errorf("witnesses contradict: the raw client asks no session query; connected=%t, %q and %q", c.evidence.Client.Connected, c.evidence.Client.Message, r.Error)
	case !slices.Contains([]wire.Ending{wire.EndClosed, wire.EndReset, wire.EndOpen, wire.EndSession}, wire.Ending(r.End)):
		return fmt.Errorf("the raw client says that %s ended as %q", r.Sequence, r.End)
	case len(c.evidence.Connections) != 1:
		return fmt.Errorf("the raw client opens one connection, seen were %d", len(c.evidence.Connections))
	}
	n, err := c.readRaw(c.evidence.Connections[0], r)
	if err != nil {
		return fmt.Errorf("port %d: %w", c.evidence.Connections[0].ServerPort, err)
	}
	c.connections = []connection{n}
	c.outcome.Trace = c.trace()
	if err := c.checkRequests(); err != nil {
		return err
	}
	c.outcome.Obtains = matrix.Nothing
	if n.executed || n.authorized != nil && n.authorized.user != c.cell.Client.User {
		c.outcome.Obtains = matrix.Injected
	}
	if r.End == string(wire.EndSession) {
		if n.authorized == nil || n.fatal != nil || n.channel == "" {
			return fmt.Errorf("witnesses contradict: the server was ready for a query, and its log shows no session (channel %q)", n.channel)
		}
		c.outcome.End, c.outcome.Stage, c.outcome.Channel, c.outcome.Role = matrix.Connected, matrix.StageSession, n.channel, n.authorized.user
		if n.authorized.user != c.cell.Client.User {
			return nil // no record decided for whom the cell asks for
		}
		return c.decidedBy(c.last())
	}
	found, err := c.rawCause(c.last(), r)
	if err != nil {
		return err
	}
	c.outcome.End, c.outcome.Stage, c.outcome.Reason = matrix.Refused, found.stage, found.reason
	switch c.outcome.Channel = n.channel; {
	case found.stage == matrix.StageTLS && n.channel == matrix.Plain, found.stage == matrix.StageGSSEnc && n.channel == matrix.Plain:
		c.outcome.Channel = "" // what is sent behind an N decides nothing
	case found.stage != matrix.StageTLS && found.stage != matrix.StageGSSEnc && n.channel == "":
		c.outcome.Channel = matrix.Plain
	}
	if n.fatal == nil {
		return nil // no record was looked for
	}
	return c.decidedBy(c.last())
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

// readRawWire follows what the raw client recorded. Channels can be nested here, and requests come where they should not.
func readRawWire(events []matrix.WireEvent) (conversation, error) {
	var n conversation
	pending := wire.Kind("")
	steps := map[wire.Kind][3]matrix.Step{ // accepted, rejected, neither
		wire.GSSENCRequest: {matrix.StepGSSAccept, matrix.StepGSSReject, matrix.StepGSSError},
		wire.SSLRequest:    {matrix.StepSSLAccept, matrix.StepSSLReject, matrix.StepSSLError},
		wire.DirectTLS:     {matrix.StepDirectAccept, matrix.StepDirectReject, matrix.StepDirectReject},
	}
	settle := func(i int) {
		n.steps = append(n.steps, steps[pending][i])
		pending = ""
	}
	for _, e := range events {
		switch kind := wire.Kind(e.Kind); kind {
		case wire.Open:
			n.opened = true
		case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS:
			if pending != "" {
				return n, fmt.Errorf("the raw client sent %s before %s was answered", kind, pending)
			}
			pending = kind
		case wire.Answer:
			switch {
			case pending == wire.SSLRequest && e.Detail == "S", pending == wire.GSSENCRequest && e.Detail == "G":
				settle(0)
			case pending == wire.SSLRequest && e.Detail != "G", pending == wire.GSSENCRequest && e.Detail != "S":
				settle(map[string]int{"N": 1, "E": 2}[e.Detail])
				if e.Detail != "N" && e.Detail != "E" {
					return n, fmt.Errorf("the raw client was answered %q", e.Detail)
				}
			default:
				return n, fmt.Errorf("the raw client was answered %q to %q", e.Detail, pending)
			}
		case wire.ServerHello:
			if pending == wire.DirectTLS {
				settle(0)
			}
			n.tlsVersion, _, _ = strings.Cut(e.Detail, " ")
			n.channel = channelOf(true, n.channel == matrix.GSS || n.channel == matrix.TLSAndGSS)
		case wire.GSSData:
			n.channel = channelOf(n.channel == matrix.TLS || n.channel == matrix.TLSAndGSS, true)
		case wire.Startup:
			n.startup = e.Detail
			if n.channel == "" {
				n.channel = matrix.Plain
			}
		case wire.AuthRequest:
			n.requests = append(n.requests, e.Detail)
			n.answered = n.answered || e.Detail == "ok"
		case wire.ErrorResponse:
			n.errors = append(n.errors, e.Detail)
		case wire.Malformed:
			if e.From == "server" {
				return n, fmt.Errorf("the raw client was sent what is no protocol (%s)", e.Detail)
			}
		case wire.Stuffed:
			if e.From == "server" {
				return n, fmt.Errorf("the raw client was sent %s bytes that were not due yet", e.Detail)
			}
		case wire.Query, wire.Close, wire.Reset, wire.ClientHello, wire.TLSAlert, wire.TLSData, wire.GSSToken, wire.PasswordSent, wire.Ready:
		default:
			return n, fmt.Errorf("the raw client recorded %s from %s (%s)", e.Kind, e.From, e.Detail)
		}
	}
	if pending != "" {
		settle(2)
	}
	if !n.opened {
		return n, fmt.Errorf("the raw client's record does not begin with an open connection")
	}
	return n, nil
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
			told = append(told, strings.TrimSpace(e.Kind+" "+e.Detail))
		}
	}
	return told
}

// checkRelayed compares what the relay saw with the raw client's own record. The relay does not see into encryption. A
// reset destroys what one end has sent and the other not yet read.
func checkRelayed(n connection, r *matrix.RawEvidence) error {
	for _, from := range []string{"client", "server"} {
		relay, own := telling(n.evidence.Wire, from), telling(r.Events, from)
		if slices.Equal(relay, own) {
			continue
		}
		common := 0
		for common < min(len(relay), len(own)) && relay[common] == own[common] {
			common++
		}
		missed := len(own) - common   // by the relay
		unread := len(relay) - common // by the raw client
		hidden := n.channel == matrix.TLS || n.channel == matrix.GSS || n.channel == matrix.TLSAndGSS
		gone := r.End == string(wire.EndReset) || r.End == string(wire.EndClosed)
		switch {
		case unread == 0 && (hidden || missed == 1 && from == "client" && gone):
		case missed == 0 && unread == 1 && from == "server" && r.End == string(wire.EndReset) && strings.HasPrefix(relay[common], string(wire.ErrorResponse)):
		default:
			return fmt.Errorf("witnesses contradict: of the %s the relay saw %q, the raw client %q", from, relay, own)
		}
	}
	if e := n.evidence.Wire; len(e) == 0 || wire.Kind(e[0].Kind) != wire.Open {
		return fmt.Errorf("the wire record does not begin with an open connection")
	}
	closed := false // by the raw client; what a server still says then, nobody will read
	for _, e := range n.evidence.Wire {
		switch kind := wire.Kind(e.Kind); {
		case e.From == "client" && (kind == wire.Close || kind == wire.Reset):
			closed = true
		case e.From == "attacker", kind == wire.CancelRequest, kind == wire.DialFailed:
			return fmt.Errorf("the relay recorded %s from %s (%s) of the raw client", e.Kind, e.From, e.Detail)
		case e.From == "server" && !closed && (kind == wire.Malformed || kind == wire.Stuffed):
			return fmt.Errorf("the wire shows %s from the server (%s)", e.Kind, e.Detail)
		}
	}
	return nil
}

// checkSent wants the sequence to have been sent as far as the server let it: one that was not must never be taken for one
// that was refused.
func checkSent(n connection, r *matrix.RawEvidence) error {
	var own []wire.Kind
	token := ""
	var startups []string
	for _, e := range r.Events {
		kind := wire.Kind(e.Kind)
		switch kind {
		case wire.Startup:
			startups = append(startups, e.Detail)
		case wire.Malformed:
			token = e.Detail
		case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS, wire.Stuffed:
		default:
			continue
		}
		if e.From == "client" {
			own = append(own, kind)
		}
	}
	want := sent[r.Sequence]
	if stopped := map[matrix.Attack]bool{
		"gssenc-in-tls":        n.did(matrix.StepSSLReject),
		"gssenc-in-direct-tls": n.did(matrix.StepDirectReject),
		"gssenc-garbage":       n.did(matrix.StepGSSReject),
		"gssenc-empty":         n.did(matrix.StepGSSReject),
		"gssenc-oversize":      n.did(matrix.StepGSSReject),
		"direct-no-alpn":       n.did(matrix.StepDirectReject),
		"direct-wrong-alpn":    n.did(matrix.StepDirectReject),
		"second-startup":       !slices.Contains(own, wire.Malformed) && (r.End == string(wire.EndSession) || len(n.errors) > 0), // it was not asked for anything
	}[r.Sequence]; stopped {
		want = want[:1]
	}
	if r.Sequence == "alternate" { // as long as it is N
		good := len(own) > 0 && len(n.steps) == len(own)
		for i := 0; good && i < len(own); i++ {
			declined := n.steps[i] == matrix.StepSSLReject || n.steps[i] == matrix.StepGSSReject
			good = own[i] == want[i%2] && declined == (i < len(own)-1)
		}
		if !good {
			return fmt.Errorf("the raw client did not send %s as long as it was answered N: %v, %v", r.Sequence, own, n.steps)
		}
		return nil
	}
	stuffs := slices.Contains(want, wire.Stuffed) // then there is more, and how much of it is chance
	if len(own) < len(want) || !slices.Equal(own[:len(want)], want) || !stuffs && len(own) != len(want) {
		return fmt.Errorf("the raw client did not send %s: want %v, its record shows %v", r.Sequence, want, own)
	}
	if sent := badTokens[r.Sequence]; sent != "" && len(want) > 1 && token != sent {
		return fmt.Errorf("the raw client's token of %s begins with %s", r.Sequence, token)
	}
	if want[0] == wire.DirectTLS {
		alpn, said := map[matrix.Attack]string{"direct-wrong-alpn": "http/1.1", "gssenc-in-direct-tls": "postgresql"}[r.Sequence], "nothing"
		for _, e := range r.Events {
			if wire.Kind(e.Kind) == wire.ClientHello {
				if said = ""; strings.Contains(e.Detail, "alpn=") {
					_, said, _ = strings.Cut(e.Detail, "alpn=")
					said, _, _ = strings.Cut(said, " ")
				}
			}
		}
		if said != alpn {
			return fmt.Errorf("the raw client's ClientHello of %s offers ALPN %q", r.Sequence, said)
		}
	}
	version, special := strings.CutPrefix(string(r.Sequence), "protocol-")
	if !special {
		version = "3.0"
	}
	if len(startups) > 1 || len(startups) == 1 && !strings.HasSuffix(startups[0], version) {
		return fmt.Errorf("the raw client did not send %s: its startup packets were %q", r.Sequence, startups)
	}
	return nil
}

// checkRawAnswers compares what the raw client read with the server's log: it sees into encryption, so all must be there.
func (c *classifier) checkRawAnswers(n connection, r *matrix.RawEvidence) error {
	if n.startup != "" && !strings.HasSuffix(n.startup, "2.0") {
		for name, value := range map[string]string{"user": c.cell.Client.User, "database": c.cell.Client.Database} {
			if !strings.Contains(" "+n.startup+" ", " "+name+"="+quoteWire(value)+" ") {
				return fmt.Errorf("witnesses contradict: the raw client's startup packet says %s, and %s of the cell is %q", n.startup, name, value)
			}
		}
	}
	if len(n.errors) > 0 != (r.Error != "") || r.Error != "" && n.errors[len(n.errors)-1] != r.Error {
		return fmt.Errorf("witnesses contradict: the raw client was told %q, its record shows %q", r.Error, n.errors)
	}
	f := n.fatal
	switch {
	case f == nil && r.Error != "":
		return fmt.Errorf("witnesses contradict: the raw client was told %q, the server logged no FATAL", r.Error)
	case f != nil && r.Error == "" && r.End != string(wire.EndReset):
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, and the raw client was told nothing (%s)", f.text, r.End)
	case f != nil && r.Error != "" && !strings.HasPrefix(r.Error, f.state+" "+f.text) && r.Error != "- FATAL:  "+f.text:
		return fmt.Errorf("witnesses contradict: the server logged FATAL:  %s, the raw client was told %q", f.text, r.Error)
	}
	if !slices.Equal(n.requests, c.evidence.Client.AuthRequests) {
		return fmt.Errorf("witnesses contradict: the raw client received the requests %v, its record shows %v", c.evidence.Client.AuthRequests, n.requests)
	}
	if n.answered != (n.authorized != nil) {
		return fmt.Errorf("witnesses contradict: the raw client received AuthenticationOk: %t, authorized in the server's log: %t", n.answered, n.authorized != nil)
	}
	if a := n.authorized; a != nil {
		if logged := channelOf(a.tls, a.gssEncrypted); logged != n.channel || a.tls && a.tlsVersion != n.tlsVersion {
			return fmt.Errorf("witnesses contradict: the raw client's channel is %s, the server logged %s", n.channel, logged)
		}
		second := r.Sequence == "second-startup" && a.user == "postgres"
		if (a.user != c.cell.Client.User || a.database != c.cell.Client.Database) && !second {
			return fmt.Errorf("witnesses contradict: the server authorized user %q for database %q, the cell asks for %q and %q", a.user, a.database, c.cell.Client.User, c.cell.Client.Database)
		}
	}
	stuffs := slices.Contains(sent[r.Sequence], wire.Stuffed)
	if len(r.Executed) > 0 && !n.executed || n.executed && !stuffs {
		return fmt.Errorf("witnesses contradict: the raw client saw the statements executed: %v, the server's log shows the attacker's: %t", r.Executed, n.executed)
	}
	if r.TLS != "" && (n.channel == matrix.TLS || !slices.ContainsFunc(sent[r.Sequence], func(k wire.Kind) bool { return k == wire.SSLRequest || k == wire.DirectTLS })) {
		return fmt.Errorf("witnesses contradict: the raw client could not have TLS (%s), and its channel is %q", r.TLS, n.channel)
	}
	if n.early && !stuffs {
		return fmt.Errorf("witnesses contradict: nothing was sent before its time, and the server found bytes that came before the handshake")
	}
	ended := n.fatal != nil || n.badPacket != "" || n.oversize || n.unwrapFailed != "" || n.gssFailed != "" || n.tlsFailed != "" && !rawLeft.MatchString(n.tlsFailed)
	if gone := r.End == string(wire.EndClosed) || r.End == string(wire.EndReset); ended && !gone {
		return fmt.Errorf("witnesses contradict: the server ended the connection, and the raw client left it %s", r.End)
	}
	return nil
}

var (
	noALPN    = regexp.MustCompile(`^(no application protocol|.*no suitable application protocol.*)$`)
	noRecord  = regexp.MustCompile(`^(wrong version number|http request|packet length too long|unexpected message|unsupported protocol|unknown protocol|record layer failure|.*bad record type.*)$`)
	rawLeft   = regexp.MustCompile(`^(EOF detected|unexpected eof while reading|Connection reset by peer)$`) // what a server says of a handshake that the client does not begin
	noToken   = regexp.MustCompile(`^(Invalid token was supplied|A token was invalid): `)
	tlsAlerts = regexp.MustCompile(`remote error: tls: no application protocol`)
)

// rawCause says what ended a sequence.
func (c *classifier) rawCause(n *connection, r *matrix.RawEvidence) (cause, error) {
	stuffs := slices.Contains(sent[r.Sequence], wire.Stuffed)
	step := matrix.Step("")
	if len(n.steps) > 0 {
		step = n.steps[len(n.steps)-1]
	}
	switch f := n.fatal; {
	case f != nil:
		for _, known := range rawFatals {
			if known.text.MatchString(f.state+" "+f.text) && (known.after == "" && known.stage != matrix.StageStartup || known.after == step) {
				return known.cause, nil
			}
		}
		found, ok := lookUp(fatalCauses, f.state+" "+f.text)
		switch {
		case !ok:
			return cause{}, fmt.Errorf("unrecognised error of the server: FATAL:  %s (SQLSTATE %s)", f.text, f.state)
		case strings.HasPrefix(f.text, receivedEarly) && !stuffs:
			return cause{}, fmt.Errorf("witnesses contradict: nothing was sent before its time, and the server says FATAL:  %s", f.text)
		}
		return found, nil
	case strings.Contains(n.badPacket, " ALPN protocol") && r.Sequence == "direct-no-alpn" && step == matrix.StepDirectAccept:
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	case n.badPacket == "invalid length of startup packet" && step == matrix.StepDirectReject && c.server < 17 && r.TLS != "":
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	case n.badPacket == "invalid length of startup packet" && step == "" && r.Sequence == "long-startup":
		return cause{matrix.StageStartup, matrix.ProtocolViolation}, nil
	case n.oversize && r.Sequence == "gssenc-oversize", badTokens[r.Sequence] != "" && noToken.MatchString(n.gssFailed):
		return cause{matrix.StageGSSEnc, matrix.ProtocolViolation}, nil
	case n.unwrapFailed != "" && r.Sequence == "gssenc-extra-count":
		return cause{matrix.StageGSSEnc, matrix.IntegrityCheck}, nil
	case n.oversize, n.unwrapFailed != "":
		return cause{}, fmt.Errorf("the server could not take a packet of %s (oversize: %t, %q)", r.Sequence, n.oversize, n.unwrapFailed)
	case n.badPacket != "":
		return cause{}, fmt.Errorf("the server logged %q in answer to %s", n.badPacket, r.Sequence)
	case n.tlsFailed != "" && n.early && r.TLS != "" && step == matrix.StepSSLAccept && noRecord.MatchString(n.tlsFailed):
		return cause{matrix.StageTLS, matrix.ProtocolViolation}, nil
	case n.tlsFailed != "" && r.Sequence == "direct-wrong-alpn" && noALPN.MatchString(n.tlsFailed) && tlsAlerts.MatchString(r.TLS):
		return cause{matrix.StageTLS, matrix.TLSHandshake}, nil
	case n.tlsFailed != "" && !(r.Sequence == "alternate" && step == matrix.StepSSLAccept && rawLeft.MatchString(n.tlsFailed)), n.gssFailed != "":
		return cause{}, fmt.Errorf("unrecognised failure of a handshake with the raw client: %s%s (it says %q)", n.tlsFailed, n.gssFailed, r.TLS)
	case step == matrix.StepDirectReject && c.server >= 17 && r.TLS != "" && r.End != string(wire.EndOpen):
		return cause{matrix.StageTLS, matrix.DirectTLSRefused}, nil
	case r.End != string(wire.EndOpen) || n.authorized != nil || len(n.requests) > 0:
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
