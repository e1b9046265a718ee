package gssenc

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/types"
)

// secret gives the key of an etype: of a keytab entry, or made from a password with the salt and parameters of the KDC.
type secret interface {
	etypes() []int32 // that there are keys of; nil: any
	key(etype int32, hints types.PADataSequence) (types.EncryptionKey, int, error)
}

// maxIterations bounds string-to-key: the party that answers first in the AS exchange chooses the number, and nothing
// authenticates it.
const maxIterations = 1 << 20

// password makes keys of a password.
type password struct {
	client principal
	text   string
}

func (password) etypes() []int32 { return nil }

func (p password) key(etype int32, hints types.PADataSequence) (types.EncryptionKey, int, error) {
	et, err := usableEtype(etype)
	if err != nil {
		return types.EncryptionKey{}, 0, fmt.Errorf("cannot make a key of %v", Etype(etype))
	}
	salt, params := p.client.GetSalt(p.client.realm), et.GetDefaultStringToKeyParams()
	for _, pa := range hints {
		if pa.PADataType != patype.PA_ETYPE_INFO2 {
			continue
		}
		var info types.ETypeInfo2
		if err := guard(func() error { return info.Unmarshal(pa.PADataValue) }); err != nil {
			return types.EncryptionKey{}, 0, fmt.Errorf("the KDC's list of etypes: %w", err)
		}
		i := slices.IndexFunc(info, func(e types.ETypeInfo2Entry) bool { return e.EType == etype })
		if i < 0 {
			continue
		}
		if info[i].Salt != "" {
			salt = info[i].Salt
		}
		if _, aes := profiles[Etype(etype)]; aes && len(info[i].S2KParams) > 0 {
			if len(info[i].S2KParams) != 4 {
				return types.EncryptionKey{}, 0, errors.New("the KDC's parameters for the password are malformed")
			}
			if n := binary.BigEndian.Uint32(info[i].S2KParams); n == 0 || n > maxIterations {
				return types.EncryptionKey{}, 0, fmt.Errorf("the KDC wants %d iterations for the password; at most %d are made", n, maxIterations)
			}
			params = hex.EncodeToString(info[i].S2KParams)
		}
	}
	value, err := et.StringToKey(p.text, salt, params)
	if err != nil {
		return types.EncryptionKey{}, 0, errors.New("no key can be made of this password")
	}
	return types.EncryptionKey{KeyType: etype, KeyValue: value}, 0, nil
}

// keytabOf is a keytab's keys of one principal.
type keytabOf []keytabKey

func (k keytabOf) etypes() []int32 {
	var etypes []int32
	for _, key := range k {
		if !slices.Contains(etypes, key.key.KeyType) {
			etypes = append(etypes, key.key.KeyType)
		}
	}
	return etypes
}

func (k keytabOf) key(etype int32, _ types.PADataSequence) (types.EncryptionKey, int, error) {
	best := -1
	for i, key := range k {
		if key.key.KeyType == etype && (best < 0 || key.kvno > k[best].kvno) {
			best = i
		}
	}
	if best < 0 {
		return types.EncryptionKey{}, 0, fmt.Errorf("the keytab has no key of %v for %v, which the KDC uses", Etype(etype), k[0].owner)
	}
	return k[best].key, int(k[best].kvno), nil
}
