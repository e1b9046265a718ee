package oracle

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

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
	portable, message := braces(expr)
	if message != "" {
		return `invalid regular expression "` + expr + `": ` + message, nil
	}
	re, err := regexp.Compile(portable)
	if err != nil {
		if why := compileError(expr, err); why != "" {
			return `invalid regular expression "` + expr + `": ` + why, nil
		}
	}
	if err != nil || !shared.MatchString(portable) || twoRanges.MatchString(expr) {
		return "", unknown("only what PostgreSQL's and Go's syntax share is modelled", "regular expression %q", expr)
	}
	re.Longest() // POSIX: the leftmost longest match
	t.pattern = &pattern{re}
	return "", nil
}

// compileError says in PostgreSQL's words (regerrs.h) what is wrong with an expression that Go does not take; "" where Go objects to
// something else, or stumbles over what means something else there. The first mistake counts.
func compileError(expr string, err error) string {
	var wrong *syntax.Error
	errors.As(err, &wrong) // the only error there is
	plain := !strings.Contains(expr, `\`) && !strings.Contains(strings.ReplaceAll(expr, "(?:", ""), "(?") && !strings.Contains(expr, "[[") && !strings.HasPrefix(expr, "***")
	before := strings.TrimSuffix(expr, `\`)
	switch {
	case backReference.MatchString(expr):
		return "invalid backreference number"
	case wrong.Code == syntax.ErrTrailingBackslash && repeatable(before+"a", openGroups(before)):
		return `invalid escape \ sequence`
	case !plain:
		return ""
	case wrong.Code == syntax.ErrMissingRepeatArgument, wrong.Code == syntax.ErrInvalidRepeatOp:
		return "quantifier operand invalid"
	case repeatedAnchor.MatchString(expr), twoRanges.MatchString(expr):
		return ""
	}
	switch wrong.Code {
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		return "parentheses () not balanced"
	case syntax.ErrMissingBracket:
		return "brackets [] not balanced"
	case syntax.ErrInvalidCharRange:
		if strings.HasSuffix(expr, wrong.Expr) { // the end comes first
			return "brackets [] not balanced"
		}
		return "invalid character range"
	}
	return ""
}

// repeatedAnchor is, as twoRanges are, a mistake in PostgreSQL alone (regcomp.c, parseqatom).
var repeatedAnchor = regexp.MustCompile(`[$^][*+?{]`)

// openGroups is how many groups a part of an expression, of the shared syntax, leaves open.
func openGroups(part string) int {
	bare := escapesAndClasses.ReplaceAllString(part, "")
	return strings.Count(bare, "(") - strings.Count(bare, ")")
}

var escapesAndClasses = regexp.MustCompile(`\\.|\[[^\]]*\]`)

// backReference is a reference to a group in an expression that has none.
var backReference = regexp.MustCompile(`^[a-zA-Z0-9@.^$-]*\\[1-9][a-zA-Z@.^$-]*$`)

// shared is the syntax that means the same in PostgreSQL and in Go: literals, simple classes and groups with greedy quantifiers,
// alternatives, anchors.
var shared = regexp.MustCompile(`^(?:\((?:\?:)?|[|^$]|(?:[^\\\[\](){}*+?|^$]|\\[^a-zA-Z0-9]|\\[dswDSW]|\)|\[\^?[^\]\[\\&]+\])(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})?)*$`)

// twoRanges are two ranges with an end in common, which PostgreSQL refuses.
var twoRanges = regexp.MustCompile(`\[[^\]]*.-.-[^\]]`)

// mostRepeats is how often a part of an expression may be repeated by number (regguts.h, DUPMAX).
const mostRepeats = 255

// braces writes the braces and brackets of an expression that stand for themselves so that Go takes them so, too. In PostgreSQL a brace opens
// a bound where a digit follows, and must then close it (regc_lex.c, next, and regcomp.c, parseqatom); message is what is wrong with the first bound that is none,
// where nothing before it can be wrong.
func braces(expr string) (portable, message string) {
	open := 0
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; c {
		case '\\':
			if i++; i < len(expr) {
				portable += `\` + expr[i:i+1]
			} else {
				portable += `\`
			}
		case '[':
			end := bracketEnd(expr[i:])
			portable += expr[i : i+end]
			i += end - 1
		case '{':
			if i+1 == len(expr) || expr[i+1] < '0' || '9' < expr[i+1] {
				portable += `\{`
				continue
			}
			length, wrong := bound(expr[i:])
			if wrong != "" && repeatable(portable, open) {
				return "", wrong
			}
			portable += expr[i : i+length]
			i += length - 1
		case '}', ']':
			portable += `\` + string(c)
		default:
			switch c {
			case '(':
				open++
			case ')':
				open--
			}
			portable += string([]byte{c})
		}
	}
	return portable, ""
}

// bracketEnd is the length of the class with which an expression begins, or that of the whole expression if the class does not end.
func bracketEnd(expr string) int {
	begin := len("[")
	if strings.HasPrefix(expr[begin:], "^") {
		begin++
	}
	if begin < len(expr) { // a bracket in the first place stands for itself
		if end := strings.IndexByte(expr[begin+1:], ']'); end >= 0 {
			return begin + 1 + end + 1
		}
	}
	return len(expr)
}

// bound is the length of the bound with which an expression begins, and what is wrong with it.
func bound(expr string) (length int, wrong string) {
	end := strings.IndexFunc(expr[1:], func(r rune) bool { return r != ',' && (r < '0' || '9' < r) }) + 1
	if end == 0 {
		return len(expr), boundWithoutEnd(expr[1:])
	}
	least, most, comma := strings.Cut(expr[1:end], ",")
	if expr[end] != '}' || strings.Contains(most, ",") || repetitions(least) > mostRepeats || repetitions(most) > mostRepeats || comma && most != "" && repetitions(least) > repetitions(most) {
		return end, "invalid repetition count(s)"
	}
	return end + 1, ""
}

// repetitions is a number of repetitions, or another that is too large, too.
func repetitions(text string) int {
	n, _ := strconv.Atoi(text[:min(len(text), 4)])
	return n
}

// boundWithoutEnd is what is wrong with a bound with which an expression ends. A digit after a number that is large enough is a mistake as soon as it is read
// (regcomp.c, scannum), and so is a second comma.
func boundWithoutEnd(counts string) (wrong string) {
	least, most, comma := strings.Cut(counts, ",")
	early := func(n string) bool { return n != "" && repetitions(n[:len(n)-1]) >= mostRepeats }
	if early(least) || comma && repetitions(least) > mostRepeats || strings.Contains(most, ",") || early(most) {
		return "invalid repetition count(s)"
	}
	return "braces {} not balanced"
}

// repeatable says whether a part of an expression, with so many groups open, is right so far, and ends in what can be repeated.
func repeatable(part string, open int) bool {
	if open < 0 || !shared.MatchString(part+"*") {
		return false
	}
	_, err := regexp.Compile(part + "*" + strings.Repeat(")", open))
	return err == nil
}
