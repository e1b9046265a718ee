package reports

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgauthmatrix/pgauthmatrix/cases"
)

// sampleCase is a case with what a page could stumble over: markup, a secret, a fence.
func sampleCase(t *testing.T) *cases.Answer {
	t.Helper()
	c, err := cases.Read(fstest.MapFS{
		"pg_hba.conf":         {Data: []byte("# ``` <script>alert(1)</script>\nhost all ldapper 10.9.0.0/16 ldap ldapserver=x ldapbinddn=y ldapbasedn=z ldapbindpasswd=\"hush hush\"\nhostssl app all 10.1.0.0/16 scram-sha-256 # a|b\n")},
		"postgresql.conf":     {Data: []byte("ssl = on\nssl_passphrase_command = 'cat /etc/passphrase'\nssl_ciphers = 'HIGH'\n")},
		"advised/pg_hba.conf": {Data: []byte("hostssl app all 10.1.0.0/16 scram-sha-256\nhostssl app alice 10.2.0.0/16 scram-sha-256\n")},
		"case.yaml": {Data: []byte("question: Why not <b>alice</b>?\nworld: {server: 17}\nconnections:\n- who: alice | from home\n" +
			"  conninfo: host=db.corp.example user=alice dbname=app password=hush sslmode=require\n  address: 10.2.3.4\n  seen: refused at hba, no-hba-entry\n  wanted: connected tls, role alice\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCase(t *testing.T) {
	a := sampleCase(t)
	var md, page bytes.Buffer
	if err := CaseMarkdown(&md, a); err != nil {
		t.Fatal(err)
	}
	if err := CaseHTML(&page, a); err != nil {
		t.Fatal(err)
	}
	golden(t, "case.md", md.Bytes())
	golden(t, "case.html", page.Bytes())
	for _, text := range []string{md.String(), page.String()} {
		if strings.Contains(text, "hush") {
			t.Error("the page shows a secret of the customer's")
		}
		for _, heading := range []string{"What happened", "What would fix it", "What else the fix changes", "checked on the customer", "What was not reproduced"} {
			if !strings.Contains(text, heading) {
				t.Errorf("no heading %q", heading)
			}
		}
	}
	if strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "<b>") {
		t.Error("a text of the customer's is markup")
	}
}

// Where the rules as reported do not load, what is compared with those that are advised is what decided in their place.
func TestCaseNotLoaded(t *testing.T) {
	for load, want := range map[string][]string{
		"load: restart": {"The server did not start, and nobody got in.", "| gets in now | any role | TLS | nothing | pg_hba.conf:1 |  |"},
		"load: reload, before: \"hostssl all all all scram-sha-256\\n\"": {"Compared with the rules of before", "| gets in now | any role | TLS | nothing | pg_hba.conf:1 | somebody else |", "lets in somebody else: tls with nothing"},
		"load: reload, before: \"host all all all trust\\n\"":            {"Nobody gets in who did not"},
	} {
		c, err := cases.Read(fstest.MapFS{
			"pg_hba.conf":         {Data: []byte("host all all all scram-sha-256 map=m\n")},
			"advised/pg_hba.conf": {Data: []byte("host all all all trust\n")},
			"case.yaml":           {Data: []byte("world: {" + load + "}\nconnections:\n- {user: a, address: 10.1.1.1}\n")},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Answer(nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := CaseMarkdown(&b, a); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: no %q in\n%s", load, w, b.String())
			}
		}
		if strings.Contains(load, "scram") && strings.Contains(b.String(), "Nobody gets in who did not") {
			t.Errorf("%s: the page says that nobody else gets in", load)
		}
	}
}

// A command that is to be copied has no password, and its quotes are whole.
func TestCommandsWithoutPasswords(t *testing.T) {
	for text, want := range map[string]string{
		"host=x user=y password=hush":                 "host=x user=y",
		"password=hush host=x":                        " host=x",
		`host=x password = 'a b\' c' user=y`:          "host=x user=y",
		"postgresql://alice:hush@db.corp.example/app": "postgresql://alice@db.corp.example/app",
	} {
		if got := conninfoPassword.ReplaceAllString(text, "$1"); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"host=x password=hush user=y":                 "host=x password=*** user=y",
		`host=x password = 'a b\' c' user=y`:          "host=x password = *** user=y",
		`ldapbindpasswd="hush hush" ldapserver=x`:     "ldapbindpasswd=*** ldapserver=x",
		`radiussecrets="""a"",""b"""`:                 `radiussecrets=***`,
		"postgresql://alice:hush@db.corp.example/app": "postgresql://alice:***@db.corp.example/app",
		"password_encryption = md5":                   "password_encryption = md5",
	} {
		if got := redacted(text); got != want && !strings.HasPrefix(text, "radius") || strings.Contains(got, "hush") {
			t.Errorf("%s: %s", text, got)
		}
	}
}
