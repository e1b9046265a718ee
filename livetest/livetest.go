// Package livetest says how deep the tests that use containers sample on this machine. Machines differ eightfold in what
// starting a process costs, and these tests do little else.
//
// LIVE_DEPTH chooses: quick, normal or full, which is the default. LIVE_LEFT_OUT names a file to which tests append what they leave out,
// a line each.
package livetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Depth is how deep live tests sample. The zero Depth is invalid.
type Depth int

// The depths.
const (
	Quick  Depth = iota + 1 // on a machine like this, everything in less than an hour
	Normal                  // in between
	Full                    // nothing is left out
)

var names = map[Depth]string{Quick: "quick", Normal: "normal", Full: "full"}

func (d Depth) String() string { return names[d] }

// Parse reads quick, normal or full; "" is full.
func Parse(text string) (Depth, error) {
	if text == "" {
		return Full, nil
	}
	for d, name := range names {
		if name == text {
			return d, nil
		}
	}
	return 0, fmt.Errorf("LIVE_DEPTH=%s: want quick, normal or full", text)
}

// Chosen is what LIVE_DEPTH says.
func Chosen(t testing.TB) Depth {
	t.Helper()
	d, err := Parse(os.Getenv("LIVE_DEPTH"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Pick gives the value for the chosen depth.
func Pick[T any](t testing.TB, quick, normal, full T) T {
	t.Helper()
	return map[Depth]T{Quick: quick, Normal: normal, Full: full}[Chosen(t)]
}

// NeedsContainers skips a test where only those without containers are to run: go test -short.
func NeedsContainers(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no containers")
	}
}

// LeftOut notes what a test leaves out, for the end of a run of many packages.
func LeftOut(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log("left out: " + line)
	path := os.Getenv("LIVE_LEFT_OUT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = fmt.Fprintln(f, line)
	}
	if err != nil {
		t.Errorf("LIVE_LEFT_OUT: %v", err)
		return
	}
	if err := f.Close(); err != nil {
		t.Errorf("LIVE_LEFT_OUT: %v", err)
	}
}

// Versions are the server versions of Debian's releases, which every machine can have, as far as the chosen depth goes: the oldest and the
// newest when it is quick.
func Versions(t testing.TB) []int {
	t.Helper()
	all := []int{13, 15, 17, 18}
	quick := []int{all[0], all[len(all)-1]}
	if Chosen(t) == Quick {
		LeftOut(t, "%s: servers 15 and 17", t.Name())
		return quick
	}
	return all
}

// measured is how many processes Measure starts: the median of so many is stable on a busy machine.
const measured = 200

// Measure is how long starting a small process and waiting for its end takes here, the median of 200.
func Measure(ctx context.Context) (time.Duration, error) {
	took := make([]time.Duration, measured)
	for i := range took {
		began := time.Now()
		if err := exec.CommandContext(ctx, "true").Run(); err != nil {
			return 0, fmt.Errorf("measuring what a process costs: %w", err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[measured/2], nil
}

// Choose gives the depth for a machine where a process costs so much. With Full the live tests take about ten minutes at 0.7 ms
// and grow with it.
func Choose(process time.Duration) Depth {
	switch {
	case process <= 1200*time.Microsecond:
		return Full
	case process <= 2500*time.Microsecond:
		return Normal
	}
	return Quick
}
