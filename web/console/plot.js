// A line plot over time as SVG. With the pointer, or with the arrow keys when it has the focus, it says what was when.
import { element } from "../shared/element.js";
import { clockTime } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 170;
const LEFT = 4;
const BOTTOM = 18;
const GAP_MS = 30_000; // without samples for so long, the line is broken

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The next of 1, 2, 5, 10, … at or above a value. */
function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((m) => m * power).find((top) => top >= value * 0.999) ?? value;
}

export class Plot {
  #series;
  #format;
  #title;
  #samples = [];
  #at = null; // index of the sample under the cursor
  #svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", tabindex: "0", role: "img" });
  #values;
  #when = element("li.when");
  #frame = 0;

  /** series: [{name, of: sample -> number or null}], three at most. */
  constructor(title, series, format) {
    this.#title = title;
    this.#series = series;
    this.#format = format;
    this.#values = series.map(() => element("b"));
    const key = (i) => svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, svg("path", { d: "M0 4H22", class: `s${i}` }));
    const legend = element("ul", { "aria-live": "off" }, ...series.map((s, i) => element("li", {}, key(i), `${s.name} `, this.#values[i])), this.#when);
    this.legend = legend;
    this.node = element("figure.plot", {}, element("h3", {}, title), legend, this.#svg);
    this.#svg.addEventListener("pointermove", (e) => this.#point(e));
    this.#svg.addEventListener("pointerleave", () => this.#move(null));
    this.#svg.addEventListener("blur", () => (legend.setAttribute("aria-live", "off"), this.#move(null)));
    this.#svg.addEventListener("keydown", (e) => this.#key(e));
    new ResizeObserver(() => this.#draw()).observe(this.#svg);
  }

  show(samples) {
    this.#samples = samples;
    if (this.#at !== null && this.#at >= samples.length) this.#at = null;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #key(event) {
    const last = this.#samples.length - 1;
    const from = this.#at ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, PageUp: from - 10, PageDown: from + 10 }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.legend.setAttribute("aria-live", "polite");
    this.#move(Math.max(0, Math.min(last, to)));
  }
  #point(event) {
    const box = this.#svg.getBoundingClientRect();
    const { from, to } = this.#range();
    const ms = from + ((event.clientX - box.left) / box.width) * (to - from);
    let best = null;
    this.#samples.forEach((s, i) => {
      if (best === null || Math.abs(s.ms - ms) < Math.abs(this.#samples[best].ms - ms)) best = i;
    });
    this.#move(best);
  }
  #move(index) {
    this.#at = index;
    this.#draw();
  }
  #range() {
    const to = this.#samples.at(-1)?.ms ?? Date.now();
    return { from: Math.min(this.#samples[0]?.ms ?? to, to - 60_000), to };
  }

  #draw() {
    const width = this.#svg.clientWidth || WIDTH;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const samples = this.#samples;
    const { from, to } = this.#range();
    const top = niceTop(Math.max(0, ...samples.flatMap((s) => this.#series.map((l) => l.of(s) ?? 0))));
    const x = (ms) => LEFT + ((ms - from) / (to - from || 1)) * (width - 2 * LEFT);
    const y = (v) => HEIGHT - BOTTOM - (v / top) * (HEIGHT - BOTTOM - 14);
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(svg("line", { class: "grid", x1: 0, x2: width, y1: y(top * share), y2: y(top * share) }));
      if (share === 1 || (share > 0 && this.#format(top * share) !== this.#format(top))) parts.push(svg("text", { x: 2, y: y(top * share) - 3 }, this.#format(top * share)));
    }
    parts.push(svg("text", { x: 2, y: HEIGHT - 4 }, clockTime(from)), svg("text", { x: width - 2, y: HEIGHT - 4, "text-anchor": "end" }, clockTime(to)));
    this.#series.forEach((line, i) => {
      let d = "";
      let before = -Infinity;
      let isUp = true;
      for (const s of samples) {
        const value = line.of(s);
        if (value === null) {
          isUp = true;
          continue;
        }
        // A lone value is a dot: a line of no length with round ends.
        d += isUp || s.ms - before > GAP_MS ? `M${x(s.ms).toFixed(1)} ${y(value).toFixed(1)}h.01` : `L${x(s.ms).toFixed(1)} ${y(value).toFixed(1)}`;
        isUp = false;
        before = s.ms;
      }
      parts.push(svg("path", { d, class: `s${i}` }));
    });
    const shown = samples[this.#at ?? samples.length - 1];
    if (this.#at !== null && shown) parts.push(svg("line", { class: "cursor", x1: x(shown.ms), x2: x(shown.ms), y1: 8, y2: HEIGHT - BOTTOM }));
    this.#svg.replaceChildren(...parts);
    const texts = this.#series.map((l) => (shown && l.of(shown) !== null ? this.#format(l.of(shown)) : "–"));
    texts.forEach((text, i) => (this.#values[i].textContent = text));
    this.#when.textContent = this.#at === null ? "now" : clockTime(shown.ms);
    this.#svg.setAttribute("aria-label", `${this.#title}, ${samples.length} samples. Now: ${this.#series.map((l, i) => `${l.name} ${texts[i]}`).join(", ")}. Arrow keys go through time.`);
  }
}
