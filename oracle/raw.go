package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// raw is the model of the raw client, and of the server's answers to what no client library sends. The servers modelled have the
// corrections of 13.23, 14.1, 15.20, 17.12 and 18.6.
type raw struct {
	*attempt
	second bool // it answers the first authentication request with a second startup packet
}

func newRaw(a *attempt) client { return &raw{attempt: a} }

func (r *raw) walk() (ending, error) {
	if r.attack.sequence == nil {
		return ending{}, unknown("the raw client sends its own sequences only", "attack=%s", r.c.Attack)
	}
	r.connect()
	return r.attack.sequence(r)
}

// Ends of a sequence: over where no error message tells of it, fatal where one does.
func (r *raw) over(stage matrix.Stage, reason matrix.Reason, ch matrix.Channel) (ending, error) {
	e := refused(hungUp, stage, reason)
	e.outcome.Channel = ch
	return e, nil
}

func (r *raw) fatal(stage matrix.Stage, ch matrix.Channel) (ending, error) {
	r.step(matrix.StepAuthFail)
	return r.over(stage, matrix.ProtocolViolation, ch)
}

// secondRequest is a request for encryption on a connection that has had it answered.
func (r *raw) secondRequest(refused matrix.Step, stage matrix.Stage, ch matrix.Channel) (ending, error) {
	r.step(refused)
	r.why(r.packetSource(), "each request is taken once: the second is a startup packet of protocol 1234.5679 or 1234.5680, which does not exist")
	return r.fatal(stage, ch)
}

func (r *raw) packetSource() string { return r.serverSource("ProcessStartupPacket") }

// unverifiedTLS starts TLS without any verification of the server.
func (r *raw) unverifiedTLS(direct bool) ending { return r.encryptTLS(direct, verification{}) }

// gssContextNeeded is the gap of a sequence whose GSS context is not established.
func (r *raw) gssContextNeeded(e ending) (ending, error) {
	return e, unknown("the sequence needs a GSS context", "attack=%s with %s", r.c.Attack, e.outcome.Reason)
}

func (r *raw) gssencInTLS() (ending, error) {
	if e := r.unverifiedTLS(false); e.how != opened {
		return e, nil
	}
	return r.secondRequest(matrix.StepGSSError, matrix.StageGSSEnc, matrix.TLS)
}

func (r *raw) gssencInDirectTLS() (ending, error) {
	if e := r.unverifiedTLS(true); e.how != opened {
		return e, nil
	}
	r.step(matrix.StepGSSReject)
	r.why(r.packetSource(), "inside TLS the answer to GSSENCRequest is N (CVE-2026-14681; since 17.11 and 18.6)")
	return r.over(matrix.StageGSSEnc, matrix.GSSRefused, matrix.TLS)
}

func (r *raw) tlsInGSS() (ending, error) {
	if e := r.encryptGSS(); e.how != opened {
		return r.gssContextNeeded(e)
	}
	return r.secondRequest(matrix.StepSSLError, matrix.StageTLS, matrix.GSS)
}

func (r *raw) alternate() (ending, error) {
	if e := r.unverifiedTLS(false); e.how == opened {
		r.why("the sequence", "it ends with the first answer that is not N")
		return r.over(matrix.StageTLS, matrix.Abandoned, "")
	}
	if !r.unix() {
		r.step(matrix.StepGSSAccept)
		r.why(r.packetSource(), "over TCP the server answers G to GSSENCRequest, with or without a keytab: the sequence ends with it")
		return r.over(matrix.StageGSSEnc, matrix.Abandoned, "")
	}
	r.rejectsGSSOnUnix()
	return r.secondRequest(matrix.StepSSLError, matrix.StageTLS, "")
}

func (r *raw) rejectsGSSOnUnix() {
	r.step(matrix.StepGSSReject)
	r.why(r.packetSource(), "there is no GSS encryption on a unix socket: N")
}

// stuffedSSLRequest: a statement or a startup packet after SSLRequest, in the same segment.
func (r *raw) stuffedSSLRequest() (ending, error) {
	if r.w.SSL != "on" || r.unix() {
		r.step(matrix.StepSSLReject)
		r.why(r.packetSource(), "N, and there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
		return r.fatal(matrix.StageTLS, "")
	}
	r.step(matrix.StepSSLAccept)
	if r.w.Server >= 17 {
		r.why("be-secure.c, secure_open_server", "since 17 what was read ahead is given to the TLS library: it is not a ClientHello")
		return r.over(matrix.StageTLS, matrix.ProtocolViolation, "")
	}
	r.why(r.packetSource(), "after the handshake there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
	return r.fatal(matrix.StageTLS, matrix.TLS)
}

// stuffedGSSENCRequest is the same after GSSENCRequest.
func (r *raw) stuffedGSSENCRequest() (ending, error) {
	switch {
	case r.unix():
		r.step(matrix.StepGSSReject)
		r.why(r.packetSource(), "N, and there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
		return r.fatal(matrix.StageGSSEnc, "")
	case r.ticket.Absent:
		r.step(matrix.StepGSSAccept)
		r.why("be-secure-gssapi.c, secure_open_gssapi", "G; the token is not read from the buffer that holds the stuffed bytes, and the raw client sends none")
		return r.over(matrix.StageGSSEnc, matrix.Abandoned, "")
	}
	if e := r.encryptGSS(); e.how != opened {
		return r.gssContextNeeded(e)
	}
	r.why(r.packetSource(), "after the handshake there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
	return r.fatal(matrix.StageGSSEnc, matrix.GSS)
}

// badToken: a token that is malformed or too long.
func (r *raw) badToken() (ending, error) {
	if r.unix() {
		r.rejectsGSSOnUnix()
		return r.over(matrix.StageGSSEnc, matrix.GSSRefused, "")
	}
	r.step(matrix.StepGSSAccept)
	r.why("be-secure-gssapi.c, secure_open_gssapi", "the token is longer than a token may be, or gss_accept_sec_context does not accept it: the server closes without a message")
	return r.over(matrix.StageGSSEnc, matrix.ProtocolViolation, "")
}

func (r *raw) emptyToken() (ending, error) {
	if r.unix() {
		r.rejectsGSSOnUnix()
		return r.over(matrix.StageGSSEnc, matrix.GSSRefused, "")
	}
	r.step(matrix.StepGSSAccept)
	if r.keytab.Absent {
		return ending{}, unknown("without a key the server may have no mechanism to name", "%s with keytab=%s", r.c.Attack, r.w.Keytab)
	}
	r.why("krb5, spnego_mech.c, acc_ctx_hints", "to an empty token the server answers with its mechanisms, and waits for the next one")
	return r.over(matrix.StageGSSEnc, matrix.Abandoned, "")
}

func (r *raw) extraCount() (ending, error) {
	if e := r.encryptGSS(); e.how != opened {
		return r.gssContextNeeded(e)
	}
	r.why("gss_unwrap", "the Extra Count in the clear is not the one that was sealed with the message (CVE-2024-37370): the server closes without a message")
	return r.over(matrix.StageGSSEnc, matrix.IntegrityCheck, matrix.GSS)
}

func (r *raw) directWithoutALPN() (ending, error) {
	if e := r.unverifiedTLS(true); e.how != opened {
		return e, nil
	}
	r.why("backend_startup.c, ProcessSSLStartup", "direct TLS needs ALPN: the server drops the connection after the handshake")
	return r.over(matrix.StageTLS, matrix.DirectTLSRefused, matrix.TLS)
}

func (r *raw) directWithWrongALPN() (ending, error) {
	if e := r.unverifiedTLS(true); e.how != opened {
		return e, nil
	}
	r.trace[len(r.trace)-1] = matrix.StepDirectReject
	r.why("be-secure-openssl.c, alpn_cb", "none of the protocols offered is postgresql: the handshake ends with an alert")
	return r.over(matrix.StageTLS, matrix.TLSHandshake, "")
}

func (r *raw) longStartup() (ending, error) {
	r.why(r.packetSource(), "a startup packet is at most MAX_STARTUP_PACKET_LENGTH, 10,000 bytes, long: the server closes without a message")
	return r.over(matrix.StageStartup, matrix.ProtocolViolation, matrix.Plain)
}

func (r *raw) protocol20() (ending, error) {
	r.why(r.packetSource(), "only servers up to 13 have protocol 2.0")
	return r.fatal(matrix.StageStartup, matrix.Plain)
}

func (r *raw) protocol39() (ending, error) {
	r.why(r.packetSource(), "an unknown minor version is negotiated down")
	return r.authenticate(matrix.Plain)
}

func (r *raw) secondStartup() (ending, error) {
	r.second = true
	e, err := r.authenticate(matrix.Plain)
	if err != nil || e.outcome.Reason != matrix.ProtocolViolation {
		return e, err
	}
	if r.trace[len(r.trace)-1] != matrix.StepAuthFail { // method gss has added it
		r.step(matrix.StepAuthFail)
	}
	return r.over(matrix.StageAuth, matrix.ProtocolViolation, matrix.Plain)
}

// onRequest: the raw client can answer an authentication request with a second startup packet only.
func (r *raw) onRequest(ask request, _ matrix.Channel) (*objection, error) {
	if !r.second {
		return nil, unknown("the raw client cannot answer", "a request for %s", ask)
	}
	return &objection{matrix.ProtocolViolation, matrix.Because{Text: "where the answer to the request for " + strings.ToUpper(string(ask)) +
		" is due the server takes a message of that type only", Source: "auth.c, recv_password_packet; auth-sasl.c, CheckSASLAuth"}}, nil
}

// The raw client has no opinion: no relay stands before it, and it ends where a server asks it to authenticate.
func (r *raw) onOK(authenticationOK) *objection    { return nil }
func (r *raw) serverName() string                  { return "" }
func (r *raw) saslName() string                    { return "" }
func (r *raw) binding() (mode, source string)      { return "disable", "" }
func (r *raw) noHash() *objection                  { return nil }
func (r *raw) onGSSAccept() *objection             { return nil }
func (r *raw) asSetting(string) (source string)    { return "" }
func (r *raw) service() string                     { return r.spn(r.w.Host) }
func (r *raw) ambientTicket() lookup               { return lookup{} }
func (r *raw) withheld(*matrix.Certificate) lookup { return lookup{} }

func (r *raw) ambientCertificate() lookup { return lookup{} }
func (r *raw) reactions() *reactions      { return &reactions{} }
