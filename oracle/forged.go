package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// forgery is what an attacker sends who plays the server.
type forgery struct {
	asksGSS bool // a request for GSSAPI authentication, before AuthenticationOk
	token   bool // in answer to the client's token, an AP-REP that was made without the session key
}

// forged is a startup packet that the attacker answers: the server gets nothing of it, and only the client can refuse.
func (x *exchange) forged(f *forgery) (ending, error) {
	x.acted = true
	x.why(x.attackSource(), "the attacker answers the startup packet: rules, roles and passwords have no part in it")
	if f.asksGSS {
		if end, err := x.asks(askGSS); err != nil {
			return ending{}, err
		} else if end != nil {
			return *end, nil
		}
		if reason := x.gssTicket(x.client.service(), x.client.ambientTicket()); reason != "" {
			return x.end(hungUp, matrix.StageAuth, reason), nil
		}
	}
	x.step(matrix.StepAuthOK)
	r := x.client.reactions()
	if f.token {
		if e := x.reacts(&r.forgedToken, matrix.StageAuth); e.how != opened {
			return x.end(e.how, matrix.StageAuth, e.outcome.Reason), nil
		}
	}
	if o := x.client.onOK(authenticationOK{ch: x.ch, tokenDue: f.asksGSS && !f.token}); o != nil {
		return x.objects(o), nil
	}
	x.why(r.okSource, "the client accepts AuthenticationOk")
	return x.session(), nil
}
