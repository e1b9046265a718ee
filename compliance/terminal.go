package compliance

import (
	"fmt"
	"io"
	"strings"
)

// Terminal writes the statement in a few lines: what has changed, the counts, the violations, the files.
func Terminal(w io.Writer, s *Statement, files []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", s.Subject.Name, strings.TrimSpace(strings.ToUpper(string(s.Conclusion()))+" "+s.Shown()))
	if text := s.NotLoaded(); text != "" {
		fmt.Fprintf(&b, "  ✗ %s\n\n", text)
	}
	if base := s.Baseline; base != nil {
		fmt.Fprintf(&b, "since run %s\n", base.Run)
		for _, n := range s.News() {
			fmt.Fprintf(&b, "  %s\n", n.Text())
		}
		if len(base.Changes) == 0 {
			b.WriteString("  no conclusion is another one\n")
		}
		fmt.Fprintf(&b, "  %s\n\n", cellsChanged(base.Cells))
	}
	for _, g := range s.Groups {
		n := tally(g)
		fmt.Fprintf(&b, "  %3d satisfied  %3d violated  %3d not shown   %s\n", n.Satisfied, n.Violated, n.NotShown, g.Title)
	}
	fmt.Fprintf(&b, "  %d where a literal reading of the check concludes otherwise\n\n", s.Apart)
	for _, v := range violations(s) {
		fmt.Fprintf(&b, "  ✗ %s", v.Says)
		if v.Count > 0 {
			fmt.Fprintf(&b, " (%s)", cells(v.Count))
		}
		var names []string
		for _, c := range v.Controls {
			names = append(names, c.Name)
		}
		fmt.Fprintf(&b, "\n    %s\n", strings.Join(names, ", "))
	}
	for _, place := range s.Uncovered {
		fmt.Fprintf(&b, "  ? %s decided over no attempt\n", place)
	}
	fmt.Fprintf(&b, "\n  %s\n  %s\n", s.Counted(), strings.Join(files, " "))
	_, err := io.WriteString(w, b.String())
	return err
}
