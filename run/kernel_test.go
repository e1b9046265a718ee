package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/fixtures"
	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/oracle"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// fakeEnv answers as predicted, after as long as it is told, and does wrong what it is told to do wrong. It runs in a synctest bubble.
type fakeEnv struct {
	mu       sync.Mutex
	log      []string // one word for each call: install, control, cell, healthy, close
	passes   int      // of the control cells that have begun
	attempts int      // of cells

	takes        time.Duration                         // an attempt
	controlTakes time.Duration                         // a control cell
	controlFails int                                   // the pass of the control cells that fails, from 1
	install      func(w *matrix.World) error           // nil: installs
	healthy      func(attempts int) error              // nil: is healthy
	cell         func(n int) matrix.Observation        // the n-th attempt, from 1; nil: as predicted
	observe      func(*matrix.Cell) matrix.Observation // nil: as the other fields say
	provision    error
}

func (f *fakeEnv) said(word string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, word)
}

func (f *fakeEnv) count(word string) (n int) {
	for _, w := range f.log {
		if w == word {
			n++
		}
	}
	return n
}

func (f *fakeEnv) Install(ctx context.Context, w *matrix.World) error {
	f.said("install")
	if f.install != nil {
		return f.install(w)
	}
	return ctx.Err()
}

func (f *fakeEnv) Across(ctx context.Context, w *matrix.World, cells []*matrix.Cell) (all []matrix.Observation, err error) {
	err = f.Install(ctx, w)
	for _, c := range cells {
		all = append(all, f.Attempt(ctx, c))
		f.said("across")
	}
	return all, err
}

// wait returns early if ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *fakeEnv) Attempt(ctx context.Context, c *matrix.Cell) matrix.Observation {
	if f.observe != nil {
		return f.observe(c)
	}
	if strings.HasPrefix(c.Scenario, controlFamily) {
		f.mu.Lock()
		if f.log[len(f.log)-1] == "install" {
			f.passes++
		}
		f.log = append(f.log, "control")
		pass := f.passes
		f.mu.Unlock()
		o := matrix.Observation{Outcome: c.Expect.Then.Outcome}
		if pass == f.controlFails {
			o = matrix.Observation{Outcome: matrix.Outcome{End: matrix.Refused}}
		}
		if err := wait(ctx, f.controlTakes); err != nil {
			return matrix.Observation{Fault: err.Error()}
		}
		return o
	}
	f.mu.Lock()
	f.log = append(f.log, "cell")
	f.attempts++
	n := f.attempts
	f.mu.Unlock()
	if err := wait(ctx, f.takes); err != nil {
		return matrix.Observation{Fault: "cut short: " + err.Error()}
	}
	if f.cell != nil {
		if o := f.cell(n); o.Fault != "" {
			return o
		}
	}
	p, err := oracle.Predict(c)
	if err != nil {
		return matrix.Observation{Fault: err.Error()}
	}
	return matrix.Observation{Outcome: p.Outcome, Unseen: verdict.Unseen(c, p)}
}

func (f *fakeEnv) Healthy(ctx context.Context) error {
	f.said("healthy")
	if f.healthy != nil {
		return f.healthy(f.attempts)
	}
	return ctx.Err()
}

func (f *fakeEnv) Close(context.Context) error {
	f.said("close")
	return nil
}

// lines keeps what the display prints above itself.
type lines struct {
	silent
	mu    sync.Mutex
	lines []string
}

func (l *lines) Print(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// tried is the result of a run with a fake Env.
type tried struct {
	env      *fakeEnv
	display  *lines
	counts   verdict.Counts
	causes   []string // of Broken cells, each once, in order
	reached  int
	err      error
	duration time.Duration
}

// try runs one Env with worlds of so many cells. cancelAfter ends it early; 0: not at all.
func try(t *testing.T, env *fakeEnv, worlds int, cellsPerWorld int, cancelAfter time.Duration, to io.Writer) tried {
	t.Helper()
	var cells []matrix.Cell
	for w := range worlds {
		var users []string
		for u := range cellsPerWorld {
			users = append(users, fmt.Sprintf("u%d", u))
		}
		cells = append(cells, scenario(t, fmt.Sprintf("a/world%d", w), "server: 17\nroles: [alice"+strings.Repeat(", bob", min(w, 1))+"]\n"+
			fmt.Sprintf("hba: |\n  # world %d\n  host all all all trust\n", w), "library: pgx\nuser: ["+strings.Join(users, ", ")+"]\n", "")...)
	}
	var result tried
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		display := &lines{}
		r := newRun(Config{Dir: t.TempDir(), Provision: func(context.Context, *EnvPlan, fixtures.Plan) (Env, error) {
			if env.provision != nil {
				return nil, env.provision
			}
			return env, nil
		}})
		r.display = display
		predicted, err := predict(nil, cells)
		if err != nil {
			t.Fatal(err)
		}
		r.predicted = predicted
		if r.Plan, err = NewPlan(cells, controls(t, "[pgx]")); err != nil {
			t.Fatal(err)
		}
		if len(r.Plan.Envs) != 1 || len(r.Plan.Envs[0].Worlds) != worlds {
			t.Fatalf("%d Envs, %d worlds", len(r.Plan.Envs), len(r.Plan.Envs[0].Worlds))
		}
		r.done[r.Plan.Envs[0]] = make(chan struct{})
		var written bytes.Buffer
		if err := r.write(io.MultiWriter(&written, to), reports.Header{Run: r.ID, Cells: len(cells)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		if cancelAfter > 0 {
			time.AfterFunc(cancelAfter, func() { cancel(errors.New("interrupt signal received")) })
		}
		r.Start(ctx)
		_ = r.Wait(ctx, r.Plan.Envs[0])
		result.err = r.end(Interruption(ctx))
		cancel(nil)
		result.env, result.display, result.duration = env, display, time.Since(began)
		saved, err := reports.Read(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(written.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		result.counts = verdict.Counts{}
		for record, err := range saved.Records() {
			if err != nil {
				if result.err == nil {
					t.Error(err)
				}
				break
			}
			result.reached++
			result.counts[record.Verdict.Status]++
			if cause := record.Verdict.Cause; cause != "" && !slices.Contains(result.causes, cause) {
				result.causes = append(result.causes, cause)
			}
		}
	})
	return result
}

func TestKernel(t *testing.T) {
	gone := errors.New("it is gone")
	for _, tt := range []struct {
		name          string
		env           *fakeEnv // nil: one that does nothing wrong
		worlds, cells int
		cancelAfter   time.Duration
		agree, broken int
		causes        []string // of Broken cells, in order
		passes        int      // of the control cells
		prints        string   // part of a line above the display
	}{
		{name: "all is well", worlds: 2, cells: 7, agree: 14, passes: 2},
		{name: "cannot be provisioned", env: &fakeEnv{provision: gone}, worlds: 2, cells: 3, broken: 6, causes: []string{"env pg17: it is gone"}},
		{name: "a control cell fails before", env: &fakeEnv{controlFails: 1}, worlds: 2, cells: 3, broken: 6, causes: []string{"env pg17: control cell controls/any"}, passes: 1},
		{name: "a control cell fails after", env: &fakeEnv{controlFails: 2}, worlds: 2, cells: 3, broken: 6, causes: []string{"env pg17 after these cells: control cell controls/any"}, passes: 2},
		{name: "a control cell fails between", env: &fakeEnv{controlFails: 3, takes: time.Second}, worlds: 1, cells: 200, agree: 60, broken: 140,
			causes: []string{"env pg17 after these cells: control cell", "env pg17 before these cells: control cell"}, passes: 3},
		{name: "the control world cannot be installed", env: &fakeEnv{install: func(*matrix.World) error { return gone }}, worlds: 2, cells: 3, broken: 6,
			causes: []string{"env pg17: the control world could not be installed: it is gone"}},
		{name: "a world cannot be installed", env: &fakeEnv{install: func(w *matrix.World) error {
			if strings.Contains(w.HBA, "world 1") {
				return gone
			}
			return nil
		}}, worlds: 3, cells: 4, agree: 8, broken: 4, causes: []string{"env pg17 could not be brought to this world: it is gone"}, passes: 2},
		{name: "is found broken after the second world", env: &fakeEnv{healthy: func(n int) error {
			if n == 8 {
				return gone
			}
			return nil
		}, takes: time.Second}, worlds: 3, cells: 4, agree: 8, broken: 4, causes: []string{"env pg17 was found broken after these cells: it is gone"}, passes: 2},
		{name: "worlds that take no time are in doubt together", env: &fakeEnv{healthy: func(n int) error {
			if n == 12 {
				return gone
			}
			return nil
		}}, worlds: 3, cells: 4, agree: 4, broken: 8, causes: []string{"env pg17 was found broken after these cells: it is gone"}, passes: 2},
		{name: "a panic in an attempt", env: &fakeEnv{cell: func(n int) matrix.Observation {
			if n == 3 {
				panic("what is this")
			}
			return matrix.Observation{}
		}}, worlds: 1, cells: 5, agree: 4, broken: 1, causes: []string{"panic: what is this"}, passes: 2},
		{name: "a fault is kept when the control cells fail too", env: &fakeEnv{controlFails: 2, cell: func(n int) matrix.Observation {
			if n == 1 {
				return matrix.Observation{Fault: "its own"}
			}
			return matrix.Observation{}
		}}, worlds: 1, cells: 2, broken: 2, causes: []string{"its own", "env pg17 after these cells"}, passes: 2},
		{name: "a bracket ends after ten seconds", env: &fakeEnv{takes: time.Second}, worlds: 1, cells: 130, agree: 130, passes: 1 + 3},
		{name: "a bracket spans worlds", env: &fakeEnv{takes: time.Second}, worlds: 4, cells: 12, agree: 48, passes: 1 + 1},
		{name: "a bracket ends after a thousand cells", worlds: 1, cells: 2100, agree: 2100, passes: 1 + 3},
		{name: "slow control cells make longer brackets", env: &fakeEnv{takes: time.Second, controlTakes: 2 * time.Second}, worlds: 1, cells: 130, agree: 130, passes: 1 + 2},
		{name: "but not beyond the longest", env: &fakeEnv{takes: time.Second, controlTakes: time.Minute}, worlds: 1, cells: 181, agree: 181, passes: 1 + 2},
		{name: "an attempt longer than a bracket", env: &fakeEnv{takes: 40 * time.Second}, worlds: 1, cells: 8, agree: 8, passes: 1 + 2},
		{name: "interrupted during attempts", env: &fakeEnv{takes: time.Second}, worlds: 1, cells: 100, cancelAfter: 4500 * time.Millisecond, agree: 30, passes: 2},
		{name: "interrupted during attempts that do not end", env: &fakeEnv{takes: time.Hour}, worlds: 1, cells: 10, cancelAfter: time.Second, passes: 1},
		{name: "interrupted, and some attempts do not end", env: &fakeEnv{cell: func(n int) matrix.Observation {
			if n == 4 {
				time.Sleep(time.Hour)
			}
			return matrix.Observation{}
		}, takes: time.Second}, worlds: 1, cells: 9, cancelAfter: time.Second + time.Millisecond, agree: 8, passes: 2},
		{name: "interrupted, and a control cell fails", env: &fakeEnv{takes: time.Second, controlFails: 2}, worlds: 1, cells: 100, cancelAfter: 2500 * time.Millisecond, passes: 2,
			prints: "18 cells were attempted and are not recorded"},
		{name: "interrupted, and the Env is not healthy", env: &fakeEnv{takes: time.Second, healthy: func(int) error { return gone }}, worlds: 1, cells: 100,
			cancelAfter: 2500 * time.Millisecond, passes: 1, prints: "it is gone"},
		{name: "interrupted, and the last control cells do not end", env: &fakeEnv{takes: time.Second, controlTakes: 21 * time.Second}, worlds: 1, cells: 100,
			cancelAfter: 23500 * time.Millisecond, passes: 2, prints: "not done within 20s"},
		{name: "interrupted during the first control cells", env: &fakeEnv{controlTakes: 10 * time.Second}, worlds: 1, cells: 4, cancelAfter: time.Second, passes: 1},
		{name: "interrupted during control cells that end in time", env: &fakeEnv{takes: time.Second, controlTakes: 3 * time.Second}, worlds: 1, cells: 6,
			cancelAfter: 5 * time.Second, agree: 6, passes: 2},
		{name: "interrupted during control cells that do not end in time", env: &fakeEnv{takes: time.Second, controlTakes: 8 * time.Second}, worlds: 1, cells: 6,
			cancelAfter: 10 * time.Second, agree: 6, passes: 3},
		{name: "interrupted during control cells that fail", env: &fakeEnv{takes: time.Second, controlTakes: 3 * time.Second, controlFails: 2}, worlds: 1, cells: 6,
			cancelAfter: 5 * time.Second, broken: 6, causes: []string{"env pg17 after these cells: control cell"}, passes: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env == nil {
				tt.env = &fakeEnv{}
			}
			got := try(t, tt.env, tt.worlds, tt.cells, tt.cancelAfter, io.Discard)
			if got.err != nil {
				t.Errorf("the run failed: %v", got.err)
			}
			if got.counts[verdict.Agree] != tt.agree || got.counts[verdict.Broken] != tt.broken || got.reached != tt.agree+tt.broken {
				t.Errorf("%v of %d records, want %d that agree and %d Broken", got.counts, got.reached, tt.agree, tt.broken)
			}
			if tt.cancelAfter == 0 && got.reached != tt.worlds*tt.cells {
				t.Errorf("%d records of %d cells", got.reached, tt.worlds*tt.cells)
			}
			slices.Sort(got.causes) // which of several attempts is the first is not said
			slices.Sort(tt.causes)
			if !slices.EqualFunc(got.causes, tt.causes, strings.HasPrefix) {
				t.Errorf("causes %q, want %q", got.causes, tt.causes)
			}
			if got.env.passes != tt.passes {
				t.Errorf("the control cells passed or failed %d times, want %d", got.env.passes, tt.passes)
			}
			if printed := strings.Join(got.display.lines, "\n"); !strings.Contains(printed, tt.prints) || tt.prints == "" && printed != "" {
				t.Errorf("printed %q, want %q", printed, tt.prints)
			}
			if closed := got.env.count("close"); closed != 1 && tt.env.provision == nil {
				t.Errorf("closed %d times", closed)
			}
			if limit := tt.cancelAfter + interruptGrace + closingTime + time.Second; tt.cancelAfter > 0 && got.duration > limit && !strings.Contains(tt.name, "some attempts") {
				t.Errorf("it ended after %s, %s after the interrupt", got.duration, got.duration-tt.cancelAfter)
			}
		})
	}
}

// full is a disk that takes so many bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

// TestRecordsThatCannotBeWritten: the run ends with the error. The records of the first bracket are compressed and fail when they are
// flushed; those of the second are refused, and no cell is attempted any more.
func TestRecordsThatCannotBeWritten(t *testing.T) {
	env := &fakeEnv{takes: time.Second}
	got := try(t, env, 1, 200, 0, &full{room: 600})
	if got.err == nil || !strings.Contains(got.err.Error(), "no space left on device") {
		t.Errorf("the run ended with %v", got.err)
	}
	if env.attempts != 120 || env.count("close") != 1 {
		t.Errorf("%d attempts, closed %d times", env.attempts, env.count("close"))
	}
}

// TestWorldsAreInstalledAgainAfterControlCells: a bracket that ends in the middle of a world leaves the control world installed.
func TestWorldsAreInstalledAgainAfterControlCells(t *testing.T) {
	env := &fakeEnv{takes: time.Second}
	try(t, env, 1, 70, 0, io.Discard)
	var order []string
	for _, word := range env.log {
		if len(order) == 0 || order[len(order)-1] != word {
			order = append(order, word)
		}
	}
	want := "install control install cell healthy install control install cell healthy install control close"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

// Cells that are begun before their world's files are loaded come first, a few at a time, each few with a load of their own.
func TestCellsAcrossALoad(t *testing.T) {
	cells := scenario(t, "a/one", "server: 17\nload: reload\n"+trustAll, "library: libpq17\nuser: [a, b, c, d, e, f, g, h]\nopened: [default, before]\n", "")
	plan, err := NewPlan(cells, controls(t, "libpq17"))
	if err != nil {
		t.Fatal(err)
	}
	world := plan.Envs[0].Worlds[0]
	env := &fakeEnv{}
	k := &kernel{plan: plan.Envs[0], env: env, display: silent{}, clock: &clock{}, length: time.Hour}
	for rest := world.Cells; len(rest) > 0; {
		rest = rest[k.world(t.Context(), t.Context(), world, rest):]
	}
	if got := strings.Join(env.log, " "); !strings.HasPrefix(got, "install "+strings.Repeat("cell across ", openAtATime)+"install "+strings.Repeat("cell across ", 8-openAtATime)+"cell cell") || env.count("install") != 2 {
		t.Errorf("%s", got)
	}
	if len(k.bracket) != 16 {
		t.Fatalf("%d cells", len(k.bracket))
	}
	for i, a := range k.bracket {
		if a.cell != world.Cells[i] || a.observation.Fault != "" || a.cell.Client.IsOpenedBefore() != (i < 8) {
			t.Errorf("%d: %s %q", i, a.cell.ID, a.observation.Fault)
		}
	}
}

// A cell that is begun before the load is attempted as often as any other, with a load for each attempt.
func TestRepeatedAcrossALoad(t *testing.T) {
	cells := scenario(t, "a/one", "server: 17\nload: reload\n"+trustAll, "library: libpq17\nuser: [a, b]\nopened: before\n", "")
	plan, err := NewPlan(cells, controls(t, "libpq17"))
	if err != nil {
		t.Fatal(err)
	}
	tries := map[string]int{}
	env := &fakeEnv{observe: func(c *matrix.Cell) matrix.Observation {
		tries[c.ID]++
		o := matrix.Observation{Outcome: matrix.Outcome{End: matrix.Connected, Channel: matrix.TLS}}
		if c.Client.User == "b" && tries[c.ID] == 3 {
			o.Outcome.Channel = matrix.Plain
		}
		return o
	}}
	k := &kernel{plan: plan.Envs[0], env: env, display: silent{}, clock: &clock{}, length: time.Hour, repeat: 3}
	if n := k.world(t.Context(), t.Context(), plan.Envs[0].Worlds[0], plan.Envs[0].Worlds[0].Cells); n != 2 || env.count("install") != 3 {
		t.Fatalf("%d cells, %d loads", n, env.count("install"))
	}
	for _, a := range k.bracket {
		if odd := a.cell.Client.User == "b"; tries[a.cell.ID] != 3 || strings.HasPrefix(a.observation.Fault, "does not repeat: 3 attempts ended in 2 ways") != odd {
			t.Errorf("%s: %d attempts, %q", a.cell.ID, tries[a.cell.ID], a.observation.Fault)
		}
	}
}
