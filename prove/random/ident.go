package random

import (
	"strings"
)

var mapNames = []string{"people", "people", "people", "certs", "Certs", `"people"`, "nowhere", ""}

// ident writes the user name maps.
func (g *generator) ident() (t Text) {
	if g.one(3) {
		return nil
	}
	systems := []string{"alice", "alice@EXAMPLE.TEST", "bob", `"bob@EXAMPLE.TEST"`, "ALICE@EXAMPLE.TEST", "alice-admin", `"CN=alice"`, "/^(.*)@EXAMPLE\\.TEST$", "/^(.*)@EXAMPLE\\.TEST$", `"/^(.*)-admin(@EXAMPLE\\.TEST)?$"`,
		"/^alice", "/@OTHER\\.TEST$", `"/^CN=(.*)$"`, `"/^(.*),OU=x"`, "/^([a-z]+)$", "/.*", "/^(a|b)(.*)$", "all", `"two words"`, "/^A"}
	roles := []string{"alice", "bob", `\1`, `\1`, `\1`, `"\1"`, `x\1`, "carol", "nobody", `\1\1`, `\2`}
	if g.Server >= 16 {
		roles = append(roles, "all", `"all"`, "+alice", "+bob", "+nobody", "/^al", "/^(bob|carol)$", `"/^\\w+$"`, "+\\1", `"/^a, ?"`)
	}
	for range 1 + g.IntN(5) {
		e := Entry{Fields: anyOf(g, mapNames[:6]) + g.blank() + anyOf(g, systems) + g.blank() + strings.ReplaceAll(anyOf(g, roles), `\\w`, `\w`), Tail: anyOf(g, []string{"\n", "\n", "\n", "  # comment\n", "#\n", "\r\n"})}
		if g.one(8) {
			e.Fields = anyOf(g, []string{"# MAPNAME  SYSTEM-USERNAME  PG-USERNAME\n", "\n"}) + e.Fields
		}
		t = append(t, e)
	}
	return t
}
