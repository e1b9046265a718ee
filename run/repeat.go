package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// repeatedly attempts a cell so many times.
func (k *kernel) repeatedly(ctx context.Context, c *matrix.Cell) matrix.Observation {
	tries := make([]matrix.Observation, 0, k.times())
	for range k.times() {
		o := k.attemptSafely(ctx, c)
		if ctx.Err() != nil {
			return o // it is not recorded
		}
		tries = append(tries, o)
	}
	return ofAll(tries)
}

// times is how often each cell is attempted.
func (k *kernel) times() int { return max(k.repeat, 1) }

// ofAll makes one observation of a cell's attempts. If all outcomes are equal it is the first. Otherwise it is a fault that names the
// outcomes, and its evidence is that of the first attempt that ended otherwise than the first of all.
func ofAll(tries []matrix.Observation) matrix.Observation {
	ends := make([]string, len(tries))
	for i := range tries {
		ends[i] = endOf(&tries[i])
	}
	fault := disagreement(ends)
	if fault == "" {
		return tries[0]
	}
	odd := tries[slices.IndexFunc(ends, func(e string) bool { return e != ends[0] })]
	odd.Fault, odd.Unclassified = fault, "" // what does not repeat is no matter of how one attempt is classified
	return odd
}

// endOf is the outcome, every field of it, or the fault.
func endOf(o *matrix.Observation) string {
	if o.Fault != "" {
		return "Broken: " + o.Fault
	}
	return o.Outcome.String()
}

// disagreement says how attempts ended that did not all end alike; empty if they did.
func disagreement(ends []string) string {
	var different []string
	which := map[string][]string{}
	for i, e := range ends {
		if which[e] == nil {
			different = append(different, e)
		}
		which[e] = append(which[e], fmt.Sprint(i+1))
	}
	if len(different) == 1 {
		return ""
	}
	var parts []string
	for _, e := range different {
		n := which[e]
		where := "attempt " + n[0]
		if len(n) > 1 {
			where = fmt.Sprintf("%d attempts, the first was number %s", len(n), n[0])
		}
		parts = append(parts, e+" ("+where+")")
	}
	return fmt.Sprintf("does not repeat: %d attempts ended in %d ways: %s", len(ends), len(different), strings.Join(parts, "; "))
}
