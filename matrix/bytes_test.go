package matrix

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestTextsByteForByte writes configuration texts as YAML text blocks, with comments, blank lines, tabs and trailing blanks, and reads
// them back.
func TestTextsByteForByte(t *testing.T) {
	lines := []string{
		"host all all all trust", "# comment", "#", "", "\thost\tall\tall", "host  all  \"a b\"  all  trust   ", "  indented # note",
		"---", "...", "- item", "key: value", "'", `"`, `a \`, "{x", "[y", "|", ">", "%TAG", "&a *b !c", "hostssl all /^a|b$ ::/0 cert map=m", "\u00fcser", "?", ": x", "   ", "\t",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range exhaustive(20_000, 2_000) {
		text := []string{"host all all all reject"} // the block's indentation is that of its first line
		for range random.IntN(6) {
			text = append(text, lines[random.IntN(len(lines))])
		}
		for last := len(text) - 1; strings.Trim(text[last], " ") == ""; last-- {
			text = text[:last] // YAML keeps one line end at the end of a block
		}
		want := strings.Join(text, "\n") + "\n"
		indent := strings.Repeat(" ", 4+random.IntN(3))
		block := indent + strings.Join(text, "\n"+indent) + "\n"
		if random.IntN(2) == 0 {
			block = strings.ReplaceAll("\n"+block, "\n"+indent+"\n", "\n\n")[1:] // editors strip trailing blanks
		}
		source := "question: q\nworld:\n  hba: |\n" + block
		if random.IntN(2) == 0 {
			source += "  ssl: on\nclient:\n  user: bob\n"
		} else if random.IntN(2) == 0 {
			source += "\n\n# the end\nclient: {user: bob}\n"
		}
		r := &reader{file: "f"}
		root := r.readYAML([]byte(source))
		if len(r.problems) > 0 {
			t.Fatalf("%v in\n%s", r.problems[0], source)
		}
		if got := root.entries[1].value.entries[0].value.text; got != want {
			t.Fatalf("read\n%q, want\n%q, from\n%s", got, want, source)
		}
	}
}
