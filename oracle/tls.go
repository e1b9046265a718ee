package oracle

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// verification is what a client verifies of the server's certificate.
type verification struct {
	noRoot     bool                                             // the root file is missing and the client insists on it: it fails before its ClientHello
	noKey      bool                                             // the client cannot read the key of its certificate: it fails before its ClientHello
	checks     []check                                          // in the client's order; none: it verifies nothing
	crl        string                                           // the revocation list that the client has loaded: "" | right | stale
	names      func(cert *matrix.Certificate, host string) bool // whether the certificate is for the host
	source     string                                           // of what the checks find
	sealsAlert bool                                             // in TLS 1.3 the client encrypts the alert by which it refuses a certificate
	because    matrix.Because
}

// check is one thing that a client verifies.
type check struct {
	flaw flaw
	late bool // the client looks only after the handshake
}

// flaw is what can be wrong with the server's certificate.
type flaw int

const (
	untrusted     flaw = iota // it is signed by a CA that the client does not trust
	wrongPurpose              // its extended key usage does not allow servers
	noList                    // the revocation list is of another CA
	staleList                 // the revocation list is past its next update
	revoked                   // it is on the revocation list
	wrongPeriod               // it has expired, or is not valid yet
	wrongName                 // it is for another host
	nameInSubject             // it has its name in its subject only, where some clients do not look
)

// opensslIssuer are the checks of OpenSSL without those of the name (x509_vfy.c, verify_chain).
var opensslIssuer = []check{{flaw: untrusted}, {flaw: wrongPurpose}, {flaw: noList}, {flaw: staleList}, {flaw: revoked}, {flaw: wrongPeriod}}

// goSource and what follows are of Go's crypto/tls and crypto/x509, with which every driver in Go starts TLS. goIssuerLate are the
// checks of a driver that verifies the issuer itself, after the handshake.
const goSource = "crypto/x509, Certificate.Verify"

var (
	goIssuer     = []check{{flaw: wrongPeriod}, {flaw: untrusted}, {flaw: wrongPurpose}}
	goIssuerLate = []check{{flaw: wrongPeriod, late: true}, {flaw: untrusted, late: true}, {flaw: wrongPurpose, late: true}}
	goFull       = []check{{flaw: wrongPeriod}, {flaw: wrongName}, {flaw: nameInSubject}, {flaw: untrusted}, {flaw: wrongPurpose}}

	// goStuffed: a driver reads the one byte of the answer, and gives the connection to crypto/tls.
	goStuffed = reaction{how: broken, reason: matrix.ProtocolViolation, because: matrix.Because{Text: "the client reads the one byte of the answer; what follows is not a TLS record", Source: "crypto/tls, readRecordOrCCS"}}
)

// encryptTLS starts TLS on the present connection, after SSLRequest or directly.
func (a *attempt) encryptTLS(direct bool, v verification) ending {
	if a.attack.onTLS != nil {
		if e := a.attack.onTLS(a, direct, &v); e != nil {
			return *e
		}
	}
	if e := a.answerToTLS(direct, &v); e != nil {
		return *e
	}
	stuffed := toNeither
	if !direct {
		stuffed = a.attack.stuffs
	}
	ssl := &a.client.reactions().ssl
	a.acted = a.acted || stuffed != toNeither
	a.because = append(a.because, v.because)
	switch {
	case v.noRoot:
		return refused(broken, matrix.StageTLS, matrix.RootMissing)
	case v.noKey:
		return refused(broken, matrix.StageTLS, matrix.KeyUnusable)
	case stuffed == toClient && !ssl.stuffed.late:
		return a.answerStuffed(matrix.StageTLS, ssl)
	case stuffed == toServer && a.w.Server >= 17: // in the handshake; older servers look after it
		return a.requestStuffed(matrix.StageTLS, matrix.TLS)
	}
	if e := a.handshakeTLS(direct, &v); e != nil {
		return *e
	}
	switch stuffed {
	case toClient:
		return a.answerStuffed(matrix.StageTLS, ssl)
	case toServer:
		return a.requestStuffed(matrix.StageTLS, matrix.TLS)
	}
	return ending{}
}

// answerToTLS is the server's answer to SSLRequest or to a ClientHello; nil: there will be a handshake.
func (a *attempt) answerToTLS(direct bool, v *verification) *ending {
	on := a.w.SSL == "on" && !a.unix()
	switch {
	case direct && (v.noRoot || v.noKey):
		// The client reads its files before it sends anything.
	case direct && on && a.w.Server >= 17 && a.presents() == nil:
		a.step(matrix.StepDirectReject)
		a.tellHost()
		e := refused(broken, matrix.StageTLS, matrix.HostUnknown)
		return &e
	case direct && on && a.w.Server >= 17:
		a.step(matrix.StepDirectAccept)
		a.why("backend_startup.c, ProcessSSLStartup", "a server of 17 or later with ssl=on takes a TLS handshake without SSLRequest")
	case direct:
		a.step(matrix.StepDirectReject)
		if on {
			a.why("postmaster.c, ProcessStartupPacket", "a server before 17 takes the ClientHello for a startup packet of invalid length and closes")
		} else {
			a.why(a.serverSource("ProcessSSLStartup"), "with ssl=off the server closes the connection on a TLS handshake")
		}
		e := refused(broken, matrix.StageTLS, matrix.DirectTLSRefused)
		return &e
	case on:
		a.step(matrix.StepSSLAccept)
		a.why(a.serverSource("ProcessStartupPacket"), "ssl=on: the server answers S to SSLRequest")
	default:
		a.step(matrix.StepSSLReject)
		text := "ssl=off: the server answers N to SSLRequest"
		if a.unix() {
			text = "on a unix socket the server answers N to SSLRequest"
		}
		a.why(a.serverSource("ProcessStartupPacket"), text)
		e := refused(declined, matrix.StageTLS, matrix.TLSRefused)
		return &e
	}
	return nil
}

// handshakeTLS is the handshake of a client that has read its files; nil: the client has completed it.
func (a *attempt) handshakeTLS(direct bool, v *verification) *ending {
	if a.attack.inTLS != nil {
		if e := a.attack.inTLS(a, direct); e != nil {
			return e
		}
	}
	if !a.tellHost() {
		e := refused(broken, matrix.StageTLS, matrix.HostUnknown)
		return &e
	}
	if a.tlsTooOld() {
		a.why("libpq, ssl_min_protocol_version; crypto/tls, Config.MinVersion; Python, ssl.create_default_context", "the server's newest version of TLS is older than TLS 1.2, the oldest that a client takes")
		e := refused(broken, matrix.StageTLS, matrix.TLSHandshake)
		return &e
	}
	if e := a.certificates(v, direct); e != nil {
		return e
	}
	if a.attack.afterTLS != nil {
		return a.attack.afterTLS(a)
	}
	return nil
}

// certificates is what client and server find in each other's certificates; nil: nothing is wrong. The client's comes after the
// server's: in TLS 1.2 within the client's handshake, in TLS 1.3 after it.
func (a *attempt) certificates(v *verification, direct bool) *ending {
	refuses := func(reason matrix.Reason, late bool) *ending {
		if a.attack.badCert != nil {
			a.attack.badCert(a, v, direct, late)
		}
		e := refused(broken, matrix.StageTLS, reason)
		return &e
	}
	if reason := a.serverCertificate(v, false); reason != "" {
		return refuses(reason, false)
	}
	if !a.tls13() {
		if e := a.verifiesClient(false); e != nil {
			return e
		}
	}
	if reason := a.serverCertificate(v, true); reason != "" {
		return refuses(reason, true)
	}
	if a.tls13() {
		return a.verifiesClient(true)
	}
	return nil
}

// serverCertificate is the first flaw that the client finds in the server's certificate, in its handshake or, late, after it; or "".
func (a *attempt) serverCertificate(v *verification, late bool) matrix.Reason {
	for _, c := range v.checks {
		if c.late != late {
			continue
		}
		if reason, text := a.flawed(c.flaw, v); reason != "" {
			a.why(v.source, text)
			return reason
		}
	}
	return ""
}

// systemRoots is the CA that the client's system trusts, and where. OpenSSL and Go take SSL_CERT_FILE and SSL_CERT_DIR in the place of what is installed
// (SSL_CTX_set_default_verify_paths; crypto/x509, loadSystemRoots). A file that does not exist is no error to either: there is no root then.
func (a *attempt) systemRoots() (trusted, where string) {
	switch a.c.SSLCertFile {
	case "right":
		return "system", "in the file that SSL_CERT_FILE names"
	case "other":
		return "other", "in the file that SSL_CERT_FILE names"
	case "missing":
		return "", "of the client's system, which has none: the file that SSL_CERT_FILE names does not exist"
	}
	return "system", "among the roots of the client's system"
}

// flawed says whether the server's certificate has the flaw.
func (a *attempt) flawed(f flaw, v *verification) (reason matrix.Reason, text string) {
	cert := a.presents().cert
	signer, between := matrix.RootOf(cert.Issuer)
	from, until := cert.Period()
	found := false
	switch f {
	case untrusted:
		trusted, roots := a.root(), "in the client's root file"
		if trusted == "none" || trusted == "system" {
			trusted, roots = a.systemRoots()
		}
		found, reason, text = signer != trusted, matrix.ServerCertTrust, "the server's certificate is not signed by a CA "+roots
		if !found && between && !cert.Chain {
			found, text = true, "the server does not send the intermediate that signed its certificate, and the client does not have it"
		}
	case wrongPurpose:
		found, reason, text = cert.Usage == matrix.ForClients, matrix.ServerCertPurpose, "the extended key usage of the server's certificate does not allow servers"
	case noList:
		found, reason, text = v.crl != "" && signer != "right", matrix.ServerCertTrust, "there is no revocation list of the CA that signed the server's certificate"
	case staleList:
		found, reason, text = v.crl == "stale", matrix.ServerCertExpired, "the revocation list is past its next update, which has the same alert in TLS as a certificate that has expired"
	case revoked:
		found, reason, text = v.crl != "" && cert.Revoked, matrix.ServerCertRevoked, "the server's certificate is on the revocation list"
	case wrongPeriod:
		found, reason, text = until < 0, matrix.ServerCertExpired, "the server's certificate has expired"
		if from > 0 {
			found, reason, text = true, matrix.ServerCertBad, "the server's certificate is not valid yet"
		}
	case wrongName:
		found, reason, text = !v.names(cert, a.host), matrix.ServerCertName, "the server's certificate is not for "+a.host
	case nameInSubject:
		found, reason, text = len(cert.DNS) == 0 && !isAddress(a.host), matrix.ServerCertName, "the server's certificate has its name in its subject only, where the client does not look"
	}
	if !found {
		return "", ""
	}
	return reason, text
}

// forHost says whether the certificate is for a host: by its alternative names, or where it has none that are host names by its common name.
func forHost(cert *matrix.Certificate, host string) bool {
	names := cert.DNS
	if len(names) == 0 {
		names = []string{cert.CommonName()}
	}
	_, domain, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.EqualFold(name, host) || strings.EqualFold(name, "*."+domain)
	})
}

// strictNames is forHost, and of an address that it is among the alternative names of its type: OpenSSL's X509_check_ip, and Certificate.VerifyHostname
// of crypto/x509.
func strictNames(cert *matrix.Certificate, host string) bool {
	if isAddress(host) {
		return slices.Contains(cert.IP, host)
	}
	return forHost(cert, host)
}

// libpqNames is fe-secure-openssl.c, pgtls_verify_peer_name_matches_certificate_guts: an address is compared with the alternative names of both
// types as a text, and where there is none of its own type with the common name.
func libpqNames(cert *matrix.Certificate, host string) bool {
	if !isAddress(host) {
		return forHost(cert, host)
	}
	return slices.Contains(cert.IP, host) || slices.Contains(cert.DNS, host) || len(cert.IP) == 0 && cert.CommonName() == host
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// checkCertificates finds a certificate that is not modelled.
func (a *attempt) checkCertificates() error {
	server := a.w.ServerCertificate()
	switch {
	case a.w.ReadsHosts() && a.c.Attacked():
		return unknown("which name an attacker sends is not modelled", "ssl_sni=on with attack=%s", a.c.Attack)
	case server == nil:
		return unknown("there is no certificate of that name", "servercert=%s", a.w.ServerCert)
	case cmp.Or(a.c.Cert, "none") != "none" && a.w.ClientCertificate(a.c) == nil:
		return unknown("there is no certificate of that name", "cert=%s", a.c.Cert)
	case server.KeyUsage == matrix.Encipherment:
		return unknown("whether a client accepts it depends on the version of TLS", "servercert=%s, whose key usage does not allow signatures", a.w.ServerCert)
	case len(slices.DeleteFunc(slices.Clone(server.Subject), func(t matrix.Attribute) bool { return t.Type != "CN" })) > 1:
		return unknown("which of several common names counts depends on the client", "servercert=%s", a.w.ServerCert)
	case slices.ContainsFunc(append(server.DNS, server.CommonName()), func(name string) bool { return strings.Count(name, ".") == 1 && strings.HasPrefix(name, "*.") }):
		return unknown("whether a wildcard can stand before a single label depends on the client", "servercert=%s", a.w.ServerCert)
	}
	return nil
}
