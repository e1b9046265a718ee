package compliance

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// frameworkFiles are the files of controls, in the order of reports.
var frameworkFiles = []string{"cis.yaml", "stig.yaml", "nist.yaml", "pci.yaml"}

const questionsFile = "questions.yaml"

// loader collects the mistakes of all files.
type loader struct {
	file     string
	problems []error
}

// Load reads questions and controls. The error joins every mistake, each a *matrix.Problem.
func Load(fsys fs.FS) (*Catalogue, error) {
	l := &loader{}
	c := &Catalogue{}
	l.read(fsys, questionsFile, &c.Questions)
	for i, q := range c.Questions {
		l.question(q)
		if slices.ContainsFunc(c.Questions[:i], func(o *Question) bool { return o.ID == q.ID }) {
			l.problem(1, 1, "two questions have the id "+q.ID, "rename one of them")
		}
	}
	seen := map[string]bool{}
	for _, file := range frameworkFiles {
		f := &Framework{}
		l.read(fsys, file, f)
		c.Frameworks = append(c.Frameworks, f)
		for _, control := range f.Controls {
			control.Framework = f
			if key := f.ID + " " + control.ID; seen[key] {
				l.problem(1, 1, "two controls have the id "+control.ID, "rename one of them")
			} else {
				seen[key] = true
			}
			l.control(control, c.Questions)
		}
	}
	return c, errors.Join(l.problems...)
}

func (l *loader) problem(line, column int, wrong, right string) {
	l.problems = append(l.problems, &matrix.Problem{File: l.file, Line: line, Column: column, Wrong: wrong, Right: right})
}

// read decodes a file; a key that its type does not have is a mistake.
func (l *loader) read(fsys fs.FS, file string, into any) {
	l.file = file
	source, err := fs.ReadFile(fsys, file)
	if err != nil {
		l.problems = append(l.problems, err)
		return
	}
	err = yaml.UnmarshalWithOptions(source, into, yaml.Strict())
	if place := yaml.Error(nil); errors.As(err, &place) {
		at := place.GetToken().Position
		l.problem(at.Line, at.Column, place.GetMessage(), "see docs/compliance.md")
	} else if err != nil {
		l.problems = append(l.problems, fmt.Errorf("%s: %w", file, err))
	}
}

func (l *loader) question(q *Question) {
	at := func(wrong, right string) {
		l.problem(1, 1, "question "+cmp.Or(q.ID, "without an id")+": "+wrong, right)
	}
	if q.ID == "" || q.Asks == "" {
		at("id or asks is missing", "write both")
	}
	if len(q.Needs) == 0 && q.Limit == "" {
		at("it has neither needs nor limit", "say which cells must have been tried: absence of a cell must not satisfy")
	}
	l.condition(q.Cells, true)
	for _, list := range [][]finding{q.Violated, q.Open, q.Needs} {
		for _, f := range list {
			if f.Says == "" || len(f.When) == 0 {
				at("an entry has no says or no when", "write both")
			}
			l.condition(f.When, false)
		}
	}
	for _, w := range q.Covers {
		if !slices.Contains(coverWords, w.text) {
			l.problem(w.line, w.column, fmt.Sprintf("no channel %q", w.text), "want "+strings.Join(coverWords, ", "))
		}
	}
	for _, c := range q.Settings {
		l.check(c)
	}
}

// condition checks names and values.
func (l *loader) condition(c condition, axesOnly bool) {
	for _, t := range c {
		f, known := fieldByName(t.field.text)
		switch {
		case !known:
			l.problem(t.field.line, t.field.column, fmt.Sprintf("no field %q", t.field.text), "want an axis, or "+strings.Join(observedNames(), ", "))
			continue
		case axesOnly && !f.axis:
			l.problem(t.field.line, t.field.column, t.field.text+" is observed", "cells chooses by axes only, so that cells without an outcome belong to the evidence")
		}
		for _, v := range t.values {
			if f.values != nil && !slices.Contains(f.values, v.text) {
				l.problem(v.line, v.column, fmt.Sprintf("%s has no value %q", t.field.text, v.text), "want "+strings.Join(f.values, ", "))
			}
		}
	}
}

var nistID = regexp.MustCompile(`^[a-z]{2}-[0-9]+(\.[0-9]+)?$`)

func (l *loader) control(c *Control, questions []*Question) {
	at := func(wrong, right string) { l.problem(1, 1, "control "+cmp.Or(c.ID, "without an id")+": "+wrong, right) }
	if c.ID == "" || c.Title == "" || c.Paraphrase == "" {
		at("id, title or paraphrase is missing", "write all three")
	}
	if len(c.NIST) == 0 && c.Framework.ID != "nist" {
		at("nist is missing", "name the controls of SP 800-53 that it belongs to")
	}
	for _, n := range c.NIST {
		if !nistID.MatchString(n) {
			at(fmt.Sprintf("%q is no control of SP 800-53", n), "write it as OSCAL does: sc-8.1")
		}
	}
	switch {
	case !slices.Contains(Proofs, c.Proof):
		at(fmt.Sprintf("proof is %q", c.Proof), "want behaviour, configuration or manual")
	case (c.Proof == ByBehaviour) != (len(c.Asks) > 0):
		at("only behaviour can be asked for, and must be", "name questions under asks, or change proof")
	case c.Proof == ByConfiguration && len(c.Literal) == 0:
		at("proof is configuration and there is no literal check", "write the check")
	case c.Proof == ByHand && c.ByHand == "":
		at("proof is manual and by hand is missing", "say what is to be looked at")
	}
	for _, w := range c.Asks {
		i := slices.IndexFunc(questions, func(q *Question) bool { return q.ID == w.text })
		if i < 0 {
			l.problem(w.line, w.column, fmt.Sprintf("no question %q", w.text), "see "+questionsFile)
			continue
		}
		c.questions = append(c.questions, questions[i])
	}
	for _, check := range c.Literal {
		l.check(check)
	}
}

// UnmarshalYAML keeps a scalar as it is written.
func (w *word) UnmarshalYAML(node ast.Node) error {
	switch n := node.(type) {
	case *ast.StringNode:
		w.text = n.Value
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode:
		w.text = n.GetToken().Value
	default:
		return &yaml.SyntaxError{Message: "want a word", Token: node.GetToken()}
	}
	w.line, w.column = node.GetToken().Position.Line, node.GetToken().Position.Column
	return nil
}

// UnmarshalYAML reads FIELD: VALUE, FIELD: [VALUE, VALUE] and FIELD: {not: …}.
func (c *condition) UnmarshalYAML(node ast.Node) error {
	var entries []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		return &yaml.SyntaxError{Message: "want a mapping of fields and values", Token: node.GetToken()}
	}
	for _, e := range entries {
		key := e.Key.GetToken()
		t := term{field: word{key.Value, key.Position.Line, key.Position.Column}}
		value := e.Value
		if not, is := value.(*ast.MappingNode); is && len(not.Values) == 1 && not.Values[0].Key.GetToken().Value == "not" {
			t.not, value = true, not.Values[0].Value
		}
		items := []ast.Node{value}
		if list, is := value.(*ast.SequenceNode); is {
			items = list.Values
		}
		for _, item := range items {
			var w word
			if err := w.UnmarshalYAML(item); err != nil {
				return err
			}
			t.values = append(t.values, w)
		}
		*c = append(*c, t)
	}
	return nil
}
