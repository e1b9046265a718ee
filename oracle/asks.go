package oracle

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

const (
	preloads      = "session_preload_libraries"
	passwordCheck = "passwordcheck"
)

// SQLSTATEs (PostgreSQL manual, "PostgreSQL Error Codes").
const (
	noPrivilege     = "42501" // insufficient_privilege
	noColumn        = "42703" // undefined_column
	invalidPassword = "22023" // invalid_parameter_value
)

// checkAsks finds what of a session's answers is not modelled.
func (a *attempt) checkAsks() error {
	_, known := matrix.AskByName(a.c.Asks)
	switch {
	case a.c.Asks == "":
		return nil
	case !known:
		return unknown("not among what it knows that a session can be asked", "asks=%s", a.c.Asks)
	case a.setting(readOnlySetting, "off") == "on":
		return unknown("the answer is modelled without it", "asks=%s with %s=on", a.c.Asks, readOnlySetting)
	}
	return nil
}

// answers is what a session answers; "" if there is none, or it is asked nothing.
func (a *attempt) answers(o matrix.Outcome) string {
	if a.c.Asks == "" || o.End != matrix.Connected {
		return ""
	}
	super := a.c.User == "postgres"
	switch a.c.Asks {
	case matrix.AskRead, matrix.AskWrite:
		return a.allowed(super || a.may(a.c.User, a.c.Asks), "GRANT", "the role, and those of which it is a member, decide what the session may do, however it has authenticated")
	case matrix.AskCreate:
		return a.allowed(super || a.w.Server < 15, "Release notes of 15; manual, \"The Public Schema\"", "before 15 every role may create tables in the schema public")
	case matrix.AskSystemUser:
		return a.systemUser(o)
	case matrix.AskDelegated:
		return a.delegated(o)
	}
	return a.newPassword()
}

func (a *attempt) allowed(allowed bool, source, text string) string {
	a.why(source, text)
	if allowed {
		return matrix.AnswerOK
	}
	return noPrivilege
}

// may says whether a role has a privilege on the table, itself or by a role of which it is a member, at any remove: roles inherit privileges.
func (a *attempt) may(name, privilege string) bool {
	r, _ := a.role(name)
	return slices.Contains(r.May, privilege) || slices.ContainsFunc(r.In, func(group string) bool { return a.may(group, privilege) })
}

// newPassword is the answer to ALTER ROLE … PASSWORD of the session's own role (contrib/passwordcheck, check_password).
func (a *attempt) newPassword() string {
	if a.setting(preloads, "") != passwordCheck {
		a.why("ALTER ROLE; user.c, AlterRole", "a role may change its own password, and nothing looks at its length")
		return matrix.AnswerOK
	}
	switch a.c.Asks {
	case matrix.AskShortPassword:
		a.why("passwordcheck.c, check_password", "the password has fewer than 8 characters")
		return invalidPassword
	case matrix.AskLettersPassword:
		a.why("passwordcheck.c, check_password", "the password has letters only")
		return invalidPassword
	case matrix.AskHashedPassword:
		a.why("passwordcheck.c, check_password", "the module cannot see the length of a password that is sent hashed")
	default:
		a.why("passwordcheck.c, check_password", "the password has at least 8 characters, letters and others")
	}
	return matrix.AnswerOK
}

// systemUser is SYSTEM_USER: the method of the record and the identity that was authenticated.
func (a *attempt) systemUser(o matrix.Outcome) string {
	switch {
	case a.w.Server < 16:
		a.why("Release notes of 16", "there is no SYSTEM_USER before 16")
		return noColumn
	case o.Method == matrix.MethodTrust:
		a.why("auth.c, ClientAuthentication", "trust authenticates nobody: SYSTEM_USER is null")
		return matrix.AnswerNull
	}
	a.why("miscinit.c, InitializeSystemUser", "SYSTEM_USER is the method of the record and the authenticated identity, not the role")
	return string(o.Method) + ":" + o.Identity
}

// delegated says whether the server has the client's credentials.
func (a *attempt) delegated(o matrix.Outcome) string {
	switch {
	case a.w.Server < 16:
		a.why("Release notes of 16", "a server before 16 takes no delegated credentials")
		return noColumn
	case o.Channel != matrix.GSS && o.Method != matrix.MethodGSS:
		a.why("pg_stat_gssapi", "the session has nothing to do with GSSAPI")
	case a.c.GSSDelegation != "1":
		a.why("libpq, gssdelegation", "the client delegates nothing unless gssdelegation=1")
	case !strings.Contains(a.ticket.Flags, "forwardable"):
		a.why("krb5, gss_init_sec_context", "the ticket is not forwardable: libkrb5 delegates nothing, and says nothing")
	case a.setting("gss_accept_delegation", "off") != "on":
		a.why("gss_accept_delegation", "the server does not take delegated credentials unless it is set")
	default:
		a.why("libpq, gssdelegation; gss_accept_delegation", "client and server agree: the client forwards its ticket-granting ticket within the GSSAPI handshake")
		return "true"
	}
	return "false"
}
