package matrix

import (
	"fmt"
	"strings"
)

// MatchID says whether a pattern matches the ID of a cell. Both consist of elements between slashes, which are compared one by one.
// Within an element, `*` matches any characters; the element `**` matches any number of elements, also none. A pattern that matches the
// first elements of an ID matches the ID: `negotiation`, `negotiation/both` and `*/both/pg17` match cells of negotiation/both, and
// `negotiation/bo` does not.
func MatchID(pattern, id string) bool {
	return matchElements(strings.TrimSuffix(pattern, "/"), id)
}

// matchesBelow says whether a pattern can match an ID that begins with these elements.
func matchesBelow(pattern, start string) bool {
	pattern = strings.TrimSuffix(pattern, "/")
	for {
		element, rest, more := strings.Cut(pattern, "/")
		if element == "**" {
			return true
		}
		name, tail, deeper := strings.Cut(start, "/")
		switch {
		case !matchElement(element, name):
			return false
		case !more || !deeper:
			return true
		}
		pattern, start = rest, tail
	}
}

func matchElements(pattern, id string) bool {
	for {
		element, rest, more := strings.Cut(pattern, "/")
		if element == "**" {
			if !more {
				return true
			}
			for {
				if matchElements(rest, id) {
					return true
				}
				_, tail, ok := strings.Cut(id, "/")
				if !ok {
					return false
				}
				id = tail
			}
		}
		name, tail, deeper := strings.Cut(id, "/")
		if !matchElement(element, name) {
			return false
		}
		if !more {
			return true
		}
		if !deeper {
			return false
		}
		pattern, id = rest, tail
	}
}

// matchElement matches from the left. Since `*` is the only wildcard, the first place where the characters between two of them fit is as
// good as any later place.
func matchElement(pattern, name string) bool {
	runs := strings.Split(pattern, "*")
	if len(runs) == 1 {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, runs[0])
	if !ok {
		return false
	}
	for _, run := range runs[1 : len(runs)-1] {
		i := strings.Index(name, run)
		if i < 0 {
			return false
		}
		name = name[i+len(run):]
	}
	return strings.HasSuffix(name, runs[len(runs)-1])
}

// checkPattern says what is wrong with the form of a pattern, and what would be right.
func checkPattern(pattern string) (wrong, right string) {
	if i := strings.IndexFunc(pattern, func(c rune) bool {
		return c > 0x7E || c < '!' || strings.ContainsRune(`"'\?[]{}#:;&|<>()^$~`+"`", c)
	}); i >= 0 {
		return fmt.Sprintf("%q cannot be in the ID of a cell", []rune(pattern[i:])[0]), "want elements between slashes, with * for any characters and ** for any number of elements"
	}
	for _, element := range strings.Split(strings.TrimSuffix(pattern, "/"), "/") {
		switch {
		case element == "":
			return "an empty element in the pattern " + pattern, "want elements between single slashes, the first a family"
		case element != "**" && strings.Contains(element, "**"):
			return fmt.Sprintf("** within the element %s", element), "** stands alone between slashes; within an element one * is enough"
		}
	}
	return "", ""
}
