package matrix

import (
	"slices"
	"strings"
)

// Keytab describes the server's keytab: the file that krb_server_keyfile names.
type Keytab struct {
	Name       string      // the value of the axis keytab
	Absent     bool        // there is no such file
	Principals []string    // whose keys it has, without the realm; {host} stands for World.Host
	Keys       KeyVersions // which versions of the keys it has
	Enctypes   []string    // only keys of these encryption types, of Enctypes; none: all that the principals have
}

// describedAxes are the axes of which a scenario can describe values of its own.
var describedAxes = []string{"servercert", "keytab", "ident_server", "ticket", "krb5_conf", "cert"}

// KeyVersions says which versions of a principal's keys a keytab has.
type KeyVersions string

const (
	CurrentKeys  KeyVersions = "current"  // the keys that the KDC has
	PreviousKeys KeyVersions = "previous" // the keys that the KDC had before the last change
	AllKeys      KeyVersions = "all"      // both
)

var keyVersions = []KeyVersions{CurrentKeys, PreviousKeys, AllKeys}

// ServicePrincipal is the server's principal, with {host} for its host name.
const ServicePrincipal = "postgres/{host}"

// Keytabs are the keytabs that every scenario can name. A scenario describes its own under world.keytabs.
var Keytabs = []Keytab{
	{Name: "good", Principals: []string{ServicePrincipal}, Keys: CurrentKeys},
	{Name: "none", Absent: true},
	{Name: "stale", Principals: []string{ServicePrincipal}, Keys: PreviousKeys},
	{Name: "other", Principals: []string{"postgres/other.{host}"}, Keys: CurrentKeys},
}

func keytabNames() (names []string) {
	for _, k := range Keytabs {
		names = append(names, k.Name)
	}
	return names
}

// ServicePrincipals are the principals of the server's realm for which a client can get a ticket: those of the catalogue's keytabs, those of the
// scenario's own, and those with an instance that the scenario lists.
func (w *World) ServicePrincipals() (names []string) {
	add := func(name string) {
		if name = strings.ReplaceAll(name, "{host}", w.Host); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, k := range slices.Concat(Keytabs, w.Keytabs) {
		for _, p := range k.Principals {
			add(p)
		}
	}
	if len(w.Realms) > 0 {
		for _, p := range w.Realms[0].Principals {
			if strings.Contains(p, "/") {
				add(p)
			}
		}
	}
	return names
}

// KeytabOf is the description of the server's keytab, its principals with the host's name; ok is false if there is none of its name.
func (w *World) KeytabOf() (k Keytab, ok bool) {
	name := w.Keytab
	if name == "" {
		name = Keytabs[0].Name
	}
	if k, ok = described(name, func(k *Keytab) string { return k.Name }, Keytabs, w.Keytabs); ok {
		k.Principals = slices.Clone(k.Principals)
		for i, p := range k.Principals {
			k.Principals[i] = strings.ReplaceAll(p, "{host}", w.Host)
		}
	}
	return k, ok
}

// described finds a description by its name, in a catalogue or among a scenario's own.
func described[T any](name string, of func(*T) string, lists ...[]T) (found T, ok bool) {
	for _, list := range lists {
		for i := range list {
			if of(&list[i]) == name {
				return list[i], true
			}
		}
	}
	return found, false
}

// key tells keytabs apart that scenarios have described under one name.
func (k Keytab) key() string {
	return strings.Join(k.Principals, " ") + "|" + string(k.Keys) + "|" + strings.Join(k.Enctypes, " ")
}

// EncryptionType is an encryption type of Kerberos.
type EncryptionType struct {
	Name   string // as krb5.conf spells it
	Number int32  // RFC 3961
}

// Enctypes are the encryption types that every client here supports. The first is that of a service ticket where a realm has the keys that
// MIT krb5 makes by default.
var Enctypes = []EncryptionType{
	{"aes256-cts-hmac-sha1-96", 18},
	{"aes128-cts-hmac-sha1-96", 17},
	{"aes256-cts-hmac-sha384-192", 20},
	{"aes128-cts-hmac-sha256-128", 19},
}

func enctypeNames() (names []string) {
	for _, e := range Enctypes {
		names = append(names, e.Name)
	}
	return names
}
