package reports

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// ProgressOptions say how progress is shown.
type ProgressOptions struct {
	Terminal bool // redraw one line; otherwise a line for every tenth of the cells, and one after Every without any
	Color    bool
	Width    int              // columns, default 100
	Every    time.Duration    // default 10 s
	Now      func() time.Time // default time.Now
}

// Progress shows how far a run is: one line that is redrawn on a terminal, plain lines elsewhere. It is safe for
// concurrent use. Errors of the writer are ignored: the run does not depend on being watched.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	o       ProgressOptions
	cells   int
	done    int
	counts  verdict.Counts
	phase   string
	start   time.Time // of the display
	first   time.Time // of the first cell: the rate is counted from here
	drawn   time.Time
	tenth   int
	stop    chan struct{}
	stopped sync.WaitGroup
}

// redraw is the time between two drawings of the line on a terminal.
const redraw = 200 * time.Millisecond

// NewProgress starts a display of so many cells.
func NewProgress(w io.Writer, cells int, o ProgressOptions) *Progress {
	if o.Width == 0 {
		o.Width = 100
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Progress{w: w, o: o, cells: cells, counts: verdict.Counts{}, stop: make(chan struct{})}
	p.start = o.Now()
	p.drawn = p.start
	p.stopped.Go(p.tick)
	return p
}

// tick draws while nothing happens, so that the time of a long phase is seen to pass.
func (p *Progress) tick() {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.show(false)
			p.mu.Unlock()
		}
	}
}

// Tried counts one cell that was attempted, or never will be. Verdicts come later, in batches.
func (p *Progress) Tried() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == 0 {
		p.first = p.o.Now()
	}
	p.done++
	p.show(false)
}

// Cell counts the verdict of one cell.
func (p *Progress) Cell(s verdict.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[s]++
	p.show(false)
}

// Phase says what the run does in addition to trying cells, e.g. "provisioning server 17".
func (p *Progress) Phase(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = text
	p.show(p.o.Terminal)
}

// Print writes a line above the display.
func (p *Progress) Print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.Terminal {
		fmt.Fprint(p.w, "\r\x1b[K"+line+"\n")
		p.show(true)
		return
	}
	fmt.Fprintln(p.w, line)
}

// Close ends the display; on a terminal it removes the line.
func (p *Progress) Close() {
	close(p.stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.Terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// show draws if it is time, or if something changed that must be seen.
func (p *Progress) show(changed bool) {
	now := p.o.Now()
	if p.o.Terminal {
		if changed || now.Sub(p.drawn) >= redraw {
			p.drawn = now
			fmt.Fprint(p.w, "\r\x1b[K"+p.line(now, true))
		}
		return
	}
	tenth := 0
	if p.cells > 0 {
		tenth = 10 * p.done / p.cells
	}
	if changed || tenth > p.tenth || now.Sub(p.drawn) >= p.o.Every {
		p.drawn, p.tenth = now, tenth
		fmt.Fprintln(p.w, p.line(now, false))
	}
}

func (p *Progress) line(now time.Time, bar bool) string {
	on := paint(p.o.Color)
	percent := 0
	if p.cells > 0 {
		percent = 100 * p.done / p.cells
	}
	text := fmt.Sprintf("%3d %%  %s/%s", percent, thousands(p.done), thousands(p.cells))
	if elapsed := now.Sub(p.first); p.done > 1 && elapsed > 0 {
		rate := float64(p.done-1) / elapsed.Seconds()
		text += fmt.Sprintf("  %.0f/s", rate)
		if left := p.cells - p.done; left > 0 {
			text += "  ETA " + clock(time.Duration(float64(left)/rate*float64(time.Second)))
		}
	}
	text += "  " + clock(now.Sub(p.start))
	colored := text
	for _, s := range []verdict.Status{verdict.Differ, verdict.Broken, verdict.Drift} {
		if n := p.counts[s]; n > 0 {
			part := fmt.Sprintf("  %s %s", s, thousands(n))
			text += part
			colored += on.text(statusStyle(s), part)
		}
	}
	if !bar {
		if p.phase != "" {
			colored += "  " + p.phase
		}
		return colored
	}
	const barWidth = 24
	full := 0
	if p.cells > 0 {
		full = barWidth * p.done / p.cells
	}
	colored = on.text(green, strings.Repeat("━", full)) + on.text(dim, strings.Repeat("─", barWidth-full)) + " " + colored
	if room := p.o.Width - barWidth - 1 - width(text) - 3; room > 8 && p.phase != "" {
		colored += "  " + on.text(dim, shorten(p.phase, room))
	}
	return colored
}
