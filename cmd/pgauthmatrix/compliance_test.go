package main

import (
	"strings"
	"testing"
)

func TestComplianceRefuses(t *testing.T) {
	none := folder(t, map[string]string{"postgresql.conf": "ssl = on\n"})
	bad := folder(t, map[string]string{"pg_hba.conf": "hostssl all all all cert clientcert=verify-ca\n", "PG_VERSION": "17\n"})
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "want a folder with a server's own files"},
		{[]string{"nowhere/at/all"}, "nowhere/at/all is no folder"},
		{[]string{none}, "there is no pg_hba.conf in the folder"},
		{[]string{bad, "-f", "x.yaml"}, "-f belongs to --run"},
		{[]string{"--image", "x", "--run", "y"}, "--image belongs to a statement for which something is tried"},
		{[]string{"--image", "x", none}, "there is no pg_hba.conf in the folder"}, // before the image is looked for
		{[]string{"--image", "x", "nowhere/at/all"}, "nowhere/at/all is no folder"},
		{[]string{"--run", "nowhere/at/all", "core/**"}, "nowhere/at/all"},
	} {
		_, _, err := call(append([]string{"compliance"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
