package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/oracle/corpus"
	"github.com/pgauthmatrix/pgauthmatrix/prove/random"
)

// asker is a server that is asked how it reads files. A *Reader is one.
type asker interface {
	Views(ctx context.Context, cases []corpus.Case) ([]corpus.Answer, error)
	Logs(ctx context.Context, cases []corpus.Case) ([][]string, error)
	Lines(ctx context.Context, cases []corpus.Case) ([][]string, error)
}

const (
	fileBatch  = 400 // sets of files that servers are asked of at a time
	logEvery   = 21  // one set in so many is reloaded, too, which costs much; odd, as sets with even numbers are of another kind than the others
	linesEvery = 7   // of one set in so many it is asked which line decides for some connections, which costs the most; odd, too
)

// part is a part of what a server says of a set.
type part int

const (
	ofViews part = iota
	ofLog
	ofLines
)

// FuzzFiles asks a server of every version how it reads so many random sets of files, and makes those smaller that the oracle reads otherwise. It
// is false if there is one.
func FuzzFiles(ctx context.Context, out io.Writer, seed uint64, files int, dir string) (agree bool, err error) {
	from, err := corpusCases()
	if err != nil {
		return false, err
	}
	askers := map[int]asker{}
	for _, version := range matrix.ServerVersions {
		r, err := NewReader(ctx, version, fmt.Sprintf("files-%d-%d", version, os.Getpid()))
		var none *Unavailable
		if errors.As(err, &none) {
			fmt.Fprintf(out, "PostgreSQL %d: %v\n", version, none)
			continue
		}
		if err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		askers[version] = r
	}
	f := &fileFuzz{out: out, seed: seed, from: from, askers: askers, causes: map[string]int{}, example: map[string]string{}, kinds: map[string]*fileFind{}}
	began := time.Now()
	for first := 1; first <= files && ctx.Err() == nil; first += fileBatch {
		if err := f.batch(context.WithoutCancel(ctx), first, min(fileBatch, files+1-first)); err != nil { // an interrupt ends the loop
			return false, fmt.Errorf("sets %d to %d of seed %d: %w", first, min(first+fileBatch-1, files), seed, err)
		}
		if done := first/fileBatch + 1; done%25 == 0 {
			fmt.Fprintf(out, "%d sets of files, %.0f/s, %d kinds of disagreement\n", f.sets, float64(f.sets)/time.Since(began).Seconds(), len(f.kinds))
		}
	}
	fmt.Fprint(out, f.report(time.Since(began)))
	agree, err = f.keep(ctx, out, dir)
	return agree, cmp.Or(err, context.Cause(ctx))
}

// fileFuzz is what is found while servers are asked.
type fileFuzz struct {
	out     io.Writer
	seed    uint64
	from    []corpus.Case
	askers  map[int]asker // by version
	sets    int
	answers int            // of views
	logs    int            // of reloads
	lines   int            // connections for which a line is predicted
	refused int            // answers with an error
	lost    int            // what the oracle does not predict
	causes  map[string]int // of those
	example map[string]string
	kinds   map[string]*fileFind
}

// fileFind is a set of files that a server reads otherwise than the oracle.
type fileFind struct {
	*asked      // of this set alone
	of     part // what it is about
	count  int  // how many are like it
}

// batch asks all servers of some sets.
func (f *fileFuzz) batch(ctx context.Context, first, count int) error {
	cases := make([]corpus.Case, count)
	for i := range cases {
		cases[i] = random.Files(f.seed, first+i, f.from)
		cases[i].Name = fmt.Sprintf("seed %d set %d", f.seed, first+i)
	}
	f.sets += count
	var g errgroup.Group
	results := make(map[int]*asked, len(f.askers))
	for version, a := range f.askers {
		r := &asked{version: version}
		results[version] = r
		g.Go(func() error {
			return r.ask(ctx, a, cases, func(i int, of part) bool {
				return of == ofLog && (first+i)%logEvery == 0 || of == ofLines && (first+i)%linesEvery == 1
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, version := range slices.Sorted(maps.Keys(results)) {
		f.judge(results[version])
	}
	return nil
}

// asked is what a server said of sets of files, and what was predicted.
type asked struct {
	version   int
	cases     []corpus.Case // those that are predicted
	predicted []corpus.Answer
	said      []corpus.Answer
	logged    []bool // whether said has a log
	lined     []bool // whether said has lines
	gaps      []*oracle.CannotPredict
}

// ask asks a server of those sets that are predicted, and for the parts of them that are wanted; their rows are always.
func (r *asked) ask(ctx context.Context, a asker, cases []corpus.Case, want func(i int, of part) bool) error {
	var reload, connect subset
	for i := range cases {
		p, err := predicted(&cases[i], r.version)
		if err == nil && want(i, ofLines) {
			p.Lines, err = predictedLines(&cases[i], r.version)
		}
		var gap *oracle.CannotPredict
		if errors.As(err, &gap) {
			r.gaps = append(r.gaps, gap)
			continue
		}
		if err != nil {
			return err
		}
		if want(i, ofLog) || r.version < 15 && cases[i].Ident != "" && i%3 == 0 { // no view shows the maps
			reload.add(&cases[i], len(r.cases))
		}
		if want(i, ofLines) {
			connect.add(&cases[i], len(r.cases))
		}
		r.cases, r.predicted = append(r.cases, cases[i]), append(r.predicted, *p)
	}
	if len(r.cases) == 0 {
		return nil
	}
	var err error
	if r.said, err = a.Views(ctx, r.cases); err != nil {
		return err
	}
	r.logged, r.lined = make([]bool, len(r.cases)), make([]bool, len(r.cases))
	err = reload.ask(ctx, a.Logs, func(i int, log []string) { r.said[i].Log, r.logged[i] = log, true })
	if err != nil {
		return err
	}
	return connect.ask(ctx, a.Lines, func(i int, lines []string) { r.said[i].Lines, r.lined[i] = lines, true })
}

// subset are cases with their numbers in the whole.
type subset struct {
	cases []corpus.Case
	of    []int
}

func (s *subset) add(c *corpus.Case, i int) { s.cases, s.of = append(s.cases, *c), append(s.of, i) }

func (s *subset) ask(ctx context.Context, asks func(context.Context, []corpus.Case) ([][]string, error), take func(i int, words []string)) error {
	if len(s.cases) == 0 {
		return nil
	}
	answers, err := asks(ctx, s.cases)
	for i, words := range answers {
		take(s.of[i], words)
	}
	return err
}

// only is what is known of set i.
func (r *asked) only(i int) *asked {
	return &asked{version: r.version, cases: r.cases[i : i+1], predicted: r.predicted[i : i+1], said: r.said[i : i+1], logged: r.logged[i : i+1], lined: r.lined[i : i+1]}
}

// differs says whether the server reads set i otherwise than predicted, and in which part.
func (r *asked) differs(i int) (differs bool, of part) {
	p, s := r.predicted[i], r.said[i]
	switch {
	case !slices.Equal(p.Rules, s.Rules) || !slices.Equal(p.Mappings, s.Mappings):
		return true, ofViews
	case r.logged[i] && !slices.Equal(p.Log, s.Log):
		return true, ofLog
	}
	return r.lined[i] && !corpus.SameLines(p.Lines, s.Lines), ofLines
}

// judge counts, and keeps the first disagreement of each kind.
func (f *fileFuzz) judge(r *asked) {
	f.lost += len(r.gaps)
	for _, gap := range r.gaps {
		f.causes[gap.Why]++
		f.example[gap.Why] = gap.What
	}
	for i := range r.cases {
		f.answers++
		if r.logged[i] {
			f.logs++
		}
		for _, line := range r.predicted[i].Lines {
			if line != "" {
				f.lines++
			}
		}
		if len(r.predicted[i].Log) > 0 {
			f.refused++
		}
		differs, of := r.differs(i)
		if !differs {
			continue
		}
		kind := kindOf(&r.predicted[i], &r.said[i], of)
		if f.kinds[kind] == nil {
			f.kinds[kind] = &fileFind{asked: r.only(i), of: of}
			fmt.Fprintf(f.out, "PostgreSQL %d, %s: %s\n", r.version, r.cases[i].Name, kind)
		}
		f.kinds[kind].count++
	}
}

// particular is what differs from file to file in one kind of disagreement.
var particular = regexp.MustCompile(`\\"(?:[^"]|\\\\\\")*\\"|\[[^\]]*\]|[0-9a-f]*:[0-9a-f:.]*|[0-9]+(?:\.[0-9]+)*`)

// kindOf is a text that disagreements of one kind have in common: the first line that differs, without names and numbers.
func kindOf(predicted, said *corpus.Answer, of part) string {
	a, b := *predicted, *said
	if of != ofLog {
		a.Log, b.Log = nil, nil
	}
	if of != ofLines {
		a.Lines, b.Lines = nil, nil
	}
	first := strings.SplitN(corpus.Differences("p", &a, "s", &b), "\n", 3)
	kind := particular.ReplaceAllString(strings.Join(first[:min(2, len(first))], " / "), "…")
	return kind[:min(len(kind), 300)]
}

func (f *fileFuzz) report(took time.Duration) string {
	text := fmt.Sprintf("%d sets of files, asked of servers %s: %d answers of views, %d of reloads, the line that decides for %d connections, in %s (%.0f answers/s); %d answers have an error; %d kinds of disagreement\n", f.sets, strings.Trim(fmt.Sprint(slices.Sorted(maps.Keys(f.askers))), "[]"), f.answers, f.logs, f.lines, took.Round(time.Second), float64(f.answers)/took.Seconds(), f.refused, len(f.kinds))
	return text + causes(f.lost, f.causes, f.example)
}

// causes says why something is not predicted.
func causes(lost int, count map[string]int, example map[string]string) string {
	text := fmt.Sprintf("not predicted: %d\n", lost)
	for _, why := range slices.SortedFunc(maps.Keys(count), func(x, y string) int {
		return cmp.Or(cmp.Compare(count[y], count[x]), cmp.Compare(x, y))
	}) {
		text += fmt.Sprintf("%7d  %s (example: %.120q)\n", count[why], why, example[why])
	}
	return text
}

// keep makes the disagreements smaller, and saves them as a group of the corpus; true: there are none.
func (f *fileFuzz) keep(ctx context.Context, out io.Writer, dir string) (bool, error) {
	if len(f.kinds) == 0 {
		return true, nil
	}
	var kept []corpus.Case
	for _, kind := range slices.SortedFunc(maps.Keys(f.kinds), func(x, y string) int {
		return cmp.Or(cmp.Compare(f.kinds[y].count, f.kinds[x].count), cmp.Compare(x, y))
	}) {
		if len(kept) == maxFileKinds {
			fmt.Fprintf(out, "%d more kinds are not kept\n", len(f.kinds)-len(kept))
			break
		}
		find := f.kinds[kind]
		r, err := f.shrink(ctx, find)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(out, "\nPostgreSQL %d, %d like this: %s\n%s%s", find.version, find.count, r.cases[0].Name, corpus.Format(r.cases[:1]), corpus.Differences("predicted", &r.predicted[0], "said", &r.said[0]))
		c := r.cases[0]
		c.Record(find.version, r.said[0])
		kept = append(kept, c)
	}
	path := filepath.Join(dir, "files-seed-"+strconv.FormatUint(f.seed, 10)+".txt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	fmt.Fprintf(out, "\nkept in %s, as a group of oracle/corpus\n", path)
	return false, os.WriteFile(path, []byte(corpus.Format(kept)), 0o644)
}

// maxFileKinds is how many kinds of disagreement are made smaller.
const maxFileKinds = 24

// shrink leaves out lines, then letters, while the server still reads the files otherwise. The result has one set.
func (f *fileFuzz) shrink(ctx context.Context, find *fileFind) (*asked, error) {
	ask := func(cases []corpus.Case) (*asked, error) {
		r := &asked{version: find.version}
		return r, r.ask(ctx, f.askers[find.version], cases, func(_ int, of part) bool { return of == find.of })
	}
	smallest := find.asked
	if ctx.Err() != nil { // what was found is kept as it is
		return smallest, nil
	}
	for _, cut := range []func(string) []string{withoutPart(2), withoutLine, withoutWord, withoutPart(8), withoutPart(64), withoutLetter} {
		for again := true; again; {
			again = false
			candidates := cutOnce(&smallest.cases[0], cut)
			for first := 0; first < len(candidates) && !again; first += fileBatch {
				r, err := ask(candidates[first:min(first+fileBatch, len(candidates))])
				if err != nil {
					return nil, err
				}
				for i := range r.cases {
					if differs, of := r.differs(i); differs && of == find.of {
						smallest, again = r.only(i), true
						break
					}
				}
			}
		}
	}
	return smallest, nil
}

// cutOnce are the sets with one text cut in one way, and those without one of the further files.
func cutOnce(c *corpus.Case, cut func(string) []string) (sets []corpus.Case) {
	with := func(change func(*corpus.Case)) {
		s := *c
		s.Files = slices.Clone(c.Files)
		change(&s)
		sets = append(sets, s)
	}
	for i := range c.Files {
		with(func(s *corpus.Case) { s.Files = slices.Delete(s.Files, i, i+1) })
	}
	for _, text := range cut(c.HBA) {
		with(func(s *corpus.Case) { s.HBA = text })
	}
	for _, text := range cut(c.Ident) {
		with(func(s *corpus.Case) { s.Ident = text })
	}
	for i := range c.Files {
		for _, text := range cut(c.Files[i].Text) {
			with(func(s *corpus.Case) { s.Files[i].Text = text })
		}
	}
	return sets
}

// The ways to cut a text, from the coarsest on: parts of its letters, its lines, its words, its letters.

func withoutPart(of int) func(string) []string {
	return func(text string) []string {
		letters := []rune(text)
		size := len(letters) / of
		if size < 2 {
			return nil
		}
		var parts []string
		for part := range slices.Chunk(letters, size) {
			parts = append(parts, string(part))
		}
		return withoutOne(parts)
	}
}

func withoutLine(text string) []string { return withoutOne(strings.SplitAfter(text, "\n")) }

func withoutWord(text string) []string { return withoutOne(strings.SplitAfter(text, " ")) }

// withoutLetter is for short texts: of a long one, nobody wants to know.
func withoutLetter(text string) []string {
	if len(text) > 500 {
		return nil
	}
	return withoutOne(strings.Split(text, ""))
}

func withoutOne(parts []string) (texts []string) {
	for i := range parts {
		if parts[i] != "" {
			texts = append(texts, strings.Join(slices.Delete(slices.Clone(parts), i, i+1), ""))
		}
	}
	return texts
}
