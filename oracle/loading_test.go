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
		"load=restart hba='hos'":           {"hba.c, parse_hba_line", "postmaster.c, PostmasterMain", "connect(2)"},
		"load=restart ident='m' server=13": {"hba.c, parse_ident_line", "hba.c, load_ident", "pg_hba.conf:1"},
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
