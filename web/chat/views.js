// Rows, items and marks of the page.
import { element } from "../shared/element.js";

const SVG = "http://www.w3.org/2000/svg";
const GROUP_MS = 5 * 60_000;
const HUES = 12;

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function hueOf(name) {
  let hash = 7;
  for (const c of name) hash = (hash * 33 + c.codePointAt(0)) >>> 0;
  return hash % HUES;
}

export function avatar(name, { isHere = false, isRoom = false } = {}) {
  const words = name.split(/[\s_-]+/).filter(Boolean);
  const letters = words.length > 1 ? [...words[0]][0] + [...words[1]][0] : [...(words[0] ?? "?")].slice(0, 2).join("");
  return element(`span.avatar.hue-${hueOf(name)}${isRoom ? ".is-room" : ""}${isHere ? ".is-here" : ""}`, { "aria-hidden": "true" }, letters);
}

// ---------------------------------------------------------------- times

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

const dayOf = (ms) => new Date(ms).setHours(0, 0, 0, 0);

function dayName(ms, now = Date.now()) {
  const days = Math.round((dayOf(now) - dayOf(ms)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 7 ? weekday.format(ms) : date.format(ms);
}
function shortTime(ms, now = Date.now()) {
  return dayOf(ms) === dayOf(now) ? clock.format(ms) : shortDate.format(ms);
}

// ---------------------------------------------------------------- messages

/** Addresses become links, and only those of the web. */
function textWithLinks(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
    parts.push(text.slice(at, match.index), element("a", { href: match[0], target: "_blank", rel: "noopener noreferrer" }, match[0]));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

const STATES = {
  sending: ["clock", "sending"],
  stored: ["check", "stored"],
  delivered: ["checks", "delivered"],
  refused: ["alert", "not sent"],
};
function stateMark(state) {
  const [name, label] = STATES[state];
  return element("span.state", { role: "img", "aria-label": label, title: label, "data-state": state }, icon(name));
}

const isMessage = (update) => update?.type === "new_message";

/** Whether a message goes on from the one before it: same sender, soon after. */
function continues(update, before) {
  if (!isMessage(before) || before.data.sender !== update.data.sender) return false;
  const at = Date.parse(update.at);
  const then = Date.parse(before.at);
  return at - then < GROUP_MS && dayOf(at) === dayOf(then);
}

/** One update of a room as a row; `before` is the update before it, when that is known. */
export function updateRow(update, before, { me, room }) {
  const at = Date.parse(update.at);
  const row = element("div.line", { role: "article", tabindex: "-1", "data-seq": update.seq, "aria-posinset": update.seq, "aria-setsize": room.seq });
  const notice = noticeOf(update, me);
  if (!isMessage(update) && notice === null) {
    row.hidden = true;
    return row;
  }
  if (!before ? update.seq <= room.first : dayOf(Date.parse(before.at)) !== dayOf(at)) row.append(element("p.day", {}, element("span", {}, dayName(at))));
  if (update.seq === room.divider) row.append(element("p.new", {}, element("span", {}, "New messages")));
  if (notice !== null) {
    row.classList.add("is-notice");
    row.append(element("p.notice", {}, notice));
    return row;
  }
  const isOwn = update.data.sender === me;
  const time = element("time", { datetime: update.at, title: full.format(at) }, clock.format(at));
  row.append(bubble({ sender: update.data.sender, text: update.data.text, isOwn, isFirst: !continues(update, before), time, state: isOwn ? "delivered" : null }));
  return row;
}

export function pendingRow(entry, before, { me, room, onRetry, onDiscard }) {
  const state = entry.state === "queued" ? "sending" : entry.state;
  const row = element("div.line.is-pending", { role: "article", tabindex: "-1", "data-entry": entry.id, "aria-setsize": room.seq });
  const isFirst = !(isMessage(before) ? before.data.sender === me : before?.isPending);
  row.append(bubble({ sender: me, text: entry.data.text, isOwn: true, isFirst, time: element("time", {}, clock.format(entry.at)), state }));
  if (state === "refused") {
    row.classList.add("is-refused");
    row.append(
      element(
        "p.refused",
        {},
        `Not sent: ${entry.reason} `,
        element("span.row", {}, element("button", { onclick: () => onRetry(entry) }, "Try again"), element("button", { onclick: () => onDiscard(entry) }, "Discard")),
      ),
    );
  }
  return row;
}

function bubble({ sender, text, isOwn, isFirst, time, state }) {
  const body = element("div.bubble", {}, element(isFirst && !isOwn ? "span.who" : "span.sr", {}, isOwn ? "You" : sender));
  body.append(element("p.text", { dir: "auto" }, ...textWithLinks(text)), element("span.meta", {}, time, state && stateMark(state)));
  const message = element(`div.message${isOwn ? ".is-own" : ""}${isFirst ? ".is-first" : ""}`, {}, isOwn ? null : isFirst ? avatar(sender) : element("span.avatar-gap"), body);
  return message;
}

export function skeletonRow(seq) {
  return element("div.line.is-skeleton", { "aria-hidden": "true", "data-seq": seq }, element("div.message", {}, element("span.avatar-gap.bone"), element(`span.bone.width-${seq % 4}`)));
}

function noticeOf({ type, data }, me) {
  const who = data.user_id === me ? "You" : data.user_id;
  if (type === "chat_created") return `${who} created “${data.name}”`;
  if (type === "chat_renamed") return `${who} renamed the room to “${data.name}”`;
  if (type === "member_joined") return `${who} joined`;
  if (type === "member_left") return `${who} left`;
  return null;
}

// ---------------------------------------------------------------- rooms and members

export function roomItem(room, { isCurrent, me, draft, onOpen }) {
  const last = room.lastMessage;
  const unread = room.unread > 0 ? (room.unread > 99 || !room.unreadIsExact ? "99+" : String(room.unread)) : "";
  const preview = draft ? element("span.preview", {}, element("em", {}, "Draft: "), draft) : element("span.preview", {}, last ? `${last.data.sender === me ? "You" : last.data.sender}: ${last.data.text}` : "");
  return element(
    "li",
    {},
    element(
      `button.room-item${unread ? ".is-unread" : ""}`,
      { "aria-current": isCurrent ? "true" : undefined, "data-room": room.id, onclick: () => onOpen(room.id) },
      avatar(room.title, { isRoom: true }),
      element("span.room-text", {}, element("span.title", {}, room.title), preview),
      element(
        "span.room-side",
        {},
        last ? element("time", { datetime: last.at }, shortTime(Date.parse(last.at))) : null,
        unread ? element("span.badge", { "aria-label": `${unread} unread` }, unread) : null,
      ),
    ),
  );
}

export function joiningItem(name) {
  return element("li", {}, element("div.room-item.is-joining", {}, avatar(name, { isRoom: true }), element("span.room-text", {}, element("span.title", {}, name), element("span.preview", {}, "on its way …"))));
}

export function memberItem(name, { isHere, isMe }) {
  return element("li", {}, avatar(name, { isHere }), element("span.name", {}, name, isMe ? element("small", {}, " you") : null), element(isHere ? "small.here" : "small", {}, isHere ? "here" : "away"));
}

export function listOf(names) {
  if (names.length <= 1) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
