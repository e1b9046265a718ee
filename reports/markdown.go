package reports

import (
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
func Markdown(w io.Writer, v *View, o Options) error {
	o.Color, o.Width = false, 0 // the page is not a terminal
	if o.Failures == 0 {
		o.Failures = markdownFailures
	}
	p := newPage(w, v.Path, o)
	word, why := v.Judgement()
	fmt.Fprintf(p, "## pgauthmatrix: %s, %s\n\n", word, why)
	fmt.Fprintf(p, "Run %s, %s. %s\n\n", cell(v.Header.Run), cell(v.Header.Selection), cell(v.Times()))
	head, line, row := "|", "|", "|"
	for _, s := range verdict.Statuses {
		head, line, row = head+" "+string(s)+" |", line+"---:|", row+" "+thousands(v.Counts[s])+" |"
	}
	fmt.Fprintf(p, "%s total | connected | refused | ↓ plaintext |\n%s---:|---:|---:|---:|\n%s %s | %s | %s | %s |\n\n", head, line, row,
		thousands(v.Counts.Total()), thousands(v.Ends[matrix.Connected]), thousands(v.Ends[matrix.Refused]), thousands(v.Descents[matrix.Downgrade]))
	notes := v.Notes()
	for _, n := range notes {
		fmt.Fprintln(p, "- "+n.Label+": "+cell(n.Text))
	}
	if len(notes) > 0 {
		fmt.Fprintln(p)
	}
	p.markdownFailures(v)
	p.markdownTables(v)
	return p.Flush()
}

func (p *page) markdownTables(v *View) {
	for _, kind := range tables {
		first := true
		for _, s := range v.Scenarios {
			t := kind.of(s)
			if t == nil {
				continue
			}
			if first {
				fmt.Fprintf(p, "### %s\n\n", kind.title)
				if kind.legend != "" {
					fmt.Fprintf(p, "%s\n\n", cell(kind.legend))
				}
				first = false
			}
			title := s.Name
			if s.About != nil {
				title += ": " + s.About.Question
			}
			fmt.Fprintf(p, "%s\n\n%s\n\n", cell(title), t.writer().RenderMarkdown())
		}
	}
}

func (p *page) markdownFailures(v *View) {
	if len(v.Failures) == 0 {
		return
	}
	fmt.Fprint(p, "| scenario | question | cells | failing |\n|---|---|---:|---:|\n")
	for _, s := range v.Scenarios {
		question := ""
		if s.About != nil {
			question = s.About.Question
		}
		if n := s.Failing(); n > 0 {
			fmt.Fprintf(p, "| %s | %s | %s | %s |\n", cell(s.Name), cell(question), thousands(s.Cells), thousands(n))
		}
	}
	fmt.Fprintln(p)
	for i, f := range v.Failures {
		if f.Record == nil || p.Failures >= 0 && i == p.Failures {
			fmt.Fprintf(p, "… and %s\n\n", count(len(v.Failures)-i, "other way to fail", "other ways to fail"))
			break
		}
		fmt.Fprintf(p, "<details><summary>%s, %s: <code>%s</code></summary>\n\n```\n", f.Verdict.Status, count(f.Count, "cell", "cells"), html(f.First))
		p.failure(f.Record, f)
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
