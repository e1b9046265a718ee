package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// markdownFailures is the number of ways to fail that are listed when Options.Failures does not say.
const markdownFailures = 10

// markdownLimit is the size of a summary. GitHub refuses one above 1 MiB as a whole.
const markdownLimit = 900_000

// markdown is a summary being written, in blocks: a paragraph, a row of a table, a failure.
type markdown struct {
	*page
	block bytes.Buffer // what page writes
	text  bytes.Buffer // the blocks that are complete
	cut   bool         // a block had no room; none follows
}

// end ends a block: it goes into the summary as a whole or not at all.
func (m *markdown) end() {
	_ = m.Flush() // a bytes.Buffer takes everything
	if m.cut = m.cut || m.text.Len()+m.block.Len() > markdownLimit-len(markdownCut); !m.cut {
		m.text.Write(m.block.Bytes())
	}
	m.block.Reset()
}

const markdownCut = "\nThe summary is cut here: a CI job's page takes no more. `pgauthmatrix render FOLDER` draws all of it.\n"

// Markdown writes a short summary for a CI job's page: the judgement, the counts, the scenarios that fail and the worst
// failures.
func Markdown(w io.Writer, v *View, o Options) error {
	o.Color, o.Width = false, 0 // the page is not a terminal
	if o.Failures == 0 {
		o.Failures = markdownFailures
	}
	p := &markdown{}
	p.page = newPage(&p.block, v.Path, o)
	word, why := v.Judgement()
	fmt.Fprintf(p, "## pgauthmatrix: %s, %s\n\n", word, why)
	p.end()
	p.baseline(v)
	fmt.Fprintf(p, "Run %s, %s. %s\n\n", cell(v.Header.Run), cell(v.Header.Selection), cell(v.Times()))
	head, line, row := "|", "|", "|"
	for _, s := range verdict.Statuses {
		head, line, row = head+" "+string(s)+" |", line+"---:|", row+" "+thousands(v.Counts[s])+" |"
	}
	fmt.Fprintf(p, "%s total | connected | refused | ↓ plaintext |\n%s---:|---:|---:|---:|\n%s %s | %s | %s | %s |\n\n", head, line, row,
		thousands(v.Counts.Total()), thousands(v.Ends[matrix.Connected]), thousands(v.Ends[matrix.Refused]), thousands(v.Descents[matrix.Downgrade]))
	p.end()
	notes := v.Notes()
	for _, n := range notes {
		fmt.Fprintln(p, "- "+n.Label+": "+cell(n.Text))
		p.end()
	}
	if len(notes) > 0 {
		fmt.Fprintln(p)
	}
	p.failures(v)
	p.tables(v)
	p.end()
	if p.cut {
		p.text.WriteString(markdownCut)
	}
	_, err := w.Write(p.text.Bytes())
	return err
}

func (p *markdown) tables(v *View) {
	for _, kind := range tables {
		scenarios := kind.scenarios(v)
		if len(scenarios) == 0 {
			continue
		}
		fmt.Fprintf(p, "### %s\n\n", kind.title)
		if kind.legend != "" {
			fmt.Fprintf(p, "%s\n\n", cell(kind.legend))
		}
		for _, s := range scenarios {
			title := s.Name
			if s.About != nil {
				title += ": " + s.About.Question
			}
			fmt.Fprintf(p, "%s\n\n%s\n\n", cell(title), kind.of(s).writer().RenderMarkdown())
			p.end()
		}
	}
}

func (p *markdown) failures(v *View) {
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
			p.end()
		}
	}
	fmt.Fprintln(p)
	for i, g := range v.Failures {
		if g.Record == nil || p.Failures >= 0 && i == p.Failures {
			fmt.Fprintf(p, "… and %s\n\n", count(len(v.Failures)-i, "other group", "other groups"))
			p.end()
			break
		}
		title := g.First
		if g.Explained {
			title = g.Where.String()
		}
		fmt.Fprintf(p, "<details><summary>%s, %s: <code>%s</code></summary>\n\n```\n", g.Verdict.Status, count(g.Count, "cell", "cells"), html(title))
		p.group(v, g)
		fmt.Fprint(p, "```\n</details>\n\n")
		p.end()
	}
}

// cell makes a text fit a table's cell or a list's line.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(printable(s))
}

func html(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(printable(s))
}
