package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// axes reads the axes of one heading. others are its keys that are no axes.
func (l *loading) axes(v *value, kind AxisKind, others []string) {
	for _, e := range l.entriesOnce(v, "key") {
		axis, ok := AxisByName(e.key)
		switch {
		case slices.Contains(others, e.key):
		case !ok || axis.Kind != kind:
			l.unknownKey(e, string(kind), append(axisNames(kind), others...))
		case axis.Name == "hba":
			l.HBA = l.texts(axis, e)
		case axis.Name == "ident":
			l.Ident = l.texts(axis, e)
		default:
			before := len(l.problems)
			values := l.axisValues(axis, e)
			l.words[axis.Name] = e.value
			if l.bad[axis.Name] = len(l.problems) > before; len(values) > 0 {
				l.name(axis, values)
			}
		}
	}
}

func (l *loading) name(axis Axis, values []string) {
	l.values[axis.Name] = values
	l.Axes = append(l.Axes, AxisValues{axis.Name, values})
}

func (l *loading) axisValues(axis Axis, e entry) []string {
	if e.value.kind == scalar && e.value.text == "all" && e.value.style == plain {
		if axis.Values == nil {
			l.problem(e.value.position, fmt.Sprintf("%s has no closed list that all could stand for", axis.Name), "name the values")
		}
		return axis.Values
	}
	var values []string
	var words []*value // by which each of the values is named
	for _, v := range l.scalars(e.value, axis.Name) {
		if !l.axisValue(axis, v) {
			continue
		}
		for _, member := range axis.members(v.text) {
			if i := slices.Index(values, member); i >= 0 {
				l.twice(axis, member, v, words[i])
				break
			}
			values, words = append(values, member), append(words, v)
		}
	}
	return values
}

// twice reports a value that two words name.
func (l *loading) twice(axis Axis, value string, word, before *value) {
	keep := fmt.Sprintf("keep this one or the one in column %d of line %d", before.column, before.line)
	switch groups := axis.groups(); {
	case word.text == before.text:
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice", axis.Name, word.text), keep)
	case slices.Contains(groups, before.text):
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice: the group %s contains it", axis.Name, value, before.text), keep)
	default:
		l.problem(word.position, fmt.Sprintf("%s=%s is there twice: the group %s contains it", axis.Name, value, word.text), keep)
	}
}

// axisValue returns whether the axis has the value, and reports it if not.
func (l *loading) axisValue(axis Axis, v *value) bool {
	wrong, right := axis.check(v.text, l.own[axis.Name]...)
	if wrong != "" {
		l.problem(v.position, wrong, right)
	}
	return wrong == ""
}

// check says what is wrong with a value as text, and what would be right; nothing if the axis has the value, or if it is one of
// further values.
func (a Axis) check(text string, further ...string) (wrong, right string) {
	possible := slices.Concat(a.Words(), a.groups(), further)
	if a.Optional() {
		possible = append(possible, NotGiven)
	}
	switch {
	case slices.Contains(possible, text):
		return "", ""
	case a.Values != nil && text == "all":
		return fmt.Sprintf("all stands for every value of %s and cannot be one of several", a.Name), "leave the others out, or name the values"
	case a.Name == "server":
		return fmt.Sprintf("unknown server version %q", text), "want a major version: " + orList(a.Values)
	case a.Values != nil:
		return fmt.Sprintf("impossible value %q of %s", text, a.Name), suggest(text, possible)
	case strings.TrimSpace(text) == "":
		return "empty value of " + a.Name, "name one, or leave the axis out"
	case a.Name == "address":
		return checkAddress(text)
	}
	return "", ""
}

// lookalike recognises the characters that word processors write for quotes and hyphens.
func lookalike(c rune) (looks, right string) {
	switch c {
	case '\u201C', '\u201D', '\u201E', '\u00AB', '\u00BB':
		return "typographic quote", `"`
	case '\u2018', '\u2019':
		return "typographic apostrophe", "'"
	case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
		return "typographic hyphen", "-"
	}
	return "", ""
}
