package oracle

import "strings"

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
	file   string // relative to the configuration directory
	number int    // of its first physical line
	text   string
	fields [][]token
	wrong  string // why the server cannot read it: it has logged that, and does not parse the line
	// wrongShown is what its view has in the place of wrong; empty: the same
	wrongShown string
}

// maxToken is the length of the longest token before 16 (hba.c, MAX_TOKEN, less the byte that ends it).
const maxToken = 10239

// maxLine is how much of a line a server before 14 reads at a time, with the byte that ends it (hba.c, MAX_LINE, less the byte that ends the string).
const maxLine = 20479

// physicalLines are the lines of a file as the server reads them, without their ends. Before 14 a line that fills the server's buffer is too long; what
// follows of it is another line, which is counted, too (hba.c, tokenize_file).
func physicalLines(text string, server int) (lines []physicalLine) {
	for text != "" {
		end := strings.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		if server < 14 {
			end = min(end, maxLine)
		}
		lines = append(lines, physicalLine{strings.TrimRight(text[:end], "\r\n"), server < 14 && end == maxLine})
		text = text[end:]
	}
	return lines
}

type physicalLine struct {
	text    string
	tooLong bool
}

// nextToken reads one token (hba.c, next_token), and the comma that follows it. Before 16 it can be too long: tooLong is then as much of it as the
// server reads.
func nextToken(s string, server int) (t token, rest string, comma, ok bool, tooLong string) {
	isBlank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' && server < 19 }
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
		if server < 16 && b.Len() == maxToken {
			return t, "", false, false, b.String()
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
	return t, s[i:], comma, sawQuote || t.text != "", ""
}
