// Queries: FIELD:VALUE, and, or, !, parentheses, and counts over clients, versions and two runs. docs/reports.md describes them.

import type { Field, Index } from "./data";

export class QueryError extends Error {
  constructor(readonly column: number, message: string) { super("column " + (column + 1) + ": " + message); }
}

type Mask = Uint8Array;

interface Token { text: string; at: number; quoted?: boolean }

function tokens(query: string): Token[] {
  const list: Token[] = [];
  for (let i = 0; i < query.length;) {
    const c = query[i]!;
    if (/\s/.test(c)) { i++; continue; }
    if ("()|!".includes(c)) { list.push({ text: c, at: i++ }); continue; }
    const at = i;
    let text = "", quoted = false;
    while (i < query.length && !/[\s()|]/.test(query[i]!)) {
      if (query[i] === '"') {
        const end = query.indexOf('"', i + 1);
        if (end < 0) throw new QueryError(i, "the quotation mark is not closed");
        text += query.slice(i + 1, end);
        i = end + 1;
        quoted = true;
      } else text += query[i++];
    }
    list.push({ text, at, quoted });
  }
  return list;
}

/** run evaluates a query: 1 for every cell that matches. Cells that are gone match only where the query asks for them. */
export function run(index: Index, query: string): Mask {
  const list = tokens(query);
  let next = 0, gone = false, then = false; // then: what was observed is that of the baseline
  const look: Look = (name) => (then && index.field("was." + name)) || index.field(name);
  const peek = () => list[next];
  const or = (): Mask => {
    let mask = and();
    while (peek() && (peek()!.text === "|" || word(peek()!, "or"))) {
      next++;
      const other = and();
      mask = mask.map((v, i) => v | other[i]!);
    }
    return mask;
  };
  const and = (): Mask => {
    let mask: Mask | undefined;
    for (let t = peek(); t && t.text !== ")" && t.text !== "|" && !word(t, "or"); t = peek()) {
      if (word(t, "and")) { next++; continue; }
      const other = not();
      if (!mask) mask = other;
      else for (let i = 0; i < mask.length; i++) mask[i]! &= other[i]!;
    }
    if (!mask) throw new QueryError(peek()?.at ?? query.length, "a condition is missing here: FIELD:VALUE, a word, or ( … )");
    return mask;
  };
  const not = (): Mask => {
    const t = peek();
    if (!t) throw new QueryError(query.length, "a condition is missing after !");
    if (t.text === "!" || word(t, "not")) { next++; return not().map((v) => v ^ 1); }
    if (t.text === "(") return inside(t);
    next++;
    const colon = t.text.indexOf(":");
    if (colon <= 0) return words(index, look, t.text);
    const name = t.text.slice(0, colon).toLowerCase(), value = t.text.slice(colon + 1), valueAt = t.at + colon + 1;
    if (!index.about.baseline && (name === "runs" || name === "change" || name === "before" || name.startsWith("was.") || (name === "is" && since.includes(value)))) {
      throw new QueryError(t.at, `${t.text} asks for a baseline, and this page has none: pgauthmatrix render RUN --baseline RUN --format html`);
    }
    if (name === "count" || name === "versions" || name === "runs") {
      const open = peek();
      if (!open || open.text !== "(" ) throw new QueryError(valueAt + value.length, `a condition in parentheses follows: ${name}:1(channel:plain)`);
      const wanted = number(value, valueAt);
      if (name === "runs") {
        if (then) throw new QueryError(t.at, "runs stands in runs");
        const begin = next, now = inside(open);
        next = begin;
        then = true;
        const before = inside(open), was = index.field("was.status")!;
        then = false;
        return now.map((v, i) => (!index.gone[i] && was.texts![was.values[i]!]![0] && wanted(v + before[i]!) ? 1 : 0));
      }
      return count(index, inside(open), wanted, name === "versions");
    }
    if (value === "gone" || (name === "change" && /vanished/i.test(value))) gone = true;
    if (name === "is") return is(index, look, value, valueAt);
    const field = look(name);
    if (!field) throw new QueryError(t.at, `there is no field ${name}${near(name, [...index.fieldNames(), "count", "versions", "is"])}`);
    if (value === "") throw new QueryError(valueAt, `a value is missing: ${name}:VALUE`);
    return match(field, value, valueAt, !!t.quoted);
  };
  const inside = (open: Token): Mask => {
    next++;
    const mask = or();
    if (peek()?.text !== ")") throw new QueryError(open.at, "the parenthesis is not closed");
    next++;
    return mask;
  };
  const mask = list.length ? or() : new Uint8Array(index.rows).fill(1);
  if (peek()) throw new QueryError(peek()!.at, "there is no parenthesis to close");
  return gone ? mask : mask.map((v, i) => v & (index.gone[i]! ^ 1));
}

type Look = (name: string) => Field | undefined;

/** since are the words after is: that hold the run against its baseline. */
const since = ["changed", "worse", "new", "gone"];

function word(t: Token, text: string): boolean { return !t.quoted && t.text.toLowerCase() === text; }

/** number reads 1, >1, >=1, <1, <=1. */
function number(text: string, at: number): (n: number) => boolean {
  const m = /^(>=|<=|>|<|)(\d+)$/.exec(text);
  if (!m) throw new QueryError(at, `${text || "nothing"} is not a number, nor >, >=, < or <= with a number`);
  const n = Number(m[2]);
  switch (m[1]) {
    case ">": return (v) => v > n;
    case ">=": return (v) => v >= n;
    case "<": return (v) => v < n;
    case "<=": return (v) => v <= n;
  }
  return (v) => v === n;
}

function match(field: Field, value: string, at: number, quoted: boolean): Mask {
  const mask = new Uint8Array(field.values.length);
  if (!field.texts) {
    const fits = number(value, at);
    for (let i = 0; i < mask.length; i++) mask[i] = fits(field.values[i]!) ? 1 : 0;
    return mask;
  }
  const compared = /^[<>]/.test(value) ? number(value, at) : undefined;
  const patterns = (quoted ? [value] : value.split(",")).map((v) => new RegExp("^" + v.split("*").map(escape).join(".*") + "$", "is"));
  const fits = field.texts.map((texts) => {
    const all = texts.length ? texts : [""];
    return compared ? all.some((t) => /^\d+(\.\d+)?$/.test(t) && compared(Number(t))) : all.some((t) => patterns.some((p) => p.test(t) || (t === "" && p.test("default"))));
  });
  fill(mask, field, fits);
  return mask;
}

function escape(text: string): string { return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); }

function fill(mask: Mask, field: Field, fits: boolean[]): void {
  if (!fits.includes(true)) return;
  const table = Uint8Array.from(fits, (f) => (f ? 1 : 0));
  const values = field.values;
  for (let i = 0; i < mask.length; i++) mask[i]! |= table[values[i]!]!;
}

/** words looks for a word in all that is said of a cell: names, values, outcome, cause. */
function words(index: Index, look: Look, text: string): Mask {
  const mask = new Uint8Array(index.rows);
  const lower = text.toLowerCase();
  for (const name of index.fieldNames()) {
    if (/^(predicted|was)\.|^(client|version|change|before)$/.test(name)) continue;
    const field = look(name)!;
    if (!field.texts) continue;
    const axis = index.axes.includes(name);
    fill(mask, field, field.texts.map((all) => all.some((t) => t !== "" && (axis ? name + "=" + t : t).toLowerCase().includes(lower))));
  }
  return mask;
}

/** count keeps the cells of those questions of which so many clients (or versions) match. Questions that one alone was asked do not count. */
function count(index: Index, inner: Mask, wanted: (n: number) => boolean, versions: boolean): Mask {
  const boundaries = index.boundaries(), mask = new Uint8Array(index.rows);
  if (!versions) {
    for (let from = 0; from < mask.length;) {
      let to = from, n = 0, asked = 0;
      do {
        n += inner[to]! & (index.gone[to]! ^ 1);
        asked += index.gone[to]! ^ 1;
      } while (++to < mask.length && boundaries[to] === 0);
      if (asked > 1 && wanted(n)) mask.fill(1, from, to);
      from = to;
    }
    return mask;
  }
  const library = index.field("library")!.values;
  for (let from = 0; from < mask.length;) {
    let to = from + 1;
    while (to < mask.length && boundaries[to]! < 2) to++;
    const tried = new Map<number, number>(), matching = new Map<number, number>();
    for (let i = from; i < to; i++) {
      if (index.gone[i]) continue;
      tried.set(library[i]!, (tried.get(library[i]!) ?? 0) + 1);
      matching.set(library[i]!, (matching.get(library[i]!) ?? 0) + inner[i]!);
    }
    for (let i = from; i < to; i++) mask[i] = tried.get(library[i]!)! > 1 && wanted(matching.get(library[i]!)!) ? 1 : 0; // nothing of cells that are gone
    from = to;
  }
  return mask;
}

function is(index: Index, look: Look, value: string, at: number): Mask {
  const mask = new Uint8Array(index.rows);
  switch (value) {
    case "failing": {
      const status = look("status")!;
      fill(mask, status, status.texts!.map(([n]) => index.about.statuses.find((s) => s.name === n)?.fails ?? false));
      return mask;
    }
    case "different": {
      const boundaries = index.boundaries(), obtained = look("obtained")!;
      for (let from = 0; from < mask.length;) {
        let to = from + 1;
        while (to < mask.length && boundaries[to] === 0) to++;
        const seen = new Set<string>();
        for (let i = from; i < to; i++) seen.add(obtained.texts![obtained.values[i]!]![0]!);
        seen.delete("none");
        seen.delete("");
        if (seen.size > 1) mask.fill(1, from, to);
        from = to;
      }
      return mask;
    }
  }
  if (since.includes(value)) {
    const { kinds, worse } = index.about.baseline!, change = look("change")!;
    const wanted = { changed: kinds.filter((k) => k !== "vanished" && k !== "appeared"), worse: kinds.slice(0, worse), new: ["appeared"], gone: ["vanished"] }[value]!;
    fill(mask, change, change.texts!.map(([kind]) => wanted.includes(kind!)));
    return mask;
  }
  throw new QueryError(at, `is:${value} is unknown: want is:failing, is:different, is:changed, is:worse, is:new or is:gone`);
}

/** near suggests the name that was meant. */
function near(name: string, names: string[]): string {
  let best = "", least = 3;
  for (const n of names) {
    const d = distance(name, n);
    if (d < least) [best, least] = [n, d];
  }
  return best ? `; did you mean ${best}?` : `; there are ${names.filter((n) => !/^(predicted|was)\./.test(n)).join(", ")}, and predicted.FIELD`;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** top gives the value of a condition FIELD:VALUE that stands by itself in a query; set puts another in its place. */
export function top(query: string, field: string): string {
  return new RegExp("(?:^|\\s)" + escape(field) + ":([^\\s()|\"]+)(?=\\s|$)").exec(query)?.[1] ?? "";
}

export function set(query: string, field: string, value: string): string {
  const rest = query.replace(new RegExp("(^|\\s)" + escape(field) + ":[^\\s()|\"]+(?=\\s|$)"), " ").trim();
  return [rest, value && field + ":" + value].filter(Boolean).join(" ");
}
