package matrix

import (
	"fmt"
	"slices"
)

var realmKeys = []string{"kind", "principals", "enctypes", "hung", "trusted"}

// realms reads the descriptions of realms: of the server's own, which `realm` names, and of further ones. The keys realm and principals
// are read before.
func (l *loading) realms(v *value) {
	if v == nil || !l.want(v, "realms", mapping) {
		return
	}
	for _, e := range l.entriesOnce(v, "realm") {
		own := e.key == l.Realms[0].Name
		realm := Realm{Name: e.key}
		if own {
			realm = l.Realms[0]
		} else if !realmName.MatchString(e.key) {
			l.problem(e.position, fmt.Sprintf("%q is no name of a realm", e.key), realmForm)
			continue
		}
		if !l.want(e.value, "a realm", mapping) {
			continue
		}
		for _, k := range l.entriesOnce(e.value, "key") {
			switch k.key {
			case "kind":
				if realm.Kind = RealmKind(k.value.text); l.want(k.value, k.key, scalar) && !slices.Contains(RealmKinds, realm.Kind) {
					l.problem(k.value.position, fmt.Sprintf("unknown kind %q of a realm", k.value.text), "want "+orList(stringsOf(RealmKinds)))
				}
			case "principals":
				if own {
					l.problem(k.position, "these are the principals of the server's realm", "write them under world.principals")
					continue
				}
				l.principalsOf(&realm, k.value)
			case "enctypes":
				realm.Enctypes = l.wordsOf(k, "unknown encryption type %q", enctypeNames())
			case "hung":
				realm.Hung = l.boolean(k)
			case "trusted":
				if own {
					l.problem(k.position, "the server's own realm is trusted", "leave trusted out")
				}
				realm.Trusted = l.boolean(k)
			default:
				l.problem(k.position, fmt.Sprintf("unknown key %q of a realm", k.key), suggest(k.key, realmKeys))
			}
		}
		if own {
			l.Realms[0] = realm
		} else {
			l.Realms = append(l.Realms, realm)
		}
	}
}

// clientRealm reads the default realm of the clients.
func (l *loading) clientRealm(v *value) {
	if v == nil || !l.want(v, "client_realm", scalar) {
		return
	}
	l.ClientRealm = v.text
	if !slices.ContainsFunc(l.Realms, func(r Realm) bool { return r.Name == v.text }) {
		l.problem(v.position, fmt.Sprintf("the world has no realm %s", v.text), "name the server's realm, or describe this one under realms")
	}
}

func realmsSchema() object {
	return object{"type": "object", "propertyNames": object{"pattern": realmName.String()}, "minProperties": 1, "additionalProperties": closed("", object{
		"kind":       object{"enum": RealmKinds},
		"principals": principalsSchema(),
		"enctypes":   oneOrMore(object{"enum": enctypeNames()}),
		"hung":       object{"type": "boolean"},
		"trusted":    object{"type": "boolean"},
	})}
}
