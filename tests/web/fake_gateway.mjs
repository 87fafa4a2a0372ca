// A gateway in memory: the HTTP contract of `rowcall gateway` (docs/http.md) with the chat and user modules behind it, for
// tests that break things on purpose. Everything is decided at once; `hold` keeps the engine still.
//
//   const gateway = await startFakeGateway({ webRoot });   gateway.url, gateway.log(session), await gateway.stop()
//   gateway.faults.push((request) => "drop" | "lose-answer" | {status, problem} | {until: promise} | undefined)
//     asked for each request; until: the answer of now is sent when the promise resolves

import { ServerResponse, createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

import { freePort } from "./ports.mjs";

const SUFFIXES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webmanifest": "application/manifest+json",
};
const SECURITY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TYPES_OF_CHATS = ["chat_joined", "chat_left", "request_refused"];

class Sessions {
  #sessions = new Map();
  listeners = new Set();
  held = false;
  incarnation = "first";
  #waiting = [];
  at = () => new Date().toISOString();

  get(id) {
    if (!this.#sessions.has(id)) this.#sessions.set(id, { id, commands: 0, keys: new Map(), updates: [], removed: 0, state: initial(id), snapshot: null });
    return this.#sessions.get(id);
  }
  has(id) {
    return this.#sessions.has(id);
  }
  all() {
    return [...this.#sessions.values()];
  }
  submit(id, { type, data = {}, idempotency_key: key }) {
    const s = this.get(id);
    if (key !== undefined && s.keys.has(key)) return { session: id, command_seq: s.keys.get(key), outcome: "duplicate" };
    const seq = ++s.commands;
    if (key !== undefined) s.keys.set(key, seq);
    this.#waiting.push({ id, seq, type, data });
    this.run();
    return { session: id, command_seq: seq, outcome: "stored" };
  }
  run() {
    while (!this.held && this.#waiting.length > 0) {
      const { id, seq, type, data } = this.#waiting.shift();
      decide(this, this.get(id), { seq, type, data });
    }
  }
  emit(s, commandSeq, type, data) {
    const update = { session: s.id, seq: s.removed + s.updates.length + 1, command_seq: commandSeq, type, data, at: this.at() };
    if (type === "new_message") data.message_id = update.seq;
    s.updates.push(update);
    apply(s.state, update);
    for (const listener of this.listeners) listener(update);
  }
  last(id) {
    const s = this.get(id);
    return s.removed + s.updates.length;
  }
  /** What retention does: a snapshot of the present, and everything up to `seq` removed. */
  retain(id, seq) {
    const s = this.get(id);
    s.snapshot = { session: id, seq: this.last(id), command_seq: s.commands, state: structuredClone(save(s.state)) };
    s.updates.splice(0, seq - s.removed);
    s.removed = seq;
  }
}

const initial = (id) => (id.startsWith("chat-") ? { name: "", members: new Set() } : { chats: new Set(), selected: "" });
const save = (state) => (state.members ? { name: state.name, members: [...state.members].sort() } : { chats: [...state.chats].sort(), selected: state.selected });

function apply(state, { type, data }) {
  if (type === "chat_created" || type === "chat_renamed") state.name = data.name;
  else if (type === "member_joined") state.members.add(data.user_id);
  else if (type === "member_left") state.members.delete(data.user_id);
  else if (type === "chat_joined") state.chats.add(data.chat_id);
  else if (type === "chat_left") state.chats.delete(data.chat_id);
  else if (type === "chat_selected") state.selected = data.chat_id;
}

function decide(sessions, s, command) {
  const { seq, type, data } = command;
  const emit = (what, more) => sessions.emit(s, seq, what, more);
  const me = s.id.slice(s.id.indexOf("-") + 1);
  if (s.id.startsWith("user-")) {
    if (TYPES_OF_CHATS.includes(type)) return emit(type, data);
    if (type === "select_chat") return emit("chat_selected", { chat_id: data.chat_id });
    if (type === "post_message" && !(data.text?.length > 0)) return emit("command_rejected", { type, reason: 'the string "text" is missing' });
    if (!["create_chat", "join_chat", "leave_chat", "rename_chat", "post_message"].includes(type))
      return emit("command_rejected", { type, reason: `a user knows no command ${type}` });
    emit("request_sent", { chat_id: data.chat_id, request: seq, type });
    return void sessions.submit(data.chat_id, { type, data: { ...data, sender: me, request: seq } });
  }
  if (!s.id.startsWith("chat-")) return emit("command_done", {});
  const who = data.sender;
  const tell = (what, more = {}) => sessions.submit(`user-${who}`, { type: what, data: { chat_id: s.id, ...more, request: data.request } });
  const refuse = (reason) => {
    emit("command_rejected", { type, reason });
    tell("request_refused", { type, reason });
  };
  const about = { chat_id: s.id, user_id: who };
  if (type === "create_chat") {
    if (s.state.name) return refuse(`the chat ${s.id} exists already`);
    emit("chat_created", { ...about, name: data.name });
    emit("member_joined", about);
    return tell("chat_joined", { name: data.name });
  }
  if (!s.state.name) return refuse(`there is no chat ${s.id}`);
  if (type === "join_chat") {
    if (!s.state.members.has(who)) emit("member_joined", about);
    else emit("command_done", {});
    return tell("chat_joined", { name: s.state.name });
  }
  if (!s.state.members.has(who)) return refuse(`${who} is no member of ${s.id}`);
  if (type === "leave_chat") {
    emit("member_left", about);
    return tell("chat_left");
  }
  if (type === "rename_chat") return emit("chat_renamed", { ...about, name: data.name });
  if (type === "post_message") return emit("new_message", { chat_id: s.id, text: data.text, sender: who });
  return refuse(`a chat knows no command ${type}`);
}

export async function startFakeGateway({ webRoot, port, sessions = new Sessions() } = {}) {
  const streams = new Set();
  const gateway = {
    sessions,
    faults: [],
    requests: [],
    streams,
    log: (id) => sessions.get(id).updates,
    post: (user, chat, text) => sessions.submit(`user-${user}`, { type: "post_message", data: { chat_id: chat, text } }),
    cutStreams: () => streams.forEach((s) => s.response.destroy()),
    async stop() {
      sessions.listeners.delete(onUpdate);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  const problem = (response, status, name, more = {}) => {
    response.writeHead(status, { "Content-Type": "application/problem+json" });
    response.end(JSON.stringify({ type: `/problems/${name}`, title: name, status, ...more }));
  };
  const json = (response, status, body, headers = {}) => {
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers });
    response.end(JSON.stringify(body));
  };
  const userOf = (request) => {
    const bearer = /^Bearer fake:(.+)$/.exec(request.headers.authorization ?? "")?.[1];
    return bearer ?? /rowcall_token=fake:([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  };
  const mayFollow = (user, id) => id === `user-${user}` || id.startsWith("echo-") || (id.startsWith("chat-") && sessions.get(id).state.members.has(user));

  function send(stream, event, body, id) {
    stream.response.write(`${event === "message" ? "" : `event: ${event}\n`}${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(body)}\n\n`);
  }
  function onUpdate(update) {
    for (const stream of streams) {
      if (!stream.positions.has(update.session)) continue;
      if (update.seq === stream.positions.get(update.session) + 1) {
        stream.positions.set(update.session, update.seq);
        send(stream, "message", update, update.seq);
      }
      if (update.type === "member_left" && update.data.user_id === stream.user) {
        stream.positions.delete(update.session);
        send(stream, "left", { session: update.session });
      }
    }
  }
  sessions.listeners.add(onUpdate);

  async function api(request, response, url, user, body) {
    const path = url.pathname;
    if (path === "/v1/dev/login" && request.method === "POST") {
      const token = `fake:${body.name}`;
      return json(response, 200, { user: body.name, token, expires_at: "2099-01-01T00:00:00Z" }, { "Set-Cookie": `rowcall_token=${token}; HttpOnly; SameSite=Strict; Path=/` });
    }
    if (path === "/v1/session" && request.method === "DELETE") {
      response.writeHead(204, { "Set-Cookie": "rowcall_token=; Path=/; Max-Age=0" });
      return response.end();
    }
    if (!user) return problem(response, 401, "unauthorized");
    if (path === "/v1/me") return json(response, 200, { user, session: `user-${user}`, expires_at: "2099-01-01T00:00:00Z", operator: false, development: true });
    if (path === "/v1/chats") {
      const after = url.searchParams.get("after") ?? "";
      const rooms = sessions.all().filter((s) => s.id.startsWith("chat-") && s.state.name && s.id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
      const limit = Number(url.searchParams.get("limit") ?? 100);
      return json(response, 200, {
        chats: rooms.slice(0, limit).map((s) => ({ chat_id: s.id, name: s.state.name, members: s.state.members.size, joined: s.state.members.has(user) })),
        more: rooms.length > limit,
      });
    }
    if (path === "/v1/stream") return stream(request, response, url.searchParams.getAll("session").map((s) => s.split(":")), user);

    const [, id, what = ""] = /^\/v1\/sessions\/([A-Za-z0-9_-]+)(?:\/(\w+))?$/.exec(path) ?? [];
    if (!id) return problem(response, 404, "not-found");
    if (what === "commands") {
      if (id !== `user-${user}` && !id.startsWith("echo-")) return problem(response, 403, "forbidden", { session: id });
      const commands = Array.isArray(body) ? body : [body];
      const errors = commands.flatMap((c, index) => (typeof c?.type === "string" ? [] : [{ index, detail: "no type" }]));
      if (errors.length > 0 || commands.length > 100) return problem(response, 422, "invalid-command", { errors });
      if (commands.some((c) => TYPES_OF_CHATS.includes(c.type))) return problem(response, 403, "forbidden");
      const header = request.headers["idempotency-key"];
      const receipts = commands.map((c, i) => sessions.submit(id, { idempotency_key: header && (Array.isArray(body) ? `${header}/${i}` : header), ...c }));
      if (url.searchParams.has("wait")) for (const r of receipts) r.updates = sessions.get(id).updates.filter((u) => u.command_seq === r.command_seq);
      return json(response, url.searchParams.has("wait") ? 200 : 202, { receipts });
    }
    if (!mayFollow(user, id)) return problem(response, 403, "forbidden", { session: id });
    const s = sessions.get(id);
    const { incarnation } = sessions;
    if (what === "") return json(response, 200, { session: id, last_seq: sessions.last(id), last_command_seq: s.commands, incarnation });
    if (what === "snapshot") return json(response, 200, { ...(s.snapshot ?? { session: id, seq: 0, command_seq: 0, state: null }), incarnation });
    if (what === "signals") {
      for (const other of streams) if (other.positions.has(id)) send(other, "signal", { session: id, type: body.type, from: user, data: body.data ?? {} });
      return json(response, 202, {});
    }
    if (what !== "updates") return problem(response, 404, "not-found");
    const limit = Number(url.searchParams.get("limit") ?? 100);
    if (url.searchParams.has("before")) {
      const asked = url.searchParams.get("before");
      const before = asked === "end" || asked === "0" ? sessions.last(id) + 1 : Number(asked);
      const rows = s.updates.slice(Math.max(0, before - 1 - s.removed - limit), Math.max(0, before - 1 - s.removed));
      const first = rows[0]?.seq ?? before;
      const more = first > s.removed + 1;
      return json(response, 200, { session: id, updates: rows, prev_before: first, more, ...(!more && s.removed > 0 ? { gone: true } : {}), incarnation });
    }
    const after = Number(url.searchParams.get("after") ?? 0);
    if (after < s.removed) return gone(response, s);
    if (after > sessions.last(id)) return problem(response, 400, "bad-request", { session: id, last_seq: sessions.last(id) });
    const rows = s.updates.slice(after - s.removed, after - s.removed + limit);
    return json(response, 200, { session: id, updates: rows, next_after: rows.at(-1)?.seq ?? after, more: after + rows.length < sessions.last(id), incarnation });
  }
  const gone = (response, s) => problem(response, 410, "gone", { session: s.id, snapshot: `/v1/sessions/${s.id}/snapshot`, snapshot_seq: s.snapshot.seq });

  function stream(request, response, asked, user) {
    for (const [id] of asked) if (!mayFollow(user, id)) return problem(response, 403, "forbidden", { session: id });
    for (const [id, after] of asked) if (after !== "end" && Number(after ?? 0) < sessions.get(id).removed) return gone(response, sessions.get(id));
    for (const [id, after] of asked)
      if (Number(after) > sessions.last(id)) return problem(response, 400, "bad-request", { session: id, last_seq: sessions.last(id) });
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write("retry: 1000\n\n");
    const it = { response, user, positions: new Map() };
    send(it, "incarnation", { incarnation: sessions.incarnation });
    for (const [id, after = "0"] of asked) {
      const from = after === "end" ? sessions.last(id) : Number(after);
      for (const update of sessions.get(id).updates.slice(from - sessions.get(id).removed)) send(it, "message", update, update.seq);
      it.positions.set(id, sessions.last(id));
    }
    send(it, "ready", { positions: Object.fromEntries(it.positions) });
    streams.add(it);
    response.on("close", () => {
      streams.delete(it);
      for (const id of it.positions.keys())
        if (![...streams].some((o) => o.user === user && o.positions.has(id)))
          for (const other of streams) if (other.positions.has(id)) send(other, "signal", { session: id, type: "left_stream", from: user, data: {} });
    });
  }

  async function files(response, path) {
    if (path === "/") return response.writeHead(302, { Location: "/chat/" }).end();
    const name = normalize(path.endsWith("/") ? path + "index.html" : path);
    const type = SUFFIXES[extname(name)];
    let body = null;
    if (webRoot && type && !name.includes("..")) body = await readFile(join(webRoot, name)).catch(() => null);
    if (body === null) return problem(response, 404, "not-found");
    response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": SECURITY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache" });
    response.end(body);
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
    const seen = { method: request.method, path: url.pathname, url, body, user: userOf(request) };
    if (!url.pathname.startsWith("/v1/")) return files(response, url.pathname);
    gateway.requests.push(seen);
    const fault = gateway.faults.map((f) => f(seen)).find(Boolean);
    if (fault === "drop") return request.socket.destroy();
    if (fault === "lose-answer") response.end = () => request.socket.destroy();
    if (fault?.until) response.end = (...body) => void fault.until.then(() => ServerResponse.prototype.end.apply(response, body));
    if (fault?.status) return problem(response, fault.status, fault.problem ?? "unavailable", fault);
    await api(request, response, url, seen.user, body);
  });
  const listen = (at) => new Promise((resolve, reject) => server.once("error", reject).listen(at, "127.0.0.1", () => resolve(server.off("error", reject))));
  // Somebody else may take a free port before this does: then another one.
  for (let attempt = 1; !server.listening; ++attempt)
    await listen(port ?? (await freePort())).catch((error) => {
      if (port !== undefined || attempt === 3) throw error;
    });
  gateway.port = server.address().port;
  gateway.url = `http://127.0.0.1:${gateway.port}`;
  return gateway;
}
