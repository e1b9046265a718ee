package gssenc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// profile is what configuration files in the format of krb5.conf(5) hold: sections of relations and of further sections, a tree
// for each file. The grammar is that of libkrb5 1.18 to 1.22 (util/profile/prof_parse.c); the manual does not say all of it.
type profile struct {
	files []*profileNode
}

// profileNode is a section, or a relation (tag = value).
type profileNode struct {
	name     string
	value    string // of a relation
	section  bool
	final    bool           // of a section: later files add nothing to it
	children []*profileNode // of a section, in the order of the file
}

const (
	maxProfile      = 1 << 20 // octets of all files together
	maxProfileDepth = 8       // of includes, and of sections within sections
)

// values returns the values of the relation at the end of a path of sections, in their order: of all files, up to one that makes
// a section of the path final.
func (p *profile) values(path ...string) []string {
	var found []string
	last := len(path) - 1
	for _, file := range p.files {
		section, final := file, false
		for _, name := range path[:last] {
			if section = section.child(name); section == nil {
				break
			}
			final = final || section.final
		}
		if section == nil {
			continue
		}
		for _, node := range section.children {
			if !node.section && node.name == path[last] {
				found = append(found, node.value)
			}
		}
		if final {
			break
		}
	}
	return found
}

// value returns the first of values. It is what counts for a relation that has one value.
func (p *profile) value(path ...string) (string, bool) {
	if found := p.values(path...); len(found) > 0 {
		return found[0], true
	}
	return "", false
}

// child returns a section within this one.
func (n *profileNode) child(name string) *profileNode {
	for _, c := range n.children {
		if c.section && c.name == name {
			return c
		}
	}
	return nil
}

// open returns the section of a name within this one, and makes it where there is none: sections of one name are one section.
func (n *profileNode) open(name string) *profileNode {
	if c := n.child(name); c != nil {
		return c
	}
	c := &profileNode{name: name, section: true}
	n.children = append(n.children, c)
	return c
}

// profileReader reads one file with what it includes.
type profileReader struct {
	root *profileNode
	size *int // octets read so far
}

// addFile reads a file, or all files of a directory whose names includedir would take, into a tree of their own.
func (p *profile) addFile(path string, size *int) error {
	r := profileReader{root: &profileNode{section: true}, size: size}
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		err = r.includeDir(path, 0)
	default:
		err = r.include(path, 0)
	}
	if err != nil {
		return err
	}
	p.files = append(p.files, r.root)
	return nil
}

// include reads a file. Its lines share the sections of the whole, and nothing else: it begins outside of any section and leaves
// the file that includes it where that was.
func (r *profileReader) include(path string, depth int) error {
	if depth > maxProfileDepth {
		return fmt.Errorf("%s: included more than %d deep", path, maxProfileDepth)
	}
	text, err := readBounded(path, maxProfile-*r.size)
	if err != nil {
		return err
	}
	*r.size += len(text)
	return r.parse(string(text), path, depth)
}

func (r *profileReader) includeDir(path string, depth int) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !includable(entry.Name()) {
			continue
		}
		file := filepath.Join(path, entry.Name())
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			continue // libkrb5 1.20 opens it, reads nothing and goes on
		}
		if err := r.include(file, depth); err != nil {
			return err
		}
	}
	return nil
}

// includable is the rule of krb5.conf(5) for files of an includedir.
func includable(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	return strings.HasSuffix(name, ".conf") || !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// errModule says that a configuration is not text: the shared object that it names would answer for it.
var errModule = errors.New("the configuration is in a module, which only libkrb5 can load")

// profileState is where the parser is in a file.
type profileState struct {
	begun bool           // a line with [section] was seen; what is before it is comment
	brace bool           // a tag without a value was read: its brace is on the next line
	open  []*profileNode // the section and those within it that are open
}

func (r *profileReader) parse(text, path string, depth int) error {
	var state profileState
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		var err error
		directive, argument := profileDirective(line)
		switch {
		case directive == "include":
			err = r.include(argument, depth+1)
		case directive == "includedir":
			err = r.includeDir(argument, depth+1)
		case directive == "module" && !state.begun:
			err = errModule
		default:
			err = r.line(line, &state)
		}
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", path, n+1, err)
		}
	}
	return nil
}

// profileDirective reads a line that begins, without any blank before it, with include, includedir or module.
func profileDirective(line string) (directive, argument string) {
	end := strings.IndexFunc(line, isProfileSpace)
	if end < 0 {
		return "", ""
	}
	switch word := line[:end]; word {
	case "include", "includedir", "module":
		return word, strings.TrimLeftFunc(line[end:], isProfileSpace)
	}
	return "", ""
}

func isProfileSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

var (
	errSectionNotTop  = errors.New("a [section] within braces")
	errSectionSyntax  = errors.New("not a [section]")
	errRelationSyntax = errors.New("neither a [section] nor tag = value")
	errExtraBrace     = errors.New("a closing brace without an opening one")
	errMissingBrace   = errors.New("an opening brace is missing")
	errTooDeep        = fmt.Errorf("sections more than %d deep", maxProfileDepth)
)

func (r *profileReader) line(line string, state *profileState) error {
	if !state.begun {
		if !strings.HasPrefix(line, "[") {
			return nil
		}
		state.begun = true
	}
	line = strings.TrimLeftFunc(line, isProfileSpace)
	if state.brace {
		if !strings.HasPrefix(line, "{") {
			return errMissingBrace
		}
		state.brace = false
		return nil
	}
	if line == "" || line[0] == '#' || line[0] == ';' {
		return nil
	}
	switch line[0] {
	case '[':
		return r.header(line, state)
	case '}':
		if len(state.open) < 2 {
			return errExtraBrace
		}
		last := len(state.open) - 1
		if strings.HasPrefix(line[1:], "*") {
			state.open[last].final = true
		}
		state.open = state.open[:last]
		return nil
	}
	return relation(line, state)
}

// header reads [section] and [section]*.
func (r *profileReader) header(line string, state *profileState) error {
	if len(state.open) > 1 {
		return errSectionNotTop
	}
	name, rest, ok := strings.Cut(line[1:], "]")
	if !ok {
		return errSectionSyntax
	}
	section := r.root.open(name)
	rest, final := strings.CutPrefix(rest, "*")
	section.final = section.final || final
	rest = strings.TrimLeftFunc(rest, isProfileSpace)
	if rest != "" && rest[0] != '#' && rest[0] != ';' { // 1.20 takes no comment there, later releases do
		return errSectionSyntax
	}
	state.open = []*profileNode{section}
	return nil
}

// relation reads tag = value, tag = "value", tag = { and tag = with the brace on the next line.
func relation(line string, state *profileState) error {
	tag, value, ok := strings.Cut(line, "=")
	tag = strings.TrimRightFunc(tag, isProfileSpace)
	if !ok || tag == "" || strings.ContainsFunc(tag, isProfileSpace) {
		return errRelationSyntax
	}
	tag, _, final := strings.Cut(tag, "*") // of a relation it has no effect
	section := state.open[len(state.open)-1]
	value = strings.TrimLeftFunc(value, isProfileSpace)
	switch {
	case strings.HasPrefix(value, `"`):
		value = unquote(value[1:])
	case value == "" || value[0] == '{' && strings.TrimLeftFunc(value[1:], isProfileSpace) == "":
		if len(state.open) > maxProfileDepth {
			return errTooDeep
		}
		state.brace = value == ""
		inner := section.open(tag)
		inner.final = inner.final || final
		state.open = append(state.open, inner)
		return nil
	default:
		value = strings.TrimRightFunc(value, isProfileSpace)
	}
	section.children = append(section.children, &profileNode{name: tag, value: value})
	return nil
}

// unquote reads up to the closing quote, if there is one; what is after it is not read.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
				continue
			case 't':
				b.WriteByte('\t')
				continue
			case 'b':
				b.WriteByte('\b')
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// readBounded reads a file that is at most limit octets long.
func readBounded(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(content) > limit {
		return nil, fmt.Errorf("%s: longer than %d octets", path, limit)
	}
	return content, nil
}
