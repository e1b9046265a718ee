package oracle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// exchange is one startup packet and what follows it, until the session is open or one end refuses.
type exchange struct {
	*attempt
	ch        matrix.Channel
	record    *Record
	identity  string
	exchanged bool // the client has completed an authentication exchange
	bound     bool // the exchange was bound to the TLS channel
}

// authenticate sends a startup packet on the present connection, which is protected by ch.
func (a *attempt) authenticate(ch matrix.Channel) (ending, error) {
	x := exchange{attempt: a, ch: ch}
	a.read = a.read || ch == matrix.Plain || a.impersonated(ch)
	if a.attack.forges != nil {
		return x.forged(a.attack.forges)
	}
	found, err := a.match(a.serverChannel(ch))
	if err != nil {
		return ending{}, err
	}
	record := found.record
	if record == nil {
		text := "no record matches " + a.describe(ch)
		if found.otherwise != nil {
			text += fmt.Sprintf("; line %d is %s", found.otherwise.Line, found.otherwise.Conn)
		}
		a.why(matrix.HBAFile, text)
		a.tellLookup(found.lookup)
		return x.fails(matrix.StageHBA, matrix.NoHBAEntry, "28000"), nil
	}
	x.record = record
	a.why(record.rule(), fmt.Sprintf("the first record that matches %s: %s", a.describe(ch), record.Text))
	if record.clientCert != "" && x.serverCA() == "none" {
		x.why("auth.c, ClientAuthentication", "the record asks for a client certificate, and ssl_ca_file is not set")
		return x.fails(matrix.StageAuth, matrix.ClientCAMissing, "F0000"), nil
	}
	if record.clientCert != "" && !x.showsCertificate() {
		return x.fails(matrix.StageAuth, matrix.CertMissing, "28000"), nil
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

// end builds a refusal of this exchange.
func (x *exchange) end(h how, stage matrix.Stage, reason matrix.Reason) ending {
	e := refused(h, stage, reason)
	e.outcome.Channel, e.outcome.Identity = x.ch, x.identity
	if x.record != nil {
		e.outcome.Method, e.outcome.Rule = x.record.Method, x.record.rule()
	}
	return e
}

// fails: the server sends an error before AuthenticationOk, which the client may not be able to read.
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
	o, err := x.client.onRequest(r, x.ch)
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
		x.identity = distinguishedName(x.sent())
		return nil, nil
	case matrix.MethodGSS:
		return x.gss()
	case matrix.MethodScram, matrix.MethodMD5, matrix.MethodPassword:
		return x.passwordMethod()
	case matrix.MethodIdent: // auth.c, ident_inet
		return x.identServer()
	case matrix.MethodPeer:
		return x.peer()
	default:
		return nil, unknown("it is not modelled", "%s: authentication method %s", x.record.rule(), m)
	}
}

// peer is auth.c, auth_peer.
func (x *exchange) peer() (*ending, error) {
	user := x.c.OSUser
	if user == "" {
		return nil, unknown("the cell does not say which operating system user makes the attempt", "%s: authentication method peer", x.record.rule())
	}
	if !slices.Contains(x.w.OSUsers, user) {
		x.why("auth.c, auth_peer", "the kernel says which user ID the client has, and the server's machine knows no user with it: "+user+" is a user of the client's")
		end := x.fails(matrix.StageAuth, matrix.PeerMismatch, "28000")
		return &end, nil
	}
	x.why("auth.c, auth_peer", "the kernel says that the operating system user "+user+" has opened the connection")
	return x.systemUser(user)
}

// systemUser has the operating system user authenticated, who may become the role that the map says; nil: the requested one.
func (x *exchange) systemUser(user string) (*ending, error) {
	x.identity = user
	ok, source, text := x.mapped(x.record.usermap, user, false)
	x.why(source, text)
	if !ok {
		end := x.fails(matrix.StageIdent, matrix.MapNoMatch, "28000")
		return &end, nil
	}
	return nil, nil
}

// identServer is auth.c, ident_inet: it asks port 113 of the client's address.
func (x *exchange) identServer() (*ending, error) {
	s, running, ok := x.w.IdentServerOf()
	switch {
	case !ok:
		return nil, unknown("nothing describes it", "ident_server=%s", x.w.IdentServer)
	case running && x.c.Attacked():
		return nil, unknown("the attacker's machine would be asked, and not the client's", "attack=%s with ident_server=%s", x.c.Attack, x.w.IdentServer)
	}
	user, fault := "", "nothing listens there"
	if running {
		user, fault = identAnswer(s.Answer + s.End)
	}
	if user == "" && fault == "" {
		return nil, unknown("a user without a name is not modelled", "ident_server=%s", x.w.IdentServer)
	}
	if fault != "" {
		x.why(x.record.rule(), "the server asks port 113 of the client's address: "+fault)
		end := x.fails(matrix.StageAuth, matrix.PeerMismatch, "28000")
		return &end, nil
	}
	x.why("auth.c, interpret_ident_response", "the Ident server at the client's address names the user "+user+"; whether it speaks of this connection's ports, PostgreSQL does not compare")
	return x.systemUser(user)
}

// identAnswer is auth.c, interpret_ident_response: the user that an answer names, or what is wrong with it. A user name has at most 512 bytes, which no
// answer here has.
func identAnswer(answer string) (user, fault string) {
	line, ok := strings.CutSuffix(answer, "\r\n")
	if !ok {
		return "", "the answer does not end with a carriage return and a newline"
	}
	const blanks = " \t"
	fields := strings.SplitN(line, ":", 4)
	switch {
	case len(fields) < 2:
		return "", "the answer has no type"
	case strings.Trim(fields[1], blanks) != "USERID":
		return "", "the answer is no USERID: " + strings.Trim(line, blanks)
	case len(fields) < 4:
		return "", "the answer has no user"
	}
	return strings.TrimLeft(fields[3], blanks), ""
}

// gss is auth.c, pg_GSS_recvauth and pg_GSS_checkauth. Where GSS encryption has established the context there is no second
// exchange.
func (x *exchange) gss() (*ending, error) {
	if x.ch == matrix.GSS {
		x.why("auth.c, ClientAuthentication", "GSS encryption has authenticated "+x.principal()+" already: no second exchange")
	} else if end, err := x.gssExchange(); end != nil || err != nil {
		return end, err
	}
	x.identity = x.principal()
	system := x.identity
	name, realm := realmOf(system)
	if !x.record.includeRealm {
		system = name
		x.why(x.record.rule(), "include_realm=0: "+x.identity+" counts as "+name)
	}
	insensitive := x.setting("krb_caseins_users", "off") == "on"
	if want := x.record.krbRealm; want != "" && !same(want, realm, insensitive) {
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

// gssExchange is the exchange of tokens; nil: the context is established.
func (x *exchange) gssExchange() (*ending, error) {
	end, err := x.asks(askGSS)
	if err != nil {
		return nil, err
	}
	if end == nil {
		reason, byServer := x.gssContext(x.client.service(), x.client.ambientTicket())
		if reason == "" {
			x.exchanged = true
			return nil, nil
		}
		errorToken := (reason == matrix.KeytabMismatch || reason == matrix.Enctype) && x.client.reactions().forgedToken.how != opened
		if errorToken {
			// The acceptor makes an error token, which the server sends before its error; without any key it makes none.
			x.why("auth.c, pg_GSS_recvauth", "the server answers with the error token of Kerberos, and only then with its own error")
		} else if byServer {
			failed := x.fails(matrix.StageAuth, reason, "28000")
			return &failed, nil
		}
		left := x.end(hungUp, matrix.StageAuth, reason)
		end = &left
	}
	// Unlike the password methods, this one takes a closed connection for a failed authentication.
	x.step(matrix.StepAuthFail)
	x.why("auth.c, pg_GSS_recvauth", "the client closes the connection; to the server that is a failed authentication")
	return end, nil
}

// passwordMethod is auth.c, CheckPasswordAuth and CheckPWChallengeAuth. A role that does not exist or has no password
// is put through the same exchange, so that the client does not learn it.
func (x *exchange) passwordMethod() (*ending, error) {
	role, _ := x.role(x.c.User)
	stored := role.Password
	if role.Expired {
		stored = "" // crypt.c, get_role_password, has none to give
	}
	ask := x.passwordRequest(stored)
	if end, err := x.asks(ask); err != nil || end != nil {
		return end, err
	}
	binds := false
	if ask == askScram {
		offered := x.serverChannel(x.ch) == matrix.TLS // SCRAM-SHA-256-PLUS
		mode, source := x.client.binding()
		if !offered && mode == "require" {
			end := x.objects(&objection{matrix.ChannelBinding, matrix.Because{Text: "channel_binding=require: the server has no TLS and offers no SCRAM-SHA-256-PLUS", Source: source}})
			return &end, nil
		}
		binds = offered && mode != "disable"
		if end, err := x.malformedFirst(); err != nil || end != nil {
			return end, err
		}
	}
	if x.password() == "none" {
		if end := x.withoutPassword(ask); end != nil {
			return end, nil
		}
	}
	if binds && x.presents().cert.Key == matrix.Ed25519 {
		return x.withoutHash()
	}
	if binds && x.impersonated(x.ch) {
		// Before the proof of the password is looked at.
		x.why("auth-scram.c, read_client_final_message", "the client binds the exchange to the attacker's certificate, the server to its own: they differ")
		end := x.fails(matrix.StageAuth, matrix.ChannelBinding, "28000")
		return &end, nil
	}
	if source, text := x.passwordFault(role); text != "" {
		x.why(source, text)
		end := x.fails(matrix.StageAuth, matrix.Password, "28P01")
		return &end, nil
	}
	x.identity, x.exchanged, x.bound = x.c.User, true, binds
	x.why("crypt.c", "the password is right")
	return nil, nil
}

// malformedFirst: a comma in the name of the role ends the attribute in which the client sends the name (RFC 5802, section 5.1, has =2C in its
// place). The server reads the message before it looks at a password.
func (x *exchange) malformedFirst() (*ending, error) {
	_, rest, comma := strings.Cut(x.client.saslName(), ",")
	switch {
	case !comma:
		return nil, nil
	case strings.HasPrefix(rest, "r="):
		return nil, unknown("the server then takes a part of the name for the nonce", "user=%s", x.c.User)
	}
	x.why("auth-scram.c, read_client_first_message", "the client sends the name of role "+x.c.User+" with its comma, after which the server expects the nonce")
	end := x.fails(matrix.StageAuth, matrix.ProtocolViolation, "08P01")
	return &end, nil
}

// passwordRequest is the request that the record's method makes of a role with that stored password ("", md5 or scram-sha-256).
func (x *exchange) passwordRequest(stored string) request {
	if x.record.Method == matrix.MethodPassword {
		return askPassword
	}
	if x.record.Method != matrix.MethodMD5 {
		return askScram
	}
	if stored == "" { // auth.c, CheckPWChallengeAuth: as if it had been stored today
		byDefault := "scram-sha-256"
		if x.w.Server < 14 {
			byDefault = "md5"
		}
		stored = x.setting("password_encryption", byDefault)
	}
	if slices.Contains([]string{"md5", "on", "true", "yes", "1"}, stored) { // on: accepted by 13 for compatibility
		return askMD5
	}
	return askScram
}

// withoutPassword is how a client reacts that was given no password; nil: it goes on.
func (x *exchange) withoutPassword(ask request) *ending {
	if e := x.reacts(&x.client.reactions().noPassword, matrix.StageAuth); e.how != opened {
		end := x.end(e.how, matrix.StageAuth, e.outcome.Reason)
		return &end
	}
	if ask != askPassword {
		return nil
	}
	x.why("auth.c, recv_password_packet", "an empty password is refused before it is compared")
	end := x.fails(matrix.StageAuth, matrix.NoPassword, "28P01")
	return &end
}

// passwordFault says why the server does not accept the client's password; "": it accepts it.
func (x *exchange) passwordFault(role matrix.Role) (source, text string) {
	switch {
	case role.Password == "":
		return "crypt.c, get_role_password", "role " + x.c.User + " has no password"
	case role.Expired:
		return "crypt.c, get_role_password", "the password of role " + x.c.User + " has expired (VALID UNTIL)"
	case x.record.Method == matrix.MethodScram && role.Password == "md5":
		return "auth-scram.c, scram_init", "the stored md5 password cannot be used for scram-sha-256"
	case x.password() != "right":
		return "crypt.c", "the password is wrong"
	}
	return "", ""
}

// withoutHash: the client would bind SCRAM to a certificate whose signature, Ed25519, names no hash (RFC 5929, section
// 4.1). The server offers SCRAM-SHA-256-PLUS all the same: it looks for the hash only after a client has sent one.
func (x *exchange) withoutHash() (*ending, error) {
	if x.impersonated(x.ch) {
		return nil, unknown("the client then binds to the attacker's certificate and the server has no hash of its own", "attack=%s with servercert=%s", x.c.Attack, x.w.ServerCert)
	}
	x.why("RFC 5929, section 4.1", "a certificate that is signed with Ed25519 has no hash to which SCRAM could be bound")
	if o := x.client.noHash(); o != nil {
		end := x.objects(o)
		return &end, nil
	}
	x.why("auth-scram.c, read_client_first_message", "the client says that it could bind and the server could not, which the server denies: it takes that for a downgrade")
	end := x.fails(matrix.StageAuth, matrix.ChannelBinding, "28000")
	return &end, nil
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
	if o := x.client.onOK(authenticationOK{ch: x.ch, exchanged: x.exchanged, bound: x.bound}); o != nil {
		return x.objects(o), nil
	}
	if r != nil {
		x.why(r.source, r.text)
		e := x.end(errorAfterOK, matrix.StageStartup, r.reason)
		e.state = r.state
		return e, nil
	}
	return x.session(), nil
}

// session: the client has its session.
func (x *exchange) session() ending {
	e := x.end(opened, matrix.StageSession, "")
	e.outcome.End, e.outcome.Role = matrix.Connected, x.c.User
	return e
}
