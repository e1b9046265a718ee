package gssenc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jcmturner/gokrb5/v8/crypto"
)

var allEtypes = []Etype{AES128SHA1, AES256SHA1, AES128SHA256, AES256SHA384}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStolenBlocks(t *testing.T) {
	// RFC 3962 appendix B: AES-128 in CBC with ciphertext stealing, initial vector zero.
	key := unhex(t, "63 68 69 63 6b 65 6e 20 74 65 72 69 79 61 6b 69")
	text := []byte("I would like the General Gau's Chicken, please, and wonton soup.")
	s := rawKey(t, AES128SHA1, key)
	for _, v := range []struct {
		n    int
		want string
	}{
		{17, "c6 35 35 68 f2 bf 8c b4 d8 a5 80 36 2d a7 ff 7f 97"},
		{31, "fc 00 78 3e 0e fd b2 c1 d4 45 d4 c8 ef f7 ed 22 97 68 72 68 d6 ec cc c0 c0 7b 25 e2 5e cf e5"},
		{32, "39 31 25 23 a7 86 62 d5 be 7f cb cc 98 eb f5 a8 97 68 72 68 d6 ec cc c0 c0 7b 25 e2 5e cf e5 84"},
		{47, "97 68 72 68 d6 ec cc c0 c0 7b 25 e2 5e cf e5 84 b3 ff fd 94 0c 16 a1 8c 1b 55 49 d2 f8 38 02 9e 39 31 25 23 a7 86 62 d5 be 7f cb cc 98 eb f5"},
		{48, "97 68 72 68 d6 ec cc c0 c0 7b 25 e2 5e cf e5 84 9d ad 8b bb 96 c4 cd c0 3b c1 03 e1 a1 94 bb d8 39 31 25 23 a7 86 62 d5 be 7f cb cc 98 eb f5 a8"},
		{64, "97 68 72 68 d6 ec cc c0 c0 7b 25 e2 5e cf e5 84 39 31 25 23 a7 86 62 d5 be 7f cb cc 98 eb f5 a8 48 07 ef e8 36 ee 89 a5 26 73 0d bc 2f 7b c8 40 9d ad 8b bb 96 c4 cd c0 3b c1 03 e1 a1 94 bb d8"},
	} {
		got := bytes.Clone(text[:v.n])
		s.encrypt(got)
		if !bytes.Equal(got, unhex(t, v.want)) {
			t.Errorf("%d octets encrypted: %x", v.n, got)
		}
		s.decrypt(got)
		if !bytes.Equal(got, text[:v.n]) {
			t.Errorf("%d octets decrypted: %q", v.n, got)
		}
	}
}

// rawKey encrypts with key itself instead of one derived from it.
func rawKey(t testing.TB, e Etype, key []byte) *messageKey {
	t.Helper()
	s, err := newMessageKey(e, key, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.setCipher(key); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDerivedKeys(t *testing.T) {
	// RFC 8009 appendix A, key usage 2: keys, then plaintexts with their confounders and ciphertexts.
	for _, v := range []struct {
		etype           Etype
		key, kc, ke, ki string
		messages        [][3]string
	}{
		{
			AES128SHA256, "3705d96080c17728a0e800eab6e0d23c",
			"b31a018a48f54776f403e9a396325dc3", "9b197dd1e8c5609d6e67c3e37c62c72e", "9fda0e56ab2d85e1569a688696c26a6c",
			[][3]string{
				{"", "7e5895eaf2672435bad817f545a37148", "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718"},
				{"000102030405", "7bca285e2fd4130fb55b1a5c83bc5b24", "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c"},
				{
					"000102030405060708090a0b0c0d0e0f", "56ab21713ff62c0a1457200f6fa9948f",
					"3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc295fb4852e7d83e1e7c48c37eebe6b0d3",
				},
				{
					"000102030405060708090a0b0c0d0e0f1011121314", "a7a4e29a4728ce10664fb64e49ad3fac",
					"720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a413c2f92ca9b8334a287ffcbfc",
				},
			},
		},
		{
			AES256SHA384, "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
			"ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d", "56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49",
			"69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f",
			[][3]string{
				{"", "f764e9fa15c276478b2c7d0c4e5f58e4", "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c"},
				{"000102030405", "b80d3251c1f6471494256ffe712d0b9a", "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2"},
				{
					"000102030405060708090a0b0c0d0e0f", "53bf8a0d105265d4e276428624ce5e63",
					"bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f68cf51f14d798c2273f35df574d1f932e40c4ff255b36a266",
				},
				{
					"000102030405060708090a0b0c0d0e0f1011121314", "763e65367e864f02f55153c7e3b58af1",
					"40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ecb647d6295fae077a1feb517508d2c16b4192e01f62",
				},
			},
		},
	} {
		key := unhex(t, v.key)
		for what, want := range map[byte]string{deriveChecksum: v.kc, deriveEncrypt: v.ke, deriveIntegrity: v.ki} {
			if got, err := profiles[v.etype].derive(key, 2, what); err != nil || !bytes.Equal(got, unhex(t, want)) {
				t.Errorf("%v: key %#02x: %x, %v", v.etype, what, got, err)
			}
		}
		s, err := newMessageKey(v.etype, key, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range v.messages {
			message := append(append(unhex(t, m[1]), unhex(t, m[0])...), make([]byte, s.mac)...)
			s.seal(message)
			if !bytes.Equal(message, unhex(t, m[2])) {
				t.Errorf("%v: %q sealed: %x", v.etype, m[0], message)
			}
			if plain, err := s.open(message); err != nil || !bytes.Equal(plain, unhex(t, m[0])) {
				t.Errorf("%v: %q opened: %x, %v", v.etype, m[0], plain, err)
			}
		}
	}
}

// What this package seals gokrb5 opens, and the other way round; and they derive the same keys.
func TestLikeGokrb5(t *testing.T) {
	for _, e := range allEtypes {
		key := testKey(e)
		et, err := crypto.GetEtype(int32(e))
		if err != nil {
			t.Fatal(err)
		}
		for usage := uint32(1); usage < 1<<31; usage += 1 + usage/3 {
			for _, what := range []byte{deriveChecksum, deriveEncrypt, deriveIntegrity} {
				want, err := et.DeriveKey(key, append(binary.BigEndian.AppendUint32(nil, usage), what))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := profiles[e].derive(key, usage, what); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%v, usage %d, key %#02x: %x, gokrb5 derives %x, %v", e, usage, what, got, want, err)
				}
			}
		}
		s, err := newMessageKey(e, key, usageInitiatorSeal)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			plain := pattern(n + 1) // gokrb5 fails at a message of a confounder alone
			message := append(append(pattern(16), plain...), make([]byte, s.mac)...)
			s.seal(message)
			if got, err := et.DecryptMessage(key, message, usageInitiatorSeal); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%v, %d octets: gokrb5 opens %x, %v", e, n, got, err)
			}
			_, theirs, err := et.EncryptMessage(key, plain, usageInitiatorSeal)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.open(theirs); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%v, %d octets: opened %x, %v", e, n, got, err)
			}
		}
	}
}

func testKey(e Etype) []byte { return bytes.Repeat([]byte{byte(e)}, profiles[e].key) }

// pattern is the plaintext of testdata/vectors.c.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}

// pair is both ends of a context.
func pair(t testing.TB, e Etype) (initiator, acceptor *Context) {
	t.Helper()
	initiator, err := newContext(e, testKey(e), flagAcceptorSubkey, true, 1000, 5000)
	if err != nil {
		t.Fatal(err)
	}
	acceptor, err = newContext(e, testKey(e), flagAcceptorSubkey, false, 5000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return initiator, acceptor
}

func TestSealAndOpen(t *testing.T) {
	for _, e := range allEtypes {
		i, a := pair(t, e)
		for n := 0; n < 20000; n += 1 + n/7 {
			for _, conf := range []bool{true, false} {
				for _, way := range [][2]*Context{{i, a}, {a, i}} {
					plain := pattern(n)
					token, err := way[0].Seal([]byte("before"), plain, conf)
					if err != nil || !bytes.HasPrefix(token, []byte("before")) {
						t.Fatalf("%v, %d octets: %v", e, n, err)
					}
					token = token[6:]
					if conf && way[0].MaxPlain(len(token)) != n {
						t.Fatalf("%v: MaxPlain(%d) = %d, not %d", e, len(token), way[0].MaxPlain(len(token)), n)
					}
					if n > 8 && conf == bytes.Contains(token, plain) {
						t.Fatalf("%v: encrypted %v, plaintext in the token %v", e, conf, !conf)
					}
					got, sealed, err := way[1].Open([]byte("kept"), token)
					if err != nil || sealed != conf || !bytes.Equal(got, append([]byte("kept"), plain...)) {
						t.Fatalf("%v, %d octets: %v, %v", e, n, sealed, err)
					}
				}
			}
		}
	}
}

func TestMaxPlain(t *testing.T) {
	for _, e := range allEtypes {
		i, _ := pair(t, e)
		empty, err := i.Seal(nil, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		for limit := range 200 {
			if got, want := i.MaxPlain(limit), max(0, limit-len(empty)); got != want {
				t.Errorf("%v: MaxPlain(%d) = %d, not %d", e, limit, got, want)
			}
		}
	}
}

func TestConfounders(t *testing.T) {
	i, _ := pair(t, AES256SHA1)
	seen := map[string]bool{}
	for range 1000 {
		token, err := i.Seal(nil, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		first := string(token[16:32])
		if seen[first] {
			t.Fatal("the same first block twice")
		}
		seen[first] = true
	}
}

// A token in which any bit was changed is refused, and the next one is still taken.
func TestChangedTokens(t *testing.T) {
	for _, e := range allEtypes {
		for _, conf := range []bool{true, false} {
			i, a := pair(t, e)
			token, err := a.Seal(nil, pattern(40), conf)
			if err != nil {
				t.Fatal(err)
			}
			for bit := range len(token) * 8 {
				changed := bytes.Clone(token)
				changed[bit/8] ^= 1 << (bit % 8)
				if rrc := int(binary.BigEndian.Uint16(changed[6:])); rrc > 0 && rrc%(len(changed)-tokenHeader) == 0 {
					continue // turned all the way round: the same token
				}
				if _, _, err := i.Open(nil, changed); err == nil {
					t.Fatalf("%v, encrypted %v: opened with bit %d changed", e, conf, bit)
				} else if !errors.As(err, new(*Error)) {
					t.Fatalf("%T: %v", err, err)
				}
			}
			for n := range token {
				if _, _, err := i.Open(nil, token[:n]); err == nil {
					t.Fatalf("%v, encrypted %v: opened although cut to %d octets", e, conf, n)
				}
			}
			if _, _, err := i.Open(nil, append(bytes.Clone(token), 0)); err == nil {
				t.Fatalf("%v, encrypted %v: opened with an octet after it", e, conf)
			}
			if _, _, err := i.Open(nil, token); err != nil {
				t.Fatalf("%v, encrypted %v: %v", e, conf, err)
			}
		}
	}
}

func TestSequence(t *testing.T) {
	for _, conf := range []bool{true, false} {
		i, a := pair(t, AES128SHA256)
		var tokens [][]byte
		for n := range 4 {
			token, err := a.Seal(nil, pattern(n), conf)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		open := func(n int, want error) {
			t.Helper()
			dst := make([]byte, 3, 200)
			got, _, err := i.Open(dst, tokens[n])
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Fatalf("token %d: %v", n, err)
			}
			if err != nil && (len(got) != 3 || bytes.Contains(dst[:200], []byte{3, 10, 17})) {
				t.Fatalf("token %d: refused, and its plaintext was left", n)
			}
		}
		open(1, ErrOutOfOrder)
		open(0, nil)
		open(0, ErrReplayed)
		open(3, ErrOutOfOrder)
		open(1, nil)
		open(0, ErrReplayed)
		open(2, nil)
		open(3, nil)
		open(3, ErrReplayed)
	}
}

// A token of one's own, sent back, is not the peer's; nor is one of another context, or of a key without acceptor's subkey.
func TestForeignTokens(t *testing.T) {
	i, a := pair(t, AES256SHA384)
	own, err := i.Seal(nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Open(nil, own); !errors.Is(err, ErrFlags) {
		t.Errorf("own token: %v", err)
	}
	other, err := newContext(AES256SHA384, testKey(AES256SHA384), 0, false, 5000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	token, err := other.Seal(nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Open(nil, token); !errors.Is(err, ErrFlags) {
		t.Errorf("token without the acceptor's subkey: %v", err)
	}
	key := testKey(AES256SHA384)
	key[31] ^= 1
	stranger, err := newContext(AES256SHA384, key, flagAcceptorSubkey, false, 5000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, conf := range []bool{true, false} {
		if token, err = stranger.Seal(nil, pattern(30), conf); err != nil {
			t.Fatal(err)
		}
		if _, _, err := i.Open(nil, token); !errors.Is(err, ErrIntegrity) {
			t.Errorf("token of another key: %v", err)
		}
	}
	_ = a
}

// rotated is the token as a peer sends it that rotates (RFC 4121 4.2.5).
func rotated(token []byte, count int) []byte {
	out := bytes.Clone(token[:tokenHeader])
	binary.BigEndian.PutUint16(out[6:], uint16(count))
	body := token[tokenHeader:]
	cut := len(body) - count%len(body)
	return append(append(out, body[cut:]...), body[:cut]...)
}

func TestRotation(t *testing.T) {
	for _, e := range allEtypes {
		for _, conf := range []bool{true, false} {
			i, a := pair(t, e)
			for _, count := range []int{1, 12, 16, 28, 32, 59, 60, 61, 200, 1000, 65535} {
				token, err := a.Seal(nil, pattern(50), conf)
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := i.Open(nil, rotated(token, count))
				if err != nil || !bytes.Equal(got, pattern(50)) {
					t.Fatalf("%v, encrypted %v, rotated by %d: %v", e, conf, count, err)
				}
			}
		}
	}
}

// Heimdal and Windows pad: the extra count is then not zero (RFC 4121 4.2.3).
func TestExtraCount(t *testing.T) {
	for _, e := range allEtypes {
		for _, ec := range []int{0, 1, 16, 40} {
			i, a := pair(t, e)
			d := &a.out
			token := make([]byte, tokenHeader, 300)
			putHeader(token, d.flags|flagSealed, d.seq)
			binary.BigEndian.PutUint16(token[4:], uint16(ec))
			message := append(append(make([]byte, 16), pattern(20)...), bytes.Repeat([]byte{0xFF}, ec)...)
			message = append(append(message, token[:tokenHeader]...), make([]byte, d.mac)...)
			d.seal(message)
			token = append(token, message...)
			for _, count := range []int{0, ec, 28} {
				i.in.seq = 5000
				got, _, err := i.Open(nil, rotated(token, count))
				if err != nil || !bytes.Equal(got, pattern(20)) {
					t.Fatalf("%v, EC %d, RRC %d: %x, %v", e, ec, count, got, err)
				}
			}
			for _, absurd := range []int{20 + ec + 1, 1000, 65535} {
				bad := bytes.Clone(token)
				binary.BigEndian.PutUint16(bad[4:], uint16(absurd))
				if _, _, err := i.Open(nil, bad); !errors.Is(err, ErrCounts) {
					t.Fatalf("%v, EC %d: %v", e, absurd, err)
				}
			}
			lie := bytes.Clone(token)
			binary.BigEndian.PutUint16(lie[4:], uint16(ec+1))
			if _, _, err := i.Open(nil, lie); !errors.Is(err, ErrIntegrity) {
				t.Fatalf("%v, EC %d instead of %d: %v", e, ec+1, ec, err)
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	for _, e := range allEtypes {
		for _, conf := range []bool{true, false} {
			i, a := pair(t, e)
			plain, token, out := pattern(16000), make([]byte, 0, 17000), make([]byte, 0, 17000)
			allocated := testing.AllocsPerRun(100, func() {
				var err error
				if token, err = a.Seal(token[:0], plain, conf); err != nil {
					t.Fatal(err)
				}
				if out, _, err = i.Open(out[:0], token); err != nil {
					t.Fatal(err)
				}
			})
			if allocated != 0 {
				t.Errorf("%v, encrypted %v: %v allocations for a token and back", e, conf, allocated)
			}
		}
	}
}

var peer = flag.String("peer", "", "make testdata/vectors.txt anew with this command of testdata/vectors.c, and have it open our tokens")

// TestVectors opens tokens that MIT krb5 made. With -peer it has MIT krb5 open ours.
func TestVectors(t *testing.T) {
	if *peer != "" {
		newVectors(t)
	}
	file, err := os.Open("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]int{}
	var ends [2]*Context // who opens what the initiator sent, and what the acceptor sent
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	var etype Etype
	var key []byte
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "context" && len(words) == 3:
			var n int32
			if _, err := fmt.Sscan(words[1], &n); err != nil {
				t.Fatal(err)
			}
			etype, key, ends = Etype(n), unhex(t, words[2]), [2]*Context{}
		case words[0] == "token" && len(words) == 5:
			who := strings.Index("ia", words[1])
			token := unhex(t, words[4])
			if ends[who] == nil {
				if ends[who], err = newContext(etype, key, flagAcceptorSubkey, who == 1, 0, binary.BigEndian.Uint64(token[8:])); err != nil {
					t.Fatal(err)
				}
			}
			var length int
			if _, err := fmt.Sscan(words[3], &length); err != nil {
				t.Fatal(err)
			}
			for _, count := range []int{0, 28, 12345} {
				x := *ends[who]
				got, conf, err := x.Open(nil, rotated(token, count))
				if err != nil || conf != (words[2] == "1") || !bytes.Equal(got, pattern(length)) {
					t.Errorf("%v %v, turned by %d: %v", etype, words[:4], count, err)
				}
			}
			ends[who].in.seq++
			seen[fmt.Sprintf("%v %s %s", etype, words[1], words[2])]++
		default:
			t.Fatalf("line not understood: %.80s", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4*2*2 {
		t.Errorf("not all etypes, directions and protections: %v", seen)
	}
	for what, n := range seen {
		if n < 12 {
			t.Errorf("%s: %d tokens", what, n)
		}
	}
}

func newVectors(t *testing.T) {
	text := "# Made by vectors.c of this folder, which says how. Keys of contexts that lived for a moment.\n"
	for _, name := range []string{"aes128-cts", "aes256-cts", "aes128-sha2", "aes256-sha2"} {
		cmd := exec.Command("sh", "-c", *peer)
		cmd.Env = append(os.Environ(), "ETYPE="+name)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		var etype int32
		var keyText string
		next := map[string]uint64{}
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "ready\n" {
				break
			}
			text += line
			words := strings.Fields(line)
			if words[0] == "context" {
				_, _ = fmt.Sscan(words[1], &etype)
				keyText = words[2]
			} else {
				next[words[1]] = binary.BigEndian.Uint64(unhex(t, words[4])[8:]) + 1
			}
		}
		for who, n := range map[string]uint64{"i": next["i"], "a": next["a"]} {
			x, err := newContext(Etype(etype), unhex(t, keyText), flagAcceptorSubkey, who == "i", n, 0)
			if err != nil {
				t.Fatal(err)
			}
			for length := range 70 {
				for _, conf := range []bool{true, false} {
					plain := pattern(length * length)
					token, err := x.Seal(nil, plain, conf)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := fmt.Fprintf(in, "given %s %x\n", who, token); err != nil {
						t.Fatal(err)
					}
					got, err := lines.ReadString('\n')
					if want := fmt.Sprintf("opened %d %x\n", map[bool]int{true: 1}[conf], plain); err != nil || got != want {
						t.Fatalf("%s, %d octets of %s: %.100s, %v", name, len(plain), who, got, err)
					}
				}
			}
		}
		_ = in.Close()
		if _, err := io.Copy(io.Discard, lines); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: MIT krb5 opened 280 tokens of ours", Etype(etype))
	}
	if err := os.WriteFile("testdata/vectors.txt", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkWrap(b *testing.B) {
	plain := pattern(16384 - 4 - 60)
	for _, e := range allEtypes {
		et, err := crypto.GetEtype(int32(e))
		if err != nil {
			b.Fatal(err)
		}
		i, a := pair(b, e)
		var token, out []byte
		b.Run(fmt.Sprintf("seal/%v", e), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if token, err = a.Seal(token[:0], plain, true); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("seal-gokrb5/%v", e), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := et.EncryptMessage(testKey(e), plain, usageInitiatorSeal); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("open/%v", e), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			i.in.seq = a.out.seq - 1
			for b.Loop() {
				if out, _, err = i.Open(out[:0], token); err != nil {
					b.Fatal(err)
				}
				i.in.seq--
			}
		})
		b.Run(fmt.Sprintf("open-gokrb5/%v", e), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := et.DecryptMessage(testKey(e), token[16:], usageAcceptorSeal); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// One goroutine seals while another opens.
func TestBothWaysAtOnce(t *testing.T) {
	for _, e := range allEtypes {
		i, a := pair(t, e)
		var tokens [][]byte
		for n := range 50 {
			token, err := a.Seal(nil, pattern(n), n%2 == 0)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			for n := range 50 {
				token, err := i.Seal(nil, pattern(n), n%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				if plain, _, err := a.Open(nil, token); err != nil || !bytes.Equal(plain, pattern(n)) {
					t.Error(err)
					return
				}
			}
		})
		for n, token := range tokens {
			if plain, _, err := i.Open(nil, token); err != nil || !bytes.Equal(plain, pattern(n)) {
				t.Fatal(err)
			}
		}
		wait.Wait()
	}
}
