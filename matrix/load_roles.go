package matrix

import (
	"fmt"
	"slices"
	"strings"
)

var (
	roleKeys     = []string{"name", "login", "password", "expired", "in", "replication", "limit", "may"}
	databaseKeys = []string{"name", "limit"}
	privileges   = []string{AskRead, AskWrite}
	storedKinds  = []string{"scram-sha-256", "md5"}
)

// superuser exists in every cluster.
const superuser = "postgres"

func (l *loading) roles(v *value) {
	if v == nil {
		for _, user := range l.valuesOf("user") {
			l.Roles = append(l.Roles, Role{Name: user})
		}
		return
	}
	if !l.want(v, "roles", list) {
		return
	}
	for _, item := range v.items {
		if role, ok := l.role(item); ok {
			if slices.ContainsFunc(l.Roles, func(r Role) bool { return r.Name == role.Name }) {
				l.problem(item.position, fmt.Sprintf("role %q is there twice", role.Name), "keep one of the two")
				continue
			}
			l.Roles = append(l.Roles, role)
		}
	}
}

func (l *loading) role(v *value) (role Role, ok bool) {
	before := len(l.problems)
	nameAt := v.position
	if v.kind == scalar {
		role.Name = v.text
	} else if l.want(v, "a role", scalar, mapping) {
		nameAt = l.roleKeys(v, &role)
	}
	if len(l.problems) > before {
		return role, false
	}
	l.nameOfObject(nameAt, "role", role.Name)
	switch { // PostgreSQL manual, "CREATE ROLE"
	case role.Expired && role.Password == "":
		l.problem(v.position, fmt.Sprintf("the password of role %q has expired, and it has none", role.Name), "add password: "+orList(storedKinds))
	case strings.HasPrefix(role.Name, "pg_"), role.Name == "public", role.Name == "none", role.Name == superuser:
		l.problem(nameAt, fmt.Sprintf("PostgreSQL reserves the role name %q", role.Name), "choose another")
	}
	return role, len(l.problems) == before
}

func (l *loading) roleKeys(v *value, role *Role) (nameAt position) {
	nameAt = v.position
	entries := l.entriesOnce(v, "key")
	for _, e := range entries {
		switch e.key {
		case "name":
			role.Name, _ = l.nonEmptyText(e.value, "the role's name")
			nameAt = e.value.position
		case "login":
			role.NoLogin = !l.boolean(e)
		case "password":
			if l.want(e.value, e.key, scalar) && !slices.Contains(storedKinds, e.value.text) {
				l.problem(e.value.position, fmt.Sprintf("a role cannot store its password as %q", e.value.text), "want "+orList(storedKinds)+"; the password itself is made at run time")
			}
			role.Password = e.value.text
		case "expired":
			role.Expired = l.boolean(e)
		case "in":
			role.In = l.memberOf(e)
		case "replication":
			role.Replication = l.boolean(e)
		case "limit":
			role.NoConnections = l.limit(e)
		case "may":
			role.May = l.distinct(e, func(text string) (string, string) {
				if slices.Contains(privileges, text) {
					return "", ""
				}
				return fmt.Sprintf("there is no privilege %q", text), "want " + orList(privileges)
			})
		default:
			l.problem(e.position, fmt.Sprintf("unknown key %q of a role", e.key), suggest(e.key, roleKeys))
		}
	}
	if !hasKey(entries, "name") {
		l.problem(v.position, "a role has no name", "want {name: ROLE, …}")
	}
	return nameAt
}

// memberOf reads the roles of which a role is a member. They stand before it, so that no role is a member of itself by way of another.
func (l *loading) memberOf(e entry) []string {
	return l.distinct(e, func(text string) (string, string) {
		if slices.ContainsFunc(l.Roles, func(r Role) bool { return r.Name == text }) {
			return "", ""
		}
		return fmt.Sprintf("there is no role %q before this one", text), "write the role of which it is a member before it"
	})
}

// limit reads a connection limit. Attempts are made at the same time, so that whether another limit is reached would be chance.
func (l *loading) limit(e entry) bool {
	if l.want(e.value, e.key, scalar) && e.value.text != "0" {
		l.problem(e.value.position, fmt.Sprintf("a connection limit of %s", e.value.text), "want 0, or leave the key out: any other depends on what else connects at the time")
	}
	return true
}

// nameOfObject checks the name of a role or database (PostgreSQL manual, "Identifiers and Key Words").
func (l *loading) nameOfObject(at position, what, name string) {
	switch {
	case name == "":
		l.problem(at, "a "+what+" has an empty name", "want the "+what+"'s name")
	case len(name) > 63:
		l.problem(at, fmt.Sprintf("the %s name has %d bytes", what, len(name)), "want at most 63: PostgreSQL cuts the rest off")
	}
}

func (l *loading) databases(v *value) {
	if v == nil || !l.want(v, "databases", list) {
		return
	}
	for _, item := range v.items {
		before := len(l.problems)
		d, nameAt := l.database(item)
		if len(l.problems) > before {
			continue
		}
		l.nameOfObject(nameAt, "database", d.Name)
		switch {
		case slices.Contains([]string{DefaultDatabase, "template0", "template1"}, d.Name):
			l.problem(nameAt, fmt.Sprintf("every cluster has a database %q", d.Name), "leave it out")
		case slices.ContainsFunc(l.Databases, func(o Database) bool { return o.Name == d.Name }):
			l.problem(nameAt, fmt.Sprintf("database %q is there twice", d.Name), "keep one of the two")
		default:
			l.Databases = append(l.Databases, d)
		}
	}
}

func (l *loading) database(v *value) (d Database, nameAt position) {
	nameAt = v.position
	if v.kind == scalar {
		d.Name = v.text
		return d, nameAt
	}
	if !l.want(v, "a database", scalar, mapping) {
		return d, nameAt
	}
	entries := l.entriesOnce(v, "key")
	for _, e := range entries {
		switch e.key {
		case "name":
			d.Name, _ = l.nonEmptyText(e.value, "the database's name")
			nameAt = e.value.position
		case "limit":
			d.NoConnections = l.limit(e)
		default:
			l.problem(e.position, fmt.Sprintf("unknown key %q of a database", e.key), suggest(e.key, databaseKeys))
		}
	}
	if !hasKey(entries, "name") {
		l.problem(v.position, "a database has no name", "want {name: DATABASE, …}")
	}
	return d, nameAt
}

func databasesSchema() object {
	name := textSchema("database name")
	return object{"type": "array", "items": object{"oneOf": []any{name, closed("", object{"name": name, "limit": object{"const": 0}}, "name")}}}
}

func rolesSchema() object {
	role, boolean := textSchema("role name"), object{"type": "boolean"}
	return object{"type": "array", "items": object{"oneOf": []any{role,
		closed("", object{"name": role, "login": boolean, "password": object{"enum": storedKinds}, "expired": boolean, "in": oneOrMore(role),
			"replication": boolean, "limit": object{"const": 0}, "may": oneOrMore(object{"enum": privileges})}, "name")}}}
}
