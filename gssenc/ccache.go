package gssenc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// ticket is what one needs to use a ticket.
type ticket struct {
	client, server principal
	asked          principal // by which it was asked for, where that is another name for the service; else empty
	encoded        []byte    // the Ticket of RFC 4120 5.3
	key            types.EncryptionKey
	flags          uint32 // TicketFlags, RFC 4120 5.3, bit 0 the highest
	auth, start    time.Time
	end, renew     time.Time
}

const flagForwardable = 1 << 30

func (t *ticket) expired(now time.Time) bool { return !now.Before(t.end) }

// halfOver says that more than half of the ticket's time has passed.
func (t *ticket) halfOver(now time.Time) bool {
	begin := t.start
	if begin.Unix() <= 0 {
		begin = t.auth
	}
	return now.Sub(begin) > t.end.Sub(now)
}

// target is the realm that a ticket-granting ticket is for, "" of another ticket.
func (t *ticket) target() string {
	if len(t.server.NameString) == 2 && t.server.NameString[0] == "krbtgt" {
		return t.server.NameString[1]
	}
	return ""
}

const maxCCache = 16 << 20

var errCCache = errors.New("not a FILE ccache of version 3 or 4, or damaged")

// ccache is what a credential cache holds: its default principal and tickets, which may be of others as well.
type ccache struct {
	owner   principal
	tickets []ticket
}

// parseCCache reads a credential cache file. The format is that of MIT krb5,
// https://web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html. gokrb5's parser indexes and allocates by
// unchecked lengths, and takes only one field in the header.
func parseCCache(b []byte) (ccache, error) {
	r := reader{rest: b}
	switch version := r.uint16(); version {
	case 0x0503:
	case 0x0504:
		r.bytes(int(r.uint16())) // header fields: the KDC's clock, which this package does not need
	case 0x0501, 0x0502:
		return ccache{}, fmt.Errorf("ccache of version %d, in some machine's byte order: make a new one with kinit", version&0xFF)
	default:
		return ccache{}, errCCache
	}
	c := ccache{owner: r.principal()}
	for !r.bad && len(r.rest) > 0 {
		if t := r.ticket(b[1] == 3); t != nil {
			c.tickets = append(c.tickets, *t)
		}
	}
	if r.bad || len(c.owner.NameString) == 0 {
		return ccache{}, errCCache
	}
	return c, nil
}

// ticket reads one entry. It returns nil for what is no ticket, and at the end of what there is to read.
func (r *reader) ticket(v3 bool) *ticket {
	t := ticket{client: r.principal(), server: r.principal()}
	t.key.KeyType = int32(int16(r.uint16()))
	if v3 {
		r.uint16()
	}
	t.key.KeyValue = r.data()
	t.auth, t.start, t.end, t.renew = r.time(), r.time(), r.time(), r.time()
	r.bytes(1) // is_skey
	t.flags = r.uint32()
	for range 2 { // addresses, authorization data
		for n := r.uint32(); n > 0 && !r.bad; n-- {
			r.uint16()
			r.data()
		}
	}
	t.encoded = r.data()
	r.data() // second ticket
	removed := t.end.Unix() == 0 && t.auth.Unix() == math.MaxUint32
	// Configuration entries (realm X-CACHECONF:), also removed ones (X-RMED-CONF:), and anything else that is no ticket.
	if r.bad || removed || guard(func() error { return new(messages.Ticket).Unmarshal(t.encoded) }) != nil {
		return nil
	}
	return &t
}

// reader takes things off the front of a byte string. Past its end it is bad and everything is zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) data() []byte { return r.bytes(int(r.uint32())) }

func (r *reader) time() time.Time { return time.Unix(int64(r.uint32()), 0) }

func (r *reader) principal() principal {
	p := principal{PrincipalName: types.PrincipalName{NameType: int32(r.uint32())}}
	n := r.uint32()
	p.realm = string(r.data())
	for ; n > 0 && !r.bad; n-- {
		p.NameString = append(p.NameString, string(r.data()))
	}
	return p
}

// guard makes an error of a panic: gokrb5 and the asn1 package under it were not made for what strangers send.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	return f()
}
