// Elements. Text from records goes into text nodes alone.

type Child = Node | string | number | null | undefined | false | Child[];
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

const svgNamespace = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.appendChild(child);
    else if (child !== null && child !== undefined && child !== false && child !== "") element.appendChild(document.createTextNode(String(child)));
  }
}

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  return fill(document.createElementNS(svgNamespace, tag) as SVGElement, attributes, children);
}

/** link is an anchor to a state of the page. */
export function link(target: string, ...children: Child[]): HTMLAnchorElement {
  return h("a", { href: target }, children);
}

/** coded is a text of the documentation: what stands between backticks is code. */
export function coded(text: string): Child[] {
  return text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

export function table(caption: string, head: Child[], rows: Child[][], numeric: number[] = [], rowHeaders = 1): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: "plain-table" }, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((c, i) => h("th", { scope: "col", class: numeric.includes(i) ? "number" : undefined }, c)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((c, i) =>
        i < rowHeaders ? h("th", { scope: "row" }, c) : h("td", { class: numeric.includes(i) ? "number" : undefined }, c)))))));
}

export function thousands(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function cells(n: number): string {
  return n === 1 ? "1 cell" : thousands(n) + " cells";
}
