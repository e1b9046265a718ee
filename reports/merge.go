package reports

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
)

// Merge joins the shards of a selection into one run, shard after shard. Runs that do not make up one selection are an error that says what would be right.
// A shard that did not end is joined, and the run says that it is incomplete. stale is told the IDs of all cells if the selection has every cell that there is.
func Merge(to io.Writer, id string, shards []*Run, stale func(ids []string) []Stale) error {
	shards = slices.Clone(shards)
	if err := oneSelection(shards); err != nil {
		return err
	}
	slices.SortFunc(shards, func(a, b *Run) int {
		return cmp.Compare(a.Header.Part.Selection.Shard.Index, b.Header.Part.Selection.Shard.Index)
	})
	part := *shards[0].Header.Part
	part.Selection.Shard = matrix.Shard{}
	h := shards[0].Header
	h.Run, h.Selection, h.Cells, h.Part, h.Scenarios = id, part.Text, part.Cells, &part, nil
	var engines []string
	for _, s := range shards {
		if s.Header.Start.Before(h.Start) {
			h.Start = s.Header.Start
		}
		if !slices.Contains(engines, s.Header.Engine) {
			engines = append(engines, s.Header.Engine)
		}
		for _, scenario := range s.Header.Scenarios {
			if !slices.ContainsFunc(h.Scenarios, func(have Scenario) bool { return have.Name == scenario.Name }) {
				h.Scenarios = append(h.Scenarios, scenario)
			}
		}
	}
	h.Engine = strings.Join(engines, "; ")
	w, err := NewWriter(to, h)
	if err != nil {
		return err
	}
	end := Trailer{End: h.Start, NotReached: map[string]int{}}
	var ids []string
	for _, s := range shards {
		more, err := w.join(s, &end)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	if part.Whole() && end.Interrupted == "" {
		end.Stale = stale(ids)
	}
	return w.Close(end)
}

// Whole says whether the selection has every cell that there is.
func (p *Part) Whole() bool {
	s := p.Selection
	return s.Strength == 0 && len(s.Patterns) == 0 && s.Family == "" && len(s.Axes) == 0 && s.Shard == (matrix.Shard{}) && p.AtMost == 0
}

// join writes the records of a shard, and adds its end to that of the whole.
func (w *Writer) join(s *Run, end *Trailer) (ids []string, err error) {
	name := "shard " + s.Header.Part.Selection.Shard.String()
	failed := error(nil)
	last := s.Header.Start
	trailer, err := s.scan(decodeWhole, func(r *Record) bool {
		ids = append(ids, r.ID)
		if ended := r.Start.Add(time.Duration(r.Micros) * time.Microsecond); ended.After(last) {
			last = ended
		}
		failed = w.Write(r)
		return failed == nil
	})
	var killed *Incomplete
	switch {
	case failed != nil:
		return nil, fmt.Errorf("%s: %w; its shards were made by other costs: give every shard the same --costs", s.Path, failed)
	case errors.As(err, &killed):
		trailer = &Trailer{End: last, Interrupted: killed.What, NotReached: map[string]int{name: s.Header.Cells - len(ids)}}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	if trailer.Interrupted != "" {
		end.Interrupted = strings.TrimPrefix(end.Interrupted+"; ", "; ") + name + ": " + trailer.Interrupted
	}
	if trailer.End.After(end.End) {
		end.End = trailer.End
	}
	for scenario, n := range trailer.NotReached {
		end.NotReached[scenario] += n
	}
	end.Envs += trailer.Envs
	end.Provision += trailer.Provision
	end.Attempt += trailer.Attempt
	end.Resumed = append(end.Resumed, trailer.Resumed...)
	end.EnvCost, end.WorldCost = max(end.EnvCost, trailer.EnvCost), max(end.WorldCost, trailer.WorldCost)
	return ids, nil
}

// oneSelection says why runs are not all the shards of one selection. All reasons are told at once.
func oneSelection(runs []*Run) error {
	var all []error
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if len(runs) == 0 {
		return errors.New("no run to merge")
	}
	for _, r := range runs {
		switch p := r.Header.Part; {
		case p == nil:
			wrong("%s does not say what it is a part of: its set-up failed, or an older version made it; run the shard again", r.Path)
		case p.Selection.Shard == (matrix.Shard{}):
			wrong("%s is no shard: it has the whole of its selection, and its reports lie beside it", r.Path)
		}
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	first, count := runs[0], runs[0].Header.Part.Selection.Shard.Count
	have := map[matrix.Shard]string{}
	cells := 0
	for _, r := range runs {
		shard := r.Header.Part.Selection.Shard
		if shard.Count != count {
			wrong("%s is shard %s and %s is shard %s: want shards of one count", first.Path, first.Header.Part.Selection.Shard, r.Path, shard)
			continue
		}
		if path, twice := have[shard]; twice {
			wrong("%s and %s are both shard %s: leave one out", path, r.Path, shard)
			continue
		}
		have[shard] = r.Path
		cells += r.Header.Cells
		if unlike := first.Header.unlike(&r.Header); len(unlike) > 0 {
			wrong("%s and %s do not belong together: %s; run shard %s again as the first was run", first.Path, r.Path, strings.Join(unlike, "; "), shard)
		}
	}
	var missing []string
	for i := 1; i <= count; i++ {
		if s := (matrix.Shard{Index: i, Count: count}); have[s] == "" {
			missing = append(missing, s.String())
		}
	}
	if len(missing) > 0 {
		wrong("no run is shard %s of the selection: run it with --shard, or name its folder", enumerate(missing))
	}
	if want := first.Header.Part.Cells; len(all) == 0 && cells != want {
		wrong("the shards have %d cells and the selection has %d: they were made by other costs; give every shard the same --costs", cells, want)
	}
	return errors.Join(all...)
}

// unlike says in what two runs that should be of one selection are not alike.
func (h *Header) unlike(other *Header) (differences []string) {
	a, b := h.Part, other.Part
	for _, d := range []struct{ what, one, two string }{
		{"selection", a.Text, b.Text},
		{"version of pgauthmatrix", h.Tool, other.Tool},
		{"attempts of each cell", fmt.Sprint(max(a.Repeat, 1)), fmt.Sprint(max(b.Repeat, 1))},
		{"costs", cmp.Or(a.CostsRun, "estimated"), cmp.Or(b.CostsRun, "estimated")},
		{"images", versionsIn(h.Images), versionsIn(other.Images)},
	} {
		if d.one == d.two {
			continue
		}
		if d.what == "images" {
			d.one, d.two = versionChanges(h.Images, other.Images), ""
		}
		differences = append(differences, strings.TrimSuffix(fmt.Sprintf("%s: %s and %s", d.what, d.one, d.two), " and "))
	}
	if len(differences) == 0 && a.Digest != b.Digest {
		differences = append(differences, "the scenarios are not the same")
	}
	return differences
}

// versionsIn lists the images with their versions.
func versionsIn(images []Image) string {
	var list []string
	for _, i := range images {
		list = append(list, i.Name+" "+i.Version)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// SameAs says why a run cannot go on as another one began; empty if it can.
func (h *Header) SameAs(now *Header) string {
	return strings.Join(h.unlike(now), "; ")
}
