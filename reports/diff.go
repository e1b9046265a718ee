package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// ChangeKind is what became of a cell from one run to another, or from one value of an axis to another.
type ChangeKind string

const (
	Admitted  ChangeKind = "admitted"  // it was refused and is connected
	Weakened  ChangeKind = "weakened"  // it is connected over a weaker channel, or the attacker obtains more
	NowFails  ChangeKind = "now fails" // it did not fail and does: it differs, drifts or is broken
	Shut      ChangeKind = "refused"   // it was connected and is refused
	Changed   ChangeKind = "changed"   // another field is different
	Vanished  ChangeKind = "vanished"  // it has no record any more
	Appeared  ChangeKind = "appeared"  // it has a record for the first time
	NoMore    ChangeKind = "mended"    // it failed and does not
	unchanged ChangeKind = ""
)

// ChangeKinds lists the kinds, the worst first. The first regressions of them are regressions, the others are news.
var ChangeKinds = []ChangeKind{Admitted, Weakened, NowFails, Shut, Changed, Vanished, Appeared, NoMore}

const regressions = 3

// Regression says whether a change is for the worse: something weaker is admitted, or a cell fails that did not.
func (k ChangeKind) Regression() bool { return slices.Contains(ChangeKinds[:regressions], k) }

// Between compares two values of an axis: a cell with the first is held against the cell that differs from it in this axis alone.
type Between struct {
	Axis string `json:"axis"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Diff is the difference between two runs, or between two values of an axis in one run or two.
type Diff struct {
	Old     Header             `json:"old"`
	New     Header             `json:"new"`
	Between *Between           `json:"between,omitempty"`
	Pairs   int                `json:"pairs"` // cells that both have
	Equal   int                `json:"equal"`
	Alone   [2]int             `json:"alone,omitzero"` // where the selections differ, and with Between: cells of the old side, and of the new, that have no counterpart
	Counts  map[ChangeKind]int `json:"counts"`
	Partial []string           `json:"partial,omitempty"` // why a run is incomplete
	Changes []*Change          `json:"changes,omitempty"` // the worst first

	OldFailing int `json:"old_failing,omitempty"` // cells of the old run that fail

	common bool            // cells that only one side has are no change
	cells  map[string]pair // by ID of the later cell, or of one that is gone: those that are not in all they were
}

// pair is a cell of both sides, or of one of them.
type pair struct {
	old, now *Side // nil: that side has no such cell
	change   Change
}

// Change is cells that changed in one way, told together as the cells of a Group are.
type Change struct {
	Kind ChangeKind `json:"kind"`
	share
	Count  int            `json:"count"`
	Fields []matrix.Field `json:"fields,omitempty"` // that are different
	Rules  bool           `json:"rules,omitempty"`  // the scenario's rules, roles or settings are different too
	Old    *Side          `json:"old,omitempty"`    // of the example
	New    *Side          `json:"new,omitempty"`
	Others []string       `json:"others,omitempty"` // IDs of some of the others
}

// Side is one cell of a pair.
type Side struct {
	ID      string          `json:"id"`
	Status  verdict.Status  `json:"status"`
	Outcome *matrix.Outcome `json:"outcome,omitempty"` // nil where none was observed
	Cause   string          `json:"cause,omitempty"`

	scenario string
	axes     map[string]string
	world    string
	unseen   []matrix.Field
}

// id is that of the cell as it is now, or was.
func (c *Change) id() string {
	if c.New != nil {
		return c.New.ID
	}
	return c.Old.ID
}

// Regressions is the number of cells that changed for the worse.
func (d *Diff) Regressions() int {
	n := 0
	for kind, cells := range d.Counts {
		if kind.Regression() {
			n += cells
		}
	}
	return n
}

// NewDiff compares two runs cell by cell: by their IDs or, if between is given, by all axes but that one.
func NewDiff(before, after *Run, between *Between) (*Diff, error) {
	return newDiff(before, after, between, between != nil) // a selection need not have both values
}

func newDiff(before, after *Run, between *Between, common bool) (*Diff, error) {
	d := &Diff{Old: before.Header, New: after.Header, Between: between, Counts: map[ChangeKind]int{}, common: common, cells: map[string]pair{}}
	var values [2]string
	if between != nil {
		values = [2]string{between.Old, between.New}
	}
	old, _, err := d.sides(before, values[0])
	if err != nil {
		return nil, err
	}
	now, order, err := d.sides(after, values[1])
	if err != nil {
		return nil, err
	}
	d.OldFailing = failingOf(old)
	d.Partial = slices.Compact(d.Partial)
	b := &differ{diff: d, axes: newAxisTable(), ways: map[string]int{}, exactWays: map[string]int{}}
	for _, key := range order {
		b.add(old[key], now[key])
	}
	var gone []*Side
	for key, side := range old {
		if now[key] == nil {
			gone = append(gone, side)
		}
	}
	slices.SortFunc(gone, func(x, y *Side) int { return strings.Compare(x.ID, y.ID) })
	for _, side := range gone {
		b.add(side, nil)
	}
	if between != nil && d.Pairs == 0 {
		return nil, fmt.Errorf("no cell with %s=%s has a counterpart with %s", between.Axis, between.Old, between.New)
	}
	b.group()
	return d, nil
}

// sides reads the cells of a run that have the value of the axis under comparison, by what pairs them, with the order in which they stand.
func (d *Diff) sides(run *Run, value string) (map[string]*Side, []string, error) {
	sides, outcomes, seen := map[string]*Side{}, map[string]*matrix.Outcome{}, false
	var order []string
	trailer, err := run.scan(decodeBrief, func(r *Record) bool {
		if d.Between != nil && axisValue(d.Between.Axis, r.Scenario, r.Axes) != value {
			return true
		}
		seen = true
		key := d.key(r)
		if sides[key] == nil {
			order = append(order, key)
		}
		side := &Side{ID: r.ID, Status: r.Verdict.Status, Cause: r.Verdict.Cause, scenario: r.Scenario, axes: r.Axes, world: r.World}
		if o := outcomeOf(r); o != nil {
			text := o.String()
			if outcomes[text] == nil {
				outcomes[text] = o
			}
			side.Outcome, side.unseen = outcomes[text], r.Observation.Unseen
		}
		sides[key] = side
		return true
	})
	var killed *Incomplete
	switch {
	case errors.As(err, &killed):
		d.Partial = append(d.Partial, run.Header.Run+": "+killed.What)
	case err != nil:
		return nil, nil, err
	case trailer != nil && trailer.Interrupted != "":
		d.Partial = append(d.Partial, run.Header.Run+": "+trailer.Interrupted)
	}
	if d.Between != nil && !seen {
		return nil, nil, fmt.Errorf("run %s has no cell with %s=%s", run.Header.Run, d.Between.Axis, value)
	}
	return sides, order, nil
}

func (d *Diff) key(r *Record) string {
	if d.Between == nil {
		return r.ID
	}
	var key strings.Builder
	key.WriteString(r.Scenario)
	for _, axis := range slices.Sorted(maps.Keys(r.Axes)) {
		if axis != d.Between.Axis {
			key.WriteString("\x00" + axis + "\x00" + r.Axes[axis])
		}
	}
	return key.String()
}

// differ collects the changes of a Diff.
type differ struct {
	diff            *Diff
	axes            *axisTable
	class           []int
	ways, exactWays map[string]int
	changes         []Change // by way: what its cells have in common
	pairs           map[int][2]*Side
	members         []member
}

// beforeAxis is how a cell ended before: what was connected cannot be admitted, so that it says nothing about what was.
const beforeAxis = "before"

func (b *differ) add(old, now *Side) {
	if b.diff.common && (old == nil || now == nil) {
		if now == nil {
			b.diff.Alone[0]++
		} else {
			b.diff.Alone[1]++
			b.diff.cells[now.ID] = pair{now: now}
		}
		return
	}
	side := cmp.Or(now, old)
	axes := maps.Clone(side.axes)
	if between := b.diff.Between; between != nil {
		delete(axes, between.Axis)
	}
	if old != nil && old.Outcome != nil && now != nil {
		axes[beforeAxis] = endOf(old.Outcome)
	}
	row := b.axes.add(side.scenario, axes)
	if old != nil && now != nil {
		b.diff.Pairs++
	}
	change := b.diff.compare(old, now)
	if change.Kind != unchanged || !sameFields(old.Outcome, now.Outcome) {
		b.diff.cells[side.ID] = pair{old, now, change}
	}
	if change.Kind == unchanged {
		b.diff.Equal++
		b.class = append(b.class, agreeing)
		return
	}
	b.diff.Counts[change.Kind]++
	way, exact := string(change.Kind)+fmt.Sprint(change.Fields, change.Rules), ""
	for _, s := range []*Side{old, now} {
		if s == nil {
			continue
		}
		way += "\x00" + string(s.Status)
		for _, f := range change.Fields {
			exact += "\x00" + s.value(f)
		}
	}
	w := number(b.ways, way)
	if w == len(b.changes) {
		b.changes = append(b.changes, change)
	}
	b.class = append(b.class, w)
	b.members = append(b.members, member{row: row, exact: number(b.exactWays, way+exact), scenario: side.scenario})
	if b.pairs == nil {
		b.pairs = map[int][2]*Side{}
	}
	b.pairs[row] = [2]*Side{old, now}
}

// endOf is "connected over tls" or "refused at hba".
func endOf(o *matrix.Outcome) string {
	if o.End == matrix.Connected {
		return "connected over " + string(o.Channel)
	}
	return "refused at " + string(o.Stage)
}

func (s *Side) value(f matrix.Field) string {
	if s.Outcome == nil {
		return ""
	}
	return s.Outcome.Get(f)
}

// compare says what became of a cell. A field that no witness could see on one side is not compared.
func (d *Diff) compare(old, now *Side) Change {
	switch {
	case old == nil:
		return Change{Kind: Appeared}
	case now == nil:
		return Change{Kind: Vanished}
	}
	c := Change{Rules: d.Between == nil && old.world != now.world}
	if old.Outcome != nil && now.Outcome != nil {
		for _, f := range matrix.Fields {
			x, y := old.Outcome.Get(f), now.Outcome.Get(f)
			if f != matrix.FieldDescent && x != y && !(x == "" && slices.Contains(old.unseen, f)) && !(y == "" && slices.Contains(now.unseen, f)) {
				c.Fields = append(c.Fields, f)
			}
		}
	}
	c.Kind = kindOf(old, now, len(c.Fields) > 0)
	if c.Kind == unchanged {
		c.Rules = false
	}
	return c
}

// sameFields compares all fields, also those that no witness could see on one side.
func sameFields(x, y *matrix.Outcome) bool {
	if x == nil || y == nil {
		return x == y
	}
	return !slices.ContainsFunc(matrix.Fields, func(f matrix.Field) bool { return x.Get(f) != y.Get(f) })
}

func kindOf(old, now *Side, different bool) ChangeKind {
	both := old.Outcome != nil && now.Outcome != nil
	found := func(s *Side) bool { return s.Status == verdict.Differ } // a finding, which a cell that was broken may have hidden
	switch {
	case both && old.Outcome.End == matrix.Refused && now.Outcome.End == matrix.Connected:
		return Admitted
	case both && weakened(old.Outcome, now.Outcome):
		return Weakened
	case now.Status.Fails() && (!old.Status.Fails() || found(now) && !found(old)):
		return NowFails
	case both && old.Outcome.End == matrix.Connected && now.Outcome.End == matrix.Refused:
		return Shut
	case old.Status.Fails() && !now.Status.Fails():
		return NoMore
	case different, (old.Outcome == nil) != (now.Outcome == nil), old.Status != now.Status:
		return Changed
	}
	return unchanged
}

// weakened says whether an outcome protects less than the one before: plaintext in place of encryption, TLS inside of GSS
// encryption, or more for the attacker.
func weakened(old, now *matrix.Outcome) bool {
	encrypted := old.Channel == matrix.TLS || old.Channel == matrix.GSS
	return old.End == matrix.Connected && now.End == matrix.Connected && encrypted && now.Channel != matrix.TLS && now.Channel != matrix.GSS ||
		slices.Index(matrix.Obtaineds, now.Obtains) > max(0, slices.Index(matrix.Obtaineds, old.Obtains))
}

// group makes the changes, the worst first.
func (b *differ) group() {
	for _, s := range shares(b.axes, b.class, len(b.ways), b.members) {
		example := b.pairs[s.example]
		c := b.changes[b.class[s.example]]
		c.share, c.Count, c.Old, c.New = s, len(s.rows), example[0], example[1]
		for _, row := range s.rows {
			if row != s.example && len(c.Others) < othersKept {
				pair := b.pairs[row]
				c.Others = append(c.Others, cmp.Or(pair[1], pair[0]).ID)
			}
		}
		b.diff.Changes = append(b.diff.Changes, &c)
	}
	slices.SortFunc(b.diff.Changes, func(x, y *Change) int {
		return cmp.Or(slices.Index(ChangeKinds, x.Kind)-slices.Index(ChangeKinds, y.Kind), y.Count-x.Count, x.rows[0]-y.rows[0])
	})
}
