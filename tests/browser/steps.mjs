// What the tests of the page do on it, each waiting for what must come and never for a time.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { open, start } from "./harness.mjs";

/** Server and browser of a test file: `before(openWorld)`, `after(closeWorld)`. */
export let world;
export async function openWorld() { world = await start(); }
export async function closeWorld() { await world.stop(); }

export const patience = { timeout: 30_000 };
export const count = (page) => page.getByTestId("count").innerText().then((text) => text.match(/\d+/g).map(Number));
export const seen = (page) => count(page).then(([at]) => at);
export const isPlaying = async (page) => /멈춤|Pause/.test(await page.getByTestId("play").innerText());

/** A test body over a page on which the lesson has begun to play; nothing that must not happen may have happened. */
export function lesson(body, settings = {}) {
  return async () => {
    const opened = await open(world, settings);
    try {
      await ready(opened.page);
      await body(opened);
      assert.deepEqual(opened.complaints, [], "the page complained");
    } finally {
      await opened.context.close();
    }
  };
}

export async function ready(page) {
  await page.waitForFunction(() => {
    const numbers = document.querySelector("[data-testid=count]")?.textContent.match(/\d+/g);
    return numbers && Number(numbers[1]) > 100;
  }, undefined, patience);
}

export async function pause(page) {
  if (await isPlaying(page)) await page.getByTestId("play").click();
  await page.waitForFunction(() => !/멈춤|Pause/.test(document.querySelector("[data-testid=play]").textContent), undefined, patience);
}

/** Goes to a step of the timeline by its number, from 1. */
export async function goTo(page, step) {
  await pause(page);
  await page.getByTestId("score").focus();
  await page.keyboard.press("Home");
  for (let at = 1; at + 10 <= step; at += 10) await page.keyboard.press("PageDown");
  for (let at = await seen(page); at < step; at += 1) await page.keyboard.press("ArrowRight");
  await page.waitForFunction((step) => Number(document.querySelector("[data-testid=count]").textContent.match(/\d+/)[0]) === step, step, patience);
}

/** Puts a text in the editor in place of what is there, as a paste does. */
export async function type(page, text) {
  const editor = page.getByTestId("editor-text");
  await editor.waitFor(patience);
  await editor.click();
  await page.keyboard.press("Control+a");
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    document.querySelector("[data-testid=editor-text]").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, text);
}

export const lessonText = (lang) => readFile(new URL(`../../src/lab/lessons/${lang}/vxlan.yaml`, import.meta.url), "utf8");
export const pod = (name, node = "node2") => `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec:\n  nodeName: ${node}\n  containers:\n  - {name: app, image: nginx}\n`;
export const onStage = (page, name) => page.locator(`.stage-picture .shape-pod text.label-name`, { hasText: new RegExp(`^${name}$`) });

/** Waits until a Pod stands on the stage at the end of the timeline. */
export async function hasPod(page, name) {
  await page.waitForFunction((name) => {
    document.querySelector("[data-testid=to-end]").click();
    return [...document.querySelectorAll(".stage-picture .shape-pod text.label-name")].some((label) => label.textContent === name);
  }, name, { ...patience, polling: 300 });
}

/** Runs a line in the terminal and waits until its output matches. */
export async function command(page, line, expected) {
  await page.getByTestId("tab-terminal").click();
  await page.locator(".terminal .xterm-helper-textarea").waitFor({ ...patience, state: "attached" });
  await page.locator(".terminal .xterm").first().click();
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
  // Lines wrap where the panel ends; and what a command sends shows only once the playhead is there.
  await page.waitForFunction((source) => {
    document.querySelector("[data-testid=to-end]").click();
    const rows = [...document.querySelectorAll(".terminal .xterm-rows > div")];
    return new RegExp(source, "s").test(rows.map((row) => row.textContent.replaceAll("\u00a0", " ")).join(""));
  }, expected.source, { ...patience, polling: 300 });
}

const service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 8080, targetPort: 80}]}\n";
/** The lesson with a Service in front of Pod b. */
export const labelled = (text) => text.replace("metadata: {name: b}", "metadata: {name: b, labels: {app: web}}") + service;

/** Opens a view by the menu. */
export async function openView(page, name) {
  await page.getByTestId("view-menu").locator("summary").click();
  await page.getByTestId(`open-${name}`).click();
  await page.getByTestId(`view-${name}`).waitFor(patience);
}
