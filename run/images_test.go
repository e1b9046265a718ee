package run

import (
	"strings"
	"testing"
	"time"
)

func TestBuildsOnPaper(t *testing.T) {
	var out strings.Builder
	now := time.Unix(1000, 0)
	b := &builds{out: &out, began: now, now: func() time.Time { return now }}
	step := func(d time.Duration, name, line string) {
		now = now.Add(d)
		if name != "" {
			b.told(name, line)
		}
		b.tick()
	}
	step(time.Second, "", "")
	step(0, "suite-trixie", "downloading packages")
	step(5*time.Second, "suite-trixie", "12% [Working]")
	step(5*time.Second, "suite-trixie", "25 % of 80 packages")
	step(time.Second, "", "")
	step(10*time.Second, "kdc", "Step 1/3")
	step(10*time.Second, "", "")
	want := `   1s building suite-trixie
  11s suite-trixie 25 %, about 30s left: 25 % of 80 packages
  22s building kdc
  32s kdc (1): Step 1/3
`
	if out.String() != want {
		t.Errorf("\n%s, want\n%s", out.String(), want)
	}
}

func TestBuildsOnATerminal(t *testing.T) {
	var out strings.Builder
	now := time.Unix(1000, 0)
	b := &builds{out: &out, terminal: true, width: 30, began: now, now: func() time.Time { return now }}
	b.told("suite-trixie", "50% and a line that is longer than the terminal is wide")
	b.end()
	if got, want := out.String(), "\r\x1b[K   0s suite-trixie 50 %, abou\r\x1b[K"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
