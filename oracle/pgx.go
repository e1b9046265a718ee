package oracle

import (
	"slices"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// pgxClient is pgx's say in the authentication exchange (pgconn.go, connectOne; auth_scram.go).
type pgxClient struct {
	required requireAuth
	binding  string
}

func (p *pgxClient) onRequest(ask request, ch matrix.Channel) (*objection, error) {
	bindingNeeded := &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: pgx binds only SCRAM inside TLS", Source: "pgconn.go, connectOne"}}
	switch {
	case p.binding == "require" && ask != askScram:
		return bindingNeeded, nil
	case !p.required.allows(ask):
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + p.required.text + " does not allow " + string(ask), Source: "pgconn/require_auth.go"}}, nil
	case p.binding == "require" && ch != matrix.TLS:
		return bindingNeeded, nil
	}
	return nil, nil
}

func (p *pgxClient) onOK(exchanged, bound bool, ch matrix.Channel) *objection {
	switch {
	case p.binding == "require" && !bound:
		return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server let the client in without it", Source: "pgconn.go, connectOne"}}
	case p.required.exchange && !exchanged && ch == matrix.GSS && p.required.allows(askGSS):
		return nil // gssenc/configure.go, requireAuth: GSS encryption counts as gss
	case p.required.exchange && !exchanged:
		return &objection{matrix.MethodRejected, matrix.Because{Text: "require_auth=" + p.required.text + ": the server authenticated nobody by an exchange", Source: "pgconn/require_auth.go"}}
	}
	return nil
}

func (p *pgxClient) emptyPassword() string   { return "pgconn.go, connectOne" }
func (p *pgxClient) binds() bool             { return true }
func (p *pgxClient) ignoresErrorToken() bool { return false }

func (p *pgxClient) noHash() *objection {
	if p.binding != "require" {
		return nil
	}
	return &objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require, and pgx has no hash to bind to", Source: "pgconn/auth_scram.go, scramAuth"}}
}

// pgxFinal are the errors of the server behind which pgx does not try its next configuration: a wrong password, no
// such database, no privilege (pgconn.go, connectPreferred). Everything else sends it on, even after AuthenticationOk.
var pgxFinal = []string{"28P01", "3D000", "42501"}

// pgx is pgconn.ConnectConfig over the configurations that configTLS makes of sslmode, each on a connection of its own. Where
// the cell gives gssencmode, gssenc.Configure puts GSS encryption before them.
func (a *attempt) pgx() (ending, error) {
	p, sslmode, bad := a.pgxOptions()
	if bad != nil {
		return *bad, nil
	}
	direct := a.c.SSLNegotiation == "direct"
	if direct && sslmode == "prefer" && !a.unix() {
		sslmode = "require"
		a.why("pgconn/config.go, configTLS", "sslnegotiation=direct turns sslmode=prefer into require")
	}
	if a.root() == "system" && !a.unix() {
		sslmode = "verify-full"
		a.why("pgconn/config.go, configTLS", "sslrootcert=system turns any sslmode into verify-full, disable too")
	}
	methods := pgxMethods(sslmode)
	insists := a.c.GSSEncMode == "require"
	if insists && a.unix() {
		a.why("gssenc/configure.go, addAttempts", "gssencmode=require on a unix socket: rejected before the socket is opened")
		return refused(neverOpened, matrix.StageOptions, matrix.GSSOnUnixSocket), nil
	}
	switch {
	case insists:
		a.why("gssenc/configure.go, addAttempts", "gssencmode=require: GSS encryption and nothing else")
		methods = []matrix.Channel{matrix.GSS}
		if a.ticket() == "none" {
			a.why("gssenc/configure.go, dialContext", "there is no credential cache: the client fails before it connects")
			return refused(neverOpened, matrix.StageCredentials, matrix.NoTicket), nil
		}
	case a.unix():
		methods = []matrix.Channel{matrix.Plain}
		a.why("pgconn/config.go, ParseConfigWithOptions", "on a unix socket the TLS settings are ignored")
	default:
		a.why("pgconn/config.go, configTLS", "sslmode="+sslmode+": "+pgxOrder(methods))
		if a.c.GSSEncMode == "prefer" && a.ticket() == "none" {
			a.why("gssenc/configure.go, dialContext", "gssencmode=prefer and no credential cache: GSS encryption is not tried")
		} else if a.c.GSSEncMode == "prefer" {
			a.why("gssenc/configure.go, addAttempts", "gssencmode=prefer and a ticket at hand: GSS encryption is tried first")
			methods = slices.Insert(methods, 0, matrix.GSS)
		}
	}
	if a.hosts() == matrix.DeadFirst {
		a.why("pgconn.go, connectPreferred", "the first host refuses TCP, for each configuration: pgx goes on to the second, whose name is that of the certificate")
	}
	var last ending
	for range a.walked() {
		var final bool
		var err error
		if last, final, err = a.pgxHost(p, methods, sslmode, direct); err != nil || final {
			return last, err
		}
	}
	a.why("pgconn.go, connectPreferred", "no configuration is left to try")
	return last, nil
}

// pgxHost is connectPreferred over the configurations of one host. What is not final sends pgx on, also to the next host.
func (a *attempt) pgxHost(p *pgxClient, methods []matrix.Channel, sslmode string, direct bool) (last ending, final bool, err error) {
	for i, ch := range methods {
		switch {
		case i == 0 && len(a.trace) == 0:
			a.connect()
		case i == 0:
			a.connect()
			a.why("pgconn.go, connectPreferred", "pgx goes on to the next host: a refusal is no reason not to")
		case last.how == outOfTime && methods[i-1] != matrix.GSS:
			a.why("pgconn.go, connectPreferred", "connect_timeout is that of all configurations of an address together: it has passed for the next one, too")
			return last, true, nil
		case last.how == declined && methods[i-1] == matrix.GSS && !direct:
			a.why("gssenc/configure.go, dialOther", "N leaves the connection usable: pgx's next configuration gets the same connection")
		default:
			a.connect()
			a.why("pgconn.go, connectPreferred", "pgx goes on to its next configuration, on a new connection")
		}
		last = ending{}
		switch ch {
		case matrix.GSS:
			last = a.encryptGSS()
			if last.how == hungUp { // nor is another method tried with this host
				return last, false, nil
			}
		case matrix.TLS:
			last = a.encryptTLS(direct, pgxVerification(sslmode, a.root()))
		}
		if last.how == opened {
			if last, err = a.authenticate(ch, p); err != nil {
				return last, true, err
			}
		}
		if last.how == opened {
			return last, true, nil
		}
		if slices.Contains(pgxFinal, last.state) {
			a.why("pgconn.go, connectPreferred", "SQLSTATE "+last.state+" is final for pgx")
			return last, true, nil
		}
	}
	return last, false, nil
}

// pgxOptions is pgconn.ParseConfig. It reads the root file whatever sslmode says, over TCP.
func (a *attempt) pgxOptions() (p *pgxClient, sslmode string, bad *ending) {
	reject := func(source, text string) (*pgxClient, string, *ending) {
		e := a.badOptions(source, text)
		return nil, "", &e
	}
	sslmode = sslmodes.of(a.c.SSLMode)
	if !a.unix() {
		if a.root() == "missing" {
			return reject("pgconn/config.go, configTLS", "pgx reads the root file in any sslmode, and it does not exist")
		}
		if !sslmodes.knows(a.c.SSLMode) {
			return reject("pgconn/config.go, configTLS", "there is no sslmode="+a.c.SSLMode)
		}
	}
	if !channelBindings.knows(a.c.ChannelBinding) {
		return reject("pgconn/config.go, ParseConfigWithOptions", "there is no channel_binding="+a.c.ChannelBinding)
	}
	required, wrong := parseRequireAuth(a.c.RequireAuth, []request{askPassword, askMD5, askGSS, "sspi", askScram, "oauth", askNothing}, true)
	if wrong != "" {
		return reject("pgconn/require_auth.go", "require_auth="+a.c.RequireAuth+": "+wrong)
	}
	return &pgxClient{required, channelBindings.of(a.c.ChannelBinding)}, sslmode, nil
}

func pgxMethods(sslmode string) []matrix.Channel {
	switch sslmode {
	case "disable":
		return []matrix.Channel{matrix.Plain}
	case "allow":
		return []matrix.Channel{matrix.Plain, matrix.TLS}
	case "prefer":
		return []matrix.Channel{matrix.TLS, matrix.Plain}
	}
	return []matrix.Channel{matrix.TLS}
}

func pgxOrder(methods []matrix.Channel) string {
	text := ""
	for i, ch := range methods {
		if i > 0 {
			text += ", then "
		}
		if ch == matrix.TLS {
			text += "TLS"
		} else {
			text += "no encryption"
		}
	}
	return text
}

// pgxVerification: unlike libpq, pgx lets allow and prefer use the root file for nothing.
func pgxVerification(sslmode, root string) verification {
	v := verification{inGo: true, because: matrix.Because{Source: "pgconn/config.go, configTLS"}}
	switch sslmode {
	case "allow", "prefer":
		v.level, v.because.Text = "none", "sslmode="+sslmode+": the server's certificate is not verified, root file or not"
	case "verify-full":
		v.level, v.because.Text = "full", "sslmode=verify-full: issuer and name of the server's certificate are verified"
	case "require":
		if root == "none" {
			v.level, v.because.Text = "none", "sslmode=require without a root file: the server's certificate is not verified"
			return v
		}
		v.level, v.because.Text = "ca", "sslmode=require with a root file: the issuer is verified as with verify-ca"
	default:
		v.level, v.because.Text = "ca", "sslmode="+sslmode+": the issuer of the server's certificate is verified"
	}
	return v
}
