package oracle

import (
	"slices"
	"strings"
	"testing"
)

func TestGSSAuthentication(t *testing.T) {
	checkRows(t, "ticket=valid gssencmode=disable sslmode=disable", `
hba='host all all all gss include_realm=0' => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='host all all all gss' => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail
hba='host all all all gss' user=alice@EXAMPLE.TEST principal=alice => refused at startup, role-missing, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authok startfail
hba='host all all all gss include_realm=0' user=bob principal=alice => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail
hba='host all all all gss include_realm=0 krb_realm=EXAMPLE.TEST' => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='host all all all gss include_realm=0 krb_realm=OTHER.TEST' => refused at auth, realm-mismatch, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail
hba='host all all all gss include_realm=0 krb_realm=example.test' => refused at auth, realm-mismatch, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail
hba='host all all all gss include_realm=0 krb_realm=example.test' setting='krb_caseins_users=on' => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='host all all all gss include_realm=0' principal=Alice setting='krb_caseins_users=on' => connected plain, method gss, identity Alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='hostssl all all all gss include_realm=0' sslmode=require => connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
hba='hostgssenc all all all gss include_realm=0' gssencmode=require => connected gss, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect gssaccept authok
hba='host all all all gss include_realm=0' krbsrvname=nosuch => refused at auth, spn-unknown, channel plain, method gss, hba:1, trace connect authfail
hba='host all all all gss include_realm=0' krbsrvname=postgres => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
// without any key the server makes no error token: libpq gets an error message and goes on; with a wrong key libpq gets an error token, which is final
hba='host all all all gss include_realm=0' keytab=stale sslmode=prefer => refused at auth, keytab-mismatch, channel tls, method gss, hba:1, trace connect sslaccept authfail
hba='host all all all gss include_realm=0' keytab=none sslmode=prefer library=libpq13 => refused at auth, keytab-missing, channel plain, method gss, hba:1, trace connect sslaccept authfail reconnect authfail
hba='hostssl all all all gss; hostnossl all all all trust' keytab=other sslmode=prefer => refused at auth, keytab-mismatch, channel tls, method gss, hba:1, trace connect sslaccept authfail
// require_auth
hba='host all all all gss include_realm=0' require_auth=gss => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
hba='host all all all gss include_realm=0' require_auth=!gss => refused at auth, method-rejected, channel plain, method gss, hba:1, trace connect authfail
hba='host all all all gss include_realm=0' require_auth=sspi => refused at auth, method-rejected, channel plain, method gss, hba:1, trace connect authfail
hba='hostgssenc all all all gss include_realm=0' gssencmode=require require_auth=md5 => refused at auth, method-rejected, channel gss, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect gssaccept authok
hba='host all all all gss include_realm=0' channel_binding=require => refused at auth, channel-binding, channel plain, method gss, hba:1, trace connect authfail
`)
}

func TestPasswords(t *testing.T) {
	checkRows(t, "gssencmode=disable sslmode=disable", `
hba='host all all all scram-sha-256' user=scram password=right => connected plain, method scram-sha-256, identity scram, role scram, hba:1, trace connect authok
hba='host all all all scram-sha-256' user=scram password=wrong => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect authfail
hba='host all all all scram-sha-256' user=md5 password=right => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect authfail
hba='host all all all scram-sha-256' user=alice password=right => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect authfail
hba='host all all all scram-sha-256' user=nobody password=right => refused at auth, password, channel plain, method scram-sha-256, hba:1, trace connect authfail
hba='host all all all md5' user=md5 password=right => connected plain, method md5, identity md5, role md5, hba:1, trace connect authok
hba='host all all all md5' user=scram password=right => connected plain, method md5, identity scram, role scram, hba:1, trace connect authok
hba='host all all all password' user=scram password=right => connected plain, method password, identity scram, role scram, hba:1, trace connect authok
hba='host all all all password' user=md5 password=right => connected plain, method password, identity md5, role md5, hba:1, trace connect authok
hba='host all all all password' user=md5 password=wrong => refused at auth, password, channel plain, method password, hba:1, trace connect authfail
hba='host all all all password' user=md5 => refused at auth, no-password, channel plain, method password, hba:1, trace connect
// require_auth compares the request, not the record's method
hba='host all all all md5' user=scram password=right require_auth=md5 => refused at auth, method-rejected, channel plain, method md5, hba:1, trace connect
hba='host all all all md5' user=scram password=right require_auth=scram-sha-256 => connected plain, method md5, identity scram, role scram, hba:1, trace connect authok
hba='host all all all md5' user=alice require_auth=scram-sha-256 server=13 => refused at auth, method-rejected, channel plain, method md5, hba:1, trace connect
hba='host all all all md5' user=alice require_auth=scram-sha-256 server=14 => refused at auth, no-password, channel plain, method md5, hba:1, trace connect
hba='host all all all password' user=md5 password=right require_auth=!password,!none => refused at auth, method-rejected, channel plain, method password, hba:1, trace connect
require_auth=!none => refused at auth, method-rejected, channel plain, method trust, hba:1, trace connect authok
require_auth=none => connected plain, method trust, role alice, hba:1, trace connect authok
// channel binding needs SCRAM inside TLS
hba='host all all all scram-sha-256' user=scram password=right channel_binding=require => refused at auth, channel-binding, channel plain, method scram-sha-256, hba:1, trace connect
hba='host all all all scram-sha-256' user=scram password=right channel_binding=require sslmode=require => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
hba='host all all all scram-sha-256' user=scram password=right channel_binding=require sslmode=require library=libpq13 => connected tls, method scram-sha-256, identity scram, role scram, hba:1, trace connect sslaccept authok
hba='host all all all md5' user=md5 password=right channel_binding=require sslmode=require => refused at auth, channel-binding, channel tls, method md5, hba:1, trace connect sslaccept
channel_binding=require sslmode=require => refused at auth, channel-binding, channel tls, method trust, hba:1, trace connect sslaccept authok
`)
}

func TestClientCertificates(t *testing.T) {
	checkRows(t, "gssencmode=disable sslmode=require cert=good", `
hba='hostssl all all all cert' => connected tls, method cert, identity CN=alice, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert' cert=none => refused at auth, cert-missing, channel tls, method cert, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert map=m' => refused at ident, map-no-match, channel tls, method cert, identity CN=alice, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert map=m' ident='m alice bob; m alice alice' => connected tls, method cert, identity CN=alice, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert map=m clientname=DN' ident='m /^CN=(.*)$ \1' => connected tls, method cert, identity CN=alice, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all cert clientname=DN' => refused at ident, map-no-match, channel tls, method cert, identity CN=alice, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-ca' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all trust clientcert=verify-ca' cert=none => refused at auth, cert-missing, channel tls, method trust, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=verify-full' => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all trust clientcert=verify-full clientname=DN' => refused at auth, cert-name-mismatch, channel tls, method trust, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=1' server=13 cert=none => refused at auth, cert-missing, channel tls, method trust, hba:1, trace connect sslaccept authfail
hba='hostssl all all all trust clientcert=0' server=13 cert=none => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
hba='hostssl all all all gss include_realm=0 clientcert=verify-full' ticket=valid => connected tls, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect sslaccept authok
// the record's map is applied to the certificate's name too
hba='hostssl all all all gss map=m clientcert=verify-full' ident='m alice@EXAMPLE.TEST alice' ticket=valid => refused at auth, cert-name-mismatch, channel tls, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect sslaccept authfail
hba='hostssl all all all reject clientcert=verify-ca' cert=none => refused at auth, cert-missing, channel tls, method reject, hba:1, trace connect sslaccept authfail
hba='hostssl all all all cert' require_auth=gss => refused at auth, method-rejected, channel tls, method cert, identity CN=alice, hba:1, trace connect sslaccept authok
`)
}

func TestUserNameMaps(t *testing.T) {
	const connected, refused = "connected", "refused at ident map-no-match"
	for _, c := range []struct {
		ident, servers, want string
	}{
		{`m alice@EXAMPLE.TEST alice`, "13 15 16 18", connected},
		{`other alice@EXAMPLE.TEST alice`, "13 18", refused},
		{`m alice@example.test alice`, "13 18", refused},
		{`m alice@EXAMPLE.TEST bob`, "13 18", refused},
		{`m alice@EXAMPLE.TEST bob; m alice@EXAMPLE.TEST alice`, "13 18", connected},
		{`m /^(.*)@EXAMPLE\.TEST$ \1`, "13 15 16 18", connected},
		{`m /^(.*)@OTHER\.TEST$ \1`, "13 18", refused},
		{`m /@EXAMPLE\.TEST$ alice`, "13 18", connected},
		{`m /^(al)ice@ \1ice`, "13 18", connected},
		{`m /^alice@ \1`, "13 18", refused},                                      // no subexpression: an error, which ends the search
		{`m /^alice@ \1; m alice@EXAMPLE.TEST alice`, "13 18", refused},          // even before a line that would match
		{`m /^bob@ \1; m alice@EXAMPLE.TEST alice`, "13 18", connected},          // unless its expression does not match
		{`m alice@EXAMPLE.TEST \1; m /^(.*)@ \1`, "13 18", connected},            // after a literal, \1 is literal
		{`m alice@EXAMPLE.TEST all`, "13 15", refused},                           // targets were literal
		{`m alice@EXAMPLE.TEST all`, "16 18", connected},                         //
		{`m alice@EXAMPLE.TEST "all"`, "16 18", refused},                         //
		{`m alice@EXAMPLE.TEST +alice`, "15", refused},                           //
		{`m alice@EXAMPLE.TEST +alice`, "16 18", connected},                      //
		{`m alice@EXAMPLE.TEST /^al`, "15", refused},                             //
		{`m alice@EXAMPLE.TEST /^al`, "16 18", connected},                        //
		{`m /^(.*)@ +\1`, "16 18", refused},                                      // \1 is not substituted inside +
		{`m /^(.*)@ "\1"`, "13 18", connected},                                   //
		{`m /^(x)?alice@ \1alice; m alice@EXAMPLE.TEST alice`, "13 18", refused}, // a subexpression that takes no part is none
		{`m /^(x|)alice@ \1alice`, "13 18", connected},                           // one that is empty is one
		{`m /^al(?:x|ice)@EXAMPLE[.]TEST$ alice`, "13 18", connected},            //
	} {
		for version := range strings.FieldsSeq(c.servers) {
			p := predict(t, cell(set("ticket=valid gssencmode=disable sslmode=disable hba='host all all all gss map=m' server="+version), set("ident='"+c.ident+"'")))
			got := string(p.Outcome.End)
			if p.Outcome.Reason != "" {
				got += " at " + string(p.Outcome.Stage) + " " + string(p.Outcome.Reason)
			}
			if got != c.want || p.Outcome.Identity != "alice@EXAMPLE.TEST" {
				t.Errorf("%s: %s: %s, want %s%s", version, c.ident, p.Outcome, c.want, explain(p))
			}
		}
	}
}

func TestIdentFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"m":                 "pg_ident.conf:1: missing entry at end of line",
		"m a":               "pg_ident.conf:1: missing entry at end of line",
		"\nm,n a b":         "pg_ident.conf:2: multiple values in ident field",
		"m a,b c":           "pg_ident.conf:1: multiple values in ident field",
		"m /(a b":           `pg_ident.conf:1: invalid regular expression "(a": parentheses () not balanced`,
		"m a b\nm a\nm a c": "pg_ident.conf:2: missing entry at end of line",
	} {
		if _, err := parseIdent(text, nil, 18); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if m, err := parseIdent("# none\n", nil, 18); err != nil || len(m) != 0 {
		t.Error(m, err)
	}
	if _, err := parseIdent("m a /(b", nil, 15); err != nil {
		t.Errorf("before 16 the target is no expression: %v", err)
	}
}

func TestRequireAuthLists(t *testing.T) {
	known := []request{askPassword, askMD5, askGSS, "sspi", askScram, askNothing}
	for _, c := range []struct {
		list    string
		trim    bool
		allowed string // space-separated; "-" an error
		must    bool
	}{
		{"", false, "password md5 gss sspi scram-sha-256 none", false},
		{"gss", false, "gss", true},
		{"gss,scram-sha-256", false, "gss scram-sha-256", true},
		{"gss,none", false, "gss none", false},
		{"!gss", false, "password md5 sspi scram-sha-256 none", false},
		{"!none", false, "password md5 gss sspi scram-sha-256", true},
		{"!password,!md5,!gss,!sspi,!scram-sha-256,!none", false, "", true},
		{"gss, md5", false, "-", false},
		{"gss, md5", true, "gss md5", true},
		{"gss,!md5", false, "-", false},
		{"!gss,md5", false, "-", false},
		{"gss,gss", false, "-", false},
		{"!gss,!gss", false, "-", false},
		{"none,none", false, "-", false},
		{"gss,", false, "-", false},
		{"oauth", false, "-", false},
		{"!!gss", false, "-", false},
	} {
		r, wrong := parseRequireAuth(c.list, known, c.trim)
		if (wrong != "") != (c.allowed == "-") {
			t.Errorf("%q: %q", c.list, wrong)
			continue
		}
		var names []string
		for _, m := range r.allowed {
			names = append(names, string(m))
		}
		if wrong == "" && (!slices.Equal(names, strings.Fields(c.allowed)) || r.exchange != c.must) {
			t.Errorf("%q: allows %v, exchange %v", c.list, names, r.exchange)
		}
	}
	if len(known) != 6 {
		t.Errorf("the list of methods was changed: %v", known)
	}
	checkRows(t, "", `
library=libpq17 require_auth=oauth => refused at options, bad-options
library=libpq18 require_auth=oauth sslmode=disable => refused at auth, method-rejected, channel plain, method trust, hba:1, trace connect authok
sslmode=verify => refused at options, bad-options
gssencmode=allow => refused at options, bad-options
channel_binding=on => refused at options, bad-options
`)
}
