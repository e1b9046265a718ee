package reports

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// failures draws the groups of cells that failed, the worst first.
func (p *page) failures(v *View) {
	if len(v.Failures) == 0 {
		return
	}
	p.rule("Failures", fmt.Sprintf("%s in %s, worst first", count(cellsOf(v.Failures), "cell", "cells"), count(len(v.Failures), "group", "groups")))
	p.line("")
	drawn := 0
	for _, g := range v.Failures {
		if g.Record == nil || p.Failures >= 0 && drawn == p.Failures {
			break
		}
		p.group(v, g)
		drawn++
	}
	if rest := v.Failures[drawn:]; len(rest) > 0 {
		where := ""
		if v.Path != "" {
			where = "; all of them are in " + v.Path
		}
		p.hanging("and more", bold, fmt.Sprintf("%s that fail in %s%s", count(cellsOf(rest), "cell", "cells"), count(len(rest), "other group", "other groups"), where))
		p.line("")
	}
}

func cellsOf(groups []*Group) int {
	cells := 0
	for _, g := range groups {
		cells += g.Count
	}
	return cells
}

// likewise names further cells of which one was drawn.
func (p *page) likewise(all int, others []string) {
	if all < 2 {
		return
	}
	p.command("likewise", count(all-1, "more cell", "more cells"))
	for _, id := range others { // a line each, however long, so that they can be copied
		p.command("", id)
	}
	if all > len(others)+1 {
		p.command("", "…")
	}
}

// group draws a group: what its cells share, and one of them as an example.
func (p *page) group(v *View, g *Group) {
	title := g.First
	if g.Explained {
		title = g.Where.String()
	}
	p.line(p.text(statusStyle(g.Verdict.Status), strings.ToUpper(string(g.Verdict.Status))) + "  " + p.text(bold, printable(title)))
	if g.Count > 1 {
		p.hanging("cells", dim, g.extent())
	}
	if g.Explained {
		p.command("example", g.First)
	}
	if since := v.sinceOf(g.Record); since != "" {
		p.hanging("so", dim, since)
	}
	p.details(g.Record)
	p.likewise(g.Count, g.Others)
	p.repeat(g.First)
	p.line("")
}

// failure draws one cell.
func (p *page) failure(r *Record) {
	p.line(p.text(statusStyle(r.Verdict.Status), strings.ToUpper(string(r.Verdict.Status))) + "  " + p.text(bold, printable(r.ID)))
	p.details(r)
	p.repeat(r.ID)
	p.line("")
}

// details are what was predicted and observed of a cell, why, and the evidence.
func (p *page) details(r *Record) {
	p.about(r.About)
	p.judged(r)
	p.because("because", r.Because)
	p.observedBecause(r.Observation)
	for i, e := range evidenceLines(r) {
		p.evidence(i, e)
	}
	if r.Observation != nil {
		p.command("", pad("all", witnessWidth)+p.explain(r))
	}
}

// repeat writes the command that tries a cell again.
func (p *page) repeat(id string) { p.command("repeat", p.Repeat+" "+quoteShell(id)) }

// explain is the command that shows all of the evidence.
func (p *page) explain(r *Record) string {
	command := "pgauthmatrix explain " + quoteShell(r.ID)
	if p.path != "" {
		command += " --run " + filepath.Dir(p.path)
	}
	return command
}

// about writes the scenario's question, with the ids of the claims that it tests and of the defects that it keeps away.
func (p *page) about(s *Scenario) {
	if s == nil {
		return
	}
	text := s.Question
	if ids := slices.Concat(s.Claims, s.Museum); len(ids) > 0 {
		text += " (" + strings.Join(ids, ", ") + ")"
	}
	p.hanging("question", dim, text)
}

// judged writes what was predicted, observed, expected and approved, and in what they differ.
func (p *page) judged(r *Record) {
	v := r.Verdict
	differing := map[matrix.Field]bool{}
	for _, d := range v.Differences {
		differing[d.Field] = true
	}
	observed := outcomeOf(r)
	// Side by side if both fit, else each trace on a line of its own.
	column, beside := 0, true
	for _, o := range []*matrix.Outcome{&r.Predicted, observed} {
		if o != nil && o.End != "" {
			column = max(column, outcomeWidth(*o))
		}
	}
	for _, o := range []*matrix.Outcome{&r.Predicted, observed} {
		beside = beside && (o == nil || p.fitsBeside(*o, column))
	}
	if !beside {
		column = -1
	}
	if r.Predicted.End != "" {
		p.outcome("predicted", r.Predicted, column, nil)
	}
	p.byHand(r.ByHand)
	if observed != nil {
		p.outcome("observed", *observed, column, differing)
	}
	for _, against := range []verdict.Against{verdict.Expect, verdict.Golden} {
		var wants []string
		for _, d := range v.Differences {
			if d.Against == against {
				wants = append(wants, string(d.Field)+" "+present(d.Want))
			}
		}
		if len(wants) == 0 {
			continue
		}
		label, text := "expected", strings.Join(wants, ", ")
		if against == verdict.Golden {
			label = "approved"
		} else if v.Pos != "" {
			text += "  (" + v.Pos + ")"
		}
		p.hanging(label, "", text)
	}
	if len(v.Differences) > 0 {
		p.hanging("differs in", "", strings.Join(differingFields(v.Differences), ", "))
	}
	if v.Cause != "" {
		p.hanging("cause", "", v.Cause)
	}
}

// byHand writes the row that alone judges a cell.
func (p *page) byHand(row string) {
	if row != "" {
		p.hanging("by hand", "", row)
	}
}

func present(value string) string {
	if value == "" {
		return "absent"
	}
	return value
}

// words are an outcome without its trace, each with the fields it shows.
func words(o matrix.Outcome) []outcomeWord {
	var list []outcomeWord
	add := func(text string, fields ...matrix.Field) {
		if text != "" {
			list = append(list, outcomeWord{printable(text), fields})
		}
	}
	if o.End == matrix.Connected {
		add("connected", matrix.FieldEnd, matrix.FieldStage)
		add(string(o.Channel), matrix.FieldChannel)
	} else {
		add(string(o.End), matrix.FieldEnd)
		add("at "+string(o.Stage), matrix.FieldStage)
		add("("+string(o.Reason)+")", matrix.FieldReason)
		add(string(o.Channel), matrix.FieldChannel)
	}
	add(string(o.Method), matrix.FieldMethod)
	add(o.Identity, matrix.FieldIdentity)
	if o.Identity != "" && o.Role != "" {
		add("→", matrix.FieldRole)
	}
	add(o.Role, matrix.FieldRole)
	add(strings.Replace(o.Rule, matrix.HBAFile, "hba", 1), matrix.FieldRule)
	if o.Answer != "" {
		add("answers "+o.Answer, matrix.FieldAnswer)
	}
	if o.Obtains != "" {
		add("attacker obtains "+string(o.Obtains), matrix.FieldObtains)
	}
	return list
}

type outcomeWord struct {
	text   string
	fields []matrix.Field
}

func outcomeWidth(o matrix.Outcome) int {
	total := -1
	for _, w := range words(o) {
		total += 1 + width(w.text)
	}
	return max(total, 0)
}

// fitsBeside: the trace has room after so many columns of words.
func (p *page) fitsBeside(o matrix.Outcome, column int) bool {
	return column+traceGap+width(o.Get(matrix.FieldTrace)) <= p.Width-labelWidth-2
}

const traceGap = 3

// outcome writes one outcome: words, then the trace after so many columns or, if column is negative, on a line of its
// own.
func (p *page) outcome(label string, o matrix.Outcome, column int, differing map[matrix.Field]bool) {
	var line []string
	for _, w := range words(o) {
		style := ""
		if slices.ContainsFunc(w.fields, func(f matrix.Field) bool { return differing[f] }) {
			style = loudRed
		}
		line = append(line, p.text(style, w.text))
	}
	style := ""
	if differing[matrix.FieldTrace] {
		style = red
	}
	trace := o.Get(matrix.FieldTrace)
	head := "  " + p.text(dim, pad(label, labelWidth)) + strings.Join(line, " ")
	if column >= 0 && trace != "" {
		p.line(head + strings.Repeat(" ", column-outcomeWidth(o)+traceGap) + p.text(style, trace))
	} else {
		p.line(head)
		p.below(trace, style)
	}
	if o.Load != "" {
		if style = ""; differing[matrix.FieldLoad] {
			style = red
		}
		p.below("not loaded: "+o.Load, style)
	}
}

// below writes what belongs to the line above.
func (p *page) below(text, style string) {
	for _, l := range wrap(text, p.Width-labelWidth-4) {
		p.line(strings.Repeat(" ", labelWidth+4) + p.text(style, l))
	}
}

// observedBecause writes which witness told what of the observed outcome.
func (p *page) observedBecause(o *matrix.Observation) {
	if o != nil {
		p.because("observed because", o.Because)
	}
}

// because writes the rules that decided, with their sources in a column on the right. A label that is wider than its
// column has a line of its own.
func (p *page) because(label string, rules []matrix.Because) {
	if len(rules) > 0 && width(label) >= labelWidth {
		p.line("  " + p.text(dim, label))
		label = ""
	}
	source := 0
	for _, b := range rules {
		source = max(source, width(b.Source))
	}
	source = min(source, (p.Width-labelWidth)/3)
	for i, b := range rules {
		number := fmt.Sprintf("%d ", i+1)
		texts := wrap(b.Text, p.Width-labelWidth-2-len(number)-3-source)
		sources := wrap(b.Source, source)
		for n := range max(len(texts), len(sources)) {
			text, from := "", ""
			if n < len(texts) {
				text = texts[n]
			}
			if n < len(sources) {
				from = sources[n]
			}
			room := p.Width - labelWidth - 2 - len(number) - source
			p.line("  " + p.text(dim, pad(label, labelWidth)) + number + pad(text, room) + p.text(dim, from))
			label, number = "", strings.Repeat(" ", len(number))
		}
	}
}
