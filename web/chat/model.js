// What the chat knows, without a page: rooms, unread counts, messages on their way, who is here and who types. Updates,
// outbox entries and signals come in; `changed(what)` says what to draw again.

export const TEXT_CHARACTERS_MAX = 4000;
const ANSWERS_MAX = 100;
const UNCLAIMED_MAX = 100;
const HERE_MS = 45_000;
const TYPING_MS = 6_000;
const SLUG_MAX = 50;

/** The folds (engine/chat/README.md). States are plain data: they are kept in IndexedDB. */
export const kinds = {
  user: {
    initial: () => ({ chats: {}, answers: [] }),
    load: ({ chats }) => ({ chats: Object.fromEntries(chats.map((id) => [id, ""])), answers: [] }),
    fold(state, { type, data, command_seq: seq }) {
      if (type === "chat_joined") state.chats[data.chat_id] = data.name;
      else if (type === "chat_left") delete state.chats[data.chat_id];
      const request = data.request ?? seq;
      if (type === "chat_joined" || type === "chat_left") state.answers.push({ request, chat: data.chat_id, type });
      else if (type === "request_refused" || type === "command_rejected" || type === "command_failed")
        state.answers.push({ request, chat: data.chat_id, type: "refused", reason: data.reason ?? data.error });
      if (state.answers.length > ANSWERS_MAX) state.answers.shift();
      return state;
    },
  },
  chat: {
    initial: () => ({ name: "", members: [] }),
    load: ({ name, members }) => ({ name, members: [...members] }),
    fold(state, { type, data }) {
      if (type === "chat_created" || type === "chat_renamed") state.name = data.name;
      else if (type === "member_joined" && !state.members.includes(data.user_id)) state.members.push(data.user_id);
      else if (type === "member_left") state.members = state.members.filter((m) => m !== data.user_id);
      return state;
    },
  },
};

/** The room of a name, as the terminal's chat makes it: "Team lunch" is chat-team-lunch. */
export function roomOf(name) {
  let slug = name
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^-+|-+$/g, "");
  if (slug === "" || slug.length > SLUG_MAX) {
    // FNV-1a over the bytes: names without a Latin letter differ as well.
    let hash = 14695981039346656037n;
    for (const byte of new TextEncoder().encode(name)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1099511628211n);
    slug = `${slug.slice(0, SLUG_MAX - 20)}r${hash % 1_000_000_000_000n}`;
  }
  return `chat-${slug}`;
}

export class Room {
  constructor(id) {
    this.id = id;
    this.name = "";
    this.members = [];
    this.seq = 0; // of the last update
    this.first = 1; // of the first one that still exists
    this.updates = new Map(); // seq -> update, as far as they are loaded
    this.readSeq = undefined; // undefined: never opened on this device
    this.unread = 0;
    this.unreadIsExact = true;
    this.divider = 0; // seq of the first message that was unread when the room was entered
    this.unclaimed = []; // own messages that no entry of the outbox was found for
    this.typing = new Map(); // user -> until (ms)
    this.isReady = false;
  }
  get title() {
    return this.name || this.id.replace(/^chat-/, "");
  }
  /** The last message that is loaded, for the list of rooms. */
  get lastMessage() {
    for (let seq = this.seq; seq > 0 && seq > this.seq - 50; --seq) {
      const update = this.updates.get(seq);
      if (!update) return undefined;
      if (update.type === "new_message") return update;
    }
    return undefined;
  }
}

export class Model {
  rooms = new Map();
  entries = []; // the outbox's, as it reported them last
  online = new Map(); // user -> until (ms)
  answers = [];
  current = null;
  #claimed = new Set(); // ids of entries whose message has come
  #pending = new Map(); // room -> its pending(), asked for with every row
  #refused = new Set();
  #marks = new Map();

  /** changed(what, room), and what has to be done: settle(id), refuse(id, reason), mark(room), open(id), close(id), refusal(answer) */
  constructor(me, effects) {
    this.me = me;
    this.effects = effects;
  }
  get userSession() {
    return `user-${this.me}`;
  }

  room(id) {
    return this.rooms.get(id);
  }
  /** With unread ones first read from the store: {[id]: {readSeq}}. */
  restoreMarks(marks) {
    for (const { id, readSeq } of marks) this.#marks.set(id, readSeq);
  }

  // ---- sessions

  userChanged(state, updates, live) {
    this.answers = state.answers;
    for (const id of Object.keys(state.chats)) {
      if (this.rooms.has(id)) continue;
      const room = new Room(id);
      room.name = state.chats[id];
      room.readSeq = this.#marks.get(id);
      this.rooms.set(id, room);
      this.effects.open(id);
    }
    for (const id of [...this.rooms.keys()]) if (!(id in state.chats)) this.roomLeft(id);
    if (live) for (const u of updates) if (u.type === "request_refused" || u.type === "command_rejected") this.effects.refusal(u);
    this.#match();
    this.effects.changed("rooms");
  }

  roomLeft(id) {
    if (!this.rooms.delete(id)) return;
    this.effects.close(id);
    if (this.current === id) this.current = null;
    this.effects.changed("rooms");
  }

  /** `live`: after the stream had caught up, so that somebody may want to hear of it. */
  roomChanged(id, { state, seq, updates, jumped }, live) {
    const room = this.rooms.get(id);
    if (!room) return;
    const hadSeq = room.seq;
    Object.assign(room, { name: state.name || room.name, members: state.members, seq, isReady: true });
    if (jumped) room.unreadIsExact = false;
    for (const update of updates) this.#roomUpdate(room, update, live);
    if (jumped && room.readSeq !== undefined) room.unread = Math.max(0, seq - room.readSeq);
    if (updates.length > 0) this.#match();
    this.effects.changed("room", room, { from: hadSeq, live });
  }

  #roomUpdate(room, update, live) {
    room.updates.set(update.seq, update);
    const { type, data } = update;
    if (type !== "new_message") return;
    room.typing.delete(data.sender);
    if (data.sender === this.me) {
      room.unclaimed.push({ seq: update.seq, text: data.text });
      if (room.unclaimed.length > UNCLAIMED_MAX) this.#match();
      if (room.unclaimed.length > UNCLAIMED_MAX) room.unclaimed.shift();
    } else if (room.readSeq !== undefined && update.seq > room.readSeq) {
      ++room.unread;
      if (live) this.effects.message?.(room, update);
    }
  }

  /** Updates from the cache that came before this page was opened: for unread counts, and for messages on their way. */
  restored(id, updates) {
    const room = this.rooms.get(id);
    if (!room) return;
    for (const update of updates) {
      if (room.updates.has(update.seq)) continue;
      this.#roomUpdate(room, update, false);
    }
    this.#match();
    this.effects.changed("room", room, { from: room.seq, live: false });
  }
  /** Pages of older history. */
  loaded(id, updates, gone) {
    const room = this.rooms.get(id);
    if (!room) return;
    for (const update of updates) room.updates.set(update.seq, update);
    const before = room.first;
    if (gone) room.first = Math.max(room.first, updates[0]?.seq ?? room.seq + 1);
    this.effects.changed("history", room, { isShorter: room.first > before });
  }
  /** The stream has caught up: rooms that were never opened on this device begin as read. */
  caughtUp() {
    for (const room of this.rooms.values()) {
      if (room.readSeq !== undefined || !room.isReady) continue;
      this.#read(room);
    }
  }

  /** A room that begins anew: the gateway has another database. */
  foreign(id) {
    const room = this.rooms.get(id);
    if (!room) return;
    const { name } = room;
    Object.assign(room, new Room(id), { name });
    this.effects.changed("rooms");
  }

  // ---- reading

  enter(id) {
    const room = this.rooms.get(id);
    this.current = room ? id : null;
    if (!room) return;
    room.divider = 0;
    if (room.unread > 0)
      for (let seq = room.readSeq + 1; seq <= room.seq; ++seq) {
        const update = room.updates.get(seq);
        if (update && update.type === "new_message" && update.data.sender !== this.me) {
          room.divider = seq;
          break;
        }
      }
  }
  read(id) {
    const room = this.rooms.get(id);
    if (!room || (room.readSeq === room.seq && room.unread === 0)) return;
    this.#read(room);
    this.effects.changed("rooms");
  }
  #read(room) {
    Object.assign(room, { readSeq: room.seq, unread: 0, unreadIsExact: true });
    this.effects.mark(room);
  }
  /** Another page of this browser has read it. */
  readElsewhere(id, readSeq) {
    const room = this.rooms.get(id);
    if (!room || !(readSeq > (room.readSeq ?? -1))) return;
    room.readSeq = readSeq;
    room.unread = 0;
    for (let seq = readSeq + 1; seq <= room.seq; ++seq) {
      const update = room.updates.get(seq);
      if (update?.type === "new_message" && update.data.sender !== this.me) ++room.unread;
    }
    this.effects.changed("rooms");
  }
  get unreadTotal() {
    let total = 0;
    for (const room of this.rooms.values()) total += room.unread;
    return total;
  }

  // ---- what is on its way

  outboxChanged(entries) {
    this.entries = entries;
    this.#match();
    this.effects.changed("outbox");
  }
  /** Messages of a room that are not in its log yet, as far as this page knows. */
  pending(id) {
    if (!this.#pending.has(id))
      this.#pending.set(id, this.entries.filter((e) => e.type === "post_message" && e.data.chat_id === id && !e.settled && !this.#claimed.has(e.id)));
    return this.#pending.get(id);
  }
  /** Rooms that were asked for and are not there yet. */
  joining() {
    return this.entries.filter((e) => (e.type === "join_chat" || e.type === "create_chat") && e.state !== "refused" && !e.settled && !this.rooms.has(e.data.chat_id));
  }

  #match() {
    this.#pending.clear();
    for (const entry of this.entries) {
      if (entry.settled || this.#claimed.has(entry.id) || entry.state === "refused") continue;
      // A chat's log does not say which command a message came from, but one's own commands keep their order.
      if (entry.type === "post_message" && entry.tried) {
        const room = this.rooms.get(entry.data.chat_id);
        const at = room ? room.unclaimed.findIndex((m) => m.seq > entry.note.after && m.text === entry.data.text) : -1;
        if (at >= 0) {
          room.unclaimed.splice(0, at + 1);
          this.#claimed.add(entry.id);
          this.effects.settle(entry.id);
          continue;
        }
      }
      if (entry.state !== "stored") continue;
      const answer = this.answers.find((a) => a.request === entry.command_seq);
      if (answer?.type === "refused" && !this.#refused.has(entry.id)) {
        this.#refused.add(entry.id);
        this.effects.refuse(entry, answer.reason);
      } else if (answer || (entry.type !== "post_message" && entry.type !== "join_chat" && entry.type !== "create_chat")) {
        this.#claimed.add(entry.id);
        this.effects.settle(entry.id);
      }
    }
  }

  // ---- signals

  signal({ session, type, from, data }, now) {
    const room = this.rooms.get(session);
    if (!room || from === this.me) return null;
    if (type === "left_stream") {
      this.online.delete(from);
      room.typing.delete(from);
    } else {
      this.online.set(from, now + HERE_MS);
      if (type === "typing") room.typing.set(from, now + TYPING_MS);
    }
    this.effects.changed("presence", room);
    return type === "here" && data?.ask ? room : null;
  }
  tick(now) {
    let changed = false;
    const expire = (map) => {
      for (const [user, until] of map)
        if (until < now) {
          map.delete(user);
          changed = true;
        }
    };
    expire(this.online);
    for (const room of this.rooms.values()) expire(room.typing);
    if (changed) this.effects.changed("presence");
  }
  isHere(user) {
    return user === this.me || this.online.has(user);
  }
}
