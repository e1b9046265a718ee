package oracle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// encryptGSS asks for GSS encryption on the present connection, over TCP. A server built with GSSAPI answers G to
// every such request, whether it has a keytab or not; what is wrong shows in the handshake.
func (a *attempt) encryptGSS() ending {
	if e := a.attackOnGSS(); e != nil {
		return *e
	}
	a.step(matrix.StepGSSAccept)
	a.why(a.serverSource("ProcessStartupPacket"), "over TCP the server answers G to every GSSENCRequest, with or without a keytab")
	a.acted = a.acted || a.c.Attack == "stuff-client" || a.c.Attack == "stuff-server"
	if e := a.stopsAtG(); e != nil {
		return *e
	}
	if reason, _ := a.gssContext(false); reason != "" {
		return refused(broken, matrix.StageGSSEnc, reason)
	}
	if e := a.spoiledGSS(); e != nil {
		return *e
	}
	switch a.c.Attack {
	case "stuff-client":
		return a.requestStuffed(matrix.StageGSSEnc, matrix.GSS)
	case "stuff-server":
		return a.answerStuffed(matrix.StageGSSEnc)
	}
	return ending{}
}

// stopsAtG is pgx's end with channel_binding=require; nil: the client goes on. libpq finds out after the handshake.
func (a *attempt) stopsAtG() *ending {
	if a.lib != matrix.PGX || a.c.ChannelBinding != "require" {
		return nil
	}
	a.why("gssenc/configure.go, encrypt and dialOther", "channel_binding=require: G means a channel that cannot be bound to; no token is sent, and no other method is tried")
	e := refused(hungUp, matrix.StageGSSEnc, matrix.ChannelBinding)
	return &e
}

// gssContext says why no GSS context comes about between the two ends, or "", and whether it was the server's end
// that refused. The client's end fails first: it sends no token that the KDC gave it no ticket for. byProvider: it is not
// libgssapi or gssenc, but the GSSAPI provider that a program gives pgx or lib/pq.
func (a *attempt) gssContext(byProvider bool) (reason matrix.Reason, byServer bool) {
	spn := a.askedSPN(byProvider)
	if reason := a.gssTicket(spn, byProvider); reason != "" {
		return reason, false
	}
	source := "gss_accept_sec_context"
	switch {
	case cmp.Or(a.w.Keytab, "good") == "none":
		a.why(source, "the server has no keytab: it cannot accept the ticket")
		return matrix.KeytabMissing, true
	case a.w.Keytab == "stale":
		a.why(source, "the server's keytab holds only an older key of "+spn)
		return matrix.KeytabMismatch, true
	case a.w.Keytab == "other", spn != a.serviceSPN():
		a.why(source, "the server's keytab holds no key of "+spn)
		return matrix.KeytabMismatch, true
	}
	a.why(source, "ticket and keytab agree on "+spn+": the context is there, for "+a.principal())
	return "", false
}

// askedSPN is the service principal that the client asks for.
func (a *attempt) askedSPN(byProvider bool) string {
	if byProvider && a.lib == matrix.PGX && a.hosts() == matrix.DeadFirst {
		host := a.w.DeadHost()
		a.why("pgconn/krb5.go, gssAuth", "pgx asks for the service of the first host in the connection string, "+host+", whichever it has connected to")
		return a.spn(host)
	}
	return a.spn(a.w.Host)
}

// spn is the client's service on a host, serviceSPN the one that there is.
func (a *attempt) spn(host string) string { return cmp.Or(a.c.KrbSrvName, "postgres") + "/" + host }
func (a *attempt) serviceSPN() string     { return "postgres/" + a.w.Host }

// gssTicket is the client's end of it.
func (a *attempt) gssTicket(spn string, byProvider bool) matrix.Reason {
	switch {
	case a.ticket() == "none":
		a.why("gss_init_sec_context", "there is no credential cache, so no ticket for "+spn)
		return matrix.NoTicket
	case a.ticket() == matrix.Ambient && byProvider:
		a.why("gopgkrb5, krb_unix.go; lib/pq, auth/kerberos", "without KRB5CCNAME a provider over gokrb5 reads /tmp/krb5cc_UID, whatever default_ccache_name says: there is no such cache")
		return matrix.NoTicket
	case a.ticket() == "expired":
		a.why("gss_init_sec_context", "the ticket-granting ticket has expired: the client fails before it sends a token")
		return matrix.TicketExpired
	}
	if spn != a.serviceSPN() && !slices.Contains(a.w.Realms[0].Principals, spn) {
		a.why("RFC 4120, section 3.3.3", "the KDC knows no "+spn)
		return matrix.SPNUnknown
	}
	if a.ticket() == matrix.Ambient {
		a.why("krb5.conf, default_ccache_name", "KRB5CCNAME is not set: the client takes the ticket in the default cache, of "+a.principal())
	}
	return ""
}

// realmOf is the part of a principal behind the first @ (auth.c, pg_GSS_checkauth).
func realmOf(principal string) (name, realm string) {
	name, realm, _ = strings.Cut(principal, "@")
	return name, realm
}
