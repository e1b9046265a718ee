package reports

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// A Night is a line of a history: of every group of cells, what they are and how they ended, as hashes. A group is the cells of a scenario with one server
// and one client.
type Night struct {
	Format int                          `json:"night"` // 1
	Run    string                       `json:"run"`
	Start  time.Time                    `json:"start"`
	Groups map[string]map[string]string `json:"groups"` // by scenario and pgVERSION/CLIENT: CELLS:OUTCOMES, eight hexadecimal digits each; OUTCOMES is Broken if a cell has no outcome
}

const historyFormat = 1

// noOutcome stands for the outcomes of a group of which a cell was Broken.
const noOutcome = "Broken"

// History is what a file of nights says of a run.
type History struct {
	Path    string
	Nights  int       // before this one
	First   time.Time // start of the first of them
	Damaged []int     // lines that cannot be read, from 1

	now   Night
	since map[string]since // by scenario and group, with a slash between
}

// since says from when on a group is as it is.
type since struct {
	start  time.Time // of the first night of those that are like this one; zero: this one is the first
	nights int       // so many nights that tried the same cells, without this one
	before time.Time // the last night on which the group ended otherwise; zero: none
}

// Remember holds the run against the nights that a file has. The file need not exist. Lines that cannot be read, such as the last one of a night that was
// killed while it wrote, are left out, and History says so. A file without any line that can be read is no history: an error.
func (v *View) Remember(path string) error {
	h := &History{Path: path, since: map[string]since{}}
	var err error
	if h.now, err = nightOf(v.run); err != nil {
		return err
	}
	nights, err := h.read()
	if err != nil {
		return err
	}
	for scenario, groups := range h.now.Groups {
		for group, hashes := range groups {
			h.since[scenario+"/"+group] = sinceWhen(nights, scenario, group, hashes)
		}
	}
	if h.Nights = len(nights); h.Nights > 0 {
		h.First = nights[0].Start
	}
	v.History = h
	return nil
}

// sinceWhen goes back through the nights that tried the same cells of a group. A night on which one of them was Broken says nothing of how they end.
func sinceWhen(nights []Night, scenario, group, hashes string) (s since) {
	cells, outcomes, _ := strings.Cut(hashes, ":")
	for _, n := range slices.Backward(nights) {
		thenCells, then, _ := strings.Cut(n.Groups[scenario][group], ":")
		switch {
		case thenCells != cells, then != outcomes && then == noOutcome:
			continue
		case then != outcomes:
			s.before = n.Start
			return s
		}
		s.start = n.Start
		s.nights++
	}
	return s
}

// nightOf makes the line of a run.
func nightOf(run *Run) (Night, error) {
	type sums struct {
		lines  []string
		broken bool
	}
	groups := map[string]map[string]*sums{}
	_, err := run.scan(decodeBrief, func(r *Record) bool {
		if r.Verdict.Status == verdict.NotApplicable {
			return true
		}
		name := groupOf(r)
		if groups[r.Scenario] == nil {
			groups[r.Scenario] = map[string]*sums{}
		}
		s := groups[r.Scenario][name]
		if s == nil {
			s = &sums{}
			groups[r.Scenario][name] = s
		}
		outcome := ""
		if o := outcomeOf(r); o != nil {
			outcome = o.String()
		} else {
			s.broken = true
		}
		s.lines = append(s.lines, r.ID+"\x00"+r.World+"\x00"+outcome)
		return true
	})
	var killed *Incomplete
	if err != nil && !errors.As(err, &killed) {
		return Night{}, err
	}
	night := Night{Format: historyFormat, Run: run.Header.Run, Start: run.Header.Start.UTC().Truncate(time.Second), Groups: map[string]map[string]string{}}
	for scenario, of := range groups {
		night.Groups[scenario] = map[string]string{}
		for name, s := range of {
			slices.Sort(s.lines) // attempts end in any order
			cells, outcomes := sha256.New(), sha256.New()
			for _, l := range s.lines {
				at := strings.LastIndex(l, "\x00")
				fmt.Fprintln(cells, l[:at])
				fmt.Fprintln(outcomes, l)
			}
			end := short(outcomes)
			if s.broken {
				end = noOutcome
			}
			night.Groups[scenario][name] = short(cells) + ":" + end
		}
	}
	return night, nil
}

// groupOf is the group of a cell, without its scenario.
func groupOf(r *Record) string {
	return "pg" + r.Axes["server"] + "/" + r.Axes["library"]
}

func short(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:4]) }

// CheckHistory says why a file cannot be the history of a run; it need not exist.
func CheckHistory(path string) error {
	_, err := (&History{Path: path}).read()
	return err
}

// read reads the nights before this one, in order.
func (h *History) read() (nights []Night, err error) {
	f, err := os.Open(h.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 1<<20)
	read := 0
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if ended(err) && len(text) == 0 {
			break
		}
		if err != nil && !ended(err) {
			return nil, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var night Night
		if json.Unmarshal(text, &night) != nil || night.Format == 0 || night.Groups == nil {
			h.Damaged = append(h.Damaged, n)
			continue
		}
		if night.Format != historyFormat {
			return nil, fmt.Errorf("%s:%d: format %d: this program reads format %d only", h.Path, n, night.Format, historyFormat)
		}
		if read++; night.Run != h.now.Run && !night.Start.After(h.now.Start) { // a run that is drawn again has its line already, and later ones
			nights = append(nights, night)
		}
	}
	if read == 0 && len(h.Damaged) > 0 {
		return nil, fmt.Errorf("%s is no history: no line of it can be read; name a file that `--history` made, or a new one", h.Path)
	}
	slices.SortStableFunc(nights, func(a, b Night) int { return a.Start.Compare(b.Start) })
	return nights, nil
}

// Append writes the run's line to the file. A last line that was cut off is ended first.
func (h *History) Append() (err error) {
	text, err := json.Marshal(h.now)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(h.Path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.Sync()
}

const day = "2006-01-02"

// of says since when the group of a cell is as it is.
func (h *History) of(r *Record) string { return h.text(r.Scenario + "/" + groupOf(r)) }

// sinceOf is of for a failing cell; empty without a history.
func (v *View) sinceOf(r *Record) string {
	if v.History == nil || r == nil {
		return ""
	}
	return v.History.of(r)
}

func (h *History) text(key string) string {
	s, known := h.since[key]
	switch {
	case !known || h.Nights == 0:
		return ""
	case s.start.IsZero() && s.before.IsZero():
		return "no earlier night tried these cells"
	case s.start.IsZero():
		return "new: otherwise on " + s.before.Format(day)
	case s.before.IsZero():
		return fmt.Sprintf("since %s or before (%s)", s.start.Format(day), count(s.nights, "night", "nights"))
	}
	return fmt.Sprintf("since %s (%s); otherwise on %s", s.start.Format(day), count(s.nights, "night", "nights"), s.before.Format(day))
}

// historyChanges is the number of groups that are named.
const historyChanges = 5

// notes say what the history tells: which groups end otherwise than on the night before that tried them.
func (h *History) notes() []Note {
	if h == nil {
		return nil
	}
	var notes []Note
	for _, n := range h.Damaged {
		notes = append(notes, Note{Label: "history", Text: fmt.Sprintf("%s:%d cannot be read and is left out: it was cut off, or damaged", h.Path, n)})
	}
	if h.Nights == 0 {
		return append(notes, Note{Label: "history", Text: "this is the first night in " + h.Path})
	}
	var changed []string
	known := 0
	for key, s := range h.since {
		if !s.start.IsZero() || !s.before.IsZero() {
			known++
		}
		if s.start.IsZero() && !s.before.IsZero() {
			changed = append(changed, key)
		}
	}
	slices.SortFunc(changed, func(a, b string) int {
		return cmp.Or(h.since[a].before.Compare(h.since[b].before), strings.Compare(a, b))
	})
	text := fmt.Sprintf("%s since %s: ", count(h.Nights, "night", "nights"), h.First.Format(day))
	switch {
	case known == 0:
		text += "none tried these cells"
	case len(changed) == 0:
		text += fmt.Sprintf("each of the groups of cells that were tried before (%s) ends as it did the last time", thousands(known))
	default:
		text += fmt.Sprintf("%s otherwise than the last time, of %s that were tried before", count(len(changed), "group of cells ends", "groups of cells end"), thousands(known))
	}
	notes = append(notes, Note{Label: "history", Text: text})
	for i, key := range changed {
		if i == historyChanges {
			notes = append(notes, Note{Label: "history", Text: "… and " + count(len(changed)-i, "other group", "other groups")})
			break
		}
		notes = append(notes, Note{Label: "history", Text: key + ": " + h.text(key)})
	}
	return notes
}
