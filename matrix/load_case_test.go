package matrix

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
)

// folder is the folder of a case with one record; its connection strings are user names.
var folder = CaseFolder{HBA: "host all all all trust\n", Defaults: []Setting{{"ssl", "off"}},
	Conninfo: func(text string) (map[string]string, error) {
		if strings.Contains(text, "=") {
			return nil, &Problem{Line: 1, Column: strings.IndexByte(text, '=') + 1, Wrong: "bad", Right: "good"}
		}
		return map[string]string{"user": text, "sslmode": "disable"}, nil
	}}

func TestParseCase(t *testing.T) {
	c, err := ParseCase("case.yaml", []byte(`question: Who?
world:
  server: 15
  network: 10.1.0.0/24
  names: {10.9.8.7: app.corp.test}
connections:
  - who: bob
    conninfo: bob
    address: 10.9.8.6
    principal: bob@CORP.TEST
    ticket: valid
    seen: connected, role bob, hba:1
    wanted: refused at hba, no-hba-entry
    advised: {sslmode: require}
`), folder)
	if err != nil {
		t.Fatal(err)
	}
	one := c.Connections[0]
	cell := one.Scenario.Expand()[0]
	if w := cell.World; w.Server != 15 || w.SSL != "off" || w.Realms[0].Name != "CORP.TEST" || len(w.Networks) != 2 || w.Networks[0].String() != "10.1.0.0/24" {
		t.Errorf("%+v", w)
	}
	if k := cell.Client; k.User != "bob" || k.SSLMode != "disable" || k.Address != "10.9.8.6" || k.Principal != "bob" {
		t.Errorf("%+v", k)
	}
	if k := one.Advised.Expand()[0].Client; k.SSLMode != "require" || k.User != "bob" {
		t.Errorf("advised: %+v", k)
	}
	if one.Seen == nil || one.Wanted == nil || one.SeenPos != "case.yaml:12:11" {
		t.Errorf("%+v", one)
	}
	if d := c.Described; len(d.Roles) != 0 || len(d.Names) != 1 || d.Names[0].Reverse != "app.corp.test" {
		t.Errorf("%+v", d)
	}
}

// What is advised of the world takes the place of what is reported, key by key and role by role.
func TestAdvisedWorld(t *testing.T) {
	with := folder
	with.Defaults, with.Advised = []Setting{{"ssl", "on"}, {"servercrl", "none"}}, []Setting{{"servercrl", "right"}}
	c, err := ParseCase("case.yaml", []byte(`claims: [S2]
museum: [D7]
advice: Renew it.
world:
  server: 15
  keytab: stale
  roles:
    - {name: group, login: false}
    - {name: app, password: md5, in: group}
    - {name: report, password: scram-sha-256, expired: true}
connections: []
advised:
  server: 17
  keytab: good
  roles:
    - {name: app, password: scram-sha-256, in: group}
    - late
`), with)
	if err != nil {
		t.Fatal(err)
	}
	if was, is := c.Described.Axes, c.Advised.Axes; fmt.Sprint(was) != "[{server [15]} {ssl [on]} {servercrl [none]} {keytab [stale]}]" || fmt.Sprint(is) != "[{server [17]} {ssl [on]} {servercrl [right]} {keytab [good]}]" {
		t.Errorf("%v\n%v", was, is)
	}
	var roles []string
	for _, r := range c.Advised.Roles {
		roles = append(roles, fmt.Sprint(r.Name, " ", r.Password, " ", r.In, " ", r.Expired))
	}
	if got := strings.Join(roles, "; "); got != "group  [] false; app scram-sha-256 [group] false; report scram-sha-256 [] true; late  [] false" {
		t.Error(got)
	}
	if c.Described.Roles[1].Password != "md5" || len(c.Described.Roles) != 3 || !c.AdvisesWorld || c.Advice != "Renew it." || fmt.Sprint(c.Said, c.Claims, c.Museum) != "[server keytab roles] [S2] [D7]" {
		t.Errorf("%+v", c)
	}
}

// The folder of a customer's case is no scenario, and neither is what is in it.
func TestLoadPassesOverCases(t *testing.T) {
	scenario := &fstest.MapFile{Data: []byte("question: x\nworld:\n  hba: {file: b/pg_hba.conf}\n")}
	files := fstest.MapFS{"a/b.yaml": scenario, "a/b/pg_hba.conf": {Data: []byte("host all all all trust\n")}, "a/b/case.yaml": {Data: []byte("connections: []\n")}}
	all, err := Load(files)
	if err != nil || len(all) != 1 || all[0].Name != "a/b" {
		t.Errorf("%v %v", all, err)
	}
	delete(files, "a/b/pg_hba.conf")
	files["a/b.yaml"] = &fstest.MapFile{Data: []byte("question: x\nworld:\n  hba: |\n    host all all all trust\n")}
	if _, err := Load(files); err == nil || !strings.Contains(err.Error(), "case.yaml") {
		t.Errorf("a case.yaml without rules is passed over: %v", err)
	}
}

func TestParseCaseMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"advised: {hba: x}\n":                                     `case.yaml:1:11: "hba" is no key of the world that can be advised; files that are advised stand in advised/`,
		"advised: {keytab: x}\n":                                  `case.yaml:1:19: `,
		"claims: [D2]\n":                                          `case.yaml:1:10: "D2" is no id of claims`,
		"questoin: x\n":                                           `case.yaml:1:1: unknown key "questoin" at the top level of a case; did you mean "question"?`,
		"world: {hba: x}\n":                                       "case.yaml:1:9: hba does not belong into case.yaml; leave it out: it is pg_hba.conf in the folder",
		"world: {server: 12}\n":                                   `case.yaml:1:17: unknown server version "12"`,
		"connections:\n- {user: a, adress: 10.1.1.1}\n":           `case.yaml:2:13: unknown key "adress" of a connection; did you mean "address"?`,
		"connections:\n- {user: [a, b]}\n":                        "case.yaml:2:10: user is a list; want text",
		"connections:\n- {conninfo: abc=1}\n":                     "case.yaml:2:17: bad; good",
		"connections:\n- {user: a, seen: refused at hbo, x}\n":    `case.yaml:2:`,
		"connections:\n- {user: a, seen: \"connected, hba:7\"}\n": "hba:7 is expected and the hba text ends with line 1",
		"connections:\n- {user: a, ticket: valid, principal: a@B.TEST}\n- {user: a, ticket: valid, principal: a@C.TEST}\n": "cells have a ticket of a@C.TEST, and the world has no realm C.TEST",
	} {
		_, err := ParseCase("case.yaml", []byte(text), folder)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n %v\nwant\n %s", text, err, want)
		}
	}
}

func TestNetworksOf(t *testing.T) {
	for _, test := range []struct{ own, addresses, want string }{
		{"", "10.1.2.3", "10.1.2.0/24"},
		{"", "10.1.2.2", "10.1.0.0/22"}, // in a longer one, the first, it would be the address of the server
		{"10.9.0.0/24", "10.1.2.2", "10.9.0.0/24 10.1.2.0/24"},
		{"10.0.0.0/8", "10.1.2.3", "10.0.0.0/8"},
		{"10.1.0.0/24", "10.1.1.0", "10.1.0.0/24"}, // the address of every network that leaves the other alone
		{"10.9.0.0/24", "10.1.2.255", "10.9.0.0/24 10.1.2.0/23"},
		{"", "127.0.0.1 ::1 224.0.0.1 0.0.0.1", ""},
		{"", "2001:db8::5", "2001:db8::/64"},
	} {
		var own []netip.Prefix
		for _, n := range strings.Fields(test.own) {
			own = append(own, netip.MustParsePrefix(n))
		}
		var addresses []netip.Addr
		for _, a := range strings.Fields(test.addresses) {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		if got := strings.Join(prefixNames(NetworksOf(own, addresses)), " "); got != test.want {
			t.Errorf("%q: %s, want %s", test.addresses, got, test.want)
		}
	}
}

// Rows of Only leave the cells that one of them claims.
func TestOnly(t *testing.T) {
	s, err := Parse("a/b.yaml", []byte("question: x\nworld:\n  hba: |\n    host all all all trust\nclient:\n  user: [a, b]\n  database: [x, y]\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.Only = [][]AxisValues{{{"user", []string{"a"}}, {"database", []string{"y"}}}, {{"user", []string{"b"}}, {"database", []string{"x"}}}}
	var got []string
	for _, c := range s.Expand() {
		got = append(got, c.Client.User+c.Client.Database)
	}
	if strings.Join(got, " ") != "ay bx" {
		t.Error(got)
	}
}
