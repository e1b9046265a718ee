package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// planted is a run of generated cells, some of which are given another verdict.
func planted(t testing.TB, cells int, plant func(n int, r *Record)) *Run {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(cells))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	generate(cells, 0, func(r *Record) {
		plant(n, r)
		n++
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	return opened(t, file.Bytes())
}

// Where no values of axes tell the failing cells from the others, what was predicted may.
func TestGroupOfPredictedEnd(t *testing.T) {
	v := view(t, planted(t, 2000, func(_ int, r *Record) {
		if r.Predicted.End == matrix.Connected && r.Verdict.Status != verdict.NotApplicable {
			r.Verdict = differing("connect authok", "connect")
		}
	}))
	if len(v.Failures) != 1 || v.Failures[0].Where.String() != "predicted.end=connected" || v.Failures[0].Failing != v.Failures[0].Matching {
		t.Errorf("%d groups, the first %s", len(v.Failures), v.Failures[0].Where)
	}
	if axes := v.axes.axes(); axes[len(axes)-1] != predictedEndAxis {
		t.Errorf("the last axis is %s", axes[len(axes)-1])
	}
}

// differing is a verdict on a trace that ends in another step.
func differing(want, observed string) verdict.Verdict {
	return verdict.Verdict{Status: verdict.Differ, Severity: verdict.OtherDiffer, Differences: []verdict.Difference{{Field: matrix.FieldTrace, Against: verdict.Prediction, Want: want, Observed: observed}}}
}

// A hundred failures of one cause are one group, whatever their values; its example has the most frequent; the terminal, the summary and
// JUnit name the conjunction.
func TestGroups(t *testing.T) {
	run := planted(t, 2000, func(n int, r *Record) {
		switch {
		case r.Verdict.Status == verdict.NotApplicable:
		case r.Axes["library"] == "pgx" && r.Axes["gssencmode"] == "disable":
			r.Verdict = differing("connect authok", "connect reconnect authok")
			if n%4 == 0 {
				r.Verdict = differing("connect authfail", "connect reconnect authfail")
			}
		case n == 777:
			r.Verdict = differing("connect", "connect authok")
		case n%100 == 50:
			r.Verdict = verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: fmt.Sprintf("relay: connection %d has no record", n)}
		}
	})
	v := view(t, run)
	var got []string
	for _, g := range v.Failures {
		got = append(got, fmt.Sprintf("%s %t %s: %d, %d of %d, %d ways, %d others", g.Verdict.Status, g.Explained, g.Where, g.Count, g.Failing, g.Matching, g.Ways, len(g.Others)))
		if g.Record == nil || g.Record.ID != g.First || g.Record.Observation == nil || len(g.Record.Observation.Evidence.Connections) == 0 {
			t.Errorf("%s has no example with evidence", g.Where)
		}
	}
	want := []string{"Differ true library=pgx ∧ gssencmode=disable: 96, 96 of 96, 2 ways, 3 others", "Differ false every cell: 1, 0 of 0, 1 ways, 0 others",
		"Broken false every cell: 19, 0 of 0, 1 ways, 3 others"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := v.Failures[0].Verdict.Differences[0]; d.Want != "connect authok" {
		t.Errorf("the example has the rarer values: %+v", d)
	}
	for name, tt := range map[string]struct {
		draw func(io.Writer, *View, Options) error
		want string
	}{
		"terminal": {Terminal, "DIFFER  library=pgx ∧ gssencmode=disable\n  cells      96 of 96 cells that match fail in this way; with 2 different values"},
		"markdown": {Markdown, "<details><summary>Differ, 96 cells: <code>library=pgx ∧ gssencmode=disable</code></summary>"},
		"junit":    {JUnit, `<failure message="library=pgx ∧ gssencmode=disable: differs in trace" type="Differ">`},
	} {
		text := string(draw(t, func(w io.Writer) error { return tt.draw(w, v, Options{}) }))
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: no %q in\n%s", name, tt.want, text)
		}
	}
}
