package oracle

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// FuzzRead: whatever a text is, it is read, refused with the server's words, or not predicted; and what can be asked about its records does not fail.
func FuzzRead(f *testing.F) {
	groups, err := corpus.Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, g := range groups {
		for _, c := range g.Cases {
			further := ""
			if len(c.Files) > 0 {
				further = c.Files[0].Text
			}
			f.Add(c.HBA, c.Ident, further, uint8(len(c.HBA)%len(matrix.ServerVersions)))
		}
	}
	f.Fuzz(func(t *testing.T, hba, ident, further string, version uint8) {
		w := &matrix.World{Server: matrix.ServerVersions[int(version)%len(matrix.ServerVersions)], SSL: "on", HBA: hba, Ident: ident, Files: []matrix.File{{Path: "names", Text: further}, {Path: "d/a.conf", Text: further}}}
		r, err := Read(w)
		var gap *CannotPredict
		if errors.As(err, &gap) {
			if gap.Why == "" || gap.What == "" {
				t.Errorf("%q is not predicted, and not why", hba)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range r.Rules {
			if text := row.String(); strings.Contains(text, "\n") || row.Line < 1 || row.Type == "" && row.Method != "" {
				t.Errorf("%q: row %q", hba, text)
			}
		}
		records, err := ParseHBA(hba, w.Files, w.Server)
		var wrong *RulesError
		if err != nil && (!errors.As(err, &wrong) || len(wrong.Lines) == 0) {
			t.Fatalf("%q: %v", hba, err)
		}
		mappings, identErr := parseIdent(ident, w.Files, w.Server)
		if loads := err == nil && identErr == nil; loads != (len(r.Logged) == 0) {
			t.Errorf("%q %q: loads %t, and the log says %q", hba, ident, loads, r.Logged)
		}
		if err == nil && len(records) != len(r.Rules) || w.Server >= 15 && identErr == nil && len(mappings) != len(r.Mappings) {
			t.Errorf("%q %q: %d records and %d mappings, %d and %d rows", hba, ident, len(records), len(mappings), len(r.Rules), len(r.Mappings))
		}
		for _, user := range []string{"alice", "", "ä"} {
			for i := range records {
				records[i].TakesUser(w, user)
				records[i].TakesDatabase(w, user, "postgres")
				_, _ = records[i].TakesAddress(w, "10.20.0.7")
			}
			a := attempt{w: w, c: &matrix.Client{User: user}, rules: &rules{ident: mappings}}
			for i := range min(len(mappings), 3) {
				a.mapped(mappings[i].name, user+"@EXAMPLE.TEST", true)
			}
		}
	})
}
