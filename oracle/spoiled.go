package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// The attacks that cut a connection, keep a message, change a bit or send a message twice.

// cutsGSS: the connection ends where the answer to GSSENCRequest is due.
func cutsGSS(a *attempt) *ending {
	a.acted = true
	a.step(matrix.StepGSSError)
	return a.reacts(&a.client.reactions().gss.cut, matrix.StageGSSEnc)
}

// cutsTLS: the same for SSLRequest.
func cutsTLS(a *attempt, direct bool, _ *verification) *ending {
	if direct {
		return nil
	}
	a.acted = true
	a.step(matrix.StepSSLError)
	return a.reacts(&a.client.reactions().ssl.cut, matrix.StageTLS)
}

// holdsGSS: the answer to GSSENCRequest does not come.
func holdsGSS(a *attempt) *ending {
	a.step(matrix.StepGSSError)
	return a.timesOut(matrix.StageGSSEnc)
}

// holdsTLS: the answer to SSLRequest does not come.
func holdsTLS(a *attempt, direct bool, _ *verification) *ending {
	if direct {
		return nil
	}
	a.step(matrix.StepSSLError)
	return a.timesOut(matrix.StageTLS)
}

// timesOut: connect_timeout passes while the client waits for an answer.
func (a *attempt) timesOut(stage matrix.Stage) *ending {
	a.acted = true
	return a.reacts(&reaction{how: outOfTime, reason: matrix.TimedOut, because: a.client.reactions().timeout}, stage)
}

// cutsGSSHandshake: the connection ends where the server's token is due.
func cutsGSSHandshake(a *attempt) *ending {
	a.acted = true
	a.why("RFC 2743, section 1.1.1", "the connection ends where the server's token is due: the handshake fails")
	e := refused(broken, matrix.StageGSSEnc, matrix.ConnectionLost)
	return &e
}

// spoilsStartup: a bit of the client's first sealed packet is changed.
func spoilsStartup(a *attempt) *ending {
	a.acted = true
	a.why("be-secure-gssapi.c, be_gssapi_read", "the server cannot unwrap the startup packet and closes without a message")
	e := refused(lost, matrix.StageGSSEnc, matrix.IntegrityCheck)
	e.outcome.Channel = matrix.GSS
	return &e
}

// replaysToken: the server gets the client's token twice.
func replaysToken(a *attempt) *ending {
	a.acted = true
	a.why("be-secure-gssapi.c, be_gssapi_read", "the first token establishes the context; the second is not a sealed packet, and the server closes without a message")
	e := refused(lost, matrix.StageGSSEnc, matrix.ProtocolViolation)
	e.outcome.Channel = matrix.GSS
	return &e
}

// cutsTLSHandshake: the connection ends where the ServerHello is due.
func cutsTLSHandshake(a *attempt, direct bool) *ending {
	a.acted = true
	if direct {
		a.trace[len(a.trace)-1] = matrix.StepDirectReject // the ServerHello does not come
	}
	a.why("RFC 8446, section 6.1", "the connection ends where the ServerHello is due: the handshake fails")
	e := refused(broken, matrix.StageTLS, matrix.ConnectionLost)
	return &e
}

// spoilsServerHandshake: a bit of the server's first sealed record is changed.
func spoilsServerHandshake(a *attempt, _ bool) *ending {
	a.acted = true
	a.why("RFC 8446, section 5.2", "the record after the ServerHello is sealed: the client cannot open it, and its handshake fails")
	e := refused(broken, matrix.StageTLS, matrix.IntegrityCheck)
	return &e
}

// replaysHello: the server gets the ClientHello twice. Before 18 it has asked for another one, and gets the same again.
func replaysHello(a *attempt, _ bool) *ending {
	if a.w.Server >= 18 {
		return nil
	}
	a.acted = true
	a.why("RFC 8446, section 4.1.2", "ssl_ecdh_curve is prime256v1, for which no client sends a key share: the server asks for another ClientHello and gets the same again, an illegal parameter")
	e := refused(broken, matrix.StageTLS, matrix.ProtocolViolation)
	return &e
}

// findsSecondHello: a server of 18 or later finds the second ClientHello where Finished is due.
func findsSecondHello(a *attempt) *ending {
	a.acted = true
	a.why("RFC 8446, section 4.4.4", "the server finds the second ClientHello where Finished is due, and closes without reading on: the reset that follows its alert may overtake the client's handshake")
	e := refused(raced, matrix.StageTLS, matrix.ProtocolViolation)
	return &e
}

// spoilsFinished: a bit of the end of the client's handshake is changed. The server's alert comes where the answer to the startup
// packet is due.
func spoilsFinished(a *attempt) *ending {
	a.acted = true
	a.why("RFC 8446, section 4.4.4", "the client has completed its handshake when the server cannot open its Finished: the alert comes in place of an answer to the startup packet")
	e := refused(lost, matrix.StageTLS, matrix.IntegrityCheck)
	return &e
}

// spoilsAlert: the attacker changes a bit of the client's first sealed record, if there is one: an alert that is sealed, or the end
// of a handshake after which the client finds the flaw.
func spoilsAlert(a *attempt, v *verification, _, late bool) {
	a.acted = a.acted || v.sealsAlert || late
}

func racesWithReset(a *attempt, _ *verification, _, _ bool) {
	a.gap = unknown("the server's reset races with the client's refusal of the certificate", "attack=replay with a certificate that the client refuses")
}

// chance is for a client that would go on after a handshake that failed, and not after one that it has completed.
func chance() error {
	return unknown("the server's reset races with the client's handshake", "attack=replay with a method left to try")
}

// unheard: the client may not get the server's first authentication request, which may be AuthenticationOk; nil: it gets it.
func (x *exchange) unheard() *ending {
	if x.ch == matrix.Plain && x.attack.inClear != nil {
		return x.attack.inClear(x)
	}
	return x.unopened()
}

// unopened: the client may not be able to open the server's first sealed packet; nil: it can.
func (x *exchange) unopened() *ending {
	if x.ch == matrix.GSS && x.attack.sealed != nil {
		return x.attack.sealed(x)
	}
	return nil
}

// cutsAuth: the connection ends where the server's first authentication request is due.
func cutsAuth(x *exchange) *ending {
	x.acted = true
	x.why(x.attackSource(), "the connection ends where the server's first authentication request is due")
	e := x.end(lost, matrix.StageAuth, matrix.ConnectionLost)
	return &e
}

// holdsAuth: the server's first authentication request does not come.
func holdsAuth(x *exchange) *ending {
	e := x.end(x.timesOut(matrix.StageAuth).how, matrix.StageAuth, matrix.TimedOut)
	return &e
}

// spoilsServerPacket: a bit of the server's first sealed packet is changed.
func spoilsServerPacket(x *exchange) *ending {
	x.acted = true
	x.why(x.client.reactions().unwrapSource, "the client cannot unwrap the server's answer to its startup packet")
	e := refused(lost, matrix.StageGSSEnc, matrix.IntegrityCheck)
	e.outcome.Channel = matrix.GSS
	return &e
}
