package gssenc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The messages of the AP exchange (RFC 4120 5.5), which every connection needs. gokrb5 encodes and decodes by reflection,
// which costs more than all the ciphers of a connection's beginning.

// authenticator is what an AP-REQ proves to know the session key with.
type authenticator struct {
	time   time.Time // of moment
	sum    types.Checksum
	subkey *types.EncryptionKey // nil: none
	seq    uint32
}

var lastMoment atomic.Int64

// moment is the time in microseconds, and not the same twice: acceptors take two authenticators of one time for a replay
// (RFC 4120 3.2.3). A clock that was set back is followed.
func moment() time.Time {
	for {
		last, now := lastMoment.Load(), time.Now().UnixMicro()
		if now <= last && last-now < time.Second.Microseconds() {
			now = last + 1
		}
		if lastMoment.CompareAndSwap(last, now) {
			return time.UnixMicro(now).UTC()
		}
	}
}

// apReq is an AP-REQ for the ticket's service.
func apReq(t *ticket, a authenticator, usage, options uint32) ([]byte, error) {
	part, err := message(asnAppTag.Authenticator, func(b *cryptobyte.Builder) {
		addInt(b, 0, iana.PVNO)
		addRealm(b, 1, t.client.realm)
		addPrincipal(b, 2, t.client.PrincipalName)
		addTyped(b, 3, a.sum.CksumType, a.sum.Checksum)
		addInt(b, 4, int64(a.time.Nanosecond()/1000))
		addTime(b, 5, a.time)
		if a.subkey != nil {
			addTyped(b, 6, a.subkey.KeyType, a.subkey.KeyValue)
		}
		addInt(b, 7, int64(a.seq))
	})
	if err != nil {
		return nil, err
	}
	sealed, err := encryptData(part, t.key, usage, 0)
	if err != nil {
		return nil, err
	}
	return message(asnAppTag.APREQ, func(b *cryptobyte.Builder) {
		addInt(b, 0, iana.PVNO)
		addInt(b, 1, msgtype.KRB_AP_REQ)
		addBits(b, 2, options)
		b.AddASN1(explicit(3), func(b *cryptobyte.Builder) { b.AddBytes(t.encoded) })
		addEncrypted(b, 4, sealed)
	})
}

// apRep is the encrypted part of an AP-REP.
type apRep struct {
	time   time.Time // to the second
	cusec  int64
	subkey *types.EncryptionKey // nil: none
	seq    int64                // some encode it as signed; zero if there is none
}

// openAPRep decrypts an AP-REP with the session key of the ticket.
func openAPRep(b []byte, session types.EncryptionKey) (apRep, error) {
	var rep apRep
	var version, kind int64
	var sealed types.EncryptedData
	var value cryptobyte.String
	fields := cryptobyte.String(b)
	if !readMessage(&fields, asnAppTag.APREP) || !readInt(&fields, 0, &version) || !readInt(&fields, 1, &kind) ||
		!readEncrypted(&fields, 2, &sealed) || !fields.Empty() || version != iana.PVNO || kind != msgtype.KRB_AP_REP {
		return rep, errors.New("an AP-REP that cannot be read")
	}
	plain, err := decryptData(sealed, session, keyusage.AP_REP_ENCPART)
	if err != nil {
		return rep, fmt.Errorf("the AP-REP was not made with the session key, the acceptor has not shown who it is: %w", err)
	}
	fields = plain
	ok := readMessage(&fields, asnAppTag.EncAPRepPart) && fields.ReadASN1(&value, explicit(0)) && value.ReadASN1GeneralizedTime(&rep.time) &&
		value.Empty() && readInt(&fields, 1, &rep.cusec)
	if fields.PeekASN1Tag(explicit(2)) {
		rep.subkey = new(types.EncryptionKey)
		ok = ok && readTyped(&fields, 2, &rep.subkey.KeyType, &rep.subkey.KeyValue)
	}
	if fields.PeekASN1Tag(explicit(3)) {
		ok = ok && readInt(&fields, 3, &rep.seq)
	}
	if !ok || !fields.Empty() {
		return apRep{}, errors.New("the AP-REP's encrypted part cannot be read")
	}
	return rep, nil
}

// message is a SEQUENCE with the tag of an application.
func message(tag uint8, fields func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(application(tag), func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, fields) })
	return b.Bytes()
}

// readMessage leaves the fields of a message. What follows it is passed over: DES3 pads with zeroes.
func readMessage(s *cryptobyte.String, tag uint8) bool {
	var inner cryptobyte.String
	return s.ReadASN1(&inner, application(tag)) && inner.ReadASN1(s, asn1.SEQUENCE) && inner.Empty()
}

func application(n uint8) asn1.Tag { return asn1.Tag(0x40 | n).Constructed() }

func addInt(b *cryptobyte.Builder, n uint8, value int64) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { b.AddASN1Int64(value) })
}

func readInt(s *cryptobyte.String, n uint8, value *int64) bool {
	var field cryptobyte.String
	return s.ReadASN1(&field, explicit(n)) && field.ReadASN1Integer(value) && field.Empty()
}

func addOctets(b *cryptobyte.Builder, n uint8, value []byte) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { b.AddASN1OctetString(value) })
}

func readOctets(s *cryptobyte.String, n uint8, value *[]byte) bool {
	var field cryptobyte.String
	return s.ReadASN1(&field, explicit(n)) && field.ReadASN1Bytes(value, asn1.OCTET_STRING) && field.Empty()
}

func addBits(b *cryptobyte.Builder, n uint8, value uint32) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { b.AddASN1BitString(binary.BigEndian.AppendUint32(nil, value)) })
}

// addTime leaves out a time that is not known.
func addTime(b *cryptobyte.Builder, n uint8, t time.Time) {
	if t.Unix() > 0 {
		b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(t.UTC()) })
	}
}

func addString(b *cryptobyte.Builder, value string) {
	b.AddASN1(asn1.GeneralString, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
}

func addRealm(b *cryptobyte.Builder, n uint8, realm string) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { addString(b, realm) })
}

func addSequence(b *cryptobyte.Builder, n uint8, fields func(*cryptobyte.Builder)) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, fields) })
}

func readSequence(s *cryptobyte.String, n uint8, fields *cryptobyte.String) bool {
	var field cryptobyte.String
	return s.ReadASN1(&field, explicit(n)) && field.ReadASN1(fields, asn1.SEQUENCE) && field.Empty()
}

func addPrincipal(b *cryptobyte.Builder, n uint8, p types.PrincipalName) {
	addSequence(b, n, func(b *cryptobyte.Builder) {
		addInt(b, 0, int64(p.NameType))
		addSequence(b, 1, func(b *cryptobyte.Builder) {
			for _, part := range p.NameString {
				addString(b, part)
			}
		})
	})
}

// addTyped adds an EncryptionKey or a Checksum.
func addTyped(b *cryptobyte.Builder, n uint8, kind int32, value []byte) {
	addSequence(b, n, func(b *cryptobyte.Builder) {
		addInt(b, 0, int64(kind))
		addOctets(b, 1, value)
	})
}

func readTyped(s *cryptobyte.String, n uint8, kind *int32, value *[]byte) bool {
	var fields cryptobyte.String
	var number int64
	ok := readSequence(s, n, &fields) && readInt(&fields, 0, &number) && readOctets(&fields, 1, value) && fields.Empty()
	*kind = int32(number)
	return ok
}

// addEncrypted adds an EncryptedData without a version of the key: session keys have none.
func addEncrypted(b *cryptobyte.Builder, n uint8, e types.EncryptedData) {
	addSequence(b, n, func(b *cryptobyte.Builder) {
		addInt(b, 0, int64(e.EType))
		addOctets(b, 2, e.Cipher)
	})
}

func readEncrypted(s *cryptobyte.String, n uint8, e *types.EncryptedData) bool {
	var fields cryptobyte.String
	var etype int64
	ok := readSequence(s, n, &fields) && readInt(&fields, 0, &etype) && fields.SkipOptionalASN1(explicit(1)) &&
		readOctets(&fields, 2, &e.Cipher) && fields.Empty()
	e.EType = int32(etype)
	return ok
}
