package gssenc

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// received is what a service finds in an initiator's first token.
func received(t *testing.T, i *Initiator) (types.Authenticator, types.EncryptionKey) {
	t.Helper()
	token, _, err := i.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body, err := parseMechToken(token)
	if err != nil {
		t.Fatal(err)
	}
	var req messages.APReq
	if err := req.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	if err := req.DecryptAuthenticator(i.ticket.key); err != nil {
		t.Fatal(err)
	}
	return req.Authenticator, i.ticket.key
}

// What a client has forwarded gets service tickets in its name, and can be forwarded again.
func TestAcquireDelegated(t *testing.T) {
	k, conf := startKDC(t)
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	conf = writeFile(t, "krb5.conf", strings.Replace(string(text), "[realms]", " forwardable = true\n[realms]", 1))
	client := acquireAlice(t, conf)
	i, err := client.Initiate(t.Context(), InitOptions{SPN: "http/web.a.test@A.TEST", RequireDelegation: true})
	if err != nil {
		t.Fatal(err)
	}
	auth, session := received(t, i)
	c, err := AcquireDelegated(auth, session, Source{Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	if c.Principal() != "alice@A.TEST" {
		t.Errorf("principal %s", c.Principal())
	}
	k.seen()
	again, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/pg.a.test@A.TEST", RequireDelegation: true})
	if err != nil {
		t.Fatal(err)
	}
	if seen := k.seen(); again.acceptor != "postgres/pg.a.test@A.TEST" || !slices.Equal(seen, []string{"TGS postgres/pg.a.test@A.TEST", "TGS krbtgt/A.TEST@A.TEST"}) {
		t.Errorf("acceptor %s, asked: %q", again.acceptor, seen)
	}

	// MIT krb5 does not encrypt it a second time.
	message, err := forwardedIn(auth.Cksum)
	if err != nil {
		t.Fatal(err)
	}
	var cred messages.KRBCred
	if err := cred.Unmarshal(message); err != nil {
		t.Fatal(err)
	}
	plain, err := decryptData(cred.EncPart, session, 14)
	if err != nil {
		t.Fatal(err)
	}
	open := auth
	open.Cksum.Checksum = replaced(t, auth.Cksum.Checksum, cred, plain)
	if c, err := AcquireDelegated(open, types.EncryptionKey{}, Source{Config: conf}); err != nil || c.Principal() != "alice@A.TEST" {
		t.Errorf("not encrypted: %v, %v", c, err)
	}

	none, err := client.Initiate(t.Context(), InitOptions{SPN: "http/web.a.test@A.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	undelegated, _ := received(t, none)
	cut := auth
	cut.Cksum.Checksum = auth.Cksum.Checksum[:60]
	damaged := auth
	damaged.Cksum.Checksum = slices.Clone(auth.Cksum.Checksum)
	damaged.Cksum.Checksum[len(damaged.Cksum.Checksum)-1] ^= 1
	foreign := auth
	foreign.Cksum.CksumType = 16
	for name, tt := range map[string]struct {
		from    types.Authenticator
		session types.EncryptionKey
		want    string
	}{
		"nothing delegated":   {undelegated, session, "has not delegated"},
		"cut":                 {cut, session, "cannot be read"},
		"damaged":             {damaged, session, "cannot be"},
		"another key":         {auth, types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)}, "cannot be opened"},
		"no key":              {auth, types.EncryptionKey{}, "cannot be opened"},
		"no GSSAPI initiator": {foreign, session, "GSSAPI initiator"},
	} {
		if c, err := AcquireDelegated(tt.from, tt.session, Source{Config: conf}); stageOf(err) != StageCredentials || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if _, err := AcquireDelegated(auth, session, Source{Config: "/nonexistent"}); stageOf(err) != StageConfig {
		t.Error(err)
	}
}

// replaced is the checksum field with a KRB-CRED that is not encrypted.
func replaced(t *testing.T, sum []byte, cred messages.KRBCred, plain []byte) []byte {
	t.Helper()
	open, err := asn1.Marshal(types.EncryptedData{Cipher: plain})
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := cred.Tickets[0].Marshal()
	if err != nil {
		t.Fatal(err)
	}
	body := der(0x76, der(0x30, slices.Concat([]byte{0xA0, 3, 2, 1, 5, 0xA1, 3, 2, 1, 22}, der(0xA2, der(0x30, ticket)), der(0xA3, open))))
	sum = slices.Concat(sum[:28], body)
	binary.LittleEndian.PutUint16(sum[26:], uint16(len(body)))
	return sum
}

// der is an element with a length in the form for up to 65535 octets.
func der(tag byte, content []byte) []byte {
	switch n := len(content); {
	case n < 128:
		return append([]byte{tag, byte(n)}, content...)
	case n < 256:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
	}
}
