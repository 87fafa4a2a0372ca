// web/rowcall.js against a gateway in memory that fails on purpose.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { afterEach, test } from "node:test";

import { EventParser, MemoryStore, Outbox, Replica, Rowcall, newKey } from "../../web/rowcall.js";
import { kinds } from "../../web/chat/model.js";
import { startFakeGateway } from "./fake_gateway.mjs";

const FAST = { firstMs: 1, lastMs: 5 };
const toClose = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

async function gatewayWith(options) {
  const gateway = await startFakeGateway(options);
  toClose.push(() => gateway.stop());
  return gateway;
}
function clientOf(gateway, user = "ann") {
  return new Rowcall({ base: gateway.url, token: `fake:${user}`, backoff: FAST, timeoutMs: 5000 });
}
/** Waits for a condition, at most 10 s. */
async function until(condition, what) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) assert.fail(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
/** Follows, and keeps what it is told. */
function record(client, sessions, options) {
  const seen = { updates: {}, gone: [], left: [], ready: 0, signals: [], unauthorized: 0 };
  const following = client.follow(
    sessions,
    {
      updates: (session, updates) => (seen.updates[session] ??= []).push(...updates.map((u) => u.seq)),
      gone: (session, snapshot) => seen.gone.push([session, snapshot.seq]),
      left: (session) => seen.left.push(session),
      ready: () => ++seen.ready,
      signal: (signal) => seen.signals.push(signal),
      unauthorized: () => ++seen.unauthorized,
    },
    options,
  );
  toClose.push(() => following.close());
  return { ...seen, seen, following };
}
const upTo = (n, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);
function fill(gateway, session, count) {
  for (let i = 0; i < count; ++i) gateway.sessions.submit(session, { type: "say", data: { i } });
}

// ---------------------------------------------------------------- events

test("events are the same however the stream is cut", () => {
  const text = "retry: 1000\r\n\r\n: beat\r\nid: 5\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: ready\ndata: x\n\nevent: none\n\ndata:y\r\rdata: last\n\n";
  const whole = new EventParser().feed(text);
  assert.deepEqual(whole.map(({ event, data }) => [event, data]), [["message", '{"a":\n1}'], ["ready", "x"], ["message", "y"], ["message", "last"]]);
  for (let at = 0; at <= text.length; ++at) {
    const parser = new EventParser();
    assert.deepEqual([...parser.feed(text.slice(0, at)), ...parser.feed(text.slice(at))], whole, `cut at ${at}`);
  }
});

// ---------------------------------------------------------------- submit

test("a submit whose answer is lost is stored once", async () => {
  const gateway = await gatewayWith();
  let lost = 0;
  gateway.faults.push((r) => (r.path.endsWith("/commands") && lost++ < 2 ? "lose-answer" : undefined));
  const receipt = await clientOf(gateway).submit("echo-a", "say", { n: 1 });
  assert.deepEqual([receipt.command_seq, receipt.outcome], [1, "duplicate"]);
  assert.equal(gateway.sessions.get("echo-a").commands, 1);
});

test("a submit goes on through a busy and an absent gateway, and stops at a refusal", async () => {
  const gateway = await gatewayWith();
  const answers = [{ status: 503 }, "drop", { status: 429 }];
  gateway.faults.push((r) => (r.path.endsWith("/commands") ? answers.shift() : undefined));
  assert.equal((await clientOf(gateway).submit("echo-a", "say")).outcome, "stored");
  await assert.rejects(clientOf(gateway).submit("user-bob", "post_message"), { status: 403 });
});

test("a submit can be given up", async () => {
  const gateway = await gatewayWith();
  gateway.faults.push(() => ({ status: 503 }));
  const abort = new AbortController();
  const submitting = clientOf(gateway).submit("echo-a", "say", {}, { signal: abort.signal });
  await until(() => gateway.requests.length > 2, "some tries");
  abort.abort();
  await assert.rejects(submitting, { name: "RowcallError" });
});

test("commands of one array keep their order and their keys", async () => {
  const gateway = await gatewayWith();
  const receipts = await clientOf(gateway).submitAll("echo-a", [{ type: "say", key: "k1" }, { type: "say" }, { type: "say", key: "k1" }], { waitMs: 1000 });
  assert.deepEqual(receipts.map((r) => [r.command_seq, r.outcome, r.updates.length]), [[1, "stored", 1], [2, "stored", 1], [1, "duplicate", 1]]);
});

test("an expired token is renewed once, and the request repeated", async () => {
  const gateway = await gatewayWith();
  const asked = [];
  const client = new Rowcall({ base: gateway.url, token: ({ renew }) => (asked.push(renew), renew ? "fake:ann" : "stale") });
  assert.equal((await client.me()).user, "ann");
  assert.deepEqual(asked, [false, true]);
});

test("keys differ", () => {
  assert.equal(new Set(Array.from({ length: 1000 }, newKey)).size, 1000);
});

// ---------------------------------------------------------------- follow

test("a follower sees every update once and in order through cut streams and dropped connections", async () => {
  const gateway = await gatewayWith();
  fill(gateway, "echo-a", 50);
  let connections = 0;
  gateway.faults.push((r) => (r.path === "/v1/stream" && ++connections % 3 === 2 ? "drop" : undefined));
  const { seen } = record(clientOf(gateway), { "echo-a": 0, "echo-b": 0 });
  for (let round = 1; round <= 8; ++round) {
    fill(gateway, "echo-a", 10);
    fill(gateway, "echo-b", 10);
    await until(() => seen.updates["echo-b"]?.length >= round * 10 - 5, `round ${round}`);
    gateway.cutStreams();
  }
  await until(() => seen.updates["echo-a"]?.length >= 130 && seen.updates["echo-b"]?.length >= 80, "all updates");
  assert.deepEqual(seen.updates, { "echo-a": upTo(130), "echo-b": upTo(80) });
});

test("an update that comes twice is handed over once, and a gap is asked for again", async () => {
  const gateway = await gatewayWith();
  fill(gateway, "echo-a", 3);
  const { seen } = record(clientOf(gateway), { "echo-a": 0 });
  await until(() => seen.ready === 1, "ready");
  const [stream] = gateway.streams;
  const [third] = gateway.log("echo-a").slice(2);
  stream.response.write(`data: ${JSON.stringify(third)}\n\n`);
  fill(gateway, "echo-a", 1);
  await until(() => seen.updates["echo-a"].length === 4, "the fourth");
  assert.equal(seen.ready, 1, "an update that came twice is no reason to connect again");
  stream.positions.delete("echo-a");
  fill(gateway, "echo-a", 2);
  gateway.sessions.retain("echo-a", 0); // a snapshot is no reason to leave out what is still there
  stream.response.write(`data: ${JSON.stringify(gateway.log("echo-a")[5])}\n\n`); // the fifth is missing
  await until(() => seen.ready === 2, "a new connection");
  assert.deepEqual(seen.updates["echo-a"], upTo(6));
  assert.deepEqual(seen.gone, []);
});

test("what was accepted before a gap is not lost", async () => {
  const gateway = await gatewayWith();
  const { seen } = record(clientOf(gateway), { "echo-a": 0 });
  await until(() => seen.ready === 1, "ready");
  const [stream] = gateway.streams;
  stream.positions.delete("echo-a");
  fill(gateway, "echo-a", 3);
  const log = gateway.log("echo-a");
  stream.response.write(`data: ${JSON.stringify(log[0])}\n\ndata: ${JSON.stringify(log[2])}\n\n`);
  await until(() => seen.updates["echo-a"]?.length === 3, "all");
  assert.deepEqual(seen.updates["echo-a"], upTo(3));
});

test("from the end: nothing old, and nothing lost when the first connection breaks", async () => {
  const gateway = await gatewayWith();
  fill(gateway, "echo-a", 5);
  const { seen } = record(clientOf(gateway), { "echo-a": "end" });
  await until(() => seen.ready === 1, "ready");
  gateway.faults.push((r) => (r.path === "/v1/stream" && !gateway.sessions.released ? "drop" : undefined));
  gateway.cutStreams();
  fill(gateway, "echo-a", 2);
  gateway.sessions.released = true;
  await until(() => seen.updates["echo-a"]?.length === 2, "both");
  assert.deepEqual(seen.updates["echo-a"], [6, 7]);
});

test("where retention has removed what is next, the snapshot is handed over and the rest follows", async () => {
  const gateway = await gatewayWith();
  gateway.sessions.submit("user-ann", { type: "create_chat", data: { chat_id: "chat-a", name: "A" } });
  for (let i = 0; i < 20; ++i) gateway.post("ann", "chat-a", `m${i}`);
  gateway.sessions.retain("chat-a", 10);
  gateway.post("ann", "chat-a", "after");
  const { seen } = record(clientOf(gateway), { "chat-a": 3 });
  await until(() => seen.updates["chat-a"]?.length === 1, "what came after the snapshot");
  assert.deepEqual(seen.gone, [["chat-a", 22]]);
  assert.deepEqual(seen.updates["chat-a"], [23]);
});

test("a session of a database that was restored is foreign, though its seq exists", async () => {
  const gateway = await gatewayWith();
  fill(gateway, "echo-a", 5);
  const told = [];
  const following = clientOf(gateway).follow(
    { "echo-a": 0 },
    {
      updates: (session, updates) => told.push(...updates.map((u) => u.seq)),
      foreign: (session) => {
        told.push("foreign");
        following.add(session, 3);
      },
    },
  );
  toClose.push(() => following.close());
  await until(() => told.length === 5, "all");
  gateway.sessions.incarnation = "second";
  gateway.cutStreams();
  await until(() => told.length === 8, "what comes after 3 in the other one");
  assert.deepEqual(told, [1, 2, 3, 4, 5, "foreign", 4, 5]);
  assert.equal(following.incarnation("echo-a"), "second");
});

test("more sessions than a stream has are refused, not forgotten", async () => {
  const gateway = await gatewayWith();
  const { following } = record(clientOf(gateway), Object.fromEntries(upTo(200).map((n) => [`echo-${n}`, 0])));
  assert.throws(() => following.add("echo-201", 0), RangeError);
  following.remove("echo-1");
  following.add("echo-201", 0);
  assert.equal(following.position("echo-201"), 0);
});

test("a stream that falls silent is dropped", async () => {
  const gateway = await gatewayWith();
  const { seen } = record(clientOf(gateway), { "echo-a": 0 }, { silenceMs: 40 });
  await until(() => seen.ready >= 2, "a second connection");
});

test("sessions come and go while it runs, and who is put out of a chat is told", async () => {
  const gateway = await gatewayWith();
  for (const [user, type] of [["bob", "create_chat"], ["ann", "join_chat"]])
    gateway.sessions.submit(`user-${user}`, { type, data: { chat_id: "chat-a", name: "A" } });
  const { seen, following } = record(clientOf(gateway), { "user-ann": 0 });
  await until(() => seen.ready === 1, "ready");
  following.add("chat-a", 0);
  following.add("echo-a", 0);
  await until(() => seen.updates["chat-a"]?.length === 3, "the chat");
  gateway.sessions.submit("user-ann", { type: "leave_chat", data: { chat_id: "chat-a" } });
  await until(() => seen.left.length === 1, "left");
  // Where one may not be (any more) the others go on.
  following.add("chat-b", 0);
  await until(() => seen.left.length === 2, "refused");
  fill(gateway, "echo-a", 1);
  await until(() => seen.updates["echo-a"]?.length === 1, "the others");
  assert.deepEqual(seen.left, ["chat-a", "chat-b"]);
});

test("without a good token it waits to be woken", async () => {
  const gateway = await gatewayWith();
  const client = clientOf(gateway);
  client.token = "stale";
  fill(gateway, "echo-a", 1);
  const { seen, following } = record(client, { "echo-a": 0 });
  await until(() => seen.unauthorized === 1, "unauthorized");
  for (let i = 0; i < 20; ++i) await clientOf(gateway).me();
  assert.equal(gateway.requests.filter((r) => r.path === "/v1/stream").length, 1);
  client.token = "fake:ann";
  following.wake();
  await until(() => seen.updates["echo-a"]?.length === 1, "the update");
});

// ---------------------------------------------------------------- outbox

async function outboxOf(gateway, store = new MemoryStore(), options = {}) {
  const outbox = await Outbox.open(clientOf(gateway), store, {}, options);
  toClose.push(() => outbox.close());
  return outbox;
}

test("what is written without a network is sent once and in order when it is back", async () => {
  const gateway = await gatewayWith();
  let offline = true;
  gateway.faults.push(() => (offline ? "drop" : undefined));
  const outbox = await outboxOf(gateway);
  for (let i = 0; i < 120; ++i) await outbox.add("echo-a", "say", { i });
  assert.equal(gateway.sessions.get("echo-a").commands, 0);
  offline = false;
  await until(() => outbox.entries.every((e) => e.state === "stored"), "all stored");
  assert.deepEqual(outbox.entries.map((e) => e.command_seq), upTo(120));
});

test("an entry has its key on record before the first try, so that a crash between is harmless", async () => {
  const gateway = await gatewayWith();
  const store = new MemoryStore();
  gateway.faults.push((r) => (r.path.endsWith("/commands") && !gateway.sessions.mended ? "lose-answer" : undefined));
  const first = await outboxOf(gateway, store);
  await first.add("echo-a", "say", { n: 1 });
  await until(() => gateway.sessions.get("echo-a").commands === 1, "stored, and the answer lost");
  first.close(); // the page is gone
  assert.equal((await store.list("outbox"))[0].tried, true);
  gateway.sessions.mended = true;
  const second = await outboxOf(gateway, store);
  await until(() => second.entries[0]?.state === "stored", "stored");
  assert.equal(gateway.sessions.get("echo-a").commands, 1);
});

test("two pages with one store do not send twice, even without locks", async () => {
  const gateway = await gatewayWith();
  const store = new MemoryStore();
  let offline = true;
  gateway.faults.push(() => (offline ? "drop" : undefined));
  const pages = [await outboxOf(gateway, store), await outboxOf(gateway, store)];
  for (let i = 0; i < 10; ++i) await pages[i % 2].add("echo-a", "say", { i });
  offline = false;
  await Promise.all(pages.map((p) => p.flush()));
  await until(async () => (await store.list("outbox")).every((e) => e.state === "stored"), "all stored");
  assert.equal(gateway.sessions.get("echo-a").commands, 10);
});

test("a bad command is refused alone, and the rest of its batch is stored", async () => {
  const gateway = await gatewayWith();
  let offline = true;
  gateway.faults.push(() => (offline ? "drop" : undefined));
  const outbox = await outboxOf(gateway);
  await outbox.add("echo-a", "say", { i: 1 });
  await outbox.add("echo-a", undefined, { i: 2 });
  await outbox.add("user-bob", "say", { i: 3 });
  await outbox.add("echo-a", "say", { i: 4 });
  offline = false;
  await until(() => outbox.entries.every((e) => e.state !== "queued"), "all answered");
  assert.deepEqual(outbox.entries.map((e) => e.state), ["stored", "refused", "refused", "stored"]);
  assert.equal(outbox.entries[1].reason, "no type");
});

test("an outbox that is full takes nothing more, drops nothing, and says so before", async () => {
  const gateway = await gatewayWith();
  let offline = true;
  gateway.faults.push(() => (offline ? "drop" : undefined));
  const outbox = await outboxOf(gateway, new MemoryStore(), { entriesMax: 3 });
  const added = await Promise.allSettled(upTo(5).map((i) => outbox.add("echo-a", "say", { i })));
  assert.deepEqual(added.map((a) => a.status), ["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"]);
  assert.ok(added[3].reason instanceof RangeError && outbox.isFull);
  offline = false;
  await until(() => outbox.entries.every((e) => e.state === "stored"), "all stored");
  assert.ok(outbox.isFull, "stored is not settled");
  await outbox.settle(outbox.entries[0].id);
  await outbox.add("echo-a", "say", { i: 6 });
  await until(() => gateway.sessions.get("echo-a").commands === 4, "the next one");
});

test("an effect that is seen before the answer does not stop the command from being stored", async () => {
  const gateway = await gatewayWith();
  gateway.faults.push((r) => (r.path.endsWith("/commands") && !gateway.sessions.mended ? "drop" : undefined));
  const outbox = await outboxOf(gateway);
  const { id } = await outbox.add("echo-a", "say");
  await outbox.settle(id); // somebody else's message looked the same
  assert.equal(outbox.entries.length, 1);
  gateway.sessions.mended = true;
  await until(() => outbox.entries.length === 0, "stored and forgotten");
  assert.equal(gateway.sessions.get("echo-a").commands, 1);
});

// ---------------------------------------------------------------- replica

function replicaOf(gateway, store, handlers = {}) {
  const replica = new Replica(clientOf(gateway), store, kinds, handlers);
  toClose.push(() => replica.shutdown());
  return replica;
}
async function chatOf(gateway, messages) {
  gateway.sessions.submit("user-ann", { type: "create_chat", data: { chat_id: "chat-a", name: "A" } });
  for (let i = 0; i < messages; ++i) gateway.post("ann", "chat-a", `m${i}`);
}

test("a session is folded from its snapshot and what came after, and kept up to date", async () => {
  const gateway = await gatewayWith();
  await chatOf(gateway, 10);
  gateway.sessions.retain("chat-a", 8);
  gateway.sessions.submit("user-bob", { type: "join_chat", data: { chat_id: "chat-a" } });
  const replica = replicaOf(gateway, new MemoryStore());
  await replica.open("chat-a");
  await until(() => replica.get("chat-a").state.members.length === 2, "both members");
  assert.equal(replica.get("chat-a").state.name, "A");
  gateway.sessions.submit("user-ann", { type: "rename_chat", data: { chat_id: "chat-a", name: "B" } });
  await until(() => replica.get("chat-a").state.name === "B", "the new name");
});

test("what was seen is there again without a network, and only what is new is asked for", async () => {
  const gateway = await gatewayWith();
  await chatOf(gateway, 10);
  const store = new MemoryStore();
  const first = replicaOf(gateway, store);
  await first.open("chat-a");
  await until(() => first.get("chat-a").seq === 12, "all");
  await first.written();
  first.shutdown();

  let offline = true;
  gateway.faults.push(() => (offline ? "drop" : undefined));
  const second = replicaOf(gateway, store);
  await second.open("chat-a");
  assert.equal(second.get("chat-a").state.name, "A");
  assert.equal((await second.history("chat-a", 3, 12)).updates.length, 10);
  gateway.post("ann", "chat-a", "new");
  offline = false;
  await until(() => second.get("chat-a").seq === 13, "the new one");
  const streams = gateway.requests.filter((r) => r.path === "/v1/stream");
  assert.equal(streams[streams.length - 1].url.searchParams.get("session"), "chat-a:12");
});

test("a cache of another database is dropped", async () => {
  const store = new MemoryStore();
  const old = await gatewayWith();
  await chatOf(old, 10);
  const first = replicaOf(old, store);
  await first.open("chat-a");
  await until(() => first.get("chat-a").seq === 12, "all");
  await first.written();
  first.shutdown();
  const other = await gatewayWith();
  await chatOf(other, 1);
  const second = replicaOf(other, store);
  await second.open("chat-a");
  await until(() => second.get("chat-a")?.seq === 3, "what the new one has");
  assert.equal((await store.list("updates")).length, 3);
});

test("a cache of before a restore is dropped, though the log is longer now", async () => {
  const store = new MemoryStore();
  const gateway = await gatewayWith();
  await chatOf(gateway, 10);
  const first = replicaOf(gateway, store);
  await first.open("chat-a");
  await until(() => first.get("chat-a").seq === 12, "all");
  await first.written();
  first.shutdown();
  gateway.sessions.incarnation = "second";
  for (const update of gateway.log("chat-a")) if (update.data.text) update.data.text = "another";
  gateway.post("ann", "chat-a", "another");
  const second = replicaOf(gateway, store);
  await second.open("chat-a");
  await until(() => second.get("chat-a")?.seq === 13, "what it has now");
  await second.written();
  const texts = (await store.list("updates")).map((u) => u.data.text).filter(Boolean);
  assert.deepEqual(texts, Array(11).fill("another"));
});

test("what was stored in a database that is gone is sent again under its key", async () => {
  const gateway = await gatewayWith();
  const outbox = await outboxOf(gateway);
  await outbox.add("echo-a", "say");
  await until(() => outbox.entries[0].state === "stored", "stored");
  const { keys } = gateway.sessions.get("echo-a");
  keys.clear();
  await outbox.resend("echo-a");
  await until(() => keys.has(outbox.entries[0].key), "stored again");
});

test("history comes in pages, tells where it begins, and is kept", async () => {
  const gateway = await gatewayWith();
  await chatOf(gateway, 30);
  gateway.sessions.retain("chat-a", 20);
  const replica = replicaOf(gateway, new MemoryStore());
  await replica.open("chat-a");
  const page = await replica.history("chat-a", 11, 30);
  assert.deepEqual([page.updates[0].seq, page.updates.length, page.gone], [21, 10, true]);
  await replica.written();
  const asked = gateway.requests.length;
  assert.equal((await replica.history("chat-a", 21, 30)).updates.length, 10);
  assert.equal(gateway.requests.length, asked);
});

test("who pages from beyond the end is told where it is", async () => {
  const gateway = await gatewayWith();
  fill(gateway, "echo-a", 3);
  const client = clientOf(gateway);
  assert.deepEqual((await client.page("echo-a", 1)).updates.map((u) => u.seq), [2, 3]);
  assert.deepEqual((await client.page("echo-a", 3)).updates, []);
  await assert.rejects(client.page("echo-a", 4), (e) => e.status === 400 && e.problem.last_seq === 3 && !e.isRetryable);
});

// ---------------------------------------------------------------- types

test("the types name what the library exports, and every method of it", async () => {
  const library = await import("../../web/rowcall.js");
  const types = await readFile(new URL("../../web/rowcall.d.ts", import.meta.url), "utf8");
  const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map((m) => m[1]);
  assert.deepEqual(declared.sort(), Object.keys(library).sort());
  for (const [name, value] of Object.entries(library)) {
    if (!/^class/.test(String(value))) continue;
    const body = new RegExp(`^export class ${name}\\b.*?^}`, "ms").exec(types)[0];
    const inherited = /extends MemoryStore/.test(body) ? /^export class MemoryStore\b.*?^}/ms.exec(types)[0] : "";
    for (const member of Object.getOwnPropertyNames(value.prototype).filter((m) => m !== "constructor"))
      assert.match(body + inherited, new RegExp(`\\b${member}\\b`), `${name}.${member}`);
  }
});

test("the manual names what an application uses", async () => {
  const types = await readFile(new URL("../../web/rowcall.d.ts", import.meta.url), "utf8");
  const manual = await readFile(new URL("../../docs/rowcall-js.md", import.meta.url), "utf8");
  const names = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map((m) => m[1]);
  // Members of classes, handlers (with a ? before the parenthesis) among them.
  for (const [, body] of types.matchAll(/^export (?:class|interface) (?:Rowcall|Following|Outbox|Replica|\w+Handlers)\b(.*?)^}/gms))
    names.push(...[...body.matchAll(/^  (?:static |readonly |set )?(\w+)\??[(:]/gm)].map((m) => m[1]));
  assert.ok(names.length > 60, `${names.length}`);
  const code = [...manual.matchAll(/^```.*?^```$|`[^`]+`/gms)].map((m) => m[0]).join("\n");
  const unsaid = new Set(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code)));
  unsaid.delete("constructor");
  unsaid.delete("EventParser"); // of whoever makes another client
  assert.deepEqual([...unsaid], []);
});
