package reports

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// against is a view of a run that is held against a baseline.
func against(t *testing.T, run, baseline *Run) *View {
	t.Helper()
	v := view(t, run)
	if err := v.Against(baseline); err != nil {
		t.Fatal(err)
	}
	return v
}

// What changed since the baseline stands before the counts, the worst first, in every format that people read.
func TestBaseline(t *testing.T) {
	before, after := changedRuns(t)
	v := against(t, after, before)
	const line = "or the worse since run r7f3a, 2026-11-23 22:50 UTC: admitted "
	for name, of := range map[string]struct {
		render func(io.Writer, *View, Options) error
		counts string // what stands after it
	}{"terminal": {Terminal, "Result"}, "markdown": {Markdown, "| total |"}, "html": {HTML, `<table class="counts">`}} {
		text := string(draw(t, func(w io.Writer) error { return of.render(w, v, Options{Width: 200}) }))
		at, counts := strings.Index(text, line), strings.Index(text, of.counts)
		if at < 0 || counts < at {
			t.Errorf("%s: the line is at %d, the counts are at %d", name, at, counts)
			continue
		}
		section := text[at:counts]
		for _, want := range []string{"other changes: ", "vanished ", "library=pgx"} {
			if !strings.Contains(section, want) {
				t.Errorf("%s: no %q in\n%s", name, want, section)
			}
		}
		if admitted, vanished := strings.Index(strings.ToLower(section[100:]), "admitted"), strings.LastIndex(strings.ToLower(section), "vanished"); name != "html" && (admitted < 0 || vanished < admitted) {
			t.Errorf("%s: the worst is not first in\n%s", name, section)
		}
	}
	if d := against(t, before, before).Baseline; d.changedSince() != "nothing changed since run r7f3a, 2026-11-23 22:50 UTC; 2,000 cells compared" {
		t.Errorf("a run against itself: %s", d.changedSince())
	}
}

// A part of a night is held against the whole of another: what is not in it has not vanished. A baseline that was not green, or did not
// end, is said to be so.
func TestBaselineOfAnotherSelection(t *testing.T) {
	text := func(selection string, cells, failEvery int, cut int) *Run {
		var file bytes.Buffer
		h := sampleHeader(0)
		h.Selection, h.Cells = selection, cells
		w, err := NewWriter(&file, h)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		generate(1000, failEvery, func(r *Record) {
			if n++; n > 1000-cells {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
		})
		if err := w.Close(Trailer{End: sampleStart}); err != nil {
			t.Fatal(err)
		}
		return opened(t, file.Bytes()[:file.Len()-cut])
	}
	whole, part := text("strength 3", 1000, 0, 0), text("strength 3, shard 2/2", 400, 0, 0)
	d := against(t, part, whole).Baseline
	if got := d.changedSince(); len(d.Changes) > 0 || !strings.HasSuffix(got, "; 400 cells compared. The selections differ: 600 of that run and 0 of this one are not compared") {
		t.Errorf("%d changes: %s", len(d.Changes), got)
	}
	if d := against(t, text("strength 3", 400, 0, 0), whole).Baseline; d.Counts[Vanished] != 600 {
		t.Errorf("the same selection: %v", d.Counts)
	}
	if got := against(t, whole, text("strength 3", 1000, 10, 0)).Baseline.changedSince(); !strings.Contains(got, ". That run was not green: ") {
		t.Errorf("a baseline with failures: %s", got)
	}
	if got := against(t, whole, text("strength 3", 1000, 0, 20)).Baseline.changedSince(); !strings.Contains(got, ". Incomplete: run r7f3a: ") {
		t.Errorf("a baseline that was killed: %s", got)
	}
}
