// What the chat knows (web/chat/model.js), without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Model, kinds, roomOf } from "../../web/chat/model.js";

/** A model of ann in chat-a, and what it asked for. */
function modelOf() {
  const did = { settled: [], refused: [], opened: [], closed: [], marked: [], refusals: [] };
  const model = new Model("ann", {
    changed: () => {},
    settle: (id) => did.settled.push(id),
    refuse: (entry, reason) => did.refused.push([entry.id, reason]),
    mark: (room) => did.marked.push([room.id, room.readSeq]),
    open: (id) => did.opened.push(id),
    close: (id) => did.closed.push(id),
    refusal: (update) => did.refusals.push(update.data.reason),
  });
  const feeds = {};
  const feed = (session, type, data, { live = true, seq } = {}) => {
    const kind = kinds[session.split("-")[0]];
    const log = (feeds[session] ??= { state: kind.initial(), seq: 0 });
    const update = { session, seq: seq ?? log.seq + 1, command_seq: log.seq + 1, type, data, at: "2026-01-01T10:00:00Z" };
    log.seq = update.seq;
    log.state = kind.fold(log.state, update);
    if (session === "user-ann") model.userChanged(log.state, [update], live);
    else model.roomChanged(session, { state: log.state, seq: log.seq, updates: [update], jumped: false }, live);
    return update;
  };
  feed("user-ann", "chat_joined", { chat_id: "chat-a", name: "A" });
  feed("chat-a", "member_joined", { user_id: "ann" });
  model.caughtUp();
  return { model, did, feed };
}
const entry = (id, text, more = {}) => ({ id, type: "post_message", data: { chat_id: "chat-a", text }, note: { after: 1 }, state: "queued", tried: false, ...more });
const message = (sender, text) => ["chat-a", "new_message", { sender, text }];

test("a room's id is the terminal's", () => {
  assert.equal(roomOf("Team lunch"), "chat-team-lunch");
  assert.equal(roomOf("  Über_uns!! "), "chat-ber_uns");
  assert.match(roomOf("会议"), /^chat-r\d+$/);
  assert.notEqual(roomOf("会议"), roomOf("会計"));
  assert.ok(roomOf("x".repeat(100)).length <= 64);
});

test("messages on their way are matched with those that come, in order, and only when they were tried", () => {
  const { model, did, feed } = modelOf();
  model.outboxChanged([entry(1, "same", { tried: true }), entry(2, "same", { tried: true }), entry(3, "later")]);
  assert.deepEqual(model.pending("chat-a").map((e) => e.id), [1, 2, 3]);
  feed(...message("bob", "same"));
  feed(...message("ann", "same"));
  assert.deepEqual(did.settled, [1]);
  feed(...message("ann", "later")); // from another device: the third was not even tried
  assert.deepEqual(did.settled, [1]);
  assert.deepEqual(model.pending("chat-a").map((e) => e.id), [2, 3]);
});

test("a message that comes before its entry is known is matched afterwards, an old one never", () => {
  const { model, did, feed } = modelOf();
  feed(...message("ann", "hello"));
  model.outboxChanged([entry(1, "hello", { tried: true, note: { after: 2 } })]);
  assert.deepEqual(did.settled, []);
  model.outboxChanged([entry(2, "hello", { tried: true, note: { after: 1 } })]);
  assert.deepEqual(did.settled, [2]);
});

test("hundreds of one's own messages that come at once all find their entries", () => {
  const { model, did } = modelOf();
  const ids = Array.from({ length: 500 }, (_, i) => i + 1);
  model.outboxChanged(ids.map((id) => entry(id, `text ${id}`, { tried: true })));
  const updates = ids.map((id) => ({ session: "chat-a", seq: 1 + id, command_seq: 1 + id, type: "new_message", data: { sender: "ann", text: `text ${id}` }, at: "2026-01-01T10:00:00Z" }));
  model.roomChanged("chat-a", { state: { name: "A", members: ["ann"] }, seq: 501, updates, jumped: false }, true);
  assert.deepEqual(did.settled, ids);
});

test("a refusal finds its command by its number, before or after the number is known", () => {
  const { model, did, feed } = modelOf();
  feed("user-ann", "request_refused", { chat_id: "chat-a", type: "post_message", reason: "no", request: 7 });
  model.outboxChanged([entry(1, "x", { tried: true })]);
  model.outboxChanged([entry(1, "x", { tried: true, state: "stored", command_seq: 7 })]);
  assert.deepEqual(did.refused, [[1, "no"]]);
});

test("unread are others' messages after what was read, and only those", () => {
  const { model, feed } = modelOf();
  feed(...message("bob", "one"));
  feed(...message("ann", "two"));
  feed("chat-a", "member_joined", { user_id: "eve" });
  feed(...message("bob", "three"));
  assert.equal(model.unreadTotal, 2);
  model.enter("chat-a");
  assert.equal(model.room("chat-a").divider, 2);
  model.readElsewhere("chat-a", 2);
  assert.equal(model.unreadTotal, 1);
  model.read("chat-a");
  assert.equal(model.unreadTotal, 0);
});

test("who left a chat leaves its room", () => {
  const { model, did, feed } = modelOf();
  model.enter("chat-a");
  feed("user-ann", "chat_left", { chat_id: "chat-a" });
  assert.deepEqual([model.rooms.size, model.current, did.closed], [0, null, ["chat-a"]]);
});

test("somebody is here until nothing was heard of him for a while, and types until he has spoken", () => {
  const { model, feed } = modelOf();
  model.signal({ session: "chat-a", type: "typing", from: "bob", data: {} }, 0);
  assert.deepEqual([...model.room("chat-a").typing.keys()], ["bob"]);
  feed(...message("bob", "done"));
  assert.equal(model.room("chat-a").typing.size, 0);
  model.tick(45_000);
  assert.equal(model.isHere("bob"), true);
  model.tick(45_001);
  assert.equal(model.isHere("bob"), false);
  assert.equal(model.signal({ session: "chat-a", type: "here", from: "bob", data: { ask: true } }, 0).id, "chat-a");
  model.signal({ session: "chat-a", type: "left_stream", from: "bob", data: {} }, 0);
  assert.equal(model.isHere("bob"), false);
});
