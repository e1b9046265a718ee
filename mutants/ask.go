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
		var ids []int
		for _, o := range outcomes[from:] {
			ids = append(ids, o.ID)
		}
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, err
		}
		command := exec.Command(b.judge, "-room", b.room.name, "-run", folder, "-ids", string(list), "-most", fmt.Sprint(most))
		command.Dir = b.root
		command.Stderr = os.Stderr
		pipe, err := command.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := command.Start(); err != nil {
			return nil, err
		}
		began := from
		results := json.NewDecoder(pipe)
		for {
			var r struct {
				Cells    int
				Noticed  string
				How      string
				Explains bool
			}
			if err := results.Decode(&r); err != nil {
				break
			}
			o := &outcomes[from]
			o.Cells, o.Cell, o.How, o.Explains = r.Cells, r.Noticed, r.How, r.Explains
			from++
			if from%500 == 0 {
				fmt.Fprintf(os.Stderr, "%s: %d of %d judged\n", b.room.name, from, len(outcomes))
			}
		}
		if err := command.Wait(); err != nil {
			if from == began && from == 0 {
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
	name    string
	took    time.Duration // of a processor
	steps   int
	reached []byte
}

// Tests that take less than quick are run together. Those that take more than slow are not asked.
const (
	quick = 200 * time.Millisecond
	slow  = 1500 * time.Millisecond
)

// askTests runs, for each mutant that no cell notices, the tests that reach its point, the quickest first.
func (b *built) askTests(outcomes []outcome) error {
	left := 0
	for i := range outcomes {
		if !outcomes[i].noticed() {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	tests, err := b.follow()
	if err != nil {
		return err
	}
	done := 0
	for i := range outcomes {
		o := &outcomes[i]
		if o.noticed() {
			continue
		}
		if done++; done%100 == 0 {
			fmt.Fprintf(os.Stderr, "%s: tests of %d of %d\n", b.room.name, done, left)
		}
		var together []test
		for _, t := range tests {
			if t.reached[o.ID] == 0 {
				continue
			}
			o.Tests++
			if t.took < quick {
				together = append(together, t)
			}
		}
		if o.Test, err = b.fails(o.ID, together); err != nil {
			return err
		}
		for _, t := range tests {
			if o.Test == "" && t.reached[o.ID] != 0 && t.took >= quick {
				if o.Test, err = b.fails(o.ID, []test{t}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// follow runs every test by itself.
func (b *built) follow() ([]test, error) {
	out, err := b.command("-test.list", ".").Output()
	if err != nil {
		return nil, fmt.Errorf("the tests: %w", err)
	}
	file := filepath.Join(b.dir, "reached")
	var tests []test
	for _, name := range strings.Fields(string(out)) {
		if err := os.WriteFile(file, make([]byte, points.Most+8), 0o600); err != nil {
			return nil, err
		}
		command := b.command("-test.short", "-test.run", "^"+name+"$")
		command.Env = append(command.Env, points.EnvReached+"="+file)
		if out, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s fails without a mutant: %w\n%s", name, err, out)
		}
		t := test{name: name, took: command.ProcessState.UserTime()}
		if t.reached, err = os.ReadFile(file); err != nil {
			return nil, err
		}
		t.steps = int(binary.LittleEndian.Uint64(t.reached[points.Most:]))
		if t.took > slow {
			fmt.Fprintf(os.Stderr, "%s: %s is not asked: it takes %s\n", b.room.name, t.name, t.took)
			continue
		}
		tests = append(tests, t)
	}
	slices.SortFunc(tests, func(a, b test) int { return int(a.took - b.took) })
	return tests, nil
}

func (b *built) command(args ...string) *exec.Cmd {
	command := exec.Command(b.test, args...)
	command.Dir = filepath.Join(b.root, b.room.name)
	command.Env = append(os.Environ(), "GOMAXPROCS=1")
	return command
}

// fails names the first of the tests that fails with a mutant, or is "".
func (b *built) fails(id int, tests []test) (string, error) {
	if len(tests) == 0 {
		return "", nil
	}
	var names []string
	steps, took := 0, time.Duration(0)
	for _, t := range tests {
		names, steps, took = append(names, t.name), steps+t.steps, took+t.took
	}
	command := b.command("-test.short", "-test.failfast", "-test.run", "^("+strings.Join(names, "|")+")$", "-test.timeout", (100*took + 2*time.Minute).String())
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
		return string(name), nil
	}
	return "the test program ends", nil
}
