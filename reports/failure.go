package reports

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// failures draws the ways in which cells failed, the worst first.
func (p *page) failures(t *tally) {
	if len(t.failures) == 0 {
		return
	}
	cells := 0
	for _, f := range t.failures {
		cells += f.count
	}
	p.rule("Failures", fmt.Sprintf("%s in %s, worst first", count(cells, "cell", "cells"), count(len(t.failures), "way", "ways")))
	p.line("")
	drawn := 0
	for _, f := range t.failures {
		if f.record == nil || p.Failures >= 0 && drawn == p.Failures {
			break
		}
		p.failure(f)
		drawn++
	}
	if rest := t.failures[drawn:]; len(rest) > 0 {
		cells := 0
		for _, f := range rest {
			cells += f.count
		}
		where := ""
		if p.run.Path != "" {
			where = "; all of them are in " + p.run.Path
		}
		p.hanging("and more", bold, fmt.Sprintf("%s that fail in %s%s", count(cells, "cell", "cells"), count(len(rest), "other way", "other ways"), where))
		p.line("")
	}
}

// failure draws one cell as design section 7 has it, and how many more are like it.
func (p *page) failure(f *failure) {
	r := f.record
	p.line(p.text(statusStyle(r.Verdict.Status), strings.ToUpper(string(r.Verdict.Status))) + "  " + p.text(bold, printable(r.ID)))
	p.judged(r)
	p.because(r.Because)
	for i, e := range evidenceLines(r) {
		p.evidence(i, e)
	}
	if r.Observation != nil {
		p.command("", pad("all", witnessWidth)+p.explain(r))
	}
	if f.count > 1 {
		// A line each, however long, so that they can be copied.
		p.command("the same", count(f.count-1, "more cell", "more cells"))
		for _, id := range f.others {
			p.command("", id)
		}
		if f.count > len(f.others)+1 {
			p.command("", "…")
		}
	}
	p.command("repeat", p.Repeat+" "+quoteShell(r.ID))
	p.line("")
}

// command writes a command or an ID on one line, however long, so that it can be copied.
func (p *page) command(label, text string) {
	p.line("  " + p.text(dim, pad(label, labelWidth)) + printable(text))
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

func present(value string) string {
	if value == "" {
		return "absent"
	}
	return value
}

// differingFields names each field once; the outcomes show the values.
func differingFields(differences []verdict.Difference) []string {
	var names []string
	for _, d := range differences {
		name := string(d.Field)
		if d.Observed == verdict.Unknown {
			name += " " + verdict.Unknown
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
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

// fitsBeside: the trace has room behind so many columns of words.
func (p *page) fitsBeside(o matrix.Outcome, column int) bool {
	return column+traceGap+width(o.Get(matrix.FieldTrace)) <= p.Width-labelWidth-2
}

const traceGap = 3

// outcome writes one outcome: words, then the trace behind so many columns or, if column is negative, on a line of its
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
		return
	}
	p.line(head)
	for _, l := range wrap(trace, p.Width-labelWidth-4) {
		p.line(strings.Repeat(" ", labelWidth+4) + p.text(style, l))
	}
}

// because writes the rules that decided, with their sources in a column on the right.
func (p *page) because(rules []matrix.Because) {
	source := 0
	for _, b := range rules {
		source = max(source, width(b.Source))
	}
	source = min(source, (p.Width-labelWidth)/3)
	for i, b := range rules {
		label := ""
		if i == 0 {
			label = "because"
		}
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
			if n > 0 {
				label, number = "", strings.Repeat(" ", len(number))
			}
			room := p.Width - labelWidth - 2 - len(number) - source
			p.line("  " + p.text(dim, pad(label, labelWidth)) + number + pad(text, room) + p.text(dim, from))
		}
	}
}

// evidence is one witness's word in short.
type evidence struct{ witness, text string }

const witnessWidth = 8

func (p *page) evidence(i int, e evidence) {
	label := ""
	if i == 0 {
		label = "evidence"
	}
	witness := e.witness
	for _, l := range wrap(e.text, p.Width-labelWidth-witnessWidth-2) {
		p.line("  " + p.text(dim, pad(label, labelWidth)+pad(witness, witnessWidth)) + l)
		label, witness = "", ""
	}
}

// evidenceLines are what a reader wants first: the client's error, what the server refused, what crossed the wire, and
// where to find the rest.
func evidenceLines(r *Record) []evidence {
	if r.Observation == nil {
		return nil
	}
	e := r.Observation.Evidence
	var list []evidence
	switch c := e.Client; {
	case c.Crash != "":
		list = append(list, evidence{"client", "died: " + c.Crash})
	case c.Message != "":
		list = append(list, evidence{"client", abridge(c.Message, 4)})
	case c.Connected && c.Session != nil:
		list = append(list, evidence{"client", sessionText(c.Session)})
	}
	for i, c := range e.Connections {
		for _, l := range c.Log {
			if l.Severity == "LOG" && !strings.Contains(l.Text, "authenticated") {
				continue
			}
			list = append(list, evidence{"server", connectionPrefix(i, e) + l.Severity + ": " + abridge(l.Text, 2)})
		}
	}
	for i, c := range e.Connections {
		if len(c.Wire) > 0 {
			list = append(list, evidence{"wire", connectionPrefix(i, e) + wireText(c.Wire)})
		}
	}
	return list
}

// explain is the command that shows all of the evidence.
func (p *page) explain(r *Record) string {
	command := "pgauthmatrix explain " + quoteShell(r.ID)
	if p.run.Path != "" {
		command += " --run " + filepath.Dir(p.run.Path)
	}
	return command
}

func connectionPrefix(i int, e matrix.Evidence) string {
	if len(e.Connections) < 2 {
		return ""
	}
	return fmt.Sprintf("#%d ", i+1)
}

// abridge keeps the first lines of a text.
func abridge(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	if len(all) > lines {
		all = append(all[:lines], "…")
	}
	return strings.Join(all, "\n")
}

func sessionText(s *matrix.Session) string {
	text := "session of " + s.SessionUser
	if s.SSL {
		text += ", " + s.SSLVersion
	}
	if s.ClientDN != "" {
		text += ", certificate " + s.ClientDN
	}
	if s.GSSEncrypted {
		text += ", GSS-encrypted"
	}
	if s.GSSAuthenticated {
		text += ", GSS-authenticated"
	}
	if s.Principal != "" {
		text += " as " + s.Principal
	}
	if s.SystemUser != "" {
		text += ", system_user " + s.SystemUser
	}
	if !s.SSL && !s.GSSEncrypted {
		text += ", not encrypted"
	}
	return text
}

// wireText is a connection's events in one line: `›` from the client, `‹` from the server.
func wireText(events []matrix.WireEvent) string {
	var b strings.Builder
	for _, e := range events {
		if e.From == "relay" {
			continue
		}
		arrow := " ›\u00a0"
		if e.From == "server" {
			arrow = " ‹\u00a0"
		}
		b.WriteString(arrow + strings.ReplaceAll(e.String(), "\n", " "))
	}
	return strings.TrimSpace(b.String())
}
