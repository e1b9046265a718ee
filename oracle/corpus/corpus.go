// Package corpus has files of rules and user name maps, valid, invalid and odd, and what real servers made of them: what their postmasters
// logged when they reloaded them, and how their views showed them. Tests hold the oracle against it, and random files begin from it.
//
// A group is a text file of cases:
//
//	== NAME OF THE CASE
//	-- pg_hba.conf
//	host  all  all  all  trust
//	-- pg_ident.conf
//	-- FURTHER/FILE quoted
//	"a line with a blank at its end \n"
//	-- said 13 15
//	log  WORDS
//	rule ROW OF pg_hba_file_rules
//	map  ROW OF pg_ident_file_mappings
//	line ROLE DATABASE ADDRESS FILE:LINE
//
// The last are connections, and the line that decides, when each method is password: see Case.Connections.
//
// The texts are written by hand; what servers said is recorded from them by go test ./prove -run TestCorpus -update.
package corpus

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Group is a file of cases.
type Group struct {
	Name  string // of the file, without its suffix
	Cases []Case
}

// Case is a set of files.
type Case struct {
	Name       string // one in its group
	HBA, Ident string // byte for byte
	Files      []matrix.File
	Said       []Said // in the order of their first versions
}

// World is a world with the files, at a server that has ssl and reloads them.
func (c *Case) World(server int) *matrix.World {
	return &matrix.World{Server: server, SSL: "on", HBA: c.HBA, Ident: c.Ident, Files: c.Files, Load: matrix.Reload, Before: matrix.State{HBA: matrix.RulesBefore}}
}

// By is what a server of a version said; nil: none was asked.
func (c *Case) By(server int) *Answer {
	for i, s := range c.Said {
		if slices.Contains(s.Versions, server) {
			return &c.Said[i].Answer
		}
	}
	return nil
}

// Record notes what a server of a version said, in the place of what one had said before.
func (c *Case) Record(server int, a Answer) {
	for i := range c.Said {
		c.Said[i].Versions = slices.DeleteFunc(c.Said[i].Versions, func(v int) bool { return v == server })
	}
	c.Said = slices.DeleteFunc(c.Said, func(s Said) bool { return len(s.Versions) == 0 })
	if i := slices.IndexFunc(c.Said, func(s Said) bool { return s.Equal(&a) }); i >= 0 {
		c.Said[i].Versions = append(c.Said[i].Versions, server)
		slices.Sort(c.Said[i].Versions)
	} else {
		c.Said = append(c.Said, Said{[]int{server}, a})
	}
	slices.SortFunc(c.Said, func(a, b Said) int { return cmp.Compare(a.Versions[0], b.Versions[0]) })
}

// Said is what the servers of some versions made of a case.
type Said struct {
	Versions []int
	Answer
}

// Answer is what a server made of a set of files.
type Answer struct {
	Log      []string // of the postmaster that reloads them, in the form of matrix.Outcome.Load
	Rules    []string // rows of pg_hba_file_rules
	Mappings []string // rows of pg_ident_file_mappings; none before 15
	Lines    []string // of the case's Connections, the line that decides for each; none if what is Asked does not load
}

// NewAnswer writes rows as the corpus has them.
func NewAnswer[R, M fmt.Stringer](log []string, rules []R, mappings []M) *Answer {
	a := &Answer{Log: log}
	for _, r := range rules {
		a.Rules = append(a.Rules, r.String())
	}
	for _, m := range mappings {
		a.Mappings = append(a.Mappings, m.String())
	}
	return a
}

// Equal compares all of two answers.
func (a *Answer) Equal(b *Answer) bool {
	return slices.Equal(a.Log, b.Log) && slices.Equal(a.Rules, b.Rules) && slices.Equal(a.Mappings, b.Mappings) && slices.Equal(a.Lines, b.Lines)
}

//go:embed *.txt
var texts embed.FS

// Load reads the groups, by their names.
func Load() ([]Group, error) {
	entries, err := texts.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, e := range entries {
		data, err := texts.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		cases, err := Parse(e.Name(), string(data))
		if err != nil {
			return nil, err
		}
		groups = append(groups, Group{strings.TrimSuffix(e.Name(), path.Ext(e.Name())), cases})
	}
	return groups, nil
}

const (
	caseMark    = "== "
	sectionMark = "-- "
	saidMark    = "said "
	quotedMark  = " quoted"
)

// Parse reads the cases of a group; file is its name in errors.
func Parse(file, text string) (cases []Case, err error) {
	p := parser{file: file}
	for i, line := range strings.SplitAfter(text, "\n") {
		p.line = i + 1
		if err := p.read(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	return p.cases, p.end()
}

// parser reads a group line by line.
type parser struct {
	file  string
	line  int
	cases []Case
	named []string // the files of the last case
	into  *string  // the text of the section; nil: the section is what servers said, or none
	quote bool
	said  *Said
}

func (p *parser) read(line string) error {
	bare := strings.TrimSuffix(line, "\n")
	name, isCase := strings.CutPrefix(bare, caseMark)
	section, isSection := strings.CutPrefix(bare, sectionMark)
	switch {
	case isCase:
		return p.begin(name)
	case len(p.cases) == 0:
		if bare != "" {
			return fmt.Errorf("%q: want %sNAME", bare, caseMark)
		}
		return nil
	case isSection:
		return p.section(section)
	case p.said != nil:
		return p.answer(bare)
	case p.into == nil:
		if bare != "" {
			return fmt.Errorf("%q: want %sFILE", bare, sectionMark)
		}
	case !p.quote:
		*p.into += line
	case bare != "":
		piece, err := strconv.Unquote(bare)
		if err != nil {
			return fmt.Errorf("%s: want a text in double quotes", bare)
		}
		*p.into += piece
	}
	return nil
}

func (p *parser) begin(name string) error {
	if err := p.end(); err != nil {
		return err
	}
	if name == "" || slices.ContainsFunc(p.cases, func(c Case) bool { return c.Name == name }) {
		return fmt.Errorf("%q: want a name that no other case has", name)
	}
	p.cases = append(p.cases, Case{Name: name})
	return nil
}

// close ends a section. Blank lines at the end of a text that is not quoted are none of the text.
func (p *parser) close() {
	if p.into != nil && !p.quote && *p.into != "" {
		*p.into = strings.TrimRight(*p.into, "\n") + "\n"
	}
	p.into, p.said = nil, nil
}

// end ends a case, and wants it to have a file.
func (p *parser) end() error {
	p.close()
	if n := len(p.cases); n > 0 && len(p.named) == 0 {
		return fmt.Errorf("case %q has no file", p.cases[n-1].Name)
	}
	p.named = nil
	return nil
}

func (p *parser) section(header string) error {
	c := &p.cases[len(p.cases)-1]
	p.close()
	if versions, ok := strings.CutPrefix(header+" ", saidMark); ok {
		c.Said = append(c.Said, Said{})
		p.said = &c.Said[len(c.Said)-1]
		for field := range strings.FieldsSeq(versions) {
			v, err := strconv.Atoi(field)
			if err != nil || c.By(v) != nil {
				return fmt.Errorf("%q: want versions that have not said anything yet", strings.TrimSpace(versions))
			}
			p.said.Versions = append(p.said.Versions, v)
		}
		if len(p.said.Versions) == 0 {
			return fmt.Errorf("%q: want versions", header)
		}
		return nil
	}
	header, p.quote = strings.CutSuffix(header, quotedMark)
	switch header {
	case matrix.HBAFile:
		p.into = &c.HBA
	case matrix.IdentFile:
		p.into = &c.Ident
	default:
		if header == "" || path.Clean(header) != header || path.IsAbs(header) || strings.HasPrefix(header, "..") {
			return fmt.Errorf("%q: want a path in the configuration directory", header)
		}
		c.Files = append(c.Files, matrix.File{Path: header})
		p.into = &c.Files[len(c.Files)-1].Text
	}
	if slices.Contains(p.named, header) {
		return fmt.Errorf("%s is there twice", header)
	}
	p.named = append(p.named, header)
	return nil
}

func (p *parser) answer(line string) error {
	if line == "" {
		return nil
	}
	kind, text, _ := strings.Cut(line, " ")
	into := map[string]*[]string{"log": &p.said.Log, "rule": &p.said.Rules, "map": &p.said.Mappings, "line": &p.said.Lines}[kind]
	if into == nil {
		return fmt.Errorf("%q: want log, rule, map or line", line)
	}
	text = strings.TrimLeft(text, " ")
	if quoted, err := strconv.Unquote(text); err == nil && kind == "log" {
		text = quoted
	}
	*into = append(*into, text)
	return nil
}

// Format writes cases as Parse reads them.
func Format(cases []Case) string {
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "%s%s\n", caseMark, c.Name)
		if c.HBA != "" || c.Ident == "" {
			section(&b, matrix.HBAFile, c.HBA)
		}
		if c.Ident != "" {
			section(&b, matrix.IdentFile, c.Ident)
		}
		for _, f := range c.Files {
			section(&b, f.Path, f.Text)
		}
		for _, s := range c.Said {
			fmt.Fprintf(&b, "%s%s%s\n", sectionMark, saidMark, strings.Trim(fmt.Sprint(s.Versions), "[]"))
			for _, l := range s.Log {
				if strings.ContainsFunc(l, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
					l = strconv.Quote(l)
				}
				fmt.Fprintf(&b, "log  %s\n", l)
			}
			for _, r := range s.Rules {
				fmt.Fprintf(&b, "rule %s\n", r)
			}
			for _, m := range s.Mappings {
				fmt.Fprintf(&b, "map  %s\n", m)
			}
			for _, l := range s.Lines {
				fmt.Fprintf(&b, "line %s\n", l)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// plain is a text that is written as it is: whole lines that show all that they have, the last one not blank.
var plain = regexp.MustCompile(`^(?:(?:[\t\x20-\x7e]*[\x21-\x7e])?\n)*[\t\x20-\x7e]*[\x21-\x7e]\n$`)

func section(b *strings.Builder, name, text string) {
	if plain.MatchString(text) && !strings.Contains("\n"+text, "\n"+caseMark) && !strings.Contains("\n"+text, "\n"+sectionMark) {
		fmt.Fprintf(b, "%s%s\n%s", sectionMark, name, text)
		return
	}
	fmt.Fprintf(b, "%s%s%s\n", sectionMark, name, quotedMark)
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line != "" {
			fmt.Fprintf(b, "%s\n", strconv.Quote(line))
		}
	}
}

// Text is the group as Parse reads it.
func (g Group) Text() string { return Format(g.Cases) }

// Differences says what two answers do not have in common, a line each.
func Differences(nameA string, a *Answer, nameB string, b *Answer) string {
	var text strings.Builder
	width := max(len(nameA), len(nameB))
	for _, part := range []struct {
		kind string
		a, b []string
	}{{"log", a.Log, b.Log}, {"rule", a.Rules, b.Rules}, {"map", a.Mappings, b.Mappings}, {"line", a.Lines, b.Lines}} {
		for i := range max(len(part.a), len(part.b)) {
			x, y := at(part.a, i), at(part.b, i)
			if x != y {
				fmt.Fprintf(&text, "  %s %d  %-*s  %s\n", part.kind, i+1, width, nameA, x)
				fmt.Fprintf(&text, "  %s %d  %-*s  %s\n", part.kind, i+1, width, nameB, y)
			}
		}
	}
	return text.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
