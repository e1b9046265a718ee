// The heat map: cells counted by a row, a group of columns and a column, and drawn as strips of blocks. A strip is one cell of an HTML table:
// letters over a gradient, so that a map of a hundred rows has few elements and can be read aloud, copied and printed.

import type { Index, Numbers } from "./data";
import { Refused, None, Plain } from "./data";
import { h, link, thousands } from "./dom";

export interface Layout {
  rows: string[]; // fields whose values make a row
  group: string; // field of the tables' columns
  strip: string; // field of the blocks within a column
}

export interface Pivot {
  layout: Layout;
  rowKeys: { values: string[]; first: number }[];
  groups: string[];
  strips: string[];
  counts: Uint32Array; // by row, group, strip and class
  fails: Uint32Array; // by row, group and strip: the number of cells that fail
  worst: Uint8Array; // by row, group and strip: the place of the worst status in ranking, plus one
  obtains: Uint8Array; // by row, group and strip: the worst that an attacker obtained, place in About.obtains
}

/** ranking orders statuses, the worst last; those that have a sign in the map come after the first two. */
const ranking = ["NotApplicable", "Agree", "Known", "Drift", "Broken", "Differ"];
const signed = 3;

interface Keyed { place: Numbers | Uint32Array; names: string[] }

/** present numbers the values of a field that the chosen cells have, in the order of the field's list. */
function present(index: Index, name: string, mask: Uint8Array): Keyed {
  const field = index.field(name);
  if (!field?.texts) return { place: new Uint8Array(index.rows), names: [""] };
  const seen = new Uint8Array(field.texts.length);
  const values = field.values;
  for (let i = 0; i < mask.length; i++) if (mask[i]) seen[values[i]!] = 1;
  const at = new Uint32Array(field.texts.length), names: string[] = [];
  const used = [...seen.keys()].filter((i) => seen[i]);
  // Two places of a list can have one text: families do.
  const byText = new Map<string, number>();
  for (const i of used) {
    const text = field.texts[i]!.join(" ");
    let n = byText.get(text);
    if (n === undefined) { n = names.length; byText.set(text, n); names.push(text); }
    at[i] = n;
  }
  const place = new Uint32Array(index.rows);
  for (let i = 0; i < mask.length; i++) if (mask[i]) place[i] = at[values[i]!]!;
  return { place, names };
}

export function compute(index: Index, mask: Uint8Array, layout: Layout): Pivot {
  const rows = layout.rows.map((name) => present(index, name, mask));
  const group = present(index, layout.group, mask), strip = present(index, layout.strip, mask);
  const rowOf = new Map<number, number>(), rowKeys: Pivot["rowKeys"] = [];
  const rowAt = new Uint32Array(index.rows);
  let last = -1, lastRow = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    let key = 0;
    for (const r of rows) key = key * r.names.length + r.place[i]!;
    if (key !== last) {
      let n = rowOf.get(key);
      if (n === undefined) {
        n = rowKeys.length;
        rowOf.set(key, n);
        rowKeys.push({ values: rows.map((r) => r.names[r.place[i]!]!), first: key });
      }
      last = key;
      lastRow = n;
    }
    rowAt[i] = lastRow;
  }
  // Rows in the order of their values.
  const order = [...rowKeys.keys()].sort((a, b) => rowKeys[a]!.first - rowKeys[b]!.first);
  const placed = new Uint32Array(rowKeys.length);
  order.forEach((from, to) => (placed[from] = to));
  const classes = index.about.classes.length, blocks = rowKeys.length * group.names.length * strip.names.length;
  const p: Pivot = { layout, rowKeys: order.map((n) => rowKeys[n]!), groups: group.names, strips: strip.names,
    counts: new Uint32Array(blocks * classes), fails: new Uint32Array(blocks), worst: new Uint8Array(blocks), obtains: new Uint8Array(blocks) };
  const rank = index.statusNames.map((n) => ranking.indexOf(n) + 1), fails = index.statusNames.map((n) => index.about.statuses.find((s) => s.name === n)?.fails ?? true);
  const gains = index.field("obtains")!, gain = gains.texts!.map((t) => Math.max(0, index.about.obtains.indexOf(t[0] ?? "")));
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const block = (placed[rowAt[i]!]! * group.names.length + group.place[i]!) * strip.names.length + strip.place[i]!;
    p.counts[block * classes + index.obtained[i]!]!++;
    if (fails[index.status[i]!]) p.fails[block]!++;
    p.worst[block] = Math.max(p.worst[block]!, rank[index.status[i]!]!);
    p.obtains[block] = Math.max(p.obtains[block]!, gain[gains.values[i]!]!);
  }
  return p;
}

/** weakest is the weakest class of a block's sessions; refused if there was none; none if nothing was attempted; -1 if it has no cell. */
function weakest(p: Pivot, block: number, classes: number): number {
  const at = block * classes;
  for (let c = Plain; c >= 0; c--) if (p.counts[at + c]) return c;
  return p.counts[at + Refused] ? Refused : p.counts[at + None] ? None : -1;
}

function total(p: Pivot, block: number, classes: number): number {
  let n = 0;
  for (let c = 0; c < classes; c++) n += p.counts[block * classes + c]!;
  return n;
}

export interface Drawing {
  mode: "shares" | "weakest"; // blocks have a part for each class, or the colour of the weakest
  page: number;
  perPage: number;
  rowLabel: (values: string[]) => Node | string;
  rowQuery: (values: string[]) => string;
  open: (query: string) => string; // a query's fragment
  query: string;
  caption: string;
  turn: (page: number) => string; // the fragment of another page of the map
}

const sizes = { shares: 17, weakest: 26 }; // px of a block

/** draw makes the table of one page of rows. */
export function draw(index: Index, p: Pivot, d: Drawing): HTMLElement {
  const { classes } = index.about, n = classes.length, size = sizes[d.mode];
  const from = Math.min(d.page, Math.max(0, Math.ceil(p.rowKeys.length / d.perPage) - 1)) * d.perPage;
  const shown = p.rowKeys.slice(from, from + d.perPage);
  const used = p.groups.map((_, g) => usedStrips(p, g, n));
  const tip = h("div", { class: "tip", role: "status", "aria-live": "polite" });
  const condition = (row: number, g: number, s: number) =>
    [d.rowQuery(p.rowKeys[row]!.values), term(p.layout.group, p.groups[g]!), s < 0 ? "" : term(p.layout.strip, p.strips[s]!)].filter(Boolean).join(" ");
  const words = (row: number, g: number, s: number) => {
    const block = (row * p.groups.length + g) * p.strips.length + s, all = total(p, block, n);
    if (!all) return `${head(index, p.layout.strip, p.strips[s]!).name}: no cell`;
    const parts = classes.map((c, i) => [p.counts[block * n + i]!, c.label] as const).filter(([k]) => k).map(([k, label]) => `${thousands(k)} ${label}`);
    if (p.worst[block]! >= signed) parts.push(`${p.fails[block] ? thousands(p.fails[block]!) + " fail, " : ""}worst ${ranking[p.worst[block]! - 1]}`);
    if (p.obtains[block]) parts.push(`the attacker obtains ${index.about.obtains[p.obtains[block]!]}`);
    return `${head(index, p.layout.strip, p.strips[s]!).name}: ${parts.join(", ")}`;
  };
  const body = h("tbody", {}, shown.map((key, i) => {
    const row = from + i;
    return h("tr", { "aria-rowindex": row + 2 },
      h("th", { scope: "row" }, d.rowLabel(key.values)),
      p.groups.map((name, g) => strip(row, g, name, used[g]!)));
  }));
  function strip(row: number, g: number, name: string, columns: number[]): HTMLElement {
    const first = (row * p.groups.length + g) * p.strips.length;
    let letters = "", marks = "";
    const stops: string[] = [], failures: string[] = [];
    const sums = new Array<number>(n).fill(0);
    let failing = 0;
    columns.forEach((s, at) => {
      const block = first + s, w = weakest(p, block, n);
      letters += w < 0 ? " " : classes[w]!.letter;
      marks += mark(block);
      failing += p.fails[block]!;
      for (let c = 0; c < n; c++) sums[c]! += p.counts[block * n + c]!;
      let x = at * size + 1;
      const end = (at + 1) * size - 1;
      stops.push(`transparent ${x - 1}px ${x}px`);
      if (p.fails[block]) failures.push(`transparent ${x}px,var(--bad) ${x}px ${end}px,transparent ${end}px`);
      if (w >= 0 && d.mode === "weakest") stops.push(`var(--${classes[w]!.name}) ${x}px ${end}px`);
      else if (w >= 0) {
        const all = total(p, block, n);
        for (let c = 0; c < n; c++) {
          const k = p.counts[block * n + c]!;
          if (!k) continue;
          const to = x + ((end - at * size - 1) * k) / all;
          stops.push(`var(--${classes[c]!.name}) ${x.toFixed(1)}px ${to.toFixed(1)}px`);
          x = to;
        }
      }
      stops.push(`transparent ${end}px ${end + 1}px`);
    });
    const any = sums.some((k) => k > 0);
    if (!any) return h("td", { class: "strip empty" });
    const label = `${head(index, p.layout.group, name).name}: ` + classes.map((c, i) => [sums[i]!, c.label] as const).filter(([k]) => k).map(([k, l]) => `${thousands(k)} ${l}`).join(", ") + (failing ? `; ${thousands(failing)} fail` : "");
    let chosen = -1;
    const choose = (to: number) => {
      chosen = Math.max(0, Math.min(columns.length - 1, to));
      button.style.setProperty("--chosen", `${chosen * size}px`);
      button.classList.add("chosen");
      tip.textContent = words(row, g, columns[chosen]!);
    };
    const button = h("button", {
      class: "blocks", type: "button", "aria-label": label, style: `width:${columns.length * size}px;background-image:${failures.length ? `linear-gradient(90deg,${failures.join(",")}),` : ""}linear-gradient(90deg,${stops.join(",")});${failures.length ? "background-size:100% 3px,100%" : ""}`,
      click: (e) => {
        const m = e as MouseEvent;
        if (m.detail > 0) choose(Math.floor(m.offsetX / size));
        location.hash = d.open(condition(row, g, chosen >= 0 ? columns[chosen]! : -1));
      },
      mousemove: (e) => choose(Math.floor((e as MouseEvent).offsetX / size)),
      mouseleave: () => { button.classList.remove("chosen"); chosen = -1; tip.textContent = ""; },
      blur: () => { button.classList.remove("chosen"); chosen = -1; },
      keydown: (e) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[(e as KeyboardEvent).key];
        if (step === undefined) return;
        e.preventDefault();
        choose(chosen + step);
      },
    }, h("span", { class: "letters", "aria-hidden": "true" }, letters), marks.trim() && h("span", { class: "marks", "aria-hidden": "true" }, marks));
    return h("td", { class: "strip" }, button);
  }
  function mark(block: number): string {
    if (p.worst[block]! >= signed) return index.about.statuses.find((s) => s.name === ranking[p.worst[block]! - 1])?.glyph ?? "?";
    if (d.mode === "weakest" && p.obtains[block]) return gainLetter(index.about.obtains[p.obtains[block]!]!);
    return " ";
  }
  const pages = Math.ceil(p.rowKeys.length / d.perPage);
  return h("div", { class: "map" },
    h("div", { class: "scroll heat " + d.mode, style: `--block:${size}px`, tabindex: 0, role: "region", "aria-label": d.caption },
      h("table", { class: "heatmap", "aria-rowcount": p.rowKeys.length + 1 },
        h("caption", {}, d.caption),
        h("thead", {}, h("tr", {}, h("td", { class: "corner" }), p.groups.map((name, g) => {
          const label = head(index, p.layout.group, name);
          return h("th", { scope: "col" }, h("span", { class: "group" }, label.name, label.detail && h("small", {}, " " + label.detail)),
            h("span", { class: "columns" }, used[g]!.map((s) => {
              const column = head(index, p.layout.strip, p.strips[s]!);
              return h("span", { title: column.name + (column.detail ? " " + column.detail : "") }, column.short);
            })));
        }))),
        body)),
    tip,
    pages > 1 && h("nav", { class: "pager", "aria-label": "Rows" },
      h("span", {}, `Rows ${thousands(from + 1)} to ${thousands(Math.min(p.rowKeys.length, from + d.perPage))} of ${thousands(p.rowKeys.length)} `),
      from > 0 && link(d.turn(from / d.perPage - 1), "previous"), " ", from + d.perPage < p.rowKeys.length && link(d.turn(from / d.perPage + 1), "next")));
}

/** usedStrips are the blocks of a group that have a cell in some row. */
function usedStrips(p: Pivot, g: number, classes: number): number[] {
  return [...p.strips.keys()].filter((s) => p.rowKeys.some((_, row) => total(p, (row * p.groups.length + g) * p.strips.length + s, classes) > 0));
}

function gainLetter(gain: string): string { return { plaintext: "p", downgrade: "d", session: "s", injected: "i" }[gain] ?? " "; }

export function term(field: string, value: string): string {
  return value === "" ? field + ":default" : field + ":" + (/[\s()|",*]/.test(value) ? `"${value}"` : value);
}

/** head is what stands over a column. */
export function head(index: Index, field: string, value: string): { name: string; short: string; detail: string } {
  switch (field) {
    case "server":
      return { name: "PostgreSQL " + value, short: value, detail: index.serverVersion(value) };
    case "library":
      return { name: value, short: value, detail: index.clientVersion(value) };
  }
  const v = value || "default";
  return { name: `${field}=${v}`, short: v, detail: "" };
}

export function legend(index: Index, open: (query: string) => string, weakestOnly: boolean): HTMLElement {
  return h("p", { class: "legend" },
    index.about.classes.slice(0, 5).map((c) => [h("a", { href: open("obtained:" + c.name), class: "key" }, h("span", { class: "swatch", style: `background:var(--${c.name})` }, c.letter), " " + c.label), " "]),
    index.about.statuses.filter((s) => ["Differ", "Drift", "Broken", "Known"].includes(s.name)).map((s) => [h("a", { href: open("status:" + s.name), class: "key" }, h("span", { class: "status " + s.name }, s.glyph), " " + s.name), " "]),
    weakestOnly
      ? h("span", { class: "muted" }, "Colour and letter: the weakest that a session obtained. Small letter: what an attacker obtains: p plaintext, d downgrade, s session, i injected.")
      : h("span", { class: "muted" }, "Colours: the shares of the cells. Letter: the weakest that a session obtained; R where every attempt was refused."));
}
