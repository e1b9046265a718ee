package matrix

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ids(cells []Cell) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = c.ID
	}
	return out
}

func TestExpandIDs(t *testing.T) {
	for _, test := range []struct {
		name, source string
		want         []string
	}{
		{"nothing named", top, []string{"auth/case/pg18/libpq18"}},
		{"server and library are elements, one value is named too", top + "  server: 15\n  keytab: none\nclient:\n  library: psql17\n  user: bob\n",
			[]string{"auth/case/pg15/keytab=none/psql17/user=bob"}},
		{"world outside, library, then client; values in the file's order", top + "  server: [18, 13]\n  ssl: [on, off]\nclient:\n  sslmode: [require, default]\n  library: [pgx, libpq13]\n",
			[]string{
				"auth/case/pg18/ssl=on/pgx/sslmode=require", "auth/case/pg18/ssl=on/pgx/sslmode=default",
				"auth/case/pg18/ssl=on/libpq13/sslmode=require", "auth/case/pg18/ssl=on/libpq13/sslmode=default",
				"auth/case/pg18/ssl=off/pgx/sslmode=require", "auth/case/pg18/ssl=off/pgx/sslmode=default",
				"auth/case/pg18/ssl=off/libpq13/sslmode=require", "auth/case/pg18/ssl=off/libpq13/sslmode=default",
				"auth/case/pg13/ssl=on/pgx/sslmode=require", "auth/case/pg13/ssl=on/pgx/sslmode=default",
				"auth/case/pg13/ssl=on/libpq13/sslmode=require", "auth/case/pg13/ssl=on/libpq13/sslmode=default",
				"auth/case/pg13/ssl=off/pgx/sslmode=require", "auth/case/pg13/ssl=off/pgx/sslmode=default",
				"auth/case/pg13/ssl=off/libpq13/sslmode=require", "auth/case/pg13/ssl=off/libpq13/sslmode=default",
			}},
		{"named texts", "question: q\nworld:\n  hba:\n    all-tls: hostssl all all all trust\n    none: host all all all reject\n  ident: {strip: m a b}\n",
			[]string{"auth/case/pg18/hba=all-tls,ident=strip/libpq18", "auth/case/pg18/hba=none,ident=strip/libpq18"}},
		{"escapes", client + "  user: [\"o'hara b\", \"ü\", 'x/y', 'x%2Fy', 'a=b,c', A.b_c+d@e-f]\n",
			[]string{
				"auth/case/pg18/libpq18/user=o%27hara%20b", "auth/case/pg18/libpq18/user=%C3%BC", "auth/case/pg18/libpq18/user=x%2Fy",
				"auth/case/pg18/libpq18/user=x%252Fy", "auth/case/pg18/libpq18/user=a%3Db%2Cc", "auth/case/pg18/libpq18/user=A.b_c+d@e-f",
			}},
		{"exclude", client + "  user: [a, b]\n  sslmode: [disable, require]\nexclude:\n  - {user: a, sslmode: require}\n",
			[]string{"auth/case/pg18/libpq18/user=a,sslmode=disable", "auth/case/pg18/libpq18/user=b,sslmode=disable", "auth/case/pg18/libpq18/user=b,sslmode=require"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ids(load(t, test.source).Expand())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestExpandResolvesEveryAxis compares a whole cell.
func TestExpandResolvesEveryAxis(t *testing.T) {
	s := load(t, `
question: q
world:
  server: 16
  hba:
    one: host all all all trust
    two: |
      hostssl all all all trust
  ident: m a b
  settings: {work_mem: 4096}
client:
  user: [bob, carol]
  gssencmode: [default, prefer]
  krbsrvname: http
expect:
  - when: {user: carol, gssencmode: default}
    then: connected, role carol
  - when: {user: bob, hba: two}
    then: connected plain
`)
	cells := s.Expand()
	if len(cells) != 8 {
		t.Fatalf("%d cells", len(cells))
	}
	want := Cell{
		ID:       "auth/case/pg16/hba=two/libpq18/user=carol,gssencmode=default,krbsrvname=http",
		Scenario: "auth/case",
		World: &World{Server: 16, SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Keytab: "good", TLSFiles: "good", IdentServer: "none", HBA: "hostssl all all all trust\n", HBAName: "two", Ident: "m a b",
			Settings: []Setting{{"work_mem", "4096"}}, Roles: []Role{{Name: "bob"}, {Name: "carol"}}, Realms: []Realm{{Name: DefaultRealm, Principals: []string{"bob", "carol"}}}, Host: DefaultHost},
		Client: Client{Library: "libpq18", Transport: "tcp", Hosts: "one", HostName: "name", User: "carol", Database: "postgres", Principal: "carol", Ticket: "none", KRB5Conf: "plain", Cert: "none", Key: "good", SSLPassword: "none", Root: "right", CRL: "none", KrbSrvName: "http", Password: "none", Attack: "none"},
		Expect: &s.Expect[0],
	}
	if diff := cmp.Diff(want, cells[6], cmp.AllowUnexported(Partial{})); diff != "" {
		t.Error(diff)
	}
	for i, row := range []int{-1, -1, 0, -1, 1, 1, 0, -1} {
		if row < 0 && cells[i].Expect != nil || row >= 0 && cells[i].Expect != &s.Expect[row] {
			t.Errorf("%s is claimed by %v, want row %d", cells[i].ID, cells[i].Expect, row)
		}
		for n := range s.Expect {
			if s.Expect[n].Matches(&cells[i]) != (n == row) {
				t.Errorf("row %d matches %s: %t", n, cells[i].ID, n != row)
			}
		}
	}
	if cells[0].World != cells[3].World || cells[3].World == cells[4].World || cells[4].World != cells[7].World {
		t.Error("cells of a world do not share it, or cells of two worlds do")
	}
	if cells[0].World.HBA != "host all all all trust" {
		t.Errorf("the first world has the hba text %q", cells[0].World.HBA)
	}
}

// TestExpandPrincipal: if the scenario names no principal, it is the user.
func TestExpandPrincipal(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"  user: [a, b]\n", "a:a b:b"},
		{"  user: [a, b]\n  principal: c\n", "a:c b:c"},
		{"  user: [a, b]\n  principal: [b, a]\n", "a:b a:a b:b b:a"},
		{"  principal: c\n", "alice:c"},
		{"  ticket: valid\n", "alice:alice"},
	} {
		var got []string
		for _, c := range load(t, client+test.source).Expand() {
			got = append(got, c.Client.User+":"+c.Client.Principal)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s gives %s, want %s", test.source, strings.Join(got, " "), test.want)
		}
	}
}

// TestAddingAValueRenamesNothing: approved outcomes and divergences are found by ID.
func TestAddingAValueRenamesNothing(t *testing.T) {
	before := load(t, top+"  ssl: on\nclient:\n  user: a\n  sslmode: require\n").Expand()
	after := load(t, top+"  server: [13, 18]\n  ssl: [off, on]\nclient:\n  library: [libpq13, libpq18]\n  user: [a, b]\n  sslmode: [disable, require]\n").Expand()
	for _, c := range before {
		if !slices.Contains(ids(after), c.ID) {
			t.Errorf("%s is gone", c.ID)
		}
	}
}

func TestExpandWithExcludedWorld(t *testing.T) {
	s := load(t, top+"  ssl: [off, on]\n  keytab: [good, none]\nclient:\n  user: [a, b]\nexclude:\n  - {ssl: off, keytab: none}\n  - {ssl: on, keytab: good, user: a}\n")
	worlds := map[*World]string{}
	for _, c := range s.Expand() {
		worlds[c.World] += c.Client.User
		if c.World.SSL == "off" && c.World.Keytab == "none" {
			t.Errorf("%s is excluded", c.ID)
		}
	}
	var users []string
	for w, u := range worlds {
		users = append(users, w.SSL+" "+w.Keytab+" "+u)
	}
	slices.Sort(users)
	if diff := cmp.Diff([]string{"off good ab", "on good b", "on none ab"}, users); diff != "" {
		t.Error(diff)
	}
}

// bigScenario has 60,480 cells in 56 worlds, a third of them claimed.
func bigScenario(t testing.TB) *Scenario {
	return load(t, top+`  server: all
  ssl: all
  keytab: all
client:
  library: [libpq13, libpq15, libpq17, libpq18, pgx]
  ticket: all
  gssencmode: all
  sslmode: all
  root: [right, other]
  password: [none, right]
expect:
  - when: {ssl: on, gssencmode: [disable, prefer], sslmode: [require, verify-ca, verify-full], root: right}
    then: connected
  - when: {ssl: off, ticket: none, sslmode: [disable, allow, prefer], password: none}
    then: connected
`)
}

func TestExpandIsModest(t *testing.T) {
	s := bigScenario(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cells := s.Expand()
	runtime.ReadMemStats(&after)
	seen := make(map[string]bool, len(cells))
	for _, c := range cells {
		if seen[c.ID] {
			t.Fatalf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
	}
	if len(cells) != 60480 {
		t.Errorf("%d cells", len(cells))
	}
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(len(cells)); each > 1024 {
		t.Errorf("%d bytes a cell", each)
	}
}

func BenchmarkExpand(b *testing.B) {
	s := bigScenario(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = len(s.Expand())
	}
	b.ReportMetric(float64(n), "cells")
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		bigScenario(b)
	}
}

func ExampleScenario_Expand() {
	s := &Scenario{Name: "auth/example", HBA: []Text{{"", "local all all peer"}}, Host: DefaultHost,
		Axes: []AxisValues{{"server", []string{"17"}}, {"user", []string{"alice", "bob"}}}}
	for _, c := range s.Expand() {
		fmt.Println(c.ID, c.Client.User, c.World.Server)
	}
	// Output:
	// auth/example/pg17/libpq18/user=alice alice 17
	// auth/example/pg17/libpq18/user=bob bob 17
}
