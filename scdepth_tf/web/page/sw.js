// Keeps the page for use without a connection. It looks at nothing else: the
// page fetches nothing but its own files.
"use strict";

const PREFIX = `scdepth ${self.registration.scope} `;
const CACHE = `${PREFIX}@VERSION@`;
const FILES = "@FILES@";

self.addEventListener("install", (event) => {
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
  event.respondWith(fromCache(event.request));
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

async function fromCache(request) {
  const cache = await caches.open(CACHE);
  const options = { ignoreSearch: request.mode === "navigate" };
  return (await cache.match(request, options)) ?? fetch(request);
}
