package audit

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/findings.md")

// cases have, for each kind of finding, rules with it and rules like them without it.
var cases = map[string]struct {
	version int
	files   map[string]string
	want    string            // FILE:LINE of the finding
	without map[string]string // the same files without the finding
}{
	"not-loaded":            {17, map[string]string{"pg_hba.conf": "host all all all trust\nhostssl all all md5\n"}, "pg_hba.conf:2", map[string]string{"pg_hba.conf": "host all all all trust\n"}},
	"trust-elsewhere":       {17, map[string]string{"pg_hba.conf": "host all all 10.0.0.0/8 trust\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "host all all 127.0.0.1/32 trust\n"}},
	"anybody-becomes":       {17, map[string]string{"pg_hba.conf": "hostgssenc all all all gss map=m\n", "pg_ident.conf": "m /^.*$ all\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostgssenc all all all gss map=m\n", "pg_ident.conf": "m /^(.*)@EXAMPLE\\.TEST$ \\1\n"}},
	"password-in-the-clear": {17, map[string]string{"pg_hba.conf": "host all all all password\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all password\n"}},
	"plaintext":             {17, map[string]string{"pg_hba.conf": "host all all all scram-sha-256\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostnossl all all all reject\nhost all all all scram-sha-256\n"}},
	"prefer-falls-through":  {17, map[string]string{"pg_hba.conf": "hostssl all all all cert\nhost all all all scram-sha-256\n"}, "pg_hba.conf:2", map[string]string{"pg_hba.conf": "host all all all scram-sha-256\n"}},
	"shadowed":              {17, map[string]string{"pg_hba.conf": "host all all all reject\nhost app svc 10.0.0.0/8 trust\n"}, "pg_hba.conf:2", map[string]string{"pg_hba.conf": "hostssl all all all reject\nhost app svc 10.0.0.0/8 trust\n"}},
	"no-tls":                {17, map[string]string{"pg_hba.conf": "hostssl all all all trust\n", "postgresql.conf": "ssl = off\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all trust\n", "postgresql.conf": "ssl = on\n"}},
	"no-ca-file":            {17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n", "postgresql.conf": "ssl = on\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all cert\n", "postgresql.conf": "ssl = on\nssl_ca_file = 'ca.pem'\n"}},
	"map-missing":           {17, map[string]string{"pg_hba.conf": "hostssl all all all cert map=m\n", "pg_ident.conf": "n a b\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all cert map=m\n", "pg_ident.conf": "m a b\n"}},
	"map-unused":            {17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n", "pg_ident.conf": "# x\nn a b\n"}, "pg_ident.conf:2", map[string]string{"pg_hba.conf": "hostssl all all all cert map=n\n", "pg_ident.conf": "n a b\n"}},
	"map-never-matches":     {17, map[string]string{"pg_hba.conf": "host all all all gss map=m include_realm=0\n", "pg_ident.conf": "m /^(.*)@EXAMPLE\\.TEST$ \\1\n"}, "pg_ident.conf:1", map[string]string{"pg_hba.conf": "host all all all gss map=m include_realm=1\n", "pg_ident.conf": "m /^(.*)@EXAMPLE\\.TEST$ \\1\n"}},
	"realm-ignored":         {17, map[string]string{"pg_hba.conf": "host all all all gss include_realm=0\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "host all all all gss include_realm=0 krb_realm=X\n"}},
	"host-bits":             {17, map[string]string{"pg_hba.conf": "host all all 10.1.2.3/8 md5\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "host all all 10.0.0.0/8 md5\n"}},
	"needs-reverse-name":    {17, map[string]string{"pg_hba.conf": "host all all app.corp.test md5\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "host all all 10.1.2.3/32 md5\n"}},
	"md5":                   {17, map[string]string{"pg_hba.conf": "hostssl all all all md5\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all scram-sha-256\n"}},
	"literal-slash":         {15, map[string]string{"pg_hba.conf": "hostssl all /^a all md5\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all a all md5\n"}},
	"not-modelled":          {17, map[string]string{"pg_hba.conf": "hostssl all all all ldap ldapserver=ldap.corp.test ldapbasedn=x\n"}, "pg_hba.conf:1", map[string]string{"pg_hba.conf": "hostssl all all all md5\n"}},
}

func TestFindings(t *testing.T) {
	for _, kind := range Kinds {
		c, ok := cases[kind.ID]
		if !ok {
			t.Errorf("no case of %s", kind.ID)
			continue
		}
		found := func(files map[string]string) (places []string) {
			report, err := server(t, c.version, files).Audit()
			if err != nil {
				t.Fatalf("%s: %v", kind.ID, err)
			}
			for _, f := range report.Findings {
				if f.ID == kind.ID {
					places = append(places, fmt.Sprintf("%s:%d", f.File, f.Line))
					if f.Says == "" || f.Title == "" || f.Why == "" {
						t.Errorf("%s says nothing: %+v", kind.ID, f)
					}
				}
			}
			return places
		}
		if got := found(c.files); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: at %q, want %s", kind.ID, got, c.want)
		}
		if got := found(c.without); len(got) > 0 {
			t.Errorf("%s: at %q of rules without it", kind.ID, got)
		}
	}
}

// A record of which only an expression is known is not called dead because an example of the expression is taken by a record above.
func TestShadowedByExample(t *testing.T) {
	for text, dead := range map[string]bool{
		"host all /^a$ all reject\nhost all /^a.*$ all trust\n":                                              false,
		"host all /^a.*$ all reject\nhost all /^a.*$ all trust\n":                                            true,
		"host all all all reject\nhost all /^a.*$ all trust\n":                                               true,
		"host all aa all reject\nhost all /^a+$ all trust\n":                                                 false,
		"host all alice all reject\nhost all alice 10.0.0.0/8 trust\n":                                       true,
		"host all alice all reject\nhost all alice,bob all trust\n":                                          false,
		"host all +ops all reject\nhost all ops all trust\n":                                                 true,
		"host a,b all all reject\nhost a all all trust\n":                                                    true,
		"host sameuser all all reject\nhost all all all trust\n":                                             false,
		"host all all 10.0.0.0/9 reject\nhost all all 10.128.0.0/9 reject\nhost all all 10.0.0.0/8 trust\n":  true,
		"host all all 10.0.0.0/9 reject\nhost all all 10.128.0.0/10 reject\nhost all all 10.0.0.0/8 trust\n": false,
		"hostssl all all all reject\nhostnossl all all all reject\nhost all all all trust\n":                 true,
		"hostssl all all all reject\nhostgssenc all all all reject\nhost all all all trust\n":                false,
		"host all all 0.0.0.0/0 reject\nhost all all all trust\n":                                            false,
		"host all all 0.0.0.0/0 reject\nhost all all ::/0 reject\nhost all all all trust\n":                  true,
		"local all all peer\nhost all all all trust\n":                                                       false,
		"host all all .corp.test reject\nhost all all all trust\n":                                           false,
		"host all all all reject\nhost all all app.corp.test trust\n":                                        true,
		"host replication all all reject\nhost all all all trust\n":                                          false,
	} {
		report, err := hba(t, 17, text).Audit()
		if err != nil {
			t.Fatal(err)
		}
		last := report.Records[len(report.Records)-1]
		if last.Dead() != dead {
			t.Errorf("dead is %v of the last of\n%s", last.Dead(), text)
		}
	}
}

// TestLets compares who gets in by each record with what a person wrote down.
func TestLets(t *testing.T) {
	for _, test := range []struct {
		version int
		files   map[string]string
		want    string // LINE CHANNEL CREDENTIAL, of other machines
	}{
		{17, map[string]string{"pg_hba.conf": "host all all all trust\n"}, "1 plain nothing, 1 tls nothing, 1 gss ticket of anybody"},
		{17, map[string]string{"pg_hba.conf": "host all all all scram-sha-256\n"}, "1 plain password, 1 tls password, 1 gss password"},
		{17, map[string]string{"pg_hba.conf": "hostssl all all all scram-sha-256 clientcert=verify-ca\n"}, "1 tls password and any certificate"},
		{17, map[string]string{"pg_hba.conf": "hostssl all all all scram-sha-256 clientcert=verify-full\n"}, "1 tls password and certificate"},
		{17, map[string]string{"pg_hba.conf": "hostssl all all all trust clientcert=verify-ca\n"}, "1 tls certificate of anybody"},
		{17, map[string]string{"pg_hba.conf": "hostssl all all all cert\n"}, "1 tls certificate"},
		{17, map[string]string{"pg_hba.conf": "hostgssenc all all all gss include_realm=0\n"}, "1 gss ticket"},
		{17, map[string]string{"pg_hba.conf": "hostgssenc all all all gss\n"}, ""}, // nobody is called alice@EXAMPLE.TEST
		{17, map[string]string{"pg_hba.conf": "hostnogssenc all all all gss include_realm=0\n"}, "1 plain ticket, 1 tls ticket"},
		{17, map[string]string{"pg_hba.conf": "hostssl all all all reject\nhost all all all trust\n"}, "2 plain nothing, 2 gss ticket of anybody"},
		{17, map[string]string{"pg_hba.conf": "host all all all trust\n", "postgresql.conf": "ssl = off\n"}, "1 plain nothing, 1 gss ticket of anybody"},
		{16, map[string]string{"pg_hba.conf": "hostssl all all all cert map=m\n", "pg_ident.conf": "m anybody all\n"}, "1 tls certificate of anybody"},
		{15, map[string]string{"pg_hba.conf": "hostssl all all all cert map=m\n", "pg_ident.conf": "m anybody all\n"}, ""}, // all is a name before 16
	} {
		report, err := server(t, test.version, test.files).Audit()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range report.Records {
			for _, l := range r.Lets {
				if l.Remote && l.AsAnyone {
					got = append(got, strconv.Itoa(r.Line)+" "+string(l.Channel)+" "+string(l.Have))
				}
			}
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%d %v:\n %s\nwant\n %s", test.version, test.files, s, test.want)
		}
	}
}

func TestPeer(t *testing.T) {
	report, err := server(t, 17, map[string]string{"pg_hba.conf": "local all all peer map=m\nlocal all all trust\n", "pg_ident.conf": "m root postgres\nm alice alice\n"}).Audit()
	if err != nil {
		t.Fatal(err)
	}
	lets := report.Records[0].Lets
	if len(lets) != 2 || lets[0].Have != AccountItself || strings.Join(lets[0].Users, ",") != "alice" || !report.Records[1].Dead() {
		t.Errorf("%+v", lets)
	} else if lets[1].Have != "operating system account root" || strings.Join(lets[1].Users, ",") != "postgres" {
		t.Errorf("%+v", lets[1])
	}
}

// Names that only a map has are credentials, too: of literal lines, and of one that stands for an expression.
func TestMappedNames(t *testing.T) {
	for _, test := range []struct {
		version         int
		hba, ident, add string
		want            string
	}{
		{17, "hostssl all all all cert map=m\n", "m postgres ha_repl\n", "m postgres ha_monitor\n", "tls certificate of postgres ha_monitor"},
		{17, "host all all all gss map=m\n", "m alice@CORP.TEST alice\n", "m /^(.*)@SALES\\.TEST$ \\1\n", "plain ticket of alice@SALES.TEST alice, tls ticket of alice@SALES.TEST alice, gss ticket of alice@SALES.TEST alice, " +
			"plain ticket of some_other_role@SALES.TEST any role, tls ticket of some_other_role@SALES.TEST any role, gss ticket of some_other_role@SALES.TEST any role"},
		{17, "hostssl all all all cert map=m\n", "m a b\n", "n c b\n", ""},   // another map
		{15, "hostssl all all all cert map=m\n", "m a b\n", "m c all\n", ""}, // all is a name before 16
	} {
		files := map[string]string{"pg_hba.conf": test.hba, "pg_ident.conf": test.ident, "krb5.conf": "[libdefaults]\ndefault_realm = CORP.TEST\n"}
		before := server(t, test.version, files)
		files["pg_ident.conf"] += test.add
		list, err := Compare(before, server(t, test.version, files))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range list {
			got = append(got, strings.TrimSpace(string(d.Channel)+" "+string(d.Have)+" "+Roles(d.Users, d.AsAnyone, 3)))
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%s: %s", test.add, s)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, test := range []struct{ name, before, after, want string }{
		{"the same", "host all all all scram-sha-256\n", "# comment\nhost  all  all  0.0.0.0/0  scram-sha-256\nhost all all ::/0 scram-sha-256\n", ""},
		{"trust in front", "host all all all scram-sha-256\n", "host all all 10.0.0.0/8 trust\nhost all all all scram-sha-256\n",
			"+plain nothing pg_hba.conf:1 any, +tls nothing pg_hba.conf:1 any, +gss ticket of anybody pg_hba.conf:1 any"},
		{"TLS only", "host all all all scram-sha-256\n", "hostssl all all all scram-sha-256\n", "-plain password pg_hba.conf:1 any, -gss password pg_hba.conf:1 any"},
		{"one role", "host all all all reject\n", "hostssl app alice 10.0.0.7/32 cert\nhost all all all reject\n", "+tls certificate pg_hba.conf:1 alice"},
		{"a stronger method", "hostssl all all all scram-sha-256\n", "hostssl all all all scram-sha-256 clientcert=verify-full\n", "-tls password pg_hba.conf:1 any"},
		{"only the line moves", "host all all all scram-sha-256\n", "local all all reject\nhost all all all scram-sha-256\n", ""},
	} {
		list, err := Compare(hba(t, 17, test.before), hba(t, 17, test.after))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range list {
			who := strings.Join(d.Users, ",")
			if d.AsAnyone {
				who = "any"
			}
			got = append(got, map[bool]string{true: "+", false: "-"}[d.Admitted]+string(d.Channel)+" "+string(d.Have)+" "+d.By+" "+who)
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%s:\n %s\nwant\n %s", test.name, s, test.want)
		}
	}
	if _, err := Compare(hba(t, 17, "host all all all trust\n"), hba(t, 17, "host all\n")); err == nil {
		t.Error("rules that do not load are compared")
	}
}

// docs/findings.md is made of Kinds.
func TestFindingsDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Findings\n\nWhat `pgauthmatrix audit` says about a pg_hba.conf and a pg_ident.conf. Each kind of finding has an ID that does not change.\n")
	for _, k := range Kinds {
		c := cases[k.ID]
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s)\n\n%s\n\nExample", k.ID, k.Title, k.Level, k.Why)
		if c.version != 17 {
			fmt.Fprintf(&b, ", PostgreSQL %d", c.version)
		}
		b.WriteString(":\n")
		for _, name := range []string{"pg_hba.conf", "pg_ident.conf", "postgresql.conf"} {
			if text := c.files[name]; text != "" {
				fmt.Fprintf(&b, "\n```\n# %s\n%s```\n", name, text)
			}
		}
	}
	const file = "../docs/findings.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != b.String() {
		t.Errorf("%s is not what the table of findings says (%v): go test ./audit -update", file, err)
	}
}
