package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

const readOnlySetting = "default_transaction_read_only"

// selected is what becomes of a session that the client has when it looks at what the server is. The server is a primary. source is the
// function of the client that looks.
func (a *attempt) selected(e ending, source string) ending {
	return a.selects(e, source, a.setting(readOnlySetting, "off") == "on")
}

func (a *attempt) selects(e ending, source string, readOnly bool) ending {
	if e.how != opened {
		return e
	}
	text := ""
	switch target := a.c.TargetSession; {
	case target == matrix.ReadWrite && readOnly:
		text = "the session is read-only"
	case target == matrix.ReadOnly && !readOnly:
		text = "the session is not read-only"
	case target == matrix.Standby, target == matrix.PreferStandby:
		text = "the server is not in hot standby mode"
	default:
		return e
	}
	a.why(source, "target_session_attrs="+a.c.TargetSession+": "+text+", and the client closes its session")
	a.step(matrix.StepTargetFail)
	e.how = unwanted
	e.outcome.End, e.outcome.Reason, e.outcome.Role = matrix.Refused, matrix.SessionUnwanted, ""
	return e
}
