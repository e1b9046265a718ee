package gssenc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func kdcNames(t *testing.T, conf *krb5Conf, realm string) (names []string) {
	t.Helper()
	kdcs, err := conf.kdcs(t.Context(), realm)
	if err != nil {
		t.Errorf("%s: %v", realm, err)
	}
	for _, k := range kdcs {
		names = append(names, k.String())
	}
	return names
}

func TestConf(t *testing.T) {
	dir := tree(t, map[string]string{
		"conf.d/one":       "[realms]\n B.TEST = {\n  kdc = b.test\n }\n",
		"conf.d/two.conf":  "[libdefaults]\n default_realm = NOT.TEST\n",
		"conf.d/.hidden":   "[libdefaults\n",
		"conf.d/backup~":   "[realms\n{{{",
		"conf.d/sub/thing": "[libdefaults]\n default_realm = NOT.TEST\n",
		"more":             "[domain_realm]\n .b.test = B.TEST\n",
		"loop":             "include DIR/loop\n",
		"missing":          "include DIR/nothing\n",
		"module":           "module nothing.so:x\n",
		"krb5.conf": "said before any section\r\n[libdefaults]\r\n default_realm = A.TEST\r\n default_realm = LATER.TEST\n" +
			" permitted_enctypes = aes256-sha2, aes rc4 -aes128-cts unheard-of\n default_ccache_name = FILE:/tmp/of_%{uid}\n" +
			" A.TEST = {\n  default_realm = INNER.TEST\n }\n" +
			"[realms]\n A.TEST = {\n  kdc = [::1]:8888\n  kdc = a.test ; after\n }\n" +
			"# comment\ninclude DIR/more\nincludedir DIR/conf.d\n",
	})
	conf, err := loadConf(filepath.Join(dir, "krb5.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if conf.defaultRealm != "A.TEST" {
		t.Errorf("default_realm %s", conf.defaultRealm)
	}
	if !slices.Equal(conf.tkt, []int32{20, 18, 19, 23}) || !slices.Equal(conf.tgs, conf.tkt) {
		t.Errorf("etypes %v, %v", conf.tkt, conf.tgs)
	}
	if !conf.dnsLookupKDC || conf.canonicalize != canonicalizeAlways || !conf.rdns {
		t.Errorf("defaults: %+v", conf)
	}
	for realm, want := range map[string][]string{"A.TEST": {"[::1]:8888", "a.test:88"}, "B.TEST": {"b.test:88"}} {
		if kdcs := kdcNames(t, conf, realm); !slices.Equal(kdcs, want) {
			t.Errorf("%s: %q", realm, kdcs)
		}
	}
	if realm := conf.realmOf("pg.b.test"); realm != "B.TEST" {
		t.Errorf("domain_realm: %q", realm)
	}
	t.Setenv("KRB5CCNAME", "")
	if name := conf.defaultCCache(); name != fmt.Sprintf("FILE:/tmp/of_%d", os.Getuid()) {
		t.Error(name)
	}
	t.Setenv("KRB5CCNAME", "FILE:/elsewhere")
	if name := conf.defaultCCache(); name != "FILE:/elsewhere" {
		t.Error(name)
	}
	for _, name := range []string{"loop", "missing", "module", "nothing"} {
		if _, err := loadConf(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// Of several files each adds to those before it, up to a section that is final.
func TestConfOfSeveralFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"one":   "[libdefaults]\n default_realm = ONE.TEST\n[realms]\n A.TEST = {\n  kdc = one\n }\n B.TEST = {\n  kdc = one\n }*\n C.TEST* = {\n  kdc = one\n }\n",
		"two":   "[libdefaults]\n default_realm = TWO.TEST\n ticket_lifetime = 2h\n[realms]\n A.TEST = {\n  kdc = two\n }\n B.TEST = {\n  kdc = two\n }\n C.TEST = {\n  kdc = two\n }\n",
		"final": "[realms]*\n A.TEST = {\n  kdc = final\n }\n",
		"d/a":   "[realms]\n A.TEST = {\n  kdc = a\n }\n",
		"d/b":   "[realms]\n A.TEST = {\n  kdc = b\n }\n",
		"bad":   "[realms]\n }\n",
	})
	for list, want := range map[string]map[string][]string{
		"one:two":       {"A.TEST": {"one:88", "two:88"}, "B.TEST": {"one:88"}, "C.TEST": {"one:88"}},
		"two:none:one":  {"A.TEST": {"two:88", "one:88"}, "B.TEST": {"two:88", "one:88"}},
		"final:one:two": {"A.TEST": {"final:88"}},
		"d":             {"A.TEST": {"a:88", "b:88"}},
	} {
		var paths []string
		for name := range strings.SplitSeq(list, ":") {
			paths = append(paths, filepath.Join(dir, name))
		}
		t.Setenv("KRB5_CONFIG", strings.Join(paths, ":"))
		conf, err := loadConf("")
		if err != nil {
			t.Fatal(err)
		}
		for realm, names := range want {
			if kdcs := kdcNames(t, conf, realm); !slices.Equal(kdcs, names) {
				t.Errorf("%s, %s: %q", list, realm, kdcs)
			}
		}
		if list == "one:two" && (conf.defaultRealm != "ONE.TEST" || conf.ticketLifetime("X") != 2*time.Hour) {
			t.Errorf("default_realm %s, lifetime %v", conf.defaultRealm, conf.ticketLifetime("X"))
		}
	}
	t.Setenv("KRB5_CONFIG", filepath.Join(dir, "one")+":"+filepath.Join(dir, "bad"))
	if _, err := loadConf(""); err == nil {
		t.Error("a file that cannot be read is passed over")
	}
	if os.Getuid() != 0 { // root may read everything
		if err := os.Chmod(filepath.Join(dir, "bad"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConf(""); err != nil {
			t.Errorf("a file that may not be read, beside one that may: %v", err)
		}
		t.Setenv("KRB5_CONFIG", filepath.Join(dir, "bad"))
		if _, err := loadConf(""); err == nil {
			t.Error("a file that may not be read is passed over")
		}
	}
	t.Setenv("KRB5_CONFIG", filepath.Join(dir, "none"))
	if conf, err := loadConf(""); err != nil || conf.defaultRealm != "" {
		t.Errorf("no file at all: %v", err)
	}
}

func TestProfileGrammar(t *testing.T) {
	for text, want := range map[string]string{
		"[s]\n t = v":                            "v",
		"[s]\n t=v  \r":                          "v",
		"[s]\n\tt\t=\tv w\t":                     "v w",
		"[s]\n t = \"v \\\"q\\\" \\t\\n\" more":  "v \"q\" \t\n",
		"[s]\n t = \"open":                       "open",
		"[s]\n t = v # no comment":               "v # no comment",
		"[s]\n t = {v":                           "{v",
		"[s]\n t* = v":                           "v",
		"[s] ; comment\n t = v":                  "v",
		"[s]* \n t = v":                          "v",
		"[s]\n u = {\n t = w\n }\n t = v":        "v",
		"[s]\n u =\n {\n t = w\n } more\n t = v": "v",
		"[s]\n u = {  \n [\n":                    "!",
		"[s]\n t = 1\n[r]\n t = 2\n[s]\n t = 3":  "1 3",
		"# c\n[s]\n#c\n;c\n  # c\n t = v":        "v",
		"t = before\n[s]\n t = v":                "v",
		" [s]\n t = before\n[s]\n t = v":         "v",
		"[s]\n t":                                "!",
		"[s]\n = v":                              "!",
		"[s]\n t u = v":                          "!",
		"[s\n":                                   "!",
		"[s] x\n":                                "!",
		"[s]\n }\n":                              "!",
		"[s]\n u =\n t = v":                      "!",
		"[s]\n u = {\n[r]\n":                     "!",
	} {
		root := &profileNode{section: true}
		r := profileReader{root: root, size: new(int)}
		got := "!"
		if err := r.parse(text, "test", 0); err == nil {
			p := &profile{files: []*profileNode{root}}
			got = strings.Join(p.values("s", "t"), " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestDomainRealm(t *testing.T) {
	conf, err := parseConf("[domain_realm]\n example.com = FIRST\n example.com = SECOND\n .example.com = BELOW\n sub.example.com = SUB\n" +
		" .org = ORG\n UPPER.net = UPPER\n local = LOCAL\n 1.2.3.4 = ADDRESS\n")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"example.com": "FIRST", "EXAMPLE.COM.": "FIRST", "a.example.com": "BELOW", "sub.example.com": "SUB", "a.sub.example.com": "SUB",
		"a.b.ORG": "ORG", "org": "", "x.upper.net": "", "h.local": "LOCAL", "1.2.3.4": "", "::1": "", "": "", "other": "",
	} {
		if got := conf.realmOf(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"36000": 10 * time.Hour, "10h": 10 * time.Hour, "1d 2h 3m 4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "7D": 168 * time.Hour,
		"10:00": 10 * time.Hour, "1:02:03": time.Hour + 2*time.Minute + 3*time.Second,
		"": -1, "h": -1, "1x": -1, "1:99": -1, "-5": -1, "1:2:3:4": -1,
	} {
		got, ok := parseInterval(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestParseKDC(t *testing.T) {
	for text, want := range map[string]string{
		"kdc": "kdc:88", "kdc:750": "kdc:750", "kdc ; x": "kdc:88", "10.0.0.1:88": "10.0.0.1:88",
		"[2001:db8::1]": "[2001:db8::1]:88", "[2001:db8::1]:750": "[2001:db8::1]:750",
		"": "!", ":88": "!", "kdc:": "!", "kdc:88 x": "!", "kdc:99999": "!", "[]:88": "!",
	} {
		k, err := parseKDC(text)
		got := k.String()
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
