package gssenc

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRealmPath(t *testing.T) {
	const capaths = `[capaths]
 A.TEST = {
  C.TEST = B.TEST
  D.TEST = B.TEST
  D.TEST = C.TEST
  E.A.TEST = .
 }
`
	conf, err := parseConf(capaths)
	if err != nil {
		t.Fatal(err)
	}
	for pair, want := range map[string]string{
		"A.TEST C.TEST":                   "A.TEST B.TEST C.TEST",
		"A.TEST D.TEST":                   "A.TEST B.TEST C.TEST D.TEST",
		"A.TEST E.A.TEST":                 "A.TEST E.A.TEST",
		"C.TEST A.TEST":                   "C.TEST TEST A.TEST", // one way only
		"A.TEST B.TEST":                   "A.TEST TEST B.TEST",
		"DEV.EXAMPLE.COM OPS.EXAMPLE.COM": "DEV.EXAMPLE.COM EXAMPLE.COM OPS.EXAMPLE.COM",
		"A.DEV.EXAMPLE.COM B.EXAMPLE.COM": "A.DEV.EXAMPLE.COM DEV.EXAMPLE.COM EXAMPLE.COM B.EXAMPLE.COM",
		"DEV.EXAMPLE.COM EXAMPLE.COM":     "DEV.EXAMPLE.COM EXAMPLE.COM",
		"EXAMPLE.COM X.DEV.EXAMPLE.COM":   "EXAMPLE.COM DEV.EXAMPLE.COM X.DEV.EXAMPLE.COM",
		"A.ORG B.COM":                     "A.ORG ORG COM B.COM",
		"ONE TWO":                         "ONE TWO",
	} {
		client, server, _ := strings.Cut(pair, " ")
		if got := conf.realmPath(client, server); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %v, want %s", pair, got, want)
		}
	}
}

// Realms that do not trust each other directly: the way of [capaths], or of the hierarchy.
func TestCapaths(t *testing.T) {
	const byB = "[capaths]\n A.TEST = {\n  C.TEST = B.TEST\n }\n"
	chain := map[string][]string{"A.TEST": {"B.TEST"}, "B.TEST": {"C.TEST"}}
	for _, tt := range []struct {
		name, conf string
		trusts     map[string][]string
		asked      []string
		ok         bool
	}{
		{"capaths", byB, chain, []string{"TGS krbtgt/C.TEST@A.TEST", "TGS krbtgt/B.TEST@A.TEST", "TGS krbtgt/C.TEST@B.TEST", "TGS postgres/x@C.TEST"}, true},
		{"no capaths", "", chain, []string{"TGS krbtgt/C.TEST@A.TEST", "TGS krbtgt/TEST@A.TEST"}, false},
		{"the way ends", byB, map[string][]string{"A.TEST": {"B.TEST"}}, []string{"TGS krbtgt/C.TEST@A.TEST", "TGS krbtgt/B.TEST@A.TEST", "TGS krbtgt/C.TEST@B.TEST"}, false},
		{"a direct trust is taken", byB, nil, []string{"TGS krbtgt/C.TEST@A.TEST", "TGS postgres/x@C.TEST"}, true},
		{"direct only", strings.Replace(byB, "= B.TEST", "= .", 1), chain, []string{"TGS krbtgt/C.TEST@A.TEST"}, false},
		{"the hierarchy", " TEST = {\n  kdc = KDC\n }\n", map[string][]string{"A.TEST": {"TEST"}, "TEST": {"C.TEST"}},
			[]string{"TGS krbtgt/C.TEST@A.TEST", "TGS krbtgt/TEST@A.TEST", "TGS krbtgt/C.TEST@TEST", "TGS postgres/x@C.TEST"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, conf := startKDC(t)
			text, err := os.ReadFile(conf)
			if err != nil {
				t.Fatal(err)
			}
			own := strings.ReplaceAll(tt.conf, "KDC", k.address)
			c := acquireAlice(t, writeFile(t, "krb5.conf", strings.Replace(string(text), "[domain_realm]", fmt.Sprintf("%s[domain_realm]", own), 1)))
			k.seen()
			k.trusts = tt.trusts
			i, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/x@C.TEST"})
			if (err == nil) != tt.ok || err == nil && i.acceptor != "postgres/x@C.TEST" {
				t.Errorf("%+v, %v", i, err)
			}
			if err != nil && !strings.Contains(err.Error(), "krbtgt/C.TEST@") {
				t.Errorf("the error is not about the realm that was wanted: %v", err)
			}
			if seen := k.seen(); !slices.Equal(seen, tt.asked) {
				t.Errorf("asked: %q", seen)
			}
			if !tt.ok {
				return
			}
			if _, err := c.Initiate(t.Context(), InitOptions{SPN: "postgres/y@C.TEST"}); err != nil || !slices.Equal(k.seen(), []string{"TGS postgres/y@C.TEST"}) {
				t.Errorf("another service of the realm: %v", err)
			}
		})
	}
}
