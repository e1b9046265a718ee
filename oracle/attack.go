package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// attack is what one attack does, stage by stage. A hook that is nil does nothing; one that returns nil has not ended the
// connection.
type attack struct {
	onGSS func(*attempt) *ending                                 // in place of the server's answer to GSSENCRequest
	onTLS func(a *attempt, direct bool, v *verification) *ending // in place of the server's answer to SSLRequest or, direct, to a ClientHello

	inGSS    func(*attempt) *ending                               // after the GSS context is established
	inTLS    func(a *attempt, direct bool) *ending                // in the first round of the TLS handshake, before the server's certificate
	badCert  func(a *attempt, v *verification, direct, late bool) // the client refuses the server's certificate; late: after its handshake
	afterTLS func(*attempt) *ending                               // after the client has completed the TLS handshake

	inClear func(*exchange) *ending // in place of the server's first message after a startup packet in the clear
	sealed  func(*exchange) *ending // in place of the server's first packet under GSS encryption

	stuffs  side     // the side that gets more bytes than were sent to it
	endsTLS bool     // the client's TLS ends at the attacker
	forges  *forgery // the attacker answers the startup packet
	injects bool     // the attacker sends a statement of its own in a session that it can read

	sequence func(*raw) (ending, error) // what the raw client sends
}

// side is a side of a connection.
type side int

const (
	toNeither side = iota
	toServer
	toClient
)

// attacks are the attacks that are modelled, each by its row.
var attacks = map[matrix.Attack]*attack{
	matrix.NoAttack:          {},
	matrix.Listen:            {},
	matrix.Strip:             {onGSS: rejectsGSS, onTLS: rejectsTLS},
	matrix.StripGSS:          {onGSS: rejectsGSS},
	matrix.Impersonate:       {onGSS: rejectsGSS, onTLS: endsTLS, endsTLS: true},
	matrix.Inject:            {injects: true},
	matrix.StuffClient:       {stuffs: toServer, badCert: crossesStuffing},
	matrix.StuffServer:       {stuffs: toClient},
	matrix.SendError:         {onGSS: answersErrorToGSS, onTLS: answersErrorToTLS},
	matrix.ErrorUnterminated: {onGSS: sendsErrorAfterG, onTLS: answersErrorToTLS},
	matrix.ForgeOK:           {onGSS: rejectsGSS, onTLS: endsTLS, endsTLS: true, forges: &forgery{}},
	matrix.ForgeGSSOK:        {onGSS: rejectsGSS, onTLS: endsTLS, endsTLS: true, forges: &forgery{asksGSS: true}},
	matrix.ForgeAPRep:        {onGSS: forgesTokenAfterG, onTLS: endsTLS, endsTLS: true, forges: &forgery{asksGSS: true, token: true}},
	matrix.CutAnswer:         {onGSS: cutsGSS, onTLS: cutsTLS},
	matrix.CutHandshake:      {inGSS: cutsGSSHandshake, inTLS: cutsTLSHandshake},
	matrix.CutAuth:           {inClear: cutsAuth},
	matrix.HoldAnswer:        {onGSS: holdsGSS, onTLS: holdsTLS},
	matrix.HoldGSS:           {onGSS: holdsGSS},
	matrix.HoldAuth:          {inClear: holdsAuth},
	matrix.Delay:             {},
	matrix.Replay:            {inGSS: replaysToken, inTLS: replaysHello, badCert: racesWithReset, afterTLS: findsSecondHello},
	matrix.FlipClient:        {inGSS: spoilsStartup, badCert: spoilsAlert, afterTLS: spoilsFinished},
	matrix.FlipServer:        {inTLS: spoilsServerHandshake, sealed: spoilsServerPacket},

	matrix.GSSENCInTLS:       {sequence: (*raw).gssencInTLS},
	matrix.GSSENCInDirectTLS: {sequence: (*raw).gssencInDirectTLS},
	matrix.TLSInGSS:          {sequence: (*raw).tlsInGSS},
	matrix.Alternate:         {sequence: (*raw).alternate},
	matrix.SecondStartup:     {sequence: (*raw).secondStartup},
	matrix.SSLWithQuery:      {sequence: (*raw).stuffedSSLRequest},
	matrix.SSLWithStartup:    {sequence: (*raw).stuffedSSLRequest},
	matrix.GSSENCWithQuery:   {sequence: (*raw).stuffedGSSENCRequest},
	matrix.GSSENCWithStartup: {sequence: (*raw).stuffedGSSENCRequest},
	matrix.GSSENCGarbage:     {sequence: (*raw).badToken},
	matrix.GSSENCEmpty:       {sequence: (*raw).emptyToken},
	matrix.GSSENCOversize:    {sequence: (*raw).badToken},
	matrix.GSSENCExtraCount:  {sequence: (*raw).extraCount},
	matrix.DirectNoALPN:      {sequence: (*raw).directWithoutALPN},
	matrix.DirectWrongALPN:   {sequence: (*raw).directWithWrongALPN},
	matrix.LongStartup:       {sequence: (*raw).longStartup},
	matrix.Protocol20:        {sequence: (*raw).protocol20},
	matrix.Protocol39:        {sequence: (*raw).protocol39},
}

// attackSource is the source of a rule that the attacker made.
func (a *attempt) attackSource() string { return "attack=" + string(a.c.Attack) }

// rejectsGSS: the attacker answers N to GSSENCRequest.
func rejectsGSS(a *attempt) *ending {
	a.acted = true
	a.step(matrix.StepGSSReject)
	a.why(a.attackSource(), "the attacker answers N to GSSENCRequest; nothing authenticates an answer")
	e := refused(declined, matrix.StageGSSEnc, matrix.GSSRefused)
	return &e
}

// rejectsTLS: the attacker answers N to SSLRequest, and closes on direct TLS.
func rejectsTLS(a *attempt, direct bool, _ *verification) *ending {
	a.acted = true
	if direct {
		a.step(matrix.StepDirectReject)
		a.why(a.attackSource(), "the attacker closes the connection on a TLS handshake")
		e := refused(broken, matrix.StageTLS, matrix.DirectTLSRefused)
		return &e
	}
	a.step(matrix.StepSSLReject)
	a.why(a.attackSource(), "the attacker answers N to SSLRequest; nothing authenticates an answer")
	e := refused(declined, matrix.StageTLS, matrix.TLSRefused)
	return &e
}

// endsTLS: the attacker completes the client's TLS handshake with a certificate of its own CA.
func endsTLS(a *attempt, direct bool, v *verification) *ending {
	a.acted = true
	if direct {
		a.step(matrix.StepDirectAccept)
	} else {
		a.step(matrix.StepSSLAccept)
	}
	a.because = append(a.because, v.because)
	var e ending
	switch {
	case v.noRoot:
		e = refused(broken, matrix.StageTLS, matrix.RootMissing)
	case len(v.checks) > 0:
		a.why(a.attackSource(), "the attacker's certificate is of a CA that the client does not know")
		e = refused(broken, matrix.StageTLS, matrix.ServerCertTrust)
	default:
		a.why(a.attackSource(), "the attacker's certificate is not verified: the client's TLS ends at the attacker")
	}
	return &e
}

// answersErrorToGSS: an error message in answer to GSSENCRequest.
func answersErrorToGSS(a *attempt) *ending {
	a.acted = true
	a.step(matrix.StepGSSError)
	return a.reacts(&a.client.reactions().gss.errorMessage, matrix.StageGSSEnc)
}

// answersErrorToTLS: the same to SSLRequest. Direct TLS has no request that could be answered.
func answersErrorToTLS(a *attempt, direct bool, _ *verification) *ending {
	if direct {
		return nil
	}
	a.acted = true
	a.step(matrix.StepSSLError)
	return a.reacts(&a.client.reactions().ssl.errorMessage, matrix.StageTLS)
}

// sendsErrorAfterG: G, and an error message in place of the server's token.
func sendsErrorAfterG(a *attempt) *ending {
	if e := a.attackerAcceptsGSS(); e != nil {
		return e
	}
	return a.reacts(&a.client.reactions().tokenError, matrix.StageGSSEnc)
}

// forgesTokenAfterG: G, and an AP-REP in place of the server's token.
func forgesTokenAfterG(a *attempt) *ending {
	if e := a.attackerAcceptsGSS(); e != nil {
		return e
	}
	a.why("RFC 4120, section 3.2.5", "G, and an AP-REP that was made without the session key: it proves nothing, and the client notices")
	e := refused(broken, matrix.StageGSSEnc, matrix.ServerUnproven)
	return &e
}

// attackerAcceptsGSS: the attacker answers G to GSSENCRequest; nil: the client sends a token.
func (a *attempt) attackerAcceptsGSS() *ending {
	a.acted = true
	a.step(matrix.StepGSSAccept)
	if e := a.objectsToGSS(); e != nil {
		return e
	}
	if reason := a.gssTicket(a.spn(a.w.Host), defaultCache); reason != "" {
		e := refused(broken, matrix.StageGSSEnc, reason)
		return &e
	}
	return nil
}

// requestStuffed: the channel ch is established, and the server finds the bytes that came after the request for it.
func (a *attempt) requestStuffed(stage matrix.Stage, ch matrix.Channel) ending {
	a.acted = true
	if ch == matrix.TLS && a.w.Server >= 17 {
		a.why("backend_startup.c, ProcessSSLStartup", "the server has bytes in its buffer that came before the handshake: it closes without a message (CVE-2021-23214)")
		return refused(broken, stage, matrix.ProtocolViolation)
	}
	a.step(matrix.StepAuthFail)
	a.why(a.serverSource("ProcessStartupPacket"), "the server has bytes in its buffer that came before the handshake: FATAL, through the new channel (CVE-2021-23214)")
	e := refused(errorBeforeOK, stage, matrix.ProtocolViolation)
	e.outcome.Channel, e.state = ch, "08P01"
	if a.w.Server < 14 {
		old := &a.client.reactions().oldError
		if old.because.Text == "" {
			a.gap = unknown("a server before 14 writes its error as protocol 2.0, which libpq 13 answers with protocol 2.0 and the drivers do not read", "attack=%s with %s on PostgreSQL %d", a.c.Attack, a.c.Library, a.w.Server)
			return e
		}
		a.because = append(a.because, old.because)
		e.how = old.how
	}
	return e
}

// answerStuffed: the client finds the bytes that came after the server's answer.
func (a *attempt) answerStuffed(stage matrix.Stage, answer *answers) ending {
	a.acted = true
	return *a.reacts(&answer.stuffed, stage)
}

// crossesStuffing: a client that refuses the certificate after its handshake closes while the server complains of the bytes.
func crossesStuffing(a *attempt, _ *verification, direct, late bool) {
	if !direct && late {
		a.gap = unknown("the client's refusal of the certificate crosses the server's error about the bytes", "attack=%s with a certificate that the client refuses after its handshake", a.c.Attack)
	}
}

// impersonated says whether the client's TLS ends at the attacker.
func (a *attempt) impersonated(ch matrix.Channel) bool {
	return ch == matrix.TLS && a.attack.endsTLS
}

// serverChannel is the channel at the server's end: an attacker who ends the client's TLS opens another one, where the server has TLS.
func (a *attempt) serverChannel(ch matrix.Channel) matrix.Channel {
	if a.impersonated(ch) && a.w.SSL != "on" {
		return matrix.Plain
	}
	return ch
}

// obtains is the worst thing that the attacker got of an attempt with that outcome.
func (a *attempt) obtains(o matrix.Outcome) matrix.Obtained {
	session := o.End == matrix.Connected
	clear := session && o.Channel == matrix.Plain
	switch {
	case !a.c.Attacked():
		return o.Obtains
	case a.attack.sequence != nil:
		return matrix.Nothing
	case session && (a.impersonated(o.Channel) || a.attack.forges != nil):
		return matrix.InSession
	case clear && a.attack.injects:
		return matrix.Injected
	case clear && a.acted:
		return matrix.Downgraded
	case !session && a.shown:
		return matrix.Injected
	case a.read:
		return matrix.Plaintext
	}
	return matrix.Nothing
}
