// Keeps the page for use without a network. The build puts the version and the list of files in.
"use strict";
const VERSION = "dev";
const FILES = [];
const NAME = `vethscope ${new URL("./", self.location).pathname} `;
const CACHE = NAME + VERSION;
// How long a slow network may hold up the opening of a page that is kept here.
const PATIENCE_MS = 2000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith(NAME) && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("message", (event) => {
  const keep = (event.data?.keep ?? []).filter(ours);
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    for (const url of keep) if (!(await cache.match(url))) await cache.add(url).catch(() => {});
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !ours(request.url)) return;
  event.respondWith(named(request.url) ? cacheFirst(request) : networkFirst(request));
});

function ours(url) {
  return url.startsWith(new URL("./", self.location).href);
}

/** Whether the name carries a hash of the content, or is a font piece, which never changes either. */
function named(url) {
  return /-[0-9a-f]{8,}(_bg)?\.(js|wasm|css)$|\.woff2$/.test(new URL(url).pathname);
}

async function cacheFirst(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) await cache.put(request, fresh.clone());
  return fresh;
}

async function networkFirst(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate", ignoreVary: true });
  const network = fetch(request).then(async (fresh) => {
    if (fresh.ok) await cache.put(request, fresh.clone());
    return fresh;
  });
  if (!kept) return network;
  const late = new Promise((resolve) => setTimeout(() => resolve(kept), PATIENCE_MS));
  return Promise.race([network.catch(() => kept), late]);
}
