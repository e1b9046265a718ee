package oracle

import "github.com/pgauthmatrix/pgauthmatrix/matrix"

// models makes the model of a client, by the client's kind. A client joins the oracle by one file with its model and an
// entry here.
var models = map[matrix.ClientKind]func(*attempt) client{
	matrix.KindLibpq:   newLibpq,
	matrix.KindPsql:    newLibpq,
	matrix.KindPGX:     newPGX,
	matrix.KindPQ:      newPQ,
	matrix.KindAsyncpg: newAsyncpg,
	matrix.KindRaw:     newRaw,
}

// modelOf is the model of the attempt's client, or nil.
func modelOf(a *attempt) client {
	if model := models[a.c.Library.Kind()]; model != nil {
		return model(a)
	}
	return nil
}

// client is the model of one client, for one attempt. Its walk opens the connections and calls the stages (encryptGSS,
// encryptTLS, authenticate). The stages model the server and the attacker, and ask the client how it reacts to them.
type client interface {
	// walk opens connections until there is a session or nothing is left to try. It returns how the last one ended.
	walk() (ending, error)

	// reactions are the client's reactions to what an honest server does not send.
	reactions() *reactions

	// onGSSAccept is the client's objection to the answer G, before it sends a token; nil: it goes on.
	onGSSAccept() *objection

	// asSetting names the rule by which the client sends a connection parameter to the server, as a setting of the
	// session, because it does not know the parameter; "": it does not send it.
	asSetting(parameter string) (source string)

	// serverName is the host's name as the client sends it in its ClientHello (SNI); empty: it sends none.
	serverName() string

	authenticator
	credentials
}

// authenticator is a client in the authentication exchange.
type authenticator interface {
	// onRequest is the client's objection to an authentication request on a connection that ch protects; nil: it goes on.
	onRequest(ask request, ch matrix.Channel) (*objection, error)

	// onOK is the client's objection to AuthenticationOk; nil: it takes the message as it is.
	onOK(ok authenticationOK) *objection

	// binding is the channel_binding in force (disable, prefer or require) and the function that starts SCRAM.
	binding() (mode, source string)

	// saslName is the role's name as it stands in the first message of SCRAM (RFC 5802, section 5.1); libpq leaves it empty, and the server
	// passes over it.
	saslName() string

	// noHash is the client's objection to a certificate to which it would bind SCRAM and that has no hash for it (RFC 5929,
	// section 4.1); nil: it goes on without binding, and tells the server that it could have bound.
	noHash() *objection
}

// authenticationOK is AuthenticationOk as it reaches the client.
type authenticationOK struct {
	ch        matrix.Channel
	exchanged bool // the client has completed an authentication exchange
	bound     bool // the exchange was bound to the TLS channel
	tokenDue  bool // the client waits for the server's GSSAPI token
}

// objection is a client's reason to end a connection.
type objection struct {
	reason  matrix.Reason
	because matrix.Because
}

// credentials are where a client finds what it authenticates itself with.
type credentials interface {
	// service is the SPN for which the client takes a ticket when the server asks for GSSAPI authentication.
	service() string

	// ambientTicket is the search for a ticket that is only in the default cache, when the server asks for GSSAPI authentication.
	ambientTicket() lookup

	// ambientCertificate is the search for a certificate that is only in the home directory.
	ambientCertificate() lookup

	// withheld is why the client does not send a certificate that it has found to a server that asks for one; nothing is missing: it sends it.
	withheld(cert *matrix.Certificate) lookup
}

// lookup is a client's search for a credential that no parameter and no environment variable names.
type lookup struct {
	source  string
	missing string                        // why the client does not find it; "": it finds it
	config  func([]matrix.Setting) string // why the client cannot read a krb5.conf with these lines, or ""; nil: it reads any that is modelled
}

// reactions are how a client reacts to what it gets, or does not get, in place of a server's usual message. A reaction that
// the model leaves empty is a gap where it is needed (*CannotPredict); it never means that the client goes on.
type reactions struct {
	ssl answers // to SSLRequest
	gss answers // to GSSENCRequest

	// tokenError: an error message in place of the server's token, after G.
	tokenError reaction

	// forgedToken: in the authentication exchange, a GSSAPI token that proves nothing: an AP-REP that was made without the
	// session key, or the error token of Kerberos.
	forgedToken reaction

	// noPassword: a request for a password that the client was not given. A client that goes on sends an empty one.
	noPassword reaction

	// oldError: an error message in the form of protocol 2.0, from a server that has not yet read a startup packet.
	oldError reaction

	timeout matrix.Because // connect_timeout passes

	unwrapSource string // the function that unwraps GSS packets
	okSource     string // the function that takes AuthenticationOk
}

// answers are what can come in place of the one byte that answers a request for encryption.
type answers struct {
	errorMessage reaction
	cut          reaction // the connection ends
	stuffed      reaction // the answer, and more bytes in the same segment
}

// reaction is one of a client's reactions.
type reaction struct {
	how     how           // how the connection ends for the client; opened: the client goes on
	reason  matrix.Reason // of a connection that ends
	because matrix.Because
	late    bool // stuffed TLS: the client looks for the bytes only after its handshake
	shows   bool // the client shows the attacker's words, if the attempt fails
}

// reacts ends a connection by a client's reaction.
func (a *attempt) reacts(r *reaction, stage matrix.Stage) *ending {
	if r.because.Text == "" {
		a.gap = unknown("the model of the client does not say how it reacts", "%s with attack=%s", a.c.Library, a.c.Attack)
	}
	a.because = append(a.because, r.because)
	a.shown = a.shown || r.shows
	e := refused(r.how, stage, r.reason)
	return &e
}
