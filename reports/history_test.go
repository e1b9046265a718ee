package reports

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// nightRun is a run on a day of November with two groups of cells, of pgx and of libpq17; change makes a cell other than it is.
func nightRun(t *testing.T, day int, change func(r *Record)) *Run {
	t.Helper()
	var file bytes.Buffer
	h := sampleHeader(0)
	h.Run, h.Start, h.Cells = "n"+time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC).Format("0102"), time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC), 6
	w, err := NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Cells {
		library := matrix.Library("pgx")
		if i >= 3 {
			library = "libpq17"
		}
		c := theCell("negotiation/both-enabled", "wide", 17, library, "sslmode=require,n="+string(rune('0'+i)))
		p, o := connectedByTLS(17)
		r := NewRecord(c, p, &o, verdict.Judge(c, p, &o, nil, nil), h.Start, 0)
		if change != nil {
			change(r)
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(Trailer{End: h.Start}); err != nil {
		t.Fatal(err)
	}
	return opened(t, file.Bytes())
}

// remembered is a view of a run that is held against a file of nights, to which its line is then appended.
func remembered(t *testing.T, path string, run *Run) *View {
	t.Helper()
	v := view(t, run)
	if err := v.Remember(path); err != nil {
		t.Fatal(err)
	}
	if err := v.History.Append(); err != nil {
		t.Fatal(err)
	}
	return v
}

func otherOutcome(r *Record) {
	if r.Axes["library"] == "pgx" && strings.HasSuffix(r.ID, "n=1") {
		_, o := refusedAtHBA()
		r.Observation = &o
		r.Verdict = verdict.Verdict{Status: verdict.Differ, Severity: verdict.OtherDiffer, Differences: []verdict.Difference{{Field: matrix.FieldEnd, Want: "connected", Observed: "refused"}}}
	}
}

func brokenOne(r *Record) {
	if r.Axes["library"] == "pgx" {
		r.Observation, r.Verdict = &matrix.Observation{Fault: "gone"}, verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "gone"}
	}
}

// Since when a group is as it is: the nights that tried the same cells count, a Broken night says nothing, and another group is not concerned.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	otherCells := func(r *Record) { r.ID += "-other" }
	for _, night := range []struct {
		day        int
		change     func(*Record)
		pgx, libpq string
	}{
		{1, nil, "", ""},
		{2, nil, "since 2026-11-01 or before (1 night)", "since 2026-11-01 or before (1 night)"},
		{3, otherOutcome, "new: otherwise on 2026-11-02", "since 2026-11-01 or before (2 nights)"},
		{4, otherOutcome, "since 2026-11-03 (1 night); otherwise on 2026-11-02", "since 2026-11-01 or before (3 nights)"},
		{5, brokenOne, "new: otherwise on 2026-11-04", "since 2026-11-01 or before (4 nights)"},
		{6, brokenOne, "since 2026-11-05 (1 night); otherwise on 2026-11-04", "since 2026-11-01 or before (5 nights)"},
		{7, otherOutcome, "since 2026-11-03 (2 nights); otherwise on 2026-11-02", "since 2026-11-01 or before (6 nights)"},
		{8, otherCells, "no earlier night tried these cells", "no earlier night tried these cells"},
		{9, nil, "new: otherwise on 2026-11-07", "since 2026-11-01 or before (7 nights)"},
	} {
		v := remembered(t, path, nightRun(t, night.day, night.change))
		for library, want := range map[string]string{"pgx": night.pgx, "libpq17": night.libpq} {
			if got := v.History.of(&Record{Scenario: "negotiation/both-enabled", Axes: map[string]string{"server": "17", "library": library}}); got != want {
				t.Errorf("night %d, %s: %q, want %q", night.day, library, got, want)
			}
		}
	}
	for day, nights := range map[int]int{9: 8, 4: 3} { // drawn again, it is not a night before itself, nor are the later ones
		again := view(t, nightRun(t, day, nil))
		if err := again.Remember(path); err != nil || again.History.Nights != nights {
			t.Errorf("night %d: %v, %d nights before, want %d", day, err, again.History.Nights, nights)
		}
	}
}

// Every report that people read says since when.
func TestHistoryIsDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	remembered(t, path, nightRun(t, 1, nil))
	v := remembered(t, path, nightRun(t, 2, otherOutcome))
	for name, render := range map[string]func(io.Writer, *View, Options) error{"terminal": Terminal, "markdown": Markdown, "html": HTML} {
		text := strings.Join(strings.Fields(string(draw(t, func(w io.Writer) error { return render(w, v, Options{Width: 200}) }))), " ")
		for _, want := range []string{"1 night since 2026-11-01: 1 group of cells ends otherwise than the last time, of 2 that were tried before", "negotiation/both-enabled/pg17/pgx: new: otherwise on 2026-11-01"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q", name, want)
			}
		}
		if strings.Count(text, "new: otherwise on 2026-11-01") < 2 {
			t.Errorf("%s: the failure does not say since when", name)
		}
	}
}

// A line that cannot be read is left out and said; what is appended after a line that was cut off is a line of its own. What is no history is an error.
func TestDamagedHistory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "history.jsonl")
	remembered(t, path, nightRun(t, 1, nil))
	remembered(t, path, nightRun(t, 2, nil))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(text) / 2; cut < len(text); cut++ { // in the second line, or at its end
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		first := bytes.IndexByte(text, '\n') + 1
		v := remembered(t, path, nightRun(t, 3, nil))
		whole := cut == len(text)-1 // only its end is missing
		if damaged := cut > first && !whole; (len(v.History.Damaged) == 1) != damaged || v.History.Nights != map[bool]int{true: 2, false: 1}[whole] {
			t.Fatalf("cut at %d of %d: %+v", cut, len(text), v.History)
		}
		if v.History.Damaged != nil && !strings.Contains(string(draw(t, func(w io.Writer) error { return Terminal(w, v, Options{Width: 300}) })), "history.jsonl:2 cannot be read and is left out") {
			t.Fatalf("cut at %d: the report does not say so", cut)
		}
		after := view(t, nightRun(t, 4, nil))
		if err := after.Remember(path); err != nil || after.History.Nights != v.History.Nights+1 {
			t.Fatalf("cut at %d: the next night finds %+v, %v", cut, after.History, err)
		}
	}
	for name, bad := range map[string]string{"no line of it can be read": "{\"run\":1}\nx\n", "format 2: this program reads format 1 only": "{\"night\":2,\"groups\":{}}\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := view(t, nightRun(t, 1, nil)).Remember(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if err := view(t, nightRun(t, 1, nil)).Remember(dir); err == nil {
		t.Error("a folder is a history")
	}
}
