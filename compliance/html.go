package compliance

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

//go:embed page.html
var page string

// HTML writes the statement as one page for an auditor.
func HTML(w io.Writer, s *Statement) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"class":     func(c Conclusion) string { return strings.ReplaceAll(string(c), " ", "-") },
		"sign":      sign,
		"anchor":    anchor,
		"time":      timeText,
		"tally":     tally,
		"satisfied": func() Conclusion { return Satisfied }, "violated": func() Conclusion { return Violated }, "notShown": func() Conclusion { return NotShown },
		"violations":  violations,
		"part":        part,
		"serverImage": serverImage,
		"mapping":     mapping,
		"noAttempt":   noAttempt,
		"shown":       func(c []*Class) []*Class { return c[:min(len(c), classesShown)] },
		"hidden":      hidden,
		"examples": func(c *Class) []*Attempt { // one is enough of what was as it should be
			if c.Role == Supports {
				return c.Examples[:1]
			}
			return c.Examples
		},
		"roleClass": func(r Role) string {
			return map[Role]string{Violates: "violated", Opens: "not-shown", IsBroken: "not-shown"}[r]
		},
		"cellsChanged": cellsChanged,
		"firstChanges": firstChanges,
		"href": func(a *Attempt) string {
			if s.Report == "" {
				return ""
			}
			elements := strings.Split(a.Cell.ID, "/")
			for i, e := range elements {
				elements[i] = url.PathEscape(e)
			}
			return s.Report + "#/cell/" + strings.Join(elements, "/")
		},
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, s)
}

// classesShown is how many classes of a question a page has.
const classesShown = 12

func hidden(classes []*Class) string {
	cells := 0
	for _, c := range classes[min(len(classes), classesShown):] {
		cells += c.Count
	}
	if cells == 0 {
		return ""
	}
	return fmt.Sprintf("%d more kinds of ends, with %d cells, do neither: they are in the OSCAL file.", len(classes)-classesShown, cells)
}

// sign is beside every word that has a colour.
func sign(c Conclusion) string {
	return map[Conclusion]string{Satisfied: "✓", Violated: "✗", NotShown: "?"}[c]
}

func anchor(framework, id string) string {
	return framework + "-" + strings.NewReplacer("(", "-", ")", "", ".", "-").Replace(id)
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// counted are controls by conclusion.
type counted struct{ Satisfied, Violated, NotShown int }

func tally(g Group) (n counted) {
	for _, r := range g.Results {
		switch r.Behaviour {
		case Satisfied:
			n.Satisfied++
		case Violated:
			n.Violated++
		case NotShown:
			n.NotShown++
		}
	}
	return n
}

// Sentence is the statement in short.
func (s *Statement) Sentence() string {
	all := s.Behaved[Satisfied] + s.Behaved[Violated] + s.Behaved[NotShown]
	text := fmt.Sprintf("Of %d controls, %d are satisfied, %d are violated and %d are not shown, by the behaviour of a server with these rules. A literal reading of the configuration finds %d satisfied and %d violated; for %d controls the two part.",
		all, s.Behaved[Satisfied], s.Behaved[Violated], s.Behaved[NotShown], s.Read[Satisfied], s.Read[Violated], s.Apart)
	if s.ByHandToo > 0 {
		text += fmt.Sprintf(" Of the satisfied controls, %d have a part that is left to look at by hand.", s.ByHandToo)
	}
	return text
}

// NotLoaded is what the server said of files that it did not load; empty if it loaded them. Where no attempt shows it, it is what an independent model of
// PostgreSQL says.
func (s *Statement) NotLoaded() string {
	words, down := "", false
	for _, t := range s.attempts {
		if o := t.outcome(); o != nil && o.Load != "" {
			words, down = o.Load, o.Reason == matrix.DialRefused
		}
	}
	server := fmt.Sprintf("PostgreSQL %d", s.Subject.Server.Version)
	switch {
	case down:
		return server + " does not start with these files, and one that is reloaded goes on with what it had before. Nothing that a check reads in them is in force. The server said: " + words + "."
	case words != "":
		return server + " did not load all of these files, and goes on with what it had before in the place of what it did not load. The server said: " + words + "."
	case s.rulesErr != nil:
		return "No attempt shows what becomes of a server with these files. An independent model of " + server + " says that it does not load them: " + strings.ReplaceAll(s.rulesErr.Error(), "\n", "; ") + "."
	}
	return ""
}

// Shown says how far the conclusion of the whole statement goes.
func (s *Statement) Shown() string {
	switch n := s.Behaved[NotShown]; {
	case s.Conclusion() != Satisfied || n == 0:
		return ""
	case n == 1:
		return "as far as it was shown: 1 control is not shown"
	default:
		return fmt.Sprintf("as far as it was shown: %d controls are not shown", n)
	}
}

// statusTexts say what a status means to somebody who does not know the harness.
var statusTexts = map[verdict.Status]string{
	verdict.Agree: "ended as an independent model of PostgreSQL predicts", verdict.Differ: "ended otherwise than the model predicts", verdict.Drift: "ended otherwise than before",
	verdict.Broken: "without an outcome", verdict.Known: "ended otherwise than the model predicts, for a known reason", verdict.NotApplicable: "not possible with this client or server, and not tried",
}

// Counted says how the attempts ended for the harness.
func (s *Statement) Counted() string {
	text := cells(s.Counts.Total())
	var parts []string
	for _, status := range verdict.Statuses {
		if n := s.Counts[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, statusTexts[status]))
		}
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if s.Incomplete != "" {
		text += ". The run is incomplete: " + s.Incomplete
	}
	return text
}

// violation is one observation that violates controls.
type violation struct {
	Says     string
	Count    int
	Rules    []string
	Example  *Attempt
	Controls []link
}

type link struct{ Anchor, Name string }

// violations are told once, with the controls that they violate.
func violations(s *Statement) (all []*violation) {
	by := map[string]*violation{}
	add := func(says string, r *Result) *violation {
		v, there := by[says]
		if !there {
			v = &violation{Says: says}
			by[says] = v
			all = append(all, v)
		}
		if l := (link{anchor(r.Framework.ID, r.ID), r.ID}); !slices.Contains(v.Controls, l) {
			v.Controls = append(v.Controls, l)
		}
		return v
	}
	for _, r := range s.Results() {
		for _, a := range r.Answers {
			if a.Conclusion != Violated {
				continue
			}
			for _, reading := range a.missing {
				add("The configuration: "+reading, r)
			}
			counts := map[*violation]int{}
			for _, c := range a.Classes {
				if c.Role != Violates {
					continue
				}
				v := add(c.Says+".", r)
				counts[v] += c.Count
				for _, rule := range c.Rules {
					if !slices.Contains(v.Rules, rule) {
						v.Rules = append(v.Rules, rule)
					}
				}
				if v.Example == nil {
					v.Example = c.Examples[0]
				}
			}
			for v, n := range counts { // several questions may look at the same cells
				v.Count = max(v.Count, n)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y *violation) int { return min(y.Count, 1) - min(x.Count, 1) }) // what was observed before what was read
	return all
}

// part says why the two conclusions part, for this subject: what was read, and what was seen.
func part(r *Result) string {
	var said []string
	for _, reading := range r.Readings {
		if reading.Conclusion == r.Literal {
			said = append(said, reading.Says)
			break
		}
	}
	for _, a := range r.Answers {
		if a.Conclusion == r.Behaviour && len(a.Why) > 0 {
			said = append(said, a.Why[0])
			break
		}
	}
	if r.Apart != "" {
		said = append(said, r.Apart)
	}
	return strings.Join(said, " ")
}

// serverImage is the version that the run used.
func serverImage(s *Statement) string {
	for _, i := range s.Header.Images {
		switch {
		case i.Name == fmt.Sprintf("server-%d", s.Subject.Server.Version):
			return i.Version
		case strings.HasPrefix(i.Name, "server-own-"): // somebody's own, in the place of the harness's
			return i.Version + ", " + i.Source
		}
	}
	return ""
}

func mapping(c *Control) string {
	var parts []string
	if len(c.Aliases) > 0 {
		parts = append(parts, "formerly "+strings.Join(c.Aliases, ", "))
	}
	if c.Severity != "" {
		parts = append(parts, "severity "+c.Severity)
	}
	if len(c.NIST) > 0 {
		parts = append(parts, "SP 800-53 "+strings.ToUpper(strings.Join(c.NIST, ", ")))
	}
	parts = append(parts, c.CCI...)
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, "; ") + ")"
}

func noAttempt(p Proof) string {
	if p == ByConfiguration {
		return "No attempt can show it: the configuration says it."
	}
	return "Neither attempts nor files can show it."
}

// cellsChanged says how many cells changed, the worse first.
func cellsChanged(d *reports.Diff) string {
	since, worse, news := d.Since()
	text := fmt.Sprintf("%d cells ended as before", d.Equal)
	if news != "" {
		text = "other changes: " + news + "; " + text
	}
	if worse != "" {
		text = "for the worse: " + worse + "; " + text
	}
	return "Cells " + since + ": " + text + "."
}

// firstChanges are examples of cells that changed, the worst first.
func firstChanges(d *reports.Diff) (lines []string) {
	for _, c := range d.Changes[:min(len(d.Changes), 5)] {
		before, now, id := "–", "–", ""
		if c.Old != nil && c.Old.Outcome != nil {
			before, id = c.Old.Outcome.WithoutTrace().String(), c.Old.ID
		}
		if c.New != nil && c.New.Outcome != nil {
			now, id = c.New.Outcome.WithoutTrace().String(), c.New.ID
		}
		lines = append(lines, fmt.Sprintf("%s (%d): %s: %s → %s", c.Kind, c.Count, id, before, now))
	}
	return lines
}

// RuleRow is a record of pg_hba.conf in the page.
type RuleRow struct {
	Place, Text, Sessions, Remark string
	Attempts                      int
}

// Rules are the records, with what was tried of them.
func (s *Statement) Rules() (rows []RuleRow) {
	for i := range s.records {
		r := &s.records[i]
		row := RuleRow{Place: placeOf(&r.Record), Text: r.Text}
		var sessions []string
		for _, channel := range []matrix.Channel{matrix.Plain, matrix.TLS, matrix.GSS, localSocket} {
			key := row.Place + " " + string(channel)
			row.Attempts += s.reached[key]
			if n := s.sessions[key]; n > 0 {
				sessions = append(sessions, fmt.Sprintf("%d %s", n, channelWord(channel)))
			}
		}
		row.Sessions = strings.Join(sessions, ", ")
		switch {
		case r.dead:
			row.Remark = "decides over no connection: others stand above it"
		case row.Attempts > 0:
		case slices.Contains(r.lets, loopback):
			row.Remark = "takes connections from the server's own machine alone, from where no attempt was made"
		case r.Method == matrix.MethodReject:
			row.Remark = "refuses"
		default:
			row.Remark = "not tried"
		}
		rows = append(rows, row)
	}
	return rows
}

func channelWord(c matrix.Channel) string {
	if c == localSocket {
		return "socket"
	}
	return string(c)
}

// AnswersInOrder are the answers to all questions that a control asks, each once.
func (s *Statement) AnswersInOrder() (all []*Answer) {
	for _, r := range s.Results() {
		for _, a := range r.Answers {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
