package compliance

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

var update = flag.Bool("update", false, "write the tables of docs/compliance.md")

var madeFromCode = regexp.MustCompile(`(?s)<!-- made from the code: ([a-z]+) -->\n(.*?)<!-- end -->\n`)

// The tables of the documentation are those of the files of this package; -update writes them.
func TestDocsAreInStep(t *testing.T) {
	const path = "../docs/compliance.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{"controls": controlTables(), "questions": questionTexts(), "fields": fieldTable()}
	now := madeFromCode.ReplaceAllStringFunc(string(text), func(part string) string {
		name := madeFromCode.FindStringSubmatch(part)[1]
		return fmt.Sprintf("<!-- made from the code: %s -->\n%s<!-- end -->\n", name, tables[name])
	})
	if strings.Count(now, "made from the code") != len(tables) {
		t.Errorf("%s has not all of the tables", path)
	}
	if now == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the files of this package say: go test ./compliance -update", path)
	}
	if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
		t.Fatal(err)
	}
}

func controlTables() string {
	var b strings.Builder
	for _, f := range Controls().Frameworks {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| control | mapping | proof | evidence | a literal check reads | where they part |\n|---|---|---|---|---|---|\n", f.Title, strings.TrimSuffix(f.Source, ".")+".")
		for _, c := range f.Controls {
			var evidence, literal []string
			for _, q := range c.questions {
				evidence = append(evidence, fmt.Sprintf("[%s](#%s)", q.ID, q.ID))
			}
			for _, check := range c.Literal {
				literal = append(literal, check.String())
			}
			apart := c.Apart
			if c.Tried != nil {
				apart += " " + c.Tried.Shows + " (`" + c.Tried.Scenario + "`)"
			}
			if c.ByHand != "" {
				evidence = append(evidence, "by hand: "+c.ByHand)
			}
			var others []string
			others = append(others, c.Aliases...)
			others = append(others, c.NIST...)
			others = append(others, c.CCI...)
			fmt.Fprintf(&b, "| **%s** %s. %s | %s | %s | %s | %s | %s |\n", c.ID, c.Title, c.Paraphrase, strings.Join(others, ", "), c.Proof, strings.Join(evidence, "; "),
				strings.ReplaceAll(strings.Join(literal, "; "), "|", `\|`), apart)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func questionTexts() string {
	var b strings.Builder
	for _, q := range Controls().Questions {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", q.ID, q.Asks)
		if len(q.Cells) > 0 {
			fmt.Fprintf(&b, "- evidence: cells with `%s`\n", q.Cells)
		} else {
			b.WriteString("- evidence: every cell\n")
		}
		for _, list := range []struct {
			what     string
			findings []finding
		}{{"violated by", q.Violated}, {"left open by", q.Open}, {"needs", q.Needs}} {
			for _, f := range list.findings {
				fmt.Fprintf(&b, "- %s: %s (`%s`)\n", list.what, f.Says, f.When)
			}
		}
		for _, w := range q.Covers {
			fmt.Fprintf(&b, "- needs: an attempt at each record that can let a client in over %s\n", channelText(matrix.Channel(w.text)))
		}
		for _, c := range q.Settings {
			fmt.Fprintf(&b, "- needs the setting: %s\n", c)
		}
		if q.Limit != "" {
			fmt.Fprintf(&b, "- never satisfied: %s\n", q.Limit)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func fieldTable() string {
	var b strings.Builder
	b.WriteString("| field | values | meaning |\n|---|---|---|\n")
	for _, f := range observed {
		values := strings.Join(f.values, ", ")
		if f.name == "reason" {
			values = "see [scenarios.md](scenarios.md)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, values, f.doc)
	}
	return b.String()
}

// A scenario that a control names is there.
func TestScenariosThatControlsName(t *testing.T) {
	for _, f := range Controls().Frameworks {
		for _, c := range f.Controls {
			if c.Tried == nil {
				continue
			}
			if _, err := matrix.Load(scenarios.Files, c.Tried.Scenario+".yaml"); err != nil {
				t.Errorf("%s: %v", c.ID, err)
			}
		}
	}
}
