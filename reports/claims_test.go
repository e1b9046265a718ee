package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// A sentence is observed only in cells that were attempted and not Broken, and one cell contradicts it.
func TestShownIn(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, Header{Cells: 4})
	if err != nil {
		t.Fatal(err)
	}
	session, refusal := connectedOutcome(), matrix.Outcome{End: matrix.Refused, Stage: matrix.StageHBA, Reason: matrix.NoHBAEntry}
	for _, r := range []Record{
		{ID: "a/b/pg17/1", Observation: &matrix.Observation{Outcome: session}, Verdict: verdict.Verdict{Status: verdict.Agree}},
		{ID: "a/b/pg17/2", Observation: &matrix.Observation{Outcome: refusal}, Verdict: verdict.Verdict{Status: verdict.Differ}},
		{ID: "a/b/pg17/3", Observation: &matrix.Observation{Outcome: session, Fault: "a fault"}, Verdict: verdict.Verdict{Status: verdict.Broken}},
		{ID: "a/b/pg17/4", Verdict: verdict.Verdict{Status: verdict.NotApplicable}},
	} {
		r.Start = time.Unix(0, 0)
		if err := w.Write(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(Trailer{}); err != nil {
		t.Fatal(err)
	}
	saved := opened(t, file.Bytes())
	then, err := matrix.ParseOutcome("connected tls")
	if err != nil {
		t.Fatal(err)
	}
	row := func(pattern string) matrix.Shown {
		return matrix.Shown{Claim: "S2", As: matrix.AsWritten, Patterns: []string{pattern}, Then: then, Says: "It is so."}
	}
	shown, err := ShownIn(saved, []matrix.Shown{row("a/b"), row("a/b/pg17/1"), row("a/b/pg17/3"), row("c/d")})
	if err != nil {
		t.Fatal(err)
	}
	if s := shown[0]; s.Cells != 3 || s.As != 1 || s.Broken != 1 || len(s.Not) != 1 || s.Not[0] != "a/b/pg17/2" {
		t.Errorf("%+v", s)
	}
	if Contradicted(shown) != 1 {
		t.Errorf("%d rows are contradicted", Contradicted(shown))
	}
	var page strings.Builder
	if err := DrawClaims(&page, shown, true, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"S2         With `ssl = on`", "as written: It is so. [contradicted by 1 of 3 cells, 1 Broken]", "otherwise: a/b/pg17/2", "[observed in 1 cell]", "[unknown: 1 Broken]", "[not tried in this run]",
		"4 sentences: 1 contradicted, 1 without a cell in this run; 5 cells, 2 of them Broken"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in\n%s", want, page.String())
		}
	}
}

func connectedOutcome() matrix.Outcome {
	return matrix.Outcome{End: matrix.Connected, Stage: matrix.StageSession, Channel: matrix.TLS, Role: "alice"}
}
