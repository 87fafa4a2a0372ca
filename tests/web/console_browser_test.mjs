// The operator's console in Chromium, on a real gateway, engine, NATS and PostgreSQL. With ROWCALL_SCREENSHOTS=FOLDER it leaves
// pictures of the main states there, to be looked at.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { WAIT_MS, frames, holdAnswer, lowContrast, press, startBrowser, visit } from "./browser.mjs";
import { Deployment } from "./deployment.mjs";

const folder = process.env.ROWCALL_SCREENSHOTS;
let browser;
let deployment;
let ops; // the operator
let token;

before(async () => {
  if (folder) mkdirSync(folder, { recursive: true });
  browser = await startBrowser();
  deployment = await Deployment.start({ gateway: process.env.ROWCALL_WEB_ROOT ? ["--web-root", process.env.ROWCALL_WEB_ROOT] : [] });
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
/** Until so many rows are in the table, all with keys that begin so. */
const untilRows = (id, count, prefix) =>
  ops.page.waitForFunction(([i, n, p]) => {
    const shown = [...document.querySelectorAll(`#${i} tbody tr[data-key]`)];
    return shown.length === n && shown.every((r) => r.dataset.key.startsWith(p));
  }, [id, count, prefix]);
const keys = (id) => ops.page.$$eval(`#${id} tbody tr[data-key]`, (all) => all.map((r) => r.dataset.key));
const filterLetters = async (session, error = "") => {
  await ops.page.fill("#letters-filter [name=session]", session);
  await ops.page.fill("#letters-filter [name=error]", error);
  await ops.page.press("#letters-filter [name=error]", "Enter");
};
const go = async (hash) => {
  await ops.page.evaluate((h) => (location.hash = h), hash);
};

test("the token of the link opens the console and leaves the address bar", async () => {
  const { page } = ops;
  await page.waitForSelector("#tiles li");
  assert.ok(!(await page.evaluate(() => location.href)).includes("token"));
  await page.waitForSelector("#nodes tbody tr[data-key]:has-text('alive')");
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
  // Where the engine is slow there are others before it.
  await ops.page.click("#stuck tr[data-key=lathe-7] a");
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
  await untilRows("log", last, "u");
  assert.notDeepEqual(states[0], states[1]);
  assert.ok(JSON.stringify(states[last]).includes("ann"));
  assert.equal(await page.$("#log img"), null);
  assert.ok((await page.innerText("#log")).includes("<img src=x"));
  await page.click("#log tr[data-key=u1] button.link");
  await page.waitForFunction(() => document.getElementById("scrub-seq").textContent === "1");
  assert.deepEqual(await lowContrast(page), []);
});

test("dead letters: one is looked at and dropped, many are redriven by filter, only after a question", async () => {
  const { page } = ops;
  park("echo-old", 230, { ago: 100 });
  park("echo-bad", 2, { error: "no such part", ago: 50 });
  await go("#/failures");
  await page.waitForFunction(() => document.querySelectorAll("#letters tr[data-key]").length === 50 && document.querySelector("#retries tr[data-key=lathe-7]"));
  assert.match(await page.innerText("#retries tr[data-key=lathe-7]"), /spindle/);
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

  await filterLetters("echo-old", "disk");
  await untilRows("letters", 50, "echo-old");
  await page.click("#redrive-all");
  assert.match(await page.innerText("#confirm-title"), /echo-old.*disk/);
  await page.click("#confirm-do");
  await page.waitForFunction(() => document.getElementById("letters-note").textContent === "230 redriven.");
  assert.equal(deployment.sql("SELECT count(*) FILTER (WHERE resolution = 'redriven') || ' ' || count(*) FILTER (WHERE resolution = 'dropped') || ' ' || count(*) FILTER (WHERE resolution IS NULL) FROM rowcall.dead_letters"), "230 1 1");
  assert.equal(deployment.sql("SELECT count(*) FROM rowcall.command_log WHERE session_id = 'echo-old'"), "230");
  assert.deepEqual(await lowContrast(page), []);
});

test("of two sessions that are asked for the last one is shown, whichever answer comes first", async () => {
  const { page } = ops;
  const api = `${deployment.url}/v1/operator/sessions`;
  const title = (id) => page.waitForFunction((t) => document.getElementById("session-title").textContent === t, id);
  await go("#/sessions/chat-harbour");
  await title("chat-harbour");
  await page.waitForFunction(() => document.getElementById("state").textContent.includes("Harbour") && document.querySelector("#log tr[data-key=u1]"));
  // What is still missing of a session is not filled with what was there of another one.
  const parts = [await holdAnswer(page, `${api}/lathe-7/log?*`), await holdAnswer(page, `${api}/lathe-7/state?*`)];
  await go("#/sessions/lathe-7");
  await title("lathe-7");
  for (const part of parts) await part.asked;
  assert.equal(await page.textContent("#state"), "");
  assert.equal((await keys("log")).length, 0);
  for (const part of parts) await part.release();
  await untilRows("log", 3, "c");

  const late = await holdAnswer(page, `${api}/chat-harbour`);
  await go("#/sessions/chat-harbour");
  await late.asked;
  await go("#/sessions/echo-0");
  await title("echo-0");
  await page.fill("#session-id", "some other");
  await late.release();
  assert.equal(await page.textContent("#session-title"), "echo-0");
  // Who writes the next one already keeps the focus.
  const slow = await holdAnswer(page, `${api}/lathe-7`);
  await page.fill("#session-id", "lathe-7");
  await page.press("#session-id", "Enter");
  await slow.asked;
  await page.fill("#session-id", "chat-har");
  await slow.release();
  await title("lathe-7");
  assert.equal(await page.evaluate(() => document.activeElement.id), "session-id");
});

test("a page of dead letters that comes after another filter was set stays out", async () => {
  const { page } = ops;
  const api = `${deployment.url}/v1/operator`;
  park("echo-many", 60);
  park("echo-few", 3);
  await go("#/failures");
  await filterLetters("echo-many");
  await untilRows("letters", 50, "echo-many");
  const more = await holdAnswer(page, `${api}/dead-letters?*below=*`);
  await page.click("#letters-more");
  await more.asked;
  await filterLetters("echo-few");
  await untilRows("letters", 3, "echo-few");
  await more.release();
  assert.deepEqual(await keys("letters"), ["echo-few/1", "echo-few/2", "echo-few/3"]);

  // Until the answer is there what is shown stays, and can not be taken for what was asked for.
  const late = await holdAnswer(page, `${api}/dead-letters?session=echo-many*`);
  await filterLetters("echo-many");
  await late.asked;
  assert.equal((await keys("letters")).length, 3);
  for (const button of ["redrive-all", "drop-all", "redrive-chosen", "drop-chosen"]) assert.ok(await page.isDisabled(`#${button}`), button);
  await filterLetters("echo-few");
  await page.waitForSelector("#drop-all:enabled");
  await late.release();
  assert.equal((await keys("letters")).length, 3);

  const letters = ["echo-few/1", "echo-few/2"].map((key) => `#letters tr[data-key='${key}'] button.link`);
  const first = await holdAnswer(page, `${api}/dead-letter?*command_seq=1`);
  await page.click(letters[0]);
  await first.asked;
  await page.keyboard.press("Escape");
  await page.click(letters[1]);
  await page.waitForFunction(() => document.getElementById("letter-data").textContent.includes('"n": 2'));
  await first.release();
  assert.ok((await page.innerText("#letter-data")).includes('"n": 2'));
  await page.keyboard.press("Escape");
});

test("what can not be loaded is told where it would be, and what was there stays", async () => {
  const { page } = ops;
  await go("#/overview");
  const away = { status: 503, contentType: "application/problem+json", body: JSON.stringify({ type: "/problems/unavailable", title: "unavailable", status: 503, detail: "the database is away" }) };
  const failed = [await holdAnswer(page, `${deployment.url}/v1/operator/retries?*`, away), await holdAnswer(page, `${deployment.url}/v1/operator/dead-letters?*`, away)];
  const before = await keys("letters");
  assert.ok(before.length > 0);
  await go("#/failures");
  for (const answer of failed) await answer.release();
  for (const note of ["retries-note", "letters-note"]) assert.match(await page.innerText(`#${note}`), /^Not loaded: the database is away$/, note);
  assert.deepEqual(await keys("letters"), before);
  await go("#/overview");
  await go("#/failures");
  await page.waitForFunction(() => ["retries-note", "letters-note"].every((id) => document.getElementById(id).textContent === ""));
  await page.waitForSelector("#retries tr[data-key=lathe-7]");
});

test("what is being clicked stays where it is, and one look at a time is enough", async () => {
  const { page } = ops;
  await go("#/overview");
  await page.waitForSelector("#stuck tr[data-key=lathe-7]");
  const url = `${deployment.url}/v1/operator/overview?*`;
  let looks = 0;
  page.on("request", (request) => (looks += request.url().includes("/overview?")));
  const late = await holdAnswer(page, url);
  await late.asked;
  const before = looks;
  await go("#/failures");
  await page.waitForSelector("#failures:not([hidden])");
  await go("#/overview");
  await page.waitForSelector("#overview:not([hidden])");
  const marked = () => page.evaluate(() => ["#tiles li", "#nodes tr", "#stuck tr"].map((s) => document.querySelector(s).dataset.seen));
  await page.evaluate(() => ["#tiles li", "#nodes tr", "#stuck tr"].forEach((s) => (document.querySelector(s).dataset.seen = "yes")));
  const letGo = await press(page, "#stuck tr[data-key=lathe-7] a");
  try {
    const ranks = page.waitForResponse((response) => response.url().includes("order=stuck"));
    await late.release();
    await (await ranks).finished();
    await frames(page);
    assert.deepEqual(await marked(), ["yes", "yes", "yes"]);
    assert.equal(looks, before, "a look was begun before the one before it had ended");
  } finally {
    await letGo();
  }
  await page.waitForFunction(() => document.getElementById("session-title").textContent === "lathe-7" && !document.getElementById("session").hidden);
  await go("#/overview");
  await page.waitForFunction(() => ["#tiles li", "#nodes tr", "#stuck tr"].every((s) => document.querySelector(s).dataset.seen === undefined));
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
  // What is said of a token that was left since does not put out the next one.
  const late = await holdAnswer(stranger.page, `${deployment.url}/v1/operator/overview?*`, { status: 401, contentType: "application/problem+json", body: JSON.stringify({ type: "/problems/unauthorized", status: 401, detail: "the token has expired" }) });
  await late.asked;
  await stranger.page.click("#sign-out");
  await stranger.page.fill("#token", deployment.run("token", "issue", "--development", "--user", "ops", "--operator", "--lifetime", "1h").trim());
  await stranger.page.press("#token", "Enter");
  await late.release();
  assert.equal(await stranger.page.isVisible("#app"), true);
  await stranger.page.waitForFunction(() => document.getElementById("connection").textContent === "live");
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

test("an id that is none is answered, whatever was typed", async () => {
  const { page } = ops;
  await go("#/sessions/");
  await page.fill("#session-id", "100%");
  await page.press("#session-id", "Enter");
  await page.waitForFunction(() => document.getElementById("session-error").textContent !== "" && document.getElementById("session-body").hidden);
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
