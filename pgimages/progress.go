package pgimages

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// aptProgress says how far an installation is, by the lines that apt and dpkg write: each package that apt announces is fetched, unpacked
// and set up. Some programs call apt several times; the percentage never goes back.
type aptProgress struct {
	packages int // announced so far
	steps    int // seen so far
	percent  int
}

var (
	aptAnnounces = regexp.MustCompile(`\b(\d+) newly installed|^\s*Upgrading: \d+, Installing: (\d+),`) // before apt 3, and since
	aptSteps     = regexp.MustCompile(`^(Get:\d+ |Unpacking |Setting up )`)
)

const stepsPerPackage = 3

// mark puts the percentage in front of a line, "42% Unpacking …", once there is one.
func (a *aptProgress) mark(line string) string {
	line = strings.TrimSpace(line)
	if m := aptAnnounces.FindStringSubmatch(line); m != nil {
		if n, err := strconv.Atoi(m[1] + m[2]); err == nil { // one of them is empty
			a.packages += n
		}
	} else if a.packages > 0 && aptSteps.MatchString(line) {
		a.steps++
		a.percent = max(a.percent, min(99, 100*a.steps/(stepsPerPackage*a.packages)))
	}
	if a.percent == 0 || line == "" {
		return line
	}
	return fmt.Sprintf("%d%% %s", a.percent, line)
}
