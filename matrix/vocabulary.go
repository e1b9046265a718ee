package matrix

// End says how an attempt ended. The zero value is invalid, so that an Outcome that was never filled in equals none that was.
type End string

const (
	Connected End = "connected" // a session was opened and answered a query
	Refused   End = "refused"   // no session: the client, the server or the KDC refused, or the connection failed
)

// Stage is where an attempt ended. A connected attempt ends in StageSession.
type Stage string

const (
	StageOptions     Stage = "options"     // the client rejected its own settings and opened no connection
	StageCredentials Stage = "credentials" // the client had nothing to authenticate with (no Kerberos ticket, no password)
	StageDial        Stage = "dial"        // the transport (TCP, unix socket) could not be opened
	StageGSSEnc      Stage = "gssenc"      // GSSENCRequest and the GSS context that encrypts the connection
	StageTLS         Stage = "tls"         // SSLRequest or direct TLS, and the TLS handshake with its certificate checks
	StageHBA         Stage = "hba"         // the choice of the pg_hba.conf record
	StageAuth        Stage = "auth"        // the exchange that the record's method asks for, and the client's checks on it
	StageIdent       Stage = "ident"       // from the authenticated identity to the database role (pg_ident.conf)
	StageStartup     Stage = "startup"     // after AuthenticationOk: role, database, limits
	StageSession     Stage = "session"     // the session exists; a client may still close it because of what the server is, and a server end it
)

// Stages lists the stages in the order in which a connection passes them.
var Stages = []Stage{StageOptions, StageCredentials, StageDial, StageGSSEnc, StageTLS, StageHBA, StageAuth, StageIdent, StageStartup, StageSession}

// Reason says why an attempt was refused: a row of Reasons. Empty when connected.
type Reason string

const (
	BadOptions        Reason = "bad-options"
	GSSOnUnixSocket   Reason = "gss-on-unix-socket"
	NoTicket          Reason = "no-ticket"
	NoPassword        Reason = "no-password"
	DialRefused       Reason = "dial-refused"
	GSSRefused        Reason = "gss-refused"
	TicketExpired     Reason = "ticket-expired"
	SPNUnknown        Reason = "spn-unknown"
	ClockSkew         Reason = "clock-skew"
	KeytabMissing     Reason = "keytab-missing"
	KeytabMismatch    Reason = "keytab-mismatch"
	Enctype           Reason = "enctype"
	ServerUnproven    Reason = "server-unproven"
	KDCUnreachable    Reason = "kdc-unreachable"
	KRB5Config        Reason = "krb5-config"
	TLSRefused        Reason = "tls-refused"
	DirectTLSRefused  Reason = "direct-tls-refused"
	TLSHandshake      Reason = "tls-handshake"
	HostUnknown       Reason = "host-unknown"
	RootMissing       Reason = "root-missing"
	ServerCertTrust   Reason = "server-cert-untrusted"
	ServerCertName    Reason = "server-cert-name"
	ServerCertExpired Reason = "server-cert-expired"
	ServerCertRevoked Reason = "server-cert-revoked"
	ServerCertPurpose Reason = "server-cert-purpose"
	ServerCertBad     Reason = "server-cert-bad"
	CertMissing       Reason = "cert-missing"
	ClientCAMissing   Reason = "client-ca-missing"
	KeyUnusable       Reason = "key-unusable"
	CertMode          Reason = "cert-mode"
	CertUntrusted     Reason = "cert-untrusted"
	CertExpired       Reason = "cert-expired"
	CertRevoked       Reason = "cert-revoked"
	CertPurpose       Reason = "cert-purpose"
	CertBad           Reason = "cert-bad"
	CertNameMismatch  Reason = "cert-name-mismatch"
	NoHBAEntry        Reason = "no-hba-entry"
	HBAReject         Reason = "hba-reject"
	Password          Reason = "password"
	RealmMismatch     Reason = "realm-mismatch"
	MethodUnsupported Reason = "method-unsupported"
	MethodRejected    Reason = "method-rejected"
	ChannelBinding    Reason = "channel-binding"
	NoAuthService     Reason = "no-auth-service"
	PeerMismatch      Reason = "peer-mismatch"
	MapNoMatch        Reason = "map-no-match"
	RoleMissing       Reason = "role-missing"
	RoleNoLogin       Reason = "role-no-login"
	DatabaseMissing   Reason = "database-missing"
	NoPrivilege       Reason = "no-connect-privilege"
	NoReplication     Reason = "no-replication-privilege"
	TooManyClients    Reason = "too-many-clients"
	ServerStarting    Reason = "server-starting"
	SettingUnknown    Reason = "setting-unknown"
	SessionUnwanted   Reason = "session-unwanted"
	SessionEnded      Reason = "session-ended"
	ProtocolViolation Reason = "protocol-violation"
	AnswerError       Reason = "answer-error"
	Abandoned         Reason = "abandoned"
	ConnectionLost    Reason = "connection-lost"
	TimedOut          Reason = "timed-out"
	IntegrityCheck    Reason = "integrity-check"
)

// ReasonInfo is one row of Reasons.
type ReasonInfo struct {
	Reason  Reason
	Stages  []Stage // the stages that this reason can end
	Meaning string  // one line, for docs/scenarios.md
}

// Reasons is the list of all reasons. An Outcome whose reason cannot end its stage is invalid. The oracle predicts most of them; the
// others (no KDC, clock skew, a server that is starting, …) are there so that an attempt that meets them is not a fault of the harness.
var Reasons = []ReasonInfo{
	{BadOptions, []Stage{StageOptions}, "the client's settings contradict each other, or have a value that the client does not know"},
	{GSSOnUnixSocket, []Stage{StageOptions}, "gssencmode=require on a unix-domain socket, which GSS encryption does not support"},
	{NoTicket, []Stage{StageCredentials, StageAuth}, "the client has no Kerberos credential cache, or no ticket in it"},
	{NoPassword, []Stage{StageAuth}, "the server asked for a password and the client was given none"},
	{DialRefused, []Stage{StageDial}, "connection refused, or no such socket: nothing listens there"},
	{GSSRefused, []Stage{StageGSSEnc}, "the server answered N to GSSENCRequest and the client requires GSS encryption"},
	{TicketExpired, []Stage{StageGSSEnc, StageAuth}, "the ticket-granting ticket or the service ticket has expired"},
	{SPNUnknown, []Stage{StageGSSEnc, StageAuth}, "the KDC does not know the service principal that the client asked for"},
	{ClockSkew, []Stage{StageGSSEnc, StageAuth}, "the clocks of client, KDC and server are further apart than Kerberos allows"},
	{KeytabMissing, []Stage{StageGSSEnc, StageAuth}, "the server has no keytab, or cannot read it"},
	{KeytabMismatch, []Stage{StageGSSEnc, StageAuth}, "the server's keytab has no key for this ticket: its principal, key version or key is another"},
	{Enctype, []Stage{StageGSSEnc, StageAuth}, "client, KDC and server have no permitted encryption type in common"},
	{ServerUnproven, []Stage{StageGSSEnc, StageAuth}, "the server's Kerberos token does not prove that it holds the service's key"},
	{KDCUnreachable, []Stage{StageGSSEnc, StageAuth}, "the client cannot reach a KDC of the realm"},
	{KRB5Config, []Stage{StageAuth}, "the client's Kerberos library cannot read krb5.conf"},
	{TLSRefused, []Stage{StageTLS}, "the server answered N to SSLRequest and the client requires TLS"},
	{DirectTLSRefused, []Stage{StageTLS}, "the server refused a TLS handshake without SSLRequest"},
	{TLSHandshake, []Stage{StageTLS}, "the TLS handshake failed: no TLS version, cipher or ALPN protocol in common"},
	{HostUnknown, []Stage{StageTLS}, "the server has no certificate for the host name that the client sends (SNI), or none for clients that send no name"},
	{RootMissing, []Stage{StageTLS}, "the client must verify the server's certificate and has no root certificate"},
	{ServerCertTrust, []Stage{StageTLS}, "the server's certificate is not signed by a CA that the client trusts"},
	{ServerCertName, []Stage{StageTLS}, "the server's certificate is for another host name"},
	{ServerCertExpired, []Stage{StageTLS}, "the server's certificate has expired, or the client's revocation list is out of date: TLS has one alert for both"},
	{ServerCertRevoked, []Stage{StageTLS}, "the server's certificate is on the client's revocation list"},
	{ServerCertPurpose, []Stage{StageTLS}, "the server's certificate is not for servers, by its extended key usage (alert unsupported_certificate)"},
	{ServerCertBad, []Stage{StageTLS}, "the server's certificate is not valid yet, or bad in another way for which TLS has no alert of its own (alert bad_certificate)"},
	{CertMissing, []Stage{StageAuth}, "the record requires a client certificate and the client presented none"},
	{KeyUnusable, []Stage{StageTLS}, "the client cannot read the key of its certificate: no such file, open to others, encrypted, in another form, or another key"},
	{CertMode, []Stage{StageAuth}, "sslcertmode=require, and the server did not ask for the client's certificate, or let the client in without one"},
	{ClientCAMissing, []Stage{StageAuth}, "the record requires a client certificate and the server has no CA to verify one with"},
	{CertUntrusted, []Stage{StageTLS}, "the client's certificate is not signed by a CA that the server trusts"},
	{CertExpired, []Stage{StageTLS}, "the client's certificate has expired, or the server's revocation list is out of date: TLS has one alert for both"},
	{CertRevoked, []Stage{StageTLS}, "the client's certificate is on the server's revocation list"},
	{CertPurpose, []Stage{StageTLS}, "the client's certificate is not for clients, by its extended key usage (alert unsupported_certificate)"},
	{CertBad, []Stage{StageTLS}, "the client's certificate is not valid yet, or bad in another way for which TLS has no alert of its own (alert bad_certificate)"},
	{CertNameMismatch, []Stage{StageAuth}, "the name in the client's certificate is not the role it asks for, or the certificate has no name of that kind"},
	{NoHBAEntry, []Stage{StageHBA}, "no pg_hba.conf record matches this channel, database, user and address"},
	{HBAReject, []Stage{StageHBA}, "the first pg_hba.conf record that matches is a reject record"},
	{Password, []Stage{StageAuth}, "the password is wrong, missing on the server, or expired"},
	{NoAuthService, []Stage{StageAuth}, "the server got no answer from the service that it asks about the password (LDAP, RADIUS)"},
	{RealmMismatch, []Stage{StageAuth}, "the realm of the principal is not the krb_realm of the record"},
	{MethodUnsupported, []Stage{StageAuth}, "the client does not support the authentication method that the server asks for"},
	{MethodRejected, []Stage{StageAuth}, "require_auth forbids the method that the server asks for, or its absence"},
	{ChannelBinding, []Stage{StageGSSEnc, StageAuth}, "channel_binding=require, and the exchange has no channel binding (under GSS encryption it cannot); or client and server bind to different data"},
	{PeerMismatch, []Stage{StageAuth}, "the operating system, or the Ident server at the client's address, could not identify the user at the other end of the connection"},
	{MapNoMatch, []Stage{StageIdent}, "the authenticated identity may not become the requested role: its name is another, or the user name map has no match"},
	{RoleMissing, []Stage{StageStartup}, "the role does not exist"},
	{RoleNoLogin, []Stage{StageStartup}, "the role may not log in"},
	{DatabaseMissing, []Stage{StageStartup}, "the database does not exist"},
	{NoPrivilege, []Stage{StageStartup}, "the role has no CONNECT privilege on the database"},
	{NoReplication, []Stage{StageStartup}, "the role lacks the attribute REPLICATION, which a replication connection needs"},
	{TooManyClients, []Stage{StageStartup}, "the connection limit of server, database or role is reached"},
	{ServerStarting, []Stage{StageStartup}, "the server is starting up, shutting down or in recovery"},
	{SettingUnknown, []Stage{StageStartup}, "the client took an option that it does not know for a server setting and sent it to the server, which does not know it either"},
	{SessionUnwanted, []Stage{StageSession}, "the client closed its session: server or session are not what target_session_attrs asks for"},
	{SessionEnded, []Stage{StageSession}, "the server ended the session: it was shut down"},
	{ProtocolViolation, []Stage{StageGSSEnc, StageTLS, StageAuth, StageStartup}, "client or server received bytes or a message that the protocol does not allow at this point"},
	{AnswerError, []Stage{StageGSSEnc, StageTLS}, "the answer to GSSENCRequest or SSLRequest was an error message, which nothing authenticates"},
	{Abandoned, []Stage{StageGSSEnc, StageTLS}, "no refusal: the raw client had nothing more to send, and the server waited for it"},
	{ConnectionLost, []Stage{StageGSSEnc, StageTLS, StageAuth}, "the connection was closed while the client waited for an answer, and not by the server"},
	{TimedOut, []Stage{StageGSSEnc, StageTLS, StageAuth}, "the client received no answer within its connect_timeout"},
	{IntegrityCheck, []Stage{StageGSSEnc, StageTLS}, "an encrypted record was changed on the way: its integrity check failed"},
}

// Channel is how the connection that decided the outcome was protected. Empty when the attempt ended before a connection had
// a channel: in the stages options, credentials and dial, and in a gssenc or tls exchange that was not completed.
type Channel string

const (
	Plain Channel = "plain"
	TLS   Channel = "tls"
	GSS   Channel = "gss"
	// TLSAndGSS must not occur: PostgreSQL refuses one inside the other (CVE-2026-14681). It is in the list so that it can be observed.
	TLSAndGSS Channel = "tls+gss"
)

// Channels lists every channel.
var Channels = []Channel{Plain, TLS, GSS, TLSAndGSS}

// Method is a pg_hba.conf authentication method (PostgreSQL manual, "The pg_hba.conf File"), of the record that
// decided. Empty when no record decided.
type Method string

const (
	MethodTrust    Method = "trust"
	MethodReject   Method = "reject"
	MethodScram    Method = "scram-sha-256"
	MethodMD5      Method = "md5"
	MethodPassword Method = "password"
	MethodGSS      Method = "gss"
	MethodPeer     Method = "peer"
	MethodIdent    Method = "ident"
	MethodCert     Method = "cert"
	MethodPAM      Method = "pam"
	MethodLDAP     Method = "ldap"
	MethodRADIUS   Method = "radius"
)

// Methods lists the methods that outcomes can have. The oracle does not predict pam, ldap and radius; pg_hba.conf knows more (oauth, sspi).
var Methods = []Method{MethodTrust, MethodReject, MethodScram, MethodMD5, MethodPassword, MethodGSS, MethodPeer, MethodIdent, MethodCert,
	MethodPAM, MethodLDAP, MethodRADIUS}

// InClear says whether the method asks the client for the password in the clear.
func (m Method) InClear() bool {
	return m == MethodPassword || m == MethodPAM || m == MethodLDAP || m == MethodRADIUS
}

// Step is one event of a Trace: what can be seen on the wire of the negotiation, over all connections of one attempt. The names follow PostgreSQL's own negotiation test (src/interfaces/libpq/t/005_negotiate_encryption.pl).
type Step string

const (
	StepConnect      Step = "connect"      // the first transport connection of the attempt
	StepReconnect    Step = "reconnect"    // every later one
	StepGSSAccept    Step = "gssaccept"    // GSSENCRequest answered G
	StepGSSReject    Step = "gssreject"    // GSSENCRequest answered N
	StepGSSError     Step = "gsserror"     // GSSENCRequest answered with an error, or not at all
	StepSSLAccept    Step = "sslaccept"    // SSLRequest answered S
	StepSSLReject    Step = "sslreject"    // SSLRequest answered N
	StepSSLError     Step = "sslerror"     // SSLRequest answered with an error, or not at all
	StepDirectAccept Step = "directaccept" // a TLS ClientHello without SSLRequest, answered by a ServerHello
	StepDirectReject Step = "directreject" // the same, answered by anything else
	StepAuthOK       Step = "authok"       // AuthenticationOk was sent
	StepAuthFail     Step = "authfail"     // a startup packet was read and answered with an error before AuthenticationOk
	StepStartFail    Step = "startfail"    // an error after AuthenticationOk and before the first ReadyForQuery
	StepTargetFail   Step = "targetfail"   // the client closed the session: it is not what target_session_attrs asks for
)

// Steps lists every step.
var Steps = []Step{StepConnect, StepReconnect, StepGSSAccept, StepGSSReject, StepGSSError, StepSSLAccept, StepSSLReject, StepSSLError, StepDirectAccept, StepDirectReject, StepAuthOK, StepAuthFail, StepStartFail, StepTargetFail}

// Obtained is the worst thing that the attacker got. Empty if there is no attacker (attack=none).
type Obtained string

const (
	Nothing    Obtained = "nothing"   // the attacker read no startup packet, password or query, and neither client nor server accepted a byte of the attacker's as the other's
	Plaintext  Obtained = "plaintext" // the attacker read at least the startup packet, that is user and database, and everything else that was sent in the clear
	Downgraded Obtained = "downgrade" // the attacker reads the whole session, which is in the clear because of the attack
	InSession  Obtained = "session"   // the client has a session with the attacker: it encrypted for the attacker, or took the attacker for the server
	Injected   Obtained = "injected"  // client or server accepted bytes of the attacker's as the other's: a statement was executed, or a text was shown
)

// Obtaineds lists what can be obtained, the most harmless first.
var Obtaineds = []Obtained{Nothing, Plaintext, Downgraded, InSession, Injected}

// Descent says whether a connected attempt got the protection that it tried first. It is derived from Channel and Trace.
type Descent string

const (
	First     Descent = "first"     // the session has the protection that was tried first
	Fallback  Descent = "fallback"  // the session has a protection that was tried later, and is not a downgrade
	Downgrade Descent = "downgrade" // the session is plaintext although encryption was tried before it
)
