package prove

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
	"github.com/pgauthmatrix/pgauthmatrix/prove/random"
)

// TestReadersSurvive reads short random sets of files, each for one version. READINGS is how many, and READINGS_SEED of which seed; both have defaults.
// Native fuzzing (FuzzRead) looks for new paths; this is for numbers.
func TestReadersSurvive(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	readings, seed := number("READINGS", 50_000), number("READINGS_SEED", 1)
	from, err := corpusCases()
	if err != nil {
		t.Fatal(err)
	}
	lines := random.NewLines(from)
	var read, refused, gaps uint64
	for n := range readings {
		c := lines.Set(seed, n)
		version := matrix.ServerVersions[n%uint64(len(matrix.ServerVersions))]
		r, err := readOf(&c, version)
		var gap *oracle.CannotPredict
		switch {
		case errors.As(err, &gap):
			gaps++
		case err != nil:
			t.Fatalf("set %d of seed %d, PostgreSQL %d: %v\n%s", n, seed, version, err, corpus.Format([]corpus.Case{c}))
		case len(r.Logged) > 0:
			refused++
		default:
			read++
		}
		if n%10_000_000 == 9_999_999 {
			t.Logf("%d of %d", n+1, readings)
		}
	}
	t.Logf("seed %d: %d readings: %d load, %d do not, %d are not predicted", seed, readings, read, refused, gaps)
	if read*20 < readings || refused*20 < readings {
		t.Error("the random files are nearly all of one kind")
	}
}

// readOf is oracle.Read, with a panic as an error, and what must be true of every reading.
func readOf(c *corpus.Case, version int) (r *oracle.Reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	r, err = oracle.Read(c.World(version))
	if err != nil {
		return nil, err
	}
	errorRows := 0
	for i := range r.Rules {
		row := &r.Rules[i]
		if row.Line < 1 || row.Type == "" && row.Error == "" && len(r.Logged) == 0 || strings.Contains(row.String(), "\n") {
			return nil, fmt.Errorf("row %q", row)
		}
		if row.Error != "" {
			errorRows++
		}
	}
	if errorRows > 0 && len(r.Logged) == 0 {
		return nil, fmt.Errorf("%d rows have errors, and nothing is logged", errorRows)
	}
	return r, nil
}
