package oracle

import (
	"cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// verification is how much of the server's certificate a client checks, and in which order it finds what is wrong.
type verification struct {
	level   string // none | ca | full
	noRoot  bool   // the root file is missing and the client insists on it: it fails before its ClientHello
	inGo    bool   // crypto/x509 looks at time, then name, then issuer; OpenSSL at issuer, revocation list, then time; libpq at the name last
	crl     string // the revocation list that was loaded: "" | right | stale
	because matrix.Because
}

// encryptTLS starts TLS on the present connection, after SSLRequest or directly.
func (a *attempt) encryptTLS(direct bool, v verification) ending {
	if e := a.attackOnTLS(direct, v); e != nil {
		return *e
	}
	on := a.w.SSL == "on" && !a.unix()
	switch {
	case direct && v.noRoot:
		// The client reads its files before it sends anything.
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
		return refused(broken, matrix.StageTLS, matrix.DirectTLSRefused)
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
		return refused(declined, matrix.StageTLS, matrix.TLSRefused)
	}
	toServer, toClient := !direct && a.c.Attack == "stuff-client", !direct && a.c.Attack == "stuff-server" // more than was sent
	a.acted = a.acted || toServer || toClient
	a.because = append(a.because, v.because)
	switch {
	case v.noRoot:
		return refused(broken, matrix.StageTLS, matrix.RootMissing)
	case toClient && v.inGo: // in the handshake; libpq behind it
		return a.answerStuffed(matrix.StageTLS)
	case toServer && a.w.Server >= 17: // in the handshake; older ones behind it
		return a.requestStuffed(matrix.StageTLS, matrix.TLS)
	}
	if e := a.spoiledHello(direct); e != nil {
		return *e
	}
	if reason := a.serverCertificate(v); reason != "" {
		// lib/pq looks at the issuer, and libpq at the name, when the handshake is done.
		late := a.lib == matrix.PQ && v.level == "ca" || reason == matrix.ServerCertName && !v.inGo
		switch {
		case a.c.Attack == "replay":
			a.gap = unknown("the server's reset races with the client's word on the certificate", "attack=replay with a certificate that the client refuses")
		case toServer && late:
			a.gap = unknown("the client's word on the certificate crosses the server's on the bytes", "attack=%s with a certificate that the client refuses behind its handshake", a.c.Attack)
		case a.c.Attack == "flip-client": // crypto/tls seals its alert, OpenSSL does not
			a.acted = a.acted || v.inGo || late
		}
		return refused(broken, matrix.StageTLS, reason)
	}
	if e := a.spoiledFinish(); e != nil {
		return *e
	}
	switch {
	case toClient:
		return a.answerStuffed(matrix.StageTLS)
	case toServer:
		return a.requestStuffed(matrix.StageTLS, matrix.TLS)
	}
	return ending{}
}

// serverCertificate says what the client finds wrong with it, or "".
func (a *attempt) serverCertificate(v verification) matrix.Reason {
	if v.level == "none" {
		return ""
	}
	kind := cmp.Or(a.w.ServerCert, "good")
	signer := cmp.Or(map[string]string{"other-ca": "other", "system-ca": "system"}[kind], "right")
	roots := "in the client's root file"
	trusted := a.root()
	if trusted == "none" || trusted == "system" {
		trusted, roots = "system", "among the roots of the client's system"
	}
	type flaw struct {
		found  bool
		reason matrix.Reason
		text   string
	}
	issuer := flaw{signer != trusted, matrix.ServerCertTrust, "the server's certificate is not signed by a CA " + roots}
	expired := flaw{kind == "expired", matrix.ServerCertExpired, "the server's certificate has expired"}
	name := flaw{v.level == "full" && kind == "wrong-name", matrix.ServerCertName, "the server's certificate is not for " + a.w.Host}
	source := "X509_verify_cert of OpenSSL; open_client_SSL, fe-secure-openssl.c"
	flaws := []flaw{
		issuer,
		{v.crl != "" && signer != "right", matrix.ServerCertTrust, "there is no revocation list of the CA that signed the server's certificate"},
		{v.crl == "stale", matrix.ServerCertExpired, "the revocation list is past its next update, which TLS cannot tell from a certificate that has expired"},
		{v.crl != "" && kind == "revoked", matrix.ServerCertRevoked, "the server's certificate is on the revocation list"},
		expired,
		name,
	}
	if v.inGo {
		source = "crypto/x509, Certificate.Verify"
		flaws = []flaw{expired, name, {v.level == "full" && kind == "cn-only", matrix.ServerCertName, "the server's certificate has its name in its subject alone, where Go does not look; libpq does"}, issuer}
	}
	for _, f := range flaws {
		if f.found {
			a.why(source, f.text)
			return f.reason
		}
	}
	return ""
}
