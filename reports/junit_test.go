package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// sized is a View of so many cells without evidence, of which every failEvery-th is Broken.
func sized(cells, failEvery int) *View {
	v := &View{Header: sampleHeader(cells), Summary: Summary{Counts: verdict.Counts{}}, axes: newAxisTable()}
	broken := &Group{Verdict: verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "the server was killed"}, First: "first"}
	servers, libraries := []string{"13", "15", "17", "18"}, strings.Fields("libpq13 libpq15 libpq17 libpq18 psql17 psql18 pgx pq")
	for i := range cells {
		if i%500 == 0 {
			v.Scenarios = append(v.Scenarios, &ScenarioView{Name: fmt.Sprintf("family/scenario-%d", i/500)})
		}
		s := v.Scenarios[len(v.Scenarios)-1]
		axes := map[string]string{"server": servers[i%4], "library": libraries[i/4%8]}
		c := Case{Name: fmt.Sprintf("pg%s/ssl=on/%s/n=%d", axes["server"], axes["library"], i), Status: verdict.Agree, Micros: 1000, row: v.axes.add(s.Name, axes)}
		switch {
		case failEvery > 0 && i%failEvery == 0:
			c.Status, c.Group = verdict.Broken, broken
		case axes["library"] == "pq":
			c.Status, c.Cause = verdict.NotApplicable, "pq has no GSS encryption"
		}
		v.Counts[c.Status]++
		s.Cases = append(s.Cases, c)
	}
	return v
}

// parsed are the parts of a report, read back.
type parsed struct {
	Tests    int           `xml:"tests,attr"`
	Failures int           `xml:"failures,attr"`
	Errors   int           `xml:"errors,attr"`
	Suites   []*junitSuite `xml:"testsuite"`
}

// However many cells there are: no file has more than 5,000 cases, 250,000 objects or 30 MB, all have different names and all suites
// different numbers, and every cell that fails is a case of its own.
func TestJUnitLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	for _, tt := range []struct{ cells, failEvery, cases, files int }{
		{0, 0, 0, 1}, {5000, 7, 5000, 1}, {5001, 0, 5001, 2}, {20_000, 13, 20_000, 4},
		{20_001, 0, 41*32 - 31, 1}, {150_000, 100, 300*32 + 1500, 3}, {150_000, 1, 150_000, 30},
	} {
		t.Run(fmt.Sprintf("%d cells, 1 of %d fails", tt.cells, tt.failEvery), func(t *testing.T) {
			dir := t.TempDir()
			for _, old := range []string{"junit.xml", "junit-1.xml", "junit-77.xml"} {
				if err := os.WriteFile(filepath.Join(dir, old), []byte("old"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			v := sized(tt.cells, tt.failEvery)
			f, _ := FormatByName("junit")
			paths, err := f.write(dir, v, Options{})
			if err != nil {
				t.Fatal(err)
			}
			there, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(there)
			if slices.Sort(paths); !slices.Equal(there, paths) || len(paths) != tt.files || tt.files == 1 && filepath.Base(paths[0]) != "junit.xml" {
				t.Errorf("wrote %v; there are %v", paths, there)
			}
			names, ids, cases, failed := map[string]bool{}, map[string]bool{}, 0, 0
			for _, path := range paths {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				var all parsed
				if err := xml.Unmarshal(text, &all); err != nil {
					t.Fatal(err)
				}
				own := 0
				for _, s := range all.Suites {
					if key := fmt.Sprint(s.Name, s.ID); ids[key] {
						t.Errorf("two suites %s with number %d", s.Name, s.ID)
					} else {
						ids[key] = true
					}
					checkSuite(t, s.ID, s)
					own += len(s.Cases)
					for _, c := range s.Cases {
						if key := c.Classname + " " + c.Name; names[key] {
							t.Errorf("two cases %s", key)
						} else {
							names[key] = true
						}
						if c.Error != nil {
							failed++
						}
					}
				}
				if objects := bytes.Count(text, []byte("<")); own > junitCases || own != all.Tests || objects > 250_000 || len(text) > 30<<20 {
					t.Errorf("%s has %d cases, says %d, and has %d tags and %d bytes", path, own, all.Tests, objects, len(text))
				}
				cases += own
			}
			if cases != tt.cases || failed != v.Counts[verdict.Broken] {
				t.Errorf("%d cases, want %d; %d failed, want %d", cases, tt.cases, failed, v.Counts[verdict.Broken])
			}
		})
	}
}

// Cells that are told together are counted in the suite's output, and skipped only if all of them are.
func TestJUnitTogether(t *testing.T) {
	v := sized(junitCells+1, 64)
	text := string(draw(t, func(w io.Writer) error { return JUnit(w, v, Options{}) }))
	for _, want := range []string{
		`<testcase name="pg15/libpq13" classname="family.scenario-0" time="0.016"></testcase>`,
		`<skipped message="NotApplicable 15: pq has no GSS encryption"></skipped>`,
		"pg15/libpq13: Agree 16\n", "pg13/libpq13: Agree 8\n",
		`<testcase name="pg13/ssl=on/libpq13/n=64" classname="family.scenario-0" time="0.001">`,
	} {
		if !strings.Contains(text, strings.ReplaceAll(want, "\n", "&#xA;")) && !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text[:6000])
		}
	}
}

// A summary is cut between two blocks, with a sentence.
func TestMarkdownLimit(t *testing.T) {
	v := sized(100, 2)
	v.Incomplete = "interrupt"
	long := strings.Repeat("a long cause ", 1000)
	for i := range 200 {
		v.Failures = append(v.Failures, &Group{Count: 1, First: fmt.Sprint("cell/", i), Verdict: verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: long},
			Record: &Record{ID: fmt.Sprint("cell/", i), Verdict: verdict.Verdict{Status: verdict.Broken, Cause: long}}})
	}
	text := string(draw(t, func(w io.Writer) error { return Markdown(w, v, Options{Failures: -1}) }))
	if len(text) > markdownLimit || len(text) < markdownLimit-20_000 {
		t.Errorf("%d bytes", len(text))
	}
	if !strings.HasSuffix(text, "</details>\n\n"+markdownCut) || strings.Count(text, "<details>") != strings.Count(text, "</details>") {
		t.Errorf("it ends with %q", text[len(text)-300:])
	}
	v.Failures = v.Failures[:10]
	if text := string(draw(t, func(w io.Writer) error { return Markdown(w, v, Options{Failures: -1}) })); strings.Contains(text, markdownCut) || strings.Count(text, "<details>") != 10 {
		t.Error("a short summary is cut")
	}
}

// The table has a row for each cell, with the values of its axes and what the record says.
func TestCSV(t *testing.T) {
	run := opened(t, everyStatus(t, whole))
	records, err := recordsOf(t, run)
	if err != nil {
		t.Fatal(err)
	}
	text := draw(t, func(w io.Writer) error { return CSV(w, view(t, run), Options{}) })
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) != len(records)+1 {
		t.Fatalf("%d rows of %d records, %v", len(rows), len(records), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	byID := map[string][]string{}
	for _, row := range rows[1:] {
		byID[row[column["id"]]] = row
	}
	for _, r := range records {
		row := byID[r.ID]
		if row == nil {
			t.Errorf("no row of %s", r.ID)
			continue
		}
		for axis, value := range r.Axes {
			if got := row[column[axis]]; got != value {
				t.Errorf("%s: %s is %q, want %q", r.ID, axis, got, value)
			}
		}
		observed := ""
		if o := outcomeOf(r); o != nil {
			observed = o.String()
		}
		if row[column["status"]] != string(r.Verdict.Status) || row[column["observed"]] != observed || r.Predicted.End != "" && row[column["predicted"]] != r.Predicted.String() || row[column["run"]] != "r7f3a" {
			t.Errorf("%s: %q", r.ID, row)
		}
		if (row[column["differs_in"]] != "") != (len(r.Verdict.Differences) > 0 && r.Verdict.Status.Fails()) || row[column["cause"]] != r.Verdict.Cause {
			t.Errorf("%s: %q of %+v", r.ID, row, r.Verdict)
		}
	}
}
