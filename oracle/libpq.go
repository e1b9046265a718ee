package oracle

import (
	"cmp"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// libpqClient is libpq's say in the authentication exchange (fe-auth.c, check_expected_areq and pg_SASL_init).
type libpqClient struct {
	required requireAuth
	binding  string
}

func (l *libpqClient) onRequest(ask request, ch matrix.Channel) (*objection, error) {
	switch {
	case !l.required.allows(ask):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + l.required.text + " does not allow " + string(ask), Source: "libpq, require_auth"}}, nil
	case ask == askGSS && l.required.halfGSS:
		return nil, unknown("libpq then refuses the server's GSS reply, in a race with AuthenticationOk", "require_auth=%s with gss", l.required.text)
	case l.binding == "require" && ask != askScram:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: only SCRAM can bind, not " + string(ask), Source: "libpq, channel_binding"}}, nil
	case l.binding == "require" && ch != matrix.TLS:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: there is nothing to bind to without TLS", Source: "libpq, channel_binding"}}, nil
	}
	return nil, nil
}

func (l *libpqClient) onOK(exchanged, bound bool, ch matrix.Channel) *objection {
	switch {
	case l.required.exchange && !exchanged && (ch != matrix.GSS || !l.required.allows(askGSS)):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + l.required.text + ": the server authenticated nobody by an exchange", Source: "libpq, require_auth"}}
	case l.binding == "require" && !bound:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server let the client in without it", Source: "libpq, channel_binding"}}
	}
	return nil
}

func (l *libpqClient) emptyPassword() string   { return "" }
func (l *libpqClient) binds() bool             { return true }
func (l *libpqClient) ignoresErrorToken() bool { return false }

func (l *libpqClient) noHash() *objection {
	return &objection{matrix.ChannelBinding, matrix.Because{Text: "libpq has chosen SCRAM-SHA-256-PLUS before it looks for the hash, and gives up", Source: "fe-secure-openssl.c, pgtls_get_peer_certificate_hash"}}
}

// libpqSettings are the connection parameters in force. sslnegotiation=postgres says of a library before 17, which
// has no such parameter, what it does anyway; it is taken for not being given.
type libpqSettings struct {
	*libpqClient
	gssencmode, sslmode string
	direct              bool
}

// libpqOptions validates what the client was given, before any socket (fe-connect.c, pqConnectOptions2).
func (a *attempt) libpqOptions() (s libpqSettings, bad *ending) {
	reject := func(source, text string) (libpqSettings, *ending) {
		e := a.badOptions(source, text)
		return s, &e
	}
	known := []request{askPassword, askMD5, askGSS, "sspi", askScram, askNothing}
	if a.lib.Libpq() >= 18 {
		known = append(known, "oauth")
	}
	required, wrong := parseRequireAuth(a.c.RequireAuth, known, false)
	if wrong != "" {
		return reject("libpq, require_auth", "require_auth="+a.c.RequireAuth+": "+wrong)
	}
	for _, o := range []struct {
		choice
		given string
	}{{channelBindings, a.c.ChannelBinding}, {sslmodes, a.c.SSLMode}, {sslnegotiations, a.c.SSLNegotiation}, {gssencmodes, a.c.GSSEncMode}} {
		if !o.knows(o.given) {
			return reject("libpq, "+o.name, "there is no "+o.name+"="+o.given)
		}
	}
	s = libpqSettings{
		libpqClient: &libpqClient{required, channelBindings.of(a.c.ChannelBinding)},
		gssencmode:  gssencmodes.of(a.c.GSSEncMode),
		sslmode:     sslmodes.of(a.c.SSLMode),
		direct:      sslnegotiations.of(a.c.SSLNegotiation) == "direct",
	}
	if a.root() == "system" && a.lib.Libpq() >= 16 {
		if s.sslmode = cmp.Or(a.c.SSLMode, "verify-full"); s.sslmode != "verify-full" {
			return reject("libpq, sslrootcert", "sslrootcert=system needs sslmode=verify-full, which it makes the default, not "+s.sslmode)
		}
	}
	if s.direct && !s.insistsOnTLS() {
		return reject("libpq, sslnegotiation", "sslnegotiation=direct needs sslmode=require or stronger, not "+s.sslmode)
	}
	return s, nil
}

func (s *libpqSettings) insistsOnTLS() bool {
	return s.sslmode == "require" || strings.HasPrefix(s.sslmode, "verify-")
}

// verification: a root file that exists is used by every sslmode, and a revocation list with it, if it can be read; with the system's
// roots there is none (fe-secure-openssl.c, initialize_SSL).
func (a *attempt) libpqVerification(s *libpqSettings) verification {
	why := func(text string) matrix.Because {
		return matrix.Because{Text: "sslmode=" + s.sslmode + text, Source: "libpq, sslrootcert"}
	}
	insists := strings.HasPrefix(s.sslmode, "verify-")
	noRoot := a.root() == "missing" || a.root() == "none" // the default is ~/.postgresql/root.crt, which nobody has
	v := verification{level: "ca"}
	if crl := a.crl(); crl == "right" || crl == "stale" {
		v.crl = crl
	}
	switch {
	case a.root() == "system" && a.lib.Libpq() >= 16:
		return verification{level: "full", because: why(" and sslrootcert=system: the roots are those of the system; a revocation list would not be read")}
	case a.root() == "system" && insists:
		return verification{noRoot: true, because: why(" and sslrootcert=system, which before 16 is the name of a file: the client gives up before its handshake")}
	case a.root() == "system":
		return verification{level: "none", because: why(" and sslrootcert=system, which before 16 is the name of a file: the server's certificate is not verified")}
	case noRoot && insists:
		return verification{noRoot: true, because: why(" and no root file: the client gives up before its handshake")}
	case noRoot:
		return verification{level: "none", because: why(" and no root file: the server's certificate is not verified")}
	case s.sslmode == "verify-full":
		v.level, v.because = "full", why(": issuer and name of the server's certificate are verified")
	case insists:
		v.because = why(": the issuer of the server's certificate is verified")
	default:
		v.because = why(" and a root file that exists: the issuer is verified as with verify-ca")
	}
	switch {
	case v.crl != "":
		v.because.Text += ", with its revocation list"
	case a.crl() == "missing":
		v.because.Text += "; sslcrl cannot be read, which libpq does not mind"
	}
	return v
}

// try uses one method of encryption on the present connection, which has been opened.
func (a *attempt) try(ch matrix.Channel, s *libpqSettings) (ending, error) {
	var e ending
	switch ch {
	case matrix.GSS:
		e = a.encryptGSS()
	case matrix.TLS:
		e = a.encryptTLS(s.direct, a.libpqVerification(s))
	}
	if e.how != opened {
		return e, nil
	}
	return a.authenticate(ch, s)
}

// libpqHosts says what a second host is to libpq. With the server's name twice nothing comes of the second: only a host
// that cannot be reached sends libpq on to the next one, or one that is starting up.
func (a *attempt) libpqHosts() {
	switch a.hosts() {
	case matrix.DeadFirst:
		a.why("fe-connect.c, PQconnectPoll (try_next_addr)", "the first host refuses TCP: libpq begins anew with the second, whose name is that of SPN and certificate")
	case matrix.Twice:
		a.why("fe-connect.c, PQconnectPoll (error_return)", "libpq goes on to the second host only from one that it cannot reach, not from one that refuses it")
	}
}

// libpq is the walk of 17 and later: a set of allowed methods, each tried at most once (fe-connect.c,
// init_allowed_encryption_methods and select_next_encryption_method).
func (a *attempt) libpq() (ending, error) {
	s, bad := a.libpqOptions()
	if bad != nil {
		return *bad, nil
	}
	if s.gssencmode == "require" {
		if a.unix() {
			a.why("libpq, gssencmode", "gssencmode=require on a unix socket: rejected before the socket is opened")
			return refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket), nil
		}
		if a.ticket() == "none" {
			a.why("libpq, gssencmode", "gssencmode=require and no credential cache: rejected before a connection is opened (since 17)")
			return refused(neverOpened, matrix.StageCredentials, matrix.NoTicket), nil
		}
	}
	a.libpqHosts()
	var last ending
	for i, ch := range a.libpqMethods(&s) {
		if i == 0 || last.how != declined || ch == matrix.TLS && s.direct {
			a.connect()
		}
		if i > 0 {
			a.nextMethod(ch, last.how)
		}
		var err error
		if last, err = a.try(ch, &s); err != nil {
			return last, err
		}
		switch last.how {
		case opened:
			return last, nil
		case errorAfterOK:
			a.why("fe-connect.c, PQconnectPoll", "an error after AuthenticationOk is final")
			return last, nil
		case hungUp:
			a.why("fe-connect.c, PQconnectPoll", "what the client itself refuses is final")
			return last, nil
		case raced:
			if s.sslmode == "prefer" {
				return last, chance()
			}
		case lost, outOfTime:
			a.why("fe-connect.c, PQconnectPoll", "a connection that fails otherwise than by a handshake or the server's error is final")
			return last, nil
		}
	}
	a.why("fe-connect.c, select_next_encryption_method", "no method is left to try")
	return last, nil
}

func (a *attempt) nextMethod(ch matrix.Channel, before how) {
	text := map[matrix.Channel]string{matrix.Plain: "no encryption", matrix.TLS: "TLS", matrix.GSS: "GSS encryption"}[ch]
	if before == declined {
		a.why("fe-connect.c, encryption_negotiation_failed", "N leaves the connection usable: "+text+" is next, on the same connection")
	} else {
		a.why("fe-connect.c, connection_failed", "a failure before AuthenticationOk: "+text+" is next, on a new connection")
	}
}

// libpqMethods lists what libpq 17 and later will try, in order.
func (a *attempt) libpqMethods(s *libpqSettings) (methods []matrix.Channel) {
	if a.unix() {
		a.why("fe-connect.c, init_allowed_encryption_methods", "on a unix socket neither TLS nor GSS encryption is tried, whatever sslmode says")
		return []matrix.Channel{matrix.Plain}
	}
	a.gssFirst(s)
	if s.gssencmode != "disable" && a.ticket() != "none" {
		methods = append(methods, matrix.GSS)
	}
	if s.gssencmode == "require" {
		return methods
	}
	text := ""
	switch s.sslmode {
	case "disable":
		methods, text = append(methods, matrix.Plain), "sslmode=disable: no encryption"
	case "allow":
		methods, text = append(methods, matrix.Plain, matrix.TLS), "sslmode=allow: no encryption first, then TLS"
	case "prefer":
		methods, text = append(methods, matrix.TLS, matrix.Plain), "sslmode=prefer: TLS first, then no encryption"
	default:
		methods, text = append(methods, matrix.TLS), "sslmode="+s.sslmode+": TLS only"
	}
	a.why("libpq, sslmode", text)
	return methods
}

func (a *attempt) gssFirst(s *libpqSettings) {
	switch {
	case s.gssencmode == "disable":
	case s.gssencmode == "require":
		a.why("libpq, gssencmode", "gssencmode=require: GSS encryption and nothing else")
	case a.ticket() == "none":
		a.why("libpq, gssencmode", "gssencmode=prefer without a ticket: GSS encryption is not tried")
	default:
		a.why("libpq, gssencmode", "gssencmode=prefer and a ticket at hand: GSS encryption is tried first")
	}
}

// libpqTo16 is the walk of 13 to 16, with its own flags (fe-connect.c, PQconnectPoll: try_gss, allow_ssl_try,
// wait_ssl_try).
func (a *attempt) libpqTo16() (ending, error) {
	s, bad := a.libpqOptions()
	if bad != nil {
		return *bad, nil
	}
	tryGSS := s.gssencmode != "disable" && !a.unix()
	tryTLS := s.sslmode != "disable" && !a.unix()
	waitTLS := s.sslmode == "allow"
	a.libpqHosts()
	if a.unix() {
		a.why("fe-connect.c, PQconnectPoll", "on a unix socket neither TLS nor GSS encryption is tried, whatever sslmode says")
	} else {
		a.gssFirst(&s)
	}
	a.connect()
	if s.gssencmode == "require" && a.unix() {
		a.why("libpq, gssencmode", "gssencmode=require on a unix socket: libpq before 17 finds out after it has connected")
		return refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket), nil
	}
	if tryGSS && a.ticket() == "none" {
		if s.gssencmode == "require" {
			a.why("libpq, gssencmode", "gssencmode=require and no credential cache: libpq before 17 finds out after it has connected")
			return refused(neverOpened, matrix.StageCredentials, matrix.NoTicket), nil
		}
		tryGSS = false
	}
	if s.gssencmode != "require" && !a.unix() {
		a.why("libpq, sslmode", "sslmode="+s.sslmode)
	}
	again := func(text string) {
		a.connect()
		a.why("fe-connect.c, PQconnectPoll", text+", on a new connection")
	}
	for {
		if len(a.trace) > 20 {
			return ending{}, unknown("it tries no method more than twice", "a client that never gives up")
		}
		ch := matrix.Plain
		switch {
		case tryGSS:
			ch = matrix.GSS
		case tryTLS && !waitTLS:
			ch = matrix.TLS
		}
		last, err := a.try(ch, &s)
		if err != nil {
			return last, err
		}
		failed := last.how == broken || last.how == errorBeforeOK
		switch {
		case last.how == declined && ch == matrix.GSS && s.gssencmode == "prefer":
			a.why("fe-connect.c, PQconnectPoll", "N leaves the connection usable: GSS encryption is given up, on the same connection")
			tryGSS = false
		case last.how == declined && ch == matrix.TLS && !s.insistsOnTLS():
			a.why("fe-connect.c, PQconnectPoll", "N leaves the connection usable: no encryption is next, on the same connection")
			tryTLS = false
		case failed && ch == matrix.GSS && s.gssencmode == "prefer":
			again("gssencmode=prefer: the client tries without GSS encryption")
			tryGSS = false
		case last.how == errorBeforeOK && s.sslmode == "allow" && ch != matrix.TLS && tryTLS && waitTLS:
			text := "sslmode=allow: the client tries with TLS"
			if tryGSS {
				text = "sslmode=allow: the client tries again, and takes GSS encryption a second time"
			}
			again(text)
			waitTLS = false
		case last.outcome.Reason == matrix.AnswerError && ch == matrix.GSS && a.c.Attack == "error":
			again("gssencmode=require: libpq before 17 finds out that GSS encryption was all there was to try")
			return last, nil
		case failed && ch == matrix.TLS && s.sslmode == "prefer":
			again("sslmode=prefer: the client tries without TLS")
			tryTLS = false
		case last.how == errorAfterOK:
			a.why("fe-connect.c, PQconnectPoll", "an error after AuthenticationOk is final")
			return last, nil
		case last.how == hungUp:
			a.why("fe-connect.c, PQconnectPoll", "what the client itself refuses is final")
			return last, nil
		case last.how == raced && s.sslmode == "prefer":
			return last, chance()
		case last.how == lost, last.how == outOfTime:
			a.why("fe-connect.c, PQconnectPoll", "a connection that fails otherwise than by a handshake or the server's error is final")
			return last, nil
		case last.how == opened:
			return last, nil
		default:
			a.why("fe-connect.c, PQconnectPoll", "nothing is left to try")
			return last, nil
		}
	}
}
