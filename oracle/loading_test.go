package oracle

import (
	"errors"
	"strings"
	"testing"
)

// Rules that do not load: what an attempt meets after a reload, and after a restart.
func TestRulesThatDoNotLoad(t *testing.T) {
	checkRows(t, "before='host all bob all reject; host all all all trust' gssencmode=disable sslmode=disable", `
load=reload => connected plain, method trust, role alice, hba:1, trace connect authok
load=reload hba='host all all all reject; hos' => connected plain, method trust, role alice, hba:2, trace connect authok, load "pg_hba.conf:2: invalid connection type \"hos\""
load=reload hba='host all all all reject; hos; local all all gss' => connected plain, method trust, role alice, hba:2, trace connect authok, load "pg_hba.conf:2: invalid connection type \"hos\"; pg_hba.conf:3: gssapi authentication is not supported on local sockets"
load=reload hba='host all all all reject; hos' user=bob => refused at hba, hba-reject, channel plain, method reject, hba:1, trace connect authfail, load "pg_hba.conf:2: invalid connection type \"hos\""
load=restart hba='host all all all trust; hos' => refused at dial, dial-refused, load "pg_hba.conf:2: invalid connection type \"hos\""
load=restart hba='hos' library=pgx => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' library=pq => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' library=asyncpg0.31 => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' transport=unix => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' gssencmode=prefer sslmode=prefer ticket=valid => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' gssencmode=require => refused at credentials, no-ticket, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='hos' gssencmode=require library=libpq15 => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
load=restart hba='# nothing' => refused at dial, dial-refused, load "configuration file \"pg_hba.conf\" contains no entries"
// maps: those of before are none, and a server starts without them
load=reload hba='host all all all gss map=m' ident='m alice@EXAMPLE.TEST alice' ticket=valid => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
load=reload hba='host all all all gss map=m' ident='m alice@EXAMPLE.TEST alice; m' ticket=valid => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail, load pg_ident.conf:2: missing entry at end of line
load=restart hba='host all all all gss map=m' ident='m alice@EXAMPLE.TEST alice; m' ticket=valid server=15 => refused at ident, map-no-match, channel plain, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect authfail, load "missing entry in file \"pg_ident.conf\" at end of line 2"
load=reload hba='hos' ident='m' => connected plain, method trust, role alice, hba:2, trace connect authok, load "pg_hba.conf:1: invalid connection type \"hos\"; pg_ident.conf:1: missing entry at end of line"
load=restart hba='hos' ident='m' => refused at dial, dial-refused, load "pg_hba.conf:1: invalid connection type \"hos\""
// further files
hba='include_dir d' file='d/a.conf=host all bob all trust' file='d/b.conf=# b; host all alice all trust' => connected plain, method trust, role alice, rule d/b.conf:2, trace connect authok
hba='host all @users all trust' file='users=bob; alice # and nobody else' server=13 => connected plain, method trust, role alice, hba:1, trace connect authok
hba='host all all all gss map=m' ident='include maps/m' file='maps/m=m alice@EXAMPLE.TEST alice' ticket=valid => connected plain, method gss, identity alice@EXAMPLE.TEST, role alice, hba:1, trace connect authok
load=reload hba='include_dir d' file='d/a.conf=host all all all trust' file='d/b.conf=# b; hos all' => connected plain, method trust, role alice, hba:2, trace connect authok, load "d/b.conf:2: invalid connection type \"hos\""
`)
}

// Settings that a server does not take over.
func TestSettingsThatDoNotLoad(t *testing.T) {
	checkRows(t, "before='host all bob all reject; host all all all trust' gssencmode=disable sslmode=require", `
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 => refused at dial, dial-refused, load could not set the TLSv1.2 cipher list (no valid ciphers available)
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 server=17 => refused at dial, dial-refused, load could not set the cipher list (no valid ciphers available)
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256 server=13 => refused at dial, dial-refused, load could not set the cipher list (no valid ciphers available)
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 ssl=off sslmode=disable => connected plain, method trust, role alice, hba:1, trace connect authok
load=restart setting=ssl_ciphers=HIGH:!aNULL => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384,ECDHE-RSA-AES256-GCM-SHA384 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
load=restart setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok
load=restart setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256 => refused at dial, dial-refused, load could not set the TLSv1.3 cipher suites (no valid ciphers available)
load=restart setting=ssl_tls13_ciphers=ECDHE-RSA-AES256-GCM-SHA384 setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 => refused at dial, dial-refused, load could not set the TLSv1.2 cipher list (no valid ciphers available)
load=restart setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384 server=17 ssl=off => refused at dial, dial-refused, load "postgresql.conf: unrecognized configuration parameter \"ssl_tls13_ciphers\""
// rules are read after the settings: a server that ends before says nothing of them
load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 hba='hos' => refused at dial, dial-refused, load could not set the TLSv1.2 cipher list (no valid ciphers available)
// a reload: TLS is as it was before, and rules load all the same
load=reload setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 => connected tls, method trust, role alice, hba:1, trace connect sslaccept authok, load could not set the TLSv1.2 cipher list (no valid ciphers available)
load=reload setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 hba='host all all all reject; hos' => connected tls, method trust, role alice, hba:2, trace connect sslaccept authok, load "pg_hba.conf:2: invalid connection type \"hos\"; could not set the TLSv1.2 cipher list (no valid ciphers available)"
load=reload setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384 server=17 hba='hos' => connected tls, method trust, role alice, hba:2, trace connect sslaccept authok, load "postgresql.conf: unrecognized configuration parameter \"ssl_tls13_ciphers\"; pg_hba.conf:1: invalid connection type \"hos\""
load=reload setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384 server=17 setting=krb_caseins_users=on user=Alice ticket=valid principal=alice hba='host all all all gss include_realm=0' => refused at ident, map-no-match, channel tls, method gss, identity alice@EXAMPLE.TEST, hba:1, trace connect sslaccept authfail, load "postgresql.conf: unrecognized configuration parameter \"ssl_tls13_ciphers\""
`)
	for given, want := range map[string]string{
		"setting=ssl_ciphers=AES128-SHA": "AES128-SHA is not among those", "setting=ssl_tls13_ciphers=TLS_AES_128_CCM_SHA256": "not every client",
		"setting=ssl_ciphers=HIGH setting=ssl_max_protocol_version=TLSv1.2": "with TLS 1.3 only", "setting=ssl_ciphers=TLS_AES_256_GCM_SHA384": "postgresql.conf: could not set the TLSv1.2 cipher list",
	} {
		if _, err := Predict(cell(set(given))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", given, err, want)
		}
	}
}

// Who does not say how the rules are loaded is told what does not load, and where.
func TestRulesThatMustLoad(t *testing.T) {
	for given, want := range map[string]string{
		"hba='include_dir d' file='d/a.conf=host all all all trust; hos'": `d/a.conf:2: invalid connection type "hos"`,
		"hba='host all @nobody all trust' server=13":                      `pg_hba.conf:1: could not open secondary authentication file "@nobody" as "nobody": No such file or directory`,
		"ident='m a' server=15":                                           `pg_ident.conf:1: missing entry in file "pg_ident.conf" at end of line 1`,
		"load=reload hba='hos' before='host all all all trust; foo'":      `before:2: invalid connection type "foo"`,
	} {
		_, err := Predict(cell(set(given)))
		if wrong := (*RulesError)(nil); !errors.As(err, &wrong) || err.Error() != want {
			t.Errorf("%s: %v; want %s", given, err, want)
		}
	}
}

// The prediction says of each bad line which it is, and what follows from it.
func TestWhyRulesDoNotLoad(t *testing.T) {
	for given, want := range map[string][]string{
		"load=reload before='host all all all trust' hba='hos; include x'": {"hba.c, tokenize_auth_file", "hba.c, parse_hba_line", "postmaster.c, process_pm_reload_request", "pg_hba.conf:1"},
		"load=restart hba='hos'":                                  {"hba.c, parse_hba_line", "postmaster.c, PostmasterMain", "connect(2)"},
		"load=restart ident='m' server=13":                        {"hba.c, parse_ident_line", "hba.c, load_ident", "pg_hba.conf:1"},
		"load=restart setting=ssl_ciphers=TLS_AES_256_GCM_SHA384": {"be-secure-openssl.c, be_tls_init", "postmaster.c, PostmasterMain", "connect(2)"},
		"load=reload setting=ssl_ciphers=TLS_AES_256_GCM_SHA384 before='host all all all trust' hba='hos'": {"hba.c, parse_hba_line", "be-secure-openssl.c, be_tls_init", "postmaster.c, process_pm_reload_request", "postmaster.c, process_pm_reload_request", "pg_hba.conf:1"},
		"load=reload setting=ssl_tls13_ciphers=TLS_AES_256_GCM_SHA384 server=17":                           {"guc-file.l, ProcessConfigFileInternal", "guc-file.l, ProcessConfigFileInternal", "pg_hba.conf:1"},
	} {
		p := predict(t, cell(set(given)))
		for _, b := range p.Because {
			if len(want) > 0 && b.Source == want[0] {
				want = want[1:]
			}
		}
		if len(want) > 0 {
			t.Errorf("%s: no %s:%s", given, strings.Join(want, ", "), explain(p))
		}
	}
}
