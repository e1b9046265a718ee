package random

import (
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Step makes a scenario smaller in one respect.
type Step func(*Scenario)

// Steps are the ways to make the scenario smaller, each on its own. Several of them can be taken one after another, in this order: what is
// removed from a list is removed from its end first.
func (s *Scenario) Steps() (steps []Step) {
	add := func(possible bool, step Step) {
		if possible {
			steps = append(steps, step)
		}
	}
	for i := range slices.Backward(s.Axes) {
		add(s.Axes[i].Axis != "library", func(s *Scenario) { s.Axes = slices.Delete(s.Axes, i, i+1) })
	}
	add(len(s.Networks) > 0, func(s *Scenario) {
		s.Networks, s.Names = nil, nil
		s.Axes = slices.DeleteFunc(s.Axes, func(a matrix.AxisValues) bool { return a.Axis == "address" })
	})
	for i := range slices.Backward(s.Names) {
		add(true, func(s *Scenario) { s.Names = slices.Delete(s.Names, min(i, len(s.Names)), min(i+1, len(s.Names))) })
	}
	for i := range slices.Backward(s.Settings) {
		add(true, func(s *Scenario) { s.Settings = slices.Delete(s.Settings, i, i+1) })
	}
	for i := range slices.Backward(s.Roles) {
		add(len(s.Roles) > 1, func(s *Scenario) { s.Roles = slices.Delete(s.Roles, i, i+1) })
	}
	for i := range slices.Backward(s.Files) {
		add(true, func(s *Scenario) { s.Files = slices.Delete(s.Files, i, i+1) })
	}
	for _, text := range []func(*Scenario) *Text{
		func(s *Scenario) *Text { return &s.HBA }, func(s *Scenario) *Text { return &s.Ident }, func(s *Scenario) *Text { return &s.Before },
	} {
		steps = append(steps, textSteps(*text(s), text)...)
	}
	add(s.Load != "", func(s *Scenario) { s.Load, s.Before = "", nil })
	add(s.SSL == "off", func(s *Scenario) { s.SSL = "on" })
	return steps
}

func textSteps(t Text, of func(*Scenario) *Text) (steps []Step) {
	for i, e := range slices.Backward(t) {
		for j := range slices.Backward(e.Options) {
			steps = append(steps, func(s *Scenario) { e := &(*of(s))[i]; e.Options = slices.Delete(e.Options, j, j+1) })
		}
		if e.Tail != "\n" {
			steps = append(steps, func(s *Scenario) { (*of(s))[i].Tail = "\n" })
		}
		if plain := strings.Join(strings.Fields(e.Fields), " "); plain != e.Fields && !strings.ContainsAny(e.Fields, `#"\`) {
			steps = append(steps, func(s *Scenario) { (*of(s))[i].Fields = plain })
		}
		steps = append(steps, func(s *Scenario) { *of(s) = slices.Delete(*of(s), i, i+1) })
	}
	return steps
}

// With is a copy of the scenario after these steps, under another name.
func (s *Scenario) With(name string, steps ...Step) *Scenario {
	c := *s
	c.Name = Family + "/" + name
	c.HBA, c.Ident, c.Before = s.HBA.clone(), s.Ident.clone(), s.Before.clone()
	c.Files, c.Settings, c.Roles, c.Names, c.Axes = slices.Clone(s.Files), slices.Clone(s.Settings), slices.Clone(s.Roles), slices.Clone(s.Names), slices.Clone(s.Axes)
	for _, step := range steps {
		step(&c)
	}
	return &c
}

func (t Text) clone() Text {
	c := slices.Clone(t)
	for i := range c {
		c[i].Options = slices.Clone(c[i].Options)
	}
	return c
}

// Only leaves one cell of the scenario.
func Only(c *matrix.Cell) Step {
	return func(s *Scenario) {
		s.Exclude = nil
		for i, a := range s.Axes {
			s.Axes[i].Values = []string{valueText(a.Axis, c)}
		}
	}
}

// Without excludes cells.
func (s *Scenario) Without(cells []*matrix.Cell) {
	for _, c := range cells {
		var row []matrix.AxisValues
		for _, a := range s.Axes {
			if len(a.Values) > 1 {
				row = append(row, matrix.AxisValues{Axis: a.Axis, Values: []string{valueText(a.Axis, c)}})
			}
		}
		s.Exclude = append(s.Exclude, row)
	}
}

func valueText(axis string, c *matrix.Cell) string {
	a, _ := matrix.AxisByName(axis) // every axis of a scenario is one
	return a.Text(c.Value(axis))
}
