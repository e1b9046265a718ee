package gssenc

import "context"

// InitOptions say which security context is wanted. Mutual authentication, replay and sequence detection, confidentiality
// and integrity are always asked for: PostgreSQL's GSS encryption needs them all.
type InitOptions struct {
	SPN      string // service/host[@REALM]
	Delegate bool   // send a forwarded TGT (RFC 4121 4.1.1); needs a forwardable one
	SPNEGO   bool   // negotiate by RFC 4178 instead of sending the Kerberos token itself
}

// Initiator is the client half of one security context that is being established. It is for one goroutine.
type Initiator struct{}

// Initiate gets the service ticket: from the ccache if it has a valid one, else from the KDC.
func (c *Credentials) Initiate(ctx context.Context, o InitOptions) (*Initiator, error) {
	return nil, failf(StageTicket, "not built yet")
}

// Step takes the acceptor's token (nil in the first call) and returns the token to send, if any. Done is true only after
// the AP-REP has been decrypted and checked.
func (i *Initiator) Step(in []byte) (out []byte, done bool, err error) {
	return nil, false, failf(StageContext, "not built yet")
}

// Context returns the established context.
func (i *Initiator) Context() (*Context, error) { return nil, failf(StageContext, "not built yet") }
