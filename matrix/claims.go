package matrix

import (
	"fmt"
	"io/fs"
	"slices"
)

// ClaimsFile is the name of the file that says which cells show what is true of the claims of docs/claims.md, beside the family folders.
const ClaimsFile = "claims.yaml"

// The values of Shown.As.
const (
	AsWritten   = "written"   // the configuration is what the claim says
	AsCorrected = "corrected" // the configuration keeps what the claim promises
)

// Shown is one row of claims.yaml: what some cells show of a claim.
type Shown struct {
	Claim    string   // S1, S2, …
	As       string   // AsWritten | AsCorrected
	Patterns []string // its cells (see MatchID)
	Then     Partial  // the outcome that each of these cells must have; only the fields that it states are compared
	Says     string   // one sentence that is true of the cells if they have that outcome
	Pos      string   // FILE:LINE:COLUMN of the row
}

// Has says whether the cell of this ID is one of the row's.
func (s *Shown) Has(id string) bool {
	return slices.ContainsFunc(s.Patterns, func(p string) bool { return MatchID(p, id) })
}

// Agrees says whether an outcome is the one that the row states.
func (s *Shown) Agrees(o Outcome) bool {
	return !slices.ContainsFunc(s.Then.Stated, func(f Field) bool { return o.Get(f) != s.Then.Get(f) })
}

var shownKeys = []string{"claim", "as", "cells", "then", "says"}

// LoadClaims reads claims.yaml, a list of {claim, as, cells, then, says}. The error joins every mistake in the file, each a *Problem; if there is no
// file it is fs.ErrNotExist.
func LoadClaims(fsys fs.FS, path string) ([]Shown, error) {
	source, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	var rows []Shown
	err = readRows(path, source, func(r *reader, item *value) {
		if s, ok := r.shown(item); ok {
			rows = append(rows, s)
		}
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// readRows reads a file that is a list, a row at a time. The error joins every mistake in it, each a *Problem.
func readRows(path string, source []byte, row func(*reader, *value)) error {
	r := &reader{file: path}
	if root := r.readYAML(source); root != nil && r.want(root, "the file", list) {
		for _, item := range root.items {
			row(r, item)
		}
	}
	return joinProblems(r.problems)
}

// wantKeys finds the keys that a row does not have.
func (r *reader) wantKeys(v *value, entries []entry, keys []string, row, want string) {
	for _, key := range keys {
		if !hasKey(entries, key) {
			r.problem(v.position, fmt.Sprintf("the %s has no %s", row, key), want)
		}
	}
}

func (r *reader) shown(v *value) (Shown, bool) {
	s := Shown{Pos: r.pos(v.position)}
	before := len(r.problems)
	if !r.want(v, "a row", mapping) {
		return s, false
	}
	entries := r.entriesOnce(v, "key")
	for _, e := range entries {
		switch e.key {
		case "claim":
			if s.Claim, _ = r.nonEmptyText(e.value, e.key); s.Claim != "" && !claimID.MatchString(s.Claim) {
				r.problem(e.value.position, fmt.Sprintf("%q is no id of a claim", s.Claim), "want the letter S and a number, as in S16")
			}
		case "as":
			if s.As, _ = r.nonEmptyText(e.value, e.key); s.As != "" && s.As != AsWritten && s.As != AsCorrected {
				r.problem(e.value.position, fmt.Sprintf("no %q", "as: "+s.As), "want "+AsWritten+" or "+AsCorrected)
			}
		case "cells":
			for _, p := range r.scalars(e.value, e.key) {
				if wrong, right := checkPattern(p.text); wrong != "" {
					r.problem(p.position, wrong, right)
				}
				s.Patterns = append(s.Patterns, p.text)
			}
		case "then":
			s.Then, _ = r.then(e.value)
		case "says":
			s.Says, _ = r.nonEmptyText(e.value, e.key)
		default:
			r.problem(e.position, fmt.Sprintf("unknown key %q of a row", e.key), suggest(e.key, shownKeys))
		}
	}
	r.wantKeys(v, entries, shownKeys, "row", "want {claim: S2, as: written or corrected, cells: PATTERN or PATTERNS, then: OUTCOME, says: ONE SENTENCE}")
	return s, len(r.problems) == before
}
