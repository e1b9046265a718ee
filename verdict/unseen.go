package verdict

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Unseen names the fields that a server of the cell's version shows to no witness if the attempt ends as predicted. It
// is the judge's only leniency: such a field must be observed as absent or as predicted. It is decided from the cell and the
// prediction, never from what the probe happened to miss; and only Method, Identity and Rule can be in it, in this order.
//
// What shows them (PostgreSQL sources, backend/libpq/auth.c unless said otherwise):
//
//   - set_authn_id, since 14: "connection authenticated: identity=… method=… (FILE:LINE)", before the user name map is looked at;
//     ClientAuthentication, since 17: the same line with user=… for trust. 13 has neither.
//   - auth_failed: the DETAIL "Connection matched pg_hba.conf line N: RAWLINE" (since 16: matched file "…" line N), on all versions;
//     but not if the client hung up in a password exchange: recv_password_packet and CheckSASLAuth (auth-sasl.c)
//     give STATUS_EOF, on which auth_failed exits without a word. pg_GSS_recvauth gives STATUS_ERROR, which is logged.
//   - ClientAuthentication, uaReject and a missing client certificate: a FATAL without DETAIL, on all versions; that of
//     uaReject names the method by its words.
//   - The authentication requests that the client got: password, md5, gss; sasl stands for both scram-sha-256 and md5
//     (CheckPWChallengeAuth), and none for trust, cert, peer, ident and for gss inside GSS encryption.
//   - PerformAuthentication (utils/init/postinit.c), on all versions, once AuthenticationOk is decided: "connection authorized: …
//     GSS (authenticated=yes|no, encrypted=…, principal=…)". pg_stat_ssl.client_dn names the certificate that was presented, which is an
//     identity only under cert: 13 does not tell it from trust.
func Unseen(cell *matrix.Cell, predicted matrix.Outcome) []matrix.Field {
	const method, identity, rule = matrix.FieldMethod, matrix.FieldIdentity, matrix.FieldRule
	switch server := cell.World.Server; {
	case predicted.Method == "":
		return nil // no record decided: there is nothing that could be hidden
	case predicted.Reason == matrix.HBAReject:
		return []matrix.Field{rule}
	case predicted.Reason == matrix.CertMissing:
		return []matrix.Field{method, rule}
	case hungUpInPasswordExchange(predicted):
		if predicted.Method == matrix.MethodPassword && showsRequests(cell, predicted) {
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
	case server >= 14: // trust: no line, which tells the method and that there is no identity
		return []matrix.Field{rule}
	default:
		var fields []matrix.Field
		if !methodShows13(cell, predicted) {
			fields = append(fields, method)
		}
		if predicted.Method != matrix.MethodGSS {
			fields = append(fields, identity)
		}
		return append(fields, rule)
	}
}

// hungUpInPasswordExchange: the client broke off when the server asked for a password.
func hungUpInPasswordExchange(o matrix.Outcome) bool {
	return clientLeft(o) && slices.Contains([]matrix.Method{matrix.MethodPassword, matrix.MethodMD5, matrix.MethodScram}, o.Method)
}

// clientLeft: at the authentication stage it was the client that said no, to what the server asked or did not ask; or it never heard.
func clientLeft(o matrix.Outcome) bool {
	return o.Stage == matrix.StageAuth &&
		slices.Contains([]matrix.Reason{matrix.NoPassword, matrix.MethodUnsupported, matrix.MethodRejected, matrix.ChannelBinding, matrix.ConnectionLost, matrix.TimedOut}, o.Reason)
}

// authenticationOK: the server had nothing more to ask and sent AuthenticationOk.
func authenticationOK(o matrix.Outcome) bool {
	return o.End == matrix.Connected || o.Stage == matrix.StageStartup || clientLeft(o) && !asks(o)
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

// showsRequests: libpq and pgx tell what the server asked for; psql does not, and inside encryption nor does the wire.
func showsRequests(cell *matrix.Cell, o matrix.Outcome) bool {
	return cell.Client.Library.Kind() != "psql" || o.Channel == matrix.Plain && cell.Client.Transport != "unix"
}

// methodShows13: what the client was asked, or "connection authorized: … GSS (authenticated=…", tells the method of an
// attempt that got AuthenticationOk from a server of version 13.
func methodShows13(cell *matrix.Cell, o matrix.Outcome) bool {
	switch o.Method {
	case matrix.MethodGSS:
		return true
	case matrix.MethodPassword:
		return showsRequests(cell, o)
	case matrix.MethodMD5, matrix.MethodScram:
		return false
	}
	return o.Channel == matrix.GSS && showsRequests(cell, o)
}
