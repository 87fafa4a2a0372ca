// The composition: client, store, outbox and replica below, the model in the middle, the page on top.

import { Outbox, Replica, Rowcall, openStore } from "../rowcall.js";
import { $, element, isPressed, released } from "../shared/element.js";
import { Identity } from "./identity.js";
import { VirtualList } from "./list.js";
import { Model, TEXT_CHARACTERS_MAX, kinds, roomOf } from "./model.js";
import { avatar, joiningItem, listOf, memberItem, pendingRow, roomItem, skeletonRow, updateRow } from "./views.js";

const PAGE_UPDATES = 200;
const RESTORED_UPDATES = 200;
const CACHED_UPDATES = 5000;
const HERE_EVERY_MS = 20_000;
const HERE_REPLY_EVERY_MS = 2000;
const HERE_ROOMS_MAX = 15;
const TYPING_EVERY_MS = 3000;
const FINDER_ROOMS_MAX = 200;
const OUTBOX_ENTRIES_MAX = 1000;
const LOBBY = "Lobby";

const client = new Rowcall();
const identity = new Identity(client);

// ---------------------------------------------------------------- settings

const settings = {
  get theme() {
    return localStorage.getItem("rowcall.theme") ?? "auto";
  },
  set theme(theme) {
    localStorage.setItem("rowcall.theme", theme);
    this.apply();
  },
  apply() {
    document.documentElement.dataset.theme = this.theme;
    for (const input of document.querySelectorAll("input[name=theme]")) input.checked = input.value === this.theme;
  },
};
settings.apply();
for (const input of document.querySelectorAll("input[name=theme]")) input.onchange = () => (settings.theme = input.value);

// ---------------------------------------------------------------- signing in

function show(view) {
  document.body.dataset.view = view;
  $("start").hidden = view !== "start";
  $("app").hidden = view === "start";
}

async function begin() {
  // Who was here before sees his rooms at once; what the gateway thinks of him comes in meanwhile.
  if (identity.user) {
    const chat = await startChat();
    if ((await identity.check()) === "no") chat.signInAgain();
    return;
  }
  // Most likely nobody is signed in; if somebody is after all, by a cookie, the form goes away.
  askWho("");
  if ((await identity.check()) === "yes") await startChat();
}

function askWho(error) {
  show("start");
  $("sign-in-error").textContent = error;
  $("sign-in-name").focus();
  let isSigningIn = false;
  $("sign-in").onsubmit = async (event) => {
    event.preventDefault();
    if (isSigningIn) return; // Enter, and once more because nothing happens
    isSigningIn = true;
    try {
      await identity.signIn($("sign-in-name").value.trim());
      if ((await startChat()).user !== identity.user) location.reload(); // a cookie's owner was about to come in
    } catch (problem) {
      // Without a development gateway a name is not enough.
      if (problem.status === 404) {
        $("sign-in-label").textContent = "Your token";
        $("sign-in-hint").textContent = "This gateway wants a token: rowcall token issue makes one.";
        $("sign-in-name").removeAttribute("pattern");
        $("sign-in-name").removeAttribute("maxlength");
        $("sign-in-name").type = "password";
        $("sign-in-name").value = "";
      } else $("sign-in-error").textContent = problem.status ? problem.message : "The gateway does not answer. Is it running?";
    } finally {
      isSigningIn = false;
    }
  };
}

// ---------------------------------------------------------------- the chat

class Chat {
  #me = identity.user;
  #store;
  #outbox;
  #replica;
  #model;
  #list;
  #live = false;
  #wanted = null; // a room to enter when it is there
  #loading = new Map(); // room -> Set of pages that are asked for
  #typingSent = 0;
  #newBelow = 0;
  #drawing = new Set();
  #replied = new Map();
  #unopened = new Set(); // rooms that did not fit into the stream
  #heard = new Set(); // rooms whose signals come: of those it was asked who is here

  get user() {
    return this.#me;
  }
  async start() {
    this.#store = await openStore(`rowcall:${this.#me}`);
    this.#model = new Model(this.#me, {
      changed: (what, room, more) => this.#changed(what, room, more),
      settle: (id) => this.#outbox.settle(id),
      refuse: (entry, reason) => this.#refused(entry, reason),
      mark: (room) => this.#mark(room),
      open: (id) => this.#open(id),
      close: (id) => this.#forget(id),
      refusal: ({ data }) => data.type !== "post_message" && data.type !== "create_chat" && this.#toast(data.reason),
      message: (room, update) => this.#arrived(room, update),
    });
    this.#model.restoreMarks(await this.#store.list("marks"));
    this.#list = new VirtualList($("scroller"), $("messages"), this.#rows(), (atEnd) => this.#scrolled(atEnd));
    this.#bind();
    this.#outbox = await Outbox.open(
      client,
      this.#store,
      { changed: (entries) => this.#model.outboxChanged(entries), unauthorized: () => this.signInAgain() },
      { entriesMax: OUTBOX_ENTRIES_MAX },
    );
    this.#store.onChange((what) => what.mark && this.#model.readElsewhere(what.mark, what.readSeq));
    this.#replica = new Replica(client, this.#store, kinds, {
      changed: (session, change) => this.#sessionChanged(session, change),
      ready: () => this.#ready(),
      state: (state) => this.#connectionChanged(state),
      signal: (signal) => this.#signal(signal),
      foreign: (session) => {
        this.#model.foreign(session);
        this.#outbox.resend(session);
      },
      left: (session) => session !== this.#model.userSession && this.#model.roomLeft(session),
      unauthorized: () => this.signInAgain(),
      failed: (error) => console.error(error),
    });
    this.#wanted = localStorage.getItem(`rowcall.room:${this.#me}`);
    $("me-name").textContent = this.#me;
    $("me-avatar").replaceWith(Object.assign(avatar(this.#me), { id: "me-avatar" }));
    show("rooms");
    this.#connectionChanged("connecting");
    this.#draw("rooms");
    await this.#replica.open(this.#model.userSession);
    setInterval(() => this.#model.tick(Date.now()), 1000);
    setInterval(() => this.#sayHere(() => false), HERE_EVERY_MS);
  }

  // ---- sessions

  async #open(id) {
    const held = this.#model.room(id)?.updates;
    const cached = await this.#store.get("sessions", id);
    try {
      await this.#replica.open(id);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#unopened.add(id); // listed; followed when others are left
      return;
    }
    if (!cached) return;
    // What was seen last time: the newest messages, and all that is unread.
    const read = this.#model.room(id)?.readSeq ?? cached.seq;
    const from = Math.max(1, Math.min(read + 1, cached.seq - RESTORED_UPDATES), cached.seq - CACHED_UPDATES);
    const updates = await this.#store.list("updates", [id, from], [id, cached.seq]);
    if (this.#model.room(id)?.updates === held) this.#model.restored(id, updates);
  }
  #forget(id) {
    this.#unopened.delete(id);
    this.#heard.delete(id);
    this.#replica.forget(id);
    // What was refused there can be seen nowhere any more.
    for (const e of this.#model.entries) if (e.state === "refused" && e.data.chat_id === id) this.#outbox.dismiss(e.id);
    const [next] = this.#unopened;
    if (next !== undefined && this.#unopened.delete(next)) this.#open(next);
    this.#store.apply([["delete", "marks", id]]);
  }
  #sessionChanged(session, change) {
    if (session === this.#model.userSession) this.#model.userChanged(change.state, change.updates, this.#live);
    else this.#model.roomChanged(session, change, this.#live);
  }
  #ready() {
    const first = !this.#live;
    this.#live = true;
    this.#model.caughtUp();
    this.#outbox.flush();
    // Who is here is asked when a room's signals begin to come: answers to what is asked before may find nobody who listens.
    const fresh = new Set([...this.#model.rooms.values()].filter((r) => r.isReady && !this.#heard.has(r.id)).map((r) => r.id));
    this.#sayHere((id) => fresh.has(id));
    for (const id of fresh) this.#heard.add(id);
    this.#readIfSeen();
    if (first) for (const id of this.#model.rooms.keys()) this.#replica.trim(id, CACHED_UPDATES);
    this.#draw("rooms", "room");
  }
  #mark(room) {
    this.#store.apply([["put", "marks", room.id, { id: room.id, readSeq: room.readSeq }]]);
    this.#store.announce({ mark: room.id, readSeq: room.readSeq });
  }
  #refused(entry, reason) {
    if (entry.type === "create_chat" && /exists already/.test(reason)) {
      // Somebody was faster, or it was always there: that is where the user wants to be.
      this.#outbox.dismiss(entry.id);
      if (entry.data.name !== LOBBY) this.#toast(`“${entry.data.name}” exists already: joining it`);
      this.#submit("join_chat", { chat_id: entry.data.chat_id }, { name: entry.data.name });
      return;
    }
    if (entry.type === "post_message" && this.#model.room(entry.data.chat_id)) this.#outbox.refuse(entry.id, reason);
    else {
      this.#outbox.dismiss(entry.id);
      this.#toast(entry.data.text ? `Not sent: ${reason}. ${entry.data.text}` : reason);
    }
  }

  /** The token is no longer good. What is written meanwhile waits in the outbox. */
  signInAgain() {
    askWho("Please sign in again: your token has run out.");
    $("sign-in").onsubmit = async (event) => {
      event.preventDefault();
      try {
        await identity.signIn($("sign-in-name").value.trim());
        if (identity.user !== this.#me) location.reload();
        show(this.#model.current ? "room" : "rooms");
        this.#replica.following.wake();
        this.#outbox.flush();
      } catch (problem) {
        $("sign-in-error").textContent = problem.message;
      }
    };
  }

  // ---- drawing

  #changed(what, room, more) {
    const isCurrent = room && room.id === this.#model.current;
    if (what === "rooms") this.#draw("rooms", "room");
    if (what === "room" && room) {
      this.#draw("rooms");
      if (isCurrent) {
        this.#draw("room");
        if (more.live && !this.#list.atEnd) {
          this.#newBelow += Math.max(0, room.seq - more.from);
          this.#scrolled(false);
        }
        this.#list.invalidate(Math.max(0, more.from - room.first));
        if (more.live) this.#readIfSeen();
      }
    }
    if (what === "history" && isCurrent) {
      if (more.isShorter) this.#list.invalidate();
      else this.#list.schedule();
    }
    if (what === "outbox") {
      this.#draw("rooms", "connection");
      const current = this.#model.room(this.#model.current);
      if (current) this.#list.invalidate(Math.max(0, current.seq - current.first));
    }
    if (what === "presence") this.#draw("presence");
  }
  /** Once a frame, whatever has changed how often. */
  #draw(...parts) {
    if (this.#drawing.size === 0)
      requestAnimationFrame(() => {
        const wanted = this.#drawing;
        this.#drawing = new Set();
        if (wanted.has("rooms")) this.#drawRooms();
        if (wanted.has("rooms") || wanted.has("room")) this.#drawRoom();
        if (wanted.has("presence") || wanted.has("room") || wanted.has("rooms")) this.#drawPresence();
        if (wanted.has("connection")) this.#connectionChanged();
      });
    for (const part of parts) this.#drawing.add(part);
  }

  #drawRooms() {
    if (isPressed()) return this.#draw("rooms"); // with the next frame
    const model = this.#model;
    if (this.#wanted && model.room(this.#wanted)) {
      const wanted = this.#wanted;
      this.#wanted = null;
      // On a phone the list of rooms is what opens, unless the room was asked for.
      this.enter(wanted, { isAsked: wanted === this.#asked });
    } else if (!model.current && model.rooms.size > 0 && !this.#isPhone() && this.#live) {
      this.enter(this.#ordered()[0].id, { isAsked: false });
    }
    const focused = document.activeElement?.dataset?.room;
    $("rooms").replaceChildren(
      ...model.joining().map((entry) => joiningItem(entry.note.name ?? entry.data.chat_id)),
      ...this.#ordered().map((room) =>
        roomItem(room, {
          isCurrent: room.id === model.current,
          me: this.#me,
          draft: room.id !== model.current && this.#draft(room.id),
          onOpen: (id) => this.enter(id, { isAsked: true }),
        }),
      ),
    );
    if (focused) $("rooms").querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
    const total = model.unreadTotal;
    const here = model.room(model.current)?.title;
    document.title = `${total > 0 ? `(${total > 99 ? "99+" : total}) ` : ""}${here ? `${here} · ` : ""}Rowcall`;
    $("app").dataset.rooms = model.rooms.size > 0 || model.joining().length > 0 ? "some" : this.#live ? "none" : "unknown";
  }
  /** Unread first come those with the newest message. */
  #ordered() {
    const at = (room) => Date.parse(room.lastMessage?.at ?? 0) || 0;
    return [...this.#model.rooms.values()].sort((a, b) => at(b) - at(a) || (a.title < b.title ? -1 : 1));
  }

  #drawRoom() {
    const room = this.#model.room(this.#model.current);
    $("app").dataset.room = room ? "some" : "none";
    if (!room) {
      if (document.body.dataset.view === "room") show("rooms");
      return;
    }
    $("room-title").textContent = room.title;
    $("empty").hidden = this.#rows().count() > 0;
    $("empty").textContent = room.isReady ? "Nothing was said here yet." : "Loading …";
    this.#drawMembers(room);
  }
  #drawMembers(room) {
    if ($("people").hidden) return;
    const members = room.members.map((name) => ({ name, isHere: this.#model.isHere(name), isMe: name === this.#me }));
    members.sort((a, b) => b.isHere - a.isHere || (a.name < b.name ? -1 : 1));
    $("members").replaceChildren(...members.map((m) => memberItem(m.name, m)));
  }
  #drawPresence() {
    const room = this.#model.room(this.#model.current);
    if (!room) return;
    const here = room.members.filter((m) => this.#model.isHere(m)).length;
    $("room-sub").textContent = `${room.members.length} ${room.members.length === 1 ? "member" : "members"} · ${here} here`;
    const typing = [...room.typing.keys()];
    $("typing").textContent = typing.length === 0 ? "" : typing.length > 3 ? "Several people are typing" : `${listOf(typing)} ${typing.length === 1 ? "is" : "are"} typing`;
    $("typing").classList.toggle("is-on", typing.length > 0);
    this.#drawMembers(room);
  }

  #connection = "connecting";
  #connectionChanged(state = this.#connection) {
    this.#connection = state;
    const isLive = state === "live";
    const waiting = this.#model.entries.filter((e) => e.state === "queued").length;
    const isOffline = !isLive && (state === "waiting" || navigator.onLine === false);
    $("connection").textContent = isLive ? "connected" : isOffline ? "offline" : "connecting …";
    $("connection").dataset.state = isLive ? "live" : isOffline ? "offline" : "connecting";
    const banner = $("banner");
    if (!isOffline) banner.hidden = true;
    else {
      const text = waiting > 0 ? `Offline. ${waiting === 1 ? "One message waits" : `${waiting} messages wait`} and will be sent when the network is back.` : "Offline. What you write will be sent when the network is back.";
      if (banner.textContent !== text) banner.textContent = text;
      banner.hidden = false;
    }
    document.body.dataset.connection = $("connection").dataset.state;
  }

  // ---- messages

  /** The rows of the current room: its updates by seq, then what is on its way. */
  #rows() {
    const model = this.#model;
    const room = () => model.room(model.current);
    const logCount = (r) => Math.max(0, r.seq - r.first + 1);
    const pending = (r, index) => model.pending(r.id)[index - logCount(r)];
    return {
      count: () => {
        const r = room();
        return r ? logCount(r) + model.pending(r.id).length : 0;
      },
      key: (index) => {
        const r = room();
        return index < logCount(r) ? r.first + index : `entry-${pending(r, index)?.id}`;
      },
      version: (index) => {
        const r = room();
        if (index >= logCount(r)) {
          const entry = pending(r, index);
          return `${entry.state}${entry.reason ?? ""}`;
        }
        const seq = r.first + index;
        return r.updates.has(seq) ? (r.updates.has(seq - 1) || seq === r.first ? 2 : 1) + (seq === r.divider ? 4 : 0) : 0;
      },
      make: (index) => {
        const r = room();
        const context = { me: this.#me, room: r };
        if (index < logCount(r)) {
          const seq = r.first + index;
          const update = r.updates.get(seq);
          return update ? updateRow(update, r.updates.get(seq - 1), context) : skeletonRow(seq);
        }
        const before = index > logCount(r) ? { isPending: true } : r.updates.get(r.seq);
        return pendingRow(pending(r, index), before, {
          ...context,
          onRetry: (entry) => this.#outbox.retry(entry.id),
          onDiscard: (entry) => this.#outbox.dismiss(entry.id),
        });
      },
      need: (first, last) => this.#need(room(), first, last),
    };
  }

  /** Loads the pages that hold these rows, the newest first; what the reader scrolled past is not asked for. */
  #need(room, first, last) {
    if (!room?.isReady) return;
    const pages = this.#loading.get(room.id) ?? new Set();
    this.#loading.set(room.id, pages);
    for (let seq = Math.min(room.seq, room.first + last); seq >= room.first + first; --seq) {
      if (room.updates.has(seq)) continue;
      const page = Math.floor((seq - 1) / PAGE_UPDATES);
      if (pages.has(page) || pages.size >= 3) continue;
      pages.add(page);
      this.#load(room, page).finally(() => pages.delete(page));
    }
  }
  async #load(room, page) {
    const from = Math.max(room.first, page * PAGE_UPDATES + 1);
    const to = Math.min(room.seq, (page + 1) * PAGE_UPDATES);
    const held = room.updates;
    try {
      const { updates, gone } = await this.#replica.history(room.id, from, to);
      if (this.#model.room(room.id)?.updates === held) this.#model.loaded(room.id, updates, gone);
      else this.#list.schedule(); // the room was left, or has begun anew: what it has now is asked for again
    } catch {
      // No network: asked for again with the next scroll, and when the stream is back.
      setTimeout(() => this.#list.schedule(), 2000);
    }
  }

  enter(id, { isAsked }) {
    const model = this.#model;
    if (model.current !== id) {
      model.enter(id);
      localStorage.setItem(`rowcall.room:${this.#me}`, id);
      this.#newBelow = 0;
      $("text").value = this.#draft(id) ?? "";
      this.#composerChanged();
      this.#list.reset();
      const room = model.room(id);
      if (room.divider > 0 && room.seq - room.divider > 8) this.#list.toIndex(room.divider - room.first);
      this.#sayHereIn(id, true);
    }
    if (isAsked || !this.#isPhone()) show("room");
    this.#draw("rooms", "room");
    if (isAsked) {
      if (this.#isPhone()) $("room-title").focus();
      else $("text").focus();
    }
    this.#readIfSeen();
    this.#scrolled(this.#list.atEnd);
  }

  #scrolled(atEnd) {
    if (atEnd) {
      this.#newBelow = 0;
      this.#readIfSeen();
    }
    $("to-end").hidden = atEnd;
    $("to-end-text").textContent = this.#newBelow > 0 ? `${this.#newBelow} new` : "Latest";
  }
  #readIfSeen() {
    const isSeen = document.visibilityState === "visible" && (document.body.dataset.view === "room" || !this.#isPhone());
    if (this.#live && isSeen && this.#model.current && this.#list.atEnd) this.#model.read(this.#model.current);
  }
  #arrived(room, { data }) {
    if (room.id === this.#model.current) this.#announce(`${data.sender}: ${data.text}`);
  }
  #announce(text) {
    const live = $("live");
    live.append(element("p", {}, text));
    while (live.childElementCount > 5) live.firstChild.remove();
  }
  #toast(text) {
    const toast = element("p.toast", {}, text);
    $("toasts").append(toast);
    setTimeout(() => toast.remove(), 6000);
  }

  // ---- writing

  #draft(id) {
    return localStorage.getItem(`rowcall.draft:${this.#me}:${id}`);
  }
  #keepDraft(id, text) {
    if (text) localStorage.setItem(`rowcall.draft:${this.#me}:${id}`, text);
    else localStorage.removeItem(`rowcall.draft:${this.#me}:${id}`);
  }
  #composerChanged({ keepsDraft = false } = {}) {
    const text = $("text").value;
    const count = [...text].length;
    if (this.#model.current && !keepsDraft) this.#keepDraft(this.#model.current, text);
    $("send").disabled = text.trim() === "" || count > TEXT_CHARACTERS_MAX;
    $("counter").textContent = count > TEXT_CHARACTERS_MAX - 300 ? String(TEXT_CHARACTERS_MAX - count) : "";
    $("counter").classList.toggle("is-over", count > TEXT_CHARACTERS_MAX);
    $("text").style.height = "auto";
    $("text").style.height = `${Math.min($("text").scrollHeight, 180)}px`;
  }
  async #send() {
    const text = $("text").value.trim();
    const room = this.#model.room(this.#model.current);
    if (!room || text === "" || [...text].length > TEXT_CHARACTERS_MAX) return;
    if (this.#isFull()) return; // the text stays where it is
    const draft = this.#draft(room.id);
    $("text").value = "";
    this.#composerChanged({ keepsDraft: true });
    room.divider = 0;
    this.#list.toEnd();
    await this.#submit("post_message", { chat_id: room.id, text }, { after: room.seq });
    // Not before the outbox has it: a page that is closed meanwhile still has the text. Something else may be written by now.
    if (this.#draft(room.id) === draft) this.#keepDraft(room.id, "");
  }
  #isFull() {
    if (this.#outbox.isFull) this.#toast(`${this.#model.entries.length} messages are still on their way. Write on when some of them have arrived.`);
    return this.#outbox.isFull;
  }
  async #submit(type, data, note) {
    if (this.#isFull()) return;
    try {
      await this.#outbox.add(this.#model.userSession, type, data, note);
    } catch (error) {
      // The browser has no room left, or takes none: what can not be kept is not sent either.
      this.#toast(`Not sent: this browser can not keep it (${error.message}). ${data.text ?? ""}`);
    }
  }

  // ---- presence

  #signal(signal) {
    const asked = this.#model.signal(signal, Date.now());
    if (!asked) return;
    // Not all at once, and once for all who ask in the next seconds.
    const last = this.#replied.get(asked.id) ?? 0;
    if (last > Date.now()) return;
    const at = Math.max(Date.now() + Math.random() * Math.min(1500, asked.members.length * 50), last + HERE_REPLY_EVERY_MS);
    this.#replied.set(asked.id, at);
    setTimeout(() => this.#sayHereIn(asked.id, false), at - Date.now());
  }
  #sayHereIn(id, ask) {
    if (this.#live) client.signal(id, "here", ask ? { ask } : {}).catch(() => {});
  }
  #sayHere(asks) {
    const rooms = this.#ordered().map((r) => r.id);
    rooms.sort((a, b) => (b === this.#model.current) - (a === this.#model.current));
    for (const id of rooms.slice(0, HERE_ROOMS_MAX)) this.#sayHereIn(id, asks(id));
  }
  #sayTyping() {
    const now = Date.now();
    if (!this.#model.current || now - this.#typingSent < TYPING_EVERY_MS || !this.#live) return;
    this.#typingSent = now;
    client.signal(this.#model.current, "typing").catch(() => {});
  }

  // ---- the page

  #isPhone() {
    return matchMedia("(max-width: 700px)").matches;
  }
  #asked = null;
  #join(id, name) {
    if (this.#model.room(id)) return this.enter(id, { isAsked: true });
    this.#wanted = this.#asked = id;
    return this.#submit("join_chat", { chat_id: id }, { name });
  }
  #create(name) {
    const id = roomOf(name);
    if (this.#model.room(id)) return this.enter(id, { isAsked: true });
    this.#wanted = this.#asked = id;
    return this.#submit("create_chat", { chat_id: id, name }, { name });
  }

  #bind() {
    $("composer").onsubmit = (event) => {
      event.preventDefault();
      this.#send();
      $("text").focus();
    };
    $("text").oninput = () => {
      this.#composerChanged();
      this.#sayTyping();
    };
    $("text").onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    };
    $("to-end").onclick = () => {
      this.#list.toEnd();
      $("text").focus();
    };
    $("back").onclick = () => {
      show("rooms");
      $("rooms").querySelector("[aria-current]")?.focus();
      this.#draw("rooms");
    };
    $("people-button").onclick = () => this.#showPeople($("people").hidden);
    $("people-close").onclick = () => {
      this.#showPeople(false);
      $("people-button").focus();
    };
    $("menu-button").onclick = () => $("menu").showModal();
    $("add-room").onclick = $("find-room").onclick = () => this.#openFinder();
    $("join-lobby").onclick = () => this.#create(LOBBY);
    $("sign-out").onclick = async () => {
      await identity.signOut();
      location.reload();
    };
    $("rename").onclick = () => {
      $("renamer-name").value = this.#model.room(this.#model.current)?.title ?? "";
      $("renamer").showModal();
      $("renamer-name").select();
    };
    $("renamer").onclose = () => {
      const name = $("renamer-name").value.trim();
      const room = this.#model.room(this.#model.current);
      if ($("renamer").returnValue === "ok" && name && room && name !== room.name) this.#submit("rename_chat", { chat_id: room.id, name });
    };
    // Enter would press the dialog's first button, which is Cancel.
    $("renamer-name").onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      $("renamer").close("ok");
    };
    $("leave").onclick = () => $("leaver").showModal();
    $("leaver").onclose = () => {
      const id = this.#model.current;
      if ($("leaver").returnValue === "ok" && id) this.#submit("leave_chat", { chat_id: id });
      this.#showPeople(false);
    };
    for (const dialog of document.querySelectorAll("dialog"))
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close("close"));
    $("finder-name").oninput = () => this.#drawFinder();
    $("finder-name").onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const first = $("finder-rooms").querySelector("button");
      if (first && $("finder-name").value.trim() && !$("finder-create").isExact) first.click();
      else if (!$("finder-create").hidden) $("finder-create").click();
    };
    $("scroller").onkeydown = (event) => this.#keyInMessages(event);
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.#readIfSeen());
    addEventListener("focus", () => this.#readIfSeen());
    for (const type of ["online", "offline"]) addEventListener(type, () => this.#connectionChanged());
  }
  #showPeople(isOpen) {
    $("people").hidden = !isOpen;
    $("people-button").setAttribute("aria-expanded", String(isOpen));
    this.#draw("presence");
    if (isOpen && this.#isPhone()) $("people-close").focus();
  }

  #key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#openFinder();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      const ids = this.#ordered().map((r) => r.id);
      const at = ids.indexOf(this.#model.current) + (event.key === "ArrowUp" ? -1 : 1);
      if (ids[at]) this.enter(ids[at], { isAsked: true });
    } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
      if (!$("people").hidden) this.#showPeople(false);
      if (this.#model.current) $("text").focus();
    }
  }
  #keyInMessages(event) {
    const source = this.#rows();
    const current = this.#model.room(this.#model.current);
    if (!current) return;
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      if (event.key === "End") this.#list.toEnd();
      else this.#list.toIndex(0);
      return;
    }
    const step = { ArrowUp: -1, PageUp: -8, ArrowDown: 1, PageDown: 8 }[event.key];
    const row = document.activeElement.closest?.(".line");
    // With the focus on the list itself the keys scroll, as everywhere; the first arrow goes to the last message seen.
    if (!step || (!row && event.key.startsWith("Page"))) return;
    event.preventDefault();
    const lines = [...$("messages").children].filter((l) => !l.hidden && !l.classList.contains("is-skeleton"));
    const bottom = $("scroller").getBoundingClientRect().bottom;
    const start = row ? lines.indexOf(row) : lines.findLastIndex((l) => l.getBoundingClientRect().bottom <= bottom + 4) + (step < 0 ? 1 : 0);
    const next = lines[Math.max(0, Math.min(lines.length - 1, start + step))];
    if (!next || source.count() === 0) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  // ---- finding rooms

  #known = [];
  #finding = null;
  async #openFinder() {
    if (document.querySelector("dialog[open]")) return;
    $("finder-name").value = "";
    $("finder").showModal();
    $("finder-name").focus();
    this.#drawFinder();
    const asked = (this.#finding = client.chats({ limit: FINDER_ROOMS_MAX }));
    try {
      const { chats } = await asked;
      await released();
      if (asked === this.#finding) this.#known = chats;
    } catch {
      // Offline: the rooms one is in, and new ones.
    }
    this.#drawFinder();
  }
  #drawFinder() {
    const wanted = $("finder-name").value.trim();
    const sought = wanted.toLowerCase();
    const rooms = new Map(this.#known.map((c) => [c.chat_id, { id: c.chat_id, name: c.name, members: c.members }]));
    for (const room of this.#model.rooms.values()) rooms.set(room.id, { id: room.id, name: room.title, members: room.members.length, isOurs: true });
    const fits = [...rooms.values()].filter((r) => r.name.toLowerCase().includes(sought));
    const begins = (r) => r.name.toLowerCase().startsWith(sought);
    fits.sort((a, b) => begins(b) - begins(a) || b.members - a.members || (a.name < b.name ? -1 : 1));
    const choose = (action) => () => {
      $("finder").close();
      action();
    };
    $("finder-rooms").replaceChildren(
      ...fits.slice(0, 50).map((r) =>
        element(
          "li",
          {},
          element(
            "button",
            { type: "button", onclick: choose(() => (r.isOurs ? this.enter(r.id, { isAsked: true }) : this.#join(r.id, r.name))) },
            avatar(r.name, { isRoom: true }),
            element("span.title", {}, r.name),
            element("small", {}, `${r.members} ${r.members === 1 ? "member" : "members"}`),
            element("span.action", {}, r.isOurs ? "Open" : "Join"),
          ),
        ),
      ),
    );
    const isTaken = rooms.has(roomOf(wanted)) || wanted === "";
    $("finder-create").hidden = isTaken;
    $("finder-create").isExact = !isTaken && fits.length === 0;
    $("finder-create").textContent = `Create “${wanted}”`;
    $("finder-create").onclick = choose(() => this.#create(wanted));
  }
}

let starting = null;
/** One for the page, whoever asks for it first. */
function startChat() {
  return (starting ??= (async () => {
    const chat = new Chat();
    await chat.start();
    return chat;
  })().catch((error) => {
    starting = null;
    throw error;
  }));
}

// ---------------------------------------------------------------- offline

if (navigator.serviceWorker) {
  const scripts = globalThis.trustedTypes?.createPolicy("rowcall-worker", {
    createScriptURL: (url) => {
      if (url !== "sw.js") throw new TypeError("only the page's own worker");
      return url;
    },
  });
  addEventListener("load", () => navigator.serviceWorker.register(scripts?.createScriptURL("sw.js") ?? "sw.js").catch(() => {}));
}

begin();
