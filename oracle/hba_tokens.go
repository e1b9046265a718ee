package oracle

import (
	"strings"
)

// token is one item of a field. Quoting takes away the special meaning of keywords and of +, but not of / (hba.c,
// token_is_keyword, token_is_member_check, token_has_regexp).
type token struct {
	text    string
	quoted  bool
	pattern *pattern // compiled from /regex where the version has it
}

func (t token) keyword(word string) bool { return !t.quoted && t.text == word }
func (t token) group() bool              { return !t.quoted && strings.HasPrefix(t.text, "+") }

type line struct {
	number int // of its first physical line
	text   string
	fields [][]token
}

// tokenize cuts a configuration file into lines, fields and tokens (hba.c, tokenize_auth_file). Backslash at the end
// of a line continues it since 14, before quotes and comments are looked at.
func tokenize(text string, server int) ([]line, error) {
	var lines []line
	physical := strings.Split(text, "\n")
	for i := 0; i < len(physical); {
		number, joined, continued := i+1, "", 0
		for ; i < len(physical); i++ {
			joined += strings.TrimRight(physical[i], "\r")
			// Only a backslash after the last join counts: two in a row do not continue the line twice.
			if server < 14 || len(joined) <= continued || !strings.HasSuffix(joined, `\`) {
				break
			}
			joined = joined[:len(joined)-1]
			continued = len(joined)
		}
		i++
		l := line{number: number, text: joined}
		for rest := joined; rest != ""; {
			var field []token
			var err error
			if field, rest, err = nextField(rest, server); err != nil {
				return nil, err
			}
			if len(field) > 0 {
				l.fields = append(l.fields, field)
			}
		}
		if len(l.fields) == 0 {
			continue
		}
		if first := l.fields[0][0].text; server >= 16 && len(l.fields) == 2 && (first == "include" || first == "include_if_exists" || first == "include_dir") {
			return nil, unknown("the files that it names are not part of the cell", "line %d: %s", number, first)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// nextField reads the tokens up to a blank that does not follow a comma (hba.c, next_field_expand).
func nextField(s string, server int) (field []token, rest string, err error) {
	for {
		t, after, comma, ok := nextToken(s)
		if s = after; !ok {
			return field, s, nil
		}
		if !t.quoted && len(t.text) > 1 && t.text[0] == '@' {
			return nil, "", unknown("the file that it names is not part of the cell", "token %s", t.text)
		}
		if server < 16 && len(t.text) > 250 {
			return nil, "", unknown("a server before 16 has a limit there", "a token of %d bytes", len(t.text))
		}
		if field = append(field, t); !comma {
			return field, s, nil
		}
	}
}

// nextToken reads one token (hba.c, next_token), and the comma that follows it.
func nextToken(s string) (t token, rest string, comma, ok bool) {
	i := 0
	for i < len(s) && (isBlank(s[i]) || s[i] == ',') {
		i++
	}
	var b strings.Builder
	inQuote, wasQuote, sawQuote := false, false, false
	for ; i < len(s) && (!isBlank(s[i]) || inQuote); i++ {
		c := s[i]
		if c == '#' && !inQuote {
			i = len(s)
			break
		}
		if c == ',' && !inQuote {
			comma = true
			i++
			break
		}
		if c != '"' || wasQuote {
			b.WriteByte(c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote, sawQuote = !inQuote, true
			if b.Len() == 0 {
				t.quoted = true
			}
		}
	}
	t.text = b.String()
	return t, s[i:], comma, sawQuote || t.text != ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }
