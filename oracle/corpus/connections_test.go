package corpus

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

func TestAsked(t *testing.T) {
	c := Case{HBA: "hostgssenc all trust all scram-sha-256\nhostssl all all 10.0.0.0/8 cert clientcert=verify-full\nhost all @list all \"md5\"", Ident: "trust a b", Files: []matrix.File{{Path: "list", Text: "gss rejected"}}}
	a := c.Asked()
	if a.HBA != "hostgssenc all password all password\nhostssl all all 10.0.0.0/8 password clientcert=verify-full\nhost all @list all \"password\"" || a.Ident != c.Ident || a.Files[0].Text != "password rejected" || c.Files[0].Text != "gss rejected" {
		t.Errorf("%+v", a)
	}
}

// TestConnections: a case has the same connections each time, some of them about words of its own, and all can be told apart from one another in rows.
func TestConnections(t *testing.T) {
	groups, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	own, physical, socket := 0, 0, 0
	for _, g := range groups {
		for _, c := range g.Cases {
			all := c.Connections()
			if again := c.Connections(); len(all) != connections || !slices.Equal(all, again) {
				t.Errorf("%s: %v, then %v", c.Name, all, again)
			}
			words := strings.FieldsFunc(c.HBA, func(r rune) bool { return strings.ContainsRune(" \t\n,\"+", r) })
			for _, k := range all {
				switch {
				case k.User == "" || len(k.User) > longName || len(k.Database) > longName || k.Physical != (k.Database == ""):
					t.Errorf("%s: %+v", c.Name, k)
				case k.Physical:
					physical++
				case k.Address == "":
					socket++
				case slices.Contains(words, k.User):
					own++
				}
			}
		}
	}
	if own < 300 || physical < 50 || socket < 100 {
		t.Errorf("%d of words of the case, %d for replication, %d over the socket", own, physical, socket)
	}
}

func TestSameLines(t *testing.T) {
	said := []string{"a b (socket) none", "c d 1.2.3.4 pg_hba.conf:1"}
	for want, predicted := range map[bool][]string{true: {"a b (socket) none", ""}, false: {"a b (socket) none", "c d 1.2.3.4 none"}} {
		if SameLines(predicted, said) != want {
			t.Errorf("%q", predicted)
		}
	}
	if SameLines(nil, said) || !SameLines(nil, nil) {
		t.Error("lines where none are expected")
	}
}
