package matrix

import "testing"

func TestMatchID(t *testing.T) {
	const id = "negotiation/both-on/pg17/ssl=on,keytab=good/libpq17/user=alice,ticket=valid"
	for _, test := range []struct {
		pattern string
		want    bool
	}{
		{id, true},
		{"negotiation", true},
		{"negotiation/", true},
		{"negotiation/both-on/pg17", true},
		{"negotiation/both", false},
		{"negotiation/both*", true},
		{"*", true},
		{"*/*/*/*/*/*", true},
		{"*/*/*/*/*/*/*", false},
		{id + "/more", false},
		{"*/both-on/pg17", true},
		{"both-on", false},
		{"**/both-on", true},
		{"**", true},
		{"**/libpq17", true},
		{"**/libpq1", false},
		{"**/libpq1*", true},
		{"negotiation/**/user=alice,*", true},
		{"negotiation/**/pg17/**/libpq17/**", true},
		{"negotiation/**/negotiation", false},
		{"negotiation/**/both-on", true},
		{"negotiation/**/**/both-on", true},
		{"**/*ticket=valid*", true},
		{"**/*ticket=val", false},
		{"**/user=*,ticket=*", true},
		{"**/user=*e,*e,ticket=*", false},
		{"**/user=alice,ticket=valid*id", false},
		{"**/*a*l*i*", true},
		{"", false},
	} {
		if got := MatchID(test.pattern, id); got != test.want {
			t.Errorf("%s matches: %t, want %t", test.pattern, got, test.want)
		}
		if test.want && !matchesBelow(test.pattern, "negotiation/both-on") {
			t.Errorf("%s matches the ID and nothing below its scenario", test.pattern)
		}
	}
}

func TestMatchesBelow(t *testing.T) {
	for _, test := range []struct {
		pattern string
		want    bool
	}{
		{"negotiation", true},
		{"negotiation/both-on", true},
		{"negotiation/both-on/", true},
		{"*/both-*/pg99/**", true}, // whether there is such a cell is another question
		{"**/pg17", true},
		{"negotiation/**/pg17", true},
		{"negotiation/both", false},
		{"negotiation/both-off/pg17", false},
		{"auth/**", false},
		{"auth", false},
		{"both-on", false},
		{"", false},
	} {
		if got := matchesBelow(test.pattern, "negotiation/both-on"); got != test.want {
			t.Errorf("%s: %t, want %t", test.pattern, got, test.want)
		}
	}
}

func TestCheckPattern(t *testing.T) {
	const elements = "want elements between slashes, with * for any characters and ** for any number of elements"
	for _, test := range []struct{ pattern, wrong, right string }{
		{"negotiation/**/user=o%27hara,*", "", ""},
		{"negotiation/", "", ""},
		{"a//b", "an empty element in the pattern a//b", "want elements between single slashes, the first a family"},
		{"/a", "an empty element in the pattern /a", "want elements between single slashes, the first a family"},
		{"a/b**", "** within the element b**", "** stands alone between slashes; within an element one * is enough"},
		{"a/pg1[37]", "'[' cannot be in the ID of a cell", elements},
		{"a/b c", "' ' cannot be in the ID of a cell", elements},
		{"a/pg1?", "'?' cannot be in the ID of a cell", elements},
	} {
		if wrong, right := checkPattern(test.pattern); wrong != test.wrong || right != test.right {
			t.Errorf("%s: %q, %q", test.pattern, wrong, right)
		}
	}
}
