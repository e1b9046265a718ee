package gssenc

import (
	"fmt"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
)

// Stage says where a security context, or the connection over it, was when it failed.
type Stage string

// The stages, in the order in which a connection passes them.
const (
	StageConfig      Stage = "configuration" // options and krb5.conf
	StageCredentials Stage = "credentials"   // reading a ccache or keytab, AS exchange
	StageTicket      Stage = "ticket"        // TGS exchange, choice of the service ticket
	StageDial        Stage = "dial"          // the transport below
	StageRequest     Stage = "request"       // GSSENCRequest and the byte that answers it
	StageToken       Stage = "token"         // framing and mechanism of a context token
	StageAnswer      Stage = "answer"        // what the acceptor's token says: AP-REP, KRB-ERROR, NegTokenResp
	StageContext     Stage = "context"       // a context used before it was established, or after it failed
	StagePacket      Stage = "packet"        // a wrap token, or the packet it came in
)

// Error is the type of every error of this package. Err holds the cause: an operating system error, an error of the KDC
// or of the acceptor (errors.As finds *KRBError), or one of the sentinels below.
type Error struct {
	Stage Stage
	Err   error
}

func (e *Error) Error() string { return "gssenc: " + string(e.Stage) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func failf(stage Stage, format string, args ...any) error {
	return &Error{Stage: stage, Err: fmt.Errorf(format, args...)}
}

// KRBError is a KRB-ERROR message (RFC 4120 5.9.1). It is not signed: anyone on the way could have sent it.
type KRBError struct {
	From string // "KDC" or "acceptor"
	Code int32  // RFC 4120 7.5.9
	Text string // of a KDC, made printable and cut; may be empty. What an acceptor says is not kept (CVE-2024-10977)
}

func (e *KRBError) Error() string {
	text := fmt.Sprintf("%s refuses (unauthenticated): %s", e.From, errorcode.Lookup(e.Code))
	if e.Text != "" {
		text += fmt.Sprintf(" (%q)", e.Text)
	}
	return text
}
