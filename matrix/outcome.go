package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// End says how an attempt ended. The zero value is invalid: an Outcome that nobody filled in must never compare
// equal to one that somebody did.
type End string

const (
	Connected End = "connected" // a session was opened and answered a query
	Refused   End = "refused"   // no session: somebody on the way said no
)

// Stage is where an attempt ended, in the order a connection passes them. A connected attempt ends in StageSession.
type Stage string

const (
	StageOptions     Stage = "options"     // the client rejected its own settings; no socket was opened for that reason
	StageCredentials Stage = "credentials" // the client had nothing to authenticate with (no Kerberos ticket, no password)
	StageDial        Stage = "dial"        // the transport (TCP, unix socket) could not be opened
	StageGSSEnc      Stage = "gssenc"      // GSSENCRequest and the GSS context that encrypts the connection
	StageTLS         Stage = "tls"         // SSLRequest or direct TLS, and the TLS handshake with its certificate checks
	StageHBA         Stage = "hba"         // the choice of the pg_hba.conf record
	StageAuth        Stage = "auth"        // the exchange that the record's method asks for, and the client's checks on it
	StageIdent       Stage = "ident"       // from the authenticated identity to the database role (pg_ident.conf)
	StageStartup     Stage = "startup"     // after AuthenticationOk: role, database, limits
	StageSession     Stage = "session"     // the session exists
)

// Stages lists every stage in order.
var Stages = []Stage{StageOptions, StageCredentials, StageDial, StageGSSEnc, StageTLS, StageHBA, StageAuth, StageIdent, StageStartup, StageSession}

// Reason names why an attempt was refused. The list is closed: see Reasons. Empty when connected.
type Reason string

const (
	BadOptions        Reason = "bad-options"
	GSSOnUnixSocket   Reason = "gss-on-unix-socket"
	NoTicket          Reason = "no-ticket"
	NoPassword        Reason = "no-password"
	DialRefused       Reason = "dial-refused"
	DialTimeout       Reason = "dial-timeout"
	GSSRefused        Reason = "gss-refused"
	GSSHandshake      Reason = "gss-handshake"
	TicketExpired     Reason = "ticket-expired"
	SPNUnknown        Reason = "spn-unknown"
	ClockSkew         Reason = "clock-skew"
	KeytabMissing     Reason = "keytab-missing"
	KeytabMismatch    Reason = "keytab-mismatch"
	Enctype           Reason = "enctype"
	ServerUnproven    Reason = "server-unproven"
	KDCUnreachable    Reason = "kdc-unreachable"
	TLSRefused        Reason = "tls-refused"
	DirectTLSRefused  Reason = "direct-tls-refused"
	TLSHandshake      Reason = "tls-handshake"
	RootMissing       Reason = "root-missing"
	ServerCertTrust   Reason = "server-cert-untrusted"
	ServerCertName    Reason = "server-cert-name"
	ServerCertExpired Reason = "server-cert-expired"
	ServerCertRevoked Reason = "server-cert-revoked"
	CertMissing       Reason = "cert-missing"
	CertUntrusted     Reason = "cert-untrusted"
	CertExpired       Reason = "cert-expired"
	CertRevoked       Reason = "cert-revoked"
	CertNameMismatch  Reason = "cert-name-mismatch"
	NoHBAEntry        Reason = "no-hba-entry"
	HBAReject         Reason = "hba-reject"
	Password          Reason = "password"
	RealmMismatch     Reason = "realm-mismatch"
	MethodUnsupported Reason = "method-unsupported"
	MethodRejected    Reason = "method-rejected"
	ChannelBinding    Reason = "channel-binding"
	PeerMismatch      Reason = "peer-mismatch"
	MapNoMatch        Reason = "map-no-match"
	RoleMissing       Reason = "role-missing"
	RoleNoLogin       Reason = "role-no-login"
	DatabaseMissing   Reason = "database-missing"
	NoPrivilege       Reason = "no-connect-privilege"
	TooManyClients    Reason = "too-many-clients"
	ServerStarting    Reason = "server-starting"
	SettingUnknown    Reason = "setting-unknown"
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
	Stages  []Stage // where this reason can be the last word
	Meaning string  // one line, for people
}

// Reasons is the closed list. A reason outside the stages named here makes an Outcome invalid.
var Reasons = []ReasonInfo{
	{BadOptions, []Stage{StageOptions}, "the client's settings contradict each other, or name something it does not know"},
	{GSSOnUnixSocket, []Stage{StageOptions}, "GSS encryption was required on a unix-domain socket, where there is none"},
	{NoTicket, []Stage{StageCredentials, StageAuth}, "the client has no Kerberos credential cache, or no ticket in it"},
	{NoPassword, []Stage{StageAuth}, "the server asked for a password and the client was given none"},
	{DialRefused, []Stage{StageDial}, "nothing listens there: connection refused, or no such socket"},
	{DialTimeout, []Stage{StageDial}, "no answer from the server's address in time"},
	{GSSRefused, []Stage{StageGSSEnc}, "the server answered N to GSSENCRequest and the client insists on GSS encryption"},
	{GSSHandshake, []Stage{StageGSSEnc, StageAuth}, "the GSS context could not be established, for a reason that neither end states"},
	{TicketExpired, []Stage{StageGSSEnc, StageAuth}, "the ticket-granting ticket or service ticket is past its end time"},
	{SPNUnknown, []Stage{StageGSSEnc, StageAuth}, "the KDC does not know the service principal that the client asked for"},
	{ClockSkew, []Stage{StageGSSEnc, StageAuth}, "the clocks of client, KDC and server are further apart than Kerberos allows"},
	{KeytabMissing, []Stage{StageGSSEnc, StageAuth}, "the server has no keytab, or none it can read"},
	{KeytabMismatch, []Stage{StageGSSEnc, StageAuth}, "the server's keytab holds no key for this ticket: another principal, key version or key"},
	{Enctype, []Stage{StageGSSEnc, StageAuth}, "client, KDC and server share no permitted encryption type"},
	{ServerUnproven, []Stage{StageGSSEnc, StageAuth}, "the server's Kerberos token does not prove that it holds the service's key"},
	{KDCUnreachable, []Stage{StageGSSEnc, StageAuth}, "the client reached no KDC of the realm"},
	{TLSRefused, []Stage{StageTLS}, "the server answered N to SSLRequest and the client insists on TLS"},
	{DirectTLSRefused, []Stage{StageTLS}, "the server does not take a TLS handshake without SSLRequest"},
	{TLSHandshake, []Stage{StageTLS}, "the TLS handshake failed: no common version, cipher or protocol"},
	{RootMissing, []Stage{StageTLS}, "the client must verify the server's certificate and has no root certificate to do it with"},
	{ServerCertTrust, []Stage{StageTLS}, "the server's certificate is not signed by a root that the client trusts"},
	{ServerCertName, []Stage{StageTLS}, "the server's certificate is for another host name"},
	{ServerCertExpired, []Stage{StageTLS}, "the server's certificate is outside its validity period, or the client's revocation list is: TLS has one alert for both"},
	{ServerCertRevoked, []Stage{StageTLS}, "the server's certificate is on the client's revocation list"},
	{CertMissing, []Stage{StageAuth}, "the record asks for a client certificate and none was presented"},
	{CertUntrusted, []Stage{StageTLS}, "the client's certificate is not signed by a CA that the server trusts"},
	{CertExpired, []Stage{StageTLS}, "the client's certificate is outside its validity period"},
	{CertRevoked, []Stage{StageTLS}, "the client's certificate is on the server's revocation list"},
	{CertNameMismatch, []Stage{StageAuth}, "the name in the client's certificate is not the role it asks for"},
	{NoHBAEntry, []Stage{StageHBA}, "no pg_hba.conf record matches this channel, database, user and address"},
	{HBAReject, []Stage{StageHBA}, "the first matching pg_hba.conf record says reject"},
	{Password, []Stage{StageAuth}, "the password is wrong, missing on the server, or expired"},
	{RealmMismatch, []Stage{StageAuth}, "the principal's realm is not the krb_realm of the record"},
	{MethodUnsupported, []Stage{StageAuth}, "the client library cannot do the method that the server asks for"},
	{MethodRejected, []Stage{StageAuth}, "require_auth forbids the method that the server asks for, or its absence"},
	{ChannelBinding, []Stage{StageGSSEnc, StageAuth}, "channel_binding=require and the exchange had none, or could have none under GSS encryption; or the ends do not agree on what it binds to"},
	{PeerMismatch, []Stage{StageAuth}, "the operating system could not name the user at the other end of the socket"},
	{MapNoMatch, []Stage{StageIdent}, "the authenticated identity may not become the role it asks for"},
	{RoleMissing, []Stage{StageStartup}, "there is no such role"},
	{RoleNoLogin, []Stage{StageStartup}, "the role may not log in"},
	{DatabaseMissing, []Stage{StageStartup}, "there is no such database"},
	{NoPrivilege, []Stage{StageStartup}, "the role has no CONNECT privilege on the database"},
	{TooManyClients, []Stage{StageStartup}, "connection limit reached"},
	{ServerStarting, []Stage{StageStartup}, "the server is starting up, shutting down or in recovery"},
	{SettingUnknown, []Stage{StageStartup}, "the client does not know a setting of its own, and has sent it to the server, which does not know it either"},
	{ProtocolViolation, []Stage{StageGSSEnc, StageTLS, StageHBA, StageAuth, StageStartup}, "one end noticed bytes that have no place there, or a message that is not its turn"},
	{AnswerError, []Stage{StageGSSEnc, StageTLS}, "the answer to GSSENCRequest or SSLRequest was an error message, which nobody has vouched for"},
	{Abandoned, []Stage{StageGSSEnc, StageTLS, StageAuth}, "nobody said no: the raw client had no more to send, and the server waited for it"},
	{ConnectionLost, []Stage{StageGSSEnc, StageTLS, StageAuth}, "the connection ended where the client waited for an answer, and the server had not ended it"},
	{TimedOut, []Stage{StageGSSEnc, StageTLS, StageAuth}, "no answer came to the client within its connect_timeout"},
	{IntegrityCheck, []Stage{StageGSSEnc, StageTLS}, "a sealed record is not what the other end has sealed"},
}

// Channel is how the connection that decided the outcome was protected. Empty when the attempt ended before any
// connection had a channel (stages options, credentials, dial, gssenc, tls).
type Channel string

const (
	Plain Channel = "plain"
	TLS   Channel = "tls"
	GSS   Channel = "gss"
	// TLSAndGSS must never be seen: PostgreSQL refuses one inside the other (CVE-2026-14681). Seeing it is a finding.
	TLSAndGSS Channel = "tls+gss"
)

// Channels lists every channel.
var Channels = []Channel{Plain, TLS, GSS, TLSAndGSS}

// Method is a pg_hba.conf authentication method (PostgreSQL manual, "The pg_hba.conf File"), of the record that
// decided. Empty when no record decided. MethodReject is the method of a reject record.
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
)

// Methods lists the methods that outcomes can name; pg_hba.conf itself knows more, which the oracle refuses to predict.
var Methods = []Method{MethodTrust, MethodReject, MethodScram, MethodMD5, MethodPassword, MethodGSS, MethodPeer, MethodIdent, MethodCert}

// Step is one event of a Trace: what an observer beside the wire sees of the negotiation, over all connections of
// one attempt. The names follow PostgreSQL's own negotiation test (src/interfaces/libpq/t/005_negotiate_encryption.pl).
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
)

// Steps lists every step.
var Steps = []Step{StepConnect, StepReconnect, StepGSSAccept, StepGSSReject, StepGSSError, StepSSLAccept, StepSSLReject, StepSSLError, StepDirectAccept, StepDirectReject, StepAuthOK, StepAuthFail, StepStartFail}

// Obtained is what somebody between client and server has of an attempt, the worst of it. Empty where nobody stands
// there (attack=none).
type Obtained string

const (
	Nothing    Obtained = "nothing"   // he read no startup packet, password or query, and neither end took a byte of his for the other's
	Plaintext  Obtained = "plaintext" // he read at least the startup packet: who connects to what, and whatever else went that way
	Downgraded Obtained = "downgrade" // he reads a whole session that is in the clear because of what he did
	InSession  Obtained = "session"   // the client has a session with him: it encrypted for him, or took him for the server
	Injected   Obtained = "injected"  // an end took bytes of his for the other's: a statement was executed, a text was shown
)

// Obtaineds lists what can be obtained, the least first.
var Obtaineds = []Obtained{Nothing, Plaintext, Downgraded, InSession, Injected}

// Descent says whether a connected attempt got the first thing it tried. It is derived from Channel and Trace.
type Descent string

const (
	First     Descent = "first"     // the first protection that was tried carries the session
	Fallback  Descent = "fallback"  // a later one does, and it is still encrypted
	Downgrade Descent = "downgrade" // the session is plaintext although encryption was tried before it
)

// Outcome is what an attempt amounts to: the same type for predicted, observed and approved. Every field is always
// compared. Source of the vocabulary: shared design, section 5.
type Outcome struct {
	End      End      `json:"end"`
	Stage    Stage    `json:"stage"`
	Reason   Reason   `json:"reason,omitempty"`
	Channel  Channel  `json:"channel,omitempty"`
	Method   Method   `json:"method,omitempty"`
	Identity string   `json:"identity,omitempty"` // principal, certificate DN, OS user or role name that the server authenticated; empty for trust
	Role     string   `json:"role,omitempty"`     // session_user of a connected attempt; empty when refused
	Rule     string   `json:"rule,omitempty"`     // FILE:LINE of the pg_hba.conf record that decided, FILE a base name
	Trace    []Step   `json:"trace,omitempty"`    // as the client experienced it
	Obtains  Obtained `json:"obtains,omitempty"`  // what the attacker has of it
}

// Descent derives how far the attempt came down from what it tried first; empty unless connected.
func (o Outcome) Descent() Descent {
	if o.End != Connected {
		return ""
	}
	tried := 0
	for _, s := range o.Trace {
		switch s {
		case StepGSSAccept, StepGSSReject, StepGSSError, StepSSLAccept, StepSSLReject, StepSSLError, StepDirectAccept, StepDirectReject, StepReconnect:
			tried++
		}
	}
	switch {
	case o.Channel == Plain && slices.ContainsFunc(o.Trace, isEncryptionStep):
		return Downgrade
	case o.Channel == Plain && tried == 0, o.Channel != Plain && tried <= 1:
		return First
	default:
		return Fallback
	}
}

func isEncryptionStep(s Step) bool {
	return strings.HasPrefix(string(s), "gss") || strings.HasPrefix(string(s), "ssl") || strings.HasPrefix(string(s), "direct")
}

// Validate reports the first rule of the vocabulary that the outcome breaks, or nil. The zero Outcome is invalid.
func (o Outcome) Validate() error {
	switch o.End {
	case Connected:
		if o.Stage != StageSession || o.Reason != "" {
			return fmt.Errorf("a connected outcome ends in stage session and has no reason, not %q %q", o.Stage, o.Reason)
		}
		if o.Channel == "" || o.Role == "" {
			return fmt.Errorf("a connected outcome needs a channel and a role")
		}
	case Refused:
		i := slices.IndexFunc(Reasons, func(r ReasonInfo) bool { return r.Reason == o.Reason })
		if i < 0 {
			return fmt.Errorf("unknown reason %q", o.Reason)
		}
		if !slices.Contains(Reasons[i].Stages, o.Stage) {
			return fmt.Errorf("reason %s cannot end stage %q (only %v)", o.Reason, o.Stage, Reasons[i].Stages)
		}
		if o.Role != "" {
			return fmt.Errorf("a refused outcome has no role")
		}
	default:
		return fmt.Errorf("end is %q, not connected or refused", o.End)
	}
	if o.Channel != "" && !slices.Contains(Channels, o.Channel) {
		return fmt.Errorf("unknown channel %q", o.Channel)
	}
	if o.Method != "" && !slices.Contains(Methods, o.Method) {
		return fmt.Errorf("unknown method %q", o.Method)
	}
	for _, s := range o.Trace {
		if !slices.Contains(Steps, s) {
			return fmt.Errorf("unknown step %q in trace", s)
		}
	}
	if o.Obtains != "" && !slices.Contains(Obtaineds, o.Obtains) {
		return fmt.Errorf("nobody can obtain %q", o.Obtains)
	}
	return nil
}

// Field names one field of an Outcome, as differences, expect rows and reports name it.
type Field string

const (
	FieldEnd      Field = "end"
	FieldStage    Field = "stage"
	FieldReason   Field = "reason"
	FieldChannel  Field = "channel"
	FieldMethod   Field = "method"
	FieldIdentity Field = "identity"
	FieldRole     Field = "role"
	FieldRule     Field = "rule"
	FieldTrace    Field = "trace"
	FieldObtains  Field = "obtains"
	FieldDescent  Field = "descent"
)

// Fields lists the fields in the order they are written. Descent is last and derived: it can be expected, and follows
// from the others when whole outcomes are compared.
var Fields = []Field{FieldEnd, FieldStage, FieldReason, FieldChannel, FieldMethod, FieldIdentity, FieldRole, FieldRule, FieldTrace, FieldObtains, FieldDescent}

// Get returns a field's text; empty means absent.
func (o Outcome) Get(f Field) string {
	switch f {
	case FieldEnd:
		return string(o.End)
	case FieldStage:
		return string(o.Stage)
	case FieldReason:
		return string(o.Reason)
	case FieldChannel:
		return string(o.Channel)
	case FieldMethod:
		return string(o.Method)
	case FieldIdentity:
		return o.Identity
	case FieldRole:
		return o.Role
	case FieldRule:
		return o.Rule
	case FieldTrace:
		return joinSteps(o.Trace)
	case FieldObtains:
		return string(o.Obtains)
	case FieldDescent:
		return string(o.Descent())
	}
	panic("matrix: no such outcome field: " + string(f))
}

func joinSteps(steps []Step) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

// String writes the outcome in the form that ParseOutcome reads:
//
//	connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
//	refused at hba, no-hba-entry, channel plain, trace connect gssreject authfail
func (o Outcome) String() string {
	var parts []string
	if o.End == Connected {
		parts = append(parts, "connected "+string(o.Channel))
	} else {
		parts = append(parts, string(o.End)+" at "+string(o.Stage))
		if o.Reason != "" {
			parts = append(parts, string(o.Reason))
		}
		if o.Channel != "" {
			parts = append(parts, "channel "+string(o.Channel))
		}
	}
	if o.Method != "" {
		parts = append(parts, "method "+string(o.Method))
	}
	if o.Identity != "" {
		parts = append(parts, "identity "+quoteIfNeeded(o.Identity))
	}
	if o.Role != "" {
		parts = append(parts, "role "+quoteIfNeeded(o.Role))
	}
	if o.Rule != "" {
		parts = append(parts, shortRule(o.Rule))
	}
	if len(o.Trace) > 0 {
		parts = append(parts, "trace "+joinSteps(o.Trace))
	}
	if o.Obtains != "" {
		parts = append(parts, "obtains "+string(o.Obtains))
	}
	return strings.Join(parts, ", ")
}

// HBAFile is the base name that rules of the scenario's own hba text carry.
const HBAFile = "pg_hba.conf"

func shortRule(rule string) string {
	if line, ok := strings.CutPrefix(rule, HBAFile+":"); ok {
		return "hba:" + line
	}
	return "rule " + quoteIfNeeded(rule)
}

// quoteIfNeeded quotes what would not come back as it is from a part between commas.
func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, ",\"") || s != strings.TrimSpace(s) || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}

// Partial is an outcome of which only some fields are stated: an expect row's `then`, or a whole golden line.
type Partial struct {
	descent Descent
	Outcome Outcome
	Stated  []Field
}

// OutcomeError is a mistake in an outcome's text.
type OutcomeError struct {
	Offset int    // of the part that is wrong, in bytes
	Wrong  string // what is wrong
	Right  string // what would be right
}

func (e *OutcomeError) Error() string { return e.Wrong + "; " + e.Right }

// ParseOutcome reads the text form that String writes; every part but the first is optional, in any order, and
// `descent first|fallback|downgrade` is one more. The error is an *OutcomeError.
func ParseOutcome(text string) (Partial, error) {
	p := outcomeParser{offsets: map[Field]int{}}
	start := 0
	for i, part := range splitOutsideQuotes(text) {
		offset := start + len(part) - len(strings.TrimLeft(part, " \t\n"))
		start += len(part) + 1
		var err *OutcomeError
		switch words := strings.Fields(part); {
		case i == 0:
			err = p.parseEnd(words)
		case len(words) == 0:
			err = &OutcomeError{Wrong: "nothing between two commas", Right: "leave one comma out"}
		default:
			err = p.parsePart(words, part)
		}
		if err != nil {
			err.Offset = offset
			return p.Partial, err
		}
		for _, f := range p.Stated {
			if _, known := p.offsets[f]; !known {
				p.offsets[f] = offset
			}
		}
	}
	if err := p.check(); err != nil {
		return p.Partial, err
	}
	return p.Partial, nil
}

type outcomeParser struct {
	Partial
	offsets map[Field]int // of the parts that state them
}

func (p *outcomeParser) state(f Field) *OutcomeError {
	if slices.Contains(p.Stated, f) {
		return &OutcomeError{Wrong: string(f) + " is stated twice", Right: "state it once"}
	}
	p.Stated = append(p.Stated, f)
	return nil
}

// oneOf reads a word of a closed list.
func oneOf[T ~string](what string, word string, list []T) (T, *OutcomeError) {
	if slices.Contains(list, T(word)) {
		return T(word), nil
	}
	return "", &OutcomeError{Wrong: fmt.Sprintf("no %s %q", what, word), Right: suggest(word, stringsOf(list))}
}

func stringsOf[T ~string](list []T) []string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return words
}

func (p *outcomeParser) parseEnd(words []string) (err *OutcomeError) {
	p.Stated = append(p.Stated, FieldEnd)
	switch {
	case len(words) == 1 && words[0] == string(Connected):
		p.Outcome.End, p.Outcome.Stage = Connected, StageSession
		return nil
	case len(words) == 2 && words[0] == string(Connected):
		p.Outcome.End, p.Outcome.Stage = Connected, StageSession
		if p.Outcome.Channel, err = oneOf("channel", words[1], Channels); err != nil {
			return err
		}
		return p.state(FieldChannel)
	case len(words) == 1 && words[0] == string(Refused):
		p.Outcome.End = Refused
		return nil
	case len(words) == 3 && words[0] == string(Refused) && words[1] == "at":
		p.Outcome.End = Refused
		if p.Outcome.Stage, err = oneOf("stage to be refused at", words[2], Stages[:len(Stages)-1]); err != nil {
			return err
		}
		return p.state(FieldStage)
	}
	return &OutcomeError{
		Wrong: fmt.Sprintf("an outcome cannot start with %q", strings.Join(words, " ")),
		Right: "want \"connected\", \"connected CHANNEL\", \"refused\" or \"refused at STAGE\", as in \"connected gss, role alice\"",
	}
}

func (p *outcomeParser) parsePart(words []string, part string) (err *OutcomeError) {
	o := &p.Outcome
	if line, ok := strings.CutPrefix(words[0], "hba:"); ok && len(words) == 1 {
		if n, err := strconv.Atoi(line); err != nil || n < 1 {
			return &OutcomeError{Wrong: fmt.Sprintf("no line number in %q", words[0]), Right: "want hba:LINE, a line of the scenario's hba text, counted from 1"}
		}
		o.Rule = HBAFile + ":" + line
		return p.state(FieldRule)
	}
	value := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(part), words[0]))
	if strings.HasPrefix(value, `"`) {
		unquoted, err := strconv.Unquote(value)
		if err != nil {
			return &OutcomeError{Wrong: value + " is not a quoted text", Right: `want "…" with \" and \\ inside, or no quotes`}
		}
		value = unquoted
	} else if value == "" && slices.Contains(partWords, words[0]) && words[0] != "trace" {
		return &OutcomeError{Wrong: words[0] + " has no value", Right: fmt.Sprintf("want \"%s VALUE\", or leave it out", words[0])}
	}
	switch words[0] {
	case "channel":
		if o.Channel, err = oneOf("channel", value, Channels); err != nil {
			return err
		}
		return p.state(FieldChannel)
	case "method":
		if o.Method, err = oneOf("method", value, Methods); err != nil {
			return err
		}
		return p.state(FieldMethod)
	case "identity":
		o.Identity = value
		return p.state(FieldIdentity)
	case "role":
		o.Role = value
		return p.state(FieldRole)
	case "rule":
		o.Rule = value
		return p.state(FieldRule)
	case "trace":
		for _, w := range words[1:] {
			step, err := oneOf("step", w, Steps)
			if err != nil {
				return err
			}
			o.Trace = append(o.Trace, step)
		}
		return p.state(FieldTrace)
	case "obtains":
		if o.Obtains, err = oneOf("thing to obtain", value, Obtaineds); err != nil {
			return err
		}
		return p.state(FieldObtains)
	case "descent":
		if p.descent, err = oneOf("descent", value, []Descent{First, Fallback, Downgrade}); err != nil {
			return err
		}
		return p.state(FieldDescent)
	}
	if len(words) == 1 {
		names := reasonNames()
		if !slices.Contains(names, words[0]) {
			right := "docs/scenarios.md lists the reasons"
			if near := nearest(words[0], names); near != "" {
				right = fmt.Sprintf("did you mean %q?", near)
			}
			return &OutcomeError{Wrong: fmt.Sprintf("%q is no reason", words[0]), Right: right}
		}
		o.Reason = Reason(words[0])
		return p.state(FieldReason)
	}
	return &OutcomeError{Wrong: fmt.Sprintf("%q does not start a part of an outcome", words[0]), Right: suggest(words[0], partWords) + ", hba:LINE or a reason"}
}

// partWords start the parts of an outcome that have a value.
var partWords = []string{"channel", "method", "identity", "role", "rule", "trace", "obtains", "descent"}

func reasonNames() []string {
	names := make([]string, len(Reasons))
	for i, r := range Reasons {
		names[i] = string(r.Reason)
	}
	return names
}

// reasonsAt are the reasons that can be the last word at a stage.
func reasonsAt(stage Stage) []string {
	var names []string
	for _, r := range Reasons {
		if slices.Contains(r.Stages, stage) {
			names = append(names, string(r.Reason))
		}
	}
	return names
}

// check applies Outcome.Validate as far as the stated fields allow it.
func (p *outcomeParser) check() *OutcomeError {
	o := p.Outcome
	if o.End == Connected {
		if o.Reason != "" {
			return &OutcomeError{p.offsets[FieldReason], fmt.Sprintf("a connected outcome has no reason, here %s", o.Reason), "leave it out, or say refused"}
		}
		return nil
	}
	switch at := p.offsets; {
	case p.descent != "":
		return &OutcomeError{at[FieldDescent], "descent of a refused outcome", "leave it out: only connected outcomes have one"}
	case o.Role != "":
		return &OutcomeError{at[FieldRole], "role of a refused outcome", "leave it out: nobody became a role"}
	case o.Reason == "" && o.Stage == "":
		return &OutcomeError{0, `"refused" alone does not say why`, `name stage and reason, as in "refused at hba, no-hba-entry"`}
	case o.Reason == "":
		return &OutcomeError{0, fmt.Sprintf(`"refused at %s" does not say why`, o.Stage), "add " + orList(reasonsAt(o.Stage))}
	case o.Stage != "" && !slices.Contains(reasonsAt(o.Stage), string(o.Reason)):
		i := slices.IndexFunc(Reasons, func(r ReasonInfo) bool { return r.Reason == o.Reason })
		return &OutcomeError{at[FieldReason], fmt.Sprintf("%s is no reason at stage %s", o.Reason, o.Stage), "say refused at " + orList(stringsOf(Reasons[i].Stages))}
	}
	return nil
}

// Get returns a stated field's text.
func (p Partial) Get(f Field) string {
	if f == FieldDescent {
		return string(p.descent)
	}
	return p.Outcome.Get(f)
}

// EditDistance is the number of letters to insert, leave out, replace or swap with their neighbour (optimal string
// alignment), in bytes; the names compared here are ASCII.
func EditDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			substitution := last[j]
			if a[i] != b[j] {
				substitution++
			}
			row[j+1] = min(substitution, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

func splitOutsideQuotes(text string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}
