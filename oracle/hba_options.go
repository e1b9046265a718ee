package oracle

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// methodOptions are the options that belong to one method alone, and the first and last version that know them (hba.c, parse_hba_auth_opt).
var methodOptions = []struct {
	method      matrix.Method
	since, last int
	names       []string
}{
	{"pam", 13, newest, []string{"pamservice", "pam_use_hostname"}},
	{"ldap", 13, newest, []string{"ldapurl", "ldaptls", "ldapscheme", "ldapserver", "ldapport", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter", "ldapbasedn", "ldapprefix", "ldapsuffix"}},
	{"radius", 13, lastRADIUS, []string{"radiusservers", "radiusports", "radiussecrets", "radiusidentifiers"}},
	{"oauth", 18, newest, []string{"issuer", "scope", "validator", "delegate_ident_mapping"}},
}

const (
	newest     = math.MaxInt
	lastRADIUS = 18 // 19 has no RADIUS
)

// note keeps an option as it is written; of two of a name the last one counts.
func (r *Record) note(name, value string) {
	if r.options == nil {
		r.options = map[string]string{}
	}
	r.options[name] = value
}

// setMethodOption is for options of one method. Such a method is never predicted; whether its record loads, is.
func (r *Record) setMethodOption(name, value string, server int) (message string, err error) {
	for _, o := range methodOptions {
		if server < o.since || server > o.last || !slices.Contains(o.names, name) {
			continue
		}
		if r.Method != o.method {
			return fmt.Sprintf(`authentication option "%s" is only valid for authentication methods %s`, name, o.method), nil
		}
		r.note(name, value)
		switch {
		case name == "ldapurl", name == "ldapscheme" && value != "ldap" && value != "ldaps":
			return "", unknown("its value is not modelled", "line %d: authentication option %s", r.Line, name)
		case name == "ldapport" && atoi(value) == 0:
			return fmt.Sprintf(`invalid LDAP port number: "%s"`, value), nil
		case o.method == "radius":
			return r.setRadius(name, value)
		}
		return "", nil
	}
	if server >= 19 && strings.HasPrefix(name, "validator.") {
		return "", unknown("what a validator takes is not modelled", "line %d: authentication option %s", r.Line, name)
	}
	return fmt.Sprintf(`unrecognized authentication option name: "%s"`, name), nil
}

// setRadius checks a list of the method radius. Names of servers are looked up when the file is loaded.
func (r *Record) setRadius(name, value string) (message string, err error) {
	items, ok := guc(value)
	if !ok {
		what := map[string]string{"radiusservers": "server", "radiusports": "port", "radiussecrets": "secret", "radiusidentifiers": "identifiers"}[name]
		return fmt.Sprintf(`could not parse RADIUS %s list "%s"`, what, value), nil
	}
	for _, item := range items {
		if _, err := netip.ParseAddr(item); name == "radiusservers" && err != nil {
			return "", unknown("the server looks it up", "line %d: RADIUS server %s", r.Line, item)
		}
		if name == "radiusports" && atoi(item) == 0 {
			return fmt.Sprintf(`invalid RADIUS port number: "%s"`, value), nil
		}
	}
	return "", nil
}

// lacksOption says which option a record's method needs besides, or cannot have with another.
func (r *Record) lacksOption(server int) (message string, err error) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := r.options[n]; return ok })
	}
	needs := func(name string) string {
		return fmt.Sprintf(`authentication method "%s" requires argument "%s" to be set`, r.Method, name)
	}
	switch r.Method {
	case "ldap":
		switch {
		case has("ldapprefix", "ldapsuffix") && has("ldapbasedn", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter"):
			if server >= 18 {
				return "cannot mix options for simple bind and search+bind modes", nil
			}
			return "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix", nil
		case !has("ldapprefix", "ldapsuffix", "ldapbasedn"):
			return `authentication method "ldap" requires argument "ldapbasedn", "ldapprefix", or "ldapsuffix" to be set`, nil
		case has("ldapsearchattribute") && has("ldapsearchfilter"):
			return "cannot use ldapsearchattribute together with ldapsearchfilter", nil
		}
	case "radius":
		count := func(name string) int { items, _ := guc(r.options[name]); return len(items) }
		servers := count("radiusservers")
		for _, name := range []string{"radiusservers", "radiussecrets"} {
			if count(name) == 0 {
				return needs(name), nil
			}
		}
		for _, what := range []string{"secrets", "ports", "identifiers"} {
			if n := count("radius" + what); n > 1 && n != servers {
				return fmt.Sprintf("the number of RADIUS %s (%d) must be 1 or the same as the number of RADIUS servers (%d)", what, n, servers), nil
			}
		}
	case "oauth":
		for _, name := range []string{"scope", "issuer"} {
			if !has(name) {
				return needs(name), nil
			}
		}
		if server >= 19 {
			return `parameter "oauth_validator_libraries" must be set for authentication method "oauth"`, nil
		}
		return "oauth_validator_libraries must be set for authentication method oauth", nil
	}
	return "", nil
}

// guc splits a list (varlena.c, SplitGUCList); ok is false for an item that is empty and not quoted, for one that is not followed by a comma, and
// for quotes that do not end.
func guc(list string) (items []string, ok bool) {
	const space = " \t\n\r\f\v"
	rest := strings.TrimLeft(list, space)
	for more := rest != ""; more; {
		item := ""
		if strings.HasPrefix(rest, `"`) {
			for {
				quoted, after, closed := strings.Cut(rest[1:], `"`)
				if !closed {
					return nil, false
				}
				item, rest = item+quoted, after
				if !strings.HasPrefix(rest, `"`) {
					break
				}
				item += `"`
			}
		} else {
			end := strings.IndexAny(rest+",", space+",")
			if item, rest = rest[:end], rest[end:]; item == "" {
				return nil, false
			}
		}
		items = append(items, item)
		rest = strings.TrimLeft(rest, space)
		if rest, more = strings.CutPrefix(rest, ","); !more && rest != "" {
			return nil, false
		}
		rest = strings.TrimLeft(rest, space)
	}
	return items, true
}

// atoi reads the number with which a text begins; 0 if there is none.
func atoi(text string) int {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || end == 0 && (text[0] == '-' || text[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(text[:end])
	return n
}
