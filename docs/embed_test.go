package docs

import (
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	claims, museum := Claims(), Museum()
	if len(claims) != 23 || !strings.HasPrefix(claims["S23"][0], "TLS encrypts") || !strings.HasPrefix(claims["S23"][1], "Either can do both") {
		t.Errorf("%d claims, S23 is %q", len(claims), claims["S23"])
	}
	if len(museum) < 30 || !strings.HasPrefix(museum["A1"][0], "GSS encryption inside TLS") || museum["A1"][1] != "" {
		t.Errorf("%d defects, A1 is %q", len(museum), museum["A1"])
	}
	for id, row := range claims {
		if row[0] == "" || row[1] == "" {
			t.Errorf("claim %s: %q", id, row)
		}
	}
}
