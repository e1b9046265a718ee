package matrix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func (l *loading) exclude(v *value) {
	if v == nil || !l.want(v, "exclude", list) {
		return
	}
	for _, row := range v.items {
		if when, ok := l.when(row, "an exclude row"); ok {
			l.Exclude = append(l.Exclude, when)
		}
	}
}

func (l *loading) expect(v *value) {
	if v == nil || !l.want(v, "expect", list) {
		return
	}
	for _, row := range v.items {
		if !l.want(row, "an expect row", mapping) {
			continue
		}
		expect := Expect{Pos: l.pos(row.position)}
		whenOK, thenOK, thenAt := true, false, row.position
		entries := l.entriesOnce(row, "key")
		for _, e := range entries {
			switch e.key {
			case "when":
				expect.When, whenOK = l.when(e.value, "when")
			case "then":
				expect.Then, thenOK = l.then(e.value)
				thenAt = e.value.position
			default:
				l.problem(e.position, fmt.Sprintf("unknown key %q of an expect row", e.key), suggest(e.key, rowKeys))
			}
		}
		if !hasKey(entries, "then") {
			l.problem(row.position, "the expect row has no then", `say what is expected, as in then: refused at hba, no-hba-entry`)
		}
		if whenOK && thenOK {
			l.Expect = append(l.Expect, expect)
			l.expectAt, l.thenAt = append(l.expectAt, row.position), append(l.thenAt, thenAt)
		}
	}
}

func (r *reader) then(v *value) (Partial, bool) {
	text, ok := r.nonEmptyText(v, "then")
	if !ok {
		return Partial{}, false
	}
	partial, err := ParseOutcome(text)
	if err == nil {
		return partial, true
	}
	var wrong *OutcomeError
	errors.As(err, &wrong) // the only error there is
	at := v.position
	switch offset := len([]rune(text[:wrong.Offset])); {
	case v.style == plain:
		at.column += offset
	case v.style == quoted && !strings.ContainsAny(text, `\"'`): // no escapes, so that columns count on
		at.column += 1 + offset
	}
	r.problem(at, wrong.Wrong, wrong.Right)
	return Partial{}, false
}

// when reads the axes and values of a row. what is its name in messages.
func (l *loading) when(v *value, what string) ([]AxisValues, bool) {
	before, unsure := len(l.problems), false
	if !l.want(v, what, mapping) {
		return nil, false
	}
	var when []AxisValues
	for _, e := range l.entriesOnce(v, "axis") {
		axis, ok := l.axisByName(e.key)
		if !ok {
			l.problem(e.position, fmt.Sprintf("no axis %q", e.key), suggest(e.key, l.named()))
			continue
		}
		had, named := l.values[axis.Name]
		unsure = unsure || l.bad[axis.Name]
		if !named {
			if !l.bad[axis.Name] {
				l.problem(e.position, l.notNamed(axis), "leave it out here, or name the axis under "+string(axis.Kind))
			}
			continue
		}
		when = append(when, AxisValues{axis.Name, l.rowValues(axis, e.value, had)})
	}
	l.inOrder(when)
	return when, len(l.problems) == before && !unsure
}

// rowValues reads the values of one axis in a row. had are those that the scenario has: of a group the row claims no others.
func (l *loading) rowValues(axis Axis, v *value, had []string) (values []string) {
	var words []*value
	for _, word := range l.scalars(v, axis.Name) {
		members := slices.DeleteFunc(axis.members(word.text), func(m string) bool { return !slices.Contains(had, m) })
		named := slices.IndexFunc(values, func(v string) bool { return slices.Contains(members, v) })
		switch {
		case word.text == "all" && axis.Values != nil:
			l.problem(word.position, "all is not needed in a row", "leave the axis out: the row then claims every value")
		case named >= 0:
			l.twice(axis, values[named], word, words[named])
		case len(members) == 0 && !l.bad[axis.Name]:
			texts := make([]string, len(had))
			for i, h := range had {
				texts[i] = axis.Text(h)
			}
			l.problem(word.position, fmt.Sprintf("the scenario has no %s=%s", axis.Name, word.text), suggest(word.text, texts))
		default:
			values, words = append(values, members...), append(words, slices.Repeat([]*value{word}, len(members))...)
		}
	}
	return values
}

// named are the axes that the scenario names.
func (l *loading) named() []string {
	var names []string
	for _, a := range l.Axes {
		names = append(names, a.Axis)
	}
	return names
}

func (l *loading) notNamed(axis Axis) string {
	switch {
	case axis.Name == "hba" || axis.Name == "ident" && len(l.Ident) > 0:
		return fmt.Sprintf("the scenario has one %s text, which has no name", axis.Name)
	case axis.Name == "ident":
		return "the scenario has no ident text"
	case axis.Name == "principal":
		return "the scenario does not name principal: it is the user in every cell"
	}
	return fmt.Sprintf("the scenario does not name %s: every cell has %s=%s", axis.Name, axis.Name, axis.Text(axis.Default))
}
