package matrix

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

type object = map[string]any

func textSchema(doc string) object {
	return object{"type": "string", "pattern": `\S`, "description": doc}
}

// oneOrMore is an item, or a list of different items.
func oneOrMore(item object) object {
	return object{"oneOf": []any{item, object{"type": "array", "items": item, "minItems": 1, "uniqueItems": true}}}
}

// closed is a mapping with these keys and no others.
func closed(doc string, properties object, required ...string) object {
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if doc != "" {
		o["description"] = doc
	}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// The schemas of worldKeys.

func settingsSchema() object {
	return object{"type": "object", "propertyNames": object{"pattern": settingName.String(), "not": object{"pattern": harnessPattern()}},
		"additionalProperties": object{"type": []string{"string", "number", "boolean"}}}
}

func realmSchema() object { return object{"type": "string", "pattern": realmName.String()} }

func principalsSchema() object {
	return oneOrMore(object{"type": "string", "pattern": `^[^@]*[^@\s][^@]*$`})
}

func hostSchema() object { return object{"type": "string", "pattern": hostName.String()} }

// Schema is the JSON Schema (draft 2020-12) of a scenario file, made from the tables of this package. It covers what an editor can
// check: keys, values and the words of outcomes. Load checks the rest.
func Schema() []byte {
	ids := func(form *regexp.Regexp, doc string) object {
		o := oneOrMore(object{"type": "string", "pattern": form.String()})
		o["description"] = doc
		return o
	}
	texts := func(a Axis) object {
		text := object{"type": "string"}
		if a.Name == "hba" {
			text["pattern"] = `\S`
		}
		file := closed("a file beside the scenario", object{fileKey: object{"type": "string", "pattern": `^[^/\s][^\n]*$`}}, fileKey)
		named := object{"type": "object", "propertyNames": object{"pattern": kebabCase.String(), "not": object{"const": fileKey}},
			"additionalProperties": object{"oneOf": []any{text, file}}, "minProperties": 1}
		return object{"description": a.Doc, "oneOf": []any{text, file, named}}
	}
	axis := func(a Axis, all bool) object {
		var values []any
		for _, v := range a.Words() {
			values = append(values, v)
			if a.Name == "server" {
				values = append(values, json.Number(v)) // to YAML 17 is a number; Load reads the text
			}
		}
		for _, group := range a.groups() {
			values = append(values, group)
		}
		if a.Optional() {
			values = append(values, NotGiven)
		}
		item := object{"enum": values}
		switch {
		case a.Name == "address":
			item = addressSchema()
		case slices.Contains(describedAxes, a.Name):
			item = object{"anyOf": []any{item, object{"type": "string", "pattern": kebabCase.String(), "not": object{"const": "all"}}}}
		case a.Values == nil:
			item = object{"type": []string{"string", "integer"}, "pattern": `\S`}
		}
		o := oneOrMore(item)
		switch {
		case all && a.Values != nil:
			o["oneOf"] = append(o["oneOf"].([]any), object{"const": "all"})
		case all:
			o["not"] = object{"const": "all"} // free text has no list that it could stand for
		}
		doc := a.Doc
		if a.Default != "" {
			doc += " (default: " + a.Default + ")"
		}
		o["description"] = doc
		return o
	}

	world, client, when := object{}, object{}, object{}
	for _, a := range Axes {
		switch {
		case a.Name == "hba" || a.Name == "ident":
			world[a.Name] = texts(a)
			when[a.Name] = oneOrMore(object{"type": "string", "pattern": kebabCase.String()})
			continue
		case a.Kind == WorldAxis:
			world[a.Name] = axis(a, true)
		default:
			client[a.Name] = axis(a, true)
		}
		when[a.Name] = axis(a, false)
	}
	for _, k := range worldKeys {
		o := k.schema()
		o["description"] = k.doc
		world[k.name] = o
	}

	rows := func(row string) object {
		ref := object{"$ref": "#/$defs/" + row}
		return object{"properties": object{
			"exclude": object{"items": ref}, "expect": object{"items": object{"properties": object{"when": ref}}},
		}}
	}
	schema := closed("a scenario of pgauthmatrix: docs/scenarios.md", object{
		"question": textSchema(keyDocs["question"]),
		"source":   textSchema(keyDocs["source"]),
		"why":      textSchema(keyDocs["why"]),
		"claims":   ids(claimID, keyDocs["claims"]),
		"museum":   ids(museumID, keyDocs["museum"]),
		"world":    closed(keyDocs["world"], world, "hba"),
		"client":   closed(keyDocs["client"], client),
		"exclude":  object{"type": "array", "description": keyDocs["exclude"]},
		"judge":    object{"const": judgeExpect, "description": keyDocs["judge"]},
		"expect": object{"type": "array", "description": keyDocs["expect"], "items": closed("", object{
			"when": object{"type": "object"},
			"then": object{"type": "string", "pattern": outcomePattern(), "description": "connected gss, method gss, role alice, hba:1; or refused at hba, no-hba-entry"},
		}, "then")},
	}, "question", "world")
	const rowDoc = "values of axes; an axis that is not named may have any value"
	own := closed(rowDoc+". The scenario's own axes are among them", when)
	own["additionalProperties"] = oneOrMore(object{"type": []string{"string", "number", "boolean"}})
	own["propertyNames"] = object{"anyOf": []any{object{"enum": axisNames("")}, object{"pattern": ownName.String()}}}
	schema["$defs"] = object{"row": closed(rowDoc, when), "ownRow": own}
	schema["if"] = object{"properties": object{"world": object{"required": []string{"vary"}}}}
	schema["then"], schema["else"] = rows("ownRow"), rows("row")
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["$id"] = "https://github.com/pgauthmatrix/pgauthmatrix/scenarios/schema.json"
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic("matrix: " + err.Error()) // made of maps, slices and strings only
	}
	return append(out, '\n')
}

// keyDocs describes scenarioKeys.
var keyDocs = map[string]string{
	"question": "what the scenario shows, as one question",
	"source":   "where the behaviour is documented: manual section, RFC, source file",
	"why":      "why the question matters, to whom; explain shows it",
	"claims":   "ids of the claims that it tests, rows of docs/claims.md: S1, S2, …",
	"museum":   "ids of the past defects that it would show, rows of docs/museum.md: B14, …",
	"world":    "the server's side: world axes, and what all cells have in common",
	"client":   "the client's side: client axes",
	"exclude":  "combinations that have no cell: rows of AXIS: VALUE or VALUES",
	"judge":    "expect: every cell is judged by its row of expect alone, and must have one; the oracle is not asked",
	"expect":   "outcomes that are expected by hand; rows must not overlap, and only the fields that `then` states are compared",
}

// harnessPattern matches the settings that a scenario cannot have.
func harnessPattern() string {
	var names []string
	for _, s := range harnessSettings {
		if strings.HasSuffix(s.name, "_") {
			names = append(names, s.name+".*")
		} else {
			names = append(names, s.name)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// outcomePattern matches what ParseOutcome reads. It also matches reasons at stages that they cannot end, and fields that are stated
// twice.
func outcomePattern() string {
	oneWord := func(words []string) string {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = regexp.QuoteMeta(w)
		}
		return "(" + strings.Join(quoted, "|") + ")"
	}
	channel, method, step := oneWord(stringsOf(Channels)), oneWord(stringsOf(Methods)), oneWord(stringsOf(Steps))
	value := `("([^"\\]|\\.)*"|[^",\s][^",]*)`
	parts := []string{
		oneWord(reasonNames()), "hba:[1-9][0-9]*", "channel +" + channel, "method +" + method,
		"(identity|role|rule|answer|load) +" + value, "trace( +" + step + ")*", "obtains +" + oneWord(stringsOf(Obtaineds)), "descent +" + oneWord([]string{string(First), string(Fallback), string(Downgrade)}),
	}
	stages := oneWord(stringsOf(Stages))
	return "^ *(connected( +" + channel + ")?|refused( +at +" + stages + ")?)( *, *(" + strings.Join(parts, "|") + "))* *$"
}
