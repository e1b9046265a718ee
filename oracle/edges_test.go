package oracle

import (
	"errors"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestEdges: what stands beside the values that other tests have.
func TestEdges(t *testing.T) {
	if n, ok := number("0X7f", 8); !ok || n != 0x7f {
		t.Errorf("0X7f is %d, %t", n, ok)
	}
	if _, message := braces("a{1:}"); message != "invalid repetition count(s)" {
		t.Errorf("a{1:}: %q", message)
	}
	files := newTokenizer(18, []matrix.File{{Path: "a"}})
	for file, want := range map[string]string{"a/b": notDirectory, "a.b": noSuchFile, "b/a": noSuchFile} {
		if got := files.errno(file); got != want {
			t.Errorf("%s: %s", file, got)
		}
	}
	if _, err := parseIdent(`m /al(?=ice) bob`, nil, 18); !errors.As(err, new(*CannotPredict)) {
		t.Errorf("an expression that is not modelled, in pg_ident.conf: %v", err)
	}
	a := attempt{c: &matrix.Client{User: "a=b,c"}}
	if got := newPQ(&a).saslName(); got != "a=3Db=2Cc" {
		t.Errorf("lib/pq escapes a=b,c to %s", got)
	}
	// The first version that has no limit of tokens, and places the words of include.
	long := func(server, n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = 'a'
		}
		_, _, _, _, tooLong := nextToken(string(text), server)
		return tooLong
	}
	for _, c := range []struct {
		server, length int
		fits           bool
	}{{15, maxToken, true}, {15, maxToken + 1, false}, {16, maxToken + 1, true}} {
		if got := long(c.server, c.length); (got == "") != c.fits {
			t.Errorf("%d: a token of %d bytes: cut after %d", c.server, c.length, len(got))
		}
	}
	_, logged, err := readHBA("include missing.conf\nhost all @missing all trust\n", nil, 16)
	if err != nil || len(logged) != 2 || logged[0].unplaced || logged[1].unplaced || logged[0].Message != `could not open file "missing.conf": No such file or directory` {
		t.Errorf("16: %+v, %v", logged, err)
	}
	for setting, known := range map[string]bool{"TLSv1": true, "TLSv1.3": true, "SSLv3": false} {
		_, err := Predict(cell(set("setting=ssl_min_protocol_version=TLSv1"), func(c *matrix.Cell) {
			c.World.Settings = append(c.World.Settings, matrix.Setting{Name: highestTLS, Value: setting})
		}))
		if (err == nil) != known {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
