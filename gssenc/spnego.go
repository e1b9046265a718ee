package gssenc

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const tagToken = asn1.Tag(0x60) // [APPLICATION 0], constructed

var errFraming = errors.New("not a context token: GSS-API framing expected (RFC 2743 3.1)")

// parseMechToken takes the frame off an acceptor's Kerberos token and returns its token id and the message.
func parseMechToken(token []byte) (id uint16, message []byte, err error) {
	s := cryptobyte.String(token)
	var body, oid cryptobyte.String
	if !s.ReadASN1(&body, tagToken) || !s.Empty() || !body.ReadASN1Element(&oid, asn1.OBJECT_IDENTIFIER) {
		return 0, nil, errFraming
	}
	if !bytes.Equal(oid, krb5OID) {
		return 0, nil, errors.New("a context token of another mechanism than Kerberos 5")
	}
	if !body.ReadUint16(&id) {
		return 0, nil, errFraming
	}
	return id, body, nil
}

// negotiation is SPNEGO (RFC 4178) with Kerberos 5 as the only mechanism offered.
type negotiation struct {
	key types.EncryptionKey // of the context, for the MIC of the list of mechanisms
	mic bool                // ours has been sent, the acceptor's is awaited
}

var (
	spnegoOID = []byte{0x06, 0x06, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x02} // 1.3.6.1.5.5.2
	msKrb5OID = []byte{0x06, 0x09, 0x2A, 0x86, 0x48, 0x82, 0xF7, 0x12, 0x01, 0x02, 0x02}
	mechTypes = append([]byte{0x30, byte(len(krb5OID))}, krb5OID...) // MechTypeList, what the MIC is over
)

// States of a NegTokenResp, RFC 4178 4.2.2.
const (
	acceptCompleted  = 0
	acceptIncomplete = 1
	reject           = 2
	requestMIC       = 3
)

func explicit(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// first is the NegTokenInit with the optimistic Kerberos token.
func (n *negotiation) first(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tagToken, func(b *cryptobyte.Builder) {
		b.AddBytes(spnegoOID)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(mechTypes) })
				b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
			})
		})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, &Error{StageToken, err}
	}
	return out, nil
}

// next takes a NegTokenResp. An acceptor that wants no MIC ends with its first; one that asks for them gets ours, and its own
// is checked before or after.
func (n *negotiation) next(i *Initiator, in []byte) ([]byte, bool, error) {
	r, err := parseNegTokenResp(in)
	if err != nil {
		return nil, false, &Error{StageToken, err}
	}
	if r.state == reject {
		if err := i.answer(r.token); len(r.token) > 0 && err != nil {
			return nil, false, fmt.Errorf("the acceptor rejects: %w", err)
		}
		return nil, false, failf(StageAnswer, "the acceptor rejects the negotiation")
	}
	if r.mech != nil && !bytes.Equal(r.mech, krb5OID) && !bytes.Equal(r.mech, msKrb5OID) {
		return nil, false, failf(StageAnswer, "the acceptor wants another mechanism than Kerberos 5")
	}
	switch {
	case i.context == nil && len(r.token) == 0:
		return nil, false, failf(StageAnswer, "the acceptor ends the negotiation without an AP-REP")
	case i.context != nil && len(r.token) > 0:
		return nil, false, failf(StageAnswer, "a second Kerberos token of the acceptor")
	case i.context == nil:
		if err := i.answer(r.token); err != nil {
			return nil, false, err
		}
	}
	if r.mic != nil {
		if err := i.context.verifyMIC(n.key, mechTypes, r.mic); err != nil {
			return nil, false, &Error{StageAnswer, err}
		}
	}
	switch {
	case r.state == acceptCompleted && (r.mic != nil || !n.mic):
		return nil, true, nil
	case n.mic && r.mic == nil:
		return nil, false, failf(StageAnswer, "the acceptor asked for a MIC and sends none")
	case n.mic:
		return nil, true, nil
	}
	mic, err := i.context.makeMIC(n.key, mechTypes)
	if err != nil {
		return nil, false, &Error{StageAnswer, err}
	}
	n.mic = true
	state := int64(acceptIncomplete)
	if r.mic != nil {
		state = acceptCompleted
	}
	var b cryptobyte.Builder
	b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(state) })
			b.AddASN1(explicit(3), func(b *cryptobyte.Builder) { b.AddASN1OctetString(mic) })
		})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, false, &Error{StageToken, err}
	}
	return out, r.mic != nil, nil
}

type negTokenResp struct {
	state int
	mech  []byte // an OBJECT IDENTIFIER with tag and length
	token []byte
	mic   []byte
}

// parseNegTokenResp reads strict DER: fields in their order, nothing after them.
func parseNegTokenResp(in []byte) (negTokenResp, error) {
	var r negTokenResp
	s := cryptobyte.String(in)
	var outer, fields, field, mech cryptobyte.String
	var present, hasToken, hasMIC bool
	malformed := errors.New("not a NegTokenResp of SPNEGO (RFC 4178)")
	if !s.ReadASN1(&outer, explicit(1)) || !s.Empty() || !outer.ReadASN1(&fields, asn1.SEQUENCE) || !outer.Empty() {
		return r, malformed
	}
	if !fields.ReadASN1(&field, explicit(0)) || !field.ReadASN1Enum(&r.state) || !field.Empty() {
		return r, malformed // optional in the grammar; every acceptor sends it
	}
	if !fields.ReadOptionalASN1(&field, &present, explicit(1)) || present && (!field.ReadASN1Element(&mech, asn1.OBJECT_IDENTIFIER) || !field.Empty()) {
		return r, malformed
	}
	if !fields.ReadOptionalASN1(&field, &hasToken, explicit(2)) || hasToken && (!field.ReadASN1Bytes(&r.token, asn1.OCTET_STRING) || !field.Empty()) {
		return r, malformed
	}
	if !fields.ReadOptionalASN1(&field, &hasMIC, explicit(3)) || hasMIC && (!field.ReadASN1Bytes(&r.mic, asn1.OCTET_STRING) || !field.Empty()) {
		return r, malformed
	}
	if !fields.Empty() || r.state < acceptCompleted || r.state > requestMIC {
		return r, malformed
	}
	r.mech = mech
	return r, nil
}

// makeMIC is the MIC token of data (RFC 4121 4.2.6.1); it takes a number of the sequence.
func (x *Context) makeMIC(key types.EncryptionKey, data []byte) ([]byte, error) {
	header := micHeader(x.out.flags, x.out.seq)
	sum, err := x.micSum(key, x.out.flags, data, header)
	if err != nil {
		return nil, err
	}
	x.out.seq++
	return append(header, sum...), nil
}

func (x *Context) verifyMIC(key types.EncryptionKey, data, token []byte) error {
	header := micHeader(x.in.flags, x.in.seq)
	sum, err := x.micSum(key, x.in.flags, data, header)
	if err != nil {
		return err
	}
	if !hmac.Equal(token, append(header, sum...)) {
		return errors.New("the MIC over the list of mechanisms is wrong: the negotiation was changed on the way")
	}
	x.in.seq++
	return nil
}

func micHeader(flags byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{0x04, 0x04, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, seq)
}

func (x *Context) micSum(key types.EncryptionKey, flags byte, data, header []byte) ([]byte, error) {
	usage := uint32(usageInitiatorSign)
	if flags&flagSentByAcceptor != 0 {
		usage = usageAcceptorSign
	}
	kc, err := x.out.derive(key.KeyValue, usage, deriveChecksum)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(x.out.hash, kc)
	mac.Write(data)
	mac.Write(header)
	return mac.Sum(nil)[:x.out.mac], nil
}
