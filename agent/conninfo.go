package agent

import (
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/wire"
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

// redactResult applies a redactor to every text of a result; Conninfo is written without secrets.
func redactResult(r *AttemptResult, secrets *strings.Replacer) {
	r.Message = secrets.Replace(r.Message)
	r.Crash = secrets.Replace(r.Crash)
	r.KRB5Trace = secrets.Replace(r.KRB5Trace)
	for name, value := range r.Row {
		r.Row[name] = secrets.Replace(value)
	}
	for i := range r.Records {
		r.Records[i].Error = secrets.Replace(r.Records[i].Error)
		for _, events := range [][]wire.Event{r.Records[i].Events, r.Records[i].Upstream} {
			for j := range events {
				events[j].Detail = secrets.Replace(events[j].Detail)
			}
		}
	}
}
