package browser_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

// lastNight are the records of the sample as a night before may have seen them: pgx was refused where it now has a session with GSS
// encryption, libpq13 had one in plaintext where it has one with TLS, a cell of each scenario was not there, and one is not there any more.
func lastNight(t *testing.T) (reports.Header, []*reports.Record) {
	t.Helper()
	header, records := sample(t)
	header.Run, header.Start = "last-night", header.Start.AddDate(0, 0, -1)
	gone := *records[0]
	gone.ID += ",extra=1"
	before := []*reports.Record{&gone}
	seen := map[string]bool{}
	for _, r := range records {
		if !seen[r.Scenario] && r.ID != records[0].ID {
			seen[r.Scenario] = true
			continue
		}
		switch o := r.Observation; {
		case r.Verdict.Status == verdict.Differ:
			r.Verdict = verdict.Verdict{Status: verdict.Agree}
			o.Outcome = matrix.Outcome{End: matrix.Refused, Stage: "hba", Reason: "no-hba-entry", Trace: o.Outcome.Trace}
			o.Evidence.Client.Message = "last night: no pg_hba.conf entry"
		case r.Axes["library"] == "libpq13" && o != nil && o.Outcome.Channel == matrix.TLS:
			o.Outcome.Channel = matrix.Plain
		}
		before = append(before, r)
	}
	return header, before
}

// A page that holds a run and its baseline says what became of each cell, finds cells by it, and shows a cell before and after.
func TestBaseline(t *testing.T) {
	b := theBrowser(t)
	header, records := sample(t)
	oldHeader, old := lastNight(t)
	path := save(t, header, each(records))
	measured := reports.Measured{Start: header.Start, Server: "17", Client: "libpq17", Rounds: 3, Seconds: 4, AtATime: 4, Transports: []reports.Transport{
		{Name: "plain", Connections: reports.Rate{Median: 900, ToPlain: 1, Least: 1, Most: 1}, MiB: reports.Rate{Median: 1234, ToPlain: 1, Least: 1, Most: 1}},
		{Name: "gss", Connections: reports.Rate{Median: 90, ToPlain: 0.1, Least: 0.09, Most: 0.11}, MiB: reports.Rate{Median: 321, ToPlain: 0.26, Least: 0.25, Most: 0.28}},
	}}
	if err := measured.Save(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	address := b.put(t, "baseline.html", draw(t, path, save(t, oldHeader, each(old))))
	ctx := b.tab(t, chromedp.EmulateViewport(1360, 900))
	open(t, ctx, address)
	was := map[string]*reports.Record{}
	for _, r := range old {
		was[r.ID] = r
	}
	channel := func(r *reports.Record) matrix.Channel {
		if r == nil || r.Observation == nil || r.Observation.Fault != "" {
			return ""
		}
		return r.Observation.Outcome.Channel
	}
	changed := func(r *reports.Record) bool {
		o := was[r.ID]
		return o != nil && (o.Verdict.Status != r.Verdict.Status || channel(o) != channel(r))
	}
	for query, want := range map[string]func(*reports.Record) bool{
		"":           func(*reports.Record) bool { return true },
		"is:changed": changed,
		"is:new":     func(r *reports.Record) bool { return was[r.ID] == nil },
		"is:worse":   func(r *reports.Record) bool { return r.Verdict.Status == verdict.Differ && was[r.ID] != nil },
		"change:admitted": func(r *reports.Record) bool {
			return r.Verdict.Status == verdict.Differ && was[r.ID] != nil
		},
		"change:channel":    func(r *reports.Record) bool { return was[r.ID] != nil && channel(was[r.ID]) != channel(r) },
		"was.channel:plain": func(r *reports.Record) bool { return channel(was[r.ID]) == matrix.Plain },
		"runs:1(channel:plain)": func(r *reports.Record) bool {
			return was[r.ID] != nil && (channel(was[r.ID]) == matrix.Plain) != (channel(r) == matrix.Plain)
		},
		"runs:2(channel:plain)": func(r *reports.Record) bool { return channel(was[r.ID]) == matrix.Plain && channel(r) == matrix.Plain },
		"runs:1(is:failing)": func(r *reports.Record) bool {
			return was[r.ID] != nil && was[r.ID].Verdict.Status.Fails() != r.Verdict.Status.Fails()
		},
		`before:"refused at hba" is:worse`: func(r *reports.Record) bool { return r.Verdict.Status == verdict.Differ && was[r.ID] != nil },
	} {
		n := 0
		for _, r := range records {
			if want(r) {
				n++
			}
		}
		if query != "" && (n == 0 || n == len(records)) {
			t.Errorf("%s: %d cells match, which shows nothing", query, n)
		}
		found(t, ctx, query, n)
	}
	found(t, ctx, "is:gone", 1)
	found(t, ctx, "change:vanished end:refused", 0)

	state(t, ctx, "#/cost")
	if text := eval[string](t, ctx, `document.querySelector("#stage").textContent`); !strings.Contains(text, "GSS encryption900.10 (0.09 to 0.11)3210.26 (0.25 to 0.28)") || !strings.Contains(text, "not by the cells of this run: 3 rounds of 4 s") {
		t.Errorf("the throughput is not there: %.2000s", text)
	}
	state(t, ctx, "#/")
	top := eval[string](t, ctx, `document.querySelector("#summary").innerText`)
	for _, link := range eval[[]string](t, ctx, `[...document.querySelectorAll("#summary .worst:first-of-type a")].map(a => a.getAttribute("href"))`) {
		state(t, ctx, link)
		if text := eval[string](t, ctx, "document.body.innerText"); strings.Contains(text, "No cell matches") || strings.Contains(text, "Not found") {
			t.Errorf("%s leads to nothing", link)
		}
	}
	if !strings.Contains(top, "since run last-night") {
		t.Errorf("the top does not name the baseline: %.500s", top)
	}
	differs := records[slices.IndexFunc(records, func(r *reports.Record) bool { return r.Verdict.Status == verdict.Differ && was[r.ID] != nil })]
	unchanged := records[slices.IndexFunc(records, func(r *reports.Record) bool { return was[r.ID] != nil && !changed(r) && r.Observation != nil })]
	fresh := records[slices.IndexFunc(records, func(r *reports.Record) bool { return was[r.ID] == nil })]
	for id, want := range map[string][]string{
		differs.ID:   {"Admitted since run last-night", "Agree is now Differ", "Before", "≠ changed", "end refused connected", "What run last-night saw", "last night: no pg_hba.conf entry"},
		unchanged.ID: {"Nothing changed since run last-night", "Before"},
		fresh.ID:     {"New: run last-night", "has no such cell"},
		old[0].ID:    {"Gone", "This run has no such cell", "FieldBeforeNote", "What run last-night saw"},
	} {
		state(t, ctx, cellFragment(id))
		text := strings.Join(strings.Fields(strings.ReplaceAll(eval[string](t, ctx, `document.querySelector("#stage").textContent + " " + [...document.querySelectorAll(".outcome tr")].map(r => [...r.cells].filter((_, i) => i != 1).map(c => c.textContent).join(" ")).join(" ")`), "\u200b", "")), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q; it says %.1500s", id, w, text)
			}
		}
		do(t, ctx, chromedp.EmulateViewport(390, 844))
		if width := eval[int](t, ctx, "document.documentElement.scrollWidth"); width > 390 {
			t.Errorf("%s is %d pixels wide on a telephone of 390", id, width)
		}
		do(t, ctx, chromedp.EmulateViewport(1360, 900))
	}
	if dir := *pictures; dir != "" {
		for name, fragment := range map[string]string{"map": "#/", "changed": "#/cells?q=is:changed", "cell": cellFragment(differs.ID), "gone": cellFragment(old[0].ID), "cost": "#/cost"} {
			for _, colours := range []string{"light", "dark"} {
				for _, width := range []int64{1360, 390} {
					do(t, ctx, scheme(colours), chromedp.EmulateViewport(width, 900))
					state(t, ctx, fragment)
					png, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(fmt.Sprintf("%s/%s-%s-%d.jpg", dir, name, colours, width), png, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// found compares the number of cells that a query finds.
func found(t *testing.T, ctx context.Context, query string, want int) {
	t.Helper()
	state(t, ctx, "#/cells?q="+url.QueryEscape(query))
	got := eval[string](t, ctx, `document.querySelector("#queryerror").textContent || document.querySelector("#found").textContent`)
	if number, _, _ := strings.Cut(strings.ReplaceAll(got, ",", ""), " "); number != fmt.Sprint(want) {
		t.Errorf("%s: %s, want %d cells", query, got, want)
	}
}
