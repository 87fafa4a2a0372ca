// Chromium for the tests of web/: visitors in profiles of their own, and what they see.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const WAIT_MS = 30_000;

/** The folder with node_modules: told by CTest, or where CTest puts it. */
function packages() {
  const folder = process.env.ROWCALL_WEB_PACKAGES ?? join(root, "build/dev/tests/web");
  if (!existsSync(join(folder, "node_modules/playwright-core")))
    throw new Error(`no playwright-core in ${folder}: ctest -R web.packages installs it, or set ROWCALL_WEB_PACKAGES`);
  return createRequire(join(folder, "x.js"));
}

export async function startBrowser() {
  const { chromium } = packages()("playwright-core");
  const executablePath = process.env.ROWCALL_CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing: run tools/setup/packages --tests`);
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return browser;
}

/** A person with a browser: `page` is signed in at `url` as `name`. `problems` holds errors and breaches of the policy. */
export async function visit(browser, url, name, { viewport = { width: 1180, height: 760 }, signIn = true, ...options } = {}) {
  const context = await browser.newContext({ viewport, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  context.setDefaultTimeout(WAIT_MS);
  const visitor = { context, problems: [], page: null };
  await context.addInitScript(() => {
    globalThis.breaches = [];
    addEventListener("securitypolicyviolation", (e) => globalThis.breaches.push(`${e.violatedDirective}: ${e.blockedURI}`));
  });
  visitor.open = async (address = url) => {
    const page = await context.newPage();
    page.on("pageerror", (error) => visitor.problems.push(error.stack));
    await page.goto(address);
    return page;
  };
  visitor.page = await visitor.open();
  if (signIn) {
    await visitor.page.fill("#sign-in-name", name);
    await visitor.page.click("#sign-in button");
    await visitor.page.waitForSelector("#connection[data-state=live]", { state: "attached" });
  }
  return visitor;
}

/** Waits until the page has drawn what it knows. */
export const frames = (page, count = 2) => page.evaluate((n) => new Promise((resolve) => (function next() { n-- > 0 ? requestAnimationFrame(next) : resolve(); })()), count);

/**
 * Presses the mouse on what is found, and keeps it down for as long as the test takes: for the page, which takes a long press for
 * none, no time passes. Returns the letting go.
 */
export async function press(page, selector) {
  await page.hover(selector);
  await page.evaluate(() => {
    const at = performance.now();
    performance.now = () => at;
  });
  await page.mouse.down();
  return async () => {
    await page.mouse.up();
    await page.evaluate(() => delete performance.now);
  };
}

/**
 * Keeps the answer to the page's next request of this URL (or `instead` of it) back. `asked`: it is under way;
 * `release()` returns when the page has it and has drawn.
 */
export async function holdAnswer(page, url, instead) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  let tell;
  const asked = new Promise((resolve) => (tell = resolve));
  let isFirst = true;
  const handler = async (route) => {
    if (!isFirst) return route.fallback();
    isFirst = false;
    const answer = instead ?? { response: await route.fetch() };
    tell(route.request());
    await released;
    await route.fulfill(answer);
  };
  await page.route(url, handler);
  return {
    asked,
    async release() {
      release();
      const response = await (await asked).response();
      await response.finished();
      await page.unroute(url, handler);
      await frames(page);
    },
  };
}

/** Creates the room, or joins it. */
export async function enterRoom(page, name) {
  await page.keyboard.press("Control+k");
  await page.fill("#finder-name", name);
  const join = page.locator("#finder-rooms button", { hasText: name });
  await join.or(page.locator("#finder-create")).first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForFunction((n) => document.getElementById("room-title").textContent === n, name);
}

/** Until a room's updates have come: what is posted from now on is news. */
export const followed = (page, id, text) => page.waitForSelector(`[data-room=${id}] .preview:has-text('${text}')`);

export async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

/** The messages on the screen, in their order: {seq (0: on its way), text, state}. */
export function messages(page) {
  return page.$$eval("#messages .line", (lines) =>
    lines
      .filter((line) => line.querySelector(".text"))
      .map((line) => ({
        seq: Number(line.dataset.seq ?? 0),
        text: line.querySelector(".text").textContent,
        state: line.querySelector(".state")?.dataset.state ?? null,
      })),
  );
}

/** Waits until exactly these texts are on the screen, none of them on its way any more. */
export async function waitForTexts(page, texts, what = "the messages") {
  try {
    await page.waitForFunction(
      (wanted) => {
        const lines = [...document.querySelectorAll("#messages .line")].filter((l) => l.querySelector(".text"));
        return lines.length === wanted.length && lines.every((l, i) => !l.classList.contains("is-pending") && l.querySelector(".text").textContent === wanted[i]);
      },
      texts,
      { timeout: WAIT_MS },
    );
  } catch (error) {
    const seen = (await messages(page)).map((m) => `${m.seq}:${m.text}(${m.state})`);
    throw new Error(`${what}: wanted ${JSON.stringify(texts)}, saw ${JSON.stringify(seen)}`, { cause: error });
  }
}

/** Text whose contrast with what is behind it is below 4.5 (3 for large text), disabled controls aside. */
export function lowContrast(page) {
  return page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parse = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const luminance = ([r, g, b]) => {
      const linear = [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const bad = [];
    for (const node of document.querySelectorAll("body *")) {
      const text = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
      if (!text || !node.checkVisibility({ visibilityProperty: true }) || node.closest(":disabled, .sr, svg, option")) continue;
      const layers = [];
      for (let n = node; n; n = n.parentElement) layers.push(parse(getComputedStyle(n).backgroundColor));
      const ground = layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
      const style = getComputedStyle(node);
      const [a, b] = [luminance(over(parse(style.color), ground)), luminance(ground)];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      if (ratio < least) bad.push(`${node.tagName}.${node.className} "${text.slice(0, 30)}" ${ratio.toFixed(2)}`);
    }
    return bad;
  });
}

/**
 * The page with nothing in any cache: bytes over the network, the main thread's own time until it has settled, and the wall
 * clock until a name can be typed; the best of three. Only the bytes are for a test: the times are those of the machine and of
 * what else it does.
 */
export async function measureOpening(browser, url) {
  const best = { bytes: 0, threadMs: Infinity, usableMs: Infinity };
  for (let i = 0; i < 3; ++i) {
    const context = await browser.newContext({ viewport: { width: 1180, height: 760 } });
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    let bytes = 0;
    devtools.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
    const began = performance.now();
    await page.goto(url, { waitUntil: "commit" });
    await page.waitForSelector("#sign-in-name:focus");
    best.usableMs = Math.min(best.usableMs, performance.now() - began);
    await page.waitForLoadState("load");
    const { metrics } = await devtools.send("Performance.getMetrics");
    best.threadMs = Math.min(best.threadMs, 1000 * metrics.find((m) => m.name === "TaskDuration").value);
    best.bytes = Math.max(best.bytes, bytes);
    await context.close();
  }
  best.text = `${(best.bytes / 1024).toFixed(1)} KiB transferred; usable after ${best.usableMs.toFixed(0)} ms, of which ${best.threadMs.toFixed(0)} ms of the page's thread`;
  return best;
}
