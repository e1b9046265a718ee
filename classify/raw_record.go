package classify

import (
	"fmt"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/wire"
)

// rawReader follows what the raw client recorded. Channels can be nested here, and requests come where they should not.
type rawReader struct {
	conversation
	pending wire.Kind // the request that waits for its answer
}

// rawSteps are the steps of a request that is accepted, rejected, or neither.
var rawSteps = map[wire.Kind][3]matrix.Step{
	wire.GSSENCRequest: {matrix.StepGSSAccept, matrix.StepGSSReject, matrix.StepGSSError},
	wire.SSLRequest:    {matrix.StepSSLAccept, matrix.StepSSLReject, matrix.StepSSLError},
	wire.DirectTLS:     {matrix.StepDirectAccept, matrix.StepDirectReject, matrix.StepDirectReject},
}

func (r *rawReader) settle(i int) {
	r.steps = append(r.steps, rawSteps[r.pending][i])
	r.pending = ""
}

func readRawWire(events []matrix.WireEvent) (conversation, error) {
	var r rawReader
	for _, e := range events {
		err := checkEvent(e)
		if err == nil {
			err = r.read(e)
		}
		if err != nil {
			return r.conversation, err
		}
	}
	if r.pending != "" {
		r.settle(2)
	}
	if !r.opened {
		return r.conversation, fmt.Errorf("the raw client's record does not begin with an open connection")
	}
	return r.conversation, nil
}

func (r *rawReader) read(e matrix.WireEvent) error {
	switch kind := wire.Kind(e.Kind); kind {
	case wire.Open:
		r.opened = true
	case wire.GSSENCRequest, wire.SSLRequest, wire.DirectTLS:
		if r.pending != "" {
			return fmt.Errorf("the raw client sent %s before %s was answered", kind, r.pending)
		}
		r.pending = kind
	case wire.Answer:
		return r.answer(e.Answer)
	case wire.ServerHello:
		if r.pending == wire.DirectTLS {
			r.settle(0)
		}
		r.tlsVersion = e.TLS.Version
		r.channel = channelOf(true, r.channel == matrix.GSS || r.channel == matrix.TLSAndGSS)
	case wire.GSSData:
		r.channel = channelOf(r.channel == matrix.TLS || r.channel == matrix.TLSAndGSS, true)
	case wire.Startup:
		r.startup = e.Startup
		if r.channel == "" {
			r.channel = matrix.Plain
		}
	case wire.AuthRequest:
		r.requests = append(r.requests, e.Auth)
		r.answered = r.answered || e.Auth == "ok"
	case wire.ErrorResponse:
		r.errors = append(r.errors, e.Error)
	case wire.Malformed, wire.Stuffed:
		if e.From == "server" {
			return fmt.Errorf("the raw client was sent what was not due: %s", e)
		}
	case wire.Query, wire.Close, wire.Reset, wire.ClientHello, wire.TLSAlert, wire.TLSData, wire.GSSToken, wire.PasswordSent, wire.Ready:
	default:
		return fmt.Errorf("the raw client recorded %s from %s", e, e.From)
	}
	return nil
}

func (r *rawReader) answer(said string) error {
	other := map[wire.Kind]string{wire.SSLRequest: "G", wire.GSSENCRequest: "S"}[r.pending]
	switch {
	case other == "" || said == other:
		return fmt.Errorf("the raw client was answered %q to %q", said, r.pending)
	case said == "S", said == "G":
		r.settle(0)
	case said == "N":
		r.settle(1)
	case said == "E":
		r.settle(2)
	default:
		return fmt.Errorf("the raw client was answered %q", said)
	}
	return nil
}
