package reports

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Explain writes a cell for people: its world and client, what is predicted and why and, if there is a record, what was
// observed, the verdict, and the evidence: the client's words, each connection as a sequence between client and
// server, the server's log. cell may be nil if there is a record: then the prediction is the record's and the rules are not shown. about is
// the cell's scenario; nil: what the record says of it, if anything.
func Explain(w io.Writer, cell *matrix.Cell, about *Scenario, prediction matrix.Prediction, r *Record, o Options) error {
	p := newPage(w, "", o)
	if about == nil && r != nil {
		about = r.About
	}
	if cell == nil {
		prediction = matrix.Prediction{Outcome: r.Predicted, Because: r.Because}
		p.line(p.text(bold, printable(r.ID)))
		p.about(about)
		p.why(about)
		p.axes(r.ownAxes(), func(axis string) string { return r.Axes[axis] })
	} else {
		p.line(p.text(bold, cell.ID))
		p.about(about)
		p.why(about)
		p.axes(cell.World.OwnAxes(), cell.Value)
		p.rules(cell, prediction)
	}
	p.line("")
	row := ""
	if cell != nil {
		row = byHand(cell)
	} else {
		row = r.ByHand
	}
	switch why := notApplicable(cell, r); {
	case why != "":
		p.hanging("skipped", yellow, "not applicable: "+why)
	case row != "":
		p.byHand(row)
		p.hanging("", dim, "the oracle is not asked: the scenario says judge: expect")
	default:
		if prediction.Outcome.End != "" {
			column := outcomeWidth(prediction.Outcome)
			if !p.fitsBeside(prediction.Outcome, column) {
				column = -1
			}
			p.outcome("predicted", prediction.Outcome, column, nil)
			p.meaning(prediction.Outcome)
		}
		p.because("because", prediction.Because)
		p.hidden(cell, prediction)
	}
	if r != nil {
		p.observed(r)
	}
	return p.Flush()
}

// why says why the scenario's question matters, if its file does.
func (p *page) why(s *Scenario) {
	if s != nil && s.Why != "" {
		p.hanging("why", dim, s.Why)
	}
}

func notApplicable(cell *matrix.Cell, r *Record) string {
	if cell != nil {
		return matrix.NotApplicable(cell)
	}
	if r.Verdict.Status == verdict.NotApplicable {
		return r.Verdict.Cause
	}
	return ""
}

// axes writes the values of the world's axes, among them the scenario's own, then those of the client's.
func (p *page) axes(own []string, value func(string) string) {
	for _, kind := range []matrix.AxisKind{matrix.WorldAxis, matrix.ClientAxis} {
		var parts []string
		for _, a := range matrix.AxesWith(own) {
			if v := value(a.Name); a.Kind == kind && v != "" {
				parts = append(parts, a.Name+"="+v)
			}
		}
		p.hanging(string(kind), dim, strings.Join(parts, "  "))
	}
}

// rules writes pg_hba.conf with its line numbers and marks the record that decides by the prediction.
func (p *page) rules(cell *matrix.Cell, prediction matrix.Prediction) {
	decides, before := prediction.Outcome.Rule, ""
	if prediction.Before {
		decides, before = "", strings.Replace(decides, matrix.HBAFile, "before", 1)
	}
	if axes := cell.World.Before.String(); axes != "" {
		p.hanging("before", dim, axes)
	}
	if ident := cell.World.Before.Ident; ident != cell.World.Ident {
		p.file("ident before", ident, "")
	}
	p.file("before", cell.World.Before.HBA, before)
	p.file(matrix.HBAFile, cell.World.HBA, decides)
	p.file(matrix.IdentFile, cell.World.Ident, "")
	for _, f := range cell.World.Files {
		p.file(f.Path, f.Text, decides)
	}
}

func (p *page) file(name, text, mark string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	label := name
	for i, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		number, style := strconv.Itoa(i+1), dim
		sign := "  "
		if mark == name+":"+number {
			sign, style = "▶ ", bold
		}
		if width(label) > labelWidth+2 {
			p.line("  " + p.text(dim, label))
			label = ""
		}
		p.line("  " + p.text(dim, pad(label, labelWidth+3)) + p.text(style, fmt.Sprintf("%s%2s  %s", sign, number, printable(l))))
		label = ""
	}
}

// meaning says the reason in words.
func (p *page) meaning(o matrix.Outcome) {
	i := slices.IndexFunc(matrix.Reasons, func(r matrix.ReasonInfo) bool { return r.Reason == o.Reason })
	if i >= 0 {
		p.hanging("", "", string(o.Reason)+": "+matrix.Reasons[i].Meaning)
	}
	if o.Descent() == matrix.Downgrade {
		p.hanging("", yellow, "downgrade: encryption was tried, and the session is in plaintext")
	}
}

// hidden names the fields that need not be observed.
func (p *page) hidden(cell *matrix.Cell, predicted matrix.Prediction) {
	if cell == nil || predicted.Outcome.End == "" {
		return
	}
	var names []string
	for _, f := range verdict.Unseen(cell, predicted) {
		names = append(names, string(f))
	}
	if len(names) > 0 {
		p.hanging("unseen", dim, fmt.Sprintf("no witness can tell the %s of such an attempt with PostgreSQL %d", strings.Join(names, ", "), cell.World.Server))
	}
}

func (p *page) observed(r *Record) {
	p.line("")
	v := r.Verdict
	p.hanging("verdict", statusStyle(v.Status), string(v.Status))
	observation := r.Observation
	if observation == nil {
		if v.Status != verdict.NotApplicable && v.Cause != "" {
			p.hanging("cause", "", v.Cause)
		}
		return
	}
	p.judged(r)
	p.observedBecause(observation)
	if observation.Fault != "" && v.Cause != observation.Fault {
		p.hanging("fault", red, observation.Fault)
	}
	p.hanging("tried", dim, fmt.Sprintf("%s, %s", r.Start.Format("2006-01-02 15:04:05.000 MST"), millis(r.Micros)))
	e := observation.Evidence
	c := e.Client
	p.line("")
	p.rule("Client", millis(c.Micros))
	p.hanging("conninfo", dim, c.Conninfo)
	if c.Crash != "" {
		p.hanging("died", red, c.Crash)
	}
	p.hanging("message", dim, c.Message)
	if len(c.AuthRequests) > 0 {
		p.hanging("was asked", dim, strings.Join(c.AuthRequests, " "))
	}
	if c.Raw != nil {
		p.hanging("sequence", dim, rawText(c.Raw))
	}
	if c.Session != nil {
		p.hanging("session", dim, fmt.Sprintf("%s; backend %d", sessionText(c.Session), c.Session.PID))
	}
	switch a := e.Across; {
	case a == nil:
	case a.PID == 0:
		p.hanging("before", dim, "the attempt had ended when the server got its files")
	default:
		p.hanging("before", dim, fmt.Sprintf("backend %d waited in the session when the server got its files", a.PID))
	}
	if len(e.Load) > 0 {
		p.line("")
		p.rule("Loading", e.Down)
		p.log(e.Load)
	}
	for i, connection := range e.Connections {
		p.line("")
		p.connection(i+1, connection)
	}
	if e.KRB5Trace != "" {
		p.line("")
		p.rule("KRB5_TRACE", "")
		p.block(e.KRB5Trace, dim)
	}
}

func (p *page) block(text, style string) {
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		for i, part := range wrap(l, p.Width-6) {
			indent := "  "
			if i > 0 {
				indent = "      "
			}
			p.line(indent + p.text(style, part))
		}
	}
}

// connection draws the wire as a sequence between client and server, then the backend's log.
func (p *page) connection(n int, c matrix.ConnectionEvidence) {
	where := "unix socket, no relay"
	if c.ServerPort != 0 {
		where = fmt.Sprintf("port %d", c.ServerPort)
	}
	if c.PID != 0 {
		where += fmt.Sprintf(", backend %d", c.PID)
	}
	p.rule(fmt.Sprintf("Connection %d", n), where)
	if len(c.Upstream) == 0 {
		p.sequence("client", "server", c.Wire)
	} else {
		p.sequence("client", "attacker", c.Wire)
		p.sequence("attacker", "server", c.Upstream)
	}
	p.log(c.Log)
	if c.Exit != "" {
		p.hanging("exit", dim, c.Exit)
	}
}

// log writes lines of the server's log.
func (p *page) log(lines []matrix.LogLine) {
	for _, l := range lines {
		style := ""
		if l.Severity == "FATAL" || l.Severity == "ERROR" || l.Severity == "PANIC" {
			style = red
		}
		text := l.Text
		if l.SQLState != "" && l.SQLState != "00000" {
			text = l.SQLState + " " + text
		}
		p.hanging(l.Severity, style, text)
	}
}

// sequence draws the events between two ends.
func (p *page) sequence(left, right string, events []matrix.WireEvent) {
	if len(events) == 0 {
		return
	}
	lane := min(p.Width-24, 72)
	p.line(strings.Repeat(" ", 14) + p.text(bold, pad(left, lane+2-width(right))+right))
	for _, e := range events {
		p.event(e, lane)
	}
}

// event draws one arrow: its words begin at the left end for the client and end at the right end for the server. What
// relay and attacker did has no arrow.
func (p *page) event(e matrix.WireEvent, lane int) {
	text, style := printable(eventText(e)), dim
	if e.From == "attacker" {
		text, style = "attacker: "+text, red
	}
	at := p.text(dim, fmt.Sprintf("%13s ", millis(e.Micros)))
	if room := lane - 8; width(text) > room {
		text = string([]rune(text)[:room-1]) + "…"
	}
	dashes := strings.Repeat("─", lane-6-width(text))
	switch e.From {
	case "client":
		p.line(at + "│─ " + text + " " + p.text(cyan, dashes+"▶") + "│")
	case "server":
		p.line(at + "│" + p.text(magenta, "◀"+dashes) + " " + text + " ─│")
	default:
		p.line(at + "│" + p.text(style, pad("  "+text, lane-1)) + "│")
	}
}
