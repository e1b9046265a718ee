package oracle

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// asyncpg is the model of asyncpg 0.27, 0.30 and 0.31: _connect over the hosts, and up to two attempts with each. It takes the
// authentication methods as they come, and has no GSS encryption. Sources: connect_utils.py, and protocol/coreproto.pyx; TLS is that of
// Python's modules ssl and asyncio over OpenSSL.
type asyncpg struct {
	*attempt
	sslmode string
	direct  bool
}

func newAsyncpg(a *attempt) client { return &asyncpg{attempt: a} }

// asyncpgFull is what OpenSSL verifies where it is to compare the name, too (x509_vfy.c, verify_chain). A name in the subject counts if the
// certificate has no other (SSLContext.hostname_checks_common_name).
var asyncpgFull = slices.Insert(slices.Clone(opensslIssuer), 1, check{flaw: wrongName})

func (p *asyncpg) walk() (last ending, err error) {
	if bad := p.options(); bad != nil {
		return *bad, nil
	}
	for host := range p.walked() {
		switch {
		case p.hosts() == matrix.DeadFirst:
			p.why("connect_utils.py, _connect", "the first host refuses TCP, an OSError: asyncpg goes on to the second, whose name is that of SPN and certificate")
		case host > 0:
			p.why("connect_utils.py, _connect", "a failure of TLS is an OSError, after which asyncpg goes on to the next host")
		}
		if last, err = p.host(); err != nil {
			return last, err
		}
		if last = p.chosen(last); last.how != unwanted && !isOSError(last.how) {
			return last, p.gapOfChoice(host, last.how)
		}
	}
	return last, nil
}

// chosen is _can_use_connection. A session that is preferred to no other stays open until all hosts are tried.
func (p *asyncpg) chosen(last ending) ending {
	const source = "connect_utils.py, _can_use_connection"
	if p.c.TargetSession == matrix.PreferStandby && last.how == opened {
		p.why("connect_utils.py, _connect", "target_session_attrs=prefer-standby: the session is kept until all hosts are tried, and is then the only one")
		return last
	}
	// The server reports default_transaction_read_only since 14; asyncpg takes it for off where it does not.
	return p.selects(last, source, p.w.Server >= 14 && p.setting(readOnlySetting, "off") == "on")
}

// gapOfChoice: of several sessions that are equally good asyncpg takes one at random.
func (p *asyncpg) gapOfChoice(host int, h how) error {
	if p.c.TargetSession == matrix.PreferStandby && p.hosts() == matrix.Twice && host == 0 && h == opened {
		return unknown("asyncpg takes one of the sessions at random", "target_session_attrs=%s with hosts=%s", p.c.TargetSession, p.hosts())
	}
	return nil
}

// isOSError: ssl.SSLError, ConnectionError and TimeoutError are OSErrors. An error of the server and ConnectionDoesNotExistError are not.
func isOSError(h how) bool { return h == broken || h == declined || h == outOfTime }

// options is _parse_connect_dsn_and_args, which reads the files; nil: nothing is wrong.
func (p *asyncpg) options() (bad *ending) {
	const source = "connect_utils.py, _parse_connect_dsn_and_args"
	reject := func(text string) *ending {
		e := p.badOptions(source, text)
		return &e
	}
	p.sslmode = sslmodes.of(p.c.SSLMode)
	p.direct = p.c.SSLNegotiation == "direct"
	if p.unix() && p.c.SSLMode == "" {
		p.sslmode = "disable"
		p.why(source, "where all hosts are unix sockets the default of sslmode is disable")
	}
	switch {
	case !sslmodes.knows(p.sslmode):
		return reject("there is no sslmode=" + p.sslmode)
	case !p.insists():
	case p.root() == "missing":
		return reject("sslmode=" + p.sslmode + ": the root file is read before anything is connected, over a unix socket, too, and does not exist")
	case p.root() == "system":
		return reject("sslrootcert=system is the name of a file, which does not exist")
	case p.root() == "none" && p.sslmode != "require":
		return reject("sslmode=" + p.sslmode + " needs a root file, and ~/.postgresql/root.crt does not exist")
	case p.crl() == "missing":
		return reject("sslmode=" + p.sslmode + ": the revocation list is read before anything is connected, and does not exist")
	}
	if fault := p.keyFault(asyncpgKeys); fault != "" && p.sslmode != "disable" {
		return reject("the key is read before anything is connected, in any sslmode but disable: " + fault)
	}
	return nil
}

// insists is true of the modes in which asyncpg reads the root file and the revocation list, and does not connect without TLS.
func (p *asyncpg) insists() bool {
	return slices.Contains([]string{"require", "verify-ca", "verify-full"}, p.sslmode)
}

// host is _connect_addr: what is tried with one host.
func (p *asyncpg) host() (last ending, err error) {
	const source = "connect_utils.py, _connect_addr"
	p.connect()
	switch p.sslmode {
	case "disable":
		p.why(source, "sslmode=disable: no encryption")
		return p.authenticate(matrix.Plain)
	case "allow":
		p.why(source, "sslmode=allow: no encryption first, then TLS")
		if last, err = p.authenticate(matrix.Plain); err != nil || !p.again(last) {
			return last, err
		}
		p.connect()
		if p.unix() {
			p.why("connect_utils.py, __connect_addr", "a unix socket is always without TLS: the second attempt is as the first")
			return p.authenticate(matrix.Plain)
		}
		return p.tls()
	case "prefer":
		return p.preferTLS()
	}
	p.why(source, "sslmode="+p.sslmode+": TLS only")
	if p.unix() {
		p.why("connect_utils.py, __connect_addr", "a unix socket is always without TLS, whatever sslmode is")
		return p.authenticate(matrix.Plain)
	}
	return p.tls()
}

// preferTLS is sslmode=prefer.
func (p *asyncpg) preferTLS() (last ending, err error) {
	const source = "connect_utils.py, __connect_addr"
	if p.unix() {
		p.why(source, "a unix socket is always without TLS: sslmode=prefer has one attempt")
		return p.authenticate(matrix.Plain)
	}
	p.why("connect_utils.py, _connect_addr", "sslmode=prefer: TLS first, then no encryption")
	last, err = p.tls()
	switch {
	case err != nil, last.how == opened:
		return last, err
	case last.how == declined:
		p.why("connect_utils.py, TLSUpgradeProto", "sslmode=prefer: after N asyncpg goes on in the clear, on the same connection")
		return p.authenticate(matrix.Plain)
	case last.how == raced:
		return last, chance()
	case p.direct:
		p.why(source, "after direct TLS is_ssl is not set: sslmode=prefer has no second attempt")
		return last, nil
	case !p.again(last):
		return last, nil
	}
	p.connect()
	return p.authenticate(matrix.Plain)
}

// again says whether the failure of the first attempt leads to a second one: the server's refusal, or a connection that ended after the startup packet.
func (p *asyncpg) again(last ending) bool {
	const source = "connect_utils.py, __connect_addr"
	switch {
	case last.how == opened:
		return false
	case strings.HasPrefix(last.state, "28"):
		p.why(source, "sslmode="+p.sslmode+": after InvalidAuthorizationSpecificationError (SQLSTATE class 28, a wrong password, too) asyncpg makes its second attempt")
		return true
	case last.how == lost:
		p.why(source, "sslmode="+p.sslmode+": after ConnectionDoesNotExistError asyncpg makes its second attempt")
		return true
	}
	p.why(source, "sslmode="+p.sslmode+": after no other error does asyncpg make its second attempt")
	return false
}

// tls has TLS on the present connection.
func (p *asyncpg) tls() (ending, error) {
	if e := p.encryptTLS(p.direct, p.verification()); e.how != opened {
		return e, nil
	}
	if p.direct && !p.impersonated(matrix.TLS) {
		p.why("backend_startup.c, ProcessSSLStartup", "asyncpg offers no ALPN protocol, without which the server closes after a direct handshake")
		return refused(lost, matrix.StageTLS, matrix.DirectTLSRefused), nil
	}
	return p.authenticate(matrix.TLS)
}

// verification: allow and prefer read no root file. asyncio closes the connection of a handshake that has failed without sending the alert.
func (p *asyncpg) verification() verification {
	v := verification{source: "OpenSSL, X509_verify_cert", names: strictNames}
	text := ""
	switch {
	case !p.insists():
		text = ": the server's certificate is not verified, root file or not"
	case p.root() == "none":
		text = " and no root file: the server's certificate is not verified"
	case p.sslmode == "verify-full":
		v.checks, text = asyncpgFull, ": issuer and name of the server's certificate are verified"
	default:
		v.checks, text = opensslIssuer, " and a root file: the issuer of the server's certificate is verified"
	}
	if len(v.checks) > 0 && p.crl() != "none" {
		v.crl = p.crl()
		text += ", and the revocation list"
	}
	v.because = matrix.Because{Text: "sslmode=" + p.sslmode + text, Source: "connect_utils.py, _parse_connect_dsn_and_args"}
	return v
}

// onRequest is coreproto.pyx, _parse_msg_authentication.
func (p *asyncpg) onRequest(ask request, _ matrix.Channel) (*objection, error) {
	const source = "protocol/coreproto.pyx, _parse_msg_authentication"
	switch {
	case ask == askGSS && p.c.Library == "asyncpg0.27":
		return &objection{matrix.MethodUnsupported, matrix.Because{Text: "asyncpg 0.27 has no GSSAPI authentication, and fails in the making of its message", Source: source}}, nil
	case ask == askPassword && p.password() == "none":
		return &objection{matrix.NoPassword, matrix.Because{Text: "the client was given no password, and fails to encode it", Source: source}}, nil
	}
	return nil, nil
}

// asyncpg has neither require_auth nor channel_binding. AuthenticationOk is taken whenever it comes.
func (p *asyncpg) onOK(authenticationOK) *objection { return nil }
func (p *asyncpg) binding() (mode, source string) {
	return "disable", "protocol/scram.pyx, create_client_first_message"
}

// saslName is not escaped (protocol/scram.pyx, create_client_first_message).
func (p *asyncpg) saslName() string                    { return p.c.User }
func (p *asyncpg) noHash() *objection                  { return nil }
func (p *asyncpg) onGSSAccept() *objection             { return nil }
func (p *asyncpg) asSetting(string) (source string)    { return "" }
func (p *asyncpg) serverName() string                  { return p.sendsName(true) } // connect_utils.py, _create_ssl_connection
func (p *asyncpg) service() string                     { return p.spn(p.w.Host) }
func (p *asyncpg) ambientTicket() lookup               { return defaultCache }
func (p *asyncpg) withheld(*matrix.Certificate) lookup { return lookup{} }

func (p *asyncpg) ambientCertificate() lookup {
	return lookup{source: "connect_utils.py, _dot_postgresql_path"}
}

func (p *asyncpg) reactions() *reactions { return asyncpgReactions }

var asyncpgReactions = &reactions{
	ssl: answers{
		errorMessage: reaction{how: broken, reason: matrix.TLSRefused, because: matrix.Because{Text: "anything but S, or N with prefer, in answer to SSLRequest is a refusal of TLS, after which nothing else is tried", Source: "connect_utils.py, TLSUpgradeProto"}},
		cut:          reaction{how: broken, reason: matrix.ConnectionLost, because: matrix.Because{Text: "the connection ends where the answer is due: nothing else is tried", Source: "connect_utils.py, TLSUpgradeProto"}},
		stuffed:      reaction{how: broken, reason: matrix.ProtocolViolation, because: matrix.Because{Text: "the answer is not the single byte S: nothing else is tried", Source: "connect_utils.py, TLSUpgradeProto"}},
	},
	forgedToken: reaction{how: hungUp, reason: matrix.ServerUnproven, because: matrix.Because{Text: "the AP-REP was made without the session key: it proves nothing, and libkrb5 notices", Source: "RFC 4120, section 3.2.5"}},
	noPassword:  reaction{how: opened, because: matrix.Because{Text: "the client was given no password and answers with an empty one", Source: "protocol/coreproto.pyx, _parse_msg_authentication"}},
	timeout:     matrix.Because{Text: "no answer comes, and timeout passes, which is that of all attempts together", Source: "connection.py, connect"},
	okSource:    "protocol/coreproto.pyx, _parse_msg_authentication",
}
