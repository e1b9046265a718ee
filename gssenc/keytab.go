package gssenc

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/jcmturner/gokrb5/v8/types"
)

// keytabKey is one entry of a keytab.
type keytabKey struct {
	owner principal
	kvno  uint32
	key   types.EncryptionKey
}

// keytabPath is the file that the name of a keytab means.
func keytabPath(name string) (string, error) {
	kind, path, typed := strings.Cut(name, ":")
	switch {
	case !typed || strings.HasPrefix(name, "/"):
		return name, nil
	case kind == "FILE" || kind == "WRFILE":
		return path, nil
	}
	return "", failf(StageConfig, "keytab %q: only the type FILE can be read", name)
}

const maxKeytab = 16 << 20

var errKeytab = errors.New("not a keytab of version 2, or damaged")

// parseKeytab reads a keytab file, https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html. gokrb5's
// parser prints the keys in an error, and its look-up takes the newest key by the clock instead of the highest version.
func parseKeytab(b []byte) ([]keytabKey, error) {
	r := reader{rest: b}
	if r.uint16() != 0x0502 {
		return nil, errKeytab
	}
	var keys []keytabKey
	for !r.bad && len(r.rest) >= 4 {
		size := int(int32(r.uint32()))
		if size == 0 {
			break
		}
		if size < 0 { // a hole where an entry was removed
			r.bytes(-size)
			continue
		}
		e := reader{rest: r.bytes(size)}
		short := func() []byte { return e.bytes(int(e.uint16())) }
		var k keytabKey
		n := e.uint16()
		k.owner.realm = string(short())
		for ; n > 0 && !e.bad; n-- {
			k.owner.NameString = append(k.owner.NameString, string(short()))
		}
		k.owner.NameType = int32(e.uint32())
		e.uint32() // when it was written
		if kvno := e.bytes(1); kvno != nil {
			k.kvno = uint32(kvno[0])
		}
		k.key.KeyType = int32(int16(e.uint16()))
		k.key.KeyValue = short()
		if len(e.rest) >= 4 {
			if kvno := binary.BigEndian.Uint32(e.rest); kvno != 0 {
				k.kvno = kvno
			}
		}
		if r.bad || e.bad || len(k.owner.NameString) == 0 {
			return nil, errKeytab
		}
		keys = append(keys, k)
	}
	if r.bad {
		return nil, errKeytab
	}
	return keys, nil
}
