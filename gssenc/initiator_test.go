package gssenc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

func TestEstablish(t *testing.T) {
	for _, session := range []int32{16, 17, 18, 19, 20, 23} {
		for _, subkey := range append(allEtypes, 0) {
			t.Run(fmt.Sprintf("%v then %v", Etype(session), subkey), func(t *testing.T) {
				i, a := fakePair(t, session, subkey)
				if _, err := i.Context(); stageOf(err) != StageContext {
					t.Errorf("context before the first step: %v", err)
				}
				start(t, i, a)
				if _, err := i.Context(); stageOf(err) != StageContext {
					t.Errorf("context before the AP-REP: %v", err)
				}
				out, done, err := i.Step(a.token(t))
				if err != nil || !done || out != nil {
					t.Fatalf("done %v, %x, %v", done, out, err)
				}
				x, err := i.Context()
				if err != nil {
					t.Fatal(err)
				}
				want := subkey
				if want == 0 {
					want = Etype(session)
				}
				if _, ok := profiles[want]; !ok {
					want = AES256SHA1
				}
				if x.EType() != want || x.Acceptor() != "postgres/pg.example.test@EXAMPLE.TEST" || i.Delegated() {
					t.Errorf("%v, %s, delegated %v", x.EType(), x.Acceptor(), i.Delegated())
				}
				y, err := a.context()
				if err != nil {
					t.Fatal(err)
				}
				talk(t, x, y)
				if _, _, err := i.Step(a.token(t)); stageOf(err) != StageContext {
					t.Errorf("a step after the last: %v", err)
				}
			})
		}
	}
}

func talk(t *testing.T, ends ...*Context) {
	t.Helper()
	for n := range 6 {
		from, to := ends[n%2], ends[(n+1)%2]
		token, err := from.Seal(nil, pattern(n*10), n < 4)
		if err != nil {
			t.Fatal(err)
		}
		plain, conf, err := to.Open(nil, token)
		if err != nil || conf != (n < 4) || !bytes.Equal(plain, pattern(n*10)) {
			t.Fatalf("token %d: %x, %v", n, plain, err)
		}
	}
}

func TestRequestsDiffer(t *testing.T) {
	one, a := fakePair(t, 18, 0)
	two, b := fakePair(t, 18, 0)
	start(t, one, a)
	start(t, two, b)
	if bytes.Equal(a.auth.SubKey.KeyValue, b.auth.SubKey.KeyValue) || a.auth.SeqNumber == b.auth.SeqNumber {
		t.Error("two requests with the same subkey or sequence number")
	}
	if bytes.Equal(a.auth.SubKey.KeyValue, a.session.KeyValue) {
		t.Error("the subkey is the session key")
	}
}

// If anything is wrong with the answer, there is no context, and the initiator stays failed.
func TestWrongAnswers(t *testing.T) {
	other := types.EncryptionKey{KeyType: 18, KeyValue: bytes.Repeat([]byte{8}, 32)}
	otherEtype := types.EncryptionKey{KeyType: 17, KeyValue: bytes.Repeat([]byte{7}, 16)}
	for _, c := range []struct {
		name  string
		token func(t *testing.T, a *fakeAcceptor) []byte
		stage Stage
		says  string
	}{
		{"nothing", func(*testing.T, *fakeAcceptor) []byte { return nil }, StageToken, "framing"},
		{"garbage", func(*testing.T, *fakeAcceptor) []byte { return []byte("HTTP/1.1 400 Bad Request") }, StageToken, "framing"},
		{"unframed AP-REP", func(t *testing.T, a *fakeAcceptor) []byte { return a.token(t)[17:] }, StageToken, "framing"},
		{"octets after it", func(t *testing.T, a *fakeAcceptor) []byte { return append(a.token(t), 0) }, StageToken, "framing"},
		{"another mechanism", func(t *testing.T, a *fakeAcceptor) []byte {
			token := a.token(t)
			token[bytes.Index(token, krb5OID)+len(krb5OID)-1] = 3
			return token
		}, StageToken, "mechanism"},
		{"AP-REQ sent back", func(t *testing.T, a *fakeAcceptor) []byte {
			i, _ := fakePair(t, 18, 0)
			token, _, _ := i.Step(nil)
			return token
		}, StageToken, "token id"},
		{"wrap token instead", func(t *testing.T, a *fakeAcceptor) []byte { return frame(t, 0x0504, []byte("wrap")) }, StageToken, "token id"},
		{"AP-REP of garbage", func(t *testing.T, a *fakeAcceptor) []byte { return frame(t, tokenAPRep, []byte("not ASN.1")) }, StageAnswer, "cannot be read"},
		{"empty AP-REP", func(t *testing.T, a *fakeAcceptor) []byte { return frame(t, tokenAPRep, nil) }, StageAnswer, "cannot be read"},
		{"ciphertext too short", func(t *testing.T, a *fakeAcceptor) []byte {
			rep := unhex(t, "6f1b 3019 a003020105 a10302010f a20d 300b a003020112 a2040402 0102")
			return frame(t, tokenAPRep, rep)
		}, StageAnswer, "session key"},
		{"another key", func(t *testing.T, a *fakeAcceptor) []byte { a.key = &other; return a.token(t) }, StageAnswer, "not made with the session key"},
		{"another etype", func(t *testing.T, a *fakeAcceptor) []byte { a.key = &otherEtype; return a.token(t) }, StageAnswer, "encrypted with"},
		{"encrypted garbage", func(t *testing.T, a *fakeAcceptor) []byte {
			rep, err := a.sealed([]byte("not ASN.1"))
			if err != nil {
				t.Fatal(err)
			}
			return frame(t, tokenAPRep, rep)
		}, StageAnswer, "encrypted part"},
		{"replay, another second", func(t *testing.T, a *fakeAcceptor) []byte {
			a.change = func(p *messages.EncAPRepPart) { p.CTime = p.CTime.Add(-time.Second) }
			return a.token(t)
		}, StageAnswer, "another request"},
		{"replay, another microsecond", func(t *testing.T, a *fakeAcceptor) []byte {
			a.change = func(p *messages.EncAPRepPart) { p.Cusec = (p.Cusec + 1) % 1e6 }
			return a.token(t)
		}, StageAnswer, "another request"},
		{"subkey of RC4", func(t *testing.T, a *fakeAcceptor) []byte {
			a.subkey = types.EncryptionKey{KeyType: 23, KeyValue: bytes.Repeat([]byte{1}, 16)}
			return a.token(t)
		}, StageAnswer, "arcfour-hmac"},
		{"subkey of an unknown etype", func(t *testing.T, a *fakeAcceptor) []byte {
			a.subkey = types.EncryptionKey{KeyType: 26, KeyValue: bytes.Repeat([]byte{1}, 32)}
			return a.token(t)
		}, StageAnswer, "etype 26"},
		{"subkey too short", func(t *testing.T, a *fakeAcceptor) []byte {
			a.subkey.KeyValue = a.subkey.KeyValue[:5]
			return a.token(t)
		}, StageAnswer, "octets"},
		{"KRB-ERROR", func(t *testing.T, a *fakeAcceptor) []byte {
			e := messages.NewKRBError(types.PrincipalName{NameType: 2, NameString: []string{"postgres"}}, "EXAMPLE.TEST", 37, "send your password to evil.example")
			b, err := e.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return frame(t, tokenError, b)
		}, StageAnswer, "acceptor refuses (unauthenticated): (37) KRB_AP_ERR_SKEW Clock skew too great"},
		{"KRB-ERROR of garbage", func(t *testing.T, a *fakeAcceptor) []byte { return frame(t, tokenError, []byte{0x7E, 0x80}) }, StageAnswer, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, a := fakePair(t, 18, AES256SHA1)
			start(t, i, a)
			out, done, err := i.Step(c.token(t, a))
			if err == nil || done || out != nil || stageOf(err) != c.stage || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("done %v, out %x: %v", done, out, err)
			}
			if strings.Contains(err.Error(), "evil") {
				t.Errorf("what is not authenticated is shown: %v", err)
			}
			if x, err := i.Context(); x != nil || stageOf(err) != StageContext {
				t.Errorf("there is a context: %v", err)
			}
			a.change, a.key, a.subkey = nil, nil, types.EncryptionKey{}
			if _, _, err := i.Step(a.token(t)); stageOf(err) != StageContext {
				t.Errorf("the right answer after a wrong one: %v", err)
			}
		})
	}
}

func TestCutAnswers(t *testing.T) {
	i, a := fakePair(t, 18, AES128SHA256)
	start(t, i, a)
	token := a.token(t)
	for n := range token {
		try := *i
		if _, done, err := try.Step(token[:n]); err == nil || done {
			t.Fatalf("cut to %d of %d octets: done %v, %v", n, len(token), done, err)
		}
	}
	for n := range token { // what is changed in what is encrypted is refused; in its frame, nothing that matters
		changed := bytes.Clone(token)
		changed[n] ^= 0x01
		try := *i
		_, done, err := try.Step(changed)
		if x, _ := try.Context(); done != (err == nil) || done && (n > 60 || x.EType() != AES128SHA256 || x.in.seq != 77) {
			t.Fatalf("octet %d changed: done %v, %v", n, done, err)
		}
	}
	if _, done, err := i.Step(token); err != nil || !done {
		t.Fatal(err)
	}
}

// The numbers of the first tokens are those of authenticator and AP-REP; an acceptor that counts otherwise is refused.
func TestWrongInitialSequence(t *testing.T) {
	i, a := fakePair(t, 20, AES256SHA384)
	start(t, i, a)
	if _, _, err := i.Step(a.token(t)); err != nil {
		t.Fatal(err)
	}
	x, err := i.Context()
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range map[uint32]error{1: ErrOutOfOrder, ^uint32(0): ErrReplayed} {
		liar := *a
		liar.seq += off
		y, err := liar.context()
		if err != nil {
			t.Fatal(err)
		}
		token, err := y.Seal(nil, pattern(10), true)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.Open(nil, token); !errors.Is(err, want) {
			t.Errorf("%d off: %v", int32(off), err)
		}
	}
}

func TestStepOrder(t *testing.T) {
	i, a := fakePair(t, 18, 0)
	if _, _, err := i.Step([]byte("early")); stageOf(err) != StageContext {
		t.Errorf("a token before the first: %v", err)
	}
	if _, _, err := i.Step(nil); stageOf(err) != StageContext {
		t.Errorf("after a failure: %v", err)
	}
	_ = a
}

// The forwarded ticket is in the checksum field, and the session key opens it.
func TestDelegation(t *testing.T) {
	for _, session := range []int32{17, 18, 19, 20, 23} {
		service, tgt := fakeTicket(t, session), fakeTicket(t, 18)
		tgt.server = ticketGranting("EXAMPLE.TEST", "EXAMPLE.TEST")
		tgt.flags = flagForwardable | 1<<29
		tgt.start = time.Unix(0, 0) // what a ccache says of a time that is not there
		i, err := newInitiator(service, tgt)
		if err != nil {
			t.Fatal(err)
		}
		a := &fakeAcceptor{ticket: service.encoded, session: service.key}
		start(t, i, a)
		sum := a.auth.Cksum.Checksum
		if !i.Delegated() || sum[20]&1 == 0 || binary.LittleEndian.Uint16(sum[24:]) != 1 || int(binary.LittleEndian.Uint16(sum[26:])) != len(sum)-28 {
			t.Fatalf("checksum field: %x", sum[:28])
		}
		var cred messages.KRBCred
		if err := cred.Unmarshal(sum[28:]); err != nil {
			t.Fatal(err)
		}
		if len(cred.Tickets) != 1 {
			t.Fatalf("tickets: %+v", cred.Tickets)
		}
		if encoded, err := cred.Tickets[0].Marshal(); err != nil || !bytes.Equal(encoded, tgt.encoded) {
			t.Errorf("another ticket: %x, %v", encoded, err)
		}
		if err := cred.DecryptEncPart(service.key); err != nil || len(cred.DecryptedEncPart.TicketInfo) != 1 {
			t.Fatalf("session key of %v: %+v, %v", Etype(session), cred.DecryptedEncPart, err)
		}
		info := cred.DecryptedEncPart.TicketInfo[0]
		if !reflect.DeepEqual(info.Key, tgt.key) || info.PRealm+info.SRealm != "EXAMPLE.TESTEXAMPLE.TEST" || !info.PName.Equal(tgt.client.PrincipalName) ||
			!info.SName.Equal(tgt.server.PrincipalName) || binary.BigEndian.Uint32(info.Flags.Bytes) != tgt.flags || !info.StartTime.IsZero() ||
			!info.EndTime.Equal(tgt.end.Truncate(time.Second)) || !info.AuthTime.Equal(tgt.auth.Truncate(time.Second)) || !info.RenewTill.IsZero() {
			t.Errorf("%+v", info)
		}
	}
}

func derWrap(tag byte, b []byte) []byte {
	switch {
	case len(b) < 128:
		return append([]byte{tag, byte(len(b))}, b...)
	case len(b) < 256:
		return append([]byte{tag, 0x81, byte(len(b))}, b...)
	}
	return append([]byte{tag, 0x82, byte(len(b) >> 8), byte(len(b))}, b...)
}

func state(n byte) []byte { return []byte{0x0A, 1, n} }

func spnegoPair(t *testing.T) (*Initiator, *fakeAcceptor) {
	t.Helper()
	i, a := fakePair(t, 18, AES256SHA1)
	i.spnego = new(negotiation)
	token, done, err := i.Step(nil)
	if err != nil || done {
		t.Fatal(done, err)
	}
	at := bytes.Index(token, []byte{0x01, 0x00, 0x6E}) - len(krb5OID) // the optimistic token, somewhere inside
	for at > 0 && token[at] != 0x60 {
		at--
	}
	if !bytes.HasPrefix(token[2:], spnegoOID) && !bytes.Contains(token[:8+len(spnegoOID)], spnegoOID) || at <= 0 {
		t.Fatalf("not a NegTokenInit: %x", token)
	}
	if err := a.read(token[at:]); err != nil {
		t.Fatal(err)
	}
	return i, a
}

func TestSPNEGO(t *testing.T) {
	t.Run("completed at once", func(t *testing.T) {
		i, a := spnegoPair(t)
		out, done, err := i.Step(negTokenRespOf(state(0), krb5OID, a.token(t), nil))
		if err != nil || !done || out != nil {
			t.Fatal(done, out, err)
		}
		established(t, i, a, 0)
	})
	t.Run("completed with a MIC", func(t *testing.T) {
		i, a := spnegoPair(t)
		out, done, err := i.Step(negTokenRespOf(state(0), msKrb5OID, a.token(t), a.mic(t, mechTypes)))
		if err != nil || !done || out != nil {
			t.Fatal(done, out, err)
		}
		established(t, i, a, 1)
	})
	t.Run("incomplete with a MIC", func(t *testing.T) {
		i, a := spnegoPair(t)
		out, done, err := i.Step(negTokenRespOf(state(1), krb5OID, a.token(t), a.mic(t, mechTypes)))
		if err != nil || !done || out == nil {
			t.Fatal(done, out, err)
		}
		r, err := parseNegTokenResp(out)
		if err != nil || r.state != acceptCompleted {
			t.Fatalf("%+v, %v", r, err)
		}
		a.checkMIC(t, r.mic)
	})
	t.Run("asks for a MIC", func(t *testing.T) {
		i, a := spnegoPair(t)
		out, done, err := i.Step(negTokenRespOf(state(3), krb5OID, a.token(t), nil))
		if err != nil || done {
			t.Fatal(done, out, err)
		}
		r, err := parseNegTokenResp(out)
		if err != nil {
			t.Fatal(err)
		}
		a.checkMIC(t, r.mic)
		if out, done, err = i.Step(negTokenRespOf(state(0), nil, nil, a.mic(t, mechTypes))); err != nil || !done || out != nil {
			t.Fatal(done, out, err)
		}
	})
	for name, c := range map[string]struct {
		resp func(a *fakeAcceptor) []byte
		says string
	}{
		"reject":                {func(*fakeAcceptor) []byte { return negTokenRespOf(state(2), nil, nil, nil) }, "rejects"},
		"another mechanism":     {func(a *fakeAcceptor) []byte { return negTokenRespOf(state(0), spnegoOID, a.token(t), nil) }, "another mechanism"},
		"done without AP-REP":   {func(*fakeAcceptor) []byte { return negTokenRespOf(state(0), krb5OID, nil, nil) }, "without an AP-REP"},
		"no state":              {func(a *fakeAcceptor) []byte { return negTokenRespOf(nil, krb5OID, a.token(t), nil) }, "not a NegTokenResp"},
		"unknown state":         {func(a *fakeAcceptor) []byte { return negTokenRespOf(state(9), krb5OID, a.token(t), nil) }, "not a NegTokenResp"},
		"bare Kerberos token":   {func(a *fakeAcceptor) []byte { return a.token(t) }, "not a NegTokenResp"},
		"MIC of another list":   {func(a *fakeAcceptor) []byte { return negTokenRespOf(state(0), krb5OID, a.token(t), a.mic(t, krb5OID)) }, "MIC"},
		"empty MIC":             {func(a *fakeAcceptor) []byte { return negTokenRespOf(state(0), krb5OID, a.token(t), []byte{}) }, "MIC"},
		"octets after":          {func(a *fakeAcceptor) []byte { return append(negTokenRespOf(state(0), krb5OID, a.token(t), nil), 0) }, "not a NegTokenResp"},
		"reject with KRB-ERROR": {func(a *fakeAcceptor) []byte { return negTokenRespOf(state(2), krb5OID, krbErrorToken(t, 41), nil) }, "KRB_AP_ERR_MODIFIED"},
		"AP-REP of another key": {func(a *fakeAcceptor) []byte {
			a.key = &types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)}
			return negTokenRespOf(state(0), krb5OID, a.token(t), nil)
		}, "session key"},
	} {
		t.Run(name, func(t *testing.T) {
			i, a := spnegoPair(t)
			out, done, err := i.Step(c.resp(a))
			if err == nil || done || out != nil || !strings.Contains(err.Error(), c.says) || stageOf(err) == "" {
				t.Fatal(done, out, err)
			}
			if _, err := i.Context(); err == nil {
				t.Error("there is a context")
			}
		})
	}
	t.Run("promised MIC does not come", func(t *testing.T) {
		i, a := spnegoPair(t)
		if _, done, err := i.Step(negTokenRespOf(state(3), krb5OID, a.token(t), nil)); err != nil || done {
			t.Fatal(done, err)
		}
		if _, done, err := i.Step(negTokenRespOf(state(0), nil, nil, nil)); err == nil || done {
			t.Fatal("established without the MIC")
		}
	})
	t.Run("cut", func(t *testing.T) {
		i, a := spnegoPair(t)
		resp := negTokenRespOf(state(0), krb5OID, a.token(t), nil)
		for n := range resp {
			try, negotiation := *i, *i.spnego
			try.spnego = &negotiation
			if _, done, err := try.Step(resp[:n]); err == nil || done {
				t.Fatalf("cut to %d octets: %v, %v", n, done, err)
			}
		}
	})
}

// negTokenRespOf is a NegTokenResp; nil fields are left out.
func negTokenRespOf(state, mech, token, mic []byte) []byte {
	var body []byte
	for n, field := range [][]byte{state, mech, token, mic} {
		if field == nil {
			continue
		}
		if n > 1 {
			field = derWrap(0x04, field)
		}
		body = append(body, derWrap(0xA0+byte(n), field)...)
	}
	return derWrap(0xA1, derWrap(0x30, body))
}

func krbErrorToken(t *testing.T, code int32) []byte {
	e := messages.NewKRBError(types.PrincipalName{NameType: 2, NameString: []string{"postgres"}}, "EXAMPLE.TEST", code, "")
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return frame(t, tokenError, b)
}

func (a *fakeAcceptor) mic(t *testing.T, data []byte) []byte {
	x, err := a.context()
	if err != nil {
		t.Fatal(err)
	}
	mic, err := x.makeMIC(a.subkey, data)
	if err != nil {
		t.Fatal(err)
	}
	return mic
}

func (a *fakeAcceptor) checkMIC(t *testing.T, mic []byte) {
	t.Helper()
	x, err := a.context()
	if err != nil {
		t.Fatal(err)
	}
	if err := x.verifyMIC(a.subkey, mechTypes, mic); err != nil {
		t.Error(err)
	}
}

// established has both ends talk; the acceptor has sent so many MICs before.
func established(t *testing.T, i *Initiator, a *fakeAcceptor, mics uint64) {
	t.Helper()
	x, err := i.Context()
	if err != nil {
		t.Fatal(err)
	}
	y, err := a.context()
	if err != nil {
		t.Fatal(err)
	}
	y.out.seq += mics
	talk(t, x, y)
}
