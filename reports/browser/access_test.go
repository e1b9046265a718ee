package browser_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axNode is what a screen reader is told of an element.
type axNode struct{ role, name string }

func axTree(t *testing.T, ctx context.Context) []axNode {
	t.Helper()
	tree, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v != nil {
			_ = json.Unmarshal(v.Value, &s)
		}
		return s
	}
	var list []axNode
	for _, n := range tree.Nodes {
		if !n.Ignored {
			list = append(list, axNode{text(n.Role), strings.TrimSpace(text(n.Name))})
		}
	}
	return list
}

// Whatever can be operated has a name, every table has a name and headers, and the page has its landmarks and one first heading.
func TestScreenReader(t *testing.T) {
	ctx, records := samplePage(t)
	named := []string{"button", "link", "combobox", "searchbox", "textbox", "table", "grid", "region", "navigation", "search", "heading", "columnheader", "rowheader", "LabelText", "DisclosureTriangle"}
	for _, fragment := range []string{"#/", "#/downgrade", "#/attacks", "#/cost", "#/cells", "#/scenarios", "#/scenario/negotiation/host-alone", "#/claims", "#/help", cellFragment(failing(t, records).ID)} {
		state(t, ctx, fragment)
		tree := axTree(t, ctx)
		count := map[string]int{}
		for _, n := range tree {
			count[n.role]++
			if slices.Contains(named, n.role) && n.name == "" && n.role != "LabelText" {
				t.Errorf("%s: a %s has no name", fragment, n.role)
			}
		}
		for _, role := range []string{"banner", "navigation", "main", "contentinfo", "heading", "table", "columnheader", "rowheader"} {
			if count[role] == 0 {
				t.Errorf("%s: there is no %s: %v", fragment, role, count)
			}
		}
		if n := eval[int](t, ctx, `document.querySelectorAll("h1").length`); n != 1 {
			t.Errorf("%s: %d first headings", fragment, n)
		}
		if strings.Contains(fragment, "cells") || fragment == "#/" {
			if count["search"] != 1 || count["combobox"] < 5 || count["searchbox"] != 1 {
				t.Errorf("%s: the filters are not there: %v", fragment, count)
			}
		}
	}
	state(t, ctx, "#/?q=scenario:negotiation/host-alone")
	if !slices.ContainsFunc(axTree(t, ctx), func(n axNode) bool {
		return n.role == "button" && strings.HasPrefix(n.name, "PostgreSQL 13: ") && strings.Contains(n.name, "plaintext")
	}) {
		t.Error("a strip of the map is not told")
	}
}

// The keyboard reaches everything in the order in which it is read: first the way past the navigation, then the pages, the query, the lists,
// the map. A new page takes the focus to its heading.
func TestKeyboard(t *testing.T) {
	ctx, _ := samplePage(t)
	var seen []string
	for range 50 {
		do(t, ctx, chromedp.KeyEvent(kb.Tab))
		seen = append(seen, eval[string](t, ctx, `(() => { const e = document.activeElement; return (e.ariaLabel || e.textContent || e.id).trim().slice(0, 24) + "|" + e.tagName + "|" + getComputedStyle(e).outlineStyle; })()`))
	}
	place := func(text string) int {
		return slices.IndexFunc(seen, func(s string) bool { return strings.HasPrefix(s, text) })
	}
	last := -1
	for _, want := range []string{"Skip to the content|A", "Heat map|A", "Museum|A", "Colours: auto|BUTTON", "Agree: 8", "scenario=", "Query|INPUT", "How to ask|A", "G GSS encryption|A", "What was obtained"} {
		at := place(want)
		if at <= last {
			t.Errorf("%q comes at %d, after %d: %v", want, at, last, seen)
		}
		last = at
	}
	for _, s := range seen {
		if strings.HasSuffix(s, "|none") {
			t.Errorf("%s shows no focus", s)
		}
	}
	state(t, ctx, "#/downgrade")
	if got := eval[string](t, ctx, "document.activeElement.textContent"); got != "Downgrade map" {
		t.Errorf("after a change of page %q has the focus", got)
	}
}

// Paper gets the page without what is to be clicked, and light colours.
func TestPrint(t *testing.T) {
	ctx, _ := samplePage(t, scheme("dark"))
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatal(err)
	}
	if len(pdf) < 10_000 || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("%d bytes", len(pdf))
	}
	before := eval[string](t, ctx, `getComputedStyle(document.body).backgroundColor`)
	do(t, ctx, media("print"))
	if ground := eval[string](t, ctx, `getComputedStyle(document.body).backgroundColor`); ground != "rgb(255, 255, 255)" || before == ground {
		t.Errorf("the ground is %s, on a dark screen %s", ground, before)
	}
	if eval[bool](t, ctx, `document.querySelector(".filters").checkVisibility() || document.querySelector("nav").checkVisibility()`) {
		t.Error("paper shows filters or navigation")
	}
	do(t, ctx, media(""))
}
