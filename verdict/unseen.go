package verdict

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Unseen names the fields that no witness can see if the attempt ends as predicted, because a server of the cell's version logs
// them nowhere. Such a field must be observed as absent or as predicted; that is the only leniency of the judge. It is decided from the
// cell and the prediction, never from what the probe missed. Only Method, Identity and Rule can be unseen, and are named in this order.
//
// These show them (PostgreSQL sources, backend/libpq/auth.c unless said otherwise):
//
//   - set_authn_id, since 14: "connection authenticated: identity=… method=… (FILE:LINE)", before the user name map is looked at;
//     ClientAuthentication, since 17: the same line with user=… for trust. 13 has neither.
//   - auth_failed: the DETAIL "Connection matched pg_hba.conf line N: RAWLINE" (since 16: matched file "…" line N), on all versions;
//     but not if the client closes the connection in a password exchange: recv_password_packet and CheckSASLAuth (auth-sasl.c)
//     return STATUS_EOF, on which auth_failed exits without a message. pg_GSS_recvauth returns STATUS_ERROR, which is logged.
//   - ClientAuthentication, uaReject, a missing client certificate and a missing ssl_ca_file: a FATAL without DETAIL, on all versions. The text of
//     the FATAL of uaReject implies the method.
//   - The authentication requests that the client received: password, md5, gss. The request password stands for pam, ldap and
//     radius, too, and sasl for scram-sha-256 and for md5
//     (CheckPWChallengeAuth). There is no request for trust, cert, peer and ident, nor for gss inside GSS encryption.
//   - PerformAuthentication (utils/init/postinit.c), on all versions, once AuthenticationOk is written: "connection authorized: …
//     GSS (authenticated=yes|no, encrypted=…, principal=…)". pg_stat_ssl.client_dn names the certificate that was presented, which is
//     the identity only under cert: in 13 nothing tells cert from trust.
func Unseen(cell *matrix.Cell, p matrix.Prediction) []matrix.Field {
	predicted := p.Outcome
	const method, identity, rule = matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule
	switch server := cell.World.Server; {
	case predicted.Method == "":
		return nil // no record decided: these fields are empty
	case predicted.Reason == matrix.HBAReject:
		return []matrix.Field{rule}
	case predicted.Stage == matrix.StageAuth && predicted.Reason == matrix.ProtocolViolation: // a malformed SCRAM message: a FATAL without DETAIL, and the request sasl
		return []matrix.Field{method, rule}
	case predicted.Reason == matrix.CertMissing, predicted.Reason == matrix.ClientCAMissing:
		return []matrix.Field{method, rule}
	case leftPasswordExchange(predicted):
		if askedInClear(cell, p) {
			return []matrix.Field{rule}
		}
		return []matrix.Field{method, rule}
	case !authenticationOK(predicted): // auth_failed
		if server < 14 {
			return []matrix.Field{identity}
		}
		return nil
	case server >= 17, server >= 14 && predicted.Method != matrix.MethodTrust:
		return nil
	case server >= 14: // trust: that there is no line tells the method, and that there is no identity
		return []matrix.Field{rule}
	default:
		var fields []matrix.Field
		if !methodShows13(cell, p) {
			fields = append(fields, method)
		}
		if predicted.Method != matrix.MethodGSS {
			fields = append(fields, identity)
		}
		return append(fields, rule)
	}
}

// leftPasswordExchange: the client ended the connection when the server asked for a password.
func leftPasswordExchange(o matrix.Outcome) bool {
	return clientLeft(o) && (o.Method.InClear() || o.Method == matrix.MethodMD5 || o.Method == matrix.MethodScram)
}

// clientLeft: at the authentication stage the client refused, because of what the server asked for or did not ask for, or because no
// answer reached it.
func clientLeft(o matrix.Outcome) bool {
	return o.Stage == matrix.StageAuth &&
		slices.Contains([]matrix.Reason{matrix.NoPassword, matrix.MethodUnsupported, matrix.MethodRejected, matrix.ChannelBinding, matrix.ConnectionLost, matrix.TimedOut}, o.Reason)
}

// authenticationOK: the server sent AuthenticationOk.
func authenticationOK(o matrix.Outcome) bool {
	return o.Stage == matrix.StageSession || o.Stage == matrix.StageStartup || o.Reason == matrix.CertMode || clientLeft(o) && !asks(o)
}

// asks: the server sends an authentication request for this method on this channel.
func asks(o matrix.Outcome) bool {
	switch o.Method {
	case matrix.MethodTrust, matrix.MethodCert, matrix.MethodPeer, matrix.MethodIdent:
		return false
	case matrix.MethodGSS:
		return o.Channel != matrix.GSS
	}
	return true
}

// showsRequests: the client, or the wire where it can be read, shows the authentication requests of the server.
func showsRequests(cell *matrix.Cell, o matrix.Outcome) bool {
	return !cell.Client.Silent() || o.Channel == matrix.Plain && cell.Client.Transport != "unix"
}

// askedInClear: the method is password, and the request for it shows that: no record can be of another method that asks alike.
func askedInClear(cell *matrix.Cell, p matrix.Prediction) bool {
	o, inForce := p.Outcome, cell.World.HBA
	if p.Before {
		inForce = cell.World.Before.HBA
	}
	if strings.Contains(inForce, "include") { // another file may have it
		return false
	}
	return o.Method == matrix.MethodPassword && showsRequests(cell, o) && !slices.ContainsFunc(matrix.Methods, func(m matrix.Method) bool {
		return m != o.Method && m.InClear() && strings.Contains(inForce, string(m))
	})
}

// methodShows13: the authentication requests, or "connection authorized: … GSS (authenticated=…", show the method of an attempt that
// received AuthenticationOk from a server of version 13.
func methodShows13(cell *matrix.Cell, p matrix.Prediction) bool {
	switch o := p.Outcome; o.Method {
	case matrix.MethodGSS:
		return true
	case matrix.MethodPassword:
		return askedInClear(cell, p)
	case matrix.MethodMD5, matrix.MethodScram, matrix.MethodPAM, matrix.MethodLDAP, matrix.MethodRADIUS:
		return false
	}
	return p.Outcome.Channel == matrix.GSS && showsRequests(cell, p.Outcome)
}
