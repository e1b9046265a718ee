package testenv

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	const hba = "local all all peer"
	for _, c := range []struct {
		what    string
		options Options
		want    string // of the error; empty: none
	}{
		{"the least", Options{HBA: hba}, ""},
		{"everything", Options{Server: 13, HBA: hba, Ident: "m a b", Settings: map[string]string{"work_mem": "1MB"}, Realm: "A.EXAMPLE", Principals: []string{"alice", "app/host"}, Roles: []Role{{"bob's", true}}, Certificates: []string{"alice"}}, ""},
		{"no rules", Options{}, "Options.HBA is empty"},
		{"blank rules", Options{HBA: " \n"}, "Options.HBA is empty"},
		{"version", Options{HBA: hba, Server: 12}, "Options.Server is 12; want one of [13 "},
		{"realm", Options{HBA: hba, Realm: "example.test"}, `Options.Realm is "example.test"; want a domain name in capitals`},
		{"principal with its realm", Options{HBA: hba, Principals: []string{"alice@EXAMPLE.TEST"}}, `want it without the realm: "alice"`},
		{"principal", Options{HBA: hba, Principals: []string{"a b"}}, `principal "a b": want letters`},
		{"principal twice", Options{HBA: hba, Principals: []string{"a", "a"}}, `principal "a" is given twice`},
		{"role without a name", Options{HBA: hba, Roles: []Role{{}}}, `role "": want a name`},
		{"role twice", Options{HBA: hba, Roles: []Role{{Name: "a"}, {Name: "a", Password: true}}}, `role "a" is given twice`},
		{"certificate twice", Options{HBA: hba, Certificates: []string{"a", "a"}}, `certificate "a": want`},
		{"two mistakes", Options{Server: 1}, "Options.HBA is empty"},
	} {
		world, err := c.options.world()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.what, err, c.want)
		case c.want == "" && (world.HBA != c.options.HBA || world.Ident != c.options.Ident):
			t.Errorf("%s: other rules than those given", c.what)
		}
	}
}

func TestRolesOfPrincipals(t *testing.T) {
	o := Options{Principals: []string{"alice", "app/host"}}
	if roles := o.roles(); len(roles) != 1 || roles[0] != (Role{Name: "alice"}) {
		t.Errorf("%+v", roles)
	}
	if o.Roles = []Role{}; len(o.roles()) != 0 {
		t.Error("no roles were wanted")
	}
}

func TestQuote(t *testing.T) {
	for value, want := range map[string]string{"alice": "alice", "": "''", "bob's": `'bob\'s'`, `a \b`: `'a \\b'`} {
		if got := quote(value); got != want {
			t.Errorf("quote(%q) is %s, want %s", value, got, want)
		}
	}
}
