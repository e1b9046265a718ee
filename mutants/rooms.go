package main

import "slices"

// room is one package whose mutants are judged.
type room struct {
	name string
	// What is said for people alone is not changed: wording is no behaviour.
	explanations []string // functions that take such texts, and types that hold them
	fields       []string // fields and variables that hold them
	skip         []string // functions that make nothing else
	tests        []string // rooms whose tests are asked, this one first
}

var rooms = []room{
	{
		name:         "oracle",
		tests:        []string{"oracle", "audit"},
		explanations: []string{"why", "unknown", "fmt.Errorf", "errors.New", "Because", "tellLoad", "panic"},
		fields:       []string{"source", "because", "function", "okSource", "unwrapSource"},
		skip:         []string{"Error", "tellLoad", "reloadSource", "serverSource"},
	},
	{
		name:         "classify",
		tests:        []string{"classify"},
		explanations: []string{"note", "noteRefusal", "noteReason", "fmt.Errorf", "errors.New", "unknownMessage", "panic"},
		fields:       []string{"meaning"},
		skip:         []string{"because", "note", "noteRefusal", "noteReason", "sessionChannel"},
	},
	{
		name:         "verdict",
		tests:        []string{"verdict"},
		explanations: []string{"fmt.Errorf", "errors.New", "broken"},
	},
}

func (r *room) explains(name string) bool      { return slices.Contains(r.explanations, name) }
func (r *room) explainsField(name string) bool { return slices.Contains(r.fields, name) }
func (r *room) skips(function string) bool     { return slices.Contains(r.skip, function) }
