package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// markdownFailures is the number of ways to fail that are listed when Options.Failures does not say.
const markdownFailures = 10

// Markdown writes a short summary for a CI job's page: the judgement, the counts, the scenarios that fail and the worst
// failures.
func Markdown(w io.Writer, run *Run, o Options) error {
	t, err := tallyRun(run, nil)
	if err != nil {
		return err
	}
	listed := o.Failures
	if listed == 0 {
		listed = markdownFailures
	}
	o = o.filled()
	p := &page{Writer: bufio.NewWriter(w), Options: o, run: run}
	fmt.Fprintf(p, "## pgauthmatrix: %s\n\n", strings.Replace(p.judgement(t), "  ", ", ", 1))
	fmt.Fprintf(p, "Run %s, %s. %s\n\n", cell(t.header.Run), cell(t.header.Selection), cell(p.times(t)))
	head, line, row := "|", "|", "|"
	for _, s := range verdict.Statuses {
		head, line, row = head+" "+string(s)+" |", line+"---:|", row+" "+thousands(t.Counts[s])+" |"
	}
	fmt.Fprintf(p, "%s total | connected | refused | ↓ plaintext |\n%s---:|---:|---:|---:|\n%s %s | %s | %s | %s |\n\n", head, line, row,
		thousands(t.Counts.Total()), thousands(t.ends[matrix.Connected]), thousands(t.ends[matrix.Refused]), thousands(t.descents[matrix.Downgrade]))
	p.markdownNotes(t)
	p.markdownFailures(t, listed)
	for _, s := range t.scenarios {
		if table := s.attacks.table(); table != nil {
			fmt.Fprintf(p, "What an attacker in the middle obtains, %s:\n\n%s\n\n", cell(s.name), table.RenderMarkdown())
		}
	}
	return p.Flush()
}

func (p *page) markdownNotes(t *tally) {
	var notes []string
	for _, i := range t.header.Images {
		if i.Unavailable != "" {
			notes = append(notes, fmt.Sprintf("unavailable: %s: %s (%s not in this run)", i.Name, i.Unavailable, count(i.Cells, "cell", "cells")))
		}
	}
	for _, k := range sortedKnown(t.known) {
		notes = append(notes, fmt.Sprintf("known: %s: %s (%s)", count(k.cells, "cell", "cells"), k.cause, k.pos))
	}
	for _, s := range t.Stale {
		notes = append(notes, fmt.Sprintf("stale: %s: `%s` names no cell", s.Pos, s.Pattern))
	}
	if t.Incomplete != "" {
		notes = append(notes, "incomplete: "+t.Incomplete+"; "+p.missing(t))
	}
	for _, n := range notes {
		fmt.Fprintln(p, "- "+cell(n))
	}
	if len(notes) > 0 {
		fmt.Fprintln(p)
	}
}

func (p *page) markdownFailures(t *tally, listed int) {
	if len(t.failures) == 0 {
		return
	}
	fmt.Fprint(p, "| scenario | cells | failing |\n|---|---:|---:|\n")
	for _, s := range t.scenarios {
		if n := s.failing(); n > 0 {
			fmt.Fprintf(p, "| %s | %s | %s |\n", cell(s.name), thousands(s.cells), thousands(n))
		}
	}
	fmt.Fprintln(p)
	for i, f := range t.failures {
		if f.record == nil || listed >= 0 && i == listed {
			fmt.Fprintf(p, "… and %s\n", count(len(t.failures)-i, "other way to fail", "other ways to fail"))
			break
		}
		r := f.record
		fmt.Fprintf(p, "<details><summary>%s, %s: <code>%s</code></summary>\n\n```\n", r.Verdict.Status, count(f.count, "cell", "cells"), html(r.ID))
		p.failure(f)
		fmt.Fprint(p, "```\n</details>\n\n")
	}
}

// cell makes a text fit a table's cell or a list's line.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(printable(s))
}

func html(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(printable(s))
}
