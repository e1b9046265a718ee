package gssenc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// fakeKDC answers for any number of realms, over TCP on loopback. The session keys it gives out are those of testKey.
type fakeKDC struct {
	address  string
	password string
	life     time.Duration
	refer    map[string]string                                                                        // realm of which a service is asked, to the realm it refers to
	plain    func(req messages.KDCReqBody, canonicalize bool) (server types.PrincipalName, err error) // if not nil, says what a ticket is issued for
	trusts   map[string][]string                                                                      // realm, to those that it issues ticket-granting tickets for; nil: all
	refused  int32                                                                                    // code that TGS requests are refused with, if not zero
	lie      func(*messages.EncKDCRepPart)
	raw      func(request []byte) []byte // instead of everything else, with the length in front

	mu    sync.Mutex
	asked []string // AS or TGS, and the service
}

const fakeRealm = "A.TEST"

func startKDC(t *testing.T) (*fakeKDC, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	k := &fakeKDC{address: l.Addr().String(), password: "sesame seeds", life: time.Hour}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go k.serve(conn)
		}
	}()
	conf := "[libdefaults]\n default_realm = A.TEST\n" + withoutDNS + "[realms]\n"
	for _, realm := range []string{"A.TEST", "B.TEST", "C.TEST"} {
		conf += fmt.Sprintf(" %s = {\n  kdc = %s\n }\n", realm, k.address)
	}
	conf += "[domain_realm]\n .b.test = B.TEST\n"
	return k, writeFile(t, "krb5.conf", conf)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *fakeKDC) serve(conn net.Conn) {
	defer conn.Close()
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return
	}
	request := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(conn, request); err != nil {
		return
	}
	if k.raw != nil {
		_, _ = conn.Write(k.raw(request))
		return
	}
	reply, err := k.answer(request)
	if err != nil {
		e := messages.NewKRBError(types.PrincipalName{NameType: 2, NameString: []string{"krbtgt", fakeRealm}}, fakeRealm, 60, err.Error())
		if refusal := new(messages.KRBError); errors.As(err, refusal) {
			e = *refusal
		}
		reply, _ = e.Marshal()
	}
	_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...))
}

func refuse(code int32, data []byte) error {
	e := messages.NewKRBError(types.PrincipalName{NameType: 2, NameString: []string{"krbtgt", fakeRealm}}, fakeRealm, code, "said by the test")
	e.EData = data
	return e
}

func (k *fakeKDC) note(kind string, server types.PrincipalName, realm string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, kind+" "+principal{server, realm}.String())
}

func (k *fakeKDC) seen() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := k.asked
	k.asked = nil
	return seen
}

func (k *fakeKDC) answer(request []byte) ([]byte, error) {
	var as messages.ASReq
	if err := as.Unmarshal(request); err == nil {
		return k.login(as)
	}
	var tgs messages.TGSReq
	if err := tgs.Unmarshal(request); err != nil {
		return nil, err
	}
	return k.grant(tgs)
}

func (k *fakeKDC) login(req messages.ASReq) ([]byte, error) {
	k.note("AS", req.ReqBody.SName, req.ReqBody.Realm)
	info, err := asn1.Marshal(types.ETypeInfo2{{EType: 18, Salt: "pepper", S2KParams: []byte{0, 0, 0x20, 0}}})
	if err != nil {
		return nil, err
	}
	hints := types.PADataSequence{{PADataType: 19, PADataValue: info}}
	if len(req.PAData) == 0 {
		data, err := asn1.Marshal(hints)
		if err != nil {
			return nil, err
		}
		return nil, refuse(25, data)
	}
	et, err := crypto.GetEtype(18)
	if err != nil {
		return nil, err
	}
	value, err := et.StringToKey(k.password, "pepper", "00002000")
	if err != nil {
		return nil, err
	}
	key := types.EncryptionKey{KeyType: 18, KeyValue: value}
	var stamp types.EncryptedData
	if err := stamp.Unmarshal(req.PAData[0].PADataValue); err != nil {
		return nil, err
	}
	if _, err := crypto.DecryptEncPart(stamp, key, 1); err != nil {
		return nil, refuse(24, nil)
	}
	rep := messages.ASRep{KDCRepFields: k.reply(11, req.ReqBody, req.ReqBody.CName, req.ReqBody.SName)}
	if rep.EncPart, err = k.sealed(rep.DecryptedEncPart, key, 3); err != nil {
		return nil, err
	}
	return rep.Marshal()
}

func (k *fakeKDC) grant(req messages.TGSReq) ([]byte, error) {
	k.note("TGS", req.ReqBody.SName, req.ReqBody.Realm)
	var ap messages.APReq
	if err := ap.Unmarshal(req.PAData[0].PADataValue); err != nil {
		return nil, err
	}
	key := types.EncryptionKey{KeyType: 18, KeyValue: testKey(AES256SHA1)}
	if err := ap.DecryptAuthenticator(key); err != nil {
		return nil, err
	}
	if ap.Authenticator.CRealm != fakeRealm {
		return nil, fmt.Errorf("authenticator of realm %s", ap.Authenticator.CRealm)
	}
	if issued := ap.Ticket.SName.NameString[1]; issued != req.ReqBody.Realm {
		return nil, fmt.Errorf("a ticket-granting ticket for %s, asked in %s", issued, req.ReqBody.Realm)
	}
	server := req.ReqBody.SName
	if server.NameString[0] == "none" {
		return nil, refuse(7, nil)
	}
	k.mu.Lock()
	code, plain := k.refused, k.plain
	k.mu.Unlock()
	if code != 0 {
		return nil, refuse(code, nil)
	}
	if server.NameString[0] == "krbtgt" && k.trusts != nil && !slices.Contains(k.trusts[req.ReqBody.Realm], server.NameString[1]) {
		return nil, refuse(7, nil)
	}
	if plain != nil && server.NameString[0] != "krbtgt" {
		var err error
		if server, err = plain(req.ReqBody, types.IsFlagSet(&req.ReqBody.KDCOptions, flags.Canonicalize)); err != nil {
			return nil, err
		}
	}
	if to, ok := k.refer[req.ReqBody.Realm]; ok && server.NameString[0] != "krbtgt" {
		if !types.IsFlagSet(&req.ReqBody.KDCOptions, flags.Canonicalize) {
			return nil, refuse(7, nil)
		}
		server = types.PrincipalName{NameType: 2, NameString: []string{"krbtgt", to}}
	}
	rep := messages.TGSRep{KDCRepFields: k.reply(13, req.ReqBody, ap.Authenticator.CName, server)}
	rep.CRealm = fakeRealm
	var err error
	if rep.EncPart, err = k.sealed(rep.DecryptedEncPart, key, 8); err != nil {
		return nil, err
	}
	return rep.Marshal()
}

func (k *fakeKDC) reply(msgType int, body messages.KDCReqBody, client, server types.PrincipalName) messages.KDCRepFields {
	now := time.Now().UTC()
	part := messages.EncKDCRepPart{
		Key: types.EncryptionKey{KeyType: 18, KeyValue: testKey(AES256SHA1)}, Nonce: body.Nonce, Flags: types.NewKrbFlags(),
		LastReqs: []messages.LastReq{{LRValue: now}}, AuthTime: now, StartTime: now, EndTime: now.Add(k.life),
		SRealm: body.Realm, SName: server,
	}
	if types.IsFlagSet(&body.KDCOptions, flags.Forwardable) {
		types.SetFlag(&part.Flags, flags.Forwardable)
	}
	if k.lie != nil {
		k.lie(&part)
	}
	return messages.KDCRepFields{
		PVNO: 5, MsgType: msgType, CRealm: body.Realm, CName: client, DecryptedEncPart: part,
		Ticket: messages.Ticket{
			TktVNO: 5, Realm: part.SRealm, SName: part.SName,
			EncPart: types.EncryptedData{EType: 18, KVNO: 1, Cipher: []byte("ticket")},
		},
	}
}

func (k *fakeKDC) sealed(part messages.EncKDCRepPart, key types.EncryptionKey, usage uint32) (types.EncryptedData, error) {
	b, err := asn1.Marshal(part)
	if err != nil {
		return types.EncryptedData{}, err
	}
	return crypto.GetEncryptedData(asn1tools.AddASNAppTag(b, 25), key, usage, 1)
}

func alice(conf string) Source {
	return Source{Config: conf, Principal: "alice", Password: "sesame seeds"}
}

func TestLogin(t *testing.T) {
	k, conf := startKDC(t)
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	if c.Principal() != "alice@A.TEST" {
		t.Error(c.Principal())
	}
	if seen := k.seen(); !slices.Equal(seen, []string{"AS krbtgt/A.TEST@A.TEST", "AS krbtgt/A.TEST@A.TEST"}) {
		t.Errorf("asked: %q", seen)
	}
	for range 3 { // one exchange, then from memory
		i, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"})
		if err != nil {
			t.Fatal(err)
		}
		if i.acceptor != "postgres/pg.a.test@A.TEST" {
			t.Error(i.acceptor)
		}
	}
	if seen := k.seen(); !slices.Equal(seen, []string{"TGS postgres/pg.a.test@A.TEST"}) {
		t.Errorf("asked: %q", seen)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); stageOf(err) != StageTicket {
		t.Errorf("closed: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := new(Credentials).Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); stageOf(err) != StageTicket {
		t.Errorf("never acquired: %v", err)
	}
}

// An identity with a secret logs in again by itself.
func TestLoginAgain(t *testing.T) {
	k, conf := startKDC(t)
	k.life = -time.Minute
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	k.seen()
	k.life = time.Hour
	if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); err != nil {
		t.Fatal(err)
	}
	if seen := k.seen(); len(seen) != 3 || seen[2] != "TGS postgres/pg.a.test@A.TEST" {
		t.Errorf("asked: %q", seen)
	}
}

func TestManyAtOnce(t *testing.T) {
	k, conf := startKDC(t)
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	k.seen()
	var wait sync.WaitGroup
	for n := range 20 {
		wait.Go(func() {
			if _, err := c.Initiate(t.Context(), InitOptions{SPN: fmt.Sprintf("postgres/pg%d.a.test", n%2)}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if seen := k.seen(); len(seen) != 2 {
		t.Errorf("asked: %q", seen)
	}
}

func TestRealms(t *testing.T) {
	for _, c := range []struct {
		name, spn, acceptor string
		refer               map[string]string
		asked               []string
	}{
		{
			"named", "postgres/x@B.TEST", "postgres/x@B.TEST", nil,
			[]string{"TGS krbtgt/B.TEST@A.TEST", "TGS postgres/x@B.TEST"},
		},
		{
			"by domain_realm", "postgres/pg.b.test", "postgres/pg.b.test@B.TEST", nil,
			[]string{"TGS krbtgt/B.TEST@A.TEST", "TGS postgres/pg.b.test@B.TEST"},
		},
		{
			"by referral", "postgres/elsewhere", "postgres/elsewhere@C.TEST", map[string]string{"A.TEST": "B.TEST", "B.TEST": "C.TEST"},
			[]string{"TGS postgres/elsewhere@A.TEST", "TGS postgres/elsewhere@B.TEST", "TGS postgres/elsewhere@C.TEST"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, conf := startKDC(t)
			creds, err := Acquire(t.Context(), alice(conf))
			if err != nil {
				t.Fatal(err)
			}
			k.seen()
			k.refer = c.refer
			for range 2 {
				i, err := creds.Initiate(t.Context(), InitOptions{SPN: c.spn})
				if err != nil {
					t.Fatal(err)
				}
				if i.acceptor != c.acceptor {
					t.Errorf("acceptor %s", i.acceptor)
				}
			}
			if seen := k.seen(); !slices.Equal(seen, c.asked) {
				t.Errorf("asked: %q", seen)
			}
		})
	}
	t.Run("in a circle", func(t *testing.T) {
		k, conf := startKDC(t)
		creds, err := Acquire(t.Context(), alice(conf))
		if err != nil {
			t.Fatal(err)
		}
		k.refer = map[string]string{"A.TEST": "B.TEST", "B.TEST": "A.TEST"}
		if _, err := creds.Initiate(t.Context(), InitOptions{SPN: "postgres/x"}); err == nil || !strings.Contains(err.Error(), "referrals") {
			t.Error(err)
		}
	})
}

func TestDelegationNeedsForwardable(t *testing.T) {
	for forwardable, want := range map[string]bool{"": false, " forwardable = true\n": true} {
		_, conf := startKDC(t)
		text, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		conf = writeFile(t, "krb5.conf", strings.Replace(string(text), "[realms]", forwardable+"[realms]", 1))
		c, err := Acquire(t.Context(), alice(conf))
		if err != nil {
			t.Fatal(err)
		}
		i, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test", Delegate: true})
		if err != nil || i.Delegated() != want {
			t.Errorf("%q: delegated %v, %v", forwardable, i.Delegated(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	_, conf := startKDC(t)
	var refusal *KRBError
	_, err := Acquire(t.Context(), Source{Config: conf, Principal: "alice", Password: "wrong"})
	if !errors.As(err, &refusal) || refusal.Code != 24 || refusal.From != "KDC" || stageOf(err) != StageCredentials || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Initiate(t.Context(), InitOptions{SPN: "none/such"})
	if !errors.As(err, &refusal) || refusal.Code != 7 || stageOf(err) != StageTicket || !strings.Contains(err.Error(), "none/such") {
		t.Errorf("unknown service: %v", err)
	}
	if _, err = c.Initiate(t.Context(), InitOptions{SPN: "@"}); stageOf(err) != StageTicket {
		t.Errorf("no principal: %v", err)
	}
	for name, s := range map[string]Source{
		"two sources":          {Config: conf, Principal: "alice", Password: "x", Keytab: "y"},
		"password alone":       {Config: conf, Password: "x"},
		"no krb5.conf":         {Config: filepath.Join(t.TempDir(), "none"), Principal: "alice", Password: "x"},
		"no ccache":            {Config: conf, CCache: filepath.Join(t.TempDir(), "none")},
		"kernel's ccache":      {Config: conf, CCache: "KEYRING:persistent:0"},
		"no keytab":            {Config: conf, Keytab: filepath.Join(t.TempDir(), "none")},
		"empty ccache":         {Config: conf, CCache: writeFile(t, "ccache", "")},
		"garbage for a ccache": {Config: conf, CCache: writeFile(t, "ccache", "garbage")},
		"empty keytab":         {Config: conf, Keytab: writeFile(t, "keytab", "")},
		"keytab without keys":  {Config: conf, Keytab: writeFile(t, "keytab", "\x05\x02")},
		"another user's cache": {Config: conf, CCache: "testdata/ccache.v4", Principal: "mallory"},
		"realm without a KDC":  {Config: conf, Principal: "alice@NOWHERE.TEST", Password: "x"},
	} {
		c, err := Acquire(t.Context(), s)
		if stage := stageOf(err); c != nil || stage != StageCredentials && stage != StageConfig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A KDC that lies, or an attacker that answers in its place.
func TestFalseReplies(t *testing.T) {
	for name, lie := range map[string]func(*messages.EncKDCRepPart){
		"another nonce":   func(p *messages.EncKDCRepPart) { p.Nonce++ },
		"another service": func(p *messages.EncKDCRepPart) { p.SName.NameString = []string{"postgres", "other"} },
		"no service":      func(p *messages.EncKDCRepPart) { p.SName.NameString = nil },
		"another realm":   func(p *messages.EncKDCRepPart) { p.SRealm = "B.TEST" },
	} {
		k, conf := startKDC(t)
		k.lie = lie
		if _, err := Acquire(t.Context(), alice(conf)); stageOf(err) != StageCredentials {
			t.Errorf("AS, %s: %v", name, err)
		}
		k.lie = nil
		c, err := Acquire(t.Context(), alice(conf))
		if err != nil {
			t.Fatal(err)
		}
		k.lie = lie
		if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test"}); stageOf(err) != StageTicket {
			t.Errorf("TGS, %s: %v", name, err)
		}
	}
	for name, raw := range map[string][]byte{
		"nothing":           nil,
		"half a length":     {0, 0},
		"length of nothing": {0, 0, 0, 0},
		"4 GiB":             {0xFF, 0xFF, 0xFF, 0xFF, 1},
		"less than said":    {0, 0, 0, 9, 1},
		"garbage":           {0, 0, 0, 4, 'g', 'a', 'r', 'b'},
		"half a KRB-ERROR":  {0, 0, 0, 2, 0x7E, 0x05},
	} {
		k, conf := startKDC(t)
		k.raw = func([]byte) []byte { return raw }
		if _, err := Acquire(t.Context(), alice(conf)); stageOf(err) != StageCredentials {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A KDC may not choose an etype that was not asked for, even if there is a key of it.
func TestReplyOfAnotherEtype(t *testing.T) {
	k := &fakeKDC{life: time.Hour}
	client, err := parsePrincipal("alice@A.TEST", 1)
	if err != nil {
		t.Fatal(err)
	}
	key := types.EncryptionKey{KeyType: 18, KeyValue: testKey(AES256SHA1)}
	body := messages.KDCReqBody{Realm: fakeRealm, Nonce: 5, KDCOptions: types.NewKrbFlags()}
	rep := messages.ASRep{KDCRepFields: k.reply(11, body, client.PrincipalName, ticketGranting(fakeRealm, "").PrincipalName)}
	if rep.EncPart, err = k.sealed(rep.DecryptedEncPart, key, 3); err != nil {
		t.Fatal(err)
	}
	reply, err := rep.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for etype, says := range map[int32]string{17: "not asked for", 18: ""} {
		body.EType = []int32{etype}
		_, err := readASRep(reply, client, keytabOf{{owner: client, key: key}}, nil, body)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("asked for %v: %v", Etype(etype), err)
		}
	}
}

// A KDC that cannot serve at the moment is no answer: the next one is asked.
func TestNextKDC(t *testing.T) {
	busy, _ := startKDC(t)
	busy.raw = func([]byte) []byte {
		e := messages.NewKRBError(types.PrincipalName{NameType: 2, NameString: []string{"krbtgt", fakeRealm}}, fakeRealm, 29, "")
		b, err := e.Marshal()
		if err != nil {
			t.Error(err)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	good, _ := startKDC(t)
	conf := "[libdefaults]\n default_realm = A.TEST\n[realms]\n A.TEST = {\n  kdc = %s\n  kdc = %s\n }\n"
	if _, err := Acquire(t.Context(), alice(writeFile(t, "krb5.conf", fmt.Sprintf(conf, busy.address, good.address)))); err != nil {
		t.Error(err)
	}
	_, err := Acquire(t.Context(), alice(writeFile(t, "krb5.conf", fmt.Sprintf(conf, busy.address, busy.address))))
	var refusal *KRBError
	if !errors.As(err, &refusal) || refusal.Code != 29 {
		t.Errorf("none can serve: %v", err)
	}
}

// The party that answers first chooses the iterations of string-to-key.
func TestIterationsAreBounded(t *testing.T) {
	p := password{text: "x"}
	for params, ok := range map[string]bool{"\x00\x00\x10\x00": true, "\xff\xff\xff\xff": false, "\x00\x00\x00\x00": false, "\x01": false} {
		info, err := asn1.Marshal(types.ETypeInfo2{{EType: 17, Salt: "s", S2KParams: []byte(params)}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = p.key(17, types.PADataSequence{{PADataType: 19, PADataValue: info}})
		if (err == nil) != ok {
			t.Errorf("%x: %v", params, err)
		}
	}
}

func TestKDCThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conf := writeFile(t, "krb5.conf", "[libdefaults]\ndefault_realm = A.TEST\n[realms]\nA.TEST = {\nkdc = "+l.Addr().String()+"\n}\n")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		conn, err := l.Accept()
		if err == nil {
			defer conn.Close()
			_, _ = io.ReadFull(conn, make([]byte, 5)) // the request is there: the client waits
		}
		cancel(cause)
		<-t.Context().Done()
	}()
	if _, err := Acquire(ctx, alice(conf)); !errors.Is(err, cause) || stageOf(err) != StageCredentials {
		t.Error(err)
	}
}

func TestKDCThatCannotServe(t *testing.T) {
	k, _ := startKDC(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	conf := writeFile(t, "krb5.conf", "[libdefaults]\ndefault_realm = A.TEST\n[realms]\nA.TEST = {\nkdc = "+dead+"\nkdc = tcp/"+k.address+"\n}\n")
	if _, err := Acquire(t.Context(), alice(conf)); err != nil {
		t.Error(err)
	}
	conf = writeFile(t, "krb5.conf", "[libdefaults]\ndefault_realm = A.TEST\n[realms]\nA.TEST = {\nkdc = "+dead+"\n}\n")
	if _, err := Acquire(t.Context(), alice(conf)); err == nil || !strings.Contains(err.Error(), dead) {
		t.Error(err)
	}
}

func TestPasswordIsNotShown(t *testing.T) {
	s := Source{Principal: "alice", Password: "sesame"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, s); strings.Contains(text, "sesame") || !strings.Contains(text, "alice") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

func TestCredentialsPrintNoSecrets(t *testing.T) {
	_, conf := startKDC(t)
	c, err := Acquire(t.Context(), alice(conf))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); text != "alice@A.TEST" {
			t.Errorf("%s: %s", format, text)
		}
	}
}

// A ccache may hold tickets of others (S4U2Proxy); they are not its owner's.
func TestTicketsOfOthers(t *testing.T) {
	b, err := os.ReadFile("testdata/ccache.v4")
	if err != nil {
		t.Fatal(err)
	}
	foreign := string(bytes.Replace(b, []byte("alice"), []byte("clara"), 1)) // the owner
	_, err = Acquire(t.Context(), Source{Config: writeFile(t, "krb5.conf", ""), CCache: writeFile(t, "ccache", foreign)})
	if stageOf(err) != StageCredentials || !strings.Contains(err.Error(), "no tickets of clara@VECTORS.TEST") {
		t.Error(err)
	}
}

// MIT krb5's own ccaches, of kinit. Their tickets have expired since.
func TestRealCCaches(t *testing.T) {
	conf := writeFile(t, "krb5.conf", "[libdefaults]\ndefault_realm = VECTORS.TEST\n")
	for _, c := range []struct {
		file    string
		tickets int
	}{{"testdata/ccache.v3", 1}, {"testdata/ccache.v4", 2}} {
		creds, err := Acquire(t.Context(), Source{Config: conf, CCache: "FILE:" + c.file})
		if err != nil {
			t.Fatal(err)
		}
		if creds.Principal() != "alice@VECTORS.TEST" || len(creds.tickets) != c.tickets {
			t.Errorf("%s: %s, %d tickets", c.file, creds.Principal(), len(creds.tickets))
		}
		tgt := creds.find(ticketGranting("VECTORS.TEST", ""))
		if tgt == nil || tgt.key.KeyType != 18 || len(tgt.key.KeyValue) != 32 || tgt.end.Sub(tgt.auth).Round(time.Hour) != 24*time.Hour {
			t.Fatalf("%s: %+v", c.file, tgt)
		}
		for _, t := range creds.tickets {
			t.end = time.Unix(0, 0)
		}
		_, err = creds.Initiate(t.Context(), InitOptions{SPN: "test/aes256-sha2"})
		if stageOf(err) != StageTicket || !strings.Contains(err.Error(), "expired") {
			t.Errorf("%s: %v", c.file, err)
		}
		for _, t := range creds.tickets {
			t.end = time.Now().Add(time.Hour)
		}
		_, err = creds.Initiate(t.Context(), InitOptions{SPN: "test/aes256-sha2"})
		if (err == nil) != (c.tickets == 2) { // there: used without a KDC; not there: there is no KDC to ask
			t.Errorf("%s: %v", c.file, err)
		}
		b, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b { // cut, it is either refused or ends with a whole ticket
			if cache, err := parseCCache(b[:n]); err == nil && len(cache.tickets) >= c.tickets {
				t.Errorf("%s cut to %d octets: %d tickets", c.file, n, len(cache.tickets))
			}
		}
	}
}

func TestKeytab(t *testing.T) {
	entry := func(kvno8 byte, kvno uint32, etype int16, name string, key []byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, 1)
		b = append(binary.BigEndian.AppendUint16(b, 6), fakeRealm...)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(name))), name...)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = append(binary.BigEndian.AppendUint32(b, 1700000000), kvno8)
		b = binary.BigEndian.AppendUint16(b, uint16(etype))
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
		if kvno > 0 {
			b = binary.BigEndian.AppendUint32(b, kvno)
		}
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	old, current := testKey(AES128SHA1), bytes.Repeat([]byte{9}, 16)
	content := slices.Concat([]byte{5, 2}, entry(1, 300, 17, "alice", current), []byte{0xFF, 0xFF, 0xFF, 0xFD, 0, 0, 0},
		entry(255, 0, 17, "alice", old), entry(4, 0, 18, "alice", testKey(AES256SHA1)), entry(9, 0, 17, "bob", old))
	keys, err := parseKeytab(content)
	if err != nil || len(keys) != 4 {
		t.Fatal(len(keys), err)
	}
	own := keytabOf(slices.DeleteFunc(slices.Clone(keys), func(k keytabKey) bool { return k.owner.NameString[0] != "alice" }))
	key, kvno, err := own.key(17, nil)
	if err != nil || kvno != 300 || !bytes.Equal(key.KeyValue, current) {
		t.Errorf("kvno %d, %v", kvno, err)
	}
	if _, _, err := own.key(20, nil); err == nil || !strings.Contains(err.Error(), "aes256-cts-hmac-sha384-192") {
		t.Errorf("a key that is not there: %v", err)
	}
	for n := range content {
		if keys, err := parseKeytab(content[:n]); err == nil && len(keys) == 4 {
			t.Errorf("cut to %d octets: %d keys", n, len(keys))
		} else if err != nil && strings.Contains(err.Error(), "\t\t") {
			t.Error("an error shows keys")
		}
	}
}

func TestParsePrincipal(t *testing.T) {
	for text, want := range map[string]principal{
		"alice":          {types.PrincipalName{NameString: []string{"alice"}}, ""},
		"alice@A.TEST":   {types.PrincipalName{NameString: []string{"alice"}}, "A.TEST"},
		"postgres/pg@B":  {types.PrincipalName{NameString: []string{"postgres", "pg"}}, "B"},
		`a\/b/c\@d@A\\B`: {types.PrincipalName{NameString: []string{"a/b", "c@d"}}, `A\B`},
	} {
		got, err := parsePrincipal(text, 1)
		if err != nil || !got.Equal(want.PrincipalName) || got.realm != want.realm || got.String() != text {
			t.Errorf("%s: %q of %q, %v", text, got.NameString, got.realm, err)
		}
	}
	for _, text := range []string{"", "@", "a@", "a@b@c", `a\`, "/b", "a\x00"} {
		if p, err := parsePrincipal(text, 1); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}
