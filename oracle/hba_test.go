package oracle

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// What loads and what does not, measured by starting servers of these versions, and the other messages of hba.c.
func TestWhatLoads(t *testing.T) {
	const all = "13 14 15 16 17 18 19"
	for _, c := range []struct{ line, versions, message string }{
		{"hostssl all all all md5 clientcert=1", "13", ""},
		{"hostssl all all all md5 clientcert=1", "14 15 16 17 18", `invalid value for clientcert: "1"`},
		{"hostssl all all all md5 clientcert=no-verify", "13", ""},
		{"hostssl all all all md5 clientcert=no-verify", "14 18", `invalid value for clientcert: "no-verify"`},
		{"hostssl all all md5 clientcert=1", all, `invalid authentication method "clientcert=1"`},
		{"host all all gss map=mymap", all, `invalid authentication method "map=mymap"`},
		{"local all all gss", all, "gssapi authentication is not supported on local sockets"},
		{"host all all all cert", all, "cert authentication is only supported on hostssl connections"},
		{"hostgssenc all all all cert", all, "cert authentication is only supported on hostssl connections"},
		{"host all all all trust clientcert=verify-ca", all, `clientcert can only be configured for "hostssl" rows`},
		{"hostssl all all all cert clientcert=verify-ca", "13", ""},
		{"hostssl all all all cert clientcert=verify-ca", "14 15 17 18", `clientcert only accepts "verify-full" when using "cert" authentication`},
		{"hostssl all all all cert clientcert=0", "13", `clientcert cannot be set to "no-verify" when using "cert" authentication`},
		{"hostgssenc all all all scram-sha-256", all, ""},
		{"hostgssenc all all all gss", all, ""},
		{"hostssl all all all trust", all, ""},
		{"local all all peer map=mymap", all, ""},
		{"local all all ident map=mymap", all, ""},
		{"host all all all peer", all, "peer authentication is only supported on local sockets"},

		{"hostssl all all all trust clientname=DN", "13", `unrecognized authentication option name: "clientname"`},
		{"hostssl all all all trust clientname=DN", "14 18", ""},
		{"hostssl all all all trust clientname=UID", "14 18", `invalid value for clientname: "UID"`},
		{"host all all all trust clientname=DN", "14 18", `clientname can only be configured for "hostssl" rows`},
		{"host all all all trust map=m", "13 17", `authentication option "map" is only valid for authentication methods ident, peer, gssapi, sspi, and cert`},
		{"host all all all trust map=m", "18 19", `authentication option "map" is only valid for authentication methods ident, peer, gssapi, sspi, cert, and oauth`},
		{"host all all all trust include_realm=0", all, `authentication option "include_realm" is only valid for authentication methods gssapi and sspi`},
		{"host all all all gss compat_realm=1", all, `authentication option "compat_realm" is only valid for authentication methods sspi`},
		{"host all all all gss ldapserver=x", all, `authentication option "ldapserver" is only valid for authentication methods ldap`},
		{"host all all all gss radiussecrets=x", "13 15 17 18", `authentication option "radiussecrets" is only valid for authentication methods radius`},
		{"host all all all gss issuer=x", "13 17", `unrecognized authentication option name: "issuer"`},
		{"host all all all gss issuer=x", "18", `authentication option "issuer" is only valid for authentication methods oauth`},
		{"host all all all gss pamservice=x", all, `authentication option "pamservice" is only valid for authentication methods pam`},
		{"host all all all gss include_realm", all, "authentication option not in name=value format: include_realm"},
		{"host all all all gss wrong=1", all, `unrecognized authentication option name: "wrong"`},

		{"hosttls all all all trust", all, `invalid connection type "hosttls"`},
		{"host,hostssl all all all trust", all, "multiple values specified for connection type"},
		{"host", all, "end-of-line before database specification"},
		{"host all", all, "end-of-line before role specification"},
		{"host all all", all, "end-of-line before IP address specification"},
		{"host all all all", all, "end-of-line before authentication method"},
		{"local all all", all, "end-of-line before authentication method"},
		{"host all all all trust,reject", all, "multiple values specified for authentication type"},
		{"host all all all,samenet trust", all, "multiple values specified for host address"},
		{"host all all 127.0.0.1", all, "end-of-line before netmask specification"},
		{"host all all 127.0.0.1 255.0.0.0,255.0.0.1 trust", all, "multiple values specified for netmask"},
		{"host all all 127.0.0.1 ffff:: trust", all, "IP address and mask do not match"},
		{"host all all 127.0.0.1/33 trust", all, `invalid CIDR mask in address "127.0.0.1/33"`},
		{"host all all 127.0.0.1/x trust", all, `invalid CIDR mask in address "127.0.0.1/x"`},
		{"host all all db.example.test/8 trust", all, `specifying both host name and CIDR mask is invalid: "db.example.test/8"`},
		{"host all all all TRUST", all, `invalid authentication method "TRUST"`},
		{"host all all all sspi", all, `invalid authentication method "sspi": not supported by this build`},
		{"host all all all gss radiussecrets=x", "19", `unrecognized authentication option name: "radiussecrets"`},
		{"host all all all radius radiusservers=127.0.0.1 radiussecrets=x", "13 18", ""},
		{"host all all all radius radiusservers=127.0.0.1 radiussecrets=x", "19", `invalid authentication method "radius"`},
		{"host all all all oauth issuer=x scope=y", "18", "oauth_validator_libraries must be set for authentication method oauth"},
		{"host all all all oauth issuer=x scope=y", "19", `parameter "oauth_validator_libraries" must be set for authentication method "oauth"`},
		{"host all all all oauth issuer=x scope=y", "13 17", `invalid authentication method "oauth"`},
		{"include other.conf", "13 15", `invalid connection type "include"`},
		{"include other.conf more", "16 18", `invalid connection type "include"`},
		{"host all /(x all trust", "13 15", ""},
		{"host all /(x all trust", "16 18", `invalid regular expression "(x": parentheses () not balanced`},
		{`host all /^\1$ all trust`, "16 18", `invalid regular expression "^\1$": invalid backreference number`},
		{"host /[x all all trust", "16 18", `invalid regular expression "[x": brackets [] not balanced`},
		{"host /*x all all trust", "16 18", `invalid regular expression "*x": quantifier operand invalid`},
		{"# nothing", all, `configuration file "pg_hba.conf" contains no entries`},
	} {
		for version := range strings.FieldsSeq(c.versions) {
			var server int
			_, _ = fmt.Sscan(version, &server)
			_, err := ParseHBA("\n"+c.line+"\n", nil, server)
			var rules *RulesError
			switch {
			case c.message == "" && err != nil:
				t.Errorf("%d: %s: %v", server, c.line, err)
			case c.message == "":
			case !errors.As(err, &rules):
				t.Errorf("%d: %s: loads; want %s", server, c.line, c.message)
			case rules.Lines[0].Message != c.message || rules.Lines[0].File != "pg_hba.conf" || rules.Lines[0].Line != 2 && !strings.HasPrefix(c.line, "#"):
				t.Errorf("%d: %s: %v; want %s", server, c.line, rules.Lines[0], c.message)
			}
		}
	}
}

// TestLists are texts of SplitGUCList.
func TestLists(t *testing.T) {
	for list, want := range map[string]string{
		"":                "",
		"  ":              "",
		"a":               "a",
		" a , b ":         "a|b",
		`"a"`:             "a",
		`"a b","c""d"`:    `a b|c"d`,
		`"",a`:            "|a",
		`""""`:            `"`,
		"a,":              "bad",
		",a":              "bad",
		"a,,b":            "bad",
		"a b":             "bad",
		`"a`:              "bad",
		`"a"b`:            "bad",
		`a"b`:             `a"b`,
		`"one" , "two,3"`: "one|two,3",
	} {
		items, ok := guc(list)
		if got := strings.Join(items, "|"); ok && got != want || !ok && want != "bad" {
			t.Errorf("%q: %q, %t; want %q", list, items, ok, want)
		}
	}
}

func TestEveryBadLineIsReported(t *testing.T) {
	_, err := ParseHBA("host all all all trust\nhosttls\n\nlocal all all gss\n", nil, 18)
	const want = "pg_hba.conf:2: invalid connection type \"hosttls\"\npg_hba.conf:4: gssapi authentication is not supported on local sockets"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := Predict(cell(set("hba='host all all'"))); err == nil || err.Error() != "pg_hba.conf:1: end-of-line before IP address specification" {
		t.Errorf("Predict: %v", err)
	}
	if _, err := Predict(cell(set("ident='m alice'"))); err == nil || err.Error() != "pg_ident.conf:1: missing entry at end of line" {
		t.Errorf("Predict: %v", err)
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		server     int
		text, want string
	}{
		{18, `host all all all trust`, `1: host|all|all|all|trust`},
		{18, "# comment\n\n \t\nhost a,b c all trust # why", `4: host|a,b|c|all|trust`},
		{18, `host a, b c all trust`, `1: host|a,b|c|all|trust`},
		{18, `host a ,b c`, `1: host|a|b|c`},
		{18, `host "all" "a b","c,d" "#e" "f""g" h"i j"k`, `1: host|"all"|"a b","c,d"|"#e"|"f"g"|hi jk`},
		{18, `host "" all`, `1: host|""|all`},
		{18, "host a\\\n  b # c \\\nd\r\nlocal x", `1: host|a|b` + "\n" + `4: local|x`},
		{18, "host a\\\\\nb", `1: host|a\b`},
		{13, "host a \\\n  b", `1: host|a|\` + "\n" + `2: b`},
		{18, "host a\\", `1: host|a`},
	} {
		lines, err := newTokenizer(c.server, nil).tokenize(matrix.HBAFile, c.text, 0)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		var got []string
		for _, l := range lines {
			var fields []string
			for _, f := range l.fields {
				var tokens []string
				for _, tk := range f {
					if tk.quoted {
						tk.text = `"` + tk.text + `"`
					}
					tokens = append(tokens, tk.text)
				}
				fields = append(fields, strings.Join(tokens, ","))
			}
			got = append(got, fmt.Sprintf("%d: %s", l.number, strings.Join(fields, "|")))
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%d: %q:\n got %s\nwant %s", c.server, c.text, strings.Join(got, "\n"), c.want)
		}
	}
}

// TestFirstMatch: each record is followed by one that matches everything; the rule of the outcome tells which one matched.
func TestFirstMatch(t *testing.T) {
	const plain, tls, gss, unix = "gssencmode=disable sslmode=disable", "gssencmode=disable sslmode=require", "gssencmode=require ticket=valid principal=alice", "transport=unix"
	for _, c := range []struct {
		record, given string
		matches       bool
	}{
		{"host all all all trust", plain, true}, {"host all all all trust", tls, true}, {"host all all all trust", gss, true}, {"host all all all trust", unix, false},
		{"hostssl all all all trust", plain, false}, {"hostssl all all all trust", tls, true}, {"hostssl all all all trust", gss, false},
		{"hostnossl all all all trust", plain, true}, {"hostnossl all all all trust", tls, false}, {"hostnossl all all all trust", gss, true},
		{"hostgssenc all all all trust", plain, false}, {"hostgssenc all all all trust", tls, false}, {"hostgssenc all all all trust", gss, true},
		{"hostnogssenc all all all trust", plain, true}, {"hostnogssenc all all all trust", tls, true}, {"hostnogssenc all all all trust", gss, false},
		{"local all all trust", plain, false}, {"local all all trust", unix, true},

		{"host postgres all all trust", plain, true}, {"host template1,postgres all all trust", plain, true}, {"host template1 all all trust", plain, false},
		{`host "all" all all trust`, plain, false}, {"host replication all all trust", plain, false}, {`host "replication" all all trust`, plain, false},
		{"host sameuser all all trust", plain, false}, {"host sameuser all all trust", plain + " user=postgres", true},
		{"host samerole all all trust", plain + " user=postgres", true}, {"host samegroup all all trust", plain, false},
		{"host /^post all all trust", plain, true}, {"host /^post all all trust", plain + " server=15", false}, {`host "/^(a|post),?" all all trust`, plain, true}, {"host /^ost all all trust", plain, false},

		{"host all alice all trust", plain, true}, {"host all ALICE all trust", plain, false}, {`host all "alice" all trust`, plain, true}, {"host all bob,alice all trust", plain, true},
		{`host all "all" all trust`, plain, false}, {"host all +alice all trust", plain, true}, {`host all "+alice" all trust`, plain, false}, {"host all +bob all trust", plain, false},
		{"host all +nobody all trust", plain + " user=nobody", false}, {"host all nobody all trust", plain + " user=nobody", true},
		{"host all /^al.*e$ all trust", plain, true}, {"host all /^al.*e$ all trust", plain + " server=13", false}, {"host all /^b all trust", plain, false},

		{"host all all 0.0.0.0/0 trust", plain, true}, {"host all all 0.0.0.0 0.0.0.0 trust", plain, true}, {"host all all samenet trust", plain, true}, {"host all all samehost trust", plain, false},
		{"host all all 127.0.0.1/32 trust", plain, false}, {"host all all 127.0.0.1 255.255.255.255 trust", plain, false}, {"host all all ::1/128 trust", plain, false},
		{"host all all ::0/0 trust", plain, false}, // an IPv4 client: check_ip compares within a family only
	} {
		p := predict(t, cell(set(c.given), set("hba='"+c.record+"; host all all all trust; local all all trust'")))
		if got := p.Outcome.Rule == "pg_hba.conf:1"; got != c.matches {
			t.Errorf("%s with %s: %s%s", c.record, c.given, p.Outcome, explain(p))
		}
	}
}

func TestRecordsBeforeOthersAreFinal(t *testing.T) {
	checkRows(t, "gssencmode=disable sslmode=disable", `
hba='host all alice all reject; host all all all trust' => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail
hba='host all alice all gss; host all all all trust' ticket=valid => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail
hba='hostssl all all all trust' ssl=off => refused at hba, no-hba-entry, channel plain, trace connect authfail
hba='# one; ; host all all \; all trust' => connected plain, method trust, role alice, hba:3, trace connect authok
`)
}

func TestRecordFields(t *testing.T) {
	records, err := ParseHBA("local all all trust\n\nhostssl  a,b  all \\\n all scram-sha-256\n", nil, 18)
	if err != nil || len(records) != 2 {
		t.Fatal(records, err)
	}
	got := records[1]
	if got.File != matrix.HBAFile || got.Line != 3 || got.Conn != "hostssl" || got.Method != matrix.MethodScram || got.Text != "hostssl a,b all all scram-sha-256" {
		t.Errorf("%+v", got)
	}
}
