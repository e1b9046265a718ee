package gssenc

import (
	"crypto/fips140"
	"fmt"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
)

// etypeNames are the spellings of MIT krb5; the first of an etype is its name.
var etypeNames = []struct {
	name  string
	etype Etype
}{
	{"aes256-cts-hmac-sha1-96", AES256SHA1}, {"aes256-cts", AES256SHA1}, {"aes256-sha1", AES256SHA1},
	{"aes128-cts-hmac-sha1-96", AES128SHA1}, {"aes128-cts", AES128SHA1}, {"aes128-sha1", AES128SHA1},
	{"aes256-cts-hmac-sha384-192", AES256SHA384}, {"aes256-sha2", AES256SHA384},
	{"aes128-cts-hmac-sha256-128", AES128SHA256}, {"aes128-sha2", AES128SHA256},
	{"des3-cbc-sha1", des3SHA1}, {"des3-hmac-sha1", des3SHA1}, {"des3-cbc-sha1-kd", des3SHA1},
	{"arcfour-hmac", rc4HMAC}, {"rc4-hmac", rc4HMAC}, {"arcfour-hmac-md5", rc4HMAC},
}

// String returns the name that krb5.conf uses.
func (e Etype) String() string {
	for _, n := range etypeNames {
		if n.etype == e {
			return n.name
		}
	}
	return fmt.Sprintf("etype %d", int32(e))
}

// Only the etypes of RFC 8009 are built of what FIPS 140-3 approves: those of RFC 3962 have HMAC-SHA-1 with a derivation of
// their own, and Go's GODEBUG=fips140=only panics at it.
func fipsRefuses(e Etype) bool { return fips140.Enforced() && e != AES128SHA256 && e != AES256SHA384 }

func defaultEtypes() []int32 {
	if fips140.Enforced() {
		return []int32{int32(AES256SHA384), int32(AES128SHA256)}
	}
	return []int32{int32(AES256SHA1), int32(AES128SHA1), int32(AES256SHA384), int32(AES128SHA256)}
}

// etypes reads a list of libdefaults such as permitted_enctypes. Without it the answer is otherwise. A list in which nothing is
// known is an error, as for libkrb5.
func (c *krb5Conf) etypes(name string, otherwise []int32) ([]int32, error) {
	list, ok := c.profile.value("libdefaults", name)
	if !ok {
		return otherwise, nil
	}
	etypes := parseEtypes(list)
	etypes = slices.DeleteFunc(etypes, func(e int32) bool { return fipsRefuses(Etype(e)) })
	if len(etypes) == 0 {
		return nil, fmt.Errorf("krb5.conf: %s = %s: nothing that can be used", name, list)
	}
	return etypes, nil
}

// parseEtypes reads names, families and removals in their order. Names that are not known are passed over, as libkrb5 does.
func parseEtypes(list string) []int32 {
	var etypes []int32
	separator := func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\r' || r == '\n' }
	for _, name := range strings.FieldsFunc(strings.ToLower(list), separator) {
		bare := strings.TrimPrefix(name, "-")
		remove := bare != name
		if !remove {
			bare = strings.TrimPrefix(name, "+")
		}
		for _, id := range etypesNamed(bare) {
			etypes = slices.DeleteFunc(etypes, func(e int32) bool { return remove && e == id })
			if !remove && !slices.Contains(etypes, id) {
				etypes = append(etypes, id)
			}
		}
	}
	return etypes
}

// etypesNamed are those of a family, or the one of the name, in lower case.
func etypesNamed(name string) []int32 {
	switch name {
	case "default", "aes":
		return []int32{int32(AES256SHA1), int32(AES128SHA1), int32(AES256SHA384), int32(AES128SHA256)}
	case "rc4":
		return []int32{int32(rc4HMAC)}
	case "des3":
		return []int32{int32(des3SHA1)}
	}
	for _, n := range etypeNames {
		if n.name == name {
			return []int32{int32(n.etype)}
		}
	}
	return nil
}

// usableEtype returns gokrb5's implementation of an etype.
func usableEtype(id int32) (etype.EType, error) {
	if fipsRefuses(Etype(id)) {
		return nil, fmt.Errorf("%v is not approved for FIPS 140-3, which GODEBUG=fips140=only demands", Etype(id))
	}
	return crypto.GetEtype(id)
}
