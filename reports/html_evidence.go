package reports

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// htmlEvidence is what a page says of a cell beyond the index: places in the dictionaries of its scenario, and times.
type htmlEvidence struct {
	because, told, verdict, byHand, unseen, fault uint32
	conninfo, client, connections, load, trace    uint32
	start                                         uint32 // seconds since the run's start
	times                                         []byte // of the events of all connections, as varints of 0.1 ms since the event before
}

// evidenceWords are the dictionaries of a scenario's evidence; the first entry of each is "". Those of the first three lines belong to
// columns. An entry of because, told and connections is a JSON array of places in the dictionaries of the last line: of rules; and of
// parts, five for each connection, in the order of connectionParts.
type evidenceWords struct {
	because, told, verdict, byHand, unseen, fault *dictionary
	conninfo, client, connections, load, trace    *dictionary

	rules, parts *dictionary
}

func newEvidenceWords() evidenceWords {
	w := func() *dictionary { return newDictionary("") }
	return evidenceWords{w(), w(), w(), w(), w(), w(), w(), w(), w(), w(), w(), w(), w()}
}

// connectionParts are where it led, the events, the events on the server's side, the log, and the end.
const connectionParts = 5

// pageClient is the client's report, as the page's script reads it.
type pageClient struct {
	Message string   `json:"message,omitempty"`
	Crash   string   `json:"crash,omitempty"`
	Asked   []string `json:"asked,omitempty"`
	Session string   `json:"session,omitempty"`
	Raw     string   `json:"raw,omitempty"`
	Events  []event  `json:"events,omitempty"` // of the raw client
}

// logLine is a line of the server's log: severity, SQLSTATE, text.
type logLine [3]string

// event is a wire event: from, and its text.
type event [2]string

// add takes the evidence of a record into the dictionaries. Values that differ from attempt to attempt and mean nothing (ports,
// processes, addresses that the engine gave) become placeholders, so that equal evidence is kept once; not so if literal.
func (w *evidenceWords) add(r *Record, begin time.Time, literal bool) (e htmlEvidence, err error) {
	place := func(in *dictionary, v any, empty bool) (i uint32) {
		if err == nil && !empty {
			i, err = in.addJSON(v)
		}
		return i
	}
	plain := func(s string) string { return s }
	list := func(rules []matrix.Because) (places []uint32) {
		for _, b := range rules {
			places = append(places, place(w.rules, [2]string{plain(b.Text), b.Source}, false))
		}
		return places
	}
	e.because = place(w.because, list(r.Because), len(r.Because) == 0)
	e.verdict = place(w.verdict, r.Verdict, false)
	e.byHand = w.byHand.add(r.ByHand)
	o := r.Observation
	if o == nil || err != nil {
		return e, err
	}
	e.start = uint32(max(0, r.Start.Sub(begin)/time.Second)) //nolint:gosec // a run takes hours
	if !literal {
		plain = placeholders(r)
	}
	e.told = place(w.told, list(o.Because), len(o.Because) == 0)
	e.unseen = place(w.unseen, o.Unseen, len(o.Unseen) == 0)
	e.fault = w.fault.add(plain(o.Fault))
	c := o.Evidence.Client
	e.conninfo = w.conninfo.add(plain(c.Conninfo))
	client := pageClient{Message: plain(c.Message), Crash: plain(c.Crash), Asked: c.AuthRequests}
	if c.Session != nil {
		client.Session = sessionText(c.Session)
		if literal {
			client.Session += "; backend " + strconv.Itoa(c.Session.PID)
		}
	}
	var clock eventClock
	var parts []uint32
	for _, connection := range o.Evidence.Connections {
		wire, upstream, log := clock.events(connection.Wire, plain), clock.events(connection.Upstream, plain), logOf(connection.Log, plain)
		parts = append(parts, w.parts.add(where(connection, literal)), place(w.parts, wire, len(wire) == 0), place(w.parts, upstream, len(upstream) == 0),
			place(w.parts, log, len(log) == 0), w.parts.add(connection.Exit))
	}
	if c.Raw != nil {
		client.Raw, client.Events = plain(rawText(c.Raw)), clock.events(c.Raw.Events, plain)
	}
	e.times = clock.times
	e.client = place(w.client, client, false)
	e.connections = place(w.connections, parts, len(parts) == 0)
	load := logOf(o.Evidence.Load, plain)
	if o.Evidence.Down != "" {
		load = append(load, logLine{"", "", plain(o.Evidence.Down)})
	}
	e.load = place(w.load, load, len(load) == 0)
	if literal {
		e.trace = w.trace.add(o.Evidence.KRB5Trace)
	}
	return e, err
}

func where(c matrix.ConnectionEvidence, literal bool) string {
	switch {
	case c.ServerPort == 0:
		return "unix socket, no relay"
	case !literal:
		return "TCP"
	case c.PID == 0:
		return "port " + strconv.Itoa(c.ServerPort)
	}
	return "port " + strconv.Itoa(c.ServerPort) + ", backend " + strconv.Itoa(c.PID)
}

func logOf(lines []matrix.LogLine, plain func(string) string) (list []logLine) {
	for _, l := range lines {
		state := l.SQLState
		if state == "00000" {
			state = ""
		}
		list = append(list, logLine{l.Severity, state, plain(l.Text)})
	}
	return list
}

// eventClock writes down when events happened.
type eventClock struct {
	times []byte
	last  int64
}

func (c *eventClock) events(events []matrix.WireEvent, plain func(string) string) (list []event) {
	for _, e := range events {
		list = append(list, event{e.From, plain(eventText(e))})
		c.times = binary.AppendVarint(c.times, e.Micros/100-c.last)
		c.last = e.Micros / 100
	}
	return list
}

var (
	connPort = regexp.MustCompile(` port=(\d+)`)
	applied  = regexp.MustCompile(` application_name=(\S+)`)
	varying  = regexp.MustCompile(`session time: [0-9:.]+|127\.0\.0\.1:\d+|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z| [A-Z]{3})?`)
)

// placeholders is a function that replaces what means nothing in a record's texts.
func placeholders(r *Record) func(string) string {
	var pairs []string
	add := func(value, placeholder string, around ...string) {
		if value == "" || value == r.Axes["address"] {
			return
		}
		for _, a := range around {
			pairs = append(pairs, a+value, a+placeholder)
		}
	}
	e := r.Observation.Evidence
	for _, m := range connPort.FindAllStringSubmatch(e.Client.Conninfo, -1) {
		add(m[1], "⟨port⟩", " port=", " port ", ":")
	}
	for _, m := range applied.FindAllStringSubmatch(e.Client.Conninfo, -1) {
		add(m[1], "⟨name⟩", "")
	}
	for _, c := range e.Connections {
		if c.ServerPort != 0 {
			add(strconv.Itoa(c.ServerPort), "⟨port⟩", " port=", " port ", ":", "(")
		}
		for _, events := range [][]matrix.WireEvent{c.Wire, c.Upstream} {
			for _, event := range events {
				if host, _, ok := strings.Cut(event.Text, ":"); ok && event.Kind == "open" {
					add(host, "⟨server⟩", "")
				}
				if event.Startup != nil {
					add(event.Startup.Application, "⟨name⟩", "")
				}
			}
		}
		for _, l := range c.Log {
			if _, rest, ok := strings.Cut(l.Text, "connection received: host="); ok {
				host, _, _ := strings.Cut(rest, " ")
				if strings.Contains(host, ".") {
					add(host, "⟨client⟩", "")
				}
			}
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(s string) string {
		if s == "" {
			return s
		}
		s = replacer.Replace(s)
		if !strings.Contains(s, "127.0.0.1:") && !strings.Contains(s, "session time") && !strings.Contains(s, "20") {
			return s
		}
		return varying.ReplaceAllStringFunc(s, func(m string) string {
			switch {
			case strings.HasPrefix(m, "session"):
				return "session time: ⟨time⟩"
			case strings.HasPrefix(m, "127"):
				return "127.0.0.1:⟨port⟩"
			}
			return "⟨time⟩"
		})
	}
}

// evidence is the table of a scenario's evidence: a row for each cell, in their order, and rows of the baseline after them, to which the
// column before points. The dictionaries have the baseline's texts also where the page has no room for its rows.
func (s *htmlScenario) evidence(with room) *blob {
	var rows []*htmlEvidence
	for _, c := range s.cells {
		rows = append(rows, &c.evidence)
	}
	before := make([]uint32, len(rows), len(rows)+len(s.before))
	if with.before {
		for i, c := range s.cells {
			if c.before > 0 {
				before[i] = uint32(len(s.cells)) + c.before - 1 //nolint:gosec // a run has fewer cells
			}
		}
		rows = append(rows, s.before...)
		before = before[:len(rows)]
	}
	b := &blob{Rows: len(rows), Lists: map[string][]string{}}
	column := func(name string, texts *dictionary, of func(*htmlEvidence) uint32) {
		values := make([]uint32, len(rows))
		for i, e := range rows {
			values[i] = of(e)
		}
		if texts == nil {
			b.columns(name, "", values)
			return
		}
		b.text(name, texts, values)
	}
	column("because", s.words.because, func(e *htmlEvidence) uint32 { return e.because })
	column("told", s.words.told, func(e *htmlEvidence) uint32 { return e.told })
	column("verdict", s.words.verdict, func(e *htmlEvidence) uint32 { return e.verdict })
	column("byHand", s.words.byHand, func(e *htmlEvidence) uint32 { return e.byHand })
	column("unseen", s.words.unseen, func(e *htmlEvidence) uint32 { return e.unseen })
	column("fault", s.words.fault, func(e *htmlEvidence) uint32 { return e.fault })
	column("conninfo", s.words.conninfo, func(e *htmlEvidence) uint32 { return e.conninfo })
	column("client", s.words.client, func(e *htmlEvidence) uint32 { return e.client })
	column("connections", s.words.connections, func(e *htmlEvidence) uint32 { return e.connections })
	column("load", s.words.load, func(e *htmlEvidence) uint32 { return e.load })
	column("trace", s.words.trace, func(e *htmlEvidence) uint32 { return e.trace })
	b.Lists["rules"], b.Lists["parts"] = s.words.rules.list, s.words.parts.list
	if len(s.before) > 0 {
		b.columns("before", "", before)
	}
	if !with.times {
		return b
	}
	column("start", nil, func(e *htmlEvidence) uint32 { return e.start })
	column("timesLength", nil, func(e *htmlEvidence) uint32 { return uint32(len(e.times)) }) //nolint:gosec // a few bytes
	var all []byte
	for _, e := range rows {
		all = append(all, e.times...)
	}
	b.strings = [][]byte{all}
	return b
}
