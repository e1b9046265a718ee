package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/scenarios"
)

// Input is everything that people write: scenarios, control scenarios, approved outcomes and known disagreements.
type Input struct {
	Scenarios   []*matrix.Scenario
	Controls    []*matrix.Scenario
	Golden      matrix.Golden
	Divergences []matrix.Divergence
	Claims      []matrix.Shown // what cells of the built-in scenarios show of the claims; none beside files in their place
	Driver      *matrix.Driver // whose cells a run tries, in the place of those of the client that it is like; nil: all cells
}

// controlFamily is the folder of scenarios that bracket every Env instead of being run by themselves.
const controlFamily = "controls/"

// Load reads the built-in scenarios, or these files in their place, with the built-in controls. All mistakes are
// reported at once.
func Load(files ...string) (*Input, error) {
	var all []error
	input := &Input{Golden: matrix.Golden{}}
	builtin, err := matrix.Load(scenarios.Files)
	all = append(all, err)
	for _, s := range builtin {
		switch {
		case strings.HasPrefix(s.Name, controlFamily):
			input.Controls = append(input.Controls, s)
		case len(files) == 0:
			input.Scenarios = append(input.Scenarios, s)
		}
	}
	for _, file := range files {
		s, err := matrix.LoadFile(file)
		all = append(all, err)
		input.Scenarios = append(input.Scenarios, s)
	}
	if len(files) == 0 {
		for _, s := range input.Scenarios {
			golden, err := matrix.LoadGolden(scenarios.Files, s.Name+".golden")
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			all = append(all, err)
			for id, outcome := range golden {
				input.Golden[id] = outcome
			}
		}
		input.Divergences, err = matrix.LoadDivergences(scenarios.Files, matrix.DivergencesFile)
		if !errors.Is(err, fs.ErrNotExist) {
			all = append(all, err)
		}
		input.Claims, err = matrix.LoadClaims(scenarios.Files, matrix.ClaimsFile)
		all = append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return input, nil
}

// Controls reads the built-in control scenarios alone, for a run of scenarios that no file has.
func Controls() ([]*matrix.Scenario, error) {
	return matrix.Load(scenarios.Files, strings.TrimSuffix(controlFamily, "/"))
}

// Cell finds one cell by its ID.
func (i *Input) Cell(id string) (*matrix.Cell, error) {
	cells, _, err := selectFrom(slices.Concat(i.Scenarios, i.Controls), matrix.Selection{Patterns: []string{id}})
	if err != nil {
		return nil, err
	}
	for _, c := range cells {
		if c.ID == id {
			return &c, nil
		}
	}
	return nil, fmt.Errorf("%s names %d cells, not one; `pgauthmatrix list '%s'` lists them", id, len(cells), id)
}

// Cells are the selected ones, whether or not their images are available here.
func (i *Input) Cells(s matrix.Selection) ([]matrix.Cell, matrix.Coverage, error) {
	return selectFrom(i.Scenarios, s)
}

// PredictedCells are the selected cells; what the oracle cannot predict of them is an error, as it is in a run.
func (i *Input) PredictedCells(s matrix.Selection) ([]matrix.Cell, matrix.Coverage, error) {
	cells, coverage, err := i.Cells(s)
	if err == nil {
		_, err = predict(i.Scenarios, cells)
	}
	return cells, coverage, err
}

// selectFrom expands the scenarios that a selection names, and selects.
func selectFrom(scenarios []*matrix.Scenario, s matrix.Selection) ([]matrix.Cell, matrix.Coverage, error) {
	expanded, err := matrix.ExpandSelected(scenarios, s)
	if err != nil {
		return nil, matrix.Coverage{}, err
	}
	return matrix.Select(expanded, s)
}

// expand gives every cell of several scenarios.
func expand(scenarios []*matrix.Scenario) []matrix.Cell {
	var cells []matrix.Cell
	for _, s := range scenarios {
		cells = append(cells, s.Expand()...)
	}
	return cells
}

// Predict asks the oracle. Of a cell that is judged by hand it is not asked: the prediction is empty.
func Predict(c *matrix.Cell) (matrix.Prediction, error) {
	if c.ByHand {
		return matrix.Prediction{}, nil
	}
	return oracle.Predict(c)
}

// predict predicts the applicable ones of the cells. What cannot be predicted is said of whole scenarios, as Predictable says it.
func predict(scenarios []*matrix.Scenario, cells []matrix.Cell) (map[*matrix.Cell]matrix.Prediction, error) {
	predicted := make(map[*matrix.Cell]matrix.Prediction, len(cells))
	var wrong []*matrix.Scenario
	for i := range cells {
		c := &cells[i]
		if matrix.NotApplicable(c) != "" {
			continue
		}
		p, err := Predict(c)
		if err == nil {
			predicted[c] = p
			continue
		}
		n := slices.IndexFunc(scenarios, func(s *matrix.Scenario) bool { return s.Name == c.Scenario })
		if n < 0 {
			return nil, fmt.Errorf("%s: %w", c.ID, err)
		}
		if !slices.Contains(wrong, scenarios[n]) {
			wrong = append(wrong, scenarios[n])
		}
	}
	if len(wrong) > 0 {
		_, err := Predictable(wrong)
		return nil, err
	}
	return predicted, nil
}

// Predictable gives the cells of the scenarios. Its errors are cells that the oracle cannot predict, and rules that a
// server would not load. Each is said once for a scenario, with the number of its cells, what they have in common, and one of them.
func Predictable(scenarios []*matrix.Scenario) ([]matrix.Cell, error) {
	var every []matrix.Cell
	var all []error
	for _, s := range scenarios {
		cells := s.Expand()
		var found []string // in the order of the cells
		bad := map[string][]*matrix.Cell{}
		for i := range cells {
			c := &cells[i]
			if matrix.NotApplicable(c) != "" {
				continue
			}
			if _, err := Predict(c); err != nil {
				text := err.Error()
				if bad[text] == nil {
					found = append(found, text)
				}
				bad[text] = append(bad[text], c)
			}
		}
		for _, text := range found {
			in := bad[text]
			so := fmt.Sprintf("it concerns %d of %d cells", len(in), len(cells))
			if row := inCommon(cells, in); row != "" {
				so = fmt.Sprintf("a row of exclude removes these %d of %d cells: {%s}", len(in), len(cells), row)
			}
			all = append(all, fmt.Errorf("%s: %s; %s (the first is %s)", s.Pos, text, so, in[0].ID))
		}
		every = append(every, cells...)
	}
	return every, errors.Join(all...)
}

// inCommon gives the axis values that distinguish some cells from all of them, as a row of exclude.
func inCommon(all []matrix.Cell, some []*matrix.Cell) string {
	var axes []string
	for _, a := range all[0].World.Axes() { // all cells are of one scenario
		every, these := map[string]bool{}, map[string]bool{}
		var values []string
		for i := range all {
			every[all[i].Value(a.Name)] = true
		}
		for _, c := range some {
			if v := c.Value(a.Name); !these[v] {
				these[v] = true
				values = append(values, cmp.Or(v, matrix.NotGiven))
			}
		}
		if len(these) < len(every) {
			axes = append(axes, a.Name+": ["+strings.Join(values, ", ")+"]")
		}
	}
	return strings.Join(axes, ", ")
}
