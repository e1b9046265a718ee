package compliance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Subject is the server that a statement is about, as its files describe it.
type Subject struct {
	Name     string        // a folder, or the scenario and its world
	Server   *audit.Server // Conf is nil if there is no postgresql.conf
	Files    []File        // as they were read
	Replaced []string      // what the harness put in the place of the subject's own, a sentence each
	Unsaid   []string      // settings of which nothing is known, because only the harness gives them
}

// File is a file of the subject.
type File struct{ Name, SHA256 string }

// NewFile is a file with its digest.
func NewFile(name, text string) File {
	sum := sha256.Sum256([]byte(text))
	return File{name, hex.EncodeToString(sum[:])}
}

// Evidence is a run, or the part of it that is about the subject.
type Evidence struct {
	Header     reports.Header
	End        time.Time // zero: the run was killed
	Path       string    // of its records
	SHA256     string    // of that file
	Incomplete string    // why cells are missing; empty of a whole run
	Attempts   []*Attempt
	Report     string // report.html, relative to where the statement is written; empty: there is none
	Repeat     string // the command that makes the statement again
}

// Result is what there is to say about one control.
type Result struct {
	*Control
	Behaviour Conclusion
	Answers   []*Answer
	Literal   Conclusion // empty: the check reads no configuration
	Readings  []Reading
	Parts     bool // the two part
}

// Group is the results of a framework.
type Group struct {
	*Framework
	Results []*Result
}

// Statement is everything that renderers say.
type Statement struct {
	Subject Subject
	Evidence
	Groups    []Group
	Counts    verdict.Counts     // of the cells
	Behaved   map[Conclusion]int // controls
	Read      map[Conclusion]int
	Apart     int      // controls whose two conclusions part
	ByHandToo int      // controls that are satisfied, and of which something is left to look at by hand
	Uncovered []string // records that decided over no attempt

	Baseline *Baseline // nil: there is none

	attempts []*Attempt
	records  []liveRecord
	rulesErr error
	reached  map[string]int // attempts by "PLACE CHANNEL" of the record that decided
	sessions map[string]int // those of them that are connected
}

// Evaluate asks every question of the evidence and draws the conclusions.
func Evaluate(c *Catalogue, subject Subject, e Evidence) (*Statement, error) {
	if subject.Server == nil {
		return nil, errors.New("compliance: a statement needs the server's configuration")
	}
	s := &Statement{Subject: subject, Evidence: e, Counts: verdict.Counts{}, Behaved: map[Conclusion]int{}, Read: map[Conclusion]int{}}
	if err := s.readRules(); err != nil {
		return nil, err
	}
	for _, t := range e.Attempts {
		s.Counts[t.Record.Verdict.Status]++
		if t.Record.Verdict.Status == verdict.NotApplicable {
			continue
		}
		t.decide(recordsOf(s.records))
		s.attempts = append(s.attempts, t)
	}
	s.reach()
	s.untried()
	answers := map[*Question]*Answer{}
	for _, f := range c.Frameworks {
		g := Group{Framework: f}
		for _, control := range f.Controls {
			r := &Result{Control: control, Behaviour: NotShown}
			s.conclude(r, answers)
			s.Behaved[r.Behaviour]++
			if r.Literal != "" {
				s.Read[r.Literal]++
			}
			if r.Parts {
				s.Apart++
			}
			if r.Behaviour == Satisfied && r.ByHand != "" {
				s.ByHandToo++
			}
			g.Results = append(g.Results, r)
		}
		s.Groups = append(s.Groups, g)
	}
	return s, nil
}

func recordsOf(live []liveRecord) []oracle.Record {
	records := make([]oracle.Record, len(live))
	for i := range live {
		records[i] = live[i].Record
	}
	return records
}

// readRules asks package audit what the records let in.
func (s *Statement) readRules() error {
	report, err := s.Subject.Server.Audit()
	if err != nil {
		return err
	}
	if len(report.Records) == 0 {
		for _, f := range report.Findings { // Audit tells rules that do not load so
			if f.ID == audit.NotLoaded.ID {
				s.rulesErr = errors.Join(s.rulesErr, fmt.Errorf("%s:%d: %s", f.File, f.Line, strings.TrimPrefix(f.Says, fmt.Sprintf("PostgreSQL %d says: ", s.Subject.Server.Version))))
			}
		}
	}
	for i := range report.Records {
		r := &report.Records[i]
		live := liveRecord{Record: r.Record, dead: r.Dead(), modelled: modelled(report, r)}
		for _, l := range r.Lets {
			if (l.Channel == audit.Local || l.Remote) && !slices.Contains(live.lets, l.Channel) {
				live.lets = append(live.lets, l.Channel)
			}
		}
		if len(r.Lets) > 0 && len(live.lets) == 0 {
			live.lets = []matrix.Channel{loopback}
		}
		s.records = append(s.records, live)
	}
	return nil
}

// modelled says whether whom the record lets in can be said at all.
func modelled(report *audit.Report, r *audit.RecordReport) bool {
	return !slices.ContainsFunc(report.Findings, func(f audit.Finding) bool {
		return f.ID == audit.Unknown.ID && f.File == r.File && f.Line == r.Line
	})
}

// untried lists the records over which nothing is known.
func (s *Statement) untried() {
	for i := range s.records {
		r := &s.records[i]
		place := placeOf(&r.Record)
		tried := false
		for key := range s.reached {
			tried = tried || strings.HasPrefix(key, place+" ")
		}
		if !r.dead && !tried && r.Method != matrix.MethodReject {
			s.Uncovered = append(s.Uncovered, place+" "+r.Text)
		}
	}
}

// conclude draws both conclusions about a control.
func (s *Statement) conclude(r *Result, answers map[*Question]*Answer) {
	if r.Proof == ByBehaviour {
		r.Behaviour = Satisfied
	}
	for _, q := range r.questions {
		if answers[q] == nil {
			answers[q] = s.ask(q)
		}
		r.Answers = append(r.Answers, answers[q])
		r.Behaviour = worse(r.Behaviour, answers[q].Conclusion)
	}
	for _, c := range r.Control.Literal {
		if !c.made(s.Subject.Server.Version) {
			continue
		}
		reading := c.read(&s.Subject)
		r.Readings = append(r.Readings, reading)
		if r.Literal == "" {
			r.Literal = Satisfied
		}
		r.Literal = worse(r.Literal, reading.Conclusion)
	}
	// What is not shown on one side parts from nothing: there is nothing to compare.
	r.Parts = r.Literal != "" && r.Literal != r.Behaviour && r.Literal != NotShown && r.Behaviour != NotShown
}

func worse(a, b Conclusion) Conclusion {
	if slices.Index(Conclusions, a) < slices.Index(Conclusions, b) {
		return a
	}
	return b
}

// Conclusion is that of the whole statement: violated if one control is, else satisfied if one is.
func (s *Statement) Conclusion() Conclusion {
	switch {
	case s.Behaved[Violated] > 0:
		return Violated
	case s.Behaved[Satisfied] > 0:
		return Satisfied
	}
	return NotShown
}

// Results are those of all frameworks.
func (s *Statement) Results() (all []*Result) {
	for _, g := range s.Groups {
		all = append(all, g.Results...)
	}
	return all
}
