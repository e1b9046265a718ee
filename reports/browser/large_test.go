package browser_test

import (
	"context"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pgauthmatrix/pgauthmatrix/livetest"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
)

// A page of 150,000 cells: its size and nodes are limits; times are printed, and fail only far above what they are to be.
func TestLargePage(t *testing.T) {
	b := theBrowser(t)
	n := livetest.Pick(t, 20_000, 50_000, 150_000)
	if n < 150_000 {
		livetest.LeftOut(t, "%s: a page of 150,000 cells; %d are tried", t.Name(), n)
	}
	header, records := sample(t)
	began := time.Now()
	data := page(t, header, replicated(records, n))
	t.Logf("%d cells, %d scenarios: %.2f MB, written, read and drawn in %.1f s", n, len(header.Scenarios), float64(len(data))/1e6, time.Since(began).Seconds())
	if len(data) > 10_000_000 {
		t.Errorf("the page has %d bytes", len(data))
	}
	address := b.put(t, "large.html", data)
	debug.FreeOSMemory() // the browser runs on the same machine
	ctx := b.tab(t, chromedp.EmulateViewport(1360, 900))
	open(t, ctx, address)
	paint := eval[float64](t, ctx, `performance.getEntriesByName("first-contentful-paint")[0].startTime`)
	load := eval[float64](t, ctx, `performance.getEntriesByName("load")[0].duration`)
	t.Logf("first contentful paint after %.0f ms; index read in %.0f ms; map drawn in %.0f ms", paint, load, measure(t, ctx, "map"))
	if paint > 5000 {
		t.Errorf("first paint after %.0f ms, which is to be 1000", paint)
	}
	if got := eval[string](t, ctx, `document.querySelector("#found").textContent`); got != fmt.Sprintf("%[1]d,000 cells of %[1]d,000", n/1000) {
		t.Errorf("it says %q", got)
	}
	for _, query := range []string{"server:17", "client:pgx gssencmode:prefer", "status:Differ", "channel:plain | obtained:unverified", "no-hba-entry", "count:1(channel:plain)", "versions:1(end:refused)", "is:different", "family:negotiation !ticket:none sslmode:verify*"} {
		state(t, ctx, "#/?q="+url.QueryEscape(query))
		q, m := measure(t, ctx, "query"), measure(t, ctx, "map")
		t.Logf("%-50s query %4.0f ms, map %4.0f ms, %s", query, q, m, eval[string](t, ctx, `document.querySelector("#found").textContent`))
		if q > 1000 {
			t.Errorf("%s took %.0f ms, which is to be 100", query, q)
		}
		limitNodes(t, ctx, query)
	}
	for _, fragment := range []string{"#/downgrade", "#/cost", "#/cells", "#/scenarios", "#/attacks", "#/claim/S20", "#/?rows=rules"} {
		began := time.Now()
		state(t, ctx, fragment)
		t.Logf("%-12s drawn within %d ms, the way through the test included", fragment, time.Since(began).Milliseconds())
		limitNodes(t, ctx, fragment)
	}
	var last *reports.Record
	replicated(records, n)(func(r *reports.Record) { last = r })
	first := *failing(t, records)
	first.ID += ",copy=0"
	for _, r := range []*reports.Record{&first, last} {
		began := time.Now()
		state(t, ctx, cellFragment(r.ID))
		t.Logf("a cell opened within %d ms: %s", time.Since(began).Milliseconds(), r.ID)
		if got := eval[string](t, ctx, `document.querySelector("h1").textContent`); !strings.Contains(got, r.ID) || eval[int](t, ctx, `document.querySelectorAll(".outcome tbody tr").length`) < 3 {
			t.Errorf("%s is not there: %q", r.ID, got)
		}
	}
	usage, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (runtime.GetHeapUsageResult, error) {
		return cdp.Call(ctx, target, runtime.GetHeapUsage, cdp.Empty{})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("memory: heap %.0f MB of %.0f MB, array buffers %.0f MB", usage.UsedSize/1e6, usage.TotalSize/1e6, usage.BackingStorageSize/1e6)
}

// measure is the duration of the page's last measure of a name, in ms.
func measure(t *testing.T, ctx context.Context, name string) float64 {
	t.Helper()
	return eval[float64](t, ctx, `performance.getEntriesByName("`+name+`").at(-1).duration`)
}

func limitNodes(t *testing.T, ctx context.Context, where string) {
	t.Helper()
	if n := eval[int](t, ctx, nodes); n > most {
		t.Errorf("%s: %d nodes", where, n)
	}
}
