package matrix

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestLoadDivergences(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []Divergence
		err        string
	}{
		{"nothing yet", "# known disagreements\n\n# none\n", nil, ""},
		{"empty list", "[]\n", nil, ""},
		{"two", "# why\n- cell: negotiation/*/pg13/**\n  cause: 'libpq 13: says so'\n  link: https://example.test/1\n- {cell: auth/case, cause: c, link: l}\n", []Divergence{
			{"negotiation/*/pg13/**", "libpq 13: says so", "https://example.test/1", "divergences.yaml:2:3"},
			{"auth/case", "c", "l", "divergences.yaml:5:3"},
		}, ""},
		{"a mapping", "cell: a/b\n", nil, "divergences.yaml:1:1: the file is a mapping; want a list"},
		{"a text", "- auth/case\n", nil, "divergences.yaml:1:3: a divergence is text; want a mapping"},
		{"keys", "- {cell: a/b, casue: c, link: ''}\n", nil, "divergences.yaml:1:3: the divergence has no cause; want {cell: PATTERN, cause: ONE SENTENCE, link: WHERE IT IS DESCRIBED}\n" +
			`divergences.yaml:1:15: unknown key "casue" of a divergence; did you mean "cause"?` + "\n" +
			"divergences.yaml:1:31: link is empty; want text"},
		{"a key twice", "- {cell: a/b, cause: c, link: l, cause: d}\n", nil, `divergences.yaml:1:34: key "cause" is there twice; keep this one or the one in line 1`},
		{"every family", "- {cell: '**', cause: c, link: l}\n", nil, "divergences.yaml:1:10: ** excuses cells of every family; start with FAMILY/NAME"},
		{"no pattern", "- {cell: 'a/b c', cause: c, link: l}\n", nil, "divergences.yaml:1:10: ' ' cannot be in the ID of a cell; want elements between slashes, with * for any characters and ** for any number of elements"},
		{"twice", "- {cell: a/b, cause: c, link: l}\n- {cell: a/b, cause: d, link: l}\n", nil, "divergences.yaml:2:3: a/b is listed twice; keep this row or the one at divergences.yaml:1:3"},
		{"tab", "-\t{cell: a/b, cause: c, link: l}\n", nil, `divergences.yaml:1:2: tab outside a text block; write a space, or \t in double quotes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := LoadDivergences(fstest.MapFS{DivergencesFile: {Data: []byte(test.text)}}, DivergencesFile)
			if errorText(err) != test.err {
				t.Errorf("%q, want %q", errorText(err), test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := LoadDivergences(fstest.MapFS{}, DivergencesFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	d := Divergence{Pattern: "negotiation/*/pg13"}
	if !d.Matches("negotiation/x/pg13/libpq13") || d.Matches("negotiation/x/pg15/libpq13") {
		t.Error("a divergence does not match as its pattern does")
	}
}
