package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/pgauthmatrix/pgauthmatrix/playground"
)

// TestPlayground asks the oracle in the browser.
func TestPlayground(t *testing.T) {
	b := theBrowser(t)
	var page bytes.Buffer
	if err := playground.Write(&page); err != nil {
		t.Fatal(err)
	}
	ctx := b.tab(t, chromedp.EmulateViewport(1360, 900))
	address := b.put(t, "playground.html", page.Bytes())
	began := time.Now()
	open(t, ctx, address)
	t.Logf("%d bytes; first answer after %v", page.Len(), time.Since(began).Round(time.Millisecond))
	text := func(id string) string {
		return eval[string](t, ctx, fmt.Sprintf("document.getElementById(%q).innerText", id))
	}
	set := func(id, value string) {
		t.Helper()
		before := eval[string](t, ctx, turn)
		do(t, ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("{ const e = document.getElementById(%q); if (e.type === 'checkbox') e.checked = %q === 'on'; else e.value = %[2]q; e.dispatchEvent(new Event('input', {bubbles: true})); }", id, value)))
		drawn(t, ctx, before)
	}
	wants := func(id string, words ...string) {
		t.Helper()
		for _, w := range words {
			if got := text(id); !strings.Contains(got, w) {
				t.Errorf("%s has no %q:\n%s", id, w, got)
			}
		}
	}
	wants("outcome", "refused at hba, hba-reject")
	wants("why", "The record that decides", "What would let it in", "the client has a Kerberos ticket of alice@EXAMPLE.TEST", "insert above it: host app alice 10.1.2.3/32 scram-sha-256, and the client has the password of alice")
	wants("audit", "Who gets in", "ticket", "realm-ignored")
	set("certName", "alice@example.com")
	wants("outcome", "connected tls, method cert, identity CN=alice@example.com, role alice, hba:1")
	if line := eval[string](t, ctx, "document.querySelector('.rules .decides').innerText"); !strings.Contains(line, "cert") {
		t.Errorf("%q is marked", line)
	}
	set("ssl", "off")
	wants("outcome", "refused")
	set("ssl", "on")
	set("hba", "host all all all trust\nhost all <b>all</b>\n")
	wants("outcome", "does not load these rules")
	wants("audit", "end-of-line before", "pg_hba.conf:2")
	set("hba", "host all all all trust # <script>alert(1)</script>\n")
	wants("outcome", "connected", "trust")
	wants("why", "<script>alert(1)</script>")
	set("conninfo", "host=db usr=alice")
	wants("outcome", "No answer", `"usr" is no connection parameter`)
	set("conninfo", "host=/run/postgresql user=alice")
	wants("outcome", "no-hba-entry")
	set("conninfo", "host=db user=bob")
	set("version", "13")
	wants("outcome", "connected", "role bob")
	// The address keeps the question.
	kept := eval[string](t, ctx, "location.href")
	do(t, ctx, chromedp.Navigate("about:blank"), chromedp.Navigate(kept))
	drawn(t, ctx, "")
	wants("outcome", "connected", "role bob")
	answerTime(t, ctx)
	do(t, ctx, chromedp.EmulateViewport(390, 800))
	if wide := eval[bool](t, ctx, "document.documentElement.scrollWidth > document.documentElement.clientWidth"); wide {
		t.Error("the page is wider than a telephone")
	}
}

// answerTime prints how long an answer takes.
func answerTime(t *testing.T, ctx context.Context) {
	t.Helper()
	t.Logf("an answer takes %.1f ms", eval[float64](t, ctx, "(() => { const began = performance.now(); for (let i = 0; i < 10; i++) answer(); return (performance.now() - began) / 10; })()"))
}
