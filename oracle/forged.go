package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// forges says whether the attacker plays the server himself.
func (a *attempt) forges() bool { return strings.HasPrefix(string(a.c.Attack), "forge-") }

// believers is where each client takes AuthenticationOk for what it says.
var believers = map[matrix.ClientKind]string{matrix.KindLibpq: "fe-auth.c, pg_fe_sendauth", matrix.KindPsql: "fe-auth.c, pg_fe_sendauth", matrix.KindPGX: "pgconn.go, connectOne", matrix.KindPQ: "conn.go, auth"}

// forged is a startup packet that the attacker answers: the server hears nothing of it, and nobody decides but the client.
func (x *exchange) forged() (ending, error) {
	x.acted = true
	x.why("attack="+string(x.c.Attack), "the attacker answers the startup packet: rules, roles and passwords have no part in it")
	if x.c.Attack != "forge-ok" {
		if end, err := x.asks(askGSS); err != nil {
			return ending{}, err
		} else if end != nil {
			return *end, nil
		}
		if reason := x.gssTicket(x.askedSPN(x.byProvider()), x.byProvider()); reason != "" {
			return x.end(hungUp, matrix.StageAuth, reason), nil
		}
	}
	x.step(matrix.StepAuthOK)
	switch {
	case x.c.Attack == "forge-ap-rep" && x.ignoresErrorToken():
		x.why("conn.go, auth", "the AP-REP was made without the session key; lib/pq goes on whatever its GSSAPI provider says of it")
	case x.c.Attack == "forge-ap-rep":
		x.why("RFC 4120, section 3.2.5", "the AP-REP was made without the session key: it proves nothing, and the client notices")
		return x.end(hungUp, matrix.StageAuth, matrix.ServerUnproven), nil
	case x.c.Attack == "forge-gss-ok" && x.lib == matrix.PGX:
		x.why("pgconn/krb5.go, rxGSSContinue", "AuthenticationOk where the server's token is due")
		return x.end(hungUp, matrix.StageAuth, matrix.ProtocolViolation), nil
	}
	if o := x.onOK(false, false, x.ch); o != nil {
		return x.objects(o), nil
	}
	x.why(believers[x.lib.Kind()], "AuthenticationOk is believed, whatever came before it")
	e := x.end(opened, matrix.StageSession, "")
	e.outcome.End, e.outcome.Role = matrix.Connected, x.c.User
	return e, nil
}
