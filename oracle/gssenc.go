package oracle

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// defaultCache is the search of libgssapi and of gssenc for a ticket, gokrb5Cache that of the GSSAPI providers over gokrb5.
var (
	defaultCache = lookup{source: "krb5.conf, default_ccache_name"}
	gokrb5Cache  = lookup{
		source:  "gopgkrb5, krb_unix.go; lib/pq, auth/kerberos",
		missing: "without KRB5CCNAME a provider over gokrb5 reads /tmp/krb5cc_UID and not default_ccache_name: there is no such cache",
		config:  gokrb5Config,
	}
)

// krb5Switches are the lines of [libdefaults] that this oracle models: switches, none of which decides anything while the client asks for the
// server's own name.
var krb5Switches = []string{"allow_weak_crypto", "canonicalize", "dns_canonicalize_hostname", "forwardable", "noaddresses", "proxiable", "rdns"}

// The words of a switch. libkrb5 and gssenc know all of them (MIT krb5, profile/prof_get.c); gokrb5 those that are not in mitWords.
var (
	switchWords = []string{"true", "t", "1", "yes", "y", "false", "f", "0", "no", "n"}
	mitWords    = []string{"on", "off", "nil"}
)

// gokrb5Config says why gokrb5 does not read krb5.conf (config/krb5conf.go, parseBoolean): one value that it does not know is enough.
func gokrb5Config(lines []matrix.Setting) string {
	for _, line := range lines {
		if line.Name != matrix.RequestTimeout && !slices.Contains(switchWords, strings.ToLower(line.Value)) {
			return "gokrb5 does not read a krb5.conf with " + line.Name + " = " + line.Value
		}
	}
	return ""
}

// checkKRB5Conf finds lines of the client's krb5.conf that the oracle does not model.
func (a *attempt) checkKRB5Conf() error {
	lines, ok := a.w.KRB5ConfOf(a.c)
	if !ok {
		return unknown("nothing describes it", "krb5_conf=%s", a.c.KRB5Conf)
	}
	for _, line := range lines {
		word := strings.ToLower(line.Value)
		if _, err := strconv.ParseUint(line.Value, 10, 31); err == nil && line.Name == matrix.RequestTimeout {
			continue
		}
		fallback := line.Name == "dns_canonicalize_hostname" && word == "fallback" // MIT krb5 1.18 and later
		// A host name that is made canonical is another name.
		off := line.Name != "dns_canonicalize_hostname" || slices.Contains([]string{"false", "f", "0", "no", "n", "off", "nil"}, word)
		if !slices.Contains(krb5Switches, line.Name) || !fallback && (!off || !slices.Contains(slices.Concat(switchWords, mitWords), word)) {
			return unknown("it may decide which ticket the client gets and is not modelled", "krb5.conf with %s = %s", line.Name, line.Value)
		}
		if fallback && a.c.KrbSrvName != "" {
			return unknown("the client then asks for the canonical name as well", "krb5.conf with %s = %s and a service that may be unknown", line.Name, line.Value)
		}
	}
	return nil
}

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
	switch enctype := a.ticketEnctype(); {
	case a.keytab.Absent:
		a.why(source, "the server has no keytab: it cannot accept the ticket")
		return matrix.KeytabMissing, true
	case !slices.Contains(a.keytab.Principals, spn):
		a.why(source, "the server's keytab holds no key of "+spn)
		return matrix.KeytabMismatch, true
	case a.keytab.Keys == matrix.PreviousKeys:
		a.why(source, "the server's keytab holds only an older key of "+spn)
		return matrix.KeytabMismatch, true
	case len(a.keytab.Enctypes) > 0 && !slices.Contains(a.keytab.Enctypes, enctype):
		a.why(source, "the server's keytab holds no key of type "+enctype+", with which the KDC has encrypted the ticket")
		return matrix.Enctype, true
	}
	a.why(source, "ticket and keytab agree on "+spn+": the context is established, for "+a.principal())
	return "", false
}

// spn is the service for which a client takes a ticket on that host.
func (a *attempt) spn(host string) string { return cmp.Or(a.c.KrbSrvName, "postgres") + "/" + host }

// gssTicket says why the client gets no ticket for spn, or "".
func (a *attempt) gssTicket(spn string, cache lookup) matrix.Reason {
	lines, _ := a.w.KRB5ConfOf(a.c)
	if cache.config != nil {
		if why := cache.config(lines); why != "" {
			a.why(cache.source, why)
			return matrix.KRB5Config
		}
	}
	switch {
	case a.ticket.Absent:
		a.why("gss_init_sec_context", "there is no credential cache, so no ticket for "+spn)
		return matrix.NoTicket
	case a.ticket.Ambient && cache.missing != "":
		a.why(cache.source, cache.missing)
		return matrix.NoTicket
	case a.ticket.Expired:
		a.why("gss_init_sec_context", "the ticket-granting ticket has expired: the client fails before it sends a token")
		return matrix.TicketExpired
	}
	here := a.w.Realms[0].Name
	if r := a.realm(); r.Name != here {
		tgs := "krbtgt/" + here + "@" + r.Name
		if !r.Trusted {
			a.why("RFC 4120, section 3.3.3", "the realm "+here+" does not trust "+r.Name+": the KDC of "+r.Name+" knows no "+tgs)
			return matrix.SPNUnknown
		}
		a.why("RFC 4120, section 1.2", "the realms share the key of "+tgs+": a ticket of "+r.Name+" gets one in "+here)
	}
	if (a.realm().Hung || a.w.Realms[0].Hung) && a.c.KRB5Conf != matrix.AnsweringKRB5Conf {
		const source = "sendto_kdc.c, k5_sendto"
		if info, _ := a.c.Library.Info(); info.WaitsForKDC { // without request_timeout the cell is not applicable
			a.why(source, "the first KDC takes the connection and does not answer: libkrb5 1.22 waits for it and asks no other, until request_timeout has passed")
			return matrix.KDCUnreachable
		}
		a.why(source+"; gssenc/kdc.go", "the first KDC takes the connection and does not answer: the client asks the second after a while")
	}
	if !slices.Contains(a.w.ServicePrincipals(), spn) {
		a.why("RFC 4120, section 3.3.3", "the KDC knows no "+spn)
		return matrix.SPNUnknown
	}
	if a.ticket.Ambient {
		a.why(cache.source, "KRB5CCNAME is not set: the client takes the ticket in the default cache, of "+a.principal())
	}
	return ""
}

// realmOf cuts a principal at the first @ (auth.c, pg_GSS_checkauth).
func realmOf(principal string) (name, realm string) {
	name, realm, _ = strings.Cut(principal, "@")
	return name, realm
}

// checkKerberos finds what the oracle does not model of realms, keytab and ticket.
func (a *attempt) checkKerberos() error {
	var ok bool
	if a.keytab, ok = a.w.KeytabOf(); !ok {
		return unknown("nothing describes it", "keytab=%s", a.w.Keytab)
	}
	if a.ticket, ok = a.w.TicketOf(a.c); !ok {
		return unknown("nothing describes it", "ticket=%s", a.c.Ticket)
	}
	if err := a.checkKRB5Conf(); err != nil {
		return err
	}
	for _, r := range a.w.Realms {
		if kind := cmp.Or(r.Kind, matrix.MIT); kind != matrix.MIT {
			return unknown("it is not among the kinds it models", "realm %s of kind %s", r.Name, kind)
		}
	}
	switch {
	case a.ticket.Absent:
	case len(a.w.Realms) == 0:
		return unknown("the world has no realm that could have issued it", "ticket=%s", a.c.Ticket)
	case a.realm() == nil:
		return unknown("the world has no such realm", "principal %s", a.principal())
	}
	return nil
}

// realm is that of the client's principal; nil if the world does not have it.
func (a *attempt) realm() *matrix.Realm {
	_, name := realmOf(a.principal())
	i := slices.IndexFunc(a.w.Realms, func(r matrix.Realm) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &a.w.Realms[i]
}

// ticketEnctype is the encryption type of tickets for the server: that of the service principal's first key (kdc_util.c,
// get_first_current_key).
func (a *attempt) ticketEnctype() string {
	if own := a.w.Realms[0].Enctypes; len(own) > 0 {
		return own[0]
	}
	return matrix.Enctypes[0].Name
}
