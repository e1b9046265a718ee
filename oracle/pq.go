package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pqClient is lib/pq's say in the authentication exchange (conn.go, auth): it has none. It takes the methods as they come.
type pqClient struct{}

func (pqClient) onRequest(request, matrix.Channel) (*objection, error)   { return nil, nil }
func (pqClient) onOK(exchanged, bound bool, _ matrix.Channel) *objection { return nil }
func (pqClient) emptyPassword() string                                   { return "conn.go, auth" }

// It ignores what its GSSAPI provider says of the server's token, and reads the server's next message.
func (pqClient) binds() bool             { return false }
func (pqClient) noHash() *objection      { return nil }
func (pqClient) ignoresErrorToken() bool { return true }

// pqSSLModes: lib/pq's default is require.
var pqSSLModes = choice{"sslmode", []string{"require", "disable", "allow", "prefer", "verify-ca", "verify-full"}}

// pq is Connector.open: prefer gives up TLS for any failure up to the handshake, allow gives up plaintext for any failure
// at all up to ReadyForQuery; each on a new connection. prefer does not go on where the server refuses inside TLS.
func (a *attempt) pq() (ending, error) {
	sslmode := pqSSLModes.of(a.c.SSLMode)
	direct := a.c.SSLNegotiation == "direct"
	if !pqSSLModes.knows(sslmode) {
		return a.badOptions("connector.go, setFromTag", "there is no sslmode="+sslmode), nil
	}
	if !sslnegotiations.knows(a.c.SSLNegotiation) {
		return a.badOptions("connector.go, setFromTag", "there is no sslnegotiation="+a.c.SSLNegotiation), nil
	}
	if a.unix() {
		sslmode = "disable"
		a.why("connector.go, newConfig", "on a unix socket sslmode is disable, whatever is given")
	}
	if direct && sslmode != "require" && !strings.HasPrefix(sslmode, "verify-") {
		return a.badOptions("connector.go, newConfig", "sslnegotiation=direct needs sslmode=require or stronger, not "+sslmode), nil
	}
	if a.root() == "system" {
		if a.c.SSLMode == "" {
			sslmode = "verify-full"
			a.why("connector.go, newConfig", "sslrootcert=system makes verify-full the default, on a unix socket, too")
		}
		if sslmode != "verify-full" {
			return a.badOptions("connector.go, newConfig", "sslrootcert=system needs sslmode=verify-full, not "+sslmode), nil
		}
	}
	var last ending
	for host := range a.walked() {
		switch {
		case a.hosts() == matrix.DeadFirst:
			a.why("conn.go, Connector.open", "the first host refuses TCP: lib/pq goes on to the second, whose name is that of SPN and certificate")
		case host > 0:
			a.why("conn.go, Connector.open", "after any failure lib/pq goes on to the next host")
		}
		var err error
		if last, err = a.pqHost(sslmode, direct); err != nil || last.how == opened {
			return last, err
		}
	}
	return last, nil
}

// walked is how many hosts a client that goes on after every failure gets an answer from.
func (a *attempt) walked() int {
	if a.hosts() == matrix.Twice {
		return 2
	}
	return 1
}

// pqHost is what Connector.open does with one host.
func (a *attempt) pqHost(sslmode string, direct bool) (ending, error) {
	switch sslmode {
	case "disable":
		a.why("conn.go, Connector.open", "sslmode=disable: no encryption")
		return a.pqPlain()
	case "allow":
		a.why("conn.go, Connector.open", "sslmode=allow: no encryption first, then TLS as with require")
		last, err := a.pqPlain()
		if err != nil || last.how == opened {
			return last, err
		}
		a.why("conn.go, Connector.open", "sslmode=allow: after any failure lib/pq tries with TLS, on a new connection")
		return a.pqTLS("require", direct)
	case "prefer":
		a.why("conn.go, Connector.open", "sslmode=prefer: TLS first, then no encryption")
		a.connect()
		v := a.pqVerification(sslmode)
		e := a.encryptTLS(direct, v)
		switch {
		case e.how == raced && v.level != "none":
			return e, chance()
		case e.how == errorBeforeOK, e.how == lost, e.how == raced:
			a.why("conn.go, Connector.open", "sslmode=prefer: once TLS is there a failure is final")
			return e, nil
		case e.how == broken && v.level == "none" && a.trace[len(a.trace)-1] == matrix.StepSSLAccept:
			a.why("ssl.go, ssl", "where nothing is verified the handshake is made with the first write, which is the startup packet's: its failure is final")
			return e, nil
		}
		if e.how == opened {
			last, err := a.authenticate(matrix.TLS, pqClient{})
			if err == nil && last.how != opened {
				a.why("conn.go, Connector.open", "sslmode=prefer: once TLS is there a failure is final")
			}
			return last, err
		}
		a.why("conn.go, Connector.open", "sslmode=prefer: lib/pq tries without TLS, on a new connection even after N")
		return a.pqPlain()
	}
	a.why("conn.go, Connector.open", "sslmode="+sslmode+": TLS only")
	return a.pqTLS(sslmode, direct)
}

func (a *attempt) pqPlain() (ending, error) {
	a.connect()
	return a.authenticate(matrix.Plain, pqClient{})
}

// pqTLS is a connection that must be TLS.
func (a *attempt) pqTLS(sslmode string, direct bool) (ending, error) {
	a.connect()
	v := a.pqVerification(sslmode)
	if v.noRoot {
		a.because = append(a.because, v.because)
		return refused(broken, matrix.StageTLS, matrix.RootMissing), nil
	}
	if e := a.encryptTLS(direct, v); e.how != opened {
		return e, nil
	}
	if direct && !a.impersonated(matrix.TLS) {
		a.why("backend_startup.c, ProcessSSLStartup", "lib/pq offers no ALPN protocol (ssl.go, ssl), without which the server closes after a direct handshake")
		return refused(broken, matrix.StageTLS, matrix.DirectTLSRefused), nil
	}
	return a.authenticate(matrix.TLS, pqClient{})
}

// pqVerification: prefer and require verify the issuer if the root file exists, which is looked for before each handshake.
func (a *attempt) pqVerification(sslmode string) verification {
	v := verification{inGo: true, level: "ca", because: matrix.Because{Source: "ssl.go, ssl"}}
	insists := strings.HasPrefix(sslmode, "verify-")
	text := ""
	switch {
	case a.root() == "missing" && insists:
		v.noRoot, text = true, " and no root file: lib/pq gives up after it has connected, before it asks for TLS"
	case a.root() == "missing", a.root() == "none" && !insists:
		v.level, text = "none", " and no root file: the server's certificate is not verified"
	case sslmode == "verify-full":
		v.level, text = "full", ": issuer and name of the server's certificate are verified"
	case insists:
		text = ": the issuer of the server's certificate is verified, after the handshake"
	default:
		text = " and a root file that exists: the issuer is verified as with verify-ca, after the handshake"
	}
	v.because.Text = "sslmode=" + sslmode + text
	return v
}
