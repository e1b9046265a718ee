package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// WorldChanges says what is advised beside files and options of clients: keytab, certificates, version, and roles; a text each.
func (c *Case) WorldChanges() (list []string) {
	if c.Advised == c.Server {
		return nil
	}
	for _, change := range []struct{ axis, what string }{
		{"server", "PostgreSQL"}, {"servercert", "the server's certificate"}, {"servercrl", "the server's revocation list"}, {"serverca", "the CAs that the server trusts"}, {"keytab", "the server's keytab"},
	} {
		if was, is := valueIn(c.world, change.axis), valueIn(c.advised, change.axis); was != is {
			list = append(list, fmt.Sprintf("%s: %s in place of %s", change.what, c.meaning(change.axis, is), c.meaning(change.axis, was)))
		}
	}
	for _, role := range c.advised.Roles {
		if i := slices.IndexFunc(c.world.Roles, func(o matrix.Role) bool { return o.Name == role.Name }); i < 0 {
			list = append(list, "there is a role "+role.Name+", "+roleText(role))
		} else if is, was := roleText(role), roleText(c.world.Roles[i]); is != was {
			list = append(list, fmt.Sprintf("role %s: %s in place of %s", role.Name, is, was))
		}
	}
	return list
}

// meaning is a value of an axis with what it stands for.
func (c *Case) meaning(axis, value string) string {
	for _, k := range slices.Concat(matrix.Keytabs, c.world.Keytabs) {
		if axis != "keytab" || k.Name != value {
			continue
		}
		switch {
		case k.Absent:
			return "none"
		case value == "good":
			return "one with the current keys of " + strings.ReplaceAll(matrix.ServicePrincipal, "{host}", c.rest.host)
		}
		return strings.TrimSpace(fmt.Sprintf("one with the %s keys of %s %s", k.Keys, strings.ReplaceAll(strings.Join(k.Principals, ", "), "{host}", c.rest.host), strings.Join(k.Enctypes, ", ")))
	}
	for _, cert := range slices.Concat(matrix.ServerCertificates, c.world.Certificates) {
		if axis == "servercert" && cert.Name == value && cert.Doc != "" {
			return value + " (" + cert.Doc + ")"
		}
	}
	return value
}

// roleText says what decides over a role's logins.
func roleText(r matrix.Role) string {
	var parts []string
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(r.NoLogin, "NOLOGIN")
	add(r.Password == "", "no password")
	add(r.Password != "", "a password stored as "+r.Password)
	add(r.Expired, "VALID UNTIL has passed")
	add(len(r.In) > 0, "a member of "+strings.Join(r.In, ", "))
	add(r.Replication, "REPLICATION")
	return strings.Join(parts, ", ")
}
