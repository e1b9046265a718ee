package matrix

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
)

var osUserName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]{0,31}$`)

// UID is the user ID of an operating system user in the containers of servers and clients.
func UID(osUser string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(osUser))
	return 100_000 + int(h.Sum32()%1_000_000)
}

// osUsers reads the users that the server's machine knows.
func (l *loading) osUsers(v *value) {
	made := slices.DeleteFunc(slices.Clone(l.values["os_user"]), func(name string) bool { return name == "" })
	for _, name := range made {
		if wrong, right := CheckOSUser(name); wrong != "" {
			l.problem(l.words["os_user"].position, wrong, right)
		}
	}
	switch {
	case v == nil:
		l.OSUsers = made
	case len(made) == 0 && !l.bad["os_user"]:
		l.problem(v.position, "os_users are given, and no cell has an os_user", "name os_user under client, or leave os_users out")
	default:
		l.OSUsers = l.distinct(entry{key: "os_users", value: v}, CheckOSUser)
	}
	all := slices.Concat(l.OSUsers, made)
	for i, a := range all {
		for _, b := range all[:i] {
			if a != b && UID(a) == UID(b) {
				l.problem(l.worldAt, fmt.Sprintf("the operating system users %s and %s would have the same user ID", a, b), "rename one of them")
			}
		}
	}
}

// CheckOSUser says what is wrong with the name of an operating system user, and what would be right; nothing if containers can have it. They have some of their own.
func CheckOSUser(name string) (wrong, right string) {
	switch {
	case !osUserName.MatchString(name):
		return fmt.Sprintf("%q is no name of an operating system user", name), "want a letter and up to 31 letters, digits, dots, underscores and hyphens"
	case slices.Contains([]string{"root", "postgres", "nobody", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup", "list", "irc", "_apt"}, name):
		return fmt.Sprintf("Debian has a user %s of its own", name), "choose another"
	}
	return "", ""
}

func osUsersSchema() object {
	return oneOrMore(object{"type": "string", "pattern": osUserName.String()})
}
