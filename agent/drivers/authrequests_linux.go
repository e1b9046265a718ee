package drivers

import (
	"encoding/binary"
	"strconv"
)

// authRequests reads the authentication requests out of what the server sends, up to its first ReadyForQuery.
// Source: PostgreSQL manual, "Message Formats"; the names are those of wire.AuthRequest.
type authRequests struct {
	seen []string
	head []byte // type, length and the first four bytes of the body
	skip int    // bytes of the body still to come
	done bool
}

var authNames = map[uint32]string{0: "ok", 2: "krb5", 3: "password", 5: "md5", 7: "gss", 8: "gss-continue", 9: "sspi", 10: "sasl", 11: "sasl-continue", 12: "sasl-final"}

func authName(code uint32) string {
	if name, ok := authNames[code]; ok {
		return name
	}
	return strconv.FormatUint(uint64(code), 10)
}

func (a *authRequests) Write(p []byte) (int, error) {
	length := len(p)
	for len(p) > 0 && !a.done {
		if a.skip > 0 {
			step := min(a.skip, len(p))
			a.skip -= step
			p = p[step:]
			continue
		}
		a.head = append(a.head, p[0])
		p = p[1:]
		if len(a.head) < 5 {
			continue
		}
		size := int(binary.BigEndian.Uint32(a.head[1:5]))
		switch {
		case size < 4 || a.head[0] == 'Z':
			a.done = true
		case a.head[0] != 'R' || size < 8:
			a.skip, a.head = size-4, a.head[:0]
		case len(a.head) == 9:
			a.seen = append(a.seen, authName(binary.BigEndian.Uint32(a.head[5:9])))
			a.skip, a.head = size-8, a.head[:0]
		}
	}
	return length, nil
}
