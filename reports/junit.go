package reports

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
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

// JUnit writes JUnit XML: a suite per scenario, a test case per cell, in the elements, order and attributes that both the
// Jenkins and the Ant schema allow. Differ and Drift are failures, Broken is an error, Known and NotApplicable are
// skipped with their reason. Whatever else makes the run fail (it is incomplete, a divergence is stale) is an error in a
// suite of its own. One suite at a time is held.
func JUnit(w io.Writer, v *View, o Options) error {
	all := junitTotals(v)
	out := bufio.NewWriter(w)
	fmt.Fprint(out, xml.Header)
	encoder := xml.NewEncoder(out)
	encoder.Indent("", " ")
	start := xml.StartElement{Name: xml.Name{Local: "testsuites"}, Attr: all}
	if err := encoder.EncodeToken(start); err != nil {
		return err
	}
	beside := besideCells(v)
	id := 0
	for _, s := range v.Scenarios {
		if err := encoder.Encode(suiteOf(v, s, id, o)); err != nil {
			return err
		}
		id++
	}
	if len(beside) > 0 {
		suite := newSuite(v.Header, runSuite, nil, id)
		suite.Cases, suite.Tests, suite.Errors, suite.Time = beside, len(beside), len(beside), seconds(0)
		if err := encoder.Encode(suite); err != nil {
			return err
		}
	}
	if err := errors.Join(encoder.EncodeToken(start.End()), encoder.Close()); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// junitTotals are the attributes of the outermost element.
func junitTotals(v *View) []xml.Attr {
	var micros int64
	for _, s := range v.Scenarios {
		for _, c := range s.Cases {
			micros += c.Micros
		}
	}
	beside := len(besideCells(v))
	number := func(name string, n int) xml.Attr {
		return xml.Attr{Name: xml.Name{Local: name}, Value: strconv.Itoa(n)}
	}
	return []xml.Attr{
		{Name: xml.Name{Local: "name"}, Value: "pgauthmatrix " + v.Header.Run},
		number("tests", v.Counts.Total()+beside),
		number("failures", v.Counts[verdict.Differ]+v.Counts[verdict.Drift]),
		number("errors", v.Counts[verdict.Broken]+beside),
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

func suiteOf(v *View, view *ScenarioView, id int, o Options) *junitSuite {
	s := newSuite(v.Header, view.Name, view.About, id)
	s.Cases = make([]junitCase, 0, len(view.Cases))
	var micros int64
	for i := range view.Cases {
		s.add(view.Name, &view.Cases[i], v.Path, o)
		micros += view.Cases[i].Micros
	}
	s.Tests, s.Time = len(s.Cases), seconds(micros)
	return s
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
