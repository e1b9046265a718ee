package run

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

var update = flag.Bool("update", false, "write the tables that are made from predictions")

// end is a stage and the reason that ended it; no reason: a session.
type end struct {
	stage  matrix.Stage
	reason matrix.Reason
}

// never are the ends that no scenario has, with what is missing.
var never = map[end]string{
	{matrix.StageGSSEnc, matrix.ClockSkew}:       "a client or server with a clock of its own",
	{matrix.StageAuth, matrix.ClockSkew}:         "a client or server with a clock of its own",
	{matrix.StageAuth, matrix.KDCUnreachable}:    "a KDC that does not run",
	{matrix.StageStartup, matrix.ServerStarting}: "a server that is being shut down",
}

// TestEveryReasonIsPredicted: each reason ends each of its stages in at least one cell. docs/scenarios.md names one of them and the versions of servers at which
// the oracle predicts it.
func TestEveryReasonIsPredicted(t *testing.T) {
	if testing.Short() {
		t.Skip("predicts every cell: make test does it")
	}
	input, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	type shown struct {
		cell    string
		servers []int
	}
	found := map[end]*shown{}
	var mu sync.Mutex
	var scenarios sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, s := range input.Scenarios {
		slots <- struct{}{}
		scenarios.Go(func() {
			defer func() { <-slots }()
			here := map[end]*shown{}
			for _, c := range s.Expand() {
				if matrix.NotApplicable(&c) != "" {
					continue
				}
				p, err := Predict(&c)
				if err != nil {
					t.Errorf("%s: %v", c.ID, err)
					return
				}
				o := p.Outcome
				if c.ByHand {
					o = c.Expect.Then.Outcome
				}
				at := here[end{o.Stage, o.Reason}]
				if at == nil {
					at = &shown{cell: c.ID}
					here[end{o.Stage, o.Reason}] = at
				}
				if !slices.Contains(at.servers, c.World.Server) {
					at.servers = append(at.servers, c.World.Server)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for e, at := range here {
				all := found[e]
				if all == nil {
					found[e] = at
					continue
				}
				all.cell = min(all.cell, at.cell)
				for _, v := range at.servers {
					if !slices.Contains(all.servers, v) {
						all.servers = append(all.servers, v)
					}
				}
			}
		})
	}
	scenarios.Wait()
	table := "| ends at | reason | servers | a cell |\n| --- | --- | --- | --- |\n"
	line := func(e end) {
		at := found[e]
		slices.Sort(at.servers)
		servers := "all"
		if len(at.servers) < len(matrix.ServerVersions) {
			var versions []string
			for _, v := range at.servers {
				versions = append(versions, strconv.Itoa(v))
			}
			servers = strings.Join(versions, " ")
		}
		table += fmt.Sprintf("| `%s` | `%s` | %s | `%s` |\n", e.stage, cmp.Or(string(e.reason), "connected"), servers, at.cell)
	}
	for _, stage := range matrix.Stages {
		if e := (end{stage, ""}); found[e] != nil {
			line(e)
		}
		for _, r := range matrix.Reasons {
			e := end{stage, r.Reason}
			switch missing := never[e]; {
			case !slices.Contains(r.Stages, stage):
			case found[e] == nil && missing == "":
				t.Errorf("no cell is predicted to be refused at %s, %s: add one, or remove it from the vocabulary", stage, r.Reason)
			case found[e] != nil && missing != "":
				t.Errorf("%s is predicted to be refused at %s, %s, which the test takes for impossible without %s", found[e].cell, stage, r.Reason, missing)
			case found[e] != nil:
				line(e)
			}
		}
	}
	const file, begin, last = "../docs/scenarios.md", "<!-- made from predictions: go test ./run -run TestEveryReasonIsPredicted -update -->\n", "<!-- end -->\n"
	docs, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(docs), begin)
	have, after, closed := strings.Cut(rest, last)
	switch {
	case !ok || !closed:
		t.Fatalf("%s has no place for the cells that show each reason", file)
	case have == table:
	case *update:
		if err := os.WriteFile(file, []byte(before+begin+table+last+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the oracle predicts; run: go test ./run -run TestEveryReasonIsPredicted -update", file)
	}
}
