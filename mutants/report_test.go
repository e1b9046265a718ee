package main

import (
	"strings"
	"testing"
)

// TestReport: a mutant without a reason and a reason without a mutant fail; a sample fails only where few are noticed.
func TestReport(t *testing.T) {
	_, reasons, err := readAccepted(acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	var key string
	for key = range reasons {
		break
	}
	part := strings.Split(key, " | ")
	known := outcome{point: point{Room: "oracle", File: part[0], Function: part[1], Kind: kind(part[2]), From: part[3], To: part[4]}}
	if len(part) > 5 {
		known.Nth = int(part[5][0]-'0') - 1
	}
	unknown := outcome{point: point{Room: "oracle", File: "oracle/x.go", Function: "f", Kind: negate, From: "a", To: "not a"}}
	noticed := unknown
	noticed.Cell = "core/x"
	words := unknown
	words.Kind, words.Explains = swap, true
	many := make([]outcome, 40)
	for i := range many {
		many[i] = noticed
	}
	stale := known
	stale.Test = "TestX"
	for _, c := range []struct {
		name   string
		all    []outcome
		sample bool
		fails  bool
		says   string
	}{
		{"all are noticed", many, false, false, "| oracle | 40 | 40 | 0 | 100.0 % | 0 | 0 | 0 |"},
		{"one has a reason", append(many[:40:40], known), false, false, "| oracle | 41 | 40 | 0 | 97.6 % | 1 | 0 | 0 |"},
		{"one changes words", append(many[:40:40], words), false, false, "| oracle | 40 | 40 | 0 | 100.0 % | 0 | 0 | 1 |"},
		{"one is left", append(many[:40:40], unknown), false, true, "nobody notices oracle/x.go:0:0"},
		{"one is left of a sample", append(many[:40:40], unknown), true, false, "nobody notices oracle/x.go:0:0"},
		{"few of a sample are noticed", []outcome{noticed, unknown}, true, true, "50.0 %"},
		{"a reason is stale", append(many[:40:40], stale), false, true, "is noticed by TestX: remove the entry"},
	} {
		var out strings.Builder
		if err := report(&out, c.all, c.sample); (err != nil) != c.fails || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v\n%s", c.name, err, out.String())
		}
	}
}

// TestReasons: an entry says why, and a mutant has one reason.
func TestReasons(t *testing.T) {
	for _, text := range []string{"- reason: a", "- mutants: [a]", "- {reason: a, mutants: [b]}\n- {reason: c, mutants: [b]}", "- {reason: [a"} {
		if _, _, err := readAccepted([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestDocument: only what lies between the two lines is written.
func TestDocument(t *testing.T) {
	now, err := document("before\n"+begins+"\nold\n"+ends+"\nafter\n", "a run", []outcome{{point: point{Room: "verdict"}, Cell: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(now, "before\n"+begins+"\na run\n") || !strings.HasSuffix(now, ends+"\nafter\n") || strings.Contains(now, "old") || !strings.Contains(now, "| verdict | 1 | 1 |") {
		t.Error(now)
	}
	if _, err := document("nothing", "a run", nil); err == nil {
		t.Error("a text without the lines is taken")
	}
}
