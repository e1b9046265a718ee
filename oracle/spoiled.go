package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// What becomes of a connection that somebody cuts, keeps waiting, or spoils by a changed bit or a handshake that is played twice.

// unanswered is a client that is cut off, or kept waiting, where the answer to its request is due.
func (a *attempt) unanswered(stage matrix.Stage) *ending {
	if strings.HasPrefix(string(a.c.Attack), "hold-") {
		return a.waitsInVain(stage)
	}
	a.acted = true
	e := refused(broken, stage, matrix.ConnectionLost)
	switch {
	case a.lib.UsesLibpq():
		a.why("fe-connect.c, PQconnectPoll", "the connection ends where the answer is due: final, unlike a handshake that fails")
		e.how = lost
	case stage == matrix.StageGSSEnc:
		a.why("gssenc/handshake.go, request", "the connection ends where the answer is due: to the client GSS encryption has failed")
	case a.lib == matrix.PQ:
		a.why("conn.go, conn.ssl", "the connection ends where the answer is due: to the client TLS has failed")
	default:
		a.why("pgconn.go, startTLS", "the connection ends where the answer is due: to the client TLS has failed")
	}
	return &e
}

// waitsInVain is a client whose connect_timeout passes.
func (a *attempt) waitsInVain(stage matrix.Stage) *ending {
	a.acted = true
	e := refused(outOfTime, stage, matrix.TimedOut)
	switch a.lib {
	case matrix.PGX:
		a.why("pgconn.go, connectPreferred", "no answer comes, and connect_timeout passes")
	case matrix.PQ:
		a.why("conn.go, dial", "no answer comes, and connect_timeout passes, which is the connection's deadline")
	default:
		a.why("fe-connect.c, pqConnectDBComplete", "no answer comes, and connect_timeout passes: the next address would be tried, and there is none")
	}
	return &e
}

// spoiledGSS is what becomes of a context that is there; nil: nothing.
func (a *attempt) spoiledGSS() *ending {
	var e ending
	switch a.c.Attack {
	case "cut-handshake":
		a.why("RFC 2743, section 1.1.1", "the connection ends where the server's token is due: a handshake that failed")
		e = refused(broken, matrix.StageGSSEnc, matrix.ConnectionLost)
	case "flip-client":
		a.why("be-secure-gssapi.c, be_gssapi_read", "the server cannot unwrap the startup packet and closes without a word")
		e = refused(lost, matrix.StageGSSEnc, matrix.IntegrityCheck)
		e.outcome.Channel = matrix.GSS
	case "replay":
		a.why("be-secure-gssapi.c, be_gssapi_read", "the first token makes the context; the second is no sealed packet, and the server closes without a word")
		e = refused(lost, matrix.StageGSSEnc, matrix.ProtocolViolation)
		e.outcome.Channel = matrix.GSS
	default:
		return nil
	}
	a.acted = true
	return &e
}

// spoiledHello is what becomes of a TLS handshake in its first round, before the server has shown its certificate; nil: nothing.
func (a *attempt) spoiledHello(direct bool) *ending {
	var e ending
	switch a.c.Attack {
	case "cut-handshake":
		if direct {
			a.trace[len(a.trace)-1] = matrix.StepDirectReject // the ServerHello does not come
		}
		a.why("RFC 8446, section 6.1", "the connection ends where the ServerHello is due: a handshake that failed")
		e = refused(broken, matrix.StageTLS, matrix.ConnectionLost)
	case "flip-server":
		a.why("RFC 8446, section 5.2", "the record behind the ServerHello is sealed: the client cannot open it, and its handshake fails")
		e = refused(broken, matrix.StageTLS, matrix.IntegrityCheck)
	case "replay":
		if a.w.Server >= 18 {
			return nil
		}
		a.why("RFC 8446, section 4.1.2", "ssl_ecdh_curve is prime256v1, of which no client sends a key share: the server asks for another ClientHello and gets the same again, an illegal parameter")
		e = refused(broken, matrix.StageTLS, matrix.ProtocolViolation)
	default:
		return nil
	}
	a.acted = true
	return &e
}

// chance is for a client that would go on after a handshake that failed, and not after one that it has finished.
func chance() error {
	return unknown("the server's reset races with the client's handshake", "attack=replay with a method left to try")
}

// spoiledFinish is what becomes of a TLS handshake that the client has completed and the server has not; nil: nothing. The
// alert that says so comes where the answer to the startup packet is due.
func (a *attempt) spoiledFinish() *ending {
	var e ending
	switch a.c.Attack {
	case "flip-client":
		a.why("RFC 8446, section 4.4.4", "the client has finished its handshake when the server cannot open its Finished: the alert comes in the place of an answer to the startup packet")
		e = refused(lost, matrix.StageTLS, matrix.IntegrityCheck)
	case "replay":
		a.why("RFC 8446, section 4.4.4", "the server finds the second ClientHello where Finished is due, and closes with it unread: the reset behind its alert may overtake the client's handshake")
		e = refused(raced, matrix.StageTLS, matrix.ProtocolViolation)
	default:
		return nil
	}
	a.acted = true
	return &e
}

// unheard is what becomes of an exchange whose client does not get the server's first authentication request, which may be
// AuthenticationOk; nil: it does.
func (x *exchange) unheard() *ending {
	switch {
	case x.ch == matrix.Plain && x.c.Attack == "cut-auth":
		x.acted = true
		x.why("attack="+string(x.c.Attack), "the connection ends where the server's first authentication request is due")
		e := x.end(lost, matrix.StageAuth, matrix.ConnectionLost)
		return &e
	case x.ch == matrix.Plain && x.c.Attack == "hold-auth":
		e := x.end(x.waitsInVain(matrix.StageAuth).how, matrix.StageAuth, matrix.TimedOut)
		return &e
	}
	return x.unopened()
}

// unopened is what becomes of an exchange whose client cannot open the server's first sealed packet; nil: it can.
func (x *exchange) unopened() *ending {
	if x.ch != matrix.GSS || x.c.Attack != "flip-server" {
		return nil
	}
	x.acted = true
	source := "fe-secure-gssapi.c, pg_GSS_read"
	if x.lib == matrix.PGX {
		source = "gssenc/conn.go, Conn.Read"
	}
	x.why(source, "the client cannot unwrap the server's answer to its startup packet")
	e := refused(lost, matrix.StageGSSEnc, matrix.IntegrityCheck)
	e.outcome.Channel = matrix.GSS
	return &e
}
