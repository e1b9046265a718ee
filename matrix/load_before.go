package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// State is what a server has before it gets the files of its world.
type State struct {
	HBA, Ident                                   string // texts of pg_hba.conf and pg_ident.conf
	SSL, ServerCert, ServerCRL, ServerCA, Keytab string // values of these axes; "": as afterwards
	Rest                                         bool   // of a scenario: texts that are empty are as afterwards, too
}

// stateAxes are the axes of which a State has a value.
var stateAxes = []struct {
	name string
	of   func(*State) *string
}{
	{"ssl", func(s *State) *string { return &s.SSL }},
	{"servercert", func(s *State) *string { return &s.ServerCert }},
	{"servercrl", func(s *State) *string { return &s.ServerCRL }},
	{"serverca", func(s *State) *string { return &s.ServerCA }},
	{"keytab", func(s *State) *string { return &s.Keytab }},
}

// Earlier is the world before its server gets the files by World.Load: the server has those of World.Before, and has loaded them. No setting is given that
// a reload changes.
func (w *World) Earlier() *World {
	was, before := *w, w.Before
	was.HBA, was.Ident, was.Load, was.TLSFiles, was.Before = cmp.Or(before.HBA, RulesBefore), before.Ident, "", "", State{}
	if was.HBA != w.HBA { // what it includes is there with it
		was.Files = nil
	}
	was.SSL, was.ServerCert, was.ServerCRL = cmp.Or(before.SSL, w.SSL), cmp.Or(before.ServerCert, w.ServerCert), cmp.Or(before.ServerCRL, w.ServerCRL)
	was.ServerCA, was.Keytab = cmp.Or(before.ServerCA, w.ServerCA), cmp.Or(before.Keytab, w.Keytab)
	was.Settings = w.settings(false)
	return &was
}

// earlier is the scenario's State of before for a world whose texts are complete.
func (s *Scenario) earlier(w *World) State {
	before := s.Before
	before.HBA, before.Ident, before.Rest = s.substitute(before.HBA, w), s.substitute(before.Ident, w), false
	if s.Before.Rest {
		before.HBA, before.Ident = cmp.Or(before.HBA, w.HBA), cmp.Or(before.Ident, w.Ident)
	}
	return before
}

// String writes the axes that the state has values of.
func (s State) String() string {
	var parts []string
	for _, a := range stateAxes {
		if v := *a.of(&s); v != "" {
			parts = append(parts, a.name+"="+v)
		}
	}
	return strings.Join(parts, "  ")
}

// before reads what the server has before it gets the files of the world.
func (l *loading) before(v *value) {
	loads := len(l.values["load"]) > 0
	if loads {
		l.Before.HBA = RulesBefore
	}
	switch {
	case v == nil:
	case !loads && !l.bad["load"]:
		l.problem(v.position, "before is given, and load is not", "add load: reload or restart, or leave before out")
	case v.kind != mapping || hasKey(v.entries, fileKey):
		l.Before.HBA = l.text(Axis{Name: "before"}, v)
	default:
		l.stateBefore(v)
	}
}

// stateBefore reads a before that is a mapping.
func (l *loading) stateBefore(v *value) {
	l.Before = State{Rest: true}
	known := []string{"hba", "ident"}
	for _, a := range stateAxes {
		known = append(known, a.name)
	}
	entries := l.entriesOnce(v, "key")
	if len(entries) == 0 {
		l.problem(v.position, "before is empty", "want a pg_hba.conf, or {KEY: VALUE} with what is another afterwards")
	}
	for _, e := range entries {
		i := slices.IndexFunc(stateAxes, func(a struct {
			name string
			of   func(*State) *string
		}) bool {
			return a.name == e.key
		})
		switch {
		case e.key == "hba":
			l.Before.HBA = l.text(Axis{Name: e.key}, e.value)
		case e.key == "ident":
			l.Before.Ident = l.text(Axis{Name: e.key}, e.value)
		case i < 0:
			l.problem(e.position, fmt.Sprintf("unknown key %q under before", e.key), suggest(e.key, known))
		case l.want(e.value, "before."+e.key, scalar):
			axis, _ := AxisByName(e.key)
			if l.axisValue(axis, e.value) {
				*stateAxes[i].of(&l.Before) = e.value.text
			}
		}
	}
}

func beforeSchema() object {
	text := func() object { return textOrFileSchema(object{"type": "string", "pattern": `\S`}) }
	properties := object{"hba": text(), "ident": textOrFileSchema(object{"type": "string"})}
	for _, a := range stateAxes {
		properties[a.name] = object{"type": []string{"string", "boolean"}}
	}
	state := closed("", properties)
	state["minProperties"] = 1
	whole := text()
	whole["oneOf"] = append(whole["oneOf"].([]any), state)
	return whole
}
