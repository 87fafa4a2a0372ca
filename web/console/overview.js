// The overview: numbers, plots, the hottest and the stuck sessions, nodes.
import { $, element, isPressed } from "../shared/element.js";
import { count, duration, fill, rate, sessionLink } from "./dom.js";
import { Plot } from "./plot.js";

const KEPT_MS = 30 * 60_000;
const ms = (us) => us / 1000;

export class Overview {
  #api;
  #sampler = null;
  #samples = [];
  #plots;

  constructor(api) {
    this.#api = api;
    this.#plots = [
      new Plot("Throughput per second", [{ name: "commands", of: (s) => s.commands_per_s }, { name: "updates", of: (s) => s.updates_per_s }], rate),
      new Plot("Latency", [
        { name: "wait p99", of: (s) => (s.wait ? ms(s.wait.p99_us) : null) },
        { name: "wait p50", of: (s) => (s.wait ? ms(s.wait.p50_us) : null) },
        { name: "turn p99", of: (s) => (s.turn ? ms(s.turn.p99_us) : null) },
      ], duration),
      new Plot("Pending commands", [{ name: "pending", of: (s) => s.pending }], count),
      new Plot("Age of the oldest pending", [{ name: "age", of: (s) => s.oldest_pending_ms }], duration),
      new Plot("Failures", [{ name: "attempts failed", of: (s) => s.failures }, { name: "parked", of: (s) => s.parked }, { name: "held now", of: (s) => s.retrying }], count),
      new Plot("Lost wakes found by the sweep", [{ name: "found", of: (s) => s.lost_wakes }], count),
    ];
    $("plots").append(...this.#plots.map((p) => p.node));
  }

  /** Returns what it has seen. One at a time: of two the second brings the first one's samples again. isShown: asked when there is something to draw. */
  async refresh({ isShown }) {
    let seen = await this.#api.get("overview", { after: this.#samples.at(-1)?.number ?? 0 });
    // Another gateway answered, or a new process: its samples are others.
    if (this.#sampler !== null && seen.sampler !== this.#sampler) seen = await this.#api.get("overview");
    if (seen.sampler !== this.#sampler || seen.samples[0]?.number <= (this.#samples.at(-1)?.number ?? 0)) this.#samples = [];
    this.#sampler = seen.sampler;
    this.#samples.push(...seen.samples.map((s) => ({ ...s, ms: Date.parse(s.at) })));
    const last = this.#samples.at(-1)?.ms ?? 0;
    this.#samples = this.#samples.filter((s) => s.ms > last - KEPT_MS);
    if (isShown()) {
      this.#draw(seen);
      await Promise.all([this.#rank("hottest"), this.#rank("stuck")]);
    }
    return seen;
  }

  #draw(seen) {
    if (isPressed()) return; // the next look is soon
    const now = this.#samples.at(-1);
    const lost = this.#samples.reduce((sum, s) => sum + s.lost_wakes, 0);
    const alive = seen.nodes.filter((n) => n.alive).length;
    const tile = (name, value, { isBad = false, unit = "" } = {}) => element(`li${isBad ? ".is-bad" : ""}`, {}, element("span", {}, name), element("strong", {}, value), unit ? element("small", {}, unit) : null);
    $("tiles").replaceChildren(
      tile("Commands", now ? rate(now.commands_per_s) : "–", { unit: "/s" }),
      tile("Updates", now ? rate(now.updates_per_s) : "–", { unit: "/s" }),
      tile("Pending", (seen.pending_is_exact ? "" : "≥ ") + count(seen.pending_commands), { unit: seen.pending_sessions === 1 ? "in 1 session" : `in ${count(seen.pending_sessions)} sessions` }),
      tile("Oldest pending", duration(seen.oldest_pending_ms), { isBad: seen.oldest_pending_ms > 5000 }),
      tile("Held", count(seen.retrying), { isBad: seen.retrying > 0 }),
      tile("Dead letters", count(seen.dead), { isBad: seen.dead > 0 }),
      tile("Lost wakes", count(lost), { unit: "in the plot" }),
      tile("Nodes", String(alive), { isBad: alive === 0 }),
    );
    for (const plot of this.#plots) plot.show(this.#samples);
    fill($("nodes"), [
      { title: "Node", kind: "id", of: (n) => n.node },
      { title: "State", of: (n) => (n.alive ? "alive" : element("span.bad", {}, `gone for ${duration(n.heartbeat_age_ms)}`)) },
      { title: "Version", of: (n) => n.version },
      { title: "Kinds", of: (n) => n.kinds.join(" ") },
      { title: "Shards", kind: "wrap", of: (n) => element("span", { title: n.shards.join(" ") }, `${n.shards.length}: ${ranges(n.shards)}`) },
      { title: "Up", kind: "number", of: (n) => duration(n.uptime_s * 1000) },
      { title: "Turns/s", kind: "number", of: (n) => rate(n.turns_per_s) },
      { title: "Commands/s", kind: "number", of: (n) => rate(n.commands_per_s) },
      { title: "Commands", kind: "number", of: (n) => count(n.commands) },
      { title: "Failures", kind: "number", of: (n) => count(n.failures) },
      { title: "Lost wakes", kind: "number", of: (n) => count(n.lost_wakes) },
    ], seen.nodes, { key: (n) => n.node, empty: "No engine is running." });
  }

  async #rank(order) {
    const ranks = await this.#api.get("sessions", { order, limit: 20 });
    const isHot = order === "hottest";
    if (isPressed()) return;
    fill($(order), [
      { title: "Session", of: (s) => sessionLink(s.session) },
      ...(isHot ? [{ title: "Commands", kind: "number", of: (s) => count(s.recent_commands) }] : []),
      { title: "Pending", kind: "number", of: (s) => count(s.pending_commands) },
      { title: isHot ? "Oldest" : "Waits for", kind: "number", of: (s) => (s.pending_commands > 0 ? duration(s.oldest_pending_ms) : "") },
      ...(isHot ? [] : [{ title: "Held by", kind: "wrap", of: (s) => (s.attempts > 0 ? `attempt ${s.attempts}: ${s.error}` : "") }]),
    ], ranks.sessions, { key: (s) => s.session, empty: isHot ? "Nothing was submitted lately." : "Nothing waits." });
    if (isHot) $("hottest-note").textContent = ranks.window_ms > 0 ? `Of the last ${duration(ranks.window_ms)}${ranks.complete ? "" : ", of which a part was looked at"}.` : "";
    else $("stuck-note").textContent = ranks.complete ? "" : "So much is new that only a part was looked at; held sessions are all there.";
  }
}

/** [1,2,3,7] -> "1–3 7" */
function ranges(numbers) {
  const out = [];
  for (const n of numbers) {
    if (out.at(-1)?.[1] === n - 1) out.at(-1)[1] = n;
    else out.push([n, n]);
  }
  return out.map(([a, b]) => (a === b ? a : `${a}–${b}`)).join(" ");
}
