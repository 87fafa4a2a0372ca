// Retries and dead letters, and what is done about the latter.
import { $, element } from "../shared/element.js";
import { count, duration, fill, sessionLink, time } from "./dom.js";

const PAGE = 50;
const keyOf = (l) => `${l.session}/${l.command_seq}`;

export class Failures {
  #api;
  #retries = [];
  #letters = [];
  #next = null;
  #chosen = new Set();
  #filter = {};
  #isActing = false;

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
    const page = await this.#api.get("retries", { after, limit: PAGE });
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

  async #load({ keepsNote = false } = {}) {
    const form = $("letters-filter");
    this.#filter = { session: form.session.value.trim(), type: form.type.value.trim(), error: form.error.value };
    this.#letters = [];
    this.#chosen.clear();
    this.#next = null;
    if (!keepsNote) $("letters-note").textContent = "";
    await this.#loadMore();
  }
  async #loadMore() {
    try {
      const page = await this.#api.get("dead-letters", { ...this.#filter, resolved: $("letters-filter").resolved.checked ? "true" : undefined, below: this.#next, limit: PAGE });
      this.#letters.push(...page.letters);
      this.#next = page.next;
    } catch (error) {
      $("letters-note").textContent = error.message;
    }
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
    const isIdle = !this.#isActing;
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
    try {
      const whole = await this.#api.get("dead-letter", { session: l.session, command_seq: l.command_seq });
      $("letter-data").textContent = JSON.stringify(whole.data, null, 2);
    } catch (error) {
      $("letter-data").textContent = error.message;
    }
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
    const filter = Object.fromEntries(Object.entries(this.#filter).filter(([, v]) => v !== ""));
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
