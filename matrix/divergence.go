package matrix

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// DivergencesFile is the name of the file of known disagreements, beside the family folders.
const DivergencesFile = "divergences.yaml"

// Divergence is one row of divergences.yaml: a disagreement between prediction and observation that is understood and not fixed yet.
// A row with a cell that agrees, or without cells, fails the run.
type Divergence struct {
	Pattern string // its cells (see MatchID)
	Cause   string // why they disagree, one sentence
	Link    string // where it is described: a bug report, a commit, a manual section
	Pos     string // FILE:LINE:COLUMN of the row
}

// Matches says whether the row has the cell.
func (d Divergence) Matches(id string) bool { return MatchID(d.Pattern, id) }

var divergenceKeys = []string{"cell", "cause", "link"}

// LoadDivergences reads divergences.yaml, a list of {cell, cause, link}, which may be empty. The error joins every mistake in the file,
// each a *Problem; if there is no file it is fs.ErrNotExist.
func LoadDivergences(fsys fs.FS, path string) ([]Divergence, error) {
	source, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("divergences: %w", err)
	}
	if strings.TrimSpace(withoutComments(string(source))) == "" {
		return nil, nil
	}
	var divergences []Divergence
	err = readRows(path, source, func(r *reader, item *value) {
		d, ok := r.divergence(item)
		if !ok {
			return
		}
		if i := slices.IndexFunc(divergences, func(o Divergence) bool { return o.Pattern == d.Pattern }); i >= 0 {
			r.problem(item.position, fmt.Sprintf("%s is listed twice", d.Pattern), "keep this row or the one at "+divergences[i].Pos)
			return
		}
		divergences = append(divergences, d)
	})
	if err != nil {
		return nil, err
	}
	return divergences, nil
}

func withoutComments(source string) string {
	lines := strings.Split(source, "\n")
	for i, line := range lines {
		lines[i] = line[:len(line)-len(comment(line))]
	}
	return strings.Join(lines, "\n")
}

func (r *reader) divergence(v *value) (Divergence, bool) {
	d := Divergence{Pos: r.pos(v.position)}
	before := len(r.problems)
	if !r.want(v, "a divergence", mapping) {
		return d, false
	}
	entries := r.entriesOnce(v, "key")
	for _, e := range entries {
		switch e.key {
		case "cell":
			d.Pattern, _ = r.nonEmptyText(e.value, e.key)
			if wrong, right := checkPattern(d.Pattern); d.Pattern != "" && wrong != "" {
				r.problem(e.value.position, wrong, right)
			} else if family, _, _ := strings.Cut(d.Pattern, "/"); strings.Contains(family, "*") {
				r.problem(e.value.position, fmt.Sprintf("%s excuses cells of every family", d.Pattern), "start with FAMILY/NAME")
			}
		case "cause":
			d.Cause, _ = r.nonEmptyText(e.value, e.key)
		case "link":
			d.Link, _ = r.nonEmptyText(e.value, e.key)
		default:
			r.problem(e.position, fmt.Sprintf("unknown key %q of a divergence", e.key), suggest(e.key, divergenceKeys))
		}
	}
	r.wantKeys(v, entries, divergenceKeys, "divergence", "want {cell: PATTERN, cause: ONE SENTENCE, link: WHERE IT IS DESCRIBED}")
	return d, len(r.problems) == before
}
