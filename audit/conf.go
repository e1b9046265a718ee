package audit

import (
	"fmt"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Line is a setting with its place in postgresql.conf.
type Line struct {
	matrix.Setting
	File string
	Line int
}

// Settings reads a postgresql.conf (guc-file.l): NAME, an equals sign that may be left out, and a value, in single quotes or not. Directives that include
// other files are returned like settings. A line that the server would not take is a *matrix.Problem.
func Settings(file, text string) (lines []Line, err error) {
	for i, l := range strings.Split(text, "\n") {
		bad := func(column int, wrong string) error {
			return &matrix.Problem{File: file, Line: i + 1, Column: column + 1, Wrong: wrong, Right: "write NAME = VALUE, with quotes around a value that is not a simple word or number"}
		}
		s := strings.TrimLeft(l, blanks)
		if s == "" || s[0] == '#' {
			continue
		}
		at := len(l) - len(s)
		end := 0
		for end < len(s) && (isLetter(s[end]) || end > 0 && (s[end] >= '0' && s[end] <= '9' || s[end] == '$' || s[end] == '.')) {
			end++
		}
		if end == 0 {
			return nil, bad(at, fmt.Sprintf("no setting begins with %q", s[:1]))
		}
		name, rest := strings.ToLower(s[:end]), strings.TrimLeft(s[end:], blanks)
		rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), blanks)
		value, after, ok := settingValue(rest)
		if !ok {
			return nil, bad(len(l)-len(rest), fmt.Sprintf("%s has no value that the server can read", name))
		}
		if after = strings.TrimLeft(after, blanks); after != "" && after[0] != '#' {
			return nil, bad(len(l)-len(after), fmt.Sprintf("%q stands after the value of %s", after, name))
		}
		lines = append(lines, Line{matrix.Setting{Name: name, Value: value}, file, i + 1})
	}
	return lines, nil
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

// settingValue reads a value: in quotes, where two quotes are one and a backslash takes the meaning from the next character, or a word.
func settingValue(s string) (value, after string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		end := strings.IndexAny(s, blanks+"#'")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			b.WriteByte('\'')
		case s[i] == '\'':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// truth is a boolean setting as the server reads it (bool.c, parse_bool): any unambiguous beginning of the words.
func truth(value string) (yes, ok bool) {
	v := strings.ToLower(value)
	switch {
	case v == "":
		return false, false
	case v == "1", v == "on", begins(v, "true"), begins(v, "yes"):
		return true, true
	case v == "0", v == "of", v == "off", begins(v, "false"), begins(v, "no"):
		return false, true
	}
	return false, false
}

// begins says whether a word begins with a text.
func begins(text, word string) bool { return strings.HasPrefix(word, text) }
