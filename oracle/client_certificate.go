package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// What the server does with a certificate that the client sends: it verifies it in the TLS handshake, whatever the records say, and
// compares its name only for a record that asks for that.

// sent is the certificate that the client sends; nil: none.
func (a *attempt) sent() *matrix.Certificate {
	cert := a.w.ClientCertificate(a.c)
	switch {
	case cert == nil, a.serverCA() == "none":
		return nil
	case a.withoutCert():
		return nil
	case a.c.Cert == matrix.Ambient && a.client.ambientCertificate().missing != "":
		return nil
	case a.client.withheld(cert).missing != "":
		return nil
	}
	return cert
}

// serverCA is what ssl_ca_file has, or the line of pg_hosts.conf. Without it the server asks no client for a certificate.
func (a *attempt) serverCA() string {
	if h := a.presents(); h != nil {
		return h.ca
	}
	return "none"
}

func serverCAOf(w *matrix.World) string { return cmp.Or(w.ServerCA, "right") }

// serverCAs are the CAs in ssl_ca_file, and whether their chains lead to a root that is there, too.
var serverCAs = map[string]struct {
	names  []string
	rooted bool
}{
	"right":              {[]string{"right"}, true},
	"with-intermediate":  {[]string{"right", "intermediate"}, true},
	"intermediate-alone": {[]string{"intermediate"}, false},
	"none":               {},
}

// goWithholds: crypto/tls asks whether the server accepts the certificate, by the names of issuers that the server sends: those of the CAs in
// its ssl_ca_file. A name is all that it compares.
func (a *attempt) goWithholds(cert *matrix.Certificate) (missing string) {
	signers := []string{matrix.NameOf(cert.Issuer)}
	if cert.Chain {
		root, _ := matrix.RootOf(cert.Issuer)
		signers = append(signers, root)
	}
	if slices.ContainsFunc(signers, func(name string) bool { return slices.Contains(serverCAs[a.serverCA()].names, name) }) {
		return ""
	}
	return "none of the CAs that the server names has issued the client's certificate, nor an intermediate that would be sent with it: the client sends none"
}

// verifiesClient is the server's verification of the client's certificate, in the handshake; nil: there is nothing wrong with it. In
// TLS 1.3 the client has completed its handshake when the server's alert arrives.
func (a *attempt) verifiesClient(sealed bool) *ending {
	cert := a.sent()
	if cert == nil {
		return nil
	}
	reason, text := a.flawOfClient(cert)
	if reason == "" {
		return nil
	}
	a.why("be-secure-openssl.c, be_tls_open_server; OpenSSL, X509_verify_cert", "the server verifies a certificate that is sent, whatever the records ask for: "+text)
	if a.attack.inTLS != nil || a.attack.badCert != nil || a.attack.afterTLS != nil || a.attack.stuffs != toNeither {
		a.gap = unknown("what the attacker changes and the server's alert cross", "attack=%s with a client certificate that the server refuses", a.c.Attack)
	}
	how := broken
	if sealed {
		how = lost
		a.why("RFC 8446, section 4.4.4", "TLS 1.3: the client has completed its handshake when the server's alert arrives, in place of an answer to the startup packet")
	}
	e := refused(how, matrix.StageTLS, reason)
	return &e
}

// flawOfClient is the first flaw that OpenSSL finds (x509_vfy.c, verify_chain). The server has its own purpose for clients'
// certificates, and with a revocation list checks every certificate of the chain.
func (a *attempt) flawOfClient(cert *matrix.Certificate) (reason matrix.Reason, text string) {
	root, between := matrix.RootOf(cert.Issuer)
	from, until := cert.Period()
	list := cmp.Or(a.w.ServerCRL, "none")
	cas := serverCAs[a.serverCA()]
	// Without extensions a certificate does not say which key signed it: OpenSSL finds CA right by its name, and the wrong signature last.
	forged := matrix.NameOf(root) == "right" && root != "right" && cert.Version == 1
	switch {
	case root != "right" && !forged:
		return matrix.CertUntrusted, "a CA signed it that is not in ssl_ca_file"
	case between && !cert.Chain && !slices.Contains(cas.names, cert.Issuer):
		return matrix.CertUntrusted, "an intermediate signed it, which is neither sent nor in ssl_ca_file"
	case !cas.rooted:
		return matrix.CertUntrusted, "its chain does not end at a root in ssl_ca_file"
	case cert.Usage == matrix.ForServers:
		return matrix.CertPurpose, "its extended key usage does not allow clients"
	case cert.KeyUsage == matrix.Encipherment:
		return matrix.CertPurpose, "its key usage does not allow signatures"
	case between && list == "root-only":
		return matrix.CertUntrusted, "there is no revocation list of the intermediate that signed it"
	case list == "stale":
		return matrix.CertExpired, "ssl_crl_file is past its next update, which has the same alert in TLS as a certificate that has expired"
	case list != "none" && cert.Revoked:
		return matrix.CertRevoked, "it is on the server's revocation list"
	case forged:
		return matrix.CertUntrusted, "the CA of that name in ssl_ca_file has not signed it"
	case until < 0:
		return matrix.CertExpired, "it has expired"
	case from > 0:
		return matrix.CertBad, "it is not valid yet"
	}
	return "", ""
}

// tls13 says whether client and server agree on TLS 1.3, which all clients have.
func (a *attempt) tls13() bool { return a.setting(highestTLS, "tlsv1.3") == "tlsv1.3" }

// tlsTooOld says that the server's newest version of TLS is below the oldest that the clients take.
func (a *attempt) tlsTooOld() bool {
	return slices.Index(tlsVersions, a.setting(highestTLS, "tlsv1.3")) < slices.Index(tlsVersions, "tlsv1.2")
}

const (
	highestTLS = "ssl_max_protocol_version"
	lowestTLS  = "ssl_min_protocol_version"
)

// tlsVersions are the values of the two settings, the oldest first. All clients take the last two.
var tlsVersions = []string{"tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"}

// checkTLSVersion finds versions of TLS that are not modelled.
func (a *attempt) checkTLSVersion() error {
	highest, lowest := a.setting(highestTLS, "tlsv1.3"), a.setting(lowestTLS, "tlsv1.2")
	switch at := slices.Index(tlsVersions, highest); {
	case at < 0, !slices.Contains(tlsVersions, lowest):
		return unknown("it knows TLSv1 to TLSv1.3", "%s=%s and %s=%s", lowestTLS, lowest, highestTLS, highest)
	case at < slices.Index(tlsVersions, lowest):
		return unknown("a server does not load it: the lowest version is above the highest", "%s=%s and %s=%s", lowestTLS, lowest, highestTLS, highest)
	case highest != "tlsv1.3" && (a.attack.inTLS != nil || a.attack.badCert != nil || a.attack.afterTLS != nil || a.attack.sequence != nil):
		return unknown("it is modelled with TLS 1.3 only", "attack=%s with %s=%s", a.c.Attack, highestTLS, highest)
	case a.tlsTooOld() && cmp.Or(a.c.SSLNegotiation, "postgres") != "postgres":
		return unknown("it is modelled after SSLRequest only", "%s=%s with sslnegotiation=%s", highestTLS, highest, a.c.SSLNegotiation)
	}
	return nil
}

// showsCertificate says whether the server sees a client certificate, for a record that asks for one.
func (x *exchange) showsCertificate() bool {
	found, cert := lookup{}, x.w.ClientCertificate(x.c)
	if x.c.Cert == matrix.Ambient {
		found = x.client.ambientCertificate()
	}
	if found.missing == "" && cert != nil {
		if withheld := x.client.withheld(cert); withheld.missing != "" {
			found = withheld
		}
	}
	if cert != nil && x.withoutCert() {
		found = lookup{source: "libpq, sslcertmode", missing: "sslcertmode=disable: the client sends no certificate"}
	}
	if x.sent() == nil || x.impersonated(x.ch) {
		x.why(x.record.rule(), "the record asks for a client certificate ("+x.record.clientCert+") and the server gets none")
		if found.missing != "" {
			x.why(found.source, found.missing)
		}
		return false
	}
	if found.source != "" {
		x.why(found.source, "no parameter names a certificate: the client shows the one in its home directory, of "+cert.CommonName())
	}
	return true
}

// certificateName is auth.c, CheckCertAuth. The record's map applies to the certificate's name whatever the method is.
func (x *exchange) certificateName() *ending {
	cert := x.sent()
	name, what := cert.CommonName(), "common name"
	if x.record.clientName == "DN" {
		name, what = distinguishedName(cert), "distinguished name"
	}
	if name == "" {
		if x.record.Method == matrix.MethodCert {
			x.identity = "" // it is set after this check
		}
		x.why("auth.c, CheckCertAuth", "the client's certificate has no "+what+"; alternative names do not count")
		end := x.fails(matrix.StageAuth, matrix.CertNameMismatch, x.failureState())
		return &end
	}
	ok, source, text := x.mapped(x.record.usermap, name, false)
	x.why(source, "client certificate: "+text)
	if ok {
		return nil
	}
	var end ending
	if x.record.Method == matrix.MethodCert {
		end = x.fails(matrix.StageIdent, matrix.MapNoMatch, "28000")
	} else {
		end = x.fails(matrix.StageAuth, matrix.CertNameMismatch, x.failureState())
	}
	return &end
}

// failureState is the SQLSTATE of auth.c, auth_failed: the method's, whatever failed.
func (x *exchange) failureState() string {
	switch x.record.Method {
	case matrix.MethodPassword, matrix.MethodMD5, matrix.MethodScram:
		return "28P01"
	}
	return "28000"
}

// distinguishedName is the subject as be_tls_open_server has it from X509_NAME_print_ex with XN_FLAG_RFC2253: the last attribute first.
func distinguishedName(c *matrix.Certificate) string {
	parts := make([]string, len(c.Subject))
	for i, a := range c.Subject {
		parts[len(parts)-1-i] = a.Type + "=" + escaped2253(a.Value)
	}
	return strings.Join(parts, ",")
}

// escaped2253 is crypto/asn1/a_strex.c of OpenSSL with ASN1_STRFLGS_RFC2253, of UTF-8.
func escaped2253(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ', c > '~':
			fmt.Fprintf(&b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, i == 0 && (c == '#' || c == ' '), i == len(value)-1 && c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
