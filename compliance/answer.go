package compliance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Role is what a class of cells does to the conclusion of a question.
type Role string

const (
	Violates Role = "violates"
	Opens    Role = "leaves open"
	Supports Role = "does not violate"
	IsBroken Role = "no outcome" // broken: the harness failed, or its witnesses contradict each other
)

// Class is cells of a question's evidence with equal outcomes.
type Class struct {
	Role     Role
	Says     string // what such a cell shows; empty of Supports
	Outcome  string // without role, identity, rule and trace
	Count    int
	Rules    []string   // places of the records that decided
	Examples []*Attempt // at most three
	Query    string     // selects the cells in report.html
}

// examplesKept is how many cells of a class a statement names.
const examplesKept = 3

// Answer is what the records say about a question.
type Answer struct {
	Question   *Question
	Conclusion Conclusion
	Why        []string // sentences; of a question that is satisfied, what it was needed for
	Classes    []*Class // the worst first
	Cells      int      // of the evidence

	missing []string // settings that violate, a sentence each
}

// ask answers a question. A violation counts whatever else is missing; nothing satisfies unless everything that it needs was tried.
func (s *Statement) ask(q *Question) *Answer {
	a := &Answer{Question: q, Conclusion: Satisfied}
	classes := map[string]*Class{}
	met := make([]int, len(q.Needs))
	violated := map[string]int{}
	for _, t := range s.attempts {
		if q.Cells.match(t) != yes {
			continue
		}
		a.Cells++
		role, says := q.role(t, met)
		if role == Violates {
			violated[says]++
		}
		a.class(classes, t, role, says)
	}
	for _, f := range q.Violated {
		if n := violated[f.Says]; n > 0 {
			a.conclude(Violated, fmt.Sprintf("%s: %s.", f.Says, cells(n)))
		}
	}
	for _, c := range a.Classes {
		switch c.Role {
		case IsBroken:
			a.conclude(NotShown, fmt.Sprintf("%s no outcome: %s.", haveCells(c.Count), c.Says))
		case Opens:
			a.conclude(NotShown, fmt.Sprintf("%s: %s.", c.Says, cells(c.Count)))
		}
	}
	s.lacks(a, met)
	if a.Conclusion == Satisfied {
		for i, f := range q.Needs {
			a.Why = append(a.Why, fmt.Sprintf("Tried: %s (%s).", f.Says, cells(met[i])))
		}
	}
	slices.SortStableFunc(a.Classes, func(x, y *Class) int { return rank(x.Role) - rank(y.Role) })
	return a
}

func rank(r Role) int { return slices.Index([]Role{Violates, IsBroken, Opens, Supports}, r) }

// conclude takes over a conclusion that is worse, and the reason in any case.
func (a *Answer) conclude(c Conclusion, why string) {
	if slices.Index(Conclusions, c) < slices.Index(Conclusions, a.Conclusion) {
		a.Conclusion = c
	}
	if !slices.Contains(a.Why, why) {
		a.Why = append(a.Why, why)
	}
}

// role says what an attempt is for the question, and counts the needs that it meets.
func (q *Question) role(t *Attempt, met []int) (Role, string) {
	if t.outcome() == nil {
		return IsBroken, cause(t)
	}
	switch o := t.outcome(); {
	case o.Load == "":
	case o.Reason == matrix.DialRefused:
		return Opens, "The server does not start with these files (" + o.Load + ")"
	default:
		return Opens, "The server did not load all of the files, and what was observed is of what it has in their place (" + o.Load + ")"
	}
	open := ""
	for _, f := range q.Violated {
		switch f.When.match(t) {
		case yes:
			return Violates, f.Says
		case maybe:
			open = cmp.Or(open, f.Says)
		}
	}
	if open != "" {
		return Opens, "No witness saw whether this is so: " + open
	}
	for _, f := range q.Open {
		if f.When.match(t) != no {
			return Opens, f.Says
		}
	}
	for i, f := range q.Needs {
		if f.When.match(t) == yes {
			met[i]++
		}
	}
	return Supports, ""
}

// cause is why a cell has no outcome.
func cause(t *Attempt) string {
	if t.Record.Verdict.Cause != "" {
		return t.Record.Verdict.Cause
	}
	if o := t.Record.Observation; o != nil {
		return o.Fault
	}
	return "it was not attempted"
}

// class counts the attempt among those that are told like it.
func (a *Answer) class(classes map[string]*Class, t *Attempt, role Role, says string) {
	outcome, query := "no outcome", "status:Broken"
	if o := t.outcome(); o != nil {
		brief := *o
		brief.Identity, brief.Role, brief.Rule, brief.Trace, brief.Load = "", "", "", nil, ""
		outcome, query = brief.String(), queryOf(&brief)
	}
	key := string(role) + "\x00" + says + "\x00" + outcome
	c := classes[key]
	if c == nil {
		c = &Class{Role: role, Says: says, Outcome: outcome, Query: strings.TrimSpace(a.Question.Cells.query() + " " + query)}
		classes[key] = c
		a.Classes = append(a.Classes, c)
	}
	c.Count++
	if t.decided != nil && !slices.Contains(c.Rules, placeOf(t.decided)) {
		c.Rules = append(c.Rules, placeOf(t.decided))
	}
	if len(c.Examples) < examplesKept {
		c.Examples = append(c.Examples, t)
	}
}

// queryOf selects an outcome in report.html.
func queryOf(o *matrix.Outcome) string {
	var parts []string
	for _, f := range []matrix.Field{matrix.FieldEnd, matrix.FieldStage, matrix.FieldReason, matrix.FieldChannel, matrix.FieldMethod, matrix.FieldObtains} {
		if v := o.Get(f); v != "" && !(f == matrix.FieldStage && o.End == matrix.Connected) {
			parts = append(parts, string(f)+":"+v)
		}
	}
	return strings.Join(parts, " ")
}

// query writes a condition on axes in the language of report.html.
func (c condition) query() string { return c.write("%s:%s", "!%s:%s", ",") }

// lacks says what is missing for the question to be satisfied.
func (s *Statement) lacks(a *Answer, met []int) {
	q := a.Question
	if a.Cells == 0 {
		what := "no attempt was made"
		if len(q.Cells) > 0 {
			what += " with " + q.Cells.String()
		}
		a.conclude(NotShown, "Nothing was tried: "+what+".")
	}
	for i, f := range q.Needs {
		if met[i] == 0 && a.Cells > 0 {
			a.conclude(NotShown, "Not tried, or not with this end: "+f.Says+".")
		}
	}
	if q.Limit != "" {
		a.conclude(NotShown, q.Limit)
	}
	if s.Incomplete != "" {
		a.conclude(NotShown, "The run is incomplete: "+s.Incomplete+".")
	}
	for _, w := range q.Covers {
		s.covered(a, matrix.Channel(w.text))
	}
	for _, check := range q.Settings {
		if !check.made(s.Subject.Server.Version) {
			continue
		}
		r := check.read(&s.Subject)
		switch r.Conclusion {
		case Violated:
			a.missing = append(a.missing, r.Says)
			a.conclude(Violated, r.Says+" The harness's server has the setting in any case: that it is missing here is read in the configuration.")
		case NotShown:
			a.conclude(NotShown, r.Says)
		}
	}
}

// covered asks of each record that can let a client in over the channel whether it decided over a connection there. Which records can, package audit says;
// its opinion only ever demands evidence.
func (s *Statement) covered(a *Answer, channel matrix.Channel) {
	if s.rulesErr != nil {
		a.conclude(NotShown, "The server does not load the rules: "+strings.ReplaceAll(s.rulesErr.Error(), "\n", "; ")+".")
		return
	}
	for i := range s.records {
		r := &s.records[i]
		if !r.letsIn(channel) {
			continue
		}
		place := placeOf(&r.Record)
		if s.reached[place+" "+string(channel)] == 0 {
			a.conclude(NotShown, fmt.Sprintf("%s (%s) can let clients in over %s, and decided over no attempt there.", place, r.Text, channelText(channel)))
		}
	}
}

// channelText names a channel in a sentence.
func channelText(c matrix.Channel) string {
	switch c {
	case matrix.Plain:
		return "an unencrypted connection"
	case matrix.TLS:
		return "TLS"
	case matrix.GSS:
		return "GSS encryption"
	case loopback:
		return "a connection from the server's own machine"
	}
	return "the unix-domain socket"
}

// reach counts by which records and over which channels attempts were decided, and sessions opened.
func (s *Statement) reach() {
	s.reached, s.sessions = map[string]int{}, map[string]int{}
	for _, t := range s.attempts {
		o := t.outcome()
		if o == nil || t.decided == nil || o.Load != "" {
			continue
		}
		channel := o.Channel
		if t.Cell.Client.Transport == "unix" {
			channel = localSocket
		}
		key := placeOf(t.decided) + " " + string(channel)
		s.reached[key]++
		if o.End == matrix.Connected {
			s.sessions[key]++
		}
	}
}

// letsIn says whether the record can let a client in over the channel, as far as the rules say. Of a method that asks another service nobody knows.
func (r *liveRecord) letsIn(channel matrix.Channel) bool {
	if r.dead || r.Method == matrix.MethodReject {
		return false
	}
	if !r.modelled {
		return channel != loopback && (channel == localSocket) == (r.Conn == "local") && (channel == localSocket || r.TakesChannel(channel))
	}
	return slices.Contains(r.lets, channel)
}

// liveRecord is a record of pg_hba.conf and what package audit says of it.
type liveRecord struct {
	oracle.Record
	dead     bool
	modelled bool
	lets     []matrix.Channel // over which it lets in from another machine; localSocket; loopback if it lets in over TCP from the server's own machine alone
}

func cells(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

func haveCells(n int) string {
	if n == 1 {
		return "1 cell has"
	}
	return fmt.Sprintf("%d cells have", n)
}
