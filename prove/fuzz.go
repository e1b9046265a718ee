package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
	"github.com/pgauthmatrix/pgauthmatrix/prove/random"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/run"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// Fuzz runs random scenarios of a seed with about so many cells, and makes those smaller that disagree. It is false if one did.
func Fuzz(ctx context.Context, out io.Writer, seed uint64, cells int, dir string) (bool, error) {
	input, err := run.Load()
	if err != nil {
		return false, err
	}
	from, err := corpusCases()
	if err != nil {
		return false, err
	}
	b, err := Collect(seed, cells, from)
	if err != nil {
		return false, err
	}
	input.Scenarios, input.Golden, input.Divergences = b.scenarios, nil, nil
	summary, folder, err := run.Do(ctx, out, run.ConfigOf(input, matrix.Selection{}, fmt.Sprintf("random rules, seed %d, %d cells", seed, cells), dir))
	if err != nil {
		return false, err
	}
	fmt.Fprint(out, b.report())
	if err := b.save(folder); err != nil || summary.Green() {
		return err == nil, err
	}
	found, err := disagreements(folder)
	if err != nil {
		return false, err
	}
	for _, f := range found {
		if err := b.shrink(ctx, out, input, f, folder); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Batch is the scenarios of a seed, as far as they are predicted.
type Batch struct {
	seed      uint64
	sets      []*random.Scenario
	scenarios []*matrix.Scenario
	attempts  int            // cells that are predicted
	lost      int            // cells that cannot be predicted, and are excluded
	causes    map[string]int // of them
	example   map[string]string
}

// Collect writes scenarios of a seed until they have so many cells that are predicted. What the oracle does not predict is excluded, and counted by its cause.
// Where there are cases of a corpus, every other scenario is about one of them with a few changes.
func Collect(seed uint64, cells int, from []corpus.Case) (*Batch, error) {
	b := &Batch{seed: seed, causes: map[string]int{}, example: map[string]string{}}
	for n := 1; b.attempts < cells; n++ {
		set := random.Generate(seed, n)
		if n%2 == 1 && len(from) > 0 {
			if set = near(seed, n, from); set == nil {
				continue
			}
		}
		s, err := b.settle(set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", set.Name, err, set.YAML())
		}
		if s != nil {
			b.sets, b.scenarios = append(b.sets, set), append(b.scenarios, s)
		}
	}
	return b, nil
}

// near is a scenario about a set of files that are nearly those of the corpus; nil: its server does not load them and has only rules of before, which is
// tried once in four times, or no scenario can have such files.
func near(seed uint64, n int, from []corpus.Case) *random.Scenario {
	files := random.Files(seed, n, from)
	set := random.Around(fmt.Sprintf("seed-%d-near-%d", seed, n), seed, n, files)
	if r, err := oracle.Read(files.World(set.Server)); err != nil || len(r.Logged) > 0 && n%8 != 1 {
		return nil
	}
	if _, err := matrix.Parse(set.Name+".yaml", set.YAML()); err != nil {
		return nil
	}
	return set
}

// corpusCases are the cases of all groups.
func corpusCases() (cases []corpus.Case, err error) {
	groups, err := corpus.Load()
	for _, g := range groups {
		cases = append(cases, g.Cases...)
	}
	return cases, err
}

// settle excludes the cells that cannot be predicted; nil: there are no others.
func (b *Batch) settle(set *random.Scenario) (*matrix.Scenario, error) {
	s, err := matrix.Parse(set.Name+".yaml", set.YAML())
	if err != nil {
		return nil, err
	}
	predicted := 0
	var gaps []*matrix.Cell
	cells := s.Expand()
	for i := range cells {
		c := &cells[i]
		if matrix.NotApplicable(c) != "" {
			continue
		}
		_, err := run.Predict(c)
		var gap *oracle.CannotPredict
		switch {
		case err == nil:
			predicted++
		case errors.As(err, &gap):
			gaps = append(gaps, c)
			b.causes[gap.Why]++
			b.example[gap.Why] = gap.What
		default:
			return nil, err
		}
	}
	b.attempts, b.lost = b.attempts+predicted, b.lost+len(gaps)
	if predicted == 0 {
		return nil, nil
	}
	if len(gaps) == 0 {
		return s, nil
	}
	set.Without(gaps)
	return matrix.Parse(set.Name+".yaml", set.YAML())
}

func (b *Batch) report() string {
	return fmt.Sprintf("%d random scenarios, %d cells that are predicted\n", len(b.sets), b.attempts) + causes(b.lost, b.causes, b.example)
}

// save writes the scenarios into the run's folder, so that the run can be judged again.
func (b *Batch) save(folder string) error {
	for _, s := range b.sets {
		if err := save(folder, s); err != nil {
			return err
		}
	}
	return nil
}

func save(folder string, s *random.Scenario) error {
	file := fileOf(folder, s)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, s.YAML(), 0o644)
}

func fileOf(folder string, s *random.Scenario) string {
	return filepath.Join(folder, filepath.FromSlash(s.Name)+".yaml")
}

// disagreement is a cell that disagrees, and how.
type disagreement struct {
	id, scenario string
	as           verdict.Status
	how          string // fields that differ; empty for Broken
	cells        int    // of the run that disagree so
}

func disagrees(r *reports.Record) (d disagreement, yes bool) {
	d = disagreement{id: r.ID, scenario: r.Scenario, as: r.Verdict.Status, cells: 1}
	switch r.Verdict.Status {
	case verdict.Agree, verdict.NotApplicable, verdict.Known:
		return d, false
	case verdict.Broken:
		return d, true
	}
	var fields []string
	for _, x := range r.Verdict.Differences {
		fields = append(fields, string(x.Field))
	}
	d.how = strings.Join(fields, " ")
	return d, true
}

// maxKinds is how many kinds of disagreement are made smaller.
const maxKinds = 4

// disagreements are one for each kind.
func disagreements(folder string) (found []disagreement, err error) {
	err = eachDisagreement(folder, func(_ *reports.Record, d disagreement) {
		i := slices.IndexFunc(found, d.alike)
		if i >= 0 {
			found[i].cells++
		} else if len(found) < maxKinds {
			found = append(found, d)
		}
	})
	return found, err
}

// alike says whether two are of one kind.
func (d disagreement) alike(o disagreement) bool { return d.as == o.as && d.how == o.how }

// eachDisagreement visits the cells of a saved run that disagree.
func eachDisagreement(folder string, visit func(*reports.Record, disagreement)) error {
	saved, err := reports.Open(folder)
	if err != nil {
		return err
	}
	for r, err := range saved.Records() {
		if err != nil {
			return err
		}
		if d, yes := disagrees(r); yes {
			visit(r, d)
		}
	}
	return nil
}

// maxRounds limits the runs for one disagreement.
const maxRounds = 8

// shrink leaves out of a scenario whatever can be left out while a cell still disagrees in the same way, and saves what is left.
func (b *Batch) shrink(ctx context.Context, out io.Writer, input *run.Input, d disagreement, folder string) error {
	i := slices.IndexFunc(b.scenarios, func(s *matrix.Scenario) bool { return s.Name == d.scenario })
	cells := b.scenarios[i].Expand()
	n := slices.IndexFunc(cells, func(c matrix.Cell) bool { return c.ID == d.id })
	name := strings.TrimPrefix(d.scenario, random.Family+"/")
	smallest := b.sets[i].With(name+"-cell", random.Only(&cells[n]))
	still, err := trySets(ctx, input, folder, d, []*random.Scenario{smallest})
	if err != nil {
		return err
	}
	if len(still) == 0 {
		fmt.Fprintf(out, "%s does not disagree by itself: the scenario is %s\n", d.id, fileOf(folder, b.sets[i]))
		return nil
	}
	for round := 1; round <= maxRounds; round++ {
		next, err := smaller(ctx, input, folder, d, smallest, fmt.Sprintf("%s-r%d", name, round))
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		smallest = next
	}
	smallest = smallest.With(name + "-smallest")
	fmt.Fprintf(out, "%d cells disagree like %s; the smallest scenario that does: bin/pgauthmatrix run -f %s\n", d.cells, d.id, fileOf(folder, smallest))
	return save(folder, smallest)
}

// smaller takes one round of steps; nil: nothing can be left out.
func smaller(ctx context.Context, input *run.Input, folder string, d disagreement, s *random.Scenario, name string) (*random.Scenario, error) {
	steps := s.Steps()
	singles := make([]*random.Scenario, len(steps))
	for i, step := range steps {
		singles[i] = s.With(name+"-"+strconv.Itoa(i), step)
	}
	still, err := trySets(ctx, input, folder, d, singles)
	if err != nil || len(still) == 0 {
		return nil, err
	}
	var taken []random.Step
	for i := range steps {
		if slices.Contains(still, singles[i]) {
			taken = append(taken, steps[i])
		}
	}
	// What can be left out by itself can often be left out together.
	together := []*random.Scenario{s.With(name+"-all", taken...), s.With(name+"-first", taken[:(len(taken)+1)/2]...), s.With(name+"-last", taken[len(taken)/2:]...)}
	both, err := trySets(ctx, input, folder, d, together)
	if err != nil {
		return nil, err
	}
	return append(both, still...)[0], nil
}

// trySets runs scenarios and gives those with a cell that disagrees in the same way. Those that do not load or are not predicted are none.
func trySets(ctx context.Context, input *run.Input, folder string, d disagreement, sets []*random.Scenario) (still []*random.Scenario, err error) {
	of := map[string]*random.Scenario{}
	some := *input
	some.Scenarios = nil
	for _, set := range sets {
		s, err := matrix.Parse(set.Name+".yaml", set.YAML())
		if err != nil {
			continue
		}
		if cells, err := run.Predictable([]*matrix.Scenario{s}); err != nil || len(cells) != 1 || matrix.NotApplicable(&cells[0]) != "" {
			continue
		}
		some.Scenarios = append(some.Scenarios, s)
		of[s.Name] = set
	}
	if len(some.Scenarios) == 0 {
		return nil, nil
	}
	_, made, err := run.Planted(ctx, &some, nil, filepath.Join(folder, "shrinking"), nil)
	if err != nil {
		return nil, err
	}
	err = eachDisagreement(made, func(r *reports.Record, now disagreement) {
		if now.alike(d) {
			still = append(still, of[r.Scenario])
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(still, func(x, y *random.Scenario) int { return cmp.Compare(slices.Index(sets, x), slices.Index(sets, y)) })
	return still, nil
}
