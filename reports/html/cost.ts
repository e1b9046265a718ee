// What a kind of negotiation costs: connections, round trips and time, from the attempts of the run itself.

import type { Index, Rate } from "./data";
import { h, link, table, thousands } from "./dom";
import { set } from "./query";

interface Sample { connections: number[]; rounds: number[]; tenths: number[] }

function median(list: number[]): number {
  const sorted = list.slice().sort((a, b) => a - b);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2 : 0;
}

/** one writes with one digit after the point, and none where it is 0. */
function one(n: number): string { return (Math.round(n * 10) / 10).toString().replace("-", "−"); }
function signed(n: number): string { return (n > 0 ? "+" : n === 0 ? "±" : "") + one(n); }

export function costPage(index: Index, mask: Uint8Array, query: string, open: (query: string) => string): Node[] {
  const observed = index.table.column("observed"), connections = index.table.column("connections"), rounds = index.table.column("rounds"), tenths = index.table.column("tenths");
  const end = index.about.fields.indexOf("end"), trace = index.about.fields.indexOf("trace");
  const attack = index.field("attack"), attacked = attack?.texts?.map((t) => t[0] !== "none" && t[0] !== "");
  const usable = (i: number) => mask[i] && rounds[i]! > 0 && !(attacked && attacked[attack!.values[i]!]);
  const kinds = index.field("kind"), byTrace = new Map<string, { s: Sample; cls: number; trace: string }>(), byClass = new Map<string, { s: Sample; cls: number; kind: string }>();
  const add = <K, V extends { s: Sample }>(map: Map<K, V>, key: K, make: () => V, i: number) => {
    let v = map.get(key);
    if (!v) map.set(key, (v = make()));
    v.s.connections.push(connections[i]!); v.s.rounds.push(rounds[i]!); v.s.tenths.push(tenths[i]!);
  };
  const sample = (): Sample => ({ connections: [], rounds: [], tenths: [] });
  for (let i = 0; i < mask.length; i++) {
    if (!usable(i)) continue;
    const o = index.outcomes[observed[i]!]!;
    if (o[end] !== "connected") continue;
    const cls = index.obtained[i]!, way = o[trace] ?? "", kind = kinds?.texts?.[kinds.values[i]!]?.[0] ?? "";
    add(byTrace, cls + way, () => ({ s: sample(), cls, trace: way }), i);
    if (index.text("descent", i) === "first") add(byClass, kind + " " + cls, () => ({ s: sample(), cls, kind }), i);
  }
  const label = (c: number) => h("span", {}, h("span", { class: "swatch", style: `background:var(--${index.about.classes[c]!.name})` }, index.about.classes[c]!.letter), " " + index.about.classes[c]!.label);
  const numbers = (s: Sample) => [thousands(s.tenths.length), one(median(s.connections)), one(median(s.rounds)), one(median(s.tenths) / 10)];
  const kindsSeen = [...new Set([...byClass.values()].map((v) => v.kind))];
  return [
    h("h1", { tabindex: -1 }, "Cost"),
    h("p", {}, "What a connection costs until its session has answered a query, by the run's own records. A round trip is a message of the client's for which it waited, as far as the relay sees it without reading what is encrypted; attempts without a relay are left out. ",
      "Attempts run several at a time on a busy machine, through a relay: compare the figures of one table with each other, and with nothing else. Figures are medians; attacks are left out."),
    table("TLS, GSS encryption and plaintext, where the first attempt succeeded", ["Client", "Obtained", "Cells", "Connections", "Round trips", "ms"],
      kindsSeen.flatMap((kind) => [...byClass.values()].filter((v) => v.kind === kind).sort((a, b) => a.cls - b.cls).map((v) => [kind, label(v.cls), ...numbers(v.s)])), [2, 3, 4, 5]),
    ...throughput(index),
    ...pairs(index, usable, { axis: "gssencmode", from: "disable", to: "prefer", title: "What gssencmode=prefer costs beside gssencmode=disable" }),
    ...pairs(index, usable, { axis: "sslmode", from: "disable", to: "prefer", title: "What sslmode=prefer costs beside sslmode=disable" }),
    table("Every way to a session", ["Way", "Obtained", "Cells", "Connections", "Round trips", "ms"],
      [...byTrace.values()].sort((a, b) => b.s.tenths.length - a.s.tenths.length).slice(0, 30).map((v) => [link(open(set(query, "trace", "") + ` trace:"${v.trace}" end:connected`), v.trace || "unix socket"), label(v.cls), ...numbers(v.s)]), [2, 3, 4, 5]),
  ];
}

/** throughput is what bench measured for this run: nothing that cells could tell. */
function throughput(index: Index): Node[] {
  const m = index.about.measured;
  if (!m) return [h("h2", {}, "Throughput"), h("p", { class: "muted" }, "Cells transfer nothing. ", h("code", {}, `pgauthmatrix bench --into ${index.about.dir}`), " measures it; this page was drawn without.")];
  const names: Record<string, string> = { plain: "plaintext", tls: "TLS", gss: "GSS encryption" }, two = (n: number) => n.toFixed(2);
  const rate = (r: Rate, of: string) => [thousands(r.median), of === "plain" ? "1" : `${two(r.to_plain)} (${two(r.least)} to ${two(r.most)})`];
  return [table("Connections and bulk transfer, in one run of pgauthmatrix bench", ["Transport", "Connections /s", "to plaintext", "MiB/s", "to plaintext"],
    m.transports.map((t) => [names[t.name] ?? t.name, ...rate(t.connections, t.name), ...rate(t.mib, t.name)]), [1, 2, 3, 4]),
    h("p", { class: "muted" }, `Measured by pgauthmatrix bench on ${m.start.slice(0, 16).replace("T", " ")} UTC, not by the cells of this run: ${m.rounds} rounds of ${m.seconds} s for each figure, the transports in turn, PostgreSQL ${m.server} and ${m.client} in containers of one machine, without the relay. Connections: pgbench -C, ${m.at_a_time} at a time. Transfer: one session that reads. Figures are medians of the rounds; a ratio is that of the same round, with the least and the most.`)];
}

/** pairs compares cells that differ in one axis alone. */
function pairs(index: Index, usable: (i: number) => unknown, o: { axis: string; from: string; to: string; title: string }): Node[] {
  const axis = index.field(o.axis);
  if (!axis?.texts) return [];
  const from = axis.texts.findIndex((t) => t[0] === o.from), to = axis.texts.findIndex((t) => t[0] === o.to);
  const others = index.axes.filter((n) => n !== o.axis).map((n) => index.table.column("axis:" + n));
  const key = (i: number) => index.scenario[i] + ":" + others.map((c) => c[i]).join(",");
  const base = new Map<string, number>();
  for (let i = 0; i < index.rows; i++) if (axis.values[i] === from && usable(i)) base.set(key(i), i);
  const connections = index.table.column("connections"), rounds = index.table.column("rounds"), tenths = index.table.column("tenths");
  interface Group { ticket: string; was: string; is: string; n: number; connections: number[]; rounds: number[]; ms: number[]; base: number[] }
  const groups = new Map<string, Group>();
  for (let i = 0; i < index.rows; i++) {
    if (axis.values[i] !== to || !usable(i)) continue;
    const b = base.get(key(i));
    if (b === undefined) continue;
    const ticket = index.axis("ticket", i), was = index.about.classes[index.obtained[b]!]!.letter, is = index.about.classes[index.obtained[i]!]!.letter;
    const k = `${ticket} ${was} ${is}`;
    let g = groups.get(k);
    if (!g) groups.set(k, (g = { ticket, was: index.about.classes[index.obtained[b]!]!.label, is: index.about.classes[index.obtained[i]!]!.label, n: 0, connections: [], rounds: [], ms: [], base: [] }));
    g.n++;
    g.connections.push(connections[i]! - connections[b]!); g.rounds.push(rounds[i]! - rounds[b]!); g.ms.push((tenths[i]! - tenths[b]!) / 10); g.base.push(tenths[b]! / 10);
  }
  if (!groups.size) return [];
  return [table(o.title, ["Ticket", `With ${o.from}`, `With ${o.to}`, "Pairs", "Connections", "Round trips", "ms", `ms with ${o.from}`],
    [...groups.values()].sort((a, b) => b.n - a.n).slice(0, 20).map((g) => [g.ticket, g.was, g.is, thousands(g.n), signed(median(g.connections)), signed(median(g.rounds)), signed(median(g.ms)), one(median(g.base))]), [3, 4, 5, 6, 7])];
}
