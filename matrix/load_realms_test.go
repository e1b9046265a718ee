package matrix

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const kerberos = top + "  realm: SERVERS.TEST\n"

// kerberosMistakes are about realms, keytabs and tickets that a scenario describes.
var kerberosMistakes = []mistake{
	{"keytab: no name",
		top + "  keytabs: {Both Versions: {keys: all}}\n",
		`a/b.yaml:5:13: "Both Versions" is no name for a keytab; want a-z, 0-9 and single hyphens, as in two-hosts`},
	{"keytab: a name of the catalogue",
		top + "  keytabs: {stale: {keys: all}}\n",
		`a/b.yaml:5:13: stale is a keytab that every scenario has; choose another name`},
	{"keytab: unknown key",
		top + "  keytabs: {mine: {principal: postgres}}\n",
		`a/b.yaml:5:20: unknown key "principal" of a keytab; did you mean "principals"?`},
	{"keytab: keys",
		top + "  keytabs: {mine: {keys: old}}\n",
		`a/b.yaml:5:26: keys is "old"; want current, previous or all`},
	{"keytab: enctype",
		top + "  keytabs: {mine: {enctypes: aes256-cts-hmac-sha1-69}}\n",
		`a/b.yaml:5:30: unknown encryption type "aes256-cts-hmac-sha1-69"; want aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96, aes256-cts-hmac-sha384-192 or aes128-cts-hmac-sha256-128`},
	{"keytab: enctype twice",
		top + "  keytabs: {mine: {enctypes: [aes128-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96]}}\n",
		`a/b.yaml:5:56: aes128-cts-hmac-sha1-96 is there twice; name it once`},
	{"keytab: principal with a realm",
		top + "  keytabs: {mine: {principals: postgres/{host}@A.TEST}}\n",
		`a/b.yaml:5:47: not YAML: '@' is a reserved character; put the value in double quotes`},
	{"keytab: quoted principal with a realm",
		top + "  keytabs: {mine: {principals: 'postgres/{host}@A.TEST'}}\n",
		`a/b.yaml:5:32: "postgres/{host}@A.TEST" is no principal of a keytab; write it without the realm, as in postgres/{host}`},
	{"keytab: principal twice",
		top + "  keytabs: {mine: {principals: [a, a]}}\n",
		`a/b.yaml:5:36: principal "a" is there twice; keep one of the two`},
	{"keytab that nothing describes",
		top + "  keytabs: {mine: {keys: all}}\n  keytab: [good, yours]\n",
		`a/b.yaml:6:18: impossible value "yours" of keytab; want good, none, stale, other or mine`},
	{"ticket: lifetime",
		top + "  tickets: {mine: {lifetime: 30m}}\n",
		`a/b.yaml:5:30: lifetime is "30m"; want 1h to 23h, as in 10h or 1h30m`},
	{"ticket: expired",
		top + "  tickets: {mine: {expired: yes}}\n",
		`a/b.yaml:5:29: expired is "yes"; want true or false`},
	{"ticket: flag",
		top + "  tickets: {mine: {flags: [forwardable, forwarded]}}\n",
		`a/b.yaml:5:41: unknown flag "forwarded" of a ticket; want forwardable, proxiable or renewable`},
	{"ticket: flag twice",
		top + "  tickets: {mine: {flags: [proxiable, proxiable]}}\n",
		`a/b.yaml:5:39: proxiable is there twice; name it once`},
	{"ticket: unknown key",
		top + "  tickets: {mine: {lifetimes: 1h}}\n",
		`a/b.yaml:5:20: unknown key "lifetimes" of a ticket; did you mean "lifetime"?`},
	{"ticket: no mapping",
		top + "  tickets: {mine: expired}\n",
		`a/b.yaml:5:19: a ticket is text; want a mapping`},
	{"krb5_confs: a line of the harness",
		top + "  krb5_confs: {mine: {default_realm: A.TEST}}\n",
		`a/b.yaml:5:23: the line default_realm of krb5.conf belongs to the harness; use world.client_realm`},
	{"krb5_confs: no name",
		top + "  krb5_confs: {mine: {'dns lookup': off}}\n",
		`a/b.yaml:5:23: "dns lookup" is no name of a line of krb5.conf; want a name of [libdefaults], then a colon and the value`},
	{"krb5_confs: plain",
		top + "  krb5_confs: {plain: {rdns: off}}\n",
		`a/b.yaml:5:16: plain is a krb5.conf that every scenario has; choose another name`},
	{"ident_servers: no answer",
		top + "  ident_servers: {mine: {end: crlf}}\n",
		`a/b.yaml:5:19: Ident server mine has no answer; add one, as in answer: "{ports} : USERID : UNIX : alice"`},
	{"ident_servers: a control character",
		top + "  ident_servers: {mine: {answer: \"a\\r\"}}\n",
		`a/b.yaml:5:34: answer is "a\r"; want 1 to 60 characters of ASCII, as in "{ports} : USERID : UNIX : alice"`},
	{"ident_servers: another end",
		top + "  ident_servers: {mine: {answer: a, end: lf}}\n",
		`a/b.yaml:5:42: end is "lf"; want crlf or newline`},
	{"realms: no name",
		kerberos + "  realms: {A_TEST: {trusted: true}}\n",
		`a/b.yaml:6:12: "A_TEST" is no name of a realm; want letters, digits, dots and hyphens, upper case by custom, as in EXAMPLE.TEST`},
	{"realms: kind",
		kerberos + "  realms: {A.TEST: {kind: heimdal}}\n",
		`a/b.yaml:6:27: unknown kind "heimdal" of a realm; want mit`},
	{"realms: hung",
		kerberos + "  realms: {SERVERS.TEST: {hung: on}}\n",
		`a/b.yaml:6:33: hung is "on"; want true or false`},
	{"realms: own principals twice",
		kerberos + "  realms: {SERVERS.TEST: {principals: alice}}\n",
		`a/b.yaml:6:27: these are the principals of the server's realm; write them under world.principals`},
	{"realms: own realm trusted",
		kerberos + "  realms: {SERVERS.TEST: {trusted: true}}\n",
		`a/b.yaml:6:27: the server's own realm is trusted; leave trusted out`},
	{"realms: principal with a realm",
		kerberos + "  realms: {A.TEST: {principals: alice@A.TEST}}\n",
		`a/b.yaml:6:33: the principal "alice@A.TEST" has a realm; write it without the realm; further realms are described under realms`},
	{"realms: unknown key",
		kerberos + "  realms: {A.TEST: {trust: true}}\n",
		`a/b.yaml:6:21: unknown key "trust" of a realm; want kind, principals, enctypes, hung or trusted`},
	{"client realm that is not there",
		kerberos + "  client_realm: A.TEST\n",
		`a/b.yaml:6:17: the world has no realm A.TEST; name the server's realm, or describe this one under realms`},
	{"principal of a realm that the world does not have",
		client + "  principal: alice@OTHER.TEST\n  ticket: valid\n",
		`a/b.yaml:2:1: cells have a ticket of alice@OTHER.TEST, and the world has no realm OTHER.TEST; describe it under world.realms`},
	{"principal that its realm does not have",
		kerberos + "  realms: {A.TEST: {principals: bob}}\nclient:\n  principal: alice@A.TEST\n  ticket: valid\n",
		`a/b.yaml:6:11: cells have a ticket of alice@A.TEST, which is not among the principals; add it`},
}

func init() { mistakes = append(mistakes, kerberosMistakes...) }

func TestDescribedKeytabsTicketsAndRealms(t *testing.T) {
	loaded, err := Load(fstest.MapFS{"a/b.yaml": {Data: []byte(top + `  realm: B.TEST
  principals: [alice]
  realms:
    B.TEST: {enctypes: [aes128-cts-hmac-sha1-96]}
    A.TEST: {principals: [alice, bob], trusted: true, kind: mit}
  client_realm: A.TEST
  host: pg.b.test
  keytabs:
    mine: {principals: [postgres/x.b.test, "postgres/{host}"], keys: previous, enctypes: aes128-cts-hmac-sha1-96}
  keytab: [good, mine]
  tickets:
    long: {lifetime: 10h, flags: [renewable, forwardable]}
client:
  principal: [alice, bob@A.TEST]
  ticket: [valid, long]
`)}})
	if err != nil {
		t.Fatal(err)
	}
	cells := loaded[0].Expand()
	if len(cells) != 8 {
		t.Fatalf("%d cells, want 8", len(cells))
	}
	w := cells[7].World
	wantRealms := []Realm{{Name: "B.TEST", Principals: []string{"alice"}, Enctypes: []string{"aes128-cts-hmac-sha1-96"}},
		{Name: "A.TEST", Kind: MIT, Principals: []string{"alice", "bob"}, Trusted: true}}
	if d := cmp.Diff(wantRealms, w.Realms); d != "" || w.ClientRealm != "A.TEST" {
		t.Error(w.ClientRealm, d)
	}
	k, ok := w.KeytabOf()
	want := Keytab{Name: "mine", Principals: []string{"postgres/x.b.test", "postgres/pg.b.test"}, Keys: PreviousKeys, Enctypes: []string{"aes128-cts-hmac-sha1-96"}}
	if d := cmp.Diff(want, k); d != "" || !ok {
		t.Error(d)
	}
	ticket, ok := w.TicketOf(&cells[7].Client)
	if want := (Ticket{Name: "long", Lifetime: 10 * time.Hour, Flags: "forwardable renewable"}); ticket != want || !ok {
		t.Errorf("%+v, want %+v", ticket, want)
	}
	if id := cells[7].ID; id != "a/b/pg18/keytab=mine/libpq18/principal=bob@A.TEST,ticket=long" {
		t.Error(id)
	}
	if a, b := cells[0].World, cells[7].World; a.Key() == b.Key() || a.EnvKey() != b.EnvKey() {
		t.Errorf("worlds that differ in the keytab are to share an Env and to differ:\n%s\n%s", a.Key(), b.Key())
	}
}

// A world is another one wherever what is described differs, whatever the names are.
func TestWorldsThatDescriptionsTellApart(t *testing.T) {
	base := World{Server: 18, Keytab: "mine", Host: DefaultHost, Realms: []Realm{{Name: "B.TEST"}, {Name: "A.TEST"}}, Keytabs: []Keytab{{Name: "mine", Keys: AllKeys}}}
	for name, change := range map[string]func(*World){
		"keys":         func(w *World) { w.Keytabs = []Keytab{{Name: "mine", Keys: PreviousKeys}} },
		"principals":   func(w *World) { w.Keytabs = []Keytab{{Name: "mine", Keys: AllKeys, Principals: []string{"a/b"}}} },
		"enctypes":     func(w *World) { w.Keytabs = []Keytab{{Name: "mine", Keys: AllKeys, Enctypes: []string{"x"}}} },
		"trust":        func(w *World) { w.Realms = []Realm{{Name: "B.TEST"}, {Name: "A.TEST", Trusted: true}} },
		"kind":         func(w *World) { w.Realms = []Realm{{Name: "B.TEST", Kind: "other"}, {Name: "A.TEST"}} },
		"hung KDC":     func(w *World) { w.Realms = []Realm{{Name: "B.TEST", Hung: true}, {Name: "A.TEST"}} },
		"realm's keys": func(w *World) { w.Realms = []Realm{{Name: "B.TEST", Enctypes: []string{"x"}}, {Name: "A.TEST"}} },
		"client realm": func(w *World) { w.ClientRealm = "A.TEST" },
	} {
		other := base
		change(&other)
		if other.Key() == base.Key() {
			t.Errorf("%s makes no difference to the world", name)
		}
		if inEnv := name != "keys" && name != "enctypes"; (other.EnvKey() != base.EnvKey()) != inEnv {
			t.Errorf("%s: an Env of its own should be %t", name, inEnv)
		}
	}
	for principal, own := range map[string]bool{"alice": false, "alice/admin": false, "http/" + DefaultHost: true} {
		other := base
		other.Realms = []Realm{{Name: "B.TEST", Principals: []string{principal}}, {Name: "A.TEST"}}
		if (other.EnvKey() != base.EnvKey()) != own {
			t.Errorf("principal %s: an Env of its own should be %t", principal, own)
		}
	}
}

func TestEveryNamedKeytabAndTicketIsDescribed(t *testing.T) {
	w := World{Host: DefaultHost}
	axis, _ := AxisByName("keytab")
	for _, w.Keytab = range append(axis.Words(), "") {
		if k, ok := w.KeytabOf(); !ok || !k.Absent && len(k.Principals) == 0 || slices.ContainsFunc(k.Principals, func(p string) bool { return strings.Contains(p, "{") }) {
			t.Errorf("keytab %q: %+v %t", w.Keytab, k, ok)
		}
	}
	w.Keytab = "unknown"
	if _, ok := w.KeytabOf(); ok {
		t.Error("a keytab that nothing describes")
	}
	axis, _ = AxisByName("ticket")
	for _, name := range append(axis.Words(), "") {
		if _, ok := w.TicketOf(&Client{Ticket: name}); !ok {
			t.Errorf("ticket %q is not described", name)
		}
	}
	if _, ok := w.TicketOf(&Client{Ticket: "unknown"}); ok {
		t.Error("a ticket that nothing describes")
	}
}
