package gssenc

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// The fuzz targets take what a network or a file can bring. None may panic, and none may end in success where only the
// holder of a key can bring it about.

func FuzzOpen(f *testing.F) {
	for _, e := range allEtypes {
		for _, conf := range []bool{true, false} {
			_, a := pair(f, e)
			token, err := a.Seal(nil, pattern(40), conf)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(e), token)
			f.Add(uint8(e), rotated(token, 28))
			f.Add(uint8(e), token[:20])
		}
	}
	contexts := map[Etype]*Context{}
	own := map[string]bool{}
	for _, e := range allEtypes {
		contexts[e], _ = pair(f, e)
	}
	f.Fuzz(func(t *testing.T, e uint8, token []byte) {
		x := contexts[Etype(17+e%4)]
		seq := x.in.seq
		dst := make([]byte, 2, 64)
		got, conf, err := x.Open(dst, token)
		if err != nil {
			if stageOf(err) != StagePacket || len(got) != 2 || x.in.seq != seq {
				t.Fatalf("%v; %d octets, sequence %d then %d", err, len(got), seq, x.in.seq)
			}
			return
		}
		// It can only be one of the seeds, perhaps turned.
		x.in.seq = seq
		own[string(got)] = true
		if !bytes.Equal(got[2:], pattern(40)) || len(own) > 1 {
			t.Fatalf("opened, encrypted %v: %x", conf, got)
		}
	})
}

// fixed is an initiator whose request was sent at a fixed time, and its acceptor.
func fixed(t testing.TB, session int32) (*Initiator, *fakeAcceptor) {
	i, a := fakePair(t, session, AES256SHA1)
	i.time = time.Date(2026, 11, 24, 2, 0, 0, 123456000, time.UTC)
	a.auth.CTime, a.auth.Cusec = i.time.Truncate(time.Second), 123456
	i.state = stateSent
	return i, a
}

func FuzzAnswer(f *testing.F) {
	i, a := fixed(f, 18)
	f.Add(a.token(f), false)
	f.Add(frame(f, tokenError, unhex(f, "7e2a3028a003020105a10302011ea411180f32303236313132343032303030305aa505020301e240a603020125")), false)
	f.Add(negTokenRespOf(state(0), krb5OID, a.token(f), nil), true)
	f.Add(negTokenRespOf(state(3), krb5OID, a.token(f), nil), true)
	f.Add(negTokenRespOf(state(1), krb5OID, a.token(f), []byte("a MIC")), true)
	f.Fuzz(func(t *testing.T, token []byte, spnego bool) {
		try := *i
		if spnego {
			try.spnego = new(negotiation)
		}
		_, done, err := try.Step(token)
		x, failed := try.Context()
		if err != nil && (done || stageOf(err) == "" || failed == nil) || done != (x != nil) {
			t.Fatalf("done %v, %v, context %v", done, err, x)
		}
	})
}

// What is inside an AP-REP that has the right key.
func FuzzAPRepPart(f *testing.F) {
	i, a := fixed(f, 18)
	f.Add(unhex(f, "7b36 3034 a011180f32303236313132343032303030305a a105020301e240 a20d300b a003020112 a104040201 02 a30302014d"))
	f.Add(unhex(f, "7b1c 301a a011180f32303236313132343032303030305a a105020301e240"))
	rep, err := a.answer()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rep)
	f.Fuzz(func(t *testing.T, part []byte) {
		sealed, err := a.sealed(part)
		if err != nil {
			t.Skip()
		}
		token, err := mechToken(tokenAPRep, sealed)
		if err != nil {
			t.Skip()
		}
		try := *i
		if _, done, err := try.Step(token); done != (err == nil) || err != nil && stageOf(err) == "" {
			t.Fatalf("done %v, %v", done, err)
		}
	})
}

// What a KDC, or an attacker in its place, answers.
func FuzzKDCReply(f *testing.F) {
	files, err := filepath.Glob("testdata/kdc/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded replies: ", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	client, err := parsePrincipal("client@VECTORS.TEST", 1)
	if err != nil {
		f.Fatal(err)
	}
	keytab := keytabOf{{owner: client, kvno: 2, key: types.EncryptionKey{KeyType: 18, KeyValue: testKey(AES256SHA1)}}}
	tgt := fakeTicket(f, 18)
	f.Fuzz(func(t *testing.T, reply []byte) {
		if e, data := asKRBError(reply); e != nil {
			_ = e.Error()
			var hints types.PADataSequence
			if guard(func() error { return hints.Unmarshal(data) }) == nil {
				etype, err := preauthEtype(hints, keytab.etypes(), defaultEtypes())
				if err == nil && etype != 18 {
					t.Fatalf("preauthentication with %v", etype)
				}
			}
		}
		if got, err := readASRep(reply, client, keytab, nil, messages.KDCReqBody{Nonce: 1, EType: defaultEtypes()}); err == nil {
			t.Fatalf("logged in: %+v", got)
		}
		if got, err := readTGSRep(reply, tgt, tgt.server, 1, true); err == nil {
			t.Fatalf("ticket: %+v", got)
		}
	})
}

func FuzzCCache(f *testing.F) {
	for _, file := range []string{"ccache.v4", "ccache.v3"} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cache, err := parseCCache(b)
		if err == nil && (len(cache.owner.NameString) == 0 || len(cache.tickets) > len(b)) {
			t.Fatalf("%v, %d tickets", cache.owner, len(cache.tickets))
		}
	})
}

func FuzzKeytab(f *testing.F) {
	f.Add([]byte("\x05\x02\x00\x00\x00\x2c\x00\x01\x00\x06REALM0\x00\x01a\x00\x00\x00\x01\x65\x00\x00\x00\x02\x00\x11\x00\x10" +
		"0123456789abcdef\x00\x00\x01\x02\xff\xff\xff\xfc\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeytab(b)
		if err == nil && len(keys) > len(b) {
			t.Fatal(len(keys))
		}
		if len(keys) > 0 {
			_ = keytabOf(keys).etypes()
		}
	})
}

func FuzzConf(f *testing.F) {
	f.Add("[libdefaults]\n default_realm = A.TEST\n permitted_enctypes = aes -aes128-cts\n[realms]\nA.TEST = {\n kdc = [::1]:88\n}\n[domain_realm]\n .a.test = A.TEST\n")
	f.Add("[realms]\nA = {\n v4_x = {\n}\n kdc = a*\n}\n}")
	f.Add("include /nowhere\n[libdefaults]\n x = {\n y\n}\nticket_lifetime = 1:2:3:4\n")
	f.Add("[libdefaults]*\n a = \"b\\n\\\"\n b =\n{\n}*\n")
	f.Fuzz(func(t *testing.T, text string) {
		conf, err := parseConf(text)
		if err != nil {
			return
		}
		if len(conf.tkt) == 0 || len(conf.tgs) == 0 {
			t.Fatal("no etypes")
		}
		_, _, _ = conf.configuredKDCs("A.TEST")
		_, _ = conf.realmOf("pg.a.test"), conf.realmOf(text)
		_, _ = conf.fallbackRealm(text), conf.ticketLifetime("A.TEST")
	})
}

// talker is a KCM daemon of which only what it says is known.
type talker struct{ *bytes.Reader }

func (talker) Write(p []byte) (int, error) { return len(p), nil }

func FuzzKCM(f *testing.F) {
	reply := func(body string) string {
		b := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
		return string(append(b, 0, 0, 0, 0, 0, 0, 0, 0)) + body
	}
	uuid := "0123456789abcdef"
	cache, err := os.ReadFile("testdata/ccache.v4")
	if err != nil {
		f.Fatal(err)
	}
	r := reader{rest: cache[2:]}
	r.bytes(int(r.uint16()))
	owner := r.rest
	r.principal()
	owner = owner[:len(owner)-len(r.rest)]
	f.Add([]byte(reply("0\x00") + reply(string(owner)) + reply(uuid) + reply(string(r.rest))))
	f.Add([]byte(reply("0\x00") + reply("") + reply(uuid[:3])))
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x16"))
	f.Fuzz(func(t *testing.T, says []byte) {
		content, err := askKCM(talker{bytes.NewReader(says)}, "")
		if err != nil {
			return
		}
		if len(content) > len(says) {
			t.Fatalf("%d octets of %d", len(content), len(says))
		}
		_, _ = parseCCache(content)
	})
}

func FuzzPrincipal(f *testing.F) {
	for _, s := range []string{"a", "a/b@C", `a\/b\@c\\@D`, "@", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePrincipal(s, 1)
		if err != nil {
			return
		}
		again, err := parsePrincipal(p.String(), 1)
		if err != nil || !again.Equal(p.PrincipalName) || again.realm != p.realm {
			t.Fatalf("%q reads as %q of %q, and that as %q of %q, %v", s, p.NameString, p.realm, again.NameString, again.realm, err)
		}
	})
}
