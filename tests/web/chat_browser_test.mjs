// The chat in Chromium, with a gateway in memory that can be held, broken and restarted.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { join } from "node:path";

import { WAIT_MS, enterRoom, followed, frames, lowContrast, measureOpening, messages, press, root, say, startBrowser, visit, waitForTexts } from "./browser.mjs";
import { startFakeGateway } from "./fake_gateway.mjs";

const webRoot = join(root, "web");
const TALL = { width: 900, height: 1500 };
let browser;
let gateway;
let visitors = [];

before(async () => (browser = await startBrowser()));
after(() => browser?.close());
afterEach(async () => {
  const seen = visitors;
  visitors = [];
  const breaches = [];
  for (const { context } of seen) for (const page of context.pages()) breaches.push(...(await page.evaluate(() => globalThis.breaches)));
  await Promise.all(seen.map(({ context }) => context.close()));
  await gateway?.stop();
  gateway = null;
  assert.deepEqual(seen.flatMap((v) => v.problems), [], "errors in a page");
  assert.deepEqual(breaches, [], "breaches of the Content-Security-Policy");
});

async function start() {
  gateway = await startFakeGateway({ webRoot });
}
async function restart(meanwhile = async () => {}) {
  const { port, sessions } = gateway;
  await gateway.stop();
  await meanwhile();
  gateway = await startFakeGateway({ webRoot, port, sessions });
}
async function visitor(name, options) {
  const v = await visit(browser, gateway.url, name, options);
  visitors.push(v);
  return v;
}
/** A room with members and messages, as if they had always been there. */
function room(id, name, members, count = 0) {
  const [first, ...others] = members;
  gateway.sessions.submit(`user-${first}`, { type: "create_chat", data: { chat_id: id, name } });
  for (const user of others) gateway.sessions.submit(`user-${user}`, { type: "join_chat", data: { chat_id: id } });
  for (let i = 0; i < count; ++i) gateway.post(members[i % members.length], id, `message ${i} ${"and some more words ".repeat((i * 7) % 12)}`.trim());
}
/** An answer of now to what fits, that comes when it is told to: {asked, release}. Those after it are not held. */
function holdAnswer(fits) {
  let release;
  let tell;
  const held = { until: new Promise((resolve) => (release = resolve)) };
  const asked = new Promise((resolve) => (tell = resolve));
  gateway.faults.push((request) => {
    if (!tell || !fits(request)) return undefined;
    tell();
    tell = null;
    return held;
  });
  return { asked, release };
}
/** Requests of this path that have come. */
const count = (path) => gateway.requests.filter((r) => r.path === path).length;

test("two browsers chat, and see who is here and who types", async () => {
  await start();
  const ann = await visitor("ann", { viewport: TALL });
  await enterRoom(ann.page, "Lunch");
  const bob = await visitor("bob", { viewport: TALL });
  await enterRoom(bob.page, "Lunch");
  await say(ann.page, "Are you hungry?");
  // Signals reach who listens: both do, when each sees the other.
  for (const { page } of [ann, bob]) await page.waitForFunction(() => document.getElementById("room-sub").textContent === "2 members · 2 here");
  const typing = ann.page.waitForFunction(() => document.getElementById("typing").textContent === "bob is typing");
  await bob.page.fill("#text", "Very");
  await bob.page.locator("#text").pressSequentially("!");
  await typing;
  await bob.page.press("#text", "Enter");
  for (const { page } of [ann, bob]) await waitForTexts(page, ["Are you hungry?", "Very!"]);
  assert.equal((await messages(ann.page))[0].state, "delivered");
  // What a screen reader hears, and what it does not: one's own messages.
  assert.deepEqual(await ann.page.$$eval("#live p", (all) => all.map((p) => p.textContent)), ["bob: Very!"]);
  await bob.context.close();
  visitors.pop();
  await ann.page.waitForFunction(() => document.getElementById("room-sub").textContent === "2 members · 1 here");
});

test("who comes into a room learns who is there, though the answers come before his stream does", async () => {
  await start();
  room("chat-lunch", "Lunch", ["ann"]);
  // Everybody says now and then that he is here; not in this test.
  const quiet = async (name) => {
    const { page } = await visitor(name, { signIn: false });
    await page.evaluate(() => {
      const real = setInterval;
      globalThis.setInterval = (work, ms) => (ms === 20_000 ? 0 : real(work, ms));
    });
    await page.fill("#sign-in-name", name);
    await page.press("#sign-in-name", "Enter");
    await page.waitForSelector("#connection[data-state=live]", { state: "attached" });
    return page;
  };
  const ann = await quiet("ann");
  await ann.waitForFunction(() => document.getElementById("room-sub").textContent === "1 member · 1 here");
  const bob = await quiet("bob");
  const late = holdAnswer((r) => r.path === "/v1/sessions/chat-lunch/snapshot" && r.user === "bob");
  const answer = ann.waitForRequest((request) => request.url().endsWith("/chat-lunch/signals") && !request.postDataJSON().data.ask);
  await enterRoom(bob, "Lunch");
  await late.asked;
  await (await (await answer).response()).finished();
  late.release();
  for (const page of [ann, bob]) await page.waitForFunction(() => document.getElementById("room-sub").textContent === "2 members · 2 here");
});

test("text that looks like HTML stays text, in messages, names and rooms", async () => {
  await start();
  const nasty = `<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script><b>&amp;</b> javascript:alert(1) https://example.org/"><i>`;
  const ann = await visitor("ann", { viewport: TALL });
  await enterRoom(ann.page, "<s>Room</s>");
  await say(ann.page, nasty);
  await waitForTexts(ann.page, [nasty]);
  assert.equal(await ann.page.evaluate(() => globalThis.hacked), undefined);
  assert.equal(await ann.page.locator("#messages img, #messages script, #messages b, #messages i, #rooms s").count(), 0);
  assert.deepEqual(await ann.page.$$eval("#messages a", (all) => all.map((a) => a.getAttribute("href"))), ["https://example.org/"]);
  // The policy holds where the code would not.
  const blocked = await ann.page.evaluate(async () => {
    // The two breaches are told later than they happen. Where nothing is breached nothing is told: then the result says so.
    const told = new Promise((resolve) => {
      addEventListener("securitypolicyviolation", () => globalThis.breaches.length >= 2 && resolve());
    });
    const script = document.createElement("script");
    try {
      script.textContent = "globalThis.hacked = 1";
      document.body.append(script);
    } catch {
      // Trusted types.
    }
    let sink = "open";
    try {
      document.createElement("div").innerHTML = "<img src=x onerror='globalThis.hacked=1'>";
    } catch {
      sink = "closed";
    }
    await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 10_000))]);
    const result = [globalThis.hacked, sink, globalThis.breaches.length >= 2];
    globalThis.breaches = [];
    return result;
  });
  assert.deepEqual(blocked, [undefined, "closed", true]);
});

test("a message goes from sending over stored to delivered, and survives a reload on its way", async () => {
  await start();
  const { page } = await visitor("ann", { viewport: TALL });
  await enterRoom(page, "Lunch");
  gateway.faults.push((r) => (r.path.endsWith("/commands") ? "lose-answer" : undefined));
  await say(page, "one");
  await page.waitForSelector("[data-state=sending], [data-state=delivered]");
  gateway.sessions.held = true;
  await say(page, "two");
  await page.waitForSelector(".is-pending .text:text-is('two')"); // only what is on the screen is in the outbox
  await page.reload();
  await page.waitForFunction(() => [...document.querySelectorAll(".is-pending .text")].some((t) => t.textContent === "two"));
  gateway.faults.length = 0;
  await page.waitForSelector(".is-pending [data-state=stored]");
  gateway.sessions.held = false;
  gateway.sessions.run();
  await waitForTexts(page, ["one", "two"]);
  assert.deepEqual(gateway.log("chat-lunch").filter((u) => u.type === "new_message").map((u) => u.data.text), ["one", "two"]);
});

test("a text is a draft until the outbox has it", async () => {
  await start();
  const { page } = await visitor("ann", { viewport: TALL });
  await enterRoom(page, "Lunch");
  const kept = () => Object.entries(localStorage).filter(([key]) => key.startsWith("rowcall.draft:")).map(([, text]) => text);
  await page.fill("#text", "one");
  assert.deepEqual(await page.evaluate(kept), ["one"]);
  const [atOnce, shown] = await page.evaluate(() => {
    document.getElementById("composer").requestSubmit();
    return [Object.entries(localStorage).filter(([key]) => key.startsWith("rowcall.draft:")).map(([, text]) => text), document.getElementById("text").value];
  });
  assert.deepEqual([atOnce, shown], [["one"], ""]);
  await waitForTexts(page, ["one"]);
  assert.deepEqual(await page.evaluate(kept), []);
});

test("a refused message says why, and can be tried again or discarded", async () => {
  await start();
  room("chat-lunch", "Lunch", ["bob", "ann"]);
  const { page } = await visitor("ann", { viewport: TALL });
  await page.waitForSelector("#room-title:text('Lunch')");
  gateway.faults.push((r) => (r.path.endsWith("/commands") ? { status: 422, problem: "invalid-command", errors: [{ index: 0, detail: "not today" }] } : undefined));
  await say(page, "hello");
  await page.waitForSelector(".refused:has-text('not today')");
  await page.reload();
  await page.waitForSelector(".refused:has-text('not today')");
  gateway.faults.length = 0;
  await page.click("text=Try again");
  await waitForTexts(page, ["hello"]);
});

test("the page opens without a network, and what two tabs write is sent once and in order when it is back", async () => {
  await start();
  room("chat-lunch", "Lunch", ["bob", "ann"], 5);
  const ann = await visitor("ann", { viewport: TALL });
  await ann.page.waitForSelector("#room-title:text('Lunch')");
  await ann.page.waitForFunction(() => document.querySelectorAll("#messages .text").length === 5);
  await ann.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const before = (await messages(ann.page)).map((m) => m.text);
  const second = await ann.open();
  await second.waitForSelector("#connection[data-state=live]");
  await restart(async () => {
    await ann.page.reload();
    await ann.page.waitForSelector("#connection[data-state=offline]");
    await ann.page.waitForFunction(() => document.querySelectorAll("#messages .text").length === 5);
    for (let i = 0; i < 3; ++i) {
      await say(ann.page, `offline ${i}`);
      await second.waitForFunction((n) => document.querySelectorAll(".is-pending").length === n, 2 * i + 1);
      await say(second, `also offline ${i}`);
      await ann.page.waitForFunction((n) => document.querySelectorAll(".is-pending").length === n, 2 * i + 2);
    }
    await ann.page.waitForSelector("#banner:has-text('6 messages wait')");
    await ann.page.reload();
    await ann.page.waitForFunction(() => document.querySelectorAll(".is-pending").length === 6);
  });
  const wanted = [...before, "offline 0", "also offline 0", "offline 1", "also offline 1", "offline 2", "also offline 2"];
  await waitForTexts(ann.page, wanted);
  await waitForTexts(second, wanted);
  assert.equal(gateway.log("chat-lunch").filter((u) => u.type === "new_message").length, 11);
});

test("a thousand messages may wait; the next one stays in the composer, and all are sent once when the network is back", async (t) => {
  await start();
  room("chat-lunch", "Lunch", ["bob", "ann"]);
  const { page } = await visitor("ann", { viewport: TALL });
  await page.waitForSelector("#room-title:text('Lunch')");
  let began;
  await restart(async () => {
    await page.waitForSelector("#connection[data-state=offline]");
    await page.evaluate(async () => {
      const { newKey, openStore } = await import("../rowcall.js");
      const store = await openStore("rowcall:ann");
      const entry = (i) => ({ key: newKey(), session: "user-ann", type: "post_message", data: { chat_id: "chat-lunch", text: `message ${i}` }, note: { after: 3 }, at: Date.now(), state: "queued", tried: false });
      await store.apply(Array.from({ length: 999 }, (_, i) => ["put", "outbox", undefined, entry(i)]));
      store.announce("outbox");
      store.close();
    });
    await page.waitForSelector("#banner:has-text('999 messages wait')");
    await say(page, "the thousandth");
    await page.waitForSelector("#banner:has-text('1000 messages wait')");
    await say(page, "one too many");
    await page.waitForSelector(".toast:has-text('1000 messages are still on their way')");
    assert.equal(await page.inputValue("#text"), "one too many");
    began = performance.now();
  });
  await page.waitForFunction(() => !document.querySelector(".is-pending") && document.querySelector("#messages .line:last-child .text")?.textContent === "the thousandth", undefined, { timeout: 4 * WAIT_MS });
  t.diagnostic(`all sent and delivered ${((performance.now() - began) / 1000).toFixed(1)} s after the gateway was back`);
  await page.press("#text", "Enter");
  await page.waitForFunction(() => !document.querySelector(".is-pending") && document.querySelector("#messages .line:last-child .text")?.textContent === "one too many");
  const texts = gateway.log("chat-lunch").filter((u) => u.type === "new_message").map((u) => u.data.text);
  assert.deepEqual(texts, [...Array.from({ length: 999 }, (_, i) => `message ${i}`), "the thousandth", "one too many"]);
});

test("unread messages are counted, marked where they begin, and read in all tabs", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 30);
  room("chat-b", "Beta", ["bob", "ann"], 30);
  const ann = await visitor("ann");
  const { page } = ann;
  for (const id of ["chat-a", "chat-b"]) await followed(page, id, "message 29");
  await page.click("[data-room=chat-a]");
  await page.waitForSelector("#room-title:text('Alpha')");
  for (let i = 0; i < 12; ++i) gateway.post("bob", "chat-b", `news ${i}`);
  gateway.post("ann", "chat-b", "my own, from elsewhere");
  await page.waitForSelector("[data-room=chat-b] .badge:text('12')");
  await page.waitForFunction(() => document.title === "(12) Alpha · Rowcall");
  await page.reload();
  await page.waitForSelector("[data-room=chat-b] .badge:text('12')");
  const second = await ann.open();
  await second.waitForSelector("[data-room=chat-b] .badge:text('12')");
  await page.click("[data-room=chat-b]");
  await page.waitForSelector(".new");
  const first = await page.$eval(".line:has(.new) .text", (t) => t.textContent);
  assert.equal(first, "news 0");
  await page.press("#scroller", "End");
  await page.waitForFunction(() => !document.querySelector("[data-room=chat-b] .badge"));
  await second.waitForFunction(() => !document.querySelector("[data-room=chat-b] .badge"));
});

test("a click on a room counts, though news for it came while the button was down", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 3);
  room("chat-b", "Beta", ["bob", "ann"], 3);
  const { page } = await visitor("ann");
  await page.click("[data-room=chat-a]");
  await page.waitForSelector("#room-title:text('Alpha')");
  const letGo = await press(page, "[data-room=chat-b] .title");
  gateway.post("bob", "chat-b", "news");
  gateway.post("bob", "chat-a", "news here as well");
  await page.waitForSelector("#messages .text:text('news here as well')");
  await letGo();
  await page.waitForSelector("#room-title:text('Beta')");
  await page.waitForSelector("[data-room=chat-b]:has-text('bob: news')");
});

for (const order of ["after", "before"]) {
  test(`who signs in is who he said, and comes in once, though a cookie's answer comes ${order} the sign-in's`, async () => {
    await start();
    room("chat-lunch", "Lunch", ["bob", "ann"], 3);
    const cookie = holdAnswer((r) => r.path === "/v1/me");
    const login = holdAnswer((r) => r.path === "/v1/dev/login");
    const kept = { name: "rowcall_token", value: "fake:bob", domain: "127.0.0.1", path: "/", expires: -1, httpOnly: true, secure: false, sameSite: "Strict" };
    const { page } = await visitor("", { signIn: false, storageState: { cookies: [kept], origins: [] } });
    await cookie.asked;
    await page.fill("#sign-in-name", "ann");
    await page.press("#sign-in-name", "Enter");
    await login.asked;
    await page.press("#sign-in-name", "Enter");
    await frames(page);
    const theCookies = async () => {
      const answered = page.waitForResponse((response) => response.url().endsWith("/v1/me"));
      cookie.release();
      await (await answered).finished();
      await frames(page);
    };
    if (order === "before") await theCookies();
    login.release();
    await page.waitForSelector("#connection[data-state=live]", { state: "attached" });
    await waitForTexts(page, ["message 0", "message 1", "message 2"].map((text, i) => `${text} ${"and some more words ".repeat((i * 7) % 12)}`.trim()));
    if (order === "after") await theCookies();
    assert.equal(await page.textContent("#me-name"), "ann");
    assert.equal(await page.evaluate(() => JSON.parse(sessionStorage.getItem("rowcall.identity")).user), "ann");
    assert.equal(count("/v1/dev/login"), 1);
  });
}

test("a page of history that comes when its room has begun anew stays out, and is asked for again", async () => {
  await start();
  room("chat-lunch", "Lunch", ["bob", "ann"], 300);
  gateway.sessions.retain("chat-lunch", 0);
  const late = holdAnswer((r) => r.url.searchParams.has("before"));
  const { page } = await visitor("ann");
  await late.asked;
  // Another database, with another log of this length.
  gateway.sessions.incarnation = "second";
  for (const update of gateway.log("chat-lunch")) if (update.data.text) update.data.text = "restored";
  const anew = page.waitForResponse((response) => response.url().endsWith("/chat-lunch/snapshot"));
  gateway.cutStreams();
  await anew;
  await page.waitForSelector("#connection[data-state=live]");
  late.release();
  await page.waitForFunction(() => document.querySelector("#messages .line:last-child .text")?.textContent === "restored" && !document.querySelector("#messages .is-skeleton"));
  assert.deepEqual([...new Set((await messages(page)).map((m) => m.text))], ["restored"]);
});

test("the finder shows the rooms that it was told of last", async () => {
  await start();
  room("chat-lunch", "Lunch", ["bob", "ann"], 3);
  const { page } = await visitor("ann");
  await page.waitForSelector("#room-title:text('Lunch')");
  const late = holdAnswer((r) => r.path === "/v1/chats");
  await page.keyboard.press("Control+k");
  await late.asked;
  await page.keyboard.press("Escape");
  room("chat-news", "News", ["bob"]);
  await page.keyboard.press("Control+k");
  await page.waitForSelector("#finder-rooms button:has-text('News')");
  const answered = page.waitForResponse((response) => response.url().includes("/v1/chats"));
  late.release();
  await (await answered).finished();
  await frames(page);
  assert.equal(await page.locator("#finder-rooms button", { hasText: "News" }).count(), 1);
});

test("a page that slept for an hour finds everything, also what retention has removed meanwhile", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 3);
  room("chat-b", "Beta", ["bob", "ann"], 3);
  const { page } = await visitor("ann", { viewport: TALL, signIn: false });
  await page.clock.install();
  await page.reload();
  await page.fill("#sign-in-name", "ann");
  await page.click("#sign-in button");
  await page.clock.runFor(1000);
  await page.waitForSelector("#connection[data-state=live]");
  await page.clock.runFor(1000);
  await page.click("[data-room=chat-a]");
  await page.clock.runFor(1000);
  await page.waitForFunction(() => document.querySelectorAll("#messages .text").length === 3);
  await followed(page, "chat-b", "message 2");
  // The connection is dead and nobody says so: the other end goes on without it.
  for (const stream of gateway.streams) stream.positions.clear();
  for (let i = 0; i < 25; ++i) gateway.post("bob", "chat-a", `meanwhile ${i}`);
  for (let i = 0; i < 700; ++i) gateway.post("bob", "chat-b", `a lot ${i}`);
  gateway.sessions.retain("chat-b", 600);
  gateway.post("bob", "chat-b", "and one more");
  await page.clock.fastForward("01:00:00");
  await page.clock.resume();
  await page.waitForFunction(() => document.querySelectorAll("#messages .text").length === 28);
  assert.deepEqual((await messages(page)).slice(3).map((m) => m.text), Array.from({ length: 25 }, (_, i) => `meanwhile ${i}`));
  await page.waitForSelector("[data-room=chat-b] .badge:text('99+')");
  await page.click("[data-room=chat-b]");
  await page.waitForFunction(() => [...document.querySelectorAll("#messages .text")].at(-1)?.textContent === "and one more");
  await page.press("#scroller", "Home");
  await page.waitForFunction(() => document.querySelector("#messages .text")?.textContent === "a lot 594");
});

test("50,000 messages of history stay smooth", async (t) => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 50_000);
  room("chat-b", "Beta", ["bob", "ann"], 1_000);
  for (const id of ["chat-a", "chat-b"]) gateway.sessions.retain(id, 0);
  const { page } = await visitor("ann");
  // Like a reader with a wheel: 300 px a frame through the history.
  const wheel = (steps) =>
    page.evaluate(async (count) => {
      const scroller = document.getElementById("scroller");
      const frames = [];
      let rows = 0;
      let holes = 0;
      let at = performance.now();
      for (let i = 0; i < count; ++i) {
        scroller.scrollTop -= 300;
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - at);
        at = performance.now();
        rows = Math.max(rows, document.querySelectorAll("#messages .line").length);
        // The middle of the view is always a row, loaded or about to be.
        const box = scroller.getBoundingClientRect();
        if (!document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)?.closest(".line")) ++holes;
      }
      return { rows, holes, frames };
    }, steps);
  // The yardstick, on this machine as busy as it is now: the same in a short room, turn about.
  const seenIn = { "chat-a": { rows: 0, holes: 0, frames: [] }, "chat-b": { rows: 0, holes: 0, frames: [] } };
  for (let turn = 0; turn < 2; ++turn)
    for (const [id, last] of [["chat-b", "message 999"], ["chat-a", "message 49999"]]) {
      await page.click(`[data-room=${id}]`);
      await page.waitForFunction((t) => document.querySelector("#messages .line:last-child .text")?.textContent.startsWith(t), last);
      const seen = await wheel(40);
      const all = seenIn[id];
      all.rows = Math.max(all.rows, seen.rows);
      all.holes += seen.holes;
      all.frames.push(...seen.frames);
    }
  const [long, short] = [seenIn["chat-a"], seenIn["chat-b"]];
  for (const { frames } of [long, short]) frames.sort((a, b) => a - b);
  const at = ({ frames }, share) => frames[Math.floor(share * (frames.length - 1))];
  // Far jumps with the scroll bar.
  const jumps = [];
  for (const share of [0, 0.5, 0.25, 0.9]) {
    await page.evaluate((s) => (document.getElementById("scroller").scrollTop = s * document.getElementById("scroller").scrollHeight), share);
    await frames(page, 3);
    await page.waitForFunction(() => document.querySelectorAll("#messages .text").length > 5 && !document.querySelector("#messages .is-skeleton"));
    const seen = await messages(page);
    for (let i = 1; i < seen.length; ++i) assert.equal(seen[i].seq, seen[i - 1].seq + 1);
    for (const { seq, text } of seen) assert.ok(text.startsWith(`message ${seq - 4}`), `${seq}: ${text}`);
    jumps.push(seen[0].seq);
  }
  assert.ok(jumps[0] <= 5, "the first message can be reached");
  const describe = (seen) => [0.5, 0.95, 1].map((share) => `${at(seen, share).toFixed(1)} ms`).join(", ");
  t.diagnostic(`frames (median, 95 %, longest): 50,000 messages ${describe(long)}; 1,000 messages ${describe(short)}; rows in the page at most ${long.rows}`);
  assert.ok(long.rows < 100, `${long.rows} rows in the page`);
  assert.equal(long.holes, 0, "a hole in the view");
  assert.ok(at(long, 0.5) < 2 * at(short, 0.5), "a frame takes twice as long as in a short room");
  // A message that comes in does not move what is being read.
  const anchorBefore = await page.evaluate(() => [...document.querySelectorAll(".line")].find((l) => l.getBoundingClientRect().top > 100).getBoundingClientRect().top);
  gateway.post("bob", "chat-a", "new");
  await page.waitForSelector("#to-end:has-text('1 new')");
  await frames(page);
  const anchorAfter = await page.evaluate(() => [...document.querySelectorAll(".line")].find((l) => l.getBoundingClientRect().top > 100).getBoundingClientRect().top);
  assert.equal(anchorAfter, anchorBefore);
  await page.click("#to-end");
  await page.waitForFunction(() => document.querySelector("#messages .line:last-child .text")?.textContent === "new");
});

test("everything can be done with the keyboard, and everything has a name", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 12);
  room("chat-b", "Beta", ["bob", "ann"], 12);
  const { page } = await visitor("ann");
  await page.waitForSelector("[data-room=chat-b]");
  await enterRoom(page, "Gamma");
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  await page.keyboard.press("Alt+ArrowUp");
  await page.keyboard.press("Alt+ArrowUp");
  await page.keyboard.press("Alt+ArrowUp");
  await page.waitForFunction(() => document.getElementById("room-title").textContent !== "Gamma" && document.querySelectorAll("#messages .text").length > 2);
  await page.focus("#scroller");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  assert.ok(await page.evaluate(() => document.activeElement.matches("[role=article]")));
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  await page.keyboard.type("first");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => [...document.querySelectorAll("#messages .text")].at(-1)?.textContent === "first\nsecond");
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, textarea, [role=feed], [role=img], nav, aside, dialog")].filter((n) => {
      const labelledby = n.getAttribute("aria-labelledby");
      return !(n.getAttribute("aria-label") || n.textContent.trim() || n.labels?.length || (labelledby && document.getElementById(labelledby)));
    }).map((n) => n.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

test("contrast is enough in light and in dark", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 8);
  room("chat-b", "Beta", ["bob", "ann"], 8);
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await visitor(`ann`, { colorScheme });
    await followed(page, "chat-b", colorScheme === "light" ? "message 7" : "unread");
    await page.click("[data-room=chat-a]");
    await page.click("#people-button");
    gateway.post("bob", "chat-b", "unread");
    await page.waitForSelector("[data-room=chat-b] .badge");
    assert.deepEqual(await lowContrast(page), [], colorScheme);
    await page.keyboard.press("Control+k");
    await page.fill("#finder-name", "Other");
    assert.deepEqual(await lowContrast(page), [], colorScheme);
  }
});

test("on a phone the rooms and the room are pages of their own, and nothing sticks out", async () => {
  await start();
  room("chat-a", "Alpha", ["bob", "ann"], 30);
  const { page } = await visitor("ann", { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
  await page.click("[data-room=chat-a]");
  const long = "x".repeat(300);
  await say(page, long);
  await page.waitForFunction((t) => [...document.querySelectorAll("#messages .text")].at(-1)?.textContent === t, long);
  const sticksOut = () => page.evaluate(() => document.scrollingElement.scrollWidth > innerWidth || document.getElementById("scroller").scrollWidth > innerWidth);
  assert.equal(await sticksOut(), false);
  assert.equal(await page.isVisible("#rooms"), false);
  await page.click("#people-button");
  await page.click("#people-close");
  await page.click("#back");
  assert.equal(await page.isVisible("#rooms"), true);
  assert.equal(await page.isVisible("#scroller"), false);
  assert.equal(await sticksOut(), false);
});

test("the page is small; how soon it is there is printed", async (t) => {
  await start();
  const opening = await measureOpening(browser, gateway.url);
  t.diagnostic(opening.text);
  assert.ok(opening.bytes < 150 * 1024, opening.text);
});
