package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/pgimages"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// Images builds or finds every image of the catalogue that scenarios can name, and prints a line each.
func Images(ctx context.Context, out io.Writer) error {
	specs := []pgimages.Spec{pgimages.KDC()}
	for _, v := range matrix.ServerVersions {
		specs = append(specs, pgimages.Server(v))
	}
	for _, c := range matrix.Clients {
		if s := pgimages.Client(c.Image); c.Image != "" && !slices.Contains(specs, s) {
			specs = append(specs, s)
		}
	}
	images, err := ensure(ctx, out, specs)
	for _, i := range images {
		fmt.Fprintln(out, i)
	}
	return err
}

// images finds or makes the images that cells need, and returns the cells whose images can be had. What the others
// lack is in r.Images with the number of cells it costs: they are reported, never left out in silence.
func (r *Run) images(ctx context.Context, out io.Writer, cells []matrix.Cell) ([]matrix.Cell, error) {
	specs := []pgimages.Spec{pgimages.KDC()}
	for i := range cells {
		for _, s := range needs(&cells[i]) {
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
		for _, s := range needs(&cells[i]) {
			if _, missing := lacking[s]; missing {
				lacking[s]++
				had = false
			}
		}
		if had {
			kept = append(kept, cells[i])
		}
	}
	for i, s := range specs {
		r.Images = append(r.Images, reports.Image{Name: images[i].Name, Version: images[i].Version, Source: images[i].Source,
			Unavailable: images[i].Unavailable, Cells: lacking[s]})
	}
	r.lost = len(cells) - len(kept)
	if len(kept) == 0 {
		return nil, fmt.Errorf("every selected cell needs an image that cannot be had: %s", unavailable(r.Images))
	}
	return kept, nil
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

// needs are the images of a cell's server and client. A client that needs no image of its own is put into whichever client container
// there is.
func needs(c *matrix.Cell) []pgimages.Spec {
	specs := []pgimages.Spec{pgimages.Server(c.World.Server)}
	if info, _ := c.Client.Library.Info(); info.Image != "" {
		specs = append(specs, pgimages.Client(info.Image))
	}
	if d := c.Client.Driver; d != nil && d.Image != "" {
		specs = append(specs, pgimages.Own(d.Image))
	}
	return specs
}

// ensure shows builds as they go: one line that changes on a terminal, a line per image elsewhere.
func ensure(ctx context.Context, out io.Writer, specs []pgimages.Spec) ([]pgimages.Image, error) {
	began := time.Now()
	f, ok := out.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd()))
	seen := map[string]bool{}
	images, err := pgimages.Ensure(ctx, specs, func(name, line string) {
		if live {
			text := fmt.Sprintf("%4.0fs %s: %s", time.Since(began).Seconds(), name, line)
			fmt.Fprintf(out, "\r\x1b[K%.*s", Options(out).Width-1, text)
		} else if !seen[name] {
			seen[name] = true
			fmt.Fprintf(out, "%4.0fs building %s\n", time.Since(began).Seconds(), name)
		}
	})
	if live {
		fmt.Fprint(out, "\r\x1b[K")
	}
	return images, err
}
