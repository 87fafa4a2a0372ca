// The operator's console in Chromium, on a real gateway, engine, NATS and PostgreSQL. With ROWCALL_SCREENSHOTS=FOLDER it leaves
// pictures of the main states there, to be looked at.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { WAIT_MS, lowContrast, startBrowser, visit } from "./browser.mjs";
import { Deployment } from "./deployment.mjs";

const folder = process.env.ROWCALL_SCREENSHOTS;
let browser;
let deployment;
let ops; // the operator
let token;

before(async () => {
  if (folder) mkdirSync(folder, { recursive: true });
  [browser, deployment] = await Promise.all([startBrowser(), Deployment.start({ gateway: process.env.ROWCALL_WEB_ROOT ? ["--web-root", process.env.ROWCALL_WEB_ROOT] : [] })]);
  token = deployment.run("token", "issue", "--development", "--user", "ops", "--operator").trim();
  submit("user-ann", "create_chat", { name: "Harbour", chat_id: "chat-harbour" });
  await untilSql("SELECT count(*) FROM rowcall.members WHERE chat_id = 'chat-harbour'", "1");
  for (const text of ["Ahoy", "<img src=x onerror=alert(1)>", "All hands"]) submit("chat-harbour", "post_message", { text, sender: "ann" });
  await untilSql("SELECT count(*) FROM rowcall.messages WHERE chat_id = 'chat-harbour'", "3");
  ops = await visit(browser, `${deployment.url}/console/#token=${token}`, "ops", { signIn: false, colorScheme: "light", viewport: { width: 1180, height: 1000 } });
});
after(async () => {
  await browser?.close();
  await deployment?.stop();
});
afterEach(async () => {
  assert.deepEqual(ops.problems, []);
  assert.deepEqual(await ops.page.evaluate(() => globalThis.breaches), []);
});

async function untilSql(statement, value) {
  const deadline = Date.now() + WAIT_MS;
  while (deployment.sql(statement) !== value) {
    if (Date.now() > deadline) throw new Error(`${statement} is not ${value}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
function submit(session, type, data = {}) {
  deployment.sql(`SELECT rowcall.submit('${session}', '${type}', '${JSON.stringify(data).replaceAll("'", "''")}')`);
}
function park(session, count, { error = "disk full", type = "echo", ago = 0 } = {}) {
  deployment.sql(
    `INSERT INTO rowcall.dead_letters (session_id, command_seq, attempts, type, error, data, failed_at)
     SELECT '${session}', n, 5, '${type}', '${error}', jsonb_build_object('n', n), now() - ${ago} * interval '1 s' - n * interval '1 s' FROM generate_series(1, ${count}) n`,
  );
}
const shoot = (page, name) => folder && page.screenshot({ path: join(folder, `${name}.png`) });
const rows = (id) => ops.page.$$eval(`#${id} tbody tr[data-key]`, (all) => all.map((r) => r.innerText));
const go = async (hash) => {
  await ops.page.evaluate((h) => (location.hash = h), hash);
};

test("the token of the link opens the console and leaves the address bar", async () => {
  const { page } = ops;
  await page.waitForSelector("#tiles li");
  assert.ok(!(await page.evaluate(() => location.href)).includes("token"));
  await page.waitForSelector("#nodes tbody tr[data-key]");
  assert.match((await rows("nodes"))[0], /alive/);
});

test("plots and ranks follow what happens", async () => {
  const { page } = ops;
  submit("echo-nobody-wakes", "echo");
  await page.waitForFunction(() => /commands (?!0\b|–)[\d.]/.test(document.querySelector(".plot svg[tabindex]").getAttribute("aria-label") ?? "") || document.querySelectorAll("#hottest tbody tr[data-key]").length > 0);
  for (let i = 0; i < 40; ++i) submit(`echo-${i % 3}`, "echo", { n: i });
  await page.waitForFunction(() => [...document.querySelectorAll("#hottest tbody tr[data-key]")].some((r) => r.dataset.key === "echo-0"));
  await page.waitForFunction(() => [...document.querySelectorAll("#tiles li")].some((t) => t.innerText.startsWith("Lost wakes") && !/\n0/.test(t.innerText)));
  await page.locator(".plot svg[tabindex]").first().focus();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => /^\d\d:\d\d:\d\d$/.test(document.querySelector(".plot .when").textContent));
  assert.deepEqual(await lowContrast(page), []);
});

test("a session that waits is found, and what holds it", async () => {
  deployment.sql("INSERT INTO rowcall.kinds (kind) VALUES ('lathe')");
  for (let i = 0; i < 3; ++i) submit("lathe-7", "mill", { part: i });
  deployment.sql("INSERT INTO rowcall.retries (session_id, command_seq, next_at, attempts, last_error) VALUES ('lathe-7', 1, now() + interval '90 s', 4, 'spindle does not answer')");
  await ops.page.waitForFunction(() => document.querySelector("#stuck tbody tr[data-key=lathe-7]")?.innerText.includes("spindle"));
  await shoot(ops.page, "overview");
  await ops.page.click("#stuck a");
  await ops.page.waitForFunction(() => document.getElementById("session-title").textContent === "lathe-7");
  assert.match(await ops.page.innerText("#session-held"), /command 1 after attempt 4: spindle/);
  await ops.page.waitForFunction(() => document.querySelectorAll("#log tr.is-pending").length === 3);
});

test("the scrubber shows the state after each update, and text stays text", async () => {
  const { page } = ops;
  await page.fill("#session-id", "chat-harbour");
  await page.press("#session-id", "Enter");
  await page.waitForFunction(() => document.getElementById("session-title").textContent === "chat-harbour" && document.getElementById("state").textContent.includes("Harbour"));
  const last = Number(await page.getAttribute("#scrub", "max"));
  assert.ok(last >= 5, `${last} updates`);
  const states = [];
  await page.focus("#scrub");
  await page.keyboard.press("Home");
  for (let seq = 0; seq <= last; ++seq) {
    await page.waitForFunction((n) => document.getElementById("scrub-seq").textContent === String(n) && / folded/.test(document.getElementById("state-note").textContent) && document.getElementById("state-note").textContent.includes(` ${n} update`), seq);
    states.push(JSON.parse(await page.innerText("#state")));
    if (seq === 2) await shoot(page, "session");
    await page.keyboard.press("ArrowRight");
  }
  const told = deployment.sql(`SELECT string_agg(type, ' ' ORDER BY seq) FROM rowcall.update_log WHERE session_id = 'chat-harbour'`);
  assert.equal((await page.$$("#log tr[data-key]")).length, last, told);
  assert.notDeepEqual(states[0], states[1]);
  assert.ok(JSON.stringify(states[last]).includes("ann"));
  assert.equal(await page.$("#log img"), null);
  assert.ok((await page.innerText("#log")).includes("<img src=x"));
  await page.locator("#log button.link").nth(0).click();
  await page.waitForFunction(() => document.getElementById("scrub-seq").textContent === "1");
  assert.deepEqual(await lowContrast(page), []);
});

test("dead letters: one is looked at and dropped, many are redriven by filter, only after a question", async () => {
  const { page } = ops;
  park("echo-old", 230, { ago: 100 });
  park("echo-bad", 2, { error: "no such part", ago: 50 });
  await go("#/failures");
  await page.waitForFunction(() => document.querySelectorAll("#letters tr[data-key]").length === 50 && document.querySelector("#retries tr[data-key]"));
  assert.match((await rows("retries"))[0], /lathe-7/);
  await shoot(page, "failures");
  await page.click("#letters tr[data-key='echo-bad/1'] button.link");
  await page.waitForFunction(() => document.getElementById("letter-data").textContent.includes('"n": 1'));
  await page.keyboard.press("Escape");
  await page.check("#letters tr[data-key='echo-bad/1'] input");
  await page.click("#drop-chosen");
  await shoot(page, "confirm");
  await page.keyboard.press("Enter"); // the focus is on Cancel
  await page.waitForFunction(() => !document.getElementById("confirm").open);
  assert.equal(deployment.sql("SELECT count(*) FROM rowcall.dead_letters WHERE resolution IS NOT NULL"), "0");
  await page.click("#drop-chosen");
  await page.click("#confirm-do");
  await page.waitForFunction(() => document.getElementById("letters-note").textContent === "1 dropped.");

  await page.fill("#letters-filter [name=session]", "echo-old");
  await page.fill("#letters-filter [name=error]", "disk");
  await page.press("#letters-filter [name=error]", "Enter");
  await page.waitForFunction(() => [...document.querySelectorAll("#letters tr[data-key]")].every((r) => r.dataset.key.startsWith("echo-old")));
  await page.click("#redrive-all");
  assert.match(await page.innerText("#confirm-title"), /echo-old.*disk/);
  await page.click("#confirm-do");
  await page.waitForFunction(() => document.getElementById("letters-note").textContent === "230 redriven.");
  assert.equal(deployment.sql("SELECT count(*) FILTER (WHERE resolution = 'redriven') || ' ' || count(*) FILTER (WHERE resolution = 'dropped') || ' ' || count(*) FILTER (WHERE resolution IS NULL) FROM rowcall.dead_letters"), "230 1 1");
  assert.equal(deployment.sql("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'echo-old'"), "230");
  assert.deepEqual(await lowContrast(page), []);
});

test("a token that is none, and one of a user, do not get in", async () => {
  const user = deployment.run("token", "issue", "--development", "--user", "ann").trim();
  const stranger = await visit(browser, `${deployment.url}/console/`, "", { signIn: false });
  await stranger.page.waitForSelector("#token:focus");
  await shoot(stranger.page, "sign-in");
  for (const wrong of ["nonsense", user]) {
    await stranger.page.fill("#token", wrong);
    await stranger.page.press("#token", "Enter");
    await stranger.page.waitForFunction(() => document.getElementById("sign-in-error").textContent !== "" && document.getElementById("app").hidden);
  }
  assert.match(await stranger.page.innerText("#sign-in-error"), /operator/);
  await stranger.page.fill("#token", token);
  await stranger.page.press("#token", "Enter");
  await stranger.page.waitForSelector("#nodes tbody tr[data-key]");
  assert.deepEqual(stranger.problems, []);
  await stranger.context.close();
});

test("on a phone and in the dark everything fits and can be read", async () => {
  const phone = await visit(browser, `${deployment.url}/console/#token=${token}`, "", { signIn: false, colorScheme: "dark", viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
  const { page } = phone;
  await page.waitForSelector("#nodes tbody tr[data-key]");
  for (const [name, hash, ready] of [
    ["overview", "#/overview", "#stuck tbody tr[data-key]"],
    ["session", "#/sessions/chat-harbour", "#log tbody tr[data-key]"],
    ["failures", "#/failures", "#letters tbody tr[data-key]"],
  ]) {
    await page.evaluate((h) => (location.hash = h), hash);
    await page.waitForSelector(ready);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `${name} is ${width} wide`);
    assert.deepEqual(await lowContrast(page), [], name);
    await shoot(page, `phone-${name}-dark`);
  }
  await phone.context.close();
  const dark = await visit(browser, `${deployment.url}/console/#token=${token}`, "", { signIn: false, colorScheme: "dark" });
  await dark.page.waitForSelector("#stuck tbody tr[data-key]");
  await shoot(dark.page, "overview-dark");
  await dark.context.close();
});

test("a gateway that is away is told, and seen again when it is back", async () => {
  const { page } = ops;
  await go("#/overview");
  await deployment.kill("gateway");
  await page.waitForSelector("#connection.is-off");
  await deployment.startGateway();
  await page.waitForFunction(() => document.getElementById("connection").textContent === "live");
  await page.waitForSelector("#nodes tbody tr[data-key]");
});
