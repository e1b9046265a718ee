package oracle

import (
	"errors"
	"testing"
)

// TestBraces: what opens a bound, and what is wrong with it (regc_lex.c, regcomp.c). That the words are the server's is in the corpus.
func TestBraces(t *testing.T) {
	const unbalanced, count = "braces {} not balanced", "invalid repetition count(s)"
	for expr, want := range map[string]string{
		"a{": "", "{": "", "{a": "", "a{x}": "", "}": "", "]": "", "a{,2}": "", "a}{": "", `\{1`: "", "[{1]": "", "[]{1]": "", "[^]{1]": "",
		"a{1}": "", "a{1,}": "", "a{1,2}": "", "a{255}": "", "(a){2}": "", "[a]{2}": "", "(a{2}": "", // the group is what is wrong with the last
		"a{1": unbalanced, "a{1,": unbalanced, "a{1,2": unbalanced, "^a{1": unbalanced, "(a{1": unbalanced, "(a|b{1": unbalanced, "a{256": unbalanced, "a{1,300": unbalanced, "a{255": unbalanced, "a{2,1": unbalanced,
		"a{2554": count, "a{3000": count, "a{256,": count, "a{1,2555": count, "a{1,,": count, "a{1,2,": count,
		"a{2,1}": count, "a{256}": count, "a{300}": count, "a{0,256}": count, "a{1x}": count, "a{1,2,3}": count, "a{99999999999999999999}": count, "(a{1x": count, "a{1000}{2": count,
		// What is wrong before decides; nothing is said of the bound.
		"{1": "", "^{1": "", "a*{1": "", "a){1": "", "*a{1": "", "[[:alpha:]]{1": "", `a\m{1`: "", "(?=a){1": "",
	} {
		if _, message := braces(expr); message != want {
			t.Errorf("%q: %q, want %q", expr, message, want)
		}
	}
}

// TestBracesStandForThemselves: a brace that opens no bound matches a brace.
func TestBracesStandForThemselves(t *testing.T) {
	for expr, matches := range map[string]string{"^a{x}$": "a{x}", "^}]$": "}]", "^{$": "{", "^a{,2}$": "a{,2}", "^[{]1}$": "{1}", "^a{2}$": "aa", "^a{255}$": ""} {
		token := token{text: "/" + expr}
		message, err := compile(&token)
		if message != "" || err != nil || matches != "" && !token.pattern.matches(matches) || token.pattern.matches("b") {
			t.Errorf("%q: %q, %v", expr, message, err)
		}
	}
}

// TestExpressionsThatAreNotPredicted: none of them is guessed.
func TestExpressionsThatAreNotPredicted(t *testing.T) {
	for _, expr := range []string{"[[:alpha:]]", `\mx`, "(?i)x", "a*?", "(?=a)", "***=x", `(a)\1`, "^*", "(a{99}){99}", "[a-b-c]", `[[.\`, `[[:\`, `$*\`, "^?)", "(^+", "[a-b-c", `a**\`} {
		var gap *CannotPredict
		if message, err := compile(&token{text: "/" + expr}); message != "" || !errors.As(err, &gap) {
			t.Errorf("%q: %q, %v", expr, message, err)
		}
	}
}

// TestWhatIsWrongFirst: the words are those for the first mistake.
func TestWhatIsWrongFirst(t *testing.T) {
	const escape, operand, parentheses = `invalid escape \ sequence`, "quantifier operand invalid", "parentheses () not balanced"
	for expr, want := range map[string]string{`\`: escape, `a\`: escape, `(a\`: escape, `^[ab]*(\`: escape, `a\.\`: escape, "*": operand, "^**": operand, "a)": parentheses, "(a": parentheses, "($": parentheses} {
		message, err := compile(&token{text: "/" + expr})
		if message != `invalid regular expression "`+expr+`": `+want || err != nil {
			t.Errorf("%q: %q, %v", expr, message, err)
		}
	}
}
