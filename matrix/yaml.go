package matrix

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Problem is one mistake in a file. Line and Column count from 1, columns in characters.
type Problem struct {
	File         string
	Line, Column int
	Wrong        string // what is wrong
	Right        string // what would be right
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", p.File, p.Line, p.Column, p.Wrong, p.Right)
}

// position is a place in the file being read.
type position struct{ line, column int }

// reader collects all mistakes of one file; it does not stop at the first.
type reader struct {
	file     string
	lines    []string
	suspect  map[int]bool // lines with a misleading character: other mistakes in them are probably consequences
	problems []*Problem
}

func (r *reader) problem(at position, wrong, right string) {
	if r.suspect[at.line] {
		return
	}
	r.problems = append(r.problems, &Problem{File: r.file, Line: at.line, Column: at.column, Wrong: wrong, Right: right})
}

// problemIn reports a mistake in a file that the scenario names.
func (r *reader) problemIn(file string, at position, wrong, right string) {
	if file == r.file {
		r.problem(at, wrong, right)
		return
	}
	r.problems = append(r.problems, &Problem{File: file, Line: at.line, Column: at.column, Wrong: wrong, Right: right})
}

func (r *reader) pos(at position) string { return fmt.Sprintf("%s:%d:%d", r.file, at.line, at.column) }

// joinProblems joins problems in the order of their places; nil if there are none.
func joinProblems(problems []*Problem) error {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// value is a YAML value in a scenario file. YAML's scalar types are not used: off, 1, 17 and 0x10 are the text that is written.
type value struct {
	position
	kind    kind
	text    string // of a scalar, without its quotes
	style   style
	items   []*value // of a list
	entries []entry  // of a mapping, in order
}

type entry struct {
	position
	key   string
	value *value
}

type kind string

const (
	scalar  kind = "text"
	list    kind = "list"
	mapping kind = "mapping"
	empty   kind = "nothing"
	unread  kind = "unread" // a problem has been reported
)

// style says how a scalar was written: for texts whose bytes matter, and for positions inside a scalar.
type style int

const (
	plain   style = iota
	wrapped       // plain or quoted, over several lines: YAML joins them with spaces
	quoted
	literal // |
	folded  // >
)

// readYAML returns the one value of a file; nil, with a problem, if there is none or it cannot be read.
func (r *reader) readYAML(source []byte) *value {
	if !utf8.Valid(source) {
		line := 1 + strings.Count(string(source[:invalidUTF8(source)]), "\n")
		r.problem(position{line, 1}, "the line is not UTF-8", "save the file as UTF-8")
		return nil
	}
	r.lines = strings.Split(string(source), "\n")
	r.scanCharacters()
	r.suspect = map[int]bool{}
	for _, p := range r.problems {
		r.suspect[p.Line] = true
	}
	file, err := parser.ParseBytes(source, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) > 1 {
		at := file.Docs[1].Start
		r.problem(position{at.Position.Line, at.Position.Column}, "a second YAML document starts here", "one file is one scenario")
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		r.problem(position{1, 1}, "the file is empty", "see docs/scenarios.md for an example to start from")
		return nil
	}
	return r.convert(file.Docs[0].Body)
}

func invalidUTF8(source []byte) int {
	for i := 0; i < len(source); {
		c, size := utf8.DecodeRune(source[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(source)
}

// syntax reports an error of the YAML library, unless a character that scanCharacters has reported is the likely cause.
func (r *reader) syntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		r.problem(position{1, 1}, "not YAML: "+err.Error(), "see docs/scenarios.md for an example")
		return
	}
	at := position{syntax.Token.Position.Line, syntax.Token.Position.Column}
	if slices.ContainsFunc(r.problems, func(p *Problem) bool { return p.Line <= at.line }) {
		return // the character is the cause, or is to be corrected first
	}
	right := "see docs/scenarios.md for an example"
	for _, hint := range []struct{ message, right string }{
		{"mapping value is not allowed", `quote a text that contains ": ", and indent the keys of one mapping alike`},
		{"value is not allowed", "indent the keys of one mapping alike"},
		{"could not find end character", "close the quote"},
		{"end token", "close the bracket"},
		{"is a reserved character", "put the value in double quotes"},
	} {
		if strings.Contains(syntax.Message, hint.message) {
			right = hint.right
			break
		}
	}
	r.problem(at, "not YAML: "+syntax.Message, right)
}

func (r *reader) convert(node ast.Node) *value {
	at := node.GetToken().Position
	v := &value{position: position{at.Line, at.Column}}
	switch n := node.(type) {
	case *ast.MappingNode:
		v.kind = mapping
		for _, e := range n.Values {
			if e := r.convertEntry(e); e != nil {
				v.entries = append(v.entries, *e)
			}
		}
		if !n.IsFlowStyle && len(v.entries) > 0 { // the position of the library is that of the first colon
			v.position = v.entries[0].position
		}
	case *ast.MappingValueNode:
		v.kind = mapping
		if e := r.convertEntry(n); e != nil {
			v.entries, v.position = []entry{*e}, e.position
		}
	case *ast.SequenceNode:
		v.kind = list
		for _, item := range n.Values {
			v.items = append(v.items, r.convert(item))
		}
	case *ast.LiteralNode:
		v.kind, v.text, v.style = scalar, n.Value.Value, literal
		if strings.HasPrefix(n.Start.Value, ">") {
			v.style = folded
		}
	case *ast.StringNode:
		v.kind, v.text = scalar, n.Value
		raw := strings.TrimSpace(n.Token.Origin)
		switch {
		case strings.Contains(raw, "\n"):
			v.style = wrapped
		case strings.HasPrefix(raw, `"`), strings.HasPrefix(raw, "'"):
			v.style = quoted
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		v.kind, v.text = scalar, n.GetToken().Value
	case *ast.NullNode:
		v.kind = empty
	case *ast.TagNode:
		v.kind = unread
		r.problem(v.position, fmt.Sprintf("%s is a YAML tag", n.Start.Value), "put a value that starts with ! in double quotes")
	case *ast.AnchorNode, *ast.AliasNode:
		v.kind = unread
		r.problem(v.position, "YAML anchors and aliases are not read", "write the value out, or put a value that starts with & or * in double quotes")
	default:
		v.kind = unread
		r.problem(v.position, fmt.Sprintf("a YAML %s is not read here", n.Type()), "see docs/scenarios.md for an example")
	}
	return v
}

func (r *reader) convertEntry(n *ast.MappingValueNode) *entry {
	token := n.Key.GetToken()
	at := position{token.Position.Line, token.Position.Column}
	switch n.Key.(type) {
	case *ast.MergeKeyNode:
		r.problem(at, "YAML merge keys are not read", "write the values out")
		return nil
	case *ast.MappingKeyNode:
		r.problem(at, "a key that starts with ? is not read", "write KEY: VALUE")
		return nil
	}
	return &entry{position: at, key: token.Value, value: r.convert(n.Value)}
}

var blockStart = regexp.MustCompile(`(^|[\s:-])[|>][0-9+-]*\s*(#.*)?$`)

// scanCharacters finds characters that look like others and that YAML or PostgreSQL would read differently.
func (r *reader) scanCharacters() {
	parent, indent := -1, -1 // of the text block that the line is in: indentation of the key, and of the text once known
	inBlock := false
	for i, line := range r.lines {
		if at := strings.IndexByte(line, '\r'); at >= 0 {
			r.problem(position{i + 1, utf8.RuneCountInString(line[:at]) + 1}, "carriage return, which the server would get, too", "save the file with LF line ends")
			return
		}
		for at, c := range line {
			if c == 0xFEFF && i == 0 && at == 0 {
				r.problem(position{1, 1}, "the file starts with a byte order mark", "save it as UTF-8 without one")
				break
			}
			if name := invisible(c); name != "" {
				r.problem(position{i + 1, utf8.RuneCountInString(line[:at]) + 1}, fmt.Sprintf("%s (U+%04X)", name, c),
					fmt.Sprintf(`write a plain space or nothing; if the character is meant, "\u%04x" in double quotes`, c))
				break
			}
		}
		content := strings.TrimLeft(line, " ")
		spaces := len(line) - len(content)
		if inBlock && strings.TrimSpace(line) != "" && spaces <= parent {
			inBlock = false
		}
		if inBlock {
			if indent < 0 && content != "" {
				indent = spaces
			}
			if strings.HasPrefix(content, "\t") && spaces < indent {
				r.problem(position{i + 1, spaces + 1}, "tab in the indentation", "indent with spaces")
			}
			continue
		}
		code := line[:len(line)-len(comment(line))]
		if at := strings.IndexByte(code, '\t'); at == spaces {
			r.problem(position{i + 1, at + 1}, "tab in the indentation", "indent with spaces")
		} else if at >= 0 {
			r.problem(position{i + 1, utf8.RuneCountInString(line[:at]) + 1}, "tab outside a text block", `write a space, or \t in double quotes`)
		}
		if blockStart.MatchString(line) {
			inBlock, parent, indent = true, spaces, -1
		}
	}
}

// comment is the part of a line from the first # outside quotes and after white space: a comment in YAML, pg_hba.conf and
// pg_ident.conf.
func comment(line string) string {
	inQuotes := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			inQuotes = !inQuotes
		case line[i] == '#' && !inQuotes && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[i:]
		}
	}
	return ""
}

func invisible(c rune) string {
	switch {
	case c == 0xA0, c == 0x202F, c == 0x2007:
		return "no-break space"
	case c != ' ' && unicode.In(c, unicode.Zs, unicode.Zl, unicode.Zp), unicode.Is(unicode.Cf, c):
		return "invisible character"
	}
	return ""
}

// want returns whether the value has one of the kinds, and reports it if not.
func (r *reader) want(v *value, what string, kinds ...kind) bool {
	switch {
	case slices.Contains(kinds, v.kind):
		return true
	case v.kind == empty:
		r.problem(v.position, what+" has no value", "want "+withArticle(kinds...))
	case v.kind != unread:
		r.problem(v.position, fmt.Sprintf("%s is %s", what, withArticle(v.kind)), "want "+withArticle(kinds...))
	}
	return false
}

func withArticle(kinds ...kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
		if k == list || k == mapping {
			words[i] = "a " + words[i]
		}
	}
	return strings.Join(words, " or ")
}

// nonEmptyText reads a scalar that must not be empty.
func (r *reader) nonEmptyText(v *value, what string) (string, bool) {
	if !r.want(v, what, scalar) {
		return "", false
	}
	if strings.TrimSpace(v.text) == "" {
		r.problem(v.position, what+" is empty", "want text")
		return "", false
	}
	return v.text, true
}

// entriesOnce are the entries of a mapping. An entry whose key is there already is reported and left out.
func (r *reader) entriesOnce(v *value, what string) []entry {
	var once []entry
	for _, e := range v.entries {
		if i := slices.IndexFunc(once, func(o entry) bool { return o.key == e.key }); i >= 0 {
			r.problem(e.position, fmt.Sprintf("%s %q is there twice", what, e.key), fmt.Sprintf("keep this one or the one in line %d", once[i].line))
			continue
		}
		once = append(once, e)
	}
	return once
}
