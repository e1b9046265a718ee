package reports

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// display is a writer and a clock that are safe to look at while the display ticks.
type display struct {
	mu  sync.Mutex
	b   bytes.Buffer
	now time.Time
}

func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *display) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *display) pass(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(t)
}

func (d *display) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := d.b.String()
	d.b.Reset()
	return text
}

func TestProgressInCI(t *testing.T) {
	d := &display{now: sampleStart}
	p := NewProgress(d, 1000, ProgressOptions{Every: time.Hour, Now: d.clock})
	p.Phase("provisioning server 17")
	for i := range 500 {
		d.pass(10 * time.Millisecond)
		s := verdict.Agree
		if i == 250 {
			s = verdict.Differ
		}
		p.Tried()
		p.Cell(s)
	}
	p.Print("a word in between")
	p.Close()
	want := []string{
		" 10 %  100/1,000  100/s  ETA 9.0s  1.0s  provisioning server 17",
		" 20 %  200/1,000  100/s  ETA 8.0s  2.0s  provisioning server 17",
		" 30 %  300/1,000  100/s  ETA 7.0s  3.0s  Differ 1  provisioning server 17",
		" 40 %  400/1,000  100/s  ETA 6.0s  4.0s  Differ 1  provisioning server 17",
		" 50 %  500/1,000  100/s  ETA 5.0s  5.0s  Differ 1  provisioning server 17",
		"a word in between",
	}
	if got := d.take(); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestProgressInCIAfterATime(t *testing.T) {
	d := &display{now: sampleStart}
	p := NewProgress(d, 1000, ProgressOptions{Now: d.clock})
	p.Tried()
	d.pass(11 * time.Second)
	p.Tried()
	p.Close()
	if got := d.take(); got != "  0 %  2/1,000  0/s  ETA 3h02m  11s\n" {
		t.Errorf("%q", got)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	d := &display{now: sampleStart}
	p := NewProgress(d, 48, ProgressOptions{Terminal: true, Width: 90, Now: d.clock})
	p.Phase("cells of negotiation/both-enabled at server 17, and a text that is too long for the line")
	for range 24 {
		d.pass(300 * time.Millisecond)
		p.Tried()
	}
	p.Print("Broken: tickets/expired")
	p.Close()
	text := d.take()
	lines := strings.Split(text, "\r\x1b[K")
	want := "━━━━━━━━━━━━──────────── " + " 50 %  24/48  3/s  ETA 7.2s  7.2s  cells of negot…g for the line"
	if !strings.Contains(text, want) {
		t.Errorf("no %q in %q", want, lines)
	}
	if !strings.Contains(text, "\r\x1b[KBroken: tickets/expired\n\r\x1b[K━") {
		t.Error("a printed line does not stand above the display")
	}
	if !strings.HasSuffix(text, "\r\x1b[K") {
		t.Error("Close leaves the line")
	}
	for _, l := range lines {
		if width(l) > 90 {
			t.Errorf("%d columns: %q", width(l), l)
		}
	}
}

// A phase that takes long is seen to take long: the display ticks by itself.
func TestProgressTicks(t *testing.T) {
	d := &display{now: sampleStart}
	p := NewProgress(d, 10, ProgressOptions{Terminal: true, Now: d.clock})
	defer p.Close()
	d.pass(42 * time.Second)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(redraw / 4) {
		if strings.Contains(d.take(), "0/10  42s") {
			return
		}
	}
	t.Error("nothing was drawn")
}

func TestProgressIsConcurrent(t *testing.T) {
	d := &display{now: sampleStart}
	p := NewProgress(d, 400, ProgressOptions{Now: d.clock})
	var group sync.WaitGroup
	for range 400 {
		group.Go(func() { p.Tried() })
	}
	group.Wait()
	p.Close()
	if got := d.take(); !strings.Contains(got, "100 %  400/400") {
		t.Errorf("%q", got)
	}
}
