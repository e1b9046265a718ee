package matrix

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func loadText(t *testing.T, text string) (*Scenario, error) {
	t.Helper()
	scenarios, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(text)}})
	if err != nil {
		return nil, err
	}
	return scenarios[0], nil
}

const roleTop = "question: q?\nworld:\n  hba: |\n    host all all all trust\n"

func TestRolesDatabasesAndOSUsers(t *testing.T) {
	s, err := loadText(t, roleTop+`  roles: [staff, {name: bob, in: staff}, {name: carol, in: [staff, bob], replication: true, limit: 0, password: md5, expired: true}]
  databases: [app, {name: closed, limit: 0}]
client:
  transport: unix
  os_user: [bob, default]
`)
	if err != nil {
		t.Fatal(err)
	}
	w := s.Expand()[0].World
	if c := w.Roles[2]; !slices.Equal(w.Roles[1].In, []string{"staff"}) || !slices.Equal(c.In, []string{"staff", "bob"}) || !c.Replication || !c.NoConnections || !c.Expired {
		t.Errorf("roles %+v", w.Roles)
	}
	if !slices.Equal(w.Databases, []Database{{Name: "app"}, {Name: "closed", NoConnections: true}}) || !slices.Equal(w.OSUsers, []string{"bob"}) {
		t.Errorf("databases %+v, users %v", w.Databases, w.OSUsers)
	}
	key := w.Key()
	for name, change := range map[string]func(*World){
		"member":      func(w *World) { w.Roles[1].In = nil },
		"replication": func(w *World) { w.Roles[2].Replication = false },
		"limit":       func(w *World) { w.Roles[2].NoConnections = false },
		"expired":     func(w *World) { w.Roles[2].Expired = false },
		"database":    func(w *World) { w.Databases = w.Databases[:1] },
		"its limit":   func(w *World) { w.Databases[1].NoConnections = false },
		"os user":     func(w *World) { w.OSUsers = nil },
	} {
		other := *w
		other.Roles, other.Databases = slices.Clone(w.Roles), slices.Clone(w.Databases)
		if change(&other); other.Key() == key || other.EnvKey() != w.EnvKey() {
			t.Errorf("%s: the worlds have one Key, or two Envs", name)
		}
	}
}

func TestRoleMistakes(t *testing.T) {
	for _, tt := range []struct{ rest, want string }{
		{"  roles: [{name: bob, in: staff}, staff]\n", `a/b.yaml:5:27: there is no role "staff" before this one; write the role of which it is a member before it`},
		{"  roles: [{name: bob, limit: 3}]\n", "a/b.yaml:5:30: a connection limit of 3; want 0, or leave the key out"},
		{"  roles: [{name: alice, expired: true}]\n", `a/b.yaml:5:11: the password of role "alice" has expired, and it has none; add password: scram-sha-256 or md5`},
		{"  databases: [app, app]\n", `a/b.yaml:5:20: database "app" is there twice`},
		{"  databases: [template1]\n", `a/b.yaml:5:15: every cluster has a database "template1"; leave it out`},
		{"  databases: [{limit: 0}]\n", "a/b.yaml:5:15: a database has no name"},
		{"  databases: [{name: app, owner: x}]\n", `a/b.yaml:5:27: unknown key "owner" of a database`},
		{"  os_users: [alice]\n", "a/b.yaml:5:13: os_users are given, and no cell has an os_user"},
		{"client:\n  transport: unix\n  os_user: root\n", "a/b.yaml:7:12: Debian has a user root of its own; choose another"},
		{"client:\n  transport: unix\n  os_user: \"a b\"\n", `"a b" is no name of an operating system user`},
		{"client:\n  os_user: bob\n", "over TCP the server does not learn the operating system user"},
		{"client:\n  replication: both\n", `impossible value "both" of replication`},
		{"client:\n  library: asyncpg0.31\n  replication: physical\n", "which a replication connection does not have"},
	} {
		if _, err := loadText(t, roleTop+tt.rest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.rest, err, tt.want)
		}
	}
}
