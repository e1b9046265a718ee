package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// template is a text of the file in which {NAME} may stand for a value of an own axis.
type template struct {
	what string
	text string
	at   func(offset int) (file string, at position)
}

// inPlace is the template of a value of the scenario file. Positions inside it are known where YAML left its characters alone.
func (l *loading) inPlace(what string, v *value) template {
	return template{what, v.text, func(offset int) (string, position) {
		at := v.position
		switch before := v.text[:offset]; {
		case v.style == literal: // the text starts in the line after |
			line := strings.Count(before, "\n")
			at.line += 1 + line
			whole := strings.Split(v.text, "\n")[line]
			at.column = len(l.lines[at.line-1]) - len(whole) + 1 + len([]rune(before[strings.LastIndex(before, "\n")+1:]))
		case v.style == plain:
			at.column += len([]rune(before))
		}
		return l.file, at
	}}
}

// vary reads the axes of the scenario's own.
func (l *loading) vary(v *value) {
	if v == nil || !l.want(v, "vary", mapping) {
		return
	}
	if len(v.entries) == 0 {
		l.problem(v.position, "vary declares no axis", "want {NAME: [TEXT, TEXT]}, or leave the key out")
	}
	for _, e := range l.entriesOnce(v, "axis") {
		if !l.ownName(e) {
			continue
		}
		before := len(l.problems)
		own := OwnAxis{Name: e.key, Values: l.ownValues(e)}
		l.bad[e.key] = len(l.problems) > before
		l.Vary, l.varyAt = append(l.Vary, own), append(l.varyAt, e.position)
		names := make([]string, len(own.Values))
		for i, o := range own.Values {
			names[i] = o.Name
		}
		if len(names) > 0 {
			l.name(ownAxis(e.key), names)
		}
	}
}

// ownName returns whether an own axis can have this name.
func (l *loading) ownName(e entry) bool {
	_, isAxis := AxisByName(e.key)
	switch {
	case !ownName.MatchString(e.key):
		l.problem(e.position, fmt.Sprintf("%q is no name for an axis", e.key), "want a letter, then a-z, 0-9 and single hyphens, as in record-type")
	case isAxis:
		l.problem(e.position, e.key+" is an axis already", "choose another name, or name its values under its own heading")
	case slices.Contains(worldKeyNames(), e.key), slices.Contains(scenarioKeys, e.key):
		l.problem(e.position, e.key+" is a key of scenario files", "choose another name")
	default:
		return true
	}
	return false
}

// ownValues reads texts, which are their own names, or texts by name.
func (l *loading) ownValues(e entry) (values []OwnValue) {
	what := "a value of " + e.key
	add := func(at position, name string, v *value) {
		if !l.want(v, what, scalar) {
			return
		}
		same := slices.IndexFunc(values, func(o OwnValue) bool { return o.Text == v.text })
		named := slices.IndexFunc(values, func(o OwnValue) bool { return o.Name == name })
		looks, right := "", ""
		if v.style == plain {
			for _, c := range v.text {
				if looks, right = lookalike(c); looks != "" {
					break
				}
			}
		}
		switch {
		case strings.ContainsAny(v.text, "\r\n") || v.style == literal || v.style == folded || v.style == wrapped:
			l.problem(v.position, what+" is longer than a line", "write it in one line: the lines of a text are counted before its values are known")
		case looks != "":
			l.problem(v.position, looks+" in "+what, "write "+right)
		case same >= 0 && named < 0:
			l.problem(at, fmt.Sprintf("%s=%s is the same text as %s", e.key, name, values[same].Name), "leave one of them out")
		case named >= 0:
			l.problem(at, fmt.Sprintf("%s=%s is there twice", e.key, name), "leave one of them out; an empty text in a list is named "+EmptyText)
		default:
			values = append(values, OwnValue{name, v.text})
		}
	}
	if e.value.kind != mapping {
		for _, v := range l.scalars(e.value, e.key) {
			name := v.text
			if name == "" {
				name = EmptyText
			}
			add(v.position, name, v)
		}
		return values
	}
	if len(e.value.entries) == 0 {
		l.problem(e.value.position, e.key+" has no values", "want {NAME: TEXT, NAME: TEXT}, or [TEXT, TEXT]")
	}
	for _, named := range l.entriesOnce(e.value, "value") {
		if !kebabCase.MatchString(named.key) {
			l.problem(named.position, fmt.Sprintf("%q is no name for a value of %s", named.key, e.key), "want a-z, 0-9 and single hyphens, as in verify-ca")
			continue
		}
		add(named.position, named.key, named.value)
	}
	return values
}

// checkTemplates holds the texts against the axes that vary declares.
func (l *loading) checkTemplates() {
	if len(l.Vary) == 0 || len(l.Vary) < len(l.inWorld["vary"].entries) {
		return // without vary {word} means itself; an axis that is refused is not missed in the texts
	}
	used := map[string]bool{}
	for _, t := range l.templates {
		for _, m := range placeholder.FindAllStringSubmatchIndex(t.text, -1) {
			name := t.text[m[2]:m[3]]
			used[name] = true
			if slices.Contains(l.varyNames(), name) {
				continue
			}
			file, at := t.at(m[0])
			l.problemIn(file, at, fmt.Sprintf("{%s} in %s, and vary declares no %s", name, t.what, name),
				suggest(name, l.varyNames())+"; braces that mean themselves are a value of vary, too, as in brace: {only: \"{"+name+"}\"}")
		}
	}
	for i, own := range l.Vary {
		if !used[own.Name] && !slices.ContainsFunc([]string{"hba", "ident"}, func(axis string) bool { return l.bad[axis] }) {
			l.problem(l.varyAt[i], fmt.Sprintf("vary declares %s and no text has {%s}", own.Name, own.Name), "write it into hba, ident or a setting, or leave the axis out")
		}
	}
}

func varySchema() object {
	text := object{"type": []string{"string", "number", "boolean"}, "pattern": `^[^\r\n]*$`}
	list := oneOrMore(text)
	list["oneOf"] = append(list["oneOf"].([]any), object{"type": "object", "propertyNames": object{"pattern": kebabCase.String()}, "additionalProperties": text, "minProperties": 1})
	taken := slices.Concat(axisNames(""), worldKeyNames(), scenarioKeys)
	return object{"type": "object", "propertyNames": object{"pattern": ownName.String(), "not": object{"enum": taken}}, "additionalProperties": list, "minProperties": 1}
}
