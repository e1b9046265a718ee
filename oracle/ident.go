package oracle

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

const identFile = "pg_ident.conf"

// mapping is one line of pg_ident.conf.
type mapping struct {
	line         int
	name         string
	system, role token
}

// parseIdent parses pg_ident.conf as a server of that version does (hba.c, parse_ident_line). A server that starts
// with a bad file runs without any mapping and one that reloads it keeps the old ones, so a bad line is an error here.
func parseIdent(text string, server int) ([]mapping, error) {
	lines, err := tokenize(text, server)
	if err != nil {
		return nil, err
	}
	var mappings []mapping
	bad := &RulesError{}
	for _, l := range lines {
		m, message, err := parseMapping(l, server)
		if err != nil {
			return nil, err
		}
		if message != "" {
			bad.Lines = append(bad.Lines, LineError{identFile, l.number, message})
		}
		mappings = append(mappings, m)
	}
	if len(bad.Lines) > 0 {
		return nil, bad
	}
	return mappings, nil
}

func parseMapping(l line, server int) (m mapping, message string, err error) {
	for i := range 3 {
		switch {
		case i >= len(l.fields):
			return m, "missing entry at end of line", nil
		case len(l.fields[i]) > 1:
			return m, "multiple values in ident field", nil
		}
	}
	m = mapping{line: l.number, name: l.fields[0][0].text, system: l.fields[1][0], role: l.fields[2][0]}
	if message, err = compile(&m.system); message != "" || err != nil {
		return m, message, err
	}
	if server >= 16 { // before, the target is literal
		message, err = compile(&m.role)
	}
	return m, message, err
}

// mapped says whether an authenticated system user may become the role that it asks for (hba.c, check_usermap), and by
// which line of pg_ident.conf, or what is missing. Only principals are ever compared without regard to case.
func (a *attempt) mapped(usermap, system string, insensitive bool) (ok bool, source, text string) {
	same := func(x, y string) bool { return x == y || insensitive && strings.EqualFold(x, y) }
	user := a.c.User
	if usermap == "" {
		source = "hba.c, check_usermap"
		if same(system, user) {
			return true, source, "without a map " + system + " may become the role of the same name"
		}
		return false, source, "without a map " + system + " may become only the role of exactly that name, not " + user
	}
	for _, m := range a.rules.ident {
		if m.name != usermap {
			continue
		}
		role := m.role
		if m.system.pattern != nil {
			groups := m.system.pattern.re.FindStringSubmatch(system)
			if groups == nil {
				continue
			}
			literal := a.w.Server < 16 || !role.group() && role.pattern == nil
			if literal && strings.Contains(role.text, `\1`) {
				if len(groups) < 2 {
					return false, identFile + ":" + strconv.Itoa(m.line), `the target asks for \1 and the regular expression has no subexpression`
				}
				role = token{text: strings.Replace(role.text, `\1`, groups[1], 1), quoted: true}
			}
		} else if !same(m.system.text, system) {
			continue
		}
		if a.w.Server < 16 && same(role.text, user) ||
			a.w.Server >= 16 && (a.userMatches([]token{role}, user) || insensitive && strings.EqualFold(role.text, user)) {
			return true, identFile + ":" + strconv.Itoa(m.line), "map " + usermap + " lets " + system + " become " + user
		}
	}
	return false, identFile, "map " + usermap + " has no line that lets " + system + " become " + user
}

// pattern is a PostgreSQL advanced regular expression, of the part that means the same in Go.
type pattern struct{ re *regexp.Regexp }

func (p *pattern) matches(s string) bool { return p.re.MatchString(s) }

func compileAll(tokens []token, server int) (message string, err error) {
	if server < 16 {
		return "", nil
	}
	for i := range tokens {
		if message, err = compile(&tokens[i]); message != "" || err != nil {
			return message, err
		}
	}
	return "", nil
}

// compile makes the pattern of a /regex token, quoted or not (hba.c, regcomp_auth_token).
func compile(t *token) (message string, err error) {
	expr, ok := strings.CutPrefix(t.text, "/")
	if !ok {
		return "", nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		var wrong *syntax.Error
		errors.As(err, &wrong) // the only error there is
		switch wrong.Code {
		case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
			return `invalid regular expression "` + expr + `": parentheses () not balanced`, nil
		case syntax.ErrMissingBracket:
			return `invalid regular expression "` + expr + `": brackets [] not balanced`, nil
		case syntax.ErrMissingRepeatArgument:
			return `invalid regular expression "` + expr + `": quantifier operand invalid`, nil
		}
	}
	if err != nil || !shared.MatchString(expr) {
		return "", unknown("only what PostgreSQL's and Go's syntax share is modelled", "regular expression %q", expr)
	}
	re.Longest() // POSIX: the leftmost longest match
	t.pattern = &pattern{re}
	return "", nil
}

// shared is the syntax that means the same in PostgreSQL and in Go: literals, simple classes and groups with greedy quantifiers,
// alternatives, anchors.
var shared = regexp.MustCompile(`^(?:\((?:\?:)?|[|^$]|(?:[^\\\[\](){}*+?|^$]|\\[^a-zA-Z0-9]|\\[dswDSW]|\)|\[\^?[^\]\[\\&]+\])(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})?)*$`)
