package reports

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// linesOf are the lines of a file that can be read.
func linesOf(t *testing.T, file []byte) []string {
	t.Helper()
	var b bytes.Buffer
	_ = opened(t, file).Lines(&b) // a killed run is no error here
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// A run that was killed at any byte goes on: the lines that could be read before are there, then the line of the resumption, what is written after it, and an end.
// The file is frames that have an end.
func TestResume(t *testing.T) {
	const cells = 60
	var file bytes.Buffer
	h := sampleHeader(0)
	h.Cells = cells
	w, err := NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	var records []*Record
	var boundaries []int // ends of frames
	generate(cells, 7, func(r *Record) { records = append(records, r) })
	for i, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		if i%25 == 24 {
			if err := w.out.Close(); err != nil {
				t.Fatal(err)
			}
			boundaries = append(boundaries, file.Len())
		} else if i%5 == 4 {
			if err := w.out.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.out.Flush(); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	if got := wholeFrames(whole); got != boundaries[len(boundaries)-1] {
		t.Fatalf("whole frames end at %d, want %v", got, boundaries)
	}
	path := filepath.Join(t.TempDir(), FileName)
	step := max(len(whole)/150, 1)
	tried := 0
	for cut := len(whole); cut > 0; cut -= step {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		saved, err := Open(path)
		if err != nil {
			if cut > boundaries[0] {
				t.Errorf("cut at %d: %v", cut, err)
			}
			continue // not even the header
		}
		tried++
		before := linesOf(t, whole[:cut])
		f, w, err := Resume(saved, Resumption{Start: sampleStart, After: "killed"})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		for _, r := range records {
			if !w.written[r.ID] {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(Trailer{End: sampleStart}); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after := linesOf(t, now)
		if wholeFrames(now) != len(now) || len(after) != cells+3 || !strings.HasPrefix(after[len(before)], `{"resume":`) {
			t.Fatalf("cut at %d: %d of %d bytes are frames, %d lines", cut, wholeFrames(now), len(now), len(after))
		}
		for i := range before {
			if before[i] != after[i] {
				t.Fatalf("cut at %d: line %d is another", cut, i+1)
			}
		}
		if v := view(t, opened(t, now)); v.Incomplete != "" || v.Counts.Total() != cells || len(v.Trailer.Resumed) != 1 || v.Trailer.Resumed[0].Cells != len(before)-1 {
			t.Fatalf("cut at %d: %+v", cut, v.Trailer)
		}
	}
	if tried < 50 {
		t.Errorf("only %d of the cuts left a header", tried)
	}
}

// A run that was interrupted has an end. What follows it belongs to the run, and its last end counts; a second interruption is another line.
func TestResumeAfterAnEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	h := sampleHeader(0)
	h.Cells = 9
	var records []*Record
	generate(9, 0, func(r *Record) { records = append(records, r) })
	w, err := NewWriter(f, h)
	for n := 0; ; n += 3 {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records[n : n+3] {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		end := Trailer{End: sampleStart, Interrupted: "interrupt", NotReached: map[string]int{"a/b": 6 - n}}
		if n == 6 {
			end = Trailer{End: sampleStart}
		}
		if err := w.Close(end); err != nil {
			t.Fatal(err)
		}
		saved, err2 := Open(path)
		if err2 != nil {
			t.Fatal(err2)
		}
		v := view(t, saved)
		if v.Counts.Total() != n+3 || len(v.Trailer.Resumed) != n/3 || (v.Incomplete == "") != (n == 6) {
			t.Errorf("%d records, %+v", v.Counts.Total(), v.Trailer)
		}
		if n == 6 {
			notes := fmt.Sprint(v.Notes())
			for _, want := range []string{"resumed 2026-11-23 22:50 UTC, with records of 3 cells; before: 0", "with records of 6 cells; before: 3"} {
				if !strings.Contains(notes, want) {
					t.Errorf("no %q in %s", want, notes)
				}
			}
			break
		}
		f, w, err = Resume(saved, Resumption{Start: sampleStart, After: fmt.Sprint(n)})
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWholeFrames(t *testing.T) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "a", strings.Repeat("a", 300_000), strings.Repeat("abcdefgh", 40_000)} {
		frame := encoder.EncodeAll([]byte(text), nil)
		two := append(bytes.Clone(frame), frame...)
		for cut := range two {
			want := 0
			if cut >= len(frame) {
				want = len(frame)
			}
			if got := wholeFrames(two[:cut]); got != want {
				t.Fatalf("%d bytes of two frames of %d: %d, want %d", cut, len(frame), got, want)
			}
		}
		if got := wholeFrames(two); got != len(two) {
			t.Errorf("two frames of %d bytes: %d", len(frame), got)
		}
	}
}
