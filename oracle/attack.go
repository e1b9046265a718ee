package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// attacks are those that are modelled here: done between a client library and the server.
var attacks = []matrix.Attack{matrix.NoAttack, matrix.Listen, matrix.Strip, matrix.StripGSS, matrix.Impersonate, matrix.Inject, matrix.StuffClient, matrix.StuffServer,
	matrix.SendError, matrix.ErrorUnterminated, matrix.ForgeOK, matrix.ForgeGSSOK, matrix.ForgeAPRep, matrix.CutAnswer, matrix.CutHandshake, matrix.CutAuth,
	matrix.HoldAnswer, matrix.HoldGSS, matrix.HoldAuth, matrix.Delay, matrix.Replay, matrix.FlipClient, matrix.FlipServer}

// attackOnGSS is what becomes of GSSENCRequest where somebody answers for the server; nil: the server does.
func (a *attempt) attackOnGSS() *ending {
	switch a.c.Attack {
	case "strip", "strip-gss", "impersonate", "forge-ok", "forge-gss-ok":
		a.acted = true
		a.step(matrix.StepGSSReject)
		a.why("attack="+string(a.c.Attack), "N to GSSENCRequest comes from the attacker; nothing vouches for an answer")
		e := refused(declined, matrix.StageGSSEnc, matrix.GSSRefused)
		return &e
	case "error-unterminated", "forge-ap-rep":
		a.acted = true
		a.step(matrix.StepGSSAccept)
		if e := a.stopsAtG(); e != nil {
			return e
		}
		if reason := a.gssTicket(a.askedSPN(false), false); reason != "" {
			e := refused(broken, matrix.StageGSSEnc, reason)
			return &e
		}
		if a.forges() {
			a.why("RFC 4120, section 3.2.5", "G, and an AP-REP that was made without the session key: it proves nothing, and the client notices")
			e := refused(broken, matrix.StageGSSEnc, matrix.ServerUnproven)
			return &e
		}
		if a.lib == matrix.PGX {
			a.why("gssenc/handshake.go, readToken", "G, and an error in the place of the server's token: its text is not shown")
			e := refused(broken, matrix.StageGSSEnc, matrix.AnswerError)
			return &e
		}
		a.shown = true
		a.why("fe-secure-gssapi.c, pqsecure_open_gss", "G, and an error in the place of the server's token: libpq takes its text for the server's")
		e := refused(broken, matrix.StageGSSEnc, matrix.AnswerError)
		return &e
	case "error":
		a.acted = true
		a.step(matrix.StepGSSError)
		source := "fe-connect.c, PQconnectPoll"
		if a.lib == matrix.PGX {
			source = "gssenc/handshake.go, request"
		}
		a.why(source, "an error in answer to GSSENCRequest: its text is not shown, and the client goes on as if GSS encryption had failed")
		e := refused(broken, matrix.StageGSSEnc, matrix.AnswerError)
		return &e
	case "cut-answer", "hold-answer", "hold-gss":
		a.step(matrix.StepGSSError)
		return a.unanswered(matrix.StageGSSEnc)
	}
	return nil
}

// attackOnTLS is the same for SSLRequest and direct TLS.
func (a *attempt) attackOnTLS(direct bool, v verification) *ending {
	end := func(h how, reason matrix.Reason) *ending {
		e := refused(h, matrix.StageTLS, reason)
		return &e
	}
	source := "attack=" + string(a.c.Attack)
	switch a.c.Attack {
	case "strip":
		a.acted = true
		if direct {
			a.step(matrix.StepDirectReject)
			a.why(source, "the attacker closes the connection on a TLS handshake")
			return end(broken, matrix.DirectTLSRefused)
		}
		a.step(matrix.StepSSLReject)
		a.why(source, "N to SSLRequest comes from the attacker; nothing vouches for an answer")
		return end(declined, matrix.TLSRefused)
	case "error", "error-unterminated":
		if direct {
			return nil // there is no request that he could answer
		}
		a.acted = true
		a.step(matrix.StepSSLError)
		if a.lib.UsesLibpq() {
			a.why("fe-connect.c, PQconnectPoll", "an error in answer to SSLRequest is final; its text is not shown")
			return end(hungUp, matrix.AnswerError)
		}
		a.why("pgconn.go, startTLS", "anything but S in answer to SSLRequest is a refusal of TLS")
		return end(broken, matrix.TLSRefused)
	case "cut-answer", "hold-answer":
		if direct {
			return nil
		}
		a.step(matrix.StepSSLError)
		return a.unanswered(matrix.StageTLS)
	case "impersonate", "forge-ok", "forge-gss-ok", "forge-ap-rep":
		a.acted = true
		if direct {
			a.step(matrix.StepDirectAccept)
		} else {
			a.step(matrix.StepSSLAccept)
		}
		a.because = append(a.because, v.because)
		if v.noRoot {
			return end(broken, matrix.RootMissing)
		}
		if v.level != "none" {
			a.why(source, "the attacker's certificate is of a CA that the client does not know")
			return end(broken, matrix.ServerCertTrust)
		}
		a.why(source, "the attacker's certificate is not verified: the client encrypts for him")
		return &ending{}
	}
	return nil
}

// requestStuffed is what becomes of a channel that is there, and of the bytes behind the request for it.
func (a *attempt) requestStuffed(stage matrix.Stage, ch matrix.Channel) ending {
	a.acted = true
	if ch == matrix.TLS && a.w.Server >= 17 {
		a.why("backend_startup.c, ProcessSSLStartup", "the server has bytes in its buffer that came before the handshake: it closes without a word (CVE-2021-23214)")
		return refused(broken, stage, matrix.ProtocolViolation)
	}
	a.step(matrix.StepAuthFail)
	a.why(a.serverSource("ProcessStartupPacket"), "the server has bytes in its buffer that came before the handshake: FATAL, through the new channel (CVE-2021-23214)")
	e := refused(errorBeforeOK, stage, matrix.ProtocolViolation)
	e.outcome.Channel, e.state = ch, "08P01"
	switch {
	case a.w.Server < 14 && (!a.lib.UsesLibpq() || a.lib.Libpq() < 14):
		a.gap = unknown("a server before 14 writes its error as protocol 2.0, to which libpq 13 goes back and which the drivers do not read", "attack=%s with %s on PostgreSQL %d", a.c.Attack, a.lib, a.w.Server)
	case a.w.Server < 14:
		a.why("fe-connect.c, PQconnectPoll", "a server before 14 has not yet read a startup packet and writes the error as protocol 2.0 does: final to libpq since 14")
		e.how = hungUp
	}
	return e
}

// answerStuffed is what a client makes of bytes behind the answer.
func (a *attempt) answerStuffed(stage matrix.Stage) ending {
	a.acted = true
	if a.lib.UsesLibpq() {
		a.why("fe-connect.c, PQconnectPoll", "the client has bytes in its buffer that came before the handshake: final (CVE-2021-23222)")
		return refused(hungUp, stage, matrix.ProtocolViolation)
	}
	if stage == matrix.StageGSSEnc {
		a.why("gssenc/handshake.go, exchange", "the client reads the one byte of the answer, and sees that there is more before a token is due")
		return refused(broken, stage, matrix.ProtocolViolation)
	}
	a.why("crypto/tls, readRecordOrCCS", "the client reads the one byte of the answer; what is behind it is no TLS record")
	return refused(broken, stage, matrix.ProtocolViolation)
}

// impersonated says whether the client's TLS ends at the attacker.
func (a *attempt) impersonated(ch matrix.Channel) bool {
	return ch == matrix.TLS && (a.c.Attack == "impersonate" || a.forges())
}

// serverChannel is the channel at the server's end: an attacker who ends the client's TLS opens his own, if he can.
func (a *attempt) serverChannel(ch matrix.Channel) matrix.Channel {
	if a.impersonated(ch) && a.w.SSL != "on" {
		return matrix.Plain
	}
	return ch
}

// obtains is what the attacker has of an attempt that ended so.
func (a *attempt) obtains(o matrix.Outcome) matrix.Obtained {
	session := o.End == matrix.Connected
	switch {
	case !a.c.Attacked() || a.lib == matrix.Raw:
		return o.Obtains
	case session && (a.impersonated(o.Channel) || a.forges()):
		return matrix.InSession
	case session && o.Channel == matrix.Plain && a.c.Attack == "inject":
		return matrix.Injected
	case session && o.Channel == matrix.Plain && a.acted:
		return matrix.Downgraded
	case !session && a.shown:
		return matrix.Injected
	case a.read:
		return matrix.Plaintext
	}
	return matrix.Nothing
}
