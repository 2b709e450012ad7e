// The editor and the terminal by themselves, inside the page's own policy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withPage } from "./harness.mjs";

/** Puts an empty box over the page and creates an editor in it; its reports are in `window.heard`. */
async function editor(page, settings = {}) {
  await page.evaluate(async (settings) => {
    const parent = document.createElement("div");
    parent.id = "try";
    document.body.prepend(parent);
    parent.style.cssText = "position: fixed; inset: 0; z-index: 1000";
    globalThis.heard = { texts: [], cursors: [] };
    const { createEditor } = await import(new URL("bundle/editor.js", document.baseURI).href);
    globalThis.tried = createEditor({
      parent, text: "kind: Pod\n", onChange: (text) => heard.texts.push(text), onCursor: (at) => heard.cursors.push(at), ...settings,
    });
  }, settings);
  return page.locator("#try .cm-content");
}

test("the editor reports typing, cursor and undo, and not what the page sets", withPage(async ({ page }) => {
  const content = await editor(page);
  await content.click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("a: 1");
  assert.equal(await page.evaluate(() => heard.texts.at(-1)), "kind: Pod\na: 1");
  assert.equal(await page.evaluate(() => heard.cursors.at(-1)), "kind: Pod\na: 1".length);
  const reports = await page.evaluate(() => heard.texts.length);
  await page.evaluate(() => tried.setText("kind: Pod\na: 23", true));
  assert.equal(await page.evaluate(() => heard.texts.length), reports);
  await page.keyboard.press("Control+z");
  assert.equal(await page.evaluate(() => tried.text()), "kind: Pod\na: 1");
  await page.evaluate(() => tried.setText("kind: Node", false));
  await page.keyboard.press("Control+z");
  assert.equal(await page.evaluate(() => tried.text()), "kind: Node", "a fresh text has no history");
}));

test("the editor marks diagnostics, lights ranges and reveals, whatever the offsets", withPage(async ({ page }) => {
  await editor(page, { text: "이름: 가\nb: 2\n" });
  await page.evaluate(() => {
    tried.setDiagnostics([{ from: 0, to: 2, severity: "error", message: "이름이 틀렸습니다" }, { from: 90, to: 99, severity: "warning", message: "far" }]);
    tried.highlight([{ from: 6, to: 7 }, { from: 500, to: 600 }]);
    tried.reveal(700);
    tried.setTheme({ dark: true, projector: true });
    tried.setLang("ko");
  });
  assert.equal(await page.locator("#try .cm-lintRange-error").innerText(), "이름");
  assert.equal(await page.locator("#try .cm-lit").innerText(), "b");
  assert.match(await page.locator("#try .cm-content").getAttribute("aria-label"), /Esc를 누른 다음 Tab/);
}));

test("the editor holds its report back while a Korean syllable is composed", withPage(async ({ page }) => {
  const content = await editor(page, { text: "" });
  await content.click();
  const client = await page.context().newCDPSession(page);
  for (const text of ["ㅎ", "하", "한"]) {
    await client.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
    await page.waitForTimeout(80);
  }
  assert.deepEqual(await page.evaluate(() => heard.texts), []);
  await client.send("Input.insertText", { text: "한" });
  await page.waitForFunction(() => heard.texts.length > 0);
  assert.deepEqual(await page.evaluate(() => heard.texts), ["한"]);
}));

test("Tab indents, Escape then Tab leaves, and Ctrl+L, K and P stay the browser's", withPage(async ({ page }) => {
  const content = await editor(page);
  await page.evaluate(() => {
    globalThis.swallowed = [];
    addEventListener("keydown", (event) => {
      if (event.ctrlKey && "lkp".includes(event.key) && event.defaultPrevented) swallowed.push(event.key);
      if (event.ctrlKey) event.preventDefault();
    });
  });
  await content.click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => tried.text()), "  kind: Pod\n");
  for (const key of ["l", "k", "p"]) await page.keyboard.press(`Control+${key}`);
  assert.deepEqual(await page.evaluate(() => swallowed), []);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => tried.text()), "  kind: Pod\n");
  assert.equal(await page.evaluate(() => document.activeElement.closest(".cm-content")), null);
}));

test("the terminal prints, hands on keys, and is styled without breaching the policy", withPage(async ({ page }) => {
  await page.evaluate(async () => {
    const parent = document.createElement("div");
    parent.id = "try";
    document.body.prepend(parent);
    parent.style.cssText = "position: fixed; inset: 0; z-index: 1000";
    globalThis.typed = "";
    const { createTerminal } = await import(new URL("bundle/terminal.js", document.baseURI).href);
    globalThis.tried = await createTerminal({ parent, onData: (data) => { typed += data; }, dark: true, fontSize: 16 });
    tried.write("64 bytes from 10.244.2.10: icmp_seq=1\r\n\x1b[31m빨강\x1b[0m");
    tried.focus();
  });
  await page.keyboard.type("ls");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+c");
  assert.equal(await page.evaluate(() => typed), "ls\r\x03");
  await page.waitForFunction(() => /빨강/.test(tried.text()));
  assert.match(await page.evaluate(() => tried.text()), /icmp_seq=1/);
  assert.ok(await page.evaluate(() => tried.cols()) > 100);
  const red = page.locator("#try .xterm-rows .xterm-fg-1").first();
  assert.equal(await red.evaluate((element) => getComputedStyle(element).color), "rgb(255, 107, 129)");
  await page.evaluate(() => { tried.setTheme({ dark: false, fontSize: 20 }); });
  await page.waitForFunction(() => getComputedStyle(document.querySelector("#try .xterm-rows .xterm-fg-1")).color === "rgb(192, 23, 51)");
  const sheets = await page.evaluate(() => document.adoptedStyleSheets.length);
  await page.evaluate(() => { tried.clear(); tried.destroy(); });
  assert.ok(await page.evaluate(() => document.adoptedStyleSheets.length) < sheets, "a closed terminal leaves no sheets behind");
}));
