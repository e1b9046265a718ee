package reports

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Hostname   string          `xml:"hostname,attr"`
	ID         int             `xml:"id,attr"`
	Package    string          `xml:"package,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out"`
	Err        string          `xml:"system-err"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Classname string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Skipped   *junitMessage `xml:"skipped"`
	Error     *junitProblem `xml:"error"`
	Failure   *junitProblem `xml:"failure"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// Above junitCells cells, those that do not fail are told together: GitLab takes 500,000 objects and 30 MB in a file. A file has at most
// junitCases cases: Buildkite takes no more.
const (
	junitCells = 20_000
	junitCases = 5_000
)

// JUnit writes JUnit XML: a suite per scenario, a test case per cell, in the elements, order and attributes that both the
// Jenkins and the Ant schema allow. Differ and Drift are failures, Broken is an error, Known and NotApplicable are
// skipped with their reason. Whatever else makes the run fail (it is incomplete, a divergence is stale) is an error in a
// suite of its own. One suite at a time is held.
func JUnit(w io.Writer, v *View, o Options) error { return junitFile(w, v, junitRows(v), 0, o) }

// junitFiles are the parts of JUnit's report, each with its share of the cases.
func junitFiles(v *View, o Options) (parts []func(io.Writer) error) {
	first := 0 // number of the first suite: Jenkins takes two suites of one name and number for one
	for rows := range slices.Chunk(junitRows(v), junitCases) {
		id := first
		parts = append(parts, func(w io.Writer) error { return junitFile(w, v, rows, id, o) })
		first += len(bySuite(rows))
	}
	if parts == nil {
		parts = append(parts, func(w io.Writer) error { return junitFile(w, v, nil, 0, o) })
	}
	return parts
}

// junitRow is one test case before it is drawn: a cell, several cells, or what is no cell.
type junitRow struct {
	scenario *ScenarioView // nil for what is no cell
	cell     *Case
	sum      *summed
	beside   *junitCase
}

// summed are the cells of one scenario, server and client that do not fail.
type summed struct {
	name   string
	counts verdict.Counts
	micros int64
	cause  string // of the first that was skipped
}

func junitRows(v *View) (rows []junitRow) {
	single := v.Counts.Total() <= junitCells
	for _, s := range v.Scenarios {
		byName := map[string]*summed{}
		for i := range s.Cases {
			c := &s.Cases[i]
			if single || c.Status.Fails() {
				rows = append(rows, junitRow{scenario: s, cell: c})
				continue
			}
			name := "pg" + v.axes.value(c.row, "server") + "/" + v.axes.value(c.row, "library")
			t := byName[name]
			if t == nil {
				t = &summed{name: name, counts: verdict.Counts{}}
				byName[name] = t
				rows = append(rows, junitRow{scenario: s, sum: t})
			}
			t.counts[c.Status]++
			t.micros += c.Micros
			t.cause = cmp.Or(t.cause, c.Cause)
		}
	}
	for _, c := range besideCells(v) {
		rows = append(rows, junitRow{beside: &c})
	}
	return rows
}

// bySuite cuts rows where the suite changes.
func bySuite(rows []junitRow) (suites [][]junitRow) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].scenario == rows[0].scenario {
			n++
		}
		suites, rows = append(suites, rows[:n]), rows[n:]
	}
	return suites
}

func junitFile(w io.Writer, v *View, rows []junitRow, id int, o Options) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, xml.Header)
	encoder := xml.NewEncoder(out)
	encoder.Indent("", " ")
	start := xml.StartElement{Name: xml.Name{Local: "testsuites"}, Attr: junitTotals(v, rows)}
	if err := encoder.EncodeToken(start); err != nil {
		return err
	}
	for _, suite := range bySuite(rows) {
		if err := encoder.Encode(suiteOf(v, suite, id, o)); err != nil {
			return err
		}
		id++
	}
	if err := errors.Join(encoder.EncodeToken(start.End()), encoder.Close()); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// junitTotals are the attributes of the outermost element.
func junitTotals(v *View, rows []junitRow) []xml.Attr {
	var micros int64
	failures, failed := 0, 0
	for _, r := range rows {
		switch {
		case r.beside != nil:
			failed++
		case r.sum != nil:
			micros += r.sum.micros
		default:
			micros += r.cell.Micros
			switch r.cell.Status {
			case verdict.Differ, verdict.Drift:
				failures++
			case verdict.Broken:
				failed++
			}
		}
	}
	number := func(name string, n int) xml.Attr {
		return xml.Attr{Name: xml.Name{Local: name}, Value: strconv.Itoa(n)}
	}
	return []xml.Attr{
		{Name: xml.Name{Local: "name"}, Value: "pgauthmatrix " + v.Header.Run},
		number("tests", len(rows)), number("failures", failures), number("errors", failed),
		{Name: xml.Name{Local: "time"}, Value: seconds(micros)},
	}
}

func newSuite(h Header, name string, about *Scenario, id int) *junitSuite {
	family, _, _ := strings.Cut(name, "/")
	s := &junitSuite{Name: name, ID: id, Package: family, Hostname: "localhost", Timestamp: h.Start.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"run", h.Run}, {"tool", h.Tool}, {"selection", h.Selection}}}
	if about == nil {
		return s
	}
	for _, p := range []junitProperty{{"question", about.Question}, {"claims", strings.Join(about.Claims, " ")}, {"museum", strings.Join(about.Museum, " ")}} {
		if p.Value != "" {
			s.Properties = append(s.Properties, p)
		}
	}
	return s
}

// suiteOf draws the rows of one scenario, or those that are no cells.
func suiteOf(v *View, rows []junitRow, id int, o Options) *junitSuite {
	view := rows[0].scenario
	if view == nil {
		s := newSuite(v.Header, runSuite, nil, id)
		for _, r := range rows {
			s.Cases = append(s.Cases, *r.beside)
		}
		s.Tests, s.Errors, s.Time = len(rows), len(rows), seconds(0)
		return s
	}
	s := newSuite(v.Header, view.Name, view.About, id)
	s.Cases = make([]junitCase, 0, len(rows))
	var micros int64
	for _, r := range rows {
		if r.sum != nil {
			s.addSummed(view.Name, r.sum)
			micros += r.sum.micros
			continue
		}
		s.add(view.Name, r.cell, v.Path, o)
		micros += r.cell.Micros
	}
	s.Tests, s.Time = len(s.Cases), seconds(micros)
	return s
}

// addSummed adds a case for cells that do not fail. It is skipped if all of them are; the suite's output counts them.
func (s *junitSuite) addSummed(scenario string, t *summed) {
	test := junitCase{Name: printable(t.name), Classname: strings.ReplaceAll(scenario, "/", "."), Time: seconds(t.micros)}
	var words []string
	for _, status := range verdict.Statuses {
		if n := t.counts[status]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", status, n))
		}
	}
	if t.counts[verdict.Agree] == 0 {
		s.Skipped++
		test.Skipped = &junitMessage{printable(strings.Join(words, ", ") + ": " + t.cause)}
	}
	s.Out += printable(t.name) + ": " + strings.Join(words, ", ") + "\n"
	s.Cases = append(s.Cases, test)
}

func (s *junitSuite) add(scenario string, c *Case, path string, o Options) {
	test := junitCase{Name: printable(c.Name), Classname: strings.ReplaceAll(scenario, "/", "."), Time: seconds(c.Micros)}
	switch c.Status {
	case verdict.Agree:
	case verdict.Known, verdict.NotApplicable:
		s.Skipped++
		test.Skipped = &junitMessage{printable(string(c.Status) + ": " + c.Cause)}
	case verdict.Differ, verdict.Drift:
		s.Failures++
		test.Failure = problem(scenario, c, path, o)
	default:
		s.Errors++
		test.Error = problem(scenario, c, path, o)
	}
	s.Cases = append(s.Cases, test)
}

// problem is the text of a failing cell. Where the View no longer holds its record, the text refers to the first cell
// that failed in the same way.
func problem(scenario string, c *Case, path string, o Options) *junitProblem {
	var text strings.Builder
	p := newPage(&text, path, Options{Repeat: o.Repeat})
	if c.Record != nil {
		p.failure(c.Record)
	} else {
		p.command("fails like", c.Group.First)
		p.repeat(scenario + "/" + c.Name)
	}
	_ = p.Flush() // a strings.Builder takes everything
	message := c.Group.Message()
	if c.Group.Explained {
		message = c.Group.Where.String() + ": " + message
	}
	return &junitProblem{Message: printable(message), Type: string(c.Status), Text: text.String()}
}

// runSuite is the name of the suite for what fails the run but is no cell.
const runSuite = "pgauthmatrix/run"

func besideCells(v *View) []junitCase {
	var cases []junitCase
	fail := func(name, message string) {
		cases = append(cases, junitCase{Name: name, Classname: strings.ReplaceAll(runSuite, "/", "."), Time: seconds(0),
			Error: &junitProblem{Message: printable(message), Type: string(verdict.Broken)}})
	}
	if v.Incomplete != "" {
		fail("complete", fmt.Sprintf("%s; %d of %d cells were judged", v.Incomplete, v.Counts.Total(), v.Header.Cells))
	}
	for _, d := range v.Stale {
		fail("stale "+d.Pattern, d.Pos+": names no cell; remove the entry")
	}
	return cases
}

func seconds(us int64) string {
	return fmt.Sprintf("%.3f", (time.Duration(us) * time.Microsecond).Seconds())
}
