package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a room with a place for each kind of change. Its functions are called by sampleMain.
const sample = `package sample

type colour string

const (
	red   colour = "red"
	green colour = "green"
)

type because struct{ text string }

var limit = 3

var counted int // has no value of its own: it is made anew, too

func why(string) {}

func small(n int) bool { return n < limit }

func both(a, b bool) bool { return a && !b }

func name(c colour) string {
	switch c {
	case red:
		return "r"
	case green:
		return "g"
	}
	return "-"
}

func sign(n int) string {
	why("a sign")
	text := ""
	switch {
	case n > 0:
		text = "+"
	}
	_ = because{text: "explained"}
	if n == 0 {
		return text + "0"
	}
	return text + "n"
}

func other() colour { return red }

func loop(n int) int {
	for n > 0 {
		n--
	}
	return n
}
`

const sampleMain = `package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/pgauthmatrix/pgauthmatrix/mutants/points"
	"github.com/pgauthmatrix/pgauthmatrix/mutants/sample"
)

func main() {
	for _, a := range os.Args[1:] {
		id, _ := strconv.Atoi(a)
		func() {
			defer func() {
				if p := recover(); p != nil {
					fmt.Println(p)
				}
			}()
			points.Activate(id)
			points.Again("mutants/sample")
			points.Begin(1000)
			fmt.Print(sample.All())
		}()
	}
}
`

const sampleAll = `package sample

import "fmt"

func All() string {
	return fmt.Sprintln(small(2), small(3), small(4), both(true, true), both(true, false), both(false, false), name(red), name(green), sign(1), sign(0), sign(-1), other(), name("blue"), loop(2))
}
`

const unchanged = "true false false false true false r g +n 0 n red - 0"

// changed are the sample's points, in their order, and what its program says under each.
var changed = []struct {
	kind     kind
	from, to string
	says     string
}{
	{swap, "3", "4", "true true false false true false r g +n 0 n red - 0"},
	{swap, "3", "2", "false false false false true false r g +n 0 n red - 0"},
	{negate, "n < limit", ">=", "false true true false true false r g +n 0 n red - 0"},
	{boundary, "n < limit", "<=", "true true false false true false r g +n 0 n red - 0"},
	{connect, "a && !b", "||", "true false false true true true r g +n 0 n red - 0"},
	{negate, "a", "not a", "true false false false false true r g +n 0 n red - 0"},
	{negate, "b", "not b", "true false false true false false r g +n 0 n red - 0"},
	{dropCase, "case red", "left out", "true false false false true false - g +n 0 n red - 0"},
	{statement, "return \"r\"", "left out", "true false false false true false - g +n 0 n red - 0"},
	{swap, "\"r\"", "\"\"", "true false false false true false  g +n 0 n red - 0"},
	{dropCase, "case green", "left out", "true false false false true false r - +n 0 n red - 0"},
	{statement, "return \"g\"", "left out", "true false false false true false r - +n 0 n red - 0"},
	{swap, "\"g\"", "\"\"", "true false false false true false r  +n 0 n red - 0"},
	{swap, "\"-\"", "\"\"", "true false false false true false r g +n 0 n red  0"},
	{swap, "\"\"", "\"mutant\"", "true false false false true false r g +n mutant0 mutantn red - 0"},
	{dropCase, "n > 0", "never", "true false false false true false r g n 0 n red - 0"},
	{negate, "n > 0", "<=", "true false false false true false r g n +0 +n red - 0"},
	{boundary, "n > 0", ">=", "true false false false true false r g +n +0 n red - 0"},
	{swap, "0", "1", "true false false false true false r g n 0 n red - 0"},
	{statement, "text = \"+\"", "left out", "true false false false true false r g n 0 n red - 0"},
	{swap, "\"+\"", "\"\"", "true false false false true false r g n 0 n red - 0"},
	{negate, "n == 0", "!=", "true false false false true false r g +0 n 0 red - 0"},
	{swap, "0", "1", "true false false false true false r g +0 n n red - 0"},
	{statement, "return text + \"0\"", "left out", "true false false false true false r g +n n n red - 0"},
	{swap, "\"0\"", "\"\"", "true false false false true false r g +n  n red - 0"},
	{swap, "\"n\"", "\"\"", "true false false false true false r g + 0  red - 0"},
	{swap, "red", "green", "true false false false true false r g +n 0 n green - 0"},
	{negate, "n > 0", "<=", "true false false false true false r g +n 0 n red - 2"},
	{boundary, "n > 0", ">=", "true false false false true false r g +n 0 n red - -1"},
	{swap, "0", "1", "true false false false true false r g +n 0 n red - 1"},
	{statement, "n--", "left out", "too many steps"},
}

// TestEveryKind builds the sample once and asks it under each mutant.
func TestEveryKind(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	r := &room{name: "mutants/sample", explanations: []string{"why", "because"}}
	exports, err := exportsOf(root, &room{name: "mutants/points"}, "fmt")
	if err != nil {
		t.Fatal(err)
	}
	made, err := rewrite(r, map[string][]byte{"sample.go": []byte(sample)}, exports, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{"mutants/sample/all.go": sampleAll, "mutants/sample/main/main.go": sampleMain}
	for name, text := range made.files {
		files["mutants/sample/"+name] = text
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(file, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, name)] = file
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "sample"), "./mutants/sample/main")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, made.files["sample.go"])
	}
	args := []string{"0"}
	for _, p := range made.points {
		args = append(args, fmt.Sprint(p.ID))
	}
	out, err := exec.Command(filepath.Join(dir, "sample"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(said) != len(made.points)+1 || said[0] != unchanged {
		t.Fatalf("%d points and %d answers; without a mutant %q", len(made.points), len(said), said[0])
	}
	for i, p := range made.points {
		if i >= len(changed) || p.Kind != changed[i].kind || p.From != changed[i].from || p.To != changed[i].to {
			t.Fatalf("point %d is %s", i, &p)
		}
		if said[i+1] != changed[i].says || said[i+1] == unchanged {
			t.Errorf("%s: %s", &p, said[i+1])
		}
	}
	if len(made.points) != len(changed) {
		t.Errorf("%d points, %d are wanted", len(made.points), len(changed))
	}
}

// TestWhatIsNotChanged: explanations are left alone, and what would not compile.
func TestWhatIsNotChanged(t *testing.T) {
	for _, text := range []string{
		`const a = 1`,
		`type a [3]int`,
		`func f() { why("text") }; func why(string) {}`,
		`type because struct { text string }; func f() { _ = because{text: "a"} }`,
		`func f() any { var i interface{}; switch i.(type) { }; return i }`,
		`func f(a string) string { return a }`,
		`func f(m map[string]bool, k string) { _, _ = m[k] }`,
	} {
		r := &room{name: "x", explanations: []string{"why", "because"}}
		made, err := rewrite(r, map[string][]byte{"x.go": []byte("package x; " + text + "\n")}, func(string) (io.ReadCloser, error) { return nil, io.EOF }, 0)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(made.points) > 0 {
			t.Errorf("%s: %s", text, &made.points[0])
		}
	}
}

// TestAcceptedMutantsExist: a reason whose place is gone is removed.
func TestAcceptedMutantsExist(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	_, reasons, err := readAccepted(acceptedText)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rooms {
		sources, err := sourcesOf(root, &rooms[i])
		if err != nil {
			t.Fatal(err)
		}
		exports, err := exportsOf(root, &rooms[i])
		if err != nil {
			t.Fatal(err)
		}
		made, err := rewrite(&rooms[i], sources, exports, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(made.points) < 200 {
			t.Errorf("%s has %d points", rooms[i].name, len(made.points))
		}
		seen := map[string]bool{}
		for _, p := range made.points {
			if seen[p.key()] {
				t.Errorf("two points are called %s", p.key())
			}
			seen[p.key()] = true
			delete(reasons, p.key())
		}
	}
	for key := range reasons {
		t.Errorf("accepted.yaml: no mutant is called %s", key)
	}
}
