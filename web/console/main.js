// The composition: who is signed in, which part is shown, and the beat that keeps it fresh.
import { $, released } from "../shared/element.js";
import { Api } from "./api.js";
import { count } from "./dom.js";
import { Failures } from "./failures.js";
import { Overview } from "./overview.js";
import { SessionView } from "./session.js";

const EVERY_MS = 2000;

const api = new Api();
let views = null;
let part = null;
let timer = 0;
let beating = null;

function askForToken(why = "") {
  clearTimeout(timer);
  api.forget();
  $("app").hidden = true;
  $("start").hidden = false;
  $("sign-in-error").textContent = why;
  $("token").value = "";
  $("token").focus();
}
api.refused = (why) => askForToken(why);
$("sign-in").onsubmit = (event) => {
  event.preventDefault();
  api.use($("token").value.trim());
  begin();
};
$("sign-out").onclick = () => askForToken();

async function begin() {
  if (!api.hasToken) return askForToken();
  $("start").hidden = true;
  $("app").hidden = false;
  views ??= { overview: new Overview(api), session: new SessionView(api), failures: new Failures(api) };
  part = null;
  await beat();
  if (api.hasToken) route();
}

/** A percent sign that somebody typed stands for itself. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** #/overview, #/sessions/chat-42, #/failures/chat-42 */
function route() {
  if (!views || $("app").hidden) return;
  const [, name = "overview", id = ""] = location.hash.split("/");
  const shown = { sessions: "session", failures: "failures" }[name] ?? "overview";
  for (const view of ["overview", "session", "failures"]) $(view).hidden = view !== shown;
  for (const link of document.querySelectorAll(".bar nav a")) {
    const isHere = link.hash === `#/${shown === "session" ? "sessions" : shown}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${shown === "session" && id ? id : { overview: "Overview", session: "Session", failures: "Failures" }[shown]} · Rowcall console`;
  if (part !== null && part !== shown && shown !== "session") $("content").focus();
  part = shown;
  if (shown === "overview") beat();
  else views[shown].show(decoded(id));
}
addEventListener("hashchange", route);

function beat() {
  clearTimeout(timer);
  return (beating ??= look().finally(() => {
    beating = null;
    // A page that nobody looks at asks for nothing.
    if (api.hasToken && !document.hidden) timer = setTimeout(beat, EVERY_MS);
  }));
}
async function look() {
  let seen = null;
  let reason = "";
  try {
    seen = await views.overview.refresh({ isShown: () => part === "overview" });
  } catch (error) {
    reason = error.status === 0 ? "the gateway does not answer" : error.message;
  }
  await released(); // a longer word up here can move what is below
  const failures = seen ? seen.retrying + seen.dead : 0;
  if (seen) {
    $("failures-count").hidden = failures === 0;
    $("failures-count").textContent = count(failures);
  }
  $("connection").textContent = seen ? "live" : reason;
  $("connection").classList.toggle("is-off", !seen);
}
document.addEventListener("visibilitychange", () => !document.hidden && api.hasToken && views && beat());

begin();
