package oracle

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// mapping is one line of pg_ident.conf.
type mapping struct {
	file         string
	line         int
	name         string
	system, role token
}

func (m *mapping) rule() string { return m.file + ":" + strconv.Itoa(m.line) }

// identLine is a line of pg_ident.conf, or of a file that it includes, as the server has read it.
type identLine struct {
	line
	mapping mapping
	message string // of its view, for a line that it does not parse; empty where it cannot read the line
}

// readIdent reads every line of pg_ident.conf; logged is what the server logs of those that it does not load (hba.c, load_ident).
func readIdent(text string, further []matrix.File, server int) (lines []identLine, logged []LineError, err error) {
	t := newTokenizer(server, further)
	tokenized, err := t.tokenize(matrix.IdentFile, text, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range tokenized {
		i := identLine{line: l}
		var wrong *LineError
		if l.wrong == "" {
			if i.mapping, wrong, err = parseMapping(l, server); err != nil {
				return nil, nil, err
			}
		}
		if wrong != nil {
			wrong.File, wrong.Line, wrong.source = l.file, l.number, "hba.c, parse_ident_line"
			t.logged = append(t.logged, *wrong)
			if i.message = wrong.Message; i.lacksField() {
				i.message = missingEntry // the log of a server before 16 has other words
			}
		}
		lines = append(lines, i)
	}
	for i := range t.logged {
		t.logged[i].ident = true
	}
	return lines, t.logged, nil
}

// missingEntry is said of a line with fewer than three fields.
const missingEntry = "missing entry at end of line"

func (l *identLine) lacksField() bool {
	return len(l.fields) < 3 && !slices.ContainsFunc(l.fields, func(f []token) bool { return len(f) > 1 })
}

// parseIdent parses pg_ident.conf as a server of that version does (hba.c, load_ident). A file with a bad line is not loaded.
func parseIdent(text string, further []matrix.File, server int) ([]mapping, error) {
	lines, logged, err := readIdent(text, further, server)
	if err != nil {
		return nil, err
	}
	if len(logged) > 0 {
		return nil, &RulesError{logged}
	}
	mappings := make([]mapping, len(lines))
	for i, l := range lines {
		mappings[i] = l.mapping
	}
	return mappings, nil
}

// parseMapping reads one line; wrong is what the server says of a bad one. Before 16 it does not say of all of them in which line they are.
func parseMapping(l line, server int) (m mapping, wrong *LineError, err error) {
	for i := range 3 {
		switch {
		case i >= len(l.fields) && server < 16:
			return m, &LineError{Message: fmt.Sprintf(`missing entry in file "%s" at end of line %d`, l.file, l.number), unplaced: true}, nil
		case i >= len(l.fields):
			return m, &LineError{Message: missingEntry}, nil
		case len(l.fields[i]) > 1:
			return m, &LineError{Message: "multiple values in ident field"}, nil
		}
	}
	m = mapping{file: l.file, line: l.number, name: l.fields[0][0].text, system: l.fields[1][0], role: l.fields[2][0]}
	message, err := compile(&m.system)
	if message == "" && err == nil && server >= 16 { // before, the target is literal
		message, err = compile(&m.role)
	}
	if message != "" {
		wrong = &LineError{Message: message, unplaced: server < 16}
	}
	return m, wrong, err
}

// mapped says whether an authenticated system user may become the role that it asks for (hba.c, check_usermap), and by
// which line of pg_ident.conf, or what is missing. Only principals are ever compared without regard to case.
func (a *attempt) mapped(usermap, system string, insensitive bool) (ok bool, source, text string) {
	user := a.c.User
	if usermap == "" {
		source = "hba.c, check_usermap"
		if same(system, user, insensitive) {
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
			groups := m.system.pattern.re.FindStringSubmatchIndex(system)
			if groups == nil {
				continue
			}
			literal := a.w.Server < 16 || !role.group() && role.pattern == nil
			if literal && strings.Contains(role.text, `\1`) {
				if len(groups) < 4 || groups[2] < 0 {
					return false, m.rule(), `the target asks for \1 and the regular expression has no subexpression that took part in the match`
				}
				role = token{text: strings.Replace(role.text, `\1`, system[groups[2]:groups[3]], 1), quoted: true}
			}
		} else if !same(m.system.text, system, insensitive) {
			continue
		}
		if a.w.Server < 16 && same(role.text, user, insensitive) || a.w.Server >= 16 && a.userMatches([]token{role}, user, insensitive) {
			return true, m.rule(), "map " + usermap + " lets " + system + " become " + user
		}
	}
	return false, matrix.IdentFile, "map " + usermap + " has no line that lets " + system + " become " + user
}

// same compares names. pg_strcasecmp (pgstrcasecmp.c) folds the letters of ASCII alone in a locale whose characters have several bytes, as those of UTF-8 have.
func same(x, y string, insensitive bool) bool {
	return x == y || insensitive && bytes.Equal(folded(x), folded(y))
}

func folded(name string) []byte {
	text := []byte(name)
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}
