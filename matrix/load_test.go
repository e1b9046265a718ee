package matrix

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// whole has every key of the format.
const whole = `# yaml-language-server: $schema=../schema.json
question: What does the whole format look like?
source: PostgreSQL manual, "The pg_hba.conf File"
claims: [S2, S16]
museum: B14
world:
  server: [13, 17]
  ssl: [off, on]
  servercert: good
  keytab: [stale, good]
  hba:
    gss-first: |
      # a comment
      hostgssenc  all  all  all  gss	include_realm=0
      hostssl     all  all  all  trust
    tls-only: hostssl all all all trust
  ident: |
    m  /^(.*)@EXAMPLE\.TEST$  \1
  settings:
    krb_caseins_users: on
    ssl_min_protocol_version: 'TLSv1.2'
    work_mem: 4096
  roles: [alice, {name: nologin, login: false}, {name: "o'hara b", password: scram-sha-256}]
  realm: CORP.EXAMPLE.TEST
  principals: [alice, carol, host/x.example.test]
  host: db1.corp.example.test
client:
  gssencmode: all
  sslmode: [default, require]
  require_auth: ["!none,gss", default]
  user: [alice, o'hara b]
  principal: alice
  library: [libpq17, pgx]
  ticket: valid
exclude:
  - {keytab: stale, ssl: off}
  - ssl: on
    user: o'hara b
expect:
  - when: {ssl: on, gssencmode: [require, prefer], sslmode: default, hba: gss-first, library: libpq17, keytab: good}
    then: connected gss, method gss, hba:2
  - when:
      hba: tls-only
      gssencmode: require
      server: 13
    then: "refused at gssenc, gss-refused, trace connect gssreject"
`

func TestLoadReadsEveryKey(t *testing.T) {
	scenarios, err := Load(fstest.MapFS{"scenarios/auth/whole-format.yaml": {Data: []byte(whole)}}, "scenarios/auth")
	if err != nil {
		t.Fatal(err)
	}
	then := func(text string) Partial {
		p, err := ParseOutcome(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const file = "scenarios/auth/whole-format.yaml"
	want := &Scenario{
		Name:     "auth/whole-format",
		Question: "What does the whole format look like?",
		Source:   `PostgreSQL manual, "The pg_hba.conf File"`,
		Claims:   []string{"S2", "S16"},
		Museum:   []string{"B14"},
		Axes: []AxisValues{
			{"server", []string{"13", "17"}}, {"ssl", []string{"off", "on"}}, {"servercert", []string{"good"}}, {"keytab", []string{"stale", "good"}},
			{"hba", []string{"gss-first", "tls-only"}},
			{"library", []string{"libpq17", "pgx"}}, {"user", []string{"alice", "o'hara b"}}, {"principal", []string{"alice"}}, {"ticket", []string{"valid"}},
			{"gssencmode", []string{"disable", "prefer", "require"}}, {"sslmode", []string{"", "require"}}, {"require_auth", []string{"!none,gss", ""}},
		},
		HBA: []Text{
			{"gss-first", "# a comment\nhostgssenc  all  all  all  gss\tinclude_realm=0\nhostssl     all  all  all  trust\n"},
			{"tls-only", "hostssl all all all trust"},
		},
		Ident:    []Text{{"", "m  /^(.*)@EXAMPLE\\.TEST$  \\1\n"}},
		Settings: []Setting{{"krb_caseins_users", "on"}, {"ssl_min_protocol_version", "TLSv1.2"}, {"work_mem", "4096"}},
		Roles:    []Role{{Name: "alice"}, {Name: "nologin", NoLogin: true}, {Name: "o'hara b", Password: "scram-sha-256"}},
		Realms:   []Realm{{Name: "CORP.EXAMPLE.TEST", Principals: []string{"alice", "carol", "host/x.example.test"}}},
		Host:     "db1.corp.example.test",
		Exclude: [][]AxisValues{
			{{"ssl", []string{"off"}}, {"keytab", []string{"stale"}}},
			{{"ssl", []string{"on"}}, {"user", []string{"o'hara b"}}},
		},
		Expect: []Expect{
			{When: []AxisValues{{"ssl", []string{"on"}}, {"keytab", []string{"good"}}, {"hba", []string{"gss-first"}}, {"library", []string{"libpq17"}},
				{"gssencmode", []string{"require", "prefer"}}, {"sslmode", []string{""}}}, Then: then("connected gss, method gss, hba:2"), Pos: file + ":40:5"},
			{When: []AxisValues{{"server", []string{"13"}}, {"hba", []string{"tls-only"}}, {"gssencmode", []string{"require"}}},
				Then: then("refused at gssenc, gss-refused, trace connect gssreject"), Pos: file + ":42:5"},
		},
		Pos: file + ":1:1",
	}
	if diff := cmp.Diff([]*Scenario{want}, scenarios, cmp.AllowUnexported(Partial{})); diff != "" {
		t.Error(diff)
	}
}

func TestLoadDefaults(t *testing.T) {
	s := load(t, "question: q\nworld:\n  hba: local all all trust\n  ident: {none: \"\"}\nclient:\n  user: [bob, alice]\n  principal: [carol, bob]\n")
	want := &Scenario{
		Name: "auth/case", Question: "q", Pos: "auth/case.yaml:1:1", Host: DefaultHost,
		Axes:   []AxisValues{{"ident", []string{"none"}}, {"user", []string{"bob", "alice"}}, {"principal", []string{"carol", "bob"}}},
		HBA:    []Text{{"", "local all all trust"}},
		Ident:  []Text{{"none", ""}},
		Roles:  []Role{{Name: "bob"}, {Name: "alice"}},
		Realms: []Realm{{Name: DefaultRealm, Principals: []string{"bob", "alice", "carol"}}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	s = load(t, "question: q\nworld: {hba: local all all trust}\n")
	if diff := cmp.Diff([]Role{{Name: "alice"}}, s.Roles); diff != "" {
		t.Error(diff)
	}
}

// load reads a scenario without mistakes.
func load(t testing.TB, source string) *Scenario {
	t.Helper()
	scenarios, err := Load(fstest.MapFS{"auth/case.yaml": {Data: []byte(source)}})
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return scenarios[0]
}

// TestGroupsOfClients: a group stands for its members, in the order of the table; in a row for those that the scenario has.
func TestGroupsOfClients(t *testing.T) {
	libpq := []string{"libpq13", "libpq14", "libpq15", "libpq16", "libpq17", "libpq18", "libpq19"}
	independent := stringsOf(ClientGroups[len(ClientGroups)-1].Members())
	for _, test := range []struct {
		library string
		want    []string
		row     string
		claims  []string
	}{
		{"libpq", libpq, "libpq", libpq},
		{"[independent, libpq17]", append(slices.Clone(independent), "libpq17"), "libpq", []string{"libpq17"}},
		{"[raw, psql]", []string{"raw", "psql13", "psql15", "psql17", "psql18", "psql19"}, "[psql13, raw]", []string{"psql13", "raw"}},
		{"all", clientNames(false), "[libpq, pgx]", append(slices.Clone(libpq), "pgx")},
		{"[pgx, libpq18, libpq13]", []string{"pgx", "libpq18", "libpq13"}, "[independent, libpq]", []string{"pgx", "libpq13", "libpq18"}},
	} {
		s := load(t, client+"  library: "+test.library+"\nexpect:\n  - when: {library: "+test.row+"}\n    then: connected\n")
		if diff := cmp.Diff([]AxisValues{{"library", test.want}}, s.Axes); diff != "" {
			t.Errorf("%s: %s", test.library, diff)
		}
		if diff := cmp.Diff([]AxisValues{{"library", test.claims}}, s.Expect[0].When); diff != "" {
			t.Errorf("%s in a row: %s", test.row, diff)
		}
	}
}

// Beginnings of scenarios: one that is complete, and two to which lines under client and rows of expect can be appended.
const (
	top    = "question: q\nworld:\n  hba: |\n    host all all all trust\n"
	client = top + "client:\n"
	varies = "question: q\nworld:\n  hba: |\n    {record} all all all trust\n"
	rows   = client + "  user: [alice, bob]\n  sslmode: [disable, require]\nexpect:\n"
)

// mistake is a scenario file a/b.yaml with the whole text of the error.
type mistake struct{ name, source, want string }

var mistakes = []mistake{
	{"unknown key",
		"qestion: why\n" + top,
		`a/b.yaml:1:1: unknown key "qestion" at the top level; did you mean "question"?`},
	{"unknown key unlike any",
		top + "remarks: none\n",
		`a/b.yaml:5:1: unknown key "remarks" at the top level; want question, source, why, claims, museum, world, client, exclude, judge or expect`},
	{"unknown key under world",
		top + "  host_name: pg.example.test\n",
		`a/b.yaml:5:3: unknown key "host_name" under world; want server, ssl, servercert, servercrl, serverca, tls_files, keytab, hba, ident, ident_server, load, vary, files, before, settings, roles, databases, os_users, ident_servers, realm, principals, realms, client_realm, keytabs, tickets, krb5_confs, certificates, network, names or host`},
	{"unknown key under client, near an axis",
		client + "  ssl_mode: require\n",
		`a/b.yaml:6:3: unknown key "ssl_mode" under client; did you mean "sslmode"?`},
	{"axis under the wrong heading",
		client + "  ssl: on\n",
		"a/b.yaml:6:3: ssl is a world axis and does not belong under client; move it under world"},
	{"client axis under world",
		top + "  gssencmode: all\n",
		"a/b.yaml:5:3: gssencmode is a client axis and does not belong under world; move it under client"},
	{"axis at the top level",
		top + "library: all\n",
		"a/b.yaml:5:1: library is a client axis and does not belong at the top level; move it under client"},
	{"world key at the top level",
		top + "roles: [alice]\n",
		"a/b.yaml:5:1: roles does not belong at the top level; move it under world"},
	{"top-level key under world",
		top + "  expect: []\n",
		"a/b.yaml:5:3: expect does not belong under world; move it to the top level"},
	{"setting as a key of world",
		top + "  krb_server_keyfile: /etc/krb5.keytab\n",
		`a/b.yaml:5:3: unknown key "krb_server_keyfile" under world; use the world axis keytab`},
	{"duplicate key",
		top + "source: a\nsource: b\n",
		`a/b.yaml:6:1: key "source" is there twice; keep this one or the one in line 5`},
	{"duplicate axis",
		client + "  sslmode: require\n  user: bob\n  sslmode: prefer\n",
		`a/b.yaml:8:3: key "sslmode" is there twice; keep this one or the one in line 6`},
	{"question missing",
		"world:\n  hba: host all all all trust\n",
		"a/b.yaml:1:1: question is missing; say what the scenario shows, one sentence, as in question: Who falls back to what?"},
	{"question empty",
		"question: ''\nworld:\n  hba: host all all all trust\n",
		"a/b.yaml:1:11: question is empty; want text"},
	{"question with a colon",
		"question: Who wins: TLS or GSS?\nworld:\n  hba: host all all all trust\n",
		`a/b.yaml:1:11: not YAML: mapping value is not allowed in this context; quote a text that contains ": ", and indent the keys of one mapping alike`},
	{"hba missing",
		"question: q\nworld:\n  ssl: on\n",
		"a/b.yaml:2:1: hba is missing; write the server's pg_hba.conf under world, as in hba: |"},
	{"hba misspelt",
		"question: q\nworld:\n  hbaa: x\n",
		`a/b.yaml:3:3: unknown key "hbaa" under world; did you mean "hba"?`},
	{"no-break space in a key",
		client + "  user:\u00a0bob\n \u00a0sslmode: all\n",
		"a/b.yaml:6:8: no-break space (U+00A0); write a plain space or nothing; if the character is meant, \"\\u00a0\" in double quotes\n" +
			`a/b.yaml:7:2: no-break space (U+00A0); write a plain space or nothing; if the character is meant, "\u00a0" in double quotes`},
	{"world misspelt",
		"question: q\nworlds:\n  hba: x\n",
		`a/b.yaml:2:1: unknown key "worlds" at the top level; did you mean "world"?`},
	{"world missing",
		"question: q\n",
		"a/b.yaml:1:1: hba is missing; write the server's pg_hba.conf under world, as in hba: |"},
	{"hba empty",
		"question: q\nworld:\n  hba: |\n\n  ssl: on\n",
		"a/b.yaml:3:8: hba is empty; want at least one pg_hba.conf record"},
	{"hba without a value",
		"question: q\nworld:\n  hba:\n  ssl: on\n",
		"a/b.yaml:3:7: hba has no value; want text or a mapping"},
	{"hba a list",
		"question: q\nworld:\n  hba: [host all all all trust]\n",
		"a/b.yaml:3:8: hba is a list; want text or a mapping"},
	{"hba folded",
		"question: q\nworld:\n  hba: >\n    host all all all trust\n    host all all all reject\n",
		"a/b.yaml:3:8: YAML joins these lines into one; write | after the key and the lines below it: the server gets them byte for byte"},
	{"hba over two plain lines",
		"question: q\nworld:\n  hba: host all all all trust\n    host all all all reject\n",
		"a/b.yaml:3:8: YAML joins these lines into one; write | after the key and the lines below it: the server gets them byte for byte"},
	{"hba text with a bad name",
		"question: q\nworld:\n  hba:\n    TLS only: hostssl all all all trust\n",
		`a/b.yaml:4:5: "TLS only" is no name for a text of hba; want a-z, 0-9 and single hyphens, as in host-then-reject`},
	{"hba text named twice",
		"question: q\nworld:\n  hba:\n    tls: hostssl all all all trust\n    tls: hostssl all all all reject\n",
		`a/b.yaml:5:5: hba text "tls" is there twice; keep this one or the one in line 4`},
	{"no-break space in hba",
		"question: q\nworld:\n  hba: |\n    # TLS\n    hostssl all\u00a0all all trust\n",
		`a/b.yaml:5:16: no-break space (U+00A0); write a plain space or nothing; if the character is meant, "\u00a0" in double quotes`},
	{"zero-width space in a value",
		client + "  user: ali\u200bce\n",
		`a/b.yaml:6:12: invisible character (U+200B); write a plain space or nothing; if the character is meant, "\u200b" in double quotes`},
	{"byte order mark",
		"\ufeffquestion: q\nworld:\n  hba: host all all all trust\n",
		"a/b.yaml:1:1: the file starts with a byte order mark; save it as UTF-8 without one"},
	{"typographic quotes in hba",
		"question: q\nworld:\n  hba: |\n\n    # “fine” here\n    host all “alice b” all trust\n",
		`a/b.yaml:6:14: typographic quote (U+201C) in hba; write "`},
	{"typographic hyphen in ident",
		top + "  ident: |\n    m  alice  app–user\n",
		"a/b.yaml:6:18: typographic hyphen (U+2013) in ident; write -"},
	{"tab in the indentation",
		"question: q\nworld:\n\thba: host all all all trust\n",
		"a/b.yaml:3:1: tab in the indentation; indent with spaces"},
	{"tab in the indentation of a text",
		top + "  \thost all all all reject\n",
		"a/b.yaml:5:3: tab in the indentation; indent with spaces"},
	{"tab between key and value",
		client + "  user:\tbob\n",
		`a/b.yaml:6:8: tab outside a text block; write a space, or \t in double quotes`},
	{"line ends of Windows",
		"question: q\r\nworld:\r\n  hba: |\r\n    host all all all trust\r\n",
		"a/b.yaml:1:12: carriage return, which the server would get, too; save the file with LF line ends"},
	{"not UTF-8",
		"question: \xff\n",
		"a/b.yaml:1:1: the line is not UTF-8; save the file as UTF-8"},
	{"empty file",
		"# nothing yet\n",
		"a/b.yaml:1:1: the file is empty; see docs/scenarios.md for an example to start from"},
	{"a list instead of keys",
		"- question: q\n",
		"a/b.yaml:1:1: the file is a list; want a mapping"},
	{"two documents",
		top + "---\nquestion: q\nworld:\n  hba: |\n    host all all all trust\n",
		"a/b.yaml:5:1: a second YAML document starts here; one file is one scenario"},
	{"bracket not closed",
		client + "  user: [alice, bob\n",
		"a/b.yaml:6:9: not YAML: sequence end token ']' not found; close the bracket"},
	{"quote not closed",
		"question: \"why\nworld: {hba: x}\n",
		"a/b.yaml:1:11: not YAML: could not find end character of double-quoted text; close the quote"},
	{"keys indented unlike",
		"question: q\nworld:\n    ssl: on\n   hba: x\n",
		"a/b.yaml:4:4: not YAML: value is not allowed in this context; indent the keys of one mapping alike"},
	{"anchor",
		client + "  user: &u alice\n  principal: *u\n",
		"a/b.yaml:6:9: YAML anchors and aliases are not read; write the value out, or put a value that starts with & or * in double quotes\n" +
			"a/b.yaml:7:14: YAML anchors and aliases are not read; write the value out, or put a value that starts with & or * in double quotes"},
	{"merge key",
		client + "  <<: {user: bob}\n",
		"a/b.yaml:6:3: YAML merge keys are not read; write the values out"},
	{"tag",
		client + "  require_auth: !none\n",
		"a/b.yaml:6:17: !none is a YAML tag; put a value that starts with ! in double quotes"},
	{"impossible value, near one",
		client + "  gssencmode: [prefer, requier]\n",
		`a/b.yaml:6:24: impossible value "requier" of gssencmode; did you mean "require"?`},
	{"impossible value, unlike any",
		client + "  sslmode: verify\n",
		`a/b.yaml:6:12: impossible value "verify" of sslmode; want disable, allow, prefer, require, verify-ca, verify-full or default`},
	{"value in capitals",
		top + "  ssl: ON\n",
		`a/b.yaml:5:8: impossible value "ON" of ssl; did you mean "on"?`},
	{"boolean",
		top + "  ssl: true\n",
		`a/b.yaml:5:8: impossible value "true" of ssl; want off or on`},
	{"server version unknown",
		top + "  server: [17, 12]\n",
		`a/b.yaml:5:16: unknown server version "12"; want a major version: 13, 14, 15, 16, 17, 18 or 19`},
	{"minor version",
		top + "  server: 17.2\n",
		`a/b.yaml:5:11: unknown server version "17.2"; want a major version: 13, 14, 15, 16, 17, 18 or 19`},
	{"library unknown",
		client + "  library: [libpq12, pgxx]\n",
		"a/b.yaml:6:13: impossible value \"libpq12\" of library; want libpq13, libpq14, libpq15, libpq16, libpq17, libpq18, libpq19, psql13, psql15, psql17, psql18, psql19, pgx, pq, asyncpg0.27, asyncpg0.30, asyncpg0.31, raw, libpq, psql, asyncpg or independent\n" +
			`a/b.yaml:6:22: impossible value "pgxx" of library; did you mean "pgx"?`},
	{"duplicate value",
		client + "  sslmode: [prefer, require, prefer]\n",
		"a/b.yaml:6:30: sslmode=prefer is there twice; keep this one or the one in column 13 of line 6"},
	{"all among others",
		client + "  sslmode: [all, default]\n",
		"a/b.yaml:6:13: all stands for every value of sslmode and cannot be one of several; leave the others out, or name the values"},
	{"all of free text",
		client + "  user: all\n",
		"a/b.yaml:6:9: user has no closed list that all could stand for; name the values"},
	{"empty list",
		client + "  user: []\n",
		"a/b.yaml:6:9: user is an empty list; name a value, or leave the key out"},
	{"axis without a value",
		client + "  user:\n",
		"a/b.yaml:6:9: user has no value; want text or a list"},
	{"list in a list",
		client + "  user: [[alice]]\n",
		"a/b.yaml:6:10: a value of user is a list; want text"},
	{"axis a mapping",
		client + "  user: {name: alice}\n",
		"a/b.yaml:6:9: user is a mapping; want text or a list"},
	{"empty user",
		client + "  user: ''\n",
		"a/b.yaml:6:9: empty value of user; name one, or leave the axis out"},
	{"client a list",
		top + "client: [user, bob]\n",
		"a/b.yaml:5:9: client is a list; want a mapping"},
	{"claim id",
		"claims: [S2, 16, S2]\n" + top,
		"a/b.yaml:1:14: \"16\" is no id of claims; want the letter S and a number, as in S16\n" +
			"a/b.yaml:1:18: S2 is there twice; name it once"},
	{"museum id",
		"museum: b14\n" + top,
		`a/b.yaml:1:9: "b14" is no id of museum; want a letter and a number, as in B14 or CVE-2026-6479`},
	{"setting of the harness",
		top + "  settings:\n    SSL: on\n    log_connections: off\n    unix_socket_directories: /tmp\n    hba_file: x\n",
		"a/b.yaml:6:5: the setting SSL belongs to the harness; use the world axis ssl\n" +
			"a/b.yaml:7:5: the setting log_connections belongs to the harness; leave it out: the server's log is a witness and stays as it is\n" +
			"a/b.yaml:8:5: the setting unix_socket_directories belongs to the harness; use the client axis transport\n" +
			"a/b.yaml:9:5: the setting hba_file belongs to the harness; write the records under hba"},
	{"setting twice",
		top + "  settings:\n    work_mem: 1\n    Work_Mem: 2\n",
		`a/b.yaml:7:5: setting "Work_Mem" is there twice; keep this one or the one in line 6`},
	{"setting with two values",
		top + "  settings: {ssl_min_protocol_version: [TLSv1.2, TLSv1.3]}\n",
		"a/b.yaml:5:40: the setting ssl_min_protocol_version is a list; want text"},
	{"settings as lines",
		top + "  settings: |\n    work_mem = 1\n",
		"a/b.yaml:5:13: settings is text; want a mapping"},
	{"setting with an equals sign",
		top + "  settings: {work_mem = 1: x}\n",
		`a/b.yaml:5:14: "work_mem = 1" is no name of a setting; want a name as in postgresql.conf, then a colon and the value`},
	{"role twice",
		top + "  roles: [alice, {name: alice}]\n",
		`a/b.yaml:5:18: role "alice" is there twice; keep one of the two`},
	{"role keys",
		top + "  roles:\n    - {login: no, pasword: md5}\n    - {name: bob, password: secret}\n    - {name: pg_bob}\n",
		"a/b.yaml:6:7: a role has no name; want {name: ROLE, \u2026}\n" +
			"a/b.yaml:6:15: login is \"no\"; want true or false\n" +
			"a/b.yaml:6:19: unknown key \"pasword\" of a role; did you mean \"password\"?\n" +
			"a/b.yaml:7:29: a role cannot store its password as \"secret\"; want scram-sha-256 or md5; the password itself is made at run time\n" +
			`a/b.yaml:8:14: PostgreSQL reserves the role name "pg_bob"; choose another`},
	{"realm",
		top + "  realm: EXAMPLE TEST\n",
		`a/b.yaml:5:10: "EXAMPLE TEST" is no name of a realm; want letters, digits, dots and hyphens, upper case by custom, as in EXAMPLE.TEST`},
	{"host",
		top + "  host: pg\n",
		`a/b.yaml:5:9: "pg" is no fully qualified host name; want lower case with a dot, as in pg.example.test`},
	{"principal not in the realm",
		top + "  principals: [alice]\nclient:\n  user: [alice, bob]\n  ticket: [none, valid]\n",
		"a/b.yaml:5:15: cells have a ticket of bob, which is not among the principals; add it"},
	{"when names an unknown axis",
		rows + "  - when: {slmode: require}\n    then: connected\n",
		`a/b.yaml:9:12: no axis "slmode"; did you mean "sslmode"?`},
	{"when names an axis that has one value",
		rows + "  - when: {transport: tcp}\n    then: connected\n",
		"a/b.yaml:9:12: the scenario does not name transport: every cell has transport=tcp; leave it out here, or name the axis under client"},
	{"when names the one hba text",
		rows + "  - when: {hba: tls}\n    then: connected\n",
		"a/b.yaml:9:12: the scenario has one hba text, which has no name; leave it out here, or name the axis under world"},
	{"when names a value that is not there",
		rows + "  - when: {sslmode: prefer}\n    then: connected\n  - when: {user: bbo}\n    then: connected\n",
		"a/b.yaml:9:21: the scenario has no sslmode=prefer; want disable or require\n" +
			"a/b.yaml:11:18: the scenario has no user=bbo; did you mean \"bob\"?"},
	{"when names axes that every cell has one value of",
		top + "  ident: m a b\nexpect:\n  - when: {ident: m, principal: alice, sslmode: default}\n    then: connected\n",
		"a/b.yaml:7:12: the scenario has one ident text, which has no name; leave it out here, or name the axis under world\n" +
			"a/b.yaml:7:22: the scenario does not name principal: it is the user in every cell; leave it out here, or name the axis under client\n" +
			"a/b.yaml:7:40: the scenario does not name sslmode: every cell has sslmode=default; leave it out here, or name the axis under client"},
	{"when names an ident text and there is none",
		top + "expect:\n  - when: {ident: m}\n    then: connected\n",
		"a/b.yaml:6:12: the scenario has no ident text; leave it out here, or name the axis under world"},
	{"when names a value twice",
		rows + "  - when: {user: [bob, bob]}\n    then: connected\n",
		"a/b.yaml:9:24: user=bob is there twice; keep this one or the one in column 19 of line 9"},
	{"a group and a member of it",
		client + "  library: [independent, libpq17, pgx]\n",
		"a/b.yaml:6:35: library=pgx is there twice: the group independent contains it; keep this one or the one in column 13 of line 6"},
	{"a member and its group",
		client + "  library: [libpq17, libpq]\n",
		"a/b.yaml:6:22: library=libpq17 is there twice: the group libpq contains it; keep this one or the one in column 13 of line 6"},
	{"a group twice",
		client + "  library: [libpq, libpq]\n",
		"a/b.yaml:6:20: library=libpq is there twice; keep this one or the one in column 13 of line 6"},
	{"a group misspelt",
		client + "  library: independant\n",
		`a/b.yaml:6:12: impossible value "independant" of library; did you mean "independent"?`},
	{"when names a group and a member of it",
		client + "  library: [libpq17, libpq18, pq]\nexpect:\n  - when: {library: [pq, libpq, libpq17]}\n    then: connected\n",
		"a/b.yaml:8:33: library=libpq17 is there twice: the group libpq contains it; keep this one or the one in column 26 of line 8"},
	{"when names a group of which there is no client",
		client + "  library: [libpq17, libpq18]\nexpect:\n  - when: {library: independent}\n    then: connected\n",
		"a/b.yaml:8:21: the scenario has no library=independent; want libpq17 or libpq18"},
	{"when names a value of an axis with a mistake",
		client + "  sslmode: [disable, requir]\nexpect:\n  - when: {sslmode: require}\n    then: connected\n",
		`a/b.yaml:6:22: impossible value "requir" of sslmode; did you mean "require"?`},
	{"a row that is no mapping",
		rows + "  - connected\n",
		"a/b.yaml:9:5: an expect row is text; want a mapping"},
	{"two rows and one cell",
		top + "expect:\n  - then: connected\n  - then: connected plain\n",
		"a/b.yaml:7:5: this row and the one in line 6 both claim the only cell; one of them is to name fewer values"},
	{"roles a text",
		top + "  roles: alice\n",
		"a/b.yaml:5:10: roles is text; want a list"},
	{"role names",
		top + "  roles: [none, postgres, '', " + strings.Repeat("x", 64) + "]\n",
		`a/b.yaml:5:11: PostgreSQL reserves the role name "none"; choose another` + "\n" +
			"a/b.yaml:5:17: PostgreSQL reserves the role name \"postgres\"; choose another\n" +
			"a/b.yaml:5:27: a role has an empty name; want the role's name\n" +
			"a/b.yaml:5:31: the role name has 64 bytes; want at most 63: PostgreSQL cuts the rest off"},
	{"principal twice",
		top + "  principals: [alice, bob, alice]\n",
		`a/b.yaml:5:28: principal "alice" is there twice; keep one of the two`},
	{"question mark as a key",
		"? question\n: q\n" + top,
		"a/b.yaml:1:1: a key that starts with ? is not read; write KEY: VALUE"},
	{"typographic apostrophe in hba",
		"question: q\nworld:\n  hba: |\n    host all all all trust # Alice’s\n    host all ‘alice’ all trust\n",
		"a/b.yaml:5:14: typographic apostrophe (U+2018) in hba; write '"},
	{"reserved character",
		client + "  user: @alice\n",
		"a/b.yaml:6:9: not YAML: '@' is a reserved character; put the value in double quotes"},
	{"when names all",
		rows + "  - when: {sslmode: all}\n    then: connected\n",
		"a/b.yaml:9:21: all is not needed in a row; leave the axis out: the row then claims every value"},
	{"when a list",
		rows + "  - when: [sslmode]\n    then: connected\n",
		"a/b.yaml:9:11: when is a list; want a mapping"},
	{"then missing",
		rows + "  - when: {sslmode: require}\n",
		"a/b.yaml:9:5: the expect row has no then; say what is expected, as in then: refused at hba, no-hba-entry"},
	{"unknown key of a row",
		rows + "  - if: {sslmode: require}\n    then: connected\n",
		`a/b.yaml:9:5: unknown key "if" of an expect row; want when or then`},
	{"rows overlap",
		rows + "  - when: {user: alice}\n    then: connected\n  - when: {sslmode: require}\n    then: connected tls\n  - when: {user: bob, sslmode: disable}\n    then: connected plain\n",
		"a/b.yaml:11:5: this row and the one in line 9 both claim user=alice,sslmode=require; one of them is to name fewer values"},
	{"row dead by exclude",
		client + "  user: [alice, bob]\nexclude:\n  - user: bob\nexpect:\n  - when: {user: bob}\n    then: connected\n",
		"a/b.yaml:10:5: the expect row matches no cell: exclude has dropped them; leave it out"},
	{"row that no client can express",
		client + "  library: [libpq13, libpq18]\n  sslnegotiation: all\nexpect:\n  - when: {library: libpq13, sslnegotiation: direct}\n    then: connected\n",
		"a/b.yaml:9:5: the expect row matches only cells that no client can express: libpq 13 has no sslnegotiation (since 17); leave it out, or name a library that can"},
	{"scenario that no client can express",
		client + "  library: libpq13\n  sslnegotiation: direct\n",
		"a/b.yaml:2:1: no client can express any cell: libpq 13 has no sslnegotiation (since 17); name a library that can"},
	{"exclude leaves nothing",
		client + "  user: [alice, bob]\nexclude:\n  - user: [alice, bob]\n",
		"a/b.yaml:2:1: the exclude rows leave no cell; exclude less"},
	{"exclude names a value that is not there",
		client + "  user: [alice, bob]\nexclude:\n  - user: eve\n",
		"a/b.yaml:8:11: the scenario has no user=eve; want alice or bob"},
	{"too many cells",
		top + "  server: all\n  ssl: all\n  servercert: all\nclient:\n  library: all\n  sslmode: all\n  gssencmode: all\n  ticket: all\n  root: all\n  password: all\n",
		"a/b.yaml:2:1: the scenario has more than 250000 cells; ask one question: name fewer values, or split it"},
	{"then: unknown reason",
		rows + "  - then: refused at hba, no-hba-entri\n",
		`a/b.yaml:9:27: "no-hba-entri" is no reason; did you mean "no-hba-entry"?`},
	{"then: unknown stage",
		rows + "  - then: refused at hbaa, no-hba-entry\n",
		`a/b.yaml:9:11: no stage to be refused at "hbaa"; did you mean "hba"?`},
	{"then: reason at another stage",
		rows + "  - then: refused at tls, no-hba-entry\n",
		"a/b.yaml:9:27: no-hba-entry is no reason at stage tls; say refused at hba"},
	{"then: some error",
		rows + "  - then: refused\n",
		`a/b.yaml:9:11: "refused" alone does not say why; name stage and reason, as in "refused at hba, no-hba-entry"`},
	{"then: stage alone",
		rows + "  - then: refused at ident\n",
		`a/b.yaml:9:11: "refused at ident" does not say why; add map-no-match`},
	{"then: connected with a reason",
		rows + "  - then: \"connected tls, password\"\n",
		"a/b.yaml:9:27: a connected outcome has no reason, here password; leave it out, or say refused"},
	{"then: channel",
		rows + "  - then: connected ssl\n",
		`a/b.yaml:9:11: no channel "ssl"; want plain, tls, gss or tls+gss`},
	{"then: method",
		rows + "  - then: connected tls, method scram\n",
		`a/b.yaml:9:26: no method "scram"; want trust, reject, scram-sha-256, md5, password, gss, peer, ident, cert, pam, ldap or radius`},
	{"then: step",
		rows + "  - then: connected, trace connect sslaccepted authok\n",
		`a/b.yaml:9:22: no step "sslaccepted"; did you mean "sslaccept"?`},
	{"then: twice",
		rows + "  - then: connected tls, role a, role b\n",
		"a/b.yaml:9:34: role is stated twice; state it once"},
	{"then: a word that starts nothing",
		rows + "  - then: connected tls, as alice\n",
		`a/b.yaml:9:26: "as" does not start a part of an outcome; want channel, method, identity, role, rule, trace, answer, obtains, load or descent, hba:LINE or a reason`},
	{"then: hba line",
		rows + "  - then: connected, hba:one\n",
		`a/b.yaml:9:22: no line number in "hba:one"; want hba:LINE, a line of the scenario's hba text, counted from 1`},
	{"then: a line that is not there",
		rows + "  - then: connected, hba:2\n",
		"a/b.yaml:9:11: hba:2 is expected and the hba text ends with line 1; name a line of it"},
	{"then: a line that is a comment",
		"question: q\nworld:\n  hba:\n    one: |\n      host all all all trust\n      host all all all reject\n    two: |\n      # note\n      host all all all trust\nexpect:\n  - then: connected, hba:1\n",
		"a/b.yaml:11:11: hba:1 is expected and that line of the hba text two is not a record; name a line with a record"},
	{"then: over several lines",
		rows + "  - then: connected tls,\n      role alice, method trusted\n",
		`a/b.yaml:9:11: no method "trusted"; did you mean "trust"?`},
	{"then: nothing between commas",
		rows + "  - then: connected tls, , role alice\n",
		"a/b.yaml:9:26: nothing between two commas; leave one comma out"},
	{"then: half a quote",
		rows + "  - then: 'connected, role \"x'\n",
		`a/b.yaml:9:11: "x is not a quoted text; want "…" with \" and \\ inside, or no quotes`},
	{"then: role of a refusal",
		rows + "  - then: refused at hba, no-hba-entry, role alice\n",
		"a/b.yaml:9:41: role of a refused outcome; leave it out: there is no session that could have one"},
	{"then: descent of a refusal",
		rows + "  - then: refused at hba, no-hba-entry, descent first\n",
		"a/b.yaml:9:41: descent of a refused outcome; leave it out: only connected outcomes have one"},
	{"then: a word without its value",
		rows + "  - then: connected, method\n",
		`a/b.yaml:9:22: method has no value; want "method VALUE", or leave it out`},
	{"then: a list",
		rows + "  - then: [connected]\n",
		"a/b.yaml:9:11: then is a list; want text"},
	{"many at once",
		"quesstion: q\nworld:\n  ssl: maybe\n  hba: |\n    host all all all trust\nclient:\n  sslmode: [require, requir]\n  user: [a, a]\nexpect:\n  - when: {sslmode: require}\n    then: conected\n",
		"a/b.yaml:1:1: unknown key \"quesstion\" at the top level; did you mean \"question\"?\n" +
			"a/b.yaml:3:8: impossible value \"maybe\" of ssl; want off or on\n" +
			"a/b.yaml:7:22: impossible value \"requir\" of sslmode; did you mean \"require\"?\n" +
			"a/b.yaml:8:13: user=a is there twice; keep this one or the one in column 10 of line 8\n" +
			`a/b.yaml:11:11: an outcome cannot start with "conected"; want "connected", "connected CHANNEL", "refused" or "refused at STAGE", as in "connected gss, role alice"`},
	{"vary: no mapping",
		top + "  vary: record\n",
		"a/b.yaml:5:9: vary is text; want a mapping"},
	{"vary: no axis",
		top + "  vary: {}\n",
		"a/b.yaml:5:9: vary declares no axis; want {NAME: [TEXT, TEXT]}, or leave the key out"},
	{"vary: a name that is no name",
		top + "  vary: {Record: [host]}\n",
		`a/b.yaml:5:10: "Record" is no name for an axis; want a letter, then a-z, 0-9 and single hyphens, as in record-type`},
	{"vary: a name that is a number",
		top + "  vary: {2: [host]}\n",
		`a/b.yaml:5:10: "2" is no name for an axis; want a letter, then a-z, 0-9 and single hyphens, as in record-type`},
	{"vary: an axis of the table",
		top + "  vary: {cert: [a, b]}\n",
		"a/b.yaml:5:10: cert is an axis already; choose another name, or name its values under its own heading"},
	{"vary: a world key",
		top + "  vary: {realm: [a, b]}\n",
		"a/b.yaml:5:10: realm is a key of scenario files; choose another name"},
	{"vary: twice",
		top + "  vary: {record: [host], record: [hostssl]}\n",
		`a/b.yaml:5:26: axis "record" is there twice; keep this one or the one in line 5`},
	{"vary: no values",
		varies + "  vary: {record: []}\n",
		"a/b.yaml:5:18: record is an empty list; name a value, or leave the key out"},
	{"vary: no values by name",
		varies + "  vary: {record: {}}\n",
		"a/b.yaml:5:18: record has no values; want {NAME: TEXT, NAME: TEXT}, or [TEXT, TEXT]"},
	{"vary: a value that is a list",
		varies + "  vary: {record: [[host]]}\n",
		"a/b.yaml:5:19: a value of record is a list; want text"},
	{"vary: a name of a value that is no name",
		varies + "  vary: {record: {Host: host}}\n",
		`a/b.yaml:5:19: "Host" is no name for a value of record; want a-z, 0-9 and single hyphens, as in verify-ca`},
	{"vary: a value twice",
		varies + "  vary: {record: [host, host]}\n",
		"a/b.yaml:5:25: record=host is there twice; leave one of them out; an empty text in a list is named none"},
	{"vary: the name of the empty text",
		varies + "  vary: {record: [\"\", none]}\n",
		"a/b.yaml:5:23: record=none is there twice; leave one of them out; an empty text in a list is named none"},
	{"vary: one text by two names",
		varies + "  vary: {record: {a: host, b: host}}\n",
		"a/b.yaml:5:28: record=b is the same text as a; leave one of them out"},
	{"vary: a value of two lines",
		varies + "  vary:\n    record:\n      a: |\n        host\n      b: \"a\\nb\"\n",
		"a/b.yaml:7:10: a value of record is longer than a line; write it in one line: the lines of a text are counted before its values are known\n" +
			"a/b.yaml:9:10: a value of record is longer than a line; write it in one line: the lines of a text are counted before its values are known"},
	{"vary: typographic quote",
		varies + "  vary: {record: [host “all”]}\n",
		`a/b.yaml:5:19: typographic quote in a value of record; write "`},
	{"vary: no text has it",
		varies + "  vary: {record: [host, hostssl], method: trust}\n",
		"a/b.yaml:5:35: vary declares method and no text has {method}; write it into hba, ident or a setting, or leave the axis out"},
	{"vary: not declared, in a text",
		varies + "    local all all {rekord}\n  vary: {record: [host, hostssl]}\n",
		`a/b.yaml:5:19: {rekord} in hba, and vary declares no rekord; did you mean "record"?; braces that mean themselves are a value of vary, too, as in brace: {only: "{rekord}"}`},
	{"vary: not declared, in a setting",
		varies + "  vary: {record: [host, hostssl]}\n  settings: {work_mem: '{size}', krb_caseins_users: 'on{x}'}\n",
		`a/b.yaml:6:24: {size} in the setting work_mem, and vary declares no size; want record; braces that mean themselves are a value of vary, too, as in brace: {only: "{size}"}` + "\n" +
			`a/b.yaml:6:53: {x} in the setting krb_caseins_users, and vary declares no x; want record; braces that mean themselves are a value of vary, too, as in brace: {only: "{x}"}`},
	{"vary: a value that the row has and the axis has not",
		varies + "  vary: {record: [host, hostssl]}\nexpect:\n  - when: {record: all}\n    then: connected\n",
		`a/b.yaml:7:20: the scenario has no record=all; want host or hostssl`},
	{"vary: a row names an axis that is not declared",
		varies + "  vary: {record: [host, hostssl]}\nexpect:\n  - when: {rekord: host}\n    then: connected\n",
		`a/b.yaml:7:12: no axis "rekord"; did you mean "record"?`},
	{"vary: rows overlap",
		varies + "  vary: {record: [host, hostssl]}\nexpect:\n  - when: {record: host}\n    then: connected\n  - then: connected\n",
		"a/b.yaml:9:5: this row and the one in line 7 both claim record=host; one of them is to name fewer values"},
	{"hba: a key beside file",
		"question: q\nworld:\n  hba: {file: x.conf, wide: host all all all trust}\n",
		"a/b.yaml:3:15: there is no file x.conf in a; put it there, beside the scenario\na/b.yaml:3:23: unknown key \"wide\" beside file; want {file: PATH} alone; no text can have the name file"},
	{"hba: a mapping without file",
		"question: q\nworld:\n  hba: {wide: {path: x.conf}}\n",
		"a/b.yaml:3:15: a text of hba is a mapping without file; want a text, or {file: PATH}"},
	{"hba: a file without a name",
		"question: q\nworld:\n  hba: {file: \"\"}\n",
		"a/b.yaml:3:15: the file of hba is empty; want text"},
	{"files: paths",
		top + "  files:\n    /etc/x: a\n    ../x: a\n    a//b: a\n    pg_ident.conf: a\n    d/x: a\n    d: a\n    d/x/y: a\n",
		"a/b.yaml:6:5: \"/etc/x\" is no path below the directory of pg_hba.conf; name the file from that directory on, without . and .., as in conf.d/first.conf\n" +
			"a/b.yaml:7:5: \"../x\" is no path below the directory of pg_hba.conf; name the file from that directory on, without . and .., as in conf.d/first.conf\n" +
			"a/b.yaml:8:5: \"a//b\" is no path below the directory of pg_hba.conf; name the file from that directory on, without . and .., as in conf.d/first.conf\n" +
			"a/b.yaml:9:5: pg_ident.conf has a key of its own; write it under settings, hba or ident\n" +
			"a/b.yaml:11:5: d is a file and the directory of another; rename one of the two\n" +
			"a/b.yaml:12:5: d/x/y is a file and the directory of another; rename one of the two"},
	{"files: none",
		top + "  files: {}\n",
		"a/b.yaml:5:10: files names no file; want {PATH: TEXT}, or leave the key out"},
	{"files: a rule of another",
		top + "  files: {d/x.conf: host all all all trust}\nexpect:\n  - then: connected, rule x.conf:1\n",
		"a/b.yaml:7:11: a rule of x.conf is expected, and the world has no such file; write it under files, or name a line of hba as hba:LINE"},
	{"before: without a load",
		top + "  before: host all all all trust\n",
		"a/b.yaml:5:11: before is given, and load is not; add load: reload or restart, or leave before out"},
	{"before: a key that it does not have",
		top + "  load: reload\n  before: {tls_files: no-key}\n",
		`a/b.yaml:6:12: unknown key "tls_files" under before; want hba, ident, ssl, servercert, servercrl, serverca or keytab`},
	{"before: another word",
		top + "  load: reload\n  before: {servercert: late}\n",
		`a/b.yaml:6:24: impossible value "late" of servercert; want good, other-ca, expired, wrong-name, cn-only, revoked, system-ca, rsa, rsa-pss or ed25519`},
	{"before: nothing",
		top + "  load: reload\n  before: {}\n",
		"a/b.yaml:6:11: before is empty; want a pg_hba.conf, or {KEY: VALUE} with what is another afterwards"},
	{"load: another word",
		top + "  load: start\n  before: host all all all trust\n",
		`a/b.yaml:5:9: impossible value "start" of load; want reload or restart`},
	{"load: a line that neither text has",
		top + "  load: reload\nexpect:\n  - then: connected, hba:3\n",
		"a/b.yaml:7:11: hba:3 is expected and the hba text ends with line 1; name a line of it"},
	{"judge: another word",
		rows + "  - then: connected\njudge: oracle\n",
		`a/b.yaml:10:8: judge is "oracle"; want expect, or leave the key out: the oracle then predicts every cell`},
	{"judge: no rows",
		client + "  sslmode: require\njudge: expect\n",
		"a/b.yaml:1:1: judge: expect, and there is no expect; write the rows that judge the cells"},
	{"judge: a cell without a row",
		rows + "  - when: {user: alice}\n    then: connected\n  - when: {sslmode: disable}\n    then: connected\njudge: expect\nexclude:\n  - {user: alice, sslmode: disable}\n",
		"a/b.yaml:9:5: no expect row claims user=bob,sslmode=require; add a row, or exclude the cell: with judge: expect nothing else judges it"},
}

func TestMistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			scenarios, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(m.source)}})
			if err == nil {
				t.Fatal("there is no error")
			}
			if scenarios != nil {
				t.Error("scenarios beside an error")
			}
			if diff := cmp.Diff(m.want, err.Error()); diff != "" {
				t.Errorf("%s\n%s", err, diff)
			}
			var problem *Problem
			if !errors.As(err, &problem) || problem.Line < 1 || problem.Column < 1 || problem.Right == "" {
				t.Errorf("not a *Problem with a place and what would be right: %#v", problem)
			}
		})
	}
}

func TestLoadFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "identmap")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "my-own.yaml")
	if err := os.WriteFile(file, []byte(top), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "identmap/my-own" || s.Pos != file+":1:1" {
		t.Errorf("%s at %s", s.Name, s.Pos)
	}
	if _, err := LoadFile(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte("question: q\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := LoadFile(file); err == nil || s != nil || !strings.HasPrefix(err.Error(), file+":1:1: hba is missing") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestLoadPaths(t *testing.T) {
	good := &fstest.MapFile{Data: []byte(top)}
	bad := &fstest.MapFile{Data: []byte("question: q\n")}
	for _, test := range []struct {
		name  string
		files fstest.MapFS
		paths []string
		names []string
		err   string
	}{
		{"all below, sorted by name", fstest.MapFS{"b/a.yaml": good, "a/z.yaml": good, "more/a/c.yaml": good, "a/z.golden": good, "divergences.yaml": good, "schema.json": good}, nil, []string{"a/c", "a/z", "b/a"}, ""},
		{"a folder", fstest.MapFS{"b/a.yaml": bad, "a/z.yaml": good}, []string{"a"}, []string{"a/z"}, ""},
		{"a file, named twice", fstest.MapFS{"a/y.yaml": good, "a/z.yaml": good}, []string{"a/z.yaml", "a/z.yaml"}, []string{"a/z"}, ""},
		{"nothing there", fstest.MapFS{"a/z.yaml": good}, []string{"b"}, nil, "scenarios: open b: file does not exist"},
		{"no scenario there", fstest.MapFS{"a/z.golden": good}, []string{"a"}, nil, "no scenario files at or below a; want FAMILY/NAME.yaml"},
		{"the same name twice", fstest.MapFS{"a/z.yaml": good, "more/a/z.yaml": good}, nil, nil, "more/a/z.yaml:1:1: a/z is a scenario already, in a/z.yaml; rename one of the two files"},
		{"all mistakes of all files", fstest.MapFS{"a/z.yaml": bad, "a/y.yaml": bad, "a/x.yaml": good}, nil, nil,
			"a/y.yaml:1:1: hba is missing; write the server's pg_hba.conf under world, as in hba: |\n" +
				"a/z.yaml:1:1: hba is missing; write the server's pg_hba.conf under world, as in hba: |"},
		{"no family", fstest.MapFS{"z.yaml": good}, nil, nil, "z.yaml:1:1: the file is in no family folder; name it FAMILY/NAME.yaml, FAMILY and NAME of a-z, 0-9 and single hyphens"},
		{"not kebab-case", fstest.MapFS{"a/My_Own.yaml": good}, nil, nil, `a/My_Own.yaml:1:1: "My_Own" in the file's path is not kebab-case; name it FAMILY/NAME.yaml, FAMILY and NAME of a-z, 0-9 and single hyphens`},
		{"another ending", fstest.MapFS{"a/z.yml": good}, nil, nil, `a/z.yml:1:1: the file name "z.yml" does not end in .yaml; name it FAMILY/NAME.yaml, FAMILY and NAME of a-z, 0-9 and single hyphens`},
	} {
		t.Run(test.name, func(t *testing.T) {
			scenarios, err := Load(test.files, test.paths...)
			if got := errorText(err); got != test.err {
				t.Errorf("error\n%s, want\n%s", got, test.err)
			}
			var names []string
			for _, s := range scenarios {
				names = append(names, s.Name)
			}
			if diff := cmp.Diff(test.names, names); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzLoad: the loader does not panic, and every problem says where it is, what is wrong and what would be right.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(whole))
	for _, m := range mistakes {
		f.Add([]byte(m.source))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, problems := parse("a/b.yaml", "a/b.yaml", source, fstest.MapFS{})
		if len(problems) == 0 {
			for _, c := range s.Expand() {
				if !MatchID(s.Name, c.ID) {
					t.Errorf("%s is no cell of %s", c.ID, s.Name)
				}
			}
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Wrong == "" || p.Right == "" || strings.Contains(p.Error(), "\n") {
				t.Errorf("%#v", p)
			}
		}
	})
}

// The worlds of a scenario that says how its rules are loaded. Worlds of one that does not have the keys that they had before.
func TestLoad(t *testing.T) {
	cells := load(t, "question: q\nworld:\n  load: all\n  vary: {kind: [host, hostssl]}\n  hba: \"{kind} all all all trust\\n\"\n  files: {d/b.conf: \"{kind}\", a: x}\n").Expand()
	if len(cells) != 4 {
		t.Fatalf("%d cells", len(cells))
	}
	for i, want := range []World{
		{Load: Reload, Before: State{HBA: RulesBefore}, Files: []File{{"a", "x"}, {"d/b.conf", "host"}}},
		{Load: Reload, Before: State{HBA: RulesBefore}, Files: []File{{"a", "x"}, {"d/b.conf", "hostssl"}}},
		{Load: Restart, Before: State{HBA: RulesBefore}, Files: []File{{"a", "x"}, {"d/b.conf", "host"}}},
		{Load: Restart, Before: State{HBA: RulesBefore}, Files: []File{{"a", "x"}, {"d/b.conf", "hostssl"}}},
	} {
		w := cells[i].World
		if diff := cmp.Diff(want, World{Load: w.Load, Before: w.Before, Files: w.Files}); diff != "" {
			t.Errorf("%s: %s", cells[i].ID, diff)
		}
		if !strings.Contains(cells[i].ID, "load="+w.Load) || w.EnvKey() != cells[0].World.EnvKey() {
			t.Errorf("%s: %s", cells[i].ID, w.EnvKey())
		}
	}
	keys := map[string]bool{}
	for _, c := range cells {
		keys[c.World.Key()] = true
	}
	if len(keys) != 4 {
		t.Errorf("%d worlds have different keys", len(keys))
	}
	plainly := load(t, top).Expand()[0]
	if w := plainly.World; w.Load != "" || w.Before != (State{}) || strings.Contains(w.Key(), "load") || strings.Contains(plainly.ID, "load") {
		t.Errorf("a scenario that does not name load: %s, %s", plainly.ID, w.Key())
	}
	given := load(t, top+"  load: reload\n  before: |\n    # none\n    local all all trust\nexpect:\n  - then: connected, hba:2\n").Expand()[0].World
	if given.Before.HBA != "# none\nlocal all all trust\n" {
		t.Errorf("before: %q", given.Before.HBA)
	}
}

// What a server has before is what before says, and otherwise what it has afterwards.
func TestEarlier(t *testing.T) {
	const head = "question: q\nworld:\n  load: restart\n  tls_files: no-key\n  ident: a b c\n  files: {x: y}\n  hba: host all all all trust\n"
	for before, want := range map[string]World{
		"":                                {HBA: RulesBefore, SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Keytab: "good"},
		"local all all trust":             {HBA: "local all all trust", SSL: "on", ServerCert: "good", ServerCRL: "none", ServerCA: "right", Keytab: "good"},
		"{ssl: off, servercert: expired}": {HBA: "host all all all trust", Ident: "a b c", Files: []File{{"x", "y"}}, SSL: "off", ServerCert: "expired", ServerCRL: "none", ServerCA: "right", Keytab: "good"},
		"{hba: local all all trust, ident: d e f, servercrl: right, serverca: none, keytab: stale}": {HBA: "local all all trust", Ident: "d e f", SSL: "on", ServerCert: "good", ServerCRL: "right", ServerCA: "none", Keytab: "stale"},
	} {
		text := head
		if before != "" {
			text += "  before: " + before + "\n"
		}
		w := load(t, text).Expand()[0].World
		was := w.Earlier()
		got := World{HBA: was.HBA, Ident: was.Ident, Files: was.Files, SSL: was.SSL, ServerCert: was.ServerCert, ServerCRL: was.ServerCRL, ServerCA: was.ServerCA, Keytab: was.Keytab,
			Load: was.Load, Before: was.Before, TLSFiles: was.TLSFiles}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("before: %s: %s", before, diff)
		}
		if was.EnvKey() != w.EnvKey() || was.Key() == w.Key() {
			t.Errorf("before: %s: the two worlds do not share an Env, or are the same", before)
		}
	}
}

// What cannot be attempted while a server gets its files is said of the cell.
func TestCannotBeOpened(t *testing.T) {
	for change, want := range map[string]func(*Cell){
		"":                         func(*Cell) {},
		"there is no before":       func(c *Cell) { c.World.Load = "" },
		"one at a time":            func(c *Cell) { c.Client.Transport = "unix" },
		"without an attacker":      func(c *Cell) { c.Client.Attack = Listen },
		"in the database postgres": func(c *Cell) { c.Client.Asks = AskRead },
	} {
		c := Cell{World: &World{Server: 18, Load: Reload}, Client: Client{Library: "libpq18", Transport: "tcp", Database: DefaultDatabase, Opened: OpenedBefore}}
		want(&c)
		if got := NotApplicable(&c); !strings.Contains(got, change) || change == "" && got != "" {
			t.Errorf("%q: %q", change, got)
		}
	}
}
