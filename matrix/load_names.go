package matrix

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// domainName is a host name, fully qualified or not, in any case.
var domainName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

var addressNameKeys = []string{"reverse", "forward"}

// names reads the host names of addresses. The networks have been read before.
func (l *loading) names(v *value) {
	if v == nil || !l.want(v, "names", mapping) {
		return
	}
	if len(l.Networks) == 0 {
		if l.inWorld["network"] == nil {
			l.problem(v.position, "names are named, and no network", "name the network of the addresses under world, as in network: 10.20.0.0/24")
		}
		return
	}
	for _, e := range l.entriesOnce(v, "address") {
		if wrong, right := checkAddress(e.key); wrong != "" {
			l.problem(e.position, wrong, right)
			continue
		}
		l.checkInNetworks(e.position, e.key)
		address, _ := netip.ParseAddr(e.key)
		n := AddressName{Address: address}
		if !l.want(e.value, "the name of "+e.key, scalar, mapping) {
			continue
		}
		if e.value.kind == scalar {
			n.Reverse = l.hostNameOf(e.value)
			n.Forward = n.Reverse
		} else {
			for _, k := range l.entriesOnce(e.value, "key") {
				switch k.key {
				case "reverse":
					n.Reverse = l.hostNameOf(k.value)
				case "forward":
					n.Forward = l.hostNameOf(k.value)
				default:
					l.problem(k.position, fmt.Sprintf("unknown key %q of a name", k.key), suggest(k.key, addressNameKeys))
				}
			}
			if len(e.value.entries) == 0 {
				l.problem(e.value.position, e.key+" has no name", "want a name, or {reverse: NAME, forward: NAME} with one of the two or both")
			}
		}
		l.Names = append(l.Names, n)
	}
}

// hostNameOf reads a host name that the server's own hosts file does not have.
func (l *loading) hostNameOf(v *value) string {
	if !l.want(v, "a host name", scalar) {
		return ""
	}
	folded := strings.ToLower(v.text)
	switch {
	case len(v.text) > 253 || !domainName.MatchString(v.text):
		l.problem(v.position, fmt.Sprintf("%q is no host name", v.text), "want letters, digits, hyphens and dots, as in app1.example.test")
	case folded == "localhost" || strings.HasSuffix(folded, ".localhost") || folded == l.Host:
		l.problem(v.position, fmt.Sprintf("%s is a name of the server's own", v.text), "choose another")
	}
	return v.text
}

func namesSchema() object {
	name := object{"type": "string", "pattern": domainName.String()}
	return object{"type": "object", "propertyNames": object{"pattern": `^(` + ipv4Pattern + `|` + ipv6Pattern + `)$`},
		"additionalProperties": object{"oneOf": []any{name, object{"type": "object", "properties": object{"reverse": name, "forward": name},
			"additionalProperties": false, "minProperties": 1}}}}
}
