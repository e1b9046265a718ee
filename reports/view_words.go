package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Judgement is the result in one line: GREEN or FAILED, and why.
func (v *View) Judgement() (word, why string) {
	if v.Green() {
		with := "the oracle"
		if v.ByHand > 0 {
			with += " or with rows written by hand"
		}
		why = count(v.Counts[verdict.Agree], "cell agrees", "cells agree") + " with " + with + ", none fails"
		if lost := v.Header.Lost; lost > 0 {
			why += fmt.Sprintf("; %s skipped: no image for %s", thousands(lost), v.missingImages())
		}
		return "GREEN", why
	}
	var parts []string
	for _, s := range []verdict.Status{verdict.Differ, verdict.Broken, verdict.Drift} {
		if n := v.Counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", s, thousands(n)))
		}
	}
	if n := len(v.Stale); n > 0 {
		parts = append(parts, count(n, "stale divergence", "stale divergences"))
	}
	if v.Incomplete != "" {
		parts = append(parts, "incomplete")
	}
	if len(parts) == 0 {
		parts = append(parts, "no cell agreed, so that nothing was shown")
	}
	return "FAILED", strings.Join(parts, ", ")
}

// missingImages names what is not available, servers and clients of a version together: "PostgreSQL 14 and 16".
func (v *View) missingImages() string {
	var versions, others []string
	for _, i := range v.Header.Images {
		if i.Unavailable == "" {
			continue
		}
		version, isServer := strings.CutPrefix(i.Name, "server-")
		if !isServer {
			version, isServer = strings.CutPrefix(i.Name, "client-")
		}
		switch {
		case !isServer || strings.Trim(version, "0123456789") != "":
			others = append(others, i.Name)
		case !slices.Contains(versions, version):
			versions = append(versions, version)
		}
	}
	if len(versions) > 0 {
		others = append([]string{"PostgreSQL " + enumerate(versions)}, others...)
	}
	return strings.Join(others, ", ")
}

// enumerate writes a, b and c.
func enumerate(words []string) string {
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return strings.Join(words, "")
}

// Note is something to know about the result in addition to the counts.
type Note struct {
	Label string // one word or two: "known", "no image"
	Text  string
	Fails bool // it makes the run fail
}

// Notes are the cells judged by hand, the known divergences, how often cells were attempted, who went on with the run, what the history tells, the images that are not available, the stale divergences, and what was not reached.
func (v *View) Notes() []Note {
	var notes []Note
	if v.ByHand > 0 {
		notes = append(notes, Note{Label: "by hand", Text: count(v.ByHand, "cell is", "cells are") + " judged by hand-written rows alone: the oracle was not asked"})
	}
	for _, k := range v.Known {
		notes = append(notes, Note{Label: "known", Text: fmt.Sprintf("%s: %s (%s)", count(k.Cells, "cell", "cells"), k.Cause, k.Pos)})
	}
	if p := v.Header.Part; p != nil && p.Repeat > 1 {
		notes = append(notes, Note{Label: "repeat", Text: fmt.Sprintf("each cell was attempted %d times; one that did not always end alike is Broken", p.Repeat)})
	}
	if v.Trailer != nil {
		for _, r := range v.Trailer.Resumed {
			notes = append(notes, Note{Label: "resumed", Text: fmt.Sprintf("%s, with records of %s; before: %s", r.Start.UTC().Format("2006-01-02 15:04 MST"), count(r.Cells, "cell", "cells"), r.After)})
		}
	}
	notes = append(notes, v.History.notes()...)
	notes = append(notes, v.unavailable()...)
	for _, s := range v.Stale {
		notes = append(notes, Note{"stale", fmt.Sprintf("%s: %s names no cell; remove the entry", s.Pos, s.Pattern), true})
	}
	if v.Incomplete != "" {
		notes = append(notes, Note{"incomplete", v.Incomplete + "; " + v.missing(), true})
	}
	return notes
}

// unavailable says why there are no images, once for those that share a reason: server and client of a version do.
func (v *View) unavailable() []Note {
	var reasons []string
	images := map[string][]string{}
	for _, i := range v.Header.Images {
		if i.Unavailable == "" {
			continue
		}
		if images[i.Unavailable] == nil {
			reasons = append(reasons, i.Unavailable)
		}
		images[i.Unavailable] = append(images[i.Unavailable], fmt.Sprintf("%s (%s skipped)", i.Name, count(i.Cells, "cell", "cells")))
	}
	var notes []Note
	for _, reason := range reasons {
		notes = append(notes, Note{Label: "no image", Text: strings.Join(images[reason], ", ") + ": " + reason})
	}
	return notes
}

// scenariosNamed is the number of scenarios up to which those that were not reached are named; more are counted by family.
const scenariosNamed = 8

// missing says how many cells were not reached, and where.
func (v *View) missing() string {
	text := count(v.NotReached(), "cell", "cells") + " not reached"
	if v.Trailer == nil || len(v.Trailer.NotReached) == 0 {
		return text
	}
	by, scenarios := v.Trailer.NotReached, len(v.Trailer.NotReached)
	if scenarios > scenariosNamed {
		by = map[string]int{}
		for s, n := range v.Trailer.NotReached {
			family, _, _ := strings.Cut(s, "/")
			by[family] += n
		}
		text += fmt.Sprintf(" in %d scenarios", scenarios)
	}
	var where []string
	for _, s := range slices.Sorted(maps.Keys(by)) {
		where = append(where, fmt.Sprintf("%s %s", s, thousands(by[s])))
	}
	return text + ": " + strings.Join(where, ", ")
}

// Times says how long the run took, and what it spent the time on.
func (v *View) Times() string {
	whole := v.Duration()
	text := clock(whole)
	if n, attempting := v.Attempted(), v.Attempting(); attempting > 0 && n > 0 {
		text += fmt.Sprintf(", %.0f cells/s over %s of attempts", float64(n)/attempting.Seconds(), clock(attempting))
	}
	if v.Trailer != nil && v.Trailer.Envs > 0 {
		text += fmt.Sprintf(", %s provisioned in %s", count(v.Trailer.Envs, "env", "envs"), clock(v.Trailer.Provision))
		if whole > 0 && whole >= v.Trailer.Provision { // not so where shards ran at the same time
			text += fmt.Sprintf(" (%.0f %%)", 100*v.Trailer.Provision.Seconds()/whole.Seconds())
		}
	}
	return text
}
