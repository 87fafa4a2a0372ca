// Lets the page open without a network. The network comes first: its answer is new, or "unchanged" in one round trip. What
// the page is made of is kept as it came last; nothing of /v1/ is ever kept here.

const CACHE = "rowcall-chat-1";
const FILES = ["./", "chat.css", "main.js", "model.js", "views.js", "list.js", "identity.js", "manifest.webmanifest", "../rowcall.js", "../shared/look.css", "../shared/element.js", "../shared/icon.svg"];
const PATIENCE_MS = 2500;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((n) => n.startsWith("rowcall-chat-") && n !== CACHE).map((n) => caches.delete(n))))
      .then(() => self.clients.claim()),
  );
});

const OURS = new Set(FILES.map((file) => new URL(file, self.registration.scope).pathname));

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin || !OURS.has(url.pathname)) return;
  event.respondWith(answer(event, url.pathname));
});

async function answer(event, path) {
  const cache = await caches.open(CACHE);
  const fresh = fetch(event.request).then(async (response) => {
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    await cache.put(path, response.clone());
    return response;
  });
  event.waitUntil(fresh.catch(() => {}));
  const slow = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  try {
    const response = await Promise.race([fresh, slow]);
    if (response) return response;
  } catch {
    // Below.
  }
  return (await cache.match(path)) ?? fresh;
}
