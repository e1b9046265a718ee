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

	"github.com/pgauthmatrix/pgauthmatrix/mutants/points"
)

func main() {
	folder := flag.String("run", "", "folder of a saved run")
	names := flag.String("rooms", "oracle,classify,verdict", "rooms to mutate")
	sample := flag.Int("sample", 0, "only so many mutants of each room, chosen at random; 0: all")
	seed := flag.Uint64("seed", 1, "of the sample")
	most := flag.Int("most", 0, "cells that are judged under a mutant, of as many paths as there are; 0: all that reach its point")
	only := flag.String("only", "", "only mutants whose text contains this")
	save := flag.String("save", "", "file for every mutant's result, as JSON")
	after := flag.String("after", "", "file of results that -save has written: only its mutants; what cells said is kept, and tests are asked about what was left")
	doc := flag.String("doc", "", "file whose generated part is written anew: docs/mutation.md")
	flag.Parse()
	which := choice{sample: *sample, seed: *seed, only: *only}
	err := which.read(*after)
	if err == nil {
		err = mutate(*folder, strings.Split(*names, ","), which, *most, *save, *doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// choice says which mutants are judged.
type choice struct {
	sample int
	seed   uint64
	only   string
	before map[string]outcome // by key: what is known of them
}

func (c *choice) read(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var before []outcome
	if err := json.Unmarshal(text, &before); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c.before = map[string]outcome{}
	for _, o := range before {
		c.before[o.key()] = o
	}
	return nil
}

// of gives those that are to be judged, and what is known of the others.
func (c choice) of(all []point) (chosen []point, known []outcome) {
	for _, p := range all {
		if !strings.Contains(p.String(), c.only) {
			continue
		}
		if o, ok := c.before[p.key()]; ok {
			o.point = p
			known = append(known, o)
		}
		if c.before != nil {
			continue
		}
		chosen = append(chosen, p)
	}
	if c.sample > 0 {
		r := rand.New(rand.NewPCG(c.seed, 0)) //nolint:gosec // not for secrets
		r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		taken := map[string]int{}
		chosen = slices.DeleteFunc(chosen, func(p point) bool { taken[p.Room]++; return taken[p.Room] > c.sample })
		slices.SortFunc(chosen, func(a, b point) int { return a.ID - b.ID })
	}
	return chosen, known
}

func mutate(folder string, names []string, which choice, most int, save, doc string) error {
	if folder == "" && slices.Contains(names, "classify") {
		return fmt.Errorf("-run is missing: the folder of a saved run, which `make test-matrix` writes to runs/; classify needs its evidence")
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	var chosen []*room
	for _, name := range names {
		at := slices.IndexFunc(rooms, func(r room) bool { return r.name == name })
		if at < 0 {
			return fmt.Errorf("there is no room %q", name)
		}
		chosen = append(chosen, &rooms[at])
	}
	b, err := build(root, chosen)
	if err != nil {
		return err
	}
	asked, all := which.of(b.points)
	fmt.Fprintf(os.Stderr, "%d mutants, %d of them are judged\n", len(b.points), len(asked))
	if len(asked) > 0 {
		outcomes, err := b.askCells(asked, folder, most)
		if err != nil {
			return err
		}
		all = append(all, outcomes...)
	}
	if err := write(save, all); err != nil { // asking tests takes its time
		return err
	}
	if err := b.askTests(all); err != nil {
		return err
	}
	if err := write(save, all); err != nil {
		return err
	}
	if doc != "" {
		if err := writeDocument(doc, fmt.Sprintf("`go run ./mutants -run %s -rooms %s`", filepath.Base(folder), strings.Join(names, ",")), all); err != nil {
			return err
		}
	}
	return report(os.Stdout, all, which.sample > 0)
}

// write keeps results in a file; "": nowhere.
func write(file string, all []outcome) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// built are rooms with their points, as programs.
type built struct {
	rooms           []*room
	root, dir, list string // the module, the folder of the programs, the overlay
	points          []point
}

// build rewrites the rooms and builds the judge.
func build(root string, rooms []*room) (*built, error) {
	dir := filepath.Join(root, "bin", ".mutants") // one place, so that Go finds what it has built before; with a dot, so that ./... has none of it
	for _, r := range rooms {
		dir += "-" + r.name
	}
	b := &built{rooms: rooms, root: root, dir: dir}
	b.list = filepath.Join(b.dir, "overlay.json")
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, r := range rooms {
		if err := os.MkdirAll(filepath.Join(b.dir, r.name), 0o755); err != nil {
			return nil, err
		}
		sources, err := sourcesOf(root, r)
		if err != nil {
			return nil, err
		}
		exports, err := exportsOf(root, r)
		if err != nil {
			return nil, err
		}
		made, err := rewrite(r, sources, exports, len(b.points))
		if err != nil {
			return nil, err
		}
		b.points = append(b.points, made.points...)
		for name, text := range made.files {
			file := filepath.Join(b.dir, r.name, name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return nil, err
			}
			overlay.Replace[filepath.Join(root, r.name, name)] = file
		}
	}
	if len(b.points) >= points.Most {
		return nil, fmt.Errorf("%d points: points.Most is %d", len(b.points), points.Most)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.list, text, 0o600); err != nil {
		return nil, err
	}
	return b, b.command("build", "-o", filepath.Join(b.dir, "judge"), "./mutants/judge")
}

// command is go COMMAND with the rewritten sources.
func (b *built) command(name string, args ...string) error {
	command := exec.Command("go", append([]string{name, "-overlay", b.list}, args...)...)
	command.Dir = b.root
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", name, err, out)
	}
	return nil
}

// program is the test program of a room.
func (b *built) program(room string) string { return filepath.Join(b.dir, room+".test") }
