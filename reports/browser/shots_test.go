package browser_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "page to photograph, for development: FILE; pictures go beside it")
var states = flag.String("state", "#/", "state")
var shotName = flag.String("name", "shot", "name of the picture")
var dark = flag.Bool("dark", false, "dark")
var wide = flag.Int64("w", 1360, "width")
var high = flag.Int64("h", 900, "height")

func TestShot(t *testing.T) {
	if *shots == "" {
		t.Skip()
	}
	b := theBrowser(t)
	data, err := os.ReadFile(*shots)
	if err != nil {
		t.Fatal(err)
	}
	url := b.put(t, "shot.html", data)
	mode := "light"
	if *dark {
		mode = "dark"
	}
	ctx := b.tab(t, chromedp.EmulateViewport(*wide, *high), scheme(mode))
	open(t, ctx, url)
	for i, st := range strings.Split(*states, ";") {
		state(t, ctx, st)
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(*shots), *shotName+strconv.Itoa(i)+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(eval[string](t, ctx, `JSON.stringify(performance.getEntriesByType("measure").map(m=>[m.name,Math.round(m.duration)])) + " nodes " + document.querySelectorAll("*").length`))
}
