// The chat in Chromium, on a real gateway, engine, NATS and PostgreSQL; each is killed under it.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { enterRoom, measureOpening, messages, say, startBrowser, visit, waitForTexts } from "./browser.mjs";
import { Deployment } from "./deployment.mjs";

const TALL = { width: 900, height: 3000 };
let browser;
let deployment;
let ann;
let bob;
const said = []; // what must be on both screens, in this order

before(async () => {
  browser = await startBrowser();
  deployment = await Deployment.start();
  ann = await visit(browser, deployment.url, "ann", { viewport: TALL });
  await ann.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined)); // the page is to open without its gateway
  await enterRoom(ann.page, "Harbour");
  bob = await visit(browser, deployment.url, "bob", { viewport: TALL });
  await enterRoom(bob.page, "Harbour");
});
after(async () => {
  await browser?.close();
  await deployment?.stop();
});
afterEach(async () => {
  for (const visitor of [ann, bob]) {
    assert.deepEqual(visitor.problems, []);
    for (const page of visitor.context.pages()) assert.deepEqual(await page.evaluate(() => globalThis.breaches), []);
  }
});

async function speak(visitor, text) {
  await say(visitor.page, text);
  said.push(text);
}
async function everythingIsThere(what) {
  await waitForTexts(ann.page, said, `${what}: ann`);
  await waitForTexts(bob.page, said, `${what}: bob`);
  const seqs = (await messages(ann.page)).map((m) => m.seq);
  assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
  const stored = deployment.sql("SELECT string_agg(text, '|' ORDER BY message_id) FROM rowcall.messages WHERE chat_id = 'chat-harbour'");
  assert.equal(stored, said.join("|"));
}

test("two browsers chat", async () => {
  await speak(ann, "Ahoy <b>Bob</b> & all");
  await bob.page.waitForFunction(() => document.querySelectorAll("#messages .text").length === 1);
  // Signals reach who listens: both do, when each sees the other.
  for (const { page } of [ann, bob]) await page.waitForFunction(() => document.getElementById("room-sub").textContent === "2 members · 2 here");
  const typing = ann.page.waitForFunction(() => document.getElementById("typing").textContent === "bob is typing");
  await bob.page.fill("#text", "A");
  await bob.page.locator("#text").pressSequentially("y");
  await typing;
  await speak(bob, "Aye");
  await everythingIsThere("before anything breaks");
  assert.equal((await messages(ann.page))[0].state, "delivered");
});

for (const [name, start] of [
  ["engine", "startEngine"],
  ["gateway", "startGateway"],
  ["nats", "startNats"],
  ["postgres", "startPostgres"],
]) {
  test(`${name} is killed and started again: nothing lost, doubled or out of order on the screen`, async () => {
    await speak(ann, `before ${name}`);
    const killed = deployment.kill(name);
    // Into the gap, before, while and after it ends: both write at the same time, each in his own order.
    await speak(ann, `${name} 1`);
    await killed;
    await speak(ann, `${name} 2`);
    await speak(ann, `${name} 3`);
    if (name === "engine") await ann.page.waitForSelector(".is-pending [data-state=stored]");
    if (name === "gateway") {
      await ann.page.waitForSelector("#connection[data-state=offline]");
      await ann.page.waitForSelector(".is-pending .text:text-is('gateway 3')"); // only what is on the screen is in the outbox
      await ann.page.reload(); // the page comes from its worker, the messages from its outbox
      await ann.page.waitForSelector(".is-pending");
    }
    await deployment[start]();
    await waitForTexts(bob.page, said, `${name} is back`);
    await speak(bob, `after ${name}`);
    await everythingIsThere(`${name} was killed`);
  });
}

test("a browser's own EventSource goes on where it was when the gateway is back", async () => {
  const last = () => Number(deployment.sql("SELECT max(seq) FROM rowcall.update_log WHERE session_id = 'chat-harbour'"));
  const heard = async (count) => {
    await bob.page.waitForFunction((n) => globalThis.heard.every((seqs) => seqs.at(-1) >= n), count);
    const wanted = Array.from({ length: count }, (_, i) => i + 1);
    for (const seqs of await bob.page.evaluate(() => globalThis.heard)) assert.deepEqual(seqs, wanted);
  };
  await bob.page.evaluate(() => {
    globalThis.heard = [];
    globalThis.sources = ["/v1/sessions/chat-harbour/updates?after=0", "/v1/stream?session=chat-harbour:0"].map((url) => {
      const seqs = [];
      globalThis.heard.push(seqs);
      const source = new EventSource(url);
      source.onmessage = (event) => seqs.push(JSON.parse(event.data).seq);
      return source;
    });
  });
  await heard(last());
  await deployment.kill("gateway");
  const before = last();
  for (let i = 0; i < 5; ++i) {
    deployment.sql(`SELECT rowcall.submit('chat-harbour', 'post_message', '{"sender": "ann", "text": "unheard ${i}"}')`);
    said.push(`unheard ${i}`);
  }
  await deployment.startGateway();
  await everythingIsThere("the gateway is back");
  await heard(before + 5);
  await bob.page.evaluate(() => globalThis.sources.forEach((source) => source.close()));
});

test("a whole hour's worth of messages is read by a page that comes back", async () => {
  await ann.context.setOffline(true);
  await deployment.kill("gateway"); // also for the streams that are open already
  for (let i = 0; i < 30; ++i) {
    deployment.sql(`SELECT rowcall.submit('chat-harbour', 'post_message', '{"sender": "bob", "text": "meanwhile ${i}"}')`);
    said.push(`meanwhile ${i}`);
  }
  await speak(ann, "from the train");
  await deployment.startGateway();
  await bob.page.waitForFunction(() => [...document.querySelectorAll("#messages .text")].at(-1)?.textContent === "meanwhile 29");
  await ann.context.setOffline(false);
  await everythingIsThere("back from the tunnel");
});

test("who leaves sees no more of it, and who is new reads it all", async () => {
  await bob.page.click("#people-button");
  await bob.page.click("#leave");
  await bob.page.click("#leaver button[value=ok]");
  await bob.page.waitForFunction(() => !document.querySelector("[data-room=chat-harbour]"));
  await say(ann.page, "bob is gone");
  said.push("bob is gone");
  await waitForTexts(ann.page, said);
  await enterRoom(bob.page, "Harbour");
  await everythingIsThere("back again");
});

test("the built-in page is compressed and small; how soon it is there is printed", async (t) => {
  const opening = await measureOpening(browser, deployment.url);
  t.diagnostic(opening.text);
  assert.ok(opening.bytes < 60 * 1024, opening.text);
});
