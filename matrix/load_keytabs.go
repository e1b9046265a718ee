package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// ownNames checks the names under which a scenario describes, under a key of world, its own values of some axes, and keeps them.
func (l *loading) ownNames(v *value, key, what string, axes ...string) []entry {
	if v == nil || !l.want(v, key, mapping) {
		return nil
	}
	taken := []string{"all"}
	for _, axis := range axes {
		a, _ := AxisByName(axis)
		taken = append(taken, a.Words()...)
	}
	var own []entry
	for _, e := range l.entriesOnce(v, what) {
		switch {
		case !kebabCase.MatchString(e.key):
			l.problem(e.position, fmt.Sprintf("%q is no name for a %s", e.key, what), "want a-z, 0-9 and single hyphens, as in two-hosts")
		case slices.Contains(taken, e.key):
			l.problem(e.position, fmt.Sprintf("%s is a %s that every scenario has", e.key, what), "choose another name")
		default:
			for _, axis := range axes {
				l.own[axis] = append(l.own[axis], e.key)
			}
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
	for _, own := range l.ownNames(v, "keytabs", "keytab", "keytab") {
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
				k.Enctypes = l.wordsOf(e, "unknown encryption type %q", enctypeNames())
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of a keytab", e.key), suggest(e.key, keytabKeys))
			}
		}
		l.Keytabs = append(l.Keytabs, k)
	}
}

// describedSchema is that of descriptions by name.
func describedSchema(description object) object {
	return object{"type": "object", "propertyNames": object{"pattern": kebabCase.String()}, "minProperties": 1, "additionalProperties": description}
}

func keytabsSchema() object {
	return describedSchema(closed("", object{
		"principals": principalsSchema(),
		"keys":       object{"enum": keyVersions},
		"enctypes":   oneOrMore(object{"enum": enctypeNames()}),
	}))
}
