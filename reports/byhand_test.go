package reports

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// byHandCell is a cell that its row alone judges, in a world with axes of the scenario's own.
func byHandCell(t *testing.T, method, tail string) *matrix.Cell {
	t.Helper()
	c := theCell("auth/services", "", 17, "libpq17", "password=right")
	c.World.Vary = []matrix.Variation{{Axis: "method", Value: method}, {Axis: "tail", Value: tail}}
	c.ID = "auth/services/pg17/method=" + method + ",tail=" + tail + "/libpq17/password=right"
	then, err := matrix.ParseOutcome("refused at auth, password, method pam, hba:2")
	if err != nil {
		t.Fatal(err)
	}
	c.ByHand, c.Expect = true, &matrix.Expect{Then: then, Pos: "auth/services.yaml:20:5"}
	return c
}

// TestByHand: a run with cells that were not predicted adds up, says so, and names worlds by the scenario's own axes.
func TestByHand(t *testing.T) {
	const row = "refused at auth, password, method pam, hba:2 (auth/services.yaml:20:5)"
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(3))
	if err != nil {
		t.Fatal(err)
	}
	var failing *Record
	counts := verdict.Counts{}
	for _, of := range []struct{ method, tail, observed string }{
		{"pam", "none", "refused at auth, password, channel tls, method pam, hba:2, trace connect sslaccept authfail"},
		{"ldap", "none", "refused at auth, password, channel tls, method ldap, hba:2, trace connect sslaccept authfail"},
		{"pam", "long", "refused at auth, password, channel plain, method pam, hba:2, trace connect authfail"},
	} {
		cell := byHandCell(t, of.method, of.tail)
		outcome, err := matrix.ParseOutcome(of.observed)
		if err != nil {
			t.Fatal(err)
		}
		o := &matrix.Observation{Outcome: outcome.Outcome}
		v := verdict.Judge(cell, matrix.Prediction{}, o, nil, nil)
		r := NewRecord(cell, matrix.Prediction{}, o, v, sampleStart, time.Millisecond)
		if r.ByHand != row || r.Axes["method"] != of.method || !slices.Equal(r.ownAxes(), []string{"method", "tail"}) {
			t.Errorf("%s: row %q, axes %v, own %v", r.ID, r.ByHand, r.Axes, r.ownAxes())
		}
		if counts[v.Status]++; v.Status == verdict.Differ {
			failing = r
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(Trailer{End: sampleStart.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	v := view(t, opened(t, file.Bytes()))
	if v.ByHand != 3 || v.Counts[verdict.Agree] != 2 || v.Counts[verdict.Differ] != 1 || counts[verdict.Agree] != 2 {
		t.Errorf("%d by hand, %v", v.ByHand, v.Counts)
	}
	var labels []string
	for _, world := range v.Scenarios[0].Worlds {
		labels = append(labels, world.Label)
	}
	if got, want := strings.Join(labels, "; "), "method=ldap tail=none; method=pam tail=long; method=pam tail=none"; got != want {
		t.Errorf("worlds %s, want %s", got, want)
	}
	if notes := v.Notes(); notes[0].Label != "by hand" || notes[0].Text != "3 cells are judged by hand-written rows alone: the oracle was not asked" || notes[0].Fails {
		t.Errorf("%+v", notes)
	}
	for name, drawn := range map[string]func(io.Writer) error{
		"terminal": func(w io.Writer) error { return Terminal(w, v, Options{Width: 160}) },
		"markdown": func(w io.Writer) error { return Markdown(w, v, Options{}) },
		"cell": func(w io.Writer) error {
			return Explain(w, byHandCell(t, "ldap", "none"), nil, matrix.Prediction{}, failing, Options{Width: 160})
		},
		"record": func(w io.Writer) error {
			return Explain(w, nil, nil, matrix.Prediction{}, failing, Options{Width: 160})
		},
	} {
		text := string(draw(t, drawn))
		want := []string{"by hand    " + row, "method pam (auth/services.yaml:20:5)"}
		if name == "cell" || name == "record" {
			want = append(want, "the oracle is not asked", "method=ldap tail=none")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s has no %q:\n%s", name, w, text)
			}
		}
		if strings.Contains(text, "predicted  ") {
			t.Errorf("%s shows a prediction:\n%s", name, text)
		}
	}
}

// TestGreenByHand: a run that is green by hand does not claim that the oracle agrees.
func TestGreenByHand(t *testing.T) {
	v := &View{Summary: Summary{Counts: verdict.Counts{verdict.Agree: 2}}, ByHand: 1}
	if word, why := v.Judgement(); word != "GREEN" || why != "2 cells agree with the oracle or with rows written by hand, none fails" {
		t.Errorf("%s: %s", word, why)
	}
}
