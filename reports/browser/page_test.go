package browser_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/pgauthmatrix/pgauthmatrix/matrix"
	"github.com/pgauthmatrix/pgauthmatrix/reports"
	"github.com/pgauthmatrix/pgauthmatrix/verdict"
)

var (
	update   = flag.Bool("update", false, "write docs/report.png")
	pictures = flag.String("pictures", "", "a `FOLDER` for pictures of a page with a baseline: light and dark, wide and on a telephone")
	of       = flag.String("of", "", "with -update: the run that is photographed, its folder or file")
)

// most is the number of nodes that a page may have.
const most = 5000

const nodes = `(() => { let n = 0; const w = document.createTreeWalker(document, NodeFilter.SHOW_ALL); while (w.nextNode()) n++; return n; })()`

// samplePage opens the page of the sample.
func samplePage(t *testing.T, options ...chromedp.Action[chromedp.Void]) (context.Context, []*reports.Record) {
	t.Helper()
	b := theBrowser(t)
	header, records := sample(t)
	address := b.put(t, "sample.html", page(t, header, each(records)))
	ctx := b.tab(t, append([]chromedp.Action[chromedp.Void]{chromedp.EmulateViewport(1360, 900)}, options...)...)
	open(t, ctx, address)
	return ctx, records
}

func cellFragment(id string) string {
	elements := strings.Split(id, "/")
	for i := range elements {
		elements[i] = url.PathEscape(elements[i])
	}
	return "#/cell/" + strings.Join(elements, "/")
}

// failing is the first cell that differs.
func failing(t *testing.T, records []*reports.Record) *reports.Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r *reports.Record) bool { return r.Verdict.Status == verdict.Differ })
	if i < 0 {
		t.Fatal("no record differs")
	}
	return records[i]
}

// Every page says what it is for, keeps to its number of nodes and fits a telephone; the console stays empty.
func TestPages(t *testing.T) {
	ctx, records := samplePage(t)
	differs := failing(t, records)
	attacked := records[slices.IndexFunc(records, func(r *reports.Record) bool {
		return r.Axes["attack"] == "strip" && r.Axes["library"] == "pgx" && r.Axes["gssencmode"] == "disable" && r.Axes["sslmode"] == "prefer" && len(r.Observation.Evidence.Connections) > 0
	})]
	for _, tt := range []struct {
		fragment string
		want     []string
	}{
		{"#/", []string{"Differ", "negotiation/host-alone", "PostgreSQL 17", "17.12", "GSS encryption", "Worst failures"}},
		{"#/?rows=rules", []string{"negotiation/host-alone ssl=on"}},
		{"#/?rows=clients", []string{"library=pgx server=17", "gssencmode=prefer"}},
		{"#/downgrade", []string{"Downgrade map", "attacks/what-an-attacker-obtains ssl=on", "gssencmode=prefer", "verify-full"}},
		{"#/attacks", []string{"What an attacker in the middle obtains: attacks/what-an-attacker-obtains", "impersonate", "downgrade"}},
		{"#/cost", []string{"What gssencmode=prefer costs beside gssencmode=disable", "Round trips", "connect sslaccept authok"}},
		{"#/cells", []string{"Cells 1 to 100 of", differs.ID}},
		{"#/scenarios", []string{"negotiation/host-alone", "What does a host record, which matches every channel, give each client?"}},
		{"#/scenario/negotiation/host-alone", []string{"negotiation/host-alone", "Claims S2. Past defects B1", "All its cells"}},
		{"#/claims", []string{"S20", "Who intercepts the network traffic can read it or inject SQL."}},
		{"#/claim/S20", []string{"Claim S20", "What is true: True in the clear.", "attacks/what-an-attacker-obtains"}},
		{"#/museum", []string{"B1", "with sslmode=verify-full the session is not TLS"}},
		{"#/museum/B1", []string{"Past defect B1", "negotiation/host-alone"}},
		{"#/help", []string{"How to ask", "count:1(channel:plain)"}},
		{"#/claim/S99", []string{"This run has no claim S99."}},
		{"#/cell/no/such", []string{"This run has no cell no/such."}},
		{"#/nonsense", []string{"This run has no page nonsense."}},
		{cellFragment(differs.ID), []string{"Differ", "✗ differs", "pg_stat_gssapi: encrypted → channel gss", "kinit alice", `psql "host=pg.example.test user=alice`, "pgauthmatrix run '" + differs.ID + "'",
			"Connection 1", "gssencrequest", "Server log", "connection authorized: user=alice", "KRB5_TRACE", "Getting credentials", fmt.Sprint(differs.Observation.Evidence.Connections[0].ServerPort)}},
		{cellFragment(attacked.ID), []string{"Agree", "attacker: answered N to sslrequest", "⟨port⟩", "The same with other clients and servers", "pq at 17: ", "What each client obtains"}},
	} {
		state(t, ctx, tt.fragment)
		text := strings.Join(strings.Fields(strings.NewReplacer("\u200b", "", "->", "→").Replace(eval[string](t, ctx, "document.body.innerText + [...document.querySelectorAll('.sequence text, .unseen, .peers a')].map(e => e.textContent + ' ' + (e.ariaLabel ?? '')).join(' ')"))), " ")
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q; it says %.1500s", tt.fragment, want, text)
			}
		}
		if n := eval[int](t, ctx, nodes); n > most {
			t.Errorf("%s has %d nodes", tt.fragment, n)
		}
		do(t, ctx, chromedp.EmulateViewport(390, 844))
		if width := eval[int](t, ctx, "document.documentElement.scrollWidth"); width > 390 {
			t.Errorf("%s is %d pixels wide on a telephone of 390: %s", tt.fragment, width, eval[string](t, ctx, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > 391 && !e.closest(".scroll, .unseen, pre")).slice(0, 5).map(e => e.tagName + "." + e.className).join()`))
		}
		do(t, ctx, chromedp.EmulateViewport(1360, 900))
	}
}

// Queries find the cells that the records say.
func TestQueries(t *testing.T) {
	ctx, records := samplePage(t)
	// group is what a cell shares with those that only the named axes tell apart.
	group := func(r *reports.Record, but ...string) string {
		var key []string
		for name, value := range r.Axes {
			if !slices.Contains(but, name) {
				key = append(key, name+"="+value)
			}
		}
		slices.Sort(key)
		return r.Scenario + strings.Join(key, ",")
	}
	counted := func(but string, inner func(*reports.Record) bool, want func(int) bool) func(*reports.Record) bool {
		all, matching := map[string]int{}, map[string]int{}
		for _, r := range records {
			all[group(r, but)]++
			if inner(r) {
				matching[group(r, but)]++
			}
		}
		return func(r *reports.Record) bool { return all[group(r, but)] > 1 && want(matching[group(r, but)]) }
	}
	observed := func(r *reports.Record) matrix.Outcome {
		if r.Observation == nil || r.Observation.Fault != "" {
			return matrix.Outcome{}
		}
		return r.Observation.Outcome
	}
	plain := func(r *reports.Record) bool { return observed(r).Channel == matrix.Plain }
	one := func(n int) bool { return n == 1 }
	for query, want := range map[string]func(*reports.Record) bool{
		"":                                  func(*reports.Record) bool { return true },
		"client:pgx server:17":              func(r *reports.Record) bool { return r.Axes["library"] == "pgx" && r.Axes["server"] == "17" },
		"client:libpq*":                     func(r *reports.Record) bool { return strings.HasPrefix(r.Axes["library"], "libpq") },
		"kind:libpq":                        func(r *reports.Record) bool { return strings.HasPrefix(r.Axes["library"], "libpq") },
		"server:>=17":                       func(r *reports.Record) bool { return r.Axes["server"] >= "17" },
		"sslmode:prefer,allow":              func(r *reports.Record) bool { return r.Axes["sslmode"] == "prefer" || r.Axes["sslmode"] == "allow" },
		"sslmode:default":                   func(r *reports.Record) bool { return r.Axes["sslmode"] == "" },
		"channel:plain | end:refused":       func(r *reports.Record) bool { return plain(r) || observed(r).End == matrix.Refused },
		"(channel:plain or end:refused) pg": nil,
		"!attack:none not (end:refused)":    func(r *reports.Record) bool { return r.Axes["attack"] != "none" && observed(r).End != matrix.Refused },
		"predicted.channel:tls":             func(r *reports.Record) bool { return r.Predicted.Channel == matrix.TLS },
		`trace:"connect sslaccept authok"`:  func(r *reports.Record) bool { return observed(r).Get(matrix.FieldTrace) == "connect sslaccept authok" },
		"claim:S20":                         func(r *reports.Record) bool { return strings.HasPrefix(r.Scenario, "attacks/") },
		"family:loading":                    func(r *reports.Record) bool { return strings.HasPrefix(r.Scenario, "loading/") },
		"status:Broken":                     func(r *reports.Record) bool { return r.Verdict.Status == verdict.Broken },
		"is:failing":                        func(r *reports.Record) bool { return r.Verdict.Status.Fails() },
		"connections:>1": func(r *reports.Record) bool {
			return r.Observation != nil && len(r.Observation.Evidence.Connections) > 1
		},
		"no-hba-entry":                         nil,
		"count:1(channel:plain)":               counted("library", plain, one),
		"count:>1(channel:plain)":              counted("library", plain, func(n int) bool { return n > 1 }),
		"count:0(end:connected)":               counted("library", func(r *reports.Record) bool { return observed(r).End == matrix.Connected }, func(n int) bool { return n == 0 }),
		"versions:1(end:refused)":              counted("server", func(r *reports.Record) bool { return observed(r).End == matrix.Refused }, one),
		"count:1(channel:plain) channel:plain": func(r *reports.Record) bool { return counted("library", plain, one)(r) && plain(r) },
	} {
		state(t, ctx, "#/cells?q="+url.QueryEscape(query))
		got := eval[string](t, ctx, `document.querySelector("#found").textContent`)
		if want == nil {
			if strings.HasPrefix(got, "0 ") || got == "" {
				t.Errorf("%s: %s", query, got)
			}
			continue
		}
		n := 0
		for _, r := range records {
			if want(r) {
				n++
			}
		}
		if number, _, _ := strings.Cut(strings.ReplaceAll(got, ",", ""), " "); number != fmt.Sprint(n) {
			t.Errorf("%s: %s, want %d cells", query, got, n)
		}
		if query != "" && (n == 0 || n == len(records)) {
			t.Errorf("%s: %d cells match, which shows nothing", query, n)
		}
	}
	for query, want := range map[string]string{
		"chanel:plain":         "column 1: there is no field chanel; did you mean channel?",
		"server:17 (end:x":     "column 11: the parenthesis is not closed",
		"server:17 )":          "column 11: there is no parenthesis to close",
		"count:1 channel:x":    "column 8: a condition in parentheses follows: count:1(channel:plain)",
		"count:one(channel:x)": "column 7: one is not a number, nor >, >=, < or <= with a number",
		"is:green":             "column 4: is:green is unknown: want is:failing, is:different, is:changed, is:worse, is:new or is:gone",
		"is:changed":           "column 1: is:changed asks for a baseline, and this page has none: pgauthmatrix render RUN --baseline RUN --format html",
		"was.channel:tls":      "column 1: was.channel:tls asks for a baseline, and this page has none: pgauthmatrix render RUN --baseline RUN --format html",
		"server:":              "column 8: a value is missing: server:VALUE",
		`cause:"x`:             "column 7: the quotation mark is not closed",
		"end:x |":              "column 8: a condition is missing here: FIELD:VALUE, a word, or ( … )",
	} {
		state(t, ctx, "#/cells?q="+url.QueryEscape(query))
		if got := eval[string](t, ctx, `document.querySelector("#queryerror").textContent`); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Lists and the field write one query, and every choice is in the address.
func TestFilters(t *testing.T) {
	ctx, records := samplePage(t)
	of := func(has func(*reports.Record) bool) (n int) {
		for _, r := range records {
			if has(r) {
				n++
			}
		}
		return n
	}
	choose := func(selector, value string) {
		t.Helper()
		before := eval[string](t, ctx, turn)
		do(t, ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ const s = document.querySelector(%q); s.value = %q; s.dispatchEvent(new Event("change")); }`, selector, value)))
		drawn(t, ctx, before)
	}
	check := func(query string, want int) {
		t.Helper()
		if got := eval[string](t, ctx, `document.querySelector("#query").value`); got != query {
			t.Errorf("the query is %q, want %q", got, query)
		}
		if got := eval[string](t, ctx, `new URLSearchParams(location.hash.split("?")[1]).get("q")`); got != query {
			t.Errorf("the address has the query %q, want %q", got, query)
		}
		if got := eval[string](t, ctx, `document.querySelector("#found").textContent.replaceAll(",", "").split(" ")[0]`); got != fmt.Sprint(want) {
			t.Errorf("%s: %s cells, want %d", query, got, want)
		}
	}
	choose("[data-field=server]", "17")
	check("server:17", of(func(r *reports.Record) bool { return r.Axes["server"] == "17" }))
	choose("[data-field=client]", "pgx")
	check("server:17 client:pgx", of(func(r *reports.Record) bool { return r.Axes["server"] == "17" && r.Axes["library"] == "pgx" }))
	choose("[data-field=server]", "18")
	check("client:pgx server:18", of(func(r *reports.Record) bool { return r.Axes["server"] == "18" && r.Axes["library"] == "pgx" }))
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("#query").select()`), chromedp.KeyEvent("ticket:expired"))
	typed := fmt.Sprint(of(func(r *reports.Record) bool { return r.Axes["ticket"] == "expired" })) + " cells of " + fmt.Sprint(len(records))
	for range 200 { // the query runs when the keys rest
		if eval[string](t, ctx, `document.querySelector("#found").textContent`) == typed {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	check("ticket:expired", of(func(r *reports.Record) bool { return r.Axes["ticket"] == "expired" }))
	if focused := eval[string](t, ctx, "document.activeElement.id"); focused != "query" {
		t.Errorf("after typing, %q has the focus", focused)
	}
}

// A block of the map opens the cells that it stands for, by mouse and by keyboard.
func TestBlocksOpenTheirCells(t *testing.T) {
	ctx, _ := samplePage(t)
	state(t, ctx, "#/?q="+url.QueryEscape("scenario:negotiation/host-alone"))
	before := eval[string](t, ctx, turn)
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector(".blocks").focus()`), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	tip := eval[string](t, ctx, `document.querySelector(".tip").textContent`)
	client, _, ok := strings.Cut(tip, ": ")
	if !ok || !strings.HasPrefix(client, "libpq") {
		t.Fatalf("the keyboard reaches %q", tip)
	}
	do(t, ctx, chromedp.KeyEvent(kb.Enter))
	drawn(t, ctx, before)
	want := "scenario:negotiation/host-alone scenario:negotiation/host-alone server:13 library:" + client
	if got := eval[string](t, ctx, `document.querySelector("#query").value`); got != want {
		t.Errorf("it opens %q, want %q", got, want)
	}
	state(t, ctx, "#/?q="+url.QueryEscape("scenario:negotiation/host-alone"))
	before = eval[string](t, ctx, turn)
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector(".blocks").scrollIntoView({block: "center"})`))
	place := eval[[]float64](t, ctx, `(() => { const r = document.querySelector(".blocks").getBoundingClientRect(); return [r.x, r.y]; })()`)
	do(t, ctx, chromedp.MouseClickXY(place[0]+5, place[1]+8))
	drawn(t, ctx, before)
	if got := eval[string](t, ctx, `document.querySelector("#query").value`); !strings.HasSuffix(got, "server:13 library:libpq13") {
		t.Errorf("a click opens %q", got)
	}
}

// Without script the page says how the run ended, what failed worst, and where the rest is.
func TestWithoutScript(t *testing.T) {
	b := theBrowser(t)
	header, records := sample(t)
	address := b.put(t, "noscript.html", page(t, header, each(records)))
	ctx := b.tab(t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}), chromedp.Navigate(address))
	text, err := chromedp.Run(ctx, chromedp.Text("body"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED", "Worst failures", failing(t, records).Scenario, "need a browser with JavaScript", "Agree", header.Run} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %.800s", want, text)
		}
	}
}

// What a record says is text, whatever it looks like.
func TestRecordsAreText(t *testing.T) {
	const evil = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`
	b := theBrowser(t)
	header, records := sample(t)
	differs := failing(t, records)
	header.Scenarios[0].Question = evil
	differs.Observation.Evidence.Client.Message = evil
	differs.Observation.Evidence.KRB5Trace = evil
	differs.Verdict.Cause = evil
	differs.Because = append(differs.Because, matrix.Because{Text: evil, Source: evil})
	differs.Observation.Evidence.Connections[0].Log = append(differs.Observation.Evidence.Connections[0].Log, matrix.LogLine{Severity: evil, SQLState: evil, Text: evil})
	differs.Axes["hba"] = evil
	ctx := b.tab(t)
	open(t, ctx, b.put(t, "evil.html", page(t, header, each(records))))
	for _, fragment := range []string{"#/", "#/?rows=rules", "#/scenarios", "#/cells?q=is:failing", "#/scenario/" + differs.Scenario, cellFragment(differs.ID), "#/claim/" + url.PathEscape(evil), "#/cells?q=" + url.QueryEscape(evil)} {
		state(t, ctx, fragment)
		if eval[bool](t, ctx, `"hacked" in window || document.querySelector("#app img, #app script, #summary img") !== null`) {
			t.Errorf("%s: a text became part of the page", fragment)
		}
	}
	state(t, ctx, cellFragment(differs.ID))
	if text := eval[string](t, ctx, "document.body.innerText"); strings.Count(text, evil) < 5 {
		t.Errorf("the text is not shown: %.1000s", text)
	}
}

// TestScreenshot writes the picture of the README: with -update, of the run that -of names.
func TestScreenshot(t *testing.T) {
	if !*update {
		t.Skip("-update writes docs/report.png")
	}
	b := theBrowser(t)
	ctx := b.tab(t, chromedp.EmulateViewport(1360, 760), scheme("light"))
	open(t, ctx, b.put(t, "readme.html", draw(t, *of, "")))
	state(t, ctx, "#/?q="+url.QueryEscape("family:negotiation"))
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(png) > 300_000 {
		t.Errorf("%d bytes: too large for a README", len(png))
	}
	if err := os.WriteFile("../../docs/report.png", png, 0o644); err != nil {
		t.Fatal(err)
	}
}
