package compliance

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the statement in short: what has changed, the counts, the violations, where literal and behaviour part, and a line per control.
func Markdown(w io.Writer, s *Statement) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Compliance of %s: %s\n\n", cell(s.Subject.Name), strings.TrimSpace(string(s.Conclusion())+" "+s.Shown()))
	if text := s.NotLoaded(); text != "" {
		fmt.Fprintf(&b, "**%s**\n\n", cell(text))
	}
	if base := s.Baseline; base != nil {
		fmt.Fprintf(&b, "## Since run %s\n\n", base.Run)
		if len(base.Changes) == 0 {
			b.WriteString("No conclusion is another one. ")
		} else {
			for _, n := range s.News() {
				fmt.Fprintf(&b, "- %s\n", cell(n.Text()))
			}
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n\n", cellsChanged(base.Cells))
		for _, line := range firstChanges(base.Cells) {
			fmt.Fprintf(&b, "- %s\n", cell(line))
		}
		if len(base.Cells.Changes) > 0 {
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, "%s\n\n| Controls | satisfied | violated | not shown |\n|---|--:|--:|--:|\n", s.Sentence())
	for _, g := range s.Groups {
		n := tally(g)
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", cell(g.Title), n.Satisfied, n.Violated, n.NotShown)
	}
	fmt.Fprintf(&b, "\nPostgreSQL %d; %s; run %s.\n", s.Subject.Server.Version, s.Counted(), s.Header.Run)
	if list := violations(s); len(list) > 0 {
		b.WriteString("\n## Violations\n\n")
		for _, v := range list {
			var names []string
			for _, c := range v.Controls {
				names = append(names, c.Name)
			}
			fmt.Fprintf(&b, "- %s", cell(v.Says))
			if v.Example != nil {
				fmt.Fprintf(&b, " %s, for example `%s`.", cells(v.Count), v.Example.Cell.ID)
			}
			if len(v.Rules) > 0 {
				fmt.Fprintf(&b, " By %s.", strings.Join(v.Rules, ", "))
			}
			fmt.Fprintf(&b, " Violates %s.\n", strings.Join(names, ", "))
		}
	}
	if s.Apart > 0 {
		b.WriteString("\n## Where a literal reading and the behaviour part\n\n| Control | Literal | Behaviour | Why |\n|---|---|---|---|\n")
		for _, r := range s.Results() {
			if r.Parts {
				fmt.Fprintf(&b, "| %s %s | %s | %s | %s |\n", r.ID, cell(r.Title), r.Literal, r.Behaviour, cell(part(r)))
			}
		}
	}
	b.WriteString("\n## Controls\n\n| Control | Behaviour | Literal | Why |\n|---|---|---|---|\n")
	for _, r := range s.Results() {
		var why []string
		for _, a := range r.Answers {
			if a.Conclusion == r.Behaviour {
				why = append(why, a.Why...)
			}
		}
		if len(why) == 0 {
			why = []string{noAttempt(r.Proof)}
		}
		fmt.Fprintf(&b, "| %s %s | %s | %s | %s |\n", r.ID, cell(r.Title), r.Behaviour, orDash(r.Literal), cell(why[0]))
	}
	fmt.Fprintf(&b, "\nRepeat: `%s`\n", s.Repeat)
	_, err := io.WriteString(w, b.String())
	return err
}

// cell is text within a table: one line, without what Markdown reads as its own.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}

func orDash(c Conclusion) string {
	if c == "" {
		return "–"
	}
	return string(c)
}
