// Retries and dead letters, and what is done about the latter.
import { $, element, released } from "../shared/element.js";
import { Latest } from "./api.js";
import { count, duration, fill, sessionLink, time } from "./dom.js";

const PAGE = 50;
const keyOf = (l) => `${l.session}/${l.command_seq}`;

export class Failures {
  #api;
  #retries = [];
  #letters = [];
  #next = null;
  #chosen = new Set();
  #shown = { filter: {} }; // what the letters were asked for with
  #isLoading = false;
  #isActing = false;
  #retriesAsked = new Latest();
  #lettersAsked = new Latest();
  #letterAsked = new Latest();

  constructor(api) {
    this.#api = api;
    $("letters-filter").onsubmit = (event) => {
      event.preventDefault();
      this.#load();
    };
    $("letters-more").onclick = () => this.#loadMore();
    $("retries-more").onclick = () => this.#loadRetries(this.#retries.at(-1)?.session);
    for (const what of ["redrive", "drop"]) {
      $(`${what}-chosen`).onclick = () => this.#actOnChosen(what);
      $(`${what}-all`).onclick = () => this.#actOnAll(what);
    }
  }

  async show(session) {
    if (session) $("letters-filter").session.value = session;
    await Promise.all([this.#load(), this.#loadRetries()]);
  }

  async #loadRetries(after) {
    const seen = await this.#retriesAsked.ask(this.#api.get("retries", { after, limit: PAGE }).finally(released));
    if (!seen) return;
    $("retries-note").textContent = seen.error ? `Not loaded: ${seen.error.message}` : "";
    if (seen.error) return;
    const page = seen.answer;
    this.#retries = after ? [...this.#retries, ...page.retries] : page.retries;
    $("retries-more").hidden = !page.more;
    fill($("retries"), [
      { title: "Session", of: (r) => sessionLink(r.session) },
      { title: "Command", of: (r) => `${r.command_seq} ${r.type}` },
      { title: "Attempts", kind: "number", of: (r) => count(r.attempts) },
      { title: "Next", kind: "number", of: (r) => (r.next_in_ms > 0 ? `in ${duration(r.next_in_ms)}` : "due") },
      { title: "Error", kind: "wrap", of: (r) => r.error || (r.armed_by ? `was being tried by ${r.armed_by}` : "") },
      { title: "Submitted", of: (r) => (r.submitted_at ? time(r.submitted_at) : "") },
    ], this.#retries, { key: (r) => r.session, empty: "Nothing is held." });
  }

  // ---------------------------------------------------------------- dead letters

  /** By the filter, from the newest. What is shown stays until the answer is there, but nothing can be done to it. */
  async #load({ keepsNote = false } = {}) {
    const form = $("letters-filter");
    const filter = { session: form.session.value.trim(), type: form.type.value.trim(), error: form.error.value };
    if (!keepsNote) $("letters-note").textContent = "";
    this.#isLoading = true;
    this.#enable();
    await this.#loadPage({ filter, resolved: form.resolved.checked ? "true" : undefined });
  }
  async #loadMore() {
    $("letters-note").textContent = "";
    await this.#loadPage(this.#shown, this.#next);
  }
  async #loadPage(wanted, below) {
    const seen = await this.#lettersAsked.ask(this.#api.get("dead-letters", { ...wanted.filter, resolved: wanted.resolved, below, limit: PAGE }).finally(released));
    if (!seen) return;
    this.#isLoading = false;
    if (seen.error) {
      $("letters-note").append(` Not loaded: ${seen.error.message}`);
      this.#enable();
      return;
    }
    if (!below) this.#chosen.clear();
    this.#letters = below ? [...this.#letters, ...seen.answer.letters] : seen.answer.letters;
    this.#shown = wanted;
    this.#next = seen.answer.next;
    this.#draw();
  }

  #draw() {
    const box = (l) => {
      const input = element("input", { type: "checkbox", "aria-label": `Choose ${keyOf(l)}`, disabled: l.resolution !== "open" });
      input.checked = this.#chosen.has(keyOf(l));
      input.onchange = () => {
        if (input.checked) this.#chosen.add(keyOf(l));
        else this.#chosen.delete(keyOf(l));
        this.#enable();
      };
      return input;
    };
    fill($("letters"), [
      { title: "", of: box },
      { title: "Session", of: (l) => sessionLink(l.session) },
      { title: "Command", of: (l) => element("button.link", { onclick: () => this.#showLetter(l) }, `${l.command_seq} ${l.type}`) },
      { title: "Error", kind: "wrap", of: (l) => l.error },
      { title: "Attempts", kind: "number", of: (l) => count(l.attempts) },
      { title: "Failed", of: (l) => time(l.failed_at) },
      { title: "State", of: (l) => (l.resolution === "redriven" ? `redriven as ${l.redriven_seq}` : l.resolution) },
    ], this.#letters, { key: keyOf, empty: this.#next ? "None fits so far; there is more to look at." : "No dead letters." });
    $("letters-more").hidden = this.#next === null;
    this.#enable();
  }
  #enable() {
    const isIdle = !this.#isActing && !this.#isLoading;
    $("letters-more").disabled = this.#isLoading;
    for (const what of ["redrive", "drop"]) {
      $(`${what}-chosen`).disabled = !isIdle || this.#chosen.size === 0;
      $(`${what}-all`).disabled = !isIdle || !this.#letters.some((l) => l.resolution === "open");
    }
  }

  async #showLetter(l) {
    const fact = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
    $("letter-title").textContent = `${l.session}, command ${l.command_seq}`;
    $("letter-facts").replaceChildren(fact("Type", l.type), fact("Attempts", count(l.attempts)), fact("Failed", time(l.failed_at)), fact("State", l.resolution), fact("Error", l.error));
    $("letter-data").textContent = "";
    $("letter").showModal();
    const seen = await this.#letterAsked.ask(this.#api.get("dead-letter", { session: l.session, command_seq: l.command_seq }).finally(released));
    if (seen) $("letter-data").textContent = seen.error ? seen.error.message : JSON.stringify(seen.answer.data, null, 2);
  }

  // ---------------------------------------------------------------- acting

  #actOnChosen(what) {
    const letters = this.#letters.filter((l) => this.#chosen.has(keyOf(l)) && l.resolution === "open").map(({ session, command_seq }) => ({ session, command_seq }));
    const pieces = [];
    while (letters.length > 0) pieces.push({ letters: letters.splice(0, 200) });
    const size = pieces.reduce((sum, p) => sum + p.letters.length, 0);
    this.#act(what, `${size === 1 ? "one dead letter" : `${size} dead letters`}`, async (post) => {
      for (const body of pieces) await post(body);
    });
  }

  /** From the newest that is on the screen on downwards: what fails from now on is not meant. */
  #actOnAll(what) {
    const newest = this.#letters.find((l) => l.resolution === "open");
    const filter = Object.fromEntries(Object.entries(this.#shown.filter).filter(([, v]) => v !== ""));
    const words = Object.entries(filter).map(([name, value]) => `${{ session: "session begins with", type: "type is", error: "error has" }[name]} “${value}”`);
    this.#act(what, words.length > 0 ? `all dead letters whose ${words.join(" and ")}` : "ALL dead letters", async (post) => {
      for (let from = newest.place; from; ) from = (await post({ filter, from })).next;
    });
  }

  async #act(what, which, work) {
    const isDrop = what === "drop";
    const isSure = await confirm(
      isDrop ? `Drop ${which}?` : `Redrive ${which}?`,
      isDrop ? "A dropped command is not tried again. This can not be undone." : "A redriven command is submitted again as a new one, behind what its session has got since.",
      isDrop ? "Drop" : "Redrive",
      isDrop,
    );
    if (!isSure) return;
    this.#isActing = true;
    this.#enable();
    let done = 0;
    const failed = [];
    const tell = (end = "") => ($("letters-note").textContent = `${count(done)} ${isDrop ? "dropped" : "redriven"}${failed.length > 0 ? `, ${count(failed.length)} not: ${failed[0].session}/${failed[0].command_seq}: ${failed[0].detail}` : ""}${end}`);
    try {
      await work(async (body) => {
        const answer = await this.#api.post(`dead-letters/${what}`, body);
        done += answer.done.length;
        failed.push(...answer.failed);
        tell(" …");
        return answer;
      });
      tell(".");
    } catch (error) {
      tell(`. Then: ${error.message}`);
    }
    this.#isActing = false;
    await this.#load({ keepsNote: true });
  }
}

function confirm(title, text, verb, isDanger) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-do").textContent = verb;
  $("confirm-do").className = isDanger ? "danger" : "primary";
  dialog.returnValue = "cancel";
  dialog.showModal();
  dialog.querySelector("button[value=cancel]").focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "do"), { once: true }));
}
