package gssenc

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
)

// Key usages of RFC 4121 section 2.
const (
	usageAcceptorSeal  = 22
	usageAcceptorSign  = 23
	usageInitiatorSeal = 24
	usageInitiatorSign = 25
)

// Flags of RFC 4121 section 4.2.2.
const (
	flagSentByAcceptor = 1 << iota
	flagSealed
	flagAcceptorSubkey
)

const tokenHeader = 16

// The ways in which a wrap token can be refused. They are wrapped in an Error of StagePacket.
var (
	ErrTruncated   = errors.New("truncated wrap token")
	ErrNotWrap     = errors.New("not a wrap token of RFC 4121")
	ErrFlags       = errors.New("wrap token with wrong flags")
	ErrCounts      = errors.New("wrap token with an impossible extra count")
	ErrIntegrity   = errIntegrity
	ErrReplayed    = errors.New("wrap token that was received before, or an old one")
	ErrOutOfOrder  = errors.New("wrap token out of order: one or more before it are missing")
	errNoPlaintext = errors.New("plaintext longer than a wrap token can be")
)

// Context is an established security context. Seal and Open may run concurrently with each other; each of them is for one
// goroutine at a time. A token that Open refuses leaves the context as it was.
type Context struct {
	etype    Etype
	acceptor string
	out, in  direction
}

// direction is one half of a context.
type direction struct {
	*messageKey
	kc     hash.Hash // of wrap tokens without encryption
	flags  byte      // all but Sealed
	seq    uint64    // of the next token
	header [tokenHeader]byte
}

// newContext makes the context of a key. The flags are those that both sides' tokens have: AcceptorSubkey or none.
// Sequence numbers are the initial ones of initiator and acceptor.
func newContext(e Etype, key []byte, flags byte, initiator bool, ours, theirs uint64) (*Context, error) {
	x := &Context{etype: e}
	half := func(usage uint32, flags byte) (direction, error) {
		s, err := newMessageKey(e, key, usage)
		if err != nil {
			return direction{}, err
		}
		kc, err := s.derive(key, usage, deriveChecksum)
		if err != nil {
			return direction{}, err
		}
		return direction{messageKey: s, kc: hmac.New(s.hash, kc), flags: flags}, nil
	}
	i, err := half(usageInitiatorSeal, flags)
	if err != nil {
		return nil, err
	}
	a, err := half(usageAcceptorSeal, flags|flagSentByAcceptor)
	if err != nil {
		return nil, err
	}
	if x.out, x.in = i, a; !initiator {
		x.out, x.in = a, i
	}
	x.out.seq, x.in.seq = ours, theirs
	return x, nil
}

// EType returns the etype of the key that the context seals with: the acceptor's subkey, or the initiator's if there is none.
func (x *Context) EType() Etype { return x.etype }

// Acceptor returns the principal whose key the peer has shown to hold: service/host@REALM.
func (x *Context) Acceptor() string { return x.acceptor }

// MaxPlain returns the length of the largest plaintext whose sealed token is at most token octets long; 0 also if not even
// the token of an empty plaintext is that short. With conf = false Seal's tokens are shorter.
func (x *Context) MaxPlain(token int) int {
	return max(0, token-tokenHeader-x.out.overhead()-tokenHeader)
}

// Seal appends the wrap token of plain to dst (RFC 4121 4.2.4 and 4.2.6.2): encrypted if conf, else with a checksum only.
// It allocates nothing but what dst needs to grow. Plain must not overlap the capacity of dst after its length.
func (x *Context) Seal(dst, plain []byte, conf bool) ([]byte, error) {
	d := &x.out
	if len(plain) > math.MaxInt32 {
		return dst, &Error{StagePacket, errNoPlaintext}
	}
	start, size := len(dst), tokenHeader+len(plain)+d.mac
	if conf {
		size = tokenHeader + d.overhead() + len(plain) + tokenHeader
	}
	dst = slices.Grow(dst, size)[:start+size]
	token := dst[start:]
	putHeader(token, d.flags, d.seq)
	if !conf {
		copy(token[tokenHeader:], plain)
		copy(token[tokenHeader+len(plain):], d.plainChecksum(plain, token[:tokenHeader]))
		binary.BigEndian.PutUint16(token[4:], uint16(d.mac))
	} else {
		token[2] |= flagSealed
		message := token[tokenHeader:]
		if _, err := rand.Read(message[:aes.BlockSize]); err != nil {
			return dst[:start], &Error{StagePacket, err}
		}
		copy(message[aes.BlockSize:], plain)
		copy(message[aes.BlockSize+len(plain):], token[:tokenHeader])
		d.seal(message)
	}
	d.seq++
	return dst, nil
}

// Open appends to dst what a wrap token of the peer holds, and says whether it was encrypted. The token must be the next in
// the sequence: a gap, a replay and an exchange are errors. It allocates nothing but what dst needs to grow, which is up to
// the token's length. The token must not overlap the capacity of dst after its length.
func (x *Context) Open(dst, token []byte) (plain []byte, conf bool, err error) {
	d := &x.in
	refuse := func(err error) ([]byte, bool, error) { return dst, false, &Error{StagePacket, err} }
	if len(token) < tokenHeader {
		return refuse(ErrTruncated)
	}
	if token[0] != 0x05 || token[1] != 0x04 || token[3] != 0xFF {
		return refuse(ErrNotWrap)
	}
	conf = token[2]&flagSealed != 0
	if token[2]&^flagSealed != d.flags {
		return refuse(fmt.Errorf("%w: %#02x instead of %#02x", ErrFlags, token[2]&^flagSealed, d.flags))
	}
	ec, rrc := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	body := token[tokenHeader:]
	least := d.mac
	if conf {
		least = d.overhead() + tokenHeader
	}
	switch {
	case len(body) < least:
		return refuse(ErrTruncated)
	case conf && ec > len(body)-least, !conf && ec != d.mac:
		return refuse(ErrCounts)
	}
	// The peer may have rotated the body right by any count (RFC 4121 4.2.5).
	turn, start := rrc%len(body), len(dst)
	whole := append(append(dst, body[turn:]...), body[:turn]...)
	work := whole[start:]
	refuse = func(err error) ([]byte, bool, error) {
		clear(work) // what was refused leaves no plaintext
		return dst, false, &Error{StagePacket, err}
	}
	seq := binary.BigEndian.Uint64(token[8:])
	header := d.header[:]
	putHeader(header, token[2], seq)
	size := 0
	if conf {
		binary.BigEndian.PutUint16(header[4:], uint16(ec))
		inner, err := d.open(work)
		if err != nil {
			return refuse(err)
		}
		data := inner[:len(inner)-tokenHeader]
		if !bytes.Equal(inner[len(data):], header) {
			return refuse(fmt.Errorf("%w: the encrypted header differs from the one in front", ErrIntegrity))
		}
		size = len(data) - ec
		copy(work, data[:size])
	} else {
		size = len(work) - d.mac
		if !hmac.Equal(work[size:], d.plainChecksum(work[:size], header)) {
			return refuse(ErrIntegrity)
		}
	}
	// Only a token that the peer has really made can tell where in the sequence it belongs.
	switch {
	case seq < d.seq:
		return refuse(fmt.Errorf("%w (number %d, expected %d)", ErrReplayed, seq, d.seq))
	case seq > d.seq:
		return refuse(fmt.Errorf("%w (number %d, expected %d)", ErrOutOfOrder, seq, d.seq))
	}
	d.seq++
	return whole[:start+size], conf, nil
}

// plainChecksum is that of a wrap token without encryption: over the plaintext and the header with both counts zero.
func (d *direction) plainChecksum(plain, header []byte) []byte {
	d.kc.Reset()
	d.kc.Write(plain)
	d.kc.Write(header)
	d.sum = d.kc.Sum(d.sum[:0])
	return d.sum[:d.mac]
}

func putHeader(b []byte, flags byte, seq uint64) {
	b[0], b[1], b[2], b[3] = 0x05, 0x04, flags, 0xFF
	binary.BigEndian.PutUint32(b[4:], 0)
	binary.BigEndian.PutUint64(b[8:], seq)
}
