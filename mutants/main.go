// Mutants changes one condition, constant, case or statement of oracle, classify or verdict at a time, and asks who notices: first the cells of a
// saved run, which are classified and judged again; then the room's own tests. It lists the mutants that nobody notices.
//
// Every place that can be changed is rewritten once, to a call that asks which mutant is in force (package points). So one program, which is built once,
// is every mutant: docs/mutation.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	folder := flag.String("run", "", "folder of a saved run")
	names := flag.String("rooms", "oracle,classify,verdict", "rooms to mutate")
	sample := flag.Int("sample", 0, "only so many mutants of each room, chosen at random; 0: all")
	seed := flag.Uint64("seed", 1, "of the sample")
	each := flag.Int("each", 0, "cells of each path that are judged under a mutant; 0: all")
	only := flag.String("only", "", "only mutants whose text contains this")
	save := flag.String("save", "", "file for every mutant's result, as JSON")
	flag.Parse()
	if err := mutate(*folder, strings.Split(*names, ","), choice{*sample, *seed, *only}, *each, *save); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// choice says which mutants are judged.
type choice struct {
	sample int
	seed   uint64
	only   string
}

func (c choice) of(all []point) []point {
	chosen := slices.DeleteFunc(slices.Clone(all), func(p point) bool { return !strings.Contains(p.String(), c.only) })
	if c.sample > 0 && c.sample < len(chosen) {
		r := rand.New(rand.NewPCG(c.seed, 0)) //nolint:gosec // not for secrets
		r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:c.sample]
	}
	return chosen
}

func mutate(folder string, names []string, which choice, each int, save string) error {
	if folder == "" && slices.Contains(names, "classify") {
		return fmt.Errorf("-run is missing: the folder of a saved run, which `make test-matrix` writes to runs/; classify needs its evidence")
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	var all []outcome
	for _, name := range names {
		at := slices.IndexFunc(rooms, func(r room) bool { return r.name == name })
		if at < 0 {
			return fmt.Errorf("there is no room %q", name)
		}
		found, err := judgeRoom(root, &rooms[at], folder, which, each)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, found...)
	}
	if save != "" {
		text, err := json.MarshalIndent(all, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(save, text, 0o644); err != nil {
			return err
		}
	}
	return report(os.Stdout, root, all)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// judgeRoom builds a room with its points and asks cells, then tests.
func judgeRoom(root string, r *room, folder string, which choice, each int) ([]outcome, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b, err := build(root, dir, r)
	if err != nil {
		return nil, err
	}
	chosen := which.of(b.points)
	fmt.Fprintf(os.Stderr, "%s: %d points, %d of them judged\n", r.name, len(b.points), len(chosen))
	outcomes, err := b.askCells(chosen, folder, each)
	if err != nil {
		return nil, err
	}
	return outcomes, b.askTests(outcomes)
}

// built is a room with its points, as programs.
type built struct {
	room        *room
	root, dir   string
	points      []point
	judge, test string
}

func build(root, dir string, r *room) (*built, error) {
	sources, err := sourcesOf(root, r)
	if err != nil {
		return nil, err
	}
	exports, err := exportsOf(root, r)
	if err != nil {
		return nil, err
	}
	made, err := rewrite(r, sources, exports, 0)
	if err != nil {
		return nil, err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range made.files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		overlay.Replace[filepath.Join(root, r.name, name)] = file
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return nil, err
	}
	b := &built{room: r, root: root, dir: dir, points: made.points, judge: filepath.Join(dir, "judge"), test: filepath.Join(dir, r.name+".test")}
	for _, args := range [][]string{
		{"build", "-overlay", list, "-o", b.judge, "./mutants/judge"},
		{"test", "-vet=off", "-overlay", list, "-c", "-o", b.test, "./" + r.name},
	} {
		command := exec.Command("go", args...)
		command.Dir = root
		if out, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return b, nil
}
