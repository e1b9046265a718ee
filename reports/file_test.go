package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

func recordsOf(t *testing.T, run *Run) (records []*Record, failed error) {
	t.Helper()
	for r, err := range run.Records() {
		if err != nil {
			if failed != nil {
				t.Errorf("a second error: %v after %v", err, failed)
			}
			failed = err
			continue
		}
		records = append(records, r)
	}
	return records, failed
}

func TestRecordsComeBackWhole(t *testing.T) {
	var wrote []*Record
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(200))
	if err != nil {
		t.Fatal(err)
	}
	generate(200, 7, func(r *Record) {
		wrote = append(wrote, r)
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	run := opened(t, file.Bytes())
	want := sampleHeader(200)
	want.Format = FormatVersion
	if diff := cmp.Diff(want, run.Header); diff != "" {
		t.Errorf("header (-wrote +read):\n%s", diff)
	}
	read, err := recordsOf(t, run)
	if err != nil {
		t.Fatal(err)
	}
	traces := 0
	for i, r := range wrote {
		if r.Verdict.Status == verdict.Agree {
			if r.Observation.Evidence.KRB5Trace == "" {
				t.Fatal("writing a record changed it")
			}
			r.Observation.Evidence.KRB5Trace = ""
			continue
		}
		if r.Observation != nil && read[i].Observation.Evidence.KRB5Trace != "" {
			traces++
		}
	}
	if traces == 0 {
		t.Error("no KRB5_TRACE of a cell that does not agree was kept")
	}
	if diff := cmp.Diff(wrote, read); diff != "" {
		t.Errorf("records (-wrote +read):\n%s", diff)
	}
	found, err := run.Find(wrote[150].ID)
	if diff := cmp.Diff(wrote[150], found); err != nil || diff != "" {
		t.Errorf("Find: %v (-wrote +found):\n%s", err, diff)
	}
	if _, err := run.Find("negotiation/none"); err == nil || err.Error() != "no record of negotiation/none in run r7f3a" {
		t.Errorf("Find of a cell that is not there: %v", err)
	}
	for range run.Records() { // may be left at any time
		break
	}
}

// What a View reads of a line is the record without reasons and evidence.
func TestBriefIsTheRecord(t *testing.T) {
	generate(300, 7, func(r *Record) {
		text, err := json.Marshal(line{Record: r})
		if err != nil {
			t.Fatal(err)
		}
		var brief, whole line
		if err := errors.Join(decodeBrief(text, &brief), decodeWhole(text, &whole)); err != nil {
			t.Fatal(err)
		}
		want := whole.Record
		want.Because = nil
		if o := want.Observation; o != nil {
			o.Because, o.Evidence = nil, matrix.Evidence{}
		}
		if diff := cmp.Diff(want, brief.Record); diff != "" {
			t.Errorf("%s (-want +brief):\n%s", r.ID, diff)
		}
	})
}

// Of the cells that are not wanted only the ID is decoded, however it is written.
func TestDecodeOf(t *testing.T) {
	for text, want := range map[string]Record{
		`{"cell":{"id":"a/b","scenario":"s"}}`:        {ID: "a/b", Scenario: "s"},
		`{"cell":{"id":"a/c","scenario":"s"}}`:        {ID: "a/c"},
		`{"cell":{"scenario":"s","id":"a/c"}}`:        {ID: "a/c", Scenario: "s"},
		`{"cell":{"id":"a\u002fb","scenario":"s"}}`:   {ID: "a/b", Scenario: "s"},
		`{"cell":{"id":"a/c\"a/b\"","scenario":"s"}}`: {ID: `a/c"a/b"`, Scenario: "s"},
	} {
		var l line
		err := decodeOf(func(id string) bool { return id == "a/b" })([]byte(text), &l)
		if err != nil || cmp.Diff(&want, l.Record) != "" {
			t.Errorf("%s: %+v, %v", text, l.Record, err)
		}
	}
}

// A record knows its scenario: the header has it once. A file of an older version has none.
func TestRecordsKnowTheirScenario(t *testing.T) {
	file := lines(t, everyStatus(t, whole))
	for name, tt := range map[string]struct {
		file  []byte
		known bool
	}{"new": {file, true}, "old": {regexp.MustCompile(`,"scenarios":\[[^\n]*?\}\]`).ReplaceAll(file, nil), false}} {
		run := opened(t, tt.file)
		records, err := recordsOf(t, run)
		if err != nil {
			t.Fatal(err)
		}
		first, err := run.Find(records[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range append(records, first) {
			if want := tt.known && r.Scenario == "negotiation/both-enabled"; (r.About != nil) != want || want && r.About != &run.Header.Scenarios[0] {
				t.Errorf("%s: %s has %+v", name, r.ID, r.About)
			}
		}
		if s := view(t, run).Scenarios[0]; (s.About != nil) != tt.known {
			t.Errorf("%s: %s has %+v", name, s.Name, s.About)
		}
		if n := bytes.Count(tt.file, []byte("CVE-2026-6479")); n != len(run.Header.Scenarios) {
			t.Errorf("%s: the file holds the scenario %d times", name, n)
		}
	}
}

func TestScenariosOf(t *testing.T) {
	got := ScenariosOf([]*matrix.Scenario{{Name: "a/b", Question: "Who?", Claims: []string{"S1"}, Museum: []string{"B2"}}, {Name: "a/c"}, {Name: "a/d", Question: "How?"}},
		[]matrix.Cell{{Scenario: "a/d"}, {Scenario: "a/b"}, {Scenario: "a/d"}})
	want := []Scenario{{Name: "a/b", Question: "Who?", Claims: []string{"S1"}, Museum: []string{"B2"}}, {Name: "a/d", Question: "How?"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A run that is killed keeps what it had: however much of the file is there, reading gives the whole records in it and
// says that it is incomplete.
func TestCutOffAnywhere(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(4))
	if err != nil {
		t.Fatal(err)
	}
	ends := []int{file.Len()}
	generate(4, 2, func(r *Record) {
		if err := errors.Join(w.Write(r), w.out.Flush()); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, file.Len())
	})
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	near := func(cut int) bool {
		return slices.ContainsFunc(append(ends, len(whole)), func(end int) bool { return cut >= end-3 && cut <= end+3 })
	}
	for cut := ends[0]; cut < len(whole); cut++ {
		if cut%37 != 0 && !near(cut) {
			continue
		}
		want := 0
		for _, end := range ends[1:] {
			if end <= cut {
				want++
			}
		}
		run := opened(t, whole[:cut])
		records, err := recordsOf(t, run)
		var incomplete *Incomplete
		if len(records) != want || !errors.As(err, &incomplete) {
			t.Fatalf("cut at %d of %d: %d records and %v, want %d and *Incomplete", cut, len(whole), len(records), err, want)
		}
		s, err := Summarize(run)
		if err != nil || s.Incomplete == "" || s.Green() {
			t.Fatalf("cut at %d of %d: %+v, %v", cut, len(whole), s, err)
		}
	}
	if records, err := recordsOf(t, opened(t, whole)); len(records) != 4 || err != nil {
		t.Errorf("whole: %d records, %v", len(records), err)
	}
	text := lines(t, whole)
	for cut := bytes.IndexByte(text, '\n') + 1; cut < len(text); cut += 997 { // a file of an older version
		records, err := recordsOf(t, opened(t, text[:cut]))
		var incomplete *Incomplete
		if want := bytes.Count(text[:cut], []byte("\n")) - 1; len(records) != want || !errors.As(err, &incomplete) {
			t.Errorf("cut at %d of %d without compression: %d records and %v, want %d and *Incomplete", cut, len(text), len(records), err, want)
		}
	}
}

func TestNotReadable(t *testing.T) {
	header := `{"run":{"format":2,"run":"r","tool":"0.1.0","selection":"all","cells":1}}` + "\n"
	record := `{"cell":{"id":"a/b/pg17/pgx/x","scenario":"a/b","verdict":{"status":"Agree"}}}` + "\n"
	end := `{"end":{"counts":{"Agree":1}}}` + "\n"
	for _, tt := range []struct{ name, file, want string }{
		{"right", header + record + end, ""},
		{"empty", "", "not a run of pgauthmatrix: the first line is not a header"},
		{"something else", "hello\n", "not a run of pgauthmatrix: the first line is not a header"},
		{"no header", record + end, "not a run of pgauthmatrix: the first line is not a header"},
		{"a later format", strings.Replace(header, `"format":2`, `"format":3`, 1), "format 3, written by pgauthmatrix 0.1.0: this one reads format 2 only"},
		{"a later format of another shape", `{"run":{"format":7,"tool":"9.0","cells":{"all":1}}}` + "\n", "format 7, written by pgauthmatrix 9.0: this one reads format 2 only"},
		{"a damaged line", header + `{"cell":{"id":` + "\n" + end, "line 2: unexpected end of JSON input"},
		{"an empty line", header + "\n" + record + end, "line 2: unexpected end of JSON input"},
		{"another kind of line", header + `{"note":1}` + "\n" + end, "line 2 is neither a cell nor the end"},
		{"two runs in one file", header + record + end + header, "line 4: more lines after the run's end"},
		{"a cell twice", header + record + record + end, "two records of a/b/pg17/pgx/x"},
		{"a cell too few", header + end, `0 records say Agree, the run's end says 1`},
		{"an end that lies with its records", strings.Replace(header, `"cells":1`, `"cells":2`, 1) + record + end, "1 verdicts for 2 cells: every cell needs exactly one"},
		{"an interrupted run of which a cell is missing", strings.Replace(header, `"cells":1`, `"cells":3`, 1) + record + `{"end":{"counts":{"Agree":1},"interrupted":"interrupt","not_reached":{"a/b":1}}}` + "\n", "1 verdicts for 2 cells: every cell needs exactly one"},
		{"a status that is none", header + strings.Replace(record, "Agree", "agree", 1) + `{"end":{"counts":{"agree":1}}}` + "\n", `1 cells have the invalid status "agree"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run, err := Read(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(tt.file)), nil })
			if err == nil {
				_, err = Summarize(run)
			}
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && got != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	if _, err := Open(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := Open(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a run: %v", err)
	}
	path := filepath.Join(folder, FileName)
	if err := os.WriteFile(path, []byte("junit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder); err == nil || !strings.HasPrefix(err.Error(), path+": not a run of pgauthmatrix") {
		t.Errorf("another file: %v", err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(f, sampleHeader(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(Trailer{}), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{folder, path} {
		run, err := Open(name)
		if err != nil || run.Path != path {
			t.Errorf("Open(%s): %+v, %v", name, run, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	var one *Record
	generate(1, 0, func(r *Record) { one = r })
	w, err := NewWriter(io.Discard, sampleHeader(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(one); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(one); err == nil || err.Error() != "second record of "+one.ID {
		t.Errorf("the same cell again: %v", err)
	}
	unjudged := *one
	unjudged.ID, unjudged.Verdict = "other", verdict.Verdict{}
	if err := w.Write(&unjudged); err == nil || err.Error() != `record of other: invalid status ""` {
		t.Errorf("a cell that nobody judged: %v", err)
	}
	if err := w.Close(Trailer{}); err == nil || err.Error() != "1 verdicts for 2 cells: every cell needs exactly one" {
		t.Errorf("a cell that is missing: %v", err)
	}
	w, _ = NewWriter(io.Discard, sampleHeader(2))
	if err := errors.Join(w.Write(one), w.Close(Trailer{Interrupted: "interrupt", NotReached: map[string]int{"a/b": 1}})); err != nil {
		t.Errorf("an interrupted run that says what it did not reach: %v", err)
	}
	w, _ = NewWriter(io.Discard, sampleHeader(2))
	if err := errors.Join(w.Write(one), w.Close(Trailer{NotReached: map[string]int{"a/b": 1}})); err == nil {
		t.Error("a run that was not interrupted must reach everything")
	}
	full := errors.New("no space left on device")
	if _, err := NewWriter(writerFunc(func([]byte) (int, error) { return 0, full }), sampleHeader(1)); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWriterIsConcurrent(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(400))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	generate(400, 5, func(r *Record) {
		group.Go(func() {
			if err := w.Write(r); err != nil {
				t.Error(err)
			}
		})
	})
	group.Wait()
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	if records, err := recordsOf(t, opened(t, file.Bytes())); len(records) != 400 || err != nil {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestRecordHoldsTheCell(t *testing.T) {
	world := &matrix.World{Server: 17, SSL: "on", ServerCert: "good", Keytab: "none", HBA: "host all all all trust\n", HBAName: "one"}
	cell := &matrix.Cell{ID: "a/b/pg17/pgx/user=bob", Scenario: "a/b", World: world, Client: matrix.Client{Library: matrix.PGX, Transport: "tcp", User: "bob", Ticket: "none"}}
	r := NewRecord(cell, matrix.Prediction{}, nil, verdict.Verdict{}, sampleStart, 1500*time.Microsecond)
	want := map[string]string{"server": "17", "ssl": "on", "servercert": "good", "keytab": "none", "hba": "one", "library": "pgx", "transport": "tcp", "user": "bob", "ticket": "none"}
	if diff := cmp.Diff(want, r.Axes); diff != "" {
		t.Errorf("axes (-want +got):\n%s", diff)
	}
	if r.Micros != 1500 || r.ID != cell.ID || r.Scenario != cell.Scenario {
		t.Errorf("%+v", r)
	}
	same := *world
	cell.World = &same
	if again := NewRecord(cell, matrix.Prediction{}, nil, verdict.Verdict{}, sampleStart, 0); again.World != r.World || len(r.World) != 12 {
		t.Errorf("equal worlds have the hashes %q and %q", r.World, again.World)
	}
	same.HBA += "\n"
	if other := NewRecord(cell, matrix.Prediction{}, nil, verdict.Verdict{}, sampleStart, 0); other.World == r.World {
		t.Error("another pg_hba.conf, the same hash")
	}
}

// A View holds what there is to say, not the evidence: a record of the sample is about 2 KiB.
func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
	if testing.Short() {
		t.Skip("exhaustive: make test runs it")
	}
	held := func(cells int) uint64 {
		path := filepath.Join(t.TempDir(), FileName)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(f, sampleHeader(cells))
		if err != nil {
			t.Fatal(err)
		}
		generate(cells, 50, func(r *Record) {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		})
		if err := errors.Join(w.Close(Trailer{}), f.Close()); err != nil {
			t.Fatal(err)
		}
		run, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		v := view(t, run)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(v)
		return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
	}
	small, large := held(1000), held(5000)
	t.Logf("1,000 cells hold %d KiB, 5,000 cells %d KiB", small>>10, large>>10)
	if perCell := (large - min(small, large)) / 4000; perCell > 1000 {
		t.Errorf("%d bytes are held for each cell", perCell)
	}
}
