package random

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// YAML is the scenario file.
func (s *Scenario) YAML() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# yaml-language-server: $schema=../schema.json")
	line("question: %s", quote(s.Question))
	line("world:")
	line("  server: %d", s.Server)
	line("  ssl: %s", s.SSL)
	if s.Load != "" {
		line("  load: %s", s.Load)
	}
	if s.Load == matrix.Reload && len(s.Before) > 0 {
		line("  before: %s", block(s.Before.String(), "    "))
	}
	line("  hba: %s", block(s.HBA.String(), "    "))
	if len(s.Ident) > 0 {
		line("  ident: %s", block(s.Ident.String(), "    "))
	}
	if len(s.Files) > 0 {
		line("  files:")
		for _, f := range s.Files {
			line("    %s: %s", quote(f.Path), block(f.Text.String(), "      "))
		}
	}
	if len(s.Settings) > 0 {
		line("  settings:")
		for _, x := range s.Settings {
			line("    %s: %s", x.Name, quote(x.Value))
		}
	}
	line("  roles:")
	for _, r := range s.Roles {
		line("    - {name: %s, login: %v%s}", quote(r.Name), !r.NoLogin, password(r))
	}
	line("  principals: %s", flow(s.Principals))
	if len(s.Networks) > 0 {
		line("  network: %s", flow(s.Networks))
	}
	if len(s.Names) > 0 {
		line("  names:")
		for _, n := range s.Names {
			line("    %s: %s", quote(n.Address), n.yaml())
		}
	}
	line("client:")
	for _, a := range s.Axes {
		line("  %s: %s", a.Axis, flow(a.Values))
	}
	if len(s.Exclude) > 0 {
		line("exclude:")
		for _, row := range s.Exclude {
			var parts []string
			for _, a := range row {
				parts = append(parts, a.Axis+": "+flow(a.Values))
			}
			line("  - {%s}", strings.Join(parts, ", "))
		}
	}
	return []byte(b.String())
}

func password(r matrix.Role) string {
	if r.Password == "" {
		return ""
	}
	return ", password: " + r.Password
}

func (n Name) yaml() string {
	var parts []string
	if n.Reverse != "" {
		parts = append(parts, "reverse: "+quote(n.Reverse))
	}
	if n.Forward != "" {
		parts = append(parts, "forward: "+quote(n.Forward))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// quote writes a text in double quotes, which YAML reads as JSON does.
func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

func flow(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// block writes a text as lines of its own if YAML then reads the same text, and quoted otherwise.
func block(text, indent string) string {
	lines := strings.Split(text, "\n")
	whole := strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\n\n") && !strings.ContainsAny(text, "\r\v\f") && strings.Trim(lines[0], " \t") != "" && !strings.ContainsAny(lines[0][:1], " \t")
	if !whole || slices.ContainsFunc(lines[:len(lines)-1], func(l string) bool { return l != "" && strings.Trim(l, " \t") == "" }) {
		return quote(text)
	}
	return "|\n" + indent + strings.Join(lines[:len(lines)-1], "\n"+indent)
}
