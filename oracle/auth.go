package oracle

import (
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// objection is a client's reason to hang up during the authentication exchange.
type objection struct {
	reason  matrix.Reason
	because matrix.Because
}

// client is a client library's own say in the authentication exchange.
type client interface {
	// onRequest: the client's answer to an authentication request; nil: it goes on.
	onRequest(ask request, ch matrix.Channel) (*objection, error)
	// onOK: its answer to AuthenticationOk. exchanged: it has completed an exchange; bound: with channel binding.
	onOK(exchanged, bound bool, ch matrix.Channel) *objection
	// emptyPassword: where it answers a request for a password that it was not given; "" if it does not.
	emptyPassword() (source string)
	// binds: it binds SCRAM to TLS where it can.
	binds() bool
	// noHash: its answer to a certificate that it would bind SCRAM to and that has no hash for it; nil: it goes on without, and says that
	// the server cannot bind.
	noHash() *objection
	// ignoresErrorToken: it waits for the server's own error behind a Kerberos error token.
	ignoresErrorToken() bool
}

// exchange is one startup packet and what follows it, until the session is open or somebody refuses.
type exchange struct {
	*attempt
	client
	ch        matrix.Channel
	record    *Record
	identity  string
	exchanged bool // the client has completed an authentication exchange
	bound     bool // with channel binding
}

// authenticate sends a startup packet on the present connection, which is protected by ch.
func (a *attempt) authenticate(ch matrix.Channel, by client) (ending, error) {
	x := exchange{attempt: a, client: by, ch: ch}
	a.read = a.read || ch == matrix.Plain || a.impersonated(ch)
	if a.forges() {
		return x.forged()
	}
	record, otherwise, err := a.match(a.serverChannel(ch))
	if err != nil {
		return ending{}, err
	}
	if record == nil {
		text := "no record matches " + a.describe(ch)
		if otherwise != nil {
			text += fmt.Sprintf("; line %d is %s", otherwise.Line, otherwise.Conn)
		}
		a.why(matrix.HBAFile, text)
		return x.fails(matrix.StageHBA, matrix.NoHBAEntry, "28000"), nil
	}
	x.record = record
	a.why(record.rule(), fmt.Sprintf("the first record that matches %s: %s", a.describe(ch), record.Text))
	if record.clientCert != "" && (a.certUser() == "" || a.impersonated(ch)) {
		a.why(record.rule(), "the record asks for a client certificate ("+record.clientCert+") and the client shows none")
		if a.c.Cert == matrix.Ambient && a.certUser() == "" {
			a.why("fe-connect.c, pqGetHomeDirectory", "libpq before 15 takes the home directory from the password database, not from $HOME")
		}
		return x.fails(matrix.StageAuth, matrix.CertMissing, "28000"), nil
	}
	if record.clientCert != "" && a.c.Cert == matrix.Ambient {
		a.why(a.homeSource(), "nobody named a certificate: the client shows the one in its home directory, of "+a.certUser())
	}
	end, err := x.method()
	if err != nil {
		return ending{}, err
	}
	if end != nil {
		return *end, nil
	}
	if record.clientCert == "verify-full" {
		if end := x.certificateName(); end != nil {
			return *end, nil
		}
	}
	return x.ok()
}

// homeSource says where a client looks for a certificate that nobody named.
func (a *attempt) homeSource() string {
	switch a.lib {
	case matrix.PGX:
		return "pgconn/defaults.go, defaultSettings"
	case matrix.PQ:
		return "ssl.go, sslClientCertificates"
	}
	return "libpq, sslcert"
}

// end builds a refusal of this exchange.
func (x *exchange) end(h how, stage matrix.Stage, reason matrix.Reason) ending {
	e := refused(h, stage, reason)
	e.outcome.Channel, e.outcome.Identity = x.ch, x.identity
	if x.record != nil {
		e.outcome.Method, e.outcome.Rule = x.record.Method, x.record.rule()
	}
	return e
}

// fails: the server sends an error before AuthenticationOk.
func (x *exchange) fails(stage matrix.Stage, reason matrix.Reason, state string) ending {
	x.step(matrix.StepAuthFail)
	if e := x.unopened(); e != nil {
		return *e
	}
	e := x.end(errorBeforeOK, stage, reason)
	e.state = state
	return e
}

func (x *exchange) objects(o *objection) ending {
	x.because = append(x.because, o.because)
	return x.end(hungUp, matrix.StageAuth, o.reason)
}

// asks has the client answer an authentication request; nil: it goes on.
func (x *exchange) asks(r request) (*ending, error) {
	if e := x.unheard(); e != nil {
		return e, nil
	}
	o, err := x.onRequest(r, x.ch)
	if err != nil || o == nil {
		return nil, err
	}
	e := x.objects(o)
	return &e, nil
}

// method carries out the record's authentication method; nil: it is satisfied.
func (x *exchange) method() (*ending, error) {
	switch m := x.record.Method; m {
	case matrix.MethodReject:
		end := x.fails(matrix.StageHBA, matrix.HBAReject, "28000")
		return &end, nil
	case matrix.MethodTrust:
		return nil, nil
	case matrix.MethodCert: // its name is checked like that of clientcert=verify-full
		if strings.ContainsFunc(x.certUser(), func(r rune) bool { return r > '~' || strings.ContainsRune(` ,+"\<>;#=`, r) }) {
			return nil, unknown("its distinguished name is printed escaped", "the certificate of %q", x.certUser())
		}
		x.identity = "CN=" + x.certUser()
		return nil, nil
	case matrix.MethodGSS:
		return x.gss()
	case matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword:
		return x.passwordMethod()
	case matrix.MethodPeer:
		return nil, unknown("the cell does not say which operating system user makes the attempt", "%s: authentication method peer", x.record.rule())
	default:
		return nil, unknown("it is not modelled", "%s: authentication method %s", x.record.rule(), m)
	}
}

// byProvider: the client authenticates by a GSSAPI provider that the program gives it.
func (x *exchange) byProvider() bool { return x.lib == matrix.PGX || x.lib == matrix.PQ }

// gss is auth.c, pg_GSS_recvauth and pg_GSS_checkauth. Where GSS encryption has set up the context there is no second
// exchange.
func (x *exchange) gss() (*ending, error) {
	if x.ch == matrix.GSS {
		x.why("auth.c, ClientAuthentication", "GSS encryption has authenticated "+x.principal()+" already: no second exchange")
	} else {
		end, err := x.asks(askGSS)
		if err != nil {
			return nil, err
		}
		if end == nil {
			reason, byServer := x.gssContext(x.byProvider())
			switch {
			case reason == matrix.KeytabMismatch && !x.ignoresErrorToken():
				// The acceptor makes an error token, which the server sends before it gives up; without any key it makes none.
				x.why("auth.c, pg_GSS_recvauth", "the server answers with Kerberos' error token, and only then with its own error")
				left := x.end(hungUp, matrix.StageAuth, reason)
				end = &left
			case reason != "" && byServer:
				failed := x.fails(matrix.StageAuth, reason, "28000")
				return &failed, nil
			case reason != "":
				left := x.end(hungUp, matrix.StageAuth, reason)
				end = &left
			}
		}
		if end != nil {
			// Unlike the password methods, this one takes a client that hangs up for one that failed.
			x.step(matrix.StepAuthFail)
			x.why("auth.c, pg_GSS_recvauth", "the client hangs up; to the server that is a failed authentication")
			return end, nil
		}
		x.exchanged = true
	}
	x.identity = x.principal()
	system := x.identity
	name, realm := realmOf(system)
	if !x.record.includeRealm {
		system = name
		x.why(x.record.rule(), "include_realm=0: "+x.identity+" counts as "+name)
	}
	insensitive := x.setting("krb_caseins_users", "off") == "on"
	if want := x.record.krbRealm; want != "" && want != realm && !(insensitive && strings.EqualFold(want, realm)) {
		x.why(x.record.rule(), "krb_realm="+want+" is not the realm of "+x.identity)
		end := x.fails(matrix.StageAuth, matrix.RealmMismatch, "28000")
		return &end, nil
	}
	ok, source, text := x.mapped(x.record.usermap, system, insensitive)
	x.why(source, text)
	if !ok {
		end := x.fails(matrix.StageIdent, matrix.MapNoMatch, "28000")
		return &end, nil
	}
	return nil, nil
}

// passwordMethod is auth.c, CheckPasswordAuth and CheckPWChallengeAuth. A role that does not exist or has no password
// is put through the same exchange, so that nothing is betrayed.
func (x *exchange) passwordMethod() (*ending, error) {
	role, _ := x.role(x.c.User)
	stored, ask := role.Password, askScram
	switch x.record.Method {
	case matrix.MethodPassword:
		ask = askPassword
	case matrix.MethodMD5:
		kind := stored
		if kind == "" {
			byDefault := "scram-sha-256"
			if x.w.Server < 14 {
				byDefault = "md5"
			}
			kind = x.setting("password_encryption", byDefault)
			if kind == "on" || kind == "true" || kind == "yes" || kind == "1" {
				kind = "md5" // accepted by 13 for compatibility
			}
		}
		if kind == "md5" {
			ask = askMD5
		}
	}
	if end, err := x.asks(ask); err != nil || end != nil {
		return end, err
	}
	plus := ask == askScram && x.serverChannel(x.ch) == matrix.TLS // the server offers to bind, too
	if ask == askScram && !plus && channelBindings.of(x.c.ChannelBinding) == "require" {
		source := "fe-auth.c, pg_SASL_init"
		if x.lib == matrix.PGX {
			source = "pgconn/auth_scram.go, scramAuth"
		}
		end := x.objects(&objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server has no TLS and offers no SCRAM-SHA-256-PLUS", Source: source}})
		return &end, nil
	}
	given := x.password()
	if given == "none" {
		source := x.emptyPassword()
		if source == "" {
			end := x.objects(&objection{matrix.NoPassword, matrix.Because{Text: "the server asks for a password and the client was given none", Source: "fe-auth.c, pg_fe_sendauth"}})
			return &end, nil
		}
		x.why(source, "the client was given no password and sends an empty one")
		if ask == askPassword {
			x.why("auth.c, recv_password_packet", "an empty password is refused before it is compared")
			end := x.fails(matrix.StageAuth, matrix.NoPassword, "28P01")
			return &end, nil
		}
	}
	binds := plus && x.binds() && channelBindings.of(x.c.ChannelBinding) != "disable"
	switch {
	case binds && x.w.ServerCert == "ed25519":
		return x.withoutHash()
	case binds && x.impersonated(x.ch):
		// Before the proof of the password is looked at.
		x.why("auth-scram.c, read_client_final_message", "the client binds the exchange to the attacker's certificate, the server to its own: they differ")
		end := x.fails(matrix.StageAuth, matrix.ChannelBinding, "28000")
		return &end, nil
	case stored == "":
		x.why("crypt.c, get_role_password", "role "+x.c.User+" has no password")
	case x.record.Method == matrix.MethodScram && stored == "md5":
		x.why("auth-scram.c, scram_init", "the stored md5 password cannot be used for scram-sha-256")
	case given != "right":
		x.why("crypt.c", "the password is wrong")
	default:
		x.identity, x.exchanged, x.bound = x.c.User, true, binds
		x.why("crypt.c", "the password is right")
		return nil, nil
	}
	end := x.fails(matrix.StageAuth, matrix.Password, "28P01")
	return &end, nil
}

// withoutHash: the client would bind SCRAM to a certificate whose signature, Ed25519, names no hash to take (RFC 5929, section
// 4.1). The server offers SCRAM-SHA-256-PLUS all the same: it looks for the hash only where a client has sent one.
func (x *exchange) withoutHash() (*ending, error) {
	if x.impersonated(x.ch) {
		return nil, unknown("the client then binds to the attacker's certificate and the server has no hash of its own", "attack=%s with servercert=%s", x.c.Attack, x.w.ServerCert)
	}
	x.why("RFC 5929, section 4.1", "a certificate that is signed with Ed25519 has no hash that SCRAM could be bound to")
	if o := x.noHash(); o != nil {
		end := x.objects(o)
		return &end, nil
	}
	x.why("auth-scram.c, read_client_first_message", "the client says that it could bind and the server could not, which the server denies: that is what a downgrade looks like")
	end := x.fails(matrix.StageAuth, matrix.ChannelBinding, "28000")
	return &end, nil
}

// certificateName is auth.c, CheckCertAuth. The record's map applies to the certificate's name whatever the method is.
func (x *exchange) certificateName() *ending {
	name := x.certUser()
	if x.record.clientName == "DN" {
		name = "CN=" + name
	}
	ok, source, text := x.mapped(x.record.usermap, name, false)
	x.why(source, "client certificate: "+text)
	if ok {
		return nil
	}
	var end ending
	if x.record.Method == matrix.MethodCert {
		end = x.fails(matrix.StageIdent, matrix.MapNoMatch, "28000")
	} else {
		end = x.fails(matrix.StageAuth, matrix.CertNameMismatch, "28000")
	}
	return &end
}

// ok: the server has sent AuthenticationOk. It goes on without waiting for the client, which sees the message only
// with what follows it (auth.c, sendAuthRequest does not flush).
func (x *exchange) ok() (ending, error) {
	x.step(matrix.StepAuthOK)
	r, err := x.afterAuthentication()
	if err != nil {
		return ending{}, err
	}
	if r != nil {
		x.step(matrix.StepStartFail)
	}
	if e := x.unheard(); e != nil {
		return *e, nil
	}
	if o := x.onOK(x.exchanged, x.bound, x.ch); o != nil {
		return x.objects(o), nil
	}
	if r != nil {
		x.why(r.source, r.text)
		e := x.end(errorAfterOK, matrix.StageStartup, r.reason)
		e.state = r.state
		return e, nil
	}
	e := x.end(opened, matrix.StageSession, "")
	e.outcome.End, e.outcome.Role = matrix.Connected, x.c.User
	return e, nil
}
