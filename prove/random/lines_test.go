package random

import (
	"slices"
	"testing"
)

// TestLinesSets: a seed gives the same sets, nearly all of them different and short; some have zero bytes or are no UTF-8, which no server's client can send.
func TestLinesSets(t *testing.T) {
	lines := NewLines(loadCases(t))
	if len(lines.hba) < 500 || len(lines.ident) < 90 || len(lines.further) < 30 {
		t.Errorf("%d, %d and %d lines", len(lines.hba), len(lines.ident), len(lines.further))
	}
	const sets = 5000
	different, maps, files := map[string]bool{}, 0, 0
	for n := range uint64(sets) {
		c, again := lines.Set(7, n), lines.Set(7, n)
		if c.HBA != again.HBA || c.Ident != again.Ident || !slices.Equal(c.Files, again.Files) {
			t.Fatalf("set %d is not the same again", n)
		}
		if len(c.HBA) > 3*longLine {
			t.Errorf("set %d has %d bytes of rules", n, len(c.HBA))
		}
		if c.Ident != "" {
			maps++
		}
		files += len(c.Files)
		different[c.HBA+"\n"+c.Ident] = true
	}
	if len(different) < sets*9/10 || maps < sets/3 || files < sets/6 {
		t.Errorf("of %d sets %d are different, %d have maps, and they have %d further files", sets, len(different), maps, files)
	}
}
