package oracle

import (
	"errors"
	"slices"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
)

// TestWhatServersSaid holds what is predicted of files that are reloaded, and of the views that show them, against what real servers said.
func TestWhatServersSaid(t *testing.T) {
	groups, err := corpus.Load()
	if err != nil {
		t.Fatal(err)
	}
	cases, compared, gaps, lines, lineGaps := 0, 0, 0, 0, 0
	for _, g := range groups {
		for _, c := range g.Cases {
			cases++
			for _, version := range matrix.ServerVersions {
				said := c.By(version)
				if said == nil {
					continue
				}
				compared++
				w := c.World(version)
				r, err := Read(w)
				var gap *CannotPredict
				switch {
				case errors.As(err, &gap):
					gaps++
					t.Logf("%s: %s: %d: %v", g.Name, c.Name, version, err)
					continue
				case err != nil:
					t.Errorf("%s: %s: %d: %v", g.Name, c.Name, version, err)
					continue
				}
				got := corpus.NewAnswer(r.Logged, r.Rules, r.Mappings)
				asked := c.Asked()
				if r, err := Read(asked.World(version)); err == nil && len(r.Logged) == 0 {
					got.Lines = c.PredictLines(version, Predict)
				}
				for i, line := range got.Lines {
					lines++
					if line == "" && i < len(said.Lines) {
						lineGaps++
						got.Lines[i] = said.Lines[i]
					}
				}
				if !got.Equal(said) {
					t.Errorf("%s: %s: %d\n%s", g.Name, c.Name, version, corpus.Differences("predicted", got, "said", said))
				}
				// What a reload leaves in force follows from the same lines.
				rules := rules{}
				if err := rules.load(w); err != nil || len(rules.failed) != len(said.Log) || rules.kept != slices.ContainsFunc(rules.failed, func(l LineError) bool { return !l.ident }) {
					t.Errorf("%s: %s: %d: %d lines do not load, kept %t, %v; the server said %q", g.Name, c.Name, version, len(rules.failed), rules.kept, err, said.Log)
				}
			}
		}
	}
	t.Logf("%d cases, %d answers, %d of them not predicted; %d connections, of %d of them not which line decides", cases, compared, gaps, lines, lineGaps)
	if cases < 300 || compared < 5*300 || gaps*8 > compared || lines < 3000 || lineGaps*8 > lines {
		t.Error("too few are predicted")
	}
}
