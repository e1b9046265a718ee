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

func appendSteps(steps []string, events []Event) []string {
	asked := "" // gss, ssl or direct: waiting for its answer
	var started, authenticated, ready bool
	answer := func(word string) {
		if asked != "" {
			steps = append(steps, asked+word)
		}
		asked = ""
	}
	unanswered := func() {
		if asked == "direct" {
			answer("reject")
		}
		answer("error")
	}
	for _, e := range events {
		switch e.Kind {
		case Open:
			if len(steps) == 0 {
				steps = append(steps, "connect")
			} else {
				steps = append(steps, "reconnect")
			}
		case GSSENCRequest:
			unanswered()
			asked = "gss"
		case SSLRequest:
			unanswered()
			asked = "ssl"
		case DirectTLS:
			unanswered()
			asked = "direct"
		case Answer:
			answer(answered(asked, e.Detail))
		case ServerHello:
			if asked == "direct" {
				answer("accept")
			}
		case Startup:
			unanswered()
			started = true
		case AuthRequest:
			if started && e.Detail == "ok" && !authenticated {
				authenticated = true
				steps = append(steps, "authok")
			}
		case Ready:
			ready = true
		case ErrorResponse:
			switch {
			case !started || ready: // part of an answer, or of a session
			case authenticated:
				steps = append(steps, "startfail")
			default:
				steps = append(steps, "authfail")
			}
			started = started && authenticated // one failure a startup
		}
	}
	unanswered()
	return steps
}

// answered is the end of a step's name: what a single byte means as the answer to a request for encryption.
func answered(asked, with string) string {
	switch {
	case asked == "gss" && with == "G", asked == "ssl" && with == "S":
		return "accept"
	case with == "N":
		return "reject"
	}
	return "error"
}
