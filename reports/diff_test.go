package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// sideOf is a side with an outcome written as words; none without words.
func sideOf(t *testing.T, status verdict.Status, outcome string) *Side {
	t.Helper()
	s := &Side{ID: "a/b", Status: status}
	if outcome != "" {
		o, err := matrix.ParseOutcome(outcome)
		if err != nil {
			t.Fatal(err)
		}
		s.Outcome = &o.Outcome
	}
	return s
}

func TestCompare(t *testing.T) {
	const refused, plain, tls, gss = "refused at hba, no-hba-entry, channel plain", "connected plain, method trust, role a, hba:1", "connected tls, method trust, role a, hba:1", "connected gss, method trust, role a, hba:1"
	agree := verdict.Agree
	for _, tt := range []struct {
		name     string
		old, now *Side
		want     ChangeKind
		fields   string
	}{
		{"the same", sideOf(t, agree, tls), sideOf(t, agree, tls), unchanged, "[]"},
		{"the same failure", sideOf(t, verdict.Differ, tls), sideOf(t, verdict.Differ, tls), unchanged, "[]"},
		{"let in, in plaintext", sideOf(t, agree, refused), sideOf(t, agree, plain), Admitted, "[end stage reason method role rule]"},
		{"let in, and it agrees", sideOf(t, agree, refused), sideOf(t, agree, tls), Admitted, "[end stage reason channel method role rule]"},
		{"let in, and it differs", sideOf(t, agree, refused), sideOf(t, verdict.Differ, tls), Admitted, "[end stage reason channel method role rule]"},
		{"tls to plain", sideOf(t, agree, tls), sideOf(t, agree, plain), Weakened, "[channel]"},
		{"gss to plain", sideOf(t, agree, gss), sideOf(t, agree, plain), Weakened, "[channel]"},
		{"gss to tls", sideOf(t, agree, gss), sideOf(t, agree, tls), Changed, "[channel]"},
		{"plain to tls", sideOf(t, agree, plain), sideOf(t, agree, tls), Changed, "[channel]"},
		{"tls inside of gss", sideOf(t, agree, tls), sideOf(t, verdict.Differ, "connected tls+gss, method trust, role a, hba:1"), Weakened, "[channel]"},
		{"the attacker obtains more", sideOf(t, agree, refused+", obtains nothing"), sideOf(t, agree, refused+", obtains plaintext"), Weakened, "[obtains]"},
		{"the attacker obtains less", sideOf(t, agree, refused+", obtains plaintext"), sideOf(t, agree, refused+", obtains nothing"), Changed, "[obtains]"},
		{"agreed and differs", sideOf(t, agree, tls), sideOf(t, verdict.Differ, tls), NowFails, "[]"},
		{"agreed and is broken", sideOf(t, agree, tls), sideOf(t, verdict.Broken, ""), NowFails, "[]"},
		{"known and drifts", sideOf(t, verdict.Known, tls), sideOf(t, verdict.Drift, tls), NowFails, "[]"},
		{"was not applicable and differs", sideOf(t, verdict.NotApplicable, ""), sideOf(t, verdict.Differ, tls), NowFails, "[]"},
		{"was broken and differs", sideOf(t, verdict.Broken, ""), sideOf(t, verdict.Differ, tls), NowFails, "[]"},
		{"differed and is broken", sideOf(t, verdict.Differ, tls), sideOf(t, verdict.Broken, ""), Changed, "[]"},
		{"shut out", sideOf(t, agree, tls), sideOf(t, agree, refused), Shut, "[end stage reason channel method role rule]"},
		{"shut out, and differs", sideOf(t, agree, tls), sideOf(t, verdict.Differ, refused), NowFails, "[end stage reason channel method role rule]"},
		{"mended", sideOf(t, verdict.Differ, tls), sideOf(t, agree, tls), NoMore, "[]"},
		{"broken no more", sideOf(t, verdict.Broken, ""), sideOf(t, agree, tls), NoMore, "[]"},
		{"another rule", sideOf(t, agree, tls), sideOf(t, agree, "connected tls, method trust, role a, hba:2"), Changed, "[rule]"},
		{"known", sideOf(t, agree, tls), sideOf(t, verdict.Known, tls), Changed, "[]"},
		{"not applicable", sideOf(t, agree, tls), sideOf(t, verdict.NotApplicable, ""), Changed, "[]"},
		{"vanished", sideOf(t, agree, tls), nil, Vanished, "[]"},
		{"appeared", nil, sideOf(t, verdict.Differ, tls), Appeared, "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := (&Diff{}).compare(tt.old, tt.now)
			if got := fmt.Sprint(c.Fields); c.Kind != tt.want || got != tt.fields {
				t.Errorf("%q in %s, want %q in %s", c.Kind, got, tt.want, tt.fields)
			}
			if same := (&Diff{}).compare(tt.old, tt.old); tt.old != nil && same.Kind != unchanged {
				t.Errorf("a cell is %q against itself", same.Kind)
			}
		})
	}
	unseen := sideOf(t, agree, "connected tls, method trust, role a")
	unseen.unseen = []matrix.Field{matrix.FieldRule}
	for _, pair := range [][2]*Side{{unseen, sideOf(t, agree, tls)}, {sideOf(t, agree, tls), unseen}} {
		if c := (&Diff{}).compare(pair[0], pair[1]); c.Kind != unchanged {
			t.Errorf("a rule that no witness saw is %q", c.Kind)
		}
	}
	other := sideOf(t, agree, plain)
	other.world = "changed"
	if c := (&Diff{}).compare(sideOf(t, agree, tls), other); !c.Rules {
		t.Error("the changed rules are not named")
	}
	if c := (&Diff{Between: &Between{}}).compare(sideOf(t, agree, tls), other); c.Rules {
		t.Error("two versions never have one world")
	}
}

func observe(r *Record, change func(*matrix.Outcome)) {
	if r.Observation != nil {
		change(&r.Observation.Outcome)
	}
}

// changedRuns are a run and one after it, in which a rule of one client lets in what was refused, a client of one version breaks, a
// trace is longer, and a scenario is gone.
func changedRuns(t *testing.T) (before, after *Run) {
	before = planted(t, 2000, func(int, *Record) {})
	n := 0
	var file bytes.Buffer
	header := sampleHeader(0)
	header.Run, header.Images = "r8000", slices.Clone(header.Images)
	header.Images[0].Version = "17.13-0+deb13u1"
	var records []*Record
	generate(2000, 0, func(r *Record) {
		n++
		o := outcomeOf(r)
		switch {
		case r.Scenario == "negotiation/defaults":
			return
		case r.Axes["library"] == "pgx" && r.Axes["gssencmode"] == "disable" && o != nil && o.End == matrix.Refused:
			_, observed := connectedByTLS(18)
			r.Observation = &observed
		case r.Axes["library"] == "libpq13" && r.Axes["server"] == "15":
			r.Observation, r.Verdict = &matrix.Observation{Fault: "the client crashed"}, verdict.Verdict{Status: verdict.Broken, Severity: verdict.IsBroken, Cause: "the client crashed"}
		case r.Axes["ssl"] == "off" && r.Axes["keytab"] == "none" && r.Axes["server"] == "18":
			observe(r, func(o *matrix.Outcome) { o.Trace = append(slices.Clone(o.Trace), matrix.StepAuthFail) })
		case n == 700:
			r.ID += "-new"
		}
		records = append(records, r)
	})
	header.Cells = len(records)
	w, err := NewWriter(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(Trailer{End: sampleStart}); err != nil {
		t.Fatal(err)
	}
	return before, opened(t, file.Bytes())
}

func TestDiff(t *testing.T) {
	before, after := changedRuns(t)
	d, err := NewDiff(before, after, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	total := 0
	for _, c := range d.Changes {
		where := c.id()
		if c.Explained {
			where = c.Where.String()
		}
		if c.Explained || c.Count == 1 {
			got = append(got, fmt.Sprintf("%s %s: %d %v", c.Kind, where, c.Count, c.Fields))
		}
		total += c.Count
	}
	for _, want := range []string{
		"now fails library=libpq13 ∧ server=15: 68 []",
		"admitted library=pgx ∧ gssencmode=disable ∧ before=refused at hba: 29 [end stage reason channel method role rule trace]",
		"vanished scenario=negotiation/defaults: 83 []",
		"changed server=18 ∧ ssl=off ∧ keytab=none: 114 [trace]",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
	if d.Changes[0].Kind != Admitted || d.Changes[0].Old.Outcome.End != matrix.Refused || d.Changes[0].New.Outcome.End != matrix.Connected || d.Regressions() != d.Counts[Admitted]+68 || d.Counts[Admitted] == 0 {
		t.Errorf("%+v, %d regressions, %v", d.Changes[0], d.Regressions(), d.Counts)
	}
	if d.Counts[Vanished] != 84 || d.Counts[Appeared] != 1 || d.Pairs != 1916 || total+d.Equal != 1916+85 {
		t.Errorf("%d pairs, %d equal, %d changed, %v", d.Pairs, d.Equal, total, d.Counts)
	}
	text := draw(t, func(w io.Writer) error { return DrawDiff(w, d, Options{Width: 100, Failures: 6}) })
	golden(t, "diff.txt", text)
	var back Diff
	if err := json.Unmarshal(draw(t, func(w io.Writer) error { return DiffJSON(w, d) }), &back); err != nil || len(back.Changes) != len(d.Changes) || back.Changes[0].Old.ID != d.Changes[0].Old.ID {
		t.Errorf("the JSON has %d changes, %v", len(back.Changes), err)
	}
	same, err := NewDiff(before, before, nil)
	if err != nil || len(same.Changes) != 0 || same.Equal != 2000 {
		t.Errorf("a run against itself: %+v, %v", same, err)
	}
	if text := string(draw(t, func(w io.Writer) error { return DrawDiff(w, same, Options{}) })); !strings.Contains(text, "EQUAL") {
		t.Error(text)
	}
}

// Two values of an axis are compared within a run: cells that have all other values in common.
func TestDiffBetween(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, sampleHeader(0))
	if err != nil {
		t.Fatal(err)
	}
	add := func(server int, library matrix.Library, sslmode string, kind func() (matrix.Prediction, matrix.Observation)) {
		cell := theCell("negotiation/both", "wide", server, library, "sslmode="+sslmode)
		cell.Client.SSLMode = sslmode
		p, o := kind()
		if err := w.Write(NewRecord(cell, p, &o, verdict.Verdict{Status: verdict.Agree, Severity: verdict.IsAgree}, sampleStart, 0)); err != nil {
			t.Fatal(err)
		}
	}
	tls := func() (matrix.Prediction, matrix.Observation) { return connectedByTLS(18) }
	for _, sslmode := range []string{"allow", "prefer", "require"} {
		for _, library := range []matrix.Library{"libpq17", "libpq18", matrix.PGX} {
			add(17, library, sslmode, tls)
			if library == matrix.PGX {
				add(18, library, sslmode, downgraded)
			} else {
				add(18, library, sslmode, tls)
			}
		}
	}
	add(17, "libpq15", "require", tls)
	add(18, "libpq13", "require", tls)
	add(18, "psql18", "require", tls)
	_ = w.Close(Trailer{End: sampleStart}) // the header counts no cells
	run := opened(t, file.Bytes())
	d, err := NewDiff(run, run, &Between{Axis: "server", Old: "17", New: "18"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Pairs != 9 || d.Equal != 6 || d.Alone != [2]int{1, 2} || len(d.Changes) != 1 {
		t.Fatalf("%+v", d)
	}
	c := d.Changes[0]
	got := fmt.Sprintf("%s %s %d of %d: %s against %s", c.Kind, c.Where, c.Failing, c.Matching, c.New.ID, c.Old.ID)
	want := "weakened library=pgx 3 of 3: negotiation/both/pg18/hba=wide/pgx/sslmode=allow against negotiation/both/pg17/hba=wide/pgx/sslmode=allow"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	golden(t, "diff-between.txt", draw(t, func(w io.Writer) error { return DrawDiff(w, d, Options{Width: 100}) }))
	for _, b := range []Between{{"server", "17", "13"}, {"server", "13", "17"}, {"library", "libpq15", "psql18"}} {
		if d, err := NewDiff(run, run, &b); err == nil {
			t.Errorf("%v: %+v", b, d)
		}
	}
}

// A run that was killed is compared, and it is said.
func TestDiffOfAKilledRun(t *testing.T) {
	before, _ := changedRuns(t)
	var text bytes.Buffer
	if err := before.Lines(&text); err != nil {
		t.Fatal(err)
	}
	d, err := NewDiff(before, opened(t, text.Bytes()[:text.Len()/2]), nil)
	if err != nil || len(d.Partial) != 1 || !strings.Contains(d.Partial[0], "killed") || d.Counts[Vanished] == 0 || d.Regressions() != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
