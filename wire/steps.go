package wire

// Steps sums up the records of one attempt as the steps of its negotiation, as far as the wire shows them:
//
//	connect reconnect                  a connection that reached the server: the first, every later one
//	gssaccept gssreject gsserror       GSSENCRequest answered G, N, anything else or not at all
//	sslaccept sslreject sslerror       SSLRequest answered S, N, anything else or not at all
//	directaccept directreject          a ClientHello without SSLRequest, answered by a ServerHello or not
//	authok authfail startfail          in the clear only: AuthenticationOk; an ErrorResponse after the startup packet
//	                                   and before AuthenticationOk; one between that and the first ReadyForQuery
//
// The names are those of PostgreSQL's own negotiation test (src/interfaces/libpq/t/005_negotiate_encryption.pl). What
// happens inside an encrypted channel is not among them.
func Steps(records []Record) []string {
	var steps []string
	for _, r := range records {
		steps = appendSteps(steps, r.Events)
	}
	return steps
}

// stepper sums up the events of one connection.
type stepper struct {
	steps                         []string
	asked                         string // gss, ssl or direct: waiting for its answer
	started, authenticated, ready bool
}

func appendSteps(steps []string, events []Event) []string {
	s := stepper{steps: steps}
	for _, e := range events {
		s.negotiation(e)
		s.startup(e)
	}
	s.unanswered()
	return s.steps
}

// answer notes how what was asked was answered, if anything was.
func (s *stepper) answer(word string) {
	if s.asked != "" {
		s.steps = append(s.steps, s.asked+word)
	}
	s.asked = ""
}

func (s *stepper) unanswered() {
	if s.asked == "direct" {
		s.answer("reject")
	}
	s.answer("error")
}

func (s *stepper) negotiation(e Event) {
	switch e.Kind {
	case Open:
		if len(s.steps) == 0 {
			s.steps = append(s.steps, "connect")
		} else {
			s.steps = append(s.steps, "reconnect")
		}
	case GSSENCRequest, SSLRequest, DirectTLS:
		s.unanswered()
		s.asked = map[Kind]string{GSSENCRequest: "gss", SSLRequest: "ssl", DirectTLS: "direct"}[e.Kind]
	case Answer:
		switch {
		case s.asked == "gss" && e.Answer == "G", s.asked == "ssl" && e.Answer == "S":
			s.answer("accept")
		case e.Answer == "N":
			s.answer("reject")
		default:
			s.answer("error")
		}
	case ServerHello:
		if s.asked == "direct" {
			s.answer("accept")
		}
	case Startup:
		s.unanswered()
	}
}

func (s *stepper) startup(e Event) {
	switch e.Kind {
	case Startup:
		s.started = true
	case AuthRequest:
		if s.started && e.Auth == "ok" && !s.authenticated {
			s.authenticated = true
			s.steps = append(s.steps, "authok")
		}
	case Ready:
		s.ready = true
	case ErrorResponse:
		switch {
		case !s.started || s.ready: // part of an answer, or of a session
		case s.authenticated:
			s.steps = append(s.steps, "startfail")
		default:
			s.steps = append(s.steps, "authfail")
		}
		s.started = s.started && s.authenticated // one failure a startup
	}
}
