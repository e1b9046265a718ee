package reports

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./reports -update writes it", err)
	}
	if bytes.Equal(want, got) {
		return
	}
	wants, gots := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(wants), len(gots)) {
		if i >= len(wants) || i >= len(gots) || wants[i] != gots[i] {
			t.Fatalf("%s:%d differs\nwant %q\ngot  %q\ngo test ./reports -update writes it anew", path, i+1, slices.Concat(wants, make([]string, len(gots)))[i], slices.Concat(gots, make([]string, len(wants)))[i])
		}
	}
}

// theCell is what the cells of the hand-made run are variations of.
func theCell(scenario, hba string, server int, library matrix.Library, options string) *matrix.Cell {
	c := &matrix.Cell{Scenario: scenario,
		World: &matrix.World{Server: server, SSL: "on", ServerCert: "good", Keytab: "good", HBAName: hba,
			HBA: "# both\nhostgssenc  all  alice  all  gss  include_realm=0\nhostssl     all  alice  all  trust\n"},
		Client: matrix.Client{Library: library, Transport: "tcp", User: "alice", Database: "postgres", Ticket: "valid", GSSEncMode: "prefer", SSLMode: "prefer", Cert: "none", Root: "right", Password: "none"}}
	name := ""
	if hba != "" {
		name = "/hba=" + hba
	}
	c.ID = scenario + "/" + serverName(server) + name + "/" + string(library) + "/" + options
	if library == matrix.PGX {
		c.Client.GSSEncMode = ""
	}
	return c
}

// everyStatus is a run with every way a cell can be judged, drawn in the golden files.
func everyStatus(t *testing.T, end Trailer) []byte {
	t.Helper()
	var file bytes.Buffer
	header := sampleHeader(0)
	type attempt struct {
		cell        *matrix.Cell
		p           matrix.Prediction
		o           *matrix.Observation
		golden      *matrix.Outcome
		divergences []matrix.Divergence
	}
	var attempts []attempt
	add := func(a attempt, change func(*attempt)) {
		o := *a.o
		a.o = &o
		if change != nil {
			change(&a)
		}
		attempts = append(attempts, a)
	}
	const both, other = "negotiation/both-enabled", "tickets/expired"
	agreeing := func(cell *matrix.Cell, kind func(int) (matrix.Prediction, matrix.Observation)) attempt {
		p, o := kind(cell.World.Server)
		return attempt{cell: cell, p: p, o: &o}
	}
	plain := func(int) (matrix.Prediction, matrix.Observation) { return downgraded() }
	refused := func(int) (matrix.Prediction, matrix.Observation) { return refusedAtHBA() }
	for _, server := range []int{13, 17, 18} {
		for _, library := range []matrix.Library{"libpq13", "libpq17", "libpq18", "psql18", matrix.PGX} {
			for _, hba := range []string{"wide", "narrow"} {
				add(agreeing(theCell(both, hba, server, library, "sslmode=prefer"), connectedByTLS), nil)
				add(agreeing(theCell(both, hba, server, library, "sslmode=disable"), refused), nil)
			}
			add(agreeing(theCell(other, "", server, library, "sslmode=prefer"), refused), nil)
		}
	}
	add(agreeing(theCell(other, "", 18, "libpq18", "sslmode=allow"), plain), nil)
	add(agreeing(theCell(other, "", 18, matrix.PGX, "gssencmode=prefer"), plain), func(a *attempt) {
		a.cell.Client.GSSEncMode, a.o = "prefer", nil
	})
	must := func(options string, server int) *matrix.Cell {
		return theCell(both, "wide", server, "libpq17", options)
	}
	for _, options := range []string{"sslmode=require,n=1", "sslmode=require,n=2", "sslmode=require,n=3", "sslmode=require,n=4", "sslmode=require,n=5", "sslmode=require,n=6"} {
		add(agreeing(must(options, 17), connectedByTLS), func(a *attempt) { a.p, _ = refusedAtHBA() })
	}
	add(agreeing(must("sslmode=verify-full", 18), plain), func(a *attempt) { a.p, _ = connectedByTLS(18) })
	add(agreeing(must("sslmode=verify-ca", 18), refused), func(a *attempt) { a.p, _ = connectedByTLS(18) })
	add(agreeing(must("gssencmode=disable", 17), connectedByTLS), func(a *attempt) {
		then, err := matrix.ParseOutcome("connected gss, method gss, role alice, hba:2")
		if err != nil {
			t.Fatal(err)
		}
		a.cell.Expect = &matrix.Expect{Then: then, Pos: "scenarios/negotiation/both-enabled.yaml:20:5"}
	})
	add(agreeing(must("gssencmode=require", 17), refused), func(a *attempt) {
		approved := a.p.Outcome
		approved.Trace = approved.Trace[:2]
		a.golden = &approved
	})
	add(agreeing(must("channel_binding=require", 17), connectedByTLS), func(a *attempt) {
		a.o = &matrix.Observation{Fault: "witnesses contradict: the wire shows a tls channel, the server logged plain", Evidence: a.o.Evidence}
	})
	add(agreeing(must("krbsrvname=other", 17), connectedByTLS), func(a *attempt) {
		a.o = &matrix.Observation{Fault: "the client crashed: signal 11 (segmentation fault)", Evidence: matrix.Evidence{Client: matrix.ClientEvidence{Conninfo: "user=alice", Crash: "signal 11 (segmentation fault)"}}}
	})
	add(agreeing(must("sslmode=allow", 13), refused), func(a *attempt) {
		a.o.Outcome.Trace = append(slices.Clone(a.o.Outcome.Trace), matrix.StepAuthFail)
		a.divergences = []matrix.Divergence{{Pattern: a.cell.ID, Cause: "libpq 13 sends the startup packet twice", Link: "https://example.test/1", Pos: "scenarios/divergences.yaml:3:3"}}
	})
	add(agreeing(must("sslmode=allow", 18), refused), func(a *attempt) {
		a.divergences = []matrix.Divergence{{Pattern: a.cell.ID, Cause: "was mended", Pos: "scenarios/divergences.yaml:6:3"}}
	})
	add(agreeing(must("user=escape", 18), refused), func(a *attempt) {
		a.p, _ = connectedByTLS(18)
		a.p.Outcome.Rule = "pg_hba.conf:9"
		a.o.Evidence.Client.Message = "FATAL:  role \"\x1b[2Jalice\x07\" & <b> ]]> \xff does\tnot exist\r\n"
	})

	for _, missed := range end.NotReached {
		header.Cells += missed
	}
	header.Cells += len(attempts)
	w, err := NewWriter(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	at := sampleStart.Add(20 * time.Second)
	for _, a := range attempts {
		v := verdict.Judge(a.cell, a.p, a.o, a.golden, a.divergences)
		if err := w.Write(NewRecord(a.cell, a.p, a.o, v, at, 6*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		at = at.Add(25 * time.Millisecond)
	}
	end.End = sampleStart.Add(61 * time.Second)
	if err := w.Close(end); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

var whole = Trailer{Envs: 3, Provision: 9 * time.Second, Attempt: 2 * time.Second}

func draw(t *testing.T, render func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := render(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTerminal(t *testing.T) {
	run := opened(t, everyStatus(t, whole))
	run.Path = "runs/r7f3a/run.jsonl"
	for name, o := range map[string]Options{
		"terminal-80.txt":    {Width: 80},
		"terminal-100.txt":   {Files: []string{"runs/r7f3a/junit.xml", "runs/r7f3a/summary.md"}},
		"terminal-140.txt":   {Width: 140, Rows: true, Repeat: "pgauthmatrix repro"},
		"terminal-color.txt": {Color: true, Failures: 2},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, draw(t, func(w io.Writer) error { return Terminal(w, view(t, run), o) }))
		})
	}
}

func TestTerminalOfOtherRuns(t *testing.T) {
	green := saved(t, 240, 0)
	interrupted := opened(t, everyStatus(t, Trailer{Interrupted: "interrupt", NotReached: map[string]int{"tickets/expired": 12, "tickets/spn": 1200},
		Stale: []Stale{{Pattern: "negotiation/gone", Pos: "scenarios/divergences.yaml:9:3"}}}))
	cut := lines(t, everyStatus(t, whole))
	killed := opened(t, cut[:len(cut)-3000])
	var empty bytes.Buffer
	w, err := NewWriter(&empty, sampleHeader(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]*Run{"terminal-green.txt": green, "terminal-interrupted.txt": interrupted, "terminal-killed.txt": killed, "terminal-empty.txt": opened(t, empty.Bytes())} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, draw(t, func(w io.Writer) error { return Terminal(w, view(t, run), Options{Failures: 1}) }))
			s, err := Summarize(run)
			if err != nil || s.Green() != (run == green) {
				t.Errorf("green %t, %v", s.Green(), err)
			}
		})
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Lines keep to the width (but for commands, which are for copying, and headings of a failure), colour changes nothing else, and without
// colour there is no escape.
func TestTerminalKeepsItsWidth(t *testing.T) {
	run := opened(t, everyStatus(t, whole))
	large := saved(t, 1000, 61)
	for _, v := range []*View{view(t, run), view(t, large)} {
		for _, columns := range []int{80, 100, 120, 140, 200} {
			plain := draw(t, func(w io.Writer) error { return Terminal(w, v, Options{Width: columns}) })
			if bytes.ContainsRune(plain, '\x1b') {
				t.Errorf("%d columns: an escape without colour", columns)
			}
			colored := draw(t, func(w io.Writer) error { return Terminal(w, v, Options{Width: columns, Color: true}) })
			if stripped := escapes.ReplaceAll(colored, nil); !bytes.Equal(stripped, plain) {
				t.Errorf("%d columns: colour changes more than the colour", columns)
			}
			for l := range strings.SplitSeq(string(plain), "\n") {
				if width(l) > columns && !strings.Contains(l, "pgauthmatrix explain '") && !strings.Contains(l, "pgauthmatrix run '") && !strings.Contains(l, "negotiation/") {
					t.Errorf("%d columns: %d in %q", columns, width(l), l)
				}
				if strings.TrimRight(l, " ") != l {
					t.Errorf("%d columns: blanks at the end of %q", columns, l)
				}
			}
		}
	}
}

// The matrix, the cases and the totals say the same as the records.
func TestTotalsAddUp(t *testing.T) {
	run := saved(t, 1200, 23)
	cells, connected, downgrades, failing := 0, 0, 0, 0
	records, err := recordsOf(t, run)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		cells++
		if o := outcomeOf(r); o != nil && o.End == matrix.Connected {
			connected++
			if o.Descent() == matrix.Downgrade {
				downgrades++
			}
		}
		if r.Verdict.Status.Fails() {
			failing++
		}
	}
	v := view(t, run)
	var sum, worlds, blocks Block
	for _, s := range v.Scenarios {
		sum.merge(&s.Block)
		for _, w := range s.Worlds {
			worlds.merge(&w.Block)
			for _, b := range w.Blocks {
				blocks.merge(b)
			}
		}
	}
	for name, b := range map[string]Block{"scenarios": sum, "worlds": worlds, "blocks": blocks} {
		if b.Cells != cells || b.Connected != connected || b.Downgrade != downgrades || b.Failing() != failing || cells != 1200 || failing == 0 || downgrades == 0 {
			t.Errorf("%s: %+v, failing %d; the records have %d cells, %d connected, %d downgraded, %d failing", name, b, b.Failing(), cells, connected, downgrades, failing)
		}
	}
	ways := 0
	for i, f := range v.Failures {
		ways += f.Count
		if i > 0 && f.Verdict.Severity < v.Failures[i-1].Verdict.Severity {
			t.Errorf("failure %d is worse than the one before", i)
		}
	}
	if ways != failing {
		t.Errorf("%d failures are filed, %d cells fail", ways, failing)
	}
}

// The cases are the records in short, each with the way in which it fails.
func TestCasesAreTheRecords(t *testing.T) {
	run := saved(t, 600, 7)
	records, err := recordsOf(t, run)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]Case{}
	for _, s := range view(t, run).Scenarios {
		for _, c := range s.Cases {
			cases[s.Name+"/"+c.Name] = c
		}
	}
	if len(cases) != len(records) {
		t.Errorf("%d cases of %d records", len(cases), len(records))
	}
	for _, r := range records {
		c, fails := cases[r.ID], r.Verdict.Status.Fails()
		if c.Status != r.Verdict.Status || c.Micros != r.Micros || (c.Group != nil) != fails || (c.Record != nil) != fails {
			t.Errorf("%s: %+v of %+v", r.ID, c, r.Verdict)
		}
		if fails && (c.Record.ID != r.ID || c.Group.Verdict.Status != r.Verdict.Status) || !fails && c.Cause != r.Verdict.Cause {
			t.Errorf("%s: %+v", r.ID, c)
		}
	}
}

// lettered makes digits letters, so that numbers are different causes.
func lettered(digit rune) rune { return digit - '0' + 'a' }

// However many ways to fail there are, the worst are drawn, and all are counted.
func TestWorstFailuresAreKept(t *testing.T) {
	cells := 3 * groupsKept
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(cells))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	generate(cells, 0, func(r *Record) {
		n++
		r.Verdict = verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "fault " + strings.Map(lettered, strconv.Itoa(n))}
		if n > cells-3 {
			r.Verdict = verdict.Verdict{Status: verdict.Differ, Severity: verdict.MustNotConnect, Cause: "hole " + strings.Map(lettered, strconv.Itoa(n))}
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	v := view(t, opened(t, file.Bytes()))
	kept := 0
	for i, f := range v.Failures {
		if f.Record != nil {
			kept++
		}
		if (f.Verdict.Severity == verdict.MustNotConnect) != (i < 3) || i < 3 && f.Record == nil {
			t.Errorf("failure %d has severity %d, kept %t", i, f.Verdict.Severity, f.Record != nil)
		}
	}
	if len(v.Failures) != cells || kept != groupsKept {
		t.Errorf("%d ways, %d kept", len(v.Failures), kept)
	}
	text := string(draw(t, func(w io.Writer) error { return Terminal(w, v, Options{Failures: 5}) }))
	if !strings.Contains(text, "and more   1,495 cells that fail in 1,495 other groups") || strings.Count(text, "\n  repeat ") != 5 {
		t.Error("five are drawn and the rest is counted:\n" + text[strings.Index(text, "Failures"):])
	}
}

// Cells that one cause breaks are one way to fail, whatever their scenario; cells that differ are not.
func TestOneCauseIsOneWay(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(240))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	generate(240, 0, func(r *Record) {
		switch n++; n % 20 {
		case 0:
			r.Verdict = verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "the server was killed"}
		case 1:
			r.Verdict = verdict.Verdict{Status: verdict.Drift, Severity: verdict.IsDrift, Differences: []verdict.Difference{{Field: matrix.FieldRule, Against: verdict.Golden, Want: "a", Observed: "b"}}}
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	v := view(t, opened(t, file.Bytes()))
	if len(v.Failures) != 13 || v.Failures[0].Count != 12 || v.Failures[0].Verdict.Status != verdict.Broken || v.Failures[12].Count != 1 {
		t.Errorf("%d ways: %+v", len(v.Failures), v.Failures[0])
	}
}

// A run of which every cell fails: the evidence of so many is held, the others name the first cell that failed alike.
func TestJUnitBoundsWhatIsHeld(t *testing.T) {
	const cells = casesKept + 10
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(cells))
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	generate(cells, 0, func(r *Record) {
		last = r.ID
		r.Verdict = verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "the server was killed"}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	run := opened(t, file.Bytes())
	text := draw(t, func(w io.Writer) error { return JUnit(w, view(t, run), Options{}) })
	checkJUnit(t, text, run)
	if got := bytes.Count(text, []byte("evidence")); got < casesKept || got >= cells+casesKept {
		t.Errorf("%d cells with evidence", got)
	}
	if n := bytes.Count(text, []byte("fails like ")); n != 10 {
		t.Errorf("%d cells refer to another one, want 10", n)
	}
	if !bytes.Contains(text, []byte("pgauthmatrix run &#39;"+last)) {
		t.Errorf("the last cell cannot be repeated:\n%s", text[len(text)-1000:])
	}
}

func TestJUnit(t *testing.T) {
	for name, end := range map[string]Trailer{
		"junit.xml":             whole,
		"junit-interrupted.xml": {Interrupted: "interrupt", NotReached: map[string]int{"tickets/spn": 4}, Stale: []Stale{{Pattern: "negotiation/gone", Pos: "scenarios/divergences.yaml:9:3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			run := opened(t, everyStatus(t, end))
			text := draw(t, func(w io.Writer) error { return JUnit(w, view(t, run), Options{}) })
			golden(t, name, text)
			checkJUnit(t, text, run)
		})
	}
}

// BenchmarkPublish draws a run in every format, as the end of a run does.
func BenchmarkPublish(b *testing.B) {
	run := saved(b, 5000, 97)
	b.ReportAllocs()
	for b.Loop() {
		v := view(b, run)
		for _, f := range Formats {
			if err := f.Render(io.Discard, v, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "cells/s")
}

// checkJUnit reads the XML back: strictly well-formed, and the attributes add up.
func checkJUnit(t *testing.T, text []byte, run *Run) {
	t.Helper()
	var all struct {
		Name     string        `xml:"name,attr"`
		Tests    int           `xml:"tests,attr"`
		Failures int           `xml:"failures,attr"`
		Errors   int           `xml:"errors,attr"`
		Suites   []*junitSuite `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, r := range string(text) {
		if r < ' ' && r != '\n' && r != '\t' {
			t.Errorf("control character %q", r)
		}
	}
	summary, err := Summarize(run)
	if err != nil {
		t.Fatal(err)
	}
	var sum junitSuite
	for i, s := range all.Suites {
		checkSuite(t, i, s)
		sum.Tests, sum.Failures, sum.Errors, sum.Skipped = sum.Tests+s.Tests, sum.Failures+s.Failures, sum.Errors+s.Errors, sum.Skipped+s.Skipped
	}
	beside := len(summary.Stale)
	if summary.Incomplete != "" {
		beside++
	}
	c := summary.Counts
	got := []int{sum.Tests, sum.Failures, sum.Errors, sum.Skipped, all.Tests, all.Failures, all.Errors}
	want := []int{c.Total() + beside, c[verdict.Differ] + c[verdict.Drift], c[verdict.Broken] + beside, c[verdict.Known] + c[verdict.NotApplicable]}
	if want = append(want, want[:3]...); !slices.Equal(got, want) {
		t.Errorf("tests, failures, errors, skipped of the suites and of the whole: %v, want %v of %v", got, want, c)
	}
}

// checkSuite: the attributes of a suite count its cases, and a case that is skipped says why.
func checkSuite(t *testing.T, id int, s *junitSuite) {
	t.Helper()
	if s.ID != id || s.Tests != len(s.Cases) || s.Name == "" || s.Timestamp == "" || s.Hostname == "" {
		t.Errorf("suite %+v", s)
	}
	own := [3]int{}
	for _, c := range s.Cases {
		if c.Failure != nil {
			own[0]++
		}
		if c.Error != nil {
			own[1]++
		}
		if c.Skipped != nil {
			own[2]++
			if c.Skipped.Message == "" {
				t.Errorf("%s is skipped without a reason", c.Name)
			}
		}
	}
	if own != [3]int{s.Failures, s.Errors, s.Skipped} {
		t.Errorf("%s says %d %d %d and has %v", s.Name, s.Failures, s.Errors, s.Skipped, own)
	}
}

func TestEvidenceOfAnAttack(t *testing.T) {
	r := &Record{Observation: &matrix.Observation{Evidence: matrix.Evidence{
		Client: matrix.ClientEvidence{Raw: &matrix.RawEvidence{Sequence: matrix.GSSENCInTLS, End: "open"}},
		Connections: []matrix.ConnectionEvidence{{Wire: []matrix.WireEvent{{From: "relay", Kind: "open"}, {From: "client", Kind: "sslrequest"},
			{From: "attacker", Kind: "answered", Deed: &matrix.WireDeed{Said: "N", To: "sslrequest"}}, {From: "server", Kind: "answer", Answer: "N"}}}},
	}}}
	want := []evidence{{"raw", "gssenc-in-tls, at its end: open"}, {"wire", "›\u00a0sslrequest [attacker: answered N to sslrequest] ‹\u00a0answer N"}}
	if got := evidenceLines(r); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMarkdown(t *testing.T) {
	run := opened(t, everyStatus(t, whole))
	golden(t, "summary.md", draw(t, func(w io.Writer) error { return Markdown(w, view(t, run), Options{Failures: 3}) }))
	golden(t, "summary-green.md", draw(t, func(w io.Writer) error { return Markdown(w, view(t, saved(t, 240, 0)), Options{}) }))
}

func TestExplain(t *testing.T) {
	differs := theCell("negotiation/both-enabled", "wide", 17, "libpq17", "sslmode=require")
	p, o := connectedByTLS(17)
	p.Outcome.Rule = "pg_hba.conf:3"
	o.Outcome.Rule = "pg_hba.conf:2"
	record := NewRecord(differs, p, &o, verdict.Judge(differs, p, &o, nil, nil), sampleStart, 6*time.Millisecond)
	hidden := theCell("negotiation/both-enabled", "wide", 13, "libpq17", "sslmode=require")
	hidden.World.Ident = "krb  /^(.*)@EXAMPLE.TEST$  \\1\n"
	pq := theCell("negotiation/both-enabled", "wide", 17, matrix.PQ, "gssencmode=prefer")
	pq.Client.GSSEncMode = "prefer"
	local := theCell("negotiation/local", "", 17, "psql17", "transport=unix")
	refusal, localSaw := refusedAtHBA()
	refusal.Outcome.Channel, refusal.Outcome.Trace = matrix.Plain, []matrix.Step{matrix.StepConnect, matrix.StepAuthFail}
	localSaw.Outcome = refusal.Outcome
	localSaw.Evidence.Connections[0].ServerPort, localSaw.Evidence.Connections[0].Wire = 0, nil
	localRecord := NewRecord(local, refusal, &localSaw, verdict.Judge(local, refusal, &localSaw, nil, nil), sampleStart, time.Millisecond)
	attacked := *localRecord
	attacked.ID, attacked.Verdict = "attacks/case/pg17/raw/attack=strip", verdict.Verdict{Status: verdict.Differ, Severity: verdict.OtherDiffer}
	attacked.Observation = &matrix.Observation{Outcome: attacked.Predicted, Evidence: matrix.Evidence{
		Client: matrix.ClientEvidence{Raw: &matrix.RawEvidence{Sequence: matrix.GSSENCInTLS, End: "closed", Error: "08P01 invalid length of startup packet", TLS: "the server answered N", Executed: []string{"SELECT 1"}}},
		Connections: []matrix.ConnectionEvidence{{ServerPort: 41020,
			Wire:     []matrix.WireEvent{{Micros: 10, From: "relay", Kind: "open"}, {Micros: 100, From: "client", Kind: "sslrequest"}, {Micros: 200, From: "attacker", Kind: "answered", Deed: &matrix.WireDeed{Said: "N", To: "sslrequest"}}, {Micros: 220, From: "server", Kind: "answer", Answer: "N"}},
			Upstream: []matrix.WireEvent{{Micros: 300, From: "client", Kind: "startup", Startup: &matrix.WireStartup{User: "alice"}}, {Micros: 400, From: "server", Kind: "auth-request", Auth: "ok"}}}}}}
	about := *localRecord
	about.About = &Scenario{Name: "negotiation/local", Question: "May a client that has no ticket come in over the local socket?", Claims: []string{"S2"}}
	crashed := NewRecord(local, refusal, &matrix.Observation{Fault: "the client crashed: signal 11"}, verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "the client crashed: signal 11"}, sampleStart, time.Millisecond)
	skipped := NewRecord(pq, matrix.Prediction{}, nil, verdict.Judge(pq, matrix.Prediction{}, nil, nil, nil), sampleStart, 0)
	lost := NewRecord(local, refusal, nil, verdict.Judge(local, refusal, nil, nil, nil), sampleStart, 0)
	for name, draw1 := range map[string]func(io.Writer) error{
		"explain.txt":          func(w io.Writer) error { return Explain(w, differs, p, nil, Options{}) },
		"explain-hidden.txt":   func(w io.Writer) error { return Explain(w, hidden, p, nil, Options{}) },
		"explain-record.txt":   func(w io.Writer) error { return Explain(w, differs, p, record, Options{}) },
		"explain-color.txt":    func(w io.Writer) error { return Explain(w, differs, p, record, Options{Color: true, Width: 80}) },
		"explain-about.txt":    func(w io.Writer) error { return Explain(w, nil, matrix.Prediction{}, &about, Options{}) },
		"explain-attack.txt":   func(w io.Writer) error { return Explain(w, nil, matrix.Prediction{}, &attacked, Options{}) },
		"explain-local.txt":    func(w io.Writer) error { return Explain(w, nil, matrix.Prediction{}, localRecord, Options{}) },
		"explain-broken.txt":   func(w io.Writer) error { return Explain(w, nil, matrix.Prediction{}, crashed, Options{}) },
		"explain-not-for.txt":  func(w io.Writer) error { return Explain(w, pq, matrix.Prediction{}, skipped, Options{}) },
		"explain-not-for2.txt": func(w io.Writer) error { return Explain(w, nil, matrix.Prediction{}, skipped, Options{}) },
		"explain-lost.txt":     func(w io.Writer) error { return Explain(w, local, refusal, lost, Options{}) },
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, draw(t, draw1)) })
	}
}
