package gssenc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/bits"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Etype is a Kerberos encryption type number (RFC 3961 section 8).
type Etype int32

// The etypes that a context of this package can seal with. RC4 and DES3 have token formats of their own (RFC 4757, RFC 1964),
// which are not implemented: with a session key of theirs, see Initiate.
const (
	AES128SHA1   Etype = 17 // aes128-cts-hmac-sha1-96, RFC 3962
	AES256SHA1   Etype = 18 // aes256-cts-hmac-sha1-96, RFC 3962
	AES128SHA256 Etype = 19 // aes128-cts-hmac-sha256-128, RFC 8009
	AES256SHA384 Etype = 20 // aes256-cts-hmac-sha384-192, RFC 8009
	des3SHA1     Etype = 16
	rc4HMAC      Etype = 23
)

// etypeProfile is what an etype of AES is built of.
type etypeProfile struct {
	key  int              // octets of the protocol key
	mac  int              // octets of a checksum, after truncation
	hash func() hash.Hash //
	etm  bool             // RFC 8009: the checksum is over the initial vector and the ciphertext, not over the plaintext
}

var profiles = map[Etype]etypeProfile{
	AES128SHA1:   {16, 12, sha1.New, false},
	AES256SHA1:   {32, 12, sha1.New, false},
	AES128SHA256: {16, 16, sha256.New, true},
	AES256SHA384: {32, 24, sha512.New384, true},
}

// The last octet of the constant that a key is derived with (RFC 3961 section 5.3).
const (
	deriveChecksum  = 0x99 // Kc
	deriveEncrypt   = 0xAA // Ke
	deriveIntegrity = 0x55 // Ki
)

// derive returns the key for a use: DK of RFC 3961 section 5.1 or KDF-HMAC-SHA2 of RFC 8009 section 3. gokrb5's takes 15 µs,
// most of them for the n-fold, and a connection needs ten keys.
func (p etypeProfile) derive(key []byte, usage uint32, what byte) ([]byte, error) {
	if p.etm {
		bits := 8 * uint32(p.mac) // of Kc and Ki
		if what == deriveEncrypt {
			bits = 8 * uint32(p.key)
		}
		kdf := hmac.New(p.hash, key)
		input := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 1}, usage)
		kdf.Write(binary.BigEndian.AppendUint32(append(input, what, 0), bits))
		return kdf.Sum(nil)[:bits/8], nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	derived, last := make([]byte, p.key), nfold(uint64(usage)<<8|uint64(what))
	for done := 0; done < p.key; done += aes.BlockSize {
		block.Encrypt(last[:], last[:])
		copy(derived[done:], last[:])
	}
	return derived, nil
}

// nfold stretches the five octets of a constant to a block (RFC 3961 section 5.1): copies, each turned right by 13 bits more
// than the one before, are laid side by side, and the blocks of that are added in ones' complement.
func nfold(constant uint64) (folded [aes.BlockSize]byte) {
	const octets, copies = 5, aes.BlockSize // 80 octets are the least common multiple
	var laid [octets * copies]byte
	for i := range laid {
		turn := 13 * (i / octets) % (8 * octets)
		turned := constant>>turn | constant<<(8*octets-turn)
		laid[i] = byte(turned >> (8 * (octets - 1 - i%octets)))
	}
	var high, low, carry uint64
	for i := 0; i < len(laid); i += aes.BlockSize {
		low, carry = bits.Add64(low, binary.BigEndian.Uint64(laid[i+8:]), 0)
		high, carry = bits.Add64(high, binary.BigEndian.Uint64(laid[i:]), carry)
		low, carry = bits.Add64(low, 0, carry)
		high += carry
	}
	binary.BigEndian.PutUint64(folded[:], high)
	binary.BigEndian.PutUint64(folded[8:], low)
	return folded
}

// messageKey encrypts and decrypts messages of one key and usage, with the state of cipher and hash kept. It is for one
// goroutine at a time.
type messageKey struct {
	etypeProfile
	block cipher.Block
	enc   ivSetter
	dec   ivSetter
	ki    hash.Hash
	sum   []byte // capacity of one untruncated checksum
	last  [2 * aes.BlockSize]byte
}

type ivSetter interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

var zeroIV [aes.BlockSize]byte

var errIntegrity = errors.New("integrity check failed: it was made with another key, or changed on the way")

func newMessageKey(e Etype, key []byte, usage uint32) (*messageKey, error) {
	p, ok := profiles[e]
	if !ok || fipsRefuses(e) {
		return nil, fmt.Errorf("cannot encrypt with %v", e)
	}
	if len(key) != p.key {
		return nil, fmt.Errorf("a key of %v has %d octets, this one %d", e, p.key, len(key))
	}
	ke, err := p.derive(key, usage, deriveEncrypt)
	if err != nil {
		return nil, err
	}
	ki, err := p.derive(key, usage, deriveIntegrity)
	if err != nil {
		return nil, err
	}
	s := &messageKey{etypeProfile: p, ki: hmac.New(p.hash, ki)}
	s.sum = make([]byte, 0, s.ki.Size())
	return s, s.setCipher(ke)
}

func (s *messageKey) setCipher(ke []byte) (err error) {
	if s.block, err = aes.NewCipher(ke); err != nil {
		return err
	}
	var okEnc, okDec bool
	s.enc, okEnc = cipher.NewCBCEncrypter(s.block, zeroIV[:]).(ivSetter)
	s.dec, okDec = cipher.NewCBCDecrypter(s.block, zeroIV[:]).(ivSetter)
	if !okEnc || !okDec {
		return errors.New("this Go has no CBC whose initial vector can be set")
	}
	return nil
}

// encryptData encrypts what a Kerberos message carries (RFC 4120 5.2.9). gokrb5 does it for the etypes that are not of AES.
func encryptData(plain []byte, key types.EncryptionKey, usage uint32, kvno int) (types.EncryptedData, error) {
	if _, ok := profiles[Etype(key.KeyType)]; !ok {
		return crypto.GetEncryptedData(plain, key, usage, kvno)
	}
	s, err := newMessageKey(Etype(key.KeyType), key.KeyValue, usage)
	if err != nil {
		return types.EncryptedData{}, err
	}
	message := make([]byte, len(plain)+s.overhead())
	if _, err := rand.Read(message[:aes.BlockSize]); err != nil {
		return types.EncryptedData{}, err
	}
	copy(message[aes.BlockSize:], plain)
	s.seal(message)
	return types.EncryptedData{EType: key.KeyType, KVNO: kvno, Cipher: message}, nil
}

// decryptData undoes encryptData.
func decryptData(sealed types.EncryptedData, key types.EncryptionKey, usage uint32) (plain []byte, err error) {
	if sealed.EType != key.KeyType {
		return nil, fmt.Errorf("encrypted with %v, the key is of %v", Etype(sealed.EType), Etype(key.KeyType))
	}
	if _, ok := profiles[Etype(key.KeyType)]; !ok {
		err = guard(func() error {
			plain, err = crypto.DecryptEncPart(sealed, key, usage)
			return err
		})
		return plain, err
	}
	s, err := newMessageKey(Etype(key.KeyType), key.KeyValue, usage)
	if err != nil {
		return nil, err
	}
	return s.open(bytes.Clone(sealed.Cipher))
}

// overhead is what encryption adds: confounder and checksum.
func (s *messageKey) overhead() int { return aes.BlockSize + s.mac }

// seal encrypts in place. The message is a confounder, the plaintext, and room for the checksum, which it fills.
func (s *messageKey) seal(message []byte) {
	body, mac := message[:len(message)-s.mac], message[len(message)-s.mac:]
	if s.etm {
		s.encrypt(body)
		copy(mac, s.checksum(body))
		return
	}
	copy(mac, s.checksum(body))
	s.encrypt(body)
}

// open decrypts in place and returns the plaintext without confounder and checksum, a part of message.
func (s *messageKey) open(message []byte) ([]byte, error) {
	if len(message) < s.overhead() {
		return nil, fmt.Errorf("%d octets of ciphertext, fewer than the %d that the etype adds", len(message), s.overhead())
	}
	body, mac := message[:len(message)-s.mac], message[len(message)-s.mac:]
	if s.etm {
		if !hmac.Equal(mac, s.checksum(body)) {
			return nil, errIntegrity
		}
		s.decrypt(body)
		return body[aes.BlockSize:], nil
	}
	s.decrypt(body)
	if !hmac.Equal(mac, s.checksum(body)) {
		return nil, errIntegrity
	}
	return body[aes.BlockSize:], nil
}

func (s *messageKey) checksum(body []byte) []byte {
	s.ki.Reset()
	if s.etm {
		s.ki.Write(zeroIV[:])
	}
	s.ki.Write(body)
	s.sum = s.ki.Sum(s.sum[:0])
	return s.sum[:s.mac]
}

// encrypt is CBC with ciphertext stealing (RFC 3962 section 5), the last two blocks always exchanged, initial vector zero.
// b has at least one block.
func (s *messageKey) encrypt(b []byte) {
	s.enc.SetIV(zeroIV[:])
	if len(b) == aes.BlockSize {
		s.enc.CryptBlocks(b, b)
		return
	}
	whole := (len(b) - 1) / aes.BlockSize * aes.BlockSize // all blocks but the last, which may be full
	tail := b[whole:]
	s.enc.CryptBlocks(b[:whole], b[:whole])
	final := b[whole-aes.BlockSize : whole]
	stolen, padded := s.last[:aes.BlockSize], s.last[aes.BlockSize:]
	copy(stolen, final)
	clear(padded[copy(padded, tail):])
	s.enc.CryptBlocks(final, padded)
	copy(tail, stolen)
}

// decrypt undoes encrypt.
func (s *messageKey) decrypt(b []byte) {
	s.dec.SetIV(zeroIV[:])
	if len(b) == aes.BlockSize {
		s.dec.CryptBlocks(b, b)
		return
	}
	whole := (len(b) - 1) / aes.BlockSize * aes.BlockSize
	final, tail := b[whole-aes.BlockSize:whole], b[whole:]
	mixed, stolen := s.last[:aes.BlockSize], s.last[aes.BlockSize:]
	s.block.Decrypt(mixed, final)
	copy(stolen, mixed)
	copy(stolen, tail) // the last block but one, as it was before its end was dropped
	for i := range tail {
		tail[i] ^= mixed[i]
	}
	copy(final, stolen)
	s.dec.CryptBlocks(b[:whole], b[:whole])
}
