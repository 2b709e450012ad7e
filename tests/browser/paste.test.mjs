// A text of 10,000 Pods, pasted at once: the page says how far it is, can be stopped, and stays alive.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";
import { open } from "./harness.mjs";
import { closeWorld, command, hasPod, lesson, lessonText, openWorld, patience, type, world } from "./steps.mjs";

before(openWorld);
after(closeWorld);

const pods = (count) => Array.from({ length: count }, (_, n) =>
  `---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: many-${n}\nspec:\n  containers:\n  - name: app\n    image: nginx\n`).join("");

test("10,000 Pods pasted at once are checked in slices; stopped, the text stays and so does the network", lesson(async ({ page }) => {
  await hasPod(page, "a");
  const text = await lessonText("ko") + pods(10_000);
  await type(page, text);
  const work = page.getByTestId("work");
  await work.filter({ hasText: /확인 중: 객체 \d+개/ }).waitFor(patience);
  const percent = async () => Number((await work.innerText()).match(/(\d+) %/)?.[1] ?? 0);
  const first = await percent();
  await page.waitForFunction((first) => {
    const shown = document.querySelector("[data-testid=work]")?.textContent.match(/(\d+) %/);
    return shown && Number(shown[1]) > first;
  }, first, patience);
  await page.getByTestId("stop").click();
  await page.getByTestId("notice").filter({ hasText: "멈췄습니다" }).waitFor(patience);
  await hasPod(page, "a");
  assert.equal(await page.locator(".stage-picture .shape-pod text.label-name", { hasText: "many-" }).count(), 0);
  const kept = await page.getByTestId("editor-text").innerText();
  assert.ok(kept.length > 0, "the text is in the editor");
}));

test("10,000 Pods that are being applied can be taken back: the text stays and the network is the one before", lesson(async ({ page }) => {
  await hasPod(page, "a");
  const text = await lessonText("ko") + pods(10_000);
  await type(page, text);
  const work = page.getByTestId("work");
  const left = async () => Number((await work.innerText()).match(/객체 (\d+)개 남음/)?.[1] ?? 0);
  await work.filter({ hasText: /적용 중: 객체 \d+개 남음/ }).waitFor(patience);
  const first = await left();
  // Clicked in the page itself, in the moment in which it is seen: a fast machine may be ready a moment later.
  await page.waitForFunction((first) => {
    const shown = document.querySelector("[data-testid=work]")?.textContent.match(/객체 (\d+)개 남음/);
    if (!shown || Number(shown[1]) >= first) return false;
    document.querySelector("[data-testid=stop]").click();
    return true;
  }, first, patience);
  await page.getByTestId("notice").filter({ hasText: "멈췄습니다" }).waitFor(patience);
  await hasPod(page, "a");
  assert.equal(await page.locator(".stage-picture .shape-pod text.label-name", { hasText: "many-" }).count(), 0);
  await work.waitFor({ ...patience, state: "detached" });
  await command(page, "kubectl get pod a", /a\s+1\/1\s+Running/);
}));

test("a text that is taken back while it is the first to be applied leaves the lesson, with the text in the editor", async () => {
  const empty = deflateSync(JSON.stringify({ log: { seed: 1, actions: [] } })).toString("base64url");
  const { page, context, complaints } = await open(world, { path: `#v1:${empty}` });
  try {
    await type(page, pods(10_000));
    const work = page.getByTestId("work");
    await work.filter({ hasText: /적용 중: 객체 \d+개 남음/ }).waitFor(patience);
    await page.getByTestId("stop").click();
    await page.getByTestId("notice").filter({ hasText: "멈췄습니다" }).waitFor(patience);
    for (const name of ["a", "b", "c"]) await hasPod(page, name);
    assert.equal(await page.locator(".stage-picture .shape-pod text.label-name", { hasText: "many-" }).count(), 0);
    assert.match(await page.getByTestId("editor-text").innerText(), /many-9999/);
    await command(page, "kubectl get pod a", /a\s+1\/1\s+Running/);
    assert.deepEqual(complaints, [], "the page complained");
  } finally {
    await context.close();
  }
});
