package matrix

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// LoadGolden reads FAMILY/NAME.golden: for each approved cell a line with its ID, two spaces and its outcome, which is whole and as
// Outcome.String writes it. The lines are sorted by ID. The error joins every mistake in the file, each a *Problem; if there is no file
// it is fs.ErrNotExist.
func LoadGolden(fsys fs.FS, path string) (Golden, error) {
	source, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("golden: %w", err)
	}
	golden := Golden{}
	r := &reader{file: path}
	scenario := strings.TrimSuffix(path, ".golden")
	if elements := strings.Split(scenario, "/"); len(elements) > 2 {
		scenario = strings.Join(elements[len(elements)-2:], "/")
	}
	const approve = "approve the cells again"
	if len(source) > 0 && !bytes.HasSuffix(source, []byte("\n")) {
		r.problem(position{bytes.Count(source, []byte("\n")) + 1, 1}, "the last line does not end: the file is cut off", approve)
	}
	before, n := "", 0
	for line := range strings.Lines(string(source)) {
		n++
		at := position{n, 1}
		id, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		outcomeAt := position{n, utf8.RuneCountInString(id) + 3}
		switch {
		case !ok:
			r.problem(at, "no cell and outcome in this line", "want the cell's ID, two spaces and its outcome")
			continue
		case !MatchID(scenario, id) || id == scenario:
			r.problem(at, fmt.Sprintf("%s is no cell of %s", id, scenario), approve)
		case id == before:
			r.problem(at, id+" is there twice", "keep one of the two lines")
		case id < before:
			r.problem(at, id+" is out of order", "sort the lines: IDs ascend by byte")
		}
		before = id
		partial, err := ParseOutcome(text)
		if err != nil {
			var wrong *OutcomeError
			errors.As(err, &wrong) // the only error there is
			outcomeAt.column += utf8.RuneCountInString(text[:wrong.Offset])
			r.problem(outcomeAt, wrong.Wrong, wrong.Right)
			continue
		}
		if err := partial.Outcome.Validate(); err != nil {
			r.problem(outcomeAt, "not a whole outcome: "+err.Error(), approve)
		} else if whole := partial.Outcome.String(); text != whole {
			r.problem(outcomeAt, "the outcome is not written as approved outcomes are", "write "+whole)
		}
		golden[id] = partial.Outcome
	}
	if err := joinProblems(r.problems); err != nil {
		return nil, err
	}
	return golden, nil
}

// GoldenChange is what approving changes for one cell: one of the two outcomes may be nil, not both.
type GoldenChange struct {
	ID  string
	Was *Outcome // what was approved before; nil: nothing
	Is  *Outcome // what is approved now; nil: the cell does not exist any more
}

// Approve gives the approved outcomes of one scenario after a run, and what has changed, sorted by ID. The outcomes of the cells that
// the run observed replace the old ones, other cells keep theirs, and cells that do not exist are dropped. exists says whether an ID is a
// cell of the scenario, so that observed may have the cells of a whole run.
//
// Who calls it leaves out of observed what must not be approved: cells without a verdict, and those that are Broken or Differ. The
// outcomes are whole (Outcome.Validate); fields that no witness can see are filled in (verdict.Settled).
func Approve(old Golden, observed map[string]Outcome, exists func(id string) bool) (Golden, []GoldenChange) {
	approved := Golden{}
	var changes []GoldenChange
	for id, was := range old {
		if exists(id) {
			approved[id] = was
		} else {
			changes = append(changes, GoldenChange{ID: id, Was: &was})
		}
	}
	for id, is := range observed {
		if !exists(id) {
			continue
		}
		approved[id] = is
		was, known := old[id]
		switch {
		case !known:
			changes = append(changes, GoldenChange{ID: id, Is: &is})
		case was.String() != is.String():
			changes = append(changes, GoldenChange{ID: id, Was: &was, Is: &is})
		}
	}
	slices.SortFunc(changes, func(a, b GoldenChange) int { return strings.Compare(a.ID, b.ID) })
	return approved, changes
}

// FormatGolden writes the lines that LoadGolden reads.
func FormatGolden(g Golden) []byte {
	var b bytes.Buffer
	for _, id := range slices.Sorted(maps.Keys(g)) {
		fmt.Fprintf(&b, "%s  %s\n", id, g[id])
	}
	return b.Bytes()
}
