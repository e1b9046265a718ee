package classify

import (
	"fmt"
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// conversation is what the relay saw of one connection, as far as it bears on the outcome.
type conversation struct {
	opened     bool
	dialFailed string // the relay could not reach the server

	steps      []matrix.Step // of the negotiation only
	channel    matrix.Channel
	tlsVersion string

	startup  *matrix.WireStartup // the startup packet in the clear
	requests []string            // authentication requests in the clear
	errors   []*matrix.WireError // ErrorResponses in the clear
	answered bool                // AuthenticationOk in the clear
	alert    *matrix.WireAlert   // the client's last readable TLS alert
	query    bool                // a query in the clear
	greeted  bool                // a ClientHello
	offered  bool                // a token of the client's for GSS encryption
	tokened  bool                // a token of the server's

	attack          // as the relay tells it
	clientLeft bool // the client closed or reset before the server sent its ErrorResponse, if it sent one
}

// wireReader follows the record of one leg.
type wireReader struct {
	conversation
	attacked  matrix.Attack
	stuffer   string // the side whose bytes the attacker adds to, or ""
	readable  bool   // the attacker ends the client's encryption: what follows it can be read
	closed    bool   // the client, or the attacker in its place, has ended the conversation
	pending   wire.Kind
	stuffed   bool // bytes of the attacker's are in the stream
	malformed bool // and were found to be no protocol
}

// readWire follows the negotiation (PostgreSQL manual, "Message Flow", SSL and GSSAPI session encryption). Errors are: bytes that
// are no protocol, bytes after an answer that nobody was asked to put there, and cleartext after an accepted encryption,
// unless the attacker ends that encryption.
func readWire(events []matrix.WireEvent, r wireReader) (conversation, error) {
	for _, e := range events {
		err := checkEvent(e)
		switch {
		case err != nil:
		case e.From == "attacker":
			err = r.attack.read(e, r.attacked)
		default:
			err = r.read(e)
		}
		if err != nil {
			return r.conversation, err
		}
	}
	switch r.pending {
	case wire.GSSENCRequest:
		r.steps = append(r.steps, matrix.StepGSSError)
	case wire.SSLRequest:
		r.steps = append(r.steps, matrix.StepSSLError)
	case wire.DirectTLS:
		r.steps = append(r.steps, matrix.StepDirectReject)
	}
	return r.conversation, nil
}

// checkEvent wants an event to have what its kind needs: a record that was saved in another form must not pass for one that says less.
func checkEvent(e matrix.WireEvent) error {
	missing := false
	switch kind := wire.Kind(e.Kind); kind {
	case wire.Answer:
		missing = e.Answer == ""
	case wire.ClientHello, wire.ServerHello, wire.Impersonated:
		missing = e.TLS == nil
	case wire.Startup:
		missing = e.Startup == nil
	case wire.AuthRequest, wire.PasswordSent, wire.Forged:
		missing = e.Auth == ""
	case wire.ErrorResponse:
		missing = e.Error == nil
	case wire.Stuffed, wire.GSSToken:
		missing = e.Bytes == 0
	case wire.Open, wire.DialFailed, wire.Malformed, wire.Idle:
		missing = e.Text == ""
	case wire.Answered, wire.Refused, wire.Inserted, wire.Injected, wire.Flipped, wire.Replayed, wire.Delayed, wire.Held, wire.Cut:
		missing = e.Deed == nil
	}
	if missing {
		return fmt.Errorf("the wire record has %s from %s without what belongs to it", e.Kind, e.From)
	}
	return nil
}

// read takes in what a client or a server sent.
func (r *wireReader) read(e matrix.WireEvent) error {
	switch kind := wire.Kind(e.Kind); kind {
	case wire.Open:
		r.opened = true
	case wire.DialFailed:
		r.dialFailed = e.Text
	case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS:
		if r.pending != "" {
			return fmt.Errorf("the wire shows %s before %s was answered", kind, r.pending)
		}
		r.pending = kind
	case wire.Answer:
		return r.answer(e.Answer)
	case wire.ServerHello:
		if r.pending == wire.DirectTLS {
			r.steps, r.pending = append(r.steps, matrix.StepDirectAccept), ""
		}
		r.tlsVersion, r.channel = e.TLS.Version, matrix.TLS
	case wire.GSSData:
		r.channel = matrix.GSS
	case wire.Startup:
		encrypted := r.did(matrix.StepGSSAccept, matrix.StepSSLAccept, matrix.StepDirectAccept)
		if encrypted && !r.impersonated && !r.readable {
			return fmt.Errorf("the wire shows a startup packet in the clear after the server accepted encryption (%s)", e)
		}
		if r.startup = e.Startup; !encrypted {
			r.channel = matrix.Plain
		}
	case wire.Stuffed, wire.Malformed, wire.CancelRequest:
		return r.undue(e, kind)
	default:
		return r.note(e, kind)
	}
	return nil
}

// answer takes in the byte that answers a request.
func (r *wireReader) answer(said string) error {
	var steps [3]matrix.Step // accepted, rejected, neither
	switch {
	case r.pending == wire.GSSENCRequest && said != "S":
		steps = [3]matrix.Step{matrix.StepGSSAccept, matrix.StepGSSReject, matrix.StepGSSError}
	case r.pending == wire.SSLRequest && said != "G":
		steps = [3]matrix.Step{matrix.StepSSLAccept, matrix.StepSSLReject, matrix.StepSSLError}
	default:
		return fmt.Errorf("the wire shows the answer %q to %q", said, r.pending)
	}
	r.pending = ""
	switch said {
	case "S", "G":
		r.steps = append(r.steps, steps[0])
	case "N":
		r.steps = append(r.steps, steps[1])
	default:
		r.steps = append(r.steps, steps[2])
	}
	return nil
}

// note takes in what comes after the negotiation, and what TLS and GSS encryption are made of.
func (r *wireReader) note(e matrix.WireEvent, kind wire.Kind) error {
	switch byClient := e.From == "client"; kind {
	case wire.AuthRequest:
		r.requests = append(r.requests, e.Auth)
		r.answered = r.answered || e.Auth == "ok"
	case wire.ErrorResponse:
		r.errors = append(r.errors, e.Error)
	case wire.Query:
		r.query = true
	case wire.Close, wire.Reset:
		r.closed = r.closed || byClient
		r.clientLeft = r.clientLeft || byClient && len(r.errors) == 0
	case wire.TLSAlert:
		if byClient {
			r.alert = e.Alert
		}
	case wire.GSSToken:
		r.offered = r.offered || byClient
		r.tokened = r.tokened || e.From == "server"
	case wire.ClientHello:
		r.greeted = true
	case wire.TLSData, wire.PasswordSent, wire.Ready:
	default:
		return fmt.Errorf("the wire shows %s from %s", e, e.From)
	}
	return nil
}

// undue takes in bytes that should not be there: it is in order only where the attacker put them there, or where nobody reads them any more.
func (r *wireReader) undue(e matrix.WireEvent, kind wire.Kind) error {
	switch {
	case kind == wire.Stuffed && e.From == r.stuffer && !r.stuffed:
		r.stuffed = true
	case kind == wire.Stuffed && e.From == "server" && r.closed: // whose handshake was cut off: an alert that nobody will read
	case kind == wire.Stuffed:
		return fmt.Errorf("the wire shows %d bytes from %s that were not due yet", e.Bytes, e.From)
	case kind == wire.Malformed && r.stuffed && !r.malformed && e.From == r.stuffer && r.stuffer == "client":
		r.malformed = true // what the attacker put there is no TLS record and no GSS token
	default:
		return fmt.Errorf("the wire shows %s from %s", e, e.From)
	}
	return nil
}

// unused is true of a connection on which nothing was asked for, nor a startup packet sent.
func (c *conversation) unused() bool { return len(c.steps) == 0 && c.startup == nil }

func (c *conversation) did(steps ...matrix.Step) bool {
	return slices.ContainsFunc(c.steps, func(s matrix.Step) bool { return slices.Contains(steps, s) })
}
