package oracle

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pgx is the model of pgx 5.13: pgconn.ConnectConfig over the configurations that configTLS makes of sslmode, each on a
// connection of its own. Where the cell gives gssencmode, gssenc.Configure puts GSS encryption before them. Sources: pgconn.go,
// config.go, auth_scram.go, krb5.go and require_auth.go in pgconn, and gssenc.
type pgx struct {
	*attempt
	required       requireAuth
	channelBinding string
	sslmode        string
	direct         bool
	methods        []matrix.Channel // for each host, in order
	kept           matrix.Channel   // of the last session that target_session_attrs rejected
	anySession     bool             // target_session_attrs counts no longer
}

func newPGX(a *attempt) client { return &pgx{attempt: a} }

// pgxFinal are the errors of the server after which pgx does not try its next configuration: a wrong password, no
// such database, no privilege (pgconn.go, connectPreferred). After any other it goes on, even after AuthenticationOk.
var pgxFinal = []string{"28P01", "3D000", "42501"}

func (p *pgx) walk() (last ending, err error) {
	if bad := p.options(); bad != nil {
		return *bad, nil
	}
	if bad := p.choose(); bad != nil {
		return *bad, nil
	}
	if p.hosts() == matrix.DeadFirst {
		p.why("pgconn.go, connectPreferred", "the first host refuses TCP, for each configuration: pgx goes on to the second, whose name is that of the certificate")
	}
	for range p.walked() {
		var final bool
		if last, final, err = p.host(); err != nil || final {
			return last, err
		}
	}
	if p.c.TargetSession == matrix.PreferStandby && p.kept != "" {
		p.why("pgconn.go, connectPreferred", "no session was one that target_session_attrs=prefer-standby prefers: pgx makes the last of them again, and takes it")
		p.connect()
		p.anySession = true
		return p.try(p.kept)
	}
	p.why("pgconn.go, connectPreferred", "no configuration is left to try")
	return last, nil
}

// options is pgconn.ParseConfig; nil: nothing is wrong. It reads the root file whatever sslmode says, over TCP.
func (p *pgx) options() (bad *ending) {
	reject := func(source, text string) *ending {
		e := p.badOptions(source, text)
		return &e
	}
	if !p.unix() {
		if p.root() == "missing" {
			return reject("pgconn/config.go, configTLS", "pgx reads the root file in any sslmode, and it does not exist")
		}
		if !sslmodes.knows(p.c.SSLMode) {
			return reject("pgconn/config.go, configTLS", "there is no sslmode="+p.c.SSLMode)
		}
		reads := (p.c.SSLMode != "disable" || p.root() == "system") && p.c.SSLCertMode != "disable"
		if fault := p.keyFault(pgxKeys); fault != "" && reads {
			return reject("pgconn/config.go, loadClientCertificate", "pgx reads the key in any sslmode but disable, and before it connects: "+fault)
		}
	}
	if !channelBindings.knows(p.c.ChannelBinding) {
		return reject("pgconn/config.go, ParseConfigWithOptions", "there is no channel_binding="+p.c.ChannelBinding)
	}
	var wrong string
	if p.required, wrong = parseRequireAuth(p.c.RequireAuth, []request{askPassword, askMD5, askGSS, "sspi", askScram, "oauth", askNothing}, true); wrong != "" {
		return reject("pgconn/require_auth.go", "require_auth="+p.c.RequireAuth+": "+wrong)
	}
	p.channelBinding = channelBindings.of(p.c.ChannelBinding)
	p.sslmode = sslmodes.of(p.c.SSLMode)
	p.direct = p.c.SSLNegotiation == "direct"
	return nil
}

// choose sets the methods; nil: there is one that can be tried.
func (p *pgx) choose() (bad *ending) {
	if p.direct && p.sslmode == "prefer" && !p.unix() {
		p.sslmode = "require"
		p.why("pgconn/config.go, configTLS", "sslnegotiation=direct turns sslmode=prefer into require")
	}
	if p.root() == "system" && !p.unix() {
		p.sslmode = "verify-full"
		p.why("pgconn/config.go, configTLS", "sslrootcert=system turns any sslmode into verify-full, disable too")
	}
	switch {
	case p.c.GSSEncMode == "require" && p.unix():
		p.why("gssenc/attempts.go, addAttempts", "gssencmode=require on a unix socket: rejected before the socket is opened")
		e := refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket)
		return &e
	case p.c.GSSEncMode == "require":
		p.why("gssenc/attempts.go, addAttempts", "gssencmode=require: GSS encryption and nothing else")
		p.methods = []matrix.Channel{matrix.GSS}
		if p.ticket.Absent {
			p.why("gssenc/connector.go, dialContext", "there is no credential cache: the client fails before it connects")
			e := refused(neverOpened, matrix.StageCredentials, matrix.NoTicket)
			return &e
		}
		return nil
	case p.unix():
		p.methods = []matrix.Channel{matrix.Plain}
		p.why("pgconn/config.go, ParseConfigWithOptions", "on a unix socket the TLS settings are ignored")
		return nil
	}
	var order string
	p.methods, order = pgxMethods(p.sslmode)
	p.why("pgconn/config.go, configTLS", "sslmode="+p.sslmode+": "+order)
	if p.c.GSSEncMode == "prefer" && p.ticket.Absent {
		p.why("gssenc/connector.go, dialContext", "gssencmode=prefer and no credential cache: GSS encryption is not tried")
	} else if p.c.GSSEncMode == "prefer" {
		p.why("gssenc/attempts.go, addAttempts", "gssencmode=prefer and a ticket: GSS encryption is tried first")
		p.methods = slices.Insert(p.methods, 0, matrix.GSS)
	}
	return nil
}

// pgxMethods are the configurations that configTLS makes of sslmode.
func pgxMethods(sslmode string) (methods []matrix.Channel, order string) {
	switch sslmode {
	case "disable":
		return []matrix.Channel{matrix.Plain}, "no encryption"
	case "allow":
		return []matrix.Channel{matrix.Plain, matrix.TLS}, "no encryption, then TLS"
	case "prefer":
		return []matrix.Channel{matrix.TLS, matrix.Plain}, "TLS, then no encryption"
	}
	return []matrix.Channel{matrix.TLS}, "TLS"
}

// host is connectPreferred over the configurations of one host. Unless the connection is final, pgx goes on, also to the next host.
func (p *pgx) host() (last ending, final bool, err error) {
	for i, ch := range p.methods {
		if i == 0 {
			next := len(p.trace) > 0
			p.connect()
			if next {
				p.why("pgconn.go, connectPreferred", "pgx goes on to the next host, also after a refusal")
			}
		} else if !p.nextMethod(p.methods[i-1], last) {
			return last, true, nil
		}
		if last, err = p.try(ch); err != nil || last.how == opened {
			return last, true, err
		}
		if last.how == unwanted {
			if p.kept = ch; p.noOther(ch, i) {
				return last, false, nil
			}
			continue
		}
		if last.how == hungUp && last.outcome.Stage == matrix.StageGSSEnc { // it objects to G: no other method is tried with this host
			return last, false, nil
		}
		if last.outcome.Reason == matrix.CertMode {
			p.why("pgconn.go, connectPreferred", "after the check of sslcertmode pgx tries nothing else")
			return last, true, nil
		}
		if slices.Contains(pgxFinal, last.state) {
			p.why("pgconn.go, connectPreferred", "SQLSTATE "+last.state+" is final for pgx")
			return last, true, nil
		}
	}
	return last, false, nil
}

// noOther: after a session that target_session_attrs rejects gssenc keeps pgx from less protected methods with that host. What is to be dialled
// may turn out to be TLS, so that it finds plaintext out only when the startup packet is to be sent.
func (p *pgx) noOther(ch matrix.Channel, i int) bool {
	const source = "gssenc/attempts.go, validateConnect"
	switch rest := p.methods[i+1:]; {
	case p.c.GSSEncMode != "prefer" || p.unix() || len(rest) == 0:
	case ch == matrix.GSS:
		p.why(source, "the session was under GSS encryption: no other method is tried with this host")
		return true
	case ch == matrix.TLS:
		p.connect()
		p.why(source, "the session was under TLS: nothing is sent in the clear on the connection after it")
		return true
	}
	return false
}

// nextMethod gives the next configuration its connection, and says whether there is time for it.
func (p *pgx) nextMethod(before matrix.Channel, last ending) bool {
	switch {
	case last.how == outOfTime && before != matrix.GSS:
		p.why("pgconn.go, connectPreferred", "connect_timeout is that of all configurations of an address together: it has passed for the next one, too")
		return false
	case last.how == declined && before == matrix.GSS && !p.direct:
		p.why("gssenc/connector.go, dialOther", "N leaves the connection usable: pgx's next configuration gets the same connection")
	default:
		p.connect()
		p.why("pgconn.go, connectPreferred", "pgx goes on to its next configuration, on a new connection")
	}
	return true
}

// try uses one configuration on the present connection.
func (p *pgx) try(ch matrix.Channel) (ending, error) {
	var e ending
	switch ch {
	case matrix.GSS:
		e = p.encryptGSS()
	case matrix.TLS:
		e = p.encryptTLS(p.direct, p.verification())
	}
	if e.how != opened {
		return e, nil
	}
	if e, err := p.authenticate(ch); err != nil || p.anySession {
		return e, err
	} else {
		return p.selected(e, "pgconn/config.go, ValidateConnect"), nil
	}
}

// verification: unlike libpq, pgx lets allow and prefer use the root file for nothing.
func (p *pgx) verification() verification {
	v := verification{source: goSource, names: strictNames, sealsAlert: true}
	text := ""
	switch {
	case p.sslmode == "allow", p.sslmode == "prefer":
		text = ": the server's certificate is not verified, root file or not"
	case p.sslmode == "verify-full":
		v.checks, text = goFull, ": issuer and name of the server's certificate are verified"
	case p.sslmode == "require" && p.root() == "none":
		text = " without a root file: the server's certificate is not verified"
	case p.sslmode == "require":
		v.checks, text = goIssuer, " with a root file: the issuer is verified as with verify-ca"
	default:
		v.checks, text = goIssuer, ": the issuer of the server's certificate is verified"
	}
	v.because = matrix.Because{Text: "sslmode=" + p.sslmode + text, Source: "pgconn/config.go, configTLS"}
	return v
}

// onRequest is pgconn.go, connectOne.
func (p *pgx) onRequest(ask request, ch matrix.Channel) (*objection, error) {
	bindingNeeded := &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: pgx binds only SCRAM inside TLS", Source: "pgconn.go, connectOne"}}
	switch {
	case p.channelBinding == "require" && ask != askScram:
		return bindingNeeded, nil
	case !p.required.allows(ask):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + p.required.text + " does not allow " + string(ask), Source: "pgconn/require_auth.go"}}, nil
	case p.channelBinding == "require" && ch != matrix.TLS:
		return bindingNeeded, nil
	}
	return nil, nil
}

// onOK is pgconn.go, connectOne, and in a GSSAPI exchange pgconn/krb5.go, rxGSSContinue.
func (p *pgx) onOK(ok authenticationOK) *objection {
	mode := p.certMode(ok.ch, "pgconn/config.go, checkRequired")
	switch {
	case mode != nil && !ok.tokenDue:
		return mode
	case ok.tokenDue:
		return &objection{matrix.ProtocolViolation, matrix.Because{Text: "AuthenticationOk where the server's token is due", Source: "pgconn/krb5.go, rxGSSContinue"}}
	case p.channelBinding == "require" && !ok.bound:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server let the client in without it", Source: "pgconn.go, connectOne"}}
	case p.required.exchange && !ok.exchanged && ok.ch == matrix.GSS && p.required.allows(askGSS):
		return nil // gssenc/requireauth.go, requireAuth: GSS encryption counts as gss
	case p.required.exchange && !ok.exchanged:
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + p.required.text + ": the server has completed no authentication exchange", Source: "pgconn/require_auth.go"}}
	}
	return nil
}

func (p *pgx) saslName() string { return "" }

func (p *pgx) binding() (mode, source string) {
	return p.channelBinding, "pgconn/auth_scram.go, scramAuth"
}

func (p *pgx) noHash() *objection {
	if p.channelBinding != "require" {
		return nil
	}
	return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require, and pgx has no hash to bind to", Source: "pgconn/auth_scram.go, scramAuth"}}
}

// onGSSAccept: with channel_binding=require gssenc closes the connection. libpq finds out after the handshake.
func (p *pgx) onGSSAccept() *objection {
	if p.c.ChannelBinding != "require" {
		return nil
	}
	return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: G means a channel to which nothing can be bound; no token is sent, and no other method is tried", Source: "gssenc/connector.go, dialOther"}}
}

// serverName is pgconn/config.go, configTLS: crypto/tls sends the name that is to be verified, too.
func (p *pgx) serverName() string {
	return p.sendsName(p.c.SSLSNI != "0" || p.sslmode == "verify-full")
}

// asSetting: what ParseConfig does not know is a run-time parameter.
func (p *pgx) asSetting(parameter string) (source string) {
	if parameter != "sslcrl" {
		return ""
	}
	return "pgconn/config.go, ParseConfigWithOptions"
}

// service: pgx asks for the service of the first host in the connection string, whichever it has connected to.
func (p *pgx) service() string {
	if p.hosts() != matrix.DeadFirst {
		return p.spn(p.w.Host)
	}
	host := p.w.DeadHost()
	p.why("pgconn/krb5.go, gssAuth", "pgx asks for the service of the first host in the connection string, "+host+", whichever it has connected to")
	return p.spn(host)
}

func (p *pgx) ambientTicket() lookup { return gokrb5Cache }

// withheld: its loader of certificates asks what crypto/tls would (CertificateRequestInfo.SupportsCertificate).
func (p *pgx) withheld(cert *matrix.Certificate) lookup {
	return lookup{source: "pgconn/config.go, configTLS", missing: p.goWithholds(cert)}
}

func (p *pgx) ambientCertificate() lookup {
	return lookup{source: "pgconn/defaults.go, defaultSettings"}
}

func (p *pgx) reactions() *reactions { return pgxReactions }

var pgxReactions = &reactions{
	ssl: answers{
		errorMessage: reaction{how: broken, reason: matrix.TLSRefused, because: matrix.Because{Text: "anything but S in answer to SSLRequest is a refusal of TLS", Source: "pgconn.go, startTLS"}},
		cut:          reaction{how: broken, reason: matrix.ConnectionLost, because: matrix.Because{Text: "the connection ends where the answer is due: to the client TLS has failed", Source: "pgconn.go, startTLS"}},
		stuffed:      goStuffed,
	},
	gss: answers{
		errorMessage: reaction{how: broken, reason: matrix.AnswerError, because: matrix.Because{Text: "an error in answer to GSSENCRequest: its text is not shown, and the client goes on as if GSS encryption had failed", Source: "gssenc/handshake.go, request"}},
		cut:          reaction{how: broken, reason: matrix.ConnectionLost, because: matrix.Because{Text: "the connection ends where the answer is due: to the client GSS encryption has failed", Source: "gssenc/handshake.go, request"}},
		stuffed:      reaction{how: broken, reason: matrix.ProtocolViolation, because: matrix.Because{Text: "the client reads the one byte of the answer, and finds more before a token is due", Source: "gssenc/handshake.go, exchange"}},
	},
	tokenError:   reaction{how: broken, reason: matrix.AnswerError, because: matrix.Because{Text: "G, and an error in place of the server's token: its text is not shown", Source: "gssenc/handshake.go, readToken"}},
	forgedToken:  reaction{how: hungUp, reason: matrix.ServerUnproven, because: matrix.Because{Text: "the AP-REP was made without the session key: it proves nothing, and the client notices", Source: "RFC 4120, section 3.2.5"}},
	noPassword:   reaction{how: opened, because: matrix.Because{Text: "the client was given no password and sends an empty one", Source: "pgconn.go, connectOne"}},
	timeout:      matrix.Because{Text: "no answer comes, and connect_timeout passes", Source: "pgconn.go, connectPreferred"},
	unwrapSource: "gssenc/conn.go, Conn.Read",
	okSource:     "pgconn.go, connectOne",
}
