package gssenc

import (
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/types"
)

// principal is a Kerberos name with its realm.
type principal struct {
	types.PrincipalName
	realm string
}

// parsePrincipal reads component[/component]…[@REALM]; a backslash takes the meaning from the character after it.
func parsePrincipal(s string, nameType int32) (principal, error) {
	p := principal{PrincipalName: types.PrincipalName{NameType: nameType}}
	var part strings.Builder
	inRealm, escaped := false, false
	for _, r := range s {
		switch {
		case r == 0:
			return principal{}, fmt.Errorf("%q is not a principal", s)
		case escaped:
			part.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '/' && !inRealm:
			p.NameString = append(p.NameString, part.String())
			part.Reset()
		case r == '@' && !inRealm:
			p.NameString = append(p.NameString, part.String())
			part.Reset()
			inRealm = true
		case r == '@':
			return principal{}, fmt.Errorf("%q is not a principal", s)
		default:
			part.WriteRune(r)
		}
	}
	if inRealm {
		p.realm = part.String()
	} else {
		p.NameString = append(p.NameString, part.String())
	}
	if escaped || inRealm && p.realm == "" || p.NameString[0] == "" {
		return principal{}, fmt.Errorf("%q is not a principal", s)
	}
	return p, nil
}

var escapes = strings.NewReplacer(`\`, `\\`, `/`, `\/`, `@`, `\@`)

func (p principal) String() string {
	var b strings.Builder
	for i, part := range p.NameString {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(escapes.Replace(part))
	}
	if p.realm != "" {
		b.WriteString("@" + escapes.Replace(p.realm))
	}
	return b.String()
}

// matches says whether q, a principal with a realm, is what p asks for; p's realm may be left out.
func (p principal) matches(q principal) bool {
	return p.Equal(q.PrincipalName) && (p.realm == "" || p.realm == q.realm)
}

// ticketGranting is the name of the service that issues tickets for a realm; it belongs to the realm that issued its own.
func ticketGranting(realm, issuer string) principal {
	return principal{types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: []string{"krbtgt", realm}}, issuer}
}
