// What every browser test shares: the built page served from a sub-path, a headless Chromium, and a watch over what must
// never happen (a console error, a request to another origin, a breach of the Content-Security-Policy).
//
//   test("...", withPage(async ({ page, url }) => { ... }));
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";
import { serve } from "../../.ci/serve.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const flags = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  try {
    return execFileSync("sh", ["-c", "command -v chromium || command -v chromium-browser || command -v google-chrome"], { encoding: "utf8" }).trim();
  } catch {
    throw new Error("Chromium is missing: run '.ci/setup.sh test', or name it in the variable CHROMIUM");
  }
}

/** Starts server and browser; `base` is the path the page lives under. The variable VETHSCOPE_DIST names another build than dist/. */
export async function start({ base = "/some/where/" } = {}) {
  const server = await serve(process.env.VETHSCOPE_DIST ?? join(root, "dist"), { base });
  const browser = await chromium.launch({ executablePath: chromiumPath(), headless: true, args: flags });
  const url = `http://localhost:${server.address().port}${base}`;
  return { browser, server, url, async stop() { await browser.close(); server.close(); server.closeAllConnections(); } };
}

/**
 * Opens a page in a context of its own and watches it. `allow` lists patterns of console errors that the test provokes
 * on purpose.
 */
export async function open(world, { path = "", allow = [], options = {}, before, wait = true } = {}) {
  const context = await world.browser.newContext({ viewport: { width: 1366, height: 768 }, locale: "ko-KR", ...options });
  const page = await context.newPage();
  const complaints = [];
  const origin = new URL(world.url).origin;
  const complain = (text) => { if (!allow.some((pattern) => pattern.test(text))) complaints.push(text); };
  page.on("console", (message) => {
    if (message.type() === "error" || /panicked at/.test(message.text())) complain(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complain(`uncaught: ${error.message}`));
  page.on("crash", () => complain("the page crashed"));
  context.on("request", (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (!["data:", "blob:"].includes(protocol) && asked !== origin) complain(`request to another origin: ${request.url()}`);
  });
  context.on("response", (response) => {
    if (response.status() >= 400) complain(`${response.status()} for ${response.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`Content-Security-Policy: ${event.effectiveDirective} blocked ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`);
    });
  });
  if (before) await before(page);
  await page.goto(world.url + path);
  if (wait) await started(page);
  return { context, page, url: world.url, complaints };
}

/** Waits until the program has put the page in place of the starting text. */
export async function started(page) {
  await page.waitForFunction(() => "wasmBindings" in globalThis, undefined, { timeout: 20_000 });
}

/** A test body that gets a started page, and fails afterwards if anything happened that must not. */
export function withPage(body, settings = {}) {
  return async () => {
    const world = await start(settings);
    try {
      const opened = await open(world, settings);
      await body({ ...opened, world });
      assert.deepEqual(opened.complaints, [], "the page complained");
    } finally {
      await world.stop();
    }
  };
}

export const sizes = { projector: [1920, 1080], laptop: [1366, 768], phone: [390, 844] };
export const themes = ["light", "dark", "projector"];
export const languages = ["ko", "en"];

/** Where pictures for people to look at go, from the variable VETHSCOPE_SHOTS; nothing is compared with them. */
export const shotsFolder = process.env.VETHSCOPE_SHOTS;

/**
 * Takes a picture of each size, theme and language as `NAME-SIZE-THEME-LANGUAGE.png`. `dress(page, {theme, lang})` brings
 * the page into that theme and language.
 */
export async function shots(world, name, dress) {
  if (!shotsFolder) return;
  await mkdir(shotsFolder, { recursive: true });
  for (const [size, [width, height]] of Object.entries(sizes)) {
    for (const theme of themes) {
      for (const lang of languages) {
        const options = { viewport: { width, height }, colorScheme: theme === "dark" ? "dark" : "light", locale: lang === "ko" ? "ko-KR" : "en-US" };
        const { page, context } = await open(world, { options });
        await dress(page, { theme, lang });
        await page.waitForTimeout(1500);
        await page.screenshot({ path: join(shotsFolder, `${name}-${size}-${theme}-${lang}.png`) });
        await context.close();
      }
    }
  }
}
