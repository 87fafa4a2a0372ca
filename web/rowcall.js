// rowcall.js: a client of `rowcall gateway` for browsers and Node (18 or newer), without dependencies.
// Documentation: docs/rowcall-js.md. Types: rowcall.d.ts.
//
//   Rowcall    the HTTP interface: submit (retried under one idempotency key), pages, snapshots, signals
//   Following  live updates of several sessions; resumes by seq, so nothing is lost, doubled or out of order
//   Outbox     commands that are kept until they are stored, across reloads, tabs and lost networks
//   Replica    sessions folded to states, and a cache of their updates: opens without a network
//   *Store     where outbox and replica keep things: IndexedDB in a browser, memory elsewhere

const COMMANDS_PER_REQUEST_MAX = 50;
const SESSIONS_PER_STREAM_MAX = 200;
const PAGE_UPDATES_MAX = 1000;
const OUTBOX_ENTRIES_MAX = 10_000;

/** What went wrong: a problem document of the gateway (RFC 9457), or status 0 for a network that did not answer. */
export class RowcallError extends Error {
  constructor(problem, { retryAfterMs = 0, cause } = {}) {
    super(problem.detail || problem.title || `HTTP ${problem.status}`, cause ? { cause } : undefined);
    this.name = "RowcallError";
    this.problem = problem;
    this.status = problem.status ?? 0;
    this.session = problem.session;
    this.retryAfterMs = retryAfterMs;
  }
  /** The same request may succeed later. */
  get isRetryable() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** A new idempotency key: 128 random bits. */
export function newKey() {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto?.getRandomValues) globalThis.crypto.getRandomValues(bytes);
  else for (let i = 0; i < bytes.length; ++i) bytes[i] = Math.floor(Math.random() * 256);
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** Waits for `ms`, or until the signal aborts. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted) done();
    else signal?.addEventListener("abort", done);
  });
}

/** Growing waits with jitter: many clients of one gateway do not come back in the same moment. */
class Backoff {
  constructor({ firstMs = 200, lastMs = 5000 } = {}) {
    this.firstMs = firstMs;
    this.lastMs = lastMs;
    this.reset();
  }
  reset() {
    this.failures = 0;
  }
  next(atLeastMs = 0) {
    const ms = Math.min(this.lastMs, this.firstMs * 2 ** Math.min(this.failures++, 16));
    return Math.max(atLeastMs, ms * (0.5 + Math.random() / 2));
  }
}

// ---------------------------------------------------------------- HTTP

export class Rowcall {
  /**
   * base: the gateway's address; in a page its own. token: a JWT, or a function (possibly async) that gives one and is
   * called with {renew: true} after a 401; without it the page's cookie counts.
   */
  constructor({ base = globalThis.location?.origin ?? "", token, fetch = globalThis.fetch, timeoutMs = 15_000, backoff = {} } = {}) {
    this.base = base.replace(/\/$/, "");
    this.timeoutMs = timeoutMs;
    this.backoff = backoff;
    this.#token = token;
    this.#fetch = (...args) => fetch(...args);
  }
  #token;
  #fetch;

  set token(token) {
    this.#token = token;
  }

  async #send(method, path, { body, headers = {}, signal, renew = false, anonymous = false }) {
    const token = anonymous ? null : typeof this.#token === "function" ? await this.#token({ renew }) : this.#token;
    if (token) headers = { ...headers, Authorization: `Bearer ${token}` };
    if (body !== undefined) headers = { ...headers, "Content-Type": "application/json" };
    let response;
    try {
      response = await this.#fetch(this.base + path, {
        method,
        headers,
        signal,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        credentials: "same-origin",
      });
    } catch (cause) {
      throw new RowcallError({ title: "the gateway does not answer", status: 0 }, { cause });
    }
    if (response.ok) return response;
    let problem = {};
    try {
      problem = await response.json();
    } catch {
      // A proxy's answer, or none: the status says enough.
    }
    const retryAfterMs = problem.retry_after_ms ?? (Number(response.headers.get("Retry-After") ?? 0) * 1000 || 0);
    throw new RowcallError({ title: response.statusText, ...problem, status: response.status }, { retryAfterMs });
  }

  /** A response whose body is still to be read; throws a RowcallError for every status but 2xx. */
  async open(method, path, options = {}) {
    try {
      return await this.#send(method, path, options);
    } catch (error) {
      if (error.status !== 401 || options.anonymous || typeof this.#token !== "function") throw error;
      return this.#send(method, path, { ...options, renew: true });
    }
  }

  /** One try, bounded in time; the answer's JSON. anonymous: without the token. */
  async request(method, path, { body, headers, signal, anonymous, timeoutMs = this.timeoutMs } = {}) {
    const abort = new AbortController();
    const stop = () => abort.abort();
    const timer = setTimeout(stop, timeoutMs);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      const response = await this.open(method, path, { body, headers, anonymous, signal: abort.signal });
      if (response.status === 204) return null;
      return await response.json();
    } catch (error) {
      if (error instanceof RowcallError) throw error;
      throw new RowcallError({ title: "the answer broke off", status: 0 }, { cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Tries until it succeeds, is refused for good, or the signal aborts. */
  async #persist(signal, attempt) {
    const backoff = new Backoff(this.backoff);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!error.isRetryable || signal?.aborted) throw error;
        await pause(backoff.next(error.retryAfterMs), signal);
        if (signal?.aborted) throw error;
      }
    }
  }

  /** Stores one command, exactly once however often it has to be tried; its receipt. */
  async submit(session, type, data = {}, { key = newKey(), waitMs = 0, signal } = {}) {
    return (await this.submitAll(session, [{ type, data, key }], { waitMs, signal }))[0];
  }

  /** Stores up to 100 commands in this order; their receipts. Commands without a key get one. */
  async submitAll(session, commands, { waitMs = 0, signal } = {}) {
    const keyed = commands.map((c) => ({ ...c, key: c.key ?? newKey() }));
    return this.#persist(signal, () => this.submitOnce(session, keyed, { waitMs, signal }));
  }

  /** One try of submitAll; every command must have a key, and a failed try may be repeated under the same keys. */
  async submitOnce(session, commands, { waitMs = 0, signal } = {}) {
    const body = commands.map(({ type, data = {}, key }) => ({ type, data, idempotency_key: key }));
    const wait = waitMs > 0 ? `?wait=${Math.ceil(waitMs / 1000)}s` : "";
    const answer = await this.request("POST", `/v1/sessions/${session}/commands${wait}`, {
      body,
      headers: { "Idempotency-Key": commands[0].key },
      signal,
      timeoutMs: this.timeoutMs + waitMs,
    });
    return answer.receipts;
  }

  me(options) {
    return this.request("GET", "/v1/me", options);
  }
  chats({ after = "", limit = 100 } = {}) {
    return this.request("GET", `/v1/chats?limit=${limit}${after ? `&after=${after}` : ""}`);
  }
  last(session) {
    return this.request("GET", `/v1/sessions/${session}`);
  }
  snapshot(session, options) {
    return this.request("GET", `/v1/sessions/${session}/snapshot`, options);
  }
  /** {updates, next_after, more} after a seq; throws status 410 where retention removed what was asked for, 400 with last_seq beyond the end. */
  page(session, after = 0, limit = 100) {
    return this.request("GET", `/v1/sessions/${session}/updates?after=${after}&limit=${limit}`);
  }
  /** {updates, prev_before, more, gone?} that precede a seq (or "end"), ascending. */
  before(session, before = "end", limit = 100) {
    return this.request("GET", `/v1/sessions/${session}/updates?before=${before}&limit=${limit}`);
  }
  /** Ephemeral: reaches who has a stream of the session open, or nobody. */
  signal(session, type, data = {}) {
    return this.request("POST", `/v1/sessions/${session}/signals`, { body: { type, data }, timeoutMs: 5000 });
  }

  /** Live updates; `sessions` is {session: after}, after a seq, or "end". See Following. */
  follow(sessions, handlers, options) {
    return new Following(this, sessions, handlers, options);
  }
}

// ---------------------------------------------------------------- server-sent events

/** Text of a stream in, events out: {event, data, id}. Comments count as signs of life only. */
export class EventParser {
  #rest = "";
  #event = "";
  #data = [];
  #id;

  feed(text) {
    const events = [];
    let buffer = this.#rest + text;
    // A carriage return at the end may be the first half of a line's end.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
        this.#event = "";
        this.#data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
      if (field === "data") this.#data.push(value);
      else if (field === "event") this.#event = value;
      else if (field === "id") this.#id = value;
    }
    return events;
  }
}

/**
 * Follows sessions over one stream, and reconnects for ever from the seqs it has got to.
 *
 *   waiting ─► connecting ─► catching-up ─ready─► live
 *      ▲────────────┴─────────────┴────────────────┘ broken, silent, drained, or the set of sessions changed
 *
 * Handlers (all optional): updates(session, updates) ascending and without a gap; gone(session, snapshot) instead of what
 * retention removed; left(session); foreign(session): the database was restored, or is another one, and what was told of
 * the session is void; ready(); signal({session, type, from, data}); state(state); unauthorized(); failed(error).
 */
export class Following {
  #client;
  #handlers;
  #options;
  #positions = new Map();
  #incarnations = new Map(); // of the databases that the positions are of; without: of the one that is found first
  #connection = null;
  #wakeUp = null;
  #lastByte = 0;
  #closed = false;
  #paused = false;
  #changed = false; // the set of sessions, since the last connection began
  #gapAt = new Map();
  #state = "waiting";
  #watch;
  #listeners = [];

  constructor(client, sessions, handlers, { silenceMs = 40_000, staleMs = 20_000, backoff = client.backoff, now = Date.now } = {}) {
    this.#client = client;
    this.#handlers = handlers;
    this.#options = { silenceMs, staleMs, backoff, now };
    for (const [session, after] of Object.entries(sessions)) this.#place(session, after);
    let lastTick = now();
    const period = Math.min(5000, silenceMs / 4);
    this.#watch = setInterval(() => {
      const at = now();
      // The timer itself came late: the machine slept, and the connection with it.
      if (at - lastTick > period + staleMs) this.wake();
      else if (this.#connection && at - this.#lastByte > silenceMs) this.#connection.abort();
      lastTick = at;
    }, period);
    this.#watch.unref?.();
    if (typeof globalThis.addEventListener === "function" && globalThis.document) {
      const wake = () => this.wake();
      const shown = () => document.visibilityState === "visible" && this.wake();
      for (const [target, type, handler] of [[globalThis, "online", wake], [globalThis, "pageshow", wake], [document, "visibilitychange", shown]]) {
        target.addEventListener(type, handler);
        this.#listeners.push(() => target.removeEventListener(type, handler));
      }
    }
    this.#run();
  }

  get state() {
    return this.#state;
  }
  /** Where a session is: the seq of its last update that was handed over. */
  position(session) {
    return this.#positions.get(session);
  }
  /** incarnation: of the database that `after` was read from, for whoever remembers it. */
  add(session, after, incarnation) {
    if (this.#positions.has(session)) return;
    this.#place(session, after);
    if (incarnation) this.#incarnations.set(session, incarnation);
    this.#restart();
  }
  remove(session) {
    if (this.#forget(session)) this.#restart();
  }
  /** Of the database that the session's updates are of; undefined before the first connection. */
  incarnation(session) {
    return this.#incarnations.get(session);
  }
  /** Looks now instead of waiting: the network is back, or a token was renewed. */
  wake() {
    this.#paused = false;
    if (this.#connection && this.#options.now() - this.#lastByte > this.#options.staleMs) this.#connection.abort();
    this.#wakeUp?.();
  }
  close() {
    this.#closed = true;
    clearInterval(this.#watch);
    for (const remove of this.#listeners) remove();
    this.#restart();
    this.#setState("closed");
  }

  #place(session, after) {
    if (this.#positions.size >= SESSIONS_PER_STREAM_MAX) throw new RangeError(`${SESSIONS_PER_STREAM_MAX} sessions are followed already`);
    this.#positions.set(session, after);
  }
  #restart() {
    this.#changed = true;
    this.#connection?.abort("changed");
    this.#wakeUp?.();
  }
  #setState(state) {
    if (this.#state === state || (this.#closed && state !== "closed")) return;
    this.#state = state;
    this.#handlers.state?.(state);
  }
  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? 0 : setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => (this.#wakeUp = null));
  }

  async #run() {
    const backoff = new Backoff(this.#options.backoff);
    while (!this.#closed) {
      if (this.#positions.size === 0 || this.#paused) {
        this.#setState("waiting");
        await this.#sleep(Infinity);
        continue;
      }
      // Several sessions are often added at once: one connection for all of them.
      await pause(0);
      this.#changed = false;
      let atLeastMs = 0;
      const connection = (this.#connection = new AbortController());
      try {
        await this.#stream(connection, backoff);
      } catch (error) {
        if (!(error instanceof RowcallError)) this.#handlers.failed?.(error);
        atLeastMs = error.retryAfterMs ?? 0;
        await this.#refused(error);
      } finally {
        this.#connection = null;
        connection.abort();
      }
      if (this.#closed || this.#changed) continue;
      this.#setState("waiting");
      await this.#sleep(backoff.next(atLeastMs));
    }
  }

  /** Answers that change what to ask for next. */
  async #refused(error) {
    if (error.status === 401) {
      this.#paused = true;
      this.#handlers.unauthorized?.();
    } else if (error.status === 403 && this.#positions.has(error.session)) {
      this.#left(error.session);
      this.#changed = true;
    } else if (error.status === 400 && error.problem.last_seq < Number(this.#positions.get(error.session))) {
      // What was followed is not there: the gateway has another database than before.
      this.#changed = true;
      this.#foreign(error.session);
    } else if (error.status === 410) {
      if (await this.#gone(error.session ?? [...this.#positions.keys()][0])) this.#changed = true;
    } else if (error.status >= 400 && !error.isRetryable) {
      this.#paused = true;
      this.#handlers.failed?.(error);
    }
  }

  #forget(session) {
    this.#incarnations.delete(session);
    return this.#positions.delete(session);
  }
  #left(session) {
    this.#forget(session);
    this.#handlers.left?.(session);
  }
  #foreign(session) {
    this.#forget(session);
    this.#handlers.foreign?.(session);
  }
  /** False when what is known of the session is of another database. */
  #isOf(session, incarnation) {
    if (!incarnation) return true; // of a gateway that does not tell
    if (!this.#incarnations.has(session)) this.#incarnations.set(session, incarnation);
    return this.#incarnations.get(session) === incarnation;
  }

  async #gone(session) {
    try {
      const snapshot = await this.#client.snapshot(session);
      if (!this.#positions.has(session)) return false;
      if (!this.#isOf(session, snapshot.incarnation)) {
        this.#foreign(session);
        return true;
      }
      if (!(snapshot.seq > Number(this.#positions.get(session)))) return false;
      this.#positions.set(session, snapshot.seq);
      this.#handlers.gone?.(session, snapshot);
      return true;
    } catch {
      return false; // tried again with the next connection
    }
  }

  async #stream(connection, backoff) {
    this.#setState("connecting");
    this.#lastByte = this.#options.now();
    const query = [...this.#positions].map(([session, after]) => `session=${session}:${after}`).join("&");
    const response = await this.#client.open("GET", `/v1/stream?${query}`, {
      headers: { Accept: "text/event-stream" },
      signal: connection.signal,
    });
    this.#setState("catching-up");
    const parser = new EventParser();
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done || connection.signal.aborted) return;
        this.#lastByte = this.#options.now();
        await this.#take(parser.feed(decoder.decode(value, { stream: true })), connection, backoff);
      }
    } catch (error) {
      if (error instanceof RowcallError) throw error;
      if (!connection.signal.aborted && !(error instanceof TypeError) && error?.name !== "AbortError") throw error;
      throw new RowcallError({ title: "the stream broke off", status: 0 }, { cause: error });
    }
  }

  async #take(events, connection, backoff) {
    let batch = [];
    const flush = () => {
      const updates = batch;
      batch = [];
      if (updates.length > 0) this.#handlers.updates?.(updates[0].session, updates);
    };
    try {
      for (const { event, data } of events) {
        // A session was added or removed by a handler: the rest comes again on the next connection.
        if (connection.signal.aborted) break;
        const body = JSON.parse(data);
        if (event === "message") {
          if (batch.length > 0 && batch[0].session !== body.session) flush();
          if (this.#accept(body)) batch.push(body);
          continue;
        }
        flush();
        if (event === "incarnation") {
          const foreign = [...this.#positions.keys()].filter((session) => !this.#isOf(session, body.incarnation));
          if (foreign.length > 0) this.#restart();
          foreign.forEach((session) => this.#foreign(session));
        } else if (event === "ready") {
          backoff.reset();
          for (const [session, seq] of Object.entries(body.positions ?? {}))
            if (this.#positions.get(session) === "end") this.#positions.set(session, seq);
          this.#setState("live");
          this.#handlers.ready?.();
        } else if (event === "signal") this.#handlers.signal?.(body);
        else if (event === "left") this.#left(body.session);
        else if (event === "gone") await this.#gone(body.session);
        else if (event === "expired") throw new RowcallError({ title: "the token has expired", status: 401 });
      }
    } finally {
      flush(); // what was accepted before an error, too: it will not come again
    }
  }

  /** True for the very next update of its session. */
  #accept(update) {
    const position = this.#positions.get(update.session);
    if (position === undefined) return false;
    if (position !== "end" && update.seq <= position) return false;
    if (position !== "end" && update.seq !== position + 1 && this.#gapAt.get(update.session) !== position) {
      // Something is missing. Ask again from here; if it is still missing then, it was removed in between.
      this.#gapAt.set(update.session, position);
      throw new RowcallError({ title: `a gap after update ${position}`, status: 0, session: update.session });
    }
    if (position !== "end" && update.seq !== position + 1)
      throw new RowcallError({ title: "removed by retention", status: 410, session: update.session });
    this.#gapAt.delete(update.session);
    this.#positions.set(update.session, update.seq);
    return true;
  }
}

// ---------------------------------------------------------------- stores

/** Ordered tables in memory, with the interface of IndexedDbStore. Keys are numbers, strings, or arrays of them. */
export class MemoryStore {
  #tables = new Map();
  #nextId = 1;
  name = "memory";

  #table(name) {
    if (!this.#tables.has(name)) this.#tables.set(name, new Map());
    return this.#tables.get(name);
  }
  async get(table, key) {
    return structuredClone(this.#table(table).get(JSON.stringify(key))?.value);
  }
  /** All or nothing: [["put", table, key, value] | ["delete", table, key], …] */
  async apply(changes) {
    for (const [what, table, key, value] of changes) {
      if (what === "put") this.#table(table).set(JSON.stringify(key), { key, value: structuredClone(value) });
      else this.#table(table).delete(JSON.stringify(key));
    }
  }
  /** Puts the value under a number larger than all before, which becomes its `id`. */
  async insert(table, value) {
    const id = this.#nextId++;
    await this.apply([["put", table, id, { ...value, id }]]);
    return id;
  }
  /** Of each row that is there: what `change` makes of it (undefined: nothing, null: it goes), with nothing in between. */
  async update(table, keys, change) {
    for (const key of keys) {
      const row = this.#table(table).get(JSON.stringify(key));
      const after = row && change(structuredClone(row.value));
      if (after === null) this.#table(table).delete(JSON.stringify(key));
      else if (after !== undefined) row.value = structuredClone(after);
    }
  }
  async list(table, first, last) {
    return [...this.#table(table).values()]
      .filter(({ key }) => (first === undefined || compareKeys(key, first) >= 0) && (last === undefined || compareKeys(key, last) <= 0))
      .sort((a, b) => compareKeys(a.key, b.key))
      .map(({ value }) => structuredClone(value));
  }
  async deleteRange(table, first, last) {
    for (const [name, { key }] of this.#table(table)) if (compareKeys(key, first) >= 0 && compareKeys(key, last) <= 0) this.#table(table).delete(name);
  }
  onChange() {}
  announce() {}
  close() {}
}

function compareKeys(a, b) {
  if (!Array.isArray(a)) return a < b ? -1 : a > b ? 1 : 0;
  for (let i = 0; i < a.length; ++i) {
    const order = compareKeys(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
const finished = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });

/** The same in IndexedDB; pages of one origin that open the same name share it and hear of each other's changes. */
export class IndexedDbStore {
  #database;
  #channel;
  #changed = [];

  static async open(name) {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      for (const table of ["updates", "sessions", "marks"]) opening.result.createObjectStore(table);
      opening.result.createObjectStore("outbox", { keyPath: "id", autoIncrement: true });
    };
    return new IndexedDbStore(name, await done(opening));
  }
  constructor(name, database) {
    this.name = name;
    this.#database = database;
    database.onversionchange = () => database.close();
    if (globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#changed.forEach((handler) => handler(data));
    }
  }
  #open(tables, mode) {
    return this.#database.transaction(tables, mode);
  }
  get(table, key) {
    return done(this.#open(table, "readonly").objectStore(table).get(key));
  }
  async apply(changes) {
    if (changes.length === 0) return;
    const transaction = this.#open([...new Set(changes.map(([, table]) => table))], "readwrite");
    for (const [what, table, key, value] of changes) {
      const store = transaction.objectStore(table);
      if (what === "delete") store.delete(key);
      else if (store.keyPath === null) store.put(value, key);
      else store.put(value);
    }
    await finished(transaction);
  }
  async insert(table, value) {
    const transaction = this.#open(table, "readwrite");
    const request = transaction.objectStore(table).add(value);
    await finished(transaction);
    return request.result;
  }
  async update(table, keys, change) {
    if (keys.length === 0) return;
    const transaction = this.#open(table, "readwrite");
    const store = transaction.objectStore(table);
    for (const key of keys) {
      const request = store.get(key);
      request.onsuccess = () => {
        const after = request.result === undefined ? undefined : change(request.result);
        if (after === null) store.delete(key);
        else if (after !== undefined && store.keyPath === null) store.put(after, key);
        else if (after !== undefined) store.put(after);
      };
    }
    await finished(transaction);
  }
  list(table, first, last) {
    const range = first === undefined ? (last === undefined ? undefined : IDBKeyRange.upperBound(last)) : last === undefined ? IDBKeyRange.lowerBound(first) : IDBKeyRange.bound(first, last);
    return done(this.#open(table, "readonly").objectStore(table).getAll(range));
  }
  async deleteRange(table, first, last) {
    const transaction = this.#open(table, "readwrite");
    transaction.objectStore(table).delete(IDBKeyRange.bound(first, last));
    await finished(transaction);
  }
  /** Called with what another page announced. */
  onChange(handler) {
    this.#changed.push(handler);
  }
  announce(what) {
    this.#channel?.postMessage(what);
  }
  close() {
    this.#channel?.close();
    this.#database.close();
  }
}

/** IndexedDB where there is one that works, memory otherwise (Node, private windows of some browsers). */
export async function openStore(name) {
  if (globalThis.indexedDB) {
    try {
      return await IndexedDbStore.open(name);
    } catch {
      // Not remembered across reloads then; everything else is the same.
    }
  }
  return new MemoryStore();
}

// ---------------------------------------------------------------- outbox

/**
 * Commands on their way. An entry: {id, key, session, type, data, note, at, state, tried, command_seq?, reason?}; the note
 * is the application's own. It is written down with its idempotency key before the first try, sent in order, one request
 * at a time over all pages of the store, and again after a reload or a lost answer; the key makes a repeat harmless.
 *
 *   queued ─► stored (command_seq) ─settle()─► removed
 *      └────► refused (reason) ──dismiss() or retry()
 */
export class Outbox {
  #client;
  #store;
  #handlers;
  #locks;
  #entries = [];
  #entriesMax;
  #adding = 0;
  #seen = new Set(); // ids that are about to be settled
  #settling = null;
  #loaded = Promise.resolve();
  #reloading = null;
  #flushing = null;
  #again = false;
  #retryTimer;
  #backoff;
  #listeners = [];
  #closed = false;

  /** Handlers (optional): changed(entries), unauthorized(). */
  static async open(client, store, handlers = {}, options = {}) {
    const outbox = new Outbox(client, store, handlers, options);
    await outbox.#reload();
    outbox.flush();
    return outbox;
  }
  constructor(client, store, handlers, { locks = globalThis.navigator?.locks, backoff = client.backoff, entriesMax = OUTBOX_ENTRIES_MAX } = {}) {
    this.#client = client;
    this.#store = store;
    this.#handlers = handlers;
    this.#entriesMax = entriesMax;
    this.#locks = store instanceof MemoryStore ? undefined : locks;
    this.#backoff = new Backoff(backoff);
    store.onChange((what) => what === "outbox" && this.#reload());
    if (typeof globalThis.addEventListener === "function" && globalThis.document) {
      const wake = () => this.flush();
      for (const type of ["online", "pageshow"]) {
        globalThis.addEventListener(type, wake);
        this.#listeners.push(() => globalThis.removeEventListener(type, wake));
      }
    }
  }

  /** All entries, oldest first. */
  get entries() {
    return this.#entries;
  }
  /** add() would throw: first some have to be settled or dismissed. */
  get isFull() {
    return this.#entries.length + this.#adding >= this.#entriesMax;
  }
  async add(session, type, data = {}, note = {}) {
    if (this.isFull) throw new RangeError(`${this.#entriesMax} commands wait already`);
    const entry = { key: newKey(), session, type, data, note, at: Date.now(), state: "queued", tried: false };
    let id;
    ++this.#adding;
    try {
      id = await this.#store.insert("outbox", entry);
      await this.#changed();
    } finally {
      --this.#adding;
    }
    this.flush();
    return { ...entry, id };
  }
  /** Its effect was seen: forgotten, as soon as it is certain that it is stored. */
  settle(id) {
    this.#seen.add(id);
    return (this.#settling ??= this.#settleSeen());
  }
  /** All that came in one piece in one transaction. */
  async #settleSeen() {
    await null;
    const ids = [...this.#seen];
    this.#seen.clear();
    this.#settling = null;
    await this.#store.update("outbox", ids, (e) => (e.state === "stored" ? null : { ...e, settled: true }));
    await this.#changed();
  }
  /** What was decided against it after it was stored. */
  async refuse(id, reason) {
    await this.#store.update("outbox", [id], (e) => ({ ...e, state: "refused", reason }));
    await this.#changed();
  }
  async dismiss(id) {
    await this.#store.apply([["delete", "outbox", id]]);
    await this.#changed();
  }
  /** As a new command, with a new key and at the end of the queue. */
  async retry(id) {
    const entry = this.#entries.find((e) => e.id === id);
    if (entry?.state !== "refused") return;
    await this.dismiss(id);
    await this.add(entry.session, entry.type, entry.data, entry.note);
  }
  /** Of a session that is foreign now: what was stored in a database that is not there any more is sent again. */
  async resend(session) {
    const stored = this.#entries.filter((e) => e.session === session && e.state === "stored");
    await this.#store.update("outbox", stored.map((e) => e.id), (e) => (e.state === "stored" ? { ...e, state: "queued" } : undefined));
    await this.#changed();
    this.flush();
  }
  close() {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    for (const remove of this.#listeners) remove();
  }

  /** One at a time; what is asked for while one waits is served by it. */
  #reload() {
    return (this.#reloading ??= (async () => {
      await this.#loaded.catch(() => {});
      this.#reloading = null;
      this.#loaded = this.#load();
      await this.#loaded;
    })());
  }
  async #load() {
    this.#entries = await this.#store.list("outbox");
    this.#handlers.changed?.(this.#entries);
  }
  async #changed() {
    this.#store.announce("outbox");
    await this.#reload();
  }

  /** Sends what waits; returns when nothing waits any more or the first try failed. */
  flush() {
    if (this.#closed) return Promise.resolve();
    clearTimeout(this.#retryTimer);
    if (this.#flushing) {
      this.#again = true;
      return this.#flushing;
    }
    const send = () => this.#sendAll();
    this.#flushing = (this.#locks ? this.#locks.request(`rowcall-outbox:${this.#store.name}`, send) : send()).finally(() => {
      this.#flushing = null;
      if (this.#again && !this.#closed) {
        this.#again = false;
        this.flush();
      }
    });
    return this.#flushing;
  }

  async #sendAll() {
    const blocked = new Set();
    while (!this.#closed) {
      this.#again = false;
      await this.#reload();
      const head = this.#entries.find((e) => e.state === "queued" && !blocked.has(e.session));
      if (!head) return;
      const batch = this.#entries.filter((e) => e.state === "queued" && e.session === head.session).slice(0, COMMANDS_PER_REQUEST_MAX);
      try {
        await this.#send(batch);
        this.#backoff.reset();
      } catch (error) {
        if (error.status === 401) {
          this.#handlers.unauthorized?.();
          return;
        }
        if (!(await this.#refused(batch, error))) {
          this.#retryTimer = setTimeout(() => this.flush(), this.#backoff.next(error.retryAfterMs));
          this.#retryTimer.unref?.();
          return;
        }
      }
    }
  }

  async #send(batch) {
    // On record before the first byte leaves: from here on its effect may be seen.
    const untried = batch.filter((e) => !e.tried);
    await this.#store.update("outbox", untried.map((e) => e.id), (e) => ({ ...e, tried: true }));
    await this.#changed();
    const receipts = await this.#client.submitOnce(batch[0].session, batch);
    const seqs = new Map(batch.map((entry, i) => [entry.id, receipts[i].command_seq]));
    await this.#store.update("outbox", [...seqs.keys()], (e) => (e.settled ? null : { ...e, state: "stored", command_seq: seqs.get(e.id) }));
    await this.#changed();
  }

  /** False when the try should be repeated. */
  async #refused(batch, error) {
    if (error.isRetryable || !error.status) return false;
    // Nothing of the batch was stored. The gateway names the bad ones; else each is tried alone.
    const named = (error.problem.errors ?? []).filter((e) => batch[e.index]);
    for (const { index, detail } of named) await this.refuse(batch[index].id, detail);
    if (named.length > 0) return true;
    if (batch.length === 1) {
      await this.refuse(batch[0].id, error.message);
      return true;
    }
    for (const entry of batch) {
      try {
        await this.#send([entry]);
      } catch (single) {
        if (!(await this.#refused([entry], single))) return false;
      }
    }
    return true;
  }
}

// ---------------------------------------------------------------- replica

/**
 * Sessions as states: cached state, else snapshot, then every later update folded in, live. What was seen is kept in the
 * store, so the next opening asks only for what is new, and works without a network.
 *
 * `kinds` maps a session's kind (before the first "-") to {initial(), load(saved), fold(state, update) -> state}.
 * Handlers (optional): changed(session, {state, seq, updates, jumped}), and those of Following except updates and gone.
 */
export class Replica {
  #client;
  #store;
  #kinds;
  #handlers;
  #sessions = new Map();
  #following;
  #writing = Promise.resolve();
  #closed = false;

  constructor(client, store, kinds, handlers = {}, options = {}) {
    this.#client = client;
    this.#store = store;
    this.#kinds = kinds;
    this.#handlers = handlers;
    this.#following = client.follow({}, {
      ...handlers,
      updates: (session, updates) => this.#fold(session, updates),
      gone: (session, snapshot) => this.#jump(session, snapshot),
      left: (session) => {
        this.#sessions.delete(session);
        handlers.left?.(session);
      },
      foreign: async (session) => {
        await this.#writing;
        await this.forget(session);
        handlers.foreign?.(session);
        this.open(session);
      },
    }, options);
  }

  get following() {
    return this.#following;
  }
  /** {state, seq} of an open session. */
  get(session) {
    return this.#sessions.get(session);
  }
  sessions() {
    return [...this.#sessions.keys()];
  }
  #kind(session) {
    return this.#kinds[session.slice(0, session.indexOf("-"))];
  }

  /** From the cache at once; without one the snapshot is asked for, until there is an answer. */
  async open(session) {
    if (this.#sessions.has(session)) return;
    if (this.#sessions.size >= SESSIONS_PER_STREAM_MAX) throw new RangeError(`${SESSIONS_PER_STREAM_MAX} sessions are open already`);
    const kind = this.#kind(session);
    const replica = { state: kind.initial(), seq: 0, isReady: false };
    this.#sessions.set(session, replica);
    const cached = await this.#store.get("sessions", session);
    if (this.#sessions.get(session) !== replica) return;
    if (cached) this.#start(session, replica, cached.seq, cached.state, cached.incarnation);
    else this.#firstOpening(session, replica);
  }
  async #firstOpening(session, replica) {
    const backoff = new Backoff(this.#client.backoff);
    while (!this.#closed && this.#sessions.get(session) === replica) {
      try {
        const snapshot = await this.#client.snapshot(session);
        if (this.#closed || this.#sessions.get(session) !== replica) return;
        const kind = this.#kind(session);
        return this.#start(session, replica, snapshot.seq, snapshot.state ? kind.load(snapshot.state) : kind.initial(), snapshot.incarnation);
      } catch (error) {
        if (error.status === 401) this.#handlers.unauthorized?.();
        else if (!error.isRetryable) {
          this.#sessions.delete(session);
          this.#handlers.left?.(session);
          return;
        }
        await pause(backoff.next(error.retryAfterMs));
      }
    }
  }
  #start(session, replica, seq, state, incarnation) {
    Object.assign(replica, { seq, state, isReady: true });
    this.#handlers.changed?.(session, { state, seq, updates: [], jumped: false });
    this.#following.add(session, seq, incarnation);
  }

  close(session) {
    this.#sessions.delete(session);
    this.#following.remove(session);
  }
  shutdown() {
    this.#closed = true;
    this.#following.close();
  }
  /** Not open and not remembered either. */
  async forget(session) {
    this.close(session);
    await this.#store.apply([["delete", "sessions", session]]);
    await this.#store.deleteRange("updates", [session, 0], [session, Infinity]);
  }

  #fold(session, updates) {
    const replica = this.#sessions.get(session);
    if (!replica) return;
    const { fold } = this.#kind(session);
    for (const update of updates) replica.state = fold(replica.state, update);
    replica.seq = updates[updates.length - 1].seq;
    this.#keep(session, replica, updates);
    this.#handlers.changed?.(session, { state: replica.state, seq: replica.seq, updates, jumped: false });
  }
  #jump(session, snapshot) {
    const replica = this.#sessions.get(session);
    if (!replica) return;
    replica.state = this.#kind(session).load(snapshot.state);
    replica.seq = snapshot.seq;
    this.#keep(session, replica, []);
    this.#handlers.changed?.(session, { state: replica.state, seq: replica.seq, updates: [], jumped: true });
  }
  /** State, seq and updates in one transaction, one after the other: the cache is always some moment of the log. */
  #keep(session, { state, seq }, updates) {
    const changes = updates.map((u) => ["put", "updates", [session, u.seq], u]);
    changes.push(["put", "sessions", session, structuredClone({ state, seq, incarnation: this.#following.incarnation(session) })]);
    this.#writing = this.#writing.then(() => this.#store.apply(changes)).catch(() => {}); // full: the cache lags behind
  }
  /** When all that was handed over is in the store. */
  async written() {
    await this.#writing;
  }

  /**
   * The updates first…last (seqs) of a session, from the cache where it has all of them. {updates, gone}; `gone`: there is
   * nothing before the first of these, retention removed it.
   */
  async history(session, first, last) {
    const cached = await this.#store.list("updates", [session, first], [session, last]);
    if (cached.length === last - first + 1) return { updates: cached, gone: false };
    const limit = Math.min(PAGE_UPDATES_MAX, last - first + 1);
    const page = await this.#client.before(session, last + 1, limit);
    // After a restore the page may be of another database than the cache: it is shown, and not kept.
    if (!page.incarnation || page.incarnation === this.#following.incarnation(session))
      this.#writing = this.#writing.then(() => this.#store.apply(page.updates.map((u) => ["put", "updates", [session, u.seq], u]))).catch(() => {});
    return { updates: page.updates, gone: Boolean(page.gone) };
  }
  /** Keeps the last `count` updates of a session in the cache. */
  async trim(session, count) {
    const seq = this.get(session)?.seq ?? 0;
    if (seq > count) await this.#store.deleteRange("updates", [session, 0], [session, seq - count]);
  }
}
