// The page of a cell: what was predicted and observed, why, and the evidence.

import { load, type Index, type Table } from "./data";
import { h, link, svg, table, coded } from "./dom";

const loaded = new Map<number, Promise<Table | null>>();

/** evidenceOf loads the evidence of a scenario, once. */
function evidenceOf(scenario: number): Promise<Table | null> {
  let t = loaded.get(scenario);
  if (!t) loaded.set(scenario, (t = load("evidence-" + scenario)));
  return t;
}

type Rule = [string, string];
type WireEvent = [string, string];
type LogLine = [string, string, string];
interface Difference { field: string; against: string; want: string; observed: string }
interface Verdict { status: string; differences?: Difference[]; cause?: string; pos?: string; link?: string }
interface Client { message?: string; crash?: string; asked?: string[]; session?: string; raw?: string; events?: WireEvent[] }
interface Connection { where: string; wire: WireEvent[]; upstream: WireEvent[]; log: LogLine[]; exit: string; times: number[] }

interface Evidence {
  before: number; // row of the baseline's evidence; 0: none
  because: Rule[]; told: Rule[]; verdict: Verdict; byHand: string; unseen: string[]; fault: string;
  conninfo: string; client?: Client; connections: Connection[]; rawTimes: number[]; load: LogLine[]; trace: string; start: number; timed: boolean;
}

function read(t: Table, row: number): Evidence {
  const text = (name: string) => t.lists[name]![t.column(name)[row]!]!;
  const json = <T>(name: string, empty: T): T => { const s = text(name); return s ? (JSON.parse(s) as T) : empty; };
  const rules = (name: string) => json<number[]>(name, []).map((i) => JSON.parse(t.lists["rules"]![i]!) as Rule);
  const part = <T>(i: number, empty: T): T => { const s = t.lists["parts"]![i]!; return s ? (JSON.parse(s) as T) : empty; };
  const times = timesOf(t, row);
  const take = (n: number) => times.splice(0, n);
  const places = json<number[]>("connections", []), connections: Connection[] = [];
  for (let i = 0; i + 4 < places.length; i += 5) {
    const wire = part<WireEvent[]>(places[i + 1]!, []), upstream = part<WireEvent[]>(places[i + 2]!, []);
    connections.push({ where: t.lists["parts"]![places[i]!]!, wire, upstream, log: part<LogLine[]>(places[i + 3]!, []), exit: t.lists["parts"]![places[i + 4]!]!, times: take(wire.length + upstream.length) });
  }
  return { before: t.has("before") ? t.column("before")[row]! : 0, because: rules("because"), told: rules("told"), verdict: json<Verdict>("verdict", { status: "" }), byHand: text("byHand"), unseen: json<string[]>("unseen", []), fault: text("fault"),
    conninfo: text("conninfo"), client: json<Client | undefined>("client", undefined), connections, rawTimes: times, load: json<LogLine[]>("load", []), trace: text("trace"),
    start: t.has("start") ? t.column("start")[row]! : -1, timed: t.has("start") };
}

/** timesOf reads the times of a cell's events, in tenths of a millisecond: zigzag varints of the differences. */
function timesOf(t: Table, row: number): number[] {
  if (!t.has("timesLength")) return [];
  const lengths = t.column("timesLength"), bytes = t.bytes[0]!;
  let at = 0;
  for (let i = 0; i < row; i++) at += lengths[i]!;
  const times: number[] = [];
  let last = 0;
  for (const end = at + lengths[row]!; at < end;) {
    let n = 0, scale = 1;
    for (;;) {
      const b = bytes[at++]!;
      n += (b & 127) * scale;
      if (b < 128) break;
      scale *= 128;
    }
    last += n % 2 ? -(n + 1) / 2 : n / 2;
    times.push(last);
  }
  return times;
}

export async function cellPage(index: Index, row: number): Promise<Node[]> {
  const scenario = index.scenario[row]!, name = index.scenarioNames[scenario]!, id = index.id(row);
  const about = index.about.scenarios.find((s) => s.name === name);
  const [first] = index.range(name);
  const t = await evidenceOf(scenario);
  const status = index.text("status", row), kind = index.about.statuses.find((s) => s.name === status);
  const nodes: Node[] = [
    h("h1", { tabindex: -1 }, index.gone[row] ? h("span", { class: "status Known" }, "Gone") : h("span", { class: "status " + status }, (kind?.glyph ?? "?") + " " + status), " ", h("span", { class: "id" }, breakable(id))),
    h("p", {}, link("#/scenario/" + name, name), about?.question ? ": " + about.question : ""),
  ];
  const e = t && read(t, row - first);
  nodes.push(...since(index, row), outcomes(index, row, e ?? undefined));
  if (!e) {
    nodes.push(h("p", { class: "warn" }, `The evidence of this scenario is not part of this page, which would be too large with it. `, h("code", {}, `pgauthmatrix explain ${quote(id)} --run ${index.about.dir}`), " shows it."));
    nodes.push(commands(index, row, id, ""));
    return nodes;
  }
  if (e.verdict.cause) nodes.push(h("p", { class: "cause" }, h("strong", {}, "Cause "), e.verdict.cause, e.verdict.link && [" (", e.verdict.link, ")"], e.verdict.pos && h("span", { class: "muted" }, " " + e.verdict.pos)));
  if (e.fault && e.fault !== e.verdict.cause) nodes.push(h("p", { class: "bad" }, h("strong", {}, "Fault "), e.fault));
  if (e.byHand) nodes.push(h("p", {}, h("strong", {}, "Judged by hand "), e.byHand));
  nodes.push(h("div", { class: "two" }, rules("Why it is predicted", e.because), rules("Who told what was observed", e.told)));
  if (!index.gone[row]) nodes.push(commands(index, row, id, e.conninfo), ...conversation(e));
  if (t && index.was(row)?.status) nodes.push(before(index, row, id, e.before ? read(t, e.before) : undefined));
  nodes.push(axes(index, row), peers(index, row));
  if (status === "Agree") nodes.push(h("p", { class: "muted" }, "⟨port⟩, ⟨server⟩, ⟨client⟩, ⟨name⟩ and ⟨time⟩ stand for values that differ from attempt to attempt; run.jsonl has them."));
  return nodes;
}

/** breakable lets an ID break after its separators. */
function breakable(id: string): (string | Node)[] {
  return id.split(/(?<=[/,])/).flatMap((part) => [part, h("wbr")]);
}

/** since says what became of the cell since the baseline. */
function since(index: Index, row: number): Node[] {
  const { baseline } = index.about, w = index.was(row);
  if (!baseline) return [];
  const run = `run ${baseline.run}, ${baseline.start}`;
  if (w && !w.status) return [h("p", { class: "since" }, w.kind ? h("strong", {}, "New") : "Not compared", `: ${run}, has no such cell${w.kind ? "" : ", and another selection"}.`)];
  if (index.gone[row]) return [h("p", { class: "since" }, `This run has no such cell. What it was is that of ${run}.`)];
  if (!w?.kind) return [h("p", { class: "since muted" }, `Nothing changed since ${run}.`)];
  const status = index.text("status", row), worse = baseline.kinds.indexOf(w.kind) < baseline.worse;
  return [h("p", { class: "since" }, h("strong", { class: worse ? "bad" : undefined }, w.kind[0]!.toUpperCase() + w.kind.slice(1)), ` since ${run}`, w.status !== status && `: ${w.status} is now ${status}`, ".",
    w.rules && " The scenario's rules, roles or settings are different, too.")];
}

/** before is the baseline's evidence, for those who want to know what is different. */
function before(index: Index, row: number, id: string, e?: Evidence): HTMLElement {
  const { baseline } = index.about, w = index.was(row)!;
  return h("details", { class: "before", open: index.gone[row] === 1 }, h("summary", {}, `What run ${baseline!.run} saw`),
    w.cause && h("p", { class: "cause" }, h("strong", {}, "Cause "), w.cause),
    ...(e ? [rules("Who told what was observed", e.told), ...conversation(e)] : [h("p", { class: "warn" }, "The page has no room for it.")]).filter((n): n is HTMLElement => n !== false),
    h("p", { class: "muted" }, h("code", {}, `pgauthmatrix explain ${quote(id)} --run ${baseline!.dir}`), " shows the whole of it."));
}

function outcomes(index: Index, row: number, e?: Evidence): HTMLElement {
  const differences = e?.verdict.differences ?? [], w = index.was(row), compared = !!index.about.baseline && (!w || !!w.status);
  const fields = w?.fields ?? [], gone = index.gone[row] === 1;
  const predicted = index.outcomes[index.table.column("predicted")[row]!]!, observed = index.outcomes[index.table.column("observed")[row]!]!;
  const rows = index.about.fields.map((field, i) => ({ field, predicted: predicted[i] ?? "", observed: observed[i] ?? "", was: w ? w.outcome?.[i] ?? "" : observed[i] ?? "", unseen: e?.unseen.includes(field) ?? false, wrong: differences.filter((d) => d.field === field) }))
    .filter((r) => r.predicted || r.observed || r.wrong.length || (compared && r.was));
  if (!rows.length) return h("p", { class: "muted" }, "There is no outcome.");
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Outcome, field by field" }, h("table", { class: "plain-table outcome" },
    h("caption", {}, "Outcome, field by field"),
    h("thead", {}, h("tr", {}, [["Field"], !gone && ["Predicted"], compared && ["Before"], !gone && ["Observed"], ["Note"]].flatMap((c) => c || []).map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", {}, rows.map((r) => h("tr", { class: r.wrong.length ? "differs" : undefined },
      h("th", { scope: "row" }, r.field),
      !gone && h("td", {}, predicted.length ? r.predicted || "–" : h("span", { class: "muted" }, "not predicted")),
      compared && h("td", { class: fields.includes(r.field) ? "moved" : undefined }, w && !w.outcome ? h("span", { class: "muted" }, "no outcome") : r.was || "–"),
      !gone && h("td", { class: fields.includes(r.field) ? "moved" : undefined }, observed.length ? (r.unseen && !r.observed ? h("span", { class: "muted" }, "no witness can tell") : r.observed || "–") : h("span", { class: "muted" }, "no outcome")),
      h("td", {}, fields.includes(r.field) && h("span", { class: "warn" }, "≠ changed "), r.wrong.map((d) => h("span", { class: "bad" }, d.against === "prediction" ? "✗ differs " : `✗ ${{ expect: "expected", golden: "approved" }[d.against] ?? d.against} ${d.want || "absent"} `)),
        r.field === "reason" && (r.observed || r.predicted) && h("span", { class: "muted" }, index.about.reasons[r.observed || r.predicted] ?? "")))))));
}

function rules(title: string, list: Rule[]): HTMLElement | false {
  return list.length > 0 && h("section", {}, h("h2", {}, title), h("ol", { class: "rules" }, list.map(([text, source]) => h("li", {}, text, " ", h("span", { class: "source" }, source)))));
}

function quote(s: string): string { return "'" + s.replace(/'/g, "'\\''") + "'"; }

/** commands repeat the cell: by the harness, and by hand where a person can. */
function commands(index: Index, row: number, id: string, conninfo: string): HTMLElement {
  const lines: [string, string][] = [];
  const axis = (name: string) => index.axis(name, row);
  const ticket = axis("ticket");
  if (ticket && ticket !== "none") lines.push([`kinit ${axis("principal") || axis("user")}`, ticket === "valid" ? "" : `then make the ticket as ticket=${ticket} says`]);
  if (ticket === "none" && conninfo) lines.push(["kdestroy -A", "there is no ticket"]);
  const kept = (conninfo.match(/(?:[^\s'=]+)=(?:'(?:\\.|[^'\\])*'|\S*)/g) ?? []).filter((p) => !/^(hostaddr|port|application_name|connect_timeout)=/.test(p));
  if (kept.length && axis("library") !== "raw") lines.push([`psql "${kept.join(" ").replace(/"/g, '\\"')}" -c 'select session_user'`, kept.some((p) => p.startsWith("password=")) ? "with the password of the role" : ""]);
  lines.push([`${index.about.repeat} ${quote(id)}`, "the same attempt, in the same world"]);
  lines.push([`pgauthmatrix explain ${quote(id)} --run ${index.about.dir}`, "the whole evidence, in a terminal"]);
  return h("section", { "aria-label": "Commands" }, h("h2", {}, "Repeat it"), h("dl", { class: "commands" }, lines.map(([c, why]) => [h("dt", {}, h("code", {}, c)), why && h("dd", { class: "muted" }, why)])));
}

function conversation(e: Evidence): Node[] {
  const nodes: Node[] = [];
  const c = e.client;
  if (c) {
    const lines: [string, string][] = [["conninfo", e.conninfo], ["message", c.message ?? ""], ["died", c.crash ?? ""], ["was asked", c.asked?.join(" ") ?? ""], ["session", c.session ?? ""], ["sequence", c.raw ?? ""]];
    nodes.push(h("h2", {}, "Client"), h("dl", { class: "said" }, lines.filter(([, v]) => v).map(([k, v]) => [h("dt", {}, k), h("dd", {}, h("code", {}, v.trim()))])));
  }
  if (e.load.length) nodes.push(h("h2", {}, "Loading the rules"), log(e.load));
  e.connections.forEach((connection, i) => {
    const title = `Connection ${i + 1}`;
    nodes.push(h("h2", {}, title, " ", h("small", { class: "muted" }, connection.where)));
    if (connection.wire.length) nodes.push(sequence(title, connection.wire, connection.upstream, connection.times));
    if (connection.log.length) nodes.push(h("h3", {}, "Server log"), log(connection.log));
    if (connection.exit) nodes.push(h("p", { class: "muted" }, "The backend ended: " + connection.exit));
  });
  if (c?.events?.length) nodes.push(h("h2", {}, "What the raw client saw"), sequence("Raw client", c.events, [], e.rawTimes));
  if (e.trace) nodes.push(h("h2", {}, "KRB5_TRACE"), h("pre", { tabindex: 0 }, e.trace));
  return nodes;
}

function log(lines: LogLine[]): HTMLElement {
  return h("ol", { class: "log" }, lines.map(([severity, state, text]) => h("li", { class: /FATAL|ERROR|PANIC/.test(severity) ? "bad" : undefined }, h("b", {}, severity), state && " " + state, " ", text)));
}

interface Step { at: number; leg: 0 | 1; from: string; text: string }

/** sequence draws a connection: a lane for each end, an arrow for each message. With an attacker there are two legs. */
function sequence(title: string, wire: WireEvent[], upstream: WireEvent[], times: number[]): HTMLElement {
  const steps: Step[] = [...wire.map(([from, text], i): Step => ({ at: times[i] ?? -1, leg: 0, from, text })), ...upstream.map(([from, text], i): Step => ({ at: times[wire.length + i] ?? -1, leg: 1, from, text }))];
  if (times.length) steps.sort((a, b) => a.at - b.at || a.leg - b.leg);
  const ends = upstream.length ? ["client", "attacker", "server"] : ["client", "server"];
  const left = 70, width = 720, right = width - 8, lane = (i: number) => left + ((right - left - 80) * i) / (ends.length - 1) + 40;
  const height = 34, top = 40;
  const g: SVGElement[] = [];
  const end = top + steps.length * height + 6;
  ends.forEach((name, i) => g.push(
    svg("rect", { x: lane(i) - 38, y: 4, width: 76, height: 22, rx: 4, class: "end " + name }), svg("text", { x: lane(i), y: 19, class: "endname", "text-anchor": "middle" }, name),
    svg("line", { x1: lane(i), y1: 26, x2: lane(i), y2: end, class: "lane" })));
  steps.forEach((s, i) => {
    const y = top + i * height + 22;
    if (s.at >= 0) g.push(svg("text", { x: 0, y: y + 4, class: "time" }, (s.at / 10).toFixed(1) + " ms"));
    const a = lane(s.leg), b = lane(s.leg + 1), room = Math.floor((b - a) / 6.7), text = s.text.length > room ? s.text.slice(0, room - 1) + "…" : s.text;
    if (s.from !== "client" && s.from !== "server") {
      const x = ends.length === 3 ? lane(1) : (a + b) / 2;
      g.push(svg("text", { x, y: y + 1, class: "deed " + s.from, "text-anchor": "middle" }, (s.from === "attacker" ? "attacker: " : "") + s.text, svg("title", {}, s.text)));
      return;
    }
    const [x1, x2] = s.from === "client" ? [a, b] : [b, a], tip = s.from === "client" ? -7 : 7;
    g.push(svg("g", { class: "message " + s.from }, svg("title", {}, s.text), svg("line", { x1, y1: y + 4, x2: x2 + tip, y2: y + 4 }), svg("path", { d: `M${x2} ${y + 4}l${tip} -4v8z` }),
      svg("text", { x: (a + b) / 2, y: y - 2, "text-anchor": "middle" }, text)));
  });
  return h("div", { class: "sequence scroll", tabindex: 0, role: "region", "aria-label": title + ", sequence diagram" },
    svg("svg", { viewBox: `0 0 ${width} ${end + 4}`, width, height: end + 4, "aria-hidden": "true" }, g),
    h("ol", { class: "unseen" }, steps.map((s) => h("li", {}, `${s.at >= 0 ? (s.at / 10).toFixed(1) + " ms " : ""}${s.leg && s.from === "client" ? "attacker to server" : s.leg && s.from === "server" ? "server to attacker" : s.from}: ${s.text}`))));
}

function axes(index: Index, row: number): HTMLElement {
  const known = new Map(index.about.axes.map((a) => [a.name, a]));
  const rows = index.axes.map((name) => ({ name, value: index.axis(name, row), axis: known.get(name) })).filter((a) => a.value)
    .sort((a, b) => order(index, a.name) - order(index, b.name));
  return h("details", { class: "axes" }, h("summary", {}, `Axes (${rows.length})`),
    table("Axes of this cell", ["Axis", "Value", "Meaning"], rows.map((a) => [a.name, h("code", {}, a.value), h("span", { class: "muted" }, coded(a.axis?.doc ?? "an axis of the scenario's own"))])));
}

function order(index: Index, name: string): number {
  const i = index.about.axes.findIndex((a) => a.name === name);
  return i < 0 ? index.about.axes.length : i;
}

/** peers are the cells that ask the same of other clients and servers. */
function peers(index: Index, row: number): HTMLElement | DocumentFragment {
  const b = index.boundaries();
  let from = row, to = row + 1;
  while (from > 0 && b[from]! < 2) from--;
  while (to < index.rows && b[to]! < 2) to++;
  if (to - from < 2) return document.createDocumentFragment();
  const servers: string[] = [], clients: string[] = [], at = new Map<string, number>();
  for (let i = from; i < to; i++) {
    const s = index.axis("server", i), c = index.axis("library", i);
    if (index.gone[i] && i !== row) continue;
    if (!servers.includes(s)) servers.push(s);
    if (!clients.includes(c)) clients.push(c);
    at.set(s + " " + c, i);
  }
  return h("section", {}, h("h2", {}, "The same with other clients and servers"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Other clients and servers" },
    h("table", { class: "plain-table peers" }, h("caption", {}, "What each client obtains"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Server"), clients.map((c) => h("th", { scope: "col" }, c, " ", h("small", { class: "muted" }, index.clientVersion(c)))))),
      h("tbody", {}, servers.map((s) => h("tr", {}, h("th", { scope: "row" }, s, " ", h("small", { class: "muted" }, index.serverVersion(s))), clients.map((c) => {
        const i = at.get(s + " " + c);
        if (i === undefined) return h("td", {}, "");
        const o = index.about.classes[index.obtained[i]!]!, failing = index.about.statuses.find((x) => x.name === index.text("status", i));
        return h("td", { style: `background:var(--${o.name})`, class: "on" }, h("a", { href: cellHref(index.id(i)), title: `${o.label}; ${failing?.name}`, "aria-current": i === row ? "true" : undefined, "aria-label": `${c} at ${s}: ${o.label}` },
          o.letter, failing && failing.name !== "Agree" && failing.name !== "NotApplicable" && " " + failing.glyph, i === row && " ←"));
      })))))));
}

export function cellHref(id: string): string { return "#/cell/" + id.split("/").map(encodeURIComponent).join("/"); }
