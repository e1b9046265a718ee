package oracle

import (
	"cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// verification is how much of the server's certificate a client checks, and in which order it finds what is wrong.
type verification struct {
	level   string // none | ca | full
	noRoot  bool   // the root file is missing and the client insists on it: it fails before its ClientHello
	inGo    bool   // crypto/x509 looks at time, then name, then issuer; OpenSSL at issuer, then time; libpq at the name last
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
		a.why(a.serverSource("ProcessStartupPacket"), "ssl=off: the server answers N to SSLRequest")
		return refused(declined, matrix.StageTLS, matrix.TLSRefused)
	}
	if a.c.Attack == "stuff-server" && !direct {
		return a.answerStuffed(matrix.StageTLS)
	}
	if a.c.Attack == "stuff-client" && !direct && a.w.Server >= 17 {
		return a.requestStuffed(matrix.StageTLS, matrix.TLS)
	}
	a.because = append(a.because, v.because)
	if v.noRoot {
		return refused(broken, matrix.StageTLS, matrix.RootMissing)
	}
	if e := a.spoiledHello(direct); e != nil {
		return *e
	}
	if reason := a.serverCertificate(v); reason != "" {
		return refused(broken, matrix.StageTLS, reason)
	}
	if e := a.spoiledFinish(); e != nil {
		return *e
	}
	if a.c.Attack == "stuff-client" && !direct {
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
	untrusted := (kind == "other-ca") != (a.root() == "other") || a.root() == "none" // other-ca is signed by the CA that root=other names; the system's CAs signed none
	expired := kind == "expired"
	misnamed := v.level == "full" && (kind == "wrong-name" || kind == "cn-only" && v.inGo)
	source := "verify_cb and open_client_SSL, fe-secure-openssl.c"
	order := []matrix.Reason{matrix.ServerCertTrust, matrix.ServerCertExpired, matrix.ServerCertName}
	if v.inGo {
		source = "crypto/x509, Certificate.Verify"
		order = []matrix.Reason{matrix.ServerCertExpired, matrix.ServerCertName, matrix.ServerCertTrust}
	}
	for _, reason := range order {
		switch {
		case reason == matrix.ServerCertTrust && untrusted:
			a.why(source, "the server's certificate is not signed by the CA in the client's root file")
			return reason
		case reason == matrix.ServerCertExpired && expired:
			a.why(source, "the server's certificate has expired")
			return reason
		case reason == matrix.ServerCertName && misnamed:
			if kind == "cn-only" {
				a.why(source, "the server's certificate has its name in its subject alone, where Go does not look; libpq does")
				return reason
			}
			a.why(source, "the server's certificate is not for "+a.w.Host)
			return reason
		}
	}
	return ""
}
