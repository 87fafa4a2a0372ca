// One session: its facts, its log, and its state after any update.
import { $, element, released } from "../shared/element.js";
import { Latest } from "./api.js";
import { count, duration, fill, microsBetween, time } from "./dom.js";

const PAGE = 50;
const SCRUB_WAIT_MS = 60;

export class SessionView {
  #api;
  #id = null;
  #head = null;
  #seq = null;
  #page = null;
  #timer = 0;
  #headsAsked = new Latest();
  #statesAsked = new Latest();
  #pagesAsked = new Latest();
  #before = null; // the state that was shown last

  constructor(api) {
    this.#api = api;
    $("session-form").onsubmit = (event) => {
      event.preventDefault();
      const id = $("session-id").value.trim();
      if (location.hash === `#/sessions/${id}`) this.show(id);
      else location.hash = `#/sessions/${id}`;
    };
    $("scrub").oninput = () => this.#scrubTo(Number($("scrub").value));
    $("scrub-first").onclick = () => this.#scrubTo(this.#first);
    $("scrub-back").onclick = () => this.#scrubTo(this.#seq - 1);
    $("scrub-on").onclick = () => this.#scrubTo(this.#seq + 1);
    $("scrub-last").onclick = () => this.#scrubTo(this.#head.last_seq);
    $("log-older").onclick = () => this.#loadLog({ before: this.#page.updates[0].seq });
    $("log-newer").onclick = () => this.#loadLog({ after: this.#page.updates.at(-1).seq });
    $("log-end").onclick = () => this.#loadLog({});
  }

  /** The first update whose state can be had. */
  get #first() {
    const { first_seq: first, first_snapshot_seq: snapshot } = this.#head;
    return first > 1 ? snapshot || first : 0;
  }

  async show(id) {
    $("session-error").textContent = "";
    if (!id) {
      this.#headsAsked.drop();
      $("session-body").hidden = true;
      $("session-id").focus();
      return;
    }
    $("session-id").value = id;
    const seen = await this.#headsAsked.ask(this.#api.get(`sessions/${encodeURIComponent(id)}`).finally(released));
    if (!seen) return;
    if (seen.error) {
      $("session-body").hidden = true;
      $("session-error").textContent = seen.error.message;
      return;
    }
    if (id !== this.#id) this.#clear();
    this.#id = id;
    this.#head = seen.answer;
    this.#before = null;
    this.#draw();
    $("session-body").hidden = false;
    if ($("session-id").value.trim() === id) $("session-title").focus(); // who is writing another one goes on
    await Promise.all([this.#loadLog({}), this.#scrubTo(this.#head.last_seq)]);
  }

  /** What is still to come of the session before is not of the next one. */
  #clear() {
    clearTimeout(this.#timer);
    this.#statesAsked.drop();
    this.#pagesAsked.drop();
    this.#page = null;
    for (const id of ["state", "log"]) $(id).replaceChildren();
    $("state-note").textContent = "";
    for (const id of ["log-older", "log-newer"]) $(id).disabled = true;
  }

  #draw() {
    const h = this.#head;
    $("session-title").textContent = h.session;
    const fact = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
    $("session-facts").replaceChildren(
      fact("First command", time(h.created_at)),
      fact("Updates", h.last_seq === 0 ? "none" : `${count(h.first_seq)} to ${count(h.last_seq)}`),
      fact("Commands", `${count(h.first_command_seq)} to ${count(h.last_command_seq)}`),
      fact("Pending", count(h.pending_commands)),
      fact("Last snapshot", h.last_snapshot_seq ? `at ${count(h.last_snapshot_seq)}` : "none"),
      fact("Dead letters", h.dead === 0 ? "none" : element("a", { href: `#/failures/${h.session}` }, count(h.dead))),
      fact("Shard", h.node ? `${h.shard}, served by ${h.node}` : String(h.shard)),
    );
    $("session-held").hidden = !h.held;
    if (h.held) $("session-held").textContent = `Held by command ${h.held.command_seq} after attempt ${h.held.attempts}: ${h.held.error || "it was being tried when its node ended"}. Next ${h.held.next_in_ms > 0 ? `in ${duration(h.held.next_in_ms)}` : "now"}.`;
    $("scrub").min = this.#first;
    $("scrub").max = h.last_seq;
  }

  // ---------------------------------------------------------------- state

  #scrubTo(seq) {
    this.#seq = Math.max(this.#first, Math.min(this.#head.last_seq, seq));
    $("scrub").value = this.#seq;
    $("scrub").setAttribute("aria-valuetext", `update ${this.#seq} of ${this.#head.last_seq}`);
    $("scrub-seq").textContent = this.#seq;
    $("scrub-first").disabled = $("scrub-back").disabled = this.#seq <= this.#first;
    $("scrub-on").disabled = $("scrub-last").disabled = this.#seq >= this.#head.last_seq;
    this.#markRow();
    // While it is dragged, one request at a time, for where it is by then.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#loadState(), SCRUB_WAIT_MS);
  }

  async #loadState() {
    const seq = this.#seq;
    const seen = await this.#statesAsked.ask(this.#api.get(`sessions/${this.#id}/state`, { seq }));
    if (!seen) return;
    if (seen.error) {
      $("state").replaceChildren();
      $("state-note").textContent = seen.error.message;
    } else {
      const { state, from_snapshot: from, folded } = seen.answer;
      this.#showState(state);
      $("state-note").textContent = `${from ? `The snapshot at ${from}` : "The beginning"} and ${count(folded)} ${folded === 1 ? "update" : "updates"} folded.`;
    }
    this.#showRow(seq);
  }

  /** Lines that the state before did not have are marked. */
  #showState(state) {
    const lines = JSON.stringify(state, null, 2).split("\n");
    const known = this.#before && new Set(this.#before.map((l) => l.replace(/,$/, "")));
    $("state").replaceChildren(...lines.flatMap((line) => [known && !known.has(line.replace(/,$/, "")) ? element("ins", {}, line) : line, "\n"]));
    this.#before = lines;
  }

  // ---------------------------------------------------------------- log

  async #showRow(seq) {
    if (seq === 0 || !this.#page || this.#page.updates.some((u) => u.seq === seq)) return;
    await this.#loadLog({ after: Math.max(0, seq - PAGE / 2) });
  }

  async #loadLog(where) {
    const seen = await this.#pagesAsked.ask(this.#api.get(`sessions/${this.#id}/log`, { limit: PAGE, ...where }).finally(released));
    if (!seen) return;
    if (seen.error) {
      $("session-error").textContent = seen.error.message;
      return;
    }
    if (this.#page && seen.answer.updates.length === 0 && seen.answer.commands.length === 0) return;
    this.#page = seen.answer;
    this.#drawLog();
  }

  #drawLog() {
    const { updates, commands, more_before, more_after } = this.#page;
    const bySeq = new Map(commands.map((c) => [c.command_seq, c]));
    const last = updates.at(-1)?.command_seq ?? 0;
    const rows = updates.map((u, i) => ({ update: u, command: bySeq.get(u.command_seq), isFirst: updates[i - 1]?.command_seq !== u.command_seq }));
    if (!more_after) rows.push(...commands.filter((c) => c.command_seq > Math.max(last, this.#head.processed_command_seq)).map((command) => ({ command, isFirst: true })));
    fill($("log"), [
      { title: "Update", kind: "number", of: ({ update }) => (update ? element("button.link", { onclick: () => this.#scrubTo(update.seq), "aria-label": `State after update ${update.seq}` }, String(update.seq)) : "pending") },
      { title: "What happened", of: ({ update }) => update && data(update) , kind: "data" },
      { title: "Command", kind: "data", of: ({ command, update, isFirst }) => (command ? (isFirst ? data(command, `${command.command_seq} `) : element("span.hint", {}, `${command.command_seq}, as above`)) : update && `${update.command_seq} (removed by retention)`) },
      { title: "At", of: ({ update, command }) => time((update ?? command).at, { isShort: true }) },
      { title: "Waited", kind: "number", of: ({ update, command }) => (update && command ? duration(Math.max(0, microsBetween(command.at, update.at)) / 1000) : "") },
    ], rows, { key: ({ update, command }) => (update ? `u${update.seq}` : `c${command.command_seq}`), rowClass: ({ update }) => (update ? "" : "is-pending"), empty: "Nothing yet.", label: "Updates with the commands that caused them" });
    $("log-older").disabled = !more_before;
    $("log-newer").disabled = !more_after;
    this.#markRow();

    function data(row, before = "") {
      const text = row.data === null ? element("span.hint", {}, `${count(row.data_bytes)} bytes, not shown`) : element("code", { title: JSON.stringify(row.data, null, 1) }, JSON.stringify(row.data));
      return element("span", {}, before, element("strong", {}, row.type), " ", text);
    }
  }

  #markRow() {
    for (const row of $("log").querySelectorAll("tr[data-key]")) {
      const isCurrent = row.dataset.key === `u${this.#seq}`;
      row.classList.toggle("is-current", isCurrent);
      if (isCurrent) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }
}
