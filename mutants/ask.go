package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/mutants/points"
)

// outcome is what became of a mutant.
type outcome struct {
	point
	Cells    int    // that reach the point
	Cell     string `json:",omitempty"` // that notices
	How      string `json:",omitempty"` // what it notices
	Explains bool   `json:",omitempty"` // cells have other explanations
	Tests    int    `json:",omitempty"` // that reach the point, where no cell notices
	Test     string `json:",omitempty"` // that notices
}

func (o *outcome) noticed() bool { return o.Cell != "" || o.Test != "" }

// exportsOf opens the export data of what a room imports, and of more packages.
func exportsOf(root string, r *room, more ...string) (func(string) (io.ReadCloser, error), error) {
	command := exec.Command("go", slices.Concat([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "./" + r.name}, more)...)
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[name] = file
	}
	return func(name string) (io.ReadCloser, error) {
		if files[name] == "" {
			return nil, fmt.Errorf("no export data of %s", name)
		}
		return os.Open(files[name])
	}, nil
}

// askCells runs the judge. A mutant that ends the whole program is noticed; the judge goes on with the next one.
func (b *built) askCells(chosen []point, folder string, most int) ([]outcome, error) {
	if folder != "" {
		var err error
		if folder, err = filepath.Abs(folder); err != nil {
			return nil, err
		}
	}
	outcomes := make([]outcome, len(chosen))
	for i, p := range chosen {
		outcomes[i].point = p
	}
	for from := 0; from < len(outcomes); {
		var list []points.Mutant
		for _, o := range outcomes[from:] {
			list = append(list, points.Mutant{ID: o.ID, Room: o.Room})
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		command := exec.Command(filepath.Join(b.dir, "judge"), "-run", folder, "-most", fmt.Sprint(most))
		command.Dir, command.Stdin = b.root, bytes.NewReader(text)
		command.Stderr = os.Stderr
		pipe, err := command.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := command.Start(); err != nil {
			return nil, err
		}
		results := json.NewDecoder(pipe)
		for {
			var r points.Result
			if err := results.Decode(&r); err != nil {
				break
			}
			o := &outcomes[from]
			o.Cells, o.Cell, o.How, o.Explains = r.Cells, r.Noticed, r.How, r.Explains
			from++
			if from%250 == 0 {
				fmt.Fprintf(os.Stderr, "%d of %d judged\n", from, len(outcomes))
			}
		}
		if err := command.Wait(); err != nil {
			if from == 0 {
				return nil, fmt.Errorf("the judge: %w", err)
			}
			outcomes[from].Cell, outcomes[from].How = "all", "the program ended: "+err.Error()
			from++
		}
	}
	return outcomes, nil
}

// test is a test of a room, and what it reaches without a mutant.
type test struct {
	room    string
	name    string
	took    time.Duration // of a processor
	tier    int
	steps   int
	reached []byte
}

// tiers are what tests may take that are run together, the quickest first. Those that take more are not asked.
var tiers = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Second}

// askTests runs, for each mutant that no cell notices, the tests that reach its point, the quickest first.
func (b *built) askTests(outcomes []outcome) error {
	for _, r := range b.rooms {
		var left []*outcome
		for i := range outcomes {
			if outcomes[i].Room == r.name && !outcomes[i].noticed() {
				left = append(left, &outcomes[i])
			}
		}
		if len(left) == 0 {
			continue
		}
		if err := b.askTestsOf(r, left); err != nil {
			return err
		}
	}
	return nil
}

func (b *built) askTestsOf(r *room, left []*outcome) error {
	tests, err := b.follow(r)
	if err != nil {
		return err
	}
	for i, o := range left {
		if i%50 == 0 {
			fmt.Fprintf(os.Stderr, "%s: tests of %d of %d\n", r.name, i, len(left))
		}
		o.Tests = 0
		for _, t := range tests {
			if t.reached[o.ID] != 0 {
				o.Tests++
			}
		}
		for tier := range tiers {
			for _, room := range r.tests {
				if o.Test != "" {
					break
				}
				if o.Test, err = b.fails(o.ID, of(tests, room, tier, o.ID)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// of are the tests of a room and a tier that reach a point.
func of(tests []test, room string, tier, id int) (list []test) {
	for _, t := range tests {
		if t.room == room && t.tier == tier && t.reached[id] != 0 {
			list = append(list, t)
		}
	}
	return list
}

// follow runs every test by itself.
func (b *built) follow(r *room) (tests []test, err error) {
	file := filepath.Join(b.dir, "reached")
	for _, room := range r.tests {
		if err := b.command("test", "-vet=off", "-c", "-o", b.program(room), "./"+room); err != nil {
			return nil, err
		}
		out, err := b.test(room, "-test.list", ".").Output()
		if err != nil {
			return nil, fmt.Errorf("the tests of %s: %w", room, err)
		}
		for _, name := range strings.Fields(string(out)) {
			if err := os.WriteFile(file, make([]byte, points.Most+8), 0o600); err != nil {
				return nil, err
			}
			command := b.test(room, "-test.short", "-test.run", "^"+name+"$")
			command.Env = append(command.Env, points.EnvReached+"="+file)
			if out, err := command.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s of %s fails without a mutant: %w\n%s", name, room, err, out)
			}
			t := test{room: room, name: name, took: command.ProcessState.UserTime()}
			if t.reached, err = os.ReadFile(file); err != nil {
				return nil, err
			}
			t.steps = int(binary.LittleEndian.Uint64(t.reached[points.Most:]))
			if t.tier = slices.IndexFunc(tiers, func(most time.Duration) bool { return t.took < most }); t.tier < 0 {
				fmt.Fprintf(os.Stderr, "%s: %s is not asked: it takes %s\n", room, t.name, t.took)
				continue
			}
			tests = append(tests, t)
		}
	}
	return tests, nil
}

func (b *built) test(room string, args ...string) *exec.Cmd {
	command := exec.Command(b.program(room), args...)
	command.Dir = filepath.Join(b.root, room)
	command.Env = append(os.Environ(), "GOMAXPROCS=1")
	return command
}

// fails names the first of the tests, which are of one room, that fails with a mutant, or is "".
func (b *built) fails(id int, tests []test) (string, error) {
	if len(tests) == 0 {
		return "", nil
	}
	var names []string
	steps, took := 0, time.Duration(0)
	for _, t := range tests {
		names, steps, took = append(names, t.name), steps+t.steps, took+t.took
	}
	command := b.test(tests[0].room, "-test.short", "-test.failfast", "-test.run", "^("+strings.Join(names, "|")+")$", "-test.timeout", (100*took + 2*time.Minute).String())
	command.Env = append(command.Env, fmt.Sprintf("%s=%d", points.EnvActive, id), fmt.Sprintf("%s=%d", points.EnvLimit, 20*steps+1_000_000))
	out, err := command.CombinedOutput()
	if err == nil {
		return "", nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", err
	}
	if _, after, found := bytes.Cut(out, []byte("--- FAIL: ")); found {
		name, _, _ := bytes.Cut(after, []byte(" "))
		return tests[0].room + "." + string(name), nil
	}
	return "the test program ends", nil
}
