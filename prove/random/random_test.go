package random

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestEverythingIsGenerated counts what hba.c knows in the texts of 10,000 scenarios. The expressions are written by hand, and know nothing of the generator's tables.
func TestEverythingIsGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	const sets = 10000
	features := map[string]string{}
	for _, word := range []string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"} {
		features["type "+word] = `(?m)^` + word + `\s`
	}
	for _, word := range []string{"trust", "reject", "scram-sha-256", "md5", "password", "gss", "cert", "ident", "peer", "pam", "ldap", "radius", "sspi", "bsd", "oauth"} {
		features["method "+word] = `(?m)\s` + word + `(\s|$)`
	}
	for _, word := range []string{"map", "include_realm", "krb_realm", "clientcert", "clientname", "pamservice", "pam_use_hostname", "ldapserver", "ldapport", "ldaptls", "ldapscheme", "ldapprefix", "ldapsuffix",
		"ldapbasedn", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter", "radiusservers", "radiussecrets", "radiusports", "radiusidentifiers", "issuer", "scope", "validator", "compat_realm", "upn_username"} {
		features["option "+word] = `[\s,"]` + word + `=`
	}
	for _, value := range []string{"verify-ca", "verify-full", "1", "0", "no-verify"} {
		features["clientcert="+value] = `clientcert="?` + value + `\b`
	}
	for _, word := range []string{"all", "sameuser", "samerole", "samegroup", "replication", "samehost", "samenet"} {
		features["keyword "+word] = `[\s,]` + word + `[\s,]`
	}
	for name, expression := range map[string]string{
		"quoted keyword": `\s"all"\s`, "quoted name": `"two words"`, "quote in a name": `al"ic"e`, "two quotes": `"a""b"`, "empty name": `""`, "open quote": `(?m)^[^"#]*"[^"]*$`, "group": `[\s,]\+alice`, "quoted group": `"\+bob"`,
		"expression": `\s/\^`, "quoted expression": `"/\^`, "bad expression": `\s/\^\(a `, "list": `alice,bob|bob,alice`, "list with blanks": `, `, "long token": `x{300}`, "file of names": `[\s,]@names`, "files in a folder": `@lists/`, "missing file": `@missing`,
		"include": `(?m)^include `, "include_if_exists": `(?m)^include_if_exists `, "include_dir": `(?m)^include_dir `, "IPv4 prefix": `\s10\.[0-9.]+/[0-9]+`, "IPv6 prefix": `fd00:20::[0-9]*/[0-9]+`, "mask": `\s255\.255\.0\.0\s`, "mask with a gap": `255\.0\.255\.0`,
		"IPv6 mask": `\sffff:ffff:`, "octal": `012\.024`, "hexadecimal": `0x0a`, "IPv4 in IPv6": `::ffff:10`, "host name": `\sapp1\.example\.test`, "suffix": `\s\.example\.test`, "bad prefix": `/33`, "continuation": `\\\n`, "comment line": `(?m)^#`, "comment after a record": `(?m)\S\s*#comment`,
		"blank line": `(?m)^$`, "tab": `\t`, "CRLF": `\r\n`, "leading blank": `(?m)^[ \t]+host`, "leading comma": `(?m)^,`, "no end of line": `[^\n]\z`, `reference \1`: `\\1`, "map file of 16": `\s"?\+alice"?\s`,
	} {
		features[name] = expression
	}
	compiled := map[string]*regexp.Regexp{}
	for name, e := range features {
		compiled[name] = regexp.MustCompile(e)
	}
	seen := map[string]int{}
	for n := range sets {
		s := Generate(7, n)
		text := s.HBA.String()
		for _, f := range s.Files {
			text = f.Text.String() + text
		}
		text = s.Ident.String() + text
		for name, e := range compiled {
			if seen[name] < 5 && e.MatchString(text) {
				seen[name]++
			}
		}
		for _, a := range s.Axes {
			for _, v := range a.Values {
				seen["axis "+a.Axis+"="+v]++
			}
		}
		seen["load="+s.Load]++
		seen["ssl="+s.SSL]++
	}
	for _, a := range []string{"sslmode=allow", "sslmode=default", "ticket=expired", "cert=revoked", "cert=dn", "gssencmode=require", "database=template1", "database=shop", "channel_binding=require", "require_auth=!none", "sslnegotiation=direct",
		"hosts=twice", "transport=unix", "address=fd00:20::7", "user=two words", "user=nobody", "user=postgres", "principal=ALICE", "password=wrong", "library=asyncpg0.31", "library=pgx", "library=pq", "library=psql18"} {
		features["axis "+a] = ""
	}
	for _, other := range []string{"load=", "load=reload", "load=restart", "ssl=on", "ssl=off"} {
		features[other] = ""
	}
	for name := range features {
		if seen[name] < 3 {
			t.Errorf("%s occurs in %d of %d scenarios", name, seen[name], sets)
		}
	}
}

func TestScenariosLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	cells := 0
	for n := range 1500 {
		s := Generate(8, n)
		loaded, err := matrix.Parse(s.Name+".yaml", s.YAML())
		if err != nil {
			t.Fatalf("%v\n%s", err, s.YAML())
		}
		if got := loaded.HBA[0].Text; got != s.HBA.String() {
			t.Fatalf("YAML changes the text:\n%q\n%q", s.HBA.String(), got)
		}
		if s.mayBeRefused && s.Load == "" {
			t.Errorf("%s may not load, and does not say how it is loaded", s.Name)
		}
		all := loaded.Expand()
		cells += len(all)
		if len(all) == 0 || len(all) > 4*maxCells {
			t.Errorf("%s has %d cells", s.Name, len(all))
		}
	}
	if mean := cells / 1500; mean < 15 || mean > 45 {
		t.Errorf("%d cells in a scenario", mean)
	}
}

// TestSeed wants the same scenarios each time. What would differ from machine to machine, the order of a map, differs from time to time, too.
func TestSeed(t *testing.T) {
	for n := range 500 {
		if !bytes.Equal(Generate(1, n).YAML(), Generate(1, n).YAML()) {
			t.Fatalf("set %d is another one the second time", n)
		}
	}
	if bytes.Equal(Generate(1, 1).YAML(), Generate(2, 1).YAML()) || bytes.Equal(Generate(1, 1).YAML(), Generate(1, 2).YAML()) {
		t.Error("seed and number do not count")
	}
}

// TestSteps takes every step by itself and all of them together: the scenario loads or says why not, and nothing but the copy is changed.
func TestSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	for n := range 300 {
		s := Generate(9, n)
		before := s.YAML()
		steps := s.Steps()
		for i, step := range steps {
			smaller := s.With("x", step)
			if smaller.Name != Family+"/x" || bytes.Equal(bytes.ReplaceAll(smaller.YAML(), []byte("x"), nil), bytes.ReplaceAll(before, []byte("x"), nil)) && !slices.Contains([]string{"\r\n"}, smaller.HBA[0].Tail) {
				t.Fatalf("step %d of %s changes nothing", i, s.Name)
			}
		}
		least := s.With("y", steps...)
		if text := least.HBA.String() + least.Ident.String(); strings.TrimSpace(text) != "" {
			t.Fatalf("all steps leave %q", text)
		}
		if !bytes.Equal(s.YAML(), before) {
			t.Fatalf("a step changes the scenario itself")
		}
	}
}
