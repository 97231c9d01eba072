// Keeps the page for use without a connection. It looks at nothing else: the
// page fetches nothing but its own files.
"use strict";

const PREFIX = `scdepth ${self.registration.scope} `;
const CACHE = `${PREFIX}@VERSION@`;
const FILES = "@FILES@";

self.addEventListener("install", (event) => {
  self.skipWaiting(); // what is kept never changes: names carry the version
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOldVersions());
});

// The page says which of the large files its browser uses.
self.addEventListener("message", (event) => {
  event.waitUntil(
    keep(event.data).then(() => event.source.postMessage("kept")),
  );
});

self.addEventListener("fetch", (event) => {
  event.respondWith(answer(event.request));
});

async function forgetOldVersions() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
}

async function keep(files) {
  const cache = await caches.open(CACHE);
  for (const file of files) {
    if (!(await cache.match(file))) await cache.add(file);
  }
}

// Files of a version come from the cache. The page itself does so only where
// its server does not answer: that may have a newer one, or on localhost
// something else altogether.
async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept && new URL(request.url).searchParams.has("v")) return kept;
  try {
    return await fetch(request);
  } catch (error) {
    const options = { ignoreSearch: request.mode === "navigate" };
    const stale = kept ?? (await cache.match(request, options));
    if (!stale) throw error;
    return stale;
  }
}
