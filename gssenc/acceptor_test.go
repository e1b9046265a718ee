package gssenc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// fakeAcceptor is the server half of a context. It knows the session key, and so needs neither a KDC nor a keytab. Changes
// make it lie.
type fakeAcceptor struct {
	ticket  []byte
	session types.EncryptionKey
	subkey  types.EncryptionKey // none: no KeyValue
	seq     uint32
	auth    types.Authenticator // of the AP-REQ

	change func(*messages.EncAPRepPart) // of the AP-REP, before it is encrypted
	key    *types.EncryptionKey         // to encrypt it with, instead of the session key
}

// fakeTicket is a service ticket with a session key of the etype.
func fakeTicket(t testing.TB, session int32) *ticket {
	t.Helper()
	et, err := crypto.GetEtype(session)
	if err != nil {
		t.Fatal(err)
	}
	size := et.GetKeyByteSize()
	if p, ok := profiles[Etype(session)]; ok {
		size = p.key // gokrb5 says 24 of etype 20
	}
	server, err := parsePrincipal("postgres/pg.example.test@EXAMPLE.TEST", 3)
	if err != nil {
		t.Fatal(err)
	}
	client, err := parsePrincipal("alice@EXAMPLE.TEST", 1)
	if err != nil {
		t.Fatal(err)
	}
	fake := messages.Ticket{
		TktVNO: 5, Realm: server.realm, SName: server.PrincipalName,
		EncPart: types.EncryptedData{EType: 18, KVNO: 2, Cipher: []byte("only the service can read this")},
	}
	encoded, err := fake.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return &ticket{
		client: client, server: server, key: types.EncryptionKey{KeyType: session, KeyValue: bytes.Repeat([]byte{7}, size)},
		encoded: encoded,
		auth:    now, start: now, end: now.Add(time.Hour),
	}
}

// fakePair is an initiator that has sent nothing yet and its acceptor.
func fakePair(t testing.TB, session int32, subkey Etype) (*Initiator, *fakeAcceptor) {
	t.Helper()
	ticket := fakeTicket(t, session)
	i, err := newInitiator(ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAcceptor{ticket: ticket.encoded, session: ticket.key, seq: 77}
	if subkey != 0 {
		a.subkey = types.EncryptionKey{KeyType: int32(subkey), KeyValue: testKey(subkey)}
	}
	return i, a
}

// read takes the initiator's Kerberos token and checks everything that RFC 4121 4.1.1 and PostgreSQL want of it.
func (a *fakeAcceptor) read(token []byte) error {
	id, body, err := parseMechToken(token)
	if err != nil {
		return err
	}
	var req messages.APReq
	if err := req.Unmarshal(body); err != nil {
		return err
	}
	if id != tokenAPReq || !types.IsFlagSet(&req.APOptions, flags.APOptionMutualRequired) {
		return fmt.Errorf("token id %#x, options %x", id, req.APOptions.Bytes)
	}
	if err := req.DecryptAuthenticator(a.session); err != nil {
		return err
	}
	a.auth = req.Authenticator
	if req.EncryptedAuthenticator.KVNO != 0 || a.auth.AVNO != 5 || a.auth.CRealm != "EXAMPLE.TEST" || a.auth.CName.PrincipalNameString() != "alice" ||
		time.Since(a.auth.CTime) > time.Minute || a.auth.Cusec < 0 || a.auth.Cusec > 999999 || a.auth.SeqNumber>>30 != 0 {
		return fmt.Errorf("authenticator %+v, key version %d", a.auth, req.EncryptedAuthenticator.KVNO)
	}
	if ticket, err := req.Ticket.Marshal(); err != nil || !bytes.Equal(ticket, a.ticket) {
		return fmt.Errorf("another ticket: %x, %w", ticket, err)
	}
	sum := a.auth.Cksum
	if sum.CksumType != 0x8003 || len(sum.Checksum) < 24 || binary.LittleEndian.Uint32(sum.Checksum) != 16 ||
		!bytes.Equal(sum.Checksum[4:20], make([]byte, 16)) || binary.LittleEndian.Uint32(sum.Checksum[20:])&^1 != 0x3E {
		return fmt.Errorf("checksum field %#x: %x", sum.CksumType, sum.Checksum)
	}
	if _, ok := profiles[Etype(a.auth.SubKey.KeyType)]; !ok || len(a.auth.SubKey.KeyValue) != profiles[Etype(a.auth.SubKey.KeyType)].key {
		return fmt.Errorf("subkey of %v", a.auth.SubKey.KeyType)
	}
	return nil
}

// answer is the AP-REP without its frame.
func (a *fakeAcceptor) answer() ([]byte, error) {
	part := messages.EncAPRepPart{CTime: a.auth.CTime, Cusec: a.auth.Cusec, SequenceNumber: int64(a.seq)}
	if len(a.subkey.KeyValue) > 0 {
		part.Subkey = a.subkey
	}
	if a.change != nil {
		a.change(&part)
	}
	encoded, err := asn1.Marshal(part)
	if err != nil {
		return nil, err
	}
	return a.sealed(asn1tools.AddASNAppTag(encoded, asnAppTag.EncAPRepPart))
}

// sealed is an AP-REP with this as its encrypted part.
func (a *fakeAcceptor) sealed(part []byte) ([]byte, error) {
	key := a.session
	if a.key != nil {
		key = *a.key
	}
	enc, err := crypto.GetEncryptedData(part, key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	rep, err := asn1.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: enc})
	return asn1tools.AddASNAppTag(rep, asnAppTag.APREP), err
}

// context is the acceptor's end.
func (a *fakeAcceptor) context() (*Context, error) {
	key, flag := a.auth.SubKey, byte(0)
	if len(a.subkey.KeyValue) > 0 {
		key, flag = a.subkey, flagAcceptorSubkey
	}
	return newContext(Etype(key.KeyType), key.KeyValue, flag, false, uint64(a.seq), uint64(a.auth.SeqNumber))
}

// start makes the initiator's first step and has the acceptor read it.
func start(t testing.TB, i *Initiator, a *fakeAcceptor) {
	t.Helper()
	token, done, err := i.Step(nil)
	if err != nil || done {
		t.Fatalf("first step: done %v, %v", done, err)
	}
	if err := a.read(token); err != nil {
		t.Fatal(err)
	}
}

func frame(t testing.TB, id uint16, message []byte) []byte {
	t.Helper()
	token, err := mechToken(id, message)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (a *fakeAcceptor) token(t testing.TB) []byte {
	t.Helper()
	rep, err := a.answer()
	if err != nil {
		t.Fatal(err)
	}
	return frame(t, tokenAPRep, rep)
}

func stageOf(err error) Stage {
	var e *Error
	if errors.As(err, &e) {
		return e.Stage
	}
	return ""
}
