package oracle

import (
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// TestMapped has what check_ident_usermap and check_role of hba.c decide. In ident "; " stands for the end of a line.
func TestMapped(t *testing.T) {
	const every = "13 15 16 18"
	for _, c := range []struct {
		servers       string
		ident, system string
		insensitive   bool
		user          string
		source        string // of the line that lets the system user become the role; empty: none does
	}{
		{every, "m alice bob", "alice", false, "bob", "pg_ident.conf:1"},
		{every, "x alice bob; m alice bob", "alice", false, "bob", "pg_ident.conf:2"},
		{every, "m alice bob", "Alice", false, "bob", ""},
		{every, "m alice bob", "Alice", true, "bob", "pg_ident.conf:1"},
		{every, "m alice BOB", "alice", false, "bob", ""},
		{every, "m alice BOB", "alice", true, "bob", "pg_ident.conf:1"},
		{every, "m alice bob", "alice", false, "alice", ""},
		{every, "m alice bob; m alice carol", "alice", false, "carol", "pg_ident.conf:2"},
		// letters outside ASCII keep their case: pg_strcasecmp
		{every, "m jürgen bob", "JüRGEN", true, "bob", "pg_ident.conf:1"},
		{every, "m jürgen bob", "JÜRGEN", true, "bob", ""},
		{every, "m Zalice bob", "ZALICE", true, "bob", "pg_ident.conf:1"},
		{every, "m [lice bob", "{lice", true, "bob", ""},
		{every, "m x@lice bob", "x`lice", true, "bob", ""},
		// from 16 on the role is an item as in pg_hba.conf
		{"13 15", "m alice all", "alice", false, "bob", ""},
		{"16 18", "m alice all", "alice", false, "bob", "pg_ident.conf:1"},
		{every, `m alice "all"`, "alice", false, "bob", ""},
		{"13 15", "m alice +team", "alice", false, "bob", ""},
		{"16 18", "m alice +team", "alice", false, "bob", "pg_ident.conf:1"},
		{"16 18", "m alice +team", "alice", true, "bob", "pg_ident.conf:1"},
		{"13 15", "m alice /^b", "alice", false, "bob", ""},
		{"16 18", "m alice /^b", "alice", false, "bob", "pg_ident.conf:1"},
		// of groups and expressions the text is not a name, whatever the case
		{"13 15", "m alice +team", "alice", true, "+TEAM", "pg_ident.conf:1"},
		{"16 18", "m alice +team", "alice", true, "+TEAM", ""},
		{"13 15", "m alice /^b", "alice", true, "/^B", "pg_ident.conf:1"},
		{"16 18", "m alice /^b", "alice", true, "/^B", ""},
		// expressions, and what their first group took
		{every, `m /^(.*)@A$ \1`, "bob@A", false, "bob", "pg_ident.conf:1"},
		{every, `m /^(.*)@(.*)$ \1`, "bob@A", false, "A", ""},
		{every, `m /^(.*)@A$ x\1y`, "bob@A", false, "xboby", "pg_ident.conf:1"},
		{every, `m /^(.*)@A$ \1\1`, "bob@A", false, `bob\1`, "pg_ident.conf:1"},
		{every, `m /^(.*)@A$ \1\1`, "bob@A", false, "bobbob", ""},
		{every, `m /^(.*)@A$ \1; m /bob bob`, "carl@B", false, "bob", ""},
		{every, `m /^(.*)@A$ \1; m /bob bob`, "bob@B", false, "bob", "pg_ident.conf:2"},
		{every, "m /^b(o)b$ carol", "bob", false, "carol", "pg_ident.conf:1"},
		{every, `m /^(all)$ \1`, "all", false, "bob", ""}, // what \1 stands for is a name
		{every, `m /^(.*)$ \1`, "+team", false, "bob", ""},
		// a reference to a group that there is not, or that took no part, ends the search
		{every, `m /^bob$ \1; m bob bob`, "bob", false, "bob", ""},
		{every, `m /^(x)|bob$ \1; m bob bob`, "bob", false, "bob", ""},
		{every, `m /^bob$ carol; m bob bob`, "bob", false, "bob", "pg_ident.conf:2"},
		// from 16 on a group or an expression is not expanded
		{"13 15", `m /^(.*)@A$ +\1`, "bob@A", false, "+bob", "pg_ident.conf:1"},
		{"16 18", `m /^(.*)@A$ +\1`, "bob@A", false, "+bob", ""},
		{"16 18", `m /^(te)am@A$ +\1am`, "team@A", false, "bob", ""},
		{"13 15", `m /^(.*)@A$ /\1`, "bob@A", false, "/bob", "pg_ident.conf:1"},
		{"16 18", `m /^bob@A$ +\1; m bob@A bob`, "bob@A", false, "bob", "pg_ident.conf:2"},
	} {
		for version := range strings.FieldsSeq(c.servers) {
			a := attempt{
				w: &matrix.World{Server: atoi(version), Roles: []matrix.Role{{Name: "team"}, {Name: "bob", In: []string{"team"}}, {Name: "te"}, {Name: "+TEAM"}}},
				c: &matrix.Client{User: c.user},
			}
			mappings, err := parseIdent(strings.ReplaceAll(c.ident, "; ", "\n"), nil, a.w.Server)
			if err != nil {
				t.Fatalf("%s: %s: %v", version, c.ident, err)
			}
			a.rules = &rules{ident: mappings}
			ok, source, _ := a.mapped("m", c.system, c.insensitive)
			if ok != (c.source != "") || ok && source != c.source {
				t.Errorf("%s: %s: %s as %s: %t by %s; want %q", version, c.ident, c.system, c.user, ok, source, c.source)
			}
		}
	}
}

// TestWithoutMap: the role of exactly the same name.
func TestWithoutMap(t *testing.T) {
	for _, c := range []struct {
		system, user string
		insensitive  bool
		want         bool
	}{{"alice", "alice", false, true}, {"alice", "Alice", false, false}, {"alice", "Alice", true, true}, {"alice", "bob", true, false}} {
		a := attempt{w: &matrix.World{Server: 18}, c: &matrix.Client{User: c.user}, rules: &rules{}}
		if ok, source, text := a.mapped("", c.system, c.insensitive); ok != c.want || source == "" || !strings.Contains(text, c.system) {
			t.Errorf("%+v: %t, %s, %s", c, ok, source, text)
		}
	}
}

// TestMissingEntries: before 16 the text has the place of the line, which the log does not give (hba.c, IDENT_FIELD_ABSENT and parse_ident_line).
func TestMissingEntries(t *testing.T) {
	for version, want := range map[int]string{
		13: `missing entry in file "pg_ident.conf" at end of line 1`, 15: `missing entry in file "pg_ident.conf" at end of line 1`,
		16: "missing entry at end of line", 18: "missing entry at end of line",
	} {
		_, logged, err := readIdent("m alice", nil, version)
		if err != nil || len(logged) != 1 || logged[0].Message != want || logged[0].unplaced != (version < 16) {
			t.Errorf("%d: %+v, %v", version, logged, err)
		}
		_, logged, err = readIdent("m /( bob", nil, version)
		if err != nil || len(logged) != 1 || logged[0].unplaced != (version < 16) {
			t.Errorf("%d: %+v, %v", version, logged, err)
		}
		_, logged, err = readIdent("m alice /(", nil, version)
		if err != nil || len(logged) != map[bool]int{true: 1}[version >= 16] {
			t.Errorf("%d: %+v, %v", version, logged, err)
		}
	}
}
