// Package answer answers the questions of the playground: JSON in, JSON out.
package answer

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/audit"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
)

// Question is what the page sends.
type Question struct {
	Version  int    `json:"version"`
	HBA      string `json:"hba"`
	Ident    string `json:"ident"`
	SSL      bool   `json:"ssl"`
	Conninfo string `json:"conninfo"`
	From     string `json:"from"`
	Client   string `json:"client"`
	Ticket   string `json:"ticket"`
	CertName string `json:"certName"` // common name of the client's certificate; empty: it has none
	Password bool   `json:"password"`
}

// Answer is what the page shows.
type Answer struct {
	Error    string            `json:"error,omitempty"` // of the question; the rules are looked at all the same
	Outcome  string            `json:"outcome,omitempty"`
	Words    map[string]string `json:"words,omitempty"` // fields of the outcome
	Meaning  string            `json:"meaning,omitempty"`
	Because  []matrix.Because  `json:"because,omitempty"`
	Facts    []Fact            `json:"facts,omitempty"`
	Changes  []Change          `json:"changes,omitempty"`
	NotRead  []Line            `json:"notRead,omitempty"` // lines that the server does not load
	Records  []Record          `json:"records,omitempty"`
	Findings []Finding         `json:"findings,omitempty"`
	Unknown  string            `json:"unknown,omitempty"` // why the rules as a whole cannot be looked at
}

// Line is a message about a line.
type Line struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Says string `json:"says"`
}

// Fact is something that the answer takes for granted.
type Fact struct {
	Taken     string   `json:"taken"`
	Otherwise []string `json:"otherwise"`
}

// Change is a change that lets the connection in.
type Change struct {
	What  string   `json:"what"`
	Also  []string `json:"also"` // who else gets in
	Files bool     `json:"files"`
}

// Record says who gets in by a record.
type Record struct {
	Line int      `json:"line"`
	Text string   `json:"text"`
	Dead bool     `json:"dead"`
	Lets []string `json:"lets"`
}

// Finding is a finding of the audit.
type Finding struct {
	Line
	ID    string `json:"id"`
	Level string `json:"level"`
	Why   string `json:"why"`
}

// Of answers a question. Text that is no question is an answer with an error.
func Of(question string) string {
	var q Question
	var a Answer
	if err := json.Unmarshal([]byte(question), &q); err != nil {
		a.Error = err.Error()
	} else {
		a = q.answer()
	}
	text, err := json.Marshal(a)
	if err != nil {
		return `{"error":"the answer cannot be written"}`
	}
	return string(text)
}

func (q *Question) answer() (a Answer) {
	ssl := "off"
	if q.SSL {
		ssl = "on"
	}
	server := &audit.Server{Version: q.Version, HBA: q.HBA, Ident: q.Ident, Conf: []audit.Line{
		{Setting: matrix.Setting{Name: "ssl", Value: ssl}}, {Setting: matrix.Setting{Name: "ssl_ca_file", Value: "root.crt"}}}}
	q.rules(server, &a)
	if len(a.NotRead) == 0 && strings.TrimSpace(q.Conninfo) != "" {
		q.ask(server, &a)
	}
	return a
}

// rules looks at the rules as a whole.
func (q *Question) rules(server *audit.Server, a *Answer) {
	report, err := server.Audit()
	if err != nil {
		a.Unknown = err.Error()
		return
	}
	for _, r := range report.Records {
		record := Record{Line: r.Line, Text: r.Text, Dead: r.Dead()}
		for _, l := range r.Lets {
			who := audit.Roles(l.Users, l.AsAnyone, len(l.Users))
			from := ""
			if l.Channel != audit.Local && !l.Remote {
				from = " (loopback)"
			}
			record.Lets = append(record.Lets, string(l.Channel)+from+": "+who+" with "+string(l.Have))
		}
		a.Records = append(a.Records, record)
	}
	for _, f := range report.Findings {
		if f.ID == audit.NotLoaded.ID {
			a.NotRead = append(a.NotRead, Line{f.File, f.Line, f.Says})
		}
		a.Findings = append(a.Findings, Finding{Line{f.File, f.Line, f.Says}, f.ID, string(f.Level), f.Why})
	}
}

// ask answers the question about one connection.
func (q *Question) ask(server *audit.Server, a *Answer) {
	question := audit.Question{Conninfo: q.Conninfo, From: q.From, Library: matrix.Library(q.Client), Ticket: q.Ticket, Password: q.Password}
	if q.CertName != "" {
		question.Cert = &matrix.Certificate{Subject: []matrix.Attribute{{Type: "CN", Value: q.CertName}}, Usage: matrix.ForClients, Version: 3}
	}
	answer, err := server.Ask(question)
	if wrong := (*oracle.RulesError)(nil); errors.As(err, &wrong) {
		return // said of the rules
	}
	if err != nil {
		a.Error = err.Error()
		return
	}
	o := answer.Prediction.Outcome
	a.Words = map[string]string{}
	for _, f := range matrix.Fields {
		if text := o.Get(f); text != "" {
			a.Words[string(f)] = text
		}
	}
	a.Because = answer.Prediction.Because
	for _, r := range matrix.Reasons {
		if r.Reason == o.Reason {
			a.Meaning = r.Meaning
		}
	}
	a.Outcome = o.WithoutTrace().String()
	for _, f := range answer.Facts {
		fact := Fact{Taken: f.Taken}
		for _, other := range f.Otherwise {
			fact.Otherwise = append(fact.Otherwise, "if "+other.If+": "+other.Outcome.WithoutTrace().String())
		}
		a.Facts = append(a.Facts, fact)
	}
	changes, err := answer.WhyNot()
	if err != nil {
		return
	}
	for _, c := range changes {
		change := Change{What: c.What, Files: c.Server}
		for _, d := range c.Admits {
			if d.Admitted {
				change.Also = append(change.Also, strings.Join(d.Users, ", ")+" over "+string(d.Channel)+" with "+string(d.Have))
			}
		}
		a.Changes = append(a.Changes, change)
	}
}
