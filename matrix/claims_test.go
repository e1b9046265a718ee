package matrix

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestLoadClaims(t *testing.T) {
	const good = "- claim: S2\n  as: written\n  cells: [a/b/*/ssl=on, a/c]\n  then: connected plain, role alice\n  says: It is so.\n"
	for _, test := range []struct{ name, text, wrong string }{
		{"good", good, ""},
		{"unknown key", good + "  note: x\n", "claims.yaml:6:3: unknown key \"note\" of a row; want claim, as, cells, then or says"},
		{"no claim", "- as: written\n  cells: a/b\n  then: connected\n  says: It is so.\n", "claims.yaml:1:3: the row has no claim; want {claim: S2, as: written or corrected, cells: PATTERN or PATTERNS, then: OUTCOME, says: ONE SENTENCE}"},
		{"no id", "- claim: B2\n  as: written\n  cells: a/b\n  then: connected\n  says: It is so.\n", "claims.yaml:1:10: \"B2\" is no id of a claim; want the letter S and a number, as in S16"},
		{"as", "- claim: S2\n  as: printed\n  cells: a/b\n  then: connected\n  says: It is so.\n", "claims.yaml:2:7: no \"as: printed\"; want written or corrected"},
		{"pattern", "- claim: S2\n  as: written\n  cells: a//b\n  then: connected\n  says: It is so.\n", "claims.yaml:3:10: an empty element in the pattern a//b; want elements between single slashes, the first a family"},
		{"outcome", "- claim: S2\n  as: written\n  cells: a/b\n  then: connected maybe\n  says: It is so.\n", "claims.yaml:4:9: no channel \"maybe\"; want plain, tls, gss or tls+gss"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, err := LoadClaims(fstest.MapFS{ClaimsFile: {Data: []byte(test.text)}}, ClaimsFile)
			switch {
			case test.wrong == "" && (err != nil || len(rows) != 1):
				t.Fatalf("%d rows, %v", len(rows), err)
			case test.wrong != "" && (err == nil || err.Error() != test.wrong):
				t.Fatalf("%v\nwant %s", err, test.wrong)
			}
			if test.wrong != "" {
				return
			}
			row := rows[0]
			if !row.Has("a/b/pg17/ssl=on/libpq17") || row.Has("a/b/pg17/ssl=off/libpq17") || !row.Has("a/c/pg13") {
				t.Error("the row has other cells than its patterns name")
			}
			session := Outcome{End: Connected, Stage: StageSession, Channel: Plain, Role: "alice", Rule: "pg_hba.conf:3"}
			if !row.Agrees(session) {
				t.Error("an outcome disagrees in a field that the row does not state")
			}
			if session.Role = "bob"; row.Agrees(session) {
				t.Error("an outcome of another role agrees")
			}
		})
	}
	if _, err := LoadClaims(fstest.MapFS{}, ClaimsFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
