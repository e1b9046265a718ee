package oracle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// libpq is the model of libpq 13 to 19, and of psql, which is a program on it. Sources: fe-connect.c, fe-auth.c,
// fe-secure-openssl.c and fe-secure-gssapi.c. Its walk is in libpq_walk.go, and that of 13 to 16 in libpq_walk16.go.
type libpq struct {
	*attempt
	version int // major version

	// The connection parameters in force. sslnegotiation=postgres says of a library before 17, which has no such parameter, what
	// it does anyway; it is taken as not given.
	required            requireAuth
	channelBinding      string
	gssencmode, sslmode string
	direct              bool
	anySession          bool // target_session_attrs counts no longer
}

func newLibpq(a *attempt) client { return &libpq{attempt: a, version: a.c.Library.Libpq()} }

// walk is fe-connect.c, PQconnectPoll.
func (l *libpq) walk() (ending, error) {
	if bad := l.options(); bad != nil {
		return *bad, nil
	}
	for pass := range l.walked() {
		if pass > 0 {
			l.why("fe-connect.c, PQconnectPoll (try_next_host)", "after a session that it does not want libpq goes on to the next host, with every method")
		}
		if last, err := l.host(); err != nil || last.how != unwanted {
			return last, err
		} else if pass == l.walked()-1 && l.c.TargetSession != matrix.PreferStandby {
			l.why("fe-connect.c, PQconnectPoll", "no host is left to try")
			return last, nil
		}
	}
	l.why("fe-connect.c, PQconnectPoll (SERVER_TYPE_PREFER_STANDBY_PASS2)", "target_session_attrs=prefer-standby: no host was a standby. libpq begins again with the first, with every method, and takes what it gets")
	l.anySession = true
	return l.host()
}

// host is what libpq tries with one host.
func (l *libpq) host() (ending, error) {
	if l.version < 17 {
		return l.walk16()
	}
	return l.walk17()
}

// options validates what the client was given, before any socket (fe-connect.c, pqConnectOptions2); nil: nothing is wrong.
func (l *libpq) options() (bad *ending) {
	reject := func(parameter, text string) *ending {
		e := l.badOptions("libpq, "+parameter, text)
		return &e
	}
	known := []request{askPassword, askMD5, askGSS, "sspi", askScram, askNothing}
	if l.version >= 18 {
		known = append(known, "oauth")
	}
	var wrong string
	if l.required, wrong = parseRequireAuth(l.c.RequireAuth, known, false); wrong != "" {
		return reject("require_auth", "require_auth="+l.c.RequireAuth+": "+wrong)
	}
	for _, o := range []struct {
		choice
		given string
	}{{channelBindings, l.c.ChannelBinding}, {sslmodes, l.c.SSLMode}, {sslnegotiations, l.c.SSLNegotiation}, {gssencmodes, l.c.GSSEncMode}} {
		if !o.knows(o.given) {
			return reject(o.name, "there is no "+o.name+"="+o.given)
		}
	}
	l.channelBinding = channelBindings.of(l.c.ChannelBinding)
	l.gssencmode = gssencmodes.of(l.c.GSSEncMode)
	l.sslmode = sslmodes.of(l.c.SSLMode)
	l.direct = sslnegotiations.of(l.c.SSLNegotiation) == "direct"
	if l.systemRoots() {
		if l.sslmode = cmp.Or(l.c.SSLMode, "verify-full"); l.sslmode != "verify-full" {
			return reject("sslrootcert", "sslrootcert=system needs sslmode=verify-full, which it makes the default, not "+l.sslmode)
		}
	}
	if l.direct && !l.insistsOnTLS() {
		return reject("sslnegotiation", "sslnegotiation=direct needs sslmode=require or stronger, not "+l.sslmode)
	}
	return nil
}

// systemRoots: sslrootcert=system means the system's roots; before 16 it is the name of a file.
func (l *libpq) systemRoots() bool { return l.root() == "system" && l.version >= 16 }

func (l *libpq) insistsOnTLS() bool {
	return l.sslmode == "require" || strings.HasPrefix(l.sslmode, "verify-")
}

// verification: a root file that exists is used by every sslmode, and with it a revocation list that can be read. With the system's
// roots there is no revocation list (fe-secure-openssl.c, initialize_SSL).
func (l *libpq) verification() verification {
	v := verification{source: "X509_verify_cert of OpenSSL; open_client_SSL, fe-secure-openssl.c", names: libpqNames}
	if l.version < 15 {
		v.names = forHost // alternative names that are addresses came with 15
	}
	insists := strings.HasPrefix(l.sslmode, "verify-")
	noRoot := l.root() == "missing" || l.root() == "none" // the default is ~/.postgresql/root.crt, which no attempt has
	text := ""
	switch {
	case l.systemRoots():
		v.checks, text = libpqFull, " and sslrootcert=system: the roots are those of the system; a revocation list would not be read"
	case l.root() == "system" && insists:
		v.noRoot, text = true, " and sslrootcert=system, which before 16 is the name of a file: the client gives up before its handshake"
	case l.root() == "system":
		text = " and sslrootcert=system, which before 16 is the name of a file: the server's certificate is not verified"
	case noRoot && insists:
		v.noRoot, text = true, " and no root file: the client gives up before its handshake"
	case noRoot:
		text = " and no root file: the server's certificate is not verified"
	default:
		v.checks, text = l.fileChecks()
		text += l.loadList(&v)
	}
	if fault := l.keyFault(l.keys()); fault != "" && !v.noRoot && l.c.SSLCertMode != "disable" {
		v.noKey, text = true, text+"; "+fault+": the client gives up before its handshake"
	}
	v.because = matrix.Because{Text: "sslmode=" + l.sslmode + text, Source: "libpq, sslrootcert"}
	return v
}

// keys is what the client's OpenSSL reads: libpq 13 and 14 come with OpenSSL 1.1.1.
func (l *libpq) keys() *reader {
	if l.version < 15 {
		return oldLibpq
	}
	return libpqKeys
}

// libpqFull: libpq compares the name itself, after the handshake.
var libpqFull = slices.Concat(opensslIssuer, []check{{flaw: wrongName, late: true}})

// fileChecks are the checks of a client that has a root file.
func (l *libpq) fileChecks() (checks []check, text string) {
	switch l.sslmode {
	case "verify-full":
		return libpqFull, ": issuer and name of the server's certificate are verified"
	case "verify-ca":
		return opensslIssuer, ": the issuer of the server's certificate is verified"
	}
	return opensslIssuer, " and a root file that exists: the issuer is verified as with verify-ca"
}

// loadList loads the revocation list, if it can be read.
func (l *libpq) loadList(v *verification) (text string) {
	switch l.crl() {
	case "right", "stale":
		v.crl = l.crl()
		return ", with its revocation list"
	case "missing":
		return "; sslcrl cannot be read, which libpq ignores"
	}
	return ""
}

// onRequest is fe-auth.c, check_expected_areq and pg_SASL_init.
func (l *libpq) onRequest(ask request, ch matrix.Channel) (*objection, error) {
	binding := func(text string) (*objection, error) {
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: " + text, Source: "libpq, channel_binding"}}, nil
	}
	switch {
	case !l.required.allows(ask):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + l.required.text + " does not allow " + string(ask), Source: "libpq, require_auth"}}, nil
	case ask == askGSS && l.required.halfGSS:
		return nil, unknown("libpq then refuses the server's GSS reply, in a race with AuthenticationOk", "require_auth=%s with gss", l.required.text)
	case l.channelBinding == "require" && ask != askScram:
		return binding("only SCRAM can bind, not " + string(ask))
	case l.channelBinding == "require" && ch != matrix.TLS:
		return binding("there is nothing to bind to without TLS")
	}
	return nil, nil
}

// onOK is fe-auth.c, check_expected_areq. libpq does not object that its GSSAPI exchange is unfinished.
func (l *libpq) onOK(ok authenticationOK) *objection {
	if o := l.certMode(ok.ch, "fe-auth.c, check_expected_areq"); o != nil {
		return o
	}
	switch {
	case l.required.exchange && !ok.exchanged && (ok.ch != matrix.GSS || !l.required.allows(askGSS)):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + l.required.text + ": the server has completed no authentication exchange", Source: "libpq, require_auth"}}
	case l.channelBinding == "require" && !ok.bound:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server let the client in without it", Source: "libpq, channel_binding"}}
	}
	return nil
}

func (l *libpq) saslName() string               { return "" }
func (l *libpq) binding() (mode, source string) { return l.channelBinding, "fe-auth.c, pg_SASL_init" }

func (l *libpq) noHash() *objection {
	return &objection{matrix.ChannelBinding, matrix.Because{Text: "libpq has chosen SCRAM-SHA-256-PLUS before it looks for the hash, and gives up", Source: "fe-secure-openssl.c, pgtls_get_peer_certificate_hash"}}
}

// onGSSAccept: libpq finds out only in the authentication exchange what it objects to.
func (l *libpq) onGSSAccept() *objection { return nil }

// serverName is fe-secure-openssl.c, initialize_SSL. sslsni came with 14.
func (l *libpq) serverName() string { return l.sendsName(l.version >= 14 && l.c.SSLSNI != "0") }

// asSetting: libpq rejects parameters that it does not know, and it knows sslcrl.
func (l *libpq) asSetting(string) (source string) { return "" }

func (l *libpq) service() string       { return l.spn(l.w.Host) }
func (l *libpq) ambientTicket() lookup { return defaultCache }

func (l *libpq) withheld(*matrix.Certificate) lookup { return lookup{} }

func (l *libpq) ambientCertificate() lookup {
	if l.version < 15 {
		return lookup{source: "fe-connect.c, pqGetHomeDirectory", missing: "libpq before 15 takes the home directory from the password database, not from $HOME"}
	}
	return lookup{source: "libpq, sslcert"}
}

func (l *libpq) reactions() *reactions {
	if l.version < 14 {
		return libpq13Reactions
	}
	return libpqReactions
}

var libpqReactions = &reactions{
	ssl: answers{
		errorMessage: reaction{how: hungUp, reason: matrix.AnswerError, because: matrix.Because{Text: "an error in answer to SSLRequest is final; its text is not shown", Source: "fe-connect.c, PQconnectPoll"}},
		cut:          libpqCut,
		stuffed:      libpqStuffed,
	},
	gss: answers{
		errorMessage: reaction{how: broken, reason: matrix.AnswerError, because: matrix.Because{Text: "an error in answer to GSSENCRequest: its text is not shown, and the client goes on as if GSS encryption had failed", Source: "fe-connect.c, PQconnectPoll"}},
		cut:          libpqCut,
		stuffed:      libpqStuffed,
	},
	tokenError:   reaction{how: broken, reason: matrix.AnswerError, shows: true, because: matrix.Because{Text: "G, and an error in place of the server's token: libpq takes its text for the server's", Source: "fe-secure-gssapi.c, pqsecure_open_gss"}},
	forgedToken:  reaction{how: hungUp, reason: matrix.ServerUnproven, because: matrix.Because{Text: "the AP-REP was made without the session key: it proves nothing, and the client notices", Source: "RFC 4120, section 3.2.5"}},
	noPassword:   reaction{how: hungUp, reason: matrix.NoPassword, because: matrix.Because{Text: "the server asks for a password and the client was given none", Source: "fe-auth.c, pg_fe_sendauth"}},
	oldError:     reaction{how: hungUp, reason: matrix.ProtocolViolation, because: matrix.Because{Text: "a server before 14 has not yet read a startup packet and writes the error as protocol 2.0 does: final to libpq since 14", Source: "fe-connect.c, PQconnectPoll"}},
	timeout:      matrix.Because{Text: "no answer comes, and connect_timeout passes: the next address would be tried, and there is none", Source: "fe-connect.c, pqConnectDBComplete"},
	unwrapSource: "fe-secure-gssapi.c, pg_GSS_read",
	okSource:     "fe-auth.c, pg_fe_sendauth",
}

// libpq13Reactions: libpq 13 answers an error of protocol 2.0 with a connection of protocol 2.0, which is not modelled.
var libpq13Reactions = func() *reactions {
	r := *libpqReactions
	r.oldError = reaction{}
	return &r
}()

var (
	libpqCut     = reaction{how: lost, reason: matrix.ConnectionLost, because: matrix.Because{Text: "the connection ends where the answer is due: final, unlike a handshake that fails", Source: "fe-connect.c, PQconnectPoll"}}
	libpqStuffed = reaction{how: hungUp, reason: matrix.ProtocolViolation, late: true, because: matrix.Because{Text: "the client has bytes in its buffer that came before the handshake: final (CVE-2021-23222)", Source: "fe-connect.c, PQconnectPoll"}}
)
