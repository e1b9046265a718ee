package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Beside each cell the page holds what the baseline's record says of it, with its evidence where the two differ; a cell that only the
// baseline has is a row of its own.
func TestPageHoldsTheBaseline(t *testing.T) {
	earlier, later := changedRuns(t)
	v := against(t, later, earlier)
	page := pageOf(t, v, htmlLimit)
	old, now := recordsByID(t, earlier), recordsByID(t, later)
	index := segmentOf(t, page, "index")
	kinds := map[ChangeKind]int{}
	var evidence *blob
	first, scenario, segments := 0, "", -1
	for row := range index.Rows {
		if name := index.word(t, "scenario", row); name != scenario {
			first, scenario = row, name
			segments++
			evidence = segmentOf(t, page, fmt.Sprintf("evidence-%d", segments))
		}
		id := idOf(index.word(t, "name", row), scenario, index.axesOf(t, row))
		before, after := old[id], now[id]
		var w was
		text := index.word(t, "was", row)
		if text != "" {
			if err := json.Unmarshal([]byte(text), &w); err != nil {
				t.Fatal(err)
			}
		}
		kinds[w.Kind]++
		switch {
		case before == nil:
			if w.Kind != Appeared || w.Status != "" || w.Outcome != nil {
				t.Errorf("%s is new; the page says %s", id, text)
			}
			continue
		case text == "":
			if fieldsText(outcomeOf(before)) != fieldsText(outcomeOf(after)) || before.Verdict.Status != after.Verdict.Status {
				t.Errorf("%s changed, which the page does not say", id)
			}
			continue
		case after == nil && (w.Kind != Vanished || index.word(t, "status", row) != gone):
			t.Errorf("%s is gone; the page says %s", id, text)
		}
		if got, _ := json.Marshal(w.Outcome); string(got) != fieldsText(outcomeOf(before)) && (w.Outcome != nil || outcomeOf(before) != nil) {
			t.Errorf("%s was %s, want %s", id, got, fieldsText(outcomeOf(before)))
		}
		if w.Status != before.Verdict.Status || w.Obtained != classOf(before) || w.Cause != before.Verdict.Cause {
			t.Errorf("%s: the page says %s of %+v", id, text, before.Verdict)
		}
		place := int(evidence.number(t, "before", row-first))
		if place == 0 {
			t.Fatalf("%s has no evidence of before", id)
		}
		checkEvidence(t, evidence, place, before)
	}
	for _, k := range ChangeKinds {
		if kinds[k] != v.Baseline.Counts[k] {
			t.Errorf("%d cells are %s, want %d", kinds[k], k, v.Baseline.Counts[k])
		}
	}
	for _, want := range []string{`"baseline":{"run":"r7f3a"`, `href="#/cells?q=library%3Apgx`, "change%3Aadmitted"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// Where there is no room, the times go first, then the evidence of the baseline; what a cell was stays.
func TestPageWithoutRoomForTheBaseline(t *testing.T) {
	earlier, later := changedRuns(t)
	v := against(t, later, earlier)
	cells := newHTMLCells(v.Header.Start)
	if err := errors.Join(cells.collectBefore(v.Baseline, v.baseline), cells.collect(v.run)); err != nil {
		t.Fatal(err)
	}
	scenarios := cells.sort()
	for limit, want := 1<<30, rooms; len(want) > 0; want = want[1:] {
		segments, leftOut, err := segmentsOf(cells, scenarios, limit)
		if err != nil || leftOut != "" && leftOut != want[0].leftOut+" are left out: the page would be too large." || (leftOut == "") != (want[0].leftOut == "") {
			t.Errorf("in %d bytes: %q, want %q; %v", limit, leftOut, want[0].leftOut, err)
		}
		limit = -1
		for _, s := range segments {
			limit += s.size()
		}
	}
}

// Without a baseline the page has nothing of one; against another selection a cell without a counterpart is not new.
func TestPageAgainstAnotherSelection(t *testing.T) {
	earlier, later := changedRuns(t)
	if page := pageOf(t, view(t, later), htmlLimit); segmentOf(t, page, "index").Lists["was"] != nil || strings.Contains(page, `"baseline":`) {
		t.Error("a page without baseline has one")
	}
	earlier.Header.Selection = "another"
	index := segmentOf(t, pageOf(t, against(t, later, earlier), htmlLimit), "index")
	if index.Rows != later.Header.Cells {
		t.Errorf("%d rows, want the run's %d", index.Rows, later.Header.Cells)
	}
	if !slices.Contains(index.Lists["was"], "{}") {
		t.Errorf("no cell is said to be not compared: %.300q", index.Lists["was"])
	}
}

func recordsByID(t *testing.T, run *Run) map[string]*Record {
	t.Helper()
	records := map[string]*Record{}
	for r, err := range run.Records() {
		if err != nil {
			t.Fatal(err)
		}
		records[r.ID] = r
	}
	return records
}

func (b *blob) axesOf(t *testing.T, row int) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, c := range b.Columns {
		if name, ok := strings.CutPrefix(c.Name, "axis:"); ok {
			if value := b.word(t, c.Name, row); value != "" {
				values[name] = value
			}
		}
	}
	return values
}
