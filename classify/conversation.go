package classify

import (
	"fmt"
	"slices"
	"strings"

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

	startup  string   // the startup packet in the clear: "user=… database=… 3.0"
	requests []string // authentication requests in the clear
	errors   []string // ErrorResponses in the clear: "SQLSTATE text"
	answered bool     // AuthenticationOk in the clear
	alert    string   // the client's last readable TLS alert: "fatal 48 unknown_ca"
	query    bool     // a query in the clear
	greeted  bool     // a ClientHello
	offered  bool     // a token of the client's for GSS encryption
	tokened  bool     // one of the server's

	attack          // as the relay tells it
	clientLeft bool // the client closed or reset before the server sent its ErrorResponse, if it sent one
}

// readWire follows the negotiation (PostgreSQL manual, "Message Flow", SSL and GSSAPI session encryption). Errors are: bytes that
// are no protocol, bytes after an answer that nobody was asked to put there, and cleartext after an accepted encryption,
// unless the attacker ends that encryption.
//
// stuffer is the side whose bytes the attacker adds to, or ""; closed: the attacker has ended the conversation.
func readWire(events []matrix.WireEvent, attacked matrix.Attack, stuffer string, readable, closed bool) (conversation, error) {
	var c conversation
	pending := wire.Kind("")
	stuffed := false // bytes of the attacker's are in the stream
	malformed := false
	settle := func(accept, reject, failed matrix.Step, answer string) {
		step := failed
		switch answer {
		case "S", "G":
			step = accept
		case "N":
			step = reject
		}
		c.steps = append(c.steps, step)
		pending = ""
	}
	for _, e := range events {
		kind := wire.Kind(e.Kind)
		if e.From == "attacker" {
			if err := c.attack.read(e, attacked); err != nil {
				return c, err
			}
			continue
		}
		switch kind {
		case wire.Open:
			c.opened = true
		case wire.DialFailed:
			c.dialFailed = e.Detail
		case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS:
			if pending != "" {
				return c, fmt.Errorf("the wire shows %s before %s was answered", kind, pending)
			}
			pending = kind
		case wire.Answer:
			switch {
			case pending == wire.GSSENCRequest && e.Detail != "S":
				settle(matrix.StepGSSAccept, matrix.StepGSSReject, matrix.StepGSSError, e.Detail)
			case pending == wire.SSLRequest && e.Detail != "G":
				settle(matrix.StepSSLAccept, matrix.StepSSLReject, matrix.StepSSLError, e.Detail)
			default:
				return c, fmt.Errorf("the wire shows the answer %q to %q", e.Detail, pending)
			}
		case wire.ServerHello:
			if pending == wire.DirectTLS {
				settle(matrix.StepDirectAccept, "", "", "S")
			}
			c.tlsVersion, _, _ = strings.Cut(e.Detail, " ")
			c.channel = matrix.TLS
		case wire.GSSData:
			c.channel = matrix.GSS
		case wire.Startup:
			encrypted := c.did(matrix.StepGSSAccept, matrix.StepSSLAccept, matrix.StepDirectAccept)
			if encrypted && !c.impersonated && !readable {
				return c, fmt.Errorf("the wire shows a startup packet in the clear after the server accepted encryption (%s)", e.Detail)
			}
			if c.startup = e.Detail; !encrypted {
				c.channel = matrix.Plain
			}
		case wire.AuthRequest:
			c.requests = append(c.requests, e.Detail)
			c.answered = c.answered || e.Detail == "ok"
		case wire.ErrorResponse:
			c.errors = append(c.errors, e.Detail)
		case wire.Query:
			c.query = true
		case wire.Close, wire.Reset:
			closed = closed || e.From == "client"
			c.clientLeft = c.clientLeft || e.From == "client" && len(c.errors) == 0
		case wire.TLSAlert:
			if e.From == "client" {
				c.alert = e.Detail
			}
		case wire.GSSToken:
			c.offered = c.offered || e.From == "client"
			c.tokened = c.tokened || e.From == "server"
		case wire.ClientHello:
			c.greeted = true
		case wire.TLSData, wire.PasswordSent, wire.Ready:
		case wire.Stuffed:
			switch {
			case e.From == stuffer && !stuffed:
				stuffed = true
			case e.From == "server" && closed: // whose handshake was cut off: an alert that nobody will read
			default:
				return c, fmt.Errorf("the wire shows %s bytes from %s that were not due yet", e.Detail, e.From)
			}
		default: // wire.Malformed, wire.CancelRequest and kinds yet unknown
			if kind == wire.Malformed && stuffed && !malformed && e.From == stuffer && stuffer == "client" {
				malformed = true // what he put there is no TLS record and no GSS token
				continue
			}
			return c, fmt.Errorf("the wire shows %s from %s (%s)", e.Kind, e.From, e.Detail)
		}
	}
	switch pending {
	case wire.GSSENCRequest:
		c.steps = append(c.steps, matrix.StepGSSError)
	case wire.SSLRequest:
		c.steps = append(c.steps, matrix.StepSSLError)
	case wire.DirectTLS:
		c.steps = append(c.steps, matrix.StepDirectReject)
	}
	return c, nil
}

// unused is true of a connection on which nothing was asked for, nor a startup packet sent.
func (c *conversation) unused() bool { return len(c.steps) == 0 && c.startup == "" }

func (c *conversation) did(steps ...matrix.Step) bool {
	return slices.ContainsFunc(c.steps, func(s matrix.Step) bool { return slices.Contains(steps, s) })
}
