package wire

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"io"
	"slices"
)

// Codes of authentication requests: see authRequests.
const (
	authOKCode          = 0
	authGSSCode         = 7
	authGSSContinueCode = 8
)

// forges says whether the attacker plays the server.
func (t *tampering) forges() bool {
	return t.Attack == ForgeOK || t.Attack == ForgeGSSOK || t.Attack == ForgeAPRep
}

// forge plays the server to a client whose next message is a startup packet, to the end of their conversation. Anything
// else is left to be passed on, unless it was encrypted for the attacker.
func (t *tampering) forge() {
	if !t.takeStartup() {
		if t.legs[client].secure != nil {
			t.stop()
		}
		return
	}
	defer t.stop()
	if t.Attack == ForgeOK {
		t.authenticate(nil, authOKCode)
	} else {
		t.authenticate(nil, authGSSCode)
		kind, token, err := t.hear()
		if err != nil || kind != 'p' {
			return
		}
		if t.Attack == ForgeAPRep {
			t.authenticate(token, authGSSContinueCode, authOKCode)
		} else {
			t.authenticate(token, authOKCode)
		}
	}
	answers := rowAnswers(t.Row)
	for {
		kind, _, err := t.hear()
		answer, due := answers[kind]
		if err != nil || !due {
			return
		}
		if _, err := t.legs[client].tap.Write(answer); err != nil {
			return
		}
	}
}

// takeStartup takes a startup packet off the client's leg, if one is there whole.
func (t *tampering) takeStartup() bool {
	in := t.legs[client].in
	head, err := in.Peek(8)
	if err != nil {
		return false
	}
	size := binary.BigEndian.Uint32(head)
	if binary.BigEndian.Uint16(head[4:]) != 3 || size < 8 || size > maxStartup {
		return false
	}
	if _, err := in.Peek(int(size)); err != nil {
		return false
	}
	_, _ = in.Discard(int(size))
	return true
}

// authenticate sends authentication requests, with an answer to the client's token where that is due, and after an Ok what
// begins a session. It is one segment: a client cannot hang up in the middle of it.
func (t *tampering) authenticate(token []byte, codes ...uint32) {
	var said []byte
	for _, code := range codes {
		t.note(Event{Kind: Forged, Auth: authRequests[code]})
		body := binary.BigEndian.AppendUint32(nil, code)
		if code == authGSSContinueCode {
			body = append(body, forgedAPRep(token)...)
		}
		said = append(said, typedMessage('R', string(body))...)
		if code == authOKCode {
			said = append(said, welcome()...)
		}
	}
	_, _ = t.legs[client].tap.Write(said) // a client that has gone does not answer
}

// hear reads a message of the client's.
func (t *tampering) hear() (kind byte, body []byte, err error) {
	in := t.legs[client].in
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	size, ok := bodySize(head[:])
	if !ok || size > maxToken {
		return 0, nil, io.ErrUnexpectedEOF
	}
	body = make([]byte, size)
	_, err = io.ReadFull(in, body)
	return head[0], body, err
}

// forgeToken answers GSSENCRequest and the client's first token, without the key that would prove anything.
func (t *tampering) forgeToken() {
	t.answer(GSSENCRequest, "G")
	unit, err := t.firstUnit(gssPackets)
	if err != nil {
		return
	}
	token := forgedAPRep(unit[4:])
	t.note(Event{Kind: Answered, Deed: &Deed{Said: SaidToken, To: string(GSSENCRequest)}})
	_, _ = t.legs[client].tap.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	t.stop()
}

// encryptedData is that of RFC 4120 section 5.2.9.
type encryptedData struct {
	Etype   int    `asn1:"explicit,tag:0"`
	Version int    `asn1:"explicit,optional,tag:1"`
	Cipher  []byte `asn1:"explicit,tag:2"`
}

// apRequest and apReply are AP-REQ and AP-REP, RFC 4120 section 5.5.
type apRequest struct {
	Protocol      int            `asn1:"explicit,tag:0"`
	Type          int            `asn1:"explicit,tag:1"`
	Options       asn1.BitString `asn1:"explicit,tag:2"`
	Ticket        asn1.RawValue  `asn1:"explicit,tag:3"`
	Authenticator encryptedData  `asn1:"explicit,tag:4"`
}

type apReply struct {
	Protocol int           `asn1:"explicit,tag:0"`
	Type     int           `asn1:"explicit,tag:1"`
	Sealed   encryptedData `asn1:"explicit,tag:2"`
}

const (
	apReplyType = 15
	aes256      = 18 // aes256-cts-hmac-sha1-96
)

// forgedAPRep answers the client's token with an AP-REP of which nothing is wrong but the sealed part. That is of the
// enctype that the client's authenticator has: the client is to try its session key on it.
func forgedAPRep(token []byte) []byte {
	sealed := encryptedData{Etype: aes256, Cipher: make([]byte, 96)}
	var request apRequest
	if _, message, ok := bytes.Cut(token, append(bytes.Clone(krb5OID), 1, 0)); ok {
		if _, err := asn1.UnmarshalWithParams(message, &request, "application,explicit,tag:14"); err == nil {
			sealed.Etype = request.Authenticator.Etype
		}
	}
	reply, err := asn1.MarshalWithParams(apReply{5, apReplyType, sealed}, "application,explicit,tag:15")
	if err != nil {
		panic(err) // of a constant but for the number
	}
	inner := slices.Concat(krb5OID, []byte{2, 0}, reply)
	frame, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, IsCompound: true, Bytes: inner})
	if err != nil {
		panic(err)
	}
	return frame
}
