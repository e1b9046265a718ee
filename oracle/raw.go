package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// raw is what a server makes of what no client library sends. The servers modelled are mended: 13.23, 14 of 14.1 and
// later, 15.20, 17.12, 18.6 and their like.
func (a *attempt) raw() (ending, error) {
	e, err := a.rawSequence()
	if err == nil {
		e.outcome.Obtains = matrix.Nothing
	}
	return e, err
}

func (a *attempt) rawSequence() (ending, error) {
	a.connect()
	source := a.serverSource("ProcessStartupPacket")
	modern := a.w.Server >= 17
	over := func(stage matrix.Stage, reason matrix.Reason, ch matrix.Channel) (ending, error) {
		e := refused(hungUp, stage, reason)
		e.outcome.Channel = ch
		return e, nil
	}
	fatal := func(stage matrix.Stage, ch matrix.Channel) (ending, error) {
		a.step(matrix.StepAuthFail)
		return over(stage, matrix.ProtocolViolation, ch)
	}
	secondRequest := func(refused matrix.Step, stage matrix.Stage, ch matrix.Channel) (ending, error) {
		a.step(refused)
		a.why(source, "each request is taken once: the second is a startup packet of protocol 1234.5679 or 1234.5680, which there is none of")
		return fatal(stage, ch)
	}
	switch attack := a.c.Attack; attack {
	case "gssenc-in-tls":
		if e := a.encryptTLS(false, verification{level: "none"}); e.how != opened {
			return e, nil
		}
		return secondRequest(matrix.StepGSSError, matrix.StageGSSEnc, matrix.TLS)
	case "gssenc-in-direct-tls":
		if e := a.encryptTLS(true, verification{level: "none"}); e.how != opened {
			return e, nil
		}
		a.step(matrix.StepGSSReject)
		a.why(source, "inside TLS the answer to GSSENCRequest is N (CVE-2026-14681; since 17.11 and 18.6)")
		return over(matrix.StageGSSEnc, matrix.GSSRefused, matrix.TLS)
	case "tls-in-gss":
		if e := a.encryptGSS(); e.how != opened {
			return e, unknown("the raw client needs a context that comes about", "tls-in-gss with %s", e.outcome.Reason)
		}
		return secondRequest(matrix.StepSSLError, matrix.StageTLS, matrix.GSS)
	case "alternate":
		if e := a.encryptTLS(false, verification{level: "none"}); e.how == opened {
			a.why("the sequence", "it ends with the first answer that is not N")
			return over(matrix.StageTLS, matrix.Abandoned, "")
		}
		if !a.unix() {
			a.step(matrix.StepGSSAccept)
			a.why(source, "over TCP the server answers G to GSSENCRequest, with or without a keytab: the sequence ends with it")
			return over(matrix.StageGSSEnc, matrix.Abandoned, "")
		}
		a.step(matrix.StepGSSReject)
		a.why(source, "there is no GSS encryption on a unix socket: N")
		return secondRequest(matrix.StepSSLError, matrix.StageTLS, "")
	case "ssl-with-query", "ssl-with-startup":
		if a.w.SSL == "on" && !a.unix() {
			a.step(matrix.StepSSLAccept)
			if modern {
				a.why("be-secure.c, secure_open_server", "since 17 what was read ahead is given to the TLS library: it is no ClientHello")
				return over(matrix.StageTLS, matrix.ProtocolViolation, "")
			}
			a.why(source, "after the handshake there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
			return fatal(matrix.StageTLS, matrix.TLS)
		}
		a.step(matrix.StepSSLReject)
		a.why(source, "N, and there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
		return fatal(matrix.StageTLS, "")
	case "gssenc-with-query", "gssenc-with-startup":
		if !a.unix() && a.ticket() != "none" {
			if e := a.encryptGSS(); e.how != opened {
				return e, unknown("the raw client needs a context that comes about", "%s with %s", attack, e.outcome.Reason)
			}
			a.why(source, "after the handshake there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
			return fatal(matrix.StageGSSEnc, matrix.GSS)
		}
		if !a.unix() {
			a.step(matrix.StepGSSAccept)
			a.why("be-secure-gssapi.c, secure_open_gssapi", "G; the token is read past the buffer in which the stuffed bytes are, and the raw client sends none")
			return over(matrix.StageGSSEnc, matrix.Abandoned, "")
		}
		a.step(matrix.StepGSSReject)
		a.why(source, "N, and there are bytes in the buffer that came before it: FATAL (CVE-2021-23214)")
		return fatal(matrix.StageGSSEnc, "")
	case "gssenc-garbage", "gssenc-empty", "gssenc-oversize":
		if a.unix() {
			a.step(matrix.StepGSSReject)
			a.why(source, "there is no GSS encryption on a unix socket: N")
			return over(matrix.StageGSSEnc, matrix.GSSRefused, "")
		}
		a.step(matrix.StepGSSAccept)
		if attack == "gssenc-empty" {
			if a.w.Keytab == "none" {
				return ending{}, unknown("without a key the server may have no mechanism to name", "gssenc-empty with keytab=none")
			}
			a.why("krb5, spnego_mech.c, acc_ctx_hints", "to an empty token the server answers with its mechanisms, and waits for the next one")
			return over(matrix.StageGSSEnc, matrix.Abandoned, "")
		}
		a.why("be-secure-gssapi.c, secure_open_gssapi", "what comes is longer than a token may be, or none to gss_accept_sec_context: the server closes without a word")
		return over(matrix.StageGSSEnc, matrix.ProtocolViolation, "")
	case "gssenc-extra-count":
		if e := a.encryptGSS(); e.how != opened {
			return e, unknown("the raw client needs a context that comes about", "%s with %s", attack, e.outcome.Reason)
		}
		a.why("gss_unwrap", "the Extra Count in the clear is not the one that was sealed with the message (CVE-2024-37370): the server closes without a word")
		return over(matrix.StageGSSEnc, matrix.IntegrityCheck, matrix.GSS)
	case "direct-no-alpn", "direct-wrong-alpn":
		e := a.encryptTLS(true, verification{level: "none"})
		switch {
		case e.how != opened:
		case attack == "direct-no-alpn":
			a.why("backend_startup.c, ProcessSSLStartup", "direct TLS needs ALPN: the server drops the connection after the handshake")
			return over(matrix.StageTLS, matrix.DirectTLSRefused, matrix.TLS)
		default:
			a.trace[len(a.trace)-1] = matrix.StepDirectReject
			a.why("be-secure-openssl.c, alpn_cb", "none of the protocols offered is postgresql: the handshake ends with an alert")
			return over(matrix.StageTLS, matrix.TLSHandshake, "")
		}
		return e, nil
	case "long-startup":
		a.why(source, "a startup packet is at most MAX_STARTUP_PACKET_LENGTH, 10,000 bytes, long: the server closes without a word")
		return over(matrix.StageStartup, matrix.ProtocolViolation, matrix.Plain)
	case "protocol-2.0":
		a.why(source, "protocol 2.0 is spoken up to 13 only")
		return fatal(matrix.StageStartup, matrix.Plain)
	case "protocol-3.9":
		a.why(source, "an unknown minor version is negotiated down")
		return a.authenticate(matrix.Plain, rawClient{})
	case "second-startup":
		e, err := a.authenticate(matrix.Plain, rawClient{second: true})
		if err == nil && e.outcome.Reason == matrix.ProtocolViolation {
			if a.trace[len(a.trace)-1] != matrix.StepAuthFail { // gss has it already
				a.step(matrix.StepAuthFail)
			}
			return over(matrix.StageAuth, matrix.ProtocolViolation, matrix.Plain)
		}
		return e, err
	default:
		return ending{}, unknown("its answers are not modelled", "the raw client's attack %s", attack)
	}
}

// rawClient knows no authentication: it can answer a request for it with a second startup packet only.
type rawClient struct{ second bool }

func (r rawClient) onRequest(ask request, _ matrix.Channel) (*objection, error) {
	if !r.second {
		return nil, unknown("the raw client cannot answer", "a request for %s", ask)
	}
	return &objection{matrix.ProtocolViolation, matrix.Because{Text: "where the answer to the request for " + strings.ToUpper(string(ask)) +
		" is due the server takes a message of that type only", Source: "auth.c, recv_password_packet; auth-sasl.c, CheckSASLAuth"}}, nil
}

func (rawClient) onOK(bool, bool, matrix.Channel) *objection { return nil }
func (rawClient) emptyPassword() string                      { return "" }
func (rawClient) binds() bool                                { return false }
func (rawClient) noHash() *objection                         { return nil }
func (rawClient) ignoresErrorToken() bool                    { return true }

// attacks are those that are modelled for the cell's client.
func (a *attempt) attacks() (names []string) {
	list := attacks
	if a.lib == matrix.Raw {
		list = sequences
	}
	for _, attack := range list {
		names = append(names, string(attack))
	}
	return names
}

// sequences of the raw client that are modelled.
var sequences = []matrix.Attack{matrix.GSSENCInTLS, matrix.GSSENCInDirectTLS, matrix.TLSInGSS, matrix.Alternate, matrix.SecondStartup, matrix.SSLWithQuery, matrix.SSLWithStartup,
	matrix.GSSENCWithQuery, matrix.GSSENCWithStartup, matrix.GSSENCGarbage, matrix.GSSENCEmpty, matrix.GSSENCOversize, matrix.GSSENCExtraCount, matrix.DirectNoALPN,
	matrix.DirectWrongALPN, matrix.LongStartup, matrix.Protocol20, matrix.Protocol39}
