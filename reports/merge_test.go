package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// shardsOf are so many shards of one selection of a hundred cells; change makes one of them other than it should be, before its records are written.
func shardsOf(t *testing.T, count int, change func(index int, h *Header)) []*Run {
	t.Helper()
	var runs []*Run
	for index := 1; index <= count; index++ {
		h := sampleHeader(0)
		h.Run, h.Images = fmt.Sprintf("s%d", index), slices.Clone(h.Images)
		h.Part = &Part{Selection: matrix.Selection{Strength: 2, Shard: matrix.Shard{Index: index, Count: count}}, Text: "pairwise", Cells: 100, Digest: "d1", CostsRun: "r1"}
		h.Selection = fmt.Sprintf("pairwise, shard %d/%d", index, count)
		var records []*Record
		n := 0
		generate(100, 0, func(r *Record) {
			if n++; n%count+1 == index {
				records = append(records, r)
			}
		})
		h.Cells = len(records)
		if change != nil {
			change(index, &h)
		}
		var file bytes.Buffer
		w, err := NewWriter(&file, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Close(Trailer{End: sampleStart, Envs: index, Provision: 1, Attempt: 2}) // the counts of a changed header may not add up
		run := opened(t, file.Bytes())
		run.Path = fmt.Sprintf("shards/%d", index)
		runs = append(runs, run)
	}
	return runs
}

func mergedOf(t *testing.T, runs []*Run) (*Run, error) {
	t.Helper()
	var file bytes.Buffer
	if err := Merge(&file, "night", runs, func([]string) []Stale { return []Stale{{Pattern: "a/b"}} }); err != nil {
		return nil, err
	}
	return opened(t, file.Bytes()), nil
}

// Shards in any order are one run with every record, once.
func TestMerge(t *testing.T) {
	shards := shardsOf(t, 3, nil)
	run, err := mergedOf(t, []*Run{shards[2], shards[0], shards[1]})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(run *Run) (ids []string) {
		for r, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID+" "+string(r.Verdict.Status))
		}
		slices.Sort(ids)
		return ids
	}
	whole := ids(shardsOf(t, 1, nil)[0])
	if got := ids(run); !slices.Equal(got, whole) {
		t.Errorf("%d records, want the %d of a run of all", len(got), len(whole))
	}
	v := view(t, run)
	if h := v.Header; h.Run != "night" || h.Selection != "pairwise" || h.Cells != 100 || h.Part.Selection.Shard != (matrix.Shard{}) || v.Incomplete != "" || v.Trailer.Envs != 6 || v.Trailer.Attempt != 6 {
		t.Errorf("%+v, %+v, %q", h, v.Trailer, v.Incomplete)
	}
	if len(v.Stale) > 0 {
		t.Error("a pairwise selection knows of stale divergences")
	}
	all := shardsOf(t, 2, func(_ int, h *Header) { h.Part.Selection.Strength = 0 })
	if run, err = mergedOf(t, all); err != nil || len(view(t, run).Stale) != 1 {
		t.Errorf("a selection of everything knows of no stale divergence: %v", err)
	}
}

// A shard that did not end is joined, and the run says which one it is.
func TestMergeOfInterrupted(t *testing.T) {
	shards := shardsOf(t, 2, nil)
	var file bytes.Buffer
	h := shards[1].Header
	w, err := NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for r, err := range shards[1].Records() {
		if err != nil {
			t.Fatal(err)
		}
		if written == 30 {
			break
		}
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		written++
	}
	if err := w.out.Flush(); err != nil {
		t.Fatal(err)
	}
	killed := opened(t, file.Bytes())
	killed.Path = "shards/2"
	run, err := mergedOf(t, []*Run{shards[0], killed})
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, run)
	if v.Incomplete != "shard 2/2: the run was killed: it has no end" || v.Counts.Total() != 80 || !strings.Contains(v.missing(), "20 cells not reached: shard 2/2 20") {
		t.Errorf("%q, %d records, %s", v.Incomplete, v.Counts.Total(), v.missing())
	}
}

// What does not make up one selection is an error that says what would be right.
func TestMergeErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		take   []int // shards of three
		change func(index int, h *Header)
		want   string
	}{
		{"one is missing", []int{1, 3}, nil, "no run is shard 2/3 of the selection: run it with --shard, or name its folder"},
		{"two are missing", []int{2}, nil, "no run is shard 1/3 and 3/3 of the selection"},
		{"one is there twice", []int{1, 2, 2, 3}, nil, "shards/2 and shards/2 are both shard 2/3: leave one out"},
		{"another count", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 2 {
				h.Part.Selection.Shard = matrix.Shard{Index: 2, Count: 4}
			}
		}, "shards/1 is shard 1/3 and shards/2 is shard 2/4: want shards of one count"},
		{"another selection", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 3 {
				h.Part.Text = "3-wise"
			}
		}, "shards/1 and shards/3 do not belong together: selection: pairwise and 3-wise; run shard 3/3 again as the first was run"},
		{"another version", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 3 {
				h.Tool = "0.2.0"
			}
		}, "version of pgauthmatrix: 0.1.0 and 0.2.0"},
		{"other repeats", []int{1, 2, 3}, func(i int, h *Header) { h.Part.Repeat = i / 2 * 2 }, "attempts of each cell: 1 and 2"},
		{"other costs", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 2 {
				h.Part.CostsRun = ""
			}
		}, "costs: r1 and estimated"},
		{"another image", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 2 {
				h.Images[0].Version = "17.13"
			}
		}, "images: server-17:\u00a017.12-0+deb13u1\u00a0→\u00a017.13"},
		{"other scenarios", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 2 {
				h.Part.Digest = "d2"
			}
		}, "the scenarios are not the same"},
		{"other shards than these", []int{1, 2, 3}, func(i int, h *Header) {
			if i == 2 {
				h.Cells += 7
			}
		}, "the shards have 107 cells and the selection has 100"},
		{"a whole run", []int{1, 2}, func(i int, h *Header) { h.Part.Selection.Shard = matrix.Shard{} }, "shards/1 is no shard"},
		{"an old run", []int{1}, func(i int, h *Header) { h.Part = nil }, "shards/1 does not say what it is a part of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shards := shardsOf(t, 3, tt.change)
			var runs []*Run
			for _, n := range tt.take {
				runs = append(runs, shards[n-1])
			}
			if _, err := mergedOf(t, runs); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if err := Merge(io.Discard, "x", nil, nil); err == nil {
		t.Error("no run is merged")
	}
	twice := shardsOf(t, 2, func(_ int, h *Header) { h.Cells = 50 })
	other := *twice[0]
	other.Header.Part = &Part{Selection: matrix.Selection{Shard: matrix.Shard{Index: 2, Count: 2}, Strength: 2}, Text: "pairwise", Cells: 100, Digest: "d1", CostsRun: "r1"}
	if _, err := mergedOf(t, []*Run{twice[0], &other}); err == nil || !strings.Contains(err.Error(), "second record of ") || !strings.Contains(err.Error(), "give every shard the same --costs") {
		t.Errorf("cells that two shards have: %v", err)
	}
}
