package matrix

import (
	"fmt"
	"strings"
)

// MatchID says whether a pattern names a cell ID. Patterns are compared element by element (elements are what stands
// between slashes): within an element `*` stands for any run of characters, an element that is `**` stands for any
// number of elements, also none. A pattern that names the leading elements of an ID names everything below them, so
// `negotiation`, `negotiation/both` and `*/both/pg17` are patterns; `negotiation/bo` is not one of negotiation/both.
func MatchID(pattern, id string) bool {
	return matchElements(strings.TrimSuffix(pattern, "/"), id)
}

// matchesBelow says whether a pattern can name an ID that begins with these elements.
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

// matchElement matches greedily from the left: with `*` as the only wildcard the first place where each literal run
// fits is as good as any later one.
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

// checkPattern says what is wrong with a pattern as such, and what would be right.
func checkPattern(pattern string) (wrong, right string) {
	if i := strings.IndexFunc(pattern, func(c rune) bool {
		return c > 0x7E || c < '!' || strings.ContainsRune(`"'\?[]{}#:;&|<>()^$~`+"`", c)
	}); i >= 0 {
		return fmt.Sprintf("%q cannot be in the ID of a cell", []rune(pattern[i:])[0]), "want elements between slashes, with * for any run of characters and ** for any number of elements"
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
