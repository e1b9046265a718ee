package agent

import (
	"strings"
)

const redacted = "***"

// Conninfo writes options as a connection string (PostgreSQL manual, "Keyword/Value Connection Strings"). Secrets are hidden in
// what people are shown, and not in what a library is given.
func Conninfo(options []Option, hideSecrets bool) string {
	var b strings.Builder
	for i, o := range options {
		if i > 0 {
			b.WriteByte(' ')
		}
		value := quoteValue(o.Value)
		if o.Secret && hideSecrets {
			value = redacted
		}
		b.WriteString(o.Name + "=" + value)
	}
	return b.String()
}

func quoteValue(v string) string {
	if v != "" && !strings.ContainsAny(v, " '\\\t\n\r\v\f") {
		return v
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// redactor replaces every secret value, also as it is written in a connection string.
func redactor(options []Option) *strings.Replacer {
	var pairs []string
	for _, o := range options {
		if o.Secret && o.Value != "" {
			if quoted := quoteValue(o.Value); quoted != o.Value {
				pairs = append(pairs, strings.Trim(quoted, "'"), redacted)
			}
			pairs = append(pairs, o.Value, redacted)
		}
	}
	return strings.NewReplacer(pairs...)
}
