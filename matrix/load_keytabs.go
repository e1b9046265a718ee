package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// ownNames checks the names under which a scenario describes its own values of an axis, and keeps them.
func (l *loading) ownNames(v *value, axis, what string) []entry {
	if v == nil || !l.want(v, axis+"s", mapping) {
		return nil
	}
	a, _ := AxisByName(axis)
	var own []entry
	for _, e := range l.entriesOnce(v, what) {
		switch {
		case !kebabCase.MatchString(e.key):
			l.problem(e.position, fmt.Sprintf("%q is no name for a %s", e.key, what), "want a-z, 0-9 and single hyphens, as in two-hosts")
		case slices.Contains(append(a.Words(), "all"), e.key):
			l.problem(e.position, fmt.Sprintf("%s is a %s that every scenario has", e.key, what), "choose another name")
		default:
			l.own[axis] = append(l.own[axis], e.key)
			if l.want(e.value, "a "+what, mapping) {
				own = append(own, e)
			}
		}
	}
	return own
}

var keytabKeys = []string{"principals", "keys", "enctypes"}

// keytabs reads the keytabs that the scenario describes.
func (l *loading) keytabs(v *value) {
	for _, own := range l.ownNames(v, "keytab", "keytab") {
		k := Keytab{Name: own.key, Principals: []string{ServicePrincipal}, Keys: CurrentKeys}
		for _, e := range l.entriesOnce(own.value, "key") {
			switch e.key {
			case "principals":
				k.Principals = nil
				for _, p := range l.scalars(e.value, e.key) {
					switch {
					case strings.TrimSpace(p.text) == "" || strings.Contains(p.text, "@"):
						l.problem(p.position, fmt.Sprintf("%q is no principal of a keytab", p.text), "write it without the realm, as in "+ServicePrincipal)
					case slices.Contains(k.Principals, p.text):
						l.problem(p.position, fmt.Sprintf("principal %q is there twice", p.text), "keep one of the two")
					default:
						k.Principals = append(k.Principals, p.text)
					}
				}
			case "keys":
				if k.Keys = KeyVersions(e.value.text); l.want(e.value, e.key, scalar) && !slices.Contains(keyVersions, k.Keys) {
					l.problem(e.value.position, fmt.Sprintf("keys is %q", e.value.text), "want "+orList(stringsOf(keyVersions)))
				}
			case "enctypes":
				k.Enctypes = l.enctypes(e)
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of a keytab", e.key), suggest(e.key, keytabKeys))
			}
		}
		l.Keytabs = append(l.Keytabs, k)
	}
}

func (l *loading) enctypes(e entry) (names []string) {
	for _, v := range l.scalars(e.value, e.key) {
		switch {
		case !slices.Contains(enctypeNames(), v.text):
			l.problem(v.position, fmt.Sprintf("unknown encryption type %q", v.text), suggest(v.text, enctypeNames()))
		case slices.Contains(names, v.text):
			l.problem(v.position, fmt.Sprintf("%s is there twice", v.text), "name it once")
		default:
			names = append(names, v.text)
		}
	}
	return names
}

func keytabsSchema() object {
	return object{"type": "object", "propertyNames": object{"pattern": kebabCase.String()}, "minProperties": 1, "additionalProperties": closed("", object{
		"principals": oneOrMore(object{"type": "string", "pattern": `^[^@]*[^@\s][^@]*$`}),
		"keys":       object{"enum": keyVersions},
		"enctypes":   oneOrMore(object{"enum": enctypeNames()}),
	})}
}
