// The tables of the page: base64, gzip, columns. Go writes them (html_blob.go).

export type Numbers = Uint8Array | Uint16Array | Uint32Array;

interface Head {
  rows: number;
  columns: { name: string; dict?: string; width: number; at: number }[];
  lists: Record<string, string[]>;
  bytes: [number, number][] | null;
}

export class Table {
  readonly rows: number;
  private readonly columns = new Map<string, Numbers>();
  readonly lists: Record<string, string[]>;
  readonly bytes: Uint8Array[];

  constructor(buffer: ArrayBuffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))) as Head;
    const base = 4 + length + (-length & 3);
    this.rows = head.rows;
    this.lists = head.lists;
    for (const c of head.columns) {
      const at = base + c.at;
      this.columns.set(c.name, c.width === 1 ? new Uint8Array(buffer, at, head.rows) : c.width === 2 ? new Uint16Array(buffer, at, head.rows) : new Uint32Array(buffer, at, head.rows));
    }
    this.bytes = (head.bytes ?? []).map(([at, size]) => new Uint8Array(buffer, base + at, size));
  }

  has(name: string): boolean { return this.columns.has(name); }

  column(name: string): Numbers {
    const c = this.columns.get(name);
    if (!c) throw new Error("no column " + name);
    return c;
  }

  names(): string[] { return [...this.columns.keys()]; }
}

function bytesOf(base64: string): Uint8Array {
  const native = (Uint8Array as unknown as { fromBase64?: (s: string) => Uint8Array }).fromBase64;
  if (native) return native(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** load reads a table out of its element, and removes the element. It is null where the page has no such table. */
export async function load(id: string): Promise<Table | null> {
  const element = document.getElementById(id);
  if (!element) return null;
  const bytes = bytesOf(element.textContent ?? "");
  element.remove();
  const stream = new Blob([bytes as unknown as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Table(await new Response(stream).arrayBuffer());
}

/** Drawn is a table that Go has made: the first columns are settings. */
export interface Drawn { settings: number; header: string[]; rows: string[][] }

export interface About {
  run: string;
  dir: string;
  repeat: string;
  classes: { name: string; letter: string; label: string }[];
  statuses: { name: string; glyph: string; fails: boolean }[];
  fields: string[];
  axes: { name: string; kind: string; doc: string }[];
  versions: Record<string, string>;
  dates: Record<string, string>;
  clients: { name: string; kind: string; image?: string }[];
  reasons: Record<string, string>;
  obtains: string[];
  scenarios: { name: string; question: string; claims?: string[]; museum?: string[]; obtained?: Drawn; bound?: Drawn }[];
  bound: string;
  claims: Record<string, [string, string]>;
  museum: Record<string, [string, string]>;
  baseline?: { run: string; start: string; dir: string; kinds: string[]; worse: number };
  measured?: { start: string; server: string; client: string; rounds: number; seconds: number; at_a_time: number; transports: { name: string; connections: Rate; mib: Rate }[] };
}

/** Rate is the median of the rounds, and the median, least and most of its ratio to plaintext in the same round. */
export interface Rate { median: number; to_plain: number; least: number; most: number }

/** Was is what a cell was in the baseline (html_before.go); status is absent where the baseline has no such cell. */
export interface Was { kind?: string; fields?: string[]; rules?: boolean; status?: string; obtained?: number; cause?: string; outcome?: string[] }

/** Field is something that every cell has: a place in a list of texts, or a number. */
export interface Field {
  values: Numbers;
  texts?: string[][]; // by value; one that has several matches if one of them does
}

export type Class = number;
export const [GSS, Verified, Unverified, Plain, Refused, None] = [0, 1, 2, 3, 4, 5];

/** Index is what is known of all cells without their evidence. */
export class Index {
  readonly rows: number;
  readonly scenario: Numbers;
  readonly status: Numbers;
  readonly obtained: Numbers;
  readonly axes: string[];
  readonly outcomes: string[][]; // by place, the fields; the first has none
  readonly statusNames: string[];
  readonly scenarioNames: string[];
  readonly gone: Uint8Array; // 1: only the baseline has the cell
  readonly own: number; // cells of this run
  private readonly past: (Was | undefined)[]; // by place; undefined: as it is now
  private readonly made = new Map<string, Field>();
  private peers?: Uint8Array;

  constructor(readonly table: Table, readonly about: About) {
    this.rows = table.rows;
    this.scenario = table.column("scenario");
    this.status = table.column("status");
    this.obtained = table.column("obtained");
    this.axes = table.names().filter((n) => n.startsWith("axis:")).map((n) => n.slice(5));
    this.outcomes = table.lists["outcome"]!.map((text) => (text ? (JSON.parse(text) as string[]) : []));
    this.statusNames = table.lists["status"]!;
    this.scenarioNames = table.lists["scenario"]!;
    const one = (name: string, values: Numbers, texts: string[]) => this.made.set(name, { values, texts: texts.map((t) => [t]) });
    const several = (name: string, texts: string[][]) => this.made.set(name, { values: this.scenario, texts });
    one("scenario", this.scenario, this.scenarioNames);
    one("family", this.scenario, this.scenarioNames.map((n) => n.split("/")[0]!));
    const byName = new Map(about.scenarios.map((s) => [s.name, s]));
    several("claim", this.scenarioNames.map((n) => byName.get(n)?.claims ?? []));
    several("museum", this.scenarioNames.map((n) => byName.get(n)?.museum ?? []));
    one("question", this.scenario, this.scenarioNames.map((n) => byName.get(n)?.question ?? ""));
    one("status", this.status, this.statusNames);
    one("obtained", this.obtained, about.classes.map((c) => c.name));
    one("cause", table.column("cause"), table.lists["cause"]!);
    for (const [prefix, column] of [["", "observed"], ["predicted.", "predicted"]] as const) {
      about.fields.forEach((f, i) => one(prefix + f, table.column(column), this.outcomes.map((o) => o[i] ?? "")));
    }
    for (const name of this.axes) one(name, table.column("axis:" + name), table.lists["axis:" + name]!);
    for (const [alias, name] of [["client", "library"], ["version", "server"]] as const) {
      const f = this.made.get(name);
      if (f) this.made.set(alias, f);
    }
    const kinds = new Map(about.clients.map((c) => [c.name, c.kind]));
    const library = this.made.get("library");
    if (library) one("kind", library.values, library.texts!.map((t) => kinds.get(t[0]!) ?? t[0]!));
    this.made.set("connections", { values: table.column("connections") });
    this.made.set("rounds", { values: table.column("rounds") });
    const tenths = table.column("tenths");
    this.made.set("ms", { values: Uint32Array.from(tenths, (t) => Math.round(t / 10)) });
    this.gone = new Uint8Array(this.rows);
    this.past = (table.lists["was"] ?? []).map((text) => (text ? (JSON.parse(text) as Was) : undefined));
    if (about.baseline) this.compare();
    this.own = this.gone.reduce((n, g) => n - g, this.rows);
  }

  /** compare makes the fields about the baseline: change, and was.FIELD for what can be observed. */
  private compare(): void {
    const { about, past, table } = this, was = table.column("was");
    const gone = past.map((w) => (w?.kind === "vanished" ? 1 : 0));
    for (let i = 0; i < was.length; i++) this.gone[i] = gone[was[i]!]!;
    this.made.set("change", { values: was, texts: past.map((w) => (w?.kind ? [w.kind, ...(w.fields ?? [])] : [!w || w.status ? "none" : ""])) });
    // A value is that of now, or behind all of these a place in what was.
    const then = (name: string, now: Numbers, texts: string[], of: (w: Was) => string) =>
      this.made.set("was." + name, { values: Uint32Array.from(now, (v, i) => (past[was[i]!] ? texts.length + was[i]! : v)), texts: [...texts, ...past.map((w) => (w ? of(w) : ""))].map((t) => [t]) });
    then("status", this.status, this.statusNames, (w) => w.status ?? "");
    then("obtained", this.obtained, about.classes.map((c) => c.name), (w) => (w.status ? about.classes[w.obtained ?? 0]!.name : ""));
    then("cause", table.column("cause"), table.lists["cause"]!, (w) => w.cause ?? "");
    const observed = table.column("observed"), values = Uint32Array.from(observed, (v, i) => (past[was[i]!] ? this.outcomes.length + was[i]! : v));
    const all = [...this.outcomes, ...past.map((w) => w?.outcome ?? [])];
    about.fields.forEach((f, k) => this.made.set("was." + f, { values, texts: all.map((o) => [o[k] ?? ""]) }));
    const at = (o: string[], f: string) => o[about.fields.indexOf(f)] ?? "";
    this.made.set("before", { values, texts: all.map((o) => [!o.length ? "" : at(o, "end") === "connected" ? "connected over " + at(o, "channel") : "refused at " + at(o, "stage")]) });
  }

  /** was is what a cell was in the baseline; undefined: what it is now, or there is no baseline. */
  was(row: number): Was | undefined { return this.about.baseline && this.past[this.table.column("was")[row]!]; }

  field(name: string): Field | undefined { return this.made.get(name); }
  fieldNames(): string[] { return [...this.made.keys()]; }

  text(name: string, row: number): string {
    const f = this.made.get(name);
    return f ? (f.texts ? f.texts[f.values[row]!]!.join(" ") : String(f.values[row])) : "";
  }

  axis(name: string, row: number): string {
    return this.axes.includes(name) ? this.table.lists["axis:" + name]![this.table.column("axis:" + name)[row]!]! : "";
  }

  /** id puts a cell's ID together as idOf in html_cells.go does. */
  id(row: number): string {
    const form = this.table.lists["name"]![this.table.column("name")[row]!]!;
    if (form.startsWith("=")) return form.slice(1);
    const parts = form.split("/").map((element) => {
      if (element === "pg*") return "pg" + this.axis("server", row);
      if (element === "*") return idValue(this.axis("library", row));
      return element.split(",").map((part) => (part.endsWith("=*") ? part.slice(0, -1) + idValue(this.axis(part.slice(0, -2), row)) : part)).join(",");
    });
    return this.scenarioNames[this.scenario[row]!] + "/" + parts.join("/");
  }

  /** range gives the rows of a scenario: they stand together. */
  range(scenario: string): [number, number] {
    const place = this.scenarioNames.indexOf(scenario);
    if (place < 0) return [0, 0];
    let low = 0;
    while (low < this.rows && this.scenario[low] !== place) low++;
    let high = low;
    while (high < this.rows && this.scenario[high] === place) high++;
    return [low, high];
  }

  find(id: string): number {
    const [low, high] = this.range(id.split("/").slice(0, 2).join("/"));
    // An ID is put together only where server and client can be those that it names.
    const parts = new Set(id.split("/"));
    const server = this.field("server"), library = this.field("library");
    const servers = server?.texts?.map((t) => parts.has("pg" + t[0])), libraries = library?.texts?.map((t) => parts.has(idValue(t[0]!)));
    const forms = this.table.column("name"), literal = this.table.lists["name"]!.map((f) => f.startsWith("="));
    for (let row = low; row < high; row++) {
      const possible = literal[forms[row]!] || ((!servers || servers[server!.values[row]!]) && (!libraries || libraries[library!.values[row]!]));
      if (possible && this.id(row) === id) return row;
    }
    return -1;
  }

  /**
   * boundaries says of every cell what it shares with the one before it: 0: all but the client; 1: all but client and server;
   * 2: it begins another question. Cells are sorted by their axes, server and client last.
   */
  boundaries(): Uint8Array {
    if (this.peers) return this.peers;
    const at = new Uint8Array(this.rows);
    at[0] = 2;
    const mark = (values: Numbers, as: number) => {
      for (let i = 1; i < at.length; i++) if (values[i] !== values[i - 1] && at[i]! < as) at[i] = as;
    };
    mark(this.scenario, 2);
    for (const name of this.axes) if (name !== "library") mark(this.table.column("axis:" + name), name === "server" ? 1 : 2);
    this.peers = at;
    return at;
  }

  /** serverVersion is the minor version of a server, with the date of its package. */
  serverVersion(major: string): string { return this.dated("server-" + major); }

  /** dated is the version in an image, with the date of its package. */
  private dated(image: string): string { return [short(this.about.versions[image] ?? ""), this.about.dates[image] ?? ""].filter(Boolean).join(" "); }

  clientVersion(name: string): string {
    const image = this.about.clients.find((c) => c.name === name)?.image;
    return image ? this.dated(image) : "";
  }
}

/** short is a package version without the parts that the distribution adds. */
function short(version: string): string { return version.replace(/^\d+:/, "").replace(/[-+].*$/, ""); }

function idValue(value: string): string {
  if (!value) return "default";
  let text = "";
  for (const byte of new TextEncoder().encode(value)) {
    const c = String.fromCharCode(byte);
    text += /[A-Za-z0-9._@+-]/.test(c) ? c : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return text;
}
