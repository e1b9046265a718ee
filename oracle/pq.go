package oracle

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pq is the model of lib/pq 1.12: Connector.open over the hosts. It takes the authentication methods as they come, and has no
// GSS encryption. Sources: connector.go, conn.go and ssl.go.
type pq struct {
	*attempt
	sslmode string
	direct  bool
}

func newPQ(a *attempt) client { return &pq{attempt: a} }

// pqSSLModes: lib/pq's default is require.
var pqSSLModes = choice{"sslmode", []string{"require", "disable", "allow", "prefer", "verify-ca", "verify-full"}}

func (p *pq) walk() (last ending, err error) {
	if bad := p.options(); bad != nil {
		return *bad, nil
	}
	if last, err = p.eachHost(false); err != nil || last.how == opened || p.c.TargetSession != matrix.PreferStandby {
		return last, err
	}
	p.why("conn.go, Connector.open", "target_session_attrs=prefer-standby: no host is left to try. lib/pq begins again with the first, and takes what it gets")
	if last, err = p.eachHost(true); err == nil && last.how != opened {
		return last, unknown("lib/pq then begins again without end", "target_session_attrs=prefer-standby and no session (%s)", last.outcome.Reason)
	}
	return last, err
}

// eachHost is the loop of Connector.open over the hosts.
func (p *pq) eachHost(anySession bool) (last ending, err error) {
	for host := range p.walked() {
		switch {
		case p.hosts() == matrix.DeadFirst:
			p.why("conn.go, Connector.open", "the first host refuses TCP: lib/pq goes on to the second, whose name is that of SPN and certificate")
		case host > 0:
			p.why("conn.go, Connector.open", "after any failure lib/pq goes on to the next host")
		}
		if last, err = p.host(); err != nil {
			return last, err
		}
		if !anySession {
			last = p.selected(last, "conn.go, checkTSA")
		}
		if last.how == opened {
			return last, nil
		}
	}
	return last, nil
}

// options validates what the client was given; nil: nothing is wrong.
func (p *pq) options() (bad *ending) {
	reject := func(source, text string) *ending {
		e := p.badOptions(source, text)
		return &e
	}
	p.sslmode = pqSSLModes.of(p.c.SSLMode)
	p.direct = p.c.SSLNegotiation == "direct"
	if !pqSSLModes.knows(p.sslmode) {
		return reject("connector.go, setFromTag", "there is no sslmode="+p.sslmode)
	}
	if !sslnegotiations.knows(p.c.SSLNegotiation) {
		return reject("connector.go, setFromTag", "there is no sslnegotiation="+p.c.SSLNegotiation)
	}
	if p.unix() {
		p.sslmode = "disable"
		p.why("connector.go, newConfig", "on a unix socket sslmode is disable, even if another one is given")
	}
	if p.direct && p.sslmode != "require" && !strings.HasPrefix(p.sslmode, "verify-") {
		return reject("connector.go, newConfig", "sslnegotiation=direct needs sslmode=require or stronger, not "+p.sslmode)
	}
	if p.root() == "system" {
		if p.c.SSLMode == "" {
			p.sslmode = "verify-full"
			p.why("connector.go, newConfig", "sslrootcert=system makes verify-full the default, on a unix socket, too")
		}
		if p.sslmode != "verify-full" {
			return reject("connector.go, newConfig", "sslrootcert=system needs sslmode=verify-full, not "+p.sslmode)
		}
	}
	return nil
}

// host is what Connector.open does with one host. prefer gives up TLS for any failure up to the end of the handshake, allow
// gives up plaintext for any failure up to ReadyForQuery; each on a new connection.
func (p *pq) host() (ending, error) {
	const source = "conn.go, Connector.open"
	switch p.sslmode {
	case "disable":
		p.why(source, "sslmode=disable: no encryption")
		return p.plain()
	case "allow":
		p.why(source, "sslmode=allow: no encryption first, then TLS as with require")
		last, err := p.plain()
		if err != nil || last.how == opened {
			return last, err
		}
		p.why(source, "sslmode=allow: after any failure lib/pq tries with TLS, on a new connection")
		return p.tls("require")
	case "prefer":
		p.why(source, "sslmode=prefer: TLS first, then no encryption")
		last, final, err := p.preferTLS()
		if err != nil || final {
			return last, err
		}
		p.why(source, "sslmode=prefer: lib/pq tries without TLS, on a new connection even after N")
		return p.plain()
	}
	p.why(source, "sslmode="+p.sslmode+": TLS only")
	return p.tls(p.sslmode)
}

// preferTLS is the connection with TLS of sslmode=prefer. It is final if the server refuses inside TLS.
func (p *pq) preferTLS() (last ending, final bool, err error) {
	p.connect()
	v := p.verification("prefer")
	if bad := p.unreadable(); bad != nil {
		return *bad, false, nil
	}
	last = p.encryptTLS(p.direct, v)
	verifies := len(v.checks) > 0
	switch {
	case last.how == opened:
		if last, err = p.authenticate(matrix.TLS); err != nil || last.how == opened {
			return last, true, err
		}
	case last.how == raced && verifies:
		return last, true, chance()
	case last.how == errorBeforeOK, last.how == lost, last.how == raced:
	case last.how == broken && !verifies && p.trace[len(p.trace)-1] == matrix.StepSSLAccept:
		p.why("ssl.go, ssl", "where nothing is verified the handshake is made with the first write, which is the startup packet's: its failure is final")
		return last, true, nil
	default:
		return last, false, nil
	}
	p.why("conn.go, Connector.open", "sslmode=prefer: once TLS is established a failure is final")
	return last, true, nil
}

func (p *pq) plain() (ending, error) {
	p.connect()
	return p.authenticate(matrix.Plain)
}

// tls is a connection that must be TLS.
func (p *pq) tls(sslmode string) (ending, error) {
	p.connect()
	v := p.verification(sslmode)
	if bad := p.unreadable(); bad != nil {
		return *bad, nil
	}
	if v.noRoot {
		p.because = append(p.because, v.because)
		return refused(broken, matrix.StageTLS, matrix.RootMissing), nil
	}
	if e := p.encryptTLS(p.direct, v); e.how != opened {
		return e, nil
	}
	if p.direct && !p.impersonated(matrix.TLS) {
		p.why("backend_startup.c, ProcessSSLStartup", "lib/pq offers no ALPN protocol (ssl.go, ssl), without which the server closes after a direct handshake")
		return refused(broken, matrix.StageTLS, matrix.DirectTLSRefused), nil
	}
	return p.authenticate(matrix.TLS)
}

// unreadable: lib/pq reads the key after it has connected, before it asks for TLS and before it reads the root file; nil: it can read it.
func (p *pq) unreadable() *ending {
	fault := p.keyFault(pqKeys)
	if fault == "" {
		return nil
	}
	p.why("ssl.go, sslClientCertificates", fault)
	e := refused(broken, matrix.StageTLS, matrix.KeyUnusable)
	return &e
}

// verification: prefer and require verify the issuer if the root file exists, which lib/pq looks for before each handshake. An issuer
// without a name it verifies after the handshake.
func (p *pq) verification(sslmode string) verification {
	v := verification{source: goSource, names: strictNames, sealsAlert: true}
	insists := strings.HasPrefix(sslmode, "verify-")
	text := ""
	switch {
	case p.root() == "missing" && insists:
		v.noRoot, text = true, " and no root file: lib/pq gives up after it has connected, before it asks for TLS"
	case p.root() == "missing", p.root() == "none" && !insists:
		text = " and no root file: the server's certificate is not verified"
	case sslmode == "verify-full":
		v.checks, text = goFull, ": issuer and name of the server's certificate are verified"
	case insists:
		v.checks, text = goIssuerLate, ": the issuer of the server's certificate is verified, after the handshake"
	default:
		v.checks, text = goIssuerLate, " and a root file that exists: the issuer is verified as with verify-ca, after the handshake"
	}
	v.because = matrix.Because{Text: "sslmode=" + sslmode + text, Source: "ssl.go, ssl"}
	return v
}

// lib/pq has neither require_auth nor channel_binding (conn.go, auth).
func (p *pq) onRequest(request, matrix.Channel) (*objection, error) { return nil, nil }
func (p *pq) onOK(authenticationOK) *objection                      { return nil }
func (p *pq) saslName() string                                      { return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(p.c.User) } // scram/scram.go
func (p *pq) binding() (mode, source string)                        { return "disable", "conn.go, auth" }
func (p *pq) noHash() *objection                                    { return nil }
func (p *pq) onGSSAccept() *objection                               { return nil }

// serverName is ssl.go, ssl: crypto/tls sends the name that is to be verified, too.
func (p *pq) serverName() string {
	return p.sendsName(p.c.SSLSNI != "0" || p.sslmode == "verify-full")
}

// asSetting: what newConfig does not know is a run-time parameter.
func (p *pq) asSetting(string) (source string) { return "connector.go, setFromTag" }

func (p *pq) service() string       { return p.spn(p.w.Host) }
func (p *pq) ambientTicket() lookup { return gokrb5Cache }

// withheld: a callback gives the certificate to crypto/tls, which then does not ask whether the server accepts it.
func (p *pq) withheld(*matrix.Certificate) lookup { return lookup{} }

func (p *pq) ambientCertificate() lookup { return lookup{source: "ssl.go, sslClientCertificates"} }

func (p *pq) reactions() *reactions { return pqReactions }

var pqReactions = &reactions{
	ssl: answers{
		errorMessage: reaction{how: broken, reason: matrix.TLSRefused, because: matrix.Because{Text: "anything but S in answer to SSLRequest is a refusal of TLS", Source: "conn.go, conn.ssl"}},
		cut:          reaction{how: broken, reason: matrix.ConnectionLost, because: matrix.Because{Text: "the connection ends where the answer is due: to the client TLS has failed", Source: "conn.go, conn.ssl"}},
		stuffed:      goStuffed,
	},
	// Of the AP-REP it ignores what its GSSAPI provider says, and after an error token it reads the server's own error.
	forgedToken: reaction{how: opened, because: matrix.Because{Text: "the AP-REP was made without the session key; lib/pq ignores the error of its GSSAPI provider", Source: "conn.go, auth"}},
	noPassword:  reaction{how: opened, because: matrix.Because{Text: "the client was given no password and sends an empty one", Source: "conn.go, auth"}},
	timeout:     matrix.Because{Text: "no answer comes, and connect_timeout passes, which is the connection's deadline", Source: "conn.go, dial"},
	okSource:    "conn.go, auth",
}
