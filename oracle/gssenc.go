package oracle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// defaultCache is the search of libgssapi and of gssenc for a ticket, gokrb5Cache that of the GSSAPI providers over gokrb5.
var (
	defaultCache = lookup{source: "krb5.conf, default_ccache_name"}
	gokrb5Cache  = lookup{
		source:  "gopgkrb5, krb_unix.go; lib/pq, auth/kerberos",
		missing: "without KRB5CCNAME a provider over gokrb5 reads /tmp/krb5cc_UID and not default_ccache_name: there is no such cache",
	}
)

// encryptGSS asks for GSS encryption on the present connection, over TCP. A server built with GSSAPI answers G to
// every such request, whether it has a keytab or not; what is wrong shows in the handshake.
func (a *attempt) encryptGSS() ending {
	if a.attack.onGSS != nil {
		if e := a.attack.onGSS(a); e != nil {
			return *e
		}
	}
	a.step(matrix.StepGSSAccept)
	a.why(a.serverSource("ProcessStartupPacket"), "over TCP the server answers G to every GSSENCRequest, with or without a keytab")
	a.acted = a.acted || a.attack.stuffs != toNeither
	if e := a.objectsToGSS(); e != nil {
		return *e
	}
	if reason, _ := a.gssContext(a.spn(a.w.Host), defaultCache); reason != "" {
		return refused(broken, matrix.StageGSSEnc, reason)
	}
	if a.attack.inGSS != nil {
		if e := a.attack.inGSS(a); e != nil {
			return *e
		}
	}
	switch a.attack.stuffs {
	case toServer:
		return a.requestStuffed(matrix.StageGSSEnc, matrix.GSS)
	case toClient:
		return a.answerStuffed(matrix.StageGSSEnc, &a.client.reactions().gss)
	}
	return ending{}
}

// objectsToGSS is the end of a connection whose client does not go on after G; nil: it does.
func (a *attempt) objectsToGSS() *ending {
	o := a.client.onGSSAccept()
	if o == nil {
		return nil
	}
	a.because = append(a.because, o.because)
	e := refused(hungUp, matrix.StageGSSEnc, o.reason)
	return &e
}

// gssContext says why the two ends establish no GSS context for spn, or "", and whether it was the server's end that
// refused. The client's end fails first: it sends no token if the KDC gave it no ticket. cache is the client's search for a ticket in
// the default cache.
func (a *attempt) gssContext(spn string, cache lookup) (reason matrix.Reason, byServer bool) {
	if reason := a.gssTicket(spn, cache); reason != "" {
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
	a.why(source, "ticket and keytab agree on "+spn+": the context is established, for "+a.principal())
	return "", false
}

// spn is the service for which a client takes a ticket on that host, serviceSPN the server's own.
func (a *attempt) spn(host string) string { return cmp.Or(a.c.KrbSrvName, "postgres") + "/" + host }
func (a *attempt) serviceSPN() string     { return "postgres/" + a.w.Host }

// gssTicket says why the client gets no ticket for spn, or "".
func (a *attempt) gssTicket(spn string, cache lookup) matrix.Reason {
	switch {
	case a.ticket() == "none":
		a.why("gss_init_sec_context", "there is no credential cache, so no ticket for "+spn)
		return matrix.NoTicket
	case a.ticket() == matrix.Ambient && cache.missing != "":
		a.why(cache.source, cache.missing)
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
		a.why(cache.source, "KRB5CCNAME is not set: the client takes the ticket in the default cache, of "+a.principal())
	}
	return ""
}

// realmOf cuts a principal at the first @ (auth.c, pg_GSS_checkauth).
func realmOf(principal string) (name, realm string) {
	name, realm, _ = strings.Cut(principal, "@")
	return name, realm
}
