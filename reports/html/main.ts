// The page: a state is a fragment, #/PAGE/ARGUMENT?q=QUERY&…, and every state can be linked.

import { cellHref, cellPage } from "./cell";
import { costPage } from "./cost";
import { Index, load, type About } from "./data";
import { cells, coded, h, link, table, thousands } from "./dom";
import { compute, draw, legend, term, type Layout } from "./pivot";
import { QueryError, run, set, top } from "./query";

interface State { page: string; argument: string; parameters: URLSearchParams }

const app = document.getElementById("app")!;
const summary = document.getElementById("summary")!;
const about = JSON.parse(document.getElementById("about")!.textContent!) as About;
const live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
let index: Index;
let stage: HTMLElement; // what is below the filters
let drawn = ""; // the page whose filters stand there

function state(): State {
  const fragment = location.hash.replace(/^#\/?/, ""), [path, parameters] = [fragment.split("?")[0]!, fragment.split("?").slice(1).join("?")];
  const [page, ...rest] = path.split("/");
  return { page: page ?? "", argument: rest.map(decodeURIComponent).join("/"), parameters: new URLSearchParams(parameters) };
}

function href(page: string, parameters: Record<string, string | number | undefined>): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(parameters)) if (v !== undefined && v !== "" && v !== 0) p.set(k, String(v));
  const text = p.toString();
  return "#/" + page + (text && "?" + text);
}

const cellsHref = (query: string) => href("cells", { q: query });

/** measured runs a query and remembers how long that took, for the tests. */
function measured(query: string): Uint8Array {
  const began = performance.now();
  const mask = run(index, query);
  performance.measure("query", { start: began });
  return mask;
}

const maps: Record<string, { label: string; layout: Layout }> = {
  scenario: { label: "scenario", layout: { rows: ["scenario"], group: "server", strip: "library" } },
  rules: { label: "rule set", layout: { rows: ["scenario", "hba", "ssl"], group: "server", strip: "library" } },
  rule: { label: "rule that decides", layout: { rows: ["scenario", "hba", "predicted.rule"], group: "server", strip: "library" } },
  settings: { label: "client settings", layout: { rows: ["ticket", "gssencmode", "sslmode"], group: "server", strip: "library" } },
  clients: { label: "client and version", layout: { rows: ["library", "server"], group: "gssencmode", strip: "sslmode" } },
  attacks: { label: "attack", layout: { rows: ["attack"], group: "server", strip: "library" } },
};

/** rowLabel writes a row's values: those of a scenario with a link, and of other fields those that tell rows apart. */
function rowLabel(layout: Layout, constant: Set<string>) {
  return (values: string[]): Node => {
    const parts: (Node | string)[] = [];
    layout.rows.forEach((field, i) => {
      const value = values[i]!;
      if (field === "scenario") parts.push(link("#/scenario/" + value, value));
      else if (!constant.has(field) && (value !== "" || layout.rows[0] !== "scenario")) parts.push((parts.length ? " " : "") + (field === "predicted.rule" ? value.replace("pg_hba.conf:", "hba:") : `${field}=${value || "default"}`));
    });
    return h("span", {}, parts);
  };
}

function rowQuery(layout: Layout) {
  return (values: string[]) => layout.rows.map((field, i) => (field.startsWith("predicted.") && !values[i] ? "" : term(field, values[i]!))).filter(Boolean).join(" ");
}

function mapPart(s: State, page: string, base: string, layout: Layout, mode: "shares" | "weakest", caption: string): Node[] {
  const query = [base, s.parameters.get("q") ?? ""].filter(Boolean).join(" ");
  const mask = measured(query);
  const began = performance.now();
  const pivot = compute(index, mask, layout);
  const constant = new Set(layout.rows.filter((_, i) => new Set(pivot.rowKeys.map((r) => r.values[i])).size < 2));
  const n = mask.reduce((sum, v) => sum + v, 0);
  const open = (more: string) => cellsHref([query, more].filter(Boolean).join(" "));
  say(`${cells(n)} of ${thousands(index.own)}`);
  const nodes: Node[] = [legend(index, open, mode === "weakest")];
  if (!n) nodes.push(h("p", {}, "No cell matches."));
  else {
    nodes.push(draw(index, pivot, { mode, page: Number(s.parameters.get("page") ?? 0), perPage: 120, rowLabel: rowLabel(layout, constant), rowQuery: rowQuery(layout), open, query, caption: `${caption}: ${cells(n)}`,
      turn: (to) => href(page, { ...Object.fromEntries(s.parameters), page: to }) }));
  }
  performance.measure("map", { start: began });
  return nodes;
}

function say(text: string): void {
  live.textContent = text;
  const shown = document.getElementById("found");
  if (shown) shown.textContent = text;
}

/** filters are a query and, for those who do not want to write one, lists that write it. */
function filters(s: State, page: string, withRows: boolean): HTMLElement {
  const query = () => state().parameters.get("q") ?? "";
  const update = (parameters: Record<string, string | undefined>) => {
    const now = Object.fromEntries(state().parameters);
    delete now["page"];
    history.replaceState(null, "", href(page, { ...now, ...parameters } as Record<string, string>));
    void show(true);
  };
  const input = h("input", { id: "query", type: "search", value: query(), placeholder: "gssencmode:prefer count:1(channel:plain)", spellcheck: false, autocomplete: "off", "aria-describedby": "queryerror", "aria-label": "Query", input: () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => update({ q: input.value.trim() }), 120);
  } });
  let timer = 0;
  const list = (field: string, label: string, values: string[]) => {
    const chosen = top(query(), field);
    return h("label", {}, label + " ", h("select", { "data-field": field, change: (e) => {
      input.value = set(input.value, field, (e.target as HTMLSelectElement).value);
      update({ q: input.value });
    } }, h("option", { value: "" }, "all"), values.map((v) => h("option", { value: v, selected: v === chosen }, v))));
  };
  const values = (field: string) => [...new Set(index.field(field)?.texts?.map((t) => t.join(" ")) ?? [])].filter((v) => v);
  const rest = index.axes.filter((a) => !["server", "library"].includes(a) && values(a).length > 1).sort();
  const axis: HTMLSelectElement = h("select", { "aria-label": "Axis", change: () => fillValues() }, h("option", { value: "" }, "axis …"), rest.map((a) => h("option", {}, a)));
  const value = h("select", { "aria-label": "Value of the axis", change: () => {
    if (!axis.value) return;
    input.value = set(input.value, axis.value, value.value);
    update({ q: input.value });
  } });
  const fillValues = (): void => value.replaceChildren(h("option", { value: "" }, axis.value ? "all" : "value …"), ...(axis.value ? values(axis.value).map((v) => h("option", { value: v.replace(/.*[\s,"].*/, '"$&"') }, v)) : []));
  fillValues();
  const rows = withRows && h("label", {}, "Rows ", h("select", { id: "rows", change: (e) => update({ rows: (e.target as HTMLSelectElement).value }) },
    Object.entries(maps).map(([name, m]) => h("option", { value: name, selected: name === (s.parameters.get("rows") ?? "scenario") }, m.label))));
  return h("form", { class: "filters", role: "search", "aria-label": "Filters", submit: (e) => e.preventDefault() },
    h("div", { class: "query" }, input, h("a", { href: "#/help" }, "How to ask"), h("span", { id: "found", class: "muted" })),
    h("p", { id: "queryerror", class: "bad", role: "alert" }),
    h("div", { class: "lists" }, list("family", "Family", values("family")), list("server", "Server", values("server")), list("client", "Client", values("library")), list("status", "Status", index.statusNames.filter((n) => n)),
      about.baseline && list("change", "Change", about.baseline.kinds.filter((k) => !k.includes(" "))), list("obtained", "Obtained", about.classes.map((c) => c.name)), h("span", { class: "any" }, axis, " ", value), rows));
}

function swatch(place: number): HTMLElement {
  const o = about.classes[place]!;
  return h("span", { class: "swatch", style: `background:var(--${o.name})`, title: o.label }, o.letter);
}

const perPage = 100;

function listPart(s: State, page: string, base = ""): Node[] {
  const query = [base, s.parameters.get("q") ?? ""].filter(Boolean).join(" ");
  const mask = measured(query);
  const rows: number[] = [];
  for (let i = 0; i < mask.length; i++) if (mask[i]) rows.push(i);
  say(`${cells(rows.length)} of ${thousands(index.own)}`);
  const bad = new Map(index.statusNames.map((n, i) => [i, ["Differ", "Broken", "Drift", "Known"].indexOf(n)]));
  const rank = (i: number) => { const r = bad.get(index.status[i]!)!, kind = index.was(i)?.kind; return (r < 0 ? 9 : r) * 10 + (kind ? about.baseline!.kinds.indexOf(kind) : 9); };
  if (rows.some((i) => rank(i) < 99)) rows.sort((a, b) => rank(a) - rank(b) || a - b); // the worst first
  const from = Number(s.parameters.get("page") ?? 0) * perPage, shown = rows.slice(from, from + perPage);
  if (!rows.length) return [h("p", {}, "No cell matches.")];
  const turn = (to: number) => href(page, { ...Object.fromEntries(s.parameters), page: to });
  return [
    table(`Cells ${thousands(from + 1)} to ${thousands(from + shown.length)} of ${thousands(rows.length)}`, ["Cell", "Status", "Obtained", "Observed"],
      shown.map((i) => {
        const status = index.text("status", i), was = index.was(i), words = about.fields.slice(0, 8).map((f) => index.text(f, i)).filter(Boolean);
        return [link(cellHref(index.id(i)), index.id(i)), index.gone[i] ? h("span", { class: "status" }, "Gone") : h("span", { class: "status " + status }, (about.statuses.find((x) => x.name === status)?.glyph ?? "?") + " " + status),
          h("span", { class: "swatches" }, was?.kind && was.status && !index.gone[i] && (was.obtained ?? 0) !== index.obtained[i] && [swatch(was.obtained ?? 0), " → "], swatch(index.gone[i] ? was?.obtained ?? 0 : index.obtained[i]!)), [was?.kind && h("strong", { class: about.baseline!.kinds.indexOf(was.kind) < about.baseline!.worse ? "bad" : undefined }, was.kind + ": "), words.join(" ") || index.text("cause", i) || (was?.outcome ?? []).slice(0, 8).filter(Boolean).join(" ")]];
      })),
    ...(rows.length > perPage ? [h("nav", { class: "pager", "aria-label": "Pages of the list" }, from > 0 && link(turn(from / perPage - 1), "previous"), " ", from + perPage < rows.length && link(turn(from / perPage + 1), "next"))] : []),
  ];
}

function scenarioPage(s: State): Node[] {
  const name = s.argument, of = about.scenarios.find((x) => x.name === name);
  if (!of) return missing("scenario " + name);
  const base = term("scenario", name);
  return [
    h("h1", { tabindex: -1 }, name), of.question ? h("p", { class: "question" }, of.question) : "", references(of),
    ...obtained(of), ...bound(of),
    ...mapPart(s, "scenario/" + name, base, { rows: ["hba", "ssl", "ticket", "gssencmode", "sslmode"], group: "server", strip: "library" }, "shares", name),
    h("p", {}, link(cellsHref(base), "All its cells"), ", ", link(cellsHref(base + " is:different"), "those in which clients differ")),
  ].filter((n): n is HTMLElement => n !== "");
}

function references(of: About["scenarios"][number]): Node {
  return h("p", { class: "muted" }, (of.claims ?? []).map((c, i) => [i ? ", " : "Claims ", link("#/claim/" + c, c)]), (of.museum ?? []).map((m, i) => [i ? ", " : (of.claims?.length ? ". " : "") + "Past defects ", link("#/museum/" + m, m)]));
}

function obtained(of: About["scenarios"][number]): Node[] {
  const t = of.obtained;
  if (!t) return [];
  return [table(`What an attacker in the middle obtains: ${of.name}`, t.header.map((c) => c), t.rows.map((row) => row.map((c, i) => (i < t.settings ? c : c === "–" ? h("span", { class: "muted", title: "nothing" }, "–") : h("span", { class: /downgrade|session|injected/.test(c) ? "gain lost" : "gain" }, c)))), [], t.settings)];
}

function bound(of: About["scenarios"][number]): Node[] {
  const t = of.bound;
  if (!t) return [];
  return [table(`Channel binding by the key of the server's certificate: ${of.name}`, t.header, t.rows.map((row) => row.map((c, i) => (i < t.settings || c === "tls" ? c : h("span", { class: c.includes("downgrade") ? "gain lost" : "gain" }, c)))), [], t.settings),
    h("p", { class: "muted" }, about.bound)];
}

function attacksPage(): Node[] {
  const with_ = about.scenarios.filter((s) => s.obtained);
  return [h("h1", { tabindex: -1 }, "What an attacker in the middle obtains"),
    h("dl", { class: "said" }, [["plaintext", "the attacker reads at least who connects to what"], ["downgrade", "the attacker reads the whole session because of an answer of its own"], ["session", "the client has a session with the attacker: the attacker reads what the client encrypted for it"], ["injected", "one end took the attacker's bytes for those of the other end"], ["–", "nothing"]].map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    with_.length ? h("ul", { class: "contents" }, with_.map((s) => h("li", {}, link("#/scenario/" + s.name, s.name), ": " + s.question))) : h("p", {}, "No setting was tried with every attack of its scenario."),
    ...with_.flatMap(obtained)];
}

function downgradePage(s: State): Node[] {
  return [h("h1", { tabindex: -1 }, "Downgrade map"),
    h("p", {}, "For each set of rules: the weakest that a client with these settings still obtains, whichever server, client or ticket, under attack or not. Groups of columns are values of gssencmode, columns are values of sslmode; default means that the option is not given."),
    ...mapPart(s, "downgrade", "", { rows: ["scenario", "hba", "ssl"], group: "gssencmode", strip: "sslmode" }, "weakest", "Weakest channel by rule set and client settings")];
}

function scenariosPage(): Node[] {
  const counted = new Map<string, { n: number; fails: number }>();
  for (let i = 0; i < index.rows; i++) {
    if (index.gone[i]) continue;
    const name = index.scenarioNames[index.scenario[i]!]!, c = counted.get(name) ?? { n: 0, fails: 0 };
    c.n++;
    if (about.statuses.find((x) => x.name === index.statusNames[index.status[i]!])?.fails ?? true) c.fails++;
    counted.set(name, c);
  }
  return [h("h1", { tabindex: -1 }, "Scenarios"), ...about.scenarios.flatMap(bound), table("Scenarios", ["Scenario", "Question", "Cells", "Failing"], about.scenarios.map((x) => {
    const c = counted.get(x.name) ?? { n: 0, fails: 0 };
    return [link("#/scenario/" + x.name, x.name), x.question, thousands(c.n), c.fails ? h("span", { class: "bad" }, "✗ " + thousands(c.fails)) : "0"];
  }), [2, 3])];
}

const byNumber = (a: string, b: string) => a.replace(/\d+/g, "").localeCompare(b.replace(/\d+/g, "")) || Number(a.replace(/\D/g, "")) - Number(b.replace(/\D/g, ""));

function idsPage(kind: "claim" | "museum"): Node[] {
  const texts = kind === "claim" ? about.claims : about.museum, ids = Object.keys(texts).sort(byNumber);
  return [h("h1", { tabindex: -1 }, kind === "claim" ? "Claims" : "Past defects"),
    ids.length ? table(kind === "claim" ? "Claims of how-to articles, and what is true" : "Past defects that the scenarios would show again", kind === "claim" ? ["Id", "The claim", "What is true"] : ["Id", "Defect"],
      ids.map((id) => [link(`#/${kind}/${id}`, id), coded(texts[id]![0]), ...(kind === "claim" ? [h("span", {}, coded(texts[id]![1]))] : [])])) : h("p", {}, "The scenarios of this run name none.")];
}

function idPage(s: State, kind: "claim" | "museum"): Node[] {
  const id = s.argument, text = (kind === "claim" ? about.claims : about.museum)[id];
  const of = about.scenarios.filter((x) => (kind === "claim" ? x.claims : x.museum)?.includes(id));
  if (!of.length) return missing(`${kind} ${id}`);
  return [h("h1", { tabindex: -1 }, `${kind === "claim" ? "Claim" : "Past defect"} ${id}`), h("p", { class: "question" }, coded(text?.[0] ?? "")),
    ...(text?.[1] ? [h("p", {}, h("strong", {}, "What is true: "), coded(text[1]))] : []),
    h("ul", { class: "contents" }, of.map((x) => h("li", {}, link("#/scenario/" + x.name, x.name), ": " + x.question))),
    ...mapPart(s, `${kind}/${id}`, `${kind}:${id}`, maps["scenario"]!.layout, "shares", `Scenarios of ${id}`)];
}

function helpPage(): Node[] {
  const examples: [string, string][] = [
    ["client:pgx server:17", "two conditions: both hold"],
    ["sslmode:prefer,allow", "one of several values; * stands for any text: client:libpq*"],
    ["server:>=17", "comparison of numbers; also connections, rounds, ms"],
    ["channel:plain | obtained:unverified", "one of two conditions"],
    ["!attack:none end:connected", "! negates"],
    ["predicted.channel:tls", "what was predicted; without predicted. it is what was observed"],
    ["count:1(channel:plain)", "of the clients that were asked the same, exactly one has a session in plaintext; also count:0, count:>1"],
    ["versions:1(end:refused)", "of the server versions that one client was asked at, exactly one refuses"],
    ["is:different", "the clients that were asked the same do not all obtain the same"],
    ["is:failing", "Differ, Drift or Broken"],
    ...(about.baseline ? [
      ["is:changed", `what is observed, or the verdict, is not what it was in run ${about.baseline.run}; is:worse: admitted, weakened or now fails; is:new and is:gone: only one of the runs has the cell`],
      ["change:admitted", "what became of a cell; change:method: a field that changed"],
      ["was.channel:plain !channel:plain", "was. is what was observed, obtained or judged before"],
      ["runs:1(channel:plain)", "in exactly one of the two runs the cell has a session in plaintext"],
    ] as [string, string][] : []),
    ["no-hba-entry", "a word: anywhere in names, values, outcome and cause"],
  ];
  return [h("h1", { tabindex: -1 }, "How to ask"), h("p", {}, "Conditions that stand side by side all hold. Parentheses group; quotation marks hold a value with blanks together."),
    table("Examples", ["Query", "Meaning"], examples.map(([q, m]) => [h("a", { href: cellsHref(q) }, h("code", {}, q)), m])),
    h("p", {}, h("strong", {}, "Fields: "), index.fieldNames().filter((n) => !/^(predicted|was)\./.test(n)).join(", "), ".")];
}

function missing(what: string): Node[] { return [h("h1", { tabindex: -1 }, "Not found"), h("p", {}, `This run has no ${what}. `, link("#/", "To the heat map"))]; }

/** parts of a page below its filters; filtered: the page has a query. */
async function partsOf(s: State): Promise<{ filtered?: "rows" | "plain"; nodes: () => Node[] | Promise<Node[]> }> {
  switch (s.page) {
    case "": {
      const m = maps[s.parameters.get("rows") ?? "scenario"] ?? maps["scenario"]!;
      return { filtered: "rows", nodes: () => [h("h1", { class: "unseen", tabindex: -1 }, "Heat map"), ...mapPart(s, "", "", m.layout, "shares", "What was obtained")] };
    }
    case "cells": return { filtered: "plain", nodes: () => [h("h1", { tabindex: -1 }, "Cells"), ...listPart(s, "cells")] };
    case "downgrade": return { filtered: "plain", nodes: () => downgradePage(s) };
    case "cost": return { filtered: "plain", nodes: () => { const q = s.parameters.get("q") ?? "", mask = measured(q); say(cells(mask.reduce((n, v) => n + v, 0))); return costPage(index, mask, q, cellsHref); } };
    case "attacks": return { nodes: attacksPage };
    case "scenarios": return { nodes: scenariosPage };
    case "scenario": return { filtered: "plain", nodes: () => scenarioPage(s) };
    case "claims": return { nodes: () => idsPage("claim") };
    case "claim": return { filtered: "plain", nodes: () => idPage(s, "claim") };
    case "museum": return s.argument ? { filtered: "plain", nodes: () => idPage(s, "museum") } : { nodes: () => idsPage("museum") };
    case "help": return { nodes: helpPage };
    case "cell": return { nodes: async () => { const row = index.find(s.argument); return row < 0 ? missing("cell " + s.argument) : cellPage(index, row); } };
  }
  return { nodes: () => missing("page " + s.page) };
}

let turn = 0;

async function show(keep: boolean): Promise<void> {
  const mine = ++turn, s = state(), where = s.page + "/" + s.argument;
  const parts = await partsOf(s);
  summary.hidden = s.page !== "";
  document.querySelectorAll("nav[aria-label=Pages] a").forEach((a) => {
    const is = a.getAttribute("href") === "#/" + ({ scenario: "scenarios", claim: "claims", cell: "cells" }[s.page] ?? s.page);
    if (is) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  });
  if (!keep || drawn !== where) {
    stage = h("div", { id: "stage" });
    app.replaceChildren(...(parts.filtered ? [filters(s, s.page + (s.argument ? "/" + s.argument.split("/").map(encodeURIComponent).join("/") : ""), parts.filtered === "rows")] : []), live, stage);
    drawn = where;
  }
  if (!parts.filtered) live.textContent = "";
  const problem = document.getElementById("queryerror");
  try {
    const nodes = await parts.nodes();
    if (mine !== turn) return; // another state was asked for meanwhile
    if (problem) problem.textContent = "";
    stage.replaceChildren(...nodes);
  } catch (e) {
    if (!(e instanceof QueryError) || !problem) throw e;
    problem.textContent = e.message;
  }
  document.title = `pgauthmatrix ${about.run}: ${stage.querySelector("h1")?.textContent ?? ""}`;
  if (!keep && turn > 1) {
    window.scrollTo(0, 0);
    stage.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }
  document.documentElement.dataset["ready"] = String(turn);
}

function theme(): void {
  const names = ["auto", "light", "dark"], button = h("button", { type: "button", id: "theme" });
  const apply = (name: string) => {
    if (name === "auto") delete document.documentElement.dataset["theme"]; else document.documentElement.dataset["theme"] = name;
    button.textContent = "Colours: " + name;
  };
  let at = 0;
  button.addEventListener("click", () => apply(names[(at = (at + 1) % names.length)]!));
  apply("auto");
  document.querySelector("nav[aria-label=Pages]")!.append(button);
}

/** shorten leaves three of the worst failures to be seen, so that the map is in sight. */
function shorten(): void {
  const list = document.querySelector(".worst");
  if (!list || list.children.length <= 3) return;
  list.classList.add("short");
  const button = h("button", { type: "button", class: "all", click: () => { list.classList.remove("short"); button.remove(); } }, `All ${list.children.length} of these`);
  list.after(button);
}

async function start(): Promise<void> {
  const began = performance.now();
  const t = await load("index");
  if (!t) throw new Error("the page has no index");
  index = new Index(t, about);
  performance.measure("load", { start: began });
  theme();
  shorten();
  window.addEventListener("hashchange", () => void show(false));
  await show(false);
}

start().catch((e: unknown) => {
  app.replaceChildren(h("p", { class: "bad" }, "This page cannot be drawn here: " + String(e) + ". It needs a browser of 2023 or later."));
  throw e;
});
