package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Help lists the checks, a line each.
func Help() string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.asks)
	}
	return b.String()
}

// Text writes a line for each result, and one below it with the command that mends it.
func Text(out io.Writer, results []Result) error {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%-8s %-10s %s\n", r.State, r.Check, r.Found)
		if r.Mend != "" {
			fmt.Fprintf(&b, "%-19s mend: %s\n", "", r.Mend)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// JSON writes {"able": …, "checks": […]}.
func JSON(out io.Writer, results []Result) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Able   bool     `json:"able"`
		Checks []Result `json:"checks"`
	}{Able(results), results})
}

// Explain examines this machine after a run could not begin, and writes what may be the cause: everything that is not as it should be.
func Explain(ctx context.Context, out io.Writer, runs string) {
	var wrong []Result
	for _, r := range Examine(ctx, runs) {
		if r.State == Failed || r.State == Warning {
			wrong = append(wrong, r)
		}
	}
	if len(wrong) == 0 {
		fmt.Fprintln(out, "pgauthmatrix doctor finds nothing wrong with this machine")
		return
	}
	fmt.Fprintln(out, "what pgauthmatrix doctor finds wrong with this machine:")
	_ = Text(out, wrong) // the run's own error comes in any case
}
