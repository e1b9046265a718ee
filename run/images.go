package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// Images builds or finds every image of the catalogue that scenarios can name, and prints a line each.
func Images(ctx context.Context, out io.Writer) error {
	images, err := ensure(ctx, out, pgimages.Catalogue())
	for _, i := range images {
		fmt.Fprintln(out, i)
	}
	return died(err)
}

// images finds or makes the images that cells need, and returns the cells whose images are available. What the others
// lack is in r.Images with the number of cells it costs: they are reported, never left out in silence.
func (r *Run) images(ctx context.Context, out io.Writer, cells []matrix.Cell) ([]matrix.Cell, error) {
	specs := []pgimages.Spec{pgimages.KDC()}
	for i := range cells {
		for _, s := range r.needs(&cells[i]) {
			if !slices.Contains(specs, s) {
				specs = append(specs, s)
			}
		}
	}
	slices.SortFunc(specs[1:], func(a, b pgimages.Spec) int { return strings.Compare(a.Name(), b.Name()) })
	images, err := ensure(ctx, out, specs)
	if err != nil {
		return nil, err
	}
	lacking := map[pgimages.Spec]int{}
	var failed []error
	for i, s := range specs {
		switch {
		case images[i].Unavailable == "":
		case images[i].NoSource:
			lacking[s] = 0
		default: // to go on without its cells would be green for the wrong reason
			failed = append(failed, fmt.Errorf("image %s could not be made: %s", images[i].Name, images[i].Unavailable))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	kept := cells[:0:0]
	for i := range cells {
		had := true
		for _, s := range r.needs(&cells[i]) {
			if _, missing := lacking[s]; missing {
				lacking[s]++
				had = false
			}
		}
		if had {
			kept = append(kept, cells[i])
		}
	}
	dates := r.dates(ctx, images)
	for i, s := range specs {
		r.Images = append(r.Images, reports.Image{Name: images[i].Name, Version: images[i].Version, Date: dates[i], Source: images[i].Source,
			Unavailable: images[i].Unavailable, Cells: lacking[s]})
	}
	r.lost = len(cells) - len(kept)
	if len(kept) == 0 {
		return nil, fmt.Errorf("every selected cell needs an image that is not available here: %s", unavailable(r.Images))
	}
	return kept, nil
}

// dates are those of the images' packages, empty where none can be told: a run does not need them.
func (r *Run) dates(ctx context.Context, images []pgimages.Image) []string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dates := make([]string, len(images))
	var g errgroup.Group
	g.SetLimit(4)
	for n, i := range images {
		g.Go(func() error {
			if date, err := pgimages.PackageDate(ctx, i, r.ID); err == nil && !date.IsZero() {
				dates[n] = date.Format(time.DateOnly)
			}
			return nil
		})
	}
	_ = g.Wait() // none has an error
	return dates
}

func unavailable(images []reports.Image) string {
	var parts []string
	for _, i := range images {
		if i.Unavailable != "" {
			parts = append(parts, i.Name+": "+i.Unavailable)
		}
	}
	return strings.Join(parts, "; ")
}

// needs are the images of a cell's server and client. A client that has no image of its own runs in any client container.
func (r *Run) needs(c *matrix.Cell) []pgimages.Spec {
	specs := []pgimages.Spec{r.server(c.World.Server)}
	if info, _ := c.Client.Library.Info(); info.Image != "" {
		specs = append(specs, pgimages.Client(info.Image))
	}
	if d := c.Client.Driver; d != nil && d.Image != "" {
		specs = append(specs, pgimages.Own(d.Image))
	}
	return specs
}

// server is the image of a server.
func (r *Run) server(major int) pgimages.Spec {
	if own := r.config.Server; own != nil && own.Own.Major == major {
		return own.Spec
	}
	return pgimages.Server(major)
}

// OwnServer finds or makes the server image that stands on somebody's own, and prints what was found in it.
func OwnServer(ctx context.Context, out io.Writer, reference string) (*pgimages.Image, error) {
	images, err := ensure(ctx, out, []pgimages.Spec{pgimages.OwnServer(reference)})
	if err != nil {
		return nil, died(err)
	}
	if images[0].Unavailable != "" {
		return nil, died(errors.New(images[0].Unavailable))
	}
	fmt.Fprintf(out, "%s: %s\n", reference, images[0].Own)
	return &images[0], nil
}

// ensure shows builds as they go: one line that changes on a terminal, a line for each image and one every ten seconds elsewhere.
func ensure(ctx context.Context, out io.Writer, specs []pgimages.Spec) ([]pgimages.Image, error) {
	f, ok := out.(*os.File)
	b := &builds{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), width: Options(out).Width, began: time.Now(), now: time.Now}
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
				b.tick()
			}
		}
	})
	images, err := pgimages.Ensure(ctx, specs, b.told)
	close(stop)
	ticking.Wait()
	b.end()
	return images, err
}

// builds draws the images that are being built. It is safe for concurrent use.
type builds struct {
	out      io.Writer
	terminal bool
	width    int // columns of the terminal
	began    time.Time
	now      func() time.Time

	mu    sync.Mutex
	drawn time.Time
	going []*building // in the order in which they began
}

// building is one image; what it says last is what it does.
type building struct {
	name, line string
	began      time.Time
	percent    int // of what it does, as its own words have it; 0: unknown
	lines      int
}

// between is how often a line is written that nobody redraws.
const between = 10 * time.Second

// percentage is how apt, the engine and mmdebstrap write one.
var percentage = regexp.MustCompile(`\b(\d{1,3}) ?%`)

// told takes a line of an image's build.
func (b *builds) told(name, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := slices.IndexFunc(b.going, func(g *building) bool { return g.name == name })
	if n < 0 {
		n = len(b.going)
		b.going = append(b.going, &building{name: name, began: b.now()})
		if !b.terminal {
			b.drawn = b.now()
			fmt.Fprintf(b.out, "%4.0fs building %s\n", b.now().Sub(b.began).Seconds(), name)
		}
	}
	g := b.going[n]
	g.line = line
	g.lines++
	if m := percentage.FindStringSubmatch(line); m != nil {
		g.percent, _ = strconv.Atoi(m[1]) // at most three digits
	}
	if b.terminal {
		b.draw(g)
	}
}

// tick draws while an image is built that says nothing.
func (b *builds) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch n := len(b.going); {
	case n == 0:
	case b.terminal:
		b.draw(b.going[n-1])
	case b.now().Sub(b.drawn) >= between:
		b.drawn = b.now()
		fmt.Fprintf(b.out, "%4.0fs %s\n", b.now().Sub(b.began).Seconds(), b.going[n-1].text(b.now()))
	}
}

func (b *builds) draw(g *building) {
	text := fmt.Sprintf("%4.0fs %s", b.now().Sub(b.began).Seconds(), g.text(b.now()))
	fmt.Fprintf(b.out, "\r\x1b[K%.*s", max(b.width-1, 0), text)
}

// text says how far an image is, and how long it will take if it goes on like this.
func (g *building) text(now time.Time) string {
	if g.percent <= 0 || g.percent >= 100 {
		return fmt.Sprintf("%s (%d): %s", g.name, g.lines, g.line)
	}
	left := now.Sub(g.began) * time.Duration(100-g.percent) / time.Duration(g.percent)
	return fmt.Sprintf("%s %d %%, about %s left: %s", g.name, g.percent, left.Round(time.Second), g.line)
}

func (b *builds) end() {
	if b.terminal {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
