package classify

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestHBAFields(t *testing.T) {
	for record, want := range map[string]string{ // fields with | between them, tokens with commas, quoted ones in brackets
		"":                                "",
		"# host all all all trust":        "",
		"  \t # comment":                  "",
		"host all all all trust":          "host|all|all|all|trust",
		"host\tall\t \tall all trust\r":   "host|all|all|all|trust",
		"host a,b c,d all trust":          "host|a,b|c,d|all|trust",
		"host a, b  c,\td all trust":      "host|a,b|c,d|all|trust",
		"host a ,b all trust":             "host|a|b|all|trust", // only a comma that follows the name continues the list
		"host ,a,,b all trust":            "host|a,b|all|trust",
		"host all all all trust,":         "host|all|all|all|trust",
		`host "all" "a b" all trust`:      "host|[all]|[a b]|all|trust",
		`host a,"b, c" all all trust`:     "host|a,[b, c]|all|all|trust",
		`host "a""b" """" all trust`:      `host|[a"b]|["]|all|trust`,
		`host "" all all trust`:           "host|[]|all|all|trust",
		`host a"b c"d all all trust`:      "host|ab cd|all|all|trust", // it did not begin with the quote
		`host "a#b" c#d`:                  "host|[a#b]|c",
		`host all @users,"@bob" all md5`:  "host|all|@users,[@bob]|all|md5",
		`host all all all gss map="a b"`:  "host|all|all|all|gss|map=a b",
		`host all "all all all trust`:     "host|all|[all all all trust]", // up to the end of the line
		"host all +staff,/^a.*$ all cert": "host|all|+staff,/^a.*$|all|cert",
	} {
		var fields []string
		for _, field := range hbaFields(record) {
			var tokens []string
			for _, token := range field {
				if token.quoted {
					token.text = "[" + token.text + "]"
				}
				tokens = append(tokens, token.text)
			}
			fields = append(fields, strings.Join(tokens, ","))
		}
		if got := strings.Join(fields, "|"); got != want {
			t.Errorf("%q: %s, want %s", record, got, want)
		}
	}
}

func TestRecordMethod(t *testing.T) {
	for record, want := range map[string]matrix.Method{
		"host all all all trust":                                                   matrix.MethodTrust,
		"local all all peer map=m":                                                 matrix.MethodPeer,
		"local all all ident":                                                      matrix.MethodPeer,
		"local all trust reject":                                                   matrix.MethodReject,
		`local "all" "local", bob scram-sha-256`:                                   matrix.MethodScram,
		"host all all 10.0.0.0/8 md5":                                              matrix.MethodMD5,
		"host all all 10.0.0.0 255.0.0.0 gss include_realm=0":                      matrix.MethodGSS,
		"host all all 10.0 255.0.0.0 md5":                                          matrix.MethodMD5,
		"host all all 0x7f.1 0377.0.0.0 md5":                                       matrix.MethodMD5,
		`host all all "10.0.0.0" "255.0.0.0" "md5"`:                                matrix.MethodMD5,
		"host all all ::1 ffff:ffff:ffff:ffff:: password":                          matrix.MethodPassword,
		"host all all fe80::1%eth0 ffff:: password":                                matrix.MethodPassword,
		"host all all ::1/128 password":                                            matrix.MethodPassword,
		"host all all samehost trust":                                              matrix.MethodTrust,
		"hostssl  a,b  trust  samenet  scram-sha-256 # trust":                      matrix.MethodScram,
		"host all all .example.test cert":                                          matrix.MethodCert,
		"host all all 1.2.3.4.0 md5":                                               matrix.MethodMD5, // a host name
		"host all all 0xab.0xcdef 0xFFFF0000 md5":                                  matrix.MethodMD5,
		"host all all 08.1 md5":                                                    matrix.MethodMD5, // no octal number
		"host all all 10.example.test cert":                                        matrix.MethodCert,
		`host all all "all" ident`:                                                 matrix.MethodIdent, // a host of that name
		"hostgssenc\tall\tall\tall\tgss\tinclude_realm=0\tmap=krb":                 matrix.MethodGSS,
		`host all "trust" all reject`:                                              matrix.MethodReject,
		`hostnossl  all "alice"  all  md5`:                                         matrix.MethodMD5,
		"hostssl template1  alice, bob  all  md5":                                  matrix.MethodMD5,
		"hostssl template1  alice, bob  all  password":                             matrix.MethodPassword,
		"hostnogssenc  template1, postgres  carol  0.0.0.0 0.0.0.0  scram-sha-256": matrix.MethodScram,
		`host all "a ""b"" c", @more all cert map="x y"`:                           matrix.MethodCert,
		"host all all all ldap ldapserver=x":                                       "ldap",
		"host all all all oauth issuer=x scope=y":                                  "oauth",
		// what does not tell
		"":                                "",
		"include other.conf":              "",
		"include_if_exists other.conf":    "",
		"include_dir hba.d":               "",
		"@include other":                  "",
		"host all all all":                "",
		"host all all 10.0.0.0 255.0.0.0": "",
		"local all all":                   "",
		"host,local all all all trust":    "",
		"HOST all all all trust":          "",
		"host all all all trust,md5":      "",
		"host all all all TRUST":          "",
		"host all all all @methods":       "",
		"host all all 10.0.0.0 trust":     "", // taken for the mask
	} {
		if got := recordMethod(record); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

func TestHBARecords(t *testing.T) {
	const trust, reject = matrix.MethodTrust, matrix.MethodReject
	for _, tt := range []struct {
		name, text string
		server     int
		want       []HBARecord
	}{
		{"comments and empty lines", "# trust\n\nhost all all all trust\n   \nlocal all all reject # no\n", 15, []HBARecord{{3, "host", trust}, {5, "local", reject}}},
		{"no end of the last line", "host all all all trust\r\nhost all all all reject", 15, []HBARecord{{1, "host", trust}, {2, "host", reject}}},
		{"continued", "host all \\\n  all all\\\n trust\nhost all all all reject\n", 14, []HBARecord{{1, "host", trust}, {4, "host", reject}}},
		{"continued within a name", "host all all all tr\\\nust\n", 18, []HBARecord{{1, "host", trust}}},
		{"continued within quotes", "host all \"a\\\nb\" all trust\n", 18, []HBARecord{{1, "host", trust}}},
		{"a comment that is continued", "# nobody \\\nhost all all all trust\nhost all all all reject\n", 18, []HBARecord{{3, "host", reject}}},
		{"continued, with carriage returns", "host all all \\\r\nall trust\r\n", 18, []HBARecord{{1, "host", trust}}},
		{"continued by an empty line", "host all all all trust \\\n\nhost all all all reject\n", 18, []HBARecord{{1, "host", trust}, {3, "host", reject}}},
		{"two backslashes and an empty line", "host all all all trust # \\\\\n\nhost all all all reject\n", 18, []HBARecord{{1, "host", trust}, {3, "host", reject}}},
		{"13 continues nothing", "# nobody \\\nhost all all all trust\n", 13, []HBARecord{{2, "host", trust}}},
		{"an include", "include a\nhost all all all trust\n", 16, []HBARecord{{1, "include", ""}, {2, "host", trust}}},
	} {
		if got := HBARecords(tt.text, tt.server); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOnlyRecord(t *testing.T) {
	const hba = "# comment\n\nhost all a all trust\nhost all b all reject\nhost all \"c\" all reject\n"
	records := HBARecords(hba, 17)
	for want, methods := range map[string][]matrix.Method{
		"pg_hba.conf:3": {matrix.MethodTrust},
		"":              {matrix.MethodReject},
	} {
		if got := onlyRecord(records, methods); got != want {
			t.Errorf("%v: %q, want %q", methods, got, want)
		}
	}
	more := HBARecords(hba+"include more.conf\n", 17)
	if got := onlyRecord(more, []matrix.Method{matrix.MethodTrust}); got != "" {
		t.Errorf("with an include, whose records are unknown: %q", got)
	}
	if usesMethod(records, matrix.MethodGSS) || !usesMethod(more, matrix.MethodGSS) {
		t.Error("usesMethod")
	}
}

// TestMethodOfMatchedRecord: psql does not tell what it was asked inside encryption; the record that the server quotes does.
func TestMethodOfMatchedRecord(t *testing.T) {
	for record, method := range map[string]string{
		`hostssl  all "alice"  all  md5`:                           "md5",
		`hostssl all  alice, bob  all  password`:                   "password",
		`hostnogssenc  all, postgres  alice  0.0.0.0 0.0.0.0  md5`: "md5",
		`hostssl all all all scram-sha-256 # for "all"`:            "scram-sha-256",
	} {
		for server, quoted := range map[int]string{13: "DETAIL Connection matched pg_hba.conf line 2: ", 18: `DETAIL Connection matched file "/srv/pg/pg_hba.conf" line 2: `} {
			hba := "host all bob all scram-sha-256\n" + record + "\nhost all all all password\nhost all all all md5\n"
			wire, negotiated := overTLS, []string{"LOG SSLRequest accepted"}[:min(1, server/17)]
			log := append(slices.Clone(negotiated), `FATAL 28P01 password authentication failed for user "alice"`, quoted+`"`+record+`"`)
			check(t, testCell(server, "psql13", withHBA(hba)), evidenceOf(saidNo("psql: error: FATAL:  password authentication failed for user \"alice\"\n"), seen(5001, 41, wire, log...)),
				"refused at auth, password, channel tls, method "+method+", hba:2, trace connect sslaccept authfail")
		}
	}
}
