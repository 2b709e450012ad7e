// The page starts: from a sub-path, quietly, on its own, with its policy in force, and again without a network.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { open, start, started, withPage } from "./harness.mjs";

test("the page starts from a sub-path and shows its header", withPage(async ({ page }) => {
  await page.getByRole("banner").first().waitFor();
  assert.match(await page.getByRole("banner").first().innerText(), /vethscope/i);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false, "such hosts send no COOP and COEP headers");
}));

test("something can be read before the program runs, and without scripts", async () => {
  const world = await start();
  try {
    const { page, complaints } = await open(world, { options: { javaScriptEnabled: false }, wait: false });
    const text = await page.locator("body").innerText();
    assert.match(text, /vethscope/);
    assert.match(text, /JavaScript와 WebAssembly가 필요합니다/);
    assert.match(text, /needs JavaScript and WebAssembly/);
    assert.deepEqual(complaints, []);
  } finally {
    await world.stop();
  }
});

test("the first picture stands before the program, in the theme and the language last chosen", async () => {
  const world = await start();
  try {
    const settings = { theme: "projector", lang: "en" };
    const before = async (page) => {
      await page.addInitScript((settings) => localStorage.setItem("vethscope.settings", JSON.stringify(settings)), settings);
      await page.route("**/*.wasm", () => {});
    };
    const { page, complaints } = await open(world, { wait: false, before });
    await page.getByText("Pod a pings Pod b").waitFor();
    assert.equal(await page.getByText("Pod a가 다른 노드의").isVisible(), false, "one language alone");
    assert.equal(await page.locator("html").getAttribute("data-theme"), "projector");
    const boxes = await page.locator("[class*=start-at-]").evaluateAll((all) => all.map((box) => {
      const at = Number(/start-at-(\d+)/.exec(box.className)[1]);
      return [at, parseFloat(getComputedStyle(box).animationDelay)];
    }));
    boxes.sort(([a], [b]) => a - b);
    assert.deepEqual(boxes.map(([at]) => at), [...boxes.keys()], "every box of the path has its place in it");
    for (const [at, delay] of boxes) assert.ok(Math.abs(delay - at * 0.2) < 1e-6, `box ${at} lights up at its turn, not after ${delay} s`);
    assert.deepEqual(complaints, []);
  } finally {
    await world.stop();
  }
});

test("a program that cannot start says so in both languages", async () => {
  const world = await start();
  try {
    const { page } = await open(world, { wait: false, before: (page) => page.route("**/*.wasm", (route) => route.abort()) });
    await page.getByText("시작하지 못했습니다").waitFor();
    await page.getByText("It could not start").waitFor();
  } finally {
    await world.stop();
  }
});

test("the Content-Security-Policy blocks inline scripts, inline styles, eval and other origins", async () => {
  const world = await start();
  try {
    const { page } = await open(world);
    const got = await page.evaluate(async () => {
      const blocked = [];
      document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "globalThis.ranInline = true";
      document.body.append(script);
      const style = document.createElement("style");
      style.textContent = "body { outline: 7px solid red }";
      document.body.append(style);
      // Later, because what the test's own connection runs directly is exempt.
      await new Promise((done) => setTimeout(done, 50));
      let evaluated = true;
      try { (0, eval)("1"); } catch { evaluated = false; }
      const fetched = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
      await new Promise((done) => setTimeout(done, 100));
      return { ranInline: "ranInline" in globalThis, outline: getComputedStyle(document.body).outlineWidth, evaluated, fetched, blocked };
    });
    assert.equal(got.ranInline, false);
    assert.notEqual(got.outline, "7px");
    assert.equal(got.evaluated, false);
    assert.equal(got.fetched, false);
    for (const directive of ["script-src-elem", "style-src-elem", "script-src", "connect-src"]) {
      assert.ok(got.blocked.includes(directive), `${directive} among ${got.blocked}`);
    }
  } finally {
    await world.stop();
  }
});

test("the built page names no other origin and no absolute path", async () => {
  const html = await readFile(new URL("../../dist/index.html", import.meta.url), "utf8");
  for (const [, address] of html.matchAll(/\b(?:src|href)="([^"]*)"/g)) assert.match(address, /^\.\//, address);
});

test("the page opens again without a network", async () => {
  const world = await start();
  try {
    const { page, context, complaints } = await open(world);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await page.reload();
    await started(page);
    await page.waitForTimeout(300);
    world.server.close();
    world.server.closeAllConnections();
    const before = complaints.length;
    await page.reload();
    await started(page);
    await page.getByRole("banner").first().waitFor();
    assert.equal(before, 0, complaints.join("\n"));
    await context.close();
  } finally {
    await world.stop();
  }
});
