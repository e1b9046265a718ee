package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// goal is how many mutants of a hundred must be noticed. Of a sample it may be fewer: chance has its part, and what is left of it is listed and is no error.
const (
	goal         = 97
	goalOfSample = 80
)

// accepted are mutants that nobody can notice, or that nobody need notice, with the reason.
type accepted struct {
	Reason  string   `yaml:"reason"`
	Mutants []string `yaml:"mutants"` // keys
}

//go:embed accepted.yaml
var acceptedText []byte

func readAccepted(text []byte) (list []accepted, reasons map[string]string, err error) {
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, nil, fmt.Errorf("accepted.yaml: %w", err)
	}
	reasons = map[string]string{}
	for _, a := range list {
		if a.Reason == "" || len(a.Mutants) == 0 {
			return nil, nil, fmt.Errorf("accepted.yaml: an entry without a reason, or without mutants: %q %q", a.Reason, a.Mutants)
		}
		for _, m := range a.Mutants {
			if reasons[m] != "" {
				return nil, nil, fmt.Errorf("accepted.yaml: two reasons for %s", m)
			}
			reasons[m] = a.Reason
		}
	}
	return list, reasons, nil
}

// fate is what became of a mutant, in one word of the table.
type fate int

const (
	byCells fate = iota
	byTests
	explains // it changes an explanation, in cells, and nothing else: no behaviour
	isAccepted
	isLeft
)

func (o *outcome) fate(reasons map[string]string) fate {
	switch {
	case o.Cell != "":
		return byCells
	case o.Test != "":
		return byTests
	case o.Explains && o.Kind == swap:
		return explains
	case reasons[o.key()] != "":
		return isAccepted
	}
	return isLeft
}

// figures counts the fates of a room's mutants.
type figures [isLeft + 1]int

func (f figures) behaviour() int {
	return f[byCells] + f[byTests] + f[isAccepted] + f[isLeft]
}

// noticed is the share of those that can be noticed.
func (f figures) noticed() float64 {
	if n := f.behaviour(); n > 0 {
		return 100 * float64(f[byCells]+f[byTests]) / float64(n)
	}
	return 100
}

func (f figures) row(name string) string {
	return fmt.Sprintf("| %s | %d | %d | %d | %.1f %% | %d | %d | %d |", name, f.behaviour(), f[byCells], f[byTests], f.noticed(), f[isAccepted], f[isLeft], f[explains])
}

const head = `| room | mutants | noticed by cells | only by tests | noticed | accepted | left | wording only |
|---|---:|---:|---:|---:|---:|---:|---:|`

// count gives the figures by room, and their sum.
func count(all []outcome, reasons map[string]string) (byRoom map[string]figures, sum figures) {
	byRoom = map[string]figures{}
	for i := range all {
		f := byRoom[all[i].Room]
		f[all[i].fate(reasons)]++
		sum[all[i].fate(reasons)]++
		byRoom[all[i].Room] = f
	}
	return byRoom, sum
}

// report writes the figures and what is left. It is an error if a mutant is left, if one with a reason is noticed, or if too few are; of a sample, only the last.
func report(out io.Writer, all []outcome, sample bool) error {
	_, reasons, err := readAccepted(acceptedText)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, head)
	byRoom, sum := count(all, reasons)
	for _, r := range rooms {
		if f := byRoom[r.name]; f != (figures{}) {
			fmt.Fprintln(out, f.row(r.name))
		}
	}
	fmt.Fprintln(out, sum.row("all"))
	stale := 0
	for i := range all {
		o := &all[i]
		if o.noticed() && reasons[o.key()] != "" {
			stale++
			fmt.Fprintf(out, "accepted.yaml: %s is noticed by %s%s: remove the entry\n", o.key(), o.Cell, o.Test)
		}
		if o.fate(reasons) == isLeft {
			fmt.Fprintf(out, "nobody notices %s:%d:%d %s (%d cells and %d tests reach it%s)\n", o.File, o.Line, o.Column, o.key(), o.Cells, o.Tests, map[bool]string{true: ", explanations change"}[o.Explains])
		}
	}
	if sample && sum.noticed() >= goalOfSample {
		return nil
	}
	if sum[isLeft] > 0 || stale > 0 || sum.noticed() < goal {
		return fmt.Errorf("%d mutants are left without a reason, %d reasons are stale, %.1f %% are noticed, %d %% is the goal", sum[isLeft], stale, sum.noticed(), goal)
	}
	return nil
}

// The generated part of docs/mutation.md lies between these lines.
const (
	begins = "<!-- written by go run ./mutants -doc -->"
	ends   = "<!-- end -->"
)

// document writes the figures of a whole run, and the accepted mutants, into the text.
func document(text, run string, all []outcome) (string, error) {
	list, reasons, err := readAccepted(acceptedText)
	if err != nil {
		return "", err
	}
	before, rest, ok := strings.Cut(text, begins)
	_, after, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		return "", fmt.Errorf("the lines %q and %q are missing", begins, ends)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n%s\n\n%s\n", before, begins, run, head)
	byRoom, sum := count(all, reasons)
	for _, r := range rooms {
		if f := byRoom[r.name]; f != (figures{}) {
			fmt.Fprintln(&b, f.row(r.name))
		}
	}
	fmt.Fprintln(&b, sum.row("all"))
	for _, a := range list {
		fmt.Fprintf(&b, "\n%s\n\n", a.Reason)
		for _, m := range a.Mutants {
			fmt.Fprintf(&b, "- `%s`\n", strings.ReplaceAll(m, "`", "'"))
		}
	}
	return b.String() + ends + after, nil
}

func writeDocument(file, run string, all []outcome) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	now, err := document(string(text), run, all)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(now), 0o644)
}
