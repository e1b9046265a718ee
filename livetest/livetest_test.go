package livetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Depth{"": Full, "quick": Quick, "normal": Normal, "full": Full} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"Quick", "deep", "1"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestChoose(t *testing.T) {
	for process, want := range map[time.Duration]Depth{500 * time.Microsecond: Full, 2 * time.Millisecond: Normal, 4 * time.Millisecond: Quick} {
		if got := Choose(process); got != want {
			t.Errorf("%s: %s, want %s", process, got, want)
		}
	}
}

func TestPick(t *testing.T) {
	for depth, want := range map[string]int{"quick": 1, "normal": 2, "full": 3, "": 3} {
		t.Setenv("LIVE_DEPTH", depth)
		if got := Pick(t, 1, 2, 3); got != want {
			t.Errorf("%q picks %d, want %d", depth, got, want)
		}
	}
}

func TestLeftOutIsWrittenDown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "left-out")
	t.Setenv("LIVE_LEFT_OUT", path)
	t.Setenv("LIVE_DEPTH", "quick")
	LeftOut(t, "%d of %d", 3, 4)
	if v := Versions(t); len(v) != 2 {
		t.Errorf("servers %v", v)
	}
	text, err := os.ReadFile(path)
	if want := "3 of 4\nTestLeftOutIsWrittenDown: servers 15 and 17\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
}

func TestMeasure(t *testing.T) {
	if took, err := Measure(t.Context()); err != nil || took <= 0 || took > time.Minute {
		t.Errorf("%s, %v", took, err)
	}
}
