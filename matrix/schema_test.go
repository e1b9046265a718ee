package matrix

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "rewrite the files that are made from the code")

// inStep compares a file with what the code makes, or with -update writes the file.
func inStep(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code makes; run: go test ./matrix -update", filepath.ToSlash(file))
	}
}

func TestSchemaFileIsInStep(t *testing.T) { inStep(t, "../scenarios/schema.json", Schema()) }

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asEditorsRead reads YAML as an editor does that applies a JSON Schema, with the types of YAML.
func asEditorsRead(source []byte) (any, error) {
	var read any // YAMLToJSON does not escape every character
	if err := yaml.Unmarshal(source, &read); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(read)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var v any
	return v, decoder.Decode(&v)
}

func TestSchemaTakesWhatLoads(t *testing.T) {
	schema := compiledSchema(t)
	files := map[string][]byte{"the whole format": []byte(whole)}
	for _, m := range []string{
		top, varied + "expect:\n  - when: {record: host, clientcert: [ca]}\n    then: connected\n", client + "  user: 17\n", top + "  ident: \"\"\n", top + "  settings: {}\n", client + "  library: [libpq, independent]\nexpect:\n  - when: {library: libpq}\n    then: connected\n", top + "expect:\n  - then: connected\n",
		"question: q\nworld: {hba: {a: host all all all trust}, files: {more.conf: x}, before: local all all trust, load: all}\nexpect:\n  - {when: {hba: a}, then: 'refused at auth, channel-binding, channel plain, method gss, identity \"a,b\", rule more.conf:3, load \"pg_hba.conf:1: a, b\", trace'}\n",
	} {
		load(t, m)
		files[m] = []byte(m)
	}
	folder := os.DirFS("../scenarios")
	if _, err := Load(folder); err != nil {
		t.Fatal(err)
	}
	scenarioFiles, err := fs.Glob(folder, "*/*.yaml")
	if err != nil || len(scenarioFiles) == 0 {
		t.Fatal("no scenario files", err)
	}
	for _, file := range scenarioFiles {
		if files[file], err = fs.ReadFile(folder, file); err != nil {
			t.Fatal(err)
		}
	}
	for name, source := range files {
		v, err := asEditorsRead(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// onlyLoadKnows are the mistakes that a schema cannot find: they are in the bytes, concern two places of the file, or depend on the
// meaning of words.
var onlyLoadKnows = map[string]bool{
	"hba folded": true, "hba over two plain lines": true, "no-break space in hba": true, "zero-width space in a value": true,
	"typographic quotes in hba": true, "typographic hyphen in ident": true, "tab between key and value": true, "line ends of Windows": true,
	"tab in the indentation of a text": true, "two documents": true, "anchor": true, "merge key": true, "setting twice": true, "role twice": true,
	"principal not in the realm": true, "when names an axis that has one value": true, "when names the one hba text": true,
	"when names a value that is not there": true, "rows overlap": true, "row dead by exclude": true, "row that no client can express": true,
	"scenario that no client can express": true, "exclude leaves nothing": true, "exclude names a value that is not there": true, "too many cells": true,
	"when names axes that every cell has one value of": true, "when names an ident text and there is none": true, "two rows and one cell": true, "a group and a member of it": true, "a member and its group": true, "when names a group and a member of it": true, "when names a group of which there is no client": true,
	"typographic apostrophe in hba": true, "then: reason at another stage": true, "then: some error": true, "then: stage alone": true, "then: connected with a reason": true, "then: twice": true,
	"vary: the name of the empty text": true, "vary: one text by two names": true, "vary: typographic quote": true, "vary: no text has it": true,
	"vary: not declared, in a text": true, "vary: not declared, in a setting": true, "vary: a value that the row has and the axis has not": true,
	"vary: a row names an axis that is not declared": true, "vary: rows overlap": true, "judge: no rows": true, "judge: a cell without a row": true,
	"krb5_confs: a line of the harness": true, "krb5_confs: plain": true, "keytab: a name of the catalogue": true, "keytab that nothing describes": true, "realms: own principals twice": true, "realms: own realm trusted": true,
	"client realm that is not there": true, "principal of a realm that the world does not have": true, "principal that its realm does not have": true,
	"files: a rule of another": true, "before: without a load": true, "before: another word": true, "load: a line that neither text has": true,
	"then: a line that is not there": true, "then: a line that is a comment": true, "then: role of a refusal": true, "then: descent of a refusal": true,
}

func TestSchemaRefusesWhatItCan(t *testing.T) {
	schema := compiledSchema(t)
	refused := 0
	for _, m := range mistakes {
		v, err := asEditorsRead([]byte(m.source))
		if err != nil {
			continue // an editor reports it without a schema
		}
		err = schema.Validate(v)
		if (err == nil) != onlyLoadKnows[m.name] {
			t.Errorf("%s: the schema says %v", m.name, err)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 50 {
		t.Errorf("the schema refuses %d mistakes only", refused)
	}
}
