package gssenc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// InitOptions say which security context is wanted. Mutual authentication, replay and sequence detection, confidentiality
// and integrity are always asked for: PostgreSQL's GSS encryption needs them all. There are no channel bindings.
type InitOptions struct {
	// SPN is service/host[@REALM], taken as it is: no DNS look-up, no change to lower case:
	// dns_canonicalize_hostname and rdns of krb5.conf do not apply. Without a realm see domain_realm in krb5.conf(5).
	SPN string
	// Delegate sends a forwarded TGT along (RFC 4121 4.1.1). If there is none to forward, for any reason, the context is made
	// without it, as libpq does; see Initiator.Delegated.
	Delegate bool
	// RequireDelegation is Delegate, and an error of StageTicket if no TGT can be forwarded.
	RequireDelegation bool
	// SPNEGO negotiates by RFC 4178 instead of sending the Kerberos token itself.
	SPNEGO bool
}

// Initiator is the client half of one security context that is being established. It is for one goroutine.
type Initiator struct {
	from      *Credentials // of ticket; nil in tests
	ticket    *ticket
	acceptor  string
	session   types.EncryptionKey
	subkey    types.EncryptionKey // ours
	time      time.Time
	seq       uint32
	request   []byte // the Kerberos token
	delegated bool
	spnego    *negotiation // nil: not asked for
	state     initiatorState
	context   *Context
}

type initiatorState int

const (
	stateStart initiatorState = iota
	stateSent
	stateDone
	stateFailed
)

// Flags of the checksum field, RFC 4121 4.1.1.1.
const (
	gssDelegate   = 1 << 0
	gssMutual     = 1 << 1
	gssReplay     = 1 << 2
	gssSequence   = 1 << 3
	gssConf       = 1 << 4
	gssInteg      = 1 << 5
	gssChecksum   = 0x8003
	seqNumberMask = 1<<30 - 1 // some implementations read it as signed, RFC 4120 5.5.1
)

const apMutualRequired = 1 << (31 - flags.APOptionMutualRequired) // of APOptions, RFC 4120 5.5.1: bit 0 is the highest

// Token ids of RFC 4121 4.1.
const (
	tokenAPReq = 0x0100
	tokenAPRep = 0x0200
	tokenError = 0x0300
)

// Initiate gets the service ticket: from the ccache if it has a valid one, else from the KDC. Errors are of StageTicket; a
// refusal of the KDC is a *KRBError.
//
// The ticket may have any session key that gokrb5 knows: with RC4 or DES3 the initiator's subkey is of
// aes256-cts-hmac-sha1-96, and the context fails at StageAnswer if the acceptor then chooses one that is not of AES.
func (c *Credentials) Initiate(ctx context.Context, o InitOptions) (*Initiator, error) {
	server, err := parsePrincipal(o.SPN, nametype.KRB_NT_SRV_HST)
	if err != nil {
		return nil, &Error{StageTicket, err}
	}
	return c.initiate(ctx, server, o)
}

func (c *Credentials) initiate(ctx context.Context, server principal, o InitOptions) (*Initiator, error) {
	t, err := c.serviceTicket(ctx, server)
	if err != nil {
		return nil, at(StageTicket, err)
	}
	var tgt *ticket
	if o.Delegate || o.RequireDelegation {
		if tgt, err = c.forwarded(ctx); err != nil && (o.RequireDelegation || ctx.Err() != nil) {
			return nil, failf(StageTicket, "a ticket to forward: %w", err)
		}
	}
	i, err := newInitiator(t, tgt)
	if err != nil {
		return nil, &Error{StageToken, err}
	}
	i.from = c
	if o.SPNEGO {
		i.spnego = new(negotiation)
	}
	return i, nil
}

func newInitiator(t, tgt *ticket) (*Initiator, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	i := &Initiator{
		ticket: t, acceptor: t.server.String(), session: t.key, delegated: tgt != nil,
		time: moment(), seq: binary.BigEndian.Uint32(random[:]) & seqNumberMask,
	}
	etype := Etype(t.key.KeyType)
	if _, ok := profiles[etype]; !ok {
		etype = Etype(defaultEtypes()[0])
	}
	i.subkey = types.EncryptionKey{KeyType: int32(etype), KeyValue: make([]byte, profiles[etype].key)}
	if _, err := rand.Read(i.subkey.KeyValue); err != nil {
		return nil, err
	}
	sum := make([]byte, 24, 28)
	sum[0] = 16 // length of the channel bindings, which are zero: none
	gssFlags := uint32(gssMutual | gssReplay | gssSequence | gssConf | gssInteg)
	if tgt != nil {
		cred, err := krbCred(t.key, tgt)
		if err != nil {
			return nil, err
		}
		if len(cred) > 0xFFFF {
			return nil, fmt.Errorf("a forwarded ticket of %d octets; RFC 4121 has room for 65535", len(cred))
		}
		gssFlags |= gssDelegate
		sum = binary.LittleEndian.AppendUint16(sum, 1)
		sum = binary.LittleEndian.AppendUint16(sum, uint16(len(cred)))
		sum = append(sum, cred...)
	}
	binary.LittleEndian.PutUint32(sum[20:], gssFlags)
	req, err := apReq(t, authenticator{
		time: i.time, sum: types.Checksum{CksumType: gssChecksum, Checksum: sum}, subkey: &i.subkey, seq: i.seq,
	}, keyusage.AP_REQ_AUTHENTICATOR, apMutualRequired)
	if err != nil {
		return nil, err
	}
	i.request, err = mechToken(tokenAPReq, req)
	return i, err
}

// krbCred is a KRB-CRED with a forwarded TGT (RFC 4120 5.8.1), encrypted with the session key.
func krbCred(session types.EncryptionKey, tgt *ticket) ([]byte, error) {
	part, err := message(asnAppTag.EncKrbCredPart, func(b *cryptobyte.Builder) {
		addSequence(b, 0, func(b *cryptobyte.Builder) { // of one ticket's
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addTyped(b, 0, tgt.key.KeyType, tgt.key.KeyValue)
				addRealm(b, 1, tgt.client.realm)
				addPrincipal(b, 2, tgt.client.PrincipalName)
				addBits(b, 3, tgt.flags)
				addTime(b, 4, tgt.auth)
				addTime(b, 5, tgt.start)
				addTime(b, 6, tgt.end)
				addTime(b, 7, tgt.renew)
				addRealm(b, 8, tgt.server.realm)
				addPrincipal(b, 9, tgt.server.PrincipalName)
			})
		})
	})
	if err != nil {
		return nil, err
	}
	sealed, err := encryptData(part, session, keyusage.KRB_CRED_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	return message(asnAppTag.KRBCred, func(b *cryptobyte.Builder) {
		addInt(b, 0, iana.PVNO)
		addInt(b, 1, msgtype.KRB_CRED)
		addSequence(b, 2, func(b *cryptobyte.Builder) { b.AddBytes(tgt.encoded) })
		addEncrypted(b, 3, sealed)
	})
}

// Step takes the acceptor's token (nil in the first call) and returns the token to send, if any; also together with done, in
// SPNEGO. Done is true only after the AP-REP has been decrypted and checked. After an error the initiator is of no more use, and
// its ticket is not used again where another can be had: the service may have new keys.
// Errors are of StageToken (framing), StageAnswer (what a token says), and StageContext.
func (i *Initiator) Step(in []byte) (out []byte, done bool, err error) {
	sent := i.state == stateSent
	out, done, err = i.step(in)
	if err != nil {
		i.state, i.context = stateFailed, nil
		if sent {
			i.reject()
		}
		return nil, false, err
	}
	if done {
		i.state = stateDone
	}
	return out, done, nil
}

// reject says that the acceptor does not take the ticket.
func (i *Initiator) reject() {
	if i.from != nil {
		i.from.drop(i.ticket)
	}
}

func (i *Initiator) step(in []byte) ([]byte, bool, error) {
	switch i.state {
	case stateStart:
		if len(in) > 0 {
			return nil, false, failf(StageContext, "a token of the acceptor before the initiator's")
		}
		i.state = stateSent
		if i.spnego != nil {
			out, err := i.spnego.first(i.request)
			return out, false, err
		}
		return i.request, false, nil
	case stateSent:
		if i.spnego != nil {
			return i.spnego.next(i, in)
		}
		return nil, true, i.answer(in)
	}
	return nil, false, failf(StageContext, "a token for a context that is not being established")
}

// Delegated says whether a TGT was forwarded to the acceptor.
func (i *Initiator) Delegated() bool { return i.delegated }

// Context returns the established context.
func (i *Initiator) Context() (*Context, error) {
	if i.state != stateDone {
		return nil, failf(StageContext, "not established")
	}
	return i.context, nil
}

// answer takes the acceptor's Kerberos token.
func (i *Initiator) answer(in []byte) error {
	id, body, err := parseMechToken(in)
	if err != nil {
		return &Error{StageToken, err}
	}
	switch id {
	case tokenAPRep:
	case tokenError:
		refusal, _, err := parseKRBError(body, "acceptor")
		if err != nil {
			return failf(StageAnswer, "a KRB-ERROR of the acceptor that cannot be read: %w", err)
		}
		refusal.Text = ""
		return &Error{StageAnswer, refusal}
	default:
		return failf(StageToken, "token id %#04x of the acceptor is neither AP-REP nor KRB-ERROR", id)
	}
	rep, err := openAPRep(body, i.session)
	if err != nil {
		return &Error{StageAnswer, err}
	}
	if !rep.time.Equal(i.time.Truncate(time.Second)) || rep.cusec != int64(i.time.Nanosecond()/1000) {
		return failf(StageAnswer, "the AP-REP answers another request: a replay, or a broken acceptor")
	}
	key, subkey := i.subkey, byte(0)
	if rep.subkey != nil {
		key, subkey = *rep.subkey, flagAcceptorSubkey
	}
	if _, ok := profiles[Etype(key.KeyType)]; !ok {
		return failf(StageAnswer, "the acceptor chose a key of %v; only AES is implemented: permit aes for its service principal",
			Etype(key.KeyType))
	}
	i.context, err = newContext(Etype(key.KeyType), key.KeyValue, subkey, true, uint64(i.seq), uint64(uint32(rep.seq)))
	if err != nil {
		return &Error{StageAnswer, err}
	}
	i.context.acceptor = i.acceptor
	if i.spnego != nil {
		i.spnego.key = key
	}
	return nil
}

// krb5OID is the mechanism 1.2.840.113554.1.2.2 in DER, with tag and length.
var krb5OID = []byte{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02}

// mechToken frames a Kerberos message (RFC 2743 3.1, RFC 4121 4.1).
func mechToken(id uint16, message []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(application(0), func(b *cryptobyte.Builder) {
		b.AddBytes(krb5OID)
		b.AddUint16(id)
		b.AddBytes(message)
	})
	return b.Bytes()
}
