package matrix

import (
	"regexp"
	"slices"
	"strings"
)

// OwnAxis is a world axis that a scenario declares under vary. {NAME} in the scenario's texts stands for the text of its value.
type OwnAxis struct {
	Name   string
	Values []OwnValue // in the order of the file
}

// OwnValue is a value of an OwnAxis. IDs, rows and selections have the name; the server's files have the text.
type OwnValue struct{ Name, Text string }

// Variation is the value that a world has on an axis of its scenario's own.
type Variation struct{ Axis, Value string }

// EmptyText is the name of an empty text in a list of values.
const EmptyText = "none"

// ownName is the form of the name of an own axis. It begins with a letter, so that the {2} of a regular expression is none.
var ownName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// placeholder is {NAME}: what else stands in braces is text like any other.
var placeholder = regexp.MustCompile(`\{([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\}`)

// ownAxis is an own axis as an entry like those of Axes.
func ownAxis(name string) Axis {
	return Axis{Name: name, Kind: WorldAxis,
		get: func(w *World, _ *Client) string { value, _ := w.own(name); return value },
		set: func(w *World, _ *Client, v string) {
			i := slices.IndexFunc(w.Vary, func(o Variation) bool { return o.Axis == name })
			w.Vary[i].Value = v
		}}
}

// own is the world's value on an own axis, if its scenario has declared it.
func (w *World) own(axis string) (string, bool) {
	for _, v := range w.Vary {
		if v.Axis == axis {
			return v.Value, true
		}
	}
	return "", false
}

// OwnAxes are the names of the axes of the scenario's own.
func (w *World) OwnAxes() []string {
	names := make([]string, len(w.Vary))
	for i, v := range w.Vary {
		names[i] = v.Axis
	}
	return names
}

// Axes are all axes of the world's scenario, in the order of IDs.
func (w *World) Axes() []Axis { return AxesWith(w.OwnAxes()) }

func (s *Scenario) axes() []Axis { return AxesWith(s.varyNames()) }

func (s *Scenario) varyNames() []string {
	names := make([]string, len(s.Vary))
	for i, a := range s.Vary {
		names[i] = a.Name
	}
	return names
}

// AxesWith are the world axes of Axes, own axes of these names, and the client axes: the order of IDs.
func AxesWith(names []string) []Axis {
	if len(names) == 0 {
		return Axes
	}
	first := slices.IndexFunc(Axes, func(a Axis) bool { return a.Kind == ClientAxis })
	all := slices.Clone(Axes[:first])
	for _, name := range names {
		all = append(all, ownAxis(name))
	}
	return append(all, Axes[first:]...)
}

// axisByName finds an axis of Axes or of the scenario's own.
func (s *Scenario) axisByName(name string) (Axis, bool) {
	if slices.Contains(s.varyNames(), name) {
		return ownAxis(name), true
	}
	return AxisByName(name)
}

// inOrder sorts axes as IDs name them.
func (s *Scenario) inOrder(axes []AxisValues) {
	all := s.axes()
	place := func(a AxisValues) int { return slices.IndexFunc(all, func(o Axis) bool { return o.Name == a.Axis }) }
	slices.SortFunc(axes, func(a, b AxisValues) int { return place(a) - place(b) })
}

// substitute replaces each {NAME} by the text of the world's value. Without own axes a text stays as it is, byte for byte. What a value
// brings in is not looked at again.
func (s *Scenario) substitute(text string, w *World) string {
	if len(s.Vary) == 0 || !strings.Contains(text, "{") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		value, _ := w.own(found[1 : len(found)-1])
		for _, own := range s.Vary {
			for _, v := range own.Values {
				if own.Name == found[1:len(found)-1] && v.Name == value {
					return v.Text
				}
			}
		}
		return found // the loader refuses a name that is not declared
	})
}

// substituted are texts of one world: of returns the text in which {NAME} stands for a value.
func substituted[T any](s *Scenario, texts []T, of func(*T) *string, w *World) []T {
	if len(s.Vary) == 0 {
		return texts
	}
	texts = slices.Clone(texts)
	for i := range texts {
		*of(&texts[i]) = s.substitute(*of(&texts[i]), w)
	}
	return texts
}
