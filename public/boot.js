// Runs before the program: gives the first picture the theme and the language that the program will have, shows why it
// did not start, takes the first picture away once it did, and keeps the page for use without a network.
"use strict";
{
  // As src/ui/storage.rs keeps them; what is not there or cannot be read is left to the system's own preference.
  const chosen = () => {
    try {
      return JSON.parse(localStorage.getItem("vethscope.settings")) ?? {};
    } catch {
      return {};
    }
  };
  const { theme, lang } = chosen();
  if (["light", "dark", "projector"].includes(theme)) document.documentElement.dataset.theme = theme;
  const first = document.getElementById("start");
  if (first) first.dataset.lang = lang === "ko" || lang === "en" ? lang : navigator.language.startsWith("ko") ? "ko" : "en";

  const trouble = (reason) => {
    const start = document.getElementById("start");
    if (!start) return;
    for (const line of start.querySelectorAll(".start-trouble")) line.hidden = false;
    document.getElementById("start-reason").textContent = String(reason);
  };
  const failed = (event) => trouble(event.message ?? event.reason);
  addEventListener("error", failed);
  addEventListener("unhandledrejection", failed);
  if (typeof WebAssembly !== "object") trouble("WebAssembly");

  addEventListener("TrunkApplicationStarted", () => {
    removeEventListener("error", failed);
    removeEventListener("unhandledrejection", failed);
    const start = document.getElementById("start");
    const mounted = [...document.body.children].some((child) => child !== start && !["LINK", "SCRIPT"].includes(child.tagName));
    if (mounted) start?.remove();
  });

  // Only over http(s): a page opened as a file has no service workers.
  if ("serviceWorker" in navigator && location.protocol.startsWith("http")) {
    addEventListener("load", async () => {
      try {
        const registration = await navigator.serviceWorker.register("./sw.js");
        const worker = registration.installing ?? registration.waiting ?? registration.active;
        // What was read before the worker watched over the page, such as the font pieces in use.
        const read = performance.getEntriesByType("resource").map((entry) => entry.name);
        worker?.postMessage({ keep: read });
      } catch {
        // Not kept for offline use (private window, storage forbidden): the page itself works all the same.
      }
    });
  }
}
