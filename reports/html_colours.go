package reports

import (
	"fmt"
	"strings"
)

// colour is a name in the page's style sheet, and its values on a light and on a dark ground: #rrggbb.
type colour struct{ name, light, dark string }

// colours are all of the page's. Whatever is said in colour is also said by a letter, a sign or a word.
var colours = []colour{
	{"ground", "#ffffff", "#14171c"},
	{"panel", "#f5f6f8", "#1c2027"},
	{"line", "#d5d9e0", "#343a45"},
	{"text", "#1b1f26", "#e6e9ee"},
	{"muted", "#59626f", "#a0a9b6"},
	{"link", "#0b57a4", "#7fb6f2"},
	{"focus", "#0b57a4", "#7fb6f2"},
	{"gss", "#a9cbf3", "#1c4a7d"},
	{"verified", "#b3e0bd", "#1d5734"},
	{"unverified", "#f4e29a", "#665012"},
	{"plain", "#f6b29c", "#8c3722"},
	{"refused", "#e1e5ea", "#39404b"},
	{"none", "#ffffff", "#14171c"},
	{"on", "#15181d", "#f3f5f8"}, // letters on the six above
	{"bad", "#b3151f", "#ff8f8f"},
	{"warn", "#7a4d00", "#f0c060"},
	{"odd", "#7b2f91", "#dba4ee"},
	{"good", "#17683a", "#7fd6a0"},
	{"badground", "#fdeceb", "#3a1c1e"},
}

// styleVariables are the colours as variables of the style sheet; light is what paper gets.
func styleVariables() string {
	var b strings.Builder
	set := func(selector, media string, value func(colour) string) {
		if media != "" {
			fmt.Fprintf(&b, "@media %s{", media)
		}
		b.WriteString(selector + "{")
		for _, c := range colours {
			fmt.Fprintf(&b, "--%s:%s;", c.name, value(c))
		}
		b.WriteString("}")
		if media != "" {
			b.WriteString("}")
		}
		b.WriteString("\n")
	}
	set(":root", "", func(c colour) string { return c.light })
	set(":root:not([data-theme=light])", "screen and (prefers-color-scheme:dark)", func(c colour) string { return c.dark })
	set(":root[data-theme=dark]", "screen", func(c colour) string { return c.dark })
	return b.String()
}
