// Pictures of the chat's main states, to be looked at: node tests/web/screenshots.mjs FOLDER (ROWCALL_WEB_PACKAGES: as browser.mjs)
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { root, say, startBrowser, visit } from "./browser.mjs";
import { startFakeGateway } from "./fake_gateway.mjs";

const folder = process.argv[2];
if (!folder) throw new Error("usage: screenshots.mjs FOLDER");
mkdirSync(folder, { recursive: true });

const browser = await startBrowser();
let gateway = await startFakeGateway({ webRoot: join(root, "web") });
const { sessions } = gateway;
const start = new Date();
start.setHours(9, 2, 0, 0);
if (start > new Date()) start.setTime(Date.now() - 7_200_000);
let minutes = -1500;
sessions.at = () => new Date(start.getTime() + minutes * 60_000).toISOString();

const command = (user, type, data) => sessions.submit(`user-${user}`, { type, data });
function make(id, name, members) {
  command(members[0], "create_chat", { chat_id: id, name });
  for (const member of members.slice(1)) command(member, "join_chat", { chat_id: id });
}
function talk(id, lines) {
  for (const [user, text, later = 1] of lines) {
    minutes += later;
    gateway.post(user, id, text);
  }
}
make("chat-release", "Release 2.4", ["maria", "ann", "jonas", "li-wei"]);
make("chat-lunch", "Lunch", ["jonas", "ann", "maria"]);
make("chat-harbour", "Harbour walk", ["li-wei", "ann", "maria"]);
make("chat-lobby", "Lobby", ["maria", "ann", "jonas", "li-wei", "sam", "priya"]);
make("chat-on-call", "On call", ["jonas", "ann"]);
talk("chat-harbour", [["li-wei", "Saturday, ten o'clock at the lighthouse?"], ["maria", "I'm in"], ["ann", "Me too, I bring the bread", 3]]);
talk("chat-on-call", [["jonas", "Quiet night. Handing over to you."], ["ann", "Got it, thanks", 4]]);
minutes = 0;
talk("chat-lobby", [["priya", "Good morning everyone"], ["sam", "Morning! Coffee is ready", 2]]);
talk("chat-lunch", [["jonas", "Soup place or noodles?", 4], ["ann", "Noodles. Always noodles.", 1], ["jonas", "12:30 then, meet at the door", 2]]);
talk("chat-release", [
  ["maria", "Migration is through on staging. Nothing was lost while we restarted the database twice."],
  ["maria", "The log is here: https://example.org/staging/log", 0],
  ["ann", "Nice. I killed the engine in the middle of the load test as well.", 2],
  ["jonas", "And?", 1],
  ["ann", "Picked up where it was. 100,000 commands, each once, in order.", 1],
  ["li-wei", "Then I have no more excuses. Tagging <b>v2.4</b> after lunch?", 3],
  ["maria", "Yes please. I write the notes until then.", 1],
]);

const people = {};
async function as(name, options) {
  const visitor = await visit(browser, gateway.url, name, { deviceScaleFactor: 1, ...options });
  await visitor.page.waitForFunction(() => document.querySelectorAll("[data-room]").length > 0);
  return visitor;
}
const shoot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`) });
const settled = (page) => page.waitForTimeout(250);

for (const name of ["maria", "li-wei"]) people[name] = await as(name);
const desktop = { viewport: { width: 1180, height: 720 } };
const phone = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };

{
  const context = await browser.newContext(desktop);
  const page = await context.newPage();
  await page.goto(gateway.url);
  await page.waitForSelector("#sign-in-name:focus");
  await shoot(page, "sign-in");
  await context.close();
  const fresh = await visit(browser, gateway.url, "newcomer", desktop);
  await fresh.page.waitForSelector("#app[data-rooms=none]");
  await shoot(fresh.page, "welcome");
  await fresh.context.close();
  const onPhone = await visit(browser, gateway.url, "newcomer", phone);
  await onPhone.page.waitForSelector("#app[data-rooms=none]");
  await shoot(onPhone.page, "welcome-phone");
  await onPhone.context.close();
}

for (const [scheme, suffix] of [["light", ""], ["dark", "-dark"]]) {
  const { page, context } = await as("ann", { ...desktop, colorScheme: scheme });
  await page.click("[data-room=chat-release]");
  await page.click("#people-button");
  // What comes now is unread elsewhere.
  minutes += 2;
  gateway.post("jonas", "chat-lunch", "They have the good table for us");
  gateway.post("maria", "chat-lunch", "Save me a seat");
  await say(page, scheme === "light" ? "Deal." : "See you at the door");
  await page.waitForSelector("[data-room=chat-lunch] .badge");
  await people["li-wei"].page.click("[data-room=chat-release]");
  await people["li-wei"].page.fill("#text", "");
  await people["li-wei"].page.locator("#text").pressSequentially("so");
  await page.waitForSelector(".typing.is-on");
  await settled(page);
  await shoot(page, `chat${suffix}`);
  await page.click("[data-room=chat-lunch]");
  await settled(page);
  await shoot(page, `unread${suffix}`);
  await page.keyboard.press("Control+k");
  await page.fill("#finder-name", "L");
  await settled(page);
  await shoot(page, `finder${suffix}`);
  await page.keyboard.press("Escape");
  await page.click("#menu-button");
  await settled(page);
  await shoot(page, `settings${suffix}`);
  await context.close();
  await new Promise((resolve) => setTimeout(resolve, 3100)); // "is typing" is told every three seconds at most
}

for (const [scheme, suffix] of [["light", ""], ["dark", "-dark"]]) {
  const { page, context } = await as("ann", { ...phone, colorScheme: scheme });
  await page.evaluate(() => document.getElementById("back").click());
  await settled(page);
  await shoot(page, `phone-rooms${suffix}`);
  await page.click("[data-room=chat-release]");
  await settled(page);
  await shoot(page, `phone-room${suffix}`);
  await context.close();
}

// Offline, with messages on their way and one that was refused.
{
  const { page } = await as("ann", desktop);
  await page.click("[data-room=chat-release]");
  gateway.faults.push((r) => (r.path.endsWith("/commands") ? { status: 422, problem: "invalid-command", errors: [{ index: 0, detail: "the text is too long" }] } : undefined));
  await say(page, "Release notes: everything.");
  await page.waitForSelector(".refused");
  await gateway.stop();
  await page.waitForSelector("#connection[data-state=offline]");
  await say(page, "I am on the train now,");
  await say(page, "and this will reach you after the tunnel.");
  await page.waitForSelector("#banner:has-text('2 messages')");
  await settled(page);
  await shoot(page, "offline");
  await page.setViewportSize(phone.viewport);
  await settled(page);
  await shoot(page, "phone-offline");
}
await browser.close();
