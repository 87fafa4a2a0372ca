// Tables, and how values are written.
import { element } from "../shared/element.js";

/**
 * Fills a table. Columns: {title, of: row -> text or node, kind: "number" | "id" | "wrap" | "data"}. The focus stays where it
 * is when its row is drawn again: rows are known by `key`.
 */
export function fill(table, columns, rows, { empty = "none", key = (row) => row.key, rowClass = () => "", label } = {}) {
  const focused = table.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && { key: focused.closest("tr")?.dataset.key, index: [...(focused.closest("tr")?.querySelectorAll("a, button, input") ?? [])].indexOf(focused) };
  const body = element("tbody");
  for (const row of rows) {
    const line = element("tr", { "data-key": key(row), class: rowClass(row) || undefined });
    for (const c of columns) line.append(element(`td${c.kind ? `.${c.kind}` : ""}`, {}, c.of(row) ?? ""));
    body.append(line);
  }
  if (rows.length === 0) body.append(element("tr", {}, element("td.empty", { colspan: columns.length }, empty)));
  const head = element("thead", {}, element("tr", {}, ...columns.map((c) => element(`th${c.kind === "number" ? ".number" : ""}`, { scope: "col" }, c.title))));
  table.replaceChildren(...(label ? [element("caption.sr", {}, label)] : []), head, body);
  if (place?.key) [...table.querySelectorAll(`tr[data-key="${CSS.escape(place.key)}"] :is(a, button, input)`)][place.index]?.focus();
}

export const sessionLink = (id) => element("a.mono", { href: `#/sessions/${id}` }, id);

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
export const count = (n) => (n >= 100_000 ? short.format(n) : n < 10 ? String(+n.toPrecision(2)) : whole.format(Math.round(n)));
export const rate = (n) => (n >= 10_000 ? short.format(n) : n >= 100 ? whole.format(Math.round(n)) : String(+n.toPrecision(3)));

/** A length of time with two digits that matter: "1.2 ms", "35 s", "4 min", "2 d". */
export function duration(ms) {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms === 0) return "0";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${+ms.toPrecision(ms < 100 ? 2 : 3)} ms`;
  const s = ms / 1000;
  if (s < 120) return `${+s.toPrecision(s < 10 ? 2 : 3)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const clockTime = (ms) => clock.format(ms);
/** With the day, unless it is short and of today. */
export function time(at, { isShort = false } = {}) {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return element("time", { datetime: at, title: at }, (isShort && isToday ? clock : moment).format(date));
}

/** Microseconds between two times of the API, which have six digits after the second. */
export function microsBetween(a, b) {
  const micros = (at) => Date.parse(`${at.slice(0, 19)}Z`) * 1000 + Number(at.slice(20, 26));
  return micros(b) - micros(a);
}
