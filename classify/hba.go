package classify

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// This file reads records of pg_hba.conf, in the text of the whole file and as the server quotes one in its log. It follows
// src/backend/libpq/hba.c of 13 to 19: tokenize_auth_file (tokenize_file up to 14), next_field_expand, next_token, parse_hba_line.

// HBARecord is one record of pg_hba.conf, or an include directive.
type HBARecord struct {
	Line   int           // of the file, from 1: where the record begins
	Type   string        // the first field as it is written
	Method matrix.Method // "" if the text does not tell: see recordMethod
}

// hbaToken is one name of a field. A quoted one is never a keyword and never names a file.
type hbaToken struct {
	text   string
	quoted bool // it began with a quote
}

// isWord says whether the token is this keyword.
func (t hbaToken) isWord(word string) bool { return !t.quoted && t.text == word }

// HBARecords reads the text of a pg_hba.conf as a server of this version does. Since 14 a backslash at the end of a line continues it,
// in comments and quotes, too; the record then has the number of its first line.
func HBARecords(text string, server int) (records []HBARecord) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		first, record := i+1, strings.TrimRight(lines[i], "\r")
		// A backslash counts only if its own line put it at the end: an empty line that is joined does not continue the record again.
		for joined := 0; server >= 14 && len(record) > joined && strings.HasSuffix(record, `\`) && i+1 < len(lines); {
			i++
			record = strings.TrimSuffix(record, `\`)
			joined = len(record)
			record += strings.TrimRight(lines[i], "\r")
		}
		if fields := hbaFields(record); len(fields) > 0 {
			records = append(records, HBARecord{first, fields[0][0].text, methodOf(fields)})
		}
	}
	return records
}

// hbaFields splits a record. A field is a list of one or more tokens: after a comma the list goes on, across blanks. @FILE stays one token:
// whatever the file holds, it is part of the same field.
func hbaFields(record string) (fields [][]hbaToken) {
	for record != "" {
		var field []hbaToken
		for more := true; more; {
			var token hbaToken
			var found bool
			if token, found, more, record = nextToken(record); found {
				field = append(field, token)
			} else {
				more = false
			}
		}
		if len(field) > 0 {
			fields = append(fields, field)
		}
	}
	return fields
}

// nextToken takes one token from a record: more is set if a comma ended it. Inside quotes two quotes are one.
func nextToken(record string) (token hbaToken, found, more bool, rest string) {
	at := 0
	for at < len(record) && (isBlank(record[at]) || record[at] == ',') {
		at++
	}
	var text strings.Builder
	var inQuote, wasQuote, sawQuote bool
	for ; at < len(record) && (inQuote || !isBlank(record[at])); at++ {
		c := record[at]
		if c == '#' && !inQuote {
			at = len(record)
			break
		}
		if more = c == ',' && !inQuote; more {
			break
		}
		if c != '"' || wasQuote {
			text.WriteByte(c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote, sawQuote = !inQuote, true
			token.quoted = token.quoted || text.Len() == 0
		}
	}
	token.text = text.String()
	return token, sawQuote || token.text != "", more, record[at:]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// hbaTypes begin a record.
var hbaTypes = []string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}

// otherMethods are those of hba.c that no outcome can have. A record that has one of them has none of matrix.Methods.
var otherMethods = []matrix.Method{"sspi", "bsd", "oauth"}

// recordMethod is the method of a record, or "" where the record does not tell: an include directive, whose records are in another file, and
// what no server loads.
func recordMethod(record string) matrix.Method { return methodOf(hbaFields(record)) }

func methodOf(fields [][]hbaToken) matrix.Method {
	if len(fields) == 0 || len(fields[0]) != 1 || !slices.Contains(hbaTypes, fields[0][0].text) {
		return ""
	}
	local := fields[0][0].text == "local"
	at := 4 // type, database, user, address
	if local {
		at = 3
	} else if len(fields) > 3 && len(fields[3]) == 1 && needsMask(fields[3][0]) {
		at = 5
	}
	if at >= len(fields) || len(fields[at]) != 1 {
		return ""
	}
	method := matrix.Method(fields[at][0].text)
	switch {
	case local && method == matrix.MethodIdent: // parse_hba_line makes it peer
		return matrix.MethodPeer
	case slices.Contains(matrix.Methods, method), slices.Contains(otherMethods, method):
		return method
	}
	return ""
}

// needsMask says whether an address is followed by a field with its mask: one in numbers that has none of its own.
func needsMask(address hbaToken) bool {
	if address.isWord("all") || address.isWord("samehost") || address.isWord("samenet") {
		return false
	}
	return isAddress(address.text) || isShortIPv4(address.text)
}

// isShortIPv4 knows the further forms of an IPv4 address that getaddrinfo takes with AI_NUMERICHOST, those of inet_aton: one to four
// numbers with dots between them, decimal, octal or hexadecimal.
func isShortIPv4(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return false
	}
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts)) // the last number has the bytes that are left
		}
		base, digits := 10, part
		if len(part) > 1 && part[0] == '0' {
			base, digits = 8, part[1:]
			if part[1] == 'x' || part[1] == 'X' {
				base, digits = 16, part[2:]
			}
		}
		if _, err := strconv.ParseUint(digits, base, bits); err != nil {
			return false
		}
	}
	return true
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

func sameAddress(a, b string) bool {
	first, err := netip.ParseAddr(a)
	second, otherErr := netip.ParseAddr(b)
	return err == nil && otherErr == nil && first == second
}

// usesMethod is false only if it is certain that no record has the method.
func usesMethod(records []HBARecord, method matrix.Method) bool {
	return slices.ContainsFunc(records, func(r HBARecord) bool { return r.Method == "" || r.Method == method })
}

// onlyRecord is the rule of the one record that has one of these methods, or "" if there are several or if it is not certain: a
// server that says "the record said reject" has said which, if there is but one.
func onlyRecord(records []HBARecord, methods []matrix.Method) string {
	rule := ""
	for _, r := range records {
		switch {
		case r.Method == "":
			return ""
		case !slices.Contains(methods, r.Method):
		case rule != "":
			return ""
		default:
			rule = matrix.HBAFile + ":" + strconv.Itoa(r.Line)
		}
	}
	return rule
}
