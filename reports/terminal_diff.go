package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// DrawDiff draws what changed, the worst first.
func DrawDiff(w io.Writer, d *Diff, o Options) error {
	p := newPage(w, "", o)
	title := d.Old.Run + " → " + d.New.Run
	if d.Between != nil {
		title = fmt.Sprintf("%s=%s → %s", d.Between.Axis, d.Between.Old, d.Between.New)
	}
	p.rule("pgauthmatrix diff", title)
	p.side("before", d.Old)
	if d.New.Run != d.Old.Run {
		p.side("after", d.New)
		if text := versionChanges(d.Old.Images, d.New.Images); text != "" {
			p.hanging("images", dim, text)
		}
	} else if d.Between != nil {
		p.hanging("images", dim, versionsOf(d.Old.Images, d.Between))
	}
	p.line("")
	drawn := 0
	for i, c := range d.Changes {
		if p.Failures >= 0 && drawn == p.Failures {
			p.hanging("and more", bold, count(len(d.Changes)-i, "other group", "other groups"))
			p.line("")
			break
		}
		p.change(c)
		drawn++
	}
	p.diffResult(d)
	return p.Flush()
}

// DiffJSON writes the whole of it as JSON.
func DiffJSON(w io.Writer, d *Diff) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(d)
}

func (p *page) side(label string, h Header) {
	p.hanging(label, dim, fmt.Sprintf("run %s, %s: %s", h.Run, h.Start.Format("2006-01-02 15:04 MST"), h.Selection))
}

// versionChanges names the images that are not the same in both runs.
func versionChanges(old, now []Image) string {
	version := func(list []Image, name string) string {
		if i := slices.IndexFunc(list, func(i Image) bool { return i.Name == name }); i >= 0 && list[i].Unavailable == "" {
			return list[i].Version
		}
		return "none"
	}
	var names, parts []string
	for _, i := range slices.Concat(old, now) {
		if slices.Contains(names, i.Name) {
			continue
		}
		names = append(names, i.Name)
		if x, y := version(old, i.Name), version(now, i.Name); x != y {
			parts = append(parts, strings.ReplaceAll(fmt.Sprintf("%s: %s → %s", i.Name, x, y), " ", "\u00a0"))
		}
	}
	return strings.Join(parts, "; ")
}

// versionsOf are the versions of the images that stand for the two values.
func versionsOf(images []Image, b *Between) string {
	var parts []string
	for _, value := range []string{b.Old, b.New} {
		name := "server-" + value
		if b.Axis == "library" {
			info, _ := matrix.Library(value).Info()
			name = "client-" + info.Image
		}
		for _, i := range images {
			if i.Name == name && i.Unavailable == "" {
				parts = append(parts, strings.ReplaceAll(i.Name+": "+i.dated(), " ", "\u00a0"))
			}
		}
	}
	return strings.Join(slices.Compact(parts), "; ")
}

func kindStyle(k ChangeKind) string {
	switch {
	case k.Regression():
		return loudRed
	case k == NoMore:
		return green
	case k == Appeared:
		return dim
	}
	return yellow
}

// change draws cells that changed, with one of them as an example.
func (p *page) change(c *Change) {
	p.line(p.text(kindStyle(c.Kind), strings.ToUpper(string(c.Kind))) + "  " + p.text(bold, printable(c.title())))
	if c.Count > 1 {
		p.hanging("cells", dim, c.extentOf("changed", "did not change"))
	}
	if c.Explained {
		p.command("example", c.id())
	}
	differing := map[matrix.Field]bool{}
	var names []string
	for _, f := range c.Fields {
		differing[f] = true
		names = append(names, string(f))
	}
	if c.Rules {
		names = append(names, "and the scenario's rules, roles or settings")
	}
	if c.Old != nil && c.New != nil && c.Old.ID != c.New.ID {
		p.command("against", c.Old.ID)
	}
	p.sideOf("before", c.Old, nil)
	p.sideOf("after", c.New, differing)
	if len(names) > 0 {
		p.hanging("differs in", dim, strings.Join(names, ", "))
	}
	p.likewise(c.Count, c.Others)
	p.line("")
}

func (p *page) sideOf(label string, s *Side, differing map[matrix.Field]bool) {
	switch {
	case s == nil:
		p.hanging(label, dim, "no record")
		return
	case s.Outcome == nil:
		p.hanging(label, dim, string(s.Status)+": "+s.Cause)
		return
	}
	p.outcome(label, *s.Outcome, -1, differing)
	text := p.text(statusStyle(s.Status), string(s.Status))
	if s.Cause != "" {
		text += ": " + s.Cause
	}
	p.line(strings.Repeat(" ", labelWidth+2) + text)
}

func (p *page) diffResult(d *Diff) {
	p.rule("Result", "")
	p.hanging("cells", bold, fmt.Sprintf("%s in both, %s of them without a change", thousands(d.Pairs), thousands(d.Equal)))
	if b := d.Between; b != nil && d.Alone != [2]int{} {
		p.hanging("", dim, fmt.Sprintf("%s with %s and %s with %s have no counterpart in the selection", thousands(d.Alone[0]), b.Old, thousands(d.Alone[1]), b.New))
	}
	_, worse, news := d.Since()
	if worse != "" {
		p.hanging("worse", loudRed, worse)
	}
	if news != "" {
		p.hanging("news", yellow, news)
	}
	for _, why := range d.Partial {
		p.hanging("incomplete", red, why)
	}
	p.line("")
	switch {
	case worse != "":
		p.line("  " + p.text(loudRed, "REGRESSION") + "  " + worse)
	case news != "":
		p.line("  " + p.text(yellow, "CHANGED") + "  no cell for the worse")
	default:
		p.line("  " + p.text(loudGreen, "EQUAL"))
	}
}
