package reports

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

type junitSuites struct {
	XMLName  xml.Name      `xml:"testsuites"`
	Name     string        `xml:"name,attr"`
	Tests    int           `xml:"tests,attr"`
	Failures int           `xml:"failures,attr"`
	Errors   int           `xml:"errors,attr"`
	Time     string        `xml:"time,attr"`
	Suites   []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
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
	micros     int64
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
// Jenkins and the Ant schema allow. Differ and Drift are failures, Broken is an error,
// Known and NotApplicable are skipped with their reason. What makes a run fail beside its cells (it is incomplete, a
// divergence is stale) is an error in a suite of its own.
func JUnit(w io.Writer, run *Run) error {
	suites := map[string]*junitSuite{}
	t, err := tallyRun(run, func(r *Record) {
		s := suites[r.Scenario]
		if s == nil {
			s = newSuite(run.Header, r.Scenario)
			suites[r.Scenario] = s
		}
		s.add(r)
	})
	if err != nil {
		return err
	}
	all := junitSuites{Name: "pgauthmatrix " + run.Header.Run}
	for _, s := range t.scenarios {
		all.Suites = append(all.Suites, suites[s.name])
	}
	if s := runSuite(t); len(s.Cases) > 0 {
		all.Suites = append(all.Suites, s)
	}
	var micros int64
	for i, s := range all.Suites {
		s.ID, s.Time = i, seconds(s.micros)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		micros += s.micros
	}
	all.Time = seconds(micros)
	out := bufio.NewWriter(w)
	fmt.Fprint(out, xml.Header)
	encoder := xml.NewEncoder(out)
	encoder.Indent("", " ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return out.Flush()
}

func newSuite(h Header, name string) *junitSuite {
	family, _, _ := strings.Cut(name, "/")
	return &junitSuite{Name: name, Package: family, Hostname: "localhost", Timestamp: h.Start.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"run", h.Run}, {"tool", h.Tool}, {"selection", h.Selection}}}
}

func (s *junitSuite) add(r *Record) {
	c := junitCase{Name: printable(strings.TrimPrefix(r.ID, r.Scenario+"/")), Classname: strings.ReplaceAll(r.Scenario, "/", "."), Time: seconds(r.Micros)}
	v := r.Verdict
	switch v.Status {
	case verdict.Agree:
	case verdict.Known, verdict.NotApplicable:
		s.Skipped++
		c.Skipped = &junitMessage{printable(string(v.Status) + ": " + v.Cause)}
	case verdict.Differ, verdict.Drift:
		s.Failures++
		c.Failure = problem(r)
	default:
		s.Errors++
		c.Error = problem(r)
	}
	s.Tests++
	s.micros += r.Micros
	s.Cases = append(s.Cases, c)
}

func problem(r *Record) *junitProblem {
	v := r.Verdict
	message := v.Cause
	if message == "" {
		message = "differs in " + strings.Join(differingFields(v.Differences), ", ")
	}
	var text strings.Builder
	p := &page{Writer: bufio.NewWriter(&text), Options: Options{}.filled(), run: &Run{}}
	p.failure(&failure{record: r, count: 1})
	_ = p.Flush() // a strings.Builder takes everything
	return &junitProblem{Message: printable(message), Type: string(v.Status), Text: text.String()}
}

// runSuite holds what fails the run beside its cells.
func runSuite(t *tally) *junitSuite {
	s := newSuite(t.header, "pgauthmatrix/run")
	fail := func(name, message string) {
		s.Tests++
		s.Errors++
		s.Cases = append(s.Cases, junitCase{Name: name, Classname: "pgauthmatrix.run", Time: seconds(0),
			Error: &junitProblem{Message: printable(message), Type: string(verdict.Broken)}})
	}
	if t.Incomplete != "" {
		fail("complete", fmt.Sprintf("%s; %d of %d cells were judged", t.Incomplete, t.Counts.Total(), t.header.Cells))
	}
	for _, d := range t.Stale {
		fail("stale "+d.Pattern, d.Pos+": names no cell; remove the entry")
	}
	return s
}

func seconds(us int64) string {
	return fmt.Sprintf("%.3f", (time.Duration(us) * time.Microsecond).Seconds())
}
