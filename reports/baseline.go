package reports

import (
	"fmt"
	"html/template"
	"strings"
)

// baselineGroups is the number of groups of changes that a report lists when Options.Failures does not say.
const baselineGroups = 10

// Against makes the view say, before all else, what changed since another run: the last night that was green. Where the two runs had
// different selections, cells that only one of them has are counted, and are no change.
func (v *View) Against(baseline *Run) error {
	d, err := newDiff(baseline, v.run, nil, baseline.Header.Selection != v.Header.Selection)
	if err != nil {
		return fmt.Errorf("the baseline, run %s: %w", baseline.Header.Run, err)
	}
	v.Baseline, v.baseline = d, baseline
	return nil
}

// Since says what changed since the baseline: the run that it is, the changes for the worse, and the others.
func (d *Diff) Since() (since, worse, news string) {
	since = fmt.Sprintf("since run %s, %s", d.Old.Run, d.Old.Start.UTC().Format("2006-01-02 15:04 MST"))
	var parts [2][]string
	for _, k := range ChangeKinds {
		if n := d.Counts[k]; n > 0 {
			side := 1
			if k.Regression() {
				side = 0
			}
			parts[side] = append(parts[side], fmt.Sprintf("%s %s", k, thousands(n)))
		}
	}
	return since, strings.Join(parts[0], ", "), strings.Join(parts[1], ", ")
}

// changedSince is Since in one line, with what limits it.
func (d *Diff) changedSince() string {
	since, worse, news := d.Since()
	text := "nothing changed " + since
	switch {
	case worse != "" && news != "":
		text = "for the worse " + since + ": " + worse + "; other changes: " + news
	case worse != "":
		text = "for the worse " + since + ": " + worse
	case news != "":
		text = "changed " + since + ", no cell for the worse: " + news
	}
	text += fmt.Sprintf("; %s compared", count(d.Pairs, "cell", "cells"))
	if d.Alone != [2]int{} {
		text += fmt.Sprintf(". The selections differ: %s of that run and %s of this one are not compared", thousands(d.Alone[0]), thousands(d.Alone[1]))
	}
	if d.OldFailing > 0 {
		text += fmt.Sprintf(". That run was not green: %s", count(d.OldFailing, "cell failed", "cells failed"))
	}
	for _, why := range d.Partial {
		text += ". Incomplete: run " + why
	}
	return text
}

// baseline draws what changed since the baseline.
func (p *page) baseline(v *View) {
	d := v.Baseline
	if d == nil {
		return
	}
	p.rule("Since the baseline", "")
	_, worse, news := d.Since()
	style := green
	switch {
	case worse != "":
		style = loudRed
	case news != "":
		style = yellow
	}
	for _, l := range wrap(d.changedSince(), p.Width-2) {
		p.line("  " + p.text(style, l))
	}
	if text := versionChanges(d.Old.Images, d.New.Images); text != "" {
		p.hanging("images", dim, text)
	}
	p.line("")
	for i, c := range d.Changes {
		if i == baselineGroups {
			p.hanging("and more", bold, count(len(d.Changes)-i, "other group", "other groups")+"; `pgauthmatrix diff` draws them all")
			p.line("")
			break
		}
		p.change(c)
	}
}

// baseline writes what changed since the baseline, a group of changes a block.
func (p *markdown) baseline(v *View) {
	d := v.Baseline
	if d == nil {
		return
	}
	fmt.Fprintf(p, "**%s**\n\n", cell(sentence(d.changedSince())))
	if text := versionChanges(d.Old.Images, d.New.Images); text != "" {
		fmt.Fprintf(p, "Images: %s\n\n", cell(text))
	}
	p.end()
	for i, c := range d.Changes {
		if i == baselineGroups {
			fmt.Fprintf(p, "… and %s\n\n", count(len(d.Changes)-i, "other group", "other groups"))
			p.end()
			break
		}
		fmt.Fprintf(p, "<details><summary>%s, %s: <code>%s</code></summary>\n\n```\n", c.Kind, count(c.Count, "cell", "cells"), html(c.title()))
		p.change(c)
		fmt.Fprint(p, "```\n</details>\n\n")
		p.end()
	}
}

// topChange is a group of changes at the top of the page.
type topChange struct {
	Kind, Where, Cells, ID string
	Link, All              template.URL // the example, and the cells of this kind that Where has
	Worse                  bool
}

// topBaseline is the line about the baseline, empty without one, and the groups of changes.
func (v *View) topBaseline() (line string, changes []topChange, more string) {
	d := v.Baseline
	if d == nil {
		return "", nil, ""
	}
	for i, c := range d.Changes {
		if i == baselineGroups {
			more = "… and " + count(len(d.Changes)-i, "other group", "other groups")
			break
		}
		t := topChange{Kind: string(c.Kind), Cells: count(c.Count, "cell", "cells"), ID: c.id(), Link: cellLink(c.id()), Worse: c.Kind.Regression()}
		if c.Explained {
			t.Where, t.All = c.Where.String(), fragment("cells", c.Where.query()+" "+Conjunction{{Axis: "change", Values: []string{string(c.Kind)}}}.query())
		}
		changes = append(changes, t)
	}
	return sentence(d.changedSince()), changes, more
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// title is what the cells of the change have in common, or the ID of the example.
func (c *Change) title() string {
	if c.Explained {
		return c.Where.String()
	}
	return c.id()
}

// failingOf counts the sides that fail.
func failingOf(sides map[string]*Side) (n int) {
	for _, s := range sides {
		if s.Status.Fails() {
			n++
		}
	}
	return n
}
